//! When a region loads registers, and when it writes them back before it has to.
//!
//! A region may touch all registers of the guest, on ways of which each visit takes few. So none is loaded before it is used, but where
//! the ways into a block differ: one has it newer than memory. And where more values are wanted than the host has registers, those that
//! only wait to be written back are written: the allocator would spill them for it, and load them again at each exit.

use crate::analysis::{self, BlockUse, SideExit, SlotSet};
use crate::region::Region;
use emu_ir::{Block, ConvertOp, IndirectKind, Inst, Terminator, Value};

/// Values that the host's general registers hold, beside a few that come and go.
const INT_ROOM: u32 = 10;
/// The same for vector registers.
const FLOAT_ROOM: u32 = 12;

/// Blocks of a loop before which all is loaded that it uses. In a larger one, a visit may use little of that.
const MAX_LOOP: usize = 24;

/// What the region's registers are for each block.
#[derive(Debug)]
pub(crate) struct Uses {
    /// Read before they are written.
    read: Vec<SlotSet>,
    /// Written.
    written: Vec<SlotSet>,
    /// Read at or after the start of the block, before they are written.
    pub(crate) live_in: Vec<SlotSet>,
    /// Set last to the exception flags, which had better not be read (`lower/flags.rs`).
    flags: Vec<SlotSet>,
    /// Slots of floating-point registers.
    floats: SlotSet,
}

impl Uses {
    pub(crate) fn of(region: &Region) -> Uses {
        let blocks = || region.blocks.iter().map(|rb| &*rb.block);
        let read: Vec<SlotSet> = blocks().map(|block| read_first(&block.insts)).collect();
        let written: Vec<SlotSet> = blocks().map(|block| written(&block.insts)).collect();
        let mut floats = SlotSet::default();
        for inst in blocks().flat_map(|block| &block.insts) {
            if let Inst::Get { ty, slot } | Inst::Set { ty, slot, .. } = inst
                && ty.is_float()
            {
                floats.insert(*slot);
            }
        }
        let block_use = |i| BlockUse {
            uses: read[i],
            defs: written[i],
            side_exits: side_ways(region, i).map(|(to, _, defs)| SideExit { to, defs }).collect(),
        };
        let live_in = analysis::backward(region, &(0..region.blocks.len()).map(block_use).collect::<Vec<_>>());
        Uses { flags: blocks().map(set_to_flags).collect(), read, written, live_in, floats }
    }

    fn live_out(&self, region: &Region, block: usize) -> SlotSet {
        region.blocks[block].successors.iter().fold(SlotSet::default(), |sum, succ| sum.union(self.live_in[*succ]))
    }

    /// What the block, at whose end `dirty` is newer than memory, had better write back then.
    ///
    /// Only where a computed jump goes to one of several blocks, as interpreters do for each of their program's instructions: registers
    /// that each of these uses for itself would all be carried along. Elsewhere they are mostly set again before the region is left.
    pub(crate) fn written_early(&self, region: &Region, block: usize, dirty: SlotSet) -> SlotSet {
        let rb = &region.blocks[block];
        if !matches!(rb.block.term, Terminator::Indirect { kind: IndirectKind::Jump, .. }) || rb.successors.len() < 2 {
            return SlotSet::default();
        }
        let live = self.live_out(region, block);
        let idle = dirty.without(live).without(self.flags[block]);
        let wanted = live.union(dirty);
        let crowded = |class: SlotSet, room: u32| {
            let of_class = |slots: SlotSet| SlotSet(slots.0 & class.0);
            if of_class(wanted).0.count_ones() > room { of_class(idle) } else { SlotSet::default() }
        };
        let ints = SlotSet(!self.floats.0);
        crowded(ints, INT_ROOM).union(crowded(self.floats, FLOAT_ROOM))
    }
}

fn read_first(insts: &[Inst]) -> SlotSet {
    let (mut read, mut written) = (SlotSet::default(), SlotSet::default());
    for inst in insts {
        match inst {
            Inst::Get { slot, .. } if !written.contains(*slot) => read.insert(*slot),
            Inst::Set { slot, .. } => written.insert(*slot),
            _ => {}
        }
    }
    read
}

fn written(insts: &[Inst]) -> SlotSet {
    let mut slots = SlotSet::default();
    for inst in insts {
        if let Inst::Set { slot, .. } = inst {
            slots.insert(*slot);
        }
    }
    slots
}

fn set_to_flags(block: &Block) -> SlotSet {
    let is_flags = |v: Value| match block.insts[v.index()] {
        Inst::ReadFpFlags => true,
        Inst::Convert { op: ConvertOp::Zext, arg, .. } => matches!(block.insts[arg.index()], Inst::ReadFpFlags),
        _ => false,
    };
    let mut slots = SlotSet::default();
    for inst in &block.insts {
        match *inst {
            Inst::Set { slot, value, .. } if is_flags(value) => slots.insert(slot),
            Inst::Set { slot, .. } => slots.remove(slot),
            _ => {}
        }
    }
    slots
}

