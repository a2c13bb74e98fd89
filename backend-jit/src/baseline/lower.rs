//! Integer ops, loads and stores.

use super::asm::*;
use super::hot::COUNTDOWN;
use super::regs::{Loc, field};
use super::{Lower, Unsupported};
use crate::context::offset;
use crate::helpers::HelperCall;
use crate::{CONFINED_OFFSET, CONFINED_SLACK};
use emu_ir::{Access, AccessKind, BinaryOp, Cond, ConvertOp, FenceKind, Inst, Type, UnaryOp, Value};

impl Lower<'_> {
    // Always: its frame is large, and it has one caller.
    #[inline(always)]
    pub(super) fn inst(&mut self, at: Value, inst: &Inst) -> Result<(), Unsupported> {
        self.settle_args(inst);
        match *inst {
            Inst::Get { slot, .. } => self.in_slot(at, slot),
            Inst::Set { slot, value, .. } => self.set(offset::slot(slot.0), value),
            Inst::Const { bits, .. } => self.set_loc(at, Loc::Const(bits)),
            Inst::Unary { op, ty, arg } => return self.unary(at, op, ty, arg),
            Inst::Binary { op, ty, args } => return self.binary(at, op, ty, args),
            Inst::Compare { cond, args, .. } => return self.compare(at, cond, args),
            Inst::Select { cond, args, .. } => self.select(at, cond, args),
            Inst::Convert { op, ty, arg } => self.convert(at, op, ty, arg),
            Inst::Load { ty, access, addr, offset } => self.load(at, ty, access, addr, offset),
            Inst::Store { access, addr, offset, value, .. } => self.store(access, addr, offset, value),
            Inst::Fence { kind: FenceKind::Full } => self.asm.full_fence(),
            Inst::Fence { kind: FenceKind::Light } => {}
            Inst::ReadFpRound => {
                let to = self.result(at);
                self.asm.load(4, false, false, to, field(offset::FP_ROUND));
            }
            Inst::WriteFpRound { value } => {
                let value_reg = self.reg_or(value, RAX);
                self.asm.store(4, field(offset::FP_ROUND), value_reg);
                self.done(value);
            }
            Inst::Call { helper, count, args, .. } => self.guest_call(at, helper.0, &args[..usize::from(count)]),
            Inst::TrapIf { cond, .. } => {
                let cc = self.flags(cond);
                self.interpret_if(cc);
            }
            Inst::LeaveIf { cond, target } => {
                let cc = self.flags(cond);
                self.leave_for_if(cc, target);
            }
            Inst::AtomicRmw { .. }
            | Inst::AtomicCas { .. }
            | Inst::LoadReserved { .. }
            | Inst::StoreConditional { .. } => return self.atomic(at, inst),
            Inst::FloatUnary { .. }
            | Inst::FloatBinary { .. }
            | Inst::FloatFma { .. }
            | Inst::FloatCompare { .. }
            | Inst::FloatClass { .. }
            | Inst::FloatConvert { .. }
            | Inst::ReadFpFlags
            | Inst::WriteFpFlags { .. } => return self.float(at, inst),
        }
        Ok(())
    }

    fn set(&mut self, place: i32, value: Value) {
        self.vacate(place, value);
        let hot = self.hot_reg(place);
        if self.loc(value) == hot.map_or(Loc::Memory(place), Loc::Reg) {
            // The register gets what it has.
        } else if let Some(to) = hot {
            self.move_to_hot(value, to);
        } else if let Some(imm) = self.immediate(value).filter(|imm| *imm >= 0 || self.ty(value).bytes() == 8) {
            self.asm.store_imm(8, field(place), imm);
        } else {
            let reg = self.reg_or(value, RAX);
            self.asm.store(8, field(place), reg);
            if reg != RAX && !self.is_hot(reg) {
                self.set_home(value, place);
            }
        }
        self.done(value);
    }

    fn guest_call(&mut self, at: Value, index: u16, args: &[Value]) {
        self.helper(HelperCall::Guest { index }, args);
        self.asm.alu_imm(Alu::Cmp, false, field(offset::HELPER_TRAPPED), 0);
        self.trap_if(Cc::NotEqual);
        args.iter().for_each(|v| self.done(*v));
        self.result_from(at, RAX);
    }

    /// Makes the comparisons among the operands that are needed as values, while no scratch register is in use.
    fn settle_args(&mut self, inst: &Inst) {
        if self.places.put_off == 0 {
            return;
        }
        let condition = match *inst {
            Inst::Select { cond, .. } | Inst::TrapIf { cond, .. } | Inst::LeaveIf { cond, .. } => Some(cond),
            _ => None,
        };
        for v in inst.args() {
            if self.loc(v) == Loc::Flags && (Some(v) != condition || self.uses(v) > 1) {
                self.materialize(v);
            }
        }
    }

    fn unary(&mut self, at: Value, op: UnaryOp, ty: Type, arg: Value) -> Result<(), Unsupported> {
        let wide = ty == Type::I64;
        if ty.bytes() < 4 && !matches!(op, UnaryOp::Not | UnaryOp::Neg | UnaryOp::Popcnt) {
            return Err(Unsupported);
        }
        match op {
            UnaryOp::Not | UnaryOp::Neg => {
                let reg = self.take(at, arg);
                let op = if op == UnaryOp::Not { Unary::Not } else { Unary::Neg };
                self.asm.unary(op, wide, reg);
                self.normalize(ty, reg);
            }
            UnaryOp::Bswap => {
                let reg = self.take(at, arg);
                self.asm.bswap(wide, reg);
            }
            UnaryOp::Clz => self.count(at, 0xbd, wide, arg),
            UnaryOp::Ctz => self.count(at, 0xbc, wide, arg),
            UnaryOp::Popcnt => self.count(at, 0xb8, wide, arg),
            UnaryOp::Bitrev => return Err(Unsupported),
        }
        Ok(())
    }

    fn count(&mut self, at: Value, opcode: u8, wide: bool, arg: Value) {
        let from = self.operand(arg, RAX);
        self.done(arg);
        let to = self.result(at);
        self.asm.count(opcode, wide, to, from);
    }

    fn binary(&mut self, at: Value, op: BinaryOp, ty: Type, args: [Value; 2]) -> Result<(), Unsupported> {
        use BinaryOp::*;
        match op {
            Add => self.add(at, ty, args),
            Sub => self.alu(at, Alu::Sub, ty, args),
            And => self.alu(at, Alu::And, ty, args),
            Or => self.alu(at, Alu::Or, ty, args),
            Xor => self.alu(at, Alu::Xor, ty, args),
            Mul => self.multiply(at, ty, args),
            Shl => self.shift(at, Shift::Shl, ty, args),
            ShrU => self.shift(at, Shift::Shr, ty, args),
            Clmul | ClmulHi => {
                self.helper(HelperCall::Integer { op, ty }, &args);
                args.iter().for_each(|v| self.done(*v));
                self.result_from(at, RAX);
            }
            _ if ty.bytes() < 4 => return Err(Unsupported),
            ShrS => self.shift(at, Shift::Sar, ty, args),
            Rotl => self.shift(at, Shift::Rol, ty, args),
            Rotr => self.shift(at, Shift::Ror, ty, args),
            MulHiS => self.high_product(at, Unary::Imul, ty, args),
            MulHiU => self.high_product(at, Unary::Mul, ty, args),
            DivS | RemS => self.divide_signed(at, op == RemS, ty, args),
            DivU | RemU => self.divide_unsigned(at, op == RemU, ty, args),
        }
        Ok(())
    }

    /// Addition; by `lea` if the result has another register than the first operand.
    fn add(&mut self, at: Value, ty: Type, [a, b]: [Value; 2]) {
        if ty.bytes() < 4 || self.stays(at, a) {
            return self.alu(at, Alu::Add, ty, [a, b]);
        }
        let wide = ty == Type::I64;
        let mem = match self.immediate(b) {
            Some(disp) => Mem::at(self.reg_or(a, RAX), disp),
            None => Mem::indexed(self.reg_or(a, RAX), self.reg_or(b, RCX), 0),
        };
        self.done(a);
        self.done(b);
        let to = self.result(at);
        self.asm.lea(wide, to, mem);
    }

    fn alu(&mut self, at: Value, op: Alu, ty: Type, [a, b]: [Value; 2]) {
        let wide = ty == Type::I64;
        let imm = self.immediate(b);
        // Before the first operand's register changes.
        let rhs = if imm.is_none() { Some(self.operand(b, RAX)) } else { None };
        let to = self.take(at, a);
        match (imm, rhs) {
            (Some(imm), _) => self.asm.alu_imm(op, wide, to, imm),
            (None, rhs) => self.asm.alu(op, wide, to, rhs.expect("not immediate")),
        }
        self.done(b);
        self.normalize(ty, to);
    }

    fn multiply(&mut self, at: Value, ty: Type, [a, b]: [Value; 2]) {
        let rhs = self.operand(b, RAX);
        let to = self.take(at, a);
        self.asm.imul(ty == Type::I64, to, rhs);
        self.done(b);
        self.normalize(ty, to);
    }

    fn high_product(&mut self, at: Value, op: Unary, ty: Type, [a, b]: [Value; 2]) {
        let rhs = self.operand(b, RCX);
        self.copy(a, RAX);
        self.keep_countdown();
        self.asm.unary(op, ty == Type::I64, rhs);
        self.asm.mov(true, RAX, RDX);
        self.restore_countdown();
        self.done(a);
        self.done(b);
        self.result_from(at, RAX);
    }

    /// Puts the count of runs aside where rdx is needed.
    fn keep_countdown(&mut self) {
        self.asm.store(4, field(offset::COUNTDOWN), COUNTDOWN);
    }

    fn restore_countdown(&mut self) {
        self.asm.mov(false, COUNTDOWN, field(offset::COUNTDOWN));
    }

    fn shift(&mut self, at: Value, op: Shift, ty: Type, [a, b]: [Value; 2]) {
        let wide = ty == Type::I64;
        let mask = (ty.bits() - 1) as u8;
        if let Some(amount) = self.constant(b) {
            let to = self.take(at, a);
            self.asm.shift_imm(op, wide, to, amount as u8 & mask);
            self.done(b);
            return self.normalize(ty, to);
        }
        self.copy(b, RCX);
        self.done(b);
        if ty.bytes() < 4 {
            self.asm.alu_imm(Alu::And, false, RCX, mask.into());
        }
        let to = self.take(at, a);
        self.asm.shift_cl(op, wide, to);
        self.normalize(ty, to);
    }

    /// Division with the IR's total definition: rax / rcx, divisors 0 and -1 apart.
    fn divide_signed(&mut self, at: Value, remainder: bool, ty: Type, args: [Value; 2]) {
        let wide = ty == Type::I64;
        self.copy(args[0], RAX);
        self.copy(args[1], RCX);
        self.keep_countdown();
        self.asm.lea(wide, RDX, Mem::at(RCX, 1));
        self.asm.alu_imm(Alu::Cmp, wide, RDX, 1);
        let normal = self.asm.jcc(Cc::Above);
        if remainder {
            // By 0 the dividend, by -1 nothing.
            self.asm.mov_imm(RDX, 0);
            self.asm.test(wide, RCX, RCX);
            self.asm.cmov(Cc::NotEqual, RAX, RDX);
        } else {
            self.asm.unary(Unary::Neg, wide, RAX);
            self.asm.mov_imm(RDX, u64::MAX);
            self.asm.test(wide, RCX, RCX);
            self.asm.cmov(Cc::Equal, RAX, RDX);
        }
        let end = self.asm.jmp();
        self.asm.land(normal);
        self.asm.sign_into_rdx(wide);
        self.asm.unary(Unary::Idiv, wide, RCX);
        if remainder {
            self.asm.mov(true, RAX, RDX);
        }
        self.asm.land(end);
        self.restore_countdown();
        args.iter().for_each(|v| self.done(*v));
        self.result_from(at, RAX);
    }

    fn divide_unsigned(&mut self, at: Value, remainder: bool, ty: Type, args: [Value; 2]) {
        let wide = ty == Type::I64;
        self.copy(args[0], RAX);
        self.copy(args[1], RCX);
        self.keep_countdown();
        self.asm.test(wide, RCX, RCX);
        let normal = self.asm.jcc(Cc::NotEqual);
        if !remainder {
            self.asm.mov_imm(RAX, u64::MAX);
        }
        let end = self.asm.jmp();
        self.asm.land(normal);
        self.asm.mov_imm(RDX, 0);
        self.asm.unary(Unary::Div, wide, RCX);
        if remainder {
            self.asm.mov(true, RAX, RDX);
        }
        self.asm.land(end);
        self.restore_countdown();
        args.iter().for_each(|v| self.done(*v));
        self.result_from(at, RAX);
    }

    /// A comparison with one use is made there, where its flags serve; its operands live until then.
    fn compare(&mut self, at: Value, cond: Cond, args: [Value; 2]) -> Result<(), Unsupported> {
        use Cond::*;
        if self.ty(args[0]).bytes() < 4 && matches!(cond, LtS | LeS | GtS | GeS) {
            return Err(Unsupported);
        }
        self.set_loc(at, Loc::Flags);
        self.places.put_off += 1;
        if self.uses(at) > 1 {
            self.materialize(at);
        }
        Ok(())
    }

    /// Sets the flags by a value of type `i8`, uses it up and says how they tell that it is not 0.
    pub(super) fn flags(&mut self, v: Value) -> Cc {
        if self.loc(v) != Loc::Flags || self.uses(v) > 1 {
            let reg = self.reg_or(v, RAX);
            self.asm.test(false, reg, reg);
            self.done(v);
            return Cc::NotEqual;
        }
        self.done(v);
        self.make_comparison(v)
    }

    fn make_comparison(&mut self, v: Value) -> Cc {
        let Inst::Compare { cond, ty, args: [a, b] } = self.block.insts[v.index()] else {
            unreachable!("only comparisons are put off");
        };
        self.places.put_off -= 1;
        let wide = ty == Type::I64;
        match self.immediate(b) {
            Some(0) => {
                let reg = self.reg_or(a, RAX);
                self.asm.test(wide, reg, reg);
            }
            Some(imm) => {
                let lhs = self.operand_of_type(a, ty, RAX);
                self.asm.alu_imm(Alu::Cmp, wide, lhs, imm);
            }
            None => {
                let lhs = self.reg_or(a, RAX);
                let rhs = self.operand(b, RCX);
                self.asm.alu(Alu::Cmp, wide, lhs, rhs);
            }
        }
        self.done(a);
        self.done(b);
        condition(cond)
    }

    /// As [`Lower::operand`], where only the type's own bytes would be read.
    fn operand_of_type(&mut self, v: Value, ty: Type, scratch: Reg) -> Rm {
        if ty.bytes() < 4 { self.reg_or(v, scratch).into() } else { self.operand(v, scratch) }
    }

    /// Makes a comparison that was put off, as a value.
    pub(super) fn materialize(&mut self, v: Value) -> Reg {
        let cc = self.make_comparison(v);
        self.asm.setcc(cc, RAX);
        self.set_loc(v, Loc::Nowhere);
        let to = self.result(v);
        self.asm.load(1, false, false, to, RAX);
        to
    }

    fn select(&mut self, at: Value, cond: Value, [a, b]: [Value; 2]) {
        if a == b {
            // Nothing would keep its register until the comparison has been made.
            self.done(a);
            self.take(at, b);
            self.flags(cond);
            return;
        }
        // The condition's operands may be `b`, whose register the result takes: compare last.
        let then = match self.constant(a) {
            Some(bits) => self.alloc_const(bits).into(),
            None => self.operand(a, RAX),
        };
        let to = self.take(at, b);
        let cc = self.flags(cond);
        self.asm.cmov(cc, to, then);
        self.done(a);
    }

    fn convert(&mut self, at: Value, op: ConvertOp, ty: Type, arg: Value) {
        let from = self.ty(arg);
        match op {
            ConvertOp::Zext | ConvertOp::Bitcast => {
                self.take(at, arg);
            }
            ConvertOp::Trunc => {
                let rm = self.operand(arg, RAX);
                self.done(arg);
                let to = self.result(at);
                self.asm.load(ty.bytes(), false, false, to, rm);
            }
            ConvertOp::Sext => {
                let rm = self.operand(arg, RAX);
                self.done(arg);
                let to = self.result(at);
                self.asm.load(from.bytes(), true, ty == Type::I64, to, rm);
                self.normalize(ty, to);
            }
            ConvertOp::Box => {
                let to = self.take(at, arg);
                self.asm.mov_imm(RAX, 0xffff_ffff_0000_0000);
                self.asm.alu(Alu::Or, true, to, RAX);
            }
            ConvertOp::Unbox => self.unbox(at, arg),
        }
    }

    /// The host address of a guest address with a displacement.
    pub(super) fn address(&mut self, addr: Value, offset: i32, scratch: Reg) -> Mem {
        if !self.confines(addr)
            && let Some(disp) = self.near(addr, offset)
        {
            return Mem::at(R15, disp);
        }
        self.indexed_address(addr, offset, scratch)
    }

    pub(super) fn confines(&self, addr: Value) -> bool {
        self.options.confine.is_some() && self.ty(addr) == Type::I64
    }

    /// The same, with the guest's address as the index.
    pub(super) fn indexed_address(&mut self, addr: Value, offset: i32, scratch: Reg) -> Mem {
        if self.confines(addr) {
            return self.confined_address(addr, offset, scratch);
        }
        let index = self.reg_or(addr, scratch);
        Mem::indexed(R15, index, offset)
    }

    /// A constant address that a displacement can be.
    fn near(&self, addr: Value, offset: i32) -> Option<i32> {
        let sum = self.constant(addr)?.checked_add_signed(offset.into())?;
        i32::try_from(sum).ok()
    }

    /// The same, kept from leading out of the guest's memory and the guard behind it: what would lead further goes to the
    /// guard and faults there, and the interpreter, which runs the instruction again, tells the true address.
    fn confined_address(&mut self, addr: Value, offset: i32, scratch: Reg) -> Mem {
        let last = self.options.confine.map_or(0, |size| size + CONFINED_SLACK);
        let small = offset.unsigned_abs() <= CONFINED_OFFSET;
        if self.constant(addr).is_some_and(|addr| small && addr < last) {
            return Mem::indexed(R15, self.reg_or(addr, scratch), offset);
        }
        let index = self.reg_or(addr, scratch);
        if !small {
            self.asm.lea(true, scratch, Mem::at(index, offset));
        } else if index != scratch {
            self.asm.mov(true, scratch, index);
        }
        self.asm.alu(Alu::Cmp, true, scratch, field(offset::CONFINED_LAST));
        self.asm.cmov(Cc::Above, scratch, field(offset::CONFINED_LAST));
        Mem::indexed(R15, scratch, if small { offset } else { 0 })
    }

    fn load(&mut self, at: Value, ty: Type, access: Access, addr: Value, offset: i32) {
        self.announce(AccessKind::Read, addr, offset, access.bytes);
        let mem = self.address(addr, offset, RAX);
        self.done(addr);
        let to = self.result(at);
        let signed = access.signed && access.bytes < ty.bytes();
        let swapped = access.big_endian && access.bytes > 1;
        self.trap();
        self.asm.load(access.bytes, signed && !swapped, ty == Type::I64, to, mem);
        if swapped {
            self.swap_bytes(access.bytes, to);
            if signed {
                self.asm.load(access.bytes, true, ty == Type::I64, to, to);
            }
        }
    }

    /// Reverses the low bytes; the others are zero afterwards.
    fn swap_bytes(&mut self, bytes: u8, reg: Reg) {
        self.asm.bswap(bytes == 8, reg);
        if bytes == 2 {
            self.asm.shift_imm(Shift::Shr, false, reg, 16);
        }
    }

    fn store(&mut self, access: Access, addr: Value, offset: i32, value: Value) {
        self.announce(AccessKind::Write, addr, offset, access.bytes);
        let mem = self.address(addr, offset, RCX);
        self.note_store(mem, access.bytes);
        let swapped = access.big_endian && access.bytes > 1;
        match self.immediate(value).filter(|_| !swapped && self.options.planted.is_none()) {
            Some(imm) => {
                self.trap();
                self.asm.store_imm(access.bytes, mem, imm);
            }
            None => {
                let mut from = self.reg_or(value, RAX);
                from = self.spoil_store(from);
                if swapped {
                    self.asm.mov(true, RAX, from);
                    from = RAX;
                    self.swap_bytes(access.bytes, from);
                }
                self.trap();
                self.asm.store(access.bytes, mem, from);
            }
        }
        self.done(addr);
        self.done(value);
    }
}

fn condition(cond: Cond) -> Cc {
    match cond {
        Cond::Eq => Cc::Equal,
        Cond::Ne => Cc::NotEqual,
        Cond::LtS => Cc::Less,
        Cond::LeS => Cc::LessEqual,
        Cond::GtS => Cc::Greater,
        Cond::GeS => Cc::GreaterEqual,
        Cond::LtU => Cc::Below,
        Cond::LeU => Cc::BelowEqual,
        Cond::GtU => Cc::Above,
        Cond::GeU => Cc::AboveEqual,
    }
}
