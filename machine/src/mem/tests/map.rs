use super::*;
use std::os::fd::AsRawFd;

#[test]
fn places_go_down_from_the_top() {
    let mem = memory();
    let any = MapRequest { len: 1, prot: Prot::RW, ..MapRequest::default() };
    let first = mem.mmap(&any).unwrap();
    assert_eq!(first, 0x40_0000_0000 - (128 << 20) - PAGE_SIZE);
    assert_eq!(mem.mmap(&any), Ok(first - PAGE_SIZE));
    assert_eq!(mem.maps().len(), 1, "they join");
    let hinted = mem.mmap(&MapRequest { addr_hint: 0x5000_0123, ..any.clone() }).unwrap();
    assert_eq!(hinted, 0x5000_0000, "a free hint is taken");
    assert_eq!(mem.mmap(&MapRequest { addr_hint: hinted, ..any.clone() }), Ok(first - 2 * PAGE_SIZE));
    assert_eq!(mem.mmap(&MapRequest { addr_hint: 1, ..any }), Ok(first - 3 * PAGE_SIZE), "mmap_min_addr");
}

#[test]
fn bad_requests_are_refused() {
    let mem = with_pages(4, Prot::RW);
    let good = request(AT, 1, Prot::RW);
    let table = [
        (MapRequest { len: 0, ..good.clone() }, Errno::EINVAL),
        (MapRequest { addr_hint: AT + 1, ..good.clone() }, Errno::EINVAL),
        (MapRequest { len: u64::MAX, ..good.clone() }, Errno::ENOMEM),
        (MapRequest { len: 1 << 39, ..good.clone() }, Errno::ENOMEM),
        (MapRequest { len: 1 << 38, fixed: Fixed::No, ..good.clone() }, Errno::ENOMEM),
        (MapRequest { addr_hint: (1 << 38) - PAGE_SIZE, len: 2 * PAGE_SIZE, ..good.clone() }, Errno::ENOMEM),
        (MapRequest { addr_hint: 0, ..good.clone() }, Errno::EPERM),
        (MapRequest { fixed: Fixed::NoReplace, ..good.clone() }, Errno::EEXIST),
        (MapRequest { backing: Backing::File { fd: 0, offset: 1 }, ..good.clone() }, Errno::EINVAL),
        (MapRequest { backing: Backing::File { fd: 12345, offset: 0 }, ..good.clone() }, Errno(libc::EBADF)),
    ];
    for (request, errno) in table {
        assert_eq!(mem.mmap(&request), Err(errno), "{request:?}");
    }
    assert_eq!(layout(&mem), [(0..4, 3)], "nothing has changed");
    assert_eq!(mem.load(AT, 8), Ok(0));
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let backing = Backing::File { fd: file.as_raw_fd(), offset: 0 };
    assert_eq!(mem.mmap(&MapRequest { backing, shared: true, ..good }), Err(Errno::EACCES), "open for reading only");
    assert_eq!(mem.munmap(AT, 0), Err(Errno::EINVAL));
    assert_eq!(mem.munmap(AT + 1, 1), Err(Errno::EINVAL));
    assert_eq!(mem.munmap(AT, u64::MAX - PAGE_SIZE), Err(Errno::EINVAL));
    assert_eq!(mem.mprotect(AT + 1, 1, Prot::RW), Err(Errno::EINVAL));
    assert_eq!(mem.mprotect(AT, 0, Prot::RW), Ok(()));
    assert_eq!(mem.madvise(AT, PAGE_SIZE, 12345), Err(Errno::EINVAL));
}

