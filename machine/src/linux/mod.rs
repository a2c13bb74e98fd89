//! Linux user mode.

pub mod image;
mod stack;
pub mod vdso;
