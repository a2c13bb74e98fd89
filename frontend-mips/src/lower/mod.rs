//! What each instruction means, as IR: one file for each of the manual's groups of instructions, one short function for
//! each instruction. Here is what they share.

pub mod alu;
pub mod atomic;
pub mod branch;
pub mod cop0;
pub mod fpu;
pub mod fpu_convert;
pub mod load_store;
pub mod mul_div;
pub mod paired;
pub mod system;

use crate::config::{Config, FrMode};
use crate::delay::Branch;
use crate::fields::Word;
use crate::regs::{fpr_slot, gpr_slot};
use crate::translate::Mode;
use emu_ir::{Access, BinaryOp, Builder, ConvertOp, Slot, Terminator, TrapKind, Type, Value};

/// How an instruction ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flow {
    /// Go on with the next instruction.
    Next,
    /// It ends the block.
    End(Terminator),
    /// It is a branch: [`crate::delay`] runs its slot and ends the block.
    Branch(Branch),
    /// The encoding turned out to be reserved; nothing has been set or accessed.
    Illegal,
}

/// A lowering function: appends the meaning of one word.
pub type LowerFn = fn(&mut Lower, Word) -> Flow;

/// The state of lowering one block: the builder, and where it stands.
pub struct Lower<'a> {
    /// What appends IR.
    pub ir: Builder,
    /// Where exceptions are reported: the address of the instruction, or of the branch whose slot it is in.
    pub pc: u64,
    /// Address of the instruction.
    pub here: u64,
    config: &'a Config,
    fr: FrMode,
    /// Are misaligned accesses errors?
    strict: bool,
    /// The floating-point registers that the instruction has read, for `exact`.
    pub(crate) fp_reads: Vec<(Slot, Value)>,
}

impl<'a> Lower<'a> {
    /// Starts a block in that mode.
    pub fn new(ir: Builder, config: &'a Config, mode: Mode) -> Lower<'a> {
        Lower { ir, pc: 0, here: 0, config, fr: mode.fr, strict: mode.strict, fp_reads: Vec::new() }
    }

    /// What follows belongs to the instruction at `pc`.
    pub fn begin(&mut self, pc: u64) {
        (self.pc, self.here) = (pc, pc);
        self.fp_reads.clear();
        self.ir.begin_insn(pc, 4);
    }

    /// What follows belongs to the delay slot of the branch at `pc`.
    pub(crate) fn begin_slot(&mut self) {
        self.here = self.pc_plus(4);
        self.fp_reads.clear();
        self.ir.begin_insn(self.pc, 8);
    }

    /// The configuration.
    pub fn config(&self) -> &'a Config {
        self.config
    }

    /// Are the general registers 64 bits wide?
    pub fn is_64(&self) -> bool {
        self.config.bits() == 64
    }

    /// The type of a general register and of an address.
    pub fn word(&self) -> Type {
        if self.is_64() { Type::I64 } else { Type::I32 }
    }

    /// `pc + offset`, in the address space.
    pub fn pc_plus(&self, offset: i64) -> u64 {
        self.pc.wrapping_add(offset as u64) & self.word().mask()
    }

    /// The instruction's own address plus `offset`, as a register holds it.
    pub fn here_plus(&mut self, offset: i64) -> Value {
        self.imm(self.here.wrapping_add(offset as u64) as i64)
    }

    /// A constant of a register's width.
    pub fn imm(&mut self, value: i64) -> Value {
        self.ir.iconst(self.word(), value)
    }

    /// A general register; `$zero` is 0.
    pub fn gpr(&mut self, reg: u32) -> Value {
        if reg == 0 { self.imm(0) } else { self.ir.get(self.word(), gpr_slot(reg)) }
    }

    /// Writes a general register; `$zero` ignores it.
    pub fn set_gpr(&mut self, reg: u32, value: Value) {
        if reg != 0 {
            self.ir.set(gpr_slot(reg), value);
        }
    }

    /// The low bits of a general register, as the type says.
    pub fn gpr_as(&mut self, ty: Type, reg: u32) -> Value {
        let value = self.gpr(reg);
        self.ir.trunc(ty, value)
    }

    /// The low 32 bits of a general register. (Instructions on 32-bit operands are unpredictable on others.)
    pub fn w(&mut self, reg: u32) -> Value {
        self.gpr_as(Type::I32, reg)
    }

    /// Writes a general register with a value of 32 bits, sign-extended where it is wider.
    pub fn set_w(&mut self, reg: u32, value: Value) {
        let value = self.ir.sext(self.word(), value);
        self.set_gpr(reg, value);
    }

    /// Writes a general register with a boolean.
    pub fn set_bool(&mut self, reg: u32, value: Value) {
        let value = self.ir.zext(self.word(), value);
        self.set_gpr(reg, value);
    }

    /// `a op immediate`.
    pub fn with_imm(&mut self, op: BinaryOp, a: Value, value: i64) -> Value {
        let imm = self.ir.iconst(self.ir.ty(a), value);
        self.ir.binary(op, a, imm)
    }

    /// Is it not 0? As a condition.
    pub fn nonzero(&mut self, a: Value) -> Value {
        let zero = self.ir.iconst(self.ir.ty(a), 0);
        self.ir.compare(emu_ir::Cond::Ne, a, zero)
    }

    /// The opposite of a condition.
    pub fn not(&mut self, cond: Value) -> Value {
        let one = self.ir.iconst(Type::I8, 1);
        self.ir.xor(cond, one)
    }

    /// An access of the processor's byte order. Misaligned ones are done: as Linux does for a user program where the
    /// processor does not (arch/mips/kernel/unaligned.c; Release 6 demands it of the processor).
    pub fn access(&self, bytes: u8, signed: bool) -> Access {
        Access { bytes, signed, big_endian: self.config.big_endian }
    }

