//! What compiled code does in ways of its own for MIPS: branch-likely, unaligned accesses by pairs, on every engine.

mod common;

use common::machine::{Machine, Way, map};
use emu_frontend_mips::regs::{fcc_slot, fpr_slot};
use emu_frontend_mips::{Config, Mips};
use emu_ir::{AccessKind, CpuState, Exit, Fault, FaultCause, SPARE_SLOT, Slot, Trap, TrapKind};
use emu_machine::mem::Prot;
use std::sync::Arc;

const CODE: u64 = 0x1_0000;
const DATA: u64 = 0x2_0000;
const PAGE: u64 = 0x1000;
const V0: u16 = 2;
const V1: u16 = 3;
const A0: u16 = 4;
const SYSCALL: u32 = 0x0000_000c;

/// A machine with this code, two pages of data, and a hole after them.
fn machine(way: Way, isa: &str, words: &[u32]) -> Machine {
    let guest = Arc::new(Mips::new(Config::parse(isa).unwrap()));
    let big = guest.config().big_endian;
    let mut machine = Machine::new(way, &guest);
    map(&machine.memory, CODE, PAGE, Prot::RX);
    map(&machine.memory, DATA, 2 * PAGE, Prot::RW);
    let bytes: Vec<u8> = words.iter().flat_map(|w| if big { w.to_be_bytes() } else { w.to_le_bytes() }).collect();
    machine.load_code(CODE, &bytes);
    machine
}

fn run(machine: &mut Machine, registers: &[(u16, u64)]) -> Exit {
    let mut start = CpuState { pc: CODE, ..CpuState::default() };
    registers.iter().for_each(|(reg, value)| start.set(Slot(*reg), *value));
    machine.run_from(&start, DATA..DATA).exit
}

#[test]
fn a_slot_of_branch_likely_runs_only_if_the_branch_is_taken() {
    // again: addiu $a0, $a0, -1; bgtzl $a0, again; addiu $v0, $v0, 1; addiu $v1, $v1, 1; bnel $v1, $a1, again;
    // addiu $a0, $a0, 7; syscall
    let words = [0x2484_ffff, 0x5c80_fffe, 0x2442_0001, 0x2463_0001, 0x5465_fffb, 0x2484_0007, SYSCALL];
    for way in [&Way::ALL[..], &[Way::Tiered]].concat() {
        let mut machine = machine(way, "mips32r2", &words);
        for (count, outer) in [(1, 1), (1000, 1), (5, 700), (3000, 900)] {
            let exit = run(&mut machine, &[(A0, count), (A0 + 1, outer)]);
            assert!(matches!(exit, Exit::Syscall { .. }), "{way:?}: {exit:?}");
            let found = [V0, V1, A0].map(|reg| machine.cpu().get(Slot(reg)));
            // From the second time on the inner loop starts at 7.
            assert_eq!(found, [count - 1 + 6 * (outer - 1), outer, 0], "{way:?}");
        }
    }
}

/// `ctc1` writes FCSR, with the condition that the branch looked at, and then traps: the branch must not be run again.
#[test]
fn a_slot_that_writes_and_traps_runs_once() {
    // bc1fl $fcc3, +3; ctc1 $v0, $31; nop; nop; syscall; and the same with bc1f
    for branch in [0x450e_0003, 0x450c_0003] {
        for way in [&Way::ALL[..], &[Way::Lockstep, Way::QuickLockstep]].concat() {
            let mut machine = machine(way, "mips32r2", &[branch, 0x44c2_f800, 0, 0, SYSCALL]);
            // Condition 3, the invalid operation's cause and enable.
            let exit = run(&mut machine, &[(V0, 1 << 27 | 1 << 16 | 1 << 11)]);
            assert_eq!(exit, Exit::Trap(Trap { kind: TrapKind::FloatException }), "{way:?}");
            let cpu = machine.cpu();
            assert_eq!((cpu.pc, cpu.get(fcc_slot(3))), (CODE, 1), "{way:?}");
        }
    }
}

/// Flags that compiled code has raised and not yet counted among the guest's must not be there after `ctc1`, though it traps.
#[test]
fn a_trapping_ctc1_replaces_all_flags() {
    for way in [&Way::ALL[..], &[Way::Lockstep, Way::QuickLockstep]].concat() {
        // cvt.s.w $f4, $f2 is inexact; ctc1 $v0, $31
        let mut machine = machine(way, "mips32r2", &[0x4680_1120, 0x44c2_f800, SYSCALL]);
        let exit = run(&mut machine, &[(V0, 1 << 16 | 1 << 11), (fpr_slot(2).0, 0x7fff_ffff)]);
        assert_eq!(exit, Exit::Trap(Trap { kind: TrapKind::FloatException }), "{way:?}");
        assert_eq!((machine.cpu().pc, machine.cpu().fp_flags), (CODE + 4, 0), "{way:?}");
    }
}

