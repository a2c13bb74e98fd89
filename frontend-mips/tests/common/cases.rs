//! Cases in the form of the workspace's `tests/instructions`: `name | encoding assembly | inputs => outputs`, run by the
//! interpreter. Those that end otherwise than by going on are for the other runner.
#![allow(dead_code, unreachable_pub, missing_docs)]

use super::{Code, block_in_mode};
use emu_frontend_mips::{Mips, fcsr};
use emu_ir::*;
use std::collections::BTreeMap;

/// Bytes at addresses; nothing else is mapped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory(pub BTreeMap<u64, u8>);

impl Memory {
    /// Maps zeros.
    pub fn map(&mut self, addr: u64, len: u64) {
        self.0.extend((addr..addr + len).map(|a| (a, 0)));
    }
}

impl Env for Memory {
    fn load(&mut self, addr: u64, bytes: u8) -> Result<u64, Fault> {
        (0..u64::from(bytes)).try_fold(0, |value, i| {
            let byte = self.0.get(&(addr + i));
            let fault = Fault { addr: addr + i, access: AccessKind::Read, cause: FaultCause::Unmapped };
            byte.map(|b| value | u64::from(*b) << (8 * i)).ok_or(fault)
        })
    }
    fn store(&mut self, addr: u64, bytes: u8, value: u64) -> Result<(), Fault> {
        for i in 0..u64::from(bytes) {
            let fault = Fault { addr: addr + i, access: AccessKind::Write, cause: FaultCause::Unmapped };
            *self.0.get_mut(&(addr + i)).ok_or(fault)? = (value >> (8 * i)) as u8;
        }
        Ok(())
    }
    fn atomic_rmw(&mut self, _: AtomicOp, addr: u64, bytes: u8, _: u64) -> Result<u64, Fault> {
        self.load(addr, bytes)
    }
    fn atomic_cas(&mut self, addr: u64, bytes: u8, expected: u64, new: u64) -> Result<u64, Fault> {
        let old = self.load(addr, bytes)?;
        if old == expected {
            self.store(addr, bytes, new)?;
        }
        Ok(old)
    }
    fn fence(&mut self) {}
    fn counter(&mut self, _: Counter) -> u64 {
        0x1_0000_0008
    }
}

/// The slot that assembly calls so.
pub fn slot(guest: &Mips, name: &str) -> Slot {
    guest.slots().iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no register {name}")).slot
}

/// Runs the words from 0x1000 on, as one block, in whatever mode the processor is.
pub fn run(guest: &Mips, cpu: &mut CpuState, memory: &mut Memory, words: &[u32]) -> Exit {
    cpu.pc = 0x1000;
    let block = block_in_mode(guest, guest.mode(cpu), words);
    verify::verify(&block).unwrap();
    emu_interp::run(&emu_interp::Code::new(&block, guest), cpu, memory)
}

fn number(text: &str) -> u64 {
    text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16)).unwrap()
}

/// Sets what `a1=0x3 fcsr=0x1 m32[0x20800]=0x5` says.
fn assign(guest: &Mips, cpu: &mut CpuState, memory: &mut Memory, text: &str) {
    for assignment in text.split_whitespace().filter(|a| *a != "-") {
        let (name, value) = assignment.split_once('=').unwrap();
        let value = number(value);
        match name.split_once('[') {
            Some((bits, addr)) => {
                let bytes = (number(&bits[1..]) / 8) as u8;
                let value =
                    if guest.config().big_endian { value.swap_bytes() >> (64 - 8 * u32::from(bytes)) } else { value };
                memory.store(number(addr.trim_end_matches(']')), bytes, value).unwrap();
            }
            None if name == "fcsr" => fcsr::write(cpu, guest.config(), value as u32),
            None if name == "pc" => cpu.pc = value,
            None => cpu.set(slot(guest, name), value),
        }
    }
}

/// Registers that show what changes them.
fn startled(guest: &Mips) -> CpuState {
    let mut cpu = CpuState::default();
    let mask = u64::MAX >> (64 - guest.address_bits());
    for info in guest.slots() {
        let value = match info.ty {
            Type::F64 => 0x7ffa_bcde_0000_0000 | u64::from(info.slot.0),
            _ if info.slot.0 < 66 => (0xffff_ffff_9abc_0000 | u64::from(info.slot.0)) & mask,
            _ => 0,
        };
        cpu.set(info.slot, value);
    }
    cpu
}

/// Checks a line; what is wrong.
pub fn check(guest: &Mips, line: &str) -> Result<(), String> {
    let columns: Vec<_> = line.split(" | ").collect();
    let [name, code, effect] = columns[..] else { return Err(format!("three columns: {line}")) };
    let (word, text) = code.split_once(' ').unwrap();
    let word = u32::from_str_radix(word, 16).unwrap();
    let found = guest.decode(word).map_or("reserved", |d| d.name);
    let shown = guest.disassemble(0x1000, &mut Code::new(guest, 0x1000, &[word])).unwrap().0;
    if (found, shown.as_str()) != (name.trim(), text.trim()) {
        return Err(format!("{line}\n  is {found}: {shown}"));
    }
    let (inputs, outputs) = effect.split_once("=>").unwrap();
    let (mut cpu, mut memory) = (startled(guest), Memory::default());
    memory.map(0x2_0800, 0x80);
    assign(guest, &mut cpu, &mut memory, inputs);
    let (mut expected, mut wanted) = (cpu.clone(), memory.clone());
    assign(guest, &mut expected, &mut wanted, outputs);
    let exit = run(guest, &mut cpu, &mut memory, &[word]);
    let mut wrong = String::new();
    if !matches!(exit, Exit::Next | Exit::ModeChange) {
        wrong += &format!("  ends with {exit:?}\n");
    }
    for info in guest.slots().iter().filter(|s| s.slot.0 < 73) {
        let (got, want) = (cpu.get(info.slot), expected.get(info.slot));
        if got != want {
            wrong += &format!("  {} is {got:#x}\n", info.name);
        }
    }
    let (got, want) = (fcsr::read(&cpu, guest.config()), fcsr::read(&expected, guest.config()));
    if got != want {
        wrong += &format!("  fcsr is {got:#x}, not {want:#x}\n");
    }
    for (addr, byte) in &wanted.0 {
        if memory.0[addr] != *byte {
            wrong += &format!("  [{addr:#x}] is {:#x}, not {byte:#x}\n", memory.0[addr]);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{line}\n{wrong}")) }
}
