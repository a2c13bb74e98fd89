//! The host's system calls that the emulator makes, for itself and for the guest: all others are `EPERM` from then on.

use super::{Network, Policy, REFUSED_CLONE, Rule, SandboxError};
use crate::linux::{SYS_FUTEX_REQUEUE, SYS_FUTEX_WAIT, SYS_FUTEX_WAKE};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};
use std::collections::BTreeMap;

/// Calls without a condition. What a policy has to ask for is in [`OPTIONAL`].
#[rustfmt::skip]
const ALLOWED: &[i64] = &[
    // Files.
    libc::SYS_read, libc::SYS_write, libc::SYS_open, libc::SYS_close, libc::SYS_close_range, libc::SYS_openat,
    libc::SYS_openat2, libc::SYS_creat, libc::SYS_readv, libc::SYS_writev, libc::SYS_preadv, libc::SYS_pwritev,
    libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_lseek, libc::SYS_stat,
    libc::SYS_lstat, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs,
    libc::SYS_access, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlink, libc::SYS_readlinkat,
    libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir, libc::SYS_mkdirat, libc::SYS_mknodat,
    libc::SYS_unlinkat, libc::SYS_symlinkat, libc::SYS_linkat, libc::SYS_renameat2, libc::SYS_truncate,
    libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_sync_file_range,
    libc::SYS_sync, libc::SYS_syncfs, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_fchmod, libc::SYS_fchmodat,
    libc::SYS_fchmodat2, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_utimensat, libc::SYS_umask, libc::SYS_flock,
    libc::SYS_fcntl, libc::SYS_dup, libc::SYS_dup2, libc::SYS_dup3, libc::SYS_pipe, libc::SYS_pipe2,
    libc::SYS_sendfile, libc::SYS_splice, libc::SYS_tee, libc::SYS_vmsplice, libc::SYS_copy_file_range,
    libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_getxattr, libc::SYS_lgetxattr,
    libc::SYS_fgetxattr, libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr, libc::SYS_removexattr,
    libc::SYS_lremovexattr, libc::SYS_fremovexattr, libc::SYS_inotify_init1, libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch, libc::SYS_memfd_create, libc::SYS_eventfd, libc::SYS_eventfd2, libc::SYS_signalfd4,
    libc::SYS_timerfd_create, libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime,
    // Memory.
    libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
    libc::SYS_msync, libc::SYS_mincore, libc::SYS_mlock, libc::SYS_mlock2, libc::SYS_munlock, libc::SYS_mlockall,
    libc::SYS_munlockall, libc::SYS_membarrier,
    // Processes and threads. clone3, whose flags no filter can see, is answered with ENOSYS below.
    libc::SYS_clone3, libc::SYS_execve, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid,
    libc::SYS_set_tid_address, libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_rseq,
    libc::SYS_arch_prctl, libc::SYS_gettid, libc::SYS_getpid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid,
    libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid, libc::SYS_getresgid, libc::SYS_getgroups,
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_setresuid,
    libc::SYS_setresgid, libc::SYS_setfsuid, libc::SYS_setfsgid, libc::SYS_setgroups, libc::SYS_getpgid,
    libc::SYS_setpgid, libc::SYS_getpgrp, libc::SYS_getsid, libc::SYS_setsid, libc::SYS_capget, libc::SYS_capset,
    libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_getpriority, libc::SYS_setpriority,
    libc::SYS_ioprio_get, libc::SYS_ioprio_set, libc::SYS_sched_yield, libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity, libc::SYS_sched_getparam, libc::SYS_sched_setparam, libc::SYS_sched_getscheduler,
    libc::SYS_sched_setscheduler, libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min,
    libc::SYS_sched_rr_get_interval, libc::SYS_sched_getattr, libc::SYS_sched_setattr, libc::SYS_getcpu,
    libc::SYS_getrusage, libc::SYS_prlimit64, libc::SYS_getrlimit, libc::SYS_setrlimit, libc::SYS_prctl,
    libc::SYS_personality, libc::SYS_futex, libc::SYS_futex_waitv,
    SYS_FUTEX_WAKE, SYS_FUTEX_WAIT, SYS_FUTEX_REQUEUE, libc::SYS_get_mempolicy,
    // Signals.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend, libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sigaltstack, libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_pause, libc::SYS_restart_syscall,
    // Time.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday, libc::SYS_time, libc::SYS_times, libc::SYS_alarm, libc::SYS_setitimer, libc::SYS_getitimer,
    libc::SYS_timer_create, libc::SYS_timer_settime, libc::SYS_timer_gettime, libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete,
    // Waiting for descriptors.
    libc::SYS_poll, libc::SYS_ppoll, libc::SYS_select, libc::SYS_pselect6, libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl, libc::SYS_epoll_wait, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2,
    // Sockets, once there are some.
    libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_connect, libc::SYS_getsockname,
    libc::SYS_getpeername, libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_recvmsg,
    libc::SYS_setsockopt, libc::SYS_getsockopt, libc::SYS_shutdown,
    // The system.
    libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom,
];

