//! Files by name.

use super::confine::access_of;
use super::data::{Layout, Reader, Writer};
use super::errno::Errno;
use super::host::{self, Arg};
use super::path::{HostPath, as_path};
use super::procfs;
use super::table::{Args, SysResult};
use super::thread::Thread;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The host's own layout.
pub(super) const HOST: Layout = Layout { long: 8, big: false };

/// Does a call with these flags follow a link at the end of the path?
fn follows(flags: i32) -> bool {
    flags & libc::AT_SYMLINK_NOFOLLOW == 0
}

/// `openat`.
pub(super) fn openat(t: &mut Thread, a: &Args) -> SysResult {
    let flags = t.process.abi.open_flags_to_host(a.int(2));
    let name = t.read_path(a.get(1))?;
    if let Some(fd) = procfs::open(t, as_path(&name), flags) {
        return fd;
    }
    t.wanted.set(access_of(flags));
    let place = t.host_path(a.int(0), name, open_follows(flags))?;
    let flags = t.confined_flags(flags, &place);
    let args = [place.dirfd.into(), Arg::path(&place.path), (flags | libc::O_LARGEFILE).into(), a.uint(3).into()];
    host::blocking(libc::SYS_openat, &args)
}

fn open_follows(flags: i32) -> bool {
    flags & libc::O_NOFOLLOW == 0 && flags & (libc::O_CREAT | libc::O_EXCL) != libc::O_CREAT | libc::O_EXCL
}

/// `openat2`: `struct open_how` of three 64-bit words.
pub(super) fn openat2(t: &mut Thread, a: &Args) -> SysResult {
    let size = a.get(3) as usize;
    if size < 24 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let mut how = t.with_struct(a.get(2), size, |r| (r.u64(), r.u64(), r.u64()))?;
    if t.read(a.get(2), size)?[24..].iter().any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    let Ok(flags) = i32::try_from(how.0) else { return Err(Errno::EINVAL) };
    how.0 = t.process.abi.open_flags_to_host(flags) as u64;
    let name = t.read_path(a.get(1))?;
    // A confined look-up (RESOLVE_*) means the path as it is.
    t.wanted.set(access_of(how.0 as i32));
    let follow = open_follows(how.0 as i32);
    let place = match how.2 {
        0 => t.host_path(a.int(0), name, follow)?,
        _ => t.confine(HostPath { dirfd: a.int(0), path: name }, follow, how.2)?,
    };
    // What the sandbox has looked up is told by a link that the guest's restrictions would forbid.
    let resolve = if t.confined().is_some() { 0 } else { how.2 };
    let flags = t.confined_flags(how.0 as i32, &place);
    let HostPath { dirfd, path } = place;
    let how = [flags as u64, how.1, resolve];
    host::blocking(libc::SYS_openat2, &[dirfd.into(), Arg::path(&path), Arg::slice(&how), 24.into()])
}

