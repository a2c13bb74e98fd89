//! The vDSO: a small shared object that the kernel maps into each program.
//!
//! Ours holds what has to be in the program's memory: the code that a signal handler returns to. It is a real ELF
//! file, so that a guest's dynamic linker lists it and debuggers find the name; unwinders recognise the instructions.
//! Clock functions are not in it: C libraries then make the system call.
#![forbid(unsafe_code)]

use super::abi::Abi;
use super::image::LoadError;
use crate::elf::{Class, Endian};
use crate::mem::{Fixed, GuestMemory, MapRequest, PAGE_SIZE, Prot};

/// A function of a vDSO.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its symbol.
    pub name: &'static str,
    /// Its instructions, as in memory.
    pub code: Vec<u8>,
}

/// What the headers of a vDSO say.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// 32 or 64 bits.
    pub class: Class,
    /// Byte order.
    pub endian: Endian,
    /// `e_machine`.
    pub machine: u16,
    /// `e_flags`.
    pub flags: u32,
    /// The version of its symbols; Go's runtime reads the versions without asking whether there are any.
    pub version: &'static str,
    /// MIPS: the content of `.MIPS.abiflags`.
    pub mips_abiflags: Option<[u8; ABIFLAGS]>,
}

/// Bytes of `.MIPS.abiflags`.
pub const ABIFLAGS: usize = 24;
/// Where they are: between the headers and the hash table.
const ABIFLAGS_AT: u64 = HASH_AT - ABIFLAGS as u64;

/// A mapped vDSO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vdso {
    /// Its address (AT_SYSINFO_EHDR).
    pub base: u64,
    /// Addresses of its functions, in the order in which the ABI names them.
    pub functions: Vec<u64>,
}

/// Maps the vDSO of an ABI.
///
/// # Errors
/// If there is no room for it.
pub fn map_for(mem: &GuestMemory, abi: &dyn Abi) -> Result<Vdso, LoadError> {
    let (target, functions) = abi.vdso();
    let file = build(target, &functions);
    let base = map(mem, &file.bytes)?;
    Ok(Vdso { base, functions: file.functions.iter().map(|offset| base + offset).collect() })
}

/// Maps a vDSO that [`build`] made, readable and executable.
///
/// # Errors
/// If there is no room for it.
pub fn map(mem: &GuestMemory, file: &[u8]) -> Result<u64, LoadError> {
    let failed = |errno| LoadError::Map { what: "the vDSO", errno };
    let request = MapRequest { len: file.len() as u64, prot: Prot::RW, name: Some("[vdso]"), ..MapRequest::default() };
    // Program first, then protected: nobody else knows of the pages yet.
    let base = mem.mmap(&MapRequest { fixed: Fixed::No, ..request }).map_err(failed)?;
    mem.write_bytes(base, file)?;
    mem.mprotect(base, file.len() as u64, Prot::RX).map_err(failed)?;
    Ok(base)
}

/// A vDSO's file and the offsets of its functions, in the order in which they were given.
#[derive(Clone, Debug)]
pub struct Built {
    /// The file, whole pages; it is mapped as it is.
    pub bytes: Vec<u8>,
    /// Offset of each function.
    pub functions: Vec<u64>,
}

const SONAME: &str = "linux-vdso.so.1";
/// Offset of the hash table; the headers before it are smaller for both classes.
const HASH_AT: u64 = 0x100;
/// Offset of the name in the string table.
const SONAME_AT: u64 = 1;
const DYNAMIC_ENTRIES: u64 = 10;
/// Bytes of a version definition (`Verdef`) and of the name behind it (`Verdaux`).
const VERDEF: u64 = 20;
const VERDAUX: u64 = 8;
/// Versions that are defined: the object itself, as always, and that of the symbols.
const VERSIONS: u64 = 2;

