//! What a guest in the sandbox may do, and the host kernel's part in holding it to that.
//!
//! [`Policy`] is plain data. It is enforced twice: by the handlers of system calls (`linux::confine`), which know the guest's view, and
//! beneath them by Landlock and seccomp for the whole process and all its children ([`restrict`]), should a handler be wrong.
#![forbid(unsafe_code)]

mod capabilities;
mod landlock;
mod seccomp;

use crate::linux::errno::Errno;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a guest may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Files and directories of the host that may be read, with all below them.
    pub read: Vec<PathBuf>,
    /// Those that may be read and written.
    pub write: Vec<PathBuf>,
    /// Whom sockets may reach.
    pub network: Network,
    /// Single system calls, the last rule for a name counts.
    pub calls: Vec<CallRule>,
    /// Do without what the host's kernel lacks, with a warning.
    pub best_effort: bool,
    /// The first process of the run, if this is not it.
    pub run: Option<RunId>,
    /// Files by which the run's processes know each other. The kernel lets the emulator have them, and the emulator no guest.
    pub own: Vec<PathBuf>,
}

/// Whom sockets may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nobody: local sockets at writable paths only.
    #[default]
    None,
    /// This machine, by its loopback addresses.
    Loopback,
    /// Everybody, by TCP and UDP.
    All,
}

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is made, subject to everything else here.
    Allow,
    /// `EPERM`.
    Deny,
    /// This error.
    Errno(i32),
    /// It is made, and told on the standard error.
    Log,
}

/// A rule for the system calls of one name: `NAME=RULE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRule {
    /// As in the kernel's `unistd.h`.
    pub name: String,
    /// What happens to it.
    pub rule: Rule,
}

/// A process, told from later ones with the same number by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId {
    /// Its number.
    pub pid: i32,
    /// Its start in ticks since the host's.
    pub started: u64,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SandboxError {
    #[error("--sandbox: {}: {error}", path.display())]
    Path { path: PathBuf, error: std::io::Error },
    #[error("--sandbox: {} is not readable in it", .0.display())]
    Program(PathBuf),
    #[error("--sandbox: there is no system call named {0}")]
    Call(String),
    #[error(
        "--sandbox: the host's kernel has no Landlock that restricts files, TCP and signals (Linux 6.12 with it enabled does): {0}; \
         --sandbox-best-effort runs with what there is"
    )]
    Landlock(String),
    #[error("--sandbox: the host's kernel keeps its capabilities: {0}")]
    Capabilities(String),
    #[error("--sandbox: the host's kernel takes no seccomp filter: {0}")]
    Seccomp(String),
}

/// Flags of clone(2) for other views of the system, and for a child that is somebody else's.
pub(crate) const REFUSED_CLONE: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_PARENT) as u32;

/// Devices that nobody can harm by, readable and, those in the second list, writable always.
const DEVICES: [&str; 2] = ["/dev/random", "/dev/urandom"];
const SINKS: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

impl Policy {
    /// The policy with its paths as the kernel names them, and with what every program needs: `needed` and harmless devices.
    ///
    /// # Errors
    /// If a path does not exist.
    pub fn settled(&self, needed: &[&Path]) -> Result<Policy, SandboxError> {
        let real =
            |path: &Path| path.canonicalize().map_err(|error| SandboxError::Path { path: path.to_owned(), error });
        let mut policy = self.clone();
        policy.read =
            self.read.iter().map(PathBuf::as_path).chain(needed.iter().copied()).map(real).collect::<Result<_, _>>()?;
        policy.write = self.write.iter().map(|path| real(path)).collect::<Result<_, _>>()?;
        // Those that this host has.
        policy.read.extend(DEVICES.iter().filter_map(|path| real(Path::new(path)).ok()));
        policy.write.extend(SINKS.iter().filter_map(|path| real(Path::new(path)).ok()));
        for list in [&mut policy.read, &mut policy.write] {
            list.sort();
            list.dedup();
        }
        Ok(policy)
    }

    /// May the file with this name, the kernel's for it, be read?
    pub fn reads(&self, path: &Path) -> bool {
        self.writes(path) || self.read.iter().any(|allowed| path.starts_with(allowed))
    }

    /// May it be written?
    pub fn writes(&self, path: &Path) -> bool {
        self.write.iter().any(|allowed| path.starts_with(allowed))
    }

    /// Is it on the way to what may be read?
    pub fn leads_on(&self, path: &Path) -> bool {
        self.read.iter().chain(&self.write).any(|allowed| allowed.starts_with(path))
    }

