//! Random programs from the decoder's table.
//!
//! A program is a list of steps with labels, so that some can be taken out of a failing one. It always ends: whatever may
//! jump backwards is guarded, in the same step, by a counter that nothing else writes, and jumps go to steps only.

use super::asm::{add, addi, addiw, sub, xor};
use super::bytewise;
use super::random::Random;
use super::state::registers;
use emu_frontend_riscv::config::ExtSet as E;
use emu_frontend_riscv::disasm::{Kind, Operand, operands};
use emu_frontend_riscv::fields::{CSR, Field, IMM_B, IMM_I, IMM_J};
use emu_frontend_riscv::table::{Action, InsnDef, table};
use emu_frontend_riscv::{Config, Riscv, fields::Word};
use emu_ir::{CpuState, Guest, Slot};
use std::fmt::Write;
use std::sync::Arc;

/// Where programs lie.
pub const CODE: u64 = 0x1_0000;
/// Room for them.
pub const CODE_LEN: usize = 0x2000;
/// Memory that programs may write.
pub const DATA: std::ops::Range<u64> = 0x2_0000..0x2_3000;
/// A page behind it that they may only read. Behind that nothing is mapped.
pub const READ_ONLY: std::ops::Range<u64> = 0x2_3000..0x2_4000;

const RA: u32 = 1;
const T0: u32 = 5;
/// Holds the address of a computed jump.
const JUMP: u32 = 26;
/// Counts the guarded jumps that are left.
pub const COUNTER: u32 = 27;
/// Registers that point into [`DATA`]: sp, s0, s1, a5.
const POINTERS: [u32; 4] = [2, 8, 9, 15];

const ECALL: u32 = 0x73;
/// The label of the `ecall` at the end.
const END: usize = usize::MAX;

/// Which instructions a program is made of.
#[derive(Clone)]
pub struct Mix {
    pub name: &'static str,
    pub isa: &'static str,
    /// What three quarters of it are from; the rest is from the base.
    pub wanted: fn(&InsnDef) -> bool,
    /// No faults, traps and reserved rounding modes on purpose.
    pub tame: bool,
}

/// Chooses instructions of the table.
pub type InsnFilter = fn(&InsnDef) -> bool;

/// The extensions, for mixes of one at a time.
pub const GROUPS: &[(&str, InsnFilter)] = &[
    ("i", |d| d.needs == E::I || d.needs == E::ZIFENCEI || d.needs == E::ZIHINTPAUSE),
    ("m", |d| d.needs == E::M || d.needs == E::ZMMUL),
    ("a", |d| d.needs == E::ZAAMO || d.needs == E::ZALRSC),
    ("f", |d| d.needs == E::F || d.needs == E::ZICSR),
    ("d", |d| d.needs == E::D || d.needs == E::ZICSR),
    ("c", |d| d.pattern.bits == 16 && !d.needs.contains(E::ZCB)),
    ("zcb", |d| d.needs.contains(E::ZCB)),
    ("zba", |d| d.needs == E::ZBA),
    ("zbb", |d| d.needs == E::ZBB),
    ("zbc", |d| d.needs == E::ZBC),
    ("zbs", |d| d.needs == E::ZBS),
    ("zicond", |d| d.needs == E::ZICOND),
    ("all", |_| true),
];

/// One instruction.
#[derive(Clone, Debug)]
enum Item {
    Word(u32),
    /// `field` of `word` becomes the distance from the instruction `back` before this one to the step `to`, and `skew`.
    Jump {
        word: u32,
        field: Field,
        back: usize,
        to: usize,
        skew: i64,
    },
}

/// Instructions that belong together.
#[derive(Clone, Debug)]
struct Step {
    label: usize,
    items: Vec<Item>,
}

/// A program and the registers it starts with.
#[derive(Clone)]
pub struct Program {
    /// By ascending label.
    steps: Vec<Step>,
    pub start: CpuState,
    guest: Arc<Riscv>,
}

