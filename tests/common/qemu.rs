//! QEMU 11.1 as an outside oracle.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// The user-mode emulator that `tests/guest/prepare qemu` builds.
///
/// # Panics
/// If it is not there.
pub fn path(arch: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("target/guest/qemu/qemu-{arch}"));
    assert!(path.exists(), "{} is missing: run `tests/guest/prepare qemu` first", path.display());
    path
}

/// Runs an executable for RISC-V; its output, or how it ended otherwise.
pub fn run(xlen: u32, elf: &[u8]) -> Result<Vec<u8>, String> {
    run_on(&format!("riscv{xlen}"), "max", elf)
}

/// The same for an architecture and a processor, as QEMU names them.
pub fn run_on(arch: &str, cpu: &str, elf: &[u8]) -> Result<Vec<u8>, String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("image-{}-{number}", std::process::id()));
    std::fs::write(&file, elf).expect("the temporary directory can be written");
    let mut executable = std::fs::metadata(&file).expect("just written").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut executable, 0o755);
    std::fs::set_permissions(&file, executable).expect("the file is ours");
    let result = Command::new(path(arch)).args(["-cpu", cpu]).arg(&file).output().expect("QEMU can be started");
    let _ = std::fs::remove_file(&file);
    if result.status.success() {
        Ok(result.stdout)
    } else {
        Err(format!("{}: {}", result.status, String::from_utf8_lossy(&result.stderr)))
    }
}
