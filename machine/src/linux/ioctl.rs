//! ioctl: a table of the requests that are known, with the layout of what they point to.

use super::data::{Layout, Reader};
use super::errno::Errno;
use super::fs::{HOST, transcode};
use super::host::{self, Arg};
use super::table::{Args, SysResult};
use super::termios::Termios;
use super::thread::Thread;

/// What the argument of a request is. The widths are those of the structure's members, 0 a `long`'s.
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
const LONG: &[u8] = &[0];
const U64: &[u8] = &[8];
/// `struct ifreq`, the name of a network interface and a union: of bytes, one number of 32 or 16 bits (or an address, which begins with
/// its family), four of 16, or where the interface is mapped. Only then more of it than 32 bytes are used.
const IF_BYTES: &[u8] = &[1; 32];
const IF_INT: &[u8] = &ifreq::<29>(&[4]);
const IF_SHORT: &[u8] = &ifreq::<31>(&[2]);
const IF_MII: &[u8] = &ifreq::<28>(&[2; 4]);
const IF_MAP: &[u8] = &ifreq::<22>(&[0, 0, 2, 1, 1, 1]);
/// `struct arpreq`: two addresses, flags, a mask, the interface's name.
const ARPREQ: &[u8] = &[
    2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 2, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
];
/// `struct loop_info64`: five long numbers, four of 32 bits, names and key, two more.
const LOOP_INFO: &[u8] = &loop_info();
const TRIM: &[u8] = &[8; 3];
const SPAN: &[u8] = &[8; 2];
const RTC: &[u8] = &[4; 9];
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
    (0x8906, "SIOCGSTAMP",   Out(&[0; 2])),  (0x8907, "SIOCGSTAMPNS", Out(&[0; 2])), (0x8010_8906, "SIOCGSTAMP", Out(SPAN)),
    (0x8010_8907, "SIOCGSTAMPNS", Out(SPAN)),
    (0x8910, "SIOCGIFNAME",  Both(IF_INT)),  (0x8913, "SIOCGIFFLAGS", Both(IF_SHORT)), (0x8914, "SIOCSIFFLAGS", In(IF_SHORT)),
    (0x8915, "SIOCGIFADDR",  Both(IF_SHORT)), (0x8916, "SIOCSIFADDR", In(IF_SHORT)), (0x8917, "SIOCGIFDSTADDR", Both(IF_SHORT)),
    (0x8918, "SIOCSIFDSTADDR", In(IF_SHORT)), (0x8919, "SIOCGIFBRDADDR", Both(IF_SHORT)), (0x891a, "SIOCSIFBRDADDR", In(IF_SHORT)),
    (0x891b, "SIOCGIFNETMASK", Both(IF_SHORT)), (0x891c, "SIOCSIFNETMASK", In(IF_SHORT)), (0x891d, "SIOCGIFMETRIC", Both(IF_INT)),
    (0x891e, "SIOCSIFMETRIC", In(IF_INT)),   (0x8921, "SIOCGIFMTU",  Both(IF_INT)),  (0x8922, "SIOCSIFMTU", In(IF_INT)),
    (0x8923, "SIOCSIFNAME",  In(IF_BYTES)),  (0x8924, "SIOCSIFHWADDR", In(IF_SHORT)), (0x8927, "SIOCGIFHWADDR", Both(IF_SHORT)),
    (0x8929, "SIOCGIFSLAVE", Both(IF_BYTES)), (0x8931, "SIOCADDMULTI", In(IF_SHORT)), (0x8932, "SIOCDELMULTI", In(IF_SHORT)),
    (0x8933, "SIOCGIFINDEX", Both(IF_INT)),  (0x8937, "SIOCSIFHWBROADCAST", In(IF_SHORT)), (0x8942, "SIOCGIFTXQLEN", Both(IF_INT)),
    (0x8943, "SIOCSIFTXQLEN", In(IF_INT)),   (0x8947, "SIOCGMIIPHY", Both(IF_MII)),  (0x8948, "SIOCGMIIREG", Both(IF_MII)),
    (0x8949, "SIOCSMIIREG",  In(IF_MII)),    (0x8970, "SIOCGIFMAP",  Both(IF_MAP)),  (0x8971, "SIOCSIFMAP", In(IF_MAP)),
    (0x8953, "SIOCDARP",     In(ARPREQ)),    (0x8954, "SIOCGARP",    Both(ARPREQ)),  (0x8955, "SIOCSARP",   In(ARPREQ)),
    (0x89a0, "SIOCBRADDBR",  In(&[1; 16])),  (0x89a1, "SIOCBRDELBR", In(&[1; 16])),  (0x89a2, "SIOCBRADDIF", In(IF_INT)),
    (0x89a3, "SIOCBRDELIF",  In(IF_INT)),
    (0x4004_54ca, "TUNSETIFF", Both(IF_SHORT)), (0x4004_54cb, "TUNSETPERSIST", Number), (0x4004_54cc, "TUNSETOWNER", Number),
    (0x4004_54ce, "TUNSETGROUP", Number),    (0x8004_54cf, "TUNGETFEATURES", Out(INT)), (0x4004_54d0, "TUNSETOFFLOAD", Number),
    (0x8004_54d2, "TUNGETIFF", Both(IF_SHORT)),
    (0x0001, "FIBMAP",       Both(INT)),     (0x0002, "FIGETBSZ",    Out(INT)),
    (0x4004_9409, "FICLONE", Number),        (0x4020_940d, "FICLONERANGE", In(CLONE_RANGE)),
    (0xc004_5877, "FIFREEZE", Both(INT)),    (0xc004_5878, "FITHAW", Both(INT)),     (0xc018_5879, "FITRIM", Both(TRIM)),
    (0x801c_581f, "FS_IOC_FSGETXATTR", Out(FSXATTR)), (0x401c_5820, "FS_IOC_FSSETXATTR", In(FSXATTR)),
    (0x1260, "BLKGETSIZE",   Out(LONG)),     (0x125d, "BLKROSET",    In(INT)),       (0x125e, "BLKROGET",   Out(INT)),
    (0x125f, "BLKRRPART",    Number),        (0x1261, "BLKFLSBUF",   Number),        (0x1268, "BLKSSZGET",  Out(INT)),
    (0x127b, "BLKPBSZGET",   Out(INT)),      (0x8008_1272, "BLKGETSIZE64", Out(U64)), (0x1263, "BLKRAGET",  Out(LONG)),
    (0x1265, "BLKFRAGET",    Out(LONG)),     (0x1267, "BLKSECTGET",  Out(&[2])),     (0x1277, "BLKDISCARD", In(SPAN)),
    (0x1278, "BLKIOMIN",     Out(INT)),      (0x1279, "BLKIOOPT",    Out(INT)),      (0x127a, "BLKALIGNOFF", Out(INT)),
    (0x127c, "BLKDISCARDZEROES", Out(INT)),  (0x127d, "BLKSECDISCARD", In(SPAN)),    (0x127e, "BLKROTATIONAL", Out(&[2])),
    (0x127f, "BLKZEROOUT",   In(SPAN)),      (0x0301, "HDIO_GETGEO", Out(&[1, 1, 2, 0])),
    (0x4c00, "LOOP_SET_FD",  Number),        (0x4c01, "LOOP_CLR_FD", Number),        (0x4c04, "LOOP_SET_STATUS64", In(LOOP_INFO)),
    (0x4c05, "LOOP_GET_STATUS64", Out(LOOP_INFO)), (0x4c06, "LOOP_CHANGE_FD", Number), (0x4c07, "LOOP_SET_CAPACITY", Number),
    (0x4c08, "LOOP_SET_DIRECT_IO", Number),  (0x4c09, "LOOP_SET_BLOCK_SIZE", Number), (0x4c80, "LOOP_CTL_ADD", Number),
    (0x4c81, "LOOP_CTL_REMOVE", Number),     (0x4c82, "LOOP_CTL_GET_FREE", Number),
    (0x5309, "CDROMEJECT",   Number),        (0x5319, "CDROMCLOSETRAY", Number),     (0x5325, "CDROM_MEDIA_CHANGED", Number),
    (0x5326, "CDROM_DRIVE_STATUS", Number),
    (0x8024_7009, "RTC_RD_TIME", Out(RTC)),  (0x4024_700a, "RTC_SET_TIME", In(RTC)),
    (0xb701, "NS_GET_USERNS", Number),       (0xb702, "NS_GET_PARENT", Number),      (0xb703, "NS_GET_NSTYPE", Number),
    (0xb704, "NS_GET_OWNER_UID", Out(INT)),
    (0x8004_5200, "RNDGETENTCNT", Out(INT)), (0x4004_5201, "RNDADDTOENTCNT", In(INT)),
    (0x4b33, "KDGKBTYPE",    Out(&[1])),     (0x4b3b, "KDGETMODE",   Out(INT)),      (0x4b44, "KDGKBMODE",  Out(INT)),
    (0x4b3a, "KDSETMODE",    Number),        (0x4b45, "KDSKBMODE",   Number),        (0x4b31, "KDGETLED",   Out(&[1])),
    (0x4b32, "KDSETLED",     Number),        (0x4b64, "KDGKBLED",    Out(&[1])),     (0x4b2f, "KIOCSOUND",  Number),
    (0x4b30, "KDMKTONE",     Number),        (0x5600, "VT_OPENQRY",  Out(INT)),      (0x5603, "VT_GETSTATE", Out(&[2; 3])),
    (0x5606, "VT_ACTIVATE",  Number),        (0x5607, "VT_WAITACTIVE", Number),
];

