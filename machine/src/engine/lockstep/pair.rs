//! One hart run twice: a segment by compiled code, undone, and the same instructions by the interpreter.

use super::env::LockstepEnv;
use super::journal::MemoryDiff;
use super::{Counts, Lockstep};
use crate::engine::vcpu::{LocalBlocks, interpret};
use crate::engine::{Engine, Entry, Tier, fault};
use emu_backend_jit::{ExitCode, HOT_PERIOD, Hart, LastFault};
use emu_ir::opt::is_part_of_access;
use emu_ir::{AccessKind, BlockKey, CpuState, Exit, Fault, SPARE_SLOT};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Registers below this are the guest's; the others are the engines' own.
pub(super) const GUEST_SLOTS: usize = SPARE_SLOT.0 as usize;

/// A hart that runs in lockstep.
pub(super) struct Pair {
    pub(super) engine: Arc<Engine>,
    pub(super) hart: Hart,
    pub(super) env: LockstepEnv,
    blocks: LocalBlocks,
    plain: LocalBlocks,
    /// Addresses of the instructions that the interpreter's blocks begin with, if somebody wants to know.
    pub(super) trace: Option<Vec<u64>>,
    /// Instructions of a block that reports show, if it is known already.
    pub(super) shown: Option<u64>,
}

/// Why the compiled run of a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At a block that is to be run later, or not by compiled code.
    Here,
    /// Compiled code leaves an instruction to the interpreter; `refused` because the environment wants it so.
    Interpreter {
        /// It was an access that is not compared.
        refused: bool,
    },
    /// As the guest's code says.
    Exit(Exit),
    /// A memory fault; `exact` if the registers of a checkpoint before it are known.
    Fault {
        /// The fault.
        fault: LastFault,
        /// Are they?
        exact: bool,
    },
}

/// A segment whose two runs have come out different. Memory is as the interpreter has left it.
#[derive(Clone, Debug)]
pub(super) struct Mismatch {
    pub(super) start: CpuState,
    pub(super) stop: Stop,
    pub(super) compiled: CpuState,
    pub(super) interpreted: CpuState,
    pub(super) exit: Exit,
    pub(super) memory: Vec<MemoryDiff>,
}

impl Mismatch {
    /// `insn_count` where the interpreter should have stopped.
    pub(super) fn end(&self) -> u64 {
        match self.stop {
            Stop::Fault { fault, .. } => fault.counted,
            Stop::Exit(Exit::Trap(_)) => self.compiled.insn_count + 1,
            _ => self.compiled.insn_count,
        }
    }
}

impl Pair {
    pub(super) fn new(engine: Arc<Engine>, cpu: CpuState) -> Pair {
        let base = engine.mem.base() as u64;
        let hart = Hart::new(Arc::clone(engine.code()), Arc::clone(&engine.guest), base, cpu);
        let (env, trace) = (LockstepEnv::new(&engine.mem), None);
        let blocks = LocalBlocks::new(Tier::Interp);
        let plain = LocalBlocks::new(Tier::Interp);
        Pair { engine, hart, env, blocks, plain, trace, shown: None }
    }

    pub(super) fn lockstep(&self) -> &Lockstep {
        self.engine.lockstep()
    }

    fn counts(&self) -> &Counts {
        &self.lockstep().counts
    }

    /// Sets the registers. The interrupt flag, which signal handlers set, is not among them.
    pub(super) fn set_cpu(&mut self, new: &CpuState) {
        let cpu = self.hart.cpu_mut();
        (cpu.slots, cpu.pc, cpu.insn_count, cpu.mode) = (new.slots, new.pc, new.insn_count, new.mode);
        (cpu.reservation_addr, cpu.reservation_value) = (new.reservation_addr, new.reservation_value);
        cpu.reservation_for = new.reservation_for;
        (cpu.fp_flags, cpu.fp_round) = (new.fp_flags, new.fp_round);
    }

    pub(super) fn update_mode(&mut self) {
        let mode = self.engine.guest.mode(self.hart.cpu());
        self.hart.cpu_mut().mode = mode;
    }

