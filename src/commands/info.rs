//! `emu info`.

use super::printed;
use crate::error::Error;
use emu_machine::program::ProgramFile;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Prints what a file is and needs.
pub(crate) fn info(file: &Path) -> Result<ExitCode, Error> {
    let program = ProgramFile::open(file)?;
    printed(write!(std::io::stdout(), "{}", program.image.describe()))
}
