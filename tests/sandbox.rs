//! `emu run --sandbox` from outside: a program that tries to get out (tests/guest/sandbox/escapes.c), on three kinds of guest and on
//! each engine, and what the host's kernel does beneath.
#![forbid(unsafe_code)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

const EMU: &str = env!("CARGO_BIN_EXE_emu");
const ENGINES: [&str; 3] = ["interp", "tiered", "jit"];
/// Cross compilers that `tests/guest/prepare tools` installs.
const TARGETS: [&str; 3] = ["riscv64-linux-gnu", "mipsel-linux-gnu", "mips64el-linux-gnuabi64"];

/// The program that tries, built for a target.
///
/// # Panics
/// If the compiler is missing.
fn escapes(target: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guest/sandbox/escapes.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("escapes-{target}"));
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    if changed(&program) < changed(Path::new(source)) {
        let options = ["-O1", "-std=gnu11", "-D_FILE_OFFSET_BITS=64", "-static", "-o"];
        let mut compiler = Command::new(format!("{target}-gcc"));
        let built = compiler.args(options).arg(&program).arg(source).status();
        let built = built.unwrap_or_else(|e| panic!("{target}-gcc: {e}; run `tests/guest/prepare tools` first"));
        assert!(built.success(), "{target}: the program does not compile");
    }
    program
}

/// A directory to read, one to write, and one that is not to be seen, with somebody to be left alone.
struct Scene {
    root: PathBuf,
    victim: Child,
    tcp: TcpListener,
    local: UnixListener,
}

const SECRET: &str = "the secret of others";

