//! The memory that compiled code works on.

use crate::baseline::StubAddresses;
use crate::link::QUICK_ENTRY;
use emu_ir::{CpuState, Env, Fault, HelperDef, Trap};
use std::mem::offset_of;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Entries of the per-hart cache of indirect jump targets (a power of two).
pub(crate) const JUMP_CACHE: usize = 32768;

/// Runs of quick code, whichever block's, until it tells the machine for the first time which block is running. A prime, so that each
/// block of a loop is met in its turn.
pub const HOT_PERIOD: u32 = 4093;

/// `Context::jumped_from` before a jump: no instruction is at an odd address.
pub(crate) const NO_JUMP: u32 = 1;

/// MXCSR with all exceptions masked, no flag raised, rounding to nearest: what Rust code runs with.
pub(crate) const DEFAULT_MXCSR: u32 = 0x1f80;

/// Why compiled code returned; the value of `Context::exit_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExitCode {
    /// Go on at `cpu.pc`; `link` may name a slot that wants the code found there.
    Next = 0,
    /// A system call; `cpu.pc` is after it, `exit_aux` at it.
    Syscall = 1,
    /// Let the interpreter run from `cpu.pc`: a trap, a rare instruction, or a fault to be found again.
    Interpret = 2,
    /// `cpu.interrupt` was seen. Registers may be old that the guest is about to overwrite: [`Context::take_stale`].
    Interrupted = 3,
    /// `cpu.insn_count` would pass `insn_limit` (in code that counts).
    Budget = 4,
    /// A memory fault in code without precise state: `cpu.pc` is exact, the registers are not.
    ImpreciseFault = 5,
    /// `cpu.mode` must be computed anew; `cpu.pc` is after the instruction.
    ModeChange = 6,
    /// Quick code has run [`HOT_PERIOD`] times, or as often as [`Context::restart_countdown`] was told: the last time that at `cpu.pc`,
    /// which stands for all of them.
    Hot = 7,
    /// A helper raised a trap, for the instruction at `cpu.pc`. It may have written registers: it must not run again.
    Trap = 8,
}

/// A fault in compiled code, as the code saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFault {
    /// What the host made of it.
    pub fault: Fault,
    /// Address of the guest instruction.
    pub pc: u64,
    /// `cpu.insn_count` then: in code that counts, the instructions up to the end of the block.
    pub counted: u64,
}

/// Stores of one guest instruction, at most (MIPS's `SDL` makes one for each byte).
pub(crate) const MAX_STORES: usize = 8;

/// What a store has overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StoreNote {
    /// The host's address.
    pub host: u64,
    /// What was there, zero-extended.
    pub old: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Where the code for guest addresses is: entries of an address and that of its code for who comes from quick code ([`QUICK_ENTRY`]), by
/// [`JumpCache::places`]: in the first of them, or in the second if another has pushed it out of there.
///
/// An entry is empty if its address belongs to another one: nobody who looks there has it. (A guest may jump to an odd
/// address, to fault there.)
pub(crate) struct JumpCache {
    entries: Box<[[u64; 2]]>,
    /// Entries that may not be empty, while they are few.
    filled: Vec<u32>,
}

/// Entries up to which a jump cache is emptied one by one.
const FEW_ENTRIES: usize = 1024;

/// What is in the first entry, and in the others, when they are empty.
const EMPTY_ENTRIES: [[u64; 2]; 2] = [[2, 0], [0, 0]];

/// Bits of a guest address that choose the entry.
pub(crate) const JUMP_MASK: u32 = ((JUMP_CACHE - 1) << 1) as u32;

/// The entry's offset is that part of the address, shifted by so much.
pub(crate) const PLACE_SCALE: u8 = 3;

/// For the second place the address is combined with itself, shifted by so much: addresses with the same first place mostly have another
/// second one.
pub(crate) const PLACE_SHIFT: u8 = 11;

/// What an interrupted hart has for a jump cache: it leaves at its next computed jump.
pub(crate) fn no_entries() -> u64 {
    static EMPTY: OnceLock<JumpCache> = OnceLock::new();
    EMPTY.get_or_init(JumpCache::new).address()
}

