//! Words: 64-bit values that are the sign extension of 32 bits are kept as those (`crate::words`), and extended where they are needed.

use super::Lower;
use crate::analysis::SlotSet;
use crate::context::offset;
use crate::words::{extended, is_small_constant};
use cranelift_codegen::ir::{InstBuilder, Value as ClifValue, types};
use cranelift_frontend::Variable;
use emu_ir::{BinaryOp, ConvertOp, Inst, Slot, Terminator, Type, Value};

impl Lower<'_> {
    /// The variable that holds the lower half of a slot.
    pub(super) fn word_var(&mut self, slot: Slot) -> Variable {
        let b = &mut self.b;
        *self.word_vars[slot.index()].get_or_insert_with(|| b.declare_var(types::I32))
    }

    /// Notes `at` as a word, if it is one, so that it is extended only when it is needed; else false.
    pub(super) fn note_word(&mut self, at: Value) -> bool {
        let word = match (self.block_insts()[at.index()], extended(self.block_insts(), at)) {
            (_, Some(word)) => self.value(word),
            (Inst::Get { slot, .. }, _) if self.cur.word_slots.contains(slot) => {
                let var = self.word_var(slot);
                self.b.use_var(var)
            }
            (Inst::Binary { op, ty: Type::I64, args }, _) => {
                let Some([a, b]) = self.words(args) else { return false };
                match op {
                    BinaryOp::And => self.b.ins().band(a, b),
                    BinaryOp::Or => self.b.ins().bor(a, b),
                    BinaryOp::Xor => self.b.ins().bxor(a, b),
                    _ => return false,
                }
            }
            (Inst::Select { ty: Type::I64, cond, args }, _) => {
                let Some([a, b]) = self.words(args) else { return false };
                let cond = self.value(cond);
                self.b.ins().select(cond, a, b)
            }
            _ => return false,
        };
        self.cur.words[at.index()] = Some(word);
        true
    }

    /// The lower halves of two values whose sign extensions they are, if that saves the extension of one.
    pub(super) fn words(&mut self, args: [Value; 2]) -> Option<[ClifValue; 2]> {
        let insts = self.block_insts();
        let has_word = |v: Value| self.cur.words[v.index()].is_some() || is_small_constant(insts, v);
        if !args.into_iter().all(has_word) || !args.into_iter().any(|v| self.is_word_only(v)) {
            return None;
        }
        Some(args.map(|v| match (self.cur.words[v.index()], insts[v.index()]) {
            (Some(word), _) => word,
            (None, Inst::Const { bits, .. }) => self.constant(Type::I32, bits & Type::I32.mask()),
            (None, _) => unreachable!("a constant, or no word"),
        }))
    }

    /// Is the value a word that has not been extended?
    pub(super) fn is_word_only(&self, v: Value) -> bool {
        self.cur.words[v.index()].is_some() && self.cur.values[v.index()].is_none()
    }

    /// The value with all its bits.
    pub(super) fn extended_word(&mut self, v: Value, word: ClifValue) -> ClifValue {
        match self.block_insts()[v.index()] {
            Inst::Convert { op: ConvertOp::Zext, .. } => self.b.ins().uextend(types::I64, word),
            _ => self.b.ins().sextend(types::I64, word),
        }
    }

    /// Gives the slot the value as a word, if it is one and the slot is kept as such; else false.
    pub(super) fn set_word(&mut self, slot: Slot, value: Value) -> bool {
        let word = self.cur.words[value.index()].filter(|_| self.analysis.words.contains(slot));
        if let Some(word) = word {
            let var = self.word_var(slot);
            self.b.def_var(var, word);
            self.cur.word_slots.insert(slot);
        } else {
            self.cur.word_slots.remove(slot);
        }
        word.is_some()
    }

    /// All bits of a slot that is kept as a word.
    pub(super) fn slots_word(&mut self, slot: Slot) -> ClifValue {
        let var = self.word_var(slot);
        let word = self.b.use_var(var);
        self.b.ins().sextend(types::I64, word)
    }

    /// Loads the lower half of a slot, of which memory has what it is.
    pub(super) fn load_word(&mut self, slot: Slot) {
        let word = self.load_ctx(types::I32, offset::slot(slot.0));
        let var = self.word_var(slot);
        self.b.def_var(var, word);
    }

    /// Makes of the slots what these blocks, which follow, take them for: words, or all bits; but for what is extended on the way to one.
    pub(super) fn size_words_for(&mut self, successors: &[usize], on_ways: SlotSet) {
        let live = |succ: &usize| self.analysis.live_in[*succ];
        let words = successors.iter().map(|succ| live(succ).0 & self.analysis.word_in[*succ].0).fold(0, |a, b| a | b);
        let whole = successors.iter().map(|succ| self.whole_in(*succ).0).fold(0, |a, b| a | b);
        let (kept, present) = (self.cur.word_slots, self.cur.present);
        for slot in self.analysis.words.iter().filter(|slot| present.contains(*slot)) {
            let Some((var, _)) = self.vars[slot.index()] else { continue };
            let is_in = |set: u128| set >> slot.0 & 1 == 1;
            if is_in(words) && !kept.contains(slot) {
                let value = self.b.use_var(var);
                let word = self.b.ins().ireduce(types::I32, value);
                let word_var = self.word_var(slot);
                self.b.def_var(word_var, word);
            }
            if is_in(whole) && kept.contains(slot) && !on_ways.contains(slot) {
                let value = self.slots_word(slot);
                self.b.def_var(var, value);
            }
        }
    }

    /// The slots of which all bits are wanted in a block.
    fn whole_in(&self, index: usize) -> SlotSet {
        self.analysis.live_in[index].without(self.analysis.word_in[index])
    }

    /// Words that the one of the blocks which a branch leads to wants with all their bits, and the other one does not: they are extended on
    /// the way, so that a loop does not do it for those who leave it.
    pub(super) fn extended_on_way(&self, index: usize) -> SlotSet {
        let rb = &self.region.blocks[self.cur.block];
        let Terminator::Branch { taken, next, .. } = rb.block.term else { return SlotSet::default() };
        let ways = [taken, next].map(|pc| self.region.successor(self.cur.block, pc));
        let other = match ways {
            [Some(a), Some(b)] if a == index && b != index => b,
            [Some(a), Some(b)] if b == index && a != index => a,
            _ => return SlotSet::default(),
        };
        let kept = SlotSet(self.cur.word_slots.0 & self.analysis.words.0 & self.cur.present.0);
        let wanted = self.whole_in(index).without(self.whole_in(other));
        SlotSet(wanted.0 & kept.0)
    }

    /// Extends what the block wants so, on the way to it.
    pub(super) fn extend_on_way(&mut self, index: usize) {
        for slot in self.extended_on_way(index).iter() {
            let Some((var, _)) = self.vars[slot.index()] else { continue };
            let value = self.slots_word(slot);
            self.b.def_var(var, value);
        }
    }
}
