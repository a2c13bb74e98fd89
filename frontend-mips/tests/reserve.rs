//! Which store-conditional a load-linked is good for.
mod common;

use common::{Code, guest, mode};
use emu_ir::*;

const LL: u32 = 0xc082_0000; // ll $v0, 0($a0)
const SC: u32 = 0xe083_0000; // sc $v1, 0($a0)
const LLD: u32 = 0xd082_0000;
const SCD: u32 = 0xf083_0000;
const LL_R6: u32 = 0x7c82_0036;
const SC_R6: u32 = 0x7c83_0026;
const LLWP: u32 = 0x7c82_1876; // llwp $v0, $v1, ($a0)
const SCWP: u32 = 0x7c82_1866;
const NOP: u32 = 0;
const LW: u32 = 0x8c85_0000; // lw $a1, 0($a0)
const SYSCALL: u32 = 12;
const JR: u32 = 0x03e0_0008;

/// beq, beql, beqzc and bc to so many instructions after the next.
fn beq(insns: i16) -> u32 {
    0x1085_0000 | u32::from(insns as u16)
}
fn beql(insns: i16) -> u32 {
    0x5085_0000 | u32::from(insns as u16)
}
fn b(insns: i16) -> u32 {
    0x1000_0000 | u32::from(insns as u16)
}
fn beqzc(insns: u32) -> u32 {
    0xd880_0000 | insns
}
fn bc(insns: u32) -> u32 {
    0xc800_0000 | insns
}

fn translate(isa: &str, pc: u64, words: &[u32]) -> Block {
    let guest = guest(isa);
    // There is always more code behind.
    let words = [words, &[JR, NOP, NOP]].concat();
    guest.translate(BlockKey { pc, mode: mode(&guest) }, &mut Code::new(&guest, pc, &words), 64).unwrap()
}

fn good_for(isa: &str, words: &[u32]) -> ScId {
    let block = translate(isa, 0x1000, words);
    let mut ids =
        block.insts.iter().filter_map(|i| if let Inst::LoadReserved { id, .. } = i { Some(*id) } else { None });
    ids.next_back().unwrap()
}

const HARD: ScId = ScId::any(Type::I32);

fn at(pc: u64) -> ScId {
    ScId::at(pc)
}

#[test]
fn registers_and_direct_branches_are_pure_in_both_byte_orders() {
    for isa in ["mips32r2", "mips32r2el", "mips64r2", "mips64r2el"] {
        assert_eq!(good_for(isa, &[LL, NOP, SC]), at(0x1008), "{isa}");
        assert_eq!(good_for(isa, &[LL, beq(3), NOP, SC, JR, NOP]), at(0x100c), "{isa}");
        assert_eq!(good_for(isa, &[LL, LW, SC]), HARD, "{isa}");
    }
    assert_eq!(good_for("mips64r2", &[LLD, NOP, SCD]), at(0x1008));
    assert_eq!(good_for("mips64r2", &[LLD, LW, SCD]), ScId::any(Type::I64));
    assert_eq!(good_for("mips64r2", &[LLD, SC]), ScId::NONE, "another width");
}

#[test]
fn slots_are_on_the_way() {
    assert_eq!(good_for("mips32r2", &[LL, beq(1), LW, SC]), HARD, "a load in the slot");
    assert_eq!(good_for("mips32r2", &[LL, beq(3), SC, JR, NOP]), at(0x1004), "sc in the slot has the branch's address");
    assert_eq!(good_for("mips32r2", &[LL, b(2), NOP, LW, SC]), at(0x1010));
    assert_eq!(good_for("mips32r2", &[LL, JR, SC]), at(0x1004));
}

#[test]
fn the_slot_of_a_branch_likely_is_on_one_way_only() {
    assert_eq!(good_for("mips32r2", &[LL, beql(2), LW, SC, JR, NOP]), at(0x100c), "taken, it leads away");
    assert_eq!(good_for("mips32r2", &[LL, beql(3), LW, SC, JR, NOP]), at(0x100c), "and past sc");
    assert_eq!(good_for("mips32r2", &[LL, beql(1), LW, SC, JR, NOP]), HARD, "taken, it leads to sc over a load");
}

#[test]
fn an_ll_in_a_slot_goes_on_at_the_target() {
    assert_eq!(good_for("mips32r2", &[b(2), LL, JR, NOP, SC]), at(0x1010));
    assert_eq!(good_for("mips32r2", &[b(2), LL, JR, NOP, LW, SC]), HARD);
    assert_eq!(good_for("mips32r2", &[JR, LL, SC]), HARD);
    let block = translate("mips32r2", 0x1000, &[NOP, JR, LL, SC]);
    assert_eq!((block.insn_count(), block.needs_window()), (1, false));
    let block = translate("mips32r2", 0x1004, &[JR, LL, SC]);
    assert_eq!((block.insn_count(), block.needs_window()), (2, true));
}

#[test]
fn compact_branches_have_no_slot() {
    assert_eq!(good_for("mips32r6", &[LL_R6, beqzc(2), SC_R6, JR, NOP]), at(0x1008));
    assert_eq!(good_for("mips32r6", &[LL_R6, bc(1), LW, SC_R6]), at(0x100c));
    assert_eq!(good_for("mips32r6", &[LL_R6, LW, SC_R6]), HARD);
    assert_eq!(good_for("mips32r6", &[LLWP, NOP, SCWP]), at(0x1008));
    assert_eq!(good_for("mips32r6", &[LLWP, NOP, SC_R6]), ScId::NONE, "another width");
}

#[test]
fn ways_out_and_hard_ones() {
    assert_eq!(good_for("mips32r2", &[LL, beq(3), NOP, SC, JR, NOP, LW, SYSCALL, SC]), at(0x100c));
    assert_eq!(good_for("mips32r2", &[LL, SYSCALL, SC]), HARD);
    assert_eq!(good_for("mips32r2", &[LL, beq(3), NOP, SC, JR, NOP, SC]), HARD, "two of them");
    let block = translate("mips32r2", 0x1000, &[NOP, LL, LW, SC]);
    assert_eq!((block.insn_count(), block.needs_window()), (1, false));
    let block = translate("mips32r2", 0x1004, &[LL, LW, SC]);
    assert_eq!((block.insn_count(), block.needs_window()), (1, true));
    assert_eq!(translate("mips32r2", 0x1ffc, &[LL, NOP, SC]).beyond, [0x2000]);
}
