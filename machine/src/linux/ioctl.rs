//! ioctl: a table of the requests that are known, with the layout of what they point to.

use super::errno::Errno;
use super::fs::{HOST, transcode};
use super::host::{self, Arg};
use super::table::{Args, SysResult};
use super::termios::Termios;
use super::thread::Thread;

/// What the argument of a request is. The widths are those of the structure's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    /// A number, or nothing.
    Number,
    /// Read by the kernel.
    In(&'static [u8]),
    /// Written by the kernel.
    Out(&'static [u8]),
    /// Both.
    Both(&'static [u8]),
    /// `struct termios`, or with `true` `termios2`, read by the kernel.
    TermIn(bool),
    /// The same, written by the kernel.
    TermOut(bool),
    /// `struct termio`, read by the kernel, and the request with `struct termios` in its place.
    OldTermIn(u32),
    /// The same, written by the kernel.
    OldTermOut(u32),
}

use Data::{Both, In, Number, OldTermIn, OldTermOut, Out, TermIn, TermOut};

const INT: &[u8] = &[4];
const WINSIZE: &[u8] = &[2; 4];
/// Name and 24 bytes of a union, whose members are in network order or small.
const IFREQ: &[u8] = &[1; 40];
const U64: &[u8] = &[8];
const CLONE_RANGE: &[u8] = &[8; 4];
const FSXATTR: &[u8] = &[4, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1, 1];

/// Requests of the host. A file or device with others answers `ENOTTY`.
#[rustfmt::skip]
const REQUESTS: &[(u32, &str, Data)] = &[
    (0x5401, "TCGETS",       TermOut(false)),  (0x5402, "TCSETS",      TermIn(false)),   (0x5403, "TCSETSW",    TermIn(false)),
    (0x5405, "TCGETA",       OldTermOut(TCGETS)), (0x5406, "TCSETA", OldTermIn(0x5402)), (0x5407, "TCSETAW", OldTermIn(0x5403)),
    (0x5408, "TCSETAF",      OldTermIn(0x5404)),
    (0x5404, "TCSETSF",      TermIn(false)),   (0x5409, "TCSBRK",      Number),        (0x540a, "TCXONC",     Number),
    (0x540b, "TCFLSH",       Number),        (0x540c, "TIOCEXCL",    Number),        (0x540d, "TIOCNXCL",   Number),
    (0x540e, "TIOCSCTTY",    Number),        (0x540f, "TIOCGPGRP",   Out(INT)),      (0x5410, "TIOCSPGRP",  In(INT)),
    (0x5411, "TIOCOUTQ",     Out(INT)),      (0x5412, "TIOCSTI",     In(&[1])),      (0x5413, "TIOCGWINSZ", Out(WINSIZE)),
    (0x5414, "TIOCSWINSZ",   In(WINSIZE)),   (0x5415, "TIOCMGET",    Out(INT)),      (0x5416, "TIOCMBIS",   In(INT)),
    (0x5417, "TIOCMBIC",     In(INT)),       (0x5418, "TIOCMSET",    In(INT)),       (0x5419, "TIOCGSOFTCAR", Out(INT)),
    (0x541a, "TIOCSSOFTCAR", In(INT)),       (0x541b, "FIONREAD",    Out(INT)),      (0x5420, "TIOCPKT",    In(INT)),
    (0x5421, "FIONBIO",      In(INT)),       (0x5422, "TIOCNOTTY",   Number),        (0x5423, "TIOCSETD",   In(INT)),
    (0x5424, "TIOCGETD",     Out(INT)),      (0x5425, "TCSBRKP",     Number),        (0x5427, "TIOCSBRK",   Number),
    (0x5428, "TIOCCBRK",     Number),        (0x5429, "TIOCGSID",    Out(INT)),      (0x5450, "FIONCLEX",   Number),
    (0x5451, "FIOCLEX",      Number),        (0x5452, "FIOASYNC",    In(INT)),       (0x5460, "FIOQSIZE",   Out(U64)),
    (0x802c_542a, "TCGETS2", TermOut(true)), (0x402c_542b, "TCSETS2", TermIn(true)), (0x402c_542c, "TCSETSW2", TermIn(true)),
    (0x402c_542d, "TCSETSF2", TermIn(true)), (0x8004_5430, "TIOCGPTN", Out(INT)),    (0x4004_5431, "TIOCSPTLCK", In(INT)),
    (0x8004_5432, "TIOCGDEV", Out(INT)),     (0x8004_5438, "TIOCGPKT", Out(INT)),    (0x8004_5439, "TIOCGPTLCK", Out(INT)),
    (0x5456, "TIOCGLCKTRMIOS", TermOut(false)),(0x5457, "TIOCSLCKTRMIOS", TermIn(false)),
    (0x5441, "TIOCGPTPEER",  Number),        (0x8004_5440, "TIOCGEXCL", Out(INT)),
    (0x8901, "FIOSETOWN",    In(INT)),       (0x8902, "SIOCSPGRP",   In(INT)),       (0x8903, "FIOGETOWN",  Out(INT)),
    (0x8904, "SIOCGPGRP",    Out(INT)),      (0x8905, "SIOCATMARK",  Out(INT)),
    (0x8910, "SIOCGIFNAME",  Both(IFREQ)),   (0x8913, "SIOCGIFFLAGS", Both(IFREQ)),  (0x8915, "SIOCGIFADDR", Both(IFREQ)),
    (0x8917, "SIOCGIFDSTADDR", Both(IFREQ)), (0x8919, "SIOCGIFBRDADDR", Both(IFREQ)),(0x891b, "SIOCGIFNETMASK", Both(IFREQ)),
    (0x891d, "SIOCGIFMETRIC", Both(IFREQ)),  (0x8921, "SIOCGIFMTU",  Both(IFREQ)),   (0x8927, "SIOCGIFHWADDR", Both(IFREQ)),
    (0x8933, "SIOCGIFINDEX", Both(IFREQ)),   (0x8942, "SIOCGIFTXQLEN", Both(IFREQ)),
    (0x0001, "FIBMAP",       Both(INT)),     (0x0002, "FIGETBSZ",    Out(INT)),
    (0x4004_9409, "FICLONE", Number),        (0x4020_940d, "FICLONERANGE", In(CLONE_RANGE)),
    (0xc004_5877, "FIFREEZE", Both(INT)),    (0xc004_5878, "FITHAW", Both(INT)),
    (0x801c_581f, "FS_IOC_FSGETXATTR", Out(FSXATTR)), (0x401c_5820, "FS_IOC_FSSETXATTR", In(FSXATTR)),
    (0x1260, "BLKGETSIZE",   Out(U64)),      (0x125d, "BLKROSET",    In(INT)),       (0x125e, "BLKROGET",   Out(INT)),
    (0x125f, "BLKRRPART",    Number),        (0x1261, "BLKFLSBUF",   Number),        (0x1268, "BLKSSZGET",  Out(INT)),
    (0x127b, "BLKPBSZGET",   Out(INT)),      (0x8008_1272, "BLKGETSIZE64", Out(U64)),
    (0x8004_5200, "RNDGETENTCNT", Out(INT)), (0x4004_5201, "RNDADDTOENTCNT", In(INT)),
    (0x4b33, "KDGKBTYPE",    Out(&[1])),     (0x4b3b, "KDGETMODE",   Out(INT)),      (0x4b44, "KDGKBMODE",  Out(INT)),
];

/// Requests that wait until output has drained, or until somebody may use the terminal.
const WAITING: &[u32] = &[0x5403, 0x5404, 0x5409, 0x540a, 0x5410, 0x5425, 0x402c_542c, 0x402c_542d, 0x5402];

const TCGETS: u32 = 0x5401;
/// `FS_IOC_FIEMAP`: 32 bytes of which the seventh word counts the records of 56 bytes after them.
const FS_IOC_FIEMAP: u32 = 0xc020_660b;
/// `SIOCGIFCONF`: a length and a pointer.
const SIOCGIFCONF: u32 = 0x8912;

/// `FS_IOC_GETFLAGS` and its kin: the size in the request is `long`'s, the data is an `int`.
const FS_IOC_GETVERSION: u32 = 0x8008_7601;
const FS_IOC_SETVERSION: u32 = 0x4008_7602;
const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;

fn size(widths: &[u8]) -> usize {
    let end = widths.iter().fold(0usize, |at, &w| at.next_multiple_of(w.into()) + usize::from(w));
    end.next_multiple_of(widths.iter().copied().max().unwrap_or(1).into())
}

/// A request with the size of a 32-bit `long` as the host has it.
fn as_the_hosts(t: &Thread, request: u32) -> u32 {
    let request = t.process.abi.ioctl_to_host(request);
    match request {
        0x8004_6601 if t.layout().long == 4 => FS_IOC_GETFLAGS,
        0x4004_6602 if t.layout().long == 4 => FS_IOC_SETFLAGS,
        0x8004_7601 if t.layout().long == 4 => FS_IOC_GETVERSION,
        0x4004_7602 if t.layout().long == 4 => FS_IOC_SETVERSION,
        other => other,
    }
}

/// Is a guest's request one that we know?
pub(super) fn is_known(t: &Thread, request: u32) -> bool {
    let request = as_the_hosts(t, request);
    let special = [FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FIEMAP, SIOCGIFCONF];
    special.contains(&request) || REQUESTS.iter().any(|(known, ..)| *known == request)
}

/// The host's call, which may wait or not.
fn pass_on(fd: i32, request: u32, argument: Arg<'_>) -> SysResult {
    let call = if WAITING.contains(&request) { host::blocking } else { host::call };
    call(libc::SYS_ioctl, &[fd.into(), request.into(), argument])
}

/// `ioctl`.
pub(super) fn ioctl(t: &mut Thread, a: &Args) -> SysResult {
    let (fd, request) = (a.int(0), as_the_hosts(t, a.uint(1)));
    t.may_request(request)?;
    let data = match request {
        FS_IOC_GETFLAGS | FS_IOC_GETVERSION => Out(INT),
        FS_IOC_SETFLAGS | FS_IOC_SETVERSION => In(INT),
        FS_IOC_FIEMAP => return extents(t, fd, a.get(2)),
        SIOCGIFCONF => return interfaces(t, fd, a.get(2)),
        _ => match REQUESTS.iter().find(|(r, ..)| *r == request) {
            Some((.., data)) => *data,
            None => {
                // The errors for a bad descriptor come first.
                let flags = host::call(libc::SYS_fcntl, &[fd.into(), libc::F_GETFL.into()])? as i32;
                return Err(if flags & libc::O_PATH != 0 { Errno::EBADF } else { Errno::ENOTTY });
            }
        },
    };
    let (widths, reads, writes) = match data {
        Number => return pass_on(fd, request, a.get(2).into()),
        TermIn(speeds) => return set_terminal(t, fd, request, a.get(2), speeds),
        TermOut(speeds) => return get_terminal(t, fd, request, a.get(2), speeds),
        OldTermIn(request) => return set_old_terminal(t, fd, request, a.get(2)),
        OldTermOut(request) => return get_old_terminal(t, fd, request, a.get(2)),
        In(widths) => (widths, true, false),
        Out(widths) => (widths, false, true),
        Both(widths) => (widths, true, true),
    };
    let mut bytes = vec![0; size(widths).max(64)];
    if reads {
        // The descriptor may be none that takes the request, which comes first.
        let Ok(given) = t.read(a.get(2), size(widths)) else { return pass_on(fd, request, Arg::BAD) };
        let given = transcode(widths, &given, t.layout(), HOST);
        bytes[..given.len()].copy_from_slice(&given);
    }
    let result = pass_on(fd, request, Arg::output(&mut bytes))?;
    if writes {
        let mut answer = transcode(widths, &bytes, HOST, t.layout());
        answer.resize(size(widths), 0);
        t.write(a.get(2), &answer)?;
    }
    Ok(result)
}

fn set_terminal(t: &Thread, fd: i32, request: u32, place: u64, speeds: bool) -> SysResult {
    let shape = t.process.abi.termios();
    let Ok(given) = t.read(place, shape.size(speeds)) else { return pass_on(fd, request, Arg::BAD) };
    let bytes = shape.to_host(t.layout(), &given, speeds);
    pass_on(fd, request, Arg::input(&bytes))
}

fn get_terminal(t: &Thread, fd: i32, request: u32, place: u64, speeds: bool) -> SysResult {
    let mut bytes = vec![0; Termios::host_size(speeds)];
    let result = pass_on(fd, request, Arg::output(&mut bytes))?;
    let bytes = t.process.abi.termios().to_guest(t.layout(), &bytes, speeds);
    t.write(place, &bytes)?;
    Ok(result)
}

/// `TCGETA`: what `struct termio` has of `struct termios`.
fn get_old_terminal(t: &Thread, fd: i32, request: u32, place: u64) -> SysResult {
    let mut bytes = vec![0; Termios::host_size(false)];
    let result = pass_on(fd, request, Arg::output(&mut bytes))?;
    let old = t.process.abi.termios().to_old(t.layout(), &bytes);
    t.write(place, &old)?;
    Ok(result)
}

/// `TCSETA` and its kin: the rest stays as it is.
fn set_old_terminal(t: &Thread, fd: i32, request: u32, place: u64) -> SysResult {
    let old = t.read(place, Termios::OLD_SIZE)?;
    let mut bytes = vec![0; Termios::host_size(false)];
    host::call(libc::SYS_ioctl, &[fd.into(), TCGETS.into(), Arg::output(&mut bytes)])?;
    let bytes = t.process.abi.termios().with_old(t.layout(), &bytes, &old);
    pass_on(fd, request, Arg::input(&bytes))
}

/// `FS_IOC_FIEMAP`.
fn extents(t: &Thread, fd: i32, place: u64) -> SysResult {
    const MOST: usize = 4096;
    let (head, extent): (&[u8], &[u8]) = (&[8, 8, 4, 4, 4, 4], &[8, 8, 8, 8, 8, 4, 4, 4, 4]);
    let Ok(given) = t.read(place, 32) else { return pass_on(fd, FS_IOC_FIEMAP, Arg::BAD) };
    let mut bytes = transcode(head, &given, t.layout(), HOST);
    let room = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]) as usize;
    if room > MOST {
        return Err(Errno::EINVAL);
    }
    bytes.resize(32 + 56 * room, 0);
    let result = pass_on(fd, FS_IOC_FIEMAP, Arg::output(&mut bytes))?;
    let filled = u32::from_le_bytes([bytes[20], bytes[21], bytes[22], bytes[23]]) as usize;
    let mut answer = transcode(head, &bytes[..32], HOST, t.layout());
    answer.extend(bytes[32..].chunks(56).take(filled.min(room)).flat_map(|e| transcode(extent, e, HOST, t.layout())));
    t.write(place, &answer)?;
    Ok(result)
}

