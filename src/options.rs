//! What a command line means, as plain data, and the way back to a command line.

use crate::sandbox::SandboxOptions;
use emu_machine::engine::Tier;
use emu_machine::engine::lockstep::PlantedFault;
use emu_machine::limits::RunLimits;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// `emu run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunOptions {
    /// What holds for the programs that the guest executes, too.
    pub(crate) shared: SharedOptions,
    /// Variables to set, as `NAME=VALUE`.
    pub(crate) set_env: Vec<OsString>,
    /// Variables to remove.
    pub(crate) unset_env: Vec<OsString>,
    /// The guest's `argv[0]`, if it is not the program's name.
    pub(crate) argv0: Option<OsString>,
    /// A descriptor with what execve(2) in the guest hands over, instead of arguments and environment.
    pub(crate) exec_fd: Option<i32>,
    /// A descriptor with the program's file, from a kernel that has started it (binfmt_misc).
    pub(crate) binary: Option<i32>,
    /// The program's file.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
}

/// Options that the programs executed by the guest inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SharedOptions {
    /// Where the guest's absolute paths are looked up first.
    pub(crate) sysroot: Option<PathBuf>,
    /// The ISA string; by default all that is implemented, at the program's width.
    pub(crate) cpu: Option<String>,
    /// Which engine.
    pub(crate) engine: EngineChoice,
    /// Bytes of compiled code, at most.
    pub(crate) code_cache: Option<usize>,
    /// Print system calls.
    pub(crate) strace: bool,
    /// What to print of translated code.
    pub(crate) dumps: Vec<DumpRequest>,
    /// Tell the host's perf where code is.
    pub(crate) perf_map: bool,
    /// Numbers at the end.
    pub(crate) stats: Option<StatsFormat>,
    /// Tell at the end what was missing.
    pub(crate) explain: bool,
    /// The file for that, in all but the run's first process.
    pub(crate) explain_file: Option<PathBuf>,
    /// How often `-v` was given.
    pub(crate) verbose: u8,
    /// Both engines, compared: `emu diff`.
    pub(crate) diff: Option<DiffOptions>,
    /// What the run may use.
    pub(crate) limits: LimitOptions,
    /// What the program may do; `None` is everything.
    pub(crate) sandbox: Option<SandboxOptions>,
}

/// The limits of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LimitOptions {
    /// What the user wants.
    pub(crate) run: RunLimits,
    /// By what the run's processes know each other, in all but the supervisor.
    pub(crate) session: Option<PathBuf>,
}

impl LimitOptions {
    fn to_args(&self) -> Vec<OsString> {
        let RunLimits { fuel, timeout, processes, memory, file_size } = self.run;
        let numbers = [("--fuel", fuel), ("--processes", processes), ("--memory", memory), ("--file-size", file_size)];
        let mut args: Vec<OsString> =
            numbers.iter().filter_map(|(name, n)| n.map(|n| format!("{name}={n}").into())).collect();
        args.extend(timeout.map(|time| format!("--timeout={}ns", time.as_nanos()).into()));
        args.extend(self.session.iter().map(|file| joined("--run-session", file.as_os_str())));
        args
    }
}

/// What `emu diff` has beside the options of `emu run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiffOptions {
    /// Executions after which regions are made.
    pub(crate) hot: u32,
    /// Instructions of a segment, at most.
    pub(crate) segment: u64,
    /// Where reproducers go.
    pub(crate) save: Option<PathBuf>,
    /// A mistake for the compiler to make.
    pub(crate) planted: Option<PlantedFault>,
    /// The session's file, in all but its first process.
    pub(crate) session: Option<PathBuf>,
}

/// Executions after which `emu diff` has regions made: fewer than where speed is what counts, since what is compiled is what
/// is checked.
pub(crate) const HOT: u32 = 250;

impl DiffOptions {
    fn to_args(&self) -> Vec<OsString> {
        let mut args = vec![format!("--hot={}", self.hot).into(), format!("--segment={}", self.segment).into()];
        args.extend(self.save.iter().map(|dir| joined("--save", dir.as_os_str())));
        args.extend(self.planted.iter().map(|op| format!("--plant-fault={op}").into()));
        args.extend(self.session.iter().map(|file| joined("--session", file.as_os_str())));
        args
    }
}

/// `--engine`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum EngineChoice {
    /// Quick code first, better code for what is hot; the interpreter for the rest
    #[default]
    Tiered,
    /// The interpreter alone
    Interp,
    /// Compiled code from the first execution on
    Jit,
}