/// Where the block may be left in the middle for another one of the region, and what it has touched until there.
fn side_ways(region: &Region, index: usize) -> impl Iterator<Item = (usize, SlotSet, SlotSet)> {
    let block = &region.blocks[index].block;
    let ways = block.insts.iter().enumerate().filter_map(move |(i, inst)| match inst {
        Inst::LeaveIf { target, .. } => Some((region.successor(index, *target)?, i)),
        _ => None,
    });
    ways.map(|(to, i)| (to, read_first(&block.insts[..i]), written(&block.insts[..i])))
}

/// The blocks in reverse postorder: each after those that lead to it, but for back edges. Those that the entry does not reach are left out.
pub(crate) fn in_order(region: &Region) -> Vec<usize> {
    let (mut order, mut seen) = (Vec::new(), vec![false; region.blocks.len()]);
    let mut path = vec![(region.entry, 0)];
    seen[region.entry] = true;
    while let Some((block, next)) = path.pop() {
        let Some(&succ) = region.blocks[block].successors.get(next) else {
            order.push(block);
            continue;
        };
        path.push((block, next + 1));
        if !std::mem::replace(&mut seen[succ], true) {
            path.push((succ, 0));
        }
    }
    order.reverse();
    order
}

/// The registers that have to be in their variables where each block begins. Whoever goes there loads those that are not.
pub(crate) fn needed_in(region: &Region, uses: &Uses, dirty_in: &[SlotSet], live_in: &[SlotSet]) -> Vec<SlotSet> {
    let needed = |i: usize| {
        let newer = SlotSet(dirty_in[i].0 & live_in[i].0);
        let loop_uses = loop_body(region, i).into_iter().fold(SlotSet::default(), |sum, b| sum.union(uses.read[b]));
        newer.union(SlotSet(loop_uses.0 & uses.live_in[i].0))
    };
    (0..region.blocks.len()).map(needed).collect()
}

/// The blocks of the loop that the block is the head of, if they are few.
fn loop_body(region: &Region, head: usize) -> Vec<usize> {
    if !region.blocks[head].is_loop_header() {
        return Vec::new();
    }
    let mut body = vec![head];
    let mut todo = region.blocks[head].latches.clone();
    while let Some(block) = todo.pop() {
        if body.contains(&block) {
            continue;
        }
        if body.len() == MAX_LOOP {
            return Vec::new();
        }
        body.push(block);
        todo.extend(&region.blocks[block].predecessors);
    }
    body
}

