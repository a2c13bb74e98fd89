//! From a segment that differs to the first block, and where possible the instruction, that does.

use super::journal::MemoryDiff;
use super::pair::{Mismatch, Pair, Stop};
use super::reproducer::{Page, Reproducer};
use super::{LockstepConfig, RegionShape};
use crate::engine::blocks::{Extent, decode, translate};
use crate::engine::{BLOCK_INSNS, Engine, EngineConfig, Tier};
use crate::mem::{PAGE_SIZE, Prot, UserEnv};
use emu_backend_jit::JitError;
use emu_ir::{BlockKey, CpuState, Exit, Guest, text};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes of code for the single blocks that are compiled on the way, and for all regions of a segment.
const SCRATCH_CODE: usize = 1 << 20;
const FINE_CODE: usize = 32 << 20;

/// What became of a segment that differed.
pub enum Located {
    /// It differs again.
    Here(Box<Divergence>),
    /// It does not when it is run again: the hart is where the segment began.
    Nowhere,
}

/// Compiled code and the interpreter disagree.
pub struct Divergence {
    pub(super) guest: Arc<dyn Guest>,
    /// The block.
    pub key: BlockKey,
    /// The first instruction after which they do, if the block, cut after it, still differs.
    pub insn: Option<u64>,
    /// The block's instructions: address, in the manual's assembly.
    pub instructions: Vec<(u64, String)>,
    /// The block's IR, as the compiler gets it.
    pub ir: String,
    /// The registers before the block.
    pub before: CpuState,
    /// Why compiled code stopped, and with which registers.
    pub stop: Stop,
    /// The registers then.
    pub compiled: CpuState,
    /// Why the interpreter stopped.
    pub exit: Exit,
    /// The registers then.
    pub interpreted: CpuState,
    /// What is different in memory.
    pub memory: Vec<MemoryDiff>,
    /// All that is needed to see it again.
    pub reproducer: Reproducer,
}

/// A run that differs, from a state that the hart can be put into.
struct Case {
    start: CpuState,
    insns: u64,
    mismatch: Box<Mismatch>,
    regions: HashMap<BlockKey, RegionShape>,
}

/// Finds out where the segment begins to differ. The mismatch has just been found; if it is found again and again and the search
/// finds nothing, `insist` has the segment itself reported.
pub(super) fn locate(pair: &mut Pair, first: Mismatch, insist: bool) -> Located {
    pair.env.given_counters = pair.env.counters.clone();
    pair.env.undo_interpreted();
    pair.set_cpu(&first.start);
    // Files that are mapped to be read, as the C library's tables, rarely change. Now this is a suspicion.
    if pair.env.has_shared_read_only() && !pair.lockstep().wary.swap(true, Ordering::SeqCst) {
        pair.env.given_counters.clear();
        return Located::Nowhere;
    }
    let interrupted = pair.hart.cpu().interrupt.swap(0, Ordering::SeqCst);
    let insns = first.end().saturating_sub(first.start.insn_count).max(1);
    let mut search = Search { pair };
    // The same regions, compiled so that they can be stopped at any block, mostly make the same mistake.
    let fine = search.fine().map_or(Located::Nowhere, |mut pair| Search { pair: &mut pair }.run(insns));
    let located = match if let Located::Nowhere = fine { search.run(insns) } else { fine } {
        Located::Nowhere if insist => Located::Here(Box::new(search.whole(first))),
        located => located,
    };
    pair.env.given_counters.clear();
    if interrupted != 0 {
        pair.hart.cpu().interrupt.store(interrupted, Ordering::SeqCst);
    }
    located
}

struct Search<'a> {
    pair: &'a mut Pair,
}

