use super::*;
use AccessKind::{Read, Write};
use FaultCause::{Bus, Misaligned, Protected, Unmapped};
use emu_ir::{Env, Fetch};
use std::os::fd::AsRawFd;

#[test]
fn all_widths_round_trip() {
    let mem = with_pages(1, Prot::RW);
    for bytes in [1u8, 2, 4, 8] {
        let value = 0x8182_8384_8586_8788 & (u64::MAX >> (64 - 8 * u32::from(bytes)));
        mem.store(AT + 13, bytes, u64::MAX).unwrap();
        mem.store(AT + 13, bytes, value).unwrap();
        assert_eq!(mem.load(AT + 13, bytes), Ok(value));
    }
    mem.write_u32(AT, 0x1234_5678).unwrap();
    assert_eq!(mem.read_u8(AT), Ok(0x78), "little endian");
    assert_eq!(mem.read_u64(AT), Ok(0x1234_5678));
}

#[test]
fn faults_name_the_first_bad_byte() {
    let mem = with_pages(2, Prot::RW);
    mem.mprotect(AT + PAGE_SIZE, PAGE_SIZE, Prot::READ).unwrap();
    let (border, end) = (AT + PAGE_SIZE, AT + 2 * PAGE_SIZE);
    for bytes in [2u8, 4, 8] {
        for before in 1..u64::from(bytes) {
            assert_eq!(mem.store(border - before, bytes, 1), Err(fault(border, Write, Protected)));
            assert_eq!(mem.load(border - before, bytes), Ok(0), "nothing was stored");
            assert_eq!(mem.load(end - before, bytes), Err(fault(end, Read, Unmapped)));
            assert_eq!(mem.store(end - before, bytes, 1), Err(fault(end - before, Write, Protected)));
            assert_eq!(mem.load(AT - before, bytes), Err(fault(AT - before, Read, Unmapped)));
        }
    }
}

#[test]
fn wild_addresses_fault() {
    for mem in [memory(), GuestMemory::new(32).unwrap()] {
        for addr in [0, 1, mem.limit() - 1, mem.limit(), mem.limit() + 1, 1 << 47, 1 << 63, u64::MAX - 3, u64::MAX] {
            assert_eq!(mem.load(addr, 8), Err(fault(addr, Read, Unmapped)));
            assert_eq!(mem.store(addr, 4, 0), Err(fault(addr, Write, Unmapped)));
            assert_eq!(mem.read_bytes(addr, &mut [0; 100]), Err(fault(addr, Read, Unmapped)));
            assert_eq!(mem.write_bytes(addr, &[0; 100]), Err(fault(addr, Write, Unmapped)));
            assert_eq!(mem.read_cstr(addr, 100), Err(fault(addr, Read, Unmapped)));
            assert_eq!(mem.fetch(addr, 2).map_err(|f| f.addr), Err(addr));
        }
        assert_eq!(mem.atomic_cas(1 << 50, 8, 0, 0), Err(fault(1 << 50, Write, Unmapped)));
        assert_eq!(mem.host_ptr(mem.limit(), 1), None);
        assert_eq!(mem.host_ptr(u64::MAX, 2), None);
    }
}

#[test]
fn the_last_page_is_exact() {
    let mem = memory();
    let last = mem.task_size() - PAGE_SIZE;
    mem.mmap(&request(last, 1, Prot::RW)).unwrap();
    assert_eq!(mem.load(mem.limit() - 8, 8), Ok(0));
    assert_eq!(mem.load(mem.limit() - 4, 8), Err(fault(mem.limit(), Read, Unmapped)));
    assert_eq!(mem.store(mem.limit() - 1, 2, 0), Err(fault(mem.limit(), Write, Unmapped)));
    assert_eq!(mem.write_bytes(last, &[1; 5000]), Err(fault(mem.limit(), Write, Unmapped)));
}

