//! Exact sum, product, quotient and square root of unpacked values.
//!
//! No operand is a NaN, except the product that an invalid `0 * inf` hands to [`sum`]. A result of [`Value::Nan`] is an
//! invalid operation.

use super::value::{Number, Value};
use crate::op::Round;

/// `a + b`. The rounding mode only decides the sign of an exact zero.
pub(super) fn sum(a: Value, b: Value, round: Round) -> Value {
    use Value::*;
    match (a, b) {
        (Nan, _) | (_, Nan) => Nan,
        (Infinity(s), Infinity(t)) if s != t => Nan,
        (Infinity(s), _) | (_, Infinity(s)) => Infinity(s),
        (Zero(s), Zero(t)) if s == t => Zero(s),
        (Zero(_), Zero(_)) => Zero(round == Round::Down),
        (Zero(_), x) | (x, Zero(_)) => x,
        (Finite(x), Finite(y)) => sum_of_numbers(x, y, round),
    }
}

fn sum_of_numbers(a: Number, b: Number, round: Round) -> Value {
    // Room above for the carry. Operands have 106 bits at most (a product), so there are 19 zeros below: bits are lost
    // only where the exponents differ by 20 or more, and then no more than one leading bit cancels.
    let (a, b) = (a.with_leading_one_at(124), b.with_leading_one_at(124));
    let (large, small) = if (a.exp, a.significand) >= (b.exp, b.significand) { (a, b) } else { (b, a) };
    let aligned = shift_right_sticky(small.significand, (large.exp - small.exp) as u32);
    let significand = match large.negative == small.negative {
        true => large.significand + aligned,
        false => large.significand - aligned,
    };
    match significand {
        0 => Value::Zero(round == Round::Down),
        _ => Value::Finite(Number { significand, ..large }),
    }
}

/// `a * b`.
pub(super) fn product(a: Value, b: Value) -> Value {
    use Value::*;
    match (a, b) {
        (Nan, _) | (_, Nan) | (Zero(_), Infinity(_)) | (Infinity(_), Zero(_)) => Nan,
        (Infinity(s), x) | (x, Infinity(s)) => Infinity(s != is_negative(x)),
        (Zero(s), x) | (x, Zero(s)) => Zero(s != is_negative(x)),
        (Finite(x), Finite(y)) => Finite(Number {
            negative: x.negative != y.negative,
            significand: x.significand * y.significand,
            exp: x.exp + y.exp,
        }),
    }
}

/// `a / b`.
pub(super) fn quotient(a: Value, b: Value) -> Value {
    use Value::*;
    let negative = is_negative(a) != is_negative(b);
    match (a, b) {
        (Nan, _) | (_, Nan) | (Zero(_), Zero(_)) | (Infinity(_), Infinity(_)) => Nan,
        (Infinity(_), _) | (_, Zero(_)) => Infinity(negative),
        (Zero(_), _) | (_, Infinity(_)) => Zero(negative),
        (Finite(x), Finite(y)) => {
            // 125 bits over 53 leave a quotient of 72 at least.
            let x = x.with_leading_one_at(124);
            let (q, rest) = (x.significand / y.significand, x.significand % y.significand);
            Finite(Number { negative, significand: q << 1 | u128::from(rest != 0), exp: x.exp - y.exp - 1 })
        }
    }
}

/// Does `a / b` raise the division-by-zero exception?
pub(super) fn divides_by_zero(a: Value, b: Value) -> bool {
    matches!((a, b), (Value::Finite(_), Value::Zero(_)))
}

/// The square root; that of -0 is -0.
pub(super) fn square_root(a: Value) -> Value {
    match a {
        Value::Zero(_) | Value::Infinity(false) => a,
        Value::Finite(n) if !n.negative => {
            // An even exponent, and 125 or 126 bits: the root has 63.
            let n = n.with_leading_one_at(124);
            let odd = n.exp & 1;
            let square = n.significand << odd;
            let root = square.isqrt();
            let significand = root << 1 | u128::from(root * root != square);
            Value::Finite(Number { negative: false, significand, exp: (n.exp - odd) / 2 - 1 })
        }
        _ => Value::Nan,
    }
}

fn is_negative(value: Value) -> bool {
    match value {
        Value::Nan => false,
        Value::Infinity(negative) | Value::Zero(negative) => negative,
        Value::Finite(number) => number.negative,
    }
}

/// Shifts right; ones that fall out set the lowest bit.
fn shift_right_sticky(significand: u128, shift: u32) -> u128 {
    let shift = shift.min(127);
    let kept = significand >> shift;
    kept | u128::from(kept << shift != significand)
}
