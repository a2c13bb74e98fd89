//! The instructions: one line each, with the bits as in the manual's listings.
//!
//! Where two lines of one release match the same word, one is a special case of the other (`nop` of `sll`, `lui` of `aui`) and
//! the line with more fixed bits decides; or they have the same fixed bits and conditions on their register fields, of
//! which never two hold (Release 6 packed its compact branches so).
//!
//! Not here, and so reserved instructions: MIPS16 and microMIPS (`jalx`), DSP, MSA, MIPS-3D, MDMX, virtualisation, EVA, CRC, and
//! what single makers added.

use crate::config::{Config, Releases as R};
use crate::fields::Word;
use crate::lower::{LowerFn, alu, atomic, branch, cop0, fpu, fpu_convert, load_store, mul_div, paired, system};
use emu_ir::pattern::Pattern;

/// Is it a branch, and what stands after it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// No branch.
    None,
    /// A delay slot.
    Delayed,
    /// A forbidden slot.
    Compact,
    /// Nothing special.
    Alone,
}

/// One instruction.
#[derive(Clone, Copy)]
pub struct InsnDef {
    /// The manual's name, in lower case; `cond` in it stands for the condition in the low bits.
    pub name: &'static str,
    /// The releases that have it.
    pub releases: R,
    /// Its fixed bits.
    pub pattern: Pattern,
    /// Its operands in assembly, named as in [`crate::disasm::OPERANDS`].
    pub operands: &'static str,
    /// Is it a branch?
    pub control: Control,
    /// May it raise floating-point exceptions?
    pub raises: bool,
    /// Does it need 64-bit floating-point registers (`FR` = 1)?
    pub wide_fpu: bool,
    /// Is it one of paired singles?
    pub paired: bool,
    /// Must hold of the word beside its fixed bits.
    only: fn(Word) -> bool,
    /// Its meaning.
    pub lower: LowerFn,
}

impl InsnDef {
    /// Does a processor with this configuration have it?
    pub fn enabled(&self, config: &Config) -> bool {
        self.releases.contains(config.release) && (config.paired_single || !self.paired)
    }

    /// Does the word match?
    #[inline]
    pub fn matches(&self, word: u32) -> bool {
        self.pattern.matches(word) && (self.only)(Word(word))
    }

    /// An encoding with operand bits from `random`, for program generators; `None` if those bits are reserved or make
    /// another instruction.
    pub fn encode(&self, random: u32, config: &Config) -> Option<u32> {
        let word = random & !self.pattern.mask | self.pattern.value;
        find(word, config).filter(|def| std::ptr::eq(*def, self)).map(|_| word)
    }

    const fn delayed(self) -> InsnDef {
        InsnDef { control: Control::Delayed, ..self }
    }

    const fn compact(self) -> InsnDef {
        InsnDef { control: Control::Compact, ..self }
    }

    const fn alone(self) -> InsnDef {
        InsnDef { control: Control::Alone, ..self }
    }

    const fn only(self, only: fn(Word) -> bool) -> InsnDef {
        InsnDef { only, ..self }
    }

    const fn raises(self) -> InsnDef {
        InsnDef { raises: true, ..self }
    }

    const fn paired(self) -> InsnDef {
        InsnDef { wide_fpu: true, paired: true, ..self }
    }

    const fn wide(self) -> InsnDef {
        InsnDef { wide_fpu: true, ..self }
    }
}

/// The line for a word, found the slow way.
pub fn find(word: u32, config: &Config) -> Option<&'static InsnDef> {
    let matching = TABLE.iter().filter(|d| d.enabled(config) && d.matches(word));
    matching.max_by_key(|d| d.pattern.mask.count_ones())
}

const fn insn(name: &'static str, releases: R, bits: &str, operands: &'static str, lower: LowerFn) -> InsnDef {
    InsnDef {
        name,
        releases,
        pattern: Pattern::new(bits),
        operands,
        control: Control::None,
        raises: false,
        wide_fpu: false,
        paired: false,
        only: always,
        lower,
    }
}

fn always(_: Word) -> bool {
    true
}

fn rt_not_0(w: Word) -> bool {
    w.rt() != 0
}

fn rs_not_0(w: Word) -> bool {
    w.rs() != 0
}

fn same(w: Word) -> bool {
    w.rs() == w.rt() && w.rt() != 0
}

fn different(w: Word) -> bool {
    w.rs() != w.rt() && w.rs() != 0 && w.rt() != 0
}

/// 0 < rs < rt.
fn ascending(w: Word) -> bool {
    0 < w.rs() && w.rs() < w.rt()
}

/// rs >= rt.
fn descending(w: Word) -> bool {
    w.rs() >= w.rt()
}

/// Release 6 reserves the upper hints of PREF.
fn hint_exists(w: Word) -> bool {
    w.rt() < 24
}

/// The conditions of CMP.cond.fmt that there are.
fn cmp_exists(w: Word) -> bool {
    matches!(w.bits(4, 0), 0..=15 | 17..=19 | 25..=27)
}

/// All instructions, in the order of the opcode tables.
pub fn table() -> &'static [InsnDef] {
    TABLE
}

const ALL: R = R::ALL;
const P6: R = R::ALL.but(R::R6);
const R6: R = R::R6;
const R6W: R = R::R6.both(R::WIDE);
const II: R = R::II;
const II6: R = R::II.but(R::R6);
const III: R = R::III;
const III6: R = R::III.but(R::R6);
const IV6: R = R::IV.but(R::R6);
const R16: R = R::R1.but(R::R6);
const R1W6: R = R::R1.both(R::WIDE).but(R::R6);
const R2: R = R::R2;
const R2W: R = R::R2.both(R::WIDE);
const F3: R = R::FPU64;
const F4: R = R::FPU4;
const F46: R = R::FPU4.but(R::R6);
const F56: R = R::FPU5.but(R::R6);

