//! The table as data: no line hides another by accident, the index finds what the table says, capstone agrees on
//! which 16-bit words are instructions.
mod common;

use capstone::arch::riscv::{ArchExtraMode, ArchMode};
use capstone::prelude::*;
use common::{ALL, Random, guest};
use emu_frontend_riscv::table::{InsnDef, table};
use emu_frontend_riscv::{Config, ExtSet, Riscv, disasm};

fn enabled(isa: &str) -> Vec<&'static InsnDef> {
    let config = Config::parse(isa).unwrap();
    table().iter().filter(|d| d.enabled(&config)).collect()
}

/// Lines that are special cases of others, with what the manual calls so.
const SPECIAL: &[(&str, &str)] = &[
    ("pause", "fence"),
    ("fence.tso", "fence"),
    ("c.nop", "c.addi"),
    ("c.addi16sp", "c.lui"),
    ("c.jr", "c.mv"),
    ("c.jalr", "c.add"),
    ("c.ebreak", "c.add"),
    ("c.ebreak", "c.jalr"),
];

#[test]
fn lines_overlap_only_where_one_is_a_special_case() {
    let mut seen = Vec::new();
    for isa in ALL {
        let defs = enabled(isa);
        for (n, a) in defs.iter().enumerate() {
            for b in defs[n + 1..].iter().filter(|b| a.pattern.overlaps(&b.pattern)) {
                assert_ne!(a.pattern, b.pattern, "{isa}: {} and {} are the same", a.name, b.name);
                let (special, general) = if a.pattern.covers(&b.pattern) { (b, a) } else { (a, b) };
                let covered = general.pattern.covers(&special.pattern);
                assert!(covered, "{isa}: {} and {} overlap, and neither is a special case", a.name, b.name);
                seen.push((special.name, general.name));
            }
        }
    }
    seen.sort_unstable();
    seen.dedup();
    let mut expected = SPECIAL.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn names_are_unique_and_templates_name_operands() {
    for isa in ALL {
        let defs = enabled(isa);
        for (n, def) in defs.iter().enumerate() {
            assert!(!defs[n + 1..].iter().any(|d| d.name == def.name), "{isa}: {} stands twice", def.name);
            for operand in disasm::operands(def) {
                let bits = operand.field.put(0, -1);
                // A register pattern may fix a part of a field (c.jr's rs2), but never the whole of it.
                assert_ne!(bits & !def.pattern.mask, 0, "{isa}: {} fixes its operand {}", def.name, operand.name);
            }
        }
    }
}

#[test]
fn operands_cover_the_free_bits() {
    // Bits that assembly does not show: reserved fields of fences, ordering bits, the immediate of a c.nop hint.
    let hidden = |d: &InsnDef| match d.name {
        name if name.starts_with("fence") => 0xf00f_8f80 | if name == "fence.i" { 0xfff0_0000 } else { 0 },
        "c.nop" => 0x107c,
        _ if d.needs == ExtSet::ZAAMO || d.needs == ExtSet::ZALRSC => 0x0600_0000,
        _ => 0,
    };
    for isa in ALL {
        for def in enabled(isa) {
            let shown = disasm::operands(def).fold(0, |bits, o| bits | o.field.put(0, -1));
            let word = u32::MAX >> (32 - def.pattern.bits);
            assert_eq!(shown | def.pattern.mask | hidden(def), word, "{isa}: {}", def.name);
        }
    }
}

/// The line that decides, found the slow way.
fn linear(defs: &[&'static InsnDef], word: u32, xlen: u32) -> Option<&'static str> {
    let bits = if word & 3 == 3 { 32 } else { 16 };
    let matching = defs.iter().filter(|d| d.pattern.bits == bits && d.pattern.matches(word));
    let best = matching.max_by_key(|d| d.pattern.mask.count_ones())?;
    (!best.is_reserved(word, xlen)).then_some(best.name)
}

#[test]
fn the_index_finds_what_the_table_says() {
    let mut random = Random::new(2);
    for isa in ["rv32max", "rv64max", "rv64gc", "rv32i", "rv64imac_zba_zbb"] {
        let (guest, defs) = (guest(isa), enabled(isa));
        let xlen = guest.config().xlen;
        let found = |word| guest.decode(word).map(|d| d.name);
        for word in (0..0x1_0000).filter(|w| w & 3 != 3) {
            assert_eq!(found(word), linear(&defs, word, xlen), "{isa} {word:04x}");
        }
        for _ in 0..20_000 {
            let word = random.next() | 3;
            assert_eq!(found(word), linear(&defs, word, xlen), "{isa} {word:08x}");
        }
        for def in &defs {
            for _ in 0..50 {
                let word = random.next() & !def.pattern.mask | def.pattern.value;
                let word = if def.pattern.bits == 16 { word & 0xffff } else { word };
                assert_eq!(found(word), linear(&defs, word, xlen), "{isa} {word:08x}");
            }
        }
    }
}

#[test]
fn encode_makes_the_instruction_it_was_asked_for() {
    let mut random = Random::new(3);
    for isa in ALL {
        let guest = guest(isa);
        for def in enabled(isa) {
            let words: Vec<_> = (0..100).filter_map(|_| def.encode(random.next(), guest.config())).collect();
            assert!(words.len() > 10, "{isa}: {} is hardly ever legal", def.name);
            assert!(words.iter().all(|w| guest.decode(*w).unwrap().name == def.name), "{isa}: {}", def.name);
        }
    }
}

fn capstone(xlen: u32) -> Capstone {
    let mode = if xlen == 32 { ArchMode::RiscV32 } else { ArchMode::RiscV64 };
    Capstone::new().riscv().mode(mode).extra_mode([ArchExtraMode::RiscVC].into_iter()).build().unwrap()
}

/// Why capstone 5 and the manual differ on whether a 16-bit word is legal.
fn exception(guest: &Riscv, word: u32) -> Option<&'static str> {
    let xlen = guest.config().xlen;
    let (quadrant, funct3, rd, shamt5) = (word & 3, word >> 13, word >> 7 & 31, word >> 12 & 1);
    match (quadrant, funct3) {
        (0, 0) if word == 0 => Some("capstone prints c.unimp for the word that is defined to be illegal"),
        (1, 0) if rd == 0 => Some("hint: c.nop with an immediate"),
        (1, 0) if word & 0x107c == 0 => Some("hint: c.addi of 0"),
        (1, 2 | 3) | (2, 0 | 4) if rd == 0 => Some("hint: nothing is written"),
        (1, 3) if word & 0x107c == 0 => Some("capstone takes the reserved c.lui of 0"),
        (1, 4) if xlen == 32 && shamt5 == 1 && word >> 11 & 1 == 0 => Some("capstone takes RV32 shifts by 32 and more"),
        (2, 0) if xlen == 32 && shamt5 == 1 => Some("capstone takes RV32 shifts by 32 and more"),
        (1, 4) | (2, 0) if word & 0x107c == 0 => Some("hint: a shift by 0"),
        _ => None,
    }
}

#[test]
fn sixteen_bit_words_are_legal_where_capstone_says_so() {
    for isa in ["rv32gc", "rv64gc"] {
        let guest = guest(isa);
        let cs = capstone(guest.config().xlen);
        for word in (0..0x1_0000u32).filter(|w| w & 3 != 3) {
            let theirs = cs.disasm_count(&word.to_le_bytes()[..2], 0, 1).unwrap().len() == 1;
            let ours = guest.decode(word).is_some();
            assert!(ours == theirs || exception(&guest, word).is_some(), "{isa} {word:04x}: {ours}, capstone {theirs}");
        }
    }
}

/// How many of the 49152 words are legal: all but those that the manual's opcode map reserves.
#[test]
fn number_of_legal_sixteen_bit_words() {
    let count = |isa: &str| {
        let guest = guest(isa);
        (0..0x1_0000).filter(|w| w & 3 != 3 && guest.decode(*w).is_some()).count()
    };
    let addi4spn_of_0 = 8;
    let quadrant0_funct3_4 = 2048;
    let lui_of_0 = 32;
    let load_to_x0 = 64;
    let jr_x0 = 1;
    let both = 49152 - addi4spn_of_0 - quadrant0_funct3_4 - lui_of_0 - load_to_x0 - jr_x0;
    let rv64 = both - load_to_x0 - 64 /* c.addiw x0 */ - 2 * 64 /* beside c.subw, c.addw */;
    let rv32 = both - 1024 /* c.slli */ - 2 * 256 /* c.srli, c.srai */ - 4 * 64 /* c.subw, c.addw and beside */;
    let zcb = 3 * 256 /* c.lbu, c.sb, c.lhu and c.lh */ + 128 /* c.sh */ + 64 /* c.mul */ + 2 * 8 /* zext.b, not */;
    assert_eq!(count("rv64gc"), rv64);
    assert_eq!(count("rv32gc"), rv32);
    assert_eq!(count("rv64imac"), rv64 - 4 * 2048);
    assert_eq!(count("rv64gc_zcb"), rv64 + zcb);
    assert_eq!(count("rv64gc_zcb_zba_zbb"), rv64 + zcb + 4 * 8);
}

#[test]
fn reserved_and_disabled_encodings() {
    let illegal = |isa: &str, words: &[u32]| {
        let guest = guest(isa);
        for word in words {
            assert!(guest.decode(*word).is_none(), "{isa} {word:08x} is {}", guest.decode(*word).unwrap().name);
        }
    };
    illegal(
        "rv64max",
        &[
            0x0000_0000, // defined to be illegal
            0xffff_ffff,
            0x0000_0004, // c.addi4spn of 0
            0x2001,      // c.addiw without rd
            0x6081,      // c.lui of 0
            0x6101,      // c.addi16sp of 0
            0x4002,      // c.lwsp without rd
            0x6002,      // c.ldsp without rd
            0x8002,      // c.jr without rs1
            0x9c79,
            0x9c7d,               // Zcb has no such unary instruction
            0x8c40,               // Zcb: c.sh with bit 6 set
            0x1015_25af,          // lr.w with rs2 = 1
            0x0205_951b,          // slliw by 32
            0x00b5_55d3,          // fadd.s with rounding mode 5
            0x00b5_65d3,          // fadd.s with rounding mode 6
            0x04b5_75d3,          // fadd.h
            0x0010_0073 | 1 << 7, // ebreak with rd
            0x3020_0073,          // mret
            0x1050_0073,          // wfi
            0x0005_400f,          // MISC-MEM funct3 4
            0x0005_4073,          // SYSTEM funct3 4
        ],
    );
    illegal(
        "rv32max",
        &[
            0x0205_9593, // slli by 32
            0x0205_d593, // srli by 32
            0x6205_d593, // rori by 32
            0x2a05_9593, // bseti 32
            0x9001,      // c.srli by 32
            0x1002,      // c.slli by 32
            0x9c01,      // c.subw
            0x0005_b583, // ld
            0x0005_859b, // addiw
            0xe205_05d3, // fmv.x.d
            0xc025_75d3, // fcvt.l.s
            0x9d71,      // c.zext.w
        ],
    );
    illegal(
        "rv64i",
        &[
            0x0001,      // c.nop
            0x0000_100f, // fence.i
            0x02b5_0533, // mul
            0x00b5_252f, // amoadd.w
            0x00b5_7553, // fadd.s
            0x0030_2573, // csrr fcsr
            0x20b5_2533, // sh1add
        ],
    );
    illegal("rv64imac", &[0x2000, 0xa000, 0x0005_2507]); // c.fld, c.fsd, flw
    illegal("rv64gc", &[0x8000, 0x9c41, 0x0eb5_5533]); // c.lbu, c.mul, czero.eqz
}
