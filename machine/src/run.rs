//! From a file to a running guest process.
//!
//! [`run_program`] opens a program and its interpreter, makes memory, an engine and a [`Process`], and becomes it.
#![forbid(unsafe_code)]

use crate::diff::{DiffConfig, Session};
use crate::engine::lockstep::LockstepVcpu;
use crate::engine::{Engine, EngineConfig, EngineStats, EngineVcpu, Observer};
use crate::guest::{self, Choice};
use crate::linux::abi::FrameKind;
use crate::linux::image::{AuxInfo, LoadError, LoadRequest, Loaded, Program, load};
use crate::linux::stack;
use crate::linux::{Carried, Config, ExecHook, Handoff, Process, Running, Sysroot, host, vdso};
use crate::mem::GuestMemory;
use crate::program::{GuestError, OpenError, ProgramFile};
use emu_backend_jit::JitError;
use emu_ir::CpuState;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// What to start.
#[derive(Debug)]
pub enum Start {
    /// A program that the user names.
    Program {
        /// Its file.
        path: PathBuf,
        /// All arguments, the first included.
        argv: Vec<OsString>,
        /// The whole environment, `NAME=VALUE` each.
        environment: Vec<OsString>,
    },
    /// What a guest's execve(2) left in this descriptor for a new instance of the emulator.
    Handoff(i32),
}

/// Numbers of a run, when the guest process has ended by itself.
#[derive(Debug)]
pub struct RunStats {
    /// The engine's.
    pub engine: EngineStats,
    /// System calls that are not implemented: name or number, and how often they were made.
    pub unknown_syscalls: Vec<(String, u64)>,
    /// Time since the program was started.
    pub elapsed: Duration,
    /// The exit status.
    pub status: i32,
}

/// Called when the guest process ends by itself.
pub type ExitHook = Box<dyn Fn(&RunStats) + Send + Sync>;

/// All that determines a run.
pub struct RunConfig {
    /// What to start.
    pub start: Start,
    /// Where the guest's absolute paths are looked up first.
    pub sysroot: Option<PathBuf>,
    /// The ISA string; by default all that is implemented.
    pub cpu: Option<String>,
    /// The engine's settings.
    pub engine: EngineConfig,
    /// Print system calls to the standard error.
    pub strace: bool,
    /// The emulator's arguments, after its name, for programs that the guest executes.
    pub reexec: Vec<OsString>,
    /// Sees translated code.
    pub observer: Option<Arc<dyn Observer>>,
    /// Called at the end.
    pub on_exit: Option<ExitHook>,
    /// Both engines run the program and are compared.
    pub diff: Option<DiffConfig>,
}

impl RunConfig {
    /// The defaults.
    pub fn new(start: Start) -> RunConfig {
        RunConfig {
            start,
            sysroot: None,
            cpu: None,
            engine: EngineConfig::default(),
            strace: false,
            reexec: Vec::new(),
            observer: None,
            on_exit: None,
            diff: None,
        }
    }
}

