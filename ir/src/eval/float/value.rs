//! The two formats, unpacked values, and the one function that rounds.

use super::{FpEnv, nan};
use crate::op::{FpFlags, Round};
use crate::types::Type;

/// An IEEE 754 binary interchange format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    exp_bits: u32,
    /// Bits of the fraction field; the precision is one more.
    pub(super) frac_bits: u32,
}

/// A number that is not zero: `significand * 2^exp`.
///
/// The significand stays below 2^126. Where an op loses bits it sets the lowest one kept ("sticky"), and keeps at
/// least three more than the precision: rounding then cannot tell the difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    pub(super) negative: bool,
    pub(super) significand: u128,
    pub(super) exp: i32,
}

/// What a format's bits stand for, or the exact result of an op.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// As an operand a NaN, as a result an invalid operation.
    Nan,
    /// With its sign (true is negative).
    Infinity(bool),
    /// With its sign (true is negative).
    Zero(bool),
    Finite(Number),
}

impl Format {
    const SINGLE: Format = Format { exp_bits: 8, frac_bits: 23 };
    const DOUBLE: Format = Format { exp_bits: 11, frac_bits: 52 };

    #[inline]
    pub(super) const fn of(ty: Type) -> Format {
        match ty {
            Type::F32 => Format::SINGLE,
            _ => Format::DOUBLE,
        }
    }

    pub(super) const fn sign_bit(self) -> u64 {
        1 << (self.exp_bits + self.frac_bits)
    }

    /// The most significant bit of the fraction, which tells quiet from signalling NaNs.
    pub(super) const fn quiet_bit(self) -> u64 {
        1 << (self.frac_bits - 1)
    }

    /// Positive infinity; also the mask of the exponent field.
    pub(super) const fn infinity(self) -> u64 {
        ((1 << self.exp_bits) - 1) << self.frac_bits
    }

    pub(super) const fn frac_mask(self) -> u64 {
        (1 << self.frac_bits) - 1
    }

    /// The exponent of the largest binade.
    const fn max_exp(self) -> i32 {
        (1 << (self.exp_bits - 1)) - 1
    }

    /// The exponent of the smallest normal number.
    const fn min_exp(self) -> i32 {
        1 - self.max_exp()
    }

    pub(super) const fn is_negative(self, bits: u64) -> bool {
        bits & self.sign_bit() != 0
    }

    #[inline]
    pub(super) const fn is_nan(self, bits: u64) -> bool {
        bits & !self.sign_bit() > self.infinity()
    }

    pub(super) fn unpack(self, bits: u64) -> Value {
        let negative = self.is_negative(bits);
        let frac = bits & self.frac_mask();
        let biased = (bits & self.infinity()) >> self.frac_bits;
        let number = |significand: u64, biased: i32| {
            let exp = self.min_exp() - self.frac_bits as i32 + biased - 1;
            Value::Finite(Number { negative, significand: significand.into(), exp })
        };
        match (biased, frac) {
            (0, 0) => Value::Zero(negative),
            (0, _) => number(frac, 1),
            _ if biased << self.frac_bits != self.infinity() => number(frac | 1 << self.frac_bits, biased as i32),
            (_, 0) => Value::Infinity(negative),
            _ => Value::Nan,
        }
    }

    pub(super) fn with_sign(self, negative: bool, magnitude: u64) -> u64 {
        if negative { magnitude | self.sign_bit() } else { magnitude }
    }
}

impl Number {
    /// The exponent of the leading one: the magnitude is in `[2^top, 2^(top+1))`.
    fn top(self) -> i32 {
        self.exp + self.significand.ilog2() as i32
    }

    /// The same number with the leading one of the significand at bit `at`, not to the right of where it is.
    pub(super) fn with_leading_one_at(self, at: u32) -> Number {
        let shift = at - self.significand.ilog2();
        Number { significand: self.significand << shift, exp: self.exp - shift as i32, ..self }
    }

    /// The magnitude as a multiple of `2^exp`, and whether rounding changed it.
    ///
    /// The caller sees to it that the multiple has less than 128 bits.
    pub(super) fn round_at(self, exp: i32, round: Round) -> (u128, bool) {
        let shift = exp - self.exp;
        if shift <= 0 {
            return (self.significand << -shift, false);
        }
        // A significand has 126 bits at most, so any larger shift also leaves 0 and less than one half.
        let shift = shift.min(127);
        let kept = self.significand >> shift;
        let rest = self.significand - (kept << shift);
        let half = 1 << (shift - 1);
        let away = match round {
            Round::NearestEven | Round::Dynamic => rest > half || rest == half && kept & 1 == 1,
            Round::NearestAway => rest >= half,
            Round::TowardZero => false,
            Round::Down => self.negative && rest != 0,
            Round::Up => !self.negative && rest != 0,
        };
        (kept + u128::from(away), rest != 0)
    }
}

impl Value {
    pub(super) fn negate(self) -> Value {
        match self {
            Value::Nan => Value::Nan,
            Value::Infinity(negative) => Value::Infinity(!negative),
            Value::Zero(negative) => Value::Zero(!negative),
            Value::Finite(n) => Value::Finite(Number { negative: !n.negative, ..n }),
        }
    }
}

/// Rounds a result into `format`; [`Value::Nan`] is an invalid operation.
pub(super) fn round(format: Format, env: FpEnv, value: Value) -> (u64, FpFlags) {
    match value {
        Value::Nan => (nan::default(format, env.nan), FpFlags::NV),
        Value::Infinity(negative) => (format.with_sign(negative, format.infinity()), FpFlags::NONE),
        Value::Zero(negative) => (format.with_sign(negative, 0), FpFlags::NONE),
        Value::Finite(number) => {
            let (magnitude, flags) = round_number(format, env.round, number);
            (format.with_sign(number.negative, magnitude), flags)
        }
    }
}

fn round_number(format: Format, round: Round, n: Number) -> (u64, FpFlags) {
    if n.top() > format.max_exp() {
        return overflow(format, round, n.negative);
    }
    let frac_bits = format.frac_bits as i32;
    // The exponent of the result's last place, which is that of the subnormals at least.
    let place = n.top().max(format.min_exp()) - frac_bits;
    let (multiple, inexact) = n.round_at(place, round);
    // Each binade is one step of the exponent field. The leading one, and a carry out of rounding, add to that field.
    let binade = (place - (format.min_exp() - frac_bits)) as u64;
    let magnitude = (binade << frac_bits) + multiple as u64;
    match inexact {
        _ if magnitude >= format.infinity() => overflow(format, round, n.negative),
        false => (magnitude, FpFlags::NONE),
        true if is_tiny(format, round, n) => (magnitude, FpFlags::UF | FpFlags::NX),
        true => (magnitude, FpFlags::NX),
    }
}

/// Is the number below the normal ones even when rounded as if the exponent had no lower bound?
fn is_tiny(format: Format, round: Round, n: Number) -> bool {
    let below = format.min_exp() - n.top();
    let carries = || n.round_at(n.top() - format.frac_bits as i32, round).0 >> (format.frac_bits + 1) != 0;
    below > 1 || below == 1 && !carries()
}

fn overflow(format: Format, round: Round, negative: bool) -> (u64, FpFlags) {
    let to_finite = match round {
        Round::NearestEven | Round::NearestAway | Round::Dynamic => false,
        Round::TowardZero => true,
        Round::Down => !negative,
        Round::Up => negative,
    };
    (format.infinity() - u64::from(to_finite), FpFlags::OF | FpFlags::NX)
}