/// The registers a program starts with.
pub fn random_start(random: &mut Random, config: &Config, tame: bool) -> CpuState {
    let mut cpu = CpuState { pc: CODE, ..CpuState::default() };
    let mask = u64::MAX >> (64 - config.xlen);
    for x in 1..32 {
        cpu.set(Slot(x), random.integer() & mask);
    }
    for f in 32..64 {
        cpu.set(Slot(f), random.float_register());
    }
    for (reg, at) in POINTERS.iter().zip([0x900, 0x1000, 0x1808, 0x27f0]) {
        let skew = if !tame && random.chance(5) { random.below(8) } else { 0 };
        cpu.set(Slot(*reg as u16), DATA.start + at + skew);
    }
    let edge = match random.below(10) {
        _ if tame => None,
        0 => Some(READ_ONLY.start),
        1 => Some(READ_ONLY.end),
        2 => Some(DATA.start),
        _ => None,
    };
    if let Some(edge) = edge {
        cpu.set(Slot(15), edge + random.below(64) - 32);
    }
    let jumps = random.pick(&[4, 24, 24, 400]);
    cpu.set(Slot(COUNTER as u16), random.below(jumps));
    for link in [RA, T0] {
        cpu.set(Slot(link as u16), CODE);
    }
    cpu.fp_flags = random.next() as u32 & random.next() as u32 & 31;
    cpu.fp_round = match random.below(20) {
        0 if !tame => 5 + random.below(3) as u32,
        n @ 1..=8 => n as u32 % 4 + 1,
        _ => 0,
    };
    cpu
}

impl Program {
    /// A program of about `len` instructions.
    pub fn random(random: &mut Random, guest: &Arc<Riscv>, mix: &Mix, len: usize) -> Program {
        let enabled = || table().iter().filter(|d| d.enabled(guest.config()));
        let (wanted, base) = (enabled().filter(|d| (mix.wanted)(d)).collect(), enabled().filter(|d| d.needs == E::I));
        let mut maker = Maker {
            random,
            guest,
            tame: mix.tame,
            wanted,
            base: base.collect(),
            items: vec![],
            next: 0,
            other_width: "",
        };
        maker.other_width = maker.random.pick(&[".w", ".d"]);
        let mut steps = vec![];
        while maker.next < len {
            maker.step();
            let items = std::mem::take(&mut maker.items);
            if !items.is_empty() {
                steps.push(Step { label: maker.next, items });
                maker.next += 1;
            }
        }
        Program { steps, start: random_start(random, guest.config(), mix.tame), guest: Arc::clone(guest) }
    }

    /// The program as bytes for `base`.
    pub fn bytes(&self, base: u64) -> Vec<u8> {
        let mut bytes = vec![];
        for word in self.words(base) {
            bytes.extend_from_slice(&word.to_le_bytes()[..length(word)]);
        }
        bytes
    }

    /// The same with zeros up to [`CODE_LEN`], so that nothing of an earlier program can be read.
    pub fn padded(&self, base: u64) -> Vec<u8> {
        let mut bytes = self.bytes(base);
        assert!(bytes.len() <= CODE_LEN);
        bytes.resize(CODE_LEN, 0);
        bytes
    }

    /// The same with a jump to `to` in place of the `ecall` at the end.
    pub fn bytes_then_jump(&self, base: u64, to: u64) -> Vec<u8> {
        let mut bytes = self.bytes(base);
        let end = bytes.len() - 4;
        let jump = IMM_J.put(0x6f, to.wrapping_sub(base + end as u64) as i64);
        bytes[end..].copy_from_slice(&jump.to_le_bytes());
        bytes
    }

    fn words(&self, base: u64) -> Vec<u32> {
        let (mut steps, mut items, mut at) = (vec![], vec![], base);
        for step in &self.steps {
            steps.push((step.label, at));
            for item in &step.items {
                items.push(at);
                at += length(item.word()) as u64;
            }
        }
        steps.push((END, at));
        let step_at = |label: usize| steps[steps.partition_point(|(l, _)| *l < label)].1;
        let word = |(i, item): (usize, &Item)| match item {
            Item::Word(word) => *word,
            Item::Jump { word, field, back, to, skew } => {
                field.put(*word, step_at(*to).wrapping_sub(items[i - back]) as i64 + skew)
            }
        };
        self.steps.iter().flat_map(|s| &s.items).enumerate().map(word).chain([ECALL]).collect()
    }

