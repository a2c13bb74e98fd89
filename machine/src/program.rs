//! Opening a program and choosing the guest that runs it.
#![forbid(unsafe_code)]

use crate::elf::{Class, ElfError, Image, Machine};
use emu_frontend_riscv::{Config, ConfigError, Riscv};
use emu_ir::Guest;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
        let io = |error| OpenError::Io { path: path.to_owned(), error };
        let file = File::open(path).map_err(io)?;
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
        let program = ProgramFile::open(path)?;
        match program.image.unsupported() {
            Some(why) => Err(OpenError::Unsupported { path: path.to_owned(), why }),
            None => Ok(program),
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

/// Why no guest can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum GuestError {
    #[error(transparent)]
    Isa(#[from] ConfigError),
    #[error("--cpu {name} has {cpu} bits, the program {program}")]
    Width { name: String, cpu: u32, program: u32 },
    #[error("{0}")]
    Unsupported(String),
}

/// The RISC-V hart for a program: an ISA string, or all that is implemented.
///
/// # Errors
/// If the string is none, or for the other width, or the program is not for RISC-V.
pub fn riscv_for(image: &Image, cpu: Option<&str>) -> Result<Riscv, GuestError> {
    if let Some(why) = image.unsupported().filter(|_| image.machine != Machine::RiscV) {
        return Err(GuestError::Unsupported(why));
    }
    let program = match image.class {
        Class::Elf32 => 32,
        Class::Elf64 => 64,
    };
    let config = match cpu {
        None | Some("max") => Config::max(program),
        Some(isa) => Config::parse(isa)?,
    };
    if config.xlen != program {
        return Err(GuestError::Width { name: cpu.unwrap_or_default().to_owned(), cpu: config.xlen, program });
    }
    Ok(Riscv::new(config))
}

/// [`riscv_for`] as a guest of any architecture.
///
/// # Errors
/// As there.
pub fn guest_for(image: &Image, cpu: Option<&str>) -> Result<Arc<dyn Guest>, GuestError> {
    Ok(Arc::new(riscv_for(image, cpu)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Image {
        ProgramFile::open(Path::new("../examples/hello")).unwrap().image
    }

    #[test]
    fn the_width_is_the_programs() {
        assert_eq!(riscv_for(&hello(), None).unwrap().config(), &Config::max(64));
        assert_eq!(riscv_for(&hello(), Some("max")).unwrap().config(), &Config::max(64));
        assert_eq!(guest_for(&hello(), Some("rv64gc")).unwrap_or_else(|e| panic!("{e}")).name(), "rv64gc");
        let error = riscv_for(&hello(), Some("rv32gc")).err().unwrap();
        assert_eq!(error.to_string(), "--cpu rv32gc has 32 bits, the program 64");
    }

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
