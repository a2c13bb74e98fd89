//! Numbers that MIPS Linux has another way (`arch/mips/include/uapi/asm`). In all tables the host's comes first.

/// Pairs of the host's number and the guest's.
pub(super) type Table = &'static [(i32, i32)];

/// The guest's number; the same if the table has none.
pub(super) fn to_guest(table: Table, host: i32) -> i32 {
    table.iter().find(|(h, _)| *h == host).map_or(host, |(_, g)| *g)
}

/// The host's number. One of the host's that the guest has elsewhere is none of the guest's.
pub(super) fn to_host(table: Table, guest: i32) -> i32 {
    match table.iter().find(|(_, g)| *g == guest) {
        Some((host, _)) => *host,
        None if table.iter().any(|(h, _)| *h == guest) => -1,
        None => guest,
    }
}

/// Renumbers the flags of a word. Those that are not in the table stay, unless they would become others.
pub(super) fn flags(table: Table, word: i32, to_guest: bool) -> i32 {
    let pair = |&(host, guest): &(i32, i32)| if to_guest { (host, guest) } else { (guest, host) };
    let known = table.iter().map(pair).fold(0, |all, (from, to)| all | from | to);
    table.iter().map(pair).filter(|(from, _)| word & from == *from).fold(word & !known, |all, (_, to)| all | to)
}

/// `asm/errno.h`.
#[rustfmt::skip]
pub(super) const ERRORS: Table = &[
    (libc::EDEADLK, 45), (libc::ENAMETOOLONG, 78), (libc::ENOLCK, 46), (libc::ENOSYS, 89), (libc::ENOTEMPTY, 93),
    (libc::ELOOP, 90), (libc::ENOMSG, 35), (libc::EIDRM, 36), (libc::ECHRNG, 37), (libc::EL2NSYNC, 38),
    (libc::EL3HLT, 39), (libc::EL3RST, 40), (libc::ELNRNG, 41), (libc::EUNATCH, 42), (libc::ENOCSI, 43),
    (libc::EL2HLT, 44), (libc::EBADE, 50), (libc::EBADR, 51), (libc::EXFULL, 52), (libc::ENOANO, 53),
    (libc::EBADRQC, 54), (libc::EBADSLT, 55), (libc::EMULTIHOP, 74), (libc::EBADMSG, 77), (libc::EOVERFLOW, 79),
    (libc::ENOTUNIQ, 80), (libc::EBADFD, 81), (libc::EREMCHG, 82), (libc::ELIBACC, 83), (libc::ELIBBAD, 84),
    (libc::ELIBSCN, 85), (libc::ELIBMAX, 86), (libc::ELIBEXEC, 87), (libc::EILSEQ, 88), (libc::ERESTART, 91),
    (libc::ESTRPIPE, 92), (libc::EUSERS, 94), (libc::ENOTSOCK, 95), (libc::EDESTADDRREQ, 96), (libc::EMSGSIZE, 97),
    (libc::EPROTOTYPE, 98), (libc::ENOPROTOOPT, 99), (libc::EPROTONOSUPPORT, 120), (libc::ESOCKTNOSUPPORT, 121),
    (libc::EOPNOTSUPP, 122), (libc::EPFNOSUPPORT, 123), (libc::EAFNOSUPPORT, 124), (libc::EADDRINUSE, 125),
    (libc::EADDRNOTAVAIL, 126), (libc::ENETDOWN, 127), (libc::ENETUNREACH, 128), (libc::ENETRESET, 129),
    (libc::ECONNABORTED, 130), (libc::ECONNRESET, 131), (libc::ENOBUFS, 132), (libc::EISCONN, 133),
    (libc::ENOTCONN, 134), (libc::ESHUTDOWN, 143), (libc::ETOOMANYREFS, 144), (libc::ETIMEDOUT, 145),
    (libc::ECONNREFUSED, 146), (libc::EHOSTDOWN, 147), (libc::EHOSTUNREACH, 148), (libc::EALREADY, 149),
    (libc::EINPROGRESS, 150), (libc::ESTALE, 151), (libc::EUCLEAN, 135), (libc::ENOTNAM, 137), (libc::ENAVAIL, 138),
    (libc::EISNAM, 139), (libc::EREMOTEIO, 140), (libc::EDQUOT, 1133), (libc::ENOMEDIUM, 159),
    (libc::EMEDIUMTYPE, 160), (libc::ECANCELED, 158), (libc::ENOKEY, 161), (libc::EKEYEXPIRED, 162),
    (libc::EKEYREVOKED, 163), (libc::EKEYREJECTED, 164), (libc::EOWNERDEAD, 165), (libc::ENOTRECOVERABLE, 166),
    (libc::ERFKILL, 167), (libc::EHWPOISON, 168),
];

