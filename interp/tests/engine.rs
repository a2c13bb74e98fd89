//! The engine's own promises: every op family, faults, budgets, spills, reservations.

mod common;

use common::{Memory, NoGuest, SEEN};
use emu_interp::{Code, run, run_limited};
use emu_ir::*;
use std::sync::atomic::Ordering;

const X: [Slot; 6] = [Slot(0), Slot(1), Slot(2), Slot(3), Slot(4), Slot(5)];
const PC: u64 = 0x4000;

/// A block under construction; `insn` starts the next guest instruction of four bytes.
struct Test {
    b: Builder,
    pc: u64,
}

impl Test {
    fn new() -> Test {
        Test { b: Builder::new(BlockKey { pc: PC, mode: 0 }), pc: PC }
    }

    fn insn(&mut self) -> &mut Builder {
        self.b.begin_insn(self.pc, 4);
        self.pc += 4;
        &mut self.b
    }

    fn code(self) -> Code {
        let target = self.pc;
        self.code_with(Terminator::Jump { target, kind: JumpKind::Plain })
    }

    fn code_with(self, term: Terminator) -> Code {
        let block = self.b.finish(term);
        verify::verify(&block).expect("a valid block");
        Code::new(&block, &NoGuest)
    }
}

fn cpu(regs: &[u64]) -> CpuState {
    let mut cpu = CpuState { pc: PC, ..CpuState::default() };
    cpu.slots[..regs.len()].copy_from_slice(regs);
    cpu
}

/// Applies `f` to values of the given types read from slots, and returns what the engine computes.
fn compute(types: &[Type], bits: &[u64], f: impl Fn(&mut Builder, &[Value]) -> Value) -> u64 {
    let mut t = Test::new();
    let b = t.insn();
    let args: Vec<Value> = types.iter().zip(X).map(|(ty, slot)| b.get(*ty, slot)).collect();
    let result = f(b, &args);
    b.set(X[5], result);
    let mut cpu = cpu(bits);
    assert_eq!(run(&t.code(), &mut cpu, &mut Memory::new(0)), Exit::Next);
    assert_eq!((cpu.pc, cpu.insn_count), (PC + 4, 1));
    cpu.get(X[5])
}

const INTS: [Type; 4] = [Type::I8, Type::I16, Type::I32, Type::I64];
const SAMPLES: [u64; 8] = [0, 1, 7, 0x80, 0x7fff_ffff, 0x8000_0000, 0x8000_0000_0000_0000, 0xffff_ffff_ffff_fff9];

#[test]
fn binary_ops_with_registers_and_constants() {
    for ty in INTS {
        for op in BinaryOp::ALL {
            for (a, b) in SAMPLES.iter().flat_map(|a| SAMPLES.map(|b| (a & ty.mask(), b & ty.mask()))) {
                let want = eval::binary(op, ty, a, b);
                assert_eq!(
                    compute(&[ty, ty], &[a, b], |x, v| x.binary(op, v[0], v[1])),
                    want,
                    "{op:?} {ty} {a:#x} {b:#x}"
                );
                let right = compute(&[ty], &[a], |x, v| {
                    let b = x.iconst(ty, b as i64);
                    x.binary(op, v[0], b)
                });
                let left = compute(&[ty], &[b], |x, v| {
                    let a = x.iconst(ty, a as i64);
                    x.binary(op, a, v[0])
                });
                assert_eq!((right, left), (want, want), "{op:?} {ty} {a:#x} {b:#x}");
            }
        }
    }
}

#[test]
fn word_ops_truncate_and_extend() {
    for op in BinaryOp::ALL {
        for (a, b) in SAMPLES.iter().flat_map(|a| SAMPLES.map(|b| (*a, b))) {
            let low = eval::binary(op, Type::I32, a & 0xffff_ffff, b & 0xffff_ffff);
            let got = compute(&[Type::I64, Type::I64], &[a, b], |x, v| {
                let (a, b) = (x.trunc(Type::I32, v[0]), x.trunc(Type::I32, v[1]));
                let r = x.binary(op, a, b);
                x.sext(Type::I64, r)
            });
            assert_eq!(got, low as i32 as u64, "{op:?} {a:#x} {b:#x}");
        }
    }
}

