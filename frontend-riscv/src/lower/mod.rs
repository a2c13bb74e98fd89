//! What each instruction means, as IR: one file for each chapter of the unprivileged manual, one short function
//! for each instruction. Here is what they share.

pub mod a;
pub mod b;
pub mod c;
pub mod d;
pub mod f;
pub mod i;
pub mod m;
pub mod zicond;
pub mod zicsr;

use crate::config::Config;
use crate::fields::Word;
use crate::regs::{f_slot, x_slot};
use crate::translate::mode;
use emu_ir::{BinaryOp, Builder, ConvertOp, Round, Terminator, TrapKind, Type, Value};

/// How an instruction ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flow {
    /// Go on with the next instruction.
    Next,
    /// It ends the block.
    End(Terminator),
    /// The encoding turned out to be illegal; nothing has been set or accessed.
    Illegal,
}

/// A lowering function: appends the meaning of one 32-bit word.
pub type LowerFn = fn(&mut Lower, Word) -> Flow;

/// The state of lowering one block: the builder, and where it stands.
pub struct Lower<'a> {
    /// What appends IR.
    pub ir: Builder,
    /// Address of the instruction.
    pub pc: u64,
    /// Its length in bytes: a compressed instruction has the meaning of the long one, but for its length.
    pub len: u8,
    config: &'a Config,
}

impl<'a> Lower<'a> {
    /// Starts a block.
    pub fn new(ir: Builder, config: &'a Config) -> Lower<'a> {
        Lower { ir, pc: 0, len: 0, config }
    }

    /// What follows belongs to the instruction at `pc`.
    pub fn begin(&mut self, pc: u64, len: u8) {
        (self.pc, self.len) = (pc, len);
        self.ir.begin_insn(pc, len);
    }

    /// The block's mode ([`mode`]).
    pub fn mode(&self) -> u32 {
        self.ir.key().mode
    }

    /// The configuration.
    pub fn config(&self) -> &'a Config {
        self.config
    }

    /// The type of an integer register and of an address.
    pub fn xlen(&self) -> Type {
        if self.config.xlen == 64 { Type::I64 } else { Type::I32 }
    }

    /// `pc + offset`, in the address space.
    pub fn pc_plus(&self, offset: i64) -> u64 {
        self.pc.wrapping_add(offset as u64) & self.xlen().mask()
    }

    /// The address after the instruction.
    pub fn next_pc(&self) -> u64 {
        self.pc_plus(self.len.into())
    }

    /// A constant of XLEN bits.
    pub fn imm(&mut self, value: i64) -> Value {
        self.ir.iconst(self.xlen(), value)
    }

    /// An integer register; `x0` is 0.
    pub fn x(&mut self, reg: u32) -> Value {
        if reg == 0 { self.imm(0) } else { self.ir.get(self.xlen(), x_slot(reg)) }
    }

    /// Writes an integer register; `x0` ignores it.
    pub fn set_x(&mut self, reg: u32, value: Value) {
        if reg != 0 {
            self.ir.set(x_slot(reg), value);
        }
    }

    /// The low 32 bits of an integer register.
    pub fn w(&mut self, reg: u32) -> Value {
        let value = self.x(reg);
        self.ir.trunc(Type::I32, value)
    }

    /// Writes an integer register with a sign-extended 32-bit value.
    pub fn set_w(&mut self, reg: u32, value: Value) {
        let value = self.ir.sext(self.xlen(), value);
        self.set_x(reg, value);
    }

    /// Writes an integer register with a zero-extended narrower value, as that of a comparison.
    pub fn set_zext(&mut self, reg: u32, value: Value) {
        let value = self.ir.zext(self.xlen(), value);
        self.set_x(reg, value);
    }

    /// An integer register's low bits, as the type says.
    pub fn x_as(&mut self, ty: Type, reg: u32) -> Value {
        let value = self.x(reg);
        self.ir.trunc(ty, value)
    }

    /// A floating-point register as a value of type `ty`; a binary32 value that is not NaN-boxed is the canonical NaN.
    pub fn f(&mut self, ty: Type, reg: u32) -> Value {
        let raw = self.ir.get(Type::F64, f_slot(reg));
        if ty == Type::F64 { raw } else { self.ir.convert(ConvertOp::Unbox, ty, raw) }
    }

    /// Writes a floating-point register; a binary32 value is NaN-boxed.
    pub fn set_f(&mut self, reg: u32, value: Value) {
        let boxed =
            if self.ir.ty(value) == Type::F64 { value } else { self.ir.convert(ConvertOp::Box, Type::F64, value) };
        self.ir.set(f_slot(reg), boxed);
    }

    /// The bits of a floating-point register, whatever they stand for: the low ones if `ty` is I32.
    pub fn f_bits(&mut self, ty: Type, reg: u32) -> Value {
        let raw = self.ir.get(Type::F64, f_slot(reg));
        let bits = self.ir.convert(ConvertOp::Bitcast, Type::I64, raw);
        self.ir.trunc(ty, bits)
    }

    /// The rounding mode of the instruction. Reserved ones never get here.
    pub fn round(&self, w: Word) -> Round {
        mode::round(self.mode(), w.rm())
    }

    /// `a op immediate`.
    pub fn with_imm(&mut self, op: BinaryOp, a: Value, value: i64) -> Value {
        let imm = self.ir.iconst(self.ir.ty(a), value);
        self.ir.binary(op, a, imm)
    }

    /// `rd = rs1 op rs2`.
    pub fn binary(&mut self, w: Word, op: BinaryOp) -> Flow {
        let (a, b) = (self.x(w.rs1()), self.x(w.rs2()));
        let value = self.ir.binary(op, a, b);
        self.set_x(w.rd(), value);
        Flow::Next
    }

    /// `rd = rs1 op rs2` on the low 32 bits, the result sign-extended.
    pub fn binary_w(&mut self, w: Word, op: BinaryOp) -> Flow {
        let (a, b) = (self.w(w.rs1()), self.w(w.rs2()));
        let value = self.ir.binary(op, a, b);
        self.set_w(w.rd(), value);
        Flow::Next
    }

    /// `rd = rs1 op immediate`.
    pub fn binary_imm(&mut self, w: Word, op: BinaryOp, imm: i64) -> Flow {
        let a = self.x(w.rs1());
        let value = self.with_imm(op, a, imm);
        self.set_x(w.rd(), value);
        Flow::Next
    }

    /// `rd = rs1 op immediate` on the low 32 bits, the result sign-extended.
    pub fn binary_imm_w(&mut self, w: Word, op: BinaryOp, imm: i64) -> Flow {
        let a = self.w(w.rs1());
        let value = self.with_imm(op, a, imm);
        self.set_w(w.rd(), value);
        Flow::Next
    }

    /// Ends the block with a trap.
    pub fn trap(&self, kind: TrapKind) -> Flow {
        Flow::End(Terminator::Trap { kind })
    }

    /// May an instruction stand at `target`?
    pub fn is_aligned(&self, target: u64) -> bool {
        !self.config.aligned_to_four() || target & 2 == 0
    }
}
