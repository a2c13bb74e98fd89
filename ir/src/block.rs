//! Blocks: straight-line SSA code with one terminator.

use crate::guest::TrapKind;
use crate::op::*;
use crate::reserve::ScId;
use crate::state::Slot;
use crate::types::Type;

/// What names a block: the guest address and the mode bits that change what the bytes mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockKey {
    /// Guest address of the first instruction.
    pub pc: u64,
    /// Mode bits, as [`crate::Guest::mode`] computes them.
    pub mode: u32,
}

/// An SSA value: the index of the [`Inst`] that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

/// Stands for no value at all.
pub(crate) const NO_VALUE: Value = Value(u32::MAX);

impl Value {
    /// The index of the defining instruction.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One IR instruction.
///
/// `ty` is the type of the result, or for instructions without one the type of the value they consume, or for
/// comparisons the type of the operands (their result is an [`Type::I8`]).
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Inst {
    /// A constant, its bits zero-extended.
    Const {
        ty: Type,
        bits: u64,
    },
    /// Read a register slot.
    Get {
        ty: Type,
        slot: Slot,
    },
    /// Write a register slot.
    Set {
        ty: Type,
        slot: Slot,
        value: Value,
    },
    Unary {
        op: UnaryOp,
        ty: Type,
        arg: Value,
    },
    Binary {
        op: BinaryOp,
        ty: Type,
        args: [Value; 2],
    },
    /// 1 if the condition holds, else 0.
    Compare {
        cond: Cond,
        ty: Type,
        args: [Value; 2],
    },
    /// The first argument if `cond` is not 0, else the second.
    Select {
        ty: Type,
        cond: Value,
        args: [Value; 2],
    },
    Convert {
        op: ConvertOp,
        ty: Type,
        arg: Value,
    },
    FloatUnary {
        op: FloatUnaryOp,
        ty: Type,
        round: Round,
        arg: Value,
    },
    FloatBinary {
        op: FloatBinaryOp,
        ty: Type,
        round: Round,
        args: [Value; 2],
    },
    /// `args[0] * args[1] + args[2]`, rounded once.
    FloatFma {
        ty: Type,
        round: Round,
        args: [Value; 3],
    },
    /// 1 if the condition holds.
    FloatCompare {
        cond: FloatCond,
        quietness: Quietness,
        ty: Type,
        args: [Value; 2],
    },
    /// RISC-V's `fclass` mask, an `i32`; `ty` is the operand's type.
    FloatClass {
        ty: Type,
        arg: Value,
    },
    /// `ty` is the result's type.
    FloatConvert {
        op: FloatConvertOp,
        ty: Type,
        round: Round,
        arg: Value,
    },
    /// Read guest memory at `addr + offset`, which wraps in the type of `addr`.
    Load {
        ty: Type,
        access: Access,
        addr: Value,
        offset: i32,
    },
    /// Write the low bytes of `value` to guest memory.
    Store {
        ty: Type,
        access: Access,
        addr: Value,
        offset: i32,
        value: Value,
    },
    /// Atomic read-modify-write of `ty`'s width; the result is the old value. A misaligned address faults.
    AtomicRmw {
        op: AtomicOp,
        ty: Type,
        addr: Value,
        value: Value,
    },
    /// Atomic compare and swap; the result is the old value.
    AtomicCas {
        ty: Type,
        addr: Value,
        expected: Value,
        new: Value,
    },
    /// Load and reserve for the store-conditional `id`. A misaligned address faults. If `id` is any ([`ScId::any`]), the guest instruction
    /// is the block's only one (but for the branch whose slot it is in), and the machine runs it, and what follows, alone.
    LoadReserved {
        ty: Type,
        addr: Value,
        id: ScId,
    },
    /// Store if there is a reservation of this address that is good for this store, whose name is `id`, and the bytes are what they were when
    /// it was made; the result, an `i8`, is 1 if it stored. Ends the reservation. ([`crate::reserve`] says why that is exact.)
    StoreConditional {
        ty: Type,
        addr: Value,
        value: Value,
        id: ScId,
    },
    Fence {
        kind: FenceKind,
    },
    /// The accrued exception flags, an `i32` with [`FpFlags`]' bits.
    ReadFpFlags,
    /// Replace the accrued exception flags by the low bits of an `i32`.
    WriteFpFlags {
        value: Value,
    },
    /// The dynamic rounding mode, an `i32` with RISC-V's numbering (it may hold a reserved one).
    ReadFpRound,
    /// Replace the dynamic rounding mode. The block must end with [`ExitKind::ModeChange`] right after.
    WriteFpRound {
        value: Value,
    },
    /// Call a helper of the guest with `count` arguments (integers). `ty` is the result's type.
    Call {
        helper: HelperId,
        ty: Type,
        count: u8,
        args: [Value; 3],
    },
    /// Raise the trap at this instruction's pc if `cond` is not 0.
    TrapIf {
        cond: Value,
        kind: TrapKind,
    },
    /// Leave the block for the code at `target` if `cond` is not 0; this guest instruction then has not run. An engine
    /// may take it for the rarer way.
    LeaveIf {
        cond: Value,
        target: u64,
    },
}

impl Inst {
    /// The type of the value it defines, if it defines one.
    pub fn result(&self) -> Option<Type> {
        use Inst::*;
        match *self {
            Const { ty, .. }
            | Get { ty, .. }
            | Unary { ty, .. }
            | Binary { ty, .. }
            | Select { ty, .. }
            | Convert { ty, .. }
            | FloatUnary { ty, .. }
            | FloatBinary { ty, .. }
            | FloatFma { ty, .. }
            | FloatConvert { ty, .. }
            | Load { ty, .. }
            | AtomicRmw { ty, .. }
            | AtomicCas { ty, .. }
            | LoadReserved { ty, .. }
            | Call { ty, .. } => Some(ty),
            Compare { .. } | FloatCompare { .. } | StoreConditional { .. } => Some(Type::I8),
            FloatClass { .. } | ReadFpFlags | ReadFpRound => Some(Type::I32),
            Set { .. }
            | Store { .. }
            | Fence { .. }
            | WriteFpFlags { .. }
            | WriteFpRound { .. }
            | TrapIf { .. }
            | LeaveIf { .. } => None,
        }
    }

