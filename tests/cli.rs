//! The command line from outside: exit statuses, messages, what reaches the guest.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const EMU: &str = env!("CARGO_BIN_EXE_emu");
const HELLO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello");
const GREETING: &str = "Hello from RISC-V!\nThe primes below 100000 add up to 454396537\n";

const RISCV: u16 = 243;
const X86_64: u16 = 62;

/// exit(42).
const EXIT_42: &[u32] = &[0x02a0_0513, 0x05d0_0893, 0x0000_0073];
/// An instruction that is illegal for good.
const ILLEGAL: &[u32] = &[0];
/// ld a0, 0(zero)
const NULL_LOAD: &[u32] = &[0x0000_3503];
/// Writes all strings on the stack from argv[0] on: `write(1, argv[0], -argv[0] & 0xfff)`, then `exit(0)`.
const STRINGS: &[u32] = &[
    0x0081_3583, // ld a1, 8(sp)
    0x40b0_0633, // sub a2, zero, a1
    0x0346_1613, // slli a2, a2, 52
    0x0346_5613, // srli a2, a2, 52
    0x0010_0513, // li a0, 1
    0x0400_0893, // li a7, 64
    0x0000_0073, // ecall
    0x0000_0513, // li a0, 0
    0x05d0_0893, // li a7, 93
    0x0000_0073, // ecall
];
/// addi a0, a0, 1 and shift by sh1add: Zba.
const SH1ADD_EXIT: &[u32] = &[0x2000_2533, 0x05d0_0893, 0x0000_0073];

/// A static ELF64 program of one segment at 0x10000, or with an interpreter.
fn elf(machine: u16, code: &[u32], interpreter: Option<&str>) -> Vec<u8> {
    let interp: Vec<u8> = interpreter.map(|path| [path.as_bytes(), b"\0"].concat()).unwrap_or_default();
    let count: u16 = 1 + u16::from(interpreter.is_some());
    let headers = 64 + 56 * u64::from(count);
    let start = headers.next_multiple_of(16);
    let code: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    let interp_at = start + code.len() as u64;
    let total = interp_at + interp.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2_u16, machine].iter().flat_map(|v| v.to_le_bytes()));
    file.extend(1_u32.to_le_bytes());
    file.extend([0x10000 + start, 64, 0].iter().flat_map(|v: &u64| v.to_le_bytes()));
    file.extend(4_u32.to_le_bytes());
    file.extend([64_u16, 56, count, 64, 0, 0].iter().flat_map(|v| v.to_le_bytes()));
    let mut header = |kind: u32, flags: u32, offset: u64, size: u64, align: u64| {
        file.extend([kind, flags].iter().flat_map(|v| v.to_le_bytes()));
        file.extend(
            [offset, 0x10000 + offset, 0x10000 + offset, size, size, align].iter().flat_map(|v| v.to_le_bytes()),
        );
    };
    if interpreter.is_some() {
        header(3, 4, interp_at, interp.len() as u64, 1);
    }
    header(1, 5, 0, total, 0x1000);
    file.resize(start as usize, 0);
    file.extend(code);
    file.extend(interp);
    file
}

/// A directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("emu-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        Scratch(dir)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
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

fn run(options: &[&str], program: &Path) -> Output {
    emu(&[&["run"], options, &[program.to_str().unwrap()]].concat())
}

/// The emulator failed with this status and one line, which says this.
#[track_caller]
fn refused(out: &Output, status: i32, reason: &str) {
    let line = String::from_utf8_lossy(&out.stderr);
    assert_eq!((out.status.code(), line.lines().count()), (Some(status), 1), "{line}");
    assert!(line.starts_with("emu: ") && line.contains(reason), "{line}");
    assert!(out.stdout.is_empty());
}

#[test]
fn the_example_runs_on_each_engine() {
    for engine in ["interp", "jit", "tiered"] {
        let out = run(&["--engine", engine], Path::new(HELLO));
        assert_eq!(String::from_utf8_lossy(&out.stdout), GREETING, "{engine}: {out:?}");
        assert_eq!((out.status.code(), out.stderr.len()), (Some(0), 0), "{engine}: {out:?}");
    }
}

#[test]
fn the_guests_end_is_the_emulators() {
    let dir = Scratch::new("end");
    for engine in ["--engine=interp", "--engine=jit", "--engine=tiered"] {
        let end = |code| run(&[engine], &dir.file("program", &elf(RISCV, code, None))).status;
        assert_eq!(end(EXIT_42).code(), Some(42));
        assert_eq!(end(ILLEGAL).signal(), Some(4), "SIGILL");
        assert_eq!(end(NULL_LOAD).signal(), Some(11), "SIGSEGV");
    }
}

