//! What becomes of each value of a block before ops are emitted: which need no op, and where results go.

use emu_ir::{Block, ConvertOp, Inst, Terminator, Type, Value};

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It gets an op.
    Op,
    /// Its value has the bits of its [`Plan::root`], as far as its users look.
    Alias,
    /// A constant, an immediate where that is possible.
    Const(u64),
    /// A register that is read where it stands.
    InPlace(u8),
    /// Another op computes it too: that of its root, or the terminator.
    Fused,
    /// Nobody needs it.
    Dead,
}

/// No such position: later than every instruction.
const NEVER: u32 = u32::MAX;

/// The plan for a block; the vectors are indexed by instruction.
pub(crate) struct Plan<'b> {
    block: &'b Block,
    pub(crate) role: Vec<Role>,
    root: Vec<Value>,
    /// Index of the last instruction that reads the root's location; the terminator counts as the one past the end.
    pub(crate) last_use: Vec<u32>,
    /// The guest register that the result is written to at once, so that its `Set` needs no op.
    pub(crate) home: Vec<Option<u8>>,
}

impl<'b> Plan<'b> {
    pub(crate) fn new(block: &'b Block) -> Plan<'b> {
        let n = block.insts.len();
        let root = (0..n as u32).map(Value).collect();
        let mut plan = Plan { block, role: vec![Role::Op; n], root, last_use: vec![0; n], home: vec![None; n] };
        let uses = Uses::of(block);
        (0..n).for_each(|i| plan.choose_role(i, &uses));
        plan.find_last_uses();
        plan.place_registers();
        plan
    }

    /// The value whose location holds `value`.
    pub(crate) fn root(&self, value: Value) -> Value {
        self.root[value.index()]
    }

    /// The constant that `value` is, if it is one.
    pub(crate) fn constant(&self, value: Value) -> Option<u64> {
        match self.role[self.root(value).index()] {
            Role::Const(bits) => Some(bits),
            _ => None,
        }
    }

    /// Does the op of the instruction at `user` (or the terminator) compute `value` as well?
    pub(crate) fn is_fused_into(&self, user: usize, value: Value) -> bool {
        let into = self.root(value);
        self.role[value.index()] == Role::Fused && (into == value || into.index() == user)
    }

    fn choose_role(&mut self, i: usize, uses: &Uses) {
        let inst = &self.block.insts[i];
        self.role[i] = match *inst {
            Inst::Const { bits, .. } => Role::Const(bits),
            Inst::Get { slot, .. } => Role::InPlace(slot.0 as u8),
            _ if inst.is_pure() && uses.count[i] == 0 => Role::Dead,
            Inst::Convert { op: ConvertOp::Zext | ConvertOp::Bitcast, arg, .. } => self.alias(i, arg),
            Inst::Convert { op: ConvertOp::Trunc, arg, .. } if !uses.whole[i] => self.alias(i, arg),
            Inst::Convert { op: ConvertOp::Sext, ty: Type::I64, arg } => self.fuse_word_op(i, arg, uses),
            Inst::Compare { ty: Type::I32 | Type::I64, .. } if uses.count[i] == 1 && self.decides_branch(i) => {
                Role::Fused
            }
            _ => Role::Op,
        };
    }

    fn alias(&mut self, i: usize, arg: Value) -> Role {
        self.root[i] = self.root(arg);
        Role::Alias
    }

    /// The sign extension of an `i32` binary op is one op with it. Later users of the `i32` read the extended value, so
    /// they must look at the low bits only.
    fn fuse_word_op(&mut self, i: usize, arg: Value, uses: &Uses) -> Role {
        let at = arg.index();
        let is_binary = matches!(self.block.insts[at], Inst::Binary { ty: Type::I32, .. });
        if is_binary && uses.first[at] == i as u32 && !uses.whole[at] {
            self.role[at] = Role::Fused;
            self.root[at] = Value(i as u32);
        }
        Role::Op
    }

    fn decides_branch(&self, i: usize) -> bool {
        matches!(self.block.term, Terminator::Branch { cond, .. } if cond.index() == i)
    }

    /// Calls `f` with the root of each value that the op of the instruction at `i` reads.
    pub(crate) fn for_each_operand(&self, i: usize, mut f: impl FnMut(Value)) {
        let direct: [Option<Value>; 3] = match self.block.insts.get(i) {
            Some(inst) => {
                let mut args = inst.args();
                std::array::from_fn(|_| args.next())
            }
            None => [self.terminator_operand(), None, None],
        };
        for value in direct.into_iter().flatten() {
            if self.is_fused_into(i, value) {
                self.block.insts[value.index()].args().for_each(|v| f(self.root(v)));
            } else {
                f(self.root(value));
            }
        }
    }

    fn terminator_operand(&self) -> Option<Value> {
        match self.block.term {
            Terminator::Branch { cond, .. } => Some(cond),
            Terminator::Indirect { target, .. } => Some(target),
            _ => None,
        }
    }

    fn find_last_uses(&mut self) {
        let mut last_use = std::mem::take(&mut self.last_use);
        let end = self.block.insts.len();
        for i in (0..=end).filter(|i| *i == end || self.role[*i] == Role::Op) {
            self.for_each_operand(i, |root| last_use[root.index()] = i as u32);
        }
        self.last_use = last_use;
    }

    /// Backwards: decides which results go straight into a guest register and which reads must be copied because the
    /// register is written before their last use. A helper may write any register.
    fn place_registers(&mut self) {
        let mut next_write = [NEVER; 256];
        let mut insns = self.block.marks.iter().rev().peekable();
        for i in (0..self.block.insts.len()).rev() {
            while insns.peek().is_some_and(|mark| mark.first as usize > i) {
                insns.next();
            }
            match self.block.insts[i] {
                Inst::Set { slot, value, .. } => {
                    let insn_start = insns.peek().map_or(0, |mark| mark.first as usize);
                    let def = self.direct_definition(i, value, insn_start, &next_write);
                    if let Some(def) = def {
                        self.home[def] = Some(slot.0 as u8);
                    }
                    next_write[slot.index()] = def.unwrap_or(i) as u32;
                }
                Inst::Get { slot, .. } if self.last_use[i] > next_write[slot.index()] => self.role[i] = Role::Op,
                Inst::Call { .. } => next_write = [i as u32; 256],
                _ => {}
            }
        }
    }

    /// The instruction that may write the register of the `Set` at `i` itself: it belongs to the same guest
    /// instruction, nothing between may fault or touches the register, and nobody reads the value after the register's
    /// next write.
    fn direct_definition(&self, i: usize, value: Value, insn_start: usize, next_write: &[u32; 256]) -> Option<usize> {
        let Inst::Set { slot, .. } = self.block.insts[i] else { return None };
        let def = self.root(value).index();
        let has_op = match self.block.insts[def] {
            // It will be copied: why not there.
            Inst::Get { slot, .. } => self.last_use[def] > next_write[slot.index()],
            _ => self.role[def] == Role::Op,
        };
        let fits =
            has_op && self.home[def].is_none() && def >= insn_start && self.last_use[def] <= next_write[slot.index()];
        let disturbs = |inst: &Inst| match inst {
            Inst::Get { slot: s, .. } | Inst::Set { slot: s, .. } => *s == slot,
            _ => inst.can_fault(),
        };
        (fits && !self.block.insts[def + 1..i].iter().any(disturbs)).then_some(def)
    }
}

/// How the values of a block are used.
struct Uses {
    count: Vec<u32>,
    /// Index of the first user.
    first: Vec<u32>,
    /// Some user looks at all 64 bits of the location, so that bits above the value's type must be zero.
    whole: Vec<bool>,
}

impl Uses {
    fn of(block: &Block) -> Uses {
        let n = block.insts.len();
        let mut uses = Uses { count: vec![0; n], first: vec![NEVER; n], whole: vec![false; n] };
        for (i, inst) in block.insts.iter().enumerate() {
            let whole = !ignores_high_bits(inst);
            inst.args().for_each(|arg| uses.add(arg, i, whole));
        }
        match block.term {
            Terminator::Branch { cond: v, .. } | Terminator::Indirect { target: v, .. } => uses.add(v, n, true),
            _ => {}
        }
        uses
    }

    fn add(&mut self, value: Value, user: usize, whole: bool) {
        self.count[value.index()] += 1;
        self.first[value.index()] = self.first[value.index()].min(user as u32);
        self.whole[value.index()] |= whole;
    }
}

/// Does the op truncate its operands to its type before it computes? (See `exec`.)
fn ignores_high_bits(inst: &Inst) -> bool {
    matches!(
        inst,
        Inst::Binary { .. }
            | Inst::Unary { .. }
            | Inst::Compare { .. }
            | Inst::Convert { op: ConvertOp::Trunc | ConvertOp::Sext, .. }
            | Inst::Load { .. }
            | Inst::Store { .. }
    )
}
