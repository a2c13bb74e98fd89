//! `emu diff`: what it does beside `emu run`.

use crate::error::{Error, status};
use crate::options::{DiffOptions, SharedOptions};
use emu_machine::diff::{self, DiffConfig, begin_session};
use emu_machine::engine::lockstep::{LockstepConfig, PlantedFault, Replay};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Begins a session if there is none, and says so to the programs that the guest executes.
pub(super) fn begin(options: &mut SharedOptions) -> Result<(), Error> {
    let Some(diff) = &mut options.diff else { return Ok(()) };
    let directory = diff.save.take().unwrap_or_else(std::env::temp_dir);
    // The guest may change its working directory.
    let directory = std::path::absolute(&directory).map_err(|e| fails(&directory, &e))?;
    if diff.session.is_none() {
        let file = directory.join(format!("emu-diff-{}.session", std::process::id()));
        begin_session(&file).map_err(|e| fails(&file, &e))?;
        diff.session = Some(file);
    }
    diff.save = Some(directory);
    Ok(())
}

fn fails(path: &Path, error: &std::io::Error) -> Error {
    Error::emulator(format!("{}: {error}", path.display()))
}

/// The machine's settings.
pub(super) fn config(options: &DiffOptions) -> DiffConfig {
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    DiffConfig {
        lockstep: LockstepConfig { segment: options.segment, planted: options.planted, ..LockstepConfig::default() },
        session: path(&options.session),
        directory: path(&options.save),
        status: status::DIVERGED.into(),
    }
}

/// Repeats a divergence.
pub(super) fn replay(file: &Path, planted: Option<PlantedFault>) -> Result<ExitCode, Error> {
    let lockstep = LockstepConfig { planted, ..LockstepConfig::default() };
    Ok(match diff::replay(file, lockstep).map_err(Error::emulator)? {
        Replay::Diverges(divergence) => {
            eprintln!("emu diff: {}: {divergence}", file.display());
            ExitCode::from(status::DIVERGED)
        }
        Replay::Agrees { as_expected: true } => {
            eprintln!("emu diff: {}: no divergence", file.display());
            ExitCode::SUCCESS
        }
        Replay::Agrees { as_expected: false } => {
            eprintln!("emu diff: {}: no divergence, but another result than the interpreter's then", file.display());
            ExitCode::SUCCESS
        }
    })
}
