//! Guest memory with an engine: the interpreter as simple as it can be, or the real engine in any tier.

use super::state::State;
use emu_backend_jit::HartShared;
use emu_interp::Code;
use emu_ir::{Block, BlockKey, CpuState, Exit, Guest, NO_RESERVATION};
use emu_machine::engine::lockstep::{Divergence, Judge, LockstepConfig, LockstepVcpu};
use emu_machine::engine::{Engine, EngineConfig, EngineVcpu, FuelSource, Tier, WINDOW_INSNS};
use emu_machine::mem::{Fixed, GuestMemory, MapRequest, Prot, UserEnv};
use std::collections::HashMap;
use std::sync::Arc;

/// The ways to run guest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The interpreter on blocks as the decoder made them: the oracle of the others.
    Plain,
    /// The engine's interpreter, on optimised blocks.
    Interp,
    /// Compiled code that loses the registers at a fault.
    Jit,
    /// Compiled code with exact registers at a fault.
    Precise,
    /// Quick code, block by block.
    Quick,
    /// Quick code of blocks with what follows them.
    Runs,
    /// The interpreter first, compiled code after a few executions, in the background.
    Tiered,
    /// Regions, compared with the interpreter: panics if they differ.
    Lockstep,
    /// Quick code, and regions for what is hot, compared with the interpreter.
    QuickLockstep,
}

impl Way {
    pub const ALL: [Way; 6] = [Way::Plain, Way::Interp, Way::Quick, Way::Runs, Way::Jit, Way::Precise];

    fn config(self) -> EngineConfig {
        let tier = match self {
            Way::Plain | Way::Interp => Tier::Interp,
            Way::Quick | Way::Runs | Way::Jit | Way::Precise | Way::Lockstep | Way::QuickLockstep => Tier::Jit,
            Way::Tiered => Tier::Tiered,
        };
        let (quick, threshold) = match self {
            Way::Quick | Way::Runs => (Some(0), u32::MAX),
            Way::Tiered => (Some(1), 3),
            Way::QuickLockstep => (Some(0), 250),
            _ => (None, 3),
        };
        let lockstep = matches!(self, Way::Lockstep | Way::QuickLockstep).then(LockstepConfig::default);
        let run = if matches!(self, Way::Runs | Way::QuickLockstep) { 0 } else { u32::MAX };
        EngineConfig {
            tier,
            quick,
            run,
            threshold,
            code_size: 8 << 20,
            verify: true,
            lockstep,
            ..EngineConfig::default()
        }
    }
}

/// Runs the hart to a system call; its registers there.
pub fn run_to_syscall(mut vcpu: EngineVcpu) -> CpuState {
    loop {
        match vcpu.run() {
            Exit::Interrupted => {}
            Exit::Syscall { .. } => return vcpu.cpu().clone(),
            exit => panic!("{exit:x?} at {:#x}", vcpu.cpu().pc),
        }
    }
}

/// How often a program may yield before it is taken for one that does not end.
const MAX_YIELDS: usize = 10_000;

/// A guest with its memory and one hart.
pub struct Machine {
    pub way: Way,
    pub guest: Arc<dyn Guest>,
    pub memory: Arc<GuestMemory>,
    /// Blocks that the plain interpreter runs at most before it gives up.
    pub plain_blocks: u64,
    hart: Hart,
}

enum Hart {
    Plain { cpu: Box<CpuState>, env: UserEnv, blocks: HashMap<BlockKey, Option<Code>> },
    Engine { engine: Arc<Engine>, vcpu: EngineVcpu },
    Lockstep { engine: Arc<Engine>, vcpu: Box<LockstepVcpu> },
}

/// Whom lockstep harts call.
pub struct Panics;

impl Judge for Panics {
    fn diverged(&self, divergence: &Divergence) -> ! {
        panic!("{divergence}");
    }
}

/// Maps pages at an address.
pub fn map(memory: &GuestMemory, addr: u64, len: u64, prot: Prot) {
    let request = MapRequest { addr_hint: addr, len, prot, fixed: Fixed::Replace, ..MapRequest::default() };
    memory.mmap(&request).expect("a test's mapping");
}

