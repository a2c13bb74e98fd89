//! Guarded access to guest memory, and the process-wide handler of SIGSEGV and SIGBUS.
//!
//! Each guarded instruction has an entry in the section `emu_extable`: where it is and where to go on after a fault.
//! The handler looks the faulting instruction up, puts what happened into `rdx` and goes on there. Nothing is
//! checked before an access but that the address is in range, so the good case costs a compare and the access.

use std::io::{self, Write as _};
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A fault that the host reported for a guarded access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostFault {
    /// What the handler put into `rdx`: [`FAULT`], [`BUS`] and the host address.
    word: u64,
}

/// Set in every report, so that it is not 0 even where the host could not tell an address.
const FAULT: u64 = 1 << 62;
/// The signal was SIGBUS.
const BUS: u64 = 1 << 63;

impl HostFault {
    /// Was it SIGBUS?
    pub(super) fn is_bus(self) -> bool {
        self.word & BUS != 0
    }

    /// The host address that faulted.
    pub(super) fn host_addr(self) -> u64 {
        self.word & !(BUS | FAULT)
    }
}

/// The part of the host's address space that guarded accesses may touch: guest addresses below `limit`, and the
/// inaccessible guard after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    base: u64,
    limit: u64,
}

/// Puts a guarded instruction and its table entry together. `rdx` is 0 before, and the report after a fault.
macro_rules! guarded {
    ($insn:literal, $err:ident, $($operands:tt)*) => {
        std::arch::asm!(
            concat!("2: ", $insn),
            "3:",
            ".pushsection emu_extable,\"aR\",@progbits",
            ".long 2b - .",
            ".long 3b - .",
            ".popsection",
            $($operands)*
            inout("rdx") 0u64 => $err,
            options(nostack),
        )
    };
}

/// A guarded `lock cmpxchg`; the registers are named by the width's letter.
macro_rules! guarded_cas {
    ($insn:literal, $new:ident: $class:ident, $ptr:ident, $expected:ident, $old:ident, $err:ident) => {
        guarded!($insn, $err,
            ptr = in(reg) $ptr, new = in($class) $new, inout("rax") $expected => $old,)
    };
}

impl Window {
    /// # Safety
    /// `base .. base + limit` and at least 8 bytes more must be reserved for the guest as long as the window is used:
    /// no Rust object may ever live there.
    pub(super) const unsafe fn new(base: u64, limit: u64) -> Window {
        Window { base, limit }
    }

    /// Host address of guest address 0.
    #[inline(always)]
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// The first guest address that is out of range.
    #[inline(always)]
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Is the whole range in the window?
    #[inline(always)]
    pub(super) fn contains(&self, addr: u64, len: u64) -> bool {
        addr.checked_add(len).is_some_and(|end| end <= self.limit)
    }

    #[inline(always)]
    fn host(&self, addr: u64) -> Result<u64, HostFault> {
        if addr < self.limit { Ok(self.base + addr) } else { Err(HostFault { word: FAULT }) }
    }

    /// Reads 1, 2, 4 or 8 bytes, zero-extended.
    #[inline(always)]
    pub(super) fn load(&self, addr: u64, bytes: u8) -> Result<u64, HostFault> {
        let ptr = self.host(addr)?;
        let (value, err): (u64, u64);
        // SAFETY: the access starts inside the window and ends at most 7 bytes behind it, where only the guest's
        // memory or its guard is; a fault there is caught by the table's entry.
        unsafe {
            match bytes {
                1 => guarded!("movzx {v:e}, byte ptr [{p}]", err, p = in(reg) ptr, v = out(reg) value,),
                2 => guarded!("movzx {v:e}, word ptr [{p}]", err, p = in(reg) ptr, v = out(reg) value,),
                4 => guarded!("mov {v:e}, dword ptr [{p}]", err, p = in(reg) ptr, v = out(reg) value,),
                _ => guarded!("mov {v:r}, qword ptr [{p}]", err, p = in(reg) ptr, v = out(reg) value,),
            }
        }
        if err == 0 { Ok(value) } else { Err(HostFault { word: err }) }
    }

