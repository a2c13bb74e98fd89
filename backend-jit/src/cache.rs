//! The code cache: which regions are in place, what they were made from, who jumps to them.
//!
//! Code is looked up by guest address and mode, and dropped by guest page. Dropping unlinks a region at once and
//! waits until every other hart has left compiled code; the memory is used again only when the whole arena is
//! emptied.

use crate::analysis::Resume;
use crate::arena::Arena;
use crate::compile::CompiledRegion;
use crate::context::Context;
use crate::hart::HartShared;
use crate::lower::{CHECKPOINT_ENTRY, InsnRef, SLOT_SIZE};
use crate::region::PAGE;
use crate::stubs::Stubs;
use crate::{JitError, Stats};
use emu_ir::BlockKey;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Alignment of regions in bytes: a line of the host's cache.
const REGION_ALIGN: usize = 64;
/// Alignment of quick code, of which there is much.
const QUICK_ALIGN: usize = 16;

/// Compiled code of one guest program, shared by its harts.
#[derive(Debug)]
pub struct CodeCache {
    inner: Mutex<Inner>,
    harts: Mutex<Vec<Arc<HartShared>>>,
    pub(crate) stubs: Stubs,
    pub(crate) arena_range: (u64, u64),
    /// Rises with each invalidation: harts forget remembered code when it changed.
    generation: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    arena: Arena,
    /// By code address.
    regions: BTreeMap<u64, Placed>,
    by_key: FxHashMap<BlockKey, u64>,
    by_page: FxHashMap<u64, Vec<u64>>,
    stats: Stats,
}

/// A region in place.
#[derive(Debug)]
struct Placed {
    key: BlockKey,
    len: usize,
    pages: Vec<u64>,
    traps: Vec<(u32, u32)>,
    insns: Vec<InsnRef>,
    precise: bool,
    legacy_nan: bool,
    counted: bool,
    quick: bool,
    /// Slots of other regions that jump here.
    incoming: Vec<u64>,
}

/// What a fault in compiled code means to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    /// The registers in memory are those before the instruction at `pc`: run on from there, to the fault at `faulting`.
    /// If the code counts, `retired` instructions have been retired by then.
    /// The invalid flag in MXCSR may be of an operation whose result had not been looked at; it is not the guest's if
    /// `legacy_nan` says so.
    Replay { pc: u64, retired: Option<u64>, faulting: u64, legacy_nan: bool },
    /// The instruction at `pc` faulted; the registers are lost.
    Imprecise { pc: u64 },
}

