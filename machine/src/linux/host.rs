//! The host's kernel: with its two modules the only file of the Linux personality with `unsafe`, but for one instruction (`ptrace::stop`).
//!
//! * [`call`] and [`blocking`] are raw system calls whose buffers are typed [`Arg`]s. `blocking` closes the race between a
//!   signal that arrives and a call that starts to wait: the stub looks at the thread's queue of caught signals, and a
//!   handler that interrupts it before the `syscall` instruction has completed makes it return.
//! * [`SignalQueue`] holds the signals that the host's handler has caught for a guest thread. After a catch the handler
//!   leaves all other signals blocked, so the kernel keeps the queueing, ordering and choice of thread.
//! * [`fork`], [`vfork`] and [`execve`].

mod process;
mod signals;

pub use process::*;
pub use signals::*;

use super::errno::Errno;
use std::arch::global_asm;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Types that are valid for every bit pattern and that the kernel reads or writes as plain memory.
///
/// # Safety
/// The type has no padding that is read, no pointers that Rust follows, and any bytes are a valid value.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($t:ty)*) => { $(
        // SAFETY: integers, arrays of them, or C structs made of integers (and raw pointers that only the kernel follows).
        unsafe impl Plain for $t {}
    )* };
}
plain! {
    u8 u16 u32 u64 i8 i16 i32 i64 usize isize [i32; 2] [u32; 3] [u64; 2] [u64; 4] [i64; 2] [u64; 16]
    libc::stat libc::statx libc::statfs libc::timespec libc::timeval libc::itimerspec libc::itimerval libc::rusage
    libc::rlimit64 libc::sysinfo libc::utsname libc::flock libc::epoll_event libc::pollfd libc::iovec libc::msghdr
    libc::tms libc::sched_param libc::timezone libc::timex
}

/// A value of all zero bytes.
pub fn zeroed<T: Plain>() -> T {
    // SAFETY: `Plain` types are valid for any bytes.
    unsafe { std::mem::zeroed() }
}

/// The bytes of `value`.
pub fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: the slice covers exactly `value`, borrowed for the same time; `Plain` excludes padding that matters.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// One argument of a system call: a number, or memory borrowed until the call is over.
#[derive(Clone, Copy)]
pub struct Arg<'a>(usize, PhantomData<&'a mut [u8]>);

impl<'a> Arg<'a> {
    /// A null pointer.
    pub const NULL: Arg<'static> = Arg(0, PhantomData);

    /// A pointer to nothing: the kernel answers `EFAULT` when it gets to it, which may be after other checks.
    pub const BAD: Arg<'static> = Arg(!0xfff, PhantomData);

    /// Memory that the kernel reads.
    pub fn input(bytes: &'a [u8]) -> Self {
        Arg(bytes.as_ptr() as usize, PhantomData)
    }

    /// Memory that the kernel writes, and at most its length.
    pub fn output(bytes: &'a mut [u8]) -> Self {
        Arg(bytes.as_mut_ptr() as usize, PhantomData)
    }

    /// A structure that the kernel reads.
    pub fn from_ref<T: Plain>(value: &'a T) -> Self {
        Arg(std::ptr::from_ref(value) as usize, PhantomData)
    }

    /// A structure that the kernel writes (and may read).
    pub fn from_mut<T: Plain>(value: &'a mut T) -> Self {
        Arg(std::ptr::from_mut(value) as usize, PhantomData)
    }

    /// An array that the kernel reads.
    pub fn slice<T: Plain>(values: &'a [T]) -> Self {
        Arg(values.as_ptr() as usize, PhantomData)
    }

    /// An array that the kernel writes.
    pub fn slice_mut<T: Plain>(values: &'a mut [T]) -> Self {
        Arg(values.as_mut_ptr() as usize, PhantomData)
    }

    /// A structure, or null.
    pub fn opt<T: Plain>(value: Option<&'a T>) -> Self {
        value.map_or(Arg::NULL, Arg::from_ref)
    }

    /// A structure that the kernel writes, or null.
    pub fn opt_mut<T: Plain>(value: Option<&'a mut T>) -> Self {
        value.map_or(Arg::NULL, Arg::from_mut)
    }

    /// A file name.
    pub fn path(path: &'a CStr) -> Self {
        Arg(path.as_ptr() as usize, PhantomData)
    }

    /// The raw register value.
    pub fn raw(self) -> usize {
        self.0
    }
}

macro_rules! arg_from_int {
    ($($t:ty)*) => { $(
        impl From<$t> for Arg<'_> {
            /// A number; the caller does not pass addresses this way, but for guest memory that was range-checked.
            fn from(value: $t) -> Self { Arg(value as usize, PhantomData) }
        }
    )* };
}
arg_from_int!(i32 u32 i64 u64 usize bool);

