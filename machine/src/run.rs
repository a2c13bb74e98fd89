//! From a file to a running guest process.
//!
//! [`run_program`] opens a program and its interpreter, makes memory, an engine and a [`Process`], and becomes it.
#![forbid(unsafe_code)]

use crate::diff::{DiffConfig, Session};
use crate::engine::lockstep::LockstepVcpu;
use crate::engine::{Engine, EngineConfig, EngineStats, EngineVcpu, FuelSource, Observer};
use crate::guest::{self, Choice};
use crate::limits;
use crate::linux::abi::FrameKind;
use crate::linux::explain::Recorder;
use crate::linux::image::{AuxInfo, LoadError, LoadRequest, Loaded, Program, load};
use crate::linux::stack;
use crate::linux::{self, Config, ExecHook, Process, Running, Sysroot, host, vdso};
use crate::mem::{GuestMemory, MemoryLimits};
use crate::program::{GuestError, OpenError, ProgramFile};
use crate::sandbox::{self, Policy, SandboxError};
use crate::start::{Resolved, resolve};
use emu_backend_jit::JitError;
use emu_ir::CpuState;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
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
        /// A descriptor with the file, where the kernel has opened it (binfmt_misc).
        binary: Option<i32>,
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
    /// The instructions that the whole run has used, if they are limited.
    pub fuel_used: Option<u64>,
    /// The exit status.
    pub status: i32,
}

/// Called when the guest process ends by itself.
pub type ExitHook = Box<dyn Fn(&RunStats) + Send + Sync>;

