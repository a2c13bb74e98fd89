//! Rules for unary and binary integer ops.

use super::Rewriter;
use crate::block::{Inst, Value};
use crate::eval;
use crate::op::{BinaryOp, ConvertOp, UnaryOp};
use crate::types::Type;
use BinaryOp::*;

/// May the operands be exchanged?
pub(super) fn commutes(op: BinaryOp) -> bool {
    matches!(op, Add | Mul | MulHiS | MulHiU | And | Or | Xor | Clmul | ClmulHi)
}

impl Rewriter {
    pub(super) fn unary(&mut self, op: UnaryOp, ty: Type, arg: Value) -> Option<Value> {
        if let Some(a) = self.constant(arg) {
            return Some(self.iconst(ty, eval::unary(op, ty, a)));
        }
        let undoes_itself = matches!(op, UnaryOp::Not | UnaryOp::Neg | UnaryOp::Bswap | UnaryOp::Bitrev);
        match *self.def(arg) {
            Inst::Unary { op: inner, arg, .. } if inner == op && undoes_itself => Some(arg),
            _ => None,
        }
    }

    pub(super) fn binary(&mut self, op: BinaryOp, ty: Type, [a, b]: [Value; 2]) -> Option<Value> {
        match (self.constant(a), self.constant(b)) {
            (Some(x), Some(y)) => Some(self.iconst(ty, eval::binary(op, ty, x, y))),
            (Some(_), None) if commutes(op) => Some(self.emit_binary(op, ty, [b, a])),
            (_, Some(c)) => self
                .identity(op, ty, a, c)
                .or_else(|| self.op_on_part(op, ty, a, c))
                .or_else(|| self.cheaper_constant_op(op, ty, a, c))
                .or_else(|| self.reassociate(op, ty, a, c))
                .or_else(|| self.narrowing_shifts(op, ty, a, c))
                .or_else(|| self.negate_bool_with_xor(op, ty, a, c)),
            _ if self.same(a, b) => self.same_operands(op, ty, a),
            _ => self.rotation(op, ty, [a, b]),
        }
    }

    fn same_operands(&mut self, op: BinaryOp, ty: Type, a: Value) -> Option<Value> {
        match op {
            Sub | Xor => Some(self.iconst(ty, 0)),
            And | Or => Some(a),
            _ => None,
        }
    }

    /// Constants that make the op do nothing, or give a constant.
    fn identity(&mut self, op: BinaryOp, ty: Type, a: Value, c: u64) -> Option<Value> {
        let amount = c & u64::from(ty.bits() - 1);
        match (op, c) {
            (Shl | ShrU | ShrS | Rotl | Rotr, _) if amount == 0 => Some(a),
            (Add | Sub | Or | Xor, 0) | (Mul | DivS | DivU, 1) => Some(a),
            (And | Mul | Clmul, 0) | (RemU | RemS, 1) => Some(self.iconst(ty, 0)),
            (Or, _) if c == ty.mask() => Some(self.iconst(ty, c)),
            (And, _) if self.width(a).unsigned <= c.trailing_ones() => Some(a),
            (ShrU, _) if u64::from(self.width(a).unsigned) <= amount => Some(self.iconst(ty, 0)),
            _ => None,
        }
    }

    /// Ops with a constant that another op does better.
    fn cheaper_constant_op(&mut self, op: BinaryOp, ty: Type, a: Value, c: u64) -> Option<Value> {
        match op {
            Sub => Some(self.emit_imm(Add, ty, a, c.wrapping_neg())),
            Mul if c.is_power_of_two() => Some(self.emit_imm(Shl, ty, a, c.trailing_zeros().into())),
            DivU if c.is_power_of_two() => Some(self.emit_imm(ShrU, ty, a, c.trailing_zeros().into())),
            RemU if c.is_power_of_two() => Some(self.emit_imm(And, ty, a, c - 1)),
            And => {
                let narrow = [Type::I8, Type::I16, Type::I32].into_iter().find(|n| n.mask() == c && *n < ty)?;
                Some(self.extend_low_bits(ConvertOp::Zext, narrow, ty, a))
            }
            _ => None,
        }
    }

    /// The low bits of `a`, as many as `narrow` has, extended to `ty`.
    fn extend_low_bits(&mut self, op: ConvertOp, narrow: Type, ty: Type, a: Value) -> Value {
        let low = self.emit_convert(ConvertOp::Trunc, narrow, a);
        self.emit_convert(op, ty, low)
    }

