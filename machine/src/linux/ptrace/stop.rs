//! The instruction that a guest's thread stops at for its tracer.

use super::block::Block;
use std::arch::global_asm;

/// In rax at the stop, so that the tracer's emulator knows it for one; rdi is the block's address.
pub(in crate::linux) const MARK: u64 = 0x656d_7520_7374_6f70;

unsafe extern "C" {
    fn emu_trace_stop(block: u64, mark: u64);
    static emu_trace_stop_end: u8;
}

// emu_trace_stop(block: rdi, mark: rsi).
global_asm!(
    ".globl emu_trace_stop, emu_trace_stop_end",
    "emu_trace_stop:",
    "mov rax, rsi",
    "int3",
    "emu_trace_stop_end:",
    "ret",
);

/// Stops the calling thread until its tracer lets it go on; at once if it has none (any more).
pub(super) fn stop(block: &Block) {
    // SAFETY: the function changes rax alone. The breakpoint's signal is taken by the tracer or by the handler of
    // caught signals, which goes on behind it (`is_stop`). What others write meanwhile are the block's atomics.
    unsafe { emu_trace_stop(block.address(), MARK) };
}

/// Is it behind the breakpoint?
pub(in crate::linux) fn is_stop(pc: u64) -> bool {
    pc == &raw const emu_trace_stop_end as u64
}
