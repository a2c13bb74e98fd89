//! Memory: the calls on the guest's mappings. What they mean is in [`crate::mem`].

use super::errno::Errno;
use super::host;
use super::table::{Args, SysResult};
use super::thread::Thread;
use crate::mem::{self, Backing, Fixed, MapRequest, MremapFlags, PAGE_SIZE, Prot};

impl From<mem::Errno> for Errno {
    fn from(e: mem::Errno) -> Errno {
        Errno(e.0)
    }
}

fn prot(bits: u64) -> Result<Prot, Errno> {
    u32::try_from(bits).ok().and_then(Prot::from_bits).ok_or(Errno::EINVAL)
}

/// `MAP_SHARED_VALIDATE` is for files, and for flags that are as old as `MAP_SHARED`, to which `MAP_SYNC` would be the exception
/// for a file in persistent memory.
fn check_validated(flags: i32) -> Result<(), Errno> {
    const HUGE_SIZE: i32 = 0x3f << 26;
    const OLD: i32 = libc::MAP_TYPE
        | libc::MAP_FIXED
        | libc::MAP_ANONYMOUS
        | libc::MAP_DENYWRITE
        | libc::MAP_EXECUTABLE
        | libc::MAP_GROWSDOWN
        | libc::MAP_LOCKED
        | libc::MAP_NORESERVE
        | libc::MAP_POPULATE
        | libc::MAP_NONBLOCK
        | libc::MAP_STACK
        | libc::MAP_HUGETLB
        | HUGE_SIZE;
    match flags & libc::MAP_TYPE {
        libc::MAP_SHARED_VALIDATE if flags & libc::MAP_ANONYMOUS != 0 => Err(Errno::EINVAL),
        libc::MAP_SHARED_VALIDATE if flags & !OLD != 0 => Err(Errno::EOPNOTSUPP),
        _ => Ok(()),
    }
}

fn map(t: &mut Thread, a: &Args, offset: u64) -> SysResult {
    let flags = t.process.abi.mmap_flags_to_host(a.int(3));
    let mut status = 0;
    if flags & libc::MAP_ANONYMOUS == 0 {
        status = host::call(libc::SYS_fcntl, &[a.int(4).into(), libc::F_GETFL.into()])? as i32;
        if status & libc::O_PATH != 0 {
            return Err(Errno::EBADF);
        }
    }
    if a.get(1) == 0 {
        return Err(Errno::EINVAL);
    }
    check_validated(flags)?;
    let shared = match flags & libc::MAP_TYPE {
        libc::MAP_SHARED | libc::MAP_SHARED_VALIDATE => true,
        libc::MAP_PRIVATE => false,
        _ => return Err(Errno::EINVAL),
    };
    let has = |flag| flags & flag != 0;
    if has(libc::MAP_HUGETLB) {
        return Err(Errno::ENOMEM);
    }
    if !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let fixed = match (has(libc::MAP_FIXED_NOREPLACE), has(libc::MAP_FIXED)) {
        (true, _) => Fixed::NoReplace,
        (_, true) => Fixed::Replace,
        _ => Fixed::No,
    };
    if has(libc::MAP_GROWSDOWN) && (shared || !has(libc::MAP_ANONYMOUS)) {
        return Err(Errno::EINVAL);
    }
    // Linux ignores bits that it does not know here.
    let prot = prot(a.get(2) & 7)?;
    let backing = if has(libc::MAP_ANONYMOUS) { Backing::Anonymous } else { Backing::File { fd: a.int(4), offset } };
    // The loader maps programs from anywhere: `emu run` does not execute a file for the host.
    if matches!(backing, Backing::File { fd, .. } if prot.contains(Prot::EXEC) && !t.process.mem.may_execute(fd)) {
        return Err(if status & libc::O_ACCMODE == libc::O_WRONLY { Errno::EACCES } else { Errno::EPERM });
    }
    let request = MapRequest {
        addr_hint: a.get(0),
        len: a.get(1),
        prot,
        fixed,
        shared,
        backing,
        grows_down: has(libc::MAP_GROWSDOWN),
        noreserve: has(libc::MAP_NORESERVE),
        populate: has(libc::MAP_POPULATE),
        locked: has(libc::MAP_LOCKED),
        name: None,
    };
    Ok(t.process.mem.mmap(&request)?)
}

