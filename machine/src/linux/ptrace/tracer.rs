//! The tracer's side: whom the threads of a process trace, and how they are let go on.
#![forbid(unsafe_code)]

use super::block::{self, Snapshot, kind, request, word};
use super::{action, option};
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg, RawInfo};
use crate::linux::process::lock;
use crate::linux::thread::Thread;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The tracees of a process's threads.
#[derive(Debug, Default)]
pub(in crate::linux) struct Tracees {
    pub(super) all: Mutex<BTreeMap<i32, Tracee>>,
    /// Stops of tracees that another thread than their tracer was told of.
    pub(super) deferred: Mutex<Vec<(i32, i32)>>,
    /// Files that tracees have made, by thread and place in `procfs`'s list, until one goes on. The signals that come of
    /// asking a tracee keep a call that may wait from beginning: when it is made again, the answer has to be here.
    pub(super) files: Mutex<BTreeMap<(i32, usize), Vec<u8>>>,
    /// There were some.
    any: AtomicBool,
}

/// A thread that is traced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracee {
    /// The thread that traces it.
    pub(super) owner: i32,
    /// Its process.
    pub(super) process: i32,
    /// Where its block is, or 0 if that is not known yet.
    pub(super) block: u64,
    pub(super) options: u64,
    pub(super) seized: bool,
    pub(super) state: State,
    /// It was interrupted before its block was known.
    pub(super) interrupt: bool,
    pub(super) first: First,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// In a stop that the guest's tracer sees, at the breakpoint.
    Stopped,
    /// The same, in the host's stop for a vfork.
    Event,
}

/// What becomes of the stop that the host begins a new child with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// It is over.
    Past,
    /// It is passed on.
    Pass,
    /// The child is a thread of the emulator: it is let go.
    Release,
    /// It has come before the parent's event that says what the child is.
    Early,
}

impl Tracees {
    /// Does a thread of the process trace anyone, or did one?
    pub(in crate::linux) fn any(&self) -> bool {
        self.any.load(Ordering::SeqCst)
    }

    /// After a fork: nobody.
    pub(in crate::linux) fn clear(&self) {
        lock(&self.all).clear();
        lock(&self.deferred).clear();
        self.any.store(false, Ordering::SeqCst);
    }

    /// Keeps others out, for a fork.
    pub(in crate::linux) fn hold(&self) -> impl Sized + '_ {
        (lock(&self.all), lock(&self.deferred), lock(&self.files))
    }

    /// A thread has ended: the host lets its tracees go.
    pub(in crate::linux) fn release(&self, owner: i32) {
        lock(&self.all).retain(|_, tracee| tracee.owner != owner);
    }

    pub(super) fn get(&self, tid: i32) -> Option<Tracee> {
        lock(&self.all).get(&tid).copied()
    }

    pub(super) fn change(&self, tid: i32, change: impl FnOnce(&mut Tracee)) {
        if let Some(tracee) = lock(&self.all).get_mut(&tid) {
            change(tracee);
        }
    }

    pub(super) fn remove(&self, tid: i32) -> Option<Tracee> {
        lock(&self.all).remove(&tid)
    }

    /// The tracees of a thread.
    pub(super) fn of(&self, owner: i32) -> Vec<(i32, Tracee)> {
        lock(&self.all)
            .iter()
            .filter(|(_, tracee)| tracee.owner == owner)
            .map(|(tid, tracee)| (*tid, *tracee))
            .collect()
    }
}

/// A request to the host's ptrace.
pub(super) fn host_ptrace(request: u32, tid: i32, data: Arg<'_>) -> Result<(), Errno> {
    host::call(libc::SYS_ptrace, &[i64::from(request).into(), tid.into(), Arg::NULL, data]).map(drop)
}

/// The siginfo of a stop; `ESRCH` if the thread is not a stopped tracee of the caller's.
pub(super) fn host_info(tid: i32) -> Result<RawInfo, Errno> {
    let mut info = RawInfo([0; 128]);
    host_ptrace(libc::PTRACE_GETSIGINFO, tid, Arg::output(&mut info.0))?;
    Ok(info)
}

/// A stopped thread goes on on the host.
pub(super) fn host_continue(tid: i32, signal: i32) -> Result<(), Errno> {
    host_ptrace(libc::PTRACE_CONT, tid, signal.into())
}

/// A line of `/proc/TID/status`.
pub(super) fn status_line(tid: i32, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_string())
}

