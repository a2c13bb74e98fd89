//! ELF files: what the loader needs of them, checked.
//!
//! [`Image::parse`] reads the headers with the `object` crate and hands out a plain structure whose numbers can be
//! trusted: segments are in order, inside the file and the address space, and do not overlap. Everything else in this
//! module is about saying what a file is ([`Image::describe`]).
#![forbid(unsafe_code)]

mod attributes;
mod describe;
mod mips;
mod parse;

#[cfg(test)]
pub(crate) mod tests;

pub use describe::Description;
pub use mips::MipsAbi;

use crate::mem::{Errno, Prot};
use std::ops::Range;

/// Width of addresses in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Class {
    Elf32,
    Elf64,
}

impl Class {
    /// Bytes in an address: 4 or 8.
    pub const fn word(self) -> u64 {
        match self {
            Class::Elf32 => 4,
            Class::Elf64 => 8,
        }
    }

    /// The first address that does not exist, or the largest number there is.
    const fn limit(self) -> u64 {
        match self {
            Class::Elf32 => 1 << 32,
            Class::Elf64 => u64::MAX,
        }
    }
}

/// Byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Endian {
    Little,
    Big,
}

/// The processor that the file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// EM_RISCV.
    RiscV,
    /// EM_MIPS.
    Mips,
    /// Any other `e_machine`.
    Other(u16),
}

/// The kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// ET_EXEC: has its addresses.
    Exec,
    /// ET_DYN: a position-independent program, a program interpreter or a library.
    Dyn,
}

/// A PT_LOAD segment of at least one byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes in the file; at most `mem_size`.
    pub file_size: u64,
    /// Address, not yet moved.
    pub addr: u64,
    /// Bytes in memory; not 0.
    pub mem_size: u64,
    /// What it allows.
    pub prot: Prot,
    /// `p_align`: 0 or a power of two.
    pub align: u64,
}

impl Segment {
    /// The addresses it takes.
    pub fn range(&self) -> Range<u64> {
        self.addr..self.addr + self.mem_size
    }
}

/// The initial content of thread-local storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Address of the initialised part.
    pub addr: u64,
    /// Bytes of the initialised part.
    pub file_size: u64,
    /// Bytes in all.
    pub mem_size: u64,
    /// Alignment.
    pub align: u64,
}

/// The program headers as the program itself finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramHeaders {
    /// Their address, if a segment holds them (AT_PHDR).
    pub addr: Option<u64>,
    /// Bytes in one (AT_PHENT).
    pub entry_size: u16,
    /// How many (AT_PHNUM).
    pub count: u16,
}

/// A checked ELF file that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// 32 or 64 bits.
    pub class: Class,
    /// Byte order.
    pub endian: Endian,
    /// The processor.
    pub machine: Machine,
    /// Fixed addresses or not.
    pub kind: Kind,
    /// `e_flags`.
    pub flags: u32,
    /// `EI_ABIVERSION`.
    pub abi_version: u8,
    /// Address of the first instruction, not yet moved.
    pub entry: u64,
    /// Where the program headers are.
    pub phdrs: ProgramHeaders,
    /// The segments, in order of their addresses; at least one.
    pub segments: Vec<Segment>,
    /// The program interpreter's path, without its NUL.
    pub interp: Option<Vec<u8>>,
    /// Whether the stack has to be executable, if PT_GNU_STACK says so or not.
    pub exec_stack: Option<bool>,
    /// Thread-local storage.
    pub tls: Option<Tls>,
    /// The ISA string of the RISC-V attributes, as `rv64i2p1_m2p0`.
    pub riscv_arch: Option<String>,
    /// MIPS: the content of `.MIPS.abiflags`.
    pub mips_abiflags: Option<Vec<u8>>,
}

impl Image {
    /// The addresses from the first segment's page to the last segment's end.
    pub fn extent(&self) -> Range<u64> {
        let start = self.segments.first().map_or(0, |s| s.addr);
        let end = self.segments.last().map_or(0, |s| s.range().end);
        start & !(crate::mem::PAGE_SIZE - 1)..end
    }

    /// The largest alignment that a segment asks for, at least a page.
    pub fn max_align(&self) -> u64 {
        self.segments.iter().map(|s| s.align).max().unwrap_or(0).max(crate::mem::PAGE_SIZE)
    }
}

/// Why a file cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ElfError {
    #[error("not an ELF file")]
    NotElf,
    #[error("the ELF header has an unknown class, byte order or version")]
    BadIdent,
    #[error("the file ends inside the ELF header or the program headers")]
    Truncated,
    #[error("ELF type {0} is neither a program nor a shared object")]
    NotExecutable(u16),
    #[error("program headers of {found} bytes instead of {expected}")]
    BadHeaderSize { found: u16, expected: u16 },
    #[error("{0} program headers are none or too many")]
    BadHeaderCount(u16),
    #[error("there is no segment to load")]
    NoSegments,
    #[error("segment {0} is larger in the file than in memory")]
    FileSizeTooLarge(usize),
    #[error("segment {0} reaches beyond the end of the file")]
    SegmentTruncated(usize),
    #[error("segment {0} reaches beyond the end of the address space")]
    AddressOverflow(usize),
    #[error("segment {0} has an alignment that is no power of two, or its offset does not fit its address")]
    BadAlignment(usize),
    #[error("segment {0} overlaps the one before or is out of order")]
    Overlap(usize),
    #[error("the program interpreter's path is empty, too long, or without an end")]
    BadInterpreter,
    #[error("the file cannot be read: {0}")]
    Unreadable(Errno),
}

impl ElfError {
    /// What execve(2) answers.
    pub fn errno(&self) -> Errno {
        match self {
            ElfError::FileSizeTooLarge(_) | ElfError::BadAlignment(_) | ElfError::Overlap(_) => Errno::EINVAL,
            ElfError::Unreadable(errno) => *errno,
            _ => Errno::ENOEXEC,
        }
    }
}
