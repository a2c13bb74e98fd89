//! The code cache: which regions are in place, what they were made from, who jumps to them.
//!
//! Code is looked up by guest address and mode, and dropped by guest page. Dropping unlinks a region at once and
//! waits until every other hart has left compiled code; the memory is used again only when the whole arena is
//! emptied.

use crate::analysis::Resume;
use crate::arena::Arena;
use crate::baseline::{QuickStubs, StubAddresses};
use crate::code_map::CodeMap;
use crate::compile::CompiledRegion;
use crate::context::Context;
use crate::hart::HartShared;
use crate::link::{Link, LinkList, LinkLists, Placement, RECORD_BACK};
use crate::lower::{CHECKPOINT_ENTRY, InsnRef};
use crate::news::News;
use crate::region::PAGE;
use crate::stubs;
use crate::{JitError, Stats};
use emu_ir::{BlockKey, HOT_SLOTS, Slot};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes of code, at most: jumps of quick code reach from one end to the other.
const MAX_SIZE: usize = 1 << 30;
/// Alignment of regions in bytes: a line of the host's cache.
const REGION_ALIGN: usize = 64;
/// Alignment of quick code, of which there is much.
const QUICK_ALIGN: usize = 8;

/// Compiled code of one guest program, shared by its harts.
#[derive(Debug)]
pub struct CodeCache {
    inner: Mutex<Inner>,
    harts: Mutex<Vec<Arc<HartShared>>>,
    /// Made when the first region is put in place: most programs have none, and Cranelift takes its time to start.
    exit_stub: OnceLock<u64>,
    /// Where the stubs of quick code are.
    pub(crate) quick: StubAddresses,
    pub(crate) arena_range: (u64, u64),
    /// Rises with each invalidation.
    generation: AtomicU64,
    /// Rises when harts have something to forget: see [`News`].
    news: AtomicU64,
}

/// Much code is that of a block with a handful of instructions: tables are shared by all, and nothing has memory of its own.
#[derive(Debug)]
struct Inner {
    arena: Arena,
    /// What the arena begins with.
    quick_stubs: Vec<u8>,
    /// By ascending code address: the arena gives out no other.
    regions: Vec<Placed>,
    /// Host instructions that access guest memory: address from the arena's start, ascending, and index into `insns`.
    traps: Vec<(u32, u32)>,
    insns: Vec<InsnRef>,
    incoming: LinkLists,
    known: CodeMap<Index>,
    /// The code put in place last, if it has not been dropped.
    latest: Option<(BlockKey, Index)>,
    /// The latest invalidations, by ascending generation.
    invalidated: VecDeque<Range<u64>>,
    news: News,
    stats: Stats,
}

/// An index into [`Inner::regions`], plus one: `Option` has the room then to say that there is none.
#[derive(Clone, Copy, Debug)]
struct Index(NonZeroU32);

impl Index {
    fn new(index: usize) -> Index {
        Index(NonZeroU32::new(index as u32 + 1).expect("code is in an arena of less than 2 GiB"))
    }

    fn get(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// So many invalidations are kept: code that more have come after while it was compiled is not installed.
const KEPT_INVALIDATIONS: usize = 1024;

/// A region in place. There are as many as blocks: it is kept small.
#[derive(Debug)]
struct Placed {
    /// Guest address of its entry.
    pc: u64,
    /// Distance from the arena's start.
    start: u32,
    len: u32,
    /// Where its instructions begin in [`Inner::insns`].
    first_insn: u32,
    /// Exits that lead here.
    incoming: LinkList,
    precise: bool,
    legacy_nan: bool,
    counted: bool,
    quick: bool,
}

/// Code has been dropped that a hart may remember.
#[derive(Debug)]
pub(crate) struct HasNews;

/// What a fault in compiled code means to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    /// The registers in memory are those before the instruction at `pc`: run on from there, to the fault at `faulting`.
    /// If the code counts, `retired` instructions have been retired by then.
    /// The invalid flag in MXCSR may be of an operation whose result had not been looked at; it is not the guest's if
    /// `legacy_nan` says so.
    /// `quick` code has the hot registers in the host's, not in memory.
    Replay { pc: u64, retired: Option<u64>, faulting: u64, legacy_nan: bool, quick: bool },
    /// The instruction at `pc` faulted; the registers are lost.
    Imprecise { pc: u64, retired: Option<u64> },
}

impl CodeCache {
    /// An empty cache with room for `size` bytes of code, up to 1 GiB, for a guest with these hot registers.
    ///
    /// # Errors
    /// If the host refuses the memory or is not supported.
    pub fn new(size: usize, hot: [Slot; HOT_SLOTS]) -> Result<CodeCache, JitError> {
        let mut arena = Arena::new(size.next_multiple_of(PAGE as usize).min(MAX_SIZE))?;
        let quick_stubs = QuickStubs::new(hot);
        let (start, _) = arena.add(&quick_stubs.code, QUICK_ALIGN, &[]).expect("an arena has a page");
        Ok(CodeCache {
            quick: quick_stubs.at.moved_to(start),
            arena_range: arena.range(),
            inner: Mutex::new(Inner {
                arena,
                quick_stubs: quick_stubs.code,
                regions: Vec::new(),
                traps: Vec::new(),
                insns: Vec::new(),
                incoming: LinkLists::default(),
                known: CodeMap::default(),
                latest: None,
                invalidated: VecDeque::new(),
                news: News::default(),
                stats: Stats::default(),
            }),
            harts: Mutex::default(),
            exit_stub: OnceLock::new(),
            generation: AtomicU64::new(0),
            news: AtomicU64::new(0),
        })
    }

