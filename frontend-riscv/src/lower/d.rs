//! D: what F has no counterpart of. The rest of D is in [`super::f`].

use super::{Flow, Lower};
use crate::fields::{IMM_I, IMM_S, Word};
use emu_ir::{Access, FloatConvertOp, Type};

/// FLD.
pub fn fld(t: &mut Lower, w: Word) -> Flow {
    let addr = t.x(w.rs1());
    let value = t.ir.load(Type::F64, Access::unsigned(8), addr, IMM_I.get(w.0) as i32);
    t.set_f(w.rd(), value);
    Flow::Next
}

/// FSD.
pub fn fsd(t: &mut Lower, w: Word) -> Flow {
    let (addr, value) = (t.x(w.rs1()), t.f(Type::F64, w.rs2()));
    t.ir.store(Access::unsigned(8), addr, IMM_S.get(w.0) as i32, value);
    Flow::Next
}

fn convert(t: &mut Lower, w: Word, from: Type, to: Type) -> Flow {
    let a = t.f(from, w.rs1());
    let value = t.ir.float_convert(FloatConvertOp::Format, to, t.round(w), a);
    t.set_f(w.rd(), value);
    Flow::Next
}

/// FCVT.S.D.
pub fn fcvt_s_d(t: &mut Lower, w: Word) -> Flow {
    convert(t, w, Type::F64, Type::F32)
}

/// FCVT.D.S: exact, but its rounding mode must be a legal one.
pub fn fcvt_d_s(t: &mut Lower, w: Word) -> Flow {
    convert(t, w, Type::F32, Type::F64)
}