/// A run in the sandbox.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// What the guest may do.
    pub policy: Policy,
    /// The emulator's arguments that say this, for programs that the guest executes.
    pub arguments: fn(&Policy) -> Vec<OsString>,
}

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
    /// What the guest may do, if not everything.
    pub sandbox: Option<SandboxConfig>,
    /// The emulator's arguments, after its name, for programs that the guest executes.
    pub reexec: Vec<OsString>,
    /// Sees translated code.
    pub observer: Option<Arc<dyn Observer>>,
    /// The file of a run's report of what is missing ([`crate::linux::explain`]).
    pub explain: Option<PathBuf>,
    /// Called at the end.
    pub on_exit: Option<ExitHook>,
    /// Both engines run the program and are compared.
    pub diff: Option<DiffConfig>,
    /// What the run may use: of these, what each process sees to for itself.
    pub limits: limits::RunLimits,
    /// What the processes of the run share, if it is limited.
    pub session: Option<Arc<limits::Session>>,
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
            sandbox: None,
            reexec: Vec::new(),
            observer: None,
            explain: None,
            on_exit: None,
            diff: None,
            limits: limits::RunLimits::default(),
            session: None,
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
    #[error("{}: a script that cannot be run: {why}", path.display())]
    Script { path: PathBuf, why: &'static str },
    #[error("the sysroot {} is no directory", .0.display())]
    Sysroot(PathBuf),
    #[error("the descriptor of --exec-fd holds no program: {0}")]
    Handoff(#[source] io::Error),
    #[error("no address space for the guest: {0}")]
    Memory(#[source] io::Error),
    #[error(transparent)]
    Engine(#[from] JitError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
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
    let executed = matches!(config.start, Start::Handoff(_));
    if config.sandbox.is_some() && !executed {
        close_inherited();
    }
    let (resolved, program) = resolve(config.start, &sysroot)?;
    let interpreter = open_interpreter(&program, &sysroot)?;
    let files: Vec<&ProgramFile> = [&program].into_iter().chain(interpreter.as_ref()).collect();
    let sandbox = match &config.sandbox {
        Some(SandboxConfig { policy, .. }) if executed => Some(inherit_sandbox(policy, &files)?),
        Some(SandboxConfig { policy, .. }) => Some(begin_sandbox(policy, config.sysroot.as_deref(), &files)?),
        None => None,
    };
    let session_file = config.session.as_ref().map(|session| session.path().to_owned());
    let own: Vec<PathBuf> = config.explain.clone().into_iter().chain(session_file).collect();
    let sandbox = sandbox.map(|policy| Policy { own, ..policy });
    let mut reexec = config.reexec;
    if let (Some(SandboxConfig { arguments, .. }), Some(policy)) = (&config.sandbox, &sandbox) {
        reexec.extend(arguments(policy));
    }
    let choice = guest::choose(&program.image, interpreter.as_ref().map(|i| &i.image), config.cpu.as_deref())?;
    let mem = Arc::new(choice.memory().map_err(RunError::Memory)?);
    let own = config.limits.memory.unwrap_or(u64::MAX);
    mem.set_limits(MemoryLimits { own, ..MemoryLimits::NONE });
    let memory_limits = resolved.inherited.memory_limits.or_else(|| config.limits.begin());
    let (loaded, sigreturn) = load_all(&mem, &program, interpreter.as_ref(), &resolved, &choice)
        .map_err(|error| RunError::Load { program: program.path.clone(), error })?;
    let Choice { guest, abi, .. } = choice;
    let mut cpu = CpuState { pc: loaded.pc, ..CpuState::default() };
    abi.set_sp(&mut cpu, loaded.sp);

    let isa = guest.name();
    let explain = config.explain.map(|file| Recorder::new(file, Arc::clone(&guest), &program.path));
    let lockstep = config.diff.as_ref().map(|diff| diff.lockstep);
    let engine =
        Engine::new(guest, Arc::clone(&mem), EngineConfig { lockstep, confine: sandbox.is_some(), ..config.engine })?;
    let fuel = config.session.clone().filter(|limited| limited.has_fuel());
    let has_fuel = fuel.is_some();
    if let Some(fuel) = fuel {
        engine.set_fuel(fuel as Arc<dyn FuelSource>);
    }
    engine.set_neighbours(Arc::new(linux::window::Family::default()));
    let session = config.diff.map(|diff| Session::new(diff, &engine, &program.path));
    if let Some(observer) = config.observer {
        engine.set_observer(observer);
    }
    let process_cell = Arc::new(OnceLock::new());
    let settings = Config {
        sysroot: config.sysroot,
        reexec,
        sandbox: sandbox.clone(),
        strace: config.strace,
        isa,
        // The numbers of a run on fuel are wanted however it ends.
        catch_deaths: session.is_some() || explain.is_some() || has_fuel && config.on_exit.is_some(),
        on_exit: all_hooks(
            config.on_exit.map(|hook| at_exit(hook, &engine, &process_cell, begun, config.session.clone())),
            session.clone(),
            explain.clone(),
        ),
        explain,
        before_exec: session.clone().map(|session| Box::new(move || session.add_counts()) as ExecHook),
        session: config.session.clone(),
        memory_limits,
    };
    let running = Running {
        auxv: stack::auxv_bytes(&loaded.auxv, &program.image),
        stack_top: loaded.args.start,
        host_path: resolved.host_path,
        path: resolved.path,
        exec_fn: resolved.exec_fn,
        argv: resolved.argv,
        envp: resolved.envp,
        inherited: resolved.inherited,
        sigreturn,
    };
    let process = Process::new(mem, abi, settings, running);
    // Just made: it is empty.
    let _ = process_cell.set(Arc::downgrade(&process));
    drop((program, interpreter));
    // An instance that a sandboxed one has executed has its restrictions, of which the kernel stacks only so many.
    let inherited = executed && sandbox::is_restricted();
    if let Some(policy) = sandbox.filter(|_| !inherited) {
        sandbox::restrict(&policy)?;
    }
    process.run(match session {
        Some(session) => Box::new(LockstepVcpu::new(engine, cpu, session)),
        None => Box::new(EngineVcpu::new(engine, cpu)),
    })
}

/// Closes what the emulator was started with beside the standard descriptors: nobody has said that the guest may have it.
fn close_inherited() {
    const FIRST: u32 = 3;
    // Should a kernel not have the call, the descriptors stay, as without a sandbox; one with Landlock has it.
    let _ = host::call(libc::SYS_close_range, &[FIRST.into(), u32::MAX.into(), 0.into()]);
}

/// The policy of a run that begins: the program and what it was linked for can be read.
fn begin_sandbox(policy: &Policy, sysroot: Option<&Path>, files: &[&ProgramFile]) -> Result<Policy, SandboxError> {
    if let Some(unknown) = policy.calls.iter().find(|call| !linux::knows_call(&call.name)) {
        return Err(SandboxError::Call(unknown.name.clone()));
    }
    let needed: Vec<&Path> = files.iter().map(|file| file.path.as_path()).chain(sysroot).collect();
    Ok(Policy { run: linux::own_id(), ..policy.settled(&needed)? })
}

/// The policy of a run that goes on with another program, which was looked up by name: what was opened is what counts.
fn inherit_sandbox(policy: &Policy, files: &[&ProgramFile]) -> Result<Policy, SandboxError> {
    for file in files {
        let link = format!("/proc/self/fd/{}", file.file.as_raw_fd());
        let real = std::fs::read_link(link).map_err(|error| SandboxError::Path { path: file.path.clone(), error })?;
        if !policy.reads(&real) && !sandbox::is_nameless(&real) {
            return Err(SandboxError::Program(real));
        }
    }
    Ok(policy.clone())
}

/// The user's hook, then the ends of the session and of the report.
fn all_hooks(
    hook: Option<crate::linux::ExitHook>,
    session: Option<Arc<Session>>,
    explain: Option<Arc<Recorder>>,
) -> Option<crate::linux::ExitHook> {
    if session.is_none() && explain.is_none() {
        return hook;
    }
    Some(Box::new(move |status| {
        if let Some(hook) = &hook {
            hook(status);
        }
        if let Some(recorder) = &explain {
            recorder.end();
        }
        if let Some(session) = &session {
            session.end();
        }
    }))
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
        exec_fn: &resolved.exec_fn,
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
    let secure = host::auxiliary(libc::AT_SECURE).is_some_and(|secure| secure != 0);
    AuxInfo { random, uid, euid, gid, egid, secure, ..AuxInfo::default() }
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
    session: Option<Arc<limits::Session>>,
) -> crate::linux::ExitHook {
    let (engine, process) = (Arc::clone(engine), Arc::clone(process));
    Box::new(move |status| {
        let process = process.get().and_then(Weak::upgrade);
        hook(&RunStats {
            engine: engine.stats(),
            unknown_syscalls: process.map(|p| p.unknown_syscalls()).unwrap_or_default(),
            elapsed: begun.elapsed(),
            fuel_used: session.as_ref().and_then(|session| session.fuel_used()),
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