/// Why a program does not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum RunError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Guest(#[from] GuestError),
    #[error("{}: its interpreter {} {}; {}", program.display(), interpreter.display(), why(error), hint(*sysroot))]
    Interpreter { program: PathBuf, interpreter: PathBuf, error: OpenError, sysroot: bool },
    #[error("{}: {error}", program.display())]
    Load { program: PathBuf, error: LoadError },
    #[error("the sysroot {} is no directory", .0.display())]
    Sysroot(PathBuf),
    #[error("the descriptor of --exec-fd holds no program: {0}")]
    Handoff(#[source] io::Error),
    #[error("no address space for the guest: {0}")]
    Memory(#[source] io::Error),
    #[error(transparent)]
    Engine(#[from] JitError),
    #[error("an argument or variable contains a NUL byte")]
    Nul,
}

fn why(error: &OpenError) -> String {
    if error.is_missing() { "is missing".to_owned() } else { format!("cannot be used ({error})") }
}

fn hint(sysroot: bool) -> &'static str {
    if sysroot {
        "it is looked up in the directory given by -L first"
    } else {
        "give the directory of the program's system by -L (or EMU_SYSROOT)"
    }
}

/// A start with all names resolved.
struct Resolved {
    /// As the user names it, for messages.
    named: PathBuf,
    /// An absolute path of the host.
    host_path: PathBuf,
    /// As the guest names it.
    path: Vec<u8>,
    argv: Vec<CString>,
    envp: Vec<CString>,
    trace: Carried,
}

/// Runs a program to its end, which is the end of this process. Call it on the main thread.
///
/// # Errors
/// If the program cannot be started.
pub fn run_program(config: RunConfig) -> Result<Infallible, RunError> {
    let begun = Instant::now();
    if let Some(root) = config.sysroot.as_ref().filter(|root| !root.is_dir()) {
        return Err(RunError::Sysroot(root.clone()));
    }
    let sysroot = Sysroot::new(config.sysroot.clone());
    let resolved = resolve(config.start, &sysroot)?;
    let program = ProgramFile::open_supported(&resolved.named)?;
    let interpreter = open_interpreter(&program, &sysroot)?;
    let choice = guest::choose(&program.image, interpreter.as_ref().map(|i| &i.image), config.cpu.as_deref())?;
    let mem = Arc::new(choice.memory().map_err(RunError::Memory)?);
    let (loaded, sigreturn) = load_all(&mem, &program, interpreter.as_ref(), &resolved, &choice)
        .map_err(|error| RunError::Load { program: program.path.clone(), error })?;
    let Choice { guest, abi, .. } = choice;
    let mut cpu = CpuState { pc: loaded.pc, ..CpuState::default() };
    abi.set_sp(&mut cpu, loaded.sp);

    let isa = guest.name();
    let lockstep = config.diff.as_ref().map(|diff| diff.lockstep);
    let engine = Engine::new(guest, Arc::clone(&mem), EngineConfig { lockstep, ..config.engine })?;
    let session = config.diff.map(|diff| Session::new(diff, &engine, &program.path));
    if let Some(observer) = config.observer {
        engine.set_observer(observer);
    }
    let process_cell = Arc::new(OnceLock::new());
    let linux = Config {
        sysroot: config.sysroot,
        reexec: config.reexec,
        strace: config.strace,
        isa,
        catch_deaths: session.is_some(),
        on_exit: both(config.on_exit.map(|hook| at_exit(hook, &engine, &process_cell, begun)), session.clone()),
        before_exec: session.clone().map(|session| Box::new(move || session.add_counts()) as ExecHook),
    };
    let running = Running {
        auxv: stack::auxv_bytes(&loaded.auxv, &program.image),
        stack_top: loaded.args.start,
        host_path: resolved.host_path,
        path: resolved.path,
        argv: resolved.argv,
        envp: resolved.envp,
        trace: resolved.trace,
        sigreturn,
    };
    let process = Process::new(mem, abi, linux, running);
    // Just made: it is empty.
    let _ = process_cell.set(Arc::downgrade(&process));
    drop((program, interpreter));
    process.run(match session {
        Some(session) => Box::new(LockstepVcpu::new(engine, cpu, session)),
        None => Box::new(EngineVcpu::new(engine, cpu)),
    })
}

/// The user's hook, then the session's end.
fn both(hook: Option<crate::linux::ExitHook>, session: Option<Arc<Session>>) -> Option<crate::linux::ExitHook> {
    let Some(session) = session else { return hook };
    Some(Box::new(move |status| {
        if let Some(hook) = &hook {
            hook(status);
        }
        session.end();
    }))
}

/// Finds the program: as the user names it, else in the sysroot.
fn resolve(start: Start, sysroot: &Sysroot) -> Result<Resolved, RunError> {
    match start {
        Start::Handoff(fd) => {
            let Handoff { host_path, path, argv, envp, trace, .. } = Handoff::take(fd).map_err(RunError::Handoff)?;
            Ok(Resolved { named: host_path.clone(), host_path, path, argv, envp, trace })
        }
        Start::Program { path, argv, environment } => {
            let inside = (path.is_absolute() && !path.exists()).then(|| sysroot.locate(&path, true));
            let found = inside.filter(|p| p.exists()).unwrap_or(path);
            let host_path = found.canonicalize().unwrap_or_else(|_| found.clone());
            let path = sysroot.to_guest(&host_path).into_os_string().into_vec();
            let (argv, envp, trace) = (c_strings(argv)?, c_strings(environment)?, Carried::default());
            Ok(Resolved { named: found, host_path, path, argv, envp, trace })
        }
    }
}

fn c_strings(strings: Vec<OsString>) -> Result<Vec<CString>, RunError> {
    strings.into_iter().map(|s| CString::new(s.into_vec()).map_err(|_| RunError::Nul)).collect()
}

/// Opens what the program's PT_INTERP names.
fn open_interpreter(program: &ProgramFile, sysroot: &Sysroot) -> Result<Option<ProgramFile>, RunError> {
    let Some(name) = &program.image.interp else { return Ok(None) };
    let interpreter = PathBuf::from(OsStr::from_bytes(name));
    let host_path = sysroot.locate(&interpreter, true);
    ProgramFile::open_supported(&host_path).map(Some).map_err(|error| RunError::Interpreter {
        program: program.path.clone(),
        interpreter,
        error,
        sysroot: sysroot.is_some(),
    })
}

/// Maps the vDSO and loads the program; also says where signal handlers return to.
fn load_all(
    mem: &GuestMemory,
    program: &ProgramFile,
    interpreter: Option<&ProgramFile>,
    resolved: &Resolved,
    choice: &Choice,
) -> Result<(Loaded, Vec<u64>), LoadError> {
    fn part(file: &ProgramFile) -> Program<'_> {
        Program { file: &file.file, image: &file.image }
    }
    let bytes = |strings: &[CString]| strings.iter().map(|s| s.as_bytes().to_vec()).collect::<Vec<_>>();
    let (argv, envp) = (bytes(&resolved.argv), bytes(&resolved.envp));
    let vdso = vdso::map_for(mem, &*choice.abi)?;
    let aux = AuxInfo {
        hwcap: choice.hwcap,
        base_platform: choice.base_platform,
        min_signal_stack: Some(choice.abi.frame_size(FrameKind::Rt)),
        vdso: Some(vdso.base),
        ..ids()
    };
    let request = LoadRequest {
        program: part(program),
        interpreter: interpreter.map(part),
        argv: &argv,
        envp: &envp,
        exec_fn: &resolved.path,
        aux: &aux,
        stack_size: stack_size(),
    };
    Ok((load(mem, &request)?, vdso.functions))
}

