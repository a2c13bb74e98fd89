//! The arguments as clap reads them, and what they mean.

use crate::binfmt;
use crate::error::status;
use crate::options::{
    DiffOptions, DumpRequest, EngineChoice, HOT, LimitOptions, RunOptions, SharedOptions, StatsFormat, parse_code_size,
    parse_duration, parse_fuel, parse_range, parse_size,
};
use crate::sandbox::SandboxOptions;
use clap::{Args, Parser, Subcommand};
use emu_machine::engine::lockstep::{PlantedFault, SEGMENT};
use emu_machine::limits::{MAX_PROCESSES, RunLimits};
use emu_machine::sandbox::{CallRule, Network, RunId};
use std::ffi::OsString;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs RISC-V Linux programs on x86_64 Linux.
#[derive(Debug, Parser)]
#[command(name = "emu", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: RawCommand,
}

#[derive(Debug, Subcommand)]
enum RawCommand {
    /// Run a program
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Run a program on both engines in lockstep and compare them
    #[command(after_help = DIFF_HELP)]
    Diff(DiffArgs),
    /// Print the instructions of a program
    Disasm(DisasmArgs),
    /// Have the kernel start guests' programs by emu (binfmt_misc)
    #[command(after_help = BINFMT_HELP)]
    Binfmt(BinfmtArgs),
    /// Say what a program is, what it needs, and whether it can be run
    Info {
        /// The ELF file
        file: PathBuf,
    },
}

const RUN_HELP: &str = "\
Exit status: that of the program; a program killed by a signal kills emu by the same. \
124 if a limit ended the run, 125 if emu fails or is used wrongly, 126 if PROGRAM cannot be run, 127 if it is not found.";

const DIFF_HELP: &str = "\
Exit status: that of the program, or 124 if compiled code and interpreter disagreed in it or in a program that it \
executed; 123 if a limit ended the run; else as for run.";

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    options: OptionArgs,
    #[command(flatten)]
    sandbox: SandboxArgs,
    /// The program and its arguments, options for it included
    #[arg(value_names = ["PROGRAM", "ARGS"], required = true, num_args = 1.., trailing_var_arg = true)]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
