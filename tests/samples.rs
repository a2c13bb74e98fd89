//! Quick code tells the machine what it runs, from time to time.

mod common;

use common::asm::*;
use common::guest;
use common::machine::{map, run_to_syscall};
use common::program::CODE;
use emu_ir::{CpuState, Slot};
use emu_machine::engine::{Engine, EngineConfig, EngineVcpu, HOT_PERIOD};
use emu_machine::mem::{GuestMemory, Prot};
use std::sync::Arc;

/// Runs of the loop.
const RUNS: u64 = 400_000;

/// How often a loop with this multiplication or division was looked at: `funct3` of `OP` or `OP-32` (RISC-V, "M" extension).
fn samples(opcode: u32, funct3: u32) -> u64 {
    let memory = Arc::new(GuestMemory::new(64).unwrap());
    map(&memory, CODE, 0x1000, Prot::RWX);
    let operation = mul(A2, A0, A1) & !0x7f | opcode | funct3 << 12;
    memory.write_bytes(CODE, &bytes(&[operation, addi(S1, S1, -1), bne(S1, 0, -8), ECALL])).unwrap();
    let config = EngineConfig { threshold: u32::MAX, ..EngineConfig::default() };
    let engine = Engine::new(guest("rv64gc"), memory, config).unwrap();
    let mut cpu = CpuState { pc: CODE, ..CpuState::default() };
    for (register, value) in [(S1, RUNS), (A0, 0x1234_5678_9abc_def1), (A1, 0x1_0001)] {
        cpu.set(Slot(register as u16), value);
    }
    let end = run_to_syscall(EngineVcpu::new(Arc::clone(&engine), cpu));
    assert_eq!(end.get(Slot(S1 as u16)), 0);
    engine.stats().exits.counted
}

#[test]
fn multiplications_and_divisions_leave_the_count_alone() {
    let expected = samples(0x33, 0);
    for (opcode, operations) in [(0x33, 0..8), (0x3b, 4..8)] {
        for funct3 in operations {
            assert_eq!(samples(opcode, funct3), expected, "opcode {opcode:#x}, funct3 {funct3}");
        }
    }
}

#[test]
fn samples_become_rarer_when_nothing_comes_of_them() {
    let samples = samples(0x33, 0);
    let at_first = RUNS / u64::from(HOT_PERIOD);
    assert!((at_first / 8..at_first / 2).contains(&samples), "{samples} of {at_first}");
}
