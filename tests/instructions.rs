//! Every instruction of the decoder's table, one line a case, on every engine.
//!
//! The cases are in `tests/instructions/*.ins`. A line reads
//! `name | encoding assembly | inputs => outputs`, where inputs and outputs are `-` or a list of
//! - `a0=0x1`, `fa0=0x…`, `fcsr=0x21`: registers, all 64 bits of a floating-point one;
//! - `m32[0x20800]=0x5`: memory, in the guest's byte order;
//! - `pc=0x10010`: where a jump leads to; the next instruction if it is not given;
//! - `exit=illegal`, `breakpoint:7`, `conditional:7`, `overflow`, `float`, `coprocessor:1`, `syscall`, `yield`,
//!   `fault:read:unmapped:0x500000`: how it ends instead.
//!
//! The instruction lies at 0x10000, after a branch of MIPS a `nop` in its delay slot. What the outputs do not name must not
//! change: all other registers hold values that a mistake would show in. `isa rv64gc` or `isa mips32r2,eb` sets the hart of
//! the lines that follow.

mod common;

use common::guest;
use common::machine::{Machine, Way, map};
use common::program::{CODE, DATA, READ_ONLY};
use emu_frontend_mips::{Mips, fcsr};
use emu_frontend_riscv::Riscv;
use emu_ir::{AccessKind, CpuState, Exit, Fault, FaultCause, Guest, Slot, TrapKind, Type};
use emu_machine::mem::Prot;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The guests, as far as the cases can tell them apart.
#[derive(Clone)]
enum Hart {
    Riscv(Arc<Riscv>),
    Mips(Arc<Mips>),
}

impl Hart {
    fn new(isa: &str) -> Hart {
        if isa.starts_with("mips") {
            let config = emu_frontend_mips::Config::parse(isa).unwrap_or_else(|e| panic!("{e}"));
            return Hart::Mips(Arc::new(Mips::new(config)));
        }
        Hart::Riscv(guest(isa))
    }

    fn guest(&self) -> Arc<dyn Guest> {
        match self {
            Hart::Riscv(guest) => Arc::clone(guest) as Arc<dyn Guest>,
            Hart::Mips(guest) => Arc::clone(guest) as Arc<dyn Guest>,
        }
    }

    fn is_big_endian(&self) -> bool {
        matches!(self, Hart::Mips(guest) if guest.config().big_endian)
    }

    fn bytes(&self, word: u32) -> [u8; 4] {
        if self.is_big_endian() { word.to_be_bytes() } else { word.to_le_bytes() }
    }

    /// The name of the instruction, and an address that stands for its line in the table.
    fn decode(&self, word: u32) -> Option<(&'static str, usize)> {
        match self {
            Hart::Riscv(guest) => guest.decode(word).map(|d| (d.name, std::ptr::from_ref(d) as usize)),
            Hart::Mips(guest) => guest.decode(word).map(|d| (d.name, std::ptr::from_ref(d) as usize)),
        }
    }

    fn text(&self, word: u32) -> String {
        use emu_frontend_mips::disasm as mips;
        use emu_frontend_riscv::disasm as riscv;
        match self {
            Hart::Riscv(guest) => riscv::disassemble(guest.decode(word).unwrap(), word, CODE, guest.config().xlen),
            Hart::Mips(guest) => mips::disassemble(guest.decode(word).unwrap(), word, CODE, guest.config().bits()),
        }
    }

    /// How many bytes the instruction has, its delay slot included.
    fn length(&self, word: u32, len: usize) -> usize {
        if matches!(self, Hart::Mips(guest) if guest.has_delay_slot(word)) { 8 } else { len }
    }

    /// The code page: the instruction, a system call after it, and what a jump runs into.
    fn code(&self, word: u32, len: usize) -> Vec<u8> {
        let (call, filler, size) = match self {
            Hart::Riscv(_) => (0x73, 0, 0x40),
            Hart::Mips(_) => (0x0c, 0x0d, 0x2000),
        };
        let mut code: Vec<u8> = (0..size / 4).flat_map(|_| self.bytes(filler)).collect();
        code[..8].fill(0);
        code[..4].copy_from_slice(&self.bytes(word));
        let after = self.length(word, len);
        code[after..after + 4].copy_from_slice(&self.bytes(call));
        code
    }

    /// Is it the trap of what a jump runs into?
    fn is_filler(&self, trap: TrapKind) -> bool {
        match self {
            Hart::Riscv(_) => trap == TrapKind::IllegalInstruction { word: 0 },
            Hart::Mips(_) => trap == TrapKind::Breakpoint { code: 0 },
        }
    }

