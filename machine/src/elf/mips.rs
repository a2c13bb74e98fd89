//! What the ELF header and `.MIPS.abiflags` say of a MIPS file (`asm/elf.h`, "MIPS ELF abiflags").

use super::{Class, Endian, Image};

/// The ABI of a MIPS file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MipsAbi {
    /// 32-bit registers and pointers.
    O32,
    /// 64-bit registers, 32-bit pointers.
    N32,
    /// 64-bit registers and pointers.
    N64,
    /// One that Linux has not.
    Other(&'static str),
}

const ABI2: u32 = 0x20;
const NAN2008: u32 = 0x400;
const FP64: u32 = 0x200;
/// EF_MIPS_ABI.
const ABI: u32 = 0xf000;
const MICROMIPS: u32 = 0x0200_0000;
const MIPS16: u32 = 0x0400_0000;
const MDMX: u32 = 0x0800_0000;
/// EF_MIPS_MACH_*: for a processor that may have instructions of its own. Linux does not look at it; what is missing is an
/// illegal instruction.
const MACH: u32 = 0x00ff_0000;
/// EF_MIPS_ARCH, bits 28 to 31.
const ARCHES: [&str; 11] =
    ["mips1", "mips2", "mips3", "mips4", "mips5", "mips32", "mips64", "mips32r2", "mips64r2", "mips32r6", "mips64r6"];
/// Val_GNU_MIPS_ABI_FP_*.
const FP_ABIS: [&str; 8] = [
    "any floating point",
    "double float, FR = 0 or 1",
    "single float",
    "soft float",
    "double float, FR = 1 (old)",
    "double float, any FR (XX)",
    "double float, FR = 1 (64)",
    "double float, FR = 1 without odd singles (64A)",
];
/// AFL_ASE_*: extensions of which code is in the file.
const ASES: [(u32, &str); 8] = [
    (0x1, "DSP"),
    (0x2, "DSP Release 2"),
    (0x20, "MDMX"),
    (0x40, "MIPS-3D"),
    (0x100, "SmartMIPS"),
    (0x200, "MSA"),
    (0x400, "MIPS16"),
    (0x800, "microMIPS"),
];

impl Image {
    /// The ABI.
    pub fn mips_abi(&self) -> MipsAbi {
        match (self.class, self.flags & ABI, self.flags & ABI2) {
            (Class::Elf64, 0, _) => MipsAbi::N64,
            (Class::Elf32, 0, ABI2) => MipsAbi::N32,
            (Class::Elf32, 0 | 0x1000, 0) => MipsAbi::O32,
            (_, 0x2000, _) => MipsAbi::Other("O64"),
            (_, 0x3000 | 0x4000, _) => MipsAbi::Other("EABI"),
            _ => MipsAbi::Other("an unknown ABI"),
        }
    }

    /// Is it for Release 6?
    pub fn mips_is_r6(&self) -> bool {
        self.flags >> 28 >= 9
    }

    /// Has a quiet NaN its first bit set?
    pub fn mips_nan2008(&self) -> bool {
        self.flags & NAN2008 != 0
    }

    /// Val_GNU_MIPS_ABI_FP_*, from `.MIPS.abiflags`, else from the header.
    pub fn mips_fp_abi(&self) -> u8 {
        const DOUBLE: u8 = 1;
        const OLD_64: u8 = 4;
        let stated = self.mips_abiflags.as_deref().and_then(|flags| flags.get(7)).copied();
        stated.unwrap_or(if self.flags & FP64 != 0 { OLD_64 } else { DOUBLE })
    }

    /// The extensions that the file uses.
    fn mips_ases(&self) -> Vec<&'static str> {
        let stated = self.mips_abiflags.as_deref().and_then(|flags| flags.get(12..16)?.first_chunk::<4>());
        let bits = stated.map_or(0, |word| match self.endian {
            Endian::Little => u32::from_le_bytes(*word),
            Endian::Big => u32::from_be_bytes(*word),
        });
        ASES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
    }

    pub(super) fn mips_release_name(&self) -> &'static str {
        ARCHES.get((self.flags >> 28) as usize).unwrap_or(&"unknown release")
    }

    /// ABI, floating-point mode and NaNs, for people.
    pub(super) fn mips_abi_name(&self) -> String {
        let name = match self.mips_abi() {
            MipsAbi::O32 => "o32",
            MipsAbi::N32 => "n32",
            MipsAbi::N64 => "n64",
            MipsAbi::Other(name) => name,
        };
        let nan = if self.mips_nan2008() { "NaN 2008" } else { "legacy NaN" };
        let float = FP_ABIS.get(usize::from(self.mips_fp_abi())).unwrap_or(&"unknown floating point");
        let mach = match (self.flags & MACH) >> 16 {
            0 => String::new(),
            number => format!(", processor {number:#x}"),
        };
        let ases: String = self.mips_ases().iter().map(|name| format!(", {name}")).collect();
        format!("{name}, {float}, {nan}{ases}{mach}")
    }

    /// Why it cannot be run, as far as the header tells.
    pub(super) fn mips_unsupported(&self) -> Option<String> {
        let flag = |bit| self.flags & bit != 0;
        match self.mips_abi() {
            MipsAbi::Other(name) => Some(format!("MIPS with {name}")),
            _ if flag(MICROMIPS) => Some("microMIPS".to_owned()),
            _ if flag(MIPS16) => Some("MIPS16".to_owned()),
            _ if flag(MDMX) => Some("MDMX".to_owned()),
            _ => None,
        }
    }
}
