//! Loading under test: places, content, the stack's layout for all four data layouts, limits.

use super::abi::riscv::Riscv;
use super::image::*;
use super::vdso;
use crate::elf::tests::make::{Maker, load as segment};
use crate::elf::{Class, ElfError, Endian, Image, Kind};
use crate::mem::{Errno, GuestMemory, PAGE_SIZE, Prot};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

/// A made file on disk (unlinked already) and its headers.
struct Made {
    file: File,
    image: Image,
}

impl Made {
    fn new(maker: &Maker) -> Made {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("emu-image-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
        file.write_all(&maker.build()).expect("write");
        std::fs::remove_file(&path).expect("unlink");
        let image = Image::open(&file).expect("a good file");
        Made { file, image }
    }

    fn program(&self) -> Program<'_> {
        Program { file: &self.file, image: &self.image }
    }
}

fn sample(kind: Kind, base: u64) -> Maker {
    Maker::sample(Class::Elf64, Endian::Little, kind, base)
}

/// The same without an interpreter.
fn lonely(kind: Kind, base: u64) -> Maker {
    let mut maker = sample(kind, base);
    maker.headers.remove(0);
    maker
}

fn request<'a>(program: &'a Made, interpreter: Option<&'a Made>, aux: &'a AuxInfo) -> LoadRequest<'a> {
    let interpreter = interpreter.map(Made::program);
    let (argv, envp, exec_fn, stack_size) = (&[][..], &[][..], &b"/bin/x"[..], 8 << 20);
    LoadRequest { program: program.program(), interpreter, argv, envp, exec_fn, aux, stack_size }
}

fn memory() -> GuestMemory {
    GuestMemory::new(64).expect("an address space")
}

#[test]
fn a_fixed_program_goes_where_it_says() {
    let (mem, made, aux) = (memory(), Made::new(&lonely(Kind::Exec, 0x10000)), AuxInfo::default());
    let loaded = load(&mem, &request(&made, None, &aux)).expect("loads");
    assert_eq!((loaded.pc, loaded.program_entry, loaded.load_bias, loaded.interp_base), (0x10400, 0x10400, 0, 0));
    assert_eq!((loaded.brk_start, loaded.phdr_addr), (0x16000, 0x10040));
    assert_eq!(mem.brk(0), 0x16000);
    assert_eq!(mem.read_u64(0x10400), Ok(0x7373_7373_7373_7373));
    assert_eq!((mem.prot_at(0x11fff), mem.prot_at(0x12000)), (Some(Prot::RX), Some(Prot::RW)));
    // The file has bytes of the data's page behind the segment's end, and they are gone.
    assert_eq!((mem.read_u8(0x130ff), mem.read_u8(0x13100)), (Ok(0xda), Ok(0)));
    assert_eq!(mem.read_u64(0x15ff8), Ok(0));
    assert!(mem.read_u8(0x16000).is_err());
    assert_eq!(mem.maps().last().map(|v| v.name), Some(Some("[stack]")));
}

#[test]
fn an_interpreted_program_goes_to_two_thirds_and_its_interpreter_to_the_top() {
    let (mem, aux) = (memory(), AuxInfo::default());
    let (made, interp) = (Made::new(&sample(Kind::Dyn, 0)), Made::new(&lonely(Kind::Dyn, 0)));
    let loaded = load(&mem, &request(&made, Some(&interp), &aux)).expect("loads");
    assert_eq!(loaded.load_bias, 0x2a_aaaa_a000);
    assert_eq!(loaded.interp_base, 0x40_0000_0000 - (128 << 20) - 0x6000);
    assert_eq!(loaded.pc, loaded.interp_base + 0x400);
    assert_eq!(loaded.program_entry, loaded.load_bias + 0x400);
    assert_eq!(loaded.phdr_addr, loaded.load_bias + 0x40);
    assert_eq!(loaded.brk_start, loaded.load_bias + 0x6000);
    assert_eq!(mem.read_u32(loaded.pc), Ok(0x7373_7373));
    assert_eq!(mem.read_u8(loaded.load_bias + 0x2e00), Ok(0xda));
}

#[test]
fn a_lonely_program_goes_to_the_top_and_its_heap_to_two_thirds() {
    let (mem, aux) = (memory(), AuxInfo::default());
    let mut maker = lonely(Kind::Dyn, 0);
    maker.headers[0].align = 0x20_0000;
    let loaded = load(&mem, &request(&Made::new(&maker), None, &aux)).expect("loads");
    assert_eq!(loaded.load_bias % 0x20_0000, 0);
    assert_eq!(loaded.load_bias, 0x40_0000_0000 - (128 << 20) - 0x20_0000);
    assert_eq!((loaded.brk_start, loaded.pc), (0x2a_aaaa_a000, loaded.load_bias + 0x400));
}