impl CodeCache {
    /// An empty cache with room for `size` bytes of code.
    ///
    /// # Errors
    /// If the host refuses the memory or is not supported.
    pub fn new(size: usize) -> Result<CodeCache, JitError> {
        let arena = Arena::new(size.next_multiple_of(PAGE as usize))?;
        Ok(CodeCache {
            arena_range: arena.range(),
            inner: Mutex::new(Inner {
                arena,
                regions: BTreeMap::new(),
                by_key: FxHashMap::default(),
                by_page: FxHashMap::default(),
                stats: Stats::default(),
            }),
            harts: Mutex::default(),
            stubs: Stubs::get()?,
            generation: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current generation; a region compiled from bytes read before it changed must not be installed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(crate) fn add_hart(&self, hart: Arc<HartShared>) {
        self.harts.lock().unwrap_or_else(PoisonError::into_inner).push(hart);
    }

    pub(crate) fn remove_hart(&self, hart: &Arc<HartShared>) {
        self.harts.lock().unwrap_or_else(PoisonError::into_inner).retain(|h| !Arc::ptr_eq(h, hart));
    }

    /// The address of the code for `key`.
    pub(crate) fn lookup(&self, key: BlockKey) -> Option<u64> {
        self.lock().by_key.get(&key).copied()
    }

    /// Is there a region for `key`? Quick code does not count.
    pub fn contains_region(&self, key: BlockKey) -> bool {
        let inner = self.lock();
        inner.by_key.get(&key).and_then(|start| inner.regions.get(start)).is_some_and(|region| !region.quick)
    }

    /// Numbers for `--stats`.
    pub fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats { code_bytes: inner.arena.used() as u64, live_regions: inner.regions.len() as u64, ..inner.stats }
    }

    /// Puts a region in place, unless code was invalidated since `generation`. When the arena is full everything in
    /// it is dropped first, if no hart runs code; otherwise the region is not installed now.
    pub fn install(&self, region: CompiledRegion, generation: u64) -> bool {
        let mut inner = self.lock();
        if self.generation() != generation {
            inner.stats.stale_regions += 1;
            return false;
        }
        let align = if region.quick { QUICK_ALIGN } else { REGION_ALIGN };
        let start = match inner.arena.add(&region.bytes, align) {
            Some(start) => start,
            None if self.all_outside() => {
                inner.clear();
                self.generation.fetch_add(1, Ordering::SeqCst);
                inner.stats.flushes += 1;
                match inner.arena.add(&region.bytes, align) {
                    Some(start) => start,
                    None => return false,
                }
            }
            None => {
                inner.stats.full += 1;
                drop(inner);
                self.interrupt_harts();
                return false;
            }
        };
        inner.link_exits(start, &region, self.stubs.exit);
        inner.place(start, region);
        true
    }

    /// Lets the slot that a hart left through jump straight to the code for `key` from now on.
    pub(crate) fn link(&self, slot: u64, key: BlockKey, code: u64) {
        let mut inner = self.lock();
        // The slot's own region, or the target, may be gone by now.
        let from = inner.regions.range(..=slot).next_back().is_some_and(|(at, r)| slot < at + r.len as u64);
        if from && inner.by_key.get(&key) == Some(&code) {
            inner.arena.set_slot(slot, code);
            inner.regions.entry(code).and_modify(|r| r.incoming.push(slot));
            inner.stats.links += 1;
        }
    }

    /// Drops all code made from guest addresses in `range`. When it returns, no other hart runs any of it.
    pub fn invalidate(&self, range: Range<u64>) {
        let mut inner = self.lock();
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        let wide = pages.end - pages.start > inner.by_page.len() as u64;
        let hit: Vec<u64> = if wide {
            inner.by_page.keys().map(|p| p / PAGE).filter(|p| pages.contains(p)).collect()
        } else {
            pages.filter(|p| inner.by_page.contains_key(&(p * PAGE))).collect()
        };
        for page in &hit {
            inner.drop_page(page * PAGE, self.stubs.exit);
        }
        // Also when nothing was dropped: a region may be under compilation from the old bytes.
        self.generation.fetch_add(1, Ordering::SeqCst);
        if !hit.is_empty() {
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

    fn all_outside(&self) -> bool {
        self.hart_list().iter().all(|h| h.is_outside())
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
        let (start, region) = inner.regions.range(..=rip).next_back().filter(|(at, r)| rip < *at + r.len as u64)?;
        let offset = (rip - start) as u32;
        let at = region.traps.binary_search_by_key(&offset, |t| t.0).ok()?;
        let faulting = region.traps[at].1;
        if !region.precise {
            return Some(FaultPoint::Imprecise { pc: region.insns[faulting as usize].pc });
        }
        let replay = |pc, since: u64| FaultPoint::Replay {
            pc,
            retired: region.counted.then_some(ctx.checkpoint_count + since),
            faulting: region.insns[faulting as usize].pc,
            legacy_nan: region.legacy_nan,
        };
        if region.quick {
            // Registers are written when they change, and nothing changes before the instruction's last fault.
            return Some(FaultPoint::Replay {
                pc: region.insns[faulting as usize].pc,
                // All of the block were counted at its start.
                retired: region.counted.then(|| ctx.cpu.insn_count - u64::from(region.insns[faulting as usize].left)),
                faulting: region.insns[faulting as usize].pc,
                legacy_nan: region.legacy_nan,
            });
        }
        if ctx.checkpoint as i32 as i64 == CHECKPOINT_ENTRY {
            return Some(replay(region.key.pc, 0));
        }
        let (index, resume) = (ctx.checkpoint >> 2, Resume::from_bits(ctx.checkpoint & 3));
        let insn = region.insns[index as usize];
        // The checkpoint is taken just before the instruction has its effect. If another one faults, it had it.
        let done = match resume {
            Resume::Effect => index != faulting,
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
    copy: OwnedFd,
}

impl ForkGuard<'_> {
    /// In the child: from now on its code is its own, and `survivor` is the only hart.
    ///
    /// # Errors
    /// If the host refuses the mapping: the child must not run compiled code.
    pub fn in_child(mut self, survivor: &Arc<HartShared>) -> Result<(), JitError> {
        self.harts.retain(|h| Arc::ptr_eq(h, survivor));
        self.inner.arena.adopt(&self.copy)
    }
}

impl Inner {
    /// Lets the exits of new code jump to the code that is there, or to the machine.
    fn link_exits(&mut self, start: u64, region: &CompiledRegion, exit: u64) {
        for (i, request) in region.slots.iter().enumerate() {
            let slot = start + (region.slots_offset + i * SLOT_SIZE) as u64;
            let code = self.by_key.get(&BlockKey { pc: request.target, ..region.key }).copied();
            if let Some(target) = code.and_then(|code| self.regions.get_mut(&code)) {
                target.incoming.push(slot);
            }
            self.arena.set_slot(slot, code.unwrap_or(exit));
        }
    }

    fn place(&mut self, start: u64, region: CompiledRegion) {
        if region.quick {
            self.stats.quick_blocks += 1;
            self.stats.quick_insns += region.insns.len() as u64;
        } else {
            self.stats.regions += 1;
            self.stats.insns += region.insns.len() as u64;
        }
        // Code that had this key before is no longer found. What jumps to it jumps here from now on.
        let before = self.by_key.insert(region.key, start).and_then(|old| self.regions.get_mut(&old));
        let incoming = before.map(|old| std::mem::take(&mut old.incoming)).unwrap_or_default();
        for slot in &incoming {
            self.arena.set_slot(*slot, start);
        }
        for page in &region.pages {
            self.by_page.entry(*page).or_default().push(start);
        }
        let placed = Placed {
            key: region.key,
            len: region.bytes.len(),
            pages: region.pages,
            traps: region.traps,
            insns: region.insns,
            precise: region.precise,
            legacy_nan: region.legacy_nan,
            counted: region.counted,
            quick: region.quick,
            incoming,
        };
        self.regions.insert(start, placed);
    }

    fn drop_page(&mut self, page: u64, exit: u64) {
        for start in self.by_page.remove(&page).unwrap_or_default() {
            let Some(region) = self.regions.get_mut(&start) else { continue };
            for slot in std::mem::take(&mut region.incoming) {
                self.arena.set_slot(slot, exit);
            }
            let (key, pages) = (region.key, std::mem::take(&mut region.pages));
            // The entry stays in `regions`: a hart may still fault in it before it leaves.
            if self.by_key.get(&key) == Some(&start) {
                self.by_key.remove(&key);
            }
            for other in pages {
                if let Some(list) = self.by_page.get_mut(&other) {
                    list.retain(|s| *s != start);
                }
            }
        }
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.regions.clear();
        self.by_key.clear();
        self.by_page.clear();
    }
}
