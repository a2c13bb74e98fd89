//! RV32I and RV64I, with Zifencei and Zihintpause, whose instructions live among theirs.

use super::{Flow, Lower};
use crate::fields::{IMM_B, IMM_I, IMM_J, IMM_S, IMM_U, SHAMT, SHAMT_W, Word};
use crate::regs::is_link;
use emu_ir::{Access, BinaryOp, Cond, ExitKind, FenceKind, IndirectKind, Inst, JumpKind, Terminator, TrapKind};

/// LUI: rd = sext(imm).
pub fn lui(t: &mut Lower, w: Word) -> Flow {
    let value = t.imm(IMM_U.get(w.0));
    t.set_x(w.rd(), value);
    Flow::Next
}

/// AUIPC: rd = pc + sext(imm).
pub fn auipc(t: &mut Lower, w: Word) -> Flow {
    let value = t.imm(t.pc_plus(IMM_U.get(w.0)) as i64);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// Writes the return address to rd.
fn link(t: &mut Lower, rd: u32) {
    let ret = t.imm(t.next_pc() as i64);
    t.set_x(rd, ret);
}

/// JAL: rd = next pc; pc += offset.
pub fn jal(t: &mut Lower, w: Word) -> Flow {
    let target = t.pc_plus(IMM_J.get(w.0));
    if !t.is_aligned(target) {
        return t.trap(TrapKind::MisalignedTarget);
    }
    link(t, w.rd());
    let kind = if is_link(w.rd()) { JumpKind::Call { ret: t.next_pc() } } else { JumpKind::Plain };
    Flow::End(Terminator::Jump { target, kind })
}

/// JALR: rd = next pc; pc = (rs1 + imm) & !1, rs1 being read first.
pub fn jalr(t: &mut Lower, w: Word) -> Flow {
    let base = t.x(w.rs1());
    let sum = t.with_imm(BinaryOp::Add, base, IMM_I.get(w.0));
    let target = t.with_imm(BinaryOp::And, sum, !1);
    if t.config().aligned_to_four() {
        let odd_half = t.with_imm(BinaryOp::And, sum, 2);
        let zero = t.imm(0);
        let misaligned = t.ir.compare(Cond::Ne, odd_half, zero);
        t.ir.trap_if(misaligned, TrapKind::MisalignedTarget);
    }
    link(t, w.rd());
    let kind = match (is_link(w.rd()), is_link(w.rs1())) {
        (true, _) => IndirectKind::Call { ret: t.next_pc() },
        (false, true) => IndirectKind::Return,
        (false, false) => IndirectKind::Jump,
    };
    Flow::End(Terminator::Indirect { target, kind })
}

/// A branch to pc + offset if rs1 and rs2 fulfil the condition.
fn branch(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (a, b) = (t.x(w.rs1()), t.x(w.rs2()));
    let cond = t.ir.compare(cond, a, b);
    let (taken, next) = (t.pc_plus(IMM_B.get(w.0)), t.next_pc());
    if !t.is_aligned(taken) {
        t.ir.trap_if(cond, TrapKind::MisalignedTarget);
        return Flow::Next;
    }
    Flow::End(Terminator::Branch { cond, taken, next })
}

/// BEQ.
pub fn beq(t: &mut Lower, w: Word) -> Flow {
    branch(t, w, Cond::Eq)
}

/// BNE.
pub fn bne(t: &mut Lower, w: Word) -> Flow {
    branch(t, w, Cond::Ne)
}

/// BLT, signed.
pub fn blt(t: &mut Lower, w: Word) -> Flow {
    branch(t, w, Cond::LtS)
}

/// BGE, signed.
pub fn bge(t: &mut Lower, w: Word) -> Flow {
    branch(t, w, Cond::GeS)
}

/// BLTU.
pub fn bltu(t: &mut Lower, w: Word) -> Flow {
    branch(t, w, Cond::LtU)
}

/// BGEU.
pub fn bgeu(t: &mut Lower, w: Word) -> Flow {
    branch(t, w, Cond::GeU)
}

/// rd = memory at rs1 + imm. A load to x0 is still a load.
fn load(t: &mut Lower, w: Word, access: Access) -> Flow {
    let addr = t.x(w.rs1());
    let value = t.ir.load(t.xlen(), access, addr, IMM_I.get(w.0) as i32);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// LB.
pub fn lb(t: &mut Lower, w: Word) -> Flow {
    load(t, w, Access::signed(1))
}

/// LH.
pub fn lh(t: &mut Lower, w: Word) -> Flow {
    load(t, w, Access::signed(2))
}

/// LW.
pub fn lw(t: &mut Lower, w: Word) -> Flow {
    load(t, w, Access::signed(4))
}

/// LD.
pub fn ld(t: &mut Lower, w: Word) -> Flow {
    load(t, w, Access::signed(8))
}

/// LBU.
pub fn lbu(t: &mut Lower, w: Word) -> Flow {
    load(t, w, Access::unsigned(1))
}

/// LHU.
pub fn lhu(t: &mut Lower, w: Word) -> Flow {
    load(t, w, Access::unsigned(2))
}

/// LWU.
pub fn lwu(t: &mut Lower, w: Word) -> Flow {
    load(t, w, Access::unsigned(4))
}

/// Memory at rs1 + imm = the low bytes of rs2.
fn store(t: &mut Lower, w: Word, bytes: u8) -> Flow {
    let (addr, value) = (t.x(w.rs1()), t.x(w.rs2()));
    t.ir.store(Access::unsigned(bytes), addr, IMM_S.get(w.0) as i32, value);
    Flow::Next
}

/// SB.
pub fn sb(t: &mut Lower, w: Word) -> Flow {
    store(t, w, 1)
}

/// SH.
pub fn sh(t: &mut Lower, w: Word) -> Flow {
    store(t, w, 2)
}

/// SW.
pub fn sw(t: &mut Lower, w: Word) -> Flow {
    store(t, w, 4)
}

/// SD.
pub fn sd(t: &mut Lower, w: Word) -> Flow {
    store(t, w, 8)
}

/// ADDI.
pub fn addi(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm(w, BinaryOp::Add, IMM_I.get(w.0))
}

/// XORI.
pub fn xori(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm(w, BinaryOp::Xor, IMM_I.get(w.0))
}

/// ORI.
pub fn ori(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm(w, BinaryOp::Or, IMM_I.get(w.0))
}

/// ANDI.
pub fn andi(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm(w, BinaryOp::And, IMM_I.get(w.0))
}

/// SLLI.
pub fn slli(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm(w, BinaryOp::Shl, SHAMT.get(w.0))
}

/// SRLI.
pub fn srli(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm(w, BinaryOp::ShrU, SHAMT.get(w.0))
}

/// SRAI.
pub fn srai(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm(w, BinaryOp::ShrS, SHAMT.get(w.0))
}

/// SLTI, signed.
pub fn slti(t: &mut Lower, w: Word) -> Flow {
    set_if_imm(t, w, Cond::LtS)
}

/// SLTIU: the immediate is sign-extended, then compared unsigned.
pub fn sltiu(t: &mut Lower, w: Word) -> Flow {
    set_if_imm(t, w, Cond::LtU)
}

/// rd = 1 if rs1 and the immediate fulfil the condition, else 0.
fn set_if_imm(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (a, b) = (t.x(w.rs1()), t.imm(IMM_I.get(w.0)));
    let value = t.ir.compare(cond, a, b);
    t.set_zext(w.rd(), value);
    Flow::Next
}

/// ADD.
pub fn add(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Add)
}

/// SUB.
pub fn sub(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Sub)
}