#[test]
fn comparisons_selects_and_branches() {
    for ty in INTS {
        for cond in Cond::ALL {
            for (a, b) in SAMPLES.iter().flat_map(|a| SAMPLES.map(|b| (a & ty.mask(), b & ty.mask()))) {
                let want = eval::compare(cond, ty, a, b);
                assert_eq!(compute(&[ty, ty], &[a, b], |x, v| x.compare(cond, v[0], v[1])), want.into());
                assert_eq!(
                    compute(&[ty], &[b], |x, v| {
                        let a = x.iconst(ty, a as i64);
                        let c = x.compare(cond, a, v[0]);
                        let (yes, no) = (x.iconst(Type::I64, 5), x.iconst(Type::I64, 6));
                        x.select(c, yes, no)
                    }),
                    if want { 5 } else { 6 }
                );
                assert_eq!(branch(ty, cond, a, b, false), want);
                assert_eq!(branch(ty, cond, a, b, true), want);
            }
        }
    }
}

fn branch(ty: Type, cond: Cond, a: u64, b: u64, constant: bool) -> bool {
    let mut t = Test::new();
    let x = t.insn();
    let left = x.get(ty, X[0]);
    let right = if constant { x.iconst(ty, b as i64) } else { x.get(ty, X[1]) };
    let cond = x.compare(cond, left, right);
    let code = t.code_with(Terminator::Branch { cond, taken: 1, next: 2 });
    assert_eq!(code.targets(), [1, 2]);
    let mut cpu = cpu(&[a, b]);
    assert_eq!(run(&code, &mut cpu, &mut Memory::new(0)), Exit::Next);
    cpu.pc == 1
}

#[test]
fn unary_ops_and_conversions() {
    for ty in INTS {
        for a in SAMPLES.map(|a| a & ty.mask()) {
            for op in UnaryOp::ALL {
                assert_eq!(compute(&[ty], &[a], |x, v| x.unary(op, v[0])), eval::unary(op, ty, a));
            }
            for to in INTS {
                let op = if to.bits() < ty.bits() { ConvertOp::Trunc } else { ConvertOp::Sext };
                for op in
                    [op, ConvertOp::Zext].into_iter().filter(|op| (*op == ConvertOp::Trunc) == (to < ty) && to != ty)
                {
                    assert_eq!(compute(&[ty], &[a], |x, v| x.convert(op, to, v[0])), eval::convert(op, ty, to, a));
                }
            }
        }
    }
    let boxed = compute(&[Type::F32], &[0x3f80_0000], |x, v| x.convert(ConvertOp::Box, Type::F64, v[0]));
    assert_eq!(boxed, 0xffff_ffff_3f80_0000);
    assert_eq!(compute(&[Type::F64], &[1], |x, v| x.convert(ConvertOp::Unbox, Type::F32, v[0])), 0x7fc0_0000);
}