struct DiffArgs {
    #[command(flatten)]
    options: OptionArgs,
    /// Compile and compare all code from its first execution on: the same as --engine jit
    #[arg(long)]
    all: bool,
    /// Executions after which a block is hot, so that the slow compiler takes it
    #[arg(long, value_name = "N", default_value_t = HOT)]
    hot: u32,
    /// Instructions between two comparisons, at most
    #[arg(long, value_name = "N", default_value_t = SEGMENT, value_parser = clap::value_parser!(u64).range(64..=1_000_000))]
    segment: u64,
    /// Where the file goes that repeats a divergence [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Repeat the divergence that a file holds
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    replay: Option<PathBuf>,
    /// Let the compiler make a mistake, for tests: a binary op of the IR, store, or write-back
    #[arg(long, hide = true, value_name = "OP")]
    plant_fault: Option<PlantedFault>,
    /// The file by which the processes of this run know each other
    #[arg(long, hide = true, value_name = "FILE")]
    session: Option<PathBuf>,
    /// The program and its arguments, options for it included
    #[arg(value_names = ["PROGRAM", "ARGS"], required_unless_present = "replay", num_args = 1.., trailing_var_arg = true)]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
struct OptionArgs {
    /// Look up the program's absolute paths in DIR first
    #[arg(short = 'L', long, value_name = "DIR", env = "EMU_SYSROOT", hide_env_values = true)]
    sysroot: Option<PathBuf>,
    /// Set a variable of the program's environment
    #[arg(short = 'E', long, value_name = "VAR=VALUE", value_parser = clap::builder::OsStringValueParser::new())]
    set_env: Vec<OsString>,
    /// Remove a variable from the program's environment
    #[arg(short = 'U', long, value_name = "VAR")]
    unset_env: Vec<OsString>,
    /// Give the program another name as its first argument than PROGRAM
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    argv0: Option<OsString>,
    /// The processor: an ISA string such as rv64gc or rv64gcb_zicond, a MIPS release or model such as mips32r2, 24Kc or I6400, or max
    /// [default: max of what the program is for]
    #[arg(long, value_name = "ISA")]
    cpu: Option<String>,
    /// What runs the program's code
    #[arg(long, value_enum, default_value_t)]
    engine: EngineChoice,
    /// Memory for compiled code, as 4M or 512K; when it is full it is emptied [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = parse_code_size)]
    code_cache: Option<usize>,
    /// Print each system call to the standard error
    #[arg(long)]
    strace: bool,
    /// Print translated code to the standard error: insn, ir, clif or host, of code in a range of addresses
    #[arg(long, value_name = "KIND[=LO..HI]")]
    dump: Vec<DumpRequest>,
    /// Write /tmp/perf-PID.map, by which the host's perf knows translated code: quick code and regions by their guest addresses
    #[arg(long)]
    perf_map: bool,
    /// Print numbers about the run to the standard error at its end
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    stats: Option<StatsFormat>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Say at the end what the program and its children asked for that is missing: system calls, options, instructions
    #[arg(long)]
    explain: bool,
    /// The file by which the processes of this run know each other
    #[arg(long, hide = true, value_name = "FILE")]
    explain_file: Option<PathBuf>,
    /// Log what the emulator does to the standard error; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Take arguments and environment from this descriptor: how a guest's execve starts a new instance
    #[arg(long, hide = true, value_name = "FD")]
    exec_fd: Option<i32>,
}

const BINFMT_HELP: &str = "\
Flags of the entries: P, the program's first argument is kept; O, emu gets the program as an open file, which it may not be \
able to read, or to find, itself; F, emu is opened now, so that it is there in containers and other root directories, too \
(where it should be linked statically). With --credentials also C: programs with set-user-ID have their owner's rights.";

#[derive(Debug, Args)]
#[group(skip)]
struct BinfmtArgs {
    #[command(flatten)]
    action: BinfmtActionArgs,
    /// The emulator's file, an absolute path [default: this program]
    #[arg(long, value_name = "FILE")]
    interpreter: Option<PathBuf>,
    /// Set-user-ID programs have their owner's rights, and so the emulator has (flag C)
    #[arg(long)]
    credentials: bool,
    /// Which: riscv64, riscv32, mips, mipsel, mipsn32, mipsn32el, mips64, mips64el [default: all]
    #[arg(value_name = "GUEST")]
    guests: Vec<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct BinfmtActionArgs {
    /// Print the entries, as for a file in /etc/binfmt.d
    #[arg(long)]
    print: bool,
    /// Register them with the kernel
    #[arg(long)]
    install: bool,
    /// Take them away
    #[arg(long)]
    remove: bool,
}

/// What `emu binfmt` shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinfmtAction {
    Print,
    Install,
    Remove,
}

/// `emu binfmt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BinfmtOptions {
    pub(crate) action: BinfmtAction,
    /// The emulator's file, if it is not this one.
    pub(crate) interpreter: Option<PathBuf>,
    /// Flag C.
    pub(crate) credentials: bool,
    /// Names; none is all.
    pub(crate) guests: Vec<String>,
}

impl BinfmtArgs {
    fn into_options(self) -> BinfmtOptions {
        let action = match self.action {
            BinfmtActionArgs { install: true, .. } => BinfmtAction::Install,
            BinfmtActionArgs { remove: true, .. } => BinfmtAction::Remove,
            BinfmtActionArgs { .. } => BinfmtAction::Print,
        };
        BinfmtOptions { action, interpreter: self.interpreter, credentials: self.credentials, guests: self.guests }
    }
}

#[derive(Debug, Args)]
struct LimitArgs {
    /// Guest instructions that the run may use, all its processes together, as 5000, 20M or 1G
    #[arg(long, value_name = "N", value_parser = parse_fuel)]
    fuel: Option<u64>,
    /// Time that the run may take, as 5s, 500ms or 2m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Memory that each process may have, as 64M: what it can write and no file is behind
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// Processes and threads that there may be at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_PROCESSES))]
    processes: Option<u64>,
    /// Size that files may grow to, as 1G
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    file_size: Option<u64>,
    /// By what the processes of this run know each other
    #[arg(long, hide = true, value_name = "FILE")]
    run_session: Option<PathBuf>,
}

/// What the program may do.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sandbox")]
struct SandboxArgs {
    /// Let the program do no harm: it can read itself and the sysroot, and else what FILE (TOML) and the options below allow
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    sandbox: Option<Option<PathBuf>>,
    /// In the sandbox, let PATH be read, with all below it
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    allow_read: Vec<PathBuf>,
    /// In the sandbox, let PATH be read and written, with all below it
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    allow_write: Vec<PathBuf>,
    /// In the sandbox, whom sockets reach: none, loopback or all [default: none]
    #[arg(long, value_name = "WHOM", requires = "sandbox")]
    network: Option<Network>,
    /// In the sandbox, what becomes of a system call: allow, deny (EPERM), errno:NAME or log
    #[arg(long, value_name = "NAME=RULE", requires = "sandbox")]
    syscall: Vec<CallRule>,
    /// Do with what the host's kernel has, and say so, where it cannot enforce all of the sandbox
    #[arg(long, requires = "sandbox")]
    sandbox_best_effort: bool,
    /// The first process of the run
    #[arg(long, hide = true, value_name = "PID:START", requires = "sandbox")]
    sandbox_run: Option<RunId>,
}

