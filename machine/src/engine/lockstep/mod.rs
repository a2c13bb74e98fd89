//! Compiled code and the interpreter in lockstep (`emu diff`).
//!
//! A hart that runs so, a [`LockstepVcpu`], takes the guest's code in segments: from one point where it needs the
//! operating system to the next, some thousand instructions at most. Compiled code runs the segment first and
//! notes what its stores overwrite; then they are undone, and the interpreter runs the same number of instructions from
//! the same registers. Registers, why it ended and what is left in memory have to
//! agree; the interpreter's state is the one that remains, so that system calls happen once.
//!
//! - `pair`: the two runs and their comparison. `env`, `journal`: stores noted, undone, compared.
//! - `vcpu`: a hart for an operating system; one thread runs at a time (`turns`).
//! - `locate`: from a segment that differs to the block and instruction; `report`: that as text.
//! - `reproducer`: a file from which the difference can be repeated, without the program.
//!
//! The interpreter runs blocks as the decoder made them: the optimiser is among what is checked.

mod env;
mod journal;
mod locate;
mod pair;
mod report;
mod reproducer;
mod shape;
mod vcpu;

pub use emu_backend_jit::PlantedFault;
pub use journal::MemoryDiff;
pub use locate::{Divergence, Located};
pub use pair::Stop;
pub use reproducer::{Page, ParseError, Replay, Reproducer};
pub use shape::RegionShape;
pub use vcpu::{Judge, LockstepVcpu, Turn};

use super::blocks::BlockCache;
use super::entry::Entry;
use super::turns::Turns;
use super::{Engine, Tier};
use emu_ir::{BlockKey, Fault};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Instructions of a segment, at most, if nobody says otherwise.
pub const SEGMENT: u64 = 10_000;

/// Instructions of a region, at most: the time to compile grows faster than the region, and here much is compiled.
pub const REGION_INSNS: usize = 500;

/// That an engine runs in lockstep, and how.
#[derive(Clone, Copy, Debug)]
pub struct LockstepConfig {
    /// Instructions of a segment, at most; no less than those of a block.
    pub segment: u64,
    /// A mistake for the compiler to make.
    pub planted: Option<PlantedFault>,
    /// Compiled code can be stopped at any block, not only at entries and the heads of loops: slower to compile.
    pub stop_at_blocks: bool,
}

impl Default for LockstepConfig {
    fn default() -> Self {
        LockstepConfig { segment: SEGMENT, planted: None, stop_at_blocks: false }
    }
}

/// Numbers of a run in lockstep.
#[derive(Debug, Default)]
pub struct Counts {
    compared: AtomicU64,
    segments: AtomicU64,
    cold: AtomicU64,
    apart: AtomicU64,
    unrepeated: AtomicU64,
}

/// [`Counts`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Instructions that both engines ran.
    pub insns: u64,
    /// Segments compared.
    pub segments: u64,
    /// Instructions of blocks that were not hot: the interpreter ran them alone.
    pub cold: u64,
    /// Instructions that compiled code leaves to the interpreter: on memory shared with other processes, and traps.
    pub apart: u64,
    /// Segments that differed, but not when they were run again: memory changed from outside.
    pub unrepeated: u64,
}

impl Counts {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// The numbers, which begin at 0 again.
    pub fn take(&self) -> Compared {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Compared {
            insns: take(&self.compared),
            segments: take(&self.segments),
            cold: take(&self.cold),
            apart: take(&self.apart),
            unrepeated: take(&self.unrepeated),
        }
    }
}

/// What an engine has beside, when it runs in lockstep.
pub(super) struct Lockstep {
    config: LockstepConfig,
    /// Blocks as the decoder made them.
    plain: BlockCache,
    /// What the regions in place were made of, by their entries.
    shapes: Mutex<HashMap<BlockKey, RegionShape>>,
    /// Only these regions are compiled: those of a reproducer.
    only: Option<HashMap<BlockKey, RegionShape>>,
    /// There is memory that others can change.
    announce: AtomicBool,
    /// Shared memory counts as such also where it can only be read here.
    wary: AtomicBool,
    counts: Arc<Counts>,
    /// Whose turn it is to run.
    turns: Arc<Turns>,
}

impl Lockstep {
    /// Calls `meanwhile` while no hart runs.
    pub(super) fn stop(&self, meanwhile: &mut dyn FnMut()) {
        let turn = Turn::new(Arc::clone(&self.turns));
        turn.take();
        meanwhile();
        turn.give_up();
    }

    pub(super) fn new(config: LockstepConfig, only: Option<HashMap<BlockKey, RegionShape>>) -> Lockstep {
        Lockstep {
            config,
            plain: BlockCache::new(true),
            shapes: Mutex::default(),
            only,
            announce: AtomicBool::new(false),
            wary: AtomicBool::new(false),
            counts: Arc::default(),
            turns: Arc::default(),
        }
    }

    pub(super) fn planted(&self) -> Option<PlantedFault> {
        self.config.planted
    }

    pub(super) fn stops_at_blocks(&self) -> bool {
        self.config.stop_at_blocks
    }

    fn is_wary(&self) -> bool {
        self.wary.load(Ordering::SeqCst)
    }

    /// Does compiled code ask before it accesses memory?
    pub(super) fn announces(&self) -> bool {
        self.announce.load(Ordering::SeqCst)
    }

    /// The blocks of plain code.
    pub(super) fn plain(&self) -> &BlockCache {
        &self.plain
    }

    fn shapes(&self) -> MutexGuard<'_, HashMap<BlockKey, RegionShape>> {
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// # Panics
    /// If the engine does not run in lockstep.
    fn lockstep(&self) -> &Lockstep {
        self.lockstep.as_ref().expect("the engine runs in lockstep")
    }

    /// The numbers of a run in lockstep.
    pub fn lockstep_counts(&self) -> Option<Arc<Counts>> {
        self.lockstep.as_ref().map(|l| Arc::clone(&l.counts))
    }

    /// Compiles a block that has no code yet, if it has run often enough; is there any now? As without lockstep, but for
    /// what is hot it does not leave it to the background.
    fn compile_in_lockstep(&self, entry: &Entry) -> bool {
        if let Some(known) = &self.lockstep().only {
            return self.compile_known(entry, known);
        }
        let hot = entry.runs.load(Ordering::Relaxed) >= self.config.threshold;
        if hot && self.compile_entry(entry) {
            return true;
        }
        let Some(generation) = self.generation_of(entry) else { return false };
        match self.config.tier {
            Tier::Jit => self.compile_at_once(entry, generation),
            Tier::Tiered | Tier::Interp => self.compile_warm(entry, generation),
        }
    }

    /// The block for the reference.
    fn plain_block(&self, key: BlockKey) -> Result<Arc<Entry>, Fault> {
        let plain = &self.lockstep().plain;
        match plain.get(key) {
            Some(entry) => Ok(entry),
            None => {
                let (entry, block) = plain.translate(key, &*self.guest, &self.mem)?;
                entry.keep_block(block);
                Ok(entry)
            }
        }
    }

    /// There is memory that others can change: code that accesses memory without asking is dropped.
    fn announce(&self) {
        if !self.lockstep().announce.swap(true, Ordering::SeqCst) {
            self.code().invalidate_all();
            self.blocks.forget_compiled();
        }
    }
}
