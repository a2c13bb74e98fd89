//! Floating point: by SSE where its results and flags are the guest's, else by a call of `ir::eval`. Values are bits in
//! general-purpose registers, and NaNs are made canonical after each op.

use super::asm::*;
use super::regs::field;
use super::{Lower, Unsupported};
use crate::context::{FLAGS, FLAGS_OF_STICKY, STICKY, offset};
use crate::helpers::{HelperCall, canonical_nan, infinity};
use emu_ir::eval::float::CANONICAL_NAN_F32;
use emu_ir::{FloatBinaryOp, FloatCond, FloatUnaryOp, Inst, NanRule, Quietness, Round, Type, Value};

impl Lower<'_> {
    pub(super) fn float(&mut self, at: Value, inst: &Inst) -> Result<(), Unsupported> {
        match *inst {
            Inst::FloatUnary { op, ty, round, arg } => self.float_unary(at, op, ty, round, arg),
            Inst::FloatBinary { op, ty, round, args } => self.float_binary(at, op, ty, round, args),
            Inst::FloatFma { ty, round, args } => self.fused(at, ty, round, args),
            Inst::FloatCompare { cond, quietness, ty, args } => self.float_compare(at, cond, quietness, ty, args),
            Inst::FloatClass { ty, arg } => self.classify(at, ty, arg),
            Inst::FloatConvert { op, ty, round, arg } => self.float_convert(at, op, ty, round, arg),
            Inst::ReadFpFlags => self.read_flags(at),
            Inst::WriteFpFlags { value } => self.write_flags(value),
            _ => return Err(Unsupported),
        }
        Ok(())
    }

    /// Does SSE round so?
    fn inline_round(&self, round: Round) -> bool {
        round == Round::Dynamic
    }

    pub(super) fn float_call(&mut self, at: Value, call: HelperCall, args: &[Value]) {
        self.helper(call, args);
        args.iter().for_each(|v| self.done(*v));
        self.result_from(at, RAX);
    }

    /// Puts the values into xmm0 and so on.
    pub(super) fn load_xmm(&mut self, args: &[Value]) {
        for (xmm, v) in (0..).zip(args) {
            let wide = self.ty(*v).bytes() == 8;
            let from = self.operand(*v, RAX);
            self.asm.movd_in(wide, xmm, from);
        }
    }

    /// The result is in xmm0. If it is a NaN, the canonical one is meant, or by other rules what `call` gives.
    pub(super) fn result_or_nan(&mut self, at: Value, ty: Type, call: HelperCall, args: &[Value]) {
        if self.block.nan != NanRule::Canonical {
            return self.result_or_call(at, ty, call, args);
        }
        let wide = ty == Type::F64;
        args.iter().for_each(|v| self.done(*v));
        let to = self.result(at);
        self.asm.movd_out(wide, to, 0);
        self.asm.ucomis(wide, 0, 0);
        let number = self.asm.jcc(Cc::NoParity);
        self.asm.mov_imm(to, canonical_nan(ty));
        self.asm.land(number);
    }

    /// The result is in xmm0 if it is a number, else it is what the call gives.
    fn result_or_call(&mut self, at: Value, ty: Type, call: HelperCall, args: &[Value]) {
        let wide = ty == Type::F64;
        self.asm.movd_out(wide, RAX, 0);
        self.asm.ucomis(wide, 0, 0);
        let number = self.asm.jcc(Cc::NoParity);
        self.helper(call, args);
        self.asm.land(number);
        args.iter().for_each(|v| self.done(*v));
        self.result_from(at, RAX);
    }

    fn float_unary(&mut self, at: Value, op: FloatUnaryOp, ty: Type, round: Round, arg: Value) {
        let call = HelperCall::FloatUnary { op, ty, round, nan: self.block.nan };
        match op {
            FloatUnaryOp::Neg | FloatUnaryOp::Abs => {
                let to = self.take(at, arg);
                self.change_sign(op, ty, to);
            }
            FloatUnaryOp::NegNum | FloatUnaryOp::AbsNum => {
                self.load_xmm(&[arg]);
                self.copy(arg, RAX);
                self.change_sign(op, ty, RAX);
                self.asm.ucomis(ty == Type::F64, 0, 0);
                let number = self.asm.jcc(Cc::NoParity);
                self.helper(call, &[arg]);
                self.asm.land(number);
                self.done(arg);
                self.result_from(at, RAX);
            }
            FloatUnaryOp::Sqrt if self.inline_round(round) => {
                self.load_xmm(&[arg]);
                self.asm.sse(0x51, ty == Type::F64, 0, 0);
                self.result_or_nan(at, ty, call, &[arg]);
            }
            _ => self.float_call(at, call, &[arg]),
        }
    }

    /// Inverts or clears the sign. Changes rcx.
    fn change_sign(&mut self, op: FloatUnaryOp, ty: Type, reg: Reg) {
        let sign = 1 << (ty.bits() - 1);
        let inverts = matches!(op, FloatUnaryOp::Neg | FloatUnaryOp::NegNum);
        let (alu, mask) = if inverts { (Alu::Xor, sign) } else { (Alu::And, sign - 1) };
        self.asm.mov_imm(RCX, mask);
        self.asm.alu(alu, true, reg, RCX);
    }

    fn float_binary(&mut self, at: Value, op: FloatBinaryOp, ty: Type, round: Round, args: [Value; 2]) {
        let opcode = match op {
            FloatBinaryOp::Add => 0x58,
            FloatBinaryOp::Mul => 0x59,
            FloatBinaryOp::Sub => 0x5c,
            FloatBinaryOp::Div => 0x5e,
            FloatBinaryOp::CopySign => return self.copy_sign(at, ty, args),
            FloatBinaryOp::MinNum => return self.min_max(at, op, ty, 0x5d, args),
            FloatBinaryOp::MaxNum => return self.min_max(at, op, ty, 0x5f, args),
        };
        let call = HelperCall::FloatBinary { op, ty, round, nan: self.block.nan };
        if !self.inline_round(round) {
            return self.float_call(at, call, &args);
        }
        self.load_xmm(&args);
        self.asm.sse(opcode, ty == Type::F64, 0, 1);
        self.result_or_nan(at, ty, call, &args);
    }

    /// SSE's minimum or maximum is the guest's but for NaNs and zeros: equal operands take a call, too.
    fn min_max(&mut self, at: Value, op: FloatBinaryOp, ty: Type, opcode: u8, args: [Value; 2]) {
        let wide = ty == Type::F64;
        let call = HelperCall::FloatBinary { op, ty, round: Round::NearestEven, nan: self.block.nan };
        self.load_xmm(&args);
        self.asm.ucomis(wide, 0, 1);
        // Unordered ones are "equal" as well.
        let undecided = self.asm.jcc(Cc::Equal);
        self.asm.sse(opcode, wide, 0, 1);
        self.asm.movd_out(wide, RAX, 0);
        self.or_call(at, undecided, call, &args);
    }

    /// The result is in rax, or where the jump leads, what the call gives.
    pub(super) fn or_call(&mut self, at: Value, jump: Jump, call: HelperCall, args: &[Value]) {
        let end = self.asm.jmp();
        self.asm.land(jump);
        self.helper(call, args);
        self.asm.land(end);
        args.iter().for_each(|v| self.done(*v));
        self.result_from(at, RAX);
    }

    /// The class of a normal number; what else there is the call tells.
    fn classify(&mut self, at: Value, ty: Type, arg: Value) {
        let (wide, infinity) = (ty == Type::F64, infinity(ty));
        let normal = if wide { 0x0010_0000_0000_0000 } else { 0x0080_0000 };
        let negative = self.alloc_const(1 << 1);
        // Without the sign.
        self.copy(arg, RCX);
        self.asm.alu(Alu::Add, wide, RCX, RCX);
        self.asm.mov_imm(RAX, 2 * normal);
        self.asm.alu(Alu::Sub, wide, RCX, RAX);
        self.asm.mov_imm(RAX, 2 * (infinity - normal));
        self.asm.alu(Alu::Cmp, wide, RCX, RAX);
        let other = self.asm.jcc(Cc::AboveEqual);
        self.copy(arg, RCX);
        self.asm.mov_imm(RAX, 1 << 6);
        self.asm.alu_imm(Alu::Cmp, wide, RCX, 0);
        self.asm.cmov(Cc::Less, RAX, negative);
        self.or_call(at, other, HelperCall::Classify { ty, nan: self.block.nan }, &[arg]);
    }

    fn copy_sign(&mut self, at: Value, ty: Type, [magnitude, sign]: [Value; 2]) {
        let to = self.take(at, magnitude);
        self.copy(sign, RAX);
        self.done(sign);
        self.asm.mov_imm(RCX, (1 << (ty.bits() - 1)) - 1);
        self.asm.alu(Alu::And, true, to, RCX);
        self.asm.mov_imm(RCX, 1 << (ty.bits() - 1));
        self.asm.alu(Alu::And, true, RAX, RCX);
        self.asm.alu(Alu::Or, true, to, RAX);
    }

    /// A NaN result is computed again by the call: invalid is raised for infinity * 0 + quiet NaN, too.
    fn fused(&mut self, at: Value, ty: Type, round: Round, args: [Value; 3]) {
        let call = HelperCall::Fma { ty, round, nan: self.block.nan };
        if !self.inline_round(round) || !self.options.host_fma {
            return self.float_call(at, call, &args);
        }
        let wide = ty == Type::F64;
        self.load_xmm(&args);
        self.asm.fma(wide);
        self.result_or_call(at, ty, call, &args);
    }

    fn float_compare(&mut self, at: Value, cond: FloatCond, quietness: Quietness, ty: Type, args: [Value; 2]) {
        let call = HelperCall::FloatCompare { cond, quietness, ty, nan: self.block.nan };
        // Before a jump: later ops may count on the registers that the operands get.
        self.load_xmm(&args);
        let nan = match quietness {
            Quietness::Silent => Some(self.jump_if_nan(cond, args)),
            _ => None,
        };
        // `a < b` is "b above a", which is false for NaNs.
        let (a, b) = if matches!(cond, FloatCond::Lt | FloatCond::Le) { (1, 0) } else { (0, 1) };
        self.asm.ucomis(ty == Type::F64, a, b);
        // ucomis is quiet: on a NaN the helper raises what a signalling comparison raises. (And legacy NaNs are its own.)
        let helps = match quietness {
            Quietness::Silent => false,
            Quietness::Quiet => self.block.nan == NanRule::Legacy,
            Quietness::Signaling => true,
        };
        let unordered = helps.then(|| self.asm.jcc(Cc::Parity));
        match cond {
            FloatCond::Lt => self.asm.setcc(Cc::Above, RAX),
            FloatCond::Le => self.asm.setcc(Cc::AboveEqual, RAX),
            FloatCond::Unordered => self.asm.setcc(Cc::Parity, RAX),
            FloatCond::Eq => {
                self.asm.setcc(Cc::Equal, RAX);
                self.asm.setcc(Cc::NoParity, RCX);
                self.asm.alu(Alu::And, false, RAX, RCX);
            }
        }
        if let Some(unordered) = unordered {
            let end = self.asm.jmp();
            self.asm.land(unordered);
            self.helper(call, &args);
            self.asm.land(end);
        }
        nan.into_iter().flatten().for_each(|jump| self.asm.land(jump));
        args.iter().for_each(|v| self.done(*v));
        self.result_from(at, RAX);
    }

    /// Jumps where an operand is a NaN, with what the condition then is in rax. Raises nothing.
    fn jump_if_nan(&mut self, cond: FloatCond, args: [Value; 2]) -> [Jump; 2] {
        let limit = self.alloc_const(2 * infinity(self.ty(args[0])));
        self.asm.mov_imm(RAX, u64::from(cond == FloatCond::Unordered));
        args.map(|v| {
            let wide = self.ty(v) == Type::F64;
            self.copy(v, RCX);
            // Without the sign.
            self.asm.alu(Alu::Add, wide, RCX, RCX);
            self.asm.alu(Alu::Cmp, wide, RCX, limit);
            self.asm.jcc(Cc::Above)
        })
    }

    /// The accrued flags: those that are set aside and those in MXCSR.
    fn read_flags(&mut self, at: Value) {
        self.asm.stmxcsr(field(offset::MXCSR));
        self.asm.load(4, false, false, RAX, field(offset::MXCSR));
        self.asm.alu_imm(Alu::And, false, RAX, STICKY as i32);
        self.asm.mov_imm(RCX, FLAGS_OF_STICKY.as_ptr() as u64);
        self.asm.load(1, false, false, RAX, Mem::indexed(RCX, RAX, 0));
        self.asm.alu(Alu::Or, false, RAX, field(offset::FP_FLAGS));
        self.result_from(at, RAX);
    }

    /// Makes the accrued flags those of `value`.
    fn write_flags(&mut self, value: Value) {
        self.asm.stmxcsr(field(offset::MXCSR));
        self.asm.alu_imm(Alu::And, false, field(offset::MXCSR), !(STICKY as i32));
        self.asm.ldmxcsr(field(offset::MXCSR));
        self.copy(value, RAX);
        self.done(value);
        self.asm.alu_imm(Alu::And, false, RAX, FLAGS as i32);
        self.asm.store(4, field(offset::FP_FLAGS), RAX);
    }

    pub(super) fn unbox(&mut self, at: Value, arg: Value) {
        let to = self.take(at, arg);
        self.asm.mov(true, RAX, to);
        self.asm.mov(false, to, to);
        self.asm.shift_imm(Shift::Sar, true, RAX, 32);
        self.asm.mov_imm(RCX, CANONICAL_NAN_F32);
        self.asm.alu_imm(Alu::Cmp, true, RAX, -1);
        self.asm.cmov(Cc::NotEqual, to, RCX);
    }
}
