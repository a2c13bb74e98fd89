//! The process above a limited run: it waits for its end, and sees to it that all of it ends.
//!
//! It is the reaper of whatever the run's processes leave behind (`PR_SET_CHILD_SUBREAPER`), so that they stay below it, sessions,
//! process groups and masks of theirs notwithstanding; and it ends them by SIGKILL. To whoever started it, it is the program: it passes
//! signals on, stops when the program stops, and ends as it ends.
#![forbid(unsafe_code)]

use super::session::TELL;
use super::{RunLimits, Session};
use crate::linux::host::{self, Arg, Forked};
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Puts a supervisor above the calling process, which has one thread, and returns in the process below it, where the run is to take
/// place. `program` names it in messages; `status` is the exit status when a limit ends the run. A run in the sandbox has its session in a
/// file in `directory`, see [`Session`].
///
/// # Errors
/// What the host says.
pub fn supervise(limits: &RunLimits, program: &str, status: i32, directory: Option<&Path>) -> io::Result<Arc<Session>> {
    let session = Session::create(limits, directory)?;
    host::call(libc::SYS_prctl, &[libc::PR_SET_CHILD_SUBREAPER.into(), 1.into()])?;
    let own = host::pid();
    let mask = host::set_mask_exactly(u64::MAX);
    match host::fork()? {
        Forked::Child => {
            host::call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG.into(), libc::SIGKILL.into()])?;
            if host::call(libc::SYS_getppid, &[]) != Ok(own as u64) {
                host::exit_process(status);
            }
            host::set_mask_exactly(mask);
            session.leave_file();
            if let Some(place) = session.place() {
                place.settle(host::pid());
            }
            Ok(Arc::new(session))
        }
        Forked::Parent(main) => {
            session.leave_others();
            if let Some(time) = limits.timeout {
                wake_after(time);
            }
            Supervisor {
                session,
                main,
                deadline: limits.timeout.and_then(|time| Instant::now().checked_add(time)),
                limits: *limits,
                program: program.to_owned(),
                status,
                looks: directory.is_some() && limits.fuel.is_some(),
            }
            .watch()
        }
    }
}

/// Has this process sent a signal then that it goes on after if it has stopped.
fn wake_after(time: Duration) {
    // `struct sigevent`: a value, the signal, and that it is one.
    let mut event = [0u64; 16];
    event[1] = TELL as u64 | (libc::SIGEV_SIGNAL as u64) << 32;
    let mut timer = 0i32;
    let args = [libc::CLOCK_MONOTONIC.into(), Arg::from_ref(&event), Arg::from_mut(&mut timer)];
    let mut when: libc::itimerspec = host::zeroed();
    when.it_value = timespec(time);
    // Without a timer the run is late only if it has stopped.
    let _ = host::call(libc::SYS_timer_create, &args)
        .and_then(|_| host::call(libc::SYS_timer_settime, &[timer.into(), 0.into(), Arg::from_ref(&when), Arg::NULL]));
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}

/// How often a supervisor looks that nobody can tell anything.
const MOMENT: Duration = Duration::from_millis(10);

struct Supervisor {
    session: Session,
    /// The run's first process.
    main: i32,
    deadline: Option<Instant>,
    limits: RunLimits,
    program: String,
    status: i32,
    /// Nobody can tell it that there is no fuel.
    looks: bool,
}

/// How the first process has ended.
enum End {
    Exited(i32),
    Killed(i32),
}

