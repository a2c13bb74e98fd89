//! `emu run`.

use super::diff;
use crate::dump::Dump;
use crate::error::Error;
use crate::options::{DumpKind, RunOptions, SharedOptions};
use crate::sandbox::SandboxOptions;
use crate::stats;
use emu_machine::engine::{EngineConfig, HOT_PERIOD};
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
    let start = match options.exec_fd {
        Some(fd) => Start::Handoff(fd),
        None => new_start(&options),
    };
    let mut config = config(&options.shared, options.reexec_args(), start);
    config.sandbox = options.shared.sandbox.as_ref().map(SandboxOptions::config).transpose()?;
    match run_program(config)? {}
}

/// A start of a program by the user.
fn new_start(options: &RunOptions) -> Start {
    let argv0 = options.argv0.clone().unwrap_or_else(|| options.program.clone().into());
    Start::Program {
        path: options.program.clone(),
        argv: std::iter::once(argv0).chain(options.args.iter().cloned()).collect(),
        environment: options.environment(std::env::vars_os()),
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
