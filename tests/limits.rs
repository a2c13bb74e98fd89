//! Limits of a run: programs that do not end or want too much end as documented, and nothing is left of them.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const EMU: &str = env!("CARGO_BIN_EXE_emu");
const TARGETS: [&str; 2] = ["riscv64", "mipsel"];
const ENGINES: [&str; 3] = ["interp", "jit", "tiered"];

fn guest(target: &str, name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/guest/bin").join(target).join(name);
    assert!(path.exists(), "{} is missing: run tests/guest/prepare programs", path.display());
    path
}

/// `emu COMMAND OPTIONS misbehave ARGS`, in a process group of its own.
fn misbehave(command: &str, options: &[&str], target: &str, args: &[&str]) -> Command {
    let mut emu = Command::new(EMU);
    emu.arg(command).args(options).arg(guest(target, "misbehave")).args(args).process_group(0);
    emu
}

fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().expect("emu runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints text")
}

/// Processes whose arguments hold all of `words`.
fn running(words: &[&str]) -> usize {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let has = |line: &[u8], word: &str| line.split(|b| *b == 0).any(|arg| arg == word.as_bytes());
    lines.filter(|line| words.iter().all(|word| has(line, word))).count()
}

#[test]
fn time_ends_whatever_the_processes_do() {
    for target in TARGETS {
        for engine in ENGINES {
            // A number that no other run has, to be found by.
            let timeout = format!("--timeout={}us", 1_000_000 + u64::from(std::process::id()));
            let started = Instant::now();
            let out = output(misbehave("run", &[&timeout, "--engine", engine], target, &["hide"]));
            let time = started.elapsed();
            let err = text(&out.stderr);
            assert_eq!(out.status.code(), Some(124), "{target} {engine}: {err}");
            assert_eq!(text(&out.stdout), "ready\n", "{target} {engine}: {err}");
            assert!(err.starts_with("emu: ") && err.ends_with(" is over\n") && err.lines().count() == 1, "{err}");
            assert!(time >= Duration::from_secs(1) && time < Duration::from_secs(20), "{time:?}");
            assert_eq!(running(&[&timeout, "hide"]), 0);
        }
    }
}

#[test]
fn time_ends_a_program_that_has_stopped_itself() {
    let started = Instant::now();
    let out = output(misbehave("run", &["--timeout", "700ms"], "riscv64", &["stop"]));
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(124), "ready\n"), "{}", text(&out.stderr));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_program_that_stops_stops_emu() {
    let mut emu = misbehave("run", &["--timeout", "1m"], "riscv64", &["stop"]);
    let mut child = emu.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("emu runs");
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    let started = Instant::now();
    while state() != Some('T') {
        assert!(started.elapsed() < Duration::from_secs(20), "it does not stop");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it is there");
    child.wait().expect("it has ended");
}

#[test]
fn a_run_ends_with_its_first_process() {
    let started = Instant::now();
    let out = output(misbehave("run", &["--timeout", "1m"], "riscv64", &["orphan"]));
    // The orphan held the output: it would not have come to an end.
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(3), "ready\n"));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn the_program_has_the_descriptors_that_it_would_have() {
    for option in ["--timeout=1m", "--fuel=1G", "--processes=5"] {
        let out = output(misbehave("run", &[option], "riscv64", &["descriptor"]));
        assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    }
}

#[test]
fn the_supervisor_holds_no_pipe() {
    let mut emu = misbehave("run", &["--timeout", "1m"], "riscv64", &["hush"]);
    let mut child = emu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("emu runs");
    let (started, mut all) = (Instant::now(), String::new());
    child.stdout.take().expect("it is piped").read_to_string(&mut all).expect("it ends");
    assert_eq!((all.as_str(), child.try_wait().expect("it is ours")), ("ready\n", None));
    assert!(started.elapsed() < Duration::from_secs(30));
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
}

#[test]
fn diff_has_a_status_of_its_own() {
    let out = output(misbehave("diff", &["--timeout", "500ms"], "riscv64", &["spin"]));
    assert_eq!(out.status.code(), Some(123), "{}", text(&out.stderr));
    let out = output(misbehave("diff", &["--fuel", "10"], "riscv64", &["spin"]));
    assert_eq!(out.status.code(), Some(125));
}

#[test]
fn signals_pass_through_the_supervisor() {
    let mut emu = misbehave("run", &["--timeout", "1m"], "riscv64", &["spin"]);
    let mut child = emu.stdin(Stdio::null()).spawn().expect("emu runs");
    std::thread::sleep(Duration::from_millis(300));
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("there is kill");
    assert!(sent.success());
    assert_eq!(child.wait().expect("it ends").signal(), Some(15));
}

#[test]
fn fuel_ends_at_the_same_instruction() {
    for target in TARGETS {
        let lines: Vec<String> = ENGINES
            .iter()
            .map(|engine| {
                let out = output(misbehave("run", &["--fuel", "1234567", "--engine", engine], target, &["spin"]));
                assert_eq!(out.status.code(), Some(124), "{}", text(&out.stderr));
                let err = text(&out.stderr);
                assert_eq!(err.lines().count(), 1, "{err}");
                let (line, _process) = err.split_once(" (process ").expect("it names the process");
                line.to_owned()
            })
            .collect();
        assert!(lines[0].contains("the fuel of 1234567 instructions is used up at pc 0x"), "{}", lines[0]);
        assert!(lines.iter().all(|line| *line == lines[0]), "{lines:#?}");
    }
}

