//! seccomp(2): the guest's filters, over the guest's own system calls, run before each of them.
//!
//! A thread has a mode and a chain of filters, which its children and executed programs inherit. Programs of the host that a guest
//! executes run without: their numbers are others.
#![forbid(unsafe_code)]

use super::abi::Place;
use super::bpf::{Insn, MOST, Program};
use super::data::{Reader, Writer, get};
use super::errno::Errno;
use super::fs::HOST;
use super::host::{self, Arg, RawInfo};
use super::process::lock;
use super::table::{Args, SysResult};
use super::thread::Thread;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A filter, and those that were there before it.
#[derive(Debug)]
struct Filter {
    program: Program,
    older: Option<Arc<Filter>>,
}

/// What a thread may call.
#[derive(Clone, Debug, Default)]
enum Mode {
    #[default]
    All,
    Strict,
    Filtered(Arc<Filter>),
}

/// A thread's mode, which another thread may change (`SECCOMP_FILTER_FLAG_TSYNC`).
#[derive(Debug, Default)]
pub(super) struct Seccomp {
    /// Is it not [`Mode::All`]?
    active: AtomicBool,
    mode: Mutex<Mode>,
}

/// Bytes of `struct seccomp_data`.
const DATA: u32 = 64;
/// Instructions of all filters of a thread, each counted with four more.
const ALL_INSNS: usize = 32768;

const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const USER_NOTIF: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;
const ACTION: u32 = 0xffff_0000;

impl Filter {
    /// The newest first.
    fn chain(filter: Option<&Arc<Filter>>) -> impl Iterator<Item = &Arc<Filter>> {
        std::iter::successors(filter, |f| f.older.as_ref())
    }

    /// The most severe verdict of all filters; of equal ones the newest's.
    fn verdict(filter: &Arc<Filter>, data: &[u8], big: bool) -> u32 {
        let word = |at: u32| get(&data[at as usize..at as usize + 4], big) as u32;
        let verdicts = Filter::chain(Some(filter)).map(|f| f.program.run(word, DATA));
        // Actions are compared as signed numbers.
        verdicts.min_by_key(|verdict| (verdict & ACTION) as i32).unwrap_or(ALLOW)
    }
}

impl Drop for Filter {
    /// One after the other: a long chain would be a deep recursion.
    fn drop(&mut self) {
        let mut next = self.older.take();
        while let Some(mut filter) = next.and_then(|f| Arc::try_unwrap(f).ok()) {
            next = filter.older.take();
        }
    }
}

impl Seccomp {
    fn with(mode: Mode) -> Arc<Seccomp> {
        Arc::new(Seccomp { active: AtomicBool::new(!matches!(mode, Mode::All)), mode: Mutex::new(mode) })
    }

    /// What a new thread inherits.
    pub(super) fn inherit(&self) -> Arc<Seccomp> {
        Seccomp::with(lock(&self.mode).clone())
    }

    fn set(&self, mode: Mode) {
        let active = !matches!(mode, Mode::All);
        *lock(&self.mode) = mode;
        self.active.store(active, Ordering::Release);
    }

    /// The mode's number and how many filters there are, as `/proc/PID/status` tells them.
    pub(super) fn numbers(&self) -> (u32, usize) {
        match &*lock(&self.mode) {
            Mode::All => (0, 0),
            Mode::Strict => (1, 0),
            Mode::Filtered(filter) => (2, Filter::chain(Some(filter)).count()),
        }
    }

    /// The filters for the next program, the oldest first: for each the number of instructions, then they. (Nobody who is in strict
    /// mode executes one.)
    pub(super) fn encode(&self) -> Vec<u8> {
        let Mode::Filtered(filter) = &*lock(&self.mode) else { return Vec::new() };
        let mut chain: Vec<_> = Filter::chain(Some(filter)).collect();
        chain.reverse();
        let mut w = Writer::new(HOST);
        for filter in chain {
            w.align(8).u64(filter.program.insns().len() as u64);
            for insn in filter.program.insns() {
                w.u16(insn.code).u8(insn.jt).u8(insn.jf).u32(insn.k);
            }
        }
        w.finish()
    }

    /// The inverse.
    pub(super) fn decode(bytes: &[u8]) -> Arc<Seccomp> {
        let mut r = Reader::new(HOST, bytes);
        let mut older = None;
        while r.position() < bytes.len() {
            let count = r.u64() as usize;
            let Ok(program) = Program::new(read_insns(&mut r, count), DATA) else { break };
            older = Some(Arc::new(Filter { program, older }));
        }
        Seccomp::with(older.map_or(Mode::All, Mode::Filtered))
    }
}

fn read_insns(r: &mut Reader<'_>, count: usize) -> Vec<Insn> {
    (0..count.min(MOST + 1)).map(|_| Insn { code: r.u16(), jt: r.u8(), jf: r.u8(), k: r.u32() }).collect()
}

/// What happens to a system call.
pub(super) enum Verdict {
    /// It is made.
    Go,
    /// It has this result instead.
    Result(SysResult),
}

