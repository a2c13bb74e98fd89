//! Zicond: conditional zero.

use super::{Flow, Lower};
use crate::fields::Word;
use emu_ir::Cond;

/// rd = 0 if rs2 compares so with 0, else rs1.
fn zero_if(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (value, test, zero) = (t.x(w.rs1()), t.x(w.rs2()), t.imm(0));
    let cleared = t.ir.compare(cond, test, zero);
    let result = t.ir.select(cleared, zero, value);
    t.set_x(w.rd(), result);
    Flow::Next
}

/// CZERO.EQZ.
pub fn czero_eqz(t: &mut Lower, w: Word) -> Flow {
    zero_if(t, w, Cond::Eq)
}

/// CZERO.NEZ.
pub fn czero_nez(t: &mut Lower, w: Word) -> Flow {
    zero_if(t, w, Cond::Ne)
}
