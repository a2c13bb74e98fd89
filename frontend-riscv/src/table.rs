//! The instructions: one line each, with the bits as in the manual's listings, and the index that finds a line.
//!
//! Where two lines match the same word, one is a special case of the other (`pause` of `fence`, `c.jr` of `c.mv`)
//! and the line with more fixed bits decides, even if it says that the encoding is reserved.

use crate::config::{Config, ExtSet as E};
use crate::fields::{SHAMT, Word};
use crate::lower::{LowerFn, a, i, m};
use emu_ir::pattern::Pattern;

/// Register widths that have an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Xlen {
    Any,
    Only32,
    Only64,
}

/// What a line of the table leads to.
#[derive(Clone, Copy)]
pub enum Action {
    /// The instruction's meaning.
    Lower(LowerFn),
    /// The 32-bit instruction that a 16-bit one abbreviates.
    Expand(fn(Word) -> u32),
}

/// One instruction.
#[derive(Clone, Copy)]
pub struct InsnDef {
    /// The manual's name, in lower case.
    pub name: &'static str,
    /// The extensions it needs, all of them.
    pub needs: E,
    /// The register widths that have it.
    pub xlen: Xlen,
    /// Its fixed bits.
    pub pattern: Pattern,
    /// Its operands in assembly, named as in [`crate::disasm::OPERANDS`].
    pub operands: &'static str,
    /// Has it a rounding mode in bits 14..12?
    pub rounds: bool,
    /// Is this encoding reserved, among those that match? (The second argument is XLEN.)
    reserved: fn(Word, u32) -> bool,
    /// Where it leads.
    pub action: Action,
}

impl InsnDef {
    /// Does a hart with this configuration have it?
    pub fn enabled(&self, config: &Config) -> bool {
        let width = match self.xlen {
            Xlen::Any => true,
            Xlen::Only32 => config.xlen == 32,
            Xlen::Only64 => config.xlen == 64,
        };
        width && config.has(self.needs)
    }

    /// Is `word`, which matches the pattern, reserved on a hart of that width? Rounding modes 5 and 6 are.
    pub fn is_reserved(&self, word: u32, xlen: u32) -> bool {
        let w = Word(word);
        self.rounds && matches!(w.rm(), 5 | 6) || (self.reserved)(w, xlen)
    }

    /// A legal encoding with operand bits from `random`, for program generators; `None` if those bits are reserved
    /// or make another instruction.
    pub fn encode(&self, random: u32, config: &Config) -> Option<u32> {
        let word = (random & !self.pattern.mask | self.pattern.value) & (u32::MAX >> (32 - self.pattern.bits));
        let special = |d: &InsnDef| {
            d.enabled(config) && d.name != self.name && d.pattern.matches(word) && self.pattern.covers(&d.pattern)
        };
        let legal = self.enabled(config) && !self.is_reserved(word, config.xlen) && !TABLE.iter().any(special);
        legal.then_some(word)
    }

    const fn rv32(self) -> InsnDef {
        InsnDef { xlen: Xlen::Only32, ..self }
    }

    const fn rv64(self) -> InsnDef {
        InsnDef { xlen: Xlen::Only64, ..self }
    }

    const fn reserved(self, reserved: fn(Word, u32) -> bool) -> InsnDef {
        InsnDef { reserved, ..self }
    }

    const fn rounds(self) -> InsnDef {
        InsnDef { rounds: true, ..self }
    }
}

const fn insn(name: &'static str, needs: E, bits: &str, operands: &'static str, lower: LowerFn) -> InsnDef {
    let action = Action::Lower(lower);
    InsnDef {
        name,
        needs,
        xlen: Xlen::Any,
        pattern: Pattern::new(bits),
        operands,
        rounds: false,
        reserved: never,
        action,
    }
}

fn never(_: Word, _: u32) -> bool {
    false
}

/// The sixth bit of a shift amount is reserved in RV32.
fn wide_shift(w: Word, xlen: u32) -> bool {
    SHAMT.get(w.0) >= xlen.into()
}

/// All instructions, in the order of the manual.
pub fn table() -> &'static [InsnDef] {
    TABLE
}

