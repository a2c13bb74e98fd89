//! What the host says of tracees, and what of it the guest's tracer sees.
#![forbid(unsafe_code)]

use super::block::{self, Snapshot, kind, word};
use super::message::Message;
use super::stop::MARK;
use super::tracer::{First, State, host_continue, host_info, host_options, host_ptrace, status_line};
use super::{action, event};
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg, RawInfo};
use crate::linux::process::lock;
use crate::linux::table::SysResult;
use crate::linux::thread::Thread;

/// Words of `struct user_regs_struct`, and where rax and rdi are in it.
const USER_REGS: usize = 27;
const RAX: usize = 10;
const RDI: usize = 14;

/// `wait4`, without the stops that are not the guest's.
pub(in crate::linux) fn wait_for(
    t: &mut Thread,
    pid: i32,
    status: &mut i32,
    options: i32,
    usage: &mut libc::rusage,
) -> SysResult {
    loop {
        let args = [pid.into(), Arg::from_mut(status), options.into(), Arg::from_mut(usage)];
        let tid = host::blocking(libc::SYS_wait4, &args)?;
        if tid == 0 || t.is_seen(tid as i32, status) {
            return Ok(tid);
        }
    }
}

/// `waitid`, the same.
pub(in crate::linux) fn waitid_for(
    t: &mut Thread,
    (which, id): (i32, i32),
    info: &mut RawInfo,
    options: i32,
    usage: &mut libc::rusage,
) -> SysResult {
    loop {
        let args = [which.into(), id.into(), Arg::output(&mut info.0), options.into(), Arg::from_mut(usage)];
        let result = host::blocking(libc::SYS_waitid, &args)?;
        let (tid, code) = (info.pid(), info.code());
        if info.signal() == 0 || code != libc::CLD_TRAPPED && code != libc::CLD_STOPPED {
            if info.signal() != 0 && options & libc::WNOWAIT == 0 {
                t.process.tracees.remove(tid);
            }
            return Ok(result);
        }
        let mut status = info.status() << 8 | 0x7f;
        let seen = if options & libc::WNOWAIT == 0 {
            t.is_seen(tid, &mut status)
        } else {
            t.would_be_seen(tid, &mut status) || !t.consume(tid)
        };
        if seen {
            info.set_status(status >> 8);
            return Ok(result);
        }
    }
}

/// The block of a thread that is stopped at the breakpoint, and what is in it.
///
/// A message that comes while the thread is about to stop there, or to go on, looks like the breakpoint: it is one only
/// if the tracee has not been let go on since it filled the block.
pub(super) fn stop_block(tid: i32, status: i32) -> Option<(u64, Snapshot)> {
    if status >> 8 != libc::SIGTRAP {
        return None;
    }
    let mut regs = [0u64; USER_REGS];
    host_ptrace(libc::PTRACE_GETREGS, tid, Arg::slice_mut(&mut regs)).ok()?;
    if regs[RAX] != MARK {
        return None;
    }
    let snapshot = Snapshot::read(tid, regs[RDI]).ok()?;
    let goes_on = snapshot.get(word::SEEN) != 0 || snapshot.get(word::REQUEST) != 0;
    (!goes_on).then_some((regs[RDI], snapshot))
}

/// `PTRACE_GETEVENTMSG` of the host.
fn event_message(tid: i32) -> i32 {
    let mut message = 0u64;
    let _ = host_ptrace(libc::PTRACE_GETEVENTMSG, tid, Arg::from_mut(&mut message));
    message as i32
}

impl Thread {
    /// Does the guest see what the host has reported? Its status is the guest's then.
    pub(super) fn is_seen(&self, tid: i32, status: &mut i32) -> bool {
        if !libc::WIFSTOPPED(*status) {
            if !libc::WIFCONTINUED(*status) {
                self.process.tracees.remove(tid);
            }
            return true;
        }
        let known = self.process.tracees.get(tid);
        match known {
            Some(tracee) if tracee.owner != self.tid => return self.is_seen_of(tid, tracee.owner, status),
            Some(_) => {}
            None => {
                if matches!(host_info(tid), Err(Errno::ESRCH)) {
                    let tracer = status_line(tid, "TracerPid").and_then(|text| text.parse().ok()).unwrap_or(0);
                    // A stop that has nothing to do with tracing, or a new tracee of another thread.
                    return tracer == 0 || tracer == self.tid || self.is_seen_of(tid, tracer, status);
                }
                self.add_new(tid, *status);
            }
        }
        if let Some((block, snapshot)) = stop_block(tid, *status) {
            return self.at_breakpoint(tid, block, &snapshot, status);
        }
        if self.vfork_event(tid, status) {
            return true;
        }
        self.pass_on(tid, *status);
        false
    }

