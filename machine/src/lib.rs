//! placeholder

pub mod elf;
pub mod linux;
pub mod mem;