/// Requests that wait until output has drained, or until somebody may use the terminal.
const WAITING: &[u32] = &[0x5403, 0x5404, 0x5409, 0x540a, 0x5410, 0x5425, 0x402c_542c, 0x402c_542d, 0x5402];

const TCGETS: u32 = 0x5401;
/// `FS_IOC_FIEMAP`: 32 bytes of which the seventh word counts the records of 56 bytes after them.
const FS_IOC_FIEMAP: u32 = 0xc020_660b;
/// `SIOCGIFCONF`: a length and a pointer.
const SIOCGIFCONF: u32 = 0x8912;
const SIOCADDRT: u32 = 0x890b;
const SIOCDELRT: u32 = 0x890c;
const SIOCETHTOOL: u32 = 0x8946;

/// `FS_IOC_GETFLAGS` and its kin: the size in the request is `long`'s, the data is an `int`.
const FS_IOC_GETVERSION: u32 = 0x8008_7601;
const FS_IOC_SETVERSION: u32 = 0x4008_7602;
const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
/// As these.
const BLKBSZGET: u32 = 0x8008_1270;
const BLKBSZSET: u32 = 0x4008_1271;

/// A structure of `N` members: the name of an interface, those of a member of the union, bytes up to 32.
const fn ifreq<const N: usize>(members: &[u8]) -> [u8; N] {
    const NAME: usize = 16;
    let mut widths = [1; N];
    let mut i = 0;
    while i < members.len() {
        widths[NAME + i] = members[i];
        i += 1;
    }
    widths
}

