//! IR to Cranelift IR.
//!
//! One function per region: `fn(ctx, link)` in the `Tail` convention. Guest registers are SSA variables, loaded at the
//! entry where they are live and written back where they are dirty. Cranelift runs at `opt_level=none`, so what is
//! emitted here is what is executed, in this order.

mod atomic;
mod boxed;
pub(crate) mod control;
mod flags;
mod float;
mod int;
mod keep;
pub(crate) mod memory;
mod pending;
mod planted;
mod quiet;
mod registers;
mod sink;
mod watch;
mod words;

use crate::CompileOptions;
use crate::analysis::{Analysis, Resume, SlotSet, makes_raw_nan, write_backs};
use crate::context::{Context, offset};
use crate::helpers::HelperCall;
use crate::region::Region;
use cranelift_codegen::ir::{
    self as clif, AbiParam, Block as ClifBlock, Function, InstBuilder, MemFlagsData, Signature, SourceLoc,
    UserFuncName, Value as ClifValue, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use emu_ir::{Block, Inst, NanRule, Slot, Type, Value};

pub(crate) use memory::accessing_insn;
pub use planted::PlantedFault;

/// A guest instruction of a region, as traps and checkpoints name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsnRef {
    /// Guest address.
    pub pc: u64,
    /// Length in bytes.
    pub len: u8,
    /// Instructions of its block from this one on, itself included: not yet retired when it faults.
    pub left: u16,
    /// Instructions of later blocks that are counted already.
    pub ahead: u16,
    /// Is it in the delay slot of a branch, which has been retired when it faults, but runs again?
    pub in_slot: bool,
}

impl InsnRef {
    /// How many counted instructions have not been retired when this one faults.
    pub(crate) fn not_retired(&self) -> u64 {
        u64::from(self.left - u16::from(self.in_slot)) + u64::from(self.ahead)
    }
}

/// What lowering leaves beside the function.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    /// Guest instructions by source location.
    pub(crate) insns: Vec<InsnRef>,
    /// Slots that direct exits jump through.
    pub(crate) slots: Vec<u64>,
}

/// `Context::checkpoint` at the entry of a region; otherwise it is the index of a guest instruction, shifted left by
/// two, plus a [`Resume`].
pub(crate) const CHECKPOINT_ENTRY: i64 = -1;

/// The signature of all compiled code: `(ctx, link or target)`.
pub(crate) fn code_signature() -> Signature {
    let mut sig = Signature::new(CallConv::Tail);
    sig.params.extend([AbiParam::new(types::I64), AbiParam::new(types::I64)]);
    sig
}

/// What a slot of the type is kept as: a 32-bit guest's registers are zero-extended to 64 bits, where they serve as addresses without
/// another instruction, and x86's own 32-bit instructions have extended them.
fn variable_type(ty: Type) -> clif::Type {
    if ty == Type::I32 { types::I64 } else { clif_type(ty) }
}

pub(crate) fn clif_type(ty: Type) -> clif::Type {
    match ty {
        Type::I8 => types::I8,
        Type::I16 => types::I16,
        Type::I32 => types::I32,
        Type::I64 => types::I64,
        Type::F32 => types::F32,
        Type::F64 => types::F64,
    }
}

/// Lowers the region into `func`.
pub(crate) fn lower_region(
    region: &Region,
    options: &CompileOptions,
    isa: &dyn TargetIsa,
    func: &mut Function,
    fctx: &mut FunctionBuilderContext,
) -> Lowered {
    func.signature = code_signature();
    func.name = UserFuncName::user(0, region.entry_pc() as u32);
    let builder = FunctionBuilder::new(func, fctx);
    let analysis = Analysis::of(region, options);
    let mut lower = Lower::new(region, options, &analysis, builder);
    lower.entry();
    for index in 0..region.blocks.len() {
        lower.block(index);
    }
    lower.b.seal_all_blocks();
    let Lower { b, out, ctx, .. } = lower;
    b.finalize(isa.frontend_config());
    sink::sink_into_cold_blocks(func);
    keep::keep_flag_raisers(func, ctx);
    out
}