impl Machine {
    pub fn new<G: Guest + 'static>(way: Way, guest: &Arc<G>) -> Machine {
        Machine::with_config(way, guest, way.config())
    }

    /// The same with other sizes; the tiers stay those of `way`.
    pub fn with_config<G: Guest + 'static>(way: Way, guest: &Arc<G>, config: EngineConfig) -> Machine {
        Machine::of(way, Arc::clone(guest) as Arc<dyn Guest>, config, None)
    }

    /// The same for whatever guest.
    pub fn of_guest(way: Way, guest: Arc<dyn Guest>) -> Machine {
        Machine::of(way, guest, way.config(), None)
    }

    /// The same, whose code cannot reach the memory around the guest's.
    pub fn confined(way: Way, guest: Arc<dyn Guest>) -> Machine {
        Machine::of(way, guest, EngineConfig { confine: true, ..way.config() }, None)
    }

    /// The same, on fuel.
    pub fn on_fuel(way: Way, guest: Arc<dyn Guest>, fuel: Arc<dyn FuelSource>) -> Machine {
        Machine::of(way, guest, way.config(), Some(fuel))
    }

    fn of(way: Way, guest: Arc<dyn Guest>, config: EngineConfig, fuel: Option<Arc<dyn FuelSource>>) -> Machine {
        let memory = Arc::new(GuestMemory::new(guest.address_bits()).expect("guest memory"));
        let hart = if way == Way::Plain {
            Hart::Plain { cpu: Box::default(), env: UserEnv::new(Arc::clone(&memory)), blocks: HashMap::new() }
        } else {
            let EngineConfig { tier, quick, run, lockstep, .. } = way.config();
            let config = EngineConfig { tier, quick, run, lockstep, ..config };
            let engine = Engine::new(Arc::clone(&guest), Arc::clone(&memory), config).expect("an engine on this host");
            if let Some(fuel) = fuel {
                engine.set_fuel(fuel);
            }
            // What the quick compiler refuses becomes a region.
            if matches!(way, Way::Precise | Way::Quick | Way::Runs) {
                engine.set_precise();
            }
            let (cpu, own) = (CpuState::default(), Arc::clone(&engine));
            match way {
                Way::Lockstep | Way::QuickLockstep => {
                    Hart::Lockstep { engine, vcpu: Box::new(LockstepVcpu::new(own, cpu, Arc::new(Panics))) }
                }
                _ => Hart::Engine { engine, vcpu: EngineVcpu::new(own, cpu) },
            }
        };
        Machine { way, guest, memory, plain_blocks: u64::MAX, hart }
    }

    /// The engine; the plain interpreter has none.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        match &self.hart {
            Hart::Plain { .. } => None,
            Hart::Engine { engine, .. } | Hart::Lockstep { engine, .. } => Some(engine),
        }
    }

    pub fn cpu(&self) -> &CpuState {
        match &self.hart {
            Hart::Plain { cpu, .. } => cpu,
            Hart::Engine { vcpu, .. } => vcpu.cpu(),
            Hart::Lockstep { vcpu, .. } => vcpu.cpu(),
        }
    }

    pub fn cpu_mut(&mut self) -> &mut CpuState {
        match &mut self.hart {
            Hart::Plain { cpu, .. } => cpu,
            Hart::Engine { vcpu, .. } => vcpu.cpu_mut(),
            Hart::Lockstep { vcpu, .. } => vcpu.cpu_mut(),
        }
    }

    /// The engine's hart.
    pub fn vcpu(&mut self) -> &mut EngineVcpu {
        match &mut self.hart {
            Hart::Engine { vcpu, .. } => vcpu,
            Hart::Plain { .. } | Hart::Lockstep { .. } => panic!("{:?} has no such hart", self.way),
        }
    }

    /// What interrupts the hart.
    pub fn shared(&self) -> &Arc<HartShared> {
        match &self.hart {
            Hart::Plain { .. } => panic!("the plain interpreter is not interrupted"),
            Hart::Engine { vcpu, .. } => vcpu.shared(),
            Hart::Lockstep { vcpu, .. } => vcpu.shared(),
        }
    }

    /// Puts code there. The plain interpreter, which watches nothing, forgets what it has translated.
    pub fn write_code(&mut self, addr: u64, bytes: &[u8]) {
        if let Hart::Plain { blocks, .. } = &mut self.hart {
            blocks.clear();
        }
        self.memory.write_bytes(addr, bytes).expect("the code's place is mapped");
    }

    /// Puts code into mapped pages, which then cannot be written by the guest: the plain interpreter would not notice.
    pub fn load_code(&mut self, addr: u64, bytes: &[u8]) {
        let (start, len) = (addr & !0xfff, (addr + bytes.len() as u64).next_multiple_of(0x1000) - (addr & !0xfff));
        self.memory.mprotect(start, len, Prot::RW).expect("the code's place is mapped");
        self.write_code(addr, bytes);
        self.memory.mprotect(start, len, Prot::RX).expect("the code's place is mapped");
    }

    /// Runs until something needs the operating system. The plain interpreter gives up after [`Self::plain_blocks`].
    pub fn run(&mut self) -> Exit {
        match &mut self.hart {
            Hart::Engine { vcpu, .. } => vcpu.run(),
            Hart::Lockstep { vcpu, .. } => vcpu.run(),
            Hart::Plain { cpu, env, blocks } => run_plain(&*self.guest, cpu, env, blocks, self.plain_blocks),
        }
    }

    /// Starts with the registers of `start` and runs to the first exit but `Yield`; `watched` is the memory that
    /// the result holds.
    pub fn run_from(&mut self, start: &CpuState, watched: std::ops::Range<u64>) -> State {
        let cpu = self.cpu_mut();
        let before = cpu.insn_count;
        let CpuState { slots, pc, fp_flags, fp_round, .. } = *start;
        (cpu.slots, cpu.pc, cpu.fp_flags, cpu.fp_round) = (slots, pc, fp_flags, fp_round);
        cpu.insn_count = before;
        cpu.clear_reservation();
        let mut yields = vec![];
        let exit = loop {
            match self.run() {
                Exit::Yield if yields.len() < MAX_YIELDS => yields.push(self.cpu().pc),
                exit => break exit,
            }
        };
        let mut memory = vec![0; (watched.end - watched.start) as usize];
        self.memory.read_bytes(watched.start, &mut memory).expect("watched memory is mapped");
        State::new(&*self.guest, self.cpu(), exit, yields, memory)
    }
}