#[test]
fn loads_and_stores_of_each_shape() {
    let raw = [0x80u8, 0x91, 0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7];
    for (bytes, big_endian, signed) in [1u8, 2, 4, 8]
        .into_iter()
        .flat_map(|n| [(n, false, false), (n, true, false), (n, false, true), (n, true, true)])
    {
        let mut cut = raw[..bytes.into()].to_vec();
        if !big_endian {
            cut.reverse();
        }
        let value = cut.iter().fold(0u64, |v, b| v << 8 | u64::from(*b));
        for (ty, addr_ty) in INTS.iter().flat_map(|ty| [(*ty, Type::I32), (*ty, Type::I64)]) {
            if ty.bytes() < bytes {
                continue;
            }
            let narrow = INTS[bytes.trailing_zeros() as usize];
            let want = if signed { eval::sign_extend(narrow, value) as u64 & ty.mask() } else { value };
            let mut t = Test::new();
            let x = t.insn();
            let addr = x.get(addr_ty, X[0]);
            let access = Access { bytes, signed, big_endian };
            let loaded = x.load(ty, access, addr, -8);
            x.store(access, addr, 8, loaded);
            x.set(X[1], loaded);
            let (mut cpu, mut memory) = (cpu(&[Memory::BASE + 8]), Memory::new(32));
            memory.bytes[..8].copy_from_slice(&raw);
            assert_eq!(run(&t.code(), &mut cpu, &mut memory), Exit::Next);
            assert_eq!(cpu.get(X[1]), want, "{ty} {access:?}");
            assert_eq!(memory.bytes[16..16 + usize::from(bytes)], raw[..bytes.into()]);
        }
    }
}

/// Three instructions; the second faults after it has read the register that it would set.
#[test]
fn a_fault_leaves_registers_and_count_exact() {
    let mut t = Test::new();
    let b = t.insn();
    let (x, one) = (b.get(Type::I64, X[1]), b.iconst(Type::I64, 1));
    let sum = b.add(x, one);
    b.set(X[1], sum);
    let b = t.insn();
    let addr = b.get(Type::I64, X[0]);
    let bumped = b.add(addr, one);
    let loaded = b.load(Type::I64, Access::unsigned(8), addr, 4);
    b.set(X[0], bumped);
    b.set(X[1], loaded);
    t.insn().set(X[2], one);
    let code = t.code();
    let mut cpu = cpu(&[8, 10, 20]);
    let fault = Fault { addr: 12, access: AccessKind::Read, cause: FaultCause::Unmapped };
    assert_eq!(run(&code, &mut cpu, &mut Memory::new(8)), Exit::Fault(fault));
    assert_eq!((cpu.pc, cpu.insn_count, &cpu.slots[..3]), (PC + 4, 1, &[8, 11, 20][..]));
}

#[test]
fn a_limited_run_stops_between_two_instructions() {
    let mut t = Test::new();
    for _ in 0..600 {
        let b = t.insn();
        let (x, one) = (b.get(Type::I64, X[0]), b.iconst(Type::I64, 1));
        let sum = b.add(x, one);
        b.set(X[0], sum);
    }
    let code = t.code();
    for limit in [0, 1, 255, 256, 257, 599] {
        let mut cpu = cpu(&[0]);
        assert_eq!(run_limited(&code, &mut cpu, &mut Memory::new(0), limit), Exit::Budget);
        let n = u64::from(limit);
        assert_eq!((cpu.pc, cpu.insn_count, cpu.get(X[0])), (PC + 4 * n, n, n));
    }
    let mut cpu = cpu(&[0]);
    assert_eq!(run_limited(&code, &mut cpu, &mut Memory::new(0), 600), Exit::Next);
    assert_eq!((cpu.pc, cpu.insn_count, cpu.get(X[0])), (PC + 2400, 600, 600));
}

#[test]
fn a_limited_run_takes_the_side_exit_of_what_it_stops_before() {
    let mut t = Test::new();
    let b = t.insn();
    let x = b.get(Type::I8, X[0]);
    let b = t.insn();
    b.leave_if(x, 0x4000);
    let one = b.iconst(Type::I64, 1);
    b.set(X[1], one);
    let code = t.code();
    for (x, exit, pc) in [(1, Exit::Next, 0x4000), (0, Exit::Budget, PC + 4)] {
        let mut cpu = cpu(&[x, 7]);
        assert_eq!(run_limited(&code, &mut cpu, &mut Memory::new(0), 1), exit);
        assert_eq!((cpu.pc, cpu.insn_count, cpu.get(X[1])), (pc, 1, 7));
    }
}

