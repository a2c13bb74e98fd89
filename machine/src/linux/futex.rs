//! Futexes: the host's, at the guest's addresses; and robust lists, which are ours to walk.

use super::data::get;
use super::errno::Errno;
use super::host::{self, Arg};
use super::process::Process;
use super::table::{Args, SysResult};
use super::thread::Thread;

const COMMAND: i32 = !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
const LOCK_PI2: i32 = 13;
const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const TID: u32 = 0x3fff_ffff;
/// The longest robust list that is walked (`ROBUST_LIST_LIMIT`).
const ROBUST_LIMIT: usize = 2048;

/// What an operation does with its fourth argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fourth {
    Timeout,
    Number,
    Nothing,
}

/// What the fourth argument is, and whether the word is compared with the third.
fn shape(command: i32) -> Result<(Fourth, bool), Errno> {
    Ok(match command {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAIT_REQUEUE_PI => (Fourth::Timeout, true),
        libc::FUTEX_LOCK_PI | LOCK_PI2 => (Fourth::Timeout, false),
        libc::FUTEX_REQUEUE | libc::FUTEX_CMP_REQUEUE | libc::FUTEX_CMP_REQUEUE_PI | libc::FUTEX_WAKE_OP => {
            (Fourth::Number, false)
        }
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET | libc::FUTEX_UNLOCK_PI | libc::FUTEX_TRYLOCK_PI => {
            (Fourth::Nothing, false)
        }
        _ => return Err(Errno::ENOSYS),
    })
}

/// A number that the kernel compares with a word of memory, in the byte order of the guest's memory.
fn in_memory_order(t: &Thread, value: u32) -> u32 {
    if t.layout().big { value.swap_bytes() } else { value }
}

/// `futex`.
pub(super) fn futex(t: &mut Thread, a: &Args) -> SysResult {
    let operation = a.int(1);
    let command = operation & COMMAND;
    let (fourth, compares) = shape(command)?;
    let works_on_tids = matches!(command, 6..=8 | 11..=13);
    if t.layout().big && (works_on_tids || command == libc::FUTEX_WAKE_OP) {
        // The host would do arithmetic on a word in the wrong order.
        return Err(Errno::ENOSYS);
    }
    let timeout = match fourth {
        Fourth::Timeout => t.read_timespec_opt(a.get(3), a.time64)?,
        _ => None,
    };
    let fourth = match fourth {
        Fourth::Timeout => Arg::opt(timeout.as_ref()),
        Fourth::Number => a.uint(3).into(),
        Fourth::Nothing => Arg::NULL,
    };
    let value = if compares { in_memory_order(t, a.uint(2)) } else { a.uint(2) };
    let compared = command == libc::FUTEX_CMP_REQUEUE || command == libc::FUTEX_CMP_REQUEUE_PI;
    let last = if compared { in_memory_order(t, a.uint(5)) } else { a.uint(5) };
    let word = if works_on_tids { t.target(a.get(0), 4) } else { t.source(a.get(0), 4) };
    let second = t.target(a.get(4), 4);
    host::blocking(libc::SYS_futex, &[word, operation.into(), value.into(), fourth, second, last.into()])
}

pub(crate) const SYS_FUTEX_WAKE: i64 = 454;
pub(crate) const SYS_FUTEX_WAIT: i64 = 455;
pub(crate) const SYS_FUTEX_REQUEUE: i64 = 456;

/// `futex_wake`: word, mask, how many, flags.
pub(super) fn futex_wake(t: &mut Thread, a: &Args) -> SysResult {
    host::call(SYS_FUTEX_WAKE, &[t.source(a.get(0), 4), a.get(1).into(), a.int(2).into(), a.uint(3).into()])
}

/// `futex_wait`: word, value, mask, flags, time, clock.
pub(super) fn futex_wait(t: &mut Thread, a: &Args) -> SysResult {
    let value = u64::from(in_memory_order(t, a.get(1) as u32)) | a.get(1) & !0xffff_ffff;
    let timeout = t.read_timespec_opt(a.get(4), true)?;
    let (word, time) = (t.source(a.get(0), 4), Arg::opt(timeout.as_ref()));
    let args = [word, value.into(), a.get(2).into(), a.uint(3).into(), time, a.int(5).into()];
    host::blocking(SYS_FUTEX_WAIT, &args)
}

/// `futex_requeue`: two words, flags, how many to wake and to move.
pub(super) fn futex_requeue(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(0) == 0 {
        return Err(Errno::EINVAL);
    }
    let list = read_waiters(t, a.get(0), 2)?;
    host::call(SYS_FUTEX_REQUEUE, &[Arg::slice(&list), a.uint(1).into(), a.int(2).into(), a.int(3).into()])
}

/// Entries of `struct futex_waitv` as the host has them.
fn read_waiters(t: &Thread, addr: u64, count: usize) -> Result<Vec<u64>, Errno> {
    const ENTRY: usize = 24;
    let entries = t.with_struct(addr, count * ENTRY, |r| {
        (0..count).map(|_| (r.u64(), r.u64(), r.u32(), r.u32())).collect::<Vec<_>>()
    })?;
    let mut list = Vec::with_capacity(3 * count);
    for (value, addr, flags, reserved) in entries {
        let value = u64::from(in_memory_order(t, value as u32)) | value & !0xffff_ffff;
        let flags = u64::from(flags) | u64::from(reserved) << 32;
        list.extend([value, t.source(addr, 4).raw() as u64, flags]);
    }
    Ok(list)
}

