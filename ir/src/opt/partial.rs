//! The two parts of an unaligned word, or doubleword, that are loaded one after the other and put together become one load.
//!
//! MIPS has an instruction for either part (LWL and LWR, LDL and LDR), which loads the aligned word that the part lies in. Where the two are
//! neighbours, the decoder makes one load of them; but compilers and libc load some left parts first, then as many right ones. As with
//! single bytes ([`super::combine`]), the one load faults at the first of the two instructions, which is then run again by itself.

use super::combine::segments;
use crate::block::{Block, Inst, NO_VALUE, Value};
use crate::op::{Access, BinaryOp, ConvertOp, UnaryOp};
use crate::types::Type;

/// Does the block have loads of which [`combine`] may make one?
pub(super) fn has_parts(block: &Block) -> bool {
    block.insts.iter().filter(|inst| is_part(block, inst)).nth(1).is_some()
}

/// Is it a load of an aligned word at an address that may be none?
pub(super) fn is_part(block: &Block, inst: &Inst) -> bool {
    Parts { insts: &block.insts }.unit(inst).is_some()
}

/// Combines loads. False if there was nothing to combine, and nothing is changed.
pub(super) fn combine(block: &mut Block) -> bool {
    if !has_parts(block) {
        return false;
    }
    let pairs = find_pairs(block);
    if pairs.is_empty() {
        return false;
    }
    rebuild(block, &pairs);
    true
}

/// A register of which some bytes have been replaced by those of an unaligned word that lie in one aligned word.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// What is made of the register and the bytes.
    result: Value,
    /// The load of the aligned word.
    load: Value,
    /// The register before.
    old: Value,
    /// The bits that are loaded.
    mask: Value,
    /// The most significant bytes?
    left: bool,
    ty: Type,
    access: Access,
    /// The unaligned word's address.
    base: Value,
    offset: i32,
}

/// Two parts of one word, the second of which completes it.
#[derive(Clone, Copy, Debug)]
struct Pair {
    first: Part,
    second: Part,
}

fn find_pairs(block: &Block) -> Vec<Pair> {
    let parts = Parts { insts: &block.insts };
    let segments = segments(&block.insts);
    let mut uses = vec![0u32; block.insts.len()];
    block.insts.iter().flat_map(Inst::args).for_each(|arg| uses[arg.index()] += 1);
    let all: Vec<Part> = (0..block.insts.len()).filter_map(|i| parts.part(Value(i as u32))).collect();
    let mut pairs: Vec<Pair> = Vec::new();
    for second in &all {
        let Some(first) = all.iter().find(|first| first.result == second.old) else { continue };
        let is_word = (first.ty, first.access, first.base, first.offset)
            == (second.ty, second.access, second.base, second.offset)
            && first.left != second.left;
        let undisturbed = segments[first.load.index()] == segments[second.load.index()];
        let loads = [first.load, second.load];
        let only_for_it = loads.iter().all(|load| uses[load.index()] == 1);
        let is_free = !pairs.iter().any(|pair| loads.contains(&pair.first.load) || loads.contains(&pair.second.load));
        if is_word && undisturbed && only_for_it && is_free {
            pairs.push(Pair { first: *first, second: *second });
        }
    }
    pairs
}

struct Parts<'a> {
    insts: &'a [Inst],
}

