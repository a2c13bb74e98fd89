//! The run loop of a hart.

use super::entry::Entry;
use super::exits::Exits;
use super::fuel::Tank;
use super::period::Period;
use super::window::Membership;
use super::{Engine, Tier, fault};
use crate::mem::UserEnv;
use emu_backend_jit::{ExitCode, Hart, HartShared, JitError};
use emu_ir::{BlockKey, CpuState, Exit, Fault};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Entries of a hart's own table of blocks (a power of two) where the interpreter runs them all.
const LOCAL_BLOCKS: usize = 8192;
/// Where compiled code runs most: each start of a program pays for the memory.
const FEW_LOCAL_BLOCKS: usize = 512;

/// More blocks than there are on a way through a region that comes to no block twice.
const MAX_STALE_BLOCKS: usize = 4096;

/// A hart with the engine that runs it.
pub struct EngineVcpu {
    pub(super) engine: Arc<Engine>,
    pub(super) hart: Hart,
    pub(super) env: UserEnv,
    pub(super) local: LocalBlocks,
    /// The instructions that it may still run, if they are limited.
    pub(super) tank: Option<Tank>,
    /// Instructions that have been added to the engine's count.
    reported: u64,
    /// Exits that have not been added to the engine's.
    exits: Exits,
    pub(super) membership: Membership,
    /// For how long its quick code runs until it is looked at.
    period: Period,
}

/// Blocks that a hart met lately, by address; saves the shared map's lock.
pub(super) struct LocalBlocks {
    table: Box<[LocalBlock]>,
    /// Entries of the table once there is one.
    size: usize,
}

/// The key stands beside the pointer: what is not the block that is looked for need not be read.
#[derive(Clone)]
struct LocalBlock {
    key: BlockKey,
    entry: Option<Arc<Entry>>,
}

/// No block: no instruction is at an odd address.
const NO_BLOCK: LocalBlock = LocalBlock { key: BlockKey { pc: 1, mode: 0 }, entry: None };

impl LocalBlocks {
    /// None yet, and no memory: most harts only run compiled code.
    pub(super) fn new(tier: Tier) -> LocalBlocks {
        let size = if tier == Tier::Interp { LOCAL_BLOCKS } else { FEW_LOCAL_BLOCKS };
        LocalBlocks { table: Box::default(), size }
    }

    /// The block at the current pc; `get` fetches it from where they all are.
    #[inline]
    pub(super) fn find(
        &mut self,
        cpu: &CpuState,
        get: impl FnOnce(BlockKey) -> Result<Arc<Entry>, Fault>,
    ) -> Result<&Entry, Fault> {
        if self.table.is_empty() {
            self.table = vec![NO_BLOCK; self.size].into();
        }
        let key = BlockKey { pc: cpu.pc, mode: cpu.mode };
        let cell = &mut self.table[(key.pc >> 1) as usize & (self.size - 1)];
        if cell.key != key || cell.entry.as_ref().is_none_or(|entry| entry.is_dropped()) {
            *cell = LocalBlock { key, entry: Some(get(key)?) };
        }
        Ok(cell.entry.as_ref().expect("just filled"))
    }
}

/// Runs the block in the interpreter, and has it compiled when it has become hot.
pub(super) fn interpret(engine: &Arc<Engine>, entry: &Entry, cpu: &mut CpuState, env: &mut UserEnv) -> Exit {
    let compiles = engine.config.tier != Tier::Interp && engine.lockstep.is_none();
    if entry.count_runs(1, engine.config.threshold) && compiles {
        engine.request(entry.key);
    }
    let exit = match engine.interpreter_code(entry) {
        Ok(code) => emu_interp::run(code, cpu, env),
        Err(fault) => Exit::Fault(fault),
    };
    if exit == Exit::Next {
        entry.note_target(cpu.pc);
    }
    exit
}

impl EngineVcpu {
    /// A hart with the registers `cpu`.
    pub fn new(engine: Arc<Engine>, cpu: CpuState) -> EngineVcpu {
        let base = engine.mem.base() as u64;
        let mut hart = Hart::new(Arc::clone(engine.code()), Arc::clone(&engine.guest), base, cpu);
        if let Some(size) = engine.confinement() {
            hart.confine(size);
        }
        let env = UserEnv::new(Arc::clone(&engine.mem));
        let local = LocalBlocks::new(engine.config.tier);
        let tank = Tank::of(&engine);
        let membership = Membership::new(&engine, hart.shared());
        let period = Period::new();
        EngineVcpu { engine, hart, env, local, tank, reported: 0, exits: Exits::default(), membership, period }
    }

