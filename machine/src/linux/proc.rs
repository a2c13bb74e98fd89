//! Processes and threads: clone, fork, exit, wait, identities, scheduling.

use super::abi::AltStack;
use super::data::Reader;
use super::errno::Errno;
use super::fs::{HOST, transcode};
use super::host::{self, Arg, Forked, SigSet};
use super::process::lock;
use super::ptrace::{self, Follow};
use super::table::{Args, SysResult};
use super::thread::{Start, Thread};
use crate::mem::access::ThreadStack;
use std::sync::Arc;
use std::sync::mpsc;

const CSIGNAL: u64 = 0xff;
const VM: u64 = libc::CLONE_VM as u64;
const VFORK: u64 = libc::CLONE_VFORK as u64;
const THREAD: u64 = libc::CLONE_THREAD as u64;
const SIGHAND: u64 = libc::CLONE_SIGHAND as u64;
const SETTLS: u64 = libc::CLONE_SETTLS as u64;
const PARENT_SETTID: u64 = libc::CLONE_PARENT_SETTID as u64;
const CHILD_SETTID: u64 = libc::CLONE_CHILD_SETTID as u64;
const CHILD_CLEARTID: u64 = libc::CLONE_CHILD_CLEARTID as u64;
const PIDFD: u64 = libc::CLONE_PIDFD as u64;
const CLEAR_SIGHAND: u64 = 1 << 32;
const DETACHED: u64 = libc::CLONE_DETACHED as u64;
/// Flags that our own code answers; the others go to the host's `clone`.
const OURS: u64 =
    VM | VFORK | SETTLS | PARENT_SETTID | CHILD_SETTID | CHILD_CLEARTID | PIDFD | CLEAR_SIGHAND | DETACHED;
/// Stack of a host thread that runs a guest thread; only what is used costs memory.
const HOST_STACK: usize = 8 << 20;

/// The flags of a child in the same memory that the host answers. It has dispositions of its own, whatever they say.
fn host_flags(c: &Clone) -> i32 {
    ((c.flags & !OURS & !SIGHAND) as i32) | c.exit_signal
}

/// The arguments of clone and clone3 (`struct clone_args`).
#[derive(Clone, Copy, Debug, Default)]
struct Clone {
    /// Without the exit signal.
    flags: u64,
    exit_signal: i32,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    /// The new stack pointer, or 0 for the same.
    sp: u64,
    tls: u64,
}

/// `clone`.
pub(super) fn clone(t: &mut Thread, a: &Args) -> SysResult {
    let (tls, ctid) = t.process.abi.clone_tls_ctid();
    let flags = a.get(0) & 0xffff_ffff;
    let request = Clone {
        flags: flags & !CSIGNAL,
        exit_signal: t.process.abi.signal_to_host((flags & CSIGNAL) as i32),
        pidfd: a.get(2),
        child_tid: a.get(ctid),
        parent_tid: a.get(2),
        sp: a.get(1),
        tls: a.get(tls),
    };
    if flags & PIDFD != 0 && flags & PARENT_SETTID != 0 {
        return Err(Errno::EINVAL);
    }
    t.clone(request)
}

/// `fork`.
pub(super) fn fork(t: &mut Thread, _: &Args) -> SysResult {
    t.clone(Clone { exit_signal: libc::SIGCHLD, ..Clone::default() })
}

/// `set_thread_area` of MIPS: the thread pointer.
pub(super) fn set_thread_area(t: &mut Thread, a: &Args) -> SysResult {
    let abi = Arc::clone(&t.process.abi);
    abi.set_tls(t.vcpu.cpu_mut(), a.get(0));
    Ok(0)
}

