//! What the tests share: random words, code in memory.
#![allow(dead_code, unreachable_pub)]

use emu_frontend_riscv::{Config, Riscv};
use emu_ir::{AccessKind, Block, BlockKey, Fault, FaultCause, Fetch, Guest};

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

/// Halfwords from `base` on; beyond them nothing is mapped.
pub struct Code {
    pub base: u64,
    pub halves: Vec<u16>,
}

impl Code {
    /// Words of 16 or 32 bits, as their lowest bits say.
    pub fn new(base: u64, words: &[u32]) -> Code {
        let split = |w: &u32| if w & 3 == 3 { vec![*w as u16, (w >> 16) as u16] } else { vec![*w as u16] };
        Code { base, halves: words.iter().flat_map(split).collect() }
    }
}

impl Fetch for Code {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        let index = addr.wrapping_sub(self.base) / 2;
        let half = usize::try_from(index).ok().and_then(|i| self.halves.get(i));
        half.copied().ok_or(Fault { addr, access: AccessKind::Execute, cause: FaultCause::Unmapped })
    }
}

pub fn guest(isa: &str) -> Riscv {
    Riscv::new(Config::parse(isa).unwrap())
}

/// The block of these words at 0x1000.
pub fn block(guest: &Riscv, words: &[u32]) -> Block {
    block_in_mode(guest, 0, words)
}

pub fn block_in_mode(guest: &Riscv, mode: u32, words: &[u32]) -> Block {
    let mut code = Code::new(0x1000, words);
    guest.translate(BlockKey { pc: 0x1000, mode }, &mut code, words.len()).unwrap()
}

/// The configurations that between them enable every line of the table.
pub const ALL: [&str; 2] = ["rv32max", "rv64max"];
