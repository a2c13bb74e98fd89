//! What instructions become: results against QEMU's, a well-formed block for every word, golden IR for one
//! instruction of each format.
mod common;

use common::{ALL, Random, block, block_in_mode, guest};
use emu_frontend_riscv::Riscv;
use emu_frontend_riscv::table::table;
use emu_ir::*;

/// No memory: the cases need none.
struct NoEnv;

impl Env for NoEnv {
    fn load(&mut self, addr: u64, _: u8) -> Result<u64, Fault> {
        Err(Fault { addr, access: AccessKind::Read, cause: FaultCause::Unmapped })
    }
    fn store(&mut self, addr: u64, _: u8, _: u64) -> Result<(), Fault> {
        Err(Fault { addr, access: AccessKind::Write, cause: FaultCause::Unmapped })
    }
    fn atomic_rmw(&mut self, _: AtomicOp, addr: u64, bytes: u8, _: u64) -> Result<u64, Fault> {
        self.load(addr, bytes)
    }
    fn atomic_cas(&mut self, addr: u64, bytes: u8, _: u64, _: u64) -> Result<u64, Fault> {
        self.load(addr, bytes)
    }
    fn fence(&mut self) {}
    fn counter(&mut self, counter: Counter) -> u64 {
        0x1_0000_0002 + 0x1_0000_0000 * counter as u64
    }
}

/// The slot that assembly calls so.
fn slot(guest: &Riscv, name: &str) -> Option<Slot> {
    guest.slots().iter().find(|s| s.name == name).map(|s| s.slot)
}

/// Runs the words from 0x1000 on, as one block.
fn run(guest: &Riscv, cpu: &mut CpuState, words: &[u32]) -> Exit {
    cpu.pc = 0x1000;
    let block = block_in_mode(guest, guest.mode(cpu), words);
    verify::verify(&block).unwrap();
    emu_interp::run(&emu_interp::Code::new(&block, guest), cpu, &mut NoEnv)
}

/// Sets what `a1=3 frm=2` says.
fn assign(guest: &Riscv, cpu: &mut CpuState, text: &str) {
    for assignment in text.split_whitespace() {
        let (name, value) = assignment.split_once('=').unwrap();
        let value = u64::from_str_radix(value, 16).unwrap();
        match name {
            "frm" => cpu.fp_round = value as u32,
            "flags" => cpu.fp_flags = value as u32,
            register => cpu.set(slot(guest, register).unwrap(), value),
        }
    }
}

/// One line: `encoding assembly: inputs => outputs`.
fn case(guest: &Riscv, line: &str) {
    let (insn, data) = line.split_once(':').unwrap();
    let (word, text) = insn.split_once(' ').unwrap();
    let (inputs, outputs) = data.split_once("=>").unwrap();
    let word = u32::from_str_radix(word, 16).unwrap();
    let disassembled = guest.disassemble(0x1000, &mut common::Code::new(0x1000, &[word])).unwrap().0;
    assert_eq!(disassembled, text);
    let mut cpu = CpuState::default();
    assign(guest, &mut cpu, inputs);
    let mut expected = cpu.clone();
    assign(guest, &mut expected, outputs);
    assert_eq!(run(guest, &mut cpu, &[word]), Exit::Next, "{line}");
    for info in guest.slots() {
        let (got, want) = (cpu.get(info.slot), expected.get(info.slot));
        assert_eq!(got, want, "{line}\n{} is {got:x}", info.name);
    }
    assert_eq!(cpu.fp_flags, expected.fp_flags, "{line}");
}

fn cases(isa: &str, text: &str) {
    let guest = guest(isa);
    text.lines().filter(|l| !l.starts_with('#')).for_each(|line| case(&guest, line));
}

#[test]
fn rv64_results_are_those_of_qemu() {
    cases("rv64max", include_str!("rv64.txt"));
}

#[test]
fn rv32_results_are_those_of_qemu() {
    cases("rv32max", include_str!("rv32.txt"));
}

/// Every word gives a well-formed block of one instruction, in every mode; an illegal one names its word.
#[test]
fn every_word_gives_a_well_formed_block() {
    let mut random = Random::new(4);
    for isa in ALL {
        let guest = guest(isa);
        let short = (0..0x1_0000).filter(|w| w & 3 != 3);
        let long = table().iter().filter(|d| d.enabled(guest.config()) && d.pattern.bits == 32);
        let long: Vec<_> = long
            .flat_map(|d| (0..100).map(|_| random.next() & !d.pattern.mask | d.pattern.value).collect::<Vec<_>>())
            .collect();
        for word in short.chain(long) {
            for mode in 0..3 {
                let block = block_in_mode(&guest, mode, &[word]);
                verify::verify(&block).unwrap_or_else(|e| panic!("{isa} {word:08x}: {e}\n{block:#?}"));
                assert_eq!((block.insn_count(), block.end()), (1, 0x1000 + if word & 3 == 3 { 4 } else { 2 }));
                let illegal = block.term == Terminator::Trap { kind: TrapKind::IllegalInstruction { word } };
                assert!(illegal || guest.decode(word).is_some(), "{isa} {word:08x} is illegal, but {:?}", block.term);
                check_slots(&guest, &block);
            }
        }
    }
}

/// Each `Get` and `Set` has the type of its slot; none names x0.
fn check_slots(guest: &Riscv, block: &Block) {
    for inst in &block.insts {
        if let Inst::Get { ty, slot, .. } | Inst::Set { ty, slot, .. } = *inst {
            let info =
                guest.slots().iter().find(|s| s.slot == slot).unwrap_or_else(|| panic!("{slot:?} in {block:#?}"));
            assert_eq!(info.ty, ty, "{}", info.name);
        }
    }
}

#[test]
fn x0_reads_as_zero_and_ignores_writes() {
    let guest = guest("rv64gc");
    let add = block(&guest, &[0x00b0_0033]); // add zero, zero, a1
    assert!(!add.insts.iter().any(|i| matches!(i, Inst::Set { .. })));
    assert!(add.insts.contains(&Inst::Const { ty: Type::I64, bits: 0 }));
    // The access of a load to x0 stays, and so does that of an atomic.
    assert!(block(&guest, &[0x0005_b003]).insts.iter().any(|i| matches!(i, Inst::Load { .. })));
    assert!(block(&guest, &[0x00b6_302f]).insts.iter().any(|i| matches!(i, Inst::AtomicRmw { .. })));
}

/// Golden IR: in `golden.txt` each paragraph starts with an ISA and an encoding. `EMU_BLESS=1` writes it anew.
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

/// What follows the heading `rv64gc 00c58533 …`.
fn golden_paragraph(heading: &str) -> String {
    let mut words = heading.split_whitespace();
    let guest = guest(words.next().unwrap());
    let word = u32::from_str_radix(words.next().unwrap(), 16).unwrap();
    let (text, len) = guest.disassemble(0x1000, &mut common::Code::new(0x1000, &[word])).unwrap();
    let block = block(&guest, &[word]);
    let digits = 2 * usize::from(len);
    let ir = emu_ir::text::print(&block, emu_ir::text::Names::of(&guest));
    // The first two lines say where the block and the instruction start.
    let ir: String = ir.lines().skip(2).map(|line| format!("{line}\n")).collect();
    format!("{} {word:0digits$x} {text}\n{ir}", guest.name())
}
