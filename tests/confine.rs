//! Confined code: whatever address the guest has, it reaches its own memory or faults there, with the address that it had.

mod common;

use common::asm::*;
use common::guest;
use common::machine::{Machine, Way, map};
use common::program::{CODE, CODE_LEN, COUNTER, DATA, Mix, Program};
use common::random::Random;
use emu_frontend_mips::{Config as MipsConfig, Mips};
use emu_frontend_riscv::table::InsnDef;
use emu_ir::{AccessKind, CpuState, Exit, Fault, FaultCause, Guest, Slot};
use emu_machine::mem::Prot;
use std::sync::Arc;

/// What could run confined code; `Plain` is the oracle, and confined by itself.
const WAYS: [Way; 6] = [Way::Interp, Way::Quick, Way::Runs, Way::Jit, Way::Precise, Way::Tiered];
const PAGE: u64 = 0x1000;

/// Memory of this process that is not the guest's: what wild accesses must not reach.
struct Canary(Vec<u64>);

const UNTOUCHED: u64 = 0x5ca1_ab1e_0ddb_a115;

impl Canary {
    fn new() -> Canary {
        Canary(vec![UNTOUCHED; 1024])
    }

    /// The address by which an unconfined guest would reach the middle of it.
    fn address(&self, machine: &Machine) -> u64 {
        (self.0[512..].as_ptr() as u64).wrapping_sub(machine.memory.base() as u64)
    }

    fn check(&self, what: &str) {
        assert!(self.0.iter().all(|word| *word == UNTOUCHED), "{what}");
    }
}

fn machine(way: Way, guest: Arc<dyn Guest>) -> Machine {
    let machine = Machine::confined(way, guest);
    map(&machine.memory, CODE, CODE_LEN as u64, Prot::RX);
    map(&machine.memory, DATA.start, DATA.end - DATA.start, Prot::RW);
    machine
}

/// Addresses all over 64 bits, and those of this process's own memory.
fn wild_addresses(machine: &Machine, canary: &Canary) -> Vec<u64> {
    let limit = machine.memory.limit();
    let around = |at: u64| [-4096, -9, -8, -1, 0, 1, 7, 8, 64, 4096].map(|by: i64| at.wrapping_add_signed(by));
    let powers = (38..64).map(|bit| 1_u64 << bit).chain((31..64).map(|bit| (1_u64 << bit).wrapping_neg()));
    let here = [canary.address(machine), WAYS.as_ptr() as u64, wild_addresses as *const () as u64];
    let mut random = Random::new(1);
    let random: Vec<u64> = (0..200).map(|_| random.next()).filter(|at| *at >= limit).collect();
    let all = powers.chain(here).chain([limit, limit + (64 << 10), limit + (2 << 30)]).flat_map(around);
    all.chain(random).filter(|at| *at >= limit + 4096 || *at < PAGE).collect()
}

/// Runs one access at each address on each engine. With exact faults the address is the guest's.
fn all_fault(guest: &Arc<dyn Guest>, code: &[u8], what: &str, base: Slot, displacement: i64, access: AccessKind) {
    for way in WAYS {
        let (mut machine, canary) = (machine(way, Arc::clone(guest)), Canary::new());
        machine.load_code(CODE, code);
        for addr in wild_addresses(&machine, &canary) {
            let cpu = machine.cpu_mut();
            cpu.pc = CODE;
            cpu.set(base, addr.wrapping_sub(displacement as u64));
            let exit = machine.run();
            let Exit::Fault(fault) = exit else { panic!("{way:?} {what} at {addr:#x}: {exit:?}") };
            assert_eq!((fault.cause, machine.cpu().pc), (FaultCause::Unmapped, CODE), "{way:?} {what} {addr:#x}");
            if way != Way::Jit {
                assert_eq!((fault.addr, fault.access), (addr, access), "{way:?} {what}");
            }
        }
        canary.check(&format!("{way:?} {what}"));
    }
}

#[test]
fn loads_and_stores_of_riscv() {
    let guest = guest("rv64max") as Arc<dyn Guest>;
    for displacement in [0, -2048, 2047] {
        for (word, name, access) in [
            (lw(A1, displacement, S0), "lw", AccessKind::Read),
            (ld(A1, displacement, S0), "ld", AccessKind::Read),
            (fld(1, displacement, S0), "fld", AccessKind::Read),
            (sw(A1, displacement, S0), "sw", AccessKind::Write),
            (sd(A1, displacement, S0), "sd", AccessKind::Write),
            (fsd(1, displacement, S0), "fsd", AccessKind::Write),
        ] {
            all_fault(&guest, &bytes(&[word, ECALL]), name, Slot(S0 as u16), displacement, access);
        }
    }
}

