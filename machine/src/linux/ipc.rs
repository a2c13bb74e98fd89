//! System V shared memory, semaphores and message queues, and POSIX message queues: the host's objects.
//!
//! A segment of shared memory is attached over a mapping that guest memory makes room with, so that it is known there.

use super::data::{Reader, Writer};
use super::errno::Errno;
use super::fs::HOST;
use super::host::{self, Arg};
use super::process::lock;
use super::table::{Args, SysResult};
use super::thread::Thread;
use crate::mem::{Backing, Fixed, MapRequest, PAGE_SIZE, Prot};

/// Flag of glibc for the structures with 32-bit ids, which are the only ones here.
const IPC_64: i32 = 0x100;
const IPC_SET: i32 = libc::IPC_SET;
const IPC_STAT: i32 = libc::IPC_STAT;
const IPC_INFO: i32 = 3;
/// `*_STAT` and `*_STAT_ANY`: as `IPC_STAT`, by index.
const SHM_STATS: [i32; 2] = [13, 15];
const MSG_STATS: [i32; 2] = [11, 13];
const SEM_STATS: [i32; 2] = [18, 20];
const SHM_INFO: i32 = 14;
const MSG_INFO: i32 = 12;

/// A member of one of the `*_ds` structures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Word,
    Long,
    /// Seconds: a long, or two of a 32-bit guest's.
    Time,
    Half,
    /// A word that only the host's structure has (x86's `semid64_ds`).
    HostOnly,
}

use Member::{Half, HostOnly, Long, Time, Word};

/// `struct ipc64_perm`: key, uid, gid, cuid, cgid, mode, sequence number, padding, two unused longs.
const PERM: [Member; 10] = [Word, Word, Word, Word, Word, Word, Half, Half, Long, Long];
/// Segment size, attach, detach and change time, creator, last user, attachments.
const SHM: [Member; 9] = [Long, Time, Time, Time, Word, Word, Long, Long, Long];
/// Last operation and change time, number of semaphores.
const SEM: [Member; 7] = [Time, HostOnly, Time, HostOnly, Long, Long, Long];
/// Send, receive and change time, bytes, messages, most bytes, last sender and receiver.
const MSG: [Member; 10] = [Time, Time, Time, Long, Long, Long, Word, Word, Long, Long];
/// `struct shminfo`, `shm_info`, `msginfo` and `seminfo`: what `*_INFO` tells.
const SHM_LIMITS: [Member; 9] = [Long; 9];
const SHM_USE: [Member; 6] = [Word, Long, Long, Long, Long, Long];
const MSG_NUMBERS: [Member; 8] = [Word, Word, Word, Word, Word, Word, Word, Half];
const SEM_NUMBERS: [Member; 10] = [Word; 10];
/// The host's largest of them.
const DS: usize = 128;

/// How the seconds of a 32-bit guest's structure, the low words of which are longs, get their upper halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Highs {
    /// In a long after each.
    After,
    /// In a long before each.
    Before,
    /// In numbers of this many bytes in place of the two longs at the end.
    AtEnd(usize),
}

/// The structures with times, and what follows the permissions in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Object {
    Memory,
    Semaphores,
    Queue,
}

impl Object {
    fn members(self) -> &'static [Member] {
        match self {
            Object::Memory => &SHM,
            Object::Semaphores => &SEM,
            Object::Queue => &MSG,
        }
    }
}

/// Copies a `*_ds` structure to the guest's layout.
fn ds_to_guest(t: &Thread, host: &[u8], object: Object) -> Vec<u8> {
    let mut members: Vec<Member> = PERM.iter().chain(object.members()).copied().collect();
    let highs = t.process.abi.ipc_highs(object);
    let Highs::AtEnd(width) = highs else { return to_guest(t, host, &members, highs) };
    if t.layout().long == 8 {
        return to_guest(t, host, &members, highs);
    }
    members.truncate(members.len() - 2);
    let bytes = to_guest(t, host, &members, highs);
    let (mut r, mut w) = (Reader::new(HOST, host), t.writer());
    w.raw(&bytes);
    for member in &members {
        match (member, width) {
            (Time, 2) => w.u16((r.long() >> 32) as u16),
            (Time, _) => w.u32((r.long() >> 32) as u32),
            (Word, _) => (r.u32(), &mut w).1,
            (Half, _) => (r.u16(), &mut w).1,
            (Long | HostOnly, _) => (r.long(), &mut w).1,
        };
    }
    w.align(4).finish()
}

