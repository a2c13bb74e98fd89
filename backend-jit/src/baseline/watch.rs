//! What `emu diff` and `--fuel` need of quick code: instructions counted, stores noted, accesses announced, mistakes on purpose.

use super::asm::*;
use super::regs::field;
use super::{Lower, WayOut};
use crate::PlantedFault;
use crate::context::{ExitCode, StoreNote, offset};
use crate::helpers::HelperCall;
use emu_ir::{AccessKind, Inst, Value};
use std::mem::offset_of;

impl Lower<'_> {
    /// Counts the block's instructions; leaves before it if they would pass the limit.
    pub(super) fn count_insns(&mut self) {
        if !self.options.count_insns {
            return;
        }
        let out = WayOut::Machine(ExitCode::Budget, self.block.key.pc);
        if self.options.fuel {
            // The limit is 0 here.
            self.asm.alu_imm(Alu::Add, true, field(offset::INSN_COUNT), self.block.insn_count() as i32);
            return self.leave_if(Cc::NotSign, out, self.block.insn_count());
        }
        self.asm.mov(true, RAX, field(offset::INSN_COUNT));
        self.asm.alu_imm(Alu::Add, true, RAX, self.block.insn_count() as i32);
        self.asm.alu(Alu::Cmp, true, RAX, field(offset::INSN_LIMIT));
        self.leave_if(Cc::Above, out, 0);
        self.asm.store(8, field(offset::INSN_COUNT), RAX);
    }

    /// Takes back the count of instructions that have not run.
    pub(super) fn uncount(&mut self, insns: u32) {
        if self.options.count_insns && insns > 0 {
            self.asm.alu_imm(Alu::Sub, true, field(offset::INSN_COUNT), insns as i32);
        }
    }

    /// Asks before an access to the memory at `addr + offset`, if accesses are announced. Before the access's operands are
    /// in scratch registers.
    pub(super) fn announce(&mut self, access: AccessKind, addr: Value, offset: i32, bytes: u8) {
        if !self.options.announce {
            return;
        }
        let live = self.begin_call();
        self.copy(addr, RDX);
        self.asm.lea(true, RDX, Mem::at(RDX, offset));
        self.asm.mov_imm(RSI, HelperCall::Announce { access, bytes }.descriptor());
        self.asm.call_field(offset::HELPER_ENTRY);
        self.end_call(&live);
        self.asm.test(false, RAX, RAX);
        self.interpret_if(Cc::NotEqual);
    }

    /// Notes what a store to `mem` overwrites, if stores are noted. Changes rax and the flags.
    pub(super) fn note_store(&mut self, mem: Mem, bytes: u8) {
        if !self.options.note_stores {
            return;
        }
        let note = self.alloc();
        self.note_store_by(mem, bytes, note);
    }

    /// The same, with a register that is free already.
    pub(super) fn note_store_by(&mut self, mem: Mem, bytes: u8, note: Reg) {
        let place = |at: usize| Mem::at(note, at as i32);
        self.trap();
        self.asm.load(bytes, false, true, RAX, mem);
        self.asm.mov(true, note, field(offset::NEXT_STORE));
        self.asm.store(8, place(offset_of!(StoreNote, old)), RAX);
        self.asm.lea(true, RAX, mem);
        self.asm.store(8, place(offset_of!(StoreNote, host)), RAX);
        self.asm.store_imm(8, place(offset_of!(StoreNote, bytes)), bytes.into());
        self.asm.alu_imm(Alu::Add, true, field(offset::NEXT_STORE), size_of::<StoreNote>() as i32);
    }

    /// Makes the mistake that was asked for in the result of an op.
    pub(super) fn spoil(&mut self, at: Value, inst: &Inst) {
        if let Inst::Binary { op, .. } = *inst
            && self.options.planted == Some(PlantedFault::Binary(op))
            && self.uses(at) > 0
        {
            let reg = self.reg(at);
            self.asm.alu_imm(Alu::Xor, true, reg, 1);
        }
    }

    /// The same in what is stored, which may move to rax for it.
    pub(super) fn spoil_store(&mut self, from: Reg) -> Reg {
        if self.options.planted != Some(PlantedFault::Store) {
            return from;
        }
        self.asm.mov(true, RAX, from);
        self.asm.alu_imm(Alu::Xor, true, RAX, 1);
        RAX
    }
}
