//! Bit manipulation: Zba, Zbb, Zbc and Zbs.

use super::{Flow, Lower};
use crate::fields::{SHAMT, SHAMT_W, Word};
use emu_ir::{BinaryOp, Cond, Type, UnaryOp, Value};

/// The low 32 bits of a register, zero-extended.
fn uw(t: &mut Lower, reg: u32) -> Value {
    let low = t.w(reg);
    t.ir.zext(t.xlen(), low)
}

/// rd = (a << amount) + rs2.
fn shift_add(t: &mut Lower, w: Word, a: Value, amount: i64) -> Flow {
    let shifted = t.with_imm(BinaryOp::Shl, a, amount);
    let b = t.x(w.rs2());
    let value = t.ir.add(shifted, b);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// SH1ADD, SH2ADD, SH3ADD: the amount stands in funct3's upper bits.
pub fn shadd(t: &mut Lower, w: Word) -> Flow {
    let a = t.x(w.rs1());
    shift_add(t, w, a, w.bits(14, 13).into())
}

/// SH1ADD.UW, SH2ADD.UW, SH3ADD.UW.
pub fn shadd_uw(t: &mut Lower, w: Word) -> Flow {
    let a = uw(t, w.rs1());
    shift_add(t, w, a, w.bits(14, 13).into())
}

/// ADD.UW.
pub fn add_uw(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (uw(t, w.rs1()), t.x(w.rs2()));
    let value = t.ir.add(a, b);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// SLLI.UW.
pub fn slli_uw(t: &mut Lower, w: Word) -> Flow {
    let a = uw(t, w.rs1());
    let value = t.with_imm(BinaryOp::Shl, a, SHAMT.get(w.0));
    t.set_x(w.rd(), value);
    Flow::Next
}

/// rd = rs1 op ~rs2.
fn binary_not(t: &mut Lower, w: Word, op: BinaryOp) -> Flow {
    let (a, b) = (t.x(w.rs1()), t.x(w.rs2()));
    let b = t.ir.unary(UnaryOp::Not, b);
    let value = t.ir.binary(op, a, b);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// ANDN.
pub fn andn(t: &mut Lower, w: Word) -> Flow {
    binary_not(t, w, BinaryOp::And)
}

/// ORN.
pub fn orn(t: &mut Lower, w: Word) -> Flow {
    binary_not(t, w, BinaryOp::Or)
}

/// XNOR.
pub fn xnor(t: &mut Lower, w: Word) -> Flow {
    binary_not(t, w, BinaryOp::Xor)
}

/// rd = op rs1.
fn unary(t: &mut Lower, w: Word, op: UnaryOp) -> Flow {
    let a = t.x(w.rs1());
    let value = t.ir.unary(op, a);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// rd = op (low half of rs1).
fn unary_w(t: &mut Lower, w: Word, op: UnaryOp) -> Flow {
    let a = t.w(w.rs1());
    let value = t.ir.unary(op, a);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// CLZ.
pub fn clz(t: &mut Lower, w: Word) -> Flow {
    unary(t, w, UnaryOp::Clz)
}

/// CTZ.
pub fn ctz(t: &mut Lower, w: Word) -> Flow {
    unary(t, w, UnaryOp::Ctz)
}

/// CPOP.
pub fn cpop(t: &mut Lower, w: Word) -> Flow {
    unary(t, w, UnaryOp::Popcnt)
}

/// CLZW.
pub fn clzw(t: &mut Lower, w: Word) -> Flow {
    unary_w(t, w, UnaryOp::Clz)
}

/// CTZW.
pub fn ctzw(t: &mut Lower, w: Word) -> Flow {
    unary_w(t, w, UnaryOp::Ctz)
}

/// CPOPW.
pub fn cpopw(t: &mut Lower, w: Word) -> Flow {
    unary_w(t, w, UnaryOp::Popcnt)
}

/// REV8.
pub fn rev8(t: &mut Lower, w: Word) -> Flow {
    unary(t, w, UnaryOp::Bswap)
}

/// rd = rs1 if it and rs2 fulfil the condition, else rs2.
fn pick(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (a, b) = (t.x(w.rs1()), t.x(w.rs2()));
    let first = t.ir.compare(cond, a, b);
    let value = t.ir.select(first, a, b);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// MAX, signed.
pub fn max(t: &mut Lower, w: Word) -> Flow {
    pick(t, w, Cond::GtS)
}

/// MAXU.
pub fn maxu(t: &mut Lower, w: Word) -> Flow {
    pick(t, w, Cond::GtU)
}

/// MIN, signed.
pub fn min(t: &mut Lower, w: Word) -> Flow {
    pick(t, w, Cond::LtS)
}

/// MINU.
pub fn minu(t: &mut Lower, w: Word) -> Flow {
    pick(t, w, Cond::LtU)
}

/// SEXT.B.
pub fn sext_b(t: &mut Lower, w: Word) -> Flow {
    let low = t.x_as(Type::I8, w.rs1());
    t.set_w(w.rd(), low);
    Flow::Next
}

/// SEXT.H.
pub fn sext_h(t: &mut Lower, w: Word) -> Flow {
    let low = t.x_as(Type::I16, w.rs1());
    t.set_w(w.rd(), low);
    Flow::Next
}

/// ZEXT.H.
pub fn zext_h(t: &mut Lower, w: Word) -> Flow {
    let low = t.x_as(Type::I16, w.rs1());
    t.set_zext(w.rd(), low);
    Flow::Next
}

/// ROL.
pub fn rol(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Rotl)
}

/// ROR.
pub fn ror(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Rotr)
}

/// RORI.
pub fn rori(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm(w, BinaryOp::Rotr, SHAMT.get(w.0))
}

/// ROLW.
pub fn rolw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::Rotl)
}

/// RORW.
pub fn rorw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::Rotr)
}

