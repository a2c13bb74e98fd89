//! Memory for compiled code: shared memory mapped twice, once writable and once executable, so that no page is ever
//! both. (It is anonymous memory and no memory file, since the host's perf looks into its map of code for anonymous memory
//! only.) Code is only ever added, from the start what runs often, from the end what seldom runs, so that the one lies
//! close together; the whole arena is emptied when it is full or stale.

use crate::JitError;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The two views of the code memory.
#[derive(Debug)]
pub(crate) struct Arena {
    rw: *mut u8,
    rx: *const u8,
    size: usize,
    /// Everything before is in use,
    used: usize,
    /// ... and from here on.
    cold: usize,
    /// Memory from here to there has not been asked for.
    fresh: Range<usize>,
}

/// Alignment of cold code.
const COLD_ALIGN: usize = 8;

/// Size of the host's pages.
const HOST_PAGE: usize = 4096;

/// Bytes after which what has been filled is no longer mapped twice.
const WINDOW: usize = 1 << 18;

/// Bytes that are asked of the host at once, as a fault for each page would take longer.
const STRIDE: usize = 1 << 16;

// SAFETY: the pointers are to mappings that the arena owns for its whole life; writes go through `&mut self`, or
// through atomics (`set_slot`).
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    pub(crate) fn new(size: usize) -> Result<Arena, JitError> {
        let rw = map(size)?;
        let mut arena = Arena { rw, rx: ptr::null(), size, used: 0, cold: size, fresh: 0..size };
        arena.rx = map_again(rw, size)?;
        Ok(arena)
    }

    /// A copy of the code for a child that is about to be forked: the mappings are shared, so without it parent and
    /// child would write into one arena.
    pub(crate) fn copy_for_child(&self) -> Result<Arena, JitError> {
        let copy = Arena::new(self.size)?;
        for part in [0..self.used, self.cold..self.size] {
            // SAFETY: the part lies in the mappings of both, which do not overlap. The pages are brought in at once, as one fault
            // each would take longer than the copy; where the host cannot do that, it goes without.
            unsafe {
                let first = part.start / HOST_PAGE * HOST_PAGE;
                libc::madvise(copy.rw.add(first).cast(), part.end - first, libc::MADV_POPULATE_WRITE);
                ptr::copy_nonoverlapping(self.rx.add(part.start), copy.rw.add(part.start), part.len());
            }
        }
        Ok(copy)
    }

    /// In the child: puts the copy in place of the parent's memory, at the same addresses.
    pub(crate) fn adopt(&mut self, mut copy: Arena) -> Result<(), JitError> {
        self.fresh = self.used..self.cold;
        move_to(std::mem::replace(&mut copy.rw, ptr::null_mut()), self.rw, self.size)?;
        move_to(std::mem::replace(&mut copy.rx, ptr::null()).cast_mut(), self.rx.cast_mut(), self.size)
    }

    /// Host addresses that belong to code.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.rx as u64, self.rx as u64 + self.size as u64)
    }

    /// The distance of an executable address from the start.
    pub(crate) fn offset(&self, addr: u64) -> u32 {
        (addr - self.rx as u64) as u32
    }

    /// The executable address at a distance from the start.
    pub(crate) fn address(&self, offset: u32) -> u64 {
        self.rx as u64 + u64::from(offset)
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used + (self.size - self.cold)
    }

    /// Copies `code` in and returns its executable address, a multiple of `align`, and that of `cold`, which belongs to it; `None` if
    /// they do not fit.
    pub(crate) fn add(&mut self, code: &[u8], align: usize, cold: &[u8]) -> Option<(u64, u64)> {
        let start = self.used.next_multiple_of(align);
        let cold_start = self.cold.checked_sub(cold.len())? / COLD_ALIGN * COLD_ALIGN;
        if start.checked_add(code.len())? > cold_start {
            return None;
        }
        self.bring_in(start + code.len(), cold_start);
        // SAFETY: both are inside the writable mapping (just checked); nothing executes there yet.
        unsafe {
            ptr::copy_nonoverlapping(code.as_ptr(), self.rw.add(start), code.len());
            ptr::copy_nonoverlapping(cold.as_ptr(), self.rw.add(cold_start), cold.len());
        }
        let before = (self.used, self.cold);
        (self.used, self.cold) = (start + code.len(), cold_start);
        self.unmap_written(before.0 / WINDOW..self.used / WINDOW);
        self.unmap_written(self.cold.div_ceil(WINDOW)..before.1.div_ceil(WINDOW));
        Some((self.rx as u64 + start as u64, self.rx as u64 + cold_start as u64))
    }

    /// Brings memory in that is about to be written, up to `used` and from `cold` on.
    fn bring_in(&mut self, used: usize, cold: usize) {
        let start = used.next_multiple_of(STRIDE).clamp(self.fresh.start, self.size);
        let end = (cold / STRIDE * STRIDE).min(self.fresh.end);
        for part in [self.fresh.start..start, end..self.fresh.end] {
            if !part.is_empty() {
                // SAFETY: the part lies in the writable mapping. Where the host cannot do this, each page comes with a fault.
                unsafe { libc::madvise(self.rw.add(part.start).cast(), part.len(), libc::MADV_POPULATE_WRITE) };
            }
        }
        self.fresh = start..end.max(start);
    }

    /// Takes windows that have been filled out of the host's page tables, as far as they are there to be written: the memory is
    /// mapped to be run, and would count twice.
    fn unmap_written(&self, windows: Range<usize>) {
        let (start, end) = (windows.start * WINDOW, (windows.end * WINDOW).min(self.size));
        if start < end {
            // SAFETY: the range is inside the writable mapping, which is shared: its memory keeps what was written. It comes back
            // when it is accessed. A failure does no harm.
            unsafe { libc::madvise(self.rw.add(start).cast(), end - start, libc::MADV_DONTNEED) };
        }
    }

    /// Forgets all code. The caller makes sure that no thread can still run any of it.
    pub(crate) fn clear(&mut self) {
        (self.used, self.cold) = (0, self.size);
    }

    /// Sets the eight bytes at the executable address `addr`, atomically for threads that run there.
    pub(crate) fn set_slot(&self, addr: u64, value: u64) {
        let offset = (addr - self.rx as u64) as usize;
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.size, "slot outside the arena");
        // SAFETY: the offset is inside the mapping and aligned (just checked); all access to slots is atomic.
        let slot = unsafe { AtomicU64::from_ptr(self.rw.add(offset).cast()) };
        slot.store(value, Ordering::Release);
    }

    /// Sets the four bytes at the executable address `addr`, the operand of a jump, atomically for threads that run there.
    ///
    /// They lie in one aligned quadword, which is what AMD and Intel promise to store at once wherever it begins. x86 keeps
    /// instruction fetch coherent with stores: what another processor fetches meanwhile is the old or the new instruction, and
    /// both are right here.
    pub(crate) fn set_distance(&mut self, addr: u64, distance: i32) {
        let offset = (addr - self.rx as u64) as usize;
        let (start, within) = (offset / 8 * 8, offset % 8);
        assert!(within <= 4 && offset + 4 <= self.size, "jump outside the arena");
        // SAFETY: the quadword is inside the mapping and aligned (just checked); threads that run there only fetch it, and
        // `&mut self` keeps other writers away.
        let quad = unsafe { AtomicU64::from_ptr(self.rw.add(start).cast()) };
        let mut bytes = quad.load(Ordering::Relaxed).to_le_bytes();
        bytes[within..within + 4].copy_from_slice(&distance.to_le_bytes());
        quad.store(u64::from_le_bytes(bytes), Ordering::Release);
    }

    /// Sets the four bytes at the executable address `addr`, which nobody runs yet.
    pub(crate) fn write_u32(&mut self, addr: u64, value: u32) {
        let offset = (addr - self.rx as u64) as usize;
        assert!(offset + 4 <= self.size, "outside the arena");
        // SAFETY: the bytes are inside the mapping (just checked).
        unsafe { self.rw.add(offset).cast::<u32>().write_unaligned(value) };
    }

    /// The four bytes at the executable address `addr`, which do not change while the code is there.
    pub(crate) fn read_u32(&self, addr: u64) -> u32 {
        let offset = (addr - self.rx as u64) as usize;
        assert!(offset + 4 <= self.size, "outside the arena");
        // SAFETY: the bytes are inside the mapping (just checked).
        unsafe { self.rw.add(offset).cast::<u32>().read_unaligned() }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for view in [self.rw, self.rx.cast_mut()] {
            if !view.is_null() {
                // SAFETY: the mapping was made by `new` with this size, and has not been moved elsewhere.
                unsafe { libc::munmap(view.cast(), self.size) };
            }
        }
    }
}

