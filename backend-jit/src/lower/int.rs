//! Integer ops.

use super::{Lower, clif_type};
use crate::helpers::HelperCall;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, InstructionData, Opcode, Value as ClifValue, types};
use emu_ir::{BinaryOp, Cond, ConvertOp, Inst, Type, UnaryOp, Value};

/// Instructions of the block among which the other one of two is looked for that one operation does the work of.
const SOON: usize = 64;

/// A product of which both halves are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    args: [Value; 2],
    /// Whether signed.
    high: BinaryOp,
    low: ClifValue,
    upper: ClifValue,
}

impl Lower<'_> {
    pub(super) fn constant(&mut self, ty: Type, bits: u64) -> ClifValue {
        match ty {
            Type::F32 => self.b.ins().f32const(f32::from_bits(bits as u32)),
            Type::F64 => self.b.ins().f64const(f64::from_bits(bits)),
            int => self.b.ins().iconst(clif_type(int), bits as i64),
        }
    }

    pub(super) fn unary(&mut self, op: UnaryOp, arg: Value) -> ClifValue {
        let a = self.value(arg);
        let narrow = self.ty(arg) == Type::I8;
        let ins = self.b.ins();
        match op {
            UnaryOp::Not => ins.bnot(a),
            UnaryOp::Neg => ins.ineg(a),
            UnaryOp::Clz => ins.clz(a),
            UnaryOp::Ctz => ins.ctz(a),
            UnaryOp::Popcnt => ins.popcnt(a),
            UnaryOp::Bswap if narrow => a,
            UnaryOp::Bswap => ins.bswap(a),
            UnaryOp::Bitrev => ins.bitrev(a),
        }
    }

    pub(super) fn binary(&mut self, at: Value, op: BinaryOp, ty: Type, args: [Value; 2]) -> ClifValue {
        if let Some(half) = self.half_of_product(at, op, ty, args) {
            return half;
        }
        let (a, b) = (self.value(args[0]), self.value(args[1]));
        if op == BinaryOp::Add && self.wants_carry(at, ty, args) {
            let (sum, carry) = self.b.ins().uadd_overflow(a, b);
            self.cur.carries.push((at, args, carry));
            return sum;
        }
        let [a, b] = if op == BinaryOp::Add { self.sum_of_constants(a, b) } else { [a, b] };
        let ins = self.b.ins();
        match op {
            BinaryOp::Add => ins.iadd(a, b),
            BinaryOp::Sub => ins.isub(a, b),
            BinaryOp::Mul => ins.imul(a, b),
            BinaryOp::MulHiS => ins.smulhi(a, b),
            BinaryOp::MulHiU => ins.umulhi(a, b),
            BinaryOp::And => ins.band(a, b),
            BinaryOp::Or => ins.bor(a, b),
            BinaryOp::Xor => ins.bxor(a, b),
            BinaryOp::Shl => ins.ishl(a, b),
            BinaryOp::ShrU => ins.ushr(a, b),
            BinaryOp::ShrS => ins.sshr(a, b),
            BinaryOp::Rotl => ins.rotl(a, b),
            BinaryOp::Rotr => ins.rotr(a, b),
            BinaryOp::DivS | BinaryOp::RemS | BinaryOp::DivU | BinaryOp::RemU => self.divide(op, ty, a, b),
            BinaryOp::Clmul | BinaryOp::ClmulHi => {
                let wide = [self.bits64(args[0]), self.bits64(args[1])];
                let result = self.helper(HelperCall::Integer { op, ty }, &wide);
                self.value_of_bits(ty, result)
            }
        }
    }

    /// A half of a product that has both of them, where the other half is wanted, too: one multiplication makes both.
    fn half_of_product(&mut self, at: Value, op: BinaryOp, ty: Type, args: [Value; 2]) -> Option<ClifValue> {
        use BinaryOp::{Mul, MulHiS, MulHiU};
        if !matches!((op, ty), (Mul | MulHiS | MulHiU, Type::I32 | Type::I64)) {
            return None;
        }
        let known = self.cur.product.filter(|product| product.args == args && (op == Mul || product.high == op));
        let product = match known {
            Some(product) => product,
            None => {
                let high = self.wants_both(at, op, args)?;
                let (low, upper) = self.product(high, ty, args);
                *self.cur.product.insert(Product { args, high, low, upper })
            }
        };
        Some(match (op, ty) {
            (Mul, _) => product.low,
            (_, Type::I32) => self.narrow(at, product.upper),
            _ => product.upper,
        })
    }

    /// What soon follows the instruction in the block.
    fn later_insts(&self, at: Value) -> impl Iterator<Item = &'_ Inst> {
        self.block_insts()[at.index() + 1..].iter().take(SOON)
    }

    /// The operation for the upper half, if the block has both for these operands and this is the first.
    fn wants_both(&self, at: Value, op: BinaryOp, args: [Value; 2]) -> Option<BinaryOp> {
        self.later_insts(at).find_map(|inst| match *inst {
            Inst::Binary { op: other, args: others, .. } if others == args => match (op, other) {
                (BinaryOp::Mul, BinaryOp::MulHiS | BinaryOp::MulHiU) => Some(other),
                (BinaryOp::MulHiS | BinaryOp::MulHiU, BinaryOp::Mul) => Some(op),
                _ => None,
            },
            _ => None,
        })
    }

    /// The halves of a product: the lower, the upper; that of words in 64 bits.
    fn product(&mut self, high: BinaryOp, ty: Type, args: [Value; 2]) -> (ClifValue, ClifValue) {
        let whole = if ty == Type::I32 { types::I64 } else { types::I128 };
        let [a, b] = args.map(|v| match (high, ty) {
            (BinaryOp::MulHiU, Type::I32) => self.bits64(v),
            _ => {
                let value = self.value(v);
                let signed = high == BinaryOp::MulHiS;
                if signed { self.b.ins().sextend(whole, value) } else { self.b.ins().uextend(whole, value) }
            }
        });
        let product = self.b.ins().imul(a, b);
        if ty == Type::I64 {
            return self.b.ins().isplit(product);
        }
        (self.b.ins().ireduce(clif_type(ty), product), self.b.ins().ushr_imm_u(product, 32))
    }

    /// Is the sum compared with one of its operands, as programs do to have the carry?
    fn wants_carry(&self, at: Value, ty: Type, args: [Value; 2]) -> bool {
        let is_carry = |inst: &Inst| match *inst {
            Inst::Compare { cond: Cond::LtU, args: [sum, operand], .. } => sum == at && args.contains(&operand),
            _ => false,
        };
        matches!(ty, Type::I32 | Type::I64) && self.later_insts(at).any(is_carry)
    }

    /// The carry of a sum, where that is what is compared.
    fn carry(&self, cond: Cond, args: [Value; 2]) -> Option<ClifValue> {
        let is_it = |sum: &&(Value, [Value; 2], ClifValue)| sum.0 == args[0] && sum.1.contains(&args[1]);
        let sum = self.cur.carries.iter().find(is_it).filter(|_| cond == Cond::LtU)?;
        Some(sum.2)
    }

    /// Of `(x + c1) + c2` the operands `x` and `c1 + c2`: Cranelift makes one instruction of both additions, but puts a constant into a
    /// register for it. (Rounds of a loop count in this way.)
    fn sum_of_constants(&mut self, a: ClifValue, b: ClifValue) -> [ClifValue; 2] {
        let dfg = &self.b.func.dfg;
        let def = |v: ClifValue| dfg.value_def(v).inst().map(|inst| dfg.insts[inst]);
        let constant = |v: ClifValue| match def(v) {
            Some(InstructionData::UnaryImm { opcode: Opcode::Iconst, imm }) => Some(imm.bits()),
            _ => None,
        };
        let Some(InstructionData::Binary { opcode: Opcode::Iadd, args: [x, c1] }) = def(a) else { return [a, b] };
        let sum = constant(b).zip(constant(c1)).and_then(|(b, c1)| b.checked_add(c1));
        match sum.filter(|sum| i32::try_from(*sum).is_ok()) {
            Some(sum) => {
                let ty = dfg.value_type(a);
                [x, self.b.ins().iconst(ty, sum)]
            }
            None => [a, b],
        }
    }

    /// Division with the total definition of the IR: divisors 0 and, if signed, -1 take a cold path.
    fn divide(&mut self, op: BinaryOp, ty: Type, a: ClifValue, b: ClifValue) -> ClifValue {
        let signed = matches!(op, BinaryOp::DivS | BinaryOp::RemS);
        let ct = clif_type(ty);
        let (cold, hot, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let result = self.b.append_block_param(done, ct);
        let special = if signed {
            let one = self.b.ins().iconst(ct, 1);
            let shifted = self.b.ins().iadd(b, one);
            self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, shifted, one)
        } else {
            let zero = self.b.ins().iconst(ct, 0);
            self.b.ins().icmp(IntCC::Equal, b, zero)
        };
        self.b.ins().brif(special, cold, &[], hot, &[]);

        self.b.switch_to_block(cold);
        let value = self.special_quotient(op, ty, a, b);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);

        self.b.switch_to_block(hot);
        let value = match op {
            BinaryOp::DivS => self.b.ins().sdiv(a, b),
            BinaryOp::RemS => self.b.ins().srem(a, b),
            BinaryOp::DivU => self.b.ins().udiv(a, b),
            _ => self.b.ins().urem(a, b),
        };
        self.b.ins().jump(done, &[BlockArg::Value(value)]);
        self.b.switch_to_block(done);
        result
    }

    /// The results for a divisor of 0, or of -1 where the op is signed.
    fn special_quotient(&mut self, op: BinaryOp, ty: Type, a: ClifValue, b: ClifValue) -> ClifValue {
        let ct = clif_type(ty);
        let zero = self.b.ins().iconst(ct, 0);
        let by_zero = self.b.ins().icmp(IntCC::Equal, b, zero);
        match op {
            BinaryOp::DivU => self.b.ins().bnot(zero),
            BinaryOp::RemU => a,
            BinaryOp::DivS => {
                let (ones, negated) = (self.b.ins().bnot(zero), self.b.ins().ineg(a));
                self.b.ins().select(by_zero, ones, negated)
            }
            _ => self.b.ins().select(by_zero, a, zero),
        }
    }

    pub(super) fn compare(&mut self, cond: Cond, args: [Value; 2]) -> ClifValue {
        if let Some(carry) = self.carry(cond, args) {
            return carry;
        }
        // Sign extension keeps either order.
        let [a, b] = self.words(args).unwrap_or_else(|| args.map(|v| self.value(v)));
        let cc = match cond {
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::LtS => IntCC::SignedLessThan,
            Cond::LeS => IntCC::SignedLessThanOrEqual,
            Cond::GtS => IntCC::SignedGreaterThan,
            Cond::GeS => IntCC::SignedGreaterThanOrEqual,
            Cond::LtU => IntCC::UnsignedLessThan,
            Cond::LeU => IntCC::UnsignedLessThanOrEqual,
            Cond::GtU => IntCC::UnsignedGreaterThan,
            Cond::GeU => IntCC::UnsignedGreaterThanOrEqual,
        };
        self.b.ins().icmp(cc, a, b)
    }

    pub(super) fn select(&mut self, cond: Value, args: [Value; 2]) -> ClifValue {
        let (c, x, y) = (self.value(cond), self.clean(args[0]), self.clean(args[1]));
        self.b.ins().select(c, x, y)
    }

    pub(super) fn convert(&mut self, at: Value, op: ConvertOp, to: Type, arg: Value) -> ClifValue {
        let ct = clif_type(to);
        match op {
            ConvertOp::Zext if to == Type::I64 => self.bits64(arg),
            // A register's variable has 64 bits.
            ConvertOp::Zext if to == Type::I32 => {
                let wide = self.bits64(arg);
                self.narrow(at, wide)
            }
            ConvertOp::Trunc if let Some(low) = self.low_bits_of_single(at) => low,
            ConvertOp::Trunc if let Some(word) = self.cur.words[arg.index()] => match to {
                Type::I32 => word,
                _ => self.b.ins().ireduce(ct, word),
            },
            ConvertOp::Zext | ConvertOp::Sext | ConvertOp::Trunc => {
                let a = self.value(arg);
                match op {
                    ConvertOp::Zext => self.b.ins().uextend(ct, a),
                    ConvertOp::Sext => self.b.ins().sextend(ct, a),
                    _ => self.b.ins().ireduce(ct, a),
                }
            }
            ConvertOp::Bitcast
                if to == Type::F32
                    && let Some(single) = self.single_of_low_bits(arg) =>
            {
                single
            }
            ConvertOp::Bitcast => {
                let a = self.clean(arg);
                self.bitcast(to, a)
            }
            ConvertOp::Unbox => self.nan_unbox(at, arg),
            ConvertOp::Box => unreachable!("made when it is needed"),
        }
    }
}
