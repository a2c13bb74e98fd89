//! Running guest code: translated blocks, tiers, and the run loop of a hart.
//!
//! A block is translated when it is first reached, and quick code is made of it; what the quick compiler does not have the
//! interpreter runs. When it has been run often enough it is handed to a background thread, which compiles the region around
//! it; from then on the hart enters that. Everything is indexed by guest page: a change of a page's bytes drops what was made from it.

mod blocks;
mod compile;
mod entry;
mod exits;
mod fault;
mod fuel;
pub mod lockstep;
mod observe;
mod period;
mod turns;
mod vcpu;
mod window;

pub use blocks::BlockStats;
pub use emu_backend_jit::{CompiledRegion, HOT_PERIOD};
pub use entry::Entry;
pub use fuel::FuelSource;
pub use observe::{Observer, PlacedCode};
pub use vcpu::EngineVcpu;
pub(crate) use window::WINDOW_PATIENCE;
pub use window::{Harts, Neighbours, WINDOW_INSNS};

use crate::mem::{CodeWatch, GuestMemory};
use blocks::{BlockCache, Extent, WatchedFetch, translate};
use compile::Worker;
use emu_backend_jit::{CodeCache, CompileOptions, JitError};
use emu_interp::Code;
use emu_ir::{Block, BlockKey, Fault, Guest};
use exits::ExitSums;
pub use exits::Exits;
use lockstep::{Lockstep, LockstepConfig, RegionShape};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use window::Windows;

/// Which engine runs guest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The interpreter alone.
    Interp,
    /// Compiled code from the first execution on; the interpreter only for what is not compiled.
    Jit,
    /// Quick code, the interpreter for what that does not have, regions for what is hot.
    Tiered,
}

/// How to run guest code.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Which engine.
    pub tier: Tier,
    /// Executions of a block before quick code is made of it; `None`: never.
    pub quick: Option<u32>,
    /// Executions of a block before quick code is made of it with what follows; 0: at once. (Quick code tells of its executions when
    /// it has had some thousand.)
    pub run: u32,
    /// Executions of a block before the region around it is compiled.
    pub threshold: u32,
    /// Guest instructions of a region, at most; a block counts for some more than it has.
    pub region_insns: usize,
    /// Bytes of compiled code, at most.
    pub code_size: usize,
    /// Run Cranelift's verifier on every region.
    pub verify: bool,
    /// A 64-bit guest's wild addresses do not reach the emulator's memory, either.
    pub confine: bool,
    /// Both engines run everything hot, and are compared.
    pub lockstep: Option<LockstepConfig>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            tier: Tier::Tiered,
            quick: Some(0),
            // Twice met by the count of quick code: once says little.
            run: 2 * HOT_PERIOD,
            threshold: 2_000_000,
            region_insns: 1500,
            code_size: 128 << 20,
            verify: cfg!(debug_assertions),
            confine: false,
            lockstep: None,
        }
    }
}

impl EngineConfig {
    /// Is quick code made before the first run, of blocks as they are decoded? Most code runs a few times only: to optimise it would take
    /// longer than it saves. What runs often is optimised when it is translated again, as a run or in a region.
    fn translates_at_once(&self) -> bool {
        self.quick == Some(0) && self.tier != Tier::Interp && self.lockstep.is_none()
    }
}

/// Guest instructions of a block, at most; longer straight-line code goes on in the next block.
const BLOCK_INSNS: usize = 64;

/// Guest instructions of a region where everything is compiled when it is first reached, at most: most of it runs once.
const JIT_REGION_INSNS: usize = 80;

/// What the engine has done, for `--stats`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineStats {
    /// Blocks translated.
    pub blocks: BlockStats,
    /// The code cache.
    pub code: emu_backend_jit::Stats,
    /// Time spent compiling, in nanoseconds.
    pub compile_nanos: u64,
    /// The longest time that one region took, in nanoseconds.
    pub longest_compile_nanos: u64,
    /// Guest instructions of the largest region.
    pub largest_region: u64,
    /// Regions that could not be compiled.
    pub failed_regions: u64,
    /// Guest instructions run by the interpreter.
    pub interpreted: u64,
    /// Exits from compiled code.
    pub exits: Exits,
    /// Exclusive windows.
    pub windows: u64,
}

/// Translations of one guest program, shared by its harts.
pub struct Engine {
    guest: Arc<dyn Guest>,
    mem: Arc<GuestMemory>,
    config: EngineConfig,
    blocks: BlockCache,
    /// Made when first needed: short programs never compile.
    code: OnceLock<Arc<CodeCache>>,
    worker: Worker,
    precise: AtomicBool,
    interpreted: AtomicU64,
    exits: ExitSums,
    observer: OnceLock<Arc<dyn Observer>>,
    lockstep: Option<Lockstep>,
    fuel: OnceLock<Arc<dyn FuelSource>>,
    windows: Windows,
}

impl Engine {
    /// An engine for programs of `guest` in `mem`.
    ///
    /// # Errors
    /// If the host does not give memory for code, or is not supported by the code generator.
    pub fn new(guest: Arc<dyn Guest>, mem: Arc<GuestMemory>, config: EngineConfig) -> Result<Arc<Engine>, JitError> {
        Engine::with_regions(guest, mem, config, None)
    }

