//! Conversions between integers and floating point, and from one format to the other.

use super::Lower;
use super::asm::*;
use crate::helpers::HelperCall;
use emu_ir::{FloatConvertOp, Round, Type, Value};

impl Lower<'_> {
    pub(super) fn float_convert(&mut self, at: Value, op: FloatConvertOp, to: Type, round: Round, arg: Value) {
        let from = self.ty(arg);
        let call = HelperCall::FloatConvert { op, from, to, round, nan: self.block.nan };
        let double = to == Type::F64;
        match op {
            FloatConvertOp::Format if double || round == Round::Dynamic => {
                self.load_xmm(&[arg]);
                self.asm.sse(0x5a, from == Type::F64, 0, 0);
                self.result_or_nan(at, to, call, &[arg]);
            }
            FloatConvertOp::FromIntS | FloatConvertOp::FromIntU
                if (round == Round::Dynamic || from == Type::I32 && double)
                    && (op == FloatConvertOp::FromIntS || from == Type::I32) =>
            {
                // An unsigned 32-bit integer is a signed one of 64 bits.
                let wide = from == Type::I64 || op == FloatConvertOp::FromIntU;
                let int = self.reg_or(arg, RAX);
                self.asm.int_to_float(double, wide, 0, int);
                self.done(arg);
                let reg = self.result(at);
                self.asm.movd_out(double, reg, 0);
            }
            FloatConvertOp::FromIntS if from == Type::I64 => self.exact_int(at, to, call, arg),
            FloatConvertOp::ToIntS if matches!(round, Round::TowardZero | Round::Dynamic) => {
                self.load_xmm(&[arg]);
                let wide = to == Type::I64;
                let truncates = round == Round::TowardZero;
                self.asm.float_to_int(truncates, from == Type::F64, wide, RAX, 0);
                // What does not fit gives the least integer; so does that integer itself.
                self.asm.mov_imm(RCX, 1 << (to.bits() - 1));
                self.asm.alu(Alu::Cmp, wide, RAX, RCX);
                let fits = self.asm.jcc(Cc::NotEqual);
                self.helper(call, &[arg]);
                self.asm.land(fits);
                self.done(arg);
                self.result_from(at, RAX);
            }
            // FMA3 comes with AVX, and that with SSE4.1's roundsd.
            FloatConvertOp::ToIntS if self.options.host_fma && round != Round::NearestAway => {
                self.round_to_int(at, to, round, call, arg);
            }
            _ => self.float_call(at, call, &[arg]),
        }
    }

    /// Rounded to an integer as the instruction says, where the result is sure to fit.
    fn round_to_int(&mut self, at: Value, to: Type, round: Round, call: HelperCall, arg: Value) {
        let from = self.ty(arg);
        let (double, wide) = (from == Type::F64, to == Type::I64);
        // From 2^52 on doubles are integral.
        let limit = if wide { 4_503_599_627_370_496.0 } else { f64::from(i32::MAX) };
        let limit = if double { limit.to_bits() } else { (limit as f32).to_bits().into() };
        self.load_xmm(&[arg]);
        self.copy(arg, RCX);
        // Without the sign.
        self.asm.alu(Alu::Add, double, RCX, RCX);
        self.asm.mov_imm(RAX, 2 * limit);
        self.asm.alu(Alu::Cmp, double, RCX, RAX);
        let other = self.asm.jcc(Cc::AboveEqual);
        let how = match round {
            Round::Down => Rounding::Down,
            Round::Up => Rounding::Up,
            _ => Rounding::Nearest,
        };
        self.asm.round(double, 0, 0, how);
        self.asm.float_to_int(true, double, wide, RAX, 0);
        self.or_call(at, other, call, &[arg]);
    }

    /// From an integer that both formats have: it is not rounded.
    fn exact_int(&mut self, at: Value, to: Type, call: HelperCall, arg: Value) {
        let double = to == Type::F64;
        let most = 1u64 << if double { 53 } else { 24 };
        let limit = self.alloc_const(2 * most);
        self.copy(arg, RAX);
        self.asm.mov_imm(RCX, most);
        self.asm.alu(Alu::Add, true, RCX, RAX);
        self.asm.alu(Alu::Cmp, true, RCX, limit);
        let other = self.asm.jcc(Cc::Above);
        self.asm.int_to_float(double, true, 0, RAX);
        self.asm.movd_out(double, RAX, 0);
        self.or_call(at, other, call, &[arg]);
    }
}
