//! What differs between guests: numbers, registers, structures, signal frames. Handlers know nothing else of a guest.

pub mod mips;
pub mod riscv;
mod trace;

pub use trace::{FLOAT, GENERAL, RegisterSet, TraceRegisters};

use super::data::{Layout, Reader, Writer};
use super::errno::Errno;
use super::host::{RawInfo, SigSet};
use super::ipc::{Highs, Object};
use super::termios::{self, Termios};
use super::vdso;
use emu_ir::{CpuState, Fault, FaultCause, Fetch, TrapKind};

/// Where an argument of a system call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is in a register: this.
    Value(u64),
    /// It is a word of memory at this address.
    Memory(u64),
}

/// A signal that the processor raises, by the host's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// `si_signo`.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// Does `si_addr` tell the address?
    pub has_address: bool,
}

impl Raised {
    /// A signal with an address.
    pub const fn at(signal: i32, code: i32) -> Raised {
        Raised { signal, code, has_address: true }
    }

    /// A signal that the kernel sends without saying more (`force_sig`).
    pub const fn bare(signal: i32) -> Raised {
        const SI_KERNEL: i32 = 0x80;
        Raised { signal, code: SI_KERNEL, has_address: false }
    }
}

/// `struct sigaction`, flags and mask in the host's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SigAction {
    pub handler: u64,
    pub flags: u64,
    pub mask: SigSet,
}

/// The kind of a signal frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// `struct rt_sigframe`, left by `rt_sigreturn`.
    Rt,
    /// `struct sigframe` of old ABIs, left by `sigreturn`.
    Old,
}

/// The floating-point mode of MIPS (`PR_SET_FP_MODE`): bit 0 is FR, bit 1 is FRE.
pub type FpMode = u32;

/// A pending signal frame: what goes to the guest's stack beside the registers.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Signal number, the host's.
    pub signal: i32,
    /// What `sa_sigaction` is told.
    pub info: RawInfo,
    /// The mask to restore.
    pub mask: SigSet,
    /// `sigaltstack`'s state: base, flags, size.
    pub altstack: AltStack,
    /// Address of the handler.
    pub handler: u64,
    /// The guest's `SA_*` flags, the host's numbers.
    pub flags: u64,
    /// Address of the code that makes the call that leaves the frame.
    pub trampoline: u64,
}

/// `stack_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AltStack {
    pub base: u64,
    pub flags: i32,
    pub size: u64,
}

/// What `rt_sigreturn` brings back beside the registers.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    /// The signal mask.
    pub mask: SigSet,
    /// `uc_stack`, where the frame has it.
    pub altstack: Option<AltStack>,
}

/// One guest ABI of Linux. The defaults are those of the kernel's generic headers, which the host shares.
pub trait Abi: Send + Sync {
    /// `uname`'s machine.
    fn machine(&self) -> &'static str;
    /// The table of system calls: lines of number and name.
    fn table(&self) -> &'static str;
    /// Pointer width and byte order.
    fn layout(&self) -> Layout;
    /// Does a 64-bit argument in two registers start at an even one?
    fn aligned_pairs(&self) -> bool {
        false
    }

    /// The number of the call that `cpu` asks for.
    fn number(&self, cpu: &CpuState) -> u32;
    /// Where word `i` of the arguments is (0 to 7).
    fn arg(&self, cpu: &CpuState, i: usize) -> Place;
    /// Are registers wider than a 32-bit `long`? Then a 64-bit number needs no pair of them.
    fn wide_registers(&self) -> bool {
        self.layout().long == 8
    }
    /// Gives the result or the error in the guest's way.
    fn set_result(&self, cpu: &mut CpuState, result: Result<u64, Errno>);
    /// Gives the two descriptors of `pipe` in registers, if the ABI does; else they go to memory.
    fn pipe_result(&self, _cpu: &mut CpuState, _ends: [i32; 2]) -> Option<u64> {
        None
    }
    /// The stack pointer.
    fn sp(&self, cpu: &CpuState) -> u64;
    /// Sets the stack pointer.
    fn set_sp(&self, cpu: &mut CpuState, sp: u64);
    /// Sets the thread pointer.
    fn set_tls(&self, cpu: &mut CpuState, tls: u64);
    /// The positions of `tls` and `child_tid` among `clone`'s arguments (CONFIG_CLONE_BACKWARDS has `tls` first).
    fn clone_tls_ctid(&self) -> (usize, usize) {
        (3, 4)
    }

