//! Printing.

use super::Names;
use crate::block::{Block, IndirectKind, Inst, JumpKind, Terminator, Value};
use crate::guest::TrapKind;
use crate::op::{Access, HelperId, NanRule};
use crate::reserve::ScId;
use crate::state::Slot;
use crate::types::Type;
use std::fmt::{self, Display, Formatter, Write};

/// The block's text, with the names given.
pub fn print(block: &Block, names: Names<'_>) -> String {
    Printer { block, names }.to_string()
}

impl Display for Block {
    /// The text form without a guest's names.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { block: self, names: Names::default() }.fmt(f)
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

struct Printer<'a> {
    block: &'a Block,
    names: Names<'a>,
}

impl Display for Printer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "block {:#x} mode {:#x}", self.block.key.pc, self.block.key.mode)?;
        if self.block.nan != NanRule::Canonical {
            write!(f, " nan {}", self.block.nan.name())?;
        }
        f.write_char('\n')?;
        let mut marks = self.block.marks.iter().peekable();
        for i in 0..=self.block.insts.len() {
            while let Some(mark) = marks.next_if(|m| m.first as usize <= i) {
                writeln!(f, "insn {:#x} len {}", mark.pc, mark.len)?;
            }
            match self.block.insts.get(i) {
                Some(inst) => self.inst(f, i, inst)?,
                None => self.terminator(f)?,
            }
        }
        Ok(())
    }
}

impl Printer<'_> {
    fn inst(&self, f: &mut Formatter<'_>, index: usize, inst: &Inst) -> fmt::Result {
        f.write_str("  ")?;
        if inst.result().is_some() {
            write!(f, "v{index} = ")?;
        }
        match *inst {
            Inst::Const { ty, bits } => write!(f, "const.{ty} {}", Constant(ty, bits)),
            Inst::Get { ty, slot } => write!(f, "get.{ty} {}", self.slot(slot)),
            Inst::Set { slot, value, .. } => write!(f, "set {}, {value}", self.slot(slot)),
            Inst::Call { helper, ty, .. } => {
                write!(f, "call.{ty} {}({})", self.helper(helper), Args(inst))
            }
            Inst::Load { ty, access, addr, offset } => {
                write!(f, "load.{ty}.{} {}", Width(access), Place(addr, offset))
            }
            Inst::Store { access, addr, offset, value, .. } => {
                write!(f, "store.{} {}, {value}", Width(access), Place(addr, offset))
            }
            Inst::TrapIf { cond, kind } => write!(f, "trap_if {cond}, {kind}"),
            Inst::LeaveIf { cond, target } => write!(f, "leave_if {cond}, {target:#x}"),
            Inst::LoadReserved { id, .. } | Inst::StoreConditional { id, .. } => {
                write!(f, "{} {}{}", Opcode(inst), Args(inst), For(id))
            }
            _ => write!(f, "{} {}", Opcode(inst), Args(inst)),
        }?;
        f.write_char('\n')
    }

    fn slot(&self, slot: Slot) -> String {
        let named = self.names.slots.iter().find(|info| info.slot == slot);
        named.map_or_else(|| format!("slot{}", slot.0), |info| info.name.to_owned())
    }

    fn helper(&self, id: HelperId) -> String {
        let named = self.names.helpers.get(usize::from(id.0));
        named.map_or_else(|| format!("helper{}", id.0), |def| def.name.to_owned())
    }

    fn terminator(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("  ")?;
        match self.block.term {
            Terminator::Jump { target, kind: JumpKind::Plain } => write!(f, "jump {target:#x}"),
            Terminator::Jump { target, kind: JumpKind::Call { ret } } => write!(f, "call {target:#x} ret {ret:#x}"),
            Terminator::Branch { cond, taken, next } => write!(f, "branch {cond}, {taken:#x}, {next:#x}"),
            Terminator::Indirect { target, kind: IndirectKind::Jump } => write!(f, "jump {target}"),
            Terminator::Indirect { target, kind: IndirectKind::Call { ret } } => {
                write!(f, "call {target} ret {ret:#x}")
            }
            Terminator::Indirect { target, kind: IndirectKind::Return } => write!(f, "return {target}"),
            Terminator::Syscall { next } => write!(f, "syscall next {next:#x}"),
            Terminator::Trap { kind } => write!(f, "trap {kind}"),
            Terminator::ExitTo { kind, target } => write!(f, "exit {} to {target}", kind.name()),
            Terminator::Exit { kind, next } => write!(f, "exit {} next {next:#x}", kind.name()),
        }?;
        f.write_char('\n')
    }
}

