//! Which 64-bit registers a region keeps as 32 bits.
//!
//! RV64 and MIPS64 have integers of 32 bits sign-extended in their registers: each operation on such is followed by an extension. Where
//! one of them goes to the next as 32 bits, also through blocks, there is nothing to extend; it is done where 64 bits are wanted, and
//! where registers are written back.

use crate::CompileOptions;
use crate::analysis::SlotSet;
use crate::region::{Region, RegionBlock};
use emu_ir::eval::sign_extend;
use emu_ir::{BinaryOp, Block, ConvertOp, Inst, Slot, Type, Value};

/// Slots that are kept as their lower halves where each block begins: what they hold is the sign extension of it.
pub(crate) fn word_in(region: &Region, options: &CompileOptions) -> Vec<SlotSet> {
    // With precise faults registers are written back all the time.
    let chosen = if options.precise_faults { SlotSet::default() } else { worthwhile(region) };
    let known = |rb: &RegionBlock| {
        let mut words = SlotSet::default();
        if let Some(before) = &rb.before {
            chosen.iter().filter(|slot| before.is_word(*slot)).for_each(|slot| words.insert(slot));
        }
        words
    };
    region.blocks.iter().map(known).collect()
}

/// Is the value the sign extension of a 32-bit integer that has been computed?
pub(crate) fn extended(insts: &[Inst], v: Value) -> Option<Value> {
    let Inst::Convert { op, ty: Type::I64, arg } = insts[v.index()] else { return None };
    let is_word = insts[arg.index()].result() == Some(Type::I32);
    match op {
        ConvertOp::Sext if is_word => Some(arg),
        // Positive.
        ConvertOp::Zext if is_word && shifts_right(insts, arg) => Some(arg),
        _ => None,
    }
}

fn shifts_right(insts: &[Inst], v: Value) -> bool {
    let Inst::Binary { op: BinaryOp::ShrU, args: [_, amount], .. } = insts[v.index()] else { return false };
    matches!(insts[amount.index()], Inst::Const { bits, .. } if bits % 32 != 0)
}

/// Is the value a constant that a word can be?
pub(crate) fn is_small_constant(insts: &[Inst], v: Value) -> bool {
    matches!(insts[v.index()], Inst::Const { ty: Type::I64, bits } if i32::try_from(sign_extend(Type::I64, bits)).is_ok())
}

/// The registers that are given extended words more often than they are wanted with all their bits.
fn worthwhile(region: &Region) -> SlotSet {
    let mut gains = [0i32; 128];
    for rb in &region.blocks {
        let Some(before) = &rb.before else { continue };
        for (slot, gain) in gains_in(&rb.block, |slot| before.is_word(slot)) {
            gains[slot.index()] += gain;
        }
    }
    let mut slots = SlotSet::default();
    (0..128).filter(|i| gains[usize::from(*i)] > 0).for_each(|i| slots.insert(Slot(i)));
    slots
}

/// For slots what is gained in the block by keeping them as words: the extensions that are saved.
fn gains_in(block: &Block, is_word: impl Fn(Slot) -> bool) -> Vec<(Slot, i32)> {
    let insts = &block.insts;
    let (mut word, mut wide) = (vec![false; insts.len()], vec![false; insts.len()]);
    for (i, inst) in insts.iter().enumerate() {
        let v = Value(i as u32);
        let fits = |arg: Value| word[arg.index()] || is_small_constant(insts, arg);
        let is_one = match *inst {
            Inst::Get { ty: Type::I64, slot } => is_word(slot),
            Inst::Binary { op: BinaryOp::And | BinaryOp::Or | BinaryOp::Xor, ty: Type::I64, args } => {
                args.into_iter().all(fits)
            }
            Inst::Select { ty: Type::I64, args, .. } => args.into_iter().all(fits),
            _ => extended(insts, v).is_some(),
        };
        match *inst {
            Inst::Convert { op: ConvertOp::Trunc, .. } | Inst::Set { .. } => {}
            Inst::Store { access, addr, .. } if access.bytes <= 4 => wide[addr.index()] = true,
            Inst::Compare { args, .. } if args.into_iter().all(fits) => {}
            _ if is_one => {}
            _ => inst.args().for_each(|arg| wide[arg.index()] = true),
        }
        word[i] = is_one;
    }
    if let Some(v) = block.term.arg() {
        wide[v.index()] = true;
    }
    let gain = |(i, inst): (usize, &Inst)| match *inst {
        Inst::Get { slot, .. } if word[i] && wide[i] => Some((slot, -1)),
        Inst::Set { slot, value, .. } if word[value.index()] && !wide[value.index()] => {
            let is_copy = matches!(insts[value.index()], Inst::Get { .. });
            Some((slot, i32::from(!is_copy)))
        }
        _ => None,
    };
    insts.iter().enumerate().filter_map(gain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::text::{Names, parse};

    fn gains(body: &str) -> Vec<(Slot, i32)> {
        let text = format!("block 0x10 mode 0x0\ninsn 0x10 len 4\n{body}  jump 0x10\n");
        gains_in(&parse(&text, Names::default()).expect("a block"), |slot| slot.0 < 10)
    }

    const SUM: &str = "  v0 = get.i64 slot1\n  v1 = trunc.i32 v0\n  v2 = add.i32 v1, v1\n  v3 = sext.i64 v2\n";

    #[test]
    fn a_word_that_is_extended_for_its_register_alone_gains() {
        assert_eq!(gains(&format!("{SUM}  set slot2, v3\n")), [(Slot(2), 1)]);
        // Logic of words is logic of their lower halves.
        let both = format!("{SUM}  v4 = get.i64 slot3\n  v5 = xor.i64 v3, v4\n  set slot2, v5\n");
        assert_eq!(gains(&both), [(Slot(2), 1)]);
    }

    #[test]
    fn a_word_of_which_all_bits_are_used_does_not() {
        let address = format!("{SUM}  v4 = load.i64.u8 v3\n  set slot2, v3\n");
        assert_eq!(gains(&address), []);
        assert_eq!(gains("  v0 = get.i64 slot1\n  v1 = load.i64.u8 v0\n  set slot20, v1\n"), [(Slot(1), -1)]);
    }
}