const fn loop_info() -> [u8; 171] {
    let mut widths = [1; 171];
    let mut i = 0;
    while i < 9 {
        widths[i] = if i < 5 { 8 } else { 4 };
        i += 1;
    }
    (widths[169], widths[170]) = (8, 8);
    widths
}

/// Where members end, but for what pads the last one.
fn end(widths: &[u8], layout: Layout) -> usize {
    widths.iter().map(|&w| bytes_of(w, layout)).fold(0, |at, w| at.next_multiple_of(w) + w)
}

fn bytes_of(width: u8, layout: Layout) -> usize {
    if width == 0 { layout.long } else { width.into() }
}

fn size(widths: &[u8], layout: Layout) -> usize {
    let alignment = widths.iter().map(|&w| bytes_of(w, layout)).max().unwrap_or(1);
    end(widths, layout).next_multiple_of(alignment)
}

/// A request with the size of a 32-bit `long` as the host has it.
fn as_the_hosts(t: &Thread, request: u32) -> u32 {
    let request = t.process.abi.ioctl_to_host(request);
    match request {
        0x8004_6601 if t.layout().long == 4 => FS_IOC_GETFLAGS,
        0x4004_6602 if t.layout().long == 4 => FS_IOC_SETFLAGS,
        0x8004_7601 if t.layout().long == 4 => FS_IOC_GETVERSION,
        0x4004_7602 if t.layout().long == 4 => FS_IOC_SETVERSION,
        0x8004_1270 if t.layout().long == 4 => BLKBSZGET,
        0x4004_1271 if t.layout().long == 4 => BLKBSZSET,
        0x8004_1272 if t.layout().long == 4 => 0x8008_1272,
        other => other,
    }
}

