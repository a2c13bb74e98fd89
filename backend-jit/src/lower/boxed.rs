//! Boxed singles of RISC-V: a slot that holds one (`singles`) is kept as the single, and the box is made where it is needed.

use super::Lower;
use super::float::LANES;
use crate::analysis::SlotSet;
use crate::context::{ExitCode, offset};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value as ClifValue, types};
use cranelift_frontend::Variable;
use emu_ir::eval::float::CANONICAL_NAN_F32;
use emu_ir::{ConvertOp, Inst, Slot, Type, Value};

impl Lower<'_> {
    /// The variable that holds the single of a slot.
    pub(super) fn single_var(&mut self, slot: Slot) -> Variable {
        let b = &mut self.b;
        *self.single_vars[slot.index()].get_or_insert_with(|| b.declare_var(types::F32))
    }

    /// Notes `at`, the single `arg` in a box, which is made when it is needed.
    pub(super) fn nan_box(&mut self, at: Value, arg: Value) {
        self.cur.singles[at.index()] = Some(self.value(arg));
        self.cur.raw_values[at.index()] = self.cur.raw_values[arg.index()];
    }

    /// A single as the lower half of a register, under ones. (A scalar is the first lane of a vector as it is.)
    pub(super) fn boxed(&mut self, single: ClifValue) -> ClifValue {
        let lanes = self.b.ins().scalar_to_vector(types::F32X4, single);
        let lanes = self.b.ins().bitcast(types::I32X4, LANES, lanes);
        let ones = [0u32, !0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
        let ones = self.b.func.dfg.constants.insert(ones.into());
        let ones = self.b.ins().vconst(types::I32X4, ones);
        let boxed = self.b.ins().bor(lanes, ones);
        let boxed = self.b.ins().bitcast(types::F64X2, LANES, boxed);
        self.b.ins().extractlane(boxed, 0)
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
        self.hot_or_call(
            boxed,
            types::F32,
            |l| {
                let lanes = l.b.ins().scalar_to_vector(types::F64X2, a);
                let lanes = l.b.ins().bitcast(types::F32X4, LANES, lanes);
                l.b.ins().extractlane(lanes, 0)
            },
            |l| l.constant(Type::F32, CANONICAL_NAN_F32),
        )
    }

    /// The low half of the bits `arg` of a boxed single, if it is one's: no box is needed for that.
    pub(super) fn low_bits_of_single(&mut self, arg: Value) -> Option<ClifValue> {
        let Inst::Convert { op: ConvertOp::Bitcast, arg: boxed, .. } = self.block_insts()[arg.index()] else {
            return None;
        };
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
        let ones = self.b.ins().iconst(types::I32, -1);
        self.store_ctx(single, offset::slot(slot.0));
        self.store_ctx(ones, offset::slot(slot.0) + 4);
    }

    /// Loads the singles of `slots` at the region's entry; leaves for the interpreter if one is not boxed, which no program means.
    pub(super) fn load_singles(&mut self, slots: SlotSet) {
        let mut above = None;
        for slot in slots.iter() {
            let at = offset::slot(slot.0);
            let single = self.load_ctx(types::F32, at);
            let var = self.single_var(slot);
            self.b.def_var(var, single);
            let high = self.load_ctx(types::I32, at + 4);
            above = Some(above.map_or(high, |others| self.b.ins().band(others, high)));
        }
        let Some(above) = above else { return };
        let unboxed = self.b.ins().icmp_imm_s(IntCC::NotEqual, above, -1);
        let pc = self.region.entry_pc();
        self.aside_if(unboxed, |this| {
            let pc = this.b.ins().iconst(types::I64, pc as i64);
            this.exit_clean(ExitCode::Interpret, pc);
        });
    }

    /// Makes the boxes that a successor expects in the slots' own variables.
    pub(super) fn box_for_successors(&mut self, index: usize) {
        let mut slots = SlotSet::default();
        for &succ in &self.region.blocks[index].successors {
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