#[rustfmt::skip]
static TABLE: &[InsnDef] = &[
    // RV32I
    insn("lui",      E::I, "iiiiiiiiiiiiiiiiiiii ddddd 0110111",     "rd, upper",     i::lui),
    insn("auipc",    E::I, "iiiiiiiiiiiiiiiiiiii ddddd 0010111",     "rd, upper",     i::auipc),
    insn("jal",      E::I, "iiiiiiiiiiiiiiiiiiii ddddd 1101111",     "rd, jump",      i::jal),
    insn("jalr",     E::I, "iiiiiiiiiiii sssss 000 ddddd 1100111",   "rd, imm(rs1)",  i::jalr),
    insn("beq",      E::I, "iiiiiii ttttt sssss 000 iiiii 1100011",  "rs1, rs2, branch", i::beq),
    insn("bne",      E::I, "iiiiiii ttttt sssss 001 iiiii 1100011",  "rs1, rs2, branch", i::bne),
    insn("blt",      E::I, "iiiiiii ttttt sssss 100 iiiii 1100011",  "rs1, rs2, branch", i::blt),
    insn("bge",      E::I, "iiiiiii ttttt sssss 101 iiiii 1100011",  "rs1, rs2, branch", i::bge),
    insn("bltu",     E::I, "iiiiiii ttttt sssss 110 iiiii 1100011",  "rs1, rs2, branch", i::bltu),
    insn("bgeu",     E::I, "iiiiiii ttttt sssss 111 iiiii 1100011",  "rs1, rs2, branch", i::bgeu),
    insn("lb",       E::I, "iiiiiiiiiiii sssss 000 ddddd 0000011",   "rd, imm(rs1)",  i::lb),
    insn("lh",       E::I, "iiiiiiiiiiii sssss 001 ddddd 0000011",   "rd, imm(rs1)",  i::lh),
    insn("lw",       E::I, "iiiiiiiiiiii sssss 010 ddddd 0000011",   "rd, imm(rs1)",  i::lw),
    insn("lbu",      E::I, "iiiiiiiiiiii sssss 100 ddddd 0000011",   "rd, imm(rs1)",  i::lbu),
    insn("lhu",      E::I, "iiiiiiiiiiii sssss 101 ddddd 0000011",   "rd, imm(rs1)",  i::lhu),
    insn("sb",       E::I, "iiiiiii ttttt sssss 000 iiiii 0100011",  "rs2, simm(rs1)", i::sb),
    insn("sh",       E::I, "iiiiiii ttttt sssss 001 iiiii 0100011",  "rs2, simm(rs1)", i::sh),
    insn("sw",       E::I, "iiiiiii ttttt sssss 010 iiiii 0100011",  "rs2, simm(rs1)", i::sw),
    insn("addi",     E::I, "iiiiiiiiiiii sssss 000 ddddd 0010011",   "rd, rs1, imm",  i::addi),
    insn("slti",     E::I, "iiiiiiiiiiii sssss 010 ddddd 0010011",   "rd, rs1, imm",  i::slti),
    insn("sltiu",    E::I, "iiiiiiiiiiii sssss 011 ddddd 0010011",   "rd, rs1, imm",  i::sltiu),
    insn("xori",     E::I, "iiiiiiiiiiii sssss 100 ddddd 0010011",   "rd, rs1, imm",  i::xori),
    insn("ori",      E::I, "iiiiiiiiiiii sssss 110 ddddd 0010011",   "rd, rs1, imm",  i::ori),
    insn("andi",     E::I, "iiiiiiiiiiii sssss 111 ddddd 0010011",   "rd, rs1, imm",  i::andi),
    insn("slli",     E::I, "000000 iiiiii sssss 001 ddddd 0010011",  "rd, rs1, shamt", i::slli).reserved(wide_shift),
    insn("srli",     E::I, "000000 iiiiii sssss 101 ddddd 0010011",  "rd, rs1, shamt", i::srli).reserved(wide_shift),
    insn("srai",     E::I, "010000 iiiiii sssss 101 ddddd 0010011",  "rd, rs1, shamt", i::srai).reserved(wide_shift),
    insn("add",      E::I, "0000000 ttttt sssss 000 ddddd 0110011",  "rd, rs1, rs2",  i::add),
    insn("sub",      E::I, "0100000 ttttt sssss 000 ddddd 0110011",  "rd, rs1, rs2",  i::sub),
    insn("sll",      E::I, "0000000 ttttt sssss 001 ddddd 0110011",  "rd, rs1, rs2",  i::sll),
    insn("slt",      E::I, "0000000 ttttt sssss 010 ddddd 0110011",  "rd, rs1, rs2",  i::slt),
    insn("sltu",     E::I, "0000000 ttttt sssss 011 ddddd 0110011",  "rd, rs1, rs2",  i::sltu),
    insn("xor",      E::I, "0000000 ttttt sssss 100 ddddd 0110011",  "rd, rs1, rs2",  i::xor),
    insn("srl",      E::I, "0000000 ttttt sssss 101 ddddd 0110011",  "rd, rs1, rs2",  i::srl),
    insn("sra",      E::I, "0100000 ttttt sssss 101 ddddd 0110011",  "rd, rs1, rs2",  i::sra),
    insn("or",       E::I, "0000000 ttttt sssss 110 ddddd 0110011",  "rd, rs1, rs2",  i::or),
    insn("and",      E::I, "0000000 ttttt sssss 111 ddddd 0110011",  "rd, rs1, rs2",  i::and),
    insn("fence",    E::I, "ffff pppp ssss xxxxx 000 xxxxx 0001111", "pred, succ",    i::fence),
    insn("fence.tso", E::I, "1000 0011 0011 xxxxx 000 xxxxx 0001111", "",             i::fence_tso),
    insn("pause", E::ZIHINTPAUSE, "0000 0001 0000 00000 000 00000 0001111", "",        i::pause),
    insn("ecall",    E::I, "000000000000 00000 000 00000 1110011",   "",              i::ecall),
    insn("ebreak",   E::I, "000000000001 00000 000 00000 1110011",   "",              i::ebreak),
    // RV64I
    insn("lwu",      E::I, "iiiiiiiiiiii sssss 110 ddddd 0000011",   "rd, imm(rs1)",  i::lwu).rv64(),
    insn("ld",       E::I, "iiiiiiiiiiii sssss 011 ddddd 0000011",   "rd, imm(rs1)",  i::ld).rv64(),
    insn("sd",       E::I, "iiiiiii ttttt sssss 011 iiiii 0100011",  "rs2, simm(rs1)", i::sd).rv64(),
    insn("addiw",    E::I, "iiiiiiiiiiii sssss 000 ddddd 0011011",   "rd, rs1, imm",  i::addiw).rv64(),
    insn("slliw",    E::I, "0000000 iiiii sssss 001 ddddd 0011011",  "rd, rs1, shamtw", i::slliw).rv64(),
    insn("srliw",    E::I, "0000000 iiiii sssss 101 ddddd 0011011",  "rd, rs1, shamtw", i::srliw).rv64(),
    insn("sraiw",    E::I, "0100000 iiiii sssss 101 ddddd 0011011",  "rd, rs1, shamtw", i::sraiw).rv64(),
    insn("addw",     E::I, "0000000 ttttt sssss 000 ddddd 0111011",  "rd, rs1, rs2",  i::addw).rv64(),
    insn("subw",     E::I, "0100000 ttttt sssss 000 ddddd 0111011",  "rd, rs1, rs2",  i::subw).rv64(),
    insn("sllw",     E::I, "0000000 ttttt sssss 001 ddddd 0111011",  "rd, rs1, rs2",  i::sllw).rv64(),
    insn("srlw",     E::I, "0000000 ttttt sssss 101 ddddd 0111011",  "rd, rs1, rs2",  i::srlw).rv64(),
    insn("sraw",     E::I, "0100000 ttttt sssss 101 ddddd 0111011",  "rd, rs1, rs2",  i::sraw).rv64(),
    // Zifencei
    insn("fence.i", E::ZIFENCEI, "iiiiiiiiiiii sssss 001 ddddd 0001111", "",          i::fence_i),
    // M (and Zmmul)
    insn("mul",   E::ZMMUL, "0000001 ttttt sssss 000 ddddd 0110011", "rd, rs1, rs2",  m::mul),
    insn("mulh",  E::ZMMUL, "0000001 ttttt sssss 001 ddddd 0110011", "rd, rs1, rs2",  m::mulh),
    insn("mulhsu", E::ZMMUL, "0000001 ttttt sssss 010 ddddd 0110011", "rd, rs1, rs2", m::mulhsu),
    insn("mulhu", E::ZMMUL, "0000001 ttttt sssss 011 ddddd 0110011", "rd, rs1, rs2",  m::mulhu),
    insn("div",      E::M, "0000001 ttttt sssss 100 ddddd 0110011",  "rd, rs1, rs2",  m::div),
    insn("divu",     E::M, "0000001 ttttt sssss 101 ddddd 0110011",  "rd, rs1, rs2",  m::divu),
    insn("rem",      E::M, "0000001 ttttt sssss 110 ddddd 0110011",  "rd, rs1, rs2",  m::rem),
    insn("remu",     E::M, "0000001 ttttt sssss 111 ddddd 0110011",  "rd, rs1, rs2",  m::remu),
    insn("mulw",  E::ZMMUL, "0000001 ttttt sssss 000 ddddd 0111011", "rd, rs1, rs2",  m::mulw).rv64(),
    insn("divw",     E::M, "0000001 ttttt sssss 100 ddddd 0111011",  "rd, rs1, rs2",  m::divw).rv64(),
    insn("divuw",    E::M, "0000001 ttttt sssss 101 ddddd 0111011",  "rd, rs1, rs2",  m::divuw).rv64(),
    insn("remw",     E::M, "0000001 ttttt sssss 110 ddddd 0111011",  "rd, rs1, rs2",  m::remw).rv64(),
    insn("remuw",    E::M, "0000001 ttttt sssss 111 ddddd 0111011",  "rd, rs1, rs2",  m::remuw).rv64(),
    // A: Zalrsc, Zaamo
    insn("lr.w",      E::ZALRSC, "00010 ql 00000 sssss 010 ddddd 0101111", "rd, (rs1)",      a::lr),
    insn("sc.w",      E::ZALRSC, "00011 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::sc),
    insn("amoswap.w", E::ZAAMO,  "00001 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amoswap),
    insn("amoadd.w",  E::ZAAMO,  "00000 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amoadd),
    insn("amoxor.w",  E::ZAAMO,  "00100 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amoxor),
    insn("amoand.w",  E::ZAAMO,  "01100 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amoand),
    insn("amoor.w",   E::ZAAMO,  "01000 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amoor),
    insn("amomin.w",  E::ZAAMO,  "10000 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amomin),
    insn("amomax.w",  E::ZAAMO,  "10100 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amomax),
    insn("amominu.w", E::ZAAMO,  "11000 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amominu),
    insn("amomaxu.w", E::ZAAMO,  "11100 ql ttttt sssss 010 ddddd 0101111", "rd, rs2, (rs1)", a::amomaxu),
    insn("lr.d",      E::ZALRSC, "00010 ql 00000 sssss 011 ddddd 0101111", "rd, (rs1)",      a::lr).rv64(),
    insn("sc.d",      E::ZALRSC, "00011 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::sc).rv64(),
    insn("amoswap.d", E::ZAAMO,  "00001 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amoswap).rv64(),
    insn("amoadd.d",  E::ZAAMO,  "00000 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amoadd).rv64(),
    insn("amoxor.d",  E::ZAAMO,  "00100 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amoxor).rv64(),
    insn("amoand.d",  E::ZAAMO,  "01100 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amoand).rv64(),
    insn("amoor.d",   E::ZAAMO,  "01000 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amoor).rv64(),
    insn("amomin.d",  E::ZAAMO,  "10000 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amomin).rv64(),
    insn("amomax.d",  E::ZAAMO,  "10100 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amomax).rv64(),
    insn("amominu.d", E::ZAAMO,  "11000 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amominu).rv64(),
    insn("amomaxu.d", E::ZAAMO,  "11100 ql ttttt sssss 011 ddddd 0101111", "rd, rs2, (rs1)", a::amomaxu).rv64(),
];