    /// Calls `f` with each value it uses, in order; `f` may replace it.
    // Always: of a copy whose values are only read, nothing is copied then.
    #[inline(always)]
    pub fn for_each_arg(&mut self, mut f: impl FnMut(&mut Value)) {
        use Inst::*;
        match self {
            Const { .. } | Get { .. } | Fence { .. } | ReadFpFlags | ReadFpRound => {}
            Set { value: a, .. }
            | Unary { arg: a, .. }
            | Convert { arg: a, .. }
            | FloatUnary { arg: a, .. }
            | FloatClass { arg: a, .. }
            | FloatConvert { arg: a, .. }
            | Load { addr: a, .. }
            | LoadReserved { addr: a, .. }
            | WriteFpFlags { value: a }
            | WriteFpRound { value: a }
            | TrapIf { cond: a, .. }
            | LeaveIf { cond: a, .. } => f(a),
            Binary { args, .. } | Compare { args, .. } | FloatBinary { args, .. } | FloatCompare { args, .. } => {
                args.iter_mut().for_each(f)
            }
            Select { cond, args, .. } => {
                f(cond);
                args.iter_mut().for_each(f)
            }
            FloatFma { args, .. } => args.iter_mut().for_each(f),
            Store { addr, value, .. } | AtomicRmw { addr, value, .. } | StoreConditional { addr, value, .. } => {
                f(addr);
                f(value)
            }
            AtomicCas { addr, expected, new, .. } => {
                f(addr);
                f(expected);
                f(new)
            }
            Call { count, args, .. } => args[..usize::from(*count)].iter_mut().for_each(f),
        }
    }

    /// The values it uses, in order.
    #[inline]
    pub fn args(&self) -> impl Iterator<Item = Value> {
        let (mut list, mut n) = ([Value(0); 3], 0);
        let mut copy = *self;
        copy.for_each_arg(|v| {
            list[n] = *v;
            n += 1;
        });
        list.into_iter().take(n)
    }

    /// May it end the block early, by a fault, a trap or a jump? The guest's registers must be exact there.
    pub fn can_fault(&self) -> bool {
        use Inst::*;
        matches!(
            self,
            Load { .. }
                | Store { .. }
                | AtomicRmw { .. }
                | AtomicCas { .. }
                | LoadReserved { .. }
                | StoreConditional { .. }
                | Call { .. }
                | TrapIf { .. }
                | LeaveIf { .. }
        )
    }

