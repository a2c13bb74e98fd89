//! The system calls by name: handler and arguments. Numbers come from the ABI's text table.

use super::abi::{Abi, Place};
use super::confine::Gate;
use super::errno::Errno;
use super::host::{self, Arg};
use super::thread::Thread;
use super::{
    aio, descriptors, dirs, exec, files, fs, futex, ioctl, ipc, keys, legacy, misc, mman, mounts, multiplex, net, numa,
    poll, proc, ptrace, remote, seccomp, signal, time,
};
use emu_ir::CpuState;
use std::collections::HashMap;
use std::ffi::CStr;

/// What a handler returns: the value of the result register, or the host's error number.
pub type SysResult = Result<u64, Errno>;
/// A handler.
pub type Handler = fn(&mut Thread, &Args) -> SysResult;

/// What an argument is: how it is fetched from registers and how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `int`.
    Int,
    /// `unsigned`, in hexadecimal.
    Hex,
    /// Permissions, in octal.
    Mode,
    /// A file descriptor, or `AT_FDCWD`.
    Fd,
    /// `unsigned long`, `size_t`.
    Size,
    /// `long`.
    Long,
    /// A 64-bit number, in a pair of registers where they have 32 bits.
    Wide,
    /// `off_t`: as `long`, or as wide as a register if that is wider.
    Offset,
    /// A pointer.
    Ptr,
    /// A file name or another string.
    Str,
    /// Bytes that the call reads; the next argument is their number.
    In,
    /// Bytes that the call writes; the result is their number.
    Out,
    /// A signal number.
    Sig,
    /// `open`'s flags.
    Open,
}

/// What answers a call.
#[derive(Clone, Copy)]
pub enum Action {
    /// Known by name only: `ENOSYS`.
    Unknown,
    /// One of our functions.
    Call(Handler),
    /// The host's call with this number: the arguments are numbers, strings that are no file names, or bytes.
    Host(i64),
    /// The same, and it may wait.
    Blocking(i64),
}

/// One line of [`SYSCALLS`].
#[derive(Clone, Copy)]
pub struct Syscall {
    /// Name, as in the kernel's `unistd.h`.
    pub name: &'static str,
    /// What answers it.
    pub action: Action,
    /// Its arguments.
    pub kinds: &'static [Kind],
}

/// A call's arguments, one a parameter whatever registers they were in.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    values: [u64; 7],
    /// The call's times are 64-bit although the guest's `long` may not be.
    pub time64: bool,
}

impl Args {
    /// Arguments for a handler called by another handler.
    pub fn of(values: &[u64], time64: bool) -> Args {
        let mut all = [0; 7];
        all[..values.len()].copy_from_slice(values);
        Args { values: all, time64 }
    }

    /// Fetches the arguments from the registers, and from `memory`, a word at an address, what is not in them.
    pub fn decode(abi: &dyn Abi, cpu: &CpuState, entry: &Syscall, memory: &dyn Fn(u64) -> u64) -> Args {
        let narrow = abi.layout().long == 4;
        let in_pairs = narrow && !abi.wide_registers();
        let word = |i| match abi.arg(cpu, i) {
            Place::Value(value) => value,
            Place::Memory(addr) => memory(addr),
        };
        let mut values = [0; 7];
        let mut reg = 0;
        for (value, kind) in values.iter_mut().zip(entry.kinds) {
            *value = match kind {
                Kind::Wide if in_pairs => {
                    reg += usize::from(abi.aligned_pairs() && reg % 2 == 1);
                    let (first, second) = (word(reg), word(reg + 1));
                    let (low, high) = if abi.layout().big { (second, first) } else { (first, second) };
                    reg += 1;
                    high << 32 | low & 0xffff_ffff
                }
                Kind::Wide => word(reg),
                Kind::Offset if !in_pairs => word(reg),
                Kind::Long | Kind::Offset if narrow => word(reg) as i32 as u64,
                _ if narrow => word(reg) & 0xffff_ffff,
                _ => word(reg),
            };
            reg += 1;
        }
        Args { values, time64: !narrow || entry.name.ends_with("64") }
    }

    /// Argument `i` as it is.
    pub fn get(&self, i: usize) -> u64 {
        self.values[i]
    }

    /// Argument `i` as an `int`.
    pub fn int(&self, i: usize) -> i32 {
        self.values[i] as i32
    }

    /// Argument `i` as an `unsigned`.
    pub fn uint(&self, i: usize) -> u32 {
        self.values[i] as u32
    }
}

/// The calls of one ABI by number.
pub struct Table {
    /// The smallest number (MIPS has 4000, 5000 and 6000).
    first: u32,
    calls: Vec<Option<Syscall>>,
}

impl Table {
    /// Binds the ABI's numbers to the handlers.
    ///
    /// # Panics
    /// If a line of the ABI's table is not a number and a name: a bug of ours.
    pub fn new(abi: &dyn Abi) -> Table {
        let handlers: HashMap<&str, Syscall> = SYSCALLS.iter().map(|s| (s.name, *s)).collect();
        let lines = abi.table().lines().filter(|l| !l.starts_with('#'));
        let bind = |line: &'static str| {
            let (number, name) = line.split_once(' ').expect("a number and a name");
            let unknown = Syscall { name, action: Action::Unknown, kinds: &[Kind::Ptr; 6] };
            (number.parse::<u32>().expect("a number"), handlers.get(name).copied().unwrap_or(unknown))
        };
        let bound: Vec<_> = lines.map(bind).collect();
        let first = bound.iter().map(|(number, _)| *number).min().unwrap_or(0);
        let last = bound.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let mut calls = vec![None; (last - first) as usize + 1];
        for (number, call) in bound {
            calls[(number - first) as usize] = Some(call);
        }
        Table { first, calls }
    }

    /// The call with this number.
    pub fn get(&self, number: u32) -> Option<&Syscall> {
        self.calls.get(number.checked_sub(self.first)? as usize)?.as_ref()
    }
}

