//! The memory of tracees: words by ptrace, bytes by `/proc/PID/mem`, and what else `/proc` shows of them.
#![forbid(unsafe_code)]

use super::block::{Snapshot, read_bytes, request, word};
use super::tracer::{State, Tracee};
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg};
use crate::linux::process::lock;
use crate::linux::procfs;
use crate::linux::table::{Args, SysResult};
use crate::linux::thread::Thread;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};
use std::sync::Mutex;

/// The descriptors of files like `/proc/PID/mem`, with the process that each is about.
#[derive(Debug, Default)]
pub(in crate::linux) struct MemoryFiles(Mutex<BTreeMap<i32, i32>>);

impl MemoryFiles {
    /// Keeps others out, for a fork.
    pub(in crate::linux) fn hold(&self) -> impl Sized + '_ {
        lock(&self.0)
    }
}

/// The most bytes that are copied at once.
const CHUNK: u64 = 1 << 20;

/// The process of a path `/proc/PID/...` or `/proc/PID/task/TID/...`, and the rest.
fn process_entry(path: &Path) -> Option<(i32, String)> {
    let rest = path.strip_prefix("/proc").ok()?;
    let mut parts = rest.components().map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let first: i32 = parts.next()??.parse().ok()?;
    let names: Vec<&str> = parts.collect::<Option<_>>()?;
    match names[..] {
        ["task", tid, file] => Some((tid.parse().ok()?, file.to_string())),
        [file] => Some((first, file.to_string())),
        _ => None,
    }
}

impl Thread {
    /// A tracee of the calling thread that has this id or is of this process and stopped at the breakpoint.
    fn tracee_of(&self, pid: i32) -> Option<(i32, Tracee)> {
        let all = self.process.tracees.of(self.tid);
        let is = |(tid, tracee): &&(i32, Tracee)| *tid == pid || tracee.process == pid;
        let known: Vec<_> = all.iter().filter(is).copied().collect();
        let stopped = known.iter().find(|(_, tracee)| tracee.state == State::Stopped);
        stopped.or(known.iter().find(|(_, tracee)| tracee.block != 0)).copied()
    }

    /// Reads a tracee's memory.
    pub(super) fn read_tracee(&self, tid: i32, snapshot: &Snapshot, addr: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let at = host_address(snapshot, addr, bytes.len() as u64)?;
        read_bytes(tid, at, bytes).map_err(|e| if e == Errno::EFAULT { Errno::EIO } else { e })
    }

    /// Writes a tracee's memory, also where it may not write itself. What it may not even read is not written.
    pub(super) fn write_tracee(
        &self,
        tid: i32,
        tracee: &Tracee,
        snapshot: &Snapshot,
        addr: u64,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        self.read_tracee(tid, snapshot, addr, &mut vec![0; bytes.len()])?;
        let file = OpenOptions::new().write(true).open(format!("/proc/{tid}/mem"))?;
        file.write_all_at(bytes, snapshot.get(word::BASE) + addr)?;
        self.forget_tracee_code(tid, tracee, snapshot, addr, bytes.len() as u64)
    }

    /// Opens a file of `/proc` about a tracee; `None` for all others.
    pub(in crate::linux) fn open_tracee_file(&self, path: &Path, flags: i32) -> Option<SysResult> {
        if !self.process.tracees.any() {
            return None;
        }
        let (pid, name) = process_entry(path)?;
        let (tid, tracee) = self.tracee_of(pid)?;
        if name == "mem" {
            return Some(self.open_memory(tracee.process, flags));
        }
        if name == procfs::EXE {
            return None;
        }
        let content = self.tracee_file(tid, &tracee, &name)?;
        Some(if flags & libc::O_ACCMODE == libc::O_RDONLY {
            procfs::file_with(&content, flags)
        } else {
            Err(Errno::EACCES)
        })
    }

    /// What the guest sees in a tracee's file, made by the tracee itself.
    fn tracee_file(&self, tid: i32, tracee: &Tracee, name: &str) -> Option<Vec<u8>> {
        let index = procfs::index(name)?;
        if tracee.state != State::Stopped {
            return None;
        }
        if let Some(known) = lock(&self.process.tracees.files).get(&(tid, index)) {
            return Some(known.clone());
        }
        let answer = self.ask_tracee(tid, tracee, [request::FILE, index as u64, 0]).ok()?;
        let mut bytes = vec![0; answer.get(word::LENGTH) as usize];
        read_bytes(tid, answer.get(word::ARGUMENT), &mut bytes).ok()?;
        lock(&self.process.tracees.files).insert((tid, index), bytes.clone());
        Some(bytes)
    }

    /// The program of a tracee, by the path of its `exe`, as the guest (`procfs::EXE`) or the host (`HOST_EXE`) has it.
    pub(in crate::linux) fn tracee_exe(&self, path: &Path, whose: &str) -> Option<Vec<u8>> {
        if !self.process.tracees.any() {
            return None;
        }
        let (pid, _) = process_entry(path).filter(|(_, name)| name == procfs::EXE)?;
        let (tid, tracee) = self.tracee_of(pid)?;
        self.tracee_file(tid, &tracee, whose)
    }