/// A call on one path, without following a link at its end, then numbers.
fn on_entry(t: &Thread, a: &Args, number: i64, rest: &[Arg<'_>]) -> SysResult {
    let HostPath { dirfd, path } = t.path_at(a.int(0), a.get(1), false)?;
    let mut args = vec![dirfd.into(), Arg::path(&path)];
    args.extend_from_slice(rest);
    host::call(number, &args)
}

/// `mkdirat`.
pub(super) fn mkdirat(t: &mut Thread, a: &Args) -> SysResult {
    on_entry(t, a, libc::SYS_mkdirat, &[a.uint(2).into()])
}

/// `mknodat`.
pub(super) fn mknodat(t: &mut Thread, a: &Args) -> SysResult {
    on_entry(t, a, libc::SYS_mknodat, &[a.uint(2).into(), a.uint(3).into()])
}

/// `unlinkat`.
pub(super) fn unlinkat(t: &mut Thread, a: &Args) -> SysResult {
    on_entry(t, a, libc::SYS_unlinkat, &[a.int(2).into()])
}

/// `symlinkat`: the target is text, not a path.
pub(super) fn symlinkat(t: &mut Thread, a: &Args) -> SysResult {
    let target = t.read_path(a.get(0))?;
    let HostPath { dirfd, path } = t.path_at(a.int(1), a.get(2), false)?;
    host::call(libc::SYS_symlinkat, &[Arg::path(&target), dirfd.into(), Arg::path(&path)])
}

/// Two paths and flags.
fn on_two(t: &Thread, a: &Args, number: i64, flags: i32, follow: bool) -> SysResult {
    let old = t.path_at(a.int(0), a.get(1), follow)?;
    let new = t.path_at(a.int(2), a.get(3), false)?;
    let args = [old.dirfd.into(), Arg::path(&old.path), new.dirfd.into(), Arg::path(&new.path), flags.into()];
    host::call(number, &args)
}

/// `linkat`.
pub(super) fn linkat(t: &mut Thread, a: &Args) -> SysResult {
    on_two(t, a, libc::SYS_linkat, a.int(4), a.int(4) & libc::AT_SYMLINK_FOLLOW != 0)
}

/// `renameat2`.
pub(super) fn renameat2(t: &mut Thread, a: &Args) -> SysResult {
    on_two(t, a, libc::SYS_renameat2, a.int(4), false)
}

/// `readlinkat`: links of `/proc` show the guest's view.
pub(super) fn readlinkat(t: &mut Thread, a: &Args) -> SysResult {
    let size = usize::try_from(a.int(3)).ok().filter(|&n| n > 0).ok_or(Errno::EINVAL)?;
    let name = t.read_path(a.get(1))?;
    let mut target = if t.is_own_exe(as_path(&name)) {
        t.process.program.path.clone()
    } else if let Some(program) = t.tracee_exe(as_path(&name), procfs::EXE) {
        program
    } else {
        let in_proc = as_path(&name).starts_with("/proc");
        let HostPath { dirfd, path } = t.host_path(a.int(0), name, false)?;
        let mut target = vec![0; 4096];
        let args = [dirfd.into(), Arg::path(&path), Arg::output(&mut target), 4096.into()];
        let len = host::call(libc::SYS_readlinkat, &args)?;
        target.truncate(len as usize);
        if in_proc {
            let seen = Path::new(std::ffi::OsStr::from_bytes(&target));
            target = t.process.sysroot.to_guest(seen).as_os_str().as_bytes().to_vec();
        }
        target
    };
    target.truncate(size);
    t.write(a.get(2), &target)?;
    Ok(target.len() as u64)
}

/// `faccessat`.
pub(super) fn faccessat(t: &mut Thread, a: &Args) -> SysResult {
    let HostPath { dirfd, path } = t.path_at(a.int(0), a.get(1), true)?;
    host::call(libc::SYS_faccessat, &[dirfd.into(), Arg::path(&path), a.int(2).into()])
}

/// `faccessat2`.
pub(super) fn faccessat2(t: &mut Thread, a: &Args) -> SysResult {
    let HostPath { dirfd, path } = t.path_at(a.int(0), a.get(1), follows(a.int(3)))?;
    host::call(libc::SYS_faccessat2, &[dirfd.into(), Arg::path(&path), a.int(2).into(), a.int(3).into()])
}

/// `fchmodat`.
pub(super) fn fchmodat(t: &mut Thread, a: &Args) -> SysResult {
    let HostPath { dirfd, path } = t.path_at(a.int(0), a.get(1), true)?;
    host::call(libc::SYS_fchmodat, &[dirfd.into(), Arg::path(&path), a.uint(2).into()])
}

/// `fchmodat2`.
pub(super) fn fchmodat2(t: &mut Thread, a: &Args) -> SysResult {
    let HostPath { dirfd, path } = t.path_at(a.int(0), a.get(1), follows(a.int(3)))?;
    host::call(libc::SYS_fchmodat2, &[dirfd.into(), Arg::path(&path), a.uint(2).into(), a.int(3).into()])
}

/// `fchownat`.
pub(super) fn fchownat(t: &mut Thread, a: &Args) -> SysResult {
    let HostPath { dirfd, path } = t.path_at(a.int(0), a.get(1), follows(a.int(4)))?;
    let args = [dirfd.into(), Arg::path(&path), a.uint(2).into(), a.uint(3).into(), a.int(4).into()];
    host::call(libc::SYS_fchownat, &args)
}

/// `utimensat`: without a path it is the descriptor's file.
pub(super) fn utimensat(t: &mut Thread, a: &Args) -> SysResult {
    let times = match a.get(2) {
        0 => None,
        addr => {
            let step = if a.time64 { 16 } else { 2 * t.layout().long as u64 };
            Some([t.read_timespec(addr, a.time64)?, t.read_timespec(addr + step, a.time64)?])
        }
    };
    let times = times.as_ref().map_or(Arg::NULL, |times| Arg::slice(times));
    if a.get(1) == 0 {
        return host::call(libc::SYS_utimensat, &[a.int(0).into(), Arg::NULL, times, a.int(3).into()]);
    }
    let HostPath { dirfd, path } = t.path_at(a.int(0), a.get(1), follows(a.int(3)))?;
    host::call(libc::SYS_utimensat, &[dirfd.into(), Arg::path(&path), times, a.int(3).into()])
}

/// `truncate`.
pub(super) fn truncate(t: &mut Thread, a: &Args) -> SysResult {
    let path = t.path_at(libc::AT_FDCWD, a.get(0), true)?.path;
    host::call(libc::SYS_truncate, &[Arg::path(&path), a.get(1).into()])
}

/// `chdir`.
pub(super) fn chdir(t: &mut Thread, a: &Args) -> SysResult {
    let path = t.path_at(libc::AT_FDCWD, a.get(0), true)?.path;
    host::call(libc::SYS_chdir, &[Arg::path(&path)])?;
    t.process.note_cwd();
    Ok(0)
}

/// `fchdir`.
pub(super) fn fchdir(t: &mut Thread, a: &Args) -> SysResult {
    host::call(libc::SYS_fchdir, &[a.int(0).into()])?;
    t.process.note_cwd();
    Ok(0)
}

/// `chroot`.
pub(super) fn chroot(t: &mut Thread, a: &Args) -> SysResult {
    let path = t.path_at(libc::AT_FDCWD, a.get(0), true)?.path;
    host::call(libc::SYS_chroot, &[Arg::path(&path)])
}

/// `getcwd`.
pub(super) fn getcwd(t: &mut Thread, a: &Args) -> SysResult {
    let mut buffer = vec![0; 4096];
    let len = host::call(libc::SYS_getcwd, &[Arg::output(&mut buffer), 4096.into()])? as usize;
    let cwd = Path::new(std::ffi::OsStr::from_bytes(&buffer[..len.saturating_sub(1)]));
    let mut bytes = t.process.sysroot.to_guest(cwd).into_os_string().into_encoded_bytes();
    bytes.push(0);
    if bytes.len() as u64 > a.get(1) {
        return Err(Errno::ERANGE);
    }
    t.write(a.get(0), &bytes)?;
    Ok(bytes.len() as u64)
}

/// `newfstatat`, `fstatat64`.
pub(super) fn newfstatat(t: &mut Thread, a: &Args) -> SysResult {
    let stat = stat_at(t, a.int(0), a.get(1), a.int(3))?;
    let bytes = t.process.abi.stat(&stat);
    t.write(a.get(2), &bytes)?;
    Ok(0)
}

/// What the host says of a file that the guest names.
pub(super) fn stat_at(t: &Thread, dirfd: i32, path: u64, flags: i32) -> Result<libc::stat, Errno> {
    let HostPath { dirfd, path } = t.path_at(dirfd, path, follows(flags))?;
    let mut stat: libc::stat = host::zeroed();
    let args = [dirfd.into(), Arg::path(&path), Arg::from_mut(&mut stat), flags.into()];
    host::call(libc::SYS_newfstatat, &args)?;
    Ok(stat)
}

/// What the host says of an open file.
pub(super) fn stat_of(fd: i32) -> Result<libc::stat, Errno> {
    let mut stat: libc::stat = host::zeroed();
    host::call(libc::SYS_fstat, &[fd.into(), Arg::from_mut(&mut stat)])?;
    Ok(stat)
}

/// `fstat64`.
pub(super) fn fstat64(t: &mut Thread, a: &Args) -> SysResult {
    let bytes = t.process.abi.stat(&stat_of(a.int(0))?);
    t.write(a.get(1), &bytes)?;
    Ok(0)
}

/// `fstat`.
pub(super) fn fstat(t: &mut Thread, a: &Args) -> SysResult {
    put_old_stat(t, a.get(1), &stat_of(a.int(0))?)
}

/// The structure of `stat`, `lstat` and `fstat`, which has not always room for everything.
pub(super) fn put_old_stat(t: &Thread, place: u64, stat: &libc::stat) -> SysResult {
    let bytes = t.process.abi.old_stat(stat).ok_or(Errno::EOVERFLOW)?;
    t.write(place, &bytes)?;
    Ok(0)
}

/// Widths of `struct statx`'s members.
const STATX: [u8; 54] = [
    4, 4, 8, 4, 4, 4, 2, 2, 8, 8, 8, 8, 8, 4, 4, 8, 4, 4, 8, 4, 4, 8, 4, 4, 4, 4, 4, 4, 8, 4, 4, 8, //
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
];

/// Copies members of these widths, 0 for a `long`, from one layout to another.
pub(super) fn transcode(widths: &[u8], bytes: &[u8], from: Layout, to: Layout) -> Vec<u8> {
    let (mut r, mut w) = (Reader::new(from, bytes), Writer::new(to));
    for width in widths {
        match width {
            0 => w.long(r.long()),
            1 => w.u8(r.u8()),
            2 => w.u16(r.u16()),
            4 => w.u32(r.u32()),
            _ => w.u64(r.u64()),
        };
    }
    w.finish()
}

/// `statx`: the same on every machine but for the byte order.
pub(super) fn statx(t: &mut Thread, a: &Args) -> SysResult {
    // Since Linux 6.11 the path may be null with AT_EMPTY_PATH.
    let HostPath { dirfd, path } = match a.get(1) {
        0 if a.int(2) & libc::AT_EMPTY_PATH != 0 => HostPath { dirfd: a.int(0), path: c"".into() },
        addr => t.path_at(a.int(0), addr, follows(a.int(2)))?,
    };
    let mut stat = [0u64; 32];
    let args = [dirfd.into(), Arg::path(&path), a.int(2).into(), a.uint(3).into(), Arg::slice_mut(&mut stat)];
    host::call(libc::SYS_statx, &args)?;
    let bytes: Vec<u8> = stat.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut bytes = transcode(&STATX, &bytes, HOST, t.layout());
    bytes.resize(256, 0);
    t.write(a.get(4), &bytes)?;
    Ok(0)
}

/// Writes the host's fifteen words of `struct statfs`. The 64-bit variants of 32-bit guests pass its size before it.
fn put_statfs(t: &Thread, a: &Args, words: &[u64; 15], wide: bool) -> SysResult {
    let bytes = t.process.abi.statfs(words, wide);
    // glibc rounds the size up to the alignment, the kernel's packed variants do not.
    if wide && a.get(1) != bytes.len() as u64 && a.get(1) + 4 != bytes.len() as u64 {
        return Err(Errno::EINVAL);
    }
    let (place, len) = if wide { (a.get(2), a.get(1) as usize) } else { (a.get(1), bytes.len()) };
    t.write(place, &bytes[..len])?;
    Ok(0)
}

fn statfs_of(t: &Thread, a: &Args, wide: bool) -> SysResult {
    let path = t.path_at(libc::AT_FDCWD, a.get(0), true)?.path;
    let mut words = [0u64; 15];
    host::call(libc::SYS_statfs, &[Arg::path(&path), Arg::slice_mut(&mut words)])?;
    put_statfs(t, a, &words, wide)
}

fn fstatfs_of(t: &Thread, a: &Args, wide: bool) -> SysResult {
    let mut words = [0u64; 15];
    host::call(libc::SYS_fstatfs, &[a.int(0).into(), Arg::slice_mut(&mut words)])?;
    put_statfs(t, a, &words, wide)
}

/// `statfs`.
pub(super) fn statfs(t: &mut Thread, a: &Args) -> SysResult {
    statfs_of(t, a, false)
}

/// `statfs64`.
pub(super) fn statfs64(t: &mut Thread, a: &Args) -> SysResult {
    statfs_of(t, a, true)
}

/// `fstatfs`.
pub(super) fn fstatfs(t: &mut Thread, a: &Args) -> SysResult {
    fstatfs_of(t, a, false)
}

/// `fstatfs64`.
pub(super) fn fstatfs64(t: &mut Thread, a: &Args) -> SysResult {
    fstatfs_of(t, a, true)
}

/// `struct file_handle`: bytes that follow, type, bytes.
const HANDLE_HEAD: usize = 8;

/// `name_to_handle_at`.
pub(super) fn name_to_handle_at(t: &mut Thread, a: &Args) -> SysResult {
    const LONGEST: u32 = 128;
    let room = t.read_u32(a.get(2))?;
    if room > LONGEST {
        return Err(Errno::EINVAL);
    }
    let HostPath { dirfd, path } = t.path_at(a.int(0), a.get(1), a.int(4) & libc::AT_SYMLINK_FOLLOW != 0)?;
    let mut handle = vec![0; HANDLE_HEAD + room as usize];
    handle[..4].copy_from_slice(&room.to_le_bytes());
    let mut mount = 0u64;
    let place = (Arg::output(&mut handle), Arg::from_mut(&mut mount));
    let result =
        host::call(libc::SYS_name_to_handle_at, &[dirfd.into(), Arg::path(&path), place.0, place.1, a.int(4).into()]);
    // A handle that does not fit is told with its size.
    if result.is_ok() || result == Err(Errno::EOVERFLOW) {
        let head = transcode(&[4, 4], &handle, HOST, t.layout());
        handle[..HANDLE_HEAD].copy_from_slice(&head);
        t.write(a.get(2), &handle)?;
        t.write_u32(a.get(3), mount as u32)?;
    }
    result
}

/// `open_by_handle_at`.
pub(super) fn open_by_handle_at(t: &mut Thread, a: &Args) -> SysResult {
    let size = t.read_u32(a.get(1))?;
    if size == 0 || size > 128 {
        return Err(Errno::EINVAL);
    }
    let mut handle = t.read(a.get(1), HANDLE_HEAD + size as usize)?;
    let head = transcode(&[4, 4], &handle, t.layout(), HOST);
    handle[..HANDLE_HEAD].copy_from_slice(&head);
    let flags = t.process.abi.open_flags_to_host(a.int(2));
    host::call(libc::SYS_open_by_handle_at, &[a.int(0).into(), Arg::input(&handle), flags.into()])
}

/// `inotify_add_watch`.
pub(super) fn inotify_add_watch(t: &mut Thread, a: &Args) -> SysResult {
    t.on_path((libc::AT_FDCWD, a.get(1), a.uint(2) & libc::IN_DONT_FOLLOW == 0), |_, path| {
        host::call(libc::SYS_inotify_add_watch, &[a.int(0).into(), path, a.uint(2).into()])
    })
}

/// A call on an extended attribute of a path: `(path, name, value, size, flags)`.
fn on_attribute(t: &Thread, a: &Args, number: i64, follow: bool, writes: bool) -> SysResult {
    let path = t.path_at(libc::AT_FDCWD, a.get(0), follow)?.path;
    let name = t.read_string(a.get(1), 256).map_err(|e| if e == Errno::ENAMETOOLONG { Errno::ERANGE } else { e })?;
    let value = if writes { t.target(a.get(2), a.get(3)) } else { t.source(a.get(2), a.get(3)) };
    host::call(number, &[Arg::path(&path), Arg::path(&name), value, a.get(3).into(), a.int(4).into()])
}

/// `setxattr`.
pub(super) fn setxattr(t: &mut Thread, a: &Args) -> SysResult {
    on_attribute(t, a, libc::SYS_setxattr, true, false)
}

/// `lsetxattr`.
pub(super) fn lsetxattr(t: &mut Thread, a: &Args) -> SysResult {
    on_attribute(t, a, libc::SYS_lsetxattr, false, false)
}

/// `getxattr`.
pub(super) fn getxattr(t: &mut Thread, a: &Args) -> SysResult {
    on_attribute(t, a, libc::SYS_getxattr, true, true)
}

/// `lgetxattr`.
pub(super) fn lgetxattr(t: &mut Thread, a: &Args) -> SysResult {
    on_attribute(t, a, libc::SYS_lgetxattr, false, true)
}

/// `removexattr`.
pub(super) fn removexattr(t: &mut Thread, a: &Args) -> SysResult {
    on_attribute(t, a, libc::SYS_removexattr, true, false)
}

/// `lremovexattr`.
pub(super) fn lremovexattr(t: &mut Thread, a: &Args) -> SysResult {
    on_attribute(t, a, libc::SYS_lremovexattr, false, false)
}

fn list_attributes(t: &Thread, a: &Args, number: i64, follow: bool) -> SysResult {
    let path = t.path_at(libc::AT_FDCWD, a.get(0), follow)?.path;
    host::call(number, &[Arg::path(&path), t.target(a.get(1), a.get(2)), a.get(2).into()])
}

/// `listxattr`.
pub(super) fn listxattr(t: &mut Thread, a: &Args) -> SysResult {
    list_attributes(t, a, libc::SYS_listxattr, true)
}

/// `llistxattr`.
pub(super) fn llistxattr(t: &mut Thread, a: &Args) -> SysResult {
    list_attributes(t, a, libc::SYS_llistxattr, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statx_has_256_bytes() {
        assert_eq!(STATX.iter().map(|&w| usize::from(w)).sum::<usize>(), 256);
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(transcode(&STATX, &bytes, HOST, HOST), bytes);
    }
}
