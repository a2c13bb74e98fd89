//! What the kernel has to know to start guests' programs by `emu` (binfmt_misc), and how it starts `emu` then.

use emu_machine::linux::host;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A kind of programs: what their ELF headers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// The name of the entry, after `emu-`.
    pub(crate) name: &'static str,
    bits: u8,
    big: bool,
    machine: u16,
    /// EF_MIPS_ABI2, if the header's flags tell ABIs apart: n32 has it, o32 has not.
    abi2: Option<bool>,
}

const RISCV: u16 = 243;
const MIPS: u16 = 8;

const fn guest(name: &'static str, bits: u8, big: bool, machine: u16, abi2: Option<bool>) -> Guest {
    Guest { name, bits, big, machine, abi2 }
}

/// All guests.
pub(crate) const GUESTS: [Guest; 8] = [
    guest("riscv64", 64, false, RISCV, None),
    guest("riscv32", 32, false, RISCV, None),
    guest("mips", 32, true, MIPS, Some(false)),
    guest("mipsel", 32, false, MIPS, Some(false)),
    guest("mipsn32", 32, true, MIPS, Some(true)),
    guest("mipsn32el", 32, false, MIPS, Some(true)),
    guest("mips64", 64, true, MIPS, None),
    guest("mips64el", 64, false, MIPS, None),
];

/// Bytes of an ELF header with the bits of them that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Magic {
    pub(crate) value: Vec<u8>,
    pub(crate) mask: Vec<u8>,
}

impl Magic {
    /// Sets a number of `N` bytes at an offset.
    fn put(&mut self, at: usize, value: u32, mask: u32, bytes: usize, big: bool) {
        let end = self.value.len().max(at + bytes);
        self.value.resize(end, 0);
        self.mask.resize(end, 0);
        for i in 0..bytes {
            let shift = 8 * if big { bytes - 1 - i } else { i };
            (self.value[at + i], self.mask[at + i]) = ((value >> shift) as u8, (mask >> shift) as u8);
        }
    }

    /// As binfmt_misc reads them.
    fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
    }
}

impl Guest {
    /// What its programs' headers begin with.
    pub(crate) fn magic(&self) -> Magic {
        /// 0, 3 (GNU/Linux), and two that nobody uses: a mask cannot tell them apart.
        const OS_ABIS: u32 = 0xfc;
        /// ET_EXEC and ET_DYN.
        const PROGRAM: (u32, u32) = (2, 0xfffe);
        const ABI2: u32 = 0x20;
        let mut magic = Magic::default();
        magic.put(0, 0x7f45_4c46, u32::MAX, 4, true);
        let (class, data) = (u32::from(self.bits) / 32, if self.big { 2 } else { 1 });
        magic.put(4, class << 16 | data << 8 | 1, 0xff_ffff, 3, true);
        magic.put(7, 0, OS_ABIS, 1, true);
        magic.put(16, PROGRAM.0, PROGRAM.1, 2, self.big);
        magic.put(18, self.machine.into(), 0xffff, 2, self.big);
        if let Some(abi2) = self.abi2 {
            let at = if self.bits == 64 { 48 } else { 36 };
            magic.put(at, if abi2 { ABI2 } else { 0 }, ABI2, 4, self.big);
        }
        magic
    }

    /// The entry's name.
    pub(crate) fn entry(&self) -> String {
        format!("emu-{}", self.name)
    }

    /// The line for `/proc/sys/fs/binfmt_misc/register`, which is also that of a file in `/etc/binfmt.d`.
    pub(crate) fn line(&self, interpreter: &Path, credentials: bool) -> Vec<u8> {
        let magic = self.magic();
        let (value, mask) = (Magic::text(&magic.value), Magic::text(&magic.mask));
        let flags = if credentials { "POCF" } else { "POF" };
        let mut line = format!(":{}:M::{value}:{mask}:", self.entry()).into_bytes();
        line.extend_from_slice(interpreter.as_os_str().as_bytes());
        line.extend_from_slice(format!(":{flags}\n").as_bytes());
        line
    }
}

