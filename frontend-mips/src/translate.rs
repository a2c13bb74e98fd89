//! From bytes to a block.

use crate::config::{Config, FrMode};
use crate::delay;
use crate::disasm;
use crate::fields::Word;
use crate::index::Index;
use crate::lower::load_store::{self, Pair};
use crate::lower::{Flow, Lower};
use crate::table::InsnDef;
use emu_ir::{
    AccessKind, Block, BlockKey, Builder, Fault, FaultCause, Fetch, JumpKind, NanRule, Terminator, TrapKind, reserve,
};

/// Blocks end with their page, so that what is known about a page's code is known about the block's. Only a delay
/// slot reaches into the next page.
const PAGE: u64 = 4096;

/// Mode bits: what in the state of the floating-point unit changes what instructions mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// The layout of the registers.
    pub fr: FrMode,
    /// Are exceptions enabled, or small numbers flushed to zero? Then each instruction is computed by `exact`.
    pub exact: bool,
    /// Are misaligned accesses errors?
    pub strict: bool,
}

impl Mode {
    const FR_BITS: [FrMode; 3] = [FrMode::Pairs, FrMode::Wide, FrMode::Emulated];
    const EXACT: u32 = 4;
    const STRICT: u32 = 8;

    /// As a [`BlockKey`] carries it.
    pub fn bits(self) -> u32 {
        let fr = Mode::FR_BITS.iter().position(|fr| *fr == self.fr).unwrap_or_default();
        fr as u32 | if self.exact { Mode::EXACT } else { 0 } | if self.strict { Mode::STRICT } else { 0 }
    }

    /// The inverse.
    pub fn from_bits(bits: u32) -> Mode {
        let fr = Mode::FR_BITS[(bits as usize & 3).min(2)];
        Mode { fr, exact: bits & Mode::EXACT != 0, strict: bits & Mode::STRICT != 0 }
    }
}

/// How words become instructions, for one block.
pub(crate) struct Translator<'a> {
    pub(crate) config: &'a Config,
    pub(crate) index: &'a Index,
    pub(crate) mode: Mode,
}

impl Translator<'_> {
    /// The ones that an address may have.
    pub(crate) fn address_mask(&self) -> u64 {
        u64::MAX >> (64 - self.config.bits())
    }

    /// The instruction word at `pc`.
    ///
    /// # Errors
    /// The fault of the half that cannot be read. An address that is no multiple of 4 is one.
    pub(crate) fn fetch(&self, pc: u64, code: &mut dyn Fetch) -> Result<u32, Fault> {
        if pc & 3 != 0 {
            return Err(Fault { addr: pc, access: AccessKind::Execute, cause: FaultCause::Misaligned });
        }
        let word = code.fetch32(pc)?;
        Ok(if self.config.big_endian { word.swap_bytes() } else { word })
    }

    /// The unaligned access that the instruction at `pc` makes together with the next one, if that lies on the same page.
    fn unaligned_pair(&self, def: &InsnDef, word: u32, pc: u64, code: &mut dyn Fetch) -> Option<Pair> {
        let next = pc.wrapping_add(4) & self.address_mask();
        if !matches!(def.name, "lwl" | "lwr" | "ldl" | "ldr" | "swl" | "swr" | "sdl" | "sdr")
            || next / PAGE != pc / PAGE
        {
            return None;
        }
        let other = self.fetch(next, code).ok()?;
        load_store::pair((def.name, Word(word)), (self.find(other)?.name, Word(other)), self.config.big_endian)
    }

    pub(crate) fn find(&self, word: u32) -> Option<&'static InsnDef> {
        self.index.find(word)
    }

    /// Appends the meaning of one instruction.
    pub(crate) fn lower(&self, t: &mut Lower, def: &InsnDef, word: u32) -> Flow {
        let w = Word(word);
        if self.mode.fr == FrMode::Pairs && (def.wide_fpu || splits_pair(def, word)) {
            return Flow::Illegal;
        }
        if def.raises { crate::exact::lower(t, def, w, self.mode) } else { (def.lower)(t, w) }
    }
}

