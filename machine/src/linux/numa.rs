//! Where memory lies: the policies of NUMA machines. Sets of nodes are arrays of `unsigned long`.
#![forbid(unsafe_code)]

use super::errno::Errno;
use super::host::{self, Arg};
use super::table::{Args, SysResult};
use super::thread::Thread;

/// The most nodes that a set may have room for (the bits of a page).
const MOST: u64 = 8 * 4096;

/// A set of `count` nodes, of which the kernel ignores the last, as words of 64 bits.
fn read_nodes(t: &Thread, addr: u64, count: u64) -> Result<Option<Vec<u64>>, Errno> {
    let count = count.wrapping_sub(1);
    if addr == 0 || count == 0 {
        return Ok(None);
    }
    if count > MOST {
        return Err(Errno::EINVAL);
    }
    let long = t.layout().long;
    let longs = count.div_ceil(8 * long as u64) as usize;
    let mut words = vec![0; count.div_ceil(64) as usize];
    t.with_struct(addr, longs * long, |r| {
        for i in 0..longs {
            let shift = if long == 4 { 32 * (i % 2) } else { 0 };
            words[i * long / 8] |= r.long() << shift;
        }
    })?;
    Ok(Some(words))
}

fn nodes(set: &Option<Vec<u64>>) -> Arg<'_> {
    set.as_ref().map_or(Arg::NULL, |words| Arg::slice(words))
}

/// `set_mempolicy`.
pub(super) fn set_mempolicy(t: &mut Thread, a: &Args) -> SysResult {
    let set = read_nodes(t, a.get(1), a.get(2))?;
    host::call(libc::SYS_set_mempolicy, &[a.int(0).into(), nodes(&set), a.get(2).into()])
}

/// `mbind`.
pub(super) fn mbind(t: &mut Thread, a: &Args) -> SysResult {
    let set = read_nodes(t, a.get(3), a.get(4))?;
    let place = t.process.mem.host_ptr(a.get(0), a.get(1)).ok_or(Errno::EINVAL)? as usize;
    let args = [place.into(), a.get(1).into(), a.uint(2).into(), nodes(&set), a.get(4).into(), a.uint(5).into()];
    host::call(libc::SYS_mbind, &args)
}

/// `get_mempolicy`.
pub(super) fn get_mempolicy(t: &mut Thread, a: &Args) -> SysResult {
    let count = a.get(2).min(MOST);
    let mut words = vec![0u64; count.div_ceil(64) as usize + 1];
    let mut mode = 0u32;
    let set = if a.get(1) == 0 { Arg::NULL } else { Arg::slice_mut(&mut words) };
    let place = if a.get(3) == 0 { Arg::NULL } else { t.source(a.get(3), 1) };
    let result = host::call(
        libc::SYS_get_mempolicy,
        &[Arg::from_mut(&mut mode), set, a.get(2).into(), place, a.uint(4).into()],
    )?;
    if a.get(0) != 0 {
        t.write_u32(a.get(0), mode)?;
    }
    if a.get(1) != 0 {
        let long = t.layout().long;
        let longs = count.saturating_sub(1).div_ceil(8 * long as u64) as usize;
        let mut w = t.writer();
        for i in 0..longs {
            w.long(words[i * long / 8] >> (8 * (i * long % 8)));
        }
        t.write(a.get(1), &w.finish())?;
    }
    Ok(result)
}

/// `set_mempolicy_home_node`.
pub(super) fn set_mempolicy_home_node(t: &mut Thread, a: &Args) -> SysResult {
    let place = t.process.mem.host_ptr(a.get(0), a.get(1)).ok_or(Errno::EINVAL)? as usize;
    host::call(libc::SYS_set_mempolicy_home_node, &[place.into(), a.get(1).into(), a.get(2).into(), a.get(3).into()])
}

/// `migrate_pages`.
pub(super) fn migrate_pages(t: &mut Thread, a: &Args) -> SysResult {
    let old = read_nodes(t, a.get(2), a.get(1))?;
    let new = read_nodes(t, a.get(3), a.get(1))?;
    host::call(libc::SYS_migrate_pages, &[a.int(0).into(), a.get(1).into(), nodes(&old), nodes(&new)])
}

/// `move_pages`: pages by their addresses, to nodes or (without nodes) to be asked where they are.
pub(super) fn move_pages(t: &mut Thread, a: &Args) -> SysResult {
    /// Pages of one call to the host.
    const AT_ONCE: u64 = 4096;
    let (long, mem) = (t.layout().long as u64, &t.process.mem);
    let mut done = 0;
    let mut result = 0;
    loop {
        let count = (a.get(1) - done).min(AT_ONCE) as usize;
        let given = t.with_struct(a.get(2).wrapping_add(done * long), count * long as usize, |r| {
            (0..count).map(|_| r.long()).collect::<Vec<_>>()
        })?;
        let pages: Vec<u64> = given.iter().map(|page| mem.host_ptr(*page, 1).map_or(0, |at| at as u64)).collect();
        let at = |array: u64| array.wrapping_add(4 * done);
        let targets = match a.get(3) {
            0 => None,
            array => Some(t.with_struct(at(array), 4 * count, |r| (0..count).map(|_| r.u32()).collect::<Vec<_>>())?),
        };
        let mut status = vec![0u32; count];
        let targets = targets.as_ref().map_or(Arg::NULL, |list| Arg::slice(list));
        let args = [a.int(0).into(), count.into(), Arg::slice(&pages), targets, Arg::slice_mut(&mut status)];
        result += host::call(libc::SYS_move_pages, &[&args[..], &[a.int(5).into()]].concat())?;
        let status: Vec<u32> = status.iter().map(|&s| status_to_guest(t, s)).collect();
        t.write(at(a.get(4)), &t.writer().u32s(&status).finish())?;
        done += count as u64;
        if done >= a.get(1) {
            return Ok(result);
        }
    }
}

/// A node, or an error number less than 0.
fn status_to_guest(t: &Thread, status: u32) -> u32 {
    match status as i32 {
        error @ -4095..0 => -t.process.abi.errno_to_guest(Errno(-error)) as u32,
        _ => status,
    }
}
