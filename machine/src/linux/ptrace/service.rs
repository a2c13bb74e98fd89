//! Stops of tracees that the guest does not see must not last until it waits: each of them sends SIGCHLD, which a
//! tracer's emulator always catches.
#![forbid(unsafe_code)]

use super::message::Message;
use super::wait::peek;
use crate::linux::host::{self, Arg, RawInfo};
use crate::linux::process::lock;
use crate::linux::thread::Thread;

impl Thread {
    /// Passes on all stops of the thread's tracees that the guest does not see.
    pub(in crate::linux) fn service(&self) {
        if !self.process.tracees.any() {
            return;
        }
        let all = std::mem::take(&mut *lock(&self.process.tracees.deferred));
        let (mine, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(tid, _)| self.process.tracees.get(*tid).is_none_or(|tracee| tracee.owner == self.tid));
        lock(&self.process.tracees.deferred).extend(others);
        for (tid, mut status) in mine {
            self.is_seen(tid, &mut status);
        }
        for (tid, tracee) in self.process.tracees.of(self.tid) {
            if tracee.state == super::tracer::State::Running {
                self.service_one(tid);
            }
        }
    }

    /// The same for one that may be new.
    fn service_one(&self, tid: i32) {
        while let Some(status) = peek(tid) {
            if self.would_be_seen(tid, &mut status.clone()) {
                return;
            }
            let mut status = 0;
            let args = [tid.into(), Arg::from_mut(&mut status), (libc::WNOHANG | libc::__WALL).into(), Arg::NULL];
            if !host::call(libc::SYS_wait4, &args).is_ok_and(|got| got != 0) || !libc::WIFSTOPPED(status) {
                return;
            }
            self.is_seen(tid, &mut status);
        }
    }

    /// SIGCHLD was caught. False if it told of nothing that the guest sees.
    pub(in crate::linux) fn child_signal(&self, info: &RawInfo) -> bool {
        let trapped = info.code() == libc::CLD_TRAPPED;
        if !trapped && !self.process.tracees.any() {
            return true;
        }
        let owner = self.process.tracees.get(info.pid()).map(|tracee| tracee.owner);
        match owner {
            Some(owner) if owner != self.tid => drop(Message::Look.send(host::pid(), owner)),
            Some(_) => {}
            None if trapped => self.service_one(info.pid()),
            None => {}
        }
        self.service();
        !trapped || any_waitable()
    }
}

/// Is there anything that a wait would tell?
fn any_waitable() -> bool {
    let mut info = RawInfo([0; 128]);
    let options = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let args = [libc::P_ALL.into(), 0.into(), Arg::output(&mut info.0), options.into(), Arg::NULL];
    host::call(libc::SYS_waitid, &args).is_ok() && info.signal() != 0
}
