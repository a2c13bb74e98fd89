//! How a decoder makes a [`Block`].

use crate::block::{Block, BlockKey, InsnMark, Inst, NO_VALUE, Terminator, Value};
use crate::eval;
use crate::guest::TrapKind;
use crate::op::BinaryOp::{Add, Or, Shl, ShrS, ShrU, Sub, Xor};
use crate::op::*;
use crate::reserve::ScId;
use crate::spare::{INSTS, MARKS, Spare};
use crate::state::{GUEST_SLOTS, Slot};
use crate::types::Type;

/// Appends IR instructions; every method returns the value it defined.
///
/// Operands are taken as given: types are checked by [`crate::verify`]. Integer ops on constants, and what a zero register makes of
/// others (moves), are folded here, since blocks run before [`crate::opt`] sees them; the rest is folded there.
#[derive(Debug)]
pub struct Builder {
    key: BlockKey,
    nan: NanRule,
    insts: Vec<Inst>,
    marks: Vec<InsnMark>,
    beyond: Vec<u64>,
    /// The last load-reserved that nobody has asked for.
    reserved: Option<Value>,
    /// What each slot holds, or [`NO_VALUE`].
    known: [Value; GUEST_SLOTS],
}

impl Builder {
    /// An empty block.
    pub fn new(key: BlockKey) -> Builder {
        let (mut insts, mut marks) = (INSTS.with(Spare::take), MARKS.with(Spare::take));
        insts.reserve(64);
        marks.reserve(16);
        Builder {
            key,
            nan: NanRule::Canonical,
            insts,
            marks,
            beyond: Vec::new(),
            reserved: None,
            known: [NO_VALUE; GUEST_SLOTS],
        }
    }

    /// How floating-point ops treat NaNs ([`NanRule::Canonical`] unless told).
    pub fn set_nan_rule(&mut self, nan: NanRule) {
        self.nan = nan;
    }

    /// What follows belongs to the guest instruction at `pc`.
    pub fn begin_insn(&mut self, pc: u64, len: u8) {
        self.marks.push(InsnMark { pc, first: self.insts.len() as u32, len });
    }

    /// What the block is called.
    pub fn key(&self) -> BlockKey {
        self.key
    }

    /// Guest instructions so far.
    pub fn insn_count(&self) -> usize {
        self.marks.len()
    }

    /// Ends the block.
    pub fn finish(self, term: Terminator) -> Block {
        Block { key: self.key, nan: self.nan, insts: self.insts, marks: self.marks, term, beyond: self.beyond }
    }

    /// The instruction that defined `value`.
    pub fn inst(&self, value: Value) -> &Inst {
        &self.insts[value.index()]
    }

    /// The type of `value`.
    pub fn ty(&self, value: Value) -> Type {
        self.insts[value.index()].result().expect("a value is defined by an instruction with a result")
    }

    /// Appends any instruction. The value is meaningless if it defines none.
    pub fn push(&mut self, inst: Inst) -> Value {
        let value = Value(self.insts.len() as u32);
        match inst {
            Inst::Get { slot, .. } => self.known[slot.index()] = value,
            Inst::Set { slot, value, .. } => self.known[slot.index()] = value,
            Inst::Call { .. } => self.known = [NO_VALUE; GUEST_SLOTS],
            Inst::LoadReserved { .. } => self.reserved = Some(value),
            _ => {}
        }
        self.insts.push(inst);
        value
    }

    /// The load-reserved since this was last asked, and its type.
    pub fn take_reserved(&mut self) -> Option<(Value, Type)> {
        let value = self.reserved.take()?;
        Some((value, self.ty(value)))
    }

    /// Says what a load-reserved is good for, and which pages that was found out from.
    pub fn set_reserved(&mut self, value: Value, good_for: ScId, pages: &[u64]) {
        if let Inst::LoadReserved { id, .. } = &mut self.insts[value.index()] {
            *id = good_for;
        }
        self.beyond.extend(pages);
    }

    /// An integer constant, cut to the type.
    pub fn iconst(&mut self, ty: Type, value: i64) -> Value {
        self.push(Inst::Const { ty, bits: value as u64 & ty.mask() })
    }

    /// Reads a slot, unless what it holds is known.
    pub fn get(&mut self, ty: Type, slot: Slot) -> Value {
        let known = self.known[slot.index()];
        if known != NO_VALUE && self.ty(known) == ty {
            return known;
        }
        self.push(Inst::Get { ty, slot })
    }

    /// Writes a slot.
    pub fn set(&mut self, slot: Slot, value: Value) {
        let ty = self.ty(value);
        self.push(Inst::Set { ty, slot, value });
    }

    /// A unary integer op.
    pub fn unary(&mut self, op: UnaryOp, arg: Value) -> Value {
        let ty = self.ty(arg);
        self.push(Inst::Unary { op, ty, arg })
    }

