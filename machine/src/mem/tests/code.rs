use super::*;
use std::ops::Range;

/// Remembers what it is told.
#[derive(Default)]
struct Log(Mutex<Vec<Range<u64>>>);

impl CodeWatch for Log {
    fn invalidate(&self, range: Range<u64>) {
        self.0.lock().unwrap().push(range);
    }
}

impl Log {
    /// What came since the last time, as page numbers relative to [`AT`].
    fn take(&self) -> Vec<Range<u64>> {
        let page = |addr: u64| (addr - AT) / PAGE_SIZE;
        std::mem::take(&mut *self.0.lock().unwrap()).iter().map(|r| page(r.start)..page(r.end)).collect()
    }
}

fn watched(pages: u64, prot: Prot) -> (GuestMemory, Arc<Log>) {
    let mem = with_pages(pages, prot);
    let log = Arc::new(Log::default());
    mem.set_code_watch(log.clone());
    (mem, log)
}

fn page(n: u64) -> u64 {
    AT + n * PAGE_SIZE
}

#[test]
fn stores_to_code_are_told_and_done() {
    let (mem, log) = watched(4, Prot::RWX);
    assert!(mem.protect_code(page(1)) && mem.protect_code(page(2)));
    let epoch = mem.code_epoch();
    mem.store(page(3), 8, 1).unwrap();
    assert_eq!((mem.code_epoch(), log.take()), (epoch, vec![]), "another page");
    mem.store(page(1) + 5, 2, 0x1234).unwrap();
    assert_eq!((mem.load(page(1) + 5, 2), log.take()), (Ok(0x1234), vec![1..2]));
    assert!(mem.code_epoch() > epoch && !mem.is_code(page(1)) && mem.is_code(page(2)));
    mem.store(page(1) + 5, 2, 0).unwrap();
    assert_eq!(log.take(), vec![], "it is no page of code any more");
    assert!(mem.protect_code(page(1)));
    mem.write_bytes(page(0), &[7; 3 * 4096]).unwrap();
    assert_eq!(log.take(), vec![1..2, 2..3]);
    assert_eq!(mem.load(page(3) - 4, 4), Ok(0x0707_0707));
    assert!(mem.protect_code(page(1)) && mem.protect_code(page(2)));
    mem.store(page(2) - 1, 2, 0xaaaa).unwrap();
    assert_eq!(log.take(), vec![1..3], "a store to both");
    assert!(mem.protect_code(page(1)));
    assert_eq!(mem.atomic_rmw(AtomicOp::Add, page(1), 4, 1), Ok(0x0707_0707));
    assert_eq!(log.take(), vec![1..2]);
}

#[test]
fn faults_of_generated_code_are_resolved() {
    let (mem, log) = watched(3, Prot::RWX);
    assert!(mem.protect_code(page(1)));
    let resolve = |addr, access| mem.resolve_fault(addr, 4, access, false);
    assert_eq!(resolve(page(1) + 8, AccessKind::Read), FaultAction::Retry);
    let epoch = mem.code_epoch();
    assert_eq!(resolve(page(1) + 8, AccessKind::Write), FaultAction::CodeWritten(page(1)..page(2)));
    assert!(mem.code_epoch() > epoch, "a translation that is being made is stale");
    assert_eq!(resolve(page(1) + 8, AccessKind::Write), FaultAction::Retry, "another thread was first");
    assert_eq!(mem.stale_code(), [page(1)..page(2)], "until the caller has told");
    mem.mprotect(page(2), PAGE_SIZE, Prot::RX).unwrap();
    let deliver = fault(page(2), AccessKind::Write, FaultCause::Protected);
    assert_eq!(resolve(page(2) - 2, AccessKind::Write), FaultAction::Deliver(deliver));
    assert_eq!(log.take(), vec![], "the caller tells");
    mem.code_written(page(1)..page(2));
    assert_eq!((log.take(), mem.stale_code()), (vec![1..2], vec![]));
}

/// Looks at the list of stale code while it is told.
struct Nested(std::sync::Weak<GuestMemory>, Log);

impl CodeWatch for Nested {
    fn invalidate(&self, range: Range<u64>) {
        let list = self.0.upgrade().unwrap().stale_code();
        assert!(list.contains(&range), "{range:x?} is not in {list:x?}");
        self.1.invalidate(range);
    }
}

#[test]
fn code_is_stale_until_the_watch_has_been_told() {
    let mem = Arc::new(with_pages(8, Prot::RWX));
    let watch = Arc::new(Nested(Arc::downgrade(&mem), Log::default()));
    mem.set_code_watch(watch.clone());
    let changes: [fn(&GuestMemory); 6] = [
        |m| m.store(page(1), 8, 1).unwrap(),
        |m| assert!(m.prepare_write(page(1), 8)),
        |m| m.mprotect(page(1), PAGE_SIZE, Prot::RW).unwrap(),
        |m| m.madvise(page(1), PAGE_SIZE, libc::MADV_DONTNEED).unwrap(),
        |m| {
            assert!(
                m.mremap(page(1), PAGE_SIZE, 2 * PAGE_SIZE, MremapFlags { may_move: true, ..Default::default() })
                    .is_ok()
            )
        },
        |m| m.munmap(page(1), PAGE_SIZE).unwrap(),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        mem.mmap(&request(page(1), 1, Prot::RWX)).unwrap();
        watch.1.take();
        assert!(mem.protect_code(page(1)), "{i}");
        change(&mem);
        assert_eq!((watch.1.take(), mem.stale_code()), (vec![1..2], vec![]), "{i}");
    }
}

