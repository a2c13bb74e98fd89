//! An assembler for the few x86-64 instructions that the baseline compiler emits (Intel SDM, volume 2).

use super::buffer::CodeBuffer;
use crate::link::Spot;

/// A general-purpose register by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reg(pub(super) u8);

pub(super) const RAX: Reg = Reg(0);
pub(super) const RCX: Reg = Reg(1);
pub(super) const RDX: Reg = Reg(2);
pub(super) const RBX: Reg = Reg(3);
pub(super) const RSP: Reg = Reg(4);
pub(super) const RBP: Reg = Reg(5);
pub(super) const RSI: Reg = Reg(6);
pub(super) const RDI: Reg = Reg(7);
pub(super) const R8: Reg = Reg(8);
pub(super) const R9: Reg = Reg(9);
pub(super) const R10: Reg = Reg(10);
pub(super) const R11: Reg = Reg(11);
pub(super) const R12: Reg = Reg(12);
pub(super) const R13: Reg = Reg(13);
pub(super) const R14: Reg = Reg(14);
pub(super) const R15: Reg = Reg(15);

/// `nop`.
pub(super) const NOP: u8 = 0x90;

/// `[base + index << scale + disp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mem {
    pub(super) base: Reg,
    pub(super) index: Option<Reg>,
    pub(super) scale: u8,
    pub(super) disp: i32,
}

impl Mem {
    /// `[base + disp]`.
    pub(super) fn at(base: Reg, disp: i32) -> Mem {
        Mem { base, index: None, scale: 0, disp }
    }

    /// `[base + index + disp]`.
    pub(super) fn indexed(base: Reg, index: Reg, disp: i32) -> Mem {
        Mem { base, index: Some(index), scale: 0, disp }
    }
}

/// The operand that an instruction's r/m field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rm {
    Reg(Reg),
    Mem(Mem),
}

impl From<Reg> for Rm {
    fn from(reg: Reg) -> Rm {
        Rm::Reg(reg)
    }
}

impl From<Mem> for Rm {
    fn from(mem: Mem) -> Rm {
        Rm::Mem(mem)
    }
}

/// Two-operand arithmetic, numbered as in opcode group 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Alu {
    Add = 0,
    Or = 1,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Shifts and rotations, numbered as in opcode group 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Shift {
    Rol = 0,
    Ror = 1,
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// One-operand arithmetic, numbered as in opcode group 3; the last four work on rdx:rax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Unary {
    Not = 2,
    Neg = 3,
    Mul = 4,
    Imul = 5,
    Div = 6,
    Idiv = 7,
}

/// Condition codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Cc {
    Below = 2,
    AboveEqual = 3,
    Equal = 4,
    NotEqual = 5,
    BelowEqual = 6,
    Above = 7,
    Sign = 8,
    NotSign = 9,
    Parity = 10,
    NoParity = 11,
    Less = 12,
    GreaterEqual = 13,
    LessEqual = 14,
    Greater = 15,
}

/// A rounding mode of [`Asm::round`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    Nearest = 0,
    Down = 1,
    Up = 2,
}

/// A forward jump: where its distance is to be written.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(super) struct Jump(Spot);

impl Jump {
    /// Where the distance is.
    pub(super) fn operand(self) -> Spot {
        self.0 - 4
    }
}

/// What an instruction begins with.
#[derive(Clone, Copy)]
struct Opcode {
    /// The opcode's bytes, the first one lowest.
    bytes: u32,
    len: u8,
    /// A legacy prefix, or 0.
    prefix: u8,
    /// Bits of the REX prefix that are not the registers', or [`BARE_REX`].
    rex: u8,
}

/// A REX prefix that is needed although no bit of it is set.
const BARE_REX: u8 = 0x40;

impl Opcode {
    /// From all its bytes, as the manual writes them.
    #[inline(always)]
    fn new(prefix: u8, rex: u8, opcode: u32) -> Opcode {
        let [_, third, second, first] = opcode.to_be_bytes();
        let (bytes, len) = match opcode {
            0..=0xff => ([first, 0, 0, 0], 1),
            0x100..=0xffff => ([second, first, 0, 0], 2),
            _ => ([third, second, first, 0], 3),
        };
        Opcode { bytes: u32::from_le_bytes(bytes), len, prefix, rex }
    }
}