impl Thread {
    /// Asks the filters; `name` is the call's, if it has one.
    pub(super) fn seccomp_verdict(&mut self, number: u32, name: Option<&str>) -> Verdict {
        if !self.seccomp.active.load(Ordering::Acquire) {
            return Verdict::Go;
        }
        let mode = lock(&self.seccomp.mode).clone();
        match mode {
            Mode::All => Verdict::Go,
            Mode::Strict if matches!(name, Some("read" | "write" | "exit" | "rt_sigreturn" | "sigreturn")) => {
                Verdict::Go
            }
            Mode::Strict => self.seccomp_kill(libc::SIGKILL, false),
            Mode::Filtered(filter) => {
                let data = self.seccomp_data(number);
                let verdict = Filter::verdict(&filter, &data, self.layout().big);
                self.seccomp_act(number, verdict)
            }
        }
    }

    /// `struct seccomp_data`: number, architecture, address behind the instruction, six arguments of 64 bits.
    fn seccomp_data(&self, number: u32) -> Vec<u8> {
        let abi = &self.process.abi;
        let cpu = self.vcpu.cpu();
        let mut w = self.writer();
        w.u32(number).u32(abi.audit_arch()).u64(cpu.pc);
        let mask = if self.layout().long == 4 && !abi.wide_registers() { 0xffff_ffff } else { u64::MAX };
        for i in 0..6 {
            let word = match abi.arg(cpu, i) {
                Place::Value(value) => value,
                Place::Memory(addr) => self.read_long(addr).unwrap_or(0),
            };
            w.u64(word & mask);
        }
        w.finish()
    }

    fn seccomp_act(&mut self, number: u32, verdict: u32) -> Verdict {
        match verdict & ACTION {
            ALLOW | LOG => Verdict::Go,
            // Nobody traces, and nobody listens.
            TRACE | USER_NOTIF => Verdict::Result(Err(Errno::ENOSYS)),
            ERRNO => Verdict::Result(match (verdict & 0xffff).min(4095) as i32 {
                0 => Ok(0),
                error => Err(self.process.abi.errno_to_host(error)),
            }),
            TRAP => {
                let info = self.seccomp_info(number, verdict & 0xffff);
                self.force_signal(info);
                Verdict::Result(Err(Errno::NO_RESULT))
            }
            KILL_THREAD => self.seccomp_kill(libc::SIGSYS, false),
            _ => self.seccomp_kill(libc::SIGSYS, true),
        }
    }

    /// `SIGSYS`'s information: errno, address, number, architecture.
    fn seccomp_info(&self, number: u32, data: u32) -> RawInfo {
        let mut info = RawInfo::fault(libc::SIGSYS, SYS_SECCOMP, self.vcpu.cpu().pc);
        info.0[4..8].copy_from_slice(&data.to_le_bytes());
        info.0[24..28].copy_from_slice(&number.to_le_bytes());
        info.0[28..32].copy_from_slice(&self.process.abi.audit_arch().to_le_bytes());
        info
    }

    /// Ends the thread, or the process if the thread is its last or if all of it is meant.
    fn seccomp_kill(&mut self, signal: i32, process: bool) -> Verdict {
        if process || self.process.thread_count() == 1 {
            self.die_by(&RawInfo::fault(signal, SYS_SECCOMP, self.vcpu.cpu().pc));
        }
        self.ended = true;
        self.end_status = signal;
        Verdict::Result(Err(Errno::NO_RESULT))
    }
}

/// `SIGSYS`'s code.
const SYS_SECCOMP: i32 = 1;
const TSYNC: u32 = 1;
const LOG_FLAG: u32 = 2;
const SPEC_ALLOW: u32 = 4;
const TSYNC_ESRCH: u32 = 16;

