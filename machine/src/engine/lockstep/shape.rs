//! What a region was made of: enough to make the same one again.

use super::Lockstep;
use crate::engine::Engine;
use crate::engine::blocks::{Extent, WatchedFetch, translate};
use crate::engine::entry::Entry;
use emu_backend_jit::{BlockSource, Region};
use emu_ir::{Block, BlockKey, IndirectKind, Terminator};
use std::collections::HashMap;
use std::sync::Arc;

/// The blocks of a region, and where its indirect jumps had gone when it was compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionShape {
    /// It is quick code instead, of a block or a run that begins with it.
    pub quick: bool,
    /// Address and number of instructions of each block; several times if its loop has several rounds.
    pub blocks: Vec<(u64, usize)>,
    /// The address of a block that ends with an indirect jump or call, and where inside it was seen to go. For quick code its own, and
    /// where it has always gone.
    pub jumps: Vec<(u64, Vec<u64>)>,
}

impl RegionShape {
    fn of(region: &Region) -> RegionShape {
        let mut shape = RegionShape::default();
        for rb in &region.blocks {
            let block = &rb.block;
            shape.blocks.extend(rb.parts().filter(|(pc, _)| *pc == block.key.pc || region.at(*pc).is_none()));
            if let Terminator::Indirect { kind: IndirectKind::Jump | IndirectKind::Call { .. }, .. } = block.term
                && !rb.known_targets.is_empty()
            {
                let targets = rb.known_targets.iter().map(|i| region.blocks[*i].block.key.pc);
                shape.jumps.push((block.key.pc, targets.collect()));
            }
        }
        shape
    }
}

impl Lockstep {
    /// Keeps what the region was made of.
    pub(in crate::engine) fn note_region(&self, region: &Region) {
        let key = BlockKey { pc: region.entry_pc(), mode: region.mode };
        self.shapes().insert(key, RegionShape::of(region));
    }

    /// The same for quick code, whose computed jump is `likely` to go there.
    pub(in crate::engine) fn note_quick(&self, block: &Block, likely: Option<u64>) {
        let pc = block.key.pc;
        let jumps = likely.map(|target| (pc, vec![target])).into_iter().collect();
        let shape = RegionShape { quick: true, blocks: vec![(pc, block.marks.len())], jumps };
        self.shapes().insert(block.key, shape);
    }

    /// The region at `key`, if only known regions are compiled: `Some(None)` if this is none of them.
    pub(in crate::engine) fn known_region(&self, key: BlockKey, engine: &Engine) -> Option<Option<Region>> {
        let shape = self.only.as_ref()?.get(&key).filter(|shape| !shape.quick);
        Some(shape.and_then(|shape| Region::discover(key, usize::MAX, &mut Source { engine, shape })))
    }
}

impl Engine {
    /// Has the block compiled as its shape says, if it is known; is there code for it now?
    pub(super) fn compile_known(&self, entry: &Entry, known: &HashMap<BlockKey, RegionShape>) -> bool {
        let key = entry.key;
        match known.get(&key) {
            None => false,
            Some(shape) if shape.quick => {
                let generation = self.code().generation();
                let mut source = Source { engine: self, shape };
                let (block, likely) = (source.block(key, usize::MAX), source.indirect_targets(key).pop());
                block.is_some_and(|block| self.put_quick(entry, &block, generation, likely).unwrap_or(false))
            }
            Some(_) => self.compile_entry(entry),
        }
    }
}

/// The blocks of a shape.
struct Source<'a> {
    engine: &'a Engine,
    shape: &'a RegionShape,
}

impl BlockSource for Source<'_> {
    fn block(&mut self, key: BlockKey, max_insns: usize) -> Option<Arc<Block>> {
        let (_, insns) = *self.shape.blocks.iter().find(|(pc, _)| *pc == key.pc)?;
        let mut fetch = WatchedFetch::new(&self.engine.mem);
        let extent = if self.shape.quick { Extent::Run } else { Extent::Block };
        translate(key, &*self.engine.guest, &mut fetch, insns.min(max_insns), extent).ok().map(Arc::new)
    }

    fn rounds_pay(&self, head: BlockKey, _: &[u64]) -> bool {
        self.shape.blocks.iter().filter(|(pc, _)| *pc == head.pc).count() > 1
    }

    fn indirect_targets(&self, key: BlockKey) -> Vec<u64> {
        self.shape.jumps.iter().find(|(pc, _)| *pc == key.pc).map(|(_, to)| to.clone()).unwrap_or_default()
    }
}