#[test]
fn holes_and_protection_split_mappings() {
    let mem = with_pages(10, Prot::RW);
    mem.mprotect(AT + 2 * PAGE_SIZE, 2 * PAGE_SIZE, Prot::READ).unwrap();
    assert_eq!(layout(&mem), [(0..2, 3), (2..4, 1), (4..10, 3)]);
    mem.munmap(AT + 3 * PAGE_SIZE, 2 * PAGE_SIZE).unwrap();
    assert_eq!(layout(&mem), [(0..2, 3), (2..3, 1), (5..10, 3)]);
    assert_eq!(mem.mprotect(AT, 10 * PAGE_SIZE, Prot::NONE), Err(Errno::ENOMEM), "there is a hole");
    assert_eq!(layout(&mem), [(0..3, 0), (5..10, 3)], "what is before it has changed");
    assert_eq!(mem.load(AT, 1).map_err(|f| f.cause), Err(FaultCause::Protected));
    assert_eq!(mem.load(AT + 3 * PAGE_SIZE, 1).map_err(|f| f.cause), Err(FaultCause::Unmapped));
    assert_eq!(mem.prot_at(AT), Some(Prot::NONE));
    assert_eq!(mem.prot_at(AT + 3 * PAGE_SIZE), None);
    mem.mmap(&request(AT + 3 * PAGE_SIZE, 2, Prot::RW)).unwrap();
    mem.mprotect(AT, 10 * PAGE_SIZE, Prot::RW).unwrap();
    assert_eq!(layout(&mem), [(0..10, 3)]);
    mem.munmap(AT - KIB64, 1 << 30).unwrap();
    assert_eq!(layout(&mem), []);
}

#[test]
fn write_only_pages_can_be_read() {
    let mem = with_pages(1, Prot::WRITE);
    mem.store(AT, 4, 7).unwrap();
    assert_eq!(mem.load(AT, 4), Ok(7));
    assert_eq!(mem.prot_at(AT), Some(Prot::WRITE));
}

#[test]
fn mapping_over_gives_fresh_pages() {
    let mem = with_pages(3, Prot::RW);
    mem.write_bytes(AT, &[1; 3 * 4096]).unwrap();
    mem.mmap(&request(AT + PAGE_SIZE, 1, Prot::RW)).unwrap();
    assert_eq!(mem.load(AT + PAGE_SIZE - 4, 8), Ok(0x0101_0101));
    assert_eq!(mem.load(AT + 2 * PAGE_SIZE - 4, 8), Ok(0x0101_0101_0000_0000));
    mem.madvise(AT, PAGE_SIZE, libc::MADV_DONTNEED).unwrap();
    assert_eq!(mem.load(AT, 8), Ok(0));
    assert_eq!(mem.madvise(AT, 4 * PAGE_SIZE, libc::MADV_DONTNEED), Err(Errno::ENOMEM));
    assert_eq!(mem.load(AT + 2 * PAGE_SIZE, 8), Ok(0), "the mapped part was done");
}

#[test]
fn files_show_their_identity() {
    let mem = memory();
    let exe = std::fs::File::open("/proc/self/exe").unwrap();
    let backing = Backing::File { fd: exe.as_raw_fd(), offset: 4096 };
    mem.mmap(&MapRequest { backing, ..request(AT, 2, Prot::READ) }).unwrap();
    let maps = mem.maps();
    let file = maps[0].file.as_ref().unwrap();
    let path = std::fs::read_link("/proc/self/exe").unwrap();
    assert_eq!(file.path, path.as_os_str().as_encoded_bytes());
    assert_eq!(maps[0].offset, 4096);
    mem.munmap(AT, PAGE_SIZE).unwrap();
    assert_eq!(mem.maps()[0].offset, 8192);
}

#[test]
fn private_file_pages_are_copied() {
    let mem = memory();
    let file = file_of(b"original");
    let backing = Backing::File { fd: file.as_raw_fd(), offset: 0 };
    mem.mmap(&MapRequest { backing, ..request(AT, 1, Prot::RW) }).unwrap();
    mem.mmap(&MapRequest { backing, ..request(AT + KIB64, 1, Prot::READ) }).unwrap();
    mem.write_bytes(AT, b"changed!").unwrap();
    assert_eq!(mem.read_cstr(AT + KIB64, 20), Ok(b"original".to_vec()));
}

