//! The disassembler against capstone, over random words of every line of the table; and against a list of texts as the GNU
//! assembler has them.
mod common;

use capstone::arch::mips::ArchMode;
use capstone::prelude::*;
use common::{Code, Random, guest};
use emu_frontend_mips::disasm::{self, disassemble};
use emu_frontend_mips::table::{Control, InsnDef, table};
use emu_ir::Guest;

fn capstone(mode: ArchMode) -> Capstone {
    Capstone::new().mips().mode(mode).endian(capstone::Endian::Little).build().unwrap()
}

/// Capstone's text for the word at 0x1000.
fn reference(cs: &Capstone, word: u32) -> Option<String> {
    let insns = cs.disasm_count(&word.to_le_bytes(), 0x1000, 1).unwrap();
    let insn = insns.iter().next()?;
    Some(format!("{} {}", insn.mnemonic().unwrap(), insn.op_str().unwrap()))
}

/// Pseudo-instructions, which capstone always prints, with what they stand for.
const ALIASES: &[(&str, &str)] = &[
    ("b $0", "beq $zero, $zero, $0"),
    ("bal $0", "bgezal $zero, $0"),
    ("beqz $0, $1", "beq $0, $zero, $1"),
    ("bnez $0, $1", "bne $0, $zero, $1"),
    ("beqzl $0, $1", "beql $0, $zero, $1"),
    ("bnezl $0, $1", "bnel $0, $zero, $1"),
    ("move $0, $1", "addu $0, $1, $zero"),
    ("negu $0, $1", "subu $0, $zero, $1"),
    ("neg $0, $1", "sub $0, $zero, $1"),
    ("not $0, $1", "nor $0, $1, $zero"),
    ("jalr $0", "jalr $ra, $0"),
    ("jalr.hb $0", "jalr.hb $ra, $0"),
    ("break", "break 0, 0"),
    ("break $0", "break $0, 0"),
    ("sync", "sync 0"),
    ("syscall", "syscall 0"),
    ("bc1f $0", "bc1f $fcc0, $0"),
    ("bc1t $0", "bc1t $fcc0, $0"),
    ("bc1fl $0", "bc1fl $fcc0, $0"),
    ("bc1tl $0", "bc1tl $fcc0, $0"),
    ("di", "di $zero"),
    ("ei", "ei $zero"),
];

/// The instruction that a pseudo-instruction stands for.
fn without_alias(text: &str) -> String {
    let (name, operands) = text.split_once(' ').unwrap_or((text, ""));
    let operands: Vec<_> = operands.split(", ").filter(|o| !o.is_empty()).collect();
    let count = |alias: &str| alias.split(' ').skip(1).count();
    let matches = |alias: &str| alias.split(' ').next() == Some(name) && count(alias) == operands.len();
    let Some((_, long)) = ALIASES.iter().find(|(alias, _)| matches(alias)) else { return text.to_owned() };
    operands.iter().enumerate().fold((*long).to_owned(), |out, (n, o)| out.replace(&format!("${n}"), o))
}

/// Numbers in one base, cut to 32 bits.
fn with_plain_numbers(text: &str) -> String {
    let words = text.split_inclusive([' ', ',', '(', ')']);
    words
        .map(|piece| {
            let word = piece.trim_end_matches([' ', ',', '(', ')']);
            number(word).map_or(piece.to_owned(), |n| format!("{}{}", n as u32, &piece[word.len()..]))
        })
        .collect()
}

fn number(word: &str) -> Option<i64> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()? as i64,
        None => digits.parse().ok()?,
    };
    Some(value.wrapping_mul(sign))
}