impl JumpCache {
    /// An empty one, of memory that the host has not given out yet.
    pub(crate) fn new() -> JumpCache {
        let mut entries = vec![[0; 2]; JUMP_CACHE].into_boxed_slice();
        entries[0] = EMPTY_ENTRIES[0];
        JumpCache { entries, filled: Vec::new() }
    }

    /// Where compiled code finds the entries.
    pub(crate) fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    /// Where compiled code looks for `pc` first, and where if another has that place. Instructions are at least two-byte aligned.
    fn places(pc: u64) -> [usize; 2] {
        [pc, pc ^ pc >> PLACE_SHIFT].map(|bits| (bits as u32 & JUMP_MASK) as usize >> 1)
    }

    fn remember(&mut self, pc: u64, code: u64) {
        let [first, _] = Self::places(pc);
        // Two that are wanted by turns would otherwise push each other out each time.
        let [other, other_code] = self.entries[first];
        let [others_first, others_second] = Self::places(other);
        if other_code != 0 && other != pc && others_first == first && others_second != first {
            self.fill(others_second, [other, other_code]);
        }
        self.fill(first, [pc, code + QUICK_ENTRY]);
    }

    fn fill(&mut self, place: usize, entry: [u64; 2]) {
        if self.filled.len() < FEW_ENTRIES {
            self.filled.push(place as u32);
        }
        self.entries[place] = entry;
    }

    fn recall(&self, pc: u64) -> Option<u64> {
        let entries = Self::places(pc).map(|place| self.entries[place]);
        entries.into_iter().find(|[known, _]| *known == pc).map(|[_, code]| code - QUICK_ENTRY)
    }

    fn forget(&mut self, pc: u64) {
        for place in Self::places(pc) {
            if self.entries[place][0] == pc {
                self.empty(place);
            }
        }
    }

    fn empty(&mut self, place: usize) {
        self.entries[place] = EMPTY_ENTRIES[place.min(1)];
    }

    fn clear(&mut self) {
        let filled = std::mem::take(&mut self.filled);
        if filled.len() < FEW_ENTRIES {
            filled.iter().for_each(|place| self.empty(*place as usize));
        } else {
            self.entries.fill(EMPTY_ENTRIES[1]);
            self.empty(0);
        }
    }
}

