//! Branches over an instruction or two become selections of what those write ("if-conversion").
//!
//! Instruction sets without conditional moves make minima, clamps and conditional sums of such branches. Which way they go depends on data,
//! so that the host often cannot foresee it; what it selects it need not foresee. Other branches it mostly does, and then to go on at once
//! is better than to wait for both values and the condition: those stay.

use crate::analysis::{SlotSet, jumps_with_effect};
use crate::region::direct_targets;
use emu_ir::{BinaryOp, Block, InsnMark, Inst, JumpKind, Terminator, Value, opt};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most guest instructions that a branch goes over.
const MAX_INSNS: usize = 2;

/// Values that are looked at to find what another one is computed from.
const MAX_STEPS: usize = 16;

/// By a block's address: how many guest instructions at its end have run only if its branch, of which both ways are one, is not taken.
pub(crate) type Skips = FxHashMap<u64, u32>;

/// Joins each block that ends with such a branch to what that goes over, which stays a block of its own if other blocks or `others` lead
/// there.
pub(crate) fn join(blocks: &mut BTreeMap<u64, Arc<Block>>, others: impl Iterator<Item = u64>) -> Skips {
    let mut skips = Skips::default();
    let mut ways_to: FxHashMap<u64, u32> = FxHashMap::default();
    for pc in blocks.values().flat_map(|block| direct_targets(block)).chain(others) {
        *ways_to.entry(pc).or_default() += 1;
    }
    let starts: Vec<u64> = blocks.keys().copied().collect();
    for pc in starts {
        let Some(block) = blocks.get(&pc) else { continue };
        let Terminator::Branch { taken, next, .. } = block.term else { continue };
        let Some(over) = blocks.get(&next) else { continue };
        // After an effect in a delay slot, registers may have to be exact wherever it goes on.
        if next != block.end()
            || jumps_with_effect(block)
            || !is_skippable(over, taken)
            || !depends_on_data(over, compared(block))
        {
            continue;
        }
        skips.insert(pc, over.insn_count());
        let joined = joined(block, over);
        blocks.insert(pc, Arc::new(joined));
        let ways = ways_to.entry(next).or_default();
        *ways = ways.saturating_sub(1);
        if *ways == 0 {
            blocks.remove(&next);
        }
    }
    skips
}

/// May the block run although the guest does not, if what it writes is not kept? Then it goes on at `target`.
fn is_skippable(block: &Block, target: u64) -> bool {
    let goes_on = block.term == Terminator::Jump { target, kind: JumpKind::Plain } && block.end() == target;
    goes_on && block.marks.len() <= MAX_INSNS && block.insts.iter().all(is_cheap)
}

fn is_cheap(inst: &Inst) -> bool {
    use BinaryOp::{DivS, DivU, RemS, RemU};
    let is_int = inst.result().is_some_and(|ty| ty.is_int());
    match inst {
        Inst::Set { ty, .. } => ty.is_int(),
        Inst::Binary { op: DivS | DivU | RemS | RemU, .. } => false,
        Inst::Const { .. } | Inst::Get { .. } | Inst::Convert { .. } => is_int,
        Inst::Unary { .. } | Inst::Binary { .. } | Inst::Compare { .. } | Inst::Select { .. } => true,
        _ => false,
    }
}

/// The registers whose contents at the block's end are what its branch compares.
fn compared(block: &Block) -> SlotSet {
    let operands = block.term.arg().map(|cond| made_of(block, cond)).unwrap_or_default();
    let mut slots = SlotSet::default();
    for (i, inst) in block.insts.iter().enumerate() {
        match *inst {
            Inst::Get { slot, .. } if operands.contains(&Value(i as u32)) => slots.insert(slot),
            Inst::Set { slot, value, .. } if operands.contains(&value) => slots.insert(slot),
            Inst::Set { slot, .. } => slots.remove(slot),
            _ => {}
        }
    }
    slots
}

/// Does the block write or copy a register that was `compared`, as minima do, or compute from a register what that is to hold?
fn depends_on_data(block: &Block, compared: SlotSet) -> bool {
    let read = |value: Value| match block.insts[value.index()] {
        Inst::Get { slot, .. } => Some(slot),
        _ => None,
    };
    block.insts.iter().any(|inst| match *inst {
        Inst::Set { slot, value, .. } => {
            compared.contains(slot)
                || read(value).is_some_and(|from| compared.contains(from))
                || made_of(block, value).into_iter().any(|value| read(value) == Some(slot))
        }
        _ => false,
    })
}

/// What the value is computed from, and itself.
fn made_of(block: &Block, value: Value) -> Vec<Value> {
    let (mut todo, mut seen) = (vec![value], Vec::new());
    while let Some(value) = todo.pop() {
        if seen.len() < MAX_STEPS && !seen.contains(&value) {
            seen.push(value);
            match block.insts[value.index()] {
                Inst::Compare { args, .. } | Inst::Binary { args, .. } => todo.extend(args),
                Inst::Convert { arg, .. } => todo.push(arg),
                _ => {}
            }
        }
    }
    seen
}

/// The block together with what its branch goes over.
fn joined(block: &Block, over: &Block) -> Block {
    let mut joined = block.clone();
    let Terminator::Branch { cond, taken, .. } = block.term else { return joined };
    let mut moved: Vec<Value> = Vec::with_capacity(over.insts.len());
    let mut marks = over.marks.iter().peekable();
    for (i, inst) in over.insts.iter().enumerate() {
        let here = joined.insts.len() as u32;
        while let Some(mark) = marks.next_if(|mark| mark.first as usize <= i) {
            joined.marks.push(InsnMark { first: here, ..*mark });
        }
        let mut inst = *inst;
        inst.for_each_arg(|arg| *arg = moved[arg.index()]);
        if let Inst::Set { ty, slot, value } = inst {
            joined.insts.push(Inst::Get { ty, slot });
            joined.insts.push(Inst::Select { ty, cond, args: [Value(here), value] });
            inst = Inst::Set { ty, slot, value: Value(here + 1) };
        }
        moved.push(Value(joined.insts.len() as u32));
        joined.insts.push(inst);
    }
    let end = joined.insts.len() as u32;
    joined.marks.extend(marks.map(|mark| InsnMark { first: end, ..*mark }));
    joined.beyond.extend(&over.beyond);
    joined.term = Terminator::Branch { cond, taken, next: taken };
    opt::optimize(&mut joined);
    joined
}