/// The registers that are in their variables where each block begins, on every way there: `needed_in`, and what has been loaded or
/// written on all of them. At the region's entry, `singles` are, too.
pub(crate) fn present_in(region: &Region, uses: &Uses, needed_in: &[SlotSet], singles: SlotSet) -> Vec<SlotSet> {
    let order = in_order(region);
    let mut present = needed_in.to_vec();
    order.iter().for_each(|i| present[*i] = SlotSet(u128::MAX));
    present[region.entry] = needed_in[region.entry].union(singles);
    let mut changed = true;
    while changed {
        changed = false;
        for &i in &order {
            let rb = &region.blocks[i];
            let mut go = |to: usize, read: SlotSet, written: SlotSet| {
                let there = present[i].union(read).union(written);
                let met = needed_in[to].union(SlotSet(present[to].0 & there.0));
                changed |= met != present[to];
                present[to] = met;
            };
            rb.successors.iter().for_each(|to| go(*to, uses.read[i], uses.written[i]));
            side_ways(region, i).for_each(|(to, read, written)| go(to, read, written));
        }
    }
    present
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CompileOptions;
    use crate::analysis::Analysis;
    use crate::region::BlockSource;
    use emu_ir::text::{Names, parse};
    use emu_ir::{BlockKey, Slot};
    use std::sync::Arc;

    struct Source(Vec<Arc<Block>>, Vec<u64>);

    impl BlockSource for Source {
        fn block(&mut self, key: BlockKey, _: usize) -> Option<Arc<Block>> {
            self.0.iter().find(|block| block.key == key).cloned()
        }

        fn indirect_targets(&self, _: BlockKey) -> Vec<u64> {
            self.1.clone()
        }
    }

    /// A region of blocks of one instruction each, entered at the first; computed jumps go to `targets`.
    fn region(blocks: &[(u64, &str)], targets: &[u64]) -> (Region, Analysis) {
        region_with(blocks, targets, &CompileOptions::default())
    }

    fn region_with(blocks: &[(u64, &str)], targets: &[u64], options: &CompileOptions) -> (Region, Analysis) {
        let block = |(pc, body): &(u64, &str)| {
            let text = format!("block {pc:#x} mode 0x0\ninsn {pc:#x} len 4\n{body}\n");
            Arc::new(parse(&text, Names::default()).expect("a block"))
        };
        let mut source = Source(blocks.iter().map(block).collect(), targets.to_vec());
        let region = Region::discover(BlockKey { pc: blocks[0].0, mode: 0 }, 1000, &mut source).expect("a region");
        let analysis = Analysis::of(&region, options);
        (region, analysis)
    }

    fn slots(list: &[u16]) -> SlotSet {
        let mut slots = SlotSet::default();
        list.iter().for_each(|slot| slots.insert(Slot(*slot)));
        slots
    }

    const SETS_6: &str = "  v0 = const.i64 1\n  set slot6, v0\n";

    #[test]
    fn what_one_way_uses_is_loaded_there() {
        let blocks = [
            (0x10, "  v0 = get.i8 slot5\n  branch v0, 0x14, 0x18"),
            (0x14, "  v0 = get.i64 slot6\n  set slot7, v0\n  jump 0x80"),
            (0x18, "  v0 = get.i64 slot8\n  set slot9, v0\n  jump 0x80"),
        ];
        let (region, analysis) = region(&blocks, &[]);
        for pc in [0x10, 0x14, 0x18] {
            assert_eq!(analysis.needed_in[region.at(pc).unwrap()], slots(&[]), "{pc:#x}");
        }
        assert_eq!(analysis.present_in[region.at(0x14).unwrap()], slots(&[5]));
    }

    #[test]
    fn where_one_way_has_set_it_all_have_it() {
        let blocks = [
            (0x10, "  v0 = get.i8 slot5\n  branch v0, 0x14, 0x18"),
            (0x14, &format!("{SETS_6}  jump 0x18")),
            (0x18, "  jump 0x80"),
        ];
        let (region, analysis) = region(&blocks, &[]);
        assert_eq!(analysis.needed_in[region.at(0x10).unwrap()], slots(&[]));
        assert_eq!(analysis.needed_in[region.at(0x18).unwrap()], slots(&[6]));
    }

    #[test]
    fn what_a_loop_uses_is_loaded_before_it() {
        let blocks = [
            (0x10, "  jump 0x14"),
            (0x14, "  v0 = get.i8 slot5\n  branch v0, 0x18, 0x80"),
            (0x18, "  v0 = get.i64 slot6\n  set slot7, v0\n  jump 0x14"),
        ];
        let (region, analysis) = region(&blocks, &[]);
        assert_eq!(analysis.needed_in[region.at(0x10).unwrap()], slots(&[]));
        // And slot 7, which the second round has newer than memory.
        assert_eq!(analysis.needed_in[region.at(0x14).unwrap()], slots(&[5, 6, 7]));
    }

    #[test]
    fn what_is_overwritten_before_a_poll_need_not_be_set() {
        // A loop in a loop, both of which set slot 6; so does what is between them, twice.
        let blocks = [
            (0x10, "  v0 = get.i8 slot5\n  branch v0, 0x14, 0x14"),
            (0x14, &format!("{SETS_6}  jump 0x18")),
            (0x18, &format!("{SETS_6}  jump 0x1c")),
            (0x1c, "  v0 = get.i8 slot5\n  jump 0x20"),
            (0x20, &format!("{SETS_6}  v2 = get.i8 slot5\n  branch v2, 0x1c, 0x24")),
            (0x24, &format!("{SETS_6}  v2 = get.i8 slot5\n  branch v2, 0x10, 0x80")),
        ];
        let (region, _) = region(&blocks, &[]);
        let setters = |region: &Region| -> Vec<u64> {
            let sets = |block: &Block| block.insts.iter().any(|inst| matches!(inst, Inst::Set { .. }));
            region.blocks.iter().filter(|rb| sets(&rb.block)).map(|rb| rb.block.key.pc).collect()
        };
        let all = setters(&region);
        let precise = CompileOptions { precise_faults: true, ..CompileOptions::default() };
        assert_eq!(setters(&region.without_overwritten(&precise)), all);
        // What the inner loop's last round sets is there when it polls.
        assert_eq!(setters(&region.without_overwritten(&CompileOptions::default())), [0x18, 0x24, 0x20]);
    }

    #[test]
    fn a_computed_jump_writes_back_what_nobody_uses_if_there_is_much() {
        let sets = |n: u16| (20..20 + n).map(|slot| format!("  set slot{slot}, v0\n")).collect::<String>();
        for (n, written) in [(5, 0), (20, 19)] {
            let jump = format!("  v0 = get.i64 slot5\n{}  jump v0", sets(n));
            let blocks = [(0x10, &*jump), (0x14, "  v0 = get.i64 slot20\n  jump v0"), (0x18, "  jump 0x80")];
            let (region, analysis) = region(&blocks, &[0x14, 0x18]);
            let early = analysis.written_early[region.at(0x10).unwrap()];
            assert_eq!(early.0.count_ones(), written, "{n} slots");
            assert!(!early.contains(Slot(20)), "the next block uses it");
            // A fault is replayed from the last checkpoint, for which memory has the registers.
            let precise = CompileOptions { precise_faults: true, ..CompileOptions::default() };
            let (_, analysis) = region_with(&blocks, &[0x14, 0x18], &precise);
            assert!(analysis.written_early.iter().all(|slots| *slots == SlotSet::default()));
        }
    }
}
