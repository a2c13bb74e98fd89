//! Where blocks end, what ends them, and what the mode changes.
mod common;

use common::{Code, block, block_in_mode, guest};
use emu_frontend_riscv::translate::mode;
use emu_ir::*;

const NOP: u32 = 0x13;
const FADD_S: u32 = 0x00c5_f553; // rounding mode dyn
const FCVT_D_S: u32 = 0x4205_f553; // likewise
const FADD_S_RTZ: u32 = 0x00c5_9553;
const FADD_S_RNE: u32 = 0x00c5_8553;

fn translate(pc: u64, words: &[u32], max_insns: usize) -> Result<Block, Fault> {
    guest("rv64gc").translate(BlockKey { pc, mode: 0 }, &mut Code::new(pc, words), max_insns)
}

fn plain(target: u64) -> Terminator {
    Terminator::Jump { target, kind: JumpKind::Plain }
}

fn illegal(word: u32) -> Terminator {
    Terminator::Trap { kind: TrapKind::IllegalInstruction { word } }
}

#[test]
fn a_block_ends_after_as_many_instructions_as_asked() {
    let block = translate(0x1000, &[NOP, 1, NOP, NOP], 3).unwrap();
    assert_eq!((block.insn_count(), block.term), (3, plain(0x100a)));
    assert_eq!(block.marks.iter().map(|m| (m.pc, m.len)).collect::<Vec<_>>(), [(0x1000, 4), (0x1004, 2), (0x1006, 4)]);
    assert_eq!(translate(0x1000, &[NOP, NOP], 0).unwrap().insn_count(), 1, "one is the least");
}

#[test]
fn a_block_ends_with_its_page() {
    let block = translate(0x1ff8, &[NOP, NOP, NOP, NOP], 64).unwrap();
    assert_eq!((block.insn_count(), block.term), (2, plain(0x2000)));
    let straddling = translate(0x1ffa, &[NOP, NOP, NOP], 64).unwrap();
    assert_eq!((straddling.insn_count(), straddling.term), (2, plain(0x2002)));
}

#[test]
fn a_fetch_fault_is_an_error_only_at_the_first_instruction() {
    let fault = |addr| Fault { addr, access: AccessKind::Execute, cause: FaultCause::Unmapped };
    assert_eq!(translate(0x1000, &[], 64), Err(fault(0x1000)));
    let cut = translate(0x1000, &[NOP, 1], 64).unwrap();
    assert_eq!((cut.insn_count(), cut.term), (2, plain(0x1006)));
    // The second half of an instruction is missing: that half is the address.
    let mut half = Code { base: 0x1ffe, halves: vec![NOP as u16] };
    assert_eq!(guest("rv64gc").translate(BlockKey { pc: 0x1ffe, mode: 0 }, &mut half, 64), Err(fault(0x2000)));
}

#[test]
fn illegal_instructions_end_a_block_and_carry_their_word() {
    let block = translate(0x1000, &[NOP, 0xffff_ffff], 64).unwrap();
    assert_eq!((block.insn_count(), block.last_pc(), block.term), (2, 0x1004, illegal(0xffff_ffff)));
    assert_eq!(translate(0x1000, &[0x9c41], 64).unwrap().term, illegal(0x9c41));
    assert_eq!(block_of("rv64imac", FADD_S).term, illegal(FADD_S));
    assert_eq!(block_of("rv64i", 0x0001).term, illegal(0x0001), "without C");
}

fn block_of(isa: &str, word: u32) -> Block {
    block(&guest(isa), &[word])
}