    /// Opens the memory of a tracee's process or the thread's own.
    pub(in crate::linux) fn open_memory(&self, pid: i32, flags: i32) -> SysResult {
        // The descriptor is the host's, of all of the process's memory: whoever has it by another number has the emulator's, too.
        if self.confined().is_some() {
            return Err(Errno::EACCES);
        }
        let path = std::ffi::CString::new(format!("/proc/{pid}/mem")).map_err(|_| Errno::EINVAL)?;
        let fd = host::call(libc::SYS_openat, &[libc::AT_FDCWD.into(), Arg::path(&path), flags.into(), 0.into()])?;
        lock(&self.process.memory_files.0).insert(fd as i32, pid);
        Ok(fd)
    }

    /// The process whose memory is behind a descriptor.
    fn memory_file(&self, fd: i32) -> Option<i32> {
        let mut all = lock(&self.process.memory_files.0);
        let pid = *all.get(&fd)?;
        let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        if process_entry(&link).is_some_and(|(_, name)| name == "mem") {
            return Some(pid);
        }
        // It was closed, and is something else now.
        all.remove(&fd);
        None
    }

    /// `read`, `write`, `pread64` and `pwrite64` of a tracee's memory; `None` for all other descriptors.
    pub(in crate::linux) fn transfer_memory(&self, a: &Args, at: Option<u64>, writes: bool) -> Option<SysResult> {
        let pid = self.memory_file(a.int(0))?;
        Some(self.transfer_memory_of(pid, a, at, writes))
    }

    fn transfer_memory_of(&self, pid: i32, a: &Args, at: Option<u64>, writes: bool) -> SysResult {
        let seek = |to: u64, whence: i32| host::call(libc::SYS_lseek, &[a.int(0).into(), to.into(), whence.into()]);
        let start = at.map_or_else(|| seek(0, libc::SEEK_CUR), Ok)?;
        let owner = if pid == host::pid() {
            Owner::Own
        } else {
            // Nobody's memory any more: the file is empty.
            let Some((tid, tracee)) = self.tracee_of(pid) else { return Ok(0) };
            match self.stopped_tracee(tid) {
                Ok((tracee, snapshot)) => Owner::Tracee(tid, tracee, Box::new(snapshot)),
                Err(_) if !writes => Owner::Tracee(tid, tracee, Box::new(Snapshot::read(tid, tracee.block)?)),
                Err(e) => return Err(e),
            }
        };
        let mut done = 0;
        let len = a.get(2).min(CHUNK);
        while done < len {
            // What is left of a page: what comes before a hole is transferred.
            let addr = start + done;
            let part = (crate::mem::PAGE_SIZE - addr % crate::mem::PAGE_SIZE).min(len - done);
            let result = self.transfer_page(&owner, (addr, a.get(1) + done, part), writes);
            match result {
                Ok(()) => done += part,
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
        }
        if at.is_none() {
            seek(start + done, libc::SEEK_SET)?;
        }
        Ok(done)
    }

    fn transfer_page(&self, owner: &Owner, (there, here, len): (u64, u64, u64), writes: bool) -> Result<(), Errno> {
        let mut bytes = if writes { self.read(here, len as usize)? } else { vec![0; len as usize] };
        match owner {
            Owner::Own if writes => self.write_own(there, &bytes)?,
            Owner::Own => self.process.mem.read_bytes(there, &mut bytes).map_err(|_| Errno::EIO)?,
            Owner::Tracee(tid, tracee, snapshot) if writes => {
                self.write_tracee(*tid, tracee, snapshot, there, &bytes)?;
            }
            Owner::Tracee(tid, _, snapshot) => self.read_tracee(*tid, snapshot, there, &mut bytes)?,
        }
        if writes { Ok(()) } else { self.write(here, &bytes) }
    }

    /// Writes the process's own memory, also where it may not write.
    fn write_own(&self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mem = &self.process.mem;
        mem.read_bytes(addr, &mut vec![0; bytes.len()]).map_err(|_| Errno::EIO)?;
        let file = OpenOptions::new().write(true).open("/proc/self/mem")?;
        file.write_all_at(bytes, mem.base() as u64 + addr)?;
        mem.code_written(whole_pages(addr, bytes.len() as u64));
        Ok(())
    }
}

/// Whose memory a file is.
enum Owner {
    Own,
    Tracee(i32, Tracee, Box<Snapshot>),
}

/// The pages of a range.
pub(super) fn whole_pages(at: u64, len: u64) -> Range<u64> {
    const PAGE: u64 = crate::mem::PAGE_SIZE;
    at & !(PAGE - 1)..(at + len).next_multiple_of(PAGE)
}

/// Where guest memory is in the tracee's process.
fn host_address(snapshot: &Snapshot, addr: u64, len: u64) -> Result<u64, Errno> {
    let end = addr.checked_add(len).filter(|end| *end <= snapshot.get(word::LIMIT)).ok_or(Errno::EIO)?;
    Ok(snapshot.get(word::BASE) + end - len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_processes() {
        let entry = |path: &str| process_entry(Path::new(path));
        assert_eq!(entry("/proc/12/mem"), Some((12, "mem".into())));
        assert_eq!(entry("/proc/12/task/13/maps"), Some((13, "maps".into())));
        assert_eq!(entry("/proc/self/mem"), None);
        assert_eq!(entry("/proc/12/fd/0"), None);
        assert_eq!(entry("/etc/passwd"), None);
    }
}
