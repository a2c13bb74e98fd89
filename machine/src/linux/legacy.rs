//! Calls that newer architectures do without: older forms of others, on which they are built here.

use super::errno::Errno;
use super::fs;
use super::host::{self, Arg};
use super::table::{Args, SysResult};
use super::thread::Thread;
use super::{files, net, proc};
use std::sync::Arc;

/// `AT_FDCWD` as an argument.
const CWD: u64 = libc::AT_FDCWD as u32 as u64;
const NOFOLLOW: u64 = libc::AT_SYMLINK_NOFOLLOW as u64;

/// The arguments of the form of the call that takes a directory.
fn at(a: &Args, rest: &[u64]) -> Args {
    let mut values = vec![CWD, a.get(0)];
    values.extend_from_slice(rest);
    Args::of(&values, a.time64)
}

/// `open`.
pub(super) fn open(t: &mut Thread, a: &Args) -> SysResult {
    fs::openat(t, &at(a, &[a.get(1), a.get(2)]))
}

/// `creat`.
pub(super) fn creat(t: &mut Thread, a: &Args) -> SysResult {
    let flags = t.process.abi.open_flags_to_guest(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC);
    fs::openat(t, &at(a, &[flags as u64, a.get(1)]))
}

/// `mkdir`.
pub(super) fn mkdir(t: &mut Thread, a: &Args) -> SysResult {
    fs::mkdirat(t, &at(a, &[a.get(1)]))
}

/// `mknod`.
pub(super) fn mknod(t: &mut Thread, a: &Args) -> SysResult {
    fs::mknodat(t, &at(a, &[a.get(1), a.get(2)]))
}

/// `rmdir`.
pub(super) fn rmdir(t: &mut Thread, a: &Args) -> SysResult {
    fs::unlinkat(t, &at(a, &[libc::AT_REMOVEDIR as u64]))
}

/// `unlink`.
pub(super) fn unlink(t: &mut Thread, a: &Args) -> SysResult {
    fs::unlinkat(t, &at(a, &[0]))
}

/// `symlink`.
pub(super) fn symlink(t: &mut Thread, a: &Args) -> SysResult {
    fs::symlinkat(t, &Args::of(&[a.get(0), CWD, a.get(1)], a.time64))
}

/// `link`.
pub(super) fn link(t: &mut Thread, a: &Args) -> SysResult {
    fs::linkat(t, &at(a, &[CWD, a.get(1), 0]))
}

/// `rename`.
pub(super) fn rename(t: &mut Thread, a: &Args) -> SysResult {
    fs::renameat2(t, &at(a, &[CWD, a.get(1), 0]))
}

/// `renameat`.
pub(super) fn renameat(t: &mut Thread, a: &Args) -> SysResult {
    fs::renameat2(t, &Args::of(&[a.get(0), a.get(1), a.get(2), a.get(3), 0], a.time64))
}

/// `readlink`.
pub(super) fn readlink(t: &mut Thread, a: &Args) -> SysResult {
    fs::readlinkat(t, &at(a, &[a.get(1), a.get(2)]))
}

/// `access`.
pub(super) fn access(t: &mut Thread, a: &Args) -> SysResult {
    fs::faccessat(t, &at(a, &[a.get(1)]))
}

/// `chmod`.
pub(super) fn chmod(t: &mut Thread, a: &Args) -> SysResult {
    fs::fchmodat(t, &at(a, &[a.get(1)]))
}

/// `chown`.
pub(super) fn chown(t: &mut Thread, a: &Args) -> SysResult {
    fs::fchownat(t, &at(a, &[a.get(1), a.get(2), 0]))
}

/// `lchown`.
pub(super) fn lchown(t: &mut Thread, a: &Args) -> SysResult {
    fs::fchownat(t, &at(a, &[a.get(1), a.get(2), NOFOLLOW]))
}

/// `stat`.
pub(super) fn stat(t: &mut Thread, a: &Args) -> SysResult {
    let stat = fs::stat_at(t, libc::AT_FDCWD, a.get(0), 0)?;
    fs::put_old_stat(t, a.get(1), &stat)
}

/// `lstat`.
pub(super) fn lstat(t: &mut Thread, a: &Args) -> SysResult {
    let stat = fs::stat_at(t, libc::AT_FDCWD, a.get(0), libc::AT_SYMLINK_NOFOLLOW)?;
    fs::put_old_stat(t, a.get(1), &stat)
}

/// `stat64`.
pub(super) fn stat64(t: &mut Thread, a: &Args) -> SysResult {
    fs::newfstatat(t, &at(a, &[a.get(1), 0]))
}

/// `lstat64`.
pub(super) fn lstat64(t: &mut Thread, a: &Args) -> SysResult {
    fs::newfstatat(t, &at(a, &[a.get(1), NOFOLLOW]))
}

