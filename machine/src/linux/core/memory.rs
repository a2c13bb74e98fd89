//! The body of a core file: headers, notes, and the guest's memory as the default `coredump_filter` (0x33) chooses it.

use super::super::thread::Thread;
use crate::mem::{PAGE_SIZE, Prot, Vma};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// PN_XNUM is for files with more headers, which gdb hardly takes.
const MOST_SEGMENTS: usize = 0xfff0;
/// Pages that are looked at together.
const CHUNK: u64 = 512;

/// The host's view of the guest's pages.
struct Pages {
    memory: File,
    /// `/proc/self/pagemap`, where it can be read.
    map: Option<File>,
    /// The host's address of the guest's address 0.
    base: u64,
}

/// Bits of an entry of `/proc/PID/pagemap`.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

impl Pages {
    fn new(t: &Thread) -> io::Result<Pages> {
        let (memory, map) = (File::open("/proc/self/mem")?, File::open("/proc/self/pagemap").ok());
        Ok(Pages { memory, map, base: t.process.mem.base() as u64 })
    }

    /// The entries of some pages.
    fn entries(&self, range: &Range<u64>) -> Option<Vec<u64>> {
        let mut bytes = vec![0; ((range.end - range.start) / PAGE_SIZE * 8) as usize];
        let at = self.base.wrapping_add(range.start) / PAGE_SIZE * 8;
        self.map.as_ref()?.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes.chunks_exact(8).map(|b| b.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))).collect())
    }

    /// Has a private mapping of a file pages that were written?
    fn is_modified(&self, vma: &Vma) -> bool {
        let own = |entry: &u64| entry & SWAPPED != 0 || entry & (PRESENT | OF_FILE) == PRESENT;
        chunks(&vma.range).any(|chunk| match self.entries(&chunk) {
            Some(entries) => entries.iter().any(own),
            None => vma.prot.contains(Prot::WRITE),
        })
    }

    /// Reads a page; what is not there is zeros.
    fn read(&self, addr: u64, bytes: &mut [u8]) -> bool {
        self.memory.read_exact_at(bytes, self.base.wrapping_add(addr)).is_ok()
    }
}

fn chunks(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    (range.start..end).step_by((CHUNK * PAGE_SIZE) as usize).map(move |at| at..end.min(at + CHUNK * PAGE_SIZE))
}

/// How much of a mapping goes into the file (`vma_dump_size`).
fn dumped(pages: &Pages, vma: &Vma) -> u64 {
    let whole = vma.range.end - vma.range.start;
    let Some(file) = &vma.file else { return whole };
    if vma.shared {
        // Memory that has a name for its sharers only is anonymous.
        return if file.path.ends_with(b" (deleted)") { whole } else { 0 };
    }
    if pages.is_modified(vma) {
        return whole;
    }
    let mut magic = [0; 4];
    let is_elf = vma.offset == 0 && vma.prot.contains(Prot::READ) && pages.read(vma.range.start, &mut magic);
    if is_elf && magic == *b"\x7fELF" { PAGE_SIZE } else { 0 }
}

/// Writes no more than the limit allows; holes do not count.
struct Limited {
    file: File,
    left: u64,
}

impl Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let allowed = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= allowed as u64;
        self.file.write_all(&bytes[..allowed])?;
        if allowed < bytes.len() { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    }
}

/// Writes the file.
pub(super) fn write(t: &Thread, file: File, notes: &[u8]) -> io::Result<()> {
    let pages = Pages::new(t)?;
    let maps = t.process.mem.maps();
    let segments: Vec<(&Vma, u64)> = maps.iter().take(MOST_SEGMENTS).map(|vma| (vma, dumped(&pages, vma))).collect();
    let head = headers(t, notes.len() as u64, &segments);
    let mut out = Limited { file, left: t.process.core_limit() };
    out.write(&head)?;
    out.write(notes)?;
    let mut at = (head.len() + notes.len()) as u64;
    at = at.next_multiple_of(PAGE_SIZE);
    for (vma, size) in segments {
        for chunk in chunks(&(vma.range.start..vma.range.start + size)) {
            write_chunk(&pages, vma, &chunk, at + (chunk.start - vma.range.start), &mut out)?;
        }
        at += size;
    }
    // The last page may be a hole.
    if out.file.stream_position()? < at {
        out.file.set_len(at)?;
    }
    Ok(())
}

/// Writes some pages at a place of the file, but for those that were never touched.
fn write_chunk(pages: &Pages, vma: &Vma, chunk: &Range<u64>, place: u64, out: &mut Limited) -> io::Result<()> {
    let entries = if vma.file.is_none() { pages.entries(chunk) } else { None };
    let mut bytes = vec![0; PAGE_SIZE as usize];
    for (i, addr) in chunk.clone().step_by(PAGE_SIZE as usize).enumerate() {
        let touched = entries.as_ref().is_none_or(|entries| entries[i] & (PRESENT | SWAPPED) != 0);
        if touched && pages.read(addr, &mut bytes) {
            out.file.seek(SeekFrom::Start(place + (addr - chunk.start)))?;
            out.write(&bytes)?;
        }
    }
    Ok(())
}

/// The ELF header and the program headers.
fn headers(t: &Thread, notes: u64, segments: &[(&Vma, u64)]) -> Vec<u8> {
    const ET_CORE: u16 = 4;
    let layout = t.layout();
    let wide = layout.long == 8;
    let (head, entry) = if wide { (64, 56) } else { (52, 32) };
    let count = segments.len() as u64 + 1;
    let (machine, flags) = (t.process.abi.vdso().0.machine, t.process.abi.core_flags());
    let mut w = t.writer();
    w.raw(&[0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, if layout.big { 2 } else { 1 }, 1]).pad_to(16);
    w.u16(ET_CORE).u16(machine).u32(1).longs(&[0, head, 0]).u32(flags);
    w.u16(head as u16).u16(entry as u16).u16(count as u16).u16(0).u16(0).u16(0);
    let mut segment = |kind: u32, flags: u32, offset: u64, addr: u64, in_file: u64, in_memory: u64, align: u64| {
        w.u32(kind);
        if wide {
            w.u32(flags).longs(&[offset, addr, 0, in_file, in_memory, align]);
        } else {
            w.longs(&[offset, addr, 0, in_file, in_memory]).u32(flags).long(align);
        }
    };
    let first = head + count * entry;
    segment(PT_NOTE, 0, first, 0, notes, 0, 4);
    let mut at = (first + notes).next_multiple_of(PAGE_SIZE);
    for (vma, size) in segments {
        let bits = vma.prot.bits();
        let flags = u32::from(bits & 1) << 2 | u32::from(bits & 2) | u32::from(bits >> 2 & 1);
        segment(PT_LOAD, flags, at, vma.range.start, *size, vma.range.end - vma.range.start, PAGE_SIZE);
        at += size;
    }
    w.finish()
}