/// The name with its suffixes of an instruction that has nothing but values after it.
struct Opcode<'a>(&'a Inst);

impl Display for Opcode<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self.0 {
            Inst::Unary { op, ty, .. } => write!(f, "{}.{ty}", op.name()),
            Inst::Binary { op, ty, .. } => write!(f, "{}.{ty}", op.name()),
            Inst::Compare { cond, ty, .. } => write!(f, "icmp.{}.{ty}", cond.name()),
            Inst::Select { ty, .. } => write!(f, "select.{ty}"),
            Inst::Convert { op, ty, .. } => write!(f, "{}.{ty}", op.name()),
            Inst::FloatUnary { op, ty, round, .. } => write!(f, "{}.{ty}.{}", op.name(), round.name()),
            Inst::FloatBinary { op, ty, round, .. } => write!(f, "{}.{ty}.{}", op.name(), round.name()),
            Inst::FloatFma { ty, round, .. } => write!(f, "fma.{ty}.{}", round.name()),
            Inst::FloatCompare { cond, quietness, ty, .. } => {
                write!(f, "{}.{}.{ty}", quietness.name(), cond.name())
            }
            Inst::FloatClass { ty, .. } => write!(f, "fclass.{ty}"),
            Inst::FloatConvert { op, ty, round, .. } => write!(f, "{}.{ty}.{}", op.name(), round.name()),
            Inst::AtomicRmw { op, ty, .. } => write!(f, "rmw.{}.{ty}", op.name()),
            Inst::AtomicCas { ty, .. } => write!(f, "cas.{ty}"),
            Inst::LoadReserved { ty, .. } => write!(f, "lr.{ty}"),
            Inst::StoreConditional { ty, .. } => write!(f, "sc.{ty}"),
            Inst::Fence { kind } => write!(f, "fence.{}", kind.name()),
            Inst::ReadFpFlags => f.write_str("fpflags"),
            Inst::WriteFpFlags { .. } => f.write_str("set_fpflags"),
            Inst::ReadFpRound => f.write_str("fpround"),
            Inst::WriteFpRound { .. } => f.write_str("set_fpround"),
            Inst::Const { .. }
            | Inst::Get { .. }
            | Inst::Set { .. }
            | Inst::Load { .. }
            | Inst::Store { .. }
            | Inst::Call { .. }
            | Inst::TrapIf { .. }
            | Inst::LeaveIf { .. } => unreachable!("printed apart"),
        }
    }
}

/// The name of a store-conditional, if there is one.
struct For(ScId);

impl Display for For {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            ScId::NONE => Ok(()),
            id if id.is_any() => f.write_str(" for any"),
            ScId(number) => write!(f, " for {number:#x}"),
        }
    }
}

/// The values that an instruction uses, with commas.
struct Args<'a>(&'a Inst);

impl Display for Args<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.0.args().enumerate() {
            write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Small integers in decimal with their sign, others as hexadecimal bits.
struct Constant(Type, u64);

impl Display for Constant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let signed = crate::eval::sign_extend(self.0, self.1);
        if self.0.is_int() && signed.unsigned_abs() <= 4096 {
            write!(f, "{signed}")
        } else {
            write!(f, "{:#x}", self.1)
        }
    }
}

struct Width(Access);

impl Display for Width {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Access { bytes, signed, big_endian } = self.0;
        write!(f, "{}{bytes}{}", if signed { 's' } else { 'u' }, if big_endian { "be" } else { "" })
    }
}

struct Place(Value, i32);

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.1 {
            0 => write!(f, "{}", self.0),
            offset => write!(f, "{}{offset:+}", self.0),
        }
    }
}

impl Display for TrapKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TrapKind::IllegalInstruction { word } => write!(f, "illegal {word:#x}"),
            TrapKind::Breakpoint { code } => write!(f, "breakpoint {code}"),
            TrapKind::Conditional { code } => write!(f, "conditional {code}"),
            TrapKind::IntegerOverflow => f.write_str("overflow"),
            TrapKind::FloatException => f.write_str("float_exception"),
            TrapKind::CoprocessorUnusable { unit } => write!(f, "coprocessor {unit}"),
            TrapKind::MisalignedTarget => f.write_str("misaligned_target"),
        }
    }
}