/// State while a region is lowered.
struct Lower<'a> {
    b: FunctionBuilder<'a>,
    region: &'a Region,
    options: &'a CompileOptions,
    analysis: &'a Analysis,
    out: Lowered,
    /// Cranelift block of each block of the region.
    blocks: Vec<ClifBlock>,
    /// Variable of each slot that the region touches.
    vars: [Option<(Variable, Type)>; 128],
    /// Variable of the single in each slot that is known to hold one.
    single_vars: [Option<Variable>; 128],
    /// Variable of the lower half of each slot that is known to hold its sign extension.
    word_vars: [Option<Variable>; 128],
    ctx: ClifValue,
    mem_base: ClifValue,
    code_sig: clif::SigRef,
    helper_sig: clif::SigRef,
    quiet_helper_sig: clif::SigRef,
    mxcsr_sig: clif::SigRef,
    cur: Current,
}

/// The block that is being lowered.
#[derive(Default)]
struct Current {
    nan: NanRule,
    values: Vec<Option<ClifValue>>,
    /// 32-bit integers in 64 bits, zero-extended, where there is such a value already.
    wide: Vec<Option<ClifValue>>,
    /// The last product of which both halves are wanted.
    product: Option<int::Product>,
    /// Sums with their operands and carries.
    carries: Vec<(Value, [Value; 2], ClifValue)>,
    /// Host addresses of values that have been confined.
    confined: Vec<Option<ClifValue>>,
    types: Vec<Option<Type>>,
    /// The singles of values that are boxed ones; the boxes are in `values` once they have been needed.
    singles: Vec<Option<ClifValue>>,
    single_slots: SlotSet,
    /// The lower halves of values that are their sign extensions; those are in `values` once they have been needed.
    words: Vec<Option<ClifValue>>,
    word_slots: SlotSet,
    /// Values that may be NaNs still to be made canonical, or are boxed singles of which that is true.
    raw_values: Vec<bool>,
    raw_slots: SlotSet,
    /// What values of the block's the slots in `raw_slots` hold, as far as it is known.
    raw_holders: Vec<(Slot, Value)>,
    dirty: SlotSet,
    /// Slots whose variables, or singles, are what they are.
    present: SlotSet,
    /// The block's number in the region.
    block: usize,
    /// Results of SSE that may be NaNs of x86's.
    pending: pending::Pending,
    /// The exception flags that a slot holds, if they have not been read yet.
    unread_flags: Option<flags::UnreadFlags>,
    /// The IR instruction's index; at the terminator the number of instructions.
    index: usize,
    /// In a block of Cranelift's that what follows need not have come through: nothing made here can be used later.
    aside: bool,
    /// The guest instruction, as an index into `Lowered::insns`.
    insn: usize,
    /// The instructions of the block from it on, and those ahead.
    not_run: u32,
    /// Instructions of later blocks that are counted already.
    ahead: u32,
    /// Its stores that were noted so far.
    stores: usize,
}

impl<'a> Lower<'a> {
    fn new(
        region: &'a Region,
        options: &'a CompileOptions,
        analysis: &'a Analysis,
        mut b: FunctionBuilder<'a>,
    ) -> Self {
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        let ctx = b.block_params(entry)[0];
        let code_sig = b.import_signature(code_signature());
        let mut helper = Signature::new(CallConv::SystemV);
        helper.params.extend([AbiParam::new(types::I64); 5]);
        helper.returns.push(AbiParam::new(types::I64));
        let helper_sig = b.import_signature(helper);
        let mut quiet = Signature::new(CallConv::PreserveAll);
        quiet.params.extend([AbiParam::new(types::I64); 5]);
        let quiet_helper_sig = b.import_signature(quiet);
        let mut on_mxcsr = Signature::new(CallConv::PreserveAll);
        on_mxcsr.params.push(AbiParam::new(types::I64));
        let mxcsr_sig = b.import_signature(on_mxcsr);
        let mem_base = b.ins().load(types::I64, MemFlagsData::trusted(), ctx, offset::MEM_BASE);
        let blocks = region.blocks.iter().map(|_| b.create_block()).collect();
        Lower {
            b,
            region,
            options,
            analysis,
            out: Lowered::default(),
            blocks,
            vars: [None; 128],
            single_vars: [None; 128],
            word_vars: [None; 128],
            ctx,
            mem_base,
            code_sig,
            helper_sig,
            quiet_helper_sig,
            mxcsr_sig,
            cur: Current::default(),
        }
    }

