//! The parts of the emulator one by one, on the code of `examples/hello`: decoding and lowering, the optimiser, the
//! interpreter, the compiler. Criterion's "elements" are guest instructions.
#![forbid(unsafe_code)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emu_backend_jit::{BlockSource, CompileOptions, Compiler, Region};
use emu_frontend_riscv::{Config, Riscv};
use emu_interp::Code;
use emu_ir::*;
use emu_machine::disasm::Listing;
use emu_machine::elf::Image;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

const HELLO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello");
const MAX_INSNS: usize = 64;

/// The program in a flat memory from address 0 on.
#[derive(Clone)]
struct Memory(Vec<u8>);

impl Memory {
    fn at(&self, addr: u64, bytes: u8, access: AccessKind) -> Result<std::ops::Range<usize>, Fault> {
        let end = (addr as usize).checked_add(bytes.into()).filter(|end| *end <= self.0.len());
        end.map(|end| addr as usize..end).ok_or(Fault { addr, access, cause: FaultCause::Unmapped })
    }
}

impl Fetch for Memory {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        self.load(addr, 2).map(|v| v as u16)
    }
}

impl Env for Memory {
    fn load(&mut self, addr: u64, bytes: u8) -> Result<u64, Fault> {
        let range = self.at(addr, bytes, AccessKind::Read)?;
        let mut value = [0; 8];
        value[..bytes.into()].copy_from_slice(&self.0[range]);
        Ok(u64::from_le_bytes(value))
    }
    fn store(&mut self, addr: u64, bytes: u8, value: u64) -> Result<(), Fault> {
        let range = self.at(addr, bytes, AccessKind::Write)?;
        self.0[range].copy_from_slice(&value.to_le_bytes()[..bytes.into()]);
        Ok(())
    }
    fn atomic_rmw(&mut self, _: AtomicOp, _: u64, _: u8, _: u64) -> Result<u64, Fault> {
        unreachable!("the example has no atomics")
    }
    fn atomic_cas(&mut self, _: u64, _: u8, _: u64, _: u64) -> Result<u64, Fault> {
        unreachable!("the example has no atomics")
    }
    fn fence(&mut self) {}
    fn counter(&mut self, _: Counter) -> u64 {
        0
    }
}

/// The example, its entry, and the addresses where its blocks start when decoded one after the other.
struct Example {
    memory: Memory,
    entry: u64,
    starts: Vec<u64>,
    guest: Riscv,
}

impl Example {
    fn new() -> Example {
        let data = std::fs::read(HELLO).expect("examples/hello is in the repository");
        let image = Image::parse(&data).expect("it is a program");
        // Above the program there is room for the stack.
        let mut memory = Memory(vec![0; image.extent().end as usize + 0x10000]);
        for s in &image.segments {
            let from = &data[s.offset as usize..][..s.file_size as usize];
            memory.0[s.addr as usize..][..from.len()].copy_from_slice(from);
        }
        let guest = Riscv::new(Config::max(64));
        let code = Listing::new(&data, &image).code;
        let mut starts = Vec::new();
        for range in code {
            let mut pc = range.start;
            while pc < range.end {
                starts.push(pc);
                let block = guest.translate(BlockKey { pc, mode: 0 }, &mut memory, MAX_INSNS).expect("it is code");
                pc = block.end();
            }
        }
        Example { memory, entry: image.entry, starts, guest }
    }

    fn block(&self, memory: &mut Memory, pc: u64) -> Block {
        self.guest.translate(BlockKey { pc, mode: 0 }, memory, MAX_INSNS).expect("it is code")
    }

    fn blocks(&self) -> Vec<Block> {
        let mut memory = self.memory.clone();
        self.starts.iter().map(|pc| self.block(&mut memory, *pc)).collect()
    }

    /// Runs the program to its exit by the interpreter; system calls do nothing. Returns the instructions run.
    fn interpret(&self) -> u64 {
        let mut memory = self.memory.clone();
        let mut cpu = CpuState { pc: self.entry, ..CpuState::default() };
        cpu.set(Slot(2), memory.0.len() as u64 - 256);
        let mut codes: HashMap<u64, Code> = HashMap::new();
        loop {
            let code = codes.entry(cpu.pc).or_insert_with(|| {
                let mut block = self.block(&mut memory, cpu.pc);
                opt::optimize(&mut block);
                Code::new(&block, &self.guest)
            });
            match emu_interp::run(code, &mut cpu, &mut memory) {
                Exit::Next => {}
                Exit::Syscall { .. } if cpu.get(Slot(17)) == 93 => break,
                Exit::Syscall { .. } => {}
                other => panic!("{other:?} at {:#x}", cpu.pc),
            }
        }
        assert_eq!(cpu.get(Slot(10)), 0, "the sum is right");
        cpu.insn_count
    }
}

impl BlockSource for &Example {
    fn block(&mut self, key: BlockKey, max_insns: usize) -> Option<Arc<Block>> {
        let mut block = self.guest.translate(key, &mut self.memory.clone(), max_insns.min(MAX_INSNS)).ok()?;
        opt::optimize(&mut block);
        Some(Arc::new(block))
    }
}

fn translation(c: &mut Criterion) {
    let example = Example::new();
    let blocks = example.blocks();
    let insns: u32 = blocks.iter().map(Block::insn_count).sum();
    let mut group = c.benchmark_group("translate");
    group.throughput(Throughput::Elements(insns.into()));
    let mut memory = example.memory.clone();
    group.bench_function("decode and lower", |b| {
        b.iter(|| example.starts.iter().map(|pc| example.block(&mut memory, *pc).insts.len()).sum::<usize>());
    });
    group.bench_function("optimise", |b| {
        b.iter_batched(
            || blocks.clone(),
            |mut blocks| {
                blocks.iter_mut().for_each(opt::optimize);
                blocks
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("prepare for the interpreter", |b| {
        b.iter(|| blocks.iter().for_each(|block| drop(black_box(Code::new(block, &example.guest)))));
    });
    group.finish();
}

fn interpreter(c: &mut Criterion) {
    let example = Example::new();
    let mut group = c.benchmark_group("interp");
    group.throughput(Throughput::Elements(example.interpret())).sample_size(20);
    group.bench_function("primes", |b| b.iter(|| example.interpret()));
    group.finish();
}

fn compiler(c: &mut Criterion) {
    let example = Example::new();
    let key = BlockKey { pc: example.entry, mode: 0 };
    let region = Region::discover(key, 1500, &mut &example).expect("the entry is code");
    let mut compiler = Compiler::new(false).expect("this host is supported");
    let mut group = c.benchmark_group("compile");
    group.throughput(Throughput::Elements(region.insn_count() as u64));
    for (name, precise_faults) in [("fast", false), ("precise faults", true)] {
        let options = CompileOptions { precise_faults, ..CompileOptions::default() };
        group
            .bench_function(name, |b| b.iter(|| compiler.compile(&region, &options).expect("it compiles").bytes.len()));
    }
    group.finish();
}

criterion_group!(benches, translation, interpreter, compiler);
criterion_main!(benches);
