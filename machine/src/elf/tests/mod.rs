//! Parsing under test: good files, each refusal, damaged files, `goblin` as a second opinion.

pub(crate) mod make;

use super::*;
use make::{Header, Maker, load};

fn sample() -> Maker {
    Maker::sample(Class::Elf64, Endian::Little, Kind::Dyn, 0)
}

fn own_program() -> Vec<u8> {
    std::fs::read("/proc/self/exe").expect("a program can read itself")
}

const ALL_LAYOUTS: [(Class, Endian); 4] = [
    (Class::Elf64, Endian::Little),
    (Class::Elf64, Endian::Big),
    (Class::Elf32, Endian::Little),
    (Class::Elf32, Endian::Big),
];

#[test]
fn a_good_file_is_read_in_every_layout() {
    for (class, endian) in ALL_LAYOUTS {
        let maker = Maker::sample(class, endian, Kind::Exec, 0x10000);
        let image = Image::parse(&maker.build()).expect("a good file");
        let prots: Vec<_> = image.segments.iter().map(|s| (s.range(), s.file_size, s.prot)).collect();
        assert_eq!(prots, [(0x10000..0x11234, 0x1234, Prot::RX), (0x12e00..0x15145, 0x300, Prot::RW)]);
        assert_eq!((image.class, image.endian, image.machine), (class, endian, Machine::RiscV));
        assert_eq!((image.kind, image.flags, image.entry), (Kind::Exec, 5, 0x10400));
        assert_eq!(image.interp.as_deref(), Some(&b"/lib/ld.so.1"[..]));
        assert_eq!(image.exec_stack, Some(false));
        assert_eq!(image.tls.map(|t| (t.addr, t.mem_size)), Some((0x11e00, 0x20)));
        assert_eq!(image.riscv_arch.as_deref(), Some("rv64imac"));
        let (size, entry) = if class == Class::Elf64 { (64, 56) } else { (52, 32) };
        assert_eq!(image.phdrs, ProgramHeaders { addr: Some(0x10000 + size), entry_size: entry, count: 6 });
        assert_eq!((image.extent(), image.max_align()), (0x10000..0x15145, 0x1000));
    }
}

#[test]
fn an_open_file_gives_the_same() {
    let file = std::fs::File::open("/proc/self/exe").expect("a program can open itself");
    assert_eq!(Image::open(&file), Image::parse(&own_program()));
    assert_eq!(Image::parse(&own_program()).map(|i| i.machine), Ok(Machine::Other(62)));
    let directory = std::fs::File::open("/").expect("a directory opens");
    assert_eq!(Image::open(&directory), Err(ElfError::NotElf));
}

#[test]
fn each_fault_has_its_error() {
    type Change = fn(&mut Maker);
    let table: [(ElfError, Change); 14] = [
        (ElfError::NoSegments, |m| m.headers.retain(|h| h.kind != 1)),
        (ElfError::NoSegments, |m| m.headers.iter_mut().for_each(|h| (h.mem_size, h.file_size) = (0, 0))),
        (ElfError::BadHeaderCount(0), |m| m.headers.clear()),
        (ElfError::FileSizeTooLarge(1), |m| m.headers[1].mem_size = 1),
        (ElfError::SegmentTruncated(1), |m| (m.headers[1].file_size, m.headers[1].mem_size) = (0x9000, 0x9000)),
        (ElfError::SegmentTruncated(2), |m| m.headers[2].offset = u64::MAX - 0x1ff),
        (ElfError::AddressOverflow(2), |m| m.headers[2].mem_size = u64::MAX - 0x2000),
        (ElfError::BadAlignment(2), |m| m.headers[2].offset += 1),
        (ElfError::BadAlignment(1), |m| m.headers[1].align = 0x1800),
        (ElfError::Overlap(2), |m| m.headers[1].mem_size = 0x2e01),
        (ElfError::Overlap(2), |m| m.headers.swap(1, 2)),
        (ElfError::BadInterpreter, |m| m.headers[0].file_size = 1),
        (ElfError::BadInterpreter, |m| m.headers[0].file_size -= 1),
        (ElfError::BadInterpreter, |m| m.headers[0].offset = 0x10_0000),
    ];
    for (error, change) in table {
        let mut maker = sample();
        change(&mut maker);
        assert_eq!(Image::parse(&maker.build()), Err(error));
    }
}

#[test]
fn each_damaged_header_has_its_error() {
    let patched = |at: usize, byte: u8| {
        let mut file = sample().build();
        file[at] = byte;
        Image::parse(&file).map(|_| ())
    };
    assert_eq!(patched(0, 0), Err(ElfError::NotElf));
    assert_eq!(patched(4, 3), Err(ElfError::BadIdent));
    assert_eq!(patched(5, 0), Err(ElfError::BadIdent));
    assert_eq!(patched(6, 0), Err(ElfError::BadIdent));
    assert_eq!(patched(16, 1), Err(ElfError::NotExecutable(1)));
    assert_eq!(patched(17, 4), Err(ElfError::NotExecutable(0x403)));
    assert_eq!(patched(54, 32), Err(ElfError::BadHeaderSize { found: 32, expected: 56 }));
    assert_eq!(patched(57, 0xff), Err(ElfError::BadHeaderCount(0xff06)));
    assert_eq!(patched(34, 0xff), Err(ElfError::Truncated), "e_phoff");
    assert_eq!(patched(18, 8).map_err(|_| ()), Ok(()), "another machine is no damage");
    assert_eq!(Image::parse(&[]), Err(ElfError::NotElf));
    assert_eq!(ElfError::NotElf.errno(), Errno::ENOEXEC);
}

