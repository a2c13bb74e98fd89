//! Every F and D instruction in every rounding mode, static and dynamic, on special and random operands: compiled code, the
//! interpreter and `emu_ir::eval` give the same bits and flags.
//!
//! `EMU_TEST_FLOATS` sets how many operands an instruction gets in all; they are shared out evenly to its modes.

mod common;

use common::asm::*;
use common::machine::{Machine, Way, map};
use common::random::Random;
use common::{env_number, guest};
use emu_frontend_riscv::config::ExtSet as E;
use emu_frontend_riscv::disasm::operands;
use emu_frontend_riscv::table::{InsnDef, table};
use emu_ir::eval::float::{self, CANONICAL_NAN_F32, FpEnv};
use emu_ir::{
    CpuState, Exit, FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, FpFlags, NanRule, Quietness, Round, Slot,
    Type,
};
use emu_machine::mem::Prot;

const CODE: u64 = 0x1_0000;
const INPUT: u64 = 0x10_0000;
const OUTPUT: u64 = 0x40_0000;
const ROOM: u64 = 0x10_0000;
const DEFAULT_OPERANDS: u64 = 100_000;

/// Operands of one execution: three registers' worth of bits. The first is the integer operand, too.
type Operands = [u64; 3];

/// The format in bits 26..25: single or double.
fn format(word: u32) -> Type {
    if word >> 25 & 3 == 0 { Type::F32 } else { Type::F64 }
}

/// What the op makes of a register: a single must be boxed.
fn operand(ty: Type, register: u64) -> u64 {
    match ty {
        Type::F32 if register >> 32 != 0xffff_ffff => CANONICAL_NAN_F32,
        Type::F32 => register & 0xffff_ffff,
        _ => register,
    }
}

fn boxed(ty: Type, bits: u64) -> u64 {
    if ty == Type::F32 { bits | 0xffff_ffff << 32 } else { bits }
}

/// What the instruction computes, by `emu_ir::eval`; `None` if it is not one that computes.
fn evaluate(def: &InsnDef, word: u32, round: Round, registers: Operands) -> Option<(u64, FpFlags)> {
    let env = FpEnv { round, nan: NanRule::Canonical };
    let ty = format(word);
    let [a, b, c] = registers.map(|r| operand(ty, r));
    let sign = 1 << (ty.bits() - 1);
    let (name, _) = def.name.rsplit_once('.').unwrap_or((def.name, ""));
    let binary = |op| float::binary(op, ty, env, a, b);
    let (bits, flags) = match name {
        "fadd" => binary(FloatBinaryOp::Add),
        "fsub" => binary(FloatBinaryOp::Sub),
        "fmul" => binary(FloatBinaryOp::Mul),
        "fdiv" => binary(FloatBinaryOp::Div),
        "fmin" => binary(FloatBinaryOp::MinNum),
        "fmax" => binary(FloatBinaryOp::MaxNum),
        "fsqrt" => float::unary(FloatUnaryOp::Sqrt, ty, env, a),
        "fmadd" => float::fma(ty, env, a, b, c),
        "fmsub" => float::fma(ty, env, a, b, c ^ sign),
        "fnmsub" => float::fma(ty, env, a ^ sign, b, c),
        "fnmadd" => float::fma(ty, env, a ^ sign, b, c ^ sign),
        "fsgnj" => (a & !sign | b & sign, FpFlags::NONE),
        "fsgnjn" => (a & !sign | !b & sign, FpFlags::NONE),
        "fsgnjx" => (a ^ b & sign, FpFlags::NONE),
        "feq" => return Some(compare(FloatCond::Eq, Quietness::Quiet, ty, a, b)),
        "flt" => return Some(compare(FloatCond::Lt, Quietness::Signaling, ty, a, b)),
        "fle" => return Some(compare(FloatCond::Le, Quietness::Signaling, ty, a, b)),
        "fclass" => return Some((float::classify(ty, NanRule::Canonical, a), FpFlags::NONE)),
        _ if name.starts_with("fcvt") => return Some(convert(def.name, env, registers)),
        _ => return None,
    };
    Some((boxed(ty, bits), flags))
}

fn compare(cond: FloatCond, quietness: Quietness, ty: Type, a: u64, b: u64) -> (u64, FpFlags) {
    let (holds, flags) = float::compare(cond, quietness, ty, NanRule::Canonical, a, b);
    (holds.into(), flags)
}

