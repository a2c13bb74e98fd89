//! Which floating-point registers hold singles, so that a region can keep the single alone, in a variable of its own, and make the
//! register's 64 bits only where somebody looks. A single stands under ones on RISC-V ("NaN Boxing of Narrower Values"), under zeros on
//! MIPS in registers of 64 bits (where the manual leaves the upper half open).

use crate::analysis::{SlotSet, forward_on_every_path};
use crate::region::Region;
use emu_ir::{Block, ConvertOp, Inst, NanRule, Slot, Type, Value};

/// What is above the single.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Above {
    Ones,
    Zeros,
}

impl Above {
    /// As guests with such NaNs have it.
    pub(crate) fn of(nan: NanRule) -> Above {
        if nan == NanRule::Canonical { Above::Ones } else { Above::Zeros }
    }

    /// The upper half.
    pub(crate) fn bits(self) -> i64 {
        if self == Above::Ones { -1 } else { 0 }
    }
}

/// What a 64-bit register with a single is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Boxed {
    /// A value of type `F32`.
    Single(Value),
    /// An `I32` with its bits.
    Bits(Value),
}

/// What is boxed, if the value is a register's 64 bits with a single in them.
pub(crate) fn boxed(insts: &[Inst], v: Value, above: Above) -> Option<Boxed> {
    match insts[v.index()] {
        Inst::Convert { op: ConvertOp::Box, arg, .. } => Some(Boxed::Single(arg)),
        Inst::Convert { op: ConvertOp::Bitcast, ty: Type::F64, arg } if above == Above::Zeros => {
            let Inst::Convert { op: ConvertOp::Zext, arg: bits, .. } = insts[arg.index()] else { return None };
            match insts[bits.index()] {
                Inst::Convert { op: ConvertOp::Bitcast, arg: single, .. } => Some(Boxed::Single(single)),
                ref inst => (inst.result() == Some(Type::I32)).then_some(Boxed::Bits(bits)),
            }
        }
        _ => None,
    }
}

/// The 64-bit value of which the 32-bit integer is the lower half of the bits.
pub(crate) fn whole_of_low_bits(insts: &[Inst], low: Value) -> Option<Value> {
    let Inst::Convert { op: ConvertOp::Trunc, ty: Type::I32, arg: bits } = insts[low.index()] else { return None };
    match insts[bits.index()] {
        Inst::Convert { op: ConvertOp::Bitcast, arg, .. } => Some(arg),
        _ => None,
    }
}

/// Slots that hold a boxed single on every path to each block's start.
///
/// At the region's entry those do that are first used as singles there: no program does so with what is none, and the region looks. So do
/// those that are only ever given singles: what they hold before is seldom anything else, and they need not be boxed each time round a loop.
pub(crate) fn single_in(region: &Region) -> Vec<SlotSet> {
    let above = Above::of(region.blocks[region.entry].block.nan);
    let boxes = |block: &Block| (0..block.insts.len()).any(|i| boxed(&block.insts, Value(i as u32), above).is_some());
    if !region.blocks.iter().any(|rb| boxes(&rb.block)) {
        return vec![SlotSet::default(); region.blocks.len()];
    }
    forward_on_every_path(region, singles_at_entry(region, above), |i, singles| {
        single_out(&region.blocks[i].block.insts, above, singles)
    })
}

fn single_out(insts: &[Inst], above: Above, mut singles: SlotSet) -> SlotSet {
    let mut values = vec![false; insts.len()];
    for i in 0..insts.len() {
        values[i] = follow(insts, i, above, &mut singles, |v| values[v.index()]);
    }
    singles
}

/// Is the instruction's result a boxed single? Keeps `singles` up to date; `is_single` tells it of earlier values.
pub(crate) fn follow(
    insts: &[Inst],
    index: usize,
    above: Above,
    singles: &mut SlotSet,
    is_single: impl Fn(Value) -> bool,
) -> bool {
    match insts[index] {
        Inst::Get { slot, .. } => return singles.contains(slot),
        Inst::Set { slot, value, .. } if is_single(value) => singles.insert(slot),
        Inst::Set { slot, .. } => singles.remove(slot),
        _ => {}
    }
    boxed(insts, Value(index as u32), above).is_some()
}

