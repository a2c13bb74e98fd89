//! Compiling hot code, in the background or at once.

use super::blocks::{Extent, WatchedFetch, translate};
use super::entry::Entry;
use super::{Engine, JIT_REGION_INSNS, Tier, fault, lockstep};
use crossbeam::channel::{Receiver, Sender, unbounded};
use emu_backend_jit::{BlockSource, CompileOptions, Compiler, JitError, QuickCompiler, Region};
use emu_ir::{Block, BlockKey, CpuState, IndirectKind, JumpKind, Slot, Terminator};
use rustc_hash::FxHashSet;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use tracing::debug;

/// A block that has run less often than this part of the threshold stays outside regions.
const REGION_SHARE: u32 = 64;

/// A region whose instructions have run less often than this part of the threshold, on average, is not worth compiling yet.
const WORTH_SHARE: u32 = 4;

/// A loop whose head has run less often than this part of the threshold gets no further rounds.
const LOOP_SHARE: u32 = 8;

/// Nor does one that is left after fewer rounds, on average.
const LONG_LOOP: u64 = 10;

/// Most instructions of a region at a block that is part of another one, and is often entered from elsewhere. An interpreter has dozens
/// of such blocks, and what follows them would be compiled for each anew.
const AGAIN_REGION_INSNS: usize = 400;

/// A region of more instructions is gone to where another one would come to its entry: what it is entered and left for is little of what
/// it does.
const LARGE_REGION_INSNS: usize = 200;

/// So many jumps to known addresses are followed from what is about to run, to compile at once what will run next.
const JUMPS_AHEAD: u32 = 3;

/// A computed jump that has gone to one address so often, and to no other, is likely to go there.
const LIKELY_JUMPS: u32 = 3;

/// The background compiler: a thread that is started with the first request.
#[derive(Debug, Default)]
pub(super) struct Worker {
    requests: Mutex<Option<Sender<BlockKey>>>,
    made: Mutex<Made>,
    nanos: AtomicU64,
    /// The longest time of one region.
    pub(super) longest: AtomicU64,
    /// Guest instructions of the largest region.
    pub(super) largest: AtomicU64,
    failed: AtomicU64,
}

/// What regions have been made of.
#[derive(Debug, Default)]
struct Made {
    /// Blocks that are part of some region.
    inside: FxHashSet<BlockKey>,
    /// Blocks that a large region begins with.
    large: FxHashSet<BlockKey>,
}

impl Worker {
    pub(super) fn nanos(&self) -> u64 {
        self.nanos.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn note_region(&self, region: &Region) {
        let mut made = self.made();
        made.inside.extend(region.blocks.iter().map(|b| b.block.key));
        let entry = region.blocks[region.entry].block.key;
        if region.insn_count() > LARGE_REGION_INSNS {
            made.large.insert(entry);
        } else {
            made.large.remove(&entry);
        }
    }

    fn is_inside_region(&self, key: BlockKey) -> bool {
        self.made().inside.contains(&key)
    }

    fn begins_large_region(&self, key: BlockKey) -> bool {
        self.made().large.contains(&key)
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the thread from being started while the process forks.
    pub(super) fn hold(&self) -> HeldWorker<'_> {
        HeldWorker { requests: self.requests.lock().unwrap_or_else(PoisonError::into_inner), _made: self.made() }
    }
}

/// The worker over a fork.
pub(super) struct HeldWorker<'a> {
    requests: MutexGuard<'a, Option<Sender<BlockKey>>>,
    _made: MutexGuard<'a, Made>,
}

impl HeldWorker<'_> {
    /// In a forked child the thread is gone; the next request starts another.
    pub(super) fn forget(mut self) {
        *self.requests = None;
    }
}

thread_local! {
    /// The calling thread's compiler, for `Tier::Jit` and for the worker.
    static COMPILER: RefCell<Option<Compiler>> = const { RefCell::new(None) };

    /// The same for quick code.
    static QUICK_COMPILER: RefCell<QuickCompiler> = RefCell::default();
}

impl Engine {
    /// Asks for the region at `key` to be compiled in the background.
    pub(super) fn request(self: &Arc<Self>, key: BlockKey) {
        let mut requests = self.worker.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = requests.get_or_insert_with(|| {
            let (sender, receiver) = unbounded();
            let engine = Arc::downgrade(self);
            let thread = std::thread::Builder::new().name("emu-compile".into());
            // Without the thread the receiver is dropped, sending fails, and the interpreter goes on alone.
            if let Err(error) = thread.spawn(move || work(&engine, &receiver)) {
                debug!("no compile thread: {error}");
            }
            sender
        });
        let _ = sender.send(key);
    }