#[test]
fn remap_shrinks_grows_and_moves() {
    let mem = with_pages(4, Prot::RW);
    let may_move = MremapFlags { may_move: true, ..MremapFlags::default() };
    let stay = MremapFlags::default();
    mem.store(AT, 8, 42).unwrap();
    assert_eq!(mem.mremap(AT, 4 * PAGE_SIZE, 2 * PAGE_SIZE, stay), Ok(AT));
    assert_eq!(layout(&mem), [(0..2, 3)]);
    assert_eq!(mem.mremap(AT, 2 * PAGE_SIZE, 6 * PAGE_SIZE, stay), Ok(AT), "in place");
    assert_eq!(mem.load(AT + 5 * PAGE_SIZE, 8), Ok(0));
    mem.mmap(&request(AT + 6 * PAGE_SIZE, 1, Prot::READ)).unwrap();
    assert_eq!(mem.mremap(AT, 6 * PAGE_SIZE, 8 * PAGE_SIZE, stay), Err(Errno::ENOMEM));
    let moved = mem.mremap(AT, 6 * PAGE_SIZE, 8 * PAGE_SIZE, may_move).unwrap();
    assert_ne!(moved, AT);
    assert_eq!(mem.load(moved, 8), Ok(42));
    assert_eq!(mem.load(moved + 8 * PAGE_SIZE - 8, 8), Ok(0));
    assert_eq!(mem.load(AT, 8).map_err(|f| f.cause), Err(FaultCause::Unmapped));
    let to = MremapFlags { fixed: Some(AT), ..may_move };
    assert_eq!(mem.mremap(moved, 8 * PAGE_SIZE, 7 * PAGE_SIZE, to), Ok(AT));
    assert_eq!(layout(&mem), [(0..7, 3)], "the read-only page was replaced");
    assert_eq!(mem.load(AT, 8), Ok(42));
    let errors = [
        (AT + 1, 1, 1, may_move, Errno::EINVAL),
        (AT, PAGE_SIZE, 0, may_move, Errno::EINVAL),
        (AT, PAGE_SIZE, PAGE_SIZE, MremapFlags { fixed: Some(AT), ..may_move }, Errno::EINVAL),
        (AT, PAGE_SIZE, PAGE_SIZE, MremapFlags { fixed: Some(AT + KIB64), ..stay }, Errno::EINVAL),
        (AT, 0, PAGE_SIZE, may_move, Errno::EINVAL),
        (AT, 9 * PAGE_SIZE, 10 * PAGE_SIZE, may_move, Errno::EFAULT),
        (AT - KIB64, PAGE_SIZE, 2 * PAGE_SIZE, may_move, Errno::EFAULT),
    ];
    for (old, old_len, new_len, flags, errno) in errors {
        assert_eq!(mem.mremap(old, old_len, new_len, flags), Err(errno), "{old:x} {old_len} {new_len} {flags:?}");
    }
}

#[test]
fn remap_can_leave_the_old_place_mapped() {
    let mem = with_pages(2, Prot::RW);
    mem.store(AT, 8, 42).unwrap();
    let flags = MremapFlags { may_move: true, dont_unmap: true, fixed: None };
    let moved = mem.mremap(AT, 2 * PAGE_SIZE, 2 * PAGE_SIZE, flags).unwrap();
    assert_eq!((mem.load(moved, 8), mem.load(AT, 8)), (Ok(42), Ok(0)));
}

#[test]
fn shared_pages_can_be_mapped_twice() {
    let mem = memory();
    mem.mmap(&MapRequest { shared: true, ..request(AT, 2, Prot::RW) }).unwrap();
    let again = mem.mremap(AT, 0, 2 * PAGE_SIZE, MremapFlags { may_move: true, ..Default::default() }).unwrap();
    mem.store(AT + 8, 4, 99).unwrap();
    assert_eq!(mem.load(again + 8, 4), Ok(99));
}

