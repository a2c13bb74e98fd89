//! Guest memory in user mode: the guest's pages are pages of the host.
//!
//! A guest address is a host address minus [`GuestMemory::base`]. What the guest maps is mapped by the host with the
//! same protection, except that the host never gets execute permission: guest code is data here. What the guest has
//! not mapped is reserved without access, so a stray guest address faults and reaches nothing of ours.
//!
//! - [`GuestMemory`]: the address space: [`mmap`](GuestMemory::mmap) and its kin (`map.rs`), access by Rust code that
//!   never crashes on a bad address (this file), the pages that code was translated from (`code.rs`).
//! - [`UserEnv`]: the same as an engine's [`emu_ir::Env`] and a decoder's [`emu_ir::Fetch`].
//! - [`access`]: the host's fault handler, with a hook for generated code.
//!
//! # Faults
//! Everybody who meets a host fault asks [`GuestMemory::resolve_fault`], which waits for changes of the mapping that
//! are under way, and tells a real fault of the guest from one that is only ours (a protected page of code).

pub mod access;
mod code;
mod env;
mod host;
mod limits;
mod map;
mod remap;
mod seal;
mod types;
mod vma;

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of ranges that happen to have one")]
mod tests;

pub use code::{CodeWatch, FaultAction};
pub use env::{TIME_FREQUENCY, UserEnv};
pub use host::on_noexec;
pub use limits::MemoryLimits;
pub use map::{Backing, Fixed, MapRequest};
pub use remap::MremapFlags;
pub use types::{Errno, Prot};
pub use vma::{FileId, Vma};

use access::{HostFault, Window};
use emu_ir::{AccessKind, AtomicOp, Fault, FaultCause};
use host::{PageBytes, Reservation};
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{fmt, io};
use vma::Vmas;

/// Bytes in a page of the guest and of the host.
pub const PAGE_SIZE: u64 = 4096;

/// The bit of a page's byte, beside those of its effective [`Prot`], that says that code was translated from it (and
/// that the host may therefore not write there, whatever the guest may).
const CODE: u8 = 8;

/// Where things go in an address space.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// The first address that is not the guest's.
    task_size: u64,
    /// Mappings without an address go below this.
    mmap_base: u64,
    /// ... and in the last resort above this.
    mmap_low: u64,
}

impl Layout {
    /// The base of mmap is where Linux puts it without randomisation: 128 MiB below the top.
    fn new(task_size: u64) -> Layout {
        let mmap_base = task_size - (128 << 20);
        Layout { task_size, mmap_base, mmap_low: task_size / 3 / PAGE_SIZE * PAGE_SIZE }
    }
}

/// The mappings, under the lock.
struct Space {
    vmas: Vmas,
    layout: Layout,
    brk_start: u64,
    brk: u64,
    limits: MemoryLimits,
    /// Code that has changed, or may have, and that the watch has not been told of to the end.
    stale: Vec<Range<u64>>,
}

/// A guest's address space. All methods may be called by any thread.
pub struct GuestMemory {
    window: Window,
    host: Reservation,
    /// For each page its effective [`Prot`] and [`CODE`]; changed under `space`'s lock, read without.
    pages: PageBytes,
    space: Mutex<Space>,
    watch: OnceLock<Arc<dyn CodeWatch>>,
    code_epoch: AtomicU64,
    address_bits: u32,
    /// Files on file systems without executions may be executed, too.
    ignores_noexec: AtomicBool,
}

impl fmt::Debug for GuestMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestMemory").field("window", &self.window).finish_non_exhaustive()
    }
}

/// How often an access is tried again for a reason that is not the guest's before it counts as the guest's.
const RETRIES: u32 = 10_000;

/// Keeps the mappings as they are; see [`GuestMemory::lock_for_fork`].
pub struct MapLock<'a>(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'a, Space>);

