//! The plainest way to run a block: one value an instruction, nothing placed, nothing fused. The engine must agree.

use super::{Memory, NoGuest};
use emu_ir::eval::{self, float, float::FpEnv};
use emu_ir::*;

/// Runs the block as [`emu_interp::run`] does.
pub(crate) fn run(block: &Block, cpu: &mut CpuState, memory: &mut Memory) -> Exit {
    let mut values = vec![0; block.insts.len()];
    for (i, inst) in block.insts.iter().enumerate() {
        let before = block.marks.partition_point(|m| m.first as usize <= i) - 1;
        match step(block, inst, &values, (block.pc_of(i), before as u64), cpu, memory) {
            Ok(value) => values[i] = value,
            Err(exit) => {
                if exit != Exit::Next {
                    cpu.pc = block.pc_of(i);
                }
                cpu.insn_count += before as u64;
                return exit;
            }
        }
    }
    let (pc, exit) = match block.term {
        Terminator::Jump { target, .. } => (target, Exit::Next),
        Terminator::Branch { cond, taken, next } => (if values[cond.index()] != 0 { taken } else { next }, Exit::Next),
        Terminator::Indirect { target, .. } => (values[target.index()], Exit::Next),
        Terminator::Syscall { next } => (next, Exit::Syscall { insn: block.last_pc() }),
        Terminator::Trap { kind } => (block.last_pc(), Exit::Trap(Trap { kind })),
        Terminator::Exit { kind, next } => (next, exit_of(kind)),
        Terminator::ExitTo { kind, target } => (values[target.index()], exit_of(kind)),
    };
    cpu.pc = pc;
    cpu.insn_count += u64::from(block.insn_count()) - u64::from(matches!(block.term, Terminator::Trap { .. }));
    exit
}

fn exit_of(kind: ExitKind) -> Exit {
    match kind {
        ExitKind::InsnFence => Exit::InsnFence,
        ExitKind::ModeChange => Exit::ModeChange,
        ExitKind::Yield => Exit::Yield,
    }
}

