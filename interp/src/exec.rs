//! One small function per op code; each ends by calling the next op's.
//!
//! The calls are in tail position, so that an optimised build turns them into jumps. Nothing depends on it: decoding
//! puts a `PAUSE`, which returns to the driver, into long blocks.
//!
//! Integer ops truncate their operands to their type first; `plan` relies on that to drop truncations.

use crate::decode::Code;
use crate::float;
use crate::opcode::{self as opc, COUNT, Op, WORD};
use emu_ir::{Access, BinaryOp, Cond, ConvertOp, CpuState, Env, Exit, Fault, NanRule, Trap, Type, UnaryOp, eval};

/// How a run of ops ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// There were no more.
    RanOut,
    /// By the terminator.
    Left(Exit),
    /// To give the host stack back; `left` ops are to be run.
    Paused { left: usize },
    /// By a fault or trap in the first of the last `left` ops.
    Stopped { left: usize, exit: Exit },
    /// By a jump to `pc` in the first of the last `left` ops.
    SideExit { left: usize, pc: u64 },
}

/// What ops of one run share.
pub(crate) struct Frame<'c> {
    code: &'c Code,
    pub(crate) outcome: Outcome,
    spilled: Vec<u64>,
}

impl<'c> Frame<'c> {
    #[inline]
    pub(crate) fn new(code: &'c Code) -> Frame<'c> {
        Frame { code, outcome: Outcome::RanOut, spilled: vec![0; code.spills] }
    }

    /// How NaNs look to the run's ops.
    #[inline(always)]
    pub(crate) fn nan(&self) -> NanRule {
        self.code.nan
    }
}

pub(crate) type Handler<E> = fn(&Op, &[Op], &mut CpuState, &mut E, &mut Frame<'_>);

/// Runs the first op, which runs the others.
#[inline(always)]
pub(crate) fn next<E: Env>(ops: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    if let Some((op, rest)) = ops.split_first() {
        Table::<E>::HANDLERS[usize::from(op.code) % COUNT](op, rest, cpu, env, frame);
    }
}

#[inline(always)]
pub(crate) fn read(cpu: &CpuState, at: u8) -> u64 {
    cpu.slots[usize::from(at)]
}

#[inline(always)]
pub(crate) fn write(cpu: &mut CpuState, at: u8, value: u64) {
    cpu.slots[usize::from(at)] = value;
}

/// The low bits of a location as a value of type `ty`.
#[inline(always)]
fn low(ty: Type, bits: u64) -> u64 {
    match ty {
        Type::I64 | Type::F64 => bits,
        _ => eval::convert(ConvertOp::Trunc, Type::I64, ty, bits),
    }
}

/// A value computed from two operands: what `binary`, `compare` and `branch` compute.
trait Compute {
    fn compute(a: u64, b: u64) -> u64;
}

struct Binary<const OP: u8, const WIDTH: u8>;

impl<const OP: u8, const WIDTH: u8> Compute for Binary<OP, WIDTH> {
    #[inline(always)]
    fn compute(a: u64, b: u64) -> u64 {
        let op = const { BinaryOp::ALL[OP as usize] };
        let ty = const { if WIDTH == WORD { Type::I32 } else { Type::ALL[WIDTH as usize] } };
        let result = eval::binary(op, ty, low(ty, a), low(ty, b));
        if WIDTH == WORD { eval::convert(ConvertOp::Sext, Type::I32, Type::I64, result) } else { result }
    }
}

struct Compare<const COND: u8, const TY: u8>;

impl<const COND: u8, const TY: u8> Compute for Compare<COND, TY> {
    #[inline(always)]
    fn compute(a: u64, b: u64) -> u64 {
        let (cond, ty) = const { (Cond::ALL[COND as usize], Type::ALL[TY as usize]) };
        eval::compare(cond, ty, low(ty, a), low(ty, b)).into()
    }
}

fn rr<E: Env, C: Compute>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    write(cpu, op.d, C::compute(read(cpu, op.a), read(cpu, op.b)));
    next(rest, cpu, env, frame)
}

fn ri<E: Env, C: Compute>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    write(cpu, op.d, C::compute(read(cpu, op.a), op.imm));
    next(rest, cpu, env, frame)
}

