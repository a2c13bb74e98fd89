//! What the optimiser makes of the blocks in `filetests/*.ir`: cases start with `=== name`, and `---` stands between a
//! block and the expected one. `EMU_BLESS=1` writes the actual output into the files.

use emu_ir::opt::{combine_accesses, optimize};
use emu_ir::text::{Names, parse, print};
use emu_ir::verify::verify;
use std::fmt::Write;
use std::path::Path;

#[test]
fn optimised_blocks_are_as_expected() {
    let bless = std::env::var_os("EMU_BLESS").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    let mut wrong = String::new();
    for entry in std::fs::read_dir(folder).expect("the folder of the tests") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text file");
        let actual = with_output(&text, &path);
        if bless {
            std::fs::write(&path, actual).expect("to write the file");
        } else if actual != text {
            writeln!(wrong, "{}:\n{}", path.display(), first_difference(&text, &actual)).expect("a string");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The file with the actual output of each case.
fn with_output(text: &str, path: &Path) -> String {
    let mut parts = text.split("=== ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('\n').expect("a line with the case's name");
        let (input, _) = rest.split_once("---\n").unwrap_or((rest, ""));
        let input = input.trim_end();
        let mut block = parse(input, Names::default()).unwrap_or_else(|e| panic!("{}: {name}: {e}", path.display()));
        optimize(&mut block);
        combine_accesses(&mut block);
        verify(&block).unwrap_or_else(|e| panic!("{}: {name}: {e}\n{block}", path.display()));
        write!(out, "=== {name}\n{input}\n---\n{}\n", print(&block, Names::default())).expect("a string");
    }
    format!("{}\n", out.trim_end())
}

fn first_difference(expected: &str, actual: &str) -> String {
    let different = expected.lines().zip(actual.lines()).position(|(e, a)| e != a);
    let from = different.unwrap_or(expected.lines().count().min(actual.lines().count()));
    let around = |text: &str| text.lines().skip(from.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
    format!("line {}, expected:\n{}\nactual:\n{}", from + 1, around(expected), around(actual))
}
