//! Where values are while a block is lowered: a one-pass allocator over one block.
//!
//! A guest register is written to its slot when it is set, so that memory is exact wherever an instruction may fault;
//! a value that came from a slot or went into one can be dropped from its host register for nothing while the slot
//! keeps it.

use super::Lower;
use super::asm::*;
use crate::context::offset;
use emu_ir::spare::Spare;
use emu_ir::{Inst, SLOTS, Slot, Type, Value};

/// Registers that values live in. rax, rcx and rdx are free within an instruction; rdi holds the context, r15 the host
/// address of guest address 0.
const POOL: [Reg; 10] = [RSI, RBX, RBP, R8, R9, R10, R11, R12, R13, R14];

/// Those of the pool that a call of a System V function may change.
pub(super) const CALLER_SAVED: [Reg; 5] = [RSI, R8, R9, R10, R11];

/// The first of the slots that are nobody's register: values that do not fit into the host's are kept there.
const FIRST_SPILL: usize = SLOTS / 2;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Loc {
    /// Not computed yet, or not needed any more.
    Nowhere,
    Reg(Reg),
    /// In the context, at this offset.
    Memory(i32),
    Const(u64),
    /// A comparison that is made where it is used.
    Flags,
}

/// The context's field at an offset.
pub(super) fn field(offset: i32) -> Mem {
    Mem { base: RDI, index: None, disp: offset }
}

/// What is known of a value.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Uses that are still to come.
    uses: u32,
    loc: Loc,
    /// The slot, by its offset, that holds a copy.
    home: Option<i32>,
}

thread_local! {
    static PLACES: Spare<Place> = const { Spare::new() };
    static VALUES: Spare<Value> = const { Spare::new() };
}

/// State of the allocator.
#[derive(Debug, Default)]
pub(super) struct Places {
    values: Vec<Place>,
    /// Values that have or had a home.
    housed: Vec<Value>,
    regs: [Option<Value>; 16],
    /// Registers that the current instruction uses.
    pinned: u16,
    spills: u128,
    /// Spill slots that are free once the current instruction is done.
    freed: u128,
    next_victim: usize,
    /// Comparisons that have been put off.
    pub(super) put_off: u32,
}

impl Places {
    pub(super) fn new(insts: &[Inst], last: Option<Value>) -> Places {
        let mut values = PLACES.with(Spare::take);
        values.resize(insts.len(), Place { uses: 0, loc: Loc::Nowhere, home: None });
        for inst in insts {
            let mut inst = *inst;
            inst.for_each_arg(|v| values[v.index()].uses += 1);
        }
        if let Some(v) = last {
            values[v.index()].uses += 1;
        }
        Places { values, housed: VALUES.with(Spare::take), ..Places::default() }
    }

    /// Gives the memory to the thread's next block.
    pub(super) fn recycle(&mut self) {
        PLACES.with(|spare| spare.give(std::mem::take(&mut self.values)));
        VALUES.with(|spare| spare.give(std::mem::take(&mut self.housed)));
    }
}

