//! Loading a program: its segments, its interpreter, the initial stack, as the kernel's `binfmt_elf` does it.
#![forbid(unsafe_code)]

use crate::elf::{ElfError, Image, Kind, Machine, MipsAbi, Segment};
use crate::linux::stack::{self, StackImage};
use crate::mem::{Backing, Errno, Fixed, GuestMemory, MapRequest, PAGE_SIZE, Prot};
use emu_ir::Fault;
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// An open ELF file and what its headers say.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The file; it is mapped, so it may be closed afterwards.
    pub file: &'a File,
    /// Its headers.
    pub image: &'a Image,
}

/// What the kernel tells a program about itself and the machine (getauxval(3)).
#[derive(Clone, Debug)]
pub struct AuxInfo {
    /// AT_HWCAP. RISC-V: bit `n` is the extension with the letter `a + n`.
    pub hwcap: u64,
    /// AT_HWCAP2, for machines that have it (RISC-V has not).
    pub hwcap2: Option<u64>,
    /// AT_PLATFORM, for machines that have it (RISC-V has not).
    pub platform: Option<String>,
    /// AT_BASE_PLATFORM, for machines that have it (MIPS).
    pub base_platform: Option<&'static str>,
    /// AT_RANDOM's bytes.
    pub random: [u8; 16],
    /// AT_UID.
    pub uid: u32,
    /// AT_EUID.
    pub euid: u32,
    /// AT_GID.
    pub gid: u32,
    /// AT_EGID.
    pub egid: u32,
    /// AT_SECURE: set-user-ID and the like.
    pub secure: bool,
    /// AT_CLKTCK: ticks of times(2) in a second.
    pub clock_ticks: u64,
    /// AT_SYSINFO_EHDR: address of the vDSO (see [`crate::linux::vdso`]).
    pub vdso: Option<u64>,
    /// AT_MINSIGSTKSZ: bytes of the largest signal frame.
    pub min_signal_stack: Option<u64>,
    /// AT_RSEQ_FEATURE_SIZE and AT_RSEQ_ALIGN, if rseq(2) works.
    pub rseq: Option<(u64, u64)>,
}

impl Default for AuxInfo {
    /// User and group 0, 100 ticks, nothing else.
    fn default() -> AuxInfo {
        AuxInfo {
            hwcap: 0,
            hwcap2: None,
            platform: None,
            base_platform: None,
            random: [0; 16],
            uid: 0,
            euid: 0,
            gid: 0,
            egid: 0,
            secure: false,
            clock_ticks: 100,
            vdso: None,
            min_signal_stack: None,
            rseq: None,
        }
    }
}

/// What to load.
#[derive(Clone, Debug)]
pub struct LoadRequest<'a> {
    /// The program.
    pub program: Program<'a>,
    /// The file that the program's PT_INTERP names, if it has one.
    pub interpreter: Option<Program<'a>>,
    /// The arguments, without NULs.
    pub argv: &'a [Vec<u8>],
    /// The environment, without NULs.
    pub envp: &'a [Vec<u8>],
    /// AT_EXECFN: the path that was executed.
    pub exec_fn: &'a [u8],
    /// The rest of the auxiliary vector.
    pub aux: &'a AuxInfo,
    /// RLIMIT_STACK; the stack is mapped whole, lazily.
    pub stack_size: u64,
}

/// A loaded program, ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Address of the first instruction (the interpreter's, if there is one).
    pub pc: u64,
    /// The stack pointer.
    pub sp: u64,
    /// Address of the program's own first instruction (AT_ENTRY).
    pub program_entry: u64,
    /// How far the program was moved.
    pub load_bias: u64,
    /// Where the interpreter was moved to (AT_BASE; 0 without one).
    pub interp_base: u64,
    /// Address of the program headers (AT_PHDR).
    pub phdr_addr: u64,
    /// Where the heap begins.
    pub brk_start: u64,
    /// The program's segments, moved: from the first byte to the last.
    pub extent: Range<u64>,
    /// The stack mapping.
    pub stack: Range<u64>,
    /// The argument strings, for `/proc/PID/cmdline`.
    pub args: Range<u64>,
    /// The environment strings, for `/proc/PID/environ`.
    pub env: Range<u64>,
    /// The auxiliary vector as in memory, for `/proc/PID/auxv`.
    pub auxv: Vec<(u64, u64)>,
}

