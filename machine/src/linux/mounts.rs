//! Mounting, by either interface, quotas, and what watches whole mounts: the host's, with the guest's paths.
#![forbid(unsafe_code)]

use super::errno::Errno;
use super::fs::{HOST, transcode};
use super::host::{self, Arg};
use super::path::{HostPath, as_path};
use super::table::{Args, SysResult, text};
use super::thread::Thread;
use std::ffi::CString;

impl Thread {
    /// A call on a path, whose errors come after those that the kernel finds in the other arguments.
    pub(super) fn on_path(
        &self,
        (dirfd, addr, follow): (i32, u64, bool),
        call: impl FnOnce(Arg<'_>, Arg<'_>) -> SysResult,
    ) -> SysResult {
        match self.path_at(dirfd, addr, follow) {
            Ok(HostPath { dirfd, path }) => call(dirfd.into(), Arg::path(&path)),
            Err(error) => match call(dirfd.into(), Arg::BAD) {
                Err(Errno::EFAULT) => Err(error),
                other => other,
            },
        }
    }

    /// A string that may be left out.
    pub(super) fn optional_text(&self, addr: u64) -> Option<Option<CString>> {
        (addr != 0).then(|| self.read_text(addr))
    }
}

/// [`Thread::optional_text`]'s string as an argument.
pub(super) fn optional(string: &Option<Option<CString>>) -> Arg<'_> {
    string.as_ref().map_or(Arg::NULL, |string| text(string.as_deref()))
}

/// What is mounted: a path, if it is an absolute one, or a name that only the file system understands.
fn source(t: &Thread, addr: u64) -> Result<Option<Option<CString>>, Errno> {
    match t.optional_text(addr) {
        Some(Some(name)) if as_path(&name).is_absolute() => {
            Ok(Some(Some(t.host_path(libc::AT_FDCWD, name, true)?.path)))
        }
        other => Ok(other),
    }
}

/// `mount`. Data that is no string is the host's structure.
pub(super) fn mount(t: &mut Thread, a: &Args) -> SysResult {
    let (kind, data) = (t.optional_text(a.get(2)), t.optional_text(a.get(4)));
    if [&kind, &data].iter().any(|string| matches!(string, Some(None))) {
        return Err(Errno::EFAULT);
    }
    let from = source(t, a.get(0))?;
    t.on_path((libc::AT_FDCWD, a.get(1), true), |_, to| {
        host::call(libc::SYS_mount, &[optional(&from), to, optional(&kind), a.get(3).into(), optional(&data)])
    })
}

/// `umount2`.
pub(super) fn umount2(t: &mut Thread, a: &Args) -> SysResult {
    let follow = a.int(1) & libc::UMOUNT_NOFOLLOW == 0;
    t.on_path((libc::AT_FDCWD, a.get(0), follow), |_, path| host::call(libc::SYS_umount2, &[path, a.int(1).into()]))
}

/// `umount` of MIPS's oldest ABI: without flags.
pub(super) fn umount(t: &mut Thread, a: &Args) -> SysResult {
    umount2(t, &Args::of(&[a.get(0), 0], a.time64))
}

/// `pivot_root`.
pub(super) fn pivot_root(t: &mut Thread, a: &Args) -> SysResult {
    t.on_path((libc::AT_FDCWD, a.get(1), true), |_, old| {
        t.on_path((libc::AT_FDCWD, a.get(0), true), |_, new| host::call(libc::SYS_pivot_root, &[new, old]))
    })
}

/// What the value of `fsconfig` is.
enum Value {
    Text,
    Bytes,
    Path,
    Nothing,
}

/// `fsconfig`.
pub(super) fn fsconfig(t: &mut Thread, a: &Args) -> SysResult {
    let kind = match a.uint(1) {
        1 => Value::Text,
        2 => Value::Bytes,
        3 | 4 => Value::Path,
        _ => Value::Nothing,
    };
    let key = t.optional_text(a.get(2));
    let call = |value: Arg<'_>, aux: Arg<'_>| {
        host::call(libc::SYS_fsconfig, &[a.int(0).into(), a.uint(1).into(), optional(&key), value, aux])
    };
    match kind {
        Value::Path if a.get(3) != 0 => t.on_path((a.int(4), a.get(3), true), |aux, path| call(path, aux)),
        Value::Text => call(optional(&t.optional_text(a.get(3))), a.int(4).into()),
        Value::Bytes if a.get(3) != 0 => call(t.source(a.get(3), u64::from(a.uint(4))), a.int(4).into()),
        _ => call(if a.get(3) == 0 { Arg::NULL } else { Arg::BAD }, a.int(4).into()),
    }
}

