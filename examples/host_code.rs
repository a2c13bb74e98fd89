//! What becomes of a few guest instructions: IR, quick code, a region's code. For looking at what the compilers emit where
//! `emu --dump host` has no program to run.
//!
//! `cargo run --example host_code -- ISA WORD…`, as `host_code mips32r2 46220000 46201002`; a file of raw code serves as
//! well as words. The block at its start is compiled, and what the region finds from there.

use capstone::prelude::*;
use emu_backend_jit::{BlockSource, CompileOptions, CompiledRegion, Compiler, QuickCompiler, Region};
use emu_frontend_mips::{Config, Mips};
use emu_frontend_riscv::Riscv;
use emu_ir::text::{Names, print};
use emu_ir::{AccessKind, Block, BlockKey, CpuState, Fault, FaultCause, Fetch, Guest, opt};
use std::sync::Arc;

/// Where the code lies.
const START: u64 = 0x1_0000;

struct Code {
    guest: Box<dyn Guest>,
    bytes: Vec<u8>,
}

impl Fetch for &Code {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        let at = addr.wrapping_sub(START) as usize;
        let half = self.bytes.get(at..).and_then(|rest| rest.get(..2));
        let half = half.ok_or(Fault { addr, access: AccessKind::Execute, cause: FaultCause::Unmapped })?;
        Ok(u16::from_le_bytes([half[0], half[1]]))
    }
}

impl BlockSource for &Code {
    fn block(&mut self, key: BlockKey, max_insns: usize) -> Option<Arc<Block>> {
        let mut block = self.guest.translate(key, self, max_insns.min(64)).ok()?;
        opt::optimize(&mut block);
        Some(Arc::new(block))
    }
}

impl Code {
    fn new(isa: &str, args: &[String]) -> Result<Code, Box<dyn std::error::Error>> {
        let (guest, big): (Box<dyn Guest>, bool) = if isa.starts_with("rv") {
            (Box::new(Riscv::new(emu_frontend_riscv::Config::parse(isa)?)), false)
        } else {
            let config = Config::parse(isa)?;
            (Box::new(Mips::new(config)), config.big_endian)
        };
        let mut bytes = Vec::new();
        for arg in args {
            match u32::from_str_radix(arg, 16) {
                Ok(word) => bytes.extend(if big { word.to_be_bytes() } else { word.to_le_bytes() }),
                Err(_) => bytes.extend(std::fs::read(arg)?),
            }
        }
        Ok(Code { guest, bytes })
    }
}

fn disassemble(name: &str, code: &CompiledRegion) -> Result<(), capstone::Error> {
    let cs = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).syntax(arch::x86::ArchSyntax::Intel).build()?;
    println!("{name}: {} bytes", code.code_len);
    for insn in cs.disasm_all(&code.bytes[..code.code_len], 0)?.iter() {
        println!("  {:4x}  {} {}", insn.address(), insn.mnemonic().unwrap_or(""), insn.op_str().unwrap_or(""));
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [isa, code @ ..] = &args[..] else { return Err("usage: host_code ISA WORD…".into()) };
    let code = Code::new(isa, code)?;
    let key = BlockKey { pc: START, mode: code.guest.mode(&CpuState::default()) };
    let options = CompileOptions::default();
    let region = Region::discover(key, 1000, &mut &code).ok_or("no instruction")?;
    for rb in &region.blocks {
        println!("{}", print(&rb.block, Names::of(&*code.guest)));
        match QuickCompiler::default().compile(&rb.block, &options) {
            Ok(quick) => disassemble("quick", quick)?,
            Err(error) => println!("quick: {error}"),
        }
    }
    disassemble("region", &Compiler::new(true)?.compile(&region, &options)?)?;
    Ok(())
}