/// `clone3`.
pub(super) fn clone3(t: &mut Thread, a: &Args) -> SysResult {
    const VERSION_0: u64 = 64;
    const VERSION_2: usize = 88;
    let size = a.get(1);
    if size < VERSION_0 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let bytes = t.read(a.get(0), size as usize)?;
    if bytes.iter().skip(VERSION_2).any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    let mut r = Reader::new(t.layout(), &bytes);
    let (flags, pidfd, child_tid, parent_tid) = (r.u64(), r.u64(), r.u64(), r.u64());
    let (exit_signal, stack, stack_size, tls) = (r.u64(), r.u64(), r.u64(), r.u64());
    let (set_tid, set_tid_size, _cgroup) = (r.u64(), r.u64(), r.u64());
    if flags & (CSIGNAL | DETACHED) != 0 || exit_signal > 64 || (stack == 0) != (stack_size == 0) {
        return Err(Errno::EINVAL);
    }
    if set_tid != 0 || set_tid_size != 0 {
        return Err(Errno::EPERM);
    }
    if flags & THREAD != 0 && exit_signal != 0 {
        return Err(Errno::EINVAL);
    }
    let exit_signal = t.process.abi.signal_to_host(exit_signal as i32);
    t.clone(Clone { flags, exit_signal, pidfd, child_tid, parent_tid, sp: stack.wrapping_add(stack_size), tls })
}

impl Thread {
    fn clone(&mut self, c: Clone) -> SysResult {
        self.may_clone(c.flags)?;
        let has = |flag| c.flags & flag != 0;
        let bad = has(THREAD) && !has(SIGHAND) || has(SIGHAND) && (!has(VM) || has(CLEAR_SIGHAND));
        if bad {
            return Err(Errno::EINVAL);
        }
        let config = Arc::clone(&self.process.config);
        let place = match &config.session {
            Some(session) => Some(session.place().ok_or(Errno::EAGAIN)?),
            None => None,
        };
        let child = match (c.flags & THREAD != 0, c.flags & VM != 0, c.flags & VFORK != 0) {
            (true, ..) => self.clone_thread(c),
            (false, true, true) => self.clone_vfork(c),
            (false, true, false) => self.clone_sharing(c),
            (false, false, _) => self.clone_fork(c),
        };
        match (child, place) {
            (Ok(id), Some(place)) => place.settle(id as i32),
            // The child of a fork; its parent settles.
            (Err(Errno::NO_RESULT), Some(place)) => std::mem::forget(place),
            _ => {}
        }
        child
    }

    /// The child's hart: result 0, its own stack and thread pointer.
    fn child_registers(&mut self, c: &Clone, in_place: bool) -> Option<Box<dyn super::Vcpu>> {
        let abi = Arc::clone(&self.process.abi);
        let mut copy = (!in_place).then(|| self.vcpu.clone_for_thread());
        let cpu = copy.as_mut().unwrap_or(&mut self.vcpu).cpu_mut();
        abi.set_result(cpu, Ok(0));
        if c.sp != 0 {
            abi.set_sp(cpu, c.sp);
        }
        if c.flags & SETTLS != 0 {
            abi.set_tls(cpu, c.tls);
        }
        copy
    }

    fn clone_thread(&mut self, c: Clone) -> SysResult {
        self.give_back();
        let vcpu = self.child_registers(&c, false).ok_or(Errno::ENOMEM)?;
        let mut child = Thread::new(Arc::clone(&self.process), vcpu, self.mask);
        child.seccomp = self.seccomp.inherit();
        let mut follow = self.follow(c.flags, c.exit_signal);
        child.start = Some(Start::Child(Follow::child(&mut follow)));
        let (tell, told) = mpsc::channel();
        // The child inherits the host's mask: nothing may reach it before it is ready.
        host::set_mask(SigSet::MAX);
        let spawned = std::thread::Builder::new().stack_size(HOST_STACK).spawn(move || {
            child.tid = host::tid();
            child.process.enlist(child.tid, &child.seccomp);
            child.announce(&c, child.tid);
            if tell.send(child.tid).is_ok() {
                child.run();
            }
        });
        let tid = spawned.map_err(|_| Errno::EAGAIN).and_then(|_| told.recv().map_err(|_| Errno::EAGAIN));
        self.set_host_mask();
        self.followed(follow, tid.ok());
        Ok(tid? as u64)
    }