    /// The same for a tracee of another thread, which has to deal with what is not the guest's.
    fn is_seen_of(&self, tid: i32, owner: i32, status: &mut i32) -> bool {
        let block = self.process.tracees.get(tid).map_or(0, |tracee| tracee.block);
        match Snapshot::read(tid, block) {
            Ok(snapshot) if block != 0 && snapshot.get(word::KIND) >= kind::STOP => {
                *status = (snapshot.get(word::CODE) as i32) << 8 | 0x7f;
                self.process.tracees.change(tid, |tracee| tracee.state = State::Stopped);
                true
            }
            _ => {
                lock(&self.process.tracees.deferred).push((tid, *status));
                let _ = Message::Look.send(host::pid(), owner);
                false
            }
        }
    }

    /// Would the guest see this stop, which has not been taken off the host?
    pub(super) fn would_be_seen(&self, tid: i32, status: &mut i32) -> bool {
        let at_breakpoint = *status >> 16 == 0;
        let snapshot = match stop_block(tid, *status) {
            Some((_, snapshot)) => snapshot,
            None if at_breakpoint => return matches!(host_info(tid), Err(Errno::ESRCH)),
            None => {
                let block = self.process.tracees.get(tid).map_or(0, |tracee| tracee.block);
                let Ok(snapshot) = Snapshot::read(tid, block) else { return false };
                snapshot
            }
        };
        let seen = snapshot.get(word::KIND) == if at_breakpoint { kind::STOP } else { kind::EVENT };
        if seen {
            *status = (snapshot.get(word::CODE) as i32) << 8 | 0x7f;
        }
        seen
    }

    /// Takes a stop that the guest does not see off the host, and passes it on. False if there is none.
    pub(super) fn consume(&self, tid: i32) -> bool {
        let mut status = 0;
        let args = [tid.into(), Arg::from_mut(&mut status), (libc::WNOHANG | libc::__WALL).into(), Arg::NULL];
        let got = host::call(libc::SYS_wait4, &args).unwrap_or(0);
        got != 0 && !self.is_seen(tid, &mut status)
    }

    /// A tracee that is not known: one that said `PTRACE_TRACEME`, or a child of which the parent's event comes later.
    fn add_new(&self, tid: i32, status: i32) {
        let is_child = status >> 16 == event::STOP
            || status >> 8 == libc::SIGSTOP && host_info(tid).is_ok_and(|info| info.pid() == 0);
        self.add_tracee(tid, false, 0, if is_child { First::Early } else { First::Past });
    }

    /// A tracee is at the breakpoint.
    fn at_breakpoint(&self, tid: i32, address: u64, snapshot: &Snapshot, status: &mut i32) -> bool {
        self.know_block(tid, address);
        let Some(tracee) = self.process.tracees.get(tid) else { return false };
        if snapshot.get(word::KIND) == kind::HELLO {
            let _ = self.resume_tracee(tid, &tracee, action::CONT, 0);
            return false;
        }
        self.process.tracees.change(tid, |tracee| tracee.state = State::Stopped);
        *status = (snapshot.get(word::CODE) as i32) << 8 | 0x7f;
        true
    }

    /// When a block is a new one, tells the tracee what it does not know yet, and the host how to trace it.
    fn know_block(&self, tid: i32, address: u64) {
        let new = self.process.tracees.get(tid).filter(|tracee| tracee.block != address);
        if let Some(tracee) = new {
            let _ = host_ptrace(libc::PTRACE_SETOPTIONS, tid, host_options(tracee.options).into());
            let _ = block::write(tid, address, word::OPTIONS, &[tracee.options]);
            if tracee.interrupt {
                let _ = block::write(tid, address, word::INTERRUPT, &[1]);
            }
            self.process.tracees.change(tid, |tracee| (tracee.block, tracee.interrupt) = (address, false));
        }
    }

    /// A stop that has been waited for without the thread being told, as far as the guest's requests are concerned.
    pub(super) fn notice_stop(&self, tid: i32) {
        loop {
            let Some(mut status) = peek(tid) else { return };
            if !self.would_be_seen(tid, &mut status) {
                if !self.consume(tid) {
                    return;
                }
                continue;
            }
            let raw = peek(tid).unwrap_or(0);
            match stop_block(tid, raw) {
                Some((block, _)) => self.know_block(tid, block),
                None => {
                    self.vfork_event(tid, &mut raw.clone());
                }
            }
            if raw >> 16 == 0 {
                self.process.tracees.change(tid, |tracee| tracee.state = State::Stopped);
            }
            return;
        }
    }

