//! The disassembler against capstone, over random words of every line of the table; and against a list of known
//! texts where capstone 5 knows nothing.
mod common;

use capstone::arch::riscv::{ArchExtraMode, ArchMode};
use capstone::prelude::*;
use common::{ALL, Random, guest};
use emu_frontend_riscv::ExtSet;
use emu_frontend_riscv::disasm::disassemble;
use emu_frontend_riscv::table::{InsnDef, table};
use emu_ir::Guest;

fn capstone(xlen: u32) -> Capstone {
    let mode = if xlen == 32 { ArchMode::RiscV32 } else { ArchMode::RiscV64 };
    Capstone::new().riscv().mode(mode).extra_mode([ArchExtraMode::RiscVC].into_iter()).build().unwrap()
}

/// Capstone's text for the word at address 0.
fn reference(cs: &Capstone, def: &InsnDef, word: u32) -> Option<String> {
    let bytes = word.to_le_bytes();
    let insns = cs.disasm_count(&bytes[..usize::from(def.pattern.bits / 8)], 0, 1).unwrap();
    let insn = insns.iter().next()?;
    Some(format!("{} {}", insn.mnemonic().unwrap(), insn.op_str().unwrap()))
}

/// Pseudo-instructions, which capstone always prints, with what they stand for.
const ALIASES: &[(&str, &str)] = &[
    ("fence", "fence iorw, iorw"),
    ("j $0", "jal zero, $0"),
    ("jal $0", "jal ra, $0"),
    ("jalr $0, $1, $2", "jalr $0, $2($1)"),
    ("beqz $0, $1", "beq $0, zero, $1"),
    ("bnez $0, $1", "bne $0, zero, $1"),
    ("bltz $0, $1", "blt $0, zero, $1"),
    ("bgtz $0, $1", "blt zero, $0, $1"),
    ("bgez $0, $1", "bge $0, zero, $1"),
    ("blez $0, $1", "bge zero, $0, $1"),
    ("not $0, $1", "xori $0, $1, -1"),
    ("mv $0, $1", "addi $0, $1, 0"),
    ("li $0, $1", "addi $0, zero, $1"),
    ("nop", "addi zero, zero, 0"),
    ("seqz $0, $1", "sltiu $0, $1, 1"),
    ("sext.w $0, $1", "addiw $0, $1, 0"),
    ("jr $0", "jalr zero, 0($0)"),
    ("jalr $0", "jalr ra, 0($0)"),
    ("ret", "jalr zero, 0(ra)"),
    ("neg $0, $1", "sub $0, zero, $1"),
    ("negw $0, $1", "subw $0, zero, $1"),
    ("sltz $0, $1", "slt $0, $1, zero"),
    ("sgtz $0, $1", "slt $0, zero, $1"),
    ("snez $0, $1", "sltu $0, zero, $1"),
    ("csrr $0, $1", "csrrs $0, $1, zero"),
    ("csrw $0, $1", "csrrw zero, $0, $1"),
    ("csrs $0, $1", "csrrs zero, $0, $1"),
    ("csrc $0, $1", "csrrc zero, $0, $1"),
    ("csrwi $0, $1", "csrrwi zero, $0, $1"),
    ("csrsi $0, $1", "csrrsi zero, $0, $1"),
    ("csrci $0, $1", "csrrci zero, $0, $1"),
    ("rdcycle $0", "csrrs $0, cycle, zero"),
    ("rdtime $0", "csrrs $0, time, zero"),
    ("rdinstret $0", "csrrs $0, instret, zero"),
    ("rdcycleh $0", "csrrs $0, cycleh, zero"),
    ("rdtimeh $0", "csrrs $0, timeh, zero"),
    ("rdinstreth $0", "csrrs $0, instreth, zero"),
    ("frflags $0", "csrrs $0, fflags, zero"),
    ("frrm $0", "csrrs $0, frm, zero"),
    ("frcsr $0", "csrrs $0, fcsr, zero"),
    ("fsflags $0", "csrrw zero, fflags, $0"),
    ("fsflags $0, $1", "csrrw $0, fflags, $1"),
    ("fsrm $0", "csrrw zero, frm, $0"),
    ("fsrm $0, $1", "csrrw $0, frm, $1"),
    ("fscsr $0", "csrrw zero, fcsr, $0"),
    ("fscsr $0, $1", "csrrw $0, fcsr, $1"),
    ("fsflagsi $0", "csrrwi zero, fflags, $0"),
    ("fsflagsi $0, $1", "csrrwi $0, fflags, $1"),
    ("fsrmi $0", "csrrwi zero, frm, $0"),
    ("fsrmi $0, $1", "csrrwi $0, frm, $1"),
    ("fmv.s $0, $1", "fsgnj.s $0, $1, $1"),
    ("fneg.s $0, $1", "fsgnjn.s $0, $1, $1"),
    ("fabs.s $0, $1", "fsgnjx.s $0, $1, $1"),
    ("fmv.d $0, $1", "fsgnj.d $0, $1, $1"),
    ("fneg.d $0, $1", "fsgnjn.d $0, $1, $1"),
    ("fabs.d $0, $1", "fsgnjx.d $0, $1, $1"),
];

