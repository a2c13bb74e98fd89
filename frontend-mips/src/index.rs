//! Finds the line of the table for a word.

use crate::config::Config;
use crate::table::{InsnDef, table};
use emu_ir::pattern::{BitField, PatternIndex};

/// The enabled lines of the table, by the major opcode and the lowest bits of what is the function in most words with more than one.
pub(crate) struct Index {
    lines: PatternIndex<InsnDef>,
}

impl Index {
    /// Sorts the lines that `config` enables.
    pub(crate) fn new(config: &Config) -> Index {
        let enabled = table().iter().filter(|d| d.enabled(config)).map(|d| (d.pattern, d));
        Index { lines: PatternIndex::new(enabled, [BitField { shift: 26, bits: 6 }, BitField { shift: 0, bits: 3 }]) }
    }

    /// The instruction that `word` is, or `None` if that is reserved.
    #[inline]
    pub(crate) fn find(&self, word: u32) -> Option<&'static InsnDef> {
        self.lines.find(word).find(|def| def.matches(word))
    }
}
