//! Random numbers and the values that find bugs.

/// A small generator (xorshift64*): a seed gives the same numbers everywhere.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        // splitmix64's finaliser: neighbouring seeds give unrelated sequences.
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Random((z ^ z >> 31) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// An integer register's value; the caller cuts it to the register's width.
    pub fn integer(&mut self) -> u64 {
        let bit = self.below(64);
        match self.below(8) {
            0 => self.pick(INTEGERS),
            1 => self.pick(INTEGERS).wrapping_add(self.below(5)).wrapping_sub(2),
            2 => self.below(130),
            3 => 1 << bit,
            4 => u64::MAX << bit,
            5 => self.next() >> bit,
            6 => self.next() as i32 as u64,
            _ => self.next(),
        }
    }

    /// The bits of a binary32.
    pub fn single(&mut self) -> u32 {
        match self.below(8) {
            0..=2 => self.pick(SINGLES) | (self.next() as u32 & 1 << 31),
            3 => {
                (self.pick(SINGLES).wrapping_add(self.below(5) as u32).wrapping_sub(2)) ^ (self.next() as u32 & 1 << 31)
            }
            // Exponents near that of 1, so that sums round and cancel.
            4 => (self.next() as u32 & 0x807f_ffff) | (115 + self.below(26) as u32) << 23,
            // Integers, and halves for the ties.
            5 => ((self.next() as i32 >> self.below(32)) as f32 * self.pick(&[1.0, 0.5, 0.25])).to_bits(),
            // Few significant bits: exact results, ties.
            6 => self.next() as u32 & 0xff80_0000 | (self.next() as u32 & 7) << self.below(20),
            _ => self.next() as u32,
        }
    }

    /// The bits of a binary64.
    pub fn double(&mut self) -> u64 {
        match self.below(8) {
            0..=2 => self.pick(DOUBLES) | (self.next() & 1 << 63),
            3 => (self.pick(DOUBLES).wrapping_add(self.below(5)).wrapping_sub(2)) ^ (self.next() & 1 << 63),
            4 => (self.next() & 0x800f_ffff_ffff_ffff) | (995 + self.below(56)) << 52,
            5 => ((self.next() as i64 >> self.below(64)) as f64 * self.pick(&[1.0, 0.5, 0.25])).to_bits(),
            6 => self.next() & 0xfff0_0000_0000_0000 | (self.next() & 7) << self.below(49),
            _ => self.next(),
        }
    }

    /// A floating-point register's value: doubles, boxed singles, singles whose box is broken.
    pub fn float_register(&mut self) -> u64 {
        match self.below(20) {
            0..=9 => self.double(),
            10..=18 => boxed(self.single()),
            _ => u64::from(self.single()) | self.next() << 32,
        }
    }
}

/// A single as a register that is 64 bits wide holds it.
pub fn boxed(single: u32) -> u64 {
    u64::from(single) | 0xffff_ffff << 32
}

pub const INTEGERS: &[u64] = &[
    0,
    1,
    u64::MAX,
    i64::MAX as u64,
    i64::MIN as u64,
    i32::MAX as u64,
    i32::MIN as i64 as u64,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff,
    0x8000,
    0xffff,
    0xffff_ffff_ffff_8000,
    0x7f,
    0x80,
    0xff,
    0xffff_ffff_ffff_ff80,
    0x0123_4567_89ab_cdef,
    0x5555_5555_5555_5555,
    0xaaaa_aaaa_aaaa_aaaa,
    0x00ff_00ff_00ff_00ff,
];

