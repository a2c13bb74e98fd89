//! The stops of a traced thread: for signals, at system calls, for events, with its process.
#![forbid(unsafe_code)]

use super::block::word;
use super::message::{Message, is_message, sent};
use super::tracee::{Answer, Call, Stop, Trace};
use super::{action, event, option};
use crate::linux::abi::Place;
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg, RawInfo, SYNCHRONOUS, SigSet};
use crate::linux::thread::Thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a program that the thread executes inherits about being traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Traced, seized, stops at system calls, has said `PTRACE_TRACEME` only: bits.
    flags: u64,
    options: u64,
    /// The thread that executed it.
    tid: u64,
}

impl Carried {
    /// As numbers.
    pub(in crate::linux) fn encode(self) -> [u64; 3] {
        [self.flags, self.options, self.tid]
    }

    /// From numbers.
    pub(in crate::linux) fn decode([flags, options, tid]: [u64; 3]) -> Carried {
        Carried { flags, options, tid }
    }
}

/// The stops of a group that is stopped: what a thread that listens is woken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Continue,
    Interrupt,
}

impl Thread {
    /// What the traced thread hands over to a program that it executes.
    pub(in crate::linux) fn carried_trace(&self) -> Carried {
        let Some(trace) = &self.trace else { return Carried::default() };
        let bits = [true, trace.seized, trace.syscalls, trace.unsaid];
        let flags = bits.iter().enumerate().fold(0, |all, (i, bit)| all | u64::from(*bit) << i);
        Carried { flags, options: trace.options, tid: self.tid as u64 }
    }

    /// The stops of a program that has just been executed.
    pub(in crate::linux) fn begin_traced_program(&mut self, carried: Carried) {
        if carried.flags & 1 == 0 {
            return;
        }
        let mut trace = Trace::new(carried.flags & 2 != 0, carried.options);
        (trace.syscalls, trace.unsaid) = (carried.flags & 4 != 0, carried.flags & 8 != 0);
        let seized = trace.seized;
        self.begin_trace(trace);
        if carried.options & option::EXEC != 0 {
            self.event_stop(event::EXEC, carried.tid);
        } else if !seized {
            self.held.push(self.own_info(libc::SIGTRAP, 0));
        }
        self.syscall_exit_stop();
    }

    /// A siginfo that names the thread itself.
    fn own_info(&self, signal: i32, code: i32) -> RawInfo {
        let uid = host::call(libc::SYS_getuid, &[]).unwrap_or(0) as u32;
        sent(signal, code, self.tid, uid)
    }

    /// The signal is about to be delivered: what the tracer makes of it.
    pub(in crate::linux) fn signal_stop(&mut self, info: RawInfo) -> Option<RawInfo> {
        let signal = info.signal();
        if signal == libc::SIGCONT {
            self.process.traced.group_stop.store(0, Ordering::SeqCst);
        }
        let stop = Stop { code: signal, info: Some(info), ..Stop::default() };
        let Some(answer) = self.guest_stop(&stop) else { return Some(info) };
        let info = answer.info.unwrap_or(info);
        let chosen = match answer.signal {
            0 => return None,
            other if other != info.signal() => {
                let uid = host::call(libc::SYS_getuid, &[]).unwrap_or(0) as u32;
                sent(other, libc::SI_USER, answer.tracer, uid)
            }
            _ => info,
        };
        self.unless_blocked(chosen)
    }

    /// A system call is about to be made. False if the tracer wants none.
    pub(in crate::linux) fn syscall_entry_stop(&mut self) -> bool {
        if !self.stops_at_calls() {
            return true;
        }
        let abi = Arc::clone(&self.process.abi);
        let before = self.vcpu.cpu().clone();
        let mut shown = before.clone();
        abi.show_call(&mut shown);
        let word = |i| match abi.arg(&before, i) {
            Place::Value(value) => value,
            Place::Memory(at) => self.read_long(at).unwrap_or(0),
        };
        let call = Call::Entry(abi.number(&before), std::array::from_fn(word));
        let answer = self.call_stop(Stop { shown: Some(&shown), call, ..Stop::default() });
        if !answer.is_some_and(|answer| answer.registers) {
            return true;
        }
        let wanted = abi.number(self.vcpu.cpu()) != u32::MAX;
        if wanted {
            abi.hide_call(self.vcpu.cpu_mut(), &before);
        } else {
            abi.skip_call(self.vcpu.cpu_mut());
        }
        wanted
    }

    /// A system call has been made.
    pub(in crate::linux) fn syscall_exit_stop(&mut self) {
        if !self.stops_at_calls() || self.ended {
            return;
        }
        let abi = Arc::clone(&self.process.abi);
        let before = self.vcpu.cpu().clone();
        let mut shown = before.clone();
        if self.restart.is_some() {
            abi.set_result(&mut shown, Err(Errno::RESTART));
        }
        let (result, failed) = abi.call_result(&shown);
        self.call_stop(Stop { shown: Some(&shown), call: Call::Exit(result, failed), ..Stop::default() });
        if self.restart.is_some() {
            // The call is made again with the registers that it was made with.
            *self.vcpu.cpu_mut() = before;
        }
    }

    /// Does the thread stop at system calls?
    pub(in crate::linux) fn stops_at_calls(&self) -> bool {
        self.trace.as_ref().is_some_and(|trace| trace.syscalls)
    }