/// Copies members to the guest's layout.
fn to_guest(t: &Thread, host: &[u8], members: &[Member], highs: Highs) -> Vec<u8> {
    let narrow = t.layout().long == 4;
    let (mut r, mut w) = (Reader::new(HOST, host), t.writer());
    for member in members {
        match member {
            Word => w.u32(r.u32()),
            Half => w.u16(r.u16()),
            Long => w.long(r.long()),
            HostOnly => {
                r.long();
                &mut w
            }
            Time if narrow => {
                let time = r.long();
                match highs {
                    Highs::After => w.long(time).long(time >> 32),
                    Highs::Before => w.long(time >> 32).long(time),
                    Highs::AtEnd(_) => w.long(time),
                }
            }
            Time => w.long(r.long()),
        };
    }
    w.align(t.layout().long).finish()
}

/// Copies a guest's `*_ds` structure to the host's layout.
fn from_guest(t: &Thread, addr: u64, object: Object) -> Result<Vec<u8>, Errno> {
    let narrow = t.layout().long == 4;
    let highs = t.process.abi.ipc_highs(object);
    t.with_struct(addr, if narrow { 64 } else { 104 }, |r| {
        let mut w = Writer::new(HOST);
        for member in PERM.iter().chain(object.members()) {
            match member {
                Word => w.u32(r.u32()),
                Half => w.u16(r.u16()),
                Long => w.long(r.long()),
                HostOnly => w.long(0),
                // The kernel does not look at them.
                Time if narrow && !matches!(highs, Highs::AtEnd(_)) => w.long(r.long() | r.long() << 32),
                Time => w.long(r.long()),
            };
        }
        w.pad_to(DS).finish()
    })
}

/// `shmctl`, `msgctl` and the part of `semctl` that is like them; `head` are the arguments up to the command.
fn control(t: &Thread, number: i64, head: &[i32], stats: [i32; 2], place: u64, object: Object) -> SysResult {
    let command = head.last().copied().unwrap_or_default();
    let mut buffer = vec![0; DS];
    if command == IPC_SET {
        buffer = from_guest(t, place, object)?;
    }
    let mut args: Vec<Arg<'_>> = head.iter().map(|&n| n.into()).collect();
    args.push(Arg::output(&mut buffer));
    let result = host::call(number, &args)?;
    if command == IPC_STAT || stats.contains(&command) {
        let bytes = ds_to_guest(t, &buffer, object);
        t.write(place, &bytes)?;
    }
    Ok(result)
}

/// The system-wide numbers: `head` ends with the command.
fn information(t: &Thread, number: i64, head: &[i32], place: u64, members: &[Member]) -> SysResult {
    let mut buffer = vec![0; DS];
    let mut args: Vec<Arg<'_>> = head.iter().map(|&n| n.into()).collect();
    args.push(Arg::output(&mut buffer));
    let result = host::call(number, &args)?;
    let bytes = to_guest(t, &buffer, members, Highs::After);
    t.write(place, &bytes)?;
    Ok(result)
}

/// `shmctl`.
pub(super) fn shmctl(t: &mut Thread, a: &Args) -> SysResult {
    let (head, place) = ([a.int(0), a.int(1) & !IPC_64], a.get(2));
    match head[1] {
        IPC_INFO => information(t, libc::SYS_shmctl, &head, place, &SHM_LIMITS),
        SHM_INFO => information(t, libc::SYS_shmctl, &head, place, &SHM_USE),
        _ => control(t, libc::SYS_shmctl, &head, SHM_STATS, place, Object::Memory),
    }
}

/// `msgctl`.
pub(super) fn msgctl(t: &mut Thread, a: &Args) -> SysResult {
    let (head, place) = ([a.int(0), a.int(1) & !IPC_64], a.get(2));
    match head[1] {
        IPC_INFO | MSG_INFO => information(t, libc::SYS_msgctl, &head, place, &MSG_NUMBERS),
        _ => control(t, libc::SYS_msgctl, &head, MSG_STATS, place, Object::Queue),
    }
}

/// The size of a segment.
fn segment_size(id: i32) -> Result<u64, Errno> {
    let mut ds = [0; DS];
    host::call(libc::SYS_shmctl, &[id.into(), IPC_STAT.into(), Arg::output(&mut ds)])?;
    Ok(Reader::new(HOST, &ds).seek(48).u64())
}

