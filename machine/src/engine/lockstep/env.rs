//! The machine as the two runs of a segment see it: stores are noted, counters read the same in both.

use super::journal::{Journal, MemoryDiff};
use crate::mem::{GuestMemory, PAGE_SIZE, UserEnv};
use emu_backend_jit::StoreNote;
use emu_ir::{AccessKind, AtomicOp, Counter, Env, Fault};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Which of the two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Compiled,
    Interpreted,
}

/// What both runs need of the machine.
pub(super) struct LockstepEnv {
    /// The machine itself, for what is not compared.
    pub(super) user: UserEnv,
    run: Run,
    compiled: Journal,
    interpreted: Journal,
    /// What the counters read in the first run.
    pub(super) counters: Vec<u64>,
    /// What they read there again, when a segment is repeated.
    pub(super) given_counters: Vec<u64>,
    /// How many of them the second one has read.
    counters_read: usize,
    /// Memory that others can change ...
    shared: Vec<Range<u64>>,
    /// ... and is there more, which can only be read here, so that most likely nobody changes it?
    shared_read_only: bool,
    shared_seen: u64,
    /// Compiled code was refused an access.
    pub(super) refused: bool,
    /// A few bytes around this address are not compared.
    pub(super) unsure: Option<u64>,
    /// The pages that the interpreter reads and writes, if somebody wants to know.
    pub(super) touched: Option<BTreeSet<u64>>,
}

impl LockstepEnv {
    pub(super) fn new(mem: &Arc<GuestMemory>) -> LockstepEnv {
        LockstepEnv {
            user: UserEnv::new(Arc::clone(mem)),
            run: Run::Compiled,
            compiled: Journal::default(),
            interpreted: Journal::default(),
            counters: Vec::new(),
            given_counters: Vec::new(),
            counters_read: 0,
            shared: Vec::new(),
            shared_read_only: false,
            shared_seen: 0,
            refused: false,
            unsure: None,
            touched: None,
        }
    }

    /// Looks which memory is shared with other processes now; is there any to be careful of? What can only be read here
    /// counts if `read_only` says so.
    pub(super) fn look_for_shared(&mut self, read_only: bool) -> bool {
        if let Some(ranges) = self.user.memory().shared_ranges(&mut self.shared_seen) {
            self.shared_read_only = ranges.iter().any(|(_, writable)| !writable);
            let careful = ranges.into_iter().filter(|(_, writable)| *writable || read_only);
            self.shared = careful.map(|(range, _)| range).collect();
        }
        !self.shared.is_empty()
    }

    /// Is there memory that is shared and can only be read here? If so, the next [`LockstepEnv::look_for_shared`] looks anew.
    pub(super) fn has_shared_read_only(&mut self) -> bool {
        if self.shared_read_only {
            self.shared_seen = 0;
        }
        self.shared_read_only
    }

    /// The run of compiled code begins.
    pub(super) fn begin_compiled(&mut self) {
        self.run = Run::Compiled;
        self.counters.clear();
        self.refused = false;
        self.unsure = None;
    }

    /// It has ended, with these stores: memory becomes what it was, and the interpreter's run begins.
    pub(super) fn begin_interpreted(&mut self, stores: &[StoreNote]) {
        let mem = self.user.memory();
        self.compiled.set(stores, mem);
        self.compiled.undo(mem);
        self.begin_alone();
    }

    /// The interpreter's run begins, without one of compiled code before it.
    pub(super) fn begin_alone(&mut self) {
        self.run = Run::Interpreted;
        self.interpreted.clear();
        self.counters_read = 0;
    }

    /// Memory becomes what it was before the interpreter's run.
    pub(super) fn undo_interpreted(&mut self) {
        self.interpreted.undo(self.user.memory());
    }

    /// What the interpreter has stored.
    pub(super) fn interpreted(&self) -> &Journal {
        &self.interpreted
    }

    /// Where the two runs have left memory different.
    pub(super) fn differences(&self) -> Vec<MemoryDiff> {
        let mut list = self.compiled.differences(&self.interpreted, self.user.memory());
        list.retain(|diff| self.unsure.is_none_or(|addr| diff.addr.abs_diff(addr) >= 8 || diff.compiled.len() >= 8));
        list
    }

    /// The pages that either run has written.
    pub(super) fn written(&self) -> impl Iterator<Item = u64> + '_ {
        self.compiled.pages().chain(self.interpreted.pages())
    }

    fn note(&mut self, addr: u64, bytes: u8) {
        self.touch(addr, bytes);
        self.interpreted.note(self.user.memory(), addr, bytes);
    }

    #[inline]
    fn touch(&mut self, addr: u64, bytes: u8) {
        if let Some(touched) = &mut self.touched {
            let last = addr.wrapping_add(u64::from(bytes) - 1);
            touched.extend([addr, last].map(|a| a & !(PAGE_SIZE - 1)));
        }
    }
}

impl Env for LockstepEnv {
    #[inline(always)]
    fn load(&mut self, addr: u64, bytes: u8) -> Result<u64, Fault> {
        self.touch(addr, bytes);
        self.user.load(addr, bytes)
    }

    #[inline]
    fn store(&mut self, addr: u64, bytes: u8, value: u64) -> Result<(), Fault> {
        self.note(addr, bytes);
        self.user.store(addr, bytes, value)
    }

    fn atomic_rmw(&mut self, op: AtomicOp, addr: u64, bytes: u8, value: u64) -> Result<u64, Fault> {
        self.note(addr, bytes);
        self.user.atomic_rmw(op, addr, bytes, value)
    }

    fn atomic_cas(&mut self, addr: u64, bytes: u8, expected: u64, new: u64) -> Result<u64, Fault> {
        self.note(addr, bytes);
        self.user.atomic_cas(addr, bytes, expected, new)
    }

    fn fence(&mut self) {
        self.user.fence();
    }

    fn counter(&mut self, counter: Counter) -> u64 {
        match self.run {
            Run::Compiled => {
                let given = self.given_counters.get(self.counters.len()).copied();
                let value = given.unwrap_or_else(|| self.user.counter(counter));
                self.counters.push(value);
                value
            }
            Run::Interpreted => {
                let known = self.counters.get(self.counters_read).copied();
                self.counters_read += 1;
                known.unwrap_or_else(|| self.user.counter(counter))
            }
        }
    }

    /// Memory that another process can change meanwhile is the interpreter's alone.
    fn announce(&mut self, _: AccessKind, addr: u64, bytes: u8) -> bool {
        let end = addr.saturating_add(bytes.into());
        self.refused = self.shared.iter().any(|range| addr < range.end && range.start < end);
        !self.refused
    }
}
