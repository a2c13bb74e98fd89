//! The initial stack of a program: strings, vectors, auxiliary vector, in the kernel's layout.
//!
//! From the top down: a zero word, the path that was executed, the environment's strings, the arguments' strings, the
//! platform's name, 16 random bytes; then, from the 16-byte aligned stack pointer up: `argc`, `argv`, 0, `envp`, 0,
//! the auxiliary vector.
#![forbid(unsafe_code)]

use super::image::{AuxInfo, LoadError, LoadRequest};
use crate::elf::{Class, Endian, Image};
use crate::mem::{GuestMemory, PAGE_SIZE};
use std::ops::Range;

/// The longest string (MAX_ARG_STRLEN), with its NUL.
const MAX_STRING: u64 = 32 * PAGE_SIZE;
/// What is always allowed for strings and pointers together, and what never is.
const STRINGS: Range<u64> = 128 << 10..6 << 20;

/// Addresses that the auxiliary vector tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    /// AT_PHDR.
    pub(super) phdr: u64,
    /// AT_BASE.
    pub(super) base: u64,
    /// AT_ENTRY.
    pub(super) entry: u64,
}

/// What was built.
pub(super) struct StackImage {
    /// The stack pointer.
    pub(super) sp: u64,
    /// The argument strings.
    pub(super) args: Range<u64>,
    /// The environment strings.
    pub(super) env: Range<u64>,
    /// The auxiliary vector.
    pub(super) auxv: Vec<(u64, u64)>,
}

/// Writes the initial stack at the top of `stack`.
pub(super) fn build(
    mem: &GuestMemory,
    request: &LoadRequest<'_>,
    stack: &Range<u64>,
    addresses: &Addresses,
) -> Result<StackImage, LoadError> {
    let image = request.program.image;
    // Since Linux 5.18 there is always one argument.
    let empty = [Vec::new()];
    let argv = if request.argv.is_empty() { &empty } else { request.argv };
    check_size(request, argv, stack)?;

    let mut top = Top { mem, at: stack.end - image.class.word() };
    let exec_fn = top.string(request.exec_fn)?;
    let (envp, env) = top.strings(request.envp)?;
    let (argv, args) = top.strings(argv)?;
    top.at &= !15;
    let platform = request.aux.platform.as_ref().map(|name| top.string(name.as_bytes())).transpose()?;
    let base_platform = request.aux.base_platform.map(|name| top.string(name.as_bytes())).transpose()?;
    let random = top.push(&request.aux.random)?;

    let texts = Texts { exec_fn, platform, base_platform, random };
    let auxv = auxv(request, addresses, &texts);
    let flat = auxv.iter().flat_map(|(tag, value)| [*tag, *value]);
    let mut words = vec![argv.len() as u64];
    words.extend(argv.iter().chain(&[0]).chain(&envp).chain(&[0]).copied().chain(flat));
    let bytes = encode(&words, image.class, image.endian);
    let sp = (top.at - bytes.len() as u64) & !15;
    mem.write_bytes(sp, &bytes)?;
    Ok(StackImage { sp, args, env, auxv })
}

/// The kernel's limits: a quarter of the stack, between [`STRINGS`], for strings and pointers.
fn check_size(request: &LoadRequest<'_>, argv: &[Vec<u8>], stack: &Range<u64>) -> Result<(), LoadError> {
    let limit = ((stack.end - stack.start) / 4).clamp(STRINGS.start, STRINGS.end);
    let word = request.program.image.class.word();
    let strings = || argv.iter().chain(request.envp).map(|s| s.len() as u64 + 1);
    let total: u64 = strings().map(|len| len + word).sum::<u64>() + request.exec_fn.len() as u64 + 1;
    if total > limit || strings().any(|len| len > MAX_STRING) { Err(LoadError::TooBig) } else { Ok(()) }
}

/// The growing end of a stack.
struct Top<'a> {
    mem: &'a GuestMemory,
    at: u64,
}

