//! The RISC-V decoder of `emu`: instruction bytes to [`emu_ir::Block`]s, after the unprivileged ISA manual
//! (version 20240411).
//!
//! The principal types:
//!
//! - [`Riscv`]: a configured guest; implements [`emu_ir::Guest`].
//! - [`Config`]: XLEN and extensions, read from an ISA string.
//! - [`table::InsnDef`]: an instruction; [`table::table`] lists all of them, a line each.
//! - [`lower`]: what the instructions mean, a short function each.
//!
//! ```
//! use emu_frontend_riscv::{Config, Riscv};
//! use emu_ir::{BlockKey, Fault, Fetch, Guest};
//!
//! struct Code(&'static [u16]);
//! impl Fetch for Code {
//!     fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
//!         Ok(self.0[addr as usize / 2])
//!     }
//! }
//! let guest = Riscv::new(Config::parse("rv64gc")?);
//! let mut code = Code(&[0x0513, 0x02a0, 0x0073, 0x0000]); // addi a0, zero, 42; ecall
//! let block = guest.translate(BlockKey { pc: 0, mode: 0 }, &mut code, 64).unwrap();
//! assert_eq!(block.insn_count(), 2);
//! # Ok::<(), emu_frontend_riscv::ConfigError>(())
//! ```
#![forbid(unsafe_code)]

pub mod config;
pub mod csr;
pub mod disasm;
pub mod fields;
mod index;
pub mod lower;
mod missing;
pub mod regs;
pub mod table;
pub mod translate;

pub use config::{Config, ConfigError, ExtSet};

use emu_ir::{Block, BlockKey, CpuState, Fault, Fetch, Guest, HOT_SLOTS, HelperDef, Slot, SlotInfo};
use index::Index;
use std::sync::Arc;

/// A RISC-V guest.
#[derive(Clone)]
pub struct Riscv {
    config: Config,
    index: Arc<Index>,
    slots: Arc<[SlotInfo]>,
}

impl Riscv {
    /// A guest with this configuration.
    pub fn new(config: Config) -> Riscv {
        let float = config.has(ExtSet::F);
        Riscv { config, index: Arc::new(Index::new(&config)), slots: regs::slots(config.xlen, float).into() }
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The instruction that `word` is on this guest; `None` if it is illegal.
    pub fn decode(&self, word: u32) -> Option<&'static table::InsnDef> {
        self.index.find(word)
    }
}

impl Guest for Riscv {
    fn name(&self) -> String {
        self.config.to_string()
    }

    fn address_bits(&self) -> u32 {
        self.config.xlen
    }

    fn slots(&self) -> &[SlotInfo] {
        &self.slots
    }

    fn hot_slots(&self) -> [Slot; HOT_SLOTS] {
        regs::HOT
    }

    fn helpers(&self) -> &[HelperDef] {
        csr::HELPERS
    }

    fn mode(&self, cpu: &CpuState) -> u32 {
        translate::mode::of_frm(cpu.fp_round)
    }

    fn translate(&self, key: BlockKey, code: &mut dyn Fetch, max_insns: usize) -> Result<Block, Fault> {
        translate::translate(key, code, max_insns, &self.config, &self.index)
    }

    fn disassemble(&self, pc: u64, code: &mut dyn Fetch) -> Result<(String, u8), Fault> {
        let (word, len) = translate::fetch(pc, code, &self.config)?;
        let text = match self.decode(word) {
            Some(def) => disasm::disassemble(def, word, pc, self.config.xlen),
            None => disasm::unknown(word, len),
        };
        Ok((text, len))
    }

    fn missing(&self, word: u32) -> Option<String> {
        let here = |_: &&table::InsnDef| self.decode(word).is_none();
        let elsewhere = Index::new(&Config::max(self.config.xlen)).find(word).filter(here);
        let lacking = elsewhere.map(|def| format!("{}, which {} lacks (see --cpu)", def.name, self.config));
        lacking.or_else(|| missing::extension(word).map(str::to_owned))
    }
}
