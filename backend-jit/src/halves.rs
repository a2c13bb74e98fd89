//! Two registers that hold the halves of 64 bits, as HI and LO of MIPS do for MADD and its kin.
//!
//! Put together and taken apart again each time, what a loop adds up goes through half a dozen instructions, each of which waits for the one before.
//! A region with such a loop keeps the whole in a register of its own, [`WHOLE`], which each of its blocks leaves as it has left the two.

use crate::analysis::SlotSet;
use crate::region::Region;
use emu_ir::opt::optimize;
use emu_ir::{BinaryOp, Block, ConvertOp, Inst, SPARE_SLOT, Slot, Type, Value};
use std::sync::Arc;

/// The register of the whole: none of the guest's. Its place in memory is good inside the region alone.
pub(crate) const WHOLE: Slot = SPARE_SLOT;

/// The two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Halves {
    pub(crate) high: Slot,
    pub(crate) low: Slot,
    /// Of both.
    pub(crate) ty: Type,
}

/// What is put together of two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {
    /// What two registers held where the block began.
    Before(Halves),
    /// A value that the halves were taken of.
    Of(Value),
}

impl Region {
    /// Keeps the whole of two registers in one, if the region has a loop that adds to it.
    pub(crate) fn join_halves(&mut self) {
        let found = (0..self.blocks.len()).find_map(|i| {
            let block = &self.blocks[i].block;
            let halves = (0..block.insts.len()).find_map(|at| match whole(&block.insts, Value(at as u32))? {
                Whole::Before(halves) => Some(halves),
                Whole::Of(_) => None,
            })?;
            (taken_of_one(block, halves).is_some() && self.is_in_loop(i)).then_some(halves)
        });
        let Some(halves) = found else { return };
        if !self.blocks.iter().all(|rb| can_join(&rb.block, halves)) {
            return;
        }
        for rb in &mut self.blocks {
            if let Some(joined) = joined(&rb.block, halves) {
                rb.block = Arc::new(joined);
            }
        }
        self.halves = Some(halves);
    }

    /// Does a way lead from the block back to it?
    fn is_in_loop(&self, block: usize) -> bool {
        let (mut seen, mut todo) = (vec![false; self.blocks.len()], self.blocks[block].successors.clone());
        while let Some(i) = todo.pop() {
            if !std::mem::replace(&mut seen[i], true) {
                todo.extend(&self.blocks[i].successors);
            }
        }
        seen[block]
    }
}

fn is_half(slot: Slot, halves: Halves) -> bool {
    slot == halves.high || slot == halves.low
}

/// Are the registers what the block says, each time that it is left? And is the other one free?
fn can_join(block: &Block, halves: Halves) -> bool {
    let writes = block.insts.iter().any(|inst| matches!(*inst, Inst::Set { slot, .. } if is_half(slot, halves)));
    block.insts.iter().all(|inst| match *inst {
        Inst::Call { .. } => false,
        Inst::LeaveIf { .. } => !writes,
        Inst::Get { slot, ty } | Inst::Set { slot, ty, .. } => {
            slot != WHOLE && (!is_half(slot, halves) || ty == halves.ty)
        }
        _ => true,
    })
}

/// The block with the whole, if it has anything to do with it.
fn joined(block: &Block, halves: Halves) -> Option<Block> {
    let mut new = block.clone();
    let mut changed = false;
    for at in 0..new.insts.len() {
        let value = Value(at as u32);
        match whole(&new.insts, value) {
            Some(Whole::Before(found)) if found == halves => new.insts[at] = Inst::Get { ty: Type::I64, slot: WHOLE },
            Some(Whole::Of(of)) => {
                let replace = |v: &mut Value| *v = if *v == value { of } else { *v };
                new.insts[at + 1..].iter_mut().for_each(|inst| inst.for_each_arg(replace));
                new.term.arg_mut().into_iter().for_each(replace);
            }
            _ => continue,
        }
        changed = true;
    }
    if last_values(&new, halves) != [None, None] {
        let value = taken_of_one(&new, halves).unwrap_or_else(|| put_together(&mut new, halves));
        new.insts.push(Inst::Set { ty: Type::I64, slot: WHOLE, value });
        changed = true;
    }
    if changed {
        optimize(&mut new);
    }
    changed.then_some(new)
}

