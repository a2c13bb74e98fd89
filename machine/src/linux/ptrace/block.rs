//! What a traced thread shows of itself while it is stopped, and what its tracer tells it: 64-bit words in its memory,
//! which the tracer's emulator reads and writes from its own process.
#![forbid(unsafe_code)]

use crate::linux::abi::{GENERAL, TraceRegisters};
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg, RawInfo};
use std::sync::atomic::{AtomicU64, Ordering};

/// Indices of the words.
pub(super) mod word {
    /// What the stop is, see [`super::kind`].
    pub(in super::super) const KIND: usize = 0;
    /// The wait status without its lowest byte: a signal of the host's and an event.
    pub(in super::super) const CODE: usize = 1;
    /// `PTRACE_GETEVENTMSG`.
    pub(in super::super) const MESSAGE: usize = 2;
    /// Where guest memory starts in the host's, and its size.
    pub(in super::super) const BASE: usize = 3;
    pub(in super::super) const LIMIT: usize = 4;
    /// Is there a siginfo?
    pub(in super::super) const HAS_INFO: usize = 5;
    /// The signal mask.
    pub(in super::super) const MASK: usize = 6;
    /// The audit number of the ABI.
    pub(in super::super) const ARCH: usize = 7;
    /// The thread makes a child that is to be traced, now.
    pub(in super::super) const CLONING: usize = 8;

    /// The tracer has seen the stop. The words behind it are written with it.
    pub(in super::super) const SEEN: usize = 16;
    pub(in super::super) const ACTION: usize = 17;
    pub(in super::super) const SIGNAL: usize = 18;
    /// The tracer's process.
    pub(in super::super) const TRACER: usize = 19;
    pub(in super::super) const OPTIONS: usize = 20;
    /// Not 0: the tracer has changed the registers, the floating-point registers, the siginfo, the mask.
    pub(in super::super) const NEW_GENERAL: usize = 21;
    pub(in super::super) const NEW_FLOAT: usize = 22;
    pub(in super::super) const NEW_INFO: usize = 23;
    pub(in super::super) const NEW_MASK: usize = 24;
    /// `PTRACE_INTERRUPT` was said.
    pub(in super::super) const INTERRUPT: usize = 25;
    /// Code that the tracer has changed where nobody could tell the engine: first and last byte and one.
    pub(in super::super) const STALE: usize = 26;
    pub(in super::super) const STALE_END: usize = 27;

    /// What the stopped thread shall do for its tracer, and the answer's place and length.
    pub(in super::super) const REQUEST: usize = 28;
    pub(in super::super) const ARGUMENT: usize = 29;
    pub(in super::super) const LENGTH: usize = 30;

    /// `PTRACE_GET_SYSCALL_INFO`: which kind, number, six arguments or result and whether it is an error, pc, sp.
    pub(in super::super) const OP: usize = 32;
    pub(in super::super) const NUMBER: usize = 33;
    pub(in super::super) const ARGUMENTS: usize = 34;
    pub(in super::super) const RESULT: usize = 34;
    pub(in super::super) const IS_ERROR: usize = 35;
    pub(in super::super) const PC: usize = 40;
    pub(in super::super) const SP: usize = 41;

    pub(in super::super) const INFO: usize = 48;
    pub(in super::super) const GENERAL: usize = 64;
    pub(in super::super) const FLOAT: usize = GENERAL + super::GENERAL;
    pub(in super::super) const COUNT: usize = FLOAT + 33;
}

/// Values of [`word::KIND`].
pub(super) mod kind {
    /// The thread runs.
    pub(in super::super) const NONE: u64 = 0;
    /// It wants to be known by its tracer's emulator, and to go on.
    pub(in super::super) const HELLO: u64 = 1;
    /// A stop that the guest's tracer sees, at the breakpoint.
    pub(in super::super) const STOP: u64 = 2;
    /// The same, at the host's event of a vfork: the thread cannot do anything for its tracer.
    pub(in super::super) const EVENT: u64 = 3;
}

/// Values of [`word::REQUEST`].
pub(super) mod request {
    /// Forget the code of some memory.
    pub(in super::super) const INVALIDATE: u64 = 1;
    /// Make a file of `/proc/PID` that shows the guest; the argument is its place in `procfs`'s list.
    pub(in super::super) const FILE: u64 = 2;
}

