//! `--dump`: translated code on the standard error. `--perf-map`: where it is.

use crate::options::{DumpKind, DumpRequest};
use crate::perf_map::PerfMap;
use capstone::prelude::*;
use emu_machine::engine::{CompiledRegion, Observer, PlacedCode};
use emu_machine::ir::{Block, Fetch, Guest, text};
use std::fmt::Write as _;

/// Prints what was asked for, a block or region at a time.
pub(crate) struct Dump {
    requests: Vec<DumpRequest>,
    map: Option<PerfMap>,
}

impl Dump {
    /// Prints these, and writes the map if it is wanted.
    pub(crate) fn new(requests: Vec<DumpRequest>, perf_map: bool) -> Dump {
        Dump { requests, map: perf_map.then(PerfMap::default) }
    }

    fn wants(&self, kind: DumpKind, pc: u64) -> bool {
        self.requests.iter().any(|r| r.kind == kind && r.covers(pc))
    }
}

impl Observer for Dump {
    fn wants_clif(&self) -> bool {
        self.requests.iter().any(|r| r.kind == DumpKind::Clif)
    }

    fn block(&self, guest: &dyn Guest, block: &Block, code: &mut dyn Fetch) {
        let pc = block.key.pc;
        if self.wants(DumpKind::Insn, pc) {
            eprintln!("{}", instructions(guest, block, code));
        }
        if self.wants(DumpKind::Ir, pc) {
            eprintln!("{}", text::print(block, text::Names::of(guest)));
        }
    }

    fn region(&self, region: &CompiledRegion) {
        let pc = region.key.pc;
        if let Some(clif) = region.clif.as_ref().filter(|_| self.wants(DumpKind::Clif, pc)) {
            eprintln!("; region {pc:#x}\n{clif}");
        }
        if self.wants(DumpKind::Host, pc) {
            eprintln!("{}", host_code(region));
        }
    }

    fn placed(&self, code: PlacedCode) {
        if let Some(map) = &self.map {
            map.add(code);
        }
    }
}

/// The guest instructions of a block, a line each.
fn instructions(guest: &dyn Guest, block: &Block, code: &mut dyn Fetch) -> String {
    let mut out = format!("insns {:#x} mode {:#x}\n", block.key.pc, block.key.mode);
    for mark in &block.marks {
        // The bytes may have changed since.
        let text = guest.disassemble(mark.pc, code).map_or_else(|_| "(gone)".to_owned(), |(text, _)| text);
        let _ = writeln!(out, "  {:>10x}:  {text}", mark.pc);
    }
    out
}

/// The host instructions of a region, with the guest's addresses where it accesses guest memory.
fn host_code(region: &CompiledRegion) -> String {
    let code = &region.bytes[..region.code_len];
    let mut out = format!("host {:#x}: {} bytes\n", region.key.pc, code.len());
    let engine = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build();
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => return format!("{out}  (capstone: {error})"),
    };
    let Ok(lines) = engine.disasm_all(code, 0) else { return out };
    for line in lines.iter() {
        let at = line.address() as u32;
        let access = region.traps.binary_search_by_key(&at, |(offset, _)| *offset).ok();
        let note = access.and_then(|i| region.insns.get(region.traps[i].1 as usize));
        let note = note.map_or(String::new(), |insn| format!("  ; guest memory, {:#x}", insn.pc));
        let (name, operands) = (line.mnemonic().unwrap_or("?"), line.op_str().unwrap_or(""));
        let _ = writeln!(out, "  {at:>6x}:  {name} {operands}{note}");
    }
    out
}
