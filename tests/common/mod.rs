//! What the integration tests share: guests in memory with every engine, random programs, ELF images for QEMU.
#![allow(dead_code, unreachable_pub)]

pub mod asm;
pub mod bytewise;
pub mod elf;
pub mod image;
pub mod machine;
pub mod mips;
pub mod mips_image;
pub mod program;
pub mod qemu;
pub mod random;
pub mod state;

use emu_frontend_riscv::{Config, Riscv};
use std::sync::Arc;

/// A guest from an ISA string.
pub fn guest(isa: &str) -> Arc<Riscv> {
    Arc::new(Riscv::new(Config::parse(isa).unwrap_or_else(|e| panic!("{e}"))))
}

/// A number from the environment, decimal or 0x….
pub fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    Some(parsed.unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