    /// The same, which in lockstep compiles these regions only.
    fn with_regions(
        guest: Arc<dyn Guest>,
        mem: Arc<GuestMemory>,
        config: EngineConfig,
        only: Option<HashMap<BlockKey, RegionShape>>,
    ) -> Result<Arc<Engine>, JitError> {
        let engine = Arc::new(Engine {
            guest,
            mem,
            config,
            blocks: BlockCache::new(config.translates_at_once()),
            code: OnceLock::new(),
            worker: Worker::default(),
            precise: AtomicBool::new(false),
            interpreted: AtomicU64::new(0),
            exits: ExitSums::default(),
            observer: OnceLock::new(),
            lockstep: config.lockstep.map(|config| Lockstep::new(config, only)),
            fuel: OnceLock::new(),
            windows: Windows::default(),
        });
        engine.code.set(Arc::new(CodeCache::new(config.code_size, engine.guest.hot_slots())?)).expect("set once");
        engine.mem.set_code_watch(Arc::clone(&engine) as Arc<dyn CodeWatch>);
        fault::install();
        Ok(engine)
    }

    /// The guest architecture.
    pub fn guest(&self) -> &Arc<dyn Guest> {
        &self.guest
    }

    /// The guest's memory.
    pub fn memory(&self) -> &Arc<GuestMemory> {
        &self.mem
    }

    fn code(&self) -> &Arc<CodeCache> {
        self.code.get().expect("set by new")
    }

    fn compile_options(&self) -> CompileOptions {
        CompileOptions {
            precise_faults: self.precise.load(Ordering::SeqCst),
            keep_clif: self.wants_clif(),
            count_insns: self.lockstep.is_some() || self.fuel.get().is_some(),
            fuel: self.fuel.get().is_some(),
            stop_at_blocks: self.lockstep.as_ref().is_some_and(Lockstep::stops_at_blocks),
            note_stores: self.lockstep.is_some(),
            announce: self.lockstep.as_ref().is_some_and(Lockstep::announces),
            confine: self.confinement(),
            hot: self.guest.hot_slots(),
            planted: self.lockstep.as_ref().and_then(Lockstep::planted),
            ..CompileOptions::default()
        }
    }

    /// The size of the memory that compiled code is confined to. The guards around it are enough for 32-bit addresses.
    fn confinement(&self) -> Option<u64> {
        (self.config.confine && self.mem.address_bits() == 64).then(|| self.mem.limit())
    }

    /// The guest can look at the registers of a fault from now on: code that loses them is dropped.
    pub fn set_precise(&self) {
        if !self.precise.swap(true, Ordering::SeqCst) {
            self.code().invalidate_all();
            self.blocks.forget_compiled();
        }
    }

    /// The block at `key`, translated if need be.
    ///
    /// # Errors
    /// The fault of fetching its first instruction.
    fn block(&self, key: BlockKey) -> Result<Arc<Entry>, Fault> {
        let (entry, made) = self.find_or_translate(key)?;
        if let Some(block) = made {
            entry.keep_block(block);
        }
        Ok(entry)
    }

    /// The same, with the IR if that was made just now: the caller needs it and then mostly nobody does, or has it kept.
    fn find_or_translate(&self, key: BlockKey) -> Result<(Arc<Entry>, Option<Block>), Fault> {
        if let Some(entry) = self.blocks.get(key) {
            return Ok((entry, None));
        }
        let (entry, block) = self.blocks.translate(key, &*self.guest, &self.mem)?;
        self.show_block(&block);
        Ok((entry, Some(block)))
    }

    /// The IR of a block, made anew if it is not kept.
    ///
    /// # Errors
    /// The fault of fetching its first instruction, which may be gone by now.
    fn ir(&self, entry: &Entry) -> Result<Arc<Block>, Fault> {
        match entry.block() {
            Some(block) => Ok(block),
            None => {
                let mut fetch = WatchedFetch::new(&self.mem);
                translate(entry.key, &*self.guest, &mut fetch, BLOCK_INSNS, Extent::Block).map(Arc::new)
            }
        }
    }

    /// What the interpreter runs.
    #[inline]
    fn interpreter_code<'a>(&self, entry: &'a Entry) -> Result<&'a Code, Fault> {
        entry.code(&*self.guest, |entry| self.ir(entry))
    }

    /// Numbers for `--stats`.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            blocks: self.blocks.stats(),
            code: self.code().stats(),
            compile_nanos: self.worker.nanos(),
            longest_compile_nanos: self.worker.longest.load(Ordering::Relaxed),
            largest_region: self.worker.largest.load(Ordering::Relaxed),
            failed_regions: self.worker.failed(),
            interpreted: self.interpreted.load(Ordering::Relaxed),
            exits: self.exits.get(),
            windows: self.windows.opened(),
        }
    }

    /// A `fence.i` or its like. Stores to pages of code have been noticed when they happened, but another thread may not
    /// have come to the end of it; and memory that is mapped twice can have changed unseen.
    pub(crate) fn insn_fence(&self) {
        self.invalidate_stale();
        let shared: Vec<_> = self.mem.maps().into_iter().filter(|v| v.shared).map(|v| v.range).collect();
        shared.into_iter().for_each(|range| self.invalidate(range));
    }

    /// Does what other threads are about to do, or would have done had they not been lost in a fork.
    fn invalidate_stale(&self) {
        self.mem.stale_code().into_iter().for_each(|range| self.invalidate(range));
    }
}

impl CodeWatch for Engine {
    fn invalidate(&self, range: Range<u64>) {
        self.blocks.invalidate(range.clone());
        if let Some(lockstep) = &self.lockstep {
            lockstep.plain().invalidate(range.clone());
        }
        self.code().invalidate(range);
    }
}
