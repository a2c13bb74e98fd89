//! The memory that the processes of a limited run share.
#![forbid(unsafe_code)]

use super::RunLimits;
use crate::engine::FuelSource;
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Units that a hart takes at once, at most and at least: little may lie with the others when one finds nothing left, and taking them
/// should cost nothing.
const LEASES: std::ops::RangeInclusive<u64> = 1 << 12..=1 << 20;
/// A hart takes this part of what is left.
const SHARE: u64 = 16;

/// Processes and threads that [`RunLimits::processes`] may allow.
pub const MAX_PROCESSES: u64 = 1 << 16;

/// Words of the page.
const FUEL_LEFT: usize = 0;
const FUEL: usize = 1;
/// 1 if somebody has found no fuel, and who: the process and its pc.
const ENDED: usize = 2;
const ENDED_PID: usize = 3;
const ENDED_PC: usize = 4;
const SUPERVISOR: usize = 5;
/// 1 when the run has ended.
const CLOSED: usize = 6;
/// How many of the words from [`FIRST_SLOT`] on are used: one for each process or thread, its id or 0.
const SLOTS: usize = 7;
const FIRST_SLOT: usize = 8;

/// `FUEL` if there is no limit.
const NO_LIMIT: u64 = u64::MAX;

/// The signal by which the supervisor is told to look at the page, even if it has stopped with the program.
pub(super) const TELL: i32 = libc::SIGCONT;

/// A run's shared memory.
#[derive(Debug)]
pub struct Session {
    words: &'static [AtomicU64],
    path: PathBuf,
    /// The descriptor of whoever has made it.
    descriptor: Option<i32>,
}

/// A place among the processes of the run, for one that is about to be.
#[must_use]
pub(crate) struct Place<'a>(Option<&'a AtomicU64>);

impl Session {
    /// A new one; the calling process is its supervisor, and keeps the file open. Processes of the sandbox cannot look at its descriptors:
    /// for them the file has a name, in `directory`.
    ///
    /// # Errors
    /// What the host says.
    pub(super) fn create(limits: &RunLimits, directory: Option<&Path>) -> io::Result<Session> {
        let slots = limits.processes.unwrap_or(0).min(MAX_PROCESSES);
        let words = FIRST_SLOT + slots as usize;
        let (file, path) = match directory {
            Some(directory) => named_file(directory)?,
            None => memory_file()?,
        };
        file.set_len(words as u64 * 8)?;
        let session = Session { words: host::map_words(&file)?, path, descriptor: Some(file.as_raw_fd()) };
        session.set(FUEL, limits.fuel.unwrap_or(NO_LIMIT));
        session.set(FUEL_LEFT, limits.fuel.unwrap_or(NO_LIMIT));
        session.set(SUPERVISOR, host::pid() as u64);
        session.set(SLOTS, slots);
        // The processes of the run find the file by this descriptor of ours.
        std::mem::forget(file);
        Ok(session)
    }

    /// The one that another process of the run has named ([`Session::path`]).
    ///
    /// # Errors
    /// What the host says; the supervisor may be gone.
    pub fn open(path: &Path) -> io::Result<Arc<Session>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let words = host::map_words(&file)?;
        if words.len() < FIRST_SLOT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Arc::new(Session { words, path: path.to_owned(), descriptor: None }))
    }

    /// In the supervisor: gives all other descriptors up but the standard error. Whoever is at their other ends is to see when the program
    /// closes them.
    pub(super) fn leave_others(&self) {
        let own = self.descriptor.unwrap_or_default() as u32;
        let parts = [(0, 1), (3, own.saturating_sub(1)), (own + 1, u32::MAX)];
        for (first, last) in parts.into_iter().filter(|(first, last)| first <= last) {
            let _ = host::call(libc::SYS_close_range, &[first.into(), last.into(), 0.into()]);
        }
    }

    /// In the supervisor's child: gives the descriptor up, whose number is the program's.
    pub(super) fn leave_file(&self) {
        if let Some(fd) = self.descriptor {
            let _ = host::call(libc::SYS_close, &[fd.into()]);
        }
    }

    /// By which [`Session::open`] finds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn get(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::SeqCst)
    }

    fn set(&self, word: usize, value: u64) {
        self.words[word].store(value, Ordering::SeqCst);
    }

    /// Is there a limit of instructions?
    pub fn has_fuel(&self) -> bool {
        self.get(FUEL) != NO_LIMIT
    }

    /// The instructions that the run has used, if they are limited. (What running harts have taken counts.)
    pub fn fuel_used(&self) -> Option<u64> {
        self.has_fuel().then(|| self.get(FUEL) - self.get(FUEL_LEFT))
    }

    /// There is no fuel for the instruction at `pc`: the supervisor ends the run.
    pub(crate) fn end_for_fuel(&self, pc: u64) -> ! {
        host::set_mask_exactly(u64::MAX);
        if self.words[ENDED_PID].compare_exchange(0, host::pid() as u64, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.set(ENDED_PC, pc);
            self.set(ENDED, 1);
        }
        let supervisor = self.get(SUPERVISOR) as i32;
        // From inside the sandbox nobody can send it a signal (EPERM): it looks by itself.
        while host::call(libc::SYS_kill, &[supervisor.into(), TELL.into()]) != Err(Errno::ESRCH) {
            let second = libc::timespec { tv_sec: 1, tv_nsec: 0 };
            let _ = host::call(libc::SYS_nanosleep, &[Arg::from_ref(&second), Arg::NULL]);
        }
        // Nobody is there who would do it.
        host::exit_process(128 + libc::SIGKILL)
    }

    /// The process that found no fuel, and its pc.
    pub(super) fn fuel_ended(&self) -> Option<(u64, u64)> {
        (self.get(ENDED) != 0).then(|| (self.get(ENDED_PID), self.get(ENDED_PC)))
    }

    /// Nothing may be started any more.
    pub(super) fn close(&self) {
        self.set(CLOSED, 1);
        if !self.path.starts_with("/proc") {
            // If it is gone already, so much the better.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// A place for another process or thread; `None` if there are as many as there may be.
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        if self.get(ENDED) != 0 || self.get(CLOSED) != 0 {
            return None;
        }
        let slots = &self.words[FIRST_SLOT..][..self.get(SLOTS) as usize];
        if slots.is_empty() {
            return Some(Place(None));
        }
        let own = host::tid() as u64;
        let claim =
            || slots.iter().find(|slot| slot.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst).is_ok());
        let slot = claim().or_else(|| {
            free_dead(slots);
            claim()
        })?;
        Some(Place(Some(slot)))
    }
}

