//! A map by the address of guest code, which forgets by page.
//!
//! Code that is looked for is mostly on the page where the code is that looks for it. Therefore what is known of a page
//! lies together: a hash table of all addresses would go for another line, and another page, of the host's memory each time.

use crate::PAGE;
use emu_ir::BlockKey;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Bits of a mode (`BlockKey::mode`), at most.
const MODE_BITS: u32 = 4;

/// Cells of a page to begin with: half of those of most pages in the end.
const FIRST_CELLS: usize = 32;

/// Values by address and mode of guest code.
#[derive(Debug)]
pub struct CodeMap<V> {
    pages: FxHashMap<u64, Page<V>>,
    /// By page, code that begins elsewhere and has bytes there. There is little of it.
    reaching: FxHashMap<u64, Vec<BlockKey>>,
}

/// What begins on a page: a hash table of its own, open, in which what is close together in the guest mostly is, too.
#[derive(Debug)]
struct Page<V> {
    /// A power of two, at most half of them in use.
    cells: Box<[Cell<V>]>,
    used: usize,
}

#[derive(Debug)]
struct Cell<V> {
    /// Mode and offset in the page; [`UNUSED`].
    which: u32,
    /// `None` where it has been removed.
    value: Option<V>,
}

/// No code has this mode.
const UNUSED: u32 = u32::MAX;

impl<V> Default for Page<V> {
    fn default() -> Self {
        Page { cells: unused(FIRST_CELLS), used: 0 }
    }
}

fn unused<V>(cells: usize) -> Box<[Cell<V>]> {
    (0..cells).map(|_| Cell { which: UNUSED, value: None }).collect()
}

impl<V> Page<V> {
    /// The cell of `which`, or the one for it.
    #[inline]
    fn find(&self, which: u32) -> usize {
        let mask = self.cells.len() - 1;
        // Code that begins in the same 16 bytes is looked for at the same place.
        let mut at = ((which >> 4).wrapping_mul(0x9e37_79b1) >> 16) as usize & mask;
        while self.cells[at].which != which && self.cells[at].which != UNUSED {
            at = (at + 1) & mask;
        }
        at
    }

    #[inline]
    fn get(&self, which: u32) -> Option<&V> {
        // A cell that is not in use has no value.
        self.cells[self.find(which)].value.as_ref()
    }

    fn insert(&mut self, which: u32, value: V) -> Option<V> {
        let at = self.find(which);
        if self.cells[at].which == which {
            return self.cells[at].value.replace(value);
        }
        self.cells[at] = Cell { which, value: Some(value) };
        self.used += 1;
        if 2 * self.used > self.cells.len() {
            self.grow();
        }
        None
    }

    fn grow(&mut self) {
        let more = unused(2 * self.cells.len());
        for cell in std::mem::replace(&mut self.cells, more) {
            if cell.which != UNUSED {
                let at = self.find(cell.which);
                self.cells[at] = cell;
            }
        }
    }
}

#[inline]
fn which(key: BlockKey) -> u32 {
    debug_assert!(key.mode < 1 << MODE_BITS, "too many mode bits");
    key.mode << 12 | (key.pc % PAGE) as u32
}

impl<V> Default for CodeMap<V> {
    fn default() -> Self {
        CodeMap { pages: FxHashMap::default(), reaching: FxHashMap::default() }
    }
}

impl<V> CodeMap<V> {
    /// The value of `key`.
    pub fn get(&self, key: BlockKey) -> Option<&V> {
        self.pages.get(&(key.pc / PAGE))?.get(which(key))
    }

    /// Sets the value of `key`, whose code has bytes on `pages` (their addresses; its own among them). Returns the value that it had.
    pub fn insert(&mut self, key: BlockKey, pages: impl Iterator<Item = u64>, value: V) -> Option<V> {
        for page in pages.map(|page| page / PAGE).filter(|page| *page != key.pc / PAGE) {
            let reaching = self.reaching.entry(page).or_default();
            if !reaching.contains(&key) {
                reaching.push(key);
            }
        }
        self.pages.entry(key.pc / PAGE).or_default().insert(which(key), value)
    }

