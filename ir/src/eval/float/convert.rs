//! Conversions between integers and floats, between the formats, and rounding to an integral value.

use super::value::{self, Format, Number, Value};
use super::{FpEnv, nan};
use crate::eval::sign_extend;
use crate::op::{FpFlags, NanRule};
use crate::types::Type;

/// Rounds to an integral value of the same format; a zero keeps the operand's sign.
pub(super) fn round_to_integral(format: Format, env: FpEnv, a: Value) -> (u64, FpFlags) {
    let Value::Finite(n) = a else {
        return value::round(format, env, a);
    };
    if n.exp >= 0 {
        return value::round(format, env, a);
    }
    let (significand, inexact) = n.round_at(0, env.round);
    let integral = match significand {
        0 => Value::Zero(n.negative),
        _ => Value::Finite(Number { significand, exp: 0, ..n }),
    };
    let (bits, flags) = value::round(format, env, integral);
    (bits, flags | inexact_if(inexact))
}

/// To an integer of type `to`: rounds, then saturates with invalid instead of inexact (RISC-V unprivileged manual, table
/// "Domains of float-to-integer conversions"; for MIPS volume I-A, "Values returned by invalid conversions").
pub(super) fn to_int(format: Format, to: Type, signed: bool, env: FpEnv, a: u64) -> (u64, FpFlags) {
    let max = to.mask() >> u32::from(signed);
    let (negative, magnitude, inexact) = match format.unpack(a) {
        Value::Nan if env.nan == NanRule::Propagate => return (0, FpFlags::NV),
        Value::Nan => return (max, FpFlags::NV),
        Value::Zero(_) => return (0, FpFlags::NONE),
        Value::Infinity(negative) => (negative, u128::MAX, false),
        // Above any integer type, and too far for the shift.
        Value::Finite(n) if n.exp > 64 => (n.negative, u128::MAX, false),
        Value::Finite(n) => {
            let (magnitude, inexact) = n.round_at(0, env.round);
            (n.negative, magnitude, inexact)
        }
    };
    // The magnitude of the least integer: one more than the largest, or 0.
    let min = if signed { max + 1 } else { 0 };
    match negative {
        true if magnitude > min.into() && env.nan == NanRule::Legacy => (max, FpFlags::NV),
        true if magnitude > min.into() => (min, FpFlags::NV),
        true => ((magnitude as u64).wrapping_neg() & to.mask(), inexact_if(inexact)),
        false if magnitude > max.into() => (max, FpFlags::NV),
        false => (magnitude as u64, inexact_if(inexact)),
    }
}

/// From an integer of type `from`.
pub(super) fn from_int(from: Type, signed: bool, format: Format, env: FpEnv, a: u64) -> (u64, FpFlags) {
    let integer = if signed { sign_extend(from, a).into() } else { i128::from(a) };
    let result = match integer.unsigned_abs() {
        0 => Value::Zero(false),
        significand => Value::Finite(Number { negative: integer < 0, significand, exp: 0 }),
    };
    value::round(format, env, result)
}

/// Between the formats.
pub(super) fn format(from: Format, to: Format, env: FpEnv, a: u64) -> (u64, FpFlags) {
    match nan::from_operands(from, env.nan, &[a]) {
        // A legacy signalling NaN leaves nothing of itself.
        Some((_, flags)) if flags != FpFlags::NONE && env.nan == NanRule::Legacy => (nan::default(to, env.nan), flags),
        Some((bits, flags)) => (nan::convert(from, to, env.nan, bits), flags),
        None => value::round(to, env, from.unpack(a)),
    }
}

fn inexact_if(inexact: bool) -> FpFlags {
    if inexact { FpFlags::NX } else { FpFlags::NONE }
}