/// How the slots that a block reads before it writes them are used.
#[derive(Clone, Copy, Default)]
struct FirstUses {
    as_singles: SlotSet,
    otherwise: SlotSet,
    /// Read or written.
    touched: SlotSet,
}

/// The slots that are first used as singles on some way from the entry, or only given such; and in no other manner on another.
fn singles_at_entry(region: &Region, above: Above) -> SlotSet {
    let blocks: Vec<FirstUses> = region.blocks.iter().map(|rb| first_uses(&rb.block)).collect();
    let given = given_singles(region, above);
    let mut from = blocks.clone();
    let mut changed = true;
    while changed {
        changed = false;
        for (i, rb) in region.blocks.iter().enumerate().rev() {
            for &succ in &rb.successors {
                let (next, touched) = (from[succ], blocks[i].touched);
                let singles = from[i].as_singles.union(next.as_singles.without(touched));
                let others = from[i].otherwise.union(next.otherwise.without(touched));
                changed |= singles != from[i].as_singles || others != from[i].otherwise;
                (from[i].as_singles, from[i].otherwise) = (singles, others);
            }
        }
    }
    let entry = from[region.entry];
    entry.as_singles.union(given).without(entry.otherwise)
}

/// The slots that the region gives singles and nothing else.
fn given_singles(region: &Region, above: Above) -> SlotSet {
    let (mut given, mut others) = (SlotSet::default(), SlotSet::default());
    for rb in &region.blocks {
        let mut singles = SlotSet::default();
        let mut values = vec![false; rb.block.insts.len()];
        for (i, inst) in rb.block.insts.iter().enumerate() {
            values[i] = follow(&rb.block.insts, i, above, &mut singles, |v| values[v.index()]);
            if let Inst::Set { ty: Type::F64, slot, value } = *inst {
                if values[value.index()] { given.insert(slot) } else { others.insert(slot) }
            }
        }
    }
    given.without(others)
}

/// What a value is of a slot's first contents.
#[derive(Clone, Copy)]
enum Part {
    /// All, as a number or as bits.
    Whole(Slot),
    LowBits(Slot),
}

fn first_uses(block: &Block) -> FirstUses {
    let mut uses = FirstUses::default();
    let mut written = SlotSet::default();
    let mut parts: Vec<Option<Part>> = vec![None; block.insts.len()];
    for (i, inst) in block.insts.iter().enumerate() {
        let part_of = |v: Value| parts[v.index()];
        match *inst {
            Inst::Get { slot, ty: Type::F64 } if !written.contains(slot) => parts[i] = Some(Part::Whole(slot)),
            Inst::Convert { op, ty, arg } => match (op, ty, part_of(arg)) {
                (_, _, None) => {}
                (ConvertOp::Bitcast, Type::I64, part) => parts[i] = part,
                (ConvertOp::Trunc, Type::I32, Some(Part::Whole(slot))) => parts[i] = Some(Part::LowBits(slot)),
                (ConvertOp::Unbox, _, Some(Part::Whole(slot)))
                | (ConvertOp::Bitcast, Type::F32, Some(Part::LowBits(slot))) => uses.as_singles.insert(slot),
                (_, _, Some(Part::Whole(slot))) => uses.otherwise.insert(slot),
                // The lower half of anything is copied.
                (_, _, Some(Part::LowBits(_))) => {}
            },
            // To another register.
            Inst::Set { slot, .. } => written.insert(slot),
            _ => {
                for part in inst.args().filter_map(part_of) {
                    if let Part::Whole(slot) = part {
                        uses.otherwise.insert(slot);
                    }
                }
            }
        }
        if let Inst::Get { slot, .. } | Inst::Set { slot, .. } = *inst {
            uses.touched.insert(slot);
        }
    }
    uses
}