    /// Where an exit of `region` goes while it is not linked; quick code has that in itself.
    fn exit_stub(&self, region: &CompiledRegion) -> Option<u64> {
        if region.quick {
            return Some(0);
        }
        let stub = stubs::exit_stub().ok()?;
        Some(*self.exit_stub.get_or_init(|| stub))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of invalidations, to be asked for before the bytes are read that a region is compiled from.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// How much there has been that harts have to forget.
    pub(crate) fn news(&self) -> u64 {
        self.news.load(Ordering::SeqCst)
    }

    /// Calls `forget` with the addresses whose code has been dropped since there had been `seen` news, and says how many there
    /// have been by now. `None`: it may be any.
    pub(crate) fn dropped_since(&self, seen: u64, forget: impl FnMut(u64)) -> Option<u64> {
        let inner = self.lock();
        inner.news.since(seen)?.for_each(forget);
        Some(inner.news.total())
    }

    pub(crate) fn add_hart(&self, hart: Arc<HartShared>) {
        self.harts.lock().unwrap_or_else(PoisonError::into_inner).push(hart);
    }

    pub(crate) fn remove_hart(&self, hart: &Arc<HartShared>) {
        self.harts.lock().unwrap_or_else(PoisonError::into_inner).retain(|h| !Arc::ptr_eq(h, hart));
    }

    /// The address of the code for `key`, if there is some. From now on the exit `link`, if there is one, leads straight to it.
    ///
    /// # Errors
    /// If there have been other news than `seen`.
    pub(crate) fn enter(&self, key: BlockKey, link: Option<Link>, seen: u64) -> Result<Option<u64>, HasNews> {
        let inner = &mut *self.lock();
        if inner.news.total() != seen {
            return Err(HasNews);
        }
        let Some(index) = inner.find(key) else { return Ok(None) };
        let target = &mut inner.regions[index.get()];
        // The exit's own code is in place, dropped or not: when `Inner::clear` gives its memory away, harts forget their links.
        if let Some(link) = link {
            let start = inner.arena.address(target.start);
            link.join(&mut inner.arena, start);
            inner.incoming.push(&mut target.incoming, link);
            inner.stats.links += 1;
        }
        Ok(Some(inner.arena.address(target.start)))
    }

    /// Is there a region for `key`? Quick code does not count.
    pub fn contains_region(&self, key: BlockKey) -> bool {
        self.lock().has_region(key)
    }

    /// Numbers for `--stats`.
    pub fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats { code_bytes: inner.arena.used() as u64, live_regions: inner.regions.len() as u64, ..inner.stats }
    }

    /// Puts a region in place, unless its pages were invalidated since `generation`. When the arena is full everything in
    /// it is dropped first, if no hart runs code; otherwise the region is not installed now. Returns its host address.
    pub fn install(&self, region: &CompiledRegion, generation: u64) -> Option<u64> {
        let mut inner = self.lock();
        if inner.is_stale(region, self.generation() - generation) {
            inner.stats.stale_regions += 1;
            return None;
        }
        if region.quick && inner.has_region(region.key) {
            return None;
        }
        let exit = self.exit_stub(region)?;
        let align = if region.quick { QUICK_ALIGN } else { REGION_ALIGN };
        let (start, cold) = match inner.arena.add(&region.bytes, align, &region.cold) {
            Some(places) => places,
            None if self.keep_outside(&mut inner) => {
                inner.clear();
                inner.stats.flushes += 1;
                inner.arena.add(&region.bytes, align, &region.cold)?
            }
            None => {
                inner.stats.full += 1;
                drop(inner);
                self.interrupt_harts();
                return None;
            }
        };
        inner.link_exits(Placement { start, cold }, region, exit);
        inner.place(start, region);
        Some(start)
    }

