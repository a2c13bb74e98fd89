//! Both halves of a product, by two instructions on the same registers in either order, of which compiled code makes one.

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

#[test]
fn halves_of_products() {
    let values = [0, 1, 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1234_5678_9abc_def0, i64::MIN as u64, u64::MAX];
    let orders = [[0, 1], [1, 0], [0, 3], [3, 0], [2, 0], [1, 3]];
    for (processor, xlen) in [("rv64gc", 64), ("rv32gc", 32)] {
        let mask = u64::MAX >> (64 - xlen);
        for way in Way::ALL {
            let mut machine = Machine::new(way, &guest(processor));
            map(&machine.memory, CODE, 0x1000, Prot::RX);
            for order in orders {
                let [first, second] = order;
                machine.load_code(
                    CODE,
                    &bytes(&[
                        multiply(first, A2, A0, A1),
                        multiply(second, A3, A0, A1),
                        multiply(first, A4, A0, A1),
                        addi(T0, T0, -1),
                        bne(T0, ZERO, -16),
                        ECALL,
                    ]),
                );
                for (a, b) in values.iter().flat_map(|a| values.map(|b| (a & mask, b & mask))) {
                    let cpu = machine.cpu_mut();
                    cpu.pc = CODE;
                    cpu.set(Slot(A0 as u16), a);
                    cpu.set(Slot(A1 as u16), b);
                    cpu.set(Slot(T0 as u16), 40);
                    assert!(matches!(machine.run(), Exit::Syscall { .. }), "{way:?}");
                    let found = [A2, A3, A4].map(|reg| machine.cpu().get(Slot(reg as u16)));
                    let expected = [first, second, first].map(|funct3| half(funct3, xlen, a, b));
                    assert_eq!(found, expected, "{way:?}, {processor}: {order:?} of {a:#x}, {b:#x}");
                }
            }
        }
    }
}