    /// Stores the ids that the flags ask for, in memory that parent and child share or, after a fork, in the child's.
    fn announce(&mut self, c: &Clone, tid: i32) {
        if c.flags & PARENT_SETTID != 0 {
            let _ = self.write_u32(c.parent_tid, tid as u32);
        }
        if c.flags & CHILD_SETTID != 0 {
            let _ = self.write_u32(c.child_tid, tid as u32);
        }
        if c.flags & CHILD_CLEARTID != 0 {
            self.clear_tid = c.child_tid;
        }
    }

    fn clone_fork(&mut self, c: Clone) -> SysResult {
        let rest = c.flags & !OURS;
        if rest & libc::CLONE_FILES as u64 != 0 {
            // The engine closes descriptors of its own on both sides of a fork: they must not be the same ones.
            return Err(Errno::EINVAL);
        }
        host::set_mask(SigSet::MAX);
        let process = Arc::clone(&self.process);
        let mut follow = self.follow(c.flags, c.exit_signal);
        let plain = rest == 0 && c.exit_signal == libc::SIGCHLD;
        let side = process.fork_with(&mut *self.vcpu, || {
            if plain { host::fork() } else { host::clone_process(rest | c.exit_signal as u64) }
        });
        if side == Ok(Forked::Child) {
            self.start = Some(Start::Child(Follow::child(&mut follow)));
            let result = self.become_child(&c);
            self.set_host_mask();
            return result;
        }
        self.set_host_mask();
        let pid = if let Ok(Forked::Parent(pid)) = side { Some(pid) } else { None };
        let result = side.and_then(|_| self.parent_of(&c, pid.unwrap_or_default()));
        self.followed(follow, pid);
        result
    }

    /// Goes on as the child of a fork.
    fn become_child(&mut self, c: &Clone) -> SysResult {
        self.tid = host::tid();
        while self.queue.take().is_some() {}
        self.held.clear();
        self.forget_tracing();
        (self.robust, self.clear_tid) = ((0, 0), 0);
        if let Some(recorder) = &self.process.config.explain {
            recorder.forget();
        }
        self.announce(&Clone { flags: c.flags & !PARENT_SETTID, ..*c }, self.tid);
        self.clear_handlers(c);
        self.child_registers(c, true);
        Err(Errno::NO_RESULT)
    }

    fn clear_handlers(&mut self, c: &Clone) {
        if c.flags & CLEAR_SIGHAND != 0 {
            lock(&self.process.signals).reset_handlers();
        }
    }

    fn parent_of(&mut self, c: &Clone, pid: i32) -> SysResult {
        if c.flags & PARENT_SETTID != 0 {
            self.write_u32(c.parent_tid, pid as u32)?;
        }
        if c.flags & PIDFD != 0 {
            let fd = host::call(libc::SYS_pidfd_open, &[pid.into(), 0.into()])?;
            self.write_u32(c.pidfd, fd as u32)?;
        }
        Ok(pid as u64)
    }

    /// The thread of a process that shares this one's memory.
    fn sharing_child(&mut self, c: &Clone) -> Result<Thread, Errno> {
        let vcpu = self.child_registers(c, false).ok_or(Errno::ENOMEM)?;
        let mut child = Thread::new(self.process.copy_for_vfork(), vcpu, self.mask);
        child.seccomp = self.seccomp.inherit();
        (child.is_vfork_child, child.altstack) = (true, self.altstack);
        child.start = Some(Start::Child(None));
        Ok(child)
    }

    /// Runs in the new process, on a thread of the emulator that waits meanwhile.
    fn run_sharing(&mut self, c: &Clone) {
        self.tid = host::tid();
        self.process.enlist(self.tid, &self.seccomp);
        self.announce(c, self.tid);
        self.clear_handlers(c);
        let _ = self.queue.enter();
        lock(&self.process.signals).reset_tracer();
        self.set_host_mask();
        self.turn();
        host::set_mask(SigSet::MAX);
        self.end();
    }

