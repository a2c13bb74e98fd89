//! placeholder

pub mod elf;
pub mod mem;
