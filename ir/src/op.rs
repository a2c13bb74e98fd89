//! The operations. What each computes is defined in [`crate::eval`]; here stands what wraps, what traps and
//! what is undefined (nothing is).

use crate::types::Type;

/// Pure integer operations with one operand; the result has the operand's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// Bitwise complement.
    Not,
    /// Two's complement negation, wrapping.
    Neg,
    /// Count of leading zeros; the type's width for 0.
    Clz,
    /// Count of trailing zeros; the type's width for 0.
    Ctz,
    /// Count of ones.
    Popcnt,
    /// Reverse the order of the bytes.
    Bswap,
    /// Reverse the order of the bits.
    Bitrev,
}

/// Pure integer operations with two operands of the result's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// Wrapping addition.
    Add,
    /// Wrapping subtraction.
    Sub,
    /// Low half of the product.
    Mul,
    /// High half of the signed product.
    MulHiS,
    /// High half of the unsigned product.
    MulHiU,
    /// Signed division towards zero; by zero gives -1, MIN / -1 gives MIN (RISC-V's total definition).
    DivS,
    /// Unsigned division; by zero gives all ones.
    DivU,
    /// Signed remainder; by zero gives the dividend, MIN % -1 gives 0.
    RemS,
    /// Unsigned remainder; by zero gives the dividend.
    RemU,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Shift left; the amount is taken modulo the width.
    Shl,
    /// Logical shift right; the amount is taken modulo the width.
    ShrU,
    /// Arithmetic shift right; the amount is taken modulo the width.
    ShrS,
    /// Rotate left; the amount is taken modulo the width.
    Rotl,
    /// Rotate right; the amount is taken modulo the width.
    Rotr,
    /// Carry-less multiplication, low half.
    Clmul,
    /// Carry-less multiplication, high half.
    ClmulHi,
}

/// Integer conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Cond {
    Eq,
    Ne,
    LtS,
    LeS,
    GtS,
    GeS,
    LtU,
    LeU,
    GtU,
    GeU,
}

/// Conversions that cannot raise a floating-point exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConvertOp {
    /// Zero-extend to a wider integer.
    Zext,
    /// Sign-extend to a wider integer.
    Sext,
    /// Keep the low bits.
    Trunc,
    /// Same bits between an integer and a float of one width.
    Bitcast,
    /// `f32` to `f64`: NaN-box, that is put ones into the upper half (RISC-V unprivileged, chapter D).
    Box,
    /// `f64` to `f32`: the lower half if the upper is all ones, else the canonical NaN.
    Unbox,
}

/// Rounding mode of a floating-point op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Round {
    /// To nearest, ties to even.
    NearestEven = 0,
    /// Towards zero.
    TowardZero = 1,
    /// Towards minus infinity.
    Down = 2,
    /// Towards plus infinity.
    Up = 3,
    /// To nearest, ties away from zero.
    NearestAway = 4,
    /// As `CpuState::fp_round` says when the op runs.
    Dynamic = 7,
}

impl Round {
    /// The mode to use now, given the dynamic one (`CpuState::fp_round`).
    ///
    /// Reserved dynamic modes never get here: decoders make such instructions illegal.
    #[inline]
    pub fn resolve(self, dynamic: u32) -> Round {
        match (self, dynamic) {
            (Round::Dynamic, 1) => Round::TowardZero,
            (Round::Dynamic, 2) => Round::Down,
            (Round::Dynamic, 3) => Round::Up,
            (Round::Dynamic, 4) => Round::NearestAway,
            (Round::Dynamic, _) => Round::NearestEven,
            (fixed, _) => fixed,
        }
    }
}

/// IEEE 754 exception flags, with the bit positions of RISC-V's `fflags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FpFlags(pub u8);

impl FpFlags {
    /// No flag.
    pub const NONE: FpFlags = FpFlags(0);
    /// Inexact.
    pub const NX: FpFlags = FpFlags(1);
    /// Underflow; tininess is detected after rounding.
    pub const UF: FpFlags = FpFlags(2);
    /// Overflow.
    pub const OF: FpFlags = FpFlags(4);
    /// Division by zero.
    pub const DZ: FpFlags = FpFlags(8);
    /// Invalid operation.
    pub const NV: FpFlags = FpFlags(16);
}

