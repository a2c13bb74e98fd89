//! Where values are while a block is lowered: a one-pass allocator over one block.
//!
//! A guest register is written when it is set, so that all are exact wherever an instruction may fault: to its host register if it is a
//! hot one ([`super::hot`]), else to its slot. Either is the value's *home* while it is there. A value whose home is a slot can be
//! dropped from another host register for nothing; one whose home is a hot register is in no other. What is computed to be put into
//! a hot register at once is computed there, unless that still has a value that is needed.

use super::Lower;
use super::asm::*;
use super::hot::{COUNTDOWN, HOT_REGS};
use crate::context::offset;
use emu_ir::{HOT_SLOTS, Inst, SLOTS, Slot, Type, Value};

/// Registers that values live in, beside the hot ones. rax and rcx are free within an instruction; rdi holds the context, r15 the
/// host address of guest address 0. An instruction needs four at most. A call of a System V function may change all of them.
const POOL: [Reg; 4] = [RSI, R9, R10, R11];

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
    Mem::at(RDI, offset)
}

/// What is known of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Uses that are still to come.
    uses: u32,
    loc: Loc,
    /// The slot, by its offset, that holds a copy, or the hot register of which has it.
    home: Option<i32>,
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
    /// Offsets of the hot registers' slots.
    hot: [i32; HOT_SLOTS],
    /// Comparisons that have been put off.
    pub(super) put_off: u32,
}

impl Places {
    /// For the instructions, whose last one uses `last`, in the memory of `lists`.
    pub(super) fn new(
        insts: &[Inst],
        last: Option<Value>,
        hot: [Slot; HOT_SLOTS],
        (mut values, housed): (Vec<Place>, Vec<Value>),
    ) -> Places {
        let hot = hot.map(|slot| offset::slot(slot.0));
        values.resize(insts.len(), Place { uses: 0, loc: Loc::Nowhere, home: None });
        for inst in insts {
            let mut copy = *inst;
            copy.for_each_arg(|v| values[v.index()].uses += 1);
        }
        if let Some(v) = last {
            values[v.index()].uses += 1;
        }
        Places { values, housed, hot, ..Places::default() }
    }

    /// The memory of its lists.
    pub(super) fn into_lists(self) -> (Vec<Place>, Vec<Value>) {
        (self.values, self.housed)
    }
}

/// Where the slot at `offset` is, if it is a hot register's.
fn hot_reg(hot: [i32; HOT_SLOTS], offset: i32) -> Option<Reg> {
    hot.iter().position(|known| *known == offset).map(|i| HOT_REGS[i])
}