    /// Runs a segment of some `limit` instructions both ways, or a cold block by the interpreter alone.
    pub(super) fn step(&mut self, limit: u64) -> Result<Exit, Box<Mismatch>> {
        if self.hart.cpu().interrupt.load(Ordering::Relaxed) != 0 {
            self.hart.cpu().interrupt.store(0, Ordering::SeqCst);
            return Ok(Exit::Interrupted);
        }
        if self.env.look_for_shared(self.engine.lockstep().is_wary()) {
            self.engine.announce();
        }
        match self.is_ready() {
            Err(fault) => Ok(Exit::Fault(fault)),
            Ok(false) if self.needs_window() => Ok(self.run_alone()),
            Ok(false) => Ok(self.run_cold()),
            Ok(true) => self.segment(limit),
        }
    }

    /// Is there compiled code for the block at the current pc, or can there be?
    fn is_ready(&mut self) -> Result<bool, Fault> {
        let entry = self.blocks.find(self.hart.cpu(), |key| self.engine.block(key))?;
        Ok(!entry.needs_window() && (entry.is_compiled() || self.engine.compile_in_lockstep(entry)))
    }

    fn needs_window(&mut self) -> bool {
        let entry = self.blocks.find(self.hart.cpu(), |key| self.engine.block(key));
        entry.is_ok_and(Entry::needs_window)
    }

    /// The interpreter runs what nobody may come between. No other thread does: this one has the turn.
    fn run_alone(&mut self) -> Exit {
        let before = self.hart.cpu().insn_count;
        let exit = self.engine.run_alone(self.hart.cpu_mut(), &mut self.env.user, u64::MAX, true);
        Counts::add(&self.counts().apart, self.hart.cpu().insn_count - before);
        exit
    }

    /// The interpreter alone, as the tiered engine does with what is not hot.
    fn run_cold(&mut self) -> Exit {
        let before = self.hart.cpu().insn_count;
        let exit = match self.blocks.find(self.hart.cpu(), |key| self.engine.block(key)) {
            Ok(entry) => interpret(&self.engine, entry, self.hart.cpu_mut(), &mut self.env.user),
            Err(fault) => return Exit::Fault(fault),
        };
        Counts::add(&self.counts().cold, self.hart.cpu().insn_count - before);
        exit
    }

    /// Runs a segment of some `limit` instructions both ways.
    fn segment(&mut self, limit: u64) -> Result<Exit, Box<Mismatch>> {
        let (stop, exit, start) = self.compare(limit)?;
        let cpu = self.hart.cpu();
        Counts::add(&self.counts().compared, cpu.insn_count - start);
        Counts::add(&self.counts().segments, 1);
        Ok(match stop {
            Stop::Here => Exit::Next,
            Stop::Exit(_) | Stop::Fault { .. } => exit,
            Stop::Interpreter { refused } => self.run_apart(refused),
        })
    }

    /// What compiled code leaves to the interpreter, without a comparison: the one instruction that it may not run, or
    /// the rest of the block, as the engine does.
    fn run_apart(&mut self, refused: bool) -> Exit {
        let before = self.hart.cpu().insn_count;
        let entry = self.plain.find(self.hart.cpu(), |key| self.engine.plain_block(key));
        let exit = match entry.and_then(|entry| Ok((entry, self.engine.interpreter_code(entry)?))) {
            Ok((entry, code)) => {
                // The instruction in a delay slot is run by its branch.
                let insns = if refused { 1 + u32::from(has_slot(entry)) } else { u32::MAX };
                emu_interp::run_limited(code, self.hart.cpu_mut(), &mut self.env.user, insns)
            }
            Err(fault) => return Exit::Fault(fault),
        };
        Counts::add(&self.counts().apart, self.hart.cpu().insn_count - before);
        if exit == Exit::Budget { Exit::Next } else { exit }
    }

    /// The two runs and their comparison: why each ended, and how many instructions there had been before. If they agree,
    /// the interpreter's is what remains.
    pub(super) fn compare(&mut self, limit: u64) -> Result<(Stop, Exit, u64), Box<Mismatch>> {
        let start = self.hart.cpu().clone();
        self.env.begin_compiled();
        self.hart.limit(usize::try_from(limit).unwrap_or(usize::MAX));
        let ready = self.is_ready() == Ok(true);
        let stop = if ready { self.run_compiled(start.insn_count + limit) } else { Stop::Here };
        let compiled = self.hart.cpu().clone();
        self.set_cpu(&start);
        self.env.begin_interpreted(self.hart.stores());
        let (exit, mut same) = self.run_interpreted(stop, &compiled);
        let memory = self.env.differences();
        same &= memory.is_empty();
        if same {
            return Ok((stop, exit, start.insn_count));
        }
        let interpreted = self.hart.cpu().clone();
        Err(Box::new(Mismatch { start, stop, compiled, interpreted, exit, memory }))
    }