impl std::ops::BitOr for FpFlags {
    type Output = FpFlags;
    fn bitor(self, other: FpFlags) -> FpFlags {
        FpFlags(self.0 | other.0)
    }
}

/// What a NaN result looks like; a property of the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NanRule {
    /// Always the positive quiet NaN with an empty payload (RISC-V).
    #[default]
    Canonical,
    /// Payload of the first NaN operand, made quiet (MIPS with NaN2008).
    Propagate,
    /// The quiet bit is inverted (MIPS legacy).
    Legacy,
}

/// Floating-point operations with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloatUnaryOp {
    /// Invert the sign bit; raises nothing.
    Neg,
    /// Clear the sign bit; raises nothing.
    Abs,
    /// [`FloatUnaryOp::Neg`] as an arithmetic operation: a NaN raises invalid, and is the result, made quiet as by any other.
    NegNum,
    /// [`FloatUnaryOp::Abs`] likewise.
    AbsNum,
    /// Square root.
    Sqrt,
    /// Round to an integral value in the same format; raises inexact where it changes the value.
    RoundInt,
}

/// Floating-point operations with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloatBinaryOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// IEEE 754-2019 minimumNumber: the number wins over a NaN, -0 < +0, a signalling NaN raises invalid.
    MinNum,
    /// IEEE 754-2019 maximumNumber.
    MaxNum,
    /// The first operand with the sign of the second; raises nothing.
    CopySign,
}

/// Floating-point conditions; all but [`FloatCond::Unordered`] are false on a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum FloatCond {
    Eq,
    Lt,
    Le,
    Unordered,
}

/// Which NaNs make a comparison raise invalid (IEEE 754-2019, 5.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quietness {
    /// None: a comparison whose flags are thrown away.
    Silent,
    /// Signalling ones.
    Quiet,
    /// Any.
    Signaling,
}

/// Conversions that round and may raise exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloatConvertOp {
    /// Float to signed integer, saturating; what an invalid one gives depends on the block's [`NanRule`] ([`crate::eval::float`]).
    ToIntS,
    /// Float to unsigned integer, saturating; what rounds below 0 gives 0.
    ToIntU,
    /// Signed integer to float.
    FromIntS,
    /// Unsigned integer to float.
    FromIntU,
    /// Between `f32` and `f64`.
    Format,
}

/// Read-modify-write operations; each is a single atomic access, ordered as sequentially consistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AtomicOp {
    Swap,
    Add,
    And,
    Or,
    Xor,
    MinS,
    MaxS,
    MinU,
    MaxU,
}

/// How many bytes a memory access moves and how they become a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// 1, 2, 4 or 8.
    pub bytes: u8,
    /// Extend a load's bytes by sign (else by zero) where the value is wider.
    pub signed: bool,
    /// Most significant byte first.
    pub big_endian: bool,
}

impl Access {
    /// Little endian, zero-extended.
    pub const fn unsigned(bytes: u8) -> Access {
        Access { bytes, signed: false, big_endian: false }
    }

    /// Little endian, sign-extended.
    pub const fn signed(bytes: u8) -> Access {
        Access { bytes, signed: true, big_endian: false }
    }

    /// The integer type of its width.
    pub const fn ty(self) -> Type {
        Type::ALL[self.bytes.trailing_zeros() as usize]
    }
}

/// What a fence orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FenceKind {
    /// Everything but earlier stores against later loads: free on x86 (TSO).
    Light,
    /// Earlier stores are seen before later loads too.
    Full,
}

/// Why a block hands control to the machine although nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitKind {
    /// Instruction memory may have changed (`fence.i`, `synci`).
    InsnFence,
    /// State that is part of the block's mode changed: look the next block up anew.
    ModeChange,
    /// The guest waits for another hart (`pause`, `wfi`).
    Yield,
}

/// A helper of the guest, by its index in [`crate::Guest::helpers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HelperId(pub u16);
