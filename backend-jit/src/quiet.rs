//! Registers that a region takes to hold no signalling NaNs where it is entered: those that it compares without raising anything, or classifies,
//! as they are. What it loads, or computes itself, is another matter; but constants are mostly in registers long before the loop that
//! compares with them. No program computes with signalling NaNs, and the region looks.

use crate::analysis::SlotSet;
use crate::region::{Region, RegionBlock};
use emu_ir::{Block, ConvertOp, FloatBinaryOp, FloatUnaryOp, Inst, NanRule, Quietness, Slot, Type, Value};

/// Registers by what they should be: the double is no signalling NaN, or the single in the box is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QuietSlots {
    doubles: SlotSet,
    singles: SlotSet,
}

impl QuietSlots {
    /// The registers, with the format that is meant.
    pub(crate) fn iter(self) -> impl Iterator<Item = (Slot, Type)> {
        let singles = self.singles.iter().map(|slot| (slot, Type::F32));
        self.doubles.iter().map(|slot| (slot, Type::F64)).chain(singles)
    }

    fn of(&mut self, ty: Type) -> &mut SlotSet {
        if ty == Type::F32 { &mut self.singles } else { &mut self.doubles }
    }

    fn union(self, other: QuietSlots) -> QuietSlots {
        QuietSlots { doubles: self.doubles.union(other.doubles), singles: self.singles.union(other.singles) }
    }
}

/// Which registers should be so at the region's entry.
pub(crate) fn quiet_at_entry(region: &Region) -> QuietSlots {
    let is_asked = |rb: &RegionBlock| rb.block.insts.iter().any(|inst| asked_of(inst).is_some());
    if region.blocks[region.entry].block.nan != NanRule::Canonical || !region.blocks.iter().any(is_asked) {
        return QuietSlots::default();
    }
    let mut before = vec![QuietSlots::default(); region.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for (i, rb) in region.blocks.iter().enumerate().rev() {
            let after = rb.successors.iter().fold(QuietSlots::default(), |sum, succ| sum.union(before[*succ]));
            let wanted = wanted_before(&rb.block, after);
            changed |= wanted != before[i];
            before[i] = wanted;
        }
    }
    before[region.entry]
}

/// Operands of which the instruction would like to know that they are no signalling NaNs, and their type.
fn asked_of(inst: &Inst) -> Option<(Type, [Value; 2])> {
    match *inst {
        Inst::FloatClass { ty, arg } => Some((ty, [arg, arg])),
        Inst::FloatCompare { quietness: Quietness::Silent, ty, args, .. } => Some((ty, args)),
        _ => None,
    }
}

/// What of the registers is wanted before the block, if `after` is wanted at its end.
fn wanted_before(block: &Block, mut wanted: QuietSlots) -> QuietSlots {
    // Of values: as doubles, or as the singles that they are or that are in their boxes.
    let (mut doubles, mut singles) = (vec![false; block.insts.len()], vec![false; block.insts.len()]);
    for (i, inst) in block.insts.iter().enumerate().rev() {
        if let Some((ty, args)) = asked_of(inst) {
            let values = if ty == Type::F32 { &mut singles } else { &mut doubles };
            args.into_iter().for_each(|arg| values[arg.index()] = true);
        }
        for (ty, values) in [(Type::F32, &mut singles), (Type::F64, &mut doubles)] {
            match *inst {
                Inst::Set { slot, value, .. } => {
                    values[value.index()] |= wanted.of(ty).contains(slot);
                    wanted.of(ty).remove(slot);
                }
                Inst::Get { slot, .. } if values[i] => wanted.of(ty).insert(slot),
                Inst::Convert { op: ConvertOp::Box | ConvertOp::Unbox, arg, .. } if ty == Type::F32 => {
                    values[arg.index()] |= values[i];
                }
                Inst::FloatUnary { op: FloatUnaryOp::Neg | FloatUnaryOp::Abs, arg, .. }
                | Inst::FloatBinary { op: FloatBinaryOp::CopySign, args: [arg, _], .. } => {
                    values[arg.index()] |= values[i];
                }
                _ => {}
            }
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::text::{Names, parse};

    fn wanted(body: &str, after: QuietSlots) -> Vec<(Slot, Type)> {
        let text = format!("block 0x0 mode 0x0\ninsn 0x0 len 4\n{body}  jump 0x4\n");
        wanted_before(&parse(&text, Names::default()).expect("a block"), after).iter().collect()
    }

    #[test]
    fn what_is_classified_is_wanted_where_it_comes_from() {
        let class = "  v0 = get.f64 slot1\n  v1 = unbox.f32 v0\n  v2 = fclass.f32 v1\n  set slot2, v2\n";
        assert_eq!(wanted(class, QuietSlots::default()), [(Slot(1), Type::F32)]);
        let copied = "  v0 = get.f64 slot5\n  v1 = fneg.f64.rne v0\n  set slot6, v1\n";
        let mut after = QuietSlots::default();
        after.doubles.insert(Slot(6));
        assert_eq!(wanted(copied, after), [(Slot(5), Type::F64)]);
        // A sum is none, whatever it is of.
        assert_eq!(wanted(&copied.replace("fneg.f64.rne v0", "fadd.f64.dyn v0, v0"), after), []);
    }

    #[test]
    fn only_silent_comparisons_ask() {
        let compare = "  v0 = get.f64 slot1\n  v1 = get.f64 slot2\n  v2 = fcmpn.lt.f64 v0, v1\n  set slot3, v2\n";
        assert_eq!(wanted(compare, QuietSlots::default()), [(Slot(1), Type::F64), (Slot(2), Type::F64)]);
        assert_eq!(wanted(&compare.replace("fcmpn", "fcmps"), QuietSlots::default()), []);
    }
}
