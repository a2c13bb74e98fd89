//! Floating-point arithmetic, comparisons, moves, loads and stores, the control registers.
//!
//! What these instructions mean is said with the IR's floating-point ops, whose flags are those of the manual. `FCSR.Cause`, and
//! what happens while exceptions are enabled or `FS` is set, is `exact`'s, for all of them alike. NaNs are by the
//! block's [`emu_ir::NanRule`].

use super::{Flow, Lower};
use crate::fcsr;
use crate::fields::Word;
use crate::regs::fcc_slot;
use emu_ir::{
    BinaryOp, Cond, ConvertOp, FloatBinaryOp, FloatCond, FloatUnaryOp, Inst, Quietness, Round, Type, UnaryOp, Value,
};

/// The rounding mode of ops that do not round.
pub(super) const EXACT: Round = Round::NearestEven;

/// The format in bits 25 to 21, or 2 to 0 of COP1X: single or double.
pub(super) fn format(w: Word) -> Type {
    let cop1x = w.bits(31, 26) == 0b010011;
    let code = if cop1x { w.bits(2, 0) } else { w.rs() & 7 };
    if code & 1 == 0 { Type::F32 } else { Type::F64 }
}

/// The constant 1.
fn one(t: &mut Lower, ty: Type) -> Value {
    let bits = if ty == Type::F32 { i64::from(1f32.to_bits()) } else { 1f64.to_bits() as i64 };
    let bits = t.ir.iconst(ty.as_int(), bits);
    t.ir.convert(ConvertOp::Bitcast, ty, bits)
}

/// fd = fs op ft.
fn binary(t: &mut Lower, w: Word, op: FloatBinaryOp) -> Flow {
    let (a, b) = (t.f(format(w), w.fs()), t.f(format(w), w.ft()));
    let value = t.ir.float_binary(op, Round::Dynamic, a, b);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// ADD.fmt.
pub fn add(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Add)
}

/// SUB.fmt.
pub fn sub(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Sub)
}

/// MUL.fmt.
pub fn mul(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Mul)
}

/// DIV.fmt.
pub fn div(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Div)
}

