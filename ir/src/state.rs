//! What generated code sees of a hart.

use crate::reserve::ScId;
use crate::types::Type;
use std::sync::atomic::AtomicU32;

/// How many 64-bit register slots a hart has; the upper half is the interpreter's scratch space.
pub const SLOTS: usize = 256;

/// A guest has no slots from here on, and not the one before.
pub(crate) const GUEST_SLOTS: usize = SLOTS / 2;

/// The slot below the interpreter's, which no guest has: free for compiled code.
pub const SPARE_SLOT: Slot = Slot(GUEST_SLOTS as u16 - 1);

/// `CpuState::reservation_addr` when no reservation is held.
pub const NO_RESERVATION: u64 = u64::MAX;

/// A register of the guest: the index of a 64-bit cell in [`CpuState::slots`].
///
/// A slot of a narrower type uses the low bits; the upper ones are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

impl Slot {
    /// The index in [`CpuState::slots`].
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Name and type of a slot, for printing, dumping and comparing states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotInfo {
    /// Which.
    pub slot: Slot,
    /// The manual's name (`a0`, `ft1`, `hi`).
    pub name: &'static str,
    /// The type every `Get` and `Set` of it has.
    pub ty: Type,
}

/// The architectural state that generated code touches, and nothing else.
///
/// The layout is fixed (`repr(C)`): the JIT addresses the fields by offset.
#[derive(Debug)]
#[repr(C)]
pub struct CpuState {
    /// Guest registers. A guest uses the indices below [`SPARE_SLOT`]'s.
    pub slots: [u64; SLOTS],
    /// Guest address of the next instruction, exact whenever an engine has returned.
    pub pc: u64,
    /// Address of the `LoadReserved` reservation, or [`NO_RESERVATION`].
    pub reservation_addr: u64,
    /// The value that was loaded there.
    pub reservation_value: u64,
    /// Guest instructions retired, kept by the interpreter and by code compiled with counting.
    pub insn_count: u64,
    /// Mode bits of the running block (see [`crate::BlockKey`]).
    pub mode: u32,
    /// Accrued floating-point exceptions, [`crate::FpFlags`]' bits.
    pub fp_flags: u32,
    /// Dynamic rounding mode, RISC-V's numbering.
    pub fp_round: u32,
    /// The store-conditional that the reservation is good for.
    pub reservation_for: ScId,
    /// Not 0: leave at the next poll with [`crate::Exit::Interrupted`]. Other threads set it.
    pub interrupt: AtomicU32,
}

impl Default for CpuState {
    fn default() -> Self {
        CpuState {
            slots: [0; SLOTS],
            pc: 0,
            reservation_addr: NO_RESERVATION,
            reservation_value: 0,
            insn_count: 0,
            mode: 0,
            fp_flags: 0,
            fp_round: 0,
            reservation_for: ScId::NONE,
            interrupt: AtomicU32::new(0),
        }
    }
}

impl Clone for CpuState {
    /// Copies the architectural state; the copy has no interrupt pending.
    fn clone(&self) -> Self {
        CpuState { interrupt: AtomicU32::new(0), ..*self }
    }
}

impl CpuState {
    /// Reads a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> u64 {
        self.slots[slot.index()]
    }

    /// Writes a slot; `value` must be zero-extended from the slot's type.
    #[inline]
    pub fn set(&mut self, slot: Slot, value: u64) {
        self.slots[slot.index()] = value;
    }

    /// Gives the reservation up, as a trap, a signal or a context switch does.
    #[inline]
    pub fn clear_reservation(&mut self) {
        self.reservation_addr = NO_RESERVATION;
    }
}
