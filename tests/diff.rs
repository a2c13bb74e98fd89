//! `emu diff`: it finds a fault that the compiler was told to make, names the place, repeats it from the file; and finds
//! nothing where nothing is wrong.
#![forbid(unsafe_code)]

mod common;

use common::asm::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const EMU: &str = env!("CARGO_BIN_EXE_emu");
const HELLO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello");
const GREETING: &str = "Hello from RISC-V!\nThe primes below 100000 add up to 454396537\n";
const DIVERGED: i32 = 124;

/// A directory for reproducers that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("emu-diff-test-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    /// What was left here.
    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn emu(args: &[&str]) -> Output {
    Command::new(EMU).args(args).env_clear().output().unwrap()
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// Runs the example with a planted fault; returns what it says and the reproducer.
fn planted(dir: &Scratch, op: &str, options: &[&str]) -> (String, PathBuf) {
    let save = ["diff", "--save", dir.0.to_str().unwrap(), "--plant-fault", op];
    let out = emu(&[&save, options, &[HELLO]].concat());
    let files = dir.files();
    assert_eq!((out.status.code(), files.len()), (Some(DIVERGED), 1), "{op}: {}", stderr(&out));
    (stderr(&out), files.into_iter().next().unwrap())
}

/// The report without the line that names the run and those after it.
fn body(report: &str) -> String {
    let lines = report.lines().skip(1).filter(|line| !line.starts_with("emu diff:"));
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn replay(file: &Path, options: &[&str]) -> Output {
    emu(&[&["diff", "--replay", file.to_str().unwrap()], options].concat())
}

#[test]
fn a_planted_fault_is_found_where_it_is_and_can_be_repeated() {
    for options in [&[][..], &["--all"], &["--segment=64"], &["--hot=5"]] {
        let dir = Scratch::new("add");
        let (report, file) = planted(&dir, "add", options);
        let pc = report.split("after the instruction at 0x").nth(1).and_then(|rest| rest.split('\n').next());
        let pc = pc.unwrap_or_else(|| panic!("{report}"));
        // The instruction it names is an addition.
        let marked = report.lines().find(|line| line.starts_with('>')).unwrap();
        assert!(marked.contains(&format!("{pc}:  ")) && marked.contains("add"), "{report}");
        assert!(report.contains("add.i64"), "the IR is there: {report}");
        assert_eq!(report.lines().filter(|line| line.starts_with("* ")).count(), 1, "one register differs: {report}");
        assert!(report.contains("1 divergence"), "{report}");

        let again = replay(&file, &["--plant-fault", "add"]);
        assert_eq!(again.status.code(), Some(DIVERGED), "{}", stderr(&again));
        assert_eq!(body(&stderr(&again)), body(&report));
        let without = replay(&file, &[]);
        assert_eq!(without.status.code(), Some(0), "{}", stderr(&without));
        assert!(stderr(&without).ends_with("no divergence\n"), "{}", stderr(&without));
    }
}

#[test]
fn in_hot_code_the_place_is_the_known_one() {
    let dir = Scratch::new("place");
    let (report, _) = planted(&dir, "add", &[]);
    // The loop over the multiples of a prime: c.add a5, a3.
    assert!(report.contains("after the instruction at 0x1017e"), "{report}");
}

#[test]
fn a_wrong_store_is_found() {
    let dir = Scratch::new("store");
    let (report, file) = planted(&dir, "store", &[]);
    assert!(report.contains("after the instruction at 0x1017a"), "{report}");
    assert!(
        report.contains("memory that differs\n* 0x11") && report.contains("compiled 00  interpreted 01"),
        "{report}"
    );
    let again = replay(&file, &["--plant-fault", "store"]);
    assert_eq!((again.status.code(), body(&stderr(&again))), (Some(DIVERGED), body(&report)));
}

#[test]
fn a_mistake_that_no_block_makes_alone_is_found_and_can_be_repeated() {
    let dir = Scratch::new("write-back");
    let (report, file) = planted(&dir, "write-back", &[]);
    assert!(report.contains("differ after the block at 0x"), "{report}");
    let again = replay(&file, &["--plant-fault", "write-back"]);
    assert_eq!((again.status.code(), body(&stderr(&again))), (Some(DIVERGED), body(&report)));
    assert_eq!(replay(&file, &[]).status.code(), Some(0));
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let dir = Scratch::new("clean");
    for options in [&[][..], &["--all"], &["--segment=64", "--all"], &["--plant-fault", "clmulhi"]] {
        let out = emu(&[&["diff", "--save", dir.0.to_str().unwrap()], options, &[HELLO]].concat());
        assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stdout).as_ref()), (Some(0), GREETING));
        let line = stderr(&out);
        assert!(line.lines().count() == 1 && line.ends_with("; no divergence\n"), "{line}");
        let compared: u64 = line.split(' ').nth(2).and_then(|n| n.parse().ok()).unwrap();
        assert!(compared > 1_000_000, "{line}");
        assert!(dir.files().is_empty(), "nothing is left behind: {:?}", dir.files());
    }
}

