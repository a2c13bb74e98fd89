//! The host's kernel: the only file of the Linux personality with `unsafe`, but for one instruction (`ptrace::stop`).
//!
//! * [`call`] and [`blocking`] are raw system calls whose buffers are typed [`Arg`]s. `blocking` closes the race between a
//!   signal that arrives and a call that starts to wait: the stub looks at the thread's queue of caught signals, and a
//!   handler that interrupts it before the `syscall` instruction has completed makes it return.
//! * [`SignalQueue`] holds the signals that the host's handler has caught for a guest thread. After a catch the handler
//!   leaves all other signals blocked, so the kernel keeps the queueing, ordering and choice of thread.
//! * Forking, execution and exit.

use super::errno::Errno;
use libc::c_void;
use std::arch::global_asm;
use std::cell::{Cell, UnsafeCell};
use std::ffi::CStr;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

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

/// A set of signals: bit `n - 1` is signal `n`, as in the kernel.
pub type SigSet = u64;

/// The signals that the processor raises; the host never blocks them, since guest memory works by them.
pub const SYNCHRONOUS: SigSet = set_of(&[libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP]);

const fn set_of(signals: &[i32]) -> SigSet {
    let mut set = 0;
    let mut i = 0;
    while i < signals.len() {
        set |= 1 << (signals[i] - 1);
        i += 1;
    }
    set
}

/// Sets a running thread's flag, from a signal handler or another thread: its vcpu returns `Exit::Interrupted` soon.
pub trait Interrupt: Send + Sync {
    /// Only atomic stores: called in signal handlers.
    fn interrupt(&self);
    /// The thread is about to wait in the host's kernel, or to end: it needs nothing of the engine until
    /// [`Interrupt::end_wait`].
    fn begin_wait(&self) {}
    /// The thread goes on.
    fn end_wait(&self) {}
}

/// A caught signal: the kernel's `siginfo_t`, 128 bytes in the host's layout.
#[derive(Clone, Copy, Debug)]
pub struct RawInfo(pub [u8; 128]);

const QUEUE: usize = 8;

/// Signals that the host's handler caught for one thread and that the guest has not seen yet.
///
/// One asynchronous signal blocks the next, so the queue is longer than one only by synchronous signals sent by `kill`.
pub struct SignalQueue {
    count: AtomicU32,
    head: Cell<usize>,
    tail: AtomicU32,
    infos: [UnsafeCell<RawInfo>; QUEUE],
    interrupt: Arc<dyn Interrupt>,
}

thread_local! {
    static CURRENT: Cell<*const SignalQueue> = const { Cell::new(std::ptr::null()) };
}

impl SignalQueue {
    /// An empty queue for the vcpu behind `interrupt`.
    pub fn new(interrupt: Arc<dyn Interrupt>) -> Box<Self> {
        let infos = std::array::from_fn(|_| UnsafeCell::new(RawInfo([0; 128])));
        Box::new(SignalQueue {
            count: AtomicU32::new(0),
            head: Cell::new(0),
            tail: AtomicU32::new(0),
            infos,
            interrupt,
        })
    }

    /// Makes this the queue of the calling host thread; it stays so until [`SignalQueue::leave`].
    ///
    /// Returns what was there, for a vfork child that borrows its parent's thread-local storage.
    pub fn enter(&self) -> Previous {
        Previous(CURRENT.replace(self))
    }

    /// Ends [`SignalQueue::enter`].
    pub fn leave(previous: Previous) {
        CURRENT.set(previous.0);
    }

    /// See [`Interrupt::begin_wait`].
    pub fn begin_wait(&self) {
        self.interrupt.begin_wait();
    }

    /// See [`Interrupt::end_wait`].
    pub fn end_wait(&self) {
        self.interrupt.end_wait();
    }

