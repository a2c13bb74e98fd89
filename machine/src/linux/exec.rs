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
use super::script::{self, MAX_SCRIPTS};
use super::table::{Args, SysResult};
use super::thread::Thread;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// `MAX_ARG_STRLEN`.
const LONGEST_ARGUMENT: usize = 128 << 10;
/// What arguments and environment may take together, of a stack of 8 MiB.
const ALL_ARGUMENTS: usize = 2 << 20;

/// What an executed program inherits beside what the host's kernel passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// A path of the host to the file to load, for messages.
    pub host_path: PathBuf,
    /// The name by which it, or a script that it runs, was executed.
    pub exec_fn: Vec<u8>,
    /// The file to load, a descriptor of the new instance's own.
    pub file: i32,
    /// Arguments, the first one included.
    pub argv: Vec<CString>,
    /// Environment.
    pub envp: Vec<CString>,
    /// The rest.
    pub inherited: Inherited,
    mask: SigSet,
}

/// What an executed program inherits that the host's kernel knows nothing of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// `RLIMIT_AS` and `RLIMIT_DATA`, soft and hard; `None` where a run begins.
    pub memory_limits: Option<[[u64; 2]; 2]>,
    /// Filters of system calls.
    pub seccomp: Vec<u8>,
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
        // A pipe has nothing to go back to.
        let _ = file.rewind();
        file.read_to_end(&mut bytes)?;
        let handoff = Handoff::decode(&bytes).ok_or(std::io::ErrorKind::InvalidData)?;
        host::set_mask_exactly(handoff.mask);
        Ok(handoff)
    }

    fn encode(&self) -> Vec<u8> {
        let Inherited { memory_limits, seccomp, trace } = &self.inherited;
        let numbers =
            [self.mask, self.argv.len() as u64, self.envp.len() as u64, self.file as u64, seccomp.len() as u64];
        let limits = memory_limits.unwrap_or([[u64::MAX; 2]; 2]);
        let numbers = numbers.into_iter().chain(limits.into_iter().flatten()).chain(trace.encode());
        let mut bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        bytes.extend_from_slice(seccomp);
        for string in [self.host_path.as_os_str().as_bytes(), &self.exec_fn] {
            bytes.extend_from_slice(string);
            bytes.push(0);
        }
        for string in self.argv.iter().chain(&self.envp) {
            bytes.extend_from_slice(string.as_bytes_with_nul());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Handoff> {
        let (head, rest) = bytes.split_at_checked(96)?;
        let number = |i: usize| head[8 * i..].first_chunk().map(|b| u64::from_le_bytes(*b));
        let (seccomp, strings) = rest.split_at_checked(number(4)? as usize)?;
        let memory_limits = Some([[number(5)?, number(6)?], [number(7)?, number(8)?]]);
        let mut strings =
            strings.split_inclusive(|&b| b == 0).map_while(|s| CString::from_vec_with_nul(s.to_vec()).ok());
        let host_path = PathBuf::from(OsString::from_vec(strings.next()?.into_bytes()));
        let exec_fn = strings.next()?.into_bytes();
        let argv: Vec<CString> = strings.by_ref().take(number(1)? as usize).collect();
        let envp: Vec<CString> = strings.take(number(2)? as usize).collect();
        (argv.len() as u64 == number(1)? && envp.len() as u64 == number(2)?).then_some(())?;
        let trace = Carried::decode([number(9)?, number(10)?, number(11)?]);
        let inherited = Inherited { memory_limits, seccomp: seccomp.to_vec(), trace };
        Some(Handoff { host_path, exec_fn, file: number(3)? as i32, argv, envp, inherited, mask: number(0)? })
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
    /// The file at `host`, open.
    file: File,
    /// AT_EXECFN: what was executed by which name, be it a script.
    exec_fn: Vec<u8>,
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
    // What was found has a name of its own; a vfork child would leave these to its parent.
    t.held_files.get_mut().clear();
    t.give_back();
    if let Some(hook) = &t.process.config.before_exec {
        hook();
    }
    if let Some(recorder) = &t.process.config.explain {
        // A program of the host has nothing to add: if it takes the first process's place, the report ends here.
        if target.emulated { recorder.flush() } else { recorder.end() }
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

/// A file as `execve` was told of it.
struct Named {
    /// Its name for its script's arguments.
    name: CString,
    /// The file.
    host: PathBuf,
    /// The name is one of a descriptor that the execution closes: nobody can open it afterwards.
    vanishes: bool,
}

/// Finds the file to load and its arguments; all errors of `execve` come from here.
fn find(t: &Thread, dirfd: i32, path: CString, mut argv: Vec<CString>, flags: i32) -> Result<Target, Errno> {
    let mut named = locate(t, dirfd, path, flags)?;
    let exec_fn = named.name.to_bytes().to_vec();
    for _ in 0..=MAX_SCRIPTS {
        named.host = t.confined_name(named.host)?;
        let file = script::open_executable(&named.host)?;
        // In the sandbox the host executes nothing.
        if t.confined().is_none() {
            script::ask_the_host(&named.host)?;
        }
        t.judge_file(&file)?;
        let head = script::head_of(&file)?;
        if let Some((interpreter, argument)) = script::shebang(&head)? {
            if named.vanishes {
                return Err(Errno::ENOENT);
            }
            argv.splice(..1, [Some(interpreter.clone()), argument, Some(named.name)].into_iter().flatten());
            named = locate(t, libc::AT_FDCWD, interpreter, 0)?;
            continue;
        }
        let emulated = is_emulated(t, &file, &head)?;
        if !emulated && t.confined().is_some() {
            return Err(Errno::EACCES);
        }
        return Ok(Target { host: named.host, file, exec_fn, argv, emulated });
    }
    Err(Errno::ELOOP)
}

/// Finds the file of a program's name.
fn locate(t: &Thread, dirfd: i32, path: CString, flags: i32) -> Result<Named, Errno> {
    let by_descriptor = dirfd != libc::AT_FDCWD && !as_path(&path).is_absolute();
    if path.is_empty() && (!by_descriptor || flags & libc::AT_EMPTY_PATH == 0) {
        return Err(Errno::ENOENT);
    }
    if !by_descriptor {
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        let HostPath { path: host, .. } = t.host_path(libc::AT_FDCWD, path.clone(), true)?;
        let host = PathBuf::from(OsStr::from_bytes(host.to_bytes()));
        if !follow && t.confined().is_none() && host.symlink_metadata()?.is_symlink() {
            return Err(Errno::ELOOP);
        }
        return Ok(Named { name: path, host: std::path::absolute(&host)?, vanishes: false });
    }
    let closes = host::call(libc::SYS_fcntl, &[dirfd.into(), libc::F_GETFD.into()])? & libc::FD_CLOEXEC as u64 != 0;
    let descriptor = format!("/proc/self/fd/{dirfd}");
    let (name, host) = if path.is_empty() {
        (format!("/dev/fd/{dirfd}").into_bytes(), descriptor.into())
    } else {
        let host = std::fs::read_link(&descriptor).map_err(|_| Errno::EBADF)?.join(as_path(&path));
        if flags & libc::AT_SYMLINK_NOFOLLOW != 0 && t.confined().is_none() && host.symlink_metadata()?.is_symlink() {
            return Err(Errno::ELOOP);
        }
        let mut name = format!("/dev/fd/{dirfd}/").into_bytes();
        name.extend_from_slice(path.to_bytes());
        (name, host)
    };
    Ok(Named { name: CString::new(name).map_err(|_| Errno::EINVAL)?, host, vanishes: closes })
}

const EM_386: u16 = 3;
const EM_MIPS: u16 = 8;
const EM_X86_64: u16 = 62;
const EM_RISCV: u16 = 243;
const PT_INTERP: u32 = 3;

/// Must the ELF file run in the emulator? `ENOEXEC` for what nobody can run.
fn is_emulated(t: &Thread, file: &File, head: &[u8]) -> Result<bool, Errno> {
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
    file: &File,
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
        let found = t.confined_name(t.process.sysroot.locate(as_path(name), true))?;
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
    let Target { host: host_path, file, exec_fn, argv, .. } = target;
    let inherited = Inherited {
        memory_limits: Some(t.process.memory_limits()),
        seccomp: t.seccomp.encode(),
        trace: t.carried_trace(),
    };
    let handoff = Handoff { host_path, exec_fn, file: file.as_raw_fd(), argv, envp, inherited, mask: t.mask };
    let bytes = handoff.encode();
    let fd = write_handoff(&bytes)?;
    let Handoff { host_path, argv, envp, inherited, .. } = handoff;
    let program = c_string(host_path)?;
    // A vfork child's memory is its parent's: what is still allocated when it executes would be lost, but for this.
    drop((bytes, inherited));
    t.scratch = emulator_arguments(t, fd, program.clone())?;
    let own = t.scratch.len();
    t.scratch.push(program);
    let arguments = own + 1..own + 1 + argv.len();
    t.scratch.extend(argv);
    t.scratch.extend(envp);
    let result = quiet(t).map(|changed| {
        t.release_robust_list();
        t.process.allow_core(true);
        let strings: Vec<&CStr> = t.scratch.iter().map(CString::as_c_str).collect();
        let split = strings.iter().position(|s| s.is_empty()).unwrap_or(own);
        let descriptors = [fd as i32, file.as_raw_fd()];
        close_on_exec(descriptors, false);
        let mut error = host::execve(c"/proc/self/exe", &strings[..split], &strings[split + 1..own]);
        if error == Errno::ENOENT && t.confined().is_none() {
            close_on_exec(descriptors, true);
            error = by_the_kernel(t, strings[own], &strings[arguments.clone()], &strings[arguments.end..]);
        }
        t.process.allow_core(false);
        resume(t, changed);
        error
    });
    let _ = host::call(libc::SYS_close, &[fd.into()]);
    Err(result.unwrap_or_else(|e| e))
}

/// A memory file with the bytes, or where RLIMIT_FSIZE forbids one, a pipe.
fn write_handoff(bytes: &[u8]) -> Result<u64, Errno> {
    let mut limit = [0u64; 2];
    let args = [0.into(), (libc::RLIMIT_FSIZE as i32).into(), Arg::NULL, Arg::from_mut(&mut limit)];
    host::call(libc::SYS_prlimit64, &args)?;
    if bytes.len() as u64 > limit[0] {
        return write_pipe(bytes);
    }
    let fd = host::call(libc::SYS_memfd_create, &[Arg::path(c"exec"), libc::MFD_CLOEXEC.into()])?;
    let written = host::call(libc::SYS_pwrite64, &[fd.into(), Arg::input(bytes), bytes.len().into(), 0.into()]);
    close_unless(fd, written)
}

fn write_pipe(bytes: &[u8]) -> Result<u64, Errno> {
    let mut ends = [0i32; 2];
    host::call(libc::SYS_pipe2, &[Arg::from_mut(&mut ends), libc::O_CLOEXEC.into()])?;
    let [from, to] = ends;
    // The host rounds up, and refuses more than it lets a pipe hold.
    let sized = host::call(libc::SYS_fcntl, &[to.into(), libc::F_SETPIPE_SZ.into(), bytes.len().into()]);
    let written = sized.and_then(|_| host::call(libc::SYS_write, &[to.into(), Arg::input(bytes), bytes.len().into()]));
    let _ = host::call(libc::SYS_close, &[to.into()]);
    close_unless(from as u64, written.map_err(|_| Errno::E2BIG))
}

/// The descriptor, or nothing if what was done with it failed.
fn close_unless(fd: u64, done: Result<u64, Errno>) -> Result<u64, Errno> {
    if done.is_err() {
        let _ = host::call(libc::SYS_close, &[fd.into()]);
    }
    done.map(|_| fd)
}

fn close_on_exec(descriptors: [i32; 2], close: bool) {
    for fd in descriptors {
        let done = host::call(libc::SYS_fcntl, &[fd.into(), libc::F_SETFD.into(), i32::from(close).into()]);
        debug_assert!(done.is_ok(), "it is open");
    }
}

/// The emulator does not reach its own file, as in a root directory without `/proc`: if it is registered with binfmt_misc, the kernel does.
fn by_the_kernel(t: &Thread, path: &CStr, argv: &[&CStr], envp: &[&CStr]) -> Errno {
    let mask = host::set_mask_exactly(t.mask);
    let error = host::execve(path, argv, envp);
    host::set_mask_exactly(mask);
    // Without such an entry the first answer stands.
    if error == Errno::ENOEXEC { Errno::ENOENT } else { error }
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
            exec_fn: b"./x".to_vec(),
            file: 7,
            argv: vec![c"x".into(), c"".into(), c"a b".into()],
            envp: vec![c"A=1".into(), c"A=2".into()],
            inherited: Inherited {
                memory_limits: Some([[1, 2], [3, u64::MAX]]),
                seccomp: vec![0, 1, 2],
                trace: Carried::decode([3, 0x11, 4711]),
            },
            mask: 5,
        };
        assert_eq!(Handoff::decode(&handoff.encode()), Some(handoff.clone()));
        assert_eq!(Handoff::decode(&handoff.encode()[..120]), None);
    }
}