impl GuestMemory {
    /// Reserves an address space of 32 bits, of which a program has 0x9fc0_0000, or of 2^38 bytes.
    ///
    /// # Errors
    /// As [`GuestMemory::with_task_size`].
    pub fn new(address_bits: u32) -> io::Result<GuestMemory> {
        if address_bits == 32 { Self::with_task_size(32, 0x9fc0_0000) } else { Self::with_task_size(64, 1 << 38) }
    }

    /// Reserves an address space of 32 bits (4 GiB), or of 64 bits with `task_size`, the first address that is not the guest's
    /// (TASK_SIZE, a multiple of the page size), and 2^38 bytes at least: what a program's wild pointers can reach of the
    /// host's is the less. Installs the fault handler.
    ///
    /// # Errors
    /// What the host answers to mmap(2) or sigaction(2).
    pub fn with_task_size(address_bits: u32, task_size: u64) -> io::Result<GuestMemory> {
        access::install_fault_handler()?;
        let limit = if address_bits == 32 { 1 << 32 } else { task_size.max(1 << 38) };
        let host = Reservation::new(limit)?;
        let layout = Layout::new(task_size);
        Ok(GuestMemory {
            window: host.window(),
            pages: PageBytes::new(limit / PAGE_SIZE)?,
            host,
            space: Mutex::new(Space {
                vmas: Vmas::default(),
                layout,
                brk_start: 0,
                brk: 0,
                limits: MemoryLimits::NONE,
                stale: Vec::new(),
            }),
            ignores_noexec: AtomicBool::new(false),
            watch: OnceLock::new(),
            code_epoch: AtomicU64::new(0),
            address_bits,
        })
    }

    /// Host address of guest address 0.
    pub fn base(&self) -> *mut u8 {
        self.window.base() as *mut u8
    }

    /// The first address that is not in the reservation (2^32 or 2^38).
    pub fn limit(&self) -> u64 {
        self.window.limit()
    }

    /// The first address that programs cannot map (Linux: TASK_SIZE).
    pub fn task_size(&self) -> u64 {
        self.lock().layout.task_size
    }

    /// 32 or 64.
    pub fn address_bits(&self) -> u32 {
        self.address_bits
    }

    /// The host address of a guest range, to be given to the host's kernel (which answers EFAULT where nothing is
    /// mapped). `None` if it is out of range. Call [`GuestMemory::prepare_write`] first if the kernel will write.
    pub fn host_ptr(&self, addr: u64, len: u64) -> Option<*mut u8> {
        self.window.contains(addr, len).then(|| (self.window.base() + addr) as *mut u8)
    }

    /// The guest address of a host address, if it is one.
    pub fn guest_addr(&self, host: u64) -> Option<u64> {
        host.checked_sub(self.window.base()).filter(|addr| *addr < self.window.limit())
    }

    /// Lets files on file systems without executions be executed from now on.
    pub fn ignore_noexec(&self) {
        self.ignores_noexec.store(true, Ordering::Relaxed);
    }

    /// May an open file be mapped executable, as far as its file system goes?
    pub fn may_execute(&self, fd: RawFd) -> bool {
        self.ignores_noexec.load(Ordering::Relaxed) || !on_noexec(fd)
    }

