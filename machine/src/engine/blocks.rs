//! The block cache: translated blocks by guest address and mode, dropped by guest page.

use super::BLOCK_INSNS;
use crate::mem::{GuestMemory, UserEnv};
use emu_interp::Code;
use emu_ir::{Block, BlockKey, Fault, Fetch, Guest, IndirectKind, Terminator, opt};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const PAGE: u64 = emu_backend_jit::PAGE;

/// A translated block.
pub struct Entry {
    pub(super) key: BlockKey,
    /// Its optimised IR, until there is quick code: what else needs it then makes it anew, which is seldom.
    block: Mutex<Option<Arc<Block>>>,
    /// It ends with an indirect jump or call.
    jumps: bool,
    /// The same for the interpreter, made when it first runs it: quick code often comes before.
    code: OnceLock<Box<Code>>,
    /// Executions by the interpreter.
    pub runs: AtomicU32,
    /// Is there compiled code for it, as far as known?
    state: AtomicU8,
    /// The cache does not have it any more: its bytes have changed.
    dropped: AtomicBool,
    /// How often its region has not been worth compiling yet.
    deferrals: AtomicU8,
    /// It became hot while it was part of a region.
    put_off: AtomicBool,
    /// The quick compiler does not have some op of it.
    quick_refused: AtomicBool,
    /// Its quick code has been made anew with what follows the block, or cannot be.
    is_run: AtomicBool,
    /// Where the indirect jump that ends it has gone, once it has.
    targets: OnceLock<Box<Targets>>,
    /// Addresses of the blocks that follow it in its run.
    joints: OnceLock<Box<[u64]>>,
}

/// Addresses of code; [`NO_TARGET`] where nothing is noted.
type Targets = [AtomicU64; 16];

/// No instruction is there: addresses of instructions are even.
const NO_TARGET: u64 = 1;

impl Entry {
    fn new(block: Block) -> Entry {
        Entry {
            key: block.key,
            jumps: matches!(
                block.term,
                Terminator::Indirect { kind: IndirectKind::Jump | IndirectKind::Call { .. }, .. }
            ),
            block: Mutex::new(Some(Arc::new(block))),
            code: OnceLock::new(),
            runs: AtomicU32::new(0),
            state: AtomicU8::new(FRESH),
            dropped: AtomicBool::new(false),
            deferrals: AtomicU8::new(0),
            put_off: AtomicBool::new(false),
            quick_refused: AtomicBool::new(false),
            is_run: AtomicBool::new(false),
            targets: OnceLock::new(),
            joints: OnceLock::new(),
        }
    }

    /// Its IR, if it is still kept.
    pub(super) fn block(&self) -> Option<Arc<Block>> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// There is code: the IR is not needed any more.
    pub(super) fn forget_block(&self) {
        let block = self.block.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(block) = block.and_then(Arc::into_inner) {
            block.recycle();
        }
    }

    /// What the interpreter runs; `block` gets the IR.
    #[inline]
    pub(super) fn code(
        &self,
        guest: &dyn Guest,
        block: impl FnOnce(&Entry) -> Result<Arc<Block>, Fault>,
    ) -> Result<&Code, Fault> {
        if let Some(code) = self.code.get() {
            return Ok(code);
        }
        let block = block(self)?;
        Ok(self.code.get_or_init(|| Box::new(Code::new(&block, guest))))
    }

    /// Notes where the block's indirect jump went, if it ends with one.
    #[inline]
    pub(super) fn note_target(&self, pc: u64) {
        if self.jumps {
            for cell in self.targets.get_or_init(|| Box::new([const { AtomicU64::new(NO_TARGET) }; 16])).iter() {
                match cell.load(Ordering::Relaxed) {
                    NO_TARGET => return cell.store(pc, Ordering::Relaxed),
                    known if known == pc => return,
                    _ => {}
                }
            }
        }
    }

