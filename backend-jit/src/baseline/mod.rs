//! The quick compiler: one block at a time, or a run of them, straight from our IR to x86-64, in one pass.
//!
//! It makes code some ten times faster than the region compiler does, and the code runs at perhaps half the speed: most guest
//! registers stay in memory between translations. It is for what runs too often to be interpreted and not often enough for a
//! region. Its code counts runs ([`HOT_PERIOD`]) so that the machine sees what deserves one.
//!
//! - `asm`: the instructions; `regs`: where values are; `hot`: registers that stay in the host's; `lower`: integers, memory, control;
//!   `atomic`; `float`.
//!
//! The guest's hot registers are in the host's all the time ([`hot`]), the others in their slots. Either is written where the IR sets
//! it, so that at any fault the registers are exact and the interpreter can run the instruction again. What leaves is put elsewhere
//! ([`CompiledRegion::cold`]). What an op means
//! is `emu_ir::eval`'s to say; rare ones are calls of it ([`HelperCall`]).

mod asm;
mod atomic;
mod buffer;
mod convert;
mod float;
mod hot;
mod lower;
mod regs;
mod watch;

use crate::compile::CompiledRegion;
use crate::context::{ExitCode, HOT_PERIOD, offset};
use crate::helpers::HelperCall;
use crate::link::{COLD_BASE, DirectExit, QUICK_ENTRY, RECORD_BACK, RECORD_CALL, Spot};
use crate::lower::InsnRef;
use crate::region::PageList;
use crate::{CompileOptions, JitError};
use asm::*;
use buffer::CodeBuffer;
use emu_ir::{Block, ExitKind, Inst, NanRule, Terminator, Type, Value};
use hot::{COUNTDOWN, first_place};
pub(crate) use hot::{QuickStubs, REGION_PREFIX, StubAddresses, region_prefix};
use regs::{Place, Places, field};
use std::sync::OnceLock;

const _: () = assert!(HOT_PERIOD > 0);

/// The block has an op that is left to the other engines.
#[derive(Debug)]
struct Unsupported;

/// Makes quick code; one per thread, its buffers are used again.
#[derive(Debug, Default)]
pub struct QuickCompiler {
    made: CompiledRegion,
    lists: Lists,
}

impl QuickCompiler {
    /// Compiles a block.
    ///
    /// # Errors
    /// If the block holds an op that this compiler does not have, or the host lacks an instruction.
    pub fn compile(&mut self, block: &Block, options: &CompileOptions) -> Result<&CompiledRegion, JitError> {
        let refused = |message: &str| JitError::Region { pc: block.key.pc, message: message.to_owned() };
        if !host_is_fit() {
            return Err(refused("the host has no lzcnt, tzcnt and popcnt"));
        }
        let mut lower = Lower::new(block, options, self);
        lower.block().map_err(|Unsupported| refused("an op is not for quick code"))?;
        lower.finish(self);
        Ok(&self.made)
    }
}

fn host_is_fit() -> bool {
    static FIT: OnceLock<bool> = OnceLock::new();
    *FIT.get_or_init(|| {
        use std::arch::is_x86_feature_detected as has;
        has!("lzcnt") && has!("bmi1") && has!("popcnt")
    })
}

/// Code out of the way: takes back the count of instructions that have not run, and leaves.
struct Cold {
    from: Jump,
    way: WayOut,
    uncount: u32,
}

/// How code is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WayOut {
    /// To the machine, at this address.
    Machine(ExitCode, u64),
    /// To the code for this address.
    Code(u64),
    /// To the code for the address in rsi, which is not in its first place in the jump cache, by the stub; from the computed jump of the
    /// block at this address.
    Elsewhere(u64),
    /// The same, and the first place has not been looked at.
    Unlikely(u64),
}

/// Lists that are needed while a block is lowered.
#[derive(Debug, Default)]
struct Lists {
    outs: Vec<(Jump, WayOut)>,
    values: Vec<Place>,
    housed: Vec<Value>,
}

/// A list's memory, without what was in it.
fn emptied<T>(list: &mut Vec<T>) -> Vec<T> {
    list.clear();
    std::mem::take(list)
}

/// State while a block is lowered.
struct Lower<'a> {
    asm: Asm,
    /// For what follows when that is done.
    cold_asm: Asm,
    block: &'a Block,
    options: &'a CompileOptions,
    places: Places,
    /// The guest instruction.
    insn: usize,
    traps: Vec<(u32, u32)>,
    /// Guest instructions that access memory.
    insns: Vec<InsnRef>,
    cold: Vec<Cold>,
    /// What follows all code: calls of the stubs that leave, each with what they want to know.
    outs: Vec<(Jump, WayOut)>,
    exits: Vec<DirectExit>,
}

