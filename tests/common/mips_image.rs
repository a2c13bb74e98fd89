//! As `image.rs`, for MIPS: static programs that load every register, run a program, store every register, write all of it out.

use super::elf::{Target, Writer, executable};
use super::machine::{Machine, Way, map};
use super::mips::Program;
use super::program::{CODE, DATA};
use emu_frontend_mips::Mips;
use emu_ir::{CpuState, Exit, Guest, Slot};
use emu_machine::mem::Prot;
use std::sync::Arc;

/// Loads the registers and jumps to [`CODE`].
const PROLOGUE: u64 = 0x1_4000;
/// Stores the registers and ends.
const EPILOGUE: u64 = 0x1_5000;
/// The registers, in cells of eight bytes: general ones, floating-point ones, HI, LO, FCSR.
const TABLE: u64 = 0x2_4000;
const HI_CELL: u32 = 64;
const FCSR_CELL: u32 = 66;
const CELLS: u64 = 67;
/// What is written out: of the data its beginning, which is all that programs reach.
pub const OUTPUT: std::ops::Range<u64> = DATA.start..TABLE + CELLS * 8;

/// `$k0` and `$k1` are no program's: what the epilogue needs.
const BASE: u32 = 27;

/// Pieces of memory at their addresses.
pub struct Image {
    wide: bool,
    big: bool,
    pieces: Vec<(u64, Vec<u8>)>,
}

fn immediate(opcode: u32, base: u32, rt: u32, imm: u64) -> u32 {
    opcode << 26 | base << 21 | rt << 16 | (imm as u32 & 0xffff)
}

/// `lui` and `ori`.
fn constant(rt: u32, value: u64) -> [u32; 2] {
    [immediate(0o17, 0, rt, value >> 16), immediate(0o15, rt, rt, value)]
}

fn jump(to: u64) -> [u32; 2] {
    [0x0800_0000 | (to >> 2) as u32, 0]
}

/// The registers as a processor has them: which to load and store.
struct Registers {
    wide: bool,
    hi_lo: bool,
    doubles: Vec<u32>,
}

impl Registers {
    fn of(guest: &Mips) -> Registers {
        let config = guest.config();
        let pairs = config.fr == emu_frontend_mips::FrMode::Pairs;
        let doubles = (0..32).filter(|f| !pairs || f % 2 == 0).collect();
        Registers { wide: config.bits() == 64, hi_lo: !config.release.is_r6(), doubles }
    }

    /// `lw` or `ld`, or with `store` `sw` or `sd`.
    fn access(&self, store: bool, rt: u32, cell: u32) -> u32 {
        let opcode = [[0o43, 0o67], [0o53, 0o77]][usize::from(store)][usize::from(self.wide)];
        immediate(opcode, BASE, rt, u64::from(cell) * 8)
    }

    fn double(&self, store: bool, f: u32) -> u32 {
        immediate(if store { 0o75 } else { 0o65 }, BASE, f, u64::from(32 + f) * 8)
    }

    fn general() -> impl Iterator<Item = u32> {
        (1..32).filter(|r| !matches!(r, 26 | 27))
    }

    fn prologue(&self) -> Vec<u32> {
        let mut code = constant(BASE, TABLE).to_vec();
        code.extend([immediate(0o43, BASE, 1, u64::from(FCSR_CELL) * 8), 0x44c1_f800]); // ctc1 $1, $31
        code.extend(self.doubles.iter().map(|f| self.double(false, *f)));
        if self.hi_lo {
            code.extend([self.access(false, 1, HI_CELL), 0x0020_0011]); // mthi $1
            code.extend([self.access(false, 1, HI_CELL + 1), 0x0020_0013]); // mtlo $1
        }
        code.extend(Self::general().map(|r| self.access(false, r, r)));
        code.extend(jump(CODE));
        code
    }

    fn epilogue(&self) -> Vec<u32> {
        let mut code: Vec<u32> = Self::general().map(|r| self.access(true, r, r)).collect();
        code.extend(self.doubles.iter().map(|f| self.double(true, *f)));
        if self.hi_lo {
            code.extend([0x0000_0810, self.access(true, 1, HI_CELL)]); // mfhi $1
            code.extend([0x0000_0812, self.access(true, 1, HI_CELL + 1)]); // mflo $1
        }
        code.extend([0x4441_f800, immediate(0o53, BASE, 1, u64::from(FCSR_CELL) * 8)]); // cfc1 $1, $31
        let (write, exit) = if self.wide { (5001, 5058) } else { (4004, 4001) };
        let arguments = [(2, write), (4, 1), (5, OUTPUT.start), (6, OUTPUT.end - OUTPUT.start)];
        code.extend(arguments.into_iter().flat_map(|(register, value)| constant(register, value)));
        code.push(SYSCALL);
        code.extend([(2, exit), (4, 0)].into_iter().flat_map(|(register, value)| constant(register, value)));
        code.push(SYSCALL);
        code
    }
}

