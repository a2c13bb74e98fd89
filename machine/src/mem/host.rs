//! The host's side of guest memory: the reservation and the system calls on it.
//!
//! Everything takes guest ranges and refuses those outside the reservation, so that no call here can touch memory
//! that Rust objects live in: the interface is safe, and `unsafe` stays in this file and in `access.rs`.

use super::access::Window;
use super::{Errno, PAGE_SIZE, Prot};
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU8, Ordering};

/// Inaccessible bytes on both sides: an in-range address plus any 32-bit displacement of generated code, and an
/// access of some width there, stays inside.
const GUARD: u64 = (2 << 30) + (64 << 10);
/// Where the guest's address 0 goes if the place is free: easy to recognise in a debugger, and far from what the
/// host's loader and allocator use.
const PREFERRED_BASE: u64 = 0x1000_0000_0000;
/// The base is a multiple of this, so that the host can use huge pages wherever the guest's layout allows it.
const BASE_ALIGN: u64 = 2 << 20;

/// A range of host addresses that belongs to the guest alone, with guards around it.
///
/// What the guest has not mapped is mapped without access, so no other part of the process can be placed there.
#[derive(Debug)]
pub(super) struct Reservation {
    start: u64,
    total: u64,
    base: u64,
    size: u64,
}

fn result(ret: libc::c_int) -> Result<(), Errno> {
    if ret == 0 { Ok(()) } else { Err(Errno::last()) }
}

fn mapped(ptr: *mut libc::c_void) -> Result<u64, Errno> {
    if ptr == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(ptr as u64) }
}

const RESERVE: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

/// Reserves `total` bytes without access, at `at` (if it is free) or anywhere.
fn reserve(at: Option<u64>, total: u64) -> Result<u64, Errno> {
    let flags = RESERVE | if at.is_some() { libc::MAP_FIXED_NOREPLACE } else { 0 };
    let hint = at.unwrap_or(0) as *mut libc::c_void;
    // SAFETY: a new anonymous mapping; with an address it is MAP_FIXED_NOREPLACE, so nothing is replaced.
    mapped(unsafe { libc::mmap(hint, total as usize, libc::PROT_NONE, flags, -1, 0) })
}

impl Reservation {
    /// Reserves `size` bytes of guest address space.
    pub(super) fn new(size: u64) -> io::Result<Reservation> {
        let total = GUARD + size + BASE_ALIGN + GUARD;
        let preferred = PREFERRED_BASE - GUARD;
        let start = reserve(Some(preferred), total).or_else(|_| reserve(None, total)).map_err(io::Error::from)?;
        let base = (start + GUARD).next_multiple_of(BASE_ALIGN);
        Ok(Reservation { start, total, base, size })
    }

    /// The window for guarded accesses. It must not be used longer than the reservation lives.
    pub(super) fn window(&self) -> Window {
        // SAFETY: the reservation holds `size` bytes from `base` on and a guard behind them, and nothing else.
        unsafe { Window::new(self.base, self.size) }
    }

    /// The host address and the length of a guest range.
    fn host(&self, range: &Range<u64>) -> Result<(*mut libc::c_void, usize), Errno> {
        if range.start > range.end || range.end > self.size {
            return Err(Errno::EINVAL);
        }
        Ok(((self.base + range.start) as *mut libc::c_void, (range.end - range.start) as usize))
    }

    /// Maps over a range; `flags` are those of mmap(2) except for MAP_FIXED.
    ///
    /// When the host refuses, the range is either as it was (`Err`) or, where the host had already unmapped it,
    /// reserved anew (`Err` with `lost` set).
    pub(super) fn map(
        &self,
        range: &Range<u64>,
        prot: Prot,
        flags: libc::c_int,
        file: Option<(RawFd, u64)>,
    ) -> Result<(), MapFailure> {
        let (at, len) = self.host(range).map_err(|errno| MapFailure { errno, lost: false })?;
        let (fd, offset) = file.unwrap_or((-1, 0));
        let flags = (flags & !libc::MAP_FIXED_NOREPLACE) | libc::MAP_FIXED;
        // SAFETY: `host` has checked that the range lies in the reservation, which no Rust object lives in.
        let ret = unsafe { libc::mmap(at, len, prot.host(), flags, fd, offset as libc::off_t) };
        mapped(ret)
            .map(|_| ())
            .map_err(|errno| MapFailure { errno, lost: reserve(Some(at as u64), len as u64).is_ok() })
    }

