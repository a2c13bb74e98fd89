//! Guest memory as engines and decoders see it.
#![forbid(unsafe_code)]

use super::{GuestMemory, PAGE_SIZE, Prot};
use emu_ir::{AccessKind, AtomicOp, Counter, Env, Fault, Fetch};
use std::sync::Arc;
use std::time::Instant;

/// Ticks of the `time` counter in a second.
pub const TIME_FREQUENCY: u64 = 10_000_000;

/// What an engine needs in user mode.
#[derive(Clone, Debug)]
pub struct UserEnv {
    mem: Arc<GuestMemory>,
    start: Instant,
}

impl UserEnv {
    /// An environment over `mem`; its counters begin at 0.
    pub fn new(mem: Arc<GuestMemory>) -> UserEnv {
        UserEnv { mem, start: Instant::now() }
    }

    /// The memory.
    pub fn memory(&self) -> &Arc<GuestMemory> {
        &self.mem
    }
}

impl Env for UserEnv {
    #[inline(always)]
    fn load(&mut self, addr: u64, bytes: u8) -> Result<u64, Fault> {
        self.mem.load(addr, bytes)
    }

    #[inline(always)]
    fn store(&mut self, addr: u64, bytes: u8, value: u64) -> Result<(), Fault> {
        self.mem.store(addr, bytes, value)
    }

    fn atomic_rmw(&mut self, op: AtomicOp, addr: u64, bytes: u8, value: u64) -> Result<u64, Fault> {
        self.mem.atomic_rmw(op, addr, bytes, value)
    }

    fn atomic_cas(&mut self, addr: u64, bytes: u8, expected: u64, new: u64) -> Result<u64, Fault> {
        self.mem.atomic_cas(addr, bytes, expected, new)
    }

    fn fence(&mut self) {
        self.mem.fence();
    }

    /// Cycles and instructions pass at 1 GHz here: nobody counts them exactly, but they grow.
    fn counter(&mut self, counter: Counter) -> u64 {
        let nanos = self.start.elapsed().as_nanos() as u64;
        match counter {
            Counter::Cycle | Counter::Instret => nanos,
            Counter::Time => nanos / (1_000_000_000 / TIME_FREQUENCY),
        }
    }
}

impl Fetch for UserEnv {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        self.mem.fetch(addr, 2).map(|v| v as u16)
    }

    fn fetch32(&mut self, addr: u64) -> Result<u32, Fault> {
        if addr % PAGE_SIZE <= PAGE_SIZE - 4 {
            return self.mem.fetch(addr, 4).map(|v| v as u32);
        }
        let low = self.fetch16(addr)?;
        let high = self.fetch16(addr.wrapping_add(2))?;
        Ok(u32::from(high) << 16 | u32::from(low))
    }
}

impl GuestMemory {
    /// Reads 2, 4 or 8 bytes that lie in one page as instructions.
    ///
    /// # Errors
    /// The fault; the page has to be executable.
    pub fn fetch(&self, addr: u64, bytes: u8) -> Result<u64, Fault> {
        if self.pages.get(addr) & Prot::EXEC.bits() == 0 {
            self.check_now(addr, 1, AccessKind::Execute)?;
        }
        self.load(addr, bytes).map_err(|fault| Fault { access: AccessKind::Execute, ..fault })
    }
}
