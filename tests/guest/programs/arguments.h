/* The calls of arguments.c, where there are such. */
#if defined SYS_read
    C(read, "fpn"),
#endif
#if defined SYS_write
    C(write, "fpn"),
#endif
#if defined SYS_readv
    C(readv, "fz1"),
#endif
#if defined SYS_writev
    C(writev, "fz1"),
#endif
#if defined SYS_pread64 && __SIZEOF_LONG__ == 8
    C(pread64, "fpn0"),
#endif
#if defined SYS_pwrite64 && __SIZEOF_LONG__ == 8
    C(pwrite64, "fpn0"),
#endif
#if defined SYS_preadv
    C(preadv, "fz100"),
#endif
#if defined SYS_pwritev
    C(pwritev, "fz100"),
#endif
#if defined SYS_preadv2
    C(preadv2, "fz100g"),
#endif
#if defined SYS_pwritev2
    C(pwritev2, "fz100g"),
#endif
#if defined SYS_lseek && __SIZEOF_LONG__ == 8
    C(lseek, "f01"),
#endif
#if defined SYS_close
    C(close, "f"),
#endif
#if defined SYS_close_range
    C(close_range, "nng"),
#endif
#if defined SYS_dup
    C(dup, "f"),
#endif
#if defined SYS_dup3
    C(dup3, "ffg"),
#endif
#if defined SYS_pipe2
    C(pipe2, "pg"),
#endif
#if defined SYS_fcntl
    C(fcntl, "f00"),
#endif
#if defined SYS_ioctl
    C(ioctl, "f0p"),
#endif
#if defined SYS_flock
    C(flock, "fg"),
#endif
#if defined SYS_getdents64
    C(getdents64, "fpN"),
#endif
#if defined SYS_fchmod
    C(fchmod, "f1"),
#endif
#if defined SYS_fchown
    C(fchown, "fww"),
#endif
#if defined SYS_fchdir
    C(fchdir, "f"),
#endif
#if defined SYS_fsync
    C(fsync, "f"),
#endif
#if defined SYS_fdatasync
    C(fdatasync, "f"),
#endif
#if defined SYS_syncfs
    C(syncfs, "f"),
#endif
#if defined SYS_sendfile
    C(sendfile, "kfp1"),
#endif
#if defined SYS_splice
    C(splice, "fpfp1g"),
#endif
#if defined SYS_tee
    C(tee, "ff1g"),
#endif
#if defined SYS_vmsplice
    C(vmsplice, "iz1g"),
#endif
#if defined SYS_copy_file_range
    C(copy_file_range, "fpfp1g"),
#endif
#if defined SYS_fadvise64 && __SIZEOF_LONG__ == 8
    C(fadvise64, "f004"),
#endif
#if defined SYS_readahead && __SIZEOF_LONG__ == 8
    C(readahead, "f04"),
#endif
#if defined SYS_sync_file_range && __SIZEOF_LONG__ == 8
    C(sync_file_range, "f00g"),
#endif
#if defined SYS_ftruncate && __SIZEOF_LONG__ == 8
    C(ftruncate, "fN"),
#endif
#if defined SYS_fallocate && __SIZEOF_LONG__ == 8
    C(fallocate, "fg0N"),
#endif
#if defined SYS_openat
    C(openat, "Dsg0"),
#endif
#if defined SYS_openat2
    C(openat2, "Dsz8"),
#endif
#if defined SYS_mkdirat
    C(mkdirat, "DS3"),
#endif
#if defined SYS_mknodat
    C(mknodat, "DS10"),
#endif
#if defined SYS_unlinkat
    C(unlinkat, "Dsg"),
#endif
#if defined SYS_symlinkat
    C(symlinkat, "sDS"),
#endif
#if defined SYS_linkat
    C(linkat, "DsDSg"),
#endif
#if defined SYS_renameat2
    C(renameat2, "DsDSg"),
#endif
#if defined SYS_readlinkat
    C(readlinkat, "Dspn"),