    fn set_fcsr(&self, cpu: &mut CpuState, value: u32) {
        match self {
            Hart::Riscv(_) => (cpu.fp_round, cpu.fp_flags) = (value >> 5, value & 31),
            Hart::Mips(guest) => fcsr::write(cpu, guest.config(), value),
        }
    }

    /// Puts what a program can see of FCSR into the place where [`Self::set_fcsr`] puts it.
    fn settle(&self, cpu: &CpuState) -> CpuState {
        let mut cpu = cpu.clone();
        if let Hart::Mips(guest) = self {
            let value = fcsr::read(&cpu, guest.config());
            fcsr::write(&mut cpu, guest.config(), value);
            (83..86).for_each(|slot| cpu.set(Slot(slot), 0));
        }
        cpu
    }
}

/// A case, parsed.
struct Case {
    place: String,
    isa: String,
    name: String,
    word: u32,
    len: usize,
    text: String,
    inputs: Vec<Field>,
    outputs: Vec<Field>,
}

/// One `name=value`.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Register(String, u64),
    Fcsr(u32),
    Memory { addr: u64, bytes: u8, value: u64 },
    Pc(u64),
    Exit(String),
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is no number"))
}

impl Field {
    fn parse(text: &str) -> Result<Field, String> {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not name=value"))?;
        if name == "exit" {
            return Ok(Field::Exit(value.to_owned()));
        }
        let value = number(value)?;
        let memory = name.strip_prefix('m').and_then(|rest| rest.split_once('['));
        Ok(match (name, memory) {
            ("pc", _) => Field::Pc(value),
            ("fcsr", _) => Field::Fcsr(value as u32),
            (_, Some((bits, addr))) => {
                let addr = number(addr.trim_end_matches(']'))?;
                Field::Memory { addr, bytes: (number(bits)? / 8) as u8, value }
            }
            _ => Field::Register(name.to_owned(), value),
        })
    }

    fn parse_list(text: &str) -> Result<Vec<Field>, String> {
        text.split_whitespace().filter(|f| *f != "-").map(Field::parse).collect()
    }
}

impl Case {
    fn parse(line: &str, isa: &str, place: &str) -> Result<Case, String> {
        let columns: Vec<&str> = line.split(" | ").collect();
        let [name, code, effect] = columns[..] else { return Err("there are not three columns".into()) };
        let (hex, text) = code.split_once(' ').ok_or("there is no assembly")?;
        let word = u32::from_str_radix(hex, 16).map_err(|_| format!("`{hex}` is no encoding"))?;
        let len = if word & 3 == 3 || isa.starts_with("mips") { 4 } else { 2 };
        if hex.len() != 2 * len {
            return Err(format!("`{hex}` has not the {len} bytes that its lowest bits say"));
        }
        let (inputs, outputs) = effect.split_once("=>").ok_or("there is no =>")?;
        Ok(Case {
            place: place.to_owned(),
            isa: isa.to_owned(),
            name: name.trim().to_owned(),
            word,
            len,
            text: text.trim().to_owned(),
            inputs: Field::parse_list(inputs)?,
            outputs: Field::parse_list(outputs)?,
        })
    }

    /// The exit that ends it, if it does not just go on.
    fn exit(&self) -> Option<&str> {
        self.outputs.iter().find_map(|f| if let Field::Exit(e) = f { Some(e.as_str()) } else { None })
    }
}

/// The cases of a file. Errors name file and line.
fn parse_file(path: &Path, text: &str) -> Result<Vec<Case>, String> {
    let (mut isa, mut cases) = (String::new(), vec![]);
    for (n, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.display(), n + 1);
        match line.strip_prefix("isa ") {
            Some(name) => isa = name.trim().to_owned(),
            None if line.trim().is_empty() || line.starts_with('#') => {}
            None => cases.push(Case::parse(line, &isa, &place).map_err(|e| format!("{place}: {e}"))?),
        }
    }
    Ok(cases)
}

fn all_cases() -> Vec<Case> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/instructions");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&directory).expect("tests/instructions").map(|e| e.expect("an entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "ins"));
    files.sort();
    let parse = |file: &PathBuf| parse_file(file, &std::fs::read_to_string(file).expect("a readable file"));
    files.iter().flat_map(|file| parse(file).unwrap_or_else(|e| panic!("{e}"))).collect()
}

