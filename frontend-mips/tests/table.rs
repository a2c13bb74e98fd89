//! The table as data: no line hides another by accident, the index finds what the table says.
mod common;

use common::{Random, guest, releases};
use emu_frontend_mips::table::{self, Control, InsnDef, table};
use emu_frontend_mips::{Config, disasm};

fn enabled(name: &str) -> Vec<&'static InsnDef> {
    let config = Config::parse(name).unwrap();
    table().iter().filter(|d| d.enabled(&config)).collect()
}

/// Lines that are special cases of others, in some release.
const SPECIAL: &[(&str, &str)] = &[
    ("beqzalc", "beqc"),
    ("beqzalc", "bovc"),
    ("bgtzalc", "bltuc"),
    ("bgtzalc", "bltzalc"),
    ("bgtzc", "bltc"),
    ("bgtzc", "bltzc"),
    ("blezalc", "bgeuc"),
    ("blezalc", "bgezalc"),
    ("blezc", "bgec"),
    ("blezc", "bgezc"),
    ("bnezalc", "bnec"),
    ("bnezalc", "bnvc"),
    ("deret", "cop0"),
    ("di", "cop0"),
    ("dmfc0", "cop0"),
    ("dmtc0", "cop0"),
    ("ehb", "sll"),
    ("ei", "cop0"),
    ("eret", "cop0"),
    ("jalr.hb", "jalr"),
    ("jialc", "bnezc"),
    ("jic", "beqzc"),
    ("jr.hb", "jr"),
    ("lui", "aui"),
    ("mfc0", "cop0"),
    ("mtc0", "cop0"),
    ("nop", "sll"),
    ("pause", "sll"),
    ("ssnop", "sll"),
    ("tlbp", "cop0"),
    ("tlbr", "cop0"),
    ("tlbwi", "cop0"),
    ("tlbwr", "cop0"),
    ("wait", "cop0"),
];

/// Lines with the same or crossing fixed bits, told apart by conditions on their registers.
const BY_CONDITION: &[(&str, &str)] = &[
    ("bgezalc", "bgeuc"),
    ("bgezc", "bgec"),
    ("blez", "bgeuc"),
    ("blez", "bgezalc"),
    ("blez", "blezalc"),
    ("bgtz", "bgtzalc"),
    ("bgtz", "bltuc"),
    ("bgtz", "bltzalc"),
    ("bltzalc", "bltuc"),
    ("bltzc", "bltc"),
    ("bnvc", "bnec"),
    ("bovc", "beqc"),
];