/// Is a double named by an odd register? With `FR` = 0 that is unpredictable; processors take it as reserved.
fn splits_pair(def: &InsnDef, word: u32) -> bool {
    disasm::operands(def).any(|o| o.kind == disasm::Kind::Double && o.field.get(word) & 1 != 0)
}

/// Which NaN rule the configuration asks for.
pub(crate) fn nan_rule(config: &Config) -> NanRule {
    if config.nan2008 { NanRule::Propagate } else { NanRule::Legacy }
}

/// Translates from `key.pc` on; see [`emu_ir::Guest::translate`].
pub(crate) fn translate(
    key: BlockKey,
    code: &mut dyn Fetch,
    max_insns: usize,
    config: &Config,
    index: &Index,
) -> Result<Block, Fault> {
    let decode = |key, code: &mut dyn Fetch, max_insns| translate_by(key, code, max_insns, config, index, None);
    translate_by(key, code, max_insns, config, index, Some(&decode))
}

/// The same; `ahead` translates what is looked at behind a load-linked ([`reserve`]), where that is to be done.
fn translate_by(
    key: BlockKey,
    code: &mut dyn Fetch,
    max_insns: usize,
    config: &Config,
    index: &Index,
    ahead: Option<&reserve::Decode<'_>>,
) -> Result<Block, Fault> {
    let translator = Translator { config, index, mode: Mode::from_bits(key.mode) };
    let mut builder = Builder::new(key);
    builder.set_nan_rule(nan_rule(config));
    let mut t = Lower::new(builder, config, translator.mode);
    let mut pc = key.pc;
    loop {
        let word = match translator.fetch(pc, code) {
            Err(fault) if pc == key.pc => return Err(fault),
            Err(_) => break,
            Ok(word) => word,
        };
        let def = translator.find(word);
        let slot = match def.map(|def| delay::fetch_slot(&translator, code, pc, def)).transpose() {
            Err(fault) if pc == key.pc => return Err(fault),
            Err(_) => break,
            Ok(slot) => slot.flatten(),
        };
        let before = t.ir.insn_count();
        t.begin(pc);
        let room = t.ir.insn_count() < max_insns;
        let pair = def.filter(|_| room).and_then(|def| translator.unaligned_pair(def, word, pc, code));
        let flow = match (pair, def) {
            (Some(pair), _) => load_store::access_pair(&mut t, pair),
            (None, Some(def)) => translator.lower(&mut t, def, word),
            (None, None) => Flow::Illegal,
        };
        match flow {
            Flow::Next => pc = t.pc_plus(4),
            Flow::End(term) => return Ok(t.ir.finish(term)),
            Flow::Branch(branch) => {
                let term = delay::finish(&translator, &mut t, branch, slot);
                if let (Some(reserved), Some(decode)) = (t.ir.take_reserved(), ahead)
                    && reserve::look_ahead(&mut t.ir, reserved, &term.targets(), code, decode)
                    && before > 0
                {
                    return translate_by(key, code, before, config, index, ahead);
                }
                return Ok(t.ir.finish(term));
            }
            Flow::Illegal => {
                return Ok(t.ir.finish(Terminator::Trap { kind: TrapKind::IllegalInstruction { word } }));
            }
        }
        if let (Some(reserved), Some(decode)) = (t.ir.take_reserved(), ahead)
            && reserve::look_ahead(&mut t.ir, reserved, &[pc], code, decode)
        {
            // It is a block of its own.
            if before > 0 {
                return translate_by(key, code, before, config, index, ahead);
            }
            break;
        }
        if t.ir.insn_count() >= max_insns || pc / PAGE != key.pc / PAGE {
            break;
        }
    }
    Ok(t.ir.finish(Terminator::Jump { target: pc, kind: JumpKind::Plain }))
}
