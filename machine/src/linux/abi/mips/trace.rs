//! Registers of MIPS as debuggers see them (`arch/mips/kernel/ptrace.c`, `asm/ptrace.h`, `asm/elf.h`).
//!
//! Here they are in the order of `struct pt_regs`: 32 general ones, LO, HI, EPC, BadVAddr, Status, Cause; then UserLocal.

use super::{Kind, Mips};
use crate::linux::abi::{Abi, FLOAT, GENERAL, RegisterSet, TraceRegisters};
use crate::linux::data::{Layout, Reader, Writer};
use emu_frontend_mips::fcsr;
use emu_frontend_mips::regs::{HI, LO, USER_LOCAL, fpr_slot, gpr_slot};
use emu_ir::CpuState;

const LO_AT: usize = 32;
const HI_AT: usize = 33;
const PC_AT: usize = 34;
/// Registers of `struct pt_regs`.
const PT_REGS: usize = 38;
const USER_LOCAL_AT: usize = 38;
/// Registers of `elf_gregset_t`, and where the first is in that of 32-bit programs.
const ELF_COUNT: usize = 45;
const ELF32_FIRST: usize = 6;
/// Addresses of `PTRACE_PEEKUSR`.
const USER_FPR: u64 = 32;
const USER_PC: u64 = 64;
const USER_CAUSE: u64 = 65;
const USER_BADVADDR: u64 = 66;
const USER_HI: u64 = 67;
const USER_LO: u64 = 68;
const USER_FCSR: u64 = 69;
const USER_FIR: u64 = 70;

/// The registers of a thread.
pub(super) fn registers(abi: &Mips, cpu: &CpuState) -> TraceRegisters {
    let mut all = TraceRegisters::default();
    for r in 1..32 {
        all.general[r] = abi.wide(cpu.get(gpr_slot(r as u32)));
    }
    all.general[LO_AT] = abi.wide(cpu.get(LO));
    all.general[HI_AT] = abi.wide(cpu.get(HI));
    all.general[PC_AT] = abi.wide(cpu.pc);
    all.general[USER_LOCAL_AT] = cpu.get(USER_LOCAL);
    for r in 0..32 {
        all.float[r] = cpu.get(fpr_slot(r as u32));
    }
    let (status, implementation) = (fcsr::read(cpu, &abi.config), fcsr::implementation(&abi.config));
    all.float[32] = u64::from(status) | u64::from(implementation) << 32;
    all
}

/// Sets general registers.
pub(super) fn set_general(abi: &Mips, cpu: &mut CpuState, general: &[u64; GENERAL]) {
    for (r, value) in (0..32).zip(general).skip(1) {
        abi.set(cpu, gpr_slot(r), *value);
    }
    abi.set(cpu, LO, general[LO_AT]);
    abi.set(cpu, HI, general[HI_AT]);
    cpu.pc = general[PC_AT] & (u64::MAX >> (64 - abi.config.bits()));
}

/// Sets floating-point registers.
pub(super) fn set_float(abi: &Mips, cpu: &mut CpuState, float: &[u64; FLOAT]) {
    for (r, value) in (0..32).zip(float) {
        cpu.set(fpr_slot(r), *value);
    }
    fcsr::write(cpu, &abi.config, float[32] as u32);
}

/// The set as `PTRACE_GETREGS` or `PTRACE_GETFPREGS` has it: 64 bits each, but for the two control registers.
pub(super) fn old_set(abi: &Mips, set: RegisterSet, registers: &TraceRegisters) -> Vec<u8> {
    let mut w = Writer::new(abi.layout());
    match set {
        RegisterSet::General => w.u64s(&registers.general[..PT_REGS]).finish(),
        RegisterSet::Float => {
            let control = registers.float[32];
            w.u64s(&registers.float[..32]).u32(control as u32).u32((control >> 32) as u32).finish()
        }
    }
}

