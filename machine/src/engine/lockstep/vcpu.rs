//! A hart in lockstep, as an operating system sees it.

use super::pair::{Mismatch, Pair};
use super::{Counts, Divergence, Located, locate};
use crate::engine::Engine;
use crate::engine::turns::Turns;
use emu_backend_jit::{HartShared, JitError};
use emu_ir::{CpuState, Exit};
use std::sync::Arc;

/// Who is called when the engines disagree.
pub trait Judge: Send + Sync {
    /// Says what is to be said, and ends the process.
    fn diverged(&self, divergence: &Divergence) -> !;
}

/// A hart whose code both engines run.
pub struct LockstepVcpu {
    pair: Pair,
    turn: Turn,
    judge: Arc<dyn Judge>,
    /// The segment that has differed, but not when it was searched: where it begins, and how often that has been.
    unrepeated: Option<(u64, u32)>,
}

/// So often a segment may differ, and not when it is searched, before it is reported as it is.
const INSIST_AFTER: u32 = 3;

/// A thread's place among those that take turns.
#[derive(Clone, Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    id: u64,
}

impl Turn {
    pub(super) fn new(turns: Arc<Turns>) -> Turn {
        let id = turns.join();
        Turn { turns, id }
    }

    /// Waits for the turn, unless it is this thread's already.
    pub fn take(&self) {
        self.turns.take(self.id);
    }

    /// Gives it up, if this thread has it: it is about to wait for something else.
    pub fn give_up(&self) {
        self.turns.give_up(self.id);
    }
}

impl LockstepVcpu {
    /// A hart with the registers `cpu`, the first on its memory. `judge` is called at the first divergence.
    ///
    /// # Panics
    /// If the engine is not configured for lockstep.
    pub fn new(engine: Arc<Engine>, cpu: CpuState, judge: Arc<dyn Judge>) -> LockstepVcpu {
        let turn = Turn::new(Arc::clone(&engine.lockstep().turns));
        LockstepVcpu { pair: Pair::new(engine, cpu), turn, judge, unrepeated: None }
    }

    /// Runs until something needs the operating system. The turn is this thread's when it returns, and stays so.
    pub fn run(&mut self) -> Exit {
        self.turn.take();
        self.pair.update_mode();
        let segment = self.pair.lockstep().config.segment;
        loop {
            self.turn.turns.pass(self.turn.id);
            match self.pair.step(segment) {
                Ok(Exit::Next) => {}
                Ok(Exit::ModeChange) => self.pair.update_mode(),
                Ok(Exit::InsnFence) => self.pair.engine.insn_fence(),
                Ok(exit) => return exit,
                Err(mismatch) => self.judge(*mismatch),
            }
        }
    }

    /// A segment came out different: comes back only if it does not again.
    fn judge(&mut self, mismatch: Mismatch) {
        let start = mismatch.start.insn_count;
        self.unrepeated =
            self.unrepeated.filter(|(at, _)| *at == start).map(|(at, times)| (at, times + 1)).or(Some((start, 0)));
        let insist = self.unrepeated.is_some_and(|(_, times)| times >= INSIST_AFTER);
        match locate::locate(&mut self.pair, mismatch, insist) {
            Located::Here(divergence) => self.judge.diverged(&divergence),
            Located::Nowhere => Counts::add(&self.pair.lockstep().counts.unrepeated, 1),
        }
    }

    /// The registers.
    pub fn cpu(&self) -> &CpuState {
        self.pair.hart.cpu()
    }

    /// The registers, to be changed.
    pub fn cpu_mut(&mut self) -> &mut CpuState {
        self.pair.hart.cpu_mut()
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.pair.engine
    }

    /// What other threads and signal handlers may know of the hart.
    pub fn shared(&self) -> &Arc<HartShared> {
        self.pair.hart.shared()
    }

    /// The hart's place among those that take turns.
    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Another hart on the same memory with the same registers.
    pub fn clone_for_thread(&self) -> LockstepVcpu {
        let mut cpu = self.cpu().clone();
        cpu.insn_count = 0;
        LockstepVcpu {
            pair: Pair::new(Arc::clone(self.engine()), cpu),
            turn: Turn::new(Arc::clone(&self.turn.turns)),
            judge: Arc::clone(&self.judge),
            unrepeated: None,
        }
    }

    /// As [`crate::engine::EngineVcpu::fork`]; in the child nothing has been compared yet.
    ///
    /// # Errors
    /// As there.
    pub fn fork(&mut self, fork: &mut dyn FnMut() -> bool) -> Result<(), JitError> {
        let engine = Arc::clone(&self.pair.engine);
        self.turn.turns.fork(Some(self.turn.id), || {
            let mut in_child = false;
            let result = engine.fork(self.pair.hart.shared(), &mut || {
                in_child = fork();
                in_child
            });
            if in_child {
                engine.lockstep().counts.take();
            }
            (in_child, result)
        })
    }
}

impl Drop for LockstepVcpu {
    fn drop(&mut self) {
        self.turn.turns.leave(self.turn.id, || {});
    }
}
