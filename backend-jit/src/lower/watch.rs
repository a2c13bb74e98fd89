//! What `emu diff` needs to know of accesses to guest memory before they are made.

use super::Lower;
use crate::context::{MAX_STORES, StoreNote, offset};
use crate::helpers::HelperCall;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value as ClifValue, types};
use emu_ir::AccessKind;
use std::mem::offset_of;

impl Lower<'_> {
    /// Before a load from the host address `p + offset`.
    pub(super) fn watch_load(&mut self, p: ClifValue, offset: i32, bytes: u8) {
        if self.options.announce {
            self.announce(AccessKind::Read, p, offset, bytes);
        }
    }

    /// Before a store there, or an operation that may store.
    pub(super) fn watch_store(&mut self, p: ClifValue, offset: i32, bytes: u8) {
        if self.options.announce {
            self.announce(AccessKind::Write, p, offset, bytes);
        }
        if self.options.note_stores {
            self.note_store(p, offset, bytes);
        }
    }

    /// The guest's address is computed back from the host's, so that it is told where the access really goes.
    fn announce(&mut self, access: AccessKind, p: ClifValue, offset: i32, bytes: u8) {
        let start = self.b.ins().isub(p, self.mem_base);
        let addr = self.b.ins().iadd_imm_s(start, i64::from(offset));
        let refused = self.helper(HelperCall::Announce { access, bytes }, &[addr]);
        self.leave_if(refused);
    }

    /// Where the load faults the store would.
    fn note_store(&mut self, p: ClifValue, offset: i32, bytes: u8) {
        self.cur.stores += 1;
        assert!(self.cur.stores <= MAX_STORES, "there is no room for so many stores an instruction");
        let flags = self.guest_flags();
        let old = match bytes {
            1 => self.b.ins().uload8(types::I64, flags, p, offset),
            2 => self.b.ins().uload16(types::I64, flags, p, offset),
            4 => self.b.ins().uload32(flags, p, offset),
            _ => self.b.ins().load(types::I64, flags, p, offset),
        };
        let note = self.load_ctx(types::I64, offset::NEXT_STORE);
        let host = self.b.ins().iadd_imm_s(p, i64::from(offset));
        let bytes = self.b.ins().iconst(types::I64, i64::from(bytes));
        let fields = [
            (host, offset_of!(StoreNote, host)),
            (old, offset_of!(StoreNote, old)),
            (bytes, offset_of!(StoreNote, bytes)),
        ];
        for (value, at) in fields {
            self.b.ins().store(MemFlagsData::trusted(), value, note, at as i32);
        }
        let next = self.b.ins().iadd_imm_s(note, size_of::<StoreNote>() as i64);
        self.store_ctx(next, offset::NEXT_STORE);
    }
}
