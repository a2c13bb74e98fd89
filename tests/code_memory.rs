//! Much code and little memory for it: the code cache is emptied over and over, and stays as small as it was set; regions
//! stay small, whatever the code is like.

mod common;

use common::asm::*;
use common::elf::{Target, executable};
use common::machine::{map, run_to_syscall};
use common::program::CODE;
use common::random::Random;
use common::{env_number, guest};
use emu_ir::{Block, CpuState, Fetch, Guest, Slot};
use emu_machine::engine::{CompiledRegion, Engine, EngineConfig, EngineVcpu, Observer, PlacedCode, Tier};
use emu_machine::mem::{Backing, Fixed, GuestMemory, MapRequest, Prot};
use std::fs;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

/// The rounds that are left, where the code begins, and what the code works on.
const ROUNDS: u32 = S1;
const START: u32 = 18;
const WORK: [u32; 8] = [T0, T1, T2, A0, A1, A2, A3, 28];

/// A stack where there is no kernel to make one.
const STACK: Range<u64> = 0x1000_0000..0x1000_1000;

/// A loop over `len` instructions that differ from one another, with branches and accesses of the stack. It begins at
/// its first instruction with [`START`] and [`ROUNDS`] set, and ends at `after`.
fn long_loop(len: usize, after: &[u32]) -> Vec<u32> {
    let mut random = Random::new(1);
    let mut words: Vec<u32> = Vec::with_capacity(len + after.len());
    while words.len() < len {
        let [rd, rs1, rs2] = [0; 3].map(|_| random.pick(&WORK));
        let cell = -8 * (1 + random.below(200) as i64);
        let forward = 4 * (2 + random.below(12) as i64);
        words.push(match random.below(16) {
            0 => beq(rs1, rs2, forward),
            1 => bne(rs1, rs2, forward),
            2 | 3 => ld(rd, cell, SP),
            4 | 5 => sd(rs1, cell, SP),
            6 => mul(rd, rs1, rs2),
            7..=9 => add(rd, rs1, rs2),
            10..=12 => xor(rd, rs1, rs2),
            _ => addi(rd, rs1, random.below(4096) as i64 - 2048),
        });
    }
    // No branch leads past these.
    words.extend([NOP; 16]);
    words.extend([addi(ROUNDS, ROUNDS, -1), beq(ROUNDS, ZERO, 8), jalr(ZERO, 0, START)]);
    words.extend(after);
    words
}

/// The number that a line of `--stats=json` has for a key; a process that was forked prints a line of its own.
fn statistic(out: &Output, key: &str) -> Vec<u64> {
    let text = String::from_utf8_lossy(&out.stderr);
    let key = format!("\"{key}\":");
    let values = text.split(&key).skip(1);
    values.map(|rest| rest[..rest.find(',').unwrap()].parse().unwrap()).collect()
}

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("emu-code-memory-{}-{name}", std::process::id()));
    fs::create_dir(&path).unwrap();
    path
}

fn emu(size: &str, program: &Path, directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
    let options = ["run", "--stats=json", "--code-cache", size];
    command.args(options).arg(program).current_dir(directory).env_clear().env("GUEST_TEST", "a value").output().unwrap()
}

#[test]
fn guest_programs_with_the_smallest_code_cache() {
    thread::scope(|scope| {
        for target in ["riscv64", "mipsel", "mips64el"] {
            scope.spawn(move || {
                ["floats", "heap", "threads", "guestjit", "selfmod"].map(|name| runs_and_flushes(target, name))
            });
        }
    });
}

