//! What the blocks of a region know of each other's registers.
//!
//! Each block has been optimised for itself, as if it could be come to from anywhere. Inside a region it is come to from known places: what
//! holds on every way there, constants and how many low bits of a register matter, makes another pass worth its while.

use crate::quiet::quiet_at_entry;
use crate::region::Region;
use emu_ir::opt::{Knowledge, optimize_knowing};
use emu_ir::{Block, IndirectKind, Inst, JumpKind, Terminator};
use std::sync::Arc;

/// Passes over all blocks after which nothing more is expected of another one: loops in loops take some.
const MAX_PASSES: usize = 8;

impl Region {
    /// Optimises the blocks by what is known where they are come to. Jumps may get a known target, branches become jumps.
    pub(crate) fn share_knowledge(&mut self) {
        let quiet = quiet_at_entry(self);
        let mut at_entry = Knowledge::default();
        quiet.iter().for_each(|(slot, ty)| at_entry.assume_quiet(slot, ty));
        let Some(before) = self.knowledge_before(at_entry) else { return };
        self.quiet_at_entry = quiet;
        let mut jumps_changed = false;
        for (i, before) in before.into_iter().enumerate() {
            let Some(before) = before.filter(|before| *before != Knowledge::default()) else { continue };
            let mut block = (*self.blocks[i].block).clone();
            optimize_knowing(&mut block, &before);
            if let Some(term) = self.known_way(i, &block) {
                block.term = term;
                self.blocks[i].known_targets.clear();
                jumps_changed = true;
            }
            self.blocks[i].block = Arc::new(block);
            self.blocks[i].before = Some(Arc::new(before));
        }
        if jumps_changed {
            self.find_successors();
            self.link_back();
        }
    }

    /// What is known before each block, if `at_entry` is where the region is entered; `None` for blocks that it does not lead to. `None` if that
    /// takes too long to find.
    fn knowledge_before(&self, at_entry: Knowledge) -> Option<Vec<Option<Knowledge>>> {
        let mut before: Vec<Option<Knowledge>> = vec![None; self.blocks.len()];
        before[self.entry] = Some(at_entry);
        let mut stale = vec![true; self.blocks.len()];
        let order = crate::residence::in_order(self);
        for _ in 0..MAX_PASSES {
            let mut changed = false;
            for &i in &order {
                if !std::mem::take(&mut stale[i]) {
                    continue;
                }
                let Some(known) = &before[i] else { continue };
                let rb = &self.blocks[i];
                let mut block = (*rb.block).clone();
                let at_end = optimize_knowing(&mut block, known);
                // Where it is left in the middle less may be known.
                let leaves_early = block.insts.iter().any(|inst| matches!(inst, Inst::LeaveIf { .. }));
                let after = if leaves_early { Knowledge::default() } else { at_end };
                for &succ in &rb.successors {
                    let after = match self.is_branch_taken(i, succ) {
                        Some(is_taken) => after.after_branch(&block, is_taken),
                        None => after.clone(),
                    };
                    let less = match &mut before[succ] {
                        Some(known) => known.meet(&after),
                        unknown => {
                            *unknown = Some(after);
                            true
                        }
                    };
                    stale[succ] |= less;
                    changed |= less;
                }
            }
            if !changed {
                return Some(before);
            }
        }
        None
    }

    /// The end of the block with this index, if it goes on in one way only although it might seem otherwise: one that it was known to go,
    /// since what is known has come by those ways.
    fn known_way(&self, index: usize, block: &Block) -> Option<Terminator> {
        let constant = |value: emu_ir::Value| match block.insts[value.index()] {
            Inst::Const { bits, .. } => Some(bits),
            _ => None,
        };
        match block.term {
            Terminator::Branch { cond, taken, next } if taken != next => {
                let target = if constant(cond)? == 0 { next } else { taken };
                Some(Terminator::Jump { target, kind: JumpKind::Plain })
            }
            Terminator::Indirect { target, kind } => {
                let target = constant(target).filter(|target| self.successor(index, *target).is_some())?;
                let kind = match kind {
                    IndirectKind::Call { ret } => JumpKind::Call { ret },
                    IndirectKind::Jump | IndirectKind::Return => JumpKind::Plain,
                };
                Some(Terminator::Jump { target, kind })
            }
            _ => None,
        }
    }
}
