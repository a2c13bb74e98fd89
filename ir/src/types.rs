//! Types of SSA values and of register slots.

use std::fmt;

/// The type of an SSA value.
///
/// Integers have no sign; ops do. A boolean is an [`Type::I8`] that holds 0 or 1. 128-bit vectors will join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// 8-bit integer, also the result type of comparisons (0 or 1).
    I8,
    /// 16-bit integer.
    I16,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl Type {
    /// All types, in the order of their declaration.
    pub const ALL: [Type; 6] = [Type::I8, Type::I16, Type::I32, Type::I64, Type::F32, Type::F64];

    /// Width in bits.
    #[inline]
    pub const fn bits(self) -> u32 {
        match self {
            Type::I8 => 8,
            Type::I16 => 16,
            Type::I32 | Type::F32 => 32,
            Type::I64 | Type::F64 => 64,
        }
    }

    /// Width in bytes.
    #[inline]
    pub const fn bytes(self) -> u8 {
        (self.bits() / 8) as u8
    }

    /// The ones that a value of this type may have when it is held zero-extended in a `u64`.
    #[inline]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// Is this an integer type?
    #[inline]
    pub const fn is_int(self) -> bool {
        !self.is_float()
    }

    /// Is this a floating-point type?
    #[inline]
    pub const fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }

    /// The name in the text form: `i8` … `f64`.
    pub const fn name(self) -> &'static str {
        match self {
            Type::I8 => "i8",
            Type::I16 => "i16",
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
        }
    }

    /// The integer type of the same width.
    pub const fn as_int(self) -> Type {
        match self {
            Type::F32 => Type::I32,
            Type::F64 => Type::I64,
            int => int,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
