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

/// An op reads at most as many values.
const MAX_OPERANDS: usize = 3;

/// The plan for a block.
pub(crate) struct Plan<'b> {
    block: &'b Block,
    /// Of each instruction.
    entries: Vec<Entry>,
}

/// The plan for an instruction.
pub(crate) struct Entry {
    pub(crate) role: Role,
    root: Value,
    /// Index of the last instruction that reads the root's location; the terminator counts as the one past the end.
    pub(crate) last_use: u32,
    /// The guest register that the result is written to at once, so that its `Set` needs no op.
    pub(crate) home: Option<u8>,
    uses: Uses,
}

/// How a value is used.
#[derive(Clone, Copy)]
struct Uses {
    count: u32,
    /// Index of the first user.
    first: u32,
    /// Some user looks at all 64 bits of the location, so that bits above the value's type must be zero.
    whole: bool,
}

impl<'b> Plan<'b> {
    pub(crate) fn new(block: &'b Block) -> Plan<'b> {
        let uses = Uses { count: 0, first: NEVER, whole: false };
        let entry = |i| Entry { role: Role::Op, root: Value(i), last_use: 0, home: None, uses };
        let mut plan = Plan { block, entries: (0..block.insts.len() as u32).map(entry).collect() };
        plan.find_uses();
        (0..block.insts.len()).for_each(|i| plan.choose_role(i));
        plan.find_last_uses();
        plan.place_registers();
        plan
    }

    /// The value whose location holds `value`.
    pub(crate) fn root(&self, value: Value) -> Value {
        self.entries[value.index()].root
    }

    /// The constant that `value` is, if it is one.
    pub(crate) fn constant(&self, value: Value) -> Option<u64> {
        match self.entries[self.root(value).index()].role {
            Role::Const(bits) => Some(bits),
            _ => None,
        }
    }

    /// Does the op of the instruction at `user` (or the terminator) compute `value` as well?
    pub(crate) fn is_fused_into(&self, user: usize, value: Value) -> bool {
        let into = self.root(value);
        self.entries[value.index()].role == Role::Fused && (into == value || into.index() == user)
    }

    fn find_uses(&mut self) {
        for (i, inst) in self.block.insts.iter().enumerate() {
            let whole = !ignores_high_bits(inst);
            inst.args().for_each(|arg| self.add_use(arg, i, whole));
        }
        if let Some(value) = self.block.term.arg() {
            self.add_use(value, self.block.insts.len(), true);
        }
    }

    fn add_use(&mut self, value: Value, user: usize, whole: bool) {
        let uses = &mut self.entries[value.index()].uses;
        uses.count += 1;
        uses.first = uses.first.min(user as u32);
        uses.whole |= whole;
    }

    /// The plan for the instruction at `i`.
    pub(crate) fn entry(&self, i: usize) -> &Entry {
        &self.entries[i]
    }

    fn choose_role(&mut self, i: usize) {
        let uses = self.entries[i].uses;
        let inst = &self.block.insts[i];
        self.entries[i].role = match *inst {
            Inst::Const { bits, .. } => Role::Const(bits),
            Inst::Get { slot, .. } => Role::InPlace(slot.0 as u8),
            _ if inst.is_pure() && uses.count == 0 => Role::Dead,
            Inst::Convert { op: ConvertOp::Zext | ConvertOp::Bitcast, arg, .. } => self.alias(i, arg),
            Inst::Convert { op: ConvertOp::Trunc, arg, .. } if !uses.whole => self.alias(i, arg),
            Inst::Convert { op: ConvertOp::Sext, ty: Type::I64, arg } => self.fuse_word_op(i, arg),
            Inst::Compare { ty: Type::I32 | Type::I64, .. } if uses.count == 1 && self.decides_branch(i) => Role::Fused,
            _ => Role::Op,
        };
    }

    fn alias(&mut self, i: usize, arg: Value) -> Role {
        self.entries[i].root = self.root(arg);
        Role::Alias
    }

    /// The sign extension of an `i32` binary op is one op with it. Later users of the `i32` read the extended value, so
    /// they must look at the low bits only.
    fn fuse_word_op(&mut self, i: usize, arg: Value) -> Role {
        let is_binary = matches!(self.block.insts[arg.index()], Inst::Binary { ty: Type::I32, .. });
        let entry = &mut self.entries[arg.index()];
        if is_binary && entry.uses.first == i as u32 && !entry.uses.whole {
            entry.role = Role::Fused;
            entry.root = Value(i as u32);
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
            None => [self.block.term.arg(), None, None],
        };
        for value in direct.into_iter().flatten() {
            if self.is_fused_into(i, value) {
                self.block.insts[value.index()].args().for_each(|v| f(self.root(v)));
            } else {
                f(self.root(value));
            }
        }
    }

    fn find_last_uses(&mut self) {
        let end = self.block.insts.len();
        for i in 0..=end {
            if i == end || self.entries[i].role == Role::Op {
                let (mut roots, mut count) = ([Value(0); MAX_OPERANDS], 0);
                self.for_each_operand(i, |root| {
                    roots[count] = root;
                    count += 1;
                });
                roots[..count].iter().for_each(|root| self.entries[root.index()].last_use = i as u32);
            }
        }
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
                        self.entries[def].home = Some(slot.0 as u8);
                    }
                    next_write[slot.index()] = def.unwrap_or(i) as u32;
                }
                Inst::Get { slot, .. } if self.entries[i].last_use > next_write[slot.index()] => {
                    self.entries[i].role = Role::Op
                }
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
            Inst::Get { slot, .. } => self.entries[def].last_use > next_write[slot.index()],
            _ => self.entries[def].role == Role::Op,
        };
        let fits = has_op
            && self.entries[def].home.is_none()
            && def >= insn_start
            && self.entries[def].last_use <= next_write[slot.index()];
        let disturbs = |inst: &Inst| match inst {
            Inst::Get { slot: s, .. } | Inst::Set { slot: s, .. } => *s == slot,
            _ => inst.can_fault(),
        };
        (fits && !self.block.insts[def + 1..i].iter().any(disturbs)).then_some(def)
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
