//! What describes the system and its limits: uname, sysinfo, prctl, limits, riscv_hwprobe.

use super::errno::Errno;
use super::host::{self, Arg};
use super::process::{Process, lock};
use super::table::{Args, SysResult};
use super::thread::Thread;
use super::user::MAX_TRANSFER;
use crate::mem::{MemoryLimits, TIME_FREQUENCY};

/// `uname`: the host's, with the guest's machine.
pub(super) fn uname(t: &mut Thread, a: &Args) -> SysResult {
    const FIELD: usize = 65;
    let mut names = [0u8; 6 * FIELD];
    host::call(libc::SYS_uname, &[Arg::output(&mut names)])?;
    let machine = &mut names[4 * FIELD..5 * FIELD];
    machine.fill(0);
    let name = t.process.abi.machine().as_bytes();
    machine[..name.len()].copy_from_slice(name);
    t.write(a.get(0), &names)?;
    Ok(0)
}

/// `sysinfo`: sizes that do not fit a 32-bit long are told in pages.
pub(super) fn sysinfo(t: &mut Thread, a: &Args) -> SysResult {
    let mut info: libc::sysinfo = host::zeroed();
    host::call(libc::SYS_sysinfo, &[Arg::from_mut(&mut info)])?;
    let narrow = t.layout().long == 4;
    let shift = if narrow { 12 } else { 0 };
    let mut w = t.writer();
    w.long(info.uptime as u64);
    w.longs(&info.loads);
    let sizes = [info.totalram, info.freeram, info.sharedram, info.bufferram, info.totalswap, info.freeswap];
    w.longs(&sizes.map(|size| size >> shift));
    w.u16(info.procs).u16(0).long(info.totalhigh >> shift).long(info.freehigh >> shift);
    let bytes = w.u32(info.mem_unit << shift).pad_to(if narrow { 64 } else { 0 }).align(t.layout().long).finish();
    t.write(a.get(0), &bytes)?;
    Ok(0)
}

/// What the second argument of a `prctl` option is.
#[derive(Clone, Copy)]
enum Second {
    /// A number; the answer is the result.
    Number,
    /// A signal.
    Signal,
    /// Where to store an `int`.
    Int,
    /// Where to store an `int` that is a signal.
    SignalOut,
    /// Where to store a `long`: the address of `set_tid_address`.
    TidAddress,
    /// 16 bytes.
    Name,
    /// Where to store 16 bytes.
    NameOut,
    /// Nothing: the floating-point mode is the result, where there is one.
    FpMode,
    /// A floating-point mode.
    SetFpMode,
    /// Where to store the auxiliary vector, whose whole size is the result; then how much of it.
    Auxv,
    /// What needs a privilege that no guest is given.
    NotPermitted,
    /// Nothing: seccomp's mode is the result.
    SeccompMode,
    /// A mode of seccomp, and a filter.
    SetSeccomp,
}

const PR_GET_SPECULATION_CTRL: i32 = 52;
const PR_SET_SPECULATION_CTRL: i32 = 53;
const PR_SET_IO_FLUSHER: i32 = 57;
const PR_GET_IO_FLUSHER: i32 = 58;
const PR_SET_MEMORY_MERGE: i32 = 67;
const PR_GET_MEMORY_MERGE: i32 = 68;
const PR_GET_AUXV: i32 = 0x4155_5856;

