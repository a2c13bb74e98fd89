//! Small static programs: load every register, run a program, store every register, write all of it out.
//!
//! They are assembled here, so that no compiler is needed, and run by QEMU as ELF files and by our engines from
//! memory.

use super::asm::*;
use super::elf::{Target, executable};
use super::machine::{Machine, Way, map};
use super::program::{CODE, DATA, Program, READ_ONLY};
use emu_frontend_riscv::Riscv;
use emu_ir::{CpuState, Exit, Guest, Slot};
use emu_machine::mem::Prot;
use std::sync::Arc;

/// Loads the registers and jumps to [`CODE`].
const PROLOGUE: u64 = 0x1_4000;
/// Stores the registers and ends.
const EPILOGUE: u64 = 0x1_5000;
/// The registers: 32 integer ones of eight bytes, 32 floating-point ones, `fcsr`.
const TABLE: u64 = 0x2_4000;
const CELLS: u64 = 65;
const FCSR_CELL: u64 = 64;
/// What is written out.
pub const OUTPUT: std::ops::Range<u64> = DATA.start..TABLE + CELLS * 8;
/// The register that the epilogue spoils; programs use it for computed jumps only.
pub const SPOILED: u16 = 26;

const WRITE: i64 = 64;
const EXIT: i64 = 93;

/// Pieces of memory at their addresses.
pub struct Image {
    xlen: u32,
    pieces: Vec<(u64, Vec<u8>)>,
}

/// Words at an address.
struct Code {
    words: Vec<u32>,
    at: u64,
    xlen: u32,
}

impl Code {
    fn push(&mut self, word: u32) {
        self.words.push(word);
    }

    /// `lw` or `ld`, as wide as the registers.
    fn load(&mut self, rd: u32, base: u32, cell: u64) {
        let offset = cell as i64 * 8;
        self.push(if self.xlen == 64 { ld(rd, offset, base) } else { lw(rd, offset, base) });
    }

    fn store(&mut self, rs: u32, base: u32, cell: u64) {
        let offset = cell as i64 * 8;
        self.push(if self.xlen == 64 { sd(rs, offset, base) } else { sw(rs, offset, base) });
    }

    fn jump(&mut self, to: u64) {
        let here = self.at + 4 * self.words.len() as u64;
        self.push(jal(ZERO, to.wrapping_sub(here) as i64));
    }

    fn syscall(&mut self, number: i64) {
        self.push(addi(A7, ZERO, number));
        self.push(ECALL);
    }

    fn bytes(self) -> (u64, Vec<u8>) {
        (self.at, bytes(&self.words))
    }
}

fn prologue(xlen: u32) -> (u64, Vec<u8>) {
    let mut code = Code { words: vec![], at: PROLOGUE, xlen };
    code.push(lui(31, TABLE));
    code.load(RA, 31, FCSR_CELL);
    code.push(csrw(FCSR, RA));
    (0..32).for_each(|f| code.push(fld(f, (32 + i64::from(f)) * 8, 31)));
    (1..32).for_each(|x| code.load(x, 31, x.into()));
    code.jump(CODE);
    code.bytes()
}

fn epilogue(xlen: u32) -> (u64, Vec<u8>) {
    let mut code = Code { words: vec![], at: EPILOGUE, xlen };
    let base = u32::from(SPOILED);
    let len = OUTPUT.end - OUTPUT.start;
    code.push(lui(base, TABLE));
    (1..32).for_each(|x| code.store(x, base, x.into()));
    (0..32).for_each(|f| code.push(fsd(f, (32 + i64::from(f)) * 8, base)));
    code.push(csrr(RA, FCSR));
    code.store(RA, base, FCSR_CELL);
    let arguments = [addi(A0, ZERO, 1), lui(A1, DATA.start), lui(A2, len), addi(A2, A2, (len & 0xfff) as i64)];
    code.words.extend(arguments);
    code.syscall(WRITE);
    code.push(addi(A0, ZERO, 0));
    code.syscall(EXIT);
    code.bytes()
}

