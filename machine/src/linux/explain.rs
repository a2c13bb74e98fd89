//! `--explain`: what programs asked for that is not there, collected over all processes of a run and told at its end.
//!
//! The processes share a file to which each adds lines: at once when it meets something for the first time, then each time that the
//! count has doubled, and what is left when it ends or executes. The first process reads the file at its end. Nothing is
//! written, and no file is opened, while nothing unusual happens.

mod report;
mod words;

pub(super) use words::advice_for;

use super::errno::Errno;
use super::process::lock;
use super::table::Args;
use super::thread::Thread;
use super::{files, host, ioctl, misc};
use crate::diff::Messages;
use crate::disasm::nearest_symbol;
use crate::elf::Image;
use emu_ir::{AccessKind, Fault, FaultCause, Fetch, Guest, Trap, TrapKind};
use report::Line;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What kind of thing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Syscall,
    Clone,
    Ioctl,
    Prctl,
    Fcntl,
    Sockopt,
    Socket,
    Instruction,
}

/// A thing that is missing, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Missing {
    kind: Kind,
    /// Its name or number.
    name: String,
    answer: String,
}

/// How often something was met, and how often the file knows.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    met: u64,
    told: u64,
}

/// A process's part in a run's report.
pub struct Recorder {
    file: PathBuf,
    guest: Arc<dyn Guest>,
    program: String,
    counts: Mutex<HashMap<Missing, (Count, Line)>>,
    messages: Messages,
}

