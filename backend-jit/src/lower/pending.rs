//! Results of SSE that may still be NaNs of x86's, where NaNs have payloads ([`emu_ir::NanRule`] of MIPS).
//!
//! What an op makes of a NaN is a NaN again. So ops are done one after the other, and looked at together where something else needs
//! a result, or the registers: two results that nothing has been computed from are numbers if one comparison says so, and then so
//! are all. Otherwise all the ops are done again by calls, out of the way.

use super::{Lower, clif_type};
use crate::helpers::HelperCall;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value as ClifValue};
use emu_ir::{Block, FloatBinaryOp, FloatConvertOp, FloatUnaryOp, Inst, Round, Slot, Type, Value};

/// More ops than these are not put off: their operands stay alive.
const MAX_PENDING: usize = 8;

/// An op that SSE has done.
pub(super) struct Op {
    at: Value,
    ty: Type,
    call: HelperCall,
    args: Vec<Value>,
    /// Another one has been done with its result.
    used: bool,
}

/// The ops of the current block that have not been looked at.
#[derive(Default)]
pub(super) struct Pending {
    ops: Vec<Op>,
    /// Slots that hold their results.
    slots: Vec<(Slot, Value)>,
    /// Where each value of the block is used last: after the instruction of this index there is no use.
    last_uses: Vec<usize>,
}

impl Pending {
    pub(super) fn new(block: &Block) -> Pending {
        let mut last_uses = vec![0; block.insts.len()];
        for (i, inst) in block.insts.iter().enumerate() {
            inst.args().for_each(|v| last_uses[v.index()] = i);
        }
        if let Some(v) = block.term.arg() {
            last_uses[v.index()] = block.insts.len();
        }
        Pending { ops: Vec::new(), slots: Vec::new(), last_uses }
    }

    fn contains(&self, v: Value) -> bool {
        self.ops.iter().any(|op| op.at == v)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The slot has been given the value.
    pub(super) fn set(&mut self, slot: Slot, value: Value) {
        self.slots.retain(|(s, _)| *s != slot);
        if self.contains(value) {
            self.slots.push((slot, value));
        }
    }
}

impl Lower<'_> {
    /// Notes that SSE has done the current instruction, and that `call` does it, too.
    pub(super) fn put_off(&mut self, ty: Type, call: HelperCall, args: &[Value]) {
        let pending = &mut self.cur.pending;
        pending.ops.iter_mut().filter(|op| args.contains(&op.at)).for_each(|op| op.used = true);
        let at = Value(self.cur.index as u32);
        pending.ops.push(Op { at, ty, call, args: args.to_vec(), used: false });
    }

    /// Looks at the results before an instruction that has to do with them or lets the registers be seen.
    pub(super) fn settle_before(&mut self, inst: &Inst) {
        let pending = &self.cur.pending;
        if pending.is_empty() || pending.ops.len() < MAX_PENDING && self.may_stay_pending(inst) {
            return;
        }
        self.settle();
    }

    fn may_stay_pending(&self, inst: &Inst) -> bool {
        let untouched = || !inst.args().any(|v| self.cur.pending.contains(v));
        let watched = self.options.announce || self.options.note_stores;
        match *inst {
            Inst::Const { .. } | Inst::Get { .. } | Inst::Set { .. } | Inst::Fence { .. } => true,
            Inst::FloatUnary { op: FloatUnaryOp::Sqrt, round, .. } => round == Round::Dynamic || untouched(),
            Inst::FloatBinary { op, round, .. } => {
                use FloatBinaryOp::*;
                round == Round::Dynamic && matches!(op, Add | Sub | Mul | Div) || untouched()
            }
            Inst::FloatFma { round, .. } => round == Round::Dynamic && self.options.host_fma || untouched(),
            Inst::FloatConvert { op: FloatConvertOp::Format, ty, round, .. } => {
                ty == Type::F64 || round == Round::Dynamic || untouched()
            }
            // One that faults runs again from a checkpoint; what it has to do with the flags is `FaultPoint`'s business.
            Inst::Load { .. } => !watched,
            // With precise faults there is a checkpoint before it.
            Inst::Store { .. } => !watched && untouched(),
            Inst::Unary { .. }
            | Inst::Binary { .. }
            | Inst::Compare { .. }
            | Inst::Select { .. }
            | Inst::Convert { .. }
            | Inst::FloatUnary { .. }
            | Inst::FloatCompare { .. }
            | Inst::FloatClass { .. }
            | Inst::FloatConvert { .. } => untouched(),
            _ => false,
        }
    }

    /// Looks at the results, and has them made anew if one is a NaN.
    pub(super) fn settle(&mut self) {
        if self.cur.pending.is_empty() {
            return;
        }
        let (ops, slots) = (std::mem::take(&mut self.cur.pending.ops), std::mem::take(&mut self.cur.pending.slots));
        let (cold, done) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        // The results that somebody still needs, and what they are on the way where all are numbers.
        let needed = |op: &&Op| {
            self.cur.pending.last_uses[op.at.index()] >= self.cur.index || slots.iter().any(|(_, v)| *v == op.at)
        };
        let needed: Vec<(Value, Type)> = ops.iter().filter(needed).map(|op| (op.at, op.ty)).collect();
        let numbers: Vec<BlockArg> = needed.iter().map(|(v, _)| BlockArg::Value(self.value(*v))).collect();
        self.branch_if_nan(&ops, cold, done, &numbers);

        self.b.switch_to_block(cold);
        let fast: Vec<(Value, Option<ClifValue>)> =
            ops.iter().map(|op| (op.at, self.cur.values[op.at.index()])).collect();
        let aside = std::mem::replace(&mut self.cur.aside, true);
        for op in &ops {
            self.cur.values[op.at.index()] = Some(self.call(op.call, op.ty, &op.args));
        }
        self.cur.aside = aside;
        let anew: Vec<BlockArg> = needed.iter().map(|(v, _)| BlockArg::Value(self.value(*v))).collect();
        self.b.ins().jump(done, &anew);
        fast.into_iter().for_each(|(v, value)| self.cur.values[v.index()] = value);

        for (v, ty) in needed {
            self.cur.values[v.index()] = Some(self.b.append_block_param(done, clif_type(ty)));
        }
        self.b.switch_to_block(done);
        for (slot, v) in slots {
            let (var, _) = self.vars[slot.index()].expect("declared");
            let value = self.value(v);
            self.b.def_var(var, value);
        }
    }

    /// Goes to `cold` if one of the results is a NaN, else to `done`: two at a time, those alone that no other one comes from.
    fn branch_if_nan(
        &mut self,
        ops: &[Op],
        cold: cranelift_codegen::ir::Block,
        done: cranelift_codegen::ir::Block,
        numbers: &[BlockArg],
    ) {
        let mut last: Vec<&Op> = ops.iter().filter(|op| !op.used).collect();
        last.sort_by_key(|op| op.ty);
        while let Some(first) = last.pop() {
            let second = last.pop_if(|op| op.ty == first.ty).map_or(first.at, |op| op.at);
            let (a, b) = (self.value(first.at), self.value(second));
            let numbers_both = self.b.ins().fcmp(FloatCC::Ordered, a, b);
            if last.is_empty() {
                self.b.ins().brif(numbers_both, done, numbers, cold, &[]);
            } else {
                let next = self.b.create_block();
                self.b.ins().brif(numbers_both, next, &[], cold, &[]);
                self.b.switch_to_block(next);
            }
        }
    }
}
