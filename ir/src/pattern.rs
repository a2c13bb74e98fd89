//! Instruction patterns written as in the manual: `"0000000 ttttt sssss 000 ddddd 0110011"`.
//!
//! `0` and `1` are fixed bits, any other character is an operand bit, blanks separate fields for the reader.
//! [`Pattern::new`] is a `const fn`: a string of the wrong length is a build error at its own line.

/// Fixed bits of an instruction of 16 or 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The bits that are fixed.
    pub mask: u32,
    /// Their values.
    pub value: u32,
    /// 16 or 32.
    pub bits: u8,
}

impl Pattern {
    /// Reads the manual's bit string, most significant bit first.
    ///
    /// # Panics
    /// If it has neither 16 nor 32 bits (at build time, in a constant).
    pub const fn new(text: &str) -> Pattern {
        let bytes = text.as_bytes();
        let (mut mask, mut value, mut bits, mut i) = (0u32, 0u32, 0u8, 0);
        while i < bytes.len() {
            let c = bytes[i];
            i += 1;
            if c == b' ' {
                continue;
            }
            assert!(bits < 32, "more than 32 bits");
            mask = mask << 1 | (c == b'0' || c == b'1') as u32;
            value = value << 1 | (c == b'1') as u32;
            bits += 1;
        }
        assert!(bits == 16 || bits == 32, "an instruction has 16 or 32 bits");
        Pattern { mask, value, bits }
    }

    /// Does the word match?
    #[inline]
    pub const fn matches(&self, word: u32) -> bool {
        word & self.mask == self.value
    }

    /// Is there a word that matches both?
    pub const fn overlaps(&self, other: &Pattern) -> bool {
        self.bits == other.bits && (self.value ^ other.value) & self.mask & other.mask == 0
    }

    /// Does every word that matches `other` match this too?
    pub const fn covers(&self, other: &Pattern) -> bool {
        self.overlaps(other) && self.mask & !other.mask == 0
    }
}

/// Some bits of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// The lowest one.
    pub shift: u32,
    /// How many.
    pub bits: u32,
}

impl BitField {
    const fn get(self, word: u32) -> u32 {
        word >> self.shift & !(u32::MAX << self.bits)
    }

    /// The values that the field has in words that match the pattern.
    fn values(self, pattern: Pattern) -> impl Iterator<Item = u32> {
        (0..1 << self.bits).filter(move |v| (pattern.value ^ v << self.shift) & pattern.mask & self.mask() == 0)
    }

    const fn mask(self) -> u32 {
        !(u32::MAX << self.bits) << self.shift
    }
}

/// Finds the lines of a table that match a word by two fields of it.
#[derive(Debug)]
pub struct PatternIndex<T: 'static> {
    fields: [BitField; 2],
    /// For each value of the fields where its lines begin; they end where the next one's do.
    starts: Vec<u16>,
    /// The lines of one value after another; of each those that fix more bits come first.
    lines: Vec<(Pattern, &'static T)>,
}

impl<T> PatternIndex<T> {
    /// The index of these lines, of fewer than 65 536 in all values of the fields. It is small if most of them fix most of the fields.
    pub fn new(lines: impl Iterator<Item = (Pattern, &'static T)>, fields: [BitField; 2]) -> PatternIndex<T> {
        let mut keyed: Vec<(u32, (Pattern, &'static T))> = Vec::new();
        for line in lines {
            for first in fields[0].values(line.0) {
                keyed.extend(fields[1].values(line.0).map(|second| (first << fields[1].bits | second, line)));
            }
        }
        keyed.sort_by_key(|(key, (pattern, _))| (*key, u32::MAX - pattern.mask.count_ones()));
        let begin = |key: u32| keyed.partition_point(|(other, _)| *other < key) as u16;
        let starts = (0..=1 << (fields[0].bits + fields[1].bits)).map(begin).collect();
        PatternIndex { fields, starts, lines: keyed.into_iter().map(|(_, line)| line).collect() }
    }

    /// The lines that match the word, those first that fix more bits.
    #[inline]
    pub fn find(&self, word: u32) -> impl Iterator<Item = &'static T> {
        let [first, second] = self.fields;
        let key = (first.get(word) << second.bits | second.get(word)) as usize;
        let lines = &self.lines[self.starts[key].into()..self.starts[key + 1].into()];
        lines.iter().filter(move |(pattern, _)| pattern.matches(word)).map(|(_, line)| *line)
    }
}

/// Splits a template of operands, such as `rd, imm(rs1)`, into names and what stands between them.
pub fn pieces(template: &'static str) -> impl Iterator<Item = &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = template;
    std::iter::from_fn(move || {
        let named = is_name(rest.chars().next()?);
        let end = rest.find(|c| is_name(c) != named).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_bits_are_read_in_the_order_of_the_manual() {
        const ADDI: Pattern = Pattern::new("iiiiiiiiiiii sssss 000 ddddd 0010011");
        assert_eq!(ADDI, Pattern { mask: 0x707f, value: 0x0013, bits: 32 });
        assert!(ADDI.matches(0x0010_0093));
        assert!(!ADDI.matches(0x0010_1093));
    }

    #[test]
    fn templates_fall_into_names_and_the_rest() {
        assert!(pieces("rd, imm_12(rs1)").eq(["rd", ", ", "imm_12", "(", "rs1", ")"]));
        assert_eq!(pieces("").next(), None);
    }

    #[test]
    fn overlap_and_cover() {
        let nop = Pattern::new("000 0 00000 00000 01");
        let addi = Pattern::new("000 i ddddd iiiii 01");
        assert!(nop.overlaps(&addi) && addi.covers(&nop) && !nop.covers(&addi));
        assert!(!addi.overlaps(&Pattern::new("001 i ddddd iiiii 01")));
    }

    #[test]
    fn an_index_finds_special_cases_first() {
        static LINES: [(&str, &str); 4] = [
            ("mv", "1000 ddddd sssss 10"),
            ("jr", "1000 ddddd 00000 10"),
            ("lui", "011 i ddddd iiiii 01"),
            ("li", "010 i ddddd iiiii 01"),
        ];
        let lines = || LINES.iter().map(|line| (Pattern::new(line.1), line));
        // Fixed in some lines, operands in others, or both at once.
        for fields in [[(0, 2), (10, 6)], [(0, 2), (2, 5)], [(13, 3), (6, 3)]] {
            let index = PatternIndex::new(lines(), fields.map(|(shift, bits)| BitField { shift, bits }));
            for word in 0..=0xffff {
                let mut expected: Vec<_> = lines().filter(|(pattern, _)| pattern.matches(word)).collect();
                expected.sort_by_key(|(pattern, _)| u32::MAX - pattern.mask.count_ones());
                let found = index.find(word).map(|line| line.0);
                assert!(found.eq(expected.iter().map(|(_, line)| line.0)), "{word:#x} by {fields:?}");
            }
        }
    }
}
