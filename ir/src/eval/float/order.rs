//! Comparisons, minimum and maximum, classification: ops that round nothing.

use super::nan;
use super::value::Format;
use crate::op::{FloatCond, FpFlags, NanRule, Quietness};
use crate::types::Type;

/// A comparison on type `ty`.
#[inline]
pub fn compare(cond: FloatCond, quietness: Quietness, ty: Type, nan: NanRule, a: u64, b: u64) -> (bool, FpFlags) {
    let format = Format::of(ty);
    if format.is_nan(a) || format.is_nan(b) {
        let invalid = match quietness {
            Quietness::Silent => false,
            Quietness::Quiet => nan::is_signaling(format, nan, a) || nan::is_signaling(format, nan, b),
            Quietness::Signaling => true,
        };
        return (cond == FloatCond::Unordered, if invalid { FpFlags::NV } else { FpFlags::NONE });
    }
    let (a, b) = (host(ty, a), host(ty, b));
    let holds = match cond {
        FloatCond::Eq => a == b,
        FloatCond::Lt => a < b,
        FloatCond::Le => a <= b,
        FloatCond::Unordered => false,
    };
    (holds, FpFlags::NONE)
}

/// RISC-V's `fclass` mask (unprivileged manual, table "Format of result of FCLASS instruction").
#[inline]
pub fn classify(ty: Type, nan: NanRule, a: u64) -> u64 {
    let format = Format::of(ty);
    let negative = format.is_negative(a);
    let magnitude = a & !format.sign_bit();
    // The numbers' classes lie mirrored around zero.
    let number = |from_zero: u32| if negative { 1 << (3 - from_zero) } else { 1 << (4 + from_zero) };
    match magnitude {
        0 => number(0),
        m if m <= format.frac_mask() => number(1),
        m if m < format.infinity() => number(2),
        m if m == format.infinity() => number(3),
        _ if nan::is_signaling(format, nan, a) => 1 << 8,
        _ => 1 << 9,
    }
}

/// The operand that `wins` against the other; a number wins over a quiet NaN.
///
/// A signalling NaN raises invalid. RISC-V (IEEE 754-2019) then still gives the number; MIPS Release 6 has minNum and
/// maxNum of IEEE 754-2008, which give a quiet NaN.
#[inline]
pub(super) fn min_max(
    format: Format,
    rule: NanRule,
    a: u64,
    b: u64,
    wins: fn(Format, u64, u64) -> bool,
) -> (u64, FpFlags) {
    let Some((nan, flags)) = nan::from_operands(format, rule, &[a, b]) else {
        return (if wins(format, a, b) { a } else { b }, FpFlags::NONE);
    };
    let number_wins = flags == FpFlags::NONE || rule == NanRule::Canonical;
    match (format.is_nan(a), format.is_nan(b)) {
        (true, false) if number_wins => (b, flags),
        (false, true) if number_wins => (a, flags),
        _ => (nan, flags),
    }
}

/// `a < b` for numbers, with -0 < +0.
#[inline]
pub(super) fn total_lt(format: Format, a: u64, b: u64) -> bool {
    order_key(format, a) < order_key(format, b)
}

/// `a > b` for numbers, with +0 > -0.
#[inline]
pub(super) fn total_gt(format: Format, a: u64, b: u64) -> bool {
    order_key(format, a) > order_key(format, b)
}

/// Integers in the order of the numbers: sign and magnitude as one's complement.
fn order_key(format: Format, bits: u64) -> i64 {
    let magnitude = (bits & !format.sign_bit()) as i64;
    if format.is_negative(bits) { !magnitude } else { magnitude }
}

/// The number as a host float; exact.
fn host(ty: Type, bits: u64) -> f64 {
    match ty {
        Type::F32 => f32::from_bits(bits as u32).into(),
        _ => f64::from_bits(bits),
    }
}