/// A conversion raises inexact though all that becomes of its result is an operand of `sel.s`, whose result is overwritten: in
/// compiled code it is handed from block to block, and nobody takes it.
#[test]
fn a_result_that_goes_nowhere_raises_its_flags() {
    let words = [
        0x46a0_5220, // again: cvt.s.l $f8, $f10
        0x0000_0000, // nop
        0x59e7_0003, // bgec $t7, $a3, over
        0x0000_0000, // nop
        0x18a0_0002, // blez $a1, last
        0x4600_48a5, // cvt.l.s $f2, $f9
        0x4603_0210, // over: sel.s $f8, $f0, $f3
        0x4600_4a25, // last: cvt.l.s $f8, $f9
        0x26b5_ffff, // addiu $s5, $s5, -1
        0x1ea0_fff6, // bgtz $s5, again
        0x0000_0000, // nop
        SYSCALL,
    ];
    for way in Way::ALL {
        let mut machine = machine(way, "mips32r6", &words);
        for (t7, a1) in [(0, 0), (0, 1), (1, 0)] {
            let registers = [(15, t7), (7, 1), (5, a1), (21, 5), (fpr_slot(10).0, 0xf680_0000_0038_0000)];
            assert!(matches!(run(&mut machine, &registers), Exit::Syscall { .. }), "{way:?}");
            assert_eq!(machine.cpu().fp_flags, 1, "{way:?}, $t7 = {t7}, $a1 = {a1}");
        }
    }
}

/// `swl`, `swr`, `lwl` and `lwr` at 0($a0), the register being $v0 and $v1.
fn pairs(isa: &str) -> [u32; 5] {
    let (left, right) = if isa.ends_with("eb") { (0, 3) } else { (3, 0) };
    [0xa882_0000 | left, 0xb882_0000 | right, 0x8883_0000 | left, 0x9883_0000 | right, SYSCALL]
}

#[test]
fn pairs_access_unaligned_words() {
    for isa in ["mips32r2", "mips32r2,eb", "mips64r2", "mips64r2,eb"] {
        for way in Way::ALL {
            let mut machine = machine(way, isa, &pairs(isa));
            for at in (0..8).chain(PAGE - 4..PAGE + 4) {
                machine.memory.write_bytes(DATA + at - at.min(4), &[0x55; 16]).unwrap();
                assert!(matches!(run(&mut machine, &[(V0, 0x9234_5678), (A0, DATA + at)]), Exit::Syscall { .. }));
                let word = if isa.ends_with("eb") { [0x92, 0x34, 0x56, 0x78] } else { [0x78, 0x56, 0x34, 0x92] };
                let mut found = [0; 6];
                machine.memory.read_bytes(DATA + at, &mut found[..5]).unwrap();
                assert_eq!((&found[..4], found[4]), (&word[..], 0x55), "{way:?} {isa} {at:#x}");
                let loaded = if isa.starts_with("mips64") { 0xffff_ffff_9234_5678 } else { 0x9234_5678 };
                assert_eq!(machine.cpu().get(Slot(V1)), loaded, "{way:?} {isa} {at:#x}");
            }
        }
    }
}

#[test]
fn a_pair_that_faults_has_done_nothing() {
    for isa in ["mips32r2", "mips32r2,eb"] {
        for way in [Way::Plain, Way::Interp, Way::Quick, Way::Runs, Way::Precise] {
            let mut machine = machine(way, isa, &pairs(isa));
            let end = DATA + 2 * PAGE;
            machine.memory.write_bytes(end - 2, &[0x55; 2]).unwrap();
            let exit = run(&mut machine, &[(V0, 0x9234_5678), (V1, 7), (A0, end - 2)]);
            let fault = Fault { addr: end, access: AccessKind::Write, cause: FaultCause::Unmapped };
            assert_eq!((exit, machine.cpu().pc), (Exit::Fault(fault), CODE), "{way:?} {isa}");
            let mut found = [0; 2];
            machine.memory.read_bytes(end - 2, &mut found).unwrap();
            assert_eq!((found, machine.cpu().get(Slot(V1))), ([0x55; 2], 7), "{way:?} {isa}");
        }
    }
}

/// A loop that multiplies and adds keeps HI and LO as one; before it, between its rounds and behind it they are two.
#[test]
fn halves_of_a_sum() {
    let words = [
        0x00a0_0013, // outer: mtlo $a1
        0x00c0_0011, // mthi $a2
        0x7043_0000, // inner: madd $v0, $v1
        0x2442_7fff, // addiu $v0, $v0, 0x7fff
        0x7062_0004, // msub $v1, $v0
        0x0000_4010, // mfhi $t0
        0x006c_1826, // xor $v1, $v1, $t4
        0x2484_ffff, // addiu $a0, $a0, -1
        0x1c80_fff9, // bgtz $a0, inner
        0x7048_0001, // maddu $v0, $t0
        0x0000_4812, // mflo $t1
        0x0148_5021, // addu $t2, $t2, $t0
        0x0109_0018, // mult $t0, $t1
        0x7062_0005, // msubu $v1, $v0
        0x0120_0011, // mthi $t1
        0x7149_0000, // madd $t2, $t1
        0x0000_6012, // mflo $t4
        0x24e7_ffff, // addiu $a3, $a3, -1
        0x1ce0_ffed, // bgtz $a3, outer
        0x2404_0009, // addiu $a0, $zero, 9
        SYSCALL,
    ];
    let registers = [(V0, 0x7000_1234), (V1, 0x1111), (A0, 7), (A0 + 1, 0x5555_0000), (A0 + 2, 3), (A0 + 3, 40)];
    for isa in ["mips32r2", "mips64r2"] {
        let state = |way| {
            let mut machine = machine(way, isa, &words);
            // Twice: in the end a region begins elsewhere.
            [(); 2].map(|()| {
                assert!(matches!(run(&mut machine, &registers), Exit::Syscall { .. }), "{way:?}");
                machine.cpu().slots[..usize::from(SPARE_SLOT.0)].to_vec()
            })
        };
        let expected = state(Way::Plain);
        for way in [&Way::ALL[..], &[Way::Tiered, Way::Precise, Way::Lockstep, Way::QuickLockstep]].concat() {
            assert_eq!(state(way), expected, "{way:?} {isa}");
        }
    }
}
