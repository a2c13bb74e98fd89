//! mmap(2) and its kin, with the kernel's rules.
#![forbid(unsafe_code)]

use super::limits::Sums;
use super::vma::page_up;
use super::{CODE, Errno, FileId, GuestMemory, PAGE_SIZE, Prot, Space, Vma};
use std::ops::Range;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The lowest address that may be mapped (`vm.mmap_min_addr`).
pub(super) const MMAP_MIN: u64 = 0x1_0000;
/// How many mappings there may be (`vm.max_map_count`); some are left to the emulator itself.
const MAX_MAPS: usize = 65_000;

/// How the address of a mapping is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fixed {
    /// As a hint.
    #[default]
    No,
    /// MAP_FIXED.
    Replace,
    /// MAP_FIXED_NOREPLACE.
    NoReplace,
}

/// What is behind a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Backing {
    /// Zeros.
    #[default]
    Anonymous,
    /// A file of the host.
    File {
        /// An open file.
        fd: RawFd,
        /// A multiple of the page size.
        offset: u64,
    },
}

/// The arguments of mmap(2).
#[derive(Clone, Debug, Default)]
pub struct MapRequest {
    /// The address, or 0.
    pub addr_hint: u64,
    /// Bytes.
    pub len: u64,
    /// Protection.
    pub prot: Prot,
    /// How the address is meant.
    pub fixed: Fixed,
    /// MAP_SHARED, else MAP_PRIVATE.
    pub shared: bool,
    /// What to map.
    pub backing: Backing,
    /// MAP_GROWSDOWN (the main stack, too, but it is mapped whole).
    pub grows_down: bool,
    /// MAP_NORESERVE.
    pub noreserve: bool,
    /// MAP_POPULATE.
    pub populate: bool,
    /// MAP_LOCKED.
    pub locked: bool,
    /// A name for `/proc/PID/maps`, as `[stack]`.
    pub name: Option<&'static str>,
}

impl MapRequest {
    fn host_flags(&self) -> libc::c_int {
        let flag = |on: bool, bits| if on { bits } else { 0 };
        flag(self.shared, libc::MAP_SHARED)
            | flag(!self.shared, libc::MAP_PRIVATE)
            | flag(self.backing == Backing::Anonymous, libc::MAP_ANONYMOUS)
            | flag(self.noreserve, libc::MAP_NORESERVE)
            | flag(self.populate, libc::MAP_POPULATE)
            | flag(self.locked, libc::MAP_LOCKED)
    }

    /// What it counts for.
    fn sums(&self, len: u64) -> Sums {
        let file = self.backing != Backing::Anonymous;
        Sums::of_kind(len, self.prot, self.shared, file, self.grows_down, self.name == Some("[stack]"))
    }

    fn vma(&self, range: Range<u64>) -> Vma {
        let (file, offset) = match self.backing {
            Backing::File { fd, offset } => (Some(file_id(fd)), offset),
            Backing::Anonymous => (None, 0),
        };
        let MapRequest { prot, shared, name, grows_down, noreserve, locked, .. } = *self;
        Vma { range, prot, shared, file, offset, name, grows_down, noreserve, locked, sealed: false }
    }
}

/// What `/proc/PID/maps` says of an open file.
fn file_id(fd: RawFd) -> Arc<FileId> {
    let link = format!("/proc/self/fd/{fd}");
    let path = std::fs::read_link(&link).map(|p| p.into_os_string().into_vec()).unwrap_or_default();
    let (dev, ino) = std::fs::metadata(&link).map_or((0, 0), |m| (m.dev(), m.ino()));
    Arc::new(FileId { dev, ino, path, noexec: super::on_noexec(fd) })
}

pub(super) fn aligned(addr: u64) -> Result<(), Errno> {
    if addr.is_multiple_of(PAGE_SIZE) { Ok(()) } else { Err(Errno::EINVAL) }
}

impl Space {
    /// Everything that may be mapped without asking for an address.
    fn area(&self) -> Range<u64> {
        MMAP_MIN..self.layout.mmap_base
    }

    /// Finds a free place, from the top down.
    pub(super) fn find(&self, len: u64) -> Result<u64, Errno> {
        let low = self.layout.mmap_low..self.layout.task_size;
        self.vmas.gap_below(len, &self.area()).or_else(|| self.vmas.gap_above(len, &low)).ok_or(Errno::ENOMEM)
    }

