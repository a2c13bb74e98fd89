//! Names of files in the sandbox.
//!
//! The host's kernel resolves a name once, to a descriptor without access (`O_PATH`). Its link in `/proc/self/fd` tells the file's true
//! name, which the policy is asked about, and the call then gets that link instead of the name: the very file that was judged.
//! What is about to be made, removed or renamed is an entry of a directory, whose link takes the directory's place.

use super::super::errno::Errno;
use super::super::host::{self, Arg};
use super::super::path::{HostPath, as_path, c_string};
use super::super::thread::Thread;
use super::processes::is_in_run;
use super::{Access, Confined, Held};
use crate::sandbox::is_nameless;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// As in Linux.
const MAX_LINKS: u32 = 40;
/// Where the links of descriptors are.
const DESCRIPTORS: &str = "/proc/self/fd/";

/// Entries of a process's own directory in `/proc` that are the same for a guest.
const OWN_ENTRIES: [&str; 10] = ["", "fd", "fdinfo", "task", "comm", "exe", "cwd", "root", "statm", "limits"];
/// Those that are made when they are opened by their names: here they may be seen, but would be the emulator's.
const MADE_ENTRIES: [&str; 7] = ["maps", "smaps", "cmdline", "environ", "auxv", "stat", "status"];
/// What may be seen of the run's other processes, and of all others if the policy has `/proc` as readable.
const OTHERS_ENTRIES: [&str; 6] = ["", "stat", "status", "statm", "cmdline", "comm"];

/// The directory and the entry that a path ends with; an empty entry if it is the directory itself.
fn split(path: &CStr) -> (CString, &[u8]) {
    let bytes = path.to_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
    let start = bytes[..end].iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = (&bytes[..start], &bytes[start..end]);
    if name.is_empty() || name == b"." || name == b".." {
        return (path.into(), &[]);
    }
    let directory = if directory.is_empty() { b"." } else { directory };
    (CString::new(directory).unwrap_or_default(), name)
}

/// Does the guest mean one of its own descriptors?
fn names_own_descriptor(path: &Path) -> bool {
    let by_number = |path: &Path| path.parent().is_some_and(|parent| parent == Path::new("fd"));
    let standard = ["/dev/stdin", "/dev/stdout", "/dev/stderr"].iter().any(|name| path == Path::new(name));
    standard
        || path.parent() == Some(Path::new("/dev/fd"))
        || super::super::procfs::own_entry(path).is_some_and(|entry| by_number(&entry))
}

impl Confined {
    /// May this be done with the file of this name, the kernel's for it?
    fn judge(&self, real: &Path, access: Access) -> Result<(), Errno> {
        match (self.allows(real, access), self.allows(real, Access::Look)) {
            (true, _) => Ok(()),
            (false, true) => Err(Errno::EACCES),
            (false, false) => Err(Errno::ENOENT),
        }
    }

    fn allows(&self, real: &Path, access: Access) -> bool {
        let policy = &self.policy;
        if policy.own.iter().any(|own| own == real) {
            return false;
        }
        match (in_process(real), access) {
            (Some(allowed), _) => !access.changes() && allowed(self, access),
            (None, Access::Look) => policy.reads(real) || policy.leads_on(real),
            (None, Access::Read) => policy.reads(real),
            (None, Access::Write | Access::Make) => policy.writes(real),
        }
    }
}

type Allowed = Box<dyn Fn(&Confined, Access) -> bool>;

/// Whether a file of a process in `/proc` may be seen; `None` for all other files.
fn in_process(real: &Path) -> Option<Allowed> {
    let mut parts = real.strip_prefix("/proc").ok()?.components();
    let first = parts.next()?.as_os_str().to_str()?.to_owned();
    if first == "self" || first == "thread-self" {
        return Some(Box::new(|_, _| true));
    }
    let pid: i32 = first.parse().ok()?;
    let mut rest = parts.as_path().to_path_buf();
    if let Ok(task) = rest.strip_prefix("task") {
        let mut parts = task.components();
        if parts.next().is_some() {
            rest = parts.as_path().to_path_buf();
        }
    }
    let real = real.to_path_buf();
    let is = move |names: &[&str]| {
        names.iter().any(|name| rest == Path::new(name))
            || names.contains(&"fd") && {
                rest.parent().is_some_and(|parent| parent == Path::new("fd") || parent == Path::new("fdinfo"))
            }
    };
    if pid == host::pid() {
        return Some(Box::new(move |_, access| is(&OWN_ENTRIES) || access == Access::Look && is(&MADE_ENTRIES)));
    }
    Some(Box::new(move |confined, _| {
        is(&OTHERS_ENTRIES) && (confined.policy.reads(&real) || is_in_run(confined.policy.run, pid))
    }))
}

