//! Every floating-point instruction of MIPS that rounds, compares or may raise something, in every rounding mode, with either
//! kind of NaNs, on special and random operands: the result, Cause and Flags are those that `emu_ir::eval` gives for what the
//! manual says, on every engine.
//!
//! `EMU_TEST_FLOATS` sets how many operands an instruction gets in all.

mod common;

use common::env_number;
use common::machine::{Machine, Way, map};
use common::random::Random;
use emu_frontend_mips::table::{InsnDef, table};
use emu_frontend_mips::{Config, Mips};
use emu_ir::eval::float::{self, FpEnv};
use emu_ir::{
    CpuState, Exit, FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, FpFlags, NanRule, Quietness, Round, Slot,
    Type,
};
use emu_machine::mem::Prot;
use std::sync::Arc;

const CODE: u64 = 0x1_0000;
const INPUT: u64 = 0x10_0000;
const OUTPUT: u64 = 0x40_0000;
const ROOM: u64 = 0x10_0000;
const DEFAULT_OPERANDS: u64 = 4000;
/// `FCSR.RM` and what it means.
const MODES: [Round; 4] = [Round::NearestEven, Round::TowardZero, Round::Up, Round::Down];

type Operands = [u64; 3];

/// A processor's ways with NaNs, and how it rounds now.
#[derive(Clone, Copy)]
struct Rules {
    env: FpEnv,
    abs2008: bool,
}

type Outcome = (u64, FpFlags);

fn type_of(letter: &str) -> Type {
    match letter {
        "s" => Type::F32,
        "d" => Type::F64,
        "w" => Type::I32,
        _ => Type::I64,
    }
}

fn is_nan(ty: Type, bits: u64) -> bool {
    let infinity = if ty == Type::F32 { 0x7f80_0000 } else { 0x7ff0_0000_0000_0000 };
    bits & (ty.mask() >> 1) > infinity
}

fn one(ty: Type) -> u64 {
    if ty == Type::F32 { 1f32.to_bits().into() } else { 1f64.to_bits() }
}

impl Rules {
    fn binary(self, op: FloatBinaryOp, ty: Type, a: u64, b: u64) -> Outcome {
        float::binary(op, ty, self.env, a, b)
    }

    /// ABS and NEG: the sign alone, or arithmetic.
    fn sign(self, ty: Type, a: u64, changed: u64) -> Outcome {
        if self.abs2008 || !is_nan(ty, a) {
            return (changed, FpFlags::NONE);
        }
        // A quiet NaN is what any other operation makes of it.
        (self.binary(FloatBinaryOp::Add, ty, a, one(ty)).0, FpFlags::NV)
    }

    /// The product is rounded, then the sum.
    fn multiply_add(self, op: FloatBinaryOp, ty: Type, [a, b, c]: Operands, flip: u64) -> Outcome {
        let (product, first) = self.binary(FloatBinaryOp::Mul, ty, a, b);
        let (sum, second) = self.binary(op, ty, product, c);
        (sum ^ flip, first | second)
    }

    /// The one of the smaller or larger magnitude.
    fn by_magnitude(self, op: FloatBinaryOp, ty: Type, a: u64, b: u64) -> Outcome {
        let (x, y) = (a & (ty.mask() >> 1), b & (ty.mask() >> 1));
        if is_nan(ty, a) || is_nan(ty, b) || x == y {
            return self.binary(op, ty, a, b);
        }
        (if (x < y) == (op == FloatBinaryOp::MinNum) { a } else { b }, FpFlags::NONE)
    }

    fn compare(self, ty: Type, condition: u32, a: u64, b: u64) -> (bool, FpFlags) {
        let quietness = if condition & 8 != 0 { Quietness::Signaling } else { Quietness::Quiet };
        let holds = |cond| float::compare(cond, quietness, ty, self.env.nan, a, b);
        let (unordered, flags) = holds(FloatCond::Unordered);
        let bits = [unordered, holds(FloatCond::Eq).0, holds(FloatCond::Lt).0];
        ((0..3).any(|bit| condition >> bit & 1 == 1 && bits[bit]), flags)
    }

    /// `cvt.TO.FROM`, or a rounding mode's name in the place of `cvt`.
    fn convert(self, name: &str, to: Type, from: Type, a: u64) -> Outcome {
        let round = match name {
            "round" => Round::NearestEven,
            "trunc" => Round::TowardZero,
            "ceil" => Round::Up,
            "floor" => Round::Down,
            _ => self.env.round,
        };
        let op = match (to.is_int(), from.is_int()) {
            (true, _) => FloatConvertOp::ToIntS,
            (_, true) => FloatConvertOp::FromIntS,
            _ => FloatConvertOp::Format,
        };
        float::convert(op, from, to, FpEnv { round, ..self.env }, a)
    }

