//! Exits to a known guest address, and what joins them to the code for it.
//!
//! - A region's exit jumps where its *slot* points: two words behind the code, the host address and the guest's.
//! - Quick code has a direct jump, whose distance is overwritten. Until it is joined, the jump leads to a call of a stub behind
//!   the code, which finds the exit's *record* at its return address: the guest address, and how far before the record the
//!   distance is.
//!
//! Either way the stub leaves to the machine, and tells it which [`Link`] wants to be joined.

use crate::arena::Arena;

/// A direct exit of compiled code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectExit {
    /// Guest address that it leads to.
    pub target: u64,
    /// Where its slot or record is ([`Spot`]).
    pub at: Spot,
    /// Where the distance of its jump is, if it has a record.
    pub operand: Spot,
}

/// A place in the code of a region or in what is cold of it: an offset from the start of either, from [`COLD_BASE`] on if it is the
/// latter.
pub type Spot = u32;

/// See [`Spot`].
pub const COLD_BASE: Spot = 1 << 30;

/// Where the two parts of a region's code have been put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) start: u64,
    pub(crate) cold: u64,
}

impl Placement {
    /// The address of a spot.
    pub(crate) fn address(self, spot: Spot) -> u64 {
        match spot.checked_sub(COLD_BASE) {
            Some(offset) => self.cold + u64::from(offset),
            None => self.start + u64::from(spot),
        }
    }
}

/// Offset of the guest pc in a slot.
pub(crate) const SLOT_PC: i32 = 8;
/// Size of a slot in bytes.
pub(crate) const SLOT_SIZE: usize = 16;

/// Offset, in a record, of the distance from the jump's operand to the record; the guest pc comes first.
pub(crate) const RECORD_BACK: usize = 8;
/// Length of the call before a record.
pub(crate) const RECORD_CALL: usize = 6;

/// Distance of the entry for those who come from quick code, which have the hot registers in the host's, from the one for others.
pub(crate) const QUICK_ENTRY: u64 = 7;

/// What marks a link that is a record: no address of the host has this bit.
pub(crate) const RECORD_BIT: u32 = 63;

/// The place of an exit that can be joined to code: the address of its slot or record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(u64);

impl Link {
    /// The exit of quick code or a region whose slot or record is at the address.
    pub(crate) fn new(quick: bool, addr: u64) -> Link {
        Link(addr | u64::from(quick) << RECORD_BIT)
    }

    /// As compiled code tells it: 0 is none.
    pub(crate) fn from_context(bits: u64) -> Option<Link> {
        (bits != 0).then_some(Link(bits))
    }

    /// Address of the slot or record.
    fn addr(self) -> u64 {
        self.0 & !(1 << RECORD_BIT)
    }

    /// Where the distance of a record's jump is.
    fn operand(self, arena: &Arena) -> u64 {
        self.addr() - u64::from(arena.read_u32(self.addr() + RECORD_BACK as u64))
    }

    fn is_record(self) -> bool {
        self.0 >> RECORD_BIT != 0
    }

    /// Lets the exit lead to `code`.
    pub(crate) fn join(self, arena: &mut Arena, code: u64) {
        if self.is_record() { self.jump_to(arena, code + QUICK_ENTRY) } else { arena.set_slot(self.addr(), code) }
    }

    /// Lets the exit lead to the machine; `stub` is where an unlinked slot points.
    pub(crate) fn part(self, arena: &mut Arena, stub: u64) {
        if self.is_record() {
            self.jump_to(arena, self.addr() - RECORD_CALL as u64)
        } else {
            arena.set_slot(self.addr(), stub)
        }
    }

    fn jump_to(self, arena: &mut Arena, target: u64) {
        let operand = self.operand(arena);
        // The arena is much smaller than 2 GiB.
        arena.set_distance(operand, target.wrapping_sub(operand + 4) as i32);
    }
}

/// Lists of links, in one memory. What is taken from a list is not used again before all is cleared, as the code is not.
#[derive(Debug, Default)]
pub(crate) struct LinkLists {
    /// A link, and the rest of its list.
    cells: Vec<(Link, LinkList)>,
}

/// A list of [`LinkLists`]: the index of its first cell, plus one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkList(u32);

impl LinkLists {
    /// Puts a link at the front.
    pub(crate) fn push(&mut self, list: &mut LinkList, link: Link) {
        self.cells.push((link, *list));
        *list = LinkList(self.cells.len() as u32);
    }

    /// The links of a list.
    pub(crate) fn iter(&self, list: LinkList) -> impl Iterator<Item = Link> {
        let cell = |list: LinkList| (list.0 as usize).checked_sub(1).map(|index| self.cells[index]);
        std::iter::successors(cell(list), move |(_, rest)| cell(*rest)).map(|(link, _)| link)
    }

    /// Forgets all lists.
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
    }
}