#[rustfmt::skip]
static TABLE: &[InsnDef] = &[
    // SPECIAL
    insn("nop",     ALL,  "000000 00000 00000 00000 00000 000000", "",             system::nop),
    insn("ssnop",   ALL,  "000000 00000 00000 00000 00001 000000", "",             system::nop),
    insn("ehb",     ALL,  "000000 00000 00000 00000 00011 000000", "",             system::nop),
    insn("pause",   R2,   "000000 00000 00000 00000 00101 000000", "",             system::pause),
    insn("sll",     ALL,  "000000 00000 ttttt ddddd aaaaa 000000", "rd, rt, sa",   alu::sll),
    insn("movf",    IV6,  "000000 sssss ccc00 ddddd 00000 000001", "rd, rs, cc18", alu::movf),
    insn("movt",    IV6,  "000000 sssss ccc01 ddddd 00000 000001", "rd, rs, cc18", alu::movt),
    insn("srl",     ALL,  "000000 00000 ttttt ddddd aaaaa 000010", "rd, rt, sa",   alu::srl),
    insn("rotr",    R2,   "000000 00001 ttttt ddddd aaaaa 000010", "rd, rt, sa",   alu::rotr),
    insn("sra",     ALL,  "000000 00000 ttttt ddddd aaaaa 000011", "rd, rt, sa",   alu::sra),
    insn("sllv",    ALL,  "000000 sssss ttttt ddddd 00000 000100", "rd, rt, rs",   alu::sllv),
    insn("lsa",     R6,   "000000 sssss ttttt ddddd 000aa 000101", "rd, rs, rt, scale", alu::lsa),
    insn("srlv",    ALL,  "000000 sssss ttttt ddddd 00000 000110", "rd, rt, rs",   alu::srlv),
    insn("rotrv",   R2,   "000000 sssss ttttt ddddd 00001 000110", "rd, rt, rs",   alu::rotrv),
    insn("srav",    ALL,  "000000 sssss ttttt ddddd 00000 000111", "rd, rt, rs",   alu::srav),
    insn("jr",      P6,   "000000 sssss 00000 00000 hhhhh 001000", "rs",           branch::jalr).delayed(),
    insn("jr.hb",   R16,  "000000 sssss 00000 00000 10000 001000", "rs",           branch::jalr).delayed(),
    insn("jalr",    ALL,  "000000 sssss 00000 ddddd hhhhh 001001", "rd, rs",       branch::jalr).delayed(),
    insn("jalr.hb", R::R1, "000000 sssss 00000 ddddd 10000 001001", "rd, rs",      branch::jalr).delayed(),
    insn("movz",    IV6,  "000000 sssss ttttt ddddd 00000 001010", "rd, rs, rt",   alu::movz),
    insn("movn",    IV6,  "000000 sssss ttttt ddddd 00000 001011", "rd, rs, rt",   alu::movn),
    insn("syscall", ALL,  "000000 cccccccccccccccccccc 001100",    "code20",       system::syscall),
    insn("break",   ALL,  "000000 cccccccccccccccccccc 001101",    "break1, break2", system::break_),
    // Linux emulates SYNC on a MIPS I processor.
    insn("sync",    ALL,  "000000 00000 00000 00000 aaaaa 001111", "sa",           atomic::sync),
    insn("mfhi",    P6,   "000000 00000 00000 ddddd 00000 010000", "rd",           mul_div::mfhi),
    insn("mthi",    P6,   "000000 sssss 00000 00000 00000 010001", "rs",           mul_div::mthi),
    insn("mflo",    P6,   "000000 00000 00000 ddddd 00000 010010", "rd",           mul_div::mflo),
    insn("mtlo",    P6,   "000000 sssss 00000 00000 00000 010011", "rs",           mul_div::mtlo),
    insn("clz",     R6,   "000000 sssss 00000 ddddd 00001 010000", "rd, rs",       alu::clz),
    insn("clo",     R6,   "000000 sssss 00000 ddddd 00001 010001", "rd, rs",       alu::clo),
    insn("dclz",    R6W,  "000000 sssss 00000 ddddd 00001 010010", "rd, rs",       alu::dclz),
    insn("dclo",    R6W,  "000000 sssss 00000 ddddd 00001 010011", "rd, rs",       alu::dclo),
    insn("dsllv",   III,  "000000 sssss ttttt ddddd 00000 010100", "rd, rt, rs",   alu::dsllv),
    insn("dlsa",    R6W,  "000000 sssss ttttt ddddd 000aa 010101", "rd, rs, rt, scale", alu::dlsa),
    insn("dsrlv",   III,  "000000 sssss ttttt ddddd 00000 010110", "rd, rt, rs",   alu::dsrlv),
    insn("drotrv",  R2W,  "000000 sssss ttttt ddddd 00001 010110", "rd, rt, rs",   alu::drotrv),
    insn("dsrav",   III,  "000000 sssss ttttt ddddd 00000 010111", "rd, rt, rs",   alu::dsrav),
    insn("mult",    P6,   "000000 sssss ttttt 00000 00000 011000", "rs, rt",       mul_div::mult),
    insn("multu",   P6,   "000000 sssss ttttt 00000 00000 011001", "rs, rt",       mul_div::multu),
    insn("div",     P6,   "000000 sssss ttttt 00000 00000 011010", "zero, rs, rt", mul_div::div),
    insn("divu",    P6,   "000000 sssss ttttt 00000 00000 011011", "zero, rs, rt", mul_div::divu),
    insn("dmult",   III6, "000000 sssss ttttt 00000 00000 011100", "rs, rt",       mul_div::dmult),
    insn("dmultu",  III6, "000000 sssss ttttt 00000 00000 011101", "rs, rt",       mul_div::dmultu),
    insn("ddiv",    III6, "000000 sssss ttttt 00000 00000 011110", "zero, rs, rt", mul_div::ddiv),
    insn("ddivu",   III6, "000000 sssss ttttt 00000 00000 011111", "zero, rs, rt", mul_div::ddivu),
    insn("mul",     R6,   "000000 sssss ttttt ddddd 00010 011000", "rd, rs, rt",   mul_div::mul),
    insn("muh",     R6,   "000000 sssss ttttt ddddd 00011 011000", "rd, rs, rt",   mul_div::muh),
    insn("mulu",    R6,   "000000 sssss ttttt ddddd 00010 011001", "rd, rs, rt",   mul_div::mul),
    insn("muhu",    R6,   "000000 sssss ttttt ddddd 00011 011001", "rd, rs, rt",   mul_div::muhu),
    insn("div",     R6,   "000000 sssss ttttt ddddd 00010 011010", "rd, rs, rt",   mul_div::div6),
    insn("mod",     R6,   "000000 sssss ttttt ddddd 00011 011010", "rd, rs, rt",   mul_div::mod6),
    insn("divu",    R6,   "000000 sssss ttttt ddddd 00010 011011", "rd, rs, rt",   mul_div::divu6),
    insn("modu",    R6,   "000000 sssss ttttt ddddd 00011 011011", "rd, rs, rt",   mul_div::modu6),
    insn("dmul",    R6W,  "000000 sssss ttttt ddddd 00010 011100", "rd, rs, rt",   mul_div::dmul),
    insn("dmuh",    R6W,  "000000 sssss ttttt ddddd 00011 011100", "rd, rs, rt",   mul_div::dmuh),
    insn("dmulu",   R6W,  "000000 sssss ttttt ddddd 00010 011101", "rd, rs, rt",   mul_div::dmul),
    insn("dmuhu",   R6W,  "000000 sssss ttttt ddddd 00011 011101", "rd, rs, rt",   mul_div::dmuhu),
    insn("ddiv",    R6W,  "000000 sssss ttttt ddddd 00010 011110", "rd, rs, rt",   mul_div::ddiv6),
    insn("dmod",    R6W,  "000000 sssss ttttt ddddd 00011 011110", "rd, rs, rt",   mul_div::dmod6),
    insn("ddivu",   R6W,  "000000 sssss ttttt ddddd 00010 011111", "rd, rs, rt",   mul_div::ddivu6),
    insn("dmodu",   R6W,  "000000 sssss ttttt ddddd 00011 011111", "rd, rs, rt",   mul_div::dmodu6),
    insn("add",     ALL,  "000000 sssss ttttt ddddd 00000 100000", "rd, rs, rt",   alu::add),
    insn("addu",    ALL,  "000000 sssss ttttt ddddd 00000 100001", "rd, rs, rt",   alu::addu),
    insn("sub",     ALL,  "000000 sssss ttttt ddddd 00000 100010", "rd, rs, rt",   alu::sub),
    insn("subu",    ALL,  "000000 sssss ttttt ddddd 00000 100011", "rd, rs, rt",   alu::subu),
    insn("and",     ALL,  "000000 sssss ttttt ddddd 00000 100100", "rd, rs, rt",   alu::and),
    insn("or",      ALL,  "000000 sssss ttttt ddddd 00000 100101", "rd, rs, rt",   alu::or),
    insn("xor",     ALL,  "000000 sssss ttttt ddddd 00000 100110", "rd, rs, rt",   alu::xor),
    insn("nor",     ALL,  "000000 sssss ttttt ddddd 00000 100111", "rd, rs, rt",   alu::nor),
    insn("slt",     ALL,  "000000 sssss ttttt ddddd 00000 101010", "rd, rs, rt",   alu::slt),
    insn("sltu",    ALL,  "000000 sssss ttttt ddddd 00000 101011", "rd, rs, rt",   alu::sltu),
    insn("dadd",    III,  "000000 sssss ttttt ddddd 00000 101100", "rd, rs, rt",   alu::dadd),
    insn("daddu",   III,  "000000 sssss ttttt ddddd 00000 101101", "rd, rs, rt",   alu::daddu),
    insn("dsub",    III,  "000000 sssss ttttt ddddd 00000 101110", "rd, rs, rt",   alu::dsub),
    insn("dsubu",   III,  "000000 sssss ttttt ddddd 00000 101111", "rd, rs, rt",   alu::dsubu),
    insn("tge",     II,   "000000 sssss ttttt cccccccccc 110000",  "rs, rt, code10", system::tge),
    insn("tgeu",    II,   "000000 sssss ttttt cccccccccc 110001",  "rs, rt, code10", system::tgeu),
    insn("tlt",     II,   "000000 sssss ttttt cccccccccc 110010",  "rs, rt, code10", system::tlt),
    insn("tltu",    II,   "000000 sssss ttttt cccccccccc 110011",  "rs, rt, code10", system::tltu),
    insn("teq",     II,   "000000 sssss ttttt cccccccccc 110100",  "rs, rt, code10", system::teq),
    insn("seleqz",  R6,   "000000 sssss ttttt ddddd 00000 110101", "rd, rs, rt",   alu::seleqz),
    insn("tne",     II,   "000000 sssss ttttt cccccccccc 110110",  "rs, rt, code10", system::tne),
    insn("selnez",  R6,   "000000 sssss ttttt ddddd 00000 110111", "rd, rs, rt",   alu::selnez),
    insn("dsll",    III,  "000000 00000 ttttt ddddd aaaaa 111000", "rd, rt, sa",   alu::dsll),
    insn("dsrl",    III,  "000000 00000 ttttt ddddd aaaaa 111010", "rd, rt, sa",   alu::dsrl),
    insn("drotr",   R2W,  "000000 00001 ttttt ddddd aaaaa 111010", "rd, rt, sa",   alu::drotr),
    insn("dsra",    III,  "000000 00000 ttttt ddddd aaaaa 111011", "rd, rt, sa",   alu::dsra),
    insn("dsll32",  III,  "000000 00000 ttttt ddddd aaaaa 111100", "rd, rt, sa",   alu::dsll),
    insn("dsrl32",  III,  "000000 00000 ttttt ddddd aaaaa 111110", "rd, rt, sa",   alu::dsrl),
    insn("drotr32", R2W,  "000000 00001 ttttt ddddd aaaaa 111110", "rd, rt, sa",   alu::drotr),
    insn("dsra32",  III,  "000000 00000 ttttt ddddd aaaaa 111111", "rd, rt, sa",   alu::dsra),
    // REGIMM
    insn("bltz",    ALL,  "000001 sssss 00000 iiiiiiiiiiiiiiii", "rs, branch", branch::bltz).delayed(),
    insn("bgez",    ALL,  "000001 sssss 00001 iiiiiiiiiiiiiiii", "rs, branch", branch::bgez).delayed(),
    insn("bltzl",   II6,  "000001 sssss 00010 iiiiiiiiiiiiiiii", "rs, branch", branch::bltzl).delayed(),
    insn("bgezl",   II6,  "000001 sssss 00011 iiiiiiiiiiiiiiii", "rs, branch", branch::bgezl).delayed(),
    insn("dahi",    R6W,  "000001 sssss 00110 iiiiiiiiiiiiiiii", "rs, rs, uimm", alu::dahi),
    insn("tgei",    II6,  "000001 sssss 01000 iiiiiiiiiiiiiiii", "rs, imm",    system::tgei),
    insn("tgeiu",   II6,  "000001 sssss 01001 iiiiiiiiiiiiiiii", "rs, imm",    system::tgeiu),
    insn("tlti",    II6,  "000001 sssss 01010 iiiiiiiiiiiiiiii", "rs, imm",    system::tlti),
    insn("tltiu",   II6,  "000001 sssss 01011 iiiiiiiiiiiiiiii", "rs, imm",    system::tltiu),
    insn("teqi",    II6,  "000001 sssss 01100 iiiiiiiiiiiiiiii", "rs, imm",    system::teqi),
    insn("tnei",    II6,  "000001 sssss 01110 iiiiiiiiiiiiiiii", "rs, imm",    system::tnei),
    insn("bltzal",  P6,   "000001 sssss 10000 iiiiiiiiiiiiiiii", "rs, branch", branch::bltzal).delayed(),
    insn("bgezal",  P6,   "000001 sssss 10001 iiiiiiiiiiiiiiii", "rs, branch", branch::bgezal).delayed(),
    insn("nal",     R6,   "000001 00000 10000 iiiiiiiiiiiiiiii", "branch",     branch::bltzal).delayed(),
    insn("bal",     R6,   "000001 00000 10001 iiiiiiiiiiiiiiii", "branch",     branch::bgezal).delayed(),
    insn("bltzall", II6,  "000001 sssss 10010 iiiiiiiiiiiiiiii", "rs, branch", branch::bltzall).delayed(),
    insn("bgezall", II6,  "000001 sssss 10011 iiiiiiiiiiiiiiii", "rs, branch", branch::bgezall).delayed(),
    insn("sigrie",  R6,   "000001 00000 10111 cccccccccccccccc", "uimm",       system::sigrie),
    insn("dati",    R6W,  "000001 sssss 11110 iiiiiiiiiiiiiiii", "rs, rs, uimm", alu::dati),
    insn("synci",   R2,   "000001 sssss 11111 iiiiiiiiiiiiiiii", "imm(rs)",    system::synci),
    // Jumps, branches, immediates
    insn("j",       ALL,  "000010 iiiiiiiiiiiiiiiiiiiiiiiiii",   "jump",           branch::j).delayed(),
    insn("jal",     ALL,  "000011 iiiiiiiiiiiiiiiiiiiiiiiiii",   "jump",           branch::jal).delayed(),
    insn("beq",     ALL,  "000100 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::beq).delayed(),
    insn("bne",     ALL,  "000101 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bne).delayed(),
    insn("blez",    ALL,  "000110 sssss 00000 iiiiiiiiiiiiiiii", "rs, branch",     branch::blez).delayed(),
    insn("bgtz",    ALL,  "000111 sssss 00000 iiiiiiiiiiiiiiii", "rs, branch",     branch::bgtz).delayed(),
    insn("blezalc", R6,   "000110 00000 ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::blezalc).compact().only(rt_not_0),
    insn("bgezalc", R6,   "000110 sssss ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::bgezalc).compact().only(same),
    insn("bgeuc",   R6,   "000110 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bgeuc).compact().only(different),
    insn("bgtzalc", R6,   "000111 00000 ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::bgtzalc).compact().only(rt_not_0),
    insn("bltzalc", R6,   "000111 sssss ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::bltzalc).compact().only(same),
    insn("bltuc",   R6,   "000111 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bltuc).compact().only(different),
    insn("addi",    P6,   "001000 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, imm",    alu::addi),
    insn("bovc",    R6,   "001000 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bovc).compact().only(descending),
    insn("beqzalc", R6,   "001000 00000 ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::beqzalc).compact().only(rt_not_0),
    insn("beqc",    R6,   "001000 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::beqc).compact().only(ascending),
    insn("addiu",   ALL,  "001001 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, imm",    alu::addiu),
    insn("slti",    ALL,  "001010 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, imm",    alu::slti),
    insn("sltiu",   ALL,  "001011 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, imm",    alu::sltiu),
    insn("andi",    ALL,  "001100 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, uimm",   alu::andi),
    insn("ori",     ALL,  "001101 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, uimm",   alu::ori),
    insn("xori",    ALL,  "001110 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, uimm",   alu::xori),
    insn("lui",     ALL,  "001111 00000 ttttt iiiiiiiiiiiiiiii", "rt, uimm",       alu::lui),
    insn("aui",     R6,   "001111 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, imm",    alu::aui),
    insn("beql",    II6,  "010100 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::beql).delayed(),
    insn("bnel",    II6,  "010101 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bnel).delayed(),
    insn("blezl",   II6,  "010110 sssss 00000 iiiiiiiiiiiiiiii", "rs, branch",     branch::blezl).delayed(),
    insn("bgtzl",   II6,  "010111 sssss 00000 iiiiiiiiiiiiiiii", "rs, branch",     branch::bgtzl).delayed(),
    insn("blezc",   R6,   "010110 00000 ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::blezc).compact().only(rt_not_0),
    insn("bgezc",   R6,   "010110 sssss ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::bgezc).compact().only(same),
    insn("bgec",    R6,   "010110 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bgec).compact().only(different),
    insn("bgtzc",   R6,   "010111 00000 ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::bgtzc).compact().only(rt_not_0),
    insn("bltzc",   R6,   "010111 sssss ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::bltzc).compact().only(same),
    insn("bltc",    R6,   "010111 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bltc).compact().only(different),
    insn("daddi",   III6, "011000 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, imm",    alu::daddi),
    insn("bnvc",    R6,   "011000 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bnvc).compact().only(descending),
    insn("bnezalc", R6,   "011000 00000 ttttt iiiiiiiiiiiiiiii", "rt, branch",     branch::bnezalc).compact().only(rt_not_0),
    insn("bnec",    R6,   "011000 sssss ttttt iiiiiiiiiiiiiiii", "rs, rt, branch", branch::bnec).compact().only(ascending),
    insn("daddiu",  III,  "011001 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, imm",    alu::daddiu),
    insn("daui",    R6W,  "011101 sssss ttttt iiiiiiiiiiiiiiii", "rt, rs, imm",    alu::daui).only(rs_not_0),
    // SPECIAL2
    insn("madd",    R16,  "011100 sssss ttttt 00000 00000 000000", "rs, rt",     mul_div::madd),
    insn("maddu",   R16,  "011100 sssss ttttt 00000 00000 000001", "rs, rt",     mul_div::maddu),
    insn("mul",     R16,  "011100 sssss ttttt ddddd 00000 000010", "rd, rs, rt", mul_div::mul),
    insn("msub",    R16,  "011100 sssss ttttt 00000 00000 000100", "rs, rt",     mul_div::msub),
    insn("msubu",   R16,  "011100 sssss ttttt 00000 00000 000101", "rs, rt",     mul_div::msubu),
    // rt is to be the same as rd, and is not looked at.
    insn("clz",     R16,  "011100 sssss ttttt ddddd 00000 100000", "rd, rs",     alu::clz),
    insn("clo",     R16,  "011100 sssss ttttt ddddd 00000 100001", "rd, rs",     alu::clo),
    insn("dclz",    R1W6, "011100 sssss ttttt ddddd 00000 100100", "rd, rs",     alu::dclz),
    insn("dclo",    R1W6, "011100 sssss ttttt ddddd 00000 100101", "rd, rs",     alu::dclo),
    // SPECIAL3
    insn("ext",      R2,  "011111 sssss ttttt mmmmm lllll 000000", "rt, rs, sa, size",     alu::ext),
    insn("dextm",    R2W, "011111 sssss ttttt mmmmm lllll 000001", "rt, rs, sa, size33",   alu::dextm),
    insn("dextu",    R2W, "011111 sssss ttttt mmmmm lllll 000010", "rt, rs, pos32, size",  alu::dextu),
    insn("dext",     R2W, "011111 sssss ttttt mmmmm lllll 000011", "rt, rs, sa, size",     alu::dext),
    insn("ins",      R2,  "011111 sssss ttttt mmmmm lllll 000100", "rt, rs, sa, sizei",    alu::ins),
    insn("dinsm",    R2W, "011111 sssss ttttt mmmmm lllll 000101", "rt, rs, sa, sizei33",  alu::dinsm),
    insn("dinsu",    R2W, "011111 sssss ttttt mmmmm lllll 000110", "rt, rs, pos32, sizei", alu::dinsu),
    insn("dins",     R2W, "011111 sssss ttttt mmmmm lllll 000111", "rt, rs, sa, sizei",    alu::dins),
    insn("bitswap",  R6,  "011111 00000 ttttt ddddd 00000 100000", "rd, rt",               alu::bitswap),
    insn("wsbh",     R2,  "011111 00000 ttttt ddddd 00010 100000", "rd, rt",               alu::wsbh),
    insn("align",    R6,  "011111 sssss ttttt ddddd 010bb 100000", "rd, rs, rt, bytes",    alu::align),
    insn("seb",      R2,  "011111 00000 ttttt ddddd 10000 100000", "rd, rt",               alu::seb),
    insn("seh",      R2,  "011111 00000 ttttt ddddd 11000 100000", "rd, rt",               alu::seh),
    insn("dbitswap", R6W, "011111 00000 ttttt ddddd 00000 100100", "rd, rt",               alu::dbitswap),
    insn("dsbh",     R2W, "011111 00000 ttttt ddddd 00010 100100", "rd, rt",               alu::dsbh),
    insn("dshd",     R2W, "011111 00000 ttttt ddddd 00101 100100", "rd, rt",               alu::dshd),
    insn("dalign",   R6W, "011111 sssss ttttt ddddd 01bbb 100100", "rd, rs, rt, bytes8",   alu::dalign),
    insn("cache",    R6,  "011111 sssss ooooo iiiiiiiii0 100101",  "op, imm9(rs)",         cop0::privileged),
    insn("sc",       R6,  "011111 sssss ttttt iiiiiiiii0 100110",  "rt, imm9(rs)",         atomic::sc6),
    insn("scwp",     R6,  "011111 sssss ttttt ddddd 00001 100110", "rt, rd, (rs)",         atomic::scwp),
    insn("scd",      R6W, "011111 sssss ttttt iiiiiiiii0 100111",  "rt, imm9(rs)",         atomic::scd6),
    insn("pref",     R6,  "011111 sssss ooooo iiiiiiiii0 110101",  "op, imm9(rs)",         load_store::pref).only(hint_exists),
    insn("ll",       R6,  "011111 sssss ttttt iiiiiiiii0 110110",  "rt, imm9(rs)",         atomic::ll6),
    insn("llwp",     R6,  "011111 sssss ttttt ddddd 00001 110110", "rt, rd, (rs)",         atomic::llwp),
    insn("lld",      R6W, "011111 sssss ttttt iiiiiiiii0 110111",  "rt, imm9(rs)",         atomic::lld6),
    // Linux emulates RDHWR on processors without it.
    insn("rdhwr",    ALL, "011111 00000 ttttt ddddd 00lll 111011", "rt, hw",               system::rdhwr),
    // Loads and stores
    insn("lb",    ALL,    "100000 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::lb),
    insn("lh",    ALL,    "100001 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::lh),
    insn("lwl",   P6,     "100010 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::lwl),
    insn("lw",    ALL,    "100011 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::lw),
    insn("lbu",   ALL,    "100100 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::lbu),
    insn("lhu",   ALL,    "100101 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::lhu),
    insn("lwr",   P6,     "100110 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::lwr),
    insn("lwu",   III,    "100111 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::lwu),
    insn("sb",    ALL,    "101000 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::sb),
    insn("sh",    ALL,    "101001 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::sh),
    insn("swl",   P6,     "101010 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::swl),
    insn("sw",    ALL,    "101011 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::sw),
    insn("ldl",   III6,   "011010 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::ldl),
    insn("ldr",   III6,   "011011 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::ldr),
    insn("sdl",   III6,   "101100 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::sdl),
    insn("sdr",   III6,   "101101 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::sdr),
    insn("swr",   P6,     "101110 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::swr),
    insn("cache", R16,    "101111 sssss ooooo iiiiiiiiiiiiiiii", "op, imm(rs)", cop0::privileged),
    // Linux emulates LL and SC on a MIPS I processor.
    insn("ll",    P6,     "110000 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", atomic::ll),
    insn("lwc1",  ALL,    "110001 sssss ttttt iiiiiiiiiiiiiiii", "f_t, imm(rs)", fpu::lwc1),
    insn("lwc2",  P6,     "110010 sssss ttttt iiiiiiiiiiiiiiii", "c_t, imm(rs)", cop0::cop2),
    insn("pref",  IV6,    "110011 sssss ooooo iiiiiiiiiiiiiiii", "op, imm(rs)", load_store::pref),
    insn("lwc3",  R::OLD, "110011 sssss ttttt iiiiiiiiiiiiiiii", "c_t, imm(rs)", cop0::cop3),
    insn("lld",   III6,   "110100 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", atomic::lld),
    insn("ldc1",  II,     "110101 sssss ttttt iiiiiiiiiiiiiiii", "d_t, imm(rs)", fpu::ldc1),
    insn("ldc2",  II6,    "110110 sssss ttttt iiiiiiiiiiiiiiii", "c_t, imm(rs)", cop0::cop2),
    insn("ld",    III,    "110111 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::ld),
    insn("sc",    P6,     "111000 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", atomic::sc),
    insn("swc1",  ALL,    "111001 sssss ttttt iiiiiiiiiiiiiiii", "f_t, imm(rs)", fpu::swc1),
    insn("swc2",  P6,     "111010 sssss ttttt iiiiiiiiiiiiiiii", "c_t, imm(rs)", cop0::cop2),
    insn("swc3",  R::OLD, "111011 sssss ttttt iiiiiiiiiiiiiiii", "c_t, imm(rs)", cop0::cop3),
    insn("scd",   III6,   "111100 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", atomic::scd),
    insn("sdc1",  II,     "111101 sssss ttttt iiiiiiiiiiiiiiii", "d_t, imm(rs)", fpu::sdc1),
    insn("sdc2",  II6,    "111110 sssss ttttt iiiiiiiiiiiiiiii", "c_t, imm(rs)", cop0::cop2),
    insn("sd",    III,    "111111 sssss ttttt iiiiiiiiiiiiiiii", "rt, imm(rs)", load_store::sd),
    // Release 6: compact branches, addresses relative to the pc
    insn("bc",      R6,  "110010 iiiiiiiiiiiiiiiiiiiiiiiiii",   "branch26",     branch::bc).alone(),
    insn("balc",    R6,  "111010 iiiiiiiiiiiiiiiiiiiiiiiiii",   "branch26",     branch::balc).alone(),
    insn("jic",     R6,  "110110 00000 ttttt iiiiiiiiiiiiiiii", "rt, imm",      branch::jic).alone(),
    insn("beqzc",   R6,  "110110 sssss iiiiiiiiiiiiiiiiiiiii",  "rs, branch21", branch::beqzc).compact().only(rs_not_0),
    insn("jialc",   R6,  "111110 00000 ttttt iiiiiiiiiiiiiiii", "rt, imm",      branch::jic).alone(),
    insn("bnezc",   R6,  "111110 sssss iiiiiiiiiiiiiiiiiiiii",  "rs, branch21", branch::beqzc).compact().only(rs_not_0),
    insn("addiupc", R6,  "111011 sssss 00 iiiiiiiiiiiiiiiiiii", "rs, pc19",     alu::addiupc),
    insn("lwpc",    R6,  "111011 sssss 01 iiiiiiiiiiiiiiiiiii", "rs, pc19",     load_store::lwpc),
    insn("lwupc",   R6W, "111011 sssss 10 iiiiiiiiiiiiiiiiiii", "rs, pc19",     load_store::lwupc),
    insn("ldpc",    R6W, "111011 sssss 110 iiiiiiiiiiiiiiiiii", "rs, pc18",     load_store::ldpc),
    insn("auipc",   R6,  "111011 sssss 11110 iiiiiiiiiiiiiiii", "rs, imm",      alu::auipc),
    insn("aluipc",  R6,  "111011 sssss 11111 iiiiiiiiiiiiiiii", "rs, imm",      alu::aluipc),
    // COP0: whatever it is, a user program may not. Those with names are what a listing of a kernel shows.
    insn("mfc0",  ALL,   "010000 00000 ttttt ddddd 00000000lll",   "rt, c0, sel", cop0::privileged),
    insn("dmfc0", III,   "010000 00001 ttttt ddddd 00000000lll",   "rt, c0, sel", cop0::privileged),
    insn("mtc0",  ALL,   "010000 00100 ttttt ddddd 00000000lll",   "rt, c0, sel", cop0::privileged),
    insn("dmtc0", III,   "010000 00101 ttttt ddddd 00000000lll",   "rt, c0, sel", cop0::privileged),
    insn("di",    R2,    "010000 01011 ttttt 01100 00000 000000",  "rt",          cop0::privileged),
    insn("ei",    R2,    "010000 01011 ttttt 01100 00000 100000",  "rt",          cop0::privileged),
    insn("tlbr",  ALL,   "010000 1 0000000000000000000 000001",    "",            cop0::privileged),
    insn("tlbwi", ALL,   "010000 1 0000000000000000000 000010",    "",            cop0::privileged),
    insn("tlbwr", ALL,   "010000 1 0000000000000000000 000110",    "",            cop0::privileged),
    insn("tlbp",  ALL,   "010000 1 0000000000000000000 001000",    "",            cop0::privileged),
    insn("eret",  R::II, "010000 1 0000000000000000000 011000",    "",            cop0::privileged),
    insn("deret", R::R1, "010000 1 0000000000000000000 011111",    "",            cop0::privileged),
    insn("wait",  R::R1, "010000 1 ccccccccccccccccccc 100000",    "code19",      cop0::privileged),
    insn("cop0",  ALL,   "010000 cccccccccccccccccccccccccc",      "code26",      cop0::privileged),
    insn("cop2",  ALL,   "010010 cccccccccccccccccccccccccc",      "code26",      cop0::cop2),
    insn("cop3",  R::OLD, "010011 cccccccccccccccccccccccccc",     "code26",      cop0::cop3),
    // COP1: moves and branches
    insn("mfc1",   ALL, "010001 00000 ttttt fffff 00000000000",   "rt, f_s",       fpu::mfc1),
    insn("dmfc1",  III, "010001 00001 ttttt fffff 00000000000",   "rt, d_s",       fpu::dmfc1),
    insn("cfc1",   ALL, "010001 00010 ttttt fffff 00000000000",   "rt, fcr",       fpu::cfc1),
    insn("mfhc1",  R2,  "010001 00011 ttttt fffff 00000000000",   "rt, d_s",       fpu::mfhc1),
    insn("mtc1",   ALL, "010001 00100 ttttt fffff 00000000000",   "rt, f_s",       fpu::mtc1),
    insn("dmtc1",  III, "010001 00101 ttttt fffff 00000000000",   "rt, d_s",       fpu::dmtc1),
    insn("ctc1",   ALL, "010001 00110 ttttt fffff 00000000000",   "rt, fcr",       fpu::ctc1),
    insn("mthc1",  R2,  "010001 00111 ttttt fffff 00000000000",   "rt, d_s",       fpu::mthc1),
    insn("bc1f",   P6,  "010001 01000 ccc00 iiiiiiiiiiiiiiii",    "cc18, branch",  branch::bc1).delayed(),
    insn("bc1t",   P6,  "010001 01000 ccc01 iiiiiiiiiiiiiiii",    "cc18, branch",  branch::bc1).delayed(),
    insn("bc1fl",  II6, "010001 01000 ccc10 iiiiiiiiiiiiiiii",    "cc18, branch",  branch::bc1).delayed(),
    insn("bc1tl",  II6, "010001 01000 ccc11 iiiiiiiiiiiiiiii",    "cc18, branch",  branch::bc1).delayed(),
    insn("bc1eqz", R6,  "010001 01001 ttttt iiiiiiiiiiiiiiii",    "f_t, branch",   branch::bc1_register).delayed(),
    insn("bc1nez", R6,  "010001 01101 ttttt iiiiiiiiiiiiiiii",    "f_t, branch",   branch::bc1_register).delayed(),
    // COP1.S
    insn("add.s",     ALL, "010001 10000 ttttt sssss ddddd 000000", "f_d, f_s, f_t", fpu::add).raises(),
    insn("sub.s",     ALL, "010001 10000 ttttt sssss ddddd 000001", "f_d, f_s, f_t", fpu::sub).raises(),
    insn("mul.s",     ALL, "010001 10000 ttttt sssss ddddd 000010", "f_d, f_s, f_t", fpu::mul).raises(),
    insn("div.s",     ALL, "010001 10000 ttttt sssss ddddd 000011", "f_d, f_s, f_t", fpu::div).raises(),
    insn("sqrt.s",    II,  "010001 10000 00000 sssss ddddd 000100", "f_d, f_s",      fpu::sqrt).raises(),
    insn("abs.s",     ALL, "010001 10000 00000 sssss ddddd 000101", "f_d, f_s",      fpu::abs).raises(),
    insn("mov.s",     ALL, "010001 10000 00000 sssss ddddd 000110", "f_d, f_s",      fpu::mov),
    insn("neg.s",     ALL, "010001 10000 00000 sssss ddddd 000111", "f_d, f_s",      fpu::neg).raises(),
    insn("round.l.s", F3,  "010001 10000 00000 sssss ddddd 001000", "d_d, f_s",      fpu_convert::round).raises().wide(),
    insn("trunc.l.s", F3,  "010001 10000 00000 sssss ddddd 001001", "d_d, f_s",      fpu_convert::round).raises().wide(),
    insn("ceil.l.s",  F3,  "010001 10000 00000 sssss ddddd 001010", "d_d, f_s",      fpu_convert::round).raises().wide(),
    insn("floor.l.s", F3,  "010001 10000 00000 sssss ddddd 001011", "d_d, f_s",      fpu_convert::round).raises().wide(),
    insn("round.w.s", II,  "010001 10000 00000 sssss ddddd 001100", "f_d, f_s",      fpu_convert::round).raises(),
    insn("trunc.w.s", II,  "010001 10000 00000 sssss ddddd 001101", "f_d, f_s",      fpu_convert::round).raises(),
    insn("ceil.w.s",  II,  "010001 10000 00000 sssss ddddd 001110", "f_d, f_s",      fpu_convert::round).raises(),
    insn("floor.w.s", II,  "010001 10000 00000 sssss ddddd 001111", "f_d, f_s",      fpu_convert::round).raises(),
    insn("sel.s",     R6,  "010001 10000 ttttt sssss ddddd 010000", "f_d, f_s, f_t", fpu::sel),
    insn("movf.s",    IV6, "010001 10000 ccc00 sssss ddddd 010001", "f_d, f_s, cc18", fpu::movcf),
    insn("movt.s",    IV6, "010001 10000 ccc01 sssss ddddd 010001", "f_d, f_s, cc18", fpu::movcf),
    insn("movz.s",    IV6, "010001 10000 ttttt sssss ddddd 010010", "f_d, f_s, rt",  fpu::movz),
    insn("movn.s",    IV6, "010001 10000 ttttt sssss ddddd 010011", "f_d, f_s, rt",  fpu::movz),
    insn("seleqz.s",  R6,  "010001 10000 ttttt sssss ddddd 010100", "f_d, f_s, f_t", fpu::seleqz),
    insn("recip.s",   F4,  "010001 10000 00000 sssss ddddd 010101", "f_d, f_s",      fpu::recip).raises(),
    insn("rsqrt.s",   F4,  "010001 10000 00000 sssss ddddd 010110", "f_d, f_s",      fpu::rsqrt).raises(),
    insn("selnez.s",  R6,  "010001 10000 ttttt sssss ddddd 010111", "f_d, f_s, f_t", fpu::seleqz),
    insn("maddf.s",   R6,  "010001 10000 ttttt sssss ddddd 011000", "f_d, f_s, f_t", fpu::maddf).raises(),
    insn("msubf.s",   R6,  "010001 10000 ttttt sssss ddddd 011001", "f_d, f_s, f_t", fpu::msubf).raises(),
    insn("rint.s",    R6,  "010001 10000 00000 sssss ddddd 011010", "f_d, f_s",      fpu::rint).raises(),
    insn("class.s",   R6,  "010001 10000 00000 sssss ddddd 011011", "f_d, f_s",      fpu::class),
    insn("min.s",     R6,  "010001 10000 ttttt sssss ddddd 011100", "f_d, f_s, f_t", fpu::min).raises(),
    insn("mina.s",    R6,  "010001 10000 ttttt sssss ddddd 011101", "f_d, f_s, f_t", fpu::mina).raises(),
    insn("max.s",     R6,  "010001 10000 ttttt sssss ddddd 011110", "f_d, f_s, f_t", fpu::max).raises(),
    insn("maxa.s",    R6,  "010001 10000 ttttt sssss ddddd 011111", "f_d, f_s, f_t", fpu::maxa).raises(),
    insn("cvt.d.s",   ALL, "010001 10000 00000 sssss ddddd 100001", "d_d, f_s",      fpu_convert::cvt_float).raises(),
    insn("cvt.w.s",   ALL, "010001 10000 00000 sssss ddddd 100100", "f_d, f_s",      fpu_convert::cvt_w).raises(),
    insn("cvt.l.s",   F3,  "010001 10000 00000 sssss ddddd 100101", "d_d, f_s",      fpu_convert::cvt_l).raises().wide(),
    insn("cvt.ps.s",  F56, "010001 10000 ttttt sssss ddddd 100110", "d_d, f_s, f_t", paired::cvt_ps_s).paired(),
    insn("c.cond.s",  P6,  "010001 10000 ttttt sssss ccc00 11nnnn", "cc8, f_s, f_t", fpu::c_cond).raises(),
    insn("cmp.cond.s", R6, "010001 10100 ttttt sssss ddddd 0nnnnn", "f_d, f_s, f_t", fpu::cmp_cond).raises().only(cmp_exists),
    // COP1.D
    insn("add.d",     ALL, "010001 10001 ttttt sssss ddddd 000000", "d_d, d_s, d_t", fpu::add).raises(),
    insn("sub.d",     ALL, "010001 10001 ttttt sssss ddddd 000001", "d_d, d_s, d_t", fpu::sub).raises(),
    insn("mul.d",     ALL, "010001 10001 ttttt sssss ddddd 000010", "d_d, d_s, d_t", fpu::mul).raises(),
    insn("div.d",     ALL, "010001 10001 ttttt sssss ddddd 000011", "d_d, d_s, d_t", fpu::div).raises(),
    insn("sqrt.d",    II,  "010001 10001 00000 sssss ddddd 000100", "d_d, d_s",      fpu::sqrt).raises(),
    insn("abs.d",     ALL, "010001 10001 00000 sssss ddddd 000101", "d_d, d_s",      fpu::abs).raises(),
    insn("mov.d",     ALL, "010001 10001 00000 sssss ddddd 000110", "d_d, d_s",      fpu::mov),
    insn("neg.d",     ALL, "010001 10001 00000 sssss ddddd 000111", "d_d, d_s",      fpu::neg).raises(),
    insn("round.l.d", F3,  "010001 10001 00000 sssss ddddd 001000", "d_d, d_s",      fpu_convert::round).raises().wide(),
    insn("trunc.l.d", F3,  "010001 10001 00000 sssss ddddd 001001", "d_d, d_s",      fpu_convert::round).raises().wide(),
    insn("ceil.l.d",  F3,  "010001 10001 00000 sssss ddddd 001010", "d_d, d_s",      fpu_convert::round).raises().wide(),
    insn("floor.l.d", F3,  "010001 10001 00000 sssss ddddd 001011", "d_d, d_s",      fpu_convert::round).raises().wide(),
    insn("round.w.d", II,  "010001 10001 00000 sssss ddddd 001100", "f_d, d_s",      fpu_convert::round).raises(),
    insn("trunc.w.d", II,  "010001 10001 00000 sssss ddddd 001101", "f_d, d_s",      fpu_convert::round).raises(),
    insn("ceil.w.d",  II,  "010001 10001 00000 sssss ddddd 001110", "f_d, d_s",      fpu_convert::round).raises(),
    insn("floor.w.d", II,  "010001 10001 00000 sssss ddddd 001111", "f_d, d_s",      fpu_convert::round).raises(),
    insn("sel.d",     R6,  "010001 10001 ttttt sssss ddddd 010000", "d_d, d_s, d_t", fpu::sel),
    insn("movf.d",    IV6, "010001 10001 ccc00 sssss ddddd 010001", "d_d, d_s, cc18", fpu::movcf),
    insn("movt.d",    IV6, "010001 10001 ccc01 sssss ddddd 010001", "d_d, d_s, cc18", fpu::movcf),
    insn("movz.d",    IV6, "010001 10001 ttttt sssss ddddd 010010", "d_d, d_s, rt",  fpu::movz),
    insn("movn.d",    IV6, "010001 10001 ttttt sssss ddddd 010011", "d_d, d_s, rt",  fpu::movz),
    insn("seleqz.d",  R6,  "010001 10001 ttttt sssss ddddd 010100", "d_d, d_s, d_t", fpu::seleqz),
    insn("recip.d",   F4,  "010001 10001 00000 sssss ddddd 010101", "d_d, d_s",      fpu::recip).raises(),
    insn("rsqrt.d",   F4,  "010001 10001 00000 sssss ddddd 010110", "d_d, d_s",      fpu::rsqrt).raises(),
    insn("selnez.d",  R6,  "010001 10001 ttttt sssss ddddd 010111", "d_d, d_s, d_t", fpu::seleqz),
    insn("maddf.d",   R6,  "010001 10001 ttttt sssss ddddd 011000", "d_d, d_s, d_t", fpu::maddf).raises(),
    insn("msubf.d",   R6,  "010001 10001 ttttt sssss ddddd 011001", "d_d, d_s, d_t", fpu::msubf).raises(),
    insn("rint.d",    R6,  "010001 10001 00000 sssss ddddd 011010", "d_d, d_s",      fpu::rint).raises(),
    insn("class.d",   R6,  "010001 10001 00000 sssss ddddd 011011", "d_d, d_s",      fpu::class),
    insn("min.d",     R6,  "010001 10001 ttttt sssss ddddd 011100", "d_d, d_s, d_t", fpu::min).raises(),
    insn("mina.d",    R6,  "010001 10001 ttttt sssss ddddd 011101", "d_d, d_s, d_t", fpu::mina).raises(),
    insn("max.d",     R6,  "010001 10001 ttttt sssss ddddd 011110", "d_d, d_s, d_t", fpu::max).raises(),
    insn("maxa.d",    R6,  "010001 10001 ttttt sssss ddddd 011111", "d_d, d_s, d_t", fpu::maxa).raises(),
    insn("cvt.s.d",   ALL, "010001 10001 00000 sssss ddddd 100000", "f_d, d_s",      fpu_convert::cvt_float).raises(),
    insn("cvt.w.d",   ALL, "010001 10001 00000 sssss ddddd 100100", "f_d, d_s",      fpu_convert::cvt_w).raises(),
    insn("cvt.l.d",   F3,  "010001 10001 00000 sssss ddddd 100101", "d_d, d_s",      fpu_convert::cvt_l).raises().wide(),
    insn("c.cond.d",  P6,  "010001 10001 ttttt sssss ccc00 11nnnn", "cc8, d_s, d_t", fpu::c_cond).raises(),
    insn("cmp.cond.d", R6, "010001 10101 ttttt sssss ddddd 0nnnnn", "d_d, d_s, d_t", fpu::cmp_cond).raises().only(cmp_exists),
    // COP1.W and COP1.L
    insn("cvt.s.w",   ALL, "010001 10100 00000 sssss ddddd 100000", "f_d, f_s",      fpu_convert::cvt_from_w).raises(),
    insn("cvt.d.w",   ALL, "010001 10100 00000 sssss ddddd 100001", "d_d, f_s",      fpu_convert::cvt_from_w).raises(),
    insn("cvt.s.l",   F3,  "010001 10101 00000 sssss ddddd 100000", "f_d, d_s",      fpu_convert::cvt_from_l).raises().wide(),
    insn("cvt.d.l",   F3,  "010001 10101 00000 sssss ddddd 100001", "d_d, d_s",      fpu_convert::cvt_from_l).raises().wide(),
    // COP1.PS
    insn("add.ps",    F56, "010001 10110 ttttt sssss ddddd 000000", "d_d, d_s, d_t", paired::add).raises().paired(),
    insn("sub.ps",    F56, "010001 10110 ttttt sssss ddddd 000001", "d_d, d_s, d_t", paired::sub).raises().paired(),
    insn("mul.ps",    F56, "010001 10110 ttttt sssss ddddd 000010", "d_d, d_s, d_t", paired::mul).raises().paired(),
    insn("abs.ps",    F56, "010001 10110 00000 sssss ddddd 000101", "d_d, d_s",      paired::abs).raises().paired(),
    insn("mov.ps",    F56, "010001 10110 00000 sssss ddddd 000110", "d_d, d_s",      paired::mov).paired(),
    insn("neg.ps",    F56, "010001 10110 00000 sssss ddddd 000111", "d_d, d_s",      paired::neg).raises().paired(),
    insn("movf.ps",   F56, "010001 10110 ccc00 sssss ddddd 010001", "d_d, d_s, cc18", paired::movcf).paired(),
    insn("movt.ps",   F56, "010001 10110 ccc01 sssss ddddd 010001", "d_d, d_s, cc18", paired::movcf).paired(),
    insn("movz.ps",   F56, "010001 10110 ttttt sssss ddddd 010010", "d_d, d_s, rt",  paired::movz).paired(),
    insn("movn.ps",   F56, "010001 10110 ttttt sssss ddddd 010011", "d_d, d_s, rt",  paired::movz).paired(),
    insn("cvt.s.pu",  F56, "010001 10110 00000 sssss ddddd 100000", "f_d, d_s",      paired::cvt_s_pu).paired(),
    insn("cvt.s.pl",  F56, "010001 10110 00000 sssss ddddd 101000", "f_d, d_s",      paired::cvt_s_pl).paired(),
    insn("pll.ps",    F56, "010001 10110 ttttt sssss ddddd 101100", "d_d, d_s, d_t", paired::pair).paired(),
    insn("plu.ps",    F56, "010001 10110 ttttt sssss ddddd 101101", "d_d, d_s, d_t", paired::pair).paired(),
    insn("pul.ps",    F56, "010001 10110 ttttt sssss ddddd 101110", "d_d, d_s, d_t", paired::pair).paired(),
    insn("puu.ps",    F56, "010001 10110 ttttt sssss ddddd 101111", "d_d, d_s, d_t", paired::pair).paired(),
    insn("c.cond.ps", F56, "010001 10110 ttttt sssss ccc00 11nnnn", "cc8, d_s, d_t", paired::c_cond).raises().paired(),
    // COP1X
    insn("lwxc1",    F46, "010011 sssss ttttt 00000 ddddd 000000", "f_d, rt(rs)",   fpu::lwxc1),
    insn("ldxc1",    F46, "010011 sssss ttttt 00000 ddddd 000001", "d_d, rt(rs)",   fpu::ldxc1),
    insn("luxc1",    F56, "010011 sssss ttttt 00000 ddddd 000101", "d_d, rt(rs)",   fpu::luxc1).wide(),
    insn("swxc1",    F46, "010011 sssss ttttt fffff 00000 001000", "f_s, rt(rs)",   fpu::swxc1),
    insn("sdxc1",    F46, "010011 sssss ttttt fffff 00000 001001", "d_s, rt(rs)",   fpu::sdxc1),
    insn("suxc1",    F56, "010011 sssss ttttt fffff 00000 001101", "d_s, rt(rs)",   fpu::suxc1).wide(),
    insn("prefx",    F46, "010011 sssss ttttt ooooo 00000 001111", "opx, rt(rs)",   load_store::pref),
    insn("alnv.ps",  F56, "010011 sssss ttttt fffff ddddd 011110", "d_d, d_s, d_t, rs", paired::alnv).paired(),
    insn("madd.s",   F46, "010011 rrrrr ttttt sssss ddddd 100000", "f_d, f_r, f_s, f_t", fpu::madd).raises(),
    insn("madd.d",   F46, "010011 rrrrr ttttt sssss ddddd 100001", "d_d, d_r, d_s, d_t", fpu::madd).raises(),
    insn("madd.ps",  F56, "010011 rrrrr ttttt sssss ddddd 100110", "d_d, d_r, d_s, d_t", paired::madd).raises().paired(),
    insn("msub.s",   F46, "010011 rrrrr ttttt sssss ddddd 101000", "f_d, f_r, f_s, f_t", fpu::msub).raises(),
    insn("msub.d",   F46, "010011 rrrrr ttttt sssss ddddd 101001", "d_d, d_r, d_s, d_t", fpu::msub).raises(),
    insn("msub.ps",  F56, "010011 rrrrr ttttt sssss ddddd 101110", "d_d, d_r, d_s, d_t", paired::msub).raises().paired(),
    insn("nmadd.s",  F46, "010011 rrrrr ttttt sssss ddddd 110000", "f_d, f_r, f_s, f_t", fpu::nmadd).raises(),
    insn("nmadd.d",  F46, "010011 rrrrr ttttt sssss ddddd 110001", "d_d, d_r, d_s, d_t", fpu::nmadd).raises(),
    insn("nmadd.ps", F56, "010011 rrrrr ttttt sssss ddddd 110110", "d_d, d_r, d_s, d_t", paired::nmadd).raises().paired(),
    insn("nmsub.s",  F46, "010011 rrrrr ttttt sssss ddddd 111000", "f_d, f_r, f_s, f_t", fpu::nmsub).raises(),
    insn("nmsub.d",  F46, "010011 rrrrr ttttt sssss ddddd 111001", "d_d, d_r, d_s, d_t", fpu::nmsub).raises(),
    insn("nmsub.ps", F56, "010011 rrrrr ttttt sssss ddddd 111110", "d_d, d_r, d_s, d_t", paired::nmsub).raises().paired(),
];