    /// The rule for a system call.
    pub fn rule(&self, name: &str) -> Option<Rule> {
        self.calls.iter().rev().find(|call| call.name == name).map(|call| call.rule)
    }
}

/// Restricts this process and all its children for good; call it while it has one thread.
///
/// # Errors
/// If the host's kernel cannot do all of it, unless the policy is content with less.
pub fn restrict(policy: &Policy) -> Result<(), SandboxError> {
    capabilities::restrict()?;
    landlock::restrict(policy)?;
    seccomp::restrict(policy)
}

/// Is this process restricted already, by the instance of the emulator that it comes from?
pub fn is_restricted() -> bool {
    /// `SECCOMP_MODE_FILTER`, as `/proc` has it.
    const FILTERED: &str = "Seccomp:\t2";
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let has = |line: &str| status.lines().any(|known| known == line);
    has(FILTERED) && has("NoNewPrivs:\t1")
}

/// Does the kernel name a descriptor's file like one that has no name: a pipe, a socket, memory?
pub fn is_nameless(real: &Path) -> bool {
    let bytes = real.as_os_str().as_bytes();
    !bytes.starts_with(b"/") || bytes.starts_with(b"/memfd:") && bytes.ends_with(b" (deleted)")
}

const NETWORKS: [(&str, Network); 3] =
    [("none", Network::None), ("loopback", Network::Loopback), ("all", Network::All)];

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let known = NETWORKS.iter().find(|(name, _)| *name == text);
        known.map(|(_, network)| *network).ok_or_else(|| format!("\"{text}\" is none of none, loopback, all"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NETWORKS.iter().find(|(_, network)| network == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Rule, String> {
        match (text, text.strip_prefix("errno:")) {
            ("allow", _) => Ok(Rule::Allow),
            ("deny", _) => Ok(Rule::Deny),
            ("log", _) => Ok(Rule::Log),
            (_, Some(name)) => {
                let errno = Errno::by_name(name).ok_or_else(|| format!("\"{name}\" is no error's name"))?;
                Ok(Rule::Errno(errno.0))
            }
            _ => Err(format!("\"{text}\" is none of allow, deny, errno:NAME, log")),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Allow => f.write_str("allow"),
            Rule::Deny => f.write_str("deny"),
            Rule::Log => f.write_str("log"),
            Rule::Errno(number) => write!(f, "errno:{}", Errno(*number).name().unwrap_or_default()),
        }
    }
}

impl FromStr for CallRule {
    type Err = String;

    fn from_str(text: &str) -> Result<CallRule, String> {
        let (name, rule) = text.split_once('=').ok_or_else(|| format!("\"{text}\" is no NAME=RULE"))?;
        Ok(CallRule { name: name.to_owned(), rule: rule.parse()? })
    }
}

impl fmt::Display for CallRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.rule)
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<RunId, String> {
        let pair = text.split_once(':').and_then(|(pid, at)| Some((pid.parse().ok()?, at.parse().ok()?)));
        pair.map(|(pid, started)| RunId { pid, started }).ok_or_else(|| format!("\"{text}\" is no PID:START"))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pid, self.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::host;

    /// What a process can still do that [`restrict`] has been called in: the names of what it should not.
    fn escapes(scratch: &Path) -> Vec<String> {
        let call = |number, args: &[host::Arg<'_>]| host::call(number, args).map_or_else(|errno| errno, |_| Errno(0));
        let parent = host::call(libc::SYS_getppid, &[]).unwrap_or_default();
        let outside = std::fs::File::open(scratch.join("secret")).map(drop);
        let made = std::fs::write(scratch.join("new"), "x");
        let listed = std::fs::read_dir(scratch).map(drop);
        let environment = std::fs::read(format!("/proc/{parent}/environ")).map(drop);
        let memory = std::fs::OpenOptions::new().write(true).open("/proc/self/mem").map(drop);
        let ran = std::process::Command::new("/bin/true").status().map(drop);
        let local = std::os::unix::net::UnixStream::pair().map(drop);
        let tcp = std::net::TcpStream::connect("127.0.0.1:9").map(drop);
        let denied = std::io::ErrorKind::PermissionDenied;
        let files = [
            ("read", outside, denied),
            ("make", made, denied),
            ("list", listed, denied),
            ("environment", environment, denied),
            ("memory", memory, denied),
            ("run", ran, denied),
            ("tcp", tcp, denied),
        ];
        let numbers = [
            ("kill", call(libc::SYS_kill, &[parent.into(), 0.into()])),
            ("ptrace", call(libc::SYS_ptrace, &[16.into(), parent.into(), 0.into(), 0.into()])),
            ("process_vm_writev", call(libc::SYS_process_vm_writev, &[parent.into(), 0.into(), 0.into()])),
            ("io_uring", call(libc::SYS_io_uring_setup, &[4.into(), 0.into()])),
            ("unshare", call(libc::SYS_unshare, &[libc::CLONE_NEWUSER.into()])),
            ("clone", call(libc::SYS_clone, &[(libc::CLONE_NEWUSER | libc::SIGCHLD).into()])),
            ("netlink", call(libc::SYS_socket, &[libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0.into()])),
            ("tiocsti", call(libc::SYS_ioctl, &[0.into(), libc::TIOCSTI.into(), 0.into()])),
            ("shmget", call(libc::SYS_shmget, &[5.into(), 4096.into(), 0o1600.into()])),
            ("mount", call(libc::SYS_mount, &[0.into(), 0.into(), 0.into()])),
        ];
        let kept =
            files.into_iter().map(|(name, result, wanted)| (name, result.err().is_some_and(|e| e.kind() == wanted)));
        let refused = numbers.into_iter().map(|(name, errno)| (name, errno == Errno::EPERM));
        let clone3 = ("clone3", call(libc::SYS_clone3, &[0.into(), 0.into()]) == Errno::ENOSYS);
        let useful = ("a pair of local sockets", local.is_ok());
        let all = kept.chain(refused).chain([clone3, useful]);
        all.filter(|(_, right)| !right).map(|(name, _)| name.to_owned()).collect()
    }

    /// Without any of the handlers' checks the host's kernel keeps a process in. It runs in a process of its own.
    #[test]
    fn the_kernel_holds_by_itself() {
        const SCRATCH: &str = "EMU_TEST_SANDBOX";
        if let Some(scratch) = std::env::var_os(SCRATCH) {
            let policy = Policy::default().settled(&[]).expect("a policy");
            restrict(&policy).expect("Landlock and seccomp on this host");
            assert!(is_restricted());
            let escapes = escapes(Path::new(&scratch));
            assert!(escapes.is_empty(), "{escapes:?}");
            // In here it cannot be done again, as on a kernel without Landlock or without seccomp: that is not passed over.
            assert!(matches!(restrict(&policy), Err(SandboxError::Landlock(_))));
            let content = Policy { best_effort: true, ..policy };
            assert!(matches!(restrict(&content), Err(SandboxError::Seccomp(_))));
            return;
        }
        let scratch = std::env::temp_dir().join(format!("emu-kernel-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).expect("a directory");
        std::fs::write(scratch.join("secret"), "x").expect("a file");
        let test = std::env::current_exe().expect("this program");
        let mut again = std::process::Command::new(test);
        again.args(["--exact", "sandbox::tests::the_kernel_holds_by_itself"]).env(SCRATCH, &scratch);
        let output = again.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
        std::fs::remove_dir_all(scratch).expect("removed");
    }

    #[test]
    fn rules_read_back() {
        for text in ["kill=deny", "openat=log", "uname=errno:ENOSYS", "shmget=allow"] {
            assert_eq!(text.parse::<CallRule>().map(|rule| rule.to_string()), Ok(text.to_owned()));
        }
        for bad in ["kill", "kill=no", "kill=errno:EWHAT", "kill=errno"] {
            assert!(bad.parse::<CallRule>().is_err(), "{bad}");
        }
        for text in ["none", "loopback", "all"] {
            assert_eq!(text.parse::<Network>().map(|network| network.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("5:77".parse(), Ok(RunId { pid: 5, started: 77 }));
    }

    #[test]
    fn paths_are_compared_by_components() {
        let policy = Policy { read: vec!["/a/b".into()], write: vec!["/w".into()], ..Policy::default() };
        let reads = ["/a/b", "/a/b/c", "/a/bc", "/a", "/w/x", "/"].map(|path| policy.reads(Path::new(path)));
        assert_eq!(reads, [true, true, false, false, true, false]);
        assert!(
            policy.leads_on(Path::new("/a")) && policy.leads_on(Path::new("/")) && !policy.leads_on(Path::new("/b"))
        );
        assert!(policy.writes(Path::new("/w")) && !policy.writes(Path::new("/a/b")));
    }

    #[test]
    fn the_last_rule_counts() {
        let calls = ["kill=deny", "kill=log"].map(|text| text.parse().expect("a rule")).to_vec();
        let policy = Policy { calls, ..Policy::default() };
        assert_eq!((policy.rule("kill"), policy.rule("tkill")), (Some(Rule::Log), None));
    }
}
