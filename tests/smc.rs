//! Code that changes, at the level of the engine: by the guest itself, by other threads, by changes of the mapping; bounded
//! code memory; several harts.

mod common;

use common::asm::*;
use common::guest;
use common::machine::{Machine, Way, map};
use common::program::CODE;
use emu_ir::{AccessKind, CpuState, Exit, Fault, FaultCause, Slot};
use emu_machine::engine::{EngineConfig, EngineVcpu};
use emu_machine::mem::{FaultAction, GuestMemory, Prot};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LR_A1_S0: u32 = 0x1004_25af; // lr.w a1, (s0)
const SC_A0_A1_S0: u32 = 0x18b4_252f; // sc.w a0, a1, (s0)

/// A page of data, out of the way of the longest code.
const DATA: u64 = 0x80_0000;

const WAYS: [Way; 6] = [Way::Interp, Way::Quick, Way::Runs, Way::Jit, Way::Precise, Way::Tiered];
/// Where nobody but the hart changes memory.
const WAYS_ALONE: [Way; 8] =
    [Way::Interp, Way::Quick, Way::Runs, Way::Jit, Way::Precise, Way::Tiered, Way::Lockstep, Way::QuickLockstep];

/// A machine with `words` at [`CODE`] and a page of data.
fn machine(way: Way, words: &[u32]) -> Machine {
    machine_with(way, words, EngineConfig { threshold: 3, ..EngineConfig::default() })
}

fn machine_with(way: Way, words: &[u32], config: EngineConfig) -> Machine {
    let machine = Machine::with_config(way, &guest("rv64gc"), config);
    let len = (4 * words.len() as u64).next_multiple_of(0x1000).max(0x1000);
    map(&machine.memory, CODE, len, Prot::RWX);
    map(&machine.memory, DATA, 0x1000, Prot::RW);
    machine.memory.write_bytes(CODE, &bytes(words)).unwrap();
    machine
}

fn set(cpu: &mut CpuState, reg: u32, value: u64) {
    cpu.set(Slot(reg as u16), value);
}

fn get(cpu: &CpuState, reg: u32) -> u64 {
    cpu.get(Slot(reg as u16))
}

/// Runs on when the engine interrupts a hart for its own purposes, as an operating system does that finds no signal.
fn run(mut once: impl FnMut() -> Exit) -> Exit {
    loop {
        match once() {
            Exit::Interrupted => {}
            exit => return exit,
        }
    }
}

/// Runs from [`CODE`] to an `ecall` and returns a0.
fn call(machine: &mut Machine) -> u64 {
    machine.cpu_mut().pc = CODE;
    let exit = run(|| machine.run());
    assert!(matches!(exit, Exit::Syscall { .. }), "{:?}: {exit:x?} at {:#x}", machine.way, machine.cpu().pc);
    get(machine.cpu(), A0)
}

/// Waits for something that must come soon.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} takes too long");
        thread::yield_now();
    }
}

#[test]
fn a_region_that_rewrites_itself_and_says_so() {
    // The loop stores one of two instructions into itself by turns: a0 += 1 or a0 += 2.
    let words = [sw(T1, 8, S0), FENCE_I, NOP, xor(T1, T1, T2), addi(T0, T0, -1), bne(T0, ZERO, -20), ECALL];
    let (one, two) = (addi(A0, A0, 1), addi(A0, A0, 2));
    for way in WAYS_ALONE {
        let mut machine = machine(way, &words);
        let cpu = machine.cpu_mut();
        set(cpu, S0, CODE);
        set(cpu, T0, 200);
        set(cpu, T1, one.into());
        set(cpu, T2, u64::from(one ^ two));
        assert_eq!(call(&mut machine), 300, "{way:?}");
    }
}

#[test]
fn another_page_of_the_region_is_rewritten() {
    // A loop in one page calls a function in the next, and rewrites that.
    let mut words = vec![NOP; 1024 + 2];
    let body =
        [sw(T1, 0, S1), FENCE_I, jal(RA, 4096 - 8), xor(T1, T1, T2), addi(T0, T0, -1), bne(T0, ZERO, -20), ECALL];
    words[..body.len()].copy_from_slice(&body);
    words[1024..].copy_from_slice(&[NOP, RET]);
    words[2] = jal(RA, 4096 - 8);
    let (one, two) = (addi(A0, A0, 1), addi(A0, A0, 2));
    for way in WAYS_ALONE {
        let mut machine = machine(way, &words);
        let cpu = machine.cpu_mut();
        set(cpu, S1, CODE + 4096);
        set(cpu, T0, 200);
        set(cpu, T1, one.into());
        set(cpu, T2, u64::from(one ^ two));
        assert_eq!(call(&mut machine), 300, "{way:?}");
    }
}