/// The code so far.
#[derive(Debug, Default)]
pub(super) struct Asm {
    pub(super) code: CodeBuffer,
    /// Where `code` begins.
    pub(super) base: Spot,
    /// Jumps from other parts to where they lead in this one.
    pub(super) far: Vec<(Spot, Spot)>,
}

impl Asm {
    pub(super) fn here(&self) -> Spot {
        self.base + self.code.len() as Spot
    }

    fn bytes<const N: usize>(&mut self, bytes: [u8; N]) {
        self.code.put(bytes, N);
    }

    /// One instruction: legacy prefix (0 for none), REX, opcode (all its bytes, as the manual writes them), ModRM with its SIB and
    /// displacement. `byte_reg`: the register operand is a byte, which for rsi and rdi needs a REX prefix.
    // Always: what of it is known where it is called takes no time then.
    #[inline(always)]
    fn inst(&mut self, prefix: u8, wide: bool, byte_reg: bool, opcode: u32, reg: u8, rm: Rm) {
        let bare = byte_reg && (reg >= 4 || matches!(rm, Rm::Reg(r) if r.0 >= 4));
        let rex = u8::from(wide) << 3 | if bare { BARE_REX } else { 0 };
        let opcode = Opcode::new(prefix, rex, opcode);
        match rm {
            Rm::Reg(rm) => self.inst_reg(opcode, reg, rm.0),
            Rm::Mem(mem) => self.inst_mem(opcode, reg, mem),
        }
    }

    fn inst_reg(&mut self, opcode: Opcode, reg: u8, rm: u8) {
        let rex = opcode.rex | (reg >> 3) << 2 | rm >> 3;
        self.head(opcode, rex, u16::from(0xc0 | (reg & 7) << 3 | rm & 7), 1);
    }

    fn inst_mem(&mut self, opcode: Opcode, reg: u8, Mem { base, index, scale, disp }: Mem) {
        // rsp as index is none.
        let index = index.unwrap_or(RSP).0;
        let rex = opcode.rex | (reg >> 3) << 2 | (index >> 3) << 1 | base.0 >> 3;
        // rbp and r13 as base always have a displacement.
        let (mode, size) = match i8::try_from(disp) {
            Ok(0) if base.0 & 7 != 5 => (0, 0),
            Ok(_) => (1, 1),
            Err(_) => (2, 4),
        };
        let modrm = mode << 6 | (reg & 7) << 3;
        // rsp and r12 as base need a SIB byte.
        if index == RSP.0 && base.0 & 7 != 4 {
            self.head(opcode, rex, u16::from(modrm | base.0 & 7), 1);
        } else {
            let sib = scale << 6 | (index & 7) << 3 | base.0 & 7;
            self.head(opcode, rex, u16::from_le_bytes([modrm | 4, sib]), 2);
        }
        self.code.put(disp.to_le_bytes(), size);
    }

    /// What comes before the displacement: seven bytes at most.
    #[inline]
    fn head(&mut self, opcode: Opcode, rex: u8, operands: u16, count: usize) {
        let mut bytes = u64::from(opcode.bytes) | u64::from(operands) << (8 * opcode.len);
        let mut len = usize::from(opcode.len) + count;
        for (byte, wanted) in [(BARE_REX | rex, rex != 0), (opcode.prefix, opcode.prefix != 0)] {
            if wanted {
                bytes = bytes << 8 | u64::from(byte);
                len += 1;
            }
        }
        self.code.put(bytes.to_le_bytes(), len);
    }

    pub(super) fn mov(&mut self, wide: bool, to: Reg, from: impl Into<Rm>) {
        self.inst(0, wide, false, 0x8b, to.0, from.into());
    }

    /// Any 64-bit constant, in the shortest way that leaves the flags alone.
    pub(super) fn mov_imm(&mut self, to: Reg, value: u64) {
        if value <= u64::from(u32::MAX) {
            if to.0 >= 8 {
                self.code.push(0x41);
            }
            self.code.push(0xb8 | to.0 & 7);
            self.bytes((value as u32).to_le_bytes());
        } else if let Ok(imm) = i32::try_from(value as i64) {
            self.inst(0, true, false, 0xc7, 0, Rm::Reg(to));
            self.bytes(imm.to_le_bytes());
        } else {
            self.bytes([0x48 | to.0 >> 3, 0xb8 | to.0 & 7]);
            self.bytes(value.to_le_bytes());
        }
    }

