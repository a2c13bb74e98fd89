//! C and Zcb: each 16-bit instruction abbreviates a 32-bit one and has that one's meaning. Here is which.

use crate::fields::*;
use crate::regs::{RA, SP};

// The fixed bits of the 32-bit instructions.
const LB: u32 = 0x0003;
const LH: u32 = LB | 1 << 12;
const LW: u32 = LB | 2 << 12;
const LD: u32 = LB | 3 << 12;
const LBU: u32 = LB | 4 << 12;
const LHU: u32 = LB | 5 << 12;
const FLW: u32 = LW | 4;
const FLD: u32 = LD | 4;
const SB: u32 = 0x0023;
const SH: u32 = SB | 1 << 12;
const SW: u32 = SB | 2 << 12;
const SD: u32 = SB | 3 << 12;
const FSW: u32 = SW | 4;
const FSD: u32 = SD | 4;
const ADDI: u32 = 0x0013;
const SLLI: u32 = ADDI | 1 << 12;
const XORI: u32 = ADDI | 4 << 12;
const SRLI: u32 = ADDI | 5 << 12;
const SRAI: u32 = SRLI | 1 << 30;
const ANDI: u32 = ADDI | 7 << 12;
const SEXT_B: u32 = SLLI | 0x604 << 20;
const SEXT_H: u32 = SLLI | 0x605 << 20;
const ADDIW: u32 = 0x001b;
const ADD: u32 = 0x0033;
const SUB: u32 = ADD | 1 << 30;
const MUL: u32 = ADD | 1 << 25;
const XOR: u32 = ADD | 4 << 12;
const OR: u32 = ADD | 6 << 12;
const AND: u32 = ADD | 7 << 12;
const ZEXT_H_RV32: u32 = XOR | 4 << 25;
const ADDW: u32 = 0x003b;
const SUBW: u32 = ADDW | 1 << 30;
const ADD_UW: u32 = ADDW | 4 << 25;
const ZEXT_H_RV64: u32 = ADDW | 4 << 12 | 4 << 25;
const LUI: u32 = 0x0037;
const BEQ: u32 = 0x0063;
const BNE: u32 = BEQ | 1 << 12;
const JALR: u32 = 0x0067;
const JAL: u32 = 0x006f;
const EBREAK: u32 = 0x0010_0073;

const ZERO: u32 = 0;

const fn r(op: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
    op | rd << 7 | rs1 << 15 | rs2 << 20
}

const fn i(op: u32, rd: u32, rs1: u32, imm: i64) -> u32 {
    IMM_I.put(r(op, rd, rs1, 0), imm)
}

const fn shift(op: u32, rd: u32, rs1: u32, amount: i64) -> u32 {
    SHAMT.put(r(op, rd, rs1, 0), amount)
}

const fn s(op: u32, rs2: u32, rs1: u32, imm: i64) -> u32 {
    IMM_S.put(r(op, 0, rs1, rs2), imm)
}

/// C.ADDI4SPN; an offset of 0 is reserved (and the all-zero word illegal).
pub fn addi4spn(w: Word) -> u32 {
    i(ADDI, w.c_rs2_short(), SP, C_ADDI4SPN.get(w.0))
}

const fn load_short(op: u32, w: Word, offset: Field) -> u32 {
    i(op, w.c_rs2_short(), w.c_rs1_short(), offset.get(w.0))
}

const fn store_short(op: u32, w: Word, offset: Field) -> u32 {
    s(op, w.c_rs2_short(), w.c_rs1_short(), offset.get(w.0))
}

/// C.LW.
pub fn lw(w: Word) -> u32 {
    load_short(LW, w, C_WORD)
}

/// C.LD.
pub fn ld(w: Word) -> u32 {
    load_short(LD, w, C_DOUBLE)
}

/// C.FLW.
pub fn flw(w: Word) -> u32 {
    load_short(FLW, w, C_WORD)
}

