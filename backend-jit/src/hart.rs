//! A hart's side of compiled code: entering it, leaving it, and faults in it.

use crate::cache::{CodeCache, FaultPoint};
use crate::context::{Context, ExitCode, HOT_PERIOD, JumpCache, LastFault, MAX_STORES, NO_JUMP, StoreNote, no_entries};
use crate::enter;
use crate::link::Link;
use emu_ir::{BlockKey, CpuState, Env, Fault, Guest};
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// What other threads may know and do of a hart.
pub struct HartShared {
    /// Odd while the hart runs compiled code; rises by one with each entry and exit.
    epoch: AtomicU64,
    /// It handles a fault of compiled code, to which it may go back.
    faulting: AtomicBool,
    /// [`no_entries`].
    no_entries: u64,
    /// Belongs to the hart, all but `cpu.interrupt` and `jump_entries`. It stays in one place as long as anyone knows the hart.
    ctx: UnsafeCell<Context>,
}

// SAFETY: only the one `Hart` that owns this touches the context, from one thread at a time, except for the atomic
// `cpu.interrupt` and `jump_entries`.
unsafe impl Send for HartShared {}
// SAFETY: as above.
unsafe impl Sync for HartShared {}

impl fmt::Debug for HartShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HartShared").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl HartShared {
    pub(crate) fn is_outside(&self) -> bool {
        self.epoch.load(Ordering::SeqCst).is_multiple_of(2)
    }

    /// The hart comes in or goes out. It alone does, on one thread: this is no read-modify-write, which would wait for all of the hart's
    /// stores. What has to be ordered with coming in has a fence of its own.
    fn step_epoch(&self) {
        self.epoch.store(self.epoch.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Will it come into compiled code only by looking it up?
    pub(crate) fn needs_no_code(&self) -> bool {
        let epoch = self.epoch.load(Ordering::SeqCst);
        // It is `faulting` for longer than the epoch is even because of that: both were so at once.
        let faulting = self.faulting.load(Ordering::SeqCst);
        epoch.is_multiple_of(2) && !faulting && self.epoch.load(Ordering::SeqCst) == epoch
    }

    /// A number that differs for each stay in compiled code, while there is one.
    pub(crate) fn inside_since(&self) -> Option<u64> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        (!epoch.is_multiple_of(2)).then_some(epoch)
    }

    /// Makes the hart leave compiled code at its next poll or computed jump. Async-signal-safe.
    pub fn interrupt(&self) {
        let ctx = self.ctx.get();
        // SAFETY: the context lives as long as `self`; the fields are only ever accessed atomically while shared.
        unsafe {
            (*ctx).cpu.interrupt.store(1, Ordering::SeqCst);
            (*ctx).jump_entries.store(self.no_entries, Ordering::SeqCst);
        }
    }
}

/// How many instructions code that counts may run after the limit, at most: from one place where it stops to the next, which
/// is no way round a loop and thus no longer than a region.
pub(crate) const OVERSHOOT: usize = 4096;

/// A hart that can run compiled code.
pub struct Hart {
    shared: Arc<HartShared>,
    cache: Arc<CodeCache>,
    /// Keeps the helpers alive that the context points to.
    _guest: Arc<dyn Guest>,
    /// How much of [`CodeCache::news`] it knows.
    seen: u64,
    mode: u32,
    /// The guest pc that `Context::link`, if set, stands for.
    link_target: u64,
    /// Code is compiled with [`crate::CompileOptions::fuel`].
    has_fuel: bool,
}

thread_local! {
    /// The hart that this thread runs compiled code for; looked at by fault handlers.
    static RUNNING: Cell<*mut Hart> = const { Cell::new(std::ptr::null_mut()) };
}

impl Hart {
    /// A hart with the registers `cpu`, whose guest memory starts at the host address `mem_base`.
    pub fn new(cache: Arc<CodeCache>, guest: Arc<dyn Guest>, mem_base: u64, cpu: CpuState) -> Hart {
        let jump_cache = JumpCache::new();
        let ctx = Context {
            cpu,
            mem_base,
            confined_last: 0,
            link: 0,
            exit_kind: 0,
            mxcsr: crate::context::DEFAULT_MXCSR,
            exit_aux: 0,
            insn_limit: u64::MAX,
            host_sp: 0,
            helper_entry: enter::helper_entry as *const () as u64,
            quiet_helper_entry: enter::quiet_helper_entry as *const () as u64,
            store_mxcsr_entry: enter::store_mxcsr_entry as *const () as u64,
            clear_flags_entry: enter::clear_flags_entry as *const () as u64,
            helper_result: 0,
            drop_invalid: false,
            quick: cache.quick,
            helper_trapped: 0,
            checkpoint: 0,
            checkpoint_count: 0,
            unused: 0,
            zero: 0,
            jumped_from: NO_JUMP,
            countdown: HOT_PERIOD as i32,
            trap: None,
            fault: None,
            last_fault: None,
            next_store: 0,
            stores: Vec::new(),
            jump_entries: AtomicU64::new(jump_cache.address()),
            samples_jump: false,
            sample: None,
            jump_cache,
            other_caches: Vec::new(),
            env: None,
            helpers: std::ptr::from_ref(guest.helpers()),
            stale: [0; 2],
        };
        let shared = Arc::new(HartShared {
            epoch: AtomicU64::new(0),
            faulting: AtomicBool::new(false),
            no_entries: no_entries(),
            ctx: UnsafeCell::new(ctx),
        });
        cache.add_hart(Arc::clone(&shared));
        let seen = cache.news();
        Hart { shared, cache, _guest: guest, seen, mode: 0, link_target: 0, has_fuel: false }
    }

