//! Data flow over a region: which slots are live, dirty (newer than memory), or hold the result of an SSE instruction, whose
//! NaNs are not canonical yet.

use crate::CompileOptions;
use crate::halves;
use crate::region::Region;
use crate::residence::{self, Uses};
use crate::singles::{self, Above};
use crate::words;
use emu_ir::opt::optimize_inexact;
use emu_ir::{Block, ConvertOp, FloatBinaryOp, FloatConvertOp, FloatUnaryOp, Inst, NanRule, Slot, Terminator, Type};
use std::sync::Arc;

/// A set of register slots (a guest has at most 128).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotSet(pub(crate) u128);

impl SlotSet {
    pub(crate) fn insert(&mut self, slot: Slot) {
        self.0 |= 1 << slot.0;
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        self.0 &= !(1 << slot.0);
    }

    pub(crate) fn contains(self, slot: Slot) -> bool {
        self.0 >> slot.0 & 1 == 1
    }

    pub(crate) fn union(self, other: SlotSet) -> SlotSet {
        SlotSet(self.0 | other.0)
    }

    pub(crate) fn without(self, other: SlotSet) -> SlotSet {
        SlotSet(self.0 & !other.0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Slot> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let index = bits.trailing_zeros();
            (index < 128).then(|| {
                bits &= bits - 1;
                Slot(index as u16)
            })
        })
    }
}

/// What the compiler needs to know of each block.
#[derive(Debug)]
pub(crate) struct Analysis {
    /// Slots that may be newer in SSA than in memory at the block's start.
    pub(crate) dirty_in: Vec<SlotSet>,
    /// Slots that are needed from before the block.
    pub(crate) live_in: Vec<SlotSet>,
    /// Slots that have to be in their variables at the block's start.
    pub(crate) needed_in: Vec<SlotSet>,
    /// Slots that are, on every path there.
    pub(crate) present_in: Vec<SlotSet>,
    /// Slots that are overwritten on every way from the block's start, before anything sees them: not written back when it polls.
    pub(crate) overwritten: Vec<SlotSet>,
    /// Slots that the block writes back at its end.
    pub(crate) written_early: Vec<SlotSet>,
    /// Slots that hold, on every path to the block's start, a result whose NaN is still to be made canonical. Any other
    /// slot may hold bits that must not change: a boxed single is a NaN, too, if it is taken for a double.
    pub(crate) raw_in: Vec<SlotSet>,
    /// Slots that hold, on every path to the block's start, a boxed single ([`singles::single_in`]).
    pub(crate) single_in: Vec<SlotSet>,
    /// Slots that are kept as words where each block begins ([`words::word_in`]).
    pub(crate) word_in: Vec<SlotSet>,
    /// Slots that are anywhere.
    pub(crate) words: SlotSet,
    /// Blocks that start with a checkpoint (see [`starts`]).
    pub(crate) starts: Vec<bool>,
    /// With [`CompileOptions::fuel`]: the instructions of the longest way from each block's end to the next stop, or out of the region;
    /// they are counted while the block runs. Otherwise 0.
    pub(crate) ahead: Vec<u32>,
    /// ... and what has been counted where a block is gone to: its own instructions and those ahead, unless it stops and counts itself.
    pub(crate) counted_in: Vec<u32>,
}

impl Analysis {
    /// What `options` make of `region`.
    pub(crate) fn of(region: &Region, options: &CompileOptions) -> Analysis {
        let starts = starts(region, options);
        let uses = Uses::of(region);
        let (dirty_in, written_early) = dirty_in(region, &uses, &starts, options);
        let single_in = singles::single_in(region);
        let raw_in = raw_in(region, &single_in);
        let overwritten = overwritten(region, options);
        let live_in = live_in(region, &dirty_in, &overwritten, &starts, options);
        let needed_in = residence::needed_in(region, &uses, &dirty_in, &live_in);
        let singles = SlotSet(live_in[region.entry].0 & single_in[region.entry].0);
        let word_in = words::word_in(region, options);
        let words = word_in.iter().fold(SlotSet::default(), |sum, slots| sum.union(*slots));
        let present_in = residence::present_in(region, &uses, &needed_in, singles);
        let stops: Vec<bool> = (0..region.blocks.len()).map(|i| options.stops_at(region, i)).collect();
        let (ahead, counted_in) = if options.fuel { longest_ways(region, &stops) } else { no_ways(region) };
        Analysis {
            dirty_in,
            live_in,
            needed_in,
            present_in,
            overwritten,
            written_early,
            raw_in,
            single_in,
            word_in,
            words,
            starts,
            ahead,
            counted_in,
        }
    }
}

