//! `eval::float` against the host's SSE unit: bits and flags, in the four rounding modes that it has.
//!
//! The operands are random, see `operands.rs`; `EMU_TEST_SEED` chooses others.
#![cfg(target_arch = "x86_64")]

#[path = "../src/eval/float/operands.rs"]
mod operands;

use std::arch::asm;

use emu_ir::eval::float::{self, FpEnv};
use emu_ir::op::{FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, FpFlags, NanRule, Quietness, Round};
use emu_ir::types::Type;
use operands::{F32, F64, Layout, Random};

const CASES: u32 = 1_000_000;

/// Runs an instruction under an MXCSR: operands, then the result's low 64 bits in a vector register and in a general one,
/// and the MXCSR after it. The general register holds the first operand's bits before.
type Host = fn(u32, [u64; 3]) -> HostResult;

struct HostResult {
    vector: u64,
    general: u64,
    mxcsr: u32,
}

/// All exceptions masked, to nearest: what Rust code needs.
static DEFAULT_MXCSR: u32 = 0x1f80;

/// The instruction in a string literal is the one thing that differs, and a function cannot take that.
macro_rules! host {
    ($insn:literal) => {
        |mut mxcsr: u32, [a, b, c]: [u64; 3]| -> HostResult {
            let (mut vector, mut general) = (f64::from_bits(a), a);
            // SAFETY: the instruction named touches only the operands listed and the flags; memory is only read and
            // written through `csr` and `default`, which point to live `u32`s. MXCSR has all exceptions
            // masked (the callers only set the rounding mode in it) and its default value again at the end. Instructions
            // that are not in the baseline are used only after their feature was detected.
            unsafe {
                asm!(
                    "ldmxcsr [{csr}]",
                    $insn,
                    "stmxcsr [{csr}]",
                    "ldmxcsr [{default}]",
                    "# {a} {b} {c} {r}",
                    csr = in(reg) &raw mut mxcsr,
                    default = in(reg) &raw const DEFAULT_MXCSR,
                    a = inout(xmm_reg) vector,
                    b = in(xmm_reg) f64::from_bits(b),
                    c = in(xmm_reg) f64::from_bits(c),
                    r = inout(reg) general,
                    options(nostack),
                );
            }
            HostResult { vector: vector.to_bits(), general, mxcsr }
        }
    };
}

/// The host's result in our terms: flags in RISC-V's order, NaNs canonical.
fn run(host: Host, round: Round, operands: [u64; 3]) -> HostResult {
    let control = match round {
        Round::Down => 1,
        Round::Up => 2,
        Round::TowardZero => 3,
        _ => 0,
    };
    host(DEFAULT_MXCSR | control << 13, operands)
}

fn flags_of(mxcsr: u32) -> FpFlags {
    // IE, ZE, OE, UE, PE; DE (a denormal operand) is x86's own.
    let flags = [(0, FpFlags::NV), (2, FpFlags::DZ), (3, FpFlags::OF), (4, FpFlags::UF), (5, FpFlags::NX)];
    flags.iter().filter(|(bit, _)| mxcsr >> bit & 1 == 1).fold(FpFlags::NONE, |all, &(_, flag)| all | flag)
}

fn canonical(layout: Layout, bits: u64) -> u64 {
    let bits = bits & layout.mask();
    if layout.is_nan(bits) { layout.canonical_nan() } else { bits }
}

/// Runs `CASES` cases of an op: `draw` gives the operands, `ours` and `theirs` the results.
fn compare(
    name: &str,
    mut draw: impl FnMut(&mut Random) -> [u64; 3],
    ours: impl Fn(FpEnv, [u64; 3]) -> (u64, FpFlags),
    theirs: impl Fn(Round, [u64; 3]) -> (u64, FpFlags),
) {
    let mut random = Random::from_env();
    for _ in 0..CASES {
        let round = random.pick(&[Round::NearestEven, Round::TowardZero, Round::Down, Round::Up]);
        let operands = draw(&mut random);
        let ours = ours(FpEnv { round, nan: NanRule::Canonical }, operands);
        let theirs = theirs(round, operands);
        assert_eq!(ours, theirs, "{name} {round:?} {operands:x?}: ours left, the host's right");
    }
}

fn layout_of(ty: Type) -> Layout {
    if ty == Type::F32 { F32 } else { F64 }
}

fn check_binary(ty: Type, ops: [(FloatBinaryOp, Host); 4]) {
    let layout = layout_of(ty);
    for (op, host) in ops {
        compare(
            &format!("{op:?} {ty}"),
            |random| {
                let [a, b] = random.pair(layout);
                [a, b, 0]
            },
            |env, [a, b, _]| float::binary(op, ty, env, a, b),
            |round, operands| vector_result(layout, run(host, round, operands)),
        );
    }
}

fn check_unary(op: FloatUnaryOp, ty: Type, host: Host) {
    let layout = layout_of(ty);
    compare(
        &format!("{op:?} {ty}"),
        |random| [random.near_integer(layout), 0, 0],
        |env, [a, ..]| float::unary(op, ty, env, a),
        |round, operands| vector_result(layout, run(host, round, operands)),
    );
}

