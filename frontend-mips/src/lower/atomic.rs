//! LL and SC, SYNC.
//!
//! What an LL is good for is found out when it has been translated ([`emu_ir::reserve`]). The IR's reservation knows little endian only, so
//! that a big-endian processor swaps what it loads and stores. A misaligned address faults: Linux does not fix these up.

use super::{Flow, Lower};
use crate::fields::{IMM9, Word};
use emu_ir::{BinaryOp, FenceKind, Inst, ScId, Type, UnaryOp, Value};

/// rs + offset.
fn address(t: &mut Lower, w: Word, offset: i64) -> Value {
    let base = t.gpr(w.rs());
    if offset == 0 { base } else { t.with_imm(BinaryOp::Add, base, offset) }
}

/// A value as memory holds it, or the inverse.
fn memory_order(t: &mut Lower, value: Value) -> Value {
    if t.config().big_endian { t.ir.unary(UnaryOp::Bswap, value) } else { value }
}

fn reserve(t: &mut Lower, ty: Type, addr: Value) -> Value {
    let raw = t.ir.push(Inst::LoadReserved { ty, addr, id: ScId::NONE });
    memory_order(t, raw)
}

/// rt = 1 if it stored, else 0.
fn conditional(t: &mut Lower, w: Word, ty: Type, addr: Value, value: Value) -> Flow {
    let value = memory_order(t, value);
    let stored = t.ir.push(Inst::StoreConditional { ty, addr, value, id: ScId::at(t.pc) });
    t.set_bool(w.rt(), stored);
    Flow::Next
}

fn load_linked(t: &mut Lower, w: Word, ty: Type, offset: i64) -> Flow {
    let addr = address(t, w, offset);
    let value = reserve(t, ty, addr);
    t.set_w(w.rt(), value);
    Flow::Next
}

fn store_conditional(t: &mut Lower, w: Word, ty: Type, offset: i64) -> Flow {
    let (addr, value) = (address(t, w, offset), t.gpr_as(ty, w.rt()));
    conditional(t, w, ty, addr, value)
}

/// LL.
pub fn ll(t: &mut Lower, w: Word) -> Flow {
    load_linked(t, w, Type::I32, w.imm())
}

/// LLD.
pub fn lld(t: &mut Lower, w: Word) -> Flow {
    load_linked(t, w, Type::I64, w.imm())
}

/// SC.
pub fn sc(t: &mut Lower, w: Word) -> Flow {
    store_conditional(t, w, Type::I32, w.imm())
}

/// SCD.
pub fn scd(t: &mut Lower, w: Word) -> Flow {
    store_conditional(t, w, Type::I64, w.imm())
}

/// LL of Release 6.
pub fn ll6(t: &mut Lower, w: Word) -> Flow {
    load_linked(t, w, Type::I32, IMM9.get(w.0))
}

/// LLD of Release 6.
pub fn lld6(t: &mut Lower, w: Word) -> Flow {
    load_linked(t, w, Type::I64, IMM9.get(w.0))
}

/// SC of Release 6.
pub fn sc6(t: &mut Lower, w: Word) -> Flow {
    store_conditional(t, w, Type::I32, IMM9.get(w.0))
}

/// SCD of Release 6.
pub fn scd6(t: &mut Lower, w: Word) -> Flow {
    store_conditional(t, w, Type::I64, IMM9.get(w.0))
}

/// LLWP: rt and rd = the low and the high word of a doubleword.
pub fn llwp(t: &mut Lower, w: Word) -> Flow {
    // The same register for both is unpredictable.
    if !t.config().paired_ll {
        return Flow::Illegal;
    }
    let addr = address(t, w, 0);
    let both = reserve(t, Type::I64, addr);
    let high = t.with_imm(BinaryOp::ShrU, both, 32);
    let (low, high) = (t.ir.trunc(Type::I32, both), t.ir.trunc(Type::I32, high));
    t.set_w(w.rt(), low);
    t.set_w(w.rd(), high);
    Flow::Next
}

/// SCWP: the doubleword is rd:rt.
pub fn scwp(t: &mut Lower, w: Word) -> Flow {
    if !t.config().paired_ll {
        return Flow::Illegal;
    }
    let addr = address(t, w, 0);
    let (low, high) = (t.w(w.rt()), t.w(w.rd()));
    let (low, high) = (t.ir.zext(Type::I64, low), t.ir.zext(Type::I64, high));
    let high = t.with_imm(BinaryOp::Shl, high, 32);
    let both = t.ir.or(high, low);
    conditional(t, w, Type::I64, addr, both)
}

/// SYNC: stypes that order no store before a load need nothing on a host that keeps the other orders (4: SYNC_WMB, 0x11:
/// SYNC_ACQUIRE, 0x12: SYNC_RELEASE, 0x13: SYNC_RMB); all others, the reserved ones too, are a full barrier.
pub fn sync(t: &mut Lower, w: Word) -> Flow {
    let kind = if matches!(w.sa(), 0x04 | 0x11 | 0x12 | 0x13) { FenceKind::Light } else { FenceKind::Full };
    t.ir.push(Inst::Fence { kind });
    Flow::Next
}
