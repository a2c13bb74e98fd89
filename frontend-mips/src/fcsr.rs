//! The control registers of the floating-point unit.
//!
//! `FCSR` lies in pieces: the rounding mode and the accrued flags where the IR's ops have them, the conditions in slots of
//! their own, Enables and FS in [`crate::regs::FCSR`]; Cause is that of the instruction that ran last, computed when it is asked for
//! (`exact`). The other registers are views of it.

use crate::config::{Config, FrMode, Releases};
use crate::exact::{self, helper};
use crate::lower::{Flow, Lower};
use crate::regs::{FCSR, FP_MODE, FP_WORD, fcc_slot};
use emu_ir::{BinaryOp, CpuState, ExitKind, Inst, Terminator, Trap, TrapKind, Type, Value};

/// Flush to zero.
pub const FS: u32 = 1 << 24;
/// The bits of Enables.
pub const ENABLES: u32 = 0x1f << ENABLES_LOW;
/// The bits of Cause that `exact` knows; `E`, the unimplemented operation, above them, is never raised by itself.
pub const CAUSE: u32 = 0x1f << CAUSE_LOW;
const UNIMPLEMENTED: u32 = 1 << 17;
const ABS2008: u32 = 1 << 19;
const NAN2008: u32 = 1 << 18;
const FLAGS: u32 = 0x1f << FLAGS_LOW;
const ROUND: u32 = 3;
pub(crate) const CAUSE_LOW: u32 = 12;
pub(crate) const ENABLES_LOW: u32 = 7;
const FLAGS_LOW: u32 = 2;

/// What the slot [`FCSR`] holds.
const IN_SLOT: u32 = FS | ENABLES | CAUSE | UNIMPLEMENTED;

/// The IR's rounding mode of `FCSR.RM`, and the inverse: up is 2 here and 3 there.
const fn swap_round(mode: u32) -> u32 {
    mode ^ mode >> 1
}

/// Where condition `cc` is in `FCSR`.
const fn fcc_bit(cc: u32) -> u32 {
    if cc == 0 { 23 } else { 24 + cc }
}

fn has_conditions(config: &Config) -> bool {
    !config.release.is_r6()
}

/// How many conditions: one before MIPS IV.
fn conditions(config: &Config) -> u32 {
    match () {
        () if !has_conditions(config) => 0,
        () if Releases::IV.contains(config.release) => 8,
        () => 1,
    }
}

fn fixed_bits(config: &Config) -> u32 {
    (if config.nan2008 { NAN2008 } else { 0 }) | if config.abs2008 { ABS2008 } else { 0 }
}

/// The register's value, as a signal frame or a debugger has it.
pub fn read(cpu: &CpuState, config: &Config) -> u32 {
    let conditions = (0..conditions(config)).fold(0, |all, cc| all | (cpu.get(fcc_slot(cc)) as u32) << fcc_bit(cc));
    let held = cpu.get(FCSR) as u32 & !CAUSE;
    held | exact::cause(cpu, config) << CAUSE_LOW
        | conditions
        | fixed_bits(config)
        | cpu.fp_flags << FLAGS_LOW & FLAGS
        | swap_round(cpu.fp_round & ROUND)
}

/// Sets the register, as a return from a signal does; exceptions in it are not raised. The mode must be computed anew.
pub fn write(cpu: &mut CpuState, config: &Config, value: u32) {
    cpu.set(FCSR, (value & IN_SLOT).into());
    cpu.set(FP_WORD, 0);
    for cc in 0..conditions(config) {
        cpu.set(fcc_slot(cc), (value >> fcc_bit(cc) & 1).into());
    }
    cpu.fp_flags = (value & FLAGS) >> FLAGS_LOW;
    cpu.fp_round = swap_round(value & ROUND);
}

/// How the floating-point registers are laid out now.
pub fn fr_mode(cpu: &CpuState, config: &Config) -> FrMode {
    match cpu.get(FP_MODE) {
        1 => FrMode::Pairs,
        2 => FrMode::Wide,
        3 => FrMode::Emulated,
        _ => config.fr,
    }
}

