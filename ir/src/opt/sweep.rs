//! The backward pass: drops what nobody can see.

use crate::block::{Block, Inst, Value};
use crate::spare::Spare;

thread_local! {
    static NUMBERS: Spare<u32> = const { Spare::new() };
}

/// Drops register writes that are overwritten before anybody can look, and pure instructions without users.
pub(super) fn sweep(block: &mut Block) {
    let new_index = number(find_needed(block));
    let renumber = |value: &mut Value| value.0 = new_index[value.index()];
    for mark in &mut block.marks {
        mark.first = new_index[mark.first as usize];
    }
    let mut i = 0;
    block.insts.retain_mut(|inst| {
        inst.for_each_arg(renumber);
        i += 1;
        new_index[i] != new_index[i - 1]
    });
    if let Some(value) = block.term.arg_mut() {
        renumber(value);
    }
    NUMBERS.with(|spare| spare.give(new_index));
}

/// 1 for each instruction that stays, else 0; then a 0 for the end.
fn find_needed(block: &mut Block) -> Vec<u32> {
    // Of an instruction further up: its value is used. Of one already seen: it stays.
    let mut needed = NUMBERS.with(Spare::take);
    needed.resize(block.insts.len() + 1, 0);
    if let Some(value) = block.term.arg() {
        needed[value.index()] = 1;
    }
    // Registers that are written further down before anything can see them.
    let mut overwritten = 0u128;
    let mut next = block.marks.len();
    for i in (0..block.insts.len()).rev() {
        // From one guest instruction to the one before it.
        while next > 1 && block.marks[next - 1].first as usize > i {
            next -= 1;
            let insn = block.marks[next - 1].first as usize..block.marks[next].first as usize;
            if block.insts[insn].iter().any(Inst::is_unrepeatable) {
                overwritten = 0;
            }
        }
        let inst = &mut block.insts[i];
        let stays = match inst {
            Inst::Set { slot, .. } => overwritten & 1 << slot.0 == 0,
            _ => needed[i] == 1 || !inst.is_pure(),
        };
        needed[i] = stays.into();
        if !stays {
            continue;
        }
        match inst {
            Inst::Get { slot, .. } => overwritten &= !(1 << slot.0),
            Inst::Set { slot, .. } => overwritten |= 1 << slot.0,
            _ if inst.can_fault() => overwritten = 0,
            _ => {}
        }
        inst.for_each_arg(|arg| needed[arg.index()] = 1);
    }
    needed
}

/// From "stays" to the new index, which for the end is the new length.
fn number(mut needed: Vec<u32>) -> Vec<u32> {
    let mut next = 0;
    for entry in &mut needed {
        let stays = std::mem::replace(entry, next);
        next += stays;
    }
    needed
}