/// State of one hart, with what compiled code needs beside the guest's registers.
///
/// Compiled code keeps a pointer to it in a register; every field is addressed by a fixed offset.
#[repr(C)]
pub struct Context {
    /// The guest's registers.
    pub cpu: CpuState,
    /// Host address of guest address 0.
    pub mem_base: u64,
    /// Where confined accesses go that would lead further ([`crate::CompileOptions::confine`]).
    pub(crate) confined_last: u64,
    /// The slot that compiled code left through, or 0.
    pub(crate) link: u64,
    pub(crate) exit_kind: u32,
    /// MXCSR while guest code runs.
    pub(crate) mxcsr: u32,
    /// A second word for some exits.
    pub exit_aux: u64,
    /// Code compiled with counting leaves where it can before `cpu.insn_count` passes this.
    pub insn_limit: u64,
    /// Host stack pointer at the entry into compiled code; a fault unwinds to it.
    pub(crate) host_sp: u64,
    /// Address of the helper trampoline.
    pub(crate) helper_entry: u64,
    /// Address of the helper trampoline that keeps all registers.
    pub(crate) quiet_helper_entry: u64,
    /// The result of a helper called that way.
    pub(crate) helper_result: u64,
    /// Address of what stores MXCSR.
    pub(crate) store_mxcsr_entry: u64,
    /// Address of what clears its flags.
    pub(crate) clear_flags_entry: u64,
    /// A fault has left MXCSR with an invalid flag that is not the guest's.
    pub(crate) drop_invalid: bool,
    /// What quick code calls.
    pub(crate) quick: StubAddresses,
    /// A helper raised a trap: [`Self::trap`].
    pub(crate) helper_trapped: u32,
    /// Region-relative index of the last checkpointed guest instruction, and where the guest goes on (`analysis::Resume`).
    pub(crate) checkpoint: u32,
    /// `cpu.insn_count` at the checkpoint, in code that counts.
    pub(crate) checkpoint_count: u64,
    /// Where compiled code stores what nobody needs.
    pub(crate) unused: u64,
    /// Is 0; for read-modify-writes that are fences.
    pub(crate) zero: u64,
    /// The lower half of the address of the block whose quick code left last by a computed jump to an address that was not in its first
    /// place: one instruction stores it.
    pub(crate) jumped_from: u32,
    /// Runs that are left until quick code tells, while it does not run; then they are in a register.
    pub(crate) countdown: i32,
    /// The trap behind [`ExitCode::Trap`].
    pub trap: Option<Trap>,
    /// The fault behind [`ExitCode::ImpreciseFault`].
    pub fault: Option<Fault>,
    /// The fault that compiled code was left for last, whether the registers are known there or not.
    pub last_fault: Option<LastFault>,
    /// Address of the place in `stores` for the next note.
    pub(crate) next_store: u64,
    /// Notes of code that makes them; room for [`MAX_STORES`] an instruction, beyond `insn_limit` as far as code may go.
    pub(crate) stores: Vec<StoreNote>,
    pub(crate) jump_cache: JumpCache,
    /// Those of other modes that the hart has been in.
    pub(crate) other_caches: Vec<(u32, JumpCache)>,
    /// Address of the current one's entries, or of none ([`Context::close_jumps`]).
    pub(crate) jump_entries: AtomicU64,
    /// The next computed jump is to be told to the machine.
    pub(crate) samples_jump: bool,
    /// That is where it went, from the block with that address.
    pub(crate) sample: Option<(u64, u64)>,
    pub(crate) env: Option<*mut dyn Env>,
    pub(crate) helpers: *const [HelperDef],
    /// Registers that a region has not written back with [`ExitCode::Interrupted`]: a bit each ([`Context::take_stale`]).
    pub(crate) stale: [u64; 2],
}

/// Compiled code has the address of a context plus this: 32 registers then lie within a signed byte of it, which makes
/// instructions shorter.
pub(crate) const BIAS: i32 = 128;

/// Offsets of the fields that compiled code touches, from the address that it has.
pub(crate) mod offset {
    use super::*;

    pub(crate) const fn slot(index: u16) -> i32 {
        (offset_of!(Context, cpu) + offset_of!(CpuState, slots) + index as usize * 8) as i32 - BIAS
    }

    macro_rules! cpu {
        ($name:ident, $field:ident) => {
            pub(crate) const $name: i32 = (offset_of!(Context, cpu) + offset_of!(CpuState, $field)) as i32 - BIAS;
        };
    }
    macro_rules! own {
        ($name:ident, $field:ident) => {
            pub(crate) const $name: i32 = offset_of!(Context, $field) as i32 - BIAS;
        };
    }
    macro_rules! quick {
        ($name:ident, $field:ident) => {
            pub(crate) const $name: i32 =
                (offset_of!(Context, quick) + offset_of!(StubAddresses, $field)) as i32 - BIAS;
        };
    }
    cpu!(PC, pc);
    cpu!(RESERVATION_ADDR, reservation_addr);
    cpu!(RESERVATION_VALUE, reservation_value);
    cpu!(RESERVATION_FOR, reservation_for);
    cpu!(INSN_COUNT, insn_count);
    cpu!(FP_FLAGS, fp_flags);
    cpu!(FP_ROUND, fp_round);
    cpu!(INTERRUPT, interrupt);
    own!(MEM_BASE, mem_base);
    own!(CONFINED_LAST, confined_last);
    own!(LINK, link);
    own!(MXCSR, mxcsr);
    own!(HOST_SP, host_sp);
    own!(EXIT_KIND, exit_kind);
    own!(EXIT_AUX, exit_aux);
    own!(INSN_LIMIT, insn_limit);
    own!(HELPER_ENTRY, helper_entry);
    own!(QUIET_HELPER_ENTRY, quiet_helper_entry);
    own!(STORE_MXCSR_ENTRY, store_mxcsr_entry);
    own!(CLEAR_FLAGS_ENTRY, clear_flags_entry);
    own!(HELPER_RESULT, helper_result);
    own!(HELPER_TRAPPED, helper_trapped);
    own!(CHECKPOINT, checkpoint);
    own!(CHECKPOINT_COUNT, checkpoint_count);
    own!(UNUSED, unused);
    own!(ZERO, zero);
    own!(COUNTDOWN, countdown);
    own!(JUMPED_FROM, jumped_from);
    own!(NEXT_STORE, next_store);
    own!(JUMP_ENTRIES, jump_entries);
    own!(STALE, stale);
    quick!(FILL_STUB, fill);
    quick!(SPILL_STUB, spill);
    quick!(EXIT_STUB, exit);
    quick!(LEAVE_STUB, leave);
    quick!(LOST_STUB, lost);
}