/// `asm/signal.h`: those below 32. SIGEMT takes SIGSTKFLT's place, which no kernel sends.
#[rustfmt::skip]
const SIGNALS: Table = &[
    (libc::SIGBUS, 10), (libc::SIGUSR1, 16), (libc::SIGUSR2, 17), (libc::SIGSTKFLT, 7), (libc::SIGCHLD, 18),
    (libc::SIGCONT, 25), (libc::SIGSTOP, 23), (libc::SIGTSTP, 24), (libc::SIGTTIN, 26), (libc::SIGTTOU, 27),
    (libc::SIGURG, 21), (libc::SIGXCPU, 30), (libc::SIGXFSZ, 31), (libc::SIGVTALRM, 28), (libc::SIGPROF, 29),
    (libc::SIGWINCH, 20), (libc::SIGIO, 22), (libc::SIGPWR, 19), (libc::SIGSYS, 12),
];

/// `_NSIG`, which the kernel takes for a signal, too.
pub(super) const LAST_SIGNAL: i32 = 128;

/// The guest's number of a signal.
pub(super) fn signal_to_guest(signal: i32) -> i32 {
    to_guest(SIGNALS, signal)
}

/// The host's number of a signal. The guest has numbers up to 127, of which the host has no counterpart of those above
/// 64: for it they are none.
pub(super) fn signal_to_host(signal: i32) -> i32 {
    to_host(SIGNALS, signal)
}

/// `O_*`, and what is defined by them (`SOCK_NONBLOCK`, `EFD_CLOEXEC`, ...). Flags of several bits come first.
pub(super) const OPEN: Table = &[
    (0o100, 0x100),        // O_CREAT
    (0o200, 0x400),        // O_EXCL
    (0o400, 0x800),        // O_NOCTTY
    (0o1000, 0x200),       // O_TRUNC
    (0o2000, 0x8),         // O_APPEND
    (0o4000, 0x80),        // O_NONBLOCK
    (0o10000, 0x10),       // O_DSYNC
    (0o20000, 0x1000),     // FASYNC
    (0o40000, 0x8000),     // O_DIRECT
    (0o100_000, 0x2000),   // O_LARGEFILE
    (0o4_000_000, 0x4000), // the other bit of O_SYNC
];

/// `MAP_*`.
pub(super) const MMAP: Table = &[
    (libc::MAP_ANONYMOUS, 0x800),
    (libc::MAP_GROWSDOWN, 0x1000),
    (libc::MAP_DENYWRITE, 0x2000),
    (libc::MAP_EXECUTABLE, 0x4000),
    (libc::MAP_LOCKED, 0x8000),
    (libc::MAP_NORESERVE, 0x400),
    (libc::MAP_POPULATE, 0x1_0000),
    (libc::MAP_NONBLOCK, 0x2_0000),
    (libc::MAP_STACK, 0x4_0000),
    (libc::MAP_HUGETLB, 0x8_0000),
];

/// `SA_*`.
pub(super) const SIGACTION: Table = &[(libc::SA_NOCLDWAIT, 0x1_0000), (libc::SA_SIGINFO, 8)];

/// Commands of `fcntl`; `F_GETLK64` and the two after it are 12 to 14 elsewhere.
pub(super) const FCNTL: Table = &[
    (libc::F_GETLK, 14),
    (libc::F_SETLK, 6),
    (libc::F_SETLKW, 7),
    (libc::F_SETOWN, 24),
    (libc::F_GETOWN, 23),
    (12, 33),
    (13, 34),
    (14, 35),
];

/// `RLIMIT_*`.
pub(super) const RESOURCES: Table = &[(5, 7), (6, 8), (7, 5), (8, 9), (9, 6)];

/// `SOL_SOCKET`.
pub(super) const SOL_SOCKET: i32 = 0xffff;

/// `SO_*`.
#[rustfmt::skip]
pub(super) const SOCKET_OPTIONS: Table = &[
    (libc::SO_REUSEADDR, 4), (libc::SO_TYPE, 0x1008), (libc::SO_ERROR, 0x1007), (libc::SO_DONTROUTE, 0x10),
    (libc::SO_BROADCAST, 0x20), (libc::SO_SNDBUF, 0x1001), (libc::SO_RCVBUF, 0x1002), (libc::SO_KEEPALIVE, 8),
    (libc::SO_OOBINLINE, 0x100), (libc::SO_LINGER, 0x80), (libc::SO_REUSEPORT, 0x200), (libc::SO_PASSCRED, 17),
    (libc::SO_PEERCRED, 18), (libc::SO_RCVLOWAT, 0x1004), (libc::SO_SNDLOWAT, 0x1003), (libc::SO_RCVTIMEO, 0x1006),
    (libc::SO_SNDTIMEO, 0x1005), (libc::SO_ACCEPTCONN, 0x1009), (libc::SO_PEERSEC, 30), (libc::SO_SNDBUFFORCE, 31),
    (libc::SO_PROTOCOL, 0x1028), (libc::SO_DOMAIN, 0x1029),
];