    /// Takes access and content of a range away.
    pub(super) fn release(&self, range: &Range<u64>) -> Result<(), Errno> {
        self.map(range, Prot::NONE, RESERVE, None).map_err(|f| f.errno)
    }

    /// Changes the host's protection.
    pub(super) fn protect(&self, range: &Range<u64>, prot: Prot) -> Result<(), Errno> {
        let (at, len) = self.host(range)?;
        // SAFETY: the range lies in the reservation; its accesses are all guarded or the guest's own.
        result(unsafe { libc::mprotect(at, len, prot.host()) })
    }

    /// madvise(2); the caller has checked that the advice stays inside the mapping and is harmless.
    pub(super) fn advise(&self, range: &Range<u64>, advice: i32) -> Result<(), Errno> {
        let (at, len) = self.host(range)?;
        // SAFETY: the range lies in the reservation, whose content only the guest relies on.
        result(unsafe { libc::madvise(at, len, advice) })
    }

    /// msync(2).
    pub(super) fn sync(&self, range: &Range<u64>, flags: i32) -> Result<(), Errno> {
        let (at, len) = self.host(range)?;
        // SAFETY: the range lies in the reservation; msync changes no memory.
        result(unsafe { libc::msync(at, len, flags) })
    }

    /// mlock2(2) with `Some(flags)`, else munlock(2).
    pub(super) fn lock(&self, range: &Range<u64>, lock: Option<u32>) -> Result<(), Errno> {
        let (at, len) = self.host(range)?;
        // SAFETY: the range lies in the reservation; locking changes no content.
        result(unsafe {
            match lock {
                Some(flags) => libc::mlock2(at, len, flags),
                None => libc::munlock(at, len),
            }
        })
    }

    /// mincore(2): one byte a page.
    pub(super) fn resident(&self, range: &Range<u64>) -> Result<Vec<u8>, Errno> {
        let (at, len) = self.host(range)?;
        let mut pages = vec![0; len.div_ceil(PAGE_SIZE as usize)];
        // SAFETY: the range lies in the reservation, and the vector has a byte for each of its pages.
        result(unsafe { libc::mincore(at, len, pages.as_mut_ptr()) })?;
        Ok(pages)
    }

    /// remap_file_pages(2): a range that one shared mapping covers shows its file from page `page` on.
    pub(super) fn remap_file_pages(&self, range: &Range<u64>, page: u64, flags: i32) -> Result<(), Errno> {
        let (at, len) = self.host(range)?;
        // SAFETY: the range lies in the reservation, which no Rust object lives in.
        let ret = unsafe { libc::syscall(libc::SYS_remap_file_pages, at, len, 0, page, flags) };
        result(ret as libc::c_int)
    }

    /// Makes the mapping of `old` reach to `end`. Nothing of the guest's may be mapped between.
    pub(super) fn grow(&self, old: &Range<u64>, end: u64) -> Result<(), Errno> {
        let (at, len) = self.host(old)?;
        let (tail, tail_len) = self.host(&(old.end..end))?;
        // The tail is a hole for a moment. Nobody else maps there: the host places without a hint from the top of
        // the address space down, and comes here last.
        // SAFETY: both ranges lie in the reservation, and the tail holds nothing.
        let grown = unsafe {
            libc::munmap(tail, tail_len);
            mapped(libc::mremap(at, len, len + tail_len, 0))
        };
        grown.map(|_| ()).inspect_err(|_| {
            // It can only fail if it is not a hole any more, which is what is wanted.
            let _ = reserve(Some(tail as u64), tail_len as u64);
        })
    }

