//! F, and what D shares with it: the format stands in bits 26..25, so one function serves both.
//!
//! Registers are 64 bits wide; a binary32 value in one is NaN-boxed, and what is not boxed properly reads as the
//! canonical NaN (manual, "NaN Boxing of Narrower Values"). Transfers move the raw bits.

use super::{Flow, Lower};
use crate::fields::{IMM_I, IMM_S, Word};
use emu_ir::{
    Access, BinaryOp, ConvertOp, FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, Inst, Quietness, Round, Type,
    Value,
};

/// The rounding mode of ops that do not round.
const EXACT: Round = Round::NearestEven;

/// The format of the operands.
fn format(w: Word) -> Type {
    if w.bits(26, 25) == 0 { Type::F32 } else { Type::F64 }
}

/// The integer that a conversion names in its rs2 field: its type, and whether it is unsigned.
fn integer(w: Word) -> (Type, bool) {
    (if w.bits(21, 21) == 0 { Type::I32 } else { Type::I64 }, w.bits(20, 20) == 1)
}

/// FLW.
pub fn flw(t: &mut Lower, w: Word) -> Flow {
    let addr = t.x(w.rs1());
    let value = t.ir.load(Type::F32, Access::unsigned(4), addr, IMM_I.get(w.0) as i32);
    t.set_f(w.rd(), value);
    Flow::Next
}

/// FSW: the low 32 bits, boxed or not.
pub fn fsw(t: &mut Lower, w: Word) -> Flow {
    let (addr, value) = (t.x(w.rs1()), t.f_bits(Type::I32, w.rs2()));
    t.ir.store(Access::unsigned(4), addr, IMM_S.get(w.0) as i32, value);
    Flow::Next
}

/// rd = rs1 op rs2, rounded.
fn binary(t: &mut Lower, w: Word, op: FloatBinaryOp, round: Round) -> Flow {
    let (a, b) = (t.f(format(w), w.rs1()), t.f(format(w), w.rs2()));
    let value = t.ir.float_binary(op, round, a, b);
    t.set_f(w.rd(), value);
    Flow::Next
}

/// FADD.
pub fn fadd(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Add, t.round(w))
}

/// FSUB.
pub fn fsub(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Sub, t.round(w))
}

/// FMUL.
pub fn fmul(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Mul, t.round(w))
}

/// FDIV.
pub fn fdiv(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Div, t.round(w))
}

/// FMIN.
pub fn fmin(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::MinNum, EXACT)
}

/// FMAX.
pub fn fmax(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::MaxNum, EXACT)
}

/// FSQRT.
pub fn fsqrt(t: &mut Lower, w: Word) -> Flow {
    let a = t.f(format(w), w.rs1());
    let value = t.ir.float_unary(FloatUnaryOp::Sqrt, t.round(w), a);
    t.set_f(w.rd(), value);
    Flow::Next
}

fn negate(t: &mut Lower, a: Value) -> Value {
    t.ir.float_unary(FloatUnaryOp::Neg, EXACT, a)
}

/// rd = ±(rs1 × rs2) ± rs3, rounded once. The operands are negated and not the result: an exact zero then gets its
/// sign from the sum, as the manual's formulas have it.
fn fused(t: &mut Lower, w: Word, negate_product: bool, negate_addend: bool) -> Flow {
    let ty = format(w);
    let (mut a, b, mut c) = (t.f(ty, w.rs1()), t.f(ty, w.rs2()), t.f(ty, w.rs3()));
    if negate_product {
        a = negate(t, a);
    }
    if negate_addend {
        c = negate(t, c);
    }
    let value = t.ir.fma(t.round(w), a, b, c);
    t.set_f(w.rd(), value);
    Flow::Next
}

/// FMADD: rs1 × rs2 + rs3.
pub fn fmadd(t: &mut Lower, w: Word) -> Flow {
    fused(t, w, false, false)
}

/// FMSUB: rs1 × rs2 - rs3.
pub fn fmsub(t: &mut Lower, w: Word) -> Flow {
    fused(t, w, false, true)
}

/// FNMSUB: -(rs1 × rs2) + rs3.
pub fn fnmsub(t: &mut Lower, w: Word) -> Flow {
    fused(t, w, true, false)
}

/// FNMADD: -(rs1 × rs2) - rs3.
pub fn fnmadd(t: &mut Lower, w: Word) -> Flow {
    fused(t, w, true, true)
}

