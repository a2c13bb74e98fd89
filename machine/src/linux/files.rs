//! Open files: transfers, descriptors, locks. What only takes numbers and bytes is in the table alone.

use super::errno::Errno;
use super::host::{self, Arg};
use super::table::{Args, SysResult};
use super::thread::Thread;

/// A transfer by `struct iovec`, with more numbers after the list.
fn vectored(t: &Thread, a: &Args, number: i64, into_guest: bool, rest: &[Arg<'_>]) -> SysResult {
    let list = t.iovec(a.get(1), a.get(2), into_guest)?;
    let mut args = vec![a.int(0).into(), Arg::slice(&list), list.len().into()];
    args.extend_from_slice(rest);
    host::blocking(number, &args)
}

/// The position that `preadv` and its kin get in two longs, low half first.
fn position(t: &Thread, a: &Args) -> u64 {
    if t.layout().long == 4 { a.get(3) & 0xffff_ffff | a.get(4) << 32 } else { a.get(3) }
}

/// `readv`.
pub(super) fn readv(t: &mut Thread, a: &Args) -> SysResult {
    vectored(t, a, libc::SYS_readv, true, &[])
}

/// `writev`.
pub(super) fn writev(t: &mut Thread, a: &Args) -> SysResult {
    vectored(t, a, libc::SYS_writev, false, &[])
}

/// `preadv`.
pub(super) fn preadv(t: &mut Thread, a: &Args) -> SysResult {
    vectored(t, a, libc::SYS_preadv, true, &[position(t, a).into(), 0.into()])
}

/// `pwritev`.
pub(super) fn pwritev(t: &mut Thread, a: &Args) -> SysResult {
    vectored(t, a, libc::SYS_pwritev, false, &[position(t, a).into(), 0.into()])
}

/// `preadv2`.
pub(super) fn preadv2(t: &mut Thread, a: &Args) -> SysResult {
    vectored(t, a, libc::SYS_preadv2, true, &[position(t, a).into(), 0.into(), a.int(5).into()])
}

/// `pwritev2`.
pub(super) fn pwritev2(t: &mut Thread, a: &Args) -> SysResult {
    vectored(t, a, libc::SYS_pwritev2, false, &[position(t, a).into(), 0.into(), a.int(5).into()])
}

/// `vmsplice`.
pub(super) fn vmsplice(t: &mut Thread, a: &Args) -> SysResult {
    vectored(t, a, libc::SYS_vmsplice, false, &[a.uint(3).into()])
}

/// A 64-bit offset that the host updates; null stays null.
fn read_offset(t: &Thread, addr: u64) -> Result<Option<u64>, Errno> {
    if addr == 0 { Ok(None) } else { t.read_u64(addr).map(Some) }
}

fn write_offset(t: &Thread, addr: u64, offset: Option<u64>) -> Result<(), Errno> {
    offset.map_or(Ok(()), |offset| t.write_u64(addr, offset))
}

/// `sendfile` with a `long` offset.
pub(super) fn sendfile(t: &mut Thread, a: &Args) -> SysResult {
    if t.layout().long == 8 || a.get(2) == 0 {
        return sendfile64(t, a);
    }
    let mut offset = t.read_long(a.get(2))?;
    let args = [a.int(0).into(), a.int(1).into(), Arg::from_mut(&mut offset), a.get(3).into()];
    let sent = host::blocking(libc::SYS_sendfile, &args);
    t.write_long(a.get(2), offset)?;
    sent
}

/// `sendfile64`.
pub(super) fn sendfile64(t: &mut Thread, a: &Args) -> SysResult {
    let mut offset = read_offset(t, a.get(2))?;
    let args = [a.int(0).into(), a.int(1).into(), Arg::opt_mut(offset.as_mut()), a.get(3).into()];
    let sent = host::blocking(libc::SYS_sendfile, &args);
    write_offset(t, a.get(2), offset)?;
    sent
}

/// `splice` and `copy_file_range`: (in, offset, out, offset, count, flags).
fn between(t: &Thread, a: &Args, number: i64) -> SysResult {
    let (mut from, mut to) = (read_offset(t, a.get(1))?, read_offset(t, a.get(3))?);
    let args = [
        a.int(0).into(),
        Arg::opt_mut(from.as_mut()),
        a.int(2).into(),
        Arg::opt_mut(to.as_mut()),
        a.get(4).into(),
        a.uint(5).into(),
    ];
    let moved = host::blocking(number, &args)?;
    write_offset(t, a.get(1), from)?;
    write_offset(t, a.get(3), to)?;
    Ok(moved)
}

/// `splice`.
pub(super) fn splice(t: &mut Thread, a: &Args) -> SysResult {
    between(t, a, libc::SYS_splice)
}

/// `copy_file_range`.
pub(super) fn copy_file_range(t: &mut Thread, a: &Args) -> SysResult {
    between(t, a, libc::SYS_copy_file_range)
}

const SYS_CACHESTAT: i64 = 451;

/// `cachestat`: a range of two 64-bit words, an answer of five.
pub(super) fn cachestat(t: &mut Thread, a: &Args) -> SysResult {
    let range = t.with_struct(a.get(1), 16, |r| [r.u64(), r.u64()]);
    let place = range.as_ref().map_or(Arg::BAD, Arg::from_ref);
    let mut answer = [0u64; 5];
    host::call(SYS_CACHESTAT, &[a.int(0).into(), place, Arg::slice_mut(&mut answer), a.uint(3).into()])?;
    let bytes = t.writer().u64s(&answer).finish();
    t.write(a.get(2), &bytes)?;
    Ok(0)
}

/// `pipe2`.
pub(super) fn pipe2(t: &mut Thread, a: &Args) -> SysResult {
    let flags = t.process.abi.open_flags_to_host(a.int(1));
    let mut ends = [0i32; 2];
    host::call(libc::SYS_pipe2, &[Arg::from_mut(&mut ends), flags.into()])?;
    give_pair(t, a.get(0), ends)
}

/// Stores two new descriptors, or closes them if that fails.
pub(super) fn give_pair(t: &Thread, addr: u64, pair: [i32; 2]) -> SysResult {
    let bytes = t.writer().i32(pair[0]).i32(pair[1]).finish();
    if let Err(e) = t.write(addr, &bytes) {
        for fd in pair {
            let _ = host::call(libc::SYS_close, &[fd.into()]);
        }
        return Err(e);
    }
    Ok(0)
}

/// `dup3`.
pub(super) fn dup3(t: &mut Thread, a: &Args) -> SysResult {
    let flags = t.process.abi.open_flags_to_host(a.int(2));
    host::call(libc::SYS_dup3, &[a.int(0).into(), a.int(1).into(), flags.into()])
}

const F_SETOWN_EX: i32 = 15;
const F_GETOWN_EX: i32 = 16;
const F_GETOWNER_UIDS: i32 = 17;
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
/// `F_GETLK64` and the two after it, of 32-bit guests.
const F_GETLK64: i32 = 12;
const F_SETLK64: i32 = 13;
const F_SETLKW64: i32 = 14;
/// `F_GET_RW_HINT` and `F_SET_RW_HINT`; those of a descriptor are no more.
const F_RW_HINTS: std::ops::RangeInclusive<i32> = 1035..=1036;

/// Is the descriptor good for a command? One of `O_PATH` is for few.
fn check_descriptor(fd: i32, command: i32) -> Result<(), Errno> {
    const FOR_PATHS: [i32; 5] = [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL];
    let status = host::call(libc::SYS_fcntl, &[fd.into(), libc::F_GETFL.into()])? as i32;
    if status & libc::O_PATH != 0 && !FOR_PATHS.contains(&command) { Err(Errno::EBADF) } else { Ok(()) }
}

/// `fcntl`, `fcntl64`.
pub(super) fn fcntl(t: &mut Thread, a: &Args) -> SysResult {
    let abi = std::sync::Arc::clone(&t.process.abi);
    let (fd, command) = (a.int(0), abi.fcntl_to_host(a.int(1)));
    let number = |value: Arg<'_>| host::call(libc::SYS_fcntl, &[fd.into(), command.into(), value]);
    match command {
        libc::F_SETOWN => {
            t.may_own(a.int(2))?;
            number(a.get(2).into())
        }
        libc::F_GETFL => Ok(abi.open_flags_to_guest(number(0.into())? as i32) as u64),
        libc::F_SETFL => number(abi.open_flags_to_host(a.int(2)).into()),
        libc::F_GETLK | libc::F_SETLK | libc::F_SETLKW => record_lock(t, a, command, false),
        F_GETLK64 | F_SETLK64 | F_SETLKW64 if t.layout().long == 4 => {
            record_lock(t, a, command - F_GETLK64 + libc::F_GETLK, true)
        }
        libc::F_OFD_GETLK | libc::F_OFD_SETLK | libc::F_OFD_SETLKW => record_lock(t, a, command, true),
        F_SETSIG => number(abi.signal_to_host(a.int(2)).into()),
        F_GETSIG => Ok(abi.signal_to_guest(number(0.into())? as i32) as u64),
        F_GETOWN_EX | F_SETOWN_EX | F_GETOWNER_UIDS => owner(t, a, command),
        command if F_RW_HINTS.contains(&command) => {
            check_descriptor(fd, command)?;
            let mut hint = t.read_u64(a.get(2))?;
            let result = number(Arg::from_mut(&mut hint))?;
            t.write_u64(a.get(2), hint)?;
            Ok(result)
        }
        command if takes_number(command) => number(a.get(2).into()),
        _ => check_descriptor(fd, command).and(Err(Errno::EINVAL)),
    }
}

/// Is it a command that [`fcntl`] knows?
pub(super) fn is_known_fcntl(command: i32) -> bool {
    let locks = [libc::F_OFD_GETLK, libc::F_OFD_SETLK, libc::F_OFD_SETLKW];
    (0..=F_GETOWNER_UIDS).contains(&command)
        || locks.contains(&command)
        || F_RW_HINTS.contains(&command)
        || takes_number(command)
}

/// Commands that are the same everywhere and take a number, or nothing.
fn takes_number(command: i32) -> bool {
    const OTHERS: [i32; 4] = [libc::F_DUPFD, libc::F_GETFD, libc::F_SETFD, libc::F_GETOWN];
    // From F_SETLEASE to F_GET_SEALS.
    OTHERS.contains(&command) || (1024..=1034).contains(&command)
}

fn owner(t: &Thread, a: &Args, command: i32) -> SysResult {
    check_descriptor(a.int(0), command)?;
    let mut pair = [0i32; 2];
    if command == F_SETOWN_EX {
        pair = t.with_struct(a.get(2), 8, |r| [r.i32(), r.i32()])?;
        // The kinds after thread and process are groups.
        t.may_own(if pair[0] > 1 { -1 } else { pair[1] })?;
    }
    let result = host::call(libc::SYS_fcntl, &[a.int(0).into(), command.into(), Arg::from_mut(&mut pair)])?;
    if command != F_SETOWN_EX {
        let bytes = t.writer().i32(pair[0]).i32(pair[1]).finish();
        t.write(a.get(2), &bytes)?;
    }
    Ok(result)
}

/// Record locks: `struct flock` with longs, or with 64-bit offsets (`flock64`).
fn record_lock(t: &Thread, a: &Args, command: i32, wide: bool) -> SysResult {
    check_descriptor(a.int(0), command)?;
    let wide = wide || t.layout().long == 8;
    let sysid = !wide && t.process.abi.flock_has_sysid();
    let mut lock: libc::flock = host::zeroed();
    (lock.l_type, lock.l_whence, lock.l_start, lock.l_len, lock.l_pid) = t.with_struct(a.get(2), 32, |r| {
        let (kind, whence) = (r.u16() as i16, r.u16() as i16);
        let (start, len) = if wide { (r.i64(), r.i64()) } else { (r.slong(), r.slong()) };
        if sysid {
            r.long();
        }
        (kind, whence, start, len, r.i32())
    })?;
    let args = [a.int(0).into(), command.into(), Arg::from_mut(&mut lock)];
    if command == libc::F_SETLKW || command == libc::F_OFD_SETLKW {
        return host::blocking(libc::SYS_fcntl, &args);
    }
    let result = host::call(libc::SYS_fcntl, &args)?;
    if command == libc::F_GETLK || command == libc::F_OFD_GETLK {
        let mut w = t.writer();
        w.u16(lock.l_type as u16).u16(lock.l_whence as u16);
        if wide {
            w.i64(lock.l_start).i64(lock.l_len);
        } else {
            w.long(lock.l_start as u64).long(lock.l_len as u64);
            if sysid {
                w.long(0);
            }
        }
        t.write(a.get(2), &w.i32(lock.l_pid).finish())?;
    }
    Ok(result)
}

/// `signalfd4`: what the processor raises does not come through a descriptor.
pub(super) fn signalfd4(t: &mut Thread, a: &Args) -> SysResult {
    t.give_back();
    let set = t.read_sigset(a.get(1), a.get(2))? & !host::SYNCHRONOUS;
    let flags = t.process.abi.open_flags_to_host(a.int(3));
    host::call(libc::SYS_signalfd4, &[a.int(0).into(), Arg::from_ref(&set), 8.into(), flags.into()])
}