    /// Loads 1, 2, 4 or 8 bytes, extended to 32 bits (and so by zeros to 64), or to 64 if `wide`.
    pub(super) fn load(&mut self, bytes: u8, signed: bool, wide: bool, to: Reg, from: impl Into<Rm>) {
        let from = from.into();
        match (bytes, signed) {
            (1, false) => self.inst(0, false, true, 0x0fb6, to.0, from),
            (1, true) => self.inst(0, wide, true, 0x0fbe, to.0, from),
            (2, false) => self.inst(0, false, false, 0x0fb7, to.0, from),
            (2, true) => self.inst(0, wide, false, 0x0fbf, to.0, from),
            (4, true) if wide => self.inst(0, true, false, 0x63, to.0, from),
            (4, _) => self.inst(0, false, false, 0x8b, to.0, from),
            _ => self.inst(0, true, false, 0x8b, to.0, from),
        }
    }

    /// Stores the low 1, 2, 4 or 8 bytes.
    pub(super) fn store(&mut self, bytes: u8, to: Mem, from: Reg) {
        match bytes {
            1 => self.inst(0, false, true, 0x88, from.0, to.into()),
            2 => self.inst(0x66, false, false, 0x89, from.0, to.into()),
            4 => self.inst(0, false, false, 0x89, from.0, to.into()),
            _ => self.inst(0, true, false, 0x89, from.0, to.into()),
        }
    }

    /// Stores a constant, sign-extended where 8 bytes are stored.
    pub(super) fn store_imm(&mut self, bytes: u8, to: Mem, imm: i32) {
        let rm = to.into();
        let imm = imm.to_le_bytes();
        match bytes {
            1 => self.inst(0, false, false, 0xc6, 0, rm),
            2 => self.inst(0x66, false, false, 0xc7, 0, rm),
            4 => self.inst(0, false, false, 0xc7, 0, rm),
            _ => self.inst(0, true, false, 0xc7, 0, rm),
        }
        self.code.put(imm, usize::from(bytes.min(4)));
    }

    pub(super) fn alu(&mut self, op: Alu, wide: bool, to: Reg, from: impl Into<Rm>) {
        self.inst(0, wide, false, u32::from(op as u8) << 3 | 3, to.0, from.into());
    }

    pub(super) fn alu_imm(&mut self, op: Alu, wide: bool, to: impl Into<Rm>, imm: i32) {
        match i8::try_from(imm) {
            Ok(byte) => {
                self.inst(0, wide, false, 0x83, op as u8, to.into());
                self.code.push(byte as u8);
            }
            Err(_) => {
                self.inst(0, wide, false, 0x81, op as u8, to.into());
                self.bytes(imm.to_le_bytes());
            }
        }
    }

    pub(super) fn lea(&mut self, wide: bool, to: Reg, mem: Mem) {
        self.inst(0, wide, false, 0x8d, to.0, mem.into());
    }

    pub(super) fn test(&mut self, wide: bool, a: Reg, b: Reg) {
        self.inst(0, wide, false, 0x85, b.0, a.into());
    }

    /// Tests the low bits of `a` against a mask.
    pub(super) fn test_low(&mut self, a: Reg, mask: u8) {
        self.inst(0, false, true, 0xf6, 0, a.into());
        self.code.push(mask);
    }

    pub(super) fn imul(&mut self, wide: bool, to: Reg, from: impl Into<Rm>) {
        self.inst(0, wide, false, 0x0faf, to.0, from.into());
    }

    pub(super) fn unary(&mut self, op: Unary, wide: bool, rm: impl Into<Rm>) {
        self.inst(0, wide, false, 0xf7, op as u8, rm.into());
    }

    /// Sign of rax into all of rdx.
    pub(super) fn sign_into_rdx(&mut self, wide: bool) {
        if wide {
            self.code.push(0x48);
        }
        self.code.push(0x99);
    }

