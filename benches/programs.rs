//! Whole programs on this build: the tables of `benches/run`, `benches/threads/run` and `benches/real/run`, which have native, QEMU
//! and emu side by side. Prepares by apt what they need: compilers as root, and some GiB of Debian's packages.
//!
//! `cargo bench --bench programs -- kernels threads` runs only those of kernels, threads and real that are named.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::{Command, ExitCode};

/// A name, the runner, and the steps of `tests/guest/prepare` that it needs.
const TABLES: [(&str, &str, &[&str]); 3] = [
    ("kernels", "benches/run", &["tools", "kernels", "qemu"]),
    ("threads", "benches/threads/run", &["tools", "kernels", "qemu"]),
    ("real", "benches/real/run", &["qemu", "bench"]),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it starts.
    if args.iter().any(|arg| arg == "--test") {
        return ExitCode::SUCCESS;
    }
    let names: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = names.iter().find(|name| TABLES.iter().all(|(known, ..)| known != *name)) {
        eprintln!("no table {unknown}; there are: kernels threads real");
        return ExitCode::FAILURE;
    }
    let mut failed = Vec::new();
    for (name, runner, steps) in TABLES.iter().filter(|(name, ..)| names.is_empty() || names.contains(name)) {
        println!("\n{runner}:\n");
        let prepared = steps.iter().all(|step| succeeds("tests/guest/prepare", &[step]));
        if !prepared || !succeeds(runner, &["--emu", env!("CARGO_BIN_EXE_emu")]) {
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("not measured, or not all of it: {} (why stands above)", failed.join(", "));
    ExitCode::FAILURE
}

/// Runs a script of this repository, which says itself what is wrong.
fn succeeds(script: &str, args: &[&str]) -> bool {
    let status = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).args(args).status();
    match status {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{script}: {error}");
            false
        }
    }
}
