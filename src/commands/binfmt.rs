//! `emu binfmt`.

use super::printed;
use crate::binfmt::{Guest, is_tellable, named};
use crate::cli::{BinfmtAction, BinfmtOptions};
use crate::error::Error;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const DIRECTORY: &str = "/proc/sys/fs/binfmt_misc";

/// Prints, installs or removes the entries of guests.
pub(crate) fn binfmt(options: &BinfmtOptions) -> Result<ExitCode, Error> {
    let guests = named(&options.guests).map_err(Error::emulator)?;
    let interpreter = || interpreter(options);
    match options.action {
        BinfmtAction::Print => print(&guests, &interpreter()?, options.credentials),
        BinfmtAction::Install => install(&guests, &interpreter()?, options.credentials),
        BinfmtAction::Remove => remove(&guests),
    }
}

/// The emulator's own file, or another that the user names.
fn interpreter(options: &BinfmtOptions) -> Result<PathBuf, Error> {
    let own = || std::env::current_exe().map_err(|e| Error::emulator(format!("where is this program? {e}")));
    let path = options.interpreter.clone().map_or_else(own, Ok)?;
    if !path.is_absolute() {
        return Err(Error::emulator(format!("{}: binfmt_misc wants an absolute path", path.display())));
    }
    if !is_tellable(path.as_os_str()) {
        return Err(Error::emulator(format!("{}: binfmt_misc takes no path with a colon", path.display())));
    }
    Ok(path)
}

fn print(guests: &[Guest], interpreter: &Path, credentials: bool) -> Result<ExitCode, Error> {
    let lines: Vec<u8> = guests.iter().flat_map(|guest| guest.line(interpreter, credentials)).collect();
    printed(io::stdout().write_all(&lines))
}

fn install(guests: &[Guest], interpreter: &Path, credentials: bool) -> Result<ExitCode, Error> {
    check_mounted()?;
    for guest in guests {
        let register = format!("{DIRECTORY}/register");
        tell(&register, &guest.line(interpreter, credentials)).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                refused(guest, "there is such an entry already (emu binfmt --remove takes it away)")
            }
            ErrorKind::NotFound => {
                refused(guest, &format!("the kernel does not find the interpreter {}", interpreter.display()))
            }
            _ => refused(guest, &reason(&error)),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(guests: &[Guest]) -> Result<ExitCode, Error> {
    check_mounted()?;
    for guest in guests {
        match tell(&format!("{DIRECTORY}/{}", guest.entry()), b"-1") {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused(guest, &reason(&error))),
            // One that is not there is removed.
            _ => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(file: &str, text: &[u8]) -> io::Result<()> {
    // One write: the kernel takes each for a whole line.
    std::fs::OpenOptions::new().write(true).open(file)?.write_all(text)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => "no permission; only root may change entries".to_owned(),
        ErrorKind::ReadOnlyFilesystem => {
            format!("{DIRECTORY} is mounted read-only, as in a container; do it on the host")
        }
        _ => error.to_string(),
    }
}

fn refused(guest: &Guest, why: &str) -> Error {
    Error::emulator(format!("{}: {why}", guest.entry()))
}

fn check_mounted() -> Result<(), Error> {
    if Path::new(DIRECTORY).join("register").exists() {
        return Ok(());
    }
    Err(Error::emulator(format!(
        "binfmt_misc is not mounted; as root: mount -t binfmt_misc binfmt_misc {DIRECTORY} (the kernel needs \
         CONFIG_BINFMT_MISC; modprobe binfmt_misc)"
    )))
}
