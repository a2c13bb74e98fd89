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
    /// Do the processes have to know of each other, and somebody of them all?
    pub fn need_supervision(&self) -> bool {
        self.fuel.is_some() || self.timeout.is_some() || self.processes.is_some()
    }
}