/// What the block writes to the two registers last.
fn last_values(block: &Block, halves: Halves) -> [Option<Value>; 2] {
    [halves.high, halves.low].map(|half| {
        block.insts.iter().rev().find_map(|inst| match *inst {
            Inst::Set { slot, value, .. } if slot == half => Some(value),
            _ => None,
        })
    })
}

/// The value of 64 bits of which the block gives both registers their halves.
fn taken_of_one(block: &Block, halves: Halves) -> Option<Value> {
    let [high, low] = last_values(block, halves);
    let (high, low) = (high_half_of(&block.insts, high?)?, low_half_of(&block.insts, low?)?);
    (high == low).then_some(low)
}

/// Appends what makes the whole of what the block leaves in the two registers.
fn put_together(block: &mut Block, halves: Halves) -> Value {
    let last = last_values(block, halves);
    let mut push = |inst: Inst| {
        block.insts.push(inst);
        Value(block.insts.len() as u32 - 1)
    };
    let mut parts = [halves.high, halves.low].into_iter().zip(last).map(|(slot, value)| {
        let value = value.unwrap_or_else(|| push(Inst::Get { ty: halves.ty, slot }));
        let low = match halves.ty {
            Type::I32 => value,
            _ => push(Inst::Convert { op: ConvertOp::Trunc, ty: Type::I32, arg: value }),
        };
        push(Inst::Convert { op: ConvertOp::Zext, ty: Type::I64, arg: low })
    });
    let (high, low) = (parts.next().expect("of two"), parts.next().expect("of two"));
    drop(parts);
    let amount = push(Inst::Const { ty: Type::I64, bits: 32 });
    let high = push(Inst::Binary { op: BinaryOp::Shl, ty: Type::I64, args: [high, amount] });
    push(Inst::Binary { op: BinaryOp::Or, ty: Type::I64, args: [high, low] })
}

fn constant(insts: &[Inst], v: Value) -> Option<u64> {
    match insts[v.index()] {
        Inst::Const { bits, .. } => Some(bits),
        _ => None,
    }
}

/// What the value's low 32 bits are those of.
fn low_bits_of(insts: &[Inst], mut v: Value) -> Value {
    while let Inst::Convert { op: ConvertOp::Zext | ConvertOp::Sext | ConvertOp::Trunc, arg, .. } = insts[v.index()]
        && [v, arg].iter().all(|v| matches!(insts[v.index()].result(), Some(Type::I32 | Type::I64)))
    {
        v = arg;
    }
    v
}

/// The 64 bits that the value's low 32 are the low half of.
fn low_half_of(insts: &[Inst], v: Value) -> Option<Value> {
    Some(low_bits_of(insts, v)).filter(|v| insts[v.index()].result() == Some(Type::I64))
}

/// The 64 bits that the value's low 32 are the high half of.
fn high_half_of(insts: &[Inst], v: Value) -> Option<Value> {
    match insts[low_bits_of(insts, v).index()] {
        Inst::Binary { op: BinaryOp::ShrU | BinaryOp::ShrS, ty: Type::I64, args: [of, amount] } => {
            (constant(insts, amount) == Some(32)).then_some(of)
        }
        _ => None,
    }
}

