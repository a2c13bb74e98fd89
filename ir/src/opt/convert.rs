//! Rules for conversions.

use super::Rewriter;
use crate::block::{Inst, Value};
use crate::eval;
use crate::op::ConvertOp;
use crate::types::Type;
use ConvertOp::*;

impl Rewriter {
    pub(super) fn convert(&mut self, op: ConvertOp, ty: Type, arg: Value) -> Option<Value> {
        let from = self.ty(arg);
        if let Some(a) = self.constant(arg) {
            return Some(self.iconst(ty, eval::convert(op, from, ty, a)));
        }
        match op {
            Trunc => self.trunc_of_part(ty, arg).or_else(|| self.trunc(ty, arg)),
            Zext | Sext => self.extend(op, ty, arg),
            Bitcast => self.converted(Bitcast, arg).filter(|inner| self.ty(*inner) == ty),
            Unbox => self.converted(Box, arg),
            Box => None,
        }
    }

    fn trunc(&mut self, ty: Type, arg: Value) -> Option<Value> {
        let Inst::Convert { op, arg: inner, .. } = *self.def(arg) else { return None };
        let from = self.ty(inner);
        match op {
            Trunc => Some(self.emit_convert(Trunc, ty, inner)),
            Zext | Sext if from < ty => Some(self.emit_convert(op, ty, inner)),
            Zext | Sext => Some(self.emit_convert(Trunc, ty, inner)),
            Bitcast | Box | Unbox => None,
        }
    }

    fn extend(&mut self, op: ConvertOp, ty: Type, arg: Value) -> Option<Value> {
        let from = self.ty(arg);
        if let Some(wide) = self.converted(Trunc, arg) {
            let width = self.width(wide);
            let unchanged = if op == Zext { width.unsigned } else { width.signed } <= from.bits();
            if unchanged {
                let op = if ty < self.ty(wide) { Trunc } else { op };
                return Some(self.emit_convert(op, ty, wide));
            }
        }
        match (self.def(arg), op) {
            (Inst::Convert { op: inner, arg, .. }, _) if *inner == op => Some(self.emit_convert(op, ty, *arg)),
            _ if op == Sext && self.width(arg).unsigned < from.bits() => Some(self.emit_convert(Zext, ty, arg)),
            _ => None,
        }
    }
}
