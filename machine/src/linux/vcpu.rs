//! The contract with the engine.

use super::errno::Errno;
use super::host::Interrupt;
use crate::engine::EngineVcpu;
use crate::engine::lockstep::{LockstepVcpu, Turn};
use crate::mem::CodeWatch;
use emu_backend_jit::HartShared;
use emu_ir::{CpuState, Exit};
use std::ops::Range;
use std::sync::Arc;

/// A hart and the engine that runs it.
pub trait Vcpu: Send {
    /// The registers.
    fn cpu(&self) -> &CpuState;
    /// The registers, to be changed.
    fn cpu_mut(&mut self) -> &mut CpuState;
    /// Runs guest code until something needs the operating system.
    fn run(&mut self) -> Exit;
    /// Another hart on the same memory with the same registers.
    fn clone_for_thread(&self) -> Box<dyn Vcpu>;
    /// Sets this hart's interrupt flag; usable from signal handlers.
    fn interrupter(&self) -> Arc<dyn Interrupt>;
    /// The guest can look at the registers of a fault from now on.
    fn set_precise(&mut self);
    /// Forgets the translations of a range, or of all memory that can have changed unseen.
    fn invalidate_code(&mut self, range: Option<Range<u64>>);
    /// Calls `fork`, which forks the process and says whether it is in the child, while no thread of the engine or of
    /// guest memory is in the middle of a change. In the child this hart is the only one left.
    ///
    /// # Errors
    /// If the engine cannot; nothing has been forked then.
    fn fork(&mut self, fork: &mut dyn FnMut() -> bool) -> Result<(), Errno>;
}

impl Interrupt for HartShared {
    fn interrupt(&self) {
        HartShared::interrupt(self);
    }
}

impl Vcpu for EngineVcpu {
    fn cpu(&self) -> &CpuState {
        EngineVcpu::cpu(self)
    }

    fn cpu_mut(&mut self) -> &mut CpuState {
        EngineVcpu::cpu_mut(self)
    }

    fn run(&mut self) -> Exit {
        EngineVcpu::run(self)
    }

    fn clone_for_thread(&self) -> Box<dyn Vcpu> {
        Box::new(EngineVcpu::clone_for_thread(self))
    }

    fn interrupter(&self) -> Arc<dyn Interrupt> {
        Arc::clone(self.shared()) as Arc<dyn Interrupt>
    }

    fn set_precise(&mut self) {
        self.engine().set_precise();
    }

    fn invalidate_code(&mut self, range: Option<Range<u64>>) {
        match range {
            Some(range) => self.engine().invalidate(range),
            None => self.engine().insn_fence(),
        }
    }

    fn fork(&mut self, fork: &mut dyn FnMut() -> bool) -> Result<(), Errno> {
        EngineVcpu::fork(self, fork).map_err(|_| Errno::ENOMEM)
    }
}

/// The hart's flag, and its turn.
struct LockstepInterrupt {
    hart: Arc<HartShared>,
    turn: Turn,
}

impl Interrupt for LockstepInterrupt {
    fn interrupt(&self) {
        self.hart.interrupt();
    }

    fn begin_wait(&self) {
        self.turn.give_up();
    }

    fn end_wait(&self) {
        self.turn.take();
    }
}

impl Vcpu for LockstepVcpu {
    fn cpu(&self) -> &CpuState {
        LockstepVcpu::cpu(self)
    }

    fn cpu_mut(&mut self) -> &mut CpuState {
        LockstepVcpu::cpu_mut(self)
    }

    fn run(&mut self) -> Exit {
        LockstepVcpu::run(self)
    }

    fn clone_for_thread(&self) -> Box<dyn Vcpu> {
        Box::new(LockstepVcpu::clone_for_thread(self))
    }

    fn interrupter(&self) -> Arc<dyn Interrupt> {
        Arc::new(LockstepInterrupt { hart: Arc::clone(self.shared()), turn: self.turn().clone() })
    }

    fn set_precise(&mut self) {
        self.engine().set_precise();
    }

    fn invalidate_code(&mut self, range: Option<Range<u64>>) {
        match range {
            Some(range) => self.engine().invalidate(range),
            None => self.engine().insn_fence(),
        }
    }

    fn fork(&mut self, fork: &mut dyn FnMut() -> bool) -> Result<(), Errno> {
        LockstepVcpu::fork(self, fork).map_err(|_| Errno::ENOMEM)
    }
}
