//! Regions: the unit of compilation. From a hot entry along direct branches and direct calls, bounded by a number
//! of guest instructions, not by pages.

use crate::halves::Halves;
use crate::hammock;
use crate::lower::control::MAX_COMPARES;
use crate::quiet::QuietSlots;
use crate::switch;
use emu_ir::opt::{Knowledge, combine_accesses, has_parts_of_accesses};
use emu_ir::{Block, BlockKey, IndirectKind, Inst, JumpKind, Slot, Terminator};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Size of the pages by which code is invalidated.
pub const PAGE: u64 = 4096;

/// Addresses of guest pages; one alone needs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageList {
    first: Option<u64>,
    others: Vec<u64>,
}

impl PageList {
    /// The pages from that of one address to that of another, and some more.
    pub(crate) fn span(first: u64, last: u64, more: &[u64]) -> PageList {
        if first / PAGE == last / PAGE && more.is_empty() {
            return PageList { first: Some(first / PAGE * PAGE), others: Vec::new() };
        }
        (first / PAGE..=last / PAGE).map(|page| page * PAGE).chain(more.iter().copied()).collect()
    }

    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.first.into_iter().chain(self.others.iter().copied())
    }
}

impl FromIterator<u64> for PageList {
    fn from_iter<I: IntoIterator<Item = u64>>(pages: I) -> PageList {
        let mut pages = pages.into_iter();
        PageList { first: pages.next(), others: pages.collect() }
    }
}

/// Most places inside the region that an indirect jump or return is compared with before it leaves.
const MAX_KNOWN_TARGETS: usize = 32;

/// A computed jump that was seen to go to so many places goes to others of its table, too. (Each of an interpreter's handlers ends with one
/// that goes to few.)
const MANY_TARGETS: usize = 8;

/// Where the blocks of a region come from.
pub trait BlockSource {
    /// The optimised block at `key` with at most `max_insns` instructions; `None` if it should stay outside (it
    /// cannot be fetched, or has never run and is not worth compiling).
    fn block(&mut self, key: BlockKey, max_insns: usize) -> Option<Arc<Block>>;

    /// Does the loop with this head, which goes on at `exits`, run so often and so long that further rounds of it pay?
    fn rounds_pay(&self, head: BlockKey, exits: &[u64]) -> bool {
        let _ = (head, exits);
        true
    }

    /// Where the indirect jump that ends the block at `key` has gone so far.
    fn indirect_targets(&self, key: BlockKey) -> Vec<u64> {
        let _ = key;
        Vec::new()
    }

    /// What the register held when the indirect jump that ends the block at `key` was made, one of the times; a guess.
    fn register(&self, key: BlockKey, slot: Slot) -> Option<u64> {
        let _ = (key, slot);
        None
    }

    /// What the guest would load there now, little endian; a guess, too.
    fn load(&self, addr: u64, bytes: u8) -> Option<u64> {
        let _ = (addr, bytes);
        None
    }
}

/// Blocks that are compiled together, with the control flow between them.
#[derive(Clone, Debug)]
pub struct Region {
    /// The mode bits of all blocks.
    pub mode: u32,
    /// Index of the block the region is entered at.
    pub entry: usize,
    /// By ascending guest address; behind them further rounds of loops (`unroll.rs`).
    pub blocks: Vec<RegionBlock>,
    index: FxHashMap<u64, usize>,
    /// Two registers whose whole the region keeps, too.
    pub(crate) halves: Option<Halves>,
    /// Registers that hold no signalling NaNs where it is entered: it looks.
    pub(crate) quiet_at_entry: QuietSlots,
}

/// A block and its place in the region.
#[derive(Clone, Debug)]
pub struct RegionBlock {
    /// The code.
    pub block: Arc<Block>,
    /// Blocks of the region that may follow, without repetition.
    pub successors: Vec<usize>,
    /// For an indirect jump or a return: where inside the region it may go.
    pub known_targets: Vec<usize>,
    /// Where a computed jump is likely to go for each index of the guest's table by which it goes (`switch.rs`).
    pub(crate) table: Arc<[u64]>,
    /// Guest instructions at its end that have run only if its branch, of which both ways are one, is not taken (`hammock.rs`).
    pub(crate) skips: u32,
    /// Blocks of the region that may come before, without repetition.
    pub predecessors: Vec<usize>,
    /// Where back edges to it come from. Every cycle of the region has a block with such.
    pub latches: Vec<usize>,
    /// It belongs to a loop of several rounds, the head of which is there.
    pub(crate) unrolled: Option<usize>,
    /// What is known of the registers where it begins, on every way there.
    pub(crate) before: Option<Arc<Knowledge>>,
}

