//! Assembly, from the same table as the decoder, in the style of LLVM: `addiu $sp, $sp, -32`.
//!
//! No pseudo-instructions but `nop`: `addu $a0, $a1, $zero` and not `move $a0, $a1`. The operands of a line are a template such as
//! `rt, imm(rs)`: names stand for operands, all else for itself.

use crate::fields::*;
use crate::regs::{FPR_NAMES, GPR_NAMES};
use crate::table::InsnDef;
use emu_ir::pattern::pieces;

/// What an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A general register.
    Gpr,
    /// A floating-point register of 32 bits.
    Single,
    /// A floating-point register of 64 bits; with `FR` = 0 it must be even.
    Double,
    /// A register that has only a number.
    Number,
    /// A floating-point condition.
    Fcc,
    /// A number, and what is added to it.
    Imm(i64),
    /// A bit field's size: from the position of its last bit, and the number of the first one in `sa`.
    Size(i64),
    /// A mask in hexadecimal.
    Hex,
    /// An offset from the next instruction.
    Branch,
    /// An address in the 256 MiB of the next instruction.
    Jump,
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

/// All operands that the table names.
#[rustfmt::skip]
pub static OPERANDS: &[Operand] = &[
    operand("rs",       Kind::Gpr,      RS),
    operand("rt",       Kind::Gpr,      RT),
    operand("rd",       Kind::Gpr,      RD),
    operand("f_d",      Kind::Single,   SA),
    operand("f_s",      Kind::Single,   RD),
    operand("f_t",      Kind::Single,   RT),
    operand("f_r",      Kind::Single,   RS),
    operand("d_d",      Kind::Double,   SA),
    operand("d_s",      Kind::Double,   RD),
    operand("d_t",      Kind::Double,   RT),
    operand("d_r",      Kind::Double,   RS),
    operand("hw",       Kind::Number,   RD),
    operand("c0",       Kind::Number,   RD),
    operand("c_t",      Kind::Number,   RT),
    operand("fcr",      Kind::Number,   RD),
    operand("cc18",     Kind::Fcc,      Field::unsigned(20, 18)),
    operand("cc8",      Kind::Fcc,      Field::unsigned(10, 8)),
    operand("sa",       Kind::Imm(0),   SA),
    operand("pos32",    Kind::Imm(32),  SA),
    operand("size",     Kind::Imm(1),   RD),
    operand("size33",   Kind::Imm(33),  RD),
    operand("sizei",    Kind::Size(1),  RD),
    operand("sizei33",  Kind::Size(33), RD),
    operand("scale",    Kind::Imm(1),   Field::unsigned(7, 6)),
    operand("bytes",    Kind::Imm(0),   Field::unsigned(7, 6)),
    operand("bytes8",   Kind::Imm(0),   Field::unsigned(8, 6)),
    operand("op",       Kind::Imm(0),   RT),
    operand("opx",      Kind::Imm(0),   RD),
    operand("sel",      Kind::Imm(0),   Field::unsigned(2, 0)),
    operand("code10",   Kind::Imm(0),   Field::unsigned(15, 6)),
    operand("code19",   Kind::Hex,      Field::unsigned(24, 6)),
    operand("code20",   Kind::Imm(0),   Field::unsigned(25, 6)),
    operand("code26",   Kind::Hex,      Field::unsigned(25, 0)),
    operand("break1",   Kind::Imm(0),   Field::unsigned(25, 16)),
    operand("break2",   Kind::Imm(0),   Field::unsigned(15, 6)),
    operand("imm",      Kind::Imm(0),   IMM),
    operand("uimm",     Kind::Imm(0),   UIMM),
    operand("imm9",     Kind::Imm(0),   IMM9),
    operand("pc19",     Kind::Imm(0),   PC19),
    operand("pc18",     Kind::Imm(0),   PC18),
    operand("branch",   Kind::Branch,   BRANCH),
    operand("branch21", Kind::Branch,   BRANCH21),
    operand("branch26", Kind::Branch,   BRANCH26),
    operand("jump",     Kind::Jump,     JUMP),
];

/// The conditions of C.cond.fmt.
const C_CONDITIONS: [&str; 16] =
    ["f", "un", "eq", "ueq", "olt", "ult", "ole", "ule", "sf", "ngle", "seq", "ngl", "lt", "nge", "le", "ngt"];

/// Those of CMP.cond.fmt; the ones that are not named do not exist.
#[rustfmt::skip]
const CMP_CONDITIONS: [&str; 32] = [
    "af", "un", "eq", "ueq", "lt", "ult", "le", "ule", "saf", "sun", "seq", "sueq", "slt", "sult", "sle", "sule",
    "", "or", "une", "ne", "", "", "", "", "", "sor", "sune", "sne", "", "", "", "",
];

/// The operands of an instruction, in the order in which assembly names them.
pub fn operands(def: &InsnDef) -> impl Iterator<Item = &'static Operand> + use<> {
    pieces(def.operands).filter_map(find)
}

fn find(name: &'static str) -> Option<&'static Operand> {
    OPERANDS.iter().find(|o| o.name == name)
}

/// The text of `word`, which is a `def`, at `pc` in an address space of `bits` bits.
pub fn disassemble(def: &InsnDef, word: u32, pc: u64, bits: u32) -> String {
    let mut text = mnemonic(def, word);
    if !def.operands.is_empty() {
        text.push(' ');
    }
    for piece in pieces(def.operands) {
        match find(piece) {
            Some(operand) => text.push_str(&operand.text(word, pc, bits)),
            None if piece == "zero" => text.push_str("$zero"),
            None => text.push_str(piece),
        }
    }
    text
}

/// The name, with its condition.
fn mnemonic(def: &InsnDef, word: u32) -> String {
    match def.name.split_once("cond") {
        Some(("c.", format)) => format!("c.{}{format}", C_CONDITIONS[word as usize & 15]),
        Some((cmp, format)) => format!("{cmp}{}{format}", CMP_CONDITIONS[word as usize & 31]),
        None => def.name.to_owned(),
    }
}

impl Operand {
    fn text(&self, word: u32, pc: u64, bits: u32) -> String {
        let value = self.field.get(word);
        let index = value as usize;
        let address = |to: u64| format!("{:#x}", to & u64::MAX >> (64 - bits));
        match self.kind {
            Kind::Gpr => format!("${}", GPR_NAMES[index]),
            Kind::Single | Kind::Double => format!("${}", FPR_NAMES[index]),
            Kind::Number => format!("${value}"),
            Kind::Fcc => format!("$fcc{value}"),
            Kind::Imm(add) => (value + add).to_string(),
            Kind::Size(add) => (value + add - SA.get(word)).to_string(),
            Kind::Hex => format!("{value:#x}"),
            Kind::Branch => address(pc.wrapping_add(4).wrapping_add(value as u64)),
            Kind::Jump => address(pc.wrapping_add(4) & !0x0fff_ffff | value as u64),
        }
    }
}

/// How a word that is no instruction is printed: as the assembler takes it.
pub fn unknown(word: u32) -> String {
    format!(".word {word:#010x}")
}
