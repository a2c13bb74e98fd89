//! Which store-conditional a load-reserved is good for.
mod common;

use common::{Code, guest};
use emu_ir::*;

const LR: u32 = 0x1005_a52f; // lr.w a0, (a1)
const LR_D: u32 = 0x1005_b52f;
const SC: u32 = 0x18d5_a62f; // sc.w a2, a3, (a1)
const NOP: u32 = 0x13;
const LW: u32 = 0x0005_a703; // lw a4, 0(a1)
const SW: u32 = 0x00e5_a023; // sw a4, 0(a1)
const AMO: u32 = 0x00e5_a72f; // amoadd.w a4, a4, (a1)
const RDTIME: u32 = 0xc010_2773;
const FENCE: u32 = 0x0ff0_000f;
const RET: u32 = 0x8067;
const ECALL: u32 = 0x73;
const C_NOP: u32 = 1;

/// bne a0, a4, . + offset
fn bne(offset: i32) -> u32 {
    let o = offset as u32;
    (o >> 12 & 1) << 31 | (o >> 5 & 0x3f) << 25 | 0x00e5_1063 | (o >> 1 & 0xf) << 8 | (o >> 11 & 1) << 7
}

/// j . + offset
fn j(offset: i32) -> u32 {
    let o = offset as u32;
    (o >> 20 & 1) << 31 | (o >> 1 & 0x3ff) << 21 | (o >> 11 & 1) << 20 | (o >> 12 & 0xff) << 12 | 0x6f
}

fn translate(pc: u64, words: &[u32]) -> Block {
    guest("rv64gc").translate(BlockKey { pc, mode: 0 }, &mut Code::new(pc, words), 64).unwrap()
}

/// What the load-reserved at `pc`, with which the words begin, is good for.
fn good_for_at(pc: u64, words: &[u32]) -> ScId {
    let block = translate(pc, words);
    let mut ids =
        block.insts.iter().filter_map(|i| if let Inst::LoadReserved { id, .. } = i { Some(*id) } else { None });
    ids.next_back().unwrap()
}

fn good_for(words: &[u32]) -> ScId {
    good_for_at(0x1000, words)
}

const HARD: ScId = ScId::any(Type::I32);

fn at(pc: u64) -> ScId {
    ScId::at(pc)
}

#[test]
fn registers_and_direct_branches_are_pure() {
    assert_eq!(good_for(&[LR, SC, RET]), at(0x1004));
    assert_eq!(good_for(&[LR, NOP, C_NOP, FENCE, SC, RET]), at(0x100e));
    assert_eq!(good_for(&[LR, bne(12), SC, RET, RET]), at(0x1008), "the exit of a failing comparison");
    assert_eq!(good_for(&[LR, bne(12), LW, RET, SC, RET]), at(0x1010), "sc on the far side");
    assert_eq!(good_for(&[LR, j(12), LW, RET, SC]), at(0x1010));
    assert_eq!(good_for(&[LR, bne(-4), SC, RET]), at(0x1008), "a spinning one");
    assert_eq!(good_for(&[LR, bne(8), NOP, NOP, SC, RET]), at(0x1010), "two ways to one sc");
}

#[test]
fn what_comes_after_a_way_out_does_not_matter() {
    let long = [&[LR, bne(12), SC, RET][..], &[LW; 80], &[SC]].concat();
    assert_eq!(good_for(&long), at(0x1008));
    assert_eq!(good_for(&[LR, bne(12), SC, RET, LW, LR, SC]), at(0x1008), "another sequence");
    assert_eq!(good_for(&[LR, bne(12), SC, RET, LW, ECALL, SC]), at(0x1008), "a system call");
    let early = [&[LR, bne(84)][..], &[NOP; 20], &[SC, RET]].concat();
    assert_eq!(good_for(&early), at(0x1058), "neither way is looked at alone");
}

#[test]
fn accesses_in_between_are_hard() {
    for between in [LW, SW, AMO, RDTIME] {
        assert_eq!(good_for(&[LR, between, SC, RET]), HARD, "{between:#x}");
        assert_eq!(good_for(&[LR, bne(8), between, SC, RET]), HARD, "{between:#x} on one way");
    }
    assert_eq!(good_for(&[LR, bne(12), SC, RET, LW, j(-12)]), HARD, "a way round to it");
}

#[test]
fn no_sc_and_several_are_hard() {
    assert_eq!(good_for(&[LR, RET]), HARD);
    assert_eq!(good_for(&[LR, ECALL, SC]), HARD);
    assert_eq!(good_for(&[LR, LR_D, SC]), HARD, "the second has another, too");
    assert_eq!(good_for(&[LR, bne(12), SC, RET, SC, RET]), HARD);
    assert_eq!(good_for(&[&[LR][..], &[NOP; 80], &[SC, RET]].concat()), HARD, "too far");
    assert_eq!(good_for(&[LR, NOP]), HARD, "what follows cannot be read");
}

#[test]
fn an_sc_of_another_width_stores_nothing() {
    assert_eq!(good_for(&[LR_D, SC, RET]), ScId::NONE);
}

#[test]
fn a_hard_one_is_a_block_of_its_own() {
    let block = translate(0x1000, &[NOP, LR, LW, SC, RET]);
    let to = |target| Terminator::Jump { target, kind: JumpKind::Plain };
    assert_eq!((block.insn_count(), block.term, block.needs_window()), (1, to(0x1004), false));
    let block = translate(0x1000, &[LR, LW, SC, RET]);
    assert_eq!((block.insn_count(), block.term, block.needs_window()), (1, to(0x1004), true));
    let pure = translate(0x1000, &[NOP, LR, SC, RET]);
    assert_eq!((pure.insn_count(), pure.needs_window()), (4, false));
}

#[test]
fn a_look_over_the_pages_end_is_noted() {
    let block = translate(0x1ffc, &[LR, NOP, SC, RET]);
    assert_eq!((good_for_at(0x1ffc, &[LR, NOP, SC, RET]), block.beyond), (at(0x2004), vec![0x2000]));
    assert_eq!(translate(0x1000, &[LR, SC, RET]).beyond, []);
}
