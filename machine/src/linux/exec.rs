//! Executing programs: guest programs by a new instance of the emulator, the host's own programs as they are.
//!
//! What the new instance has to know travels in a memory file ([`Handoff`]), so that arguments and environment are the
//! guest's to the byte and nothing of them (`LD_PRELOAD`) reaches the emulator itself.

use super::data::{Layout, Reader};
use super::errno::Errno;
use super::host::{self, Arg, SavedAction, SigSet};
use super::path::{HostPath, as_path, c_string};
use super::process::lock;
use super::ptrace::Carried;
use super::table::{Args, SysResult};
use super::thread::Thread;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{Read, Seek};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// `MAX_ARG_STRLEN`.
const LONGEST_ARGUMENT: usize = 128 << 10;
/// What arguments and environment may take together, of a stack of 8 MiB.
const ALL_ARGUMENTS: usize = 2 << 20;
/// `BINPRM_BUF_SIZE`: how much of a file decides what it is.
const HEAD: usize = 256;
/// How many scripts may be each other's interpreter.
const MAX_INTERPRETERS: usize = 5;

/// What an executed program inherits beside what the host's kernel passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// The file to load, a path of the host.
    pub host_path: PathBuf,
    /// The file as the guest names it.
    pub path: Vec<u8>,
    /// Arguments, the first one included.
    pub argv: Vec<CString>,
    /// Environment.
    pub envp: Vec<CString>,
    mask: SigSet,
    /// What the thread knows of being traced.
    pub trace: Carried,
}

impl Handoff {
    /// Takes the hand-over from descriptor `fd` (the value of `--exec-fd`), closes it, and sets the signal mask.
    ///
    /// # Errors
    /// If the descriptor holds none.
    pub fn take(fd: i32) -> std::io::Result<Handoff> {
        let mut file = host::own_file(fd);
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let handoff = Handoff::decode(&bytes).ok_or(std::io::ErrorKind::InvalidData)?;
        host::set_mask_exactly(handoff.mask);
        Ok(handoff)
    }