/// The optimiser makes one offset of an address's constant part, however large.
#[test]
fn large_displacements() {
    let guest = guest("rv64gc") as Arc<dyn Guest>;
    let (high, low) = (0x1234_5000, 0x678);
    for (last, access) in [(ld(A1, low, A2), AccessKind::Read), (sd(A1, low, A2), AccessKind::Write)] {
        let code = [lui(A2, high as u64), add(A2, A2, S0), last, ECALL];
        for way in WAYS {
            let (mut machine, canary) = (machine(way, Arc::clone(&guest)), Canary::new());
            machine.load_code(CODE, &bytes(&code));
            let mut run = |addr: u64| {
                let cpu = machine.cpu_mut();
                cpu.pc = CODE;
                cpu.set(Slot(S0 as u16), addr.wrapping_sub((high + low) as u64));
                machine.run()
            };
            // From a negative index to what is mapped.
            assert!(matches!(run(DATA.start), Exit::Syscall { .. }), "{way:?}");
            assert!(matches!(run(DATA.end), Exit::Fault(_)), "{way:?}");
            let addr = (canary.0[512..].as_ptr() as u64).wrapping_sub(0x1000_0000_0000);
            for addr in [addr, 1 << 40, 1 << 63, u64::MAX - 70_000] {
                let exit = run(addr);
                let Exit::Fault(fault) = exit else { panic!("{way:?} {addr:#x}: {exit:?}") };
                assert!(way == Way::Jit || (fault.addr, fault.access) == (addr, access), "{way:?} {addr:#x} {fault:?}");
            }
            canary.check(&format!("{way:?}"));
        }
    }
}

/// A store-conditional without a reservation faults only because it is misaligned, wherever that is.
#[test]
fn misaligned_store_conditional() {
    let guest = guest("rv64gc") as Arc<dyn Guest>;
    for way in WAYS {
        let mut machine = machine(way, Arc::clone(&guest));
        machine.load_code(CODE, &bytes(&[atomic(3, 2), ECALL]));
        for addr in [DATA.start + 1, (1 << 45) + 2, u64::MAX] {
            let cpu = machine.cpu_mut();
            cpu.pc = CODE;
            cpu.set(Slot(S0 as u16), addr);
            let exit = machine.run();
            let expected = Fault { addr, access: AccessKind::Write, cause: FaultCause::Misaligned };
            assert_eq!(exit, Exit::Fault(expected), "{way:?} {addr:#x}");
        }
    }
}

fn atomic(funct5: u32, width: u32) -> u32 {
    funct5 << 27 | A1 << 20 | S0 << 15 | width << 12 | A3 << 7 | 0x2f
}

#[test]
fn atomics_of_riscv() {
    let guest = guest("rv64max") as Arc<dyn Guest>;
    let names = [(0, "add"), (1, "swap"), (4, "xor"), (8, "or"), (12, "and"), (16, "min"), (28, "maxu")];
    for (funct5, name) in names {
        for width in [2, 3] {
            for way in WAYS {
                let (mut machine, canary) = (machine(way, Arc::clone(&guest)), Canary::new());
                machine.load_code(CODE, &bytes(&[atomic(funct5, width), ECALL]));
                for addr in wild_addresses(&machine, &canary) {
                    let cpu = machine.cpu_mut();
                    cpu.pc = CODE;
                    cpu.set(Slot(S0 as u16), addr);
                    let exit = machine.run();
                    let Exit::Fault(fault) = exit else { panic!("{way:?} {name} at {addr:#x}: {exit:?}") };
                    assert!(way == Way::Jit || fault.addr == addr, "{way:?} {name} {addr:#x}: {fault:?}");
                }
                canary.check(name);
            }
        }
    }
    // Load-reserved and store-conditional.
    for way in WAYS {
        let (mut machine, canary) = (machine(way, Arc::clone(&guest)), Canary::new());
        machine.load_code(CODE, &bytes(&[0x1004_3600 | 0x2f | A3 << 7, 0x18b4_362f, ECALL]));
        let addr = canary.address(&machine);
        let cpu = machine.cpu_mut();
        cpu.pc = CODE;
        cpu.set(Slot(S0 as u16), addr);
        assert!(matches!(machine.run(), Exit::Fault(_)), "{way:?}");
        // A reservation that nobody has made does not help either.
        let cpu = machine.cpu_mut();
        cpu.pc = CODE + 4;
        cpu.set(Slot(S0 as u16), addr);
        (cpu.reservation_addr, cpu.reservation_value) = (addr, UNTOUCHED);
        machine.run();
        canary.check("sc.d");
    }
}