/// Changes the layout, as Linux does for `prctl(PR_SET_FP_MODE)`; the registers' contents are not moved. The mode must be
/// computed anew.
pub fn set_fr_mode(cpu: &mut CpuState, mode: FrMode) {
    let number = match mode {
        FrMode::Pairs => 1,
        FrMode::Wide => 2,
        FrMode::Emulated => 3,
    };
    cpu.set(FP_MODE, number);
}

/// Are exceptions enabled, or is FS set?
pub(crate) fn needs_exact(cpu: &CpuState) -> bool {
    cpu.get(FCSR) as u32 & (ENABLES | FS) != 0
}

/// Raises the exceptions that a value to be written has in both Cause and Enables: the register is written first.
pub(crate) fn check(cpu: &mut CpuState, config: &Config, value: u32) -> Result<(), Trap> {
    let raised = value >> CAUSE_LOW & (value >> ENABLES_LOW & 0x1f | UNIMPLEMENTED >> CAUSE_LOW);
    if raised == 0 {
        return Ok(());
    }
    write(cpu, config, value);
    Err(Trap { kind: TrapKind::FloatException })
}

/// A control register, as CFC1 and CTC1 name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// FIR, read-only: what the unit has.
    Implementation,
    /// FCCR: the conditions.
    Conditions,
    /// FEXR: Cause and Flags.
    Exceptions,
    /// FENR: Enables, FS and RM.
    Enables,
    /// FCSR.
    Control,
}

/// The register of that number; `None` if there is none. (Linux refuses the two that would change `FR`.)
pub fn find(number: u32, config: &Config) -> Option<Register> {
    let r1 = Releases::R1.contains(config.release);
    match number {
        0 => Some(Register::Implementation),
        25 if r1 && has_conditions(config) => Some(Register::Conditions),
        26 if r1 => Some(Register::Exceptions),
        28 if r1 => Some(Register::Enables),
        31 => Some(Register::Control),
        _ => None,
    }
}

/// FIR: the formats, 64-bit registers, 2008 NaNs. The processor's number is left out.
pub fn implementation(config: &Config) -> u32 {
    let has = |set: Releases, bits: u32| if set.contains(config.release) { bits } else { 0 };
    let (s_d, paired, w, l, f64, has2008) = (3 << 16, 1 << 18, 1 << 20, 1 << 21, 1 << 22, 1 << 23);
    s_d | has(Releases::R1, w)
        | has(Releases::FPU64.both(Releases::R1), l | f64)
        | if config.paired_single { paired } else { 0 }
        | if config.nan2008 || config.release.is_r6() { has2008 } else { 0 }
}

/// A run of bits of FCSR and where a view shows it.
struct View {
    mask: u32,
    /// To the left if positive, from FCSR to the view.
    shift: i32,
}

impl Register {
    /// How it maps to FCSR, but for the conditions, which FCCR has side by side.
    fn views(self) -> &'static [View] {
        match self {
            Register::Exceptions => &[View { mask: CAUSE | UNIMPLEMENTED | FLAGS, shift: 0 }],
            Register::Enables => &[View { mask: ENABLES | ROUND, shift: 0 }, View { mask: FS, shift: -22 }],
            Register::Control | Register::Implementation | Register::Conditions => &[],
        }
    }

    /// Its value, an `i32`.
    pub(crate) fn read(self, t: &mut Lower) -> Value {
        match self {
            Register::Implementation => t.ir.iconst(Type::I32, implementation(t.config()).into()),
            Register::Conditions => conditions_at(t, |cc| cc),
            Register::Control => control(t),
            Register::Exceptions | Register::Enables => {
                let all = control(t);
                let parts = self.views().iter().map(|v| {
                    let bits = t.with_imm(BinaryOp::And, all, v.mask.into());
                    if v.shift == 0 { bits } else { t.with_imm(BinaryOp::ShrU, bits, (-v.shift).into()) }
                });
                let parts: Vec<_> = parts.collect();
                parts.into_iter().reduce(|a, b| t.ir.or(a, b)).unwrap_or(all)
            }
        }
    }

    /// Writes an `i32`. The rounding mode may change, so the block ends.
    pub(crate) fn write(self, t: &mut Lower, value: Value) -> Flow {
        let value = match self {
            Register::Implementation => return Flow::Next,
            Register::Control => value,
            Register::Conditions => {
                set_conditions(t, value, |cc| cc);
                return Flow::Next;
            }
            Register::Exceptions | Register::Enables => {
                let mut all = control(t);
                for v in self.views() {
                    let moved = if v.shift == 0 { value } else { t.with_imm(BinaryOp::Shl, value, (-v.shift).into()) };
                    let new = t.with_imm(BinaryOp::And, moved, v.mask.into());
                    let kept = t.with_imm(BinaryOp::And, all, (!v.mask).into());
                    all = t.ir.or(kept, new);
                }
                all
            }
        };
        set_control(t, value)
    }
}

