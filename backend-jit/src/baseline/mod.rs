//! The quick compiler: one block at a time, or a run of them, straight from our IR to x86-64, in one pass.
//!
//! It makes code some ten times faster than the region compiler does, and the code runs at perhaps half the speed: most guest
//! registers stay in memory between translations. It is for what runs too often to be interpreted and not often enough for a
//! region. Its code counts its runs ([`HOT_PERIOD`]) so that the machine sees what deserves one.
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
mod convert;
mod float;
mod hot;
mod lower;
mod regs;
mod watch;

use crate::compile::CompiledRegion;
use crate::context::{ExitCode, HOT_PERIOD, PLACE_SHIFTS, hot_index, offset};
use crate::helpers::HelperCall;
use crate::link::{COLD_BASE, DirectExit, QUICK_ENTRY, RECORD_BACK, RECORD_CALL, Spot};
use crate::lower::InsnRef;
use crate::region::PageList;
use crate::{CompileOptions, JitError};
use asm::*;
use emu_ir::spare::Spare;
use emu_ir::{Block, ExitKind, IndirectKind, Inst, NanRule, Terminator, Type, Value};
use hot::jump_place;
pub(crate) use hot::{QuickStubs, REGION_PREFIX, StubAddresses, region_prefix};
use regs::{Places, field};
use std::sync::OnceLock;

const _: () = assert!(HOT_PERIOD > 0);

/// The block has an op that is left to the other engines.
#[derive(Debug)]
struct Unsupported;

/// Compiles a block.
///
/// # Errors
/// If the block holds an op that this compiler does not have, or the host lacks an instruction.
pub fn compile_block(block: &Block, options: &CompileOptions) -> Result<CompiledRegion, JitError> {
    let refused = |message: &str| JitError::Region { pc: block.key.pc, message: message.to_owned() };
    if !host_is_fit() {
        return Err(refused("the host has no lzcnt, tzcnt and popcnt"));
    }
    let mut lower = Lower::new(block, options);
    lower.block().map_err(|Unsupported| refused("an op is not for quick code"))?;
    Ok(lower.finish())
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum WayOut {
    /// To the machine, at this address.
    Machine(ExitCode, u64),
    /// To the code for this address.
    Code(u64),
    /// To the code for the address in rsi, by the stub.
    Elsewhere,
}

thread_local! {
    static BYTES: Spare<u8> = const { Spare::new() };
    static TRAPS: Spare<(u32, u32)> = const { Spare::new() };
    static INSNS: Spare<InsnRef> = const { Spare::new() };
    static OUTS: Spare<(Jump, WayOut)> = const { Spare::new() };
    static EXITS: Spare<DirectExit> = const { Spare::new() };
    static JUMPS: Spare<(Spot, Spot)> = const { Spare::new() };
}

impl CompiledRegion {
    /// Gives the memory to the thread's next quick code.
    pub fn recycle(self) {
        BYTES.with(|spare| {
            spare.give(self.bytes);
            spare.give(self.cold);
        });
        TRAPS.with(|spare| spare.give(self.traps));
        INSNS.with(|spare| spare.give(self.insns));
        EXITS.with(|spare| spare.give(self.exits));
        JUMPS.with(|spare| spare.give(self.cold_jumps));
    }
}

/// State while a block is lowered.
struct Lower<'a> {
    asm: Asm,
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
}