    /// A child in the same memory, while this thread waits: `vfork`, and `posix_spawn` in the C libraries.
    fn clone_vfork(&mut self, c: Clone) -> SysResult {
        let mut child = self.sharing_child(&c)?;
        let mut follow = self.follow(c.flags, c.exit_signal);
        child.start = Some(Start::Child(Follow::child(&mut follow)));
        host::set_mask(SigSet::MAX);
        self.begin_vfork(follow.as_ref());
        self.queue.begin_wait();
        let pid = host::vfork(host_flags(&c), &mut || child.run_sharing(&c));
        // The child used this thread's storage.
        let _ = self.queue.enter();
        drop(child);
        self.queue.end_wait();
        self.set_host_mask();
        self.end_vfork(follow, pid.ok());
        self.parent_of(&Clone { flags: c.flags & !PARENT_SETTID, ..c }, pid?)
    }

    /// A child in the same memory that runs beside this thread (LinuxThreads): a host thread of its own lends it its
    /// storage and waits for its end.
    fn clone_sharing(&mut self, c: Clone) -> SysResult {
        let mut child = self.sharing_child(&c)?;
        child.altstack = AltStack { base: 0, flags: libc::SS_DISABLE, size: 0 };
        let (tell, told) = mpsc::channel();
        host::set_mask(SigSet::MAX);
        let spawned = std::thread::Builder::new().stack_size(HOST_STACK).spawn(move || {
            let _stack = ThreadStack::new();
            let failed = host::vfork(host_flags(&c), &mut || {
                let _ = tell.send(Ok(host::pid()));
                child.run_sharing(&c);
            });
            if let Err(e) = failed {
                let _ = tell.send(Err(e));
            }
        });
        let pid = spawned.map_err(|_| Errno::EAGAIN).and_then(|_| told.recv().unwrap_or(Err(Errno::EAGAIN)));
        self.set_host_mask();
        self.parent_of(&Clone { flags: c.flags & !PARENT_SETTID, ..c }, pid?)
    }

    /// The thread has ended: tells those who wait for it. Ends the process if it was the last.
    pub(super) fn end(&mut self) {
        self.exit_stop(self.end_status);
        self.release_robust_list();
        self.clear_child_tid();
        self.end_trace();
        self.process.tracees.release(self.tid);
        self.queue.begin_wait();
        let last = self.process.delist(self.tid);
        if self.is_vfork_child {
            host::exit_process(self.end_status >> 8);
        }
        if last {
            self.process.end(self.end_status);
        }
        if self.tid == host::pid() {
            host::exit_thread();
        }
    }

    fn clear_child_tid(&mut self) {
        if self.clear_tid != 0 && self.write_u32(self.clear_tid, 0).is_ok() {
            let _ = self.futex_wake(self.clear_tid, 1);
        }
    }
}

/// `exit`.
pub(super) fn exit(t: &mut Thread, a: &Args) -> SysResult {
    t.ended = true;
    t.end_status = (a.int(0) & 0xff) << 8;
    Err(Errno::NO_RESULT)
}

/// `exit_group`.
pub(super) fn exit_group(t: &mut Thread, a: &Args) -> SysResult {
    t.exit_stop((a.int(0) & 0xff) << 8);
    if t.is_vfork_child {
        t.process.release_robust_lists();
        host::exit_process(a.int(0));
    }
    t.process.exit(a.int(0))
}

/// `set_tid_address`.
pub(super) fn set_tid_address(t: &mut Thread, a: &Args) -> SysResult {
    t.clear_tid = a.get(0);
    Ok(t.tid as u64)
}

/// `gettid`.
pub(super) fn gettid(t: &mut Thread, _: &Args) -> SysResult {
    Ok(t.tid as u64)
}

/// `wait4`.
pub(super) fn wait4(t: &mut Thread, a: &Args) -> SysResult {
    let mut status = 0i32;
    let mut usage: libc::rusage = host::zeroed();
    let pid = ptrace::wait_for(t, a.int(0), &mut status, a.int(2), &mut usage)?;
    if pid != 0 {
        if a.get(1) != 0 {
            t.write_u32(a.get(1), t.status_to_guest(status) as u32)?;
        }
        let usage = t.rusage(&usage);
        t.write_opt(a.get(3), &usage)?;
    }
    Ok(pid)
}