#endif
#if defined SYS_faccessat
    C(faccessat, "Ds4"),
#endif
#if defined SYS_faccessat2
    C(faccessat2, "Ds4g"),
#endif
#if defined SYS_fchmodat
    C(fchmodat, "Ds4"),
#endif
#if defined SYS_fchmodat2
    C(fchmodat2, "Ds4g"),
#endif
#if defined SYS_fchownat
    C(fchownat, "Dswwg"),
#endif
#if defined SYS_utimensat
    C(utimensat, "Dspg"),
#endif
#if defined SYS_truncate && __SIZEOF_LONG__ == 8
    C(truncate, "sn"),
#endif
#if defined SYS_chdir
    C(chdir, "s"),
#endif
#if defined SYS_chroot
    C(chroot, "S"),
#endif
#if defined SYS_getcwd
    C(getcwd, "pN"),
#endif
#if defined SYS_statx
    C(statx, "Dshnp"),
#endif
#if defined SYS_statfs
    C(statfs, "sp"),
#endif
#if defined SYS_fstatfs
    C(fstatfs, "fp"),
#endif
#if defined SYS_setxattr
    C(setxattr, "sspng"),
#endif
#if defined SYS_lsetxattr
    C(lsetxattr, "sspng"),
#endif
#if defined SYS_fsetxattr
    C(fsetxattr, "fspng"),
#endif
#if defined SYS_getxattr
    C(getxattr, "sspn"),
#endif
#if defined SYS_lgetxattr
    C(lgetxattr, "sspn"),
#endif
#if defined SYS_fgetxattr
    C(fgetxattr, "fspn"),
#endif
#if defined SYS_listxattr
    C(listxattr, "spn"),
#endif
#if defined SYS_llistxattr
    C(llistxattr, "spn"),
#endif
#if defined SYS_flistxattr
    C(flistxattr, "fpn"),
#endif
#if defined SYS_removexattr
    C(removexattr, "ss"),
#endif
#if defined SYS_lremovexattr
    C(lremovexattr, "ss"),
#endif
#if defined SYS_fremovexattr
    C(fremovexattr, "fs"),
#endif
#if defined SYS_inotify_init1
    C(inotify_init1, "g"),
#endif
#if defined SYS_inotify_add_watch
    C(inotify_add_watch, "fs1"),
#endif
#if defined SYS_inotify_rm_watch
    C(inotify_rm_watch, "f1"),
#endif
#if defined SYS_name_to_handle_at
    C(name_to_handle_at, "Dsppg"),
#endif
#if defined SYS_open_by_handle_at
    C(open_by_handle_at, "fpg"),
#endif
#if defined SYS_memfd_create
    C(memfd_create, "sg"),
#endif
#if defined SYS_eventfd2
    C(eventfd2, "0g"),
#endif
#if defined SYS_signalfd4
    C(signalfd4, "wpGg"),
#endif
#if defined SYS_timerfd_create
    C(timerfd_create, "cg"),
#endif
#if defined SYS_timerfd_settime
    C(timerfd_settime, "fgpp"),
#endif
#if defined SYS_timerfd_gettime
    C(timerfd_gettime, "fp"),
#endif
#if defined SYS_epoll_create1
    C(epoll_create1, "g"),
#endif
#if defined SYS_epoll_ctl
    C(epoll_ctl, "e1fp"),
#endif
#if defined SYS_epoll_pwait
    C(epoll_pwait, "ep10zG"),
#endif
#if defined SYS_epoll_pwait2
    C(epoll_pwait2, "ep1tzG"),
#endif
#if defined SYS_ppoll
    C(ppoll, "z1tzG"),
#endif
#if defined SYS_pselect6
    C(pselect6, "nzzztz"),
#endif
#if defined SYS_mmap && __SIZEOF_LONG__ == 8
    C(mmap, "0N32f0"),
#endif
#if defined SYS_munmap
    C(munmap, "yN"),
