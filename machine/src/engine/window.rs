//! Exclusive windows: a hard sequence of load-reserved and store-conditional ([`emu_ir::reserve`]) is run while no other hart runs.
//!
//! A hart that comes to one opens a window: it interrupts the others and waits until each has left guest code. One that waits for the
//! operating system has; it does not come back while the window is open. Then the interpreter runs the sequence, [`WINDOW_INSNS`] instructions at most,
//! and what is left of the reservation ends with the window. So a short sequence is atomic, and a long one fails at its store-conditional.
//!
//! A hart waits for a window only when it is about to run guest code or to open another, and counts as outside while it does: whoever has the window
//! waits for nobody who waits for it. What a stopped process may keep waiting has [`WINDOW_PATIENCE`]; then the sequence fails.
#![forbid(unsafe_code)]

use super::Engine;
use super::blocks::WatchedFetch;
use super::entry::Entry;
use super::turns::Turns;
use super::vcpu::EngineVcpu;
use crate::mem::UserEnv;
use emu_backend_jit::HartShared;
use emu_interp::Code;
use emu_ir::{Block, BlockKey, CpuState, Exit, NO_RESERVATION, ScId};
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Instructions of a window, at most: enough for code that is not optimised, and for a function called in the midst.
pub const WINDOW_INSNS: u64 = 256;

/// How long others may take to stop: they do at once, but for a process that shares memory and is itself stopped, or on a crowded machine.
pub(crate) const WINDOW_PATIENCE: Duration = Duration::from_millis(100);

/// The processes that memory is shared with.
pub trait Neighbours: Send + Sync {
    /// Keeps the window from them, and them from running guest code, until the result is dropped. The calling process's own harts have
    /// stopped. `None` if that took longer than a tenth of a second.
    fn stop(&self) -> Option<Box<dyn Any>>;
    /// This process, whose harts are those, is about to share its memory with a child.
    fn before_fork(&self, harts: Weak<dyn Harts>);
    /// This process is a child, whether its parent had memory to share or not.
    fn in_child(&self, harts: Weak<dyn Harts>);
}

/// The harts of a process, for its [`Neighbours`].
pub trait Harts: Send + Sync {
    /// Calls `meanwhile` while no hart runs guest code; false, without having done so, if one does not stop within a tenth of a second.
    fn stop(&self, meanwhile: &mut dyn FnMut()) -> bool;
}

/// The windows of the harts that share memory.
#[derive(Default)]
pub(super) struct Windows {
    /// Who has the window has the turn.
    turns: Turns,
    /// Harts are to stay outside.
    wanted: AtomicBool,
    seats: Mutex<Vec<Arc<Seat>>>,
    opened: AtomicU64,
    neighbours: OnceLock<Arc<dyn Neighbours>>,
}

/// A hart, as the others have to know it.
struct Seat {
    id: u64,
    /// It runs guest code, or may at any time.
    inside: AtomicBool,
    hart: Arc<HartShared>,
}

/// A hart's membership, which ends with this.
pub(super) struct Membership {
    engine: Arc<Engine>,
    seat: Arc<Seat>,
}

