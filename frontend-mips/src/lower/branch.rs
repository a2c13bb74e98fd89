//! Jumps and branches. What stands after them is [`crate::delay`]'s.

use super::alu::{add_overflows, is_wide};
use super::{Flow, Lower};
use crate::delay::{Branch, Slot, Target};
use crate::fields::{BRANCH, BRANCH21, BRANCH26, JUMP, Word};
use crate::regs::RA;
use emu_ir::{BinaryOp, Cond, Type, Value};

/// Writes the address after the branch, and after its delay slot if it has one.
fn link(t: &mut Lower, reg: u32, slot: Slot) {
    let after = t.pc_plus(if matches!(slot, Slot::Delay | Slot::Likely) { 8 } else { 4 });
    let ret = t.imm(after as i64);
    t.set_gpr(reg, ret);
}

/// Where a branch with an offset leads: it counts from the next instruction.
fn target(t: &Lower, offset: i64) -> Target {
    Target::Pc(t.pc_plus(offset.wrapping_add(4)))
}

fn jump(to: Target, links: bool, slot: Slot) -> Flow {
    Flow::Branch(Branch { cond: None, to, links, returns: false, slot })
}

fn branch(cond: Value, to: Target, links: bool, slot: Slot) -> Flow {
    Flow::Branch(Branch { cond: Some(cond), to, links, returns: false, slot })
}

/// The target of `j` and `jal`: in the 256 MiB of the instruction in the slot.
fn region_target(t: &Lower, w: Word) -> Target {
    Target::Pc(t.pc_plus(4) & !0x0fff_ffff | JUMP.get(w.0) as u64)
}

/// J.
pub fn j(t: &mut Lower, w: Word) -> Flow {
    jump(region_target(t, w), false, Slot::Delay)
}

/// JAL.
pub fn jal(t: &mut Lower, w: Word) -> Flow {
    link(t, RA, Slot::Delay);
    jump(region_target(t, w), true, Slot::Delay)
}

/// JALR, and JR, which is JALR to `$zero`; with `.HB` too, which orders nothing that is not in order here.
pub fn jalr(t: &mut Lower, w: Word) -> Flow {
    let target = t.gpr(w.rs());
    link(t, w.rd(), Slot::Delay);
    let (links, returns) = (w.rd() != 0, w.rs() == RA);
    Flow::Branch(Branch { cond: None, to: Target::Reg(target), links, returns, slot: Slot::Delay })
}

/// A branch if rs and rt fulfil the condition. A register compares equal with itself: `b` is `beq $zero, $zero`.
fn compare(t: &mut Lower, w: Word, cond: Cond, slot: Slot) -> Flow {
    let to = target(t, BRANCH.get(w.0));
    if cond == Cond::Eq && w.rs() == w.rt() && slot != Slot::Forbidden {
        return jump(to, false, slot);
    }
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let cond = t.ir.compare(cond, a, b);
    branch(cond, to, false, slot)
}

/// A branch if a register compares so with 0, which may link.
fn compare_zero(t: &mut Lower, w: Word, reg: u32, cond: Cond, links: bool, slot: Slot) -> Flow {
    let (a, zero) = (t.gpr(reg), t.imm(0));
    let holds = t.ir.compare(cond, a, zero);
    if links {
        link(t, RA, slot);
    }
    let to = target(t, BRANCH.get(w.0));
    // BAL is BGEZAL of $zero.
    let always = reg == 0 && cond == Cond::GeS;
    if always { jump(to, links, slot) } else { branch(holds, to, links, slot) }
}

/// BEQ.
pub fn beq(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::Eq, Slot::Delay)
}

/// BNE.
pub fn bne(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::Ne, Slot::Delay)
}

/// BEQL.
pub fn beql(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::Eq, Slot::Likely)
}

/// BNEL.
pub fn bnel(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::Ne, Slot::Likely)
}

/// BLEZ.
pub fn blez(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::LeS, false, Slot::Delay)
}

/// BGTZ.
pub fn bgtz(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::GtS, false, Slot::Delay)
}

/// BLTZ.
pub fn bltz(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::LtS, false, Slot::Delay)
}

/// BGEZ.
pub fn bgez(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::GeS, false, Slot::Delay)
}

/// BLTZAL, and NAL, which is BLTZAL of `$zero`.
pub fn bltzal(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::LtS, true, Slot::Delay)
}

/// BGEZAL, and BAL, which is BGEZAL of `$zero`.
pub fn bgezal(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::GeS, true, Slot::Delay)
}

/// BLEZL.
pub fn blezl(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::LeS, false, Slot::Likely)
}

/// BGTZL.
pub fn bgtzl(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::GtS, false, Slot::Likely)
}

/// BLTZL.
pub fn bltzl(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::LtS, false, Slot::Likely)
}

/// BGEZL.
pub fn bgezl(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::GeS, false, Slot::Likely)
}

/// BLTZALL.
pub fn bltzall(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::LtS, true, Slot::Likely)
}

/// BGEZALL.
pub fn bgezall(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rs(), Cond::GeS, true, Slot::Likely)
}

