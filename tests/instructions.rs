//! Every instruction of the decoder's table, one line a case, on every engine.
//!
//! The cases are in `tests/instructions/*.ins`. A line reads
//! `name | encoding assembly | inputs => outputs`, where inputs and outputs are `-` or a list of
//! - `a0=0x1`, `fa0=0x…`, `fcsr=0x21`: registers, all 64 bits of a floating-point one;
//! - `m32[0x20800]=0x5`: memory, little endian;
//! - `pc=0x10010`: where a jump leads to; the next instruction if it is not given;
//! - `exit=illegal`, `breakpoint`, `syscall`, `yield`, `fault:read:unmapped:0x500000`: how it ends instead.
//!
//! The instruction lies at 0x10000. What the outputs do not name must not change: all other registers hold values that a mistake
//! would show in. `isa rv64gc` sets the hart of the lines that follow.

mod common;

use common::guest;
use common::machine::{Machine, Way, map};
use common::program::{CODE, DATA, READ_ONLY};
use emu_frontend_riscv::table::{InsnDef, table};
use emu_frontend_riscv::{Riscv, disasm};
use emu_ir::{AccessKind, CpuState, Exit, Fault, FaultCause, Guest, Slot, TrapKind};
use emu_machine::mem::Prot;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
        let len = if word & 3 == 3 { 4 } else { 2 };
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
fn startled(guest: &Riscv) -> CpuState {
    let mut cpu = CpuState { pc: CODE, ..CpuState::default() };
    let mask = u64::MAX >> (64 - guest.config().xlen);
    for x in 1..32 {
        cpu.set(Slot(x), (0xdead_beef_0000_0000 | 0x9abc_0000 | u64::from(x)) & mask);
    }
    for f in 32..64 {
        cpu.set(Slot(f), 0x7ffa_bcde_0000_0000 | u64::from(f));
    }
    cpu
}

fn slot(guest: &Riscv, name: &str) -> Slot {
    let info = guest.slots().iter().find(|s| s.name == name);
    info.unwrap_or_else(|| panic!("there is no register `{name}`")).slot
}

fn apply(guest: &Riscv, cpu: &mut CpuState, fields: &[Field]) {
    for field in fields {
        match field {
            Field::Register(name, value) => cpu.set(slot(guest, name), *value),
            Field::Fcsr(value) => (cpu.fp_round, cpu.fp_flags) = (value >> 5, value & 31),
            Field::Pc(pc) => cpu.pc = *pc,
            Field::Memory { .. } | Field::Exit(_) => {}
        }
    }
}

fn machine(way: Way, guest: &Arc<Riscv>) -> Machine {
    let machine = Machine::new(way, guest);
    map(&machine.memory, CODE, 0x2000, Prot::RX);
    map(&machine.memory, DATA.start, DATA.end - DATA.start, Prot::RW);
    map(&machine.memory, READ_ONLY.start, READ_ONLY.end - READ_ONLY.start, Prot::READ);
    machine
}

/// How a run ended, in the words of the files; `None` if it went on to another instruction.
fn outcome(case: &Case, exit: Exit, pc: u64, yields: &[u64]) -> Option<String> {
    let at_start = pc == CODE;
    match exit {
        _ if !yields.is_empty() => Some("yield".to_owned()),
        Exit::Syscall { insn } if insn == CODE => Some("syscall".to_owned()),
        Exit::Syscall { insn } if insn == CODE + case.len as u64 => None,
        Exit::Trap(trap) if at_start => Some(match trap.kind {
            TrapKind::IllegalInstruction { .. } => "illegal".to_owned(),
            TrapKind::Breakpoint { .. } => "breakpoint".to_owned(),
            other => format!("{other:?}"),
        }),
        // Zeros lie where jumps go to.
        Exit::Trap(trap) if trap.kind == (TrapKind::IllegalInstruction { word: 0 }) => None,
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
fn run(case: &Case, machine: &mut Machine) -> String {
    let guest = Arc::clone(&machine.guest);
    let mut code = vec![0; 0x40];
    code[..4].copy_from_slice(&case.word.to_le_bytes());
    code[case.len..case.len + 4].copy_from_slice(&0x73_u32.to_le_bytes());
    machine.load_code(CODE, &code);
    let mut start = startled(&guest);
    apply(&guest, &mut start, &case.inputs);
    let memory = |fields: &[Field], f: &mut dyn FnMut(u64, u8, u64)| {
        for field in fields {
            if let Field::Memory { addr, bytes, value } = field {
                f(*addr, *bytes, *value);
            }
        }
    };
    memory(&case.inputs, &mut |addr, bytes, value| machine.memory.store(addr, bytes, value).expect("a case's memory"));
    let mut state = machine.run_from(&start, DATA);
    let mut expected = start.clone();
    expected.pc = CODE + case.len as u64;
    let found = outcome(case, state.exit, state.pc, &state.yields);
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
    apply(&guest, &mut expected, &case.outputs);
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
    let mut machines: HashMap<String, Vec<Machine>> = HashMap::new();
    let mut failures = vec![];
    for case in all_cases() {
        let guest = || guest(&case.isa);
        let list = machines
            .entry(case.isa.clone())
            .or_insert_with(|| Way::ALL.iter().map(|way| machine(*way, &guest())).collect());
        for machine in list {
            let wrong = run(&case, machine);
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
    let mut guests: HashMap<String, Arc<Riscv>> = HashMap::new();
    for case in all_cases() {
        let guest = guests.entry(case.isa.clone()).or_insert_with(|| guest(&case.isa));
        let def = guest.decode(case.word).unwrap_or_else(|| panic!("{}: no instruction", case.place));
        let text = disasm::disassemble(def, case.word, CODE, guest.config().xlen);
        assert_eq!((def.name, text.as_str()), (case.name.as_str(), case.text.as_str()), "{}", case.place);
    }
}

#[test]
fn every_instruction_has_cases() {
    let mut counts: HashMap<*const InsnDef, usize> = HashMap::new();
    for case in all_cases() {
        let def = guest(&case.isa).decode(case.word).expect("checked by the test of the names");
        *counts.entry(std::ptr::from_ref(def)).or_default() += 1;
    }
    let few = table().iter().filter(|def| counts.get(&std::ptr::from_ref(*def)).is_none_or(|n| *n < 2));
    let names: Vec<&str> = few.map(|def| def.name).collect();
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
