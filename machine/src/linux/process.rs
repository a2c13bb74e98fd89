//! What the threads of a guest process share, and how threads begin and end.

use super::abi::Abi;
use super::confine::Confined;
use super::core::Stop;
use super::errno::Errno;
use super::exec::Inherited;
use super::explain::Recorder;
use super::host;
use super::misc::Limits;
use super::path::Sysroot;
use super::ptrace::{MemoryFiles, Traced, Tracees};
use super::seccomp::Seccomp;
use super::signal::Dispositions;
use super::table::Table;
use super::thread::{Start, Thread};
use super::vcpu::Vcpu;
use crate::limits::Session;
use crate::mem::{GuestMemory, on_noexec};
use crate::sandbox::Policy;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Called with the exit status when the guest process ends by itself, before the host process does. By a signal that ends
/// it (128 and its number) only if the processor raised it, or if [`Config::catch_deaths`] is set.
pub type ExitHook = Box<dyn Fn(i32) + Send + Sync>;

/// Called before execve(2), which may fail nevertheless.
pub type ExecHook = Box<dyn Fn() + Send + Sync>;

/// Settings that do not change while the process runs.
#[derive(Default)]
pub struct Config {
    /// Directory in which absolute paths are looked up first.
    pub sysroot: Option<PathBuf>,
    /// The emulator's own arguments (after its name) for the programs that the guest executes: options only.
    pub reexec: Vec<OsString>,
    /// Print each system call to the standard error.
    pub strace: bool,
    /// What the guest may do, if not everything.
    pub sandbox: Option<Policy>,
    /// The ISA string, for `riscv_hwprobe` and `/proc/cpuinfo`.
    pub isa: String,
    /// What to do at the end.
    pub on_exit: Option<ExitHook>,
    /// Signals that end the process by default are caught, so that `on_exit` is called for them, too.
    pub catch_deaths: bool,
    /// What to do before another program takes this one's place.
    pub before_exec: Option<ExecHook>,
    /// What the processes of the run share, if it is limited.
    pub session: Option<Arc<Session>>,
    /// `RLIMIT_AS` and `RLIMIT_DATA`, soft and hard, if they are not the host's.
    pub memory_limits: Option<[[u64; 2]; 2]>,
    /// Notes what is missing.
    pub explain: Option<Arc<Recorder>>,
}

/// The program that was loaded.
#[derive(Clone, Debug, Default)]
pub struct Running {
    /// Its file, an absolute path of the host.
    pub host_path: PathBuf,
    /// Its file as the guest names it (`/proc/self/exe`).
    pub path: Vec<u8>,
    /// The name by which it, or the script that it runs, was executed.
    pub exec_fn: Vec<u8>,
    /// Arguments.
    pub argv: Vec<CString>,
    /// Environment.
    pub envp: Vec<CString>,
    /// The auxiliary vector's bytes.
    pub auxv: Vec<u8>,
    /// Addresses of the code that leaves a signal handler's frame, by its kind.
    pub sigreturn: Vec<u64>,
    /// Address of the highest byte of the stack and one, and of the initial stack pointer.
    pub stack_top: u64,
    /// What the program that executed it leaves it.
    pub inherited: Inherited,
}

/// A guest process.
pub struct Process {
    /// Its memory.
    pub mem: Arc<GuestMemory>,
    /// Its ABI.
    pub abi: Arc<dyn Abi>,
    /// Settings.
    pub config: Arc<Config>,
    /// What it runs.
    pub program: Arc<Running>,
    pub(super) table: Arc<Table>,
    pub(super) sysroot: Arc<Sysroot>,
    pub(super) confined: Option<Arc<Confined>>,
    pub(super) signals: Mutex<Dispositions>,
    threads: Mutex<Threads>,
    /// Is the working directory in the sysroot?
    cwd_inside: AtomicBool,
    unknown: Mutex<BTreeMap<u32, u64>>,
    pub(super) limits: Mutex<Limits>,
    /// Threads that have stopped for a core file.
    pub(super) stop: Stop,
    /// System V segments that are attached: address and size.
    pub(super) segments: Mutex<BTreeMap<u64, u64>>,
    /// Contexts of asynchronous I/O; the host's kernel does not give them to the child of a fork.
    pub(super) aio: Mutex<super::aio::Contexts>,
    /// Its memory is that of the process that waits for it.
    pub(super) borrows_memory: bool,
    /// What its threads share about being traced, whom they trace, and whose memory they have open.
    pub(super) traced: Traced,
    pub(super) tracees: Tracees,
    pub(super) memory_files: MemoryFiles,
}