    /// Does it have a result that may be another one when it runs again? The guest's registers must be exact at the end
    /// of its guest instruction: from there an engine can go on that has to repeat what follows.
    pub fn is_unrepeatable(&self) -> bool {
        use Inst::*;
        matches!(
            self,
            AtomicRmw { .. }
                | AtomicCas { .. }
                | LoadReserved { .. }
                | StoreConditional { .. }
                | Call { .. }
                | ReadFpFlags
        )
    }

    /// May it go away when nobody uses its result?
    ///
    /// Floating-point ops raise flags, so only those that cannot are removable.
    pub fn is_pure(&self) -> bool {
        use Inst::*;
        match self {
            Const { .. }
            | Get { .. }
            | Unary { .. }
            | Binary { .. }
            | Compare { .. }
            | Select { .. }
            | Convert { .. }
            | FloatClass { .. }
            | ReadFpFlags
            | ReadFpRound => true,
            FloatUnary { op, .. } => matches!(op, FloatUnaryOp::Neg | FloatUnaryOp::Abs),
            FloatBinary { op, .. } => matches!(op, FloatBinaryOp::CopySign),
            FloatCompare { quietness, .. } => *quietness == Quietness::Silent,
            _ => false,
        }
    }
}

/// Is a direct jump a guest call?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JumpKind {
    /// A jump inside a function, or a tail call.
    Plain,
    /// A call: the callee is expected to return to `ret`.
    Call {
        /// The return address.
        ret: u64,
    },
}

/// What an indirect jump is, as far as the instruction tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndirectKind {
    /// A computed jump.
    Jump,
    /// A call through a register.
    Call {
        /// The return address.
        ret: u64,
    },
    /// A return.
    Return,
}

/// How a block ends; there is exactly one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Terminator {
    /// To a known address.
    Jump {
        /// Where to.
        target: u64,
        /// Call or not.
        kind: JumpKind,
    },
    /// To one of two known addresses.
    Branch {
        /// An `i8`: not 0 means taken.
        cond: Value,
        /// Where to if `cond` is not 0.
        taken: u64,
        /// Where to if `cond` is 0.
        next: u64,
    },
    /// To a computed address (of the guest's address width).
    Indirect {
        /// Where to.
        target: Value,
        /// Call, return or neither.
        kind: IndirectKind,
    },
    /// A system call; the instruction is the block's last. The guest goes on at `next`.
    Syscall {
        /// The address after the instruction.
        next: u64,
    },
    /// The block's last instruction raises a trap.
    Trap {
        /// Which.
        kind: TrapKind,
    },
    /// Hand over to the machine, then go on at `next`.
    Exit {
        /// Why.
        kind: ExitKind,
        /// Where to go on.
        next: u64,
    },
    /// Hand over to the machine, then go on at a computed address. The last instruction is one that may run twice.
    ExitTo {
        /// Why.
        kind: ExitKind,
        /// Where to go on.
        target: Value,
    },
}

impl Terminator {
    /// The addresses that it names as where the guest goes on, if the machine has nothing to do before.
    pub fn targets(&self) -> Vec<u64> {
        match *self {
            Terminator::Jump { target, .. } => vec![target],
            Terminator::Branch { taken, next, .. } => vec![next, taken],
            _ => Vec::new(),
        }
    }

    /// The value that it uses.
    pub fn arg(&self) -> Option<Value> {
        match *self {
            Terminator::Branch { cond: v, .. }
            | Terminator::Indirect { target: v, .. }
            | Terminator::ExitTo { target: v, .. } => Some(v),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn arg_mut(&mut self) -> Option<&mut Value> {
        match self {
            Terminator::Branch { cond: v, .. }
            | Terminator::Indirect { target: v, .. }
            | Terminator::ExitTo { target: v, .. } => Some(v),
            _ => None,
        }
    }
}

/// Where a guest instruction starts in the IR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsnMark {
    /// Guest address.
    pub pc: u64,
    /// Index of its first IR instruction.
    pub first: u32,
    /// Length in bytes.
    pub len: u8,
}

/// Straight-line code for consecutive guest instructions.
///
/// Invariants (checked by [`crate::verify`]): every value is defined before it is used; the types fit; in each
/// guest instruction everything that can fault comes before the first `Set`, so that a fault finds the
/// registers as they were before the instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// What it was made from.
    pub key: BlockKey,
    /// How its floating-point ops treat NaNs.
    pub nan: NanRule,
    /// The code.
    pub insts: Vec<Inst>,
    /// The guest instructions, in order; never empty.
    pub marks: Vec<InsnMark>,
    /// The end.
    pub term: Terminator,
    /// Addresses of other pages than those of its instructions that it depends on: what it was made from is stale when they change.
    pub beyond: Vec<u64>,
}

