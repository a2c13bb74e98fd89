//! What a program that asks for something missing probably wants, whether the answer harms it, and what to do.

use super::Kind;

/// What to say.
pub(in crate::linux) struct Advice {
    /// The name of what has only a number.
    pub(super) name: Option<&'static str>,
    pub(super) text: String,
}

const FALLS_BACK: &str = "Harmless as a rule: programs try it and go on without.";
const OLD_KERNEL: &str = "Harmless as a rule: programs do what they did on kernels that had no such call.";
const NATIVE: &str = "The program cannot do this here: do it on the host.";

/// System calls: what they are for, and what their absence does.
#[rustfmt::skip]
const SYSCALLS: &[(&[&str], &str, &str)] = &[
    (&["io_uring_setup", "io_uring_enter", "io_uring_register"], "asynchronous input and output by rings", "Harmless as a rule: libraries fall back to epoll or threads (libuv: UV_USE_IO_URING=0 keeps it from trying)."),
    (&["io_setup", "io_submit", "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_cancel", "io_destroy"], "asynchronous input and output (libaio)", "Databases fall back to threads or have to be told to (MySQL: innodb_use_native_aio=0)."),
    (&["userfaultfd"], "page faults handled by the program: live migration, garbage collectors", FALLS_BACK),
    (&["bpf"], "programs in the kernel: tracing, packet filters, systemd's accounting", NATIVE),
    (&["perf_event_open"], "performance counters", "Profile with the host's perf and emu's --perf-map."),
    (&["seccomp"], "a filter of system calls, to confine itself (browsers, sshd, systemd)", "The program runs unconfined, or refuses to; most have an option for that (--no-sandbox)."),
    (&["ptrace"], "to trace another process: debuggers, strace", "Use emu's --strace and --dump, or gdb with a core dump."),
    (&["keyctl", "add_key", "request_key"], "the kernel's keys: Kerberos, ecryptfs, systemd", FALLS_BACK),
    (&["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"], "to confine itself to some directories", "Harmless as a rule: programs go on unconfined."),
    (&["fanotify_init", "fanotify_mark"], "to watch whole file systems (virus scanners, indexers)", "inotify works: see whether the program has an option for it."),
    (&["mount", "umount", "umount2", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "open_tree_attr", "move_mount", "mount_setattr", "pivot_root", "statmount", "listmount"], "to mount file systems: mount, container tools", "Mount on the host before the program starts."),
    (&["mbind", "set_mempolicy", "get_mempolicy", "migrate_pages", "move_pages", "set_mempolicy_home_node"], "to place memory on NUMA nodes", "Harmless: memory is where the host puts it."),
    (&["memfd_secret"], "memory that even the kernel does not read", FALLS_BACK),
    (&["mseal", "map_shadow_stack", "process_madvise", "process_mrelease", "cachestat", "quotactl_fd", "file_getattr", "file_setattr", "setxattrat", "getxattrat", "listxattrat", "removexattrat", "futex_wait", "futex_wake", "futex_requeue", "futex_waitv", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "kcmp"], "a call of recent kernels", OLD_KERNEL),
    (&["pkey_alloc", "pkey_free", "pkey_mprotect"], "protection keys of memory", "Harmless: these processors have none, and programs ask first."),
    (&["futex", "futex_time64"], "a kind of futex that does not work in the other byte order (priority inheritance, FUTEX_WAKE_OP)", "glibc's condition variables and mutexes of the usual kinds do not need it; PTHREAD_PRIO_INHERIT does."),
    (&["kexec_load", "kexec_file_load", "init_module", "finit_module", "create_module", "delete_module", "iopl", "ioperm", "acct", "quotactl", "swapon", "swapoff", "reboot"], "to administer the kernel", NATIVE),
    (&["remap_file_pages"], "mappings out of order, which the kernel itself emulates today", "Old databases use it; newer versions do not."),
    (&["personality"], "another layout of memory (READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT)", "Harmless as a rule; setarch's other options work."),
    (&["modify_ldt", "vm86", "cachectl", "sysfs", "ustat", "uselib", "nfsservctl", "_sysctl", "lookup_dcookie", "bdflush", "idle"], "a call that kernels have given up", OLD_KERNEL),
];