/// The instruction that a pseudo-instruction stands for.
fn without_alias(text: &str) -> String {
    let (name, operands) = text.split_once(' ').unwrap_or((text, ""));
    let operands: Vec<_> = operands.split(", ").filter(|o| !o.is_empty()).collect();
    let matches = |alias: &str| alias.split(' ').next() == Some(name) && alias.matches('$').count() == operands.len();
    let Some((_, long)) = ALIASES.iter().find(|(alias, _)| matches(alias)) else { return text.to_owned() };
    operands.iter().enumerate().fold((*long).to_owned(), |out, (n, o)| out.replace(&format!("${n}"), o))
}

/// Numbers in one base, without their sign's width.
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

/// Conversions that never round.
const EXACT: [&str; 3] = ["fcvt.d.s", "fcvt.d.w", "fcvt.d.wu"];

/// Why capstone 5 has no text for the word, or another one.
fn exception(def: &InsnDef, word: u32, ours: &str) -> Option<&'static str> {
    let newer = [ExtSet::ZBA, ExtSet::ZBB, ExtSet::ZBC, ExtSet::ZBS, ExtSet::ZICOND, ExtSet::ZCB];
    let hint_without_rd = ["c.li", "c.lui", "c.slli", "c.mv", "c.add"];
    let rd = word >> 7 & 31;
    let reserved = match def.name {
        "fence" => 0xf00f_8f80,
        "fence.tso" => 0x000f_8f80,
        "fence.i" => 0xffff_8f80,
        _ => 0,
    };
    if newer.iter().any(|e| def.needs != ExtSet::I && def.needs.contains(*e)) {
        Some("younger than capstone 5")
    } else if def.name == "pause" {
        Some("younger than capstone 5, which prints a fence")
    } else if word & reserved != 0 {
        Some("reserved fields, which the manual tells to ignore")
    } else if EXACT.contains(&def.name) && word >> 12 & 7 != 0 {
        Some("exact, so that capstone takes other rounding modes for illegal; the manual does not")
    } else if hint_without_rd.contains(&def.name) && rd == 0 || def.name == "c.nop" && word != 1 {
        Some("a hint")
    } else if def.name.starts_with("csr") && ours.contains(", 0x") {
        Some("a name for a register that user mode has not")
    } else {
        None
    }
}

#[test]
fn every_line_prints_as_in_capstone() {
    let mut random = Random::new(1);
    for isa in ALL {
        let guest = guest(isa);
        let cs = capstone(guest.config().xlen);
        for def in table().iter().filter(|d| d.enabled(guest.config())) {
            for _ in 0..300 {
                // Reserved bits of a fence are 0 often enough only if told so.
                let bits = if def.name == "fence" { random.next() & 0x0ff0_0000 } else { random.next() };
                let Some(word) = def.encode(bits, guest.config()) else { continue };
                let text = disassemble(def, word, 0, guest.config().xlen);
                if exception(def, word, &text).is_some() {
                    continue;
                }
                let theirs =
                    reference(&cs, def, word).unwrap_or_else(|| panic!("{isa} {word:08x}: {text}: capstone has none"));
                // Rounding mode 7 goes without saying, and so does 0 where the result is exact; empty access sets.
                let ours = text.replace(", dyn", "");
                let ours = if EXACT.contains(&def.name) { ours.replace(", rne", "") } else { ours };
                let theirs = with_plain_numbers(&without_alias(theirs.trim())).replace("unknown", "0");
                assert_eq!(with_plain_numbers(&ours), theirs, "{isa} {word:08x}");
            }
        }
    }
}

