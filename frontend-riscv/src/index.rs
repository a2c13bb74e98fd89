//! Finds the line of the table for a word.

use crate::config::Config;
use crate::table::{InsnDef, table};

/// The enabled lines of the table, by major opcode.
pub(crate) struct Index {
    xlen: u32,
    /// 32-bit instructions by bits 6..2.
    long: Vec<Bucket>,
    /// 16-bit instructions by bits 1..0 and 15..13.
    short: Vec<Bucket>,
}

/// The lines of one major opcode, sorted by the bits that all of them fix.
#[derive(Clone)]
struct Bucket {
    common: u32,
    lines: Vec<(u32, &'static InsnDef)>,
}

impl Index {
    /// Sorts the lines that `config` enables.
    pub(crate) fn new(config: &Config) -> Index {
        let enabled: Vec<_> = table().iter().filter(|d| d.enabled(config)).collect();
        let bucket = |bits: u8, number: u32, key: fn(u32) -> u32| {
            Bucket::new(enabled.iter().copied().filter(|d| d.pattern.bits == bits && key(d.pattern.value) == number))
        };
        Index {
            xlen: config.xlen,
            long: (0..32).map(|n| bucket(32, n, long_key)).collect(),
            short: (0..32).map(|n| bucket(16, n, short_key)).collect(),
        }
    }

    /// The instruction that `word` is, or `None` if that is reserved or disabled. A word whose lowest two bits are
    /// not both set has 16 bits.
    #[inline]
    pub(crate) fn find(&self, word: u32) -> Option<&'static InsnDef> {
        let bucket =
            if is_long(word) { &self.long[long_key(word) as usize] } else { &self.short[short_key(word) as usize] };
        bucket.find(word).filter(|def| !def.is_reserved(word, self.xlen))
    }
}

/// Does the instruction that starts with these bits have 32 bits (or more)?
pub(crate) fn is_long(word: u32) -> bool {
    word & 3 == 3
}

fn long_key(word: u32) -> u32 {
    word >> 2 & 31
}

fn short_key(word: u32) -> u32 {
    word << 3 & 0x18 | word >> 13 & 7
}

impl Bucket {
    fn new(defs: impl Iterator<Item = &'static InsnDef>) -> Bucket {
        let mut defs: Vec<_> = defs.collect();
        let common = defs.iter().fold(u32::MAX, |mask, d| mask & d.pattern.mask);
        // Special cases, which fix more bits, come before the general one.
        defs.sort_by_key(|d| (d.pattern.value & common, u32::MAX - d.pattern.mask.count_ones()));
        Bucket { common, lines: defs.into_iter().map(|d| (d.pattern.value & common, d)).collect() }
    }

    fn find(&self, word: u32) -> Option<&'static InsnDef> {
        let key = word & self.common;
        let start = self.lines.partition_point(|(k, _)| *k < key);
        let same = self.lines[start..].iter().take_while(|(k, _)| *k == key);
        same.map(|(_, def)| *def).find(|def| def.pattern.matches(word))
    }
}
