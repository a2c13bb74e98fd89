//! Fuel: each engine counts the same instructions, and stops at the same one.
//!
//! The oracle takes one instruction at a time, as the decoder makes it (a branch and its delay slot are two). `EMU_TEST_SEED` sets the
//! seed of the first random program, `EMU_TEST_PROGRAMS` how many there are.

mod common;

use common::asm::*;
use common::machine::{Machine, Way, map, run_window};
use common::program::{CODE, CODE_LEN, DATA, READ_ONLY};
use common::random::Random;
use common::state::State;
use common::{env_number, guest, mips, program};
use emu_frontend_mips::Mips;
use emu_interp::Code;
use emu_ir::{Block, BlockKey, CpuState, Exit, Guest, Slot};
use emu_machine::engine::FuelSource;
use emu_machine::mem::{GuestMemory, Prot, UserEnv};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Everything on fuel; `Plain` is the oracle's.
const WAYS: [Way; 6] = [Way::Interp, Way::Quick, Way::Runs, Way::Jit, Way::Precise, Way::Tiered];
/// All of a program's memory that is compared.
const WATCHED: Range<u64> = DATA.start..READ_ONLY.end;
/// Programs that run longer are not run to their end.
const MOST: u64 = 20_000;

/// Fuel in small portions, so that they end in the middle of everything.
#[derive(Default)]
struct Portions {
    left: AtomicU64,
    portion: AtomicU64,
}

impl FuelSource for Portions {
    fn take(&self) -> u64 {
        let units = self.left.load(Ordering::SeqCst).min(self.portion.load(Ordering::SeqCst));
        self.left.fetch_sub(units, Ordering::SeqCst);
        units
    }

    fn give_back(&self, units: u64) {
        self.left.fetch_add(units, Ordering::SeqCst);
    }
}

fn prepare(memory: &GuestMemory) {
    map(memory, CODE, CODE_LEN as u64, Prot::RX);
    map(memory, DATA.start, DATA.end - DATA.start, Prot::RW);
    map(memory, READ_ONLY.start, READ_ONLY.end - READ_ONLY.start, Prot::READ);
}

fn load(memory: &GuestMemory, code: &[u8]) {
    memory.mprotect(CODE, CODE_LEN as u64, Prot::RW).expect("mapped");
    memory.write_bytes(CODE, code).expect("mapped");
    memory.mprotect(CODE, CODE_LEN as u64, Prot::RX).expect("mapped");
    let data: Vec<u8> = (0..DATA.end - DATA.start).map(|i| (i * 7) as u8).collect();
    memory.write_bytes(DATA.start, &data).expect("mapped");
}

/// How a run ended, after how many instructions.
#[derive(Clone, Debug, PartialEq)]
struct Ending {
    state: State,
    used: u64,
}

/// One instruction at a time.
struct Oracle {
    guest: Arc<dyn Guest>,
    memory: Arc<GuestMemory>,
}

impl Oracle {
    fn run(&self, start: &CpuState, fuel: u64) -> Ending {
        let mut env = UserEnv::new(Arc::clone(&self.memory));
        let mut cpu = CpuState { insn_count: 0, ..start.clone() };
        let mut yields = vec![];
        let exit = loop {
            cpu.mode = self.guest.mode(&cpu);
            let left = fuel - cpu.insn_count;
            if left == 0 {
                break Exit::Budget;
            }
            let key = BlockKey { pc: cpu.pc, mode: cpu.mode };
            match self.guest.translate(key, &mut env, 1) {
                Ok(block) if u64::from(block.insn_count()) > left => break Exit::Budget,
                Ok(block) => match self.run_one(&block, &mut cpu, &mut env, left) {
                    Exit::Next | Exit::ModeChange | Exit::InsnFence => {}
                    Exit::Yield => yields.push(cpu.pc),
                    exit => break exit,
                },
                Err(fault) => break Exit::Fault(fault),
            }
        };
        let mut memory = vec![0; (WATCHED.end - WATCHED.start) as usize];
        self.memory.read_bytes(WATCHED.start, &mut memory).expect("mapped");
        Ending { used: cpu.insn_count, state: State::new(&*self.guest, &cpu, exit, yields, memory) }
    }
}

impl Oracle {
    /// Runs a block of one instruction, or the window that it needs.
    fn run_one(&self, block: &Block, cpu: &mut CpuState, env: &mut UserEnv, left: u64) -> Exit {
        match block.needs_window() {
            true => run_window(&*self.guest, cpu, env, left),
            false => emu_interp::run(&Code::new(block, &*self.guest), cpu, env),
        }
    }
}

struct Bench {
    oracle: Oracle,
    machines: Vec<(Machine, Arc<Portions>)>,
}

impl Bench {
    fn new(guest: &Arc<dyn Guest>) -> Bench {
        let memory = Arc::new(GuestMemory::new(guest.address_bits()).expect("guest memory"));
        prepare(&memory);
        let machine = |way| {
            let fuel = Arc::new(Portions::default());
            let machine = Machine::on_fuel(way, Arc::clone(guest), Arc::clone(&fuel) as Arc<dyn FuelSource>);
            prepare(&machine.memory);
            (machine, fuel)
        };
        Bench { oracle: Oracle { guest: Arc::clone(guest), memory }, machines: WAYS.map(machine).into() }
    }

    fn oracle(&self, code: &[u8], start: &CpuState, fuel: u64) -> Ending {
        load(&self.oracle.memory, code);
        self.oracle.run(start, fuel)
    }

