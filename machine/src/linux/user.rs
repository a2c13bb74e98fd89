//! Guest memory as system calls see it: every failure is `EFAULT`.

use super::data::{Layout, Reader, Writer, get, put};
use super::errno::Errno;
use super::host::Arg;
use super::thread::Thread;
use std::ffi::CString;

/// `PATH_MAX`, with the NUL.
const PATH_MAX: usize = 4096;
/// The most bytes that one call transfers (`MAX_RW_COUNT`).
pub(super) const MAX_TRANSFER: u64 = 0x7fff_f000;

impl Thread {
    /// How the guest lays out structures.
    pub(super) fn layout(&self) -> Layout {
        self.process.abi.layout()
    }

    /// Copies from guest memory.
    pub(super) fn read(&self, addr: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; len];
        self.process.mem.read_bytes(addr, &mut bytes).map_err(|_| Errno::EFAULT)?;
        Ok(bytes)
    }

    /// Copies to guest memory.
    pub(super) fn write(&self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.process.mem.write_bytes(addr, bytes).map_err(|_| Errno::EFAULT)
    }

    /// Copies a structure to guest memory, unless the pointer is null.
    pub(super) fn write_opt(&self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        if addr == 0 { Ok(()) } else { self.write(addr, bytes) }
    }

    /// Starts a structure for the guest.
    pub(super) fn writer(&self) -> Writer {
        Writer::new(self.layout())
    }

    /// Reads the members of a guest structure of `len` bytes.
    pub(super) fn with_struct<T>(
        &self,
        addr: u64,
        len: usize,
        read: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> Result<T, Errno> {
        let bytes = self.read(addr, len)?;
        Ok(read(&mut Reader::new(self.layout(), &bytes)))
    }

    /// Reads an `int`.
    pub(super) fn read_u32(&self, addr: u64) -> Result<u32, Errno> {
        Ok(get(&self.read(addr, 4)?, self.layout().big) as u32)
    }

    /// Writes an `int`.
    pub(super) fn write_u32(&self, addr: u64, value: u32) -> Result<(), Errno> {
        let mut bytes = [0; 4];
        put(&mut bytes, value.into(), self.layout().big);
        self.write(addr, &bytes)
    }

    /// Reads 64 bits.
    pub(super) fn read_u64(&self, addr: u64) -> Result<u64, Errno> {
        Ok(get(&self.read(addr, 8)?, self.layout().big))
    }

    /// Writes 64 bits.
    pub(super) fn write_u64(&self, addr: u64, value: u64) -> Result<(), Errno> {
        let mut bytes = [0; 8];
        put(&mut bytes, value, self.layout().big);
        self.write(addr, &bytes)
    }

    /// Reads a `long` or a pointer.
    pub(super) fn read_long(&self, addr: u64) -> Result<u64, Errno> {
        let layout = self.layout();
        Ok(get(&self.read(addr, layout.long)?, layout.big))
    }

    /// Writes a `long` or a pointer.
    pub(super) fn write_long(&self, addr: u64, value: u64) -> Result<(), Errno> {
        let bytes = self.writer().long(value).finish();
        self.write(addr, &bytes)
    }

    /// A string of at most `max` bytes; `ENAMETOOLONG` if there is no NUL among them.
    pub(super) fn read_string(&self, addr: u64, max: usize) -> Result<CString, Errno> {
        let bytes = self.process.mem.read_cstr(addr, max).map_err(|_| Errno::EFAULT)?;
        if bytes.len() >= max {
            return Err(Errno::ENAMETOOLONG);
        }
        CString::new(bytes).map_err(|_| Errno::EINVAL)
    }

    /// A file name.
    pub(super) fn read_path(&self, addr: u64) -> Result<CString, Errno> {
        self.read_string(addr, PATH_MAX)
    }

    /// Guest memory that the host's kernel reads. It finds a bad address itself, in its turn among the other errors.
    pub(super) fn source(&self, addr: u64, len: u64) -> Arg<'static> {
        self.process.mem.host_ptr(addr, len).map_or(Arg::BAD, |at| (at as usize).into())
    }

    /// Guest memory that the host's kernel writes.
    pub(super) fn target(&self, addr: u64, len: u64) -> Arg<'static> {
        self.process.mem.prepare_write(addr, len);
        self.source(addr, len)
    }

    /// Is the range one that a program may name, whether or not something is mapped there (`access_ok`)?
    pub(super) fn check_range(&self, addr: u64, len: u64) -> Result<(), Errno> {
        self.process.mem.host_ptr(addr, len).map(|_| ()).ok_or(Errno::EFAULT)
    }

    /// A string for a call that has checks of its own, among them of its length: cut off where it is too long for any, and
    /// `None` if it cannot be read.
    pub(super) fn read_text(&self, addr: u64) -> Option<CString> {
        let bytes = self.process.mem.read_cstr(addr, PATH_MAX + 1).ok()?;
        CString::new(bytes).ok()
    }

    /// A guest's array of `iovec`, as it is: addresses with lengths, none of them negative.
    pub(super) fn raw_iovec(&self, addr: u64, count: u64) -> Result<Vec<[u64; 2]>, Errno> {
        if count > 1024 {
            return Err(Errno::EINVAL);
        }
        let layout = self.layout();
        let bytes = self.read(addr, count as usize * 2 * layout.long)?;
        let mut r = Reader::new(layout, &bytes);
        let pair = |_| {
            let (base, len) = (r.long(), r.slong());
            Ok([base, u64::try_from(len).map_err(|_| Errno::EINVAL)?])
        };
        (0..count).map(pair).collect()
    }

    /// A guest's array of `iovec` as the host's: checked addresses in pairs with lengths.
    pub(super) fn iovec(&self, addr: u64, count: u64, written_by_host: bool) -> Result<Vec<[u64; 2]>, Errno> {
        let mut list = self.raw_iovec(addr, count)?;
        let mut left = MAX_TRANSFER;
        for [at, len] in &mut list {
            *len = (*len).min(left);
            left -= *len;
            let arg = if written_by_host { self.target(*at, *len) } else { self.source(*at, *len) };
            *at = arg.raw() as u64;
        }
        Ok(list)
    }
}