/// Why a program cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum LoadError {
    #[error(transparent)]
    Elf(#[from] ElfError),
    #[error("the arguments and the environment are too long")]
    TooBig,
    #[error("the program or its interpreter is for another machine than the one that is emulated")]
    WrongMachine,
    #[error("{what} cannot be mapped: {errno}")]
    Map { what: &'static str, errno: Errno },
    #[error("the memory of the program cannot be written: {0:?}")]
    Memory(Fault),
}

impl LoadError {
    /// What execve(2) answers.
    pub fn errno(&self) -> Errno {
        match self {
            LoadError::Elf(error) => error.errno(),
            LoadError::TooBig => Errno::E2BIG,
            LoadError::WrongMachine => Errno::ENOEXEC,
            LoadError::Map { errno, .. } => *errno,
            LoadError::Memory(_) => Errno::EFAULT,
        }
    }
}

impl From<Fault> for LoadError {
    fn from(fault: Fault) -> LoadError {
        LoadError::Memory(fault)
    }
}

/// The largest stack: what is left below the top before the base of mmap, less a gap.
const MAX_STACK: u64 = 96 << 20;
/// The smallest, which holds the strings that are always allowed.
const MIN_STACK: u64 = 256 << 10;

/// Loads a program into an empty address space.
///
/// # Errors
/// [`LoadError`]; the address space is then of no use.
pub fn load(mem: &GuestMemory, request: &LoadRequest<'_>) -> Result<Loaded, LoadError> {
    let image = request.program.image;
    let fits = |i: &Image| (i.class, i.endian, i.machine) == (image.class, image.endian, image.machine);
    let width = u64::from(mem.address_bits());
    // n32 of MIPS has 64-bit addresses, of which programs use 31 bits.
    let is_n32 = image.machine == Machine::Mips && image.mips_abi() == MipsAbi::N32 && width == 64;
    if image.class.word() * 8 != width && !is_n32 || !request.interpreter.is_none_or(|i| fits(i.image)) {
        return Err(LoadError::WrongMachine);
    }
    let stack = map_stack(mem, request)?;
    let load_bias = map_program(mem, &request.program, request.interpreter.is_some(), "the program")?;
    let extent = image.extent();
    let extent = extent.start.wrapping_add(load_bias)..extent.end.wrapping_add(load_bias);
    // A static position-independent program lies among the mappings: the kernel gives its heap a place of its own.
    let alone = image.kind == Kind::Dyn && request.interpreter.is_none();
    let brk_start = if alone { dyn_base(mem) } else { extent.end }.next_multiple_of(PAGE_SIZE);
    mem.set_brk_start(brk_start);
    let program_entry = image.entry.wrapping_add(load_bias);
    let (mut pc, mut interp_base) = (program_entry, 0);
    if let Some(interpreter) = &request.interpreter {
        interp_base = map_program(mem, interpreter, false, "the program interpreter")?;
        pc = interpreter.image.entry.wrapping_add(interp_base);
    }
    let phdr_addr = image.phdrs.addr.map_or(0, |addr| addr.wrapping_add(load_bias));
    let addresses = stack::Addresses { phdr: phdr_addr, base: interp_base, entry: program_entry };
    let StackImage { sp, args, env, auxv } = stack::build(mem, request, &stack, &addresses)?;
    Ok(Loaded { pc, sp, program_entry, load_bias, interp_base, phdr_addr, brk_start, extent, stack, args, env, auxv })
}

/// Where the kernel puts a program that can go anywhere (ELF_ET_DYN_BASE): at two thirds of the address space.
fn dyn_base(mem: &GuestMemory) -> u64 {
    mem.task_size() / 3 * 2 / PAGE_SIZE * PAGE_SIZE
}

fn map(mem: &GuestMemory, what: &'static str, request: &MapRequest) -> Result<u64, LoadError> {
    mem.mmap(request).map_err(|errno| LoadError::Map { what, errno })
}

/// Maps the whole stack at the top of the address space; below it nothing is mapped.
fn map_stack(mem: &GuestMemory, request: &LoadRequest<'_>) -> Result<Range<u64>, LoadError> {
    let image = request.program.image;
    // Without PT_GNU_STACK MIPS has an executable stack and RISC-V has not.
    let executable = image.exec_stack.unwrap_or(image.machine == Machine::Mips);
    let top = mem.task_size() / PAGE_SIZE * PAGE_SIZE;
    let size = request.stack_size.clamp(MIN_STACK, MAX_STACK).next_multiple_of(PAGE_SIZE);
    let stack = MapRequest {
        addr_hint: top - size,
        len: size,
        prot: if executable { Prot::RWX } else { Prot::RW },
        fixed: Fixed::NoReplace,
        grows_down: true,
        noreserve: true,
        name: Some("[stack]"),
        ..MapRequest::default()
    };
    map(mem, "the stack", &stack)?;
    Ok(top - size..top)
}

/// Maps a program's segments and returns how far they were moved.
fn map_program(
    mem: &GuestMemory,
    program: &Program<'_>,
    interpreted: bool,
    what: &'static str,
) -> Result<u64, LoadError> {
    let extent = program.image.extent();
    let place = reserve(mem, program.image, interpreted, what)?;
    let bias = place.wrapping_sub(extent.start);
    for segment in &program.image.segments {
        map_segment(mem, program.file, segment, bias, what)?;
    }
    Ok(bias)
}

/// Finds a place for a program's segments together, and leaves it free.
fn reserve(mem: &GuestMemory, image: &Image, interpreted: bool, what: &'static str) -> Result<u64, LoadError> {
    let extent = image.extent();
    let (len, align) = (extent.end - extent.start, image.max_align());
    let aligned = |addr: u64| addr & !(align - 1);
    let fixed = match image.kind {
        Kind::Exec => Some(extent.start),
        Kind::Dyn if interpreted => Some(aligned(dyn_base(mem))),
        Kind::Dyn => None,
    };
    let slack = if fixed.is_some() { 0 } else { align - PAGE_SIZE };
    let request = MapRequest {
        addr_hint: fixed.unwrap_or(0),
        len: len.checked_add(slack).ok_or(LoadError::Map { what, errno: Errno::ENOMEM })?,
        fixed: if fixed.is_some() { Fixed::NoReplace } else { Fixed::No },
        noreserve: true,
        ..MapRequest::default()
    };
    let addr = map(mem, what, &request)?;
    mem.munmap(addr, request.len).map_err(|errno| LoadError::Map { what, errno })?;
    Ok(fixed.unwrap_or(aligned(addr + slack)))
}

/// Maps a segment: its file's pages, zeros in the rest of the last one, and fresh pages.
fn map_segment(
    mem: &GuestMemory,
    file: &File,
    segment: &Segment,
    bias: u64,
    what: &'static str,
) -> Result<(), LoadError> {
    let start = segment.addr.wrapping_add(bias);
    let (in_page, file_end, end) = (start % PAGE_SIZE, start + segment.file_size, start + segment.mem_size);
    let page = start - in_page;
    let fixed = MapRequest { prot: segment.prot, fixed: Fixed::Replace, ..MapRequest::default() };
    let mut fresh = page..end;
    if segment.file_size > 0 {
        let backing = Backing::File { fd: file.as_raw_fd(), offset: segment.offset - in_page };
        map(mem, what, &MapRequest { addr_hint: page, len: file_end - page, backing, ..fixed.clone() })?;
        fresh.start = file_end.next_multiple_of(PAGE_SIZE);
        // A segment that may not be written keeps what the file has there, as under Linux.
        if end > file_end && segment.prot.contains(Prot::WRITE) {
            mem.write_bytes(file_end, &vec![0; (fresh.start - file_end) as usize])?;
        }
    } else if mem.prot_at(page).is_some() {
        // The page is the end of the segment before.
        fresh.start = page + PAGE_SIZE;
    }
    if fresh.start < fresh.end {
        // The kernel maps these writable in any case.
        let prot = segment.prot.with(Prot::RW);
        map(mem, what, &MapRequest { addr_hint: fresh.start, len: fresh.end - fresh.start, prot, ..fixed })?;
    }
    Ok(())
}
