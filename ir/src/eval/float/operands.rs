//! Random operands for tests, drawn so that the hard cases of rounding, underflow and cancellation are common.

use std::fmt::Debug;

/// The two formats by their widths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) exp_bits: u32,
    pub(crate) frac_bits: u32,
}

pub(crate) const F32: Layout = Layout { exp_bits: 8, frac_bits: 23 };
pub(crate) const F64: Layout = Layout { exp_bits: 11, frac_bits: 52 };

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by `EMU_TEST_SEED`, else always alike; the seed is printed, so that a failure shows it.
    pub(crate) fn from_env() -> Random {
        let seed = std::env::var("EMU_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        println!("EMU_TEST_SEED={seed}");
        Random(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    pub(crate) fn pick<T: Copy + Debug>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// -`most` to `most`.
    fn around_zero(&mut self, most: u64) -> i64 {
        self.below(2 * most + 1) as i64 - most as i64
    }

    /// A fraction or an integer: zero, one or two ones, all ones to the left or right of a bit, or anything.
    pub(crate) fn pattern(&mut self, bits: u32) -> u64 {
        let one = |r: &mut Random| 1 << r.below(bits.into());
        let mask = u64::MAX >> (64 - bits);
        let raw = match self.below(8) {
            0 => 0,
            1 => one(self),
            2 => one(self) | one(self),
            3 => one(self) - 1,
            4 => !(one(self) - 1),
            5 => !(one(self) | one(self)),
            6 => self.bits() << self.below(bits.into()),
            _ => self.bits(),
        };
        raw & mask
    }

    /// An integer of 64 bits, of any magnitude.
    pub(crate) fn integer(&mut self) -> u64 {
        let value = self.pattern(64) >> self.below(64);
        if self.below(2) == 0 { value } else { value.wrapping_neg() }
    }

    /// Any operand.
    pub(crate) fn operand(&mut self, layout: Layout) -> u64 {
        let top = layout.top();
        let biased = match self.below(8) {
            0 => 0,
            1 => top,
            2 => self.below(4) as i64,
            3 => top - self.below(4) as i64,
            4 => self.below(top as u64 + 1) as i64,
            5 => layout.bias() + self.around_zero(2),
            6 => layout.bias() + self.around_zero(layout.frac_bits as u64 + 12),
            _ => layout.bias() / 2 * self.pick(&[1, 3]) + self.around_zero(layout.frac_bits as u64 + 2),
        };
        self.with_exponent(layout, biased)
    }

    /// Two operands; the exponents of half the pairs are such that sums align, cancel or tie, or that products or
    /// quotients lie next to underflow or overflow.
    pub(crate) fn pair(&mut self, layout: Layout) -> [u64; 2] {
        let a = self.operand(layout);
        let (exp, bias, precision) = (layout.exponent(a), layout.bias(), i64::from(layout.frac_bits));
        let b = match self.below(12) {
            0 => exp + self.around_zero(1),
            1 => exp - precision + self.around_zero(2),
            2 => bias - exp + self.around_zero(3),
            3 => bias - exp - precision + self.around_zero(3),
            4 => 3 * bias - exp + self.around_zero(2),
            5 => exp + bias + self.around_zero(2),
            6 => exp - bias + self.around_zero(2),
            // One step or two from the other's magnitude.
            7 => return [a, a.wrapping_add(self.around_zero(2) as u64) & layout.mask() ^ self.sign(layout)],
            _ => return [a, self.operand(layout)],
        };
        [a, self.with_exponent(layout, b)]
    }

    /// Three operands for `a * b + c`; two thirds have `c` near `a * b`, or half a unit or so of it.
    pub(crate) fn triple(&mut self, layout: Layout) -> [u64; 3] {
        let [a, b] = self.pair(layout);
        let precision = i64::from(layout.frac_bits);
        let product = layout.exponent(a) + layout.exponent(b) - layout.bias();
        let c = match self.below(6) {
            0 => product + self.around_zero(2),
            1 => product - precision + self.around_zero(3),
            2 => product + precision + self.around_zero(3),
            3 => return [a, b, layout.rounded_product(a, b) ^ self.sign(layout)],
            _ => return [a, b, self.operand(layout)],
        };
        [a, b, self.with_exponent(layout, c)]
    }

    /// A float near the limits and halves of integers.
    pub(crate) fn near_integer(&mut self, layout: Layout) -> u64 {
        if self.below(4) == 0 {
            return self.operand(layout);
        }
        let exp = layout.bias() + self.below(68) as i64 - 2;
        self.with_exponent(layout, exp)
    }

    fn with_exponent(&mut self, layout: Layout, biased: i64) -> u64 {
        let biased = biased.clamp(0, layout.top()) as u64;
        biased << layout.frac_bits | self.pattern(layout.frac_bits) | self.sign(layout)
    }

    fn sign(&mut self, layout: Layout) -> u64 {
        self.below(2) << (layout.exp_bits + layout.frac_bits)
    }
}

impl Layout {
    /// The largest biased exponent, that of infinity and NaN.
    fn top(self) -> i64 {
        (1 << self.exp_bits) - 1
    }

    fn bias(self) -> i64 {
        self.top() >> 1
    }

    fn exponent(self, bits: u64) -> i64 {
        (bits >> self.frac_bits) as i64 & self.top()
    }

    pub(crate) fn mask(self) -> u64 {
        u64::MAX >> (63 - self.exp_bits - self.frac_bits)
    }

    pub(crate) fn is_nan(self, bits: u64) -> bool {
        bits & self.mask() >> 1 > (self.top() as u64) << self.frac_bits
    }

    pub(crate) fn canonical_nan(self) -> u64 {
        (self.top() as u64) << self.frac_bits | 1 << (self.frac_bits - 1)
    }

    /// The host's product: near enough to cancel.
    fn rounded_product(self, a: u64, b: u64) -> u64 {
        match self {
            F32 => (f32::from_bits(a as u32) * f32::from_bits(b as u32)).to_bits().into(),
            _ => (f64::from_bits(a) * f64::from_bits(b)).to_bits(),
        }
    }
}
