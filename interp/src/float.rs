//! The floating-point ops: a function for each operation and type, so that little but the common case of
//! [`emu_ir::eval::float`] is left of each.
//!
//! The `imm` of an op that rounds is its [`Round`] as a number, that of a comparison its [`Quietness`].

use crate::exec::{Frame, Handler, next, read, write};
use crate::opcode::Op;
use emu_ir::eval::float::{self, FpEnv};
use emu_ir::{
    CpuState, Env, FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, FpFlags, NanRule, Quietness, Round, Type,
};
use std::marker::PhantomData;

/// A result and its flags computed from the op and its operands.
trait Compute {
    fn compute(op: &Op, cpu: &CpuState, nan: NanRule, operands: [u64; 3]) -> (u64, FpFlags);
}

fn float<E: Env, C: Compute>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    let operands = [read(cpu, op.a), read(cpu, op.b), read(cpu, op.c)];
    let (result, flags) = C::compute(op, cpu, frame.nan(), operands);
    cpu.fp_flags |= u32::from(flags.0);
    write(cpu, op.d, result);
    next(rest, cpu, env, frame)
}

#[inline(always)]
fn fp_env(op: &Op, cpu: &CpuState, nan: NanRule) -> FpEnv {
    let mode = if op.imm == Round::Dynamic as u64 { cpu.fp_round } else { op.imm as u32 };
    FpEnv { round: Round::Dynamic.resolve(mode), nan }
}

struct Unary<const OP: u8, const TY: u8>;

impl<const OP: u8, const TY: u8> Compute for Unary<OP, TY> {
    #[inline(always)]
    fn compute(op: &Op, cpu: &CpuState, nan: NanRule, [a, ..]: [u64; 3]) -> (u64, FpFlags) {
        let (unary, ty) = const { (FloatUnaryOp::ALL[OP as usize], Type::ALL[TY as usize]) };
        float::unary(unary, ty, fp_env(op, cpu, nan), a)
    }
}

struct Binary<const OP: u8, const TY: u8>;

impl<const OP: u8, const TY: u8> Compute for Binary<OP, TY> {
    #[inline(always)]
    fn compute(op: &Op, cpu: &CpuState, nan: NanRule, [a, b, _]: [u64; 3]) -> (u64, FpFlags) {
        let (binary, ty) = const { (FloatBinaryOp::ALL[OP as usize], Type::ALL[TY as usize]) };
        float::binary(binary, ty, fp_env(op, cpu, nan), a, b)
    }
}

struct Fma<const TY: u8>;

impl<const TY: u8> Compute for Fma<TY> {
    #[inline(always)]
    fn compute(op: &Op, cpu: &CpuState, nan: NanRule, [a, b, c]: [u64; 3]) -> (u64, FpFlags) {
        float::fma(const { Type::ALL[TY as usize] }, fp_env(op, cpu, nan), a, b, c)
    }
}

struct Compare<const COND: u8, const TY: u8>;

impl<const COND: u8, const TY: u8> Compute for Compare<COND, TY> {
    #[inline(always)]
    fn compute(op: &Op, _: &CpuState, nan: NanRule, [a, b, _]: [u64; 3]) -> (u64, FpFlags) {
        let (cond, ty) = const { (FloatCond::ALL[COND as usize], Type::ALL[TY as usize]) };
        let quietness = Quietness::ALL[op.imm as usize];
        let (holds, flags) = float::compare(cond, quietness, ty, nan, a, b);
        (holds.into(), flags)
    }
}

struct Class<const TY: u8>;

impl<const TY: u8> Compute for Class<TY> {
    #[inline(always)]
    fn compute(_: &Op, _: &CpuState, nan: NanRule, [a, ..]: [u64; 3]) -> (u64, FpFlags) {
        (float::classify(const { Type::ALL[TY as usize] }, nan, a), FpFlags::NONE)
    }
}

struct Convert<const OP: u8, const FROM: u8, const TO: u8>;

impl<const OP: u8, const FROM: u8, const TO: u8> Compute for Convert<OP, FROM, TO> {
    #[inline(always)]
    fn compute(op: &Op, cpu: &CpuState, nan: NanRule, [a, ..]: [u64; 3]) -> (u64, FpFlags) {
        let convert = const { FloatConvertOp::ALL[OP as usize] };
        let (from, to) = const { (Type::ALL[FROM as usize], Type::ALL[TO as usize]) };
        float::convert(convert, from, to, fp_env(op, cpu, nan), a)
    }
}

const I32: u8 = Type::I32 as u8;
const I64: u8 = Type::I64 as u8;
const F32: u8 = Type::F32 as u8;
const F64: u8 = Type::F64 as u8;

/// The functions, laid out as `opcode` numbers the ops.
pub(crate) struct Rows<E>(PhantomData<E>);

impl<E: Env> Rows<E> {
    const fn unary<const OP: u8>() -> [Handler<E>; 2] {
        [float::<E, Unary<OP, F32>>, float::<E, Unary<OP, F64>>]
    }

    pub(crate) const UNARY: [[Handler<E>; 2]; FloatUnaryOp::ALL.len()] = [
        Self::unary::<0>(),
        Self::unary::<1>(),
        Self::unary::<2>(),
        Self::unary::<3>(),
        Self::unary::<4>(),
        Self::unary::<5>(),
    ];

    const fn binary<const OP: u8>() -> [Handler<E>; 2] {
        [float::<E, Binary<OP, F32>>, float::<E, Binary<OP, F64>>]
    }

    pub(crate) const BINARY: [[Handler<E>; 2]; FloatBinaryOp::ALL.len()] = [
        Self::binary::<0>(),
        Self::binary::<1>(),
        Self::binary::<2>(),
        Self::binary::<3>(),
        Self::binary::<4>(),
        Self::binary::<5>(),
        Self::binary::<6>(),
    ];

    pub(crate) const FMA: [Handler<E>; 2] = [float::<E, Fma<F32>>, float::<E, Fma<F64>>];

    const fn compare<const COND: u8>() -> [Handler<E>; 2] {
        [float::<E, Compare<COND, F32>>, float::<E, Compare<COND, F64>>]
    }

    pub(crate) const COMPARE: [[Handler<E>; 2]; FloatCond::ALL.len()] =
        [Self::compare::<0>(), Self::compare::<1>(), Self::compare::<2>(), Self::compare::<3>()];

    pub(crate) const CLASS: [Handler<E>; 2] = [float::<E, Class<F32>>, float::<E, Class<F64>>];

    const fn to_int<const OP: u8>() -> [Handler<E>; 4] {
        [
            float::<E, Convert<OP, F32, I32>>,
            float::<E, Convert<OP, F32, I64>>,
            float::<E, Convert<OP, F64, I32>>,
            float::<E, Convert<OP, F64, I64>>,
        ]
    }

    const fn from_int<const OP: u8>() -> [Handler<E>; 4] {
        [
            float::<E, Convert<OP, I32, F32>>,
            float::<E, Convert<OP, I32, F64>>,
            float::<E, Convert<OP, I64, F32>>,
            float::<E, Convert<OP, I64, F64>>,
        ]
    }

    pub(crate) const CONVERT: [[Handler<E>; 4]; 4] =
        [Self::to_int::<0>(), Self::to_int::<1>(), Self::from_int::<2>(), Self::from_int::<3>()];

    /// From `f32` and from `f64` to the other.
    pub(crate) const FORMAT: [Handler<E>; 2] = [float::<E, Convert<4, F32, F64>>, float::<E, Convert<4, F64, F32>>];
}
