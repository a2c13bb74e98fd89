//! MIPS Linux: o32, n32 and n64, in either byte order (`arch/mips`).
//!
//! The number is in v0, arguments are in a0 to a3 and on the stack (o32) or in a0 to a7; the result is in v0, and a3 says
//! whether it is an error. Numbers of errors, signals, flags and options are older than those of other architectures
//! (`numbers`), and so are the layouts of structures (`layouts`) and signal frames (`frame`).

mod frame;
mod layouts;
mod numbers;
mod trace;

#[cfg(test)]
mod tests;

use super::{
    Abi, AltStack, FLOAT, FpMode, Frame, FrameKind, GENERAL, Place, Raised, RegisterSet, Restored, SigAction,
    TraceRegisters,
};
use crate::elf::{Class, Endian};
use crate::linux::data::{Layout, Reader, Writer};
use crate::linux::errno::Errno;
use crate::linux::ipc::{Highs, Object};
use crate::linux::termios::Termios;
use crate::linux::vdso;
use emu_frontend_mips::lower::load_store::bad_address;
use emu_frontend_mips::regs::{STRICT, USER_LOCAL, gpr_slot};
use emu_frontend_mips::{Config, FrMode, fcsr};
use emu_ir::{AccessKind, CpuState, Fault, FaultCause, Fetch, Slot, TrapKind};

const V0: Slot = gpr_slot(2);
const V1: Slot = gpr_slot(3);
const A0: u32 = 4;
const A3: Slot = gpr_slot(7);
const T9: Slot = gpr_slot(25);
const SP: Slot = gpr_slot(29);
const RA: Slot = gpr_slot(31);

/// Which of the three ABIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    O32,
    N32,
    N64,
}

impl Kind {
    /// The table of system calls.
    pub fn table(self) -> &'static str {
        match self {
            Kind::O32 => include_str!("../mips_o32.txt"),
            Kind::N32 => include_str!("../mips_n32.txt"),
            Kind::N64 => include_str!("../mips_n64.txt"),
        }
    }

    /// The number of `rt_sigreturn`.
    fn rt_sigreturn(self) -> u32 {
        match self {
            Kind::O32 => 4193,
            Kind::N32 => 6211,
            Kind::N64 => 5211,
        }
    }
}

/// The first address that is not a program's, with registers of 32 bits.
pub const TASK_SIZE_32: u64 = 0x7fff_8000;
/// The same with n64, on processors with 40 bits of virtual addresses.
pub const TASK_SIZE_64: u64 = 1 << 40;

/// `syscall` of o32: the first argument is the number of the call that is meant.
const INDIRECT: u64 = 4000;

/// A MIPS ABI.
#[derive(Clone, Copy, Debug)]
pub struct Mips {
    /// Which one.
    pub kind: Kind,
    /// The processor.
    pub config: Config,
}

impl Mips {
    fn is_indirect(&self, cpu: &CpuState) -> bool {
        self.kind == Kind::O32 && cpu.get(V0) == INDIRECT
    }

    /// Sets a general register.
    fn set(&self, cpu: &mut CpuState, slot: Slot, value: u64) {
        cpu.set(slot, value & (u64::MAX >> (64 - self.config.bits())));
    }
}

