//! Random MIPS programs: a loop over random instructions of the decoder's table, with branches forward, and accesses to a small
//! area. The last word is a system call.

use super::program::{CODE, DATA};
use super::random::Random;
use super::state::{State, registers};
use emu_frontend_mips::disasm::{self, Kind};
use emu_frontend_mips::table::{Control, InsnDef, table};
use emu_frontend_mips::{FrMode, Mips};
use emu_ir::{CpuState, Exit, Guest, Slot, Type};
use std::sync::Arc;

/// Registers with a purpose: those that loads and stores start from, an index, where indirect jumps lead, the loop's counter.
const BASES: [u32; 2] = [16, 17];
const INDEX: u32 = 18;
const TARGET: u32 = 20;
const COUNTER: u32 = 21;

/// What is mapped of the data.
pub const AREA: std::ops::Range<u64> = DATA.start..DATA.start + 0x1000;

/// What adds to HI and LO.
const SUMS: [&str; 4] = ["madd", "maddu", "msub", "msubu"];

/// A program, and the registers that it starts with.
pub struct Program {
    pub guest: Arc<Mips>,
    pub words: Vec<u32>,
    pub start: CpuState,
}

/// What programs are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    All,
    /// The same with unaligned words in parts, and accesses near the end of what is mapped.
    Unaligned,
    /// Floating point in long blocks: results that others are computed from before anybody looks at them.
    Floats,
    /// What raises nothing, and is nowhere called unpredictable by the manual.
    Tame,
    /// The same without floating-point arithmetic.
    TameIntegers,
}

impl Mix {
    fn has(self, def: &InsnDef) -> bool {
        match self {
            Mix::All | Mix::Unaligned => true,
            Mix::Floats => is_float(def),
            Mix::Tame => !is_wild(def),
            Mix::TameIntegers => !is_wild(def) && !def.raises,
        }
    }
}

impl Program {
    pub fn random(random: &mut Random, guest: &Arc<Mips>, mix: Mix) -> Program {
        let tame = matches!(mix, Mix::Tame | Mix::TameIntegers);
        // With FR = 0 they are reserved, and end the program.
        let reserved = |d: &InsnDef| d.wide_fpu && guest.config().fr == FrMode::Pairs;
        // What is in HI and LO may be no sign-extended words.
        let open = |d: &InsnDef| tame && guest.config().bits() == 64 && SUMS.contains(&d.name);
        let fits = |d: &&InsnDef| d.enabled(guest.config()) && is_wanted(d) && !reserved(d) && !open(d) && mix.has(d);
        let defs: Vec<_> = table().iter().filter(fits).collect();
        let has_parts = mix == Mix::Unaligned && defs.iter().any(|def| def.name == "lwl");
        let len = 10 + random.below(60) as usize;
        let mut words = Vec::new();
        while words.len() < len {
            if has_parts && random.below(10) == 0 {
                words.extend(unaligned_loads(random, guest.config().bits()));
                continue;
            }
            let def = defs[random.below(defs.len() as u64) as usize];
            if !is_frequent(def) && random.below(8) != 0 {
                continue;
            }
            let word = word(random, guest, def, words.len(), len, tame);
            let branch = words.last().and_then(|w| guest.decode(*w)).is_some_and(|d| d.control != Control::None);
            if !(tame && branch && def.control != Control::None) {
                words.extend(word);
            }
        }
        if tame {
            // What counts the loop is in no branch-likely's slot, else it may not end.
            words.push(0);
        }
        // The loop's end: $s5 -= 1; bgtz $s5, start; whatever stands in the slot; syscall.
        let back = (-(words.len() as i32) - 2) as u32 & 0xffff;
        words.extend([0x26b5_ffff, 0x1ea0_0000 | back]);
        let slot = (0..100).find_map(|_| {
            let def = defs[random.below(defs.len() as u64) as usize];
            word(random, guest, def, 0, 1, tame).filter(|_| def.control == Control::None)
        });
        words.extend([slot.unwrap_or(0), 0x0000_000c]);
        let near_end = mix == Mix::Unaligned && random.below(4) == 0;
        Program { guest: Arc::clone(guest), start: start(random, guest, words.len(), near_end), words }
    }