    /// Compiled code, until it has to be left for something that is not compiled code, or to about `limit`.
    fn run_compiled(&mut self, limit: u64) -> Stop {
        self.hart.context().last_fault = None;
        loop {
            let (hart, env) = (&mut self.hart, &mut self.env);
            let Some(exit) = fault::with_engine(&self.engine, || hart.run(env)) else {
                if let Ok(entry) = self.blocks.find(self.hart.cpu(), |key| self.engine.block(key)) {
                    entry.forget_compiled();
                }
                return Stop::Here;
            };
            if let Some(jump) = self.hart.context().take_sample() {
                self.engine.note_jump(self.hart.cpu(), jump);
            }
            let fault = self.hart.context().last_fault;
            match (exit, fault) {
                (ExitCode::Hot, _) => self.count_quick_runs(),
                (ExitCode::Next, _) if self.hart.cpu().insn_count < limit && self.is_ready() == Ok(true) => {}
                (ExitCode::Next | ExitCode::Budget | ExitCode::Interrupted, _) => return Stop::Here,
                (ExitCode::ImpreciseFault, Some(fault)) => return Stop::Fault { fault, exact: false },
                (ExitCode::Interpret, Some(fault)) => return Stop::Fault { fault, exact: true },
                (ExitCode::Interpret | ExitCode::ImpreciseFault, _) => {
                    return Stop::Interpreter { refused: self.env.refused };
                }
                (ExitCode::Syscall, _) => {
                    return Stop::Exit(Exit::Syscall { insn: self.hart.context().exit_aux });
                }
                (ExitCode::ModeChange, _) => return Stop::Exit(Exit::ModeChange),
                (ExitCode::Trap, _) => {
                    return Stop::Exit(self.hart.context().trap.take().map_or(Exit::Next, Exit::Trap));
                }
            }
        }
    }

    /// The quick code at the pc has run for a period: what has become hot is compiled at once.
    fn count_quick_runs(&mut self) {
        let pc = self.hart.cpu().pc;
        self.hart.context().restart_countdown(pc, HOT_PERIOD);
        let entry = self.blocks.find(self.hart.cpu(), |key| self.engine.block(key));
        let Some(entry) = entry.ok().filter(|_| self.engine.lockstep().only.is_none()) else { return };
        if entry.may_become_run(self.engine.config.run) {
            self.engine.compile_run(entry);
        }
        if entry.count_runs(HOT_PERIOD, self.engine.config.threshold) {
            self.engine.compile_entry(entry);
        }
    }

    /// The interpreter, as far as compiled code came. Returns why it stopped, and whether that and its registers are as
    /// in compiled code.
    fn run_interpreted(&mut self, stop: Stop, compiled: &CpuState) -> (Exit, bool) {
        match stop {
            Stop::Here | Stop::Interpreter { .. } => {
                let exit = self.interpret_to(compiled.insn_count);
                let same = exit == Exit::Budget
                    && (same_registers(self.hart.cpu(), compiled)
                        || stop != Stop::Here && self.is_same_after_branch(compiled));
                (exit, same)
            }
            Stop::Exit(expected) => {
                // An instruction that traps is not retired.
                let trapped = u64::from(matches!(expected, Exit::Trap(_)));
                let exit = self.interpret_to(compiled.insn_count + trapped);
                (exit, exit == expected && same_registers(self.hart.cpu(), compiled))
            }
            Stop::Fault { fault, exact } => {
                let exit = if exact { self.interpret_to(compiled.insn_count) } else { Exit::Budget };
                // Flags are raised for good: at the checkpoint they are those of the fault, up to which all runs again.
                let checkpoint = CpuState { fp_flags: self.hart.cpu().fp_flags, ..compiled.clone() };
                let agree =
                    !exact || same_registers(self.hart.cpu(), &checkpoint) || self.is_same_after_branch(&checkpoint);
                if exit != Exit::Budget || !agree {
                    return (exit, false);
                }
                let same_flags = |cpu: &CpuState| !exact || cpu.fp_flags == compiled.fp_flags;
                if self.accesses_part(fault.pc) {
                    let exit = self.interpret_to(fault.counted + COMBINED_INSNS);
                    let is_near = matches!(exit, Exit::Fault(found) if is_near_fault(fault.fault, found));
                    // Others of the bytes may have been stored.
                    self.env.unsure = is_near.then_some(fault.fault.addr);
                    return (exit, is_near && same_flags(self.hart.cpu()));
                }
                let exit = self.interpret_to(fault.counted);
                let same_fault = matches!(exit, Exit::Fault(found) if is_same_fault(fault.fault, found));
                (exit, same_fault && same_flags(self.hart.cpu()) && self.hart.cpu().pc == fault.pc)
            }
        }
    }

