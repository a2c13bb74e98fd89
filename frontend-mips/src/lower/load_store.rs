//! Loads and stores of the general registers, unaligned ones, PREF and CACHE.
//!
//! Addresses may be misaligned, as [`Lower::access`] says. The high half of the address space, which a user program may not
//! touch, is the memory's business.

use super::{Flow, Lower};
use crate::fields::{PC18, PC19, Word};
use crate::regs::gpr_slot;
use emu_ir::{BinaryOp, CpuState, Type, UnaryOp, Value};

/// rt = memory at rs + imm.
fn load(t: &mut Lower, w: Word, bytes: u8, signed: bool) -> Flow {
    let base = t.gpr(w.rs());
    t.check_alignment(base, w.imm(), bytes);
    let value = t.ir.load(t.word(), t.access(bytes, signed), base, w.imm() as i32);
    t.set_gpr(w.rt(), value);
    Flow::Next
}

/// LB.
pub fn lb(t: &mut Lower, w: Word) -> Flow {
    load(t, w, 1, true)
}

/// LBU.
pub fn lbu(t: &mut Lower, w: Word) -> Flow {
    load(t, w, 1, false)
}

/// LH.
pub fn lh(t: &mut Lower, w: Word) -> Flow {
    load(t, w, 2, true)
}

/// LHU.
pub fn lhu(t: &mut Lower, w: Word) -> Flow {
    load(t, w, 2, false)
}

/// LW.
pub fn lw(t: &mut Lower, w: Word) -> Flow {
    load(t, w, 4, true)
}

/// LWU.
pub fn lwu(t: &mut Lower, w: Word) -> Flow {
    load(t, w, 4, false)
}

/// LD.
pub fn ld(t: &mut Lower, w: Word) -> Flow {
    load(t, w, 8, true)
}

/// Memory at rs + imm = the low bytes of rt.
fn store(t: &mut Lower, w: Word, bytes: u8) -> Flow {
    let (base, value) = (t.gpr(w.rs()), t.gpr(w.rt()));
    t.check_alignment(base, w.imm(), bytes);
    t.ir.store(t.access(bytes, false), base, w.imm() as i32, value);
    Flow::Next
}

/// SB.
pub fn sb(t: &mut Lower, w: Word) -> Flow {
    store(t, w, 1)
}

/// SH.
pub fn sh(t: &mut Lower, w: Word) -> Flow {
    store(t, w, 2)
}

/// SW.
pub fn sw(t: &mut Lower, w: Word) -> Flow {
    store(t, w, 4)
}

/// SD.
pub fn sd(t: &mut Lower, w: Word) -> Flow {
    store(t, w, 8)
}

/// rs (the field is the destination here) = memory at the aligned pc + offset.
fn load_pc(t: &mut Lower, w: Word, bytes: u8, signed: bool, offset: i64) -> Flow {
    let base = t.here & !u64::from(bytes - 1);
    let addr = t.imm(base.wrapping_add(offset as u64) as i64);
    let value = t.ir.load(t.word(), t.access(bytes, signed), addr, 0);
    t.set_gpr(w.rs(), value);
    Flow::Next
}

/// LWPC.
pub fn lwpc(t: &mut Lower, w: Word) -> Flow {
    load_pc(t, w, 4, true, PC19.get(w.0))
}

/// LWUPC.
pub fn lwupc(t: &mut Lower, w: Word) -> Flow {
    load_pc(t, w, 4, false, PC19.get(w.0))
}

/// LDPC.
pub fn ldpc(t: &mut Lower, w: Word) -> Flow {
    load_pc(t, w, 8, false, PC18.get(w.0))
}

/// The address of an unaligned access: where the unit that holds it starts, and eight times the number of bytes from its
/// most significant one to the addressed one.
struct Unit {
    start: Value,
    /// An integer of the unit's type.
    from_top: Value,
}

