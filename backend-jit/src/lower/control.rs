//! Terminators, exits and polls.

use super::Lower;
use crate::analysis::SlotSet;
use crate::context::{ExitCode, JUMP_MASK, PLACE_SCALE, PLACE_SHIFT, offset};
use crate::link::QUICK_ENTRY;
use crate::region::RegionBlock;
use crate::switch;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block as ClifBlock, BlockCall, ExternalName, GlobalValueData, InstBuilder, JumpTable, JumpTableData, MemFlagsData,
    UserExternalName, Value as ClifValue, types,
};
use emu_ir::{Block, ExitKind, NanRule, Terminator, Value};

/// Known targets of an indirect jump that are compared one by one; more are found by a table.
pub(crate) const MAX_COMPARES: usize = 4;
/// Logarithm of the size of the largest table of hashes.
const MAX_HASH_BITS: u32 = 8;

/// What a branch goes to.
enum Edge {
    /// A block of the region; `Some` if there is something to do on the way.
    Inside(Option<usize>),
    /// An address elsewhere.
    Outside(u64),
}

/// Some bits of an address, by which it is found in a table.
#[derive(Clone, Copy, Debug)]
struct Hash {
    shift: u32,
    bits: u32,
}

impl Hash {
    /// The smallest that tells all of them apart.
    fn of(pcs: &[(u64, ClifBlock)]) -> Option<Hash> {
        let candidates = (0..=MAX_HASH_BITS).flat_map(|bits| (1..16).map(move |shift| Hash { shift, bits }));
        candidates.into_iter().find(|hash| {
            let mut taken = [false; 1 << MAX_HASH_BITS];
            pcs.iter().all(|(pc, _)| !std::mem::replace(&mut taken[hash.index(*pc)], true))
        })
    }

    fn index(self, pc: u64) -> usize {
        (pc >> self.shift) as usize & ((1 << self.bits) - 1)
    }

    /// Each of them where its hash says, which is nowhere else.
    fn table(self, pcs: &[(u64, ClifBlock)]) -> Vec<u64> {
        let mut table = vec![NO_TARGET; 1 << self.bits];
        pcs.iter().for_each(|(pc, _)| table[self.index(*pc)] = *pc);
        table
    }
}

/// No block is there: addresses of instructions are even.
const NO_TARGET: u64 = 1;

/// The index by which the block's jump goes through its table, if that has all that are `known`.
fn switch_index(rb: &RegionBlock, known: &[(u64, ClifBlock)]) -> Option<Value> {
    let has_all = known.iter().all(|(pc, _)| rb.table.contains(pc));
    has_all.then(|| switch::index_of(&rb.block)).flatten()
}