    /// Writes the low 1, 2, 4 or 8 bytes of `value`; all of them or none.
    #[inline(always)]
    pub(super) fn store(&self, addr: u64, bytes: u8, value: u64) -> Result<(), HostFault> {
        let ptr = self.host(addr)?;
        let err: u64;
        // SAFETY: as for `load`; the memory is the guest's, so no Rust value changes.
        unsafe {
            match bytes {
                1 => guarded!("mov byte ptr [{p}], {v}", err, p = in(reg) ptr, v = in(reg_byte) value as u8,),
                2 => guarded!("mov word ptr [{p}], {v:x}", err, p = in(reg) ptr, v = in(reg) value,),
                4 => guarded!("mov dword ptr [{p}], {v:e}", err, p = in(reg) ptr, v = in(reg) value,),
                _ => guarded!("mov qword ptr [{p}], {v:r}", err, p = in(reg) ptr, v = in(reg) value,),
            }
        }
        if err == 0 { Ok(()) } else { Err(HostFault { word: err }) }
    }

    /// Atomic compare and swap of 1, 2, 4 or 8 bytes; returns the old value. Needs write permission in any case.
    pub(super) fn cas(&self, addr: u64, bytes: u8, expected: u64, new: u64) -> Result<u64, HostFault> {
        let ptr = self.host(addr)?;
        let err: u64;
        let old: u64;
        let byte = new as u8;
        // SAFETY: as for `store`.
        unsafe {
            match bytes {
                1 => guarded_cas!("lock cmpxchg byte ptr [{ptr}], {new}", byte: reg_byte, ptr, expected, old, err),
                2 => guarded_cas!("lock cmpxchg word ptr [{ptr}], {new:x}", new: reg, ptr, expected, old, err),
                4 => guarded_cas!("lock cmpxchg dword ptr [{ptr}], {new:e}", new: reg, ptr, expected, old, err),
                _ => guarded_cas!("lock cmpxchg qword ptr [{ptr}], {new:r}", new: reg, ptr, expected, old, err),
            }
        }
        let mask = u64::MAX >> (64 - 8 * u32::from(bytes));
        if err == 0 { Ok(old & mask) } else { Err(HostFault { word: err }) }
    }

    /// Copies from guest memory; the number says how many bytes were copied before a fault.
    pub(super) fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), (usize, HostFault)> {
        let len = buf.len();
        if !self.contains(addr, len as u64) {
            return Err((0, HostFault { word: FAULT }));
        }
        // SAFETY: the source is in the window, the destination is the buffer, and both are `len` long.
        unsafe { copy(self.base + addr, buf.as_mut_ptr() as u64, len) }
    }

    /// Copies to guest memory; the number says how many bytes were copied before a fault.
    pub(super) fn write(&self, addr: u64, buf: &[u8]) -> Result<(), (usize, HostFault)> {
        let len = buf.len();
        if !self.contains(addr, len as u64) {
            return Err((0, HostFault { word: FAULT }));
        }
        // SAFETY: the source is the buffer, the destination is in the window, and both are `len` long.
        unsafe { copy(buf.as_ptr() as u64, self.base + addr, len) }
    }
}

/// # Safety
/// One range is a Rust buffer, valid for the access; the other lies in a [`Window`].
unsafe fn copy(from: u64, to: u64, len: usize) -> Result<(), (usize, HostFault)> {
    let (left, err): (usize, u64);
    // SAFETY: by this function's contract; a fault on the guest's side leaves the count of bytes not copied in rcx.
    unsafe {
        guarded!("rep movsb", err, inout("rcx") len => left, inout("rsi") from => _, inout("rdi") to => _,);
    }
    if err == 0 { Ok(()) } else { Err((len - left, HostFault { word: err })) }
}

/// An entry of the section `emu_extable`; both numbers are relative to their own address.
#[repr(C)]
struct Entry {
    insn: i32,
    resume: i32,
}

unsafe extern "C" {
    // The linker makes these for a section whose name is an identifier.
    static __start_emu_extable: Entry;
    static __stop_emu_extable: Entry;
}

fn relative(field: &i32) -> u64 {
    (ptr::from_ref(field) as u64).wrapping_add_signed(i64::from(*field))
}

