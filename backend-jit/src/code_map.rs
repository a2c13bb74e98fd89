//! A map by the address of guest code, which forgets by page.
//!
//! Code that is looked for is mostly on the page where the code is that looks for it. Therefore what is known of a page
//! lies together: a hash table of all addresses would go for another line, and another page, of the host's memory each time.

use crate::PAGE;
use emu_ir::BlockKey;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Lists of a page, each for the code in a part of it.
const LISTS: usize = 256;
/// Bits of a mode (`BlockKey::mode`), at most: a page has fewer cells than a `u16` can count.
const MODE_BITS: u32 = 4;

/// Values by address and mode of guest code.
#[derive(Debug)]
pub struct CodeMap<V> {
    pages: FxHashMap<u64, Box<Page<V>>>,
}

/// What begins on a page, or has bytes of it.
#[derive(Debug)]
struct Page<V> {
    /// For each part of the page the first cell of its list ([`Cell::next`]).
    lists: [u16; LISTS],
    cells: Vec<Cell<V>>,
    /// Code that begins elsewhere and has bytes here.
    reaching: Vec<BlockKey>,
}

#[derive(Debug)]
struct Cell<V> {
    /// `None` where it has been removed.
    value: Option<V>,
    /// Mode and offset in the page.
    which: u32,
    /// The index of the next cell of the list, plus one; 0 at the end.
    next: u16,
}

impl<V> Default for Page<V> {
    fn default() -> Self {
        Page { lists: [0; LISTS], cells: Vec::new(), reaching: Vec::new() }
    }
}

impl<V> Page<V> {
    fn list(key: BlockKey) -> usize {
        (key.pc % PAGE) as usize * LISTS / PAGE as usize
    }

    fn find(&self, key: BlockKey) -> Option<usize> {
        let which = which(key);
        let mut next = self.lists[Self::list(key)];
        while next != 0 {
            let index = next as usize - 1;
            if self.cells[index].which == which {
                return Some(index);
            }
            next = self.cells[index].next;
        }
        None
    }

    fn insert(&mut self, key: BlockKey, value: V) -> Option<V> {
        if let Some(index) = self.find(key) {
            return self.cells[index].value.replace(value);
        }
        let list = &mut self.lists[Self::list(key)];
        self.cells.push(Cell { value: Some(value), which: which(key), next: *list });
        *list = self.cells.len() as u16;
        None
    }
}

fn which(key: BlockKey) -> u32 {
    debug_assert!(key.mode < 1 << MODE_BITS, "too many mode bits");
    key.mode << 12 | (key.pc % PAGE) as u32
}

impl<V> Default for CodeMap<V> {
    fn default() -> Self {
        CodeMap { pages: FxHashMap::default() }
    }
}

impl<V> CodeMap<V> {
    /// The value of `key`.
    pub fn get(&self, key: BlockKey) -> Option<&V> {
        let page = self.pages.get(&(key.pc / PAGE))?;
        page.cells[page.find(key)?].value.as_ref()
    }

    /// Sets the value of `key`, whose code has bytes on `pages` (their addresses; its own among them). Returns the value that it had.
    pub fn insert(&mut self, key: BlockKey, pages: impl Iterator<Item = u64>, value: V) -> Option<V> {
        for page in pages.map(|page| page / PAGE).filter(|page| *page != key.pc / PAGE) {
            let reaching = &mut self.pages.entry(page).or_default().reaching;
            if !reaching.contains(&key) {
                reaching.push(key);
            }
        }
        self.pages.entry(key.pc / PAGE).or_default().insert(key, value)
    }

    /// Takes the value of `key` away.
    pub fn remove(&mut self, key: BlockKey) -> Option<V> {
        let page = self.pages.get_mut(&(key.pc / PAGE))?;
        let index = page.find(key)?;
        page.cells[index].value.take()
    }

    /// Takes all away whose code has bytes on a page of the range; `None` if nothing ever had since the page was last taken.
    pub fn take(&mut self, range: Range<u64>) -> Option<Vec<V>> {
        // At least one byte, and up to the last one of the address space.
        let pages = range.start / PAGE..=(range.end.max(range.start.saturating_add(1)) - 1) / PAGE;
        let is_wide = pages.end() - pages.start() > self.pages.len() as u64;
        let hit: Vec<u64> = if is_wide {
            self.pages.keys().copied().filter(|page| pages.contains(page)).collect()
        } else {
            pages.filter(|page| self.pages.contains_key(page)).collect()
        };
        let mut taken = Vec::new();
        for page in &hit {
            let Some(page) = self.pages.remove(page) else { continue };
            taken.extend(page.cells.into_iter().filter_map(|cell| cell.value));
            taken.extend(page.reaching.into_iter().filter_map(|key| self.remove(key)));
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
