//! Which floating-point values are surely no signalling NaNs. Arithmetic makes none, and who classifies numbers mostly asks for them:
//! glibc's `fmin` and `fmax` do so before each instruction of that name. Only under [`NanRule::Canonical`] is it told which are signalling.

use super::known::{Knowledge, Known};
use crate::block::{Block, Inst, Value};
use crate::eval::float::classify;
use crate::op::{ConvertOp, FloatBinaryOp, FloatConvertOp, FloatUnaryOp, NanRule};
use crate::state::GUEST_SLOTS;
use crate::types::Type;

/// What a value is surely not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quiet {
    /// It is no signalling NaN of its own type.
    pub(super) itself: bool,
    /// What [`ConvertOp::Unbox`] makes of it is none.
    pub(super) unboxed: bool,
}

/// What `fclass` says of a signalling NaN (RISC-V unprivileged, "Single-Precision Floating-Point Classify Instruction").
pub(super) const SIGNALLING_CLASS: u64 = 1 << 8;

/// Are the bits a signalling NaN of the type?
fn is_signalling(ty: Type, bits: u64) -> bool {
    classify(ty, NanRule::Canonical, bits & ty.mask()) == SIGNALLING_CLASS
}

impl Quiet {
    pub(super) fn and(self, other: Quiet) -> Quiet {
        Quiet { itself: self.itself && other.itself, unboxed: self.unboxed && other.unboxed }
    }

    pub(super) fn or(self, other: Quiet) -> Quiet {
        Quiet { itself: self.itself || other.itself, unboxed: self.unboxed || other.unboxed }
    }

    /// Of a register's bits.
    pub(super) fn of_constant(ty: Type, bits: u64) -> Quiet {
        // What is no single in a box gives the canonical NaN.
        let unboxed = bits >> 32 != 0xffff_ffff || !is_signalling(Type::F32, bits);
        Quiet { itself: ty.is_float() && !is_signalling(ty, bits), unboxed: ty == Type::F64 && unboxed }
    }

    /// Of the instruction's result; `of` gives it of its operands. What a register holds is not known here.
    pub(super) fn of(inst: &Inst, of: impl Fn(Value) -> Quiet) -> Quiet {
        let itself = Quiet { itself: true, unboxed: false };
        match *inst {
            Inst::Const { ty, bits } => Quiet::of_constant(ty, bits),
            Inst::Convert { op: ConvertOp::Box, arg, .. } => Quiet { itself: true, unboxed: of(arg).itself },
            Inst::Convert { op: ConvertOp::Unbox, arg, .. } => Quiet { itself: of(arg).unboxed, unboxed: false },
            Inst::Select { args: [a, b], .. } => of(a).and(of(b)),
            Inst::FloatUnary { op: FloatUnaryOp::Neg | FloatUnaryOp::Abs, arg, .. }
            | Inst::FloatBinary { op: FloatBinaryOp::CopySign, args: [arg, _], .. } => {
                Quiet { unboxed: false, ..of(arg) }
            }
            Inst::FloatUnary { .. } | Inst::FloatBinary { .. } | Inst::FloatFma { .. } => itself,
            Inst::FloatConvert {
                op: FloatConvertOp::Format | FloatConvertOp::FromIntS | FloatConvertOp::FromIntU,
                ..
            } => itself,
            _ => Quiet::default(),
        }
    }
}

/// Which of the block's values are surely no signalling NaNs, given what is known of the registers before it.
pub fn quiet_values(block: &Block, before: Option<&Knowledge>) -> Vec<bool> {
    if block.nan != NanRule::Canonical {
        return vec![false; block.insts.len()];
    }
    let mut slots: Vec<Quiet> = (0..GUEST_SLOTS).map(|i| before.map_or(Quiet::default(), |k| k.quiet(i))).collect();
    let mut values: Vec<Quiet> = Vec::with_capacity(block.insts.len());
    for inst in &block.insts {
        let quiet = match *inst {
            Inst::Get { slot, .. } => slots[slot.index()],
            _ => Quiet::of(inst, |v| values[v.index()]),
        };
        match *inst {
            Inst::Set { slot, value, .. } => slots[slot.index()] = values[value.index()],
            Inst::Call { .. } => slots.fill(Quiet::default()),
            _ => {}
        }
        values.push(quiet);
    }
    values.into_iter().map(|quiet| quiet.itself).collect()
}

impl Known {
    pub(super) fn quiet(self) -> Quiet {
        match self {
            Known::Constant { ty, bits } => Quiet::of_constant(ty, bits),
            Known::Width { .. } => Quiet::default(),
            Known::Quiet(quiet) => quiet,
        }
    }
}