fn branch_rr<E: Env, C: Compute>(op: &Op, _: &[Op], cpu: &mut CpuState, _: &mut E, frame: &mut Frame<'_>) {
    let taken = C::compute(read(cpu, op.a), read(cpu, op.b)) != 0;
    jump(cpu, frame, taken);
}

fn branch_ri<E: Env, C: Compute>(op: &Op, _: &[Op], cpu: &mut CpuState, _: &mut E, frame: &mut Frame<'_>) {
    let taken = C::compute(read(cpu, op.a), op.imm) != 0;
    jump(cpu, frame, taken);
}

fn branch_if<E: Env>(op: &Op, _: &[Op], cpu: &mut CpuState, _: &mut E, frame: &mut Frame<'_>) {
    let taken = read(cpu, op.a) != 0;
    jump(cpu, frame, taken);
}

fn jump_always<E: Env>(_: &Op, _: &[Op], cpu: &mut CpuState, _: &mut E, frame: &mut Frame<'_>) {
    jump(cpu, frame, true);
}

#[inline(always)]
fn jump(cpu: &mut CpuState, frame: &mut Frame<'_>, taken: bool) {
    let [target, next] = frame.code.targets;
    end_at(cpu, frame, if taken { target } else { next });
}

#[inline(always)]
fn end_at(cpu: &mut CpuState, frame: &mut Frame<'_>, pc: u64) {
    cpu.pc = pc;
    cpu.insn_count += frame.code.marks.len() as u64;
    frame.outcome = Outcome::Left(Exit::Next);
}

fn indirect<E: Env>(op: &Op, _: &[Op], cpu: &mut CpuState, _: &mut E, frame: &mut Frame<'_>) {
    let target = read(cpu, op.a);
    end_at(cpu, frame, target);
}

fn leave<E: Env>(_: &Op, _: &[Op], cpu: &mut CpuState, _: &mut E, frame: &mut Frame<'_>) {
    let leave = &frame.code.leave;
    cpu.pc = leave.pc;
    cpu.insn_count += leave.retired;
    frame.outcome = Outcome::Left(leave.exit);
}

fn leave_to<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    let target = read(cpu, op.a);
    leave(op, rest, cpu, env, frame);
    cpu.pc = target;
}

fn pause<E: Env>(_: &Op, rest: &[Op], _: &mut CpuState, _: &mut E, frame: &mut Frame<'_>) {
    frame.outcome = Outcome::Paused { left: rest.len() };
}

fn unary<E: Env, const OP: u8, const TY: u8>(
    op: &Op,
    rest: &[Op],
    cpu: &mut CpuState,
    env: &mut E,
    frame: &mut Frame<'_>,
) {
    let (unary, ty) = const { (UnaryOp::ALL[OP as usize], Type::ALL[TY as usize]) };
    write(cpu, op.d, eval::unary(unary, ty, low(ty, read(cpu, op.a))));
    next(rest, cpu, env, frame)
}

fn sext<E: Env, const FROM: u8, const TO: u8>(
    op: &Op,
    rest: &[Op],
    cpu: &mut CpuState,
    env: &mut E,
    frame: &mut Frame<'_>,
) {
    let (from, to) = const { (Type::ALL[FROM as usize], Type::ALL[TO as usize]) };
    write(cpu, op.d, eval::convert(ConvertOp::Sext, from, to, low(from, read(cpu, op.a))));
    next(rest, cpu, env, frame)
}

fn trunc<E: Env, const TO: u8>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    write(cpu, op.d, low(const { Type::ALL[TO as usize] }, read(cpu, op.a)));
    next(rest, cpu, env, frame)
}

fn boxed<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    write(cpu, op.d, eval::convert(ConvertOp::Box, Type::F32, Type::F64, read(cpu, op.a)));
    next(rest, cpu, env, frame)
}

fn unboxed<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    write(cpu, op.d, eval::convert(ConvertOp::Unbox, Type::F64, Type::F32, read(cpu, op.a)));
    next(rest, cpu, env, frame)
}

