//! Guest registers in a region: variables, which are loaded from memory where they are first needed, and written back where somebody may see them.

use super::{Lower, clif_type, variable_type};
use crate::analysis::{Resume, SlotSet};
use crate::context::offset;
use crate::halves::WHOLE;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value as ClifValue, types};
use emu_ir::opt::branch_facts;
use emu_ir::{Inst, Slot, Type, Value};

impl Lower<'_> {
    /// Loads slots, of which memory has what they are, into their variables; some of them as words.
    pub(super) fn load_slots(&mut self, slots: SlotSet, words: SlotSet) {
        for slot in slots.iter() {
            let Some((var, ty)) = self.vars[slot.index()] else { continue };
            if words.contains(slot) {
                self.load_word(slot);
                continue;
            }
            let value = match ty {
                Type::I32 => {
                    let flags = MemFlagsData::trusted();
                    self.b.ins().uload32(flags, self.ctx, offset::slot(slot.0))
                }
                _ => self.load_ctx(clif_type(ty), offset::slot(slot.0)),
            };
            self.b.def_var(var, value);
        }
    }

    /// Makes constants of those of `slots` of which the branch of a block, which leads here, tells what they hold: the comparison's result need not be
    /// made for them.
    pub(super) fn learn_from_branch(&mut self, from: usize, is_taken: bool, slots: SlotSet) {
        let region = self.region;
        for (slot, ty, bits) in branch_facts(&region.blocks[from].block, is_taken) {
            let Some((var, _)) = self.vars[slot.index()] else { continue };
            if !slots.contains(slot) || !self.cur.present.contains(slot) {
                continue;
            }
            if self.cur.word_slots.contains(slot) {
                let word = self.constant(Type::I32, bits & Type::I32.mask());
                let var = self.word_var(slot);
                self.b.def_var(var, word);
            } else {
                let value = self.b.ins().iconst(variable_type(ty), bits as i64);
                self.b.def_var(var, value);
            }
        }
    }

    /// Makes the whole of two registers that hold its halves, in its place in memory.
    pub(super) fn join_halves(&mut self) {
        let Some(halves) = self.region.halves else { return };
        let [high, low] = [halves.high, halves.low].map(|slot| {
            let half = self.load_ctx(types::I32, offset::slot(slot.0));
            self.b.ins().uextend(types::I64, half)
        });
        let high = self.b.ins().ishl_imm_u(high, 32);
        let whole = self.b.ins().bor(high, low);
        self.store_ctx(whole, offset::slot(WHOLE.0));
    }

    /// What a block of the region needs and is in memory alone here.
    pub(super) fn missing_for(&self, block: usize) -> SlotSet {
        self.analysis.needed_in[block].without(self.cur.present)
    }

    /// Loads that.
    pub(super) fn load_missing_for(&mut self, block: usize) {
        self.load_slots(self.missing_for(block), self.analysis.word_in[block]);
    }

    pub(super) fn declare_variables(&mut self) {
        for rb in &self.region.blocks {
            for inst in &rb.block.insts {
                if let Inst::Get { ty, slot } | Inst::Set { ty, slot, .. } = inst {
                    let b = &mut self.b;
                    self.vars[slot.index()].get_or_insert_with(|| (b.declare_var(variable_type(*ty)), *ty));
                }
            }
        }
    }

    /// Makes NaNs canonical in the slots that a successor takes as they are.
    pub(super) fn clean_for_successors(&mut self, index: usize) {
        let mut slots = SlotSet::default();
        for &succ in &self.region.blocks[index].successors {
            slots = slots.union(self.analysis.live_in[succ].without(self.analysis.raw_in[succ]));
        }
        for slot in slots.iter().filter(|s| self.cur.raw_slots.contains(*s)).collect::<Vec<_>>() {
            let Some((var, ty)) = self.vars[slot.index()] else { continue };
            let (var, ty) =
                if self.cur.single_slots.contains(slot) { (self.single_var(slot), Type::F32) } else { (var, ty) };
            let value = self.b.use_var(var);
            let clean = self.canonical(ty, value);
            self.b.def_var(var, clean);
            self.cur.raw_slots.remove(slot);
        }
    }

    pub(super) fn get(&mut self, at: Value, slot: Slot) -> ClifValue {
        self.note_holder(slot, at, self.cur.raw_slots.contains(slot));
        if !self.cur.present.contains(slot) {
            self.load_slots(SlotSet(1 << slot.0), SlotSet::default());
            self.cur.present.insert(slot);
        }
        let (var, ty) = self.vars[slot.index()].expect("declared");
        let value = self.b.use_var(var);
        if ty == Type::I32 { self.narrow(at, value) } else { value }
    }

    /// As [`Self::get`], of a slot that holds a boxed single.
    pub(super) fn get_single(&mut self, at: Value, slot: Slot) {
        self.note_holder(slot, at, self.cur.raw_slots.contains(slot));
        let var = self.single_var(slot);
        self.cur.singles[at.index()] = Some(self.b.use_var(var));
    }

    /// The slot holds the value, whose NaN may be `raw`.
    pub(super) fn note_holder(&mut self, slot: Slot, value: Value, raw: bool) {
        self.cur.raw_values[value.index()] = raw;
        if raw {
            self.cur.raw_holders.push((slot, value));
        }
    }

    /// The 32-bit integer `at` from its value in 64 bits, which is noted.
    pub(super) fn narrow(&mut self, at: Value, wide: ClifValue) -> ClifValue {
        self.cur.wide[at.index()] = Some(wide);
        self.b.ins().ireduce(types::I32, wide)
    }

    pub(super) fn set(&mut self, slot: Slot, value: Value) {
        if let Some(single) = self.cur.singles[value.index()] {
            let var = self.single_var(slot);
            self.b.def_var(var, single);
            self.cur.single_slots.insert(slot);
        } else if !self.set_word(slot, value) {
            let (var, ty) = self.vars[slot.index()].expect("declared");
            let v = if ty == Type::I32 { self.bits64(value) } else { self.value(value) };
            self.b.def_var(var, v);
            if ty == Type::I32 {
                self.cur.wide[value.index()] = Some(v);
            }
            self.cur.single_slots.remove(slot);
        }
        self.cur.dirty.insert(slot);
        self.cur.present.insert(slot);
        self.cur.pending.set(slot, value);
        self.cur.raw_holders.retain(|(s, _)| *s != slot);
        let raw = self.cur.raw_values[value.index()];
        self.note_holder(slot, value, raw);
        if raw {
            self.cur.raw_slots.insert(slot);
        } else {
            self.cur.raw_slots.remove(slot);
        }
    }

    /// Writes everything dirty to memory; it is clean afterwards. With precise faults this is a checkpoint: it notes
    /// that the registers in memory are those before the current guest instruction, or after it if it is completed.
    pub(super) fn write_back(&mut self, resume: Resume) {
        self.settle();
        self.flush(self.cur.dirty);
        self.cur.dirty = SlotSet::default();
        if self.options.precise_faults {
            let code = (self.cur.insn as i64) << 2 | resume as i64;
            let left = u32::from(self.out.insns[self.cur.insn].left) - u32::from(resume == Resume::Completed);
            self.checkpoint(code, left + self.cur.ahead);
        }
    }

    /// Notes where the interpreter goes on after a fault: `code` as in `Context::checkpoint`, with `left` instructions
    /// counted but not retired.
    pub(super) fn checkpoint(&mut self, code: i64, left: u32) {
        let code = self.b.ins().iconst(types::I32, code);
        self.store_ctx(code, offset::CHECKPOINT);
        if self.options.count_insns {
            let counted = self.load_ctx(types::I64, offset::INSN_COUNT);
            let left = self.b.ins().iconst(types::I64, i64::from(left));
            let retired = self.b.ins().isub(counted, left);
            self.store_ctx(retired, offset::CHECKPOINT_COUNT);
        }
    }

    /// Writes `slots` to memory, for an exit that follows.
    pub(super) fn flush(&mut self, slots: SlotSet) {
        debug_assert!(self.cur.pending.is_empty(), "NaNs are settled before the registers can be seen");
        let before = std::mem::replace(&mut self.cur.aside, true);
        for slot in self.planted_write_back(slots).iter() {
            if self.flush_unread_flags(slot) {
                continue;
            }
            if self.cur.single_slots.contains(slot) {
                self.flush_single(slot);
                continue;
            }
            if self.cur.word_slots.contains(slot) {
                let value = self.slots_word(slot);
                self.store_ctx(value, offset::slot(slot.0));
                continue;
            }
            let Some((var, ty)) = self.vars[slot.index()] else { continue };
            let mut value = self.b.use_var(var);
            if ty.is_float() && self.cur.raw_slots.contains(slot) {
                value = self.canonical(ty, value);
            }
            if ty == Type::I32 {
                self.b.ins().istore32(MemFlagsData::trusted(), value, self.ctx, offset::slot(slot.0));
            } else {
                self.store_ctx(value, offset::slot(slot.0));
            }
        }
        self.cur.aside = before;
    }
}
