//! The common cases by the host's arithmetic.
//!
//! Rust's `+ - * /`, `sqrt` and `mul_add` on `f32` and `f64` are IEEE 754, rounded to nearest with ties to even (the
//! host's MXCSR has its default value whenever Rust code runs). That leaves the flags. Each function first makes
//! sure that nothing but inexact can be raised: operands or result lie where there is no NaN, no overflow and
//! no underflow. Then it decides inexactness by arithmetic that is itself exact; the comment says why. Whatever it is not
//! sure of is `None`: the caller computes it the slow way.

use crate::op::{FloatBinaryOp, FloatConvertOp, FloatUnaryOp, FpFlags, Round};
use crate::types::Type;

type Fast = Option<(u64, FpFlags)>;

/// Square root (rounding to nearest) and rounding to an integral value (all modes).
#[inline]
pub(super) fn unary(op: FloatUnaryOp, ty: Type, round: Round, a: u64) -> Fast {
    match (op, ty) {
        (FloatUnaryOp::RoundInt, Type::F32) => {
            let a = f32_of(a);
            let integral = integral(f64::from(a), round)?;
            result_f32(integral as f32, integral == f64::from(a))
        }
        (FloatUnaryOp::RoundInt, _) => {
            let a = f64::from_bits(a);
            let integral = integral(a, round)?;
            result_f64(integral, integral == a)
        }
        _ if round != Round::NearestEven => None,
        (_, Type::F32) => sqrt_f32(f32_of(a)),
        _ => sqrt_f64(f64::from_bits(a)),
    }
}

/// Sum, difference, product and quotient, rounded to nearest.
#[inline]
pub(super) fn binary(op: FloatBinaryOp, ty: Type, round: Round, a: u64, b: u64) -> Fast {
    if round != Round::NearestEven {
        return None;
    }
    match ty {
        Type::F32 => {
            let (a, b) = (f32_of(a), f32_of(b));
            match op {
                FloatBinaryOp::Sub => add_f32(a, -b),
                FloatBinaryOp::Mul => mul_f32(a, b),
                FloatBinaryOp::Div => div_f32(a, b),
                _ => add_f32(a, b),
            }
        }
        _ => {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            match op {
                FloatBinaryOp::Sub => add_f64(a, -b),
                FloatBinaryOp::Mul => mul_f64(a, b),
                FloatBinaryOp::Div => div_f64(a, b),
                _ => add_f64(a, b),
            }
        }
    }
}

/// `a * b + c`, rounded to nearest.
#[inline]
pub(super) fn fma(ty: Type, round: Round, a: u64, b: u64, c: u64) -> Fast {
    match ty {
        _ if round != Round::NearestEven => None,
        Type::F32 => fma_f32(f32_of(a).into(), f32_of(b).into(), f32_of(c).into()),
        _ => fma_f64(f64::from_bits(a), f64::from_bits(b), f64::from_bits(c)),
    }
}

/// Conversions: to an integer in all modes, the others to nearest or where they are exact.
#[inline]
pub(super) fn convert(op: FloatConvertOp, from: Type, to: Type, round: Round, a: u64) -> Fast {
    match op {
        FloatConvertOp::ToIntS => to_int(widen(from, a), to, true, round),
        FloatConvertOp::ToIntU => to_int(widen(from, a), to, false, round),
        FloatConvertOp::FromIntS => {
            let a = crate::eval::sign_extend(from, a);
            from_int(a as f32, a as f64, a.unsigned_abs(), to, round)
        }
        FloatConvertOp::FromIntU => from_int(a as f32, a as f64, a, to, round),
        FloatConvertOp::Format if to == Type::F32 => narrow(widen(from, a), round),
        FloatConvertOp::Format => {
            let a = widen(from, a);
            if a.is_nan() { None } else { result_f64(a, true) }
        }
    }
}

/// With `s` the rounded sum and `|a| >= |b|`, `s - a` has no rounding error (Dekker), so that `s - a == b` says whether
/// `s` is exact. We do not know which is the larger, so both ways must hold; both do if `s` is exact. Sums do not
/// underflow: a sum in the subnormal range is exact.
#[inline]
fn add_f64(a: f64, b: f64) -> Fast {
    let s = a + b;
    if !s.is_finite() {
        return None;
    }
    result_f64(s, s - a == b && s - b == a)
}

