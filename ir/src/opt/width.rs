//! How many low bits of a value carry information.

use crate::block::{Inst, Value};
use crate::eval::sign_extend;
use crate::op::{BinaryOp, ConvertOp, UnaryOp};
use crate::types::Type;

/// Bounds on a value of some integer type of `w` bits; trivially both are `w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Width {
    /// The value is below 2 to this power.
    pub(super) unsigned: u32,
    /// The value is the sign extension of this many low bits (at least 1).
    pub(super) signed: u32,
}

impl Width {
    /// Any value of the type.
    pub(super) fn any(ty: Type) -> Width {
        Width { unsigned: ty.bits(), signed: ty.bits() }
    }

    /// A value below 2 to the power of `bits`.
    fn below(bits: u32, ty: Type) -> Width {
        Width { unsigned: bits, signed: ty.bits() }.tightened(ty)
    }

    /// Each bound as the other implies it, and neither beyond the type.
    fn tightened(self, ty: Type) -> Width {
        let unsigned = self.unsigned.min(ty.bits());
        Width { unsigned, signed: self.signed.min(unsigned + 1).clamp(1, ty.bits()) }
    }

    /// The width of a constant.
    pub(super) fn of_constant(ty: Type, bits: u64) -> Width {
        let signed = sign_extend(ty, bits);
        let magnitude = if signed < 0 { !signed } else { signed };
        Width { unsigned: 64 - bits.leading_zeros(), signed: 65 - magnitude.leading_zeros() }.tightened(ty)
    }

    /// A width that is no less, of which there are few.
    pub(super) fn coarse(self, ty: Type) -> Width {
        let up = |bits: u32, steps: &[u32]| steps.iter().copied().find(|step| bits <= *step).unwrap_or(64);
        Width { unsigned: up(self.unsigned, &[1, 8, 16, 31, 32]), signed: up(self.signed, &[8, 16, 32]) }.tightened(ty)
    }

    pub(super) fn max(self, other: Width) -> Width {
        Width { unsigned: self.unsigned.max(other.unsigned), signed: self.signed.max(other.signed) }
    }

    /// Is the highest bit of the type known to be zero?
    fn is_positive(self, ty: Type) -> bool {
        self.unsigned < ty.bits()
    }

    /// The width of the instruction's result; `of` gives those of its operands with their types.
    pub(super) fn of(
        inst: &Inst,
        of: impl Fn(Value) -> (Width, Type),
        constant: impl Fn(Value) -> Option<u64>,
    ) -> Width {
        match *inst {
            Inst::Const { ty, bits } => Width::of_constant(ty, bits),
            Inst::Load { ty, access, .. } if access.signed && access.bytes < ty.bytes() => {
                Width { unsigned: ty.bits(), signed: 8 * u32::from(access.bytes) }
            }
            Inst::Load { ty, access, .. } => Width::below(8 * u32::from(access.bytes), ty),
            Inst::Convert { op, ty, arg } => of(arg).0.converted(op, of(arg).1, ty),
            Inst::Binary { op, ty, args: [a, b] } => of(a).0.binary(op, ty, of(b).0, constant(b)),
            Inst::Select { ty, args: [a, b], .. } if ty.is_int() => of(a).0.max(of(b).0),
            Inst::Unary { op: UnaryOp::Clz | UnaryOp::Ctz | UnaryOp::Popcnt, ty, .. } => Width::below(7, ty),
            Inst::Compare { .. } | Inst::FloatCompare { .. } | Inst::StoreConditional { .. } => {
                Width::below(1, Type::I8)
            }
            Inst::FloatClass { .. } => Width::below(10, Type::I32),
            Inst::ReadFpFlags => Width::below(5, Type::I32),
            _ => Width::any(inst.result().unwrap_or(Type::I64)),
        }
    }

