//! Boxed singles: a slot that holds one (`singles`) is kept as the single, and the box is made where it is needed.

use super::Lower;
use super::float::LANES;
use crate::analysis::SlotSet;
use crate::context::{ExitCode, offset};
use crate::singles::{self, Above, Boxed};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value as ClifValue, types};
use cranelift_frontend::Variable;
use emu_ir::eval::float::CANONICAL_NAN_F32;
use emu_ir::{Slot, Type, Value};

impl Lower<'_> {
    /// The variable that holds the single of a slot.
    pub(super) fn single_var(&mut self, slot: Slot) -> Variable {
        let b = &mut self.b;
        *self.single_vars[slot.index()].get_or_insert_with(|| b.declare_var(types::F32))
    }

    /// What is above the singles in this block's registers.
    fn above(&self) -> Above {
        Above::of(self.cur.nan)
    }

    /// Notes `at` if it is a single in a box, which is made when it is needed; else false.
    pub(super) fn note_boxed(&mut self, at: Value) -> bool {
        let single = match singles::boxed(self.block_insts(), at, self.above()) {
            None => return false,
            Some(Boxed::Single(v)) => {
                self.cur.raw_values[at.index()] = self.cur.raw_values[v.index()];
                self.value(v)
            }
            Some(Boxed::Bits(v)) => match self.single_of_low_bits(v) {
                Some(single) => single,
                None => {
                    let bits = self.value(v);
                    self.bitcast(Type::F32, bits)
                }
            },
        };
        self.cur.singles[at.index()] = Some(single);
        true
    }

    /// A single as the lower half of a register. (A scalar is the first lane of a vector as it is.)
    pub(super) fn boxed(&mut self, single: ClifValue) -> ClifValue {
        let mut lanes = self.b.ins().scalar_to_vector(types::F32X4, single);
        if self.above() == Above::Ones {
            let ones = [0u32, !0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
            let ones = self.b.func.dfg.constants.insert(ones.into());
            let ones = self.b.ins().vconst(types::I32X4, ones);
            lanes = self.b.ins().bitcast(types::I32X4, LANES, lanes);
            lanes = self.b.ins().bor(lanes, ones);
        }
        let boxed = self.b.ins().bitcast(types::F64X2, LANES, lanes);
        self.b.ins().extractlane(boxed, 0)
    }

    /// The lower half of a register, as a number.
    fn lower_half(&mut self, whole: ClifValue) -> ClifValue {
        let lanes = self.b.ins().scalar_to_vector(types::F64X2, whole);
        let lanes = self.b.ins().bitcast(types::F32X4, LANES, lanes);
        self.b.ins().extractlane(lanes, 0)
    }

    /// The single with the bits `low`, if they are the lower half of a register: that has it already, or is taken apart where it is.
    pub(super) fn single_of_low_bits(&mut self, low: Value) -> Option<ClifValue> {
        let whole = singles::whole_of_low_bits(self.block_insts(), low)?;
        Some(match self.cur.singles[whole.index()] {
            Some(_) => self.clean_single(whole),
            None => {
                let whole = self.clean(whole);
                self.lower_half(whole)
            }
        })
    }

    pub(super) fn nan_unbox(&mut self, at: Value, arg: Value) -> ClifValue {
        if let Some(single) = self.cur.singles[arg.index()] {
            self.cur.raw_values[at.index()] = self.cur.raw_values[arg.index()];
            return single;
        }
        let a = self.clean(arg);
        let bits = self.bitcast(Type::I64, a);
        let high = self.b.ins().ushr_imm_u(bits, 32);
        let high = self.b.ins().ireduce(types::I32, high);
        let boxed = self.b.ins().icmp_imm_s(IntCC::Equal, high, -1);
        // Who computes with the single need not wait for the comparison.
        self.hot_or_call(boxed, types::F32, |l| l.lower_half(a), |l| l.constant(Type::F32, CANONICAL_NAN_F32))
    }

    /// The lower half `low` of a register that holds a boxed single: no box is needed for that.
    pub(super) fn low_bits_of_single(&mut self, low: Value) -> Option<ClifValue> {
        let boxed = singles::whole_of_low_bits(self.block_insts(), low)?;
        self.cur.singles[boxed.index()]?;
        let single = self.clean_single(boxed);
        Some(self.bitcast(Type::I32, single))
    }

    /// The single in the box `v`, with any NaN made canonical.
    pub(super) fn clean_single(&mut self, v: Value) -> ClifValue {
        let single = self.cur.singles[v.index()].expect("a boxed single");
        if !self.cur.raw_values[v.index()] {
            return single;
        }
        let clean = self.canonical(Type::F32, single);
        self.note_clean(v, clean);
        clean
    }

    /// The single of a slot that holds one, with any NaN made canonical.
    pub(super) fn slots_single(&mut self, slot: Slot) -> ClifValue {
        let var = self.single_var(slot);
        let single = self.b.use_var(var);
        if self.cur.raw_slots.contains(slot) { self.canonical(Type::F32, single) } else { single }
    }

    /// Writes the box of a slot's single to memory, half by half.
    pub(super) fn flush_single(&mut self, slot: Slot) {
        let single = self.slots_single(slot);
        let above = self.above().bits();
        let above = self.b.ins().iconst(types::I32, above);
        self.store_ctx(single, offset::slot(slot.0));
        self.store_ctx(above, offset::slot(slot.0) + 4);
    }

    /// Loads the singles of `slots` at the region's entry; leaves for the interpreter if one is not boxed, which no program means.
    pub(super) fn load_singles(&mut self, slots: SlotSet) {
        let above = Above::of(self.region.blocks[self.region.entry].block.nan);
        let mut found = None;
        for slot in slots.iter() {
            let at = offset::slot(slot.0);
            let single = self.load_ctx(types::F32, at);
            let var = self.single_var(slot);
            self.b.def_var(var, single);
            let high = self.load_ctx(types::I32, at + 4);
            found = Some(match (found, above) {
                (None, _) => high,
                (Some(others), Above::Ones) => self.b.ins().band(others, high),
                (Some(others), Above::Zeros) => self.b.ins().bor(others, high),
            });
        }
        let Some(found) = found else { return };
        let unboxed = self.b.ins().icmp_imm_s(IntCC::NotEqual, found, above.bits());
        let pc = self.region.entry_pc();
        self.aside_if(unboxed, |this| {
            let pc = this.b.ins().iconst(types::I64, pc as i64);
            this.exit_clean(ExitCode::Interpret, pc);
        });
    }

    /// Are all registers singles here that the region's block of this number takes for such?
    pub(super) fn has_singles_for(&self, block: usize) -> bool {
        let expected = SlotSet(self.analysis.live_in[block].0 & self.analysis.single_in[block].0);
        expected.without(self.cur.single_slots) == SlotSet::default()
    }

    /// Makes the boxes that these blocks, which follow, expect in the slots' own variables.
    pub(super) fn box_for(&mut self, successors: &[usize]) {
        let mut slots = SlotSet::default();
        for &succ in successors {
            slots = slots.union(self.analysis.live_in[succ].without(self.analysis.single_in[succ]));
        }
        for slot in slots.iter().filter(|slot| self.cur.single_slots.contains(*slot)).collect::<Vec<_>>() {
            let Some((var, _)) = self.vars[slot.index()] else { continue };
            let single = self.slots_single(slot);
            let boxed = self.boxed(single);
            self.b.def_var(var, boxed);
        }
    }
}