    /// Notes for what will be compiled where a block's computed jump has gone, with the registers that it found.
    pub(super) fn note_jump(&self, cpu: &CpuState, (from, to): (u64, u64)) {
        if let Some(entry) = self.blocks.get(BlockKey { pc: from, mode: cpu.mode }) {
            entry.note_jump(to);
            entry.note_registers(cpu.slots.first_chunk().expect("a hart has so many"));
        }
    }

    /// Where the computed jump that ends the run has always gone.
    fn likely_target(&self, run: &Block) -> Option<u64> {
        let Terminator::Indirect { .. } = run.term else { return None };
        self.blocks.get(BlockKey { pc: run.last_joint(), ..run.key })?.only_target(LIKELY_JUMPS)
    }

    /// Compiles the region at the block; is there code for it now?
    pub(super) fn compile_entry(&self, entry: &Entry) -> bool {
        if entry.is_refused() {
            return false;
        }
        let compiled = self.compile_now(entry.key);
        // Without a region the quick code goes on, if there is any.
        if compiled == Some(true) || !entry.is_compiled() {
            entry.set_compiled(compiled);
        }
        compiled == Some(true)
    }

    /// Compiles the block that a hart has come to and that has no code; its IR may have been `made` for that. Is there code for it now?
    pub(super) fn compile_reached(&self, entry: &Entry, made: Option<Block>, generation: u64) -> bool {
        let is_new = made.is_some();
        let done = made.is_some_and(|block| match self.config.translates_at_once() {
            true => self.compile_new(entry, block, generation, JUMPS_AHEAD),
            false => {
                entry.keep_block(block);
                false
            }
        });
        if !is_new && entry.is_compiled() {
            entry.forget_compiled();
        }
        done || !entry.needs_window()
            && match self.config.tier {
                Tier::Interp => false,
                Tier::Jit => self.compile_at_once(entry, generation),
                Tier::Tiered => self.compile_warm(entry, generation),
            }
    }

    /// Makes quick code of a new block, or else keeps its IR for who else may need it; before that of the blocks that it surely goes on
    /// with, if they are new, too: what it takes to translate one is in the host's caches by now, and a jump is joined at once.
    fn compile_new(&self, entry: &Entry, block: Block, generation: u64, jumps: u32) -> bool {
        let done = !entry.needs_window() && self.config.run > 0 && {
            if jumps > 0 {
                let [jump, ret] = sure_followers(&block.term);
                for pc in jump.into_iter().chain(ret) {
                    self.compile_ahead(BlockKey { pc, ..entry.key }, jumps - 1);
                }
            }
            self.try_quick(entry, &block, generation)
        };
        if done {
            block.recycle()
        } else {
            entry.keep_block(block)
        }
        done
    }

    /// Makes quick code of the block at `key`, unless there has been a block. What cannot be read or watched waits until it runs.
    fn compile_ahead(&self, key: BlockKey, jumps: u32) {
        let generation = self.code().generation();
        if let Ok((entry, Some(block))) = self.find_or_translate(key)
            && !entry.is_dropped()
        {
            self.compile_new(&entry, block, generation, jumps);
        }
    }

    /// Compiles a block that has not been: is there code for it now?
    pub(super) fn compile_at_once(&self, entry: &Entry, generation: u64) -> bool {
        self.config.quick.is_some() && self.compile_quick(entry, generation) || self.compile_entry(entry)
    }

    /// Makes quick code of a block that has run often enough; is there any now?
    pub(super) fn compile_warm(&self, entry: &Entry, generation: u64) -> bool {
        let warm = self.config.quick.is_some_and(|runs| entry.runs.load(Ordering::Relaxed) >= runs);
        warm && self.compile_quick(entry, generation)
    }

    /// Makes quick code of a block that was what is there after the code cache had the generation.
    fn compile_quick(&self, entry: &Entry, generation: u64) -> bool {
        if entry.is_quick_refused() {
            return false;
        }
        if self.config.run == 0 && entry.may_become_run(0) && self.compile_run(entry) {
            return true;
        }
        let Ok(block) = self.ir(entry) else { return false };
        let installed = self.try_quick(entry, &block, generation);
        drop(block);
        if !entry.is_quick_refused() {
            entry.forget_block();
        }
        installed
    }

    /// [`Engine::put_quick`], which is not asked again for this block if that is not possible.
    fn try_quick(&self, entry: &Entry, block: &Block, generation: u64) -> bool {
        self.put_quick(entry, block, generation, None).unwrap_or_else(|error| {
            debug!("{error}");
            entry.refuse_quick();
            false
        })
    }