/// `SIOCGIFCONF`: a null pointer asks for the length only.
fn interfaces(t: &Thread, fd: i32, place: u64) -> SysResult {
    let Ok((room, list)) = t.with_struct(place, 2 * t.layout().long, |r| (r.u32(), r.long())) else {
        return pass_on(fd, SIOCGIFCONF, Arg::BAD);
    };
    let room = room.min(1 << 16);
    let mut records = vec![0; room as usize];
    let at = if list == 0 { 0 } else { Arg::output(&mut records).raw() as u64 };
    let mut request = [u64::from(room), at];
    let result = pass_on(fd, SIOCGIFCONF, Arg::from_mut(&mut request))?;
    let len = (request[0] as u32).min(room) as usize;
    if list != 0 {
        // Records of 40 bytes on the host, of 32 for a 32-bit guest, whose union is smaller.
        let record = 32 + 2 * (t.layout().long - 4);
        let cut: Vec<u8> = records[..len].chunks(40).flat_map(|r| &r[..record.min(r.len())]).copied().collect();
        t.write(list, &cut)?;
        t.write_u32(place, cut.len() as u32)?;
    } else {
        t.write_u32(place, request[0] as u32)?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_kernels() {
        assert_eq!((size(WINSIZE), size(IFREQ), size(FSXATTR)), (8, 40, 28));
        for (request, name, data) in REQUESTS {
            let (In(widths) | Out(widths) | Both(widths)) = data else { continue };
            let encoded = request >> 16 & 0x3fff;
            assert!(encoded == 0 || encoded as usize == size(widths), "{name}");
        }
    }
}
