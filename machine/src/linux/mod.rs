//! Linux user mode: the system calls, signals and processes of a guest, on the host's kernel.
//!
//! A guest thread is a host thread, a guest process a host process, file descriptors are the host's. The principal types:
//!
//! - [`Process`]: what the threads of a guest process share; [`Thread`]: one thread and its run loop.
//! - [`abi::Abi`]: all that differs between guests. [`table::SYSCALLS`]: the handlers by name.
//! - [`host`]: raw system calls and the host's signal handler, the only unsafe code here but for one
//!   instruction, which threads stop at for tracers (`ptrace`).
//!
//! Signals: the guest's dispositions and masks are set on the host as they are, so that the host's kernel does queueing,
//! default actions and the choice of a thread. Only what the guest wants to handle is caught (see [`host::SignalQueue`]).

#![deny(unsafe_code)]

pub mod abi;
mod aio;
mod bpf;
mod confine;
mod core;
pub mod data;
mod descriptors;
mod dirs;
pub mod errno;
mod exec;
pub mod explain;
mod files;
mod fs;
mod futex;
#[allow(unsafe_code)]
pub mod host;
pub mod image;
#[cfg(test)]
mod image_tests;
mod ioctl;
pub mod ipc;
mod keys;
mod legacy;
mod misc;
mod mman;
mod mounts;
mod multiplex;
mod net;
mod netlink;
mod numa;
mod path;
mod poll;
mod proc;
mod process;
mod procfs;
mod ptrace;
mod remote;
pub(crate) mod script;
mod seccomp;
mod siginfo;
mod signal;
pub mod stack;
mod strace;
pub mod table;
pub mod termios;
pub mod thread;
mod time;
mod user;
pub mod vcpu;
pub mod vdso;
pub mod window;

pub(crate) use confine::{knows_call, own_id};
pub use exec::{Handoff, Inherited};
pub(crate) use futex::{SYS_FUTEX_REQUEUE, SYS_FUTEX_WAIT, SYS_FUTEX_WAKE};
pub(crate) use path::Sysroot;
pub use process::{Config, ExecHook, ExitHook, Process, Running};
pub use ptrace::Carried;
pub use thread::Thread;
pub use vcpu::Vcpu;