/// The options that are known; all others are `EINVAL`, as for a kernel without them.
const PRCTL: &[(i32, Second)] = &[
    (libc::PR_SET_PDEATHSIG, Second::Signal),
    (libc::PR_GET_PDEATHSIG, Second::SignalOut),
    (libc::PR_GET_DUMPABLE, Second::Number),
    (libc::PR_SET_DUMPABLE, Second::Number),
    (libc::PR_GET_KEEPCAPS, Second::Number),
    (libc::PR_SET_KEEPCAPS, Second::Number),
    (libc::PR_GET_TIMING, Second::Number),
    (libc::PR_SET_TIMING, Second::Number),
    (libc::PR_SET_NAME, Second::Name),
    (libc::PR_GET_NAME, Second::NameOut),
    (libc::PR_GET_SECCOMP, Second::SeccompMode),
    (libc::PR_SET_SECCOMP, Second::SetSeccomp),
    (libc::PR_CAPBSET_READ, Second::Number),
    (libc::PR_CAPBSET_DROP, Second::Number),
    (libc::PR_GET_SECUREBITS, Second::Number),
    (libc::PR_SET_SECUREBITS, Second::Number),
    (libc::PR_SET_TIMERSLACK, Second::Number),
    (libc::PR_GET_TIMERSLACK, Second::Number),
    (libc::PR_SET_CHILD_SUBREAPER, Second::Number),
    (libc::PR_GET_CHILD_SUBREAPER, Second::Int),
    (libc::PR_SET_NO_NEW_PRIVS, Second::Number),
    (libc::PR_GET_NO_NEW_PRIVS, Second::Number),
    (libc::PR_GET_TID_ADDRESS, Second::TidAddress),
    (libc::PR_SET_THP_DISABLE, Second::Number),
    (libc::PR_GET_THP_DISABLE, Second::Number),
    (libc::PR_CAP_AMBIENT, Second::Number),
    (libc::PR_SET_PTRACER, Second::Number),
    (libc::PR_TASK_PERF_EVENTS_DISABLE, Second::Number),
    (libc::PR_TASK_PERF_EVENTS_ENABLE, Second::Number),
    (libc::PR_MCE_KILL, Second::Number),
    (libc::PR_MCE_KILL_GET, Second::Number),
    (libc::PR_SET_MM, Second::NotPermitted),
    (PR_GET_SPECULATION_CTRL, Second::Number),
    (PR_SET_SPECULATION_CTRL, Second::Number),
    (PR_SET_IO_FLUSHER, Second::Number),
    (PR_GET_IO_FLUSHER, Second::Number),
    (PR_SET_MEMORY_MERGE, Second::Number),
    (PR_GET_MEMORY_MERGE, Second::Number),
    (PR_GET_AUXV, Second::Auxv),
    (libc::PR_GET_FP_MODE, Second::FpMode),
    (libc::PR_SET_FP_MODE, Second::SetFpMode),
];

/// Is it an option that we know?
pub(super) fn is_known_prctl(option: i32) -> bool {
    PRCTL.iter().any(|(known, _)| *known == option)
}

