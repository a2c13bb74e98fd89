//! The sandbox in the handlers of system calls: what a guest may do by the [`Policy`], on its own view of files and processes.
//!
//! - `calls`: which calls are made at all, and what they want of the files they name.
//! - `paths`: names become descriptors, and the descriptor's file is judged: what a link or another thread changes in between cannot
//!   lead elsewhere.
//! - `processes`: who may be signalled; `net`: whom sockets may reach.
//!
//! What a guest may not see is not there (`ENOENT`, `ESRCH`), what it may see and not change is `EACCES`, what it may not do `EPERM`.
#![forbid(unsafe_code)]

mod calls;
mod net;
mod paths;
mod processes;

pub(super) use calls::Gate;
pub(crate) use calls::knows_call;
pub(super) use net::Peer;
pub(super) use paths::access_of;
pub(crate) use processes::own_id;

use super::errno::Errno;
use super::host;
use super::process::lock;
use super::thread::Thread;
use crate::sandbox::Policy;
use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard};

/// What is wanted of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Access {
    /// To know that it is there, and to pass through.
    Look,
    /// To read it, or execute it.
    #[default]
    Read,
    /// To change it, or what is known of it.
    Write,
    /// To change it, or make it if it is not there.
    Make,
}

impl Access {
    /// Is it more than to read?
    fn changes(self) -> bool {
        matches!(self, Access::Write | Access::Make)
    }
}

/// The sandbox of a process.
#[derive(Debug)]
pub(super) struct Confined {
    pub(super) policy: Policy,
    /// Descriptors of ours that a call under way uses: the guest must not put others in their place.
    held: Arc<Mutex<HashSet<i32>>>,
}

impl Confined {
    pub(super) fn new(policy: Policy) -> Confined {
        Confined { policy, held: Arc::default() }
    }

    /// Keeps the set of descriptors as it is, across fork(2).
    pub(super) fn lock_for_fork(&self) -> MutexGuard<'_, HashSet<i32>> {
        lock(&self.held)
    }
}

/// Descriptors of ours have numbers from here on, below the usual limit of 1024.
const HELD_FROM: i32 = 960;

/// A descriptor of ours, until the system call is over.
#[derive(Debug)]
pub(super) struct Held {
    file: Option<File>,
    held: Arc<Mutex<HashSet<i32>>>,
}

impl Held {
    /// Runs `open`, which makes a descriptor, and holds that; out of the way, for the guest's own next one has to be the lowest.
    fn new(confined: &Confined, open: impl FnOnce() -> Result<u64, Errno>) -> Result<Held, Errno> {
        let mut held = lock(&confined.held);
        let opened = open()?;
        let moved = host::call(libc::SYS_fcntl, &[opened.into(), libc::F_DUPFD_CLOEXEC.into(), HELD_FROM.into()]);
        // Where the limit is lower it stays where it is.
        if moved.is_ok() {
            let _ = host::call(libc::SYS_close, &[opened.into()]);
        }
        let fd = moved.unwrap_or(opened) as i32;
        held.insert(fd);
        Ok(Held { file: Some(host::own_file(fd)), held: Arc::clone(&confined.held) })
    }

    fn fd(&self) -> i32 {
        self.file.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.remove(&self.fd());
        drop(self.file.take());
    }
}

impl Thread {
    /// The sandbox, if there is one.
    pub(super) fn confined(&self) -> Option<&Arc<Confined>> {
        self.process.confined.as_ref()
    }
}