    /// Takes the value of `key` away.
    pub fn remove(&mut self, key: BlockKey) -> Option<V> {
        let page = self.pages.get_mut(&(key.pc / PAGE))?;
        let at = page.find(which(key));
        page.cells[at].value.take()
    }

    /// Takes all away whose code has bytes on a page of the range; `None` if nothing ever had since the page was last taken.
    pub fn take(&mut self, range: Range<u64>) -> Option<Vec<V>> {
        // At least one byte, and up to the last one of the address space.
        let pages = range.start / PAGE..=(range.end.max(range.start.saturating_add(1)) - 1) / PAGE;
        let is_wide = pages.end() - pages.start() > (self.pages.len() + self.reaching.len()) as u64;
        let hit: Vec<u64> = if is_wide {
            let known = self.pages.keys().chain(self.reaching.keys());
            known.copied().filter(|page| pages.contains(page)).collect()
        } else {
            pages.filter(|page| self.pages.contains_key(page) || self.reaching.contains_key(page)).collect()
        };
        let mut taken = Vec::new();
        for page in &hit {
            let cells = self.pages.remove(page).map(|page| page.cells);
            taken.extend(cells.into_iter().flatten().filter_map(|cell| cell.value));
            let reaching = self.reaching.remove(page);
            taken.extend(reaching.into_iter().flatten().filter_map(|key| self.remove(key)));
        }
        (!hit.is_empty()).then_some(taken)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.pages.values().flat_map(|page| &page.cells).filter_map(|cell| cell.value.as_ref())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.pages.clear();
        self.reaching.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pc: u64, mode: u32) -> BlockKey {
        BlockKey { pc, mode }
    }

    fn sorted(taken: Option<Vec<u32>>) -> Vec<u32> {
        let mut values = taken.unwrap_or_default();
        values.sort_unstable();
        values
    }

    #[test]
    fn finds_by_address_and_mode() {
        let mut map = CodeMap::default();
        for pc in (0x1000..0x3000).step_by(2) {
            for mode in 0..3 {
                assert_eq!(map.insert(key(pc, mode), [pc / PAGE * PAGE].into_iter(), pc as u32 * 4 + mode), None);
            }
        }
        for pc in (0x1000..0x3000).step_by(2) {
            for mode in 0..3 {
                assert_eq!(map.get(key(pc, mode)), Some(&(pc as u32 * 4 + mode)));
            }
            assert_eq!((map.get(key(pc, 3)), map.get(key(pc + 1, 0))), (None, None));
        }
        assert_eq!(map.get(key(0x0ffe, 0)), None);
        assert_eq!(map.insert(key(0x1000, 1), std::iter::empty(), 7), Some(0x4001));
        assert_eq!((map.remove(key(0x1000, 1)), map.remove(key(0x1000, 1))), (Some(7), None));
        assert_eq!(map.get(key(0x1000, 1)), None);
        assert_eq!(map.insert(key(0x1000, 1), std::iter::empty(), 8), None);
        assert_eq!(map.get(key(0x1000, 1)), Some(&8));
        assert_eq!(map.values().count(), 2 * 2048 * 3);
    }

    #[test]
    fn forgets_by_page() {
        let mut map = CodeMap::default();
        map.insert(key(0x1000, 0), [0x1000].into_iter(), 1);
        map.insert(key(0x1ffe, 0), [0x1000, 0x2000].into_iter(), 2);
        map.insert(key(0x2ffe, 0), [0x2000, 0x3000, 0x1000].into_iter(), 3);
        map.insert(key(0x2ffe, 0), [0x2000, 0x3000].into_iter(), 4);
        assert_eq!(map.take(0x4000..0x5000), None);
        assert_eq!(sorted(map.take(0x3fff..0x4000)), [4]);
        assert_eq!(map.get(key(0x2ffe, 0)), None);
        assert_eq!(sorted(map.take(0x2000..0x2001)), [2]);
        assert_eq!(sorted(map.take(0x1000..0x1000)), [1], "an empty range is a byte");
        assert_eq!(map.take(0..u64::MAX), None);
        map.insert(key(u64::MAX - 1, 0), [u64::MAX / PAGE * PAGE].into_iter(), 5);
        map.insert(key(0, 0), [0].into_iter(), 6);
        assert_eq!(sorted(map.take(0..u64::MAX)), [5, 6]);
    }
}
