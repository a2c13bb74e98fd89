//! Exclusive windows of load-reserved and store-conditional when others do not do their part.

mod common;

use common::asm::*;
use common::guest;
use common::machine::{map, run_to_syscall};
use common::program::CODE;
use emu_ir::{Block, CpuState, Fetch, Guest, Slot};
use emu_machine::engine::{CompiledRegion, Engine, EngineConfig, EngineVcpu, Harts, Neighbours, Observer, PlacedCode};
use emu_machine::mem::{Fixed, GuestMemory, MapRequest, Prot};
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

const WORD: u64 = 0x2000_0000;
/// Where the other hart begins.
const OTHER: u64 = CODE + 0x100;

/// Other processes leave the window to this one.
struct Granted;

impl Neighbours for Granted {
    fn stop(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(()))
    }

    fn before_fork(&self, _: Weak<dyn Harts>) {}

    fn in_child(&self, _: Weak<dyn Harts>) {}
}

/// Keeps the other hart busy, in the middle of running guest code, for as long as it is told to.
#[derive(Default)]
struct Busy {
    inside: AtomicBool,
    released: AtomicBool,
}

impl Observer for Busy {
    fn wants_clif(&self) -> bool {
        false
    }

    fn block(&self, _: &dyn Guest, block: &Block, _: &mut dyn Fetch) {
        if block.key.pc == OTHER {
            self.inside.store(true, Ordering::SeqCst);
            while !self.released.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn region(&self, _: &CompiledRegion) {}

    fn placed(&self, _: PlacedCode) {}
}

fn run(engine: &Arc<Engine>, pc: u64) -> CpuState {
    let mut cpu = CpuState { pc, ..CpuState::default() };
    cpu.set(Slot(S0 as u16), WORD);
    run_to_syscall(EngineVcpu::new(Arc::clone(engine), cpu))
}

#[test]
fn a_sequence_fails_if_another_hart_does_not_stop() {
    let memory = Arc::new(GuestMemory::new(64).unwrap());
    map(&memory, CODE, 0x1000, Prot::RWX);
    // lr.w a0, (s0); lw a2, 0(s0); sc.w a3, a4, (s0); ecall
    memory.write_bytes(CODE, &bytes(&[0x1004_252f, 0x0004_2603, 0x18e4_26af, ECALL])).unwrap();
    memory.write_bytes(OTHER, &bytes(&[ECALL])).unwrap();
    for shared in [false, true] {
        let word = MapRequest {
            addr_hint: WORD,
            len: 0x1000,
            prot: Prot::RW,
            fixed: Fixed::Replace,
            shared,
            ..MapRequest::default()
        };
        memory.mmap(&word).unwrap();
        let engine = Engine::new(guest("rv64gc"), Arc::clone(&memory), EngineConfig::default()).unwrap();
        engine.set_neighbours(Arc::new(Granted));
        let failed = |cpu: CpuState| cpu.get(Slot(A3 as u16));
        assert_eq!(failed(run(&engine, CODE)), 0, "shared: {shared}");
        let busy = Arc::new(Busy::default());
        engine.set_observer(Arc::clone(&busy) as Arc<dyn Observer>);
        thread::scope(|scope| {
            scope.spawn(|| run(&engine, OTHER));
            while !busy.inside.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            let found = failed(run(&engine, CODE));
            busy.released.store(true, Ordering::SeqCst);
            assert_eq!(found, 1, "shared: {shared}");
        });
    }
}
