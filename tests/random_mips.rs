//! Random MIPS programs: the plainest interpreter against the engine's tiers.
//!
//! A program is a loop over random instructions of the decoder's table, with branches forward, whatever stands in their slots, and
//! accesses to a small area; it ends with a system call, or earlier with what it raised.
//!
//! `EMU_TEST_PROGRAMS` sets how many are run a processor, or `EMU_TEST_INSNS` how many instructions, `EMU_TEST_SEED` the first
//! seed; `EMU_TEST_PROCESSORS` names the processors, with spaces between them.

mod common;

use common::env_number;
use common::machine::{Machine, Way, map};
use common::program::{CODE, DATA};
use common::random::Random;
use common::state::{State, registers};
use emu_frontend_mips::disasm::{self, Kind};
use emu_frontend_mips::table::{Control, InsnDef, table};
use emu_frontend_mips::{Config, FrMode, Mips};
use emu_ir::{CpuState, Exit, Guest, Slot, Type};
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

/// Registers with a purpose: those that loads and stores start from, an index, where indirect jumps lead, the loop's counter.
const BASES: [u32; 2] = [16, 17];
const INDEX: u32 = 18;
const TARGET: u32 = 20;
const COUNTER: u32 = 21;

struct Program {
    guest: Arc<Mips>,
    words: Vec<u32>,
    start: CpuState,
}

impl Program {
    fn random(random: &mut Random, guest: &Arc<Mips>, mix: Mix) -> Program {
        // With FR = 0 they are reserved, and end the program.
        let reserved = |d: &InsnDef| d.wide_fpu && guest.config().fr == FrMode::Pairs;
        let fits = |d: &&InsnDef| {
            d.enabled(guest.config()) && is_wanted(d) && !reserved(d) && (mix == Mix::All || is_float(d))
        };
        let defs: Vec<_> = table().iter().filter(fits).collect();
        let len = 10 + random.below(60) as usize;
        let mut words = Vec::new();
        while words.len() < len {
            let def = defs[random.below(defs.len() as u64) as usize];
            if !is_frequent(def) && random.below(8) != 0 {
                continue;
            }
            words.extend(word(random, guest, def, words.len(), len));
        }
        // The loop's end: $s5 -= 1; bgtz $s5, start; whatever stands in the slot; syscall.
        let back = (-(words.len() as i32) - 2) as u32 & 0xffff;
        words.extend([0x26b5_ffff, 0x1ea0_0000 | back]);
        let slot = (0..100).find_map(|_| {
            let def = defs[random.below(defs.len() as u64) as usize];
            word(random, guest, def, 0, 1).filter(|_| def.control == Control::None)
        });
        words.extend([slot.unwrap_or(0), 0x0000_000c]);
        Program { guest: Arc::clone(guest), start: start(random, guest, words.len()), words }
    }

    fn run(&self, machine: &mut Machine) -> State {
        let big = self.guest.config().big_endian;
        let bytes = self.words.iter().flat_map(|w| if big { w.to_be_bytes() } else { w.to_le_bytes() });
        machine.load_code(CODE, &bytes.collect::<Vec<_>>());
        let data: Vec<u8> = (0..0x1000u32).map(|i| (i * 7) as u8).collect();
        machine.memory.write_bytes(DATA.start, &data).expect("mapped");
        machine.run_from(&self.start, DATA.start..DATA.start + 0x1000)
    }

    fn text(&self) -> String {
        let line = |(n, word): (usize, &u32)| {
            let pc = CODE + 4 * n as u64;
            let def = self.guest.decode(*word);
            let text = def.map_or("reserved".into(), |d| disasm::disassemble(d, *word, pc, self.guest.config().bits()));
            format!("  {pc:#x}: {word:08x} {text}\n")
        };
        let code: String = self.words.iter().enumerate().map(line).collect();
        format!("{}\n{code}", registers(&*self.guest, &self.start))
    }
}

/// What programs are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mix {
    All,
    /// Floating point in long blocks: results that others are computed from before anybody looks at them.
    Floats,
}

/// Is it of the floating-point unit, and no branch?
fn is_float(def: &InsnDef) -> bool {
    let moves = ["ldc1", "lwc1", "sdc1", "swc1", "mtc1", "mfc1", "mov.d", "cfc1"].contains(&def.name);
    moves || def.raises || def.name.starts_with("addiu")
}

/// Not what ends the program at once, nor counts of cycles.
fn is_wanted(def: &InsnDef) -> bool {
    !matches!(def.name, "syscall" | "break" | "sigrie" | "wait" | "eret" | "deret" | "di" | "ei" | "cache" | "rdhwr")
        && ![
            "cop", "mfc0", "mtc0", "dmfc0", "dmtc0", "tlb", "lwc2", "swc2", "ldc2", "sdc2", "lwc3", "swc3", "jialc",
            "jic",
        ]
        .iter()
        .any(|name| def.name.starts_with(name))
}