/// `futex_waitv`: entries of value, address, flags.
pub(super) fn futex_waitv(t: &mut Thread, a: &Args) -> SysResult {
    let count = a.uint(1) as usize;
    if count == 0 || count > 128 || a.uint(2) != 0 || a.get(0) == 0 {
        return Err(Errno::EINVAL);
    }
    let list = read_waiters(t, a.get(0), count)?;
    let timeout = t.read_timespec_opt(a.get(3), true)?;
    let args = [Arg::slice(&list), count.into(), 0.into(), Arg::opt(timeout.as_ref()), a.int(4).into()];
    host::blocking(libc::SYS_futex_waitv, &args)
}

/// `set_robust_list`.
pub(super) fn set_robust_list(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(1) != 3 * t.layout().long as u64 {
        return Err(Errno::EINVAL);
    }
    t.robust = (a.get(0), a.get(1));
    t.process.note_robust_list(t.tid, a.get(0));
    Ok(0)
}

/// `get_robust_list`, of the threads of this process; those of others are not told.
pub(super) fn get_robust_list(t: &mut Thread, a: &Args) -> SysResult {
    let tid = if a.int(0) == 0 { t.tid } else { a.int(0) };
    let Some(head) = t.process.robust_list_of(tid) else {
        // A thread that does not exist is ESRCH. (The host's answer would be the emulator's own list.)
        host::call(libc::SYS_getpgid, &[tid.into()])?;
        return Err(Errno::EPERM);
    };
    t.write_long(a.get(2), 3 * t.layout().long as u64)?;
    t.write_long(a.get(1), head)?;
    Ok(0)
}

impl Thread {
    /// Wakes waiters of a word.
    pub(super) fn futex_wake(&self, addr: u64, count: i32) -> SysResult {
        wake(&self.process, addr, count)
    }

    /// Marks the locks that the ending thread still holds, as the kernel does.
    pub(super) fn release_robust_list(&mut self) {
        let head = std::mem::take(&mut self.robust).0;
        release_robust_list(&self.process, self.tid, head);
    }
}

fn wake(process: &Process, addr: u64, count: i32) -> SysResult {
    let word = process.mem.host_ptr(addr, 4).ok_or(Errno::EFAULT)?;
    host::call(libc::SYS_futex, &[(word as usize).into(), libc::FUTEX_WAKE.into(), count.into()])
}

/// Marks the locks that thread `tid` holds; `head` is 0 or the address of its list.
pub(super) fn release_robust_list(process: &Process, tid: i32, head: u64) {
    if head != 0 {
        let _ = RobustList { process, tid }.walk(head);
    }
}

struct RobustList<'a> {
    process: &'a Process,
    tid: i32,
}

impl RobustList<'_> {
    fn long(&self, addr: u64) -> Result<u64, Errno> {
        let layout = self.process.abi.layout();
        let mut bytes = [0; 8];
        self.process.mem.read_bytes(addr, &mut bytes[..layout.long]).map_err(|_| Errno::EFAULT)?;
        Ok(get(&bytes[..layout.long], layout.big))
    }

    fn walk(&self, head: u64) -> Result<(), Errno> {
        let long = self.process.abi.layout().long as u64;
        let offset = self.long(head + long)?;
        let offset = if long == 4 { offset as i32 as u64 } else { offset };
        let pending = self.long(head + 2 * long)?;
        let mut entry = self.long(head)?;
        for _ in 0..ROBUST_LIMIT {
            if entry & !1 == head {
                break;
            }
            // The entry may be gone once the lock is released.
            let next = self.long(entry & !1);
            if entry & !1 != pending & !1 {
                self.owner_died((entry & !1).wrapping_add(offset), entry & 1 != 0, false)?;
            }
            entry = next?;
        }
        if pending & !1 != 0 {
            self.owner_died((pending & !1).wrapping_add(offset), pending & 1 != 0, true)?;
        }
        Ok(())
    }

    fn in_memory_order(&self, value: u32) -> u32 {
        if self.process.abi.layout().big { value.swap_bytes() } else { value }
    }

    fn owner_died(&self, addr: u64, is_pi: bool, pending: bool) -> Result<(), Errno> {
        if !addr.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let mem = &self.process.mem;
        loop {
            let raw = mem.load(addr, 4).map_err(|_| Errno::EFAULT)? as u32;
            let word = self.in_memory_order(raw);
            if pending && !is_pi && word & TID == 0 {
                let _ = wake(self.process, addr, 1);
                return Ok(());
            }
            if word & TID != self.tid as u32 {
                return Ok(());
            }
            let new = self.in_memory_order(word & WAITERS | OWNER_DIED);
            if mem.atomic_cas(addr, 4, raw.into(), new.into()).map_err(|_| Errno::EFAULT)? == u64::from(raw) {
                if word & WAITERS != 0 && !is_pi {
                    let _ = wake(self.process, addr, 1);
                }
                return Ok(());
            }
        }
    }
}