    /// Is a signal waiting?
    pub fn is_pending(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// The oldest caught signal. Only the owning thread calls it.
    pub fn take(&self) -> Option<RawInfo> {
        if !self.is_pending() {
            return None;
        }
        let at = self.head.get();
        // SAFETY: the handler runs on this thread only and never writes an entry that is counted.
        let info = unsafe { *self.infos[at].get() };
        self.head.set((at + 1) % QUEUE);
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(info)
    }

    /// Called by the handler, which another signal's handler may interrupt at any point.
    fn push(&self, info: RawInfo) {
        if (self.count.load(Ordering::Relaxed) as usize) < QUEUE {
            let at = self.tail.fetch_add(1, Ordering::Relaxed) as usize % QUEUE;
            // SAFETY: the place was claimed by the line above, and `take`, on this thread, sees it when we are done.
            unsafe { *self.infos[at].get() = info };
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        self.interrupt.interrupt();
    }
}

/// The queue that [`SignalQueue::enter`] replaced.
pub struct Previous(*const SignalQueue);

/// Looks at a synchronous signal first: `(signal, siginfo, ucontext)`; true when it was a guest access it has dealt with.
pub type FaultHook = unsafe fn(i32, *mut libc::siginfo_t, *mut c_void) -> bool;

static FAULT_HOOK: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Gives the engine's handler of processor faults. Call before [`catch_traps`].
pub fn set_fault_hook(hook: FaultHook) {
    FAULT_HOOK.store(hook as *mut c_void, Ordering::Release);
}

/// Installs the handler for the synchronous signals that guest memory's own handler does not take.
pub fn catch_traps() {
    for signal in [libc::SIGILL, libc::SIGFPE, libc::SIGTRAP] {
        let _ = set_action(signal, Action::Catch, 0);
    }
}

/// The handler of every caught signal.
extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives valid pointers; `siginfo_t` is 128 bytes.
    let (code, raw) = unsafe { ((*info).si_code, *info.cast::<RawInfo>()) };
    if SYNCHRONOUS >> (signal - 1) & 1 != 0 && code > 0 {
        return on_fault(signal, info, context);
    }
    // SAFETY: the kernel's context.
    if !catch(&raw, unsafe { &mut *context.cast() }) {
        pass_on(signal, &raw, context.cast());
    }
}

/// Takes `SIGSEGV` and `SIGBUS` that were sent by somebody, from the handler of guest memory.
pub(super) fn catch_sent(_: i32, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
    // SAFETY: `siginfo_t` is 128 bytes.
    let raw = unsafe { *std::ptr::from_ref(info).cast::<RawInfo>() };
    catch(&raw, context)
}

/// Queues a signal for the guest's thread; false on the emulator's own threads.
fn catch(raw: &RawInfo, context: &mut libc::ucontext_t) -> bool {
    let queue = CURRENT.get();
    if queue.is_null() {
        return false;
    }
    // SAFETY: the queue is alive while it is in `CURRENT`; the context is the kernel's; the labels are addresses only.
    unsafe {
        (*queue).push(*raw);
        *(&raw mut context.uc_sigmask).cast::<u64>() = !SYNCHRONOUS;
        let pc = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
        let (start, insn) = (&raw const emu_blocking_start as i64, &raw const emu_blocking_syscall_insn as i64);
        if (start..insn).contains(pc) {
            *pc = &raw const emu_blocking_not_begun as i64;
        } else if *pc == insn {
            *pc = &raw const emu_blocking_interrupted as i64;
        }
    }
    true
}

/// A fault of the processor: the engine's, or a bug of ours that ends the process as it would have without a handler.
fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's context.
    let pc = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] };
    if signal == libc::SIGTRAP && super::ptrace::stop::is_stop(pc as u64) {
        // A stop for a tracer that is gone.
        return;
    }
    let hook = FAULT_HOOK.load(Ordering::Acquire);
    if !hook.is_null() {
        // SAFETY: only `set_fault_hook` stores here, and it stores a `FaultHook`.
        let hook: FaultHook = unsafe { std::mem::transmute(hook) };
        // SAFETY: the kernel's own pointers are passed on.
        if unsafe { hook(signal, info, context) } {
            return;
        }
    }
    let _ = set_action(signal, Action::Default, 0);
}

