//! Floating-point ops: inline SSE where its results and flags are the guest's, else a call of `ir::eval`.
//!
//! While compiled code runs, MXCSR holds the guest's dynamic rounding mode and collects its flags.
//!
//! NaNs by the rules of MIPS are made by doing the ops again by calls, out of the way (`pending`). A result that is a number had
//! numbers for operands, and SSE's flags are right. With [`NanRule::Propagate`] they are right for NaNs, too, as far as they
//! go. With [`NanRule::Legacy`] SSE takes signalling NaNs for quiet ones and the reverse, so that each op that may raise
//! invalid ends in such a call, which takes SSE's flag back (`helpers`).

use super::{Lower, clif_type};
use crate::helpers::{HelperCall, canonical_nan, infinity};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    BlockArg, Endianness, InstBuilder, MemFlagsData, Type as ClifType, Value as ClifValue, types,
};
use emu_ir::{FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, Inst, NanRule, Quietness, Round, Type, Value};

/// How one vector type is seen as another: in memory's order.
pub(super) const LANES: MemFlagsData = MemFlagsData::new().with_endianness(Endianness::Little);

impl Lower<'_> {
    /// Is the op done by an SSE instruction (so that a NaN it makes is x86's)?
    pub(super) fn is_inline(&self, inst: &Inst) -> bool {
        match *inst {
            Inst::FloatUnary { round, .. } | Inst::FloatBinary { round, .. } => self.inline_round(round),
            Inst::FloatFma { .. } => false,
            Inst::FloatConvert { op: FloatConvertOp::Format, ty, round, .. } => {
                ty == Type::F64 || self.inline_round(round)
            }
            _ => true,
        }
    }

    /// Can SSE round so? Only as MXCSR says.
    fn inline_round(&self, round: Round) -> bool {
        round == Round::Dynamic
    }

    /// A result of SSE's, which may be a NaN of x86's: `call` makes that anew where NaNs have payloads.
    fn number_or_call(&mut self, result: ClifValue, call: HelperCall, ty: Type, args: &[Value]) -> ClifValue {
        if self.cur.nan != NanRule::Canonical {
            self.put_off(ty, call, args);
        }
        result
    }

    /// The value with any NaN made canonical.
    pub(super) fn clean(&mut self, v: Value) -> ClifValue {
        let value = self.value(v);
        if !self.cur.raw_values[v.index()] || self.cur.singles[v.index()].is_some() {
            return value;
        }
        let clean = self.canonical(self.ty(v), value);
        self.note_clean(v, clean);
        clean
    }

    /// `v` and the slots that hold it are `clean` from here on.
    pub(super) fn note_clean(&mut self, v: Value, clean: ClifValue) {
        if self.cur.aside {
            return;
        }
        self.cur.raw_values[v.index()] = false;
        let is_single = self.cur.singles[v.index()].is_some();
        let place = if is_single { &mut self.cur.singles } else { &mut self.cur.values };
        place[v.index()] = Some(clean);
        let (slots, others) = std::mem::take(&mut self.cur.raw_holders).into_iter().partition(|(_, value)| *value == v);
        self.cur.raw_holders = others;
        for (slot, _) in slots {
            let var = if is_single { self.single_var(slot) } else { self.vars[slot.index()].expect("declared").0 };
            self.b.def_var(var, clean);
            self.cur.raw_slots.remove(slot);
        }
    }

    /// `value`, or the canonical NaN if it is a NaN. The comparison can raise nothing: a result is never signalling.
    pub(super) fn canonical(&mut self, ty: Type, value: ClifValue) -> ClifValue {
        let bits = canonical_nan(ty);
        if self.cur.aside {
            let nan = self.constant(ty, bits);
            let is_nan = self.b.ins().fcmp(FloatCC::Unordered, value, value);
            return self.b.ins().select(is_nan, nan, value);
        }
        self.number_or(value, ty, |l| l.constant(ty, bits))
    }

    /// `value`, or what `otherwise` makes out of the way if it is a NaN.
    fn number_or(&mut self, value: ClifValue, ty: Type, otherwise: impl FnOnce(&mut Self) -> ClifValue) -> ClifValue {
        let number = self.b.ins().fcmp(FloatCC::Ordered, value, value);
        let (cold, done) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let result = self.b.append_block_param(done, clif_type(ty));
        self.b.ins().brif(number, done, &[BlockArg::Value(value)], cold, &[]);
        self.b.switch_to_block(cold);
        let before = std::mem::replace(&mut self.cur.aside, true);
        let other = otherwise(self);
        self.cur.aside = before;
        self.b.ins().jump(done, &[BlockArg::Value(other)]);
        self.b.switch_to_block(done);
        result
    }

    pub(super) fn call(&mut self, call: HelperCall, ty: Type, args: &[Value]) -> ClifValue {
        let args: Vec<ClifValue> = args
            .iter()
            .map(|a| {
                let value = self.argument(*a);
                self.bits64_of(self.ty(*a), value)
            })
            .collect();
        let bits = self.helper(call, &args);
        self.value_of_bits(ty, bits)
    }

    /// A value for a call. Out of the way a negation is made again: x86's multiplication with addition may have it in one instruction, and
    /// should not have to keep it as well.
    fn argument(&mut self, v: Value) -> ClifValue {
        match self.block_insts()[v.index()] {
            Inst::FloatUnary { op: FloatUnaryOp::Neg, arg, .. } if self.cur.aside => {
                let value = self.clean(arg);
                self.b.ins().fneg(value)
            }
            _ => self.clean(v),
        }
    }

    pub(super) fn float_unary(&mut self, at: Value, op: FloatUnaryOp, ty: Type, round: Round, arg: Value) -> ClifValue {
        let call = HelperCall::FloatUnary { op, ty, round, nan: self.cur.nan };
        match op {
            FloatUnaryOp::Neg => {
                // Arithmetic takes any NaN for another.
                let blind = self.cur.raw_values[arg.index()] && self.is_for_arithmetic(at);
                self.cur.raw_values[at.index()] = blind;
                let a = if blind { self.value(arg) } else { self.clean(arg) };
                self.b.ins().fneg(a)
            }
            FloatUnaryOp::Abs => {
                let a = self.clean(arg);
                self.b.ins().fabs(a)
            }
            FloatUnaryOp::NegNum | FloatUnaryOp::AbsNum => {
                let a = self.clean(arg);
                let number = self.b.ins().fcmp(FloatCC::Ordered, a, a);
                let hot = |l: &mut Self| if op == FloatUnaryOp::NegNum { l.b.ins().fneg(a) } else { l.b.ins().fabs(a) };
                self.hot_or_call(number, clif_type(ty), hot, |l| l.call(call, ty, &[arg]))
            }
            FloatUnaryOp::Sqrt if self.inline_round(round) => {
                let a = self.value(arg);
                let root = self.b.ins().sqrt(a);
                self.number_or_call(root, call, ty, &[arg])
            }
            _ => self.call(call, ty, &[arg]),
        }
    }

    /// Is the value used by arithmetic alone, of which NaNs come that are canonical or still to be made so?
    fn is_for_arithmetic(&self, v: Value) -> bool {
        use FloatBinaryOp::{Add, Div, Mul, Sub};
        let arithmetic =
            |inst: &Inst| matches!(inst, Inst::FloatFma { .. } | Inst::FloatBinary { op: Add | Sub | Mul | Div, .. });
        let mut users = self.block_insts()[v.index() + 1..].iter().filter(|inst| inst.args().any(|arg| arg == v));
        users.all(arithmetic)
    }

    pub(super) fn float_binary(&mut self, op: FloatBinaryOp, ty: Type, round: Round, args: [Value; 2]) -> ClifValue {
        if op == FloatBinaryOp::CopySign {
            let (a, b) = (self.clean(args[0]), self.clean(args[1]));
            return self.b.ins().fcopysign(a, b);
        }
        let arithmetic = !matches!(op, FloatBinaryOp::MinNum | FloatBinaryOp::MaxNum);
        if !arithmetic {
            return self.min_max(op, ty, args);
        }
        let call = HelperCall::FloatBinary { op, ty, round, nan: self.cur.nan };
        if !self.inline_round(round) {
            return self.call(call, ty, &args);
        }
        let (a, b) = (self.value(args[0]), self.value(args[1]));
        let ins = self.b.ins();
        let result = match op {
            FloatBinaryOp::Add => ins.fadd(a, b),
            FloatBinaryOp::Sub => ins.fsub(a, b),
            FloatBinaryOp::Mul => ins.fmul(a, b),
            _ => ins.fdiv(a, b),
        };
        self.number_or_call(result, call, ty, &args)
    }

    /// Minimum or maximum: a comparison where it decides; NaNs and equal operands (zeros) take a cold call.
    fn min_max(&mut self, op: FloatBinaryOp, ty: Type, args: [Value; 2]) -> ClifValue {
        let (a, b) = (self.value(args[0]), self.value(args[1]));
        let decided = self.b.ins().fcmp(FloatCC::OrderedNotEqual, a, b);
        let call = HelperCall::FloatBinary { op, ty, round: Round::NearestEven, nan: self.cur.nan };
        self.hot_or_call(
            decided,
            clif_type(ty),
            |l| {
                // In the order in which Cranelift knows minsd and maxsd.
                let [x, y] = if op == FloatBinaryOp::MinNum { [a, b] } else { [b, a] };
                let first = l.b.ins().fcmp(FloatCC::LessThan, x, y);
                l.b.ins().select(first, a, b)
            },
            |l| l.call(call, ty, &args),
        )
    }

    /// `a * b + c` in one rounding. Without knowing that the host has FMA3, and for the NaN rules, by call.
    pub(super) fn fma(&mut self, ty: Type, round: Round, args: [Value; 3]) -> ClifValue {
        let call = HelperCall::Fma { ty, round, nan: self.cur.nan };
        if !self.inline_round(round) || !self.options.host_fma {
            return self.call(call, ty, &args);
        }
        let [a, b, c] = args.map(|v| self.value(v));
        let result = self.b.ins().fma(a, b, c);
        if self.cur.nan != NanRule::Canonical {
            return self.number_or_call(result, call, ty, &args);
        }
        // RISC-V raises invalid for inf * 0 + quiet NaN, which x86 does not: NaN results are computed again.
        self.number_or(result, ty, |l| l.call(call, ty, &args))
    }

    pub(super) fn float_compare(
        &mut self,
        cond: FloatCond,
        quietness: Quietness,
        ty: Type,
        args: [Value; 2],
    ) -> ClifValue {
        let call = HelperCall::FloatCompare { cond, quietness, ty, nan: self.cur.nan };
        let [a, b] = match quietness {
            Quietness::Silent => args.map(|v| self.quieted(v)),
            _ => args.map(|v| self.value(v)),
        };
        let cc = match cond {
            FloatCond::Eq => FloatCC::Equal,
            FloatCond::Lt => FloatCC::LessThan,
            FloatCond::Le => FloatCC::LessThanOrEqual,
            FloatCond::Unordered => FloatCC::Unordered,
        };
        if quietness == Quietness::Silent || quietness == Quietness::Quiet && self.cur.nan != NanRule::Legacy {
            return self.b.ins().fcmp(cc, a, b);
        }
        // ucomisd is quiet: on a NaN the helper raises what a signalling comparison raises. (And legacy NaNs are its own.)
        let ordered = self.b.ins().fcmp(FloatCC::Ordered, a, b);
        self.hot_or_call(ordered, types::I8, |l| l.b.ins().fcmp(cc, a, b), |l| l.call(call, Type::I8, &args))
    }

    /// As `emu_ir::eval::float::classify`; what a NaN is the call tells.
    pub(super) fn classify(&mut self, ty: Type, arg: Value) -> ClifValue {
        let call = HelperCall::Classify { ty, nan: self.cur.nan };
        let (int, infinity) = (clif_type(ty.as_int()), infinity(ty) as i64);
        let normal = if ty == Type::F32 { 0x0080_0000 } else { 0x0010_0000_0000_0000 };
        let value = self.clean(arg);
        let bits = self.bitcast(ty.as_int(), value);
        let sign = self.b.ins().iconst(int, 1 << (ty.bits() - 1));
        let magnitude = self.b.ins().band_not(bits, sign);
        let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, bits, 0);
        let number = |l: &mut Self| {
            // Zero, subnormal, normal, infinity: mirrored around zero.
            let steps = [1, normal, infinity].map(|least| {
                let reached = l.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, magnitude, least);
                l.b.ins().uextend(types::I32, reached)
            });
            let some = l.b.ins().iadd(steps[0], steps[1]);
            let from_zero = l.b.ins().iadd(some, steps[2]);
            let (three, one) = (l.b.ins().iconst(types::I32, 3), l.b.ins().iconst(types::I32, 1));
            let below = l.b.ins().isub(three, from_zero);
            let above = l.b.ins().iadd_imm_s(from_zero, 4);
            let class = l.b.ins().select(negative, below, above);
            l.b.ins().ishl(one, class)
        };
        let other = |l: &mut Self| {
            let is_number = l.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, magnitude, infinity);
            l.hot_or_call(is_number, types::I32, number, |l| l.call(call, Type::I32, &[arg]))
        };
        let above = self.b.ins().iadd_imm_s(magnitude, -normal);
        let is_normal = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, above, infinity - normal);
        let usual = |l: &mut Self| {
            let (below, above) = (l.b.ins().iconst(types::I32, 1 << 1), l.b.ins().iconst(types::I32, 1 << 6));
            l.b.ins().select(negative, below, above)
        };
        self.hot_or_call(is_normal, types::I32, usual, other)
    }

    pub(super) fn float_convert(&mut self, op: FloatConvertOp, to: Type, round: Round, arg: Value) -> ClifValue {
        let from = self.ty(arg);
        let call = HelperCall::FloatConvert { op, from, to, round, nan: self.cur.nan };
        let ct = clif_type(to);
        match op {
            FloatConvertOp::Format if to == Type::F64 || round == Round::Dynamic => {
                let a = self.value(arg);
                let result = if to == Type::F64 { self.b.ins().fpromote(ct, a) } else { self.b.ins().fdemote(ct, a) };
                self.number_or_call(result, call, to, &[arg])
            }
            FloatConvertOp::FromIntS | FloatConvertOp::FromIntU
                if round == Round::Dynamic || from == Type::I32 && to == Type::F64 =>
            {
                let a = self.value(arg);
                match op {
                    FloatConvertOp::FromIntS => self.b.ins().fcvt_from_sint(ct, a),
                    _ => self.b.ins().fcvt_from_uint(ct, a),
                }
            }
            FloatConvertOp::FromIntS if from == Type::I64 => {
                // An integer that both formats have is not rounded.
                let most = 1i64 << if to == Type::F64 { 53 } else { 24 };
                let a = self.value(arg);
                let above = self.b.ins().iadd_imm_s(a, most);
                let exact = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, above, 2 * most);
                self.hot_or_call(exact, ct, |l| l.b.ins().fcvt_from_sint(ct, a), |l| l.call(call, to, &[arg]))
            }
            FloatConvertOp::ToIntS | FloatConvertOp::ToIntU if round == Round::TowardZero => {
                self.truncate(op, to, arg, call)
            }
            // FMA3 comes with AVX, and that with SSE4.1's roundsd.
            FloatConvertOp::ToIntS if self.options.host_fma && round != Round::NearestAway => {
                self.round_to_int(to, round, arg, call)
            }
            _ => self.call(call, to, &[arg]),
        }
    }

    /// Truncation by cvttsd2si, which raises the right flags, where its result is right; else by call.
    fn truncate(&mut self, op: FloatConvertOp, to: Type, arg: Value, call: HelperCall) -> ClifValue {
        let from = self.ty(arg);
        if op == FloatConvertOp::ToIntS && self.cur.nan == NanRule::Canonical {
            // What does not fit saturates; only NaNs do otherwise.
            let (ct, a) = (clif_type(to), self.value(arg));
            let number = self.b.ins().fcmp(FloatCC::Ordered, a, a);
            return self.hot_or_call(number, ct, |l| l.b.ins().fcvt_to_sint_sat(ct, a), |l| l.call(call, to, &[arg]));
        }
        if (op, from, to) == (FloatConvertOp::ToIntS, Type::F32, Type::I32) {
            return self.truncate_single(call, arg);
        }
        let a = self.clean(arg);
        let (low, high, wide) = truncation_range(op, to);
        let fits = self.in_range(from, a, low, high);
        let ct = clif_type(to);
        self.hot_or_call(
            fits,
            ct,
            |l| {
                let value = l.b.ins().fcvt_to_sint_sat(wide, a);
                if wide == ct { value } else { l.b.ins().ireduce(ct, value) }
            },
            |l| l.call(call, to, &[arg]),
        )
    }

    /// Truncation of a single to 32 bits: what does not fit becomes the least integer, and takes the call.
    fn truncate_single(&mut self, call: HelperCall, arg: Value) -> ClifValue {
        let a = self.clean(arg);
        let lanes = self.b.ins().scalar_to_vector(types::F32X4, a);
        let lanes = self.b.ins().x86_cvtt2dq(types::I32X4, lanes);
        let integer = self.b.ins().extractlane(lanes, 0);
        let fits = self.b.ins().icmp_imm_s(IntCC::NotEqual, integer, i64::from(i32::MIN));
        self.hot_or_call(fits, types::I32, |_| integer, |l| l.call(call, Type::I32, &[arg]))
    }

    /// Any other rounding to a signed integer: to an integral number first, where that is sure to fit.
    fn round_to_int(&mut self, to: Type, round: Round, arg: Value, call: HelperCall) -> ClifValue {
        let (from, a, ct) = (self.ty(arg), self.clean(arg), clif_type(to));
        // From here on, up to the largest number, doubles are integral; twice that for singles that have become doubles.
        let integral = 4_503_599_627_370_496.0;
        let limit = if to == Type::I32 { 2_147_483_647.0 } else { integral };
        let magnitude = self.b.ins().fabs(a);
        let bound = self.float_constant(from, limit);
        let fits = self.b.ins().fcmp(FloatCC::LessThan, magnitude, bound);
        self.hot_or_call(
            fits,
            ct,
            |l| {
                let wide = if from == Type::F32 { l.b.ins().fpromote(types::F64, a) } else { a };
                let rounded = match round {
                    Round::NearestEven => l.b.ins().nearest(wide),
                    Round::Up => l.b.ins().ceil(wide),
                    Round::Down => l.b.ins().floor(wide),
                    _ => {
                        // In the sum the last place is that of units, and it is rounded as MXCSR says. With the operand's sign
                        // it is so towards zero, too.
                        let large = l.float_constant(Type::F64, integral);
                        let large = l.b.ins().fcopysign(large, wide);
                        let sum = l.b.ins().fadd(wide, large);
                        l.b.ins().fsub(sum, large)
                    }
                };
                l.b.ins().fcvt_to_sint_sat(ct, rounded)
            },
            |l| l.call(call, to, &[arg]),
        )
    }

    fn float_constant(&mut self, ty: Type, x: f64) -> ClifValue {
        match ty {
            Type::F32 => self.b.ins().f32const(x as f32),
            _ => self.b.ins().f64const(x),
        }
    }

    /// `low < a < high`, false for NaN, as two comparisons that raise nothing for numbers.
    fn in_range(&mut self, ty: Type, a: ClifValue, low: f64, high: f64) -> ClifValue {
        let (low, high) = (self.float_constant(ty, low), self.float_constant(ty, high));
        let above = self.b.ins().fcmp(FloatCC::GreaterThan, a, low);
        let below = self.b.ins().fcmp(FloatCC::LessThan, a, high);
        self.b.ins().band(above, below)
    }

    /// `hot` if `fast` is not 0, else `cold` in a block out of the way; both give a value of type `ct`.
    pub(super) fn hot_or_call(
        &mut self,
        fast: ClifValue,
        ct: ClifType,
        hot: impl FnOnce(&mut Self) -> ClifValue,
        cold: impl FnOnce(&mut Self) -> ClifValue,
    ) -> ClifValue {
        let (hot_block, cold_block, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold_block);
        let before = std::mem::replace(&mut self.cur.aside, true);
        if before {
            // What is hot out of the way stays there.
            self.b.set_cold_block(hot_block);
            self.b.set_cold_block(done);
        }
        let result = self.b.append_block_param(done, ct);
        self.b.ins().brif(fast, hot_block, &[], cold_block, &[]);
        self.b.switch_to_block(cold_block);
        let value = cold(self);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);
        self.b.switch_to_block(hot_block);
        let value = hot(self);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);
        self.b.switch_to_block(done);
        self.cur.aside = before;
        result
    }
}

/// Open bounds between which truncation fits, and the signed integer type to truncate to. They are exact in both
/// formats, so what lies strictly between them fits; a few values at the edge take the call although they would.
fn truncation_range(op: FloatConvertOp, to: Type) -> (f64, f64, ClifType) {
    let two31 = 2_147_483_648.0;
    let two63 = 9_223_372_036_854_775_808.0;
    match (op, to) {
        (FloatConvertOp::ToIntS, Type::I32) => (-two31, two31, types::I32),
        (FloatConvertOp::ToIntS, _) => (-two63, two63, types::I64),
        (_, Type::I32) => (-1.0, 2.0 * two31, types::I64),
        (_, _) => (-1.0, two63, types::I64),
    }
}