impl RegionBlock {
    pub(crate) fn new(block: Arc<Block>) -> RegionBlock {
        RegionBlock {
            block,
            successors: vec![],
            known_targets: vec![],
            table: Arc::default(),
            skips: 0,
            predecessors: vec![],
            latches: vec![],
            unrolled: None,
            before: None,
        }
    }

    /// Address and number of guest instructions of each block that it is made of.
    pub fn parts(&self) -> impl Iterator<Item = (u64, usize)> {
        let (marks, skips) = (&self.block.marks, self.skips as usize);
        let (own, over) = marks.split_at(marks.len() - skips);
        [own, over].into_iter().filter_map(|marks| Some((marks.first()?.pc, marks.len())))
    }

    /// Is it the target of a back edge?
    pub fn is_loop_header(&self) -> bool {
        !self.latches.is_empty()
    }
}

impl Region {
    /// Collects the region at `entry`; `None` if the entry itself cannot be had.
    pub fn discover(entry: BlockKey, budget: usize, source: &mut dyn BlockSource) -> Option<Region> {
        let Found { blocks: mut found, indirect, tables } = collect(entry, budget, source)?;
        split_overlaps(entry.mode, &mut found, source);
        let skips = hammock::join(&mut found, indirect.values().flatten().copied().chain([entry.pc]));
        let blocks: Vec<Arc<Block>> = found.into_values().map(with_combined_accesses).collect();
        let index: FxHashMap<u64, usize> = blocks.iter().enumerate().map(|(i, b)| (b.key.pc, i)).collect();
        let mut region = Region {
            mode: entry.mode,
            entry: index[&entry.pc],
            blocks: Vec::new(),
            index,
            halves: None,
            quiet_at_entry: QuietSlots::default(),
        };
        region.blocks = blocks.into_iter().map(RegionBlock::new).collect();
        region.find_known_targets(&indirect);
        for rb in &mut region.blocks {
            rb.table = tables.get(&rb.block.last_pc()).cloned().unwrap_or_default();
            rb.skips = skips.get(&rb.block.key.pc).copied().unwrap_or(0);
        }
        region.find_successors();
        region.link_back();
        region.share_knowledge();
        region.join_halves();
        region.unroll(source);
        Some(region)
    }

    /// The index of the block at `pc`, in the first round of its loop.
    pub fn at(&self, pc: u64) -> Option<usize> {
        self.index.get(&pc).copied()
    }

    /// The block at `pc` that follows `block`, if it goes there.
    pub(crate) fn successor(&self, block: usize, pc: u64) -> Option<usize> {
        self.blocks[block].successors.iter().copied().find(|succ| self.blocks[*succ].block.key.pc == pc)
    }

    /// Is the branch that the block ends with taken on the way to that other one? `None` if it ends otherwise, or there are several ways.
    pub(crate) fn is_branch_taken(&self, from: usize, to: usize) -> Option<bool> {
        let block = &self.blocks[from].block;
        match block.term {
            _ if side_exits(block).next().is_some() => None,
            Terminator::Branch { taken, next, .. } if taken != next => Some(taken == self.blocks[to].block.key.pc),
            _ => None,
        }
    }

    /// Is the way from one block to another out of a loop of several rounds?
    pub(crate) fn ends_rounds(&self, from: usize, to: usize) -> bool {
        self.blocks[from].unrolled.is_some() && self.blocks[to].unrolled != self.blocks[from].unrolled
    }

    /// The guest address of the entry.
    pub fn entry_pc(&self) -> u64 {
        self.blocks[self.entry].block.key.pc
    }

    /// Number of guest instructions.
    pub fn insn_count(&self) -> usize {
        self.blocks.iter().map(|b| b.block.marks.len()).sum()
    }

    /// Addresses of the pages that any instruction of it lies on, or that a block depends on.
    pub fn pages(&self) -> BTreeSet<u64> {
        let spans = self.blocks.iter().map(|b| (b.block.key.pc, b.block.end()));
        let own =
            spans.flat_map(|(start, end)| (start / PAGE..=end.saturating_sub(1).max(start) / PAGE).map(|p| p * PAGE));
        own.chain(self.blocks.iter().flat_map(|b| b.block.beyond.iter().copied())).collect()
    }

