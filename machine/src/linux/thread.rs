//! One guest thread: the loop that answers the engine's exits.

use super::abi::{AltStack, Raised};
use super::confine::{Access, Held};
use super::errno::Errno;
use super::host::{self, RawInfo, SigSet, SignalQueue};
use super::process::Process;
use super::ptrace::{Carried, Trace};
use super::seccomp::{Seccomp, Verdict};
use super::strace;
use super::table::Args;
use super::vcpu::Vcpu;
use crate::mem::UserEnv;
use crate::mem::access::ThreadStack;
use emu_ir::{Exit, Fault, Trap};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A guest thread.
pub struct Thread {
    /// What it shares with the other threads.
    pub process: Arc<Process>,
    /// Its hart.
    pub vcpu: Box<dyn Vcpu>,
    /// Its id, the host thread's.
    pub tid: i32,
    pub(super) queue: Box<SignalQueue>,
    /// The guest's signal mask, host numbers.
    pub(super) mask: SigSet,
    /// The mask to go back to after `sigsuspend` and its kin.
    pub(super) saved_mask: Option<SigSet>,
    /// Synchronous signals that were sent while the guest blocks them.
    pub(super) held: Vec<RawInfo>,
    pub(super) altstack: AltStack,
    pub(super) seccomp: Arc<Seccomp>,
    /// Where to store 0 and wake a waiter at the end (`set_tid_address`, `CLONE_CHILD_CLEARTID`).
    pub(super) clear_tid: u64,
    /// `set_robust_list`: head and length.
    pub(super) robust: (u64, u64),
    /// Instruction to run again if no handler says otherwise, and whether a handler with `SA_RESTART` may.
    pub(super) restart: Option<Restart>,
    /// What is left of an interrupted sleep, until a handler has run.
    pub(super) sleep_left: Option<libc::timespec>,
    pub(super) ended: bool,
    /// How the thread has ended, as `wait4` tells it: by `exit` (not by `exit_group`), or by a filter of system calls.
    pub(super) end_status: i32,
    /// What a call in progress keeps for the host; a vfork child's is freed by its parent.
    pub(super) scratch: Vec<std::ffi::CString>,
    /// The vfork child's own end of the world: it never returns to the host thread's code.
    pub(super) is_vfork_child: bool,
    /// What the current call wants of the files it names, in the sandbox.
    pub(super) wanted: Cell<Access>,
    /// Descriptors of ours that the current call uses.
    pub(super) held_files: RefCell<Vec<Held>>,
    /// Its tracer, as far as the thread has to know.
    pub(super) trace: Option<Box<Trace>>,
    /// How it begins, as far as a tracer sees it, if it has not done so yet.
    pub(super) start: Option<Start>,
}

/// How a thread begins.
#[derive(Debug)]
pub(super) enum Start {
    /// With a program.
    Program(Carried),
    /// As the child of another thread, traced or not.
    Child(Option<Box<Trace>>),
}

/// An interrupted system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restart {
    /// Address of its instruction.
    pub(super) insn: u64,
    /// What a handler changes about it.
    pub(super) after: AfterHandler,
}

/// When a call is run again although a handler ran; without a handler it always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterHandler {
    Always,
    /// If the handler has `SA_RESTART`; otherwise the call fails with `EINTR`.
    IfWanted,
    Never,
}

impl Thread {
    /// A thread for `vcpu`; call [`Thread::run`] on the host thread that shall run it.
    pub fn new(process: Arc<Process>, vcpu: Box<dyn Vcpu>, mask: SigSet) -> Thread {
        let queue = SignalQueue::new(vcpu.interrupter());
        Thread {
            process,
            vcpu,
            tid: 0,
            queue,
            mask,
            saved_mask: None,
            held: Vec::new(),
            altstack: AltStack { base: 0, flags: libc::SS_DISABLE, size: 0 },
            seccomp: Arc::default(),
            clear_tid: 0,
            robust: (0, 0),
            restart: None,
            sleep_left: None,
            ended: false,
            end_status: 0,
            scratch: Vec::new(),
            is_vfork_child: false,
            wanted: Cell::default(),
            held_files: RefCell::default(),
            trace: None,
            start: None,
        }
    }

