//! The MIPS decoder of `emu`: instruction bytes to [`emu_ir::Block`]s, after "MIPS Architecture For Programmers" (volumes I-A and
//! II-A, revisions 5.04 and 6.06).
//!
//! The principal types:
//!
//! - [`Mips`]: a configured guest; implements [`emu_ir::Guest`].
//! - [`Config`]: release, byte order, floating-point modes, read from a name such as `24Kc` or `mips64r6`.
//! - [`table::InsnDef`]: an instruction; [`table::table`] lists all of them, a line each.
//! - [`lower`]: what the instructions mean, a short function each.
//! - [`delay`]: branches and their slots.
//!
//! ```
//! use emu_frontend_mips::{Config, Mips};
//! use emu_ir::{BlockKey, Fault, Fetch, Guest};
//!
//! struct Code(&'static [u16]);
//! impl Fetch for Code {
//!     fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
//!         Ok(self.0[addr as usize / 2])
//!     }
//! }
//! let guest = Mips::new(Config::parse("mips32r2")?);
//! let mut code = Code(&[0x0008, 0x03e0, 0x002a, 0x2402]); // jr $ra; addiu $v0, $zero, 42
//! let block = guest.translate(BlockKey { pc: 0, mode: 0 }, &mut code, 64).unwrap();
//! assert_eq!(block.insn_count(), 2);
//! # Ok::<(), emu_frontend_mips::ConfigError>(())
//! ```
#![forbid(unsafe_code)]

pub mod config;
pub mod delay;
pub mod disasm;
mod exact;
pub mod fcsr;
pub mod fields;
mod index;
pub mod lower;
mod missing;
pub mod regs;
pub mod table;
pub mod translate;

pub use config::{Config, ConfigError, FrMode, Release};

use emu_ir::{Block, BlockKey, CpuState, Fault, Fetch, Guest, HOT_SLOTS, HelperDef, Slot, SlotInfo};
use index::Index;
use std::sync::Arc;
use translate::{Mode, Translator};

/// A MIPS guest.
#[derive(Clone)]
pub struct Mips {
    config: Config,
    index: Arc<Index>,
    slots: Arc<[SlotInfo]>,
}

impl Mips {
    /// A guest with this configuration.
    pub fn new(config: Config) -> Mips {
        Mips { config, index: Arc::new(Index::new(&config)), slots: regs::slots(config.bits()).into() }
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The instruction that `word` is on this guest; `None` if it is reserved.
    pub fn decode(&self, word: u32) -> Option<&'static table::InsnDef> {
        self.index.find(word)
    }

    /// Is the word a branch with a delay slot? An exception reported at one is its slot's (`Cause.BD`), unless it is that
    /// the branch itself is reserved.
    pub fn has_delay_slot(&self, word: u32) -> bool {
        self.decode(word).is_some_and(|def| def.control == table::Control::Delayed)
    }
}

impl Guest for Mips {
    fn name(&self) -> String {
        self.config.to_string()
    }

    fn address_bits(&self) -> u32 {
        self.config.bits()
    }

    fn slots(&self) -> &[SlotInfo] {
        &self.slots
    }

    fn hot_slots(&self) -> [Slot; HOT_SLOTS] {
        regs::HOT
    }

    fn helpers(&self) -> &[HelperDef] {
        exact::HELPERS
    }

    fn mode(&self, cpu: &CpuState) -> u32 {
        let strict = cpu.get(regs::STRICT) != 0 && !self.config.release.is_r6();
        Mode { fr: fcsr::fr_mode(cpu, &self.config), exact: fcsr::needs_exact(cpu), strict }.bits()
    }

    fn translate(&self, key: BlockKey, code: &mut dyn Fetch, max_insns: usize) -> Result<Block, Fault> {
        translate::translate(key, code, max_insns, &self.config, &self.index)
    }

    fn disassemble(&self, pc: u64, code: &mut dyn Fetch) -> Result<(String, u8), Fault> {
        let translator = Translator { config: &self.config, index: &self.index, mode: Mode::from_bits(0) };
        let word = translator.fetch(pc, code)?;
        let text = match self.decode(word) {
            Some(def) => disasm::disassemble(def, word, pc, self.config.bits()),
            None => disasm::unknown(word),
        };
        Ok((text, 4))
    }

    fn missing(&self, word: u32) -> Option<String> {
        let found = |release| Index::new(&Config::new(release)).find(word).map(|def| (def.name, release));
        let elsewhere = Release::all().find_map(found).filter(|_| self.decode(word).is_none());
        let lacking = elsewhere
            .map(|(name, release)| format!("{name} of {}, which {} lacks (see --cpu)", release.name(), self.config));
        let extension = missing::extension(word).map(str::to_owned);
        // Release 6 has given opcodes to other instructions.
        if self.config.release.is_r6() { lacking.or(extension) } else { extension.or(lacking) }
    }
}