    /// Holds the lock of the mappings across fork(2), so that the child does not find them half changed. Drop it in
    /// the parent and in the child.
    pub fn lock_for_fork(&self) -> MapLock<'_> {
        MapLock(self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a guarded access of `len` bytes, which has failed once, until it succeeds or fails for a reason that is the
    /// guest's.
    #[cold]
    #[inline(never)]
    fn retry<T>(
        &self,
        (addr, len, access): (u64, u64, AccessKind),
        mut fault: HostFault,
        mut run: impl FnMut() -> Result<T, HostFault>,
    ) -> Result<T, Fault> {
        if !self.window.contains(addr, len) {
            return Err(self.first_fault(addr, len, access));
        }
        for _ in 0..RETRIES {
            self.settle(addr, len, access, fault)?;
            match run() {
                Ok(value) => return Ok(value),
                Err(again) => fault = again,
            }
        }
        Err(Fault { addr, access, cause: FaultCause::Protected })
    }

    /// Reads 1, 2, 4 or 8 bytes, little endian, zero-extended; need not be aligned.
    ///
    /// # Errors
    /// The fault, at the first byte that cannot be read.
    #[inline(always)]
    pub fn load(&self, addr: u64, bytes: u8) -> Result<u64, Fault> {
        match self.window.load(addr, bytes) {
            Ok(value) => Ok(value),
            Err(fault) => self.load_slow(addr, bytes, fault),
        }
    }

    #[cold]
    #[inline(never)]
    fn load_slow(&self, addr: u64, bytes: u8, fault: HostFault) -> Result<u64, Fault> {
        self.retry((addr, u64::from(bytes), AccessKind::Read), fault, || self.window.load(addr, bytes))
    }

    /// Writes the low 1, 2, 4 or 8 bytes of `value`, little endian: all of them, or none if it faults.
    ///
    /// # Errors
    /// The fault, at the first byte that cannot be written.
    #[inline(always)]
    pub fn store(&self, addr: u64, bytes: u8, value: u64) -> Result<(), Fault> {
        match self.window.store(addr, bytes, value) {
            Ok(()) => Ok(()),
            Err(fault) => self.store_slow(addr, bytes, value, fault),
        }
    }

    #[cold]
    #[inline(never)]
    fn store_slow(&self, addr: u64, bytes: u8, value: u64, fault: HostFault) -> Result<(), Fault> {
        self.retry((addr, u64::from(bytes), AccessKind::Write), fault, || self.window.store(addr, bytes, value))
    }

    /// Atomic compare and swap of 1, 2, 4 or 8 bytes, sequentially consistent; returns the old value.
    ///
    /// # Errors
    /// A fault, also if the address is not aligned or the page may be read only.
    pub fn atomic_cas(&self, addr: u64, bytes: u8, expected: u64, new: u64) -> Result<u64, Fault> {
        if !addr.is_multiple_of(u64::from(bytes)) {
            return Err(Fault { addr, access: AccessKind::Write, cause: FaultCause::Misaligned });
        }
        let run = || self.window.cas(addr, bytes, expected, new);
        run().or_else(|fault| self.retry((addr, u64::from(bytes), AccessKind::Write), fault, run))
    }

    /// Atomic read-modify-write of 1, 2, 4 or 8 bytes, sequentially consistent; returns the old value.
    ///
    /// # Errors
    /// As [`GuestMemory::atomic_cas`].
    pub fn atomic_rmw(&self, op: AtomicOp, addr: u64, bytes: u8, value: u64) -> Result<u64, Fault> {
        // A wrong first guess costs one more round; a load would report the fault as one of reading.
        let mut expected = 0;
        loop {
            let old = self.atomic_cas(addr, bytes, expected, combine(op, bytes, expected, value))?;
            if old == expected {
                return Ok(old);
            }
            expected = old;
        }
    }

    /// A sequentially consistent fence.
    pub fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    /// Copies guest memory into `buf`.
    ///
    /// # Errors
    /// The fault, at the first byte that cannot be read; `buf` then holds the bytes before it.
    pub fn read_bytes(&self, addr: u64, buf: &mut [u8]) -> Result<(), Fault> {
        let (len, mut done) = (buf.len(), 0);
        self.transfer(addr, len, AccessKind::Read, || match self.window.read(addr + done as u64, &mut buf[done..]) {
            Ok(()) => Ok(()),
            Err((copied, fault)) => {
                done += copied;
                Err((done, fault))
            }
        })
    }

    /// Copies `buf` into guest memory.
    ///
    /// # Errors
    /// The fault, at the first byte that cannot be written; the bytes before it are written, none if the range leaves
    /// the address space.
    pub fn write_bytes(&self, addr: u64, buf: &[u8]) -> Result<(), Fault> {
        let mut done = 0;
        self.transfer(addr, buf.len(), AccessKind::Write, || {
            match self.window.write(addr + done as u64, &buf[done..]) {
                Ok(()) => Ok(()),
                Err((copied, fault)) => {
                    done += copied;
                    Err((done, fault))
                }
            }
        })
    }

    /// Runs a copy that goes on where it was interrupted, and says with a fault how far it has come.
    fn transfer(
        &self,
        addr: u64,
        len: usize,
        access: AccessKind,
        mut run: impl FnMut() -> Result<(), (usize, HostFault)>,
    ) -> Result<(), Fault> {
        if len == 0 {
            return Ok(());
        }
        if !self.window.contains(addr, len as u64) {
            return Err(self.first_fault(addr, len as u64, access));
        }
        let (mut last, mut tries) = (0, 0);
        loop {
            let Err((done, fault)) = run() else { return Ok(()) };
            tries = if done > last { 0 } else { tries + 1 };
            last = done;
            let at = addr + done as u64;
            self.settle(at, 1, access, fault)?;
            if tries > RETRIES {
                return Err(Fault { addr: at, access, cause: FaultCause::Protected });
            }
        }
    }

    /// The bytes up to the first NUL, without it; `max` bytes if there is none among them.
    ///
    /// # Errors
    /// The fault of reading a byte before the NUL.
    pub fn read_cstr(&self, addr: u64, max: usize) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        let mut at = addr;
        while text.len() < max {
            // Never across the end of a page: what is behind the NUL may not be readable.
            let chunk = (PAGE_SIZE - at % PAGE_SIZE).min((max - text.len()) as u64).min(256) as usize;
            let start = text.len();
            text.resize(start + chunk, 0);
            self.read_bytes(at, &mut text[start..])?;
            if let Some(nul) = text[start..].iter().position(|b| *b == 0) {
                text.truncate(start + nul);
                break;
            }
            at += chunk as u64;
        }
        Ok(text)
    }
}