/// Why capstone 5 has no text for the word, or another one.
fn exception(def: &InsnDef, word: u32, r6: bool) -> Option<&'static str> {
    let (opcode, rt, rd) = (word >> 26, word >> 16 & 31, word >> 11 & 31);
    let hint = word >> 6 & 31;
    match def.name {
        "cop0" | "cop2" | "cop3" | "lwc2" | "swc2" | "ldc2" | "sdc2" | "lwc3" | "swc3" | "wait" => {
            Some("not an instruction to capstone, or one of another kind")
        }
        "mfc0" | "mtc0" | "dmfc0" | "dmtc0" | "rdhwr" => Some("capstone names the other register like a general one"),
        "jr" | "jalr" if hint != 0 => Some("capstone knows no other hints"),
        "clz" | "clo" | "dclz" | "dclo" if !r6 && rt != rd => Some("capstone prints rt, which is to be the same"),
        "dextm" | "dextu" | "dinsm" | "dinsu" => Some("capstone prints the fields, not the position and the size"),
        "tgei" | "tgeiu" | "tlti" | "tltiu" | "teqi" | "tnei" => Some("capstone prints the immediate as unsigned"),
        "jalr" | "jalr.hb" if rd == 0 => Some("capstone prints jr"),
        "c.cond.s" | "c.cond.d" if word >> 8 & 7 != 0 => Some("capstone knows one condition only"),
        "recip.s" | "recip.d" | "rsqrt.s" | "rsqrt.d" => Some("capstone lacks these"),
        _ if def.wide_fpu => Some("capstone lacks the long format on 32-bit processors"),
        "tge" | "tgeu" | "tlt" | "tltu" | "teq" | "tne" if word >> 6 & 0x3ff == 0 => Some("capstone omits a code of 0"),
        "daddu" | "or" if rt == 0 => Some("capstone takes it for a move of 32 bits"),
        _ if word & 0xffff == 0 && def.operands.contains("imm(") => Some("capstone leaves an offset of 0 out"),
        _ if opcode == 0b010011 => Some("capstone knows these in part, or takes them for coprocessor 3's"),
        "llwp" | "scwp" | "sigrie" | "nal" => Some("younger than capstone 5"),
        _ if r6 && opcode == 0b010001 => Some("capstone lacks most of Release 6's, and exchanges max and mina"),
        _ if r6 && (def.control != Control::None || def.operands.contains("branch")) => {
            Some("capstone prints offsets for addresses in Release 6")
        }
        "cache" | "pref" | "ll" | "sc" if r6 => Some("capstone does not extend the sign"),
        "aui" | "lui" | "lsa" | "auipc" | "aluipc" | "seleqz" | "selnez" if r6 => {
            Some("capstone exchanges registers, or has another scale, or none of it")
        }
        _ => None,
    }
}

/// With doubles in even registers: capstone takes the others for reserved on 32-bit processors.
fn with_pairs(def: &InsnDef, word: u32) -> u32 {
    let doubles = disasm::operands(def).filter(|o| o.kind == disasm::Kind::Double);
    doubles.fold(word, |w, o| o.field.put(w, o.field.get(w) & !1))
}

#[test]
fn every_line_prints_as_in_capstone() {
    let mut random = Random::new(1);
    let mut differ = std::collections::BTreeMap::<&str, String>::new();
    let modes = [("mips32r2", ArchMode::Mips32), ("mips64r2", ArchMode::Mips64), ("mips32r6", ArchMode::Mips32R6)];
    for (name, mode) in modes {
        let guest = guest(name);
        let (r6, cs) = (guest.config().release.is_r6(), capstone(mode));
        for def in table().iter().filter(|d| d.enabled(guest.config())) {
            for _ in 0..200 {
                let Some(word) = def.encode(random.next(), guest.config()) else { continue };
                let word = with_pairs(def, word);
                if exception(def, word, r6).is_some() {
                    continue;
                }
                let ours = disassemble(def, word, 0x1000, guest.config().bits());
                // Capstone prints the only condition there once was, or not.
                let ours = if ours.starts_with("c.") { ours.replace("$fcc0, ", "") } else { ours };
                let theirs = reference(&cs, word).unwrap_or_else(|| "nothing".to_owned());
                let theirs = if theirs.starts_with("c.") { theirs.replace("$fcc0, ", "") } else { theirs };
                let theirs = with_plain_numbers(&without_alias(theirs.trim()));
                if with_plain_numbers(&ours) != theirs {
                    differ.insert(def.name, format!("{name} {word:08x}: {ours} != {theirs}"));
                }
            }
        }
    }
    assert!(differ.is_empty(), "{:#?}", differ.values().collect::<Vec<_>>());
}

#[test]
fn targets_are_addresses() {
    let text = |name: &str, pc: u64, word: u32| {
        let guest = guest(name);
        guest.disassemble(pc, &mut Code::new(&guest, pc, &[word])).unwrap()
    };
    assert_eq!(text("mips32r2", 0, 0x1000_fff0), ("beq $zero, $zero, 0xffffffc4".to_owned(), 4));
    assert_eq!(text("mips64r2", 0, 0x1000_fff0).0, "beq $zero, $zero, 0xffffffffffffffc4");
    assert_eq!(text("mips64r2", 0x1_2000_0000, 0x0800_0001).0, "j 0x120000004");
    assert_eq!(text("mips32r2,eb", 0x1000, 0x27bd_ffe0).0, "addiu $sp, $sp, -32");
    assert_eq!(text("mips32r2", 0x1000, 0x7800_0000).0, ".word 0x78000000");
}