    /// Makes the quick code of a block anew, with what follows it: code that runs often is worth a second translation.
    /// False if what there is stays.
    pub(super) fn compile_run(&self, entry: &Entry) -> bool {
        let Some(generation) = self.generation_of(entry) else { return false };
        let mut fetch = WatchedFetch::new(&self.mem);
        let run = translate(entry.key, &*self.guest, &mut fetch, super::BLOCK_INSNS, Extent::Run);
        let run = run.ok().filter(|_| fetch.all_watched);
        let Some(run) = run else { return false };
        let likely = self.likely_target(&run);
        let improves = likely.is_some() || !entry.is_made_again();
        if likely.is_some() || !matches!(run.term, Terminator::Indirect { .. }) {
            entry.keep_run();
        }
        let installed = improves && self.put_quick(entry, &run, generation, likely).unwrap_or(false);
        if installed {
            entry.note_joints(&run);
        }
        run.recycle();
        installed
    }

    /// The code cache's generation, if the entry is still what is there: if it changes from now on, the generation does, too.
    pub(super) fn generation_of(&self, entry: &Entry) -> Option<u64> {
        let generation = self.code().generation();
        let current = self.blocks.get(entry.key)?;
        std::ptr::eq(&*current, entry).then_some(generation)
    }

    /// Makes quick code of `block`, which is what is there at the entry's address, or the beginning of it. Its computed jump is `likely`
    /// to go there.
    ///
    /// # Errors
    /// If the quick compiler does not have an op of it.
    pub(super) fn put_quick(
        &self,
        entry: &Entry,
        block: &Block,
        generation: u64,
        likely: Option<u64>,
    ) -> Result<bool, JitError> {
        let options = CompileOptions { likely, ..self.compile_options() };
        let installed = QUICK_COMPILER.with_borrow_mut(|compiler| -> Result<bool, JitError> {
            let compiled = compiler.compile(block, &options)?;
            self.show_region(compiled);
            if let Some(lockstep) = &self.lockstep {
                lockstep.note_quick(block, likely);
            }
            Ok(self.install(compiled, generation))
        })?;
        if installed {
            entry.set_compiled(Some(true));
        }
        Ok(installed)
    }

    /// Compiles the region at `key` and puts it in place: `Some(false)` if that is not possible, `None` if it may be
    /// later.
    fn compile_now(&self, key: BlockKey) -> Option<bool> {
        let started = Instant::now();
        let done = self.try_compile(key);
        let nanos = started.elapsed().as_nanos() as u64;
        self.worker.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.worker.longest.fetch_max(nanos, Ordering::Relaxed);
        match done {
            Ok(installed) => installed.then_some(true),
            Err(error) => {
                debug!("{error}");
                self.worker.failed.fetch_add(1, Ordering::Relaxed);
                Some(false)
            }
        }
    }

    /// Are regions made of everything that is reached?
    fn compiles_all(&self) -> bool {
        self.config.tier == Tier::Jit && self.config.quick.is_none()
    }

    fn try_compile(&self, key: BlockKey) -> Result<bool, JitError> {
        let code = self.code();
        if code.contains_region(key) {
            return Ok(true);
        }
        let generation = code.generation();
        let Some(region) = self.region(key) else { return Ok(false) };
        if !self.pays(&region) {
            return Ok(false);
        }
        let options = self.compile_options();
        let compiled = COMPILER.with_borrow_mut(|compiler| {
            let compiler = match compiler {
                Some(compiler) => compiler,
                none => none.insert(Compiler::new(self.config.verify)?),
            };
            compiler.compile(&region, &options)
        })?;
        self.worker.note_region(&region);
        self.worker.largest.fetch_max(region.insn_count() as u64, Ordering::Relaxed);
        if let Some(lockstep) = &self.lockstep {
            lockstep.note_region(&region);
        }
        debug!(
            "region {:#x}: {} blocks, {} instructions, {} bytes",
            key.pc,
            region.blocks.len(),
            region.insn_count(),
            compiled.bytes.len()
        );
        self.show_region(&compiled);
        Ok(self.install(&compiled, generation))
    }

    /// Has the region's code run so often that to compile it will cost less than it gains, if the program runs as long again?
    /// Otherwise its entry has to run twice as often.
    fn pays(&self, region: &Region) -> bool {
        if self.lockstep.is_some() || self.config.quick.is_none() {
            return true;
        }
        let work = |block: &Block| {
            let entry = self.blocks.get(block.key);
            entry.map_or(0, |entry| self.runs(&entry)) * block.marks.len() as u64
        };
        let done: u64 = region.blocks.iter().map(|b| work(&b.block)).sum();
        let pays = done >= u64::from(self.config.threshold / WORTH_SHARE) * region.insn_count() as u64;
        if !pays && let Some(entry) = self.blocks.get(BlockKey { pc: region.entry_pc(), mode: region.mode }) {
            entry.defer();
        }
        pays
    }