impl Lower<'_> {
    /// Where the slot at `offset` is, if it is a hot register's.
    pub(super) fn hot_reg(&self, offset: i32) -> Option<Reg> {
        hot_reg(self.places.hot, offset)
    }

    pub(super) fn is_hot(&self, reg: Reg) -> bool {
        HOT_REGS.contains(&reg)
    }

    /// The slot of a hot register.
    fn slot_of(&self, reg: Reg) -> Option<i32> {
        HOT_REGS.iter().position(|hot| *hot == reg).map(|i| self.places.hot[i])
    }

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

    /// The value is in a register of the guest's.
    pub(super) fn in_slot(&mut self, v: Value, slot: Slot) {
        let offset = offset::slot(slot.0);
        self.set_loc(v, self.hot_reg(offset).map_or(Loc::Memory(offset), Loc::Reg));
        self.set_home(v, offset);
    }

    pub(super) fn set_home(&mut self, v: Value, offset: i32) {
        self.places.values[v.index()].home = Some(offset);
        self.places.housed.push(v);
    }

    /// The register whose slot is at `offset` is about to get the value `new`: others that have their only copy there move out.
    pub(super) fn vacate(&mut self, offset: i32, new: Value) {
        let mut i = 0;
        while i < self.places.housed.len() {
            let v = self.places.housed[i];
            let home = self.places.values[v.index()].home;
            if home == Some(offset) && v != new {
                let here = self.hot_reg(offset).map_or(Loc::Memory(offset), Loc::Reg);
                if self.uses(v) > 0 && self.loc(v) == here {
                    let pinned = self.places.pinned;
                    let reg = self.alloc();
                    self.copy(v, reg);
                    self.assign(v, reg);
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
        let reg = self.free_reg().unwrap_or_else(|| {
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

    /// The instruction does not need the value's register any more.
    pub(super) fn unpin(&mut self, v: Value) {
        if let Loc::Reg(reg) = self.loc(v) {
            self.places.pinned &= !(1 << reg.0);
        }
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
    fn assign(&mut self, v: Value, reg: Reg) {
        self.set_loc(v, Loc::Reg(reg));
        match self.slot_of(reg) {
            Some(home) => self.set_home(v, home),
            None => {
                self.places.regs[usize::from(reg.0)] = Some(v);
                self.pin(reg);
            }
        }
    }

    /// A register for the value to be computed into.
    pub(super) fn result(&mut self, at: Value) -> Reg {
        let reg = self.wanted(at, None).unwrap_or_else(|| self.alloc());
        self.assign(at, reg);
        reg
    }

    /// The hot register that the value is computed for, unless it has another one that is needed; `source` has its last use now.
    fn wanted(&self, at: Value, source: Option<Value>) -> Option<Reg> {
        let reg = self.destination(at)?;
        let needs = |v: &Value| {
            let Place { uses, loc, .. } = self.places.values[v.index()];
            loc == Loc::Reg(reg) && uses > u32::from(Some(*v) == source)
        };
        (!self.places.housed.iter().any(needs)).then_some(reg)
    }

    /// The hot register that the value is put into next, with nothing but other registers' changes in between: no fault, and nobody
    /// who reads the register.
    fn destination(&self, at: Value) -> Option<Reg> {
        let sets = self.block.insts[at.index() + 1..].iter().map_while(|inst| match *inst {
            Inst::Set { slot, value, .. } => Some((slot, value)),
            _ => None,
        });
        sets.filter(|(_, value)| *value == at).find_map(|(slot, _)| self.hot_reg(offset::slot(slot.0)))
    }

    /// Puts the value into a hot register, which has nothing that is needed.
    pub(super) fn move_to_hot(&mut self, v: Value, to: Reg) {
        self.copy(v, to);
        match self.loc(v) {
            Loc::Const(_) => return,
            Loc::Reg(from) if self.slot_of(from).is_some() => return,
            Loc::Reg(from) => self.places.regs[usize::from(from.0)] = None,
            Loc::Memory(place) => self.free_spill(place),
            Loc::Nowhere | Loc::Flags => {}
        }
        self.assign(v, to);
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

    /// A register of the pool, as [`Lower::alloc`] gives it, with a constant in it.
    pub(super) fn alloc_const(&mut self, bits: u64) -> Reg {
        let reg = self.alloc();
        self.asm.mov_imm(reg, bits);
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
    /// worth a register, if one is free.
    pub(super) fn operand(&mut self, v: Value, scratch: Reg) -> Rm {
        match self.loc(v) {
            Loc::Memory(place) if self.uses(v) == 1 || self.free_reg().is_none() => Rm::Mem(field(place)),
            _ => Rm::Reg(self.reg_or(v, scratch)),
        }
    }

    /// A register of the pool that nothing is in.
    fn free_reg(&self) -> Option<Reg> {
        let is_free = |r: &Reg| self.places.regs[usize::from(r.0)].is_none() && self.places.pinned >> r.0 & 1 == 0;
        POOL.into_iter().find(is_free)
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
        let reg = match (self.wanted(at, Some(v)), self.loc(v)) {
            (Some(wanted), _) => wanted,
            (None, Loc::Reg(reg)) if self.takes(v) => reg,
            _ => self.alloc(),
        };
        self.copy(v, reg);
        self.done(v);
        self.assign(at, reg);
        reg
    }

    /// Is the value in a register that is free with its next use?
    fn takes(&self, v: Value) -> bool {
        matches!(self.loc(v), Loc::Reg(reg) if self.slot_of(reg).is_none()) && self.uses(v) == 1
    }

    /// Can `at` be computed in the register that has `v`?
    pub(super) fn stays(&self, at: Value, v: Value) -> bool {
        match self.wanted(at, Some(v)) {
            Some(wanted) => self.loc(v) == Loc::Reg(wanted),
            None => self.takes(v),
        }
    }

    /// One use of the value is over: its register can be had for the instruction's result, whether the value is needed again or not.
    pub(super) fn done(&mut self, v: Value) {
        let uses = &mut self.places.values[v.index()].uses;
        *uses -= 1;
        if *uses == 0 { self.release(v) } else { self.unpin(v) }
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
        let live = |r: &Reg| self.places.regs[usize::from(r.0)].is_some();
        POOL.into_iter().filter(live).chain([R8, COUNTDOWN]).collect()
    }

    /// Cuts a register to a type narrower than 32 bits.
    pub(super) fn normalize(&mut self, ty: Type, reg: Reg) {
        if ty.bytes() < 4 {
            self.asm.load(ty.bytes(), false, false, reg, reg);
        }
    }
}