    /// Gives each indirect jump the targets it was seen to take, and each return the return sites of the calls to the
    /// functions it ends.
    fn find_known_targets(&mut self, indirect: &Profile) {
        let mut sites: FxHashMap<usize, BTreeSet<usize>> = FxHashMap::default();
        for (i, b) in self.blocks.iter().enumerate() {
            sites.entry(i).or_default().extend(computed_targets(&b.block, indirect).filter_map(|pc| self.at(pc)));
        }
        for (callee, returns_to) in self.call_sites(indirect) {
            for ret in self.returns_of(callee, indirect) {
                sites.entry(ret).or_default().extend(&returns_to);
            }
        }
        for (ret, list) in sites {
            self.blocks[ret].known_targets = list.into_iter().take(MAX_KNOWN_TARGETS).collect();
        }
    }

    /// For each function called inside the region, the return sites that the region holds.
    fn call_sites(&self, indirect: &Profile) -> FxHashMap<usize, Vec<usize>> {
        let mut calls: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for b in &self.blocks {
            let (ret, callees) = match b.block.term {
                Terminator::Jump { target, kind: JumpKind::Call { ret } } => (ret, vec![target]),
                Terminator::Indirect { kind: IndirectKind::Call { ret }, .. } => {
                    (ret, computed_targets(&b.block, indirect).collect())
                }
                _ => continue,
            };
            let Some(site) = self.at(ret) else { continue };
            for callee in callees.into_iter().filter_map(|pc| self.at(pc)) {
                calls.entry(callee).or_default().push(site);
            }
        }
        calls
    }

    /// The returns reached from a function's entry without following calls.
    fn returns_of(&self, callee: usize, indirect: &Profile) -> Vec<usize> {
        let (mut seen, mut todo, mut returns) = (FxHashSet::from_iter([callee]), vec![callee], vec![]);
        while let Some(i) = todo.pop() {
            let block = &self.blocks[i].block;
            let next: Vec<u64> = match block.term {
                Terminator::Jump { kind: JumpKind::Call { ret }, .. } => vec![ret],
                Terminator::Jump { target, .. } => vec![target],
                Terminator::Branch { taken, next, .. } => vec![taken, next],
                Terminator::Indirect { kind: IndirectKind::Call { ret }, .. } => vec![ret],
                Terminator::Indirect { kind: IndirectKind::Return, .. } => {
                    returns.push(i);
                    vec![]
                }
                Terminator::Syscall { next } | Terminator::Exit { next, .. } => vec![next],
                Terminator::Indirect { kind: IndirectKind::Jump, .. } => computed_targets(block, indirect).collect(),
                Terminator::ExitTo { .. } | Terminator::Trap { .. } => vec![],
            };
            let next = next.into_iter().chain(side_exits(block));
            todo.extend(next.filter_map(|pc| self.at(pc)).filter(|i| seen.insert(*i)));
        }
        returns
    }

    /// Notes where each block goes.
    pub(crate) fn find_successors(&mut self) {
        for i in 0..self.blocks.len() {
            let mut list: Vec<usize> =
                direct_targets(&self.blocks[i].block).into_iter().filter_map(|pc| self.at(pc)).collect();
            list.extend(&self.blocks[i].known_targets);
            list.sort_unstable();
            list.dedup();
            self.blocks[i].successors = list;
        }
    }

    /// Notes where each block is come to from, given the successors.
    pub(crate) fn link_back(&mut self) {
        for rb in &mut self.blocks {
            rb.predecessors.clear();
            rb.latches.clear();
        }
        for i in 0..self.blocks.len() {
            for succ in self.blocks[i].successors.clone() {
                self.blocks[succ].predecessors.push(i);
            }
        }
        self.find_back_edges();
    }

    /// Notes the back edges of one depth-first walk.
    fn find_back_edges(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            No,
            OnPath,
            Done,
        }
        let mut seen = vec![Seen::No; self.blocks.len()];
        let mut path = vec![(self.entry, 0)];
        seen[self.entry] = Seen::OnPath;
        while let Some((block, next)) = path.pop() {
            let Some(&succ) = self.blocks[block].successors.get(next) else {
                seen[block] = Seen::Done;
                continue;
            };
            path.push((block, next + 1));
            match seen[succ] {
                Seen::OnPath => self.blocks[succ].latches.push(block),
                Seen::No => {
                    seen[succ] = Seen::OnPath;
                    path.push((succ, 0));
                }
                Seen::Done => {}
            }
        }
    }
}

