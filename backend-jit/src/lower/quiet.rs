//! Signalling NaNs where none may raise anything: in comparisons whose flags are thrown away, and in registers that a region takes to have none
//! (`quiet`).

use super::{Lower, clif_type};
use crate::context::{ExitCode, offset};
use crate::helpers::{canonical_nan, infinity};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value as ClifValue, types};
use emu_ir::opt::quiet_values;
use emu_ir::{Slot, Type, Value};

impl Lower<'_> {
    /// The value, or a quiet NaN for a signalling one, by integer operations, which raise nothing. (For any NaN, which seldom come here.)
    pub(super) fn quieted(&mut self, v: Value) -> ClifValue {
        let before = self.region.blocks[self.cur.block].before.as_deref();
        let (ty, value) = (self.ty(v), self.value(v));
        if quiet_values(&self.region.blocks[self.cur.block].block, before)[v.index()] {
            return value;
        }
        let number = self.is_number(ty, value);
        self.hot_or_call(number, clif_type(ty), |_| value, |l| l.constant(ty, canonical_nan(ty)))
    }

    fn is_number(&mut self, ty: Type, value: ClifValue) -> ClifValue {
        let bits = self.bitcast(ty.as_int(), value);
        // Without the sign.
        let magnitude = self.b.ins().iadd(bits, bits);
        self.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, magnitude, 2 * infinity(ty) as i64)
    }

    /// Leaves the region for the interpreter if a register holds a signalling NaN that it takes to have none.
    pub(super) fn leave_unless_quiet(&mut self) {
        let live = self.analysis.live_in[self.region.entry];
        let quiet = self.region.quiet_at_entry.iter().filter(|(slot, _)| live.contains(*slot));
        let signalling: Vec<ClifValue> = quiet.map(|(slot, ty)| self.is_signalling(slot, ty)).collect();
        let Some(any) = signalling.into_iter().reduce(|a, b| self.b.ins().bor(a, b)) else { return };
        let pc = self.region.entry_pc();
        self.aside_if(any, |this| {
            let pc = this.b.ins().iconst(types::I64, pc as i64);
            this.exit_clean(ExitCode::Interpret, pc);
        });
    }

    /// Is the slot's number, or the single in its lower half, a signalling NaN?
    fn is_signalling(&mut self, slot: Slot, ty: Type) -> ClifValue {
        let bits = self.load_ctx(clif_type(ty.as_int()), offset::slot(slot.0));
        // Without the sign they are those from infinity on to the first that is quiet.
        let magnitude = self.b.ins().iadd(bits, bits);
        let (first, quiet) = (2 * infinity(ty) + 1, 2 * canonical_nan(ty));
        let less = self.constant(ty.as_int(), first.wrapping_neg() & ty.mask());
        let above = self.b.ins().iadd(magnitude, less);
        self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, above, (quiet - first) as i64)
    }
}