    /// The shortest program found by taking instructions out, and the plainest registers, that `fails` still is true for.
    pub fn minimised(mut self, mut fails: impl FnMut(&Program) -> bool) -> Program {
        let mut chunk = self.steps.len().div_ceil(2);
        while chunk > 0 {
            let (mut at, mut shrunk) = (0, false);
            while at < self.steps.len() {
                let mut shorter = self.clone();
                shorter.steps.drain(at..(at + chunk).min(self.steps.len()));
                if fails(&shorter) {
                    (self, shrunk) = (shorter, true);
                } else {
                    at += chunk;
                }
            }
            chunk = if chunk == 1 && shrunk { 1 } else { chunk / 2 };
        }
        for slot in 1..64 {
            let mut plainer = self.clone();
            plainer.start.set(Slot(slot), 0);
            if self.start.get(Slot(slot)) != 0 && fails(&plainer) {
                self = plainer;
            }
        }
        self
    }

    /// Disassembly and registers.
    pub fn describe(&self, base: u64) -> String {
        let mut out = registers(&*self.guest, &self.start);
        let mut pc = base;
        out.push('\n');
        for word in self.words(base) {
            let text = match self.guest.decode(word) {
                Some(def) => emu_frontend_riscv::disasm::disassemble(def, word, pc, self.guest.config().xlen),
                None => "illegal".to_owned(),
            };
            let digits = 2 * length(word);
            let _ = writeln!(out, "  {pc:#8x}: {word:0digits$x}{:pad$} {text}", "", pad = 8 - digits);
            pc += length(word) as u64;
        }
        out
    }
}

/// Bytes of the instruction that starts with these bits.
fn length(word: u32) -> usize {
    if word & 3 == 3 { 4 } else { 2 }
}

impl Item {
    fn word(&self) -> u32 {
        match self {
            Item::Word(word) | Item::Jump { word, .. } => *word,
        }
    }
}

/// Makes a program.
struct Maker<'a> {
    random: &'a mut Random,
    guest: &'a Riscv,
    tame: bool,
    wanted: Vec<&'static InsnDef>,
    base: Vec<&'static InsnDef>,
    /// Of the step that is being made.
    items: Vec<Item>,
    /// Its label.
    next: usize,
    /// A tame program has no `lr` and `sc` of this width.
    other_width: &'static str,
}

/// Names that end a program, or stop it for nothing, and are made rarely.
const RARE: &[&str] = &["ecall", "ebreak", "c.ebreak", "pause", "fence.i", "fence", "fence.tso"];
const ENDING: &[&str] = &["ecall", "ebreak", "c.ebreak"];