impl Block {
    /// The type of a value.
    ///
    /// # Panics
    /// If the instruction defines none: the block is not well formed.
    pub fn ty(&self, value: Value) -> Type {
        self.insts[value.index()].result().expect("a value is defined by an instruction with a result")
    }

    /// Does it begin a sequence that has to be run while nobody else runs?
    pub fn needs_window(&self) -> bool {
        // A load-reserved, or a branch with it.
        self.marks.len() <= 2
            && self.insts.iter().any(|inst| matches!(inst, Inst::LoadReserved { id, .. } if id.is_any()))
    }

    /// The registers, a bit for each slot, that have been written whenever the block has gone on to another one.
    pub fn surely_written(&self) -> u128 {
        let surely = self.insts.iter().take_while(|inst| !matches!(inst, Inst::LeaveIf { .. }));
        surely.fold(0, |written, inst| match inst {
            Inst::Set { slot, .. } => written | 1 << slot.0,
            _ => written,
        })
    }

    /// Number of guest instructions.
    pub fn insn_count(&self) -> u32 {
        self.marks.len() as u32
    }

    /// The guest address after the last instruction.
    pub fn end(&self) -> u64 {
        self.marks.last().map_or(self.key.pc, |m| m.pc.wrapping_add(m.len.into()))
    }

    /// The guest address of the last instruction.
    pub fn last_pc(&self) -> u64 {
        self.marks.last().map_or(self.key.pc, |m| m.pc)
    }

    /// The guest address of the instruction that the IR instruction at `index` belongs to.
    pub fn pc_of(&self, index: usize) -> u64 {
        let n = self.marks.partition_point(|m| m.first as usize <= index);
        self.marks[n.saturating_sub(1)].pc
    }

    /// Appends the block that runs when this one's branch is not taken: where it begins, the branch leaves if it is taken.
    /// False, and nothing is changed, if this block does not end with a branch that may go on with that one.
    pub fn append(&mut self, other: &Block) -> bool {
        let Terminator::Branch { cond, taken, next } = self.term else { return false };
        if (BlockKey { pc: next, ..self.key }, self.nan) != (other.key, other.nan) {
            return false;
        }
        let exit = self.insts.len() as u32;
        self.insts.push(Inst::LeaveIf { cond, target: taken });
        let first = exit + 1;
        let moved = |mut inst: Inst| {
            inst.for_each_arg(|arg| arg.0 += first);
            inst
        };
        self.insts.extend(other.insts.iter().copied().map(moved));
        let marks = other.marks.iter().map(|mark| InsnMark { first: mark.first + first, ..*mark });
        let from = self.marks.len();
        self.marks.extend(marks);
        self.marks[from].first = exit;
        self.beyond.extend(&other.beyond);
        self.term = other.term;
        if let Some(arg) = self.term.arg_mut() {
            arg.0 += first;
        }
        true
    }

    /// Did a block begin at this guest instruction that was appended? (Another side exit stands in a delay slot, at its
    /// branch's address.)
    pub fn is_joint(&self, mark: usize) -> bool {
        mark > 0 && self.marks[mark - 1].pc != self.marks[mark].pc && self.side_exit_before(mark).is_some()
    }

    /// The address of the last block that was appended, or else its own.
    pub fn last_joint(&self) -> u64 {
        let joint = (0..self.marks.len()).rev().find(|mark| self.is_joint(*mark));
        joint.map_or(self.key.pc, |mark| self.marks[mark].pc)
    }

    /// The index of the [`Inst::LeaveIf`] that a guest instruction begins with, before anything that the guest could see.
    pub fn side_exit_before(&self, mark: usize) -> Option<usize> {
        let first = self.marks[mark].first as usize;
        let end = self.marks.get(mark + 1).map_or(self.insts.len(), |next| next.first as usize);
        let i = first + self.insts[first..end].iter().position(|inst| !inst.is_pure())?;
        matches!(self.insts[i], Inst::LeaveIf { .. }).then_some(i)
    }
}
