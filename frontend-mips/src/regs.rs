//! Where the registers live in [`emu_ir::CpuState`], and what the ABI calls them.

use emu_ir::{HOT_SLOTS, Slot, SlotInfo, Type};

/// `$ra`, the return address.
pub const RA: u32 = 31;

/// The slot of `$1` … `$31`.
///
/// # Panics
/// For `$zero`, which is no register (a bug of the caller: only [`crate::lower::Lower::gpr`] and
/// [`crate::lower::Lower::set_gpr`] know about it).
pub const fn gpr_slot(reg: u32) -> Slot {
    assert!(reg >= 1 && reg < 32);
    Slot(reg as u16)
}

/// The slot of `$f0` … `$f31`, 64 bits wide. With `FR` = 0 only the even ones are used: the low half is the even
/// register, the high half the odd one after it.
pub const fn fpr_slot(reg: u32) -> Slot {
    assert!(reg < 32);
    Slot(32 + reg as u16)
}

/// `HI`.
pub const HI: Slot = Slot(64);
/// `LO`.
pub const LO: Slot = Slot(65);
// 66 … 71 are for the accumulators of the DSP module.
/// `UserLocal`, which `rdhwr $29` reads: the thread pointer. Linux sets it by `set_thread_area`.
pub const USER_LOCAL: Slot = Slot(72);
/// What of `FCSR` has no place of its own: FS, Enables, and Cause where [`FP_WORD`] is 0 (see [`crate::fcsr`]).
pub const FCSR: Slot = Slot(73);
/// The floating-point instruction that ran last, from which Cause is computed when somebody asks; 0 for none.
pub const FP_WORD: Slot = Slot(82);
/// The layout of the floating-point registers, as [`crate::fcsr::set_fr_mode`] puts it; 0: as configured.
pub const FP_MODE: Slot = Slot(86);

/// Not 0: a misaligned access is an error, as a program can ask Linux for (`MIPS_FIXADE`).
pub const STRICT: Slot = Slot(87);

/// Floating-point condition `cc`, 0 or 1.
pub const fn fcc_slot(cc: u32) -> Slot {
    assert!(cc < 8);
    Slot(74 + cc as u16)
}

/// The operands of the instruction in [`FP_WORD`], in the order in which its lowering reads them.
pub const fn fp_operand_slot(n: usize) -> Slot {
    assert!(n < 3);
    Slot(83 + n as u16)
}

/// ABI names of the general registers (o32's).
#[rustfmt::skip]
pub const GPR_NAMES: [&str; 32] = [
    "zero", "at", "v0", "v1", "a0", "a1", "a2", "a3", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7",
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "t8", "t9", "k0", "k1", "gp", "sp", "fp", "ra",
];

/// Names of the floating-point registers.
#[rustfmt::skip]
pub const FPR_NAMES: [&str; 32] = [
    "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12", "f13", "f14", "f15",
    "f16", "f17", "f18", "f19", "f20", "f21", "f22", "f23", "f24", "f25", "f26", "f27", "f28", "f29", "f30", "f31",
];

const FCC_NAMES: [&str; 8] = ["fcc0", "fcc1", "fcc2", "fcc3", "fcc4", "fcc5", "fcc6", "fcc7"];
const OPERAND_NAMES: [&str; 3] = ["fp_a", "fp_b", "fp_c"];

/// `v0`, `sp`, `v1`, `a0`, `gp`, `a1`: two thirds of the registers that instructions of Debian's perl, bash and C library name.
pub(crate) const HOT: [Slot; HOT_SLOTS] =
    [gpr_slot(2), gpr_slot(29), gpr_slot(3), gpr_slot(4), gpr_slot(28), gpr_slot(5)];

/// All slots of a processor with general registers of that width.
pub(crate) fn slots(bits: u32) -> Vec<SlotInfo> {
    let word = if bits == 64 { Type::I64 } else { Type::I32 };
    let info = |slot, name, ty| SlotInfo { slot, name, ty };
    let mut list: Vec<_> = (1..32).map(|r| info(gpr_slot(r), GPR_NAMES[r as usize], word)).collect();
    list.extend((0..32).map(|r| info(fpr_slot(r), FPR_NAMES[r as usize], Type::F64)));
    list.extend([info(HI, "hi", word), info(LO, "lo", word), info(USER_LOCAL, "userlocal", word)]);
    list.push(info(FCSR, "fcsr", Type::I32));
    list.extend((0..8).map(|cc| info(fcc_slot(cc), FCC_NAMES[cc as usize], Type::I8)));
    list.push(info(FP_WORD, "fp_word", Type::I32));
    list.extend((0..3).map(|n| info(fp_operand_slot(n), OPERAND_NAMES[n], Type::F64)));
    list.extend([info(FP_MODE, "fp_mode", Type::I32), info(STRICT, "strict", Type::I32)]);
    list
}
