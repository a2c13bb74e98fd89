//! What the kernel looks at before it executes a file: may it be executed, and is it a script (`fs/exec.c`, `fs/binfmt_script.c`)?

use super::errno::Errno;
use super::host::{self, Arg};
use super::path::c_string;
use std::ffi::CString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// `BINPRM_BUF_SIZE`: how much of a file decides what it is.
pub(crate) const HEAD: usize = 256;
/// How many scripts may be each other's interpreter.
pub(crate) const MAX_SCRIPTS: usize = 5;

/// A script's interpreter and its one argument.
pub(crate) type Shebang = (CString, Option<CString>);

/// Opens a file that may be executed, as far as its rights go.
pub(crate) fn open_executable(path: &Path) -> Result<File, Errno> {
    let meta = path.metadata()?;
    if !meta.is_file() {
        return Err(Errno::EACCES);
    }
    let name = c_string(path.to_path_buf())?;
    host::call(
        libc::SYS_faccessat2,
        &[libc::AT_FDCWD.into(), Arg::path(&name), libc::X_OK.into(), libc::AT_EACCESS.into()],
    )?;
    Ok(File::open(path)?)
}

/// What only an execution tells: is the file open for writing, or on a file system without executions? With arguments at an address
/// that is no process's, execve fails when it comes to them, which is after it has opened the file (or before it, on old kernels).
pub(crate) fn ask_the_host(path: &Path) -> Result<(), Errno> {
    const NOWHERE: u64 = 0xffff_8000_0000_0000;
    let name = c_string(path.to_path_buf())?;
    match host::call(libc::SYS_execve, &[Arg::path(&name), NOWHERE.into(), Arg::NULL]) {
        Err(error @ (Errno::ETXTBSY | Errno::EACCES)) => Err(error),
        _ => Ok(()),
    }
}

/// The beginning of a file.
pub(crate) fn head_of(file: &File) -> Result<Vec<u8>, Errno> {
    let mut head = vec![0; HEAD];
    let len = file.read_at(&mut head, 0)?;
    head.truncate(len);
    Ok(head)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The interpreter of a script and its one argument; `None` if it is no script.
///
/// The buffer ends in zeros, and a zero ends a name. A name that may go on behind the buffer is none.
pub(crate) fn shebang(head: &[u8]) -> Result<Option<Shebang>, Errno> {
    if !head.starts_with(b"#!") {
        return Ok(None);
    }
    let mut buffer = [0; HEAD];
    buffer[..head.len()].copy_from_slice(head);
    let text = &buffer[2..];
    let line = match text.iter().position(|&b| b == b'\n') {
        Some(end) => &text[..end],
        None => {
            let name = text.iter().position(|&b| !is_blank(b)).ok_or(Errno::ENOEXEC)?;
            if !text[name..].iter().any(|&b| is_blank(b) || b == 0) {
                return Err(Errno::ENOEXEC);
            }
            &text[..text.len() - 1]
        }
    };
    let end = line.iter().rposition(|&b| !is_blank(b)).map_or(0, |last| last + 1);
    let line = &line[..end];
    let start = line.iter().position(|&b| !is_blank(b)).ok_or(Errno::ENOEXEC)?;
    let line = &line[start..];
    let split = line.iter().position(|&b| is_blank(b) || b == 0).unwrap_or(line.len());
    let (name, rest) = line.split_at(split);
    let argument = match rest.first() {
        Some(&b) if b != 0 => rest.iter().position(|&b| !is_blank(b)).map(|at| c_prefix(&rest[at..])),
        _ => None,
    };
    Ok(Some((c_prefix(name), argument)))
}

/// The bytes up to the first zero.
fn c_prefix(bytes: &[u8]) -> CString {
    CString::new(bytes.split(|&b| b == 0).next().unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &[u8]) -> Result<Option<(String, Option<String>)>, Errno> {
        let text = |s: CString| s.into_string().unwrap();
        shebang(head).map(|found| found.map(|(name, argument)| (text(name), argument.map(text))))
    }

    fn names(name: &str, argument: Option<&str>) -> Result<Option<(String, Option<String>)>, Errno> {
        Ok(Some((name.to_owned(), argument.map(str::to_owned))))
    }

    #[test]
    fn scripts_name_their_interpreter() {
        assert_eq!(parsed(b"#!/bin/sh\necho"), names("/bin/sh", None));
        assert_eq!(parsed(b"#! \t/usr/bin/env  python3 -u \t\nx"), names("/usr/bin/env", Some("python3 -u")));
        assert_eq!(parsed(b"#!/bin/sh -e\r\n"), names("/bin/sh", Some("-e\r")));
        assert_eq!(parsed(b"#!/bin/sh"), names("/bin/sh", None), "the file ends");
        assert_eq!(parsed(b"#!/bin/sh -x"), names("/bin/sh", Some("-x")), "the file ends");
        assert_eq!(parsed(b"#!/bin/sh\0 -x\n"), names("/bin/sh", None));
        assert_eq!(parsed(b"#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(parsed(b"#!  \t\n"), Err(Errno::ENOEXEC));
        assert_eq!(parsed(b"#!"), names("", None), "which is not found");
        assert_eq!(parsed(b"echo"), Ok(None));
        assert_eq!(parsed(b""), Ok(None));
    }

    #[test]
    fn a_line_may_be_longer_than_the_buffer_but_not_the_name() {
        let long = |text: &str| {
            format!("#!{text}").into_bytes().into_iter().chain([b'x'; HEAD]).take(HEAD).collect::<Vec<_>>()
        };
        assert_eq!(parsed(&long("/bin/")), Err(Errno::ENOEXEC));
        let (name, argument) = parsed(&long("/bin/sh ")).unwrap().unwrap();
        assert_eq!((name.as_str(), argument.unwrap().len()), ("/bin/sh", HEAD - 1 - 10));
        assert_eq!(parsed(&[b"#!".as_slice(), &[b' '; HEAD - 2]].concat()), Err(Errno::ENOEXEC));
    }
}