/// `seccomp`.
pub(super) fn seccomp(t: &mut Thread, a: &Args) -> SysResult {
    const STRICT: u32 = 0;
    const FILTER: u32 = 1;
    const ACTION_AVAIL: u32 = 2;
    const NOTIF_SIZES: u32 = 3;
    let (flags, place) = (a.uint(1), a.get(2));
    match a.uint(0) {
        STRICT if flags != 0 || place != 0 => Err(Errno::EINVAL),
        STRICT => set_strict(t),
        FILTER => set_filter(t, flags, place),
        ACTION_AVAIL if flags != 0 => Err(Errno::EINVAL),
        ACTION_AVAIL => match t.read_u32(place)? {
            KILL_PROCESS | KILL_THREAD | TRAP | ERRNO | TRACE | LOG | ALLOW => Ok(0),
            _ => Err(Errno::EOPNOTSUPP),
        },
        NOTIF_SIZES if flags != 0 => Err(Errno::EINVAL),
        NOTIF_SIZES => {
            let sizes = t.writer().u16(80).u16(24).u16(64).finish();
            t.write(place, &sizes)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `prctl(PR_SET_SECCOMP)`.
pub(super) fn set_by_prctl(t: &mut Thread, mode: u64, filter: u64) -> SysResult {
    match mode {
        1 => set_strict(t),
        2 => set_filter(t, 0, filter),
        _ => Err(Errno::EINVAL),
    }
}

fn set_strict(t: &mut Thread) -> SysResult {
    if matches!(*lock(&t.seccomp.mode), Mode::Filtered(_)) {
        return Err(Errno::EINVAL);
    }
    t.seccomp.set(Mode::Strict);
    Ok(0)
}

/// May the thread install a filter? Only if what it executes gains no privilege, or if it has enough of its own.
fn may_filter() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    let no_new =
        host::call(libc::SYS_prctl, &[libc::PR_GET_NO_NEW_PRIVS.into(), 0.into(), 0.into(), 0.into(), 0.into()]);
    let (mut header, mut data) = ([0x2008_0522u32, 0, 0], [0u32; 6]);
    let capabilities = host::call(libc::SYS_capget, &[Arg::slice_mut(&mut header), Arg::slice_mut(&mut data)]);
    no_new == Ok(1) || capabilities.is_ok() && data[0] >> CAP_SYS_ADMIN & 1 != 0
}

/// `SECCOMP_SET_MODE_FILTER`: `struct sock_fprog`, a length and a pointer.
fn set_filter(t: &mut Thread, flags: u32, place: u64) -> SysResult {
    // A listener (`SECCOMP_FILTER_FLAG_NEW_LISTENER`) is not to be had.
    if flags & !(TSYNC | LOG_FLAG | SPEC_ALLOW | TSYNC_ESRCH) != 0 || flags & TSYNC == 0 && flags & TSYNC_ESRCH != 0 {
        return Err(Errno::EINVAL);
    }
    let (count, at) = t.with_struct(place, 2 * t.layout().long, |r| (usize::from(r.u16()), r.long()))?;
    if count == 0 || count > MOST {
        return Err(Errno::EINVAL);
    }
    if !may_filter() {
        return Err(Errno::EACCES);
    }
    let insns = t.with_struct(at, 8 * count, |r| read_insns(r, count))?;
    let program = Program::new(insns, DATA)?;
    let older = match &*lock(&t.seccomp.mode) {
        Mode::All => None,
        Mode::Filtered(filter) => Some(Arc::clone(filter)),
        Mode::Strict => return Err(Errno::EINVAL),
    };
    let total: usize = Filter::chain(older.as_ref()).map(|f| f.program.insns().len() + 4).sum();
    if total + count > ALL_INSNS {
        return Err(Errno::ENOMEM);
    }
    let others = if flags & TSYNC != 0 { t.process.seccomp_of_others(t.tid) } else { Vec::new() };
    if let Some((tid, _)) = others.iter().find(|(_, other)| !may_follow(other, older.as_ref())) {
        return if flags & TSYNC_ESRCH != 0 { Err(Errno::ESRCH) } else { Ok(*tid as u64) };
    }
    let filter = Arc::new(Filter { program, older });
    for seccomp in others.iter().map(|(_, other)| other).chain([&t.seccomp]) {
        seccomp.set(Mode::Filtered(Arc::clone(&filter)));
    }
    Ok(0)
}

/// May another thread be given the caller's filters? Only if its own are the caller's oldest.
fn may_follow(other: &Seccomp, own: Option<&Arc<Filter>>) -> bool {
    match &*lock(&other.mode) {
        Mode::All => true,
        Mode::Strict => false,
        Mode::Filtered(theirs) => Filter::chain(own).any(|filter| Arc::ptr_eq(filter, theirs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returning(value: u32, older: Option<Arc<Filter>>) -> Arc<Filter> {
        let program = Program::new(vec![Insn { code: 6, jt: 0, jf: 0, k: value }], DATA).expect("a program");
        Arc::new(Filter { program, older })
    }

    #[test]
    fn the_most_severe_verdict_counts() {
        let verdict = |filter: &Arc<Filter>| Filter::verdict(filter, &[0; DATA as usize], false);
        let chain = returning(ALLOW, Some(returning(ERRNO | 3, Some(returning(ERRNO | 4, None)))));
        assert_eq!(verdict(&chain), ERRNO | 3);
        assert_eq!(verdict(&returning(KILL_PROCESS, Some(chain))), KILL_PROCESS);
    }

    #[test]
    fn filters_survive_an_execution() {
        let chain = returning(ALLOW, Some(returning(ERRNO | 3, None)));
        let decoded = Seccomp::decode(&Seccomp::with(Mode::Filtered(chain)).encode());
        assert_eq!(decoded.numbers(), (2, 2));
        let Mode::Filtered(filter) = &*lock(&decoded.mode) else { panic!("no filter") };
        assert_eq!(filter.program.insns()[0].k, ALLOW);
        assert_eq!(Seccomp::decode(&[]).numbers(), (0, 0));
    }

    #[test]
    fn a_long_chain_can_be_dropped() {
        let mut chain = returning(ALLOW, None);
        for _ in 0..100_000 {
            chain = returning(ALLOW, Some(chain));
        }
        drop(chain);
    }
}
