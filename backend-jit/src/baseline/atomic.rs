//! Atomic ops. All are sequentially consistent on x86, where every locked instruction is.

use super::asm::*;
use super::regs::field;
use super::{Lower, Unsupported};
use crate::context::offset;
use emu_ir::{AccessKind, AtomicOp, Inst, ScId, Type, Value};

const XCHG: u32 = 0x87;
const XADD: u32 = 0x0fc1;
const CMPXCHG: u32 = 0x0fb1;

impl Lower<'_> {
    pub(super) fn atomic(&mut self, at: Value, inst: &Inst) -> Result<(), Unsupported> {
        match *inst {
            Inst::AtomicRmw { ty, .. } if ty.bytes() < 4 => return Err(Unsupported),
            Inst::AtomicRmw { op, ty, addr, value } => self.read_modify_write(at, op, ty, addr, value),
            Inst::AtomicCas { ty, addr, expected, new } => {
                let mem = self.aligned_address(ty, addr, AccessKind::Write);
                self.note_store(mem, ty.bytes());
                self.copy(expected, RAX);
                let new_reg = self.reg_or(new, RCX);
                self.trap();
                self.asm.atomic(CMPXCHG, ty.bytes(), mem, new_reg);
                [addr, expected, new].into_iter().for_each(|v| self.done(v));
                self.result_from(at, RAX);
            }
            // The machine runs it alone.
            Inst::LoadReserved { id, .. } if id.is_any() => return Err(Unsupported),
            Inst::LoadReserved { ty, addr, id } => {
                let mem = self.aligned_address(ty, addr, AccessKind::Read);
                self.trap();
                self.asm.load(ty.bytes(), false, true, RAX, mem);
                let guest = mem.index.expect("an address has an index");
                self.asm.store(8, field(offset::RESERVATION_ADDR), guest);
                self.asm.store(8, field(offset::RESERVATION_VALUE), RAX);
                self.asm.store_imm(4, field(offset::RESERVATION_FOR), id.0 as i32);
                self.done(addr);
                self.result_from(at, RAX);
            }
            Inst::StoreConditional { ty, addr, value, id } => self.store_conditional(at, (ty, id), addr, value),
            _ => return Err(Unsupported),
        }
        Ok(())
    }

    /// The host address; a misaligned one leaves to the interpreter, which raises the fault.
    fn aligned_address(&mut self, ty: Type, addr: Value, access: AccessKind) -> Mem {
        self.announce(access, addr, 0, ty.bytes());
        if ty.bytes() > 1 {
            // The guest's own address: a confined one may be aligned although that is not.
            let guest = self.reg_or(addr, RAX);
            self.asm.test_low(guest, ty.bytes() - 1);
            self.interpret_if(Cc::NotEqual);
        }
        if self.constant(addr).is_some() || self.confines(addr) {
            let scratch = self.alloc();
            let mem = self.indexed_address(addr, 0, scratch);
            self.unpin(addr);
            mem
        } else {
            self.indexed_address(addr, 0, RAX)
        }
    }

    fn read_modify_write(&mut self, at: Value, op: AtomicOp, ty: Type, addr: Value, value: Value) {
        let mem = self.aligned_address(ty, addr, AccessKind::Write);
        self.note_store(mem, ty.bytes());
        match op {
            AtomicOp::Swap | AtomicOp::Add => {
                self.copy(value, RAX);
                self.trap();
                self.asm.atomic(if op == AtomicOp::Swap { XCHG } else { XADD }, ty.bytes(), mem, RAX);
            }
            _ => self.compare_and_swap_loop(op, ty, mem, value),
        }
        self.done(addr);
        self.done(value);
        self.result_from(at, RAX);
    }

    /// rax is the old value in the end.
    fn compare_and_swap_loop(&mut self, op: AtomicOp, ty: Type, mem: Mem, value: Value) {
        let wide = ty == Type::I64;
        let new = self.alloc();
        let rhs = self.reg_or(value, RCX);
        self.trap();
        self.asm.load(ty.bytes(), false, true, RAX, mem);
        let again = self.asm.here();
        self.asm.mov(true, new, RAX);
        match op {
            AtomicOp::And => self.asm.alu(Alu::And, wide, new, rhs),
            AtomicOp::Or => self.asm.alu(Alu::Or, wide, new, rhs),
            AtomicOp::Xor => self.asm.alu(Alu::Xor, wide, new, rhs),
            _ => {
                let replace = match op {
                    AtomicOp::MinS => Cc::Greater,
                    AtomicOp::MaxS => Cc::Less,
                    AtomicOp::MinU => Cc::Above,
                    _ => Cc::Below,
                };
                self.asm.alu(Alu::Cmp, wide, new, rhs);
                self.asm.cmov(replace, new, rhs);
            }
        }
        self.trap();
        self.asm.atomic(CMPXCHG, ty.bytes(), mem, new);
        self.asm.jcc_back(Cc::NotEqual, again);
    }

    /// Stores if the reservation is for this address and this instruction, and memory still holds the value that was loaded.
    fn store_conditional(&mut self, at: Value, (ty, id): (Type, ScId), addr: Value, value: Value) {
        let mem = self.aligned_address(ty, addr, AccessKind::Write);
        let guest = mem.index.expect("an address has an index");
        let new = self.reg_or(value, RCX);
        // Before the branch: it may move another value out.
        let note = self.options.note_stores.then(|| self.alloc());
        self.asm.alu(Alu::Cmp, true, guest, field(offset::RESERVATION_ADDR));
        let lost = self.asm.jcc(Cc::NotEqual);
        self.asm.alu_imm(Alu::Cmp, false, field(offset::RESERVATION_FOR), id.0 as i32);
        let of_another = self.asm.jcc(Cc::NotEqual);
        if let Some(note) = note {
            self.note_store_by(mem, ty.bytes(), note);
        }
        self.asm.mov(true, RAX, field(offset::RESERVATION_VALUE));
        self.trap();
        self.asm.atomic(CMPXCHG, ty.bytes(), mem, new);
        self.asm.land(lost);
        self.asm.land(of_another);
        // Either way ZF tells. The reservation ends only now: a store that faults is run again by the interpreter.
        self.asm.setcc(Cc::Equal, RAX);
        self.asm.store_imm(8, field(offset::RESERVATION_ADDR), -1);
        self.done(addr);
        self.done(value);
        self.result_from(at, RAX);
    }
}

const _: () = assert!(emu_ir::NO_RESERVATION == u64::MAX);
