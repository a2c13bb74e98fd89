//! Random whole programs under QEMU 11.1, the plain interpreter and compiled code: the same registers, flags and memory at
//! the end.
//!
//! The programs are tame: they fault nowhere and write no reserved rounding mode, for QEMU's process would end. What else they
//! have not, because QEMU may rightly do otherwise:
//! - counters;
//! - `sc` of another width than the `lr` before it: whether that fails is left open by the manual, and QEMU compares what
//!   `lr.w` loaded, sign-extended, with the doubleword.
//!
//! `EMU_TEST_PROGRAMS` sets how many are run an extension, `EMU_TEST_SEED` the first seed, `EMU_TEST_MIX` the mix.

mod common;

use common::image::{Image, differences, mask_spoiled};
use common::machine::{Machine, Way};
use common::program::{CODE, DATA, GROUPS, Mix, Program};
use common::random::Random;
use common::{env_number, guest, qemu};
use emu_frontend_riscv::Riscv;
use std::sync::Arc;

const DEFAULT_PROGRAMS: u64 = 40;

struct Bench {
    guest: Arc<Riscv>,
    machines: Vec<Machine>,
}

impl Bench {
    fn new(isa: &str) -> Bench {
        let guest = guest(isa);
        let machines =
            [Way::Plain, Way::Quick, Way::Runs, Way::Jit, Way::Precise].map(|way| Image::machine(way, &guest)).into();
        Bench { guest, machines }
    }

    fn difference(&mut self, program: &Program) -> Option<String> {
        let mut random = Random::new(11);
        let data: Vec<u8> = (0..(DATA.end - DATA.start) / 8).flat_map(|_| random.double().to_le_bytes()).collect();
        let image = Image::new(program, &data);
        let mut expected = match qemu::run(self.guest.config().xlen, &image.elf()) {
            Ok(output) => output,
            Err(why) => return Some(format!("QEMU: {why}")),
        };
        mask_spoiled(&mut expected);
        self.machines.iter_mut().find_map(|machine| {
            let mut found = match image.run(machine) {
                Ok(output) => output,
                Err(why) => return Some(format!("{:?}: {why}", machine.way)),
            };
            mask_spoiled(&mut found);
            let list = || differences(&*self.guest, &expected, &found);
            (found != expected).then(|| format!("{:?} (QEMU != found):\n{}", machine.way, list()))
        })
    }
}

fn run(mix: &Mix) {
    if std::env::var("EMU_TEST_MIX").is_ok_and(|only| only != mix.name) {
        return;
    }
    let mut bench = Bench::new(mix.isa);
    let first = env_number("EMU_TEST_SEED").unwrap_or(1);
    let count = env_number("EMU_TEST_PROGRAMS").unwrap_or(DEFAULT_PROGRAMS);
    for seed in first..first + count {
        let mut random = Random::new(seed);
        let len = 50 + random.below(350) as usize;
        let program = Program::random(&mut random, &bench.guest.clone(), mix, len);
        if bench.difference(&program).is_some() {
            // A shorter program may fault, which says nothing about us.
            let mut differs = |p: &Program| bench.difference(p).is_some_and(|d| !d.starts_with("QEMU:"));
            let least = if differs(&program) { program.minimised(differs) } else { program };
            let difference = bench.difference(&least).unwrap_or_else(|| "it does not fail every time".into());
            panic!(
                "{difference}\n{}\nEMU_TEST_MIX={} EMU_TEST_SEED={seed:#x} EMU_TEST_PROGRAMS=1 cargo test --test random_qemu",
                least.describe(CODE),
                mix.name
            );
        }
    }
}

fn run_groups(isa: &'static str, prefix: &str) {
    for (group, wanted) in GROUPS {
        let name = format!("{prefix}-{group}").leak();
        run(&Mix { name, isa, wanted: *wanted, tame: true });
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