#[test]
fn arguments_and_environment_reach_the_guest() {
    let dir = Scratch::new("strings");
    let program = dir.file("program", &elf(RISCV, STRINGS, None));
    let path = program.to_str().unwrap();
    let strings = |args: &[&str]| {
        let out = Command::new(EMU).arg("run").args(args).env_clear().envs([("A", "1"), ("B", "2")]).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        let text = String::from_utf8(out.stdout).unwrap().trim_end_matches('\0').replace('\0', "|");
        text.replace(path, "PROGRAM")
    };
    assert_eq!(strings(&[path, "-x", "--", "--strace", "a b"]), "PROGRAM|-x|--|--strace|a b|A=1|B=2|PROGRAM");
    assert_eq!(strings(&["--", path]), "PROGRAM|A=1|B=2|PROGRAM");
    assert_eq!(strings(&["-U", "A", "-E", "B=x=y", "-E", "C=", path]), "PROGRAM|B=x=y|C=|PROGRAM");
    assert_eq!(strings(&["--argv0", "-sh", path, ""]), "-sh||A=1|B=2|PROGRAM");
}

#[test]
fn scripts_are_run_by_their_interpreters() {
    let dir = Scratch::new("scripts");
    let root = dir.0.join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    let strings = dir.file("root/bin/strings", &elf(RISCV, STRINGS, None));
    fs::set_permissions(&strings, fs::Permissions::from_mode(0o755)).unwrap();
    let root_option = ["-L", root.to_str().unwrap(), "-U", "PATH", "-E", "LAST=1"];
    // In the sysroot, with one argument; the script's own name and arguments follow, and the name is AT_EXECFN.
    let script = dir.file("script", b"#! /bin/strings -a b \n");
    let out = emu(&[&["run"], &root_option[..], &[script.to_str().unwrap(), "x"]].concat());
    let name = script.to_str().unwrap();
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(told.starts_with(&format!("/bin/strings\0-a b\0{name}\0x\0")), "{told:?}");
    assert!(told.trim_end_matches('\0').ends_with(&format!("LAST=1\0{name}")), "{told:?}");
    // A script whose interpreter is a script, and so on: five times.
    let mut chain = script.clone();
    for level in 2..=6 {
        let text = format!("#!{}\n", chain.display());
        fs::set_permissions(&chain, fs::Permissions::from_mode(0o755)).unwrap();
        chain = dir.file(&format!("script{level}"), text.as_bytes());
        let out = emu(&[&["run"], &root_option[..], &[chain.to_str().unwrap()]].concat());
        if level <= 5 {
            assert!(out.status.success(), "{out:?}");
        } else {
            refused(&out, 126, "its interpreter is a script, whose interpreter is one, and so on");
        }
    }
    // An interpreter has to be executable; the first file is the user's responsibility.
    fs::set_permissions(&strings, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&emu(&["run", "-L", root.to_str().unwrap(), name]), 126, "its interpreter /bin/strings cannot be used");
}

#[test]
fn what_cannot_be_run_is_told_in_a_line() {
    let dir = Scratch::new("refused");
    let file = |name: &str, bytes: &[u8]| dir.file(name, bytes);
    refused(&run(&[], &dir.0.join("none")), 127, "none: no such file or directory");
    refused(&run(&[], &file("plain", b"").join("x")), 127, "not a directory");
    refused(&run(&[], &dir.0), 126, "is a directory");
    refused(&run(&[], Path::new("/dev/null")), 126, "is not a regular file");
    refused(&run(&[], &file("empty", b"")), 126, "not an ELF file");
    refused(&run(&[], &file("text", b"hello\n")), 126, "not an ELF file");
    refused(
        &run(&[], &file("script", b"#!/bin/sh -e\nexit\n")),
        126,
        "its interpreter /bin/sh cannot be used (/bin/sh: not supp",
    );
    refused(&run(&[], &file("nameless", b"#! \n")), 126, "its first line names no interpreter");
    refused(&run(&[], &file("absent", b"#!/none -e\n")), 126, "its interpreter /none is missing; give the directory");
    refused(&run(&[], &file("x86", &elf(X86_64, EXIT_42, None))), 126, "machine 62 is neither RISC-V nor MIPS");
    let dynamic = file("dynamic", &elf(RISCV, EXIT_42, Some("/lib/ld-none.so")));
    refused(&run(&[], &dynamic), 126, "its interpreter /lib/ld-none.so is missing; give the directory");
    refused(&run(&["-L", dir.0.to_str().unwrap()], &dynamic), 126, "looked up in the directory given by -L first");
    std::os::unix::fs::symlink("loop", dir.0.join("loop")).unwrap();
    refused(&run(&[], &dir.0.join("loop")), 126, "loop: ");
}