#[test]
fn a_segment_of_zeros_may_share_a_page_or_not() {
    let (mem, aux) = (memory(), AuxInfo::default());
    let mut maker = lonely(Kind::Exec, 0x10000);
    maker.headers.push(segment(6, 0, 0x15200, 0, 0x1000));
    maker.headers.push(segment(6, 0, 0x18200, 0, 0x100));
    load(&mem, &request(&Made::new(&maker), None, &aux)).expect("loads");
    assert_eq!(mem.read_u8(0x12e00), Ok(0xda));
    for addr in [0x15200, 0x161ff, 0x18200, 0x182ff] {
        assert_eq!(mem.read_u8(addr), Ok(0), "{addr:#x}");
    }
}

#[test]
fn refusals() {
    let (mem, aux) = (memory(), AuxInfo::default());
    let errno = |mem: &GuestMemory, maker: &Maker| {
        load(mem, &request(&Made::new(maker), None, &aux)).map_err(|e| e.errno()).map(|_| ())
    };
    assert_eq!(errno(&mem, &lonely(Kind::Exec, 0)), Err(Errno::EPERM), "below mmap_min_addr");
    assert_eq!(errno(&memory(), &lonely(Kind::Exec, 0x40_0000_0000)), Err(Errno::ENOMEM));
    assert_eq!(errno(&memory(), &lonely(Kind::Exec, 0x3f_ffff_a000)), Err(Errno::EEXIST), "the stack is there");
    let narrow = Maker::sample(Class::Elf32, Endian::Little, Kind::Exec, 0x10000);
    assert_eq!(errno(&memory(), &narrow), Err(Errno::ENOEXEC));
    assert_eq!(LoadError::from(ElfError::NoSegments).errno(), Errno::ENOEXEC);
}

/// Reads the guest's words in its layout.
struct Words<'a> {
    mem: &'a GuestMemory,
    at: u64,
    class: Class,
    endian: Endian,
}

impl Words<'_> {
    fn next(&mut self) -> u64 {
        let bytes = self.class.word() as u8;
        let value = self.mem.load(self.at, bytes).expect("the stack can be read");
        self.at += u64::from(bytes);
        if self.endian == Endian::Big { value.swap_bytes() >> (64 - 8 * u32::from(bytes)) } else { value }
    }

    fn strings(&mut self) -> Vec<String> {
        let pointers: Vec<u64> = std::iter::from_fn(|| Some(self.next()).filter(|p| *p != 0)).collect();
        pointers.iter().map(|p| self.text(*p)).collect()
    }

    fn text(&self, addr: u64) -> String {
        String::from_utf8(self.mem.read_cstr(addr, 4096).expect("a string")).expect("UTF-8")
    }
}

#[test]
fn the_stack_is_as_the_kernel_makes_it() {
    for class in [Class::Elf64, Class::Elf32] {
        for endian in [Endian::Little, Endian::Big] {
            check_stack(class, endian);
        }
    }
}

fn check_stack(class: Class, endian: Endian) {
    let word = class.word();
    let mem = GuestMemory::new(word as u32 * 8).expect("an address space");
    let mut maker = Maker::sample(class, endian, Kind::Exec, 0x10000);
    maker.headers.remove(0);
    let made = Made::new(&maker);
    let aux = AuxInfo {
        hwcap: 0x112d,
        random: *b"0123456789abcdef",
        uid: 1,
        euid: 2,
        gid: 3,
        egid: 4,
        vdso: Some(0x1234_5000),
        platform: Some("p".to_owned()),
        min_signal_stack: Some(1000),
        rseq: Some((28, 32)),
        ..AuxInfo::default()
    };
    let argv = ["prog", "", "two words"].map(|s| s.as_bytes().to_vec());
    let envp = ["A=1", "B=2"].map(|s| s.as_bytes().to_vec());
    let loaded = load(&mem, &LoadRequest { argv: &argv, envp: &envp, ..request(&made, None, &aux) }).expect("loads");
    let top = loaded.stack.end;
    assert_eq!((loaded.sp % 16, top), (0, mem.task_size()));
    let mut words = Words { mem: &mem, at: loaded.sp, class, endian };
    assert_eq!(words.next(), 3);
    assert_eq!(words.strings(), ["prog", "", "two words"]);
    assert_eq!(words.strings(), ["A=1", "B=2"]);
    let auxv: Vec<(u64, u64)> =
        std::iter::from_fn(|| Some((words.next(), words.next())).filter(|(tag, _)| *tag != 0)).collect();
    assert_eq!([&auxv[..], &[(0, 0)]].concat(), loaded.auxv);
    let tags: Vec<u64> = auxv.iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tags, [33, 51, 16, 6, 17, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 23, 25, 31, 15, 27, 28]);
    let value = |tag| auxv.iter().find(|(t, _)| *t == tag).map_or(0, |(_, v)| *v);
    assert_eq!([value(33), value(16), value(6), value(17)], [0x1234_5000, 0x112d, 4096, 100]);
    assert_eq!([value(3), value(4), value(5)], [loaded.phdr_addr, made.image.phdrs.entry_size.into(), 5]);
    assert_eq!([value(9), value(11), value(12), value(13), value(14)], [0x10400, 1, 2, 3, 4]);
    let mut random = [0; 16];
    mem.read_bytes(value(25), &mut random).expect("random bytes");
    assert_eq!((&random, words.text(value(31)), words.text(value(15))), (&aux.random, "/bin/x".into(), "p".into()));
    // From the top: a zero word, the path, the environment, the arguments.
    assert_eq!(value(31), top - word - 7);
    assert_eq!((loaded.env.end, loaded.args.end), (value(31), loaded.env.start));
    let mut strings = vec![0; (loaded.env.end - loaded.args.start) as usize];
    mem.read_bytes(loaded.args.start, &mut strings).expect("strings");
    assert_eq!(strings, b"prog\0\0two words\0A=1\0B=2\0");
    assert!(words.at <= value(25), "the vectors end below the strings");
}

