//! Signal frames of MIPS (`arch/mips/kernel/signal.c`, `asm/sigcontext.h`): three layouts of the registers.
//!
//! `struct rt_sigframe`: room for four arguments and two words of an old trampoline (24 bytes), the `siginfo_t`, the
//! `ucontext`. `struct sigframe` of o32, for handlers without SA_SIGINFO: the same 24 bytes, the `sigcontext`, the mask.

use super::{A0, Kind, Mips, RA, T9};
use crate::linux::abi::{Abi, Frame, FrameKind, Restored};
use crate::linux::data::{Reader, Writer};
use emu_frontend_mips::regs::{HI, LO, fpr_slot, gpr_slot};
use emu_frontend_mips::{FrMode, fcsr};
use emu_ir::CpuState;

/// The number of `sigreturn`, which only o32 has.
pub(super) const SIGRETURN: u32 = 4119;

/// Where the `siginfo_t` or the old frame's `sigcontext` is.
const BODY: usize = 24;
const SIGINFO: usize = 128;
const USED_FP: u32 = 1;
const USED_FR1: u32 = 2;
const USED_HYBRID: u32 = 4;

impl Mips {
    /// `li v0, number; syscall`: the pattern that unwinders know.
    pub(super) fn call(&self, number: u32) -> Vec<u8> {
        let words = [0x2402_0000 | number, 0x0000_000c];
        words.iter().flat_map(|w| if self.config.big_endian { w.to_be_bytes() } else { w.to_le_bytes() }).collect()
    }

    /// Offset of `uc_mcontext` in the frame, after uc_flags, uc_link and uc_stack; of the `sigcontext` in an old one.
    fn context(&self, kind: FrameKind) -> usize {
        match kind {
            FrameKind::Rt => (BODY + SIGINFO + 5 * self.layout().long).next_multiple_of(8),
            FrameKind::Old => BODY,
        }
    }

    /// Bytes of the `sigcontext`.
    fn context_size(&self) -> usize {
        if self.kind == Kind::O32 { 592 } else { 600 }
    }

    fn used_math(&self, cpu: &CpuState) -> u32 {
        USED_FP
            | match fcsr::fr_mode(cpu, &self.config) {
                FrMode::Pairs => 0,
                FrMode::Wide => USED_FR1,
                FrMode::Emulated => USED_FR1 | USED_HYBRID,
            }
    }

    /// A general register as 64 bits: words are sign-extended.
    pub(super) fn wide(&self, value: u64) -> u64 {
        if self.config.bits() == 32 { value as i32 as u64 } else { value }
    }

    fn put_context(&self, w: &mut Writer, cpu: &CpuState) {
        let gprs: Vec<u64> = (0..32).map(|r| if r == 0 { 0 } else { self.wide(cpu.get(gpr_slot(r))) }).collect();
        let fprs: Vec<u64> = (0..32).map(|r| cpu.get(fpr_slot(r))).collect();
        let (hi, lo) = (self.wide(cpu.get(HI)), self.wide(cpu.get(LO)));
        let (pc, status) = (self.wide(cpu.pc), fcsr::read(cpu, &self.config));
        if self.kind == Kind::O32 {
            w.u32(0).u32(0);
            w.u64s(&[pc]);
            w.u64s(&gprs);
            w.u64s(&fprs);
            w.u32(0).u32(status).u32(0).u32(self.used_math(cpu)).u32(0);
            w.u64s(&[hi, lo]);
            w.u32s(&[0; 6]);
        } else {
            w.u64s(&gprs);
            w.u64s(&fprs);
            w.u64s(&[hi, 0, 0, 0, lo, 0, 0, 0, pc]);
            w.u32(status).u32(self.used_math(cpu)).u32(0).u32(0);
        }
    }

    fn take_context(&self, cpu: &mut CpuState, r: &mut Reader<'_>) {
        let mask = u64::MAX >> (64 - self.config.bits());
        let o32 = self.kind == Kind::O32;
        if o32 {
            cpu.pc = r.seek(r.position() + 8).u64() & mask;
        }
        for reg in 0..32 {
            let value = r.u64() & mask;
            if reg != 0 {
                cpu.set(gpr_slot(reg), value);
            }
        }
        let fprs: Vec<u64> = (0..32).map(|_| r.u64()).collect();
        let (hi, lo, status, used);
        if o32 {
            (_, status, _, used) = (r.u32(), r.u32(), r.u32(), r.u32());
            r.u32();
            (hi, lo) = (r.u64(), r.u64());
        } else {
            let words: Vec<u64> = (0..9).map(|_| r.u64()).collect();
            (hi, lo, cpu.pc) = (words[0], words[4], words[8] & mask);
            (status, used) = (r.u32(), r.u32());
        }
        cpu.set(HI, hi & mask);
        cpu.set(LO, lo & mask);
        if used & USED_FP != 0 {
            for (reg, value) in (0..).zip(fprs) {
                cpu.set(fpr_slot(reg), value);
            }
            fcsr::write(cpu, &self.config, status);
        }
    }
}

