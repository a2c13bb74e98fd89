//! What a file is and needs, for people (`emu info`).

use super::{Endian, Image, Kind, Machine};
use std::fmt;

/// EF_RISCV_FLOAT_ABI and its values, EF_RISCV_RVE (RISC-V ELF psABI, "File Header").
const FLOAT_ABIS: [&str; 4] = ["soft", "single", "double", "quad"];
const RVC: u32 = 1;
const RVE: u32 = 8;
const TSO: u32 = 0x10;

/// What a file is: lines of a label and a value, and whether it can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Label and value.
    pub lines: Vec<(&'static str, String)>,
    /// Why it cannot be run, if it cannot.
    pub unsupported: Option<String>,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, value) in &self.lines {
            writeln!(f, "{label:<13}{value}")?;
        }
        match &self.unsupported {
            None => writeln!(f, "{:<13}yes", "supported"),
            Some(why) => writeln!(f, "{:<13}no: {why}", "supported"),
        }
    }
}

impl Image {
    /// What the file is, what it needs, and whether that is supported.
    pub fn describe(&self) -> Description {
        let mut lines = vec![("machine", self.machine_name()), ("type", self.type_name().to_owned())];
        lines.push(("ABI", self.abi_name()));
        lines.extend(self.riscv_arch.clone().map(|arch| ("ISA", arch)));
        lines.push(("entry", format!("{:#x}", self.entry)));
        let interp = self.interp.as_deref().map(|path| String::from_utf8_lossy(path).into_owned());
        lines.push(("interpreter", interp.unwrap_or_else(|| "none".to_owned())));
        for s in &self.segments {
            let letter = |bit: u8, c| if s.prot.bits() & bit != 0 { c } else { '-' };
            let prot: String = [letter(1, 'r'), letter(2, 'w'), letter(4, 'x')].iter().collect();
            lines.push(("segment", format!("{:#x}..{:#x} {prot}", s.addr, s.range().end)));
        }
        lines.extend(self.tls.map(|tls| ("TLS", format!("{} bytes, aligned to {}", tls.mem_size, tls.align))));
        let stack = match self.exec_stack {
            Some(true) => "executable",
            Some(false) => "not executable",
            None => "not stated",
        };
        lines.push(("stack", stack.to_owned()));
        Description { lines, unsupported: self.unsupported() }
    }

    fn machine_name(&self) -> String {
        let bits = self.class.word() * 8;
        let endian = if self.endian == Endian::Big { "big" } else { "little" };
        match self.machine {
            Machine::RiscV => format!("RISC-V, {bits} bits, {endian} endian"),
            Machine::Mips => format!("MIPS ({}), {bits} bits, {endian} endian", self.mips_release_name()),
            Machine::Other(number) => format!("number {number}, {bits} bits, {endian} endian"),
        }
    }

    fn type_name(&self) -> &'static str {
        match (self.kind, &self.interp) {
            (Kind::Exec, None) => "static program",
            (Kind::Exec, Some(_)) => "dynamically linked program",
            (Kind::Dyn, None) => "shared object or static position-independent program",
            (Kind::Dyn, Some(_)) => "position-independent program",
        }
    }

    fn abi_name(&self) -> String {
        let flag = |bit, text| if self.flags & bit != 0 { text } else { "" };
        match self.machine {
            Machine::RiscV => {
                let float = FLOAT_ABIS[(self.flags >> 1 & 3) as usize];
                let (rvc, rve, tso) = (flag(RVC, ", RVC"), flag(RVE, ", RVE"), flag(TSO, ", TSO"));
                format!("{float} float{rvc}{rve}{tso}")
            }
            Machine::Mips => self.mips_abi_name(),
            Machine::Other(_) => "unknown".to_owned(),
        }
    }

    /// Why this emulator cannot run it, as far as the header tells.
    pub fn unsupported(&self) -> Option<String> {
        match self.machine {
            Machine::RiscV if self.endian == Endian::Big => Some("big-endian RISC-V".to_owned()),
            Machine::RiscV if self.flags & RVE != 0 => Some("RVE, the base with 16 registers".to_owned()),
            Machine::RiscV if self.flags >> 1 & 3 == 3 => Some("quad-precision floating point".to_owned()),
            Machine::RiscV => None,
            Machine::Mips => self.mips_unsupported(),
            Machine::Other(number) => Some(format!("machine {number} is neither RISC-V nor MIPS")),
        }
    }
}