pub const SINGLES: &[u32] = &[
    0x0000_0000, // 0
    0x0000_0001, // least subnormal
    0x0000_0002,
    0x0040_0000,
    0x007f_ffff, // greatest subnormal
    0x0080_0000, // least normal
    0x0080_0001,
    0x00ff_ffff,
    0x0100_0000,
    0x3380_0000, // 2^-24
    0x3380_0001,
    0x3f00_0000, // 0.5
    0x3eff_ffff,
    0x3f7f_ffff,
    0x3f80_0000, // 1
    0x3f80_0001,
    0x3fc0_0000, // 1.5
    0x4000_0000,
    0x4020_0000, // 2.5
    0x4b00_0000, // 2^23
    0x4b00_0001,
    0x4b7f_ffff,
    0x4b80_0000,
    0x4eff_ffff,
    0x4f00_0000, // 2^31
    0x4f7f_ffff,
    0x4f80_0000, // 2^32
    0x5eff_ffff,
    0x5f00_0000, // 2^63
    0x5f7f_ffff,
    0x5f80_0000, // 2^64
    0x7e80_0000,
    0x7f00_0000,
    0x7f7f_ffff, // greatest finite
    0x7f80_0000, // infinity
    0x7f80_0001, // signalling
    0x7fa0_0000,
    0x7fbf_ffff,
    0x7fc0_0000, // canonical quiet
    0x7fc0_0001,
    0x7fff_ffff,
];

pub const DOUBLES: &[u64] = &[
    0x0000_0000_0000_0000, // 0
    0x0000_0000_0000_0001, // least subnormal
    0x0000_0000_0000_0002,
    0x0008_0000_0000_0000,
    0x000f_ffff_ffff_ffff, // greatest subnormal
    0x0010_0000_0000_0000, // least normal
    0x0010_0000_0000_0001,
    0x001f_ffff_ffff_ffff,
    0x3690_0000_0000_0000, // half the least subnormal single
    0x36a0_0000_0000_0000, // least subnormal single
    0x380f_ffff_e000_0000, // just below the least normal single
    0x380f_ffff_f000_0000,
    0x3810_0000_0000_0000, // least normal single
    0x3ca0_0000_0000_0000, // 2^-53
    0x3ca0_0000_0000_0001,
    0x3fdf_ffff_ffff_ffff,
    0x3fe0_0000_0000_0000, // 0.5
    0x3fef_ffff_ffff_ffff,
    0x3ff0_0000_0000_0000, // 1
    0x3ff0_0000_0000_0001,
    0x3ff0_0000_1000_0000, // a tie between singles
    0x3ff0_0000_3000_0000,
    0x3ff8_0000_0000_0000, // 1.5
    0x4000_0000_0000_0000,
    0x4004_0000_0000_0000, // 2.5
    0x41df_ffff_ffc0_0000, // 2^31 - 1
    0x41df_ffff_ffe0_0000, // 2^31 - 0.5
    0x41e0_0000_0000_0000, // 2^31
    0x41e0_0000_0010_0000,
    0x41e0_0000_0020_0000,
    0x41ef_ffff_ffe0_0000, // 2^32 - 1
    0x41ef_ffff_fff0_0000, // 2^32 - 0.5
    0x41f0_0000_0000_0000, // 2^32
    0x4330_0000_0000_0000, // 2^52
    0x4330_0000_0000_0001,
    0x433f_ffff_ffff_ffff,
    0x4340_0000_0000_0000, // 2^53
    0x43df_ffff_ffff_ffff,
    0x43e0_0000_0000_0000, // 2^63
    0x43ef_ffff_ffff_ffff,
    0x43f0_0000_0000_0000, // 2^64
    0x47ef_ffff_e000_0000, // greatest single
    0x47ef_ffff_efff_ffff,
    0x47ef_ffff_f000_0000, // overflows to single's infinity
    0x47f0_0000_0000_0000,
    0x7fe0_0000_0000_0000,
    0x7fef_ffff_ffff_ffff, // greatest finite
    0x7ff0_0000_0000_0000, // infinity
    0x7ff0_0000_0000_0001, // signalling
    0x7ff4_0000_0000_0000,
    0x7ff7_ffff_ffff_ffff,
    0x7ff8_0000_0000_0000, // canonical quiet
    0x7ff8_0000_0000_0001,
    0x7fff_ffff_ffff_ffff,
];