const SYSCALL: u32 = 0x0c;

impl Image {
    /// The image of a program, whose data begins as `data`; instead of its system call it jumps to what writes all out.
    pub fn new(program: &Program, data: &[u8]) -> Image {
        let registers = Registers::of(&program.guest);
        let (wide, big) = (registers.wide, program.guest.config().big_endian);
        let mut words = program.words.clone();
        words.pop();
        words.extend(jump(EPILOGUE));
        let order = |word: u32| if big { word.to_be_bytes() } else { word.to_le_bytes() };
        let bytes = |words: &[u32]| words.iter().flat_map(|w| order(*w)).collect::<Vec<u8>>();
        let mut data = data.to_vec();
        data.resize((TABLE - DATA.start) as usize, 0);
        data.extend(table(&program.start, wide, big));
        let pieces = vec![
            (CODE, bytes(&words)),
            (PROLOGUE, bytes(&registers.prologue())),
            (EPILOGUE, bytes(&registers.epilogue())),
            (DATA.start, data),
        ];
        Image { wide, big, pieces }
    }

    /// As a static executable.
    pub fn elf(&self, flags: u32) -> Vec<u8> {
        // EM_MIPS
        executable(Target { wide: self.wide, big: self.big, machine: 8, flags }, PROLOGUE, &self.pieces)
    }

    /// A machine with room for any image.
    pub fn machine(way: Way, guest: &Arc<Mips>) -> Machine {
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
        let start = CpuState { pc: PROLOGUE, ..CpuState::default() };
        let state = machine.run_from(&start, OUTPUT);
        match state.exit {
            Exit::Syscall { insn } if insn >= EPILOGUE => Ok(state.memory),
            exit => Err(format!("{exit:x?} at {:#x}", state.pc)),
        }
    }
}

/// The cells; a register of 32 bits is in the first half of its cell.
fn table(start: &CpuState, wide: bool, big: bool) -> Vec<u8> {
    let mut cells = Writer { out: vec![], wide, big };
    for slot in 0..66 {
        // Slot 0 is $1's neighbour, $zero.
        let value = if slot == 0 { 0 } else { start.get(Slot(slot)) };
        let float = (32..64).contains(&slot);
        cells.number(value, if wide || float { 8 } else { 4 });
        cells.out.resize((usize::from(slot) + 1) * 8, 0);
    }
    cells.number(u64::from(start.fp_round & 3), 4);
    cells.out.resize(CELLS as usize * 8, 0);
    cells.out
}

/// Forgets the upper halves of the odd floating-point registers, which hold singles.
pub fn mask_singles(output: &mut [u8], big: bool) {
    for f in (1..32).step_by(2) {
        let at = (TABLE - OUTPUT.start) as usize + 8 * (32 + f) + if big { 0 } else { 4 };
        if let Some(half) = output.get_mut(at..at + 4) {
            half.fill(0);
        }
    }
}

/// What differs between two outputs, by name.
pub fn differences(guest: &dyn Guest, expected: &[u8], found: &[u8], big: bool) -> String {
    let number = |bytes: &[u8]| {
        let add = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
        if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    };
    let mut out = String::new();
    for (i, (a, b)) in expected.chunks(8).zip(found.chunks(8)).enumerate().filter(|(_, (a, b))| a != b) {
        let at = OUTPUT.start + 8 * i as u64;
        let name = match at.checked_sub(TABLE).map(|offset| offset / 8) {
            Some(66) => "fcsr".to_owned(),
            Some(cell) => {
                let slot = guest.slots().iter().find(|s| u64::from(s.slot.0) == cell);
                slot.map_or_else(|| format!("cell {cell}"), |s| s.name.to_owned())
            }
            None => format!("[{at:#x}]"),
        };
        out += &format!("  {name:8} {:#018x} != {:#018x}\n", number(a), number(b));
    }
    if expected.len() != found.len() {
        out += &format!("  {} bytes against {}\n", expected.len(), found.len());
    }
    out
}