    /// `op(op(x, c1), c)` is `op` of `x` and one constant.
    fn reassociate(&mut self, op: BinaryOp, ty: Type, a: Value, c: u64) -> Option<Value> {
        let (x, c1) = self.op_with_constant(op, a)?;
        if !self.may_look_through(a, x) {
            return None;
        }
        match op {
            Add | And | Or | Xor | Mul => Some(self.emit_imm(op, ty, x, eval::binary(op, ty, c1, c))),
            Shl | ShrU | ShrS => self.add_amounts(op, ty, x, [c1, c]),
            _ => None,
        }
    }

    fn add_amounts(&mut self, op: BinaryOp, ty: Type, x: Value, amounts: [u64; 2]) -> Option<Value> {
        let width = u64::from(ty.bits());
        let sum = amounts[0] % width + amounts[1] % width;
        Some(match op {
            ShrS => self.emit_imm(op, ty, x, sum.min(width - 1)),
            _ if sum >= width => self.iconst(ty, 0),
            _ => self.emit_imm(op, ty, x, sum),
        })
    }

    /// `(x << k) >> k` extends the low bits of `x`; `(x << k) >> j` with `j < k` also shifts them.
    fn narrowing_shifts(&mut self, op: BinaryOp, ty: Type, a: Value, c: u64) -> Option<Value> {
        let extend = match op {
            ShrU => ConvertOp::Zext,
            ShrS => ConvertOp::Sext,
            _ => return None,
        };
        let (x, left) = self.op_with_constant(Shl, a)?;
        let width = u64::from(ty.bits());
        let (left, right) = (left % width, c % width);
        let kept = width - left;
        let narrow = [Type::I8, Type::I16, Type::I32].into_iter().find(|n| u64::from(n.bits()) == kept)?;
        if right > left || !self.may_look_through(a, x) && right < left {
            return None;
        }
        let extended = self.extend_low_bits(extend, narrow, ty, x);
        Some(self.emit_imm(Shl, ty, extended, left - right))
    }

    /// `(x << n) | (x >> (width - n))`, also on the sign-extended `i32` halves that RV64 computes.
    fn rotation(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Option<Value> {
        if !matches!(op, Or | Xor | Add) {
            return None;
        }
        match args.map(|v| self.sign_extended(v)) {
            [Some(a), Some(b)] if self.ty(a) == self.ty(b) && op != Add => {
                let narrow = self.rotation(op, self.ty(a), [a, b])?;
                Some(self.emit_convert(ConvertOp::Sext, ty, narrow))
            }
            _ => {
                let (x, n) = self.rotate_operands(op, ty, args).or_else(|| {
                    let [a, b] = args;
                    self.rotate_operands(op, ty, [b, a])
                })?;
                Some(self.emit_binary(Rotl, ty, [x, n]))
            }
        }
    }

    /// The value whose sign extension `value` is (its zero extension too, if it is positive).
    fn sign_extended(&self, value: Value) -> Option<Value> {
        let positive = |v: &Value| self.width(*v).unsigned < self.ty(*v).bits();
        let zext = self.converted(ConvertOp::Zext, value).filter(positive);
        self.converted(ConvertOp::Sext, value).or(zext)
    }

    /// The operands of the rotation to the left that the two shifts make together.
    fn rotate_operands(&self, op: BinaryOp, ty: Type, [left, right]: [Value; 2]) -> Option<(Value, Value)> {
        let Inst::Binary { op: Shl, args: [x, n], .. } = *self.def(left) else { return None };
        let Inst::Binary { op: ShrU, args: [y, m], .. } = *self.def(right) else { return None };
        let width = u64::from(ty.bits());
        let complementary = match (self.constant(n), self.constant(m)) {
            (Some(n), Some(m)) => n % width != 0 && n.wrapping_add(m) % width == 0,
            // An amount of 0 gives x twice: only `or` makes x of that.
            _ => op == Or && self.is_negation(m, n, width),
        };
        (complementary && self.same(x, y)).then_some((x, n))
    }

    /// Is `m` equal to `-n` modulo the width?
    fn is_negation(&self, m: Value, n: Value, width: u64) -> bool {
        match *self.def(m) {
            Inst::Unary { op: UnaryOp::Neg, arg, .. } => self.same(arg, n),
            Inst::Binary { op: Sub, args: [c, arg], .. } => {
                self.constant(c).is_some_and(|c| c % width == 0) && self.same(arg, n)
            }
            _ => false,
        }
    }

    /// `b ^ 1`, where `b` is a comparison's result, is that of the inverted comparison.
    fn negate_bool_with_xor(&mut self, op: BinaryOp, ty: Type, a: Value, c: u64) -> Option<Value> {
        if (op, c) != (Xor, 1) {
            return None;
        }
        let inverted = self.inverted_comparison(self.bool_of(a)?)?;
        Some(self.emit_convert(ConvertOp::Zext, ty, inverted))
    }
}
