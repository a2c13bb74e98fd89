//! The optimiser: makes a block shorter without changing what a guest can see.
//!
//! [`optimize`] makes two passes, each linear in the length of the block:
//!
//! 1. Forwards (`Rewriter`): every instruction is simplified given the simplified ones before it: constants are folded
//!    through [`crate::eval`], registers' values are forwarded, and the rules in `int`, `convert`, `compare`, `bits` and `flags` apply.
//!    `width` knows how many low bits of a value matter.
//! 2. Backwards (`sweep`): register writes that nobody can see and pure instructions without users go away.
//!
//! Nothing that can fault, and no floating-point op that may raise a flag, is moved, added or dropped (but comparisons
//! whose flags are taken back at once). Registers are exact
//! at every instruction that can fault, after every guest instruction that cannot be repeated ([`Inst::is_unrepeatable`])
//! and at the end, but no longer between any two guest instructions.

mod bits;
mod combine;
mod compare;
mod convert;
mod flags;
mod int;
mod known;
pub mod liveness;
mod partial;
mod quiet;
mod sweep;
mod width;

use crate::block::{Block, InsnMark, Inst, NO_VALUE, Terminator, Value};
use crate::eval;
use crate::op::{BinaryOp, ConvertOp, FloatBinaryOp, NanRule};
use crate::spare::{INSTS, Spare};
use crate::state::{GUEST_SLOTS, Slot};
use crate::types::Type;
use known::Known;
use quiet::Quiet;
use sweep::{Looks, sweep};
use width::Width;

pub use known::{Knowledge, branch_facts};
pub use quiet::quiet_values;

/// Optimises a well-formed block.
pub fn optimize(block: &mut Block) {
    Rewriter::new(block).run(block);
    sweep(block, Looks::ALWAYS);
}

/// Makes one access of several of single bytes, and of two parts of an unaligned word, in an optimised block. Where the first of them faults, it
/// may be another one's turn, and some bytes may have been stored: who runs the block has to have the guest instruction run again by somebody else.
pub fn combine_accesses(block: &mut Block) {
    let (bytes, parts) = (combine::combine(block), partial::combine(block));
    if bytes || parts {
        optimize(block);
    }
}

/// May [`combine_accesses`] have made another access of this one of the block's?
pub fn is_part_of_access(block: &Block, inst: &Inst) -> bool {
    combine::is_bytewise(inst) || partial::is_part(block, inst)
}

/// May [`combine_accesses`] have something to do?
pub fn has_parts_of_accesses(block: &Block) -> bool {
    combine::has_bytewise_accesses(block) || partial::has_parts(block)
}

/// The same of a block that is only come to where `before` is true of the registers. What is true where it ends?
pub fn optimize_knowing(block: &mut Block, before: &Knowledge) -> Knowledge {
    let mut rewriter = Rewriter::new(block);
    rewriter.before = Some(before.clone());
    let after = rewriter.run(block);
    sweep(block, Looks::ALWAYS);
    after.unwrap_or_default()
}

/// The same for code whose registers nobody looks at where a load or a store faults, and which goes on to other code that overwrites some of
/// them first: `overwritten` has a bit for each.
pub fn optimize_inexact(block: &mut Block, before: Option<&Knowledge>, overwritten: u128) {
    let (looks, insts) = (Looks { overwritten, at_accesses: false }, block.insts.len());
    sweep(block, looks);
    if block.insts.len() < insts {
        // What has fewer uses now may be looked through.
        let mut rewriter = Rewriter::new(block);
        rewriter.before = before.cloned();
        rewriter.run(block);
        sweep(block, looks);
    }
}

/// Can a host's instruction have the constant in it?
fn fits_immediate(ty: Type, bits: u64) -> bool {
    ty.is_int() && i32::try_from(eval::sign_extend(ty, bits)).is_ok()
}

/// The forward pass. Values are those of the new block, except in `map` and `old_uses`.
struct Rewriter {
    out: Vec<Inst>,
    /// Of each instruction in `out`.
    facts: Vec<Fact>,
    /// Of each old instruction: the new value that stands for it, and before that the number of its uses.
    map: Vec<Value>,
    /// What each register holds, or [`NO_VALUE`].
    known: [Value; GUEST_SLOTS],
    /// What is known of the registers' contents at the block's start, as long as they are the same.
    before: Option<Knowledge>,
    nan: NanRule,
}

/// What is known of a new value.
struct Fact {
    width: Width,
    quiet: Quiet,
    /// How often it is used; an estimate (uses of the old values it stands for), for choices of profit only.
    uses: u32,
}

thread_local! {
    static FACTS: Spare<Fact> = const { Spare::new() };
    static VALUES: Spare<Value> = const { Spare::new() };
}