impl EngineChoice {
    /// The option's value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            EngineChoice::Tiered => "tiered",
            EngineChoice::Interp => "interp",
            EngineChoice::Jit => "jit",
        }
    }

    /// What the machine calls it.
    pub(crate) fn tier(self) -> Tier {
        match self {
            EngineChoice::Tiered => Tier::Tiered,
            EngineChoice::Interp => Tier::Interp,
            EngineChoice::Jit => Tier::Jit,
        }
    }
}

/// `--stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StatsFormat {
    /// For people
    Text,
    /// One line of JSON
    Json,
}

/// What can be dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DumpKind {
    /// Guest instructions.
    Insn,
    /// Our IR, optimised.
    Ir,
    /// Cranelift's IR.
    Clif,
    /// Host instructions.
    Host,
}

/// The kinds by name.
pub(crate) const DUMP_KINDS: [(&str, DumpKind); 4] =
    [("insn", DumpKind::Insn), ("ir", DumpKind::Ir), ("clif", DumpKind::Clif), ("host", DumpKind::Host)];

/// `--dump KIND[=LO..HI]`: code that starts at an address of the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DumpRequest {
    /// What.
    pub(crate) kind: DumpKind,
    /// Where; `None` is everywhere.
    pub(crate) range: Option<Range<u64>>,
}

impl DumpRequest {
    /// Is code at `pc` wanted?
    pub(crate) fn covers(&self, pc: u64) -> bool {
        self.range.as_ref().is_none_or(|range| range.contains(&pc))
    }
}

impl FromStr for DumpRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, range) = match text.split_once('=') {
            Some((name, range)) => (name, Some(parse_range(range)?)),
            None => (text, None),
        };
        let known = DUMP_KINDS.iter().find(|(known, _)| *known == name);
        let (_, kind) = known.ok_or_else(|| format!("\"{name}\" is none of insn, ir, clif, host"))?;
        Ok(DumpRequest { kind: *kind, range })
    }
}

impl fmt::Display for DumpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = DUMP_KINDS.iter().find(|(_, kind)| *kind == self.kind);
        f.write_str(named.map_or("", |(name, _)| name))?;
        match &self.range {
            Some(range) => write!(f, "={:#x}..{:#x}", range.start, range.end),
            None => Ok(()),
        }
    }
}

/// `LO..HI`, each decimal or hexadecimal with `0x`; a missing bound is the end of the address space.
pub(crate) fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (low, high) = text.split_once("..").ok_or_else(|| format!("\"{text}\" is no range LO..HI"))?;
    let bound = |text: &str, missing| if text.is_empty() { Ok(missing) } else { parse_address(text) };
    let range = bound(low, 0)?..bound(high, u64::MAX)?;
    if range.is_empty() { Err(format!("the range {text} is empty")) } else { Ok(range) }
}

/// Sizes of the code cache: a region fits the smallest, and jumps reach from one end of the largest to the other.
const CODE_SIZES: RangeInclusive<usize> = 256 << 10..=1 << 30;

/// `--code-cache`.
pub(crate) fn parse_code_size(text: &str) -> Result<usize, String> {
    let size = parse_size(text).ok().and_then(|size| usize::try_from(size).ok());
    size.filter(|size| CODE_SIZES.contains(size)).ok_or_else(|| format!("\"{text}\" is no size from 256K to 1G"))
}

/// A number of bytes, or of KiB, MiB or GiB with K, M or G.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
    scaled(text, &units).ok_or_else(|| format!("\"{text}\" is no size as 4096, 512K, 64M or 2G"))
}

/// A number of instructions, or of thousands, millions, ... of them with k, M, G or T.
pub(crate) fn parse_fuel(text: &str) -> Result<u64, String> {
    let units = [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
    let fuel = scaled(text, &units).filter(|fuel| *fuel <= MOST_FUEL);
    fuel.ok_or_else(|| format!("\"{text}\" is no number of instructions up to {MOST_FUEL}, as 5000, 20M or 1G"))
}

/// Counts of instructions stay far below what overflows.
const MOST_FUEL: u64 = 1 << 62;

/// A whole number and a unit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)));
    let (digits, scale) = unit.unwrap_or((text, 1));
    // No sign: `parse` would take one.
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()?.checked_mul(scale))?
}

/// A time: seconds, or with a unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let units = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    let nanos = if has_unit { scaled(text, &units) } else { scaled(text, &[("", 1_000_000_000)]) };
    nanos
        .filter(|n| *n > 0)
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("\"{text}\" is no time as 5s, 500ms or 2m"))
}

fn parse_address(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| format!("\"{text}\" is no address"))
}

