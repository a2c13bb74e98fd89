//! Zicsr: read-modify-write of control and status registers. Which there are is in [`crate::csr`].

use super::{Flow, Lower};
use crate::csr;
use crate::fields::{CSR, Word, ZIMM};
use emu_ir::{BinaryOp, Builder, ExitKind, Terminator, UnaryOp, Value};

/// The new value from the old one and the operand.
type Update = fn(&mut Builder, Value, Value) -> Value;

fn set_bits(ir: &mut Builder, old: Value, bits: Value) -> Value {
    ir.or(old, bits)
}

fn clear_bits(ir: &mut Builder, old: Value, bits: Value) -> Value {
    let keep = ir.unary(UnaryOp::Not, bits);
    ir.binary(BinaryOp::And, old, keep)
}

/// CSRRW and CSRRWI: rd = csr; csr = operand. With rd = x0 it is not read.
fn swap(t: &mut Lower, w: Word, operand: Value) -> Flow {
    let Some(csr) = csr::find(CSR.get(w.0) as u32, t.config()).filter(|c| !c.is_read_only()) else {
        return Flow::Illegal;
    };
    if w.rd() != 0 {
        let old = csr.read(t);
        t.set_x(w.rd(), old);
    }
    csr.write(t, operand);
    after_write(t, csr)
}

/// The others: rd = csr; csr = update(csr, operand). With rs1's field 0 it is not written.
fn modify(t: &mut Lower, w: Word, operand: Value, update: Update) -> Flow {
    let writes = w.rs1() != 0;
    let found = csr::find(CSR.get(w.0) as u32, t.config()).filter(|c| !(writes && c.is_read_only()));
    let Some(csr) = found else { return Flow::Illegal };
    let old = csr.read(t);
    if !writes {
        t.set_x(w.rd(), old);
        return Flow::Next;
    }
    let new = update(&mut t.ir, old, operand);
    t.set_x(w.rd(), old);
    csr.write(t, new);
    after_write(t, csr)
}

fn after_write(t: &mut Lower, csr: &csr::CsrDef) -> Flow {
    if !csr.changes_mode() {
        return Flow::Next;
    }
    Flow::End(Terminator::Exit { kind: ExitKind::ModeChange, next: t.next_pc() })
}

/// CSRRW.
pub fn csrrw(t: &mut Lower, w: Word) -> Flow {
    let operand = t.x(w.rs1());
    swap(t, w, operand)
}

/// CSRRS.
pub fn csrrs(t: &mut Lower, w: Word) -> Flow {
    let operand = t.x(w.rs1());
    modify(t, w, operand, set_bits)
}

/// CSRRC.
pub fn csrrc(t: &mut Lower, w: Word) -> Flow {
    let operand = t.x(w.rs1());
    modify(t, w, operand, clear_bits)
}

/// CSRRWI.
pub fn csrrwi(t: &mut Lower, w: Word) -> Flow {
    let operand = t.imm(ZIMM.get(w.0));
    swap(t, w, operand)
}

/// CSRRSI.
pub fn csrrsi(t: &mut Lower, w: Word) -> Flow {
    let operand = t.imm(ZIMM.get(w.0));
    modify(t, w, operand, set_bits)
}

/// CSRRCI.
pub fn csrrci(t: &mut Lower, w: Word) -> Flow {
    let operand = t.imm(ZIMM.get(w.0));
    modify(t, w, operand, clear_bits)
}
