//! `--strace`: a line a call, as strace -f prints them.

use super::errno::Errno;
use super::host::{self, Arg};
use super::table::{Args, Kind, SysResult, Syscall};
use super::thread::Thread;
use std::fmt::Write;

/// How much of a string or a buffer is shown.
const SHOWN: usize = 64;
/// Stands for the argument that is known after the call only.
const LATER: char = '\u{1}';

/// `open`'s flags beside the access mode.
const OPEN_FLAGS: &[(i32, &str)] = &[
    (libc::O_CREAT, "O_CREAT"),
    (libc::O_EXCL, "O_EXCL"),
    (libc::O_NOCTTY, "O_NOCTTY"),
    (libc::O_TRUNC, "O_TRUNC"),
    (libc::O_APPEND, "O_APPEND"),
    (libc::O_NONBLOCK, "O_NONBLOCK"),
    (libc::O_SYNC, "O_SYNC"),
    (libc::O_DIRECT, "O_DIRECT"),
    (libc::O_DIRECTORY, "O_DIRECTORY"),
    (libc::O_NOFOLLOW, "O_NOFOLLOW"),
    (libc::O_CLOEXEC, "O_CLOEXEC"),
    (libc::O_PATH, "O_PATH"),
    (libc::O_TMPFILE & !libc::O_DIRECTORY, "O_TMPFILE"),
];

fn open_flags(flags: i32) -> String {
    let mut text = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"][(flags & 3) as usize].to_string();
    let mut rest = flags & !3;
    for &(bits, name) in OPEN_FLAGS {
        if rest & bits == bits {
            rest &= !bits;
            let _ = write!(text, "|{name}");
        }
    }
    if rest != 0 {
        let _ = write!(text, "|{rest:#x}");
    }
    text
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &b in bytes.iter().take(SHOWN) {
        match b {
            b'"' => text.push_str("\\\""),
            _ => text.extend(std::ascii::escape_default(b).map(char::from)),
        }
    }
    text.push_str(if bytes.len() > SHOWN { "\"..." } else { "\"" });
    text
}

fn buffer(t: &Thread, addr: u64, len: u64) -> String {
    let shown = len.min(SHOWN as u64 + 1) as usize;
    t.read(addr, shown).map_or_else(|_| format!("{addr:#x}"), |bytes| quoted(&bytes))
}

fn argument(t: &Thread, args: &Args, i: usize, kind: Kind) -> String {
    let (value, int) = (args.get(i), args.int(i));
    match kind {
        Kind::Fd if int == libc::AT_FDCWD => "AT_FDCWD".to_string(),
        Kind::Int | Kind::Fd => int.to_string(),
        Kind::Hex => format!("{:#x}", args.uint(i)),
        Kind::Mode => format!("{:#o}", args.uint(i)),
        Kind::Size | Kind::Wide => value.to_string(),
        Kind::Long | Kind::Offset => (value as i64).to_string(),
        Kind::Ptr | Kind::Str | Kind::In | Kind::Out if value == 0 => "NULL".to_string(),
        Kind::Ptr => format!("{value:#x}"),
        Kind::Str => t.read_path(value).map_or_else(|_| format!("{value:#x}"), |path| quoted(path.to_bytes())),
        Kind::In => buffer(t, value, args.get(i + 1)),
        Kind::Out => LATER.to_string(),
        Kind::Sig => signal_name(t.process.abi.signal_to_host(int)),
        Kind::Open => open_flags(t.process.abi.open_flags_to_host(int)),
    }
}

const SIGNALS: [&str; 32] = [
    "0",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

pub(super) fn signal_name(signal: i32) -> String {
    match usize::try_from(signal) {
        Ok(n) if n < SIGNALS.len() => SIGNALS[n].to_string(),
        _ => format!("SIGRT_{}", signal - 32),
    }
}

/// The beginning of the line. A call that may not return is printed at once.
pub(super) fn before(t: &Thread, entry: &Syscall, args: &Args) -> String {
    let shown: Vec<String> = entry.kinds.iter().enumerate().map(|(i, kind)| argument(t, args, i, *kind)).collect();
    let line = format!("[pid {}] {}({})", t.tid, entry.name, shown.join(", "));
    if matches!(entry.name, "exit" | "exit_group" | "execve" | "execveat" | "rt_sigreturn" | "sigreturn") {
        print(format!("{line} = ?\n"));
    }
    line
}

/// The end of the line.
pub(super) fn after(t: &Thread, entry: &Syscall, args: &Args, result: SysResult, line: String) {
    let line = match entry.kinds.iter().position(|k| *k == Kind::Out) {
        Some(i) => line.replace(LATER, &buffer(t, args.get(i), result.unwrap_or(0))),
        None => line,
    };
    let result = match result {
        Ok(value) if value >= 1 << 20 => format!("{value:#x}"),
        Ok(value) => value.to_string(),
        Err(Errno::NO_RESULT) => return,
        Err(e) => format!("-1 {e:?}"),
    };
    print(format!("{line} = {result}\n"));
}

/// A signal goes to its handler.
pub(super) fn signal(t: &Thread, info: &host::RawInfo) {
    let (name, code) = (signal_name(info.signal()), info.code());
    print(format!("[pid {}] --- {name} {{si_code={code}}} ---\n", t.tid));
}

fn print(line: String) {
    let _ = host::call(libc::SYS_write, &[2.into(), Arg::input(line.as_bytes()), line.len().into()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(open_flags(libc::O_RDWR | libc::O_CREAT), "O_RDWR|O_CREAT");
        assert_eq!(quoted(b"a\n\"b"), "\"a\\n\\\"b\"");
        assert_eq!((signal_name(11), signal_name(34)), ("SIGSEGV".to_string(), "SIGRT_2".to_string()));
    }
}
