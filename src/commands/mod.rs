//! The subcommands.

mod binfmt;
mod diff;
mod disasm;
mod info;
mod run;

use crate::cli::Command;
use crate::error::Error;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// Carries a command out. `emu run` only comes back if the program could not be started.
pub(crate) fn execute(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Run(options) => run::run(*options),
        Command::Replay { file, planted } => diff::replay(&file, planted),
        Command::Disasm { file, range, cpu } => disasm::disasm(&file, range.as_ref(), cpu.as_deref()),
        Command::Binfmt(options) => binfmt::binfmt(&options),
        Command::Info { file } => info::info(&file),
    }
}

/// The end of a command that prints: a reader that has seen enough (`| head`) is no error.
fn printed(result: io::Result<()>) -> Result<ExitCode, Error> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::emulator(format!("standard output: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
