//! The quick compiler: one block at a time, straight from our IR to x86-64, in one pass.
//!
//! It makes code some ten times faster than the region compiler does, and the code runs at perhaps half the speed: guest
//! registers stay in memory between blocks. It is for what runs too often to be interpreted and not often enough for a
//! region. Its code counts its runs ([`HOT_PERIOD`]) so that the machine sees what deserves one.
//!
//! - `asm`: the instructions; `regs`: where values are; `lower`: integers, memory, control; `atomic`; `float`.
//!
//! A guest register is written to its slot where the IR sets it, so that at any fault the registers are exact and
//! the interpreter can run the instruction again. What an op means is `emu_ir::eval`'s to say; rare ones are calls of it
//! ([`HelperCall`]).

mod asm;
mod atomic;
mod float;
mod lower;
mod regs;
mod watch;

use crate::compile::CompiledRegion;
use crate::context::{ExitCode, HOT_PERIOD, hot_index, offset};
use crate::helpers::HelperCall;
use crate::lower::{InsnRef, SLOT_SIZE, SlotRequest};
use crate::region::PAGE;
use crate::{CompileOptions, JitError};
use asm::*;
use emu_ir::{Block, ExitKind, IndirectKind, Inst, NanRule, Terminator, Type, Value};
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

/// Code out of the way that leaves.
struct Cold {
    from: Jump,
    to: ColdExit,
    pc: u64,
    /// Instructions that were counted and have not run.
    uncount: u32,
}

/// Where it leads.
#[derive(Clone, Copy)]
enum ColdExit {
    /// To the machine.
    Machine(ExitCode),
    /// To the code for the pc.
    Code,
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
    slots: Vec<SlotRequest>,
    /// Where the distance of a slot is to be written.
    slot_refs: Vec<u32>,
    cold: Vec<Cold>,
}

impl<'a> Lower<'a> {
    fn new(block: &'a Block, options: &'a CompileOptions) -> Lower<'a> {
        Lower {
            asm: Asm::default(),
            block,
            options,
            places: Places::new(&block.insts, block.term.arg()),
            insn: 0,
            traps: Vec::new(),
            slots: Vec::new(),
            slot_refs: Vec::new(),
            cold: Vec::new(),
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
        self.cold_code();
        Ok(())
    }

    /// Polls, counts, and gets the guest's memory in reach.
    fn entry(&mut self) {
        let pc = self.block.key.pc;
        self.asm.alu_imm(Alu::Cmp, false, field(offset::INTERRUPT), 0);
        self.leave_if(Cc::NotEqual, ExitCode::Interrupted, pc);
        self.asm.alu_imm(Alu::Sub, false, field(offset::HOT + 4 * hot_index(pc) as i32), 1);
        self.leave_if(Cc::Sign, ExitCode::Hot, pc);
        self.count_insns();
        if self.block.insts.iter().any(touches_memory) {
            self.asm.mov(true, R15, field(offset::MEM_BASE));
        }
    }

    fn leave_if(&mut self, cc: Cc, kind: ExitCode, pc: u64) {
        let from = self.asm.jcc(cc);
        self.leave(from, kind, pc, 0);
    }

    /// Where the jump leads: out of the code, with so many instructions of the block not run.
    fn leave(&mut self, from: Jump, kind: ExitCode, pc: u64, uncount: u32) {
        self.cold.push(Cold { from, to: ColdExit::Machine(kind), pc, uncount });
    }

    /// Leaves for the code at `pc` if the condition holds; the current instruction has not run then.
    fn leave_for_if(&mut self, cc: Cc, pc: u64) {
        let from = self.asm.jcc(cc);
        self.cold.push(Cold { from, to: ColdExit::Code, pc, uncount: self.not_run() });
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
        let left = self.left(self.insn);
        let from = self.asm.jcc(cc);
        self.leave(from, ExitCode::Interpret, pc, left);
    }

    /// Leaves with the trap that a helper raised, if the condition holds. A branch whose delay slot trapped has been retired.
    fn trap_if(&mut self, cc: Cc) {
        let from = self.asm.jcc(cc);
        self.leave(from, ExitCode::Trap, self.block.marks[self.insn].pc, self.not_run());
    }

    /// Instructions of the block from the current one on.
    fn not_run(&self) -> u32 {
        (self.block.marks.len() - self.insn) as u32
    }