/// C.FLD.
pub fn fld(w: Word) -> u32 {
    load_short(FLD, w, C_DOUBLE)
}

/// C.SW.
pub fn sw(w: Word) -> u32 {
    store_short(SW, w, C_WORD)
}

/// C.SD.
pub fn sd(w: Word) -> u32 {
    store_short(SD, w, C_DOUBLE)
}

/// C.FSW.
pub fn fsw(w: Word) -> u32 {
    store_short(FSW, w, C_WORD)
}

/// C.FSD.
pub fn fsd(w: Word) -> u32 {
    store_short(FSD, w, C_DOUBLE)
}

/// C.LBU.
pub fn lbu(w: Word) -> u32 {
    load_short(LBU, w, C_BYTE)
}

/// C.LHU.
pub fn lhu(w: Word) -> u32 {
    load_short(LHU, w, C_HALF)
}

/// C.LH.
pub fn lh(w: Word) -> u32 {
    load_short(LH, w, C_HALF)
}

/// C.SB.
pub fn sb(w: Word) -> u32 {
    store_short(SB, w, C_BYTE)
}

/// C.SH.
pub fn sh(w: Word) -> u32 {
    store_short(SH, w, C_HALF)
}

/// C.NOP and C.ADDI: hints where the register or the immediate is 0.
pub fn addi(w: Word) -> u32 {
    i(ADDI, w.rd(), w.rd(), C_IMM.get(w.0))
}

/// C.ADDIW.
pub fn addiw(w: Word) -> u32 {
    i(ADDIW, w.rd(), w.rd(), C_IMM.get(w.0))
}

/// C.JAL.
pub fn jal(w: Word) -> u32 {
    IMM_J.put(r(JAL, RA, 0, 0), C_JUMP.get(w.0))
}

/// C.J.
pub fn j(w: Word) -> u32 {
    IMM_J.put(r(JAL, ZERO, 0, 0), C_JUMP.get(w.0))
}

/// C.LI.
pub fn li(w: Word) -> u32 {
    i(ADDI, w.rd(), ZERO, C_IMM.get(w.0))
}

/// C.ADDI16SP.
pub fn addi16sp(w: Word) -> u32 {
    i(ADDI, SP, SP, C_ADDI16SP.get(w.0))
}

/// C.LUI.
pub fn lui(w: Word) -> u32 {
    IMM_U.put(r(LUI, w.rd(), 0, 0), C_LUI.get(w.0))
}

/// C.SRLI.
pub fn srli(w: Word) -> u32 {
    shift(SRLI, w.c_rs1_short(), w.c_rs1_short(), C_SHAMT.get(w.0))
}

/// C.SRAI.
pub fn srai(w: Word) -> u32 {
    shift(SRAI, w.c_rs1_short(), w.c_rs1_short(), C_SHAMT.get(w.0))
}

/// C.SLLI.
pub fn slli(w: Word) -> u32 {
    shift(SLLI, w.rd(), w.rd(), C_SHAMT.get(w.0))
}

/// C.ANDI.
pub fn andi(w: Word) -> u32 {
    i(ANDI, w.c_rs1_short(), w.c_rs1_short(), C_IMM.get(w.0))
}

/// `rd' = rd' op rs2'`.
const fn binary_short(op: u32, w: Word) -> u32 {
    r(op, w.c_rs1_short(), w.c_rs1_short(), w.c_rs2_short())
}

/// `rd' = op rd'`, with all other bits in `op`.
const fn unary_short(op: u32, w: Word) -> u32 {
    r(op, w.c_rs1_short(), w.c_rs1_short(), 0)
}

/// C.SUB.
pub fn sub(w: Word) -> u32 {
    binary_short(SUB, w)
}

/// C.XOR.
pub fn xor(w: Word) -> u32 {
    binary_short(XOR, w)
}

/// C.OR.
pub fn or(w: Word) -> u32 {
    binary_short(OR, w)
}