    /// The address of a new mapping of `len` bytes, a multiple of the page size.
    fn place(&self, request: &MapRequest, len: u64) -> Result<u64, Errno> {
        let hint = request.addr_hint;
        if len > self.layout.task_size {
            return Err(Errno::ENOMEM);
        }
        if request.fixed != Fixed::No {
            return self.place_fixed(request, len);
        }
        let hint = hint & !(PAGE_SIZE - 1);
        let fits = hint >= MMAP_MIN && hint <= self.layout.task_size - len;
        if fits && self.vmas.is_free(&(hint..hint + len)) { Ok(hint) } else { self.find(len) }
    }

    fn place_fixed(&self, request: &MapRequest, len: u64) -> Result<u64, Errno> {
        let addr = request.addr_hint;
        aligned(addr)?;
        if addr > self.layout.task_size - len {
            return Err(Errno::ENOMEM);
        }
        if addr < MMAP_MIN {
            return Err(Errno::EPERM);
        }
        if request.fixed == Fixed::NoReplace && !self.vmas.is_free(&(addr..addr + len)) {
            return Err(Errno::EEXIST);
        }
        Ok(addr)
    }

    /// Checks that a range is page-aligned and inside the address space, and rounds it up to pages.
    pub(super) fn range(&self, addr: u64, len: u64, outside: Errno) -> Result<Range<u64>, Errno> {
        aligned(addr)?;
        let end = page_up(len).and_then(|len| addr.checked_add(len)).ok_or(outside)?;
        if end > self.layout.task_size { Err(outside) } else { Ok(addr..end) }
    }
}