/// Where to go on if the instruction at `rip` is a guarded one. Async-signal-safe.
pub fn handle_host_fault(rip: u64) -> Option<u64> {
    let (start, stop) = (&raw const __start_emu_extable, &raw const __stop_emu_extable);
    let count = (stop as usize - start as usize) / size_of::<Entry>();
    // SAFETY: the linker puts the section's entries, and nothing else, between the two symbols.
    let table = unsafe { std::slice::from_raw_parts(start, count) };
    table.iter().find(|e| relative(&e.insn) == rip).map(|e| relative(&e.resume))
}

/// Decides about a fault in generated code: true if it has handled it (by changing the context or by removing the
/// reason, so that the instruction can run again).
pub type JitFaultHook = fn(&mut libc::ucontext_t, &libc::siginfo_t) -> bool;
/// Takes a SIGSEGV or SIGBUS that is no fault but was sent (by kill(2) and its kin): true if it has queued it.
pub type SentSignalHook = fn(libc::c_int, &libc::siginfo_t, &mut libc::ucontext_t) -> bool;

static JIT_HOOK: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
static SENT_HOOK: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Sets who decides about faults that no guarded access made. It runs in the signal handler, on the thread that
/// faulted: it may take locks that this thread cannot hold while it runs generated code.
pub fn set_jit_fault_hook(hook: JitFaultHook) {
    JIT_HOOK.store(hook as *mut (), Ordering::Release);
}

/// Sets who takes SIGSEGV and SIGBUS that other processes or threads have sent. It runs in the signal handler.
pub fn set_sent_signal_hook(hook: SentSignalHook) {
    SENT_HOOK.store(hook as *mut (), Ordering::Release);
}

fn jit_hook() -> Option<JitFaultHook> {
    let hook = JIT_HOOK.load(Ordering::Acquire);
    // SAFETY: the pointer is null or was a `JitFaultHook`, and only `set_jit_fault_hook` stores it.
    (!hook.is_null()).then(|| unsafe { std::mem::transmute::<*mut (), JitFaultHook>(hook) })
}

fn sent_hook() -> Option<SentSignalHook> {
    let hook = SENT_HOOK.load(Ordering::Acquire);
    // SAFETY: the pointer is null or was a `SentSignalHook`, and only `set_sent_signal_hook` stores it.
    (!hook.is_null()).then(|| unsafe { std::mem::transmute::<*mut (), SentSignalHook>(hook) })
}

/// The signals that we take, and what their action was before.
static SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
static PREVIOUS: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

/// Installs the process-wide handler of SIGSEGV and SIGBUS; once is enough, more do nothing.
///
/// # Errors
/// What sigaction(2) answers.
pub fn install_fault_handler() -> io::Result<()> {
    if PREVIOUS.get().is_some() {
        return Ok(());
    }
    // SAFETY: all-zero is a valid sigaction: the default action with an empty mask.
    let mut previous: [libc::sigaction; 2] = unsafe { std::mem::zeroed() };
    for (signal, old) in SIGNALS.iter().zip(&mut previous) {
        // SAFETY: a query into a valid structure.
        check(unsafe { libc::sigaction(*signal, ptr::null(), old) })?;
    }
    if PREVIOUS.set(previous).is_err() {
        return Ok(());
    }
    for signal in SIGNALS {
        // SAFETY: as above.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: `on_signal` has the signature that SA_SIGINFO asks for and is async-signal-safe.
        check(unsafe { libc::sigaction(signal, &action, ptr::null_mut()) })?;
    }
    Ok(())
}

fn check(ret: libc::c_int) -> io::Result<()> {
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes valid pointers to a handler with SA_SIGINFO, and nobody else uses them meanwhile.
    let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    if info.si_code <= 0 {
        if !sent_hook().is_some_and(|hook| hook(signal, info, context)) {
            restore_previous(signal);
            // SAFETY: raise has no preconditions; the signal is blocked until we return, then the old action runs.
            unsafe { libc::raise(signal) };
        }
        return;
    }
    if !fix_up(signal, info, context) && !jit_hook().is_some_and(|hook| hook(context, info)) {
        // The instruction runs again, faults again, and the action before ours ends the process.
        report_bug(signal, info, context);
        restore_previous(signal);
    }
}

