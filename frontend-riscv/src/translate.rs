//! From bytes to a block.

use crate::config::Config;
use crate::fields::Word;
use crate::index::{Index, is_long};
use crate::lower::{Flow, Lower};
use crate::table::Action;
use emu_ir::{Block, BlockKey, Builder, Fault, Fetch, JumpKind, Terminator, TrapKind, reserve};

/// Blocks end with their page, so that what is known about a page's code is known about the block's. Only an
/// instruction that itself reaches into the next page does.
const PAGE: u64 = 4096;

/// Modes: what the dynamic rounding mode `frm` holds.
pub mod mode {
    use emu_ir::Round;

    /// To nearest, ties to even (0). V8, Go and OpenJDK name this mode in each instruction, where C compilers say "dynamic": here both
    /// are [`Round::Dynamic`], and the host rounds as it always does.
    pub const NEAREST: u32 = 0;
    /// To nearest, ties away from zero (4): `Round::Dynamic` is translated to that mode.
    pub const NEAREST_AWAY: u32 = 1;
    /// A reserved value (5 to 7): instructions with the dynamic rounding mode are illegal.
    pub const RESERVED: u32 = 2;
    /// Another mode that the host rounds in (1 to 3).
    pub const DIRECTED: u32 = 3;

    /// The mode for a value of `frm`.
    pub fn of_frm(frm: u32) -> u32 {
        match frm {
            0 => NEAREST,
            1..=3 => DIRECTED,
            4 => NEAREST_AWAY,
            _ => RESERVED,
        }
    }

    /// How an instruction rounds whose field `rm` holds that. Reserved values never get here.
    pub(crate) fn round(mode: u32, rm: u32) -> Round {
        match (rm, mode) {
            (0, NEAREST) => Round::Dynamic,
            (0, _) => Round::NearestEven,
            (1, _) => Round::TowardZero,
            (2, _) => Round::Down,
            (3, _) => Round::Up,
            (4, _) | (_, NEAREST_AWAY) => Round::NearestAway,
            _ => Round::Dynamic,
        }
    }
}

/// An instruction's bits, zero-extended, and its length in bytes.
///
/// # Errors
/// The fault of the first half that cannot be read.
pub fn fetch(pc: u64, code: &mut dyn Fetch, config: &Config) -> Result<(u32, u8), Fault> {
    // Mostly there are four bytes to be had at once.
    if pc % PAGE <= PAGE - 4
        && let Ok(word) = code.fetch32(pc)
    {
        return Ok(if is_long(word) { (word, 4) } else { (word & 0xffff, 2) });
    }
    let low = u32::from(code.fetch16(pc)?);
    if !is_long(low) {
        return Ok((low, 2));
    }
    let mask = u64::MAX >> (64 - config.xlen);
    let high = u32::from(code.fetch16(pc.wrapping_add(2) & mask)?);
    Ok((high << 16 | low, 4))
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

/// The same; `ahead` translates what is looked at behind a load-reserved ([`reserve`]), where that is to be done.
fn translate_by(
    key: BlockKey,
    code: &mut dyn Fetch,
    max_insns: usize,
    config: &Config,
    index: &Index,
    ahead: Option<&reserve::Decode<'_>>,
) -> Result<Block, Fault> {
    let mut t = Lower::new(Builder::new(key), config);
    let mut pc = key.pc;
    loop {
        let (word, len) = match fetch(pc, code, config) {
            Err(fault) if pc == key.pc => return Err(fault),
            Err(_) => break,
            Ok(found) => found,
        };
        let before = t.ir.insn_count();
        t.begin(pc, len);
        match lower(&mut t, index, word) {
            Flow::Next => pc = t.next_pc(),
            Flow::End(term) => return Ok(t.ir.finish(term)),
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

/// Appends the meaning of one instruction.
fn lower(t: &mut Lower, index: &Index, word: u32) -> Flow {
    let Some(def) = index.find(word) else { return Flow::Illegal };
    let w = Word(word);
    match def.action {
        Action::Lower(_) if def.rounds && w.rm() == 7 && t.mode() == mode::RESERVED => Flow::Illegal,
        Action::Lower(lower) => lower(t, w),
        Action::Expand(expand) => self::lower(t, index, expand(w)),
    }
}
