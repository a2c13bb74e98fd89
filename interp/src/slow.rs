//! The ops that carry their whole IR instruction: atomics, state, helpers.

use crate::opcode::Op;
use emu_ir::{AccessKind, CpuState, Env, Exit, Fault, FaultCause, FenceKind, Inst, NO_RESERVATION, ScId, Trap, Type};
use std::sync::atomic::{Ordering, fence};

/// An op that keeps its IR instruction.
pub(crate) struct SlowOp {
    pub(crate) inst: Inst,
    pub(crate) helper: Option<Helper>,
    /// Address of the guest instruction.
    pub(crate) pc: u64,
    /// Guest instructions before it in the block.
    pub(crate) retired: u64,
}

type Helper = fn(&mut CpuState, &mut dyn Env, &[u64]) -> Result<u64, Trap>;

impl SlowOp {
    /// Computes the result (0 where there is none), or says why the block is left.
    pub(crate) fn run<E: Env>(&self, op: &Op, cpu: &mut CpuState, env: &mut E) -> Result<u64, Exit> {
        let [a, b, c] = [op.a, op.b, op.c].map(|at| cpu.slots[usize::from(at)]);
        Ok(match self.inst {
            Inst::AtomicRmw { op, ty, .. } => env.atomic_rmw(op, a, ty.bytes(), b).map_err(Exit::Fault)?,
            Inst::AtomicCas { ty, .. } => env.atomic_cas(a, ty.bytes(), b, c).map_err(Exit::Fault)?,
            Inst::LoadReserved { ty, id, .. } => load_reserved(cpu, env, (ty, id), a).map_err(Exit::Fault)?,
            Inst::StoreConditional { ty, id, .. } => {
                store_conditional(cpu, env, (ty, id), a, b).map_err(Exit::Fault)?
            }
            Inst::Call { count, .. } => self.call(cpu, env, &[a, b, c][..usize::from(count)])?,
            Inst::Fence { kind } => {
                match kind {
                    FenceKind::Light => fence(Ordering::AcqRel),
                    FenceKind::Full => env.fence(),
                }
                0
            }
            Inst::ReadFpFlags => cpu.fp_flags.into(),
            Inst::ReadFpRound => cpu.fp_round.into(),
            Inst::WriteFpFlags { .. } => {
                cpu.fp_flags = a as u32 & 0x1f;
                0
            }
            Inst::WriteFpRound { .. } => {
                cpu.fp_round = a as u32;
                0
            }
            inst => unreachable!("{inst:?} has an op of its own"),
        })
    }

    /// The helper sees the exact pc and instruction count.
    fn call(&self, cpu: &mut CpuState, env: &mut dyn Env, args: &[u64]) -> Result<u64, Exit> {
        cpu.pc = self.pc;
        cpu.insn_count += self.retired;
        let helper = self.helper.expect("a call has its helper");
        let result = helper(cpu, env, args);
        cpu.insn_count -= self.retired;
        result.map_err(Exit::Trap)
    }
}

fn check_aligned(addr: u64, ty: Type, access: AccessKind) -> Result<(), Fault> {
    let aligned = addr.is_multiple_of(ty.bytes().into());
    if aligned { Ok(()) } else { Err(Fault { addr, access, cause: FaultCause::Misaligned }) }
}

fn load_reserved<E: Env>(cpu: &mut CpuState, env: &mut E, (ty, id): (Type, ScId), addr: u64) -> Result<u64, Fault> {
    check_aligned(addr, ty, AccessKind::Read)?;
    let value = env.load(addr, ty.bytes())?;
    cpu.reservation_addr = addr;
    cpu.reservation_value = value;
    cpu.reservation_for = id;
    Ok(value)
}

fn store_conditional<E: Env>(
    cpu: &mut CpuState,
    env: &mut E,
    (ty, id): (Type, ScId),
    addr: u64,
    new: u64,
) -> Result<u64, Fault> {
    check_aligned(addr, ty, AccessKind::Write)?;
    let reserved = std::mem::replace(&mut cpu.reservation_addr, NO_RESERVATION);
    if reserved != addr || !cpu.reservation_for.allows(id, ty) {
        return Ok(0);
    }
    let expected = cpu.reservation_value & ty.mask();
    Ok((env.atomic_cas(addr, ty.bytes(), expected, new)? == expected).into())
}
