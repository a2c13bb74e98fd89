//! Everything of `emu` that has a host: guest memory, ELF files, the engine that runs guest code, and Linux user mode.
//!
//! The principal types:
//!
//! - [`run::run_program`]: from a file to a running guest process.
//! - [`elf::Image`] and [`program::ProgramFile`]: an ELF file, checked.
//! - [`mem::GuestMemory`]: the guest's address space.
//! - [`engine::Engine`]: translations of a guest program, and [`engine::EngineVcpu`], a hart that runs them.
//! - [`diff`]: `emu diff`, a run that checks compiled code against the interpreter.
//! - [`limits`]: what a run may use.
//! - [`linux::Process`] and [`linux::Thread`]: the guest as the host's kernel sees it.

pub mod diff;
pub mod disasm;
pub mod elf;
pub mod engine;
pub mod guest;
pub mod limits;
pub mod linux;
pub mod mem;
pub mod program;
pub mod run;
pub mod sandbox;
mod start;

pub use emu_ir as ir;