/// As an assembler made them (LLVM 14; Zicond and Zcb, which it has not, by the manual).
#[rustfmt::skip]
const KNOWN: &[(u32, &str)] = &[
    (0x20c5a533, "sh1add a0, a1, a2"),
    (0x200e4933, "sh2add s2, t3, zero"),
    (0x2020efb3, "sh3add t6, ra, sp"),
    (0x08c5853b, "add.uw a0, a1, a2"),
    (0x20f726bb, "sh1add.uw a3, a4, a5"),
    (0x2128c83b, "sh2add.uw a6, a7, s2"),
    (0x215a69bb, "sh3add.uw s3, s4, s5"),
    (0x0bf5951b, "slli.uw a0, a1, 63"),
    (0x40c5f533, "andn a0, a1, a2"),
    (0x40f766b3, "orn a3, a4, a5"),
    (0x4058c833, "xnor a6, a7, t0"),
    (0x60059513, "clz a0, a1"),
    (0x60169613, "ctz a2, a3"),
    (0x60279713, "cpop a4, a5"),
    (0x6005951b, "clzw a0, a1"),
    (0x6016961b, "ctzw a2, a3"),
    (0x6027971b, "cpopw a4, a5"),
    (0x0ac5c533, "min a0, a1, a2"),
    (0x0af756b3, "minu a3, a4, a5"),
    (0x0b28e833, "max a6, a7, s2"),
    (0x0b5a79b3, "maxu s3, s4, s5"),
    (0x60459513, "sext.b a0, a1"),
    (0x60569613, "sext.h a2, a3"),
    (0x0807c73b, "zext.h a4, a5"),
    (0x60c59533, "rol a0, a1, a2"),
    (0x60f756b3, "ror a3, a4, a5"),
    (0x63f8d813, "rori a6, a7, 63"),
    (0x60c5953b, "rolw a0, a1, a2"),
    (0x60f756bb, "rorw a3, a4, a5"),
    (0x61f8d81b, "roriw a6, a7, 31"),
    (0x2875d513, "orc.b a0, a1"),
    (0x6b86d613, "rev8 a2, a3"),
    (0x0ac59533, "clmul a0, a1, a2"),
    (0x0af726b3, "clmulr a3, a4, a5"),
    (0x0b28b833, "clmulh a6, a7, s2"),
    (0x48c59533, "bclr a0, a1, a2"),
    (0x4bf71693, "bclri a3, a4, 63"),
    (0x491857b3, "bext a5, a6, a7"),
    (0x4819d913, "bexti s2, s3, 1"),
    (0x696a9a33, "binv s4, s5, s6"),
    (0x6a0c1b93, "binvi s7, s8, 32"),
    (0x29bd1cb3, "bset s9, s10, s11"),
    (0x280e9e13, "bseti t3, t4, 0"),
    (0x0330000f, "fence rw, rw"),
    (0x0f50000f, "fence iorw, ow"),
    (0x8330000f, "fence.tso"),
    (0x0000100f, "fence.i"),
    (0x1405a52f, "lr.w.aq a0, (a1)"),
    (0x1ab6352f, "sc.d.rl a0, a1, (a2)"),
    (0x06b6252f, "amoadd.w.aqrl a0, a1, (a2)"),
    (0x00000073, "ecall"),
    (0x00100073, "ebreak"),
    (0x00359573, "csrrw a0, fcsr, a1"),
    (0xc0102573, "csrrs a0, time, zero"),
    (0x00c59553, "fadd.s fa0, fa1, fa2, rtz"),
    (0x1a20f043, "fmadd.d ft0, ft1, ft2, ft3, dyn"),
    (0x0ec5d533, "czero.eqz a0, a1, a2"),
    (0x0ec5f533, "czero.nez a0, a1, a2"),
    (0x0100000f, "pause"),
    (0x81e8, "c.lbu a0, 3(a1)"),
    (0x85a8, "c.lhu a0, 2(a1)"),
    (0x85e8, "c.lh a0, 2(a1)"),
    (0x89c8, "c.sb a0, 1(a1)"),
    (0x8d88, "c.sh a0, 0(a1)"),
    (0x9d61, "c.zext.b a0"),
    (0x9d65, "c.sext.b a0"),
    (0x9d69, "c.zext.h a0"),
    (0x9d6d, "c.sext.h a0"),
    (0x9d71, "c.zext.w a0"),
    (0x9d75, "c.not a0"),
    (0x9d4d, "c.mul a0, a1"),
    (0x0000, ".insn 2, 0x0000"),
    (0xffffffff, ".insn 4, 0xffffffff"),
];

#[test]
fn known_texts() {
    let guest = guest("rv64max");
    for (word, text) in KNOWN {
        let (ours, len) = guest.disassemble(0x1000, &mut common::Code::new(0x1000, &[*word])).unwrap();
        assert_eq!((ours.as_str(), len), (*text, if word & 3 == 3 { 4 } else { 2 }), "{word:#x}");
    }
}

#[test]
fn targets_are_addresses() {
    let text = |isa: &str, pc: u64| guest(isa).disassemble(pc, &mut common::Code::new(pc, &[0xffdff06f])).unwrap().0;
    assert_eq!(text("rv64gc", 0x1000), "jal zero, 0xffc");
    assert_eq!(text("rv64gc", 0), "jal zero, 0xfffffffffffffffc");
    assert_eq!(text("rv32gc", 0), "jal zero, 0xfffffffc");
}