    /// What [`Entry::note_target`] has seen.
    pub(super) fn targets(&self) -> Vec<u64> {
        let seen =
            self.targets.get().into_iter().flat_map(|targets| targets.iter()).map(|cell| cell.load(Ordering::Relaxed));
        let mut list: Vec<u64> = seen.filter(|pc| *pc != NO_TARGET).collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// Counts `more` executions that are not to make anything happen.
    pub(super) fn add_runs(&self, more: u32) {
        self.runs.store(self.runs.load(Ordering::Relaxed).saturating_add(more), Ordering::Relaxed);
    }

    /// Counts `more` executions; has the block reached `threshold` by them, or twice that for each time that its region was deferred?
    ///
    /// Not a read-modify-write: a count lost between threads does no harm, a locked instruction here would.
    #[inline]
    pub(super) fn count_runs(&self, more: u32, threshold: u32) -> bool {
        let threshold = threshold.saturating_mul(1 << self.deferrals.load(Ordering::Relaxed));
        let before = self.runs.load(Ordering::Relaxed);
        let runs = before.saturating_add(more);
        self.runs.store(runs, Ordering::Relaxed);
        before < threshold && runs >= threshold
    }

    /// Its region is not worth compiling before it has run twice as often.
    pub(super) fn defer(&self) {
        let deferrals = self.deferrals.load(Ordering::Relaxed);
        self.deferrals.store((deferrals + 1).min(MAX_DEFERRALS), Ordering::Relaxed);
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    pub(super) fn is_compiled(&self) -> bool {
        self.state.load(Ordering::Acquire) == COMPILED
    }

    /// Has it been put off before? If not it is now: it counts anew.
    pub(super) fn was_put_off(&self) -> bool {
        let before = self.put_off.swap(true, Ordering::Relaxed);
        if !before {
            self.runs.store(0, Ordering::Relaxed);
        }
        before
    }

    /// Has it been put off? Then its count says nothing of the time before.
    pub(super) fn has_been_hot(&self) -> bool {
        self.put_off.load(Ordering::Relaxed)
    }

    /// Will the compiler never be asked again?
    pub(super) fn is_refused(&self) -> bool {
        self.state.load(Ordering::Relaxed) == REFUSED
    }

    pub(super) fn is_quick_refused(&self) -> bool {
        self.quick_refused.load(Ordering::Relaxed)
    }

    pub(super) fn refuse_quick(&self) {
        self.quick_refused.store(true, Ordering::Relaxed);
    }

    /// Has it run so often that its quick code is to be made anew, optimised and with what follows? This is said once.
    pub(super) fn may_become_run(&self, threshold: u32) -> bool {
        self.runs.load(Ordering::Relaxed) >= threshold && !self.is_run.swap(true, Ordering::Relaxed)
    }

    /// Its quick code is that of the run.
    pub(super) fn note_joints(&self, run: &Block) {
        let joints = (0..run.marks.len()).filter(|mark| run.is_joint(*mark)).map(|mark| run.marks[mark].pc);
        let _ = self.joints.set(joints.collect());
    }

    /// The blocks that run with it, unless a branch is taken on the way.
    pub(super) fn joints(&self) -> impl Iterator<Item = BlockKey> {
        self.joints.get().into_iter().flatten().map(|pc| BlockKey { pc: *pc, ..self.key })
    }

    /// Notes how an attempt to compile ended: `None` if it may be tried again.
    pub(super) fn set_compiled(&self, compiled: Option<bool>) {
        let state = match compiled {
            Some(true) => COMPILED,
            Some(false) => REFUSED,
            None => FRESH,
        };
        self.state.store(state, Ordering::Release);
    }

    /// There is no code after all: count anew.
    pub(super) fn forget_compiled(&self) {
        self.state.store(FRESH, Ordering::Relaxed);
        self.is_run.store(false, Ordering::Relaxed);
        self.runs.store(0, Ordering::Relaxed);
    }
}

/// By then the region has been compiled: its entry alone has run often enough.
const MAX_DEFERRALS: u8 = 12;

/// Instructions of a run ([`Extent::Run`]) after which no other block is appended.
const RUN_INSNS: usize = 24;

const FRESH: u8 = 0;
const COMPILED: u8 = 1;
const REFUSED: u8 = 2;

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
    by_key: FxHashMap<BlockKey, Arc<Entry>>,
    by_page: FxHashMap<u64, Vec<BlockKey>>,
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
        self.read().by_key.get(&key).cloned()
    }

