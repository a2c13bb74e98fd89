//! Computed jumps find their targets without the machine's help.

mod common;

use common::asm::*;
use common::guest;
use common::machine::{map, run_to_syscall};
use common::program::CODE;
use emu_ir::{CpuState, Slot};
use emu_machine::engine::{Engine, EngineConfig, EngineVcpu, Tier};
use emu_machine::mem::{GuestMemory, Prot};
use std::sync::Arc;

/// Two targets so far apart have one place in the jump cache.
const SPAN: u64 = 1 << 16;

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

    let quick = EngineConfig { threshold: u32::MAX, ..EngineConfig::default() };
    let regions = EngineConfig { tier: Tier::Jit, quick: None, ..EngineConfig::default() };
    for config in [quick, regions] {
        let engine = Engine::new(guest("rv64gc"), Arc::clone(&memory), config).unwrap();
        let mut cpu = CpuState { pc: CODE, ..CpuState::default() };
        let registers = [(S1, 10_000), (A2, near), (A3, near ^ (near + SPAN))];
        registers.into_iter().for_each(|(register, value)| cpu.set(Slot(register as u16), value));
        let end = run_to_syscall(EngineVcpu::new(Arc::clone(&engine), cpu));
        assert_eq!(end.get(Slot(S1 as u16)), 0);
        let exits = engine.stats().exits;
        assert!(exits.computed < 20, "{exits:?} with {config:?}");
    }
}