fn runs_and_flushes(target: &str, name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/guest/bin").join(target).join(name);
    assert!(program.exists(), "{} is missing: run `tests/guest/prepare programs` first", program.display());
    // Some make files.
    let scratch = scratch(&format!("{target}-{name}"));
    let out = emu("256K", &program, &scratch);
    fs::remove_dir_all(scratch).unwrap();
    let expected = fs::read_to_string(root.join("tests/guest/programs").join(name).with_extension("out")).unwrap();
    assert!(out.status.success(), "{target} {name}: {out:?}");
    assert_eq!(String::from_utf8_lossy(&out.stdout), expected, "{target} {name}");
    assert!(statistic(&out, "flushes").iter().sum::<u64>() > 0, "{target} {name}: {out:?}");
    assert!(statistic(&out, "code_bytes").iter().all(|bytes| *bytes <= 256 << 10), "{target} {name}: {out:?}");
}

#[test]
fn more_code_than_fits() {
    const LEN: usize = 400_000;
    // Writes the registers that the code has worked on, and exits.
    let mut after = vec![addi(SP, SP, -64)];
    after.extend(WORK.iter().zip(0..).map(|(reg, cell)| sd(*reg, 8 * cell, SP)));
    after.extend([addi(A0, ZERO, 1), addi(A1, SP, 0), addi(A2, ZERO, 64), addi(A7, ZERO, 64), ECALL]);
    after.extend([addi(A0, ZERO, 0), addi(A7, ZERO, 93), ECALL]);
    // Both runs begin with the same registers and the same stack.
    let mut words = vec![addi(ROUNDS, ZERO, 5), lui(START, CODE + 0x1000)];
    words.extend((1..=200).map(|cell| sd(ZERO, -8 * cell, SP)));
    words.extend(WORK.iter().map(|reg| addi(*reg, ZERO, 0)));
    let to_loop = 0x1000 - 4 * words.len() as i64;
    words.push(jal(ZERO, to_loop));
    words.resize(0x1000 / 4, NOP);
    words.extend(long_loop(LEN, &after));

    let target = Target { wide: true, big: false, machine: 243, flags: 5 };
    let scratch = scratch("much");
    let path = scratch.join("program");
    fs::write(&path, executable(target, CODE, &[(CODE, bytes(&words))])).unwrap();
    let [small, large] = ["4M", "128M"].map(|size| emu(size, &path, &scratch));
    fs::remove_dir_all(scratch).unwrap();
    assert!(small.status.success() && small.stdout.len() == 64, "{small:?}");
    assert_eq!(small.stdout, large.stdout);
    assert!(statistic(&small, "flushes")[0] >= 3, "{small:?}");
    assert!(statistic(&small, "code_bytes")[0] <= 4 << 20, "{small:?}");
    assert_eq!(statistic(&large, "flushes"), [0]);
}

/// Sees how large regions are, and how long the compiling thread has worked for each.
#[derive(Default)]
struct Sizes {
    seen: Mutex<Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    regions: u64,
    most_insns: u32,
    most_bytes: usize,
    longest_us: u64,
    worked_us: u64,
}

/// The processor time of the calling thread, as far as the host tells.
fn thread_us() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0) / 1000
}

impl Observer for Sizes {
    fn wants_clif(&self) -> bool {
        false
    }

    fn block(&self, _: &dyn Guest, _: &Block, _: &mut dyn Fetch) {}

    fn region(&self, region: &CompiledRegion) {
        let mut seen = self.seen.lock().unwrap();
        let now = thread_us();
        // All regions are made by one thread. The first one's time is not known.
        let took = if seen.regions == 0 { 0 } else { now - seen.worked_us };
        *seen = Seen {
            regions: seen.regions + 1,
            most_insns: seen.most_insns.max(region.insn_count),
            most_bytes: seen.most_bytes.max(region.bytes.len() + region.cold.len()),
            longest_us: seen.longest_us.max(took),
            worked_us: now,
        };
    }

    fn placed(&self, _: PlacedCode) {}
}

/// Runs the loop so many rounds; the registers at its end.
fn run_loop(engine: &Arc<Engine>, rounds: u64) -> CpuState {
    let mut cpu = CpuState { pc: CODE, ..CpuState::default() };
    cpu.set(Slot(START as u16), CODE);
    cpu.set(Slot(ROUNDS as u16), rounds);
    cpu.set(Slot(SP as u16), STACK.end);
    run_to_syscall(EngineVcpu::new(Arc::clone(engine), cpu))
}