impl Lower<'_> {
    pub(super) fn terminator(&mut self, index: usize) {
        let region = self.region;
        let rb = &region.blocks[index];
        match rb.block.term {
            Terminator::Jump { target, .. } => self.goto(target),
            Terminator::Branch { cond, taken, next } if taken == next => {
                self.uncount_if(cond, rb.skips);
                self.goto(next);
            }
            Terminator::Branch { cond, taken, next } => self.branch(cond, taken, next),
            Terminator::Indirect { target, .. } => self.indirect(target, rb),
            Terminator::Syscall { next } => {
                let insn = self.b.ins().iconst(types::I64, rb.block.last_pc() as i64);
                self.store_ctx(insn, offset::EXIT_AUX);
                self.pay_back(self.cur.ahead);
                self.exit(ExitCode::Syscall, next);
            }
            Terminator::Exit { kind: ExitKind::ModeChange, next } => {
                self.pay_back(self.cur.ahead);
                self.exit(ExitCode::ModeChange, next);
            }
            Terminator::ExitTo { kind: ExitKind::ModeChange, target } => {
                let target = self.bits64(target);
                self.pay_back(self.cur.ahead);
                self.exit_at(ExitCode::ModeChange, target);
            }
            Terminator::Trap { .. } | Terminator::Exit { .. } | Terminator::ExitTo { .. } => self.exit_to_interpreter(),
        }
    }

    fn goto(&mut self, target: u64) {
        let inside = self.region.successor(self.cur.block, target);
        self.pay_back(self.counted_for_nothing(inside));
        match inside {
            Some(i) => {
                self.load_missing_for(i);
                let block = self.blocks[i];
                self.b.ins().jump(block, &[]);
            }
            None => self.leave_through_slot(target),
        }
    }

    /// What has been counted ahead and is not needed on the way to a block of the region, or out of it. (From a block that nothing leads
    /// to, ways may seem longer than what was counted.)
    fn counted_for_nothing(&self, to: Option<usize>) -> u32 {
        self.cur.ahead.saturating_sub(to.map_or(0, |i| self.analysis.counted_in[i]))
    }

    /// A block from which to go on to the one of the region: that, or one that first pays back what was counted for a longer way, and
    /// loads what is missing; or one that keeps out of the way of those who stay in the loop.
    fn way_to(&mut self, index: usize) -> (ClifBlock, Option<usize>) {
        let nothing_to_do = self.counted_for_nothing(Some(index)) == 0
            && self.missing_for(index) == SlotSet::default()
            && self.extended_on_way(index) == SlotSet::default();
        let is_rare = self.region.ends_rounds(self.cur.block, index);
        if nothing_to_do && !is_rare {
            return (self.blocks[index], None);
        }
        let way = self.b.create_block();
        if is_rare {
            self.b.set_cold_block(way);
        }
        (way, Some(index))
    }

    /// Fills a block that [`Self::way_to`] has made.
    fn fill_way(&mut self, (way, to): (ClifBlock, Option<usize>)) {
        if let Some(index) = to {
            self.b.switch_to_block(way);
            self.pay_back(self.counted_for_nothing(to));
            self.load_missing_for(index);
            self.extend_on_way(index);
            let block = self.blocks[index];
            self.b.ins().jump(block, &[]);
        }
    }

    fn branch(&mut self, cond: Value, taken: u64, next: u64) {
        let cond = self.value(cond);
        let (a, b) = (self.edge(taken), self.edge(next));
        self.b.ins().brif(cond, a.0, &[], b.0, &[]);
        for ((block, edge), is_taken) in [(a, true), (b, false)] {
            match edge {
                Edge::Inside(rest) => self.fill_way((block, rest)),
                Edge::Outside(target) => {
                    self.b.switch_to_block(block);
                    self.learn_from_branch(self.cur.block, is_taken, self.cur.dirty);
                    self.pay_back(self.cur.ahead);
                    self.leave_through_slot(target);
                }
            }
        }
    }

    /// The block to branch to for a guest address, and what is to be put into it.
    fn edge(&mut self, target: u64) -> (ClifBlock, Edge) {
        match self.region.successor(self.cur.block, target) {
            Some(i) => {
                let (way, rest) = self.way_to(i);
                (way, Edge::Inside(rest))
            }
            None => {
                let block = self.b.create_block();
                self.b.set_cold_block(block);
                (block, Edge::Outside(target))
            }
        }
    }

    /// Goes to the block of the region that the target is, if it is a known one, or leaves and looks it up.
    fn indirect(&mut self, target: Value, rb: &RegionBlock) {
        let target = self.bits64(target);
        let ways: Vec<_> = rb.known_targets.iter().map(|&i| self.way_to(i)).collect();
        let pcs = rb.known_targets.iter().map(|&i| self.region.blocks[i].block.key.pc);
        let known: Vec<(u64, ClifBlock)> = pcs.zip(&ways).map(|(pc, way)| (pc, way.0)).collect();
        if known.len() <= MAX_COMPARES {
            self.jump_by_compares(target, &known);
        } else if let Some(index) = switch_index(rb, &known) {
            let index = self.bits64(index);
            self.jump_by_table(target, index, &known, &rb.table);
        } else if let Some(hash) = Hash::of(&known) {
            let index = self.b.ins().ushr_imm_u(target, i64::from(hash.shift));
            let index = self.b.ins().band_imm_u(index, (1 << hash.bits) - 1);
            self.jump_by_table(target, index, &known, &hash.table(&known));
        } else {
            self.jump_by_compares(target, &known);
        }
        self.pay_back(self.cur.ahead);
        self.flush(self.cur.dirty);
        self.jump_through_cache(target);
        ways.into_iter().for_each(|way| self.fill_way(way));
    }

    /// Jumps to the one of the first few of `known` that the target is; goes on here if it is none.
    fn jump_by_compares(&mut self, target: ClifValue, known: &[(u64, ClifBlock)]) {
        for &(pc, block) in &known[..known.len().min(MAX_COMPARES)] {
            let pc = self.b.ins().iconst(types::I64, pc as i64);
            let here = self.b.ins().icmp(IntCC::Equal, target, pc);
            let next = self.b.create_block();
            self.b.ins().brif(here, block, &[], next, &[]);
            self.b.switch_to_block(next);
        }
    }

    /// Jumps to the one of `known` that the target is, if `table` has it at the index; goes on here if not.
    fn jump_by_table(&mut self, target: ClifValue, index: ClifValue, known: &[(u64, ClifBlock)], table: &[u64]) {
        let elsewhere = self.b.create_block();
        self.b.set_cold_block(elsewhere);
        let checks: Vec<(u64, ClifBlock)> = known.iter().map(|(pc, _)| (*pc, self.b.create_block())).collect();
        let block_of = |pc: &u64| checks.iter().find(|check| check.0 == *pc).map_or(elsewhere, |check| check.1);
        let table: Vec<ClifBlock> = table.iter().map(block_of).collect();
        let table = self.jump_table(&table, elsewhere);
        let index = self.b.ins().ireduce(types::I32, index);
        self.b.ins().br_table(index, table);
        for ((pc, check), (_, block)) in checks.into_iter().zip(known) {
            self.b.switch_to_block(check);
            let pc = self.b.ins().iconst(types::I64, pc as i64);
            let here = self.b.ins().icmp(IntCC::Equal, target, pc);
            self.b.ins().brif(here, *block, &[], elsewhere, &[]);
        }
        self.b.switch_to_block(elsewhere);
    }

    /// Leaves to the code for `target`: here, so that the host predicts each such jump by itself; or to the machine if the jump cache does
    /// not have it.
    fn jump_through_cache(&mut self, target: ClifValue) {
        let table = self.load_ctx(types::I64, offset::JUMP_ENTRIES);
        self.jump_if_in_place(table, target, target);
        let above = self.b.ins().ushr_imm_u(target, i64::from(PLACE_SHIFT));
        let combined = self.b.ins().bxor(target, above);
        self.jump_if_in_place(table, target, combined);
        self.exit_clean(ExitCode::Next, target);
    }

    /// Leaves to the code for `target` if it is in the place of the jump cache that `bits` tell; if not, which is seldom, goes on here.
    fn jump_if_in_place(&mut self, table: ClifValue, target: ClifValue, bits: ClifValue) {
        let (hit, miss) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        let trusted = MemFlagsData::trusted();
        let index = self.b.ins().band_imm_u(bits, i64::from(JUMP_MASK));
        let distance = self.b.ins().ishl_imm_u(index, i64::from(PLACE_SCALE));
        let entry = self.b.ins().iadd(table, distance);
        let pc = self.b.ins().load(types::I64, trusted, entry, 0);
        let same = self.b.ins().icmp(IntCC::Equal, pc, target);
        self.b.ins().brif(same, hit, &[], miss, &[]);
        self.b.switch_to_block(hit);
        let code = self.b.ins().load(types::I64, trusted, entry, 8);
        let code = self.b.ins().iadd_imm_s(code, -(QUICK_ENTRY as i64));
        self.b.ins().return_call_indirect(self.code_sig, code, &[self.ctx, target]);
        self.b.switch_to_block(miss);
    }

    fn jump_table(&mut self, blocks: &[ClifBlock], default: ClifBlock) -> JumpTable {
        // Each entry owns its list of arguments: a copied one would share it.
        let pool = &mut self.b.func.dfg.value_lists;
        let table: Vec<BlockCall> = blocks.iter().map(|block| BlockCall::new(*block, [], pool)).collect();
        let default = BlockCall::new(default, [], pool);
        self.b.create_jump_table(JumpTableData::new(default, &table))
    }

    /// Leaves to a known guest address: jumps where the exit's slot points, which at first is back to the machine.
    fn leave_through_slot(&mut self, target: u64) {
        self.flush(self.cur.dirty);
        let index = self.out.slots.len() as u32;
        self.out.slots.push(target);
        let name = self.b.func.declare_imported_user_function(UserExternalName { namespace: 0, index });
        let symbol = self.b.create_global_value(GlobalValueData::Symbol {
            name: ExternalName::user(name),
            offset: 0.into(),
            colocated: true,
            tls: false,
        });
        let slot = self.b.ins().symbol_value(types::I64, symbol);
        let code = self.b.ins().load(types::I64, MemFlagsData::trusted(), slot, 0);
        self.b.ins().return_call_indirect(self.code_sig, code, &[self.ctx, slot]);
    }

    /// Returns to the machine with everything written back, to go on at `pc`.
    fn exit(&mut self, code: ExitCode, pc: u64) {
        let pc = self.b.ins().iconst(types::I64, pc as i64);
        self.exit_at(code, pc);
    }

    /// As [`Self::exit`], for an address that is computed.
    fn exit_at(&mut self, code: ExitCode, pc: ClifValue) {
        self.flush(self.cur.dirty);
        self.exit_clean(code, pc);
    }

    pub(super) fn exit_clean(&mut self, code: ExitCode, pc: ClifValue) {
        self.store_ctx(pc, offset::PC);
        let kind = self.b.ins().iconst(types::I32, code as i64);
        self.store_ctx(kind, offset::EXIT_KIND);
        self.b.ins().return_(&[]);
    }

    /// Leaves the current guest instruction to the interpreter: it traps, or is too rare to be compiled.
    pub(super) fn exit_to_interpreter(&mut self) {
        let insn = self.out.insns[self.cur.insn];
        if self.options.count_insns {
            self.uncount(u32::from(insn.left) + self.cur.ahead);
        }
        self.exit(ExitCode::Interpret, insn.pc);
    }

    /// As [`Self::exit_to_interpreter`], in a cold block, if `cond` is not 0.
    pub(super) fn leave_if(&mut self, cond: ClifValue) {
        self.aside_if(cond, Self::exit_to_interpreter);
    }

    /// Leaves with the trap that a helper raised, if `cond` is not 0. A branch whose delay slot trapped has been retired.
    pub(super) fn trap_if(&mut self, cond: ClifValue) {
        self.aside_if(cond, |this| {
            if this.options.count_insns {
                this.uncount(this.cur.not_run);
            }
            this.exit(ExitCode::Trap, this.out.insns[this.cur.insn].pc);
        });
    }

    /// Leaves as `exit` does, in a cold block, if `cond` is not 0.
    pub(super) fn aside_if(&mut self, cond: ClifValue, exit: impl FnOnce(&mut Self)) {
        let (cold, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        self.b.ins().brif(cond, cold, &[], go_on, &[]);
        self.b.seal_block(cold);
        self.b.seal_block(go_on);
        self.b.switch_to_block(cold);
        exit(self);
        self.b.switch_to_block(go_on);
    }

    /// Goes to a guest address if `cond` is not 0. (By way of memory where NaNs may still have to be made canonical, or the other block
    /// takes a register for a single that is none yet.)
    pub(super) fn leave_for_if(&mut self, cond: ClifValue, target: u64) {
        let inside = self.region.successor(self.cur.block, target).filter(|_| self.cur.nan != NanRule::Canonical);
        let inside = inside.filter(|i| self.has_singles_for(*i));
        let (aside, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(cond, aside, &[], go_on, &[]);
        self.b.switch_to_block(aside);
        if self.options.count_insns {
            self.uncount(self.cur.not_run - self.cur.ahead + self.counted_for_nothing(inside));
        }
        match inside {
            Some(i) => {
                self.box_for(&[i]);
                self.size_words_for(&[i], SlotSet::default());
                self.load_missing_for(i);
                let block = self.blocks[i];
                self.b.ins().jump(block, &[]);
            }
            None => {
                self.b.set_cold_block(aside);
                self.leave_through_slot(target);
            }
        }
        self.b.switch_to_block(go_on);
    }

    /// Leaves if another thread set `CpuState::interrupt`.
    pub(super) fn poll(&mut self, pc: u64, dirty: SlotSet, overwritten: SlotSet) {
        let flag = self.load_ctx(types::I32, offset::INTERRUPT);
        let (cold, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        self.b.ins().brif(flag, cold, &[], go_on, &[]);
        self.b.seal_block(cold);
        self.b.seal_block(go_on);
        self.b.switch_to_block(cold);
        self.flush(dirty.without(overwritten));
        let stale = dirty.0 & overwritten.0;
        for (half, at) in [(stale as u64, offset::STALE), ((stale >> 64) as u64, offset::STALE + 8)] {
            if half != 0 {
                let half = self.b.ins().iconst(types::I64, half as i64);
                self.store_ctx(half, at);
            }
        }
        let pc = self.b.ins().iconst(types::I64, pc as i64);
        self.exit_clean(ExitCode::Interrupted, pc);
        self.b.switch_to_block(go_on);
    }

    /// Counts the block's instructions; with `stops` leaves before it if they would pass the limit.
    pub(super) fn count(&mut self, block: &Block, stops: bool) {
        if self.options.fuel {
            if stops {
                self.take_fuel(block);
            }
            return;
        }
        let before = self.load_ctx(types::I64, offset::INSN_COUNT);
        let n = self.b.ins().iconst(types::I64, i64::from(block.insn_count()));
        let after = self.b.ins().iadd(before, n);
        if stops {
            let limit = self.load_ctx(types::I64, offset::INSN_LIMIT);
            let over = self.b.ins().icmp(IntCC::UnsignedGreaterThan, after, limit);
            let (cold, go_on) = (self.b.create_block(), self.b.create_block());
            self.b.set_cold_block(cold);
            self.b.ins().brif(over, cold, &[], go_on, &[]);
            self.b.switch_to_block(cold);
            self.exit(ExitCode::Budget, block.key.pc);
            self.b.switch_to_block(go_on);
        }
        self.store_ctx(after, offset::INSN_COUNT);
    }

    /// Counts the instructions of the longest way from the block to the next stop; leaves before it if they would pass the limit, which
    /// is 0 here.
    fn take_fuel(&mut self, block: &Block) {
        let before = self.load_ctx(types::I64, offset::INSN_COUNT);
        let n = self.b.ins().iconst(types::I64, i64::from(block.insn_count() + self.cur.ahead));
        let after = self.b.ins().iadd(before, n);
        let zero = self.b.ins().iconst(types::I64, 0);
        let over = self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, after, zero);
        self.aside_if(over, |this| this.exit(ExitCode::Budget, block.key.pc));
        self.store_ctx(after, offset::INSN_COUNT);
    }

    /// The way taken is so many instructions shorter than what has been counted.
    fn pay_back(&mut self, insns: u32) {
        if insns > 0 {
            self.uncount(insns);
        }
    }

    /// Takes back the count of instructions that have not run if the condition holds.
    fn uncount_if(&mut self, cond: Value, insns: u32) {
        if self.options.count_insns && insns > 0 {
            let (cond, zero) = (self.value(cond), self.b.ins().iconst(types::I64, 0));
            let n = self.b.ins().iconst(types::I64, i64::from(insns));
            let n = self.b.ins().select(cond, n, zero);
            self.uncount_by(n);
        }
    }

    /// Takes back the count of instructions that did not run.
    fn uncount(&mut self, insns: u32) {
        let n = self.b.ins().iconst(types::I64, i64::from(insns));
        self.uncount_by(n);
    }

    fn uncount_by(&mut self, n: ClifValue) {
        let counted = self.load_ctx(types::I64, offset::INSN_COUNT);
        let right = self.b.ins().isub(counted, n);
        self.store_ctx(right, offset::INSN_COUNT);
    }
}