    /// Runs the code on so much fuel; panics if an engine ends otherwise than the oracle.
    fn check(&mut self, code: &[u8], start: &CpuState, fuel: u64, portion: u64, what: &str) -> Ending {
        let expected = self.oracle(code, start, fuel);
        for (machine, source) in &mut self.machines {
            source.left.store(fuel, Ordering::SeqCst);
            source.portion.store(portion, Ordering::SeqCst);
            load(&machine.memory, code);
            let state = machine.run_from(start, WATCHED);
            let used = fuel - source.left.load(Ordering::SeqCst);
            let way = machine.way;
            let what = || format!("{way:?}, fuel {fuel} in portions of {portion}, {what}");
            let imprecise = !matches!(way, Way::Interp | Way::Precise | Way::Quick | Way::Runs);
            assert_eq!(used, expected.used, "{}: {:x?} at {:#x}", what(), state.exit, state.pc);
            match (imprecise, expected.state.exit, state.exit) {
                // Registers are lost there, and an atomic may have faulted by reading.
                (true, Exit::Fault(a), Exit::Fault(b)) => {
                    assert_eq!((expected.state.pc, a.addr, a.cause), (state.pc, b.addr, b.cause), "{}", what());
                }
                _ => {
                    let list = expected.state.differences(&state, &*self.oracle.guest, WATCHED.start);
                    assert!(list.is_empty(), "{} (expected != found):\n{list}", what());
                }
            }
        }
        expected
    }

    /// Runs the code to its end with as much as it needs and one more, and to some places before.
    fn check_program(&mut self, code: &[u8], start: &CpuState, random: &mut Random, what: &str) {
        let end = self.oracle(code, start, MOST);
        if end.state.is_out_of_reach() {
            return;
        }
        let places = (0..3).map(|_| random.below(end.used + 1)).collect::<Vec<_>>();
        for fuel in places.into_iter().chain([end.used, end.used + 1]) {
            let portion = random.pick(&[3, 64, 1000, MOST]);
            self.check(code, start, fuel, portion, what);
        }
    }
}

fn set(cpu: &mut CpuState, reg: u32, value: u64) {
    cpu.set(Slot(reg as u16), value);
}

#[test]
fn a_loop_stops_at_each_instruction() {
    // A branch in the loop by turns, a call, a store, and a load that faults when the loop has ended.
    let words = [
        andi(T1, T0, 1),
        beq(T1, ZERO, 12),
        addi(A0, A0, 3),
        sd(A0, 0, S0),
        addi(A1, A1, 1),
        addi(T0, T0, -1),
        bne(T0, ZERO, -24),
        ld(A2, 0, ZERO),
    ];
    let mut bench = Bench::new(&(guest("rv64gc") as Arc<dyn Guest>));
    let mut start = CpuState { pc: CODE, ..CpuState::default() };
    set(&mut start, T0, 12);
    set(&mut start, S0, DATA.start);
    let code = bytes(&words);
    for round in 0..2 {
        // In the first round code gets warm.
        for fuel in 0..=80 {
            let end = bench.check(&code, &start, fuel, if round == 0 { MOST } else { 5 }, "the loop");
            let all = 6 * 7 + 6 * 5;
            assert_eq!(end.used, fuel.min(all));
            assert_eq!(matches!(end.state.exit, Exit::Fault(_)), fuel > all);
        }
    }
}

#[test]
fn a_branch_and_its_slot_are_not_taken_apart() {
    let guest: Arc<dyn Guest> = Arc::new(Mips::new(emu_frontend_mips::Config::parse("mips32r2").unwrap()));
    // addiu $t0, $t0, -1; bne $t0, $zero, -2; addiu $t1, $t1, 1; syscall
    let words = [0x2508_ffffu32, 0x1500_fffe, 0x2529_0001, 0x0000_000c];
    let code: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut bench = Bench::new(&guest);
    let mut start = CpuState { pc: CODE, ..CpuState::default() };
    set(&mut start, 8, 6);
    for fuel in 0..=20 {
        let end = bench.check(&code, &start, fuel, MOST, "the loop");
        // The second of three stands between the branch and its slot.
        let whole = if fuel < 18 && fuel % 3 == 2 { fuel - 1 } else { fuel };
        assert_eq!(end.used, whole.min(19));
        assert_eq!(matches!(end.state.exit, Exit::Syscall { .. }), fuel >= 19);
    }
}

fn seeds(default: u64) -> Range<u64> {
    let first = env_number("EMU_TEST_SEED").unwrap_or(1);
    first..first + env_number("EMU_TEST_PROGRAMS").unwrap_or(default)
}

#[test]
fn random_programs() {
    for isa in ["rv64max", "rv32max"] {
        let guest = guest(isa);
        let mut bench = Bench::new(&(Arc::clone(&guest) as Arc<dyn Guest>));
        let mix = program::Mix { name: isa, isa, wanted: |_| true, tame: false };
        for seed in seeds(40) {
            let random = &mut Random::new(seed);
            let len = program::Program::random_len(random);
            let program = program::Program::random(random, &guest, &mix, len);
            let what = format!("{isa}, EMU_TEST_SEED={seed} EMU_TEST_PROGRAMS=1");
            bench.check_program(&program.padded(CODE), &program.start, random, &what);
        }
    }
}

#[test]
fn random_mips_programs() {
    for processor in ["mips32r2", "mips64r2,eb", "mips64r6"] {
        let guest = Arc::new(Mips::new(emu_frontend_mips::Config::parse(processor).unwrap()));
        let mut bench = Bench::new(&(Arc::clone(&guest) as Arc<dyn Guest>));
        for seed in seeds(30) {
            let random = &mut Random::new(seed);
            let program = mips::Program::random(random, &guest, mips::Mix::All);
            let mut code = program.bytes();
            code.resize(CODE_LEN, 0);
            let what = format!("{processor}, EMU_TEST_SEED={seed} EMU_TEST_PROGRAMS=1");
            bench.check_program(&code, &program.start, random, &what);
        }
    }
}