#[test]
fn lines_overlap_only_where_one_is_a_special_case() {
    let mut seen = Vec::new();
    for name in releases() {
        let defs = enabled(&name);
        for (n, a) in defs.iter().enumerate() {
            for b in defs[n + 1..].iter().filter(|b| a.pattern.overlaps(&b.pattern)) {
                if BY_CONDITION.contains(&(a.name, b.name)) || BY_CONDITION.contains(&(b.name, a.name)) {
                    continue;
                }
                assert_ne!(a.pattern, b.pattern, "{name}: {} and {} are the same", a.name, b.name);
                let (special, general) = if a.pattern.covers(&b.pattern) { (b, a) } else { (a, b) };
                let covered = general.pattern.covers(&special.pattern);
                assert!(covered, "{name}: {} and {} overlap, and neither is a special case", a.name, b.name);
                seen.push((special.name, general.name));
            }
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, SPECIAL);
}

/// Of the lines that are told apart by conditions never two hold: all register fields are tried.
#[test]
fn conditions_exclude_each_other() {
    for name in ["mips32r6", "mips64r6"] {
        let defs = enabled(name);
        for registers in 0..1u32 << 10 {
            for opcode in 0..64u32 {
                let word = opcode << 26 | registers << 16 | 0x1234;
                let mut matching: Vec<_> = defs.iter().filter(|d| d.matches(word)).collect();
                matching.sort_by_key(|d| d.pattern.mask.count_ones());
                if let [.., a, b] = matching[..] {
                    let same = a.pattern.mask.count_ones() == b.pattern.mask.count_ones();
                    assert!(!same, "{name} {word:08x}: {} and {}", a.name, b.name);
                }
            }
        }
    }
}

#[test]
fn names_are_unique_and_templates_name_operands() {
    for name in releases() {
        let defs = enabled(&name);
        for (n, def) in defs.iter().enumerate() {
            assert!(!defs[n + 1..].iter().any(|d| d.name == def.name), "{name}: {} stands twice", def.name);
            for operand in disasm::operands(def) {
                assert_eq!(
                    operand.field.put(0, -1) & def.pattern.mask,
                    0,
                    "{name}: {} fixes {}",
                    def.name,
                    operand.name
                );
            }
        }
    }
}

#[test]
fn operands_cover_the_free_bits() {
    // Bits that assembly does not show: hints of jumps, the rt of CLZ, the condition in the name.
    let hidden = |d: &InsnDef| match d.name {
        "jr" | "jalr" => 0x7c0,
        "clz" | "clo" | "dclz" | "dclo" => 0x1f_0000,
        "rdhwr" => 0x1c0,
        // Both registers are the same.
        "bgezalc" | "bltzalc" | "bgezc" | "bltzc" => 0x03e0_0000,
        "c.cond.s" | "c.cond.d" | "c.cond.ps" => 0xf,
        "cmp.cond.s" | "cmp.cond.d" => 0x1f,
        _ => 0,
    };
    for def in table() {
        let shown = disasm::operands(def).fold(0, |bits, o| bits | o.field.put(0, -1));
        assert_eq!(shown | def.pattern.mask | hidden(def), u32::MAX, "{}", def.name);
    }
}

#[test]
fn the_index_finds_what_the_table_says() {
    let mut random = Random::new(2);
    for name in releases() {
        let (guest, defs) = (guest(&name), enabled(&name));
        let check = |word: u32| {
            let found = guest.decode(word).map(|d| d.name);
            assert_eq!(found, table::find(word, guest.config()).map(|d| d.name), "{name} {word:08x}");
        };
        for _ in 0..2_000 {
            check(random.next());
        }
        for def in &defs {
            for _ in 0..20 {
                check(random.next() & !def.pattern.mask | def.pattern.value);
            }
        }
    }
}

#[test]
fn encode_makes_the_instruction_it_was_asked_for() {
    let mut random = Random::new(3);
    for name in releases() {
        let guest = guest(&name);
        for def in enabled(&name) {
            let words: Vec<_> = (0..2000).filter_map(|_| def.encode(random.next(), guest.config())).collect();
            assert!(words.len() > 5, "{name}: {} is hardly ever legal", def.name);
            assert!(words.iter().all(|w| guest.decode(*w).unwrap().name == def.name), "{name}: {}", def.name);
        }
    }
}

#[test]
fn branches_are_marked() {
    let is_branch = |d: &InsnDef| d.control != Control::None;
    for def in table() {
        let named = def.operands.contains("branch") || def.operands.contains("jump");
        let jumps = matches!(def.name, "jr" | "jr.hb" | "jalr" | "jalr.hb" | "jic" | "jialc");
        assert_eq!(is_branch(def), named || jumps, "{}", def.name);
    }
}

/// What a release has and another has not: the name, a word, the releases.
#[rustfmt::skip]
const HISTORY: &[(u32, &str, &str)] = &[
    (0x0000_000f, "sync", "1 2 3 4 32 64 6"),
    (0x0085_1020, "add", "1 2 3 4 32 64 6"),
    (0x2082_0001, "addi", "1 2 3 4 32 64"),
    (0x0085_0034, "teq", "2 3 4 32 64 6"),
    (0x5085_0001, "beql", "2 3 4 32 64"),
    (0xd482_0000, "ldc1", "2 3 4 32 64 6"),
    (0x0085_102d, "daddu", "3 4 64"),
    (0xdc82_0000, "ld", "3 4 64"),
    (0x0085_100a, "movz", "4 32 64"),
    (0x4c85_0080, "lwxc1", "4 64"),
    (0x7085_1002, "mul", "32 64"),
    (0x0085_1098, "mul", "6"),
    (0x7082_1020, "clz", "32 64"),
    (0x0080_1050, "clz", "6"),
    (0x8882_0000, "lwl", "1 2 3 4 32 64"),
    (0x3c82_0001, "aui", "6"),
    (0x0020_0008, "jr", "1 2 3 4 32 64"),
    (0xc882_0000, "lwc2", "1 2 3 4 32 64"),
    (0xc880_0000, "bc", "6"),
    (0x7c82_0020, "", ""),
    (0x7402_1234, "", ""),       // jalx
    (0x7800_0000, "", ""),       // MSA
    (0x7c85_1010, "", ""),       // DSP
    (0xffff_ffff, "sd", "3 4 64"),
];

#[test]
fn releases_have_what_they_had() {
    let of = |release: &str| match release {
        "1" => "mips1",
        "2" => "mips2",
        "3" => "mips3",
        "4" => "mips4",
        "32" => "mips32r1",
        "64" => "mips64r1",
        _ => "mips32r6",
    };
    for (word, name, list) in HISTORY {
        for release in ["1", "2", "3", "4", "32", "64", "6"] {
            let found = guest(of(release)).decode(*word).map_or("", |d| d.name);
            let has = list.split(' ').any(|r| r == release);
            assert_eq!(found == *name && !name.is_empty(), has, "{word:08x} is {found} on {}", of(release));
        }
    }
}
