//! RISC-V Linux, RV32 and RV64 (`arch/riscv/include/uapi/asm`): the generic ABI with little-endian layouts.
//!
//! Number in a7, arguments in a0 to a5, result or negative error in a0.

use super::{Abi, FLOAT, Frame, FrameKind, GENERAL, Place, RegisterSet, Restored, TraceRegisters};
use crate::elf::{Class, Endian};
use crate::linux::data::{Layout, Reader, Writer};
use crate::linux::errno::Errno;
use crate::linux::vdso;
use emu_ir::{CpuState, Slot};

const RA: Slot = Slot(1);
const SP: Slot = Slot(2);
const TP: Slot = Slot(4);
const A0: Slot = Slot(10);
const A1: Slot = Slot(11);
const A2: Slot = Slot(12);
const A7: Slot = Slot(17);
const F0: u16 = 32;

/// `sizeof(union __riscv_fp_state)`, and where its parts are: `f[32]` of the D extension, then `fcsr`.
const FP_STATE: usize = 528;
/// Offset of the extension header in it: magic and size, both 0 for the end of the list.
const EXT_HEADER: usize = 520;
const SIGINFO: usize = 128;

/// `li a7, 139 (rt_sigreturn); ecall`: the pattern that unwinders know.
const SIGRETURN: [u8; 8] = [0x93, 0x08, 0xb0, 0x08, 0x73, 0x00, 0x00, 0x00];

/// The ABI of RV32 (ilp32) or RV64 (lp64).
#[derive(Clone, Copy, Debug)]
pub struct Riscv {
    /// 32 or 64.
    pub xlen: u32,
}

impl Riscv {
    fn long(&self) -> usize {
        self.xlen as usize / 8
    }

    fn mask(&self, value: u64) -> u64 {
        if self.xlen == 32 { value & 0xffff_ffff } else { value }
    }

    fn set(&self, cpu: &mut CpuState, slot: Slot, value: u64) {
        cpu.set(slot, self.mask(value));
    }

    /// Offset of `uc_mcontext` in the frame: after the siginfo, uc_flags, uc_link, uc_stack and 128 bytes of mask.
    fn mcontext(&self) -> usize {
        (SIGINFO + 5 * self.long() + 128).next_multiple_of(16)
    }

    fn fp_state(&self) -> usize {
        self.mcontext() + 32 * self.long()
    }

    fn put_context(&self, w: &mut Writer, cpu: &CpuState) {
        w.pad_to(self.mcontext()).long(cpu.pc);
        for x in 1..32 {
            w.long(cpu.get(Slot(x)));
        }
        for f in 0..32 {
            w.u64(cpu.get(Slot(F0 + f)));
        }
        w.u32((cpu.fp_round & 7) << 5 | cpu.fp_flags & 31).pad_to(self.fp_state() + EXT_HEADER).u32(0).u32(0);
    }
}