impl Context {
    /// The registers, a bit for each slot, whose contents have not been written back. On all of its ways the guest writes them before it
    /// reads them and before a system call or the like, a few blocks on: what runs next has to be the interpreter, until that is done.
    pub fn take_stale(&mut self) -> u128 {
        let [low, high] = std::mem::take(&mut self.stale);
        u128::from(high) << 64 | u128::from(low)
    }

    /// Remembers that the code for `pc` is at `code`.
    pub(crate) fn remember(&mut self, pc: u64, code: u64) {
        self.jump_cache.remember(pc, code);
    }

    /// The code for `pc`, if it is remembered.
    pub(crate) fn recall(&self, pc: u64) -> Option<u64> {
        self.jump_cache.recall(pc)
    }

    /// Forgets the code for `pc`, so that it is looked up anew.
    pub(crate) fn forget(&mut self, pc: u64) {
        self.jump_cache.forget(pc);
        self.other_caches.iter_mut().for_each(|(_, cache)| cache.forget(pc));
    }

    /// Forgets all remembered code, as after an invalidation.
    pub fn forget_code(&mut self) {
        self.jump_cache.clear();
        self.other_caches.clear();
    }

    /// From now on code of the mode `to` is remembered. What was of the mode `from` is kept: rounding modes are changed back and forth.
    pub(crate) fn change_mode(&mut self, from: u32, to: u32) {
        let kept = self.other_caches.iter().position(|(mode, _)| *mode == to);
        let next = kept.map_or_else(JumpCache::new, |at| self.other_caches.swap_remove(at).1);
        self.other_caches.push((from, std::mem::replace(&mut self.jump_cache, next)));
    }

    /// Lets compiled code find what the jump cache has, unless the hart is interrupted.
    pub(crate) fn open_jumps(&mut self) {
        let entries = self.jump_cache.address();
        if self.jump_entries.load(Ordering::Relaxed) != entries {
            self.jump_entries.store(entries, Ordering::SeqCst);
            // Who interrupts it sets this first: either it is seen here, or the jumps are closed after they have been opened.
            if self.cpu.interrupt.load(Ordering::SeqCst) != 0 {
                self.close_jumps();
            }
        }
    }

    /// Lets compiled code leave at its next computed jump.
    fn close_jumps(&mut self) {
        self.jump_entries.store(no_entries(), Ordering::SeqCst);
    }

    /// Lets compiled code that is about to be entered leave at its next computed jump if that is to be told.
    pub(crate) fn begin_sample(&mut self) -> bool {
        let samples = std::mem::take(&mut self.samples_jump);
        if samples {
            self.jumped_from = NO_JUMP;
            self.close_jumps();
        }
        samples
    }

    /// It has left by a jump to `cpu.pc`.
    pub(crate) fn end_sample(&mut self) {
        // If it was from further away, nobody finds it.
        let from = self.cpu.pc & !u64::from(u32::MAX) | u64::from(self.jumped_from);
        self.sample = (self.jumped_from != NO_JUMP).then_some((from, self.cpu.pc));
    }

