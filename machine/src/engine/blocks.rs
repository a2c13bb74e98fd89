//! The block cache: translated blocks by guest address and mode, dropped by guest page.

use super::BLOCK_INSNS;
use super::entry::Entry;
use crate::mem::GuestMemory;
use emu_backend_jit::CodeMap;
use emu_ir::{Block, BlockKey, Fault, Fetch, Guest, Terminator, opt};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const PAGE: u64 = emu_backend_jit::PAGE;

/// Instructions of a run ([`Extent::Run`]) after which no other block is appended.
const RUN_INSNS: usize = 24;

/// Numbers of the block cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockStats {
    /// Blocks translated.
    pub blocks: u64,
    /// Guest instructions in them.
    pub insns: u64,
    /// Blocks dropped because their bytes changed.
    pub dropped: u64,
}

/// All blocks of one program.
#[derive(Default)]
pub(super) struct BlockCache {
    map: RwLock<Map>,
    /// Blocks stay as the decoder makes them.
    plain: bool,
}

#[derive(Default)]
pub(super) struct Map {
    entries: CodeMap<Arc<Entry>>,
    stats: BlockStats,
}

impl BlockCache {
    /// A cache of blocks that are not optimised if `plain` says so.
    pub(super) fn new(plain: bool) -> BlockCache {
        BlockCache { plain, ..BlockCache::default() }
    }

    /// Are its blocks not optimised?
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps everybody else out.
    pub(super) fn lock(&self) -> RwLockWriteGuard<'_, Map> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> BlockStats {
        self.read().stats
    }

    pub(super) fn get(&self, key: BlockKey) -> Option<Arc<Entry>> {
        self.read().entries.get(key).cloned()
    }

    /// Translates the block at `key` and keeps its entry, without the IR, unless its page cannot be watched for changes.
    pub(super) fn translate(
        &self,
        key: BlockKey,
        guest: &dyn Guest,
        mem: &Arc<GuestMemory>,
    ) -> Result<(Arc<Entry>, Block), Fault> {
        loop {
            let epoch = mem.code_epoch();
            let mut fetch = WatchedFetch::new(mem);
            let block = if self.plain {
                guest.translate(key, &mut fetch, BLOCK_INSNS)?
            } else {
                translate(key, guest, &mut fetch, BLOCK_INSNS, Extent::Block)?
            };
            let entry = Arc::new(Entry::new(&block));
            if !fetch.all_watched {
                // Nobody would be told of a change.
                entry.set_dropped();
                return Ok((entry, block));
            }
            self.insert(&entry, &block);
            // A change that came before the insertion has not found the block.
            if mem.code_epoch() == epoch {
                return Ok((entry, block));
            }
            self.remove(key);
        }
    }

    fn insert(&self, entry: &Arc<Entry>, block: &Block) {
        let (mut map, key) = (self.lock(), entry.key);
        map.stats.blocks += 1;
        map.stats.insns += u64::from(block.insn_count());
        let pages = pages_of(key.pc..block.end()).chain(block.beyond.iter().copied());
        // Another thread may have translated the block as well.
        if let Some(old) = map.entries.insert(key, pages, Arc::clone(entry)) {
            old.set_dropped();
        }
    }

    fn remove(&self, key: BlockKey) {
        if let Some(entry) = self.lock().entries.remove(key) {
            entry.set_dropped();
        }
    }

    /// Drops all blocks that depend on a byte in `range`.
    pub(super) fn invalidate(&self, range: Range<u64>) {
        let mut map = self.lock();
        for entry in map.entries.take(range).into_iter().flatten() {
            entry.set_dropped();
            map.stats.dropped += 1;
        }
    }

    /// The code cache was emptied: blocks start to count anew.
    pub(super) fn forget_compiled(&self) {
        for entry in self.read().entries.values() {
            entry.forget_compiled();
        }
    }
}

/// Page addresses of a range of bytes.
fn pages_of(range: Range<u64>) -> impl Iterator<Item = u64> {
    (range.start / PAGE * PAGE..range.end).step_by(PAGE as usize)
}