#[test]
fn more_live_values_than_temporaries() {
    let mut t = Test::new();
    let b = t.insn();
    let x = b.get(Type::I64, X[0]);
    let values: Vec<Value> = (0..400)
        .map(|i| {
            let k = b.iconst(Type::I64, i);
            b.sub(k, x)
        })
        .collect();
    let pairs = values.iter().zip(values.iter().rev()).enumerate();
    let sums: Vec<Value> = pairs
        .map(|(i, (p, q))| {
            let (cond, k) = (b.compare(Cond::LtU, *p, *q), b.iconst(Type::I64, i as i64));
            let chosen = b.select(cond, *p, *q);
            b.binary(BinaryOp::Mul, chosen, k)
        })
        .collect();
    let total = sums.into_iter().reduce(|p, q| b.xor(p, q)).expect("not empty");
    b.set(X[1], total);
    let mut cpu = cpu(&[1000]);
    assert_eq!(run(&t.code(), &mut cpu, &mut Memory::new(0)), Exit::Next);
    let want = (0..400u64).map(|i| i.wrapping_sub(1000).min((399 - i).wrapping_sub(1000)).wrapping_mul(i));
    assert_eq!(cpu.get(X[1]), want.fold(0, |p, q| p ^ q));
}

#[test]
fn a_register_read_before_it_is_written_keeps_its_old_value() {
    let mut t = Test::new();
    let b = t.insn();
    let (x, y) = (b.get(Type::I64, X[0]), b.get(Type::I64, X[1]));
    b.set(X[0], y);
    b.set(X[1], x);
    let sum = b.add(x, y);
    b.set(X[2], sum);
    b.set(X[3], sum);
    b.set(X[2], x);
    let again = b.get(Type::I64, X[2]);
    b.set(X[4], again);
    let mut cpu = cpu(&[3, 5]);
    assert_eq!(run(&t.code(), &mut cpu, &mut Memory::new(0)), Exit::Next);
    assert_eq!(cpu.slots[..5], [5, 3, 3, 8, 3]);
}

#[test]
fn reservations() {
    let mut t = Test::new();
    let b = t.insn();
    let (addr, new) = (b.get(Type::I64, X[0]), b.get(Type::I32, X[1]));
    let id = ScId::at(0x1000);
    let old = b.push(Inst::LoadReserved { ty: Type::I32, addr, id });
    let first = b.push(Inst::StoreConditional { ty: Type::I32, addr, value: new, id });
    let second = b.push(Inst::StoreConditional { ty: Type::I32, addr, value: old, id });
    b.set(X[2], first);
    b.set(X[3], second);
    let code = t.code();
    let (mut state, mut memory) = (cpu(&[Memory::BASE + 4, 77]), Memory::new(16));
    assert_eq!(run(&code, &mut state, &mut memory), Exit::Next);
    assert_eq!((state.slots[2], state.slots[3], memory.bytes[4]), (1, 0, 77));
    assert_eq!(state.reservation_addr, NO_RESERVATION);

    let mut state = cpu(&[Memory::BASE + 2, 77]);
    let fault = Fault { addr: Memory::BASE + 2, access: AccessKind::Read, cause: FaultCause::Misaligned };
    assert_eq!(run(&code, &mut state, &mut memory), Exit::Fault(fault));
}

#[test]
fn a_helper_sees_the_exact_state_and_may_write_registers() {
    let mut t = Test::new();
    let b = t.insn();
    let two = b.iconst(Type::I64, 2);
    b.set(X[0], two);
    let b = t.insn();
    let (x, y, nine) = (b.get(Type::I64, X[0]), b.get(Type::I64, X[1]), b.get(Type::I64, Slot(9)));
    let sum = b.call(HelperId(0), Type::I64, &[x, y]);
    let old = b.call(HelperId(1), Type::I64, &[]);
    let after = b.get(Type::I64, Slot(9));
    b.set(X[2], sum);
    b.set(X[3], old);
    b.set(X[4], nine);
    b.set(X[5], after);
    let code = t.code();
    let mut state = cpu(&[0, 40]);
    (state.slots[9], state.insn_count) = (6, 100);
    assert_eq!(run(&code, &mut state, &mut Memory::new(0)), Exit::Next);
    assert_eq!(state.slots[..6], [2, 40, 42, 6, 6, 7]);
    assert_eq!(SEEN.each_ref().map(|s| s.load(Ordering::Relaxed)), [PC + 4, 101]);
    assert_eq!((state.pc, state.insn_count), (PC + 8, 102));

    let mut state = cpu(&[0, 0x75]);
    let trap = Trap { kind: TrapKind::Breakpoint { code: 3 } };
    assert_eq!(run(&code, &mut state, &mut Memory::new(0)), Exit::Trap(trap));
    assert_eq!((state.pc, state.insn_count), (PC + 4, 1));
}