/// `shmat`.
pub(super) fn shmat(t: &mut Thread, a: &Args) -> SysResult {
    let (id, flags) = (a.int(0), a.int(2));
    let has = |flag| flags & flag != 0;
    let size = segment_size(id)?.next_multiple_of(PAGE_SIZE);
    let addr = if has(libc::SHM_RND) { a.get(1) & !(PAGE_SIZE - 1) } else { a.get(1) };
    if !addr.is_multiple_of(PAGE_SIZE) || has(libc::SHM_REMAP) && addr == 0 {
        return Err(Errno::EINVAL);
    }
    let fixed = match (addr, has(libc::SHM_REMAP)) {
        (0, _) => Fixed::No,
        (_, true) => Fixed::Replace,
        _ => Fixed::NoReplace,
    };
    let write = if has(libc::SHM_RDONLY) { Prot::READ } else { Prot::RW };
    let prot = if has(libc::SHM_EXEC) { write.with(Prot::EXEC) } else { write };
    let request = MapRequest {
        addr_hint: addr,
        len: size,
        prot,
        fixed,
        shared: true,
        backing: Backing::Anonymous,
        ..MapRequest::default()
    };
    let place = t.process.mem.mmap(&request).map_err(|e| match Errno::from(e) {
        Errno::EEXIST => Errno::EINVAL,
        other => other,
    })?;
    let host_flags = (flags | libc::SHM_REMAP) & !libc::SHM_EXEC;
    let attached = host::call(libc::SYS_shmat, &[id.into(), t.source(place, size), host_flags.into()]);
    if let Err(e) = attached {
        let _ = t.process.mem.munmap(place, size);
        return Err(e);
    }
    lock(&t.process.segments).insert(place, size);
    Ok(place)
}

/// `shmdt`.
pub(super) fn shmdt(t: &mut Thread, a: &Args) -> SysResult {
    let size = lock(&t.process.segments).remove(&a.get(0)).ok_or(Errno::EINVAL)?;
    t.process.mem.munmap(a.get(0), size)?;
    Ok(0)
}

/// `semctl`.
pub(super) fn semctl(t: &mut Thread, a: &Args) -> SysResult {
    const GETALL: i32 = 13;
    const SETALL: i32 = 17;
    const SEM_INFO: i32 = 19;
    let (id, number, command) = (a.int(0), a.int(1), a.int(2) & !IPC_64);
    match command {
        GETALL | SETALL => semaphore_values(t, id, command, a.get(3)),
        IPC_SET | IPC_STAT | 18 | 20 => {
            control(t, libc::SYS_semctl, &[id, number, command], SEM_STATS, a.get(3), Object::Semaphores)
        }
        IPC_INFO | SEM_INFO => information(t, libc::SYS_semctl, &[id, number, command], a.get(3), &SEM_NUMBERS),
        _ => host::call(libc::SYS_semctl, &[id.into(), number.into(), command.into(), a.int(3).into()]),
    }
}

/// `GETALL` and `SETALL`: an array of 16-bit numbers.
fn semaphore_values(t: &Thread, id: i32, command: i32, place: u64) -> SysResult {
    let mut ds = [0; DS];
    host::call(libc::SYS_semctl, &[id.into(), 0.into(), IPC_STAT.into(), Arg::output(&mut ds)])?;
    // After the permissions and two times with padding.
    let count = Reader::new(HOST, &ds).seek(48 + 32).u64() as usize;
    let mut values = vec![0u16; count];
    if command == 17 {
        values = t.with_struct(place, 2 * count, |r| (0..count).map(|_| r.u16()).collect())?;
    }
    let result = host::call(libc::SYS_semctl, &[id.into(), 0.into(), command.into(), Arg::slice_mut(&mut values)])?;
    if command == 13 {
        let bytes = values.iter().fold(&mut t.writer(), |w, &v| w.u16(v)).finish();
        t.write(place, &bytes)?;
    }
    Ok(result)
}

/// `semop` and `semtimedop`: three 16-bit numbers an operation.
fn operate(t: &Thread, a: &Args, timeout: Option<libc::timespec>) -> SysResult {
    let count = a.get(2) as usize;
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    if count > 500 {
        return Err(Errno::E2BIG);
    }
    let operations = t.with_struct(a.get(1), 6 * count, |r| (0..3 * count).map(|_| r.u16()).collect::<Vec<_>>())?;
    let args = [a.int(0).into(), Arg::slice(&operations), count.into(), Arg::opt(timeout.as_ref())];
    host::blocking_once(libc::SYS_semtimedop, &args)
}

/// `semop`.
pub(super) fn semop(t: &mut Thread, a: &Args) -> SysResult {
    operate(t, a, None)
}

/// `semtimedop`.
pub(super) fn semtimedop(t: &mut Thread, a: &Args) -> SysResult {
    let timeout = t.read_timespec_opt(a.get(3), a.time64)?;
    operate(t, a, timeout)
}

/// The largest message that is passed on.
const MESSAGE: u64 = 1 << 24;

