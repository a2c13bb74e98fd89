//! Which system calls are made in the sandbox.

use super::super::errno::Errno;
use super::super::host;
use super::super::process::lock;
use super::super::table::{Args, Kind, SysResult, Syscall};
use super::super::thread::Thread;
use super::{Access, Confined};
use crate::sandbox::Rule;
use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

/// What the sandbox says to a call.
pub(in crate::linux) enum Gate {
    /// It is made.
    Open,
    /// This is its result.
    Done(SysResult),
}

/// What a call wants, beside what its handler asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing, or the handler asks.
    Nothing,
    /// This, of the files that it names.
    Files(Access),
    /// To change the file of its first argument, a descriptor.
    OpenFile,
    /// The same, if its second argument is null.
    NamedOrOpenFile,
    /// The process or thread of this argument; 0 is the caller.
    Process(usize),
    /// The same, of another one if the first argument is this: other kinds are users and groups.
    ProcessIf(i32),
    /// A number of a descriptor of its own.
    Descriptor,
    /// To be asked for by the policy.
    Permission,
}

use Need::{Descriptor, Files, NamedOrOpenFile, Nothing, OpenFile, Permission, Process, ProcessIf};

/// All calls that are known. What is not in here does not exist, so that a new one has to be thought about (a test compares).
#[rustfmt::skip]
const NEEDS: &[(Need, &[&str])] = &[
    (Files(Access::Look), &[
        "readlinkat", "faccessat", "faccessat2", "chdir", "newfstatat", "fstatat64", "statx", "statfs", "statfs64", "getxattr",
        "lgetxattr", "listxattr", "llistxattr", "readlink", "access", "stat", "lstat", "stat64", "lstat64",
    ]),
    (Files(Access::Read), &["inotify_add_watch", "execve", "execveat", "openat", "openat2", "open", "creat", "connect", "sendto",
        "sendmsg", "sendmmsg", "bind"]),
    (Files(Access::Write), &[
        "mkdirat", "mknodat", "unlinkat", "symlinkat", "linkat", "renameat2", "fchmodat", "fchmodat2", "fchownat", "truncate",
        "truncate64", "setxattr", "lsetxattr", "removexattr", "lremovexattr", "mkdir", "mknod", "rmdir", "unlink", "symlink", "link",
        "rename", "renameat", "chmod", "chown", "lchown", "utime", "utimes",
    ]),
    (OpenFile, &["fchmod", "fchown", "fsetxattr", "fremovexattr"]),
    (NamedOrOpenFile, &["utimensat", "utimensat_time64", "futimesat"]),
    (Process(0), &[
        "rt_sigqueueinfo", "tkill", "tgkill", "rt_tgsigqueueinfo", "pidfd_open", "prlimit64", "get_robust_list", "sched_getaffinity",
        "sched_setaffinity", "sched_getparam", "sched_setparam", "sched_getscheduler", "sched_setscheduler",
        "sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_setattr", "sched_getattr", "getpgid", "getsid", "setpgid",
    ]),
    (ProcessIf(libc::PRIO_PROCESS as i32), &["getpriority", "setpriority"]),
    (ProcessIf(1), &["ioprio_get", "ioprio_set"]),
    (Descriptor, &["close", "close_range", "dup2", "dup3"]),
    (Permission, &[
        // System-wide objects, which other programs have, too.
        "shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semtimedop", "semtimedop_time64", "semctl", "msgget", "msgsnd",
        "msgrcv", "msgctl", "ipc", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedsend_time64", "mq_timedreceive",
        "mq_timedreceive_time64", "mq_notify", "mq_getsetattr",
        // Other names for files, and other processes' memory and descriptors.
        "name_to_handle_at", "open_by_handle_at", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "ptrace", "kcmp",
        "process_madvise", "process_mrelease",
        // Other views of the system, and the system itself.
        "chroot", "unshare", "setns", "mount", "umount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsconfig",
        "fsmount", "fspick", "mount_setattr", "statmount", "listmount", "clock_settime", "clock_settime64", "settimeofday", "adjtimex",
        "clock_adjtime", "clock_adjtime64", "stime", "reboot", "sethostname", "setdomainname", "swapon", "swapoff", "vhangup", "acct",
        "quotactl", "quotactl_fd", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "syslog",
        "nfsservctl", "lookup_dcookie",
        // Programs in the kernel, and other ways into it.
        "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup", "io_destroy",
        "io_submit", "io_cancel", "io_getevents", "io_pgetevents", "io_pgetevents_time64", "keyctl", "add_key", "request_key",
        "fanotify_init", "fanotify_mark", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "memfd_secret",
        "remap_file_pages", "mbind", "set_mempolicy", "migrate_pages", "move_pages", "set_mempolicy_home_node",
    ]),
    (Nothing, &[
        "fchdir", "getcwd", "fstat", "fstat64", "fstatfs", "fstatfs64", "fgetxattr", "flistxattr", "umask", "sync",
        "inotify_init1", "inotify_rm_watch", "inotify_init", "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv",
        "pwritev", "preadv2", "pwritev2", "lseek", "llseek", "_llseek", "dup", "pipe", "pipe2", "fcntl", "fcntl64", "ioctl",
        "flock", "getdents64", "getdents", "ftruncate", "ftruncate64", "fallocate", "fadvise64", "fadvise64_64", "readahead",
        "sync_file_range", "fsync", "fdatasync", "syncfs", "sendfile", "sendfile64", "splice", "tee", "vmsplice",
        "copy_file_range", "memfd_create", "eventfd2", "signalfd4", "signalfd", "eventfd", "mmap", "mmap2", "munmap", "mprotect",
        "pkey_mprotect", "pkey_alloc", "mremap", "brk", "madvise", "msync", "mlock", "mlock2", "munlock", "mlockall", "munlockall",
        "mincore", "membarrier", "cacheflush", "riscv_flush_icache", "clone", "clone3", "fork", "exit", "exit_group", "wait4",
        "waitpid", "waitid", "set_tid_address", "gettid", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "setuid",
        "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "getresuid", "getresgid", "getgroups",
        "setgroups", "setsid", "getpgrp", "nice", "set_thread_area", "capget", "capset", "sched_yield", "sched_get_priority_max",
        "sched_get_priority_min", "getcpu", "getrusage", "futex", "futex_time64", "futex_waitv", "set_robust_list", "rseq",
        "rt_sigaction", "rt_sigprocmask", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
        "pidfd_send_signal", "rt_sigreturn", "signal", "sigaction", "sigprocmask", "sigpending", "sigsuspend", "sigreturn", "pause",
        "sigaltstack", "kill", "restart_syscall", "clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64",
        "clock_nanosleep", "clock_nanosleep_time64", "nanosleep", "gettimeofday", "time", "alarm", "times", "setitimer", "getitimer",
        "timer_create", "timer_settime", "timer_settime64", "timer_gettime", "timer_gettime64", "timer_getoverrun", "timer_delete",
        "timerfd_create", "timerfd_settime", "timerfd_settime64", "timerfd_gettime", "timerfd_gettime64", "poll", "_newselect",
        "epoll_create", "epoll_wait", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "epoll_create1", "epoll_ctl",
        "epoll_pwait", "epoll_pwait2", "socket", "socketpair", "listen", "accept", "accept4", "getsockname", "getpeername",
        "recvfrom", "setsockopt", "getsockopt", "shutdown", "recvmsg", "recvmmsg", "recvmmsg_time64", "recv", "send", "socketcall",
        "cachestat", "pkey_free", "mseal", "get_mempolicy", "futex_wake", "futex_wait", "futex_requeue", "sysmips", "uname", "sysinfo", "prctl", "getrlimit", "setrlimit", "personality", "riscv_hwprobe", "seccomp", "getrandom",
    ]),
];

