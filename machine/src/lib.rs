//! placeholder

pub mod disasm;
pub mod elf;
pub mod linux;
pub mod mem;
pub mod program;
