//! `FCSR.Cause`, enabled exceptions and flush to zero, for all floating-point instructions alike.
//!
//! Normally an instruction that may raise exceptions is lowered to the IR's floating-point ops, which accrue flags; it also notes
//! itself and its operands in slots ([`FP_WORD`]). Cause is then computed when somebody reads it: the noted instruction is
//! lowered once more, alone, and its IR evaluated on the noted operands. So a register move or two pay for it.
//!
//! While an exception is enabled or FS is set (the mode says so) the same evaluation runs each instruction, in a helper. It
//! flushes what FS flushes, and raises the trap instead of giving a result.
//!
//! Here alone stands, after volume I-A, "Floating-Point Exceptions":
//! - an enabled underflow is raised by any tiny result, one that is not enabled only by an inexact one;
//! - FS replaces tiny results by zeros, which raises underflow and inexact, and from Release 5 on tiny operands too;
//! - a trap leaves the flags alone.

use crate::config::{Config, FrMode, Release, Releases};
use crate::fcsr::{self, CAUSE_LOW, ENABLES_LOW, FS};
use crate::fields::Word;
use crate::lower::{Flow, Lower};
use crate::regs::{self, FCSR, FP_WORD, fp_operand_slot};
use crate::table::{self, InsnDef};
use crate::translate::{Mode, nan_rule};
use emu_ir::eval::{self, float};
use emu_ir::{
    Block, BlockKey, Builder, ConvertOp, Counter, CpuState, Env, FloatBinaryOp, FloatUnaryOp, FpFlags, HelperDef, Inst,
    Slot, Terminator, Trap, TrapKind, Type, Value,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The helpers, by their index in [`HELPERS`].
pub(crate) mod helper {
    use emu_ir::HelperId;
    /// The cycle counter.
    pub(crate) const CYCLE: HelperId = HelperId(0);
    /// (setup): what of FCSR is not in a place of its own.
    pub(crate) const FCSR: HelperId = HelperId(1);
    /// (setup, value): raises what a write of FCSR raises.
    pub(crate) const CHECK: HelperId = HelperId(2);
    /// (setup, word, n): runs a floating-point instruction; the `n`th value that it sets.
    pub(crate) const RUN: HelperId = HelperId(3);
}

pub(crate) static HELPERS: &[HelperDef] = &[
    HelperDef { name: "cycle", func: |_, env, _| Ok(env.counter(Counter::Cycle)) },
    HelperDef { name: "fcsr", func: |cpu, _, args| Ok(fcsr::rest(cpu, &config_of(args[0])).into()) },
    HelperDef { name: "fcsr_check", func: check },
    HelperDef { name: "float", func: run },
];

fn check(cpu: &mut CpuState, _: &mut dyn Env, args: &[u64]) -> Result<u64, Trap> {
    fcsr::check(cpu, &config_of(args[0]), args[1] as u32).map(|()| 0)
}

/// What a helper has to know of the configuration, as an argument.
fn setup_of(config: &Config) -> u64 {
    let fr = Mode { fr: config.fr, exact: false, strict: false }.bits();
    let flags = [config.nan2008, config.abs2008, config.big_endian, config.paired_single].map(u64::from);
    config.release as u64 | u64::from(fr) << 4 | flags[0] << 6 | flags[1] << 7 | flags[2] << 8 | flags[3] << 9
}

/// The inverse.
fn config_of(setup: u64) -> Config {
    let release = Release::all().nth(setup as usize & 15).unwrap_or(Release::Mips1);
    let bit = |n: u32| setup >> n & 1 == 1;
    let fr = Mode::from_bits(setup as u32 >> 4 & 3).fr;
    Config { fr, nan2008: bit(6), abs2008: bit(7), big_endian: bit(8), paired_single: bit(9), ..Config::new(release) }
}

/// The setup argument of a helper.
pub(crate) fn setup(t: &mut Lower) -> Value {
    let setup = setup_of(t.config());
    t.ir.iconst(Type::I64, setup as i64)
}

/// Lowers an instruction that may raise floating-point exceptions.
pub(crate) fn lower(t: &mut Lower, def: &InsnDef, w: Word, mode: Mode) -> Flow {
    let flow = if mode.exact { call(t, w, mode.fr) } else { (def.lower)(t, w) };
    if flow != Flow::Illegal {
        note(t, w);
    }
    flow
}

/// Notes the instruction and the registers it has read.
fn note(t: &mut Lower, w: Word) {
    let word = t.ir.iconst(Type::I32, w.0.into());
    t.ir.set(FP_WORD, word);
    for n in 0..t.fp_reads.len().min(3) {
        let value = t.fp_reads[n].1;
        t.ir.set(fp_operand_slot(n), value);
    }
}

/// Has the helper run the instruction.
fn call(t: &mut Lower, w: Word, fr: FrMode) -> Flow {
    let config = Config { fr, ..*t.config() };
    let Some(alone) = alone(w.0, &config) else { return Flow::Illegal };
    let sets: Vec<_> = alone.sets().collect();
    let setup = t.ir.iconst(Type::I64, setup_of(&config) as i64);
    let word = t.ir.iconst(Type::I64, w.0.into());
    let mut values = Vec::new();
    for (n, (_, ty)) in sets.iter().enumerate() {
        let n = t.ir.iconst(Type::I64, n as i64);
        let bits = t.ir.call(helper::RUN, ty.as_int(), &[setup, word, n]);
        values.push(if ty.is_float() { t.ir.convert(ConvertOp::Bitcast, *ty, bits) } else { bits });
    }
    for slot in alone.reads() {
        let value = t.ir.get(Type::F64, slot);
        t.fp_reads.push((slot, value));
    }
    for ((slot, _), value) in sets.iter().zip(values) {
        t.ir.set(*slot, value);
    }
    Flow::Next
}

/// One instruction's IR.
struct Alone {
    block: Block,
}

/// What each instruction word is, in each setup.
type Known = HashMap<(u32, u64), Option<Rc<Alone>>>;

/// The instruction lowered by itself; `None` if it is reserved.
fn alone(word: u32, config: &Config) -> Option<Rc<Alone>> {
    thread_local! {
        static KNOWN: RefCell<Known> = RefCell::default();
    }
    let key = (word, setup_of(config));
    if let Some(found) = KNOWN.with_borrow(|known| known.get(&key).cloned()) {
        return found;
    }
    let def = table::find(word, config).filter(|def| def.raises);
    let made = def.and_then(|def| {
        let mut builder = Builder::new(BlockKey { pc: 0, mode: 0 });
        builder.set_nan_rule(nan_rule(config));
        let mut t = Lower::new(builder, config, Mode { fr: config.fr, exact: false, strict: false });
        t.begin(0);
        let flow = (def.lower)(&mut t, Word(word));
        (flow == Flow::Next).then(|| {
            let end = Terminator::Trap { kind: TrapKind::FloatException };
            Rc::new(Alone { block: t.ir.finish(end) })
        })
    });
    KNOWN.with_borrow_mut(|known| known.insert(key, made.clone()));
    made
}

impl Alone {
    /// The slots that it sets.
    fn sets(&self) -> impl Iterator<Item = (Slot, Type)> {
        self.block.insts.iter().filter_map(|inst| match inst {
            Inst::Set { slot, ty, .. } => Some((*slot, *ty)),
            _ => None,
        })
    }

    /// The slots that it reads, in order.
    fn reads(&self) -> impl Iterator<Item = Slot> {
        self.block.insts.iter().filter_map(|inst| match inst {
            Inst::Get { slot, .. } => Some(*slot),
            _ => None,
        })
    }

    /// Evaluates it on these values of the slots it reads: the values it sets, and the exceptions.
    fn evaluate(&self, control: Control, reads: impl Fn(usize, Slot) -> u64) -> (Vec<u64>, FpFlags) {
        let mut run = Evaluation { block: &self.block, control, values: Vec::new(), raised: FpFlags::NONE };
        let (mut sets, mut count) = (Vec::new(), 0);
        for inst in &self.block.insts {
            let value = match *inst {
                Inst::Get { slot, .. } => {
                    count += 1;
                    reads(count - 1, slot)
                }
                Inst::Set { value, .. } => {
                    sets.push(run.value(value));
                    0
                }
                ref inst => run.inst(inst),
            };
            run.values.push(value);
        }
        (sets, run.raised)
    }
}

/// What of FCSR matters to an operation.
#[derive(Clone, Copy)]
struct Control {
    round: emu_ir::Round,
    enables: u32,
    flush_results: bool,
    flush_operands: bool,
}

impl Control {
    fn of(cpu: &CpuState, config: &Config) -> Control {
        let fcsr = cpu.get(FCSR) as u32;
        let flushes = fcsr & FS != 0;
        let r5 = Releases::R1.contains(config.release)
            && !matches!(
                config.release,
                Release::Mips32R1
                    | Release::Mips32R2
                    | Release::Mips32R3
                    | Release::Mips64R1
                    | Release::Mips64R2
                    | Release::Mips64R3
            );
        Control {
            round: emu_ir::Round::Dynamic.resolve(cpu.fp_round),
            enables: fcsr >> ENABLES_LOW & 0x1f,
            flush_results: flushes,
            flush_operands: flushes && r5,
        }
    }
}

/// Evaluates IR that only computes.
struct Evaluation<'a> {
    block: &'a Block,
    control: Control,
    values: Vec<u64>,
    raised: FpFlags,
}