#[test]
fn what_lies_between_lr_and_sc_changes() {
    // The load-reserved is the last word of a page, the store-conditional on the next one; a load comes between them.
    let mut words = vec![NOP; 1024 + 3];
    (words[0], words[1023]) = (jal(ZERO, 4 * 1023), LR_A1_S0);
    words[1024..].copy_from_slice(&[NOP, SC_A0_A1_S0, ECALL]);
    for way in WAYS_ALONE {
        let mut machine = machine(way, &words);
        set(machine.cpu_mut(), S0, DATA);
        let windows = |machine: &Machine| machine.engine().expect("all have one").stats().windows;
        for _ in 0..5 {
            assert_eq!((call(&mut machine), windows(&machine)), (0, 0), "{way:?}");
        }
        machine.write_code(CODE + 4096, &bytes(&[ld(T0, 0, S0)]));
        assert_eq!((call(&mut machine), windows(&machine)), (0, 1), "{way:?}: alone, it succeeds");
    }
}

/// The words of a loop that calls a function at [`CODE`] + 4096, stores its result and counts its rounds, until told to end.
fn polling_loop() -> Vec<u32> {
    let mut words = vec![NOP; 1024 + 2];
    let body =
        [jal(RA, 4096), sd(A0, 0, S0), addi(T0, T0, 1), sd(T0, 8, S0), ld(T1, 16, S0), beq(T1, ZERO, -20), ECALL];
    words[..body.len()].copy_from_slice(&body);
    words[1024..].copy_from_slice(&[addi(A0, ZERO, 0), RET]);
    words
}

#[test]
fn code_rewritten_by_another_thread_is_seen() {
    for way in WAYS {
        let mut machine = machine(way, &polling_loop());
        set(machine.cpu_mut(), S0, DATA);
        let memory = Arc::clone(&machine.memory);
        thread::scope(|scope| {
            let runner = scope.spawn(move || call(&mut machine));
            let rounds = || memory.read_u64(DATA + 8).unwrap();
            for k in 1..100 {
                memory.write_u32(CODE + 4096, addi(A0, ZERO, k)).unwrap();
                // Nobody runs the old code any more when the store has returned; the round under way may store its result.
                let seen = rounds();
                wait_until("a round", || rounds() > seen + 1);
                assert_eq!(memory.read_u64(DATA).unwrap(), k as u64, "{way:?}");
            }
            memory.write_u64(DATA + 16, 1).unwrap();
            assert_eq!(runner.join().unwrap(), 99);
        });
    }
}

#[test]
fn a_fence_sees_to_what_another_thread_has_only_begun() {
    let mut words = vec![NOP; 1024 + 2];
    words[..3].copy_from_slice(&[FENCE_I, jal(RA, 4096 - 4), ECALL]);
    words[1024..].copy_from_slice(&[addi(A0, ZERO, 1), RET]);
    for way in WAYS {
        let mut machine = machine(way, &words);
        for _ in 0..10 {
            assert_eq!(call(&mut machine), 1, "{way:?}");
        }
        // The other thread has stored to the page and is about to say so, when this one rewrites the code without a fault.
        let page = CODE + 4096..CODE + 8192;
        let action = machine.memory.resolve_fault(page.start, 4, AccessKind::Write, false);
        assert_eq!(action, FaultAction::CodeWritten(page.clone()), "{way:?}");
        machine.memory.write_u32(page.start, addi(A0, ZERO, 2)).unwrap();
        assert_eq!(call(&mut machine), 2, "{way:?}");
        machine.memory.code_written(page);
        assert_eq!(call(&mut machine), 2, "{way:?}");
    }
}