    /// A binary integer op.
    pub fn binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        let ty = self.ty(a);
        match (self.constant(a), self.constant(b)) {
            (Some(x), Some(y)) => self.iconst(ty, eval::binary(op, ty, x, y) as i64),
            (Some(0), None) if matches!(op, Add | Or | Xor) => b,
            (None, Some(0)) if matches!(op, Add | Sub | Or | Xor | Shl | ShrU | ShrS) => a,
            _ => self.push(Inst::Binary { op, ty, args: [a, b] }),
        }
    }

    fn constant(&self, value: Value) -> Option<u64> {
        match *self.inst(value) {
            Inst::Const { bits, .. } => Some(bits),
            _ => None,
        }
    }

    /// `a + b`, wrapping.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`, wrapping.
    pub fn sub(&mut self, a: Value, b: Value) -> Value {
        self.binary(BinaryOp::Sub, a, b)
    }

    /// `a & b`.
    pub fn and(&mut self, a: Value, b: Value) -> Value {
        self.binary(BinaryOp::And, a, b)
    }

    /// `a | b`.
    pub fn or(&mut self, a: Value, b: Value) -> Value {
        self.binary(BinaryOp::Or, a, b)
    }

    /// `a ^ b`.
    pub fn xor(&mut self, a: Value, b: Value) -> Value {
        self.binary(BinaryOp::Xor, a, b)
    }

    /// A comparison; the result is an `i8`, 0 or 1.
    pub fn compare(&mut self, cond: Cond, a: Value, b: Value) -> Value {
        let ty = self.ty(a);
        self.push(Inst::Compare { cond, ty, args: [a, b] })
    }

    /// `a` if `cond` is not 0, else `b`.
    pub fn select(&mut self, cond: Value, a: Value, b: Value) -> Value {
        let ty = self.ty(a);
        self.push(Inst::Select { ty, cond, args: [a, b] })
    }

    /// A conversion to `ty`.
    pub fn convert(&mut self, op: ConvertOp, ty: Type, arg: Value) -> Value {
        match self.constant(arg) {
            Some(bits) => self.iconst(ty, eval::convert(op, self.ty(arg), ty, bits) as i64),
            None => self.push(Inst::Convert { op, ty, arg }),
        }
    }

    /// Sign-extends to `ty`, or nothing if it has that type.
    pub fn sext(&mut self, ty: Type, arg: Value) -> Value {
        if self.ty(arg) == ty { arg } else { self.convert(ConvertOp::Sext, ty, arg) }
    }

    /// Zero-extends to `ty`, or nothing if it has that type.
    pub fn zext(&mut self, ty: Type, arg: Value) -> Value {
        if self.ty(arg) == ty { arg } else { self.convert(ConvertOp::Zext, ty, arg) }
    }

    /// Truncates to `ty`, or nothing if it has that type.
    pub fn trunc(&mut self, ty: Type, arg: Value) -> Value {
        if self.ty(arg) == ty { arg } else { self.convert(ConvertOp::Trunc, ty, arg) }
    }

    /// A unary floating-point op.
    pub fn float_unary(&mut self, op: FloatUnaryOp, round: Round, arg: Value) -> Value {
        let ty = self.ty(arg);
        self.push(Inst::FloatUnary { op, ty, round, arg })
    }

    /// A binary floating-point op.
    pub fn float_binary(&mut self, op: FloatBinaryOp, round: Round, a: Value, b: Value) -> Value {
        let ty = self.ty(a);
        self.push(Inst::FloatBinary { op, ty, round, args: [a, b] })
    }

    /// `a * b + c`, rounded once.
    pub fn fma(&mut self, round: Round, a: Value, b: Value, c: Value) -> Value {
        let ty = self.ty(a);
        self.push(Inst::FloatFma { ty, round, args: [a, b, c] })
    }

    /// A floating-point comparison; the result is an `i8`.
    pub fn float_compare(&mut self, cond: FloatCond, quietness: Quietness, a: Value, b: Value) -> Value {
        let ty = self.ty(a);
        self.push(Inst::FloatCompare { cond, quietness, ty, args: [a, b] })
    }

    /// A rounding conversion to `ty`.
    pub fn float_convert(&mut self, op: FloatConvertOp, ty: Type, round: Round, arg: Value) -> Value {
        self.push(Inst::FloatConvert { op, ty, round, arg })
    }

    /// Reads memory.
    pub fn load(&mut self, ty: Type, access: Access, addr: Value, offset: i32) -> Value {
        self.push(Inst::Load { ty, access, addr, offset })
    }

    /// Writes memory.
    pub fn store(&mut self, access: Access, addr: Value, offset: i32, value: Value) {
        let ty = self.ty(value);
        self.push(Inst::Store { ty, access, addr, offset, value });
    }

    /// Calls a helper of the guest with up to three integer arguments.
    pub fn call(&mut self, helper: HelperId, ty: Type, args: &[Value]) -> Value {
        let mut list = [Value(0); 3];
        list[..args.len()].copy_from_slice(args);
        self.push(Inst::Call { helper, ty, count: args.len() as u8, args: list })
    }

    /// Traps if `cond` is not 0.
    pub fn trap_if(&mut self, cond: Value, kind: TrapKind) {
        self.push(Inst::TrapIf { cond, kind });
    }

    /// Goes on at `target`, without this guest instruction, if `cond` is not 0.
    pub fn leave_if(&mut self, cond: Value, target: u64) {
        self.push(Inst::LeaveIf { cond, target });
    }
}
