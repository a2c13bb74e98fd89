//! From a [`Block`] to the ops that `exec` runs.

use crate::opcode::{self, Op};
use crate::plan::{Plan, Role};
use crate::slow::SlowOp;
use emu_ir::{
    BinaryOp, Block, BlockKey, Cond, ConvertOp, Exit, ExitKind, Guest, HelperDef, Inst, NanRule, Terminator, Trap,
    TrapKind, Type, Value,
};
use std::ops::Range;

/// A block, decoded for the interpreter.
pub struct Code {
    key: BlockKey,
    span: Range<u64>,
    pub(crate) ops: Vec<Op>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) slow: Vec<SlowOp>,
    pub(crate) traps: Vec<TrapKind>,
    /// Where the block may be left in the middle.
    pub(crate) side_exits: Vec<u64>,
    /// How many values live in the frame because the temporaries did not suffice.
    pub(crate) spills: usize,
    /// Where a jump or a branch goes: if the condition holds, and else.
    pub(crate) targets: [u64; 2],
    target_count: usize,
    pub(crate) leave: Leave,
    pub(crate) nan: NanRule,
}

/// Where a guest instruction starts.
pub(crate) struct Mark {
    pub(crate) pc: u64,
    pub(crate) first_op: u32,
    /// Where a run that is to stop before the instruction stops: after the side exit that it begins with, since an instruction
    /// that is left so has not run (a delay slot that a branch-likely skips).
    pub(crate) stop: u32,
}

/// How the block ends if not by a jump.
pub(crate) struct Leave {
    pub(crate) pc: u64,
    pub(crate) retired: u64,
    pub(crate) exit: Exit,
}

/// The first temporary in [`emu_ir::CpuState::slots`]; below are the guest's registers.
const FIRST_TEMP: u8 = 128;
/// Temporaries from here on hold values only on their way between an op and the frame.
const STAGING: u8 = 252;
/// The one for results, also of results that nobody reads.
const RESULT: u8 = 255;
/// Ops between two returns to the driver: bounds the host stack where the compiler keeps a frame for each op.
const PAUSE_EVERY: usize = 256;

impl Code {
    /// Decodes a block, which must be well formed ([`emu_ir::verify`]); `guest` gives the helpers it calls.
    ///
    /// # Panics
    /// If the block is not well formed or names a helper that the guest does not have.
    pub fn new(block: &Block, guest: &dyn Guest) -> Code {
        Decoder::new(block, guest.helpers()).run()
    }

    /// What the block was made from.
    pub fn key(&self) -> BlockKey {
        self.key
    }

    /// Number of guest instructions.
    pub fn insn_count(&self) -> u32 {
        self.marks.len() as u32
    }

    /// The guest addresses of the block's bytes.
    pub fn span(&self) -> Range<u64> {
        self.span.clone()
    }

    /// The addresses that the block's end names, for links to other blocks: one of a jump, two of a branch (taken
    /// first), none of another end. After [`Exit::Next`] `cpu.pc` is one of them unless the jump was indirect.
    pub fn targets(&self) -> &[u64] {
        &self.targets[..self.target_count]
    }

    /// Number of the interpreter's ops, for statistics.
    pub fn op_count(&self) -> usize {
        self.ops.len()
    }

    /// The guest instruction that the op belongs to.
    pub(crate) fn insn_of(&self, op: usize) -> usize {
        self.marks.partition_point(|m| m.first_op as usize <= op) - 1
    }
}

/// Where a value is while ops are emitted.
#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    At(u8),
    /// In the frame.
    Far(u32),
}

struct Decoder<'b> {
    block: &'b Block,
    helpers: &'b [HelperDef],
    plan: Plan<'b>,
    place: Vec<Place>,
    /// The temporaries that hold nothing, a bit each.
    free: u128,
    next_staging: u8,
    next_pause: usize,
    code: Code,
}