impl Lower<'_> {
    pub(super) fn uses(&self, v: Value) -> u32 {
        self.places.values[v.index()].uses
    }

    pub(super) fn loc(&self, v: Value) -> Loc {
        self.places.values[v.index()].loc
    }

    pub(super) fn set_loc(&mut self, v: Value, loc: Loc) {
        self.places.values[v.index()].loc = loc;
    }

    pub(super) fn constant(&self, v: Value) -> Option<u64> {
        match self.loc(v) {
            Loc::Const(bits) => Some(bits),
            _ => None,
        }
    }

    /// The constant as a sign-extended immediate of an instruction of the type's width.
    pub(super) fn immediate(&self, v: Value) -> Option<i32> {
        let bits = self.constant(v)?;
        match self.ty(v).bytes() {
            8 => i32::try_from(bits as i64).ok(),
            _ => Some(bits as u32 as i32),
        }
    }

    /// The value is in a slot of the guest's.
    pub(super) fn in_slot(&mut self, v: Value, slot: Slot) {
        self.set_loc(v, Loc::Memory(offset::slot(slot.0)));
        self.set_home(v, offset::slot(slot.0));
    }

    pub(super) fn set_home(&mut self, v: Value, offset: i32) {
        self.places.values[v.index()].home = Some(offset);
        self.places.housed.push(v);
    }

    /// The slot at `offset` is about to get another value than `new`: what has its only copy there moves out.
    pub(super) fn vacate(&mut self, offset: i32, new: Value) {
        let mut i = 0;
        while i < self.places.housed.len() {
            let v = self.places.housed[i];
            let home = self.places.values[v.index()].home;
            if home == Some(offset) && v != new {
                if self.uses(v) > 0 && self.loc(v) == Loc::Memory(offset) {
                    let pinned = self.places.pinned;
                    self.reg(v);
                    self.places.pinned = pinned;
                }
                self.places.values[v.index()].home = None;
            }
            if self.places.values[v.index()].home.is_none() || self.uses(v) == 0 {
                self.places.housed.swap_remove(i);
            } else {
                i += 1;
            }
        }
    }

    /// A register of the pool, pinned until the instruction is done.
    pub(super) fn alloc(&mut self) -> Reg {
        let places = &self.places;
        let unpinned = |r: &Reg| places.pinned >> r.0 & 1 == 0;
        let free = POOL.into_iter().find(|r| places.regs[usize::from(r.0)].is_none() && unpinned(r));
        let reg = free.unwrap_or_else(|| {
            let housed =
                |r: &Reg| places.regs[usize::from(r.0)].is_some_and(|v| places.values[v.index()].home.is_some());
            let from = places.next_victim;
            let order = || (0..POOL.len()).map(|i| POOL[(from + i) % POOL.len()]).filter(unpinned);
            order().find(housed).or_else(|| order().next()).expect("an instruction pins fewer registers than there are")
        });
        self.evict(reg);
        self.places.next_victim += 1;
        self.pin(reg);
        reg
    }

    fn pin(&mut self, reg: Reg) {
        self.places.pinned |= 1 << reg.0;
    }

    fn evict(&mut self, reg: Reg) {
        let Some(v) = self.places.regs[usize::from(reg.0)].take() else { return };
        let place = self.places.values[v.index()].home.unwrap_or_else(|| {
            // A block has fewer values alive than there are slots: it is short, and a value needs an instruction.
            let index = (!self.places.spills).trailing_zeros() as usize;
            assert!(index < 128, "more values alive than spill slots");
            self.places.spills |= 1 << index;
            let place = offset::slot((FIRST_SPILL + index) as u16);
            self.asm.store(8, field(place), reg);
            place
        });
        self.set_loc(v, Loc::Memory(place));
    }

    /// The register is the value's from now on.
    pub(super) fn assign(&mut self, v: Value, reg: Reg) {
        self.places.regs[usize::from(reg.0)] = Some(v);
        self.set_loc(v, Loc::Reg(reg));
        self.pin(reg);
    }

    /// A register for the value to be computed into.
    pub(super) fn result(&mut self, at: Value) -> Reg {
        let reg = self.alloc();
        self.assign(at, reg);
        reg
    }

    /// The value in a register of the pool.
    pub(super) fn reg(&mut self, v: Value) -> Reg {
        if let Loc::Reg(reg) = self.loc(v) {
            self.pin(reg);
            return reg;
        }
        let reg = self.alloc();
        self.copy(v, reg);
        if let Loc::Memory(place) = self.loc(v) {
            self.free_spill(place);
        }
        self.assign(v, reg);
        reg
    }

    /// The value in a register: `scratch` if it is a constant.
    pub(super) fn reg_or(&mut self, v: Value, scratch: Reg) -> Reg {
        match self.constant(v) {
            Some(bits) => {
                self.asm.mov_imm(scratch, bits);
                scratch
            }
            None => self.reg(v),
        }
    }

    /// The value as an operand that may be in memory; a constant goes to `scratch`. A value that is used again is
    /// worth a register.
    pub(super) fn operand(&mut self, v: Value, scratch: Reg) -> Rm {
        match self.loc(v) {
            Loc::Memory(place) if self.uses(v) == 1 => Rm::Mem(field(place)),
            _ => Rm::Reg(self.reg_or(v, scratch)),
        }
    }

    /// Copies the value into a register and changes nothing else. Not for comparisons that have not been made.
    pub(super) fn copy(&mut self, v: Value, to: Reg) {
        match self.loc(v) {
            Loc::Reg(from) if from == to => {}
            Loc::Reg(from) => self.asm.mov(true, to, from),
            Loc::Memory(place) => self.asm.mov(true, to, field(place)),
            Loc::Const(bits) => self.asm.mov_imm(to, bits),
            Loc::Flags | Loc::Nowhere => unreachable!("{v:?} has no place"),
        }
    }

    /// A register for `at` with a copy of `v` in it, which is used up thereby.
    pub(super) fn take(&mut self, at: Value, v: Value) -> Reg {
        if let (Loc::Reg(reg), 1) = (self.loc(v), self.uses(v)) {
            self.done(v);
            self.assign(at, reg);
            return reg;
        }
        let reg = self.alloc();
        self.copy(v, reg);
        self.done(v);
        self.assign(at, reg);
        reg
    }

    /// One use of the value is over.
    pub(super) fn done(&mut self, v: Value) {
        let uses = &mut self.places.values[v.index()].uses;
        *uses -= 1;
        if *uses == 0 {
            self.release(v);
        }
    }

    fn release(&mut self, v: Value) {
        match self.loc(v) {
            Loc::Reg(reg) => {
                self.places.regs[usize::from(reg.0)] = None;
                self.places.pinned &= !(1 << reg.0);
            }
            Loc::Memory(place) => self.free_spill(place),
            Loc::Nowhere | Loc::Const(_) | Loc::Flags => {}
        }
        self.set_loc(v, Loc::Nowhere);
    }

    fn free_spill(&mut self, place: i32) {
        let first = offset::slot(FIRST_SPILL as u16);
        if place >= first {
            self.places.freed |= 1 << ((place - first) / 8);
        }
    }

    /// The instruction that defines `at`, if it defines something, is lowered.
    pub(super) fn end_inst(&mut self, at: Value) {
        if self.uses(at) == 0 {
            self.release(at);
        }
        self.places.pinned = 0;
        self.places.spills &= !std::mem::take(&mut self.places.freed);
    }

    /// Registers with values that a call would change.
    pub(super) fn live_across_call(&self) -> Vec<Reg> {
        CALLER_SAVED.into_iter().filter(|r| self.places.regs[usize::from(r.0)].is_some()).collect()
    }

    /// Cuts a register to a type narrower than 32 bits.
    pub(super) fn normalize(&mut self, ty: Type, reg: Reg) {
        if ty.bytes() < 4 {
            self.asm.load(ty.bytes(), false, false, reg, reg);
        }
    }
}
