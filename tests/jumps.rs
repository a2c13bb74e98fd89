//! Computed jumps find their targets without the machine's help.

mod common;

use common::asm::*;
use common::guest;
use common::machine::{map, run_to_syscall};
use common::program::CODE;
use emu_ir::{CpuState, Exit, Slot};
use emu_machine::engine::{Engine, EngineConfig, EngineVcpu, Tier};
use emu_machine::mem::{GuestMemory, Prot};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Two targets so far apart have one place in the jump cache.
const SPAN: u64 = 1 << 16;

/// Quick code only, and regions only.
fn engines() -> [EngineConfig; 2] {
    let quick = EngineConfig { threshold: u32::MAX, ..EngineConfig::default() };
    [quick, EngineConfig { tier: Tier::Jit, quick: None, ..EngineConfig::default() }]
}

fn start(registers: &[(u32, u64)]) -> CpuState {
    let mut cpu = CpuState { pc: CODE, ..CpuState::default() };
    registers.iter().for_each(|(register, value)| cpu.set(Slot(*register as u16), *value));
    cpu
}

#[test]
fn two_targets_by_turns_are_both_remembered() {
    let memory = Arc::new(GuestMemory::new(64).unwrap());
    map(&memory, CODE, SPAN + 0x1000, Prot::RWX);
    // Jumps to a2 and, the next time, to what a3 makes of it.
    let again = [addi(S1, S1, -1), xor(A2, A2, A3), beq(S1, 0, 8), jalr(0, 0, A2), ECALL];
    memory.write_bytes(CODE, &bytes(&again)).unwrap();
    let near = CODE + 0x100;
    memory.write_bytes(near, &bytes(&[jal(0, -0x100)])).unwrap();
    memory.write_bytes(near + SPAN, &bytes(&[jal(0, -0x100 - SPAN as i64)])).unwrap();

    for config in engines() {
        let engine = Engine::new(guest("rv64gc"), Arc::clone(&memory), config).unwrap();
        let cpu = start(&[(S1, 10_000), (A2, near), (A3, near ^ (near + SPAN))]);
        let end = run_to_syscall(EngineVcpu::new(Arc::clone(&engine), cpu));
        assert_eq!(end.get(Slot(S1 as u16)), 0);
        let exits = engine.stats().exits;
        assert!(exits.computed < 20, "{exits:?} with {config:?}");
    }
    // A jump that has always gone to one address, so that the code goes there at once, and then goes elsewhere.
    for config in engines() {
        let engine = Engine::new(guest("rv64gc"), Arc::clone(&memory), config).unwrap();
        for (runs, other) in [(200_000, near), (200_001, near + SPAN), (200_000, near)] {
            let cpu = start(&[(S1, runs), (A2, near), (A3, near ^ other)]);
            let end = run_to_syscall(EngineVcpu::new(Arc::clone(&engine), cpu));
            let last = if runs % 2 == 0 { near } else { other };
            assert_eq!((end.get(Slot(S1 as u16)), end.get(Slot(A2 as u16))), (0, last));
        }
    }
}

#[test]
fn a_loop_of_computed_jumps_is_interrupted() {
    let memory = Arc::new(GuestMemory::new(64).unwrap());
    map(&memory, CODE, 0x1000, Prot::RWX);
    // Forward and back, or on the spot.
    memory.write_bytes(CODE, &bytes(&[jalr(0, 0, A2), ECALL, jalr(0, 0, A3)])).unwrap();
    for config in engines() {
        for target in [CODE, CODE + 8] {
            let engine = Engine::new(guest("rv64gc"), Arc::clone(&memory), config).unwrap();
            let mut hart = EngineVcpu::new(engine, start(&[(A2, target), (A3, CODE)]));
            let (shared, stops) = (Arc::clone(hart.shared()), AtomicU32::new(0));
            thread::scope(|scope| {
                scope.spawn(|| {
                    while stops.load(Ordering::SeqCst) < 5 {
                        assert_eq!(hart.run(), Exit::Interrupted);
                        stops.fetch_add(1, Ordering::SeqCst);
                    }
                });
                for seen in 0..5 {
                    // Long enough for quick code to be made anew.
                    thread::sleep(Duration::from_millis(20));
                    let since = Instant::now();
                    shared.interrupt();
                    while stops.load(Ordering::SeqCst) == seen {
                        assert!(since.elapsed() < Duration::from_secs(30), "it goes on, with {config:?}");
                        thread::yield_now();
                    }
                }
            });
        }
    }
}