#[test]
fn copies_stop_at_the_exact_byte() {
    let mem = with_pages(2, Prot::RW);
    let end = AT + 2 * PAGE_SIZE;
    let data: Vec<u8> = (0..8192u32).map(|i| (i * 7 + 1) as u8).collect();
    mem.write_bytes(AT, &data).unwrap();
    let mut back = vec![0; 8192];
    mem.read_bytes(AT, &mut back).unwrap();
    assert_eq!(back, data);
    for start in [1u64, 8, 63, 64, 4095, 4096, 5000, 8191] {
        let mut buf = vec![0; 9000];
        assert_eq!(mem.read_bytes(AT + start, &mut buf), Err(fault(end, Read, Unmapped)));
        let copied = 8192 - start as usize;
        assert_eq!(buf[..copied], data[start as usize..], "what came before the fault was read");
        assert!(buf[copied..].iter().all(|b| *b == 0));
        assert_eq!(mem.write_bytes(AT + start, &data[start as usize..][..copied]), Ok(()));
        assert_eq!(mem.write_bytes(AT + start, &vec![3; copied + 1]), Err(fault(end, Write, Unmapped)));
        mem.write_bytes(AT, &data).unwrap();
    }
    assert_eq!(mem.read_bytes(0, &mut []), Ok(()), "nothing is read from nowhere");
}

#[test]
fn strings_end_before_what_is_not_there() {
    let mem = with_pages(1, Prot::RW);
    let end = AT + PAGE_SIZE;
    mem.write_bytes(end - 6, b"hello\0").unwrap();
    assert_eq!(mem.read_cstr(end - 6, 4096), Ok(b"hello".to_vec()));
    assert_eq!(mem.read_cstr(end - 6, 3), Ok(b"hel".to_vec()));
    mem.write_bytes(end - 1, b"!").unwrap();
    assert_eq!(mem.read_cstr(end - 6, 4096), Err(fault(end, Read, Unmapped)));
    mem.write_bytes(AT, &[b'x'; 3000]).unwrap();
    assert_eq!(mem.read_cstr(AT, 4096).map(|s| s.len()), Ok(3000));
}

#[test]
fn beyond_the_end_of_a_file_is_a_bus_error() {
    let mem = memory();
    let file = file_of(&[5; 4097]);
    let backing = Backing::File { fd: file.as_raw_fd(), offset: 0 };
    mem.mmap(&MapRequest { backing, shared: true, ..request(AT, 4, Prot::RW) }).unwrap();
    assert_eq!(mem.read_u8(AT + 4096), Ok(5));
    assert_eq!(mem.read_u8(AT + 4097), Ok(0));
    let beyond = AT + 2 * PAGE_SIZE;
    assert_eq!(mem.load(beyond + 8, 8), Err(fault(beyond + 8, Read, Bus)));
    assert_eq!(mem.load(beyond - 3, 8), Err(fault(beyond, Read, Bus)));
    assert_eq!(mem.store(beyond - 1, 2, 0), Err(fault(beyond, Write, Bus)));
    assert_eq!(mem.read_bytes(AT, &mut [0; 12288]), Err(fault(beyond, Read, Bus)));
    assert_eq!(mem.read_cstr(beyond, 10), Err(fault(beyond, Read, Bus)));
    assert_eq!(mem.atomic_cas(beyond, 4, 0, 1), Err(fault(beyond, Write, Bus)));
    mem.write_u8(AT + 1, 9).unwrap();
    let mut first = [0; 2];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut first, 0).unwrap();
    assert_eq!(first, [5, 9], "shared with the file");
}

#[test]
fn atomics_compute() {
    let mem = with_pages(1, Prot::RW);
    let minus = |n: u64, bytes: u8| n.wrapping_neg() & (u64::MAX >> (64 - 8 * u32::from(bytes)));
    for bytes in [1u8, 2, 4, 8] {
        let m = |n| minus(n, bytes);
        let table = [
            (AtomicOp::Swap, 5, m(1), m(1)),
            (AtomicOp::Add, m(1), 3, 2),
            (AtomicOp::And, 0b1100, 0b1010, 0b1000),
            (AtomicOp::Or, 0b1100, 0b1010, 0b1110),
            (AtomicOp::Xor, 0b1100, 0b1010, 0b0110),
            (AtomicOp::MinS, m(2), 1, m(2)),
            (AtomicOp::MaxS, m(2), 1, 1),
            (AtomicOp::MinU, m(2), 1, 1),
            (AtomicOp::MaxU, m(2), 1, m(2)),
        ];
        for (op, old, value, new) in table {
            mem.store(AT, 8, u64::MAX).unwrap();
            mem.store(AT, bytes, old).unwrap();
            assert_eq!(mem.atomic_rmw(op, AT, bytes, value), Ok(old), "{op:?} {bytes}");
            assert_eq!(mem.load(AT, bytes), Ok(new), "{op:?} {bytes}");
            if bytes < 8 {
                assert_eq!(mem.load(AT + u64::from(bytes), 1), Ok(0xff), "{op:?} {bytes}: only its bytes");
            }
        }
        mem.store(AT, bytes, 7).unwrap();
        assert_eq!(mem.atomic_cas(AT, bytes, 8, 9), Ok(7));
        assert_eq!(mem.load(AT, bytes), Ok(7));
        assert_eq!(mem.atomic_cas(AT, bytes, 7, m(1)), Ok(7));
        assert_eq!(mem.load(AT, bytes), Ok(m(1)));
        if bytes > 1 {
            assert_eq!(mem.atomic_cas(AT + 1, bytes, 0, 0), Err(fault(AT + 1, Write, Misaligned)));
        }
    }
    mem.mprotect(AT, PAGE_SIZE, Prot::READ).unwrap();
    assert_eq!(mem.atomic_rmw(AtomicOp::Add, AT, 4, 0), Err(fault(AT, Write, Protected)));
    assert_eq!(mem.atomic_cas(AT, 8, 1, 2), Err(fault(AT, Write, Protected)), "also if it would not store");
}