    /// Polls, loads the live registers and jumps to the first block.
    fn entry(&mut self) {
        self.declare_variables();
        // A loop's head polls by itself.
        if !self.region.blocks[self.region.entry].is_loop_header() {
            self.poll(self.region.entry_pc(), SlotSet::default(), SlotSet::default());
        }
        self.join_halves();
        self.leave_unless_quiet();
        let (live, singles) = (self.analysis.live_in[self.region.entry], self.analysis.single_in[self.region.entry]);
        self.load_singles(SlotSet(live.0 & singles.0));
        self.load_slots(self.analysis.needed_in[self.region.entry].without(singles), SlotSet::default());
        if self.options.precise_faults {
            self.checkpoint(CHECKPOINT_ENTRY, 0);
        }
        let first = self.blocks[self.region.entry];
        self.b.ins().jump(first, &[]);
    }

    fn block(&mut self, index: usize) {
        let region = self.region;
        let rb = &region.blocks[index];
        self.b.switch_to_block(self.blocks[index]);
        // Who comes here has been lowered: what registers hold is known at once, constants and sums with them as well.
        if rb.predecessors.iter().all(|pred| *pred < index) {
            self.b.seal_block(self.blocks[index]);
        }
        self.cur = Current {
            nan: rb.block.nan,
            values: vec![None; rb.block.insts.len()],
            wide: vec![None; rb.block.insts.len()],
            confined: vec![None; rb.block.insts.len()],
            product: None,
            carries: Vec::new(),
            types: rb.block.insts.iter().map(Inst::result).collect(),
            singles: vec![None; rb.block.insts.len()],
            single_slots: self.analysis.single_in[index],
            words: vec![None; rb.block.insts.len()],
            word_slots: SlotSet(self.analysis.word_in[index].0 & self.analysis.present_in[index].0),
            raw_values: vec![false; rb.block.insts.len()],
            raw_slots: self.analysis.raw_in[index],
            raw_holders: Vec::new(),
            block: index,
            dirty: self.analysis.dirty_in[index],
            present: self.analysis.present_in[index],
            pending: pending::Pending::new(&rb.block),
            unread_flags: None,
            index: 0,
            aside: false,
            insn: self.out.insns.len(),
            not_run: 0,
            ahead: self.analysis.ahead[index],
            stores: 0,
        };
        if let [from] = rb.predecessors[..]
            && index != region.entry
            && let Some(is_taken) = region.is_branch_taken(from, index)
        {
            self.learn_from_branch(from, is_taken, self.analysis.live_in[index]);
        }
        self.begin_insn(&rb.block, 0);
        if rb.is_loop_header() {
            self.poll(rb.block.key.pc, self.cur.dirty, self.analysis.overwritten[index]);
        }
        if self.options.count_insns {
            self.count(&rb.block, self.options.stops_at(region, index));
        }
        self.body(&rb.block, self.analysis.starts[index]);
        self.settle();
        self.flush(self.analysis.written_early[index]);
        self.cur.dirty = self.cur.dirty.without(self.analysis.written_early[index]);
        self.clean_for_successors(index);
        self.box_for(&region.blocks[index].successors);
        let on_ways = region.blocks[index].successors.iter().map(|succ| self.extended_on_way(*succ).0);
        let on_ways = SlotSet(on_ways.fold(0, |a, b| a | b));
        self.size_words_for(&region.blocks[index].successors, on_ways);
        self.terminator(index);
    }

    /// Lowers the instructions.
    fn body(&mut self, block: &Block, start: bool) {
        let points = write_backs(block, self.options.precise_faults, start);
        let mut points = points.into_iter().peekable();
        let mut mark = 0;
        for i in 0..=block.insts.len() {
            self.cur.index = i;
            while let Some(point) = points.next_if(|p| p.before == i && p.resume == Resume::Completed) {
                self.write_back(point.resume);
            }
            while block.marks.get(mark + 1).is_some_and(|m| m.first as usize <= i) {
                mark += 1;
                self.begin_insn(block, mark);
            }
            while let Some(point) = points.next_if(|p| p.before == i) {
                self.write_back(point.resume);
            }
            if let Some(inst) = block.insts.get(i) {
                self.inst(Value(i as u32), inst);
            }
        }
    }

