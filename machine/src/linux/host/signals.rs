//! Signals of the host: caught ones for guest threads, dispositions and masks.

use super::{
    Arg, Errno, call, emu_blocking_interrupted, emu_blocking_not_begun, emu_blocking_start, emu_blocking_syscall_insn,
    emu_sigreturn, exit_process, tid, zeroed,
};
use libc::c_void;
use std::cell::{Cell, UnsafeCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

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
    pub(super) count: AtomicU32,
    head: Cell<usize>,
    tail: AtomicU32,
    infos: [UnsafeCell<RawInfo>; QUEUE],
    interrupt: Arc<dyn Interrupt>,
}

thread_local! {
    pub(super) static CURRENT: Cell<*const SignalQueue> = const { Cell::new(std::ptr::null()) };
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
pub(in crate::linux) fn catch_sent(signal: i32, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
    // SAFETY: `siginfo_t` is 128 bytes.
    let raw = unsafe { *std::ptr::from_ref(info).cast::<RawInfo>() };
    if catch(&raw, context) {
        return true;
    }
    // The first thread has no guest before it starts one; the others without are compilers, while they read guest memory.
    let is_helper = tid() != std::process::id() as i32;
    if is_helper {
        pass_on(signal, &raw, context);
    }
    is_helper
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
    if signal == libc::SIGTRAP && crate::linux::ptrace::stop::is_stop(pc as u64) {
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

#[cfg(test)]
mod tests {
    use super::super::{blocking, pid};
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