/// A place in a block where everything dirty is written to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteBack {
    /// Before the IR instruction at this index (or the terminator).
    pub(crate) before: usize,
    /// Where the guest goes on from there.
    pub(crate) resume: Resume,
}

/// Where the interpreter goes on after a fault that follows a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Resume {
    /// At the guest instruction, which is about to have its effect, if it faults itself; else after it.
    Effect = 0,
    /// After the guest instruction.
    Completed = 1,
    /// At the guest instruction, the first of its block.
    Start = 2,
}

impl Resume {
    /// The inverse of `as`.
    pub(crate) fn from_bits(bits: u32) -> Resume {
        match bits {
            0 => Resume::Effect,
            1 => Resume::Completed,
            _ => Resume::Start,
        }
    }
}

/// With precise faults: the blocks that follow one whose last guest instruction has an effect and does not go on after itself,
/// as a store in a delay slot. Where the guest goes on is known only here.
fn starts(region: &Region, options: &CompileOptions) -> Vec<bool> {
    let mut starts = vec![false; region.blocks.len()];
    for rb in region.blocks.iter().filter(|rb| options.precise_faults && jumps_with_effect(&rb.block)) {
        rb.successors.iter().for_each(|s| starts[*s] = true);
    }
    starts
}

pub(crate) fn jumps_with_effect(block: &Block) -> bool {
    let last = block.marks.last().map_or(0, |m| m.first as usize);
    let goes_on = matches!(block.term, Terminator::Jump { target, .. } if target == block.end());
    !goes_on && block.insts[last..].iter().any(has_effect)
}

/// The places where the block writes back, ascending. With precise faults they are checkpoints: before whatever has
/// an effect that must not be repeated, and after guest instructions that both have one and change a register.
pub(crate) fn write_backs(block: &Block, precise_faults: bool, start: bool) -> Vec<WriteBack> {
    let mut list = Vec::new();
    list.extend(start.then_some(WriteBack { before: 0, resume: Resume::Start }));
    let mut after = None;
    let mut mark = 0;
    for (i, inst) in block.insts.iter().enumerate() {
        while block.marks.get(mark + 1).is_some_and(|m| m.first as usize <= i) {
            mark += 1;
            list.extend(after.take().map(|()| WriteBack { before: i, resume: Resume::Completed }));
        }
        let effect = precise_faults && has_effect(inst);
        if effect || matches!(inst, Inst::Call { .. }) {
            list.push(WriteBack { before: i, resume: Resume::Effect });
        }
        if effect && inst.result().is_some() {
            after = Some(());
        }
    }
    list.extend(after.map(|()| WriteBack { before: block.insts.len(), resume: Resume::Completed }));
    list
}

/// Must it not run twice when a later fault is found again by the interpreter?
fn has_effect(inst: &Inst) -> bool {
    use Inst::*;
    matches!(
        inst,
        Store { .. }
            | AtomicRmw { .. }
            | AtomicCas { .. }
            | StoreConditional { .. }
            | LoadReserved { .. }
            | Call { .. }
            | ReadFpFlags
    )
}

/// Solves a forward "may" problem: the union over predecessors, empty at the region's entry.
fn forward(region: &Region, transfer: impl Fn(usize, SlotSet) -> SlotSet) -> Vec<SlotSet> {
    let mut state = vec![SlotSet::default(); region.blocks.len()];
    let mut todo: Vec<usize> = (0..region.blocks.len()).rev().collect();
    let mut queued = vec![true; region.blocks.len()];
    while let Some(i) = todo.pop() {
        queued[i] = false;
        let out = transfer(i, state[i]);
        for &succ in &region.blocks[i].successors {
            let merged = state[succ].union(out);
            if merged != state[succ] {
                state[succ] = merged;
                if !std::mem::replace(&mut queued[succ], true) {
                    todo.push(succ);
                }
            }
        }
    }
    state
}

/// The blocks that the entry reaches inside the region. (The return site of a call that returns from elsewhere is not.)
fn reached(region: &Region) -> Vec<bool> {
    let mut reached = vec![false; region.blocks.len()];
    let mut todo = vec![region.entry];
    while let Some(i) = todo.pop() {
        if !std::mem::replace(&mut reached[i], true) {
            todo.extend(&region.blocks[i].successors);
        }
    }
    reached
}