/// `waitid`.
pub(super) fn waitid(t: &mut Thread, a: &Args) -> SysResult {
    let mut info = host::RawInfo([0; 128]);
    let mut usage: libc::rusage = host::zeroed();
    let result = ptrace::waitid_for(t, (a.int(0), a.int(1)), &mut info, a.int(3), &mut usage);
    // The members that the kernel stores, with an error, too: up to the status, in front of two longs.
    if a.get(2) != 0 {
        let bytes = t.process.abi.siginfo(&info);
        t.write(a.get(2), &bytes[..if t.layout().long == 8 { 28 } else { 24 }])?;
    }
    let result = result?;
    if info.signal() != 0 {
        let usage = t.rusage(&usage);
        t.write_opt(a.get(4), &usage)?;
    }
    Ok(result)
}

impl Thread {
    /// A wait status with the guest's signal numbers.
    fn status_to_guest(&self, status: i32) -> i32 {
        let abi = &self.process.abi;
        if libc::WIFSIGNALED(status) {
            status & !0x7f | abi.signal_to_guest(status & 0x7f)
        } else if libc::WIFSTOPPED(status) {
            // Bit 7 tells a tracer of a system call.
            let (mark, signal) = (status & 0x8000, libc::WSTOPSIG(status) & 0x7f);
            status & !0xff00 | mark | abi.signal_to_guest(signal) << 8
        } else {
            status
        }
    }

    /// `struct rusage`.
    pub(super) fn rusage(&self, u: &libc::rusage) -> Vec<u8> {
        let mut w = self.writer();
        for time in [u.ru_utime, u.ru_stime] {
            w.long(time.tv_sec as u64).long(time.tv_usec as u64);
        }
        let counts = [
            u.ru_maxrss,
            u.ru_ixrss,
            u.ru_idrss,
            u.ru_isrss,
            u.ru_minflt,
            u.ru_majflt,
            u.ru_nswap,
            u.ru_inblock,
            u.ru_oublock,
            u.ru_msgsnd,
            u.ru_msgrcv,
            u.ru_nsignals,
            u.ru_nvcsw,
            u.ru_nivcsw,
        ];
        for count in counts {
            w.long(count as u64);
        }
        w.finish()
    }
}

/// `getrusage`.
pub(super) fn getrusage(t: &mut Thread, a: &Args) -> SysResult {
    let mut usage: libc::rusage = host::zeroed();
    host::call(libc::SYS_getrusage, &[a.int(0).into(), Arg::from_mut(&mut usage)])?;
    let bytes = t.rusage(&usage);
    t.write(a.get(1), &bytes)?;
    Ok(0)
}

/// `getresuid` and `getresgid`: three ids to three places.
fn three_ids(t: &mut Thread, a: &Args, number: i64) -> SysResult {
    let (mut real, mut effective, mut saved) = (0u32, 0u32, 0u32);
    let places = [Arg::from_mut(&mut real), Arg::from_mut(&mut effective), Arg::from_mut(&mut saved)];
    host::call(number, &places)?;
    for (i, id) in [real, effective, saved].into_iter().enumerate() {
        t.write_u32(a.get(i), id)?;
    }
    Ok(0)
}

/// `getresuid`.
pub(super) fn getresuid(t: &mut Thread, a: &Args) -> SysResult {
    three_ids(t, a, libc::SYS_getresuid)
}

/// `getresgid`.
pub(super) fn getresgid(t: &mut Thread, a: &Args) -> SysResult {
    three_ids(t, a, libc::SYS_getresgid)
}

/// The most groups that a process can be in.
const GROUPS: usize = 65536;

/// `getgroups`.
pub(super) fn getgroups(t: &mut Thread, a: &Args) -> SysResult {
    let size = usize::try_from(a.int(0)).map_err(|_| Errno::EINVAL)?.min(GROUPS);
    let mut ids = vec![0u32; size];
    let count = host::call(libc::SYS_getgroups, &[size.into(), Arg::slice_mut(&mut ids)])?;
    if size != 0 {
        let bytes = t.writer().u32s(&ids[..count as usize]).finish();
        t.write(a.get(1), &bytes)?;
    }
    Ok(count)
}