#[test]
fn the_kernel_may_write_to_code() {
    let (mem, log) = watched(4, Prot::RWX);
    assert!(!mem.prepare_write(AT, 4 * PAGE_SIZE));
    assert!(mem.protect_code(page(1)) && mem.protect_code(page(3)));
    assert!(!mem.prepare_write(page(0), PAGE_SIZE));
    assert!(mem.prepare_write(page(0) + 10, 2 * PAGE_SIZE));
    assert_eq!(log.take(), vec![1..2]);
    assert!(mem.is_code(page(3)));
    assert!(!mem.prepare_write(u64::MAX, 10) && !mem.prepare_write(page(1), 0));
}

#[test]
fn changed_mappings_are_told() {
    type Change = fn(&GuestMemory);
    let table: [(&str, Prot, Change, Vec<Range<u64>>); 9] = [
        ("munmap", Prot::RX, |m| m.munmap(page(0), 8 * PAGE_SIZE).unwrap(), vec![2..4]),
        ("partial munmap", Prot::RWX, |m| m.munmap(page(3), PAGE_SIZE).unwrap(), vec![3..4]),
        ("writable", Prot::RX, |m| m.mprotect(page(0), 8 * PAGE_SIZE, Prot::RWX).unwrap(), vec![2..4]),
        ("no more code", Prot::RX, |m| m.mprotect(page(2), PAGE_SIZE, Prot::READ).unwrap(), vec![2..3]),
        ("read-only now", Prot::RWX, |m| m.mprotect(page(0), 8 * PAGE_SIZE, Prot::RX).unwrap(), vec![]),
        ("mmap over", Prot::RX, |m| assert!(m.mmap(&request(page(0), 3, Prot::RW)).is_ok()), vec![2..3]),
        ("emptied", Prot::RWX, |m| m.madvise(page(2), PAGE_SIZE, libc::MADV_DONTNEED).unwrap(), vec![2..3]),
        ("moved", Prot::RWX, |m| assert!(m.mremap(page(0), 8 * PAGE_SIZE, 9 * PAGE_SIZE, MOVE).is_ok()), vec![2..4]),
        ("elsewhere", Prot::RX, |m| m.munmap(page(4), PAGE_SIZE).unwrap(), vec![]),
    ];
    const MOVE: MremapFlags = MremapFlags { may_move: true, fixed: Some(AT + (1 << 20)), dont_unmap: false };
    for (name, prot, change, told) in table {
        let (mem, log) = watched(8, prot);
        assert!(mem.protect_code(page(2)) && mem.protect_code(page(3)));
        let epoch = mem.code_epoch();
        change(&mem);
        assert_eq!(log.take(), told, "{name}");
        assert_eq!(mem.code_epoch() > epoch, !told.is_empty(), "{name}");
    }
}

#[test]
fn code_that_became_writable_again_is_guarded() {
    let (mem, log) = watched(1, Prot::RWX);
    assert!(mem.protect_code(AT));
    mem.mprotect(AT, PAGE_SIZE, Prot::RX).unwrap();
    assert!(mem.is_code(AT));
    assert_eq!(mem.store(AT, 1, 0).map_err(|f| f.cause), Err(FaultCause::Protected));
    mem.mprotect(AT, PAGE_SIZE, Prot::RWX).unwrap();
    assert_eq!(log.take(), vec![0..1]);
    mem.store(AT, 1, 1).unwrap();
    assert_eq!(log.take(), vec![]);
}

#[test]
fn only_executable_pages_hold_code() {
    let (mem, _) = watched(1, Prot::RW);
    assert!(!mem.protect_code(AT));
    assert!(!mem.protect_code(AT + KIB64));
    assert!(!mem.protect_code(u64::MAX));
}

#[test]
fn many_writers_of_one_page() {
    let (mem, log) = watched(1, Prot::RWX);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let count = AtomicU64::new(0);
    std::thread::scope(|s| {
        for t in 0..3 {
            let (mem, stop, count) = (&mem, &stop, &count);
            s.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    mem.store(AT + 8 * t, 8, 1).unwrap();
                    mem.atomic_rmw(AtomicOp::Add, AT + 64, 8, 1).unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        (0..2_000).for_each(|_| assert!(mem.protect_code(AT)));
        while log.0.lock().unwrap().is_empty() {
            assert!(mem.protect_code(AT));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(mem.load(AT + 64, 8), Ok(count.into_inner()));
}