    /// What the instruction computes; `None` if it is not one of these.
    fn evaluate(self, name: &str, registers: Operands) -> Option<(Type, Outcome)> {
        let parts: Vec<&str> = name.split('.').collect();
        let [name, formats @ ..] = &parts[..] else { return None };
        if let [to, from @ ("s" | "d" | "w" | "l")] = formats {
            let (to, from) = (type_of(to), type_of(from));
            return Some((to, self.convert(name, to, from, registers[0] & from.mask())));
        }
        let [format @ ("s" | "d")] = formats else { return None };
        let ty = type_of(format);
        let operands = registers.map(|r| r & ty.mask());
        self.arithmetic(name, ty, operands).map(|outcome| (ty, outcome))
    }

    fn arithmetic(self, name: &str, ty: Type, operands: Operands) -> Option<Outcome> {
        use FloatBinaryOp::*;
        let [a, b, c] = operands;
        let sign = 1 << (ty.bits() - 1);
        Some(match name {
            "add" => self.binary(Add, ty, a, b),
            "sub" => self.binary(Sub, ty, a, b),
            "mul" => self.binary(Mul, ty, a, b),
            "div" => self.binary(Div, ty, a, b),
            "sqrt" => float::unary(FloatUnaryOp::Sqrt, ty, self.env, a),
            "rint" => float::unary(FloatUnaryOp::RoundInt, ty, self.env, a),
            "recip" => self.binary(Div, ty, one(ty), a),
            "rsqrt" => {
                let (root, first) = float::unary(FloatUnaryOp::Sqrt, ty, self.env, a);
                let (result, second) = self.binary(Div, ty, one(ty), root);
                (result, first | second)
            }
            "abs" => self.sign(ty, a, a & !sign),
            "neg" => self.sign(ty, a, a ^ sign),
            "madd" => self.multiply_add(Add, ty, operands, 0),
            "msub" => self.multiply_add(Sub, ty, operands, 0),
            "nmadd" => self.multiply_add(Add, ty, operands, sign),
            "nmsub" => self.multiply_add(Sub, ty, operands, sign),
            "maddf" => float::fma(ty, self.env, a, b, c),
            "msubf" => float::fma(ty, self.env, if is_nan(ty, a) { a } else { a ^ sign }, b, c),
            "min" => self.binary(MinNum, ty, a, b),
            "max" => self.binary(MaxNum, ty, a, b),
            "mina" => self.by_magnitude(MinNum, ty, a, b),
            "maxa" => self.by_magnitude(MaxNum, ty, a, b),
            _ => return None,
        })
    }
}

/// The instruction on $f0, $f2 and $f4, with $f6 as the destination, and which condition it asks for.
fn encodings(guest: &Mips, def: &'static InsnDef) -> Vec<(u32, Option<u32>)> {
    let has = |place: &str| def.operands.split(", ").any(|o| o.ends_with(place));
    let places = [("_t", 2 << 16), ("_d", 6 << 6), ("_r", 4 << 21)];
    let word = places.iter().filter(|(name, _)| has(name)).fold(def.pattern.value, |word, (_, bits)| word | bits);
    if !def.name.contains("cond") {
        return vec![(word, None)];
    }
    let is_it = |word: &u32| guest.decode(*word).is_some_and(|found| std::ptr::eq(found, def));
    (0..32)
        .filter(|n| (word | n) != word || *n == 0)
        .map(|n| (word | n, Some(n)))
        .filter(|(word, _)| is_it(word))
        .collect()
}

/// A loop that gives the instruction one triple of operands after the other and stores the result and FCSR.
fn program(word: u32) -> Vec<u32> {
    vec![
        0xd600_0000, // ldc1 $f0, 0($s0)
        0xd602_0008, // ldc1 $f2, 8($s0)
        0xd604_0010, // ldc1 $f4, 16($s0)
        0xd606_0010, // ldc1 $f6, 16($s0)
        0x44c8_f800, // ctc1 $t0, $31
        word,
        0x4449_f800, // cfc1 $t1, $31
        0xf626_0000, // sdc1 $f6, 0($s1)
        0xae29_0008, // sw $t1, 8($s1)
        0x2610_0018, // addiu $s0, $s0, 24
        0x2631_0010, // addiu $s1, $s1, 16
        0x254a_ffff, // addiu $t2, $t2, -1
        0x1540_fff3, // bne $t2, $zero, the start
        0,
        0x0000_000c,
    ]
}

/// Runs the loop; each result with FCSR.
fn run(machine: &mut Machine, word: u32, mode: u32, inputs: &[Operands]) -> Vec<(u64, u32)> {
    let code: Vec<u8> = program(word).into_iter().flat_map(u32::to_le_bytes).collect();
    machine.load_code(CODE, &code);
    let flat: Vec<u8> = inputs.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    machine.memory.write_bytes(INPUT, &flat).unwrap();
    let mut start = CpuState { pc: CODE, ..CpuState::default() };
    for (reg, value) in [(16, INPUT), (17, OUTPUT), (10, inputs.len() as u64), (8, mode.into())] {
        start.set(Slot(reg), value);
    }
    let state = machine.run_from(&start, OUTPUT..OUTPUT + 16 * inputs.len() as u64);
    assert!(matches!(state.exit, Exit::Syscall { .. }), "{:?}: {:x?} at {:#x}", machine.way, state.exit, state.pc);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    state.memory.chunks(16).map(|pair| (number(&pair[..8]), number(&pair[8..]) as u32)).collect()
}