/// A thread of the emulator (a compiler) caught a signal meant for the process: never again here, and send it on.
fn pass_on(signal: i32, info: &RawInfo, context: *mut libc::ucontext_t) {
    // SAFETY: the context is the kernel's.
    unsafe { *(&raw mut (*context).uc_sigmask).cast::<u64>() = !SYNCHRONOUS };
    let _ = call(libc::SYS_rt_sigqueueinfo, &[std::process::id().into(), signal.into(), Arg::input(&info.0)]);
}

/// What the host shall do with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    Default,
    Ignore,
    /// Call the emulator's handler, which queues it for the guest.
    Catch,
}

const SA_RESTORER: u64 = 0x0400_0000;

/// Sets the host's action; `flags` are `SA_NOCLDSTOP` and `SA_NOCLDWAIT`.
pub fn set_action(signal: i32, action: Action, flags: u64) -> Result<(), Errno> {
    let handler = match action {
        Action::Default => libc::SIG_DFL,
        Action::Ignore => libc::SIG_IGN,
        Action::Catch => on_signal as *const () as usize,
    };
    let flags = flags | (libc::SA_SIGINFO | libc::SA_RESTART) as u64 | SA_RESTORER;
    let restorer = emu_sigreturn as *const () as u64;
    let new: [u64; 4] = [handler as u64, flags, restorer, SigSet::MAX];
    call(libc::SYS_rt_sigaction, &[signal.into(), Arg::from_ref(&new), Arg::NULL, 8.into()])?;
    Ok(())
}

/// An action that [`ignore`] has replaced.
#[derive(Debug)]
pub struct SavedAction(i32, [u64; 4]);

/// Ignores a synchronous signal, for a program about to be executed.
pub fn ignore(signal: i32) -> Result<SavedAction, Errno> {
    let (new, mut old) = ([libc::SIG_IGN as u64, 0, 0, 0u64], [0u64; 4]);
    call(libc::SYS_rt_sigaction, &[signal.into(), Arg::from_ref(&new), Arg::from_mut(&mut old), 8.into()])?;
    Ok(SavedAction(signal, old))
}

impl SavedAction {
    /// Puts the action back.
    pub fn restore(self) {
        let _ = call(libc::SYS_rt_sigaction, &[self.0.into(), Arg::from_ref(&self.1), Arg::NULL, 8.into()]);
    }
}

/// Is the signal ignored by the host now?
pub fn is_ignored(signal: i32) -> bool {
    let mut old = [0u64; 4];
    let done = call(libc::SYS_rt_sigaction, &[signal.into(), Arg::NULL, Arg::from_mut(&mut old), 8.into()]);
    done.is_ok() && old[0] == libc::SIG_IGN as u64
}

/// Blocks `mask` (never the synchronous signals) and returns the old mask.
pub fn set_mask(mask: SigSet) -> SigSet {
    set_mask_exactly(mask & !SYNCHRONOUS)
}

/// Blocks `mask`, whatever is in it: for a program about to be executed, or about to start.
pub fn set_mask_exactly(mask: SigSet) -> SigSet {
    let mut old = 0u64;
    let _ = call(
        libc::SYS_rt_sigprocmask,
        &[libc::SIG_SETMASK.into(), Arg::from_ref(&mask), Arg::from_mut(&mut old), 8.into()],
    );
    old
}

/// The calling thread's mask.
pub fn mask() -> SigSet {
    let mut old = 0u64;
    let _ = call(libc::SYS_rt_sigprocmask, &[0.into(), Arg::NULL, Arg::from_mut(&mut old), 8.into()]);
    old
}

