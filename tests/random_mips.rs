//! Random MIPS programs: the plainest interpreter against the engine's tiers.
//!
//! A program is a loop over random instructions of the decoder's table, with branches forward, whatever stands in their slots, and
//! accesses to a small area; it ends with a system call, or earlier with what it raised.
//!
//! `EMU_TEST_PROGRAMS` sets how many are run a processor, or `EMU_TEST_INSNS` how many instructions, `EMU_TEST_SEED` the first
//! seed; `EMU_TEST_PROCESSORS` names the processors and `EMU_TEST_WAYS` the ways to run them, with spaces between them.

mod common;

use common::env_number;
use common::machine::{Machine, Way, map};
use common::mips::{AREA, Mix, Program, is_near_fault};
use common::program::CODE;
use common::random::Random;
use common::state::State;
use emu_frontend_mips::{Config, Mips};
use emu_ir::Exit;
use emu_machine::mem::Prot;
use std::sync::Arc;

const PROCESSORS: [&str; 9] = [
    "mips1",
    "mips32r2",
    "mips32r2,eb",
    "mips32r5,fr1,nan2008,abs2008",
    "mips32r5,fre",
    "mips32r6",
    "mips64r2",
    "mips64r2,eb",
    "mips64r6",
];
const DEFAULT_PROGRAMS: u64 = 40;

fn machines(guest: &Arc<Mips>) -> Vec<Machine> {
    let machine = |way| {
        let mut machine = Machine::new(way, guest);
        machine.plain_blocks = 20_000;
        map(&machine.memory, CODE, 0x2000, Prot::RX);
        map(&machine.memory, AREA.start, AREA.end - AREA.start, Prot::RW);
        machine
    };
    let ways = [
        Way::Plain,
        Way::Interp,
        Way::Jit,
        Way::Precise,
        Way::Quick,
        Way::Runs,
        Way::Tiered,
        Way::Lockstep,
        Way::QuickLockstep,
    ];
    let chosen = std::env::var("EMU_TEST_WAYS").ok();
    let wanted =
        |way: &Way| chosen.as_ref().is_none_or(|names| names.split(' ').any(|name| name == format!("{way:?}")));
    let machines: Vec<Machine> =
        ways.into_iter().filter(|way| *way == Way::Plain || wanted(way)).map(machine).collect();
    assert!(machines.len() > 1, "EMU_TEST_WAYS names no way");
    machines
}

fn run(program: &Program, machine: &mut Machine) -> State {
    machine.load_code(CODE, &program.bytes());
    let data: Vec<u8> = (0..0x1000u32).map(|i| (i * 7) as u8).collect();
    machine.memory.write_bytes(AREA.start, &data).expect("mapped");
    machine.run_from(&program.start, AREA)
}

/// What is different, if anything is.
fn difference(program: &Program, machines: &mut [Machine]) -> Option<String> {
    let expected = run(program, &mut machines[0]);
    if matches!(expected.exit, Exit::Budget | Exit::Yield) {
        // A jump register that was changed, or a branch to itself: it does not end.
        return None;
    }
    machines[1..].iter_mut().find_map(|machine| {
        let found = run(program, machine);
        if machine.way != Way::Precise && machine.way != Way::Interp && matches!(expected.exit, Exit::Fault(_)) {
            // Compiled code without precise faults keeps no registers.
            let same = found.exit == expected.exit && found.pc == expected.pc;
            return (!same && !is_near_fault(&expected, &found, &program.words))
                .then(|| format!("{:?}: {:?}", machine.way, found.exit));
        }
        let list = expected.differences(&found, &*program.guest, AREA.start);
        (!list.is_empty()).then(|| format!("{:?} (expected != found):\n{list}", machine.way))
    })
}

/// Runs programs until so many of them, or so many instructions, have been run; both numbers.
fn check(name: &str, mix: Mix, first: u64, programs: u64, insns: u64) -> (u64, u64) {
    let guest = Arc::new(Mips::new(Config::parse(name).unwrap()));
    let mut machines = machines(&guest);
    let (mut seed, mut run) = (first, 0);
    while seed - first < programs && run < insns {
        let mut program = Program::random(&mut Random::new(seed), &guest, mix);
        let before = machines[0].cpu().insn_count;
        if difference(&program, &mut machines).is_some() {
            // Instructions that do not matter become `nop`s, but for the loop.
            for i in 0..program.words.len() - 4 {
                let word = std::mem::replace(&mut program.words[i], 0);
                if difference(&program, &mut machines).is_none() {
                    program.words[i] = word;
                }
            }
            let found = difference(&program, &mut machines).unwrap_or_else(|| "it does not fail every time".into());
            panic!("{found}\n{name}, EMU_TEST_SEED={seed} EMU_TEST_PROGRAMS=1\n{}", program.text());
        }
        // What does not end is not counted.
        run += (machines[0].cpu().insn_count - before).min(10_000);
        seed += 1;
    }
    (seed - first, run)
}

fn check_all(mix: Mix) {
    let first = env_number("EMU_TEST_SEED").unwrap_or(1);
    let insns = env_number("EMU_TEST_INSNS");
    let programs = env_number("EMU_TEST_PROGRAMS").unwrap_or(if insns.is_some() { u64::MAX } else { DEFAULT_PROGRAMS });
    let chosen = std::env::var("EMU_TEST_PROCESSORS").ok();
    let names = chosen.as_ref().map_or(PROCESSORS.to_vec(), |names| names.split(' ').collect());
    for name in names {
        let (programs, run) = check(name, mix, first, programs, insns.unwrap_or(u64::MAX));
        println!("{name}: {programs} programs, {run} instructions");
    }
}

/// Programs that have failed.
#[test]
fn found_before() {
    // `movn $t7, $t7, $t5`, with no register to spare. If the programs are made in another way, it has to be found anew.
    let (name, seed) = ("mips32r2", 179_321);
    let guest = Arc::new(Mips::new(Config::parse(name).unwrap()));
    assert!(Program::random(&mut Random::new(seed), &guest, Mix::All).words.contains(&0x01ed_780b));
    check(name, Mix::All, seed, 1, u64::MAX);
}

#[test]
fn every_processor() {
    check_all(Mix::All);
}

#[test]
fn unaligned_words() {
    check_all(Mix::Unaligned);
}

#[test]
fn floating_point() {
    check_all(Mix::Floats);
}
