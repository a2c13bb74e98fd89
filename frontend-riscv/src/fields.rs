//! The fields of an instruction word, written as the manual writes them.

/// A field that may be scattered over the word: a register number, an immediate.
///
/// Built from pieces as in the manual's format diagrams: `(31, "12|10:5")` says that from word bit 31 downwards
/// stand bit 12 and bits 10 to 5 of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    runs: [Run; 9],
    count: usize,
    /// One above the highest bit of the value; 0 for an unsigned value.
    sign_bits: u32,
    /// The lowest bit of the value that the word holds.
    low: u32,
    /// The highest.
    high: u32,
}

/// Neighbouring bits that stay neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    word_low: u32,
    value_low: u32,
    len: u32,
}

impl Field {
    /// An unsigned value.
    pub const fn unsigned(pieces: &[(u32, &str)]) -> Field {
        let mut field =
            Field { runs: [Run { word_low: 0, value_low: 0, len: 0 }; 9], count: 0, sign_bits: 0, low: 63, high: 0 };
        let mut i = 0;
        while i < pieces.len() {
            field = field.piece(pieces[i].0, pieces[i].1.as_bytes());
            i += 1;
        }
        field
    }

    /// A value whose highest bit is its sign.
    pub const fn signed(pieces: &[(u32, &str)]) -> Field {
        let mut field = Field::unsigned(pieces);
        field.sign_bits = field.high + 1;
        field
    }

    /// Reads `"12|10:5"`, the bits of the value from word bit `top` downwards.
    const fn piece(mut self, top: u32, text: &[u8]) -> Field {
        let (mut above, mut i) = (top + 1, 0);
        while i < text.len() {
            let (high, after) = number(text, i);
            let (low, after) =
                if after < text.len() && text[after] == b':' { number(text, after + 1) } else { (high, after) };
            assert!(high >= low && (after == text.len() || text[after] == b'|'), "a piece reads as 12|10:5");
            let len = high - low + 1;
            above -= len;
            self.runs[self.count] = Run { word_low: above, value_low: low, len };
            self.count += 1;
            self.low = if low < self.low { low } else { self.low };
            self.high = if high > self.high { high } else { self.high };
            i = after + 1;
        }
        self
    }

    /// The value in `word`.
    #[inline]
    pub const fn get(&self, word: u32) -> i64 {
        let (mut value, mut i) = (0u64, 0);
        while i < self.count {
            let run = self.runs[i];
            let bits = (word >> run.word_low) as u64 & ((1 << run.len) - 1);
            value |= bits << run.value_low;
            i += 1;
        }
        if self.sign_bits == 0 {
            value as i64
        } else {
            (value << (64 - self.sign_bits)) as i64 >> (64 - self.sign_bits)
        }
    }

    /// `word` with the field replaced; bits of `value` that the field cannot hold are lost.
    pub const fn put(&self, word: u32, value: i64) -> u32 {
        let (mut word, mut i) = (word, 0);
        while i < self.count {
            let run = self.runs[i];
            let mask = ((1u64 << run.len) - 1) as u32;
            let bits = (value >> run.value_low) as u32 & mask;
            word = word & !(mask << run.word_low) | bits << run.word_low;
            i += 1;
        }
        word
    }

    /// The least and the greatest value, and the step between neighbours.
    pub const fn range(&self) -> (i64, i64, i64) {
        let step = 1 << self.low;
        let top = 1i64 << (self.high + if self.sign_bits == 0 { 1 } else { 0 });
        (if self.sign_bits == 0 { 0 } else { -top }, top - step, step)
    }
}

/// The decimal number at `i` and the index after it.
const fn number(text: &[u8], mut i: usize) -> (u32, usize) {
    let (mut n, start) = (0, i);
    while i < text.len() && text[i].is_ascii_digit() {
        n = n * 10 + (text[i] - b'0') as u32;
        i += 1;
    }
    assert!(i > start, "a bit number is missing");
    (n, i)
}

/// Immediate of the I format.
pub const IMM_I: Field = Field::signed(&[(31, "11:0")]);
/// Immediate of the S format.
pub const IMM_S: Field = Field::signed(&[(31, "11:5"), (11, "4:0")]);
/// Offset of a branch.
pub const IMM_B: Field = Field::signed(&[(31, "12|10:5"), (11, "4:1|11")]);
/// Immediate of the U format, already in its place.
pub const IMM_U: Field = Field::signed(&[(31, "31:12")]);
/// Offset of `jal`.
pub const IMM_J: Field = Field::signed(&[(31, "20|10:1|11|19:12")]);
/// Shift amount; its highest bit is reserved where six bits are too many.
pub const SHAMT: Field = Field::unsigned(&[(25, "5:0")]);
/// Shift amount of the `*W` instructions.
pub const SHAMT_W: Field = Field::unsigned(&[(24, "4:0")]);
/// CSR number.
pub const CSR: Field = Field::unsigned(&[(31, "11:0")]);
/// Immediate of the CSR instructions.
pub const ZIMM: Field = Field::unsigned(&[(19, "4:0")]);