impl SandboxArgs {
    fn into_options(self) -> Option<SandboxOptions> {
        let file = self.sandbox?;
        Some(SandboxOptions {
            file,
            read: self.allow_read,
            write: self.allow_write,
            network: self.network,
            calls: self.syscall,
            best_effort: self.sandbox_best_effort,
            run: self.sandbox_run,
        })
    }
}

#[derive(Debug, Args)]
struct DisasmArgs {
    /// The ELF file
    file: PathBuf,
    /// Only these addresses
    #[arg(long, value_name = "LO..HI", value_parser = parse_range)]
    range: Option<Range<u64>>,
    /// The processor, as for run
    #[arg(long, value_name = "ISA")]
    cpu: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run a program.
    Run(Box<RunOptions>),
    /// Repeat a divergence.
    Replay {
        /// The reproducer.
        file: PathBuf,
        /// A mistake for the compiler to make.
        planted: Option<PlantedFault>,
    },
    /// Disassemble a file.
    Disasm {
        /// The file.
        file: PathBuf,
        /// The addresses; `None` is all code.
        range: Option<Range<u64>>,
        /// The ISA string.
        cpu: Option<String>,
    },
    /// Tell the kernel, or the user, of the guests.
    Binfmt(BinfmtOptions),
    /// Describe a file.
    Info {
        /// The file.
        file: PathBuf,
    },
}

/// What the arguments mean if the kernel has started this process to run a program (binfmt_misc). Options there are none, but for the
/// sysroot from the environment, which is not believed where the program has more rights than its user.
pub(crate) fn by_kernel(args: &[OsString]) -> Option<Command> {
    let start = binfmt::kernel_start(args, binfmt::Told::read())?;
    let sysroot = std::env::var_os("EMU_SYSROOT").filter(|dir| !start.secure && !dir.is_empty());
    Some(Command::Run(Box::new(RunOptions {
        shared: SharedOptions { sysroot: sysroot.map(PathBuf::from), ..SharedOptions::default() },
        set_env: Vec::new(),
        unset_env: Vec::new(),
        argv0: start.argv0,
        exec_fd: None,
        binary: start.binary,
        program: start.program,
        args: start.args,
    })))
}

/// Reads the arguments, the emulator's name first.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Box<clap::Error>> {
    Ok(match Cli::try_parse_from(args)?.command {
        RawCommand::Run(RunArgs { options, sandbox, command }) => {
            let mut options = options.into_options(command, None)?;
            options.shared.sandbox = sandbox.into_options();
            Command::Run(Box::new(options))
        }
        RawCommand::Diff(DiffArgs { replay: Some(file), plant_fault: planted, .. }) => {
            Command::Replay { file, planted }
        }
        RawCommand::Diff(args) => Command::Run(Box::new(args.into_options()?)),
        RawCommand::Disasm(DisasmArgs { file, range, cpu }) => Command::Disasm { file, range, cpu },
        RawCommand::Binfmt(args) => Command::Binfmt(args.into_options()),
        RawCommand::Info { file } => Command::Info { file },
    })
}

/// Prints clap's answer: help and the version are no errors.
pub(crate) fn report(refusal: &clap::Error) -> ExitCode {
    // Nobody is left to tell if this cannot be printed.
    let _ = refusal.print();
    if refusal.use_stderr() { ExitCode::from(status::EMULATOR) } else { ExitCode::SUCCESS }
}

impl DiffArgs {
    fn into_options(mut self) -> Result<RunOptions, Box<clap::Error>> {
        match self.options.engine {
            EngineChoice::Interp => return Err(usage("there is nothing to compare with --engine interp".to_owned())),
            EngineChoice::Tiered if self.all => self.options.engine = EngineChoice::Jit,
            _ => {}
        }
        let diff = DiffOptions {
            hot: self.hot,
            segment: self.segment,
            save: self.save,
            planted: self.plant_fault,
            session: self.session,
        };
        self.options.into_options(self.command, Some(diff))
    }
}