impl Thread {
    /// The same file as `path`, by a descriptor, if the guest may do with it what the call wants.
    pub(in crate::linux) fn confine(&self, path: HostPath, follow: bool, resolve: u64) -> Result<HostPath, Errno> {
        match self.confined() {
            None => Ok(path),
            Some(confined) => self.confine_link(confined, path, follow, resolve, 0),
        }
    }

    fn confine_link(
        &self,
        confined: &Confined,
        path: HostPath,
        follow: bool,
        resolve: u64,
        links: u32,
    ) -> Result<HostPath, Errno> {
        let access = self.wanted.get();
        if path.path.is_empty() {
            // The descriptor itself: only to be looked at without more ado.
            self.judge_descriptor(path.dirfd, access)?;
            return Ok(path);
        }
        let (directory, name) = split(&path.path);
        if follow || name.is_empty() {
            match self.open_path(confined, path.dirfd, &path.path, 0, resolve) {
                Ok(fd) => {
                    let real = real_path(fd)?;
                    if !(is_nameless(&real) && names_own_descriptor(as_path(&path.path))) {
                        confined.judge(&real, access)?;
                    }
                    return by_link(fd, if follow { None } else { Some(b".") });
                }
                // It may be about to be made.
                Err(Errno::ENOENT) if access == Access::Make && !name.is_empty() => {}
                Err(errno) => return Err(self.told(confined, &path, errno)),
            }
        }
        let opened = self.open_path(confined, path.dirfd, &directory, libc::O_DIRECTORY, resolve);
        let fd = opened.map_err(|errno| self.told(confined, &path, errno))?;
        let slash = path.path.to_bytes().ends_with(b"/");
        if (follow || slash)
            && let Some(target) = link_at(fd, name)
        {
            if links == MAX_LINKS || resolve != 0 {
                return Err(Errno::ELOOP);
            }
            return self.confine_link(confined, HostPath { dirfd: fd, path: target }, follow, resolve, links + 1);
        }
        confined.judge(&real_path(fd)?.join(OsStr::from_bytes(name)), access)?;
        let mut entry = name.to_vec();
        entry.extend(slash.then_some(b'/'));
        by_link(fd, Some(&entry))
    }

    /// The error of a look-up: only where the guest may look it is told more than that there is no such file.
    fn told(&self, confined: &Confined, path: &HostPath, errno: Errno) -> Errno {
        if errno == Errno::ENOENT {
            return errno;
        }
        let mut rest = path.path.clone();
        loop {
            let (directory, name) = split(&rest);
            if let Ok(fd) = self.open_path(confined, path.dirfd, &directory, 0, 0) {
                let seen = real_path(fd).and_then(|real| confined.judge(&real, Access::Look));
                return if seen.is_ok() { errno } else { Errno::ENOENT };
            }
            if name.is_empty() || directory == rest {
                return Errno::ENOENT;
            }
            let bytes = directory.to_bytes();
            rest = CString::new(bytes.strip_suffix(b"/").unwrap_or(bytes)).unwrap_or_default();
        }
    }

    /// Opens a file without access, until the system call is over.
    fn open_path(&self, confined: &Confined, dirfd: i32, path: &CStr, flags: i32, resolve: u64) -> Result<i32, Errno> {
        let how = [(libc::O_PATH | libc::O_CLOEXEC | flags) as u64, 0, resolve];
        let args = [dirfd.into(), Arg::path(path), Arg::slice(&how), 24.into()];
        let held = Held::new(confined, || host::call(libc::SYS_openat2, &args))?;
        let fd = held.fd();
        self.held_files.borrow_mut().push(held);
        Ok(fd)
    }

    /// May this be done with the file of a descriptor of the guest's?
    pub(in crate::linux) fn judge_descriptor(&self, fd: i32, access: Access) -> Result<(), Errno> {
        let Some(confined) = self.confined() else { return Ok(()) };
        if !access.changes() && fd != libc::AT_FDCWD {
            return Ok(());
        }
        let real = if fd == libc::AT_FDCWD { std::env::current_dir()? } else { real_path(fd)? };
        if is_nameless(&real) { Ok(()) } else { confined.judge(&real, access) }
    }

    /// May the emulator use an open file in the guest's name?
    pub(in crate::linux) fn judge_file(&self, file: &std::fs::File) -> Result<(), Errno> {
        use std::os::fd::AsRawFd;
        let Some(confined) = self.confined() else { return Ok(()) };
        let real = real_path(file.as_raw_fd())?;
        if is_nameless(&real) { Ok(()) } else { confined.judge(&real, Access::Read) }
    }

    /// The true name of a file that is to be read, for what has to be opened once more (and judged then).
    pub(in crate::linux) fn confined_name(&self, path: PathBuf) -> Result<PathBuf, Errno> {
        if self.confined().is_none() {
            return Ok(path);
        }
        let found = self.confine(HostPath { dirfd: libc::AT_FDCWD, path: c_string(path.clone())? }, true, 0)?;
        let found = as_path(&found.path);
        let real = std::fs::read_link(found)?;
        Ok(if is_nameless(&real) { found.to_path_buf() } else { real })
    }