/// `mmap`.
pub(super) fn mmap(t: &mut Thread, a: &Args) -> SysResult {
    map(t, a, a.get(5))
}

/// `mmap2`: the offset counts units of 4096 bytes.
pub(super) fn mmap2(t: &mut Thread, a: &Args) -> SysResult {
    map(t, a, a.get(5) << 12)
}

/// `munmap`.
pub(super) fn munmap(t: &mut Thread, a: &Args) -> SysResult {
    t.process.mem.munmap(a.get(0), a.get(1))?;
    Ok(0)
}

/// `mprotect`, `pkey_mprotect` without a key.
pub(super) fn mprotect(t: &mut Thread, a: &Args) -> SysResult {
    /// `PROT_GROWSDOWN`: from the start of the mapping on, which has to be one that grows. (`PROT_GROWSUP` is for none here.)
    const GROWS_DOWN: u64 = 0x0100_0000;
    let (mut start, end) = (a.get(0), a.get(0).wrapping_add(a.get(1)));
    if a.get(2) & GROWS_DOWN != 0 {
        let maps = t.process.mem.maps();
        let vma = maps.iter().find(|vma| vma.range.contains(&start) || vma.range.start < end && start < vma.range.end);
        start = vma.filter(|vma| vma.grows_down).ok_or(Errno::EINVAL)?.range.start;
    }
    t.process.mem.mprotect(start, end.wrapping_sub(start), prot(a.get(2) & !GROWS_DOWN)?)?;
    Ok(0)
}

/// `pkey_mprotect`: there are no keys but -1.
pub(super) fn pkey_mprotect(t: &mut Thread, a: &Args) -> SysResult {
    if a.int(3) == -1 { mprotect(t, a) } else { Err(Errno::EINVAL) }
}

/// `pkey_alloc`: as on a processor without keys.
pub(super) fn pkey_alloc(_: &mut Thread, a: &Args) -> SysResult {
    /// `PKEY_DISABLE_ACCESS` and `PKEY_DISABLE_WRITE`.
    const RIGHTS: u64 = 3;
    Err(if a.get(0) != 0 || a.get(1) & !RIGHTS != 0 { Errno::EINVAL } else { Errno::ENOSPC })
}

/// `pkey_free`: nobody has one.
pub(super) fn pkey_free(_: &mut Thread, _: &Args) -> SysResult {
    Err(Errno::EINVAL)
}

/// `mremap`.
pub(super) fn mremap(t: &mut Thread, a: &Args) -> SysResult {
    let bits = a.int(3);
    if rounded(t, a.get(2)) == 0 {
        return Err(Errno::EINVAL);
    }
    if bits & !(libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP) != 0 {
        return Err(Errno::EINVAL);
    }
    let flags = MremapFlags {
        may_move: bits & libc::MREMAP_MAYMOVE != 0,
        fixed: (bits & libc::MREMAP_FIXED != 0).then(|| a.get(4)),
        dont_unmap: bits & libc::MREMAP_DONTUNMAP != 0,
    };
    Ok(t.process.mem.mremap(a.get(0), a.get(1), a.get(2), flags)?)
}

/// `remap_file_pages`; the protection stays.
pub(super) fn remap_file_pages(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(2) != 0 {
        return Err(Errno::EINVAL);
    }
    t.process.mem.remap_file_pages(a.get(0), a.get(1), a.get(3), a.int(4))?;
    Ok(0)
}

/// `mseal`: there is none for 32-bit processors.
pub(super) fn mseal(t: &mut Thread, a: &Args) -> SysResult {
    if t.process.mem.address_bits() == 32 {
        return Err(Errno::ENOSYS);
    }
    if a.get(2) != 0 {
        return Err(Errno::EINVAL);
    }
    t.process.mem.seal(a.get(0), a.get(1))?;
    Ok(0)
}

/// `brk`.
pub(super) fn brk(t: &mut Thread, a: &Args) -> SysResult {
    Ok(t.process.mem.brk(a.get(0)))
}