/// Result and FCSR of one execution; `None` if it is not an instruction that computes.
fn expected(rules: Rules, name: &str, condition: Option<u32>, mode: u32, inputs: Operands) -> Option<(Type, u64, u32)> {
    let fixed = u32::from(rules.abs2008) << 19 | u32::from(rules.env.nan == NanRule::Propagate) << 18 | mode;
    let fcsr = |flags: FpFlags| fixed | u32::from(flags.0) << 12 | u32::from(flags.0) << 2;
    let Some(condition) = condition else {
        let (ty, (bits, flags)) = rules.evaluate(name, inputs)?;
        return Some((ty, bits, fcsr(flags)));
    };
    let ty = if name.ends_with(".s") { Type::F32 } else { Type::F64 };
    let [a, b, c] = inputs.map(|v| v & ty.mask());
    let (holds, flags) = rules.compare(ty, condition, a, b);
    let holds = holds != (condition & 16 != 0 && name.starts_with("cmp"));
    if name.starts_with("cmp") {
        return Some((ty, if holds { ty.mask() } else { 0 }, fcsr(flags)));
    }
    Some((ty, c, fcsr(flags) | u32::from(holds) << 23))
}

fn operands(random: &mut Random, name: &str, count: u64) -> Vec<Operands> {
    let from = name.rsplit('.').next().map_or(Type::F64, type_of);
    let mut one = || match from {
        Type::F32 => u64::from(random.single()) | random.next() << 32,
        Type::F64 => random.double(),
        _ => random.integer(),
    };
    (0..count).map(|_| [one(), one(), one()]).collect()
}

/// All encodings and modes of one instruction.
fn check(guest: &Mips, def: &'static InsnDef, machines: &mut [Machine], count: u64) -> bool {
    let config = guest.config();
    let nan = if config.nan2008 { NanRule::Propagate } else { NanRule::Legacy };
    let encodings = encodings(guest, def);
    let share = count.div_ceil(encodings.len() as u64 * 4);
    for ((word, condition), mode) in encodings.iter().flat_map(|e| (0..4).map(move |mode| (*e, mode))) {
        let rules = Rules { env: FpEnv { round: MODES[mode as usize], nan }, abs2008: config.abs2008 };
        let condition = condition.map(|n| if def.name.starts_with("c.") { n & 15 } else { n });
        let inputs = operands(&mut Random::new(u64::from(word) << 2 | u64::from(mode)), def.name, share);
        let wanted: Option<Vec<_>> = inputs.iter().map(|i| expected(rules, def.name, condition, mode, *i)).collect();
        let Some(wanted) = wanted else { return false };
        for machine in &mut *machines {
            let found = run(machine, word, mode, &inputs);
            for ((input, (ty, bits, fcsr)), (register, control)) in inputs.iter().zip(&wanted).zip(found) {
                let same = register & ty.mask() == *bits && control == *fcsr;
                let name = format!("{} {word:08x} {:?} of {input:x?}", def.name, MODES[mode as usize]);
                assert!(same, "{:?}: {name}: expected {bits:x} {fcsr:x}, found {register:x} {control:x}", machine.way);
            }
        }
    }
    true
}

fn check_all(processor: &str, least: usize) {
    let guest = Arc::new(Mips::new(Config::parse(processor).unwrap()));
    let mut machines = [Way::Plain, Way::Interp, Way::Quick, Way::Runs, Way::Jit, Way::Precise].map(|way| {
        let machine = Machine::new(way, &guest);
        map(&machine.memory, CODE, 0x1000, Prot::RX);
        map(&machine.memory, INPUT, ROOM, Prot::RW);
        map(&machine.memory, OUTPUT, ROOM, Prot::RW);
        machine
    });
    let count = env_number("EMU_TEST_FLOATS").unwrap_or(DEFAULT_OPERANDS);
    let wide = guest.config().fr != emu_frontend_mips::FrMode::Pairs;
    let list = table().iter().filter(|d| d.raises && d.enabled(guest.config()) && (wide || !d.wide_fpu) && !d.paired);
    let checked = list.filter(|def| check(&guest, def, &mut machines, count)).count();
    assert!(checked >= least, "{checked} instructions");
}

#[test]
fn legacy_nans_in_pairs() {
    check_all("mips32r2", 30);
}

#[test]
fn legacy_nans() {
    check_all("mips64r2", 40);
}

#[test]
fn nan2008() {
    check_all("mips32r5,fr1,nan2008,abs2008", 40);
}

#[test]
fn nan2008_with_arithmetic_signs() {
    check_all("mips32r5,fr1,nan2008", 40);
}

#[test]
fn release_6() {
    check_all("mips64r6", 40);
}