/// `fspick`.
pub(super) fn fspick(t: &mut Thread, a: &Args) -> SysResult {
    const SYMLINK_NOFOLLOW: u32 = 2;
    let place = (a.int(0), a.get(1), a.uint(2) & SYMLINK_NOFOLLOW == 0);
    t.on_path(place, |dir, path| host::call(libc::SYS_fspick, &[dir, path, a.uint(2).into()]))
}

/// `open_tree`; `OPEN_TREE_CLOEXEC` is the guest's `O_CLOEXEC`.
pub(super) fn open_tree(t: &mut Thread, a: &Args) -> SysResult {
    let close = t.process.abi.open_flags_to_guest(libc::O_CLOEXEC);
    let given = a.int(2);
    let flags = if given & close == 0 { given } else { given & !close | libc::O_CLOEXEC };
    let place = (a.int(0), a.get(1), given & libc::AT_SYMLINK_NOFOLLOW == 0);
    t.on_path(place, |dir, path| host::call(libc::SYS_open_tree, &[dir, path, flags.into()]))
}

/// `move_mount`.
pub(super) fn move_mount(t: &mut Thread, a: &Args) -> SysResult {
    const FROM_SYMLINKS: u32 = 1;
    const TO_SYMLINKS: u32 = 0x10;
    let flags = a.uint(4);
    t.on_path((a.int(2), a.get(3), flags & TO_SYMLINKS != 0), |to_dir, to| {
        t.on_path((a.int(0), a.get(1), flags & FROM_SYMLINKS != 0), |from_dir, from| {
            host::call(libc::SYS_move_mount, &[from_dir, from, to_dir, to, flags.into()])
        })
    })
}

/// `mount_setattr`: `struct mount_attr` of four 64-bit words.
pub(super) fn mount_setattr(t: &mut Thread, a: &Args) -> SysResult {
    const SIZE: u64 = 32;
    const MOST: u64 = 4096;
    let len = a.get(4);
    let given = if (SIZE..=MOST).contains(&len) { t.read(a.get(3), len as usize).ok() } else { Some(Vec::new()) };
    let attributes = given.map(|bytes| {
        let words = bytes.len() / 8;
        [transcode(&vec![8; words], &bytes, t.layout(), HOST), bytes[8 * words..].to_vec()].concat()
    });
    let place = attributes.as_ref().map_or(Arg::BAD, |bytes| Arg::input(bytes));
    let follow = a.int(2) & libc::AT_SYMLINK_NOFOLLOW == 0;
    t.on_path((a.int(0), a.get(1), follow), |dir, path| {
        host::call(libc::SYS_mount_setattr, &[dir, path, a.uint(2).into(), place, len.into()])
    })
}

/// `acct`: a null path ends it.
pub(super) fn acct(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(0) == 0 {
        return host::call(libc::SYS_acct, &[Arg::NULL]);
    }
    t.on_path((libc::AT_FDCWD, a.get(0), true), |_, path| host::call(libc::SYS_acct, &[path]))
}

/// What a quota command's structure is made of, and whether the kernel reads or writes it.
#[rustfmt::skip]
const QUOTA: &[(u32, &[u8], bool)] = &[
    (0x80_0004, &[4], false),                           // Q_GETFMT
    (0x80_0005, &[8, 8, 4, 4], false),                  // Q_GETINFO
    (0x80_0006, &[8, 8, 4, 4], true),                   // Q_SETINFO
    (0x80_0007, &[8, 8, 8, 8, 8, 8, 8, 8, 4], false),   // Q_GETQUOTA
    (0x80_0008, &[8, 8, 8, 8, 8, 8, 8, 8, 4], true),    // Q_SETQUOTA
    (0x80_0009, &[8, 8, 8, 8, 8, 8, 8, 8, 4, 4], false), // Q_GETNEXTQUOTA
];
const Q_QUOTAON: u32 = 0x80_0002;