impl Syscall {
    /// Answers the call; `None` if it is not implemented.
    pub fn invoke(&self, thread: &mut Thread, args: &Args) -> Option<SysResult> {
        match thread.gate(self, args) {
            Gate::Done(result) if result == Err(Errno::ENOSYS) => return None,
            Gate::Done(result) => return Some(result),
            Gate::Open => {}
        }
        match self.action {
            Action::Unknown => None,
            Action::Call(handler) => Some(handler(thread, args)),
            Action::Host(number) => Some(self.pass_on(thread, args, number, host::call)),
            Action::Blocking(number) => Some(self.pass_on(thread, args, number, host::blocking)),
        }
    }

    /// Passes the arguments on to the host.
    pub(super) fn pass_on(
        &self,
        thread: &Thread,
        args: &Args,
        number: i64,
        call: fn(i64, &[Arg<'_>]) -> SysResult,
    ) -> SysResult {
        let mut strings = Vec::new();
        for (i, _) in self.kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Str) {
            strings.push(thread.read_text(args.get(i)));
        }
        let mut strings = strings.iter();
        let mut list = [Arg::NULL; 6];
        for (i, kind) in self.kinds.iter().enumerate() {
            list[i] = match kind {
                Kind::Int | Kind::Fd | Kind::Sig => args.int(i).into(),
                Kind::Open => thread.process.abi.open_flags_to_host(args.int(i)).into(),
                Kind::Hex | Kind::Mode => args.uint(i).into(),
                Kind::Size | Kind::Long | Kind::Offset | Kind::Wide | Kind::Ptr => args.get(i).into(),
                Kind::In => thread.source(args.get(i), args.get(i + 1)),
                Kind::Out => thread.target(args.get(i), args.get(i + 1)),
                Kind::Str => text(strings.next().and_then(Option::as_deref)),
            };
        }
        let list = &list[..self.kinds.len()];
        match call(number, list) {
            // Another thread may have run code from there since the page was made ready.
            Err(Errno::EFAULT) if self.makes_ready_again(thread, args) => call(number, list),
            result => result,
        }
    }

    /// Readies what another thread may have run code from meanwhile.
    fn makes_ready_again(&self, thread: &Thread, args: &Args) -> bool {
        let outputs = self.kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Out);
        let ready = |(i, _)| thread.process.mem.prepare_write(args.get(i), args.get(i + 1));
        outputs.map(ready).fold(false, |any, one| any | one)
    }
}

/// A string that could be read, or a pointer to nothing.
pub(super) fn text(string: Option<&CStr>) -> Arg<'_> {
    string.map_or(Arg::BAD, Arg::path)
}

const fn sys(name: &'static str, handler: Handler, kinds: &'static [Kind]) -> Syscall {
    Syscall { name, action: Action::Call(handler), kinds }
}

const fn same(name: &'static str, number: i64, kinds: &'static [Kind]) -> Syscall {
    Syscall { name, action: Action::Host(number), kinds }
}

const fn wait(name: &'static str, number: i64, kinds: &'static [Kind]) -> Syscall {
    Syscall { name, action: Action::Blocking(number), kinds }
}

use Kind::{Fd, Hex, In, Int, Long, Mode, Offset, Open, Out, Ptr, Sig, Size, Str, Wide};

/// `read` and `write` as the host has them.
pub(super) const READ: Syscall = wait("read", libc::SYS_read, &[Fd, Out, Size]);
pub(super) const WRITE: Syscall = wait("write", libc::SYS_write, &[Fd, In, Size]);
pub(super) const PREAD: Syscall = wait("pread64", libc::SYS_pread64, &[Fd, Out, Size, Wide]);
pub(super) const PWRITE: Syscall = wait("pwrite64", libc::SYS_pwrite64, &[Fd, In, Size, Wide]);

