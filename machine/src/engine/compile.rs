//! Compiling hot code, in the background or at once.

use super::blocks::{WatchedFetch, translate};
use super::{Engine, Tier, fault};
use crossbeam::channel::{Receiver, Sender, unbounded};
use emu_backend_jit::{BlockSource, Compiler, JitError, Region};
use emu_ir::{Block, BlockKey};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use tracing::debug;

/// The background compiler: a thread that is started with the first request.
#[derive(Debug, Default)]
pub(super) struct Worker {
    requests: Mutex<Option<Sender<BlockKey>>>,
    nanos: AtomicU64,
    failed: AtomicU64,
}

impl Worker {
    pub(super) fn nanos(&self) -> u64 {
        self.nanos.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Keeps the thread from being started while the process forks.
    pub(super) fn hold(&self) -> HeldWorker<'_> {
        HeldWorker(self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The worker over a fork.
pub(super) struct HeldWorker<'a>(MutexGuard<'a, Option<Sender<BlockKey>>>);

impl HeldWorker<'_> {
    /// In a forked child the thread is gone; the next request starts another.
    pub(super) fn forget(mut self) {
        *self.0 = None;
    }
}

thread_local! {
    /// The calling thread's compiler, for `Tier::Jit` and for the worker.
    static COMPILER: RefCell<Option<Compiler>> = const { RefCell::new(None) };
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

    /// Compiles the region at `key` and puts it in place; false if that is not possible.
    pub(super) fn compile_now(&self, key: BlockKey) -> bool {
        let started = Instant::now();
        let done = self.try_compile(key);
        self.worker.nanos.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        match done {
            Ok(installed) => installed,
            Err(error) => {
                debug!("{error}");
                self.worker.failed.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    fn try_compile(&self, key: BlockKey) -> Result<bool, JitError> {
        let code = self.code();
        if code.contains(key) {
            return Ok(true);
        }
        let generation = code.generation();
        let mut source = Source { engine: self, whole: self.config.tier == Tier::Jit, key };
        let Some(region) = Region::discover(key, self.config.region_insns, &mut source) else { return Ok(false) };
        let options = self.compile_options();
        let compiled = COMPILER.with_borrow_mut(|compiler| {
            let compiler = match compiler {
                Some(compiler) => compiler,
                none => none.insert(Compiler::new(self.config.verify)?),
            };
            compiler.compile(&region, &options)
        })?;
        debug!(
            "region {:#x}: {} blocks, {} instructions, {} bytes",
            key.pc,
            region.blocks.len(),
            region.insn_count(),
            compiled.bytes.len()
        );
        self.show_region(&compiled);
        Ok(self.code().install(compiled, generation))
    }
}

/// The worker's life: it ends with the engine.
fn work(engine: &Weak<Engine>, requests: &Receiver<BlockKey>) {
    fault::block_signals();
    for key in requests {
        let Some(engine) = engine.upgrade() else { return };
        if let Some(entry) = engine.blocks.get(key) {
            let compiled = engine.compile_now(key);
            entry.compiled.store(compiled, Ordering::Release);
        }
    }
}

/// Blocks for a region: those that have run, or with `whole` all that can be reached.
struct Source<'a> {
    engine: &'a Engine,
    whole: bool,
    key: BlockKey,
}

impl BlockSource for Source<'_> {
    fn block(&mut self, key: BlockKey, max_insns: usize) -> Option<Arc<Block>> {
        if let Some(entry) = self.engine.blocks.get(key) {
            if entry.block.marks.len() <= max_insns {
                return Some(Arc::clone(&entry.block));
            }
        } else if !self.whole && key != self.key {
            return None;
        }
        let mut fetch = WatchedFetch::new(&self.engine.mem);
        let block = translate(key, &*self.engine.guest, &mut fetch, max_insns.min(super::BLOCK_INSNS)).ok()?;
        fetch.all_watched.then(|| Arc::new(block))
    }
}
