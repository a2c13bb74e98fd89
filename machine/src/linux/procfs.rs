//! The files of `/proc` that would show the emulator instead of the guest: made when they are opened.

use super::errno::Errno;
use super::host::{self, Arg};
use super::table::SysResult;
use super::thread::Thread;
use crate::mem::{Prot, Vma};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The rest of a path below this process's directory in `/proc`, under one of its names.
pub(super) fn own_entry(path: &Path) -> Option<PathBuf> {
    let mut parts = path.strip_prefix("/proc").ok()?.components();
    let Component::Normal(first) = parts.next()? else { return None };
    let own = |name: &std::ffi::OsStr| name.to_str().is_some_and(|n| n == "self" || n == host::pid().to_string());
    if !own(first) && first != "thread-self" {
        return None;
    }
    let mut rest = parts.as_path();
    if let Ok(task) = rest.strip_prefix("task") {
        // /proc/self/task/TID/...: the process has one memory.
        let mut parts = task.components();
        parts.next()?;
        rest = parts.as_path();
    }
    Some(rest.to_path_buf())
}

/// Makes what is in a file.
type Make = fn(&Thread) -> Vec<u8>;

/// The files that a process makes of itself, also for its tracer.
const MADE: [(&str, Make); 9] = [
    ("maps", maps),
    ("smaps", smaps),
    ("cmdline", cmdline),
    ("environ", environ),
    ("auxv", auxv),
    ("stat", stat),
    ("status", status),
    (EXE, exe),
    (HOST_EXE, host_exe),
];
/// What the link `exe` says: the guest's path of the program, and, for the emulator alone, the host's.
pub(super) const EXE: &str = "exe";
pub(super) const HOST_EXE: &str = "exe of the host";

/// The place of a file among those.
pub(super) fn index(name: &str) -> Option<usize> {
    MADE.iter().position(|(n, _)| *n == name)
}

/// What is in the file at that place.
pub(super) fn content(t: &Thread, index: usize) -> Vec<u8> {
    MADE.get(index).map_or_else(Vec::new, |(_, make)| make(t))
}

fn exe(t: &Thread) -> Vec<u8> {
    t.process.program.path.clone()
}

fn host_exe(t: &Thread) -> Vec<u8> {
    t.process.program.host_path.as_os_str().as_bytes().to_vec()
}

/// Opens a file that is made here; `None` for all others.
pub(super) fn open(t: &Thread, path: &Path, flags: i32) -> Option<SysResult> {
    if let Some(opened) = t.open_tracee_file(path, flags) {
        return Some(opened);
    }
    let make: Make = if path == Path::new("/proc/cpuinfo") {
        cpuinfo
    } else {
        match own_entry(path)?.to_str()? {
            // A thread's own are the host's: they differ from the process's.
            "stat" | "status" if path.iter().count() != 4 || path.starts_with("/proc/thread-self") => return None,
            "mem" => return Some(t.open_memory(host::pid(), flags)),
            // It would be the emulator's.
            "pagemap" => return Some(Err(Errno::EACCES)),
            // It is looked up as the program's own file.
            EXE => return None,
            name => MADE[index(name)?].1,
        }
    };
    Some(if flags & libc::O_ACCMODE == libc::O_RDONLY { file_with(&make(t), flags) } else { Err(Errno::EACCES) })
}

/// A descriptor with this content.
pub(super) fn file_with(content: &[u8], flags: i32) -> SysResult {
    let close = if flags & libc::O_CLOEXEC != 0 { libc::MFD_CLOEXEC } else { 0 };
    let fd = host::call(libc::SYS_memfd_create, &[Arg::path(c"proc"), close.into()])?;
    let mut done = 0;
    while done < content.len() {
        let rest = &content[done..];
        let args = [fd.into(), Arg::input(rest), rest.len().into(), done.into()];
        done += host::call(libc::SYS_pwrite64, &args)? as usize;
    }
    Ok(fd)
}

fn flags_of(vma: &Vma) -> String {
    let letter = |on: bool, c: char| if on { c } else { '-' };
    let prot = vma.prot;
    [
        letter(prot.contains(Prot::READ), 'r'),
        letter(prot.contains(Prot::WRITE), 'w'),
        letter(prot.contains(Prot::EXEC), 'x'),
        if vma.shared { 's' } else { 'p' },
    ]
    .iter()
    .collect()
}

