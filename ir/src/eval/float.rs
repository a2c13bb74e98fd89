//! Floating-point ops, exact in all rounding modes, with flags.

use crate::op::{FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, FpFlags, NanRule, Round};
use crate::types::Type;

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
pub fn unary(op: FloatUnaryOp, ty: Type, env: FpEnv, a: u64) -> (u64, FpFlags) {
    let _ = (op, ty, env, a);
    todo!()
}

/// A binary op on type `ty`.
pub fn binary(op: FloatBinaryOp, ty: Type, env: FpEnv, a: u64, b: u64) -> (u64, FpFlags) {
    let _ = (op, ty, env, a, b);
    todo!()
}

/// `a * b + c`, rounded once.
pub fn fma(ty: Type, env: FpEnv, a: u64, b: u64, c: u64) -> (u64, FpFlags) {
    let _ = (ty, env, a, b, c);
    todo!()
}

/// A comparison on type `ty`.
pub fn compare(cond: FloatCond, signaling: bool, ty: Type, nan: NanRule, a: u64, b: u64) -> (bool, FpFlags) {
    let _ = (cond, signaling, ty, nan, a, b);
    todo!()
}

/// RISC-V's `fclass` mask (unprivileged manual, table "Format of result of FCLASS instruction").
pub fn classify(ty: Type, nan: NanRule, a: u64) -> u64 {
    let _ = (ty, nan, a);
    todo!()
}

/// A conversion from type `from` to type `to`.
pub fn convert(op: FloatConvertOp, from: Type, to: Type, env: FpEnv, a: u64) -> (u64, FpFlags) {
    let _ = (op, from, to, env, a);
    todo!()
}
