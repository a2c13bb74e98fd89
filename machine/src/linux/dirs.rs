//! Records of directories, and positions in them as 32-bit guests have them.
//!
//! A position in a directory of ext4 is a hash: of 63 bits for a 64-bit process, and their upper 31 for a 32-bit one, n32 among them (Linux,
//! fs/ext4/dir.c, `hash2pos`). The host takes the emulator for a 64-bit process. C libraries refuse the long ones with EOVERFLOW.

use super::data::Reader;
use super::errno::Errno;
use super::fs::{self, HOST, transcode};
use super::host::{self, Arg};
use super::table::{Args, SysResult};
use super::thread::Thread;

/// Offset of the position in a record of `getdents64`, after the inode.
const POSITION: usize = 8;
/// Offset of the record's length, and of what follows it: the type, and the name.
const LENGTH: usize = 16;
const KIND: usize = 18;

/// The end of a hashed directory, for either kind of process.
const END_64: u64 = i64::MAX as u64;
const END_32: u64 = i32::MAX as u64;

/// `getdents64`: the same records on every machine but for the byte order, and positions.
pub(super) fn getdents64(t: &mut Thread, a: &Args) -> SysResult {
    let size = a.uint(2);
    if !t.layout().big && t.layout().long == 8 {
        let buffer = t.target(a.get(1), size.into());
        return host::call(libc::SYS_getdents64, &[a.int(0).into(), buffer, size.into()]);
    }
    let mut bytes = read(t, a.int(0), size as usize)?;
    for at in records(&bytes) {
        let head = transcode(&[8, 8, 2], &bytes[at..at + KIND], HOST, t.layout());
        bytes[at..at + KIND].copy_from_slice(&head);
    }
    t.write(a.get(1), &bytes)?;
    Ok(bytes.len() as u64)
}

/// `getdents`: records of two longs, their length, the name, and the type in the last byte.
pub(super) fn getdents(t: &mut Thread, a: &Args) -> SysResult {
    let long = t.layout().long;
    // A record is never longer here than in the host's form, whose head has 19 bytes.
    let bytes = read(t, a.int(0), a.uint(2) as usize)?;
    let mut all = Vec::new();
    for at in records(&bytes) {
        let mut r = Reader::new(HOST, &bytes[at..]);
        let (inode, position, size, kind) = (r.u64(), r.u64(), usize::from(r.u16()), r.u8());
        let name = bytes[at + KIND + 1..at + size].split(|&b| b == 0).next().unwrap_or_default();
        let record = (2 * long + 2 + name.len() + 2).next_multiple_of(long);
        let mut w = t.writer();
        w.long(inode).long(position).u16(record as u16).raw(name).pad_to(record - 1).u8(kind);
        all.extend(w.finish());
    }
    t.write(a.get(1), &all)?;
    Ok(all.len() as u64)
}

/// The next records in the host's form, as many as `room` bytes hold, with positions as the guest has them.
fn read(t: &Thread, fd: i32, room: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0u8; room.min(1 << 20)];
    let size = bytes.len();
    let len = host::call(libc::SYS_getdents64, &[fd.into(), Arg::output(&mut bytes), size.into()])? as usize;
    bytes.truncate(len);
    if t.layout().long == 4 {
        shorten(&mut bytes);
    }
    Ok(bytes)
}

/// Where records begin.
fn records(bytes: &[u8]) -> Vec<usize> {
    let length = |at: usize| usize::from(u16::from_le_bytes([bytes[at + LENGTH], bytes[at + LENGTH + 1]]));
    let whole = |at: &usize| at + KIND < bytes.len();
    std::iter::successors(Some(0).filter(whole), |at| Some(at + length(*at).max(KIND)).filter(whole)).collect()
}

/// Makes the positions those of a 32-bit process.
fn shorten(bytes: &mut [u8]) {
    let all = records(bytes);
    let position = |bytes: &[u8], at: usize| {
        u64::from_le_bytes(bytes[at + POSITION..at + LENGTH].try_into().expect("eight bytes"))
    };
    if all.iter().all(|at| position(bytes, *at) <= u64::from(u32::MAX)) {
        return;
    }
    for at in all {
        let short = position(bytes, at) >> 32;
        bytes[at + POSITION..at + LENGTH].copy_from_slice(&short.to_le_bytes());
    }
}

/// `lseek`.
pub(super) fn lseek(t: &mut Thread, a: &Args) -> SysResult {
    seek(t, a.int(0), a.get(1), a.int(2))
}

/// `_llseek` of 32-bit guests: the position in two halves, the result through a pointer.
pub(super) fn llseek(t: &mut Thread, a: &Args) -> SysResult {
    let at = seek(t, a.int(0), a.get(1) << 32 | a.get(2) & 0xffff_ffff, a.int(4))?;
    t.write_u64(a.get(3), at)?;
    Ok(0)
}

fn seek(t: &Thread, fd: i32, offset: u64, whence: i32) -> SysResult {
    if t.layout().long == 8 || !is_hashed(fd) {
        return host_seek(fd, offset, whence);
    }
    let offset = if offset == END_32 { END_64 } else { offset << 32 };
    Ok(host_seek(fd, offset, whence)? >> 32)
}

fn host_seek(fd: i32, offset: u64, whence: i32) -> SysResult {
    host::call(libc::SYS_lseek, &[fd.into(), offset.into(), whence.into()])
}

/// Is it a directory whose positions are hashes? Their end is what no size is.
fn is_hashed(fd: i32) -> bool {
    if !fs::stat_of(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFDIR) {
        return false;
    }
    let Ok(here) = host_seek(fd, 0, libc::SEEK_CUR) else { return false };
    let end = host_seek(fd, 0, libc::SEEK_END);
    host_seek(fd, here, libc::SEEK_SET).is_ok() && end == Ok(END_64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(position: u64, name: &[u8]) -> Vec<u8> {
        let len = (KIND + 1 + name.len() + 1).next_multiple_of(8);
        let mut bytes = [7u64.to_le_bytes(), position.to_le_bytes()].concat();
        bytes.extend((len as u16).to_le_bytes());
        bytes.push(libc::DT_REG);
        bytes.extend(name);
        bytes.resize(len, 0);
        bytes
    }

    fn shortened(positions: &[u64]) -> Vec<u64> {
        let mut bytes: Vec<u8> = positions.iter().flat_map(|at| record(*at, b"a name")).collect();
        shorten(&mut bytes);
        let starts = records(&bytes);
        starts.iter().map(|at| u64::from_le_bytes(bytes[at + POSITION..at + LENGTH].try_into().unwrap())).collect()
    }

    #[test]
    fn hashes_are_shortened_and_other_positions_are_not() {
        assert_eq!(shortened(&[1, 2, 0xffff_ffff]), [1, 2, 0xffff_ffff]);
        assert_eq!(shortened(&[0x12_0000_0034, 0x7fff_fffe_0000_0001, END_64]), [0x12, 0x7fff_fffe, END_32]);
        assert_eq!(shortened(&[0x5_0000_0000, 9]), [5, 0], "one directory, one kind");
        assert!(records(&[]).is_empty());
    }
}
