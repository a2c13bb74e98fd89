//! `read` and `write`, with the descriptors that tell numbers in the machine's own form.

use super::fs::{HOST, transcode};
use super::host::{self, Arg};
use super::table::{Args, PREAD, PWRITE, READ, SysResult, WRITE};
use super::thread::Thread;

/// What is behind a descriptor of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// eventfd and timerfd: a 64-bit number.
    Counter,
    /// `struct signalfd_siginfo`.
    Signals,
    /// `struct inotify_event`s.
    Watches,
}

/// Which kind of numbers a descriptor tells: its file has no type, and its name in `/proc` says what it is.
fn numbers_of(t: &Thread, fd: i32) -> Option<Numbers> {
    if !t.process.abi.translates_descriptors() {
        return None;
    }
    let mut stat: libc::stat = host::zeroed();
    host::call(libc::SYS_fstat, &[fd.into(), Arg::from_mut(&mut stat)]).ok()?;
    if stat.st_mode & libc::S_IFMT != 0 {
        return None;
    }
    let name = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    match name.to_str()? {
        "anon_inode:[eventfd]" | "anon_inode:[timerfd]" => Some(Numbers::Counter),
        "anon_inode:[signalfd]" => Some(Numbers::Signals),
        "anon_inode:inotify" => Some(Numbers::Watches),
        _ => None,
    }
}

/// `read`.
pub(super) fn read(t: &mut Thread, a: &Args) -> SysResult {
    if let Some(result) = t.transfer_memory(a, None, false) {
        return result;
    }
    let Some(numbers) = numbers_of(t, a.int(0)) else { return READ.pass_on(t, a, libc::SYS_read, host::blocking) };
    let mut bytes = vec![0; a.get(2).min(1 << 16) as usize];
    let room = bytes.len();
    let len = host::blocking(libc::SYS_read, &[a.int(0).into(), Arg::output(&mut bytes), room.into()])? as usize;
    bytes.truncate(len);
    let bytes = match numbers {
        Numbers::Counter => transcode(&[8], &bytes, HOST, t.layout()),
        Numbers::Signals => bytes.chunks_exact(SIGNAL).flat_map(|event| signal(t, event)).collect(),
        Numbers::Watches => watches(t, bytes),
    };
    t.write(a.get(1), &bytes)?;
    Ok(len as u64)
}

/// `write`.
pub(super) fn write(t: &mut Thread, a: &Args) -> SysResult {
    if let Some(result) = t.transfer_memory(a, None, true) {
        return result;
    }
    if a.get(2) != 8 || numbers_of(t, a.int(0)) != Some(Numbers::Counter) {
        return WRITE.pass_on(t, a, libc::SYS_write, host::blocking);
    }
    let value = t.read_u64(a.get(1))?;
    host::blocking(libc::SYS_write, &[a.int(0).into(), Arg::from_ref(&value), 8.into()])
}

/// `pread64`.
pub(super) fn pread64(t: &mut Thread, a: &Args) -> SysResult {
    let memory = t.transfer_memory(a, Some(a.get(3)), false);
    memory.unwrap_or_else(|| PREAD.pass_on(t, a, libc::SYS_pread64, host::blocking))
}

/// `pwrite64`.
pub(super) fn pwrite64(t: &mut Thread, a: &Args) -> SysResult {
    let memory = t.transfer_memory(a, Some(a.get(3)), true);
    memory.unwrap_or_else(|| PWRITE.pass_on(t, a, libc::SYS_pwrite64, host::blocking))
}

/// Bytes of `struct signalfd_siginfo`.
const SIGNAL: usize = 128;
/// Its members: signal, errno, code, pid, uid, fd, timer, band, overruns, trap number, status, int, pointer, three times
/// or addresses, the address's last bits, padding, system call, its address, architecture.
const SIGNAL_MEMBERS: [u8; 20] = [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 8, 8, 8, 8, 2, 2, 4, 8];

/// An event of signalfd as the guest has it.
fn signal(t: &Thread, event: &[u8]) -> Vec<u8> {
    let abi = &t.process.abi;
    let mut event = event.to_vec();
    let word = |event: &[u8], at: usize| i32::from_le_bytes([event[at], event[at + 1], event[at + 2], event[at + 3]]);
    let (number, code, status) = (word(&event, 0), word(&event, 8), word(&event, 40));
    event[..4].copy_from_slice(&abi.signal_to_guest(number).to_le_bytes());
    if number == libc::SIGCHLD && code > libc::CLD_EXITED {
        event[40..44].copy_from_slice(&abi.signal_to_guest(status).to_le_bytes());
    }
    let mut bytes = transcode(&SIGNAL_MEMBERS, &event, HOST, t.layout());
    bytes.resize(SIGNAL, 0);
    bytes
}

/// Events of inotify: four words, of which the last is the length of the name after them.
fn watches(t: &Thread, mut bytes: Vec<u8>) -> Vec<u8> {
    const HEAD: usize = 16;
    let mut at = 0;
    while let Some(head) = bytes.get_mut(at..at + HEAD) {
        let name = u32::from_le_bytes([head[12], head[13], head[14], head[15]]) as usize;
        let there = transcode(&[4, 4, 4, 4], head, HOST, t.layout());
        head.copy_from_slice(&there);
        at += HEAD + name;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_event_has_128_bytes() {
        let bytes: Vec<u8> = (0..128).collect();
        assert_eq!(
            transcode(&SIGNAL_MEMBERS, &bytes, HOST, HOST),
            bytes[..SIGNAL_MEMBERS.iter().map(|&w| usize::from(w)).sum()]
        );
    }
}
