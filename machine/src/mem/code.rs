//! Pages that code was translated from, and what a host fault means.
#![forbid(unsafe_code)]

use super::access::HostFault;
use super::{CODE, GuestMemory, PAGE_SIZE, Prot, Space};
use emu_ir::{AccessKind, Fault, FaultCause};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

/// Is told when guest memory that code was translated from changes or goes away.
pub trait CodeWatch: Send + Sync {
    /// Translations of `range` (whole pages) are stale. The memory has changed already, or may from now on; the
    /// operation that changed it has not returned yet. Called without any lock of the memory's, on the thread that
    /// changes it; not in a signal handler, except by whoever handles a fault of generated code himself.
    fn invalidate(&self, range: Range<u64>);
}

/// What to do about a host fault at a guest address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// Nothing is wrong (any more): run the access again.
    Retry,
    /// The guest may write there, but code had been translated from this page. It can be written now: invalidate the
    /// range's translations, then run the access again.
    CodeWritten(Range<u64>),
    /// The guest's own fault.
    Deliver(Fault),
}

fn page_of(addr: u64) -> Range<u64> {
    let start = addr & !(PAGE_SIZE - 1);
    start..start + PAGE_SIZE
}

impl GuestMemory {
    /// Sets who is told of stale code. Only the first call counts.
    pub fn set_code_watch(&self, watch: Arc<dyn CodeWatch>) {
        // A second watch would mean a second engine on the same memory, which nothing makes.
        let _ = self.watch.set(watch);
    }

    /// Marks the page of `addr` as one that code is translated from. From now on a guest's store to it faults, and a
    /// change of the mapping is told to the [`CodeWatch`].
    ///
    /// A translator that runs while other threads change memory: take [`GuestMemory::code_epoch`]; protect each page
    /// before reading it; after making the translation visible compare the epoch, and throw the translation away if
    /// it has changed. False if the page is not executable (any more) or the host has no room for one more mapping:
    /// a translation made from it must not be kept then.
    #[must_use]
    pub fn protect_code(&self, addr: u64) -> bool {
        if self.pages.get(addr) & CODE != 0 {
            return true;
        }
        let _space = self.lock();
        let bits = self.pages.get(addr);
        if bits & Prot::EXEC.bits() == 0 {
            return false;
        }
        let page = page_of(addr);
        let writable = bits & (Prot::WRITE.bits() | CODE) == Prot::WRITE.bits();
        if writable && self.host.protect(&page, Prot::READ).is_err() {
            return false;
        }
        self.pages.fill(&page, bits | CODE);
        true
    }

    /// Is the page of `addr` marked by [`GuestMemory::protect_code`]?
    pub fn is_code(&self, addr: u64) -> bool {
        self.pages.get(addr) & CODE != 0
    }

    /// Counts the changes of memory that code was translated from; see [`GuestMemory::protect_code`]. It is counted
    /// up after a mapping has changed or a page of code may be written, and before the translations are invalidated.
    pub fn code_epoch(&self) -> u64 {
        self.code_epoch.load(Ordering::SeqCst)
    }

    /// Code that some thread has changed, or is about to, while the [`CodeWatch`] has not been told to the end.
    ///
    /// Once a page of code may be written, all threads can write there, but only the one that made it so tells the
    /// watch. Another that executes an instruction fence in between has to invalidate these ranges itself.
    pub fn stale_code(&self) -> Vec<Range<u64>> {
        self.lock().stale.clone()
    }

    /// What a host fault of an access to `len` bytes at `addr` means; `bus` if the signal was SIGBUS, and then `addr`
    /// should be where the host says. Does not tell the [`CodeWatch`]: after [`FaultAction::CodeWritten`] the caller has
    /// to, by [`GuestMemory::code_written`].
    ///
    /// May be called in the signal handler, by a thread that holds none of the memory's locks.
    pub fn resolve_fault(&self, addr: u64, len: u64, access: AccessKind, bus: bool) -> FaultAction {
        let mut space = self.lock();
        if let Some(fault) = self.check(&space, addr, len, access) {
            let grown = fault.cause == FaultCause::Unmapped && self.grow_down(&mut space, fault.addr);
            return if grown { FaultAction::Retry } else { FaultAction::Deliver(fault) };
        }
        if bus {
            return FaultAction::Deliver(Fault { addr, access, cause: FaultCause::Bus });
        }
        match access {
            AccessKind::Write => self.unprotect_code(&mut space, &(addr..addr + len)),
            _ => None,
        }
        .map_or(FaultAction::Retry, FaultAction::CodeWritten)
    }

    /// Gets a range ready for being written by the host's kernel on the guest's behalf, which would answer EFAULT for
    /// a page of code. True if there was such a page: who gets EFAULT although the guest may write there calls it
    /// again, and tries again if it says true.
    pub fn prepare_write(&self, addr: u64, len: u64) -> bool {
        if len == 0 || !self.window.contains(addr, len) {
            return false;
        }
        let range = addr..addr + len;
        if self.pages.slice(&range).iter().all(|b| b.load(Ordering::Acquire) & CODE == 0) {
            return false;
        }
        let stale = self.unprotect_code(&mut self.lock(), &range);
        let found = stale.is_some();
        self.notify(stale);
        found
    }