fn unit(t: &mut Lower, w: Word, ty: Type) -> Unit {
    let (base, last) = (t.gpr(w.rs()), i64::from(ty.bytes() - 1));
    let addr = t.with_imm(BinaryOp::Add, base, w.imm());
    let start = t.with_imm(BinaryOp::And, addr, !last);
    let byte = t.with_imm(BinaryOp::And, addr, last);
    let from_top = if t.config().big_endian { byte } else { t.with_imm(BinaryOp::Xor, byte, last) };
    let from_top = t.with_imm(BinaryOp::Shl, from_top, 3);
    let from_top = if ty.bits() < t.word().bits() { t.ir.trunc(ty, from_top) } else { t.ir.zext(ty, from_top) };
    Unit { start, from_top }
}

/// The distance in bits from the addressed byte to the unit's least significant one.
fn from_bottom(t: &mut Lower, ty: Type, from_top: Value) -> Value {
    let top = t.ir.iconst(ty, i64::from(ty.bits() - 8));
    t.ir.sub(top, from_top)
}

/// rt's bytes from the top on = memory from the addressed byte to the unit's least significant one.
fn load_left(t: &mut Lower, w: Word, ty: Type) -> Flow {
    let unit = unit(t, w, ty);
    let memory = t.ir.load(ty, t.access(ty.bytes(), false), unit.start, 0);
    let new = t.ir.binary(BinaryOp::Shl, memory, unit.from_top);
    let ones = t.ir.iconst(ty, -1);
    let taken = t.ir.binary(BinaryOp::Shl, ones, unit.from_top);
    merge(t, w, ty, new, taken)
}

/// rt's bytes from the bottom on = memory from the addressed byte to the unit's most significant one.
fn load_right(t: &mut Lower, w: Word, ty: Type) -> Flow {
    let unit = unit(t, w, ty);
    let down = from_bottom(t, ty, unit.from_top);
    let memory = t.ir.load(ty, t.access(ty.bytes(), false), unit.start, 0);
    let new = t.ir.binary(BinaryOp::ShrU, memory, down);
    let ones = t.ir.iconst(ty, -1);
    let taken = t.ir.binary(BinaryOp::ShrU, ones, down);
    merge(t, w, ty, new, taken)
}

/// rt = `new` where `taken` has ones, else as it was. A word is sign-extended (LWR may leave the upper half as it was, but that
/// of a proper word is the same unless bit 31 is loaded).
fn merge(t: &mut Lower, w: Word, ty: Type, new: Value, taken: Value) -> Flow {
    let old = t.gpr_as(ty, w.rt());
    let keep = t.ir.unary(UnaryOp::Not, taken);
    let kept = t.ir.and(old, keep);
    let value = t.ir.or(kept, new);
    t.set_w(w.rt(), value);
    Flow::Next
}

/// LWL.
pub fn lwl(t: &mut Lower, w: Word) -> Flow {
    load_left(t, w, Type::I32)
}

/// LWR.
pub fn lwr(t: &mut Lower, w: Word) -> Flow {
    load_right(t, w, Type::I32)
}

/// LDL.
pub fn ldl(t: &mut Lower, w: Word) -> Flow {
    load_left(t, w, Type::I64)
}

/// LDR.
pub fn ldr(t: &mut Lower, w: Word) -> Flow {
    load_right(t, w, Type::I64)
}

/// One store a byte of the unit. Byte `n` from the addressed one on goes to its place, or, if that lies outside of the unit, to
/// that of the last byte inside, which is then stored once more.
fn store_part(t: &mut Lower, w: Word, ty: Type, left: bool) -> Flow {
    let (base, last) = (t.gpr(w.rs()), i64::from(ty.bytes() - 1));
    let addr = t.with_imm(BinaryOp::Add, base, w.imm());
    // The bytes in their order from the addressed one on, the lowest first.
    let value = t.gpr_as(ty, w.rt());
    let value = if left { t.ir.unary(UnaryOp::Bswap, value) } else { value };
    let upwards = left == t.config().big_endian;
    let byte = t.with_imm(BinaryOp::And, addr, last);
    let farthest = if upwards { t.with_imm(BinaryOp::Xor, byte, last) } else { byte };
    t.ir.store(t.access(1, false), addr, 0, value);
    for n in 1..=last {
        let distance = if n == last { farthest } else { at_most(t, n, farthest) };
        let place = if upwards { t.ir.add(addr, distance) } else { t.ir.sub(addr, distance) };
        let bits = t.with_imm(BinaryOp::Shl, distance, 3);
        let bits = t.ir.trunc(ty, bits);
        let shifted = t.ir.binary(BinaryOp::ShrU, value, bits);
        t.ir.store(t.access(1, false), place, 0, shifted);
    }
    Flow::Next
}