#[test]
fn remap_during_access() {
    // Moving never shows a reader anything but the value or "unmapped".
    let mem = with_pages(1, Prot::RW);
    mem.store(AT, 8, 7).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            let (mut from, mut to) = (AT, AT + KIB64);
            for _ in 0..2_000 {
                let flags = MremapFlags { may_move: true, fixed: Some(to), dont_unmap: false };
                mem.mremap(from, PAGE_SIZE, PAGE_SIZE, flags).unwrap();
                std::mem::swap(&mut from, &mut to);
            }
            stop.store(true, Ordering::Relaxed);
        });
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                match mem.load(AT, 8) {
                    Ok(value) => assert_eq!(value, 7),
                    Err(f) => assert_eq!(f, fault(AT, AccessKind::Read, FaultCause::Unmapped)),
                }
            }
        });
    });
}

#[test]
fn the_heap_grows_and_shrinks() {
    let mem = memory();
    mem.set_brk_start(AT + 1);
    let start = AT + PAGE_SIZE;
    assert_eq!(mem.brk(0), start);
    assert_eq!(mem.brk(start + 10), start + 10);
    mem.store(start, 8, 1).unwrap();
    assert_eq!(mem.brk(start + 3 * PAGE_SIZE), start + 3 * PAGE_SIZE);
    assert_eq!(mem.load(start, 8), Ok(1));
    assert_eq!(layout(&mem), [(1..4, 3)]);
    assert_eq!(mem.maps()[0].name, Some("[heap]"));
    assert_eq!(mem.brk(start + PAGE_SIZE + 1), start + PAGE_SIZE + 1);
    assert_eq!(layout(&mem), [(1..3, 3)]);
    mem.brk(start + 3 * PAGE_SIZE);
    assert_eq!(mem.load(start + 2 * PAGE_SIZE, 8), Ok(0), "zeroed again");
    mem.mmap(&request(AT + (1 << 20), 1, Prot::RW)).unwrap();
    assert_eq!(mem.brk(AT + (2 << 20)), start + 3 * PAGE_SIZE, "something is in the way");
    assert_eq!(mem.brk(start - 1), start + 3 * PAGE_SIZE);
    assert_eq!(mem.brk(start), start);
    assert_eq!(mem.brk(u64::MAX), start);
}

#[test]
fn residency_and_locks() {
    let mem = with_pages(3, Prot::RW);
    mem.store(AT + PAGE_SIZE, 1, 1).unwrap();
    assert_eq!(mem.mincore(AT, 3 * PAGE_SIZE).map(|v| v[1] & 1), Ok(1));
    assert_eq!(mem.mincore(AT, 4 * PAGE_SIZE), Err(Errno::ENOMEM));
    assert_eq!(mem.mlock(AT + 5, PAGE_SIZE, 0), Ok(()));
    assert!(mem.maps()[0].locked && mem.maps()[0].range.end == AT + 2 * PAGE_SIZE);
    assert_eq!(mem.munlock(AT, 3 * PAGE_SIZE), Ok(()));
    assert_eq!(mem.maps().len(), 1);
    assert_eq!(mem.mlock(AT, 5 * PAGE_SIZE, 0), Err(Errno::ENOMEM));
    assert_eq!(mem.msync(AT, PAGE_SIZE, libc::MS_SYNC), Ok(()));
    assert_eq!(mem.msync(AT, PAGE_SIZE, 0x80), Err(Errno::EINVAL));
    assert_eq!(mem.msync(AT, 5 * PAGE_SIZE, libc::MS_ASYNC), Err(Errno::ENOMEM));
}

#[test]
fn huge_reservations_are_cheap() {
    let mem = memory();
    let huge = MapRequest { len: 100 << 30, noreserve: true, ..MapRequest::default() };
    let addr = mem.mmap(&huge).unwrap();
    mem.mprotect(addr + (50 << 30), 1 << 20, Prot::RW).unwrap();
    mem.store(addr + (50 << 30), 8, 1).unwrap();
    mem.munmap(addr, 100 << 30).unwrap();
    assert!(mem.maps().is_empty());
    assert_eq!(mem.load(addr + (50 << 30), 8).map_err(|f| f.cause), Err(FaultCause::Unmapped));
}