    /// Drops all code made from guest addresses in `range`. When it returns, no other hart runs any of it.
    pub fn invalidate(&self, range: Range<u64>) {
        let mut inner = self.lock();
        let dropped = inner.known.take(range.clone());
        let exit = self.exit_stub.get().copied().unwrap_or(0);
        for index in dropped.iter().flatten() {
            inner.unlink(*index, exit);
        }
        // Also when nothing was dropped: a region may be under compilation from the old bytes.
        inner.invalidated.truncate(KEPT_INVALIDATIONS - 1);
        inner.invalidated.push_front(range);
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.news.store(inner.news.total(), Ordering::SeqCst);
        if dropped.is_some() {
            inner.stats.invalidations += 1;
            drop(inner);
            self.wait_for_harts();
        }
    }

    /// Drops everything.
    pub fn invalidate_all(&self) {
        self.invalidate(0..u64::MAX);
    }

    /// Holds everything still over a fork; see [`ForkGuard`].
    ///
    /// # Errors
    /// If there is no memory for the child's copy of the code.
    pub fn prepare_fork(&self) -> Result<ForkGuard<'_>, JitError> {
        let inner = self.lock();
        let harts = self.harts.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = inner.arena.copy_for_child()?;
        Ok(ForkGuard { inner, harts, copy })
    }

    fn hart_list(&self) -> Vec<Arc<HartShared>> {
        self.harts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Is no hart in compiled code, and none about to go back into it from a fault? One that comes in from now on waits for the lock
    /// that the caller holds: it sees the news, and has to look code up.
    fn keep_outside(&self, inner: &mut Inner) -> bool {
        inner.news.push_all();
        self.news.store(inner.news.total(), Ordering::SeqCst);
        self.hart_list().iter().all(|h| h.needs_no_code())
    }

    fn interrupt_harts(&self) {
        self.hart_list().iter().filter(|h| !h.is_outside()).for_each(|h| h.interrupt());
    }

    /// Makes every hart that runs compiled code leave it once.
    fn wait_for_harts(&self) {
        let running: Vec<_> = self.hart_list().into_iter().filter_map(|h| h.inside_since().map(|s| (h, s))).collect();
        for (hart, since) in running {
            while hart.inside_since() == Some(since) {
                hart.interrupt();
                std::thread::yield_now();
            }
        }
    }

    /// What a fault at the host address `rip` means, given the hart's context.
    pub(crate) fn fault_point(&self, rip: u64, ctx: &Context) -> Option<FaultPoint> {
        let inner = self.lock();
        let region = inner.at(rip)?;
        let at = inner.traps.binary_search_by_key(&inner.arena.offset(rip), |t| t.0).ok()?;
        let index = inner.traps[at].1;
        let faulting = inner.insns[index as usize];
        if !region.precise {
            return Some(FaultPoint::Imprecise {
                pc: faulting.pc,
                retired: region.counted.then(|| ctx.cpu.insn_count.wrapping_sub(faulting.not_retired())),
            });
        }
        let replay = |pc, since: u64| FaultPoint::Replay {
            pc,
            retired: region.counted.then(|| ctx.checkpoint_count.wrapping_add(since)),
            faulting: faulting.pc,
            legacy_nan: region.legacy_nan,
            quick: false,
        };
        if region.quick {
            // Registers are written when they change, and nothing changes before the instruction's last fault.
            return Some(FaultPoint::Replay {
                pc: faulting.pc,
                // All of the block were counted at its start.
                retired: region.counted.then(|| ctx.cpu.insn_count.wrapping_sub(faulting.left.into())),
                faulting: faulting.pc,
                legacy_nan: region.legacy_nan,
                quick: true,
            });
        }
        if ctx.checkpoint as i32 as i64 == CHECKPOINT_ENTRY {
            return Some(replay(region.pc, 0));
        }
        let (checkpoint, resume) = (ctx.checkpoint >> 2, Resume::from_bits(ctx.checkpoint & 3));
        let insn = inner.insns[(region.first_insn + checkpoint) as usize];
        // The checkpoint is taken just before the instruction has its effect. If another one faults, it had it.
        let done = match resume {
            Resume::Effect => region.first_insn + checkpoint != index,
            Resume::Completed => true,
            Resume::Start => false,
        };
        let pc = if done { insn.pc.wrapping_add(insn.len.into()) } else { insn.pc };
        // `checkpoint_count` counts what had been completed when the checkpoint was taken.
        Some(replay(pc, u64::from(done && resume == Resume::Effect)))
    }
}

/// The code cache while its process forks. Drop it in the parent.
pub struct ForkGuard<'a> {
    inner: MutexGuard<'a, Inner>,
    harts: MutexGuard<'a, Vec<Arc<HartShared>>>,
    copy: Arena,
}