/// Is there a reservation that ends with its window?
fn holds(cpu: &CpuState) -> bool {
    cpu.reservation_addr != NO_RESERVATION && cpu.reservation_for.is_any()
}

/// Runs the hard sequence of load-reserved and store-conditional at the pc one instruction at a time, `most` at most, as far as engines let
/// it go.
pub fn run_window(guest: &dyn Guest, cpu: &mut CpuState, env: &mut UserEnv, most: u64) -> Exit {
    let end = cpu.insn_count + most.min(WINDOW_INSNS);
    let mut begun = false;
    let exit = loop {
        // What there is nothing left for is not fetched.
        if cpu.insn_count == end {
            break Exit::Next;
        }
        let block = match guest.translate(BlockKey { pc: cpu.pc, mode: cpu.mode }, env, 1) {
            Ok(block) => block,
            Err(fault) => break Exit::Fault(fault),
        };
        let fits = cpu.insn_count + u64::from(block.insn_count()) <= end;
        if !fits || begun && (block.needs_window() || !holds(cpu)) {
            break Exit::Next;
        }
        begun = true;
        match emu_interp::run(&Code::new(&block, guest), cpu, env) {
            Exit::Next => {}
            exit => break exit,
        }
    };
    if holds(cpu) {
        cpu.clear_reservation();
    }
    exit
}

/// A block for the plain interpreter; `None` if it needs a window.
fn plain_code(guest: &dyn Guest, block: &Block) -> Option<Code> {
    (!block.needs_window()).then(|| Code::new(block, guest))
}

fn run_plain(
    guest: &dyn Guest,
    cpu: &mut CpuState,
    env: &mut UserEnv,
    blocks: &mut HashMap<BlockKey, Option<Code>>,
    limit: u64,
) -> Exit {
    for _ in 0..limit {
        cpu.mode = guest.mode(cpu);
        let key = BlockKey { pc: cpu.pc, mode: cpu.mode };
        let code = match blocks.entry(key) {
            std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => match guest.translate(key, env, 64) {
                Ok(block) => place.insert(plain_code(guest, &block)),
                Err(fault) => return Exit::Fault(fault),
            },
        };
        let exit = match code {
            Some(code) => emu_interp::run(code, cpu, env),
            None => run_window(guest, cpu, env, u64::MAX),
        };
        match exit {
            Exit::Next | Exit::ModeChange => {}
            Exit::InsnFence => blocks.clear(),
            exit => return exit,
        }
    }
    Exit::Budget
}