    pub(super) fn shift_imm(&mut self, op: Shift, wide: bool, reg: Reg, amount: u8) {
        self.inst(0, wide, false, 0xc1, op as u8, reg.into());
        self.code.push(amount);
    }

    /// By cl, modulo the width.
    pub(super) fn shift_cl(&mut self, op: Shift, wide: bool, reg: Reg) {
        self.inst(0, wide, false, 0xd3, op as u8, reg.into());
    }

    pub(super) fn setcc(&mut self, cc: Cc, to: Reg) {
        self.inst(0, false, true, 0x0f90 | cc as u32, 0, to.into());
    }

    pub(super) fn cmov(&mut self, cc: Cc, to: Reg, from: impl Into<Rm>) {
        self.inst(0, true, false, 0x0f40 | cc as u32, to.0, from.into());
    }

    pub(super) fn bswap(&mut self, wide: bool, reg: Reg) {
        if wide || reg.0 >= 8 {
            self.code.push(0x40 | u8::from(wide) << 3 | reg.0 >> 3);
        }
        self.bytes([0x0f, 0xc8 | reg.0 & 7]);
    }

    /// `lzcnt` (0xbd), `tzcnt` (0xbc) or `popcnt` (0xb8).
    pub(super) fn count(&mut self, opcode: u8, wide: bool, to: Reg, from: impl Into<Rm>) {
        self.inst(0xf3, wide, false, 0x0f00 | u32::from(opcode), to.0, from.into());
    }

    /// A locked or implicitly locked instruction of `bytes` width with one register: `xchg`, `xadd`, `cmpxchg`.
    pub(super) fn atomic(&mut self, opcode: u32, bytes: u8, mem: Mem, reg: Reg) {
        self.code.push(0xf0);
        let prefix = if bytes == 2 { 0x66 } else { 0 };
        // The byte forms are one below.
        let opcode = opcode - u32::from(bytes == 1);
        self.inst(prefix, bytes == 8, bytes == 1, opcode, reg.0, mem.into());
    }

    /// Lets later loads wait for earlier stores: `lock or dword [rsp], 0`, which takes a part of the time of `mfence`.
    pub(super) fn full_fence(&mut self) {
        self.bytes([0xf0, 0x83, 0x0c, 0x24, 0x00]);
    }

    pub(super) fn push(&mut self, reg: Reg) {
        if reg.0 >= 8 {
            self.code.push(0x41);
        }
        self.code.push(0x50 | reg.0 & 7);
    }

    pub(super) fn pop(&mut self, reg: Reg) {
        if reg.0 >= 8 {
            self.code.push(0x41);
        }
        self.code.push(0x58 | reg.0 & 7);
    }

    pub(super) fn ret(&mut self) {
        self.code.push(0xc3);
    }

    /// `call [rdi + disp]`, in six bytes. Each block has some: it does not take the long way through [`Asm::inst`].
    pub(super) fn call_field(&mut self, disp: i32) {
        let [a, b, c, d] = disp.to_le_bytes();
        self.bytes([0xff, 0x97, a, b, c, d]);
    }

    /// `dec` of the lower half.
    pub(super) fn dec(&mut self, reg: Reg) {
        self.inst(0, false, false, 0xff, 1, reg.into());
    }

    pub(super) fn jump_to(&mut self, rm: impl Into<Rm>) {
        self.inst(0, false, false, 0xff, 4, rm.into());
    }

    pub(super) fn jcc(&mut self, cc: Cc) -> Jump {
        self.bytes([0x0f, 0x80 | cc as u8, 0, 0, 0, 0]);
        Jump(self.here())
    }

    pub(super) fn jmp(&mut self) -> Jump {
        self.bytes([0xe9, 0, 0, 0, 0]);
        Jump(self.here())
    }

    /// A jump, conditional or not, whose distance can be changed while it may be run: it lies in one quadword.
    pub(super) fn aligned_jump(&mut self, cc: Option<Cc>) -> Jump {
        let opcode = if cc.is_some() { 2 } else { 1 };
        match (self.code.len() + opcode) % 8 {
            7 => self.bytes([0x90]),
            6 => self.bytes([0x66, 0x90]),
            5 => self.bytes([0x0f, 0x1f, 0x00]),
            _ => {}
        }
        self.jump(cc)
    }