/// Maps fresh shared memory, to be written.
fn map(size: usize) -> Result<*mut u8, JitError> {
    let (prot, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    // SAFETY: a fresh mapping chosen by the kernel; the result is checked.
    checked(unsafe { libc::mmap(ptr::null_mut(), size, prot, flags, -1, 0) })
}

/// Maps the same memory once more, to be run.
fn map_again(rw: *mut u8, size: usize) -> Result<*const u8, JitError> {
    // SAFETY: an old size of 0 makes another mapping of shared memory (mremap(2)) and leaves the old one alone.
    let rx = checked(unsafe { libc::mremap(rw.cast(), 0, size, libc::MREMAP_MAYMOVE) })?;
    // SAFETY: the mapping was just made.
    match unsafe { libc::mprotect(rx.cast(), size, libc::PROT_READ | libc::PROT_EXEC) } {
        0 => Ok(rx),
        _ => Err(JitError::Memory(io::Error::last_os_error())),
    }
}

/// Moves a mapping to where another one of the arena's is.
fn move_to(from: *mut u8, to: *mut u8, size: usize) -> Result<(), JitError> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: both are mappings of an arena's own, of this size; the result is checked.
    checked(unsafe { libc::mremap(from.cast(), size, size, flags, to) }).map(drop)
}

fn checked(addr: *mut libc::c_void) -> Result<*mut u8, JitError> {
    if addr == libc::MAP_FAILED { Err(JitError::Memory(io::Error::last_os_error())) } else { Ok(addr.cast()) }
}
