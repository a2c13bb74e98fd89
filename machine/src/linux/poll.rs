//! Waiting for descriptors: poll, select, epoll.

use super::data::Reader;
use super::errno::Errno;
use super::host::{self, Arg, SigSet};
use super::table::{Args, SysResult};
use super::thread::Thread;
use std::sync::Arc;

impl Thread {
    /// A signal mask that may be null.
    fn read_sigset_opt(&self, addr: u64, size: u64) -> Result<Option<SigSet>, Errno> {
        if addr == 0 { Ok(None) } else { self.read_sigset(addr, size).map(Some) }
    }
}

/// `ppoll`: the remaining time is told, as the kernel does.
pub(super) fn ppoll(t: &mut Thread, a: &Args) -> SysResult {
    let mut timeout = t.read_timespec_opt(a.get(2), a.time64)?;
    let mask = t.read_sigset_opt(a.get(3), a.get(4))?;
    let result = wait_for_events(t, a.get(0), a.uint(1) as usize, timeout.as_mut(), mask);
    if let Some(timeout) = timeout {
        // Not an error if it cannot be written (a constant).
        let _ = t.write_timespec(a.get(2), &timeout, a.time64);
    }
    result
}

/// `poll`: the timeout in milliseconds.
pub(super) fn poll(t: &mut Thread, a: &Args) -> SysResult {
    let mut timeout = (a.int(2) >= 0).then(|| {
        let millis = i64::from(a.int(2));
        libc::timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 }
    });
    wait_for_events(t, a.get(0), a.uint(1) as usize, timeout.as_mut(), None)
}

fn wait_for_events(
    t: &mut Thread,
    list: u64,
    count: usize,
    timeout: Option<&mut libc::timespec>,
    mask: Option<SigSet>,
) -> SysResult {
    if count > 1 << 20 {
        return Err(Errno::EINVAL);
    }
    let abi = Arc::clone(&t.process.abi);
    let asked: Vec<(i32, u16)> = t.with_struct(list, count * 8, |r| {
        (0..count).map(|_| (r.i32(), r.u16(), r.u16())).map(|e| (e.0, e.1)).collect()
    })?;
    let events = |events| abi.poll_events_to_host(events) as i16;
    let mut fds: Vec<libc::pollfd> =
        asked.iter().map(|&(fd, e)| libc::pollfd { fd, events: events(e), revents: 0 }).collect();
    let ready = t.with_mask(mask, |_, mask| {
        let time = Arg::opt_mut(timeout);
        host::blocking_once(libc::SYS_ppoll, &[Arg::slice_mut(&mut fds), count.into(), time, mask, 8.into()])
    })?;
    let mut w = t.writer();
    for (fd, (_, asked)) in fds.iter().zip(&asked) {
        w.i32(fd.fd).u16(*asked).u16(abi.poll_events_to_guest(fd.revents as u16));
    }
    t.write(list, &w.finish())?;
    Ok(ready)
}

/// The descriptors of a set, in the guest's longs.
fn read_set(t: &Thread, addr: u64, words: usize) -> Result<Option<Vec<u64>>, Errno> {
    if addr == 0 {
        return Ok(None);
    }
    let narrow = t.layout().long == 4;
    let read = |r: &mut Reader<'_>| if narrow { r.long() | r.long() << 32 } else { r.long() };
    t.with_struct(addr, words * 8, |r| Some((0..words).map(|_| read(r)).collect()))
}

fn write_set(t: &Thread, addr: u64, set: &Option<Vec<u64>>) -> Result<(), Errno> {
    let Some(set) = set else { return Ok(()) };
    let mut w = t.writer();
    for word in set {
        if t.layout().long == 4 {
            w.u32(*word as u32).u32((word >> 32) as u32);
        } else {
            w.u64(*word);
        }
    }
    t.write(addr, &w.finish())
}

/// `pselect6`.
pub(super) fn pselect6(t: &mut Thread, a: &Args) -> SysResult {
    let mut timeout = t.read_timespec_opt(a.get(4), a.time64)?;
    let mask = match a.get(5) {
        0 => None,
        addr => {
            let (mask, size) = t.with_struct(addr, 2 * t.layout().long, |r| (r.long(), r.long()))?;
            t.read_sigset_opt(mask, size)?
        }
    };
    let result = wait_for_sets(t, a, timeout.as_mut(), mask);
    if let Some(timeout) = timeout {
        let _ = t.write_timespec(a.get(4), &timeout, a.time64);
    }
    result
}

