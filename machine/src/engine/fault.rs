//! Host faults in compiled code.

use super::Engine;
use crate::mem::{FaultAction, GuestMemory, access};
use emu_backend_jit::CodeFault;
use emu_ir::AccessKind;
use std::cell::Cell;
use std::ptr;

thread_local! {
    /// The engine whose code this thread runs.
    static ENGINE: Cell<*const Engine> = const { Cell::new(ptr::null()) };
}

/// Makes faults of this process known to [`on_fault`]; once is enough.
pub(super) fn install() {
    access::set_jit_fault_hook(on_fault);
}

/// Runs `f` while faults in compiled code of this thread belong to `engine`.
pub(super) fn with_engine<T>(engine: &Engine, f: impl FnOnce() -> T) -> T {
    let before = ENGINE.replace(engine);
    let result = f();
    ENGINE.set(before);
    result
}

/// Blocks all signals for the calling thread: they are for the threads that run the guest.
pub(super) fn block_signals() {
    set_mask(|all| {
        // SAFETY: the set is a valid one.
        unsafe { libc::sigfillset(all) };
    });
}

/// Lets the calling thread, which has blocked all signals, have the faults of guest memory meanwhile: what it reads may be
/// unmapped by the guest at any time, and the kernel ends a process that faults with the signal blocked.
pub(super) fn with_faults<T>(f: impl FnOnce() -> T) -> T {
    set_mask(|mask| {
        // SAFETY: as above.
        unsafe {
            libc::sigfillset(mask);
            libc::sigdelset(mask, libc::SIGSEGV);
            libc::sigdelset(mask, libc::SIGBUS);
        }
    });
    let result = f();
    block_signals();
    result
}

fn set_mask(fill: impl FnOnce(&mut libc::sigset_t)) {
    // SAFETY: all-zero is an empty set, and a mask may be set at any time.
    unsafe {
        let mut mask = std::mem::zeroed();
        fill(&mut mask);
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask, ptr::null_mut());
    }
}

/// Bit of the page fault's error code: the access was a write.
const WRITE: i64 = 2;

/// Called in the signal handler. The thread was in compiled code, so it holds no lock of ours.
fn on_fault(context: &mut libc::ucontext_t, info: &libc::siginfo_t) -> bool {
    let regs = &mut context.uc_mcontext.gregs;
    let Some(code) = CodeFault::claim(regs[libc::REG_RIP as usize] as u64) else { return false };
    // SAFETY: `claim` succeeded, so this thread is inside `with_engine`.
    let Some(engine) = (unsafe { ENGINE.get().as_ref() }) else { return false };
    // SAFETY: si_addr is valid for SIGSEGV and SIGBUS, which alone come here.
    let host = unsafe { info.si_addr() } as u64;
    let access = if regs[libc::REG_ERR as usize] & WRITE != 0 { AccessKind::Write } else { AccessKind::Read };
    let bus = info.si_signo == libc::SIGBUS;
    match resolve(&engine.mem, host, access, bus) {
        FaultAction::Retry => {
            code.resume();
            true
        }
        FaultAction::CodeWritten(range) => {
            engine.mem.code_written(range);
            code.resume();
            true
        }
        FaultAction::Deliver(fault) => match code.unwind(fault) {
            Some((rip, rsp)) => {
                regs[libc::REG_RIP as usize] = rip as i64;
                regs[libc::REG_RSP as usize] = rsp as i64;
                true
            }
            None => false,
        },
    }
}

/// What the fault at a host address is to the guest. An address outside its memory has nothing mapped.
fn resolve(mem: &GuestMemory, host: u64, access: AccessKind, bus: bool) -> FaultAction {
    match mem.guest_addr(host) {
        Some(addr) => mem.resolve_fault(addr, 1, access, bus),
        None => {
            // A 32-bit guest's address and offset are added in 64 bits: the guard pages catch what should have wrapped.
            let addr = host.wrapping_sub(mem.base() as u64) & u64::MAX >> (64 - mem.address_bits());
            FaultAction::Deliver(emu_ir::Fault { addr, access, cause: emu_ir::FaultCause::Unmapped })
        }
    }
}