/// `c.addi4spn`.
pub const C_ADDI4SPN: Field = Field::unsigned(&[(12, "5:4|9:6|2|3")]);
/// `c.lw`, `c.sw` and their kin.
pub const C_WORD: Field = Field::unsigned(&[(12, "5:3"), (6, "2|6")]);
/// `c.ld`, `c.sd` and their kin.
pub const C_DOUBLE: Field = Field::unsigned(&[(12, "5:3"), (6, "7:6")]);
/// `c.addi`, `c.li`, `c.andi`.
pub const C_IMM: Field = Field::signed(&[(12, "5"), (6, "4:0")]);
/// Shift amounts.
pub const C_SHAMT: Field = Field::unsigned(&[(12, "5"), (6, "4:0")]);
/// `c.addi16sp`.
pub const C_ADDI16SP: Field = Field::signed(&[(12, "9"), (6, "4|6|8:7|5")]);
/// `c.lui`.
pub const C_LUI: Field = Field::signed(&[(12, "17"), (6, "16:12")]);
/// `c.j`, `c.jal`.
pub const C_JUMP: Field = Field::signed(&[(12, "11|4|9:8|10|6|7|3:1|5")]);
/// `c.beqz`, `c.bnez`.
pub const C_BRANCH: Field = Field::signed(&[(12, "8|4:3"), (6, "7:6|2:1|5")]);
/// `c.lwsp`.
pub const C_LWSP: Field = Field::unsigned(&[(12, "5"), (6, "4:2|7:6")]);
/// `c.ldsp`.
pub const C_LDSP: Field = Field::unsigned(&[(12, "5"), (6, "4:3|8:6")]);
/// `c.swsp`.
pub const C_SWSP: Field = Field::unsigned(&[(12, "5:2|7:6")]);
/// `c.sdsp`.
pub const C_SDSP: Field = Field::unsigned(&[(12, "5:3|8:6")]);
/// `c.lbu`, `c.sb`.
pub const C_BYTE: Field = Field::unsigned(&[(6, "0|1")]);
/// `c.lhu`, `c.lh`, `c.sh`.
pub const C_HALF: Field = Field::unsigned(&[(5, "1")]);

/// An instruction word, 32 bits or 16 zero-extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word(pub u32);

impl Word {
    /// Bits `high` to `low`.
    #[inline]
    pub const fn bits(self, high: u32, low: u32) -> u32 {
        self.0 << (31 - high) >> (31 - high + low)
    }

    /// Destination register.
    #[inline]
    pub const fn rd(self) -> u32 {
        self.bits(11, 7)
    }

    /// First source register.
    #[inline]
    pub const fn rs1(self) -> u32 {
        self.bits(19, 15)
    }

    /// Second source register.
    #[inline]
    pub const fn rs2(self) -> u32 {
        self.bits(24, 20)
    }

    /// Third source register.
    #[inline]
    pub const fn rs3(self) -> u32 {
        self.bits(31, 27)
    }

    /// Rounding mode of a floating-point instruction.
    #[inline]
    pub const fn rm(self) -> u32 {
        self.bits(14, 12)
    }

    /// Second source register of a 16-bit instruction.
    #[inline]
    pub const fn c_rs2(self) -> u32 {
        self.bits(6, 2)
    }

    /// The register in bits 9 to 7 of a 16-bit instruction, one of `x8` … `x15`.
    #[inline]
    pub const fn c_rs1_short(self) -> u32 {
        8 + self.bits(9, 7)
    }

    /// The register in bits 4 to 2 of a 16-bit instruction, one of `x8` … `x15`.
    #[inline]
    pub const fn c_rs2_short(self) -> u32 {
        8 + self.bits(4, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_immediates() {
        assert_eq!(IMM_B.get(0xfe00_0ee3), -4); // beq x0, x0, .-4
        assert_eq!(IMM_J.get(0xff5f_f06f), -12); // j .-12
        assert_eq!(IMM_S.get(0x00b1_2623), 12); // sw a1, 12(sp)
        assert_eq!(IMM_U.get(0xffff_f537), -4096); // lui a0, 0xfffff
        assert_eq!(C_JUMP.get(0xbfed), -6); // c.j .-6
        assert_eq!(C_BRANCH.get(0xfc65), -8); // c.bnez s0, .-8
        assert_eq!(C_ADDI16SP.get(0x7139), -64); // c.addi16sp sp, -64
        assert_eq!(C_ADDI4SPN.get(0x0028), 8); // c.addi4spn a0, sp, 8
    }

    #[test]
    fn put_is_the_inverse_of_get() {
        for field in [IMM_I, IMM_S, IMM_B, IMM_J, C_JUMP, C_BRANCH, C_LWSP, C_SDSP, C_WORD, C_ADDI16SP, C_BYTE, C_HALF]
        {
            let (min, max, step) = field.range();
            for value in [min, min + step, 0, step, max - step, max] {
                assert_eq!(field.get(field.put(0, value)), value);
                assert_eq!(field.get(field.put(u32::MAX, value)), value);
            }
        }
    }
}