fn step(
    block: &Block,
    inst: &Inst,
    values: &[u64],
    (pc, retired): (u64, u64),
    cpu: &mut CpuState,
    memory: &mut Memory,
) -> Result<u64, Exit> {
    let v = |value: Value| values[value.index()];
    let fp = |cpu: &CpuState, round| FpEnv {
        round: if round == Round::Dynamic { Round::ALL[cpu.fp_round as usize] } else { round },
        nan: block.nan,
    };
    let place = |addr: Value, offset| eval::effective_address(block.ty(addr), v(addr), offset);
    let fault = |addr, access| Exit::Fault(Fault { addr, access, cause: FaultCause::Misaligned });
    let mut flags = FpFlags::NONE;
    let mut raised = |(value, raised): (u64, FpFlags)| {
        flags = raised;
        value
    };
    let narrow = |bytes: u8| [Type::I8, Type::I16, Type::I32, Type::I64][bytes.ilog2() as usize];
    let swap = |access: Access, value| match access.big_endian {
        true => eval::unary(UnaryOp::Bswap, narrow(access.bytes), value),
        false => value,
    };
    let result = match *inst {
        Inst::Const { bits, .. } => bits,
        Inst::Get { slot, .. } => cpu.get(slot),
        Inst::Set { slot, value, .. } => {
            cpu.set(slot, v(value));
            0
        }
        Inst::Unary { op, ty, arg } => eval::unary(op, ty, v(arg)),
        Inst::Binary { op, ty, args: [a, b] } => eval::binary(op, ty, v(a), v(b)),
        Inst::Compare { cond, ty, args: [a, b] } => eval::compare(cond, ty, v(a), v(b)).into(),
        Inst::Select { cond, args: [a, b], .. } => v(if v(cond) != 0 { a } else { b }),
        Inst::Convert { op, ty, arg } => eval::convert(op, block.ty(arg), ty, v(arg)),
        Inst::FloatUnary { op, ty, round, arg } => raised(float::unary(op, ty, fp(cpu, round), v(arg))),
        Inst::FloatBinary { op, ty, round, args: [a, b] } => raised(float::binary(op, ty, fp(cpu, round), v(a), v(b))),
        Inst::FloatFma { ty, round, args: [a, b, c] } => raised(float::fma(ty, fp(cpu, round), v(a), v(b), v(c))),
        Inst::FloatCompare { cond, quietness, ty, args: [a, b] } => {
            let (holds, flags) = float::compare(cond, quietness, ty, block.nan, v(a), v(b));
            raised((holds.into(), flags))
        }
        Inst::FloatClass { ty, arg } => float::classify(ty, block.nan, v(arg)),
        Inst::FloatConvert { op, ty, round, arg } => {
            raised(float::convert(op, block.ty(arg), ty, fp(cpu, round), v(arg)))
        }
        Inst::Load { ty, access, addr, offset } => {
            let value = memory.load(place(addr, offset), access.bytes).map_err(Exit::Fault)?;
            let value = swap(access, value);
            match access.signed && access.bytes < ty.bytes() {
                true => eval::convert(ConvertOp::Sext, narrow(access.bytes), ty, value),
                false => value,
            }
        }
        Inst::Store { access, addr, offset, value, .. } => {
            let value = swap(access, v(value) & narrow(access.bytes).mask());
            memory.store(place(addr, offset), access.bytes, value).map_err(Exit::Fault)?;
            0
        }
        Inst::AtomicRmw { op, ty, addr, value } => {
            memory.atomic_rmw(op, v(addr), ty.bytes(), v(value)).map_err(Exit::Fault)?
        }
        Inst::AtomicCas { ty, addr, expected, new } => {
            memory.atomic_cas(v(addr), ty.bytes(), v(expected), v(new)).map_err(Exit::Fault)?
        }
        Inst::LoadReserved { ty, addr, id } => {
            if v(addr) % u64::from(ty.bytes()) != 0 {
                return Err(fault(v(addr), AccessKind::Read));
            }
            cpu.reservation_value = memory.load(v(addr), ty.bytes()).map_err(Exit::Fault)?;
            cpu.reservation_addr = v(addr);
            cpu.reservation_for = id;
            cpu.reservation_value
        }
        Inst::StoreConditional { ty, addr, value, id } => {
            if v(addr) % u64::from(ty.bytes()) != 0 {
                return Err(fault(v(addr), AccessKind::Write));
            }
            let held = cpu.reservation_addr == v(addr) && cpu.reservation_for.allows(id, ty);
            cpu.clear_reservation();
            let expected = cpu.reservation_value & ty.mask();
            let stored =
                held && memory.atomic_cas(v(addr), ty.bytes(), expected, v(value)).map_err(Exit::Fault)? == expected;
            stored.into()
        }
        Inst::Fence { .. } => 0,
        Inst::ReadFpFlags => cpu.fp_flags.into(),
        Inst::WriteFpFlags { value } => {
            cpu.fp_flags = v(value) as u32 & 0x1f;
            0
        }
        Inst::ReadFpRound => cpu.fp_round.into(),
        Inst::WriteFpRound { value } => {
            cpu.fp_round = v(value) as u32;
            0
        }
        Inst::Call { helper, .. } => {
            let args: Vec<u64> = inst.args().map(v).collect();
            let at_entry = cpu.insn_count;
            (cpu.pc, cpu.insn_count) = (pc, at_entry + retired);
            let result = (NoGuest.helpers()[usize::from(helper.0)].func)(cpu, memory, &args);
            cpu.insn_count = at_entry;
            result.map_err(Exit::Trap)?
        }
        Inst::TrapIf { cond, kind } if v(cond) != 0 => return Err(Exit::Trap(Trap { kind })),
        Inst::TrapIf { .. } => 0,
        Inst::LeaveIf { cond, target } if v(cond) != 0 => {
            cpu.pc = target;
            return Err(Exit::Next);
        }
        Inst::LeaveIf { .. } => 0,
    };
    cpu.fp_flags |= u32::from(flags.0);
    Ok(result)
}
