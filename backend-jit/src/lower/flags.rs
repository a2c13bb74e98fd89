//! The accrued exception flags. To read them the host waits until all arithmetic before is done, so that it is put off where the
//! value is needed only if the region is left: compilers read the flags to write them back after a comparison
//! (`emu_ir::opt` makes that one silent), and what was read stays in a register.

use super::Lower;
use crate::context::{FLAGS, FLAGS_OF_STICKY, STICKY, offset};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value as ClifValue, types};
use emu_ir::{ConvertOp, Inst, Slot, Type, Value};

/// Flags that are read where the slot is written to memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnreadFlags {
    slot: Slot,
    /// What the slot is set to, and what that may be an extension of.
    set: Value,
    read: Value,
    /// Has it been set?
    is_set: bool,
}

impl UnreadFlags {
    /// Has the instruction nothing to do but to bring the flags to the slot?
    fn is_carried_by(self, inst: &Inst) -> bool {
        match *inst {
            Inst::Convert { arg, .. } => arg == self.read,
            Inst::Set { slot, value, .. } => slot == self.slot && value == self.set,
            _ => false,
        }
    }
}

impl Lower<'_> {
    /// Puts off reading the flags, if nothing changes them until the end of the block and only exits need them; else false.
    pub(super) fn put_off_reading(&mut self, read: Value) -> bool {
        if self.options.precise_faults {
            return false;
        }
        let insts = self.block_insts();
        let later = || insts.iter().enumerate().skip(read.index() + 1);
        let uses = |v: Value| later().filter(move |(_, inst)| inst.args().any(|arg| arg == v));
        let extension = later().find_map(|(i, inst)| match inst {
            Inst::Convert { op: ConvertOp::Zext, arg, .. } if *arg == read => Some(Value(i as u32)),
            _ => None,
        });
        let set = extension.unwrap_or(read);
        let slot = uses(set).find_map(|(_, inst)| match inst {
            Inst::Set { slot, .. } => Some(*slot),
            _ => None,
        });
        let Some(slot) = slot else { return false };
        let unread = UnreadFlags { slot, set, read, is_set: false };
        let only_carried = uses(read).chain(uses(set)).all(|(_, inst)| unread.is_carried_by(inst));
        let harmless = |inst: &Inst| match inst {
            Inst::Get { slot: other, .. } => *other != slot,
            Inst::Set { slot: other, .. } => *other != slot || unread.is_carried_by(inst),
            Inst::Load { .. } | Inst::Store { .. } => true,
            _ => inst.is_pure(),
        };
        let region = self.region;
        let needed = |succ: &usize| self.analysis.live_in[*succ].contains(slot);
        let put_off = only_carried
            && later().all(|(_, inst)| harmless(inst))
            && !region.blocks[self.cur.block].successors.iter().any(needed);
        if put_off {
            self.cur.unread_flags = Some(unread);
        }
        put_off
    }

    /// Is the instruction done with, because it only brings flags to a slot that are read later?
    pub(super) fn carries_unread_flags(&mut self, inst: &Inst) -> bool {
        let Some(unread) = self.cur.unread_flags.as_mut().filter(|unread| unread.is_carried_by(inst)) else {
            return false;
        };
        if let Inst::Set { slot, .. } = *inst {
            unread.is_set = true;
            self.cur.dirty.insert(slot);
            self.cur.present.insert(slot);
        }
        true
    }

    /// Reads the flags and writes them to memory, if that is what the slot holds.
    pub(super) fn flush_unread_flags(&mut self, slot: Slot) -> bool {
        if !self.cur.unread_flags.is_some_and(|unread| unread.is_set && unread.slot == slot) {
            return false;
        }
        let flags = self.read_flags();
        let (_, ty) = self.vars[slot.index()].expect("declared");
        let bits = if ty == Type::I32 { flags } else { self.bits64_of(Type::I32, flags) };
        self.store_ctx(bits, offset::slot(slot.0));
        true
    }

    /// Makes the accrued flags those of `value`.
    pub(super) fn write_flags(&mut self, value: Value) {
        let entry = self.load_ctx(types::I64, offset::CLEAR_FLAGS_ENTRY);
        self.b.ins().call_indirect(self.mxcsr_sig, entry, &[self.ctx]);
        let value = self.value(value);
        let flags = self.b.ins().band_imm_u(value, i64::from(FLAGS));
        self.store_ctx(flags, offset::FP_FLAGS);
    }

    /// The accrued flags: those that are set aside and those in MXCSR.
    pub(super) fn read_flags(&mut self) -> ClifValue {
        let entry = self.load_ctx(types::I64, offset::STORE_MXCSR_ENTRY);
        self.b.ins().call_indirect(self.mxcsr_sig, entry, &[self.ctx]);
        let mxcsr = self.load_ctx(types::I32, offset::MXCSR);
        let sticky = self.b.ins().band_imm_u(mxcsr, i64::from(STICKY));
        let sticky = self.b.ins().uextend(types::I64, sticky);
        let table = self.b.ins().iconst(types::I64, FLAGS_OF_STICKY.as_ptr() as i64);
        let at = self.b.ins().iadd(table, sticky);
        let raised = self.b.ins().uload8(types::I32, MemFlagsData::trusted(), at, 0);
        let accrued = self.load_ctx(types::I32, offset::FP_FLAGS);
        self.b.ins().bor(accrued, raised)
    }
}
