//! `emu disasm`.

use super::printed;
use crate::error::Error;
use emu_machine::disasm::Listing;
use emu_machine::program::{ProgramFile, guest_for};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

/// Prints the instructions of a file.
pub(crate) fn disasm(path: &Path, range: Option<&Range<u64>>, cpu: Option<&str>) -> Result<ExitCode, Error> {
    let program = ProgramFile::open_supported(path)?;
    let guest = guest_for(&program.image, cpu)?;
    let data = program.read()?;
    let listing = Listing::new(&data, &program.image);
    let mut out = BufWriter::new(std::io::stdout().lock());
    printed(listing.write(&*guest, range, &mut out).and_then(|()| out.flush()))
}
