//! The instructions: one line each, with the bits as in the manual's listings, and the index that finds a line.
//!
//! Where two lines match the same word, one is a special case of the other (`pause` of `fence`, `c.jr` of `c.mv`)
//! and the line with more fixed bits decides, even if it says that the encoding is reserved.

use crate::config::{Config, ExtSet as E};
use crate::fields::{C_ADDI4SPN, C_IMM, C_SHAMT, SHAMT, Word};
use crate::lower::{Flow, LowerFn, a, b, c, d, f, i, m, zicond, zicsr};
use emu_ir::pattern::Pattern;

/// Register widths that have an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Xlen {
    Any,
    Only32,
    Only64,
}

impl Xlen {
    /// Is that width among them?
    pub fn includes(self, xlen: u32) -> bool {
        match self {
            Xlen::Any => true,
            Xlen::Only32 => xlen == 32,
            Xlen::Only64 => xlen == 64,
        }
    }
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
    reserved: Option<fn(Word, u32) -> bool>,
    /// Where it leads.
    pub action: Action,
}

impl InsnDef {
    /// Does a hart with this configuration have it?
    pub fn enabled(&self, config: &Config) -> bool {
        self.xlen.includes(config.xlen) && config.has(self.needs)
    }

    /// Is `word`, which matches the pattern, reserved on a hart of that width? Rounding modes 5 and 6 are.
    pub fn is_reserved(&self, word: u32, xlen: u32) -> bool {
        let w = Word(word);
        self.rounds && matches!(w.rm(), 5 | 6) || self.reserved.is_some_and(|reserved| reserved(w, xlen))
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
        InsnDef { reserved: Some(reserved), ..self }
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
        reserved: None,
        action,
    }
}

const fn c16(name: &'static str, needs: E, bits: &str, operands: &'static str, expand: fn(Word) -> u32) -> InsnDef {
    InsnDef { action: Action::Expand(expand), ..insn(name, needs, bits, operands, |_, _| Flow::Illegal) }
}

/// The sixth bit of a shift amount is reserved in RV32.
fn wide_shift(w: Word, xlen: u32) -> bool {
    SHAMT.get(w.0) >= xlen.into()
}

/// So it is in the 16-bit shifts.
fn wide_c_shift(w: Word, xlen: u32) -> bool {
    C_SHAMT.get(w.0) >= xlen.into()
}

fn rd_zero(w: Word, _: u32) -> bool {
    w.rd() == 0
}

/// The bits of the immediate are those of [`C_IMM`], in whatever order.
fn imm_zero(w: Word, _: u32) -> bool {
    C_IMM.get(w.0) == 0
}

fn offset_zero(w: Word, _: u32) -> bool {
    C_ADDI4SPN.get(w.0) == 0
}

/// All instructions, in the order of the manual.
pub fn table() -> &'static [InsnDef] {
    TABLE
}