/// Begins a run's report: makes the file. The calling process will print it.
///
/// # Errors
/// If there is no place for the file.
pub fn begin(directory: &Path) -> std::io::Result<PathBuf> {
    for attempt in 0..100 {
        let path = directory.join(format!("emu-explain-{}-{attempt}", host::pid()));
        match OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path) {
            Ok(mut file) => return file.write_all(format!("{}\n", host::pid()).as_bytes()).map(|()| path),
            // What another process of this number has left.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

impl Recorder {
    /// The part of the process that runs `program`.
    pub fn new(file: PathBuf, guest: Arc<dyn Guest>, program: &Path) -> Arc<Recorder> {
        let program = program.display().to_string();
        Arc::new(Recorder { file, guest, program, counts: Mutex::default(), messages: Messages::new("emu") })
    }

    /// It was met once more; `place` tells where, and is asked once.
    fn count(&self, missing: Missing, place: impl FnOnce() -> String) {
        let mut counts = lock(&self.counts);
        let (count, line) = counts.entry(missing).or_insert_with_key(|missing| {
            (Count::default(), Line::new(missing.clone(), host::pid(), &self.program, place()))
        });
        count.met += 1;
        if count.met.is_power_of_two() {
            self.tell(count, line);
        }
    }

    /// Adds to the file what it does not know yet. Without the file the run is over, and nobody reads it.
    fn tell(&self, count: &mut Count, line: &Line) {
        if count.met == count.told {
            return;
        }
        if let Ok(mut file) = OpenOptions::new().append(true).open(&self.file) {
            let _ = file.write_all(line.to_text(count.met - count.told).as_bytes());
            count.told = count.met;
        }
    }

    /// Tells all counts: before the process ends, or executes another program.
    pub fn flush(&self) {
        for (count, line) in lock(&self.counts).values_mut() {
            self.tell(count, line);
        }
    }

    /// For a fork, whose child needs it free.
    pub(super) fn lock(&self) -> impl Sized + '_ {
        lock(&self.counts)
    }

    /// In the child of a fork: what was counted before is the parent's to tell.
    pub(super) fn forget(&self) {
        lock(&self.counts).clear();
    }

    /// The end of the process. The first one of the run prints the report.
    pub fn end(&self) {
        self.flush();
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let Some((main, lines)) = text.split_once('\n') else { return };
        if main.parse() == Ok(host::pid()) {
            let _ = std::fs::remove_file(&self.file);
            self.messages.say(&report::text(lines));
        }
    }
}

/// What a failed system call says of something that is missing here; `None` if Linux might have answered the same.
fn missing_call(t: &Thread, name: &str, args: &Args, error: Errno) -> Option<Missing> {
    let abi = &t.process.abi;
    let found = |kind, name: String| Some(Missing { kind, name, answer: format!("{error:?}") });
    match (name, error) {
        // What C libraries try at every start, and do without by design.
        ("rseq", Errno::ENOSYS) => None,
        ("ioctl", Errno::ENOTTY) if !ioctl::is_known(t, args.uint(1)) => {
            found(Kind::Ioctl, format!("{:#x}", abi.ioctl_to_host(args.uint(1))))
        }
        ("prctl", Errno::EINVAL) if !misc::is_known_prctl(args.int(0)) => found(Kind::Prctl, args.int(0).to_string()),
        ("fcntl" | "fcntl64", Errno::EINVAL) if !files::is_known_fcntl(abi.fcntl_to_host(args.int(1))) => {
            found(Kind::Fcntl, args.int(1).to_string())
        }
        ("setsockopt" | "getsockopt", Errno::ENOPROTOOPT) => {
            let (level, name) = abi.socket_option_to_host(args.int(1), args.int(2));
            found(Kind::Sockopt, format!("level {level}, option {name}"))
        }
        ("socket", Errno::EAFNOSUPPORT) => found(Kind::Socket, format!("family {}", args.int(0))),
        ("clone", Errno::EINVAL) => found(Kind::Clone, report::clone_flags(args.get(0) & 0xffff_ff00)),
        ("clone3", Errno::EINVAL | Errno::EPERM) => {
            found(Kind::Clone, report::clone_flags(t.read_u64(args.get(0)).unwrap_or(0)))
        }
        ("seccomp", _) | ("personality", Errno::EINVAL) | (_, Errno::ENOSYS) => found(Kind::Syscall, name.to_owned()),
        _ => None,
    }
}

impl Thread {
    /// A system call has failed: notes what is missing.
    pub(super) fn explain_call(&self, insn: u64, name: &str, args: &Args, error: Errno) {
        let Some(recorder) = &self.process.config.explain else { return };
        if let Some(missing) = missing_call(self, name, args, error) {
            recorder.count(missing, || self.place(insn));
        }
    }

    /// A call by a number that is nobody's.
    pub(super) fn explain_number(&self, insn: u64, number: u32) {
        if let Some(recorder) = &self.process.config.explain {
            let missing =
                Missing { kind: Kind::Syscall, name: format!("number {number}"), answer: "ENOSYS".to_owned() };
            recorder.count(missing, || self.place(insn));
        }
    }

    /// An instruction has trapped: notes what is missing.
    pub(super) fn explain_trap(&self, trap: Trap) {
        let Some(recorder) = &self.process.config.explain else { return };
        let pc = self.vcpu.cpu().pc;
        let word = match trap.kind {
            TrapKind::IllegalInstruction { word } => word,
            TrapKind::CoprocessorUnusable { .. } => self.instruction(pc),
            _ => return,
        };
        let name = recorder.guest.missing(word).unwrap_or_else(|| format!("unknown: {word:#010x}"));
        self.explain_instruction(pc, name, &format!("{word:#010x}"));
    }

    /// A jump to an odd address leads to code of another instruction set.
    pub(super) fn explain_fault(&self, fault: &Fault) {
        let odd = fault.access == AccessKind::Execute && fault.cause == FaultCause::Misaligned && fault.addr & 1 != 0;
        if odd && self.process.config.explain.is_some() {
            let name = "MIPS16e or microMIPS (a jump to an odd address)".to_owned();
            self.explain_instruction(self.vcpu.cpu().pc, name, &format!("a jump to {:#x}", fault.addr));
        }
    }

    fn explain_instruction(&self, pc: u64, name: String, encoding: &str) {
        let Some(recorder) = &self.process.config.explain else { return };
        let handled = self.handles(libc::SIGILL);
        let answer = if handled { "SIGILL, for which the program has a handler" } else { "SIGILL" };
        let missing = Missing { kind: Kind::Instruction, name, answer: answer.to_owned() };
        recorder.count(missing, || format!("{}: {encoding}", self.place(pc)));
    }

    /// The 32 bits of the instruction at an address, as its word.
    fn instruction(&self, pc: u64) -> u32 {
        let mut code = crate::mem::UserEnv::new(Arc::clone(&self.process.mem));
        let word = code.fetch32(pc).unwrap_or(0);
        if self.layout().big { word.swap_bytes() } else { word }
    }

    /// An address for people: with the file, and the symbol before it.
    pub(super) fn place(&self, pc: u64) -> String {
        let vma = self.process.mem.maps().into_iter().find(|vma| vma.range.contains(&pc));
        let Some((offset, path)) =
            vma.and_then(|vma| Some((pc - vma.range.start + vma.offset, vma.file.as_ref()?.path.clone())))
        else {
            return format!("{pc:#x}");
        };
        let path = Path::new(std::ffi::OsStr::from_bytes(&path));
        let name = self.process.sysroot.to_guest(path);
        match symbol_at(path, offset) {
            Some((symbol, 0)) => format!("{pc:#x} ({symbol} in {})", name.display()),
            Some((symbol, by)) => format!("{pc:#x} ({symbol}+{by:#x} in {})", name.display()),
            None => format!("{pc:#x} ({}+{offset:#x})", name.display()),
        }
    }
}

/// The function that a place in an ELF file belongs to, and the distance from its beginning.
fn symbol_at(path: &Path, offset: u64) -> Option<(String, u64)> {
    let data = std::fs::read(path).ok()?;
    let image = Image::parse(&data).ok()?;
    let segment = image.segments.iter().find(|s| s.offset <= offset && offset - s.offset < s.file_size)?;
    nearest_symbol(&data, segment.addr + (offset - segment.offset))
}
