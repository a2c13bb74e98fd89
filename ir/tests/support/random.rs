//! Random blocks: well formed, with every kind of instruction, from a list of numbers (so that proptest can shrink them).

#![allow(dead_code)]

use emu_ir::*;

/// Registers and the type that each has.
pub(crate) const SLOTS: [(Slot, Type); 12] = [
    (Slot(0), Type::I64),
    (Slot(1), Type::I64),
    (Slot(2), Type::I64),
    (Slot(3), Type::I64),
    (Slot(4), Type::I32),
    (Slot(5), Type::I32),
    (Slot(6), Type::I16),
    (Slot(7), Type::I8),
    (Slot(8), Type::F64),
    (Slot(9), Type::F64),
    (Slot(10), Type::F32),
    (Slot(127), Type::I64),
];

/// The register that holds an address that can be accessed.
pub(crate) const ADDRESS: Slot = Slot(0);

const INTS: [Type; 4] = [Type::I8, Type::I16, Type::I32, Type::I64];
/// Names of store-conditionals, and what a reservation may be good for besides.
const SC_IDS: [ScId; 3] = [ScId::at(0x1000), ScId::at(0x2000), ScId::NONE];
const FLOATS: [Type; 2] = [Type::F32, Type::F64];
const CONSTANTS: [u64; 16] = [
    0,
    1,
    u64::MAX,
    32,
    8,
    16,
    31,
    48,
    63,
    0xff,
    0xffff,
    0xffff_ffff,
    0x8000_0000,
    0x7fff_ffff,
    0x8000_0000_0000_0000,
    0x3ff0_0000_3f80_0000,
];

/// Makes choices from a list of numbers; zeros after its end.
pub(crate) struct Choices<'a>(&'a [u32]);

impl Choices<'_> {
    fn next(&mut self) -> u32 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn flag(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// A block made from `choices`. Floating-point ops only with `floats`; helpers 0 and 1, which take up to three
/// arguments, only with `calls`.
pub(crate) fn block(choices: &[u32], floats: bool, calls: bool) -> Block {
    let key = BlockKey { pc: 0x1000, mode: 0 };
    let mut gen_ = Generator { b: Builder::new(key), c: Choices(choices), values: Vec::new(), floats, calls };
    let insns = 1 + gen_.c.below(8);
    for i in 0..insns {
        gen_.b.begin_insn(0x1000 + 4 * i as u64, 4);
        gen_.insn();
    }
    let term = gen_.terminator();
    gen_.b.finish(term)
}

/// One instruction that computes something deep from few registers: all ops pure, each mostly from the one before.
pub(crate) fn expression(choices: &[u32], floats: bool) -> Block {
    let b = Builder::new(BlockKey { pc: 0x1000, mode: 0 });
    let mut gen_ = Generator { b, c: Choices(choices), values: Vec::new(), floats, calls: false };
    gen_.b.begin_insn(0x1000, 4);
    for _ in 0..3 + gen_.c.below(6) {
        let value = match gen_.c.below(8) {
            0..=2 => gen_.binary(),
            3 | 4 => gen_.convert(),
            5 => gen_.idiom(),
            6 => gen_.widened_bool(),
            _ if gen_.c.flag() => gen_.unary(),
            _ => gen_.select(),
        };
        gen_.values.push(value);
    }
    let last = *gen_.values.last().expect("at least three");
    let ty = gen_.b.ty(last);
    let (slot, _) = *SLOTS.iter().rev().find(|s| s.1 == ty).expect("a register of each type");
    gen_.b.set(slot, last);
    let flag = match gen_.b.ty(last) {
        Type::I8 if gen_.c.flag() => last,
        _ => gen_.bool(),
    };
    gen_.b.finish(Terminator::Branch { cond: flag, taken: 0x3000, next: 0x2000 })
}

struct Generator<'a> {
    b: Builder,
    c: Choices<'a>,
    values: Vec<Value>,
    floats: bool,
    calls: bool,
}

