//! Computed jumps by a table in the guest's memory, as compilers make of `switch` and interpreters of their dispatch.
//!
//! In a region such a jump goes by a table of the host's, at the guest's own index, so that the host knows where to go on as
//! soon as the index is known, as if the program had been compiled for it. The guest's table is read when the region is
//! compiled, through the registers as they were at one of the jumps. That is no more than a guess: the address that the guest loads
//! is compared all the same, but with one constant, and nothing waits for it.

use crate::region::BlockSource;
use emu_ir::{BinaryOp, Block, Inst, Slot, Terminator, Value, eval};

/// Most entries of a table.
const MAX_ENTRIES: u64 = 256;
/// Most values that are looked at to find the index, or are computed for an entry.
const MAX_STEPS: u32 = 32;
/// Bytes: what is farther from the jump is not one of its targets, but behind the end of the table.
const MAX_DISTANCE: u64 = 1 << 18;

/// What chooses the target of the computed jump that ends the block: the index of the table that the target is loaded from.
pub(crate) fn index_of(block: &Block) -> Option<Value> {
    let Terminator::Indirect { target, .. } = block.term else { return None };
    let mut steps = MAX_STEPS;
    let table = find(block, target, &mut steps, &|value| match block.insts[value.index()] {
        Inst::Load { addr, .. } => Some(addr),
        _ => None,
    })?;
    find(block, table, &mut steps, &|value| scaled(block, value))
}

/// Where the jump goes for each index, as far as that can be told.
pub(crate) fn targets_of(block: &Block, source: &dyn BlockSource) -> Vec<u64> {
    let (Terminator::Indirect { target, .. }, Some(index)) = (block.term, index_of(block)) else { return Vec::new() };
    let entries = (0..MAX_ENTRIES).map_while(|at| Entry { block, source, index, at, steps: MAX_STEPS }.value(target));
    entries.take_while(|pc| pc.abs_diff(block.last_pc()) <= MAX_DISTANCE).collect()
}

/// The first of the values that `value` is computed from, without loads, for which `is_it` has an answer.
fn find<T>(block: &Block, value: Value, steps: &mut u32, is_it: &dyn Fn(Value) -> Option<T>) -> Option<T> {
    *steps = steps.checked_sub(1)?;
    is_it(value).or_else(|| match block.insts[value.index()] {
        Inst::Binary { args: [a, b], .. } => find(block, a, steps, is_it).or_else(|| find(block, b, steps, is_it)),
        Inst::Convert { arg, .. } => find(block, arg, steps, is_it),
        _ => None,
    })
}

/// What the value is 2, 4 or 8 times, in 64 bits or of 32.
fn scaled(block: &Block, value: Value) -> Option<Value> {
    let shift = |value: Value| match block.insts[value.index()] {
        Inst::Binary { op: op @ (BinaryOp::Shl | BinaryOp::ShrU), args: [of, by], .. } => {
            match block.insts[by.index()] {
                Inst::Const { bits, .. } => Some((op, of, bits)),
                _ => None,
            }
        }
        _ => None,
    };
    match shift(value)? {
        (BinaryOp::Shl, of, 1..=3) => Some(of),
        (BinaryOp::ShrU, word, 29..=31) => match shift(word)? {
            (BinaryOp::Shl, of, 32) => Some(of),
            _ => None,
        },
        _ => None,
    }
}

/// The block's values for one index.
struct Entry<'a> {
    block: &'a Block,
    source: &'a dyn BlockSource,
    index: Value,
    at: u64,
    steps: u32,
}

impl Entry<'_> {
    fn value(&mut self, value: Value) -> Option<u64> {
        if value == self.index {
            return Some(self.at);
        }
        self.steps = self.steps.checked_sub(1)?;
        Some(match self.block.insts[value.index()] {
            Inst::Const { bits, .. } => bits,
            Inst::Get { ty, slot } if !self.is_written(slot) => self.source.register(self.block.key, slot)? & ty.mask(),
            Inst::Unary { op, ty, arg } => eval::unary(op, ty, self.value(arg)?),
            Inst::Binary { op, ty, args: [a, b] } => eval::binary(op, ty, self.value(a)?, self.value(b)?),
            Inst::Convert { op, ty, arg } => eval::convert(op, self.block.ty(arg), ty, self.value(arg)?),
            Inst::Load { ty, access, addr, offset } => {
                let addr = eval::effective_address(self.block.ty(addr), self.value(addr)?, offset);
                eval::loaded(ty, access, self.source.load(addr, access.bytes)?)
            }
            _ => return None,
        })
    }

    /// Does the block change the register? Then what it was where the block began is not known.
    fn is_written(&self, register: Slot) -> bool {
        self.block.insts.iter().any(|inst| matches!(inst, Inst::Set { slot, .. } if *slot == register))
    }
}