impl Rewriter {
    fn new(block: &mut Block) -> Rewriter {
        let n = block.insts.len();
        let mut uses = VALUES.with(Spare::take);
        uses.resize(n, Value(0));
        for inst in &mut block.insts {
            inst.for_each_arg(|arg| uses[arg.index()].0 += 1);
        }
        if let Some(value) = block.term.arg() {
            uses[value.index()].0 += 1;
        }
        let (mut out, mut facts) = (INSTS.with(Spare::take), FACTS.with(Spare::take));
        out.reserve(n + n / 4);
        facts.reserve(n + n / 4);
        Rewriter { out, facts, map: uses, known: [NO_VALUE; GUEST_SLOTS], before: None, nan: block.nan }
    }

    /// Rewrites the block; what is known at its end, if that was of interest at its start.
    fn run(mut self, block: &mut Block) -> Option<Knowledge> {
        let mut marks = block.marks.iter_mut().peekable();
        for (i, inst) in block.insts.iter().enumerate() {
            while let Some(mark) = marks.next_if(|m| m.first as usize <= i) {
                mark.first = self.out.len() as u32;
            }
            let mut inst = *inst;
            inst.for_each_arg(|arg| *arg = self.map[arg.index()]);
            let value = self.inst(inst);
            let uses = std::mem::replace(&mut self.map[i], value.unwrap_or(NO_VALUE)).0;
            if let Some(value) = value {
                self.facts[value.index()].uses += uses;
            }
        }
        let end = self.out.len() as u32;
        marks.for_each(|mark: &mut InsnMark| mark.first = end);
        block.term = self.terminator(block.term);
        let after = self.known_after();
        INSTS.with(|spare| spare.give(std::mem::replace(&mut block.insts, self.out)));
        FACTS.with(|spare| spare.give(self.facts));
        VALUES.with(|spare| spare.give(self.map));
        after
    }

    fn known_after(&mut self) -> Option<Knowledge> {
        let mut after = self.before.take()?;
        for (index, value) in self.known.iter().enumerate().filter(|(_, value)| **value != NO_VALUE) {
            after.set(index, Known::of(self.def(*value), self.width(*value), self.quiet(*value)));
        }
        Some(after)
    }

    /// Puts the instruction, simplified, at the end; its value if it has one.
    fn inst(&mut self, inst: Inst) -> Option<Value> {
        match inst {
            Inst::Get { ty, slot } => Some(self.get(ty, slot)),
            Inst::Set { slot, value, .. } => {
                if self.known[slot.index()] != value {
                    self.known[slot.index()] = value;
                    self.push(inst);
                }
                None
            }
            Inst::Load { ty, access, addr, offset } => {
                let (addr, offset) = self.fold_address(addr, offset);
                Some(self.push(Inst::Load { ty, access, addr, offset }))
            }
            Inst::Store { ty, access, addr, offset, value } => {
                let (addr, offset) = self.fold_address(addr, offset);
                self.push(Inst::Store { ty, access, addr, offset, value });
                None
            }
            Inst::Call { .. } => {
                self.known = [NO_VALUE; GUEST_SLOTS];
                self.before = self.before.take().map(|_| Knowledge::default());
                Some(self.push(inst))
            }
            Inst::WriteFpFlags { value } if self.silences(value) => None,
            Inst::TrapIf { cond, .. } | Inst::LeaveIf { cond, .. } if self.constant(cond) == Some(0) => None,
            _ if inst.result().is_some() => Some(self.emit(inst)),
            _ => {
                self.push(inst);
                None
            }
        }
    }

    fn get(&mut self, ty: Type, slot: Slot) -> Value {
        let known = self.known[slot.index()];
        if known != NO_VALUE && self.ty(known) == ty {
            return known;
        }
        let value = match self.before.as_ref().and_then(|before| before.get(slot)) {
            // A larger one is better kept in the register: it takes an instruction of its own.
            Some(Known::Constant { ty: of, bits }) if of == ty && fits_immediate(ty, bits) => self.iconst(ty, bits),
            before => {
                let value = self.push(Inst::Get { ty, slot });
                match before {
                    Some(Known::Width { ty: of, width }) if of == ty => self.facts[value.index()].width = width,
                    Some(known) if self.nan == NanRule::Canonical => self.facts[value.index()].quiet = known.quiet(),
                    _ => {}
                }
                value
            }
        };
        self.known[slot.index()] = value;
        value
    }

    /// The value that the instruction computes: an older one, or that of new instructions.
    fn emit(&mut self, inst: Inst) -> Value {
        self.simplify(&inst).unwrap_or_else(|| self.push(inst))
    }

    fn simplify(&mut self, inst: &Inst) -> Option<Value> {
        match *inst {
            Inst::Unary { op, ty, arg } => self.unary(op, ty, arg),
            Inst::Binary { op, ty, args } => self.binary(op, ty, args),
            Inst::Compare { cond, ty, args } => self.compare(cond, ty, args),
            Inst::Select { ty, cond, args } => self.select(ty, cond, args),
            Inst::Convert { op, ty, arg } => self.convert(op, ty, arg),
            Inst::FloatBinary { op: FloatBinaryOp::CopySign, args: [a, b], .. } if a == b => Some(a),
            _ => None,
        }
    }

