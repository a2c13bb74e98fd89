//! Memory faults at the level of the engine: pc, fault and (with precise faults) every register as the plainest interpreter has
//! them, and going on afterwards.

mod common;

use common::asm::*;
use common::bytewise::is_near_fault;
use common::guest;
use common::machine::{Machine, Way, map};
use common::program::{CODE, CODE_LEN, DATA, Mix, Program, READ_ONLY};
use common::random::Random;
use common::state::State;
use emu_frontend_riscv::Riscv;
use emu_frontend_riscv::config::ExtSet as E;
use emu_frontend_riscv::table::InsnDef;
use emu_ir::{AccessKind, CpuState, Exit, Fault, FaultCause, Slot};
use emu_machine::mem::Prot;
use std::sync::Arc;

const PAGE: u64 = 0x1000;
const WATCHED: std::ops::Range<u64> = DATA.start..READ_ONLY.end;
/// Addresses from here on may be none for the host.
const NO_HOST_ADDRESS: u64 = 1 << 40;
/// How often a program is repaired and goes on.
const REPAIRS: usize = 4;

fn machine(way: Way, guest: &Arc<Riscv>) -> Machine {
    let machine = Machine::new(way, guest);
    map(&machine.memory, CODE, CODE_LEN as u64, Prot::RX);
    map(&machine.memory, DATA.start, DATA.end - DATA.start, Prot::RW);
    map(&machine.memory, READ_ONLY.start, READ_ONLY.end - READ_ONLY.start, Prot::READ);
    machine
}

/// Loads, stores and atomics, with what makes registers change between them.
fn memory_and_arithmetic(def: &InsnDef) -> bool {
    let moves = def.operands.contains('(');
    let computes =
        def.needs == E::ZMMUL || def.needs == E::ZBB || def.name.starts_with("fadd") || def.name.starts_with("fmul");
    moves || computes && def.pattern.value & 0xff != 0
}

/// Runs a program whose data has lost the rights that `broken` says, gives them back at each fault and goes on. The states at
/// all stops.
fn run(machine: &mut Machine, program: &Program, broken: &[(u64, Prot)]) -> Vec<State> {
    let data = vec![0x5a; (DATA.end - DATA.start) as usize];
    machine.memory.write_bytes(DATA.start, &data).unwrap();
    machine.load_code(CODE, &program.padded(CODE));
    for (page, prot) in broken {
        machine.memory.mprotect(*page, PAGE, *prot).unwrap();
    }
    let mut states = vec![];
    let mut start = program.start.clone();
    for _ in 0..=REPAIRS {
        let state = machine.run_from(&start, WATCHED.start..WATCHED.start);
        start = machine.cpu().clone();
        let exit = state.exit;
        states.push(state);
        let Exit::Fault(fault) = exit else { break };
        if !DATA.contains(&fault.addr) {
            break;
        }
        machine.memory.mprotect(fault.addr & !(PAGE - 1), PAGE, Prot::RW).unwrap();
    }
    machine.memory.mprotect(DATA.start, DATA.end - DATA.start, Prot::RW).unwrap();
    let mut memory = vec![0; (WATCHED.end - WATCHED.start) as usize];
    machine.memory.read_bytes(WATCHED.start, &mut memory).unwrap();
    states.last_mut().expect("at least one stop").memory = memory;
    states
}

/// Compiled code without precise faults still knows where and why. But an atomic on the host may begin with a load, so that a
/// page without any rights faults for reading.
fn same_without_registers(a: Exit, b: Exit) -> bool {
    match (a, b) {
        (Exit::Fault(a), Exit::Fault(b)) => (a.addr, a.cause) == (b.addr, b.cause),
        _ => a == b,
    }
}