    /// Flags to open a file with. An entry that is to be made is not to be a link that was put there meanwhile.
    pub(in crate::linux) fn confined_flags(&self, flags: i32, place: &HostPath) -> i32 {
        let link = place.path.to_bytes().strip_prefix(DESCRIPTORS.as_bytes());
        let is_entry = link.is_some_and(|link| link.contains(&b'/'));
        if self.confined().is_some() && is_entry { flags | libc::O_NOFOLLOW } else { flags }
    }
}

/// What opening with these flags wants.
pub(in crate::linux) fn access_of(flags: i32) -> Access {
    let writes = libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
    let temporary = flags & libc::O_TMPFILE == libc::O_TMPFILE;
    match flags & libc::O_ACCMODE {
        _ if flags & libc::O_PATH != 0 => Access::Look,
        libc::O_RDONLY if flags & writes == 0 && !temporary => Access::Read,
        _ if flags & libc::O_CREAT != 0 => Access::Make,
        _ => Access::Write,
    }
}

/// A descriptor's file, or an entry of that, by its link: a name for every call, whether it takes a directory or not.
fn by_link(fd: i32, entry: Option<&[u8]>) -> Result<HostPath, Errno> {
    let mut path = format!("{DESCRIPTORS}{fd}").into_bytes();
    if let Some(entry) = entry {
        path.push(b'/');
        path.extend_from_slice(entry);
    }
    Ok(HostPath { dirfd: libc::AT_FDCWD, path: CString::new(path).map_err(|_| Errno::EINVAL)? })
}

/// The name that the kernel has for a descriptor's file.
fn real_path(fd: i32) -> Result<PathBuf, Errno> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).map_err(|_| Errno::EBADF)
}

/// The target of a link in a directory.
fn link_at(fd: i32, name: &[u8]) -> Option<CString> {
    let name = CString::new(name).ok()?;
    let mut target = vec![0; 4096];
    let args = [fd.into(), Arg::path(&name), Arg::output(&mut target), 4096.into()];
    let len = host::call(libc::SYS_readlinkat, &args).ok()?;
    target.truncate(len as usize);
    c_string(std::ffi::OsString::from_vec(target)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Policy;

    #[test]
    fn entries_and_their_directories() {
        let parts = |path: &CStr| {
            let (directory, name) = split(path);
            (directory.into_string().expect("text"), String::from_utf8(name.to_vec()).expect("text"))
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(parts(c"/a/b"), pair("/a/", "b"));
        assert_eq!(parts(c"b"), pair(".", "b"));
        assert_eq!(parts(c"/b//"), pair("/", "b"));
        assert_eq!(parts(c"a/.."), pair("a/..", ""));
        assert_eq!(parts(c"/"), pair("/", ""));
        assert_eq!(parts(c"a/b/."), pair("a/b/.", ""));
    }

    #[test]
    fn what_is_seen_of_proc() {
        let confined = Confined::new(Policy { read: vec!["/proc".into()], ..Policy::default() });
        let seen = |path: String, access| confined.judge(Path::new(&path), access).is_ok();
        let own = host::pid();
        assert!(seen(format!("/proc/{own}/fd"), Access::Read) && seen(format!("/proc/{own}/fd/5"), Access::Read));
        assert!(seen(format!("/proc/{own}/maps"), Access::Look) && !seen(format!("/proc/{own}/maps"), Access::Read));
        for entry in ["mem", "pagemap", "map_files", "map_files/1-2", "task/5/mem", "root/etc", "ns/mnt"] {
            assert!(!seen(format!("/proc/{own}/{entry}"), Access::Look), "{entry}");
            assert!(!seen(format!("/proc/1/{entry}"), Access::Look), "{entry}");
        }
        assert!(seen("/proc/1/stat".into(), Access::Read) && !seen("/proc/1/environ".into(), Access::Read));
        assert!(!seen(format!("/proc/{own}/comm"), Access::Write));
        assert!(seen("/proc/meminfo".into(), Access::Read));
    }

    #[test]
    fn what_flags_want() {
        assert_eq!(access_of(libc::O_RDONLY | libc::O_CLOEXEC), Access::Read);
        assert_eq!(access_of(libc::O_RDONLY | libc::O_TRUNC), Access::Write);
        assert_eq!(access_of(libc::O_RDWR), Access::Write);
        assert_eq!(access_of(libc::O_WRONLY | libc::O_CREAT), Access::Make);
        assert_eq!(access_of(libc::O_PATH | libc::O_DIRECTORY), Access::Look);
        assert_eq!(access_of(libc::O_RDONLY | libc::O_DIRECTORY), Access::Read);
    }
}