/// RORIW.
pub fn roriw(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm_w(w, BinaryOp::Rotr, SHAMT_W.get(w.0))
}

/// ORC.B: each byte becomes 0xff unless it is 0.
pub fn orc_b(t: &mut Lower, w: Word) -> Flow {
    const LOW_BITS: i64 = 0x7f7f_7f7f_7f7f_7f7f;
    let a = t.x(w.rs1());
    // Bit 7 of each byte: adding 0x7f to the other seven bits carries into it if one of them is set.
    let low = t.with_imm(BinaryOp::And, a, LOW_BITS);
    let carry = t.with_imm(BinaryOp::Add, low, LOW_BITS);
    let any = t.ir.or(carry, a);
    let top = t.with_imm(BinaryOp::And, any, !LOW_BITS);
    // 0x80 becomes 0xff.
    let one = t.with_imm(BinaryOp::ShrU, top, 7);
    let rest = t.ir.sub(top, one);
    let value = t.ir.or(top, rest);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// CLMUL.
pub fn clmul(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Clmul)
}

/// CLMULH.
pub fn clmulh(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::ClmulHi)
}

/// CLMULR: bits 2·XLEN-2 to XLEN-1 of the product.
pub fn clmulr(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.x(w.rs1()), t.x(w.rs2()));
    let (high, low) = (t.ir.binary(BinaryOp::ClmulHi, a, b), t.ir.binary(BinaryOp::Clmul, a, b));
    let high = t.with_imm(BinaryOp::Shl, high, 1);
    let low = t.with_imm(BinaryOp::ShrU, low, i64::from(t.config().xlen - 1));
    let value = t.ir.or(high, low);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// 1 << rs2, modulo XLEN.
fn bit_in_register(t: &mut Lower, w: Word) -> Value {
    let (one, amount) = (t.imm(1), t.x(w.rs2()));
    t.ir.binary(BinaryOp::Shl, one, amount)
}

/// 1 << shamt.
fn bit_in_shamt(t: &mut Lower, w: Word) -> Value {
    t.imm(1 << SHAMT.get(w.0))
}

fn clear(t: &mut Lower, w: Word, bit: Value) -> Flow {
    let a = t.x(w.rs1());
    let keep = t.ir.unary(UnaryOp::Not, bit);
    let value = t.ir.and(a, keep);
    t.set_x(w.rd(), value);
    Flow::Next
}

fn combine(t: &mut Lower, w: Word, op: BinaryOp, bit: Value) -> Flow {
    let a = t.x(w.rs1());
    let value = t.ir.binary(op, a, bit);
    t.set_x(w.rd(), value);
    Flow::Next
}

fn extract(t: &mut Lower, w: Word, amount: Value) -> Flow {
    let a = t.x(w.rs1());
    let shifted = t.ir.binary(BinaryOp::ShrU, a, amount);
    let value = t.with_imm(BinaryOp::And, shifted, 1);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// BCLR.
pub fn bclr(t: &mut Lower, w: Word) -> Flow {
    let bit = bit_in_register(t, w);
    clear(t, w, bit)
}

/// BCLRI.
pub fn bclri(t: &mut Lower, w: Word) -> Flow {
    let bit = bit_in_shamt(t, w);
    clear(t, w, bit)
}

/// BEXT.
pub fn bext(t: &mut Lower, w: Word) -> Flow {
    let amount = t.x(w.rs2());
    extract(t, w, amount)
}

/// BEXTI.
pub fn bexti(t: &mut Lower, w: Word) -> Flow {
    let amount = t.imm(SHAMT.get(w.0));
    extract(t, w, amount)
}

/// BINV.
pub fn binv(t: &mut Lower, w: Word) -> Flow {
    let bit = bit_in_register(t, w);
    combine(t, w, BinaryOp::Xor, bit)
}

/// BINVI.
pub fn binvi(t: &mut Lower, w: Word) -> Flow {
    let bit = bit_in_shamt(t, w);
    combine(t, w, BinaryOp::Xor, bit)
}

/// BSET.
pub fn bset(t: &mut Lower, w: Word) -> Flow {
    let bit = bit_in_register(t, w);
    combine(t, w, BinaryOp::Or, bit)
}

/// BSETI.
pub fn bseti(t: &mut Lower, w: Word) -> Flow {
    let bit = bit_in_shamt(t, w);
    combine(t, w, BinaryOp::Or, bit)
}