/// C.AND.
pub fn and(w: Word) -> u32 {
    binary_short(AND, w)
}

/// C.SUBW.
pub fn subw(w: Word) -> u32 {
    binary_short(SUBW, w)
}

/// C.ADDW.
pub fn addw(w: Word) -> u32 {
    binary_short(ADDW, w)
}

/// C.MUL.
pub fn mul(w: Word) -> u32 {
    binary_short(MUL, w)
}

/// C.ZEXT.B.
pub fn zext_b(w: Word) -> u32 {
    i(ANDI, w.c_rs1_short(), w.c_rs1_short(), 0xff)
}

/// C.SEXT.B.
pub fn sext_b(w: Word) -> u32 {
    unary_short(SEXT_B, w)
}

/// C.ZEXT.H on RV32.
pub fn zext_h_rv32(w: Word) -> u32 {
    unary_short(ZEXT_H_RV32, w)
}

/// C.ZEXT.H on RV64.
pub fn zext_h_rv64(w: Word) -> u32 {
    unary_short(ZEXT_H_RV64, w)
}

/// C.SEXT.H.
pub fn sext_h(w: Word) -> u32 {
    unary_short(SEXT_H, w)
}

/// C.ZEXT.W.
pub fn zext_w(w: Word) -> u32 {
    unary_short(ADD_UW, w)
}

/// C.NOT.
pub fn not(w: Word) -> u32 {
    i(XORI, w.c_rs1_short(), w.c_rs1_short(), -1)
}

/// C.BEQZ.
pub fn beqz(w: Word) -> u32 {
    IMM_B.put(r(BEQ, 0, w.c_rs1_short(), ZERO), C_BRANCH.get(w.0))
}

/// C.BNEZ.
pub fn bnez(w: Word) -> u32 {
    IMM_B.put(r(BNE, 0, w.c_rs1_short(), ZERO), C_BRANCH.get(w.0))
}

/// C.LWSP.
pub fn lwsp(w: Word) -> u32 {
    i(LW, w.rd(), SP, C_LWSP.get(w.0))
}

/// C.LDSP.
pub fn ldsp(w: Word) -> u32 {
    i(LD, w.rd(), SP, C_LDSP.get(w.0))
}

/// C.FLWSP.
pub fn flwsp(w: Word) -> u32 {
    i(FLW, w.rd(), SP, C_LWSP.get(w.0))
}

/// C.FLDSP.
pub fn fldsp(w: Word) -> u32 {
    i(FLD, w.rd(), SP, C_LDSP.get(w.0))
}

/// C.SWSP.
pub fn swsp(w: Word) -> u32 {
    s(SW, w.c_rs2(), SP, C_SWSP.get(w.0))
}

/// C.SDSP.
pub fn sdsp(w: Word) -> u32 {
    s(SD, w.c_rs2(), SP, C_SDSP.get(w.0))
}

/// C.FSWSP.
pub fn fswsp(w: Word) -> u32 {
    s(FSW, w.c_rs2(), SP, C_SWSP.get(w.0))
}

/// C.FSDSP.
pub fn fsdsp(w: Word) -> u32 {
    s(FSD, w.c_rs2(), SP, C_SDSP.get(w.0))
}

/// C.JR.
pub fn jr(w: Word) -> u32 {
    i(JALR, ZERO, w.rd(), 0)
}

/// C.JALR.
pub fn jalr(w: Word) -> u32 {
    i(JALR, RA, w.rd(), 0)
}

/// C.MV.
pub fn mv(w: Word) -> u32 {
    r(ADD, w.rd(), ZERO, w.c_rs2())
}

/// C.ADD.
pub fn add(w: Word) -> u32 {
    r(ADD, w.rd(), w.rd(), w.c_rs2())
}

/// C.EBREAK.
pub fn ebreak(_: Word) -> u32 {
    EBREAK
}
