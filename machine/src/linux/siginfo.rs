//! `siginfo_t`: the host's 128 bytes, and the guest's layout of the same members.

use super::data::{Layout, Reader, Writer, get, put};
use super::host::RawInfo;

const HOST: Layout = Layout { long: 8, big: false };
/// Where the union starts in the host's layout.
const UNION: usize = 16;

/// Which members of the union are in use (the kernel's `siginfo_layout`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// pid, uid, value (also covers kill, which leaves the value 0).
    Queued,
    Timer,
    Child,
    /// Address, and a bound or a key after it.
    Fault,
    Poll,
    /// Call address, number, architecture.
    Syscall,
}

fn kind(signal: i32, code: i32) -> Kind {
    match (signal, code) {
        (_, libc::SI_TIMER) => Kind::Timer,
        (_, libc::SI_SIGIO) => Kind::Poll,
        (_, ..=0) => Kind::Queued,
        (libc::SIGCHLD, _) => Kind::Child,
        (libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP, _) => Kind::Fault,
        (libc::SIGIO, _) => Kind::Poll,
        (libc::SIGSYS, _) => Kind::Syscall,
        _ => Kind::Queued,
    }
}

impl RawInfo {
    /// A signal that the guest's processor raised at `addr`.
    pub fn fault(signal: i32, code: i32, addr: u64) -> Self {
        let mut info = RawInfo([0; 128]);
        put(&mut info.0[0..4], signal as u64, false);
        put(&mut info.0[8..12], code as u64, false);
        put(&mut info.0[UNION..UNION + 8], addr, false);
        info
    }

    fn int(&self, at: usize) -> i32 {
        get(&self.0[at..at + 4], false) as i32
    }

    /// `si_signo`.
    pub fn signal(&self) -> i32 {
        self.int(0)
    }

    /// `si_code`.
    pub fn code(&self) -> i32 {
        self.int(8)
    }

    /// `si_pid` of a sent signal.
    pub fn pid(&self) -> i32 {
        self.int(UNION)
    }

    /// The fault's address.
    pub fn addr(&self) -> u64 {
        get(&self.0[UNION..UNION + 8], false)
    }
}

/// The members, as (is it a long or a pointer); the order is the layout's.
fn members(kind: Kind) -> &'static [bool] {
    match kind {
        Kind::Queued | Kind::Timer => &[false, false, true],
        Kind::Child => &[false, false, false, true, true],
        Kind::Fault => &[true, true, true],
        Kind::Poll => &[true, false],
        Kind::Syscall => &[true, false, false],
    }
}

fn transfer(r: &mut Reader<'_>, w: &mut Writer, kind: Kind, to: Layout) {
    w.align(to.long);
    for &long in members(kind) {
        if long {
            w.long(r.slong() as u64);
        } else {
            w.i32(r.i32());
        }
    }
    w.pad_to(128);
}

/// The host's information as the guest's bytes; `signal` is the guest's number.
pub(super) fn to_guest(layout: Layout, info: &RawInfo, signal: i32) -> Vec<u8> {
    let mut w = Writer::new(layout);
    w.i32(signal).i32(info.int(4)).i32(info.code());
    let mut r = Reader::new(HOST, &info.0);
    transfer(r.seek(UNION), &mut w, kind(info.signal(), info.code()), layout);
    w.finish()
}

/// A guest's bytes as the host's information; the signal number stays the guest's.
pub(super) fn from_guest(layout: Layout, bytes: &[u8]) -> RawInfo {
    let mut r = Reader::new(layout, bytes);
    let (signal, errno, code) = (r.i32(), r.i32(), r.i32());
    let mut w = Writer::new(HOST);
    w.i32(signal).i32(errno).i32(code);
    transfer(r.align(layout.long), &mut w, kind(signal, code), HOST);
    let mut info = RawInfo([0; 128]);
    info.0.copy_from_slice(&w.finish()[..128]);
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_64_bit_little_endian_guest_sees_the_hosts_bytes() {
        let mut info = RawInfo::fault(libc::SIGSEGV, 1, 0x1234_5678_9abc);
        let layout = Layout { long: 8, big: false };
        assert_eq!(to_guest(layout, &info, 11), info.0);
        info.0[8..12].copy_from_slice(&(-1i32).to_le_bytes());
        assert_eq!(from_guest(layout, &to_guest(layout, &info, 11)).0, info.0);
    }

    #[test]
    fn a_32_bit_guest_has_the_union_at_12() {
        let info = RawInfo::fault(libc::SIGSEGV, 2, 0x1000);
        let bytes = to_guest(Layout { long: 4, big: false }, &info, 11);
        assert_eq!((bytes.len(), &bytes[12..16]), (128, &[0, 16, 0, 0][..]));
    }
}