/// Is it a number that is neither 0 nor normal?
fn is_tiny(ty: Type, bits: u64) -> bool {
    let (fraction, exponent) = if ty == Type::F32 { (23, 0xff) } else { (52, 0x7ff) };
    bits >> fraction & exponent == 0 && bits << (64 - fraction) != 0
}

/// A zero of the same sign.
fn zero_like(ty: Type, bits: u64) -> u64 {
    bits & (1 << (ty.bits() - 1))
}

impl Evaluation<'_> {
    fn value(&self, v: Value) -> u64 {
        self.values[v.index()]
    }

    /// An operand of an arithmetic operation.
    fn operand(&self, v: Value) -> u64 {
        let (ty, bits) = (self.block.ty(v), self.value(v));
        let flushed = self.control.flush_operands && ty.is_float() && is_tiny(ty, bits);
        if flushed { zero_like(ty, bits) } else { bits }
    }

    /// The result of an arithmetic operation, its exceptions noted.
    fn result(&mut self, ty: Type, (bits, flags): (u64, FpFlags)) -> u64 {
        self.raised = self.raised | flags;
        if !ty.is_float() || !is_tiny(ty, bits) {
            return bits;
        }
        if self.control.flush_results {
            self.raised = self.raised | FpFlags::UF | FpFlags::NX;
            return zero_like(ty, bits);
        }
        if self.control.enables & u32::from(FpFlags::UF.0) != 0 {
            self.raised = self.raised | FpFlags::UF;
        }
        bits
    }

    fn env(&self, round: emu_ir::Round) -> float::FpEnv {
        let round = if round == emu_ir::Round::Dynamic { self.control.round } else { round };
        float::FpEnv { round, nan: self.block.nan }
    }

    fn inst(&mut self, inst: &Inst) -> u64 {
        match *inst {
            Inst::Const { bits, .. } => bits,
            Inst::Unary { op, ty, arg } => eval::unary(op, ty, self.value(arg)),
            Inst::Binary { op, ty, args: [a, b] } => eval::binary(op, ty, self.value(a), self.value(b)),
            Inst::Compare { cond, ty, args: [a, b] } => eval::compare(cond, ty, self.value(a), self.value(b)).into(),
            Inst::Select { cond, args: [a, b], .. } => self.value(if self.value(cond) != 0 { a } else { b }),
            Inst::Convert { op, ty, arg } => eval::convert(op, self.block.ty(arg), ty, self.value(arg)),
            _ => self.float(inst),
        }
    }

    fn float(&mut self, inst: &Inst) -> u64 {
        match *inst {
            Inst::FloatUnary { op: op @ (FloatUnaryOp::Neg | FloatUnaryOp::Abs), ty, round, arg } => {
                float::unary(op, ty, self.env(round), self.value(arg)).0
            }
            Inst::FloatUnary { op, ty, round, arg } => {
                self.result(ty, float::unary(op, ty, self.env(round), self.operand(arg)))
            }
            Inst::FloatBinary { op: op @ FloatBinaryOp::CopySign, ty, round, args: [a, b] } => {
                float::binary(op, ty, self.env(round), self.value(a), self.value(b)).0
            }
            Inst::FloatBinary { op, ty, round, args: [a, b] } => {
                self.result(ty, float::binary(op, ty, self.env(round), self.operand(a), self.operand(b)))
            }
            Inst::FloatFma { ty, round, args } => {
                let [a, b, c] = args.map(|v| self.operand(v));
                self.result(ty, float::fma(ty, self.env(round), a, b, c))
            }
            Inst::FloatConvert { op, ty, round, arg } => {
                let found = float::convert(op, self.block.ty(arg), ty, self.env(round), self.operand(arg));
                self.result(ty, found)
            }
            Inst::FloatCompare { cond, quietness, ty, args: [a, b] } => {
                let (a, b) = (self.operand(a), self.operand(b));
                let (holds, flags) = float::compare(cond, quietness, ty, self.block.nan, a, b);
                self.raised = self.raised | flags;
                holds.into()
            }
            ref inst => unreachable!("not a part of a floating-point instruction: {inst:?}"),
        }
    }
}

