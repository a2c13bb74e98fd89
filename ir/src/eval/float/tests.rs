//! The fast paths against the slow ones, and results against `rustc_apfloat`.

use super::operands::{self, Layout, Random};
use super::*;
use FloatBinaryOp::{Add, Div, Mul, Sub};
use FloatConvertOp::{Format as ToFormat, FromIntS, FromIntU, ToIntS, ToIntU};
use FloatUnaryOp::{RoundInt, Sqrt};
use rustc_apfloat::ieee::{Double, Single};
use rustc_apfloat::{Float, FloatConvert};

const CASES: u32 = 500_000;
const ROUNDINGS: [Round; 5] = [Round::NearestEven, Round::TowardZero, Round::Down, Round::Up, Round::NearestAway];
const FORMATS: [(Type, Layout); 2] = [(Type::F32, operands::F32), (Type::F64, operands::F64)];

fn env(round: Round) -> FpEnv {
    FpEnv { round, nan: NanRule::Canonical }
}

/// Counts the cases that were fast, and compares them.
#[derive(Default)]
struct Agreement {
    fast: u32,
}

impl Agreement {
    fn check(&mut self, what: &dyn std::fmt::Debug, fast: Option<(u64, FpFlags)>, slow: (u64, FpFlags)) {
        if let Some(fast) = fast {
            self.fast += 1;
            assert_eq!(fast, slow, "fast and slow differ: {what:x?}");
        }
    }

    fn finish(self, what: &dyn std::fmt::Debug) {
        assert!(self.fast > CASES / 20, "{what:?}: only {} cases were fast", self.fast);
    }
}

#[test]
fn fast_arithmetic_is_the_slow_one() {
    let mut random = Random::from_env();
    let env = env(Round::NearestEven);
    for (ty, layout) in FORMATS {
        for op in [Add, Sub, Mul, Div] {
            let mut agreement = Agreement::default();
            for _ in 0..CASES {
                let [a, b] = random.pair(layout);
                let fast = fast::binary(op, ty, env.round, a, b);
                agreement.check(&(op, ty, a, b), fast, slow_binary(op, ty, env, a, b));
            }
            agreement.finish(&(op, ty));
        }
        let mut agreement = Agreement::default();
        for _ in 0..CASES {
            let [a, b, c] = random.triple(layout);
            agreement.check(&("fma", ty, a, b, c), fast::fma(ty, env.round, a, b, c), slow_fma(ty, env, a, b, c));
        }
        agreement.finish(&("fma", ty));
    }
}

#[test]
fn fast_unary_is_the_slow_one() {
    let mut random = Random::from_env();
    for (ty, layout) in FORMATS {
        for op in [Sqrt, RoundInt] {
            let mut agreement = Agreement::default();
            for _ in 0..CASES {
                let round = if op == Sqrt { Round::NearestEven } else { random.pick(&ROUNDINGS) };
                // Squares are where roots are exact.
                let a =
                    if random.below(2) == 0 { random.near_integer(layout) } else { square(&mut random, ty, layout) };
                agreement.check(&(op, ty, round, a), fast::unary(op, ty, round, a), slow_unary(op, ty, env(round), a));
            }
            agreement.finish(&(op, ty));
        }
    }
}

fn square(random: &mut Random, ty: Type, layout: Layout) -> u64 {
    let a = random.operand(layout);
    slow_binary(Mul, ty, env(Round::NearestEven), a, a).0
}

#[test]
fn fast_conversions_are_the_slow_ones() {
    let mut random = Random::from_env();
    for (float, layout) in FORMATS {
        for int in [Type::I8, Type::I16, Type::I32, Type::I64] {
            for op in [ToIntS, ToIntU, FromIntS, FromIntU] {
                let to_int = matches!(op, ToIntS | ToIntU);
                let (from, to) = if to_int { (float, int) } else { (int, float) };
                let mut draw = |r: &mut Random| if to_int { r.near_integer(layout) } else { r.integer() & int.mask() };
                compare_conversions(&mut random, op, from, to, &mut draw);
            }
        }
        for (to, _) in FORMATS {
            compare_conversions(&mut random, ToFormat, float, to, &mut |r| r.operand(layout));
        }
    }
}

fn compare_conversions(
    r: &mut Random,
    op: FloatConvertOp,
    from: Type,
    to: Type,
    draw: &mut dyn FnMut(&mut Random) -> u64,
) {
    let mut agreement = Agreement::default();
    for _ in 0..CASES / 5 {
        let (round, a) = (r.pick(&ROUNDINGS), draw(r));
        let fast = fast::convert(op, from, to, round, a);
        agreement.check(&(op, from, to, round, a), fast, slow_convert(op, from, to, env(round), a));
    }
    assert!(agreement.fast > 0);
}

/// The two formats of `rustc_apfloat`.
trait Oracle: Float + FloatConvert<Single> + FloatConvert<Double> {
    const TYPE: Type;
    const LAYOUT: Layout;

    fn of(bits: u64) -> Self {
        Self::from_bits(bits.into())
    }

    fn bits(self) -> u64 {
        if self.is_nan() { Self::LAYOUT.canonical_nan() } else { self.to_bits() as u64 }
    }
}

impl Oracle for Single {
    const TYPE: Type = Type::F32;
    const LAYOUT: Layout = operands::F32;
}

impl Oracle for Double {
    const TYPE: Type = Type::F64;
    const LAYOUT: Layout = operands::F64;
}

