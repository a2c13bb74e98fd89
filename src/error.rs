//! What goes wrong in the emulator, as opposed to in the guest: one line and an exit status.

use emu_machine::program::{GuestError, OpenError};
use emu_machine::run::RunError;
use std::fmt;
use std::process::ExitCode;

/// Exit statuses of the emulator's own errors, those of env(1) and timeout(1).
pub(crate) mod status {
    /// A limit ended a run of `emu diff`.
    pub(crate) const LIMIT_OF_DIFF: u8 = 123;
    /// A limit ended a run of `emu run`.
    pub(crate) const LIMIT: u8 = 124;
    /// `emu diff` has found a divergence.
    pub(crate) const DIVERGED: u8 = 124;
    /// Wrong usage, or the emulator failed.
    pub(crate) const EMULATOR: u8 = 125;
    /// The program was found but cannot be run.
    pub(crate) const NOT_RUNNABLE: u8 = 126;
    /// The program was not found.
    pub(crate) const NOT_FOUND: u8 = 127;
}

/// An error that ends the emulator.
#[derive(Debug)]
pub(crate) struct Error {
    status: u8,
    line: String,
}

impl Error {
    /// The emulator itself failed, or was asked for what it cannot do.
    pub(crate) fn emulator(reason: impl fmt::Display) -> Error {
        Error { status: status::EMULATOR, line: reason.to_string() }
    }

    /// Prints the line and gives the status.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("emu: {}", self.line);
        ExitCode::from(self.status)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Error {
        let status = if error.is_missing() { status::NOT_FOUND } else { status::NOT_RUNNABLE };
        Error { status, line: error.to_string() }
    }
}

impl From<GuestError> for Error {
    fn from(error: GuestError) -> Error {
        Error::emulator(error)
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Error {
        match error {
            RunError::Open(error) => error.into(),
            RunError::Guest(error) => error.into(),
            RunError::Interpreter { .. } | RunError::Script { .. } | RunError::Load { .. } => {
                Error { status: status::NOT_RUNNABLE, line: error.to_string() }
            }
            RunError::Sysroot { .. }
            | RunError::Handoff(_)
            | RunError::Memory(_)
            | RunError::Engine(_)
            | RunError::Sandbox(_)
            | RunError::Nul => Error::emulator(error),
        }
    }
}
