//! File names: what the guest names is looked up in the sysroot first.
//!
//! * An absolute path that exists in the sysroot means the file there; every other one the host's. Links are followed
//!   component by component, and an absolute link in the sysroot starts at the sysroot again.
//! * [`HOST_TREES`] are the host's always: a sysroot has these directories, but empty.
//! * A relative path with the working directory in the sysroot is treated likewise, but what does not exist is made in
//!   the working directory. A path relative to a descriptor is the host's.
//! * What the host says of a path in the sysroot (`getcwd`, `/proc/self/exe`) is told without the sysroot's prefix.

use super::errno::Errno;
use super::thread::Thread;
use std::collections::VecDeque;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Directories that are never looked up in the sysroot.
const HOST_TREES: [&str; 5] = ["/proc", "/sys", "/dev", "/tmp", "/var/tmp"];
/// As in Linux.
const MAX_LINKS: u32 = 40;

/// A path for the host's `*at` calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPath {
    pub(super) dirfd: i32,
    pub(super) path: CString,
}

/// The directory that absolute paths are looked up in first.
#[derive(Debug, Default)]
pub(crate) struct Sysroot {
    root: Option<PathBuf>,
}

impl Sysroot {
    pub(crate) fn new(root: Option<PathBuf>) -> Sysroot {
        let root = root.map(|r| r.canonicalize().unwrap_or(r)).filter(|r| r != Path::new("/"));
        Sysroot { root }
    }

    /// Is there one, other than the host's root?
    pub(crate) fn is_some(&self) -> bool {
        self.root.is_some()
    }

    /// The host's path of an absolute guest path.
    pub(crate) fn locate(&self, path: &Path, follow: bool) -> PathBuf {
        self.locate_counted(path, follow, &mut 0)
    }

    fn locate_counted(&self, path: &Path, follow: bool, links: &mut u32) -> PathBuf {
        match (&self.root, is_host_tree(path)) {
            (Some(root), false) => self.walk(root, path, follow, links).unwrap_or_else(|| path.to_path_buf()),
            _ => path.to_path_buf(),
        }
    }

    /// Follows `path` inside `root`; `None` if it is not there.
    fn walk(&self, root: &Path, path: &Path, follow: bool, links: &mut u32) -> Option<PathBuf> {
        let bytes = path.as_os_str().as_bytes();
        let slash = bytes.len() > 1 && bytes.ends_with(b"/");
        let mut rest: VecDeque<OsString> = components(bytes).collect();
        let mut found: Vec<OsString> = Vec::new();
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                found.pop();
                continue;
            }
            let candidate = join(root, &found, Some(&name));
            match std::fs::read_link(&candidate) {
                Ok(target) if !rest.is_empty() || follow || slash => {
                    *links += 1;
                    if *links > MAX_LINKS {
                        return Some(candidate);
                    }
                    if target.is_absolute() {
                        let target = append(target, rest, slash);
                        return Some(self.locate_counted(&target, follow, links));
                    }
                    for part in components(target.as_os_str().as_bytes()).collect::<Vec<_>>().into_iter().rev() {
                        rest.push_front(part);
                    }
                }
                Ok(_) => found.push(name),
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => found.push(name),
                Err(_) => return None,
            }
        }
        let mut result = join(root, &found, None).into_os_string();
        if slash {
            result.push("/");
        }
        Some(result.into())
    }

    /// Is a host's path in the sysroot?
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.root.as_ref().is_some_and(|root| path.starts_with(root))
    }

    /// A host's path as the guest sees it.
    pub(crate) fn to_guest(&self, path: &Path) -> PathBuf {
        match self.root.as_ref().and_then(|root| path.strip_prefix(root).ok()) {
            Some(inside) => Path::new("/").join(inside),
            None => path.to_path_buf(),
        }
    }
}

fn components(bytes: &[u8]) -> impl Iterator<Item = OsString> + '_ {
    let real = |part: &&[u8]| !part.is_empty() && *part != b".";
    bytes.split(|&b| b == b'/').filter(real).map(|part| OsStr::from_bytes(part).to_os_string())
}

fn join(root: &Path, found: &[OsString], name: Option<&OsString>) -> PathBuf {
    let mut path = root.to_path_buf();
    path.extend(found.iter().chain(name));
    path
}

/// `target` with the components after it.
fn append(target: PathBuf, rest: VecDeque<OsString>, slash: bool) -> PathBuf {
    let mut path = target;
    path.extend(rest);
    if slash {
        path.push("");
    }
    path
}

fn is_host_tree(path: &Path) -> bool {
    let parts: Vec<OsString> = components(path.as_os_str().as_bytes()).collect();
    HOST_TREES.iter().any(|tree| {
        let tree: Vec<OsString> = components(tree.as_bytes()).collect();
        parts.starts_with(&tree)
    })
}

/// A string without a NUL inside as the host wants it.
pub(super) fn c_string(path: impl Into<OsString>) -> Result<CString, Errno> {
    CString::new(path.into().into_vec()).map_err(|_| Errno::EINVAL)
}