    /// How often the block has run, as far as that was counted.
    fn runs(&self, entry: &Entry) -> u64 {
        let runs = entry.runs.load(Ordering::Relaxed);
        u64::from(if entry.has_been_hot() { runs.max(self.config.threshold) } else { runs })
    }

    /// What is compiled for `key`.
    fn region(&self, key: BlockKey) -> Option<Region> {
        if let Some(known) = self.lockstep.as_ref().and_then(|lockstep| lockstep.known_region(key, self)) {
            return known;
        }
        // In lockstep regions are there to be compared, the larger the better.
        let share = if self.lockstep.is_some() { 0 } else { self.config.threshold / REGION_SHARE };
        let least_runs = self.config.quick.map_or(0, |quick| quick.max(share));
        let mut source = Source { engine: self, whole: self.compiles_all(), least_runs, key };
        let again = self.blocks.get(key).is_some_and(|entry| entry.has_been_hot());
        let most = match (self.compiles_all(), again) {
            (true, _) => JIT_REGION_INSNS,
            (false, true) => AGAIN_REGION_INSNS,
            (false, false) => usize::MAX,
        };
        let budget = self.config.region_insns.min(most);
        let budget = if self.lockstep.is_some() { budget.min(lockstep::REGION_INSNS) } else { budget };
        Region::discover(key, budget, &mut source)
    }
}

/// Where the guest will go on after a block with this end: where it jumps to, and where it comes back to when it calls.
fn sure_followers(term: &Terminator) -> [Option<u64>; 2] {
    match *term {
        Terminator::Jump { target, kind: JumpKind::Call { ret } } => [Some(target), Some(ret)],
        Terminator::Jump { target, kind: JumpKind::Plain } => [Some(target), None],
        Terminator::Indirect { kind: IndirectKind::Call { ret }, .. } => [None, Some(ret)],
        _ => [None, None],
    }
}

/// The worker's life: it ends with the engine.
fn work(engine: &Weak<Engine>, requests: &Receiver<BlockKey>) {
    fault::block_signals();
    for key in requests {
        let Some(engine) = engine.upgrade() else { return };
        let Some(entry) = engine.blocks.get(key) else { continue };
        // The blocks of a loop become hot together; the first one's region mostly holds the others. One that is
        // entered from elsewhere too will ask again.
        if !engine.worker.is_inside_region(key) || entry.was_put_off() {
            fault::with_faults(|| engine.compile_entry(&entry));
        }
    }
}

/// Blocks for a region: those that run often, or with `whole` all that can be reached.
struct Source<'a> {
    engine: &'a Engine,
    whole: bool,
    /// What has not run more often stays outside. Quick code tells of its runs when it has had many.
    least_runs: u32,
    key: BlockKey,
}

impl BlockSource for Source<'_> {
    fn block(&mut self, key: BlockKey, max_insns: usize) -> Option<Arc<Block>> {
        let entry = self.engine.blocks.get(key);
        let wanted = |entry: &Entry| entry.runs.load(Ordering::Relaxed) > self.least_runs || entry.has_been_hot();
        if entry.as_deref().is_some_and(Entry::needs_window) {
            return None;
        }
        let has_its_own = || self.engine.worker.begins_large_region(key);
        if !self.whole && key != self.key && (!entry.as_deref().is_some_and(wanted) || has_its_own()) {
            return None;
        }
        let kept = entry.filter(|_| !self.engine.blocks.is_plain()).and_then(|entry| entry.block());
        if let Some(block) = kept.filter(|block| block.marks.len() <= max_insns) {
            return Some(block);
        }
        let mut fetch = WatchedFetch::new(&self.engine.mem);
        let max_insns = max_insns.min(super::BLOCK_INSNS);
        let block = translate(key, &*self.engine.guest, &mut fetch, max_insns, Extent::Block).ok()?;
        (fetch.all_watched && !block.needs_window()).then(|| Arc::new(block))
    }

    fn rounds_pay(&self, head: BlockKey, exits: &[u64]) -> bool {
        let runs = |pc| self.engine.blocks.get(BlockKey { pc, ..head }).map_or(0, |entry| self.engine.runs(&entry));
        let left = exits.iter().map(|pc| runs(*pc)).sum::<u64>();
        self.whole || runs(head.pc) >= (left * LONG_LOOP).max(u64::from(self.engine.config.threshold / LOOP_SHARE))
    }

    fn indirect_targets(&self, key: BlockKey) -> Vec<u64> {
        self.engine.blocks.get(key).map(|entry| entry.targets()).unwrap_or_default()
    }

    fn register(&self, key: BlockKey, slot: Slot) -> Option<u64> {
        self.engine.blocks.get(key)?.registers()?.get(slot.index()).copied()
    }

    fn load(&self, addr: u64, bytes: u8) -> Option<u64> {
        self.engine.mem.load(addr, bytes).ok()
    }
}
