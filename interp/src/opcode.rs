//! The decoded op and the numbering of op codes: `base + position in a family's table`.
//!
//! `exec` fills its handler table by the same functions.

use emu_ir::{BinaryOp, Cond, FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, Type, UnaryOp};

/// One decoded op. Operands are indices into [`emu_ir::CpuState::slots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    /// Which handler, below [`COUNT`].
    pub(crate) code: u16,
    /// Where the result goes.
    pub(crate) d: u8,
    /// The operands.
    pub(crate) a: u8,
    pub(crate) b: u8,
    pub(crate) c: u8,
    /// Constant operand, address offset or index of a side table.
    pub(crate) imm: u64,
}

/// The shape of a binary op: the four integer types, then `i32` with the result sign-extended to `i64`.
pub(crate) const WIDTHS: usize = 5;
/// The fifth of [`WIDTHS`].
pub(crate) const WORD: u8 = 4;

pub(crate) const BINARY: u16 = 0;
pub(crate) const COMPARE: u16 = BINARY + (BinaryOp::ALL.len() * WIDTHS * 2) as u16;
pub(crate) const BRANCH: u16 = COMPARE + (Cond::ALL.len() * 4 * 2) as u16;
pub(crate) const UNARY: u16 = BRANCH + (Cond::ALL.len() * 2 * 2) as u16;
pub(crate) const LOAD: u16 = UNARY + (UnaryOp::ALL.len() * 4) as u16;
pub(crate) const STORE: u16 = LOAD + 64;
pub(crate) const SEXT: u16 = STORE + 16;
pub(crate) const TRUNC: u16 = SEXT + 6;
pub(crate) const FLOAT_UNARY: u16 = TRUNC + 3;
pub(crate) const FLOAT_BINARY: u16 = FLOAT_UNARY + (FloatUnaryOp::ALL.len() * 2) as u16;
pub(crate) const FLOAT_FMA: u16 = FLOAT_BINARY + (FloatBinaryOp::ALL.len() * 2) as u16;
pub(crate) const FLOAT_COMPARE: u16 = FLOAT_FMA + 2;
pub(crate) const FLOAT_CLASS: u16 = FLOAT_COMPARE + (FloatCond::ALL.len() * 2) as u16;
pub(crate) const FLOAT_CONVERT: u16 = FLOAT_CLASS + 2;
pub(crate) const FLOAT_FORMAT: u16 = FLOAT_CONVERT + 16;
pub(crate) const MISC: u16 = FLOAT_FORMAT + 2;

pub(crate) const CONST: u16 = MISC;
pub(crate) const MOVE: u16 = MISC + 1;
pub(crate) const SELECT: u16 = MISC + 2;
pub(crate) const SPILL: u16 = MISC + 3;
pub(crate) const FILL: u16 = MISC + 4;
pub(crate) const SLOW: u16 = MISC + 5;
pub(crate) const TRAP_IF: u16 = MISC + 6;
pub(crate) const JUMP: u16 = MISC + 7;
pub(crate) const BRANCH_IF: u16 = MISC + 8;
pub(crate) const INDIRECT: u16 = MISC + 9;
pub(crate) const LEAVE: u16 = MISC + 10;
pub(crate) const PAUSE: u16 = MISC + 11;
pub(crate) const LEAVE_IF: u16 = MISC + 12;
pub(crate) const LEAVE_TO: u16 = MISC + 13;
pub(crate) const BOX: u16 = MISC + 14;
pub(crate) const UNBOX: u16 = MISC + 15;

/// Size of the handler table: a power of two, so that a masked code needs no bounds check.
pub(crate) const COUNT: usize = 512;
const _: () = assert!((UNBOX as usize) < COUNT);

/// `width` is an integer type's position in [`Type::ALL`], or [`WORD`].
pub(crate) const fn binary(op: BinaryOp, width: u8, imm: bool) -> u16 {
    BINARY + ((op as u16) * WIDTHS as u16 + width as u16) * 2 + imm as u16
}

pub(crate) const fn compare(cond: Cond, ty: Type, imm: bool) -> u16 {
    COMPARE + ((cond as u16) * 4 + ty as u16) * 2 + imm as u16
}

/// `ty` is `i32` or `i64`.
pub(crate) const fn branch(cond: Cond, ty: Type, imm: bool) -> u16 {
    BRANCH + ((cond as u16) * 2 + (ty as u16 - Type::I32 as u16)) * 2 + imm as u16
}

pub(crate) const fn unary(op: UnaryOp, ty: Type) -> u16 {
    UNARY + (op as u16) * 4 + ty as u16
}

/// `extend`: the integer type to sign-extend to, or [`Type::I8`] for none.
pub(crate) const fn load(bytes: u8, extend: Type, big_endian: bool, addr: Type) -> u16 {
    let shape = bytes.trailing_zeros() as u16 * 4 + extend as u16;
    LOAD + (shape * 2 + big_endian as u16) * 2 + (addr as u16 - Type::I32 as u16)
}

pub(crate) const fn store(bytes: u8, big_endian: bool, addr: Type) -> u16 {
    STORE + (bytes.trailing_zeros() as u16 * 2 + big_endian as u16) * 2 + (addr as u16 - Type::I32 as u16)
}

pub(crate) const fn sext(from: Type, to: Type) -> u16 {
    SEXT + match from {
        Type::I8 => to as u16 - 1,
        Type::I16 => 1 + to as u16,
        _ => 5,
    }
}

/// `to` is narrower than 64 bits.
pub(crate) const fn trunc(to: Type) -> u16 {
    TRUNC + to as u16
}

/// The position of a float type's op where a family has one for each.
const fn double(ty: Type) -> u16 {
    ty as u16 - Type::F32 as u16
}

pub(crate) const fn float_unary(op: FloatUnaryOp, ty: Type) -> u16 {
    FLOAT_UNARY + op as u16 * 2 + double(ty)
}

pub(crate) const fn float_binary(op: FloatBinaryOp, ty: Type) -> u16 {
    FLOAT_BINARY + op as u16 * 2 + double(ty)
}

pub(crate) const fn float_fma(ty: Type) -> u16 {
    FLOAT_FMA + double(ty)
}

pub(crate) const fn float_compare(cond: FloatCond, ty: Type) -> u16 {
    FLOAT_COMPARE + cond as u16 * 2 + double(ty)
}

pub(crate) const fn float_class(ty: Type) -> u16 {
    FLOAT_CLASS + double(ty)
}

pub(crate) const fn float_convert(op: FloatConvertOp, from: Type, to: Type) -> u16 {
    let (from, to) = match op {
        FloatConvertOp::Format => return FLOAT_FORMAT + double(from),
        FloatConvertOp::ToIntS | FloatConvertOp::ToIntU => (double(from), to as u16 - Type::I32 as u16),
        FloatConvertOp::FromIntS | FloatConvertOp::FromIntU => (from as u16 - Type::I32 as u16, double(to)),
    };
    FLOAT_CONVERT + op as u16 * 4 + from * 2 + to
}