impl Windows {
    fn seats(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Takes the turn as `id`, and calls `run` while no other hart runs guest code, as it is told, or if one does not stop.
    fn alone<T>(&self, id: u64, run: impl FnOnce(bool) -> T) -> T {
        self.turns.take(id);
        let end = || {
            self.wanted.store(false, Ordering::SeqCst);
            self.turns.give_up(id);
        };
        if self.stop_others(id) {
            let result = run(true);
            end();
            result
        } else {
            end();
            run(false)
        }
    }

    /// Lets no hart but that of `id` run guest code; false if one does not stop.
    fn stop_others(&self, id: u64) -> bool {
        self.wanted.store(true, Ordering::SeqCst);
        // Whoever comes in after this sees that it is wanted.
        let others: Vec<_> = self.seats().iter().filter(|other| other.id != id).cloned().collect();
        let mut began = None;
        for other in others {
            while other.inside.load(Ordering::SeqCst) {
                other.hart.interrupt();
                std::thread::yield_now();
                if began.get_or_insert_with(Instant::now).elapsed() > WINDOW_PATIENCE {
                    return false;
                }
            }
        }
        true
    }

    /// Calls `fork`, which says whether it is in the child, where the hart `survivor` is the only one and no window is open.
    pub(super) fn fork<T>(&self, survivor: &Arc<HartShared>, fork: impl FnOnce() -> (bool, T)) -> T {
        let mut seats = self.seats();
        let id = seats.iter().find(|seat| Arc::ptr_eq(&seat.hart, survivor)).map(|seat| seat.id);
        let (in_child, result) = self.turns.fork(None, || {
            let (in_child, result) = fork();
            (in_child, (in_child, result))
        });
        if in_child {
            self.wanted.store(false, Ordering::SeqCst);
            seats.retain(|seat| Some(seat.id) == id);
        }
        result
    }
}

impl Membership {
    pub(super) fn new(engine: &Arc<Engine>, hart: &Arc<HartShared>) -> Membership {
        let windows = &engine.windows;
        let seat = Seat { id: windows.turns.join(), inside: AtomicBool::new(false), hart: Arc::clone(hart) };
        let seat = Arc::new(seat);
        windows.seats().push(Arc::clone(&seat));
        Membership { engine: Arc::clone(engine), seat }
    }

    /// The hart is about to run guest code: waits while a window is open.
    #[inline]
    pub(super) fn enter(&self) {
        let windows = &self.engine.windows;
        self.seat.inside.store(true, Ordering::SeqCst);
        while windows.wanted.load(Ordering::SeqCst) {
            self.seat.inside.store(false, Ordering::SeqCst);
            windows.turns.take(self.seat.id);
            windows.turns.give_up(self.seat.id);
            self.seat.inside.store(true, Ordering::SeqCst);
        }
    }

    /// It has left guest code.
    #[inline]
    pub(super) fn leave(&self) {
        self.seat.inside.store(false, Ordering::Release);
    }

    /// Calls `run` while no other hart runs guest code, and says whether that is so.
    fn alone<T>(&self, run: impl FnOnce(bool) -> T) -> T {
        self.leave();
        let result = self.engine.windows.alone(self.seat.id, run);
        self.enter();
        result
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let windows = &self.engine.windows;
        windows.seats().retain(|seat| !Arc::ptr_eq(seat, &self.seat));
        // It may have been a process that shared this memory, and was killed while it had the window.
        windows.turns.leave(self.seat.id, || windows.wanted.store(false, Ordering::SeqCst));
    }
}

impl Harts for Engine {
    fn stop(&self, meanwhile: &mut dyn FnMut()) -> bool {
        if let Some(lockstep) = &self.lockstep {
            lockstep.stop(meanwhile);
            return true;
        }
        let id = self.windows.turns.join();
        self.windows.alone(id, |alone| {
            if alone {
                meanwhile();
            }
            alone
        })
    }
}

impl EngineVcpu {
    /// Runs what begins at the pc in a window, `limit` instructions at most.
    pub(super) fn run_in_window(&mut self, limit: u64) -> Exit {
        let EngineVcpu { engine, hart, env, membership, .. } = self;
        membership.alone(|alone| engine.run_alone(hart.cpu_mut(), env, limit, alone))
    }
}

impl Engine {
    /// Who has to stop for windows on memory that is shared with other processes.
    pub fn set_neighbours(&self, neighbours: Arc<dyn Neighbours>) {
        // Set once, before the first hart is made.
        let _ = self.windows.neighbours.set(neighbours);
    }

    pub(super) fn neighbours(&self) -> Option<&dyn Neighbours> {
        self.windows.neighbours.get().map(|neighbours| &**neighbours)
    }

    /// Interprets the hard sequence that begins at the pc, `limit` instructions at most. No other hart may run guest code; if one does,
    /// as `alone` tells, the sequence fails.
    pub(super) fn run_alone(&self, cpu: &mut CpuState, env: &mut UserEnv, limit: u64, alone: bool) -> Exit {
        self.windows.opened.fetch_add(1, Ordering::Relaxed);
        let (start, limit) = (cpu.insn_count, limit.min(WINDOW_INSNS));
        let (mut exit, _lock) = self.reserve(cpu, env, limit, alone);
        while exit == Exit::Next && holds(cpu) && cpu.insn_count - start < limit {
            let left = limit - (cpu.insn_count - start);
            match self.interpret_part(cpu, env, left) {
                Some(next) => exit = next,
                None => break,
            }
        }
        if holds(cpu) {
            cpu.clear_reservation();
        }
        exit
    }

