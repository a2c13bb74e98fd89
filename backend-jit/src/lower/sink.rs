//! What only those need who leave: registers that a region is left with are written back out of the way, but Cranelift computes
//! what it computes where it stands. A sum or an extension that is needed out of the way alone is moved there; one that else is part of addresses,
//! which hosts add up by themselves, is made there again.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Opcode, Value, ValueDef};

/// Blocks out of the way that one instruction is made again for, at most.
const MAX_PLACES: usize = 8;

/// Moves what is needed out of the way alone, and makes parts of addresses again there.
pub(super) fn sink_into_cold_blocks(func: &mut Function) {
    let hot: Vec<Block> = func.layout.blocks().filter(|block| !func.layout.is_cold(*block)).collect();
    let insts: Vec<Inst> = hot.into_iter().flat_map(|block| func.layout.block_insts(block)).collect();
    let mut sinker = Sinker { uses: uses_of_values(func), func };
    // The users of a value come first.
    insts.into_iter().rev().for_each(|inst| sinker.sink(inst));
}

struct Sinker<'a> {
    func: &'a mut Function,
    /// The users of what such operations compute that can be made again.
    uses: SecondaryMap<Value, Vec<Inst>>,
}

/// One operation that computes nothing but its result, most likely in one instruction.
fn is_simple(opcode: Opcode) -> bool {
    use Opcode::*;
    matches!(opcode, Uextend | Sextend | Ireduce | Iadd | Isub | Band | Bor | Bxor | Ishl | Ushr | Sshr)
}

/// The users of all values that may be made again: those needed out of the way, and what they are made of.
fn uses_of_values(func: &Function) -> SecondaryMap<Value, Vec<Inst>> {
    let dfg = &func.dfg;
    let candidates = candidates(func);
    let mut uses: SecondaryMap<Value, Vec<Inst>> = SecondaryMap::new();
    for inst in func.layout.blocks().flat_map(|block| func.layout.block_insts(block)) {
        // A sum may be an address that a candidate is part of.
        let is_sum = |v: Value| match dfg.value_def(v) {
            ValueDef::Result(def, _) if dfg.insts[def].opcode() == Opcode::Iadd => {
                dfg.inst_args(def).iter().any(|arg| candidates.contains(dfg.resolve_aliases(*arg)))
            }
            _ => false,
        };
        for value in dfg.inst_values(inst).map(|v| dfg.resolve_aliases(v)) {
            if (candidates.contains(value) || is_sum(value)) && uses[value].last() != Some(&inst) {
                uses[value].push(inst);
            }
        }
    }
    uses
}

fn candidates(func: &Function) -> EntitySet<Value> {
    let dfg = &func.dfg;
    let cold = func.layout.blocks().filter(|block| func.layout.is_cold(*block));
    let mut todo: Vec<Value> = cold.flat_map(|b| func.layout.block_insts(b)).flat_map(|i| dfg.inst_values(i)).collect();
    let mut found = EntitySet::new();
    while let Some(value) = todo.pop() {
        let value = dfg.resolve_aliases(value);
        if let ValueDef::Result(def, _) = dfg.value_def(value)
            && is_simple(dfg.insts[def].opcode())
            && found.insert(value)
        {
            todo.extend(dfg.inst_args(def));
        }
    }
    found
}

impl Sinker<'_> {
    fn sink(&mut self, inst: Inst) {
        if !self.is_cheap(inst) {
            return;
        }
        let result = self.func.dfg.first_result(inst);
        let is_cold =
            |user: &Inst| self.func.layout.inst_block(*user).is_some_and(|block| self.func.layout.is_cold(block));
        let (cold, hot): (Vec<Inst>, Vec<Inst>) = self.uses[result].iter().copied().partition(is_cold);
        if cold.is_empty() || !hot.iter().all(|user| self.is_in_addresses(*user, result)) {
            return;
        }
        let mut places: Vec<(Block, Vec<Inst>)> = Vec::new();
        for user in cold {
            let block = self.func.layout.inst_block(user).expect("it was found in one");
            match places.iter_mut().find(|(place, _)| *place == block) {
                Some((_, users)) => users.push(user),
                None => places.push((block, vec![user])),
            }
        }
        if places.len() > MAX_PLACES {
            return;
        }
        for (block, users) in places {
            self.make_again(inst, block, users);
        }
        if hot.is_empty() {
            for value in self.operands(inst) {
                self.uses[value].retain(|user| *user != inst);
            }
            self.func.layout.remove_inst(inst);
        }
        self.uses[result] = hot;
    }

    /// Is it such an operation of one value, and perhaps a constant, which is made again wherever it is needed?
    fn is_cheap(&self, inst: Inst) -> bool {
        let dfg = &self.func.dfg;
        let is_constant = |v: &Value| match dfg.value_def(*v) {
            ValueDef::Result(def, _) => dfg.insts[def].opcode() == Opcode::Iconst,
            _ => false,
        };
        let args = dfg.inst_args(inst);
        is_simple(dfg.insts[inst].opcode()) && (args.len() == 1 || args.iter().any(is_constant))
    }

    fn operands(&self, inst: Inst) -> Vec<Value> {
        self.func.dfg.inst_args(inst).iter().map(|v| self.func.dfg.resolve_aliases(*v)).collect()
    }

    /// Does the user only add the value to what is an address then?
    fn is_in_addresses(&self, user: Inst, value: Value) -> bool {
        if self.func.dfg.insts[user].opcode() != Opcode::Iadd {
            return false;
        }
        debug_assert!(self.operands(user).contains(&value));
        let sum = self.func.dfg.first_result(user);
        let is_address = |access: &Inst| {
            let is_sum = |v: Value| self.func.dfg.resolve_aliases(v) == sum;
            match self.func.dfg.insts[*access] {
                InstructionData::Load { .. } => true,
                InstructionData::Store { args: [stored, _], .. } => !is_sum(stored),
                _ => false,
            }
        };
        self.uses[sum].iter().all(is_address)
    }

    /// Makes the instruction again at the start of a block, for users in that.
    fn make_again(&mut self, inst: Inst, block: Block, users: Vec<Inst>) {
        let old = self.func.dfg.first_result(inst);
        let again = self.func.dfg.clone_inst(inst);
        let new = self.func.dfg.first_result(again);
        let mut pos = FuncCursor::new(self.func);
        pos.goto_first_insertion_point(block);
        pos.insert_inst(again);
        for user in &users {
            let dfg = &mut self.func.dfg;
            let values: Vec<Value> = dfg.inst_values(*user).map(|v| dfg.resolve_aliases(v)).collect();
            let mut values = values.into_iter();
            dfg.map_inst_values(*user, |v| if values.next() == Some(old) { new } else { v });
        }
        self.uses[new] = users;
        for value in self.operands(again) {
            self.uses[value].push(again);
        }
    }
}
