//! A: load-reserved / store-conditional (Zalrsc) and read-modify-write (Zaamo).
//!
//! The IR's atomics are sequentially consistent, so the `aq` and `rl` bits ask for nothing more. Misaligned
//! addresses fault in the engine.

use super::{Flow, Lower};
use crate::fields::Word;
use emu_ir::{AtomicOp, Inst, ScId, Type};

/// The width in funct3: `.w` or `.d`.
fn width(w: Word) -> Type {
    if w.bits(14, 12) == 0b010 { Type::I32 } else { Type::I64 }
}

/// LR.W, LR.D. What it is good for is found out later ([`emu_ir::reserve`]).
pub fn lr(t: &mut Lower, w: Word) -> Flow {
    let addr = t.x(w.rs1());
    let value = t.ir.push(Inst::LoadReserved { ty: width(w), addr, id: ScId::NONE });
    t.set_w(w.rd(), value);
    Flow::Next
}

/// SC.W, SC.D: rd = 0 if it stored, else 1.
pub fn sc(t: &mut Lower, w: Word) -> Flow {
    let (addr, value) = (t.x(w.rs1()), t.x_as(width(w), w.rs2()));
    let stored = t.ir.push(Inst::StoreConditional { ty: width(w), addr, value, id: ScId::at(t.pc) });
    let one = t.ir.iconst(Type::I8, 1);
    let failed = t.ir.xor(stored, one);
    t.set_zext(w.rd(), failed);
    Flow::Next
}

/// rd = the old value of the memory at rs1, which becomes old op rs2.
fn amo(t: &mut Lower, w: Word, op: AtomicOp) -> Flow {
    let (addr, value) = (t.x(w.rs1()), t.x_as(width(w), w.rs2()));
    let old = t.ir.push(Inst::AtomicRmw { op, ty: width(w), addr, value });
    t.set_w(w.rd(), old);
    Flow::Next
}

/// AMOSWAP.
pub fn amoswap(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::Swap)
}

/// AMOADD.
pub fn amoadd(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::Add)
}

/// AMOXOR.
pub fn amoxor(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::Xor)
}

/// AMOAND.
pub fn amoand(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::And)
}

/// AMOOR.
pub fn amoor(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::Or)
}

/// AMOMIN, signed.
pub fn amomin(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::MinS)
}

/// AMOMAX, signed.
pub fn amomax(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::MaxS)
}

/// AMOMINU.
pub fn amominu(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::MinU)
}

/// AMOMAXU.
pub fn amomaxu(t: &mut Lower, w: Word) -> Flow {
    amo(t, w, AtomicOp::MaxU)
}