#[test]
fn thirty_two_bits() {
    let mem = GuestMemory::new(32).unwrap();
    assert_eq!((mem.limit(), mem.task_size()), (1 << 32, 0x9fc0_0000));
    let any = MapRequest { len: 1, prot: Prot::RW, ..MapRequest::default() };
    assert_eq!(mem.mmap(&any), Ok(0x9fc0_0000 - (128 << 20) - PAGE_SIZE));
    let mips = GuestMemory::with_task_size(32, 0x7fff_8000).unwrap();
    assert_eq!(mips.mmap(&any), Ok(0x7fff_8000 - (128 << 20) - PAGE_SIZE));
    assert_eq!(mips.mmap(&MapRequest { len: 1 << 31, ..any }), Err(Errno::ENOMEM));
}

#[test]
fn limits_count_what_they_are_for() {
    let mem = with_pages(4, Prot::RW);
    let pages = |n: u64| n * PAGE_SIZE;
    let limits = MemoryLimits { all: pages(10), data: pages(6), own: pages(7) };
    mem.set_limits(limits);
    assert_eq!(mem.limits(), limits);
    let at = |page: u64, n, prot| request(AT + pages(page), n, prot);
    assert_eq!(mem.mmap(&at(4, 7, Prot::NONE)), Err(Errno::ENOMEM), "everything");
    assert_eq!(mem.mmap(&at(4, 3, Prot::RW)), Err(Errno::ENOMEM), "data");
    let shared = MapRequest { shared: true, ..at(4, 4, Prot::READ) };
    assert_eq!(mem.mmap(&shared), Err(Errno::ENOMEM), "shared memory without a file is not the host's");
    assert_eq!(mem.mmap(&at(4, 6, Prot::READ)), Ok(AT + pages(4)), "what cannot be written is no data");
    assert_eq!(mem.mmap(&at(10, 1, Prot::NONE)), Err(Errno::ENOMEM));
    // What is replaced does not count.
    assert_eq!(mem.mmap(&at(2, 4, Prot::RW)), Ok(AT + pages(2)));
    assert_eq!(mem.mprotect(AT + pages(6), pages(1), Prot::RW), Err(Errno::ENOMEM), "data by another name");
    assert_eq!(layout(&mem), [(0..6, 3), (6..10, 1)], "nothing has changed");
    mem.munmap(AT, pages(1)).unwrap();
    assert_eq!(mem.mprotect(AT + pages(6), pages(1), Prot::RW), Ok(()));
    let grow =
        |n| mem.mremap(AT + pages(9), pages(1), pages(n), MremapFlags { may_move: true, ..MremapFlags::default() });
    assert_eq!(grow(3), Err(Errno::ENOMEM));
    assert_eq!(grow(2), Ok(AT + pages(9)));
    // Under a limit that has been passed, what exists can change and shrink.
    mem.set_limits(MemoryLimits { all: 0, data: 0, own: 0 });
    assert_eq!(mem.mprotect(AT + pages(1), pages(5), Prot::READ), Ok(()));
    assert_eq!(mem.mprotect(AT + pages(1), pages(1), Prot::RW), Err(Errno::ENOMEM));
    assert_eq!(mem.mmap(&at(20, 1, Prot::NONE)), Err(Errno::ENOMEM));
    mem.set_limits(MemoryLimits::NONE);
    assert_eq!(mem.mmap(&at(20, 100, Prot::RW)), Ok(AT + pages(20)));
}

#[test]
fn the_heap_has_limits() {
    let mem = memory();
    mem.set_brk_start(AT);
    mem.set_limits(MemoryLimits { data: 3 * PAGE_SIZE, ..MemoryLimits::NONE });
    assert_eq!(mem.brk(AT + 3 * PAGE_SIZE), AT + 3 * PAGE_SIZE);
    assert_eq!(mem.brk(AT + 3 * PAGE_SIZE + 1), AT + 3 * PAGE_SIZE, "the old end");
    assert_eq!(mem.brk(AT + PAGE_SIZE), AT + PAGE_SIZE);
}
