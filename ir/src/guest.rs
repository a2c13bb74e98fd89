//! The contracts: what a guest architecture gives, what an engine needs from the machine, how it returns.

use crate::block::{Block, BlockKey};
use crate::op::AtomicOp;
use crate::state::{CpuState, Slot, SlotInfo};

/// Why a memory access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultCause {
    /// Nothing is mapped there (SEGV_MAPERR).
    Unmapped,
    /// The mapping does not allow it (SEGV_ACCERR).
    Protected,
    /// The address is not aligned and the access has to be (BUS_ADRALN).
    Misaligned,
    /// The mapping has nothing behind it, as beyond the end of a file (BUS_ADRERR).
    Bus,
}

/// What the access was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AccessKind {
    Read,
    Write,
    Execute,
}

/// A memory access that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The guest address that could not be accessed (of the first bad byte where the access spans pages).
    pub addr: u64,
    /// Read, write or execute.
    pub access: AccessKind,
    /// Why.
    pub cause: FaultCause,
}

/// An architectural exception that is not a memory fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrapKind {
    /// Reserved, disabled or unimplemented; `word` holds the instruction's bytes.
    IllegalInstruction {
        /// The encoding.
        word: u32,
    },
    /// The breakpoint instruction.
    Breakpoint {
        /// The instruction's code field, where it has one (MIPS `break`).
        code: u32,
    },
    /// A conditional trap instruction (MIPS `teq` and its kin).
    Conditional {
        /// The code field.
        code: u32,
    },
    /// Overflow of a trapping addition or subtraction (MIPS).
    IntegerOverflow,
    /// An enabled floating-point exception (MIPS).
    FloatException,
    /// An instruction of a coprocessor that this program may not use (MIPS: `mfc0` in user mode).
    CoprocessorUnusable {
        /// The coprocessor's number.
        unit: u8,
    },
    /// A jump or taken branch to an address that cannot hold an instruction; raised at the jump (RISC-V without C).
    MisalignedTarget,
}

/// A trap; the pc of the instruction that raised it is `CpuState::pc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trap {
    /// Which.
    pub kind: TrapKind,
}

/// Why an engine returned. `CpuState` is exact in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The engine has no code for `CpuState::pc`; no other reason.
    Next,
    /// A system call: `pc` is the address after the instruction, `insn` that of the instruction.
    Syscall {
        /// Address of the instruction, for a restart.
        insn: u64,
    },
    /// A trap; `pc` is at the instruction.
    Trap(Trap),
    /// A memory fault; `pc` is at the instruction.
    Fault(Fault),
    /// Instruction memory may have changed; `pc` is after the instruction.
    InsnFence,
    /// `CpuState::mode` must be computed anew; `pc` is after the instruction.
    ModeChange,
    /// The guest waits for others.
    Yield,
    /// `CpuState::interrupt` is set.
    Interrupted,
    /// The instruction budget is used up.
    Budget,
}

/// Counters that a guest may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Clock cycles.
    Cycle,
    /// Wall-clock time in ticks of the platform's timer.
    Time,
    /// Instructions retired.
    Instret,
}

/// What an engine needs of the machine while guest code runs.
///
/// Values are little endian and zero-extended; engines swap for big-endian accesses.
pub trait Env {
    /// Reads `bytes` (1, 2, 4, 8) of guest memory; need not be aligned.
    fn load(&mut self, addr: u64, bytes: u8) -> Result<u64, Fault>;
    /// Writes `bytes` of guest memory.
    fn store(&mut self, addr: u64, bytes: u8, value: u64) -> Result<(), Fault>;
    /// Atomic read-modify-write; `bytes` is 1, 2, 4 or 8; a misaligned address is a fault. Returns the old value.
    fn atomic_rmw(&mut self, op: AtomicOp, addr: u64, bytes: u8, value: u64) -> Result<u64, Fault>;
    /// Atomic compare and swap; returns the old value (equal to `expected` if and only if it stored).
    fn atomic_cas(&mut self, addr: u64, bytes: u8, expected: u64, new: u64) -> Result<u64, Fault>;
    /// A sequentially consistent fence.
    fn fence(&mut self);
    /// A counter's value.
    fn counter(&mut self, counter: Counter) -> u64;
    /// Compiled code that was made to announce its accesses is about to make one. False: it leaves the instruction to
    /// the interpreter. (The interpreter announces nothing: its accesses are calls of this trait.)
    fn announce(&mut self, access: AccessKind, addr: u64, bytes: u8) -> bool {
        let _ = (access, addr, bytes);
        true
    }
}

/// Reads guest memory as instructions.
pub trait Fetch {
    /// The 16 bits at `addr` (two-byte aligned), little endian.
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault>;
    /// The 32 bits at `addr`, little endian; a fault names the half that failed.
    fn fetch32(&mut self, addr: u64) -> Result<u32, Fault> {
        let low = self.fetch16(addr)?;
        let high = self.fetch16(addr.wrapping_add(2))?;
        Ok(u32::from(high) << 16 | u32::from(low))
    }
}

/// A guest-only operation that has no IR op, called by [`crate::Inst::Call`].
#[derive(Clone, Copy)]
pub struct HelperDef {
    /// Its name in the text form.
    pub name: &'static str,
    /// The function: state, environment, arguments (zero-extended).
    pub func: fn(&mut CpuState, &mut dyn Env, &[u64]) -> Result<u64, Trap>,
}

/// How many registers [`Guest::hot_slots`] names.
pub const HOT_SLOTS: usize = 6;

/// A guest architecture, configured (XLEN, extensions, endianness are runtime values).
pub trait Guest: Send + Sync {
    /// Its name for people, as `rv64gc`.
    fn name(&self) -> String;
    /// Width of an address and of a general register: 32 or 64.
    fn address_bits(&self) -> u32;
    /// The register slots, each with its name and type.
    fn slots(&self) -> &[SlotInfo];
    /// The general registers that programs use most: compiled code may keep these in the host's.
    fn hot_slots(&self) -> [Slot; HOT_SLOTS];
    /// The helpers that its blocks call.
    fn helpers(&self) -> &[HelperDef];
    /// The mode bits of the current state: what a [`BlockKey`] must carry beside the pc.
    fn mode(&self, cpu: &CpuState) -> u32;
    /// Translates the instructions from `key.pc` on, at most `max_insns` (at least one).
    ///
    /// # Errors
    /// The fault of fetching the first instruction. A later one ends the block before it.
    fn translate(&self, key: BlockKey, code: &mut dyn Fetch, max_insns: usize) -> Result<Block, Fault>;
    /// The instruction at `pc` in the manual's assembly, and its length in bytes.
    ///
    /// # Errors
    /// The fault of fetching it.
    fn disassemble(&self, pc: u64, code: &mut dyn Fetch) -> Result<(String, u8), Fault>;
    /// Which extension an illegal instruction belongs to, for people; `None` if the encoding does not say.
    fn missing(&self, _word: u32) -> Option<String> {
        None
    }
}
