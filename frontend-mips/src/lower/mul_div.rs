//! Multiplication and division: with HI and LO up to Release 5, with one destination in Release 6.
//!
//! Division by zero is unpredictable up to Release 5 and in Release 6; compilers check by `teq`. Here it gives what the IR's total
//! division gives: a quotient of all ones and the dividend as the remainder.

use super::{Flow, Lower};
use crate::fields::Word;
use crate::regs::{HI, LO};
use emu_ir::{BinaryOp, ConvertOp, Slot, Type, Value};

/// HI or LO.
fn get(t: &mut Lower, slot: Slot) -> Value {
    t.ir.get(t.word(), slot)
}

/// HI and LO = these, sign-extended where they are of 32 bits.
fn set_hi_lo(t: &mut Lower, hi: Value, lo: Value) -> Flow {
    let (hi, lo) = (t.ir.sext(t.word(), hi), t.ir.sext(t.word(), lo));
    t.ir.set(HI, hi);
    t.ir.set(LO, lo);
    Flow::Next
}

/// MFHI.
pub fn mfhi(t: &mut Lower, w: Word) -> Flow {
    let value = get(t, HI);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// MFLO.
pub fn mflo(t: &mut Lower, w: Word) -> Flow {
    let value = get(t, LO);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// MTHI.
pub fn mthi(t: &mut Lower, w: Word) -> Flow {
    let value = t.gpr(w.rs());
    t.ir.set(HI, value);
    Flow::Next
}

/// MTLO.
pub fn mtlo(t: &mut Lower, w: Word) -> Flow {
    let value = t.gpr(w.rs());
    t.ir.set(LO, value);
    Flow::Next
}

/// HI:LO = the results of two ops on rs and rt.
fn two_results(t: &mut Lower, w: Word, ty: Type, hi: BinaryOp, lo: BinaryOp) -> Flow {
    let (a, b) = (t.gpr_as(ty, w.rs()), t.gpr_as(ty, w.rt()));
    let (hi, lo) = (t.ir.binary(hi, a, b), t.ir.binary(lo, a, b));
    set_hi_lo(t, hi, lo)
}

/// MULT.
pub fn mult(t: &mut Lower, w: Word) -> Flow {
    two_results(t, w, Type::I32, BinaryOp::MulHiS, BinaryOp::Mul)
}

/// MULTU.
pub fn multu(t: &mut Lower, w: Word) -> Flow {
    two_results(t, w, Type::I32, BinaryOp::MulHiU, BinaryOp::Mul)
}

/// DMULT.
pub fn dmult(t: &mut Lower, w: Word) -> Flow {
    two_results(t, w, Type::I64, BinaryOp::MulHiS, BinaryOp::Mul)
}

/// DMULTU.
pub fn dmultu(t: &mut Lower, w: Word) -> Flow {
    two_results(t, w, Type::I64, BinaryOp::MulHiU, BinaryOp::Mul)
}

/// HI:LO = the remainder and the quotient. The former is computed from the latter, the IR's total definition included:
/// a second division would cost as much as the first.
fn divide(t: &mut Lower, w: Word, ty: Type, op: BinaryOp) -> Flow {
    let (a, b) = (t.gpr_as(ty, w.rs()), t.gpr_as(ty, w.rt()));
    let lo = t.ir.binary(op, a, b);
    let product = t.ir.binary(BinaryOp::Mul, lo, b);
    let hi = t.ir.sub(a, product);
    set_hi_lo(t, hi, lo)
}

/// DIV.
pub fn div(t: &mut Lower, w: Word) -> Flow {
    divide(t, w, Type::I32, BinaryOp::DivS)
}

/// DIVU.
pub fn divu(t: &mut Lower, w: Word) -> Flow {
    divide(t, w, Type::I32, BinaryOp::DivU)
}

/// DDIV.
pub fn ddiv(t: &mut Lower, w: Word) -> Flow {
    divide(t, w, Type::I64, BinaryOp::DivS)
}

/// DDIVU.
pub fn ddivu(t: &mut Lower, w: Word) -> Flow {
    divide(t, w, Type::I64, BinaryOp::DivU)
}

/// HI:LO = HI:LO op rs * rt, on 64 bits.
fn accumulate(t: &mut Lower, w: Word, op: BinaryOp, extend: ConvertOp) -> Flow {
    let (a, b) = (t.w(w.rs()), t.w(w.rt()));
    let (a, b) = (t.ir.convert(extend, Type::I64, a), t.ir.convert(extend, Type::I64, b));
    let product = t.ir.binary(BinaryOp::Mul, a, b);
    let (hi, lo) = (get(t, HI), get(t, LO));
    let (hi, lo) = (t.ir.trunc(Type::I32, hi), t.ir.trunc(Type::I32, lo));
    let (hi, lo) = (t.ir.zext(Type::I64, hi), t.ir.zext(Type::I64, lo));
    let hi = t.with_imm(BinaryOp::Shl, hi, 32);
    let sum = t.ir.or(hi, lo);
    let sum = t.ir.binary(op, sum, product);
    let hi = t.with_imm(BinaryOp::ShrU, sum, 32);
    let (hi, lo) = (t.ir.trunc(Type::I32, hi), t.ir.trunc(Type::I32, sum));
    set_hi_lo(t, hi, lo)
}

/// MADD.
pub fn madd(t: &mut Lower, w: Word) -> Flow {
    accumulate(t, w, BinaryOp::Add, ConvertOp::Sext)
}

/// MADDU.
pub fn maddu(t: &mut Lower, w: Word) -> Flow {
    accumulate(t, w, BinaryOp::Add, ConvertOp::Zext)
}

/// MSUB.
pub fn msub(t: &mut Lower, w: Word) -> Flow {
    accumulate(t, w, BinaryOp::Sub, ConvertOp::Sext)
}

/// MSUBU.
pub fn msubu(t: &mut Lower, w: Word) -> Flow {
    accumulate(t, w, BinaryOp::Sub, ConvertOp::Zext)
}

/// rd = rs op rt.
fn one_result(t: &mut Lower, w: Word, ty: Type, op: BinaryOp) -> Flow {
    let (a, b) = (t.gpr_as(ty, w.rs()), t.gpr_as(ty, w.rt()));
    let value = t.ir.binary(op, a, b);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// MUL of Release 6 and before (there HI and LO become unpredictable; they stay), MULU: the low half is the same.
pub fn mul(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I32, BinaryOp::Mul)
}

/// MUH.
pub fn muh(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I32, BinaryOp::MulHiS)
}

/// MUHU.
pub fn muhu(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I32, BinaryOp::MulHiU)
}

/// DIV of Release 6.
pub fn div6(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I32, BinaryOp::DivS)
}

/// MOD.
pub fn mod6(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I32, BinaryOp::RemS)
}

/// DIVU of Release 6.
pub fn divu6(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I32, BinaryOp::DivU)
}

/// MODU.
pub fn modu6(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I32, BinaryOp::RemU)
}

/// DMUL, DMULU.
pub fn dmul(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I64, BinaryOp::Mul)
}

/// DMUH.
pub fn dmuh(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I64, BinaryOp::MulHiS)
}

/// DMUHU.
pub fn dmuhu(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I64, BinaryOp::MulHiU)
}

/// DDIV of Release 6.
pub fn ddiv6(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I64, BinaryOp::DivS)
}

/// DMOD.
pub fn dmod6(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I64, BinaryOp::RemS)
}

/// DDIVU of Release 6.
pub fn ddivu6(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I64, BinaryOp::DivU)
}

/// DMODU.
pub fn dmodu6(t: &mut Lower, w: Word) -> Flow {
    one_result(t, w, Type::I64, BinaryOp::RemU)
}