/// SLL: by the low bits of rs2.
pub fn sll(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Shl)
}

/// SRL.
pub fn srl(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::ShrU)
}

/// SRA.
pub fn sra(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::ShrS)
}

/// XOR.
pub fn xor(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Xor)
}

/// OR.
pub fn or(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Or)
}

/// AND.
pub fn and(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::And)
}

/// SLT, signed.
pub fn slt(t: &mut Lower, w: Word) -> Flow {
    set_if(t, w, Cond::LtS)
}

/// SLTU.
pub fn sltu(t: &mut Lower, w: Word) -> Flow {
    set_if(t, w, Cond::LtU)
}

/// rd = 1 if rs1 and rs2 fulfil the condition, else 0.
fn set_if(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (a, b) = (t.x(w.rs1()), t.x(w.rs2()));
    let value = t.ir.compare(cond, a, b);
    t.set_zext(w.rd(), value);
    Flow::Next
}

/// ADDIW.
pub fn addiw(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm_w(w, BinaryOp::Add, IMM_I.get(w.0))
}

/// SLLIW.
pub fn slliw(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm_w(w, BinaryOp::Shl, SHAMT_W.get(w.0))
}

/// SRLIW.
pub fn srliw(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm_w(w, BinaryOp::ShrU, SHAMT_W.get(w.0))
}

/// SRAIW.
pub fn sraiw(t: &mut Lower, w: Word) -> Flow {
    t.binary_imm_w(w, BinaryOp::ShrS, SHAMT_W.get(w.0))
}

/// ADDW.
pub fn addw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::Add)
}

/// SUBW.
pub fn subw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::Sub)
}

/// SLLW: by the low five bits of rs2.
pub fn sllw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::Shl)
}

/// SRLW.
pub fn srlw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::ShrU)
}

/// SRAW.
pub fn sraw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::ShrS)
}

/// FENCE: predecessor set in bits 27..24, successor set in 23..20, both `IORW`. Reserved modes, and reserved rd and
/// rs1, are executed as a plain fence (manual, "Memory Ordering Instructions"). Only an earlier write that must be
/// seen before a later read needs more than the order an x86 host keeps by itself.
pub fn fence(t: &mut Lower, w: Word) -> Flow {
    const WRITES: u32 = 0b0101;
    const READS: u32 = 0b1010;
    let store_load = w.bits(27, 24) & WRITES != 0 && w.bits(23, 20) & READS != 0;
    let kind = if store_load { FenceKind::Full } else { FenceKind::Light };
    t.ir.push(Inst::Fence { kind });
    Flow::Next
}

/// FENCE.TSO: everything but an earlier write before a later read.
pub fn fence_tso(t: &mut Lower, _: Word) -> Flow {
    t.ir.push(Inst::Fence { kind: FenceKind::Light });
    Flow::Next
}

/// PAUSE (Zihintpause).
pub fn pause(t: &mut Lower, _: Word) -> Flow {
    Flow::End(Terminator::Exit { kind: ExitKind::Yield, next: t.next_pc() })
}

/// FENCE.I (Zifencei); rd, rs1 and the immediate are ignored.
pub fn fence_i(t: &mut Lower, _: Word) -> Flow {
    Flow::End(Terminator::Exit { kind: ExitKind::InsnFence, next: t.next_pc() })
}

/// ECALL.
pub fn ecall(t: &mut Lower, _: Word) -> Flow {
    Flow::End(Terminator::Syscall { next: t.next_pc() })
}

/// EBREAK.
pub fn ebreak(t: &mut Lower, _: Word) -> Flow {
    t.trap(TrapKind::Breakpoint { code: 0 })
}