/// `select`: the timeout is a `timeval`.
pub(super) fn select(t: &mut Thread, a: &Args) -> SysResult {
    let mut timeout = t.read_timeval_opt(a.get(4))?;
    let result = wait_for_sets(t, a, timeout.as_mut(), None);
    if let Some(timeout) = timeout {
        let _ = t.write_timeval(a.get(4), &timeout);
    }
    result
}

/// Waits for descriptors of the sets in the first four arguments.
fn wait_for_sets(t: &mut Thread, a: &Args, timeout: Option<&mut libc::timespec>, mask: Option<SigSet>) -> SysResult {
    let count = usize::try_from(a.int(0)).map_err(|_| Errno::EINVAL)?.min(1 << 20);
    // The kernel touches whole longs of the guest's; a 32-bit guest's last one may stand alone.
    let words = count.div_ceil(64);
    let mut sets = [read_set(t, a.get(1), words)?, read_set(t, a.get(2), words)?, read_set(t, a.get(3), words)?];
    let ready = t.with_mask(mask, |_, mask| {
        let mask = [mask.raw(), 8];
        let [reads, writes, excepts] = sets.each_mut().map(|set| set.as_mut().map_or(Arg::NULL, |s| Arg::slice_mut(s)));
        let time = Arg::opt_mut(timeout);
        host::blocking_once(libc::SYS_pselect6, &[count.into(), reads, writes, excepts, time, Arg::slice(&mask)])
    })?;
    for (i, set) in sets.iter().enumerate() {
        write_set(t, a.get(1 + i), set)?;
    }
    Ok(ready)
}

/// `epoll_ctl`.
pub(super) fn epoll_ctl(t: &mut Thread, a: &Args) -> SysResult {
    let mut event: libc::epoll_event = host::zeroed();
    if a.int(1) != libc::EPOLL_CTL_DEL {
        let bytes = t.read(a.get(3), t.process.abi.epoll_event_size())?;
        let (events, data) = t.process.abi.read_epoll_event(&bytes);
        event = libc::epoll_event { events, u64: data };
    }
    let args = [a.int(0).into(), a.int(1).into(), a.int(2).into(), Arg::from_ref(&event)];
    host::call(libc::SYS_epoll_ctl, &args)
}

fn wait(t: &mut Thread, a: &Args, number: i64, timeout: Arg<'_>) -> SysResult {
    let size = t.process.abi.epoll_event_size();
    let most = usize::try_from(a.int(2)).ok().filter(|n| (1..=i32::MAX as usize / size).contains(n));
    let most = most.ok_or(Errno::EINVAL)?;
    t.check_range(a.get(1), (most * size) as u64)?;
    let most = most.min(4096);
    let mask = t.read_sigset_opt(a.get(4), a.get(5))?;
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; most];
    let ready = t.with_mask(mask, |_, mask| {
        let place = Arg::slice_mut(&mut events);
        host::blocking_once(number, &[a.int(0).into(), place, most.into(), timeout, mask, 8.into()])
    })?;
    let mut bytes = Vec::new();
    for event in &events[..ready as usize] {
        bytes.extend(t.process.abi.epoll_event(event.events, event.u64));
    }
    t.write(a.get(1), &bytes)?;
    Ok(ready)
}

/// `epoll_wait`.
pub(super) fn epoll_wait(t: &mut Thread, a: &Args) -> SysResult {
    let a = Args::of(&[a.get(0), a.get(1), a.get(2), a.get(3), 0, 0], a.time64);
    epoll_pwait(t, &a)
}

/// `epoll_pwait`.
pub(super) fn epoll_pwait(t: &mut Thread, a: &Args) -> SysResult {
    wait(t, a, libc::SYS_epoll_pwait, a.int(3).into())
}

/// `epoll_pwait2`.
pub(super) fn epoll_pwait2(t: &mut Thread, a: &Args) -> SysResult {
    let timeout = t.read_timespec_opt(a.get(3), true)?;
    wait(t, a, libc::SYS_epoll_pwait2, Arg::opt(timeout.as_ref()))
}
