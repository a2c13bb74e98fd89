//! Whose an encoding is that no line of [`crate::table`] matches: which extension that `emu` lacks, after the opcode maps of the manuals
//! (volume II-A, appendix A, and volume IV).
//!
//! The first line that matches decides: special cases stand before the groups that they are in.

use emu_ir::pattern::Pattern;

/// An encoding, and what it belongs to.
type Line = (Pattern, &'static str);

const fn line(bits: &str, extension: &'static str) -> Line {
    (Pattern::new(bits), extension)
}

#[rustfmt::skip]
const LINES: &[Line] = &[
    // MSA: its own opcode, and branches among those of coprocessor 1.
    line("011110 ----- ----- ----- ----- ------", "MSA (vectors; MDMX on old processors)"),
    line("010001 01011 ----- ----- ----- ------", "MSA (vectors: bz.v)"),
    line("010001 01111 ----- ----- ----- ------", "MSA (vectors: bnz.v)"),
    line("010001 11--- ----- ----- ----- ------", "MSA (vectors: bz and bnz)"),
    line("000000 ----- ----- ----- ---00 000101", "MSA (vectors: lsa)"),
    line("000000 ----- ----- ----- ---00 010101", "MSA (vectors: dlsa)"),
    // jalx goes to code of the other instruction sets.
    line("011101 ----- ----- ----- ----- ------", "MIPS16e or microMIPS (jalx, a call of such code)"),
    // DSP: SPECIAL3, a branch, and accumulators other than the first.
    line("011111 ----- ----- ----- ----- 001010", "DSP (indexed loads)"),
    line("011111 ----- ----- ----- ----- 00110-", "DSP"),
    line("011111 ----- ----- ----- ----- 0100--", "DSP"),
    line("011111 ----- ----- ----- ----- 0101--", "DSP"),
    line("011111 ----- ----- ----- ----- 011000", "DSP Release 2"),
    line("011111 ----- ----- ----- ----- 110001", "DSP Release 2"),
    line("011111 ----- ----- ----- ----- 11-000", "DSP"),
    line("011111 ----- ----- ----- ----- 11-100", "DSP"),
    line("011111 ----- ----- ----- ----- 110101", "DSP Release 2"),
    line("000001 ----- 1110- ----- ----- ------", "DSP (bposge)"),
    line("000000 ---01 00000 ----- 00000 0100-0", "DSP (mfhi or mflo of accumulator 1)"),
    line("000000 ---1- 00000 ----- 00000 0100-0", "DSP (mfhi or mflo of accumulator 2 or 3)"),
    line("000000 ----- 00000 00000 000-1 0100-1", "DSP (mthi or mtlo of another accumulator)"),
    line("000000 ----- 00000 00000 0001- 0100-1", "DSP (mthi or mtlo of another accumulator)"),
    line("000000 ----- ----- 00000 000-1 01100-", "DSP (mult with another accumulator)"),
    line("000000 ----- ----- 00000 0001- 01100-", "DSP (mult with another accumulator)"),
    line("011100 ----- ----- 00000 000-1 000-0-", "DSP (madd or msub with another accumulator)"),
    line("011100 ----- ----- 00000 0001- 000-0-", "DSP (madd or msub with another accumulator)"),
    // The rest of SPECIAL3.
    line("011111 ----- ----- ----- ----- 00100-", "MT (multithreading: fork and yield)"),
    line("011111 ----- ----- ----- ----- 001111", "CRC"),
    line("011111 ----- ----- ----- ----- 0111--", "Loongson (or a kernel's EVA)"),
    line("011111 ----- ----- ----- ----- 011001", "EVA (a kernel's accesses to user memory)"),
    line("011111 ----- ----- ----- ----- 01101-", "EVA (a kernel's accesses to user memory)"),
    line("011111 ----- ----- ----- ----- 101---", "EVA (a kernel's accesses to user memory)"),
    line("011111 ----- ----- ----- ----- 111101", "GINV (a kernel's invalidation)"),
    // MIPS-3D: reduced and reciprocal forms of paired singles, comparisons of absolute values, branches on two and four conditions.
    line("010001 0100- ----- ----- ----- ------", "MIPS-3D (branches on several conditions; or Release 6's)"),
    line("010001 10--- ----- ----- ----- 0110-0", "MIPS-3D (reductions)"),
    line("010001 10--- ----- ----- ----- 0111--", "MIPS-3D (reciprocals)"),
    line("010001 10--- ----- ----- ---01 11----", "MIPS-3D (comparisons of absolute values)"),
    line("010001 10--- ----- ----- ----- 100110", "MIPS-3D (conversions)"),
    // Processors' own: SPECIAL2, coprocessor 2 and its loads and stores.
    line("011100 ----- ----- ----- 00010 001000", "SmartMIPS (lwxs)"),
    line("011100 ----- ----- ----- ----- 101000", "Octeon (baddu)"),
    line("011100 ----- ----- ----- ----- 000011", "Octeon (dmul)"),
    line("011100 ----- ----- ----- ----- 10101-", "Octeon (seq and sne)"),
    line("011100 ----- ----- ----- ----- 10111-", "Octeon (seqi and snei)"),
    line("011100 ----- ----- ----- ----- 10110-", "Octeon (pop and dpop)"),
    line("011100 ----- ----- ----- ----- 11-01-", "Octeon (cins and exts)"),
    line("011100 ----- ----- ----- ----- 01----", "a vendor's own (Loongson, or CorExtend's UDI)"),
    line("010010 ----- ----- ----- ----- ------", "coprocessor 2 (Loongson's multimedia, Octeon's cryptography, or a vendor's own)"),
    line("110010 ----- ----- ----- ----- ------", "coprocessor 2 (Loongson's loads, or Octeon's bbit0)"),
    line("110110 ----- ----- ----- ----- ------", "coprocessor 2 (Loongson's loads, or Octeon's bbit032)"),
    line("111010 ----- ----- ----- ----- ------", "coprocessor 2 (Loongson's stores, or Octeon's bbit1)"),
    line("111110 ----- ----- ----- ----- ------", "coprocessor 2 (Loongson's stores, or Octeon's bbit132)"),
    line("010000 ----- ----- ----- ----- ------", "coprocessor 0 (a kernel's)"),
    line("101111 ----- ----- ----- ----- ------", "coprocessor 0 (a kernel's: cache)"),
];

/// Whose the encoding is; `None` if the maps do not say.
pub(crate) fn extension(word: u32) -> Option<&'static str> {
    LINES.iter().find(|(pattern, _)| pattern.matches(word)).map(|(_, extension)| *extension)
}