/// Solves a forward "must" problem: the intersection over predecessors, at most `at_entry` at the region's entry, and empty where
/// it does not lead to.
pub(crate) fn forward_on_every_path(
    region: &Region,
    at_entry: SlotSet,
    transfer: impl Fn(usize, SlotSet) -> SlotSet,
) -> Vec<SlotSet> {
    let start = |reached| if reached { SlotSet(u128::MAX) } else { SlotSet::default() };
    let mut state: Vec<SlotSet> = reached(region).into_iter().map(start).collect();
    state[region.entry] = at_entry;
    let mut changed = true;
    while changed {
        changed = false;
        for i in 0..region.blocks.len() {
            let out = transfer(i, state[i]);
            for &succ in &region.blocks[i].successors {
                let met = SlotSet(state[succ].0 & out.0);
                changed |= met != state[succ];
                state[succ] = met;
            }
        }
    }
    state
}

/// See [`Analysis::dirty_in`] and [`Analysis::written_early`].
///
/// Who writes early is decided for one block after the other, since what one has written is not in the way of the next. What
/// back edges bring is not known then, and has no say in it.
fn dirty_in(region: &Region, uses: &Uses, starts: &[bool], options: &CompileOptions) -> (Vec<SlotSet>, Vec<SlotSet>) {
    let blocks = region.blocks.len();
    let points: Vec<_> =
        (0..blocks).map(|i| write_backs(&region.blocks[i].block, options.precise_faults, starts[i])).collect();
    let mut early = vec![SlotSet::default(); blocks];
    let mut dirty = vec![SlotSet::default(); blocks];
    for i in residence::in_order(region) {
        let (end, left) = dirty_out(&region.blocks[i].block, dirty[i], &points[i]);
        // With precise faults memory has to stay as it was at the last checkpoint.
        if !options.precise_faults {
            early[i] = uses.written_early(region, i, end);
        }
        let out = end.without(early[i]).union(left);
        region.blocks[i].successors.iter().for_each(|succ| dirty[*succ] = dirty[*succ].union(out));
    }
    let dirty = forward(region, |i, dirty| {
        let (end, left) = dirty_out(&region.blocks[i].block, dirty, &points[i]);
        end.without(early[i]).union(left)
    });
    (dirty, early)
}

/// Dirty at the end, and where the block is left in the middle for another one of the region.
fn dirty_out(block: &Block, mut dirty: SlotSet, points: &[WriteBack]) -> (SlotSet, SlotSet) {
    let mut points = points.iter().peekable();
    let mut left = SlotSet::default();
    for i in 0..=block.insts.len() {
        while points.next_if(|p| p.before == i).is_some() {
            dirty = SlotSet::default();
        }
        match block.insts.get(i) {
            Some(Inst::Set { slot, .. }) => dirty.insert(*slot),
            Some(Inst::LeaveIf { .. }) => left = left.union(dirty),
            _ => {}
        }
    }
    (dirty, left)
}

/// See [`Analysis::raw_in`]. Both formats are looked at apart: a box is no result in the other one.
fn raw_in(region: &Region, single_in: &[SlotSet]) -> Vec<SlotSet> {
    let of = |ty| {
        forward_on_every_path(region, SlotSet::default(), |i, raw| {
            let block = &region.blocks[i].block;
            if block.nan == NanRule::Canonical { raw_out(&block.insts, ty, raw, single_in[i]) } else { raw }
        })
    };
    let (mut raw, singles) = (of(Type::F64), of(Type::F32));
    raw.iter_mut().zip(singles).for_each(|(raw, singles)| *raw = raw.union(singles));
    raw
}

/// The slots that hold such results of the type `ty` after the instructions.
fn raw_out(insts: &[Inst], ty: Type, mut raw: SlotSet, mut singles: SlotSet) -> SlotSet {
    let (mut values, mut is_single) = (vec![false; insts.len()], vec![false; insts.len()]);
    for (i, inst) in insts.iter().enumerate() {
        is_single[i] = singles::follow(insts, i, Above::Ones, &mut singles, |v| is_single[v.index()]);
        match *inst {
            Inst::Get { slot, .. } => values[i] = raw.contains(slot),
            Inst::Convert { op: ConvertOp::Box, arg, .. } => values[i] = values[arg.index()],
            Inst::Convert { op: ConvertOp::Unbox, arg, .. } => {
                values[i] = is_single[arg.index()] && values[arg.index()]
            }
            Inst::Set { slot, value, .. } => {
                let is_single = is_single[value.index()];
                if values[value.index()] && is_single == (ty == Type::F32) {
                    raw.insert(slot);
                } else {
                    raw.remove(slot);
                }
            }
            _ => values[i] = makes_raw_nan(inst),
        }
    }
    raw
}

