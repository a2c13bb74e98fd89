//! ptrace(2) between guests.
//!
//! The host's ptrace keeps the relations (who traces whom, events of new children, what `wait4` reports, the tracer's
//! death); what a guest's debugger sees is made here. A thread that stops for its tracer does so in its run loop, where
//! its registers are exact: it fills its [`block`] and executes a breakpoint ([`stop`]), which the tracer's emulator
//! recognises ([`wait`]). All other stops that the host reports are the emulator's own business: the tracer's emulator
//! passes them on unseen, also while its guest is busy with something else ([`service`]).

mod block;
mod events;
mod memory;
mod message;
mod requests;
mod service;
#[allow(unsafe_code)]
pub(super) mod stop;
mod stops;
mod tracee;
mod tracer;
mod wait;

pub(super) use events::Follow;
pub(super) use memory::MemoryFiles;
pub(super) use message::is_message;
pub(super) use requests::ptrace;
pub use stops::Carried;
pub(super) use tracee::{Trace, Traced};
pub(super) use tracer::Tracees;
pub(super) use wait::{wait_for, waitid_for};

/// `PTRACE_O_*`.
mod option {
    pub(super) const SYSGOOD: u64 = 1;
    pub(super) const FORK: u64 = 1 << 1;
    pub(super) const VFORK: u64 = 1 << 2;
    pub(super) const CLONE: u64 = 1 << 3;
    pub(super) const EXEC: u64 = 1 << 4;
    pub(super) const VFORK_DONE: u64 = 1 << 5;
    pub(super) const EXIT: u64 = 1 << 6;
    pub(super) const EXIT_KILL: u64 = 1 << 20;
    /// All that are known (`PTRACE_O_MASK`, but for what only the host's checkpoint tools use).
    pub(super) const ALL: u64 = 0xff | EXIT_KILL;
}

/// `PTRACE_EVENT_*`.
mod event {
    pub(super) const FORK: i32 = 1;
    pub(super) const VFORK: i32 = 2;
    pub(super) const CLONE: i32 = 3;
    pub(super) const EXEC: i32 = 4;
    pub(super) const VFORK_DONE: i32 = 5;
    pub(super) const EXIT: i32 = 6;
    pub(super) const STOP: i32 = 128;
}

/// What a tracer's request makes of a stopped thread.
mod action {
    pub(super) const CONT: u64 = 1;
    pub(super) const SYSCALL: u64 = 2;
    pub(super) const DETACH: u64 = 3;
    pub(super) const LISTEN: u64 = 4;
}
