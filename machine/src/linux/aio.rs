//! Linux AIO (`io_submit`): control blocks and events are copied, with the host's addresses in them.
//!
//! A guest's context id is the address of a page of its own: the C libraries look there for the kernel's ring, find none, and make
//! the system call. The host's control block of a request is kept until its event, which names it, has been delivered.
#![forbid(unsafe_code)]

use super::data::{Reader, Writer};
use super::errno::Errno;
use super::fs::HOST;
use super::host::{self, Arg};
use super::process::lock;
use super::table::{Args, SysResult};
use super::thread::Thread;
use crate::mem::{MapRequest, PAGE_SIZE, Prot};
use std::collections::HashMap;

/// The contexts of a process by the guest's id.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    contexts: HashMap<u64, u64>,
    /// By the address of the host's control block.
    pending: HashMap<u64, Request>,
}

/// A request that is under way.
#[derive(Debug)]
struct Request {
    context: u64,
    /// The guest's `aio_data` and the address of its control block.
    data: u64,
    block: u64,
    opcode: u16,
    /// The host's control block, where its address stays.
    host: Box<[u64; BLOCK / 8]>,
}

/// Bytes of `struct iocb` and of `struct io_event`.
const BLOCK: usize = 64;
const EVENT: usize = 32;
const SYS_IO_PGETEVENTS: i64 = 333;
const PREADV: u16 = 7;
const PWRITEV: u16 = 8;
const PREAD: u16 = 0;
const PWRITE: u16 = 1;
const POLL: u16 = 5;
/// The most events that one call tells.
const EVENTS: i64 = 1 << 16;

fn context(t: &Thread, id: u64) -> Result<u64, Errno> {
    lock(&t.process.aio).contexts.get(&id).copied().ok_or(Errno::EINVAL)
}

/// `io_setup`.
pub(super) fn io_setup(t: &mut Thread, a: &Args) -> SysResult {
    if t.read_long(a.get(1))? != 0 || a.uint(0) == 0 {
        return Err(Errno::EINVAL);
    }
    let mut made = 0u64;
    host::call(libc::SYS_io_setup, &[a.uint(0).into(), Arg::from_mut(&mut made)])?;
    let page = MapRequest { len: PAGE_SIZE, prot: Prot::READ, ..MapRequest::default() };
    let id = t.process.mem.mmap(&page).map_err(Errno::from).and_then(|id| t.write_long(a.get(1), id).map(|()| id));
    let id = id.inspect_err(|_| {
        let _ = host::call(libc::SYS_io_destroy, &[made.into()]);
    })?;
    lock(&t.process.aio).contexts.insert(id, made);
    Ok(0)
}

/// `io_destroy`: requests that cannot be cancelled are waited for.
pub(super) fn io_destroy(t: &mut Thread, a: &Args) -> SysResult {
    let id = a.get(0);
    let made = lock(&t.process.aio).contexts.remove(&id).ok_or(Errno::EINVAL)?;
    host::call(libc::SYS_io_destroy, &[made.into()])?;
    lock(&t.process.aio).pending.retain(|_, request| request.context != id);
    t.process.mem.munmap(id, PAGE_SIZE)?;
    Ok(0)
}

/// `io_submit`: how many were, or the first one's error.
pub(super) fn io_submit(t: &mut Thread, a: &Args) -> SysResult {
    let made = context(t, a.get(0))?;
    let count = i64::try_from(a.get(1)).map_err(|_| Errno::EINVAL)?;
    let long = t.layout().long as u64;
    for i in 0..count as u64 {
        let submitted = t.read_long(a.get(2).wrapping_add(i * long)).and_then(|block| submit(t, a.get(0), made, block));
        match submitted {
            Ok(_) => {}
            Err(e) if i == 0 => return Err(e),
            Err(_) => return Ok(i),
        }
    }
    Ok(count as u64)
}

