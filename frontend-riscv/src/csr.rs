//! The control and status registers that a user program sees.

use crate::config::{Config, ExtSet};
use crate::lower::Lower;
use crate::table::Xlen;
use emu_ir::{BinaryOp, Counter, CpuState, Env, HelperDef, HelperId, Inst, Trap, Type, Value};

/// One register.
pub struct CsrDef {
    /// Its number; read-only if bits 11..10 are both set.
    pub number: u32,
    /// The manual's name.
    pub name: &'static str,
    needs: ExtSet,
    xlen: Xlen,
    content: Content,
}

/// What is in it.
#[derive(Clone, Copy)]
enum Content {
    FpFlags,
    FpRound,
    FpBoth,
    /// Bits `shift` and up of the counter that the helper reads.
    Counter(HelperId, i64),
}

const fn fp(number: u32, name: &'static str, content: Content) -> CsrDef {
    CsrDef { number, name, needs: ExtSet::F, xlen: Xlen::Any, content }
}

const fn counter(number: u32, name: &'static str, xlen: Xlen, helper: u16) -> CsrDef {
    let shift = if matches!(xlen, Xlen::Only32) { 32 } else { 0 };
    CsrDef { number, name, needs: ExtSet::ZICNTR, xlen, content: Content::Counter(HelperId(helper), shift) }
}

static CSRS: &[CsrDef] = &[
    fp(0x001, "fflags", Content::FpFlags),
    fp(0x002, "frm", Content::FpRound),
    fp(0x003, "fcsr", Content::FpBoth),
    counter(0xc00, "cycle", Xlen::Any, 0),
    counter(0xc01, "time", Xlen::Any, 1),
    counter(0xc02, "instret", Xlen::Any, 2),
    counter(0xc80, "cycleh", Xlen::Only32, 0),
    counter(0xc81, "timeh", Xlen::Only32, 1),
    counter(0xc82, "instreth", Xlen::Only32, 2),
];

/// The helpers that read the counters, in the order that [`CSRS`] numbers them.
pub(crate) static HELPERS: &[HelperDef] = &[
    HelperDef { name: "rdcycle", func: cycle },
    HelperDef { name: "rdtime", func: time },
    HelperDef { name: "rdinstret", func: instret },
];

fn cycle(_: &mut CpuState, env: &mut dyn Env, _: &[u64]) -> Result<u64, Trap> {
    Ok(env.counter(Counter::Cycle))
}

fn time(_: &mut CpuState, env: &mut dyn Env, _: &[u64]) -> Result<u64, Trap> {
    Ok(env.counter(Counter::Time))
}

fn instret(_: &mut CpuState, env: &mut dyn Env, _: &[u64]) -> Result<u64, Trap> {
    Ok(env.counter(Counter::Instret))
}

/// The name of a register that is known, on whatever hart.
pub fn name(number: u32) -> Option<&'static str> {
    CSRS.iter().find(|c| c.number == number).map(|c| c.name)
}

/// The register of that number, if a user program on this hart may read it.
pub fn find(number: u32, config: &Config) -> Option<&'static CsrDef> {
    CSRS.iter().find(|c| c.number == number && c.xlen.includes(config.xlen) && config.has(c.needs))
}

/// The bits of `fflags`, and their number: `frm` follows them in `fcsr`.
const FLAG_BITS: i64 = 5;
const FLAGS: i64 = (1 << FLAG_BITS) - 1;
const ROUND: i64 = 7;

impl CsrDef {
    /// Is writing it an illegal instruction?
    pub fn is_read_only(&self) -> bool {
        self.number >> 10 == 3
    }

    /// Does writing it change the mode of the code that follows?
    pub fn changes_mode(&self) -> bool {
        matches!(self.content, Content::FpRound | Content::FpBoth)
    }

    /// Its value, XLEN bits wide.
    pub fn read(&self, t: &mut Lower) -> Value {
        let value = match self.content {
            Content::FpFlags => t.ir.push(Inst::ReadFpFlags),
            Content::FpRound => t.ir.push(Inst::ReadFpRound),
            Content::FpBoth => {
                let (flags, round) = (t.ir.push(Inst::ReadFpFlags), t.ir.push(Inst::ReadFpRound));
                let round = t.with_imm(BinaryOp::Shl, round, FLAG_BITS);
                t.ir.or(round, flags)
            }
            Content::Counter(helper, shift) => {
                let count = t.ir.call(helper, Type::I64, &[]);
                let part = if shift == 0 { count } else { t.with_imm(BinaryOp::ShrU, count, shift) };
                return t.ir.trunc(t.xlen(), part);
            }
        };
        t.ir.zext(t.xlen(), value)
    }

    /// Writes a value of XLEN bits; bits that it has not are ignored. Read-only registers never get here.
    pub fn write(&self, t: &mut Lower, value: Value) {
        let value = t.ir.trunc(Type::I32, value);
        if matches!(self.content, Content::FpFlags | Content::FpBoth) {
            let flags = t.with_imm(BinaryOp::And, value, FLAGS);
            t.ir.push(Inst::WriteFpFlags { value: flags });
        }
        if self.changes_mode() {
            let shift = if matches!(self.content, Content::FpBoth) { FLAG_BITS } else { 0 };
            let round = t.with_imm(BinaryOp::ShrU, value, shift);
            let round = t.with_imm(BinaryOp::And, round, ROUND);
            t.ir.push(Inst::WriteFpRound { value: round });
        }
    }
}