    fn begin_insn(&mut self, block: &Block, mark: usize) {
        let m = &block.marks[mark];
        self.cur.insn = self.out.insns.len();
        self.cur.stores = 0;
        self.cur.not_run = (block.marks.len() - mark) as u32 + self.cur.ahead;
        // Where one of a branch and its delay slot faults, both run again.
        let before = block.marks[..mark].iter().take_while(|other| other.pc != m.pc).count();
        self.out.insns.push(InsnRef {
            pc: m.pc,
            len: m.len,
            left: (block.marks.len() - before) as u16,
            ahead: self.cur.ahead as u16,
            in_slot: before < mark,
        });
        self.b.set_srcloc(SourceLoc::new(self.cur.insn as u32));
    }

    fn inst(&mut self, at: Value, inst: &Inst) {
        self.settle_before(inst);
        if self.carries_unread_flags(inst) || self.note_word(at) {
            return;
        }
        let value = match *inst {
            Inst::Get { slot, .. } if self.cur.single_slots.contains(slot) => return self.get_single(at, slot),
            Inst::Get { slot, .. } => self.get(at, slot),
            Inst::Set { slot, value, .. } => return self.set(slot, value),
            Inst::Const { ty: Type::I32, bits } => {
                // Whichever of the two nobody needs is not emitted.
                self.cur.wide[at.index()] = Some(self.b.ins().iconst(types::I64, bits as i64));
                self.constant(Type::I32, bits)
            }
            Inst::Const { ty, bits } => self.constant(ty, bits),
            Inst::Unary { op, arg, .. } => self.unary(op, arg),
            Inst::Binary { op, ty, args } => {
                let value = self.binary(at, op, ty, args);
                self.planted(PlantedFault::Binary(op), value)
            }
            Inst::Compare { cond, args, .. } => self.compare(cond, args),
            Inst::Select { cond, args, .. } => self.select(cond, args),
            Inst::Convert { ty: Type::F64, .. } if self.note_boxed(at) => return,
            Inst::Convert { op, ty, arg } => self.convert(at, op, ty, arg),
            Inst::FloatUnary { op, ty, round, arg } => self.float_unary(at, op, ty, round, arg),
            Inst::FloatBinary { op, ty, round, args } => self.float_binary(op, ty, round, args),
            Inst::FloatFma { ty, round, args } => self.fma(ty, round, args),
            Inst::FloatCompare { cond, quietness, ty, args } => self.float_compare(cond, quietness, ty, args),
            Inst::FloatClass { ty, arg } => self.classify(ty, arg),
            Inst::FloatConvert { op, ty, round, arg } => self.float_convert(op, ty, round, arg),
            Inst::Load { ty, access, addr, offset } => self.load(at, ty, access, addr, offset),
            Inst::Store { access, addr, offset, value, .. } => return self.store(access, addr, offset, value),
            Inst::AtomicRmw { op, ty, addr, value } => self.atomic_rmw(op, ty, addr, value),
            Inst::AtomicCas { ty, addr, expected, new } => self.atomic_cas(ty, addr, expected, new),
            Inst::LoadReserved { ty, addr, id } => self.load_reserved((ty, id), addr),
            Inst::StoreConditional { ty, addr, value, id } => self.store_conditional((ty, id), addr, value),
            Inst::Fence { kind } => return self.fence(kind),
            Inst::ReadFpFlags if self.put_off_reading(at) => return,
            Inst::ReadFpFlags => self.read_flags(),
            Inst::WriteFpFlags { value } => return self.write_flags(value),
            Inst::ReadFpRound => self.load_ctx(types::I32, offset::FP_ROUND),
            // MXCSR follows when compiled code is entered again: the block ends here.
            Inst::WriteFpRound { value } => {
                let value = self.value(value);
                return self.store_ctx(value, offset::FP_ROUND);
            }
            Inst::Call { helper, ty, count, args } => self.guest_call(helper, ty, &args[..usize::from(count)]),
            Inst::TrapIf { cond, .. } => {
                let cond = self.value(cond);
                return self.leave_if(cond);
            }
            Inst::LeaveIf { cond, target } => {
                let cond = self.value(cond);
                return self.leave_for_if(cond, target);
            }
        };
        self.cur.values[at.index()] = Some(value);
        self.cur.raw_values[at.index()] |=
            self.cur.nan == NanRule::Canonical && makes_raw_nan(inst) && self.is_inline(inst);
    }

