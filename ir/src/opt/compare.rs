//! Rules for comparisons, booleans and selects.

use super::Rewriter;
use crate::block::{Inst, Value};
use crate::eval;
use crate::op::{BinaryOp, Cond, ConvertOp};
use crate::types::Type;

impl Rewriter {
    pub(super) fn compare(&mut self, cond: Cond, ty: Type, [a, b]: [Value; 2]) -> Option<Value> {
        match (self.constant(a), self.constant(b)) {
            (Some(x), Some(y)) => Some(self.iconst(Type::I8, eval::compare(cond, ty, x, y).into())),
            (Some(_), None) => Some(self.emit(Inst::Compare { cond: cond.swapped(), ty, args: [b, a] })),
            (None, Some(c)) => self
                .with_bound(cond, ty, a, c)
                .or_else(|| self.bool_with_constant(cond, a, c))
                .or_else(|| self.difference_with_zero(cond, ty, a, c))
                .or_else(|| self.narrow_with_constant(cond, a, c)),
            (None, None) if self.same(a, b) => Some(self.iconst(Type::I8, eval::compare(cond, ty, 0, 0).into())),
            (None, None) => self.narrow(cond, [a, b]),
        }
    }

    /// Unsigned comparisons next to zero say `==` or `!=` 0, or nothing.
    fn with_bound(&mut self, cond: Cond, ty: Type, a: Value, c: u64) -> Option<Value> {
        let cond = match (cond, c) {
            (Cond::LtU, 0) => return Some(self.iconst(Type::I8, 0)),
            (Cond::GeU, 0) => return Some(self.iconst(Type::I8, 1)),
            (Cond::LtU, 1) | (Cond::LeU, 0) => Cond::Eq,
            (Cond::GeU, 1) | (Cond::GtU, 0) => Cond::Ne,
            _ => return None,
        };
        let zero = self.iconst(ty, 0);
        Some(self.emit(Inst::Compare { cond, ty, args: [a, zero] }))
    }

    /// The `i8` that is 0 or 1 which `value` is, perhaps extended.
    pub(super) fn bool_of(&self, value: Value) -> Option<Value> {
        let inner = self.converted(ConvertOp::Zext, value).unwrap_or(value);
        (self.ty(inner) == Type::I8 && self.width(inner).unsigned <= 1).then_some(inner)
    }

    /// A new comparison that holds exactly where that of `value` does not.
    pub(super) fn inverted_comparison(&mut self, value: Value) -> Option<Value> {
        let Inst::Compare { cond, ty, args } = *self.def(value) else { return None };
        Some(self.emit(Inst::Compare { cond: cond.inverted(), ty, args }))
    }

    /// A boolean against 0 or 1 is itself or its inverse.
    fn bool_with_constant(&mut self, cond: Cond, a: Value, c: u64) -> Option<Value> {
        let value = self.bool_of(a)?;
        match (cond, c) {
            (Cond::Ne, 0) | (Cond::Eq, 1) => Some(value),
            (Cond::Eq, 0) | (Cond::Ne, 1) => self.inverted_comparison(value),
            _ => None,
        }
    }

    /// The boolean, where `value` is `boolean == 0`.
    pub(super) fn negated_bool(&self, value: Value) -> Option<Value> {
        match *self.def(value) {
            Inst::Compare { cond: Cond::Eq, args: [a, b], .. } if self.constant(b) == Some(0) => self.bool_of(a),
            _ => None,
        }
    }

    /// `a - b == 0` and `a ^ b == 0` are `a == b`.
    fn difference_with_zero(&mut self, cond: Cond, ty: Type, a: Value, c: u64) -> Option<Value> {
        if c != 0 || !matches!(cond, Cond::Eq | Cond::Ne) || self.uses(a) > 1 {
            return None;
        }
        match *self.def(a) {
            Inst::Binary { op: BinaryOp::Sub | BinaryOp::Xor, args, .. } => {
                Some(self.emit(Inst::Compare { cond, ty, args }))
            }
            _ => None,
        }
    }

    /// The conversion from `i32` that defines the value, and its operand. (Narrower comparisons gain nothing.)
    fn extension(&self, value: Value) -> Option<(ConvertOp, Value)> {
        match *self.def(value) {
            Inst::Convert { op: op @ (ConvertOp::Sext | ConvertOp::Zext), arg, .. } if self.ty(arg) == Type::I32 => {
                Some((op, arg))
            }
            _ => None,
        }
    }

    /// Both sides extended alike: compare what was extended.
    fn narrow(&mut self, cond: Cond, args: [Value; 2]) -> Option<Value> {
        let [(op, a), (other, b)] = [self.extension(args[0])?, self.extension(args[1])?];
        let cond = narrow_condition(cond, op);
        (op == other).then(|| self.emit(Inst::Compare { cond, ty: Type::I32, args: [a, b] }))
    }

    /// An extended value against a constant that is extended likewise.
    fn narrow_with_constant(&mut self, cond: Cond, a: Value, c: u64) -> Option<Value> {
        let (op, narrow) = self.extension(a)?;
        let low = c & Type::I32.mask();
        if eval::convert(op, Type::I32, self.ty(a), low) != c {
            return None;
        }
        let (cond, low) = (narrow_condition(cond, op), self.iconst(Type::I32, low));
        Some(self.emit(Inst::Compare { cond, ty: Type::I32, args: [narrow, low] }))
    }

    pub(super) fn select(&mut self, ty: Type, cond: Value, [a, b]: [Value; 2]) -> Option<Value> {
        if a == b {
            return Some(a);
        }
        if let Some(c) = self.constant(cond) {
            return Some(if c != 0 { a } else { b });
        }
        let cond = self.negated_bool(cond)?;
        Some(self.emit(Inst::Select { ty, cond, args: [b, a] }))
    }
}

/// The condition on the operands of two equal extensions. Sign extension keeps both orders; after zero extension the
/// signed order is the unsigned one of the operands.
fn narrow_condition(cond: Cond, op: ConvertOp) -> Cond {
    match (op, cond) {
        (ConvertOp::Zext, Cond::LtS) => Cond::LtU,
        (ConvertOp::Zext, Cond::LeS) => Cond::LeU,
        (ConvertOp::Zext, Cond::GtS) => Cond::GtU,
        (ConvertOp::Zext, Cond::GeS) => Cond::GeU,
        _ => cond,
    }
}