/// Registers that show what changes them: a NaN with a payload where floats are.
fn startled(hart: &Hart) -> CpuState {
    let mut cpu = CpuState { pc: CODE, ..CpuState::default() };
    let guest = hart.guest();
    let mask = u64::MAX >> (64 - guest.address_bits());
    for info in guest.slots().iter().filter(|s| s.slot.0 < 66) {
        let number = u64::from(info.slot.0);
        let float = info.ty == Type::F64;
        let value = if float { 0x7ffa_bcde_0000_0000 } else { 0xffff_ffff_9abc_0000 & mask } | number;
        cpu.set(info.slot, value);
    }
    cpu
}

fn slot(guest: &dyn Guest, name: &str) -> Slot {
    let info = guest.slots().iter().find(|s| s.name == name);
    info.unwrap_or_else(|| panic!("there is no register `{name}`")).slot
}

fn apply(hart: &Hart, cpu: &mut CpuState, fields: &[Field]) {
    for field in fields {
        match field {
            Field::Register(name, value) => cpu.set(slot(&*hart.guest(), name), *value),
            Field::Fcsr(value) => hart.set_fcsr(cpu, *value),
            Field::Pc(pc) => cpu.pc = *pc,
            Field::Memory { .. } | Field::Exit(_) => {}
        }
    }
}

fn machine(way: Way, hart: &Hart) -> Machine {
    let machine = Machine::of_guest(way, hart.guest());
    map(&machine.memory, CODE, 0x2000, Prot::RX);
    map(&machine.memory, DATA.start, DATA.end - DATA.start, Prot::RW);
    map(&machine.memory, READ_ONLY.start, READ_ONLY.end - READ_ONLY.start, Prot::READ);
    machine
}

/// How a run ended, in the words of the files; `None` if it went on to another instruction.
fn outcome(hart: &Hart, case: &Case, exit: Exit, pc: u64, yields: &[u64]) -> Option<String> {
    let at_start = pc == CODE;
    match exit {
        _ if !yields.is_empty() => Some("yield".to_owned()),
        Exit::Syscall { insn } if insn == CODE => Some("syscall".to_owned()),
        Exit::Syscall { insn } if insn == CODE + hart.length(case.word, case.len) as u64 => None,
        Exit::Trap(trap) if at_start => Some(match trap.kind {
            TrapKind::IllegalInstruction { .. } => "illegal".to_owned(),
            TrapKind::Breakpoint { .. } if matches!(hart, Hart::Riscv(_)) => "breakpoint".to_owned(),
            TrapKind::Breakpoint { code } => format!("breakpoint:{code}"),
            TrapKind::Conditional { code } => format!("conditional:{code}"),
            TrapKind::CoprocessorUnusable { unit } => format!("coprocessor:{unit}"),
            TrapKind::IntegerOverflow => "overflow".to_owned(),
            TrapKind::FloatException => "float".to_owned(),
            other => format!("{other:?}"),
        }),
        Exit::Trap(trap) if hart.is_filler(trap.kind) => None,
        Exit::Fault(fault) if !at_start && fault.access == AccessKind::Execute && fault.addr == pc => None,
        Exit::Fault(Fault { addr, access, cause }) => {
            let access = match access {
                AccessKind::Read => "read",
                AccessKind::Write => "write",
                AccessKind::Execute => "execute",
            };
            let cause = match cause {
                FaultCause::Unmapped => "unmapped",
                FaultCause::Protected => "protected",
                FaultCause::Misaligned => "misaligned",
                FaultCause::Bus => "bus",
            };
            Some(format!("fault:{access}:{cause}:{addr:#x}"))
        }
        other => Some(format!("{other:x?}")),
    }
}

