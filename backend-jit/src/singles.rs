//! Which floating-point registers hold boxed singles (RISC-V, "NaN Boxing of Narrower Values"), so that a region can keep the single
//! alone, in a variable of its own, and make the box only where somebody looks.

use crate::analysis::{SlotSet, forward_on_every_path};
use crate::region::Region;
use emu_ir::{Block, ConvertOp, Inst, Slot, Type, Value};

/// Slots that hold a boxed single on every path to each block's start.
///
/// At the region's entry those do that are first used as singles there: no program does so with what is none, and the region looks.
pub(crate) fn single_in(region: &Region) -> Vec<SlotSet> {
    forward_on_every_path(region, singles_at_entry(region), |i, singles| {
        single_out(&region.blocks[i].block.insts, singles)
    })
}

fn single_out(insts: &[Inst], mut singles: SlotSet) -> SlotSet {
    let mut values = vec![false; insts.len()];
    for (i, inst) in insts.iter().enumerate() {
        values[i] = follow(inst, &mut singles, |v| values[v.index()]);
    }
    singles
}

/// Is the instruction's result a boxed single? Keeps `singles` up to date; `is_single` tells it of earlier values.
pub(crate) fn follow(inst: &Inst, singles: &mut SlotSet, is_single: impl Fn(Value) -> bool) -> bool {
    match *inst {
        Inst::Convert { op: ConvertOp::Box, .. } => return true,
        Inst::Get { slot, .. } => return singles.contains(slot),
        Inst::Set { slot, value, .. } if is_single(value) => singles.insert(slot),
        Inst::Set { slot, .. } => singles.remove(slot),
        _ => {}
    }
    false
}

/// How the slots that a block reads before it writes them are used.
#[derive(Clone, Copy, Default)]
struct FirstUses {
    as_singles: SlotSet,
    otherwise: SlotSet,
    /// Read or written.
    touched: SlotSet,
}

/// The slots that are first used as singles on some way from the entry, and in no other manner on another.
fn singles_at_entry(region: &Region) -> SlotSet {
    let blocks: Vec<FirstUses> = region.blocks.iter().map(|rb| first_uses(&rb.block)).collect();
    if blocks.iter().all(|uses| uses.as_singles == SlotSet::default()) {
        return SlotSet::default();
    }
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
    entry.as_singles.without(entry.otherwise)
}

fn first_uses(block: &Block) -> FirstUses {
    let mut uses = FirstUses::default();
    // The slot behind each value that is one's first contents or their bits.
    let mut behind: Vec<Option<Slot>> = vec![None; block.insts.len()];
    for (i, inst) in block.insts.iter().enumerate() {
        match *inst {
            Inst::Get { slot, ty: Type::F64 } if !uses.touched.contains(slot) => behind[i] = Some(slot),
            Inst::Convert { op: ConvertOp::Bitcast, arg, .. } => behind[i] = behind[arg.index()],
            Inst::Convert { op: ConvertOp::Unbox, arg, .. } => {
                behind[arg.index()].into_iter().for_each(|slot| uses.as_singles.insert(slot));
            }
            // What is stored may be a single.
            Inst::Convert { op: ConvertOp::Trunc, ty: Type::I32, .. } => {}
            _ => inst.args().filter_map(|v| behind[v.index()]).for_each(|slot| uses.otherwise.insert(slot)),
        }
        // A slot may be read twice before it is written.
        if let Inst::Set { slot, .. } = *inst {
            uses.touched.insert(slot);
        }
    }
    for inst in &block.insts {
        if let Inst::Get { slot, .. } = *inst {
            uses.touched.insert(slot);
        }
    }
    uses
}