#[test]
fn loops_are_interrupted_soon() {
    let spin = vec![jal(ZERO, 0)];
    let counting = vec![addi(A0, A0, 1), ld(A1, 0, S0), bne(A0, ZERO, -8), jal(ZERO, -12)];
    let through_a_register = vec![jalr(ZERO, 0, S1)];
    // Two functions that call each other by registers: blocks of different regions.
    let ping_pong = vec![addi(A0, A0, 1), jalr(RA, 16, S1), NOP, NOP, addi(A0, A0, 1), jalr(RA, 0, S1)];
    for words in [spin, counting, through_a_register, ping_pong] {
        for way in WAYS {
            let mut machine = machine(way, &words);
            let cpu = machine.cpu_mut();
            set(cpu, S0, DATA);
            set(cpu, S1, CODE);
            cpu.pc = CODE;
            let shared = Arc::clone(machine.shared());
            for _ in 0..20 {
                let done = AtomicBool::new(false);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        thread::sleep(Duration::from_millis(1));
                        shared.interrupt();
                        wait_until("an interrupt", || done.load(Ordering::SeqCst));
                    });
                    assert_eq!(machine.run(), Exit::Interrupted, "{way:?}");
                    done.store(true, Ordering::SeqCst);
                });
            }
        }
    }
}

#[test]
fn an_interrupt_before_the_run_is_not_lost() {
    for way in WAYS {
        let mut machine = machine(way, &[jal(ZERO, 0)]);
        machine.cpu_mut().pc = CODE;
        machine.shared().interrupt();
        assert_eq!(machine.run(), Exit::Interrupted, "{way:?}");
    }
}

#[test]
fn an_instruction_whose_second_half_is_missing() {
    // A 16-bit nop first moves everything by two; the last instruction lies across the end of the page.
    let mut code = vec![0x01, 0x00];
    code.extend(bytes(&[NOP; 1023]));
    let last = addi(A0, A0, 5).to_le_bytes();
    code.extend(&last[..2]);
    let straddling = CODE + 4094;
    for way in WAYS_ALONE {
        let mut machine = machine(way, &[]);
        map(&machine.memory, CODE, 0x1000, Prot::RWX);
        machine.memory.write_bytes(CODE, &code).unwrap();
        let missing =
            Exit::Fault(Fault { addr: CODE + 4096, access: AccessKind::Execute, cause: FaultCause::Unmapped });
        for round in 1..=5 {
            machine.cpu_mut().pc = CODE;
            assert_eq!(machine.run(), missing, "{way:?}");
            assert_eq!(machine.cpu().pc, straddling, "{way:?}");
            map(&machine.memory, CODE + 0x1000, 0x1000, Prot::RWX);
            machine.memory.write_bytes(CODE + 4096, &last[2..]).unwrap();
            machine.memory.write_u32(CODE + 4098, ECALL).unwrap();
            set(machine.cpu_mut(), A0, 0);
            assert_eq!(machine.run(), Exit::Syscall { insn: CODE + 4098 }, "{way:?}");
            assert_eq!(get(machine.cpu(), A0), 5, "{way:?} round {round}");
            // The half in the second page makes it another instruction: addi a0, a0, 7.
            let other = addi(A0, A0, 7).to_le_bytes();
            machine.memory.write_bytes(CODE + 4096, &other[2..]).unwrap();
            set(machine.cpu_mut(), A0, 0);
            assert_eq!(call(&mut machine), 7, "{way:?} round {round}");
            machine.memory.munmap(CODE + 0x1000, 0x1000).unwrap();
        }
    }
}

#[test]
fn changes_of_the_mapping() {
    for way in WAYS_ALONE {
        let mut machine = machine(way, &[addi(A0, ZERO, 1), ECALL]);
        let fault = |cause| Exit::Fault(Fault { addr: CODE, access: AccessKind::Execute, cause });
        for round in 0..5 {
            assert_eq!(call(&mut machine), 1, "{way:?} round {round}");
            machine.memory.mprotect(CODE, 0x1000, Prot::RW).unwrap();
            machine.cpu_mut().pc = CODE;
            assert_eq!(machine.run(), fault(FaultCause::Protected), "{way:?}");
            machine.memory.munmap(CODE, 0x1000).unwrap();
            assert_eq!(machine.run(), fault(FaultCause::Unmapped), "{way:?}");
            map(&machine.memory, CODE, 0x1000, Prot::RWX);
            machine.memory.write_bytes(CODE, &bytes(&[addi(A0, ZERO, 2), ECALL])).unwrap();
            assert_eq!(call(&mut machine), 2, "{way:?}");
            // Replaced in one step.
            map(&machine.memory, CODE, 0x1000, Prot::RWX);
            machine.memory.write_bytes(CODE, &bytes(&[addi(A0, ZERO, 1), ECALL])).unwrap();
        }
    }
}

/// Bytes between functions.
const SPACING: u64 = 64;