/// The host's options for a guest's.
pub(super) fn host_options(options: u64) -> u64 {
    let children = option::FORK | option::VFORK | option::CLONE;
    // Which children are traced, the tracee says.
    let children = if options & children != 0 { children } else { 0 };
    children | option::EXEC | options & option::EXIT_KILL
}

impl Thread {
    /// The thread is the calling thread's tracee from now on.
    pub(super) fn add_tracee(&self, tid: i32, seized: bool, options: u64, first: First) {
        let process = status_line(tid, "Tgid").and_then(|text| text.parse().ok()).unwrap_or(tid);
        let tracee = Tracee {
            owner: self.tid,
            process,
            block: 0,
            options,
            seized,
            state: State::Running,
            interrupt: false,
            first,
        };
        lock(&self.process.tracees.all).insert(tid, tracee);
        if !self.process.tracees.any.swap(true, Ordering::SeqCst) {
            lock(&self.process.signals).set_tracer();
            self.set_host_mask();
        }
    }

    /// A tracee of the calling thread in a stop that the guest sees, and its block.
    pub(super) fn stopped_tracee(&self, tid: i32) -> Result<(Tracee, Snapshot), Errno> {
        let own = |t: &Thread| t.process.tracees.get(tid).filter(|tracee| tracee.owner == t.tid).ok_or(Errno::ESRCH);
        if own(self)?.state == State::Running {
            // It may have stopped without having been waited for.
            self.notice_stop(tid);
        }
        let tracee = own(self)?;
        if tracee.state == State::Running {
            return Err(Errno::ESRCH);
        }
        let snapshot = Snapshot::read(tid, tracee.block).map_err(|_| Errno::ESRCH)?;
        Ok((tracee, snapshot))
    }

    /// Lets a tracee go on that is in a stop of the guest's.
    pub(super) fn resume_tracee(&self, tid: i32, tracee: &Tracee, action: u64, signal: i32) -> Result<(), Errno> {
        lock(&self.process.tracees.files).clear();
        let words = [1, action, signal as u64, host::pid() as u64];
        block::write(tid, tracee.block, word::SEEN, &words).map_err(|_| Errno::ESRCH)?;
        if action == action::DETACH {
            self.process.tracees.remove(tid);
            return host_ptrace(libc::PTRACE_DETACH, tid, Arg::NULL);
        }
        self.process.tracees.change(tid, |tracee| tracee.state = State::Running);
        host_continue(tid, 0)
    }

    /// Has a tracee that is stopped at the breakpoint do something, and waits until it has. The block says what came of it.
    pub(super) fn ask_tracee(&self, tid: i32, tracee: &Tracee, request: [u64; 3]) -> Result<Snapshot, Errno> {
        block::write(tid, tracee.block, word::REQUEST, &request).map_err(|_| Errno::ESRCH)?;
        host_continue(tid, 0)?;
        for round in 0.. {
            let mut status = 0;
            let flags = libc::__WALL | libc::WNOHANG;
            let args = [tid.into(), Arg::from_mut(&mut status), flags.into(), Arg::NULL];
            match host::call(libc::SYS_wait4, &args)? {
                0 => {}
                _ if !libc::WIFSTOPPED(status) => {
                    self.process.tracees.remove(tid);
                    return Err(Errno::ESRCH);
                }
                _ if super::wait::stop_block(tid, status).is_some() => break,
                _ => self.pass_on(tid, status),
            }
            // What it waits for may be held by another tracee, in a stop of the emulator's own.
            self.service();
            match round {
                0..100 => drop(host::call(libc::SYS_sched_yield, &[])),
                _ => std::thread::sleep(Duration::from_micros(100)),
            }
        }
        Snapshot::read(tid, tracee.block).map_err(|_| Errno::ESRCH)
    }

    /// Code of a tracee's has been changed from outside: it is translated anew.
    pub(super) fn forget_tracee_code(
        &self,
        tid: i32,
        tracee: &Tracee,
        snapshot: &Snapshot,
        at: u64,
        len: u64,
    ) -> Result<(), Errno> {
        let Range { start, end } = super::memory::whole_pages(at, len);
        if snapshot.get(word::KIND) == kind::EVENT {
            // It cannot do anything now, and does it when it goes on.
            let old = snapshot.get(word::STALE)..snapshot.get(word::STALE_END);
            let all = if old.is_empty() { [start, end] } else { [old.start.min(start), old.end.max(end)] };
            return block::write(tid, tracee.block, word::STALE, &all);
        }
        self.ask_tracee(tid, tracee, [request::INVALIDATE, start, end]).map(drop)
    }
}