/// Cause, as the instruction that ran last left it.
pub(crate) fn cause(cpu: &CpuState, config: &Config) -> u32 {
    let word = cpu.get(FP_WORD) as u32;
    let config = Config { fr: fcsr::fr_mode(cpu, config), ..*config };
    let alone = if word == 0 { None } else { alone(word, &config) };
    match alone {
        None => cpu.get(FCSR) as u32 >> CAUSE_LOW & 0x1f,
        Some(alone) => {
            let operand = |n: usize, _| if n < 3 { cpu.get(fp_operand_slot(n)) } else { 0 };
            alone.evaluate(Control::of(cpu, &config), operand).1.0.into()
        }
    }
}

/// Runs an instruction.
fn run(cpu: &mut CpuState, _: &mut dyn Env, args: &[u64]) -> Result<u64, Trap> {
    let config = config_of(args[0]);
    let alone = alone(args[1] as u32, &config).expect("called for a floating-point instruction");
    let control = Control::of(cpu, &config);
    let (values, raised) = alone.evaluate(control, |_, slot| cpu.get(slot));
    let cause = u32::from(raised.0);
    if cause & control.enables != 0 {
        let held = cpu.get(FCSR) as u32 & !(fcsr::CAUSE);
        cpu.set(FCSR, (held | cause << CAUSE_LOW).into());
        cpu.set(regs::FP_WORD, 0);
        return Err(Trap { kind: TrapKind::FloatException });
    }
    cpu.fp_flags |= cause;
    Ok(values[args[2] as usize])
}