pub(super) fn as_path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

impl Thread {
    /// The file that the guest names; in the sandbox only if the guest may have it.
    pub(super) fn host_path(&self, dirfd: i32, path: CString, follow: bool) -> Result<HostPath, Errno> {
        self.confine(self.named_path(dirfd, path, follow)?, follow, 0)
    }

    fn named_path(&self, dirfd: i32, path: CString, follow: bool) -> Result<HostPath, Errno> {
        let name = as_path(&path);
        if name.is_absolute() {
            if follow && self.is_own_exe(name) {
                return Ok(HostPath { dirfd: libc::AT_FDCWD, path: c_string(self.process.program.host_path.clone())? });
            }
            let of_tracee = if follow { self.tracee_exe(name, super::procfs::HOST_EXE) } else { None };
            let host = of_tracee.map(|path| PathBuf::from(OsString::from_vec(path)));
            let path = c_string(host.unwrap_or_else(|| self.process.sysroot.locate(name, follow)))?;
            return Ok(HostPath { dirfd: libc::AT_FDCWD, path });
        }
        let from_cwd = dirfd == libc::AT_FDCWD && !path.is_empty() && self.process.cwd_is_inside();
        let inside = if from_cwd { self.relative_inside(name, follow)? } else { None };
        if let Some(path) = inside {
            return Ok(HostPath { dirfd, path });
        }
        Ok(HostPath { dirfd, path })
    }

    /// A relative path with the working directory in the sysroot; `None`: as the host has it.
    fn relative_inside(&self, name: &Path, follow: bool) -> Result<Option<CString>, Errno> {
        let cwd = std::env::current_dir()?;
        let sysroot = &self.process.sysroot;
        let mut absolute = sysroot.to_guest(&cwd).into_os_string();
        absolute.push("/");
        absolute.push(name);
        let host = sysroot.locate(Path::new(&absolute), follow);
        let elsewhere = sysroot.contains(&host) || is_host_tree(&host);
        if elsewhere { c_string(host).map(Some) } else { Ok(None) }
    }

    /// Reads a file name from guest memory and finds the file.
    pub(super) fn path_at(&self, dirfd: i32, addr: u64, follow: bool) -> Result<HostPath, Errno> {
        self.host_path(dirfd, self.read_path(addr)?, follow)
    }

    /// Is it `/proc/self/exe` under one of its names?
    pub(super) fn is_own_exe(&self, path: &Path) -> bool {
        super::procfs::own_entry(path).is_some_and(|entry| entry == Path::new("exe"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A sysroot with a few links; the name keeps parallel tests apart.
    fn sysroot(name: &str) -> (PathBuf, Sysroot) {
        let root = std::env::temp_dir().join(format!("emu-path-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("usr/lib")).expect("directories");
        std::fs::create_dir_all(root.join("tmp")).expect("directories");
        std::fs::write(root.join("usr/lib/libx.so.1"), "x").expect("file");
        symlink("usr/lib", root.join("lib")).expect("link");
        symlink("/usr/lib/libx.so.1", root.join("usr/lib/libx.so")).expect("link");
        symlink("/proc/mounts", root.join("mtab")).expect("link");
        symlink("loop", root.join("loop")).expect("link");
        let root = root.canonicalize().expect("path");
        (root.clone(), Sysroot::new(Some(root)))
    }

    #[test]
    fn links_stay_inside() {
        let (root, s) = sysroot("links");
        let at = |path: &str, follow| s.locate(Path::new(path), follow);
        let real = root.join("usr/lib/libx.so.1");
        assert_eq!(at("/lib/libx.so.1", true), real);
        assert_eq!(at("/lib/libx.so", true), real);
        assert_eq!(at("/lib/libx.so", false), root.join("usr/lib/libx.so"));
        assert_eq!(at("/../../lib/./libx.so.1", true), real);
        assert_eq!(at("/lib", false), root.join("lib"));
        assert_eq!(at("/lib/", false), root.join("usr/lib/"));
        assert_eq!(at("/mtab", true), Path::new("/proc/mounts"));
        assert_eq!(at("/loop", true), root.join("loop"));
        std::fs::remove_dir_all(root).expect("removed");
    }

    #[test]
    fn what_is_not_there_is_the_hosts() {
        let (root, s) = sysroot("host");
        let at = |path: &str| s.locate(Path::new(path), true);
        assert_eq!(at("/usr/lib/new"), Path::new("/usr/lib/new"));
        assert_eq!(at("/tmp"), Path::new("/tmp"));
        assert_eq!(at("/proc/self/maps"), Path::new("/proc/self/maps"));
        assert_eq!(s.to_guest(&root.join("usr")), Path::new("/usr"));
        assert_eq!(s.to_guest(Path::new("/usr")), Path::new("/usr"));
        std::fs::remove_dir_all(root).expect("removed");
    }
}
