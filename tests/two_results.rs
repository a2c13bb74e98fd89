//! What programs compute by two instructions and compiled code by one: both halves of a product, a sum and its carry.

mod common;

use common::asm::*;
use common::guest;
use common::machine::{Machine, Way, map};
use emu_ir::{Exit, Slot};
use emu_machine::mem::Prot;

const CODE: u64 = 0x1_0000;

/// Which half of a product of which kind: funct3 of `mul`, `mulh`, `mulhsu` and `mulhu`.
fn multiply(funct3: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
    0x0200_0033 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7
}

/// What the instruction computes of two registers of `xlen` bits.
fn half(funct3: u32, xlen: u32, a: u64, b: u64) -> u64 {
    let mask = u64::MAX >> (64 - xlen);
    let signed = |x: u64| i128::from((x << (64 - xlen)) as i64 >> (64 - xlen));
    let unsigned = |x: u64| i128::from(x & mask);
    let (a, b) = match funct3 {
        0 | 1 => (signed(a), signed(b)),
        2 => (signed(a), unsigned(b)),
        _ => (unsigned(a), unsigned(b)),
    };
    let product = a.wrapping_mul(b) as u128;
    let bits = if funct3 == 0 { product } else { product >> xlen };
    bits as u64 & mask
}

/// `sltu rd, rs1, rs2`
fn sltu(rd: u32, rs1: u32, rs2: u32) -> u32 {
    0x0000_3033 | rs2 << 20 | rs1 << 15 | rd << 7
}

const VALUES: [u64; 9] =
    [0, 1, 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1234_5678_9abc_def0, i64::MIN as u64, u64::MAX];

/// Runs the code, 40 times over, on all pairs of values in a0 and a1, with each engine: `expected` says what is in a2, a3 and a4 then.
fn check(code: &[u32], expected: impl Fn(u32, u64, u64) -> [u64; 3]) {
    let mut words = code.to_vec();
    words.extend([addi(T0, T0, -1), bne(T0, ZERO, -4 * (code.len() as i64 + 1)), ECALL]);
    for (processor, xlen) in [("rv64gc", 64), ("rv32gc", 32)] {
        let mask = u64::MAX >> (64 - xlen);
        for way in Way::ALL {
            let mut machine = Machine::new(way, &guest(processor));
            map(&machine.memory, CODE, 0x1000, Prot::RX);
            machine.load_code(CODE, &bytes(&words));
            for (a, b) in VALUES.iter().flat_map(|a| VALUES.map(|b| (a & mask, b & mask))) {
                let cpu = machine.cpu_mut();
                cpu.pc = CODE;
                for (reg, value) in [(A0, a), (A1, b), (T0, 40)] {
                    cpu.set(Slot(reg as u16), value);
                }
                assert!(matches!(machine.run(), Exit::Syscall { .. }), "{way:?}");
                let found = [A2, A3, A4].map(|reg| machine.cpu().get(Slot(reg as u16)));
                assert_eq!(found, expected(xlen, a, b), "{way:?}, {processor}: {words:x?} of {a:#x}, {b:#x}");
            }
        }
    }
}

#[test]
fn halves_of_products() {
    for [first, second] in [[0, 1], [1, 0], [0, 3], [3, 0], [2, 0], [1, 3]] {
        let code = [multiply(first, A2, A0, A1), multiply(second, A3, A0, A1), multiply(first, A4, A0, A1)];
        check(&code, |xlen, a, b| [first, second, first].map(|funct3| half(funct3, xlen, a, b)));
    }
}

#[test]
fn sums_and_carries() {
    let sum = |xlen: u32, a: u64, b: u64| a.wrapping_add(b) & u64::MAX >> (64 - xlen);
    for (operand, addend) in [(A0, A1), (A1, A0), (A0, A0)] {
        let code = [add(A2, operand, addend), sltu(A3, A2, A0), sltu(A4, A0, A2)];
        check(&code, |xlen, a, b| {
            let of = |reg| if reg == A0 { a } else { b };
            let sum = sum(xlen, of(operand), of(addend));
            [sum, u64::from(sum < a), u64::from(a < sum)]
        });
    }
    // The operand is another one by then, and the sum goes into a branch.
    let code =
        [add(A2, A0, A1), xor(A3, A0, A1), sltu(A4, A2, A3), sltu(A3, A2, A1), beq(A3, ZERO, 8), addi(A4, A4, 2)];
    check(&code, |xlen, a, b| {
        let sum = sum(xlen, a, b);
        let carry = u64::from(sum < b);
        [sum, carry, u64::from(sum < a ^ b) + 2 * carry]
    });
}