/// Addresses that the block's terminator names, and where it may be left for before.
pub(crate) fn direct_targets(block: &Block) -> Vec<u64> {
    let mut targets = match block.term {
        Terminator::Jump { target, .. } => vec![target],
        Terminator::Branch { taken, next, .. } => vec![taken, next],
        _ => vec![],
    };
    targets.extend(side_exits(block));
    targets
}

/// The interpreter finds their faults again.
fn with_combined_accesses(mut block: Arc<Block>) -> Arc<Block> {
    if has_parts_of_accesses(&block) {
        combine_accesses(Arc::make_mut(&mut block));
    }
    block
}

/// Where the block may be left for in the middle.
fn side_exits(block: &Block) -> impl Iterator<Item = u64> {
    block.insts.iter().filter_map(|inst| match inst {
        Inst::LeaveIf { target, .. } => Some(*target),
        _ => None,
    })
}

/// Targets of indirect jumps, by the jump's address: blocks that begin at several places end with one.
type Profile = FxHashMap<u64, BTreeSet<u64>>;

/// Where the jump or call that ends the block has gone, if that is computed.
fn computed_targets(block: &Block, indirect: &Profile) -> impl Iterator<Item = u64> {
    let jumps = matches!(block.term, Terminator::Indirect { kind: IndirectKind::Jump | IndirectKind::Call { .. }, .. });
    let targets = if jumps { indirect.get(&block.last_pc()) } else { None };
    targets.into_iter().flatten().copied()
}

/// What [`collect`] found.
struct Found {
    blocks: BTreeMap<u64, Arc<Block>>,
    indirect: Profile,
    /// Of computed jumps, by their addresses.
    tables: FxHashMap<u64, Arc<[u64]>>,
}

/// What a block costs besides its instructions: it has exits, and registers come into it and leave it.
const BLOCK_COST: usize = 2;

/// Breadth first from the entry until the budget is used up.
fn collect(entry: BlockKey, budget: usize, source: &mut dyn BlockSource) -> Option<Found> {
    let mut found = BTreeMap::new();
    let (mut indirect, mut tables) = (Profile::default(), FxHashMap::default());
    let first = source.block(entry, budget)?;
    let cost = |block: &Block| block.marks.len() + BLOCK_COST;
    let mut left = budget.saturating_sub(cost(&first));
    let mut todo = VecDeque::from([first]);
    let mut asked = FxHashSet::from_iter([entry.pc]);
    while let Some(block) = todo.pop_front() {
        let mut targets = direct_targets(&block);
        if let Terminator::Indirect { kind: IndirectKind::Jump | IndirectKind::Call { .. }, .. } = block.term {
            targets = source.indirect_targets(block.key);
            if targets.len() > MAX_COMPARES {
                let table = switch::targets_of(&block, source);
                if targets.len() >= MANY_TARGETS {
                    targets.extend(&table);
                }
                if !table.is_empty() {
                    tables.insert(block.last_pc(), table.into());
                }
            }
            indirect.entry(block.last_pc()).or_default().extend(&targets);
        }
        if let Terminator::Jump { kind: JumpKind::Call { ret }, .. }
        | Terminator::Indirect { kind: IndirectKind::Call { ret }, .. } = block.term
        {
            targets.push(ret);
        }
        found.insert(block.key.pc, block);
        for pc in targets {
            if left > BLOCK_COST
                && asked.insert(pc)
                && let Some(block) = source.block(BlockKey { pc, ..entry }, left - BLOCK_COST)
            {
                // A delay slot stays with its branch, even if it is one too many.
                left = left.saturating_sub(cost(&block));
                todo.push_back(block);
            }
        }
    }
    Some(Found { blocks: found, indirect, tables })
}

/// Cuts each block at the start of another one that lies inside it, so that no instruction is compiled twice.
fn split_overlaps(mode: u32, found: &mut BTreeMap<u64, Arc<Block>>, source: &mut dyn BlockSource) {
    let starts: Vec<u64> = found.keys().copied().collect();
    for pc in starts {
        let block = &found[&pc];
        let Some((&inner, _)) = found.range(pc + 1..block.end()).next() else { continue };
        let Ok(keep) = block.marks.binary_search_by_key(&inner, |m| m.pc) else { continue };
        if let Some(cut) = source.block(BlockKey { pc, mode }, keep)
            && cut.end() == inner
        {
            found.insert(pc, cut);
        }
    }
}
