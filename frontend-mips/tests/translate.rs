//! Where blocks end, what ends them: delay slots above all.
mod common;

use common::cases::{Memory, run, slot};
use common::{Code, block, guest, mode};
use emu_frontend_mips::Mips;
use emu_frontend_mips::translate::Mode;
use emu_ir::*;

const NOP: u32 = 0;
const BEQ: u32 = 0x1085_0010; // beq $a0, $a1, .+0x44
const BEQL: u32 = 0x5085_0010; // beql
const JAL: u32 = 0x0c00_0500; // jal 0x1400
const JR: u32 = 0x03e0_0008; // jr $ra
const LW: u32 = 0x8c82_0000; // lw $v0, 0($a0)
const SW: u32 = 0xac82_0000; // sw $v0, 0($a0)
const SYSCALL: u32 = 0x0000_000c;
const TEQ: u32 = 0x0000_01f4; // teq $zero, $zero, 7
const ADDIU: u32 = 0x2442_0001; // addiu $v0, $v0, 1
const SYNCI: u32 = 0x049f_0000; // synci 0($a0)
const CTC1: u32 = 0x44c2_f800; // ctc1 $v0, $31
const BEQZC: u32 = 0xd880_0010; // beqzc $a0, .+0x44

fn translate_at(guest: &Mips, pc: u64, words: &[u32], max_insns: usize) -> Result<Block, Fault> {
    guest.translate(BlockKey { pc, mode: mode(guest) }, &mut Code::new(guest, pc, words), max_insns)
}

fn plain(target: u64) -> Terminator {
    Terminator::Jump { target, kind: JumpKind::Plain }
}

fn illegal(word: u32) -> Terminator {
    Terminator::Trap { kind: TrapKind::IllegalInstruction { word } }
}

fn marks(block: &Block) -> Vec<(u64, u8)> {
    block.marks.iter().map(|m| (m.pc, m.len)).collect()
}

#[test]
fn a_block_ends_after_as_many_instructions_as_asked_and_with_its_page() {
    let guest = guest("mips32r2");
    let block = translate_at(&guest, 0x1000, &[NOP; 4], 3).unwrap();
    assert_eq!((block.insn_count(), block.term), (3, plain(0x100c)));
    let block = translate_at(&guest, 0x1ff8, &[NOP; 4], 64).unwrap();
    assert_eq!((block.insn_count(), block.term), (2, plain(0x2000)));
}

#[test]
fn a_branch_and_its_slot_stay_together() {
    let guest = guest("mips32r2");
    let alone = translate_at(&guest, 0x1000, &[BEQ, ADDIU, NOP], 1).unwrap();
    assert_eq!(marks(&alone), [(0x1000, 4), (0x1000, 8)]);
    assert!(matches!(alone.term, Terminator::Branch { taken: 0x1044, next: 0x1008, .. }));
    let across = translate_at(&guest, 0x1ff8, &[NOP, BEQ, ADDIU], 64).unwrap();
    assert_eq!((across.insn_count(), across.end()), (3, 0x2004), "a slot on the next page");
}

#[test]
fn a_slot_that_cannot_be_fetched_is_a_fault_of_the_branch() {
    let guest = guest("mips32r2");
    let fault = Fault { addr: 0x2000, access: AccessKind::Execute, cause: FaultCause::Unmapped };
    let before = translate_at(&guest, 0x1ff8, &[NOP, BEQ], 64).unwrap();
    assert_eq!((before.insn_count(), before.term), (1, plain(0x1ffc)));
    assert_eq!(translate_at(&guest, 0x1ffc, &[BEQ], 64), Err(fault));
    assert_eq!(translate_at(&guest, 0x1000, &[], 64).unwrap_err().addr, 0x1000);
    let r6 = common::guest("mips32r6");
    assert!(translate_at(&r6, 0x1ffc, &[BEQZC], 64).is_ok(), "a forbidden slot need not be there");
}

#[test]
fn an_address_that_is_no_multiple_of_four_faults_there() {
    let guest = guest("mips64r2");
    for pc in [0x1001, 0x1002] {
        let fault = Fault { addr: pc, access: AccessKind::Execute, cause: FaultCause::Misaligned };
        assert_eq!(translate_at(&guest, pc, &[NOP], 64), Err(fault));
    }
}

/// Runs a branch and its slot, with `$a0` pointing to nothing and `$a1` equal to it.
fn run_pair(name: &str, words: &[u32]) -> (Exit, CpuState, Mips) {
    let guest = guest(name);
    let mut cpu = CpuState::default();
    for (name, value) in [("a0", 0x5000), ("a1", 0x5000), ("v0", 7), ("ra", 0x3000)] {
        cpu.set(slot(&guest, name), value);
    }
    let exit = run(&guest, &mut cpu, &mut Memory::default(), words);
    (exit, cpu, guest)
}

