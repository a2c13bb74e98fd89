//! Arithmetic, logic, shifts, bit fields, conditional moves, constants.

use super::{Flow, Lower};
use crate::fields::{PC19, UIMM, Word};
use emu_ir::{BinaryOp, Cond, ConvertOp, TrapKind, Type, UnaryOp, Value};

/// rd = rs op rt, in full width.
fn binary(t: &mut Lower, w: Word, op: BinaryOp) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let value = t.ir.binary(op, a, b);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// rd = rs op rt on 32 bits.
fn binary_w(t: &mut Lower, w: Word, op: BinaryOp) -> Flow {
    let (a, b) = (t.w(w.rs()), t.w(w.rt()));
    let value = t.ir.binary(op, a, b);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// ADDU.
pub fn addu(t: &mut Lower, w: Word) -> Flow {
    binary_w(t, w, BinaryOp::Add)
}

/// SUBU.
pub fn subu(t: &mut Lower, w: Word) -> Flow {
    binary_w(t, w, BinaryOp::Sub)
}

/// DADDU.
pub fn daddu(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, BinaryOp::Add)
}

/// DSUBU.
pub fn dsubu(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, BinaryOp::Sub)
}

/// ADDIU.
pub fn addiu(t: &mut Lower, w: Word) -> Flow {
    let a = t.w(w.rs());
    let value = t.with_imm(BinaryOp::Add, a, w.imm());
    t.set_w(w.rt(), value);
    Flow::Next
}

/// DADDIU.
pub fn daddiu(t: &mut Lower, w: Word) -> Flow {
    let a = t.gpr(w.rs());
    let value = t.with_imm(BinaryOp::Add, a, w.imm());
    t.set_gpr(w.rt(), value);
    Flow::Next
}

/// Did `a + b = sum` overflow? Then the sum's sign differs from both operands'.
pub(super) fn add_overflows(t: &mut Lower, a: Value, b: Value, sum: Value) -> Value {
    let (x, y) = (t.ir.xor(a, sum), t.ir.xor(b, sum));
    let both = t.ir.and(x, y);
    negative(t, both)
}

/// Is it below 0?
fn negative(t: &mut Lower, a: Value) -> Value {
    let zero = t.ir.iconst(t.ir.ty(a), 0);
    t.ir.compare(Cond::LtS, a, zero)
}

/// `a + b`, trapping on overflow.
fn trapping_sum(t: &mut Lower, a: Value, b: Value) -> Value {
    let sum = t.ir.add(a, b);
    let overflows = add_overflows(t, a, b, sum);
    t.ir.trap_if(overflows, TrapKind::IntegerOverflow);
    sum
}

/// `a - b`, trapping on overflow: where the signs of `a` and `b` differ, and those of `a` and the difference.
fn trapping_difference(t: &mut Lower, a: Value, b: Value) -> Value {
    let difference = t.ir.sub(a, b);
    let (x, y) = (t.ir.xor(a, b), t.ir.xor(a, difference));
    let both = t.ir.and(x, y);
    let overflows = negative(t, both);
    t.ir.trap_if(overflows, TrapKind::IntegerOverflow);
    difference
}

/// ADD.
pub fn add(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.w(w.rs()), t.w(w.rt()));
    let value = trapping_sum(t, a, b);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// DADD.
pub fn dadd(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let value = trapping_sum(t, a, b);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// SUB.
pub fn sub(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.w(w.rs()), t.w(w.rt()));
    let value = trapping_difference(t, a, b);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// DSUB.
pub fn dsub(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let value = trapping_difference(t, a, b);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// ADDI.
pub fn addi(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.w(w.rs()), t.ir.iconst(Type::I32, w.imm()));
    let value = trapping_sum(t, a, b);
    t.set_w(w.rt(), value);
    Flow::Next
}

/// DADDI.
pub fn daddi(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.imm(w.imm()));
    let value = trapping_sum(t, a, b);
    t.set_gpr(w.rt(), value);
    Flow::Next
}

/// AND.
pub fn and(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, BinaryOp::And)
}

/// OR.
pub fn or(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, BinaryOp::Or)
}

/// XOR.
pub fn xor(t: &mut Lower, w: Word) -> Flow {
    binary(t, w, BinaryOp::Xor)
}