/// Sets a file's times, or those of now.
fn set_times(t: &Thread, dirfd: i32, path: u64, times: Option<[libc::timespec; 2]>) -> SysResult {
    let file = t.path_at(dirfd, path, true)?;
    let times = times.as_ref().map_or(Arg::NULL, |times| Arg::slice(times));
    host::call(libc::SYS_utimensat, &[file.dirfd.into(), Arg::path(&file.path), times, 0.into()])
}

/// `utime`: two times in seconds.
pub(super) fn utime(t: &mut Thread, a: &Args) -> SysResult {
    let times = match a.get(1) {
        0 => None,
        addr => {
            let seconds = t.with_struct(addr, 2 * t.layout().long, |r| [r.slong(), r.slong()])?;
            Some(seconds.map(|tv_sec| libc::timespec { tv_sec, tv_nsec: 0 }))
        }
    };
    set_times(t, libc::AT_FDCWD, a.get(0), times)
}

/// Two `timeval`s that may be null. Unlike elsewhere too many microseconds are refused.
fn two_times(t: &Thread, addr: u64) -> Result<Option<[libc::timespec; 2]>, Errno> {
    if addr == 0 {
        return Ok(None);
    }
    let times: [libc::timeval; 2] = t.read_timevals(addr)?;
    if times.iter().any(|time| !(0..1_000_000).contains(&time.tv_usec)) {
        return Err(Errno::EINVAL);
    }
    Ok(Some(times.map(|time| libc::timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * 1000 })))
}

/// `utimes`.
pub(super) fn utimes(t: &mut Thread, a: &Args) -> SysResult {
    let times = two_times(t, a.get(1))?;
    set_times(t, libc::AT_FDCWD, a.get(0), times)
}

/// `futimesat`: without a path it is the descriptor's file.
pub(super) fn futimesat(t: &mut Thread, a: &Args) -> SysResult {
    let times = two_times(t, a.get(2))?;
    if a.get(1) == 0 {
        let times = times.as_ref().map_or(Arg::NULL, |times| Arg::slice(times));
        return host::call(libc::SYS_utimensat, &[a.int(0).into(), Arg::NULL, times, 0.into()]);
    }
    set_times(t, a.int(0), a.get(1), times)
}

/// `inotify_init`.
pub(super) fn inotify_init(_: &mut Thread, _: &Args) -> SysResult {
    host::call(libc::SYS_inotify_init1, &[0.into()])
}

/// `pipe`: some ABIs give both ends in registers.
pub(super) fn pipe(t: &mut Thread, a: &Args) -> SysResult {
    let mut ends = [0i32; 2];
    host::call(libc::SYS_pipe2, &[Arg::from_mut(&mut ends), 0.into()])?;
    let abi = Arc::clone(&t.process.abi);
    match abi.pipe_result(t.vcpu.cpu_mut(), ends) {
        Some(first) => Ok(first),
        None => files::give_pair(t, a.get(0), ends),
    }
}

/// `signalfd`.
pub(super) fn signalfd(t: &mut Thread, a: &Args) -> SysResult {
    files::signalfd4(t, &Args::of(&[a.get(0), a.get(1), a.get(2), 0], a.time64))
}

/// `epoll_create`: the size has to be positive, and says nothing.
pub(super) fn epoll_create(_: &mut Thread, a: &Args) -> SysResult {
    if a.int(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    host::call(libc::SYS_epoll_create1, &[0.into()])
}

/// `waitpid`.
pub(super) fn waitpid(t: &mut Thread, a: &Args) -> SysResult {
    proc::wait4(t, &Args::of(&[a.get(0), a.get(1), a.get(2), 0], a.time64))
}

/// `nice`.
pub(super) fn nice(_: &mut Thread, a: &Args) -> SysResult {
    // The call tells 20 - nice.
    let now = 20 - host::call(libc::SYS_getpriority, &[libc::PRIO_PROCESS.into(), 0.into()])? as i32;
    let new = now.saturating_add(a.int(0).clamp(-40, 40)).clamp(-20, 19);
    let set = host::call(libc::SYS_setpriority, &[libc::PRIO_PROCESS.into(), 0.into(), new.into()]);
    set.map_err(|e| if e == Errno::EACCES { Errno::EPERM } else { e })
}

/// `time`.
pub(super) fn time(t: &mut Thread, a: &Args) -> SysResult {
    let now = host::call(libc::SYS_time, &[Arg::NULL])?;
    if a.get(0) != 0 {
        t.write_long(a.get(0), now)?;
    }
    Ok(now)
}

/// `send`.
pub(super) fn send(t: &mut Thread, a: &Args) -> SysResult {
    net::sendto(t, &Args::of(&[a.get(0), a.get(1), a.get(2), a.get(3), 0, 0], a.time64))
}

/// `recv`.
pub(super) fn recv(t: &mut Thread, a: &Args) -> SysResult {
    net::recvfrom(t, &Args::of(&[a.get(0), a.get(1), a.get(2), a.get(3), 0, 0], a.time64))
}
