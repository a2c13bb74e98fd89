//! `--explain`: a program asks for what is missing, in several processes; one report tells it.
#![forbid(unsafe_code)]

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output};

const EMU: &str = env!("CARGO_BIN_EXE_emu");
const SIGILL: i32 = 4;

fn program(target: &str, name: &str) -> PathBuf {
    let base = std::env::var_os("GUEST_DIR").map_or("target/guest".into(), PathBuf::from);
    let path = base.join("bin").join(target).join(name);
    assert!(path.exists(), "{} is missing: tests/guest/prepare makes it", path.display());
    path.canonicalize().expect("a path")
}

/// Runs it with a directory for temporary files of its own, which is empty afterwards.
fn explained(target: &str, name: &str, args: &[&str]) -> Output {
    let directory = std::env::temp_dir().join(format!("emu-explain-test-{target}-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let mut command = Command::new(EMU);
    command.args(["run", "--explain"]).arg(program(target, name)).args(args).env("TMPDIR", &directory);
    let out = command.output().expect("emu starts");
    std::fs::remove_dir(&directory).expect("nothing is left behind");
    out
}

#[test]
fn all_processes_are_in_one_report() {
    let vectors =
        [("riscv64", "instructions of V (vectors: vsetvl"), ("mipsel", "MSA (vectors"), ("mips", "MSA (vectors")];
    for (target, vector) in vectors {
        let out = explained(target, "missing", &[]);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{target}: {text}");
        assert_eq!(String::from_utf8_lossy(&out.stdout), "done, 0 failures\n");
        assert_eq!(text.matches("emu: ").count(), 1, "{target}: {text}");
        assert!(text.starts_with("emu: 6 things that the run asked for were missing\n"), "{target}: {text}");
        // Five and one of a thread, one of a child that executes, one of a child that is killed.
        assert!(text.contains("\n  system call io_uring_setup: 8 times, answered ENOSYS\n"), "{target}: {text}");
        assert!(text.contains("fall back to epoll"), "{target}: {text}");
        assert!(text.contains("\n  system call bpf: once, answered ENOSYS\n"), "{target}: {text}");
        assert!(text.contains("\n  prctl option 77777: once, answered EINVAL\n"), "{target}: {text}");
        assert!(text.contains("\n  fcntl command 9999: once, answered EINVAL\n"), "{target}: {text}");
        assert!(text.contains("045678: once, answered ENOTTY\n"), "{target}: {text}");
        assert!(
            text.contains(vector) && text.contains("SIGILL, for which the program has a handler"),
            "{target}: {text}"
        );
        assert!(text.contains("syscall") && text.contains("(vector+0x"), "symbols: {target}: {text}");
    }
}

#[test]
fn a_death_is_explained_too() {
    let out = explained("riscv64", "death", &["ill"]);
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.signal(), Some(SIGILL), "{text}");
    assert!(
        text.contains("one thing that the run asked for was missing") && text.contains("answered SIGILL\n"),
        "{text}"
    );
    let out = explained("riscv64", "death", &["term"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("nothing that the run asked for was missing"));
}
