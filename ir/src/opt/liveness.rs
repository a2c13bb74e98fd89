//! Which register slots a block reads and writes.

use crate::block::{Block, Inst};

/// Sets of slots, a bit each (a guest has at most 128).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotUse {
    /// Read before they are written: what must hold the guest's values when the block starts.
    pub live_in: u128,
    /// Written. All of them are, whenever the block is left at its end.
    pub defs: u128,
    /// The block calls helpers, each of which may read and write any slot.
    pub calls: bool,
}

impl SlotUse {
    /// That of a block.
    pub fn of(block: &Block) -> SlotUse {
        block.insts.iter().fold(SlotUse::default(), |mut seen, inst| {
            match inst {
                Inst::Get { slot, .. } => seen.live_in |= (1 << slot.0) & !seen.defs,
                Inst::Set { slot, .. } => seen.defs |= 1 << slot.0,
                Inst::Call { .. } => seen.calls = true,
                _ => {}
            }
            seen
        })
    }

    /// That of this block followed by `next`.
    pub fn then(self, next: SlotUse) -> SlotUse {
        SlotUse {
            live_in: self.live_in | next.live_in & !self.defs,
            defs: self.defs | next.defs,
            calls: self.calls || next.calls,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Names, parse};

    fn slot_use(body: &str) -> SlotUse {
        let text = format!("block 0x0 mode 0\ninsn 0x0 len 4\n{body}\njump 0x4");
        SlotUse::of(&parse(&text, Names::default()).expect("a block"))
    }

    #[test]
    fn reads_before_writes_are_live_in() {
        let first = slot_use("v0 = get.i64 slot1\nset slot2, v0\nv1 = get.i64 slot2\nset slot127, v1");
        assert_eq!(first, SlotUse { live_in: 1 << 1, defs: 1 << 2 | 1 << 127, calls: false });
        let second = slot_use("v0 = get.i64 slot2\nv1 = get.i64 slot3\nv2 = call.i64 helper0()\nset slot1, v0");
        assert_eq!(second, SlotUse { live_in: 1 << 2 | 1 << 3, defs: 1 << 1, calls: true });
        let both = SlotUse { live_in: 1 << 1 | 1 << 3, defs: 1 << 1 | 1 << 2 | 1 << 127, calls: true };
        assert_eq!(first.then(second), both);
    }
}
