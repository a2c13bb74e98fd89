//! Structures that MIPS Linux has in a layout of its own (`arch/mips/include/uapi/asm`).

use super::{Kind, Mips};
use crate::linux::abi::Abi;
use crate::linux::data::Writer;
use crate::linux::termios::Termios;
use crate::linux::vdso;
use emu_frontend_mips::{Config, FrMode, Release};
use std::fmt::Write;

/// `struct termios` of `asm/termbits.h`: other places of the control characters, of which there are 23.
pub(super) const TERMIOS: Termios = Termios {
    chars: 23,
    // VEOF, VTIME, VMIN at 4 to 6, VEOL at 11, VEOL2 at 16 on the host. What is behind them has no meaning.
    places: [0, 1, 2, 3, 16, 5, 4, 7, 8, 9, 10, 17, 12, 13, 14, 15, 6, 18, 19],
    // IEXTEN, TOSTOP, FLUSHO.
    local: &[(0o100_000, 0o400), (0o400, 0o100_000), (0o10_000, 0o20_000)],
};

/// Seconds and nanoseconds of the three times.
fn times(s: &libc::stat) -> [(i64, i64); 3] {
    [(s.st_atime, s.st_atime_nsec), (s.st_mtime, s.st_mtime_nsec), (s.st_ctime, s.st_ctime_nsec)]
}

/// `struct stat64` of o32, which is `struct stat` of the others.
pub(super) fn stat(abi: &Mips, s: &libc::stat) -> Vec<u8> {
    let mut w = Writer::new(abi.layout());
    w.u32(s.st_dev as u32).u32s(&[0; 3]).u64(s.st_ino);
    w.u32(s.st_mode).u32(s.st_nlink as u32).u32(s.st_uid).u32(s.st_gid);
    w.u32(s.st_rdev as u32).u32s(&[0; 3]).i64(s.st_size);
    for (seconds, nanos) in times(s) {
        w.u32(seconds as u32).u32(nanos as u32);
    }
    w.u32(s.st_blksize as u32).u32(0).i64(s.st_blocks).finish()
}

/// `struct stat` of o32; `None` if a number does not fit.
pub(super) fn old_stat(abi: &Mips, s: &libc::stat) -> Option<Vec<u8>> {
    let (size, inode) = (i32::try_from(s.st_size).ok()?, u32::try_from(s.st_ino).ok()?);
    let blocks = i32::try_from(s.st_blocks).ok()?;
    let mut w = Writer::new(abi.layout());
    w.u32(s.st_dev as u32).u32s(&[0; 3]).u32(inode);
    w.u32(s.st_mode).u32(s.st_nlink as u32).u32(s.st_uid).u32(s.st_gid);
    w.u32(s.st_rdev as u32).u32s(&[0; 2]).i32(size).u32(0);
    for (seconds, nanos) in times(s) {
        w.u32(seconds as u32).u32(nanos as u32);
    }
    Some(w.u32(s.st_blksize as u32).i32(blocks).u32s(&[0; 14]).finish())
}

/// `struct statfs`, or `statfs64` (`wide`), from the host's words: type, block size, blocks, free, available, files, free files,
/// file system (two ints), longest name, fragment size, flags.
pub(super) fn statfs(abi: &Mips, s: &[u64; 15], wide: bool) -> Vec<u8> {
    let mut w = Writer::new(abi.layout());
    let [kind, block, blocks, free, available, files, files_free, id, name, fragment, flags, ..] = *s;
    let counts = [blocks, free, files, files_free, available];
    if wide && abi.kind != Kind::N64 {
        w.u32s(&[kind, block, fragment].map(|n| n as u32)).u32(0);
        counts.iter().fold(&mut w, |w, count| w.u64(*count));
        w.u32(id as u32).u32((id >> 32) as u32).u32(name as u32).u32(flags as u32).u32s(&[0; 5]);
    } else {
        w.longs(&[kind, block, fragment]).longs(&counts);
        w.u32(id as u32).u32((id >> 32) as u32).longs(&[name, flags]).longs(&[0; 5]);
    }
    w.align(if wide { 8 } else { abi.layout().long }).finish()
}

