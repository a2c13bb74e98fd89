//! System calls, traps, hardware registers, hints.

use super::{Flow, Lower};
use crate::exact::helper;
use crate::fields::Word;
use crate::regs::USER_LOCAL;
use emu_ir::{BinaryOp, Cond, ExitKind, Terminator, TrapKind, Type, Value};

/// SYSCALL; the kernel ignores its code.
pub fn syscall(t: &mut Lower, _: Word) -> Flow {
    Flow::End(Terminator::Syscall { next: t.pc_plus(4) })
}

/// BREAK, with its code of 20 bits. (Assemblers put a code of 10 bits into the upper ones: Linux takes either.)
pub fn break_(t: &mut Lower, w: Word) -> Flow {
    let code = w.bits(25, 6);
    let code = if code >= 1 << 10 { (code & 0x3ff) << 10 | code >> 10 } else { code };
    t.trap(TrapKind::Breakpoint { code })
}

/// A trap if rs and rt fulfil the condition, with a code of 10 bits.
fn trap_if(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.gpr(w.rt()));
    let holds = t.ir.compare(cond, a, b);
    t.ir.trap_if(holds, TrapKind::Conditional { code: w.bits(15, 6) });
    Flow::Next
}

/// TGE.
pub fn tge(t: &mut Lower, w: Word) -> Flow {
    trap_if(t, w, Cond::GeS)
}

/// TGEU.
pub fn tgeu(t: &mut Lower, w: Word) -> Flow {
    trap_if(t, w, Cond::GeU)
}

/// TLT.
pub fn tlt(t: &mut Lower, w: Word) -> Flow {
    trap_if(t, w, Cond::LtS)
}

/// TLTU.
pub fn tltu(t: &mut Lower, w: Word) -> Flow {
    trap_if(t, w, Cond::LtU)
}

/// TEQ.
pub fn teq(t: &mut Lower, w: Word) -> Flow {
    trap_if(t, w, Cond::Eq)
}

/// TNE.
pub fn tne(t: &mut Lower, w: Word) -> Flow {
    trap_if(t, w, Cond::Ne)
}

/// A trap if rs and the immediate fulfil the condition; there is no code.
fn trap_if_imm(t: &mut Lower, w: Word, cond: Cond) -> Flow {
    let (a, b) = (t.gpr(w.rs()), t.imm(w.imm()));
    let holds = t.ir.compare(cond, a, b);
    t.ir.trap_if(holds, TrapKind::Conditional { code: 0 });
    Flow::Next
}

/// TGEI.
pub fn tgei(t: &mut Lower, w: Word) -> Flow {
    trap_if_imm(t, w, Cond::GeS)
}

/// TGEIU.
pub fn tgeiu(t: &mut Lower, w: Word) -> Flow {
    trap_if_imm(t, w, Cond::GeU)
}

/// TLTI.
pub fn tlti(t: &mut Lower, w: Word) -> Flow {
    trap_if_imm(t, w, Cond::LtS)
}

/// TLTIU.
pub fn tltiu(t: &mut Lower, w: Word) -> Flow {
    trap_if_imm(t, w, Cond::LtU)
}

/// TEQI.
pub fn teqi(t: &mut Lower, w: Word) -> Flow {
    trap_if_imm(t, w, Cond::Eq)
}

/// TNEI.
pub fn tnei(t: &mut Lower, w: Word) -> Flow {
    trap_if_imm(t, w, Cond::Ne)
}

/// Bytes that a SYNCI covers: what is stored to is found by page anyway.
const SYNCI_STEP: i64 = 32;
/// Cycles for each step of the counter.
const CC_RES: i64 = 2;

/// RDHWR, of the registers that Linux lets a user program read; where the processor has it not, the kernel emulates it.
pub fn rdhwr(t: &mut Lower, w: Word) -> Flow {
    let value: Value = match w.rd() {
        // CPUNum: one processor is as good as another.
        0 => t.imm(0),
        1 => t.imm(SYNCI_STEP),
        2 => {
            let cycles = t.ir.call(helper::CYCLE, Type::I64, &[]);
            let count = t.with_imm(BinaryOp::ShrU, cycles, CC_RES.ilog2().into());
            let count = t.ir.trunc(Type::I32, count);
            t.ir.sext(t.word(), count)
        }
        3 => t.imm(CC_RES),
        29 => t.ir.get(t.word(), USER_LOCAL),
        _ => return Flow::Illegal,
    };
    t.set_gpr(w.rt(), value);
    Flow::Next
}

/// SYNCI: code may have changed.
pub fn synci(t: &mut Lower, _: Word) -> Flow {
    Flow::End(Terminator::Exit { kind: ExitKind::InsnFence, next: t.pc_plus(4) })
}

/// PAUSE.
pub fn pause(t: &mut Lower, _: Word) -> Flow {
    Flow::End(Terminator::Exit { kind: ExitKind::Yield, next: t.pc_plus(4) })
}

/// NOP, SSNOP, EHB: shifts of `$zero`.
pub fn nop(_: &mut Lower, _: Word) -> Flow {
    Flow::Next
}

/// SIGRIE: always a reserved instruction.
pub fn sigrie(_: &mut Lower, _: Word) -> Flow {
    Flow::Illegal
}
