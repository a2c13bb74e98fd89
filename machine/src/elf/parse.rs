//! From bytes to a checked [`Image`].

use super::{Class, ElfError, Endian, Image, Kind, Machine, ProgramHeaders, Segment, Tls, attributes};
use crate::mem::{Errno, PAGE_SIZE, Prot};
use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::read::{ReadCache, ReadRef};
use std::fs::File;

/// Linux reads at most this many bytes of program headers.
const MAX_HEADER_BYTES: u64 = 65536;
/// PATH_MAX, with the NUL.
const MAX_PATH: u64 = 4096;
/// `.MIPS.abiflags` version 0.
const ABIFLAGS_SIZE: u64 = 24;

impl Image {
    /// Parses and checks a whole file.
    ///
    /// # Errors
    /// What is wrong with it first; never panics.
    pub fn parse(data: &[u8]) -> Result<Image, ElfError> {
        parse(data)
    }

    /// Parses and checks a file, reading only the headers.
    ///
    /// # Errors
    /// As [`Image::parse`].
    pub fn open(file: &File) -> Result<Image, ElfError> {
        file.metadata().map_err(|e| ElfError::Unreadable(Errno::from(&e)))?;
        let cache = ReadCache::new(file);
        parse(&cache)
    }
}

fn parse<'d, R: ReadRef<'d>>(data: R) -> Result<Image, ElfError> {
    let magic = data.read_bytes_at(0, 4).map_err(|()| ElfError::NotElf)?;
    if magic != elf::ELFMAG {
        return Err(ElfError::NotElf);
    }
    let ident = data.read_bytes_at(0, 16).map_err(|()| ElfError::Truncated)?;
    match elf::FileClass(ident[4]) {
        elf::ELFCLASS32 => Parser::<elf::FileHeader32<Endianness>, R>::new(data, Class::Elf32)?.image(),
        elf::ELFCLASS64 => Parser::<elf::FileHeader64<Endianness>, R>::new(data, Class::Elf64)?.image(),
        _ => Err(ElfError::BadIdent),
    }
}

struct Parser<'d, H: FileHeader<Endian = Endianness>, R: ReadRef<'d>> {
    data: R,
    len: u64,
    class: Class,
    endian: Endianness,
    kind: Kind,
    header: &'d H,
    phdrs: &'d [H::ProgramHeader],
}

