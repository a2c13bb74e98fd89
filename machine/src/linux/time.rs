//! Clocks, sleeping and timers. The kernel checks the values; only the layouts are ours.

use super::data::Reader;
use super::errno::Errno;
use super::host::{self, Arg};
use super::table::{Args, SysResult};
use super::thread::Thread;

/// Bytes of a `timespec`: of two longs, or of 64-bit seconds and nanoseconds.
fn timespec_size(layout: super::data::Layout, time64: bool) -> usize {
    if time64 { 16 } else { 2 * layout.long }
}

fn get_timespec(r: &mut Reader<'_>, time64: bool, narrow: bool) -> libc::timespec {
    let (tv_sec, tv_nsec) = match (time64, narrow) {
        // The upper half of the nanoseconds is padding for a 32-bit guest.
        (true, true) => (r.i64(), r.i64() & 0xffff_ffff),
        (true, false) => (r.i64(), r.i64()),
        (false, _) => (r.slong(), r.slong()),
    };
    libc::timespec { tv_sec, tv_nsec }
}

impl Thread {
    pub(super) fn read_timespec(&self, addr: u64, time64: bool) -> Result<libc::timespec, Errno> {
        let layout = self.layout();
        self.with_struct(addr, timespec_size(layout, time64), |r| get_timespec(r, time64, layout.long == 4))
    }

    pub(super) fn read_timespec_opt(&self, addr: u64, time64: bool) -> Result<Option<libc::timespec>, Errno> {
        if addr == 0 { Ok(None) } else { self.read_timespec(addr, time64).map(Some) }
    }

    fn timespec_bytes(&self, times: &[libc::timespec], time64: bool) -> Vec<u8> {
        let mut w = self.writer();
        for time in times {
            if time64 {
                w.i64(time.tv_sec).i64(time.tv_nsec);
            } else {
                w.long(time.tv_sec as u64).long(time.tv_nsec as u64);
            }
        }
        w.finish()
    }

    pub(super) fn write_timespec(&self, addr: u64, time: &libc::timespec, time64: bool) -> Result<(), Errno> {
        self.write_opt(addr, &self.timespec_bytes(&[*time], time64))
    }

    fn read_itimerspec(&self, addr: u64, time64: bool) -> Result<libc::itimerspec, Errno> {
        let size = timespec_size(self.layout(), time64) as u64;
        let it_interval = self.read_timespec(addr, time64)?;
        let it_value = self.read_timespec(addr.wrapping_add(size), time64)?;
        Ok(libc::itimerspec { it_interval, it_value })
    }

    fn write_itimerspec(&self, addr: u64, timer: &libc::itimerspec, time64: bool) -> Result<(), Errno> {
        self.write_opt(addr, &self.timespec_bytes(&[timer.it_interval, timer.it_value], time64))
    }

    /// A `timeval` that may be null, as a `timespec`.
    pub(super) fn read_timeval_opt(&self, addr: u64) -> Result<Option<libc::timespec>, Errno> {
        if addr == 0 {
            return Ok(None);
        }
        let [time] = self.read_timevals(addr)?;
        // As the kernel does it: more than a second of microseconds counts, too.
        let (more, micros) = (time.tv_usec / 1_000_000, time.tv_usec % 1_000_000);
        Ok(Some(libc::timespec { tv_sec: time.tv_sec + more, tv_nsec: micros * 1000 }))
    }

    /// The inverse.
    pub(super) fn write_timeval(&self, addr: u64, time: &libc::timespec) -> Result<(), Errno> {
        self.write_timevals(addr, &[libc::timeval { tv_sec: time.tv_sec, tv_usec: time.tv_nsec / 1000 }])
    }

    /// `struct timeval`s of two longs.
    pub(super) fn read_timevals<const N: usize>(&self, addr: u64) -> Result<[libc::timeval; N], Errno> {
        let long = self.layout().long;
        self.with_struct(addr, 2 * N * long, |r| {
            std::array::from_fn(|_| libc::timeval { tv_sec: r.slong(), tv_usec: r.slong() })
        })
    }

    fn write_timevals(&self, addr: u64, times: &[libc::timeval]) -> Result<(), Errno> {
        let mut w = self.writer();
        for time in times {
            w.long(time.tv_sec as u64).long(time.tv_usec as u64);
        }
        self.write_opt(addr, &w.finish())
    }
}

/// Where a null pointer is not "no answer wanted" but a bad address.
fn needed(addr: u64) -> Result<(), Errno> {
    if addr == 0 { Err(Errno::EFAULT) } else { Ok(()) }
}

/// `clock_gettime` and `clock_getres`: a clock's time to the second argument.
fn clock_query(t: &mut Thread, a: &Args, number: i64) -> SysResult {
    let mut time: libc::timespec = host::zeroed();
    host::call(number, &[a.int(0).into(), Arg::from_mut(&mut time)])?;
    t.write_timespec(a.get(1), &time, a.time64)?;
    Ok(0)
}