    /// Passes on what is the emulator's own business.
    pub(super) fn pass_on(&self, tid: i32, status: i32) {
        let Some(tracee) = self.process.tracees.get(tid) else { return };
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let is_first = event == event::STOP || signal == libc::SIGSTOP;
        match (tracee.first, event) {
            (First::Early, _) if is_first => {}
            (First::Release, _) if is_first => {
                self.process.tracees.remove(tid);
                let _ = host_ptrace(libc::PTRACE_DETACH, tid, Arg::NULL);
            }
            (First::Pass, _) if is_first => {
                self.process.tracees.change(tid, |tracee| tracee.first = First::Past);
                let _ = host_continue(tid, 0);
            }
            (_, event::FORK | event::VFORK | event::CLONE) => {
                self.new_child(tid);
                let _ = host_continue(tid, 0);
            }
            (_, event::EXEC) => self.executed(tid, event_message(tid)),
            (_, 0) if signal == libc::SIGSTOP => pass_stop(tid),
            (_, 0) => drop(host_continue(tid, signal)),
            _ => drop(host_continue(tid, 0)),
        }
    }

    /// The host's event of a vfork, if it is the guest's, too.
    fn vfork_event(&self, tid: i32, status: &mut i32) -> bool {
        let event = *status >> 16;
        let Some(tracee) = self.process.tracees.get(tid) else { return false };
        if !(event::FORK..=event::CLONE).contains(&event) {
            return false;
        }
        match Snapshot::read(tid, tracee.block) {
            Ok(snapshot) if snapshot.get(word::KIND) == kind::EVENT => {
                if tracee.state != State::Event {
                    let child = self.new_child(tid);
                    let _ = block::write(tid, tracee.block, word::MESSAGE, &[child as u64]);
                }
                self.process.tracees.change(tid, |tracee| tracee.state = State::Event);
                *status = (snapshot.get(word::CODE) as i32) << 8 | 0x7f;
                true
            }
            _ => false,
        }
    }

    /// A tracee has made a child, which the host traces: the tracee says whether the guest's tracer does, too.
    fn new_child(&self, parent: i32) -> i32 {
        let child = event_message(parent);
        let Some(tracee) = self.process.tracees.get(parent) else { return child };
        let guest = Snapshot::read(parent, tracee.block).is_ok_and(|snapshot| snapshot.get(word::CLONING) != 0);
        let was_early = self.process.tracees.get(child).is_some_and(|child| child.first == First::Early);
        let first = match (guest, was_early) {
            (true, true) => First::Past,
            (true, false) => First::Pass,
            (false, _) => First::Release,
        };
        self.add_tracee(child, tracee.seized, tracee.options, first);
        if was_early && guest {
            let _ = host_continue(child, 0);
        } else if was_early {
            self.process.tracees.remove(child);
            let _ = host_ptrace(libc::PTRACE_DETACH, child, Arg::NULL);
        }
        child
    }

    /// A tracee's process has executed a program: of its threads this one is left, with another thread's state perhaps.
    fn executed(&self, tid: i32, former: i32) {
        {
            let mut all = lock(&self.process.tracees.all);
            let mut tracee = all.get(&former).or(all.get(&tid)).copied();
            all.retain(|_, other| other.process != tid);
            if let Some(tracee) = &mut tracee {
                (tracee.block, tracee.state) = (0, State::Running);
                all.insert(tid, *tracee);
            }
        }
        let exe = |pid: &str| std::fs::read_link(format!("/proc/{pid}/exe"));
        let is_guest = exe(&tid.to_string()).is_ok_and(|theirs| exe("self").is_ok_and(|own| own == theirs));
        if is_guest {
            let _ = host_continue(tid, 0);
        } else {
            // A program of the host's: nothing that the guest's tracer knows how to trace.
            self.process.tracees.remove(tid);
            let _ = host_ptrace(libc::PTRACE_DETACH, tid, Arg::NULL);
        }
    }
}

/// The stop of a thread that is not waited for yet.
pub(super) fn peek(tid: i32) -> Option<i32> {
    let mut info = RawInfo([0; 128]);
    let options = libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let args = [libc::P_PID.into(), tid.into(), Arg::output(&mut info.0), options.into(), Arg::NULL];
    host::call(libc::SYS_waitid, &args).ok()?;
    (info.signal() != 0).then(|| info.status() << 8 | 0x7f)
}

/// SIGSTOP cannot be caught: the tracee is told of it in another way, to stop where its registers are exact.
fn pass_stop(tid: i32) {
    let told = host_info(tid).is_ok_and(|info| {
        let sent = Message::Stop { code: info.code(), pid: info.pid(), uid: info.uid() }.encode();
        catches_traps(tid) && host_ptrace(libc::PTRACE_SETSIGINFO, tid, Arg::input(&sent.0)).is_ok()
    });
    let _ = host_continue(tid, if told { libc::SIGTRAP } else { 0 });
}

/// Does the process take messages? An instance of the emulator that has just been executed does not yet.
pub(super) fn catches_traps(tid: i32) -> bool {
    let caught = status_line(tid, "SigCgt").and_then(|text| u64::from_str_radix(&text, 16).ok()).unwrap_or(0);
    caught >> (libc::SIGTRAP - 1) & 1 != 0
}
