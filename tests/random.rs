//! Random programs from the decoder's own table: the plainest interpreter against the engine's interpreter and against
//! compiled code, with precise faults and without by turns. Registers, pc, flags, memory and the exit have to be the same; after a
//! fault without precise faults the exit only, and about where. Some programs run in lockstep, too.
//!
//! `EMU_TEST_INSNS` sets how many instructions are run an extension; `EMU_TEST_SEED` the seed of the first program.
//! A failure prints the line that repeats it: `EMU_TEST_MIX` names the mix, `EMU_TEST_INSNS=1` stops after one program.

mod common;

use common::bytewise::is_near_fault;
use common::machine::{Machine, Way, map};
use common::program::{CODE, CODE_LEN, DATA, GROUPS, Mix, Program, READ_ONLY};
use common::random::Random;
use common::state::State;
use common::{env_number, guest};
use emu_ir::Exit;
use emu_machine::mem::Prot;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const DEFAULT_INSNS: u64 = 250_000;
const DEFAULT_SEED: u64 = 1;
/// All of a program's memory that is compared.
const WATCHED: std::ops::Range<u64> = DATA.start..READ_ONLY.end;

/// The engines under test, with the same memory each.
struct Bench {
    oracle: Machine,
    interp: Machine,
    /// Regions with precise faults and without, and quick code.
    compiled: [Machine; 4],
    /// Regions and quick code in lockstep with the interpreter.
    compared: [Machine; 2],
}

impl Bench {
    fn new(isa: &str) -> Bench {
        let guest = guest(isa);
        let machine = |way| {
            let machine = Machine::new(way, &guest);
            map(&machine.memory, CODE, CODE_LEN as u64, Prot::RX);
            map(&machine.memory, DATA.start, DATA.end - DATA.start, Prot::RW);
            map(&machine.memory, READ_ONLY.start, READ_ONLY.end - READ_ONLY.start, Prot::READ);
            machine
        };
        Bench {
            oracle: machine(Way::Plain),
            interp: machine(Way::Interp),
            compiled: [Way::Precise, Way::Jit, Way::Quick, Way::Runs].map(machine),
            compared: [Way::Lockstep, Way::QuickLockstep].map(machine),
        }
    }

    /// Runs the program by the interpreters and by compiled code, of a sort that depends on the seed; what differs from the
    /// oracle, or `None`.
    fn difference(&mut self, program: &Program, seed: u64) -> Option<String> {
        let sort = (seed % 3) as usize;
        let data = initial_data();
        let code = program.padded(CODE);
        let run = |machine: &mut Machine| {
            machine.load_code(CODE, &code);
            machine.memory.write_bytes(DATA.start, &data).expect("data is mapped");
            machine.run_from(&program.start, WATCHED)
        };
        let expected = run(&mut self.oracle);
        // A jump into the middle of an instruction can leave out what makes a loop end.
        if expected.is_out_of_reach() || expected.exit == Exit::Budget {
            return None;
        }
        let compared = seed.is_multiple_of(8).then_some(&mut self.compared[(seed / 8 % 2) as usize]);
        [&mut self.interp, &mut self.compiled[sort]].into_iter().chain(compared).find_map(|machine| {
            let mut found = run(machine);
            let near = || is_near_fault(&expected, &found, &code, CODE);
            if machine.way == Way::Jit && (same_fault(&expected, &found) || near()) {
                found = expected.clone();
            }
            (found != expected).then(|| {
                let list = expected.differences(&found, program.guest(), WATCHED.start);
                format!("{:?} differs from the oracle (expected != found):\n{list}", machine.way)
            })
        })
    }
}

/// Compiled code without precise faults loses the registers at a fault, and its atomics may fault for reading.
fn same_fault(expected: &State, found: &State) -> bool {
    match (expected.exit, found.exit) {
        (Exit::Fault(a), Exit::Fault(b)) => expected.pc == found.pc && (a.addr, a.cause) == (b.addr, b.cause),
        _ => false,
    }
}

fn initial_data() -> Vec<u8> {
    let mut random = Random::new(7);
    let len = DATA.end - DATA.start;
    (0..len / 8).flat_map(|i| if i % 3 == 0 { random.double() } else { random.integer() }.to_le_bytes()).collect()
}

/// Runs programs of one mix until enough instructions have been executed.
fn run(mix: &Mix) {
    if std::env::var("EMU_TEST_MIX").is_ok_and(|only| only != mix.name) {
        return;
    }
    let wanted = env_number("EMU_TEST_INSNS").unwrap_or(DEFAULT_INSNS);
    let guest = guest(mix.isa);
    let mut bench = Bench::new(mix.isa);
    let mut seed = env_number("EMU_TEST_SEED").unwrap_or(DEFAULT_SEED);
    let watchdog = Watchdog::new(mix.name);
    let start = bench.oracle.cpu().insn_count;
    while bench.oracle.cpu().insn_count - start < wanted {
        watchdog.at(seed);
        let mut random = Random::new(seed);
        let len = Program::random_len(&mut random);
        let program = Program::random(&mut random, &guest, mix, len);
        if bench.difference(&program, seed).is_some() {
            let least = program.minimised(|p| bench.difference(p, seed).is_some());
            let difference = bench.difference(&least, seed).unwrap_or_else(|| "it does not fail every time".into());
            panic!(
                "{difference}\n{}\nEMU_TEST_MIX={} EMU_TEST_SEED={seed:#x} EMU_TEST_INSNS=1 cargo test --test random",
                least.describe(CODE),
                mix.name
            );
        }
        seed += 1;
    }
}

/// Ends the test when a program does not.
struct Watchdog {
    seed: Arc<AtomicU64>,
}

impl Watchdog {
    fn new(mix: &'static str) -> Watchdog {
        let seed = Arc::new(AtomicU64::new(0));
        let weak = Arc::downgrade(&seed);
        std::thread::spawn(move || {
            let mut last = 0;
            loop {
                std::thread::sleep(Duration::from_secs(30));
                let Some(seed) = weak.upgrade() else { return };
                let now = seed.load(Ordering::Relaxed);
                if now == last {
                    eprintln!("the program EMU_TEST_MIX={mix} EMU_TEST_SEED={now:#x} EMU_TEST_INSNS=1 does not end");
                    std::process::abort();
                }
                last = now;
            }
        });
        Watchdog { seed }
    }

    fn at(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
    }
}

/// Every extension by itself on one width, then everything mixed.
fn run_groups(isa: &'static str, prefix: &str) {
    for (group, wanted) in GROUPS {
        let name = format!("{prefix}-{group}").leak();
        run(&Mix { name, isa, wanted: *wanted, tame: false });
    }
}

#[test]
fn rv64() {
    run_groups("rv64max", "rv64");
}

#[test]
fn rv32() {
    run_groups("rv32max", "rv32");
}

/// Without 16-bit instructions targets have to be multiples of four.
#[test]
fn without_compressed() {
    run(&Mix { name: "rv64g", isa: "rv64g_zba_zbb_zbs", wanted: |_| true, tame: false });
    run(&Mix { name: "rv32i", isa: "rv32ima", wanted: |_| true, tame: false });
}

/// 32-bit harts may load and store floats by 16-bit instructions.
#[test]
fn rv32_compressed_floats() {
    run(&Mix { name: "rv32gc", isa: "rv32gc", wanted: |_| true, tame: false });
}
