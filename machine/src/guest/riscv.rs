//! RISC-V.

use super::{Choice, GuestError};
use crate::elf::Image;
use crate::linux::abi::riscv::Riscv as RiscvAbi;
use emu_frontend_riscv::{Config, ExtSet, Riscv};
use emu_ir::Guest;
use std::sync::Arc;

/// What Linux gives a program: with sv32 up to the fixed mappings, with sv39 the lower half.
const TASK_SIZE_32: u64 = 0x9fc0_0000;
const TASK_SIZE_64: u64 = 1 << 38;

fn config_for(image: &Image, cpu: Option<&str>) -> Result<Config, GuestError> {
    let program = 8 * image.class.word() as u32;
    let config = cpu.map_or(Ok(Config::max(program)), Config::parse)?;
    if config.xlen != program {
        return Err(GuestError::Width { name: cpu.unwrap_or_default().to_owned(), cpu: config.xlen, program });
    }
    Ok(config)
}

pub(super) fn choose(image: &Image, cpu: Option<&str>) -> Result<Choice, GuestError> {
    let config = config_for(image, cpu)?;
    let (xlen, hwcap) = (config.xlen, hwcap(&config));
    Ok(Choice {
        guest: Arc::new(Riscv::new(config)),
        abi: Arc::new(RiscvAbi { xlen }),
        hwcap,
        base_platform: None,
        task_size: if xlen == 32 { TASK_SIZE_32 } else { TASK_SIZE_64 },
    })
}

pub(super) fn named(name: &str) -> Result<Arc<dyn Guest>, String> {
    Ok(Arc::new(Riscv::new(Config::parse(name).map_err(|e| e.to_string())?)))
}

/// AT_HWCAP, as Linux has it on such a hart: bit `n` is the extension with the letter `a + n`.
fn hwcap(config: &Config) -> u64 {
    let letters = [('m', ExtSet::M), ('a', ExtSet::A), ('f', ExtSet::F), ('d', ExtSet::D), ('c', ExtSet::ZCA)];
    let has = letters.into_iter().filter(|(_, set)| config.has(*set)).map(|(letter, _)| letter);
    std::iter::once('i').chain(has).fold(0, |bits, letter| bits | 1 << (letter as u8 - b'a'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::ProgramFile;
    use std::path::Path;

    fn hello() -> Image {
        ProgramFile::open(Path::new("../examples/hello")).unwrap().image
    }

    #[test]
    fn the_width_is_the_programs() {
        assert_eq!(config_for(&hello(), None).unwrap(), Config::max(64));
        assert_eq!(choose(&hello(), Some("rv64gc")).unwrap_or_else(|e| panic!("{e}")).guest.name(), "rv64gc");
        let error = config_for(&hello(), Some("rv32gc")).err().unwrap();
        assert_eq!(error.to_string(), "--cpu rv32gc has 32 bits, the program 64");
    }

    #[test]
    fn hwcap_has_a_bit_a_letter() {
        assert_eq!(hwcap(&Config::max(64)), 0x112d);
        assert_eq!(hwcap(&Config::parse("rv64ima").unwrap()), 0x1101);
    }
}