impl OptionArgs {
    fn into_options(self, command: Vec<OsString>, diff: Option<DiffOptions>) -> Result<RunOptions, Box<clap::Error>> {
        for variable in &self.set_env {
            if !variable.as_encoded_bytes()[..].contains(&b'=') || variable.as_encoded_bytes().starts_with(b"=") {
                return Err(usage(format!("--set-env wants VAR=VALUE, not \"{}\"", variable.display())));
            }
        }
        if diff.is_some() && self.limits.fuel.is_some() {
            return Err(usage("--fuel is for run: diff counts by itself".to_owned()));
        }
        let mut command = command.into_iter();
        let program = command.next().ok_or_else(|| usage("there is no program to run".to_owned()))?;
        let shared = SharedOptions {
            sysroot: self.sysroot.filter(|dir| !dir.as_os_str().is_empty()),
            cpu: self.cpu,
            engine: self.engine,
            code_cache: self.code_cache,
            strace: self.strace,
            dumps: self.dump,
            perf_map: self.perf_map,
            stats: self.stats,
            explain: self.explain,
            explain_file: self.explain_file,
            verbose: self.verbose,
            limits: self.limits.into_options(),
            sandbox: None,
            diff,
        };
        Ok(RunOptions {
            shared,
            set_env: self.set_env,
            unset_env: self.unset_env,
            argv0: self.argv0,
            exec_fd: self.exec_fd,
            binary: None,
            program: program.into(),
            args: command.collect(),
        })
    }
}

impl LimitArgs {
    fn into_options(self) -> LimitOptions {
        let LimitArgs { fuel, timeout, memory, processes, file_size, run_session: session } = self;
        LimitOptions { run: RunLimits { fuel, timeout, processes, memory, file_size }, session }
    }
}

