//! How often compiled code was left, and why: for `--stats`.

use emu_backend_jit::ExitCode;
use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

const KINDS: usize = 8;

/// Exits from compiled code by kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exits {
    /// To code that the exit was not linked with yet.
    pub unlinked: u64,
    /// Computed jumps to what the hart's jump cache did not hold.
    pub computed: u64,
    /// For system calls.
    pub syscalls: u64,
    /// For the interpreter: rare instructions, traps, faults.
    pub interpreter: u64,
    /// Because of an interruption.
    pub interrupted: u64,
    /// Quick code that had run for another period.
    pub counted: u64,
    /// Changes of the rounding mode and the like.
    pub mode_changes: u64,
    /// Computed jumps that were noted for what will be compiled.
    pub sampled: u64,
}

impl Exits {
    /// Adds one; `linkable` if the exit names a slot that wants to be linked.
    #[inline]
    pub(super) fn count(&mut self, exit: ExitCode, linkable: bool) {
        let number = match exit {
            ExitCode::Next if linkable => &mut self.unlinked,
            ExitCode::Next => &mut self.computed,
            ExitCode::Syscall => &mut self.syscalls,
            ExitCode::Interpret | ExitCode::ImpreciseFault | ExitCode::Trap => &mut self.interpreter,
            ExitCode::Interrupted | ExitCode::Budget => &mut self.interrupted,
            ExitCode::Hot => &mut self.counted,
            ExitCode::ModeChange => &mut self.mode_changes,
        };
        *number += 1;
    }

    fn numbers(&self) -> [u64; KINDS] {
        let Exits { unlinked, computed, syscalls, interpreter, interrupted, counted, mode_changes, sampled } = *self;
        [unlinked, computed, syscalls, interpreter, interrupted, counted, mode_changes, sampled]
    }
}

/// The sums over all harts.
#[derive(Debug)]
pub(super) struct ExitSums([AtomicU64; KINDS]);

impl Default for ExitSums {
    fn default() -> Self {
        ExitSums(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl ExitSums {
    pub(super) fn add(&self, exits: &Exits) {
        for (sum, more) in self.0.iter().zip(exits.numbers()).filter(|(_, more)| *more > 0) {
            sum.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> Exits {
        let [unlinked, computed, syscalls, interpreter, interrupted, counted, mode_changes, sampled] =
            array::from_fn(|i| self.0[i].load(Ordering::Relaxed));
        Exits { unlinked, computed, syscalls, interpreter, interrupted, counted, mode_changes, sampled }
    }
}
