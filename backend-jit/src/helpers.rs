//! Rust functions that compiled code calls for what it does not do inline. The meaning is always that of
//! `ir::eval`; nothing is defined here.

use crate::context::Context;
use emu_ir::eval::float::{self, FpEnv};
use emu_ir::{
    AccessKind, BinaryOp, FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, FpFlags, NanRule, Quietness, Round,
    Type, eval,
};
use std::cell::RefCell;

/// A helper call as the compiler makes it; packed into one word of the call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum HelperCall {
    FloatUnary { op: FloatUnaryOp, ty: Type, round: Round, nan: NanRule },
    FloatBinary { op: FloatBinaryOp, ty: Type, round: Round, nan: NanRule },
    Fma { ty: Type, round: Round, nan: NanRule },
    FloatCompare { cond: FloatCond, quietness: Quietness, ty: Type, nan: NanRule },
    Classify { ty: Type, nan: NanRule },
    FloatConvert { op: FloatConvertOp, from: Type, to: Type, round: Round, nan: NanRule },
    Integer { op: BinaryOp, ty: Type },
    Guest { index: u16 },
    Announce { access: AccessKind, bytes: u8 },
}

impl HelperCall {
    /// How a floating-point call treats NaNs.
    fn nan_rule(self) -> Option<NanRule> {
        match self {
            HelperCall::FloatUnary { nan, .. }
            | HelperCall::FloatBinary { nan, .. }
            | HelperCall::Fma { nan, .. }
            | HelperCall::FloatCompare { nan, .. }
            | HelperCall::Classify { nan, .. }
            | HelperCall::FloatConvert { nan, .. } => Some(nan),
            HelperCall::Integer { .. } | HelperCall::Guest { .. } | HelperCall::Announce { .. } => None,
        }
    }

    /// The address of a leaked copy serves as the descriptor: a program needs some dozens of different ones. The list
    /// is kept by thread, so that no lock can be left held in a forked child.
    pub(crate) fn descriptor(self) -> u64 {
        thread_local! {
            static LEAKED: RefCell<Vec<&'static HelperCall>> = const { RefCell::new(Vec::new()) };
        }
        LEAKED.with_borrow_mut(|list| {
            let known = list.iter().copied().find(|c| **c == self);
            let call = known.unwrap_or_else(|| {
                let call: &'static HelperCall = Box::leak(Box::new(self));
                list.push(call);
                call
            });
            std::ptr::from_ref(call) as u64
        })
    }
}

/// Runs the call that `descriptor` names.
///
/// # Safety
/// Called by compiled code only: `ctx` is the running context, `descriptor` comes from [`HelperCall::descriptor`].
pub(crate) unsafe extern "sysv64" fn dispatch(ctx: *mut Context, descriptor: u64, a: u64, b: u64, c: u64) -> u64 {
    // SAFETY: by the contract above; compiled code holds no reference into the context.
    let (ctx, call) = unsafe { (&mut *ctx, &*(descriptor as *const HelperCall)) };
    match *call {
        HelperCall::Integer { op, ty } => eval::binary(op, ty, a, b),
        HelperCall::Guest { index } => guest_helper(ctx, index, [a, b, c]),
        HelperCall::Announce { access, bytes } => {
            // SAFETY: as in `guest_helper`.
            let env = unsafe { &mut *ctx.env.expect("compiled code runs inside enter") };
            u64::from(!env.announce(access, a, bytes))
        }
        ref op => {
            if op.nan_rule() == Some(NanRule::Legacy) {
                // SSE has signalling and quiet NaNs the other way round. Whatever makes it raise invalid comes here, and
                // comes here at once: the flag is never the guest's.
                ctx.mxcsr &= !1;
            }
            let (value, flags) = float_call(op, ctx.cpu.fp_round, [a, b, c]);
            ctx.cpu.fp_flags |= u32::from(flags.0);
            value
        }
    }
}

fn float_call(call: &HelperCall, dynamic: u32, [a, b, c]: [u64; 3]) -> (u64, FpFlags) {
    let env = |round: Round, nan| FpEnv { round: round.resolve(dynamic), nan };
    match *call {
        HelperCall::FloatUnary { op, ty, round, nan } => float::unary(op, ty, env(round, nan), a),
        HelperCall::FloatBinary { op, ty, round, nan } => float::binary(op, ty, env(round, nan), a, b),
        HelperCall::Fma { ty, round, nan } => float::fma(ty, env(round, nan), a, b, c),
        HelperCall::FloatCompare { cond, quietness, ty, nan } => {
            let (holds, flags) = float::compare(cond, quietness, ty, nan, a, b);
            (holds.into(), flags)
        }
        HelperCall::Classify { ty, nan } => (float::classify(ty, nan, a), FpFlags::NONE),
        HelperCall::FloatConvert { op, from, to, round, nan } => float::convert(op, from, to, env(round, nan), a),
        HelperCall::Integer { .. } | HelperCall::Guest { .. } | HelperCall::Announce { .. } => {
            unreachable!("not a floating-point call: {call:?}")
        }
    }
}

fn guest_helper(ctx: &mut Context, index: u16, args: [u64; 3]) -> u64 {
    // The helper sees all of the guest's state, and may replace it.
    ctx.collect_flags();
    // SAFETY: `helpers` points to the list of the guest, which outlives every context; `env` is the reference that
    // `enter` was given and is alive while compiled code runs.
    let (helpers, env) = unsafe { (&*ctx.helpers, &mut *ctx.env.expect("compiled code runs inside enter")) };
    match (helpers[usize::from(index)].func)(&mut ctx.cpu, env, &args) {
        Ok(value) => value,
        Err(trap) => {
            ctx.trap = Some(trap);
            ctx.helper_trapped = 1;
            0
        }
    }
}

/// The bits of positive infinity.
pub(crate) fn infinity(ty: Type) -> u64 {
    if ty == Type::F32 { 0x7f80_0000 } else { 0x7ff0_0000_0000_0000 }
}

/// The bits of the canonical NaN, the least of those that are quiet.
pub(crate) fn canonical_nan(ty: Type) -> u64 {
    if ty == Type::F32 { float::CANONICAL_NAN_F32 } else { float::CANONICAL_NAN_F64 }
}