/// `e_flags` of a vDSO.
pub(super) fn elf_flags(kind: Kind, config: &Config) -> u32 {
    const CPIC_PIC: u32 = 6;
    const ABI2: u32 = 0x20;
    const ABI_O32: u32 = 0x1000;
    const NAN2008: u32 = 0x400;
    const ARCHES: [(Release, u32); 14] = [
        (Release::Mips1, 0),
        (Release::Mips2, 1),
        (Release::Mips3, 2),
        (Release::Mips4, 3),
        (Release::Mips32R1, 5),
        (Release::Mips32R2, 7),
        (Release::Mips32R3, 7),
        (Release::Mips32R5, 7),
        (Release::Mips32R6, 9),
        (Release::Mips64R1, 6),
        (Release::Mips64R2, 8),
        (Release::Mips64R3, 8),
        (Release::Mips64R5, 8),
        (Release::Mips64R6, 10),
    ];
    let arch = ARCHES.iter().find(|(release, _)| *release == config.release).map_or(0, |(_, arch)| *arch);
    let abi = match kind {
        Kind::O32 => ABI_O32,
        Kind::N32 => ABI2,
        Kind::N64 => 0,
    };
    arch << 28 | abi | CPIC_PIC | if config.nan2008 { NAN2008 } else { 0 }
}

/// `.MIPS.abiflags` of a vDSO: version, ISA level and revision, sizes of the registers, and a floating-point ABI that goes with any.
pub(super) fn abiflags(config: &Config) -> [u8; vdso::ABIFLAGS] {
    use Release::*;
    let (level, revision) = match config.release {
        Mips1 => (1, 0),
        Mips2 => (2, 0),
        Mips3 => (3, 0),
        Mips4 => (4, 0),
        Mips32R1 => (32, 1),
        Mips32R2 => (32, 2),
        Mips32R3 => (32, 3),
        Mips32R5 => (32, 5),
        Mips32R6 => (32, 6),
        Mips64R1 => (64, 1),
        Mips64R2 => (64, 2),
        Mips64R3 => (64, 3),
        Mips64R5 => (64, 5),
        Mips64R6 => (64, 6),
    };
    let mut flags = [0; vdso::ABIFLAGS];
    (flags[2], flags[3], flags[4]) = (level, revision, config.bits() as u8 / 32);
    flags
}

/// The releases that a processor has, as `/proc/cpuinfo` names them.
fn isas(release: Release) -> &'static str {
    use Release::*;
    match release {
        Mips1 => "mips1",
        Mips2 => "mips1 mips2",
        Mips3 => "mips1 mips2 mips3",
        Mips4 => "mips1 mips2 mips3 mips4",
        Mips32R1 => "mips1 mips2 mips32r1",
        Mips32R2 | Mips32R3 => "mips1 mips2 mips32r1 mips32r2",
        Mips32R5 => "mips1 mips2 mips32r1 mips32r2 mips32r5",
        Mips32R6 => "mips32r6",
        Mips64R1 => "mips1 mips2 mips3 mips4 mips5 mips32r1 mips64r1",
        Mips64R2 | Mips64R3 => "mips1 mips2 mips3 mips4 mips5 mips32r1 mips32r2 mips64r1 mips64r2",
        Mips64R5 => "mips1 mips2 mips3 mips4 mips5 mips32r1 mips32r2 mips32r5 mips64r1 mips64r2 mips64r5",
        Mips64R6 => "mips32r6 mips64r6",
    }
}

/// `/proc/cpuinfo`, as `arch/mips/kernel/proc.c` writes it.
pub(super) fn cpuinfo(config: &Config, isa: &str, count: usize) -> String {
    let fpu64 = config.fr != FrMode::Pairs || config.release >= Release::Mips32R2;
    let mut text = String::from("system type\t\t: emu\n");
    for n in 0..count {
        let _ = write!(
            text,
            "machine\t\t\t: emu\nprocessor\t\t: {n}\ncpu model\t\t: {isa}\nBogoMIPS\t\t: 1000.00\nwait instruction\t: yes\n\
             microsecond timers\t: yes\ntlb_entries\t\t: 64\nextra interrupt vector\t: yes\n\
             hardware watchpoint\t: no\nisa\t\t\t: {}\nASEs implemented\t:\nOptions implemented\t: tlb 4kex fpu{} ejtag llsc\n\
             shadow register sets\t: 1\nkscratch registers\t: 0\npackage\t\t\t: 0\ncore\t\t\t: {n}\n\
             VCED exceptions\t\t: not available\nVCEI exceptions\t\t: not available\n\n",
            isas(config.release),
            if fpu64 { " 32fpr" } else { "" },
        );
    }
    text
}