impl Parts<'_> {
    fn def(&self, value: Value) -> Inst {
        self.insts[value.index()]
    }

    fn constant(&self, value: Value) -> Option<u64> {
        match self.def(value) {
            Inst::Const { bits, .. } => Some(bits),
            _ => None,
        }
    }

    /// The other operand, where the value is `op` of it and the constant.
    fn with_constant(&self, op: BinaryOp, value: Value, c: u64) -> Option<Value> {
        match self.def(value) {
            Inst::Binary { op: o, args: [a, b], .. } if o == op && self.constant(b) == Some(c) => Some(a),
            _ => None,
        }
    }

    /// What the value is an extension or the lower half of: their low bits are the same.
    fn converted(&self, value: Value) -> Value {
        match self.def(value) {
            Inst::Convert { op: ConvertOp::Trunc | ConvertOp::Zext, arg, .. } => arg,
            _ => value,
        }
    }

    /// The address that was made a multiple of the load's size, if that has been done.
    fn unit(&self, inst: &Inst) -> Option<(Type, Access, Value)> {
        let Inst::Load { ty, access, addr, offset: 0 } = *inst else { return None };
        let of = self.def(addr).result()?;
        let size = u64::from(access.bytes);
        let whole = (size == 4 || size == 8) && size * 8 == u64::from(ty.bits()) && !access.signed;
        let named = self.with_constant(BinaryOp::And, addr, size.wrapping_neg() & of.mask())?;
        whole.then_some((ty, access, named))
    }

    fn part(&self, result: Value) -> Option<Part> {
        let Inst::Binary { op: BinaryOp::Or, args: [a, b], .. } = self.def(result) else { return None };
        self.part_of(result, a, b).or_else(|| self.part_of(result, b, a))
    }

    fn part_of(&self, result: Value, kept: Value, new: Value) -> Option<Part> {
        let Inst::Binary { op, ty, args: [load, amount] } = self.def(new) else { return None };
        let left = match op {
            BinaryOp::Shl => true,
            BinaryOp::ShrU => false,
            _ => return None,
        };
        let (_, access, named) = self.unit(&self.def(load)).filter(|unit| unit.0 == ty)?;
        let (old, mask) = self.kept(kept)?;
        match self.def(mask) {
            Inst::Binary { op: o, args: [ones, by], .. }
                if o == op && by == amount && self.constant(ones) == Some(ty.mask()) => {}
            _ => return None,
        }
        let from_top = if left { amount } else { self.distance_from(u64::from(ty.bits() - 8), amount)? };
        self.is_distance(from_top, named, access).then_some(())?;
        let (base, offset) = self.sum(named)?;
        // The left part is named by its most significant byte, the right one by the least significant.
        let from_start = if left == access.big_endian { 0 } else { i32::from(access.bytes) - 1 };
        let offset = offset.checked_sub(from_start)?;
        Some(Part { result, load, old, mask, left, ty, access, base, offset })
    }

    /// The value and the mask, where `kept` is the value but for the bits in the mask.
    fn kept(&self, kept: Value) -> Option<(Value, Value)> {
        let Inst::Binary { op: BinaryOp::And, args: [a, b], .. } = self.def(kept) else { return None };
        let inverted = |v: Value| match self.def(v) {
            Inst::Unary { op: UnaryOp::Not, arg, .. } => Some(arg),
            _ => None,
        };
        inverted(b).map(|mask| (a, mask)).or_else(|| inverted(a).map(|mask| (b, mask)))
    }

    /// What is subtracted from the constant.
    fn distance_from(&self, from: u64, value: Value) -> Option<Value> {
        match self.def(value) {
            Inst::Binary { op: BinaryOp::Sub, args: [c, distance], .. } if self.constant(c) == Some(from) => {
                Some(distance)
            }
            _ => None,
        }
    }

    /// Is the value the distance in bits from the unit's most significant byte to that at the address `named`?
    fn is_distance(&self, value: Value, named: Value, access: Access) -> bool {
        let last = u64::from(access.bytes) - 1;
        let bytes = self.with_constant(BinaryOp::Shl, self.converted(value), 3);
        let place = match bytes {
            Some(bytes) if access.big_endian => Some(self.converted(bytes)),
            Some(bytes) => self.with_constant(BinaryOp::Xor, self.converted(bytes), last),
            None => None,
        };
        let at = place.and_then(|place| self.with_constant(BinaryOp::And, self.converted(place), last));
        at.is_some_and(|at| at == named || self.converted(at) == named)
    }

    /// A value as the sum of one and a constant.
    fn sum(&self, value: Value) -> Option<(Value, i32)> {
        let Inst::Binary { op: BinaryOp::Add, ty, args: [base, c] } = self.def(value) else { return Some((value, 0)) };
        let Some(c) = self.constant(c) else { return Some((value, 0)) };
        let offset = i32::try_from(crate::eval::sign_extend(ty, c)).ok()?;
        Some((base, offset))
    }
}

/// Makes the new block: the first load of each pair is that of the whole word.
fn rebuild(block: &mut Block, pairs: &[Pair]) {
    let mut map = vec![NO_VALUE; block.insts.len()];
    let mut out: Vec<Inst> = Vec::with_capacity(block.insts.len());
    let mut marks = block.marks.iter_mut().peekable();
    for (i, inst) in block.insts.iter().enumerate() {
        while let Some(mark) = marks.next_if(|m| m.first as usize <= i) {
            mark.first = out.len() as u32;
        }
        let mut push = |inst| {
            out.push(inst);
            Value(out.len() as u32 - 1)
        };
        let mut inst = *inst;
        inst.for_each_arg(|arg| *arg = map[arg.index()]);
        let value = Value(i as u32);
        let role = pairs
            .iter()
            .find(|pair| [pair.first.load, pair.first.result, pair.second.load, pair.second.result].contains(&value));
        map[i] = match role {
            Some(Pair { first, .. }) if value == first.load => {
                let Part { ty, access, offset, .. } = *first;
                push(Inst::Load { ty, access, addr: map[first.base.index()], offset })
            }
            // The bytes that the part has are where they are in the whole, too.
            Some(Pair { first, .. }) if value == first.result => {
                let [word, mask, old] = [first.load, first.mask, first.old].map(|v| map[v.index()]);
                let ty = first.ty;
                let part = push(Inst::Binary { op: BinaryOp::And, ty, args: [word, mask] });
                let rest = push(Inst::Unary { op: UnaryOp::Not, ty, arg: mask });
                let kept = push(Inst::Binary { op: BinaryOp::And, ty, args: [old, rest] });
                push(Inst::Binary { op: BinaryOp::Or, ty, args: [kept, part] })
            }
            // The second load, and all of the word.
            Some(Pair { first, .. }) => map[first.load.index()],
            None => push(inst),
        };
    }
    let end = out.len() as u32;
    marks.for_each(|mark| mark.first = end);
    block.insts = out;
    if let Some(arg) = block.term.arg_mut() {
        *arg = map[arg.index()];
    }
}