/// Ends the process by `signal`, as its default action does.
///
/// Without a core file: it would show the emulator, not the guest.
pub fn die_by(signal: i32) -> ! {
    let mut limit: libc::rlimit64 = zeroed();
    let core = libc::RLIMIT_CORE;
    if call(libc::SYS_prlimit64, &[0.into(), core.into(), Arg::NULL, Arg::from_mut(&mut limit)]).is_ok() {
        limit.rlim_cur = 0;
        let _ = call(libc::SYS_prlimit64, &[0.into(), core.into(), Arg::from_ref(&limit), Arg::NULL]);
    }
    let _ = set_action(signal, Action::Default, 0);
    let tid = tid();
    let _ = call(libc::SYS_tgkill, &[std::process::id().into(), tid.into(), signal.into()]);
    set_mask_exactly(!(1 << (signal - 1)));
    // A default action that does not end a process (the guest believed otherwise): leave as a shell would report it.
    exit_process(128 + signal)
}

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

/// Which side of a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The parent, with the child's pid.
    Parent(i32),
    /// The child.
    Child,
}

/// `fork`: the child has the calling thread only.
///
/// The caller holds every lock that the child will need; the allocator's are the C library's care.
pub fn fork() -> Result<Forked, Errno> {
    // SAFETY: the child goes on with locks known to be free, see above.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error().into()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// `clone` without shared memory, for flags that [`fork`] does not have.
pub fn clone_process(flags: u64) -> Result<Forked, Errno> {
    debug_assert_eq!(flags & (libc::CLONE_VM as u64), 0);
    match call(libc::SYS_clone, &[flags.into(), Arg::NULL, Arg::NULL, Arg::NULL, Arg::NULL])? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid as i32)),
    }
}

const VFORK_STACK: usize = 1 << 20;

/// `vfork`: runs `child` in a new process that shares all memory, and waits until it has executed a program or ended.
/// `flags` are more of `clone`'s, and the signal at its end.
///
/// `child` runs on its own stack with this thread's thread-local storage; when it returns the child process ends.
pub fn vfork(flags: i32, mut child: &mut dyn FnMut()) -> Result<i32, Errno> {
    extern "C" fn start(child: *mut c_void) -> i32 {
        // SAFETY: `child` below, in the frame of the parent's thread, which waits.
        let child = unsafe { &mut *child.cast::<&mut dyn FnMut()>() };
        child();
        exit_process(127)
    }
    let stack = VforkStack::new()?;
    let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK;
    // SAFETY: the stack is fresh and lives until the child no longer uses this memory, since the parent waits (VFORK).
    let pid = unsafe { libc::clone(start, stack.top(), flags, (&raw mut child).cast()) };
    if pid < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(pid) }
}

struct VforkStack(*mut c_void);

impl VforkStack {
    fn new() -> Result<Self, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping wherever the kernel likes.
        let at =
            unsafe { libc::mmap(std::ptr::null_mut(), VFORK_STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if at == libc::MAP_FAILED { Err(Errno::ENOMEM) } else { Ok(VforkStack(at)) }
    }

    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(VFORK_STACK)
    }
}

impl Drop for VforkStack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, used by no one any more.
        unsafe { libc::munmap(self.0, VFORK_STACK) };
    }
}

/// `execve` of a host file.
pub fn execve(path: &CStr, argv: &[&CStr], envp: &[&CStr]) -> Errno {
    let table = |list: &[&CStr]| list.iter().map(|s| s.as_ptr() as usize).chain([0]).collect::<Vec<usize>>();
    let (argv, envp) = (table(argv), table(envp));
    match call(libc::SYS_execve, &[Arg::path(path), Arg::slice(&argv), Arg::slice(&envp)]) {
        Err(e) => e,
        Ok(_) => Errno::EIO,
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
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let fd = std::os::fd::AsRawFd::as_raw_fd(file);
    // SAFETY: a fresh mapping wherever the kernel likes.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), words * 8, prot, libc::MAP_SHARED, fd, 0) };
    if at == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: aligned to a page, as long as the file, which nobody makes shorter, and never unmapped; all access is atomic.
    Ok(unsafe { std::slice::from_raw_parts(at.cast(), words) })
}

/// What the Rust runtime changes before `main` runs, as it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartState {
    /// `SIGPIPE` was ignored (the runtime ignores it always).
    pub sigpipe_ignored: bool,
    /// Standard descriptors that were closed (the runtime opens `/dev/null` there).
    pub closed_std: [bool; 3],
}