/// How the kernel has started `emu` to run a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelStart {
    /// The program, as it was executed.
    pub(crate) program: PathBuf,
    /// Its first argument, if the kernel has kept it.
    pub(crate) argv0: Option<OsString>,
    /// The others.
    pub(crate) args: Vec<OsString>,
    /// A descriptor with the program (flags O and C).
    pub(crate) binary: Option<i32>,
    /// The program has more rights than who started it (flag C): the environment must not direct the emulator.
    pub(crate) secure: bool,
}

/// What the kernel tells in the auxiliary vector.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// AT_FLAGS.
    flags: u64,
    /// AT_EXECFD.
    binary: Option<u64>,
    /// AT_SECURE.
    secure: bool,
}

impl Told {
    /// This process's.
    pub(crate) fn read() -> Told {
        Told {
            flags: host::auxiliary(libc::AT_FLAGS).unwrap_or(0),
            binary: host::auxiliary(libc::AT_EXECFD),
            secure: host::auxiliary(libc::AT_SECURE).unwrap_or(0) != 0,
        }
    }
}

/// Has the kernel started this process as the interpreter of a program? Then the arguments are the program and, with flag P, its first
/// argument, and the others.
///
/// It says so by a bit of AT_FLAGS (since Linux 5.12, with flag P), or by AT_EXECFD (flags O and C); else the emulator's own name does: it
/// ends in `binfmt`, or in `binfmt-P` if the entry has flag P.
pub(crate) fn kernel_start(args: &[OsString], told: Told) -> Option<KernelStart> {
    /// AT_FLAGS_PRESERVE_ARGV0.
    const PRESERVED: u64 = 1;
    let name = Path::new(args.first()?).file_name().unwrap_or_default().as_bytes();
    let preserved = told.flags & PRESERVED != 0 || name.ends_with(b"binfmt-P");
    if !preserved && told.binary.is_none() && !name.ends_with(b"binfmt") {
        return None;
    }
    let (program, rest) = args[1..].split_first()?;
    let (argv0, rest) = match rest.split_first() {
        Some((argv0, rest)) if preserved => (Some(argv0.clone()), rest),
        _ => (None, rest),
    };
    Some(KernelStart {
        program: program.into(),
        argv0,
        args: rest.to_vec(),
        binary: told.binary.and_then(|fd| i32::try_from(fd).ok()),
        secure: told.secure,
    })
}

/// The guests of these names; all of them if there are none.
pub(crate) fn named(names: &[String]) -> Result<Vec<Guest>, String> {
    if names.is_empty() {
        return Ok(GUESTS.to_vec());
    }
    let find = |name: &String| {
        let found = GUESTS.iter().find(|guest| guest.name == name || guest.entry() == *name);
        found.copied().ok_or_else(|| {
            let all: Vec<&str> = GUESTS.iter().map(|guest| guest.name).collect();
            format!("\"{name}\" is none of {}", all.join(", "))
        })
    };
    names.iter().map(find).collect()
}

