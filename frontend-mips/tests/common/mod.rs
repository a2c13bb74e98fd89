//! What the tests share: random words, code in memory.
#![allow(dead_code, unreachable_pub)]

pub mod cases;

use emu_frontend_mips::{Config, Mips};
use emu_ir::{AccessKind, Block, BlockKey, CpuState, Fault, FaultCause, Fetch, Guest};

/// A small generator (xorshift64*); the seed is fixed, so that a failure repeats.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

/// Words from `base` on, in the guest's byte order; beyond them nothing is mapped.
pub struct Code {
    pub base: u64,
    pub bytes: Vec<u8>,
}

impl Code {
    pub fn new(guest: &Mips, base: u64, words: &[u32]) -> Code {
        let big = guest.config().big_endian;
        let bytes = words.iter().flat_map(|w| if big { w.to_be_bytes() } else { w.to_le_bytes() }).collect();
        Code { base, bytes }
    }
}

impl Fetch for Code {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        let index = addr.wrapping_sub(self.base);
        let bytes = usize::try_from(index).ok().and_then(|i| self.bytes.get(i..i + 2));
        let fault = Fault { addr, access: AccessKind::Execute, cause: FaultCause::Unmapped };
        bytes.map(|b| u16::from_le_bytes([b[0], b[1]])).ok_or(fault)
    }
}

pub fn guest(name: &str) -> Mips {
    Mips::new(Config::parse(name).unwrap())
}

/// The mode of a fresh processor.
pub fn mode(guest: &Mips) -> u32 {
    guest.mode(&CpuState::default())
}

/// The block of these words at 0x1000.
pub fn block(guest: &Mips, words: &[u32]) -> Block {
    block_in_mode(guest, mode(guest), words)
}

pub fn block_in_mode(guest: &Mips, mode: u32, words: &[u32]) -> Block {
    let mut code = Code::new(guest, 0x1000, words);
    guest.translate(BlockKey { pc: 0x1000, mode }, &mut code, words.len()).unwrap()
}

/// Every release.
pub fn releases() -> impl Iterator<Item = String> {
    emu_frontend_mips::Release::all().map(|r| r.name().to_owned())
}
