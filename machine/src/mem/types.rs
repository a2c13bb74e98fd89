//! Error numbers and protections.
#![forbid(unsafe_code)]

use emu_ir::AccessKind;
use std::{fmt, io};

/// An error number of Linux, as the host has it (the ABI of a guest translates it).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

#[allow(missing_docs)]
impl Errno {
    pub const EPERM: Errno = Errno(libc::EPERM);
    pub const E2BIG: Errno = Errno(libc::E2BIG);
    pub const ENOEXEC: Errno = Errno(libc::ENOEXEC);
    pub const EAGAIN: Errno = Errno(libc::EAGAIN);
    pub const ENOMEM: Errno = Errno(libc::ENOMEM);
    pub const EACCES: Errno = Errno(libc::EACCES);
    pub const EFAULT: Errno = Errno(libc::EFAULT);
    pub const EEXIST: Errno = Errno(libc::EEXIST);
    pub const ENODEV: Errno = Errno(libc::ENODEV);
    pub const EINVAL: Errno = Errno(libc::EINVAL);

    /// What the last system call of this thread answered.
    pub(crate) fn last() -> Errno {
        Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

impl From<&io::Error> for Errno {
    fn from(error: &io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from(*self).fmt(f)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {self})", self.0)
    }
}

impl std::error::Error for Errno {}

/// What a mapping allows; the bits are those of PROT_READ, PROT_WRITE and PROT_EXEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Prot(u8);

impl Prot {
    /// Nothing.
    pub const NONE: Prot = Prot(0);
    /// PROT_READ.
    pub const READ: Prot = Prot(1);
    /// PROT_WRITE.
    pub const WRITE: Prot = Prot(2);
    /// PROT_EXEC.
    pub const EXEC: Prot = Prot(4);
    /// Reading and writing.
    pub const RW: Prot = Prot(3);
    /// Reading and executing.
    pub const RX: Prot = Prot(5);
    /// Everything.
    pub const RWX: Prot = Prot(7);

    /// From the bits of mmap(2); `None` if there are others.
    pub const fn from_bits(bits: u32) -> Option<Prot> {
        if bits < 8 { Some(Prot(bits as u8)) } else { None }
    }

    /// The bits of mmap(2).
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Has it all of `other`?
    pub const fn contains(self, other: Prot) -> bool {
        self.0 & other.0 == other.0
    }

    /// With `other` added.
    pub const fn with(self, other: Prot) -> Prot {
        Prot(self.0 | other.0)
    }

    /// With `other` taken away.
    pub const fn without(self, other: Prot) -> Prot {
        Prot(self.0 & !other.0)
    }

    /// What the guest can really do: whoever may write or execute may read. (RISC-V has no write-only pages and Linux
    /// reads where it may write; that execute-only pages are readable here is ours.)
    pub const fn effective(self) -> Prot {
        if self.0 == 0 { self } else { self.with(Prot::READ) }
    }

    /// As the host gets it: without PROT_EXEC.
    pub(super) const fn host(self) -> libc::c_int {
        self.effective().without(Prot::EXEC).0 as libc::c_int
    }

    /// What an access needs.
    pub(super) const fn needed(access: AccessKind) -> Prot {
        match access {
            AccessKind::Read => Prot::READ,
            AccessKind::Write => Prot::WRITE,
            AccessKind::Execute => Prot::EXEC,
        }
    }
}
