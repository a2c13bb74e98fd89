//! `emu diff`: a run in lockstep, of a process and of those it starts.
//!
//! The processes of a run know each other by a file, the session's: its first line names the process that the user
//! started, and each of the others adds a line about itself when it ends. Divergences are told at once, on the standard
//! error of whoever finds one, and end that process; the first process sums up.
#![forbid(unsafe_code)]

use crate::engine::lockstep::{Compared, Counts, Divergence, Judge, LockstepConfig, Replay, Reproducer};
use crate::engine::{Engine, EngineConfig};
use crate::guest;
use crate::linux::host;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to run in lockstep.
#[derive(Clone, Debug)]
pub struct DiffConfig {
    /// For the engine.
    pub lockstep: LockstepConfig,
    /// The session's file, which [`begin_session`] has made.
    pub session: PathBuf,
    /// Where files of divergences go.
    pub directory: PathBuf,
    /// The exit status that says that there was a divergence.
    pub status: i32,
}

/// Makes the file of a new session.
///
/// # Errors
/// What the host says.
pub fn begin_session(path: &Path) -> io::Result<()> {
    fs::write(path, format!("{MAIN} {}\n", host::pid()))
}

const MAIN: &str = "main";
const COMPARED: &str = "compared";
const DIVERGED: &str = "diverged";

/// A process's part in a session.
pub(crate) struct Session {
    config: DiffConfig,
    counts: Arc<Counts>,
    /// The program, for messages.
    program: String,
    messages: Messages,
}

/// Where messages go: the standard error, as it was at the start. Programs close theirs before they end.
pub(crate) struct Messages {
    /// Who speaks.
    name: &'static str,
    copy: Option<File>,
    is: Option<(u64, u64)>,
}

impl Messages {
    /// Out of the way of the descriptors that a guest counts on.
    const DESCRIPTOR: i32 = 900;

    pub(crate) fn new(name: &'static str) -> Messages {
        let args = [2.into(), libc::F_DUPFD_CLOEXEC.into(), Messages::DESCRIPTOR.into()];
        let copy = host::call(libc::SYS_fcntl, &args).ok().map(|fd| host::own_file(fd as i32));
        let is = copy.as_ref().and_then(Messages::identity);
        Messages { name, copy, is }
    }

    fn identity(file: &File) -> Option<(u64, u64)> {
        file.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
    }

    /// Prints at once, so that processes do not mix their lines.
    pub(crate) fn say(&self, text: &str) {
        let text = format!("{}: {text}", self.name);
        // The guest may have closed this one as well, and even have another file there.
        let copy = self.copy.as_ref().filter(|file| self.is.is_some() && Messages::identity(file) == self.is);
        let said = copy.is_some_and(|mut file| file.write_all(text.as_bytes()).is_ok());
        if !said {
            // Nobody is left to tell if this fails, too.
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }
}

/// What a session's file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    main: i32,
    compared: Compared,
    diverged: Vec<String>,
}

impl Session {
    pub(crate) fn new(config: DiffConfig, engine: &Engine, program: &Path) -> Arc<Session> {
        let counts = engine.lockstep_counts().unwrap_or_default();
        Arc::new(Session {
            config,
            counts,
            program: program.display().to_string(),
            messages: Messages::new("emu diff"),
        })
    }