    /// The vDSO's header, and its functions: what leaves a frame of each kind comes first, in the order of [`FrameKind`].
    fn vdso(&self) -> (vdso::Target, Vec<vdso::Function>);
    /// Which frame a handler with these flags gets.
    fn frame_kind(&self, _flags: u64) -> FrameKind {
        FrameKind::Rt
    }
    /// Bytes below the stack pointer that a frame leaves alone.
    fn red_zone(&self) -> u64 {
        0
    }
    /// Bytes of a signal frame.
    fn frame_size(&self, kind: FrameKind) -> u64;
    /// Builds the frame for `address`, and sets the registers for entering the handler.
    fn enter_handler(&self, cpu: &mut CpuState, frame: &Frame, address: u64) -> Vec<u8>;
    /// Where the frame is when `rt_sigreturn` is called.
    fn frame_address(&self, cpu: &CpuState) -> u64 {
        self.sp(cpu)
    }
    /// Restores the registers from a frame's bytes.
    fn leave_handler(&self, cpu: &mut CpuState, kind: FrameKind, bytes: &[u8]) -> Restored;

    /// The machine as audit, seccomp and ptrace name it (`AUDIT_ARCH_*`).
    fn audit_arch(&self) -> u32;
    /// The registers that a tracer sees.
    fn trace_registers(&self, cpu: &CpuState) -> TraceRegisters;
    /// Sets the general registers and the pc.
    fn set_general(&self, cpu: &mut CpuState, general: &[u64; GENERAL]);
    /// Sets the floating-point registers.
    fn set_float(&self, cpu: &mut CpuState, float: &[u64; FLOAT]);
    /// Changes registers as the kernel has done when a tracer sees that a call is about to be made.
    fn show_call(&self, _cpu: &mut CpuState) {}
    /// Undoes that in registers that the tracer has set; `before` are those of the call.
    fn hide_call(&self, _cpu: &mut CpuState, _before: &CpuState) {}
    /// Changes registers as the kernel does when a tracer wants no call.
    fn skip_call(&self, _cpu: &mut CpuState) {}
    /// The result of a call: its value, and whether that is an error.
    fn call_result(&self, cpu: &CpuState) -> (u64, bool);
    /// Bytes of one register in a set.
    fn register_size(&self, set: RegisterSet) -> usize;
    /// A set of registers as `PTRACE_GETREGSET` has it.
    fn register_set(&self, set: RegisterSet, registers: &TraceRegisters) -> Vec<u8>;
    /// Reads it.
    fn read_register_set(&self, set: RegisterSet, bytes: &[u8], registers: &mut TraceRegisters);
    /// `PTRACE_GETREGS` and its kin, where there are such: the set, and whether it is to be changed.
    fn old_register_request(&self, _request: u64) -> Option<(RegisterSet, bool)> {
        None
    }
    /// A set of registers as `PTRACE_GETREGS` and its kin have it.
    fn old_register_set(&self, set: RegisterSet, registers: &TraceRegisters) -> Vec<u8> {
        self.register_set(set, registers)
    }
    /// Reads it.
    fn read_old_register_set(&self, set: RegisterSet, bytes: &[u8], registers: &mut TraceRegisters) {
        self.read_register_set(set, bytes, registers);
    }
    /// The thread pointer, where `PTRACE_GET_THREAD_AREA` tells it.
    fn thread_area(&self, _registers: &TraceRegisters) -> Option<u64> {
        None
    }
    /// `PTRACE_PEEKUSR`, where it tells registers.
    fn user_word(&self, _registers: &TraceRegisters, _addr: u64) -> Option<u64> {
        None
    }
    /// `PTRACE_POKEUSR`: the set that was changed.
    fn set_user_word(&self, _registers: &mut TraceRegisters, _addr: u64, _value: u64) -> Option<RegisterSet> {
        None
    }