    /// Translates the block at `key` and keeps it, unless its page cannot be watched for changes.
    pub(super) fn translate(
        &self,
        key: BlockKey,
        guest: &dyn Guest,
        mem: &Arc<GuestMemory>,
    ) -> Result<Arc<Entry>, Fault> {
        loop {
            let epoch = mem.code_epoch();
            let mut fetch = WatchedFetch::new(mem);
            let block = if self.plain {
                guest.translate(key, &mut fetch, BLOCK_INSNS)?
            } else {
                translate(key, guest, &mut fetch, BLOCK_INSNS, Extent::Block)?
            };
            let (end, insns) = (block.end(), block.insn_count());
            let entry = Arc::new(Entry::new(block));
            if !fetch.all_watched {
                // Nobody would be told of a change.
                entry.dropped.store(true, Ordering::Release);
                return Ok(entry);
            }
            self.insert(&entry, end, insns);
            // A change that came before the insertion has not found the block.
            if mem.code_epoch() == epoch {
                return Ok(entry);
            }
            self.remove(key);
        }
    }

    fn insert(&self, entry: &Arc<Entry>, end: u64, insns: u32) {
        let (mut map, key) = (self.lock(), entry.key);
        map.stats.blocks += 1;
        map.stats.insns += u64::from(insns);
        // Another thread may have translated the block as well.
        if let Some(old) = map.by_key.insert(key, Arc::clone(entry)) {
            old.dropped.store(true, Ordering::Release);
        }
        for page in pages_of(key.pc..end) {
            map.by_page.entry(page).or_default().push(key);
        }
    }

    fn remove(&self, key: BlockKey) {
        if let Some(entry) = self.lock().by_key.remove(&key) {
            entry.dropped.store(true, Ordering::Release);
        }
    }

    /// Drops all blocks with a byte in `range`.
    pub(super) fn invalidate(&self, range: Range<u64>) {
        let mut map = self.lock();
        let pages = pages_of(range);
        let hit: Vec<u64> = if pages.clone().count() > map.by_page.len() {
            let span = pages.start_end();
            map.by_page.keys().copied().filter(|p| span.contains(p)).collect()
        } else {
            pages.filter(|p| map.by_page.contains_key(p)).collect()
        };
        for page in hit {
            for key in map.by_page.remove(&page).unwrap_or_default() {
                if let Some(entry) = map.by_key.remove(&key) {
                    entry.dropped.store(true, Ordering::Release);
                    map.stats.dropped += 1;
                }
            }
        }
    }

    /// The code cache was emptied: blocks start to count anew.
    pub(super) fn forget_compiled(&self) {
        for entry in self.read().by_key.values() {
            entry.forget_compiled();
        }
    }
}

/// Page addresses of a range of bytes (at least one).
fn pages_of(range: Range<u64>) -> Pages {
    let first = range.start / PAGE * PAGE;
    Pages { next: first, end: range.end.max(range.start + 1) }
}

#[derive(Clone)]
struct Pages {
    next: u64,
    end: u64,
}

impl Pages {
    fn start_end(&self) -> Range<u64> {
        self.next..self.end
    }
}

impl Iterator for Pages {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let page = self.next;
        (page < self.end).then(|| {
            self.next += PAGE;
            page
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = (self.end.saturating_sub(self.next)).div_ceil(PAGE) as usize;
        (n, Some(n))
    }

    fn count(self) -> usize {
        self.size_hint().0
    }
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
        if !block.append(&other) {
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

/// Decodes and optimises.
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
    if cfg!(debug_assertions) {
        emu_ir::verify::verify(&block).unwrap_or_else(|e| panic!("optimiser broke the block at {:#x}: {e}", key.pc));
    }
    Ok(block)
}

/// Reads guest code and has each page watched before the first byte is read from it.
pub(super) struct WatchedFetch {
    env: UserEnv,
    /// The page watched last.
    watched: Option<u64>,
    /// Every page that was read could be watched.
    pub(super) all_watched: bool,
}

impl WatchedFetch {
    pub(super) fn new(mem: &Arc<GuestMemory>) -> WatchedFetch {
        WatchedFetch { env: UserEnv::new(Arc::clone(mem)), watched: None, all_watched: true }
    }

    fn watch(&mut self, addr: u64) {
        let page = addr / PAGE;
        if self.watched != Some(page) {
            self.watched = Some(page);
            self.all_watched &= self.env.memory().protect_code(addr);
        }
    }
}

impl Fetch for WatchedFetch {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        self.watch(addr);
        self.env.fetch16(addr)
    }

    fn fetch32(&mut self, addr: u64) -> Result<u32, Fault> {
        self.watch(addr);
        if addr % PAGE <= PAGE - 4 {
            return self.env.fetch32(addr);
        }
        let low = self.fetch16(addr)?;
        let high = self.fetch16(addr.wrapping_add(2))?;
        Ok(u32::from(high) << 16 | u32::from(low))
    }
}