/// Every call that is implemented, for all guests; 32-bit variants have lines of their own.
#[rustfmt::skip]
pub const SYSCALLS: &[Syscall] = &[
    // Files by name.
    sys("openat",       fs::openat,       &[Fd, Str, Open, Mode]),
    sys("openat2",      fs::openat2,      &[Fd, Str, Ptr, Size]),
    sys("mkdirat",      fs::mkdirat,      &[Fd, Str, Mode]),
    sys("mknodat",      fs::mknodat,      &[Fd, Str, Mode, Hex]),
    sys("unlinkat",     fs::unlinkat,     &[Fd, Str, Hex]),
    sys("symlinkat",    fs::symlinkat,    &[Str, Fd, Str]),
    sys("linkat",       fs::linkat,       &[Fd, Str, Fd, Str, Hex]),
    sys("renameat2",    fs::renameat2,    &[Fd, Str, Fd, Str, Hex]),
    sys("readlinkat",   fs::readlinkat,   &[Fd, Str, Out, Int]),
    sys("faccessat",    fs::faccessat,    &[Fd, Str, Hex]),
    sys("faccessat2",   fs::faccessat2,   &[Fd, Str, Hex, Hex]),
    sys("fchmodat",     fs::fchmodat,     &[Fd, Str, Mode]),
    sys("fchmodat2",    fs::fchmodat2,    &[Fd, Str, Mode, Hex]),
    sys("fchownat",     fs::fchownat,     &[Fd, Str, Int, Int, Hex]),
    sys("utimensat",    fs::utimensat,    &[Fd, Str, Ptr, Hex]),
    sys("utimensat_time64", fs::utimensat, &[Fd, Str, Ptr, Hex]),
    sys("truncate",     fs::truncate,     &[Str, Offset]),
    sys("truncate64",   fs::truncate,     &[Str, Wide]),
    sys("chdir",        fs::chdir,        &[Str]),
    sys("fchdir",       fs::fchdir,       &[Fd]),
    sys("chroot",       fs::chroot,       &[Str]),
    sys("getcwd",       fs::getcwd,       &[Ptr, Size]),
    sys("newfstatat",   fs::newfstatat,   &[Fd, Str, Ptr, Hex]),
    sys("fstatat64",    fs::newfstatat,   &[Fd, Str, Ptr, Hex]),
    sys("fstat",        fs::fstat,        &[Fd, Ptr]),
    sys("fstat64",      fs::fstat64,      &[Fd, Ptr]),
    sys("statx",        fs::statx,        &[Fd, Str, Hex, Hex, Ptr]),
    sys("statfs",       fs::statfs,       &[Str, Ptr]),
    sys("fstatfs",      fs::fstatfs,      &[Fd, Ptr]),
    sys("statfs64",     fs::statfs64,     &[Str, Size, Ptr]),
    sys("fstatfs64",    fs::fstatfs64,    &[Fd, Size, Ptr]),
    sys("name_to_handle_at", fs::name_to_handle_at, &[Fd, Str, Ptr, Ptr, Hex]),
    sys("open_by_handle_at", fs::open_by_handle_at, &[Fd, Ptr, Open]),
    sys("setxattr",     fs::setxattr,     &[Str, Str, In, Size, Int]),
    sys("lsetxattr",    fs::lsetxattr,    &[Str, Str, In, Size, Int]),
    same("fsetxattr",   libc::SYS_fsetxattr, &[Fd, Str, In, Size, Int]),
    sys("getxattr",     fs::getxattr,     &[Str, Str, Out, Size]),
    sys("lgetxattr",    fs::lgetxattr,    &[Str, Str, Out, Size]),
    same("fgetxattr",   libc::SYS_fgetxattr, &[Fd, Str, Out, Size]),
    sys("listxattr",    fs::listxattr,    &[Str, Out, Size]),
    sys("llistxattr",   fs::llistxattr,   &[Str, Out, Size]),
    same("flistxattr",  libc::SYS_flistxattr, &[Fd, Out, Size]),
    sys("removexattr",  fs::removexattr,  &[Str, Str]),
    sys("lremovexattr", fs::lremovexattr, &[Str, Str]),
    same("fremovexattr", libc::SYS_fremovexattr, &[Fd, Str]),
    same("umask",       libc::SYS_umask,  &[Mode]),
    same("sync",        libc::SYS_sync,   &[]),
    sys("inotify_add_watch", fs::inotify_add_watch, &[Fd, Str, Hex]),
    same("inotify_init1", libc::SYS_inotify_init1, &[Open]),
    same("inotify_rm_watch", libc::SYS_inotify_rm_watch, &[Fd, Int]),
    // By name as they were before directory descriptors.
    sys("open",         legacy::open,     &[Str, Open, Mode]),
    sys("creat",        legacy::creat,    &[Str, Mode]),
    sys("mkdir",        legacy::mkdir,    &[Str, Mode]),
    sys("mknod",        legacy::mknod,    &[Str, Mode, Hex]),
    sys("rmdir",        legacy::rmdir,    &[Str]),
    sys("unlink",       legacy::unlink,   &[Str]),
    sys("symlink",      legacy::symlink,  &[Str, Str]),
    sys("link",         legacy::link,     &[Str, Str]),
    sys("rename",       legacy::rename,   &[Str, Str]),
    sys("renameat",     legacy::renameat, &[Fd, Str, Fd, Str]),
    sys("readlink",     legacy::readlink, &[Str, Out, Int]),
    sys("access",       legacy::access,   &[Str, Hex]),
    sys("chmod",        legacy::chmod,    &[Str, Mode]),
    sys("chown",        legacy::chown,    &[Str, Int, Int]),
    sys("lchown",       legacy::lchown,   &[Str, Int, Int]),
    sys("stat",         legacy::stat,     &[Str, Ptr]),
    sys("lstat",        legacy::lstat,    &[Str, Ptr]),
    sys("stat64",       legacy::stat64,   &[Str, Ptr]),
    sys("lstat64",      legacy::lstat64,  &[Str, Ptr]),
    sys("utime",        legacy::utime,    &[Str, Ptr]),
    sys("utimes",       legacy::utimes,   &[Str, Ptr]),
    sys("futimesat",    legacy::futimesat, &[Fd, Str, Ptr]),
    sys("inotify_init", legacy::inotify_init, &[]),
    // Open files.
    sys("read",         descriptors::read,      &[Fd, Out, Size]),
    sys("write",        descriptors::write,     &[Fd, In, Size]),
    sys("pread64",      descriptors::pread64,   &[Fd, Out, Size, Wide]),
    sys("pwrite64",     descriptors::pwrite64,  &[Fd, In, Size, Wide]),
    sys("readv",        files::readv,     &[Fd, Ptr, Size]),
    sys("writev",       files::writev,    &[Fd, Ptr, Size]),
    sys("preadv",       files::preadv,    &[Fd, Ptr, Size, Size, Size]),
    sys("pwritev",      files::pwritev,   &[Fd, Ptr, Size, Size, Size]),
    sys("preadv2",      files::preadv2,   &[Fd, Ptr, Size, Size, Size, Hex]),
    sys("pwritev2",     files::pwritev2,  &[Fd, Ptr, Size, Size, Size, Hex]),
    sys("lseek",        dirs::lseek,      &[Fd, Offset, Int]),
    sys("llseek",       dirs::llseek,     &[Fd, Size, Size, Ptr, Int]),
    sys("_llseek",      dirs::llseek,     &[Fd, Size, Size, Ptr, Int]),
    same("close",       libc::SYS_close,  &[Fd]),
    same("close_range", libc::SYS_close_range, &[Hex, Hex, Hex]),
    same("dup",         libc::SYS_dup,    &[Fd]),
    same("dup2",        libc::SYS_dup2,   &[Fd, Fd]),
    sys("dup3",         files::dup3,      &[Fd, Fd, Open]),
    sys("pipe",         legacy::pipe,     &[Ptr]),
    sys("pipe2",        files::pipe2,     &[Ptr, Open]),
    sys("fcntl",        files::fcntl,     &[Fd, Int, Ptr]),
    sys("fcntl64",      files::fcntl,     &[Fd, Int, Ptr]),
    sys("ioctl",        ioctl::ioctl,     &[Fd, Hex, Ptr]),
    wait("flock",       libc::SYS_flock,  &[Fd, Hex]),
    sys("getdents64",   dirs::getdents64, &[Fd, Ptr, Int]),
    sys("getdents",     dirs::getdents,   &[Fd, Ptr, Int]),
    same("ftruncate",   libc::SYS_ftruncate, &[Fd, Offset]),
    same("ftruncate64", libc::SYS_ftruncate, &[Fd, Wide]),
    wait("fallocate",   libc::SYS_fallocate, &[Fd, Hex, Wide, Wide]),
    same("fadvise64",   libc::SYS_fadvise64, &[Fd, Wide, Size, Int]),
    same("fadvise64_64", libc::SYS_fadvise64, &[Fd, Wide, Wide, Int]),
    same("readahead",   libc::SYS_readahead, &[Fd, Wide, Size]),
    same("sync_file_range", libc::SYS_sync_file_range, &[Fd, Wide, Wide, Hex]),
    same("fsync",       libc::SYS_fsync,  &[Fd]),
    same("fdatasync",   libc::SYS_fdatasync, &[Fd]),
    same("syncfs",      libc::SYS_syncfs, &[Fd]),
    same("fchmod",      libc::SYS_fchmod, &[Fd, Mode]),
    same("fchown",      libc::SYS_fchown, &[Fd, Int, Int]),
    sys("sendfile",     files::sendfile,  &[Fd, Fd, Ptr, Size]),
    sys("sendfile64",   files::sendfile64, &[Fd, Fd, Ptr, Size]),
    sys("splice",       files::splice,    &[Fd, Ptr, Fd, Ptr, Size, Hex]),
    wait("tee",         libc::SYS_tee,    &[Fd, Fd, Size, Hex]),
    sys("vmsplice",     files::vmsplice,  &[Fd, Ptr, Size, Hex]),
    sys("copy_file_range", files::copy_file_range, &[Fd, Ptr, Fd, Ptr, Size, Hex]),
    same("memfd_create", libc::SYS_memfd_create, &[Str, Hex]),
    same("eventfd2",    libc::SYS_eventfd2, &[Int, Open]),
    sys("signalfd4",    files::signalfd4, &[Fd, Ptr, Size, Hex]),
    sys("signalfd",     legacy::signalfd, &[Fd, Ptr, Size]),
    same("eventfd",     libc::SYS_eventfd, &[Int]),
    sys("cachestat",    files::cachestat, &[Fd, Ptr, Ptr, Hex]),
    // Asynchronous input and output.
    sys("io_setup",     aio::io_setup,    &[Hex, Ptr]),
    sys("io_destroy",   aio::io_destroy,  &[Ptr]),
    sys("io_submit",    aio::io_submit,   &[Ptr, Long, Ptr]),
    sys("io_cancel",    aio::io_cancel,   &[Ptr, Ptr, Ptr]),
    sys("io_getevents", aio::io_getevents, &[Ptr, Long, Long, Ptr, Ptr]),
    sys("io_pgetevents", aio::io_pgetevents, &[Ptr, Long, Long, Ptr, Ptr, Ptr]),
    sys("io_pgetevents_time64", aio::io_pgetevents, &[Ptr, Long, Long, Ptr, Ptr, Ptr]),
    // Mounts.
    sys("mount",        mounts::mount,    &[Str, Str, Str, Size, Ptr]),
    sys("umount2",      mounts::umount2,  &[Str, Hex]),
    sys("umount",       mounts::umount,   &[Str]),
    sys("pivot_root",   mounts::pivot_root, &[Str, Str]),
    same("fsopen",      libc::SYS_fsopen, &[Str, Hex]),
    sys("fsconfig",     mounts::fsconfig, &[Fd, Int, Ptr, Ptr, Int]),
    same("fsmount",     libc::SYS_fsmount, &[Fd, Hex, Hex]),
    sys("fspick",       mounts::fspick,   &[Fd, Str, Hex]),
    sys("open_tree",    mounts::open_tree, &[Fd, Str, Open]),
    sys("move_mount",   mounts::move_mount, &[Fd, Str, Fd, Str, Hex]),
    sys("mount_setattr", mounts::mount_setattr, &[Fd, Str, Hex, Ptr, Size]),
    sys("statmount",    mounts::statmount, &[Ptr, Ptr, Size, Hex]),
    sys("listmount",    mounts::listmount, &[Ptr, Ptr, Size, Hex]),
    sys("quotactl",     mounts::quotactl, &[Hex, Str, Int, Ptr]),
    sys("quotactl_fd",  mounts::quotactl_fd, &[Fd, Hex, Int, Ptr]),
    sys("acct",         mounts::acct,     &[Str]),
    sys("fanotify_init", mounts::fanotify_init, &[Hex, Open]),
    sys("fanotify_mark", mounts::fanotify_mark, &[Fd, Hex, Wide, Fd, Str]),
    // Keys.
    sys("add_key",      keys::add_key,    &[Str, Str, Ptr, Size, Int]),
    sys("request_key",  keys::request_key, &[Str, Str, Str, Int]),
    sys("keyctl",       keys::keyctl,     &[Int, Ptr, Ptr, Ptr, Ptr]),
    // Memory.
    sys("mmap",         mman::mmap,       &[Ptr, Size, Hex, Hex, Fd, Offset]),
    sys("mmap2",        mman::mmap2,      &[Ptr, Size, Hex, Hex, Fd, Size]),
    sys("munmap",       mman::munmap,     &[Ptr, Size]),
    sys("mprotect",     mman::mprotect,   &[Ptr, Size, Hex]),
    sys("pkey_mprotect", mman::pkey_mprotect, &[Ptr, Size, Hex, Int]),
    sys("pkey_alloc",   mman::pkey_alloc, &[Size, Size]),
    sys("pkey_free",    mman::pkey_free,  &[Int]),
    sys("mremap",       mman::mremap,     &[Ptr, Size, Size, Hex, Ptr]),
    sys("remap_file_pages", mman::remap_file_pages, &[Ptr, Size, Hex, Size, Hex]),
    sys("mseal",        mman::mseal,      &[Ptr, Size, Size]),
    sys("brk",          mman::brk,        &[Ptr]),
    sys("madvise",      mman::madvise,    &[Ptr, Size, Int]),
    sys("msync",        mman::msync,      &[Ptr, Size, Hex]),
    sys("mlock",        mman::mlock,      &[Ptr, Size]),
    sys("mlock2",       mman::mlock2,     &[Ptr, Size, Hex]),
    sys("munlock",      mman::munlock,    &[Ptr, Size]),
    sys("mlockall",     mman::mlockall,   &[Hex]),
    sys("munlockall",   mman::munlockall, &[]),
    sys("mincore",      mman::mincore,    &[Ptr, Size, Ptr]),
    sys("process_vm_readv", remote::process_vm_readv, &[Int, Ptr, Long, Ptr, Long, Hex]),
    sys("process_vm_writev", remote::process_vm_writev, &[Int, Ptr, Long, Ptr, Long, Hex]),
    sys("process_madvise", remote::process_madvise, &[Fd, Ptr, Long, Int, Hex]),
    same("process_mrelease", libc::SYS_process_mrelease, &[Fd, Hex]),
    same("memfd_secret", libc::SYS_memfd_secret, &[Hex]),
    sys("mbind",        numa::mbind,      &[Ptr, Size, Int, Ptr, Size, Hex]),
    sys("get_mempolicy", numa::get_mempolicy, &[Ptr, Ptr, Size, Ptr, Size]),
    sys("set_mempolicy", numa::set_mempolicy, &[Int, Ptr, Size]),
    sys("set_mempolicy_home_node", numa::set_mempolicy_home_node, &[Ptr, Size, Size, Size]),
    sys("migrate_pages", numa::migrate_pages, &[Int, Size, Ptr, Ptr]),
    sys("move_pages",   numa::move_pages, &[Int, Size, Ptr, Ptr, Ptr, Hex]),
    same("membarrier",  libc::SYS_membarrier, &[Int, Hex, Int]),
    sys("cacheflush",   mman::cacheflush, &[Ptr, Size, Hex]),
    sys("riscv_flush_icache", mman::riscv_flush_icache, &[Ptr, Ptr, Hex]),
    // Processes and threads.
    sys("clone",        proc::clone,      &[Hex, Ptr, Ptr, Ptr, Ptr]),
    sys("clone3",       proc::clone3,     &[Ptr, Size]),
    sys("fork",         proc::fork,       &[]),
    sys("execve",       exec::execve,     &[Str, Ptr, Ptr]),
    sys("execveat",     exec::execveat,   &[Fd, Str, Ptr, Ptr, Hex]),
    sys("exit",         proc::exit,       &[Int]),
    sys("exit_group",   proc::exit_group, &[Int]),
    sys("wait4",        proc::wait4,      &[Int, Ptr, Hex, Ptr]),
    sys("waitpid",      legacy::waitpid,  &[Int, Ptr, Hex]),
    sys("waitid",       proc::waitid,     &[Int, Int, Ptr, Hex, Ptr]),
    sys("set_tid_address", proc::set_tid_address, &[Ptr]),
    sys("gettid",       proc::gettid,     &[]),
    same("getpid",      libc::SYS_getpid, &[]),
    same("getppid",     libc::SYS_getppid, &[]),
    same("getuid",      libc::SYS_getuid, &[]),
    same("geteuid",     libc::SYS_geteuid, &[]),
    same("getgid",      libc::SYS_getgid, &[]),
    same("getegid",     libc::SYS_getegid, &[]),
    same("setuid",      libc::SYS_setuid, &[Int]),
    same("setgid",      libc::SYS_setgid, &[Int]),
    same("setreuid",    libc::SYS_setreuid, &[Int, Int]),
    same("setregid",    libc::SYS_setregid, &[Int, Int]),
    same("setresuid",   libc::SYS_setresuid, &[Int, Int, Int]),
    same("setresgid",   libc::SYS_setresgid, &[Int, Int, Int]),
    same("setfsuid",    libc::SYS_setfsuid, &[Int]),
    same("setfsgid",    libc::SYS_setfsgid, &[Int]),
    sys("getresuid",    proc::getresuid,  &[Ptr, Ptr, Ptr]),
    sys("getresgid",    proc::getresgid,  &[Ptr, Ptr, Ptr]),
    sys("getgroups",    proc::getgroups,  &[Int, Ptr]),
    sys("setgroups",    proc::setgroups,  &[Int, Ptr]),
    same("getpgid",     libc::SYS_getpgid, &[Int]),
    same("setpgid",     libc::SYS_setpgid, &[Int, Int]),
    same("getsid",      libc::SYS_getsid, &[Int]),
    same("setsid",      libc::SYS_setsid, &[]),
    same("getpgrp",     libc::SYS_getpgrp, &[]),
    sys("nice",         legacy::nice,     &[Int]),
    sys("set_thread_area", proc::set_thread_area, &[Ptr]),
    sys("capget",       proc::capget,     &[Ptr, Ptr]),
    sys("capset",       proc::capset,     &[Ptr, Ptr]),
    same("pidfd_open",  libc::SYS_pidfd_open, &[Int, Open]),
    same("pidfd_getfd", libc::SYS_pidfd_getfd, &[Fd, Fd, Hex]),
    same("unshare",     libc::SYS_unshare, &[Hex]),
    same("setns",       libc::SYS_setns,  &[Fd, Hex]),
    same("getpriority", libc::SYS_getpriority, &[Int, Int]),
    same("setpriority", libc::SYS_setpriority, &[Int, Int, Int]),
    same("ioprio_get",  libc::SYS_ioprio_get, &[Int, Int]),
    same("ioprio_set",  libc::SYS_ioprio_set, &[Int, Int, Int]),
    same("sched_yield", libc::SYS_sched_yield, &[]),
    sys("sched_getaffinity", proc::sched_getaffinity, &[Int, Size, Ptr]),
    sys("sched_setaffinity", proc::sched_setaffinity, &[Int, Size, Ptr]),
    sys("sched_getparam", proc::sched_getparam, &[Int, Ptr]),
    sys("sched_setparam", proc::sched_setparam, &[Int, Ptr]),
    same("sched_getscheduler", libc::SYS_sched_getscheduler, &[Int]),
    sys("sched_setscheduler", proc::sched_setscheduler, &[Int, Int, Ptr]),
    same("sched_get_priority_max", libc::SYS_sched_get_priority_max, &[Int]),
    same("sched_get_priority_min", libc::SYS_sched_get_priority_min, &[Int]),
    sys("sched_rr_get_interval", time::sched_rr_get_interval, &[Int, Ptr]),
    sys("sched_rr_get_interval_time64", time::sched_rr_get_interval, &[Int, Ptr]),
    sys("sched_setattr", proc::sched_setattr, &[Int, Ptr, Hex]),
    sys("sched_getattr", proc::sched_getattr, &[Int, Ptr, Int, Hex]),
    sys("getcpu",       proc::getcpu,     &[Ptr, Ptr, Ptr]),
    sys("getrusage",    proc::getrusage,  &[Int, Ptr]),
    sys("futex",        futex::futex,     &[Ptr, Hex, Hex, Ptr, Ptr, Hex]),
    sys("futex_time64", futex::futex,     &[Ptr, Hex, Hex, Ptr, Ptr, Hex]),
    sys("futex_waitv",  futex::futex_waitv, &[Ptr, Int, Hex, Ptr, Int]),
    sys("futex_wake",   futex::futex_wake, &[Ptr, Size, Int, Hex]),
    sys("futex_wait",   futex::futex_wait, &[Ptr, Size, Size, Hex, Ptr, Int]),
    sys("futex_requeue", futex::futex_requeue, &[Ptr, Hex, Int, Int]),
    sys("kcmp",         remote::kcmp,     &[Int, Int, Int, Size, Ptr]),
    sys("set_robust_list", futex::set_robust_list, &[Ptr, Size]),
    sys("get_robust_list", futex::get_robust_list, &[Int, Ptr, Ptr]),
    sys("rseq",         misc::rseq,       &[Ptr, Hex, Hex, Hex]),
    // Signals.
    sys("rt_sigaction", signal::rt_sigaction, &[Sig, Ptr, Ptr, Size]),
    sys("rt_sigprocmask", signal::rt_sigprocmask, &[Int, Ptr, Ptr, Size]),
    sys("rt_sigpending", signal::rt_sigpending, &[Ptr, Size]),
    sys("rt_sigsuspend", signal::rt_sigsuspend, &[Ptr, Size]),
    sys("rt_sigtimedwait", signal::rt_sigtimedwait, &[Ptr, Ptr, Ptr, Size]),
    sys("rt_sigtimedwait_time64", signal::rt_sigtimedwait, &[Ptr, Ptr, Ptr, Size]),
    sys("rt_sigqueueinfo", signal::rt_sigqueueinfo, &[Int, Sig, Ptr]),
    sys("rt_tgsigqueueinfo", signal::rt_tgsigqueueinfo, &[Int, Int, Sig, Ptr]),
    sys("pidfd_send_signal", signal::pidfd_send_signal, &[Fd, Sig, Ptr, Hex]),
    sys("rt_sigreturn", signal::rt_sigreturn, &[]),
    sys("signal",       signal::signal,   &[Sig, Ptr]),
    sys("sigaction",    signal::sigaction, &[Sig, Ptr, Ptr]),
    sys("sigprocmask",  signal::sigprocmask, &[Int, Ptr, Ptr]),
    sys("sigpending",   signal::sigpending, &[Ptr]),
    sys("sigsuspend",   signal::sigsuspend, &[Ptr]),
    sys("sigreturn",    signal::sigreturn, &[]),
    sys("pause",        signal::pause,    &[]),
    sys("sigaltstack",  signal::sigaltstack, &[Ptr, Ptr]),
    sys("kill",         signal::kill,     &[Int, Sig]),
    sys("tkill",        signal::tkill,    &[Int, Sig]),
    sys("tgkill",       signal::tgkill,   &[Int, Int, Sig]),
    sys("restart_syscall", misc::restart_syscall, &[]),
    // Time.
    sys("clock_gettime", time::clock_gettime, &[Int, Ptr]),
    sys("clock_gettime64", time::clock_gettime, &[Int, Ptr]),
    sys("clock_settime", time::clock_settime, &[Int, Ptr]),
    sys("clock_settime64", time::clock_settime, &[Int, Ptr]),
    sys("clock_getres", time::clock_getres, &[Int, Ptr]),
    sys("clock_getres_time64", time::clock_getres, &[Int, Ptr]),
    sys("clock_nanosleep", time::clock_nanosleep, &[Int, Hex, Ptr, Ptr]),
    sys("clock_nanosleep_time64", time::clock_nanosleep, &[Int, Hex, Ptr, Ptr]),
    sys("nanosleep",    time::nanosleep,  &[Ptr, Ptr]),
    sys("gettimeofday", time::gettimeofday, &[Ptr, Ptr]),
    sys("settimeofday", time::settimeofday, &[Ptr, Ptr]),
    sys("adjtimex",     time::adjtimex,   &[Ptr]),
    sys("clock_adjtime", time::clock_adjtime, &[Int, Ptr]),
    sys("clock_adjtime64", time::clock_adjtime, &[Int, Ptr]),
    sys("time",         legacy::time,     &[Ptr]),
    sys("stime",        misc::not_permitted, &[Ptr]),
    same("alarm",       libc::SYS_alarm,  &[Hex]),
    sys("times",        time::times,      &[Ptr]),
    sys("setitimer",    time::setitimer,  &[Int, Ptr, Ptr]),
    sys("getitimer",    time::getitimer,  &[Int, Ptr]),
    sys("timer_create", time::timer_create, &[Int, Ptr, Ptr]),
    sys("timer_settime", time::timer_settime, &[Int, Hex, Ptr, Ptr]),
    sys("timer_settime64", time::timer_settime, &[Int, Hex, Ptr, Ptr]),
    sys("timer_gettime", time::timer_gettime, &[Int, Ptr]),
    sys("timer_gettime64", time::timer_gettime, &[Int, Ptr]),
    same("timer_getoverrun", libc::SYS_timer_getoverrun, &[Int]),
    same("timer_delete", libc::SYS_timer_delete, &[Int]),
    same("timerfd_create", libc::SYS_timerfd_create, &[Int, Open]),
    sys("timerfd_settime", time::timerfd_settime, &[Fd, Hex, Ptr, Ptr]),
    sys("timerfd_settime64", time::timerfd_settime, &[Fd, Hex, Ptr, Ptr]),
    sys("timerfd_gettime", time::timerfd_gettime, &[Fd, Ptr]),
    sys("timerfd_gettime64", time::timerfd_gettime, &[Fd, Ptr]),
    // Waiting for descriptors.
    sys("poll",         poll::poll,       &[Ptr, Int, Int]),
    sys("_newselect",   poll::select,     &[Int, Ptr, Ptr, Ptr, Ptr]),
    sys("epoll_create", legacy::epoll_create, &[Int]),
    sys("epoll_wait",   poll::epoll_wait, &[Fd, Ptr, Int, Int]),
    sys("ppoll",        poll::ppoll,      &[Ptr, Int, Ptr, Ptr, Size]),
    sys("ppoll_time64", poll::ppoll,      &[Ptr, Int, Ptr, Ptr, Size]),
    sys("pselect6",     poll::pselect6,   &[Int, Ptr, Ptr, Ptr, Ptr, Ptr]),
    sys("pselect6_time64", poll::pselect6, &[Int, Ptr, Ptr, Ptr, Ptr, Ptr]),
    same("epoll_create1", libc::SYS_epoll_create1, &[Open]),
    sys("epoll_ctl",    poll::epoll_ctl,  &[Fd, Int, Fd, Ptr]),
    sys("epoll_pwait",  poll::epoll_pwait, &[Fd, Ptr, Int, Int, Ptr, Size]),
    sys("epoll_pwait2", poll::epoll_pwait2, &[Fd, Ptr, Int, Ptr, Ptr, Size]),
    // Sockets.
    sys("socket",       net::socket,      &[Int, Hex, Int]),
    sys("socketpair",   net::socketpair,  &[Int, Hex, Int, Ptr]),
    sys("bind",         net::bind,        &[Fd, Ptr, Int]),
    sys("listen",       net::listen,      &[Fd, Int]),
    sys("accept",       net::accept,      &[Fd, Ptr, Ptr]),
    sys("accept4",      net::accept4,     &[Fd, Ptr, Ptr, Hex]),
    sys("connect",      net::connect,     &[Fd, Ptr, Int]),
    sys("getsockname",  net::getsockname, &[Fd, Ptr, Ptr]),
    sys("getpeername",  net::getpeername, &[Fd, Ptr, Ptr]),
    sys("sendto",       net::sendto,      &[Fd, In, Size, Hex, Ptr, Int]),
    sys("recvfrom",     net::recvfrom,    &[Fd, Out, Size, Hex, Ptr, Ptr]),
    sys("setsockopt",   net::setsockopt,  &[Fd, Int, Int, Ptr, Int]),
    sys("getsockopt",   net::getsockopt,  &[Fd, Int, Int, Ptr, Ptr]),
    same("shutdown",    libc::SYS_shutdown, &[Fd, Int]),
    sys("sendmsg",      net::sendmsg,     &[Fd, Ptr, Hex]),
    sys("recvmsg",      net::recvmsg,     &[Fd, Ptr, Hex]),
    sys("sendmmsg",     net::sendmmsg,    &[Fd, Ptr, Int, Hex]),
    sys("recvmmsg",     net::recvmmsg,    &[Fd, Ptr, Int, Hex, Ptr]),
    sys("recv",         legacy::recv,     &[Fd, Out, Size, Hex]),
    sys("send",         legacy::send,     &[Fd, In, Size, Hex]),
    sys("recvmmsg_time64", net::recvmmsg, &[Fd, Ptr, Int, Hex, Ptr]),
    // System V and POSIX objects.
    same("shmget",      libc::SYS_shmget, &[Int, Size, Hex]),
    sys("shmat",        ipc::shmat,       &[Int, Ptr, Hex]),
    sys("shmdt",        ipc::shmdt,       &[Ptr]),
    sys("shmctl",       ipc::shmctl,      &[Int, Int, Ptr]),
    same("semget",      libc::SYS_semget, &[Int, Int, Hex]),
    sys("semop",        ipc::semop,       &[Int, Ptr, Size]),
    sys("semtimedop",   ipc::semtimedop,  &[Int, Ptr, Size, Ptr]),
    sys("semtimedop_time64", ipc::semtimedop, &[Int, Ptr, Size, Ptr]),
    sys("semctl",       ipc::semctl,      &[Int, Int, Int, Ptr]),
    same("msgget",      libc::SYS_msgget, &[Int, Hex]),
    sys("msgsnd",       ipc::msgsnd,      &[Int, Ptr, Size, Hex]),
    sys("msgrcv",       ipc::msgrcv,      &[Int, Ptr, Size, Long, Hex]),
    sys("msgctl",       ipc::msgctl,      &[Int, Int, Ptr]),
    sys("mq_open",      ipc::mq_open,     &[Str, Open, Mode, Ptr]),
    same("mq_unlink",   libc::SYS_mq_unlink, &[Str]),
    sys("mq_timedsend", ipc::mq_timedsend, &[Fd, In, Size, Int, Ptr]),
    sys("mq_timedsend_time64", ipc::mq_timedsend, &[Fd, In, Size, Int, Ptr]),
    sys("mq_timedreceive", ipc::mq_timedreceive, &[Fd, Out, Size, Ptr, Ptr]),
    sys("mq_timedreceive_time64", ipc::mq_timedreceive, &[Fd, Out, Size, Ptr, Ptr]),
    sys("mq_notify",    ipc::mq_notify,   &[Fd, Ptr]),
    sys("mq_getsetattr", ipc::mq_getsetattr, &[Fd, Ptr, Ptr]),
    // Several calls behind one number.
    sys("socketcall",   multiplex::socketcall, &[Int, Ptr]),
    sys("ipc",          multiplex::ipc,   &[Hex, Int, Size, Size, Ptr, Long]),
    // The system.
    sys("sysmips",      misc::sysmips,    &[Long, Ptr, Long]),
    sys("uname",        misc::uname,      &[Ptr]),
    sys("sysinfo",      misc::sysinfo,    &[Ptr]),
    sys("prctl",        misc::prctl,      &[Int, Ptr, Ptr, Ptr, Ptr]),
    sys("prlimit64",    misc::prlimit64,  &[Int, Int, Ptr, Ptr]),
    sys("getrlimit",    misc::getrlimit,  &[Int, Ptr]),
    sys("setrlimit",    misc::setrlimit,  &[Int, Ptr]),
    sys("personality",  misc::personality, &[Hex]),
    sys("riscv_hwprobe", misc::riscv_hwprobe, &[Ptr, Size, Size, Ptr, Hex]),
    sys("seccomp",      seccomp::seccomp,    &[Hex, Hex, Ptr]),
    wait("syslog",      libc::SYS_syslog, &[Int, Out, Int]),
    sys("getrandom",    misc::getrandom,  &[Out, Size, Hex]),
    sys("reboot",       misc::not_permitted, &[Hex, Hex, Hex, Ptr]),
    sys("sethostname",  misc::not_permitted, &[Ptr, Int]),
    sys("setdomainname", misc::not_permitted, &[Ptr, Int]),
    sys("swapon",       misc::not_permitted, &[Str, Hex]),
    sys("swapoff",      misc::not_permitted, &[Str]),
    sys("vhangup",      misc::not_permitted, &[]),
    sys("init_module",  misc::not_permitted, &[Ptr, Size, Str]),
    sys("delete_module", misc::not_permitted, &[Str, Hex]),
    sys("ptrace",       ptrace::ptrace,   &[Long, Int, Ptr, Ptr]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::abi::mips;
    use crate::linux::abi::riscv::Riscv;
    use emu_ir::Slot;

    #[test]
    fn names_are_unique_and_exist() {
        let mut names: Vec<_> = SYSCALLS.iter().map(|s| s.name).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        let mips = [mips::Kind::O32, mips::Kind::N32, mips::Kind::N64].map(|kind| kind.table());
        let tables = [Riscv { xlen: 32 }.table(), Riscv { xlen: 64 }.table(), mips[0], mips[1], mips[2]];
        for name in names {
            let known = |t: &&str| t.lines().any(|l| l.split_once(' ').is_some_and(|(_, n)| n == name));
            assert!(tables.iter().any(known), "{name} is in no table");
        }
    }

    #[test]
    fn numbers_are_bound() {
        let table = Table::new(&Riscv { xlen: 64 });
        assert_eq!(table.get(64).map(|s| s.name), Some("write"));
        assert!(table.get(64).is_some_and(|s| !matches!(s.action, Action::Unknown)));
        assert_eq!(table.get(258).map(|s| s.name), Some("riscv_hwprobe"));
        assert!(table.get(100_000).is_none());
    }

    #[test]
    fn a_32_bit_guest_passes_wide_arguments_in_pairs() {
        let abi = Riscv { xlen: 32 };
        let mut cpu = CpuState::default();
        for (i, v) in [3, 0x1000, 5, 0x89ab_cdef, 0x0123_4567].into_iter().enumerate() {
            cpu.set(Slot(10 + i as u16), v);
        }
        let entry = SYSCALLS.iter().find(|s| s.name == "pread64").expect("pread64");
        let args = Args::decode(&abi, &cpu, entry, &|_| 0);
        assert_eq!((args.int(0), args.get(2), args.get(3)), (3, 5, 0x0123_4567_89ab_cdef));
    }
}