impl<'a> Lower<'a> {
    fn new(block: &'a Block, options: &'a CompileOptions) -> Lower<'a> {
        Lower {
            asm: Asm { code: BYTES.with(Spare::take), ..Asm::default() },
            block,
            options,
            places: Places::new(&block.insts, block.term.arg(), options.hot),
            insn: 0,
            traps: TRAPS.with(Spare::take),
            insns: INSNS.with(Spare::take),
            cold: Vec::new(),
            outs: OUTS.with(Spare::take),
        }
    }

    fn ty(&self, v: Value) -> Type {
        self.block.ty(v)
    }

    fn block(&mut self) -> Result<(), Unsupported> {
        let block = self.block;
        self.entry();
        for (i, inst) in block.insts.iter().enumerate() {
            while block.marks.get(self.insn + 1).is_some_and(|m| m.first as usize <= i) {
                self.insn += 1;
            }
            let at = Value(i as u32);
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
        self.asm.call(field(offset::FILL_STUB));
        self.asm.code.push(NOP);
        assert_eq!(u64::from(self.asm.here()), QUICK_ENTRY, "the length of the entry from elsewhere");
        let out = WayOut::Machine(ExitCode::Hot, self.block.key.pc);
        if self.may_close_loop() {
            self.asm.alu_imm(Alu::Cmp, false, field(offset::INTERRUPT), 0);
            self.leave_if(Cc::NotEqual, out, 0);
        }
        let counter = field(offset::HOT + 4 * hot_index(self.block.key.pc) as i32);
        self.asm.alu_imm(Alu::Sub, false, counter, 1);
        self.leave_if(Cc::Sign, out, 0);
        self.count_insns();
    }

    /// Does the block lead back, or where only the run tells? Each loop has such a block (or a region, which polls itself).
    fn may_close_loop(&self) -> bool {
        let start = self.block.key.pc;
        let back = |inst: &Inst| matches!(*inst, Inst::LeaveIf { target, .. } if target <= start);
        match self.block.term {
            Terminator::Jump { target, .. } if target <= start => true,
            Terminator::Branch { taken, next, .. } if taken <= start || next <= start => true,
            Terminator::Indirect { .. } => true,
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
            WayOut::Machine(..) | WayOut::Elsewhere => self.asm.jump(cc),
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
    fn ways_out(&mut self) -> Vec<DirectExit> {
        let mut exits = EXITS.with(Spare::take);
        let mut made: Option<(WayOut, Spot)> = None;
        let outs = std::mem::take(&mut self.outs);
        for &(from, way) in &outs {
            let known = made.filter(|(known, _)| *known == way).map(|(_, at)| at);
            self.asm.land_at(from, known.unwrap_or(self.asm.here()));
            match way {
                WayOut::Machine(..) if known.is_some() => {}
                WayOut::Machine(kind, pc) => {
                    made = Some((way, self.asm.here()));
                    self.asm.call(field(offset::LEAVE_STUB));
                    self.asm.code.extend(pc.to_le_bytes());
                    self.asm.code.push(kind as u8);
                }
                WayOut::Elsewhere => self.asm.jump_to(field(offset::LOST_STUB)),
                WayOut::Code(target) => {
                    let start = self.asm.here();
                    self.asm.call(field(offset::EXIT_STUB));
                    let at = self.asm.here();
                    assert_eq!((at - start) as usize, RECORD_CALL, "the length of the call");
                    self.asm.code.extend(target.to_le_bytes());
                    assert_eq!((self.asm.here() - at) as usize, RECORD_BACK, "the length of an address");
                    // How far before the record: known when both have their places.
                    self.asm.code.extend(0_u32.to_le_bytes());
                    exits.push(DirectExit { target, at, operand: from.operand() });
                }
            }
        }
        OUTS.with(|spare| spare.give(outs));
        exits
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
            Terminator::Indirect { target, kind } => {
                self.copy(target, RSI);
                if kind != IndirectKind::Return {
                    self.asm.store_imm(4, field(offset::JUMPED_FROM), self.last_block() as i32);
                    self.asm.store(8, field(offset::JUMPED_TO), RSI);
                }
                self.jump_through_cache();
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
                self.asm.call(field(offset::SPILL_STUB));
                self.asm.ret();
            }
            Terminator::Trap { .. } | Terminator::Exit { .. } | Terminator::ExitTo { .. } => {
                self.uncount(self.left(self.block.marks.len() - 1));
                self.leave(WayOut::Machine(ExitCode::Interpret, self.block.last_pc()));
            }
        }
    }

    /// The address of the block that ends the run.
    fn last_block(&self) -> u64 {
        let joint = (0..self.block.marks.len()).rev().find(|mark| self.block.is_joint(*mark));
        joint.map_or(self.block.key.pc, |mark| self.block.marks[mark].pc)
    }

    /// Jumps to the code for the guest address in rsi: here, so that the host predicts each such jump by itself, or by the
    /// stub if the jump cache does not have it.
    fn jump_through_cache(&mut self) {
        self.asm.mov(true, RCX, field(offset::JUMP_ENTRIES));
        let entry = jump_place(&mut self.asm, PLACE_SHIFTS[0]);
        self.asm.alu(Alu::Cmp, true, RSI, entry);
        self.leave_if(Cc::NotEqual, WayOut::Elsewhere, 0);
        self.asm.jump_to(Mem { disp: 8, ..entry });
    }

    /// The host instruction that follows accesses guest memory.
    fn trap(&mut self) {
        let m = &self.block.marks[self.insn];
        let left = self.left(self.insn);
        let insn = InsnRef { pc: m.pc, len: m.len, left, ahead: 0, in_slot: left > self.not_run() };
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
            self.asm.call(field(offset::SPILL_STUB));
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
        self.asm.call(field(offset::HELPER_ENTRY));
        self.end_call(&live);
        if sees_slots {
            self.asm.call(field(offset::FILL_STUB));
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

    fn finish(mut self) -> CompiledRegion {
        let block = self.block;
        let cold = Asm { code: BYTES.with(Spare::take), base: COLD_BASE, far: JUMPS.with(Spare::take) };
        let bytes = std::mem::replace(&mut self.asm, cold).code;
        self.cold_code();
        let exits = self.ways_out();
        self.places.recycle();
        let last = block.end().saturating_sub(1).max(block.key.pc);
        CompiledRegion {
            key: block.key,
            code_len: bytes.len(),
            bytes,
            cold: self.asm.code,
            cold_jumps: self.asm.far,
            exits,
            traps: self.traps,
            insns: self.insns,
            insn_count: block.insn_count(),
            pages: PageList::span(block.key.pc, last, &block.beyond),
            precise: true,
            legacy_nan: block.nan == NanRule::Legacy,
            counted: self.options.count_insns,
            quick: true,
            clif: None,
        }
    }
}
