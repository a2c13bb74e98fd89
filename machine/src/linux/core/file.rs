//! Where a core file goes, and that it overwrites nothing of others.

use super::super::host;
use super::super::thread::Thread;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes the file as the kernel does: no link is followed, and a file that is there must be the process's own, with one name, for nobody
/// else.
pub(super) fn create(t: &Thread, signal: i32) -> Option<File> {
    let path = path(t, signal);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(&path).ok()?;
    let meta = file.metadata().ok()?;
    let own = u64::from(meta.uid()) == host::call(libc::SYS_geteuid, &[]).ok()?;
    let safe = meta.is_file() && own && meta.nlink() == 1 && meta.mode() & 0o677 == 0o600;
    (safe && file.set_len(0).is_ok()).then_some(file)
}

fn setting(name: &str) -> Vec<u8> {
    let value = std::fs::read(Path::new("/proc/sys/kernel").join(name)).unwrap_or_default();
    value.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(value)
}

/// Does `kernel.core_pattern` name a file? A program or a socket is for core files of the host's processes.
pub(super) fn has_place() -> bool {
    !setting("core_pattern").starts_with(b"|") && !setting("core_pattern").starts_with(b"@")
}

/// The file's name by `kernel.core_pattern`.
fn path(t: &Thread, signal: i32) -> PathBuf {
    let pattern = setting("core_pattern");
    let pattern = if pattern.is_empty() { b"core" } else { &pattern[..] };
    let (mut name, has_pid) = expand(pattern, |letter| specifier(t, signal, letter));
    if !has_pid && setting("core_uses_pid").starts_with(b"1") {
        name.extend_from_slice(format!(".{}", host::pid()).as_bytes());
    }
    OsString::from_vec(name).into()
}

/// Replaces what stands after each `%`; also, whether the process's number is among that.
fn expand(pattern: &[u8], specifier: impl Fn(u8) -> Vec<u8>) -> (Vec<u8>, bool) {
    let (mut name, mut has_pid) = (Vec::new(), false);
    let mut rest = pattern.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'%' => match rest.next() {
                Some(b'%') => name.push(b'%'),
                Some(&letter) => {
                    has_pid |= letter == b'p';
                    name.extend(specifier(letter));
                }
                None => {}
            },
            _ => name.push(byte),
        }
    }
    (name, has_pid)
}

/// core(5), "Naming of core dump files"; a slash in a name becomes an exclamation mark.
fn specifier(t: &Thread, signal: i32, letter: u8) -> Vec<u8> {
    let id = |call| host::call(call, &[]).unwrap_or(0).to_string();
    let text = match letter {
        b'p' | b'P' => host::pid().to_string(),
        b'i' | b'I' => t.tid.to_string(),
        b'u' => id(libc::SYS_getuid),
        b'g' => id(libc::SYS_getgid),
        b'd' => "1".to_owned(),
        b's' => t.process.abi.signal_to_guest(signal).to_string(),
        b't' => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()).to_string(),
        b'c' => t.process.core_limit().to_string(),
        b'h' => std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim_end().to_owned(),
        b'e' => std::fs::read_to_string("/proc/self/comm").unwrap_or_default().trim_end().to_owned(),
        b'f' | b'E' => {
            let path = &t.process.program.path;
            let from = if letter == b'E' { 0 } else { path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1) };
            String::from_utf8_lossy(&path[from..]).into_owned()
        }
        _ => String::new(),
    };
    text.into_bytes().into_iter().map(|b| if b == b'/' { b'!' } else { b }).collect()
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn patterns() {
        let expanded = |pattern: &str| {
            let (name, has_pid) = expand(pattern.as_bytes(), |letter| vec![b'<', letter, b'>']);
            (String::from_utf8(name).unwrap(), has_pid)
        };
        assert_eq!(expanded("core"), ("core".to_owned(), false));
        assert_eq!(expanded("/var/core.%e.%p%%"), ("/var/core.<e>.<p>%".to_owned(), true));
        assert_eq!(expanded("c%"), ("c".to_owned(), false));
    }
}