#[test]
fn ends_other_than_jumps() {
    let end = |term| {
        let mut t = Test::new();
        t.insn();
        t.insn();
        let mut state = cpu(&[]);
        let exit = run(&t.code_with(term), &mut state, &mut Memory::new(0));
        (exit, state.pc, state.insn_count)
    };
    assert_eq!(end(Terminator::Syscall { next: 9 }), (Exit::Syscall { insn: PC + 4 }, 9, 2));
    let kind = TrapKind::IntegerOverflow;
    assert_eq!(end(Terminator::Trap { kind }), (Exit::Trap(Trap { kind }), PC + 4, 1));
    assert_eq!(end(Terminator::Exit { kind: ExitKind::InsnFence, next: 9 }), (Exit::InsnFence, 9, 2));
    assert_eq!(end(Terminator::Exit { kind: ExitKind::ModeChange, next: 9 }), (Exit::ModeChange, 9, 2));
    assert_eq!(end(Terminator::Exit { kind: ExitKind::Yield, next: 9 }), (Exit::Yield, 9, 2));
}

#[test]
fn a_conditional_trap_stops_at_its_instruction() {
    let mut t = Test::new();
    t.insn();
    let b = t.insn();
    let cond = b.get(Type::I8, X[0]);
    b.trap_if(cond, TrapKind::IntegerOverflow);
    let code = t.code();
    let mut state = cpu(&[1]);
    assert_eq!(run(&code, &mut state, &mut Memory::new(0)), Exit::Trap(Trap { kind: TrapKind::IntegerOverflow }));
    assert_eq!((state.pc, state.insn_count), (PC + 4, 1));
    assert_eq!(run(&code, &mut cpu(&[0]), &mut Memory::new(0)), Exit::Next);
}

#[test]
fn an_indirect_jump_takes_the_narrow_value() {
    let mut t = Test::new();
    let b = t.insn();
    let wide = b.get(Type::I64, X[0]);
    let target = b.trunc(Type::I32, wide);
    let code = t.code_with(Terminator::Indirect { target, kind: IndirectKind::Return });
    let mut state = cpu(&[0xffff_ffff_0000_1234]);
    assert_eq!(run(&code, &mut state, &mut Memory::new(0)), Exit::Next);
    assert_eq!(state.pc, 0x1234);
}

#[test]
fn floating_point_state_is_read_and_replaced() {
    let mut t = Test::new();
    let b = t.insn();
    let old = b.push(Inst::ReadFpFlags);
    let new = b.get(Type::I32, X[0]);
    b.push(Inst::WriteFpFlags { value: new });
    let round = b.push(Inst::ReadFpRound);
    b.push(Inst::WriteFpRound { value: round });
    b.push(Inst::Fence { kind: FenceKind::Full });
    b.push(Inst::Fence { kind: FenceKind::Light });
    b.set(X[1], old);
    let mut state = CpuState { fp_flags: 17, fp_round: 3, ..cpu(&[2]) };
    assert_eq!(run(&t.code(), &mut state, &mut Memory::new(0)), Exit::Next);
    assert_eq!((state.get(X[1]), state.fp_flags, state.fp_round), (17, 2, 3));
}