/// NOR.
pub fn nor(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let either = t.ir.or(a, b);
    let value = t.ir.unary(UnaryOp::Not, either);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// rt = rs op the immediate, zero-extended.
fn logic_imm(t: &mut Lower, w: Word, op: BinaryOp) -> Flow {
    let a = t.gpr(w.rs());
    let value = t.with_imm(op, a, UIMM.get(w.0));
    t.set_gpr(w.rt(), value);
    Flow::Next
}

/// ANDI.
pub fn andi(t: &mut Lower, w: Word) -> Flow {
    logic_imm(t, w, BinaryOp::And)
}

/// ORI.
pub fn ori(t: &mut Lower, w: Word) -> Flow {
    logic_imm(t, w, BinaryOp::Or)
}

/// XORI.
pub fn xori(t: &mut Lower, w: Word) -> Flow {
    logic_imm(t, w, BinaryOp::Xor)
}

/// LUI.
pub fn lui(t: &mut Lower, w: Word) -> Flow {
    let value = t.imm(w.imm() << 16);
    t.set_gpr(w.rt(), value);
    Flow::Next
}

/// AUI: the sum is of 32 bits.
pub fn aui(t: &mut Lower, w: Word) -> Flow {
    let a = t.w(w.rs());
    let value = t.with_imm(BinaryOp::Add, a, w.imm() << 16);
    t.set_w(w.rt(), value);
    Flow::Next
}

/// DAUI.
pub fn daui(t: &mut Lower, w: Word) -> Flow {
    let a = t.gpr(w.rs());
    let value = t.with_imm(BinaryOp::Add, a, w.imm() << 16);
    t.set_gpr(w.rt(), value);
    Flow::Next
}

/// rs += immediate << shift.
fn add_high(t: &mut Lower, w: Word, shift: u32) -> Flow {
    let a = t.gpr(w.rs());
    let value = t.with_imm(BinaryOp::Add, a, w.imm() << shift);
    t.set_gpr(w.rs(), value);
    Flow::Next
}

/// DAHI.
pub fn dahi(t: &mut Lower, w: Word) -> Flow {
    add_high(t, w, 32)
}

/// DATI.
pub fn dati(t: &mut Lower, w: Word) -> Flow {
    add_high(t, w, 48)
}

/// ADDIUPC.
pub fn addiupc(t: &mut Lower, w: Word) -> Flow {
    let value = t.here_plus(PC19.get(w.0));
    t.set_gpr(w.rs(), value);
    Flow::Next
}

/// AUIPC.
pub fn auipc(t: &mut Lower, w: Word) -> Flow {
    let value = t.here_plus(w.imm() << 16);
    t.set_gpr(w.rs(), value);
    Flow::Next
}

/// ALUIPC: the low 16 bits are cleared.
pub fn aluipc(t: &mut Lower, w: Word) -> Flow {
    let sum = t.here_plus(w.imm() << 16);
    let value = t.with_imm(BinaryOp::And, sum, !0xffff);
    t.set_gpr(w.rs(), value);
    Flow::Next
}

/// rd = 1 if rs and rt fulfil the condition, else 0.
fn set_if(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let value = t.ir.compare(cond, a, b);
    t.set_bool(w.rd(), value);
    Flow::Next
}

/// SLT.
pub fn slt(t: &mut Lower, w: Word) -> Flow {
    set_if(t, w, Cond::LtS)
}

/// SLTU.
pub fn sltu(t: &mut Lower, w: Word) -> Flow {
    set_if(t, w, Cond::LtU)
}

fn set_if_imm(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.imm(w.imm()));
    let value = t.ir.compare(cond, a, b);
    t.set_bool(w.rt(), value);
    Flow::Next
}

/// SLTI.
pub fn slti(t: &mut Lower, w: Word) -> Flow {
    set_if_imm(t, w, Cond::LtS)
}

/// SLTIU: the immediate is sign-extended, then compared unsigned.
pub fn sltiu(t: &mut Lower, w: Word) -> Flow {
    set_if_imm(t, w, Cond::LtU)
}

/// rd = rt op sa on 32 bits. (SLL of a wider value gives a proper 32-bit one; the other shifts are unpredictable there.)
fn shift(t: &mut Lower, w: Word, op: BinaryOp) -> Flow {
    let a = t.w(w.rt());
    let value = t.with_imm(op, a, w.sa().into());
    t.set_w(w.rd(), value);
    Flow::Next
}

/// SLL.
pub fn sll(t: &mut Lower, w: Word) -> Flow {
    shift(t, w, BinaryOp::Shl)
}

/// SRL.
pub fn srl(t: &mut Lower, w: Word) -> Flow {
    shift(t, w, BinaryOp::ShrU)
}