/// May the inline code for this op give a NaN that is not the canonical one?
pub(crate) fn makes_raw_nan(inst: &Inst) -> bool {
    match inst {
        Inst::FloatUnary { op, .. } => matches!(op, FloatUnaryOp::Sqrt),
        Inst::FloatBinary { op, .. } => {
            matches!(op, FloatBinaryOp::Add | FloatBinaryOp::Sub | FloatBinaryOp::Mul | FloatBinaryOp::Div)
        }
        Inst::FloatFma { .. } => true,
        Inst::FloatConvert { op, .. } => matches!(op, FloatConvertOp::Format),
        _ => false,
    }
}

/// Backward liveness. Leaving the region uses what is dirty there.
fn live_in(
    region: &Region,
    dirty_in: &[SlotSet],
    overwritten: &[SlotSet],
    starts: &[bool],
    options: &CompileOptions,
) -> Vec<SlotSet> {
    let points = |i: usize| write_backs(&region.blocks[i].block, options.precise_faults, starts[i]);
    let block_use = |i: usize| {
        let mut block = block_use(region, i, dirty_in[i], &points(i), options);
        // A poll at a loop header, or of the budget, writes back what is dirty there.
        if region.blocks[i].is_loop_header() || options.stops_at(region, i) {
            block.uses = block.uses.union(dirty_in[i].without(overwritten[i]));
        }
        block
    };
    backward(region, &(0..region.blocks.len()).map(block_use).collect::<Vec<_>>())
}

/// See [`Analysis::overwritten`]: no way is longer than to the next loop header. Faults do not count, where registers are not exact then.
fn overwritten(region: &Region, options: &CompileOptions) -> Vec<SlotSet> {
    let mut soon = vec![SlotSet::default(); region.blocks.len()];
    if options.precise_faults || options.count_insns {
        return soon;
    }
    for i in residence::in_order(region).into_iter().rev() {
        let mut slots = overwritten_after(region, i, &soon);
        for inst in region.blocks[i].block.insts.iter().rev() {
            match inst {
                Inst::Set { slot, .. } => slots.insert(*slot),
                Inst::Get { slot, .. } => slots.remove(*slot),
                _ if has_cold_exit(inst, options) => slots = SlotSet::default(),
                _ => {}
            }
        }
        // What is the region's own nobody else writes.
        soon[i] = slots.without(halves::own_slots());
    }
    soon
}

/// The slots that are overwritten on every way from the block's end, if `soon` says it of the starts of its successors.
fn overwritten_after(region: &Region, index: usize, soon: &[SlotSet]) -> SlotSet {
    let after = |succ: &usize| if region.blocks[*succ].is_loop_header() { SlotSet::default() } else { soon[*succ] };
    let on_all_ways = region.blocks[index].successors.iter().map(after).reduce(|a, b| SlotSet(a.0 & b.0));
    on_all_ways.filter(|_| !may_leave(region, index)).unwrap_or_default()
}

impl Region {
    /// The same without what its blocks do for registers that are overwritten before anything sees them; as it is where more is seen than
    /// with these options.
    pub(crate) fn without_overwritten(&self, options: &CompileOptions) -> Region {
        let mut region = self.clone();
        if options.precise_faults || options.count_insns || options.announce || options.note_stores {
            return region;
        }
        let soon = overwritten(self, options);
        for (i, rb) in region.blocks.iter_mut().enumerate() {
            // Not over a loop's head, which polls: what it may leave as it is could be what is dropped here.
            let slots = overwritten_after(self, i, &soon);
            optimize_inexact(Arc::make_mut(&mut rb.block), rb.before.as_deref(), slots.0);
        }
        region
    }
}

/// What is live at each block's start, by what each uses and defines.
pub(crate) fn backward(region: &Region, blocks: &[BlockUse]) -> Vec<SlotSet> {
    let mut live: Vec<SlotSet> = blocks.iter().map(|b| b.uses).collect();
    let mut changed = true;
    while changed {
        changed = false;
        for i in (0..blocks.len()).rev() {
            let out = region.blocks[i].successors.iter().fold(SlotSet::default(), |sum, s| sum.union(live[*s]));
            let leaving = |sum: SlotSet, exit: &SideExit| sum.union(live[exit.to].without(exit.defs));
            let side = blocks[i].side_exits.iter().fold(SlotSet::default(), leaving);
            let new = blocks[i].uses.union(out.without(blocks[i].defs)).union(side);
            changed |= new != live[i];
            live[i] = new;
        }
    }
    live
}