#[test]
fn what_the_slot_raises_is_reported_at_the_branch() {
    for branch in [BEQ, BEQL, JAL, JR] {
        let (exit, cpu, guest) = run_pair("mips32r2", &[branch, LW]);
        let fault = Fault { addr: 0x5000, access: AccessKind::Read, cause: FaultCause::Unmapped };
        assert_eq!((exit, cpu.pc), (Exit::Fault(fault), 0x1000));
        assert!(guest.has_delay_slot(branch) && !guest.has_delay_slot(LW));
        let (exit, cpu, _) = run_pair("mips32r2", &[branch, SW]);
        assert!(matches!(exit, Exit::Fault(_)) && cpu.pc == 0x1000);
        let (exit, cpu, _) = run_pair("mips32r2", &[branch, TEQ]);
        assert_eq!((exit, cpu.pc), (Exit::Trap(Trap { kind: TrapKind::Conditional { code: 7 } }), 0x1000));
        let (exit, cpu, _) = run_pair("mips32r2", &[branch, 0xffff_ffff]);
        assert_eq!(exit, Exit::Trap(Trap { kind: TrapKind::IllegalInstruction { word: 0xffff_ffff } }));
        assert_eq!(cpu.pc, 0x1000);
    }
    let (_, cpu, guest) = run_pair("mips32r2", &[JAL, LW]);
    assert_eq!(cpu.get(slot(&guest, "ra")), 0x1008, "the link is written before the slot runs");
}

#[test]
fn the_slot_sees_the_link_and_the_branch_does_not_see_the_slot() {
    // jal; addu $v0, $ra, $zero
    let (exit, cpu, guest) = run_pair("mips32r2", &[JAL, 0x03e0_1021]);
    assert_eq!((exit, cpu.pc, cpu.get(slot(&guest, "v0"))), (Exit::Next, 0x1400, 0x1008));
    // jr $ra; addiu $ra, $zero, 8
    let (_, cpu, _) = run_pair("mips32r2", &[JR, 0x241f_0008]);
    assert_eq!(cpu.pc, 0x3000);
    // beq $a0, $a1; addiu $a0, $zero, 1
    let (_, cpu, _) = run_pair("mips32r2", &[BEQ, 0x2404_0001]);
    assert_eq!(cpu.pc, 0x1044);
}

#[test]
fn a_likely_branch_that_is_not_taken_skips_its_slot() {
    let bnel = BEQL | 1 << 26;
    let (exit, cpu, guest) = run_pair("mips32r2", &[bnel, LW]);
    assert_eq!((exit, cpu.pc, cpu.insn_count), (Exit::Next, 0x1008, 1));
    assert_eq!(cpu.get(slot(&guest, "v0")), 7);
    let (exit, cpu, guest) = run_pair("mips32r2", &[BEQL, ADDIU]);
    assert_eq!((exit, cpu.pc, cpu.insn_count), (Exit::Next, 0x1044, 2));
    assert_eq!(cpu.get(slot(&guest, "v0")), 8);
}

#[test]
fn a_system_call_in_a_slot_comes_again_after_it() {
    let (exit, cpu, _) = run_pair("mips32r2", &[JR, SYSCALL]);
    assert_eq!((exit, cpu.pc), (Exit::Syscall { insn: 0x1000 }, 0x1004));
    let guest = guest("mips32r2");
    assert_eq!(block(&guest, &[SYSCALL]).term, Terminator::Syscall { next: 0x1004 });
}

#[test]
fn a_branch_in_a_slot_is_reserved() {
    for name in ["mips1", "mips32r2", "mips64r6"] {
        let block = block(&guest(name), &[BEQ, JAL]);
        assert_eq!((marks(&block), block.term), (vec![(0x1000, 4), (0x1000, 8)], illegal(JAL)));
    }
}

#[test]
fn a_slot_that_needs_the_machine_goes_on_where_the_branch_leads() {
    let fence = |words: &[u32]| block(&guest("mips32r2"), words).term;
    assert_eq!(fence(&[JAL, SYNCI]), Terminator::Exit { kind: ExitKind::InsnFence, next: 0x1400 });
    assert!(matches!(fence(&[JR, SYNCI]), Terminator::ExitTo { kind: ExitKind::InsnFence, .. }));
    let (exit, cpu, _) = run_pair("mips32r2", &[JR, CTC1]);
    assert_eq!((exit, cpu.pc, cpu.fp_round), (Exit::ModeChange, 0x3000, 2), "7 is downwards, with flags");
    let (exit, cpu, _) = run_pair("mips32r2", &[BEQ, CTC1]);
    assert_eq!((exit, cpu.pc), (Exit::ModeChange, 0x1044));
    let (exit, cpu, _) = run_pair("mips32r2", &[BEQ | 1 << 26, CTC1]);
    assert_eq!((exit, cpu.pc), (Exit::ModeChange, 0x1008));
}

