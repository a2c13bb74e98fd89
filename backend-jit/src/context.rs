//! The memory that compiled code works on.

use emu_ir::{CpuState, Env, Fault, HelperDef};
use std::mem::offset_of;

/// Entries of the per-hart cache of indirect jump targets (a power of two).
pub(crate) const JUMP_CACHE: usize = 4096;

/// MXCSR with all exceptions masked, no flag raised, rounding to nearest: what Rust code runs with.
pub(crate) const DEFAULT_MXCSR: u32 = 0x1f80;

/// Why compiled code returned; the value of `Context::exit_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExitCode {
    /// Go on at `cpu.pc`; `link` may name a slot that wants the code found there.
    Next = 0,
    /// A system call; `cpu.pc` is after it, `exit_aux` at it.
    Syscall = 1,
    /// Let the interpreter run from `cpu.pc`: a trap, a rare instruction, or a fault to be found again.
    Interpret = 2,
    /// `cpu.interrupt` was seen.
    Interrupted = 3,
    /// `cpu.insn_count` would pass `insn_limit`.
    Budget = 4,
    /// A memory fault in code without precise state: `cpu.pc` is exact, the registers are not.
    ImpreciseFault = 5,
    /// `cpu.mode` must be computed anew; `cpu.pc` is after the instruction.
    ModeChange = 6,
}

/// One entry of the jump cache.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct JumpEntry {
    pub(crate) pc: u64,
    pub(crate) code: u64,
}

/// The empty jump cache. An entry is empty if its pc belongs to another one: nobody who looks there has it. (A guest may jump
/// to an odd address, to fault there.)
pub(crate) const EMPTY_CACHE: [JumpEntry; JUMP_CACHE] = {
    let mut cache = [JumpEntry { pc: 0, code: 0 }; JUMP_CACHE];
    cache[0].pc = 2;
    cache
};

/// State of one hart, with what compiled code needs beside the guest's registers.
///
/// Compiled code keeps a pointer to it in a register; every field is addressed by a fixed offset.
#[repr(C)]
pub struct Context {
    /// The guest's registers.
    pub cpu: CpuState,
    /// Host address of guest address 0.
    pub mem_base: u64,
    /// The slot that compiled code left through, or 0.
    pub(crate) link: u64,
    pub(crate) exit_kind: u32,
    /// MXCSR while guest code runs.
    pub(crate) mxcsr: u32,
    /// A second word for some exits.
    pub exit_aux: u64,
    /// Code compiled with counting leaves before `cpu.insn_count` passes this.
    pub insn_limit: u64,
    /// Host stack pointer at the entry into compiled code; a fault unwinds to it.
    pub(crate) host_sp: u64,
    /// Address of the helper trampoline.
    pub(crate) helper_entry: u64,
    /// Address of the stub that looks indirect targets up.
    pub(crate) indirect_stub: u64,
    /// A helper raised a trap.
    pub(crate) helper_trapped: u32,
    /// Region-relative index of the last checkpointed guest instruction, and where the guest goes on (`analysis::Resume`).
    pub(crate) checkpoint: u32,
    /// `cpu.insn_count` at the checkpoint, in code that counts.
    pub(crate) checkpoint_count: u64,
    /// Where compiled code stores what nobody needs.
    pub(crate) unused: u64,
    /// The fault behind [`ExitCode::ImpreciseFault`].
    pub fault: Option<Fault>,
    pub(crate) jump_cache: Box<[JumpEntry; JUMP_CACHE]>,
    pub(crate) env: Option<*mut dyn Env>,
    pub(crate) helpers: *const [HelperDef],
}

/// Offsets of the fields that compiled code touches.
pub(crate) mod offset {
    use super::*;

    pub(crate) const fn slot(index: u16) -> i32 {
        (offset_of!(Context, cpu) + offset_of!(CpuState, slots) + index as usize * 8) as i32
    }

    macro_rules! cpu {
        ($name:ident, $field:ident) => {
            pub(crate) const $name: i32 = (offset_of!(Context, cpu) + offset_of!(CpuState, $field)) as i32;
        };
    }
    macro_rules! own {
        ($name:ident, $field:ident) => {
            pub(crate) const $name: i32 = offset_of!(Context, $field) as i32;
        };
    }
    cpu!(PC, pc);
    cpu!(RESERVATION_ADDR, reservation_addr);
    cpu!(RESERVATION_VALUE, reservation_value);
    cpu!(INSN_COUNT, insn_count);
    cpu!(FP_ROUND, fp_round);
    cpu!(INTERRUPT, interrupt);
    own!(MEM_BASE, mem_base);
    own!(LINK, link);
    own!(EXIT_KIND, exit_kind);
    own!(EXIT_AUX, exit_aux);
    own!(INSN_LIMIT, insn_limit);
    own!(HELPER_ENTRY, helper_entry);
    own!(INDIRECT_STUB, indirect_stub);
    own!(HELPER_TRAPPED, helper_trapped);
    own!(CHECKPOINT, checkpoint);
    own!(CHECKPOINT_COUNT, checkpoint_count);
    own!(UNUSED, unused);
    own!(JUMP_CACHE_PTR, jump_cache);
}

impl Context {
    /// The jump-cache index of a target: instructions are at least two-byte aligned.
    pub(crate) fn jump_index(pc: u64) -> usize {
        (pc >> 1) as usize & (JUMP_CACHE - 1)
    }

    /// Remembers that the code for `pc` is at `code`.
    pub(crate) fn remember(&mut self, pc: u64, code: u64) {
        self.jump_cache[Self::jump_index(pc)] = JumpEntry { pc, code };
    }

    /// Forgets all remembered code, as after an invalidation or a change of mode.
    pub fn forget_code(&mut self) {
        *self.jump_cache = EMPTY_CACHE;
    }

    /// Sets MXCSR up from the guest's rounding mode, with no flag raised.
    pub(crate) fn load_fp(&mut self) {
        // RISC-V numbers nearest, zero, down, up; x86 nearest, down, up, zero. Other modes never reach
        // inline code: the decoder gives such blocks static rounding.
        let rc = [0, 3, 1, 2].get(self.cpu.fp_round as usize).copied().unwrap_or(0);
        self.mxcsr = DEFAULT_MXCSR | rc << 13;
    }

    /// Moves the flags raised in MXCSR to the guest's accrued flags.
    pub(crate) fn collect_flags(&mut self) {
        self.cpu.fp_flags |= flags_of_mxcsr(self.mxcsr);
        self.mxcsr &= !0x3f;
    }
}

/// IE, ZE, OE, UE, PE as NV, DZ, OF, UF, NX (DE has no counterpart).
pub(crate) fn flags_of_mxcsr(mxcsr: u32) -> u32 {
    (mxcsr & 1) << 4 | (mxcsr & 4) << 1 | (mxcsr & 8) >> 1 | (mxcsr & 0x10) >> 3 | (mxcsr & 0x20) >> 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sticky_bit_has_its_flag() {
        let pairs = [(1, 16), (2, 0), (4, 8), (8, 4), (16, 2), (32, 1), (63, 31)];
        for (mxcsr, flags) in pairs {
            assert_eq!(flags_of_mxcsr(mxcsr), flags);
        }
    }
}