#[test]
fn an_unreadable_file_is_told() {
    let dir = Scratch::new("unreadable");
    let program = dir.file("program", &elf(RISCV, EXIT_42, None));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything, so somebody else has to try, who may not reach the build directory.
    let emu = dir.0.join("emu");
    // By another process: a thread that forks while this one has the copy open for writing would make it busy.
    assert!(Command::new("cp").arg(EMU).arg(&emu).status().unwrap().success());
    let mut command = Command::new(&emu);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    refused(&command.arg("run").arg(&program).env_clear().output().unwrap(), 126, "program: permission denied");
}

#[test]
fn a_truncated_program_is_refused_unless_all_of_it_that_is_loaded_is_there() {
    let whole = fs::read(HELLO).unwrap();
    // The end of the last segment in the file, by `readelf -l`.
    let loaded = 0x226;
    let dir = Scratch::new("truncated");
    for len in (0..whole.len()).step_by(64) {
        let out = run(&[], &dir.file("program", &whole[..len]));
        if len < loaded {
            refused(&out, 126, "program: ");
        } else {
            assert_eq!(String::from_utf8_lossy(&out.stdout), GREETING, "{len}");
        }
    }
}

/// A program of `tests/guest/programs`.
fn guest_program(target: &str, name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/guest/bin").join(target).join(name);
    assert!(path.exists(), "{} is missing: run `tests/guest/prepare programs` first", path.display());
    path
}

/// Of `whole`, each of these beginnings is refused in a line or runs as the whole does. How many were refused.
fn truncated(options: &[&str], whole: &[u8], lengths: impl Iterator<Item = usize>) -> usize {
    let dir = Scratch::new("cut");
    let mut count = 0;
    for len in lengths {
        let out = run(options, &dir.file("program", &whole[..len]));
        if out.status.success() {
            assert_eq!(String::from_utf8_lossy(&out.stdout), "hello, world\n", "{len}");
        } else {
            refused(&out, 126, "program: ");
            count += 1;
        }
    }
    count
}

#[test]
fn compiled_programs_truncated() {
    let whole = fs::read(guest_program("riscv64-dyn", "hello")).unwrap();
    let lengths = || (0..whole.len()).step_by(64);
    let count = truncated(&["-L", "/usr/riscv64-linux-gnu"], &whole, lengths());
    assert!(count > 10 && count < lengths().count(), "{count} refused");
    // A static one is large: all the lengths in its headers and a part of the others.
    let whole = fs::read(guest_program("riscv64", "hello")).unwrap();
    let lengths = || (0..4096).step_by(64).chain((4096..whole.len()).step_by(64 * 61));
    let count = truncated(&[], &whole, lengths());
    assert!(count > 64 && count < lengths().count(), "{count} refused");
}

#[test]
fn a_truncated_interpreter_is_told() {
    let sysroot = Scratch::new("interpreter");
    fs::create_dir(sysroot.0.join("lib")).unwrap();
    let program = guest_program("riscv64-dyn", "hello");
    let whole = fs::read("/usr/riscv64-linux-gnu/lib/ld-linux-riscv64-lp64d.so.1").unwrap();
    for len in (0..1024).step_by(64).chain((1024..whole.len() / 2).step_by(64 * 101)) {
        sysroot.file("lib/ld-linux-riscv64-lp64d.so.1", &whole[..len]);
        refused(&run(&["-L", sysroot.0.to_str().unwrap()], &program), 126, "ld-linux-riscv64-lp64d.so.1");
    }
}

#[test]
fn jumps_to_where_no_code_can_be() {
    // jr to an odd address: the lowest bit is ignored, so it comes to the exit. To half an instruction: only without C wrong.
    let odd = [&[0x0000_0297, 0x00d2_8067, 0][..], EXIT_42].concat(); // auipc t0, 0; jr 13(t0)
    let half = [&[0x0000_0297, 0x00e2_8067, 0][..], &[0x0513_0001, 0x0893_02a0, 0x0073_05d0, 0]].concat();
    let null = vec![0x0000_0067]; // jr zero
    let unmapped = vec![0x4000_02b7, 0x0002_8067]; // lui t0, 0x40000; jr t0
    let stack = vec![0x0001_0067]; // jr sp: readable and writable
    let dir = Scratch::new("jumps");
    for engine in ["--engine=interp", "--engine=jit", "--engine=tiered"] {
        let end = |cpu: &str, code: &[u32]| {
            run(&[engine, "--cpu", cpu], &dir.file("program", &elf(RISCV, code, None))).status
        };
        assert_eq!(end("rv64gc", &odd).code(), Some(42), "{engine}");
        assert_eq!(end("rv64gc", &half).code(), Some(42), "{engine}");
        assert_eq!(end("rv64g", &half).signal(), Some(7), "{engine}: SIGBUS");
        for code in [&null, &unmapped, &stack] {
            assert_eq!(end("rv64gc", code).signal(), Some(11), "{engine}: SIGSEGV");
        }
    }
}