/// `fcvt.TO.FROM`.
fn convert(name: &str, env: FpEnv, registers: Operands) -> (u64, FpFlags) {
    let side = |letter| match letter {
        "s" => (Type::F32, false),
        "d" => (Type::F64, false),
        "w" => (Type::I32, true),
        "wu" => (Type::I32, false),
        "l" => (Type::I64, true),
        _ => (Type::I64, false),
    };
    let mut parts = name.split('.').skip(1).map(side);
    let ((to, to_signed), (from, from_signed)) = parts.next().zip(parts.next()).expect("fcvt.TO.FROM");
    let op = match (to.is_int(), from.is_int()) {
        (true, _) if to_signed => FloatConvertOp::ToIntS,
        (true, _) => FloatConvertOp::ToIntU,
        (_, true) if from_signed => FloatConvertOp::FromIntS,
        (_, true) => FloatConvertOp::FromIntU,
        _ => FloatConvertOp::Format,
    };
    let a = if from.is_int() { registers[0] & from.mask() } else { operand(from, registers[0]) };
    let (bits, flags) = float::convert(op, from, to, env, a);
    match to {
        // A 32-bit result is sign-extended, the unsigned one as well.
        Type::I32 => (bits as i32 as u64, flags),
        _ => (boxed(to, bits), flags),
    }
}

/// The instruction with ft0, ft1, ft2 and a1 as operands, ft3 and a0 as results.
fn encoding(def: &InsnDef, mode: u32) -> u32 {
    let mut word = def.pattern.value | if def.rounds { mode << 12 } else { 0 };
    for operand in operands(def) {
        let register = match operand.name {
            "rd" => A0.into(),
            "rs1" => A1.into(),
            "fd" => 3,
            "fs1" => 0,
            "fs2" => 1,
            "fs3" => 2,
            _ => continue,
        };
        word = operand.field.put(word, register);
    }
    word
}

/// A loop that gives the instruction one triple of operands after the other and stores result and flags.
fn program(def: &InsnDef, word: u32) -> Vec<u32> {
    let to_integer = operands(def).any(|o| o.name == "rd");
    let store = if to_integer { sd(A0, 0, S1) } else { fsd(3, 0, S1) };
    in_loop(&[csrw(FFLAGS, ZERO), word, csrr(A2, FFLAGS), store])
}

/// A loop around instructions that store a result and leave flags in a2.
fn in_loop(body: &[u32]) -> Vec<u32> {
    let mut code = vec![fld(0, 0, S0), fld(1, 8, S0), fld(2, 16, S0), ld(A1, 0, S0)];
    code.extend(body);
    code.extend([sd(A2, 8, S1), addi(S0, S0, 24), addi(S1, S1, 16), addi(T0, T0, -1)]);
    let back = -4 * code.len() as i64;
    code.extend([bne(T0, ZERO, back), ECALL]);
    code
}

fn random_operands(random: &mut Random, def: &InsnDef, word: u32, count: u64) -> Vec<Operands> {
    let from_integer = operands(def).any(|o| o.name == "rs1");
    let single = format(word) == Type::F32 && def.name != "fcvt.s.d" || def.name == "fcvt.d.s";
    let mut one = || match () {
        () if from_integer => random.integer(),
        () if single && !random.chance(2) => common::random::boxed(random.single()),
        () if single => random.float_register(),
        () => random.double(),
    };
    (0..count).map(|_| [one(), one(), one()]).collect()
}

/// Runs the loop; results and flags.
fn run(machine: &mut Machine, code: &[u32], mode: u32, inputs: &[Operands]) -> Vec<(u64, FpFlags)> {
    machine.load_code(CODE, &bytes(code));
    let flat: Vec<u8> = inputs.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    machine.memory.write_bytes(INPUT, &flat).unwrap();
    let mut start = CpuState { pc: CODE, fp_round: mode, ..CpuState::default() };
    for (reg, value) in [(S0, INPUT), (S1, OUTPUT), (T0, inputs.len() as u64)] {
        start.set(Slot(reg as u16), value);
    }
    let state = machine.run_from(&start, OUTPUT..OUTPUT + 16 * inputs.len() as u64);
    assert!(matches!(state.exit, Exit::Syscall { .. }), "{:?}: {:x?} at {:#x}", machine.way, state.exit, state.pc);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    state.memory.chunks(16).map(|pair| (number(&pair[..8]), FpFlags(pair[8]))).collect()
}

