//! Conversions between the formats S, D, W and L.

use super::fpu::format;
use super::{Flow, Lower};
use crate::fields::Word;
use emu_ir::{FloatConvertOp, Round, Type};

/// fd = fs as an integer; what an invalid conversion gives is in the block's NaN rule.
fn to_integer(t: &mut Lower, w: Word, ty: Type, round: Round) -> Flow {
    let a = t.f(format(w), w.fs());
    let value = t.ir.float_convert(FloatConvertOp::ToIntS, ty, round, a);
    t.set_f_int(w.fd(), value);
    Flow::Next
}

/// ROUND.W, TRUNC.W, CEIL.W, FLOOR.W and the same for L: bit 2 says which, bits 1..0 how.
pub fn round(t: &mut Lower, w: Word) -> Flow {
    let ty = if w.bits(2, 2) == 1 { Type::I32 } else { Type::I64 };
    let mode = match w.bits(1, 0) {
        0 => Round::NearestEven,
        1 => Round::TowardZero,
        2 => Round::Up,
        _ => Round::Down,
    };
    to_integer(t, w, ty, mode)
}

/// CVT.W.fmt.
pub fn cvt_w(t: &mut Lower, w: Word) -> Flow {
    to_integer(t, w, Type::I32, Round::Dynamic)
}

/// CVT.L.fmt.
pub fn cvt_l(t: &mut Lower, w: Word) -> Flow {
    to_integer(t, w, Type::I64, Round::Dynamic)
}

/// fd = fs, an integer, as a number. The destination is in bit 0.
fn from_integer(t: &mut Lower, w: Word, ty: Type) -> Flow {
    let to = if w.bits(0, 0) == 0 { Type::F32 } else { Type::F64 };
    let a = t.f_int(ty, w.fs());
    let value = t.ir.float_convert(FloatConvertOp::FromIntS, to, Round::Dynamic, a);
    t.set_f(w.fd(), value);
    Flow::Next
}

/// CVT.S.W, CVT.D.W.
pub fn cvt_from_w(t: &mut Lower, w: Word) -> Flow {
    from_integer(t, w, Type::I32)
}

/// CVT.S.L, CVT.D.L.
pub fn cvt_from_l(t: &mut Lower, w: Word) -> Flow {
    from_integer(t, w, Type::I64)
}

/// CVT.S.D, CVT.D.S.
pub fn cvt_float(t: &mut Lower, w: Word) -> Flow {
    let to = if format(w) == Type::F32 { Type::F64 } else { Type::F32 };
    let a = t.f(format(w), w.fs());
    let value = t.ir.float_convert(FloatConvertOp::Format, to, Round::Dynamic, a);
    t.set_f(w.fd(), value);
    Flow::Next
}
