//! The memory of other processes: `process_vm_readv` and `process_vm_writev`, on those of the host.
#![forbid(unsafe_code)]

use super::errno::Errno;
use super::host::{self, Arg};
use super::table::{Args, SysResult};
use super::thread::Thread;
use super::user::MAX_TRANSFER;
use std::fs;
use std::io::ErrorKind;

/// `process_vm_readv`.
pub(super) fn process_vm_readv(t: &mut Thread, a: &Args) -> SysResult {
    transfer(t, a, libc::SYS_process_vm_readv, false)
}

/// `process_vm_writev`. Pages that the other process has translated code of are write-protected there: EFAULT.
pub(super) fn process_vm_writev(t: &mut Thread, a: &Args) -> SysResult {
    transfer(t, a, libc::SYS_process_vm_writev, true)
}

fn transfer(t: &Thread, a: &Args, number: i64, writes: bool) -> SysResult {
    if a.get(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let local = t.iovec(a.get(1), a.get(2), !writes)?;
    if local.iter().all(|[_, len]| *len == 0) {
        return Ok(0);
    }
    let pid = a.int(0);
    let own = fs::exists(format!("/proc/self/task/{pid}")).unwrap_or(false);
    let remote = remote_iovec(t, a.get(3), a.get(4), own && writes)?;
    if !own {
        check_layout(t, pid)?;
    }
    let args = [pid.into(), Arg::slice(&local), local.len().into(), Arg::slice(&remote), remote.len().into(), 0.into()];
    host::call(number, &args)
}

/// `process_madvise`: advice that changes no content, about this or another guest's memory.
pub(super) fn process_madvise(t: &mut Thread, a: &Args) -> SysResult {
    const HARMLESS: [i32; 4] = [libc::MADV_WILLNEED, libc::MADV_COLD, libc::MADV_PAGEOUT, 25];
    let list = remote_iovec(t, a.get(1), a.get(2), false);
    let (place, count) = list.as_ref().map_or((Arg::BAD, 1), |list| (Arg::slice(list), list.len()));
    let advice = if HARMLESS.contains(&a.int(3)) { a.int(3) } else { -1 };
    let args = [a.int(0).into(), place, count.into(), advice.into(), a.uint(4).into()];
    match host::call(libc::SYS_process_madvise, &args) {
        Err(Errno::EFAULT) => list.and(Err(Errno::EFAULT)),
        result => result,
    }
}

/// `kcmp`: a guest's processes and descriptors are the host's.
pub(super) fn kcmp(t: &mut Thread, a: &Args) -> SysResult {
    /// `KCMP_EPOLL_TFD`: the last argument is the address of three words.
    const EPOLL: i32 = 7;
    let slot = if a.int(2) == EPOLL { t.with_struct(a.get(4), 12, |r| [r.u32(), r.u32(), r.u32()])? } else { [0; 3] };
    let last = if a.int(2) == EPOLL { Arg::from_ref(&slot) } else { a.get(4).into() };
    host::call(libc::SYS_kcmp, &[a.int(0).into(), a.int(1).into(), a.int(2).into(), a.get(3).into(), last])
}

/// The addresses in the other process, which nobody has checked: what is no guest memory faults when its turn comes.
fn remote_iovec(t: &Thread, addr: u64, count: u64, written: bool) -> Result<Vec<[u64; 2]>, Errno> {
    let pairs = t.raw_iovec(addr, count)?;
    let mem = &t.process.mem;
    let host = |&[base, len]: &[u64; 2]| {
        // Behind guest memory is a guard of more than this.
        let len = len.min(MAX_TRANSFER);
        if written {
            mem.prepare_write(base, len);
        }
        [if base < mem.limit() { mem.base() as u64 + base } else { 0 }, len]
    };
    Ok(pairs.iter().map(host).collect())
}

/// Is the guest memory of the other process where ours is? It is unless something else was in the way there, but it
/// may be no guest.
pub(super) fn check_layout(t: &Thread, pid: i32) -> Result<(), Errno> {
    let of = |what: &str| format!("/proc/{pid}/{what}");
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Errno::ESRCH,
        _ => Errno::EPERM,
    };
    let theirs = fs::read_link(of("exe")).map_err(failed)?;
    let maps = fs::read_to_string(of("maps")).map_err(failed)?;
    let is_emulator = fs::read_link("/proc/self/exe").is_ok_and(|own| own == theirs);
    if is_emulator && has_guard_below(&maps, t.process.mem.base() as u64) { Ok(()) } else { Err(Errno::EPERM) }
}

/// Is there, in a text as that of `/proc/PID/maps`, memory without access right below an address?
fn has_guard_below(maps: &str, address: u64) -> bool {
    maps.lines().any(|line| {
        let mut fields = line.split(' ');
        let range = fields.next().and_then(|range| range.split_once('-'));
        let Some((start, end)) = range else { return false };
        let [Ok(start), Ok(end)] = [start, end].map(|number| u64::from_str_radix(number, 16)) else { return false };
        start < address && address <= end && fields.next() == Some("---p")
    })
}

#[cfg(test)]
mod tests {
    use super::has_guard_below;

    #[test]
    fn guards_are_found() {
        let maps = "1000-2000 r--p 00000000 00:00 0  /bin/x\n8000-a000 ---p 00000000 00:00 0 \nnonsense\n";
        let found = [0x1800, 0x2000, 0x8000, 0x9000, 0xa000, 0xb000].map(|address| has_guard_below(maps, address));
        assert_eq!(found, [false, false, false, true, true, false]);
    }
}