    /// Moves the pages of `old` to `new`, replacing what is there; `old` is reserved again unless `keep` is set
    /// (MREMAP_DONTUNMAP) or it is empty (which maps shared pages a second time).
    pub(super) fn relocate(&self, old: &Range<u64>, new: &Range<u64>, keep: bool) -> Result<(), Errno> {
        let (from, from_len) = self.host(old)?;
        let (to, to_len) = self.host(new)?;
        let keep_flag = if keep { libc::MREMAP_DONTUNMAP } else { 0 };
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | keep_flag;
        // SAFETY: both ranges lie in the reservation, which no Rust object lives in.
        mapped(unsafe { libc::mremap(from, from_len, to_len, flags, to) }).inspect_err(|_| {
            let _ = reserve(Some(to as u64), to_len as u64);
        })?;
        if !keep && from_len != 0 {
            reserve(Some(from as u64), from_len as u64)?;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the range is the one that `new` reserved; nothing else was ever placed in it.
        unsafe { libc::munmap(self.start as *mut libc::c_void, self.total as usize) };
    }
}

/// Why [`Reservation::map`] failed.
#[derive(Debug)]
pub(super) struct MapFailure {
    /// The host's answer.
    pub(super) errno: Errno,
    /// What was mapped there before is gone.
    pub(super) lost: bool,
}

/// RLIMIT_STACK, which the guest shares with the emulator.
pub(super) fn stack_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a query into a valid structure.
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) };
    limit.rlim_cur
}

/// Is an open file on a file system without executions?
pub fn on_noexec(fd: RawFd) -> bool {
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a query into a valid structure of integers.
    let (result, answer) = unsafe { (libc::fstatvfs(fd, answer.as_mut_ptr()), answer.assume_init()) };
    result == 0 && answer.f_flag & libc::ST_NOEXEC != 0
}

/// One byte for each guest page, all 0 at first and costing memory only where written.
pub(super) struct PageBytes {
    start: *const AtomicU8,
    len: usize,
}

// SAFETY: it owns its mapping, and the bytes are only reached as atomics.
unsafe impl Send for PageBytes {}
// SAFETY: as above.
unsafe impl Sync for PageBytes {}

impl PageBytes {
    /// A table of `pages` bytes.
    pub(super) fn new(pages: u64) -> io::Result<PageBytes> {
        let len = (pages as usize).next_multiple_of(PAGE_SIZE as usize);
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new anonymous mapping.
        let start = mapped(unsafe { libc::mmap(std::ptr::null_mut(), len, prot, RESERVE, -1, 0) })?;
        Ok(PageBytes { start: start as *const AtomicU8, len })
    }

    fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: the mapping of `new`: `len` readable and writable bytes, zeroed, alive as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// The byte of the page that `addr` lies in; 0 beyond the table.
    #[inline]
    pub(super) fn get(&self, addr: u64) -> u8 {
        self.bytes().get((addr / PAGE_SIZE) as usize).map_or(0, |b| b.load(Ordering::Acquire))
    }

    /// The bytes of the pages of `range`.
    pub(super) fn slice(&self, range: &Range<u64>) -> &[AtomicU8] {
        let (first, last) = (range.start / PAGE_SIZE, range.end.div_ceil(PAGE_SIZE));
        self.bytes().get(first as usize..last as usize).unwrap_or_default()
    }

    /// Sets the bytes of the pages of `range`.
    pub(super) fn fill(&self, range: &Range<u64>, value: u8) {
        let slice = self.slice(range);
        if value == 0 && slice.len() >= 16 * PAGE_SIZE as usize {
            self.discard(slice);
        } else {
            slice.iter().for_each(|b| b.store(value, Ordering::Release));
        }
    }

    /// Zeroes a large part of the table by giving its memory back.
    fn discard(&self, slice: &[AtomicU8]) {
        let page = PAGE_SIZE as usize;
        let start = slice.as_ptr() as usize;
        let head = (start.next_multiple_of(page) - start).min(slice.len());
        let body = (slice.len() - head) / page * page;
        // SAFETY: the body is whole pages of the table's own private anonymous mapping: they read as zero afterwards.
        unsafe { libc::madvise(slice[head..].as_ptr() as *mut libc::c_void, body, libc::MADV_DONTNEED) };
        let edges = slice[..head].iter().chain(&slice[head + body..]);
        edges.for_each(|b| b.store(0, Ordering::Release));
    }
}

impl Drop for PageBytes {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; no borrow of it outlives `self`.
        unsafe { libc::munmap(self.start as *mut libc::c_void, self.len) };
    }
}
