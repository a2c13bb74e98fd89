//! A translated block as the engine keeps it: how often it has run, and what has been made of it.

use emu_interp::Code;
use emu_ir::{Block, BlockKey, Fault, Guest, IndirectKind, Terminator};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A translated block.
pub struct Entry {
    pub(super) key: BlockKey,
    /// It ends with an indirect jump or call.
    jumps: bool,
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
    /// It is run in an exclusive window.
    needs_window: bool,
    /// Is it long, for a block?
    is_long: bool,
    /// How often its quick code has been made anew with what follows the block, or could not be: [`MADE_AGAIN`] at most.
    made: AtomicU8,
    /// What few blocks have, of so many.
    rare: OnceLock<Box<Rare>>,
}

/// What is known of blocks that the interpreter runs, or that run often.
#[derive(Default)]
struct Rare {
    /// Its IR, until there is quick code: what else needs it then makes it anew, which is seldom.
    block: Mutex<Option<Arc<Block>>>,
    /// The block for the interpreter, made when it first runs it: quick code often comes before.
    code: OnceLock<Code>,
    /// Where the indirect jump that ends it has gone, once it has.
    targets: OnceLock<Targets>,
    /// What the guest's registers were one of the times.
    registers: OnceLock<Box<Registers>>,
    /// How often that has been noted.
    jumps: AtomicU32,
    /// Addresses of the blocks that follow it in its run.
    joints: OnceLock<Box<[u64]>>,
}

/// Addresses of code; [`NO_TARGET`] where nothing is noted.
type Targets = [AtomicU64; 16];

/// The registers that addresses are computed from: the first of [`emu_ir::CpuState::slots`].
pub(super) type Registers = [u64; 32];

/// No instruction is there: addresses of instructions are even.
const NO_TARGET: u64 = 1;

impl Entry {
    /// An entry that nobody has run, without its IR.
    pub(super) fn new(block: &Block) -> Entry {
        Entry {
            key: block.key,
            needs_window: block.needs_window(),
            is_long: block.insn_count() >= LONG_BLOCK,
            jumps: matches!(
                block.term,
                Terminator::Indirect { kind: IndirectKind::Jump | IndirectKind::Call { .. }, .. }
            ),
            runs: AtomicU32::new(0),
            state: AtomicU8::new(FRESH),
            dropped: AtomicBool::new(false),
            deferrals: AtomicU8::new(0),
            put_off: AtomicBool::new(false),
            quick_refused: AtomicBool::new(false),
            made: AtomicU8::new(0),
            rare: OnceLock::new(),
        }
    }