    /// Where misaligned accesses are errors: one at base + offset traps.
    pub fn check_alignment(&mut self, base: Value, offset: i64, bytes: u8) {
        if self.strict && bytes > 1 {
            let addr = self.with_imm(BinaryOp::Add, base, offset);
            let low = self.with_imm(BinaryOp::And, addr, i64::from(bytes - 1));
            let odd = self.nonzero(low);
            self.ir.trap_if(odd, TrapKind::MisalignedTarget);
        }
    }

    /// Ends the block with a trap.
    pub fn trap(&self, kind: TrapKind) -> Flow {
        Flow::End(Terminator::Trap { kind })
    }

    // Floating-point registers. Only what follows knows how they are laid out.

    /// The 64 bits of a slot.
    fn fpr(&mut self, slot: Slot) -> Value {
        if let Some((_, value)) = self.fp_reads.iter().find(|(s, _)| *s == slot) {
            return *value;
        }
        let value = self.ir.get(Type::F64, slot);
        self.fp_reads.push((slot, value));
        value
    }

    /// Where a single is: its slot, and whether in the upper half.
    fn single(&self, reg: u32) -> (Slot, bool) {
        match self.fr {
            FrMode::Wide => (fpr_slot(reg), false),
            FrMode::Pairs | FrMode::Emulated => (fpr_slot(reg & !1), reg & 1 == 1),
        }
    }

    /// A register of 32 bits.
    pub fn bits32(&mut self, reg: u32) -> Value {
        let (slot, high) = self.single(reg);
        let raw = self.fpr(slot);
        let bits = self.ir.convert(ConvertOp::Bitcast, Type::I64, raw);
        let half = if high { self.with_imm(BinaryOp::ShrU, bits, 32) } else { bits };
        self.ir.trunc(Type::I32, half)
    }

    /// Writes a register of 32 bits. With `FR` = 0 the other half of the pair stays; with `FR` = 1 the manual leaves the upper
    /// half open, and it becomes 0.
    pub fn set_bits32(&mut self, reg: u32, value: Value) {
        let (slot, high) = self.single(reg);
        let wide = self.ir.zext(Type::I64, value);
        let bits = if self.fr == FrMode::Wide { wide } else { self.merge_half(slot, wide, high) };
        let raw = self.ir.convert(ConvertOp::Bitcast, Type::F64, bits);
        self.ir.set(slot, raw);
    }

    fn merge_half(&mut self, slot: Slot, wide: Value, high: bool) -> Value {
        let old = self.fpr(slot);
        let old = self.ir.convert(ConvertOp::Bitcast, Type::I64, old);
        let keep = if high { u64::from(u32::MAX) } else { !u64::from(u32::MAX) };
        let kept = self.with_imm(BinaryOp::And, old, keep as i64);
        let new = if high { self.with_imm(BinaryOp::Shl, wide, 32) } else { wide };
        self.ir.binary(BinaryOp::Or, kept, new)
    }

    /// A register of 64 bits: an even one with `FR` = 0.
    pub fn bits64(&mut self, reg: u32) -> Value {
        let raw = self.fpr(fpr_slot(reg));
        self.ir.convert(ConvertOp::Bitcast, Type::I64, raw)
    }

    /// Writes a register of 64 bits.
    pub fn set_bits64(&mut self, reg: u32, value: Value) {
        let raw = self.ir.convert(ConvertOp::Bitcast, Type::F64, value);
        self.ir.set(fpr_slot(reg), raw);
    }

    /// A register as a number of that format.
    pub fn f(&mut self, ty: Type, reg: u32) -> Value {
        if ty == Type::F64 {
            return self.fpr(fpr_slot(reg));
        }
        let bits = self.bits32(reg);
        self.ir.convert(ConvertOp::Bitcast, Type::F32, bits)
    }

    /// Writes a register with a number of either format.
    pub fn set_f(&mut self, reg: u32, value: Value) {
        if self.ir.ty(value) == Type::F64 {
            return self.ir.set(fpr_slot(reg), value);
        }
        let bits = self.ir.convert(ConvertOp::Bitcast, Type::I32, value);
        self.set_bits32(reg, bits);
    }

    /// A register as an integer of 32 or 64 bits.
    pub fn f_int(&mut self, ty: Type, reg: u32) -> Value {
        if ty == Type::I64 { self.bits64(reg) } else { self.bits32(reg) }
    }

    /// Writes a register with an integer of 32 or 64 bits.
    pub fn set_f_int(&mut self, reg: u32, value: Value) {
        if self.ir.ty(value) == Type::I64 { self.set_bits64(reg, value) } else { self.set_bits32(reg, value) }
    }

    /// The upper half of a register: with `FR` = 0 that of the pair.
    pub fn high_half(&mut self, reg: u32) -> Value {
        let reg = if self.fr == FrMode::Pairs { reg & !1 } else { reg };
        let bits = self.bits64(reg);
        let high = self.with_imm(BinaryOp::ShrU, bits, 32);
        self.ir.trunc(Type::I32, high)
    }

    /// Writes the upper half of a register, or of a pair.
    pub fn set_high_half(&mut self, reg: u32, value: Value) {
        let reg = if self.fr == FrMode::Pairs { reg & !1 } else { reg };
        let wide = self.ir.zext(Type::I64, value);
        let bits = self.merge_half(fpr_slot(reg), wide, true);
        self.set_bits64(reg, bits);
    }

    /// Floating-point condition `cc`.
    pub fn fcc(&mut self, cc: u32) -> Value {
        self.ir.get(Type::I8, crate::regs::fcc_slot(cc))
    }
}