/// SRA.
pub fn sra(t: &mut Lower, w: Word) -> Flow {
    shift(t, w, BinaryOp::ShrS)
}

/// ROTR.
pub fn rotr(t: &mut Lower, w: Word) -> Flow {
    shift(t, w, BinaryOp::Rotr)
}

/// rd = rt op the low bits of rs, on values of type `ty`.
fn shift_by_register(t: &mut Lower, w: Word, op: BinaryOp, ty: Type) -> Flow {
    let (a, amount) = (t.gpr_as(ty, w.rt()), t.gpr_as(ty, w.rs()));
    let value = t.ir.binary(op, a, amount);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// SLLV.
pub fn sllv(t: &mut Lower, w: Word) -> Flow {
    shift_by_register(t, w, BinaryOp::Shl, Type::I32)
}

/// SRLV.
pub fn srlv(t: &mut Lower, w: Word) -> Flow {
    shift_by_register(t, w, BinaryOp::ShrU, Type::I32)
}

/// SRAV.
pub fn srav(t: &mut Lower, w: Word) -> Flow {
    shift_by_register(t, w, BinaryOp::ShrS, Type::I32)
}

/// ROTRV.
pub fn rotrv(t: &mut Lower, w: Word) -> Flow {
    shift_by_register(t, w, BinaryOp::Rotr, Type::I32)
}

/// DSLLV.
pub fn dsllv(t: &mut Lower, w: Word) -> Flow {
    shift_by_register(t, w, BinaryOp::Shl, Type::I64)
}

/// DSRLV.
pub fn dsrlv(t: &mut Lower, w: Word) -> Flow {
    shift_by_register(t, w, BinaryOp::ShrU, Type::I64)
}

/// DSRAV.
pub fn dsrav(t: &mut Lower, w: Word) -> Flow {
    shift_by_register(t, w, BinaryOp::ShrS, Type::I64)
}

/// DROTRV.
pub fn drotrv(t: &mut Lower, w: Word) -> Flow {
    shift_by_register(t, w, BinaryOp::Rotr, Type::I64)
}

/// rd = rt op sa, or sa + 32 where bit 2 of the function field is set (DSLL32 and its kin), on 64 bits.
fn shift_d(t: &mut Lower, w: Word, op: BinaryOp) -> Flow {
    let a = t.gpr(w.rt());
    let value = t.with_imm(op, a, (w.sa() + 32 * w.bits(2, 2)).into());
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// DSLL, DSLL32.
pub fn dsll(t: &mut Lower, w: Word) -> Flow {
    shift_d(t, w, BinaryOp::Shl)
}

/// DSRL, DSRL32.
pub fn dsrl(t: &mut Lower, w: Word) -> Flow {
    shift_d(t, w, BinaryOp::ShrU)
}

/// DSRA, DSRA32.
pub fn dsra(t: &mut Lower, w: Word) -> Flow {
    shift_d(t, w, BinaryOp::ShrS)
}

/// DROTR, DROTR32.
pub fn drotr(t: &mut Lower, w: Word) -> Flow {
    shift_d(t, w, BinaryOp::Rotr)
}

/// LSA: rd = (rs << (sa + 1)) + rt.
pub fn lsa(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.w(w.rs()), t.w(w.rt()));
    let scaled = t.with_imm(BinaryOp::Shl, a, i64::from(w.bits(7, 6)) + 1);
    let value = t.ir.add(scaled, b);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// DLSA.
pub fn dlsa(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let scaled = t.with_imm(BinaryOp::Shl, a, i64::from(w.bits(7, 6)) + 1);
    let value = t.ir.add(scaled, b);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// rd = op(rs) on a value of type `ty`.
fn count(t: &mut Lower, w: Word, ty: Type, ones: bool) -> Flow {
    let a = t.gpr_as(ty, w.rs());
    let a = if ones { t.ir.unary(UnaryOp::Not, a) } else { a };
    let value = t.ir.unary(UnaryOp::Clz, a);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// CLZ.
pub fn clz(t: &mut Lower, w: Word) -> Flow {
    count(t, w, Type::I32, false)
}

/// CLO.
pub fn clo(t: &mut Lower, w: Word) -> Flow {
    count(t, w, Type::I32, true)
}

/// DCLZ.
pub fn dclz(t: &mut Lower, w: Word) -> Flow {
    count(t, w, Type::I64, false)
}

/// DCLO.
pub fn dclo(t: &mut Lower, w: Word) -> Flow {
    count(t, w, Type::I64, true)
}

/// rd = rt sign-extended from type `ty`.
fn sign_extend(t: &mut Lower, w: Word, ty: Type) -> Flow {
    let a = t.gpr_as(ty, w.rt());
    t.set_w(w.rd(), a);
    Flow::Next
}

/// SEB.
pub fn seb(t: &mut Lower, w: Word) -> Flow {
    sign_extend(t, w, Type::I8)
}

/// SEH.
pub fn seh(t: &mut Lower, w: Word) -> Flow {
    sign_extend(t, w, Type::I16)
}

/// `value` with the halves of each 2 * `bits` bits exchanged; `low` are the bits of the lower halves.
fn exchange(t: &mut Lower, value: Value, bits: i64, low: i64) -> Value {
    let lower = t.with_imm(BinaryOp::And, value, low);
    let up = t.with_imm(BinaryOp::Shl, lower, bits);
    let shifted = t.with_imm(BinaryOp::ShrU, value, bits);
    let down = t.with_imm(BinaryOp::And, shifted, low);
    t.ir.or(up, down)
}

/// WSBH: the bytes of each halfword exchanged, which is all bytes reversed and then the halves exchanged.
pub fn wsbh(t: &mut Lower, w: Word) -> Flow {
    let a = t.w(w.rt());
    let reversed = t.ir.unary(UnaryOp::Bswap, a);
    let value = t.with_imm(BinaryOp::Rotr, reversed, 16);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// DSBH.
pub fn dsbh(t: &mut Lower, w: Word) -> Flow {
    let a = t.gpr(w.rt());
    let value = exchange(t, a, 8, 0x00ff_00ff_00ff_00ff);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// DSHD: the halfwords reversed.
pub fn dshd(t: &mut Lower, w: Word) -> Flow {
    let a = t.gpr(w.rt());
    let pairs = exchange(t, a, 16, 0x0000_ffff_0000_ffff);
    let value = t.with_imm(BinaryOp::Rotr, pairs, 32);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// rd = rt with the bits of each byte reversed: all bits, then the bytes.
fn bitswap_as(t: &mut Lower, w: Word, ty: Type) -> Flow {
    let a = t.gpr_as(ty, w.rt());
    let bits = t.ir.unary(UnaryOp::Bitrev, a);
    let value = t.ir.unary(UnaryOp::Bswap, bits);
    t.set_w(w.rd(), value);
    Flow::Next
}

/// BITSWAP.
pub fn bitswap(t: &mut Lower, w: Word) -> Flow {
    bitswap_as(t, w, Type::I32)
}

/// DBITSWAP.
pub fn dbitswap(t: &mut Lower, w: Word) -> Flow {
    bitswap_as(t, w, Type::I64)
}

/// rd = the bytes of rt:rs from `bytes` below the top of rt on.
fn align_as(t: &mut Lower, w: Word, ty: Type, bytes: u32) -> Flow {
    let (high, low) = (t.gpr_as(ty, w.rt()), t.gpr_as(ty, w.rs()));
    let value = if bytes == 0 {
        high
    } else {
        let up = t.with_imm(BinaryOp::Shl, high, (8 * bytes).into());
        let down = t.with_imm(BinaryOp::ShrU, low, (ty.bits() - 8 * bytes).into());
        t.ir.or(up, down)
    };
    t.set_w(w.rd(), value);
    Flow::Next
}

/// ALIGN.
pub fn align(t: &mut Lower, w: Word) -> Flow {
    align_as(t, w, Type::I32, w.bits(7, 6))
}

/// DALIGN.
pub fn dalign(t: &mut Lower, w: Word) -> Flow {
    align_as(t, w, Type::I64, w.bits(8, 6))
}

/// rt = `size` bits of rs from bit `pos` on, zero-extended (as a 32-bit value where it is one: EXT of 32 bits).
fn extract(t: &mut Lower, w: Word, ty: Type, pos: u32, size: u32) -> Flow {
    if pos + size > ty.bits() {
        return Flow::Illegal;
    }
    let a = t.gpr_as(ty, w.rs());
    let down = t.with_imm(BinaryOp::ShrU, a, pos.into());
    let value = t.with_imm(BinaryOp::And, down, (u64::MAX >> (64 - size)) as i64);
    t.set_w(w.rt(), value);
    Flow::Next
}

/// EXT.
pub fn ext(t: &mut Lower, w: Word) -> Flow {
    extract(t, w, Type::I32, w.sa(), w.rd() + 1)
}

/// DEXT.
pub fn dext(t: &mut Lower, w: Word) -> Flow {
    extract(t, w, Type::I64, w.sa(), w.rd() + 1)
}

/// DEXTM: more than 32 bits.
pub fn dextm(t: &mut Lower, w: Word) -> Flow {
    extract(t, w, Type::I64, w.sa(), w.rd() + 33)
}

/// DEXTU: from bit 32 on or above.
pub fn dextu(t: &mut Lower, w: Word) -> Flow {
    extract(t, w, Type::I64, w.sa() + 32, w.rd() + 1)
}

/// Bits `lsb` to `msb` of rt = the low bits of rs.
fn insert(t: &mut Lower, w: Word, ty: Type, lsb: u32, msb: u32) -> Flow {
    if msb < lsb {
        return Flow::Illegal;
    }
    let mask = u64::MAX >> (63 - (msb - lsb)) << lsb;
    let (a, old) = (t.gpr_as(ty, w.rs()), t.gpr_as(ty, w.rt()));
    let up = t.with_imm(BinaryOp::Shl, a, lsb.into());
    let new = t.with_imm(BinaryOp::And, up, mask as i64);
    let kept = t.with_imm(BinaryOp::And, old, !mask as i64);
    let value = t.ir.or(new, kept);
    t.set_w(w.rt(), value);
    Flow::Next
}

/// INS.
pub fn ins(t: &mut Lower, w: Word) -> Flow {
    insert(t, w, Type::I32, w.sa(), w.rd())
}

/// DINS.
pub fn dins(t: &mut Lower, w: Word) -> Flow {
    insert(t, w, Type::I64, w.sa(), w.rd())
}

/// DINSM: up to a bit above 31.
pub fn dinsm(t: &mut Lower, w: Word) -> Flow {
    insert(t, w, Type::I64, w.sa(), w.rd() + 32)
}

/// DINSU: from bit 32 on or above.
pub fn dinsu(t: &mut Lower, w: Word) -> Flow {
    insert(t, w, Type::I64, w.sa() + 32, w.rd() + 32)
}

/// rd = rs if the condition holds, else rd as it was.
fn move_if(t: &mut Lower, w: Word, cond: Value) -> Flow {
    let (new, old) = (t.gpr(w.rs()), t.gpr(w.rd()));
    let value = t.ir.select(cond, new, old);
    t.set_gpr(w.rd(), value);
    Flow::Next
}

/// MOVZ.
pub fn movz(t: &mut Lower, w: Word) -> Flow {
    let test = t.gpr(w.rt());
    let nonzero = t.nonzero(test);
    let cond = t.not(nonzero);
    move_if(t, w, cond)
}

/// MOVN.
pub fn movn(t: &mut Lower, w: Word) -> Flow {
    let test = t.gpr(w.rt());
    let cond = t.nonzero(test);
    move_if(t, w, cond)
}

/// MOVF.
pub fn movf(t: &mut Lower, w: Word) -> Flow {
    let cc = t.fcc(w.bits(20, 18));
    let cond = t.not(cc);
    move_if(t, w, cond)
}

/// MOVT.
pub fn movt(t: &mut Lower, w: Word) -> Flow {
    let cond = t.fcc(w.bits(20, 18));
    move_if(t, w, cond)
}

/// rd = rs if the condition on rt holds, else 0.
fn select_or_zero(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (value, test, zero) = (t.gpr(w.rs()), t.gpr(w.rt()), t.imm(0));
    let holds = t.ir.compare(cond, test, zero);
    let result = t.ir.select(holds, value, zero);
    t.set_gpr(w.rd(), result);
    Flow::Next
}

/// SELEQZ.
pub fn seleqz(t: &mut Lower, w: Word) -> Flow {
    select_or_zero(t, w, Cond::Eq)
}

/// SELNEZ.
pub fn selnez(t: &mut Lower, w: Word) -> Flow {
    select_or_zero(t, w, Cond::Ne)
}

/// Is the register not a 32-bit value, sign-extended? Never on 32-bit processors.
pub(super) fn is_wide(t: &mut Lower, value: Value) -> Value {
    if !t.is_64() {
        return t.ir.iconst(Type::I8, 0);
    }
    let low = t.ir.trunc(Type::I32, value);
    let proper = t.ir.convert(ConvertOp::Sext, Type::I64, low);
    t.ir.compare(Cond::Ne, value, proper)
}