/// The lesser of a number and a value.
fn at_most(t: &mut Lower, n: i64, value: Value) -> Value {
    let n = t.imm(n);
    let less = t.ir.compare(emu_ir::Cond::LtU, n, value);
    t.ir.select(less, n, value)
}

/// SWL.
pub fn swl(t: &mut Lower, w: Word) -> Flow {
    store_part(t, w, Type::I32, true)
}

/// SWR.
pub fn swr(t: &mut Lower, w: Word) -> Flow {
    store_part(t, w, Type::I32, false)
}

/// SDL.
pub fn sdl(t: &mut Lower, w: Word) -> Flow {
    store_part(t, w, Type::I64, true)
}

/// SDR.
pub fn sdr(t: &mut Lower, w: Word) -> Flow {
    store_part(t, w, Type::I64, false)
}

/// Two instructions that together access one unaligned word or doubleword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    ty: Type,
    stores: bool,
    base: u32,
    register: u32,
    offset: i32,
}

/// The pair that two neighbours make, if they do: the left and the right part, in either order, of one register.
pub(crate) fn pair(first: (&str, Word), second: (&str, Word), big_endian: bool) -> Option<Pair> {
    let part = |(name, w): (&str, Word)| {
        let (ty, stores) = match &name[..name.len().min(2)] {
            "lw" => (Type::I32, false),
            "ld" => (Type::I64, false),
            "sw" => (Type::I32, true),
            "sd" => (Type::I64, true),
            _ => return None,
        };
        let left = match &name[2..] {
            "l" => true,
            "r" => false,
            _ => return None,
        };
        // The left part is named by its address's most significant byte, the right one by the least significant.
        let from_start = if left == big_endian { 0 } else { i64::from(ty.bytes()) - 1 };
        let offset = (w.imm() - from_start) as i32;
        Some((left, Pair { ty, stores, base: w.rs(), register: w.rt(), offset }))
    };
    let ((left, pair), (other_left, other)) = (part(first)?, part(second)?);
    let loads_base = !pair.stores && matches!(pair.register, r if r == pair.base || r == 0);
    (pair == other && left != other_left && !loads_base).then_some(pair)
}

/// The whole access, at the first of the two instructions: a fault in either part is reported there.
pub(crate) fn access_pair(t: &mut Lower, pair: Pair) -> Flow {
    let (base, access) = (t.gpr(pair.base), t.access(pair.ty.bytes(), true));
    if pair.stores {
        let value = t.gpr(pair.register);
        t.ir.store(access, base, pair.offset, value);
    } else {
        let value = t.ir.load(t.word(), access, base, pair.offset);
        t.set_gpr(pair.register, value);
    }
    t.begin(t.pc_plus(4));
    Flow::Next
}

/// The address that a partial access, LWL and its kin, names; `None` for another instruction. Not for Release 6, which has none.
fn partial_address(word: u32, cpu: &CpuState) -> Option<u64> {
    let w = Word(word);
    let base = if w.rs() == 0 { 0 } else { cpu.get(gpr_slot(w.rs())) };
    matches!(word >> 26, 0x1a | 0x1b | 0x22 | 0x26 | 0x2a | 0x2c | 0x2d | 0x2e)
        .then(|| base.wrapping_add(w.imm() as u64))
}

/// `BadVAddr` of a fault at `addr` in the instruction `word` or, if that is a branch, in `next`, its slot: the address that a partial
/// access names, where the access here began with its unit or the other half of a pair.
pub fn bad_address(addr: u64, word: u32, next: u32, cpu: &CpuState) -> u64 {
    let is_memory = matches!(word >> 26, 0x1a | 0x1b | 0x20..);
    let named = [word, next].map(|word| partial_address(word, cpu));
    let candidates = match named {
        [None, _] if is_memory => return addr,
        both => both,
    };
    candidates.into_iter().flatten().find(|named| named & !7 == addr & !7).unwrap_or(addr)
}

/// PREF, PREFX: a hint.
pub fn pref(_: &mut Lower, _: Word) -> Flow {
    Flow::Next
}
