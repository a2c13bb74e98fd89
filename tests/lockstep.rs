//! Compiled code and interpreter in lockstep, at the level of the engine: what must not look like a divergence, and what is
//! counted as not compared. (That divergences are found is in `diff.rs`.)

mod common;

use common::asm::*;
use common::guest;
use common::machine::{Machine, Panics, Way, map};
use common::program::CODE;
use emu_ir::{CpuState, Exit, Slot};
use emu_machine::engine::lockstep::{Compared, LockstepConfig, LockstepVcpu};
use emu_machine::engine::{Engine, EngineConfig, Tier};
use emu_machine::mem::{Fixed, GuestMemory, MapRequest, Prot};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const DATA: u64 = 0x80_0000;
const TIME: u32 = 0xc01;

fn set(cpu: &mut CpuState, reg: u32, value: u64) {
    cpu.set(Slot(reg as u16), value);
}

fn get(cpu: &CpuState, reg: u32) -> u64 {
    cpu.get(Slot(reg as u16))
}

/// Both compilers, each compared with the interpreter.
const WAYS: [Way; 2] = [Way::Lockstep, Way::QuickLockstep];

/// A machine in lockstep with `words` at [`CODE`] and a page of data.
fn machine(way: Way, words: &[u32]) -> Machine {
    let machine = Machine::new(way, &guest("rv64gc"));
    map(&machine.memory, CODE, 0x1000, Prot::RWX);
    map(&machine.memory, DATA, 0x1000, Prot::RW);
    machine.memory.write_bytes(CODE, &bytes(words)).unwrap();
    machine
}

/// Runs from [`CODE`] to an `ecall`; what was compared.
fn call(machine: &mut Machine) -> Compared {
    machine.cpu_mut().pc = CODE;
    loop {
        match machine.run() {
            Exit::Interrupted => {}
            Exit::Syscall { .. } => break,
            exit => panic!("{exit:x?} at {:#x}", machine.cpu().pc),
        }
    }
    machine.engine().unwrap().lockstep_counts().unwrap().take()
}

#[test]
fn stores_happen_once_in_the_end() {
    // Each round adds to what is there, in memory and in a register.
    let words = [ld(A1, 0, S0), addi(A1, A1, 3), sd(A1, 0, S0), addi(T0, T0, -1), bne(T0, ZERO, -16), ECALL];
    for way in WAYS {
        let mut machine = machine(way, &words);
        set(machine.cpu_mut(), S0, DATA);
        set(machine.cpu_mut(), T0, 20_000);
        let compared = call(&mut machine);
        assert_eq!(machine.memory.read_u64(DATA), Ok(60_000));
        assert_eq!((compared.insns, compared.cold, compared.apart, compared.unrepeated), (100_001, 0, 0, 0));
        assert!((10..=11).contains(&compared.segments), "{compared:?}");
    }
}

#[test]
fn counters_read_the_same_twice() {
    let words = [csrr(A1, TIME), add(A0, A0, A1), sd(A1, 0, S0), addi(T0, T0, -1), bne(T0, ZERO, -16), ECALL];
    for way in WAYS {
        let mut machine = machine(way, &words);
        set(machine.cpu_mut(), S0, DATA);
        set(machine.cpu_mut(), T0, 5000);
        assert_eq!(call(&mut machine).unrepeated, 0);
        assert_ne!(machine.memory.read_u64(DATA), Ok(0));
    }
}

#[test]
fn code_that_changes_is_undone_as_code() {
    // Stores another instruction into the loop itself, and says so, in the middle of segments.
    let words = [sw(T1, 8, S0), FENCE_I, NOP, xor(T1, T1, T2), addi(T0, T0, -1), bne(T0, ZERO, -20), ECALL];
    let (one, two) = (addi(A0, A0, 1), addi(A0, A0, 2));
    for way in WAYS {
        let mut machine = machine(way, &words);
        let cpu = machine.cpu_mut();
        set(cpu, S0, CODE);
        set(cpu, T0, 300);
        set(cpu, T1, one.into());
        set(cpu, T2, u64::from(one ^ two));
        let compared = call(&mut machine);
        assert_eq!(get(machine.cpu(), A0), 450);
        assert!(compared.insns > 1000 && compared.apart >= 300, "fence.i is the interpreter's: {compared:?}");
    }
}

