//! Linux user mode.

pub mod image;
mod stack;
pub mod vdso;

#[cfg(test)]
mod image_tests;