/// The type of a socket: streams and datagrams have each other's number.
pub(super) fn socket_type(kind: i32) -> i32 {
    match kind {
        1 => 2,
        2 => 1,
        other => other,
    }
}

/// Requests of `ioctl` without a size, and those of terminals.
#[rustfmt::skip]
const IOCTLS: &[(u32, u32)] = &[
    (0x5401, 0x540d), (0x5402, 0x540e), (0x5403, 0x540f), (0x5404, 0x5410), // TCGETS, TCSETS, TCSETSW, TCSETSF
    (0x5405, 0x5401), (0x5406, 0x5402), (0x5407, 0x5403), (0x5408, 0x5404), // TCGETA, TCSETA, TCSETAW, TCSETAF
    (0x5409, 0x5405), (0x540a, 0x5406), (0x540b, 0x5407), // TCSBRK, TCXONC, TCFLSH
    (0x540c, 0x740d), (0x540d, 0x740e), (0x540e, 0x5480), // TIOCEXCL, TIOCNXCL, TIOCSCTTY
    (0x540f, 0x4004_7477), (0x5410, 0x8004_7476), (0x5411, 0x7472), // TIOCGPGRP, TIOCSPGRP, TIOCOUTQ
    (0x5412, 0x5472), (0x5413, 0x4008_7468), (0x5414, 0x8008_7467), // TIOCSTI, TIOCGWINSZ, TIOCSWINSZ
    (0x5415, 0x741d), (0x5416, 0x741b), (0x5417, 0x741c), (0x5418, 0x741a), // TIOCMGET, -BIS, -BIC, -SET
    (0x5419, 0x5481), (0x541a, 0x5482), (0x541b, 0x467f), // TIOCGSOFTCAR, TIOCSSOFTCAR, FIONREAD
    (0x541d, 0x8004_7478), (0x5420, 0x5470), (0x5421, 0x667e), // TIOCCONS, TIOCPKT, FIONBIO
    (0x5422, 0x5471), (0x5423, 0x7401), (0x5424, 0x7400), (0x5425, 0x5486), // TIOCNOTTY, TIOCSETD, TIOCGETD, TCSBRKP
    (0x5427, 0x5427), (0x5428, 0x5428), (0x5429, 0x7416), // TIOCSBRK, TIOCCBRK, TIOCGSID
    (0x5450, 0x6602), (0x5451, 0x6601), (0x5452, 0x667d), (0x5460, 0x667f), // FIONCLEX, FIOCLEX, FIOASYNC, FIOQSIZE
    (0x5456, 0x548b), (0x5457, 0x548c), // TIOCGLCKTRMIOS, TIOCSLCKTRMIOS
    (0x8901, 0x8004_667c), (0x8903, 0x4004_667b), // FIOSETOWN, FIOGETOWN
    (0x8902, 0x8004_7308), (0x8904, 0x4004_7309), (0x8905, 0x4004_7307), // SIOCSPGRP, SIOCGPGRP, SIOCATMARK
    (0x802c_542a, 0x4030_542a), (0x402c_542b, 0x8030_542b), // TCGETS2, TCSETS2
    (0x402c_542c, 0x8030_542c), (0x402c_542d, 0x8030_542d), // TCSETSW2, TCSETSF2
];

/// Groups of requests (bits 8 to 15) of which all that there are stand in the table: 'T', 't', 'f' without a size.
fn is_listed_group(request: u32) -> bool {
    request >> 16 == 0 && matches!(request >> 8 & 0xff, 0x54 | 0x74 | 0x66 | 0x46)
}

/// A request with the host's number. In the general form the guest has three bits of direction (none, read, write) above 13 of
/// size, the host two (write, read) above 14.
pub(super) fn ioctl_to_host(request: u32) -> u32 {
    if let Some((host, _)) = IOCTLS.iter().find(|(_, guest)| *guest == request) {
        return *host;
    }
    if is_listed_group(request) {
        return u32::MAX;
    }
    let (none, read, write) = (1 << 29, 2 << 29, 4 << 29);
    let direction = if request & write != 0 { 1 << 30 } else { 0 } | if request & read != 0 { 2 << 30 } else { 0 };
    request & !(none | read | write) | direction
}

/// The bits of Cause that are enabled.
pub(super) fn raised_causes(fcsr: u32) -> u32 {
    fcsr & (fcsr >> 7 & 0x1f) << 12
}

/// `si_code` of SIGFPE for exceptions that are in both Cause and Enables of an FCSR (`force_fcr31_sig`).
pub(super) fn float_code(fcsr: u32) -> i32 {
    const CODES: [(u32, i32); 5] = [(16, 7), (8, 3), (4, 4), (2, 5), (1, 6)];
    let raised = fcsr >> 12 & 0x1f & (fcsr >> 7 & 0x1f);
    const FPE_FLTUNK: i32 = 14;
    CODES.iter().find(|(bit, _)| raised & bit != 0).map_or(FPE_FLTUNK, |(_, code)| *code)
}