impl Maker<'_> {
    fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    /// Makes one instruction, with what it needs before it; nothing if none is found.
    fn step(&mut self) {
        if !self.tame && self.random.below(400) == 0 {
            return self.garbage();
        }
        if self.random.below(40) == 0 {
            let words = bytewise::sequence(self.random, &POINTERS, self.guest.config().xlen);
            return words.into_iter().for_each(|word| self.push(Item::Word(word)));
        }
        if self.random.below(40) == 0 {
            return self.branch_over();
        }
        let from_base = self.wanted.is_empty() || self.random.chance(25);
        let def = self.random.pick(if from_base { &self.base } else { &self.wanted });
        if RARE.contains(&def.name) && (!self.random.chance(8) || self.tame && !def.name.starts_with("fence")) {
            return;
        }
        if self.tame && def.needs == E::ZALRSC && def.name.ends_with(self.other_width) {
            return;
        }
        if ENDING.contains(&def.name) && !self.random.chance(15) {
            return;
        }
        let target = operands(def).find(|o| o.kind == Kind::Target);
        match (target, def.name) {
            (Some(operand), _) => self.direct(def, operand),
            (_, "jalr" | "c.jr" | "c.jalr") => self.indirect(def),
            _ => {
                if let Some(word) = self.plain(def) {
                    self.push(Item::Word(word));
                }
            }
        }
    }

    /// Bits that are no instruction.
    fn garbage(&mut self) {
        let long = self.guest.config().aligned_to_four();
        let word = self.random.next() as u32 | if long { 3 } else { 0 };
        let word = if length(word) == 2 { word & 0xffff } else { word };
        if self.guest.decode(word).is_none() {
            self.push(Item::Word(word));
        }
    }

    /// An encoding of `def` that keeps the rules of this module, if one is found soon.
    fn plain(&mut self, def: &'static InsnDef) -> Option<u32> {
        (0..100).find_map(|_| {
            let word = self.operands_chosen(def)?;
            let same = self.guest.decode(word).is_some_and(|d| std::ptr::eq(d, def));
            (same && self.allowed(def, word)).then_some(word)
        })
    }

    /// Random operands, some of them better chosen.
    fn operands_chosen(&mut self, def: &InsnDef) -> Option<u32> {
        let mut word = def.encode(self.random.next() as u32, self.guest.config())?;
        if def.rounds && self.random.chance(40) {
            word |= 7 << 12;
        }
        if operands(def).any(|o| o.kind == Kind::Csr) {
            let other = self.random.below(0x1000) as i64;
            let number = if self.tame || self.random.chance(97) { self.random.pick(&[1, 2, 3]) } else { other };
            word = CSR.put(word, number);
        }
        if def.pattern.bits == 32 && uses_memory(word) && (self.tame || self.random.chance(98)) {
            word = word & !(31 << 15) | self.random.pick(&POINTERS) << 15;
        }
        Some(word)
    }

    fn allowed(&mut self, def: &InsnDef, word: u32) -> bool {
        let full = expanded(def, word);
        let w = Word(full);
        if uses_memory(full) && !POINTERS.contains(&w.rs1()) && (self.tame || !self.random.chance(2)) {
            return false;
        }
        if operands(def).any(|o| o.kind == Kind::Csr) {
            return self.csr_allowed(full);
        }
        match destination(full) {
            Some(RA | T0 | JUMP | COUNTER) => false,
            Some(rd) if POINTERS.contains(&rd) => !self.tame && self.random.chance(1),
            _ => true,
        }
    }

    /// Counters differ from run to run. A tame program writes no reserved rounding mode.
    fn csr_allowed(&self, word: u32) -> bool {
        let (number, w) = (CSR.get(word) as u32, Word(word));
        let protected = [RA, T0, JUMP, COUNTER, 2, 8, 9, 15].contains(&w.rd());
        let immediate = word >> 14 & 1 == 1;
        let mode = if number == 2 { w.rs1() & 7 } else { w.rs1() >> 5 };
        let tame = number == 1 || immediate && w.bits(14, 12) == 5 && mode <= 4 || w.rs1() == 0;
        !(0xc00..0xca0).contains(&number) && !protected && (!self.tame || tame)
    }

    /// A label up to 25 steps away.
    fn target(&mut self, forward: bool) -> usize {
        let distance = 1 + self.random.below(25) as usize;
        if forward { self.next + distance } else { self.next.saturating_sub(distance) }
    }

    /// Leaves the program when the counter has come to its end.
    fn guard(&mut self) {
        self.push(Item::Word(0xfff0_0013 | COUNTER << 15 | COUNTER << 7));
        let bge_zero = 0x5063 | COUNTER << 20;
        self.push(Item::Jump { word: bge_zero, field: IMM_B, back: 0, to: END, skew: 0 });
    }

    /// A branch over an instruction or two that mostly have to do with what it compares.
    fn branch_over(&mut self) {
        let free: Vec<u32> = (6..26).filter(|r| !POINTERS.contains(r)).collect();
        let [a, b, c] = [(); 3].map(|()| self.random.pick(&free));
        let compared = self.random.pick(&[0, b]);
        let condition = self.random.pick(&[0, 1, 4, 5, 6, 7]);
        let word = 0x63 | condition << 12 | a << 15 | compared << 20;
        self.push(Item::Jump { word, field: IMM_B, back: 0, to: self.next + 1, skew: 0 });
        for _ in 0..self.random.pick(&[1, 1, 2]) {
            let (rd, rs) = (self.random.pick(&[a, b, c]), self.random.pick(&[a, b, c]));
            let small = self.random.below(64) as i64 - 32;
            let word = match self.random.below(6) {
                0 => addi(rd, 0, small),
                1 => addi(rd, rs, small),
                2 => add(rd, 0, rs),
                3 => sub(rd, 0, rs),
                4 if self.guest.config().xlen == 64 => addiw(rd, rs, small),
                _ => xor(rd, rd, rs),
            };
            self.push(Item::Word(word));
        }
    }

    /// A branch or jump to a label.
    fn direct(&mut self, def: &'static InsnDef, operand: &Operand) {
        let Some(word) = def.encode(self.random.next() as u32, self.guest.config()) else { return };
        let forward = self.random.chance(70);
        if !forward {
            self.guard();
        }
        let links = def.name == "jal";
        let rd = self.random.pick(&[0, RA, RA, T0, 12, 30]);
        let word = if links { word & !(31 << 7) | rd << 7 } else { word };
        let to = self.target(forward);
        // Two bytes beside the target: misaligned where instructions have four bytes.
        let odd = !self.tame && self.guest.config().aligned_to_four() && self.random.chance(2);
        self.push(Item::Jump { word, field: operand.field, back: 0, to, skew: if odd { 2 } else { 0 } });
    }

    /// A jump through a register: a return, a computed jump, or whatever the register holds.
    fn indirect(&mut self, def: &'static InsnDef) {
        self.guard();
        let rd = self.random.pick(&[0, RA, RA, T0, 12, 30]);
        let jalr =
            |rs1: u32| if def.name == "jalr" { 0x67 | rs1 << 15 | rd << 7 } else { def.pattern.value | rs1 << 7 };
        match self.random.below(10) {
            0 if !self.tame => {
                let rs1 = 1 + self.random.below(31) as u32;
                self.push(Item::Word(jalr(rs1)));
            }
            1..=4 => {
                let rs1 = self.random.pick(&[RA, T0]);
                self.push(Item::Word(jalr(rs1)));
            }
            _ => self.computed(def, jalr(JUMP)),
        }
    }

    fn computed(&mut self, def: &'static InsnDef, jump: u32) {
        let forward = self.random.chance(60);
        let to = self.target(forward);
        self.push(Item::Word(0x17 | JUMP << 7));
        // The lowest bit of the sum is ignored.
        let skew = self.random.below(2) as i64;
        if def.name == "jalr" {
            return self.push(Item::Jump { word: jump, field: IMM_I, back: 1, to, skew });
        }
        let addi = 0x13 | JUMP << 15 | JUMP << 7;
        self.push(Item::Jump { word: addi, field: IMM_I, back: 1, to, skew });
        self.push(Item::Word(jump));
    }
}