    /// The code's bytes, in the guest's order.
    pub fn bytes(&self) -> Vec<u8> {
        let big = self.guest.config().big_endian;
        self.words.iter().flat_map(|w| if big { w.to_be_bytes() } else { w.to_le_bytes() }).collect()
    }

    pub fn text(&self) -> String {
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

/// What may trap, or what the manual leaves open.
fn is_wild(def: &InsnDef) -> bool {
    let traps = ["tge", "tlt", "teq", "tne"].iter().any(|name| def.name.starts_with(name));
    let overflows = ["add", "addi", "sub", "dadd", "daddi", "dsub"].contains(&def.name);
    // A division by zero; FCSR's Enables; what QEMU may answer to sc; where approximations may be; the upper
    // half of a single; control registers that are not there; the sign of a NaN, and Cause
    // after abs and neg, which QEMU does not count as arithmetic; pause in a slot; sra of what is
    // no sign-extended word.
    let divisions = ["div", "divu", "ddiv", "ddivu", "mod", "modu", "dmod", "dmodu"].contains(&def.name);
    let open = [
        "ctc1", "ll", "sc", "recip", "rsqrt", "mfhc1", "dmfc1", "cfc1", "nmadd", "nmsub", "abs", "neg", "pause", "sra",
    ]
    .iter()
    .any(|name| def.name.starts_with(name));
    traps || overflows || divisions || open || def.paired
}

/// May a bit field reach beyond the register (some that do not are among them)?
fn is_open_field(def: &InsnDef, word: u32) -> bool {
    let (last, first) = (word >> 11 & 31, word >> 6 & 31);
    match def.name.trim_start_matches('d').trim_end_matches(['m', 'u']) {
        "ext" => first + last > 31,
        "ins" => last < first,
        _ => false,
    }
}

/// Is it a sum of words with $zero, which QEMU takes for a move, of what may be no sign-extended word?
fn is_open_sum(def: &InsnDef, word: u32) -> bool {
    matches!(def.name, "addu" | "subu") && (word >> 16 & 31 == 0 || word >> 21 & 31 == 0)
}

/// Does it access memory at any address?
fn takes_bytes(def: &InsnDef) -> bool {
    matches!(def.name, "lb" | "lbu" | "sb" | "lwl" | "lwr" | "swl" | "swr" | "ldl" | "ldr" | "sdl" | "sdr" | "pref")
}

fn is_frequent(def: &InsnDef) -> bool {
    let traps = ["tge", "tlt", "teq", "tne"].iter().any(|name| def.name.starts_with(name));
    let jumps = ["j", "jal", "jr", "jr.hb", "jalr", "jalr.hb", "bc", "balc"].contains(&def.name);
    !traps
        && !jumps
        && !matches!(def.name, "ctc1" | "synci" | "add" | "addi" | "sub" | "dadd" | "daddi" | "dsub" | "ll" | "lld")
}

/// An encoding that stays inside the program and the data.
fn word(random: &mut Random, guest: &Mips, def: &'static InsnDef, at: usize, len: usize, tame: bool) -> Option<u32> {
    let mut word = random.next() as u32 & !def.pattern.mask | def.pattern.value;
    let memory = def.operands.contains("(rs)");
    for operand in disasm::operands(def) {
        let value = match (operand.kind, operand.name) {
            (Kind::Gpr, "rs") if memory => BASES[random.below(2) as usize].into(),
            (Kind::Gpr, "rt") if def.operands.contains("rt(rs)") => INDEX.into(),
            (Kind::Gpr, "rs") if def.name.starts_with("jr") || def.name.starts_with("jalr") => TARGET.into(),
            (Kind::Gpr, _) => random.below(16) as i64,
            (Kind::Double, _) => 2 * random.below(8) as i64,
            // What a single leaves in the register's upper half is open: doubles are never in the same registers.
            (Kind::Single, _) if tame => 2 * random.below(8) as i64 + 1,
            (Kind::Single, _) => random.below(16) as i64,
            (Kind::Imm(_), "imm" | "imm9") if memory && tame && !takes_bytes(def) => 8 * random.below(32) as i64 - 128,
            (Kind::Imm(_), "imm" | "imm9") if memory => random.below(256) as i64 - 128,
            // At most to where the loop counts: beyond it would never end.
            (Kind::Branch, _) => 4 * random.below((len - at).min(12) as u64) as i64,
            (Kind::Jump, _) => (CODE as usize + 4 * (at + 1 + random.below((len - at) as u64) as usize)) as i64,
            (Kind::Imm(_), "pc19" | "pc18") if tame && at < 4 => 0,
            (Kind::Imm(_), "pc19" | "pc18") => -8,
            _ => continue,
        };
        word = operand.field.put(word, value);
    }
    if tame && (def.name.starts_with("jr") || def.name.starts_with("jalr")) {
        word &= !(0x3c0 & !def.pattern.mask); // hints that are reserved
    }
    let open = tame && (is_open_field(def, word) || guest.config().bits() == 64 && is_open_sum(def, word));
    guest.decode(word).filter(|d| std::ptr::eq(*d, def) && !open).map(|_| word)
}

/// The left parts of some unaligned words or doublewords, then as many right ones, or the reverse, as compilers have them. Some have a flaw, so
/// that they are not the parts of one.
fn unaligned_loads(random: &mut Random, bits: u32) -> Vec<u32> {
    let (parts, last) = match bits == 64 && random.chance(50) {
        true => ([0x1a, 0x1b], 7),
        false => ([0x22, 0x26], 3),
    };
    let base = BASES[random.below(2) as usize];
    let (first, count) = (random.below(12) as u32, 1 + random.below(4) as u32);
    let start = random.below(200) as i32 - 100;
    let mut sides = [(parts[0], 0), (parts[1], last)];
    // Which of them is which the byte order says; the other way they are no parts of one word.
    if random.chance(50) {
        sides = [(parts[0], last), (parts[1], 0)];
    }
    if random.chance(50) {
        sides.swap(0, 1);
    }
    let mut words = Vec::new();
    for (part, offset) in sides {
        for n in 0..count {
            let flaw = i32::from(random.below(20) == 0);
            let imm = start + offset + n as i32 * (last + 1) + flaw;
            words.push(part << 26 | base << 21 | (first + n) << 16 | imm as u32 & 0xffff);
        }
    }
    words
}

/// Are both stops the fault of one of the parts of an unaligned word? Compiled code without precise faults, which loads them together, tells
/// neither the first that faults nor its instruction. `code` is what lies at `CODE`.
pub fn is_near_fault(expected: &State, found: &State, code: &[u32]) -> bool {
    let word = expected.pc.checked_sub(CODE).and_then(|at| code.get(at as usize / 4)).copied().unwrap_or(0);
    let is_part = matches!(word >> 26, 0x1a | 0x1b | 0x22 | 0x26);
    match (expected.exit, found.exit) {
        (Exit::Fault(a), Exit::Fault(b)) => {
            is_part && expected.pc.abs_diff(found.pc) <= 128 && a.addr.abs_diff(b.addr) < 16
        }
        _ => false,
    }
}

/// The registers at the start; `near_end` has one point to where the data ends.
fn start(random: &mut Random, guest: &Mips, len: usize, near_end: bool) -> CpuState {
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
    if near_end {
        cpu.set(Slot(17), AREA.end - random.below(128));
    }
    cpu.set(Slot(TARGET as u16), CODE + 4 * (len as u64 - 4));
    cpu
}