/// How far a translation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// To the first branch or jump.
    Block,
    /// Over branches forward, as long as they are not taken ([`Block::append`]): for quick code, which keeps registers in the
    /// host's within a translation only.
    Run,
}

/// Decodes what begins at `key`, `max_insns` instructions at most.
pub(super) fn decode(
    key: BlockKey,
    guest: &dyn Guest,
    fetch: &mut dyn Fetch,
    max_insns: usize,
    extent: Extent,
) -> Result<Block, Fault> {
    let mut block = guest.translate(key, fetch, max_insns)?;
    while extent == Extent::Run
        && let Some(next) = follower(&block)
        && block.marks.len() < max_insns.min(RUN_INSNS)
    {
        let room = max_insns.min(RUN_INSNS) - block.marks.len();
        let Ok(other) = guest.translate(next, fetch, room) else { break };
        if other.needs_window() || !block.append(&other) {
            break;
        }
    }
    Ok(block)
}

/// What follows the block on its page if it ends with a branch forward.
fn follower(block: &Block) -> Option<BlockKey> {
    match block.term {
        Terminator::Branch { taken, next, .. } if taken > block.last_pc() && next / PAGE == block.key.pc / PAGE => {
            Some(BlockKey { pc: next, ..block.key })
        }
        _ => None,
    }
}

/// Decodes and optimises; what is a run will be compiled.
pub(super) fn translate(
    key: BlockKey,
    guest: &dyn Guest,
    fetch: &mut dyn Fetch,
    max_insns: usize,
    extent: Extent,
) -> Result<Block, Fault> {
    let mut block = decode(key, guest, fetch, max_insns, extent)?;
    if cfg!(debug_assertions) {
        emu_ir::verify::verify(&block).unwrap_or_else(|e| panic!("decoder made a bad block at {:#x}: {e}", key.pc));
    }
    opt::optimize(&mut block);
    if extent == Extent::Run {
        opt::combine_accesses(&mut block);
    }
    if cfg!(debug_assertions) {
        emu_ir::verify::verify(&block).unwrap_or_else(|e| panic!("optimiser broke the block at {:#x}: {e}", key.pc));
    }
    Ok(block)
}

/// Reads guest code, eight bytes at a time, and has each page watched before the first byte is read from it.
pub(super) struct WatchedFetch<'a> {
    mem: &'a GuestMemory,
    /// The page watched last.
    watched: Option<u64>,
    /// What was read last, and where.
    quad: u64,
    quad_addr: u64,
    /// Every page that was read could be watched.
    pub(super) all_watched: bool,
}

impl<'a> WatchedFetch<'a> {
    pub(super) fn new(mem: &'a GuestMemory) -> WatchedFetch<'a> {
        // No eight bytes begin at an odd address.
        WatchedFetch { mem, watched: None, quad: 0, quad_addr: 1, all_watched: true }
    }

    /// The eight bytes around `addr`, from there on.
    fn quad(&mut self, addr: u64) -> Result<u64, Fault> {
        let start = addr & !7;
        if self.quad_addr != start {
            self.quad = self.read(addr, start)?;
            self.quad_addr = start;
        }
        Ok(self.quad >> (8 * (addr % 8)))
    }

    /// Reads the eight bytes at `start`, which lie in one page, for the access to `addr` among them.
    fn read(&mut self, addr: u64, start: u64) -> Result<u64, Fault> {
        let page = addr / PAGE;
        if self.watched != Some(page) {
            self.watched = Some(page);
            self.all_watched &= self.mem.protect_code(addr);
        }
        self.mem.fetch(start, 8).map_err(|fault| Fault { addr: fault.addr.max(addr), ..fault })
    }
}

impl Fetch for WatchedFetch<'_> {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        Ok(self.quad(addr)? as u16)
    }

    fn fetch32(&mut self, addr: u64) -> Result<u32, Fault> {
        if addr % 8 <= 4 {
            return Ok(self.quad(addr)? as u32);
        }
        let low = self.fetch16(addr)?;
        let high = self.fetch16(addr.wrapping_add(2))?;
        Ok(u32::from(high) << 16 | u32::from(low))
    }
}