/// Can binfmt_misc be told of this path?
pub(crate) fn is_tellable(path: &OsStr) -> bool {
    !path.as_bytes().iter().any(|b| b":\n".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(guest: &Guest, header: &[u8]) -> bool {
        let Magic { value, mask } = guest.magic();
        value.len() <= header.len() && (0..value.len()).all(|i| header[i] & mask[i] == value[i])
    }

    /// The names of the guests that take a header.
    fn takers(header: &[u8]) -> Vec<&'static str> {
        GUESTS.iter().filter(|guest| matches(guest, header)).map(|guest| guest.name).collect()
    }

    fn header(class: u8, data: u8, machine: u16, kind: u16, flags: u32) -> Vec<u8> {
        let mut header = vec![0x7f, b'E', b'L', b'F', class, data, 1];
        header.resize(64, 0);
        let order = |bytes: &mut [u8]| {
            if data == 2 {
                bytes.reverse();
            }
        };
        for (at, value) in [(16, kind), (18, machine)] {
            header[at..at + 2].copy_from_slice(&value.to_le_bytes());
            order(&mut header[at..at + 2]);
        }
        let at = if class == 2 { 48 } else { 36 };
        header[at..at + 4].copy_from_slice(&flags.to_le_bytes());
        order(&mut header[at..at + 4]);
        header
    }

    #[test]
    fn each_program_has_one_guest() {
        for kind in [2, 3] {
            assert_eq!(takers(&header(2, 1, RISCV, kind, 5)), ["riscv64"]);
            assert_eq!(takers(&header(1, 1, RISCV, kind, 5)), ["riscv32"]);
            assert_eq!(takers(&header(1, 2, MIPS, kind, 0x7000_1007)), ["mips"]);
            assert_eq!(takers(&header(1, 1, MIPS, kind, 0x9000_1407)), ["mipsel"]);
            assert_eq!(takers(&header(1, 2, MIPS, kind, 0x8000_0027)), ["mipsn32"]);
            assert_eq!(takers(&header(1, 1, MIPS, kind, 0x8000_0027)), ["mipsn32el"]);
            assert_eq!(takers(&header(2, 2, MIPS, kind, 0x8000_0007)), ["mips64"]);
            assert_eq!(takers(&header(2, 1, MIPS, kind, 0x8000_0007)), ["mips64el"]);
        }
        assert!(takers(&header(2, 1, 62, 2, 0)).is_empty(), "the host's");
        assert!(takers(&header(2, 1, RISCV, 1, 0)).is_empty(), "an object");
        assert!(takers(&header(2, 2, RISCV, 2, 0)).is_empty(), "big-endian RISC-V");
        let mut gnu = header(2, 1, RISCV, 3, 5);
        gnu[7] = 3;
        gnu[8] = 1;
        assert_eq!(takers(&gnu), ["riscv64"]);
    }

    #[test]
    fn lines_are_the_kernels() {
        let line = String::from_utf8(GUESTS[0].line(Path::new("/usr/bin/emu"), false)).unwrap();
        let columns: Vec<&str> = line.trim_end().split(':').collect();
        assert_eq!(
            [columns[1], columns[2], columns[3], columns[6], columns[7]],
            ["emu-riscv64", "M", "", "/usr/bin/emu", "POF"]
        );
        assert_eq!(columns[4].len(), columns[5].len());
        assert!(columns[4].starts_with("\\x7f\\x45\\x4c\\x46\\x02\\x01\\x01\\x00"), "{line}");
        // MAX_REGISTER_LENGTH.
        assert!(GUESTS.iter().all(|guest| guest.line(Path::new("/usr/local/bin/emu"), true).len() < 1920));
    }

    #[test]
    fn starts_by_the_kernel_are_known() {
        let args = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        let start = |list: &[&str], flags, binary| kernel_start(&args(list), Told { flags, binary, secure: false });
        let preserved = start(&["/usr/bin/emu", "./x", "-sh", "run"], 1, Some(3)).unwrap();
        assert_eq!(
            (preserved.program, preserved.argv0, preserved.args),
            ("./x".into(), Some("-sh".into()), args(&["run"]))
        );
        assert_eq!(preserved.binary, Some(3));
        let plain = start(&["/usr/bin/emu", "./x", "run"], 0, Some(0)).unwrap();
        assert_eq!(
            (plain.program, plain.argv0, plain.args, plain.binary),
            ("./x".into(), None, args(&["run"]), Some(0))
        );
        let empty = start(&["emu", "./x"], 1, None).unwrap();
        assert_eq!((empty.argv0, empty.args.len()), (None, 0));
        assert!(start(&["/usr/lib/emu-binfmt", "./x", "a"], 0, None).is_some_and(|s| s.argv0.is_none()));
        assert!(start(&["/usr/lib/emu-binfmt-P", "./x", "a"], 0, None).is_some_and(|s| s.argv0 == Some("a".into())));
        assert_eq!(start(&["emu", "run", "./x"], 0, None), None);
        assert_eq!(start(&["emu"], 1, None), None);
        assert_eq!(start(&[], 1, None), None);
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(named(&["mips".into(), "emu-riscv64".into()]).unwrap().len(), 2);
        assert_eq!(named(&[]).unwrap().len(), 8);
        assert!(named(&["sparc".into()]).unwrap_err().contains("mipsn32el"));
    }
}