/// `msgsnd`: a long and the text.
pub(super) fn msgsnd(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(2) > MESSAGE {
        return Err(Errno::EINVAL);
    }
    let long = t.layout().long;
    let kind = t.with_struct(a.get(1), long, |r| r.slong())?;
    let text = t.read(a.get(1) + long as u64, a.get(2) as usize)?;
    let mut message = kind.to_le_bytes().to_vec();
    message.extend(text);
    host::blocking_once(libc::SYS_msgsnd, &[a.int(0).into(), Arg::input(&message), a.get(2).into(), a.int(3).into()])
}

/// `msgrcv`.
pub(super) fn msgrcv(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(2) > i64::MAX as u64 {
        return Err(Errno::EINVAL);
    }
    let size = a.get(2).min(MESSAGE);
    let mut message = vec![0; 8 + size as usize];
    let args = [a.int(0).into(), Arg::output(&mut message), size.into(), a.get(3).into(), a.int(4).into()];
    let len = host::blocking_once(libc::SYS_msgrcv, &args)?;
    let (kind, text) = message.split_at(8);
    let mut w = t.writer();
    w.long(Reader::new(HOST, kind).u64()).raw(&text[..len as usize]);
    t.write(a.get(1), &w.finish())?;
    Ok(len)
}

/// `struct mq_attr`: flags, most messages, largest message, messages, four unused longs.
fn read_attributes(t: &Thread, addr: u64) -> Result<Option<[u64; 8]>, Errno> {
    if addr == 0 {
        return Ok(None);
    }
    let abi = &t.process.abi;
    let mut longs = t.with_struct(addr, 8 * t.layout().long, |r| std::array::from_fn(|_| r.slong() as u64))?;
    longs[0] = abi.open_flags_to_host(longs[0] as i32) as u64;
    Ok(Some(longs))
}

/// `mq_open`.
pub(super) fn mq_open(t: &mut Thread, a: &Args) -> SysResult {
    let name = t.read_path(a.get(0))?;
    let flags = t.process.abi.open_flags_to_host(a.int(1));
    let attributes = read_attributes(t, a.get(3))?;
    let attributes = attributes.as_ref().map_or(Arg::NULL, |words| Arg::slice(words));
    host::call(libc::SYS_mq_open, &[Arg::path(&name), flags.into(), a.uint(2).into(), attributes])
}

/// `mq_timedsend`.
pub(super) fn mq_timedsend(t: &mut Thread, a: &Args) -> SysResult {
    let timeout = t.read_timespec_opt(a.get(4), a.time64)?;
    let text = t.source(a.get(1), a.get(2));
    let args = [a.int(0).into(), text, a.get(2).into(), a.uint(3).into(), Arg::opt(timeout.as_ref())];
    host::blocking(libc::SYS_mq_timedsend, &args)
}

/// `mq_timedreceive`.
pub(super) fn mq_timedreceive(t: &mut Thread, a: &Args) -> SysResult {
    let timeout = t.read_timespec_opt(a.get(4), a.time64)?;
    let text = t.target(a.get(1), a.get(2));
    let mut priority = 0u32;
    let place = Arg::from_mut(&mut priority);
    let args = [a.int(0).into(), text, a.get(2).into(), place, Arg::opt(timeout.as_ref())];
    let len = host::blocking(libc::SYS_mq_timedreceive, &args)?;
    if a.get(3) != 0 {
        t.write_u32(a.get(3), priority)?;
    }
    Ok(len)
}

/// `mq_notify`: by a signal. What the C library's threads need (SIGEV_THREAD, 32 bytes by pointer) passes too.
pub(super) fn mq_notify(t: &mut Thread, a: &Args) -> SysResult {
    const COOKIE: u64 = 32;
    if a.get(1) == 0 {
        return host::call(libc::SYS_mq_notify, &[a.int(0).into(), Arg::NULL]);
    }
    let mut event = t.read_sigevent(a.get(1))?;
    if (event[1] >> 32) as i32 == libc::SIGEV_THREAD {
        event[0] = t.source(event[0], COOKIE).raw() as u64;
    }
    host::call(libc::SYS_mq_notify, &[a.int(0).into(), Arg::slice(&event)])
}

/// `mq_getsetattr`.
pub(super) fn mq_getsetattr(t: &mut Thread, a: &Args) -> SysResult {
    let new = read_attributes(t, a.get(1))?;
    let mut old = [0u64; 8];
    let new = new.as_ref().map_or(Arg::NULL, |words| Arg::slice(words));
    host::call(libc::SYS_mq_getsetattr, &[a.int(0).into(), new, Arg::slice_mut(&mut old)])?;
    old[0] = t.process.abi.open_flags_to_guest(old[0] as i32) as u64;
    let bytes = t.writer().longs(&old).finish();
    t.write_opt(a.get(2), &bytes)?;
    Ok(0)
}