impl SharedOptions {
    /// The subcommand.
    fn command(&self) -> &'static str {
        if self.diff.is_some() { "diff" } else { "run" }
    }

    /// The options as arguments that mean the same.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let mut args = Vec::new();
        let mut option = |name: &str, value: &OsStr| args.push(joined(name, value));
        if let Some(sysroot) = &self.sysroot {
            option("--sysroot", sysroot.as_os_str());
        }
        if let Some(cpu) = &self.cpu {
            option("--cpu", cpu.as_ref());
        }
        option("--engine", self.engine.name().as_ref());
        if let Some(size) = self.code_cache {
            option("--code-cache", size.to_string().as_ref());
        }
        for dump in &self.dumps {
            option("--dump", dump.to_string().as_ref());
        }
        match self.stats {
            Some(StatsFormat::Text) => option("--stats", "text".as_ref()),
            Some(StatsFormat::Json) => option("--stats", "json".as_ref()),
            None => {}
        }
        args.extend(self.strace.then(|| "--strace".into()));
        args.extend(self.explain.then(|| "--explain".into()));
        args.extend(self.explain_file.iter().map(|file| joined("--explain-file", file.as_os_str())));
        args.extend(self.perf_map.then(|| "--perf-map".into()));
        args.extend((0..self.verbose).map(|_| "-v".into()));
        args.extend(self.sandbox.iter().flat_map(SandboxOptions::to_args));
        args.extend(self.diff.iter().flat_map(DiffOptions::to_args));
        args.extend(self.limits.to_args());
        args
    }
}

/// `NAME=VALUE`.
pub(crate) fn joined(name: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(name);
    option.push("=");
    option.push(value);
    option
}

impl RunOptions {
    /// The arguments after the emulator's name that mean the same.
    #[cfg(test)]
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let mut args = vec![self.shared.command().into()];
        args.extend(self.shared.to_args());
        args.extend(self.set_env.iter().map(|v| joined("--set-env", v)));
        args.extend(self.unset_env.iter().map(|v| joined("--unset-env", v)));
        args.extend(self.argv0.iter().map(|v| joined("--argv0", v)));
        args.extend(self.exec_fd.map(|fd| format!("--exec-fd={fd}").into()));
        args.push("--".into());
        args.push(self.program.clone().into());
        args.extend(self.args.iter().cloned());
        args
    }

    /// The arguments, after the emulator's name and before the program, for what the guest executes.
    pub(crate) fn reexec_args(&self) -> Vec<OsString> {
        let mut args = vec![self.shared.command().into()];
        // That of the sandbox is said when the files are known.
        args.extend(SharedOptions { sandbox: None, ..self.shared.clone() }.to_args());
        args
    }

    /// The guest's environment, made of the emulator's.
    pub(crate) fn environment(&self, own: impl Iterator<Item = (OsString, OsString)>) -> Vec<OsString> {
        let changed: Vec<OsString> = self.set_env.iter().map(|v| name_of(v)).collect();
        let kept = own.filter(|(name, _)| !self.unset_env.contains(name) && !changed.contains(name));
        let kept = kept.map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        });
        kept.chain(self.set_env.iter().cloned()).collect()
    }
}

/// The name in `NAME=VALUE`.
fn name_of(variable: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    OsString::from_vec(variable.as_bytes().split(|b| *b == b'=').next().unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_the_code_cache() {
        let sizes = [("262144", 256 << 10), ("256K", 256 << 10), ("4M", 4 << 20), ("1G", 1 << 30)];
        for (text, size) in sizes {
            assert_eq!(parse_code_size(text), Ok(size));
        }
        for bad in ["", "M", "4", "255K", "2G", "4m", "-4M", "99999999999999999999G", "17179869184G"] {
            assert!(parse_code_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dumps_read_back() {
        for text in ["insn", "ir=0x10000..0x20000", "clif", "host=0x0..0xffffffffffffffff"] {
            assert_eq!(text.parse::<DumpRequest>().unwrap().to_string(), text);
        }
        assert_eq!("ir=16..0x20".parse::<DumpRequest>().unwrap().range, Some(16..32));
        assert_eq!("ir=..0x20".parse::<DumpRequest>().unwrap().range, Some(0..32));
        for bad in ["asm", "ir=5", "ir=0x20..0x10", "ir=x..y", ""] {
            assert!(bad.parse::<DumpRequest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_environment_is_changed_in_place_of_the_own() {
        let options = RunOptions {
            shared: SharedOptions::default(),
            set_env: vec!["A=1".into(), "NEW=".into()],
            unset_env: vec!["B".into()],
            argv0: None,
            exec_fd: None,
            binary: None,
            program: "x".into(),
            args: vec![],
        };
        let own = [("A", "0"), ("B", "0"), ("C", "a=b")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(options.environment(own.into_iter()), ["C=a=b", "A=1", "NEW="]);
    }
}
