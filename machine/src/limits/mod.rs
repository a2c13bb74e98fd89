//! Limits of a run: of all processes that a program and its children are.
//!
//! - [`Session`]: a page of memory that they share, with the fuel that is left, the processes there are, and why the run ends.
//! - [`supervise`]: the process above them, which ends them all.
//!
//! What a process may do for itself (memory, sizes of files) are resource limits of `setrlimit`, set at the start.
#![forbid(unsafe_code)]

mod session;
mod supervisor;

pub use session::{MAX_PROCESSES, Session};
pub use supervisor::supervise;

use crate::linux::host::{self, Arg};
use std::time::Duration;

/// What a run may use; `None` is as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunLimits {
    /// Guest instructions, of all processes together.
    pub fuel: Option<u64>,
    /// Time from the start to the end of the last process.
    pub timeout: Option<Duration>,
    /// Processes and threads at one time.
    pub processes: Option<u64>,
    /// Bytes of memory that a process may write and that no file is behind (`RLIMIT_DATA`, and shared memory).
    pub memory: Option<u64>,
    /// Bytes that a file may grow to (`RLIMIT_FSIZE`).
    pub file_size: Option<u64>,
}

impl RunLimits {
    /// Sets, in the first process, what the others inherit from the host's kernel; `RLIMIT_AS` and `RLIMIT_DATA` if they are to be
    /// others than the host's.
    pub(crate) fn begin(&self) -> Option<[[u64; 2]; 2]> {
        if let Some(size) = self.file_size {
            lower(libc::RLIMIT_FSIZE as i32, size);
        }
        let data = self.memory?;
        let [all, own] = [libc::RLIMIT_AS, libc::RLIMIT_DATA].map(|resource| limit(resource as i32));
        Some([all, own.map(|limit| limit.min(data))])
    }

    /// Do the processes have to know of each other, and somebody of them all?
    pub fn need_supervision(&self) -> bool {
        self.fuel.is_some() || self.timeout.is_some() || self.processes.is_some()
    }
}

/// The host's limit, soft and hard.
fn limit(resource: i32) -> [u64; 2] {
    let mut limit = [u64::MAX; 2];
    // Without an answer there is none.
    let _ = host::call(libc::SYS_prlimit64, &[0.into(), resource.into(), Arg::NULL, Arg::from_mut(&mut limit)]);
    limit
}

/// Lowers the host's limit.
fn lower(resource: i32, to: u64) {
    let new = limit(resource).map(|limit| limit.min(to));
    let _ = host::call(libc::SYS_prlimit64, &[0.into(), resource.into(), Arg::from_ref(&new), Arg::NULL]);
}
