//! Core files of the guest: what `fs/coredump.c` and `fs/binfmt_elf.c` write when a signal ends a process, with the guest's registers and
//! memory. The guest's RLIMIT_CORE decides; the host's is 0, so that there is none of the emulator.
//!
//! The dying thread stops the others: a signal brings each out of compiled code or a waiting system call to the run loop, where it leaves its
//! registers and stays.

mod file;
mod memory;
mod notes;

use super::host::{self, Arg, RawInfo};
use super::process::{Process, lock};
use super::thread::Thread;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The kernel writes nothing if the limit is less than a page.
const SMALLEST: u64 = crate::mem::PAGE_SIZE;
/// How long threads may take to come: one that waits for a vfork child does not.
const PATIENCE: Duration = Duration::from_secs(2);

/// The signals of which a core file is made.
pub(super) const SIGNALS: [i32; 10] = [
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGSYS,
];

/// Threads that have stopped for a core file.
#[derive(Default)]
pub(super) struct Stop {
    begun: AtomicBool,
    /// Each thread's notes; none of one that was about to end the process.
    arrived: Mutex<BTreeMap<i32, Vec<u8>>>,
    more: Condvar,
}

impl Stop {
    /// For a fork, whose child needs it free.
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Vec<u8>>> {
        lock(&self.arrived)
    }

    /// Forgets a stop, in the child of a fork.
    pub(super) fn reset(&self) {
        self.begun.store(false, Ordering::Relaxed);
    }

    fn arrive(&self, tid: i32, notes: Vec<u8>) {
        lock(&self.arrived).insert(tid, notes);
        self.more.notify_all();
    }
}

impl Process {
    /// Is a core file wanted? Where the host gives them to a program of its own, or in the sandbox, there is none.
    pub(super) fn wants_core(&self) -> bool {
        self.core_limit() >= SMALLEST && self.confined.is_none() && file::has_place()
    }

    /// A thread is about to end the process while another writes a core file: that comes first.
    pub(super) fn wait_for_core(&self) {
        if self.stop.begun.load(Ordering::Relaxed) {
            self.stop.arrive(host::tid(), Vec::new());
            wait_for_death();
        }
    }
}

/// The dying thread ends the process.
fn wait_for_death() -> ! {
    loop {
        let _ = host::call(libc::SYS_pause, &[]);
    }
}

impl Thread {
    /// The limit allows core files from now on: registers have to be exact when a fault comes, and signals that end the process have to
    /// come here.
    pub(super) fn prepare_for_core(&mut self) {
        if self.process.wants_core() {
            self.vcpu.set_precise();
            lock(&self.process.signals).catch_cores();
        }
    }

    /// Stays here if another thread writes a core file.
    pub(super) fn stop_for_core(&self) {
        if self.process.stop.begun.load(Ordering::Relaxed) {
            self.leave_registers();
        }
    }

    fn leave_registers(&self) -> ! {
        self.process.stop.arrive(self.tid, notes::of_thread(self, None));
        self.queue.begin_wait();
        wait_for_death();
    }

    /// Writes a core file, if the signal and the limit want one.
    pub(super) fn dump_core(&self, info: &RawInfo) {
        if !SIGNALS.contains(&info.signal()) || !self.process.wants_core() || !is_dumpable() {
            return;
        }
        if self.process.stop.begun.swap(true, Ordering::SeqCst) {
            self.leave_registers();
        }
        let others = self.stop_others();
        let Some(file) = file::create(self, info.signal()) else { return };
        let mut notes = notes::of_thread(self, Some(info));
        let (first, rest) = notes::split_first(&notes, self);
        notes = [first, notes::of_process(self, info), rest].concat();
        notes.extend(others.into_iter().flatten());
        // A file that cannot be written any more, as one at the limit, is left as it is.
        let _ = memory::write(self, file, &notes);
    }

    /// Stops the other threads; their notes.
    fn stop_others(&self) -> Vec<Vec<u8>> {
        let stop = &self.process.stop;
        let others = || self.process.thread_ids().into_iter().filter(|tid| *tid != self.tid);
        for tid in others() {
            // Never blocked, and always caught.
            let _ = host::call(libc::SYS_tgkill, &[host::pid().into(), tid.into(), libc::SIGTRAP.into()]);
        }
        self.queue.begin_wait();
        let end = Instant::now() + PATIENCE;
        let mut arrived = lock(&stop.arrived);
        while others().any(|tid| !arrived.contains_key(&tid)) && Instant::now() < end {
            let wait = Duration::from_millis(10);
            arrived = stop.more.wait_timeout(arrived, wait).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        let notes = std::mem::take(&mut *arrived).into_values().collect();
        drop(arrived);
        self.queue.end_wait();
        notes
    }
}

/// Has nobody forbidden it (PR_SET_DUMPABLE), and has the program no rights that its user has not?
fn is_dumpable() -> bool {
    host::call(libc::SYS_prctl, &[libc::PR_GET_DUMPABLE.into(), Arg::NULL]) == Ok(1)
}
