//! Which NaN an op gives, by [`NanRule`].

use super::value::{Format, Value};
use crate::op::{FpFlags, NanRule};

/// The NaN that an invalid operation on numbers gives.
pub(super) const fn default(format: Format, rule: NanRule) -> u64 {
    match rule {
        NanRule::Canonical | NanRule::Propagate => format.infinity() | format.quiet_bit(),
        NanRule::Legacy => format.infinity() | (format.quiet_bit() - 1),
    }
}

#[inline]
pub(super) fn is_signaling(format: Format, rule: NanRule, bits: u64) -> bool {
    let quiet = (bits & format.quiet_bit() != 0) != (rule == NanRule::Legacy);
    format.is_nan(bits) && !quiet
}

/// The result of an op with a NaN among its operands, else nothing.
///
/// Signalling operands come first, then quiet ones, each in order. A legacy signalling NaN cannot be made quiet by
/// setting a bit: the result is the default NaN.
#[inline]
pub(super) fn from_operands(format: Format, rule: NanRule, operands: &[u64]) -> Option<(u64, FpFlags)> {
    if !operands.iter().any(|&bits| format.is_nan(bits)) {
        return None;
    }
    let signaling = operands.iter().copied().find(|&bits| is_signaling(format, rule, bits));
    let bits = signaling.or_else(|| operands.iter().copied().find(|&bits| format.is_nan(bits)))?;
    let result = match rule {
        NanRule::Propagate => bits | format.quiet_bit(),
        NanRule::Legacy if signaling.is_none() => bits,
        NanRule::Canonical | NanRule::Legacy => default(format, rule),
    };
    Some((result, if signaling.is_some() { FpFlags::NV } else { FpFlags::NONE }))
}

/// As [`from_operands`] for `a * b + c`, where the addend comes first (it is the destination of MIPS's `MADDF`).
///
/// An invalid product (`0 * inf`) raises invalid even where `c` is a quiet NaN; the legacy rule then gives the default
/// NaN, the others what `c` gives.
pub(super) fn from_fma_operands(
    format: Format,
    rule: NanRule,
    [a, b, c]: [u64; 3],
    product: Value,
) -> Option<(u64, FpFlags)> {
    let (bits, flags) = from_operands(format, rule, &[c, a, b])?;
    let invalid = matches!(product, Value::Nan) && !format.is_nan(a) && !format.is_nan(b);
    match (invalid, rule) {
        (false, _) => Some((bits, flags)),
        (true, NanRule::Legacy) => Some((default(format, rule), FpFlags::NV)),
        (true, _) => Some((bits, FpFlags::NV)),
    }
}

/// A NaN of format `from` as one of format `to`: the sign and the payload's high bits stay.
pub(super) fn convert(from: Format, to: Format, rule: NanRule, bits: u64) -> u64 {
    let payload = bits & from.frac_mask();
    let payload = match to.frac_bits.checked_sub(from.frac_bits) {
        Some(wider) => payload << wider,
        None => payload >> (from.frac_bits - to.frac_bits),
    };
    match payload {
        0 => default(to, rule),
        _ => to.with_sign(from.is_negative(bits), to.infinity() | payload),
    }
}