fn memory_file() -> io::Result<(File, PathBuf)> {
    let fd = host::call(libc::SYS_memfd_create, &[Arg::path(c"emu-run"), libc::MFD_CLOEXEC.into()])?;
    Ok((host::own_file(fd as i32), PathBuf::from(format!("/proc/{}/fd/{fd}", host::pid()))))
}

/// A file of this process's in the directory.
fn named_file(directory: &Path) -> io::Result<(File, PathBuf)> {
    let mut attempt = 0;
    loop {
        let path = directory.join(format!("emu-run-{}-{attempt}", host::pid()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            // What another process of this number has left.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
            opened => return Ok((opened?, path)),
        }
    }
}

/// Frees the places of those that are no more.
fn free_dead(slots: &[AtomicU64]) {
    for slot in slots {
        let id = slot.load(Ordering::SeqCst);
        if id != 0 && host::call(libc::SYS_kill, &[id.into(), 0.into()]) == Err(Errno::ESRCH) {
            let _ = slot.compare_exchange(id, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
    }
}

impl Place<'_> {
    /// It is the process's or thread's with this id.
    pub(crate) fn settle(mut self, id: i32) {
        if let Some(slot) = self.0.take() {
            slot.store(id as u64, Ordering::SeqCst);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.store(0, Ordering::SeqCst);
        }
    }
}

impl FuelSource for Session {
    fn take(&self) -> u64 {
        let lease = |left: u64| (left / SHARE).clamp(*LEASES.start(), *LEASES.end()).min(left);
        let rest = |left: u64| Some(left - lease(left));
        // `rest` always gives something.
        self.words[FUEL_LEFT].fetch_update(Ordering::SeqCst, Ordering::SeqCst, rest).map_or(0, lease)
    }

    fn give_back(&self, units: u64) {
        if units > 0 {
            self.words[FUEL_LEFT].fetch_add(units, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(limits: RunLimits) -> Session {
        Session::create(&limits, None).expect("the host has memory files")
    }

    #[test]
    fn fuel_is_taken_to_the_last_unit() {
        let s = session(RunLimits { fuel: Some(100_000), ..RunLimits::default() });
        let mut sum = 0;
        while let units @ 1.. = s.take() {
            assert!(LEASES.contains(&units) || units == 100_000 - sum, "{units}");
            sum += units;
        }
        assert_eq!((sum, s.fuel_used()), (100_000, Some(100_000)));
        s.give_back(7);
        assert_eq!((s.fuel_used(), s.take(), s.take()), (Some(99_993), 7, 0));
        let none = session(RunLimits::default());
        assert_eq!((none.has_fuel(), none.fuel_used()), (false, None));
    }

    #[test]
    fn another_process_finds_the_same() {
        let s = session(RunLimits { fuel: Some(10), processes: Some(3), ..RunLimits::default() });
        let other = Session::open(s.path()).expect("it is open");
        assert_eq!((other.take(), s.fuel_used()), (10, Some(10)));
    }

    #[test]
    fn a_named_one_is_gone_with_the_run() {
        let limits = RunLimits { fuel: Some(10), ..RunLimits::default() };
        let s = Session::create(&limits, Some(&std::env::temp_dir())).expect("there is a place for it");
        assert_eq!(Session::open(s.path()).map(|other| other.take()).ok(), Some(10));
        s.close();
        assert!(Session::open(s.path()).is_err());
    }

    #[test]
    fn places_of_the_dead_are_free() {
        let s = session(RunLimits { processes: Some(2), ..RunLimits::default() });
        s.place().expect("there are two").settle(host::pid());
        let second = s.place().expect("there is another");
        assert!(s.place().is_none());
        // No process has an id that large.
        second.settle(i32::MAX);
        drop(s.place().expect("it is free again"));
        s.place().expect("and stays so").settle(host::pid());
        assert!(s.place().is_none());
        s.close();
    }
}
