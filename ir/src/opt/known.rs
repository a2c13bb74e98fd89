//! What is known of registers between blocks.

use super::quiet::Quiet;
use super::width::Width;
use crate::block::{Block, Inst, Terminator, Value};
use crate::op::{Cond, ConvertOp};
use crate::state::{GUEST_SLOTS, Slot};
use crate::types::Type;

/// What the block's branch tells of registers, an integer's bits each, where it has been taken, or not: that of a comparison's result, and that
/// of what was compared with a constant.
pub fn branch_facts(block: &Block, is_taken: bool) -> Vec<(Slot, Type, u64)> {
    let Terminator::Branch { cond, taken, next } = block.term else { return Vec::new() };
    if taken == next {
        return Vec::new();
    }
    let facts = CondFacts::new(block, cond, is_taken);
    let mut seen = 0u128;
    let mut list = Vec::new();
    for inst in block.insts.iter().rev() {
        // The last thing that is done with a register tells what it holds in the end.
        let (slot, value) = match *inst {
            Inst::Set { slot, value, .. } => (slot, value),
            Inst::Call { .. } => break,
            _ => continue,
        };
        let is_last = seen >> slot.0 & 1 == 0;
        seen |= 1 << slot.0;
        list.extend(facts.of(value).filter(|_| is_last).map(|(ty, bits)| (slot, ty, bits)));
    }
    let gets = block.insts.iter().enumerate().filter_map(|(i, inst)| match *inst {
        Inst::Get { slot, .. } if seen >> slot.0 & 1 == 0 => Some((slot, Value(i as u32))),
        _ => None,
    });
    if !block.insts.iter().any(|inst| matches!(inst, Inst::Call { .. })) {
        list.extend(gets.filter_map(|(slot, value)| facts.of(value).map(|(ty, bits)| (slot, ty, bits))));
    }
    list
}

/// What a branch tells of values.
struct CondFacts<'a> {
    insts: &'a [Inst],
    /// A comparison's result, and what it is.
    boolean: Option<(Value, u64)>,
    /// What is equal to a constant.
    equal: Option<(Value, u64)>,
}

impl<'a> CondFacts<'a> {
    fn new(block: &'a Block, cond: Value, is_taken: bool) -> CondFacts<'a> {
        let insts = &block.insts[..];
        let constant = |v: Value| match insts[v.index()] {
            Inst::Const { bits, .. } => Some(bits),
            _ => None,
        };
        let (boolean, equal) = match insts[cond.index()] {
            Inst::Compare { cond: test, args: [a, b], .. } => {
                let is_equal = matches!((test, is_taken), (Cond::Eq, true) | (Cond::Ne, false));
                (Some((cond, u64::from(is_taken))), constant(b).filter(|_| is_equal).map(|bits| (a, bits)))
            }
            Inst::FloatCompare { .. } => (Some((cond, u64::from(is_taken))), None),
            _ => (None, None),
        };
        CondFacts { insts, boolean, equal }
    }

    fn of(&self, value: Value) -> Option<(Type, u64)> {
        let inst = &self.insts[value.index()];
        let ty = inst.result().filter(|ty| ty.is_int())?;
        let source = match *inst {
            Inst::Convert { op: ConvertOp::Zext, arg, .. } => arg,
            _ => value,
        };
        let boolean = self.boolean.filter(|(v, _)| *v == source || *v == value);
        let equal = self.equal.filter(|(v, _)| *v == source || *v == value);
        boolean.or(equal).map(|(_, bits)| (ty, bits))
    }
}

/// What is known of what the registers hold at some point of a program: constants, of integers how many low bits matter, and of numbers
/// that they are no signalling NaNs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knowledge {
    slots: Box<[Option<Known>; GUEST_SLOTS]>,
}

/// What is known of one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Constant {
        ty: Type,
        bits: u64,
    },
    Width {
        ty: Type,
        width: Width,
    },
    /// A double, or a single in its box.
    Quiet(Quiet),
}

impl Known {
    /// What the instruction gives away of its result, with what is known of that already; `None` if that is nothing.
    pub(super) fn of(inst: &Inst, width: Width, quiet: Quiet) -> Option<Known> {
        match (*inst, inst.result()?) {
            (Inst::Const { bits, .. }, ty) => Some(Known::Constant { ty, bits }),
            (_, Type::F64) => Known::of_quiet(quiet),
            (_, ty) => Known::of_width(ty, width),
        }
    }

