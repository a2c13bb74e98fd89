//! Opening a program.
#![forbid(unsafe_code)]

use crate::elf::{ElfError, Image};
use crate::guest::choose;
use emu_ir::Guest;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::guest::GuestError;

/// A program's file and what its headers say.
#[derive(Debug)]
pub struct ProgramFile {
    /// The path it was opened by.
    pub path: PathBuf,
    /// The file.
    pub file: File,
    /// Its headers.
    pub image: Image,
}

/// Why a file is no program that can be run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum OpenError {
    #[error("{}: {}", path.display(), reason(error))]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: is a directory", .0.display())]
    Directory(PathBuf),
    #[error("{}: is not a regular file", .0.display())]
    Special(PathBuf),
    #[error("{}: a script; run its interpreter {interpreter} instead", path.display())]
    Script { path: PathBuf, interpreter: String },
    #[error("{}: {error}", path.display())]
    Elf { path: PathBuf, error: ElfError },
    #[error("{}: not supported: {why}", path.display())]
    Unsupported { path: PathBuf, why: String },
}

impl OpenError {
    /// Is there no such file? (Otherwise there is one, which cannot be run.)
    pub fn is_missing(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound};
        matches!(self, OpenError::Io { error, .. } if matches!(error.kind(), NotFound | NotADirectory))
    }
}

/// What the operating system says, without Rust's "(os error N)".
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let (first, rest) = text[..end].split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_lowercase() + rest
}

impl ProgramFile {
    /// Opens an ELF file, of any machine.
    ///
    /// # Errors
    /// [`OpenError`], never [`OpenError::Unsupported`].
    pub fn open(path: &Path) -> Result<ProgramFile, OpenError> {
        let file = File::open(path).map_err(|error| OpenError::Io { path: path.to_owned(), error })?;
        ProgramFile::of(path, file)
    }

    /// The ELF file `file`, of any machine, which messages call `path`.
    ///
    /// # Errors
    /// [`OpenError`], never [`OpenError::Unsupported`].
    pub fn of(path: &Path, file: File) -> Result<ProgramFile, OpenError> {
        let io = |error| OpenError::Io { path: path.to_owned(), error };
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(OpenError::Directory(path.to_owned()));
        }
        if !metadata.is_file() {
            return Err(OpenError::Special(path.to_owned()));
        }
        match Image::open(&file) {
            Ok(image) => Ok(ProgramFile { path: path.to_owned(), file, image }),
            Err(error) => Err(no_elf(path, &file, error)),
        }
    }

    /// The whole file.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn read(&self) -> Result<Vec<u8>, OpenError> {
        let mut data = Vec::new();
        let mut file = &self.file;
        let read = file.rewind().and_then(|()| file.read_to_end(&mut data));
        read.map_err(|error| OpenError::Io { path: self.path.clone(), error })?;
        Ok(data)
    }

    /// Opens an ELF file that this emulator can run.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_supported(path: &Path) -> Result<ProgramFile, OpenError> {
        ProgramFile::open(path)?.supported()
    }

    /// Itself, if this emulator can run it.
    ///
    /// # Errors
    /// [`OpenError::Unsupported`].
    pub fn supported(self) -> Result<ProgramFile, OpenError> {
        match self.image.unsupported() {
            Some(why) => Err(OpenError::Unsupported { path: self.path, why }),
            None => Ok(self),
        }
    }
}

/// A script says so; anything else is what the parser says.
fn no_elf(path: &Path, file: &File, error: ElfError) -> OpenError {
    let mut start = [0; 256];
    let read = file.read_at(&mut start, 0).unwrap_or(0);
    match start[..read].strip_prefix(b"#!") {
        Some(line) if error == ElfError::NotElf => {
            let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
            let interpreter = String::from_utf8_lossy(line).trim().to_owned();
            OpenError::Script { path: path.to_owned(), interpreter }
        }
        _ => OpenError::Elf { path: path.to_owned(), error },
    }
}

/// The processor for a program of any architecture.
///
/// # Errors
/// As [`crate::guest::choose`].
pub fn guest_for(image: &Image, cpu: Option<&str>) -> Result<Arc<dyn Guest>, GuestError> {
    Ok(choose(image, None, cpu)?.guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program() {
        let text = |path: &str| ProgramFile::open(Path::new(path)).unwrap_err().to_string();
        assert_eq!(text("/nowhere"), "/nowhere: no such file or directory");
        assert_eq!(text("/"), "/: is a directory");
        assert_eq!(text("/dev/null"), "/dev/null: is not a regular file");
        assert_eq!(text("Cargo.toml"), "Cargo.toml: not an ELF file");
        let script = "../tests/guest/prepare: a script; run its interpreter /usr/bin/env bash instead";
        assert_eq!(text("../tests/guest/prepare"), script);
    }
}