fn oracle_round(round: Round) -> rustc_apfloat::Round {
    match round {
        Round::NearestEven | Round::Dynamic => rustc_apfloat::Round::NearestTiesToEven,
        Round::NearestAway => rustc_apfloat::Round::NearestTiesToAway,
        Round::TowardZero => rustc_apfloat::Round::TowardZero,
        Round::Down => rustc_apfloat::Round::TowardNegative,
        Round::Up => rustc_apfloat::Round::TowardPositive,
    }
}

#[test]
fn values_are_those_of_apfloat() {
    arithmetic_of_apfloat::<Single>();
    arithmetic_of_apfloat::<Double>();
    conversions_of_apfloat::<Single>();
    conversions_of_apfloat::<Double>();
}

fn arithmetic_of_apfloat<F: Oracle>() {
    let mut random = Random::from_env();
    for _ in 0..CASES {
        let [a, b, c] = random.triple(F::LAYOUT);
        let round = random.pick(&ROUNDINGS);
        let (x, y, z, r) = (F::of(a), F::of(b), F::of(c), oracle_round(round));
        let ours = |op| binary(op, F::TYPE, env(round), a, b).0;
        let case = (F::TYPE, round, a, b, c);
        assert_eq!(ours(Add), x.add_r(y, r).value.bits(), "add {case:x?}");
        assert_eq!(ours(Sub), x.sub_r(y, r).value.bits(), "sub {case:x?}");
        assert_eq!(ours(Mul), x.mul_r(y, r).value.bits(), "mul {case:x?}");
        assert_eq!(ours(Div), x.div_r(y, r).value.bits(), "div {case:x?}");
        assert_eq!(fma(F::TYPE, env(round), a, b, c).0, x.mul_add_r(y, z, r).value.bits(), "fma {case:x?}");
    }
}

fn conversions_of_apfloat<F: Oracle>() {
    let mut random = Random::from_env();
    for _ in 0..CASES {
        let (a, i, round) = (random.near_integer(F::LAYOUT), random.integer(), random.pick(&ROUNDINGS));
        let (x, r) = (F::of(a), oracle_round(round));
        let case = (F::TYPE, round, a, i);
        let convert = |op, from, to, a| convert(op, from, to, env(round), a).0;
        assert_eq!(unary(RoundInt, F::TYPE, env(round), a).0, x.round_to_integral(r).value.bits(), "{case:x?}");
        assert_eq!(convert(FromIntU, Type::I64, F::TYPE, i), F::from_u128_r(i.into(), r).value.bits(), "{case:x?}");
        let signed = F::from_i128_r((i as i64).into(), r).value.bits();
        assert_eq!(convert(FromIntS, Type::I64, F::TYPE, i), signed, "{case:x?}");
        let single: Single = x.convert_r(r, &mut false).value;
        assert_eq!(convert(ToFormat, F::TYPE, Type::F32, a), single.bits(), "{case:x?}");
        let double: Double = x.convert_r(r, &mut false).value;
        assert_eq!(convert(ToFormat, F::TYPE, Type::F64, a), double.bits(), "{case:x?}");
        for to in [Type::I8, Type::I32, Type::I64] {
            let width = to.bits() as usize;
            if !F::LAYOUT.is_nan(a) {
                let unsigned = x.to_u128_r(width, r, &mut false).value as u64;
                assert_eq!(convert(ToIntU, F::TYPE, to, a), unsigned, "{to} {case:x?}");
                let signed = x.to_i128_r(width, r, &mut false).value as u64 & to.mask();
                assert_eq!(convert(ToIntS, F::TYPE, to, a), signed, "{to} {case:x?}");
            }
        }
    }
}

/// Ties away from zero, flags included: narrowing a positive number by `f64` steps that are all exact.
#[test]
fn ties_away_by_hand() {
    let mut random = Random::from_env();
    for _ in 0..CASES {
        let single = f64::from(f32::from_bits(random.operand(operands::F32) as u32)).abs();
        // Half of a place to either side, or less.
        let wide = single.to_bits().wrapping_add(random.pick(&[0, 1 << 28, 7 << 28, 1 << 29]));
        let a = f64::from_bits(wide.wrapping_add(random.pick(&[0, 1, u64::MAX, 1 << 27])));
        if a.is_finite() && a > 0.0 {
            let ours = convert(ToFormat, Type::F64, Type::F32, env(Round::NearestAway), a.to_bits());
            assert_eq!(ours, narrow_ties_away(a), "{a:e} {:x}", a.to_bits());
        }
    }
}

/// `a` in multiples of the result's last place, rounded by [`f64::round`], which is ties away.
fn narrow_ties_away(a: f64) -> (u64, FpFlags) {
    let power = |exp: i32| f64::from_bits(((1023 + exp) as u64) << 52);
    let exp = (a.to_bits() >> 52) as i32 - 1023;
    let place = exp.max(-126) - 23;
    // Scaled in two steps, lest the power of two be out of range.
    let exact = a * power(-place / 2) * power(-place - -place / 2);
    let rounded = exact.round();
    let inexact = if rounded == exact { FpFlags::NONE } else { FpFlags::NX };
    if exp > 127 || rounded * power(place) >= 2.0 * power(127) {
        return (f32::INFINITY.to_bits().into(), FpFlags::OF | FpFlags::NX);
    }
    // Half of the last place that a number just below 2^-126 would have.
    let tiny = a < power(-126) - power(-151) && rounded != exact;
    let bits = ((rounded * power(place)) as f32).to_bits();
    (bits.into(), if tiny { FpFlags::UF | inexact } else { inexact })
}
