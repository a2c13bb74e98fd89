//! Whose an encoding is that no line of [`crate::table`] matches: which extension that `emu` lacks, after the opcode maps of the manuals.
//!
//! The first line that matches decides: special cases stand before the groups that they are in.

use emu_ir::pattern::Pattern;

/// An encoding, and what it belongs to.
type Line = (Pattern, &'static str);

const fn line(bits: &str, extension: &'static str) -> Line {
    (Pattern::new(bits), extension)
}

/// Encodings of 32 bits.
#[rustfmt::skip]
const LONG: &[Line] = &[
    // LOAD-FP and STORE-FP: width 001 is half, 100 quad; the rest are vectors.
    line("------------ ----- 001 ----- 0000111", "Zfh (half-precision floating point)"),
    line("------------ ----- 001 ----- 0100111", "Zfh (half-precision floating point)"),
    line("------------ ----- 100 ----- 0000111", "Q (quad-precision floating point)"),
    line("------------ ----- 100 ----- 0100111", "Q (quad-precision floating point)"),
    line("------------ ----- 000 ----- 0000111", "V (vectors)"),
    line("------------ ----- 101 ----- 0000111", "V (vectors)"),
    line("------------ ----- 11- ----- 0000111", "V (vectors)"),
    line("------------ ----- 000 ----- 0100111", "V (vectors)"),
    line("------------ ----- 101 ----- 0100111", "V (vectors)"),
    line("------------ ----- 11- ----- 0100111", "V (vectors)"),
    // OP-V and OP-VE.
    line("------------ ----- 111 ----- 1010111", "V (vectors: vsetvl and its kin)"),
    line("------------ ----- --- ----- 1010111", "V (vectors)"),
    line("------------ ----- --- ----- 1110111", "Zvk (vector cryptography)"),
    // OP-FP and the fused multiplications: format 10 is half, 11 quad.
    line("0100000 00010 ----- --- ----- 1010011", "Zfhmin (half-precision floating point: conversions)"),
    line("0100001 00010 ----- --- ----- 1010011", "Zfhmin (half-precision floating point: conversions)"),
    line("0100000 00011 ----- --- ----- 1010011", "Q (quad-precision floating point)"),
    line("0100001 00011 ----- --- ----- 1010011", "Q (quad-precision floating point)"),
    line("-----10 ----- ----- --- ----- 1010011", "Zfh (half-precision floating point)"),
    line("-----11 ----- ----- --- ----- 1010011", "Q (quad-precision floating point)"),
    line("-----10 ----- ----- --- ----- 100--11", "Zfh (half-precision floating point)"),
    line("-----11 ----- ----- --- ----- 100--11", "Q (quad-precision floating point)"),
    line("111100- 00001 ----- 000 ----- 1010011", "Zfa (fli)"),
    line("001010- ----- ----- 01- ----- 1010011", "Zfa (fminm and fmaxm)"),
    line("010000- 0010- ----- --- ----- 1010011", "Zfa (fround)"),
    line("1100001 01000 ----- 001 ----- 1010011", "Zfa (fcvtmod)"),
    line("101000- ----- ----- 10- ----- 1010011", "Zfa (fleq and fltq)"),
    line("1110001 00001 ----- 000 ----- 1010011", "Zfa (fmvh)"),
    line("1011001 ----- ----- 000 ----- 1010011", "Zfa (fmvp)"),
    // AMO.
    line("00101-- ----- ----- --- ----- 0101111", "Zacas (atomic compare and swap)"),
    line("01001-- ----- ----- 01- ----- 0101111", "Zicfiss (shadow stacks)"),
    line("------- ----- ----- 00- ----- 0101111", "Zabha (atomics of bytes and halves)"),
    // MISC-MEM.
    line("0000000 00100 ----- 010 00000 0001111", "Zicboz (cache blocks of zeros)"),
    line("0000000 000-- ----- 010 00000 0001111", "Zicbom (management of cache blocks)"),
    // OP-IMM, OP and OP-32: scalar cryptography.
    line("0001000 000-- ----- 001 ----- 0010011", "Zknh (SHA-256)"),
    line("0001000 001-- ----- 001 ----- 0010011", "Zknh (SHA-512)"),
    line("0001000 0100- ----- 001 ----- 0010011", "Zksh (SM3)"),
    line("0011000 ----- ----- 001 ----- 0010011", "Zknd and Zkne (AES)"),
    line("0110100 00111 ----- 101 ----- 0010011", "Zbkb (bits for cryptography: brev8)"),
    line("0000100 01111 ----- -01 ----- 0010011", "Zbkb (bits for cryptography: zip and unzip)"),
    line("0000100 ----- ----- 1-- ----- 0110011", "Zbkb (bits for cryptography: pack)"),
    line("0000100 ----- ----- 100 ----- 0111011", "Zbkb (bits for cryptography: pack)"),
    line("0010100 ----- ----- -10 ----- 0110011", "Zbkx (permutations for cryptography)"),
    line("0010100 ----- ----- 100 ----- 0110011", "Zbkx (permutations for cryptography)"),
    line("00110-1 ----- ----- 000 ----- 0110011", "Zkne (AES encryption)"),
    line("00111-1 ----- ----- 000 ----- 0110011", "Zknd (AES decryption)"),
    line("0111111 ----- ----- 000 ----- 0110011", "Zknd and Zkne (AES)"),
    line("--100-1 ----- ----- 000 ----- 0110011", "Zkne (AES encryption)"),
    line("--101-1 ----- ----- 000 ----- 0110011", "Zknd (AES decryption)"),
    line("--110-0 ----- ----- 000 ----- 0110011", "Zksed (SM4)"),
    line("0101--- ----- ----- 000 ----- 0110011", "Zknh (SHA-512)"),
    // SYSTEM.
    line("0000000 01101 00000 000 00000 1110011", "Zawrs (wait on reservation set)"),
    line("0000000 11101 00000 000 00000 1110011", "Zawrs (wait on reservation set)"),
    line("00-1000 00010 00000 000 00000 1110011", "the privileged architecture (a return from a trap)"),
    line("0001001 ----- ----- 000 00000 1110011", "the privileged architecture (sfence.vma)"),
    line("1-00--0 111-- ----- 100 ----- 1110011", "Zimop (may-be-operations)"),
    line("1-00--1 ----- ----- 100 ----- 1110011", "Zimop (may-be-operations)"),
    line("000000001--- ----- --- ----- 1110011", "V (vectors: its control registers)"),
    line("110000100000 ----- --- ----- 1110011", "V (vectors: vl)"),
    line("110000100001 ----- --- ----- 1110011", "V (vectors: vtype)"),
    line("110000100010 ----- --- ----- 1110011", "V (vectors: vlenb)"),
    line("000000010101 ----- --- ----- 1110011", "Zkr (entropy: seed)"),
    line("000000010111 ----- --- ----- 1110011", "Zcmt (table jumps: jvt)"),
    line("000000010001 ----- --- ----- 1110011", "Zicfiss (shadow stacks: ssp)"),
    line("1100-001---- ----- --- ----- 1110011", "Zihpm (performance counters)"),
    line("1100-000---- ----- --- ----- 1110011", "Zihpm (performance counters)"),
    line("--01-------- ----- --- ----- 1110011", "the privileged architecture (a supervisor's control register)"),
    line("--1--------- ----- --- ----- 1110011", "the privileged architecture (a hypervisor's or machine's control register)"),
    // What no standard extension takes.
    line("------------ ----- --- ----- 0001011", "a vendor's own (custom-0: XThead, for example)"),
    line("------------ ----- --- ----- 0101011", "a vendor's own (custom-1)"),
    line("------------ ----- --- ----- 1011011", "a vendor's own (custom-2)"),
    line("------------ ----- --- ----- 1111011", "a vendor's own (custom-3)"),
    line("1111111 11111 11111 111 11111 1111111", "no extension: memory of all ones, which the manual keeps illegal; the program ran into data"),
];

/// Encodings of 16 bits.
#[rustfmt::skip]
const SHORT: &[Line] = &[
    line("0000000000000000", "no extension: memory of zeros, which the manual keeps illegal; the program ran into data, or gave up on purpose"),
    line("01100---10000001", "Zcmop (compressed may-be-operations)"),
    line("1010-----------0", "Zcmp or Zcmt (push, pop and table jumps)"),
    line("1011-----------0", "Zcmp or Zcmt (push, pop and table jumps)"),
];

/// Whose the encoding is; `None` if the maps do not say.
pub(crate) fn extension(word: u32) -> Option<&'static str> {
    let lines = if word & 3 == 3 { LONG } else { SHORT };
    lines.iter().find(|(pattern, _)| pattern.matches(word)).map(|(_, extension)| *extension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Riscv};
    use emu_ir::Guest;

    #[test]
    fn encodings_as_assembled() {
        // As GNU as makes them.
        let cases = [
            (0x0d107057, "V ("),       // vsetvli zero, zero, e32, m1
            (0x02056007, "V ("),       // vle32.v v0, (a0)
            (0x02208157, "V ("),       // vadd.vv v2, v2, v1
            (0x0005_1007, "Zfh ("),    // flh ft0, 0(a0)
            (0x0415_7553, "Zfh ("),    // fadd.h fa0, fa0, ft1
            (0x4025_7553, "Zfhmin ("), // fcvt.s.h fa0, fa0
            (0xf210_0553, "Zfa ("),    // fli.d
            (0x28b5_352f, "Zacas ("),  // amocas.d a0, a1, (a0)
            (0x00b5_052f, "Zabha ("),  // amoadd.b a0, a1, (a0)
            (0x0045_200f, "Zicboz ("), // cbo.zero (a0)
            (0x00d0_0073, "Zawrs ("),  // wrs.nto
            (0x1025_1513, "Zknh ("),   // sha256sig0 a0, a0
            (0x32b5_0533, "Zkne ("),   // aes64es a0, a0, a1
            (0x3020_0073, "the priv"), // mret
            (0x0000_100b, "a vendor"), // custom-0
            (0, "no extension"),
        ];
        for (word, name) in cases {
            assert!(extension(word).is_some_and(|e| e.starts_with(name)), "{word:#x}: {:?}", extension(word));
        }
        assert_eq!(extension(0x0000_0013), None);
    }

    #[test]
    fn what_another_processor_has_is_named_too() {
        let guest = Riscv::new(Config::parse("rv64i").unwrap());
        assert_eq!(guest.missing(0x02b5_0533).as_deref(), Some("mul, which rv64i lacks (see --cpu)"));
        assert_eq!(Riscv::new(Config::max(64)).missing(0x02b5_0533), None);
    }
}