fn random_faults(isa: &'static str, programs: u64) {
    let guest = guest(isa);
    let [mut oracle, mut interp, mut quick, mut runs, mut precise, mut fast] =
        [Way::Plain, Way::Interp, Way::Quick, Way::Runs, Way::Precise, Way::Jit].map(|way| machine(way, &guest));
    let [mut compared, mut precisely] = [(); 2].map(|()| machine(Way::Lockstep, &guest));
    precisely.engine().expect("it has one").set_precise();
    let mut quickly = machine(Way::QuickLockstep, &guest);
    let mut faults = 0;
    for seed in 0..programs {
        let mut random = Random::new(seed);
        let mix = Mix { name: "faults", isa, wanted: memory_and_arithmetic, tame: false };
        let len = 10 + random.below(60) as usize;
        let program = Program::random(&mut random, &guest, &mix, len);
        let pages = DATA.start / PAGE..DATA.end / PAGE;
        let broken: Vec<(u64, Prot)> = pages
            .filter_map(|page| {
                if random.chance(60) { Some((page * PAGE, random.pick(&[Prot::NONE, Prot::READ]))) } else { None }
            })
            .collect();
        let expected = run(&mut oracle, &program, &broken);
        if expected.iter().any(State::is_out_of_reach) {
            continue;
        }
        faults += expected.iter().filter(|s| matches!(s.exit, Exit::Fault(_))).count();
        for machine in [&mut interp, &mut quick, &mut runs, &mut precise, &mut compared, &mut precisely, &mut quickly] {
            let found = run(machine, &program, &broken);
            let stop = (0..expected.len().max(found.len())).find(|i| expected.get(*i) != found.get(*i));
            if let Some(i) = stop {
                let list = match (expected.get(i), found.get(i)) {
                    (Some(a), Some(b)) => a.differences(b, &*guest, WATCHED.start),
                    _ => format!("{} stops against {}", expected.len(), found.len()),
                };
                panic!("{:?}: seed {seed}, stop {i}:\n{list}\n{broken:x?}\n{}", machine.way, program.describe(CODE));
            }
        }
        let first = run(&mut fast, &program, &broken).swap_remove(0);
        let same = first.pc == expected[0].pc && same_without_registers(first.exit, expected[0].exit);
        let same = same || is_near_fault(&expected[0], &first, &program.padded(CODE), CODE);
        assert!(same, "Jit: seed {seed}: {:x?} at {:#x}\n{}", first.exit, first.pc, program.describe(CODE));
    }
    assert!(faults as u64 > programs / 2, "only {faults} faults in {programs} programs");
}

#[test]
fn random_faults_rv64() {
    random_faults("rv64max", 800);
}

#[test]
fn random_faults_rv32() {
    random_faults("rv32max", 400);
}

fn set(cpu: &mut CpuState, reg: u32, value: u64) {
    cpu.set(Slot(reg as u16), value);
}

fn get(cpu: &CpuState, reg: u32) -> u64 {
    cpu.get(Slot(reg as u16))
}

/// A loop over an array whose next page is missing, with `access` to it; the registers at the fault are those of the interpreter.
fn loop_over_the_end(access: u32, kind: AccessKind) {
    let words = [
        addi(A1, A1, 3),
        mul(A2, A1, A1),
        access,
        add(A0, A0, A2),
        addi(S0, S0, 8),
        addi(T0, T0, -1),
        bne(T0, ZERO, -24),
        ECALL,
    ];
    for way in
        [Way::Plain, Way::Interp, Way::Quick, Way::Runs, Way::Precise, Way::Tiered, Way::Lockstep, Way::QuickLockstep]
    {
        let mut machine = machine(way, &guest("rv64gc"));
        machine.load_code(CODE, &bytes(&words));
        machine.memory.munmap(DATA.start + PAGE, DATA.end - DATA.start - PAGE).unwrap();
        if way == Way::Tiered {
            machine.engine().unwrap().set_precise();
        }
        for _ in 0..3 {
            let cpu = machine.cpu_mut();
            cpu.pc = CODE;
            // Half of the address is in the page that is missing: the fault names the first byte there.
            set(cpu, S0, DATA.start + PAGE - 8 * 100 - 4);
            set(cpu, T0, 200);
            [A0, A1, A2].into_iter().for_each(|reg| set(cpu, reg, 0));
            let fault = Fault { addr: DATA.start + PAGE, access: kind, cause: FaultCause::Unmapped };
            assert_eq!(machine.run(), Exit::Fault(fault), "{way:?}");
            let cpu = machine.cpu();
            assert_eq!(cpu.pc, CODE + 8, "{way:?}");
            assert_eq!(get(cpu, S0), DATA.start + PAGE - 4, "{way:?}");
            assert_eq!(get(cpu, T0), 100, "{way:?}");
            assert_eq!(get(cpu, A1), 303, "{way:?}");
            assert_eq!(get(cpu, A2), 303 * 303, "{way:?}");
            assert_eq!(get(cpu, A0), (1..=100).map(|i: u64| 9 * i * i).sum::<u64>(), "{way:?}");
        }
    }
}

#[test]
fn a_load_in_a_loop() {
    loop_over_the_end(ld(A3, 0, S0), AccessKind::Read);
}

#[test]
fn a_store_in_a_loop() {
    loop_over_the_end(sd(A2, 0, S0), AccessKind::Write);
}