/// Accessors of one width, little endian.
macro_rules! accessors {
    ($($read:ident, $write:ident: $ty:ty;)*) => { impl GuestMemory { $(
        #[doc = concat!("Reads a `", stringify!($ty), "`, little endian.")]
        ///
        /// # Errors
        /// The fault.
        #[inline]
        pub fn $read(&self, addr: u64) -> Result<$ty, Fault> {
            self.load(addr, size_of::<$ty>() as u8).map(|v| v as $ty)
        }

        #[doc = concat!("Writes a `", stringify!($ty), "`, little endian.")]
        ///
        /// # Errors
        /// The fault.
        #[inline]
        pub fn $write(&self, addr: u64, value: $ty) -> Result<(), Fault> {
            self.store(addr, size_of::<$ty>() as u8, u64::from(value))
        }
    )* } };
}

accessors! {
    read_u8, write_u8: u8;
    read_u16, write_u16: u16;
    read_u32, write_u32: u32;
    read_u64, write_u64: u64;
}

/// What an atomic operation of `bytes` bytes stores.
fn combine(op: AtomicOp, bytes: u8, old: u64, value: u64) -> u64 {
    let unused = 64 - 8 * u32::from(bytes);
    let signed = |v: u64| ((v << unused) as i64) >> unused;
    let value = value << unused >> unused;
    let result = match op {
        AtomicOp::Swap => value,
        AtomicOp::Add => old.wrapping_add(value),
        AtomicOp::And => old & value,
        AtomicOp::Or => old | value,
        AtomicOp::Xor => old ^ value,
        AtomicOp::MinS if signed(old) <= signed(value) => old,
        AtomicOp::MaxS if signed(old) >= signed(value) => old,
        AtomicOp::MinS | AtomicOp::MaxS => value,
        AtomicOp::MinU => old.min(value),
        AtomicOp::MaxU => old.max(value),
    };
    result << unused >> unused
}