    /// A jump, conditional or not.
    pub(super) fn jump(&mut self, cc: Option<Cc>) -> Jump {
        match cc {
            Some(cc) => self.jcc(cc),
            None => self.jmp(),
        }
    }

    /// A jump back to code that is already there.
    pub(super) fn jcc_back(&mut self, cc: Cc, target: u32) {
        self.bytes([0x0f, 0x80 | cc as u8]);
        let distance = i64::from(target) - (self.code.len() as i64 + 4);
        self.bytes((distance as i32).to_le_bytes());
    }

    /// Lets the jump lead here.
    pub(super) fn land(&mut self, jump: Jump) {
        self.land_at(jump, self.here());
    }

    /// Lets the jump lead to an offset.
    pub(super) fn land_at(&mut self, jump: Jump, target: u32) {
        match jump.operand().checked_sub(self.base) {
            Some(at) => {
                let distance = target - jump.0;
                self.code.set(at as usize, distance);
            }
            None => self.far.push((jump.operand(), target)),
        }
    }

    // Floating point works in xmm0 to xmm2; the register's number is all that is needed.

    /// Bits of a general-purpose register into an xmm register.
    pub(super) fn movd_in(&mut self, wide: bool, xmm: u8, from: impl Into<Rm>) {
        self.inst(0x66, wide, false, 0x0f6e, xmm, from.into());
    }

    /// The other way; the upper half is zero for 32 bits.
    pub(super) fn movd_out(&mut self, wide: bool, to: Reg, xmm: u8) {
        self.inst(0x66, wide, false, 0x0f7e, xmm, to.into());
    }

    /// A scalar SSE2 instruction: `to = op(to, from)`, on doubles if `wide`.
    pub(super) fn sse(&mut self, opcode: u8, wide: bool, to: u8, from: u8) {
        let prefix = if wide { 0xf2 } else { 0xf3 };
        self.inst(prefix, false, false, 0x0f00 | u32::from(opcode), to, Rm::Reg(Reg(from)));
    }

    /// Compares quietly and sets ZF, PF, CF.
    pub(super) fn ucomis(&mut self, wide: bool, a: u8, b: u8) {
        let prefix = if wide { 0x66 } else { 0 };
        self.inst(prefix, false, false, 0x0f2e, a, Rm::Reg(Reg(b)));
    }

    /// `roundsd`/`roundss`, which raises inexact.
    pub(super) fn round(&mut self, double: bool, to: u8, from: u8, how: Rounding) {
        self.inst(0x66, false, false, if double { 0x0f_3a0b } else { 0x0f_3a0a }, to, Rm::Reg(Reg(from)));
        self.bytes([how as u8]);
    }

    /// Loads MXCSR.
    pub(super) fn ldmxcsr(&mut self, from: Mem) {
        self.inst(0, false, false, 0x0fae, 2, from.into());
    }

    /// Stores MXCSR.
    pub(super) fn stmxcsr(&mut self, to: Mem) {
        self.inst(0, false, false, 0x0fae, 3, to.into());
    }

    /// `cvtsi2sd`/`cvtsi2ss` of a 32- or 64-bit integer.
    pub(super) fn int_to_float(&mut self, double: bool, wide_int: bool, to: u8, from: Reg) {
        let prefix = if double { 0xf2 } else { 0xf3 };
        self.inst(prefix, wide_int, false, 0x0f2a, to, from.into());
    }

    /// `cvttsd2si`/`cvttss2si` to a 32- or 64-bit integer; without the second `t` where it does not truncate.
    pub(super) fn float_to_int(&mut self, truncates: bool, double: bool, wide_int: bool, to: Reg, from: u8) {
        let (prefix, opcode) = (if double { 0xf2 } else { 0xf3 }, if truncates { 0x0f2c } else { 0x0f2d });
        self.inst(prefix, wide_int, false, opcode, to.0, Rm::Reg(Reg(from)));
    }

    /// `xmm0 = xmm0 * xmm1 + xmm2` (`vfmadd213sd`/`ss`).
    pub(super) fn fma(&mut self, double: bool) {
        self.bytes([0xc4, 0xe2, if double { 0xf1 } else { 0x71 }, 0xa9, 0xc2]);
    }
}