fn check_fma(ty: Type, host: Host) {
    let layout = layout_of(ty);
    compare(
        &format!("fma {ty}"),
        |random| random.triple(layout),
        |env, [a, b, c]| float::fma(ty, env, a, b, c),
        |round, operands @ [a, b, c]| {
            let (bits, flags) = vector_result(layout, run(host, round, operands));
            // RISC-V: 0 * inf is invalid even if a quiet NaN is added; x86 raises nothing then.
            let product = float::binary(FloatBinaryOp::Mul, ty, FpEnv { round, nan: NanRule::Canonical }, a, b);
            (bits, if layout.is_nan(c) { flags | FpFlags(product.1.0 & FpFlags::NV.0) } else { flags })
        },
    );
}

fn vector_result(layout: Layout, result: HostResult) -> (u64, FpFlags) {
    (canonical(layout, result.vector), flags_of(result.mxcsr))
}

#[test]
fn arithmetic_f32() {
    use FloatBinaryOp::{Add, Div, Mul, Sub};
    let ops: [(FloatBinaryOp, Host); 4] = [
        (Add, host!("addss {a}, {b}")),
        (Sub, host!("subss {a}, {b}")),
        (Mul, host!("mulss {a}, {b}")),
        (Div, host!("divss {a}, {b}")),
    ];
    check_binary(Type::F32, ops);
    check_unary(FloatUnaryOp::Sqrt, Type::F32, host!("sqrtss {a}, {a}"));
}

#[test]
fn arithmetic_f64() {
    use FloatBinaryOp::{Add, Div, Mul, Sub};
    let ops: [(FloatBinaryOp, Host); 4] = [
        (Add, host!("addsd {a}, {b}")),
        (Sub, host!("subsd {a}, {b}")),
        (Mul, host!("mulsd {a}, {b}")),
        (Div, host!("divsd {a}, {b}")),
    ];
    check_binary(Type::F64, ops);
    check_unary(FloatUnaryOp::Sqrt, Type::F64, host!("sqrtsd {a}, {a}"));
}

#[test]
fn fma() {
    if !is_x86_feature_detected!("fma") {
        return println!("skipped: the host has no FMA");
    }
    check_fma(Type::F32, host!("vfmadd213ss {a}, {b}, {c}"));
    check_fma(Type::F64, host!("vfmadd213sd {a}, {b}, {c}"));
}

#[test]
fn round_to_integral() {
    if !is_x86_feature_detected!("sse4.1") {
        return println!("skipped: the host has no SSE4.1");
    }
    check_unary(FloatUnaryOp::RoundInt, Type::F32, host!("roundss {a}, {a}, 4"));
    check_unary(FloatUnaryOp::RoundInt, Type::F64, host!("roundsd {a}, {a}, 4"));
}

#[test]
fn formats() {
    let widen: Host = host!("cvtss2sd {a}, {a}");
    let narrow: Host = host!("cvtsd2ss {a}, {a}");
    for (from, to, host) in [(Type::F32, Type::F64, widen), (Type::F64, Type::F32, narrow)] {
        compare(
            &format!("{from} to {to}"),
            |random| {
                [if random.below(2) == 0 { random.operand(layout_of(from)) } else { near_f32(random, from) }, 0, 0]
            },
            |env, [a, ..]| float::convert(FloatConvertOp::Format, from, to, env, a),
            |round, operands| vector_result(layout_of(to), run(host, round, operands)),
        );
    }
}

/// An operand whose narrowing overflows, underflows or ties, or nearly.
fn near_f32(random: &mut Random, ty: Type) -> u64 {
    let single = random.operand(F32);
    if ty == Type::F32 {
        return single;
    }
    let double = f64::from(f32::from_bits(single as u32)).to_bits();
    double.wrapping_add(random.pattern(31)).wrapping_sub(random.pick(&[0, 1 << 28, 1 << 30]))
}

#[test]
fn from_integers() {
    let hosts: [(Type, Type, Host); 4] = [
        (Type::I32, Type::F32, host!("cvtsi2ss {a}, {r:e}")),
        (Type::I32, Type::F64, host!("cvtsi2sd {a}, {r:e}")),
        (Type::I64, Type::F32, host!("cvtsi2ss {a}, {r}")),
        (Type::I64, Type::F64, host!("cvtsi2sd {a}, {r}")),
    ];
    for (from, to, host) in hosts {
        compare(
            &format!("{from} to {to}"),
            |random| [random.integer() & from.mask(), 0, 0],
            |env, [a, ..]| float::convert(FloatConvertOp::FromIntS, from, to, env, a),
            |round, operands| vector_result(layout_of(to), run(host, round, operands)),
        );
    }
    // The signed conversion of the same 64 bits is the unsigned one of 32.
    for (to, host) in [(Type::F32, hosts[2].2), (Type::F64, hosts[3].2)] {
        compare(
            &format!("unsigned i32 to {to}"),
            |random| [random.integer() & Type::I32.mask(), 0, 0],
            |env, [a, ..]| float::convert(FloatConvertOp::FromIntU, Type::I32, to, env, a),
            |round, operands| vector_result(layout_of(to), run(host, round, operands)),
        );
    }
}