#endif
#if defined SYS_mprotect
    C(mprotect, "yNg"),
#endif
#if defined SYS_mremap
    C(mremap, "yPNgz"),
#endif
#if defined SYS_madvise
    C(madvise, "yNg"),
#endif
#if defined SYS_msync
    C(msync, "yNg"),
#endif
#if defined SYS_mlock
    C(mlock, "yN"),
#endif
#if defined SYS_mlock2
    C(mlock2, "yNg"),
#endif
#if defined SYS_munlock
    C(munlock, "yN"),
#endif
#if defined SYS_mincore
    C(mincore, "yNp"),
#endif
#if defined SYS_membarrier
    C(membarrier, "hh0"),
#endif
#if defined SYS_remap_file_pages
    C(remap_file_pages, "yN00g"),
#endif
#if defined SYS_mbind
    C(mbind, "yN0p0g"),
#endif
#if defined SYS_get_mempolicy
    C(get_mempolicy, "pp00g"),
#endif
#if defined SYS_set_mempolicy
    C(set_mempolicy, "0p0"),
#endif
#if defined SYS_migrate_pages
    C(migrate_pages, "qnpp"),
#endif
#if defined SYS_move_pages
    C(move_pages, "q1pppg"),
#endif
#if defined SYS_process_vm_readv
    C(process_vm_readv, "qz1z1g"),
#endif
#if defined SYS_process_vm_writev
    C(process_vm_writev, "qz1z1g"),
#endif
#if defined SYS_process_madvise
    C(process_madvise, "fz1gg"),
#endif
#if defined SYS_pkey_mprotect
    C(pkey_mprotect, "yN1w"),
#endif
#if defined SYS_pkey_alloc
    C(pkey_alloc, "gg"),
#endif
#if defined SYS_pkey_free
    C(pkey_free, "1"),
#endif
#if defined SYS_memfd_secret
    C(memfd_secret, "g"),
#endif
#if defined SYS_mseal
    C(mseal, "yNg"),
#endif
#if defined SYS_clone3
    C(clone3, "z8"),
#endif
#if defined SYS_execve
    C(execve, "szz"),
#endif
#if defined SYS_execveat
    C(execveat, "Dszzg"),
#endif
#if defined SYS_wait4
    C(wait4, "qpgp"),
#endif
#if defined SYS_waitid
    C(waitid, "1qpgp"),
#endif
#if defined SYS_set_tid_address
    C(set_tid_address, "p"),
#endif
#if defined SYS_getpgid
    C(getpgid, "q"),
#endif
#if defined SYS_setpgid
    C(setpgid, "q1"),
#endif
#if defined SYS_getsid
    C(getsid, "q"),
#endif
#if defined SYS_getresuid
    C(getresuid, "ppp"),
#endif
#if defined SYS_getresgid
    C(getresgid, "ppp"),
#endif
#if defined SYS_getgroups
    C(getgroups, "np"),
#endif
#if defined SYS_setgroups
    C(setgroups, "1p"),
#endif
#if defined SYS_capget
    C(capget, "pp"),
#endif
#if defined SYS_capset
    C(capset, "pp"),
#endif
#if defined SYS_pidfd_open
    C(pidfd_open, "qg"),
#endif
#if defined SYS_pidfd_getfd
    C(pidfd_getfd, "f1g"),
#endif
#if defined SYS_pidfd_send_signal
    C(pidfd_send_signal, "f0pg"),
#endif
#if defined SYS_process_mrelease
    C(process_mrelease, "fg"),
#endif
#if defined SYS_unshare
    C(unshare, "n"),
#endif
#if defined SYS_setns
    C(setns, "fg"),
#endif
#if defined SYS_getpriority
    C(getpriority, "0q"),
#endif
#if defined SYS_setpriority
    C(setpriority, "0q1"),
#endif
#if defined SYS_ioprio_get
    C(ioprio_get, "1q"),
#endif
#if defined SYS_ioprio_set
    C(ioprio_set, "1q1"),
