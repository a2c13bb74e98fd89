//! Stores with what they overwrote: to undo them, and to compare what two runs have left in memory.

use crate::mem::GuestMemory;
use emu_backend_jit::StoreNote;
use std::collections::BTreeMap;

/// A store to memory.
#[derive(Clone, Copy, Debug)]
struct Stored {
    addr: u64,
    bytes: u8,
    /// What was there.
    old: u64,
    /// What was there at the end of the run, as [`Journal::undo`] found it.
    last: u64,
}

/// The stores of one run, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Vec<Stored>);

/// A run of bytes that differ in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryDiff {
    /// Address of the first.
    pub addr: u64,
    /// What compiled code left there.
    pub compiled: Vec<u8>,
    /// What the interpreter left there.
    pub interpreted: Vec<u8>,
}

impl Journal {
    /// No stores any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The stores that compiled code has noted.
    pub(super) fn set(&mut self, notes: &[StoreNote], mem: &GuestMemory) {
        self.0.clear();
        self.0.extend(notes.iter().filter_map(|note| {
            let addr = mem.guest_addr(note.host)?;
            Some(Stored { addr, bytes: note.bytes as u8, old: note.old, last: note.old })
        }));
    }

    /// Notes that `bytes` at `addr` are about to be written. Where they cannot be read they cannot be written either.
    #[inline]
    pub(super) fn note(&mut self, mem: &GuestMemory, addr: u64, bytes: u8) {
        if let Ok(old) = mem.load(addr, bytes) {
            self.0.push(Stored { addr, bytes, old, last: old });
        }
    }

    /// Puts memory back as it was before the first store.
    pub(super) fn undo(&mut self, mem: &GuestMemory) {
        for store in &mut self.0 {
            store.last = mem.load(store.addr, store.bytes).unwrap_or(store.old);
        }
        for store in self.0.iter().rev() {
            // It could be written before; if not any more, then the comparison tells.
            let _ = mem.store(store.addr, store.bytes, store.old);
        }
    }

    /// The pages that were written.
    pub(super) fn pages(&self) -> impl Iterator<Item = u64> + '_ {
        let ends = |s: &Stored| [s.addr, s.addr + u64::from(s.bytes) - 1];
        self.0.iter().flat_map(ends).map(|addr| addr & !(crate::mem::PAGE_SIZE - 1))
    }

    /// Where memory, now that the stores of `interpreted` have been made, is not as the stores of `self`, which have been
    /// undone before, had left it.
    pub(super) fn differences(&self, interpreted: &Journal, mem: &GuestMemory) -> Vec<MemoryDiff> {
        let same_places = self.0.len() == interpreted.0.len()
            && self.0.iter().zip(&interpreted.0).all(|(a, b)| (a.addr, a.bytes, a.old) == (b.addr, b.bytes, b.old));
        let as_left = |s: &Stored| mem.load(s.addr, s.bytes) == Ok(s.last);
        if same_places && self.0.iter().all(as_left) { Vec::new() } else { self.differing_bytes(interpreted, mem) }
    }

    fn differing_bytes(&self, interpreted: &Journal, mem: &GuestMemory) -> Vec<MemoryDiff> {
        let mut compiled: BTreeMap<u64, u8> = BTreeMap::new();
        for store in &self.0 {
            let last = store.last.to_le_bytes();
            compiled.extend((0..store.bytes).map(|i| (store.addr + u64::from(i), last[usize::from(i)])));
        }
        // What only the interpreter has written is, after compiled code, what it was at the start.
        for store in &interpreted.0 {
            let old = store.old.to_le_bytes();
            for i in 0..store.bytes {
                compiled.entry(store.addr + u64::from(i)).or_insert(old[usize::from(i)]);
            }
        }
        let mut list: Vec<MemoryDiff> = Vec::new();
        for (addr, compiled) in compiled {
            let interpreted = mem.load(addr, 1).unwrap_or_default() as u8;
            if compiled == interpreted {
                continue;
            }
            match list.last_mut().filter(|last| last.addr + last.compiled.len() as u64 == addr) {
                Some(last) => {
                    last.compiled.push(compiled);
                    last.interpreted.push(interpreted);
                }
                None => list.push(MemoryDiff { addr, compiled: vec![compiled], interpreted: vec![interpreted] }),
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{Fixed, MapRequest, Prot};

    const AT: u64 = 0x2_0000;

    fn memory() -> GuestMemory {
        let mem = GuestMemory::new(64).expect("guest memory");
        let request =
            MapRequest { addr_hint: AT, len: 4096, prot: Prot::RW, fixed: Fixed::Replace, ..MapRequest::default() };
        mem.mmap(&request).expect("a page");
        mem
    }

    /// Makes the stores and undoes them, or not.
    fn run(mem: &GuestMemory, stores: &[(u64, u8, u64)], undo: bool) -> Journal {
        let mut journal = Journal::default();
        for &(addr, bytes, value) in stores {
            journal.note(mem, addr, bytes);
            mem.store(addr, bytes, value).expect("mapped");
        }
        if undo {
            journal.undo(mem);
        }
        journal
    }

    #[test]
    fn stores_are_undone_in_reverse() {
        let mem = memory();
        mem.write_u64(AT, 0x1122_3344_5566_7788).unwrap();
        run(&mem, &[(AT, 8, 1), (AT + 2, 4, u64::MAX), (AT + 3, 1, 7)], true);
        assert_eq!(mem.read_u64(AT), Ok(0x1122_3344_5566_7788));
    }

    #[test]
    fn what_is_left_counts_not_how_it_came() {
        let mem = memory();
        let first = run(&mem, &[(AT, 1, 1), (AT + 1, 1, 2), (AT, 8, 9), (AT, 8, 0x201)], true);
        let second = run(&mem, &[(AT, 2, 0x201)], false);
        assert_eq!(first.differences(&second, &mem), []);
    }

    #[test]
    fn differences_are_found_on_both_sides() {
        let mem = memory();
        let first = run(&mem, &[(AT, 4, 0x0403_0201), (AT + 64, 1, 5)], true);
        let second = run(&mem, &[(AT, 4, 0x0403_ff01), (AT + 32, 2, 0x0600)], false);
        let diff = |addr, compiled: &[u8], interpreted: &[u8]| MemoryDiff {
            addr,
            compiled: compiled.to_vec(),
            interpreted: interpreted.to_vec(),
        };
        let expected = [diff(AT + 1, &[2], &[0xff]), diff(AT + 33, &[0], &[6]), diff(AT + 64, &[5], &[0])];
        assert_eq!(first.differences(&second, &mem), expected);
    }
}