#[test]
fn to_integers() {
    let hosts: [(Type, Type, Host); 4] = [
        (Type::F32, Type::I32, host!("cvtss2si {r:e}, {a}")),
        (Type::F64, Type::I32, host!("cvtsd2si {r:e}, {a}")),
        (Type::F32, Type::I64, host!("cvtss2si {r}, {a}")),
        (Type::F64, Type::I64, host!("cvtsd2si {r}, {a}")),
    ];
    for (from, to, host) in hosts {
        compare(
            &format!("{from} to {to}"),
            |random| [random.near_integer(layout_of(from)), 0, 0],
            |env, [a, ..]| float::convert(FloatConvertOp::ToIntS, from, to, env, a),
            |round, operands| saturated(from, to, operands[0], run(host, round, operands)),
        );
    }
    for (from, _, host) in &hosts[2..] {
        compare(
            &format!("{from} to unsigned i32"),
            |random| [random.near_integer(layout_of(*from)), 0, 0],
            |env, [a, ..]| float::convert(FloatConvertOp::ToIntU, *from, Type::I32, env, a),
            |round, operands| unsigned_of_signed(*from, operands[0], run(*host, round, operands)),
        );
    }
}

/// x86 gives the smallest integer for all that is invalid; RISC-V saturates.
fn saturated(from: Type, to: Type, operand: u64, result: HostResult) -> (u64, FpFlags) {
    let flags = flags_of(result.mxcsr);
    match flags {
        FpFlags::NV if !is_below_zero(from, operand) => (to.mask() >> 1, flags),
        _ => (result.general & to.mask(), flags),
    }
}

/// The unsigned 32-bit result, from the signed 64-bit one.
fn unsigned_of_signed(from: Type, operand: u64, result: HostResult) -> (u64, FpFlags) {
    let flags = flags_of(result.mxcsr);
    match u32::try_from(result.general as i64) {
        Ok(integer) => (integer.into(), flags),
        Err(_) if is_below_zero(from, operand) => (0, FpFlags::NV),
        Err(_) => (u32::MAX.into(), FpFlags::NV),
    }
}

fn is_below_zero(ty: Type, bits: u64) -> bool {
    let value = if ty == Type::F32 { f32::from_bits(bits as u32).into() } else { f64::from_bits(bits) };
    value < 0.0
}

#[test]
fn comparisons() {
    if !is_x86_feature_detected!("avx") {
        return println!("skipped: the host has no AVX");
    }
    use FloatCond::{Eq, Le, Lt, Unordered};
    use Quietness::{Quiet, Signaling};
    let hosts: [(Type, FloatCond, Quietness, Host); 16] = [
        (Type::F32, Eq, Quiet, host!("vcmpss {a}, {a}, {b}, 0x00")),
        (Type::F32, Lt, Signaling, host!("vcmpss {a}, {a}, {b}, 0x01")),
        (Type::F32, Le, Signaling, host!("vcmpss {a}, {a}, {b}, 0x02")),
        (Type::F32, Unordered, Quiet, host!("vcmpss {a}, {a}, {b}, 0x03")),
        (Type::F32, Eq, Signaling, host!("vcmpss {a}, {a}, {b}, 0x10")),
        (Type::F32, Lt, Quiet, host!("vcmpss {a}, {a}, {b}, 0x11")),
        (Type::F32, Le, Quiet, host!("vcmpss {a}, {a}, {b}, 0x12")),
        (Type::F32, Unordered, Signaling, host!("vcmpss {a}, {a}, {b}, 0x13")),
        (Type::F64, Eq, Quiet, host!("vcmpsd {a}, {a}, {b}, 0x00")),
        (Type::F64, Lt, Signaling, host!("vcmpsd {a}, {a}, {b}, 0x01")),
        (Type::F64, Le, Signaling, host!("vcmpsd {a}, {a}, {b}, 0x02")),
        (Type::F64, Unordered, Quiet, host!("vcmpsd {a}, {a}, {b}, 0x03")),
        (Type::F64, Eq, Signaling, host!("vcmpsd {a}, {a}, {b}, 0x10")),
        (Type::F64, Lt, Quiet, host!("vcmpsd {a}, {a}, {b}, 0x11")),
        (Type::F64, Le, Quiet, host!("vcmpsd {a}, {a}, {b}, 0x12")),
        (Type::F64, Unordered, Signaling, host!("vcmpsd {a}, {a}, {b}, 0x13")),
    ];
    for (ty, cond, quietness, host) in hosts {
        compare(
            &format!("{cond:?} {ty} {quietness:?}"),
            |random| {
                let [a, b] = random.pair(layout_of(ty));
                [a, b, 0]
            },
            |env, [a, b, _]| {
                let (holds, flags) = float::compare(cond, quietness, ty, env.nan, a, b);
                (holds.into(), flags)
            },
            |round, operands| {
                let result = run(host, round, operands);
                (result.vector & 1, flags_of(result.mxcsr))
            },
        );
    }
}