    /// Runs code that was compiled to stay in `size` bytes of guest memory ([`crate::CompileOptions::confine`]). Without this,
    /// its accesses all fault.
    pub fn confine(&mut self, size: u64) {
        self.context().confined_last = size + crate::CONFINED_SLACK;
    }

    /// The guest's registers.
    pub fn cpu(&self) -> &CpuState {
        // SAFETY: the context is the hart's own, borrowed as the hart is.
        unsafe { &(*self.shared.ctx.get()).cpu }
    }

    /// The guest's registers.
    pub fn cpu_mut(&mut self) -> &mut CpuState {
        &mut self.context().cpu
    }

    /// The context that compiled code works on.
    pub fn context(&mut self) -> &mut Context {
        // SAFETY: the context is the hart's own, borrowed as the hart is.
        unsafe { &mut *self.shared.ctx.get() }
    }

    /// Lets compiled code that counts run `insns` instructions from now on, or as few more or less as it can be stopped
    /// after, and begins with no [`Hart::stores`].
    pub fn limit(&mut self, insns: usize) {
        let ctx = self.context();
        ctx.insn_limit = ctx.cpu.insn_count + insns as u64;
        let room = insns.saturating_add(OVERSHOOT).saturating_mul(MAX_STORES);
        if ctx.stores.len() < room {
            ctx.stores.resize(room, StoreNote::default());
        }
        ctx.next_store = ctx.stores.as_mut_ptr() as u64;
    }

    /// Lets code compiled with [`crate::CompileOptions::fuel`] run until `cpu.insn_count` would pass `limit`. Whatever runs from now on has
    /// to be such code.
    pub fn set_fuel(&mut self, limit: u64) {
        self.has_fuel = true;
        self.context().insn_limit = limit;
    }

    /// In code with fuel the count of instructions is below 0 as long as the limit is not passed: one instruction adds and compares.
    fn bias_count(&mut self) -> u64 {
        if self.has_fuel { self.context().insn_limit.wrapping_add(1) } else { 0 }
    }

    /// What code that was compiled with [`crate::CompileOptions::note_stores`] has overwritten since [`Hart::limit`], in
    /// order.
    pub fn stores(&mut self) -> &[StoreNote] {
        let ctx = self.context();
        let bytes = ctx.next_store - ctx.stores.as_ptr() as u64;
        &ctx.stores[..bytes as usize / size_of::<StoreNote>()]
    }

    /// For other threads.
    pub fn shared(&self) -> &Arc<HartShared> {
        &self.shared
    }

    /// Runs compiled code from `cpu.pc` on; `None` if there is none. The jump cache may know quick code although there is
    /// a region by now: the count sees to it that it is looked up anew.
    pub fn run(&mut self, env: &mut dyn Env) -> Option<ExitCode> {
        self.shared.step_epoch();
        let exit = self.run_inside(env);
        self.shared.step_epoch();
        exit
    }

    /// Between the changes of `epoch` nothing that is looked up can go away.
    fn run_inside(&mut self, env: &mut dyn Env) -> Option<ExitCode> {
        let key = BlockKey { pc: self.cpu().pc, mode: self.cpu().mode };
        let code = self.look_up(key)?;
        let ctx = self.context();
        ctx.link = 0;
        ctx.remember(key.pc, code);
        ctx.helper_trapped = 0;
        ctx.open_jumps();
        let samples = ctx.begin_sample();
        let bias = self.bias_count();
        let ctx = self.context();
        ctx.cpu.insn_count = ctx.cpu.insn_count.wrapping_sub(bias);
        let before = RUNNING.replace(self);
        // SAFETY: `code` is in place until this hart has left (the cache waits for that), and the context was made
        // by `new` for this cache.
        let exit = unsafe { enter::enter(self.context(), code, env) };
        RUNNING.set(before);
        let ctx = self.context();
        ctx.cpu.insn_count = ctx.cpu.insn_count.wrapping_add(bias);
        if samples && exit == ExitCode::Next {
            ctx.end_sample();
        }
        let pc = self.cpu().pc;
        self.link_target = pc;
        if exit == ExitCode::Hot && self.context().was_interrupted() {
            return Some(ExitCode::Interrupted);
        }
        Some(exit)
    }
}

