//! `siginfo_t`: the host's 128 bytes, and the guest's layout of the same members.

use super::abi::Abi;
use super::data::{Layout, Reader, Writer, get, put};
use super::errno::Errno;
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
        // From SI_KERNEL on codes are the kernel's and ptrace's: who has sent it, and no address.
        (_, ..=0 | 0x80..) => Kind::Queued,
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

    /// `si_uid` of a sent signal.
    pub(super) fn uid(&self) -> u32 {
        self.int(UNION + 4) as u32
    }

    /// `si_status` of SIGCHLD.
    pub(super) fn status(&self) -> i32 {
        self.int(UNION + 8)
    }

    /// Sets `si_status`.
    pub(super) fn set_status(&mut self, status: i32) {
        put(&mut self.0[UNION + 8..UNION + 12], status as u64, false);
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

fn transfer(r: &mut Reader<'_>, w: &mut Writer, kind: Kind, to: Layout, status: impl Fn(i32) -> i32) {
    w.align(to.long);
    for (i, &long) in members(kind).iter().enumerate() {
        match (kind, i) {
            (Kind::Child, 2) => w.i32(status(r.i32())),
            _ if long => w.long(r.slong() as u64),
            _ => w.i32(r.i32()),
        };
    }
    w.pad_to(128);
}

/// Codes that MIPS numbers another way: the host's, and its.
const SWAPPED_CODES: [(i32, i32); 3] = [(libc::SI_TIMER, -3), (libc::SI_MESGQ, -4), (libc::SI_ASYNCIO, -2)];

/// Is `si_status` a signal number rather than an exit status?
fn status_is_signal(code: i32) -> bool {
    code > libc::CLD_EXITED
}

/// The host's information as the guest's bytes.
pub(super) fn to_guest<A: Abi + ?Sized>(abi: &A, info: &RawInfo) -> Vec<u8> {
    let layout = abi.layout();
    let (signal, code) = (abi.signal_to_guest(info.signal()), info.code());
    let errno = match (info.int(4), kind(info.signal(), code)) {
        // What a filter of the guest's says.
        (errno, Kind::Syscall) | (errno @ 0, _) => errno,
        (errno, _) => abi.errno_to_guest(Errno(errno)),
    };
    let mut w = Writer::new(layout);
    w.i32(signal);
    if abi.has_swapped_siginfo() {
        let there = SWAPPED_CODES.iter().find(|(host, _)| *host == code).map_or(code, |(_, guest)| *guest);
        w.i32(there).i32(errno);
    } else {
        w.i32(errno).i32(code);
    }
    let mut r = Reader::new(HOST, &info.0);
    let status = |status| if status_is_signal(code) { abi.signal_to_guest(status) } else { status };
    transfer(r.seek(UNION), &mut w, kind(info.signal(), code), layout, status);
    w.finish()
}

/// A guest's bytes as the host's information.
pub(super) fn from_guest<A: Abi + ?Sized>(abi: &A, bytes: &[u8]) -> RawInfo {
    let layout = abi.layout();
    let mut r = Reader::new(layout, bytes);
    let (signal, second, third) = (abi.signal_to_host(r.i32()), r.i32(), r.i32());
    let (errno, code) = if abi.has_swapped_siginfo() {
        (third, SWAPPED_CODES.iter().find(|(_, guest)| *guest == second).map_or(second, |(host, _)| *host))
    } else {
        (second, third)
    };
    let mut w = Writer::new(HOST);
    w.i32(signal).i32(errno).i32(code);
    let status = |status| if status_is_signal(code) { abi.signal_to_host(status) } else { status };
    transfer(r.align(layout.long), &mut w, kind(signal, code), HOST, status);
    let mut info = RawInfo([0; 128]);
    info.0.copy_from_slice(&w.finish()[..128]);
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::abi::riscv::Riscv;

    #[test]
    fn a_64_bit_little_endian_guest_sees_the_hosts_bytes() {
        let mut info = RawInfo::fault(libc::SIGSEGV, 1, 0x1234_5678_9abc);
        let abi = Riscv { xlen: 64 };
        assert_eq!(to_guest(&abi, &info), info.0);
        info.0[8..12].copy_from_slice(&(-1i32).to_le_bytes());
        assert_eq!(from_guest(&abi, &to_guest(&abi, &info)).0, info.0);
    }

    #[test]
    fn a_32_bit_guest_has_the_union_at_12() {
        let info = RawInfo::fault(libc::SIGSEGV, 2, 0x1000);
        let bytes = to_guest(&Riscv { xlen: 32 }, &info);
        assert_eq!((bytes.len(), &bytes[12..16]), (128, &[0, 16, 0, 0][..]));
    }
}
