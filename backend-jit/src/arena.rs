//! Memory for compiled code: one memfd mapped twice, once writable and once executable, so that no page is ever
//! both. Code is only ever appended; the whole arena is emptied when it is full or stale.

use crate::JitError;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The two views of the code memory.
#[derive(Debug)]
pub(crate) struct Arena {
    rw: *mut u8,
    rx: *const u8,
    size: usize,
    used: usize,
}

// SAFETY: the pointers are to mappings that the arena owns for its whole life; writes go through `&mut self`, or
// through atomics (`set_slot`).
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    pub(crate) fn new(size: usize) -> Result<Arena, JitError> {
        let file = backing(size)?;
        let rw = map(&file, ptr::null_mut(), size, RW)?;
        let rx = map(&file, ptr::null_mut(), size, RX)?;
        Ok(Arena { rw, rx, size, used: 0 })
    }

    /// A copy of the code for a child that is about to be forked: the mappings are shared, so without it parent and
    /// child would write into one arena.
    pub(crate) fn copy_for_child(&self) -> Result<OwnedFd, JitError> {
        let file = backing(self.size)?;
        let mut done = 0;
        while done < self.used {
            // SAFETY: `done..used` lies in the writable mapping.
            let n = unsafe { libc::pwrite(file.as_raw_fd(), self.rw.add(done).cast(), self.used - done, done as i64) };
            if n <= 0 {
                return Err(JitError::Memory(io::Error::last_os_error()));
            }
            done += n as usize;
        }
        Ok(file)
    }

    /// In the child: puts the copy in place of the parent's memory, at the same addresses.
    pub(crate) fn adopt(&mut self, copy: &OwnedFd) -> Result<(), JitError> {
        map(copy, self.rw, self.size, RW)?;
        map(copy, self.rx.cast_mut(), self.size, RX)?;
        Ok(())
    }

    /// Host addresses that belong to code.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.rx as u64, self.rx as u64 + self.size as u64)
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Copies `code` in and returns its executable address, a multiple of `align`, or `None` if it does not fit.
    pub(crate) fn add(&mut self, code: &[u8], align: usize) -> Option<u64> {
        let start = self.used.next_multiple_of(align);
        if start.checked_add(code.len())? > self.size {
            return None;
        }
        // SAFETY: `start + len` is inside the writable mapping; nothing executes there yet.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), self.rw.add(start), code.len()) };
        self.used = start + code.len();
        Some(self.rx as u64 + start as u64)
    }

    /// Forgets all code. The caller makes sure that no thread can still run any of it.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    /// Sets the eight bytes at the executable address `addr`, atomically for threads that run there.
    pub(crate) fn set_slot(&self, addr: u64, value: u64) {
        let offset = (addr - self.rx as u64) as usize;
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.size, "slot outside the arena");
        // SAFETY: the offset is inside the mapping and aligned (just checked); all access to slots is atomic.
        let slot = unsafe { AtomicU64::from_ptr(self.rw.add(offset).cast()) };
        slot.store(value, Ordering::Release);
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: both mappings were made by `new` with this size.
        unsafe {
            libc::munmap(self.rw.cast(), self.size);
            libc::munmap(self.rx.cast_mut().cast(), self.size);
        }
    }
}

const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
const RX: i32 = libc::PROT_READ | libc::PROT_EXEC;

/// A file of `size` bytes that exists in memory only.
fn backing(size: usize) -> Result<OwnedFd, JitError> {
    // SAFETY: the name is a C string; the result is checked.
    let fd = unsafe { libc::memfd_create(c"emu-code".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(JitError::Memory(io::Error::last_os_error()));
    }
    // SAFETY: `fd` was just made and nobody else owns it.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a plain system call on our own descriptor.
    if unsafe { libc::ftruncate(fd, size as libc::off_t) } != 0 {
        return Err(JitError::Memory(io::Error::last_os_error()));
    }
    Ok(file)
}

/// Maps the file shared: anywhere if `at` is null, else over the mapping of an arena that begins there.
fn map(file: &OwnedFd, at: *mut u8, size: usize, prot: i32) -> Result<*mut u8, JitError> {
    let flags = libc::MAP_SHARED | if at.is_null() { 0 } else { libc::MAP_FIXED };
    // SAFETY: a fresh mapping chosen by the kernel, or one that replaces a mapping of the arena's own; the result is
    // checked.
    let addr = unsafe { libc::mmap(at.cast(), size, prot, flags, file.as_raw_fd(), 0) };
    if addr == libc::MAP_FAILED { Err(JitError::Memory(io::Error::last_os_error())) } else { Ok(addr.cast()) }
}