/// All modes of one instruction.
fn check(def: &InsnDef, machines: &mut [Machine], count: u64) {
    let modes: Vec<(u32, u32)> = match def.rounds {
        // Static with another mode in frm; dynamic.
        true => (0..5).flat_map(|m| [(m, (m + 1) % 5), (7, m)]).collect(),
        false => vec![(0, 0)],
    };
    for (field, frm) in &modes {
        let round = Round::ALL[if *field == 7 { *frm } else { *field } as usize];
        let word = encoding(def, *field);
        let mut random = Random::new(u64::from(word) << 3 | u64::from(*frm));
        let mut left = count.div_ceil(modes.len() as u64);
        while left > 0 {
            let part = left.min(10_000);
            left -= part;
            let inputs = random_operands(&mut random, def, word, part);
            let expected: Vec<_> = inputs.iter().map(|i| evaluate(def, word, round, *i)).collect();
            for machine in &mut *machines {
                let found = run(machine, &program(def, word), *frm, &inputs);
                let wrong = (0..inputs.len()).find(|i| expected[*i] != Some(found[*i]));
                if let Some(i) = wrong {
                    let (a, b) = (expected[i].expect("checked by the caller"), found[i]);
                    let name = format!("{} {round:?} (field {field}, frm {frm})", def.name);
                    panic!("{:?}: {name} of {:x?}: expected {a:x?}, found {b:x?}", machine.way, inputs[i]);
                }
            }
        }
    }
}

fn operand_count() -> u64 {
    env_number("EMU_TEST_FLOATS").unwrap_or(DEFAULT_OPERANDS)
}

fn machines() -> [Machine; 6] {
    let guest = guest("rv64gc");
    [Way::Plain, Way::Interp, Way::Quick, Way::Runs, Way::Jit, Way::Precise].map(|way| {
        let machine = Machine::new(way, &guest);
        map(&machine.memory, CODE, 0x1000, Prot::RX);
        map(&machine.memory, INPUT, ROOM, Prot::RW);
        map(&machine.memory, OUTPUT, ROOM, Prot::RW);
        machine
    })
}

fn check_all(needs: E) {
    let mut machines = machines();
    let count = operand_count();
    let computes = |def: &&InsnDef| evaluate(def, def.pattern.value, Round::NearestEven, [0; 3]).is_some();
    let list: Vec<_> = table().iter().filter(|d| d.needs == needs).filter(computes).collect();
    assert!(list.len() > 20);
    for def in list {
        check(def, &mut machines, count);
    }
}

#[test]
fn single() {
    check_all(E::F);
}

#[test]
fn double() {
    check_all(E::D);
}

/// A loop around a comparison that keeps the flags, as compilers write a quiet one: before it the flags are those in the first
/// operand's low bits and those of a sum.
fn quiet_program(sum: u32, compare: u32) -> Vec<u32> {
    in_loop(&[csrw(FFLAGS, A1), sum, csrr(A3, FFLAGS), compare, csrw(FFLAGS, A3), csrr(A2, FFLAGS), sd(A0, 0, S1)])
}

#[test]
fn comparisons_that_keep_the_flags() {
    let def = |name| table().iter().find(|d| d.name == name).expect("an instruction");
    let mut machines = machines();
    for (compare, sum) in [
        ("feq.s", "fadd.s"),
        ("flt.s", "fadd.s"),
        ("fle.s", "fadd.s"),
        ("feq.d", "fadd.d"),
        ("flt.d", "fadd.d"),
        ("fle.d", "fadd.d"),
    ] {
        let (compare, sum) = (def(compare), def(sum));
        // Into ft3, dynamically rounded.
        let (compare_word, sum_word) = (encoding(compare, 0), encoding(sum, 7));
        let mut random = Random::new(compare_word.into());
        let inputs = random_operands(&mut random, compare, compare_word, operand_count() / 10);
        let code = quiet_program(sum_word, compare_word);
        for machine in &mut machines {
            let found = run(machine, &code, 0, &inputs);
            for (registers, found) in inputs.iter().zip(found) {
                let round = Round::NearestEven;
                let (holds, _) = evaluate(compare, compare_word, round, *registers).expect("a comparison");
                let (_, raised) = evaluate(sum, sum_word, round, *registers).expect("a sum");
                let flags = FpFlags(registers[0] as u8 & 31) | raised;
                assert_eq!(found, (holds, flags), "{:?}: {} of {registers:x?}", machine.way, compare.name);
            }
        }
    }
}