/// A driver that calls `count` functions one after the other, through a register, `T2` times over; function `i` adds
/// i % 7 + 1 after a loop of its own.
fn many_functions(count: u64) -> Vec<u32> {
    let mut words = vec![NOP; (0x1000 + count * SPACING) as usize / 4];
    let driver = [
        add(T0, S0, ZERO),
        add(T1, S1, ZERO),
        jalr(RA, 0, T0),
        addi(T0, T0, SPACING as i64),
        addi(T1, T1, -1),
        bne(T1, ZERO, -12),
        addi(T2, T2, -1),
        bne(T2, ZERO, -28),
        ECALL,
    ];
    words[..driver.len()].copy_from_slice(&driver);
    for i in 0..count {
        let body = [
            addi(A1, ZERO, 4),
            addi(A1, A1, -1),
            addi(A2, A2, 3),
            bne(A1, ZERO, -8),
            addi(A0, A0, i as i64 % 7 + 1),
            RET,
        ];
        let at = (0x1000 + i * SPACING) as usize / 4;
        words[at..at + body.len()].copy_from_slice(&body);
    }
    words
}

fn sum(count: u64, rounds: u64) -> u64 {
    rounds * (0..count).map(|i| i % 7 + 1).sum::<u64>()
}

fn prepare(cpu: &mut CpuState, count: u64, rounds: u64) {
    cpu.pc = CODE;
    set(cpu, S0, CODE + 0x1000);
    set(cpu, S1, count);
    set(cpu, T2, rounds);
    set(cpu, A0, 0);
}

#[test]
fn little_code_memory_for_many_regions() {
    const COUNT: u64 = 3000;
    for way in [Way::Quick, Way::Runs, Way::Jit, Way::Precise, Way::Tiered] {
        let config = EngineConfig { code_size: 256 << 10, threshold: 2, ..EngineConfig::default() };
        let mut machine = machine_with(way, &many_functions(COUNT), config);
        prepare(machine.cpu_mut(), COUNT, 4);
        assert_eq!(call(&mut machine), sum(COUNT, 4), "{way:?}");
        let stats = machine.engine().unwrap().stats();
        assert!(stats.code.code_bytes <= 256 << 10, "{stats:?}");
        if way != Way::Tiered {
            assert!(stats.code.flushes + stats.code.full > 0, "{stats:?}");
        }
    }
}

/// Writes to pages of code what they hold already, and takes whole functions away for a moment.
fn disturb(memory: &GuestMemory, words: &[u32], stop: &AtomicBool) {
    let image = bytes(words);
    let mut page = 0;
    while !stop.load(Ordering::Relaxed) {
        page = (page + 1) % image.len().div_ceil(0x1000);
        let part = &image[page * 0x1000..((page + 1) * 0x1000).min(image.len())];
        memory.write_bytes(CODE + page as u64 * 0x1000, part).unwrap();
        thread::sleep(Duration::from_micros(300));
    }
}

#[test]
fn harts_compile_and_run_while_code_is_invalidated() {
    const COUNT: u64 = 200;
    const ROUNDS: u64 = 20;
    let words = many_functions(COUNT);
    for way in WAYS {
        let config = EngineConfig { code_size: 512 << 10, threshold: 2, ..EngineConfig::default() };
        let mut machine = machine_with(way, &words, config);
        let stop = AtomicBool::new(false);
        let memory = Arc::clone(&machine.memory);
        thread::scope(|scope| {
            scope.spawn(|| disturb(&memory, &words, &stop));
            let first = machine.vcpu();
            let harts: Vec<EngineVcpu> = (0..4).map(|_| first.clone_for_thread()).collect();
            let runs: Vec<_> = harts
                .into_iter()
                .map(|mut hart| {
                    scope.spawn(move || {
                        for _ in 0..2 {
                            prepare(hart.cpu_mut(), COUNT, ROUNDS);
                            let exit = run(|| hart.run());
                            assert!(matches!(exit, Exit::Syscall { .. }), "{way:?}: {exit:x?}");
                            assert_eq!(get(hart.cpu(), A0), sum(COUNT, ROUNDS), "{way:?}");
                        }
                    })
                })
                .collect();
            let results: Vec<_> = runs.into_iter().map(|r| r.join()).collect();
            stop.store(true, Ordering::Relaxed);
            assert!(results.iter().all(Result::is_ok), "{way:?}");
        });
    }
}
