//! The manual's assembly, from the same table as the decoder.
//!
//! No pseudo-instructions: `addi a0, zero, 1` and not `li a0, 1`, as `objdump -M no-aliases` prints. The operands of
//! a line are a template such as `rd, imm(rs1)`: names stand for operands, all else for itself.

use crate::csr;
use crate::fields::*;
use crate::regs::{F_NAMES, X_NAMES};
use crate::table::InsnDef;
use emu_ir::pattern::pieces;

/// What an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer register.
    X,
    /// A floating-point register.
    F,
    /// One of `x8` … `x15`.
    XShort,
    /// One of `f8` … `f15`.
    FShort,
    /// A number.
    Imm,
    /// An offset from the pc.
    Target,
    /// The upper 20 bits, as `lui` has them.
    Upper,
    /// A control and status register.
    Csr,
    /// A rounding mode.
    Round,
    /// A set of accesses of `fence`.
    Accesses,
}

/// An operand: how the table calls it, what it is, where its bits are.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// Its name in [`InsnDef::operands`].
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its bits.
    pub field: Field,
}

const fn operand(name: &'static str, kind: Kind, field: Field) -> Operand {
    Operand { name, kind, field }
}

const AT_7: Field = Field::unsigned(&[(11, "4:0")]);
const AT_15: Field = Field::unsigned(&[(19, "4:0")]);
const AT_20: Field = Field::unsigned(&[(24, "4:0")]);
const AT_27: Field = Field::unsigned(&[(31, "4:0")]);
const AT_2: Field = Field::unsigned(&[(6, "4:0")]);
const SHORT_AT_7: Field = Field::unsigned(&[(9, "2:0")]);
const SHORT_AT_2: Field = Field::unsigned(&[(4, "2:0")]);

/// All operands that the table names.
#[rustfmt::skip]
pub static OPERANDS: &[Operand] = &[
    operand("rd",         Kind::X,        AT_7),
    operand("rs1",        Kind::X,        AT_15),
    operand("rs2",        Kind::X,        AT_20),
    operand("fd",         Kind::F,        AT_7),
    operand("fs1",        Kind::F,        AT_15),
    operand("fs2",        Kind::F,        AT_20),
    operand("fs3",        Kind::F,        AT_27),
    operand("imm",        Kind::Imm,      IMM_I),
    operand("simm",       Kind::Imm,      IMM_S),
    operand("branch",     Kind::Target,   IMM_B),
    operand("jump",       Kind::Target,   IMM_J),
    operand("upper",      Kind::Upper,    IMM_U),
    operand("shamt",      Kind::Imm,      SHAMT),
    operand("shamtw",     Kind::Imm,      SHAMT_W),
    operand("csr",        Kind::Csr,      CSR),
    operand("zimm",       Kind::Imm,      ZIMM),
    operand("rm",         Kind::Round,    Field::unsigned(&[(14, "2:0")])),
    operand("pred",       Kind::Accesses, Field::unsigned(&[(27, "3:0")])),
    operand("succ",       Kind::Accesses, Field::unsigned(&[(23, "3:0")])),
    operand("c_rs2",      Kind::X,        AT_2),
    operand("fc_rs2",     Kind::F,        AT_2),
    operand("rd_short",   Kind::XShort,   SHORT_AT_2),
    operand("rs1_short",  Kind::XShort,   SHORT_AT_7),
    operand("rs2_short",  Kind::XShort,   SHORT_AT_2),
    operand("fd_short",   Kind::FShort,   SHORT_AT_2),
    operand("fs2_short",  Kind::FShort,   SHORT_AT_2),
    operand("c_addi4spn", Kind::Imm,      C_ADDI4SPN),
    operand("c_word",     Kind::Imm,      C_WORD),
    operand("c_double",   Kind::Imm,      C_DOUBLE),
    operand("c_byte",     Kind::Imm,      C_BYTE),
    operand("c_half",     Kind::Imm,      C_HALF),
    operand("c_imm",      Kind::Imm,      C_IMM),
    operand("c_shamt",    Kind::Imm,      C_SHAMT),
    operand("c_addi16sp", Kind::Imm,      C_ADDI16SP),
    operand("c_lui",      Kind::Upper,    C_LUI),
    operand("c_jump",     Kind::Target,   C_JUMP),
    operand("c_branch",   Kind::Target,   C_BRANCH),
    operand("c_lwsp",     Kind::Imm,      C_LWSP),
    operand("c_ldsp",     Kind::Imm,      C_LDSP),
    operand("c_swsp",     Kind::Imm,      C_SWSP),
    operand("c_sdsp",     Kind::Imm,      C_SDSP),
];

/// The operands of an instruction, in the order in which assembly names them.
pub fn operands(def: &InsnDef) -> impl Iterator<Item = &'static Operand> {
    pieces(def.operands).filter_map(find)
}

fn find(name: &'static str) -> Option<&'static Operand> {
    OPERANDS.iter().find(|o| o.name == name)
}

/// The text of `word`, which is a `def`, at `pc` in an address space of `xlen` bits.
pub fn disassemble(def: &InsnDef, word: u32, pc: u64, xlen: u32) -> String {
    let mut text = mnemonic(def, word);
    if !def.operands.is_empty() {
        text.push(' ');
    }
    for piece in pieces(def.operands) {
        match find(piece) {
            Some(operand) => text.push_str(&operand.text(word, pc, xlen)),
            None => text.push_str(piece),
        }
    }
    text
}

/// The name, with the ordering bits of an atomic.
fn mnemonic(def: &InsnDef, word: u32) -> String {
    const AMO: u32 = 0b010_1111;
    let order = match word >> 25 & 3 {
        _ if def.pattern.value & 0x7f != AMO => "",
        0 => "",
        1 => ".rl",
        2 => ".aq",
        _ => ".aqrl",
    };
    format!("{}{order}", def.name)
}

impl Operand {
    fn text(&self, word: u32, pc: u64, xlen: u32) -> String {
        let value = self.field.get(word);
        let index = value as usize;
        match self.kind {
            Kind::X => X_NAMES[index].to_owned(),
            Kind::F => F_NAMES[index].to_owned(),
            Kind::XShort => X_NAMES[8 + index].to_owned(),
            Kind::FShort => F_NAMES[8 + index].to_owned(),
            Kind::Imm => value.to_string(),
            Kind::Target => format!("{:#x}", pc.wrapping_add(value as u64) & u64::MAX >> (64 - xlen)),
            Kind::Upper => format!("{:#x}", value >> 12 & 0xf_ffff),
            Kind::Csr => csr::name(value as u32).map_or_else(|| format!("{value:#x}"), str::to_owned),
            Kind::Round => ["rne", "rtz", "rdn", "rup", "rmm", "rm5", "rm6", "dyn"][index].to_owned(),
            Kind::Accesses => accesses(value),
        }
    }
}

/// The letters of a set of accesses: device input, device output, reads, writes.
fn accesses(set: i64) -> String {
    if set == 0 {
        return "0".to_owned();
    }
    ["i", "o", "r", "w"]
        .iter()
        .enumerate()
        .filter(|(n, _)| set >> (3 - n) & 1 == 1)
        .map(|(_, letter)| *letter)
        .collect()
}

/// How a word that is no instruction is printed: as the assembler takes it.
pub fn unknown(word: u32, len: u8) -> String {
    format!(".insn {len}, {word:#0width$x}", width = 2 + 2 * usize::from(len))
}