    /// Tells the watch of what [`FaultAction::CodeWritten`] named, before the store runs again.
    pub fn code_written(&self, range: Range<u64>) {
        self.notify(Some(range));
    }

    /// Ends a change of the mapping: gives back the lock and tells the watch of the code that went away.
    pub(super) fn finish(&self, mut space: MutexGuard<'_, Space>, stale: impl IntoIterator<Item = Range<u64>>) {
        let first = space.stale.len();
        space.stale.extend(stale);
        let mine = space.stale[first..].to_vec();
        drop(space);
        mine.into_iter().for_each(|range| self.notify(Some(range)));
    }

    /// Tells the watch of stale code, which is in the list of such. The caller holds no lock.
    fn notify(&self, stale: Option<Range<u64>>) {
        let Some(range) = stale else { return };
        self.code_epoch.fetch_add(1, Ordering::SeqCst);
        if let Some(watch) = self.watch.get() {
            watch.invalidate(range.clone());
        }
        let list = &mut self.lock().stale;
        if let Some(at) = list.iter().position(|r| *r == range) {
            list.swap_remove(at);
        }
    }

    /// Handles the fault of a guarded access of ours: Ok to run it again.
    pub(super) fn settle(&self, addr: u64, len: u64, access: AccessKind, fault: HostFault) -> Result<(), Fault> {
        let at = self.guest_addr(fault.host_addr()).filter(|at| fault.is_bus() && *at >= addr);
        let (addr, len) = at.map_or((addr, len), |at| (at, 1));
        match self.resolve_fault(addr, len, access, fault.is_bus()) {
            FaultAction::Retry => Ok(()),
            FaultAction::CodeWritten(range) => {
                self.notify(Some(range));
                Ok(())
            }
            FaultAction::Deliver(fault) => Err(fault),
        }
    }

    /// The fault of an access that leaves the address space; there may be a bad byte before its end.
    pub(super) fn first_fault(&self, addr: u64, len: u64, access: AccessKind) -> Fault {
        let end = Fault { addr: addr.max(self.window.limit()), access, cause: FaultCause::Unmapped };
        self.check(&self.lock(), addr, len, access).unwrap_or(end)
    }

    /// Fails if the guest may not access the range, by the mappings.
    pub(super) fn check_now(&self, addr: u64, len: u64, access: AccessKind) -> Result<(), Fault> {
        self.check(&self.lock(), addr, len, access).map_or(Ok(()), Err)
    }

    /// The first byte that the guest may not access, by the mappings.
    fn check(&self, space: &Space, addr: u64, len: u64, access: AccessKind) -> Option<Fault> {
        let end = addr.saturating_add(len);
        let mut at = addr;
        while at < end {
            if self.pages.get(at) & Prot::needed(access).bits() == 0 {
                let cause = match space.vmas.at(at) {
                    Some(_) => FaultCause::Protected,
                    None => FaultCause::Unmapped,
                };
                return Some(Fault { addr: at, access, cause });
            }
            at = page_of(at).end;
        }
        None
    }

    /// Makes the code pages of a range writable for the host if they are so for the guest, and forgets that they hold
    /// code. Returns the pages that change, of which the watch is to be told.
    fn unprotect_code(&self, space: &mut Space, range: &Range<u64>) -> Option<Range<u64>> {
        let mut stale: Option<Range<u64>> = None;
        let mut at = page_of(range.start).start;
        while at < range.end {
            let bits = self.pages.get(at);
            if bits & CODE != 0 && bits & Prot::WRITE.bits() != 0 {
                let page = page_of(at);
                if self.host.protect(&page, Prot::RW).is_ok() {
                    self.pages.fill(&page, bits & !CODE);
                    stale = Some(stale.map_or(page.start, |s| s.start)..page.end);
                }
            }
            at += PAGE_SIZE;
        }
        if let Some(range) = &stale {
            space.stale.push(range.clone());
            // Under the lock and after the marks are gone: a translator that saw them has an older epoch.
            self.code_epoch.fetch_add(1, Ordering::SeqCst);
        }
        stale
    }

    /// The pages of a range that code was translated from (from the first to the last), given its mappings.
    pub(super) fn code_in(&self, space: &Space, range: &Range<u64>) -> Option<Range<u64>> {
        let executable = space.vmas.overlapping(range).filter(|(_, v)| v.prot.contains(Prot::EXEC));
        let mut found = executable.filter_map(|(part, _)| {
            let pages = self.pages.slice(&part);
            let is_code = |b: &std::sync::atomic::AtomicU8| b.load(Ordering::Acquire) & CODE != 0;
            let (first, last) = (pages.iter().position(is_code)?, pages.iter().rposition(is_code)?);
            Some(part.start + first as u64 * PAGE_SIZE..part.start + (last as u64 + 1) * PAGE_SIZE)
        });
        let first = found.next()?;
        Some(first.start..found.last().unwrap_or(first).end)
    }
}