#[test]
fn a_result_that_a_comparison_may_raise_for_is_used_after_it() {
    // fmul.d ft0, ft1, ft2; flt.d a0, ft3, ft0; fmv.d ft4, ft0; fsd ft0, 0(s0); ecall: the helper that the comparison
    // calls on a NaN takes the product in canonical form, and so do the copy and the store, without having called it.
    let words = [0x1220_f053, 0xa201_9553, 0x2200_0253, 0x0004_3027, ECALL];
    let (one, nan) = (1.0_f64.to_bits(), 0xfff8_0000_1234_5678_u64);
    for way in Way::ALL {
        let mut machine = Machine::new(way, &guest("rv64gc"));
        map(&machine.memory, CODE, 0x1000, Prot::RX);
        map(&machine.memory, OUTPUT, 0x1000, Prot::RW);
        machine.load_code(CODE, &bytes(&words));
        for (factor, product) in [(2.0_f64.to_bits(), 2.0_f64.to_bits()), (nan, 0x7ff8_0000_0000_0000)] {
            let cpu = machine.cpu_mut();
            cpu.pc = CODE;
            cpu.set(Slot(S0 as u16), OUTPUT);
            [one, factor, one].into_iter().zip(33..).for_each(|(bits, slot)| cpu.set(Slot(slot), bits));
            assert!(matches!(machine.run(), Exit::Syscall { .. }), "{way:?}");
            let cpu = machine.cpu();
            let found = [cpu.get(Slot(A0 as u16)), cpu.get(Slot(32)), cpu.get(Slot(36))];
            assert_eq!(found, [u64::from(factor != nan), product, product], "{way:?}");
            assert_eq!(machine.memory.read_u64(OUTPUT).unwrap(), product, "{way:?}");
        }
    }
}

#[test]
fn a_boxed_single_and_a_double_meet() {
    // beq a0, zero, 12; fsqrt.d ft0, ft1; j 8; fmul.s ft0, ft2, ft2; then, for both: fmv.d ft3, ft0; fmul.s ft4, ft0, ft2;
    // fsw ft4, 0(s0); ecall
    let words = [0x0005_0663, 0x5a00_f053, 0x0080_006f, 0x1021_7053, 0x2200_01d3, 0x1020_7253, 0x0044_2027, ECALL];
    let nan = CANONICAL_NAN_F32;
    let single = |x: f32| x.to_bits().into();
    let single_way = |x: f32, square: u64, cube: u64| (0, boxed(Type::F32, single(x)), boxed(Type::F32, square), cube);
    let double_way = |root: f64| (1, boxed(Type::F32, single(2.0)), root.to_bits(), nan);
    let snan = f32::from_bits(0x7f80_0001);
    let inputs = [single_way(2.0, single(4.0), single(8.0)), single_way(snan, nan, nan), double_way(3.0)];
    let of_nan = (1, boxed(Type::F32, single(2.0)), 0x7ff8_0000_0000_0000, nan);
    for way in Way::ALL {
        let mut machine = Machine::new(way, &guest("rv64gc"));
        map(&machine.memory, CODE, 0x1000, Prot::RX);
        map(&machine.memory, OUTPUT, 0x1000, Prot::RW);
        machine.load_code(CODE, &bytes(&words));
        for (choice, factor, copied, stored) in inputs.into_iter().chain([of_nan]) {
            let cpu = machine.cpu_mut();
            cpu.pc = CODE;
            let root_of = if copied == of_nan.2 { -1.0_f64 } else { 9.0 };
            cpu.set(Slot(A0 as u16), choice);
            cpu.set(Slot(S0 as u16), OUTPUT);
            cpu.set(Slot(33), root_of.to_bits());
            cpu.set(Slot(34), factor);
            assert!(matches!(machine.run(), Exit::Syscall { .. }), "{way:?}");
            let (ft0, ft3) = (machine.cpu().get(Slot(32)), machine.cpu().get(Slot(35)));
            assert_eq!((ft0, ft3), (copied, copied), "{way:?}: choice {choice}, {factor:#x}");
            assert_eq!(
                machine.memory.read_u32(OUTPUT).unwrap(),
                stored as u32,
                "{way:?}: choice {choice}, {factor:#x}"
            );
        }
    }
}