    /// A block whose quick code has made a computed jump, and where it went: a sample for the profile, for each time that the count has
    /// run down, if the next such jump was no region's.
    pub fn take_sample(&mut self) -> Option<(u64, u64)> {
        self.sample.take()
    }

    /// Did quick code leave since it was interrupted, and not since the count had run down?
    pub(crate) fn was_interrupted(&self) -> bool {
        self.countdown >= 0
    }

    /// Lets quick code run so many times, if there is no region for `pc` by now, and has the next computed jump told.
    pub fn restart_countdown(&mut self, pc: u64, runs: u32) {
        self.samples_jump = true;
        self.countdown = runs as i32;
        self.forget(pc);
    }

    /// Sets MXCSR up from the guest's rounding mode, with no flag raised.
    pub(crate) fn load_fp(&mut self) {
        // RISC-V numbers nearest, zero, down, up; x86 nearest, down, up, zero. Other modes never reach
        // inline code: the decoder gives such blocks static rounding.
        let rc = [0, 3, 1, 2].get(self.cpu.fp_round as usize).copied().unwrap_or(0);
        self.mxcsr = DEFAULT_MXCSR | rc << 13;
    }

    /// Moves the flags raised in MXCSR to the guest's accrued flags.
    pub(crate) fn collect_flags(&mut self) {
        if std::mem::take(&mut self.drop_invalid) {
            self.mxcsr &= !1;
        }
        self.cpu.fp_flags |= flags_of_mxcsr(self.mxcsr);
        self.mxcsr &= !STICKY;
    }
}

/// The guest's accrued flags, as [`emu_ir::FpFlags`] has them.
pub(crate) const FLAGS: u32 = 0x1f;

/// MXCSR's sticky flags.
pub(crate) const STICKY: u32 = 0x3f;

/// The guest's flags for each combination of them: IE, ZE, OE, UE, PE are NV, DZ, OF, UF, NX (DE has no counterpart).
pub(crate) static FLAGS_OF_STICKY: [u8; 64] = {
    let mut table = [0; 64];
    let mut m = 0;
    while m < table.len() {
        table[m] = ((m & 1) << 4 | (m & 4) << 1 | (m & 8) >> 1 | (m & 0x10) >> 3 | (m & 0x20) >> 5) as u8;
        m += 1;
    }
    table
};

pub(crate) fn flags_of_mxcsr(mxcsr: u32) -> u32 {
    FLAGS_OF_STICKY[(mxcsr & STICKY) as usize].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_one_place_are_remembered_by_turns() {
        let mut cache = JumpCache::new();
        let span = JUMP_CACHE as u64 * 2;
        let (a, b) = (0x4_2000, 0x4_2000 ^ span);
        assert_eq!(JumpCache::places(a)[0], JumpCache::places(b)[0]);
        cache.remember(a, 0x1000);
        cache.remember(b, 0x2000);
        assert_eq!((cache.recall(a), cache.recall(b)), (Some(0x1000), Some(0x2000)));
        cache.remember(a, 0x3000);
        assert_eq!((cache.recall(a), cache.recall(b)), (Some(0x3000), Some(0x2000)), "the newer one");
        cache.forget(a);
        assert_eq!((cache.recall(a), cache.recall(b)), (None, Some(0x2000)), "in both places");
        cache.clear();
        assert_eq!(cache.recall(b), None);
        let odd_or_low = [0, 1, 2, 3, span, span + 1];
        assert!(odd_or_low.iter().all(|pc| cache.recall(*pc).is_none()), "nothing is there");
    }

    #[test]
    fn each_sticky_bit_has_its_flag() {
        let pairs = [(1, 16), (2, 0), (4, 8), (8, 4), (16, 2), (32, 1), (63, 31)];
        for (mxcsr, flags) in pairs {
            assert_eq!(flags_of_mxcsr(mxcsr), flags);
        }
    }
}