/// `setgroups`.
pub(super) fn setgroups(t: &mut Thread, a: &Args) -> SysResult {
    let size = usize::try_from(a.int(0)).ok().filter(|&n| n <= GROUPS).ok_or(Errno::EINVAL)?;
    let ids = t.with_struct(a.get(1), size * 4, |r| (0..size).map(|_| r.u32()).collect::<Vec<_>>())?;
    host::call(libc::SYS_setgroups, &[size.into(), Arg::slice(&ids)])
}

/// `capget` and `capset`: a header of version and pid, then up to six words.
fn capabilities(t: &mut Thread, a: &Args, set: bool) -> SysResult {
    const VERSION_1: u32 = 0x1998_0330;
    let (version, pid) = t.with_struct(a.get(0), 8, |r| (r.u32(), r.u32()))?;
    let words = if version == VERSION_1 { 3 } else { 6 };
    let mut header = [version, pid, 0];
    let mut data = [0u32; 6];
    if set {
        // Checks of the header come first; the host tells the version that it would like.
        if !matches!(version, VERSION_1 | 0x2007_1026 | 0x2008_0522) {
            let result = host::call(libc::SYS_capset, &[Arg::slice_mut(&mut header), Arg::BAD]);
            t.write_u32(a.get(0), header[0])?;
            return result;
        }
        let given = t.with_struct(a.get(1), words * 4, |r| std::array::from_fn::<u32, 6, _>(|_| r.u32()))?;
        data[..words].copy_from_slice(&given[..words]);
        return host::call(libc::SYS_capset, &[Arg::slice_mut(&mut header), Arg::slice(&data)]);
    }
    let wanted = a.get(1) != 0;
    let place = if wanted { Arg::slice_mut(&mut data) } else { Arg::NULL };
    let result = host::call(libc::SYS_capget, &[Arg::slice_mut(&mut header), place]);
    if header[0] != version {
        t.write_u32(a.get(0), header[0])?;
    }
    if result.is_ok() && wanted {
        let bytes = t.writer().u32s(&data[..words]).finish();
        t.write(a.get(1), &bytes)?;
    }
    result
}

/// `capget`.
pub(super) fn capget(t: &mut Thread, a: &Args) -> SysResult {
    capabilities(t, a, false)
}

/// `capset`.
pub(super) fn capset(t: &mut Thread, a: &Args) -> SysResult {
    capabilities(t, a, true)
}

/// Bytes of the largest CPU mask that is passed on.
const CPU_MASK: usize = 1024;

/// `sched_getaffinity`: an array of `unsigned long`, whose bits are in the guest's order.
pub(super) fn sched_getaffinity(t: &mut Thread, a: &Args) -> SysResult {
    let layout = t.layout();
    let size = a.get(1);
    if !size.is_multiple_of(layout.long as u64) {
        return Err(Errno::EINVAL);
    }
    let mut mask = [0u64; CPU_MASK / 8];
    let size = (size as usize).min(CPU_MASK);
    let room = size.next_multiple_of(8);
    let count = host::call(libc::SYS_sched_getaffinity, &[a.int(0).into(), room.into(), Arg::slice_mut(&mut mask)])?;
    let mut w = t.writer();
    for word in &mask[..count as usize / 8] {
        if layout.long == 4 {
            w.u32(*word as u32).u32((word >> 32) as u32);
        } else {
            w.u64(*word);
        }
    }
    let mut bytes = w.finish();
    // A 32-bit guest may have room for half a word of the host's, which has to be enough.
    if bytes.iter().skip(size).any(|&byte| byte != 0) {
        return Err(Errno::EINVAL);
    }
    bytes.truncate(size);
    t.write(a.get(2), &bytes)?;
    Ok(bytes.len() as u64)
}