fn is_frequent(def: &InsnDef) -> bool {
    let traps = ["tge", "tlt", "teq", "tne"].iter().any(|name| def.name.starts_with(name));
    let jumps = ["j", "jal", "jr", "jr.hb", "jalr", "jalr.hb", "bc", "balc"].contains(&def.name);
    !traps
        && !jumps
        && !matches!(def.name, "ctc1" | "synci" | "add" | "addi" | "sub" | "dadd" | "daddi" | "dsub" | "ll" | "lld")
}

/// An encoding that stays inside the program and the data.
fn word(random: &mut Random, guest: &Mips, def: &'static InsnDef, at: usize, len: usize) -> Option<u32> {
    let mut word = random.next() as u32 & !def.pattern.mask | def.pattern.value;
    let memory = def.operands.contains("(rs)");
    for operand in disasm::operands(def) {
        let value = match (operand.kind, operand.name) {
            (Kind::Gpr, "rs") if memory => BASES[random.below(2) as usize].into(),
            (Kind::Gpr, "rt") if def.operands.contains("rt(rs)") => INDEX.into(),
            (Kind::Gpr, "rs") if def.name.starts_with("jr") || def.name.starts_with("jalr") => TARGET.into(),
            (Kind::Gpr, _) => random.below(16) as i64,
            (Kind::Double, _) => 2 * random.below(8) as i64,
            (Kind::Single, _) => random.below(16) as i64,
            (Kind::Imm(_), "imm" | "imm9") if memory => random.below(256) as i64 - 128,
            // At most to where the loop counts: beyond it would never end.
            (Kind::Branch, _) => 4 * random.below((len - at).min(12) as u64) as i64,
            (Kind::Jump, _) => (CODE as usize + 4 * (at + 1 + random.below((len - at) as u64) as usize)) as i64,
            (Kind::Imm(_), "pc19" | "pc18") => -8,
            _ => continue,
        };
        word = operand.field.put(word, value);
    }
    guest.decode(word).filter(|d| std::ptr::eq(*d, def)).map(|_| word)
}

fn start(random: &mut Random, guest: &Mips, len: usize) -> CpuState {
    let mut cpu = CpuState { pc: CODE, fp_round: random.below(4) as u32, ..CpuState::default() };
    let mask = u64::MAX >> (64 - guest.address_bits());
    for info in guest.slots().iter().filter(|s| s.slot.0 < 73) {
        let word = random.next() as u32;
        let small = [0, 1, -1, i32::MAX, i32::MIN, word as i32, word as i32, 8][random.below(8) as usize];
        let value = match info.ty {
            Type::F64 => random.double(),
            _ if random.below(4) == 0 => random.next() & mask,
            _ => small as i64 as u64 & mask,
        };
        cpu.set(info.slot, value);
    }
    for (reg, value) in [(16, DATA.start + 0x400), (17, DATA.start + 0x800), (18, 8), (COUNTER as u16, 4)] {
        cpu.set(Slot(reg), value);
    }
    cpu.set(Slot(TARGET as u16), CODE + 4 * (len as u64 - 4));
    cpu
}

fn machines(guest: &Arc<Mips>) -> Vec<Machine> {
    let machine = |way| {
        let mut machine = Machine::new(way, guest);
        machine.plain_blocks = 20_000;
        map(&machine.memory, CODE, 0x2000, Prot::RX);
        map(&machine.memory, DATA.start, 0x1000, Prot::RW);
        machine
    };
    [Way::Plain, Way::Interp, Way::Jit, Way::Precise, Way::Quick, Way::Tiered].map(machine).into()
}

/// What is different, if anything is.
fn difference(program: &Program, machines: &mut [Machine]) -> Option<String> {
    let expected = program.run(&mut machines[0]);
    if matches!(expected.exit, Exit::Budget | Exit::Yield) {
        // A jump register that was changed, or a branch to itself: it does not end.
        return None;
    }
    machines[1..].iter_mut().find_map(|machine| {
        let found = program.run(machine);
        if machine.way != Way::Precise && machine.way != Way::Interp && matches!(expected.exit, Exit::Fault(_)) {
            // Compiled code without precise faults keeps no registers.
            return (found.exit != expected.exit || found.pc != expected.pc)
                .then(|| format!("{:?}: {:?}", machine.way, found.exit));
        }
        let list = expected.differences(&found, &*program.guest, DATA.start);
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

#[test]
fn every_processor() {
    check_all(Mix::All);
}

#[test]
fn floating_point() {
    check_all(Mix::Floats);
}