impl Generator<'_> {
    fn insn(&mut self) {
        for _ in 0..self.c.below(5) {
            let value = self.inst();
            self.values.extend(value);
        }
        for _ in 0..self.c.below(4) {
            let (slot, ty) = self.c.of(&SLOTS);
            if slot != ADDRESS || self.c.below(8) == 0 {
                let value = self.value(ty);
                self.b.set(slot, value);
            }
        }
    }

    /// Some value of the type: mostly a recent one.
    fn value(&mut self, ty: Type) -> Value {
        let old: Vec<Value> = self.values.iter().rev().copied().filter(|v| self.b.ty(*v) == ty).take(6).collect();
        if !old.is_empty() && self.c.below(4) != 0 {
            return if self.c.flag() { old[0] } else { self.c.of(&old) };
        }
        let slots: Vec<Slot> = SLOTS.iter().filter(|s| s.1 == ty).map(|s| s.0).collect();
        if self.c.flag() {
            let slot = self.c.of(&slots);
            self.b.get(ty, slot)
        } else {
            let bits = self.c.of(&CONSTANTS);
            let bits = if self.c.below(4) == 0 { u64::from(self.c.next()).wrapping_mul(0x1_0001_0001) } else { bits };
            self.b.push(Inst::Const { ty, bits: bits & ty.mask() })
        }
    }

    fn values2(&mut self, ty: Type) -> [Value; 2] {
        [self.value(ty), self.value(ty)]
    }

    fn int(&mut self) -> Type {
        self.c.of(&[Type::I64, Type::I32, Type::I64, Type::I32, Type::I8, Type::I16])
    }

    fn bool(&mut self) -> Value {
        if self.floats && self.c.below(4) == 0 {
            let [a, b] = self.values2(Type::F64);
            return self.b.float_compare(self.c.of(&FloatCond::ALL), self.c.of(&Quietness::ALL), a, b);
        }
        let (cond, ty) = (self.c.of(&Cond::ALL), self.int());
        let [a, b] = self.values2(ty);
        self.b.compare(cond, a, b)
    }

    fn address(&mut self) -> Value {
        let base = self.b.get(Type::I64, ADDRESS);
        match self.c.below(8) {
            0 => self.value(Type::I64),
            1 => self.value(Type::I32),
            2 => self.b.trunc(Type::I32, base),
            3 => base,
            _ => {
                let offset = self.b.iconst(Type::I64, 0);
                let offset = if self.c.flag() { offset } else { self.value(Type::I64) };
                let mask = self.b.iconst(Type::I64, 0x18);
                let offset = self.b.and(offset, mask);
                self.b.add(base, offset)
            }
        }
    }

    fn offset(&mut self) -> i32 {
        self.c.of(&[0, 8, -8, 3, i32::MAX, i32::MIN])
    }

    fn access(&mut self, ty: Type) -> Access {
        let bytes =
            if ty.is_float() { ty.bytes() } else { ty.bytes() >> self.c.below(4).min(ty.bytes().ilog2() as usize) };
        Access { bytes, signed: ty.is_int() && self.c.flag(), big_endian: self.c.below(4) == 0 }
    }

    fn inst(&mut self) -> Option<Value> {
        match self.c.below(if self.floats { 24 } else { 16 }) {
            0..=5 => Some(self.binary()),
            6 | 7 => Some(self.convert()),
            8 => Some(self.unary()),
            9 => Some(self.bool()),
            10 => Some(self.select()),
            11 => Some(self.idiom()),
            12 => Some(self.load()),
            13 => self.store(),
            14 => self.rare(),
            15 => Some(self.widened_bool()),
            _ => Some(self.float()),
        }
    }

    fn binary(&mut self) -> Value {
        use BinaryOp::*;
        let common = [Add, Sub, And, Or, Xor, Shl, ShrU, ShrS];
        let op = if self.c.below(3) != 0 { self.c.of(&common) } else { self.c.of(&BinaryOp::ALL) };
        let ty = self.int();
        let [a, b] = self.values2(ty);
        self.b.binary(op, a, b)
    }

    fn convert(&mut self) -> Value {
        let (from, to) = (self.int(), self.int());
        let arg = self.value(from);
        match (from.bits().cmp(&to.bits()), self.c.flag()) {
            (std::cmp::Ordering::Greater, _) => self.b.trunc(to, arg),
            (_, true) => self.b.sext(to, arg),
            _ => self.b.zext(to, arg),
        }
    }

    fn unary(&mut self) -> Value {
        let (op, ty) = (self.c.of(&UnaryOp::ALL), self.c.of(&INTS));
        let arg = self.value(ty);
        self.b.unary(op, arg)
    }

    fn select(&mut self) -> Value {
        let (cond, ty) = (self.bool(), self.int());
        let [a, b] = self.values2(ty);
        self.b.select(cond, a, b)
    }

    fn widened_bool(&mut self) -> Value {
        let (flag, ty) = (self.bool(), self.c.of(&[Type::I32, Type::I64]));
        let wide = self.b.zext(ty, flag);
        let bit = self.b.iconst(ty, i64::from(self.c.flag()));
        match self.c.below(4) {
            0 => self.b.xor(wide, bit),
            1 => self.b.compare(Cond::Eq, wide, bit),
            2 => self.b.compare(Cond::Ne, wide, bit),
            _ => wide,
        }
    }

    /// What compilers write for a rotation, an extension, a 32-bit operation.
    fn idiom(&mut self) -> Value {
        let ty = self.c.of(&[Type::I32, Type::I64]);
        let (x, amount) = (self.value(ty), self.value(ty));
        let n = self.b.iconst(ty, [32, 8, 16, 48, 24, 1, 56][self.c.below(7)]);
        match self.c.below(4) {
            0 => {
                let zero = self.b.iconst(ty, 0);
                let negated = self.b.sub(zero, amount);
                let (left, right) =
                    (self.b.binary(BinaryOp::Shl, x, amount), self.b.binary(BinaryOp::ShrU, x, negated));
                let op = self.c.of(&[BinaryOp::Or, BinaryOp::Xor, BinaryOp::Add]);
                self.b.binary(op, right, left)
            }
            1 => {
                let width = self.b.iconst(ty, ty.bits().into());
                let rest = self.b.sub(width, n);
                let (left, right) = (self.b.binary(BinaryOp::Shl, x, n), self.b.binary(BinaryOp::ShrU, x, rest));
                let (left, right) = (self.b.sext(Type::I64, left), self.b.sext(Type::I64, right));
                self.b.or(left, right)
            }
            2 => {
                let left = self.b.binary(BinaryOp::Shl, x, n);
                let m = self.b.iconst(ty, [32, 8, 16, 48, 24, 1, 56][self.c.below(7)]);
                let op = self.c.of(&[BinaryOp::ShrU, BinaryOp::ShrS]);
                self.b.binary(op, left, m)
            }
            _ => {
                let (wide, other) = (self.value(Type::I64), self.value(Type::I64));
                let (a, b) = (self.b.trunc(Type::I32, wide), self.b.trunc(Type::I32, other));
                let op = self.c.of(&[BinaryOp::Add, BinaryOp::Sub, BinaryOp::Shl, BinaryOp::ShrS]);
                let narrow = self.b.binary(op, a, b);
                self.values.push(narrow);
                self.b.sext(Type::I64, narrow)
            }
        }
    }

    /// May anything that faults be put here? Not after a `Set` of the same instruction; those come last.
    fn load(&mut self) -> Value {
        let addr = self.address();
        let ty = if self.c.below(8) == 0 { self.c.of(&FLOATS) } else { self.int() };
        let (access, offset) = (self.access(ty), self.offset());
        self.b.load(ty, access, addr, offset)
    }

    fn store(&mut self) -> Option<Value> {
        let addr = self.address();
        let ty = self.int();
        let (access, offset, value) = (self.access(ty), self.offset(), self.value(ty));
        self.b.store(access, addr, offset, value);
        None
    }

    fn rare(&mut self) -> Option<Value> {
        let addr = self.address();
        let ty = self.c.of(&[Type::I32, Type::I64]);
        let [value, new] = self.values2(ty);
        let inst = match self.c.below(if self.calls { 9 } else { 8 }) {
            0 => Inst::AtomicRmw { op: self.c.of(&AtomicOp::ALL), ty, addr, value },
            1 => Inst::AtomicCas { ty, addr, expected: value, new },
            2 => Inst::LoadReserved { ty, addr, id: self.c.of(&SC_IDS) },
            3 => Inst::StoreConditional { ty, addr, value, id: self.c.of(&SC_IDS[..2]) },
            4 => Inst::Fence { kind: self.c.of(&FenceKind::ALL) },
            5 => Inst::ReadFpFlags,
            6 if self.c.below(2) == 0 => Inst::LeaveIf { cond: self.bool(), target: 0x7ff0 },
            6 => Inst::TrapIf { cond: self.bool(), kind: TrapKind::Conditional { code: 7 } },
            7 => Inst::WriteFpFlags { value: self.value(Type::I32) },
            _ => {
                let (helper, count) = (HelperId(self.c.below(2) as u16), self.c.below(4));
                return Some(self.b.call(helper, Type::I64, &[value, new, addr][..count]));
            }
        };
        let value = self.b.push(inst);
        inst.result().map(|_| value)
    }

    fn float(&mut self) -> Value {
        let (ty, round) = (self.c.of(&FLOATS), self.c.of(&Round::ALL));
        let [a, b] = self.values2(ty);
        match self.c.below(9) {
            0 => self.b.float_unary(self.c.of(&FloatUnaryOp::ALL), round, a),
            1 | 2 => self.b.float_binary(self.c.of(&FloatBinaryOp::ALL), round, a, b),
            3 => {
                let c = self.value(ty);
                self.b.fma(round, a, b, c)
            }
            4 => self.b.float_compare(self.c.of(&FloatCond::ALL), self.c.of(&Quietness::ALL), a, b),
            5 => self.b.push(Inst::FloatClass { ty, arg: a }),
            6 => self.float_convert(ty, round, a),
            7 => self.b.convert(ConvertOp::Bitcast, ty.as_int(), a),
            _ => {
                let single = self.value(Type::F32);
                let boxed = self.b.convert(ConvertOp::Box, Type::F64, single);
                if self.c.flag() { boxed } else { self.b.convert(ConvertOp::Unbox, Type::F32, boxed) }
            }
        }
    }

    fn float_convert(&mut self, ty: Type, round: Round, a: Value) -> Value {
        use FloatConvertOp::*;
        let int = self.c.of(&[Type::I32, Type::I64]);
        match self.c.of(&FloatConvertOp::ALL) {
            op @ (ToIntS | ToIntU) => self.b.float_convert(op, int, round, a),
            op @ (FromIntS | FromIntU) => {
                let from = self.value(int);
                self.b.float_convert(op, ty, round, from)
            }
            Format => {
                let other = if ty == Type::F32 { Type::F64 } else { Type::F32 };
                self.b.float_convert(Format, other, round, a)
            }
        }
    }

    fn terminator(&mut self) -> Terminator {
        let next = 0x2000;
        match self.c.below(7) {
            0 => Terminator::Jump { target: next, kind: JumpKind::Plain },
            1 | 2 => {
                let flag = self.bool();
                let cond = if self.c.flag() { flag } else { self.widened_bool() };
                let cond = if self.b.ty(cond) == Type::I8 { cond } else { flag };
                Terminator::Branch { cond, taken: 0x3000, next }
            }
            3 => Terminator::Indirect { target: self.address(), kind: IndirectKind::Jump },
            4 => Terminator::Syscall { next },
            5 => Terminator::ExitTo { kind: ExitKind::Yield, target: self.address() },
            _ => Terminator::Exit { kind: ExitKind::Yield, next },
        }
    }
}
