//! Listing the code of an ELF file.
#![forbid(unsafe_code)]

use crate::elf::{Endian, Image, Segment};
use crate::mem::Prot;
use emu_ir::{AccessKind, Fault, FaultCause, Fetch, Guest};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

/// SHF_EXECINSTR.
const SHF_EXECINSTR: u64 = 4;

/// The code of a file: where it is, and the names of its addresses.
pub struct Listing<'a> {
    data: &'a [u8],
    endian: Endian,
    segments: &'a [Segment],
    /// Addresses that hold instructions, in order.
    pub code: Vec<Range<u64>>,
    /// Names of functions.
    pub labels: BTreeMap<u64, String>,
}

impl<'a> Listing<'a> {
    /// The code of the file `data`, whose headers are `image`: its executable sections or, if it has none, segments.
    pub fn new(data: &'a [u8], image: &'a Image) -> Listing<'a> {
        let (mut code, labels) = sections_and_labels(data);
        if code.is_empty() {
            let executable = image.segments.iter().filter(|s| s.prot.contains(Prot::EXEC));
            code = executable.map(|s| s.addr..s.addr + s.file_size).collect();
        }
        code.sort_by_key(|range| range.start);
        Listing { data, endian: image.endian, segments: &image.segments, code, labels }
    }

    /// Writes the instructions in `range`, a line each: address, bytes, assembly.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, guest: &dyn Guest, range: Option<&Range<u64>>, out: &mut dyn Write) -> io::Result<()> {
        for code in &self.code {
            let start = range.map_or(code.start, |r| code.start.max(r.start));
            let end = range.map_or(code.end, |r| code.end.min(r.end));
            self.write_run(guest, start..end, out)?;
        }
        Ok(())
    }

    fn write_run(&self, guest: &dyn Guest, range: Range<u64>, out: &mut dyn Write) -> io::Result<()> {
        let mut code = FileCode { listing: self };
        let mut pc = range.start;
        while pc < range.end {
            if let Some(label) = self.labels.get(&pc) {
                writeln!(out, "\n{pc:016x} <{label}>:")?;
            }
            let Ok((text, len)) = guest.disassemble(pc, &mut code) else { break };
            writeln!(out, "{pc:>12x}:  {:<9} {text}", self.hex(pc, len))?;
            pc += u64::from(len);
        }
        Ok(())
    }

    /// The bytes of an instruction as one number.
    fn hex(&self, pc: u64, len: u8) -> String {
        let bytes = self.bytes(pc, u64::from(len)).unwrap_or_default();
        let digits = |b: &u8| format!("{b:02x}");
        match self.endian {
            Endian::Little => bytes.iter().rev().map(digits).collect(),
            Endian::Big => bytes.iter().map(digits).collect(),
        }
    }

    /// What the file has for an address.
    fn bytes(&self, addr: u64, len: u64) -> Option<&'a [u8]> {
        let holds =
            |s: &&Segment| s.addr <= addr && addr - s.addr < s.file_size && s.file_size - (addr - s.addr) >= len;
        let segment = self.segments.iter().find(holds)?;
        let start = usize::try_from(segment.offset + (addr - segment.addr)).ok()?;
        self.data.get(start..)?.get(..usize::try_from(len).ok()?)
    }
}

/// Sections are a courtesy: a file whose section headers are damaged has none.
fn sections_and_labels(data: &[u8]) -> (Vec<Range<u64>>, BTreeMap<u64, String>) {
    let Ok(file) = object::File::parse(data) else { return Default::default() };
    let executable = |flags| matches!(flags, SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & SHF_EXECINSTR != 0);
    let sections = file.sections().filter(|s| executable(s.flags()) && s.size() > 0);
    let ranges = sections.filter_map(|s| Some(s.address()..s.address().checked_add(s.size())?)).collect();
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let functions = symbols.filter(|s| s.kind() == object::SymbolKind::Text && s.is_definition());
    let labels = functions.filter_map(|s| Some((s.address(), s.name().ok()?.to_owned()))).collect();
    (ranges, labels)
}

/// The function at or before an address of an ELF file, and the distance from it.
pub(crate) fn nearest_symbol(data: &[u8], addr: u64) -> Option<(String, u64)> {
    let (_, labels) = sections_and_labels(data);
    labels.range(..=addr).next_back().map(|(start, name)| (name.clone(), addr - start))
}

/// The file's bytes at their addresses, as a decoder reads them.
struct FileCode<'l, 'a> {
    listing: &'l Listing<'a>,
}

impl Fetch for FileCode<'_, '_> {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        match self.listing.bytes(addr, 2) {
            Some(&[low, high]) => Ok(u16::from_le_bytes([low, high])),
            _ => Err(Fault { addr, access: AccessKind::Execute, cause: FaultCause::Unmapped }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::guest_for;

    #[test]
    fn the_example_is_listed() {
        let data = std::fs::read("../examples/hello").unwrap();
        let image = Image::parse(&data).unwrap();
        let guest = guest_for(&image, None).unwrap_or_else(|e| panic!("{e}"));
        let listing = Listing::new(&data, &image);
        let mut out = Vec::new();
        listing.write(&*guest, None, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("<_start>:\n") && text.contains("  ecall\n"), "{text}");
        assert!(!text.contains(".insn"), "{text}");
        let mut out = Vec::new();
        let first = listing.code[0].start;
        listing.write(&*guest, Some(&(first..first + 4)), &mut out).unwrap();
        assert!((1..=4).contains(&String::from_utf8(out).unwrap().lines().filter(|l| l.contains(":  ")).count()));
    }
}