    /// Runs until something needs the operating system.
    pub fn run(&mut self) -> Exit {
        self.membership.enter();
        self.update_mode();
        let exit = if self.tank.is_some() { self.run_by(Self::step_on_fuel) } else { self.run_by(Self::step) };
        self.membership.leave();
        self.give_fuel_back();
        // Without fuel compiled code does not count.
        let interpreted = self.tank.as_ref().map_or(self.hart.cpu().insn_count, Tank::interpreted);
        self.engine.interpreted.fetch_add(interpreted - self.reported, Ordering::Relaxed);
        self.reported = interpreted;
        self.engine.exits.add(&std::mem::take(&mut self.exits));
        exit
    }

    #[inline]
    fn run_by(&mut self, step: impl Fn(&mut Self) -> Exit) -> Exit {
        loop {
            match step(self) {
                Exit::Next => {}
                Exit::ModeChange => self.update_mode(),
                Exit::InsnFence => self.engine.insn_fence(),
                other => return other,
            }
        }
    }

    /// Is the hart to stop? If so, that is done with.
    #[inline]
    pub(super) fn takes_interrupt(&self) -> bool {
        // A plain load first: an atomic exchange at each block would cost more than the block.
        if self.hart.cpu().interrupt.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.hart.cpu().interrupt.store(0, Ordering::SeqCst);
        true
    }

    /// Runs one block, or compiled code until it returns.
    #[inline]
    fn step(&mut self) -> Exit {
        if self.takes_interrupt() {
            return Exit::Interrupted;
        }
        if self.engine.config.tier == Tier::Interp {
            return self.interpret();
        }
        match self.run_or_compile() {
            Ok(Some(exit)) => self.after_code(exit),
            Ok(None) => self.interpret(),
            Err(fault) => Exit::Fault(fault),
        }
    }

    /// Runs compiled code for the pc, which is made if there is none yet; `None` if that is not possible.
    #[inline]
    pub(super) fn run_or_compile(&mut self) -> Result<Option<ExitCode>, Fault> {
        let exit = match self.run_code() {
            None if self.compile()? => self.run_code(),
            exit => exit,
        };
        if let Some(jump) = self.hart.context().take_sample() {
            self.exits.sampled += 1;
            self.engine.note_jump(self.hart.cpu(), jump);
        } else if let Some(exit) = exit {
            self.exits.count(exit, self.hart.leaves_link());
        }
        Ok(exit)
    }

    /// Runs compiled code, if there is some for the pc.
    fn run_code(&mut self) -> Option<ExitCode> {
        let (hart, env) = (&mut self.hart, &mut self.env);
        fault::with_engine(&self.engine, || hart.run(env))
    }

    /// Has code made for the pc, for which there is none; is there some now?
    fn compile(&mut self) -> Result<bool, Fault> {
        let cpu = self.hart.cpu();
        // Before the block is known to be what is there: if it changes, this does.
        let generation = self.engine.code().generation();
        let (entry, made) = self.engine.find_or_translate(BlockKey { pc: cpu.pc, mode: cpu.mode })?;
        Ok(self.engine.compile_reached(&entry, made, generation))
    }

    fn interpret(&mut self) -> Exit {
        match self.local.find(self.hart.cpu(), |key| self.engine.block(key)) {
            Ok(entry) if entry.needs_window() => self.run_in_window(u64::MAX),
            Ok(entry) => interpret(&self.engine, entry, self.hart.cpu_mut(), &mut self.env),
            Err(fault) => Exit::Fault(fault),
        }
    }

    /// What compiled code's return means.
    pub(super) fn after_code(&mut self, exit: ExitCode) -> Exit {
        match exit {
            // After an interruption the flag is still set: the loop sees it.
            ExitCode::Next | ExitCode::Budget => Exit::Next,
            ExitCode::Interrupted => self.freshen(),
            ExitCode::ModeChange => Exit::ModeChange,
            ExitCode::Syscall => Exit::Syscall { insn: self.hart.context().exit_aux },
            ExitCode::Interpret => self.interpret_once(&mut 0),
            ExitCode::Hot => self.count_quick_runs(),
            ExitCode::Trap => self.hart.context().trap.take().map_or(Exit::Next, Exit::Trap),
            ExitCode::ImpreciseFault => self.hart.context().fault.take().map_or(Exit::Next, Exit::Fault),
        }
    }