/// One line on standard error about a fault that is neither the guest's nor expected. Async-signal-safe: formatting
/// numbers into a buffer takes no memory and no lock.
fn report_bug(signal: libc::c_int, info: &libc::siginfo_t, context: &libc::ucontext_t) {
    let name = if signal == libc::SIGBUS { "SIGBUS" } else { "SIGSEGV" };
    // SAFETY: si_addr is valid for the faults of these two signals, which si_code > 0 says this is.
    let addr = unsafe { info.si_addr() } as u64;
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64;
    let from = (rip as i64).wrapping_sub(on_signal as *const () as i64);
    let mut line = [0u8; 160];
    let mut rest = &mut line[..];
    let _ =
        writeln!(rest, "emu: a bug of emu's own: {name} at {rip:#x} (its fault handler {from:+#x}), address {addr:#x}");
    let len = 160 - rest.len();
    // SAFETY: the buffer is as long.
    unsafe { libc::write(2, line.as_ptr().cast(), len) };
}

/// Resumes a guarded access with its report.
fn fix_up(signal: libc::c_int, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
    let regs = &mut context.uc_mcontext.gregs;
    let Some(resume) = handle_host_fault(regs[libc::REG_RIP as usize] as u64) else { return false };
    // SAFETY: si_addr is valid for the faults of these two signals, which si_code > 0 says this is.
    let addr = unsafe { info.si_addr() } as u64;
    let bus = if signal == libc::SIGBUS { BUS } else { 0 };
    regs[libc::REG_RDX as usize] = (addr & !(BUS | FAULT) | FAULT | bus) as i64;
    regs[libc::REG_RIP as usize] = resume as i64;
    true
}

fn restore_previous(signal: libc::c_int) {
    let index = usize::from(signal == libc::SIGBUS);
    if let Some(previous) = PREVIOUS.get() {
        // SAFETY: the action was in force before ours.
        unsafe { libc::sigaction(signal, &previous[index], ptr::null_mut()) };
    }
}

/// The size of a thread's signal stack: room for the largest register state (AVX-512, AMX) and for the hooks.
const STACK_SIZE: usize = 128 << 10;
const STACK_GUARD: usize = 4096;

/// The calling thread's alternate signal stack, as long as the value lives. Each thread that runs guest code needs
/// one: the guest may fault with any stack depth.
#[derive(Debug)]
pub struct ThreadStack {
    mapping: Range<usize>,
    previous: libc::stack_t,
    // A raw pointer: the value must be dropped on the thread that made it.
    _thread: std::marker::PhantomData<*mut ()>,
}

impl ThreadStack {
    /// Gives the calling thread an alternate signal stack with a guard page below.
    ///
    /// # Errors
    /// What mmap(2) or sigaltstack(2) answers.
    pub fn new() -> io::Result<ThreadStack> {
        let size = STACK_GUARD + STACK_SIZE;
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, prot, flags | libc::MAP_STACK, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = start as usize..start as usize + size;
        let stack = libc::stack_t { ss_sp: (mapping.start + STACK_GUARD) as *mut _, ss_flags: 0, ss_size: STACK_SIZE };
        // SAFETY: the guard is the first page of the mapping just made; the new stack is the rest of it, and stays
        // mapped until `drop` has put the previous one back.
        unsafe {
            let mut previous: libc::stack_t = std::mem::zeroed();
            check(libc::mprotect(start, STACK_GUARD, libc::PROT_NONE))?;
            check(libc::sigaltstack(&stack, &mut previous))?;
            Ok(ThreadStack { mapping, previous, _thread: std::marker::PhantomData })
        }
    }
}

impl Drop for ThreadStack {
    fn drop(&mut self) {
        // SAFETY: this thread's stack is changed back before its memory goes away; the value cannot change threads.
        unsafe {
            libc::sigaltstack(&self.previous, ptr::null_mut());
            libc::munmap(self.mapping.start as *mut _, self.mapping.len());
        }
    }
}
