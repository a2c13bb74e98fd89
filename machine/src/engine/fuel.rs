//! Fuel: a hart runs only as many instructions as it is given (`emu run --fuel`).
//!
//! An instruction takes its unit before it begins and keeps it if it is retired, in every engine; so a run of one thread ends at the
//! same instruction in all of them. Compiled code counts by ways (`CompileOptions::fuel`): where less is left than the longest way to
//! its next stop takes, it leaves, and the interpreter goes on, by the block, and at the very end by a block that is translated
//! to be no longer than what is left.
#![forbid(unsafe_code)]

use super::vcpu::{EngineVcpu, interpret};
use super::window::WINDOW_INSNS;
use super::{Engine, Tier};
use emu_backend_jit::ExitCode;
use emu_ir::Exit;
use std::sync::Arc;

/// Where fuel comes from: all harts of a run share it.
pub trait FuelSource: Send + Sync {
    /// Takes some units, to be used or given back; 0 if there are none.
    fn take(&self) -> u64;
    /// Gives units back.
    fn give_back(&self, units: u64);
}

/// A hart's fuel.
pub(super) struct Tank {
    source: Arc<dyn FuelSource>,
    /// `insn_count` when it will be empty.
    limit: u64,
    /// Instructions that the interpreter has run.
    interpreted: u64,
}

/// How the interpreter comes to run a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There is no code for it.
    Cold,
    /// Its code has left an instruction to the interpreter, or the fuel is short.
    Left,
}

impl Engine {
    /// Harts that are made from now on take their fuel from `source`. Nothing may have been compiled yet.
    pub fn set_fuel(&self, source: Arc<dyn FuelSource>) {
        // Set once, before the first hart is made.
        let _ = self.fuel.set(source);
    }
}

impl Tank {
    /// An empty one, if the engine runs on fuel.
    pub(super) fn of(engine: &Engine) -> Option<Tank> {
        engine.fuel.get().map(|source| Tank { source: Arc::clone(source), limit: 0, interpreted: 0 })
    }

    /// What the interpreter has run.
    pub(super) fn interpreted(&self) -> u64 {
        self.interpreted
    }
}

impl EngineVcpu {
    /// As [`EngineVcpu::step`], on fuel.
    pub(super) fn step_on_fuel(&mut self) -> Exit {
        if self.takes_interrupt() {
            return Exit::Interrupted;
        }
        if self.left() == 0 && !self.refuel() {
            return Exit::Budget;
        }
        if self.engine.config.tier == Tier::Interp {
            return self.interpret_on_fuel(Why::Cold);
        }
        match self.run_or_compile() {
            Err(fault) => Exit::Fault(fault),
            Ok(None) => self.interpret_on_fuel(Why::Cold),
            Ok(Some(ExitCode::Budget)) if self.refuel() => Exit::Next,
            Ok(Some(ExitCode::Budget | ExitCode::Interpret)) => self.interpret_on_fuel(Why::Left),
            Ok(Some(exit)) => self.after_code(exit),
        }
    }

    /// Gives back what was not used: while a hart waits or has ended, others can use it.
    pub(super) fn give_fuel_back(&mut self) {
        let (left, used) = (self.left(), self.hart.cpu().insn_count);
        if let Some(tank) = &mut self.tank {
            tank.source.give_back(left);
            tank.limit = used;
        }
    }

    /// Units that are left.
    fn left(&self) -> u64 {
        self.tank.as_ref().map_or(0, |tank| tank.limit - self.hart.cpu().insn_count)
    }

    /// Takes more units; were there any?
    fn refuel(&mut self) -> bool {
        let Some(tank) = &mut self.tank else { return false };
        let more = tank.source.take();
        tank.limit += more;
        self.hart.set_fuel(tank.limit);
        more > 0
    }

    /// Interprets a block, or as much of it as there is fuel for.
    fn interpret_on_fuel(&mut self, why: Why) -> Exit {
        let before = self.hart.cpu().insn_count;
        let exit = self.interpret_what_fits(why);
        if let Some(tank) = &mut self.tank {
            tank.interpreted += self.hart.cpu().insn_count - before;
        }
        exit
    }

    fn interpret_what_fits(&mut self, why: Why) -> Exit {
        let (insns, needs_window) = {
            let entry = self.local.find(self.hart.cpu(), |key| self.engine.block(key));
            match entry.and_then(|entry| Ok((entry, self.engine.interpreter_code(entry)?))) {
                Ok((entry, code)) => (u64::from(code.insn_count()), entry.needs_window()),
                Err(fault) => return Exit::Fault(fault),
            }
        };
        let wanted = if needs_window { WINDOW_INSNS } else { insns };
        while self.left() < wanted && self.refuel() {}
        if needs_window && self.left() >= insns {
            return self.run_in_window(self.left());
        }
        if self.left() < insns {
            let left = self.left();
            return self.engine.interpret_exactly(self.hart.cpu_mut(), &mut self.env, left);
        }
        match (why, self.local.find(self.hart.cpu(), |key| self.engine.block(key))) {
            (Why::Cold, Ok(entry)) => interpret(&self.engine, entry, self.hart.cpu_mut(), &mut self.env),
            (Why::Left, Ok(entry)) => match self.engine.interpreter_code(entry) {
                Ok(code) => emu_interp::run(code, self.hart.cpu_mut(), &mut self.env),
                Err(fault) => Exit::Fault(fault),
            },
            (_, Err(fault)) => Exit::Fault(fault),
        }
    }
}