impl GuestMemory {
    /// mmap(2): maps and returns the address.
    ///
    /// # Errors
    /// As mmap(2): EINVAL for bad lengths and alignments, ENOMEM, EEXIST, EPERM below `mmap_min_addr`, and what the
    /// host says about the file (EACCES, EBADF, ENODEV, EOVERFLOW ...).
    pub fn mmap(&self, request: &MapRequest) -> Result<u64, Errno> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(request.len).ok_or(Errno::ENOMEM)?;
        if let Backing::File { offset, .. } = request.backing {
            aligned(offset)?;
        }
        let mut space = self.lock();
        let addr = space.place(request, len)?;
        space.check_seals(&(addr..addr + len))?;
        let stale = self.map_at(&mut space, request, addr..addr + len);
        let (stale, result) = match stale {
            Ok(stale) => (stale, Ok(addr)),
            Err((stale, errno)) => (stale, Err(errno)),
        };
        self.finish(space, stale);
        result
    }

    /// Maps over `range`; returns the code that went away, with an error too.
    #[expect(clippy::type_complexity, reason = "both sides carry the stale range")]
    pub(super) fn map_at(
        &self,
        space: &mut Space,
        request: &MapRequest,
        range: Range<u64>,
    ) -> Result<Option<Range<u64>>, (Option<Range<u64>>, Errno)> {
        if space.vmas.len() >= MAX_MAPS {
            return Err((None, Errno::ENOMEM));
        }
        space.check_limits(request.sums(range.end - range.start), &range).map_err(|errno| (None, errno))?;
        let stale = self.code_in(space, &range);
        let file = match request.backing {
            Backing::File { fd, offset } => Some((fd, offset)),
            Backing::Anonymous => None,
        };
        if let Err(failure) = self.host.map(&range, request.prot, request.host_flags(), file) {
            if !failure.lost {
                return Err((None, failure.errno));
            }
            self.forget(space, &range);
            return Err((stale, failure.errno));
        }
        space.vmas.remove(&range);
        self.pages.fill(&range, request.prot.effective().bits());
        space.vmas.insert(request.vma(range));
        Ok(stale)
    }

    /// Takes a range out of the books.
    pub(super) fn forget(&self, space: &mut Space, range: &Range<u64>) {
        for part in space.vmas.remove(range) {
            if part.prot != Prot::NONE {
                self.pages.fill(&part.range, 0);
            }
        }
    }

    /// Unmaps what is mapped in `range`; returns the code that went away.
    pub(super) fn unmap(&self, space: &mut Space, range: &Range<u64>) -> Result<Option<Range<u64>>, Errno> {
        if space.vmas.is_free(range) {
            return Ok(None);
        }
        let stale = self.code_in(space, range);
        self.host.release(range)?;
        self.forget(space, range);
        Ok(stale)
    }

    /// munmap(2).
    ///
    /// # Errors
    /// EINVAL as munmap(2).
    pub fn munmap(&self, addr: u64, len: u64) -> Result<(), Errno> {
        let mut space = self.lock();
        let range = space.range(addr, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        space.check_seals(&range)?;
        let stale = self.unmap(&mut space, &range)?;
        self.finish(space, stale);
        Ok(())
    }

    /// mprotect(2). As in Linux, what comes before a hole is changed although the answer is ENOMEM.
    ///
    /// # Errors
    /// EINVAL, ENOMEM for holes, EACCES for a shared mapping of a file that is open for reading only, and for executing a file on a
    /// file system without executions.
    pub fn mprotect(&self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        let mut space = self.lock();
        let range = space.range(addr, len, Errno::ENOMEM)?;
        space.check_seals(&range)?;
        let hole = space.vmas.first_hole(&range);
        let range = range.start..hole.unwrap_or(range.end);
        let noexec = |vma: &Vma| vma.file.as_ref().is_some_and(|file| file.noexec);
        let looks = prot.contains(Prot::EXEC) && !self.ignores_noexec.load(Ordering::Relaxed);
        if looks && space.vmas.overlapping(&range).any(|(_, vma)| noexec(vma)) {
            return Err(Errno::EACCES);
        }
        space.check_protection(&range, prot)?;
        // Code that stays executable and cannot be written stays valid.
        let keeps_code = prot.contains(Prot::EXEC) && !prot.contains(Prot::WRITE);
        let stale = if keeps_code { None } else { self.code_in(&space, &range) };
        let result = self.protect_parts(&mut space, &range, prot, if keeps_code { CODE } else { 0 });
        self.finish(space, stale);
        result.and(if hole.is_some() { Err(Errno::ENOMEM) } else { Ok(()) })
    }

    /// Changes the protection of a range without holes; `keep` are the bits that pages keep.
    fn protect_parts(&self, space: &mut Space, range: &Range<u64>, prot: Prot, keep: u8) -> Result<(), Errno> {
        let parts: Vec<_> = space.vmas.overlapping(range).map(|(part, _)| part).collect();
        for part in parts {
            if let Err(errno) = self.host.protect(&part, prot) {
                // It may have been changed in part: put it as it was.
                let old = space.vmas.at(part.start).map_or(Prot::NONE, |v| v.prot);
                self.reprotect(&part, old);
                return Err(errno);
            }
            let bits = prot.effective().bits();
            if keep == 0 {
                self.pages.fill(&part, bits);
            } else {
                let pages = self.pages.slice(&part).iter();
                pages.for_each(|b| b.store(bits | b.load(Ordering::Acquire) & keep, Ordering::Release));
            }
            for vma in space.vmas.remove(&part) {
                space.vmas.insert(Vma { prot, ..vma });
            }
        }
        Ok(())
    }

    /// Gives a part of one mapping the host protection it has to have by the books, and forgets that it holds code.
    pub(super) fn reprotect(&self, part: &Range<u64>, prot: Prot) {
        // If the host refuses, faults that are not the guest's follow, and are reported as the guest's.
        let _ = self.host.protect(part, prot);
        self.pages.fill(part, prot.effective().bits());
    }

    /// Runs `f` on each mapped part of a range and says ENOMEM at the end if there was a hole.
    fn each_part(
        &self,
        space: &Space,
        range: &Range<u64>,
        mut f: impl FnMut(&Range<u64>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        space.vmas.overlapping(range).try_for_each(|(part, _)| f(&part))?;
        if space.vmas.first_hole(range).is_some() { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// madvise(2), passed on to the host for what is mapped. Advice that would make memory inaccessible behind our
    /// back (MADV_HWPOISON, MADV_GUARD_INSTALL ...) is unknown here.
    ///
    /// # Errors
    /// As madvise(2): EINVAL for bad ranges and unknown advice, ENOMEM for holes (after doing the rest).
    pub fn madvise(&self, addr: u64, len: u64, advice: i32) -> Result<(), Errno> {
        let changes = match advice {
            libc::MADV_DONTNEED | libc::MADV_FREE | libc::MADV_REMOVE | MADV_DONTNEED_LOCKED => true,
            libc::MADV_NORMAL..=libc::MADV_WILLNEED => false,
            libc::MADV_DONTFORK..=libc::MADV_DOFORK | libc::MADV_MERGEABLE..=MADV_KEEPONFORK => false,
            libc::MADV_COLD..=libc::MADV_POPULATE_READ => false,
            MADV_POPULATE_WRITE => {
                self.prepare_write(addr, len);
                false
            }
            _ => return Err(Errno::EINVAL),
        };
        let space = self.lock();
        let range = space.range(addr, len, Errno::EINVAL)?;
        if changes || advice == libc::MADV_DONTFORK || advice == libc::MADV_WIPEONFORK {
            space.check_discard(&range)?;
        }
        let stale = if changes { self.code_in(&space, &range) } else { None };
        let result = self.each_part(&space, &range, |part| self.host.advise(part, advice));
        // The marks stay: the pages are still protected, and will be translated from again.
        self.finish(space, stale);
        result
    }

    /// msync(2).
    ///
    /// # Errors
    /// As msync(2).
    pub fn msync(&self, addr: u64, len: u64, flags: i32) -> Result<(), Errno> {
        let space = self.lock();
        let range = space.range(addr, len, Errno::ENOMEM)?;
        let parts: Vec<_> = space.vmas.overlapping(&range).map(|(part, _)| part).collect();
        let hole = space.vmas.first_hole(&range).is_some();
        drop(space); // Writing back takes long; the host copes with what changes meanwhile.
        if parts.is_empty() {
            // The host checks the flags.
            self.host.sync(&(0..0), flags)?;
        }
        parts.iter().try_for_each(|part| self.host.sync(part, flags))?;
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// mlock2(2).
    ///
    /// # Errors
    /// As mlock2(2).
    pub fn mlock(&self, addr: u64, len: u64, flags: u32) -> Result<(), Errno> {
        self.set_locked(addr, len, Some(flags))
    }

    /// munlock(2).
    ///
    /// # Errors
    /// As munlock(2).
    pub fn munlock(&self, addr: u64, len: u64) -> Result<(), Errno> {
        self.set_locked(addr, len, None)
    }

    fn set_locked(&self, addr: u64, len: u64, lock: Option<u32>) -> Result<(), Errno> {
        let mut space = self.lock();
        // These two round the start down instead of refusing it.
        let start = addr & !(PAGE_SIZE - 1);
        let range = space.range(start, len.saturating_add(addr - start), Errno::ENOMEM)?;
        self.each_part(&space, &range, |part| self.host.lock(part, lock))?;
        for vma in space.vmas.remove(&range) {
            space.vmas.insert(Vma { locked: lock.is_some(), ..vma });
        }
        Ok(())
    }

    /// mincore(2): a byte for each page of the range.
    ///
    /// # Errors
    /// As mincore(2).
    pub fn mincore(&self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        let space = self.lock();
        let range = space.range(addr, len, Errno::ENOMEM)?;
        if space.vmas.first_hole(&range).is_some() {
            return Err(Errno::ENOMEM);
        }
        self.host.resident(&range)
    }

    /// All mappings, in order of their addresses.
    pub fn maps(&self) -> Vec<Vma> {
        self.lock().vmas.iter().cloned().collect()
    }

    /// The mappings that other processes may have, too (MAP_SHARED), if any mapping has changed since the call that
    /// left its number in `seen`, which is 0 before the first. Each with whether it can be written here.
    pub fn shared_ranges(&self, seen: &mut u64) -> Option<Vec<(Range<u64>, bool)>> {
        let space = self.lock();
        if std::mem::replace(seen, space.vmas.version()) == space.vmas.version() {
            return None;
        }
        let shared = space.vmas.iter().filter(|v| v.shared);
        Some(shared.map(|v| (v.range.clone(), v.prot.contains(Prot::WRITE))).collect())
    }

    /// Is the memory at an address shared with whoever maps it as well?
    pub fn is_shared(&self, addr: u64) -> bool {
        self.lock().vmas.at(addr).is_some_and(|v| v.shared)
    }

    /// Is there memory that others who map it can see this guest write?
    pub fn shares_writable(&self) -> bool {
        self.lock().vmas.iter().any(|v| v.shared && v.prot.contains(Prot::WRITE))
    }

    /// What the guest may do at an address; `None` where nothing is mapped.
    pub fn prot_at(&self, addr: u64) -> Option<Prot> {
        self.lock().vmas.at(addr).map(|v| v.prot)
    }
}

const MADV_KEEPONFORK: i32 = libc::MADV_KEEPONFORK;
const MADV_POPULATE_WRITE: i32 = libc::MADV_POPULATE_WRITE;
const MADV_DONTNEED_LOCKED: i32 = 24;