/// BC1F, BC1T, BC1FL, BC1TL: bit 16 is the condition that is waited for, bit 17 says likely.
pub fn bc1(t: &mut Lower, w: Word) -> Flow {
    let cc = t.fcc(w.bits(20, 18));
    let cond = if w.bits(16, 16) == 1 { cc } else { t.not(cc) };
    let slot = if w.bits(17, 17) == 1 { Slot::Likely } else { Slot::Delay };
    branch(cond, target(t, BRANCH.get(w.0)), false, slot)
}

/// BC1EQZ, BC1NEZ (bit 23): the lowest bit of a floating-point register.
pub fn bc1_register(t: &mut Lower, w: Word) -> Flow {
    let bits = t.bits32(w.ft());
    let low = t.with_imm(BinaryOp::And, bits, 1);
    let set = t.nonzero(low);
    let cond = if w.bits(23, 23) == 1 { set } else { t.not(set) };
    branch(cond, target(t, BRANCH.get(w.0)), false, Slot::Delay)
}

// Release 6: compact branches.

/// BC.
pub fn bc(t: &mut Lower, w: Word) -> Flow {
    jump(target(t, BRANCH26.get(w.0)), false, Slot::None)
}

/// BALC.
pub fn balc(t: &mut Lower, w: Word) -> Flow {
    link(t, RA, Slot::None);
    jump(target(t, BRANCH26.get(w.0)), true, Slot::None)
}

/// JIC and JIALC (bit 29): to rt + offset.
pub fn jic(t: &mut Lower, w: Word) -> Flow {
    let base = t.gpr(w.rt());
    let to = t.with_imm(BinaryOp::Add, base, w.imm());
    let links = w.bits(29, 29) == 1;
    if links {
        link(t, RA, Slot::None);
    }
    let returns = w.rt() == RA && w.imm() == 0;
    Flow::Branch(Branch { cond: None, to: Target::Reg(to), links, returns, slot: Slot::None })
}

/// BEQZC and BNEZC (bit 29): an offset of 21 bits.
pub fn beqzc(t: &mut Lower, w: Word) -> Flow {
    let (a, zero) = (t.gpr(w.rs()), t.imm(0));
    let cond = t.ir.compare(if w.bits(29, 29) == 1 { Cond::Ne } else { Cond::Eq }, a, zero);
    branch(cond, target(t, BRANCH21.get(w.0)), false, Slot::Forbidden)
}

/// BEQC.
pub fn beqc(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::Eq, Slot::Forbidden)
}

/// BNEC.
pub fn bnec(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::Ne, Slot::Forbidden)
}

/// BLTC.
pub fn bltc(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::LtS, Slot::Forbidden)
}

/// BGEC.
pub fn bgec(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::GeS, Slot::Forbidden)
}

/// BLTUC.
pub fn bltuc(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::LtU, Slot::Forbidden)
}

/// BGEUC.
pub fn bgeuc(t: &mut Lower, w: Word) -> Flow {
    compare(t, w, Cond::GeU, Slot::Forbidden)
}

/// BLEZC.
pub fn blezc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::LeS, false, Slot::Forbidden)
}

/// BGEZC.
pub fn bgezc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::GeS, false, Slot::Forbidden)
}

/// BGTZC.
pub fn bgtzc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::GtS, false, Slot::Forbidden)
}

/// BLTZC.
pub fn bltzc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::LtS, false, Slot::Forbidden)
}

/// BLEZALC.
pub fn blezalc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::LeS, true, Slot::Forbidden)
}

/// BGEZALC.
pub fn bgezalc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::GeS, true, Slot::Forbidden)
}

/// BGTZALC.
pub fn bgtzalc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::GtS, true, Slot::Forbidden)
}

/// BLTZALC.
pub fn bltzalc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::LtS, true, Slot::Forbidden)
}

/// BEQZALC.
pub fn beqzalc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::Eq, true, Slot::Forbidden)
}

/// BNEZALC.
pub fn bnezalc(t: &mut Lower, w: Word) -> Flow {
    compare_zero(t, w, w.rt(), Cond::Ne, true, Slot::Forbidden)
}

/// Does rs + rt leave 32 bits? An operand that is no 32-bit value counts as an overflow.
fn overflows(t: &mut Lower, w: Word) -> Value {
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let (wide_a, wide_b) = (is_wide(t, a), is_wide(t, b));
    let wide = t.ir.or(wide_a, wide_b);
    let (a, b) = (t.ir.trunc(Type::I32, a), t.ir.trunc(Type::I32, b));
    let sum = t.ir.add(a, b);
    let over = add_overflows(t, a, b, sum);
    t.ir.or(wide, over)
}

/// BOVC.
pub fn bovc(t: &mut Lower, w: Word) -> Flow {
    let cond = overflows(t, w);
    branch(cond, target(t, BRANCH.get(w.0)), false, Slot::Forbidden)
}

/// BNVC.
pub fn bnvc(t: &mut Lower, w: Word) -> Flow {
    let over = overflows(t, w);
    let cond = t.not(over);
    branch(cond, target(t, BRANCH.get(w.0)), false, Slot::Forbidden)
}
