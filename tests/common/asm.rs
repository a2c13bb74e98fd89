//! The few instructions that tests write themselves, as words. Registers are numbers; offsets are in bytes.

use emu_frontend_riscv::fields::{IMM_B, IMM_I, IMM_J, IMM_S, IMM_U};

pub const ZERO: u32 = 0;
pub const RA: u32 = 1;
pub const SP: u32 = 2;
pub const T0: u32 = 5;
pub const T1: u32 = 6;
pub const T2: u32 = 7;
pub const S0: u32 = 8;
pub const S1: u32 = 9;
pub const A0: u32 = 10;
pub const A1: u32 = 11;
pub const A2: u32 = 12;
pub const A3: u32 = 13;
pub const A4: u32 = 14;
pub const A5: u32 = 15;
pub const A7: u32 = 17;

pub const ECALL: u32 = 0x73;
pub const FENCE_I: u32 = 0x100f;
pub const NOP: u32 = 0x13;
pub const RET: u32 = 0x8067;

pub fn lui(rd: u32, value: u64) -> u32 {
    IMM_U.put(0x37 | rd << 7, value as i64)
}

pub fn addi(rd: u32, rs1: u32, imm: i64) -> u32 {
    IMM_I.put(0x13 | rd << 7 | rs1 << 15, imm)
}

pub fn addiw(rd: u32, rs1: u32, imm: i64) -> u32 {
    addi(rd, rs1, imm) | 0x8
}

pub fn andi(rd: u32, rs1: u32, imm: i64) -> u32 {
    IMM_I.put(0x7013 | rd << 7 | rs1 << 15, imm)
}

pub fn add(rd: u32, rs1: u32, rs2: u32) -> u32 {
    0x33 | rd << 7 | rs1 << 15 | rs2 << 20
}

pub fn sub(rd: u32, rs1: u32, rs2: u32) -> u32 {
    add(rd, rs1, rs2) | 1 << 30
}

pub fn xor(rd: u32, rs1: u32, rs2: u32) -> u32 {
    0x4033 | rd << 7 | rs1 << 15 | rs2 << 20
}

pub fn mul(rd: u32, rs1: u32, rs2: u32) -> u32 {
    0x0200_0033 | rd << 7 | rs1 << 15 | rs2 << 20
}

pub fn or(rd: u32, rs1: u32, rs2: u32) -> u32 {
    0x6033 | rd << 7 | rs1 << 15 | rs2 << 20
}

pub fn slli(rd: u32, rs1: u32, amount: u32) -> u32 {
    0x1013 | rd << 7 | rs1 << 15 | amount << 20
}

pub fn srli(rd: u32, rs1: u32, amount: u32) -> u32 {
    0x5013 | rd << 7 | rs1 << 15 | amount << 20
}

pub fn sext_w(rd: u32, rs1: u32) -> u32 {
    0x1b | rd << 7 | rs1 << 15
}

pub fn lb(rd: u32, imm: i64, rs1: u32) -> u32 {
    IMM_I.put(0x03 | rd << 7 | rs1 << 15, imm)
}

pub fn lbu(rd: u32, imm: i64, rs1: u32) -> u32 {
    IMM_I.put(0x4003 | rd << 7 | rs1 << 15, imm)
}

pub fn sb(rs2: u32, imm: i64, rs1: u32) -> u32 {
    IMM_S.put(0x23 | rs2 << 20 | rs1 << 15, imm)
}

pub fn lw(rd: u32, imm: i64, rs1: u32) -> u32 {
    IMM_I.put(0x2003 | rd << 7 | rs1 << 15, imm)
}

pub fn ld(rd: u32, imm: i64, rs1: u32) -> u32 {
    IMM_I.put(0x3003 | rd << 7 | rs1 << 15, imm)
}

pub fn sw(rs2: u32, imm: i64, rs1: u32) -> u32 {
    IMM_S.put(0x2023 | rs2 << 20 | rs1 << 15, imm)
}

pub fn sd(rs2: u32, imm: i64, rs1: u32) -> u32 {
    IMM_S.put(0x3023 | rs2 << 20 | rs1 << 15, imm)
}

pub fn fld(rd: u32, imm: i64, rs1: u32) -> u32 {
    IMM_I.put(0x3007 | rd << 7 | rs1 << 15, imm)
}

pub fn fsd(rs2: u32, imm: i64, rs1: u32) -> u32 {
    IMM_S.put(0x3027 | rs2 << 20 | rs1 << 15, imm)
}

pub fn jal(rd: u32, offset: i64) -> u32 {
    IMM_J.put(0x6f | rd << 7, offset)
}

pub fn jalr(rd: u32, imm: i64, rs1: u32) -> u32 {
    IMM_I.put(0x67 | rd << 7 | rs1 << 15, imm)
}

pub fn beq(rs1: u32, rs2: u32, offset: i64) -> u32 {
    IMM_B.put(0x63 | rs1 << 15 | rs2 << 20, offset)
}

pub fn bne(rs1: u32, rs2: u32, offset: i64) -> u32 {
    IMM_B.put(0x1063 | rs1 << 15 | rs2 << 20, offset)
}

/// `csrw csr, rs1`.
pub fn csrw(csr: u32, rs1: u32) -> u32 {
    0x1073 | csr << 20 | rs1 << 15
}

/// `csrr rd, csr`.
pub fn csrr(rd: u32, csr: u32) -> u32 {
    0x2073 | csr << 20 | rd << 7
}

pub const FFLAGS: u32 = 1;
pub const FRM: u32 = 2;
pub const FCSR: u32 = 3;

/// Words as memory holds them.
pub fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}