#[test]
fn the_operands_of_a_silent_comparison_are_used_after_it() {
    // frflags a1; flt.d a0, ft0, ft1; fsflags a1; fsub.d ft2, ft0, ft1; fmin.d ft3, ft0, ft1; fsd ft1, 0(s0); ecall
    let words = [0x0010_25f3, 0xa210_1553, 0x0015_9073, 0x0a10_7153, 0x2a10_01d3, 0x0014_3027, ECALL];
    let (nan, one, two) = (0x7ff8_0000_0000_0000_u64, 1.0_f64.to_bits(), 2.0_f64.to_bits());
    let minus_one = (-1.0_f64).to_bits();
    for way in Way::ALL {
        let mut machine = Machine::new(way, &guest("rv64gc"));
        map(&machine.memory, CODE, 0x1000, Prot::RX);
        map(&machine.memory, OUTPUT, 0x1000, Prot::RW);
        machine.load_code(CODE, &bytes(&words));
        for (a, b, expected) in [
            (one, two, [1, minus_one, one]),
            (nan, two, [0, nan, two]),
            (one, nan, [0, nan, one]),
            (nan, nan, [0, nan, nan]),
        ] {
            let cpu = machine.cpu_mut();
            cpu.pc = CODE;
            cpu.set(Slot(S0 as u16), OUTPUT);
            cpu.set(Slot(32), a);
            cpu.set(Slot(33), b);
            assert!(matches!(machine.run(), Exit::Syscall { .. }), "{way:?}");
            let cpu = machine.cpu();
            let found = [Slot(A0 as u16), Slot(34), Slot(35)].map(|slot| cpu.get(slot));
            assert_eq!(found, expected, "{way:?}: {a:#x}, {b:#x}");
            assert_eq!(machine.memory.read_u64(OUTPUT).unwrap(), b, "{way:?}: {a:#x}, {b:#x}");
        }
    }
}

/// glibc's `fmin` in a loop, then a quiet `flt`, in the format of bits 26..25: ft2 and a5 of ft0 and ft1; and `frflags a4` at the end.
fn loop_of_minima(format: u32) -> Vec<u32> {
    let fp = |word: u32| word | format << 25;
    vec![
        fp(0xe000_16d3), // fclass a3, ft0
        fp(0xe000_9753), // fclass a4, ft1
        or(A3, A3, A4),
        andi(A3, A3, 256),
        bne(A3, ZERO, 12),
        fp(0x2810_0153), // fmin ft2, ft0, ft1
        jal(ZERO, 8),
        fp(0x0010_7153), // fadd ft2, ft0, ft1
        csrr(A4, FFLAGS),
        fp(0xa010_17d3), // flt a5, ft0, ft1
        csrw(FFLAGS, A4),
        addi(A0, A0, -1),
        bne(A0, ZERO, -48),
        csrr(A4, FFLAGS),
        ECALL,
    ]
}

/// What a region takes its registers to hold at its entry, and looks at, may be otherwise.
#[test]
fn signalling_nans_in_registers_are_found() {
    let values = |ty: Type| match ty {
        Type::F32 => [0x7f80_0001_u64, 0xffbf_ffff, 0x7fc0_0000, 0xffc1_2345, 0x7f80_0000, 0xff80_0000, 0x3f80_0000, 0],
        _ => [
            0x7ff0_0000_0000_0001,
            0xfff7_ffff_ffff_ffff,
            0x7ff8_0000_0000_0000,
            0xfff8_0000_1234_5678,
            0x7ff0_0000_0000_0000,
            0xfff0_0000_0000_0000,
            0x3ff0_0000_0000_0000,
            0,
        ],
    };
    let env = FpEnv { round: Round::NearestEven, nan: NanRule::Canonical };
    for way in Way::ALL {
        let mut machine = Machine::new(way, &guest("rv64gc"));
        map(&machine.memory, CODE, 0x2000, Prot::RX);
        for (ty, format) in [(Type::F32, 0), (Type::F64, 1)] {
            let at = CODE + 0x1000 * u64::from(format);
            machine.load_code(at, &bytes(&loop_of_minima(format)));
            let pairs = values(ty).into_iter().flat_map(|a| values(ty).map(|b| (a, b)));
            for (a, b) in pairs {
                let signalling = [a, b].iter().any(|x| float::classify(ty, NanRule::Canonical, *x) == 1 << 8);
                let op = if signalling { FloatBinaryOp::Add } else { FloatBinaryOp::MinNum };
                let (result, flags) = float::binary(op, ty, env, a, b);
                let (less, _) = float::compare(FloatCond::Lt, Quietness::Quiet, ty, NanRule::Canonical, a, b);
                let cpu = machine.cpu_mut();
                cpu.pc = at;
                cpu.fp_flags = 0;
                cpu.set(Slot(A0 as u16), 100);
                cpu.set(Slot(32), boxed(ty, a));
                cpu.set(Slot(33), boxed(ty, b));
                assert!(matches!(machine.run(), Exit::Syscall { .. }), "{way:?}");
                let cpu = machine.cpu();
                let found = [34, A5 as u16, A4 as u16].map(|slot| cpu.get(Slot(slot)));
                assert_eq!(found, [boxed(ty, result), less.into(), flags.0.into()], "{way:?}, {ty}: {a:#x}, {b:#x}");
            }
        }
    }
}