#[rustfmt::skip]
static TABLE: &[InsnDef] = &[
    // RV32I
    insn("lui",       E::I, "iiiiiiiiiiiiiiiiiiii ddddd 0110111",     "rd, upper",        i::lui),
    insn("auipc",     E::I, "iiiiiiiiiiiiiiiiiiii ddddd 0010111",     "rd, upper",        i::auipc),
    insn("jal",       E::I, "iiiiiiiiiiiiiiiiiiii ddddd 1101111",     "rd, jump",         i::jal),
    insn("jalr",      E::I, "iiiiiiiiiiii sssss 000 ddddd 1100111",   "rd, imm(rs1)",     i::jalr),
    insn("beq",       E::I, "iiiiiii ttttt sssss 000 iiiii 1100011",  "rs1, rs2, branch", i::beq),
    insn("bne",       E::I, "iiiiiii ttttt sssss 001 iiiii 1100011",  "rs1, rs2, branch", i::bne),
    insn("blt",       E::I, "iiiiiii ttttt sssss 100 iiiii 1100011",  "rs1, rs2, branch", i::blt),
    insn("bge",       E::I, "iiiiiii ttttt sssss 101 iiiii 1100011",  "rs1, rs2, branch", i::bge),
    insn("bltu",      E::I, "iiiiiii ttttt sssss 110 iiiii 1100011",  "rs1, rs2, branch", i::bltu),
    insn("bgeu",      E::I, "iiiiiii ttttt sssss 111 iiiii 1100011",  "rs1, rs2, branch", i::bgeu),
    insn("lb",        E::I, "iiiiiiiiiiii sssss 000 ddddd 0000011",   "rd, imm(rs1)",     i::lb),
    insn("lh",        E::I, "iiiiiiiiiiii sssss 001 ddddd 0000011",   "rd, imm(rs1)",     i::lh),
    insn("lw",        E::I, "iiiiiiiiiiii sssss 010 ddddd 0000011",   "rd, imm(rs1)",     i::lw),
    insn("lbu",       E::I, "iiiiiiiiiiii sssss 100 ddddd 0000011",   "rd, imm(rs1)",     i::lbu),
    insn("lhu",       E::I, "iiiiiiiiiiii sssss 101 ddddd 0000011",   "rd, imm(rs1)",     i::lhu),
    insn("sb",        E::I, "iiiiiii ttttt sssss 000 iiiii 0100011",  "rs2, simm(rs1)",   i::sb),
    insn("sh",        E::I, "iiiiiii ttttt sssss 001 iiiii 0100011",  "rs2, simm(rs1)",   i::sh),
    insn("sw",        E::I, "iiiiiii ttttt sssss 010 iiiii 0100011",  "rs2, simm(rs1)",   i::sw),
    insn("addi",      E::I, "iiiiiiiiiiii sssss 000 ddddd 0010011",   "rd, rs1, imm",     i::addi),
    insn("slti",      E::I, "iiiiiiiiiiii sssss 010 ddddd 0010011",   "rd, rs1, imm",     i::slti),
    insn("sltiu",     E::I, "iiiiiiiiiiii sssss 011 ddddd 0010011",   "rd, rs1, imm",     i::sltiu),
    insn("xori",      E::I, "iiiiiiiiiiii sssss 100 ddddd 0010011",   "rd, rs1, imm",     i::xori),
    insn("ori",       E::I, "iiiiiiiiiiii sssss 110 ddddd 0010011",   "rd, rs1, imm",     i::ori),
    insn("andi",      E::I, "iiiiiiiiiiii sssss 111 ddddd 0010011",   "rd, rs1, imm",     i::andi),
    insn("slli",      E::I, "000000 iiiiii sssss 001 ddddd 0010011",  "rd, rs1, shamt",   i::slli).reserved(wide_shift),
    insn("srli",      E::I, "000000 iiiiii sssss 101 ddddd 0010011",  "rd, rs1, shamt",   i::srli).reserved(wide_shift),
    insn("srai",      E::I, "010000 iiiiii sssss 101 ddddd 0010011",  "rd, rs1, shamt",   i::srai).reserved(wide_shift),
    insn("add",       E::I, "0000000 ttttt sssss 000 ddddd 0110011",  "rd, rs1, rs2",     i::add),
    insn("sub",       E::I, "0100000 ttttt sssss 000 ddddd 0110011",  "rd, rs1, rs2",     i::sub),
    insn("sll",       E::I, "0000000 ttttt sssss 001 ddddd 0110011",  "rd, rs1, rs2",     i::sll),
    insn("slt",       E::I, "0000000 ttttt sssss 010 ddddd 0110011",  "rd, rs1, rs2",     i::slt),
    insn("sltu",      E::I, "0000000 ttttt sssss 011 ddddd 0110011",  "rd, rs1, rs2",     i::sltu),
    insn("xor",       E::I, "0000000 ttttt sssss 100 ddddd 0110011",  "rd, rs1, rs2",     i::xor),
    insn("srl",       E::I, "0000000 ttttt sssss 101 ddddd 0110011",  "rd, rs1, rs2",     i::srl),
    insn("sra",       E::I, "0100000 ttttt sssss 101 ddddd 0110011",  "rd, rs1, rs2",     i::sra),
    insn("or",        E::I, "0000000 ttttt sssss 110 ddddd 0110011",  "rd, rs1, rs2",     i::or),
    insn("and",       E::I, "0000000 ttttt sssss 111 ddddd 0110011",  "rd, rs1, rs2",     i::and),
    insn("fence",     E::I, "ffff pppp ssss xxxxx 000 xxxxx 0001111", "pred, succ",       i::fence),
    insn("fence.tso", E::I, "1000 0011 0011 xxxxx 000 xxxxx 0001111", "",                 i::fence_tso),
    insn("ecall",     E::I, "000000000000 00000 000 00000 1110011",   "",                 i::ecall),
    insn("ebreak",    E::I, "000000000001 00000 000 00000 1110011",   "",                 i::ebreak),
    // RV64I
    insn("lwu",   E::I, "iiiiiiiiiiii sssss 110 ddddd 0000011",  "rd, imm(rs1)",    i::lwu).rv64(),
    insn("ld",    E::I, "iiiiiiiiiiii sssss 011 ddddd 0000011",  "rd, imm(rs1)",    i::ld).rv64(),
    insn("sd",    E::I, "iiiiiii ttttt sssss 011 iiiii 0100011", "rs2, simm(rs1)",  i::sd).rv64(),
    insn("addiw", E::I, "iiiiiiiiiiii sssss 000 ddddd 0011011",  "rd, rs1, imm",    i::addiw).rv64(),
    insn("slliw", E::I, "0000000 iiiii sssss 001 ddddd 0011011", "rd, rs1, shamtw", i::slliw).rv64(),
    insn("srliw", E::I, "0000000 iiiii sssss 101 ddddd 0011011", "rd, rs1, shamtw", i::srliw).rv64(),
    insn("sraiw", E::I, "0100000 iiiii sssss 101 ddddd 0011011", "rd, rs1, shamtw", i::sraiw).rv64(),
    insn("addw",  E::I, "0000000 ttttt sssss 000 ddddd 0111011", "rd, rs1, rs2",    i::addw).rv64(),
    insn("subw",  E::I, "0100000 ttttt sssss 000 ddddd 0111011", "rd, rs1, rs2",    i::subw).rv64(),
    insn("sllw",  E::I, "0000000 ttttt sssss 001 ddddd 0111011", "rd, rs1, rs2",    i::sllw).rv64(),
    insn("srlw",  E::I, "0000000 ttttt sssss 101 ddddd 0111011", "rd, rs1, rs2",    i::srlw).rv64(),
    insn("sraw",  E::I, "0100000 ttttt sssss 101 ddddd 0111011", "rd, rs1, rs2",    i::sraw).rv64(),
    // Zihintpause
    insn("pause", E::ZIHINTPAUSE, "0000 0001 0000 00000 000 00000 0001111", "", i::pause),
    // Zifencei
    insn("fence.i", E::ZIFENCEI, "iiiiiiiiiiii sssss 001 ddddd 0001111", "", i::fence_i),
    // M (and Zmmul)
    insn("mul",    E::ZMMUL, "0000001 ttttt sssss 000 ddddd 0110011", "rd, rs1, rs2", m::mul),
    insn("mulh",   E::ZMMUL, "0000001 ttttt sssss 001 ddddd 0110011", "rd, rs1, rs2", m::mulh),
    insn("mulhsu", E::ZMMUL, "0000001 ttttt sssss 010 ddddd 0110011", "rd, rs1, rs2", m::mulhsu),
    insn("mulhu",  E::ZMMUL, "0000001 ttttt sssss 011 ddddd 0110011", "rd, rs1, rs2", m::mulhu),
    insn("div",    E::M,     "0000001 ttttt sssss 100 ddddd 0110011", "rd, rs1, rs2", m::div),
    insn("divu",   E::M,     "0000001 ttttt sssss 101 ddddd 0110011", "rd, rs1, rs2", m::divu),
    insn("rem",    E::M,     "0000001 ttttt sssss 110 ddddd 0110011", "rd, rs1, rs2", m::rem),
    insn("remu",   E::M,     "0000001 ttttt sssss 111 ddddd 0110011", "rd, rs1, rs2", m::remu),
    insn("mulw",   E::ZMMUL, "0000001 ttttt sssss 000 ddddd 0111011", "rd, rs1, rs2", m::mulw).rv64(),
    insn("divw",   E::M,     "0000001 ttttt sssss 100 ddddd 0111011", "rd, rs1, rs2", m::divw).rv64(),
    insn("divuw",  E::M,     "0000001 ttttt sssss 101 ddddd 0111011", "rd, rs1, rs2", m::divuw).rv64(),
    insn("remw",   E::M,     "0000001 ttttt sssss 110 ddddd 0111011", "rd, rs1, rs2", m::remw).rv64(),
    insn("remuw",  E::M,     "0000001 ttttt sssss 111 ddddd 0111011", "rd, rs1, rs2", m::remuw).rv64(),
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
    // Zicsr
    insn("csrrw",  E::ZICSR, "cccccccccccc sssss 001 ddddd 1110011", "rd, csr, rs1",  zicsr::csrrw),
    insn("csrrs",  E::ZICSR, "cccccccccccc sssss 010 ddddd 1110011", "rd, csr, rs1",  zicsr::csrrs),
    insn("csrrc",  E::ZICSR, "cccccccccccc sssss 011 ddddd 1110011", "rd, csr, rs1",  zicsr::csrrc),
    insn("csrrwi", E::ZICSR, "cccccccccccc sssss 101 ddddd 1110011", "rd, csr, zimm", zicsr::csrrwi),
    insn("csrrsi", E::ZICSR, "cccccccccccc sssss 110 ddddd 1110011", "rd, csr, zimm", zicsr::csrrsi),
    insn("csrrci", E::ZICSR, "cccccccccccc sssss 111 ddddd 1110011", "rd, csr, zimm", zicsr::csrrci),
    // F
    insn("flw",       E::F, "iiiiiiiiiiii sssss 010 ddddd 0000111",   "fd, imm(rs1)",  f::flw),
    insn("fsw",       E::F, "iiiiiii ttttt sssss 010 iiiii 0100111",  "fs2, simm(rs1)", f::fsw),
    insn("fmadd.s",   E::F, "uuuuu 00 ttttt sssss rrr ddddd 1000011", "fd, fs1, fs2, fs3, rm", f::fmadd).rounds(),
    insn("fmsub.s",   E::F, "uuuuu 00 ttttt sssss rrr ddddd 1000111", "fd, fs1, fs2, fs3, rm", f::fmsub).rounds(),
    insn("fnmsub.s",  E::F, "uuuuu 00 ttttt sssss rrr ddddd 1001011", "fd, fs1, fs2, fs3, rm", f::fnmsub).rounds(),
    insn("fnmadd.s",  E::F, "uuuuu 00 ttttt sssss rrr ddddd 1001111", "fd, fs1, fs2, fs3, rm", f::fnmadd).rounds(),
    insn("fadd.s",    E::F, "0000000 ttttt sssss rrr ddddd 1010011",  "fd, fs1, fs2, rm", f::fadd).rounds(),
    insn("fsub.s",    E::F, "0000100 ttttt sssss rrr ddddd 1010011",  "fd, fs1, fs2, rm", f::fsub).rounds(),
    insn("fmul.s",    E::F, "0001000 ttttt sssss rrr ddddd 1010011",  "fd, fs1, fs2, rm", f::fmul).rounds(),
    insn("fdiv.s",    E::F, "0001100 ttttt sssss rrr ddddd 1010011",  "fd, fs1, fs2, rm", f::fdiv).rounds(),
    insn("fsqrt.s",   E::F, "0101100 00000 sssss rrr ddddd 1010011",  "fd, fs1, rm",   f::fsqrt).rounds(),
    insn("fsgnj.s",   E::F, "0010000 ttttt sssss 000 ddddd 1010011",  "fd, fs1, fs2",  f::fsgnj),
    insn("fsgnjn.s",  E::F, "0010000 ttttt sssss 001 ddddd 1010011",  "fd, fs1, fs2",  f::fsgnjn),
    insn("fsgnjx.s",  E::F, "0010000 ttttt sssss 010 ddddd 1010011",  "fd, fs1, fs2",  f::fsgnjx),
    insn("fmin.s",    E::F, "0010100 ttttt sssss 000 ddddd 1010011",  "fd, fs1, fs2",  f::fmin),
    insn("fmax.s",    E::F, "0010100 ttttt sssss 001 ddddd 1010011",  "fd, fs1, fs2",  f::fmax),
    insn("fle.s",     E::F, "1010000 ttttt sssss 000 ddddd 1010011",  "rd, fs1, fs2",  f::fle),
    insn("flt.s",     E::F, "1010000 ttttt sssss 001 ddddd 1010011",  "rd, fs1, fs2",  f::flt),
    insn("feq.s",     E::F, "1010000 ttttt sssss 010 ddddd 1010011",  "rd, fs1, fs2",  f::feq),
    insn("fclass.s",  E::F, "1110000 00000 sssss 001 ddddd 1010011",  "rd, fs1",       f::fclass),
    insn("fcvt.w.s",  E::F, "1100000 00000 sssss rrr ddddd 1010011",  "rd, fs1, rm",   f::to_integer).rounds(),
    insn("fcvt.wu.s", E::F, "1100000 00001 sssss rrr ddddd 1010011",  "rd, fs1, rm",   f::to_integer).rounds(),
    insn("fcvt.l.s",  E::F, "1100000 00010 sssss rrr ddddd 1010011",  "rd, fs1, rm",   f::to_integer).rounds().rv64(),
    insn("fcvt.lu.s", E::F, "1100000 00011 sssss rrr ddddd 1010011",  "rd, fs1, rm",   f::to_integer).rounds().rv64(),
    insn("fcvt.s.w",  E::F, "1101000 00000 sssss rrr ddddd 1010011",  "fd, rs1, rm",   f::from_integer).rounds(),
    insn("fcvt.s.wu", E::F, "1101000 00001 sssss rrr ddddd 1010011",  "fd, rs1, rm",   f::from_integer).rounds(),
    insn("fcvt.s.l",  E::F, "1101000 00010 sssss rrr ddddd 1010011",  "fd, rs1, rm",   f::from_integer).rounds().rv64(),
    insn("fcvt.s.lu", E::F, "1101000 00011 sssss rrr ddddd 1010011",  "fd, rs1, rm",   f::from_integer).rounds().rv64(),
    insn("fmv.x.w",   E::F, "1110000 00000 sssss 000 ddddd 1010011",  "rd, fs1",       f::move_to_x),
    insn("fmv.w.x",   E::F, "1111000 00000 sssss 000 ddddd 1010011",  "fd, rs1",       f::move_from_x),
    // D
    insn("fld",       E::D, "iiiiiiiiiiii sssss 011 ddddd 0000111",   "fd, imm(rs1)",  d::fld),
    insn("fsd",       E::D, "iiiiiii ttttt sssss 011 iiiii 0100111",  "fs2, simm(rs1)", d::fsd),
    insn("fmadd.d",   E::D, "uuuuu 01 ttttt sssss rrr ddddd 1000011", "fd, fs1, fs2, fs3, rm", f::fmadd).rounds(),
    insn("fmsub.d",   E::D, "uuuuu 01 ttttt sssss rrr ddddd 1000111", "fd, fs1, fs2, fs3, rm", f::fmsub).rounds(),
    insn("fnmsub.d",  E::D, "uuuuu 01 ttttt sssss rrr ddddd 1001011", "fd, fs1, fs2, fs3, rm", f::fnmsub).rounds(),
    insn("fnmadd.d",  E::D, "uuuuu 01 ttttt sssss rrr ddddd 1001111", "fd, fs1, fs2, fs3, rm", f::fnmadd).rounds(),
    insn("fadd.d",    E::D, "0000001 ttttt sssss rrr ddddd 1010011",  "fd, fs1, fs2, rm", f::fadd).rounds(),
    insn("fsub.d",    E::D, "0000101 ttttt sssss rrr ddddd 1010011",  "fd, fs1, fs2, rm", f::fsub).rounds(),
    insn("fmul.d",    E::D, "0001001 ttttt sssss rrr ddddd 1010011",  "fd, fs1, fs2, rm", f::fmul).rounds(),
    insn("fdiv.d",    E::D, "0001101 ttttt sssss rrr ddddd 1010011",  "fd, fs1, fs2, rm", f::fdiv).rounds(),
    insn("fsqrt.d",   E::D, "0101101 00000 sssss rrr ddddd 1010011",  "fd, fs1, rm",   f::fsqrt).rounds(),
    insn("fsgnj.d",   E::D, "0010001 ttttt sssss 000 ddddd 1010011",  "fd, fs1, fs2",  f::fsgnj),
    insn("fsgnjn.d",  E::D, "0010001 ttttt sssss 001 ddddd 1010011",  "fd, fs1, fs2",  f::fsgnjn),
    insn("fsgnjx.d",  E::D, "0010001 ttttt sssss 010 ddddd 1010011",  "fd, fs1, fs2",  f::fsgnjx),
    insn("fmin.d",    E::D, "0010101 ttttt sssss 000 ddddd 1010011",  "fd, fs1, fs2",  f::fmin),
    insn("fmax.d",    E::D, "0010101 ttttt sssss 001 ddddd 1010011",  "fd, fs1, fs2",  f::fmax),
    insn("fcvt.s.d",  E::D, "0100000 00001 sssss rrr ddddd 1010011",  "fd, fs1, rm",   d::fcvt_s_d).rounds(),
    insn("fcvt.d.s",  E::D, "0100001 00000 sssss rrr ddddd 1010011",  "fd, fs1, rm",   d::fcvt_d_s).rounds(),
    insn("fle.d",     E::D, "1010001 ttttt sssss 000 ddddd 1010011",  "rd, fs1, fs2",  f::fle),
    insn("flt.d",     E::D, "1010001 ttttt sssss 001 ddddd 1010011",  "rd, fs1, fs2",  f::flt),
    insn("feq.d",     E::D, "1010001 ttttt sssss 010 ddddd 1010011",  "rd, fs1, fs2",  f::feq),
    insn("fclass.d",  E::D, "1110001 00000 sssss 001 ddddd 1010011",  "rd, fs1",       f::fclass),
    insn("fcvt.w.d",  E::D, "1100001 00000 sssss rrr ddddd 1010011",  "rd, fs1, rm",   f::to_integer).rounds(),
    insn("fcvt.wu.d", E::D, "1100001 00001 sssss rrr ddddd 1010011",  "rd, fs1, rm",   f::to_integer).rounds(),
    insn("fcvt.l.d",  E::D, "1100001 00010 sssss rrr ddddd 1010011",  "rd, fs1, rm",   f::to_integer).rounds().rv64(),
    insn("fcvt.lu.d", E::D, "1100001 00011 sssss rrr ddddd 1010011",  "rd, fs1, rm",   f::to_integer).rounds().rv64(),
    insn("fcvt.d.w",  E::D, "1101001 00000 sssss rrr ddddd 1010011",  "fd, rs1, rm",   f::from_integer).rounds(),
    insn("fcvt.d.wu", E::D, "1101001 00001 sssss rrr ddddd 1010011",  "fd, rs1, rm",   f::from_integer).rounds(),
    insn("fcvt.d.l",  E::D, "1101001 00010 sssss rrr ddddd 1010011",  "fd, rs1, rm",   f::from_integer).rounds().rv64(),
    insn("fcvt.d.lu", E::D, "1101001 00011 sssss rrr ddddd 1010011",  "fd, rs1, rm",   f::from_integer).rounds().rv64(),
    insn("fmv.x.d",   E::D, "1110001 00000 sssss 000 ddddd 1010011",  "rd, fs1",       f::move_to_x).rv64(),
    insn("fmv.d.x",   E::D, "1111001 00000 sssss 000 ddddd 1010011",  "fd, rs1",       f::move_from_x).rv64(),
    // Zba
    insn("sh1add",    E::ZBA, "0010000 ttttt sssss 010 ddddd 0110011", "rd, rs1, rs2",   b::shadd),
    insn("sh2add",    E::ZBA, "0010000 ttttt sssss 100 ddddd 0110011", "rd, rs1, rs2",   b::shadd),
    insn("sh3add",    E::ZBA, "0010000 ttttt sssss 110 ddddd 0110011", "rd, rs1, rs2",   b::shadd),
    insn("add.uw",    E::ZBA, "0000100 ttttt sssss 000 ddddd 0111011", "rd, rs1, rs2",   b::add_uw).rv64(),
    insn("sh1add.uw", E::ZBA, "0010000 ttttt sssss 010 ddddd 0111011", "rd, rs1, rs2",   b::shadd_uw).rv64(),
    insn("sh2add.uw", E::ZBA, "0010000 ttttt sssss 100 ddddd 0111011", "rd, rs1, rs2",   b::shadd_uw).rv64(),
    insn("sh3add.uw", E::ZBA, "0010000 ttttt sssss 110 ddddd 0111011", "rd, rs1, rs2",   b::shadd_uw).rv64(),
    insn("slli.uw",   E::ZBA, "000010 iiiiii sssss 001 ddddd 0011011", "rd, rs1, shamt", b::slli_uw).rv64(),
    // Zbb
    insn("andn",   E::ZBB, "0100000 ttttt sssss 111 ddddd 0110011", "rd, rs1, rs2",    b::andn),
    insn("orn",    E::ZBB, "0100000 ttttt sssss 110 ddddd 0110011", "rd, rs1, rs2",    b::orn),
    insn("xnor",   E::ZBB, "0100000 ttttt sssss 100 ddddd 0110011", "rd, rs1, rs2",    b::xnor),
    insn("clz",    E::ZBB, "0110000 00000 sssss 001 ddddd 0010011", "rd, rs1",         b::clz),
    insn("ctz",    E::ZBB, "0110000 00001 sssss 001 ddddd 0010011", "rd, rs1",         b::ctz),
    insn("cpop",   E::ZBB, "0110000 00010 sssss 001 ddddd 0010011", "rd, rs1",         b::cpop),
    insn("clzw",   E::ZBB, "0110000 00000 sssss 001 ddddd 0011011", "rd, rs1",         b::clzw).rv64(),
    insn("ctzw",   E::ZBB, "0110000 00001 sssss 001 ddddd 0011011", "rd, rs1",         b::ctzw).rv64(),
    insn("cpopw",  E::ZBB, "0110000 00010 sssss 001 ddddd 0011011", "rd, rs1",         b::cpopw).rv64(),
    insn("min",    E::ZBB, "0000101 ttttt sssss 100 ddddd 0110011", "rd, rs1, rs2",    b::min),
    insn("minu",   E::ZBB, "0000101 ttttt sssss 101 ddddd 0110011", "rd, rs1, rs2",    b::minu),
    insn("max",    E::ZBB, "0000101 ttttt sssss 110 ddddd 0110011", "rd, rs1, rs2",    b::max),
    insn("maxu",   E::ZBB, "0000101 ttttt sssss 111 ddddd 0110011", "rd, rs1, rs2",    b::maxu),
    insn("sext.b", E::ZBB, "0110000 00100 sssss 001 ddddd 0010011", "rd, rs1",         b::sext_b),
    insn("sext.h", E::ZBB, "0110000 00101 sssss 001 ddddd 0010011", "rd, rs1",         b::sext_h),
    insn("zext.h", E::ZBB, "0000100 00000 sssss 100 ddddd 0110011", "rd, rs1",         b::zext_h).rv32(),
    insn("zext.h", E::ZBB, "0000100 00000 sssss 100 ddddd 0111011", "rd, rs1",         b::zext_h).rv64(),
    insn("rol",    E::ZBB, "0110000 ttttt sssss 001 ddddd 0110011", "rd, rs1, rs2",    b::rol),
    insn("ror",    E::ZBB, "0110000 ttttt sssss 101 ddddd 0110011", "rd, rs1, rs2",    b::ror),
    insn("rori",   E::ZBB, "011000 iiiiii sssss 101 ddddd 0010011", "rd, rs1, shamt",  b::rori).reserved(wide_shift),
    insn("rolw",   E::ZBB, "0110000 ttttt sssss 001 ddddd 0111011", "rd, rs1, rs2",    b::rolw).rv64(),
    insn("rorw",   E::ZBB, "0110000 ttttt sssss 101 ddddd 0111011", "rd, rs1, rs2",    b::rorw).rv64(),
    insn("roriw",  E::ZBB, "0110000 iiiii sssss 101 ddddd 0011011", "rd, rs1, shamtw", b::roriw).rv64(),
    insn("orc.b",  E::ZBB, "0010100 00111 sssss 101 ddddd 0010011", "rd, rs1",         b::orc_b),
    insn("rev8",   E::ZBB, "0110100 11000 sssss 101 ddddd 0010011", "rd, rs1",         b::rev8).rv32(),
    insn("rev8",   E::ZBB, "0110101 11000 sssss 101 ddddd 0010011", "rd, rs1",         b::rev8).rv64(),
    // Zbc
    insn("clmul",  E::ZBC, "0000101 ttttt sssss 001 ddddd 0110011", "rd, rs1, rs2", b::clmul),
    insn("clmulr", E::ZBC, "0000101 ttttt sssss 010 ddddd 0110011", "rd, rs1, rs2", b::clmulr),
    insn("clmulh", E::ZBC, "0000101 ttttt sssss 011 ddddd 0110011", "rd, rs1, rs2", b::clmulh),
    // Zbs
    insn("bclr",  E::ZBS, "0100100 ttttt sssss 001 ddddd 0110011", "rd, rs1, rs2",   b::bclr),
    insn("bclri", E::ZBS, "010010 iiiiii sssss 001 ddddd 0010011", "rd, rs1, shamt", b::bclri).reserved(wide_shift),
    insn("bext",  E::ZBS, "0100100 ttttt sssss 101 ddddd 0110011", "rd, rs1, rs2",   b::bext),
    insn("bexti", E::ZBS, "010010 iiiiii sssss 101 ddddd 0010011", "rd, rs1, shamt", b::bexti).reserved(wide_shift),
    insn("binv",  E::ZBS, "0110100 ttttt sssss 001 ddddd 0110011", "rd, rs1, rs2",   b::binv),
    insn("binvi", E::ZBS, "011010 iiiiii sssss 001 ddddd 0010011", "rd, rs1, shamt", b::binvi).reserved(wide_shift),
    insn("bset",  E::ZBS, "0010100 ttttt sssss 001 ddddd 0110011", "rd, rs1, rs2",   b::bset),
    insn("bseti", E::ZBS, "001010 iiiiii sssss 001 ddddd 0010011", "rd, rs1, shamt", b::bseti).reserved(wide_shift),
    // Zicond
    insn("czero.eqz", E::ZICOND, "0000111 ttttt sssss 101 ddddd 0110011", "rd, rs1, rs2", zicond::czero_eqz),
    insn("czero.nez", E::ZICOND, "0000111 ttttt sssss 111 ddddd 0110011", "rd, rs1, rs2", zicond::czero_nez),
    // C, quadrant 0
    c16("c.addi4spn", E::ZCA, "000 uuuuuuuu ddd 00",   "rd_short, sp, c_addi4spn",   c::addi4spn).reserved(offset_zero),
    c16("c.fld",      E::ZCD, "001 uuu sss uu ddd 00", "fd_short, c_double(rs1_short)", c::fld),
    c16("c.lw",       E::ZCA, "010 uuu sss uu ddd 00", "rd_short, c_word(rs1_short)", c::lw),
    c16("c.flw",      E::ZCF, "011 uuu sss uu ddd 00", "fd_short, c_word(rs1_short)", c::flw).rv32(),
    c16("c.ld",       E::ZCA, "011 uuu sss uu ddd 00", "rd_short, c_double(rs1_short)", c::ld).rv64(),
    c16("c.fsd",      E::ZCD, "101 uuu sss uu ttt 00", "fs2_short, c_double(rs1_short)", c::fsd),
    c16("c.sw",       E::ZCA, "110 uuu sss uu ttt 00", "rs2_short, c_word(rs1_short)", c::sw),
    c16("c.fsw",      E::ZCF, "111 uuu sss uu ttt 00", "fs2_short, c_word(rs1_short)", c::fsw).rv32(),
    c16("c.sd",       E::ZCA, "111 uuu sss uu ttt 00", "rs2_short, c_double(rs1_short)", c::sd).rv64(),
    // C, quadrant 1
    c16("c.nop",      E::ZCA, "000 i 00000 iiiii 01",   "",                     c::addi),
    c16("c.addi",     E::ZCA, "000 i ddddd iiiii 01",   "rd, c_imm",            c::addi),
    c16("c.jal",      E::ZCA, "001 iiiiiiiiiii 01",     "c_jump",               c::jal).rv32(),
    c16("c.addiw",    E::ZCA, "001 i ddddd iiiii 01",   "rd, c_imm",            c::addiw).rv64().reserved(rd_zero),
    c16("c.li",       E::ZCA, "010 i ddddd iiiii 01",   "rd, c_imm",            c::li),
    c16("c.addi16sp", E::ZCA, "011 i 00010 iiiii 01",   "sp, c_addi16sp",       c::addi16sp).reserved(imm_zero),
    c16("c.lui",      E::ZCA, "011 i ddddd iiiii 01",   "rd, c_lui",            c::lui).reserved(imm_zero),
    c16("c.srli",     E::ZCA, "100 u 00 ddd uuuuu 01",  "rs1_short, c_shamt",   c::srli).reserved(wide_c_shift),
    c16("c.srai",     E::ZCA, "100 u 01 ddd uuuuu 01",  "rs1_short, c_shamt",   c::srai).reserved(wide_c_shift),
    c16("c.andi",     E::ZCA, "100 i 10 ddd iiiii 01",  "rs1_short, c_imm",     c::andi),
    c16("c.sub",      E::ZCA, "100 0 11 ddd 00 ttt 01", "rs1_short, rs2_short", c::sub),
    c16("c.xor",      E::ZCA, "100 0 11 ddd 01 ttt 01", "rs1_short, rs2_short", c::xor),
    c16("c.or",       E::ZCA, "100 0 11 ddd 10 ttt 01", "rs1_short, rs2_short", c::or),
    c16("c.and",      E::ZCA, "100 0 11 ddd 11 ttt 01", "rs1_short, rs2_short", c::and),
    c16("c.subw",     E::ZCA, "100 1 11 ddd 00 ttt 01", "rs1_short, rs2_short", c::subw).rv64(),
    c16("c.addw",     E::ZCA, "100 1 11 ddd 01 ttt 01", "rs1_short, rs2_short", c::addw).rv64(),
    c16("c.j",        E::ZCA, "101 iiiiiiiiiii 01",     "c_jump",               c::j),
    c16("c.beqz",     E::ZCA, "110 iii sss iiiii 01",   "rs1_short, c_branch",  c::beqz),
    c16("c.bnez",     E::ZCA, "111 iii sss iiiii 01",   "rs1_short, c_branch",  c::bnez),
    // C, quadrant 2
    c16("c.slli",   E::ZCA, "000 u ddddd uuuuu 10", "rd, c_shamt",        c::slli).reserved(wide_c_shift),
    c16("c.fldsp",  E::ZCD, "001 u ddddd uuuuu 10", "fd, c_ldsp(sp)",     c::fldsp),
    c16("c.lwsp",   E::ZCA, "010 u ddddd uuuuu 10", "rd, c_lwsp(sp)",     c::lwsp).reserved(rd_zero),
    c16("c.flwsp",  E::ZCF, "011 u ddddd uuuuu 10", "fd, c_lwsp(sp)",     c::flwsp).rv32(),
    c16("c.ldsp",   E::ZCA, "011 u ddddd uuuuu 10", "rd, c_ldsp(sp)",     c::ldsp).rv64().reserved(rd_zero),
    c16("c.jr",     E::ZCA, "100 0 sssss 00000 10", "rd",                 c::jr).reserved(rd_zero),
    c16("c.mv",     E::ZCA, "100 0 ddddd ttttt 10", "rd, c_rs2",          c::mv),
    c16("c.ebreak", E::ZCA, "100 1 00000 00000 10", "",                   c::ebreak),
    c16("c.jalr",   E::ZCA, "100 1 sssss 00000 10", "rd",                 c::jalr),
    c16("c.add",    E::ZCA, "100 1 ddddd ttttt 10", "rd, c_rs2",          c::add),
    c16("c.fsdsp",  E::ZCD, "101 uuuuuu ttttt 10",  "fc_rs2, c_sdsp(sp)", c::fsdsp),
    c16("c.swsp",   E::ZCA, "110 uuuuuu ttttt 10",  "c_rs2, c_swsp(sp)",  c::swsp),
    c16("c.fswsp",  E::ZCF, "111 uuuuuu ttttt 10",  "fc_rs2, c_swsp(sp)", c::fswsp).rv32(),
    c16("c.sdsp",   E::ZCA, "111 uuuuuu ttttt 10",  "c_rs2, c_sdsp(sp)",  c::sdsp).rv64(),
    // Zcb
    c16("c.lbu",    E::ZCB,               "100 000 sss uu ddd 00",  "rd_short, c_byte(rs1_short)", c::lbu),
    c16("c.lhu",    E::ZCB,               "100 001 sss 0 u ddd 00", "rd_short, c_half(rs1_short)", c::lhu),
    c16("c.lh",     E::ZCB,               "100 001 sss 1 u ddd 00", "rd_short, c_half(rs1_short)", c::lh),
    c16("c.sb",     E::ZCB,               "100 010 sss uu ttt 00",  "rs2_short, c_byte(rs1_short)", c::sb),
    c16("c.sh",     E::ZCB,               "100 011 sss 0 u ttt 00", "rs2_short, c_half(rs1_short)", c::sh),
    c16("c.mul",    E::ZCB.and(E::ZMMUL), "100 1 11 ddd 10 ttt 01", "rs1_short, rs2_short",      c::mul),
    c16("c.zext.b", E::ZCB,               "100 1 11 ddd 11 000 01", "rs1_short",                 c::zext_b),
    c16("c.sext.b", E::ZCB.and(E::ZBB),   "100 1 11 ddd 11 001 01", "rs1_short",                 c::sext_b),
    c16("c.zext.h", E::ZCB.and(E::ZBB),   "100 1 11 ddd 11 010 01", "rs1_short",                 c::zext_h_rv32).rv32(),
    c16("c.zext.h", E::ZCB.and(E::ZBB),   "100 1 11 ddd 11 010 01", "rs1_short",                 c::zext_h_rv64).rv64(),
    c16("c.sext.h", E::ZCB.and(E::ZBB),   "100 1 11 ddd 11 011 01", "rs1_short",                 c::sext_h),
    c16("c.zext.w", E::ZCB.and(E::ZBA),   "100 1 11 ddd 11 100 01", "rs1_short",                 c::zext_w).rv64(),
    c16("c.not",    E::ZCB,               "100 1 11 ddd 11 101 01", "rs1_short",                 c::not),
];
