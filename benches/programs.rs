//! Whole programs: `benches/run` on this build, which prints native, QEMU and emu side by side. Prepares by apt what it needs.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return ExitCode::SUCCESS;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prepare = |step| Command::new(root.join("tests/guest/prepare")).arg(step).status();
    let table = || Command::new(root.join("benches/run")).arg("--emu").arg(env!("CARGO_BIN_EXE_emu")).status();
    for step in ["tools", "kernels", "qemu"] {
        if !prepare(step).is_ok_and(|status| status.success()) {
            return ExitCode::FAILURE;
        }
    }
    if table().is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