impl<'a> Lower<'a> {
    fn new(block: &'a Block, options: &'a CompileOptions, memory: &mut QuickCompiler) -> Lower<'a> {
        let QuickCompiler { made, lists } = memory;
        let places = (emptied(&mut lists.values), emptied(&mut lists.housed));
        let far = emptied(&mut made.cold_jumps);
        Lower {
            asm: Asm { code: CodeBuffer::new(std::mem::take(&mut made.bytes)), ..Asm::default() },
            cold_asm: Asm { code: CodeBuffer::new(std::mem::take(&mut made.cold)), base: COLD_BASE, far },
            block,
            options,
            places: Places::new(&block.insts, block.term.arg(), options.hot, places),
            insn: 0,
            traps: emptied(&mut made.traps),
            insns: emptied(&mut made.insns),
            cold: Vec::new(),
            outs: emptied(&mut lists.outs),
            exits: emptied(&mut made.exits),
        }
    }

    fn ty(&self, v: Value) -> Type {
        self.block.ty(v)
    }

    fn block(&mut self) -> Result<(), Unsupported> {
        let block = self.block;
        self.entry();
        let first_of = |insn: usize| block.marks.get(insn).map_or(u32::MAX, |mark| mark.first);
        let mut next = first_of(1);
        for (i, inst) in block.insts.iter().enumerate() {
            let at = Value(i as u32);
            while next <= at.0 {
                self.insn += 1;
                next = first_of(self.insn + 1);
            }
            self.inst(at, inst)?;
            self.spoil(at, inst);
            self.end_inst(at);
        }
        self.insn = block.marks.len() - 1;
        self.terminator();
        Ok(())
    }

    /// Gets the guest's memory and its hot registers in reach for who comes from elsewhere, polls, and counts.
    fn entry(&mut self) {
        self.asm.call_field(offset::FILL_STUB);
        self.asm.code.push(NOP);
        assert_eq!(u64::from(self.asm.here()), QUICK_ENTRY, "the length of the entry from elsewhere");
        let out = WayOut::Machine(ExitCode::Hot, self.block.key.pc);
        if self.may_close_loop() {
            self.asm.alu_imm(Alu::Cmp, false, field(offset::INTERRUPT), 0);
            self.leave_if(Cc::NotEqual, out, 0);
        }
        self.asm.dec(COUNTDOWN);
        self.leave_if(Cc::Sign, out, 0);
        self.count_insns();
    }

    /// Does the block lead back by a jump to a known address? Each loop has such a block, or a region, which polls itself, or a computed
    /// jump, which leaves when the hart is interrupted.
    fn may_close_loop(&self) -> bool {
        let start = self.block.key.pc;
        let back = |inst: &Inst| matches!(*inst, Inst::LeaveIf { target, .. } if target <= start);
        match self.block.term {
            Terminator::Jump { target, .. } if target <= start => true,
            Terminator::Branch { taken, next, .. } if taken <= start || next <= start => true,
            Terminator::Indirect { .. } if self.options.likely.is_some_and(|target| target <= start) => true,
            _ => self.block.insts.iter().any(back),
        }
    }

    /// Leaves if the condition holds, with so many instructions of the block not run.
    fn leave_if(&mut self, cc: Cc, way: WayOut, uncount: u32) {
        if uncount == 0 || !self.options.count_insns {
            self.jump_out(Some(cc), way);
        } else {
            let from = self.asm.jcc(cc);
            self.cold.push(Cold { from, way, uncount });
        }
    }

    /// Leaves.
    fn leave(&mut self, way: WayOut) {
        self.jump_out(None, way);
    }

    fn jump_out(&mut self, cc: Option<Cc>, way: WayOut) {
        let from = match way {
            WayOut::Machine(..) | WayOut::Elsewhere(_) | WayOut::Unlikely(_) => self.asm.jump(cc),
            WayOut::Code(_) => self.asm.aligned_jump(cc),
        };
        self.outs.push((from, way));
    }

    /// Leaves for the code at `pc` if the condition holds; the current instruction has not run then.
    fn leave_for_if(&mut self, cc: Cc, pc: u64) {
        self.leave_if(cc, WayOut::Code(pc), self.not_run());
    }

    /// Instructions of the block that have not run when the one at `index` leaves to the interpreter: a delay slot with
    /// its branch, which has the same pc.
    fn left(&self, index: usize) -> u32 {
        let marks = &self.block.marks;
        let before = marks[..index].iter().take_while(|m| m.pc != marks[index].pc).count();
        (marks.len() - before) as u32
    }

    /// Leaves the current guest instruction to the interpreter if the condition holds.
    fn interpret_if(&mut self, cc: Cc) {
        let pc = self.block.marks[self.insn].pc;
        self.leave_if(cc, WayOut::Machine(ExitCode::Interpret, pc), self.left(self.insn));
    }

    /// Leaves with the trap that a helper raised, if the condition holds. A branch whose delay slot trapped has been retired.
    fn trap_if(&mut self, cc: Cc) {
        let pc = self.block.marks[self.insn].pc;
        self.leave_if(cc, WayOut::Machine(ExitCode::Trap, pc), self.not_run());
    }

    /// Instructions of the block from the current one on.
    fn not_run(&self) -> u32 {
        (self.block.marks.len() - self.insn) as u32
    }

    fn cold_code(&mut self) {
        for Cold { from, way, uncount } in std::mem::take(&mut self.cold) {
            self.asm.land(from);
            self.uncount(uncount);
            self.leave(way);
        }
    }

    /// The calls of stubs ([`crate::link`]); those that follow each other and are the same to the machine are one.
    fn ways_out(&mut self) {
        let mut made: Option<(WayOut, Spot)> = None;
        for i in 0..self.outs.len() {
            let (from, way) = self.outs[i];
            let known = made.filter(|(known, _)| *known == way).map(|(_, at)| at);
            self.asm.land_at(from, known.unwrap_or(self.asm.here()));
            match way {
                WayOut::Machine(..) if known.is_some() => {}
                WayOut::Machine(kind, pc) => {
                    made = Some((way, self.asm.here()));
                    self.asm.call_field(offset::LEAVE_STUB);
                    self.asm.code.put(pc.to_le_bytes(), 8);
                    self.asm.code.push(kind as u8);
                }
                WayOut::Elsewhere(from) => self.jump_by_stub(from),
                WayOut::Unlikely(from) => {
                    let lost = self.try_first_place();
                    self.asm.land(lost);
                    self.jump_by_stub(from);
                }
                WayOut::Code(target) => {
                    let start = self.asm.here();
                    self.asm.call_field(offset::EXIT_STUB);
                    let at = self.asm.here();
                    assert_eq!((at - start) as usize, RECORD_CALL, "the length of the call");
                    self.asm.code.put(target.to_le_bytes(), 8);
                    assert_eq!((self.asm.here() - at) as usize, RECORD_BACK, "the length of an address");
                    // How far before the record: known when both have their places.
                    self.asm.code.put([0; 4], 4);
                    self.exits.push(DirectExit { target, at, operand: from.operand() });
                }
            }
        }
    }

    fn store_const(&mut self, offset: i32, value: u64) {
        match i32::try_from(value as i64) {
            Ok(imm) => self.asm.store_imm(8, field(offset), imm),
            Err(_) => {
                self.asm.mov_imm(RAX, value);
                self.asm.store(8, field(offset), RAX);
            }
        }
    }

    fn terminator(&mut self) {
        match self.block.term {
            Terminator::Jump { target, .. } => self.leave(WayOut::Code(target)),
            Terminator::Branch { cond, taken, next } => {
                let cc = self.flags(cond);
                self.leave_if(cc, WayOut::Code(taken), 0);
                self.leave(WayOut::Code(next));
            }
            Terminator::Indirect { target, .. } => {
                self.copy(target, RSI);
                let from = self.block.last_joint();
                match self.options.likely {
                    Some(likely) => {
                        self.asm.mov_imm(RAX, likely);
                        self.asm.alu(Alu::Cmp, true, RSI, RAX);
                        self.leave_if(Cc::NotEqual, WayOut::Unlikely(from), 0);
                        self.leave(WayOut::Code(likely));
                    }
                    None => {
                        let lost = self.try_first_place();
                        self.outs.push((lost, WayOut::Elsewhere(from)));
                    }
                }
            }
            Terminator::Syscall { next } => {
                self.store_const(offset::EXIT_AUX, self.block.last_pc());
                self.leave(WayOut::Machine(ExitCode::Syscall, next));
            }
            Terminator::Exit { kind: ExitKind::ModeChange, next } => {
                self.leave(WayOut::Machine(ExitCode::ModeChange, next));
            }
            Terminator::ExitTo { kind: ExitKind::ModeChange, target } => {
                self.copy(target, RAX);
                self.asm.store(8, field(offset::PC), RAX);
                self.asm.store_imm(4, field(offset::EXIT_KIND), ExitCode::ModeChange as i32);
                self.asm.call_field(offset::SPILL_STUB);
                self.asm.ret();
            }
            Terminator::Trap { .. } | Terminator::Exit { .. } | Terminator::ExitTo { .. } => {
                self.uncount(self.left(self.block.marks.len() - 1));
                self.leave(WayOut::Machine(ExitCode::Interpret, self.block.last_pc()));
            }
        }
    }

    /// Jumps to the code for the guest address in rsi if the jump cache has it in its first place: here, so that the host predicts each
    /// such jump by itself. An interrupted hart has an empty one.
    fn try_first_place(&mut self) -> Jump {
        self.asm.mov(true, RCX, field(offset::JUMP_ENTRIES));
        let entry = first_place(&mut self.asm);
        self.asm.alu(Alu::Cmp, true, RSI, entry);
        let lost = self.asm.jcc(Cc::NotEqual);
        self.asm.jump_to(Mem { disp: 8, ..entry });
        lost
    }

    /// The same if it has it in its second place; leaves to the machine if not.
    fn jump_by_stub(&mut self, from: u64) {
        self.asm.store_imm(4, field(offset::JUMPED_FROM), from as i32);
        self.asm.jump_to(field(offset::LOST_STUB));
    }

    /// The host instruction that follows accesses guest memory.
    fn trap(&mut self) {
        let m = &self.block.marks[self.insn];
        let left = self.left(self.insn);
        let insn = InsnRef { pc: m.pc, len: m.len, left: left as u16, ahead: 0, in_slot: left > self.not_run() };
        if self.insns.last() != Some(&insn) {
            self.insns.push(insn);
        }
        self.traps.push((self.asm.here(), self.insns.len() as u32 - 1));
    }

    /// Calls a helper; the result is in rax. Changes no value's place, and uses none up.
    fn helper(&mut self, call: HelperCall, args: &[Value]) {
        // Those of the guest's frontend see all registers.
        let sees_slots = matches!(call, HelperCall::Guest { .. });
        if sees_slots {
            self.asm.call_field(offset::SPILL_STUB);
        }
        let live = self.begin_call();
        // Arguments may be where other arguments go.
        for v in args {
            self.copy(*v, RAX);
            self.asm.push(RAX);
        }
        for (_, to) in args.iter().zip([RDX, RCX, R8]).rev() {
            self.asm.pop(to);
        }
        self.asm.mov_imm(RSI, call.descriptor());
        self.asm.call_field(offset::HELPER_ENTRY);
        self.end_call(&live);
        if sees_slots {
            self.asm.call_field(offset::FILL_STUB);
        }
    }

    /// Saves what a call would change, and aligns the stack.
    fn begin_call(&mut self) -> Vec<Reg> {
        let live = self.live_across_call();
        live.iter().for_each(|r| self.asm.push(*r));
        // The return address of the entry is on the stack, too.
        if live.len().is_multiple_of(2) {
            self.asm.alu_imm(Alu::Sub, true, RSP, 8);
        }
        live
    }

    /// Undoes [`Lower::begin_call`].
    fn end_call(&mut self, live: &[Reg]) {
        if live.len().is_multiple_of(2) {
            self.asm.alu_imm(Alu::Add, true, RSP, 8);
        }
        live.iter().rev().for_each(|r| self.asm.pop(*r));
    }

    /// A register for the result, with the low bits of `from` in it.
    fn result_from(&mut self, at: Value, from: Reg) {
        let ty = self.ty(at);
        let to = self.result(at);
        self.asm.load(ty.bytes(), false, true, to, from);
    }

    fn finish(mut self, memory: &mut QuickCompiler) {
        let block = self.block;
        let bytes = std::mem::replace(&mut self.asm, std::mem::take(&mut self.cold_asm)).code.into_bytes();
        self.cold_code();
        self.ways_out();
        let (values, housed) = self.places.into_lists();
        memory.lists = Lists { outs: self.outs, values, housed };
        let last = block.end().saturating_sub(1).max(block.key.pc);
        memory.made = CompiledRegion {
            key: block.key,
            code_len: bytes.len(),
            bytes,
            cold: self.asm.code.into_bytes(),
            cold_jumps: self.asm.far,
            exits: self.exits,
            traps: self.traps,
            insns: self.insns,
            insn_count: block.insn_count(),
            pages: PageList::span(block.key.pc, last, &block.beyond),
            precise: true,
            legacy_nan: block.nan == NanRule::Legacy,
            counted: self.options.count_insns,
            quick: true,
            clif: None,
        };
    }
}