/// Numbers of options and requests that have a name: what they are for.
#[rustfmt::skip]
const NUMBERS: &[(Kind, &str, &str, &str)] = &[
    (Kind::Prctl, "22", "PR_SET_SECCOMP", "To confine itself by a filter of system calls. The program runs unconfined, or refuses to; most have an option for that."),
    (Kind::Prctl, "35", "PR_SET_MM", "To tell the kernel where its arguments are (setproctitle). Harmless: ps shows the old ones."),
    (Kind::Prctl, "47", "PR_CAP_AMBIENT", "To keep capabilities over an execution. The program runs with fewer of them."),
    (Kind::Prctl, "52", "PR_GET_SPECULATION_CTRL", "Protection against speculation. Harmless."),
    (Kind::Prctl, "53", "PR_SET_SPECULATION_CTRL", "Protection against speculation. Harmless."),
    (Kind::Prctl, "65", "PR_SET_MDWE", "To refuse memory that is writable and executable. Harmless: nothing is refused."),
    (Kind::Prctl, "69", "PR_RISCV_V_SET_CONTROL", "To allow or forbid the vector extension, which there is not. Harmless."),
    (Kind::Prctl, "70", "PR_RISCV_V_GET_CONTROL", "Whether there is the vector extension. Harmless: there is not."),
    (Kind::Prctl, "71", "PR_RISCV_SET_ICACHE_FLUSH_CTX", "To use fence.i instead of a system call. Harmless: fence.i works in any case."),
    (Kind::Prctl, "1398164801", "PR_SET_VMA", "To name memory, for /proc/self/maps. Harmless: glibc and allocators do without."),
    (Kind::Ioctl, "0xae00", "KVM_GET_API_VERSION", "Virtual machines in the guest's kind of processor: the host's are of another."),
    (Kind::Socket, "family 16", "AF_NETLINK", "To ask the kernel for interfaces, routes, sockets. Big-endian programs have the route family's (getifaddrs, ip) and no others: use the little-endian kind."),
];

fn syscall(name: &str) -> Option<String> {
    let (_, purpose, effect) = SYSCALLS.iter().find(|(names, ..)| names.contains(&name))?;
    Some(format!("It is for {purpose}. {effect}"))
}

fn instruction(name: &str) -> String {
    match name {
        _ if name.contains("no extension") => "Probably a bug of the program, or a jump to a wrong address: see the place.",
        _ if name.starts_with("unknown") => {
            "The encoding is in no manual that emu knows: a newer extension, or a jump into data. emu disasm shows the code around the place."
        }
        _ if name.contains("privileged") || name.contains("kernel's") => {
            "Only a kernel may execute it: the program is no user program, or jumped into data."
        }
        _ if name.contains("(see --cpu)") => "Leave --cpu away, or name a processor that has it.",
        _ => {
            "If the answer was a handler, the program was probably only probing and goes on without. Else use a build for \
             a processor without it (gcc: -march without it; distributions' packages have it only where they say so)."
        }
    }
    .to_owned()
}

/// What to say of something that is missing.
pub(in crate::linux) fn advice_for(kind: Kind, name: &str) -> Advice {
    if let Some((.., known, text)) = NUMBERS.iter().find(|(k, n, ..)| *k == kind && *n == name) {
        return Advice { name: Some(known), text: (*text).to_owned() };
    }
    let text = match kind {
        Kind::Syscall => syscall(name).unwrap_or_else(|| {
            "emu does not have it. If the program then fails, run it with --strace to see what it does with the answer."
                .to_owned()
        }),
        Kind::Clone => {
            "A combination of flags that emu does not have (or that Linux refuses, too): threads, fork, vfork and \
             namespaces work, a process that shares descriptors but not memory does not."
                .to_owned()
        }
        Kind::Ioctl => {
            "A request that emu does not know, which may also be wrong for that file. Harmless if the program is only \
             looking what the file is; a driver's own requests have to be made on the host."
                .to_owned()
        }
        Kind::Prctl | Kind::Fcntl => {
            "emu does not know it and answers as a kernel without it. Harmless as a rule: programs have to \
             reckon with older kernels."
                .to_owned()
        }
        Kind::Sockopt => {
            "The host's kernel does not know it: see its numbers in the host's headers. Harmless as a rule.".to_owned()
        }
        Kind::Socket => "The host's kernel has no such sockets, or emu does not translate them.".to_owned(),
        Kind::Instruction => instruction(name),
    };
    Advice { name: None, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_about_the_thing() {
        assert!(advice_for(Kind::Syscall, "io_uring_setup").text.contains("epoll"));
        assert!(advice_for(Kind::Syscall, "number 9999").text.contains("--strace"));
        assert_eq!(advice_for(Kind::Prctl, "22").name, Some("PR_SET_SECCOMP"));
        assert!(advice_for(Kind::Instruction, "V (vectors)").text.contains("-march"));
        assert!(advice_for(Kind::Instruction, "mul, which rv64i lacks (see --cpu)").text.contains("--cpu away"));
    }

    #[test]
    fn no_call_has_two_entries() {
        let mut names: Vec<&str> = SYSCALLS.iter().flat_map(|(names, ..)| names.iter().copied()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
