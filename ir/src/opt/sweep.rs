//! The backward pass: drops what nobody can see.

use crate::block::{Block, Inst, Value};
use crate::spare::Spare;

thread_local! {
    static NUMBERS: Spare<u32> = const { Spare::new() };
}

/// Who looks at the registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// Registers that are overwritten after the block before anybody does, a bit for each.
    pub(super) overwritten: u128,
    /// Does somebody where a load or a store faults?
    pub(super) at_accesses: bool,
}

impl Looks {
    /// As an engine may that knows nothing of what follows.
    pub(super) const ALWAYS: Looks = Looks { overwritten: 0, at_accesses: true };

    /// At the instruction?
    fn at(self, inst: &Inst) -> bool {
        match inst {
            Inst::Load { .. } | Inst::Store { .. } => self.at_accesses,
            _ => inst.can_fault(),
        }
    }
}

/// Drops register writes that are overwritten before anybody can look, and pure instructions without users.
pub(super) fn sweep(block: &mut Block, looks: Looks) {
    let new_index = number(find_needed(block, looks));
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
fn find_needed(block: &mut Block, looks: Looks) -> Vec<u32> {
    // Of an instruction further up: its value is used. Of one already seen: it stays.
    let mut needed = NUMBERS.with(Spare::take);
    needed.resize(block.insts.len() + 1, 0);
    if let Some(value) = block.term.arg() {
        needed[value.index()] = 1;
    }
    // Registers that are written further down before anything can see them.
    let mut overwritten = looks.overwritten;
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
            _ if looks.at(inst) => overwritten = 0,
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

#[cfg(test)]
mod tests {
    use crate::opt::{optimize, optimize_inexact};
    use crate::text::{Names, parse};

    const TWICE: &str = "block 0x0 mode 0x0\ninsn 0x0 len 4\n  v0 = get.i64 slot1\n  v1 = const.i64 5\n  v2 = mul.i64 v0, v1\n  \
                         set slot2, v2\n  set slot3, v2\ninsn 0x4 len 4\n  v5 = load.i64.u8 v0\n  set slot2, v5\n  jump 0x8\n";

    #[test]
    fn what_only_a_fault_would_show_may_go() {
        let mut exact = parse(TWICE, Names::default()).expect("a block");
        optimize(&mut exact);
        assert!(exact.to_string().contains("set slot2, v2"), "{exact}");
        let mut block = exact.clone();
        optimize_inexact(&mut block, None, 0);
        let text = block.to_string();
        assert!(!text.contains("set slot2, v2") && text.contains("set slot3, v2"), "{text}");
        // What follows overwrites the other one.
        optimize_inexact(&mut block, None, 1 << 3);
        let text = block.to_string();
        assert!(!text.contains("slot3") && !text.contains("mul") && text.contains("set slot2"), "{text}");
    }

    #[test]
    fn who_leaves_shows_registers() {
        let leaves = TWICE.replace("v5 = load.i64.u8 v0\n", "v5 = call.i64 helper0()\n");
        let mut block = parse(&leaves, Names::default()).expect("a block");
        optimize(&mut block);
        let before = block.to_string();
        optimize_inexact(&mut block, None, 0);
        assert_eq!(block.to_string(), before);
    }
}
