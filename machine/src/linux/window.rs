//! What keeps exclusive windows of several processes apart: an advisory lock (flock(2)) on the emulator's own file.
//!
//! All processes of a run execute that file, whoever forked or executed them, so that nothing has to be handed over; and the host's kernel
//! takes the lock away from a process that is killed. Two runs on the same memory exclude each other as well.

use super::errno::Errno;
use super::host;
use crate::engine::{WINDOW_PATIENCE, WindowLock};
use std::any::Any;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Instant;

/// The lock.
#[derive(Debug)]
pub struct OwnFile;

/// The file, locked until this is dropped.
struct Locked(File);

impl WindowLock for OwnFile {
    fn lock(&self) -> Option<Box<dyn Any>> {
        // Without a descriptor or `/proc` the sequence is compared with what other processes do, as on a processor of one's own it would
        // not be; failing always would be worse.
        let Some(file) = open() else { return Some(Box::new(())) };
        let began = Instant::now();
        loop {
            match flock(&file, libc::LOCK_EX | libc::LOCK_NB) {
                Err(Errno::EAGAIN | Errno::EINTR) if began.elapsed() < WINDOW_PATIENCE => {
                    std::thread::yield_now();
                }
                Err(Errno::EAGAIN | Errno::EINTR) => return None,
                _ => return Some(Box::new(Locked(file))),
            }
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // A process that was forked meanwhile has the descriptor as well.
        let _ = flock(&self.0, libc::LOCK_UN);
    }
}

fn flock(file: &File, how: i32) -> Result<u64, Errno> {
    host::call(libc::SYS_flock, &[file.as_raw_fd().into(), how.into()])
}

/// Descriptors of ours are out of the way of the guest's.
const FROM: i32 = 900;

fn open() -> Option<File> {
    let file = File::open("/proc/self/exe").ok()?;
    let moved = host::call(libc::SYS_fcntl, &[file.as_raw_fd().into(), libc::F_DUPFD_CLOEXEC.into(), FROM.into()]);
    Some(moved.map_or(file, |fd| host::own_file(fd as i32)))
}