/// Makes a shared object of one segment: headers, hash table, symbols, strings, versions, dynamic section, code.
pub fn build(target: Target, functions: &[Function]) -> Built {
    let out = Out { target, bytes: Vec::new() };
    let symbols = functions.len() as u64 + 1;
    let names = string_table(target.version, functions);

    // One bucket with all symbols in a chain.
    let symbols_at = (HASH_AT + 4 * (3 + symbols)).next_multiple_of(16);
    let strings_at = symbols_at + symbols * out.symbol_size();
    let versions_at = (strings_at + names.bytes.len() as u64).next_multiple_of(4);
    let definitions_at = (versions_at + 2 * symbols).next_multiple_of(4);
    let dynamic_at = (definitions_at + VERSIONS * (VERDEF + VERDAUX)).next_multiple_of(16);
    let dynamic_size = DYNAMIC_ENTRIES * 2 * target.class.word();
    let code_at = (dynamic_at + dynamic_size).next_multiple_of(64);
    let places = place_code(functions, code_at);
    let end = places.last().map_or(code_at, |last| last + functions[functions.len() - 1].code.len() as u64);

    let mut out = out;
    out.header(end, dynamic_at, dynamic_size);
    out.pad_to(ABIFLAGS_AT);
    out.bytes.extend(target.mips_abiflags.unwrap_or_default());
    out.pad_to(HASH_AT);
    out.hash_table(symbols);
    out.pad_to(symbols_at);
    out.symbol(0, 0, 0, false);
    for ((function, place), name) in functions.iter().zip(&places).zip(&names.offsets) {
        out.symbol(*name, *place, function.code.len() as u64, true);
    }
    out.bytes.extend(&names.bytes);
    out.pad_to(versions_at);
    out.halves(&[0]);
    functions.iter().for_each(|_| out.halves(&[VERSIONS]));
    out.pad_to(definitions_at);
    out.version_definition(1, SONAME, SONAME_AT);
    out.version_definition(VERSIONS, target.version, names.version);
    out.pad_to(dynamic_at);
    let dynamic = [
        (14, SONAME_AT),                // DT_SONAME
        (4, HASH_AT),                   // DT_HASH
        (5, strings_at),                // DT_STRTAB
        (6, symbols_at),                // DT_SYMTAB
        (10, names.bytes.len() as u64), // DT_STRSZ
        (11, out.symbol_size()),        // DT_SYMENT
        (0x6fff_fff0, versions_at),     // DT_VERSYM
        (0x6fff_fffc, definitions_at),  // DT_VERDEF
        (0x6fff_fffd, VERSIONS),        // DT_VERDEFNUM
        (0, 0),
    ];
    debug_assert_eq!(dynamic.len() as u64, DYNAMIC_ENTRIES);
    dynamic.iter().for_each(|(tag, value)| out.words(&[*tag, *value]));
    for (function, place) in functions.iter().zip(&places) {
        out.pad_to(*place);
        out.bytes.extend(&function.code);
    }
    out.pad_to(end.next_multiple_of(PAGE_SIZE));
    Built { bytes: out.bytes, functions: places }
}

/// Where each function goes, 16-byte aligned.
fn place_code(functions: &[Function], mut at: u64) -> Vec<u64> {
    let place = |f: &Function| {
        let this = at;
        at = (at + f.code.len() as u64).next_multiple_of(16);
        this
    };
    functions.iter().map(place).collect()
}

struct Names {
    bytes: Vec<u8>,
    version: u64,
    offsets: Vec<u64>,
}

/// The string table: an empty one, the object's name at 1, the version's, the functions' names.
fn string_table(version: &str, functions: &[Function]) -> Names {
    let mut names = Names { bytes: vec![0], version: 0, offsets: Vec::new() };
    let mut add = |text: &str| {
        let at = names.bytes.len() as u64;
        names.bytes.extend(text.bytes().chain([0]));
        at
    };
    add(SONAME);
    let version = add(version);
    let offsets = functions.iter().map(|f| add(f.name)).collect();
    (names.version, names.offsets) = (version, offsets);
    names
}

/// The System V ABI's hash of a name.
fn elf_hash(name: &str) -> u32 {
    name.bytes().fold(0u32, |hash, byte| {
        let sum = (hash << 4).wrapping_add(byte.into());
        let high = sum & 0xf000_0000;
        (sum ^ high >> 24) & !high
    })
}

/// The file as it grows.
struct Out {
    target: Target,
    bytes: Vec<u8>,
}