#[test]
fn jumps_lead_nowhere() {
    let guest = guest("rv64gc") as Arc<dyn Guest>;
    for way in WAYS {
        let (mut machine, canary) = (machine(way, Arc::clone(&guest)), Canary::new());
        machine.load_code(CODE, &bytes(&[jalr(RA, 0, S0), ECALL]));
        for addr in wild_addresses(&machine, &canary) {
            let cpu = machine.cpu_mut();
            cpu.pc = CODE;
            cpu.set(Slot(S0 as u16), addr);
            let exit = machine.run();
            let Exit::Fault(fault) = exit else { panic!("{way:?} at {addr:#x}: {exit:?}") };
            assert_eq!((fault.addr, fault.access), (addr & !1, AccessKind::Execute), "{way:?}");
            assert_eq!(machine.cpu().pc, addr & !1, "{way:?}");
        }
    }
}

#[test]
fn loads_and_stores_of_mips() {
    let opcodes = [
        (0x23, "lw", AccessKind::Read),
        (0x37, "ld", AccessKind::Read),
        (0x20, "lb", AccessKind::Read),
        (0x2b, "sw", AccessKind::Write),
        (0x3f, "sd", AccessKind::Write),
        (0x28, "sb", AccessKind::Write),
    ];
    let config = MipsConfig::parse("mips64r2el").unwrap_or_else(|e| panic!("{e}"));
    let guest = Arc::new(Mips::new(config)) as Arc<dyn Guest>;
    for (opcode, name, access) in opcodes {
        for displacement in [0_i64, -32768, 32767] {
            let word = (opcode << 26 | 16 << 21 | 5 << 16) as u32 | (displacement as u16) as u32;
            let words = [word, 0x0c];
            let code: Vec<u8> = words.iter().flat_map(|w: &u32| w.to_le_bytes()).collect();
            all_fault(&guest, &code, name, Slot(16), displacement, access);
        }
    }
}

fn memory_accesses(def: &InsnDef) -> bool {
    def.operands.contains('(')
}

/// Random programs on registers that point anywhere end as they do in the interpreter.
#[test]
fn random_programs() {
    let guest = guest("rv64max");
    let mut oracle = machine(Way::Plain, Arc::clone(&guest) as Arc<dyn Guest>);
    let ways = [Way::Interp, Way::Quick, Way::Runs, Way::Precise];
    let mut others = ways.map(|way| machine(way, Arc::clone(&guest) as Arc<dyn Guest>));
    let mut out_of_reach = 0;
    for seed in 0..80 {
        let mut random = Random::new(seed);
        let mix = Mix { name: "confine", isa: "rv64max", wanted: memory_accesses, tame: false };
        let program = Program::random(&mut random, &guest, &mix, 30);
        let mut start: CpuState = program.start.clone();
        // All but the one that makes loops end.
        for slot in (5..32).filter(|slot| u32::from(*slot) != COUNTER) {
            if random.chance(20) {
                start.set(Slot(slot), random.next() >> random.below(40));
            }
        }
        let run = |machine: &mut Machine| {
            machine.memory.write_bytes(DATA.start, &vec![0x5a; (DATA.end - DATA.start) as usize]).unwrap();
            machine.load_code(CODE, &program.padded(CODE));
            machine.run_from(&start, DATA.start..DATA.end)
        };
        let expected = run(&mut oracle);
        out_of_reach += u64::from(expected.is_out_of_reach());
        for other in &mut others {
            let found = run(other);
            assert!(
                found == expected,
                "{:?}: seed {seed}:\n{}\n{}",
                other.way,
                expected.differences(&found, &*guest, DATA.start),
                program.describe(CODE)
            );
        }
    }
    assert!(out_of_reach > 5, "only {out_of_reach} programs left the address space");
}