/// Cranelift merges a load into the op of another guest instruction, if that is the only one that needs it.
#[test]
fn a_load_that_a_later_instruction_uses_up() {
    let words = [ld(A3, 0, S0), addi(A1, A1, 1), add(A2, A1, A3), addi(A3, ZERO, 1), ECALL];
    for way in Way::ALL {
        let mut machine = machine(way, &guest("rv64gc"));
        machine.load_code(CODE, &bytes(&words));
        machine.memory.munmap(DATA.start, PAGE).unwrap();
        let cpu = machine.cpu_mut();
        cpu.pc = CODE;
        set(cpu, S0, DATA.start + 8);
        let fault = Fault { addr: DATA.start + 8, access: AccessKind::Read, cause: FaultCause::Unmapped };
        assert_eq!(machine.run(), Exit::Fault(fault), "{way:?}");
        assert_eq!(machine.cpu().pc, CODE, "{way:?}");
    }
}

#[test]
fn a_store_that_faults_writes_nothing() {
    for way in Way::ALL {
        let mut machine = machine(way, &guest("rv64gc"));
        machine.load_code(CODE, &bytes(&[sd(A0, 0, S0), ECALL]));
        let edge = READ_ONLY.start;
        machine.memory.write_bytes(edge - 8, &[7; 8]).unwrap();
        for below in 1..8 {
            let cpu = machine.cpu_mut();
            cpu.pc = CODE;
            set(cpu, S0, edge - below);
            set(cpu, A0, u64::MAX);
            let fault = Fault { addr: edge, access: AccessKind::Write, cause: FaultCause::Protected };
            assert_eq!(machine.run(), Exit::Fault(fault), "{way:?} {below}");
            assert_eq!(machine.memory.read_u64(edge - 8).unwrap(), 0x0707_0707_0707_0707, "{way:?} {below}");
        }
    }
}

#[test]
fn faults_in_a_function_called_in_the_region() {
    // The callee has changed registers when it faults; the caller's are in host registers.
    let words = [
        addi(A0, ZERO, 1),
        addi(S1, ZERO, 11),
        jal(RA, 8),
        ECALL,
        addi(A1, A0, 2),
        addi(S1, S1, 1),
        lw(A2, 0, S0),
        addi(A1, A1, 100),
        RET,
    ];
    for way in [Way::Plain, Way::Interp, Way::Quick, Way::Runs, Way::Precise] {
        let mut machine = machine(way, &guest("rv64gc"));
        machine.load_code(CODE, &bytes(&words));
        let cpu = machine.cpu_mut();
        cpu.pc = CODE;
        set(cpu, S0, 0x70_0000);
        assert!(matches!(machine.run(), Exit::Fault(f) if f.addr == 0x70_0000), "{way:?}");
        let cpu = machine.cpu();
        let regs = [RA, A0, A1, S1].map(|reg| get(cpu, reg));
        assert_eq!((cpu.pc, regs), (CODE + 24, [CODE + 12, 1, 3, 12]), "{way:?}");
    }
}

#[test]
fn a_store_conditional_to_a_page_that_may_only_be_read() {
    let (lr, sc) = (0x1004_262f, 0x18b4_25af); // lr.w a2, (s0); sc.w a1, a1, (s0)
    for way in Way::ALL {
        let mut machine = machine(way, &guest("rv64gc"));
        machine.load_code(CODE, &bytes(&[lr, sc, ECALL]));
        let cpu = machine.cpu_mut();
        cpu.pc = CODE;
        set(cpu, S0, READ_ONLY.start);
        let fault = Fault { addr: READ_ONLY.start, access: AccessKind::Write, cause: FaultCause::Protected };
        assert_eq!(machine.run(), Exit::Fault(fault), "{way:?}");
        assert_eq!(machine.cpu().pc, CODE + 4, "{way:?}");
    }
}

#[test]
fn addresses_outside_of_the_address_space() {
    let far = [1 << 38, 1 << 47, u64::MAX - 7, 1 << 63, (1 << 38) - 4];
    for way in Way::ALL {
        let mut machine = machine(way, &guest("rv64gc"));
        for (word, access) in [(ld(A0, 0, S0), AccessKind::Read), (sd(A0, 0, S0), AccessKind::Write)] {
            machine.load_code(CODE, &bytes(&[word, ECALL]));
            for addr in far {
                let cpu = machine.cpu_mut();
                cpu.pc = CODE;
                set(cpu, S0, addr);
                let exit = machine.run();
                let Exit::Fault(fault) = exit else { panic!("{way:?}: {exit:x?} at {addr:#x}") };
                assert_eq!(fault.cause, FaultCause::Unmapped, "{way:?} {addr:#x}");
                if way != Way::Jit || addr < NO_HOST_ADDRESS {
                    assert_eq!(fault.access, access, "{way:?} {addr:#x}");
                    assert!(fault.addr.wrapping_sub(addr) < 8, "{way:?}: {fault:x?} at {addr:#x}");
                }
                assert_eq!(machine.cpu().pc, CODE);
            }
        }
    }
}