impl Abi for Mips {
    fn machine(&self) -> &'static str {
        if self.kind == Kind::O32 { "mips" } else { "mips64" }
    }

    fn table(&self) -> &'static str {
        self.kind.table()
    }

    fn layout(&self) -> Layout {
        Layout { long: if self.kind == Kind::N64 { 8 } else { 4 }, big: self.config.big_endian }
    }

    fn core_flags(&self) -> u32 {
        const ABI2: u32 = 0x20;
        if self.kind == Kind::N32 { ABI2 } else { 0 }
    }

    fn core_registers(&self, cpu: &CpuState, address: u64) -> Vec<u8> {
        frame::core_registers(self, cpu, address)
    }

    fn core_floats(&self, cpu: &CpuState) -> Vec<u8> {
        frame::core_floats(self, cpu)
    }

    fn core_alignment(&self) -> usize {
        if self.kind == Kind::O32 { 4 } else { 8 }
    }

    fn aligned_pairs(&self) -> bool {
        true
    }

    fn wide_registers(&self) -> bool {
        self.kind != Kind::O32
    }

    fn number(&self, cpu: &CpuState) -> u32 {
        if self.is_indirect(cpu) { cpu.get(gpr_slot(A0)) as u32 } else { cpu.get(V0) as u32 }
    }

    fn arg(&self, cpu: &CpuState, i: usize) -> Place {
        let i = i + usize::from(self.is_indirect(cpu));
        let in_registers = if self.kind == Kind::O32 { 4 } else { 8 };
        if i < in_registers {
            return Place::Value(cpu.get(gpr_slot(A0 + i as u32)));
        }
        // The first four words of the stack are room for a0 to a3.
        Place::Memory(self.sp(cpu).wrapping_add(4 * i as u64) & 0xffff_ffff)
    }

    fn set_result(&self, cpu: &mut CpuState, result: Result<u64, Errno>) {
        let (value, failed) = match result {
            Ok(value) => (value, 0),
            Err(e) => (self.errno_to_guest(e) as u64, 1),
        };
        self.set(cpu, V0, value);
        cpu.set(A3, failed);
    }

    fn pipe_result(&self, cpu: &mut CpuState, ends: [i32; 2]) -> Option<u64> {
        self.set(cpu, V1, ends[1] as u64);
        Some(ends[0] as u64)
    }

    fn sp(&self, cpu: &CpuState) -> u64 {
        cpu.get(SP)
    }

    fn set_sp(&self, cpu: &mut CpuState, sp: u64) {
        self.set(cpu, SP, sp);
    }

    fn set_tls(&self, cpu: &mut CpuState, tls: u64) {
        self.set(cpu, USER_LOCAL, tls);
    }

    fn vdso(&self) -> (vdso::Target, Vec<vdso::Function>) {
        let class = if self.kind == Kind::N64 { Class::Elf64 } else { Class::Elf32 };
        let endian = if self.config.big_endian { Endian::Big } else { Endian::Little };
        let target = vdso::Target {
            class,
            endian,
            machine: 8,
            flags: layouts::elf_flags(self.kind, &self.config),
            version: "LINUX_2.6",
            // Without it the dynamic linker takes the vDSO for code that needs FR = 0.
            mips_abiflags: Some(layouts::abiflags(&self.config)),
        };
        let rt = vdso::Function { name: "__vdso_rt_sigreturn", code: self.call(self.kind.rt_sigreturn()) };
        let old = vdso::Function { name: "__vdso_sigreturn", code: self.call(frame::SIGRETURN) };
        (target, if self.kind == Kind::O32 { vec![rt, old] } else { vec![rt] })
    }

    fn frame_kind(&self, flags: u64) -> FrameKind {
        let wants_info = flags & libc::SA_SIGINFO as u64 != 0;
        if self.kind == Kind::O32 && !wants_info { FrameKind::Old } else { FrameKind::Rt }
    }

    fn red_zone(&self) -> u64 {
        // Room for the trampoline of the kernel's emulator of floating point.
        32
    }

    fn frame_size(&self, kind: FrameKind) -> u64 {
        frame::size(self, kind)
    }

    fn enter_handler(&self, cpu: &mut CpuState, frame: &Frame, address: u64) -> Vec<u8> {
        frame::enter(self, cpu, frame, address)
    }

    fn leave_handler(&self, cpu: &mut CpuState, kind: FrameKind, bytes: &[u8]) -> Restored {
        frame::leave(self, cpu, kind, bytes)
    }

    fn audit_arch(&self) -> u32 {
        const EM_MIPS: u32 = 8;
        const LITTLE: u32 = 0x4000_0000;
        const WIDE: u32 = 0x8000_0000;
        const N32: u32 = 0x2000_0000;
        let abi = match self.kind {
            Kind::O32 => 0,
            Kind::N32 => WIDE | N32,
            Kind::N64 => WIDE,
        };
        EM_MIPS | abi | if self.config.big_endian { 0 } else { LITTLE }
    }

    fn trace_registers(&self, cpu: &CpuState) -> TraceRegisters {
        trace::registers(self, cpu)
    }

    fn set_general(&self, cpu: &mut CpuState, general: &[u64; GENERAL]) {
        trace::set_general(self, cpu, general);
    }

    fn set_float(&self, cpu: &mut CpuState, float: &[u64; FLOAT]) {
        trace::set_float(self, cpu, float);
    }

    /// There is no such number; its result does not stand there beforehand, as on other processors.
    fn skip_call(&self, cpu: &mut CpuState) {
        self.set_result(cpu, Err(Errno::ENOSYS));
    }

    fn call_result(&self, cpu: &CpuState) -> (u64, bool) {
        let (value, failed) = (self.wide(cpu.get(V0)), cpu.get(A3) != 0);
        (if failed { value.wrapping_neg() } else { value }, failed)
    }

    fn register_size(&self, set: RegisterSet) -> usize {
        if set == RegisterSet::General && self.kind == Kind::O32 { 4 } else { 8 }
    }

    fn register_set(&self, set: RegisterSet, registers: &TraceRegisters) -> Vec<u8> {
        trace::set(self, set, registers)
    }

    fn read_register_set(&self, set: RegisterSet, bytes: &[u8], registers: &mut TraceRegisters) {
        trace::read_set(self, set, bytes, registers);
    }

    fn old_register_request(&self, request: u64) -> Option<(RegisterSet, bool)> {
        Some(match request {
            12 => (RegisterSet::General, false),
            13 => (RegisterSet::General, true),
            14 => (RegisterSet::Float, false),
            15 => (RegisterSet::Float, true),
            _ => return None,
        })
    }

    fn old_register_set(&self, set: RegisterSet, registers: &TraceRegisters) -> Vec<u8> {
        trace::old_set(self, set, registers)
    }

    fn read_old_register_set(&self, set: RegisterSet, bytes: &[u8], registers: &mut TraceRegisters) {
        trace::read_old_set(self, set, bytes, registers);
    }

    fn thread_area(&self, registers: &TraceRegisters) -> Option<u64> {
        Some(trace::thread_area(registers))
    }

    fn user_word(&self, registers: &TraceRegisters, addr: u64) -> Option<u64> {
        trace::user_word(self, registers, addr)
    }

    fn set_user_word(&self, registers: &mut TraceRegisters, addr: u64, value: u64) -> Option<RegisterSet> {
        trace::set_user_word(self, registers, addr, value)
    }

    fn trap_signal(&self, cpu: &mut CpuState, kind: TrapKind) -> Raised {
        /// `BRK_BUG`, which the kernel keeps to itself.
        const BUG: u32 = 12;
        match kind {
            TrapKind::FloatException => {
                let status = fcsr::read(cpu, &self.config);
                // The kernel clears what has raised it.
                fcsr::write(cpu, &self.config, status & !numbers::raised_causes(status));
                Raised::at(libc::SIGFPE, numbers::float_code(status))
            }
            TrapKind::IllegalInstruction { .. } | TrapKind::CoprocessorUnusable { .. } => Raised::bare(libc::SIGILL),
            TrapKind::MisalignedTarget => Raised::bare(libc::SIGBUS),
            // do_trap_or_bp: only the codes of compilers say where.
            TrapKind::Breakpoint { code: 6 | 7 }
            | TrapKind::Conditional { code: 6 | 7 }
            | TrapKind::IntegerOverflow => super::trap_signal(kind),
            TrapKind::Breakpoint { code: BUG } | TrapKind::Conditional { .. } => Raised::bare(libc::SIGTRAP),
            TrapKind::Breakpoint { .. } => Raised { has_address: false, ..super::trap_signal(kind) },
        }
    }

    fn fault_address(&self, cpu: &CpuState, fault: &Fault, code: &mut dyn Fetch) -> u64 {
        if fault.access == AccessKind::Execute || self.config.release.is_r6() {
            return fault.addr;
        }
        let order = |word: u32| if self.config.big_endian { word.swap_bytes() } else { word };
        let mut word = |at| code.fetch32(at).map_or(0, order);
        bad_address(fault.addr, word(cpu.pc), word(cpu.pc.wrapping_add(4)), cpu)
    }

    fn fault_signal(&self, fault: &Fault) -> Raised {
        // An address that is not a user program's is an address error, and so is an unaligned one that is not put right.
        let limit = if self.kind == Kind::N64 { TASK_SIZE_64 } else { 1 << 31 };
        match fault.cause {
            FaultCause::Misaligned => Raised::bare(libc::SIGBUS),
            _ if fault.addr >= limit => Raised::bare(libc::SIGBUS),
            _ => super::fault_signal(fault),
        }
    }

    fn signal_to_guest(&self, signal: i32) -> i32 {
        numbers::signal_to_guest(signal)
    }

    fn last_signal(&self) -> i32 {
        numbers::LAST_SIGNAL
    }

    fn signal_to_host(&self, signal: i32) -> i32 {
        numbers::signal_to_host(signal)
    }

    fn errno_to_guest(&self, errno: Errno) -> i32 {
        numbers::to_guest(numbers::ERRORS, errno.0)
    }

    fn errno_to_host(&self, errno: i32) -> Errno {
        match numbers::to_host(numbers::ERRORS, errno) {
            -1 => Errno::ENOSYS,
            host => Errno(host),
        }
    }

    fn translates_descriptors(&self) -> bool {
        // Even in little-endian order: signalfd tells signal numbers.
        true
    }

    fn open_flags_to_host(&self, flags: i32) -> i32 {
        numbers::flags(numbers::OPEN, flags, false)
    }

    fn open_flags_to_guest(&self, flags: i32) -> i32 {
        numbers::flags(numbers::OPEN, flags, true)
    }

    fn mmap_flags_to_host(&self, flags: i32) -> i32 {
        // MAP_RENAME, MAP_AUTOGROW, MAP_LOCAL and MAP_AUTORSRV are IRIX's, and mean nothing.
        const IRIX: i32 = 0x1e0;
        numbers::flags(numbers::MMAP, flags & !IRIX, false)
    }

    fn ioctl_to_host(&self, request: u32) -> u32 {
        numbers::ioctl_to_host(request)
    }

    fn termios(&self) -> &'static Termios {
        &layouts::TERMIOS
    }

    fn fcntl_to_host(&self, command: i32) -> i32 {
        numbers::to_host(numbers::FCNTL, command)
    }

    fn flock_has_sysid(&self) -> bool {
        true
    }

    fn sigprocmask_to_host(&self, how: i32) -> i32 {
        how - 1
    }

    fn resource_to_host(&self, resource: i32) -> i32 {
        numbers::to_host(numbers::RESOURCES, resource)
    }

    fn rlimit_infinity(&self) -> u64 {
        if self.kind == Kind::N64 { u64::MAX } else { 0x7fff_ffff }
    }

    fn poll_events_to_host(&self, events: u16) -> u16 {
        // POLLWRNORM is POLLOUT, and POLLWRBAND has the host's POLLWRNORM's number.
        let band = if events & 0x100 != 0 { 0x200 } else { 0 };
        events & !0x300 | band
    }

    fn poll_events_to_guest(&self, events: u16) -> u16 {
        let normal = if events & 0x100 != 0 { 4 } else { 0 };
        let band = if events & 0x200 != 0 { 0x100 } else { 0 };
        events & !0x300 | normal | band
    }

    fn socket_option_to_host(&self, level: i32, name: i32) -> (i32, i32) {
        match level {
            numbers::SOL_SOCKET => (libc::SOL_SOCKET, numbers::to_host(numbers::SOCKET_OPTIONS, name)),
            // The host's number of the level is another protocol's here: none of a name.
            libc::SOL_SOCKET => (-1, name),
            _ => (level, name),
        }
    }

    fn socket_level_to_guest(&self, level: i32) -> i32 {
        if level == libc::SOL_SOCKET { numbers::SOL_SOCKET } else { level }
    }

    fn socket_type_to_host(&self, kind: i32) -> i32 {
        numbers::flags(numbers::OPEN, kind & !0xf, false) & !0xf | numbers::socket_type(kind & 0xf)
    }

    fn socket_type_to_guest(&self, kind: i32) -> i32 {
        numbers::socket_type(kind)
    }

    fn stat(&self, s: &libc::stat) -> Vec<u8> {
        layouts::stat(self, s)
    }

    fn old_stat(&self, s: &libc::stat) -> Option<Vec<u8>> {
        if self.kind == Kind::O32 { layouts::old_stat(self, s) } else { Some(layouts::stat(self, s)) }
    }

    fn statfs(&self, s: &[u64; 15], wide: bool) -> Vec<u8> {
        layouts::statfs(self, s, wide)
    }

    fn has_swapped_siginfo(&self) -> bool {
        true
    }

    fn sigset_size(&self) -> usize {
        16
    }

    fn sigaction(&self, action: &SigAction) -> Vec<u8> {
        let flags = numbers::flags(numbers::SIGACTION, action.flags as i32, true);
        Writer::new(self.layout()).i32(flags).long(action.handler).raw(&self.sigset(action.mask)).finish()
    }

    fn read_sigaction(&self, bytes: &[u8]) -> SigAction {
        let mut r = Reader::new(self.layout(), bytes);
        let flags = numbers::flags(numbers::SIGACTION, r.i32(), false) as u32;
        let handler = r.long();
        SigAction { handler, flags: flags.into(), mask: self.read_sigset(&bytes[r.position()..]) }
    }

    fn altstack(&self, stack: &AltStack) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        w.long(stack.base).long(stack.size).i32(stack.flags).align(self.layout().long).finish()
    }

    fn read_altstack(&self, bytes: &[u8]) -> AltStack {
        let mut r = Reader::new(self.layout(), bytes);
        let (base, size, flags) = (r.long(), r.long(), r.i32());
        AltStack { base, flags, size }
    }

    fn ipc_highs(&self, object: Object) -> Highs {
        match object {
            Object::Memory => Highs::AtEnd(2),
            Object::Semaphores => Highs::AtEnd(4),
            Object::Queue if self.config.big_endian => Highs::Before,
            Object::Queue => Highs::After,
        }
    }

    fn set_fix_alignment(&self, cpu: &mut CpuState, fix: bool) {
        cpu.set(STRICT, (!fix).into());
    }

    fn fp_mode(&self, cpu: &CpuState) -> Option<FpMode> {
        Some(match fcsr::fr_mode(cpu, &self.config) {
            FrMode::Pairs => 0,
            FrMode::Wide => 1,
            FrMode::Emulated => 3,
        })
    }

    fn set_fp_mode(&self, cpu: &mut CpuState, mode: FpMode) -> bool {
        let mode = match mode {
            // Release 6 has one only, and n32 and n64 are for registers of 64 bits.
            0 if self.config.release.is_r6() || self.kind != Kind::O32 => return false,
            0 => FrMode::Pairs,
            1 => FrMode::Wide,
            3 if self.kind == Kind::O32 => FrMode::Emulated,
            _ => return false,
        };
        let could =
            self.config.fr != FrMode::Pairs || emu_frontend_mips::config::Releases::R2.contains(self.config.release);
        if could {
            fcsr::set_fr_mode(cpu, mode);
        }
        could
    }

    fn cpuinfo(&self, isa: &str, count: usize) -> String {
        layouts::cpuinfo(&self.config, isa, count)
    }
}