/// Requests of ioctl(2) that speak for others, or change what a descriptor that can only be read must not: `TIOCSTI` and its like,
/// owners of sockets, attributes of files, whole file systems and disks, network interfaces, consoles and clocks.
#[rustfmt::skip]
const REFUSED_REQUESTS: &[u32] = &[
    // Of interfaces, addresses and routes.
    0x890b, 0x890c, 0x8914, 0x8916, 0x8918, 0x891a, 0x891c, 0x891e, 0x8922, 0x8923, 0x8924, 0x8931, 0x8932, 0x8937, 0x8943, 0x8946,
    0x8949, 0x8953, 0x8955, 0x8971, 0x89a0, 0x89a1, 0x89a2, 0x89a3, 0x4004_54ca, 0x4004_54cb, 0x4004_54cc, 0x4004_54ce, 0x4004_54d0,
    // Of file systems, disks and loops.
    0xc018_5879, 0x1277, 0x127d, 0x127f, 0x4008_1271, 0x4c00, 0x4c01, 0x4c04, 0x4c06, 0x4c07, 0x4c08, 0x4c09, 0x4c80, 0x4c81, 0x4c82,
    0x5309, 0x5319,
    // Of clocks and consoles.
    0x4024_700a, 0x4b3a, 0x4b45, 0x4b32, 0x4b2f, 0x4b30, 0x5606, 0x5607,
    0x5412,
    0x541c,
    0x541d,
    0x540e,
    0x5423,
    0x5457,
    0x8901,
    0x8902,
    0x4008_6602,
    0x401c_5820,
    0xc004_5877,
    0xc004_5878,
    0x125d,
    0x125f,
    0x1261,
    0x4004_5201,
    0x0001,
];

fn need(name: &str) -> Option<Need> {
    NEEDS.iter().find(|(_, names)| names.contains(&name)).map(|(need, _)| *need)
}