    fn converted(self, op: ConvertOp, from: Type, to: Type) -> Width {
        match op {
            ConvertOp::Zext => Width::below(self.unsigned, to),
            ConvertOp::Sext if self.is_positive(from) => Width::below(self.unsigned, to),
            ConvertOp::Sext => Width { unsigned: to.bits(), signed: self.signed },
            ConvertOp::Trunc => self.tightened(to),
            ConvertOp::Bitcast | ConvertOp::Box | ConvertOp::Unbox => Width::any(to),
        }
    }

    fn binary(self, op: BinaryOp, ty: Type, b: Width, constant: Option<u64>) -> Width {
        let amount = constant.map(|c| c as u32 & (ty.bits() - 1));
        let either = self.max(b);
        let width = match (op, amount) {
            (BinaryOp::And, _) => Width { unsigned: self.unsigned.min(b.unsigned), signed: either.signed },
            (BinaryOp::Or | BinaryOp::Xor, _) => either,
            (BinaryOp::Add, _) => Width { unsigned: either.unsigned + 1, signed: either.signed + 1 },
            (BinaryOp::Sub, _) => Width { unsigned: ty.bits(), signed: either.signed + 1 },
            (BinaryOp::Mul, _) => Width { unsigned: self.unsigned + b.unsigned, signed: self.signed + b.signed },
            (BinaryOp::RemU, _) => Width { unsigned: self.unsigned, signed: ty.bits() },
            (BinaryOp::Shl, Some(k)) => Width { unsigned: self.unsigned + k, signed: self.signed + k },
            (BinaryOp::ShrU, Some(0)) => self,
            (BinaryOp::ShrU, Some(k)) => Width::below(self.unsigned.saturating_sub(k), ty),
            (BinaryOp::ShrU, None) => Width::below(self.unsigned, ty),
            (BinaryOp::ShrS, Some(k)) if !self.is_positive(ty) => {
                Width { unsigned: ty.bits(), signed: self.signed.saturating_sub(k) }
            }
            (BinaryOp::ShrS, Some(k)) => Width::below(self.unsigned.saturating_sub(k), ty),
            (BinaryOp::ShrS, None) => self,
            _ => Width::any(ty),
        };
        width.tightened(ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval;

    impl Width {
        fn holds(self, ty: Type, value: u64) -> bool {
            let shift = 64 - self.signed;
            let low = ((value << shift) as i64) >> shift;
            let below = self.unsigned == 64 || value >> self.unsigned == 0;
            below && low as u64 & ty.mask() == value && (1..=ty.bits()).contains(&self.signed)
        }
    }

    /// The bounds of two values bound the result; all bytes are tried.
    #[test]
    fn results_of_binary_ops_keep_their_bounds() {
        let ty = Type::I8;
        for (a, b) in (0..=255).flat_map(|a| (0..=255).map(move |b| (a, b))) {
            let [x, y] = [a, b].map(|v| Width::of_constant(ty, v));
            assert!(x.holds(ty, a));
            for op in BinaryOp::ALL {
                let result = eval::binary(op, ty, a, b);
                assert!(x.binary(op, ty, y, None).holds(ty, result), "{op:?} {a:#x} {b:#x}");
                assert!(x.binary(op, ty, y, Some(b)).holds(ty, result), "{op:?} {a:#x} {b:#x}");
            }
            let chosen = x.max(y);
            assert!(chosen.holds(ty, a) && chosen.holds(ty, b));
            assert!(x.coarse(ty).holds(ty, a));
        }
    }

    #[test]
    fn results_of_conversions_keep_their_bounds() {
        for (from, to, op) in [
            (Type::I8, Type::I16, ConvertOp::Zext),
            (Type::I8, Type::I16, ConvertOp::Sext),
            (Type::I16, Type::I8, ConvertOp::Trunc),
        ] {
            for a in 0..=from.mask() {
                let result = eval::convert(op, from, to, a);
                assert!(Width::of_constant(from, a).converted(op, from, to).holds(to, result), "{op:?} {a:#x}");
            }
        }
    }
}
