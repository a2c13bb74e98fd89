//! Branches: delay slots, branch-likely, compact branches and their forbidden slots. Nothing else knows of them.
//!
//! A branch with a delay slot and the instruction in the slot are translated together. Both carry the branch's address
//! (the second with the length of both): whatever the slot raises is reported at the branch, as `EPC` is, and whoever goes on
//! there runs the branch again. That is right because a branch changes nothing that it reads (the manual forbids to link
//! through a source register). [`crate::Mips::has_delay_slot`] tells `Cause.BD`. A block never ends between the two.
//!
//! - **The slot on the next page**: if it cannot be fetched, the block ends before the branch, and the branch alone gives
//!   that fault: its address is the slot's, the pc is the branch's.
//! - **A system call in the slot** goes on after the branch, in the slot, as Linux does it: the kernel adds 4 to `EPC`,
//!   makes the call, and comes to the same instruction again, no longer in a slot.
//! - **A branch in the slot** is unpredictable before Release 6 and reserved in it; it is a reserved instruction here.
//! - **Branch-likely**: where the branch is not taken the block is left for the code after the slot.
//! - **The forbidden slot** of a Release 6 compact branch is just the next instruction, except that it must not be a branch:
//!   if it is one and is reached by not taking the branch before it, it is a reserved instruction. That is reported at the
//!   first branch, with the word of the second (`EPC` would be the second's address): whoever goes on there has to find it again.

use crate::lower::{Flow, Lower};
use crate::table::{Control, InsnDef};
use crate::translate::Translator;
use emu_ir::{ExitKind, Fault, Fetch, IndirectKind, JumpKind, Terminator, TrapKind, Value};

/// Where a branch leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// To a known address.
    Pc(u64),
    /// To what a register held.
    Reg(Value),
}

/// What stands after a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A delay slot, always run.
    Delay,
    /// A delay slot, run if the branch is taken.
    Likely,
    /// Nothing special.
    None,
    /// What is run if the branch is not taken, and must not be a branch.
    Forbidden,
}

/// What a lowering function says of a branch. It has read its operands and written the return address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Branch {
    /// Taken if not 0; always if there is none.
    pub cond: Option<Value>,
    /// Where to.
    pub to: Target,
    /// Is it a call?
    pub links: bool,
    /// Is it a return, as far as the instruction tells?
    pub returns: bool,
    /// What follows it.
    pub slot: Slot,
}

/// The instruction after the branch `def` at `pc`, if it matters. Fetched before the branch is translated.
///
/// # Errors
/// The fault of a delay slot.
pub(crate) fn fetch_slot(
    translator: &Translator<'_>,
    code: &mut dyn Fetch,
    pc: u64,
    def: &InsnDef,
) -> Result<Option<u32>, Fault> {
    let slot = pc.wrapping_add(4) & translator.address_mask();
    match def.control {
        Control::Delayed => translator.fetch(slot, code).map(Some),
        // A fault there is for whoever gets there.
        Control::Compact => Ok(translator.fetch(slot, code).ok()),
        Control::None | Control::Alone => Ok(None),
    }
}

/// Runs the slot of a branch, and ends the block with the branch.
pub(crate) fn finish(translator: &Translator<'_>, t: &mut Lower, branch: Branch, slot: Option<u32>) -> Terminator {
    match (branch.slot, slot) {
        (Slot::None, _) | (_, None) => terminator(t, branch),
        (Slot::Forbidden, Some(word)) => {
            forbid(translator, t, branch, word);
            terminator(t, branch)
        }
        (Slot::Delay | Slot::Likely, Some(word)) => run_slot(translator, t, branch, word),
    }
}

fn run_slot(translator: &Translator<'_>, t: &mut Lower, branch: Branch, word: u32) -> Terminator {
    t.begin_slot();
    if let (Slot::Likely, Some(cond)) = (branch.slot, branch.cond) {
        let not_taken = t.not(cond);
        let after = t.pc_plus(8);
        t.ir.leave_if(not_taken, after);
    }
    let flow = match translator.find(word) {
        Some(def) if def.control == Control::None => translator.lower(t, def, word),
        _ => Flow::Illegal,
    };
    match flow {
        Flow::Next => terminator(t, branch),
        Flow::End(Terminator::Syscall { .. }) => Terminator::Syscall { next: t.pc_plus(4) },
        Flow::End(Terminator::Exit { kind, .. }) => exit(t, branch, kind),
        Flow::End(end) => end,
        Flow::Branch(_) | Flow::Illegal => Terminator::Trap { kind: TrapKind::IllegalInstruction { word } },
    }
}

/// A compact branch before another one: not taking it is a reserved instruction, at the second.
fn forbid(translator: &Translator<'_>, t: &mut Lower, branch: Branch, word: u32) {
    let Some(cond) = branch.cond else { return };
    if translator.find(word).is_some_and(|def| def.control != Control::None) {
        // Apart, since the branch may have linked.
        t.ir.begin_insn(t.pc, 4);
        let not_taken = t.not(cond);
        t.ir.trap_if(not_taken, TrapKind::IllegalInstruction { word });
    }
}

/// The address after the branch and its delay slot.
fn after(t: &Lower, branch: Branch) -> u64 {
    t.pc_plus(if matches!(branch.slot, Slot::Delay | Slot::Likely) { 8 } else { 4 })
}

fn terminator(t: &Lower, branch: Branch) -> Terminator {
    let ret = after(t, branch);
    match (branch.to, branch.cond) {
        (Target::Pc(taken), Some(cond)) if branch.slot != Slot::Likely => Terminator::Branch { cond, taken, next: ret },
        (Target::Pc(target), _) => {
            let kind = if branch.links { JumpKind::Call { ret } } else { JumpKind::Plain };
            Terminator::Jump { target, kind }
        }
        (Target::Reg(target), _) => {
            let kind = match branch {
                Branch { links: true, .. } => IndirectKind::Call { ret },
                Branch { returns: true, .. } => IndirectKind::Return,
                _ => IndirectKind::Jump,
            };
            Terminator::Indirect { target, kind }
        }
    }
}

/// The slot's instruction hands over to the machine, which then goes on where the branch leads.
fn exit(t: &mut Lower, branch: Branch, kind: ExitKind) -> Terminator {
    match (branch.to, branch.cond) {
        (Target::Reg(target), _) => Terminator::ExitTo { kind, target },
        (Target::Pc(taken), Some(cond)) if branch.slot != Slot::Likely => {
            let (taken, next) = (t.imm(taken as i64), t.imm(after(t, branch) as i64));
            let target = t.ir.select(cond, taken, next);
            Terminator::ExitTo { kind, target }
        }
        (Target::Pc(next), _) => Terminator::Exit { kind, next },
    }
}
