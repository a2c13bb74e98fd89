//! The command line of `emu`.
//!
//! Two steps: [`cli`] turns arguments and the environment into plain configurations, [`commands`] carries them out. No
//! library of the workspace reads either.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod dump;
mod error;
mod options;
mod perf_map;
mod sandbox;
mod stats;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(command) => commands::execute(command).unwrap_or_else(|error| error.report()),
        Err(refusal) => cli::report(&refusal),
    }
}