impl Top<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<u64, LoadError> {
        self.at -= bytes.len() as u64;
        self.mem.write_bytes(self.at, bytes)?;
        Ok(self.at)
    }

    /// Pushes a string, which ends at its first NUL if it has one.
    fn string(&mut self, text: &[u8]) -> Result<u64, LoadError> {
        self.push(&terminated(text))
    }

    /// Pushes strings so that the first is lowest; returns their addresses and the range of all.
    fn strings(&mut self, texts: &[Vec<u8>]) -> Result<(Vec<u64>, Range<u64>), LoadError> {
        let all: Vec<Vec<u8>> = texts.iter().map(|text| terminated(text)).collect();
        let end = self.at;
        let start = self.push(&all.concat())?;
        let addresses = all.iter().scan(start, |at, text| {
            let this = *at;
            *at += text.len() as u64;
            Some(this)
        });
        Ok((addresses.collect(), start..end))
    }
}

fn terminated(text: &[u8]) -> Vec<u8> {
    text.iter().copied().take_while(|b| *b != 0).chain([0]).collect()
}

/// Addresses of strings that the auxiliary vector names.
struct Texts {
    exec_fn: u64,
    platform: Option<u64>,
    base_platform: Option<u64>,
    random: u64,
}

/// The auxiliary vector, in the kernel's order.
fn auxv(request: &LoadRequest<'_>, addresses: &Addresses, texts: &Texts) -> Vec<(u64, u64)> {
    let AuxInfo { uid, euid, gid, egid, .. } = *request.aux;
    let (aux, phdrs) = (request.aux, request.program.image.phdrs);
    let always = |tag, value| (tag, Some(value));
    let entries = [
        (libc::AT_SYSINFO_EHDR, aux.vdso),
        (AT_MINSIGSTKSZ, aux.min_signal_stack),
        always(libc::AT_HWCAP, aux.hwcap),
        always(libc::AT_PAGESZ, PAGE_SIZE),
        always(libc::AT_CLKTCK, aux.clock_ticks),
        always(libc::AT_PHDR, addresses.phdr),
        always(libc::AT_PHENT, phdrs.entry_size.into()),
        always(libc::AT_PHNUM, phdrs.count.into()),
        always(libc::AT_BASE, addresses.base),
        always(libc::AT_FLAGS, 0),
        always(libc::AT_ENTRY, addresses.entry),
        always(libc::AT_UID, uid.into()),
        always(libc::AT_EUID, euid.into()),
        always(libc::AT_GID, gid.into()),
        always(libc::AT_EGID, egid.into()),
        always(libc::AT_SECURE, aux.secure.into()),
        always(libc::AT_RANDOM, texts.random),
        (libc::AT_HWCAP2, aux.hwcap2),
        always(libc::AT_EXECFN, texts.exec_fn),
        (libc::AT_PLATFORM, texts.platform),
        (libc::AT_BASE_PLATFORM, texts.base_platform),
        (AT_RSEQ_FEATURE_SIZE, aux.rseq.map(|r| r.0)),
        (AT_RSEQ_ALIGN, aux.rseq.map(|r| r.1)),
        always(libc::AT_NULL, 0),
    ];
    entries.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
}

const AT_RSEQ_FEATURE_SIZE: u64 = 27;
const AT_RSEQ_ALIGN: u64 = 28;
const AT_MINSIGSTKSZ: u64 = 51;

/// The auxiliary vector's bytes, as in memory.
pub(crate) fn auxv_bytes(auxv: &[(u64, u64)], image: &Image) -> Vec<u8> {
    let words: Vec<u64> = auxv.iter().flat_map(|(tag, value)| [*tag, *value]).collect();
    encode(&words, image.class, image.endian)
}

/// Words as the guest has them in memory.
fn encode(words: &[u64], class: Class, endian: Endian) -> Vec<u8> {
    let bytes = |word: &u64| match (class, endian) {
        (Class::Elf64, Endian::Little) => word.to_le_bytes().to_vec(),
        (Class::Elf64, Endian::Big) => word.to_be_bytes().to_vec(),
        (Class::Elf32, Endian::Little) => (*word as u32).to_le_bytes().to_vec(),
        (Class::Elf32, Endian::Big) => (*word as u32).to_be_bytes().to_vec(),
    };
    words.iter().flat_map(bytes).collect()
}
