//! A divergence for people.

use super::journal::MemoryDiff;
use super::{Divergence, Stop};
use emu_ir::NO_RESERVATION;
use std::fmt::{self, Display, Formatter};

impl Display for Divergence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.insn {
            Some(pc) => writeln!(f, "compiled code and interpreter differ after the instruction at {pc:#x}")?,
            None => writeln!(
                f,
                "compiled code and interpreter differ after the block at {:#x}, which compiled alone is right",
                self.key.pc
            )?,
        }
        writeln!(f, "\ninstructions")?;
        for (pc, text) in &self.instructions {
            let mark = if self.insn == Some(*pc) { '>' } else { ' ' };
            writeln!(f, "{mark} {pc:>10x}:  {text}")?;
        }
        writeln!(f, "\n{}", self.ir)?;
        self.ends(f)?;
        self.registers(f)?;
        if !self.memory.is_empty() {
            writeln!(f, "\nmemory that differs")?;
            self.memory.iter().try_for_each(|diff| memory(f, diff))?;
        }
        Ok(())
    }
}

impl Divergence {
    /// The guest's registers.
    pub fn slots(&self) -> &[emu_ir::SlotInfo] {
        self.guest.slots()
    }

    /// Why each run stopped, if it is not that both came to the same place.
    fn ends(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let compiled = match self.stop {
            Stop::Here if self.exit == emu_ir::Exit::Budget => return Ok(()),
            Stop::Here => "goes on".to_owned(),
            Stop::Interpreter { .. } => "leaves the instruction to the interpreter".to_owned(),
            Stop::Exit(exit) => format!("{exit:x?}"),
            Stop::Fault { fault, .. } => format!("{:x?} at {:#x}", fault.fault, fault.pc),
        };
        let interpreted = match self.exit {
            emu_ir::Exit::Budget => "goes on".to_owned(),
            exit => format!("{exit:x?} at {:#x}", self.interpreted.pc),
        };
        writeln!(f, "compiled code: {compiled}\ninterpreter:   {interpreted}\n")
    }

    fn registers(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<10} {:>18} {:>18} {:>18}", "register", "before", "compiled", "interpreted")?;
        let states = [&self.before, &self.compiled, &self.interpreted];
        for info in self.guest.slots() {
            row(f, info.name, states.map(|cpu| cpu.get(info.slot)), false)?;
        }
        row(f, "pc", states.map(|cpu| cpu.pc), true)?;
        row(f, "fp flags", states.map(|cpu| cpu.fp_flags.into()), true)?;
        row(f, "fp round", states.map(|cpu| cpu.fp_round.into()), true)?;
        row(f, "reserved", states.map(|cpu| cpu.reservation_addr), true)?;
        row(f, "insns", states.map(|cpu| cpu.insn_count.wrapping_sub(self.before.insn_count)), true)
    }
}

/// A register; marked if it differs, and left out if it is 0 everywhere, unless it is always shown.
fn row(f: &mut Formatter<'_>, name: &str, [before, compiled, interpreted]: [u64; 3], always: bool) -> fmt::Result {
    if !always && before | compiled | interpreted == 0 {
        return Ok(());
    }
    let text = |value| if value == NO_RESERVATION && name == "reserved" { "-".into() } else { format!("{value:#x}") };
    let mark = if compiled == interpreted { ' ' } else { '*' };
    let [before, compiled, interpreted] = [before, compiled, interpreted].map(text);
    writeln!(f, "{mark} {name:<10} {before:>18} {compiled:>18} {interpreted:>18}")
}

/// Sixteen bytes a line.
fn memory(f: &mut Formatter<'_>, diff: &MemoryDiff) -> fmt::Result {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    for (i, (compiled, interpreted)) in diff.compiled.chunks(16).zip(diff.interpreted.chunks(16)).enumerate() {
        let addr = diff.addr + 16 * i as u64;
        writeln!(f, "* {addr:#x}  compiled {}  interpreted {}", hex(compiled), hex(interpreted))?;
    }
    Ok(())
}
