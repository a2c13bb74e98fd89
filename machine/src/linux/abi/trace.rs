//! Registers as debuggers see them.

/// How many general registers there can be, the pc and special ones included.
pub const GENERAL: usize = 39;
/// How many floating-point registers there can be, the control register included.
pub const FLOAT: usize = 33;

/// The registers of a traced thread, in an order that only the ABI knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TraceRegisters {
    pub general: [u64; GENERAL],
    pub float: [u64; FLOAT],
}

impl Default for TraceRegisters {
    fn default() -> Self {
        TraceRegisters { general: [0; GENERAL], float: [0; FLOAT] }
    }
}

/// The sets of registers that requests are about (`NT_PRSTATUS` and `NT_PRFPREG`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RegisterSet {
    General,
    Float,
}