/// `madvise`.
pub(super) fn madvise(t: &mut Thread, a: &Args) -> SysResult {
    t.process.mem.madvise(a.get(0), a.get(1), a.int(2))?;
    Ok(0)
}

/// A length rounded up to pages as the kernel does it: in a `long`, where the largest ones become 0.
fn rounded(t: &Thread, len: u64) -> u64 {
    let len = len.wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1);
    if t.layout().long == 4 { len & 0xffff_ffff } else { len }
}

/// `msync`.
pub(super) fn msync(t: &mut Thread, a: &Args) -> SysResult {
    t.process.mem.msync(a.get(0), rounded(t, a.get(1)), a.int(2))?;
    Ok(0)
}

/// The pages that `mlock` and its kin mean: they round the start down instead of refusing it.
fn pages(t: &Thread, a: &Args) -> Result<(u64, u64), Errno> {
    let start = a.get(0) & !(PAGE_SIZE - 1);
    let len = rounded(t, a.get(1).wrapping_add(a.get(0) - start));
    let narrow = t.layout().long == 4;
    let end = start.checked_add(len).filter(|end| !narrow || *end < 1 << 32);
    end.map(|_| (start, len)).ok_or(Errno::EINVAL)
}

/// `mlock`.
pub(super) fn mlock(t: &mut Thread, a: &Args) -> SysResult {
    let (start, len) = pages(t, a)?;
    t.process.mem.mlock(start, len, 0)?;
    Ok(0)
}

/// `mlock2`.
pub(super) fn mlock2(t: &mut Thread, a: &Args) -> SysResult {
    let flags = a.uint(2);
    if flags & !libc::MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    let (start, len) = pages(t, a)?;
    t.process.mem.mlock(start, len, flags)?;
    Ok(0)
}

/// `munlock`.
pub(super) fn munlock(t: &mut Thread, a: &Args) -> SysResult {
    let (start, len) = pages(t, a)?;
    t.process.mem.munlock(start, len)?;
    Ok(0)
}

/// `mlockall`: the guest's mappings, not the emulator's. Future ones are not locked.
pub(super) fn mlockall(t: &mut Thread, a: &Args) -> SysResult {
    let flags = a.int(0);
    if flags == 0 || flags & !(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & libc::MCL_CURRENT != 0 {
        for vma in t.process.mem.maps().iter().filter(|vma| vma.prot != Prot::NONE) {
            t.process.mem.mlock(vma.range.start, vma.range.end - vma.range.start, 0)?;
        }
    }
    Ok(0)
}

/// `munlockall`.
pub(super) fn munlockall(t: &mut Thread, _: &Args) -> SysResult {
    for vma in t.process.mem.maps() {
        t.process.mem.munlock(vma.range.start, vma.range.end - vma.range.start)?;
    }
    Ok(0)
}

/// `mincore`.
pub(super) fn mincore(t: &mut Thread, a: &Args) -> SysResult {
    let pages = t.process.mem.mincore(a.get(0), a.get(1))?;
    t.write(a.get(2), &pages)?;
    Ok(0)
}

/// `cacheflush` of MIPS: whichever cache is meant, the code of the range is stale.
pub(super) fn cacheflush(t: &mut Thread, a: &Args) -> SysResult {
    let (start, len) = (a.get(0), a.get(1));
    if len == 0 {
        return Ok(0);
    }
    let end = start.checked_add(len).filter(|end| *end <= t.process.mem.task_size()).ok_or(Errno::EFAULT)?;
    t.vcpu.invalidate_code(Some(start..end));
    Ok(0)
}

/// `riscv_flush_icache`: the code of the range is stale, on all harts whatever the flags say.
pub(super) fn riscv_flush_icache(t: &mut Thread, a: &Args) -> SysResult {
    const LOCAL: u64 = 1;
    if a.get(2) & !LOCAL != 0 {
        return Err(Errno::EINVAL);
    }
    let (start, end) = (a.get(0), a.get(1));
    t.vcpu.invalidate_code((start < end).then_some(start..end));
    Ok(0)
}
