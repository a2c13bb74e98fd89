//! What each pure op computes. The interpreter, constant folding and the JIT's cold paths all call these.
//!
//! Values are bits in a `u64`, zero-extended from their type; results are too.

pub mod float;
mod int;

pub use int::{binary, compare, unary};

use crate::op::{Access, ConvertOp, UnaryOp};
use crate::types::Type;

/// Sign-extends the value of type `ty` to 64 bits.
#[inline(always)]
pub const fn sign_extend(ty: Type, a: u64) -> i64 {
    let shift = 64 - ty.bits();
    ((a << shift) as i64) >> shift
}

/// A conversion from type `from` to type `to`.
#[inline(always)]
pub fn convert(op: ConvertOp, from: Type, to: Type, a: u64) -> u64 {
    match op {
        ConvertOp::Zext | ConvertOp::Bitcast => a,
        ConvertOp::Sext => sign_extend(from, a) as u64 & to.mask(),
        ConvertOp::Trunc => a & to.mask(),
        ConvertOp::Box => a | 0xffff_ffff_0000_0000,
        ConvertOp::Unbox if a >> 32 == 0xffff_ffff => a & 0xffff_ffff,
        ConvertOp::Unbox => float::CANONICAL_NAN_F32,
    }
}

/// The address of an access at `addr + offset`, wrapping in the width of `ty`, the address's type.
#[inline(always)]
pub fn effective_address(ty: Type, addr: u64, offset: i32) -> u64 {
    addr.wrapping_add(offset as i64 as u64) & ty.mask()
}

/// The value of type `ty` that a load makes of its bytes, which are `raw` as a number in little endian.
#[inline(always)]
pub fn loaded(ty: Type, access: Access, raw: u64) -> u64 {
    let value = in_order(access, raw);
    if access.signed { convert(ConvertOp::Sext, access.ty(), ty, value) } else { value }
}

/// The number in the access's byte order as one in little endian, and the other way about.
#[inline(always)]
pub fn in_order(access: Access, value: u64) -> u64 {
    if access.big_endian { unary(UnaryOp::Bswap, access.ty(), value) } else { value }
}