    /// The signal for a trap; the kernel may change registers.
    fn trap_signal(&self, _cpu: &mut CpuState, kind: TrapKind) -> Raised {
        trap_signal(kind)
    }
    /// `si_addr` of a fault; `code` reads instructions.
    fn fault_address(&self, _cpu: &CpuState, fault: &Fault, _code: &mut dyn Fetch) -> u64 {
        fault.addr
    }
    /// The signal for a fault.
    fn fault_signal(&self, fault: &Fault) -> Raised {
        fault_signal(fault)
    }

    /// A signal number of the host as the guest's.
    fn signal_to_guest(&self, signal: i32) -> i32 {
        signal
    }
    /// The highest signal number.
    fn last_signal(&self) -> i32 {
        64
    }
    /// A signal number of the guest as the host's.
    fn signal_to_host(&self, signal: i32) -> i32 {
        signal
    }
    /// An error number of the host as the guest's.
    fn errno_to_guest(&self, errno: Errno) -> i32 {
        errno.0
    }
    /// An error number of the guest as the host's.
    fn errno_to_host(&self, errno: i32) -> Errno {
        Errno(errno)
    }
    /// Is what descriptors tell in binary (eventfd, timerfd, signalfd, inotify) another structure than the host's?
    fn translates_descriptors(&self) -> bool {
        self.layout().big
    }
    /// `open`'s flags, the guest's as the host's.
    fn open_flags_to_host(&self, flags: i32) -> i32 {
        flags
    }
    /// `open`'s flags, the host's as the guest's.
    fn open_flags_to_guest(&self, flags: i32) -> i32 {
        flags
    }
    /// `mmap`'s flags, the guest's as the host's; flags that the guest does not have are cleared.
    fn mmap_flags_to_host(&self, flags: i32) -> i32 {
        flags & !libc::MAP_32BIT
    }
    /// An ioctl request, the guest's as the host's.
    fn ioctl_to_host(&self, request: u32) -> u32 {
        request
    }
    /// The guest's `struct termios`.
    fn termios(&self) -> &'static Termios {
        &termios::GENERIC
    }
    /// A command of `fcntl`, the guest's as the host's with the numbers of 32-bit guests (`F_GETLK64` is 12).
    fn fcntl_to_host(&self, command: i32) -> i32 {
        command
    }
    /// Has a 32-bit `struct flock` the member `l_sysid` before its last?
    fn flock_has_sysid(&self) -> bool {
        false
    }
    /// `how` of `sigprocmask`, the guest's as the host's.
    fn sigprocmask_to_host(&self, how: i32) -> i32 {
        how
    }
    /// A resource of `setrlimit`, the guest's as the host's.
    fn resource_to_host(&self, resource: i32) -> i32 {
        resource
    }
    /// `RLIM_INFINITY` of `getrlimit` and `setrlimit`.
    fn rlimit_infinity(&self) -> u64 {
        if self.layout().long == 4 { 0xffff_ffff } else { u64::MAX }
    }
    /// `poll`'s events, the guest's as the host's.
    fn poll_events_to_host(&self, events: u16) -> u16 {
        events
    }
    /// `poll`'s events, the host's as the guest's.
    fn poll_events_to_guest(&self, events: u16) -> u16 {
        events
    }
    /// Level and name of a socket option, the guest's as the host's.
    fn socket_option_to_host(&self, level: i32, name: i32) -> (i32, i32) {
        (level, name)
    }
    /// A level of options or control messages, the host's as the guest's.
    fn socket_level_to_guest(&self, level: i32) -> i32 {
        level
    }
    /// The type of a socket with its flags, the guest's as the host's.
    fn socket_type_to_host(&self, kind: i32) -> i32 {
        kind
    }

    /// The type of a socket, the host's as the guest's.
    fn socket_type_to_guest(&self, kind: i32) -> i32 {
        kind
    }

    /// `struct stat`, or `stat64` where there are both.
    fn stat(&self, s: &libc::stat) -> Vec<u8>;

    /// `struct stat` where there is `stat64`, too; `None` if a number does not fit.
    fn old_stat(&self, s: &libc::stat) -> Option<Vec<u8>> {
        Some(self.stat(s))
    }

    /// `struct statfs`, as in `asm-generic/statfs.h`, or `statfs64` (`wide`), from the host's fifteen words.
    fn statfs(&self, s: &[u64; 15], _wide: bool) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        w.long(s[0]).long(s[1]);
        for &count in &s[2..7] {
            w.u64(count);
        }
        w.u32(s[7] as u32).u32((s[7] >> 32) as u32);
        for &word in &s[8..] {
            w.long(word);
        }
        w.align(8).finish()
    }

    /// `struct epoll_event`: packed on x86-64 alone.
    fn epoll_event(&self, events: u32, data: u64) -> Vec<u8> {
        Writer::new(self.layout()).u32(events).u64(data).finish()
    }
    /// Reads `struct epoll_event`: events and data.
    fn read_epoll_event(&self, bytes: &[u8]) -> (u32, u64) {
        let mut r = Reader::new(self.layout(), bytes);
        (r.u32(), r.u64())
    }
    /// Bytes of `struct epoll_event`.
    fn epoll_event_size(&self) -> usize {
        16
    }

    /// `siginfo_t`, 128 bytes.
    fn siginfo(&self, info: &RawInfo) -> Vec<u8> {
        super::siginfo::to_guest(self, info)
    }
    /// Reads a `siginfo_t` that the guest made.
    fn read_siginfo(&self, bytes: &[u8]) -> RawInfo {
        super::siginfo::from_guest(self, bytes)
    }
    /// Is `si_code` before `si_errno`, and are `SI_TIMER` and its neighbours numbered another way?
    fn has_swapped_siginfo(&self) -> bool {
        false
    }
    /// Bytes of `sigset_t`.
    fn sigset_size(&self) -> usize {
        8
    }
    /// `sigset_t`, an array of long, from the host's set.
    fn sigset(&self, set: SigSet) -> Vec<u8> {
        let mask = permute(set, |signal| self.signal_to_guest(signal));
        let mut w = Writer::new(self.layout());
        if self.layout().long == 4 {
            w.u32(mask as u32).u32((mask >> 32) as u32);
        } else {
            w.u64(mask);
        }
        w.pad_to(self.sigset_size()).finish()
    }
    /// Reads a `sigset_t` as the host's set.
    fn read_sigset(&self, bytes: &[u8]) -> SigSet {
        let mut r = Reader::new(self.layout(), bytes);
        let mask = if self.layout().long == 4 { u64::from(r.u32()) | u64::from(r.u32()) << 32 } else { r.u64() };
        permute(mask, |signal| self.signal_to_host(signal))
    }
    /// Bytes of `struct sigaction` as the kernel has it.
    fn sigaction_size(&self) -> usize {
        2 * self.layout().long + self.sigset_size()
    }
    /// `struct sigaction`.
    fn sigaction(&self, action: &SigAction) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        w.long(action.handler).long(action.flags).raw(&self.sigset(action.mask)).finish()
    }
    /// Reads a `struct sigaction`.
    fn read_sigaction(&self, bytes: &[u8]) -> SigAction {
        let mut r = Reader::new(self.layout(), bytes);
        let (handler, flags) = (r.long(), r.long());
        SigAction { handler, flags, mask: self.read_sigset(&bytes[r.position()..]) }
    }
    /// `stack_t`.
    fn altstack(&self, stack: &AltStack) -> Vec<u8> {
        Writer::new(self.layout()).long(stack.base).i32(stack.flags).long(stack.size).finish()
    }
    /// Reads a `stack_t`, which has three words of `long`.
    fn read_altstack(&self, bytes: &[u8]) -> AltStack {
        let mut r = Reader::new(self.layout(), bytes);
        AltStack { base: r.long(), flags: r.i32(), size: r.long() }
    }

    /// Where the upper halves of the times of System V objects are.
    fn ipc_highs(&self, _object: Object) -> Highs {
        Highs::After
    }

    /// `e_flags` of a core file.
    fn core_flags(&self) -> u32 {
        0
    }
    /// `elf_gregset_t` of a core file, of a thread that a fault at an address, or 0, has ended.
    fn core_registers(&self, cpu: &CpuState, address: u64) -> Vec<u8>;
    /// `elf_fpregset_t`.
    fn core_floats(&self, cpu: &CpuState) -> Vec<u8>;
    /// What `elf_gregset_t` is aligned to.
    fn core_alignment(&self) -> usize {
        self.layout().long
    }

    /// Are misaligned accesses of this thread put right from now on, where the processor does not allow them?
    fn set_fix_alignment(&self, _cpu: &mut CpuState, _fix: bool) {}

    /// The mode of the floating-point registers, where programs can change it.
    fn fp_mode(&self, _cpu: &CpuState) -> Option<FpMode> {
        None
    }
    /// Changes it; is that possible?
    fn set_fp_mode(&self, _cpu: &mut CpuState, _mode: FpMode) -> bool {
        false
    }

    /// `/proc/cpuinfo` of a machine of `count` processors; `isa` is the guest's name of its instruction set.
    fn cpuinfo(&self, isa: &str, count: usize) -> String;
}

