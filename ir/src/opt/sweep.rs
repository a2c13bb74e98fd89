//! The backward pass: drops what nobody can see.

use super::terminator_value;
use crate::block::{Block, Inst, Terminator, Value};

/// Drops register writes that are overwritten before anybody can look, and pure instructions without users.
pub(super) fn sweep(block: &mut Block) {
    let keep = find_needed(block);
    let mut kept = 0;
    let new_index: Vec<u32> = keep
        .iter()
        .map(|keep| {
            kept += u32::from(*keep);
            kept - u32::from(*keep)
        })
        .collect();
    let renumber = |value: &mut Value| value.0 = new_index[value.index()];
    for mark in &mut block.marks {
        mark.first = new_index.get(mark.first as usize).copied().unwrap_or(kept);
    }
    let mut i = 0;
    block.insts.retain_mut(|inst| {
        i += 1;
        inst.for_each_arg(renumber);
        keep[i - 1]
    });
    match &mut block.term {
        Terminator::Branch { cond: value, .. } | Terminator::Indirect { target: value, .. } => renumber(value),
        _ => {}
    }
}

fn find_needed(block: &Block) -> Vec<bool> {
    // Of an instruction further up: its value is used. Of one already seen: it stays.
    let mut needed = vec![false; block.insts.len()];
    terminator_value(&block.term).inspect(|value| needed[value.index()] = true);
    // Registers that are written further down before anything can see them.
    let mut overwritten = 0u128;
    for (i, inst) in block.insts.iter().enumerate().rev() {
        needed[i] = match inst {
            Inst::Set { slot, .. } => overwritten & 1 << slot.0 == 0,
            _ => needed[i] || !inst.is_pure(),
        };
        if !needed[i] {
            continue;
        }
        match inst {
            Inst::Get { slot, .. } => overwritten &= !(1 << slot.0),
            Inst::Set { slot, .. } => overwritten |= 1 << slot.0,
            _ if inst.can_fault() => overwritten = 0,
            _ => {}
        }
        inst.args().for_each(|arg| needed[arg.index()] = true);
    }
    needed
}