    /// Runs the guest's thread to its end, which it announces; the process may end in it.
    ///
    /// Host signals are blocked when it is called and when it returns.
    pub fn run(&mut self) {
        let _stack = ThreadStack::new();
        self.tid = host::tid();
        let previous = self.queue.enter();
        self.set_host_mask();
        self.turn();
        host::set_mask(SigSet::MAX);
        self.end();
        SignalQueue::leave(previous);
    }

    /// What a tracer sees before the first instruction.
    fn begin(&mut self) {
        match self.start.take() {
            Some(Start::Program(carried)) => self.begin_traced_program(carried),
            Some(Start::Child(trace)) => self.begin_child_trace(trace),
            None => {}
        }
    }

    /// The run loop.
    pub(super) fn turn(&mut self) {
        self.begin();
        while !self.ended {
            self.deliver_signals();
            match self.vcpu.run() {
                Exit::Syscall { insn } => {
                    if self.syscall_entry_stop() {
                        self.syscall(insn);
                    }
                    match self.start {
                        // The child of a fork.
                        Some(_) => self.begin(),
                        None => self.syscall_exit_stop(),
                    }
                }
                Exit::Trap(trap) => self.trap(trap),
                Exit::Fault(fault) => self.fault(fault),
                Exit::InsnFence => self.vcpu.invalidate_code(None),
                Exit::Yield => drop(host::call(libc::SYS_sched_yield, &[])),
                Exit::Interrupted => self.interrupted(),
                Exit::Budget => self.out_of_fuel(),
                Exit::Next | Exit::ModeChange => {}
            }
        }
    }

    fn out_of_fuel(&self) {
        if let Some(session) = &self.process.config.session {
            session.end_for_fuel(self.vcpu.cpu().pc);
        }
    }

    fn interrupted(&mut self) {
        self.vcpu.cpu().interrupt.store(0, Ordering::Relaxed);
    }

    fn syscall(&mut self, insn: u64) {
        let process = Arc::clone(&self.process);
        let number = process.abi.number(self.vcpu.cpu());
        self.vcpu.cpu_mut().clear_reservation();
        let entry = process.table.get(number);
        if let Verdict::Result(result) = self.seccomp_verdict(number, entry.map(|entry| entry.name)) {
            return self.finish_syscall(insn, result);
        }
        let Some(entry) = entry else {
            process.count_unknown(number);
            self.explain_number(insn, number);
            return self.finish_syscall(insn, Err(Errno::ENOSYS));
        };
        let args = Args::decode(&*process.abi, self.vcpu.cpu(), entry, &|addr| self.read_long(addr).unwrap_or(0));
        let started = process.config.strace.then(|| strace::before(self, entry, &args));
        let result = entry.invoke(self, &args).unwrap_or_else(|| {
            process.count_unknown(number);
            Err(Errno::ENOSYS)
        });
        if let Err(error) = result {
            self.explain_call(insn, entry.name, &args, error);
        }
        self.held_files.get_mut().clear();
        if let Some(line) = started {
            strace::after(self, entry, &args, result, line);
        }
        self.finish_syscall(insn, result);
    }

    fn finish_syscall(&mut self, insn: u64, result: Result<u64, Errno>) {
        let after = match result {
            Err(Errno::NO_RESULT) => return,
            Err(Errno::NOT_BEGUN) => AfterHandler::Always,
            Err(Errno::RESTART) => AfterHandler::IfWanted,
            Err(Errno::RESTART_NO_HANDLER) => AfterHandler::Never,
            result => {
                let process = Arc::clone(&self.process);
                return process.abi.set_result(self.vcpu.cpu_mut(), result);
            }
        };
        self.restart = Some(Restart { insn, after });
    }

    fn trap(&mut self, trap: Trap) {
        self.explain_trap(trap);
        let cpu = self.vcpu.cpu_mut();
        let raised = self.process.abi.trap_signal(cpu, trap.kind);
        let pc = cpu.pc;
        self.raise(raised, pc);
    }

    fn fault(&mut self, fault: Fault) {
        self.explain_fault(&fault);
        let abi = Arc::clone(&self.process.abi);
        let mut code = UserEnv::new(Arc::clone(&self.process.mem));
        let address = abi.fault_address(self.vcpu.cpu(), &fault, &mut code);
        self.raise(abi.fault_signal(&fault), address);
    }

    fn raise(&mut self, Raised { signal, code, has_address }: Raised, address: u64) {
        self.force_signal(RawInfo::fault(signal, code, if has_address { address } else { 0 }));
    }
}