/// Is a guest's request one that we know?
pub(super) fn is_known(t: &Thread, request: u32) -> bool {
    let request = as_the_hosts(t, request);
    let special = [
        FS_IOC_GETFLAGS,
        FS_IOC_SETFLAGS,
        FS_IOC_FIEMAP,
        BLKBSZGET,
        BLKBSZSET,
        SIOCGIFCONF,
        SIOCETHTOOL,
        SIOCADDRT,
        SIOCDELRT,
    ];
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
        FS_IOC_GETFLAGS | FS_IOC_GETVERSION | BLKBSZGET => Out(INT),
        FS_IOC_SETFLAGS | FS_IOC_SETVERSION | BLKBSZSET => In(INT),
        SIOCETHTOOL => return ethtool(t, fd, a.get(2)),
        SIOCADDRT | SIOCDELRT => return change_route(t, fd, request, a.get(2)),
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
    let mut bytes = vec![0; size(widths, HOST).max(64)];
    let guest_size = size(widths, t.layout());
    if reads {
        // The descriptor may be none that takes the request, which comes first.
        let Ok(given) = t.read(a.get(2), guest_size) else { return pass_on(fd, request, Arg::BAD) };
        let given = transcode(widths, &given, t.layout(), HOST);
        bytes[..given.len()].copy_from_slice(&given);
    }
    let result = pass_on(fd, request, Arg::output(&mut bytes))?;
    if writes {
        let mut answer = transcode(widths, &bytes, HOST, t.layout());
        answer.resize(guest_size, 0);
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

/// Bytes of `struct ifreq` on the host; a 32-bit guest's union is smaller.
const HOST_RECORD: usize = 40;

/// `SIOCGIFCONF`: a null pointer asks for the length only.
fn interfaces(t: &Thread, fd: i32, place: u64) -> SysResult {
    let Ok((room, list)) = t.with_struct(place, 2 * t.layout().long, |r| (r.u32(), r.long())) else {
        return pass_on(fd, SIOCGIFCONF, Arg::BAD);
    };
    let record = 32 + 2 * (t.layout().long - 4);
    let room = room.min(1 << 16) as usize / record * HOST_RECORD;
    let mut records = vec![0; room];
    let at = if list == 0 { 0 } else { Arg::output(&mut records).raw() as u64 };
    let mut request = [room as u64, at];
    let result = pass_on(fd, SIOCGIFCONF, Arg::from_mut(&mut request))?;
    let count = request[0] as u32 as usize / HOST_RECORD;
    if list != 0 {
        let records = records.chunks_exact(HOST_RECORD).take(count);
        let answer: Vec<u8> = records
            .flat_map(|host| {
                let mut bytes = transcode(IF_SHORT, host, HOST, t.layout());
                bytes.resize(record, 0);
                bytes
            })
            .collect();
        t.write(list, &answer)?;
    }
    t.write_u32(place, (count * record) as u32)?;
    Ok(result)
}

/// `SIOCETHTOOL`: the name of an interface and a pointer to a structure without pointers or `long`s, which the kernel reads and
/// writes in place. For big-endian guests nobody turns their numbers round: an interface may have no answers.
fn ethtool(t: &Thread, fd: i32, place: u64) -> SysResult {
    const NAME: usize = 16;
    /// What the kernel writes, more or less: pages of code have to be writable for it.
    const ANSWER: u64 = 4096;
    let Ok(given) = t.read(place, NAME + t.layout().long) else { return pass_on(fd, SIOCETHTOOL, Arg::BAD) };
    if t.layout().big {
        return Err(Errno::EOPNOTSUPP);
    }
    let data = Reader::new(t.layout(), &given[NAME..]).long();
    t.process.mem.prepare_write(data, ANSWER);
    let mut request = [0; HOST_RECORD];
    request[..NAME].copy_from_slice(&given[..NAME]);
    request[NAME..NAME + 8].copy_from_slice(&(t.source(data, 1).raw() as u64).to_le_bytes());
    pass_on(fd, SIOCETHTOOL, Arg::output(&mut request))
}

/// `SIOCADDRT` and `SIOCDELRT`, of version 4 of the protocol: `struct rtentry`, which names its interface by a pointer.
fn change_route(t: &Thread, fd: i32, request: u32, place: u64) -> SysResult {
    const ADDRESS: [u8; 15] = [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    /// `IFNAMSIZ`.
    const NAME: usize = 16;
    let mut widths = vec![0];
    widths.extend([ADDRESS; 3].as_flattened());
    // Flags and padding, two longs, the metric; after the name's address MTU, window and time.
    widths.extend([2, 2, 0, 0, 2]);
    let name_at = |layout: Layout, before: &[u8]| end(before, layout).next_multiple_of(layout.long);
    let (here, there) = (name_at(t.layout(), &widths), name_at(HOST, &widths));
    widths.extend([0, 0, 0, 2]);
    let Ok(given) = t.read(place, size(&widths, t.layout())) else { return pass_on(fd, request, Arg::BAD) };
    let name = match Reader::new(t.layout(), &given[here..]).long() {
        0 => None,
        name => Some(t.read_string(name, NAME)?),
    };
    let mut bytes = transcode(&widths, &given, t.layout(), HOST);
    let pointer = name.as_ref().map_or(0, |name| Arg::path(name).raw() as u64);
    bytes[there..there + 8].copy_from_slice(&pointer.to_le_bytes());
    bytes.resize(size(&widths, HOST), 0);
    pass_on(fd, request, Arg::output(&mut bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_kernels() {
        let sizes = |layout| {
            [WINSIZE, FSXATTR, IF_BYTES, IF_INT, IF_SHORT, IF_MII, IF_MAP, ARPREQ, LOOP_INFO].map(|w| size(w, layout))
        };
        assert_eq!(sizes(HOST), [8, 28, 32, 32, 32, 32, 40, 68, 232]);
        assert_eq!(sizes(Layout { long: 4, big: true }), [8, 28, 32, 32, 32, 32, 32, 68, 232]);
        for (request, name, data) in REQUESTS {
            let (In(widths) | Out(widths) | Both(widths)) = data else { continue };
            let encoded = request >> 16 & 0x3fff;
            // Those of a tunnel say the size of an int.
            assert!(encoded == 0 || name.starts_with("TUN") || encoded as usize == size(widths, HOST), "{name}");
        }
    }
}