/// As [`add_f64`].
#[inline]
fn add_f32(a: f32, b: f32) -> Fast {
    let s = a + b;
    if !s.is_finite() {
        return None;
    }
    result_f32(s, s - a == b && s - b == a)
}

#[inline]
fn mul_f64(a: f64, b: f64) -> Fast {
    let p = a * b;
    if is_moderate(a) && is_moderate(b) {
        return result_f64(p, product_is_exact(a, b, p));
    }
    // The product with a zero, unless the other is not finite (that is a NaN).
    if (a == 0.0 || b == 0.0) && p == 0.0 { result_f64(p, true) } else { None }
}

/// In `f64` the product is exact (48 bits, and no exponent out of range); only the last step rounds.
#[inline]
fn mul_f32(a: f32, b: f32) -> Fast {
    narrow_normal(f64::from(a) * f64::from(b))
}

/// If `a / b` is exact then so is `q * b`, and it is `a`.
#[inline]
fn div_f64(a: f64, b: f64) -> Fast {
    let q = a / b;
    if is_moderate(a) && is_moderate(b) {
        let back = q * b;
        return result_f64(q, back == a && product_is_exact(q, b, back));
    }
    if a == 0.0 && q == 0.0 { result_f64(q, true) } else { None }
}

/// The product of the quotient and the divisor is exact in `f64`. A quotient above the least normal number in
/// magnitude was above it before rounding, too.
#[inline]
fn div_f32(a: f32, b: f32) -> Fast {
    let q = a / b;
    if q.is_finite() && q.abs() > f32::MIN_POSITIVE {
        return result_f32(q, f64::from(q) * f64::from(b) == f64::from(a));
    }
    if a == 0.0 && q == 0.0 { result_f32(q, true) } else { None }
}

/// As [`div_f64`]: an exact root squares to `a` exactly.
#[inline]
fn sqrt_f64(a: f64) -> Fast {
    let root = a.sqrt();
    if a > 0.0 && is_moderate(a) {
        let back = root * root;
        return result_f64(root, back == a && product_is_exact(root, root, back));
    }
    if a == 0.0 { result_f64(root, true) } else { None }
}

/// The square is exact in `f64`. Roots of subnormal numbers are normal.
#[inline]
fn sqrt_f32(a: f32) -> Fast {
    let root = a.sqrt();
    if (0.0..f32::INFINITY).contains(&a) {
        return result_f32(root, f64::from(root) * f64::from(root) == f64::from(a));
    }
    None
}

/// Boldo and Muller, "Exact and approximated error of the FMA": `gamma + alpha_low` is the error of the result, both
/// terms being exact as long as nothing overflows or underflows.
#[inline]
fn fma_f64(a: f64, b: f64, c: f64) -> Fast {
    let product = a * b;
    if is_moderate(a) && is_moderate(b) && (c == 0.0 || is_moderate(c)) {
        let result = a.mul_add(b, c);
        let product_low = a.mul_add(b, -product);
        let (alpha, alpha_low) = two_sum(c, product_low);
        let (beta, beta_low) = two_sum(product, alpha);
        let gamma = (beta - result) + beta_low;
        return result_f64(result, gamma == -alpha_low);
    }
    let zero_product = (a == 0.0 || b == 0.0) && product == 0.0;
    if zero_product && c.is_finite() { result_f64(product + c, true) } else { None }
}

/// The operands are `f32`s, so their product is exact in `f64`. The sum is made "round to odd": if it is inexact, of
/// the two neighbours of the exact sum the odd one. With 53 bits, more than 24 + 2, rounding that to `f32` gives what
/// rounding the exact sum gives, and an odd 53-bit number is never an `f32`, so it is inexact as it should be.
#[inline]
fn fma_f32(a: f64, b: f64, c: f64) -> Fast {
    let (sum, low) = two_sum(a * b, c);
    let even = sum.to_bits() & 1 == 0;
    let odd = match low != 0.0 && even {
        false => sum,
        true if (low > 0.0) == (sum > 0.0) => f64::from_bits(sum.to_bits() + 1),
        true => f64::from_bits(sum.to_bits() - 1),
    };
    narrow_normal(odd)
}

