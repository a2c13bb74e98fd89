//! `unsafe` stays in the files that ARCHITECTURE.md names.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The crates that may have such files at all; the others forbid it as a whole.
const CRATES: [&str; 3] = ["backend-jit", "machine", "ir/tests"];

/// All Rust files below a directory, relative to the root.
fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path.strip_prefix(ROOT).unwrap().to_owned());
        }
    }
}

/// Has a line `unsafe` outside comments and strings, other than in a lint's name?
fn has_unsafe(text: &str) -> bool {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    let word = |line: String| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
    text.lines().map(|line| code(line).split('"').step_by(2).collect::<String>()).any(word)
}

/// The files listed in ARCHITECTURE.md under "Files with unsafe code".
fn listed() -> BTreeSet<PathBuf> {
    let text = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    let section = text.split("\n## ").find(|s| s.starts_with("Files with unsafe code")).expect("the section is there");
    let quoted = section.lines().filter(|l| l.starts_with("| `")).filter_map(|l| l.split('`').nth(1));
    quoted.map(PathBuf::from).collect()
}

#[test]
fn unsafe_is_where_the_architecture_says() {
    let mut files = Vec::new();
    rust_files(Path::new(ROOT), &mut files);
    assert!(files.len() > 50, "the sources are found");
    let text = |file: &PathBuf| fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    let found: BTreeSet<PathBuf> =
        files.into_iter().filter(|f| !f.ends_with("tests/unsafe_files.rs") && has_unsafe(&text(f))).collect();
    assert_eq!(found, listed(), "files with unsafe code, and those that ARCHITECTURE.md lists");
    for file in &found {
        assert!(CRATES.iter().any(|c| file.starts_with(c)), "{}", file.display());
        assert!(text(file).contains("// SAFETY:"), "{} explains itself", file.display());
    }
}