/// What the process knows of a thread.
struct Live {
    /// Head of its robust list, or 0.
    robust: u64,
    seccomp: Arc<Seccomp>,
}

#[derive(Default)]
struct Threads {
    live: HashMap<i32, Live>,
}

/// A lock whose holder has panicked is still consistent enough: all updates here are single stores.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Process {
    /// A process for a loaded program. Takes over the host's signals: the ignored ones stay so.
    pub fn new(mem: Arc<GuestMemory>, abi: Arc<dyn Abi>, config: Config, program: Running) -> Arc<Process> {
        host::catch_traps();
        crate::mem::access::set_sent_signal_hook(host::catch_sent);
        // Where a sysroot lies is no property of the guest's system.
        if config.sysroot.as_ref().and_then(|dir| File::open(dir).ok()).is_some_and(|dir| on_noexec(dir.as_raw_fd())) {
            mem.ignore_noexec();
        }
        let sysroot = Arc::new(Sysroot::new(config.sysroot.clone()));
        let memory_limits = config.memory_limits;
        let cwd_inside = std::env::current_dir().is_ok_and(|cwd| sysroot.contains(&cwd));
        let process = Arc::new(Process {
            table: Arc::new(Table::new(&*abi)),
            sysroot,
            confined: config.sandbox.clone().map(|policy| Arc::new(Confined::new(policy))),
            signals: Mutex::new(Dispositions::inherited(config.catch_deaths)),
            threads: Mutex::default(),
            cwd_inside: AtomicBool::new(cwd_inside),
            unknown: Mutex::default(),
            limits: Mutex::new(Limits::inherited()),
            stop: Stop::default(),
            segments: Mutex::default(),
            aio: Mutex::default(),
            borrows_memory: false,
            traced: Traced::default(),
            tracees: Tracees::default(),
            memory_files: MemoryFiles::default(),
            mem,
            abi,
            config: Arc::new(config),
            program: Arc::new(program),
        });
        process.set_memory_limits(memory_limits.unwrap_or(process.memory_limits()));
        process
    }

    /// Runs the first thread on the calling host thread, which has to be the main one. The process ends in it.
    pub fn run(self: &Arc<Self>, vcpu: Box<dyn Vcpu>) -> ! {
        let mask = host::set_mask(u64::MAX);
        super::exec::restore_start_state();
        self.take_name();
        let mut thread = Thread::new(Arc::clone(self), vcpu, mask & !host::SYNCHRONOUS);
        thread.seccomp = Seccomp::decode(&self.program.inherited.seccomp);
        self.enlist(host::tid(), &thread.seccomp);
        thread.altstack.flags = 0; // Only new threads have SS_DISABLE here.
        thread.prepare_for_core();
        thread.start = Some(Start::Program(self.program.inherited.trace));
        thread.run();
        host::exit_process(0)
    }

    /// Names the thread as the kernel does: after what was executed.
    fn take_name(&self) {
        let base = self.program.exec_fn.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let mut name = [0u8; 16];
        let len = base.len().min(15);
        name[..len].copy_from_slice(&base[..len]);
        let _ = host::call(libc::SYS_prctl, &[libc::PR_SET_NAME.into(), host::Arg::input(&name)]);
    }

    /// A copy with the same memory and the same state, as a vfork child needs it.
    pub(super) fn copy_for_vfork(&self) -> Arc<Process> {
        Arc::new(Process {
            mem: Arc::clone(&self.mem),
            abi: Arc::clone(&self.abi),
            config: Arc::clone(&self.config),
            program: Arc::clone(&self.program),
            table: Arc::clone(&self.table),
            sysroot: Arc::clone(&self.sysroot),
            confined: self.confined.clone(),
            signals: Mutex::new(lock(&self.signals).clone()),
            threads: Mutex::default(),
            cwd_inside: AtomicBool::new(self.cwd_is_inside()),
            unknown: Mutex::default(),
            limits: Mutex::new(lock(&self.limits).clone()),
            stop: Stop::default(),
            segments: Mutex::new(lock(&self.segments).clone()),
            aio: Mutex::default(),
            borrows_memory: true,
            traced: Traced::default(),
            tracees: Tracees::default(),
            memory_files: MemoryFiles::default(),
        })
    }

    /// Forks the host process with all locks free in the child.
    ///
    /// `fork` is one of the host's forms of it. In the child only the calling thread is left.
    pub(super) fn fork_with(
        &self,
        vcpu: &mut dyn Vcpu,
        fork: impl Fn() -> Result<host::Forked, Errno>,
    ) -> Result<host::Forked, Errno> {
        let mut side = Err(Errno::ENOMEM);
        vcpu.fork(&mut || {
            let guards = (lock(&self.signals), lock(&self.unknown), lock(&self.limits), lock(&self.segments));
            let mut aio = lock(&self.aio);
            let held = self.confined.as_ref().map(|confined| confined.lock_for_fork());
            let more = (self.stop.lock(), self.config.explain.as_ref().map(|recorder| recorder.lock()));
            let tracing = (self.tracees.hold(), self.memory_files.hold());
            let mut threads = lock(&self.threads);
            let own = host::tid();
            side = fork();
            let in_child = side == Ok(host::Forked::Child);
            if in_child {
                *aio = super::aio::Contexts::default();
                let own = threads.live.remove(&own);
                threads.live.clear();
                threads.live.extend(own.map(|thread| (host::tid(), Live { robust: 0, ..thread })));
                self.stop.reset();
            }
            drop((threads, tracing, more, held, aio, guards));
            in_child
        })?;
        side
    }

    /// Puts a thread on the list.
    pub(super) fn enlist(&self, tid: i32, seccomp: &Arc<Seccomp>) {
        lock(&self.threads).live.insert(tid, Live { robust: 0, seccomp: Arc::clone(seccomp) });
    }

    /// The thread has a robust list at `head`.
    pub(super) fn note_robust_list(&self, tid: i32, head: u64) {
        if let Some(thread) = lock(&self.threads).live.get_mut(&tid) {
            thread.robust = head;
        }
    }

    /// The seccomp modes of the threads but one, by their ids.
    pub(super) fn seccomp_of_others(&self, tid: i32) -> Vec<(i32, Arc<Seccomp>)> {
        let threads = lock(&self.threads);
        let others = threads.live.iter().filter(|(other, _)| **other != tid);
        others.map(|(tid, thread)| (*tid, Arc::clone(&thread.seccomp))).collect()
    }

    /// The head of a thread's robust list, or 0; `None` if there is no such thread here.
    pub(super) fn robust_list_of(&self, tid: i32) -> Option<u64> {
        lock(&self.threads).live.get(&tid).map(|thread| thread.robust)
    }

    /// Takes a thread off the list; true if it was the last.
    pub(super) fn delist(&self, tid: i32) -> bool {
        let mut threads = lock(&self.threads);
        threads.live.remove(&tid);
        threads.live.is_empty()
    }

    /// How many threads there are.
    pub fn thread_count(&self) -> usize {
        lock(&self.threads).live.len()
    }

    /// The threads' ids.
    pub(super) fn thread_ids(&self) -> Vec<i32> {
        lock(&self.threads).live.keys().copied().collect()
    }

    /// Is the working directory in the sysroot?
    pub(super) fn cwd_is_inside(&self) -> bool {
        self.cwd_inside.load(Ordering::Relaxed)
    }

    /// The working directory has changed.
    pub(super) fn note_cwd(&self) {
        let inside = std::env::current_dir().is_ok_and(|cwd| self.sysroot.contains(&cwd));
        self.cwd_inside.store(inside, Ordering::Relaxed);
    }

    /// A call that has no handler was made.
    pub(super) fn count_unknown(&self, number: u32) {
        *lock(&self.unknown).entry(number).or_insert(0) += 1;
    }

    /// The unimplemented system calls that were made: name or number, and how often.
    pub fn unknown_syscalls(&self) -> Vec<(String, u64)> {
        let name = |n: &u32| self.table.get(*n).map_or_else(|| n.to_string(), |s| s.name.to_string());
        lock(&self.unknown).iter().map(|(n, count)| (name(n), *count)).collect()
    }

    /// Tells other processes of the locks that the threads of this one hold at its end.
    pub(super) fn release_robust_lists(&self) {
        for (tid, thread) in &lock(&self.threads).live {
            super::futex::release_robust_list(self, *tid, thread.robust);
        }
    }

    /// Ends the process with all its threads.
    pub(super) fn exit(&self, status: i32) -> ! {
        self.prepare_exit(status);
        host::exit_process(status)
    }

    /// Ends the process with a status of `wait4`, its last thread's (before Linux 5.17, the first thread's).
    pub(super) fn end(&self, status: i32) -> ! {
        match status & 0x7f {
            0 => self.exit(status >> 8),
            signal => {
                self.prepare_exit(128 + signal);
                host::die_by(signal)
            }
        }
    }

    fn prepare_exit(&self, status: i32) {
        self.wait_for_core();
        self.release_robust_lists();
        if let Some(hook) = &self.config.on_exit {
            hook(status);
        }
    }
}