#[inline(always)]
fn address(ty: u8, op: &Op, cpu: &CpuState) -> u64 {
    let ty = Type::ALL[ty as usize];
    eval::effective_address(ty, low(ty, read(cpu, op.a)), op.imm as i32)
}

#[cold]
fn fault(rest: &[Op], frame: &mut Frame<'_>, fault: Fault) {
    frame.outcome = Outcome::Stopped { left: rest.len() + 1, exit: Exit::Fault(fault) };
}

/// `EXTEND`: the type to sign-extend to, `i8` for none. `ADDR`: the type of the address.
fn load<E: Env, const BYTES: u8, const EXTEND: u8, const BIG: bool, const ADDR: u8>(
    op: &Op,
    rest: &[Op],
    cpu: &mut CpuState,
    env: &mut E,
    frame: &mut Frame<'_>,
) {
    let access = Access { bytes: BYTES, signed: EXTEND != I8, big_endian: BIG };
    match env.load(address(ADDR, op, cpu), BYTES) {
        Ok(raw) => {
            write(cpu, op.d, eval::loaded(const { Type::ALL[EXTEND as usize] }, access, raw));
            next(rest, cpu, env, frame)
        }
        Err(why) => fault(rest, frame, why),
    }
}

fn store<E: Env, const BYTES: u8, const BIG: bool, const ADDR: u8>(
    op: &Op,
    rest: &[Op],
    cpu: &mut CpuState,
    env: &mut E,
    frame: &mut Frame<'_>,
) {
    let access = Access { bytes: BYTES, signed: false, big_endian: BIG };
    let value = eval::in_order(access, low(access.ty(), read(cpu, op.b)));
    match env.store(address(ADDR, op, cpu), BYTES, value) {
        Ok(()) => next(rest, cpu, env, frame),
        Err(why) => fault(rest, frame, why),
    }
}

fn constant<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    write(cpu, op.d, op.imm);
    next(rest, cpu, env, frame)
}

fn copy<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    write(cpu, op.d, read(cpu, op.a));
    next(rest, cpu, env, frame)
}

fn select<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    let (a, b) = (read(cpu, op.b), read(cpu, op.c));
    write(cpu, op.d, if read(cpu, op.a) != 0 { a } else { b });
    next(rest, cpu, env, frame)
}

fn spill<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    frame.spilled[op.imm as usize] = read(cpu, op.a);
    next(rest, cpu, env, frame)
}

fn fill<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    write(cpu, op.d, frame.spilled[op.imm as usize]);
    next(rest, cpu, env, frame)
}

fn slow<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    match frame.code.slow[op.imm as usize].run(op, cpu, env) {
        Ok(value) => write(cpu, op.d, value),
        Err(exit) => {
            frame.outcome = Outcome::Stopped { left: rest.len() + 1, exit };
            return;
        }
    }
    next(rest, cpu, env, frame)
}

fn trap_if<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    if read(cpu, op.a) != 0 {
        let exit = Exit::Trap(Trap { kind: frame.code.traps[op.imm as usize] });
        frame.outcome = Outcome::Stopped { left: rest.len() + 1, exit };
        return;
    }
    next(rest, cpu, env, frame)
}

fn leave_if<E: Env>(op: &Op, rest: &[Op], cpu: &mut CpuState, env: &mut E, frame: &mut Frame<'_>) {
    if read(cpu, op.a) != 0 {
        frame.outcome = Outcome::SideExit { left: rest.len() + 1, pc: frame.code.side_exits[op.imm as usize] };
        return;
    }
    next(rest, cpu, env, frame)
}

fn unassigned<E: Env>(op: &Op, _: &[Op], _: &mut CpuState, _: &mut E, _: &mut Frame<'_>) {
    unreachable!("no op has code {}", op.code)
}

/// The handlers by op code, laid out as `opcode` numbers them.
struct Table<E>(std::marker::PhantomData<E>);