    /// Runs the block at the pc in the interpreter, whatever code there is for it; the registers that it writes are no longer `stale`.
    fn interpret_once(&mut self, stale: &mut u128) -> Exit {
        let engine = &self.engine;
        let entry = self.local.find(self.hart.cpu(), |key| engine.block(key));
        let code = entry.and_then(|entry| {
            if *stale != 0 {
                *stale &= !engine.ir(entry)?.surely_written();
            }
            engine.interpreter_code(entry)
        });
        match code {
            Ok(code) => emu_interp::run(code, self.hart.cpu_mut(), &mut self.env),
            Err(fault) => Exit::Fault(fault),
        }
    }

    /// Has the interpreter run until all registers hold what they should, some of which compiled code did not write back, since it is not far
    /// to where they are overwritten.
    fn freshen(&mut self) -> Exit {
        let mut stale = self.hart.context().take_stale();
        // Nobody waits for ever: where the guest's code is changed meanwhile, what is old there stays so, as nobody had any use for it.
        for _ in 0..MAX_STALE_BLOCKS {
            if stale == 0 {
                break;
            }
            match self.interpret_once(&mut stale) {
                Exit::Next => {}
                exit => return exit,
            }
        }
        Exit::Next
    }

    /// The quick code at the pc has run for a period.
    fn count_quick_runs(&mut self) -> Exit {
        let (pc, period, engine) = (self.hart.cpu().pc, self.period, &self.engine);
        let sampled = self.local.find(self.hart.cpu(), |key| engine.block(key)).map(|entry| {
            entry.joints().filter_map(|key| engine.blocks.get(key)).for_each(|e| e.add_runs(period.runs()));
            let hot = entry.count_runs(entry.weighted(period.runs()), engine.config.threshold);
            if hot {
                engine.request(entry.key);
            }
            hot || entry.may_become_run(period.scaled(engine.config.run)) && engine.compile_run(entry)
        });
        self.period = period.next(sampled == Ok(true));
        self.hart.context().restart_countdown(pc, self.period.runs());
        sampled.map_or_else(Exit::Fault, |_| Exit::Next)
    }

    fn update_mode(&mut self) {
        let mode = self.engine.guest.mode(self.hart.cpu());
        self.hart.cpu_mut().mode = mode;
    }
}

impl EngineVcpu {
    /// The registers.
    pub fn cpu(&self) -> &CpuState {
        self.hart.cpu()
    }

    /// The registers, to be changed.
    pub fn cpu_mut(&mut self) -> &mut CpuState {
        self.hart.cpu_mut()
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What other threads and signal handlers may know of the hart: enough to interrupt it.
    pub fn shared(&self) -> &Arc<HartShared> {
        self.hart.shared()
    }

    /// Another hart on the same memory with the same registers.
    pub fn clone_for_thread(&self) -> EngineVcpu {
        let mut cpu = self.hart.cpu().clone();
        cpu.insn_count = 0;
        EngineVcpu::new(Arc::clone(&self.engine), cpu)
    }

    /// Calls `fork`, which forks the process and says whether it is in the child, with nothing of the engine or of
    /// guest memory in the middle of a change. In the child this hart is the only one left.
    ///
    /// # Errors
    /// If there is no memory for the child's copy of the code; nothing has been forked then.
    pub fn fork(&mut self, fork: &mut dyn FnMut() -> bool) -> Result<(), JitError> {
        self.engine.fork(self.hart.shared(), fork)
    }
}

impl Engine {
    /// [`EngineVcpu::fork`] for the hart `survivor`.
    pub(super) fn fork(
        self: &Arc<Self>,
        survivor: &Arc<HartShared>,
        fork: &mut dyn FnMut() -> bool,
    ) -> Result<(), JitError> {
        let harts: Weak<Engine> = Arc::downgrade(self);
        let neighbours = self.neighbours();
        if let Some(neighbours) = neighbours.filter(|_| self.mem.shares_writable()) {
            neighbours.before_fork(harts.clone());
        }
        let mut in_child = false;
        let result = self.windows.fork(survivor, || {
            let result = self.fork_quietly(survivor, &mut || {
                in_child = fork();
                in_child
            });
            (in_child, result)
        });
        if let Some(neighbours) = neighbours.filter(|_| in_child) {
            neighbours.in_child(harts);
        }
        result
    }

    fn fork_quietly(&self, survivor: &Arc<HartShared>, fork: &mut dyn FnMut() -> bool) -> Result<(), JitError> {
        let worker = self.worker.hold();
        let blocks = self.blocks.lock();
        let plain = self.lockstep.as_ref().map(|lockstep| lockstep.plain().lock());
        let code = self.code().prepare_fork()?;
        let memory = self.mem.lock_for_fork();
        let in_child = fork();
        drop((memory, plain, blocks));
        if in_child {
            worker.forget();
            code.in_child(survivor)?;
            self.invalidate_stale();
        }
        Ok(())
    }
}