    /// Appends the instruction as it is.
    fn push(&mut self, inst: Inst) -> Value {
        let value = Value(self.out.len() as u32);
        let width = Width::of(&inst, |v| (self.width(v), self.ty(v)), |v| self.constant(v));
        let quiet = match self.nan {
            NanRule::Canonical => Quiet::of(&inst, |v| self.quiet(v)),
            _ => Quiet::default(),
        };
        self.out.push(inst);
        self.facts.push(Fact { width, quiet, uses: 0 });
        value
    }

    /// A constant, cut to the type.
    fn iconst(&mut self, ty: Type, bits: u64) -> Value {
        self.push(Inst::Const { ty, bits: bits & ty.mask() })
    }

    fn emit_binary(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Value {
        self.emit(Inst::Binary { op, ty, args })
    }

    /// `op(a, imm)`.
    fn emit_imm(&mut self, op: BinaryOp, ty: Type, a: Value, imm: u64) -> Value {
        let imm = self.iconst(ty, imm);
        self.emit_binary(op, ty, [a, imm])
    }

    /// A conversion, or the value itself if it has the type.
    fn emit_convert(&mut self, op: ConvertOp, ty: Type, arg: Value) -> Value {
        if self.ty(arg) == ty { arg } else { self.emit(Inst::Convert { op, ty, arg }) }
    }

    fn def(&self, value: Value) -> &Inst {
        &self.out[value.index()]
    }

    fn ty(&self, value: Value) -> Type {
        self.def(value).result().expect("a value is defined by an instruction with a result")
    }

    fn width(&self, value: Value) -> Width {
        self.facts[value.index()].width
    }

    fn quiet(&self, value: Value) -> Quiet {
        self.facts[value.index()].quiet
    }

    fn uses(&self, value: Value) -> u32 {
        self.facts[value.index()].uses
    }

    fn constant(&self, value: Value) -> Option<u64> {
        match self.def(value) {
            Inst::Const { bits, .. } => Some(*bits),
            _ => None,
        }
    }

    /// The operand and the constant, where `value` is `op` of both.
    fn op_with_constant(&self, op: BinaryOp, value: Value) -> Option<(Value, u64)> {
        match *self.def(value) {
            Inst::Binary { op: o, args: [a, b], .. } if o == op => Some((a, self.constant(b)?)),
            _ => None,
        }
    }

    /// The operand, where `value` is the conversion `op` of it.
    fn converted(&self, op: ConvertOp, value: Value) -> Option<Value> {
        match *self.def(value) {
            Inst::Convert { op: o, arg, .. } if o == op => Some(arg),
            _ => None,
        }
    }

    /// Are these known to be the same, although perhaps computed twice?
    fn same(&self, a: Value, b: Value) -> bool {
        a == b || matches!(self.def(a), Inst::Convert { .. } | Inst::Const { .. }) && self.def(a) == self.def(b)
    }

    /// Is it no loss to look through `outer` at `inner`, from which it was computed? Not if that would keep both alive.
    fn may_look_through(&self, outer: Value, inner: Value) -> bool {
        let is_current = |v: Value| matches!(self.def(v), Inst::Get { slot, .. } if self.known[slot.index()] == v);
        self.uses(outer) <= 1 || is_current(inner)
    }

    /// Moves a constant part of an address into the offset, and an offset into a constant address.
    fn fold_address(&mut self, addr: Value, offset: i32) -> (Value, i32) {
        let ty = self.ty(addr);
        if let Some(base) = self.constant(addr) {
            let folded = eval::effective_address(ty, base, offset);
            return if offset == 0 { (addr, 0) } else { (self.iconst(ty, folded), 0) };
        }
        let Some((base, add)) = self.op_with_constant(BinaryOp::Add, addr) else {
            return (addr, offset);
        };
        let sum = match ty {
            Type::I32 => Some(offset.wrapping_add(add as i32)),
            _ => (add as i64).checked_add(offset.into()).and_then(|sum| sum.try_into().ok()),
        };
        match sum {
            Some(sum) if self.may_look_through(addr, base) => (base, sum),
            _ => (addr, offset),
        }
    }

    fn terminator(&mut self, term: Terminator) -> Terminator {
        match term {
            Terminator::Branch { cond, taken, next } => {
                let cond = self.map[cond.index()];
                match (self.constant(cond), self.negated_bool(cond)) {
                    // Where both ways are one it may still matter to whoever made it which was gone.
                    (None, Some(cond)) if taken != next => Terminator::Branch { cond, taken: next, next: taken },
                    _ => Terminator::Branch { cond, taken, next },
                }
            }
            Terminator::ExitTo { kind, target } => Terminator::ExitTo { kind, target: self.map[target.index()] },
            Terminator::Indirect { target, kind } => Terminator::Indirect { target: self.map[target.index()], kind },
            other => other,
        }
    }
}