const I8: u8 = Type::I8 as u8;
const I16: u8 = Type::I16 as u8;
const I32: u8 = Type::I32 as u8;
const I64: u8 = Type::I64 as u8;

impl<E: Env> Table<E> {
    const HANDLERS: [Handler<E>; COUNT] = {
        let mut table: [Handler<E>; COUNT] = [unassigned::<E>; COUNT];
        table = Self::put_rows(table, opc::BINARY, &Self::BINARY);
        table = Self::put_rows(table, opc::COMPARE, &Self::COMPARE);
        table = Self::put_rows(table, opc::BRANCH, &Self::BRANCH);
        table = Self::put_rows(table, opc::UNARY, &Self::UNARY);
        table = Self::put_rows(table, opc::LOAD, &Self::LOAD);
        table = Self::put_rows(table, opc::STORE, &Self::STORE);
        table = Self::put_rows(table, opc::SEXT, &[Self::SEXT]);
        table = Self::put_rows(table, opc::TRUNC, &[Self::TRUNC]);
        table = Self::put_rows(table, opc::FLOAT_UNARY, &float::Rows::<E>::UNARY);
        table = Self::put_rows(table, opc::FLOAT_BINARY, &float::Rows::<E>::BINARY);
        table = Self::put_rows(table, opc::FLOAT_FMA, &[float::Rows::<E>::FMA]);
        table = Self::put_rows(table, opc::FLOAT_COMPARE, &float::Rows::<E>::COMPARE);
        table = Self::put_rows(table, opc::FLOAT_CLASS, &[float::Rows::<E>::CLASS]);
        table = Self::put_rows(table, opc::FLOAT_CONVERT, &float::Rows::<E>::CONVERT);
        table = Self::put_rows(table, opc::FLOAT_FORMAT, &[float::Rows::<E>::FORMAT]);
        Self::put_rows(table, opc::MISC, &[Self::MISC])
    };

    const fn put_rows<const N: usize>(
        mut table: [Handler<E>; COUNT],
        base: u16,
        rows: &[[Handler<E>; N]],
    ) -> [Handler<E>; COUNT] {
        let mut i = 0;
        while i < rows.len() * N {
            table[base as usize + i] = rows[i / N][i % N];
            i += 1;
        }
        table
    }

    const fn binary<const OP: u8>() -> [Handler<E>; 10] {
        [
            rr::<E, Binary<OP, I8>>,
            ri::<E, Binary<OP, I8>>,
            rr::<E, Binary<OP, I16>>,
            ri::<E, Binary<OP, I16>>,
            rr::<E, Binary<OP, I32>>,
            ri::<E, Binary<OP, I32>>,
            rr::<E, Binary<OP, I64>>,
            ri::<E, Binary<OP, I64>>,
            rr::<E, Binary<OP, WORD>>,
            ri::<E, Binary<OP, WORD>>,
        ]
    }

    const BINARY: [[Handler<E>; 10]; BinaryOp::ALL.len()] = [
        Self::binary::<0>(),
        Self::binary::<1>(),
        Self::binary::<2>(),
        Self::binary::<3>(),
        Self::binary::<4>(),
        Self::binary::<5>(),
        Self::binary::<6>(),
        Self::binary::<7>(),
        Self::binary::<8>(),
        Self::binary::<9>(),
        Self::binary::<10>(),
        Self::binary::<11>(),
        Self::binary::<12>(),
        Self::binary::<13>(),
        Self::binary::<14>(),
        Self::binary::<15>(),
        Self::binary::<16>(),
        Self::binary::<17>(),
        Self::binary::<18>(),
    ];

    const fn compare<const COND: u8>() -> [Handler<E>; 8] {
        [
            rr::<E, Compare<COND, I8>>,
            ri::<E, Compare<COND, I8>>,
            rr::<E, Compare<COND, I16>>,
            ri::<E, Compare<COND, I16>>,
            rr::<E, Compare<COND, I32>>,
            ri::<E, Compare<COND, I32>>,
            rr::<E, Compare<COND, I64>>,
            ri::<E, Compare<COND, I64>>,
        ]
    }

