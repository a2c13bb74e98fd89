//! Random whole MIPS programs under QEMU 11.1 and the plain interpreter: the same registers, FCSR and memory at the end.
//!
//! The programs are tame: they raise nothing, for QEMU's process would end, and do nothing that the manual leaves open (branches in
//! slots, divisions by zero, bit fields beyond the register).
//!
//! `EMU_TEST_PROGRAMS` sets how many are run a processor, `EMU_TEST_SEED` the first seed, `EMU_TEST_MIX` the processor.

mod common;

use common::machine::{Machine, Way};
use common::mips::{Mix, Program};
use common::mips_image::{Image, differences, mask_singles};
use common::random::Random;
use common::{env_number, qemu};
use emu_frontend_mips::{Config, Mips};
use std::sync::Arc;

/// A processor for us, QEMU's binary and processor, the ELF header's flags, what programs are made of.
///
/// QEMU's processors with legacy NaNs turn each NaN into the default one, which the manual (volume I, "Quiet NaN operands") does not:
/// with them floating-point arithmetic is left to `float_mips.rs`.
type Processor = (&'static str, &'static str, &'static str, u32, Mix);

const PROCESSORS: [Processor; 9] = [
    ("mips32r6", "mipsel", "mips32r6-generic", 0x9000_1600, Mix::Tame),
    ("mips32r6,eb", "mips", "mips32r6-generic", 0x9000_1600, Mix::Tame),
    ("I6400", "mips64el", "I6400", 0xa000_0400, Mix::Tame),
    ("mips64r6,eb", "mips64", "I6400", 0xa000_0400, Mix::Tame),
    ("mips32r5,fr1,nan2008,abs2008", "mipsel", "P5600", 0x7000_1400, Mix::Tame),
    ("mips32r2,fr1", "mipsel", "24Kf", 0x7000_1000, Mix::TameIntegers),
    ("mips32r2,fr1,eb", "mips", "24Kf", 0x7000_1000, Mix::TameIntegers),
    ("mips64r2", "mips64el", "MIPS64R2-generic", 0x8000_0000, Mix::TameIntegers),
    ("mips64r2,eb", "mips64", "MIPS64R2-generic", 0x8000_0000, Mix::TameIntegers),
];
const DEFAULT_PROGRAMS: u64 = 100;

struct Bench {
    processor: Processor,
    machine: Machine,
}

impl Bench {
    /// What is different, if anything is; a program that QEMU does not like is none of ours.
    fn difference(&mut self, program: &Program) -> Option<String> {
        let mut random = Random::new(11);
        let data: Vec<u8> = (0..0x200).flat_map(|_| random.double().to_le_bytes()).collect();
        let image = Image::new(program, &data);
        let (_, arch, cpu, flags, _) = self.processor;
        let mut expected = match qemu::run_on(arch, cpu, &image.elf(flags)) {
            Ok(output) => output,
            Err(why) => return Some(format!("QEMU: {why}")),
        };
        let mut found = match image.run(&mut self.machine) {
            Ok(output) => output,
            Err(why) => return Some(format!("{:?}: {why}", self.machine.way)),
        };
        let big = program.guest.config().big_endian;
        mask_singles(&mut expected, big);
        mask_singles(&mut found, big);
        (found != expected).then(|| format!("QEMU != found:\n{}", differences(&*program.guest, &expected, &found, big)))
    }
}

#[test]
fn every_processor() {
    let first = env_number("EMU_TEST_SEED").unwrap_or(1);
    let count = env_number("EMU_TEST_PROGRAMS").unwrap_or(DEFAULT_PROGRAMS);
    let only = std::env::var("EMU_TEST_MIX").ok();
    for processor in PROCESSORS.into_iter().filter(|p| only.as_ref().is_none_or(|name| name == p.0)) {
        let guest = Arc::new(Mips::new(Config::parse(processor.0).unwrap()));
        let mut bench = Bench { processor, machine: Image::machine(Way::Plain, &guest) };
        for seed in first..first + count {
            let mut program = Program::random(&mut Random::new(seed), &guest, processor.4);
            if bench.difference(&program).is_some() {
                shrink(&mut bench, &mut program);
                let found = bench.difference(&program).unwrap_or_else(|| "it does not fail every time".into());
                let (name, text) = (processor.0, program.text());
                panic!("{found}\nEMU_TEST_MIX={name} EMU_TEST_SEED={seed} EMU_TEST_PROGRAMS=1\n{text}");
            }
        }
    }
}

/// Instructions that do not matter become `nop`s, but for the loop.
fn shrink(bench: &mut Bench, program: &mut Program) {
    let kind = |found: &Option<String>| found.as_ref().map(|text| text.starts_with("QEMU:"));
    let wanted = kind(&bench.difference(program));
    for i in 0..program.words.len() - 4 {
        let word = std::mem::replace(&mut program.words[i], 0);
        if kind(&bench.difference(program)) != wanted {
            program.words[i] = word;
        }
    }
}