/// Reads it. What programs cannot set stays.
pub(super) fn read_old_set(abi: &Mips, set: RegisterSet, bytes: &[u8], registers: &mut TraceRegisters) {
    let mut r = Reader::new(abi.layout(), bytes);
    match set {
        RegisterSet::General => registers.general[..=PC_AT].iter_mut().for_each(|value| *value = r.u64()),
        RegisterSet::Float => {
            registers.float[..32].iter_mut().for_each(|value| *value = r.u64());
            registers.float[32] = registers.float[32] & !0xffff_ffff | u64::from(r.u32());
        }
    }
}

/// Where `elf_gregset_t` begins, and its layout: as wide as the registers.
fn elf(abi: &Mips) -> (usize, Layout) {
    let long = if abi.kind == Kind::O32 { 4 } else { 8 };
    (if long == 4 { ELF32_FIRST } else { 0 }, Layout { long, ..abi.layout() })
}

/// The set as `PTRACE_GETREGSET` has it.
pub(super) fn set(abi: &Mips, set: RegisterSet, registers: &TraceRegisters) -> Vec<u8> {
    if set == RegisterSet::Float {
        return old_set(abi, set, registers);
    }
    let (first, layout) = elf(abi);
    let mut w = Writer::new(layout);
    w.pad_to(first * layout.long).longs(&registers.general[..PT_REGS]).pad_to(ELF_COUNT * layout.long).finish()
}

/// Reads it.
pub(super) fn read_set(abi: &Mips, set: RegisterSet, bytes: &[u8], registers: &mut TraceRegisters) {
    if set == RegisterSet::Float {
        return read_old_set(abi, set, bytes, registers);
    }
    let (first, layout) = elf(abi);
    let mut r = Reader::new(layout, bytes);
    r.seek(first * layout.long);
    registers.general[..=PC_AT].iter_mut().for_each(|value| *value = r.slong() as u64);
}

/// `PTRACE_GET_THREAD_AREA`.
pub(super) fn thread_area(registers: &TraceRegisters) -> u64 {
    registers.general[USER_LOCAL_AT]
}

/// `PTRACE_PEEKUSR`.
pub(super) fn user_word(abi: &Mips, registers: &TraceRegisters, addr: u64) -> Option<u64> {
    let general = |at: usize| registers.general[at];
    Some(match addr {
        0..USER_FPR => general(addr as usize),
        USER_FPR..USER_PC if abi.kind == Kind::O32 => {
            let at = (addr - USER_FPR) as usize;
            // The odd ones are the upper halves of the even ones.
            registers.float[at & !1] >> (32 * (at & 1)) & 0xffff_ffff
        }
        USER_FPR..USER_PC => registers.float[(addr - USER_FPR) as usize],
        USER_PC => general(PC_AT),
        USER_CAUSE | USER_BADVADDR => 0,
        USER_HI => general(HI_AT),
        USER_LO => general(LO_AT),
        USER_FCSR => registers.float[32] & 0xffff_ffff,
        USER_FIR => registers.float[32] >> 32,
        _ => return None,
    })
}

/// `PTRACE_POKEUSR`.
pub(super) fn set_user_word(abi: &Mips, registers: &mut TraceRegisters, addr: u64, value: u64) -> Option<RegisterSet> {
    let value = if abi.kind == Kind::O32 { value as i32 as u64 } else { value };
    match addr {
        0..USER_FPR => registers.general[addr as usize] = value,
        USER_PC => registers.general[PC_AT] = value,
        USER_HI => registers.general[HI_AT] = value,
        USER_LO => registers.general[LO_AT] = value,
        USER_FPR..USER_PC if abi.kind == Kind::O32 => {
            let at = (addr - USER_FPR) as usize;
            let (pair, shift) = (&mut registers.float[at & !1], 32 * (at & 1));
            *pair = *pair & !(0xffff_ffff << shift) | (value & 0xffff_ffff) << shift;
            return Some(RegisterSet::Float);
        }
        USER_FPR..USER_PC => {
            registers.float[(addr - USER_FPR) as usize] = value;
            return Some(RegisterSet::Float);
        }
        USER_FCSR => {
            registers.float[32] = registers.float[32] & !0xffff_ffff | value & 0xffff_ffff;
            return Some(RegisterSet::Float);
        }
        _ => return None,
    }
    Some(RegisterSet::General)
}