/// `prctl`.
pub(super) fn prctl(t: &mut Thread, a: &Args) -> SysResult {
    let option = a.int(0);
    let (_, second) = PRCTL.iter().find(|(o, _)| *o == option).ok_or(Errno::EINVAL)?;
    let rest: [Arg<'_>; 3] = [a.get(2).into(), a.get(3).into(), a.get(4).into()];
    let call = |arg: Arg<'_>| host::call(libc::SYS_prctl, &[option.into(), arg, rest[0], rest[1], rest[2]]);
    let mut word = 0i32;
    match second {
        Second::Number => call(a.get(1).into()),
        Second::Signal => call(t.process.abi.signal_to_host(a.int(1)).into()),
        Second::Int | Second::SignalOut => {
            let result = call(Arg::from_mut(&mut word))?;
            if matches!(second, Second::SignalOut) {
                word = t.process.abi.signal_to_guest(word);
            }
            t.write_u32(a.get(1), word as u32)?;
            Ok(result)
        }
        Second::FpMode => t.process.abi.fp_mode(t.vcpu.cpu()).map(u64::from).ok_or(Errno::EINVAL),
        Second::SetFpMode => set_fp_mode(t, a.uint(1)),
        Second::Auxv if a.get(3) != 0 || a.get(4) != 0 => Err(Errno::EINVAL),
        Second::Auxv => {
            let auxv = &t.process.program.auxv;
            t.write(a.get(1), &auxv[..auxv.len().min(a.get(2) as usize)])?;
            Ok(auxv.len() as u64)
        }
        Second::NotPermitted => Err(Errno::EPERM),
        Second::SeccompMode => Ok(t.seccomp.numbers().0.into()),
        Second::SetSeccomp => super::seccomp::set_by_prctl(t, a.get(1), a.get(2)),
        Second::TidAddress => {
            t.write_long(a.get(1), t.clear_tid)?;
            Ok(0)
        }
        Second::Name => {
            let mut name = [0u8; 16];
            let given = t.process.mem.read_cstr(a.get(1), 15).map_err(|_| Errno::EFAULT)?;
            name[..given.len()].copy_from_slice(&given);
            call(Arg::input(&name))
        }
        Second::NameOut => {
            let mut name = [0u8; 16];
            let result = call(Arg::output(&mut name))?;
            t.write(a.get(1), &name)?;
            Ok(result)
        }
    }
}

/// `PR_SET_FP_MODE`: of the whole process, which is only possible here while it has one thread.
fn set_fp_mode(t: &mut Thread, mode: u32) -> SysResult {
    let abi = std::sync::Arc::clone(&t.process.abi);
    match abi.fp_mode(t.vcpu.cpu()) {
        None => Err(Errno::EINVAL),
        Some(now) if now == mode => Ok(0),
        Some(_) if t.process.thread_count() > 1 => Err(Errno::EOPNOTSUPP),
        Some(_) if abi.set_fp_mode(t.vcpu.cpu_mut(), mode) => Ok(0),
        Some(_) => Err(Errno::EOPNOTSUPP),
    }
}

/// Limits that are kept but not set on the host, where they would hit the emulator: resource, soft, hard.
#[derive(Clone, Debug)]
pub(super) struct Limits(Vec<(i32, [u64; 2])>);

fn host_limit(pid: i32, resource: i32, new: Option<[u64; 2]>) -> Result<[u64; 2], Errno> {
    let mut old = [0u64; 2];
    let new = new.as_ref().map_or(Arg::NULL, Arg::from_ref);
    host::call(libc::SYS_prlimit64, &[pid.into(), resource.into(), new, Arg::from_mut(&mut old)])?;
    Ok(old)
}

impl Limits {
    /// The host's limits; from now on the host makes no core files, which would be the emulator's.
    pub(super) fn inherited() -> Limits {
        let kept = [libc::RLIMIT_CORE, libc::RLIMIT_AS, libc::RLIMIT_DATA].map(|r| r as i32);
        let limits = Limits(kept.iter().filter_map(|&r| Some((r, host_limit(0, r, None).ok()?))).collect());
        let core = libc::RLIMIT_CORE as i32;
        if let Some(&(_, [_, hard])) = limits.0.iter().find(|(r, _)| *r == core) {
            let _ = host_limit(0, core, Some([0, hard]));
        }
        limits
    }

    fn find(&mut self, resource: i32) -> Option<&mut [u64; 2]> {
        self.0.iter_mut().find(|(r, _)| *r == resource).map(|(_, limit)| limit)
    }
}

/// The limits that are the guest's memory's to keep, in this order.
const MEMORY: [i32; 2] = [libc::RLIMIT_AS as i32, libc::RLIMIT_DATA as i32];

impl Process {
    /// The limits of memory as execve(2) hands them on.
    pub(super) fn memory_limits(&self) -> [[u64; 2]; 2] {
        let mut limits = lock(&self.limits);
        MEMORY.map(|resource| limits.find(resource).map_or([u64::MAX; 2], |limit| *limit))
    }

    /// Takes what was handed on, or what the user wants, for the host's.
    pub(super) fn set_memory_limits(&self, new: [[u64; 2]; 2]) {
        let mut limits = lock(&self.limits);
        for (resource, new) in MEMORY.into_iter().zip(new) {
            if let Some(limit) = limits.find(resource) {
                *limit = new;
            }
        }
        self.limit_memory(&mut limits);
    }

    /// Has the memory keep the limits. That of a vfork's child is its parent's: it takes effect when a program is executed.
    fn limit_memory(&self, limits: &mut Limits) {
        if !self.borrows_memory {
            let [[all, _], [data, most]] =
                MEMORY.map(|resource| limits.find(resource).map_or([u64::MAX; 2], |limit| *limit));
            // As the kernel has it, for the sake of Valgrind.
            let data = if data == 0 { most } else { data };
            self.mem.set_limits(MemoryLimits { all, data, ..self.mem.limits() });
        }
    }

    /// Gives the host the guest's `RLIMIT_CORE`, which an executed program inherits, or takes it away.
    pub(super) fn allow_core(&self, allow: bool) {
        let core = libc::RLIMIT_CORE as i32;
        if let Some(&mut [soft, hard]) = lock(&self.limits).find(core) {
            let _ = host_limit(0, core, Some([if allow { soft } else { 0 }, hard]));
        }
    }

    /// Gives the host the limits that it has not, for a program of its own.
    pub(super) fn restore_limits(&self) {
        for (resource, limit) in &lock(&self.limits).0 {
            let _ = host_limit(0, *resource, Some(*limit));
        }
    }

    /// The soft RLIMIT_CORE.
    pub(super) fn core_limit(&self) -> u64 {
        lock(&self.limits).find(libc::RLIMIT_CORE as i32).map_or(0, |limit| limit[0])
    }

    /// Gets and sets a limit.
    fn limit(&self, pid: i32, resource: i32, new: Option<[u64; 2]>) -> Result<[u64; 2], Errno> {
        let own = pid == 0 || pid == host::pid();
        let mut limits = lock(&self.limits);
        let Some(limit) = limits.find(resource) else {
            drop(limits);
            return host_limit(pid, resource, new);
        };
        if !own {
            // That process keeps it for itself; the host's would hit its emulator.
            return if new.is_some() { Err(Errno::EPERM) } else { host_limit(pid, resource, None) };
        }
        let old = *limit;
        if let Some(new) = new {
            if new[0] > new[1] {
                return Err(Errno::EINVAL);
            }
            if new[1] > old[1] {
                return Err(Errno::EPERM);
            }
            *limit = new;
            self.limit_memory(&mut limits);
        }
        Ok(old)
    }
}

/// `prlimit64`.
pub(super) fn prlimit64(t: &mut Thread, a: &Args) -> SysResult {
    let new = match a.get(2) {
        0 => None,
        addr => Some(t.with_struct(addr, 16, |r| [r.u64(), r.u64()])?),
    };
    let resource = t.process.abi.resource_to_host(a.int(1));
    let old = t.process.limit(a.int(0), resource, new)?;
    t.prepare_for_core();
    let bytes = t.writer().u64(old[0]).u64(old[1]).finish();
    t.write_opt(a.get(3), &bytes)?;
    Ok(0)
}

/// `getrlimit`: what does not fit a 32-bit long is without limit.
pub(super) fn getrlimit(t: &mut Thread, a: &Args) -> SysResult {
    let limit = t.process.limit(0, t.process.abi.resource_to_host(a.int(0)), None)?;
    let most = t.process.abi.rlimit_infinity();
    let bytes = t.writer().long(limit[0].min(most)).long(limit[1].min(most)).finish();
    t.write(a.get(1), &bytes)?;
    Ok(0)
}

/// `setrlimit`.
pub(super) fn setrlimit(t: &mut Thread, a: &Args) -> SysResult {
    let infinity = t.process.abi.rlimit_infinity();
    let wide = |v: u64| if v >= infinity { u64::MAX } else { v };
    let new = t.with_struct(a.get(1), 2 * t.layout().long, |r| [wide(r.long()), wide(r.long())])?;
    t.process.limit(0, t.process.abi.resource_to_host(a.int(0)), Some(new))?;
    t.prepare_for_core();
    Ok(0)
}

/// Flags of `personality` that the host is told, whose they are from then on, for child processes and executed programs, too.
const KEPT_PERSONALITY: u32 = libc::UNAME26 as u32
    | libc::ADDR_NO_RANDOMIZE as u32
    | libc::FDPIC_FUNCPTRS as u32
    | libc::ADDR_LIMIT_32BIT as u32
    | libc::SHORT_INODE as u32
    | libc::WHOLE_SECONDS as u32
    | libc::STICKY_TIMEOUTS as u32
    | libc::ADDR_LIMIT_3GB as u32
    | 0xff; // which system it is: nothing to Linux, but that PER_LINUX32 changes the machine's name, which is ours

/// `personality`. What would change the emulator's own memory (`READ_IMPLIES_EXEC`, `MMAP_PAGE_ZERO`,
/// `ADDR_COMPAT_LAYOUT`) or is unknown is refused, which Linux never does.
pub(super) fn personality(_: &mut Thread, a: &Args) -> SysResult {
    const ASK: u32 = 0xffff_ffff;
    if a.uint(0) != ASK && a.uint(0) & !KEPT_PERSONALITY != 0 {
        return Err(Errno::EINVAL);
    }
    host::call(libc::SYS_personality, &[a.uint(0).into()])
}

/// Extensions and their bits of `RISCV_HWPROBE_KEY_IMA_EXT_0`.
#[rustfmt::skip]
const EXTENSIONS: &[(&str, u32)] = &[
    ("d", 0), ("c", 1), ("v", 2), ("zba", 3), ("zbb", 4), ("zbs", 5), ("zicboz", 6), ("zbc", 7), ("zbkb", 8),
    ("zbkc", 9), ("zbkx", 10), ("zknd", 11), ("zkne", 12), ("zknh", 13), ("zksed", 14), ("zksh", 15), ("zkt", 16),
    ("zvbb", 17), ("zvbc", 18), ("zvkb", 19), ("zvkg", 20), ("zvkned", 21), ("zvknha", 22), ("zvknhb", 23),
    ("zvksed", 24), ("zvksh", 25), ("zvkt", 26), ("zfh", 27), ("zfhmin", 28), ("zihintntl", 29), ("zvfh", 30),
    ("zvfhmin", 31), ("zfa", 32), ("ztso", 33), ("zacas", 34), ("zicond", 35), ("zihintpause", 36), ("zimop", 42),
    ("zca", 43), ("zcb", 44), ("zcd", 45), ("zcf", 46), ("zcmop", 47), ("zawrs", 48), ("zicntr", 50),
    ("zaamo", 56), ("zalrsc", 57), ("zabha", 58),
];

/// The names in an ISA string, with what the letters stand for.
fn extensions(isa: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut parts = isa.trim_start_matches("rv32").trim_start_matches("rv64").split('_');
    for letter in parts.next().unwrap_or_default().chars() {
        match letter {
            'g' => names.extend(["i", "m", "a", "f", "d", "zaamo", "zalrsc", "zicntr"].map(String::from)),
            'a' => names.extend(["a", "zaamo", "zalrsc"].map(String::from)),
            'b' => names.extend(["zba", "zbb", "zbs"].map(String::from)),
            'c' => names.extend(["c", "zca"].map(String::from)),
            other => names.push(other.to_string()),
        }
    }
    names.extend(parts.map(String::from));
    names
}

/// The value of a `riscv_hwprobe` key; `None` for a key that is not known.
fn probe(process: &Process, key: i64) -> Option<u64> {
    const IMA: u64 = 1;
    const FAST: u64 = 3;
    const UNSUPPORTED: u64 = 4;
    Some(match key {
        // Vendor, architecture, implementation.
        0..=2 => 0,
        3 => IMA,
        4 => {
            let names = extensions(&process.config.isa);
            let bit = |&(name, bit): &(&str, u32)| if names.iter().any(|n| n == name) { 1 << bit } else { 0 };
            EXTENSIONS.iter().map(bit).sum()
        }
        5 | 9 => FAST,
        6 => 0,
        7 => process.mem.task_size() - 1,
        8 => TIME_FREQUENCY,
        10 => UNSUPPORTED,
        _ => return None,
    })
}

/// `riscv_hwprobe`: pairs of key and value; all harts are alike.
pub(super) fn riscv_hwprobe(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(4) != 0 {
        return Err(Errno::EINVAL);
    }
    if a.get(2) == 0 && a.get(3) != 0 {
        return Err(Errno::EINVAL);
    }
    for i in 0..a.get(1) {
        let at = a.get(0).wrapping_add(16 * i);
        let key = t.read_u64(at)? as i64;
        let (key, value) = probe(&t.process, key).map_or((-1, 0), |value| (key, value));
        let bytes = t.writer().i64(key).u64(value).finish();
        t.write(at, &bytes)?;
    }
    Ok(0)
}

/// `rseq`: C libraries do without.
pub(super) fn rseq(_: &mut Thread, _: &Args) -> SysResult {
    Err(Errno::ENOSYS)
}

/// `sysmips`: an exchange of a word, and hints.
pub(super) fn sysmips(t: &mut Thread, a: &Args) -> SysResult {
    const FLUSH_CACHE: i32 = 3;
    /// Whether misaligned accesses are put right, and (the second bit) logged.
    const FIXADE: i32 = 7;
    const ATOMIC_SET: i32 = 2001;
    match a.int(0) {
        ATOMIC_SET => exchange(t, a.get(1), a.uint(2)),
        FIXADE if a.get(1) & !3 != 0 => Err(Errno::EINVAL),
        FIXADE => {
            let abi = std::sync::Arc::clone(&t.process.abi);
            abi.set_fix_alignment(t.vcpu.cpu_mut(), a.get(1) & 1 != 0);
            Ok(0)
        }
        FLUSH_CACHE => {
            t.vcpu.invalidate_code(None);
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `MIPS_ATOMIC_SET`: the result is the old value, whatever it is.
fn exchange(t: &mut Thread, addr: u64, new: u32) -> SysResult {
    if !addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let big = t.layout().big;
    let order = |value: u32| if big { value.swap_bytes() } else { value };
    let mem = &t.process.mem;
    loop {
        let raw = mem.load(addr, 4).map_err(|_| Errno::EFAULT)?;
        let seen = mem.atomic_cas(addr, 4, raw, order(new).into()).map_err(|_| Errno::EFAULT)?;
        if seen == raw {
            return Ok(order(raw as u32) as i32 as u64);
        }
    }
}

/// `getrandom`: what is more than a call transfers is cut off before the address is looked at.
pub(super) fn getrandom(t: &mut Thread, a: &Args) -> SysResult {
    let len = a.get(1).min(MAX_TRANSFER);
    host::blocking(libc::SYS_getrandom, &[t.target(a.get(0), len), len.into(), a.uint(2).into()])
}

/// Calls that need a privilege that no guest is given.
pub(super) fn not_permitted(_: &mut Thread, _: &Args) -> SysResult {
    Err(Errno::EPERM)
}

/// `rt_sigreturn`'s counterpart for interrupted sleeps: none is ever pending.
pub(super) fn restart_syscall(_: &mut Thread, _: &Args) -> SysResult {
    Err(Errno::EINTR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isa_strings() {
        let names = extensions("rv64imafdc_zba_zicond");
        for name in ["i", "d", "c", "zca", "zaamo", "zba", "zicond"] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        assert!(extensions("rv64gcb").iter().any(|n| n == "zbs"));
    }
}