#[test]
fn wrong_usage_is_125() {
    let code = |args: &[&str]| emu(args).status.code();
    assert_eq!(code(&[]), Some(125));
    assert_eq!(code(&["run"]), Some(125));
    assert_eq!(code(&["run", "--bogus", HELLO]), Some(125));
    assert_eq!(code(&["run", "--engine", "qemu", HELLO]), Some(125));
    assert_eq!(code(&["run", "-E", "A", HELLO]), Some(125));
    assert_eq!(code(&["run", "--dump", "asm", HELLO]), Some(125));
    assert_eq!((code(&["--help"]), code(&["run", "--help"]), code(&["--version"])), (Some(0), Some(0), Some(0)));
    refused(&emu(&["run", "--cpu", "rv64gcv", HELLO]), 125, "extension \"v\"");
    refused(&emu(&["run", "--cpu", "rv32gc", HELLO]), 125, "--cpu rv32gc has 32 bits, the program 64");
    refused(&emu(&["run", "-L", "/nowhere", HELLO]), 125, "sysroot /nowhere");
}

#[test]
fn the_processor_is_chosen() {
    let dir = Scratch::new("cpu");
    let program = dir.file("program", &elf(RISCV, SH1ADD_EXIT, None));
    assert_eq!(run(&[], &program).status.code(), Some(0));
    assert_eq!(run(&["--cpu", "rv64gc_zba"], &program).status.code(), Some(0));
    assert_eq!(run(&["--cpu", "rv64gc"], &program).status.signal(), Some(4));
}

#[test]
fn dumps_go_to_the_standard_error() {
    for (kind, sign) in [("insn", "  ecall\n"), ("ir", "get.i64 sp"), ("clif", "function u0:"), ("host", "jmp 0x")] {
        let out = run(&["--engine", "jit", "--dump", kind], Path::new(HELLO));
        assert_eq!(String::from_utf8_lossy(&out.stdout), GREETING);
        assert!(String::from_utf8_lossy(&out.stderr).contains(sign), "{kind}");
        let nowhere = format!("{kind}=0x1..0x2");
        assert!(run(&["--engine", "jit", "--dump", &nowhere], Path::new(HELLO)).stderr.is_empty(), "{kind}");
    }
}

#[test]
fn perf_learns_where_code_is() {
    let mut emu =
        Command::new(EMU).args(["run", "--perf-map", HELLO]).env_clear().stdout(Stdio::null()).spawn().unwrap();
    let path = format!("/tmp/perf-{}.map", emu.id());
    assert!(emu.wait().unwrap().success());
    let map = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let lines: Vec<Vec<&str>> = map.lines().map(|line| line.split(' ').collect()).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let [start, len, "quick" | "region", pc] = line[..] else { panic!("{line:?}") };
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        assert!(hex(start) > 0x1000 && hex(len) > 0 && hex(pc.strip_prefix("0x").unwrap()) > 0);
    }
}

#[test]
fn statistics_and_system_calls() {
    let json = run(&["--stats=json", "--engine", "jit"], Path::new(HELLO)).stderr;
    let json = String::from_utf8(json).unwrap();
    assert!(
        json.starts_with("{\"elapsed_us\":") && json.ends_with("}}\n") && !json.contains("\"quick_blocks\":0,"),
        "{json}"
    );
    let text = String::from_utf8(run(&["--stats"], Path::new(HELLO)).stderr).unwrap();
    assert!(text.contains("blocks translated"), "{text}");
    let trace = String::from_utf8(run(&["--strace"], Path::new(HELLO)).stderr).unwrap();
    assert!(trace.contains("write(") && trace.contains("exit"), "{trace}");
}

#[test]
fn info_and_disasm() {
    let info = String::from_utf8(emu(&["info", HELLO]).stdout).unwrap();
    assert!(info.contains("RISC-V, 64 bits, little endian") && info.contains("supported    yes"), "{info}");
    let listing = String::from_utf8(emu(&["disasm", HELLO]).stdout).unwrap();
    assert!(listing.contains("<_start>:") && !listing.contains(".insn"), "{listing}");
    let part = String::from_utf8(emu(&["disasm", "--range", "0x10120..0x10124", HELLO]).stdout).unwrap();
    assert_eq!(part.lines().filter(|l| l.contains(":  ")).count(), 2, "{part}");
    refused(&emu(&["info", "/nowhere"]), 127, "no such file");
    refused(&emu(&["disasm", "/"]), 126, "is a directory");
}
