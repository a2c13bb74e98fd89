//! Which file a run starts with: as the user, a guest's execve or the kernel names it, with the interpreters of scripts.
#![forbid(unsafe_code)]

use crate::linux::script::{self, MAX_SCRIPTS};
use crate::linux::{Handoff, Inherited, Sysroot, host};
use crate::program::{OpenError, ProgramFile};
use crate::run::{RunError, Start};
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A start with all names resolved.
pub(crate) struct Resolved {
    /// A path of the host that opens the file as long as the process lives.
    pub(crate) host_path: PathBuf,
    /// The file as the guest sees it (`/proc/self/exe`).
    pub(crate) path: Vec<u8>,
    /// AT_EXECFN: the name by which it, or the script that it runs, was executed.
    pub(crate) exec_fn: Vec<u8>,
    pub(crate) argv: Vec<CString>,
    pub(crate) envp: Vec<CString>,
    pub(crate) inherited: Inherited,
}

/// Finds and opens the program.
pub(crate) fn resolve(start: Start, sysroot: &Sysroot) -> Result<(Resolved, ProgramFile), RunError> {
    let (exec_fn, argv, envp, inherited, program) = match start {
        Start::Handoff(fd) => {
            let handoff = Handoff::take(fd).map_err(RunError::Handoff)?;
            let program = ProgramFile::of(&handoff.host_path, host::own_file(handoff.file))?.supported()?;
            (handoff.exec_fn, handoff.argv, handoff.envp, handoff.inherited, program)
        }
        Start::Program { path, argv, environment, binary } => {
            let exec_fn = path.as_os_str().as_bytes().to_vec();
            let (program, argv) = open_named(path, c_strings(argv)?, binary, sysroot)?;
            (exec_fn, argv, c_strings(environment)?, Inherited::default(), program)
        }
    };
    let (host_path, path) = names(&program, sysroot);
    Ok((Resolved { host_path, path, exec_fn, argv, envp, inherited }, program))
}

fn c_strings(strings: Vec<OsString>) -> Result<Vec<CString>, RunError> {
    strings.into_iter().map(|s| CString::new(s.into_vec()).map_err(|_| RunError::Nul)).collect()
}

/// How the host opens a program's file, and what the guest calls it. A file without a name is kept open for `/proc/self/exe`, out of the
/// way of the descriptors that a guest counts on.
fn names(program: &ProgramFile, sysroot: &Sysroot) -> (PathBuf, Vec<u8>) {
    const DESCRIPTOR: i32 = 900;
    let descriptor = format!("/proc/self/fd/{}", program.file.as_raw_fd());
    let canonical = || program.path.canonicalize().unwrap_or_else(|_| program.path.clone());
    let name = std::fs::read_link(&descriptor).unwrap_or_else(|_| canonical());
    let same = |(a, b): (std::fs::Metadata, std::fs::Metadata)| a.dev() == b.dev() && a.ino() == b.ino();
    let has_name = name.metadata().ok().zip(program.file.metadata().ok()).is_some_and(same);
    let guest = sysroot.to_guest(&name).into_os_string().into_vec();
    if has_name {
        return (name, guest);
    }
    let args = [program.file.as_raw_fd().into(), libc::F_DUPFD_CLOEXEC.into(), DESCRIPTOR.into()];
    let copy = host::call(libc::SYS_fcntl, &args);
    (copy.map_or_else(|_| program.path.clone(), |fd| format!("/proc/self/fd/{fd}").into()), guest)
}

/// Opens what the user names, or else the interpreter that a script names, whose arguments it then has.
fn open_named(
    path: PathBuf,
    mut argv: Vec<CString>,
    binary: Option<i32>,
    sysroot: &Sysroot,
) -> Result<(ProgramFile, Vec<CString>), RunError> {
    let (mut named, mut file) = match binary {
        Some(fd) => (path.clone(), host::own_file(fd)),
        None => open_first(&path, sysroot)?,
    };
    let mut name = CString::new(path.into_os_string().into_vec()).map_err(|_| RunError::Nul)?;
    let script = named.clone();
    for _ in 0..=MAX_SCRIPTS {
        let fails = |why| RunError::Script { path: named.clone(), why };
        // A directory has no head; whoever opens it as a program says what it is.
        let head = script::head_of(&file).unwrap_or_default();
        let Some((interpreter, argument)) = script::shebang(&head)
            .map_err(|_| fails("its first line names no interpreter, or one that is too long"))?
        else {
            let program = ProgramFile::of(&named, file).and_then(ProgramFile::supported);
            let interpreter = |error| RunError::Interpreter {
                program: script.clone(),
                interpreter: named.clone(),
                error,
                sysroot: sysroot.is_some(),
            };
            let of_script = |error| if named == script { RunError::Open(error) } else { interpreter(error) };
            return Ok((program.map_err(of_script)?, argv));
        };
        argv.splice(..argv.len().min(1), [Some(interpreter.clone()), argument, Some(name)].into_iter().flatten());
        let wanted = PathBuf::from(OsStr::from_bytes(interpreter.to_bytes()));
        let host = if wanted.is_absolute() { sysroot.locate(&wanted, true) } else { wanted.clone() };
        file = script::open_executable(&host).and_then(|file| script::ask_the_host(&host).map(|()| file)).map_err(
            |errno| RunError::Interpreter {
                program: named.clone(),
                interpreter: wanted,
                error: OpenError::Io { path: host.clone(), error: std::io::Error::from_raw_os_error(errno.0) },
                sysroot: sysroot.is_some(),
            },
        )?;
        (named, name) = (host, interpreter);
    }
    Err(RunError::Script { path: script, why: "its interpreter is a script, whose interpreter is one, and so on" })
}

/// Opens the first file: the one that the user names, else the one in the sysroot. A script that is in both is the one in the sysroot, since
/// that is what its interpreter will find.
fn open_first(path: &Path, sysroot: &Sysroot) -> Result<(PathBuf, File), RunError> {
    let open = |path: &Path| File::open(path).map_err(|error| OpenError::Io { path: path.to_owned(), error });
    let inside = path.is_absolute().then(|| sysroot.locate(path, true)).filter(|inside| inside != path);
    let outside = open(path);
    let is_script = |file: &File| script::head_of(file).is_ok_and(|head| head.starts_with(b"#!"));
    match (outside, inside) {
        (Ok(file), Some(inside)) if is_script(&file) && inside.exists() => Ok((inside.clone(), open(&inside)?)),
        (Err(error), Some(inside)) if error.is_missing() && inside.exists() => Ok((inside.clone(), open(&inside)?)),
        (outside, _) => Ok((path.to_owned(), outside?)),
    }
}
