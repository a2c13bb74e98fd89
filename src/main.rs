//! The command line of `emu`.
//!
//! Two steps: [`cli`] turns arguments and the environment into plain configurations, [`commands`] carries them out. No
//! library of the workspace reads either.
#![forbid(unsafe_code)]

mod binfmt;
mod cli;
mod commands;
mod dump;
mod error;
mod options;
mod perf_map;
mod sandbox;
mod stats;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    match cli::by_kernel(&args).map_or_else(|| cli::parse(args), Ok) {
        Ok(command) => commands::execute(command).unwrap_or_else(|error| error.report()),
        Err(refusal) => cli::report(&refusal),
    }
}
