//! Floating-point ops: exact IEEE 754 results and flags in binary32 and binary64, in all five rounding modes,
//! with tininess detected after rounding (RISC-V unprivileged manual, chapter F).
//!
//! An op first takes its NaN operands out (`nan`), then computes the result as an exact `value::Value` (or one
//! whose lowest bit stands for all that was lost) in `arith`, then rounds it once in `value::round`. `fast` does the same
//! with the host's arithmetic where that provably gives the same bits and flags. Ops that round nothing are in
//! `order`, the conversions in `convert`.
//!
//! # NaNs
//! A signalling operand always raises invalid. What the result is:
//! - [`NanRule::Canonical`]: the canonical NaN.
//! - [`NanRule::Propagate`]: the first signalling operand made quiet, else the first quiet one. The addend of [`fma`]
//!   comes first.
//! - [`NanRule::Legacy`]: the default NaN (all fraction bits but the first) if an operand signals, else the first quiet one.
//!
//! [`FloatBinaryOp::MinNum`] and [`FloatBinaryOp::MaxNum`] of a number and a signalling NaN give the number under the canonical
//! rule (IEEE 754-2019), a NaN under the two others (IEEE 754-2008). What a conversion to an integer gives where it raises
//! invalid: under the canonical rule the nearest integer, and the largest for a NaN (RISC-V); with [`NanRule::Propagate`] the
//! same but 0 for a NaN (MIPS, NAN2008 = 1); with [`NanRule::Legacy`] always the largest (MIPS, NAN2008 = 0).
//!
//! # Why not `rustc_apfloat`
//! Its results are right in all modes, so the tests use it as an oracle for values. Its flags are not those we owe the
//! guest: an overflow that rounds to the largest finite number raises only inexact, tininess is judged on the
//! subnormal result (not after rounding with an unbounded exponent), it has no square root and no legacy NaNs. Each of
//! its rounding ops would need a second computation to repair the flags, so all are ours; they share one
//! rounding function.

mod arith;
mod convert;
mod fast;
mod nan;
#[cfg(test)]
mod operands;
mod order;
#[cfg(test)]
mod tests;
mod value;

pub use order::{classify, compare};

use crate::op::{FloatBinaryOp, FloatConvertOp, FloatUnaryOp, FpFlags, NanRule, Round};
use crate::types::Type;
use value::Format;

/// The canonical NaN of binary32.
pub const CANONICAL_NAN_F32: u64 = 0x7fc0_0000;
/// The canonical NaN of binary64.
pub const CANONICAL_NAN_F64: u64 = 0x7ff8_0000_0000_0000;

/// What a floating-point op needs to know beside its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FpEnv {
    /// The rounding mode; never [`Round::Dynamic`].
    pub round: Round,
    /// How NaN results look.
    pub nan: NanRule,
}

/// A unary op on type `ty`.
#[inline]
pub fn unary(op: FloatUnaryOp, ty: Type, env: FpEnv, a: u64) -> (u64, FpFlags) {
    let format = Format::of(ty);
    let sign = format.sign_bit();
    match op {
        FloatUnaryOp::NegNum | FloatUnaryOp::AbsNum if format.is_nan(a) => {
            let (bits, _) = nan::from_operands(format, env.nan, &[a]).expect("a NaN gives a NaN");
            (bits, FpFlags::NV)
        }
        FloatUnaryOp::NegNum => (a ^ sign, FpFlags::NONE),
        FloatUnaryOp::AbsNum => (a & !sign, FpFlags::NONE),
        FloatUnaryOp::Neg => (a ^ sign, FpFlags::NONE),
        FloatUnaryOp::Abs => (a & !sign, FpFlags::NONE),
        FloatUnaryOp::Sqrt | FloatUnaryOp::RoundInt => {
            fast::unary(op, ty, env.round, a).unwrap_or_else(|| slow_unary(op, ty, env, a))
        }
    }
}