fn registers(cpu: &CpuState) -> Vec<u64> {
    (0..32).map(|reg| cpu.get(Slot(reg))).collect()
}

/// `EMU_TEST_HOT_INSNS=1000000 cargo test --release --test code_memory -- --nocapture regions` also tells how long they took.
#[test]
fn regions_of_endless_hot_code_stay_small() {
    let len = env_number("EMU_TEST_HOT_INSNS").unwrap_or(60_000) as usize;
    let words = long_loop(len, &[ECALL]);
    let engine = |config| {
        let memory = Arc::new(GuestMemory::new(64).unwrap());
        let bytes = bytes(&words);
        map(&memory, STACK.start, STACK.end - STACK.start, Prot::RW);
        map(&memory, CODE, (bytes.len() as u64).next_multiple_of(0x1000), Prot::RWX);
        memory.write_bytes(CODE, &bytes).unwrap();
        Engine::new(guest("rv64gc"), memory, config).unwrap()
    };
    const SIZE: usize = 512 << 10;
    // Without quick code the interpreter counts each run, and a few are enough to be hot.
    let config = EngineConfig { quick: None, threshold: 3, code_size: SIZE, ..EngineConfig::default() };
    let (tiered, sizes) = (engine(config), Arc::new(Sizes::default()));
    tiered.set_observer(Arc::clone(&sizes) as Arc<dyn Observer>);
    let interp = engine(EngineConfig { tier: Tier::Interp, ..config });
    for round in 1.. {
        let (found, expected) = (run_loop(&tiered, 5), run_loop(&interp, 5));
        assert!(registers(&found) == registers(&expected), "after {round} runs");
        let stats = tiered.stats();
        assert!(stats.code.code_bytes <= SIZE as u64, "{stats:?}");
        assert_eq!(stats.failed_regions, 0);
        if stats.code.insns >= len as u64 {
            break;
        }
    }
    let (seen, stats) = (*sizes.seen.lock().unwrap(), tiered.stats());
    println!("{seen:?}, {stats:?}");
    assert!(stats.code.flushes > 0, "{stats:?}");
    assert!(seen.most_insns as usize <= config.region_insns, "{seen:?}");
    // The smallest code cache that can be set holds the largest regions.
    assert!(seen.most_bytes <= 256 << 10, "{seen:?}");
}

/// The compile thread reads code that has gone from under it: that is no reason for the process to end.
#[test]
fn code_that_goes_while_its_region_is_made() {
    let scratch = scratch("gone");
    let file = fs::File::options().read(true).write(true).create_new(true).open(scratch.join("code")).unwrap();
    file.write_all_at(&bytes(&[addi(ROUNDS, ROUNDS, -1), bne(ROUNDS, ZERO, -4), ECALL]), 0).unwrap();
    file.set_len(0x1000).unwrap();
    fs::remove_dir_all(scratch).unwrap();
    let memory = Arc::new(GuestMemory::new(64).unwrap());
    let request = MapRequest {
        addr_hint: CODE,
        len: 0x1000,
        prot: Prot::RX,
        fixed: Fixed::Replace,
        backing: Backing::File { fd: file.as_raw_fd(), offset: 0 },
        ..MapRequest::default()
    };
    memory.mmap(&request).unwrap();
    let engine =
        Engine::new(guest("rv64gc"), memory, EngineConfig { threshold: 1000, ..EngineConfig::default() }).unwrap();
    run_loop(&engine, 10);
    assert_eq!(engine.stats().compile_nanos, 0);
    // What was translated before goes on; the region's translation gets SIGBUS.
    file.set_len(0).unwrap();
    while engine.stats().compile_nanos == 0 {
        run_loop(&engine, 10_000);
    }
    assert_eq!(engine.stats().code.regions, 0);
}
