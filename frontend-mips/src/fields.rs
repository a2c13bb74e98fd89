//! The fields of an instruction word, as the manual's format diagrams name them.

/// A run of bits: a register number, an immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    high: u32,
    low: u32,
    signed: bool,
    /// What the assembler writes is the field's value shifted left by this.
    shift: u32,
}

impl Field {
    /// Bits `high` to `low` as an unsigned value.
    pub const fn unsigned(high: u32, low: u32) -> Field {
        assert!(high < 32 && low <= high);
        Field { high, low, signed: false, shift: 0 }
    }

    /// Bits `high` to `low`, the highest of them the sign.
    pub const fn signed(high: u32, low: u32) -> Field {
        Field { signed: true, ..Field::unsigned(high, low) }
    }

    /// The same with the value counted in units of `1 << shift`.
    pub const fn times(self, shift: u32) -> Field {
        Field { shift, ..self }
    }

    /// The value in `word`.
    #[inline]
    pub const fn get(&self, word: u32) -> i64 {
        let up = word << (31 - self.high);
        let down = 31 - self.high + self.low;
        let value = if self.signed { (up as i32 >> down) as i64 } else { (up >> down) as i64 };
        value << self.shift
    }

    /// `word` with the field replaced; bits of `value` that the field cannot hold are lost.
    pub const fn put(&self, word: u32, value: i64) -> u32 {
        let mask = u32::MAX >> (31 - self.high + self.low);
        word & !(mask << self.low) | ((value >> self.shift) as u32 & mask) << self.low
    }
}

/// `rs`, the first source and the base of addresses.
pub const RS: Field = Field::unsigned(25, 21);
/// `rt`, the second source or the destination of the I format.
pub const RT: Field = Field::unsigned(20, 16);
/// `rd`, the destination of the R format.
pub const RD: Field = Field::unsigned(15, 11);
/// `sa`, a shift amount.
pub const SA: Field = Field::unsigned(10, 6);
/// The immediate of the I format, signed.
pub const IMM: Field = Field::signed(15, 0);
/// The same, unsigned.
pub const UIMM: Field = Field::unsigned(15, 0);
/// Offset of a branch.
pub const BRANCH: Field = Field::signed(15, 0).times(2);
/// Offset of `beqzc` and its kin.
pub const BRANCH21: Field = Field::signed(20, 0).times(2);
/// Offset of `bc`, `balc`.
pub const BRANCH26: Field = Field::signed(25, 0).times(2);
/// Target of `j`, `jal` in its 256 MiB.
pub const JUMP: Field = Field::unsigned(25, 0).times(2);
/// Offset of Release 6 loads and stores of SPECIAL3.
pub const IMM9: Field = Field::signed(15, 7);
/// Offset of Release 6 `lwc2` and its kin.
pub const IMM11: Field = Field::signed(10, 0);
/// Offset from the pc of `lwpc`, `addiupc`.
pub const PC19: Field = Field::signed(18, 0).times(2);
/// Offset from the pc of `ldpc`.
pub const PC18: Field = Field::signed(17, 0).times(3);

/// An instruction word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word(pub u32);

impl Word {
    /// Bits `high` to `low`.
    #[inline]
    pub const fn bits(self, high: u32, low: u32) -> u32 {
        self.0 << (31 - high) >> (31 - high + low)
    }

    /// Bits 25 to 21: `rs`, `base`; `fr` of the COP1X format, `fmt` of COP1.
    #[inline]
    pub const fn rs(self) -> u32 {
        self.bits(25, 21)
    }

    /// Bits 20 to 16: `rt`, `index`, `ft`.
    #[inline]
    pub const fn rt(self) -> u32 {
        self.bits(20, 16)
    }

    /// Bits 15 to 11: `rd`, `fs`.
    #[inline]
    pub const fn rd(self) -> u32 {
        self.bits(15, 11)
    }

    /// Bits 10 to 6: `sa`, `fd`.
    #[inline]
    pub const fn sa(self) -> u32 {
        self.bits(10, 6)
    }

    /// Second floating-point source.
    #[inline]
    pub const fn ft(self) -> u32 {
        self.rt()
    }

    /// First floating-point source.
    #[inline]
    pub const fn fs(self) -> u32 {
        self.rd()
    }

    /// Floating-point destination.
    #[inline]
    pub const fn fd(self) -> u32 {
        self.sa()
    }

    /// The addend of a multiply-add in the COP1X format.
    #[inline]
    pub const fn fr(self) -> u32 {
        self.rs()
    }

    /// The immediate, sign-extended.
    #[inline]
    pub const fn imm(self) -> i64 {
        IMM.get(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_units() {
        assert_eq!(IMM.get(0x2402_ffff), -1); // addiu $v0, $zero, -1
        assert_eq!(UIMM.get(0x3402_ffff), 0xffff); // ori
        assert_eq!(BRANCH.get(0x1000_ffff), -4); // b .
        assert_eq!(JUMP.get(0x0bff_ffff), 0x0fff_fffc);
        assert_eq!(IMM9.get(0x7c40_8036), -256);
        assert_eq!(PC18.get(0xecdb_ffff), -8);
    }

    #[test]
    fn put_is_the_inverse_of_get() {
        for (field, value) in
            [(IMM, -2), (BRANCH, -64), (BRANCH21, 1 << 20), (JUMP, 0x123_4560), (PC18, -8), (IMM9, 255)]
        {
            for word in [0, u32::MAX] {
                assert_eq!(field.get(field.put(word, value)), value);
            }
        }
    }
}