impl Out {
    /// Writes the low `size` bytes of a number.
    fn number(&mut self, value: u64, size: usize) {
        match self.target.endian {
            Endian::Little => self.bytes.extend(&value.to_le_bytes()[..size]),
            Endian::Big => self.bytes.extend(&value.to_be_bytes()[8 - size..]),
        }
    }

    fn halves(&mut self, values: &[u64]) {
        values.iter().for_each(|v| self.number(*v, 2));
    }

    fn ints(&mut self, values: &[u64]) {
        values.iter().for_each(|v| self.number(*v, 4));
    }

    /// Numbers of the size of an address.
    fn words(&mut self, values: &[u64]) {
        let size = self.target.class.word() as usize;
        values.iter().for_each(|v| self.number(*v, size));
    }

    fn pad_to(&mut self, offset: u64) {
        self.bytes.resize(offset as usize, 0);
    }

    fn symbol_size(&self) -> u64 {
        if self.target.class == Class::Elf64 { 24 } else { 16 }
    }

    /// The file header and the program headers.
    fn header(&mut self, end: u64, dynamic_at: u64, dynamic_size: u64) {
        let Target { class, endian, machine, flags, mips_abiflags, .. } = self.target;
        let (wide, big) = (class == Class::Elf64, endian == Endian::Big);
        let (header_size, phdr_size) = if wide { (64, 56) } else { (52, 32) };
        let ident = [0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1 + u8::from(big), 1];
        self.bytes.extend(ident);
        self.pad_to(16);
        self.halves(&[3, machine.into()]); // ET_DYN
        self.ints(&[1]);
        self.words(&[0, header_size, 0]); // no entry, program headers, no section headers
        self.ints(&[flags.into()]);
        self.halves(&[header_size, phdr_size, 2 + u64::from(mips_abiflags.is_some()), 0, 0, 0]);
        self.program_header(1, 5, 0..end, PAGE_SIZE); // PT_LOAD, readable and executable
        self.program_header(2, 4, dynamic_at..dynamic_at + dynamic_size, class.word()); // PT_DYNAMIC, readable
        if mips_abiflags.is_some() {
            self.program_header(0x7000_0003, 4, ABIFLAGS_AT..HASH_AT, 8); // PT_MIPS_ABIFLAGS
        }
    }

    fn program_header(&mut self, kind: u64, flags: u64, range: std::ops::Range<u64>, align: u64) {
        let (start, size) = (range.start, range.end - range.start);
        self.ints(&[kind]);
        if self.target.class == Class::Elf64 {
            self.ints(&[flags]);
            self.words(&[start, start, start, size, size, align]);
        } else {
            self.words(&[start, start, start, size, size]);
            self.ints(&[flags, align]);
        }
    }

    /// A System V hash table with one bucket: the first symbol, and a chain through the others.
    fn hash_table(&mut self, symbols: u64) {
        let first = u64::from(symbols > 1);
        self.ints(&[1, symbols, first, 0]);
        for symbol in 1..symbols {
            let next = if symbol + 1 < symbols { symbol + 1 } else { 0 };
            self.ints(&[next]);
        }
    }

    /// A version of this number (the object itself has 1) and its name.
    fn version_definition(&mut self, number: u64, name: &str, name_at: u64) {
        let is_object = u64::from(number == 1); // VER_FLG_BASE
        let next = if number < VERSIONS { VERDEF + VERDAUX } else { 0 };
        self.halves(&[1, is_object, number, 1]);
        self.ints(&[elf_hash(name).into(), VERDEF, next]);
        self.ints(&[name_at, 0]);
    }

    /// A global function, or the empty symbol that every table begins with.
    fn symbol(&mut self, name: u64, value: u64, size: u64, function: bool) {
        // STB_GLOBAL and STT_FUNC; any section that exists.
        let (info, section) = if function { (0x12, 1) } else { (0, 0) };
        self.ints(&[name]);
        if self.target.class == Class::Elf32 {
            self.ints(&[value, size]);
        }
        self.number(info, 1);
        self.number(0, 1);
        self.halves(&[section]);
        if self.target.class == Class::Elf64 {
            self.words(&[value, size]);
        }
    }
}
