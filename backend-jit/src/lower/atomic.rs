//! Atomic operations. All are sequentially consistent on x86, where every locked instruction is.

use super::{Lower, clif_type};
use crate::context::offset;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AtomicRmwOp, BlockArg, InstBuilder, Value as ClifValue, types};
use emu_ir::{AtomicOp, NO_RESERVATION, ScId, Type, Value};

impl Lower<'_> {
    /// The host address; a misaligned one leaves to the interpreter, which raises the fault.
    fn aligned_address(&mut self, ty: Type, addr: Value) -> ClifValue {
        if ty.bytes() > 1 {
            let guest = self.value(addr);
            let addr_ty = clif_type(self.ty(addr));
            let mask = self.b.ins().iconst(addr_ty, i64::from(ty.bytes()) - 1);
            let low = self.b.ins().band(guest, mask);
            self.leave_if(low);
        }
        self.host_address(addr, 0).0
    }

    pub(super) fn atomic_rmw(&mut self, op: AtomicOp, ty: Type, addr: Value, value: Value) -> ClifValue {
        let p = self.aligned_address(ty, addr);
        self.watch_store(p, 0, ty.bytes());
        let v = self.value(value);
        let op = match op {
            AtomicOp::Swap => AtomicRmwOp::Xchg,
            AtomicOp::Add => AtomicRmwOp::Add,
            AtomicOp::And => AtomicRmwOp::And,
            AtomicOp::Or => AtomicRmwOp::Or,
            AtomicOp::Xor => AtomicRmwOp::Xor,
            AtomicOp::MinS => AtomicRmwOp::Smin,
            AtomicOp::MaxS => AtomicRmwOp::Smax,
            AtomicOp::MinU => AtomicRmwOp::Umin,
            AtomicOp::MaxU => AtomicRmwOp::Umax,
        };
        let flags = self.guest_flags();
        self.b.ins().atomic_rmw(clif_type(ty), flags, op, p, v)
    }

    pub(super) fn atomic_cas(&mut self, ty: Type, addr: Value, expected: Value, new: Value) -> ClifValue {
        let p = self.aligned_address(ty, addr);
        self.watch_store(p, 0, ty.bytes());
        let (e, x) = (self.value(expected), self.value(new));
        let flags = self.guest_flags();
        self.b.ins().atomic_cas(flags, p, e, x)
    }

    pub(super) fn load_reserved(&mut self, (ty, id): (Type, ScId), addr: Value) -> ClifValue {
        let p = self.aligned_address(ty, addr);
        self.watch_load(p, 0, ty.bytes());
        let flags = self.guest_flags();
        let loaded = self.b.ins().load(clif_type(ty), flags, p, 0);
        let guest = self.bits64(addr);
        self.store_ctx(guest, offset::RESERVATION_ADDR);
        let wide = if ty == Type::I64 { loaded } else { self.b.ins().uextend(types::I64, loaded) };
        self.store_ctx(wide, offset::RESERVATION_VALUE);
        let id = self.b.ins().iconst(types::I32, i64::from(id.0));
        self.store_ctx(id, offset::RESERVATION_FOR);
        loaded
    }

    /// Stores if the reservation is for this address and this instruction, and memory still holds the value that was loaded.
    pub(super) fn store_conditional(&mut self, (ty, id): (Type, ScId), addr: Value, value: Value) -> ClifValue {
        let p = self.aligned_address(ty, addr);
        let [for_this, try_store, done] = std::array::from_fn(|_| self.b.create_block());
        let result = self.b.append_block_param(done, types::I8);
        let reserved = self.load_ctx(types::I64, offset::RESERVATION_ADDR);
        let guest = self.bits64(addr);
        let same = self.b.ins().icmp(IntCC::Equal, reserved, guest);
        let zero = self.b.ins().iconst(types::I8, 0);
        self.b.ins().brif(same, for_this, &[], done, &[BlockArg::Value(zero)]);

        self.b.switch_to_block(for_this);
        let good_for = self.load_ctx(types::I32, offset::RESERVATION_FOR);
        let same = self.b.ins().icmp_imm_u(IntCC::Equal, good_for, i64::from(id.0));
        let zero = self.b.ins().iconst(types::I8, 0);
        self.b.ins().brif(same, try_store, &[], done, &[BlockArg::Value(zero)]);

        self.b.switch_to_block(try_store);
        self.watch_store(p, 0, ty.bytes());
        let expected = self.load_ctx(types::I64, offset::RESERVATION_VALUE);
        let expected = if ty == Type::I64 { expected } else { self.b.ins().ireduce(clif_type(ty), expected) };
        let new = self.value(value);
        let flags = self.guest_flags();
        let old = self.b.ins().atomic_cas(flags, p, expected, new);
        let stored = self.b.ins().icmp(IntCC::Equal, old, expected);
        self.b.ins().jump(done, &[BlockArg::Value(stored)]);
        self.b.switch_to_block(done);
        // Only now: a store that faults is run again by the interpreter, which has to find the reservation.
        let none = self.b.ins().iconst(types::I64, NO_RESERVATION as i64);
        self.store_ctx(none, offset::RESERVATION_ADDR);
        result
    }
}