fn usage(message: String) -> Box<clap::Error> {
    use clap::CommandFactory;
    Box::new(Cli::command().error(clap::error::ErrorKind::ValueValidation, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::DumpKind;
    use clap::CommandFactory;

    fn options(args: &[&str]) -> RunOptions {
        options_of("run", args)
    }

    fn options_of(command: &str, args: &[&str]) -> RunOptions {
        match parse(["emu", command].iter().chain(args).map(OsString::from)) {
            Ok(Command::Run(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn all_after_the_program_is_the_guests() {
        let o = options(&["-L", "/root", "prog", "-L", "x", "--strace", "--", "-E"]);
        assert_eq!(o.shared.sysroot, Some("/root".into()));
        assert_eq!(o.program, PathBuf::from("prog"));
        assert_eq!(o.args, ["-L", "x", "--strace", "--", "-E"]);
        assert!(!o.shared.strace);
        let o = options(&["--", "-prog", "--", "x"]);
        assert_eq!((o.program, o.args), (PathBuf::from("-prog"), vec!["--".into(), "x".into()]));
    }

    #[test]
    fn every_option() {
        let o = options(&[
            "-E",
            "A=1",
            "-E",
            "B=",
            "-U",
            "C",
            "--argv0",
            "-sh",
            "--cpu",
            "rv64gc",
            "--engine",
            "jit",
            "--code-cache",
            "4M",
            "--strace",
            "--dump",
            "ir=0x1..0x2",
            "--dump=host",
            "--perf-map",
            "--explain",
            "--stats",
            "-vv",
            "p",
        ]);
        assert_eq!(o.set_env, ["A=1", "B="]);
        assert_eq!((o.unset_env, o.argv0), (vec!["C".into()], Some("-sh".into())));
        assert_eq!((o.shared.cpu.as_deref(), o.shared.engine), (Some("rv64gc"), EngineChoice::Jit));
        assert_eq!((o.shared.stats, o.shared.verbose, o.shared.strace), (Some(StatsFormat::Text), 2, true));
        assert!(o.shared.perf_map && o.shared.explain);
        assert_eq!(o.shared.code_cache, Some(4 << 20));
        assert_eq!(o.shared.dumps[0], DumpRequest { kind: DumpKind::Ir, range: Some(1..2) });
    }

    #[test]
    fn limits_have_units() {
        let o =
            options(&["--fuel", "20M", "--timeout=500ms", "--memory", "64M", "--processes=9", "--file-size=1K", "p"]);
        let expected = RunLimits {
            fuel: Some(20_000_000),
            timeout: Some(Duration::from_millis(500)),
            memory: Some(64 << 20),
            processes: Some(9),
            file_size: Some(1024),
        };
        assert_eq!(o.shared.limits, LimitOptions { run: expected, session: None });
        let time = |text| options(&["--timeout", text, "p"]).shared.limits.run.timeout;
        assert_eq!((time("5"), time("2m")), (Some(Duration::from_secs(5)), Some(Duration::from_secs(120))));
        let bad =
            ["--timeout=0", "--timeout=5d", "--timeout=-1", "--fuel=1K", "--fuel=+1", "--fuel=18446744073709551615"];
        for option in bad.into_iter().chain(["--memory=", "--memory=1.5M", "--processes=0", "--file-size=x"]) {
            assert!(parse(["emu", "run", option, "p"].map(OsString::from)).is_err(), "{option}");
        }
        assert!(parse(["emu", "diff", "--fuel=5", "p"].map(OsString::from)).is_err());
        assert!(parse(["emu", "diff", "--timeout=5s", "p"].map(OsString::from)).is_ok());
    }

    #[test]
    fn options_read_back() {
        let lines: [&[&str]; 6] = [
            &["p"],
            &["-L", "/a b", "-E", "A=b=c", "-U", "X", "--argv0", "", "p", "-x", "--"],
            &["--cpu", "rv32gc", "--engine", "interp", "--strace", "--stats=json", "-v", "--exec-fd=5", "--", "-p"],
            &["--explain", "--explain-file", "/a b", "p"],
            &["--dump", "insn", "--dump", "clif=0x10..0x20", "--perf-map", "--stats", "-vv", "--code-cache=300K", "p"],
            &["--fuel=1G", "--timeout=2m", "--memory=1G", "--processes=7", "--file-size=0", "--run-session=/x", "p"],
        ];
        for line in lines {
            let first = options(line);
            let again = parse([OsString::from("emu")].into_iter().chain(first.to_args()));
            assert_eq!(again.unwrap(), Command::Run(Box::new(first)), "{line:?}");
        }
        let line = [
            "--sandbox=/p.toml",
            "--allow-read=/a",
            "--allow-read=/b",
            "--allow-write=/c",
            "--network=loopback",
            "--syscall=kill=errno:ENOSYS",
            "--sandbox-best-effort",
            "--sandbox-run=5:6",
            "p",
        ];
        for line in [&line[..], &["--sandbox", "p"]] {
            let first = options(line);
            assert!(first.shared.sandbox.is_some());
            let again = parse([OsString::from("emu")].into_iter().chain(first.to_args()));
            assert_eq!(again.unwrap(), Command::Run(Box::new(first)), "{line:?}");
        }
        let line =
            ["--all", "--segment", "500", "--save", "/a", "--plant-fault", "xor", "--session=/s", "-v", "p", "-x"];
        let first = options_of("diff", &line);
        assert_eq!(first.shared.engine, EngineChoice::Jit);
        let again = parse([OsString::from("emu")].into_iter().chain(first.to_args()));
        assert_eq!(again.unwrap(), Command::Run(Box::new(first)));
    }

    #[test]
    fn replays_need_no_program() {
        let file = PathBuf::from("f");
        let parsed = parse(["emu", "diff", "--replay", "f"].map(OsString::from));
        assert_eq!(parsed.unwrap(), Command::Replay { file, planted: None });
        let refused: [&[&str]; 5] = [
            &[],
            &["--replay", "f", "p"],
            &["--engine", "interp", "p"],
            &["--segment", "1", "p"],
            &["--plant-fault", "x", "p"],
        ];
        for line in refused {
            assert!(parse(["emu", "diff"].iter().chain(line).map(OsString::from)).is_err(), "{line:?}");
        }
    }

    #[test]
    fn binfmt_does_one_thing() {
        let parsed = |line: &[&str]| parse(["emu", "binfmt"].iter().chain(line).map(OsString::from));
        let (interpreter, guests) = (Some(PathBuf::from("/e")), vec!["mips".to_owned()]);
        let expected = BinfmtOptions { action: BinfmtAction::Install, interpreter, credentials: true, guests };
        let line = ["--install", "--interpreter", "/e", "--credentials", "mips"];
        assert_eq!(parsed(&line).unwrap(), Command::Binfmt(expected));
        assert!(parsed(&[]).is_err() && parsed(&["--print", "--remove"]).is_err());
    }

    #[test]
    fn wrong_usage() {
        for line in [&["--allow-read", "/a", "p"][..], &["--sandbox", "--network", "some", "p"]] {
            assert!(parse(["emu", "run"].iter().chain(line).map(OsString::from)).is_err(), "{line:?}");
        }
        assert!(parse(["emu", "diff", "--sandbox", "p"].map(OsString::from)).is_err());
        for line in [&["-E", "A", "p"][..], &["-E", "=x", "p"], &[], &["--bogus", "p"], &["--engine", "qemu", "p"]] {
            let refusal = parse(["emu", "run"].iter().chain(line).map(OsString::from)).unwrap_err();
            assert!(refusal.use_stderr(), "{line:?}");
        }
    }
}