impl Hart {
    /// The code for `key`, while nothing is in the jump cache that has been dropped.
    ///
    /// Whoever drops code tells the news and then looks for harts inside. Either they see that this one is, or the news are seen here:
    /// by the lock under which the cache is looked into, or by the fence.
    fn look_up(&mut self, key: BlockKey) -> Option<u64> {
        if self.mode != key.mode {
            self.catch_up(key.mode);
        }
        loop {
            let seen = self.seen;
            let ctx = self.context();
            let remembered = if ctx.link == 0 { ctx.recall(key.pc) } else { None };
            if let Some(code) = remembered {
                fence(Ordering::SeqCst);
                if self.cache.news() == seen {
                    return Some(code);
                }
            } else {
                // The interpreter may have run since the hart left through the exit, and gone elsewhere.
                let link = Link::from_context(ctx.link).filter(|_| self.link_target == key.pc);
                if let Ok(code) = self.cache.enter(key, link, seen) {
                    return code;
                }
            }
            self.catch_up(key.mode);
        }
    }

    /// Forgets code that has been dropped, or is of another mode.
    #[cold]
    fn catch_up(&mut self, mode: u32) {
        let (cache, seen, before) = (Arc::clone(&self.cache), self.seen, self.mode);
        let ctx = self.context();
        let known = if cache.news() == seen { Some(seen) } else { cache.dropped_since(seen, |pc| ctx.forget(pc)) };
        if known.is_none() {
            ctx.forget_code();
            ctx.link = 0;
        }
        if before != mode {
            ctx.change_mode(before, mode);
            ctx.link = 0;
        }
        self.seen = known.unwrap_or_else(|| cache.news());
        self.mode = mode;
    }

    /// Did compiled code leave through a slot that wants to be linked?
    pub fn leaves_link(&mut self) -> bool {
        self.context().link != 0
    }
}

impl Drop for Hart {
    fn drop(&mut self) {
        self.cache.remove_hart(&self.shared);
    }
}

/// A fault in compiled code, from a signal handler's point of view. While it exists the hart counts as outside, so
/// that other harts do not wait for it.
pub struct CodeFault {
    hart: *mut Hart,
    rip: u64,
}

impl CodeFault {
    /// Claims a fault at the host address `rip`, if this thread runs compiled code there.
    pub fn claim(rip: u64) -> Option<CodeFault> {
        let hart = RUNNING.get();
        // SAFETY: `RUNNING` is null or the hart whose code this thread is inside of; that code is interrupted.
        let range = unsafe { hart.as_ref()? }.cache.arena_range;
        if !(range.0..range.1).contains(&rip) {
            return None;
        }
        let fault = CodeFault { hart, rip };
        fault.shared().faulting.store(true, Ordering::SeqCst);
        fault.shared().epoch.fetch_add(1, Ordering::SeqCst);
        Some(fault)
    }

    fn shared(&self) -> &HartShared {
        // SAFETY: as in `claim`.
        unsafe { &(*self.hart).shared }
    }

    /// Goes on with the faulting instruction: its cause is gone.
    pub fn resume(self) {
        self.shared().epoch.fetch_add(1, Ordering::SeqCst);
        self.shared().faulting.store(false, Ordering::SeqCst);
    }

    /// Leaves compiled code because of the guest's fault. Returns the host's new program counter and stack pointer, or
    /// `None` if the fault is not at an access of the guest.
    pub fn unwind(self, fault: Fault) -> Option<(u64, u64)> {
        // SAFETY: as in `claim`; compiled code holds no reference into the context.
        let hart = unsafe { &mut *self.hart };
        let cache = Arc::clone(&hart.cache);
        let point = cache.fault_point(self.rip, hart.context());
        hart.shared.epoch.fetch_add(1, Ordering::SeqCst);
        hart.shared.faulting.store(false, Ordering::SeqCst);
        let ctx = hart.context();
        let point = point?;
        let (FaultPoint::Replay { faulting: pc, .. } | FaultPoint::Imprecise { pc, .. }) = point;
        let after = match point {
            FaultPoint::Replay { quick: true, .. } => cache.quick.fault,
            _ => enter::fault_return(),
        };
        ctx.last_fault = Some(LastFault { fault, pc, counted: ctx.cpu.insn_count });
        match point {
            FaultPoint::Replay { pc, retired, legacy_nan, .. } => {
                ctx.drop_invalid = legacy_nan;
                ctx.cpu.pc = pc;
                ctx.cpu.insn_count = retired.unwrap_or(ctx.cpu.insn_count);
                ctx.exit_kind = ExitCode::Interpret as u32;
            }
            FaultPoint::Imprecise { pc, retired } => {
                ctx.cpu.pc = pc;
                ctx.cpu.insn_count = retired.unwrap_or(ctx.cpu.insn_count);
                ctx.fault = Some(fault);
                ctx.exit_kind = ExitCode::ImpreciseFault as u32;
            }
        }
        Some((after, ctx.host_sp))
    }
}
