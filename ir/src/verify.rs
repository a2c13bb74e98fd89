//! Checks that a block is well formed. Run on every block in tests and wherever text is parsed.

use crate::block::{Block, Inst, Terminator, Value};
use crate::op::*;
use crate::types::Type;
use std::fmt;

/// What is wrong with a block, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// Index of the IR instruction; the number of instructions for the terminator.
    pub index: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inst {}: {}", self.index, self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Checks the invariants of [`Block`].
///
/// # Errors
/// The first violation.
pub fn verify(block: &Block) -> Result<(), VerifyError> {
    let v = Verifier { block };
    for (index, inst) in block.insts.iter().enumerate() {
        v.operands(index, inst)?;
        v.inst(index, inst)?;
    }
    v.terminator()?;
    v.marks()
}

struct Verifier<'a> {
    block: &'a Block,
}

impl Verifier<'_> {
    fn fail<T>(&self, index: usize, message: impl Into<String>) -> Result<T, VerifyError> {
        Err(VerifyError { index, message: message.into() })
    }

    fn check(&self, index: usize, ok: bool, message: &str) -> Result<(), VerifyError> {
        if ok { Ok(()) } else { self.fail(index, message) }
    }

    fn operands(&self, index: usize, inst: &Inst) -> Result<(), VerifyError> {
        inst.args().try_for_each(|arg| self.defined(index, arg))
    }

    fn defined(&self, index: usize, arg: Value) -> Result<(), VerifyError> {
        let def = self.block.insts.get(arg.index());
        let ok = arg.index() < index && def.is_some_and(|d| d.result().is_some());
        self.check(index, ok, &format!("v{} is not defined before its use", arg.0))
    }

    fn expect(&self, index: usize, arg: Value, ty: Type) -> Result<(), VerifyError> {
        let got = self.block.ty(arg);
        self.check(index, got == ty, &format!("v{} is {got}, not {ty}", arg.0))
    }

    fn expect_int(&self, index: usize, arg: Value) -> Result<(), VerifyError> {
        self.check(index, self.block.ty(arg).is_int(), &format!("v{} is not an integer", arg.0))
    }

    fn expect_addr(&self, index: usize, arg: Value) -> Result<(), VerifyError> {
        let ok = matches!(self.block.ty(arg), Type::I32 | Type::I64);
        self.check(index, ok, &format!("v{} cannot be an address", arg.0))
    }

    fn access(&self, index: usize, ty: Type, access: Access) -> Result<(), VerifyError> {
        let ok = matches!(access.bytes, 1 | 2 | 4 | 8) && access.bytes <= ty.bytes();
        self.check(index, ok, "access width does not fit the type")?;
        self.check(index, ty.is_int() || access.bytes == ty.bytes(), "a float is accessed whole")
    }

    fn inst(&self, index: usize, inst: &Inst) -> Result<(), VerifyError> {
        let int = |ty: Type| self.check(index, ty.is_int(), "the type must be an integer");
        let float = |ty: Type| self.check(index, ty.is_float(), "the type must be a float");
        let wide = |ty: Type| self.check(index, matches!(ty, Type::I32 | Type::I64), "the type must be i32 or i64");
        let all = |args: &[Value], ty: Type| args.iter().try_for_each(|a| self.expect(index, *a, ty));
        match *inst {
            Inst::Const { ty, bits } => self.check(index, bits & !ty.mask() == 0, "constant wider than its type"),
            Inst::Get { .. } | Inst::Fence { .. } | Inst::ReadFpFlags | Inst::ReadFpRound => Ok(()),
            Inst::Set { ty, value, .. } => self.expect(index, value, ty),
            Inst::Unary { ty, arg, .. } => int(ty).and_then(|()| self.expect(index, arg, ty)),
            Inst::Binary { ty, args, .. } | Inst::Compare { ty, args, .. } => int(ty).and_then(|()| all(&args, ty)),
            Inst::Select { ty, cond, args } => self.expect(index, cond, Type::I8).and_then(|()| all(&args, ty)),
            Inst::Convert { op, ty, arg } => self.convert(index, op, self.block.ty(arg), ty),
            Inst::FloatUnary { ty, arg, .. } | Inst::FloatClass { ty, arg } => {
                float(ty).and_then(|()| self.expect(index, arg, ty))
            }
            Inst::FloatBinary { ty, args, .. } | Inst::FloatCompare { ty, args, .. } => {
                float(ty).and_then(|()| all(&args, ty))
            }
            Inst::FloatFma { ty, args, .. } => float(ty).and_then(|()| all(&args, ty)),
            Inst::FloatConvert { op, ty, arg, .. } => self.float_convert(index, op, self.block.ty(arg), ty),
            Inst::Load { ty, access, addr, .. } => {
                self.expect_addr(index, addr).and_then(|()| self.access(index, ty, access))
            }
            Inst::Store { ty, access, addr, value, .. } => {
                self.expect_addr(index, addr)?;
                self.expect(index, value, ty)?;
                self.access(index, ty, access)
            }
            Inst::AtomicRmw { ty, addr, value, .. } | Inst::StoreConditional { ty, addr, value, .. } => {
                int(ty)?;
                self.expect_addr(index, addr)?;
                self.expect(index, value, ty)
            }
            Inst::AtomicCas { ty, addr, expected, new } => {
                int(ty)?;
                self.expect_addr(index, addr)?;
                all(&[expected, new], ty)
            }
            Inst::LoadReserved { ty, addr, .. } => wide(ty).and_then(|()| self.expect_addr(index, addr)),
            Inst::WriteFpFlags { value } | Inst::WriteFpRound { value } => self.expect(index, value, Type::I32),
            Inst::Call { ty, count, .. } => {
                self.check(index, count <= 3, "more than three arguments")?;
                inst.args().try_for_each(|a| self.expect_int(index, a))?;
                int(ty)
            }
            Inst::TrapIf { cond, .. } | Inst::LeaveIf { cond, .. } => self.expect(index, cond, Type::I8),
        }
    }

    fn convert(&self, index: usize, op: ConvertOp, from: Type, to: Type) -> Result<(), VerifyError> {
        let ints = from.is_int() && to.is_int();
        let ok = match op {
            ConvertOp::Zext | ConvertOp::Sext => ints && from.bits() < to.bits(),
            ConvertOp::Trunc => ints && from.bits() > to.bits(),
            ConvertOp::Bitcast => from.bits() == to.bits() && from.is_int() != to.is_int(),
            ConvertOp::Box => from == Type::F32 && to == Type::F64,
            ConvertOp::Unbox => from == Type::F64 && to == Type::F32,
        };
        self.check(index, ok, &format!("{op:?} from {from} to {to}"))
    }

    fn float_convert(&self, index: usize, op: FloatConvertOp, from: Type, to: Type) -> Result<(), VerifyError> {
        let wide = |ty| matches!(ty, Type::I32 | Type::I64);
        let ok = match op {
            FloatConvertOp::ToIntS | FloatConvertOp::ToIntU => from.is_float() && wide(to),
            FloatConvertOp::FromIntS | FloatConvertOp::FromIntU => wide(from) && to.is_float(),
            FloatConvertOp::Format => from.is_float() && to.is_float() && from != to,
        };
        self.check(index, ok, &format!("{op:?} from {from} to {to}"))
    }

    fn terminator(&self) -> Result<(), VerifyError> {
        let end = self.block.insts.len();
        match self.block.term {
            Terminator::Branch { cond, .. } => {
                self.defined(end, cond)?;
                self.expect(end, cond, Type::I8)
            }
            Terminator::Indirect { target, .. } | Terminator::ExitTo { target, .. } => {
                self.defined(end, target)?;
                self.expect_addr(end, target)
            }
            _ => Ok(()),
        }
    }

    /// Marks are ordered, start at the beginning, and within one instruction no fault follows a `Set`.
    fn marks(&self) -> Result<(), VerifyError> {
        let marks = &self.block.marks;
        self.check(0, marks.first().is_some_and(|m| m.first == 0), "the first instruction starts at inst 0")?;
        self.check(0, marks.is_sorted_by_key(|m| m.first), "instruction marks are out of order")?;
        for (i, mark) in marks.iter().enumerate() {
            let end = marks.get(i + 1).map_or(self.block.insts.len(), |m| m.first as usize);
            let insts = self.block.insts.get(mark.first as usize..end).unwrap_or_default();
            let first_set = insts.iter().position(|x| matches!(x, Inst::Set { .. })).unwrap_or(insts.len());
            if let Some(late) = insts[first_set..].iter().position(Inst::can_fault) {
                return self.fail(mark.first as usize + first_set + late, "may fault after a register was set");
            }
        }
        Ok(())
    }
}