impl Abi for Riscv {
    fn machine(&self) -> &'static str {
        if self.xlen == 32 { "riscv32" } else { "riscv64" }
    }

    fn table(&self) -> &'static str {
        if self.xlen == 32 { include_str!("riscv32.txt") } else { include_str!("riscv64.txt") }
    }

    fn layout(&self) -> Layout {
        Layout { long: self.long(), big: false }
    }

    fn number(&self, cpu: &CpuState) -> u32 {
        cpu.get(A7) as u32
    }

    fn arg(&self, cpu: &CpuState, i: usize) -> Place {
        Place::Value(cpu.get(Slot(A0.0 + i as u16)))
    }

    fn set_result(&self, cpu: &mut CpuState, result: Result<u64, Errno>) {
        let value = result.unwrap_or_else(|e| -i64::from(self.errno_to_guest(e)) as u64);
        self.set(cpu, A0, value);
    }

    fn sp(&self, cpu: &CpuState) -> u64 {
        cpu.get(SP)
    }

    fn set_sp(&self, cpu: &mut CpuState, sp: u64) {
        self.set(cpu, SP, sp);
    }

    fn set_tls(&self, cpu: &mut CpuState, tls: u64) {
        self.set(cpu, TP, tls);
    }

    fn vdso(&self) -> (vdso::Target, Vec<vdso::Function>) {
        let class = if self.xlen == 32 { Class::Elf32 } else { Class::Elf64 };
        // The kernel's own has no flags but RVC and the float ABI of the kernel's build, which is soft.
        let (endian, version) = (Endian::Little, "LINUX_4.15");
        let target = vdso::Target { class, endian, machine: 243, flags: 0, version, mips_abiflags: None };
        (target, vec![vdso::Function { name: "__vdso_rt_sigreturn", code: SIGRETURN.into() }])
    }

    fn core_registers(&self, cpu: &CpuState, _: u64) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        w.long(cpu.pc);
        for x in 1..32 {
            w.long(cpu.get(Slot(x)));
        }
        w.finish()
    }

    fn core_floats(&self, cpu: &CpuState) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        for f in 0..32 {
            w.u64(cpu.get(Slot(F0 + f)));
        }
        w.u32((cpu.fp_round & 7) << 5 | cpu.fp_flags & 31).pad_to(33 * 8).finish()
    }

    fn frame_size(&self, _: FrameKind) -> u64 {
        (self.fp_state() + FP_STATE) as u64
    }

    fn enter_handler(&self, cpu: &mut CpuState, frame: &Frame, address: u64) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        w.raw(&self.siginfo(&frame.info)).pad_to(SIGINFO);
        w.long(0).long(0);
        w.raw(&self.altstack(&frame.altstack));
        // sigset_t is an array of long: only as aligned as that.
        w.raw(&self.sigset(frame.mask));
        self.put_context(&mut w, cpu);
        self.set(cpu, RA, frame.trampoline);
        self.set(cpu, SP, address);
        self.set(cpu, A0, self.signal_to_guest(frame.signal) as u64);
        self.set(cpu, A1, address);
        self.set(cpu, A2, address + SIGINFO as u64);
        cpu.pc = frame.handler;
        w.finish()
    }

    fn leave_handler(&self, cpu: &mut CpuState, _: FrameKind, bytes: &[u8]) -> Restored {
        let stack = SIGINFO + 2 * self.long();
        let altstack = self.read_altstack(&bytes[stack..]);
        let mask = self.read_sigset(&bytes[stack + 3 * self.long()..]);
        let mut r = Reader::new(self.layout(), bytes);
        r.seek(self.mcontext());
        cpu.pc = r.long();
        for x in 1..32 {
            let value = r.long();
            cpu.set(Slot(x), value);
        }
        for f in 0..32 {
            let value = r.u64();
            cpu.set(Slot(F0 + f), value);
        }
        let fcsr = r.u32();
        (cpu.fp_flags, cpu.fp_round) = (fcsr & 31, fcsr >> 5 & 7);
        Restored { mask, altstack: Some(altstack) }
    }

    fn audit_arch(&self) -> u32 {
        const EM_RISCV: u32 = 243;
        const LITTLE: u32 = 0x4000_0000;
        const WIDE: u32 = 0x8000_0000;
        EM_RISCV | LITTLE | if self.xlen == 64 { WIDE } else { 0 }
    }

    fn trace_registers(&self, cpu: &CpuState) -> TraceRegisters {
        let mut all = TraceRegisters::default();
        all.general[0] = cpu.pc;
        for x in 1..32 {
            all.general[x] = cpu.get(Slot(x as u16));
        }
        for f in 0..32 {
            all.float[f] = cpu.get(Slot(F0 + f as u16));
        }
        all.float[32] = u64::from((cpu.fp_round & 7) << 5 | cpu.fp_flags & 31);
        all
    }

    fn set_general(&self, cpu: &mut CpuState, general: &[u64; GENERAL]) {
        cpu.pc = self.mask(general[0]);
        for (x, value) in (0..32).zip(general).skip(1) {
            self.set(cpu, Slot(x), *value);
        }
    }

    fn set_float(&self, cpu: &mut CpuState, float: &[u64; FLOAT]) {
        for (f, value) in (0..32).zip(float) {
            cpu.set(Slot(F0 + f), *value);
        }
        let fcsr = float[32] as u32;
        (cpu.fp_flags, cpu.fp_round) = (fcsr & 31, fcsr >> 5 & 7);
    }

    fn show_call(&self, cpu: &mut CpuState) {
        self.set_result(cpu, Err(Errno::ENOSYS));
    }

    fn hide_call(&self, cpu: &mut CpuState, before: &CpuState) {
        cpu.set(A0, before.get(A0));
    }

    fn call_result(&self, cpu: &CpuState) -> (u64, bool) {
        let value = match self.xlen {
            32 => cpu.get(A0) as i32 as u64,
            _ => cpu.get(A0),
        };
        (value, (-4095..0).contains(&(value as i64)))
    }

    fn register_size(&self, set: RegisterSet) -> usize {
        match set {
            RegisterSet::General => self.long(),
            RegisterSet::Float => 8,
        }
    }

    fn register_set(&self, set: RegisterSet, registers: &TraceRegisters) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        match set {
            RegisterSet::General => w.longs(&registers.general[..32]).finish(),
            RegisterSet::Float => w.u64s(&registers.float).finish(),
        }
    }

    fn read_register_set(&self, set: RegisterSet, bytes: &[u8], registers: &mut TraceRegisters) {
        let mut r = Reader::new(self.layout(), bytes);
        match set {
            RegisterSet::General => registers.general[..32].iter_mut().for_each(|x| *x = r.long()),
            RegisterSet::Float => registers.float.iter_mut().for_each(|f| *f = r.u64()),
        }
    }

    fn stat(&self, s: &libc::stat) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        w.long(s.st_dev).long(s.st_ino).u32(s.st_mode).u32(s.st_nlink as u32).u32(s.st_uid).u32(s.st_gid);
        w.long(s.st_rdev).long(0).long(s.st_size as u64).i32(s.st_blksize as i32).i32(0).long(s.st_blocks as u64);
        for (seconds, nanos) in
            [(s.st_atime, s.st_atime_nsec), (s.st_mtime, s.st_mtime_nsec), (s.st_ctime, s.st_ctime_nsec)]
        {
            w.long(seconds as u64).long(nanos as u64);
        }
        w.u32(0).u32(0).finish()
    }

    fn cpuinfo(&self, isa: &str, count: usize) -> String {
        let mmu = if self.xlen == 32 { "sv32" } else { "sv39" };
        let hart = |n| {
            format!(
                "processor\t: {n}\nhart\t\t: {n}\nisa\t\t: {isa}\nmmu\t\t: {mmu}\nmvendorid\t: 0x0\n\
                 marchid\t\t: 0x0\nmimpid\t\t: 0x0\nhart isa\t: {isa}\n\n"
            )
        };
        (0..count).map(hart).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::abi::AltStack;
    use crate::linux::host::{RawInfo, zeroed};

    #[test]
    fn sizes_are_the_kernels() {
        let (rv32, rv64) = (Riscv { xlen: 32 }, Riscv { xlen: 64 });
        // sizeof(struct rt_sigframe), and offsetof(ucontext, uc_mcontext) + 128.
        assert_eq!((rv64.frame_size(FrameKind::Rt), rv64.mcontext()), (1088, 128 + 176));
        assert_eq!((rv32.frame_size(FrameKind::Rt), rv32.mcontext()), (944, 128 + 160));
        assert_eq!(rv64.stat(&zeroed()).len(), 128);
        assert_eq!(rv64.statfs(&[0; 15], false).len(), 120);
        assert_eq!(rv32.statfs(&[0; 15], true).len(), 88);
    }

    #[test]
    fn a_frame_brings_the_registers_back() {
        for xlen in [32, 64] {
            let abi = Riscv { xlen };
            let mut cpu = CpuState { pc: 0x1_0000, fp_flags: 17, fp_round: 3, ..CpuState::default() };
            for slot in 1..64 {
                cpu.set(Slot(slot), 1000 + u64::from(slot));
            }
            let before = cpu.clone();
            let altstack = AltStack { base: 0x5000, flags: 2, size: 0x2000 };
            let frame = Frame {
                signal: 10,
                info: RawInfo([0; 128]),
                mask: 0x8000_0000_0000_0201,
                altstack,
                handler: 0x2_0000,
                flags: 0,
                trampoline: 0x3_0000,
            };
            let bytes = abi.enter_handler(&mut cpu, &frame, 0x7000);
            assert_eq!(bytes.len() as u64, abi.frame_size(FrameKind::Rt));
            assert_eq!((cpu.pc, cpu.get(RA), cpu.get(A0), cpu.get(A2)), (0x2_0000, 0x3_0000, 10, 0x7080));
            let restored = abi.leave_handler(&mut cpu, FrameKind::Rt, &bytes);
            assert_eq!((cpu.pc, cpu.slots), (before.pc, before.slots));
            assert_eq!((cpu.fp_flags, cpu.fp_round), (17, 3));
            assert_eq!((restored.mask, restored.altstack), (frame.mask, Some(altstack)));
        }
    }

    #[test]
    fn a_tracer_sets_what_it_has_read() {
        for xlen in [32, 64] {
            let abi = Riscv { xlen };
            let mut cpu = CpuState { pc: 0x1_0000, fp_flags: 17, fp_round: 3, ..CpuState::default() };
            for slot in 1..64 {
                cpu.set(Slot(slot), 1000 + u64::from(slot));
            }
            let registers = abi.trace_registers(&cpu);
            let mut again = TraceRegisters::default();
            for (set, size) in [(RegisterSet::General, 32 * abi.long()), (RegisterSet::Float, 264)] {
                let bytes = abi.register_set(set, &registers);
                assert_eq!(bytes.len(), size);
                abi.read_register_set(set, &bytes, &mut again);
            }
            let mut copy = CpuState::default();
            abi.set_general(&mut copy, &again.general);
            abi.set_float(&mut copy, &again.float);
            assert_eq!((copy.pc, copy.slots, copy.fp_flags, copy.fp_round), (cpu.pc, cpu.slots, 17, 3));
        }
    }

    #[test]
    fn a_tracer_sees_the_kernels_registers_of_a_call() {
        let abi = Riscv { xlen: 64 };
        let mut cpu = CpuState::default();
        cpu.set(A0, 7);
        let before = cpu.clone();
        abi.show_call(&mut cpu);
        assert_eq!(abi.call_result(&cpu), (-38i64 as u64, true));
        abi.hide_call(&mut cpu, &before);
        assert_eq!(abi.call_result(&cpu), (7, false));
    }
}
