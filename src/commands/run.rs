//! `emu run`.

use super::diff;
use crate::dump::Dump;
use crate::error::{Error, status};
use crate::options::{DumpKind, RunOptions, SharedOptions};
use crate::sandbox::SandboxOptions;
use crate::stats;
use emu_machine::engine::{EngineConfig, HOT_PERIOD};
use emu_machine::limits::{Session, supervise};
use emu_machine::linux::explain;
use emu_machine::run::{RunConfig, Start, run_program};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

/// Executions after which `emu diff` compares a block at all, unless it is to compare everything.
const WARM: u32 = 16;

/// Runs a program; comes back only with an error.
pub(crate) fn run(mut options: RunOptions) -> Result<ExitCode, Error> {
    start_log(options.shared.verbose)?;
    diff::begin(&mut options.shared)?;
    let session = limited(&mut options)?;
    let begun = begin_explain(&mut options.shared)?;
    // The guest may change its working directory, and what it executes needs the sysroot, too.
    if let Some(sysroot) = &mut options.shared.sysroot {
        *sysroot = std::path::absolute(&sysroot).map_err(Error::emulator)?;
    }
    let start = match options.exec_fd {
        Some(fd) => Start::Handoff(fd),
        None => new_start(&options),
    };
    let mut config = config(&options.shared, options.reexec_args(), start);
    config.sandbox = options.shared.sandbox.as_ref().map(SandboxOptions::config).transpose()?;
    config.session = session;
    config.limits = options.shared.limits.run;
    let Err(error) = run_program(config);
    if let (true, Some(file)) = (begun, &options.shared.explain_file) {
        let _ = std::fs::remove_file(file);
    }
    Err(error.into())
}

/// Begins a run with limits, if there are any that need it, and comes back in a process of its own; or joins it.
fn limited(options: &mut RunOptions) -> Result<Option<Arc<Session>>, Error> {
    let limits = &mut options.shared.limits;
    let lost = |error| Error::emulator(format!("the run's limits: {error}"));
    if let Some(path) = &limits.session {
        return Session::open(path).map(Some).map_err(lost);
    }
    if !limits.run.need_supervision() {
        return Ok(None);
    }
    let status = if options.shared.diff.is_some() { status::LIMIT_OF_DIFF } else { status::LIMIT };
    let directory = options.shared.sandbox.is_some().then(std::env::temp_dir);
    let program = options.program.display().to_string();
    let session = supervise(&limits.run, &program, status.into(), directory.as_deref()).map_err(lost)?;
    limits.session = Some(session.path().to_owned());
    Ok(Some(session))
}

/// A start of a program by the user.
fn new_start(options: &RunOptions) -> Start {
    let argv0 = options.argv0.clone().unwrap_or_else(|| options.program.clone().into());
    Start::Program {
        path: options.program.clone(),
        argv: std::iter::once(argv0).chain(options.args.iter().cloned()).collect(),
        environment: options.environment(std::env::vars_os()),
        binary: options.binary,
    }
}

fn config(options: &SharedOptions, reexec: Vec<OsString>, start: Start) -> RunConfig {
    let mut config = RunConfig::new(start);
    config.sysroot = options.sysroot.clone();
    config.cpu = options.cpu.clone();
    config.engine = EngineConfig { tier: options.engine.tier(), ..EngineConfig::default() };
    config.engine.code_size = options.code_cache.unwrap_or(config.engine.code_size);
    if let Some(diff) = &options.diff {
        config.engine.threshold = diff.hot;
        config.engine.quick = Some(WARM);
        config.engine.run = HOT_PERIOD;
        config.diff = Some(diff::config(diff));
    }
    config.strace = options.strace;
    config.explain = options.explain_file.clone();
    config.reexec = reexec;
    // Quick code has no Cranelift IR: who asks for it wants to see what Cranelift makes of the program.
    if options.dumps.iter().any(|dump| dump.kind == DumpKind::Clif) && options.diff.is_none() {
        config.engine.quick = None;
    }
    if !options.dumps.is_empty() || options.perf_map {
        config.observer = Some(Arc::new(Dump::new(options.dumps.clone(), options.perf_map)));
    }
    if let Some(format) = options.stats {
        config.on_exit = Some(Box::new(move |stats| eprintln!("{}", stats::format(stats, format))));
    }
    config
}

/// Begins the report of what is missing, if it is wanted and this is the run's first process.
fn begin_explain(options: &mut SharedOptions) -> Result<bool, Error> {
    let begins = options.explain && options.explain_file.is_none();
    if begins {
        let directory = std::env::temp_dir();
        let begun = std::path::absolute(&directory).and_then(|directory| explain::begin(&directory));
        options.explain_file = Some(begun.map_err(|e| Error::emulator(format!("{}: {e}", directory.display())))?);
    }
    Ok(begins)
}

/// Sends the log to the standard error, for those who ask for one.
fn start_log(verbose: u8) -> Result<(), Error> {
    use tracing_subscriber::filter::LevelFilter;
    let level = match verbose {
        0 => return Ok(()),
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).without_time();
    log.try_init().map_err(Error::emulator)
}
