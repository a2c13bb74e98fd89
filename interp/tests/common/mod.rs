//! A small memory and a guest without a decoder, for tests of the engine.
#![allow(dead_code)]

pub(crate) mod naive;

use emu_ir::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory at [`Memory::BASE`]; everything else is unmapped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    /// Every access that succeeded, in order: address, width, value if it wrote.
    pub(crate) log: Vec<(u64, u8, Option<u64>)>,
}

impl Memory {
    pub(crate) const BASE: u64 = 0x1_0000;

    pub(crate) fn new(size: usize) -> Memory {
        Memory { bytes: (0..size).map(|i| (i * 37 + 11) as u8).collect(), log: Vec::new() }
    }

    fn at(&self, addr: u64, bytes: u8, access: AccessKind) -> Result<std::ops::Range<usize>, Fault> {
        let offset = addr.wrapping_sub(Memory::BASE);
        match offset.checked_add(bytes.into()) {
            Some(end) if end <= self.bytes.len() as u64 => Ok(offset as usize..end as usize),
            _ => Err(Fault { addr, access, cause: FaultCause::Unmapped }),
        }
    }
}

impl Env for Memory {
    fn load(&mut self, addr: u64, bytes: u8) -> Result<u64, Fault> {
        let at = self.at(addr, bytes, AccessKind::Read)?;
        self.log.push((addr, bytes, None));
        let mut raw = [0; 8];
        raw[..usize::from(bytes)].copy_from_slice(&self.bytes[at]);
        Ok(u64::from_le_bytes(raw))
    }

    fn store(&mut self, addr: u64, bytes: u8, value: u64) -> Result<(), Fault> {
        let at = self.at(addr, bytes, AccessKind::Write)?;
        assert!(bytes == 8 || value >> (8 * bytes) == 0, "{value:#x} is wider than {bytes} bytes");
        self.log.push((addr, bytes, Some(value)));
        self.bytes[at].copy_from_slice(&value.to_le_bytes()[..usize::from(bytes)]);
        Ok(())
    }

    fn atomic_rmw(&mut self, op: AtomicOp, addr: u64, bytes: u8, value: u64) -> Result<u64, Fault> {
        let old = self.load(addr, bytes)?;
        let new = match op {
            AtomicOp::Swap => value,
            AtomicOp::Add => old.wrapping_add(value) & (u64::MAX >> (64 - 8 * u32::from(bytes))),
            AtomicOp::And => old & value,
            AtomicOp::Or => old | value,
            AtomicOp::Xor => old ^ value,
            _ => old.max(value),
        };
        self.store(addr, bytes, new)?;
        Ok(old)
    }

    fn atomic_cas(&mut self, addr: u64, bytes: u8, expected: u64, new: u64) -> Result<u64, Fault> {
        let old = self.load(addr, bytes)?;
        if old == expected {
            self.store(addr, bytes, new)?;
        }
        Ok(old)
    }

    fn fence(&mut self) {}

    fn counter(&mut self, _: Counter) -> u64 {
        0
    }
}

/// What [`sum_or_trap`] saw of the machine: pc and instruction count at its last call.
pub(crate) static SEEN: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

fn sum_or_trap(cpu: &mut CpuState, _: &mut dyn Env, args: &[u64]) -> Result<u64, Trap> {
    SEEN[0].store(cpu.pc, Ordering::Relaxed);
    SEEN[1].store(cpu.insn_count, Ordering::Relaxed);
    let sum = args.iter().fold(0u64, |sum, a| sum.wrapping_add(*a));
    if sum & 0xff == 0x77 { Err(Trap { kind: TrapKind::Breakpoint { code: 3 } }) } else { Ok(sum & 0xffff) }
}

/// Increments slot 9 and returns its old value: a helper that touches a register.
fn bump(cpu: &mut CpuState, _: &mut dyn Env, _: &[u64]) -> Result<u64, Trap> {
    let old = cpu.get(Slot(9));
    cpu.set(Slot(9), old.wrapping_add(1));
    Ok(old)
}

/// A guest with two helpers and no decoder.
pub(crate) struct NoGuest;

impl Guest for NoGuest {
    fn name(&self) -> String {
        "none".into()
    }
    fn address_bits(&self) -> u32 {
        64
    }
    fn slots(&self) -> &[SlotInfo] {
        &[]
    }
    fn hot_slots(&self) -> [Slot; HOT_SLOTS] {
        [Slot(0), Slot(1), Slot(2), Slot(3), Slot(4), Slot(5)]
    }
    fn helpers(&self) -> &[HelperDef] {
        &[HelperDef { name: "sum_or_trap", func: sum_or_trap }, HelperDef { name: "bump", func: bump }]
    }
    fn mode(&self, _: &CpuState) -> u32 {
        0
    }
    fn translate(&self, key: BlockKey, _: &mut dyn Fetch, _: usize) -> Result<Block, Fault> {
        Err(Fault { addr: key.pc, access: AccessKind::Execute, cause: FaultCause::Unmapped })
    }
    fn disassemble(&self, pc: u64, _: &mut dyn Fetch) -> Result<(String, u8), Fault> {
        Err(Fault { addr: pc, access: AccessKind::Execute, cause: FaultCause::Unmapped })
    }
}
