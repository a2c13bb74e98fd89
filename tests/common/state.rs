//! What a test compares: the registers, why the engine returned, memory.

use emu_ir::{CpuState, Exit, Guest};
use std::fmt::Write;

/// Everything a guest can see after a run.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub regs: Vec<u64>,
    pub pc: u64,
    pub fp_flags: u32,
    pub fp_round: u32,
    pub exit: Exit,
    /// `yield` exits on the way, by the pc after them.
    pub yields: Vec<u64>,
    pub memory: Vec<u8>,
}

impl State {
    pub fn new(guest: &dyn Guest, cpu: &CpuState, exit: Exit, yields: Vec<u64>, memory: Vec<u8>) -> State {
        State {
            regs: guest.slots().iter().map(|s| cpu.get(s.slot)).collect(),
            pc: cpu.pc,
            fp_flags: cpu.fp_flags,
            fp_round: cpu.fp_round,
            exit,
            yields,
            memory,
        }
    }

    /// Did it end by an access so far outside of the guest's memory that compiled code, which confines nobody, would reach
    /// memory of the host? Guard pages of 2 GiB lie on both sides of the 2^38 (or 2^32) bytes.
    pub fn is_out_of_reach(&self) -> bool {
        const GUARD: u64 = 2 << 30;
        let Exit::Fault(fault) = self.exit else { return false };
        (1 << 38) + GUARD <= fault.addr && fault.addr < GUARD.wrapping_neg()
    }

    /// The differences as text, one a line; empty if there is none. `memory_at` is the address of the first byte of
    /// `memory`.
    pub fn differences(&self, other: &State, guest: &dyn Guest, memory_at: u64) -> String {
        let mut out = String::new();
        for (info, (a, b)) in guest.slots().iter().zip(self.regs.iter().zip(&other.regs)) {
            line(&mut out, info.name, *a, *b);
        }
        line(&mut out, "pc", self.pc, other.pc);
        line(&mut out, "fflags", self.fp_flags.into(), other.fp_flags.into());
        line(&mut out, "frm", self.fp_round.into(), other.fp_round.into());
        if self.exit != other.exit {
            let _ = writeln!(out, "  exit    {:x?}\n       != {:x?}", self.exit, other.exit);
        }
        if self.yields != other.yields {
            let _ = writeln!(out, "  yields  {:x?} != {:x?}", self.yields, other.yields);
        }
        for (i, (a, b)) in self.memory.chunks(8).zip(other.memory.chunks(8)).enumerate() {
            if a != b {
                let _ = writeln!(out, "  [{:#x}] {a:02x?} != {b:02x?}", memory_at + 8 * i as u64);
            }
        }
        out
    }
}

fn line(out: &mut String, name: &str, a: u64, b: u64) {
    if a != b {
        let _ = writeln!(out, "  {name:7} {a:#018x} != {b:#018x}");
    }
}

/// The registers of a hart, four a line.
pub fn registers(guest: &dyn Guest, cpu: &CpuState) -> String {
    let mut out = String::new();
    for (i, info) in guest.slots().iter().enumerate() {
        let end = if i % 4 == 3 { "\n" } else { " " };
        let _ = write!(out, "  {:>4}={:#018x}{end}", info.name, cpu.get(info.slot));
    }
    let _ = write!(out, "\n  fflags={:#x} frm={}", cpu.fp_flags, cpu.fp_round);
    out
}
