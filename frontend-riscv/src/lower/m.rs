//! M: multiplication and division. The IR's division is RISC-V's: total, with the manual's results for 0.

use super::{Flow, Lower};
use crate::fields::Word;
use emu_ir::BinaryOp;

/// MUL.
pub fn mul(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::Mul)
}

/// MULH: high half of signed by signed.
pub fn mulh(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::MulHiS)
}

/// MULHU: high half of unsigned by unsigned.
pub fn mulhu(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::MulHiU)
}

/// MULHSU: high half of signed rs1 by unsigned rs2. Read as unsigned, a negative rs1 is 2^XLEN too large, which
/// makes the high half rs2 too large.
pub fn mulhsu(t: &mut Lower, w: Word) -> Flow {
    let (a, b) = (t.x(w.rs1()), t.x(w.rs2()));
    let high = t.ir.binary(BinaryOp::MulHiU, a, b);
    let sign = t.with_imm(BinaryOp::ShrS, a, i64::from(t.config().xlen - 1));
    let excess = t.ir.and(sign, b);
    let value = t.ir.sub(high, excess);
    t.set_x(w.rd(), value);
    Flow::Next
}

/// DIV.
pub fn div(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::DivS)
}

/// DIVU.
pub fn divu(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::DivU)
}

/// REM.
pub fn rem(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::RemS)
}

/// REMU.
pub fn remu(t: &mut Lower, w: Word) -> Flow {
    t.binary(w, BinaryOp::RemU)
}

/// MULW.
pub fn mulw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::Mul)
}

/// DIVW.
pub fn divw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::DivS)
}

/// DIVUW: the result is sign-extended too.
pub fn divuw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::DivU)
}

/// REMW.
pub fn remw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::RemS)
}

/// REMUW: the result is sign-extended too.
pub fn remuw(t: &mut Lower, w: Word) -> Flow {
    t.binary_w(w, BinaryOp::RemU)
}