#[test]
fn calls_and_returns_follow_the_return_address_stack_hints() {
    let jal = |rd: u32| match block_of("rv64gc", 0x0000_006f | rd << 7).term {
        Terminator::Jump { kind, .. } => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!([jal(0), jal(10)], [JumpKind::Plain; 2]);
    assert_eq!([jal(1), jal(5)], [JumpKind::Call { ret: 0x1004 }; 2]);
    let jalr = |rd: u32, rs1: u32| match block_of("rv64gc", 0x0000_0067 | rd << 7 | rs1 << 15).term {
        Terminator::Indirect { kind, .. } => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!([jalr(0, 10), jalr(10, 11)], [IndirectKind::Jump; 2]);
    assert_eq!([jalr(0, 1), jalr(0, 5), jalr(10, 1)], [IndirectKind::Return; 3]);
    let call = IndirectKind::Call { ret: 0x1004 };
    assert_eq!([jalr(1, 10), jalr(5, 10), jalr(1, 1), jalr(5, 5), jalr(1, 5), jalr(5, 1)], [call; 6]);
    // c.jalr ra returns to the address after its two bytes.
    let Terminator::Indirect { kind, .. } = block_of("rv64gc", 0x9502).term else { panic!() };
    assert_eq!(kind, IndirectKind::Call { ret: 0x1002 });
}

#[test]
fn targets_wrap_in_the_address_space() {
    let jump_back = 0xffdf_f06f; // j .-4
    let at_0 =
        |isa: &str| guest(isa).translate(BlockKey { pc: 0, mode: 0 }, &mut Code::new(0, &[jump_back]), 1).unwrap();
    assert_eq!(at_0("rv64gc").term, plain(0xffff_ffff_ffff_fffc));
    assert_eq!(at_0("rv32gc").term, plain(0xffff_fffc));
}

#[test]
fn without_c_a_target_between_words_is_an_exception_of_the_jump() {
    let misaligned = TrapKind::MisalignedTarget;
    let (jal, beq, jalr) = (0x0060_00ef, 0x00b5_0363, 0x0000_8067);
    assert_eq!(block_of("rv64i", jal).term, Terminator::Trap { kind: misaligned });
    let has_check = |b: &Block| b.insts.iter().any(|i| matches!(i, Inst::TrapIf { kind, .. } if *kind == misaligned));
    let branch = block_of("rv64i", beq);
    assert!(has_check(&branch) && branch.term == plain(0x1004), "only if it is taken");
    assert!(has_check(&block_of("rv64i", jalr)));
    for word in [jal, beq, jalr] {
        assert!(!has_check(&block_of("rv64ic", word)));
    }
    assert_eq!(block_of("rv64ic", jal).term, Terminator::Jump { target: 0x1006, kind: JumpKind::Call { ret: 0x1004 } });
}

#[test]
fn the_mode_is_what_frm_holds() {
    let guest = guest("rv64gc");
    let mode_of = |frm| guest.mode(&CpuState { fp_round: frm, ..CpuState::default() });
    let expected = [
        mode::NEAREST,
        mode::DIRECTED,
        mode::DIRECTED,
        mode::DIRECTED,
        mode::NEAREST_AWAY,
        mode::RESERVED,
        mode::RESERVED,
        mode::RESERVED,
    ];
    assert_eq!((0..8).map(mode_of).collect::<Vec<_>>(), expected);
}

#[test]
fn the_dynamic_rounding_mode_depends_on_the_mode() {
    let guest = guest("rv64gc");
    let round = |mode, word| {
        let block = block_in_mode(&guest, mode, &[word]);
        block.insts.iter().find_map(|i| match i {
            Inst::FloatBinary { round, .. } | Inst::FloatConvert { round, .. } => Some(*round),
            _ => None,
        })
    };
    assert_eq!(round(mode::NEAREST, FADD_S), Some(Round::Dynamic));
    assert_eq!(round(mode::DIRECTED, FADD_S), Some(Round::Dynamic));
    assert_eq!(round(mode::NEAREST_AWAY, FADD_S), Some(Round::NearestAway));
    assert_eq!(round(mode::RESERVED, FADD_S), None);
    assert_eq!(block_in_mode(&guest, mode::RESERVED, &[FADD_S]).term, illegal(FADD_S));
    // So it is where nothing needs rounding, but not with a rounding mode of the instruction's own.
    assert_eq!(block_in_mode(&guest, mode::RESERVED, &[FCVT_D_S]).term, illegal(FCVT_D_S));
    assert_eq!(round(mode::RESERVED, FADD_S_RTZ), Some(Round::TowardZero));
    // To nearest is what the host does anyway while frm says so.
    assert_eq!(round(mode::NEAREST, FADD_S_RNE), Some(Round::Dynamic));
    for mode in [mode::DIRECTED, mode::NEAREST_AWAY, mode::RESERVED] {
        assert_eq!(round(mode, FADD_S_RNE), Some(Round::NearestEven));
    }
}

#[test]
fn fences_are_full_only_for_a_write_before_a_read() {
    let kind = |word| {
        block_of("rv64max", word).insts.iter().find_map(|i| match i {
            Inst::Fence { kind } => Some(*kind),
            _ => None,
        })
    };
    let fence = |pred: u32, succ: u32| kind(0x0000_000f | pred << 24 | succ << 20);
    let (i, o, r, w) = (8, 4, 2, 1);
    for (pred, succ) in [(r | w, r | w), (w, r), (o, i), (w, i), (o, r), (15, 15)] {
        assert_eq!(fence(pred, succ), Some(FenceKind::Full));
    }
    for (pred, succ) in [(r, r | w), (r | w, w), (w, w), (i | r, 15), (15, o | w), (0, 15), (15, 0)] {
        assert_eq!(fence(pred, succ), Some(FenceKind::Light));
    }
    assert_eq!(kind(0x8330_000f), Some(FenceKind::Light), "fence.tso");
    assert_eq!(kind(0x8ff0_000f), Some(FenceKind::Full), "a reserved mode is a plain fence");
    assert_eq!(kind(0x0335_050f), Some(FenceKind::Full), "reserved registers are ignored");
}

#[test]
fn what_leaves_a_block_for_the_machine() {
    let exit = |kind| Terminator::Exit { kind, next: 0x1004 };
    assert_eq!(block_of("rv64gc", 0x0000_0073).term, Terminator::Syscall { next: 0x1004 });
    assert_eq!(block_of("rv64gc", 0x0010_0073).term, Terminator::Trap { kind: TrapKind::Breakpoint { code: 0 } });
    assert_eq!(block_of("rv64gc", 0x9002).term, Terminator::Trap { kind: TrapKind::Breakpoint { code: 0 } });
    assert_eq!(block_of("rv64gc", 0x0000_100f).term, exit(ExitKind::InsnFence));
    assert_eq!(block_of("rv64max", 0x0100_000f).term, exit(ExitKind::Yield));
    assert_eq!(block_of("rv64gc", 0x0100_000f).term, plain(0x1004), "pause without Zihintpause is a fence");
}

/// A CSR instruction: funct3, number, rd, rs1 or immediate.
fn csr(funct3: u32, number: u32, rd: u32, rs1: u32) -> u32 {
    number << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x73
}

const FFLAGS: u32 = 1;
const FRM: u32 = 2;
const FCSR: u32 = 3;
const CYCLE: u32 = 0xc00;

#[test]
fn csr_accesses_that_are_illegal() {
    let is_illegal = |isa: &str, word| block_of(isa, word).term == illegal(word);
    for number in [0x000, 0x004, 0x300, 0xc03, 0xc80, 0xf14] {
        assert!(is_illegal("rv64gc", csr(2, number, 10, 0)), "{number:#x}");
    }
    assert!(!is_illegal("rv32gc", csr(2, 0xc80, 10, 0)), "cycleh");
    assert!(!is_illegal("rv64gc", csr(2, CYCLE, 10, 0)) && !is_illegal("rv64gc", csr(7, CYCLE, 10, 0)));
    // A write, even of nothing, to a read-only register.
    for word in [csr(1, CYCLE, 10, 0), csr(5, CYCLE, 0, 0), csr(2, CYCLE, 10, 11), csr(7, CYCLE, 0, 1)] {
        assert!(is_illegal("rv64gc", word));
    }
    assert!(is_illegal("rv64imac_zicsr", csr(2, FCSR, 10, 0)) && is_illegal("rv64if", csr(2, CYCLE, 10, 0)));
}

#[test]
fn csr_reads_and_writes_happen_only_where_the_manual_has_them() {
    let count = |word, wanted: fn(&Inst) -> bool| block_of("rv64gc", word).insts.iter().filter(|i| wanted(i)).count();
    let reads = |word| count(word, |i| matches!(i, Inst::ReadFpFlags | Inst::ReadFpRound));
    let writes = |word| count(word, |i| matches!(i, Inst::WriteFpFlags { .. } | Inst::WriteFpRound { .. }));
    let both = |word| (reads(word), writes(word));
    assert_eq!(both(csr(1, FFLAGS, 10, 11)), (1, 1));
    assert_eq!(both(csr(1, FFLAGS, 0, 11)), (0, 1), "csrrw without rd does not read");
    assert_eq!(both(csr(2, FFLAGS, 10, 0)), (1, 0), "csrrs without rs1 does not write");
    assert_eq!(both(csr(7, FCSR, 10, 0)), (2, 0));
    assert_eq!(both(csr(3, FCSR, 10, 11)), (2, 2));
    let changes = |word| block_of("rv64gc", word).term == Terminator::Exit { kind: ExitKind::ModeChange, next: 0x1004 };
    assert!(changes(csr(1, FRM, 0, 11)) && changes(csr(6, FCSR, 10, 3)));
    assert!(!changes(csr(2, FRM, 10, 0)) && !changes(csr(1, FFLAGS, 0, 11)));
}

#[test]
fn branch_conditions() {
    let cond = |funct3: u32| match block_of("rv64gc", 0x00b5_0463 | funct3 << 12).insts[2] {
        Inst::Compare { cond, .. } => cond,
        other => panic!("{other:?}"),
    };
    assert_eq!([0, 1, 4, 5, 6, 7].map(cond), [Cond::Eq, Cond::Ne, Cond::LtS, Cond::GeS, Cond::LtU, Cond::GeU]);
}

#[test]
fn loads_and_stores_have_their_widths() {
    let access = |word| {
        block_of("rv64gc", word).insts.iter().find_map(|i| match i {
            Inst::Load { access, offset, .. } | Inst::Store { access, offset, .. } => Some((*access, *offset)),
            _ => None,
        })
    };
    let load = |funct3: u32| access(0x8005_8503 | funct3 << 12).unwrap(); // imm = -2048
    let widths = [Access::signed(1), Access::signed(2), Access::signed(4), Access::signed(8)];
    assert_eq!([0, 1, 2, 3].map(load), widths.map(|w| (w, -2048)));
    assert_eq!([4, 5, 6].map(load), [1, 2, 4].map(|n| (Access::unsigned(n), -2048)));
    let store = |funct3: u32| access(0x7eb5_0fa3 | funct3 << 12).unwrap(); // imm = 2047
    assert_eq!([0, 1, 2, 3].map(store), [1, 2, 4, 8].map(|n| (Access::unsigned(n), 2047)));
}

#[test]
fn atomics_have_their_operations_and_widths() {
    use AtomicOp::*;
    let amo = |funct5: u32, funct3: u32| {
        let block = block_of("rv64gc", 0x00c5_852f | funct5 << 27 | funct3 << 12);
        let found = block.insts.iter().find_map(|i| match i {
            Inst::AtomicRmw { op, ty, .. } => Some((*op, *ty)),
            _ => None,
        });
        found.unwrap()
    };
    let ops = [(0, Add), (1, Swap), (4, Xor), (8, Or), (12, And), (16, MinS), (20, MaxS), (24, MinU), (28, MaxU)];
    for (funct5, op) in ops {
        assert_eq!((amo(funct5, 2), amo(funct5, 3)), ((op, Type::I32), (op, Type::I64)));
    }
}
