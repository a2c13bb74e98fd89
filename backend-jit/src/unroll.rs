//! Unrolling: small loops that run often get several rounds, of which one polls.
//!
//! A round of a loop of a few instructions costs as much again for the poll, for the jump back, and for moving what the registers hold to
//! where the next round looks for it. Of the rounds made here only the first has the poll and the last the jump, and what one leaves the
//! next one takes as it is.

use crate::analysis::SlotSet;
use crate::region::{BlockSource, Region, RegionBlock, direct_targets};
use emu_ir::eval::sign_extend;
use emu_ir::{BinaryOp, Block, BlockKey, Inst, JumpKind, Terminator};
use std::sync::Arc;

/// Guest instructions that all rounds of a loop may have together.
const LOOP_INSNS: usize = 48;
/// Most rounds.
const MAX_ROUNDS: usize = 4;
/// Guest instructions that a region may get in this way.
const REGION_INSNS: usize = 400;
/// Bytes: the longest step of an address that is short.
const SHORT_STEP: u64 = 64;

impl Region {
    /// Gives the innermost loops that run often more rounds.
    pub(crate) fn unroll(&mut self, source: &dyn BlockSource) {
        let mut left = REGION_INSNS;
        for header in 0..self.blocks.len() {
            let Some(body) = self.small_loop(header) else { continue };
            let insns: usize = body.iter().map(|i| self.blocks[*i].block.marks.len()).sum();
            let rounds = (LOOP_INSNS / insns.max(1)).min(MAX_ROUNDS);
            let key = BlockKey { pc: self.blocks[header].block.key.pc, mode: self.mode };
            if rounds < 2 || insns * (rounds - 1) > left || !source.rounds_pay(key, &self.exits_of(&body)) {
                continue;
            }
            left -= insns * (rounds - 1);
            self.add_rounds(&body, rounds);
        }
    }

    /// The blocks of the loop that `header` is the head of, itself first: if it is a loop, entered there only, none inside it, and small.
    fn small_loop(&self, header: usize) -> Option<Vec<usize>> {
        let mut todo = self.blocks[header].latches.clone();
        if todo.is_empty() {
            return None;
        }
        let (mut body, mut insns) = (vec![header], self.blocks[header].block.marks.len());
        while let Some(i) = todo.pop() {
            if body.contains(&i) {
                continue;
            }
            let rb = &self.blocks[i];
            insns += rb.block.marks.len();
            if i == self.entry || rb.is_loop_header() || insns > LOOP_INSNS / 2 {
                return None;
            }
            body.push(i);
            todo.extend(&rb.predecessors);
        }
        self.gains_by_rounds(&body).then_some(body)
    }

    /// Addresses that the loop is left for.
    fn exits_of(&self, body: &[usize]) -> Vec<u64> {
        let inside = |pc: &u64| body.iter().any(|i| self.blocks[*i].block.key.pc == *pc);
        body.iter().flat_map(|i| direct_targets(&self.blocks[*i].block)).filter(|pc| !inside(pc)).collect()
    }

    /// Is the loop one without calls, and without loads that the host could not foresee in several rounds?
    ///
    /// Hosts fetch ahead what a load instruction will want, if it goes through memory in equal steps; but not over pages, so that those of
    /// several rounds in one must not be long.
    fn gains_by_rounds(&self, body: &[usize]) -> bool {
        let blocks: Vec<&Block> = body.iter().map(|i| &*self.blocks[*i].block).collect();
        let is_plain =
            |term| matches!(term, Terminator::Jump { kind: JumpKind::Plain, .. } | Terminator::Branch { .. });
        blocks.iter().all(|block| is_plain(block.term)) && !loads_far_apart(&blocks)
    }

    /// Appends copies of the loop `body`, the head of which is first, so that each round goes on to the next one's.
    fn add_rounds(&mut self, body: &[usize], rounds: usize) {
        let first_new = self.blocks.len();
        // Where a block of the loop is in a round.
        let in_round = |round: usize, place: usize| match round {
            0 => body[place],
            _ => first_new + (round - 1) * body.len() + place,
        };
        let originals: Vec<_> = body.iter().map(|i| &self.blocks[*i]).collect();
        let mut made: Vec<RegionBlock> = Vec::new();
        for round in 0..rounds {
            let goes_to = |succ: &usize| match body.iter().position(|i| i == succ) {
                None => *succ,
                Some(0) => in_round((round + 1) % rounds, 0),
                Some(place) => in_round(round, place),
            };
            made.extend(originals.iter().map(|rb| RegionBlock {
                successors: rb.successors.iter().map(goes_to).collect(),
                known_targets: rb.known_targets.iter().map(goes_to).collect(),
                unrolled: Some(body[0]),
                before: rb.before.clone(),
                skips: rb.skips,
                ..RegionBlock::new(Arc::clone(&rb.block))
            }));
        }
        let copies = made.split_off(body.len());
        for (i, rb) in body.iter().zip(made) {
            self.blocks[*i] = rb;
        }
        self.blocks.extend(copies);
        self.link_back();
    }
}

/// Does the loop go through what it loads in steps that are not short, or not constant?
fn loads_far_apart(loop_blocks: &[&Block]) -> bool {
    let mut bases = SlotSet::default();
    for block in loop_blocks {
        for inst in &block.insts {
            if let Inst::Load { addr, .. } = inst
                && let Inst::Get { slot, .. } = block.insts[addr.index()]
            {
                bases.insert(slot);
            }
        }
    }
    loop_blocks.iter().any(|block| block.insts.iter().any(|inst| makes_long_step(block, inst, bases)))
}

/// Does the instruction add to one of the registers what is not a small constant?
fn makes_long_step(block: &Block, inst: &Inst, registers: SlotSet) -> bool {
    let Inst::Set { slot, value, .. } = *inst else { return false };
    let Inst::Binary { op: BinaryOp::Add | BinaryOp::Sub, args: [before, step], .. } = block.insts[value.index()]
    else {
        return false;
    };
    let is_same = matches!(block.insts[before.index()], Inst::Get { slot: from, .. } if from == slot);
    let is_short = match block.insts[step.index()] {
        Inst::Const { ty, bits } => sign_extend(ty, bits).unsigned_abs() <= SHORT_STEP,
        _ => false,
    };
    registers.contains(slot) && is_same && !is_short
}