/// A set of signals with other numbers; what has no number there is lost.
fn permute(set: u64, number: impl Fn(i32) -> i32) -> u64 {
    let mut left = set;
    let mut all = 0;
    while left != 0 {
        let signal = left.trailing_zeros() as i32 + 1;
        left &= left - 1;
        let new = number(signal);
        if (1..=64).contains(&new) {
            all |= 1 << (new - 1);
        }
    }
    all
}

/// The signal for a trap, as most architectures have it.
pub fn trap_signal(kind: TrapKind) -> Raised {
    const TRAP_BRKPT: i32 = 1;
    const ILL_ILLOPC: i32 = 1;
    const FPE_INTDIV: i32 = 1;
    const FPE_INTOVF: i32 = 2;
    const FPE_FLTINV: i32 = 7;
    const BUS_ADRALN: i32 = 1;
    match kind {
        TrapKind::IllegalInstruction { .. } | TrapKind::CoprocessorUnusable { .. } => {
            Raised::at(libc::SIGILL, ILL_ILLOPC)
        }
        // The codes of MIPS compilers for a division by zero and an overflow (arch/mips do_trap_or_bp).
        TrapKind::Breakpoint { code: 7 } | TrapKind::Conditional { code: 7 } => Raised::at(libc::SIGFPE, FPE_INTDIV),
        TrapKind::Breakpoint { code: 6 } | TrapKind::Conditional { code: 6 } => Raised::at(libc::SIGFPE, FPE_INTOVF),
        TrapKind::Breakpoint { .. } | TrapKind::Conditional { .. } => Raised::at(libc::SIGTRAP, TRAP_BRKPT),
        TrapKind::MisalignedTarget => Raised::at(libc::SIGBUS, BUS_ADRALN),
        TrapKind::IntegerOverflow => Raised::at(libc::SIGFPE, FPE_INTOVF),
        TrapKind::FloatException => Raised::at(libc::SIGFPE, FPE_FLTINV),
    }
}

/// The signal for a fault, as most architectures have it.
pub fn fault_signal(fault: &Fault) -> Raised {
    const SEGV_MAPERR: i32 = 1;
    const SEGV_ACCERR: i32 = 2;
    const BUS_ADRALN: i32 = 1;
    const BUS_ADRERR: i32 = 2;
    match fault.cause {
        FaultCause::Unmapped => Raised::at(libc::SIGSEGV, SEGV_MAPERR),
        FaultCause::Protected => Raised::at(libc::SIGSEGV, SEGV_ACCERR),
        FaultCause::Misaligned => Raised::at(libc::SIGBUS, BUS_ADRALN),
        FaultCause::Bus => Raised::at(libc::SIGBUS, BUS_ADRERR),
    }
}