/// A number, exact in `f64` or rounded to odd, as an `f32`. From the least normal `f32` up nothing is tiny.
#[inline]
fn narrow_normal(a: f64) -> Fast {
    let narrow = a as f32;
    let normal = a.abs() >= f32::MIN_POSITIVE.into() && narrow.is_finite();
    if normal || a == 0.0 { result_f32(narrow, f64::from(narrow) == a) } else { None }
}

#[inline]
fn narrow(a: f64, round: Round) -> Fast {
    narrow_normal(a).filter(|&(_, flags)| round == Round::NearestEven || flags == FpFlags::NONE)
}

#[inline]
fn to_int(a: f64, to: Type, signed: bool, round: Round) -> Fast {
    let integral = integral(a, round)?;
    // Powers of two, so exact.
    let (min, end) = match signed {
        true => (-power_of_two(to.bits() - 1), power_of_two(to.bits() - 1)),
        false => (0.0, power_of_two(to.bits())),
    };
    if !(min..end).contains(&integral) {
        return None;
    }
    let bits = if signed { integral as i64 as u64 & to.mask() } else { integral as u64 };
    Some((bits, inexact_unless(integral == a)))
}

/// `single` and `double` are the integer rounded to nearest; exact if its ones span no more than the precision.
#[inline]
fn from_int(single: f32, double: f64, magnitude: u64, to: Type, round: Round) -> Fast {
    let precision = if to == Type::F32 { f32::MANTISSA_DIGITS } else { f64::MANTISSA_DIGITS };
    let exact = magnitude == 0 || u64::BITS - magnitude.leading_zeros() - magnitude.trailing_zeros() <= precision;
    match to {
        _ if !exact && round != Round::NearestEven => None,
        Type::F32 => result_f32(single, exact),
        _ => result_f64(double, exact),
    }
}

/// The integral value next to a number in the sense of the rounding mode, with its sign.
#[inline]
fn integral(a: f64, round: Round) -> Option<f64> {
    match round {
        _ if !a.is_finite() => None,
        Round::NearestEven => Some(a.round_ties_even()),
        Round::TowardZero => Some(a.trunc()),
        Round::Down => Some(a.floor()),
        Round::Up => Some(a.ceil()),
        Round::NearestAway => Some(a.round()),
        Round::Dynamic => None,
    }
}

/// The rounded sum and its error, exact if the sum does not overflow (Knuth's TwoSum).
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// Is `p`, the rounded product of normal numbers and normal itself, exact?
///
/// The product of two 53-bit integers has 105 or 106 bits, and as many trailing zeros as both together. It is exact if no
/// more than 53 bits are left. Exponents tell its length; where rounding carried into the next binade the
/// product is inexact, and has too few trailing zeros for either length.
#[inline]
fn product_is_exact(a: f64, b: f64, p: f64) -> bool {
    let longer = exponent(p) - exponent(a) - exponent(b);
    trailing_zeros(a) + trailing_zeros(b) >= 52 + longer
}

/// The exponent of a normal number.
#[inline]
fn exponent(a: f64) -> i32 {
    (a.to_bits() >> 52 & 0x7ff) as i32 - 1023
}

/// Trailing zeros of a normal number's 53-bit significand.
#[inline]
fn trailing_zeros(a: f64) -> i32 {
    (a.to_bits() | 1 << 52).trailing_zeros() as i32
}

/// So far from the ends of the range that products, quotients and their low halves are normal numbers.
#[inline]
fn is_moderate(a: f64) -> bool {
    const LEAST: f64 = f64::from_bits((1023 - 400) << 52);
    const MOST: f64 = f64::from_bits((1023 + 400) << 52);
    (LEAST..MOST).contains(&a.abs())
}

#[inline]
fn power_of_two(exp: u32) -> f64 {
    f64::from_bits(u64::from(1023 + exp) << 52)
}

#[inline]
fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

/// A float of type `ty` as an `f64`; exact.
#[inline]
fn widen(ty: Type, bits: u64) -> f64 {
    if ty == Type::F32 { f32_of(bits).into() } else { f64::from_bits(bits) }
}

#[inline]
fn result_f32(a: f32, exact: bool) -> Fast {
    Some((a.to_bits().into(), inexact_unless(exact)))
}

#[inline]
fn result_f64(a: f64, exact: bool) -> Fast {
    Some((a.to_bits(), inexact_unless(exact)))
}

#[inline]
fn inexact_unless(exact: bool) -> FpFlags {
    FpFlags(FpFlags::NX.0 * u8::from(!exact))
}