    fn value(&mut self, v: Value) -> ClifValue {
        if let Some(value) = self.cur.values[v.index()] {
            return value;
        }
        let value = match self.cur.words[v.index()] {
            Some(word) => self.extended_word(v, word),
            None => {
                let single = self.clean_single(v);
                self.boxed(single)
            }
        };
        if !self.cur.aside {
            self.cur.values[v.index()] = Some(value);
        }
        value
    }

    fn ty(&self, v: Value) -> Type {
        self.cur.types[v.index()].expect("verified: has a result")
    }

    /// The block's instructions.
    fn block_insts(&self) -> &'a [Inst] {
        let region = self.region;
        &region.blocks[self.cur.block].block.insts
    }

    fn load_ctx(&mut self, ty: clif::Type, offset: i32) -> ClifValue {
        self.b.ins().load(ty, MemFlagsData::trusted(), self.ctx, offset)
    }

    fn store_ctx(&mut self, value: ClifValue, offset: i32) {
        self.b.ins().store(MemFlagsData::trusted(), value, self.ctx, offset);
    }

    /// Calls a Rust helper with up to three 64-bit arguments.
    fn helper(&mut self, call: HelperCall, args: &[ClifValue]) -> ClifValue {
        let zero = if args.len() < 3 { Some(self.b.ins().iconst(types::I64, 0)) } else { None };
        let descriptor = self.b.ins().iconst(types::I64, call.descriptor() as i64);
        let mut list = vec![self.ctx, descriptor];
        list.extend(args);
        list.extend(std::iter::repeat_n(zero, 5 - list.len()).flatten());
        if self.cur.aside {
            let entry = self.load_ctx(types::I64, offset::QUIET_HELPER_ENTRY);
            self.b.ins().call_indirect(self.quiet_helper_sig, entry, &list);
            return self.load_ctx(types::I64, offset::HELPER_RESULT);
        }
        let entry = self.load_ctx(types::I64, offset::HELPER_ENTRY);
        let call = self.b.ins().call_indirect(self.helper_sig, entry, &list);
        self.b.inst_results(call)[0]
    }

    fn guest_call(&mut self, helper: emu_ir::HelperId, ty: Type, args: &[Value]) -> ClifValue {
        let args: Vec<ClifValue> = args.iter().map(|a| self.bits64(*a)).collect();
        let result = self.helper(HelperCall::Guest { index: helper.0 }, &args);
        let trapped = self.load_ctx(types::I32, offset::HELPER_TRAPPED);
        self.trap_if(trapped);
        self.value_of_bits(ty, result)
    }

    /// A value's bits, zero-extended to 64.
    fn bits64(&mut self, v: Value) -> ClifValue {
        if let Some(wide) = self.cur.wide[v.index()] {
            return wide;
        }
        let value = self.value(v);
        self.bits64_of(self.ty(v), value)
    }

    /// The same of Cranelift's value for one of type `ty`.
    fn bits64_of(&mut self, ty: Type, value: ClifValue) -> ClifValue {
        let int = if ty.is_float() { self.bitcast(ty.as_int(), value) } else { value };
        if ty.bits() == 64 { int } else { self.b.ins().uextend(types::I64, int) }
    }

    /// The inverse of [`Self::bits64`].
    fn value_of_bits(&mut self, ty: Type, bits: ClifValue) -> ClifValue {
        let int = if ty.bits() == 64 { bits } else { self.b.ins().ireduce(clif_type(ty.as_int()), bits) };
        if ty.is_float() { self.bitcast(ty, int) } else { int }
    }

    fn bitcast(&mut self, to: Type, value: ClifValue) -> ClifValue {
        self.b.ins().bitcast(clif_type(to), MemFlagsData::new(), value)
    }
}

const _: () = assert!(std::mem::size_of::<Context>() < i32::MAX as usize);
