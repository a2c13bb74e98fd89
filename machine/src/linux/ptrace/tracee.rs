//! The traced side: what a thread knows of being traced, and how it stops.
#![forbid(unsafe_code)]

use super::block::{Block, kind, request, word};
use super::message::{Message, sent};
use super::{action, stop};
use crate::linux::errno::Errno;
use crate::linux::host::{self, RawInfo, SigSet};
use crate::linux::process::lock;
use crate::linux::procfs;
use crate::linux::table::SysResult;
use crate::linux::thread::Thread;
use emu_ir::CpuState;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

/// What the threads of a process share about being traced.
#[derive(Debug, Default)]
pub(in crate::linux) struct Traced {
    /// How many are.
    pub(super) count: AtomicUsize,
    /// The signal of a group stop, while there is one.
    pub(super) group_stop: AtomicI32,
    /// How many group stops there were.
    pub(super) group_stops: AtomicU32,
}

/// A traced thread's state.
#[derive(Debug)]
pub(in crate::linux) struct Trace {
    pub(super) block: Block,
    /// By `PTRACE_SEIZE`, or a child or successor of such a thread.
    pub(super) seized: bool,
    pub(super) options: u64,
    /// It stops at system calls.
    pub(super) syscalls: bool,
    /// `PTRACE_TRACEME` was said, and not yet passed on to the host.
    pub(super) unsaid: bool,
    /// The group stops of its process that it knows of.
    pub(super) group_stops: u32,
    /// The file that the tracer reads.
    file: Vec<u8>,
}

impl Trace {
    pub(super) fn new(seized: bool, options: u64) -> Box<Trace> {
        let block = Block::new();
        block.set(word::OPTIONS, options);
        Box::new(Trace { block, seized, options, syscalls: false, unsaid: false, group_stops: 0, file: Vec::new() })
    }

    pub(super) fn wants(&self, option: u64) -> bool {
        self.options & option != 0
    }
}

/// What a stop shows beside the registers and the mask.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stop<'a> {
    pub(super) code: i32,
    pub(super) message: u64,
    pub(super) info: Option<RawInfo>,
    /// Registers other than the thread's own.
    pub(super) shown: Option<&'a CpuState>,
    pub(super) call: Call,
}

/// `PTRACE_GET_SYSCALL_INFO`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Call {
    #[default]
    None,
    Entry(u32, [u64; 6]),
    Exit(u64, bool),
}

/// What the tracer made of a stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) action: u64,
    pub(super) signal: i32,
    pub(super) info: Option<RawInfo>,
    pub(super) tracer: i32,
    /// The tracer has set registers.
    pub(super) registers: bool,
}

impl Thread {
    /// `PTRACE_TRACEME`. The host learns of it at the first stop: until then nothing of the emulator's needs the tracer,
    /// which may wait for something else (a `vfork` child's parent waits for it).
    pub(super) fn trace_me(&mut self) -> SysResult {
        if self.trace.is_some() {
            return Err(Errno::EPERM);
        }
        let mut trace = Trace::new(false, 0);
        trace.unsaid = true;
        self.begin_trace(trace);
        Ok(0)
    }

    /// The thread is traced from now on: all signals are caught, so that it can stop for them.
    pub(super) fn begin_trace(&mut self, mut trace: Box<Trace>) {
        let traced = &self.process.traced;
        trace.group_stops = traced.group_stops.load(Ordering::SeqCst);
        if traced.count.fetch_add(1, Ordering::SeqCst) == 0 {
            lock(&self.process.signals).set_traced(true);
        }
        self.vcpu.set_precise();
        self.trace = Some(trace);
    }

