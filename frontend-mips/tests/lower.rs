//! What instructions become: results against QEMU's, a well-formed block for every word, golden IR for one
//! instruction of each kind, exceptions that are enabled, registers of either layout.
mod common;

use common::cases::{self, Memory, run, slot};
use common::{Code, Random, block, block_in_mode, guest, mode, releases};
use emu_frontend_mips::table::{Control, table};
use emu_frontend_mips::translate::Mode;
use emu_frontend_mips::{FrMode, Mips, fcsr};
use emu_ir::*;

/// The cases of the workspace that just go on.
#[test]
fn results_are_those_of_qemu() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/instructions");
    let (mut count, mut wrong) = (0, Vec::new());
    for file in std::fs::read_dir(directory).unwrap().map(|f| f.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("mips") || !["_int", "_float", "_memory"].iter().any(|kind| name.contains(kind)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let mut guest = guest("mips32r2");
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            match line.strip_prefix("isa ") {
                Some(isa) => guest = common::guest(isa),
                None => {
                    count += 1;
                    wrong.extend(cases::check(&guest, line).err());
                }
            }
        }
    }
    assert!(count > 1000 && wrong.is_empty(), "{} of {count} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every word gives a well-formed block of one instruction, or two with a delay slot, in every mode.
#[test]
fn every_word_gives_a_well_formed_block() {
    let mut random = Random::new(4);
    for name in releases() {
        let guest = guest(&name);
        for def in table().iter().filter(|d| d.enabled(guest.config())) {
            for n in 0..24 {
                let word = random.next() & !def.pattern.mask | def.pattern.value;
                let slot = table()[random.next() as usize % table().len()];
                let slot = random.next() & !slot.pattern.mask | slot.pattern.value;
                check_block(&guest, n % 6, &[word, slot]);
            }
        }
    }
}

fn check_block(guest: &Mips, mode: u32, words: &[u32; 2]) {
    let mut code = Code::new(guest, 0x1000, words);
    let block = guest.translate(BlockKey { pc: 0x1000, mode: mode.min(5) }, &mut code, 1).unwrap();
    let name = guest.name();
    verify::verify(&block).unwrap_or_else(|e| panic!("{name} {words:08x?}: {e}\n{block:#?}"));
    let control = guest.decode(words[0]).map(|d| d.control);
    let delayed = guest.has_delay_slot(words[0]);
    let len = if delayed { 8 } else { 4 };
    assert_eq!(block.end(), 0x1000 + len, "{name} {words:08x?}");
    assert_eq!(
        block.insn_count(),
        if delayed || block.insn_count() == 2 && control == Some(Control::Compact) { 2 } else { 1 }
    );
    let illegal = Terminator::Trap { kind: TrapKind::IllegalInstruction { word: words[0] } };
    assert!(block.term == illegal || control.is_some(), "{name} {words:08x?} is reserved, but {:?}", block.term);
    for inst in &block.insts {
        if let Inst::Get { ty, slot, .. } | Inst::Set { ty, slot, .. } = *inst {
            let info = guest.slots().iter().find(|s| s.slot == slot);
            assert_eq!(info.map(|i| i.ty), Some(ty), "{name} {words:08x?}: {slot:?}");
        }
    }
}

#[test]
fn the_zero_register_reads_as_zero_and_ignores_writes() {
    let guest = guest("mips64r2");
    let addu = block(&guest, &[0x0000_0021 | 5 << 21]);
    assert!(!addu.insts.iter().any(|i| matches!(i, Inst::Set { .. })));
    // The access of a load to it stays, and so does a reservation.
    assert!(block(&guest, &[0x8c80_0000]).insts.iter().any(|i| matches!(i, Inst::Load { .. })));
    assert!(block(&guest, &[0xc080_0000]).insts.iter().any(|i| matches!(i, Inst::LoadReserved { .. })));
}

const ADD_S: u32 = 0x4602_0080; // add.s $f2, $f0, $f2
const ADD_S_ODD: u32 = 0x4603_0840; // add.s $f1, $f1, $f3
const ADD_D: u32 = 0x4624_1180; // add.d $f6, $f2, $f4
const ADD_D_ODD: u32 = 0x4623_0840; // add.d $f1, $f1, $f3
const DIV_D: u32 = 0x4624_1183; // div.d $f6, $f2, $f4

fn in_layout(guest: &Mips, fr: FrMode, word: u32) -> Block {
    block_in_mode(guest, Mode { fr, exact: false, strict: false }.bits(), &[word])
}

#[test]
fn layouts_of_the_floating_point_registers() {
    let guest = guest("mips32r5");
    let slots = |fr, word| -> Vec<u16> {
        let block = in_layout(&guest, fr, word);
        let gets = block.insts.iter().filter_map(|i| match i {
            Inst::Get { slot, .. } => Some(slot.0 - 32),
            _ => None,
        });
        gets.collect()
    };
    assert_eq!(slots(FrMode::Pairs, ADD_S_ODD), [0, 2]);
    assert_eq!(slots(FrMode::Wide, ADD_S_ODD), [1, 3]);
    assert_eq!(slots(FrMode::Emulated, ADD_S_ODD), [0, 2], "a single is in a pair");
    assert_eq!(slots(FrMode::Emulated, ADD_D_ODD), [1, 3], "a double is not");
    let illegal = |word| Terminator::Trap { kind: TrapKind::IllegalInstruction { word } };
    assert_eq!(in_layout(&guest, FrMode::Pairs, ADD_D_ODD).term, illegal(ADD_D_ODD));
    let cvt_l_d = 0x4620_1125;
    assert_eq!(in_layout(&guest, FrMode::Pairs, cvt_l_d).term, illegal(cvt_l_d));
    assert_ne!(in_layout(&guest, FrMode::Wide, cvt_l_d).term, illegal(cvt_l_d));
}

#[test]
fn a_single_leaves_the_other_half_of_its_pair() {
    let guest = guest("mips32r2");
    let mut cpu = CpuState::default();
    cpu.set(slot(&guest, "f0"), 0x3f80_0000_4000_0000); // $f1 = 1, $f0 = 2
    cpu.set(slot(&guest, "f2"), 0x4080_0000_4040_0000); // $f3 = 4, $f2 = 3
    run(&guest, &mut cpu, &mut Memory::default(), &[ADD_S]);
    assert_eq!(cpu.get(slot(&guest, "f2")), 0x4080_0000_40a0_0000);
    run(&guest, &mut cpu, &mut Memory::default(), &[ADD_S_ODD]);
    assert_eq!(cpu.get(slot(&guest, "f0")), 0x40a0_0000_4000_0000);
}

const ONE: u64 = 0x3ff0_0000_0000_0000;
const THREE: u64 = 0x4008_0000_0000_0000;

/// Runs `$f6 = $f2 op $f4` with this FCSR.
fn run_double(name: &str, word: u32, a: u64, b: u64, control: u32) -> (Exit, u64, u32) {
    let guest = guest(name);
    let mut cpu = CpuState::default();
    cpu.set(slot(&guest, "f2"), a);
    cpu.set(slot(&guest, "f4"), b);
    cpu.set(slot(&guest, "f6"), 0x1234);
    fcsr::write(&mut cpu, guest.config(), control);
    let exit = run(&guest, &mut cpu, &mut Memory::default(), &[word]);
    (exit, cpu.get(slot(&guest, "f6")), fcsr::read(&cpu, guest.config()))
}

#[test]
fn an_enabled_exception_traps_with_its_cause_and_changes_nothing_else() {
    let trap = Exit::Trap(Trap { kind: TrapKind::FloatException });
    let inexact = 1 << 7;
    assert_eq!(run_double("mips32r2", DIV_D, ONE, THREE, inexact), (trap, 0x1234, inexact | 1 << 12));
    let third = 0x3fd5_5555_5555_5555;
    assert_eq!(run_double("mips32r2", DIV_D, ONE, THREE, 0), (Exit::Next, third, 1 << 12 | 1 << 2));
    let by_zero = 1 << 10;
    assert_eq!(run_double("mips32r2", DIV_D, ONE, THREE, by_zero), (Exit::Next, third, by_zero | 1 << 12 | 1 << 2));
    assert_eq!(run_double("mips32r2", DIV_D, ONE, 0, by_zero), (trap, 0x1234, by_zero | 1 << 15));
}

#[test]
fn cause_is_that_of_the_last_instruction() {
    let guest = guest("mips64r2");
    let mut cpu = CpuState::default();
    cpu.set(slot(&guest, "f2"), ONE);
    cpu.set(slot(&guest, "f4"), THREE);
    run(&guest, &mut cpu, &mut Memory::default(), &[DIV_D, ADD_D]);
    assert_eq!(fcsr::read(&cpu, guest.config()), 1 << 2, "Flags stay, Cause does not");
    // cfc1 $v0, $31 sees the same.
    run(&guest, &mut cpu, &mut Memory::default(), &[DIV_D, 0x4442_f800]);
    assert_eq!(cpu.get(slot(&guest, "v0")), 1 << 12 | 1 << 2);
}

#[test]
fn small_numbers_are_flushed_if_fs_says_so() {
    let (fs, tiny, half) = (1 << 24, 0x0010_0000_0000_0000, 0x3fe0_0000_0000_0000);
    let (mul, add) = (0x4624_1182, ADD_D);
    let underflow = |shift: u32| 3 << shift;
    let flushed = (Exit::Next, 0, fs | underflow(12) | underflow(2));
    assert_eq!(run_double("mips32r2", mul, tiny, half, fs), flushed);
    assert_eq!(run_double("mips32r2", mul, tiny, half, 0), (Exit::Next, tiny / 2, 0), "exact");
    // Operands: from Release 5 on.
    let fixed = 3 << 18;
    assert_eq!(run_double("mips64r6", add, 1, ONE, fs), (Exit::Next, ONE, fs | fixed));
    assert_eq!(run_double("mips64r2", add, 1, ONE, fs), (Exit::Next, ONE, fs | 1 << 12 | 1 << 2));
}

/// While exceptions are enabled, but none is raised, results are the same.
#[test]
fn both_ways_of_floating_point_agree() {
    let mut random = Random::new(6);
    for name in ["mips32r2", "mips32r5,fr1,nan2008,abs2008", "mips64r2", "mips64r6"] {
        let guest = guest(name);
        for def in table().iter().filter(|d| d.raises && d.enabled(guest.config())) {
            for _ in 0..40 {
                let Some(word) = def.encode(random.next() & !0x0021_0840, guest.config()) else { continue };
                let mut cpu = CpuState { fp_round: random.next() & 3, ..CpuState::default() };
                for n in 32..64 {
                    let exponents = [0x3ff0_0000, 0x7ff0_0000, 0x0010_0000, 0xc1e0_0000, random.next()];
                    let high = exponents[random.next() as usize % 5] ^ random.next() & 0x8000_0001;
                    cpu.set(Slot(n), u64::from(high) << 32 | u64::from(exponents[random.next() as usize % 5]));
                }
                let normal = Mode::from_bits(mode(&guest));
                let [a, b] = [false, true].map(|exact| {
                    let mode = Mode { exact, ..normal };
                    let block = block_in_mode(&guest, mode.bits(), &[word]);
                    let mut cpu = cpu.clone();
                    emu_interp::run(&emu_interp::Code::new(&block, &guest), &mut cpu, &mut Memory::default());
                    (cpu.slots[..128].to_vec(), cpu.fp_flags, fcsr::read(&cpu, guest.config()))
                });
                assert_eq!(a, b, "{name} {word:08x} {}", def.name);
            }
        }
    }
}

/// Golden IR: in `golden.txt` each paragraph starts with a processor and an encoding. `EMU_BLESS=1` writes it anew.
#[test]
fn golden_ir() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");
    let golden = std::fs::read_to_string(path).unwrap();
    let fresh: Vec<_> =
        golden.split("\n\n").map(|paragraph| golden_paragraph(paragraph.lines().next().unwrap())).collect();
    let fresh = fresh.join("\n");
    if std::env::var_os("EMU_BLESS").is_some() {
        std::fs::write(path, &fresh).unwrap();
    }
    assert_eq!(fresh, golden);
}

/// What follows the heading `mips32r2el 00851021 …`, or of two words `14850010+24a50001` that are a branch and its slot.
fn golden_paragraph(heading: &str) -> String {
    let mut words = heading.split_whitespace();
    let guest = guest(words.next().unwrap());
    let encodings = words.next().unwrap();
    let encodings_list: Vec<_> = encodings.split('+').map(|w| u32::from_str_radix(w, 16).unwrap()).collect();
    let mut code = Code::new(&guest, 0x1000, &encodings_list);
    let text: Vec<_> =
        (0..encodings_list.len() as u64).map(|n| guest.disassemble(0x1000 + 4 * n, &mut code).unwrap().0).collect();
    let block = block(&guest, &encodings_list);
    let ir = emu_ir::text::print(&block, emu_ir::text::Names::of(&guest));
    // The first two lines say where the block and the instruction start.
    let ir: String = ir.lines().skip(2).map(|line| format!("{line}\n")).collect();
    format!("{} {encodings} {}\n{ir}", guest.name(), text.join("; "))
}