#[test]
fn all_processes_use_one_fuel() {
    let fuel = format!("--fuel={}", 200_000_000 + u64::from(std::process::id()));
    let out = output(misbehave("run", &[&fuel], "riscv64", &["hide"]));
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(124), "ready\n"), "{}", text(&out.stderr));
    assert_eq!(running(&[&fuel, "hide"]), 0);
}

#[test]
fn programs_that_are_executed_use_the_same_fuel() {
    // `exec` executes itself several times.
    let count = |engine: &str| {
        let mut emu = Command::new(EMU);
        let options = ["run", "--fuel=1G", "--stats=json", "--engine", engine];
        let out = output({
            emu.args(options).arg(guest("riscv64", "spawn"));
            emu
        });
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
        let err = text(&out.stderr).to_owned();
        let (_, last) = err.rsplit_once("\"fuel_used\":").expect("it is told");
        last.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<u64>().ok()).expect("a number")
    };
    let counts = ENGINES.map(count);
    assert!(counts[0] > 10_000 && counts.iter().all(|n| *n == counts[0]), "{counts:?}");
}

#[test]
fn processes_and_threads_are_counted() {
    for target in TARGETS {
        for (what, expected) in [("fork", "9 children, "), ("thread", "9 threads, ")] {
            let out = output(misbehave("run", &["--processes", "10"], target, &[what]));
            let line = text(&out.stdout);
            assert!(line.starts_with(expected) && line.contains("unavailable"), "{line} {}", text(&out.stderr));
        }
        // Those that have ended make room.
        let out = output(misbehave("run", &["--processes", "2"], target, &["turns"]));
        assert_eq!(text(&out.stdout), "done, 0 failures\n", "{}", text(&out.stderr));
    }
}

#[test]
fn memory_is_limited() {
    for target in TARGETS {
        for what in ["map", "shared"] {
            let out = output(misbehave("run", &["--memory", "64M"], target, &[what]));
            let line = text(&out.stdout);
            let (mib, why) = line.split_once(" MiB, ").expect("it says how much");
            let mib: u32 = mib.parse().expect("a number");
            assert!((60..64).contains(&mib) && why.contains("allocate memory"), "{line}");
        }
        // What does not fit is not loaded.
        let out = output(misbehave("run", &["--memory", "8K"], target, &["map"]));
        assert_eq!((out.status.code(), text(&out.stdout)), (Some(126), ""), "{}", text(&out.stderr));
    }
}

#[test]
fn files_are_limited() {
    let file = std::env::temp_dir().join(format!("emu-limits-{}", std::process::id()));
    let name = file.to_str().expect("a plain name");
    let out = output(misbehave("run", &["--file-size", "1M"], "riscv64", &["write", name]));
    assert_eq!(out.status.signal(), Some(25), "SIGXFSZ: {}", text(&out.stderr));
    let out = output(misbehave("run", &["--file-size", "1M"], "mipsel", &["write", name, "ignore"]));
    assert_eq!(text(&out.stdout), "1048576 bytes, File too large\n");
    assert_eq!(fs::metadata(&file).expect("it was made").len(), 1 << 20);
    let _ = fs::remove_file(file);
}

#[test]
fn the_run_ends_with_its_supervisor() {
    let timeout = format!("--timeout={}us", 60_000_000 + u64::from(std::process::id()));
    let mut emu = misbehave("run", &[&timeout], "riscv64", &["spin"]);
    let mut child = emu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("emu runs");
    std::thread::sleep(Duration::from_millis(300));
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    // The program held the output.
    let mut rest = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_to_string(&mut rest).expect("it ends");
    assert_eq!(running(&[&timeout]), 0);
}

#[test]
fn limits_hold_in_the_sandbox() {
    for target in TARGETS {
        // The processes know each other there by a file that has a name, and no signal gets out.
        let out = output(misbehave("run", &["--sandbox", "--fuel", "20M", "--timeout", "1m"], target, &["again"]));
        assert_eq!(out.status.code(), Some(124), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains("fuel of 20000000 instructions is used up"), "{}", text(&out.stderr));
        let out = output(misbehave("run", &["--sandbox", "--timeout", "500ms"], target, &["again"]));
        assert_eq!(out.status.code(), Some(124), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains("time of 500ms is over"), "{}", text(&out.stderr));
    }
}

#[test]
fn wrong_limits_are_refused() {
    for options in [["--fuel", "-1"], ["--fuel", "1x"], ["--timeout", "0"], ["--timeout", "5d"], ["--memory", "1T"]] {
        let out = output(misbehave("run", &options, "riscv64", &["spin"]));
        assert_eq!(out.status.code(), Some(125), "{options:?}");
    }
    let out = output(misbehave("run", &["--fuel", "0"], "riscv64", &["spin"]));
    assert_eq!(out.status.code(), Some(124), "no instruction is run: {}", text(&out.stderr));
}
