//! Loads, stores and fences of the guest.

use super::{Lower, PlantedFault, clif_type};
use crate::context::offset;
use crate::{CONFINED_OFFSET, CONFINED_SLACK};
use cranelift_codegen::ir::{
    AtomicRmwOp, InstBuilder, InstructionData, MemFlagsData, Opcode, TrapCode, Value as ClifValue, types,
};
use emu_ir::{Access, FenceKind, Type, Value};

/// How many trap codes tell accesses to guest memory apart.
const ACCESS_CODES: u32 = 249;

/// The guest instruction behind a trap code, if it is that of an access to guest memory. `user` is the instruction that the
/// trapping host instruction was made for: where Cranelift has merged a load into the op that uses it, a later one of the
/// same block, whose instructions are fewer than there are codes.
pub(crate) fn accessing_insn(code: TrapCode, user: u32) -> Option<u32> {
    let place = u32::from(code.as_raw().get()) - 1;
    let back = (user % ACCESS_CODES + ACCESS_CODES).checked_sub(place)? % ACCESS_CODES;
    if place < ACCESS_CODES { user.checked_sub(back) } else { None }
}

impl Lower<'_> {
    /// Flags of an access to guest memory: it may fault, nothing is known of its alignment.
    pub(super) fn guest_flags(&self) -> MemFlagsData {
        let code = self.cur.insn as u32 % ACCESS_CODES + 1;
        MemFlagsData::new().with_trap_code(TrapCode::user(code as u8))
    }

    /// The host address of a guest address, and what is still to be added. A 32-bit one wraps with its displacement only as far
    /// as the guard areas around the guest's memory reach: what leaves the 4 GiB faults there, and the interpreter finds the exact
    /// address.
    pub(super) fn host_address(&mut self, addr: Value, offset: i32) -> (ClifValue, i32) {
        match self.options.confine {
            Some(size) if self.ty(addr) == Type::I64 => self.confined_address(addr, offset, size + CONFINED_SLACK),
            _ => {
                let guest = self.bits64(addr);
                (self.b.ins().iadd(self.mem_base, guest), offset)
            }
        }
    }

    /// The same, with everything from `last` on at `last`, where the access faults. There is no branch that the host could
    /// predict wrongly.
    fn confined_address(&mut self, addr: Value, offset: i32, last: u64) -> (ClifValue, i32) {
        let small = offset.unsigned_abs() <= CONFINED_OFFSET;
        if let Some(known) = self.cur.confined[addr.index()].filter(|_| small) {
            return (known, offset);
        }
        let guest = self.value(addr);
        let (guest, rest) =
            if small { (guest, offset) } else { (self.b.ins().iadd_imm_s(guest, i64::from(offset)), 0) };
        let inside = if self.is_constant_below(guest, last) {
            guest
        } else {
            let last = self.b.ins().iconst(types::I64, last as i64);
            self.b.ins().umin(guest, last)
        };
        let host = self.b.ins().iadd(self.mem_base, inside);
        if small && !self.cur.aside {
            self.cur.confined[addr.index()] = Some(host);
        }
        (host, rest)
    }

    /// Is the value a constant that is less than `last`?
    fn is_constant_below(&self, value: ClifValue, last: u64) -> bool {
        let dfg = &self.b.func.dfg;
        let made_by = dfg.value_def(value).inst().map(|inst| dfg.insts[inst]);
        matches!(made_by, Some(InstructionData::UnaryImm { opcode: Opcode::Iconst, imm }) if (imm.bits() as u64) < last)
    }

    pub(super) fn load(&mut self, at: Value, ty: Type, access: Access, addr: Value, offset: i32) -> ClifValue {
        let (p, offset) = self.host_address(addr, offset);
        self.watch_load(p, offset, access.bytes);
        let (ct, flags) = (clif_type(ty), self.guest_flags());
        if access.big_endian && access.bytes > 1 {
            let raw = self.b.ins().load(int_type(access.bytes), flags, p, offset);
            let swapped = self.b.ins().bswap(raw);
            return self.extend_loaded(ty, access, swapped);
        }
        let ins = self.b.ins();
        // Loads extend for nothing.
        let wide = match (ty, access.bytes, access.signed) {
            (Type::I32, 4, _) => Some(ins.uload32(flags, p, offset)),
            (Type::I32, 2, false) => Some(ins.uload16(types::I64, flags, p, offset)),
            (Type::I32, 1, false) => Some(ins.uload8(types::I64, flags, p, offset)),
            _ => None,
        };
        if let Some(wide) = wide {
            return self.narrow(at, wide);
        }
        let ins = self.b.ins();
        match (access.bytes, access.signed) {
            (n, _) if n == ty.bytes() => ins.load(ct, flags, p, offset),
            (1, false) => ins.uload8(ct, flags, p, offset),
            (1, true) => ins.sload8(ct, flags, p, offset),
            (2, false) => ins.uload16(ct, flags, p, offset),
            (2, true) => ins.sload16(ct, flags, p, offset),
            (_, false) => ins.uload32(flags, p, offset),
            (_, true) => ins.sload32(flags, p, offset),
        }
    }

    fn extend_loaded(&mut self, ty: Type, access: Access, value: ClifValue) -> ClifValue {
        match () {
            () if ty.is_float() => self.bitcast(ty, value),
            () if access.bytes == ty.bytes() => value,
            () if access.signed => self.b.ins().sextend(clif_type(ty), value),
            () => self.b.ins().uextend(clif_type(ty), value),
        }
    }

    pub(super) fn store(&mut self, access: Access, addr: Value, offset: i32, value: Value) {
        let (p, offset) = self.host_address(addr, offset);
        self.watch_store(p, offset, access.bytes);
        let word = self.cur.words[value.index()].filter(|_| access.bytes <= 4);
        let (ty, mut v) = match word {
            Some(word) => (Type::I32, word),
            None => (self.ty(value), self.clean(value)),
        };
        v = self.planted(PlantedFault::Store, v);
        let flags = self.guest_flags();
        if access.big_endian && access.bytes > 1 {
            v = if ty.is_float() { self.bitcast(ty.as_int(), v) } else { v };
            v = if access.bytes < ty.bytes() { self.b.ins().ireduce(int_type(access.bytes), v) } else { v };
            v = self.b.ins().bswap(v);
            self.b.ins().store(flags, v, p, offset);
            return;
        }
        let ins = self.b.ins();
        match access.bytes {
            n if n == ty.bytes() => ins.store(flags, v, p, offset),
            1 => ins.istore8(flags, v, p, offset),
            2 => ins.istore16(flags, v, p, offset),
            _ => ins.istore32(flags, v, p, offset),
        };
    }

    pub(super) fn fence(&mut self, kind: FenceKind) {
        // x86 keeps every order but that of a store before a later load, and that at a locked instruction as well as at an `mfence`,
        // which takes several times as long.
        if kind == FenceKind::Full {
            let at = self.b.ins().iadd_imm_s(self.ctx, i64::from(offset::ZERO));
            let zero = self.b.ins().iconst(types::I64, 0);
            self.b.ins().atomic_rmw(types::I64, MemFlagsData::trusted(), AtomicRmwOp::Add, at, zero);
        }
    }
}

fn int_type(bytes: u8) -> cranelift_codegen::ir::Type {
    match bytes {
        1 => types::I8,
        2 => types::I16,
        4 => types::I32,
        _ => types::I64,
    }
}