/// A line of maps, padded to the name as in the kernel.
fn map_line(t: &Thread, vma: &Vma) -> String {
    let (dev, ino) = vma.file.as_ref().map_or((0, 0), |f| (f.dev, f.ino));
    let (major, minor) = (libc::major(dev), libc::minor(dev));
    let mut line = format!(
        "{:08x}-{:08x} {} {:08x} {major:02x}:{minor:02x} {ino} ",
        vma.range.start,
        vma.range.end,
        flags_of(vma),
        vma.offset
    );
    let name = match (&vma.file, vma.name) {
        (_, Some(name)) => name.to_string(),
        (Some(file), None) => {
            let path = Path::new(std::ffi::OsStr::from_bytes(&file.path));
            t.process.sysroot.to_guest(path).display().to_string()
        }
        (None, None) => String::new(),
    };
    if !name.is_empty() {
        let _ = write!(line, "{:width$}{name}", "", width = 73usize.saturating_sub(line.len()));
    }
    line.push('\n');
    line
}

fn maps(t: &Thread) -> Vec<u8> {
    t.process.mem.maps().iter().map(|vma| map_line(t, vma)).collect::<String>().into_bytes()
}

/// Sizes without the counts of what is resident, which nobody keeps.
fn smaps(t: &Thread) -> Vec<u8> {
    let entry = |vma: &Vma| {
        let kib = (vma.range.end - vma.range.start) / 1024;
        format!("{}Size: {kib:>18} kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n", map_line(t, vma))
    };
    t.process.mem.maps().iter().map(entry).collect::<String>().into_bytes()
}

fn strings(list: &[std::ffi::CString]) -> Vec<u8> {
    list.iter().flat_map(|s| s.as_bytes_with_nul()).copied().collect()
}

fn cmdline(t: &Thread) -> Vec<u8> {
    strings(&t.process.program.argv)
}

fn environ(t: &Thread) -> Vec<u8> {
    strings(&t.process.program.envp)
}

fn auxv(t: &Thread) -> Vec<u8> {
    t.process.program.auxv.clone()
}

/// The host's line with the guest's stack, without the addresses of the emulator.
fn stat(t: &Thread) -> Vec<u8> {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some((head, tail)) = line.rsplit_once(") ") else { return line.into_bytes() };
    let mut fields: Vec<String> = tail.split_whitespace().map(str::to_string).collect();
    // proc(5) counts from 1, and the first two are in `head`.
    let mut set = |number: usize, value: u64| {
        if let Some(field) = fields.get_mut(number - 3) {
            *field = value.to_string();
        }
    };
    let size: u64 = t.process.mem.maps().iter().map(|vma| vma.range.end - vma.range.start).sum();
    set(20, t.process.thread_count() as u64);
    set(23, size);
    for address in [26, 27, 29, 30, 45, 46, 47, 48, 49, 50, 51] {
        set(address, 0);
    }
    set(28, t.process.program.stack_top);
    format!("{head}) {}\n", fields.join(" ")).into_bytes()
}

/// The host's lines without the emulator's own threads.
fn status(t: &Thread) -> Vec<u8> {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |line: &str| match line.split_once(':') {
        Some(("Seccomp", _)) => format!("Seccomp:\t{}\n", t.seccomp.numbers().0),
        Some(("Seccomp_filters", _)) => format!("Seccomp_filters:\t{}\n", t.seccomp.numbers().1),
        Some(("Threads", _)) => format!("Threads:\t{}\n", t.process.thread_count()),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect::<String>().into_bytes()
}

fn cpuinfo(t: &Thread) -> Vec<u8> {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    t.process.abi.cpuinfo(&t.process.config.isa, count).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ones_own_directory() {
        let entry = |path: &str| own_entry(Path::new(path));
        assert_eq!(entry("/proc/self/maps"), Some("maps".into()));
        assert_eq!(entry("/proc/thread-self/stat"), Some("stat".into()));
        assert_eq!(entry(&format!("/proc/{}/exe", std::process::id())), Some("exe".into()));
        assert_eq!(entry("/proc/self/task/77/maps"), Some("maps".into()));
        assert_eq!(entry("/proc/1x/maps"), None);
        assert_eq!(entry("/etc/passwd"), None);
    }
}