impl Supervisor {
    /// All signals are blocked: each is waited for, and none is lost.
    fn watch(&self) -> ! {
        loop {
            if let Some((pid, pc)) = self.session.fuel_ended() {
                let fuel = self.limits.fuel.unwrap_or_default();
                self.end_by_limit(&format!("the fuel of {fuel} instructions is used up at pc {pc:#x} (process {pid})"));
            }
            if let Some(end) = self.reap() {
                self.end_as(&end);
            }
            let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                let time = self.limits.timeout.unwrap_or_default();
                self.end_by_limit(&format!("the time of {time:?} is over"));
            }
            let moment = self.looks.then_some(MOMENT);
            self.wait_for_signal(left.into_iter().chain(moment).min());
        }
    }

    /// Waits for a signal, and passes it on if it was sent to this process alone.
    fn wait_for_signal(&self, left: Option<Duration>) {
        let time = left.map(timespec);
        let (all, mut info) = (u64::MAX, host::RawInfo([0; 128]));
        let args = [Arg::from_ref(&all), Arg::output(&mut info.0), Arg::opt(time.as_ref()), 8.into()];
        let Ok(signal) = host::call(libc::SYS_rt_sigtimedwait, &args) else { return };
        let signal = signal as i32;
        // What the terminal sends it sends to the program, too; the timer is ours; and when the run has ended nobody is there.
        let passes_on = signal != libc::SIGCHLD && ![libc::SI_KERNEL, libc::SI_TIMER].contains(&info.code());
        if passes_on && self.session.fuel_ended().is_none() {
            self.send(self.main, signal);
        }
    }

    fn send(&self, pid: i32, signal: i32) {
        // Whoever is gone needs no signal.
        let _ = host::call(libc::SYS_kill, &[pid.into(), signal.into()]);
    }

    /// Takes note of children that have ended or stopped; how the first one has ended, if it has.
    fn reap(&self) -> Option<End> {
        let mut end = None;
        while let Some((pid, status)) = next_child(libc::WNOHANG | libc::WUNTRACED) {
            match status {
                _ if pid != self.main => {}
                _ if libc::WIFSTOPPED(status) => self.send(host::pid(), libc::SIGSTOP),
                _ if libc::WIFSIGNALED(status) => end = Some(End::Killed(libc::WTERMSIG(status))),
                _ => end = Some(End::Exited(libc::WEXITSTATUS(status))),
            }
        }
        end
    }

    /// The first process has ended, and the run with it.
    fn end_as(&self, end: &End) -> ! {
        self.session.close();
        end_all();
        match *end {
            End::Exited(status) => host::exit_process(status),
            End::Killed(signal) => host::die_by(signal),
        }
    }

    fn end_by_limit(&self, why: &str) -> ! {
        self.session.close();
        end_all();
        // Nobody is left to tell if this fails.
        let _ = io::stderr().write_all(format!("emu: {}: {why}\n", self.program).as_bytes());
        host::exit_process(self.status)
    }
}

/// A child that has changed its state, and its status.
fn next_child(flags: i32) -> Option<(i32, i32)> {
    let mut status = 0i32;
    let args = [(-1).into(), Arg::from_mut(&mut status), flags.into(), Arg::NULL];
    let pid = host::call(libc::SYS_wait4, &args).ok().filter(|pid| *pid > 0)?;
    Some((pid as i32, status))
}

/// Kills everything below this process, until nothing is left. Processes that are just being made are found the next time.
fn end_all() {
    loop {
        for pid in descendants(host::pid()) {
            let _ = host::call(libc::SYS_kill, &[pid.into(), libc::SIGKILL.into()]);
        }
        while next_child(libc::WNOHANG).is_some() {}
        // ECHILD: no child is left, and orphans would be children.
        let probe = [(-1).into(), Arg::NULL, libc::WNOHANG.into(), Arg::NULL];
        if host::call(libc::SYS_wait4, &probe).is_err() {
            return;
        }
        let moment = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let _ = host::call(libc::SYS_nanosleep, &[Arg::from_ref(&moment), Arg::NULL]);
    }
}

/// All processes below one, as `/proc` has them.
fn descendants(root: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent_in(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = children.remove(&root).unwrap_or_default();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// The parent in a `/proc/PID/stat`: the second field after the name, which may hold anything.
fn parent_in(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_may_hold_anything() {
        assert_eq!(parent_in("12 (a) b (c) S 34 12 12 0"), Some(34));
        assert_eq!(parent_in("12"), None);
    }
}
