//! Values of which only some bits are looked at: what was put beside them goes away.

use super::Rewriter;
use super::quiet::SIGNALLING_CLASS;
use crate::block::{Inst, Value};
use crate::op::{BinaryOp, ConvertOp};
use crate::types::Type;

/// Operations that are looked at to see which bits may be ones.
const MAX_DEPTH: u32 = 3;

/// The results of `fclass`.
const ALL_CLASSES: u64 = 0x3ff;

impl Rewriter {
    /// Bits that may be ones.
    fn possible_bits(&self, value: Value) -> u64 {
        self.bits_by_operands(value, MAX_DEPTH)
    }

    /// The same, looking at as many operations one after the other.
    fn bits_by_operands(&self, value: Value, depth: u32) -> u64 {
        let mask = self.ty(value).mask();
        match *self.def(value) {
            Inst::Const { bits, .. } => bits,
            Inst::Binary { op: BinaryOp::Or, args, .. } if depth > 0 => {
                args.into_iter().fold(0, |bits, arg| bits | self.bits_by_operands(arg, depth - 1))
            }
            Inst::Convert { op: ConvertOp::Zext, arg, .. } if depth > 0 => self.bits_by_operands(arg, depth - 1),
            Inst::FloatClass { arg, .. } if self.quiet(arg).itself => ALL_CLASSES & !SIGNALLING_CLASS,
            Inst::Binary { op: BinaryOp::And, args: [_, c], .. } => self.constant(c).unwrap_or(mask),
            Inst::Binary { op: BinaryOp::Shl, args: [_, k], .. } => match self.constant(k) {
                Some(k) => mask << (k & u64::from(self.ty(value).bits() - 1)) & mask,
                None => mask,
            },
            _ => Type::I64.mask().checked_shr(64 - self.width(value).unsigned).unwrap_or(0) & mask,
        }
    }

    /// A value that is the same as `value` in the bits of `mask`, less work to compute.
    fn visible_part(&self, mut value: Value, mask: u64) -> Value {
        loop {
            value = match *self.def(value) {
                Inst::Binary { op: BinaryOp::Or | BinaryOp::Xor, args: [a, b], .. } => {
                    match [a, b].map(|v| self.possible_bits(v) & mask) {
                        [0, _] => b,
                        [_, 0] => a,
                        _ => return value,
                    }
                }
                Inst::Binary { op: BinaryOp::And, args: [a, c], .. }
                    if self.constant(c).is_some_and(|c| c & mask == mask) && self.may_look_through(value, a) =>
                {
                    a
                }
                _ => return value,
            }
        }
    }

    /// The low bits of a value that was put together of parts.
    pub(super) fn trunc_of_part(&mut self, ty: Type, arg: Value) -> Option<Value> {
        let part = self.visible_part(arg, ty.mask());
        (part != arg).then(|| self.emit_convert(ConvertOp::Trunc, ty, part))
    }

    /// The same for a mask, and for what is shifted down.
    pub(super) fn op_on_part(&mut self, op: BinaryOp, ty: Type, a: Value, c: u64) -> Option<Value> {
        let mask = match op {
            BinaryOp::And => c,
            BinaryOp::ShrU => ty.mask() << (c & u64::from(ty.bits() - 1)) & ty.mask(),
            _ => return None,
        };
        let part = self.visible_part(a, mask);
        let possible = self.possible_bits(part);
        if op == BinaryOp::And && possible & c == 0 {
            return Some(self.iconst(ty, 0));
        }
        if op == BinaryOp::And && possible & !c == 0 {
            return Some(part);
        }
        (part != a).then(|| self.emit_imm(op, ty, part, c))
    }
}