/// Calls that a policy may allow by their names.
#[rustfmt::skip]
const OPTIONAL: &[(&str, i64)] = &[
    ("shmget", libc::SYS_shmget), ("shmat", libc::SYS_shmat), ("shmdt", libc::SYS_shmdt), ("shmctl", libc::SYS_shmctl),
    ("semget", libc::SYS_semget), ("semop", libc::SYS_semtimedop), ("semtimedop", libc::SYS_semtimedop),
    ("semtimedop_time64", libc::SYS_semtimedop), ("semctl", libc::SYS_semctl), ("msgget", libc::SYS_msgget),
    ("msgsnd", libc::SYS_msgsnd), ("msgrcv", libc::SYS_msgrcv), ("msgctl", libc::SYS_msgctl),
    ("mq_open", libc::SYS_mq_open), ("mq_unlink", libc::SYS_mq_unlink), ("mq_timedsend", libc::SYS_mq_timedsend),
    ("mq_timedsend_time64", libc::SYS_mq_timedsend), ("mq_timedreceive", libc::SYS_mq_timedreceive),
    ("mq_timedreceive_time64", libc::SYS_mq_timedreceive), ("mq_notify", libc::SYS_mq_notify),
    ("mq_getsetattr", libc::SYS_mq_getsetattr), ("name_to_handle_at", libc::SYS_name_to_handle_at),
];

/// Requests by which one puts words into another's mouth, and [`libc::TIOCCONS`].
const DENIED_REQUESTS: [u64; 4] = [libc::TIOCSTI, 0x541c, libc::TIOCCONS, libc::TIOCSETD];

/// Restricts this process and its children for good.
pub(super) fn restrict(policy: &Policy) -> Result<(), SandboxError> {
    let failed = |error: seccompiler::Error| SandboxError::Seccomp(error.to_string());
    let refuse = |errno: i32| SeccompAction::Errno(errno as u32);
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let last = filter(no_clone3, SeccompAction::Allow, refuse(libc::ENOSYS)).map_err(failed)?;
    let first = filter(rules(policy).map_err(failed)?, refuse(libc::EPERM), SeccompAction::Allow).map_err(failed)?;
    apply_filter_all_threads(&last).map_err(failed)?;
    apply_filter_all_threads(&first).map_err(failed)
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    mismatch: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    Ok(SeccompFilter::new(rules, mismatch, matched, TargetArch::x86_64)?.try_into()?)
}

/// A condition on the low 32 bits of an argument.
fn arg(index: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value)?)
}

fn rules(policy: &Policy) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::Error> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|number| (*number, Vec::new())).collect();
    let allowed = |name: &str| matches!(policy.rule(name), Some(Rule::Allow | Rule::Log));
    rules.extend(OPTIONAL.iter().filter(|(name, _)| allowed(name)).map(|(_, number)| (*number, Vec::new())));
    let requests = DENIED_REQUESTS.iter().map(|request| arg(1, Ne, *request)).collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(requests)?]);
    let plain = arg(0, MaskedEq(REFUSED_CLONE.into()), 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![plain])?]);
    let families: &[i32] = match policy.network {
        Network::None => &[libc::AF_UNIX],
        Network::Loopback | Network::All => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6],
    };
    // Raw sockets are none of these.
    let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET];
    let pairs = families.iter().flat_map(|family| kinds.iter().map(move |kind| (*family, *kind)));
    let sockets = pairs.map(|(family, kind)| {
        SeccompRule::new(vec![arg(0, Eq, family as u64)?, arg(1, MaskedEq(0xf), kind as u64)?]).map_err(Into::into)
    });
    let sockets = sockets.collect::<Result<Vec<_>, seccompiler::Error>>()?;
    rules.insert(libc::SYS_socketpair, sockets.clone());
    rules.insert(libc::SYS_socket, sockets);
    Ok(rules)
}
