//! The reference engine: runs one [`emu_ir::Block`] at a time.
//!
//! [`Code::new`] decodes a block once into a flat list of ops (`Op`, 16 bytes each) whose operands are indices into
//! [`emu_ir::CpuState::slots`]: guest registers in the lower half, temporaries in the upper. [`run`] executes them
//! by calling one small function per op (`exec`), each of which calls the next. What an op computes is said
//! in [`emu_ir::eval`] and nowhere here.
//!
//! - `plan`: which values need no op of their own (constants, extensions, register reads, fused pairs) and which
//!   live in a guest register from the start.
//! - `decode`: places the others in temporaries and emits the ops.
//! - `opcode`: the numbering of the ops; `exec`: the functions behind it, `float` those of floating point;
//!   `slow`: the ops that need the whole IR instruction (atomics, helpers).
//!
//! A fault leaves the guest's registers as they were before the faulting instruction, because a value goes straight
//! into a guest register only where nothing that may fault, and no instruction's end, lies before its `Set`.
#![forbid(unsafe_code)]

mod decode;
mod exec;
mod float;
mod opcode;
mod plan;
mod slow;

pub use decode::Code;

use emu_ir::{CpuState, Env, Exit};
use exec::{Frame, Outcome};

/// Runs the block from its first instruction to its end, or to a fault.
///
/// [`Exit::Next`] when it ended by a jump: `cpu.pc` is where to go on. The other exits are as [`Exit`] documents
/// them; [`CpuState::insn_count`] grows by the instructions retired, exact at a fault too.
#[inline]
pub fn run<E: Env>(code: &Code, cpu: &mut CpuState, env: &mut E) -> Exit {
    run_ops(code, code.ops.len(), cpu, env).unwrap_or(Exit::Next)
}

/// Like [`run`], but stops with [`Exit::Budget`] after `max_insns` instructions if the block is longer.
///
/// The stop is exact between any two instructions of a block that was not optimised. Optimisation drops a register
/// write that a later instruction of the block repeats, so in an optimised block the stop may miss such a write.
pub fn run_limited<E: Env>(code: &Code, cpu: &mut CpuState, env: &mut E, max_insns: u32) -> Exit {
    let Some(mark) = code.marks.get(max_insns as usize) else {
        return run(code, cpu, env);
    };
    run_ops(code, mark.stop as usize, cpu, env).unwrap_or_else(|| {
        cpu.pc = mark.pc;
        cpu.insn_count += u64::from(max_insns);
        Exit::Budget
    })
}

/// Runs the ops before `end`; `None` if none of them left the block.
#[inline]
fn run_ops<E: Env>(code: &Code, end: usize, cpu: &mut CpuState, env: &mut E) -> Option<Exit> {
    let mut frame = Frame::new(code);
    let mut ops = &code.ops[..end];
    loop {
        exec::next(ops, cpu, env, &mut frame);
        match frame.outcome {
            Outcome::RanOut => return None,
            Outcome::Left(exit) => return Some(exit),
            Outcome::Paused { left } => ops = &code.ops[end - left..end],
            Outcome::SideExit { left, pc } => {
                cpu.pc = pc;
                cpu.insn_count += code.insn_of(end - left) as u64;
                return Some(Exit::Next);
            }
            Outcome::Stopped { left, exit } => {
                let insn = code.insn_of(end - left);
                cpu.pc = code.marks[insn].pc;
                cpu.insn_count += insn as u64;
                return Some(exit);
            }
        }
        frame.outcome = Outcome::RanOut;
    }
}
