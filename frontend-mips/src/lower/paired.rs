//! Paired single: two singles in a register of 64 bits, the lower half first (MIPS64 and MIPS32 Release 2 up to Release 5,
//! `FR` = 1).

use super::fpu::{condition, move_if, sign};
use super::{Flow, Lower};
use crate::fields::Word;
use crate::regs::fcc_slot;
use emu_ir::{BinaryOp, ConvertOp, FloatBinaryOp, FloatUnaryOp, Round, Type, Value};

/// The halves of a register, upper first.
fn halves(t: &mut Lower, reg: u32) -> [Value; 2] {
    let bits = t.bits64(reg);
    let high = t.with_imm(BinaryOp::ShrU, bits, 32);
    [high, bits].map(|half| {
        let half = t.ir.trunc(Type::I32, half);
        t.ir.convert(ConvertOp::Bitcast, Type::F32, half)
    })
}

fn set_halves(t: &mut Lower, reg: u32, halves: [Value; 2]) -> Flow {
    let [high, low] = halves.map(|half| {
        let bits = t.ir.convert(ConvertOp::Bitcast, Type::I32, half);
        t.ir.zext(Type::I64, bits)
    });
    let high = t.with_imm(BinaryOp::Shl, high, 32);
    let value = t.ir.or(high, low);
    t.set_bits64(reg, value);
    Flow::Next
}

fn binary(t: &mut Lower, w: Word, op: FloatBinaryOp) -> Flow {
    let (a, b) = (halves(t, w.fs()), halves(t, w.ft()));
    let values = [0, 1].map(|i| t.ir.float_binary(op, Round::Dynamic, a[i], b[i]));
    set_halves(t, w.fd(), values)
}

/// ADD.PS.
pub fn add(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Add)
}

/// SUB.PS.
pub fn sub(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Sub)
}

/// MUL.PS.
pub fn mul(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, FloatBinaryOp::Mul)
}

fn unary(t: &mut Lower, w: Word, op: FloatUnaryOp) -> Flow {
    let values = halves(t, w.fs()).map(|a| sign(t, op, a));
    set_halves(t, w.fd(), values)
}

/// ABS.PS.
pub fn abs(t: &mut Lower, w: Word) -> Flow {
    unary(t, w, FloatUnaryOp::Abs)
}

/// NEG.PS.
pub fn neg(t: &mut Lower, w: Word) -> Flow {
    unary(t, w, FloatUnaryOp::Neg)
}

/// MOV.PS.
pub fn mov(t: &mut Lower, w: Word) -> Flow {
    let value = t.bits64(w.fs());
    t.set_bits64(w.fd(), value);
    Flow::Next
}

/// MOVF.PS, MOVT.PS: each half by a condition of its own, the lower one by `cc`.
pub fn movcf(t: &mut Lower, w: Word) -> Flow {
    let (new, old) = (halves(t, w.fs()), halves(t, w.fd()));
    let cc = w.bits(20, 18);
    let wanted = w.bits(16, 16) == 1;
    let values = [0, 1].map(|i| {
        let set = t.fcc((cc + 1 - i as u32) & 7);
        let cond = if wanted { set } else { t.not(set) };
        t.ir.select(cond, new[i], old[i])
    });
    set_halves(t, w.fd(), values)
}

/// MOVZ.PS, MOVN.PS (bit 0).
pub fn movz(t: &mut Lower, w: Word) -> Flow {
    let test = t.gpr(w.rt());
    let nonzero = t.nonzero(test);
    let cond = if w.bits(0, 0) == 1 { nonzero } else { t.not(nonzero) };
    move_if(t, w, Type::I64, cond)
}

/// C.cond.PS: `cc` for the lower halves, the next one for the upper.
pub fn c_cond(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (halves(t, w.fs()), halves(t, w.ft()));
    let values = [0, 1].map(|i| condition(t, w.bits(3, 0), a[i], b[i]));
    let cc = w.bits(10, 8);
    t.ir.set(fcc_slot((cc + 1) & 7), values[0]);
    t.ir.set(fcc_slot(cc), values[1]);
    Flow::Next
}

fn multiply_add(t: &mut Lower, w: Word, op: FloatBinaryOp, negate: bool) -> Flow {
    let (a, b, c) = (halves(t, w.fs()), halves(t, w.ft()), halves(t, w.fr()));
    let values = [0, 1].map(|i| {
        let product = t.ir.float_binary(FloatBinaryOp::Mul, Round::Dynamic, a[i], b[i]);
        let sum = t.ir.float_binary(op, Round::Dynamic, product, c[i]);
        if negate { t.ir.float_unary(FloatUnaryOp::Neg, Round::NearestEven, sum) } else { sum }
    });
    set_halves(t, w.fd(), values)
}

/// MADD.PS.
pub fn madd(t: &mut Lower, w: Word) -> Flow {
    multiply_add(t, w, FloatBinaryOp::Add, false)
}

/// MSUB.PS.
pub fn msub(t: &mut Lower, w: Word) -> Flow {
    multiply_add(t, w, FloatBinaryOp::Sub, false)
}

/// NMADD.PS.
pub fn nmadd(t: &mut Lower, w: Word) -> Flow {
    multiply_add(t, w, FloatBinaryOp::Add, true)
}

/// NMSUB.PS.
pub fn nmsub(t: &mut Lower, w: Word) -> Flow {
    multiply_add(t, w, FloatBinaryOp::Sub, true)
}

/// CVT.PS.S: fs above ft.
pub fn cvt_ps_s(t: &mut Lower, w: Word) -> Flow {
    let (high, low) = (t.f(Type::F32, w.fs()), t.f(Type::F32, w.ft()));
    set_halves(t, w.fd(), [high, low])
}

/// CVT.S.PU.
pub fn cvt_s_pu(t: &mut Lower, w: Word) -> Flow {
    let [high, _] = halves(t, w.fs());
    t.set_f(w.fd(), high);
    Flow::Next
}

/// CVT.S.PL.
pub fn cvt_s_pl(t: &mut Lower, w: Word) -> Flow {
    let [_, low] = halves(t, w.fs());
    t.set_f(w.fd(), low);
    Flow::Next
}

/// PLL.PS, PLU.PS, PUL.PS, PUU.PS: bit 1 says which half of fs (set: the upper), bit 0 which of ft.
pub fn pair(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (halves(t, w.fs()), halves(t, w.ft()));
    let pick = |halves: [Value; 2], upper: u32| halves[usize::from(upper == 0)];
    set_halves(t, w.fd(), [pick(a, w.bits(1, 1)), pick(b, w.bits(0, 0))])
}

/// ALNV.PS: two neighbouring singles of fs and ft, as rs is a multiple of 8 or 4 more.
pub fn alnv(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (halves(t, w.fs()), halves(t, w.ft()));
    let offset = t.gpr(w.rs());
    let four = t.with_imm(BinaryOp::And, offset, 4);
    let crosses = t.nonzero(four);
    // In memory order the pair that starts 4 bytes later is the second single of fs and the first of ft.
    let crossed = if t.config().big_endian { [a[1], b[0]] } else { [b[1], a[0]] };
    let values = [0, 1].map(|i| t.ir.select(crosses, crossed[i], a[i]));
    set_halves(t, w.fd(), values)
}
