//! The guests there are: which processor and which ABI a program is for. Everything else takes them as traits.
#![forbid(unsafe_code)]

mod mips;
mod riscv;

use crate::elf::{Image, Machine};
use crate::linux::abi::Abi;
use crate::mem::GuestMemory;
use emu_ir::Guest;
use std::io;
use std::sync::Arc;

/// All that determines the machine that a program runs on.
pub struct Choice {
    /// The processor.
    pub guest: Arc<dyn Guest>,
    /// Linux on it.
    pub abi: Arc<dyn Abi>,
    /// AT_HWCAP.
    pub hwcap: u64,
    /// AT_BASE_PLATFORM, on machines that have it.
    pub base_platform: Option<&'static str>,
    /// The first address that is not a program's.
    task_size: u64,
}

impl Choice {
    /// An empty address space for it.
    ///
    /// # Errors
    /// As [`GuestMemory::with_task_size`].
    pub fn memory(&self) -> io::Result<GuestMemory> {
        GuestMemory::with_task_size(self.guest.address_bits(), self.task_size)
    }
}

/// Why no guest can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum GuestError {
    #[error(transparent)]
    RiscV(#[from] emu_frontend_riscv::ConfigError),
    #[error(transparent)]
    Mips(#[from] emu_frontend_mips::ConfigError),
    #[error("--cpu {name} has {cpu} bits, the program {program}")]
    Width { name: String, cpu: u32, program: u32 },
    #[error("--cpu {name} cannot run the program: {why}")]
    Unfit { name: String, why: &'static str },
    #[error("{0}")]
    Unsupported(String),
}

/// The machine for a program and its interpreter. `cpu` names a processor; by default, or with `max`, it is one with all that
/// is implemented.
///
/// # Errors
/// If there is no such processor, or the program cannot run on it.
pub fn choose(image: &Image, interpreter: Option<&Image>, cpu: Option<&str>) -> Result<Choice, GuestError> {
    if let Some(why) = image.unsupported() {
        return Err(GuestError::Unsupported(why));
    }
    let cpu = cpu.filter(|name| *name != "max");
    match image.machine {
        Machine::RiscV => riscv::choose(image, cpu),
        Machine::Mips => mips::choose(image, interpreter, cpu),
        Machine::Other(_) => unreachable!("not supported"),
    }
}

/// The processor that [`Guest::name`] names.
///
/// # Errors
/// A line, if there is none.
pub fn named(name: &str) -> Result<Arc<dyn Guest>, String> {
    if name.starts_with("rv") { riscv::named(name) } else { mips::named(name) }
}