fn submit(t: &Thread, id: u64, made: u64, block: u64) -> SysResult {
    let big = t.layout().big;
    let bytes = t.read(block, BLOCK)?;
    let mut r = Reader::new(t.layout(), &bytes);
    let data = r.u64();
    // `aio_key` and `aio_rw_flags` change places with the byte order.
    let (first, second) = (r.u32(), r.u32());
    let flags = if big { first } else { second };
    let (opcode, priority, fd, buffer, len) = (r.u16(), r.u16(), r.u32(), r.u64(), r.u64());
    let (offset, reserved, more, event_fd) = (r.u64(), r.u64(), r.u32(), r.u32());
    let list = match opcode {
        PREADV | PWRITEV => t.iovec(buffer, len, opcode == PREADV)?,
        _ => Vec::new(),
    };
    let buffer = match opcode {
        PREADV | PWRITEV => Arg::slice(&list),
        PREAD => t.target(buffer, len),
        PWRITE => t.source(buffer, len),
        POLL => u32::from(t.process.abi.poll_events_to_host(buffer as u16)).into(),
        _ => buffer.into(),
    };
    let mut w = Writer::new(HOST);
    w.u64(0).u32(0).u32(flags).u16(opcode).u16(priority).u32(fd).u64(buffer.raw() as u64).u64(len);
    let made_block = w.u64(offset).u64(reserved).u32(more).u32(event_fd).finish();
    let mut words = Box::new([0u64; BLOCK / 8]);
    let mut r = Reader::new(HOST, &made_block);
    words.iter_mut().for_each(|word| *word = r.u64());
    // The kernel marks the block as one that it knows.
    t.write_u32(block.wrapping_add(if big { 12 } else { 8 }), 0)?;
    let key = Arg::slice(&words[..]).raw() as u64;
    let request = Request { context: id, data, block, opcode, host: words };
    lock(&t.process.aio).pending.insert(key, request);
    let submitted = host::call(libc::SYS_io_submit, &[made.into(), 1.into(), Arg::from_ref(&key)]);
    if submitted != Ok(1) {
        lock(&t.process.aio).pending.remove(&key);
    }
    submitted
}

/// `io_cancel`: what can be cancelled tells so by its event.
pub(super) fn io_cancel(t: &mut Thread, a: &Args) -> SysResult {
    let key = t.read_u32(a.get(1).wrapping_add(if t.layout().big { 12 } else { 8 }))?;
    if key != 0 {
        return Err(Errno::EINVAL);
    }
    let made = context(t, a.get(0))?;
    let pending = lock(&t.process.aio);
    let mut all = pending.pending.values();
    let request = all.find(|r| r.context == a.get(0) && r.block == a.get(1)).ok_or(Errno::EINVAL)?;
    let mut event = [0u64; EVENT / 8];
    host::call(libc::SYS_io_cancel, &[made.into(), Arg::slice(&request.host[..]), Arg::slice_mut(&mut event)])
}

/// Waits for events and writes them: a context, how many at least and at most, where to.
fn events(t: &mut Thread, a: &Args, wait: impl FnOnce(&mut Thread, [Arg<'_>; 4]) -> SysResult) -> SysResult {
    let made = context(t, a.get(0))?;
    let (least, most) = (a.get(1) as i64, a.get(2) as i64);
    // More at least than at most is an error of the kernel's to find.
    let (least, most) = if least > most { (least, most.min(0)) } else { (least.min(EVENTS), most.min(EVENTS)) };
    let mut found = vec![0u64; most.max(0) as usize * (EVENT / 8)];
    let count = wait(t, [made.into(), least.into(), most.into(), Arg::slice_mut(&mut found)])?;
    let mut w = t.writer();
    for event in found.chunks_exact(EVENT / 8).take(count as usize) {
        let Some(request) = lock(&t.process.aio).pending.remove(&event[1]) else { continue };
        w.u64(request.data).u64(request.block).i64(outcome(t, &request, event[2] as i64)).u64(event[3]);
    }
    let bytes = w.finish();
    t.write(a.get(3), &bytes)?;
    Ok(count)
}

/// A result in the guest's numbers.
fn outcome(t: &Thread, request: &Request, result: i64) -> i64 {
    let abi = &t.process.abi;
    match result {
        -4095..0 => -i64::from(abi.errno_to_guest(Errno(-result as i32))),
        _ if request.opcode == POLL => i64::from(abi.poll_events_to_guest(result as u16)),
        _ => result,
    }
}

/// `io_getevents`.
pub(super) fn io_getevents(t: &mut Thread, a: &Args) -> SysResult {
    let timeout = t.read_timespec_opt(a.get(4), a.time64)?;
    events(t, a, |_, [context, least, most, place]| {
        host::blocking(libc::SYS_io_getevents, &[context, least, most, place, Arg::opt(timeout.as_ref())])
    })
}

/// `io_pgetevents`: with a mask of signals while it waits.
pub(super) fn io_pgetevents(t: &mut Thread, a: &Args) -> SysResult {
    let timeout = t.read_timespec_opt(a.get(4), a.time64)?;
    let mask = match a.get(5) {
        0 => None,
        addr => {
            let (mask, size) = t.with_struct(addr, 2 * t.layout().long, |r| (r.long(), r.long()))?;
            if mask == 0 { None } else { Some(t.read_sigset(mask, size)?) }
        }
    };
    events(t, a, |t, [context, least, most, place]| {
        t.with_mask(mask, |_, mask| {
            let mask = [mask.raw(), 8];
            let args = [context, least, most, place, Arg::opt(timeout.as_ref()), Arg::slice(&mask)];
            host::blocking_once(SYS_IO_PGETEVENTS, &args)
        })
    })
}