/// `clock_gettime`.
pub(super) fn clock_gettime(t: &mut Thread, a: &Args) -> SysResult {
    needed(a.get(1))?;
    clock_query(t, a, libc::SYS_clock_gettime)
}

/// `clock_getres`.
pub(super) fn clock_getres(t: &mut Thread, a: &Args) -> SysResult {
    clock_query(t, a, libc::SYS_clock_getres)
}

/// `clock_settime`.
pub(super) fn clock_settime(t: &mut Thread, a: &Args) -> SysResult {
    let time = t.read_timespec(a.get(1), a.time64)?;
    host::call(libc::SYS_clock_settime, &[a.int(0).into(), Arg::from_ref(&time)])
}

/// Sleeps, and tells what is left when a signal ends it.
fn sleep(t: &mut Thread, clock: i32, flags: i32, request: u64, left: u64, time64: bool) -> SysResult {
    let given = t.read_timespec(request, time64)?;
    // A sleep that is made again since no handler ran is what is left of it.
    let time = t.sleep_left.take().unwrap_or(given);
    let mut rest = time;
    let args = [clock.into(), flags.into(), Arg::from_ref(&time), Arg::from_mut(&mut rest)];
    let result = host::blocking_once(libc::SYS_clock_nanosleep, &args);
    if result == Err(Errno::RESTART_NO_HANDLER) && flags & libc::TIMER_ABSTIME == 0 {
        t.write_timespec(left, &rest, time64)?;
        t.sleep_left = Some(rest);
    }
    result
}

/// `nanosleep`.
pub(super) fn nanosleep(t: &mut Thread, a: &Args) -> SysResult {
    sleep(t, libc::CLOCK_MONOTONIC, 0, a.get(0), a.get(1), a.time64)
}

/// `clock_nanosleep`.
pub(super) fn clock_nanosleep(t: &mut Thread, a: &Args) -> SysResult {
    sleep(t, a.int(0), a.int(1), a.get(2), a.get(3), a.time64)
}

/// `gettimeofday`.
pub(super) fn gettimeofday(t: &mut Thread, a: &Args) -> SysResult {
    let (mut time, mut zone) = (host::zeroed::<libc::timeval>(), host::zeroed::<[i32; 2]>());
    host::call(libc::SYS_gettimeofday, &[Arg::from_mut(&mut time), Arg::from_mut(&mut zone)])?;
    t.write_timevals(a.get(0), &[time])?;
    let zone = t.writer().i32(zone[0]).i32(zone[1]).finish();
    t.write_opt(a.get(1), &zone)?;
    Ok(0)
}

/// `settimeofday`: programs here do not set the host's clock by it.
pub(super) fn settimeofday(_: &mut Thread, _: &Args) -> SysResult {
    Err(Errno::EPERM)
}

/// Reads the state of a clock's discipline; programs here do not set the host's clock.
fn read_adjustment(t: &mut Thread, clock: i32, place: u64, time64: bool) -> SysResult {
    const OFFSET_READ: u32 = 0xa001;
    const MEMBERS: usize = 20;
    let modes = t.read_u32(place)?;
    // The host's structure is of longs but for modes, status, shift and TAI; the words of padding are never written.
    let mut state: libc::timex = host::zeroed();
    state.modes = if modes == OFFSET_READ { modes } else { 0 };
    let result = host::call(libc::SYS_clock_adjtime, &[clock.into(), Arg::from_mut(&mut state)])?;
    if modes != 0 && modes != OFFSET_READ {
        return Err(Errno::EPERM);
    }
    let mut r = Reader::new(super::fs::HOST, host::bytes_of(&state));
    let mut w = t.writer();
    let has_room = time64 || t.layout().long == 8;
    for member in 0..MEMBERS {
        match member {
            0 | 5 | 14 | 19 => w.i32(r.i32()),
            _ if has_room => w.i64(r.i64()),
            _ => w.long(r.u64()),
        };
    }
    // Modes are the caller's.
    let bytes = w.finish();
    t.write(place.wrapping_add(4), &bytes[4..])?;
    Ok(result)
}

/// `adjtimex`.
pub(super) fn adjtimex(t: &mut Thread, a: &Args) -> SysResult {
    read_adjustment(t, libc::CLOCK_REALTIME, a.get(0), a.time64)
}

/// `clock_adjtime`.
pub(super) fn clock_adjtime(t: &mut Thread, a: &Args) -> SysResult {
    read_adjustment(t, a.int(0), a.get(1), a.time64)
}

/// `times`.
pub(super) fn times(t: &mut Thread, a: &Args) -> SysResult {
    let mut ticks: libc::tms = host::zeroed();
    let now = host::call(libc::SYS_times, &[Arg::from_mut(&mut ticks)])?;
    let mut w = t.writer();
    for count in [ticks.tms_utime, ticks.tms_stime, ticks.tms_cutime, ticks.tms_cstime] {
        w.long(count as u64);
    }
    t.write_opt(a.get(0), &w.finish())?;
    Ok(now)
}