    fn call_stop(&mut self, stop: Stop<'_>) -> Option<Answer> {
        let good = self.trace.as_ref().is_some_and(|trace| trace.wants(option::SYSGOOD));
        let code = libc::SIGTRAP | if good { 0x80 } else { 0 };
        let answer = self.guest_stop(&Stop { code, info: Some(self.own_info(libc::SIGTRAP, code)), ..stop })?;
        if answer.signal != 0 && answer.action != action::DETACH {
            const SI_KERNEL: i32 = 0x80;
            self.held.push(sent(answer.signal, SI_KERNEL, 0, 0));
        }
        Some(answer)
    }

    /// Stops for an event, whatever the options.
    pub(super) fn event_stop(&mut self, event: i32, message: u64) -> Option<Answer> {
        let code = libc::SIGTRAP | event << 8;
        let info = Some(self.own_info(libc::SIGTRAP, code));
        self.guest_stop(&Stop { code, message, info, ..Stop::default() })
    }

    /// The thread is about to end with this wait status.
    pub(in crate::linux) fn exit_stop(&mut self, status: i32) {
        if self.trace.as_ref().is_some_and(|trace| trace.wants(option::EXIT)) {
            self.event_stop(event::EXIT, status as u64);
        }
    }

    /// `PTRACE_INTERRUPT`.
    pub(super) fn interrupt_stop(&mut self) {
        if self.process.traced.group_stop.load(Ordering::SeqCst) != 0 {
            self.join_group_stop();
        } else {
            self.trap_stop();
        }
    }

    /// Stops for `PTRACE_EVENT_STOP` outside of a group stop; while the tracer listens, the thread stays stopped.
    pub(super) fn trap_stop(&mut self) {
        while self.event_stop(event::STOP, 0).is_some_and(|answer| answer.action == action::LISTEN) {
            self.listen(|_| false);
        }
    }

    /// A traced thread takes a signal that stops its process.
    pub(in crate::linux) fn group_stop(&mut self, signal: i32) {
        self.process.traced.group_stop.store(signal, Ordering::SeqCst);
        self.process.traced.group_stops.fetch_add(1, Ordering::SeqCst);
        self.wake_others();
        self.join_group_stop();
    }

    /// Has the other threads of the process look.
    fn wake_others(&self) {
        let others = self.process.thread_ids().into_iter().filter(|tid| *tid != self.tid);
        others.for_each(|tid| {
            let _ = Message::Look.send(host::pid(), tid);
        });
    }

    /// Takes part in the stop of the process, until the tracer lets the thread go on.
    pub(super) fn join_group_stop(&mut self) {
        loop {
            let signal = self.process.traced.group_stop.load(Ordering::SeqCst);
            let Some(trace) = self.trace.as_mut() else { return };
            trace.group_stops = self.process.traced.group_stops.load(Ordering::SeqCst);
            if signal == 0 {
                return;
            }
            let (code, info) = match trace.seized {
                true => {
                    let code = signal | event::STOP << 8;
                    (code, Some(self.own_info(signal, code)))
                }
                false => (signal, None),
            };
            let answer = self.guest_stop(&Stop { code, info, ..Stop::default() });
            match answer.map(|answer| answer.action) {
                Some(action::LISTEN) => {}
                // Nobody holds the process up any more, but it is still stopped.
                None | Some(action::DETACH) => {
                    let _ = host::call(libc::SYS_kill, &[host::pid().into(), libc::SIGSTOP.into()]);
                    return;
                }
                _ => return,
            }
            let continued = |t: &Thread| {
                let is_held = t.held.iter().any(|info| info.signal() == libc::SIGCONT);
                is_held || t.process.traced.group_stop.load(Ordering::SeqCst) == 0
            };
            if self.listen(continued) == Heard::Continue {
                self.process.traced.group_stop.store(0, Ordering::SeqCst);
                self.wake_others();
                return self.trap_stop();
            }
        }
    }

    /// A SIGSTOP that the thread was told of is over when SIGCONT was sent behind it.
    pub(in crate::linux) fn drop_ended_stops(&mut self) {
        let is = |signal: i32| move |info: &RawInfo| info.signal() == signal;
        if !self.held.iter().any(is(libc::SIGSTOP)) {
            return;
        }
        let looks = self.hold_caught();
        let mut pending: SigSet = 0;
        let _ = host::call(libc::SYS_rt_sigpending, &[Arg::from_mut(&mut pending), 8.into()]);
        if pending >> (libc::SIGCONT - 1) & 1 != 0 || self.held.iter().any(is(libc::SIGCONT)) {
            self.held.retain(|info| info.signal() != libc::SIGSTOP);
        }
        if looks {
            self.look();
        }
    }

    /// Takes what was caught into the list of what is held. True if the thread was told to look, too.
    fn hold_caught(&mut self) -> bool {
        let mut looks = false;
        while let Some(info) = self.queue.take() {
            match Message::decode(&info).filter(|_| is_message(&info)) {
                Some(Message::Look) => looks = true,
                Some(_) => self.trace_message(&info),
                None => self.held.push(info),
            }
        }
        looks
    }

    /// Waits until `continued`, or for the tracer.
    fn listen(&mut self, continued: impl Fn(&Thread) -> bool) -> Heard {
        loop {
            self.hold_caught();
            if continued(self) {
                return Heard::Continue;
            }
            if self.trace.as_ref().is_none_or(|trace| trace.block.take(word::INTERRUPT) != 0) {
                return Heard::Interrupt;
            }
            let mask: SigSet = !(SYNCHRONOUS | 1 << (libc::SIGCONT - 1));
            let _ = host::blocking(libc::SYS_rt_sigsuspend, &[Arg::from_ref(&mask), 8.into()]);
        }
    }
}