/// Runs a case; what is wrong, one a line.
fn run(hart: &Hart, case: &Case, machine: &mut Machine) -> String {
    let guest = hart.guest();
    machine.load_code(CODE, &hart.code(case.word, case.len));
    let mut start = startled(hart);
    apply(hart, &mut start, &case.inputs);
    let memory = |fields: &[Field], f: &mut dyn FnMut(u64, u8, u64)| {
        for field in fields {
            if let Field::Memory { addr, bytes, value } = field {
                let swapped = value.swap_bytes() >> (64 - 8 * u32::from(*bytes));
                f(*addr, *bytes, if hart.is_big_endian() { swapped } else { *value });
            }
        }
    };
    memory(&case.inputs, &mut |addr, bytes, value| machine.memory.store(addr, bytes, value).expect("a case's memory"));
    let state = machine.run_from(&start, DATA);
    let settled = hart.settle(machine.cpu());
    let mut state = common::state::State::new(&*guest, &settled, state.exit, state.yields, state.memory);
    let mut expected = start.clone();
    expected.pc = CODE + hart.length(case.word, case.len) as u64;
    let found = outcome(hart, case, state.exit, state.pc, &state.yields);
    let mut wrong = String::new();
    if found.as_deref() != case.exit() {
        wrong += &format!("  ends with {found:?}\n");
    }
    match state.exit {
        Exit::Syscall { insn } => state.pc = expected.pc.max(insn),
        // Compiled code without precise faults keeps no registers.
        Exit::Fault(_) if case.exit().is_some() && machine.way == Way::Jit => return wrong,
        Exit::Fault(_) | Exit::Trap(_) if case.exit().is_some() => expected.pc = CODE,
        _ => {}
    }
    apply(hart, &mut expected, &case.outputs);
    let expected = hart.settle(&expected);
    let wanted = common::state::State::new(&*guest, &expected, state.exit, state.yields.clone(), state.memory.clone());
    wrong += &wanted.differences(&state, &*guest, DATA.start);
    let unchanged: Vec<Field> = case.inputs.iter().filter(|i| !overwritten(i, &case.outputs)).cloned().collect();
    memory(&[case.outputs.as_slice(), &unchanged].concat(), &mut |addr, bytes, value| {
        let found = machine.memory.load(addr, bytes).expect("a case's memory");
        if found != value {
            wrong += &format!("  [{addr:#x}] {value:#x} != {found:#x}\n");
        }
    });
    wrong
}

fn overwritten(input: &Field, outputs: &[Field]) -> bool {
    let addr_of = |f: &Field| if let Field::Memory { addr, .. } = f { Some(*addr) } else { None };
    outputs.iter().any(|o| addr_of(o).is_some() && addr_of(o) == addr_of(input))
}

#[test]
fn every_case_on_every_engine() {
    let mut machines: HashMap<String, (Hart, Vec<Machine>)> = HashMap::new();
    let mut failures = vec![];
    for case in all_cases() {
        let (hart, list) = machines.entry(case.isa.clone()).or_insert_with(|| {
            let hart = Hart::new(&case.isa);
            let list = Way::ALL.iter().map(|way| machine(*way, &hart)).collect();
            (hart, list)
        });
        for machine in list {
            let wrong = run(hart, &case, machine);
            if !wrong.is_empty() {
                let line = format!("{} {}", case.name, case.text);
                failures.push(format!("{}: {:?}: {line} (expected != found)\n{wrong}", case.place, machine.way));
            }
        }
    }
    let count = failures.len();
    failures.truncate(20);
    assert!(count == 0, "{count} failures, the first ones:\n{}", failures.join("\n"));
}

#[test]
fn names_and_assembly_are_those_of_the_table() {
    let mut harts: HashMap<String, Hart> = HashMap::new();
    for case in all_cases() {
        let hart = harts.entry(case.isa.clone()).or_insert_with(|| Hart::new(&case.isa));
        let (name, _) = hart.decode(case.word).unwrap_or_else(|| panic!("{}: no instruction", case.place));
        let text = hart.text(case.word);
        assert_eq!((name, text.as_str()), (case.name.as_str(), case.text.as_str()), "{}", case.place);
    }
}

#[test]
fn every_instruction_has_cases() {
    let mut harts: HashMap<String, Hart> = HashMap::new();
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for case in all_cases() {
        let hart = harts.entry(case.isa.clone()).or_insert_with(|| Hart::new(&case.isa));
        let (_, line) = hart.decode(case.word).expect("checked by the test of the names");
        *counts.entry(line).or_default() += 1;
    }
    let riscv = emu_frontend_riscv::table::table().iter().map(|d| (d.name, std::ptr::from_ref(d) as usize));
    let mips = emu_frontend_mips::table::table().iter().map(|d| (d.name, std::ptr::from_ref(d) as usize));
    let few = riscv.chain(mips).filter(|(_, line)| counts.get(line).is_none_or(|n| *n < 2));
    let names: Vec<&str> = few.map(|(name, _)| name).collect();
    assert!(names.is_empty(), "fewer than two cases for {names:?}");
}

#[test]
fn parse_errors_name_file_and_line() {
    let error = |text: &str| parse_file(Path::new("x.ins"), text).err();
    assert_eq!(error("isa rv64i\n\nadd | 00c58533\n"), Some("x.ins:3: there are not three columns".into()));
    let short = "x.ins:1: `c58533` has not the 4 bytes that its lowest bits say";
    assert_eq!(error("add | c58533 add | - => -"), Some(short.into()));
    assert_eq!(error("# \nadd | 00c58533 add | a1 => -"), Some("x.ins:2: `a1` is not name=value".into()));
    assert_eq!(error("add | 00c58533 add | a1=x => -"), Some("x.ins:1: `x` is no number".into()));
}