    /// Runs the load-reserved, or the branch that has it in its slot; those who share what it reserves are stopped from before then on.
    fn reserve(&self, cpu: &mut CpuState, env: &mut UserEnv, limit: u64, alone: bool) -> (Exit, Option<Box<dyn Any>>) {
        let before = cpu.clone();
        let exit = self.interpret_first(cpu, env, limit);
        if !holds(cpu) {
            return (exit, None);
        }
        let shared = self.neighbours().filter(|_| self.mem.is_shared(cpu.reservation_addr));
        let held = match shared {
            Some(neighbours) if alone => neighbours.stop(),
            _ => None,
        };
        if held.is_some() {
            // Read what is there now.
            (cpu.slots, cpu.pc, cpu.insn_count) = (before.slots, before.pc, before.insn_count);
            return (self.interpret_first(cpu, env, limit), held);
        }
        if !alone || shared.is_some() {
            cpu.reservation_for = ScId::NONE;
        }
        (exit, None)
    }

    fn interpret_first(&self, cpu: &mut CpuState, env: &mut UserEnv, limit: u64) -> Exit {
        match self.entry_at(cpu) {
            Ok(entry) => self.interpret_entry(&entry, cpu, env, limit),
            Err(exit) => exit,
        }
    }

    /// Interprets the next block of a window, or what there is room for; `None` if that is nothing, or another window begins there.
    fn interpret_part(&self, cpu: &mut CpuState, env: &mut UserEnv, left: u64) -> Option<Exit> {
        let entry = match self.entry_at(cpu) {
            Ok(entry) => entry,
            Err(exit) => return Some(exit),
        };
        if entry.needs_window() {
            return None;
        }
        match self.interpret_entry(&entry, cpu, env, left) {
            Exit::Budget => None,
            exit => Some(exit),
        }
    }

    fn entry_at(&self, cpu: &CpuState) -> Result<Arc<Entry>, Exit> {
        self.block(BlockKey { pc: cpu.pc, mode: cpu.mode }).map_err(Exit::Fault)
    }

    fn interpret_entry(&self, entry: &Entry, cpu: &mut CpuState, env: &mut UserEnv, left: u64) -> Exit {
        match self.interpreter_code(entry) {
            Ok(code) if u64::from(code.insn_count()) <= left => emu_interp::run(code, cpu, env),
            Ok(_) => self.interpret_exactly(cpu, env, left),
            Err(fault) => Exit::Fault(fault),
        }
    }

    /// Interprets `insns` instructions from the pc on, or fewer. A branch and its delay slot are not taken apart: `Budget` if there is no
    /// room for them.
    pub(super) fn interpret_exactly(&self, cpu: &mut CpuState, env: &mut UserEnv, insns: u64) -> Exit {
        let key = BlockKey { pc: cpu.pc, mode: cpu.mode };
        let mut fetch = WatchedFetch::new(&self.mem);
        match self.guest.translate(key, &mut fetch, usize::try_from(insns).unwrap_or(usize::MAX)) {
            Ok(block) => match whole_insns(&block, insns) {
                0 => Exit::Budget,
                insns => {
                    let code = Code::new(&block, &*self.guest);
                    match emu_interp::run_limited(&code, cpu, env, insns) {
                        Exit::Budget => Exit::Next,
                        exit => exit,
                    }
                }
            },
            Err(fault) => Exit::Fault(fault),
        }
    }
}

/// Is there a reservation of a window?
fn holds(cpu: &CpuState) -> bool {
    cpu.reservation_addr != NO_RESERVATION && cpu.reservation_for.is_any()
}

/// How many of the block's instructions can be run with room for `insns`, without a branch whose slot is one too many.
fn whole_insns(block: &Block, insns: u64) -> u32 {
    let marks = &block.marks;
    let most = marks.len().min(usize::try_from(insns).unwrap_or(usize::MAX));
    let cuts_slot = marks.get(most).is_some_and(|next| most > 0 && next.pc == marks[most - 1].pc);
    (most - usize::from(cuts_slot)) as u32
}