/// The 32-bit instruction that `word` is or abbreviates.
fn expanded(def: &InsnDef, word: u32) -> u32 {
    match def.action {
        Action::Lower(_) => word,
        Action::Expand(expand) => expand(word_of(word)),
    }
}

fn word_of(word: u32) -> Word {
    Word(word)
}

const LOAD: u32 = 0x03;
const LOAD_FP: u32 = 0x07;
const STORE: u32 = 0x23;
const STORE_FP: u32 = 0x27;
const AMO: u32 = 0x2f;
const OP_FP: u32 = 0x53;

fn uses_memory(word: u32) -> bool {
    matches!(word & 0x7f, LOAD | LOAD_FP | STORE | STORE_FP | AMO)
}

/// The integer register that a 32-bit instruction writes.
fn destination(word: u32) -> Option<u32> {
    let to_integer = matches!(word >> 27, 0b10100 | 0b11000 | 0b11100);
    match word & 0x7f {
        STORE | STORE_FP | LOAD_FP | 0x63 | 0x0f => None,
        0x43 | 0x47 | 0x4b | 0x4f => None,
        OP_FP if !to_integer => None,
        _ => Some(Word(word).rd()).filter(|rd| *rd != 0),
    }
}

impl Program {
    /// The number of instructions wanted of a program: mostly short ones, some long.
    pub fn random_len(random: &mut Random) -> usize {
        match random.below(10) {
            0 => 150 + random.below(250) as usize,
            1..=3 => 5 + random.below(15) as usize,
            _ => 20 + random.below(60) as usize,
        }
    }

    /// Is the program for this guest?
    pub fn guest(&self) -> &dyn Guest {
        &*self.guest
    }
}
