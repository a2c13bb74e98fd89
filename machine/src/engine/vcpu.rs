//! The run loop of a hart.

use super::blocks::Entry;
use super::{Engine, Tier, fault};
use crate::mem::UserEnv;
use emu_backend_jit::{ExitCode, Hart, HartShared, JitError};
use emu_ir::{BlockKey, CpuState, Exit, Fault};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Entries of a hart's own table of blocks (a power of two).
const LOCAL_BLOCKS: usize = 4096;

/// A hart with the engine that runs it.
pub struct EngineVcpu {
    engine: Arc<Engine>,
    hart: Hart,
    env: UserEnv,
    /// Blocks met lately, by address; saves the shared map's lock.
    local: Box<[Option<Arc<Entry>>]>,
    generation: u64,
}

impl EngineVcpu {
    /// A hart with the registers `cpu`.
    pub fn new(engine: Arc<Engine>, cpu: CpuState) -> EngineVcpu {
        let base = engine.mem.base() as u64;
        let hart = Hart::new(Arc::clone(engine.code()), Arc::clone(&engine.guest), base, cpu);
        let env = UserEnv::new(Arc::clone(&engine.mem));
        let generation = engine.blocks.generation();
        EngineVcpu { engine, hart, env, local: vec![None; LOCAL_BLOCKS].into(), generation }
    }

    /// Runs until something needs the operating system.
    pub fn run(&mut self) -> Exit {
        let engine = Arc::clone(&self.engine);
        let tier = engine.config.tier;
        self.update_mode();
        loop {
            if self.hart.cpu().interrupt.swap(0, Ordering::SeqCst) != 0 {
                return Exit::Interrupted;
            }
            let entry = match self.entry() {
                Ok(entry) => entry,
                Err(fault) => return Exit::Fault(fault),
            };
            let compiled = match tier {
                Tier::Interp => false,
                Tier::Jit => entry.compiled.load(Ordering::Acquire) || self.compile(&entry),
                Tier::Tiered => entry.compiled.load(Ordering::Acquire),
            };
            let exit = if compiled { self.run_compiled(&entry) } else { self.interpret(&entry) };
            match exit {
                Exit::Next => {}
                Exit::ModeChange => self.update_mode(),
                Exit::InsnFence => engine.insn_fence(),
                other => return other,
            }
        }
    }

    fn update_mode(&mut self) {
        let mode = self.engine.guest.mode(self.hart.cpu());
        self.hart.cpu_mut().mode = mode;
    }

    /// The block at the current pc.
    fn entry(&mut self) -> Result<Arc<Entry>, Fault> {
        let generation = self.engine.blocks.generation();
        if generation != self.generation {
            self.local.fill(None);
            self.generation = generation;
        }
        let cpu = self.hart.cpu();
        let key = BlockKey { pc: cpu.pc, mode: cpu.mode };
        let slot = (key.pc >> 1) as usize & (LOCAL_BLOCKS - 1);
        if let Some(entry) = &self.local[slot]
            && entry.block.key == key
        {
            return Ok(Arc::clone(entry));
        }
        let entry = self.engine.block(key.pc, key.mode)?;
        self.local[slot] = Some(Arc::clone(&entry));
        Ok(entry)
    }

    /// Compiles the block's region at once.
    fn compile(&self, entry: &Entry) -> bool {
        let compiled = self.engine.compile_now(entry.block.key);
        entry.compiled.store(compiled, Ordering::Release);
        compiled
    }

    fn interpret(&mut self, entry: &Entry) -> Exit {
        let runs = entry.runs.fetch_add(1, Ordering::Relaxed) + 1;
        if runs == self.engine.config.threshold && self.engine.config.tier == Tier::Tiered {
            self.engine.request(entry.block.key);
        }
        emu_interp::run(&entry.code, self.hart.cpu_mut(), &mut self.env)
    }

    /// Runs compiled code; the block itself if it turns out that there is none.
    fn run_compiled(&mut self, entry: &Entry) -> Exit {
        let (hart, env) = (&mut self.hart, &mut self.env);
        let Some(exit) = fault::with_engine(&self.engine, || hart.run(env)) else {
            entry.compiled.store(false, Ordering::Relaxed);
            entry.runs.store(0, Ordering::Relaxed);
            return self.interpret(entry);
        };
        match exit {
            ExitCode::Next | ExitCode::Budget => Exit::Next,
            ExitCode::ModeChange => Exit::ModeChange,
            ExitCode::Syscall => Exit::Syscall { insn: self.hart.context().exit_aux },
            // The flag is still set: the loop sees it.
            ExitCode::Interrupted => Exit::Next,
            ExitCode::Interpret => match self.entry() {
                Ok(entry) => emu_interp::run(&entry.code, self.hart.cpu_mut(), &mut self.env),
                Err(fault) => Exit::Fault(fault),
            },
            ExitCode::ImpreciseFault => match self.hart.context().fault.take() {
                Some(fault) => Exit::Fault(fault),
                None => Exit::Next,
            },
        }
    }
}

impl Drop for EngineVcpu {
    fn drop(&mut self) {
        self.engine.interpreted.fetch_add(self.hart.cpu().insn_count, Ordering::Relaxed);
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
        let engine = Arc::clone(&self.engine);
        let worker = engine.worker.hold();
        let blocks = engine.blocks.lock();
        let code = engine.code().prepare_fork()?;
        let memory = engine.mem.lock_for_fork();
        let in_child = fork();
        drop((memory, blocks));
        if in_child {
            worker.forget();
            code.in_child(self.hart.shared())?;
        }
        Ok(())
    }
}
