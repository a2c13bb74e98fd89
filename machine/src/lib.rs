//! Everything of `emu` that has a host: guest memory, ELF loading, the engine that runs guest code, and Linux user mode.

pub mod disasm;
pub mod elf;
pub mod engine;
pub mod linux;
pub mod mem;
pub mod program;