#endif
#if defined SYS_sched_getaffinity
    C(sched_getaffinity, "qNp"),
#endif
#if defined SYS_sched_setaffinity
    C(sched_setaffinity, "q8m"),
#endif
#if defined SYS_sched_getparam
    C(sched_getparam, "qp"),
#endif
#if defined SYS_sched_setparam
    C(sched_setparam, "qp"),
#endif
#if defined SYS_sched_getscheduler
    C(sched_getscheduler, "q"),
#endif
#if defined SYS_sched_setscheduler
    C(sched_setscheduler, "qgp"),
#endif
#if defined SYS_sched_get_priority_max
    C(sched_get_priority_max, "g"),
#endif
#if defined SYS_sched_get_priority_min
    C(sched_get_priority_min, "g"),
#endif
#if defined SYS_sched_rr_get_interval
    C(sched_rr_get_interval, "qp"),
#endif
#if defined SYS_sched_setattr
    C(sched_setattr, "qpg"),
#endif
#if defined SYS_sched_getattr
    C(sched_getattr, "qpng"),
#endif
#if defined SYS_getcpu
    C(getcpu, "ppp"),
#endif
#if defined SYS_getrusage
    C(getrusage, "gp"),
#endif
#if defined SYS_futex
    C(futex, "z00tz0"),
#endif
#if defined SYS_futex_waitv
    C(futex_waitv, "z1g00"),
#endif
#if defined SYS_get_robust_list
    C(get_robust_list, "qpp"),
#endif
#if defined SYS_set_robust_list
    C(set_robust_list, "pn"),
#endif
#if defined SYS_kcmp
    C(kcmp, "qq0ff"),
#endif
#if defined SYS_rt_sigaction
    C(rt_sigaction, "1ppG"),
#endif
#if defined SYS_rt_sigprocmask
    C(rt_sigprocmask, "BppG"),
#endif
#if defined SYS_rt_sigpending
    C(rt_sigpending, "pG"),
#endif
#if defined SYS_rt_sigtimedwait
    C(rt_sigtimedwait, "zptG"),
#endif
#if defined SYS_rt_sigqueueinfo
    C(rt_sigqueueinfo, "q0p"),
#endif
#if defined SYS_rt_tgsigqueueinfo
    C(rt_tgsigqueueinfo, "qq0p"),
#endif
#if defined SYS_kill
    C(kill, "q0"),
#endif
#if defined SYS_tkill
    C(tkill, "q0"),
#endif
#if defined SYS_tgkill
    C(tgkill, "qq0"),
#endif
#if defined SYS_sigaltstack
    C(sigaltstack, "pp"),
#endif
#if defined SYS_clock_gettime
    C(clock_gettime, "cp"),
#endif
#if defined SYS_clock_getres
    C(clock_getres, "cp"),
#endif
#if defined SYS_clock_nanosleep
    C(clock_nanosleep, "cgtp"),
#endif
#if defined SYS_nanosleep
    C(nanosleep, "tp"),
#endif
#if defined SYS_gettimeofday
    C(gettimeofday, "pp"),
#endif
#if defined SYS_getitimer
    C(getitimer, "gp"),
#endif
#if defined SYS_setitimer
    C(setitimer, "gzp"),
#endif
#if defined SYS_timer_create
    C(timer_create, "cpp"),
#endif
#if defined SYS_timer_settime
    C(timer_settime, "1gpp"),
#endif
#if defined SYS_timer_gettime
    C(timer_gettime, "1p"),
#endif
#if defined SYS_timer_getoverrun
    C(timer_getoverrun, "1"),
#endif
#if defined SYS_timer_delete
    C(timer_delete, "1"),
#endif
#if defined SYS_adjtimex
    C(adjtimex, "z"),
#endif
#if defined SYS_clock_adjtime
    C(clock_adjtime, "cz"),
#endif
#if defined SYS_times
    C(times, "p"),