fn registers(args: &[Arg<'_>]) -> [usize; 6] {
    let mut regs = [0; 6];
    for (reg, arg) in regs.iter_mut().zip(args) {
        *reg = arg.0;
    }
    regs
}

fn outcome(value: i64) -> Result<u64, Errno> {
    if (-4095..0).contains(&value) { Err(Errno(-value as i32)) } else { Ok(value as u64) }
}

/// A system call that does not wait, or whose waiting need not be interrupted.
///
/// Not for calls that change the emulator's own address space: those belong to the guest memory.
pub fn call(number: i64, args: &[Arg<'_>]) -> Result<u64, Errno> {
    let r = registers(args);
    // SAFETY: every address comes from a borrow in `Arg`, or lies in guest memory, which is raw memory for Rust.
    let value = unsafe { raw_syscall(number, r) };
    outcome(value)
}

/// A system call that may wait: a caught signal ends it with [`Errno::RESTART`] or `EINTR`, by the kernel's own rules,
/// or with [`Errno::NOT_BEGUN`].
pub fn blocking(number: i64, args: &[Arg<'_>]) -> Result<u64, Errno> {
    let r = registers(args);
    let queue = CURRENT.get();
    if queue.is_null() {
        return call(number, args);
    }
    // SAFETY: the queue outlives the thread's registration in `CURRENT`.
    let queue = unsafe { &*queue };
    queue.begin_wait();
    // SAFETY: as in `call`.
    let value = unsafe { emu_blocking_syscall(&raw const queue.count, number, r.as_ptr()) };
    queue.end_wait();
    outcome(value)
}

/// [`blocking`] for calls that the kernel never restarts after a handler (`poll`, `nanosleep`, ...).
pub fn blocking_once(number: i64, args: &[Arg<'_>]) -> Result<u64, Errno> {
    blocking(number, args).map_err(|e| match e {
        Errno::RESTART | Errno::EINTR => Errno::RESTART_NO_HANDLER,
        other => other,
    })
}

/// # Safety
/// As the system call asks.
unsafe fn raw_syscall(number: i64, r: [usize; 6]) -> i64 {
    let value: i64;
    // SAFETY: the kernel's calling convention; rcx and r11 are clobbered, memory may be.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") number => value, in("rdi") r[0], in("rsi") r[1], in("rdx") r[2],
            in("r10") r[3], in("r8") r[4], in("r9") r[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    value
}

unsafe extern "C" {
    fn emu_blocking_syscall(pending: *const AtomicU32, number: i64, args: *const usize) -> i64;
    static emu_blocking_start: u8;
    static emu_blocking_syscall_insn: u8;
    static emu_blocking_not_begun: u8;
    static emu_blocking_interrupted: u8;
    fn emu_sigreturn();
}

// emu_blocking_syscall(pending: rdi, number: rsi, args: rdx). A thread that a signal finds between `start` and the
// `syscall` instruction is sent to `not_begun` by the handler. At the instruction the kernel has most likely set pc back
// to restart the call: the handler sends the thread to `interrupted`.
global_asm!(
    ".globl emu_blocking_syscall, emu_blocking_start, emu_blocking_syscall_insn, emu_blocking_not_begun",
    ".globl emu_blocking_interrupted, emu_sigreturn",
    "emu_blocking_syscall:",
    "mov r11, rdi",
    "mov rax, rsi",
    "mov rcx, rdx",
    "mov rdi, [rcx]",
    "mov rsi, [rcx + 8]",
    "mov rdx, [rcx + 16]",
    "mov r10, [rcx + 24]",
    "mov r8, [rcx + 32]",
    "mov r9, [rcx + 40]",
    "emu_blocking_start:",
    "cmp dword ptr [r11], 0",
    "jne emu_blocking_not_begun",
    "emu_blocking_syscall_insn:",
    "syscall",
    "ret",
    "emu_blocking_not_begun:",
    "mov rax, -513",
    "ret",
    "emu_blocking_interrupted:",
    "mov rax, -512",
    "ret",
    "emu_sigreturn:",
    "mov eax, 15",
    "syscall",
);

/// The thread's id in the kernel.
pub fn tid() -> i32 {
    call(libc::SYS_gettid, &[]).unwrap_or(0) as i32
}

/// The process's id, asked anew: a cached one is wrong in a vfork child.
pub fn pid() -> i32 {
    call(libc::SYS_getpid, &[]).unwrap_or(0) as i32
}

/// Ends the process at once.
pub fn exit_process(code: i32) -> ! {
    // SAFETY: no destructors run; everything worth keeping has been written.
    unsafe { libc::_exit(code) }
}

/// Ends the calling host thread only; for the main thread, whose end by returning would end the process.
pub fn exit_thread() -> ! {
    loop {
        let _ = call(libc::SYS_exit, &[0.into()]);
    }
}

/// An entry of the auxiliary vector that the kernel gave this process.
pub fn auxiliary(kind: u64) -> Option<u64> {
    // SAFETY: C functions without preconditions; the location is this thread's own.
    unsafe {
        *libc::__errno_location() = 0;
        let value = libc::getauxval(kind);
        (value != 0 || *libc::__errno_location() == 0).then_some(value)
    }
}

/// The file of a descriptor that is the caller's to close.
pub fn own_file(fd: i32) -> std::fs::File {
    // SAFETY: the caller owns the descriptor; should it not be open, every use answers EBADF.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }
}

/// A memory file's words, shared with all who map them; for good.
///
/// # Errors
/// What the host says.
pub fn map_words(file: &std::fs::File) -> std::io::Result<&'static [AtomicU64]> {
    let words = file.metadata()?.len() as usize / 8;
    map_shared(words, libc::MAP_SHARED, std::os::fd::AsRawFd::as_raw_fd(file))
}

/// So many words, all 0, shared with the children that are forked from now on; for good.
///
/// # Errors
/// What the host says.
pub fn new_words(words: usize) -> std::io::Result<&'static [AtomicU64]> {
    map_shared(words, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
}

fn map_shared(words: usize, flags: i32, fd: i32) -> std::io::Result<&'static [AtomicU64]> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping wherever the kernel likes.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), words * 8, prot, flags, fd, 0) };
    if at == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: aligned to a page, as long as the file, which nobody makes shorter, and never unmapped; all access is atomic.
    Ok(unsafe { std::slice::from_raw_parts(at.cast(), words) })
}