    fn of_quiet(quiet: Quiet) -> Option<Known> {
        (quiet != Quiet::default()).then_some(Known::Quiet(quiet))
    }

    fn of_width(ty: Type, width: Width) -> Option<Known> {
        let width = width.coarse(ty);
        (ty.is_int() && width != Width::any(ty)).then_some(Known::Width { ty, width })
    }

    fn width(self) -> (Type, Width) {
        match self {
            Known::Constant { ty, bits } => (ty, Width::of_constant(ty, bits)),
            Known::Width { ty, width } => (ty, width),
            Known::Quiet(_) => (Type::F64, Width::any(Type::F64)),
        }
    }

    /// What is true of both.
    fn meet(self, other: Known) -> Option<Known> {
        let ((ty, a), (other_ty, b)) = (self.width(), other.width());
        match () {
            () if self == other => Some(self),
            () if ty == Type::F64 => Known::of_quiet(self.quiet().and(other.quiet())),
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

    pub(super) fn quiet(&self, index: usize) -> Quiet {
        self.slots[index].map_or(Quiet::default(), Known::quiet)
    }

    /// Takes it that the register holds no signalling double, or that the single in it is no signalling one.
    pub fn assume_quiet(&mut self, slot: Slot, ty: Type) {
        let quiet = match ty {
            Type::F32 => Quiet { itself: false, unboxed: true },
            _ => Quiet { itself: true, unboxed: false },
        };
        let both = self.quiet(slot.index()).or(quiet);
        self.slots[slot.index()] = Some(Known::Quiet(both));
    }

    /// The same where the block that it is known after has been left by its branch, or not.
    pub fn after_branch(&self, block: &Block, is_taken: bool) -> Knowledge {
        let mut after = self.clone();
        for (slot, ty, bits) in branch_facts(block, is_taken) {
            after.slots[slot.index()] = Some(Known::Constant { ty, bits });
        }
        after
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
            Known::Width { .. } | Known::Quiet(_) => None,
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
    fn a_branch_tells_what_it_compared() {
        let text = "block 0x0 mode 0x0\ninsn 0x0 len 4\n  v0 = get.i64 slot1\n  v1 = get.i64 slot2\n  v2 = icmp.ltu.i64 v0, v1\n  \
                    v3 = zext.i64 v2\n  set slot3, v3\ninsn 0x4 len 4\n  v5 = const.i64 0\n  v6 = icmp.ne.i64 v3, v5\n  \
                    branch v6, 0x20, 0x8\n";
        let mut block = parse(text, Names::default()).expect("a block");
        let after = optimize_knowing(&mut block, &Knowledge::default());
        for (is_taken, held) in [(true, 1), (false, 0)] {
            assert_eq!(branch_facts(&block, is_taken), [(Slot(3), Type::I64, held)]);
            assert_eq!(after.after_branch(&block, is_taken).constant(Slot(3)), Some(held));
        }
        let equal = "block 0x0 mode 0x0\ninsn 0x0 len 4\n  v0 = get.i64 slot1\n  v1 = const.i64 7\n  v2 = icmp.eq.i64 v0, v1\n  \
                     branch v2, 0x20, 0x4\n";
        let block = parse(equal, Names::default()).expect("a block");
        assert_eq!(branch_facts(&block, true), [(Slot(1), Type::I64, 7)]);
        assert_eq!(branch_facts(&block, false), []);
        // What a register held before it was written, or a helper may have written it, does not tell.
        let written = equal.replace("  branch", "  set slot1, v1\n  v4 = get.i64 slot5\n  set slot1, v4\n  branch");
        let called = equal.replace("  branch", "  v3 = call.i64 helper0()\n  branch");
        for text in [written, called] {
            assert_eq!(branch_facts(&parse(&text, Names::default()).expect("a block"), true), []);
        }
    }

    #[test]
    fn a_helper_may_have_written_anything() {
        let (_, before) = after("  v0 = const.i64 5\n  set slot1, v0\n  set slot2, v0\n", &Knowledge::default());
        let (_, known) = after("  v0 = call.i64 helper0()\n  v1 = const.i64 6\n  set slot2, v1\n", &before);
        assert_eq!((known.constant(Slot(1)), known.constant(Slot(2))), (None, Some(6)));
    }
}