impl<'d, H: FileHeader<Endian = Endianness>, R: ReadRef<'d>> Parser<'d, H, R> {
    /// Checks the file header and finds the program headers.
    fn new(data: R, class: Class) -> Result<Self, ElfError> {
        let len = data.len().map_err(|()| ElfError::Truncated)?;
        let header: &'d H = data.read_at(0).map_err(|()| ElfError::Truncated)?;
        if !header.is_supported() {
            return Err(ElfError::BadIdent);
        }
        let endian = header.endian().map_err(|_| ElfError::BadIdent)?;
        let kind = match header.e_type(endian) {
            elf::ET_EXEC => Kind::Exec,
            elf::ET_DYN => Kind::Dyn,
            other => return Err(ElfError::NotExecutable(other.0)),
        };
        let (found, expected) = (header.e_phentsize(endian), size_of::<H::ProgramHeader>() as u16);
        if found != expected {
            return Err(ElfError::BadHeaderSize { found, expected });
        }
        let count = header.e_phnum(endian);
        if count == 0 || u64::from(count) * u64::from(expected) > MAX_HEADER_BYTES {
            return Err(ElfError::BadHeaderCount(count));
        }
        let offset = header.e_phoff(endian).into();
        let phdrs = data.read_slice_at(offset, usize::from(count)).map_err(|()| ElfError::Truncated)?;
        Ok(Parser { data, len, class, endian, kind, header, phdrs })
    }

    fn image(&self) -> Result<Image, ElfError> {
        let (header, endian) = (self.header, self.endian);
        let machine = match header.e_machine(endian) {
            elf::EM_RISCV => Machine::RiscV,
            elf::EM_MIPS => Machine::Mips,
            other => Machine::Other(other.0),
        };
        let segments = self.segments()?;
        Ok(Image {
            class: self.class,
            endian: if header.is_big_endian() { Endian::Big } else { Endian::Little },
            machine,
            kind: self.kind,
            flags: header.e_flags(endian).0,
            abi_version: header.e_ident().abi_version,
            entry: header.e_entry(endian).into(),
            phdrs: self.program_headers(&segments),
            interp: self.interp()?,
            exec_stack: self.find(elf::PT_GNU_STACK).map(|p| p.p_flags(endian).0 & elf::PF_X.0 != 0),
            tls: self.find(elf::PT_TLS).map(|p| self.tls(p)),
            riscv_arch: self.riscv_attributes(machine).and_then(attributes::riscv_arch),
            mips_abiflags: self.mips_abiflags(machine),
            segments,
        })
    }

    fn find(&self, kind: elf::ProgramType) -> Option<&'d H::ProgramHeader> {
        self.phdrs.iter().find(|p| p.p_type(self.endian) == kind)
    }

    /// The bytes of the file that a program header names.
    fn content(&self, phdr: &H::ProgramHeader) -> Option<&'d [u8]> {
        let (offset, size) = (phdr.p_offset(self.endian).into(), phdr.p_filesz(self.endian).into());
        self.data.read_bytes_at(offset, size).ok()
    }

    fn segments(&self) -> Result<Vec<Segment>, ElfError> {
        let mut segments: Vec<Segment> = Vec::new();
        for (i, phdr) in self.phdrs.iter().enumerate() {
            if phdr.p_type(self.endian) != elf::PT_LOAD {
                continue;
            }
            let segment = self.segment(i, phdr)?;
            if segment.mem_size == 0 {
                continue;
            }
            if segments.last().is_some_and(|last| segment.addr < last.range().end) {
                return Err(ElfError::Overlap(i));
            }
            segments.push(segment);
        }
        if segments.is_empty() { Err(ElfError::NoSegments) } else { Ok(segments) }
    }

    fn segment(&self, i: usize, phdr: &H::ProgramHeader) -> Result<Segment, ElfError> {
        let endian = self.endian;
        let flags = phdr.p_flags(endian).0;
        let bit = |flag: elf::ProgramFlags, prot| if flags & flag.0 != 0 { prot } else { Prot::NONE };
        let segment = Segment {
            offset: phdr.p_offset(endian).into(),
            file_size: phdr.p_filesz(endian).into(),
            addr: phdr.p_vaddr(endian).into(),
            mem_size: phdr.p_memsz(endian).into(),
            prot: bit(elf::PF_R, Prot::READ).with(bit(elf::PF_W, Prot::WRITE)).with(bit(elf::PF_X, Prot::EXEC)),
            align: phdr.p_align(endian).into(),
        };
        if segment.file_size > segment.mem_size {
            return Err(ElfError::FileSizeTooLarge(i));
        }
        if segment.offset.checked_add(segment.file_size).is_none_or(|end| end > self.len) && segment.file_size > 0 {
            return Err(ElfError::SegmentTruncated(i));
        }
        let end = segment.addr.checked_add(segment.mem_size).filter(|end| *end <= self.class.limit() - PAGE_SIZE);
        if end.is_none() {
            return Err(ElfError::AddressOverflow(i));
        }
        // Only a part that comes from the file has to lie alike in the file's pages and in memory's.
        let fits = segment.file_size == 0 || segment.addr % PAGE_SIZE == segment.offset % PAGE_SIZE;
        let power = segment.align == 0 || segment.align.is_power_of_two();
        if fits && power { Ok(segment) } else { Err(ElfError::BadAlignment(i)) }
    }

    /// The kernel's AT_PHDR: where the segment puts them that holds their place in the file.
    fn program_headers(&self, segments: &[Segment]) -> ProgramHeaders {
        let offset: u64 = self.header.e_phoff(self.endian).into();
        let size = size_of_val(self.phdrs) as u64;
        let holds = |s: &&Segment| s.offset <= offset && offset + size <= s.offset + s.file_size;
        ProgramHeaders {
            addr: segments.iter().find(holds).map(|s| s.addr + (offset - s.offset)),
            entry_size: size_of::<H::ProgramHeader>() as u16,
            count: self.phdrs.len() as u16,
        }
    }

    fn interp(&self) -> Result<Option<Vec<u8>>, ElfError> {
        let Some(phdr) = self.find(elf::PT_INTERP) else { return Ok(None) };
        let size: u64 = phdr.p_filesz(self.endian).into();
        let path = Some(phdr).filter(|_| (2..=MAX_PATH).contains(&size)).and_then(|p| self.content(p));
        match path.and_then(<[u8]>::split_last) {
            Some((0, path)) => Ok(path.split(|b| *b == 0).next().filter(|p| !p.is_empty()).map(<[u8]>::to_vec)),
            _ => Err(ElfError::BadInterpreter),
        }
    }

    fn tls(&self, phdr: &H::ProgramHeader) -> Tls {
        let endian = self.endian;
        Tls {
            addr: phdr.p_vaddr(endian).into(),
            file_size: phdr.p_filesz(endian).into(),
            mem_size: phdr.p_memsz(endian).into(),
            align: phdr.p_align(endian).into(),
        }
    }

    /// The attributes, by their segment or (as older linkers have it) by their section only. They are a courtesy:
    /// damaged ones count as none.
    fn riscv_attributes(&self, machine: Machine) -> Option<&'d [u8]> {
        if machine != Machine::RiscV {
            return None;
        }
        if let Some(phdr) = self.find(elf::PT_RISCV_ATTRIBUTES) {
            return self.content(phdr);
        }
        let sections = self.header.section_headers(self.endian, self.data).ok()?;
        let section = sections.iter().find(|s| s.sh_type(self.endian) == elf::SHT_RISCV_ATTRIBUTES)?;
        section.data(self.endian, self.data).ok()
    }

    fn mips_abiflags(&self, machine: Machine) -> Option<Vec<u8>> {
        let phdr = self.find(elf::PT_MIPS_ABIFLAGS).filter(|_| machine == Machine::Mips)?;
        let size: u64 = phdr.p_filesz(self.endian).into();
        self.content(phdr).filter(|_| size == ABIFLAGS_SIZE).map(<[u8]>::to_vec)
    }
}
