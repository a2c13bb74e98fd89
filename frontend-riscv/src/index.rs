//! Finds the line of the table for a word.

use crate::config::Config;
use crate::table::{InsnDef, table};
use emu_ir::pattern::{BitField, PatternIndex};

/// The enabled lines of the table.
pub(crate) struct Index {
    xlen: u32,
    /// 32-bit instructions, by the opcode and funct3.
    long: PatternIndex<InsnDef>,
    /// 16-bit instructions, by the quadrant, and funct3 with the three bits below.
    short: PatternIndex<InsnDef>,
}

impl Index {
    /// Sorts the lines that `config` enables.
    pub(crate) fn new(config: &Config) -> Index {
        let enabled: Vec<_> = table().iter().filter(|d| d.enabled(config)).collect();
        let lines = |bits: u8| enabled.iter().filter(move |d| d.pattern.bits == bits).map(|d| (d.pattern, *d));
        Index {
            xlen: config.xlen,
            long: PatternIndex::new(lines(32), [BitField { shift: 2, bits: 5 }, BitField { shift: 12, bits: 3 }]),
            short: PatternIndex::new(lines(16), [BitField { shift: 0, bits: 2 }, BitField { shift: 10, bits: 6 }]),
        }
    }

    /// The instruction that `word` is, or `None` if that is reserved or disabled. A word whose lowest two bits are
    /// not both set has 16 bits.
    #[inline]
    pub(crate) fn find(&self, word: u32) -> Option<&'static InsnDef> {
        let found = if is_long(word) { self.long.find(word).next() } else { self.short.find(word).next() };
        found.filter(|def| !def.is_reserved(word, self.xlen))
    }
}

/// Does the instruction that starts with these bits have 32 bits (or more)?
pub(crate) fn is_long(word: u32) -> bool {
    word & 3 == 3
}