#[test]
fn atomics_are_atomic() {
    let mem = with_pages(1, Prot::RW);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..20_000 {
                    mem.atomic_rmw(AtomicOp::Add, AT, 4, 1).unwrap();
                    mem.atomic_rmw(AtomicOp::Xor, AT + 8, 2, 0xffff).unwrap();
                }
            });
        }
    });
    assert_eq!((mem.load(AT, 8), mem.load(AT + 8, 8)), (Ok(80_000), Ok(0)));
}

#[test]
fn many_threads_may_fault() {
    let mem = with_pages(64, Prot::RW);
    std::thread::scope(|s| {
        for t in 0..4u64 {
            let mem = &mem;
            s.spawn(move || {
                let _stack = crate::mem::access::ThreadStack::new().unwrap();
                for i in 0..2_000 {
                    let bad = AT + (64 + t * 1000 + i) * PAGE_SIZE + t;
                    assert_eq!(mem.load(bad, 8), Err(fault(bad, Read, Unmapped)));
                    assert_eq!(mem.store(bad, 1, 0), Err(fault(bad, Write, Unmapped)));
                    mem.store(AT + t * 8, 8, i).unwrap();
                    assert_eq!(mem.load(AT + t * 8, 8), Ok(i));
                }
            });
        }
    });
}

#[test]
fn a_change_under_way_is_no_fault() {
    // One thread takes the permission away and gives it back by moving the mapping to itself piecewise; the others
    // see faults only of the kind that the mapping had at some time.
    let mem = with_pages(1, Prot::RW);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            for i in 0..3_000 {
                mem.mprotect(AT, PAGE_SIZE, if i % 2 == 0 { Prot::READ } else { Prot::RW }).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(mem.load(AT, 4), Ok(0), "always readable");
                let stored = mem.store(AT, 4, 0);
                assert!(stored.is_ok() || stored == Err(fault(AT, Write, Protected)), "{stored:?}");
            }
        });
    });
}

#[test]
fn instructions_come_from_executable_pages_only() {
    let mem = Arc::new(with_pages(3, Prot::RWX));
    let mut env = UserEnv::new(mem.clone());
    let border = AT + PAGE_SIZE;
    mem.write_u64(border - 4, 0x8877_6655_4433_2211).unwrap();
    assert_eq!(env.fetch32(border - 4), Ok(0x4433_2211));
    assert_eq!(env.fetch32(border - 2), Ok(0x6655_4433));
    assert_eq!(env.fetch16(border), Ok(0x6655));
    mem.mprotect(border, PAGE_SIZE, Prot::RW).unwrap();
    assert_eq!(env.fetch32(border - 4), Ok(0x4433_2211));
    assert_eq!(env.fetch32(border - 2), Err(fault(border, AccessKind::Execute, Protected)));
    assert_eq!(env.fetch16(AT + 3 * PAGE_SIZE), Err(fault(AT + 3 * PAGE_SIZE, AccessKind::Execute, Unmapped)));
    mem.mprotect(border, PAGE_SIZE, Prot::EXEC).unwrap();
    assert_eq!(env.fetch16(border), Ok(0x6655));
    assert_eq!(env.store(border, 1, 0), Err(fault(border, Write, Protected)));
}