#endif
#if defined SYS_socket
    C(socket, "110"),
#endif
#if defined SYS_socketpair
    C(socketpair, "110p"),
#endif
#if defined SYS_bind
    C(bind, "kpn"),
#endif
#if defined SYS_listen
    C(listen, "k1"),
#endif
#if defined SYS_accept
    C(accept, "kpp"),
#endif
#if defined SYS_accept4
    C(accept4, "kppg"),
#endif
#if defined SYS_connect
    C(connect, "kpn"),
#endif
#if defined SYS_getsockname
    C(getsockname, "kpp"),
#endif
#if defined SYS_getpeername
    C(getpeername, "kpp"),
#endif
#if defined SYS_sendto
    C(sendto, "kpngpn"),
#endif
#if defined SYS_recvfrom
    C(recvfrom, "kpngpp"),
#endif
#if defined SYS_setsockopt
    C(setsockopt, "kLRp4"),
#endif
#if defined SYS_getsockopt
    C(getsockopt, "kLRpp"),
#endif
#if defined SYS_shutdown
    C(shutdown, "k1"),
#endif
#if defined SYS_sendmsg
    C(sendmsg, "kzg"),
#endif
#if defined SYS_recvmsg
    C(recvmsg, "kzg"),
#endif
#if defined SYS_sendmmsg
    C(sendmmsg, "kz1g"),
#endif
#if defined SYS_recvmmsg
    C(recvmmsg, "kz1gt"),
#endif
#if defined SYS_shmget
    C(shmget, "0Nh"),
#endif
#if defined SYS_shmat
    C(shmat, "1yg"),
#endif
#if defined SYS_shmdt
    C(shmdt, "y"),
#endif
#if defined SYS_shmctl
    C(shmctl, "12p"),
#endif
#if defined SYS_semget
    C(semget, "01g"),
#endif
#if defined SYS_semop
    C(semop, "1z1"),
#endif
#if defined SYS_semtimedop
    C(semtimedop, "1z1z"),
#endif
#if defined SYS_semctl
    C(semctl, "102p"),
#endif
#if defined SYS_msgget
    C(msgget, "0g"),
#endif
#if defined SYS_msgsnd
    C(msgsnd, "1pnn"),
#endif
#if defined SYS_msgrcv
    C(msgrcv, "1pn0n"),
#endif
#if defined SYS_msgctl
    C(msgctl, "12p"),
#endif
#if defined SYS_mq_open
    C(mq_open, "sg0p"),
#endif
#if defined SYS_mq_unlink
    C(mq_unlink, "s"),
#endif
#if defined SYS_mq_timedsend
    C(mq_timedsend, "fpn0p"),
#endif
#if defined SYS_mq_timedreceive
    C(mq_timedreceive, "fpnpp"),
#endif
#if defined SYS_mq_notify
    C(mq_notify, "fp"),
#endif
#if defined SYS_mq_getsetattr
    C(mq_getsetattr, "fpp"),
#endif
#if defined SYS_io_setup
    C(io_setup, "1z"),
#endif
#if defined SYS_io_destroy
    C(io_destroy, "1"),
#endif
#if defined SYS_io_submit
    C(io_submit, "11z"),
#endif
#if defined SYS_io_cancel
    C(io_cancel, "1zp"),
#endif
#if defined SYS_io_getevents
    C(io_getevents, "111pz"),
#endif
#if defined SYS_uname
    C(uname, "p"),
#endif
#if defined SYS_sysinfo
    C(sysinfo, "p"),
#endif
#if defined SYS_prlimit64
    C(prlimit64, "qMpp"),
#endif
#if defined SYS_getrlimit
    C(getrlimit, "Mp"),
#endif
#if defined SYS_setrlimit
    C(setrlimit, "Mp"),
#endif
#if defined SYS_getrandom
    C(getrandom, "png"),
#endif
#if defined SYS_add_key
    C(add_key, "sspn0"),
#endif
#if defined SYS_request_key
    C(request_key, "sss0"),