#[cfg(test)]
mod tests {
    use crate::{Config, Mips};
    use emu_ir::Guest;

    #[test]
    fn encodings_as_assembled() {
        // As GNU as makes them.
        let cases = [
            (0x7821_000e, "MSA ("),           // addv.b $w0, $w0, $w1
            (0x4760_0001, "MSA ("),           // bz.d
            (0x7c85_1010, "DSP"),             // addu.qb $v0, $a0, $a1
            (0x7c85_1298, "DSP Release 2"),   // mul.ph $v0, $a0, $a1
            (0x041c_0001, "DSP (bposge)"),    // bposge32
            (0x0020_1010, "DSP (mfhi"),       // mfhi $v0, $ac1
            (0x7400_0000, "MIPS16e or"),      // jalx 0
            (0x7085_1028, "Octeon (baddu)"),  // baddu $v0, $a0, $a1
            (0xc880_0000, "coprocessor 2 ("), // lwc2
            (0x4680_01a6, "MIPS-3D ("),       // cvt.ps.pw $f6, $f0
        ];
        let guest = Mips::new(Config::parse("mips64r2").unwrap());
        for (word, name) in cases {
            assert!(guest.missing(word).is_some_and(|e| e.starts_with(name)), "{word:#x}: {:?}", guest.missing(word));
        }
        assert_eq!(guest.missing(0x0000_0000), None);
    }

    #[test]
    fn what_another_release_has_is_named_too() {
        let guest = Mips::new(Config::parse("mips32").unwrap());
        assert_eq!(guest.missing(0x7c82_1040).as_deref(), Some("ext of mips32r2, which mips32r1el lacks (see --cpu)"));
    }
}