    /// It is not any more.
    pub(in crate::linux) fn end_trace(&mut self) {
        if self.trace.take().is_some() && self.process.traced.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.process.traced.group_stop.store(0, Ordering::SeqCst);
            lock(&self.process.signals).set_traced(false);
        }
    }

    /// Passes `PTRACE_TRACEME` on to the host, if it was said: the host stops the thread from now on.
    pub(in crate::linux) fn say_traced(&mut self) {
        if self.trace.as_ref().is_none_or(|trace| !trace.unsaid) {
            return;
        }
        match host::call(libc::SYS_ptrace, &[libc::PTRACE_TRACEME.into()]) {
            Ok(_) => self.trace.iter_mut().for_each(|trace| trace.unsaid = false),
            Err(_) => self.end_trace(),
        }
    }

    /// A tracer's emulator says something.
    pub(in crate::linux) fn trace_message(&mut self, info: &RawInfo) {
        match Message::decode(info) {
            Some(Message::Attach { seized, options, stopped }) => self.attached(seized, options, stopped),
            Some(Message::Stop { code, pid, uid }) => self.held.push(sent(libc::SIGSTOP, code, pid, uid)),
            Some(Message::Look) => self.look(),
            None => {}
        }
    }

    fn attached(&mut self, seized: bool, options: u64, stopped: i32) {
        const SI_KERNEL: i32 = 0x80;
        self.end_trace();
        self.begin_trace(Trace::new(seized, options));
        if !seized {
            return self.held.push(sent(libc::SIGSTOP, SI_KERNEL, 0, 0));
        }
        self.publish(&Stop::default(), kind::HELLO);
        if self.wait_for_tracer() {
            if stopped != 0 {
                self.process.traced.group_stop.store(stopped, Ordering::SeqCst);
                self.process.traced.group_stops.fetch_add(1, Ordering::SeqCst);
            }
            self.look();
        }
    }

    /// Is there something to look at? A message can get lost in a stop.
    pub(in crate::linux) fn has_trace_news(&self) -> bool {
        let Some(trace) = &self.trace else { return false };
        let traced = &self.process.traced;
        let stops = traced.group_stops.load(Ordering::SeqCst);
        trace.block.get(word::INTERRUPT) != 0
            || stops != trace.group_stops && traced.group_stop.load(Ordering::SeqCst) != 0
    }

    /// Looks whether the tracer or another thread wants it to stop, or its own tracees want something.
    pub(in crate::linux) fn look(&mut self) {
        self.service();
        let Some(trace) = &self.trace else { return };
        let traced = &self.process.traced;
        let (stop, stops) = (traced.group_stop.load(Ordering::SeqCst), traced.group_stops.load(Ordering::SeqCst));
        if stop != 0 && stops != trace.group_stops {
            self.join_group_stop();
        } else if trace.block.take(word::INTERRUPT) != 0 {
            self.interrupt_stop();
        }
    }

    /// Stops for the guest's tracer; `None` if there is none.
    pub(super) fn guest_stop(&mut self, stop: &Stop<'_>) -> Option<Answer> {
        self.say_traced();
        self.trace.as_ref()?;
        self.publish(stop, kind::STOP);
        if self.wait_for_tracer() { self.take_answer(stop) } else { None }
    }

    /// Fills the block.
    pub(super) fn publish(&self, stop: &Stop<'_>, kind: u64) {
        let Some(Trace { block, .. }) = self.trace.as_deref() else { return };
        let (abi, mem) = (&self.process.abi, &self.process.mem);
        let mut cpu = stop.shown.unwrap_or(self.vcpu.cpu()).clone();
        if let (None, Some(restart)) = (stop.shown, self.restart) {
            cpu.pc = restart.insn;
        }
        block.set_all(word::SEEN, &[0; 3]);
        block.set_all(word::NEW_GENERAL, &[0; 4]);
        block.set_all(word::CODE, &[stop.code as u64, stop.message, mem.base() as u64, mem.limit()]);
        let mask = self.saved_mask.unwrap_or(self.mask);
        block.set_all(word::HAS_INFO, &[stop.info.is_some().into(), mask, abi.audit_arch().into()]);
        let (op, number, rest) = match stop.call {
            Call::None => (0, 0, [0; 6]),
            Call::Entry(number, args) => (1, u64::from(number), args),
            Call::Exit(result, failed) => (2, 0, [result, failed.into(), 0, 0, 0, 0]),
        };
        block.set_all(word::OP, &[op, number]);
        block.set_all(word::ARGUMENTS, &rest);
        block.set_all(word::PC, &[cpu.pc, abi.sp(&cpu)]);
        block.set_info(&stop.info.unwrap_or(RawInfo([0; 128])));
        block.set_registers(&abi.trace_registers(&cpu));
        block.set(word::KIND, kind);
    }

    /// Stops at the breakpoint until the tracer lets it go on, and does for it what it asks meanwhile. False if there
    /// is no tracer any more.
    pub(super) fn wait_for_tracer(&mut self) -> bool {
        host::set_mask(SigSet::MAX);
        self.queue.begin_wait();
        let seen = loop {
            let Some(Trace { block, .. }) = self.trace.as_deref() else { break false };
            stop::stop(block);
            match (block.take(word::REQUEST), block.take(word::SEEN)) {
                (0, seen) => break seen != 0,
                (request, _) => self.answer(request),
            }
        };
        self.queue.end_wait();
        if let Some(trace) = &self.trace {
            trace.block.set(word::KIND, kind::NONE);
        }
        if !seen {
            self.end_trace();
        }
        self.set_host_mask();
        seen
    }

    /// Does what the tracer asks for.
    fn answer(&mut self, request: u64) {
        let Some(Trace { block, .. }) = self.trace.as_deref() else { return };
        let argument = block.get(word::ARGUMENT);
        match request {
            request::INVALIDATE => self.process.mem.code_written(argument..block.get(word::LENGTH)),
            request::FILE => {
                let content = procfs::content(self, argument as usize);
                let Some(trace) = self.trace.as_deref_mut() else { return };
                trace.file = content;
                let (at, len) = (trace.file.as_ptr() as u64, trace.file.len() as u64);
                trace.block.set_all(word::ARGUMENT, &[at, len]);
            }
            _ => {}
        }
    }

    /// Takes over what the tracer has changed while the thread was stopped.
    pub(super) fn take_answer(&mut self, stop: &Stop<'_>) -> Option<Answer> {
        let abi = Arc::clone(&self.process.abi);
        let trace = self.trace.as_mut()?;
        let block = &trace.block;
        let action = block.get(word::ACTION);
        (trace.options, trace.syscalls) = (block.get(word::OPTIONS), action == action::SYSCALL);
        let registers = block.get(word::NEW_GENERAL) != 0;
        let answer = Answer {
            action,
            signal: block.get(word::SIGNAL) as i32,
            info: (block.get(word::NEW_INFO) != 0).then(|| block.info()),
            tracer: block.get(word::TRACER) as i32,
            registers,
        };
        let new_mask = (block.get(word::NEW_MASK) != 0).then(|| block.get(word::MASK));
        if registers || block.get(word::NEW_FLOAT) != 0 {
            let all = block.registers();
            let cpu = self.vcpu.cpu_mut();
            if registers {
                abi.set_general(cpu, &all.general);
                // An interrupted call that is shown as one about to be made is that now; else it is given up only if
                // the thread goes on elsewhere.
                if stop.shown.is_none_or(|shown| shown.pc != cpu.pc) {
                    (self.restart, self.sleep_left) = (None, None);
                }
            }
            if block.get(word::NEW_FLOAT) != 0 {
                abi.set_float(cpu, &all.float);
            }
        }
        if action == action::DETACH {
            self.end_trace();
        }
        if let Some(mask) = new_mask {
            self.set_traced_mask(mask);
        }
        Some(answer)
    }
}