/// A quota command: its number, and who passes the structure on to the host.
fn quota(t: &Thread, command: u32, addr: u64, call: impl Fn(Arg<'_>) -> SysResult) -> SysResult {
    if command >> 8 == Q_QUOTAON {
        return t.on_path((libc::AT_FDCWD, addr, true), |_, path| call(path));
    }
    let Some((_, widths, reads)) = QUOTA.iter().find(|(number, ..)| *number == command >> 8) else {
        return call(Arg::NULL);
    };
    let size = transcode(widths, &[], HOST, HOST).len().next_multiple_of(8);
    let mut bytes = vec![0; size];
    if *reads {
        let Ok(given) = t.read(addr, size) else { return call(Arg::BAD) };
        let given = transcode(widths, &given, t.layout(), HOST);
        bytes[..given.len()].copy_from_slice(&given);
    }
    let result = call(Arg::output(&mut bytes))?;
    if !reads {
        let mut answer = transcode(widths, &bytes, HOST, t.layout());
        answer.resize(if widths.len() == 1 { 4 } else { size }, 0);
        t.write(addr, &answer)?;
    }
    Ok(result)
}

/// `quotactl`: command, block device, id, structure.
pub(super) fn quotactl(t: &mut Thread, a: &Args) -> SysResult {
    let device = t.optional_text(a.get(1));
    let path = match device {
        Some(Some(name)) => Some(Some(t.host_path(libc::AT_FDCWD, name, true)?.path)),
        other => other,
    };
    quota(t, a.uint(0), a.get(3), |place| {
        host::call(libc::SYS_quotactl, &[a.uint(0).into(), optional(&path), a.int(2).into(), place])
    })
}

/// `quotactl_fd`.
pub(super) fn quotactl_fd(t: &mut Thread, a: &Args) -> SysResult {
    quota(t, a.uint(1), a.get(3), |place| {
        host::call(libc::SYS_quotactl_fd, &[a.int(0).into(), a.uint(1).into(), a.int(2).into(), place])
    })
}

/// `fanotify_init`: the flags of the descriptors that events bring are `open`'s.
pub(super) fn fanotify_init(t: &mut Thread, a: &Args) -> SysResult {
    let flags = t.process.abi.open_flags_to_host(a.int(1));
    host::call(libc::SYS_fanotify_init, &[a.uint(0).into(), flags.into()])
}

/// `fanotify_mark`: without a path it is the directory itself.
pub(super) fn fanotify_mark(t: &mut Thread, a: &Args) -> SysResult {
    const DONT_FOLLOW: u32 = 4;
    let call = |dir: Arg<'_>, path: Arg<'_>| {
        host::call(libc::SYS_fanotify_mark, &[a.int(0).into(), a.uint(1).into(), a.get(2).into(), dir, path])
    };
    if a.get(4) == 0 {
        return call(a.int(3).into(), Arg::NULL);
    }
    t.on_path((a.int(3), a.get(4), a.uint(1) & DONT_FOLLOW == 0), call)
}

/// `statmount`: `struct mnt_id_req` of two words and 64-bit words. The answer is a structure of the machine's, with texts: the
/// host's in little-endian order alone.
pub(super) fn statmount(t: &mut Thread, a: &Args) -> SysResult {
    if t.layout().big {
        return Err(Errno::ENOSYS);
    }
    let (request, size) = mount_request(t, a.get(0))?;
    let place = t.target(a.get(1), a.get(2));
    debug_assert_eq!(size, request.len());
    host::call(SYS_STATMOUNT, &[Arg::input(&request), place, a.get(2).into(), a.uint(3).into()])
}

/// `listmount`: ids of 64 bits.
pub(super) fn listmount(t: &mut Thread, a: &Args) -> SysResult {
    const MOST: u64 = 1_000_000;
    let (request, _) = mount_request(t, a.get(0))?;
    if a.get(2) > MOST {
        return Err(Errno::EOVERFLOW);
    }
    let mut ids = vec![0u64; a.get(2) as usize];
    let args = [Arg::input(&request), Arg::slice_mut(&mut ids), a.get(2).into(), a.uint(3).into()];
    let count = host::call(SYS_LISTMOUNT, &args)?;
    let bytes = t.writer().u64s(&ids[..count as usize]).finish();
    t.write(a.get(1), &bytes)?;
    Ok(count)
}

const SYS_STATMOUNT: i64 = 457;
const SYS_LISTMOUNT: i64 = 458;

/// `struct mnt_id_req`, of the size that it says.
fn mount_request(t: &Thread, addr: u64) -> Result<(Vec<u8>, usize), Errno> {
    const SIZE_0: usize = 24;
    let size = t.read_u32(addr)? as usize;
    if size < SIZE_0 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let bytes = t.read(addr, size / 8 * 8)?;
    let widths = [&[4, 4][..], &vec![8; size / 8 - 1]].concat();
    let request = transcode(&widths, &bytes, t.layout(), HOST);
    let size = request.len();
    Ok((request, size))
}