/// The block of a thread.
#[derive(Debug)]
pub(super) struct Block {
    words: Box<[AtomicU64; word::COUNT]>,
}

impl Block {
    pub(super) fn new() -> Block {
        Block { words: Box::new(std::array::from_fn(|_| AtomicU64::new(0))) }
    }

    /// Where it is.
    pub(super) fn address(&self) -> u64 {
        self.words.as_ptr() as u64
    }

    pub(super) fn get(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::SeqCst)
    }

    pub(super) fn set(&self, word: usize, value: u64) {
        self.words[word].store(value, Ordering::SeqCst);
    }

    /// Reads a word and makes it 0.
    pub(super) fn take(&self, word: usize) -> u64 {
        self.words[word].swap(0, Ordering::SeqCst)
    }

    pub(super) fn set_all(&self, first: usize, values: &[u64]) {
        values.iter().enumerate().for_each(|(i, value)| self.set(first + i, *value));
    }

    pub(super) fn info(&self) -> RawInfo {
        RawInfo(info_bytes(|i| self.get(word::INFO + i)))
    }

    pub(super) fn set_info(&self, info: &RawInfo) {
        self.set_all(word::INFO, &info_words(info));
    }

    pub(super) fn registers(&self) -> TraceRegisters {
        TraceRegisters {
            general: std::array::from_fn(|i| self.get(word::GENERAL + i)),
            float: std::array::from_fn(|i| self.get(word::FLOAT + i)),
        }
    }

    pub(super) fn set_registers(&self, registers: &TraceRegisters) {
        self.set_all(word::GENERAL, &registers.general);
        self.set_all(word::FLOAT, &registers.float);
    }
}

fn info_bytes(word: impl Fn(usize) -> u64) -> [u8; 128] {
    let mut bytes = [0; 128];
    for (i, part) in bytes.chunks_exact_mut(8).enumerate() {
        part.copy_from_slice(&word(i).to_le_bytes());
    }
    bytes
}

/// A siginfo as words.
pub(super) fn info_words(info: &RawInfo) -> [u64; 16] {
    std::array::from_fn(|i| crate::linux::data::get(&info.0[8 * i..8 * i + 8], false))
}

/// A copy of the block of another process's thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot([u64; word::COUNT]);

impl Snapshot {
    /// Reads the block at `address` in `tid`'s process.
    pub(super) fn read(tid: i32, address: u64) -> Result<Snapshot, Errno> {
        let mut words = [0; word::COUNT];
        let local = [[words.as_mut_ptr() as u64, size_of_val(&words) as u64]];
        transfer(libc::SYS_process_vm_readv, tid, address, &local)?;
        Ok(Snapshot(words))
    }

    pub(super) fn get(&self, word: usize) -> u64 {
        self.0[word]
    }

    pub(super) fn info(&self) -> RawInfo {
        RawInfo(info_bytes(|i| self.get(word::INFO + i)))
    }

    pub(super) fn registers(&self) -> TraceRegisters {
        TraceRegisters {
            general: std::array::from_fn(|i| self.get(word::GENERAL + i)),
            float: std::array::from_fn(|i| self.get(word::FLOAT + i)),
        }
    }
}

/// Writes words of the block at `address` in `tid`'s process.
pub(super) fn write(tid: i32, address: u64, first: usize, values: &[u64]) -> Result<(), Errno> {
    let local = [[values.as_ptr() as u64, size_of_val(values) as u64]];
    transfer(libc::SYS_process_vm_writev, tid, address + 8 * first as u64, &local)
}

/// Copies bytes of `tid`'s process, all of them; `EFAULT` if some cannot be read.
pub(super) fn read_bytes(tid: i32, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
    if bytes.is_empty() {
        return Ok(());
    }
    let local = [[bytes.as_mut_ptr() as u64, bytes.len() as u64]];
    transfer(libc::SYS_process_vm_readv, tid, address, &local)
}

/// `local` is memory that the caller has borrowed, for writing if `number` reads.
fn transfer(number: i64, tid: i32, address: u64, local: &[[u64; 2]; 1]) -> Result<(), Errno> {
    let remote = [[address, local[0][1]]];
    let args = [tid.into(), Arg::slice(local), 1.into(), Arg::slice(&remote), 1.into(), 0.into()];
    let done = host::call(number, &args)?;
    if done == local[0][1] { Ok(()) } else { Err(Errno::EFAULT) }
}