    fn encode(&self) -> Vec<u8> {
        let numbers = [self.mask, self.argv.len() as u64, self.envp.len() as u64];
        let numbers = numbers.into_iter().chain(self.trace.encode());
        let mut bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        for string in [self.host_path.as_os_str().as_bytes(), &self.path] {
            bytes.extend_from_slice(string);
            bytes.push(0);
        }
        for string in self.argv.iter().chain(&self.envp) {
            bytes.extend_from_slice(string.as_bytes_with_nul());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Handoff> {
        let (head, strings) = bytes.split_at_checked(48)?;
        let number = |i: usize| head[8 * i..].first_chunk().map(|b| u64::from_le_bytes(*b));
        let mut strings =
            strings.split_inclusive(|&b| b == 0).map_while(|s| CString::from_vec_with_nul(s.to_vec()).ok());
        let host_path = PathBuf::from(OsString::from_vec(strings.next()?.into_bytes()));
        let path = strings.next()?.into_bytes();
        let argv: Vec<CString> = strings.by_ref().take(number(1)? as usize).collect();
        let envp: Vec<CString> = strings.take(number(2)? as usize).collect();
        (argv.len() as u64 == number(1)? && envp.len() as u64 == number(2)?).then_some(())?;
        let trace = Carried::decode([number(3)?, number(4)?, number(5)?]);
        Some(Handoff { host_path, path, argv, envp, mask: number(0)?, trace })
    }
}

/// Undoes what the Rust runtime did to closed standard descriptors.
pub(super) fn restore_start_state() {
    for (fd, closed) in host::start_state().closed_std.into_iter().enumerate() {
        if closed {
            let _ = host::call(libc::SYS_close, &[fd.into()]);
        }
    }
}

/// `execve`.
pub(super) fn execve(t: &mut Thread, a: &Args) -> SysResult {
    let path = t.read_path(a.get(0))?;
    execute(t, libc::AT_FDCWD, path, a.get(1), a.get(2), 0)
}

/// `execveat`.
pub(super) fn execveat(t: &mut Thread, a: &Args) -> SysResult {
    let path = t.read_path(a.get(1))?;
    let flags = a.int(4);
    if flags & !(libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    execute(t, a.int(0), path, a.get(2), a.get(3), flags)
}

/// What is executed in the end: the file, and the arguments after the scripts' interpreters have been put before them.
struct Target {
    host: PathBuf,
    guest: Vec<u8>,
    argv: Vec<CString>,
    emulated: bool,
}

fn execute(t: &mut Thread, dirfd: i32, path: CString, argv: u64, envp: u64, flags: i32) -> SysResult {
    let mut budget = ALL_ARGUMENTS;
    let mut argv = t.read_strings(argv, &mut budget)?;
    let envp = t.read_strings(envp, &mut budget)?;
    if argv.is_empty() {
        argv.push(c"".into());
    }
    let target = find(t, dirfd, path, argv, flags)?;
    if let Some(hook) = &t.process.config.before_exec {
        hook();
    }
    if target.emulated { run_emulated(t, target, envp) } else { run_native(t, &target, &envp) }
}

impl Thread {
    /// A null-terminated array of strings; a null array is an empty one.
    fn read_strings(&self, addr: u64, budget: &mut usize) -> Result<Vec<CString>, Errno> {
        let long = self.layout().long as u64;
        let mut list = Vec::new();
        if addr == 0 {
            return Ok(list);
        }
        let mut at = addr;
        loop {
            let string = self.read_long(at)?;
            if string == 0 {
                break;
            }
            let too_long = |e| if e == Errno::ENAMETOOLONG { Errno::E2BIG } else { e };
            let string = self.read_string(string, LONGEST_ARGUMENT).map_err(too_long)?;
            let cost = string.as_bytes_with_nul().len() + long as usize;
            *budget = budget.checked_sub(cost).ok_or(Errno::E2BIG)?;
            list.push(string);
            at += long;
        }
        Ok(list)
    }
}

/// Finds the file to load and its arguments; all errors of `execve` come from here.
fn find(t: &Thread, dirfd: i32, path: CString, mut argv: Vec<CString>, flags: i32) -> Result<Target, Errno> {
    let (mut guest, mut host) = locate(t, dirfd, path, flags)?;
    for _ in 0..MAX_INTERPRETERS {
        let (file, head) = open_program(&host)?;
        if let Some((interpreter, argument)) = shebang(&head)? {
            argv.splice(..1, [Some(interpreter.clone()), argument, Some(guest)].into_iter().flatten());
            (guest, host) = locate(t, libc::AT_FDCWD, interpreter, 0)?;
            continue;
        }
        let emulated = is_emulated(t, &file, &head)?;
        let name = t.process.sysroot.to_guest(&host.canonicalize().unwrap_or_else(|_| host.clone()));
        return Ok(Target { host, guest: name.into_os_string().into_vec(), argv, emulated });
    }
    Err(Errno::ELOOP)
}

/// A program's name for its script's arguments, and its file.
fn locate(t: &Thread, dirfd: i32, path: CString, flags: i32) -> Result<(CString, PathBuf), Errno> {
    let by_descriptor = dirfd != libc::AT_FDCWD && !as_path(&path).is_absolute();
    if path.is_empty() && (!by_descriptor || flags & libc::AT_EMPTY_PATH == 0) {
        return Err(Errno::ENOENT);
    }
    if !by_descriptor {
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        let HostPath { path: host, .. } = t.host_path(libc::AT_FDCWD, path.clone(), true)?;
        let host = PathBuf::from(OsStr::from_bytes(host.to_bytes()));
        if !follow && host.symlink_metadata()?.is_symlink() {
            return Err(Errno::ELOOP);
        }
        return Ok((path, std::path::absolute(&host)?));
    }
    let descriptor = format!("/proc/self/fd/{dirfd}");
    let directory = std::fs::read_link(&descriptor).map_err(|_| Errno::EBADF)?;
    let (name, host) = if path.is_empty() {
        // What has no name (any more) is reached by the descriptor, which stays open.
        let host = if directory.exists() { directory } else { keep_open(dirfd)? };
        (format!("/dev/fd/{dirfd}").into_bytes(), host)
    } else {
        let mut name = format!("/dev/fd/{dirfd}/").into_bytes();
        name.extend_from_slice(path.to_bytes());
        (name, directory.join(as_path(&path)))
    };
    Ok((CString::new(name).map_err(|_| Errno::EINVAL)?, host))
}

/// A path to an open file that the new instance can still use.
fn keep_open(fd: i32) -> Result<PathBuf, Errno> {
    let copy = host::call(libc::SYS_dup, &[fd.into()])?;
    Ok(format!("/proc/self/fd/{copy}").into())
}

/// Opens a file that may be executed, and reads its beginning.
fn open_program(path: &Path) -> Result<(std::fs::File, Vec<u8>), Errno> {
    let meta = path.metadata()?;
    let name = c_string(path.to_path_buf())?;
    if !meta.is_file() {
        return Err(Errno::EACCES);
    }
    host::call(
        libc::SYS_faccessat2,
        &[libc::AT_FDCWD.into(), Arg::path(&name), libc::X_OK.into(), libc::AT_EACCESS.into()],
    )?;
    let file = std::fs::File::open(path)?;
    let mut head = vec![0; HEAD];
    let len = file.read_at(&mut head, 0)?;
    head.truncate(len);
    Ok((file, head))
}

/// The interpreter of a script and its one argument (execve(2), "Interpreter scripts").
fn shebang(head: &[u8]) -> Result<Option<(CString, Option<CString>)>, Errno> {
    let Some(line) = head.strip_prefix(b"#!") else { return Ok(None) };
    let end = line.iter().position(|&b| b == b'\n' || b == 0);
    let line = line[..end.unwrap_or(line.len())].trim_ascii();
    let split = line.iter().position(|b| b" \t".contains(b));
    if line.is_empty() || (end.is_none() && split.is_none() && head.len() == HEAD) {
        return Err(Errno::ENOEXEC);
    }
    let string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::ENOEXEC);
    let (name, argument) = line.split_at(split.unwrap_or(line.len()));
    let argument = argument.trim_ascii();
    let argument = if argument.is_empty() { None } else { Some(string(argument)?) };
    Ok(Some((string(name)?, argument)))
}

const EM_386: u16 = 3;
const EM_MIPS: u16 = 8;
const EM_X86_64: u16 = 62;
const EM_RISCV: u16 = 243;
const PT_INTERP: u32 = 3;

/// Must the ELF file run in the emulator? `ENOEXEC` for what nobody can run.
fn is_emulated(t: &Thread, file: &std::fs::File, head: &[u8]) -> Result<bool, Errno> {
    let &[0x7f, b'E', b'L', b'F', class @ 1..=2, data @ 1..=2, ..] = head else { return Err(Errno::ENOEXEC) };
    let layout = Layout { long: usize::from(class) * 4, big: data == 2 };
    let mut r = Reader::new(layout, head);
    let (kind, machine) = (r.seek(16).u16(), r.u16());
    if head.len() < 52 || !matches!(kind, 2 | 3) {
        return Err(Errno::ENOEXEC);
    }
    match machine {
        EM_386 | EM_X86_64 => return Ok(false),
        EM_MIPS | EM_RISCV => {}
        _ => return Err(Errno::ENOEXEC),
    }
    // e_entry, e_phoff, e_shoff, e_flags, e_ehsize, e_phentsize, e_phnum after e_version.
    let (_, phoff, _) = (r.seek(24).long(), r.long(), r.long());
    let (_, _, entry_size, count) = (r.u32(), r.u16(), r.u16(), r.u16());
    check_interpreter(t, file, layout, phoff, u64::from(entry_size), u64::from(count))?;
    Ok(true)
}

/// A missing program interpreter is an error of `execve`.
fn check_interpreter(
    t: &Thread,
    file: &std::fs::File,
    layout: Layout,
    phoff: u64,
    entry_size: u64,
    count: u64,
) -> Result<(), Errno> {
    for i in 0..count {
        let mut bytes = [0; 56];
        let at = phoff.saturating_add(i * entry_size);
        let _ = file.read_at(&mut bytes, at)?;
        let mut r = Reader::new(layout, &bytes);
        if r.u32() != PT_INTERP {
            continue;
        }
        // p_offset and p_filesz: the flags come second in the 64-bit layout.
        let (offset, size) = match layout.long {
            8 => (r.seek(8).u64(), r.seek(32).u64()),
            _ => (r.seek(4).long(), r.seek(16).long()),
        };
        if !(2..=4096).contains(&size) {
            return Err(Errno::ENOEXEC);
        }
        let mut name = vec![0; size as usize];
        file.read_exact_at(&mut name, offset)?;
        let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno::ENOEXEC)?;
        let found = t.process.sysroot.locate(as_path(name), true);
        found.metadata()?;
    }
    Ok(())
}

/// Blocks all signals for good; one that was caught already has to reach its handler first.
fn quiet(t: &Thread) -> Result<Vec<SavedAction>, Errno> {
    host::set_mask_exactly(SigSet::MAX);
    if t.queue.is_pending() {
        t.set_host_mask();
        return Err(Errno::NOT_BEGUN);
    }
    let signals = lock(&t.process.signals);
    Ok(signals.ignored_unseen().filter_map(|signal| host::ignore(signal).ok()).collect())
}

/// The execution has failed after all.
fn resume(t: &Thread, changed: Vec<SavedAction>) {
    changed.into_iter().for_each(SavedAction::restore);
    t.set_host_mask();
}

fn run_emulated(t: &mut Thread, target: Target, envp: Vec<CString>) -> SysResult {
    let trace = t.carried_trace();
    let handoff = Handoff { host_path: target.host, path: target.guest, argv: target.argv, envp, mask: t.mask, trace };
    let bytes = handoff.encode();
    let fd = host::call(libc::SYS_memfd_create, &[Arg::path(c"exec"), 0.into()])?;
    let written = host::call(libc::SYS_pwrite64, &[fd.into(), Arg::input(&bytes), bytes.len().into(), 0.into()]);
    let program = c_string(handoff.host_path.clone())?;
    // A vfork child's memory is its parent's: what is still allocated when it executes would be lost.
    drop((handoff, bytes));
    t.scratch = emulator_arguments(t, fd, program)?;
    let split = t.scratch.iter().position(|s| s.is_empty()).unwrap_or(t.scratch.len());
    let result = written.and_then(|_| quiet(t)).map(|changed| {
        t.release_robust_list();
        t.process.allow_core(true);
        let strings: Vec<&CStr> = t.scratch.iter().map(CString::as_c_str).collect();
        let error = host::execve(c"/proc/self/exe", &strings[..split], &strings[split + 1..]);
        t.process.allow_core(false);
        resume(t, changed);
        error
    });
    let _ = host::call(libc::SYS_close, &[fd.into()]);
    Err(result.unwrap_or_else(|e| e))
}

/// The arguments of the new instance, an empty string, and its environment: this instance's.
fn emulator_arguments(t: &Thread, fd: u64, program: CString) -> Result<Vec<CString>, Errno> {
    let mut list = vec![CString::from(c"emu")];
    for option in &t.process.config.reexec {
        list.push(c_string(option.clone())?);
    }
    list.push(c_string(format!("--exec-fd={fd}"))?);
    list.push(program);
    list.push(CString::default());
    for (name, value) in std::env::vars_os() {
        let mut variable = name;
        variable.push("=");
        variable.push(value);
        list.push(c_string(variable)?);
    }
    Ok(list)
}

fn run_native(t: &mut Thread, target: &Target, envp: &[CString]) -> SysResult {
    let path = c_string(target.host.clone())?;
    let changed = quiet(t)?;
    t.process.restore_limits();
    host::set_mask_exactly(t.mask);
    let argv: Vec<&CStr> = target.argv.iter().map(CString::as_c_str).collect();
    let envp: Vec<&CStr> = envp.iter().map(CString::as_c_str).collect();
    let error = host::execve(&path, &argv, &envp);
    t.process.allow_core(false);
    resume(t, changed);
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handoff_survives() {
        let handoff = Handoff {
            host_path: "/root/bin/x".into(),
            path: b"/bin/x".to_vec(),
            argv: vec![c"x".into(), c"".into(), c"a b".into()],
            envp: vec![c"A=1".into(), c"A=2".into()],
            mask: 5,
            trace: Carried::decode([3, 0x11, 4711]),
        };
        assert_eq!(Handoff::decode(&handoff.encode()), Some(handoff.clone()));
        assert_eq!(Handoff::decode(&handoff.encode()[..60]), None);
    }

    #[test]
    fn scripts_name_their_interpreter() {
        let parse = |head: &str| shebang(head.as_bytes());
        assert_eq!(parse("#!/bin/sh\necho"), Ok(Some((c"/bin/sh".into(), None))));
        assert_eq!(
            parse("#! /usr/bin/env  python3 -u \nx"),
            Ok(Some((c"/usr/bin/env".into(), Some(c"python3 -u".into()))))
        );
        assert_eq!(parse("#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(parse("echo"), Ok(None));
    }
}