fn table(start: &CpuState) -> Vec<u8> {
    let fcsr = start.fp_round << 5 | start.fp_flags;
    let cells = (0..64).map(|s| start.get(Slot(s))).chain([fcsr.into()]);
    cells.flat_map(u64::to_le_bytes).collect()
}

impl Image {
    /// The image of a program, whose data begins as `data`.
    pub fn new(program: &Program, data: &[u8]) -> Image {
        let xlen = program.guest().address_bits();
        let code = program.bytes_then_jump(CODE, EPILOGUE);
        assert!(code.len() < 0x2000 && data.len() as u64 <= DATA.end - DATA.start);
        let pieces = vec![
            (CODE, code),
            prologue(xlen),
            epilogue(xlen),
            (DATA.start, data.to_vec()),
            (READ_ONLY.start, vec![0; (READ_ONLY.end - READ_ONLY.start) as usize]),
            (TABLE, table(&program.start)),
        ];
        Image { xlen, pieces }
    }

    /// The address it is entered at.
    pub fn entry(&self) -> u64 {
        PROLOGUE
    }

    /// As a static executable.
    pub fn elf(&self) -> Vec<u8> {
        // EM_RISCV; EF_RISCV_RVC, EF_RISCV_FLOAT_ABI_DOUBLE
        let target = Target { wide: self.xlen == 64, big: false, machine: 243, flags: 5 };
        executable(target, self.entry(), &self.pieces)
    }

    /// A machine with room for any image.
    pub fn machine(way: Way, guest: &Arc<Riscv>) -> Machine {
        let machine = Machine::new(way, guest);
        map(&machine.memory, CODE, 0x6000, Prot::RWX);
        map(&machine.memory, DATA.start, 0x5000, Prot::RW);
        machine
    }

    /// Runs the image to its `write` and returns what it would write, or why it has not come to it.
    pub fn run(&self, machine: &mut Machine) -> Result<Vec<u8>, String> {
        for (at, bytes) in &self.pieces {
            machine.write_code(*at, bytes);
        }
        let start = CpuState { pc: self.entry(), ..CpuState::default() };
        let state = machine.run_from(&start, OUTPUT);
        let a7 = machine.cpu().get(Slot(17));
        match state.exit {
            Exit::Syscall { insn } if insn >= EPILOGUE && a7 == WRITE as u64 => Ok(state.memory),
            exit => Err(format!("{exit:x?} at {:#x}", state.pc)),
        }
    }
}

/// What differs between two outputs, by name.
pub fn differences(guest: &dyn Guest, expected: &[u8], found: &[u8]) -> String {
    let mut out = String::new();
    let cells = expected.chunks(8).zip(found.chunks(8)).enumerate();
    for (i, (a, b)) in cells.filter(|(_, (a, b))| a != b) {
        let at = OUTPUT.start + 8 * i as u64;
        let name = match at.checked_sub(TABLE).map(|offset| offset / 8) {
            Some(FCSR_CELL) => "fcsr".to_owned(),
            Some(cell) => {
                let slot = guest.slots().iter().find(|s| u64::from(s.slot.0) == cell);
                slot.map_or_else(|| format!("cell {cell}"), |s| s.name.to_owned())
            }
            None => format!("[{at:#x}]"),
        };
        let number = |b: &[u8]| b.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        out += &format!("  {name:8} {:#018x} != {:#018x}\n", number(a), number(b));
    }
    if expected.len() != found.len() {
        out += &format!("  {} bytes against {}\n", expected.len(), found.len());
    }
    out
}

/// Forgets the register that the epilogue spoils.
pub fn mask_spoiled(output: &mut [u8]) {
    let at = (TABLE - OUTPUT.start) as usize + 8 * usize::from(SPOILED);
    if let Some(cell) = output.get_mut(at..at + 8) {
        cell.fill(0);
    }
}