/// `sched_setaffinity`.
pub(super) fn sched_setaffinity(t: &mut Thread, a: &Args) -> SysResult {
    let layout = t.layout();
    let size = (a.get(1) as usize).min(CPU_MASK) / layout.long * layout.long;
    let mut mask = [0u64; CPU_MASK / 8];
    t.with_struct(a.get(2), size, |r| {
        for i in 0..size / layout.long {
            let shift = if layout.long == 4 { 32 * (i % 2) } else { 0 };
            mask[i * layout.long / 8] |= r.long() << shift;
        }
    })?;
    let size = size.next_multiple_of(8);
    host::call(libc::SYS_sched_setaffinity, &[a.int(0).into(), size.into(), Arg::slice(&mask)])
}

/// A null pointer that is a bad argument rather than a bad address.
fn not_null(addr: u64) -> Result<(), Errno> {
    if addr == 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// `sched_setparam`.
pub(super) fn sched_setparam(t: &mut Thread, a: &Args) -> SysResult {
    not_null(a.get(1))?;
    let priority = t.read_u32(a.get(1))?;
    host::call(libc::SYS_sched_setparam, &[a.int(0).into(), Arg::from_ref(&priority)])
}

/// `sched_getparam`.
pub(super) fn sched_getparam(t: &mut Thread, a: &Args) -> SysResult {
    not_null(a.get(1))?;
    let mut priority = 0u32;
    host::call(libc::SYS_sched_getparam, &[a.int(0).into(), Arg::from_mut(&mut priority)])?;
    t.write_u32(a.get(1), priority)?;
    Ok(0)
}

/// `sched_setscheduler`.
pub(super) fn sched_setscheduler(t: &mut Thread, a: &Args) -> SysResult {
    not_null(a.get(2))?;
    let priority = t.read_u32(a.get(2))?;
    host::call(libc::SYS_sched_setscheduler, &[a.int(0).into(), a.int(1).into(), Arg::from_ref(&priority)])
}

/// `getcpu`.
pub(super) fn getcpu(t: &mut Thread, a: &Args) -> SysResult {
    let (mut cpu, mut node) = (0u32, 0u32);
    host::call(libc::SYS_getcpu, &[Arg::from_mut(&mut cpu), Arg::from_mut(&mut node), Arg::NULL])?;
    for (place, value) in [(a.get(0), cpu), (a.get(1), node)] {
        if place != 0 {
            t.write_u32(place, value)?;
        }
    }
    Ok(0)
}

/// Widths of `struct sched_attr`'s members, and its first size.
const SCHED_ATTR: [u8; 10] = [4, 4, 8, 4, 4, 8, 8, 8, 4, 4];
const SCHED_ATTR_0: u32 = 48;

/// `sched_setattr`.
pub(super) fn sched_setattr(t: &mut Thread, a: &Args) -> SysResult {
    not_null(a.get(1))?;
    let size = match t.read_u32(a.get(1))? {
        0 => SCHED_ATTR_0,
        size => size,
    };
    if !(SCHED_ATTR_0..=4096).contains(&size) {
        t.write_u32(a.get(1), 56)?;
        return Err(Errno::E2BIG);
    }
    let given = t.read(a.get(1), size as usize)?;
    if given.iter().skip(56).any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    let mut bytes = transcode(&SCHED_ATTR, &given, t.layout(), HOST);
    bytes[..4].copy_from_slice(&size.min(56).to_le_bytes());
    host::call(libc::SYS_sched_setattr, &[a.int(0).into(), Arg::input(&bytes), a.uint(2).into()])
}

/// `sched_getattr`.
pub(super) fn sched_getattr(t: &mut Thread, a: &Args) -> SysResult {
    not_null(a.get(1))?;
    let size = a.uint(2);
    if !(SCHED_ATTR_0..=4096).contains(&size) {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; 56];
    let args = [a.int(0).into(), Arg::output(&mut bytes), size.min(56).into(), a.uint(3).into()];
    host::call(libc::SYS_sched_getattr, &args)?;
    let answer = transcode(&SCHED_ATTR, &bytes, HOST, t.layout());
    t.write(a.get(1), &answer[..size.min(56) as usize])?;
    Ok(0)
}
