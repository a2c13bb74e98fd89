//! Accesses that are announced before they are made: what `emu diff` undoes and compares stores by.

use super::Lower;
use crate::Announce;
use crate::helpers::HelperCall;
use cranelift_codegen::ir::{InstBuilder, Value as ClifValue};
use emu_ir::AccessKind;

impl Lower<'_> {
    /// Announces a load from the host address `p + offset`, if loads are announced.
    pub(super) fn announce_load(&mut self, p: ClifValue, offset: i32, bytes: u8) {
        if self.options.announce == Announce::All {
            self.announce(AccessKind::Read, p, offset, bytes);
        }
    }

    /// The same for a store, or an operation that may store.
    pub(super) fn announce_store(&mut self, p: ClifValue, offset: i32, bytes: u8) {
        if self.options.announce != Announce::Nothing {
            self.announce(AccessKind::Write, p, offset, bytes);
        }
    }

    /// The guest's address is computed back from the host's, so that it is told where the access really goes.
    fn announce(&mut self, access: AccessKind, p: ClifValue, offset: i32, bytes: u8) {
        let start = self.b.ins().isub(p, self.mem_base);
        let addr = self.b.ins().iadd_imm_s(start, i64::from(offset));
        let refused = self.helper(HelperCall::Announce { access, bytes }, &[addr]);
        self.leave_if(refused);
    }
}