impl<'b> Decoder<'b> {
    fn new(block: &'b Block, helpers: &'b [HelperDef]) -> Decoder<'b> {
        let start = block.marks.iter().map(|m| m.pc).min().unwrap_or(block.key.pc);
        let end = block.marks.iter().map(|m| m.pc.wrapping_add(m.len.into())).max().unwrap_or(block.key.pc);
        let code = Code {
            key: block.key,
            span: start..end,
            ops: Vec::with_capacity(block.insts.len() / 2 + 4),
            marks: Vec::with_capacity(block.marks.len()),
            slow: Vec::new(),
            traps: Vec::new(),
            side_exits: Vec::new(),
            spills: 0,
            targets: [0; 2],
            target_count: 0,
            leave: Leave { pc: 0, retired: 0, exit: Exit::Next },
            nan: block.nan,
        };
        Decoder {
            block,
            helpers,
            plan: Plan::new(block),
            place: vec![Place::Nowhere; block.insts.len()],
            free: (1 << (STAGING - FIRST_TEMP)) - 1,
            next_staging: STAGING,
            next_pause: PAUSE_EVERY,
            code,
        }
    }

    fn run(mut self) -> Code {
        for i in 0..self.block.insts.len() {
            self.marks_up_to(i);
            match self.plan.entry(i).role {
                Role::Op => self.inst(i),
                Role::InPlace(slot) => self.place[i] = Place::At(slot),
                Role::Alias | Role::Const(_) | Role::Fused | Role::Dead => {}
            }
        }
        self.marks_up_to(self.block.insts.len());
        self.terminator();
        self.code
    }

    /// Notes the guest instructions that start at or before the IR instruction at `i`.
    fn marks_up_to(&mut self, i: usize) {
        while let Some(mark) = self.block.marks.get(self.code.marks.len()).filter(|m| m.first as usize <= i) {
            let first_op = self.code.ops.len() as u32;
            self.code.marks.push(Mark { pc: mark.pc, first_op, stop: first_op });
        }
    }

    fn inst(&mut self, i: usize) {
        match self.block.insts[i] {
            Inst::Get { slot, .. } => self.push_to_value(i, Op { a: slot.0 as u8, ..op(opcode::MOVE) }),
            Inst::Set { slot, value, .. } => self.set(i, slot.0 as u8, value),
            Inst::Unary { op, ty, arg } => self.emit(i, opcode::unary(op, ty), &[arg], 0),
            Inst::Binary { op, ty, args } => self.binary(i, op, ty as u8, args),
            Inst::Compare { cond, ty, args } => self.compare(i, cond, args, |c, imm| opcode::compare(c, ty, imm)),
            Inst::Select { cond, args: [a, b], .. } => self.emit(i, opcode::SELECT, &[cond, a, b], 0),
            Inst::Convert { op: ConvertOp::Sext, ty, arg } => self.sext(i, ty, arg),
            Inst::Convert { op: ConvertOp::Trunc, ty, arg } => self.emit(i, opcode::trunc(ty), &[arg], 0),
            Inst::Convert { op: ConvertOp::Box, arg, .. } => self.emit(i, opcode::BOX, &[arg], 0),
            Inst::Convert { op: ConvertOp::Unbox, arg, .. } => self.emit(i, opcode::UNBOX, &[arg], 0),
            Inst::FloatUnary { op, ty, round, arg } => self.emit(i, opcode::float_unary(op, ty), &[arg], round as u64),
            Inst::FloatBinary { op, ty, round, args } => {
                self.emit(i, opcode::float_binary(op, ty), &args, round as u64);
            }
            Inst::FloatFma { ty, round, args } => self.emit(i, opcode::float_fma(ty), &args, round as u64),
            Inst::FloatCompare { cond, quietness, ty, args } => {
                self.emit(i, opcode::float_compare(cond, ty), &args, quietness as u64);
            }
            Inst::FloatClass { ty, arg } => self.emit(i, opcode::float_class(ty), &[arg], 0),
            Inst::FloatConvert { op, ty, round, arg } => {
                let code = opcode::float_convert(op, self.block.ty(arg), ty);
                self.emit(i, code, &[arg], round as u64);
            }
            Inst::Load { ty, access, addr, offset } => {
                let extend = if access.signed && access.bytes < ty.bytes() { ty } else { Type::I8 };
                let code = opcode::load(access.bytes, extend, access.big_endian, self.block.ty(addr));
                self.emit(i, code, &[addr], offset as i64 as u64);
            }
            Inst::Store { access, addr, offset, value, .. } => {
                let code = opcode::store(access.bytes, access.big_endian, self.block.ty(addr));
                self.emit(i, code, &[addr, value], offset as i64 as u64);
            }
            Inst::TrapIf { cond, kind } => {
                self.code.traps.push(kind);
                self.emit(i, opcode::TRAP_IF, &[cond], self.code.traps.len() as u64 - 1);
            }
            Inst::LeaveIf { cond, target } => {
                self.code.side_exits.push(target);
                self.emit(i, opcode::LEAVE_IF, &[cond], self.code.side_exits.len() as u64 - 1);
                let mark = self.code.marks.len() - 1;
                if self.block.side_exit_before(mark) == Some(i) {
                    self.code.marks[mark].stop = self.code.ops.len() as u32;
                }
            }
            inst => self.slow(i, inst),
        }
    }

    fn slow(&mut self, i: usize, inst: Inst) {
        let args: Vec<Value> = inst.args().collect();
        let helper = match inst {
            Inst::Call { helper, .. } => Some(self.helpers[usize::from(helper.0)].func),
            _ => None,
        };
        let retired = self.code.marks.len() as u64 - 1;
        let pc = self.code.marks[retired as usize].pc;
        self.code.slow.push(SlowOp { inst, helper, pc, retired });
        self.emit(i, opcode::SLOW, &args, self.code.slow.len() as u64 - 1);
    }

    fn set(&mut self, i: usize, slot: u8, value: Value) {
        let root = self.plan.root(value).index();
        if self.plan.entry(root).home == Some(slot) && matches!(self.place[root], Place::At(at) if at == slot) {
            return;
        }
        match self.plan.constant(value) {
            Some(bits) => self.push(Op { d: slot, imm: bits, ..op(opcode::CONST) }),
            None => {
                let a = self.operand(value);
                self.release(i);
                if a != slot {
                    self.push(Op { d: slot, a, ..op(opcode::MOVE) });
                }
            }
        }
    }

    /// `width` as in [`opcode::binary`].
    fn binary(&mut self, i: usize, op: BinaryOp, width: u8, args: [Value; 2]) {
        use BinaryOp::*;
        let commutes = matches!(op, Add | Mul | MulHiS | MulHiU | And | Or | Xor | Clmul | ClmulHi);
        match args.map(|v| self.plan.constant(v)) {
            [_, Some(imm)] => self.emit(i, opcode::binary(op, width, true), &args[..1], imm),
            [Some(imm), None] if commutes => self.emit(i, opcode::binary(op, width, true), &args[1..], imm),
            _ => self.emit(i, opcode::binary(op, width, false), &args, 0),
        }
    }

    /// A comparison or a branch on one; `code` makes the op code from the condition and "the second is constant".
    fn compare(&mut self, i: usize, cond: Cond, args: [Value; 2], code: impl Fn(Cond, bool) -> u16) {
        match args.map(|v| self.plan.constant(v)) {
            [_, Some(imm)] => self.emit(i, code(cond, true), &args[..1], imm),
            [Some(imm), None] => self.emit(i, code(cond.swapped(), true), &args[1..], imm),
            _ => self.emit(i, code(cond, false), &args, 0),
        }
    }

    fn sext(&mut self, i: usize, ty: Type, arg: Value) {
        match self.block.insts[arg.index()] {
            Inst::Binary { op, args, .. } if self.plan.is_fused_into(i, arg) => self.binary(i, op, opcode::WORD, args),
            _ => self.emit(i, opcode::sext(self.block.ty(arg), ty), &[arg], 0),
        }
    }

    fn terminator(&mut self) {
        let end = self.block.insts.len();
        match self.block.term {
            Terminator::Jump { target, .. } => {
                (self.code.targets, self.code.target_count) = ([target; 2], 1);
                self.push(op(opcode::JUMP));
            }
            Terminator::Branch { cond, taken, next } => {
                (self.code.targets, self.code.target_count) = ([taken, next], 2);
                self.branch(end, cond);
            }
            Terminator::Indirect { target, .. } => self.emit(end, opcode::INDIRECT, &[target], 0),
            Terminator::Syscall { next } => self.leave(next, 0, Exit::Syscall { insn: self.block.last_pc() }),
            Terminator::Trap { kind } => self.leave(self.block.last_pc(), 1, Exit::Trap(Trap { kind })),
            Terminator::ExitTo { kind, target } => {
                let retired = u64::from(self.block.insn_count());
                self.code.leave = Leave { pc: 0, retired, exit: exit_of(kind) };
                self.emit(end, opcode::LEAVE_TO, &[target], 0);
            }
            Terminator::Exit { kind, next } => self.leave(next, 0, exit_of(kind)),
        }
    }

    fn branch(&mut self, end: usize, cond: Value) {
        match self.block.insts[cond.index()] {
            Inst::Compare { cond: c, ty, args } if self.plan.is_fused_into(end, cond) => {
                self.compare(end, c, args, |c, imm| opcode::branch(c, ty, imm));
            }
            _ => self.emit(end, opcode::BRANCH_IF, &[cond], 0),
        }
    }

    fn leave(&mut self, pc: u64, not_retired: u64, exit: Exit) {
        self.code.leave = Leave { pc, retired: u64::from(self.block.insn_count()) - not_retired, exit };
        self.push(op(opcode::LEAVE));
    }

    /// Emits the op of the instruction at `i`: its operands, the op, and the spill of a result without a place.
    fn emit(&mut self, i: usize, code: u16, operands: &[Value], imm: u64) {
        let mut at = [0; 3];
        for (at, value) in at.iter_mut().zip(operands) {
            *at = self.operand(*value);
        }
        self.release(i);
        let [a, b, c] = at;
        let new = Op { a, b, c, imm, ..op(code) };
        if i < self.block.insts.len() { self.push_to_value(i, new) } else { self.push(new) }
    }

    /// The location of an operand; constants and far values are brought to one.
    fn operand(&mut self, value: Value) -> u8 {
        let root = self.plan.root(value).index();
        match (self.place[root], self.plan.entry(root).role) {
            (Place::At(at), _) => at,
            (Place::Far(index), _) => {
                let d = self.staging();
                self.push(Op { d, imm: index.into(), ..op(opcode::FILL) });
                d
            }
            (Place::Nowhere, Role::Const(imm)) => {
                let d = match self.take_temp() {
                    Some(temp) => {
                        self.place[root] = Place::At(temp);
                        temp
                    }
                    None => self.staging(),
                };
                self.push(Op { d, imm, ..op(opcode::CONST) });
                d
            }
            (Place::Nowhere, role) => unreachable!("v{root} is used but {role:?}: {:?}", self.block),
        }
    }

    fn take_temp(&mut self) -> Option<u8> {
        let temp = self.free.trailing_zeros() as u8;
        self.free &= self.free.wrapping_sub(1);
        (temp < STAGING - FIRST_TEMP).then(|| FIRST_TEMP + temp)
    }

    fn staging(&mut self) -> u8 {
        let at = self.next_staging;
        self.next_staging = if at + 1 == RESULT { STAGING } else { at + 1 };
        at
    }

    /// Frees the temporaries of the operands that the instruction at `i` is the last to use.
    fn release(&mut self, i: usize) {
        let (place, free) = (&mut self.place, &mut self.free);
        self.plan.for_each_operand(i, |root| {
            if self.plan.entry(root.index()).last_use == i as u32
                && let Place::At(temp) = place[root.index()]
            {
                if temp >= FIRST_TEMP {
                    *free |= 1 << (temp - FIRST_TEMP);
                }
                place[root.index()] = Place::Nowhere;
            }
        });
    }

    /// Emits an op whose result is the value of the instruction at `i`.
    fn push_to_value(&mut self, i: usize, new: Op) {
        let used = self.plan.entry(i).last_use > i as u32;
        let place = match (self.plan.entry(i).home, used) {
            (Some(slot), _) => Place::At(slot),
            (None, false) => Place::At(RESULT),
            (None, true) => self.take_temp().map_or_else(|| self.far(), Place::At),
        };
        self.place[i] = place;
        match place {
            Place::At(d) => self.push(Op { d, ..new }),
            Place::Far(index) => {
                self.push(Op { d: RESULT, ..new });
                self.push(Op { a: RESULT, imm: index.into(), ..op(opcode::SPILL) });
            }
            Place::Nowhere => unreachable!("every value was given a place"),
        }
    }

    fn far(&mut self) -> Place {
        self.code.spills += 1;
        Place::Far(self.code.spills as u32 - 1)
    }

    fn push(&mut self, new: Op) {
        if self.code.ops.len() >= self.next_pause {
            self.code.ops.push(op(opcode::PAUSE));
            self.next_pause = self.code.ops.len() + PAUSE_EVERY;
        }
        self.code.ops.push(new);
    }
}

const fn op(code: u16) -> Op {
    Op { code, d: RESULT, a: 0, b: 0, c: 0, imm: 0 }
}

fn exit_of(kind: ExitKind) -> Exit {
    match kind {
        ExitKind::InsnFence => Exit::InsnFence,
        ExitKind::ModeChange => Exit::ModeChange,
        ExitKind::Yield => Exit::Yield,
    }
}