/// A binary op on type `ty`.
#[inline]
pub fn binary(op: FloatBinaryOp, ty: Type, env: FpEnv, a: u64, b: u64) -> (u64, FpFlags) {
    let format = Format::of(ty);
    match op {
        FloatBinaryOp::CopySign => (a & !format.sign_bit() | b & format.sign_bit(), FpFlags::NONE),
        FloatBinaryOp::MinNum => order::min_max(format, env.nan, a, b, order::total_lt),
        FloatBinaryOp::MaxNum => order::min_max(format, env.nan, a, b, order::total_gt),
        _ => fast::binary(op, ty, env.round, a, b).unwrap_or_else(|| slow_binary(op, ty, env, a, b)),
    }
}

/// `a * b + c`, rounded once. `0 * inf + NaN` raises invalid, as RISC-V demands and MIPS does.
#[inline]
pub fn fma(ty: Type, env: FpEnv, a: u64, b: u64, c: u64) -> (u64, FpFlags) {
    fast::fma(ty, env.round, a, b, c).unwrap_or_else(|| slow_fma(ty, env, a, b, c))
}

/// A conversion from type `from` to type `to`.
#[inline]
pub fn convert(op: FloatConvertOp, from: Type, to: Type, env: FpEnv, a: u64) -> (u64, FpFlags) {
    fast::convert(op, from, to, env.round, a).unwrap_or_else(|| slow_convert(op, from, to, env, a))
}

#[cold]
fn slow_unary(op: FloatUnaryOp, ty: Type, env: FpEnv, a: u64) -> (u64, FpFlags) {
    let format = Format::of(ty);
    if let Some(nan) = nan::from_operands(format, env.nan, &[a]) {
        return nan;
    }
    match op {
        FloatUnaryOp::RoundInt => convert::round_to_integral(format, env, format.unpack(a)),
        _ => value::round(format, env, arith::square_root(format.unpack(a))),
    }
}

#[cold]
fn slow_binary(op: FloatBinaryOp, ty: Type, env: FpEnv, a: u64, b: u64) -> (u64, FpFlags) {
    let format = Format::of(ty);
    if let Some(nan) = nan::from_operands(format, env.nan, &[a, b]) {
        return nan;
    }
    let (x, y) = (format.unpack(a), format.unpack(b));
    let result = match op {
        FloatBinaryOp::Sub => arith::sum(x, y.negate(), env.round),
        FloatBinaryOp::Mul => arith::product(x, y),
        FloatBinaryOp::Div => arith::quotient(x, y),
        _ => arith::sum(x, y, env.round),
    };
    let (bits, flags) = value::round(format, env, result);
    let by_zero = op == FloatBinaryOp::Div && arith::divides_by_zero(x, y);
    (bits, if by_zero { flags | FpFlags::DZ } else { flags })
}

#[cold]
fn slow_fma(ty: Type, env: FpEnv, a: u64, b: u64, c: u64) -> (u64, FpFlags) {
    let format = Format::of(ty);
    let product = arith::product(format.unpack(a), format.unpack(b));
    if let Some(nan) = nan::from_fma_operands(format, env.nan, [a, b, c], product) {
        return nan;
    }
    value::round(format, env, arith::sum(product, format.unpack(c), env.round))
}

#[cold]
fn slow_convert(op: FloatConvertOp, from: Type, to: Type, env: FpEnv, a: u64) -> (u64, FpFlags) {
    match op {
        FloatConvertOp::ToIntS => convert::to_int(Format::of(from), to, true, env, a),
        FloatConvertOp::ToIntU => convert::to_int(Format::of(from), to, false, env, a),
        FloatConvertOp::FromIntS => convert::from_int(from, true, Format::of(to), env, a),
        FloatConvertOp::FromIntU => convert::from_int(from, false, Format::of(to), env, a),
        FloatConvertOp::Format => convert::format(Format::of(from), Format::of(to), env, a),
    }
}
