//! Finds the line of the table for a word.

use crate::config::Config;
use crate::table::{InsnDef, table};

/// The enabled lines of the table, by major opcode.
pub(crate) struct Index {
    buckets: Vec<Bucket>,
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
        let bucket = |n| Bucket::new(enabled.iter().copied().filter(|d| d.pattern.value >> 26 == n));
        Index { buckets: (0..64).map(bucket).collect() }
    }

    /// The instruction that `word` is, or `None` if that is reserved.
    #[inline]
    pub(crate) fn find(&self, word: u32) -> Option<&'static InsnDef> {
        self.buckets[(word >> 26) as usize].find(word)
    }
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
        same.map(|(_, def)| *def).find(|def| def.matches(word))
    }
}