    const COMPARE: [[Handler<E>; 8]; Cond::ALL.len()] = [
        Self::compare::<0>(),
        Self::compare::<1>(),
        Self::compare::<2>(),
        Self::compare::<3>(),
        Self::compare::<4>(),
        Self::compare::<5>(),
        Self::compare::<6>(),
        Self::compare::<7>(),
        Self::compare::<8>(),
        Self::compare::<9>(),
    ];

    const fn branch<const COND: u8>() -> [Handler<E>; 4] {
        [
            branch_rr::<E, Compare<COND, I32>>,
            branch_ri::<E, Compare<COND, I32>>,
            branch_rr::<E, Compare<COND, I64>>,
            branch_ri::<E, Compare<COND, I64>>,
        ]
    }

    const BRANCH: [[Handler<E>; 4]; Cond::ALL.len()] = [
        Self::branch::<0>(),
        Self::branch::<1>(),
        Self::branch::<2>(),
        Self::branch::<3>(),
        Self::branch::<4>(),
        Self::branch::<5>(),
        Self::branch::<6>(),
        Self::branch::<7>(),
        Self::branch::<8>(),
        Self::branch::<9>(),
    ];

    const fn unary<const OP: u8>() -> [Handler<E>; 4] {
        [unary::<E, OP, I8>, unary::<E, OP, I16>, unary::<E, OP, I32>, unary::<E, OP, I64>]
    }

    const UNARY: [[Handler<E>; 4]; UnaryOp::ALL.len()] = [
        Self::unary::<0>(),
        Self::unary::<1>(),
        Self::unary::<2>(),
        Self::unary::<3>(),
        Self::unary::<4>(),
        Self::unary::<5>(),
        Self::unary::<6>(),
    ];

    const fn load<const BYTES: u8, const EXTEND: u8>() -> [Handler<E>; 4] {
        [
            load::<E, BYTES, EXTEND, false, I32>,
            load::<E, BYTES, EXTEND, false, I64>,
            load::<E, BYTES, EXTEND, true, I32>,
            load::<E, BYTES, EXTEND, true, I64>,
        ]
    }

    const LOAD: [[Handler<E>; 4]; 16] = [
        Self::load::<1, I8>(),
        Self::load::<1, I16>(),
        Self::load::<1, I32>(),
        Self::load::<1, I64>(),
        Self::load::<2, I8>(),
        [unassigned::<E>; 4],
        Self::load::<2, I32>(),
        Self::load::<2, I64>(),
        Self::load::<4, I8>(),
        [unassigned::<E>; 4],
        [unassigned::<E>; 4],
        Self::load::<4, I64>(),
        Self::load::<8, I8>(),
        [unassigned::<E>; 4],
        [unassigned::<E>; 4],
        [unassigned::<E>; 4],
    ];

    const fn store<const BYTES: u8>() -> [Handler<E>; 4] {
        [
            store::<E, BYTES, false, I32>,
            store::<E, BYTES, false, I64>,
            store::<E, BYTES, true, I32>,
            store::<E, BYTES, true, I64>,
        ]
    }

    const STORE: [[Handler<E>; 4]; 4] =
        [Self::store::<1>(), Self::store::<2>(), Self::store::<4>(), Self::store::<8>()];

    const SEXT: [Handler<E>; 6] = [
        sext::<E, I8, I16>,
        sext::<E, I8, I32>,
        sext::<E, I8, I64>,
        sext::<E, I16, I32>,
        sext::<E, I16, I64>,
        sext::<E, I32, I64>,
    ];

    const TRUNC: [Handler<E>; 3] = [trunc::<E, I8>, trunc::<E, I16>, trunc::<E, I32>];

    const MISC: [Handler<E>; 16] = [
        constant::<E>,
        copy::<E>,
        select::<E>,
        spill::<E>,
        fill::<E>,
        slow::<E>,
        trap_if::<E>,
        jump_always::<E>,
        branch_if::<E>,
        indirect::<E>,
        leave::<E>,
        pause::<E>,
        leave_if::<E>,
        leave_to::<E>,
        boxed::<E>,
        unboxed::<E>,
    ];
}