    /// Adds a line to the session's file. Without the file the session is over, and nobody reads it.
    fn add(&self, line: &str) {
        if let Ok(mut file) = OpenOptions::new().append(true).open(&self.config.session) {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Adds what this process has compared since the last time.
    pub(crate) fn add_counts(&self) {
        let c = self.counts.take();
        if c != Compared::default() {
            self.add(&format!("{COMPARED} {} {} {} {} {}", c.insns, c.segments, c.cold, c.apart, c.unrepeated));
        }
    }

    /// The process ends. The session's first process sums up, and if there was a divergence it ends here.
    pub(crate) fn end(&self) {
        self.add_counts();
        let Some(summary) = Summary::read(&self.config.session).filter(|s| s.main == host::pid()) else { return };
        let _ = fs::remove_file(&self.config.session);
        self.messages.say(&summary.to_string());
        if !summary.diverged.is_empty() {
            host::exit_process(self.config.status);
        }
    }
}

impl Judge for Session {
    fn diverged(&self, divergence: &Divergence) -> ! {
        let pid = host::pid();
        let file = self.config.directory.join(format!("emu-diff-{pid}.repro"));
        let text = divergence.reproducer_text();
        let saved = fs::write(&file, text).map_or_else(
            |error| format!("no reproducer: {}: {error}", file.display()),
            |()| format!("reproducer: {}", file.display()),
        );
        self.messages.say(&format!("{} (process {pid}): {divergence}\nemu diff: {saved}\n", self.program));
        self.add(&format!("{DIVERGED} {} (process {pid}); {saved}", self.program));
        self.end();
        host::exit_process(self.config.status)
    }
}

impl Summary {
    fn read(path: &Path) -> Option<Summary> {
        Summary::parse(&fs::read_to_string(path).ok()?)
    }

    fn parse(text: &str) -> Option<Summary> {
        let mut summary = Summary::default();
        for line in text.lines() {
            match line.split_once(' ')? {
                (MAIN, pid) => summary.main = pid.parse().ok()?,
                (DIVERGED, what) => summary.diverged.push(what.to_owned()),
                (COMPARED, numbers) => {
                    let numbers: Vec<u64> = numbers.split(' ').map_while(|n| n.parse().ok()).collect();
                    let [insns, segments, cold, apart, unrepeated] = numbers[..] else { return None };
                    let sum = &mut summary.compared;
                    sum.insns += insns;
                    sum.segments += segments;
                    sum.cold += cold;
                    sum.apart += apart;
                    sum.unrepeated += unrepeated;
                }
                _ => return None,
            }
        }
        Some(summary)
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let c = &self.compared;
        let mut line = format!("{} instructions compared in {} segments", c.insns, c.segments);
        write!(line, "; not compared: {} of cold code, {} on shared memory and traps", c.cold, c.apart)?;
        if c.unrepeated > 0 {
            write!(line, "; {} segments differed once and not again", c.unrepeated)?;
        }
        match self.diverged.len() {
            0 => writeln!(f, "{line}; no divergence"),
            1 => writeln!(f, "{line}; 1 divergence: {}", self.diverged[0]),
            n => writeln!(f, "{line}; {n} divergences, the first: {}", self.diverged[0]),
        }
    }
}

impl Divergence {
    /// The content of the reproducer's file.
    pub fn reproducer_text(&self) -> String {
        self.reproducer.to_text(self.slots())
    }
}

/// Repeats what a reproducer's file holds.
///
/// # Errors
/// One line about the file or the host.
pub fn replay(path: &Path, lockstep: LockstepConfig) -> Result<Replay, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|e| named(&e))?;
    let (reproducer, guest) = Reproducer::parse(&text, guest::named).map_err(|e| named(&e))?;
    let config = EngineConfig { lockstep: Some(lockstep), ..EngineConfig::default() };
    reproducer.replay(guest, config).map_err(|e| named(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_summed_up() {
        let text = "main 12\ncompared 1 2 3 4 0\ndiverged /bin/x (process 13); reproducer: f\ncompared 10 20 30 40 1\n";
        let summary = Summary::parse(text).expect("it is well formed");
        assert_eq!((summary.main, summary.compared.insns, summary.compared.apart), (12, 11, 44));
        let line = summary.to_string();
        assert!(line.starts_with("11 instructions compared in 22 segments; not compared: 33 of"), "{line}");
        assert!(
            line.ends_with(
                "1 segments differed once and not again; 1 divergence: /bin/x (process 13); reproducer: f\n"
            )
        );
        assert_eq!(Summary::parse("main x\n"), None);
    }
}
