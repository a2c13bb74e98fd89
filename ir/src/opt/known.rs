//! What is known of registers between blocks.

use super::width::Width;
use crate::block::Inst;
use crate::state::{GUEST_SLOTS, Slot};
use crate::types::Type;

/// What is known of what the registers hold at some point of a program: constants, and of integers how many low bits matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knowledge {
    slots: Box<[Option<Known>; GUEST_SLOTS]>,
}

/// What is known of one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Constant { ty: Type, bits: u64 },
    Width { ty: Type, width: Width },
}

impl Known {
    /// What the instruction gives away of its result, of which the width is known; `None` if that is nothing.
    pub(super) fn of(inst: &Inst, width: Width) -> Option<Known> {
        match (*inst, inst.result()?) {
            (Inst::Const { bits, .. }, ty) => Some(Known::Constant { ty, bits }),
            (_, ty) => Known::of_width(ty, width),
        }
    }

    fn of_width(ty: Type, width: Width) -> Option<Known> {
        let width = width.coarse(ty);
        (ty.is_int() && width != Width::any(ty)).then_some(Known::Width { ty, width })
    }

    fn width(self) -> (Type, Width) {
        match self {
            Known::Constant { ty, bits } => (ty, Width::of_constant(ty, bits)),
            Known::Width { ty, width } => (ty, width),
        }
    }

    /// What is true of both.
    fn meet(self, other: Known) -> Option<Known> {
        let ((ty, a), (other_ty, b)) = (self.width(), other.width());
        match () {
            () if self == other => Some(self),
            () if ty == other_ty => Known::of_width(ty, a.max(b)),
            () => None,
        }
    }
}

impl Default for Knowledge {
    /// Nothing.
    fn default() -> Knowledge {
        Knowledge { slots: Box::new([None; GUEST_SLOTS]) }
    }
}

impl Knowledge {
    pub(super) fn get(&self, slot: Slot) -> Option<Known> {
        self.slots[slot.index()]
    }

    pub(super) fn set(&mut self, index: usize, known: Option<Known>) {
        self.slots[index] = known;
    }

    /// Keeps what `other` knows, too. Did that make it less?
    ///
    /// As often as that may be asked of one set, it is answered with yes a few times for each register: widths are few.
    pub fn meet(&mut self, other: &Knowledge) -> bool {
        let mut changed = false;
        for (mine, others) in self.slots.iter_mut().zip(&*other.slots) {
            let both = mine.zip(*others).and_then(|(a, b)| a.meet(b));
            changed |= both != *mine;
            *mine = both;
        }
        changed
    }

    /// Is the register's 64-bit integer the sign extension of its lower half?
    pub fn is_word(&self, slot: Slot) -> bool {
        self.get(slot).is_some_and(|known| {
            let (ty, width) = known.width();
            ty == Type::I64 && width.signed <= 32
        })
    }

    /// The bits that the register surely holds.
    pub fn constant(&self, slot: Slot) -> Option<u64> {
        match self.get(slot)? {
            Known::Constant { bits, .. } => Some(bits),
            Known::Width { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opt::optimize_knowing;
    use crate::text::{Names, parse};

    fn after(body: &str, before: &Knowledge) -> (String, Knowledge) {
        let text = format!("block 0x0 mode 0x0\ninsn 0x0 len 4\n{body}  jump 0x4\n");
        let mut block = parse(&text, Names::default()).expect("a block");
        let after = optimize_knowing(&mut block, before);
        (block.to_string(), after)
    }

    const WORD: &str = "  v0 = get.i64 slot9\n  v1 = trunc.i32 v0\n  v2 = sext.i64 v1\n  set slot1, v2\n";

    #[test]
    fn what_one_block_leaves_another_one_uses() {
        let (_, known) = after(&format!("{WORD}  v3 = const.i64 5\n  set slot2, v3\n"), &Knowledge::default());
        assert!(known.is_word(Slot(1)) && known.constant(Slot(2)) == Some(5) && !known.is_word(Slot(9)));
        let body = "  v0 = get.i64 slot1\n  v1 = trunc.i32 v0\n  v2 = sext.i64 v1\n  v3 = get.i64 slot2\n  v4 = add.i64 v2, v3\n  set slot3, v4\n";
        let (text, _) = after(body, &known);
        assert!(!text.contains("sext") && !text.contains("slot2") && text.contains("const.i64 5"), "{text}");
    }

    #[test]
    fn two_ways_leave_what_holds_on_both() {
        let (_, mut known) = after("  v0 = const.i64 5\n  set slot1, v0\n  set slot2, v0\n", &Knowledge::default());
        let (_, other) = after(&format!("{WORD}  v3 = const.i64 5\n  set slot2, v3\n"), &Knowledge::default());
        assert!(known.meet(&other));
        assert!(known.is_word(Slot(1)) && known.constant(Slot(1)).is_none() && known.constant(Slot(2)) == Some(5));
        assert!(!known.meet(&other));
        assert!(known.meet(&Knowledge::default()) && known == Knowledge::default());
    }

    #[test]
    fn a_helper_may_have_written_anything() {
        let (_, before) = after("  v0 = const.i64 5\n  set slot1, v0\n  set slot2, v0\n", &Knowledge::default());
        let (_, known) = after("  v0 = call.i64 helper0()\n  v1 = const.i64 6\n  set slot2, v1\n", &before);
        assert_eq!((known.constant(Slot(1)), known.constant(Slot(2))), (None, Some(6)));
    }
}
