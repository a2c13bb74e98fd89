//! The engine does what the plainest evaluation of a block does, and an optimised block does what the block did: same
//! exit, registers, memory and flags, and the same accesses in the same order.

mod common;
#[path = "../../ir/tests/support/random.rs"]
mod random;

use common::{Memory, NoGuest};
use emu_interp::{Code, run, run_limited};
use emu_ir::opt::optimize;
use emu_ir::verify::verify;
use emu_ir::*;
use proptest::prelude::*;

/// All that a guest can see after a run.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    exit: Exit,
    slots: Vec<u64>,
    pc: u64,
    insn_count: u64,
    fp: (u32, u32),
    reservation: (u64, u64, ScId),
    memory: Memory,
}

fn start(values: &[u64]) -> (CpuState, Memory) {
    let mut cpu = CpuState { pc: 0x1000, fp_round: (values[0] % 5) as u32, ..CpuState::default() };
    for ((slot, ty), value) in random::SLOTS.iter().zip(values) {
        cpu.set(*slot, value & ty.mask());
    }
    cpu.set(random::ADDRESS, Memory::BASE + 0x40);
    (cpu, Memory::new(0x80))
}

fn seen(exit: Exit, cpu: &CpuState, memory: Memory) -> Seen {
    Seen {
        exit,
        slots: cpu.slots[..128].to_vec(),
        pc: cpu.pc,
        insn_count: cpu.insn_count,
        fp: (cpu.fp_flags, cpu.fp_round),
        reservation: (cpu.reservation_addr, cpu.reservation_value, cpu.reservation_for),
        memory,
    }
}

fn run_block(block: &Block, values: &[u64]) -> Seen {
    let (mut cpu, mut memory) = start(values);
    let exit = run(&Code::new(block, &NoGuest), &mut cpu, &mut memory);
    seen(exit, &cpu, memory)
}

/// The same by the plainest evaluation.
fn evaluate(block: &Block, values: &[u64]) -> Seen {
    let (mut cpu, mut memory) = start(values);
    let exit = common::naive::run(block, &mut cpu, &mut memory);
    seen(exit, &cpu, memory)
}

/// The same, stopped after `n` instructions.
fn run_part(block: &Block, values: &[u64], n: u32) -> Seen {
    let (mut cpu, mut memory) = start(values);
    let exit = match run_limited(&Code::new(block, &NoGuest), &mut cpu, &mut memory, n) {
        // It was left in the middle before it could be stopped: not to be told from the jump that ends the prefix.
        Exit::Next if n < block.insn_count() => Exit::Budget,
        exit => exit,
    };
    seen(exit, &cpu, memory)
}

/// The first `n` instructions as a block.
fn prefix(block: &Block, n: u32) -> Block {
    let next = block.marks[n as usize];
    Block {
        insts: block.insts[..next.first as usize].to_vec(),
        marks: block.marks[..n as usize].to_vec(),
        term: Terminator::Jump { target: next.pc, kind: JumpKind::Plain },
        beyond: Vec::new(),
        ..*block
    }
}

fn values() -> impl Strategy<Value = Vec<u64>> {
    let interesting = prop_oneof![
        any::<u64>(),
        any::<i8>().prop_map(|v| v as u64),
        any::<i32>().prop_map(|v| v as u64),
        prop::sample::select(vec![0x3ff8_0000_0000_0000, 0xffff_ffff_4040_0000, 0x7ff0_0000_0000_0001, 1 << 63]),
    ];
    prop::collection::vec(interesting, random::SLOTS.len())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(4000))]

    #[test]
    fn the_engine_agrees_with_plain_evaluation(
        choices in prop::collection::vec(any::<u32>(), 0..250), values in values(), floats: bool,
    ) {
        let block = random::block(&choices, floats, true);
        prop_assert_eq!(evaluate(&block, &values), run_block(&block, &values), "{}", block);
    }

    #[test]
    fn optimising_changes_nothing_visible(
        choices in prop::collection::vec(any::<u32>(), 0..250), values in values(), floats: bool,
    ) {
        let block = random::block(&choices, floats, true);
        verify(&block).expect("a valid block");
        let mut optimised = block.clone();
        optimize(&mut optimised);
        if let Err(e) = verify(&optimised) {
            panic!("{e}\n{block}\n{optimised}");
        }
        prop_assert!(optimised.insts.len() <= block.insts.len() + 16, "{}\n{}", block, optimised);
        prop_assert_eq!(evaluate(&block, &values), run_block(&optimised, &values), "{}\n{}", block, optimised);
    }

    #[test]
    fn optimising_expressions_keeps_their_values(
        choices in prop::collection::vec(any::<u32>(), 100), values in values(), floats: bool,
    ) {
        let block = random::expression(&choices, floats);
        let mut optimised = block.clone();
        optimize(&mut optimised);
        prop_assert!(verify(&optimised).is_ok(), "{}\n{}", block, optimised);
        let runs = [run_block(&block, &values), run_block(&optimised, &values)];
        let plain = evaluate(&block, &values);
        prop_assert!(runs == [plain.clone(), plain.clone()], "{}\n{}\n{:?}\n{:?}", block, optimised, plain, runs);
    }

    #[test]
    fn optimising_twice_is_right_too(choices in prop::collection::vec(any::<u32>(), 0..250), values in values()) {
        let block = random::block(&choices, false, true);
        let mut optimised = block.clone();
        optimize(&mut optimised);
        optimize(&mut optimised);
        prop_assert!(verify(&optimised).is_ok());
        prop_assert_eq!(evaluate(&block, &values), run_block(&optimised, &values), "{}\n{}", block, optimised);
    }

    #[test]
    fn a_limited_run_is_a_run_of_the_first_instructions(
        choices in prop::collection::vec(any::<u32>(), 0..250), values in values(),
    ) {
        let block = random::block(&choices, false, true);
        // (A side exit that the next instruction begins with may be taken before the stop: tests/engine.rs.)
        for n in (1..block.insn_count()).filter(|n| block.side_exit_before(*n as usize).is_none()) {
            let mut want = evaluate(&prefix(&block, n), &values);
            if want.exit == Exit::Next {
                want.exit = Exit::Budget;
            }
            prop_assert_eq!(want, run_part(&block, &values, n), "{} of {}", n, block);
        }
    }
}