/// FCSR, as [`read`] computes it.
fn control(t: &mut Lower) -> Value {
    let setup = exact::setup(t);
    let mut all = t.ir.call(helper::FCSR, Type::I32, &[setup]);
    let flags = t.ir.push(Inst::ReadFpFlags);
    let flags = t.with_imm(BinaryOp::Shl, flags, FLAGS_LOW.into());
    let round = t.ir.push(Inst::ReadFpRound);
    let high = t.with_imm(BinaryOp::ShrU, round, 1);
    let round = t.ir.xor(round, high);
    let conditions = conditions_at(t, fcc_bit);
    for part in [flags, round, conditions] {
        all = t.ir.or(all, part);
    }
    all
}

/// What of FCSR is not the flags, the rounding mode or a condition.
pub(crate) fn rest(cpu: &CpuState, config: &Config) -> u32 {
    cpu.get(FCSR) as u32 & !CAUSE | exact::cause(cpu, config) << CAUSE_LOW | fixed_bits(config)
}

/// The conditions, each at the bit that `place` says.
fn conditions_at(t: &mut Lower, place: fn(u32) -> u32) -> Value {
    let mut all = t.ir.iconst(Type::I32, 0);
    for cc in 0..conditions(t.config()) {
        let set = t.fcc(cc);
        let bit = t.ir.zext(Type::I32, set);
        let bit = t.with_imm(BinaryOp::Shl, bit, place(cc).into());
        all = t.ir.or(all, bit);
    }
    all
}

fn set_conditions(t: &mut Lower, value: Value, place: fn(u32) -> u32) {
    for cc in 0..conditions(t.config()) {
        let bit = t.with_imm(BinaryOp::ShrU, value, place(cc).into());
        let bit = t.ir.trunc(Type::I8, bit);
        let bit = t.with_imm(BinaryOp::And, bit, 1);
        t.ir.set(fcc_slot(cc), bit);
    }
}

/// As [`write()`], after [`check`].
fn set_control(t: &mut Lower, value: Value) -> Flow {
    let setup = exact::setup(t);
    t.ir.call(helper::CHECK, Type::I32, &[setup, value]);
    let held = t.with_imm(BinaryOp::And, value, IN_SLOT.into());
    t.ir.set(FCSR, held);
    let none = t.ir.iconst(Type::I32, 0);
    t.ir.set(FP_WORD, none);
    set_conditions(t, value, fcc_bit);
    let flags = t.with_imm(BinaryOp::ShrU, value, FLAGS_LOW.into());
    let flags = t.with_imm(BinaryOp::And, flags, 0x1f);
    t.ir.push(Inst::WriteFpFlags { value: flags });
    let round = t.with_imm(BinaryOp::And, value, ROUND.into());
    let high = t.with_imm(BinaryOp::ShrU, round, 1);
    let round = t.ir.xor(round, high);
    t.ir.push(Inst::WriteFpRound { value: round });
    Flow::End(Terminator::Exit { kind: ExitKind::ModeChange, next: t.pc_plus(4) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Release;

    #[test]
    fn what_is_written_is_read() {
        let config = Config::new(Release::Mips32R2);
        let mut cpu = CpuState::default();
        for value in [0, 0xff83_ffff & !(ABS2008 | NAN2008), 0x0100_0f82, 3, 2] {
            write(&mut cpu, &config, value);
            assert_eq!(read(&cpu, &config), value, "{value:#x}");
        }
        assert_eq!(cpu.fp_round, 3, "up");
        let config = Config::new(Release::Mips64R6);
        write(&mut cpu, &config, u32::MAX);
        assert_eq!(read(&cpu, &config), FS | ABS2008 | NAN2008 | 0x3_ffff);
    }
}