static START: AtomicU32 = AtomicU32::new(0);

/// Runs before the Rust runtime's own set-up.
extern "C" fn record_start() {
    let mut bits = u32::from(is_ignored(libc::SIGPIPE));
    for fd in 0..3 {
        if call(libc::SYS_fcntl, &[fd.into(), libc::F_GETFD.into()]) == Err(Errno::EBADF) {
            bits |= 2 << fd;
        }
    }
    START.store(bits, Ordering::Relaxed);
}

// SAFETY: a constructor in the list that the C library runs before `main`; it makes system calls only.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD_START: extern "C" fn() = record_start;

/// The state that the process was started with.
pub fn start_state() -> StartState {
    let bits = START.load(Ordering::Relaxed);
    StartState { sigpipe_ignored: bits & 1 != 0, closed_std: [bits & 2 != 0, bits & 4 != 0, bits & 8 != 0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Counts how often the hart was interrupted.
    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Interrupt for Counter {
        fn interrupt(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Runs `f` on a thread that catches `signal` for a queue, and gives it the queue and its own thread id.
    fn catching(signal: i32, f: impl FnOnce(&SignalQueue, i32) + Send + 'static) -> std::thread::JoinHandle<()> {
        set_action(signal, Action::Catch, 0).expect("a handler");
        std::thread::spawn(move || {
            let queue = SignalQueue::new(Arc::new(Counter::default()));
            let previous = queue.enter();
            f(&queue, tid());
            SignalQueue::leave(previous);
        })
    }

    fn send(tid: i32, signal: i32) {
        call(libc::SYS_tgkill, &[pid().into(), tid.into(), signal.into()]).expect("sent");
    }

    fn pipe() -> [i32; 2] {
        let mut ends = [0; 2];
        call(libc::SYS_pipe2, &[Arg::from_mut(&mut ends), 0.into()]).expect("a pipe");
        ends
    }

    #[test]
    fn a_signal_before_a_call_keeps_it_from_waiting() {
        let thread = catching(libc::SIGUSR1, |queue, tid| {
            send(tid, libc::SIGUSR1);
            assert!(queue.is_pending());
            let mut byte = [0];
            let args = [pipe()[0].into(), Arg::output(&mut byte), 1.into()];
            assert_eq!(blocking(libc::SYS_read, &args), Err(Errno::NOT_BEGUN));
            assert_eq!(queue.take().map(|info| info.signal()), Some(libc::SIGUSR1));
            assert!(queue.take().is_none());
        });
        thread.join().expect("no failure");
    }

    #[test]
    fn a_signal_ends_a_waiting_call() {
        let (tell, told) = mpsc::channel();
        let thread = catching(libc::SIGUSR2, move |queue, tid| {
            tell.send(tid).expect("told");
            let mut byte = [0];
            let args = [pipe()[0].into(), Arg::output(&mut byte), 1.into()];
            // The signal may come before or while it waits: both end it.
            let ended = blocking(libc::SYS_read, &args);
            assert!(matches!(ended, Err(Errno::RESTART | Errno::NOT_BEGUN)), "{ended:?}");
            assert!(queue.take().is_some());
        });
        let tid = told.recv().expect("its id");
        std::thread::sleep(std::time::Duration::from_millis(20));
        send(tid, libc::SIGUSR2);
        thread.join().expect("no failure");
    }

    #[test]
    fn one_signal_blocks_the_next() {
        let thread = catching(libc::SIGURG, |queue, tid| {
            send(tid, libc::SIGURG);
            send(tid, libc::SIGURG);
            assert_eq!(mask() >> (libc::SIGURG - 1) & 1, 1);
            assert!(queue.take().is_some() && queue.take().is_none());
            set_mask(0);
            assert!(queue.take().is_some());
        });
        thread.join().expect("no failure");
    }
}