#[test]
fn a_fault_after_a_store_leaves_the_count_exact() {
    // The store is a checkpoint; the fault comes after it.
    let words = [sd(A1, 0, S0), addi(A1, A1, 1), ld(A2, 0, ZERO), ECALL];
    for (way, precise) in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let mut machine = machine(way, &words);
        if precise {
            machine.engine().unwrap().set_precise();
        }
        set(machine.cpu_mut(), S0, DATA);
        machine.cpu_mut().pc = CODE;
        let exit = machine.run();
        assert!(matches!(exit, Exit::Fault(fault) if fault.addr == 0), "{exit:x?}");
        let cpu = machine.cpu();
        assert_eq!((cpu.pc, cpu.insn_count, get(cpu, A1)), (CODE + 8, 2, 1), "{way:?}, precise: {precise}");
    }
}

#[test]
fn memory_that_others_change_is_not_compared() {
    let words = [ld(A1, 0, S0), add(A0, A0, A1), sd(A0, 8, S0), addi(T0, T0, -1), bne(T0, ZERO, -16), ECALL];
    for way in WAYS {
        let mut machine = machine(way, &words);
        let request = MapRequest {
            addr_hint: DATA,
            len: 0x1000,
            prot: Prot::RW,
            fixed: Fixed::Replace,
            shared: true,
            ..MapRequest::default()
        };
        machine.memory.mmap(&request).unwrap();
        set(machine.cpu_mut(), S0, DATA);
        set(machine.cpu_mut(), T0, 3000);
        let (stop, memory) = (AtomicBool::new(false), Arc::clone(&machine.memory));
        let compared = thread::scope(|scope| {
            // As another process would.
            scope.spawn(|| {
                (0..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(|i| memory.write_u64(DATA, i).unwrap())
            });
            let compared = call(&mut machine);
            stop.store(true, Ordering::Relaxed);
            compared
        });
        assert_eq!((compared.apart, compared.unrepeated), (6000, 0), "{compared:?}");
        assert_eq!(compared.insns, 9001, "{compared:?}");
    }
}

#[test]
fn threads_take_turns() {
    const ROUNDS: u64 = 3000;
    // amoadd.d zero, t1, (s0); without turns it would be added twice, or undone by the other.
    let amoadd = 0x0000_302f | T1 << 20 | S0 << 15;
    let words = [amoadd, addi(T0, T0, -1), bne(T0, ZERO, -8), ECALL];
    let guest = guest("rv64gc");
    let memory = Arc::new(GuestMemory::new(64).unwrap());
    map(&memory, CODE, 0x1000, Prot::RX);
    map(&memory, DATA, 0x1000, Prot::RW);
    memory.mprotect(CODE, 0x1000, Prot::RW).unwrap();
    memory.write_bytes(CODE, &bytes(&words)).unwrap();
    memory.mprotect(CODE, 0x1000, Prot::RX).unwrap();
    let lockstep = Some(LockstepConfig { segment: 64, ..LockstepConfig::default() });
    let config = EngineConfig { tier: Tier::Jit, code_size: 1 << 20, lockstep, ..EngineConfig::default() };
    let engine = Engine::new(guest, Arc::clone(&memory), config).unwrap();
    let mut cpu = CpuState { pc: CODE, ..CpuState::default() };
    set(&mut cpu, S0, DATA);
    set(&mut cpu, T0, ROUNDS);
    set(&mut cpu, T1, 1);
    let first = LockstepVcpu::new(engine, cpu, Arc::new(Panics));
    thread::scope(|scope| {
        let harts: Vec<LockstepVcpu> = (0..4).map(|_| first.clone_for_thread()).collect();
        for mut hart in harts {
            scope.spawn(move || while !matches!(hart.run(), Exit::Syscall { .. }) {});
        }
    });
    assert_eq!(memory.read_u64(DATA), Ok(4 * ROUNDS));
}
