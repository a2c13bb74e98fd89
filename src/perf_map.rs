//! `--perf-map`: the file that tells the host's perf what code there is outside of any file (tools/perf/Documentation/jit-interface.txt).

use emu_machine::engine::PlacedCode;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Mutex, PoisonError};

/// The map of each process that this one becomes by forking.
#[derive(Debug, Default)]
pub(crate) struct PerfMap {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What has been written: a child knows its parent's code.
    text: String,
    /// The process that `file` is of.
    pid: u32,
    /// `None` if it cannot be written; that is said once.
    file: Option<File>,
}

impl PerfMap {
    /// Adds a line. (perf takes the last that holds an address.)
    pub(crate) fn add(&self, code: PlacedCode) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = if code.quick { "quick" } else { "region" };
        let line = format!("{:x} {:x} {kind} {:#x}\n", code.start, code.len, code.pc);
        let pid = std::process::id();
        if state.pid != pid {
            state.pid = pid;
            state.file = open(pid);
            let before = state.text.clone();
            state.write(&before);
        }
        state.write(&line);
        state.text.push_str(&line);
    }
}

impl State {
    fn write(&mut self, text: &str) {
        if let Some(Err(error)) = self.file.as_mut().map(|file| file.write_all(text.as_bytes())) {
            eprintln!("emu: the map for perf cannot be written: {error}");
            self.file = None;
        }
    }
}

fn open(pid: u32) -> Option<File> {
    let path = format!("/tmp/perf-{pid}.map");
    // In a directory that all may write to: nobody else's link is followed.
    let file = OpenOptions::new().write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW).open(&path);
    file.inspect_err(|error| eprintln!("emu: {path} cannot be written: {error}")).ok()
}