impl ForkGuard<'_> {
    /// In the child: from now on its code is its own, and `survivor` is the only hart.
    ///
    /// # Errors
    /// If the host refuses the mapping: the child must not run compiled code.
    pub fn in_child(mut self, survivor: &Arc<HartShared>) -> Result<(), JitError> {
        self.harts.retain(|h| Arc::ptr_eq(h, survivor));
        self.inner.arena.adopt(self.copy)
    }
}

impl Inner {
    /// Has a byte that the code was made from been invalidated by one of the last `missed` invalidations?
    fn is_stale(&self, region: &CompiledRegion, missed: u64) -> bool {
        let hits = |range: &Range<u64>| region.pages.iter().any(|page| page < range.end && range.start < page + PAGE);
        missed > self.invalidated.len() as u64 || self.invalidated.iter().take(missed as usize).any(hits)
    }

    /// The index of the code for `key`. Most code is entered for the first time just after it was put in place.
    fn find(&self, key: BlockKey) -> Option<Index> {
        match self.latest {
            Some((latest, index)) if latest == key => Some(index),
            _ => self.known.get(key).copied(),
        }
    }

    /// Is there a region for `key`?
    fn has_region(&self, key: BlockKey) -> bool {
        self.find(key).is_some_and(|index| !self.regions[index.get()].quick)
    }

    /// The code that the address in the arena lies in.
    fn at(&self, addr: u64) -> Option<&Placed> {
        let offset = self.arena.offset(addr);
        let after = self.regions.partition_point(|region| region.start <= offset);
        self.regions[..after].last().filter(|region| offset - region.start < region.len)
    }

    /// Lets the exits of new code jump to the code that is there, or to the machine.
    fn link_exits(&mut self, placement: Placement, region: &CompiledRegion, exit: u64) {
        for (operand, target) in &region.cold_jumps {
            let (operand, target) = (placement.address(*operand), placement.address(*target));
            self.arena.write_u32(operand, target.wrapping_sub(operand + 4) as u32);
        }
        for request in &region.exits {
            let at = placement.address(request.at);
            if region.quick {
                let back = at - placement.address(request.operand);
                self.arena.write_u32(at + RECORD_BACK as u64, back as u32);
            }
            let link = Link::new(region.quick, at);
            match self.known.get(BlockKey { pc: request.target, ..region.key }) {
                Some(index) => {
                    let target = &mut self.regions[index.get()];
                    let start = self.arena.address(target.start);
                    link.join(&mut self.arena, start);
                    self.incoming.push(&mut target.incoming, link);
                }
                None => link.part(&mut self.arena, exit),
            }
        }
    }

    fn place(&mut self, start: u64, region: &CompiledRegion) {
        if region.quick {
            self.stats.quick_blocks += 1;
            self.stats.quick_insns += u64::from(region.insn_count);
        } else {
            self.stats.regions += 1;
            self.stats.insns += u64::from(region.insn_count);
        }
        // Code that had this key before is no longer found. What jumps to it jumps here from now on.
        let index = Index::new(self.regions.len());
        let before = self.known.insert(region.key, region.pages.iter(), index).map(|old| &mut self.regions[old.get()]);
        let incoming = before.map(|old| std::mem::take(&mut old.incoming)).unwrap_or_default();
        for link in self.incoming.iter(incoming) {
            link.join(&mut self.arena, start);
        }
        let (offset, first_insn) = (self.arena.offset(start), self.insns.len() as u32);
        self.traps.extend(region.traps.iter().map(|(at, insn)| (offset + at, first_insn + insn)));
        self.insns.extend_from_slice(&region.insns);
        let placed = Placed {
            pc: region.key.pc,
            start: offset,
            len: region.bytes.len() as u32,
            first_insn,
            incoming,
            precise: region.precise,
            legacy_nan: region.legacy_nan,
            counted: region.counted,
            quick: region.quick,
        };
        self.regions.push(placed);
        self.latest = Some((region.key, index));
    }

    /// Sends what jumps to code that has been dropped to the machine. The code stays: a hart may still fault in it before it leaves.
    fn unlink(&mut self, index: Index, exit: u64) {
        let region = &mut self.regions[index.get()];
        self.latest = None;
        self.news.push(region.pc);
        for link in self.incoming.iter(std::mem::take(&mut region.incoming)) {
            link.part(&mut self.arena, exit);
        }
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.arena.add(&self.quick_stubs, QUICK_ALIGN, &[]).expect("they fitted before");
        self.regions.clear();
        self.traps.clear();
        self.insns.clear();
        self.incoming.clear();
        self.known.clear();
        self.latest = None;
    }
}