impl Search<'_> {
    /// Runs some `insns` instructions both ways from where the hart is, and goes back.
    fn probe(&mut self, insns: u64) -> Result<(), Box<Mismatch>> {
        let start = self.pair.hart.cpu().clone();
        let result = self.pair.compare(insns).map(drop);
        self.pair.env.undo_interpreted();
        self.pair.set_cpu(&start);
        self.pair.hart.cpu().interrupt.store(0, Ordering::SeqCst);
        result
    }

    /// Finds the place among the next `insns` instructions.
    fn run(&mut self, insns: u64) -> Located {
        let start = self.pair.hart.cpu().clone();
        let Some((good, bad, mismatch)) = self.bisect(insns) else { return Located::Nowhere };
        // Forward to the last stop up to which they agree.
        if self.pair.compare(good).is_err() {
            self.pair.env.undo_interpreted();
            self.pair.set_cpu(&start);
            return Located::Nowhere;
        }
        let way = self.pair.env.interpreted().clone();
        let before = self.pair.hart.cpu().clone();
        let key = BlockKey { pc: before.pc, mode: before.mode };
        let shown = self.pair.shown.unwrap_or(mismatch.end().saturating_sub(before.insn_count));
        let (insn, alone) = self.instruction(key, shown);
        let case = alone.unwrap_or_else(|| {
            way.clone().undo(&self.pair.engine.mem);
            self.pair.set_cpu(&start);
            let regions = self.pair.lockstep().shapes().clone();
            Case { start, insns: bad, mismatch, regions }
        });
        Located::Here(Box::new(Divergence { insn, ..self.divergence(key, shown, before, case) }))
    }

    /// The segment that the hart is at the beginning of, as far as its first block shows it.
    fn whole(&mut self, mismatch: Mismatch) -> Divergence {
        let start = mismatch.start.clone();
        let key = BlockKey { pc: start.pc, mode: start.mode };
        let insns = mismatch.end().saturating_sub(start.insn_count).max(1);
        let regions = self.pair.lockstep().shapes().clone();
        let case = Case { start: start.clone(), insns, mismatch: Box::new(mismatch), regions };
        self.divergence(key, insns, start, case)
    }

    fn divergence(&mut self, key: BlockKey, shown: u64, before: CpuState, case: Case) -> Divergence {
        let (instructions, ir) = (self.instructions(key, shown), self.ir(key, shown));
        let reproducer = self.reproducer(&case, shown);
        let Mismatch { stop, compiled, interpreted, exit, memory, .. } = *case.mismatch;
        let guest = Arc::clone(&self.pair.engine.guest);
        Divergence {
            guest,
            key,
            insn: None,
            instructions,
            ir,
            before,
            stop,
            compiled,
            exit,
            interpreted,
            memory,
            reproducer,
        }
    }

    /// A number of instructions after which they agree, and the next one after which they do not; none if they agree now.
    fn bisect(&mut self, insns: u64) -> Option<(u64, u64, Box<Mismatch>)> {
        let mut bad = insns;
        let mut mismatch = self.probe(bad).err()?;
        loop {
            let (mut good, end) = (0, bad);
            while bad - good > 1 {
                let middle = good + (bad - good) / 2;
                match self.probe(middle) {
                    Ok(()) => good = middle,
                    Err(found) => (bad, mismatch) = (middle, found),
                }
            }
            // A register that differs may be written again, and there are several such places. Whoever replays the run up to
            // this one has to find the same.
            if bad == end {
                return Some((good, bad, mismatch));
            }
        }
    }

    /// A pair with all regions that are known here, which can be stopped at any block; none if this is one.
    fn fine(&self) -> Option<Pair> {
        let lockstep = self.pair.lockstep();
        if lockstep.stops_at_blocks() {
            return None;
        }
        let regions = lockstep.shapes().clone();
        self.scratch(regions, FINE_CODE).ok()
    }

    /// The first instruction after which the block, cut there and compiled alone, differs: as quick code, if there is any,
    /// or by the other compiler.
    fn instruction(&mut self, key: BlockKey, insns: u64) -> (Option<u64>, Option<Case>) {
        let has_quick = self.pair.lockstep().shapes().get(&key).is_some_and(|shape| shape.quick);
        let found = if has_quick { self.cut(key, insns, true) } else { (None, None) };
        if found.0.is_some() { found } else { self.cut(key, insns, false) }
    }

    fn cut(&mut self, key: BlockKey, insns: u64, quick: bool) -> (Option<u64>, Option<Case>) {
        let marks: Vec<u64> = self.instructions(key, insns).into_iter().map(|(pc, _)| pc).collect();
        for (before, pc) in marks.into_iter().enumerate() {
            let shape = RegionShape { quick, blocks: vec![(key.pc, before + 1)], jumps: vec![] };
            let regions = HashMap::from([(key, shape)]);
            let Ok(mut pair) = self.scratch(regions.clone(), SCRATCH_CODE) else { break };
            let insns = before as u64 + 1;
            let found = Search { pair: &mut pair }.probe(insns).err();
            if let Some(mismatch) = found {
                let start = self.pair.hart.cpu().clone();
                return (Some(pc), Some(Case { start, insns, mismatch, regions }));
            }
        }
        (None, None)
    }

    /// Another pair in the same place that compiles these regions only, and can be stopped at any block.
    fn scratch(&self, regions: HashMap<BlockKey, RegionShape>, code_size: usize) -> Result<Pair, JitError> {
        let own = &self.pair.engine;
        let lockstep = own.config.lockstep.map(|config| LockstepConfig { stop_at_blocks: true, ..config });
        let config = EngineConfig { tier: Tier::Jit, code_size, lockstep, ..own.config };
        let (guest, mem) = (Arc::clone(&own.guest), Arc::clone(&own.mem));
        let engine = Engine::with_regions(guest, mem, config, Some(regions))?;
        engine.take_switches(own);
        let mut pair = Pair::new(engine, self.pair.hart.cpu().clone());
        pair.env.given_counters = self.pair.env.given_counters.clone();
        pair.env.look_for_shared(own.lockstep().is_wary());
        pair.shown = self.pair.shown;
        Ok(pair)
    }

    /// The instructions of the block, at most so many.
    fn instructions(&self, key: BlockKey, insns: u64) -> Vec<(u64, String)> {
        let engine = &self.pair.engine;
        let mut code = UserEnv::new(Arc::clone(&engine.mem));
        let max = usize::try_from(insns).unwrap_or(BLOCK_INSNS).clamp(1, BLOCK_INSNS);
        let Ok(block) = decode(key, &*engine.guest, &mut code, max, Extent::Run) else { return Vec::new() };
        let text = |pc, code: &mut UserEnv| engine.guest.disassemble(pc, code).map_or(String::new(), |(text, _)| text);
        block.marks.iter().map(|mark| (mark.pc, text(mark.pc, &mut code))).collect()
    }

    fn ir(&self, key: BlockKey, insns: u64) -> String {
        let engine = &self.pair.engine;
        let mut code = UserEnv::new(Arc::clone(&engine.mem));
        let max = usize::try_from(insns).unwrap_or(BLOCK_INSNS).clamp(1, BLOCK_INSNS);
        let block = translate(key, &*engine.guest, &mut code, max, Extent::Run);
        block.map_or(String::new(), |block| text::print(&block, text::Names::of(&*engine.guest)))
    }

    /// The file's content. The hart is put where the case begins.
    fn reproducer(&mut self, case: &Case, shown: u64) -> Reproducer {
        self.pair.set_cpu(&case.start);
        let (pages, pcs) = self.touched(case);
        let engine = &self.pair.engine;
        let mut regions: Vec<(BlockKey, RegionShape)> =
            case.regions.iter().filter(|(key, _)| pcs.contains(&key.pc)).map(|(k, s)| (*k, s.clone())).collect();
        regions.sort_by_key(|(key, _)| *key);
        let code = regions.iter().flat_map(|(_, shape)| &shape.blocks);
        // An instruction has four bytes at most.
        let code = code.flat_map(|&(pc, insns)| pc / PAGE_SIZE..=(pc + 4 * insns as u64) / PAGE_SIZE);
        let pages: BTreeSet<u64> = pages.into_iter().chain(code.map(|page| page * PAGE_SIZE)).collect();
        Reproducer {
            isa: engine.guest.name(),
            precise: engine.precise.load(Ordering::SeqCst),
            announce: engine.lockstep().announces(),
            stop_at_blocks: engine.lockstep().stops_at_blocks(),
            cpu: CpuState { insn_count: 0, ..case.start.clone() },
            insns: case.insns,
            shown,
            counters: self.pair.env.given_counters.clone(),
            regions,
            pages: pages.into_iter().filter_map(|addr| self.page(addr)).collect(),
            expected: CpuState {
                insn_count: case.mismatch.interpreted.insn_count - case.start.insn_count,
                ..case.mismatch.interpreted.clone()
            },
        }
    }

    fn page(&self, addr: u64) -> Option<Page> {
        let mem = &self.pair.engine.mem;
        let prot = mem.prot_at(addr).filter(|prot| *prot != Prot::NONE)?;
        let mut bytes = vec![0; PAGE_SIZE as usize];
        mem.read_bytes(addr, &mut bytes).ok()?;
        Some(Page { addr, prot, bytes })
    }

    /// The pages that the case's run reads, writes or executes, and the addresses of the instructions it executes.
    fn touched(&mut self, case: &Case) -> (BTreeSet<u64>, BTreeSet<u64>) {
        (self.pair.env.touched, self.pair.trace) = (Some(BTreeSet::new()), Some(Vec::new()));
        // By the interpreter alone: compiled code may not be able to stop there.
        self.pair.env.begin_alone();
        self.pair.interpret_to(case.mismatch.end());
        self.pair.env.undo_interpreted();
        self.pair.set_cpu(&case.start);
        let mut pages = self.pair.env.touched.take().unwrap_or_default();
        let trace = self.pair.trace.take().unwrap_or_default();
        pages.extend(self.pair.env.written());
        let mut pcs = BTreeSet::new();
        for pc in trace.into_iter().collect::<BTreeSet<u64>>() {
            let Ok(entry) = self.pair.engine.plain_block(BlockKey { pc, mode: case.start.mode }) else { continue };
            let Some(block) = entry.block() else { continue };
            pcs.extend(block.marks.iter().map(|mark| mark.pc));
            pages.extend((pc / PAGE_SIZE..=block.end() / PAGE_SIZE).map(|page| page * PAGE_SIZE));
        }
        (pages, pcs)
    }
}

impl Engine {
    /// Takes over what the other engine has been told since it was made.
    pub(super) fn take_switches(&self, other: &Engine) {
        self.set_switches(other.precise.load(Ordering::SeqCst), other.lockstep().announces());
    }

    /// Are faults precise, are accesses announced?
    pub(super) fn set_switches(&self, precise: bool, announce: bool) {
        if precise {
            self.set_precise();
        }
        if announce {
            self.announce();
        }
    }
}
