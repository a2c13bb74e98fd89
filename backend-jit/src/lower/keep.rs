//! Floating-point instructions whose result nobody needs still raise flags, but Cranelift emits no pure instruction
//! without a use. Such results are stored where nobody looks.

use crate::context::offset;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::EntitySet;
use cranelift_codegen::ir::{Block, BlockCall, Function, Inst, InstBuilder, MemFlagsData, Opcode, Value, ValueDef};
use rustc_hash::FxHashMap;

/// May it set a bit of MXCSR?
fn raises_flags(opcode: Opcode) -> bool {
    use Opcode::*;
    matches!(
        opcode,
        Fadd | Fsub
            | Fmul
            | Fdiv
            | Sqrt
            | Fma
            | Fcmp
            | Fpromote
            | Fdemote
            | FcvtFromSint
            | FcvtFromUint
            | FcvtToSintSat
            | FcvtToUintSat
            | X86Cvtt2dq
            | Nearest
            | Ceil
            | Floor
    )
}

/// Is it emitted whatever becomes of its result?
fn is_root(opcode: Opcode) -> bool {
    opcode.is_terminator() || opcode.is_branch() || opcode.is_call() || opcode.can_store() || opcode.can_trap()
}

/// Gives every instruction that raises flags a use; `ctx` is the context's address, defined in the entry block.
pub(super) fn keep_flag_raisers(func: &mut Function, ctx: Value) {
    let unused = unused_raisers(func);
    let mut pos = FuncCursor::new(func);
    for inst in unused {
        pos.goto_after_inst(inst);
        let result = pos.func.dfg.first_result(inst);
        pos.ins().store(MemFlagsData::trusted(), result, ctx, offset::UNUSED);
    }
}

/// The instructions that raise flags and from which nothing leads to an instruction that is emitted anyway.
fn unused_raisers(func: &Function) -> Vec<Inst> {
    let insts = || func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    let opcode = |inst: Inst| func.dfg.insts[inst].opcode();
    let raisers: Vec<Inst> = insts().filter(|inst| raises_flags(opcode(*inst))).collect();
    if raisers.is_empty() {
        return raisers;
    }
    let mut used = EntitySet::new();
    let mut todo: Vec<Value> = Vec::new();
    for inst in insts().filter(|inst| is_root(opcode(*inst))) {
        todo.extend(func.dfg.inst_args(inst));
    }
    let passed = arguments_of_blocks(func);
    while let Some(value) = todo.pop() {
        let value = func.dfg.resolve_aliases(value);
        if !used.insert(value) {
            continue;
        }
        match func.dfg.value_def(value) {
            ValueDef::Result(inst, _) => todo.extend(func.dfg.inst_args(inst)),
            ValueDef::Param(block, n) => {
                let calls = passed.get(&block).into_iter().flatten();
                let args = calls.filter_map(|call| call.args(&func.dfg.value_lists).nth(n)?.as_value());
                todo.extend(args);
            }
            ValueDef::Union(..) => {}
        }
    }
    // A later one may use an earlier one: keeping the last of a chain keeps them all, but to store each is as right.
    raisers.into_iter().filter(|inst| !used.contains(func.dfg.first_result(*inst))).collect()
}

/// What each block's parameters get from where: a parameter that nobody needs is no use of what is passed for it, since Cranelift
/// may remove it.
fn arguments_of_blocks(func: &Function) -> FxHashMap<Block, Vec<BlockCall>> {
    let mut passed: FxHashMap<Block, Vec<BlockCall>> = FxHashMap::default();
    for inst in func.layout.blocks().filter_map(|block| func.layout.last_inst(block)) {
        let dfg = &func.dfg;
        for call in dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables) {
            passed.entry(call.block(&dfg.value_lists)).or_default().push(*call);
        }
    }
    passed
}