/// Is there a call of this name, for a rule?
pub(crate) fn knows_call(name: &str) -> bool {
    need(name).is_some()
}

impl Thread {
    /// Asks the sandbox for a call. One that it does not know is left to the table of calls, which knows it as little.
    pub(in crate::linux) fn gate(&self, call: &Syscall, args: &Args) -> Gate {
        let name = call.name;
        let Some(confined) = self.confined() else { return Gate::Open };
        self.wanted.set(Access::default());
        let rule = confined.policy.rule(name);
        match rule {
            Some(Rule::Deny) => return Gate::Done(Err(Errno::EPERM)),
            Some(Rule::Errno(number)) => return Gate::Done(Err(Errno(number))),
            Some(Rule::Log) => eprintln!("emu: sandbox: {name} by {}", self.tid),
            Some(Rule::Allow) | None => {}
        }
        if confined.holds_one(call, args) {
            return Gate::Done(Err(Errno::EBADF));
        }
        match need(name) {
            None => Gate::Done(Err(Errno::ENOSYS)),
            Some(Permission) if rule.is_none() => Gate::Done(Err(Errno::EPERM)),
            Some(Descriptor) => Gate::Done(on_descriptor(confined, name, self, args)),
            Some(need) => self.meets(need, args).map_or_else(|errno| Gate::Done(Err(errno)), |()| Gate::Open),
        }
    }

    /// May a request of ioctl(2), by the host's number, be made?
    pub(in crate::linux) fn may_request(&self, request: u32) -> Result<(), Errno> {
        let refused = self.confined().is_some() && REFUSED_REQUESTS.contains(&request);
        if refused { Err(Errno::EPERM) } else { Ok(()) }
    }

    fn meets(&self, need: Need, args: &Args) -> Result<(), Errno> {
        match need {
            Files(access) => self.wanted.set(access),
            OpenFile => self.judge_descriptor(args.int(0), Access::Write)?,
            NamedOrOpenFile => {
                self.wanted.set(Access::Write);
                if args.get(1) == 0 {
                    self.judge_descriptor(args.int(0), Access::Write)?;
                }
            }
            Process(at) => self.may_reach(args.int(at))?,
            ProcessIf(kind) if args.int(0) != kind && args.int(1) != 0 => return Err(Errno::EPERM),
            ProcessIf(_) => self.may_reach(args.int(1))?,
            Nothing | Descriptor | Permission => {}
        }
        Ok(())
    }
}

impl Confined {
    /// Does a call name a descriptor that another thread's call is using? To the guest it is not open. (One that is to be replaced is
    /// another matter.)
    fn holds_one(&self, call: &Syscall, args: &Args) -> bool {
        let given = |(i, kind): (usize, &Kind)| *kind == Kind::Fd && !(i == 1 && call.name.starts_with("dup"));
        let held = lock(&self.held);
        !held.is_empty() && call.kinds.iter().enumerate().any(|pair| given(pair) && held.contains(&args.int(pair.0)))
    }
}

/// Closes or replaces descriptors, but for those that another thread's call is using.
fn on_descriptor(confined: &Arc<Confined>, name: &str, t: &Thread, args: &Args) -> SysResult {
    let held = lock(&confined.held);
    match name {
        "close" => host::call(libc::SYS_close, &[args.int(0).into()]),
        // As Linux answers where an open(2) is under way.
        "dup2" | "dup3" if held.contains(&args.int(1)) => Err(Errno::EBUSY),
        "dup2" => host::call(libc::SYS_dup2, &[args.int(0).into(), args.int(1).into()]),
        "dup3" => {
            let flags = t.process.abi.open_flags_to_host(args.int(2));
            host::call(libc::SYS_dup3, &[args.int(0).into(), args.int(1).into(), flags.into()])
        }
        _ => close_range(&held, args),
    }
}

/// The parts of the range between descriptors in use.
fn close_range(held: &MutexGuard<'_, HashSet<i32>>, args: &Args) -> SysResult {
    let (mut first, last, flags) = (args.uint(0), args.uint(1), args.uint(2));
    let call = |first: u32, last: u32| host::call(libc::SYS_close_range, &[first.into(), last.into(), flags.into()]);
    let mut within: Vec<u32> = held.iter().map(|fd| *fd as u32).filter(|fd| (first..=last).contains(fd)).collect();
    if within.is_empty() {
        return call(first, last);
    }
    within.sort_unstable();
    for fd in within {
        if first < fd {
            call(first, fd - 1)?;
        }
        first = fd + 1;
    }
    if first <= last { call(first, last) } else { Ok(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::table::SYSCALLS;

    #[test]
    fn every_call_has_been_thought_about() {
        for call in SYSCALLS {
            assert!(knows_call(call.name), "{}: what does it need in the sandbox?", call.name);
        }
        let mut names: Vec<&str> = NEEDS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }
}
