//! Where the registers live in [`emu_ir::CpuState`], and what the ABI calls them.

use emu_ir::{HOT_SLOTS, Slot, SlotInfo, Type};

/// `ra`, the return address.
pub const RA: u32 = 1;
/// `sp`, the stack pointer.
pub const SP: u32 = 2;
/// `t0`, the alternate link register.
pub const T0: u32 = 5;

/// The slot of `x1` … `x31`.
///
/// # Panics
/// For `x0`, which is no register (a bug of the caller: only [`crate::lower::Lower::x`] and
/// [`crate::lower::Lower::set_x`] know about it).
pub const fn x_slot(reg: u32) -> Slot {
    assert!(reg >= 1 && reg < 32);
    Slot(reg as u16)
}

/// The slot of `f0` … `f31`.
pub const fn f_slot(reg: u32) -> Slot {
    assert!(reg < 32);
    Slot(32 + reg as u16)
}

/// ABI names of the integer registers.
#[rustfmt::skip]
pub const X_NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// ABI names of the floating-point registers.
#[rustfmt::skip]
pub const F_NAMES: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
];

/// Is it a register that holds return addresses by convention (unprivileged manual, "Return-address stack hints")?
pub const fn is_link(reg: u32) -> bool {
    reg == RA || reg == T0
}

/// `a5`, `sp`, `a0`, `a4`, `s0`, `a3`: six of ten registers that instructions of Debian's python3, perl, cc1 and C library name.
pub(crate) const HOT: [Slot; HOT_SLOTS] = [x_slot(15), x_slot(SP), x_slot(10), x_slot(14), x_slot(8), x_slot(13)];

/// All slots of a hart: the integer registers, and the floating-point ones if it has them.
pub(crate) fn slots(xlen: u32, float: bool) -> Vec<SlotInfo> {
    let x_type = if xlen == 64 { Type::I64 } else { Type::I32 };
    let x = (1..32).map(|r| SlotInfo { slot: x_slot(r), name: X_NAMES[r as usize], ty: x_type });
    let f = (0..32).map(|r| SlotInfo { slot: f_slot(r), name: F_NAMES[r as usize], ty: Type::F64 });
    x.chain(f.filter(|_| float)).collect()
}
