//! Load-reserved and store-conditional: which belongs to which.
//!
//! Engines have no monitor of memory: a store-conditional compares the word with what the load-reserved read, and swaps. That another
//! thread has changed the word meanwhile, and changed it back, it does not see. Where there are only operations on registers
//! between the two, nobody else can see a difference, either: all that the program does would be the same had it read the word just before it
//! stored. Such a sequence is *pure*. If there is an access to memory in between, the program may have read what was true before
//! the word changed: it is *hard*, and the machine runs it while nobody else runs (an exclusive window).
//!
//! [`look_ahead`] tells which is which, by a look at the code that follows a load-reserved, and names the store-conditional that a pure one
//! is good for. What a way leads to is read off the IR of the code on it, so that no frontend says anything twice.

use crate::block::{Block, BlockKey, Inst, Value};
use crate::builder::Builder;
use crate::guest::{Fault, Fetch};
use crate::types::Type;
use std::collections::VecDeque;

/// The name of a store-conditional, or what a reservation is good for: the one of that name, any, or none.
///
/// Half as wide as an address, so that compiled code compares it with an immediate operand. Two store-conditionals of one name would
/// lie 4 GiB apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ScId(pub u32);

impl ScId {
    /// No store-conditional. Names are even, the others odd.
    pub const NONE: ScId = ScId(5);

    /// The store-conditional of the instruction at `pc`.
    pub const fn at(pc: u64) -> ScId {
        ScId((pc ^ pc >> 32) as u32 & !1)
    }

    /// Any of the width of `ty`: what a hard sequence reserves for. Exists in exclusive windows only.
    pub const fn any(ty: Type) -> ScId {
        ScId(if matches!(ty, Type::I64) { 3 } else { 1 })
    }

    /// Is it [`ScId::any`] of some width?
    pub const fn is_any(self) -> bool {
        matches!(self.0, 1 | 3)
    }

    /// May the store-conditional `own` of this width use a reservation that is good for `self`?
    pub fn allows(self, own: ScId, ty: Type) -> bool {
        self == own || self == ScId::any(ty)
    }
}

/// So many instructions are looked at after a load-reserved, at most.
const MOST_INSNS: usize = 64;
/// Of those, so many in one go: a way that leads elsewhere is not to use up what the others need.
const AT_ONCE: usize = 16;

/// A way that the guest may take from the load-reserved.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    pc: u64,
    /// There was something else than an operation on registers.
    touched: bool,
}

/// What the load-reserved of type `ty` is good for, from which the guest goes on at one of `starts`. `decode` translates, without
/// a look ahead.
///
/// The one store-conditional, if each way either leads to it over operations on registers and direct branches alone, or
/// reaches something else first that ends the sequence: another load-reserved, a computed jump, a system call, a trap. Otherwise, and
/// if nothing is found: [`ScId::any`].
fn find_sc(
    ty: Type,
    key: BlockKey,
    starts: &[u64],
    decode: &mut dyn FnMut(BlockKey, usize) -> Result<Block, Fault>,
) -> ScId {
    let mut search = Search { ty, found: None, todo: VecDeque::new(), seen: Vec::new() };
    starts.iter().for_each(|pc| search.go(*pc, false));
    let mut left = MOST_INSNS;
    while left > 0
        && let Some(way) = search.todo.pop_front()
    {
        let Ok(block) = decode(BlockKey { pc: way.pc, ..key }, left.min(AT_ONCE)) else { return ScId::any(ty) };
        left = left.saturating_sub(block.marks.len());
        let is_hard = search.follow(&block, way.touched).is_err();
        block.recycle();
        if is_hard {
            return ScId::any(ty);
        }
    }
    search.found.unwrap_or(ScId::any(ty))
}

struct Search {
    ty: Type,
    found: Option<ScId>,
    /// Ways over registers only come first.
    todo: VecDeque<Way>,
    seen: Vec<Way>,
}

/// The sequence is hard.
struct Hard;

impl Search {
    fn go(&mut self, pc: u64, touched: bool) {
        let way = Way { pc, touched };
        if self.seen.contains(&way) {
            return;
        }
        self.seen.push(way);
        match self.todo.iter().position(|other| other.touched && !touched) {
            Some(at) => self.todo.insert(at, way),
            None => self.todo.push_back(way),
        }
    }

    fn follow(&mut self, block: &Block, mut touched: bool) -> Result<(), Hard> {
        for inst in &block.insts {
            match *inst {
                Inst::StoreConditional { ty, id, .. } => return self.arrive(ty, id, touched),
                Inst::LoadReserved { .. } => return Ok(()),
                Inst::Load { .. }
                | Inst::Store { .. }
                | Inst::AtomicRmw { .. }
                | Inst::AtomicCas { .. }
                // A counter tells of the world outside, too.
                | Inst::Call { .. } => touched = true,
                Inst::LeaveIf { target, .. } => self.go(target, touched),
                _ => {}
            }
        }
        block.term.targets().into_iter().for_each(|pc| self.go(pc, touched));
        Ok(())
    }

    fn arrive(&mut self, ty: Type, id: ScId, touched: bool) -> Result<(), Hard> {
        // One of another width stores to what was not reserved, or was not all compared.
        let good = if ty == self.ty { id } else { ScId::NONE };
        if touched || self.found.is_some_and(|found| found != good) {
            return Err(Hard);
        }
        self.found = Some(good);
        Ok(())
    }
}

/// A translation of at most so many instructions.
pub type Decode<'a> = dyn Fn(BlockKey, &mut dyn Fetch, usize) -> Result<Block, Fault> + 'a;

/// Looks ahead from the load-reserved `value` of type `ty`, which the guest instruction that `block` ends with holds, and from which the guest
/// goes on at one of `starts` in `code`. Is it hard?
pub fn look_ahead(
    block: &mut Builder,
    (value, ty): (Value, Type),
    starts: &[u64],
    code: &mut dyn Fetch,
    decode: &Decode<'_>,
) -> bool {
    let key = block.key();
    let mut code = NotedFetch { code, pages: Vec::new() };
    let id = find_sc(ty, key, starts, &mut |key, max_insns| decode(key, &mut code, max_insns));
    code.pages.retain(|page| *page != key.pc / PAGE * PAGE);
    block.set_reserved(value, id, &code.pages);
    id.is_any()
}

/// Code, and the addresses of the pages that it was read from.
struct NotedFetch<'a> {
    code: &'a mut dyn Fetch,
    /// Without repetition.
    pages: Vec<u64>,
}

/// What is noted, and what becomes stale, together.
const PAGE: u64 = 4096;

impl NotedFetch<'_> {
    fn note(&mut self, addr: u64) {
        let page = addr / PAGE * PAGE;
        if self.pages.last() != Some(&page) && !self.pages.contains(&page) {
            self.pages.push(page);
        }
    }
}

impl Fetch for NotedFetch<'_> {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        self.note(addr);
        self.code.fetch16(addr)
    }

    fn fetch32(&mut self, addr: u64) -> Result<u32, Fault> {
        self.note(addr);
        self.note(addr.wrapping_add(2));
        self.code.fetch32(addr)
    }
}
