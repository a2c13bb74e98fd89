//! Guest instructions a second of the engine alone: a counting loop, a mixed one, one through memory and one with
//! floating point, chained as the machine would.

use emu_interp::{Code, run};
use emu_ir::*;
use std::time::Instant;

#[path = "../tests/common/mod.rs"]
mod common;
use common::NoGuest;

struct Flat(Vec<u64>);

impl Env for Flat {
    #[inline]
    fn load(&mut self, addr: u64, bytes: u8) -> Result<u64, Fault> {
        let word = self.0.get((addr / 8) as usize).copied();
        let word = word.ok_or(Fault { addr, access: AccessKind::Read, cause: FaultCause::Unmapped })?;
        Ok(word & (u64::MAX >> (64 - 8 * u32::from(bytes))))
    }
    #[inline]
    fn store(&mut self, addr: u64, _: u8, value: u64) -> Result<(), Fault> {
        let word = self.0.get_mut((addr / 8) as usize);
        *word.ok_or(Fault { addr, access: AccessKind::Write, cause: FaultCause::Unmapped })? = value;
        Ok(())
    }
    fn atomic_rmw(&mut self, _: AtomicOp, addr: u64, bytes: u8, _: u64) -> Result<u64, Fault> {
        self.load(addr, bytes)
    }
    fn atomic_cas(&mut self, addr: u64, bytes: u8, _: u64, _: u64) -> Result<u64, Fault> {
        self.load(addr, bytes)
    }
    fn fence(&mut self) {}
    fn counter(&mut self, _: Counter) -> u64 {
        0
    }
}

const X: [Slot; 8] = [Slot(0), Slot(1), Slot(2), Slot(3), Slot(4), Slot(5), Slot(6), Slot(7)];

/// `rd = op(rs1, rs2)`, as a decoder would emit it.
fn alu(b: &mut Builder, op: BinaryOp, d: Slot, s: Slot, t: Slot) {
    let (s, t) = (b.get(Type::I64, s), b.get(Type::I64, t));
    let result = b.binary(op, s, t);
    b.set(d, result);
}

fn alu_imm(b: &mut Builder, op: BinaryOp, d: Slot, s: Slot, imm: i64) {
    let (s, imm) = (b.get(Type::I64, s), b.iconst(Type::I64, imm));
    let result = b.binary(op, s, imm);
    b.set(d, result);
}

fn word(b: &mut Builder, op: BinaryOp, d: Slot, s: Slot, t: Slot) {
    let (s, t) = (b.get(Type::I64, s), b.get(Type::I64, t));
    let (s, t) = (b.trunc(Type::I32, s), b.trunc(Type::I32, t));
    let result = b.binary(op, s, t);
    let result = b.sext(Type::I64, result);
    b.set(d, result);
}

fn float(b: &mut Builder, op: FloatBinaryOp, d: Slot, s: Slot, t: Slot) {
    let (s, t) = (b.get(Type::F64, s), b.get(Type::F64, t));
    let result = b.float_binary(op, Round::Dynamic, s, t);
    b.set(d, result);
}

/// A loop of the given instructions and a decrement and branch.
fn looped(body: &[&dyn Fn(&mut Builder)]) -> Code {
    let mut b = Builder::new(BlockKey { pc: 0, mode: 0 });
    for (i, insn) in body.iter().enumerate() {
        b.begin_insn(4 * i as u64, 4);
        insn(&mut b);
    }
    b.begin_insn(4 * body.len() as u64, 4);
    alu_imm(&mut b, BinaryOp::Add, X[0], X[0], -1);
    b.begin_insn(4 * body.len() as u64 + 4, 4);
    let (count, zero) = (b.get(Type::I64, X[0]), b.iconst(Type::I64, 0));
    let cond = b.compare(Cond::Ne, count, zero);
    let block = b.finish(Terminator::Branch { cond, taken: 0, next: 0x1000 });
    Code::new(&block, &NoGuest)
}

fn measure(name: &str, code: &Code) {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let mut cpu = CpuState::default();
        let mut env = Flat(vec![0; 1024]);
        cpu.slots[1..8].fill(1.5f64.to_bits());
        cpu.slots[0] = 20_000_000 / u64::from(code.insn_count());
        let start = Instant::now();
        while cpu.pc == 0 {
            assert_eq!(run(code, &mut cpu, &mut env), Exit::Next);
        }
        best = best.min(start.elapsed().as_secs_f64() / cpu.insn_count as f64);
    }
    println!("{name:12} {:7.1} million instructions/s, {:.2} ns each", 1e-6 / best, best * 1e9);
}

fn main() {
    use BinaryOp::*;
    measure("count", &looped(&[]));
    measure(
        "mixed",
        &looped(&[
            &|b| alu(b, Add, X[1], X[1], X[0]),
            &|b| alu_imm(b, Shl, X[2], X[1], 3),
            &|b| alu(b, Xor, X[1], X[1], X[2]),
            &|b| word(b, Add, X[3], X[3], X[1]),
            &|b| alu_imm(b, And, X[4], X[3], 0xff8),
            &|b| alu(b, Sub, X[5], X[4], X[2]),
        ]),
    );
    measure(
        "memory",
        &looped(&[
            &|b| alu_imm(b, And, X[4], X[0], 0xff8),
            &|b| {
                let addr = b.get(Type::I64, X[4]);
                let v = b.load(Type::I64, Access::signed(4), addr, 8);
                b.set(X[5], v);
            },
            &|b| alu(b, Add, X[6], X[6], X[5]),
            &|b| {
                let (addr, v) = (b.get(Type::I64, X[4]), b.get(Type::I64, X[6]));
                b.store(Access::unsigned(8), addr, 16, v);
            },
        ]),
    );
    measure(
        "float",
        &looped(&[
            &|b| float(b, FloatBinaryOp::Add, X[1], X[1], X[2]),
            &|b| float(b, FloatBinaryOp::Mul, X[3], X[3], X[2]),
            &|b| float(b, FloatBinaryOp::Sub, X[4], X[1], X[3]),
            &|b| {
                let (x, y, z) = (b.get(Type::F64, X[1]), b.get(Type::F64, X[2]), b.get(Type::F64, X[3]));
                let sum = b.fma(Round::Dynamic, x, y, z);
                b.set(X[5], sum);
            },
        ]),
    );
}