/// Bytes of a frame.
pub(super) fn size(abi: &Mips, kind: FrameKind) -> u64 {
    let end = abi.context(kind) + abi.context_size() + abi.sigset_size();
    end.next_multiple_of(8) as u64
}

/// Builds the frame for `address`, and sets the registers for entering the handler.
pub(super) fn enter(abi: &Mips, cpu: &mut CpuState, frame: &Frame, address: u64) -> Vec<u8> {
    let kind = abi.frame_kind(frame.flags);
    let mut w = Writer::new(abi.layout());
    w.pad_to(BODY);
    if kind == FrameKind::Rt {
        w.raw(&abi.siginfo(&frame.info)).pad_to(BODY + SIGINFO);
        w.long(0).long(0).raw(&abi.altstack(&frame.altstack)).pad_to(abi.context(kind));
    }
    abi.put_context(&mut w, cpu);
    w.pad_to(abi.context(kind) + abi.context_size()).raw(&abi.sigset(frame.mask)).pad_to(size(abi, kind) as usize);
    let (second, third) = match kind {
        FrameKind::Rt => (address + BODY as u64, address + (BODY + SIGINFO) as u64),
        FrameKind::Old => (0, address + BODY as u64),
    };
    abi.set(cpu, gpr_slot(A0), abi.signal_to_guest(frame.signal) as u64);
    abi.set(cpu, gpr_slot(A0 + 1), second);
    abi.set(cpu, gpr_slot(A0 + 2), third);
    abi.set_sp(cpu, address);
    abi.set(cpu, RA, frame.trampoline);
    abi.set(cpu, T9, frame.handler);
    cpu.pc = frame.handler;
    w.finish()
}

/// Restores the registers from a frame's bytes.
pub(super) fn leave(abi: &Mips, cpu: &mut CpuState, kind: FrameKind, bytes: &[u8]) -> Restored {
    let mut r = Reader::new(abi.layout(), bytes);
    abi.take_context(cpu, r.seek(abi.context(kind)));
    let mask = abi.read_sigset(&bytes[abi.context(kind) + abi.context_size()..]);
    let stack = BODY + SIGINFO + 2 * abi.layout().long;
    let altstack = (kind == FrameKind::Rt).then(|| abi.read_altstack(&bytes[stack..]));
    Restored { mask, altstack }
}

/// `elf_gregset_t`, 45 registers: o32 has room for six words before them.
pub(super) fn core_registers(abi: &Mips, cpu: &CpuState, address: u64) -> Vec<u8> {
    const COUNT: usize = 45;
    const CU1: u64 = 1 << 29;
    const FR: u64 = 1 << 26;
    let wide = abi.used_math(cpu) & USED_FR1 != 0;
    let status = CU1 | if wide { FR } else { 0 };
    let mut registers = vec![0; if abi.kind == Kind::O32 { 6 } else { 0 }];
    registers.extend((0..32).map(|r| if r == 0 { 0 } else { abi.wide(cpu.get(gpr_slot(r))) }));
    registers.extend([abi.wide(cpu.get(LO)), abi.wide(cpu.get(HI)), abi.wide(cpu.pc), abi.wide(address), status]);
    registers.resize(COUNT, 0);
    let mut w = Writer::new(abi.layout());
    for register in registers {
        if abi.kind == Kind::O32 {
            w.u32(register as u32)
        } else {
            w.u64(register)
        };
    }
    w.finish()
}

/// `elf_fpregset_t`: the registers, FCSR and FIR.
pub(super) fn core_floats(abi: &Mips, cpu: &CpuState) -> Vec<u8> {
    let mut w = Writer::new(abi.layout());
    for r in 0..32 {
        w.u64(cpu.get(fpr_slot(r)));
    }
    w.u32(fcsr::read(cpu, &abi.config)).u32(0).finish()
}