#endif
#if defined SYS_keyctl
    C(keyctl, "000pp"),
#endif
#if defined SYS_quotactl
    C(quotactl, "0s0p"),
#endif
#if defined SYS_quotactl_fd
    C(quotactl_fd, "f00p"),
#endif
#if defined SYS_fanotify_init
    C(fanotify_init, "hh"),
#endif
#if defined SYS_fanotify_mark && __SIZEOF_LONG__ == 8
    C(fanotify_mark, "f11Ds"),
#endif
#if defined SYS_mount
    C(mount, "sssgp"),
#endif
#if defined SYS_umount2
    C(umount2, "sg"),
#endif
#if defined SYS_pivot_root
    C(pivot_root, "sS"),
#endif
#if defined SYS_fsopen
    C(fsopen, "sg"),
#endif
#if defined SYS_fsconfig
    C(fsconfig, "f0sp0"),
#endif
#if defined SYS_fsmount
    C(fsmount, "fgg"),
#endif
#if defined SYS_fspick
    C(fspick, "Dsg"),
#endif
#if defined SYS_open_tree
    C(open_tree, "Dsg"),
#endif
#if defined SYS_move_mount
    C(move_mount, "DsDsg"),
#endif
#if defined SYS_mount_setattr
    C(mount_setattr, "Dsgpn"),
#endif
#if defined SYS_landlock_create_ruleset
    C(landlock_create_ruleset, "zng"),
#endif
#if defined SYS_landlock_add_rule
    C(landlock_add_rule, "f1pg"),
#endif
#if defined SYS_landlock_restrict_self
    C(landlock_restrict_self, "fg"),
#endif
#if defined SYS_io_uring_setup
    C(io_uring_setup, "1p"),
#endif
#if defined SYS_io_uring_enter
    C(io_uring_enter, "f11gp8"),
#endif
#if defined SYS_io_uring_register
    C(io_uring_register, "f1p1"),
#endif
#if defined SYS_userfaultfd
    C(userfaultfd, "g"),
#endif
#if defined SYS_perf_event_open
    C(perf_event_open, "zqwwg"),
#endif
#if defined SYS_bpf
    C(bpf, "0pn"),
#endif
#if defined SYS_swapon
    C(swapon, "sg"),
#endif
#if defined SYS_swapoff
    C(swapoff, "s"),
#endif
#if defined SYS_acct
    C(acct, "S"),
#endif
#if defined SYS_syslog
    C(syslog, "0pn"),
#endif
#if defined SYS_personality
    C(personality, "0"),
#endif
#if defined SYS_lookup_dcookie
    C(lookup_dcookie, "0pn"),
#endif
#if defined SYS_nfsservctl
    C(nfsservctl, "0pp"),
#endif
#if defined SYS_init_module
    C(init_module, "pns"),
#endif
#if defined SYS_delete_module
    C(delete_module, "sg"),
#endif
#if defined SYS_finit_module
    C(finit_module, "fsg"),
#endif
#if defined SYS_set_mempolicy_home_node
    C(set_mempolicy_home_node, "yN0g"),
#endif
#if defined SYS_cachestat
    C(cachestat, "fzpg"),
#endif
#if defined SYS_futex_wake
    C(futex_wake, "pg10"),
#endif
#if defined SYS_futex_wait
    C(futex_wait, "zgg0t0"),
#endif
#if defined SYS_futex_requeue
    C(futex_requeue, "zg11"),
#endif
#if defined SYS_statmount
    C(statmount, "zpng"),
#endif
#if defined SYS_listmount
    C(listmount, "zpng"),
#endif
#if defined SYS_lsm_get_self_attr
    C(lsm_get_self_attr, "gppg"),
#endif
#if defined SYS_lsm_set_self_attr
    C(lsm_set_self_attr, "gpng"),
#endif
#if defined SYS_lsm_list_modules
    C(lsm_list_modules, "ppg"),
#endif