    fn cold_code(&mut self) {
        for Cold { from, to, pc, uncount } in std::mem::take(&mut self.cold) {
            self.asm.land(from);
            self.uncount(uncount);
            match to {
                ColdExit::Machine(kind) => self.exit(kind, pc),
                ColdExit::Code => self.leave_through_slot(pc),
            }
        }
    }

    /// Returns to the machine, to go on at `pc`.
    fn exit(&mut self, kind: ExitCode, pc: u64) {
        self.store_const(offset::PC, pc);
        self.leave_as(kind);
    }

    /// Returns to the machine; the pc is written.
    fn leave_as(&mut self, kind: ExitCode) {
        self.asm.store_imm(4, field(offset::EXIT_KIND), kind as i32);
        self.asm.ret();
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
            Terminator::Jump { target, .. } => self.leave_through_slot(target),
            Terminator::Branch { cond, taken, next } => {
                let cc = self.flags(cond);
                let jump = self.asm.jcc(cc);
                self.leave_through_slot(next);
                self.asm.land(jump);
                self.leave_through_slot(taken);
            }
            Terminator::Indirect { target, kind } => {
                self.copy(target, RSI);
                if kind != IndirectKind::Return {
                    self.store_const(offset::JUMPED_FROM, self.block.key.pc);
                    self.asm.store(8, field(offset::JUMPED_TO), RSI);
                }
                self.asm.jump_to(field(offset::INDIRECT_STUB));
            }
            Terminator::Syscall { next } => {
                self.store_const(offset::EXIT_AUX, self.block.last_pc());
                self.exit(ExitCode::Syscall, next);
            }
            Terminator::Exit { kind: ExitKind::ModeChange, next } => self.exit(ExitCode::ModeChange, next),
            Terminator::ExitTo { kind: ExitKind::ModeChange, target } => {
                self.copy(target, RAX);
                self.asm.store(8, field(offset::PC), RAX);
                self.leave_as(ExitCode::ModeChange);
            }
            Terminator::Trap { .. } | Terminator::Exit { .. } | Terminator::ExitTo { .. } => {
                self.uncount(self.left(self.block.marks.len() - 1));
                self.exit(ExitCode::Interpret, self.block.last_pc());
            }
        }
    }

    /// As in a region: jumps where the exit's slot points, with the slot's address in the second argument.
    fn leave_through_slot(&mut self, target: u64) {
        self.slots.push(SlotRequest { target });
        let place = self.asm.lea_rip(RSI);
        self.slot_refs.push(place);
        self.asm.jump_to(Mem { base: RSI, index: None, disp: 0 });
    }

    /// The host instruction that follows accesses guest memory.
    fn trap(&mut self) {
        self.traps.push((self.asm.here(), self.insn as u32));
    }

    /// Calls a helper; the result is in rax. Changes no value's place, and uses none up.
    fn helper(&mut self, call: HelperCall, args: &[Value]) {
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
        let code_len = self.asm.code.len();
        let slots_offset = code_len.next_multiple_of(SLOT_SIZE);
        let mut bytes = std::mem::take(&mut self.asm.code);
        bytes.resize(slots_offset, 0);
        for (i, (at, slot)) in self.slot_refs.iter().zip(&self.slots).enumerate() {
            let distance = (slots_offset + i * SLOT_SIZE) as i32 - (*at as i32 + 4);
            bytes[*at as usize..*at as usize + 4].copy_from_slice(&distance.to_le_bytes());
            bytes.extend(0_u64.to_le_bytes());
            bytes.extend(slot.target.to_le_bytes());
        }
        let insn = |(i, m): (usize, &emu_ir::InsnMark)| InsnRef { pc: m.pc, len: m.len, left: self.left(i) };
        let insns = block.marks.iter().enumerate().map(insn).collect();
        let last = block.end().saturating_sub(1).max(block.key.pc);
        CompiledRegion {
            key: block.key,
            bytes,
            code_len,
            slots_offset,
            slots: self.slots,
            traps: self.traps,
            insns,
            pages: (block.key.pc / PAGE..=last / PAGE).map(|p| p * PAGE).collect(),
            precise: true,
            legacy_nan: block.nan == NanRule::Legacy,
            counted: self.options.count_insns,
            quick: true,
            clif: None,
        }
    }
}

fn touches_memory(inst: &Inst) -> bool {
    use Inst::*;
    matches!(
        inst,
        Load { .. }
            | Store { .. }
            | AtomicRmw { .. }
            | AtomicCas { .. }
            | LoadReserved { .. }
            | StoreConditional { .. }
    )
}