/// A static program of one segment at 0x10000, which begins after 120 bytes of headers.
fn elf(code: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2_u16, 243].iter().flat_map(|v| v.to_le_bytes()));
    file.extend(1_u32.to_le_bytes());
    file.extend([0x10078, 64, 0].iter().flat_map(|v: &u64| v.to_le_bytes()));
    file.extend(4_u32.to_le_bytes());
    file.extend([64_u16, 56, 1, 64, 0, 0].iter().flat_map(|v| v.to_le_bytes()));
    file.extend([1_u32, 5].iter().flat_map(|v| v.to_le_bytes()));
    let size = 120 + 4 * code.len() as u64 + data.len() as u64;
    file.extend([0, 0x10000, 0x10000, size, size, 0x1000].iter().flat_map(|v: &u64| v.to_le_bytes()));
    file.extend(bytes(code));
    file.extend(data);
    file
}

/// fork; the child executes `path`, the parent waits for it and ends with 0, whatever it ended with.
fn parent(path: &str) -> Vec<u8> {
    const SIGCHLD: i64 = 17;
    let call = |number| [addi(A7, ZERO, number), ECALL];
    let fork = [addi(A0, ZERO, SIGCHLD), addi(A1, ZERO, 0), addi(A2, ZERO, 0), addi(A3, ZERO, 0), addi(14, ZERO, 0)];
    let wait = [addi(A0, ZERO, -1), addi(A1, ZERO, 0), addi(A2, ZERO, 0), addi(A3, ZERO, 0)];
    let mut code =
        [&fork[..], &call(220), &[beq(A0, ZERO, 36)], &wait, &call(260), &[addi(A0, ZERO, 0)], &call(93)].concat();
    // The name follows the code.
    let name = 0x78 + 4 * (code.len() as i64 + 6);
    code.extend([lui(A0, 0x10000), addi(A0, A0, name), addi(A1, ZERO, 0), addi(A2, ZERO, 0)]);
    code.extend(call(221));
    // beq leads to the child's code: it comes after the parent's ten instructions.
    let branch = fork.len() + 2;
    code[branch] = beq(A0, ZERO, 4 * (code.len() - 6 - branch) as i64);
    elf(&code, format!("{path}\0").as_bytes())
}

#[test]
fn a_divergence_in_a_program_that_the_guest_executes_is_told() {
    let dir = Scratch::new("child");
    let program = dir.0.join("parent");
    fs::write(&program, parent(HELLO)).unwrap();
    let run = |options: &[&str]| {
        emu(&[&["diff", "--save", dir.0.to_str().unwrap()], options, &[program.to_str().unwrap()]].concat())
    };
    let clean = run(&[]);
    assert_eq!((clean.status.code(), String::from_utf8_lossy(&clean.stdout).as_ref()), (Some(0), GREETING));
    assert!(stderr(&clean).ends_with("no divergence\n"), "{}", stderr(&clean));
    let compared = stderr(&clean).split(' ').nth(2).and_then(|n| n.parse::<u64>().ok()).unwrap();
    assert!(compared > 1_000_000, "the child's instructions are among them: {}", stderr(&clean));

    let out = run(&["--plant-fault", "add"]);
    let said = stderr(&out);
    assert_eq!(out.status.code(), Some(DIVERGED), "{said}");
    assert!(said.contains("examples/hello (process ") && said.contains("after the instruction at 0x1017e"), "{said}");
    assert!(said.lines().last().unwrap().contains("; 1 divergence: "), "{said}");
    assert_eq!(dir.files().len(), 2, "the program and the reproducer: {:?}", dir.files());
}

#[test]
fn a_file_that_is_no_reproducer_is_refused() {
    let dir = Scratch::new("refused");
    let file = dir.0.join("file");
    for (text, reason) in [
        ("", "line 0: the end is missing"),
        ("emu-diff 2\n", "line 1: not a reproducer of this version"),
        ("emu-diff 1\nisa rv64gcv\n", "line 2: "),
        ("emu-diff 1\nisa rv64gc\nreg q0 0x1\n", "line 3: no register is q0"),
        ("emu-diff 1\nisa rv64gc\npage 0x1000 r-x\n  0xff0 00112233445566778899aabbccddeeff00\n", "line 4: beyond"),
    ] {
        fs::write(&file, text).unwrap();
        let out = replay(&file, &[]);
        assert_eq!((out.status.code(), stderr(&out).lines().count()), (Some(125), 1), "{}", stderr(&out));
        assert!(stderr(&out).contains(reason), "{}", stderr(&out));
    }
    assert_eq!(replay(&dir.0.join("none"), &[]).status.code(), Some(125));
}
