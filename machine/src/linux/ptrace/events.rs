//! Children of a traced thread: which are traced, and the stops that tell the tracer of them.
#![forbid(unsafe_code)]

use super::block::{kind, word};
use super::message::sent;
use super::tracee::{Stop, Trace};
use super::{event, option};
use crate::linux::process::lock;
use crate::linux::thread::Thread;
use std::sync::atomic::Ordering;

/// `clone`'s flags that decide about tracing.
const VFORK: u64 = libc::CLONE_VFORK as u64;
const UNTRACED: u64 = libc::CLONE_UNTRACED as u64;

/// How a child begins: traced, and which event it is to the tracer.
#[derive(Debug)]
pub(in crate::linux) struct Follow {
    event: i32,
    child: Option<Box<Trace>>,
}

impl Follow {
    /// The child's state, to be given to it.
    pub(in crate::linux) fn child(follow: &mut Option<Follow>) -> Option<Box<Trace>> {
        follow.as_mut()?.child.take()
    }
}

impl Thread {
    /// Is the child with these flags of `clone` traced? The host traces it from its start if it is (see `wait`).
    pub(in crate::linux) fn follow(&mut self, flags: u64, exit_signal: i32) -> Option<Follow> {
        let trace = self.trace.as_ref().filter(|trace| !trace.unsaid && flags & UNTRACED == 0)?;
        let (event, option) = match flags & VFORK != 0 {
            true => (event::VFORK, option::VFORK),
            false if exit_signal != libc::SIGCHLD => (event::CLONE, option::CLONE),
            false => (event::FORK, option::FORK),
        };
        if !trace.wants(option) {
            return None;
        }
        trace.block.set(word::CLONING, 1);
        Some(Follow { event, child: Some(Trace::new(trace.seized, trace.options)) })
    }

    /// The child has been made, or not: stops for the event.
    pub(in crate::linux) fn followed(&mut self, follow: Option<Follow>, child: Option<i32>) {
        let (Some(follow), Some(trace)) = (follow, &self.trace) else { return };
        trace.block.set(word::CLONING, 0);
        if let Some(child) = child {
            self.event_stop(follow.event, child as u64);
        }
    }

    /// Before a `vfork`: the host's stop for it will be the guest's.
    pub(in crate::linux) fn begin_vfork(&self, follow: Option<&Follow>) {
        if let Some(follow) = follow {
            let code = libc::SIGTRAP | follow.event << 8;
            let info = Some(sent(libc::SIGTRAP, code, self.tid, 0));
            self.publish(&Stop { code, info, ..Stop::default() }, kind::EVENT);
        }
    }

    /// The child of a `vfork` is somewhere else now.
    pub(in crate::linux) fn end_vfork(&mut self, follow: Option<Follow>, child: Option<i32>) {
        let Some(trace) = &self.trace else { return };
        let block = &trace.block;
        if follow.is_some() {
            block.set(word::CLONING, 0);
            block.set(word::KIND, kind::NONE);
            let stale = block.take(word::STALE)..block.take(word::STALE_END);
            let seen = block.take(word::SEEN) != 0;
            if !stale.is_empty() {
                self.process.mem.code_written(stale);
            }
            if seen {
                self.take_answer(&Stop::default());
            }
        }
        if let Some(child) = child.filter(|_| self.trace.as_ref().is_some_and(|t| t.wants(option::VFORK_DONE))) {
            self.event_stop(event::VFORK_DONE, child as u64);
        }
    }

    /// After a fork: what the parent traces and who traces it is nothing of the child's.
    pub(in crate::linux) fn forget_tracing(&mut self) {
        self.trace = None;
        self.process.traced.count.store(0, Ordering::SeqCst);
        self.process.traced.group_stop.store(0, Ordering::SeqCst);
        self.process.tracees.clear();
        lock(&self.process.signals).reset_tracer();
    }

    /// A thread or process begins, traced if `trace` says so.
    pub(in crate::linux) fn begin_child_trace(&mut self, trace: Option<Box<Trace>>) {
        match trace {
            Some(trace) => {
                let seized = trace.seized;
                self.begin_trace(trace);
                if seized {
                    self.trap_stop();
                } else {
                    self.held.push(sent(libc::SIGSTOP, libc::SI_USER, 0, 0));
                }
            }
            None if self.process.traced.count.load(Ordering::SeqCst) == 0 => {
                lock(&self.process.signals).set_traced(false);
            }
            None => {}
        }
    }
}