/// SQRT.fmt.
pub fn sqrt(t: &mut Lower, w: Word) -> Flow {
    let a = t.f(format(w), w.fs());
    let value = t.ir.float_unary(FloatUnaryOp::Sqrt, Round::Dynamic, a);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// RECIP.fmt: rounded once, more exact than the manual asks for.
pub fn recip(t: &mut Lower, w: Word) -> Flow {
    let (a, one) = (t.f(format(w), w.fs()), one(t, format(w)));
    let value = t.ir.float_binary(FloatBinaryOp::Div, Round::Dynamic, one, a);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// RSQRT.fmt: the reciprocal of the rounded root.
pub fn rsqrt(t: &mut Lower, w: Word) -> Flow {
    let (a, one) = (t.f(format(w), w.fs()), one(t, format(w)));
    let root = t.ir.float_unary(FloatUnaryOp::Sqrt, Round::Dynamic, a);
    let value = t.ir.float_binary(FloatBinaryOp::Div, Round::Dynamic, one, root);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// `op(a)`, which changes the sign only. While `ABS2008` is 0 it is arithmetic.
pub(super) fn sign(t: &mut Lower, op: FloatUnaryOp, a: Value) -> Value {
    let op = match op {
        FloatUnaryOp::Neg if !t.config().abs2008 => FloatUnaryOp::NegNum,
        FloatUnaryOp::Abs if !t.config().abs2008 => FloatUnaryOp::AbsNum,
        op => op,
    };
    t.ir.float_unary(op, EXACT, a)
}

/// ABS.fmt.
pub fn abs(t: &mut Lower, w: Word) -> Flow {
    let a = t.f(format(w), w.fs());
    let value = sign(t, FloatUnaryOp::Abs, a);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// NEG.fmt.
pub fn neg(t: &mut Lower, w: Word) -> Flow {
    let a = t.f(format(w), w.fs());
    let value = sign(t, FloatUnaryOp::Neg, a);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// MOV.fmt.
pub fn mov(t: &mut Lower, w: Word) -> Flow {
    let value = t.f_int(format(w).as_int(), w.fs());
    t.set_f_int(w.fd(), value);
    Flow::Next
}

/// fd = fs if the condition holds, else fd as it was.
pub(super) fn move_if(t: &mut Lower, w: Word, ty: Type, cond: Value) -> Flow {
    let (new, old) = (t.f_int(ty, w.fs()), t.f_int(ty, w.fd()));
    let value = t.ir.select(cond, new, old);
    t.set_f_int(w.fd(), value);
    Flow::Next
}

/// MOVF.fmt, MOVT.fmt (bit 16).
pub fn movcf(t: &mut Lower, w: Word) -> Flow {
    let cc = t.fcc(w.bits(20, 18));
    let cond = if w.bits(16, 16) == 1 { cc } else { t.not(cc) };
    move_if(t, w, format(w).as_int(), cond)
}

/// MOVZ.fmt, MOVN.fmt (bit 0): by a general register.
pub fn movz(t: &mut Lower, w: Word) -> Flow {
    let test = t.gpr(w.rt());
    let nonzero = t.nonzero(test);
    let cond = if w.bits(0, 0) == 1 { nonzero } else { t.not(nonzero) };
    move_if(t, w, format(w).as_int(), cond)
}

/// The lowest bit of a floating-point register, as a condition.
fn low_bit(t: &mut Lower, reg: u32) -> Value {
    let bits = t.bits32(reg);
    let low = t.with_imm(BinaryOp::And, bits, 1);
    t.nonzero(low)
}

/// SEL.fmt: fd = ft if fd's lowest bit is set, else fs.
pub fn sel(t: &mut Lower, w: Word) -> Flow {
    let ty = format(w).as_int();
    let cond = low_bit(t, w.fd());
    let (a, b) = (t.f_int(ty, w.fs()), t.f_int(ty, w.ft()));
    let value = t.ir.select(cond, b, a);
    t.set_f_int(w.fd(), value);
    Flow::Next
}

/// SELEQZ.fmt, SELNEZ.fmt (bits 1..0 are 11): fs or 0, by ft's lowest bit.
pub fn seleqz(t: &mut Lower, w: Word) -> Flow {
    let ty = format(w).as_int();
    let cond = low_bit(t, w.ft());
    let (value, zero) = (t.f_int(ty, w.fs()), t.ir.iconst(ty, 0));
    let result = if w.bits(1, 0) == 3 { t.ir.select(cond, value, zero) } else { t.ir.select(cond, zero, value) };
    t.set_f_int(w.fd(), result);
    Flow::Next
}

/// MADD.fmt and its kin: the product is rounded, then the sum; its sign is changed last.
fn multiply_add(t: &mut Lower, w: Word, op: FloatBinaryOp, negate: bool) -> Flow {
    let ty = format(w);
    let (a, b, c) = (t.f(ty, w.fs()), t.f(ty, w.ft()), t.f(ty, w.fr()));
    let product = t.ir.float_binary(FloatBinaryOp::Mul, Round::Dynamic, a, b);
    let mut value = t.ir.float_binary(op, Round::Dynamic, product, c);
    if negate {
        value = t.ir.float_unary(FloatUnaryOp::Neg, EXACT, value);
    }
    t.set_f(w.fd(), value);
    Flow::Next
}

/// MADD.fmt.
pub fn madd(t: &mut Lower, w: Word) -> Flow {
    multiply_add(t, w, FloatBinaryOp::Add, false)
}

/// MSUB.fmt.
pub fn msub(t: &mut Lower, w: Word) -> Flow {
    multiply_add(t, w, FloatBinaryOp::Sub, false)
}

/// NMADD.fmt.
pub fn nmadd(t: &mut Lower, w: Word) -> Flow {
    multiply_add(t, w, FloatBinaryOp::Add, true)
}

/// NMSUB.fmt.
pub fn nmsub(t: &mut Lower, w: Word) -> Flow {
    multiply_add(t, w, FloatBinaryOp::Sub, true)
}

/// `a` with its sign changed, unless it is a NaN.
fn negate_number(t: &mut Lower, a: Value) -> Value {
    let int = t.ir.ty(a).as_int();
    let bits = t.ir.convert(ConvertOp::Bitcast, int, a);
    let magnitude = t.with_imm(BinaryOp::And, bits, (int.mask() >> 1) as i64);
    let infinity = t.ir.iconst(int, if int == Type::I32 { 0x7f80_0000 } else { 0x7ff0_0000_0000_0000 });
    let is_nan = t.ir.compare(Cond::GtU, magnitude, infinity);
    let negated = t.ir.float_unary(FloatUnaryOp::Neg, EXACT, a);
    t.ir.select(is_nan, a, negated)
}

/// fd = fd ± fs * ft, rounded once.
fn fused(t: &mut Lower, w: Word, negate: bool) -> Flow {
    let ty = format(w);
    let (mut a, b, c) = (t.f(ty, w.fs()), t.f(ty, w.ft()), t.f(ty, w.fd()));
    if negate {
        a = negate_number(t, a);
    }
    let value = t.ir.fma(Round::Dynamic, a, b, c);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// MADDF.fmt.
pub fn maddf(t: &mut Lower, w: Word) -> Flow {
    fused(t, w, false)
}

/// MSUBF.fmt.
pub fn msubf(t: &mut Lower, w: Word) -> Flow {
    fused(t, w, true)
}

/// RINT.fmt.
pub fn rint(t: &mut Lower, w: Word) -> Flow {
    let a = t.f(format(w), w.fs());
    let value = t.ir.float_unary(FloatUnaryOp::RoundInt, Round::Dynamic, a);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// CLASS.fmt. The IR's mask has the numbers in bits 7 (infinity) to 0 (negative infinity) and the NaNs in 9 (quiet) and 8;
/// here the NaNs are in bits 1 and 0, the negative numbers in 5 to 2, and the positive ones in reverse order in 9 to 6.
pub fn class(t: &mut Lower, w: Word) -> Flow {
    let (ty, int) = (format(w), format(w).as_int());
    let arg = t.f(ty, w.fs());
    let mask = t.ir.push(Inst::FloatClass { ty, arg });
    let nan = t.with_imm(BinaryOp::ShrU, mask, 8);
    let negative = t.with_imm(BinaryOp::And, mask, 0x0f);
    let negative = t.with_imm(BinaryOp::Shl, negative, 2);
    let positive = t.with_imm(BinaryOp::And, mask, 0xf0);
    let positive = t.ir.unary(UnaryOp::Bitrev, positive);
    // Bit 4 came to bit 27, and goes to 9.
    let positive = t.with_imm(BinaryOp::ShrU, positive, 18);
    let value = t.ir.or(nan, negative);
    let value = t.ir.or(value, positive);
    let value = t.ir.zext(int, value);
    t.set_f_int(w.fd(), value);
    Flow::Next
}

/// MIN.fmt.
pub fn min(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::MinNum)
}

/// MAX.fmt.
pub fn max(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::MaxNum)
}

/// The operand of the smaller (or larger) magnitude; if they have the same, or with a NaN, as `op`.
fn by_magnitude(t: &mut Lower, w: Word, op: FloatBinaryOp) -> Flow {
    let (a, b) = (t.f(format(w), w.fs()), t.f(format(w), w.ft()));
    let (x, y) = (t.ir.float_unary(FloatUnaryOp::Abs, EXACT, a), t.ir.float_unary(FloatUnaryOp::Abs, EXACT, b));
    let (less, greater) = (
        t.ir.float_compare(FloatCond::Lt, Quietness::Quiet, x, y),
        t.ir.float_compare(FloatCond::Lt, Quietness::Quiet, y, x),
    );
    let (first, second) = if op == FloatBinaryOp::MinNum { (less, greater) } else { (greater, less) };
    let other = t.ir.float_binary(op, EXACT, a, b);
    let value = t.ir.select(second, b, other);
    let value = t.ir.select(first, a, value);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// MINA.fmt.
pub fn mina(t: &mut Lower, w: Word) -> Flow {
    by_magnitude(t, w, FloatBinaryOp::MinNum)
}

/// MAXA.fmt.
pub fn maxa(t: &mut Lower, w: Word) -> Flow {
    by_magnitude(t, w, FloatBinaryOp::MaxNum)
}

/// What the four low bits of a condition ask for: unordered (1), equal (2), less (4); 8 makes a NaN raise invalid.
pub(super) fn condition(t: &mut Lower, bits: u32, a: Value, b: Value) -> Value {
    let quietness = if bits & 8 != 0 { Quietness::Signaling } else { Quietness::Quiet };
    let mut compare = |cond, x, y| t.ir.float_compare(cond, quietness, x, y);
    match bits & 7 {
        // False, but it compares.
        0 => {
            compare(FloatCond::Unordered, a, b);
            t.ir.iconst(Type::I8, 0)
        }
        1 => compare(FloatCond::Unordered, a, b),
        2 => compare(FloatCond::Eq, a, b),
        3 => {
            let (unordered, equal) = (compare(FloatCond::Unordered, a, b), compare(FloatCond::Eq, a, b));
            t.ir.or(unordered, equal)
        }
        4 => compare(FloatCond::Lt, a, b),
        6 => compare(FloatCond::Le, a, b),
        // Unordered or less: not the opposite, which is false on a NaN.
        5 => {
            let opposite = compare(FloatCond::Le, b, a);
            t.not(opposite)
        }
        _ => {
            let opposite = compare(FloatCond::Lt, b, a);
            t.not(opposite)
        }
    }
}

/// C.cond.fmt.
pub fn c_cond(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.f(format(w), w.fs()), t.f(format(w), w.ft()));
    let value = condition(t, w.bits(3, 0), a, b);
    t.ir.set(fcc_slot(w.bits(10, 8)), value);
    Flow::Next
}

/// CMP.cond.fmt: all ones or zeros; bit 4 inverts the condition.
pub fn cmp_cond(t: &mut Lower, w: Word) -> Flow {
    // The formats are called W and L here.
    let ty = if w.rs() == 0b10100 { Type::F32 } else { Type::F64 };
    let (a, b) = (t.f(ty, w.fs()), t.f(ty, w.ft()));
    let holds = condition(t, w.bits(3, 0), a, b);
    let holds = if w.bits(4, 4) == 1 { t.not(holds) } else { holds };
    let wide = t.ir.zext(ty.as_int(), holds);
    let value = t.ir.unary(UnaryOp::Neg, wide);
    t.set_f_int(w.fd(), value);
    Flow::Next
}

// Loads, stores and moves of raw bits.

/// LWC1.
pub fn lwc1(t: &mut Lower, w: Word) -> Flow {
    let base = t.gpr(w.rs());
    load(t, base, w.imm() as i32, Type::I32, w.rt())
}

/// LDC1.
pub fn ldc1(t: &mut Lower, w: Word) -> Flow {
    let base = t.gpr(w.rs());
    load(t, base, w.imm() as i32, Type::I64, w.rt())
}

/// A doubleword goes straight to where it is used as a number.
fn load(t: &mut Lower, addr: Value, offset: i32, ty: Type, reg: u32) -> Flow {
    t.check_alignment(addr, offset.into(), ty.bytes());
    let access = t.access(ty.bytes(), false);
    if ty == Type::I64 {
        let value = t.ir.load(Type::F64, access, addr, offset);
        t.set_f(reg, value);
    } else {
        let value = t.ir.load(ty, access, addr, offset);
        t.set_f_int(reg, value);
    }
    Flow::Next
}

/// SWC1.
pub fn swc1(t: &mut Lower, w: Word) -> Flow {
    let base = t.gpr(w.rs());
    store(t, base, w.imm() as i32, Type::I32, w.rt())
}

/// SDC1.
pub fn sdc1(t: &mut Lower, w: Word) -> Flow {
    let base = t.gpr(w.rs());
    store(t, base, w.imm() as i32, Type::I64, w.rt())
}

fn store(t: &mut Lower, addr: Value, offset: i32, ty: Type, reg: u32) -> Flow {
    let value = if ty == Type::I64 { t.f(Type::F64, reg) } else { t.f_int(ty, reg) };
    t.check_alignment(addr, offset.into(), ty.bytes());
    t.ir.store(t.access(ty.bytes(), false), addr, offset, value);
    Flow::Next
}

/// rs + rt, the address of an indexed access.
fn indexed(t: &mut Lower, w: Word) -> Value {
    let (base, index) = (t.gpr(w.rs()), t.gpr(w.rt()));
    t.ir.add(base, index)
}

/// The same without its low three bits.
fn indexed_aligned(t: &mut Lower, w: Word) -> Value {
    let addr = indexed(t, w);
    t.with_imm(BinaryOp::And, addr, !7)
}

/// LWXC1.
pub fn lwxc1(t: &mut Lower, w: Word) -> Flow {
    let addr = indexed(t, w);
    load(t, addr, 0, Type::I32, w.fd())
}

/// LDXC1.
pub fn ldxc1(t: &mut Lower, w: Word) -> Flow {
    let addr = indexed(t, w);
    load(t, addr, 0, Type::I64, w.fd())
}

/// LUXC1.
pub fn luxc1(t: &mut Lower, w: Word) -> Flow {
    let addr = indexed_aligned(t, w);
    load(t, addr, 0, Type::I64, w.fd())
}

/// SWXC1.
pub fn swxc1(t: &mut Lower, w: Word) -> Flow {
    let addr = indexed(t, w);
    store(t, addr, 0, Type::I32, w.fs())
}

/// SDXC1.
pub fn sdxc1(t: &mut Lower, w: Word) -> Flow {
    let addr = indexed(t, w);
    store(t, addr, 0, Type::I64, w.fs())
}

/// SUXC1.
pub fn suxc1(t: &mut Lower, w: Word) -> Flow {
    let addr = indexed_aligned(t, w);
    store(t, addr, 0, Type::I64, w.fs())
}

/// MFC1.
pub fn mfc1(t: &mut Lower, w: Word) -> Flow {
    let bits = t.bits32(w.fs());
    t.set_w(w.rt(), bits);
    Flow::Next
}

/// MTC1.
pub fn mtc1(t: &mut Lower, w: Word) -> Flow {
    let bits = t.w(w.rt());
    t.set_bits32(w.fs(), bits);
    Flow::Next
}

/// DMFC1.
pub fn dmfc1(t: &mut Lower, w: Word) -> Flow {
    let bits = t.bits64(w.fs());
    t.set_gpr(w.rt(), bits);
    Flow::Next
}

/// DMTC1.
pub fn dmtc1(t: &mut Lower, w: Word) -> Flow {
    let bits = t.gpr(w.rt());
    t.set_bits64(w.fs(), bits);
    Flow::Next
}

/// MFHC1.
pub fn mfhc1(t: &mut Lower, w: Word) -> Flow {
    let bits = t.high_half(w.fs());
    t.set_w(w.rt(), bits);
    Flow::Next
}

/// MTHC1.
pub fn mthc1(t: &mut Lower, w: Word) -> Flow {
    let bits = t.w(w.rt());
    t.set_high_half(w.fs(), bits);
    Flow::Next
}

/// CFC1.
pub fn cfc1(t: &mut Lower, w: Word) -> Flow {
    let Some(register) = fcsr::find(w.fs(), t.config()) else { return Flow::Illegal };
    let value = register.read(t);
    t.set_w(w.rt(), value);
    Flow::Next
}

/// CTC1.
pub fn ctc1(t: &mut Lower, w: Word) -> Flow {
    let Some(register) = fcsr::find(w.fs(), t.config()) else { return Flow::Illegal };
    let value = t.w(w.rt());
    register.write(t, value)
}