/// `setitimer`.
pub(super) fn setitimer(t: &mut Thread, a: &Args) -> SysResult {
    let new = match a.get(1) {
        0 => [host::zeroed(); 2],
        addr => t.read_timevals::<2>(addr)?,
    };
    let new = libc::itimerval { it_interval: new[0], it_value: new[1] };
    let mut old: libc::itimerval = host::zeroed();
    host::call(libc::SYS_setitimer, &[a.int(0).into(), Arg::from_ref(&new), Arg::from_mut(&mut old)])?;
    t.write_timevals(a.get(2), &[old.it_interval, old.it_value])?;
    Ok(0)
}

/// `getitimer`.
pub(super) fn getitimer(t: &mut Thread, a: &Args) -> SysResult {
    let mut now: libc::itimerval = host::zeroed();
    host::call(libc::SYS_getitimer, &[a.int(0).into(), Arg::from_mut(&mut now)])?;
    needed(a.get(1))?;
    t.write_timevals(a.get(1), &[now.it_interval, now.it_value])?;
    Ok(0)
}

impl Thread {
    /// `struct sigevent` as the host's: value, signal, how, thread.
    pub(super) fn read_sigevent(&self, addr: u64) -> Result<[u64; 8], Errno> {
        let long = self.layout().long;
        let (value, signal, notify, tid) =
            self.with_struct(addr, long + 12, |r| (r.long(), r.i32(), r.i32(), r.i32()))?;
        let signal = self.process.abi.signal_to_host(signal);
        let mut event = [0; 8];
        event[0] = value;
        event[1] = signal as u32 as u64 | (notify as u32 as u64) << 32;
        event[2] = tid as u32 as u64;
        Ok(event)
    }
}

/// `timer_create`. The ids are the kernel's, so the children of a fork have none, as it should be.
pub(super) fn timer_create(t: &mut Thread, a: &Args) -> SysResult {
    let event = match a.get(1) {
        0 => None,
        addr => Some(t.read_sigevent(addr)?),
    };
    let mut id = 0i32;
    let event = event.as_ref().map_or(Arg::NULL, |e| Arg::slice(e));
    host::call(libc::SYS_timer_create, &[a.int(0).into(), event, Arg::from_mut(&mut id)])?;
    if let Err(e) = t.write_u32(a.get(2), id as u32) {
        let _ = host::call(libc::SYS_timer_delete, &[id.into()]);
        return Err(e);
    }
    Ok(0)
}

/// `timer_settime` and `timerfd_settime`: object, flags, new and old value.
fn set_timer(t: &mut Thread, a: &Args, number: i64) -> SysResult {
    let new = t.read_itimerspec(a.get(2), a.time64)?;
    let mut old: libc::itimerspec = host::zeroed();
    host::call(number, &[a.int(0).into(), a.int(1).into(), Arg::from_ref(&new), Arg::from_mut(&mut old)])?;
    t.write_itimerspec(a.get(3), &old, a.time64)?;
    Ok(0)
}

/// `timer_gettime` and `timerfd_gettime`.
fn get_timer(t: &mut Thread, a: &Args, number: i64) -> SysResult {
    let mut now: libc::itimerspec = host::zeroed();
    host::call(number, &[a.int(0).into(), Arg::from_mut(&mut now)])?;
    needed(a.get(1))?;
    t.write_itimerspec(a.get(1), &now, a.time64)?;
    Ok(0)
}

/// `timer_settime`.
pub(super) fn timer_settime(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(2) == 0 {
        return Err(Errno::EINVAL);
    }
    set_timer(t, a, libc::SYS_timer_settime)
}

/// `timer_gettime`.
pub(super) fn timer_gettime(t: &mut Thread, a: &Args) -> SysResult {
    get_timer(t, a, libc::SYS_timer_gettime)
}

/// `timerfd_settime`.
pub(super) fn timerfd_settime(t: &mut Thread, a: &Args) -> SysResult {
    set_timer(t, a, libc::SYS_timerfd_settime)
}

/// `timerfd_gettime`.
pub(super) fn timerfd_gettime(t: &mut Thread, a: &Args) -> SysResult {
    get_timer(t, a, libc::SYS_timerfd_gettime)
}

/// `sched_rr_get_interval`.
pub(super) fn sched_rr_get_interval(t: &mut Thread, a: &Args) -> SysResult {
    let mut time: libc::timespec = host::zeroed();
    host::call(libc::SYS_sched_rr_get_interval, &[a.int(0).into(), Arg::from_mut(&mut time)])?;
    needed(a.get(1))?;
    t.write_timespec(a.get(1), &time, a.time64)?;
    Ok(0)
}