#[test]
fn a_forbidden_slot_must_not_hold_a_branch() {
    // $a0 is not 0: not taken.
    let (exit, cpu, _) = run_pair("mips64r6", &[BEQZC, JAL]);
    assert_eq!(exit, Exit::Trap(Trap { kind: TrapKind::IllegalInstruction { word: JAL } }));
    assert_eq!(cpu.pc, 0x1000, "reported at the branch before it");
    let bnezc = BEQZC | 1 << 29;
    let (exit, cpu, _) = run_pair("mips64r6", &[bnezc, JAL]);
    assert_eq!((exit, cpu.pc), (Exit::Next, 0x1044), "taken, so it is not reached");
    let (exit, cpu, guest) = run_pair("mips64r6", &[BEQZC, ADDIU]);
    assert_eq!((exit, cpu.pc, cpu.get(slot(&guest, "v0"))), (Exit::Next, 0x1004, 7), "the next block's");
}

#[test]
fn calls_and_returns() {
    let term = |words: &[u32]| block(&guest("mips64r2"), words).term;
    assert_eq!(term(&[JAL, NOP]), Terminator::Jump { target: 0x1400, kind: JumpKind::Call { ret: 0x1008 } });
    let kind = |word| match term(&[word, NOP]) {
        Terminator::Indirect { kind, .. } => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(JR), IndirectKind::Return);
    assert_eq!(kind(0x0320_0008), IndirectKind::Jump); // jr $t9
    assert_eq!(kind(0x0320_f809), IndirectKind::Call { ret: 0x1008 }); // jalr $ra, $t9
    assert_eq!(term(&[0x1000_0010, NOP]), plain(0x1044)); // b
    assert_eq!(term(&[0x0411_0010, NOP]), Terminator::Jump { target: 0x1044, kind: JumpKind::Call { ret: 0x1008 } });
}

#[test]
fn jumps_stay_in_the_256_mib_of_their_slot() {
    let guest = guest("mips64r2");
    let at = |pc| translate_at(&guest, pc, &[0x0800_0001, NOP], 64).unwrap().term;
    assert_eq!(at(0x1_2000_0000), plain(0x1_2000_0004));
    assert_eq!(at(0x0fff_fffc), plain(0x1000_0004));
}

#[test]
fn branches_wrap_in_the_address_space() {
    let back = 0x1000_fff0; // b .-0x3c
    let target = |name: &str| translate_at(&guest(name), 0, &[back, NOP], 64).unwrap().term;
    assert_eq!(target("mips32r2"), plain(0xffff_ffc4));
    assert_eq!(target("mips64r2"), plain(0xffff_ffff_ffff_ffc4));
}

#[test]
fn addresses_relative_to_the_pc_in_a_slot_are_relative_to_the_slot() {
    // balc has none, so: beq; addiupc $v0, 8
    let (_, cpu, guest) = run_pair("mips64r6", &[BEQ, 0xec40_0002]);
    assert_eq!(cpu.get(slot(&guest, "v0")), 0x100c);
}

#[test]
fn the_mode_is_the_layout_of_registers_and_what_needs_exactness() {
    let guest = guest("mips32r5");
    let mut cpu = CpuState::default();
    let mut mode_with = |fcsr| {
        emu_frontend_mips::fcsr::write(&mut cpu, guest.config(), fcsr);
        Mode::from_bits(guest.mode(&cpu)).exact
    };
    assert_eq!(
        [0, 0x1f << 12, 3, 1 << 7, 1 << 11, 1 << 24].map(&mut mode_with),
        [false, false, false, true, true, true]
    );
    use emu_frontend_mips::{FrMode, fcsr};
    for fr in [FrMode::Wide, FrMode::Emulated, FrMode::Pairs] {
        fcsr::set_fr_mode(&mut cpu, fr);
        assert_eq!(Mode::from_bits(guest.mode(&cpu)).fr, fr);
    }
}

#[test]
fn sync_is_a_full_fence_unless_its_type_asks_for_less() {
    let kind = |stype: u32| {
        block(&guest("mips32r2"), &[0xf | stype << 6]).insts.iter().find_map(|i| match i {
            Inst::Fence { kind } => Some(*kind),
            _ => None,
        })
    };
    assert_eq!([0, 1, 0x10, 0x1f].map(kind), [Some(FenceKind::Full); 4]);
    assert_eq!([4, 0x11, 0x12, 0x13].map(kind), [Some(FenceKind::Light); 4]);
}

#[test]
fn both_byte_orders_are_read() {
    for name in ["mips32r2", "mips32r2,eb"] {
        let block = block(&guest(name), &[0x1234_5678, SYSCALL]);
        assert_eq!(block.insn_count(), 2, "{name}"); // beq $s1, $s4
    }
}