impl Scene {
    fn new(name: &str) -> Scene {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sandbox-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        // Paths of local sockets are short: the directory for them is elsewhere.
        let root = {
            fs::create_dir_all(&root).expect("a directory");
            root.canonicalize().expect("its name")
        };
        for directory in ["readable", "writable", "outside"] {
            fs::create_dir(root.join(directory)).expect("a directory");
        }
        fs::write(root.join("readable/file"), "public").expect("a file");
        fs::copy("/bin/true", root.join("readable/host")).expect("a program");
        fs::write(root.join("outside/secret"), SECRET).expect("a file");
        fs::set_permissions(root.join("outside/secret"), fs::Permissions::from_mode(0o755)).expect("rights");
        let short = std::env::temp_dir().join(format!("emu-sb-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&short);
        let local = UnixListener::bind(&short).expect("a local socket");
        fs::rename(&short, root.join("outside/socket")).expect("moved");
        local.set_nonblocking(true).expect("a socket's mode");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        tcp.set_nonblocking(true).expect("a socket's mode");
        let victim = Command::new("sleep").arg("1000").spawn().expect("sleep");
        Scene { root, victim, tcp, local }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// `emu run` with the sandbox, and what it may read and write.
    fn sandboxed(&self, engine: &str) -> Command {
        let mut command = Command::new(EMU);
        command.args(["run", "--engine", engine, "--sandbox", "--allow-read"]).arg(self.path("readable"));
        command.arg("--allow-write").arg(self.path("writable"));
        command
    }

    fn arguments(&self, program: &Path, group: &str) -> Vec<PathBuf> {
        let port = self.tcp.local_addr().expect("its address").port();
        let paths = ["readable", "writable", "outside"].map(|name| self.path(name));
        let numbers = [self.victim.id().to_string(), port.to_string()].map(PathBuf::from);
        [program.into(), group.into()].into_iter().chain(paths).chain(numbers).collect()
    }

    /// Nothing outside has changed, and nobody has called.
    fn check(&mut self) {
        assert_eq!(fs::read_to_string(self.path("outside/secret")).expect("still there"), SECRET);
        assert_eq!(fs::read_to_string(self.path("readable/file")).expect("still there"), "public");
        let names = |directory: &str| {
            let entries = fs::read_dir(self.path(directory)).expect("a directory");
            let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names("outside"), ["secret", "socket"]);
        assert_eq!(names("readable"), ["file", "host"]);
        assert_eq!(fs::metadata(self.path("readable/file")).expect("still there").permissions().mode() & 0o777, 0o644);
        assert!(self.local.accept().is_err(), "somebody has connected");
        assert_eq!(self.victim.try_wait().expect("a child"), None, "it is still running");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn text(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{:?}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a group of attempts on all targets and engines and compares how they end.
fn all_end(group: &str, expected: &str) {
    let mut scene = Scene::new(group);
    for target in TARGETS {
        let program = escapes(target);
        for engine in ENGINES {
            let writable = scene.path("writable");
            fs::remove_dir_all(&writable).and_then(|()| fs::create_dir(&writable)).expect("emptied");
            let mut command = Command::new("setarch");
            // Without randomisation the program knows where the emulator's memory is.
            let emulator = scene.sandboxed(engine);
            command.arg("-R").arg(emulator.get_program()).args(emulator.get_args());
            command.args(scene.arguments(&program, group)).stdin(Stdio::null());
            let found = text(&command.output().expect("setarch"));
            assert_eq!(found.trim(), expected.trim(), "{target} {engine}");
            scene.check();
        }
    }
    assert!(scene.tcp.accept().is_err(), "somebody has connected");
}

/// Lines of names with one result.
fn each(result: &str, names: &[&str]) -> String {
    names.iter().map(|name| format!("{name} {result}\n")).collect()
}

#[test]
fn files() {
    let first = ["open outside", "open outside for its path", "open by ..", "stat outside", "stat what is not there"];
    let then = ["stat below a file outside", "chdir outside"];
    let by_links = [
        "open by a link",
        "write by a link",
        "create by a link",
        "open by a link to a directory",
        "list by a link",
        "create outside",
        "mkdir outside",
        "unlink outside",
    ];
    let changes = [
        "write what is readable",
        "create where is readable",
        "truncate",
        "open and truncate",
        "chmod",
        "chown",
        "unlink",
        "set times",
        "fchmod",
        "fchown",
        "set times by descriptor",
        "chmod by descriptor's name",
        "reopen for writing",
        "reopen by another name",
    ];
    let absent = [
        "truncate what is not there",
        "attribute of what is not there",
        "attribute of a link that is not there",
        "socket that is not there",
    ];
    let by_directory =
        ["openat by ..", "openat absolute", "openat2", "openat2 with restrictions", "execute what is not readable"];
    let expected = [
        each("ENOENT", &first),
        each("ENOENT", &then),
        each("done", &["make a link"]),
        each("ENOENT", &by_links),
        each("done", &["read what is readable"]),
        each("EACCES", &changes),
        each("EPERM", &["set flags"]),
        each("done", &["write what is writable"]),
        each("EACCES", &["hard link in", "hard link by descriptor"]),
        each("ENOENT", &["hard link out"]),
        each("EACCES", &["rename in"]),
        each("ENOENT", &["rename out"]),
        each("EACCES", &["make a device"]),
        each("ENOENT", &absent),
        each("done", &["attributes of a link"]),
        each("ENOENT", &by_directory),
        each("EBADF", &["inherited descriptor"]),
        each("EPERM", &["chroot", "name_to_handle_at", "open_by_handle_at"]),
    ];
    all_end("files", &expected.concat());
}

#[test]
fn a_name_that_changes() {
    all_end("race", "race kept in");
}

#[test]
fn proc() {
    let outside = ["root", "parent's memory", "another's environment", "another's root"];
    let expected = [
        each("EACCES", &["own memory", "own memory by number", "own memory by thread"]),
        each("done", &["own directory"]),
        each("ENOENT", &["own memory by directory"]),
        each("EACCES", &["own map by directory"]),
        each("ENOENT", &["own memory by ..", "own memory by a link", "mapped files"]),
        each("EACCES", &["own pagemap"]),
        each("ENOENT", &outside),
        each("EACCES", &["own name"]),
        each("EACCES", &["all processes"]),
        each("ENOENT", &["kernel settings", "kernel memory", "a device"]),
        "own map is the guest's\n".to_owned(),
    ];
    // `/proc` leads to nothing that the policy names; it is not even seen.
    let expected = expected.concat().replace("all processes EACCES", "all processes ENOENT");
    all_end("proc", &expected);
}

#[test]
fn programs() {
    let expected = [
        each("ENOENT", &["a program of the host"]),
        each("EACCES", &["a readable program of the host", "a program by descriptor", "a script for it"]),
        each("ENOENT", &["a script for the host's shell"]),
        "no new privileges 1\n".to_owned(),
    ];
    all_end("programs", &expected.concat());
}

#[test]
fn processes() {
    let expected = [
        each(
            "ESRCH",
            &["kill", "kill its group", "kill everybody", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_open"],
        ),
        each("EPERM", &["ptrace", "ptrace parent", "process_vm_readv", "process_vm_writev", "write to own memory"]),
        each("EPERM", &["write to parent"]),
        each("ESRCH", &["own a descriptor", "prlimit64", "setpriority"]),
        each("EPERM", &["priority of a user"]),
        each("ESRCH", &["sched_setaffinity"]),
        each("done", &["kill a child"]),
    ];
    all_end("processes", &expected.concat());
}

#[test]
fn kernel() {
    let mut scene = Scene::new("kernel");
    for target in TARGETS {
        let program = escapes(target);
        for engine in ENGINES {
            let mut command = scene.sandboxed(engine);
            command.args(scene.arguments(&program, "kernel")).stdin(Stdio::null());
            let found = text(&command.output().expect("emu"));
            // System V calls have other names where one call stands for all; a flag that is none is told as such.
            let wrong: Vec<&str> =
                found.lines().filter(|line| !line.ends_with(" EPERM") && *line != "personality EINVAL").collect();
            assert!(wrong.is_empty(), "{target} {engine}: {wrong:?}");
            assert!(found.lines().count() > 20, "{found}");
        }
    }
    scene.check();
}

#[test]
fn network() {
    let expected = [
        each("EPERM", &["tcp", "udp", "tcp6", "raw", "netlink", "packet", "vsock", "alg"]),
        each("ENOENT", &["local", "local by a link"]),
        each("EPERM", &["abstract"]),
        each("ENOENT", &["bind outside", "message outside"]),
        each("done", &["pair", "bind inside", "listen inside", "connect inside"]),
    ];
    let scene = Scene::new("network");
    // The names of local sockets have 108 bytes.
    if scene.path("writable/own").as_os_str().len() < 100 {
        all_end("network", &expected.concat());
    } else {
        panic!("{} is too long for a local socket's name", scene.root.display());
    }
}

#[test]
fn wild_accesses() {
    let kinds = [
        "load 1",
        "load 2",
        "load 4",
        "load 8",
        "store 1",
        "store 2",
        "store 4",
        "store 8",
        "load double",
        "store double",
        "atomic add",
        "atomic exchange",
        "store with offset",
        "load with offset",
        "jump",
    ];
    all_end("wild", &each("faults", &kinds));
}

/// Without the sandbox some of them reach the emulator's memory: what is tried above can succeed.
#[test]
fn wild_accesses_reach_something_without_it() {
    let scene = Scene::new("open");
    let program = escapes(TARGETS[0]);
    let mut command = Command::new("setarch");
    command.args(["-R", EMU, "run", "--engine", "jit"]).args(scene.arguments(&program, "wild"));
    let output = command.output().expect("setarch");
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() || found.contains("succeed"), "{found}");
}

#[test]
fn mapping() {
    let expected = "system calls fail\nmappings fail\nclose all 0\nafter that files are opened\n";
    all_end("mapping", expected);
}

#[test]
fn loopback_only() {
    let mut scene = Scene::new("loopback");
    let program = escapes(TARGETS[0]);
    let mut command = scene.sandboxed("tiered");
    command.args(["--network", "loopback"]).args(scene.arguments(&program, "loopback"));
    let others = [
        "far tcp",
        "any tcp",
        "far udp",
        "far datagram",
        "far datagram of no family",
        "mapped",
        "source route",
        "device",
        "listen for all",
        "raw",
        "abstract",
    ];
    let expected = each("done", &["loopback tcp"]) + &each("EPERM", &others);
    assert_eq!(text(&command.output().expect("emu")), expected);
    assert!(scene.tcp.accept().is_ok(), "it has connected");
    scene.check();
}

#[test]
fn a_policy_of_a_file_and_of_options() {
    let mut scene = Scene::new("policy");
    let program = escapes(TARGETS[0]);
    let file = scene.path("policy.toml");
    let policy = format!(
        "read = [{:?}]\nwrite = [{:?}]\nnetwork = \"loopback\"\n[syscalls]\nrt_sigqueueinfo = \"errno:ENOSYS\"\n",
        scene.path("readable"),
        scene.path("writable")
    );
    fs::write(&file, policy).expect("a policy");
    let run = |group: &str, options: &[&str]| {
        let mut command = Command::new(EMU);
        command.arg("run").arg(format!("--sandbox={}", file.display())).args(options);
        command.args(scene.arguments(&program, group)).output().expect("emu")
    };
    assert!(text(&run("loopback", &[])).starts_with("loopback tcp done\n"));
    assert!(scene.tcp.accept().is_ok(), "it has connected");
    assert!(text(&run("network", &["--network", "none"])).starts_with("tcp EPERM\n"));
    let found = text(&run("processes", &["--syscall", "tkill=errno:EIO", "--syscall", "prlimit64=deny"]));
    for line in ["rt_sigqueueinfo ENOSYS", "tkill EIO", "tgkill ESRCH", "prlimit64 EPERM"] {
        assert!(found.lines().any(|found| found == line), "{line}: {found}");
    }
    let logged = run("programs", &["--syscall", "execveat=log"]);
    assert!(String::from_utf8_lossy(&logged.stderr).contains("emu: sandbox: execveat by "), "{logged:?}");
    for (options, part) in [
        (&["--syscall", "nonsense=deny"][..], "no system call named nonsense"),
        (&["--allow-read", "/not/there"], "/not/there"),
    ] {
        let refused = run("files", options);
        assert_eq!(refused.status.code(), Some(125));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(part), "{refused:?}");
    }
    fs::write(&file, "reads = []\n").expect("a policy");
    assert_eq!(run("files", &[]).status.code(), Some(125));
    scene.check();
}