    /// Does the instruction there access what compiled code may have accessed together with more ([`emu_ir::opt::combine_accesses`])?
    fn accesses_part(&self, pc: u64) -> bool {
        let Ok(entry) = self.engine.plain_block(BlockKey { pc, mode: self.hart.cpu().mode }) else { return false };
        let Some(block) = entry.block() else { return false };
        let end = block.marks.get(1).map_or(block.insts.len(), |next| next.first as usize);
        block.insts[..end].iter().any(|inst| is_part_of_access(&block, inst))
    }

    /// Has compiled code stopped before the instruction in a delay slot, when the branch had written its link already? Both run
    /// again from there: the interpreter keeps the link, and the count of what came before the branch.
    fn is_same_after_branch(&mut self, compiled: &CpuState) -> bool {
        let Ok(entry) = self.plain.find(self.hart.cpu(), |key| self.engine.plain_block(key)) else {
            return false;
        };
        if !has_slot(entry) || self.hart.cpu().pc != compiled.pc {
            return false;
        }
        let before = self.hart.cpu().clone();
        let exit = self.interpret_to(before.insn_count + 1);
        self.hart.cpu_mut().insn_count = before.insn_count;
        let same = exit == Exit::Budget && same_registers(self.hart.cpu(), compiled);
        if !same {
            self.set_cpu(&before);
        }
        same
    }

    /// Interprets until so many instructions have been retired (`Budget`), or to the first other exit.
    pub(super) fn interpret_to(&mut self, count: u64) -> Exit {
        loop {
            let done = self.hart.cpu().insn_count;
            if done >= count {
                return Exit::Budget;
            }
            if let Some(trace) = &mut self.trace {
                trace.push(self.hart.cpu().pc);
            }
            let entry = self.plain.find(self.hart.cpu(), |key| self.engine.plain_block(key));
            let code = match entry.and_then(|entry| self.engine.interpreter_code(entry)) {
                Ok(code) => code,
                Err(fault) => return Exit::Fault(fault),
            };
            let left = u32::try_from(count - done).unwrap_or(u32::MAX);
            match emu_interp::run_limited(code, self.hart.cpu_mut(), &mut self.env, left) {
                Exit::Next | Exit::Budget => {}
                other => return other,
            }
        }
    }
}

/// Does the block begin with a branch and its delay slot?
fn has_slot(entry: &Entry) -> bool {
    entry.block().is_some_and(|block| matches!(block.marks[..], [branch, slot, ..] if branch.pc == slot.pc))
}

/// Is what compiled code saw the fault that the interpreter found? Code that notes what it overwrites reads before it writes:
/// that it was a write is not seen, and the first byte that cannot be read may come after the first that cannot be written.
fn is_same_fault(compiled: Fault, interpreted: Fault) -> bool {
    let of_note = compiled.access == AccessKind::Read && interpreted.access == AccessKind::Write;
    (compiled.addr, compiled.cause) == (interpreted.addr, interpreted.cause)
        || of_note && compiled.addr.wrapping_sub(interpreted.addr) < 8
}

/// So many guest instructions further on the fault may be that compiled code had with the first of several bytes.
const COMBINED_INSNS: u64 = 64;

/// Is it the fault of one of those bytes? (They may lie on two pages, of which both fault, and at both ends of the address space.)
fn is_near_fault(compiled: Fault, interpreted: Fault) -> bool {
    (compiled.addr as i32).wrapping_sub(interpreted.addr as i32).unsigned_abs() < 8
}

/// Everything that the guest can see of its registers, and the reservation.
pub(super) fn same_registers(a: &CpuState, b: &CpuState) -> bool {
    let reservation = |cpu: &CpuState| {
        let held = cpu.reservation_addr != emu_ir::NO_RESERVATION;
        (cpu.reservation_addr, held.then_some((cpu.reservation_value, cpu.reservation_for)))
    };
    a.slots[..GUEST_SLOTS] == b.slots[..GUEST_SLOTS]
        && (a.pc, a.fp_flags, a.fp_round, a.insn_count) == (b.pc, b.fp_flags, b.fp_round, b.insn_count)
        && reservation(a) == reservation(b)
}