/// FSGNJ: rs1 with the sign of rs2; with one register for both it is FMV.
pub fn fsgnj(t: &mut Lower, w: Word) -> Flow {
    let a = t.f(format(w), w.rs1());
    let value = if w.rs1() == w.rs2() { a } else { copy_sign(t, w, a, |_, b| b) };
    t.set_f(w.rd(), value);
    Flow::Next
}

/// FSGNJN: rs1 with the opposite sign of rs2; with one register for both it is FNEG.
pub fn fsgnjn(t: &mut Lower, w: Word) -> Flow {
    let a = t.f(format(w), w.rs1());
    let value = if w.rs1() == w.rs2() { negate(t, a) } else { copy_sign(t, w, a, negate) };
    t.set_f(w.rd(), value);
    Flow::Next
}

fn copy_sign(t: &mut Lower, w: Word, a: Value, sign: fn(&mut Lower, Value) -> Value) -> Value {
    let b = t.f(format(w), w.rs2());
    let sign = sign(t, b);
    t.ir.float_binary(FloatBinaryOp::CopySign, EXACT, a, sign)
}

/// FSGNJX: rs1 with its sign inverted if rs2 is negative; with one register for both it is FABS.
pub fn fsgnjx(t: &mut Lower, w: Word) -> Flow {
    let a = t.f(format(w), w.rs1());
    let value = if w.rs1() == w.rs2() { t.ir.float_unary(FloatUnaryOp::Abs, EXACT, a) } else { xor_sign(t, w, a) };
    t.set_f(w.rd(), value);
    Flow::Next
}

fn xor_sign(t: &mut Lower, w: Word, a: Value) -> Value {
    let (float, int) = (format(w), format(w).as_int());
    let b = t.f(float, w.rs2());
    let (a, b) = (t.ir.convert(ConvertOp::Bitcast, int, a), t.ir.convert(ConvertOp::Bitcast, int, b));
    let sign = t.with_imm(BinaryOp::And, b, 1 << (int.bits() - 1));
    let bits = t.ir.xor(a, sign);
    t.ir.convert(ConvertOp::Bitcast, float, bits)
}

/// rd = 1 if rs1 and rs2 fulfil the condition, else 0.
fn compare(t: &mut Lower, w: Word, cond: FloatCond, quietness: Quietness) -> Flow {
    let (a, b) = (t.f(format(w), w.rs1()), t.f(format(w), w.rs2()));
    let value = t.ir.float_compare(cond, quietness, a, b);
    t.set_zext(w.rd(), value);
    Flow::Next
}

/// FEQ: quiet.
pub fn feq(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, FloatCond::Eq, Quietness::Quiet)
}

/// FLT: signalling.
pub fn flt(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, FloatCond::Lt, Quietness::Signaling)
}

/// FLE: signalling.
pub fn fle(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, FloatCond::Le, Quietness::Signaling)
}

/// FCLASS.
pub fn fclass(t: &mut Lower, w: Word) -> Flow {
    let arg = t.f(format(w), w.rs1());
    let mask = t.ir.push(Inst::FloatClass { ty: format(w), arg });
    t.set_zext(w.rd(), mask);
    Flow::Next
}

/// FCVT.{W,WU,L,LU}.{S,D}: saturating; 32-bit results are sign-extended, the unsigned ones too.
pub fn to_integer(t: &mut Lower, w: Word) -> Flow {
    let (ty, unsigned) = integer(w);
    let op = if unsigned { FloatConvertOp::ToIntU } else { FloatConvertOp::ToIntS };
    let a = t.f(format(w), w.rs1());
    let value = t.ir.float_convert(op, ty, t.round(w), a);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// FCVT.{S,D}.{W,WU,L,LU}.
pub fn from_integer(t: &mut Lower, w: Word) -> Flow {
    let (ty, unsigned) = integer(w);
    let op = if unsigned { FloatConvertOp::FromIntU } else { FloatConvertOp::FromIntS };
    let a = t.x_as(ty, w.rs1());
    let value = t.ir.float_convert(op, format(w), t.round(w), a);
    t.set_f(w.rd(), value);
    Flow::Next
}

/// FMV.X.W, FMV.X.D: the raw bits, sign-extended.
pub fn move_to_x(t: &mut Lower, w: Word) -> Flow {
    let bits = t.f_bits(format(w).as_int(), w.rs1());
    t.set_w(w.rd(), bits);
    Flow::Next
}

/// FMV.W.X, FMV.D.X: the low bits as they are.
pub fn move_from_x(t: &mut Lower, w: Word) -> Flow {
    let bits = t.x_as(format(w).as_int(), w.rs1());
    let value = t.ir.convert(ConvertOp::Bitcast, format(w), bits);
    t.set_f(w.rd(), value);
    Flow::Next
}