/// Identity and randomness for the auxiliary vector.
fn ids() -> AuxInfo {
    let id = |number| host::call(number, &[]).unwrap_or(0) as u32;
    let (uid, euid, gid, egid) =
        (id(libc::SYS_getuid), id(libc::SYS_geteuid), id(libc::SYS_getgid), id(libc::SYS_getegid));
    let mut random = [0; 16];
    // Without it the guest's canaries are weak, and it runs all the same.
    let _ = host::call(libc::SYS_getrandom, &[host::Arg::output(&mut random), 16.into(), 0.into()]);
    AuxInfo { random, uid, euid, gid, egid, ..AuxInfo::default() }
}

/// The soft RLIMIT_STACK.
fn stack_size() -> u64 {
    const DEFAULT: u64 = 8 << 20;
    let mut limit = [0_u64; 2];
    let args = [0.into(), (libc::RLIMIT_STACK as i32).into(), host::Arg::NULL, host::Arg::slice_mut(&mut limit)];
    host::call(libc::SYS_prlimit64, &args).map_or(DEFAULT, |_| limit[0])
}

/// Collects the numbers for the hook. The process and its settings, which hold this, must not keep each other alive.
fn at_exit(
    hook: ExitHook,
    engine: &Arc<Engine>,
    process: &Arc<OnceLock<Weak<Process>>>,
    begun: Instant,
) -> crate::linux::ExitHook {
    let (engine, process) = (Arc::clone(engine), Arc::clone(process));
    Box::new(move |status| {
        let process = process.get().and_then(Weak::upgrade);
        hook(&RunStats {
            engine: engine.stats(),
            unknown_syscalls: process.map(|p| p.unknown_syscalls()).unwrap_or_default(),
            elapsed: begun.elapsed(),
            status,
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_missing_interpreter_says_what_to_do() {
        let error = OpenError::Io { path: "/lib/ld.so".into(), error: io::ErrorKind::NotFound.into() };
        let program = PathBuf::from("/bin/x");
        let text =
            RunError::Interpreter { program, interpreter: "/lib/ld.so".into(), error, sysroot: false }.to_string();
        assert!(text.starts_with("/bin/x: its interpreter /lib/ld.so is missing; ") && text.contains("-L"), "{text}");
    }
}