#[test]
fn there_is_always_one_argument() {
    let (mem, made, aux) = (memory(), Made::new(&lonely(Kind::Exec, 0x10000)), AuxInfo::default());
    let loaded = load(&mem, &request(&made, None, &aux)).expect("loads");
    assert_eq!(mem.read_u64(loaded.sp), Ok(1));
    assert_eq!(mem.read_u64(loaded.sp + 8).and_then(|argv| mem.read_u8(argv)), Ok(0));
}

#[test]
fn too_long_is_refused() {
    let (made, aux) = (Made::new(&lonely(Kind::Exec, 0x10000)), AuxInfo::default());
    let base = request(&made, None, &aux);
    let result = |argv: &[Vec<u8>]| load(&memory(), &LoadRequest { argv, ..base.clone() }).map(|_| ());
    let page = PAGE_SIZE as usize;
    assert_eq!(result(&[vec![b'x'; 32 * page - 1]]), Ok(()));
    assert_eq!(result(&[vec![b'x'; 32 * page]]), Err(LoadError::TooBig), "one string");
    assert_eq!(result(&vec![vec![b'x'; 31 * page]; 16]), Ok(()));
    assert_eq!(result(&vec![vec![b'x'; 31 * page]; 17]), Err(LoadError::TooBig), "a quarter of the stack");
    assert_eq!(result(&vec![vec![]; 300_000]), Err(LoadError::TooBig), "pointers count");
    assert_eq!(LoadError::TooBig.errno(), Errno::E2BIG);
}

#[test]
fn the_vdso_is_an_elf_file_with_the_known_instructions() {
    for class in [Class::Elf64, Class::Elf32] {
        let mem = GuestMemory::new(class.word() as u32 * 8).expect("an address space");
        let abi = Riscv { xlen: if class == Class::Elf32 { 32 } else { 64 } };
        let vdso = vdso::map_for(&mem, &abi).expect("there is room");
        let rt_sigreturn = vdso.functions[0];
        assert_eq!(mem.fetch(rt_sigreturn, 4), Ok(0x08b0_0893));
        assert_eq!(mem.fetch(rt_sigreturn + 4, 4), Ok(0x0000_0073));
        assert_eq!(mem.prot_at(vdso.base), Some(Prot::RX));
        let mut file = vec![0; PAGE_SIZE as usize];
        mem.read_bytes(vdso.base, &mut file).expect("the file");
        let elf = goblin::elf::Elf::parse(&file).expect("goblin reads it");
        assert_eq!((elf.soname, elf.header.e_machine), (Some("linux-vdso.so.1"), 243));
        let names: Vec<_> = elf.dynsyms.iter().map(|s| (elf.dynstrtab.get_at(s.st_name), s.st_value)).collect();
        assert_eq!(names[1], (Some("__vdso_rt_sigreturn"), rt_sigreturn - vdso.base));
        assert_eq!((names.len(), Image::parse(&file).map(|i| i.kind)), (2, Ok(Kind::Dyn)));
    }
}

#[test]
fn a_vdso_of_any_target_is_well_formed() {
    let functions = [
        vdso::Function { name: "one", code: vec![1; 5] },
        vdso::Function { name: "two", code: vec![2; 40] },
        vdso::Function { name: "three", code: vec![3; 4] },
    ];
    for class in [Class::Elf64, Class::Elf32] {
        for endian in [Endian::Little, Endian::Big] {
            let mips_abiflags = Some([7; vdso::ABIFLAGS]);
            let target = vdso::Target { class, endian, machine: 8, flags: 0x1000_0000, version: "V", mips_abiflags };
            let built = vdso::build(target, &functions);
            let elf = goblin::elf::Elf::parse(&built.bytes).expect("goblin reads it");
            let flags = elf.program_headers.iter().find(|p| p.p_type == 0x7000_0003).expect("PT_MIPS_ABIFLAGS");
            assert_eq!(built.bytes[flags.file_range()], [7; vdso::ABIFLAGS]);
            let values: Vec<u64> = elf.dynsyms.iter().skip(1).map(|s| s.st_value).collect();
            assert_eq!((values, elf.dynsyms.len()), (built.functions.clone(), 4), "{class:?} {endian:?}");
            for (function, at) in functions.iter().zip(&built.functions) {
                assert_eq!(&built.bytes[*at as usize..][..function.code.len()], function.code);
            }
            assert!(Image::parse(&built.bytes).is_ok());
        }
    }
}
