//! The list of a guest's mappings.
#![forbid(unsafe_code)]

use super::limits::Sums;
use super::{PAGE_SIZE, Prot};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The file behind a mapping, for `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileId {
    /// `st_dev`.
    pub dev: u64,
    /// `st_ino`.
    pub ino: u64,
    /// The host's path, as `/proc/self/fd` has it.
    pub path: Vec<u8>,
    /// It is on a file system without executions.
    pub noexec: bool,
}

/// A mapping: neighbouring pages that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vma {
    /// The guest addresses, whole pages.
    pub range: Range<u64>,
    /// What the guest asked for.
    pub prot: Prot,
    /// MAP_SHARED.
    pub shared: bool,
    /// The file, if it is one's.
    pub file: Option<Arc<FileId>>,
    /// Offset in the file of the first byte; 0 without a file.
    pub offset: u64,
    /// A name as `[stack]`, for mappings that have one.
    pub name: Option<&'static str>,
    /// MAP_GROWSDOWN.
    pub grows_down: bool,
    /// MAP_NORESERVE.
    pub noreserve: bool,
    /// Locked in memory (mlock(2), MAP_LOCKED).
    pub locked: bool,
    /// mseal(2).
    pub sealed: bool,
}

impl Vma {
    /// The part of it that lies in `range`, which must overlap it.
    fn part(&self, range: &Range<u64>) -> Vma {
        let start = self.range.start.max(range.start);
        let end = self.range.end.min(range.end);
        let offset = if self.file.is_some() { self.offset + (start - self.range.start) } else { 0 };
        Vma { range: start..end, offset, ..self.clone() }
    }

    /// Does `next`, which begins where this ends, belong to the same mapping?
    fn continues(&self, next: &Vma) -> bool {
        let Vma { range, prot, shared, file, offset, name, grows_down, noreserve, locked, sealed } = next;
        let same_file = match (&self.file, file) {
            (None, None) => !shared,
            (Some(a), Some(b)) => a == b && self.offset + (self.range.end - self.range.start) == *offset,
            _ => false,
        };
        self.range.end == range.start
            && same_file
            && (self.prot, self.shared, self.name) == (*prot, *shared, *name)
            && (self.grows_down, self.noreserve) == (*grows_down, *noreserve)
            && (self.locked, self.sealed) == (*locked, *sealed)
    }
}

/// Mappings by their start; they do not overlap.
#[derive(Debug, Default)]
pub(super) struct Vmas {
    map: BTreeMap<u64, Vma>,
    /// Rises with each change.
    version: u64,
    /// How much there is.
    sums: Sums,
}

impl Vmas {
    /// A number that is another one after each change, and never 0 once there was one.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// How much there is.
    pub(super) fn sums(&self) -> Sums {
        self.sums
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.map.values()
    }

    /// The mapping that holds `addr`.
    pub(super) fn at(&self, addr: u64) -> Option<&Vma> {
        self.map.range(..=addr).next_back().map(|(_, v)| v).filter(|v| addr < v.range.end)
    }

    /// The mappings that overlap `range`, each with the common part.
    pub(super) fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = (Range<u64>, &Vma)> {
        let range = range.clone();
        let first = self.at(range.start).map_or(range.start, |v| v.range.start);
        self.map
            .range(first..range.end.max(first))
            .map(move |(_, v)| (v.range.start.max(range.start)..v.range.end.min(range.end), v))
            .filter(|(part, _)| !part.is_empty())
    }

    /// Is nothing mapped in `range`?
    pub(super) fn is_free(&self, range: &Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// The first address of `range` that is not mapped, if there is one.
    pub(super) fn first_hole(&self, range: &Range<u64>) -> Option<u64> {
        let mut at = range.start;
        for (part, _) in self.overlapping(range) {
            if part.start > at {
                break;
            }
            at = part.end;
        }
        (at < range.end).then_some(at)
    }

    /// Takes the mappings of `range` out, splitting those at its ends, and returns the parts.
    pub(super) fn remove(&mut self, range: &Range<u64>) -> Vec<Vma> {
        self.version += 1;
        let starts: Vec<u64> = self.overlapping(range).map(|(_, v)| v.range.start).collect();
        let mut parts = Vec::with_capacity(starts.len());
        for vma in starts.iter().filter_map(|start| self.map.remove(start)).collect::<Vec<_>>() {
            let part = vma.part(range);
            self.sums -= Sums::of(&part, part.range.end - part.range.start);
            parts.push(part);
            if vma.range.start < range.start {
                self.map.insert(vma.range.start, vma.part(&(0..range.start)));
            }
            if vma.range.end > range.end {
                self.map.insert(range.end, vma.part(&(range.end..u64::MAX)));
            }
        }
        parts
    }

    /// Adds a mapping where nothing is, joining it with its neighbours where they are alike.
    pub(super) fn insert(&mut self, mut vma: Vma) {
        self.version += 1;
        debug_assert!(self.is_free(&vma.range), "mappings overlap");
        self.sums += Sums::of(&vma, vma.range.end - vma.range.start);
        let before = vma.range.start.checked_sub(1).and_then(|last| self.at(last));
        if let Some(before) = before.filter(|b| b.continues(&vma)) {
            (vma.range.start, vma.offset) = (before.range.start, before.offset);
        }
        if let Some(after) = self.map.get(&vma.range.end).filter(|a| vma.continues(a)) {
            let (start, end) = (after.range.start, after.range.end);
            vma.range.end = end;
            self.map.remove(&start);
        }
        self.map.insert(vma.range.start, vma);
    }

    /// The highest free place of `len` bytes in `area`.
    pub(super) fn gap_below(&self, len: u64, area: &Range<u64>) -> Option<u64> {
        let mut end = area.end;
        // Mappings from the top down; what ends the place is the start of the one above it.
        for vma in self.map.range(..area.end).rev().map(|(_, v)| v) {
            if vma.range.end <= end && end - vma.range.end >= len {
                break;
            }
            end = end.min(vma.range.start);
            if end < area.start + len {
                return None;
            }
        }
        end.checked_sub(len).filter(|start| *start >= area.start)
    }

    /// The lowest free place of `len` bytes in `area`.
    pub(super) fn gap_above(&self, len: u64, area: &Range<u64>) -> Option<u64> {
        let mut start = area.start;
        for (part, _) in self.overlapping(area) {
            if part.start - start >= len {
                break;
            }
            start = part.end;
        }
        (area.end.checked_sub(start)? >= len).then_some(start)
    }
}

/// Rounds up to whole pages; `None` if that is too much.
pub(super) fn page_up(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(PAGE_SIZE)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of ranges that happen to have one")]
mod tests {
    use super::*;

    fn vma(range: Range<u64>, prot: Prot) -> Vma {
        let (range, name) = (range.start * PAGE_SIZE..range.end * PAGE_SIZE, None);
        let (shared, grows_down, noreserve, locked) = (false, false, false, false);
        Vma { range, prot, shared, file: None, offset: 0, name, grows_down, noreserve, locked, sealed: false }
    }

    fn ranges(vmas: &Vmas) -> Vec<Range<u64>> {
        vmas.iter().map(|v| v.range.start / PAGE_SIZE..v.range.end / PAGE_SIZE).collect()
    }

    fn pages(range: Range<u64>) -> Range<u64> {
        range.start * PAGE_SIZE..range.end * PAGE_SIZE
    }

    #[test]
    fn neighbours_join_and_split() {
        let mut vmas = Vmas::default();
        vmas.insert(vma(10..20, Prot::RW));
        vmas.insert(vma(30..40, Prot::RW));
        vmas.insert(vma(20..25, Prot::READ));
        assert_eq!(ranges(&vmas), [10..20, 20..25, 30..40]);
        assert_eq!(vmas.remove(&pages(15..35)).len(), 3);
        assert_eq!(ranges(&vmas), [10..15, 35..40]);
        vmas.insert(vma(15..35, Prot::RW));
        assert_eq!(ranges(&vmas), [10..40]);
        assert_eq!(vmas.remove(&pages(20..21)), [vma(20..21, Prot::RW)]);
        assert_eq!(ranges(&vmas), [10..20, 21..40]);
        assert_eq!(vmas.first_hole(&pages(12..30)), Some(20 * PAGE_SIZE));
        assert_eq!(vmas.first_hole(&pages(12..20)), None);
        assert_eq!(vmas.first_hole(&pages(5..12)), Some(5 * PAGE_SIZE));
    }

    #[test]
    fn file_parts_keep_their_offset() {
        let file = Some(Arc::new(FileId { dev: 1, ino: 2, path: b"/x".to_vec(), noexec: false }));
        let mut vmas = Vmas::default();
        vmas.insert(Vma { file: file.clone(), offset: 7 * PAGE_SIZE, ..vma(10..20, Prot::READ) });
        let parts = vmas.remove(&pages(12..14));
        assert_eq!(parts[0].offset, 9 * PAGE_SIZE);
        assert_eq!(vmas.at(15 * PAGE_SIZE).map(|v| v.offset), Some(11 * PAGE_SIZE));
        vmas.insert(parts[0].clone());
        assert_eq!(ranges(&vmas), [10..20], "the offsets fit again");
        vmas.remove(&pages(12..14));
        vmas.insert(Vma { offset: 0, ..parts[0].clone() });
        assert_eq!(ranges(&vmas), [10..12, 12..14, 14..20], "another part of the file");
    }

    #[test]
    fn places_are_found_from_both_ends() {
        let mut vmas = Vmas::default();
        let area = pages(1..100);
        let find = |v: &Vmas, n: u64| v.gap_below(n * PAGE_SIZE, &area).map(|a| a / PAGE_SIZE);
        assert_eq!(find(&vmas, 10), Some(90));
        vmas.insert(vma(90..120, Prot::RW));
        assert_eq!(find(&vmas, 10), Some(80));
        vmas.insert(vma(80..85, Prot::READ));
        assert_eq!(find(&vmas, 5), Some(85));
        assert_eq!(find(&vmas, 6), Some(74));
        assert_eq!(find(&vmas, 79), Some(1));
        assert_eq!(find(&vmas, 80), None);
        assert_eq!(vmas.gap_above(5 * PAGE_SIZE, &pages(78..100)), Some(85 * PAGE_SIZE));
        assert_eq!(vmas.gap_above(6 * PAGE_SIZE, &pages(78..100)), None);
    }
}