/// Is the value `high << 32 | low`, of two halves that belong together?
fn whole(insts: &[Inst], v: Value) -> Option<Whole> {
    let Inst::Binary { op: BinaryOp::Or, ty: Type::I64, args } = insts[v.index()] else { return None };
    let of = |[high, low]: [Value; 2]| {
        let Inst::Binary { op: BinaryOp::Shl, args: [high, amount], .. } = insts[high.index()] else { return None };
        let is_zext = matches!(insts[low.index()], Inst::Convert { op: ConvertOp::Zext, arg, .. }
            if insts[arg.index()].result() == Some(Type::I32));
        if constant(insts, amount) != Some(32) || !is_zext {
            return None;
        }
        let registers = [high, low].map(|half| match insts[low_bits_of(insts, half).index()] {
            Inst::Get { ty, slot } => Some((ty, slot)),
            _ => None,
        });
        match registers {
            [Some((ty, high)), Some((low_ty, low))] if ty == low_ty && high != low => {
                let written = |slot| {
                    insts[..v.index()].iter().any(|inst| matches!(inst, Inst::Set { slot: s, .. } if *s == slot))
                };
                (!written(high) && !written(low)).then_some(Whole::Before(Halves { high, low, ty }))
            }
            _ => {
                let (of_high, of_low) = (high_half_of(insts, high)?, low_half_of(insts, low)?);
                (of_high == of_low).then_some(Whole::Of(of_low))
            }
        }
    };
    let [a, b] = args;
    of([a, b]).or_else(|| of([b, a]))
}

/// Slots that hold nothing of the guest's.
pub(crate) fn own_slots() -> SlotSet {
    SlotSet(1 << WHOLE.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::text::{Names, parse};

    const HALVES: Halves = Halves { high: Slot(64), low: Slot(65), ty: Type::I64 };

    fn joined_text(body: &str) -> String {
        let text = format!("block 0x0 mode 0x0\ninsn 0x0 len 4\n{body}  jump 0x4\n");
        let mut block = parse(&text, Names::default()).expect("a block");
        optimize(&mut block);
        assert!(can_join(&block, HALVES));
        let joined = joined(&block, HALVES).map(|block| block.to_string()).unwrap_or_default();
        joined.lines().skip(2).map(str::trim).collect::<Vec<_>>().join("; ")
    }

    /// As the front end makes MADD of MIPS64.
    const ADD: &str = "  v0 = get.i64 slot4
  v1 = get.i64 slot64
  v2 = get.i64 slot65
  v3 = trunc.i32 v1
  v4 = trunc.i32 v2
  v5 = zext.i64 v3
  v6 = zext.i64 v4
  v7 = const.i64 32
  v8 = shl.i64 v5, v7
  v9 = or.i64 v8, v6
  v10 = add.i64 v9, v0
  v11 = shru.i64 v10, v7
  v12 = trunc.i32 v11
  v13 = trunc.i32 v10
  v14 = sext.i64 v12
  v15 = sext.i64 v13
  set slot64, v14
  set slot65, v15
";

    #[test]
    fn a_sum_stays_whole() {
        let text = joined_text(ADD);
        assert!(text.contains("v2 = get.i64 slot127; v3 = add.i64 v2, v0; "), "{text}");
        assert!(!text.contains("or.i64") && text.ends_with("set slot127, v3; jump 0x4"), "{text}");
    }

    #[test]
    fn one_half_alone_makes_another_whole() {
        let text = joined_text("  v0 = get.i64 slot4\n  set slot65, v0\n");
        assert!(text.contains("get.i64 slot64") && text.contains("or.i64"), "{text}");
        assert_eq!(joined_text("  v0 = get.i64 slot64\n  set slot5, v0\n"), "", "nothing to do with it");
    }

    #[test]
    fn halves_that_were_written_before_are_no_whole_of_the_registers() {
        // One number more for each value behind the new instruction.
        let moved = (1..=15).rev().fold(ADD.to_string(), |text, n| {
            [" ", ",", "\n"]
                .iter()
                .fold(text, |text, end| text.replace(&format!("v{n}{end}"), &format!("v{}{end}", n + 1)))
        });
        let text = joined_text(&moved.replacen("slot4\n", "slot4\n  set slot64, v0\n", 1));
        assert!(!text.contains("get.i64 slot127") && text.contains("set slot127"), "{text}");
    }
}