    /// Does it begin what has to be run while nobody else runs? Then it is not compiled.
    pub(super) fn needs_window(&self) -> bool {
        self.needs_window
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// Its IR, if it is still kept.
    pub(super) fn block(&self) -> Option<Arc<Block>> {
        self.rare.get()?.block.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps its IR.
    pub(super) fn keep_block(&self, block: Block) {
        *self.rare().block.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(block));
    }

    /// There is code: the IR is not needed any more.
    pub(super) fn forget_block(&self) {
        let Some(rare) = self.rare.get() else { return };
        let block = rare.block.lock().unwrap_or_else(PoisonError::into_inner).take();
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
        let rare = self.rare();
        if let Some(code) = rare.code.get() {
            return Ok(code);
        }
        let block = block(self)?;
        Ok(rare.code.get_or_init(|| Code::new(&block, guest)))
    }

    /// Notes where the block's indirect jump or call went, if it ends with one.
    #[inline]
    pub(super) fn note_target(&self, pc: u64) {
        if self.jumps {
            self.note_jump(pc);
        }
    }

    /// Notes where the block's indirect jump, call or return went.
    pub(super) fn note_jump(&self, pc: u64) {
        let rare = self.rare();
        rare.jumps.store(rare.jumps.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        for cell in rare.targets.get_or_init(|| [const { AtomicU64::new(NO_TARGET) }; 16]) {
            match cell.load(Ordering::Relaxed) {
                NO_TARGET => return cell.store(pc, Ordering::Relaxed),
                known if known == pc => return,
                _ => {}
            }
        }
    }

    /// Notes what the registers were at the jump, if that has not been.
    pub(super) fn note_registers(&self, registers: &Registers) {
        self.rare().registers.get_or_init(|| Box::new(*registers));
    }

    /// What [`Entry::note_registers`] has seen.
    pub(super) fn registers(&self) -> Option<&Registers> {
        self.rare.get()?.registers.get().map(|registers| &**registers)
    }

    /// What [`Entry::note_jump`] has seen.
    pub(super) fn targets(&self) -> Vec<u64> {
        let cells = self.rare.get().and_then(|rare| rare.targets.get()).into_iter().flatten();
        let seen = cells.map(|cell| cell.load(Ordering::Relaxed));
        let mut list: Vec<u64> = seen.filter(|pc| *pc != NO_TARGET).collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// Where the indirect jump has gone each time that was noted, if it was noted `times` times.
    pub(super) fn only_target(&self, times: u32) -> Option<u64> {
        let jumps = self.rare.get()?.jumps.load(Ordering::Relaxed);
        match self.targets()[..] {
            [target] if jumps >= times => Some(target),
            _ => None,
        }
    }

    /// Counts `more` executions that are not to make anything happen.
    pub(super) fn add_runs(&self, more: u32) {
        self.runs.store(self.runs.load(Ordering::Relaxed).saturating_add(more), Ordering::Relaxed);
    }

    /// So many executions as executions of usual blocks, by what a region gains.
    pub(super) fn weighted(&self, runs: u32) -> u32 {
        if self.is_long { runs.saturating_mul(LONG_WEIGHT) } else { runs }
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

    /// The cache does not have it any more.
    pub(super) fn set_dropped(&self) {
        self.dropped.store(true, Ordering::Release);
    }

    /// Have its bytes changed, or might they unseen?
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

    /// Is its quick code to be made anew, together with what follows: for the first time, after `threshold` runs, or once more, when
    /// it may be known by now where the run's computed jump goes?
    pub(super) fn may_become_run(&self, threshold: u32) -> bool {
        let made = self.made.load(Ordering::Relaxed);
        let wanted = if made == 0 { threshold } else { threshold.saturating_mul(AGAIN) };
        made < MADE_AGAIN
            && self.runs.load(Ordering::Relaxed) >= wanted
            && self.made.compare_exchange(made, made + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Has its quick code been made anew twice?
    pub(super) fn is_made_again(&self) -> bool {
        self.made.load(Ordering::Relaxed) == MADE_AGAIN
    }

    /// Its quick code is as good as it can be.
    pub(super) fn keep_run(&self) {
        self.made.store(MADE_AGAIN, Ordering::Relaxed);
    }

    /// Its quick code is that of the run.
    pub(super) fn note_joints(&self, run: &Block) {
        let joints = (0..run.marks.len()).filter(|mark| run.is_joint(*mark)).map(|mark| run.marks[mark].pc);
        let _ = self.rare().joints.set(joints.collect());
    }

    /// The blocks that run with it, unless a branch is taken on the way.
    pub(super) fn joints(&self) -> impl Iterator<Item = BlockKey> {
        self.rare
            .get()
            .and_then(|rare| rare.joints.get())
            .into_iter()
            .flatten()
            .map(|pc| BlockKey { pc: *pc, ..self.key })
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
        self.made.store(0, Ordering::Relaxed);
        self.runs.store(0, Ordering::Relaxed);
    }
}

/// Guest instructions of a long block: such is arithmetic, as that of ciphers, for which quick code has too few registers.
const LONG_BLOCK: u32 = 40;

/// So many of other blocks' executions one of those counts for.
const LONG_WEIGHT: u32 = 8;

/// See [`Entry::may_become_run`].
const MADE_AGAIN: u8 = 2;

/// So many times the runs after which quick code is made anew it is made anew once more.
const AGAIN: u32 = 4;

/// By then the region has been compiled: its entry alone has run often enough.
const MAX_DEFERRALS: u8 = 12;

const FRESH: u8 = 0;
const COMPILED: u8 = 1;
const REFUSED: u8 = 2;