#[test]
fn no_truncation_panics_or_passes() {
    for (class, endian) in ALL_LAYOUTS {
        let file = Maker::sample(class, endian, Kind::Dyn, 0).build();
        let content_end = 0x1e00 + 0x300;
        for len in (0..file.len()).step_by(64).chain(0..0x200) {
            let result = Image::parse(&file[..len]);
            assert_eq!(result.is_ok(), len >= content_end, "{class:?} {endian:?} {len:#x}: {result:?}");
        }
    }
    let file = own_program();
    let step = (file.len() / 2000).next_multiple_of(64);
    for len in (0..file.len()).step_by(step) {
        let _ = Image::parse(&file[..len]);
    }
}

/// A pseudo-random sequence (xorshift64), the same in each run.
fn random(mut seed: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    })
}

#[test]
fn no_damage_panics_and_what_passes_holds_what_is_promised() {
    for (class, endian) in ALL_LAYOUTS {
        let good = Maker::sample(class, endian, Kind::Dyn, 0).build();
        let mut numbers = random(0x9e37_79b9_7f4a_7c15);
        let mut next = || numbers.next().unwrap_or_default();
        for _ in 0..20_000 {
            let mut file = good.clone();
            for _ in 0..1 + next() % 4 {
                // Mostly in the headers, where it matters.
                let area = if next() % 4 == 0 { file.len() } else { 0x400 };
                file[(next() as usize) % area] = next() as u8;
            }
            if let Ok(image) = Image::parse(&file) {
                check(&image, file.len() as u64);
            }
        }
    }
}

/// What [`Image`] promises.
fn check(image: &Image, len: u64) {
    assert!(!image.segments.is_empty());
    assert!(image.segments.is_sorted_by(|a, b| a.range().end <= b.addr));
    for s in &image.segments {
        assert!(s.file_size <= s.mem_size && s.mem_size > 0);
        assert!(s.file_size == 0 || s.offset + s.file_size <= len);
        assert!(s.range().end <= image.class.limit());
    }
    let _ = image.describe().to_string();
}

/// Compares with what another parser says.
fn compare(file: &[u8]) {
    let image = Image::parse(file).expect("a good file");
    let other = goblin::elf::Elf::parse(file).expect("a good file for goblin too");
    assert_eq!((image.entry, image.flags), (other.entry, other.header.e_flags));
    assert_eq!(image.interp.as_deref(), other.interpreter.map(str::as_bytes));
    let loads = other.program_headers.iter().filter(|p| p.p_type == 1 && p.p_memsz > 0);
    let loads: Vec<_> = loads.map(|p| (p.p_offset, p.p_vaddr, p.p_filesz, p.p_memsz, p.p_align)).collect();
    let ours: Vec<_> = image.segments.iter().map(|s| (s.offset, s.addr, s.file_size, s.mem_size, s.align)).collect();
    assert_eq!(ours, loads);
    let tls = other.program_headers.iter().find(|p| p.p_type == 7).map(|p| (p.p_vaddr, p.p_memsz));
    assert_eq!(image.tls.map(|t| (t.addr, t.mem_size)), tls);
}

#[test]
fn goblin_agrees() {
    compare(&own_program());
    for (class, endian) in ALL_LAYOUTS {
        compare(&Maker::sample(class, endian, Kind::Exec, 0x10000).build());
    }
}

#[test]
fn descriptions_say_what_is_missing() {
    let text = Image::parse(&sample().build()).map(|i| i.describe().to_string()).expect("a good file");
    for line in ["machine      RISC-V, 64 bits, little endian", "ABI          double float, RVC", "supported    yes"] {
        assert!(text.contains(line), "{text}");
    }
    let unsupported = |change: fn(&mut Maker)| {
        let mut maker = sample();
        change(&mut maker);
        Image::parse(&maker.build()).expect("a good file").describe().unsupported
    };
    assert_eq!(unsupported(|_| ()), None);
    assert!(unsupported(|m| m.flags = 8).is_some_and(|why| why.contains("RVE")));
    assert!(unsupported(|m| m.flags = 6).is_some_and(|why| why.contains("quad")));
    assert!(unsupported(|m| m.endian = Endian::Big).is_some_and(|why| why.contains("endian")));
    assert!(unsupported(|m| m.machine = 62).is_some_and(|why| why.contains("62")));
}

#[test]
fn unusual_but_good() {
    let mut maker = sample();
    maker.headers[5] = Header { kind: 0x6474_e551, flags: 7, ..Header::default() };
    maker.headers.push(load(6, 0x12345, 0x8000, 0, 0x1000));
    let image = Image::parse(&maker.build()).expect("a segment without bytes in the file may have any offset");
    assert_eq!((image.exec_stack, image.segments.len()), (Some(true), 3));
    maker.headers.remove(5);
    maker.headers.remove(0);
    let image = Image::parse(&maker.build()).expect("a good file");
    assert_eq!((image.exec_stack, image.interp), (None, None));
}

#[test]
fn what_a_mips_file_is() {
    let image = make::mips(5);
    let text = image.describe().to_string();
    assert!(text.contains("MIPS (mips32r2), 32 bits, big endian"), "{text}");
    assert!(text.contains("o32, double float, any FR (XX), legacy NaN\n"), "{text}");
    assert!(text.contains("supported    yes"), "{text}");
    let refused = |flags| Image { flags, ..image.clone() }.unsupported();
    assert_eq!(refused(0x7000_1000 | 0x0200_0000).as_deref(), Some("microMIPS"));
    assert_eq!(refused(0x7000_3000).as_deref(), Some("MIPS with EABI"));
    assert_eq!(refused(0x808d_1000), None);
    assert_eq!(refused(0x9000_1400), None);
}