/// May compiled code leave the region in the middle of the block, at this instruction?
fn has_cold_exit(inst: &Inst, options: &CompileOptions) -> bool {
    use Inst::*;
    if options.announce && matches!(inst, Load { .. } | Store { .. }) {
        return true;
    }
    matches!(
        inst,
        AtomicRmw { .. }
            | AtomicCas { .. }
            | LoadReserved { .. }
            | StoreConditional { .. }
            | Call { .. }
            | TrapIf { .. }
            | LeaveIf { .. }
    )
}

/// What a block needs from before it, and what it defines.
#[derive(Debug)]
pub(crate) struct BlockUse {
    pub(crate) uses: SlotSet,
    pub(crate) defs: SlotSet,
    pub(crate) side_exits: Vec<SideExit>,
}

/// A way from the middle of a block to another one of the region.
#[derive(Debug)]
pub(crate) struct SideExit {
    pub(crate) to: usize,
    /// What the block has defined until there.
    pub(crate) defs: SlotSet,
}

/// Slots that the block needs from before it, and those it defines.
fn block_use(
    region: &Region,
    index: usize,
    dirty_in: SlotSet,
    points: &[WriteBack],
    options: &CompileOptions,
) -> BlockUse {
    let rb = &region.blocks[index];
    let (mut uses, mut defs, mut dirty) = (SlotSet::default(), SlotSet::default(), dirty_in);
    let mut side_exits = Vec::new();
    let mut points = points.iter().peekable();
    for i in 0..=rb.block.insts.len() {
        while points.next_if(|p| p.before == i).is_some() {
            uses = uses.union(dirty.without(defs));
            dirty = SlotSet::default();
        }
        let Some(inst) = rb.block.insts.get(i) else { break };
        if has_cold_exit(inst, options) {
            uses = uses.union(dirty.without(defs));
        }
        match inst {
            Inst::Get { slot, .. } if !defs.contains(*slot) => uses.insert(*slot),
            Inst::Set { slot, .. } => {
                defs.insert(*slot);
                dirty.insert(*slot);
            }
            Inst::LeaveIf { target, .. } => {
                side_exits.extend(region.successor(index, *target).map(|to| SideExit { to, defs }))
            }
            _ => {}
        }
    }
    if may_leave(region, index) {
        uses = uses.union(dirty.without(defs));
    }
    BlockUse { uses, defs, side_exits }
}

/// Nothing is counted ahead.
fn no_ways(region: &Region) -> (Vec<u32>, Vec<u32>) {
    let zeros = vec![0; region.blocks.len()];
    (zeros.clone(), zeros)
}

/// `ahead` and `counted_in` of [`Analysis`]. Each cycle that is reached has a stop, so that ways end; where nothing is reached they may not,
/// and 0 will do.
fn longest_ways(region: &Region, stops: &[bool]) -> (Vec<u32>, Vec<u32>) {
    let (mut ahead, mut counted_in) = no_ways(region);
    for block in ways_last(region, stops, &reached(region)) {
        let ways = region.blocks[block].successors.iter().map(|s| counted_in[*s]);
        ahead[block] = ways.max().unwrap_or(0);
        if !stops[block] {
            counted_in[block] = region.blocks[block].block.insn_count() + ahead[block];
        }
    }
    (ahead, counted_in)
}

/// The blocks that are reached, each after those that it goes to without a stop.
fn ways_last(region: &Region, stops: &[bool], reached: &[bool]) -> Vec<usize> {
    let (mut order, mut seen) = (Vec::new(), vec![false; region.blocks.len()]);
    for start in (0..region.blocks.len()).filter(|i| reached[*i] && stops[*i]) {
        seen[start] = true;
        let mut path = vec![(start, 0)];
        while let Some((block, next)) = path.pop() {
            let Some(&succ) = region.blocks[block].successors.get(next) else {
                order.push(block);
                continue;
            };
            path.push((block, next + 1));
            if !stops[succ] && !std::mem::replace(&mut seen[succ], true) {
                path.push((succ, 0));
            }
        }
    }
    order
}

/// Can the block's terminator leave the region?
fn may_leave(region: &Region, block: usize) -> bool {
    let is_outside = |pc| region.successor(block, pc).is_none();
    match region.blocks[block].block.term {
        Terminator::Jump { target, .. } => is_outside(target),
        Terminator::Branch { taken, next, .. } => is_outside(taken) || is_outside(next),
        _ => true,
    }
}
