//! Classic BPF, as far as seccomp allows it: checked when a filter is installed, interpreted at each system call.
#![forbid(unsafe_code)]

use super::errno::Errno;

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) struct Insn {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// A program that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program(Vec<Insn>);

/// The most instructions (`BPF_MAXINSNS`).
pub(super) const MOST: usize = 4096;
const SCRATCH: usize = 16;

// Classes, sizes and modes of `code`.
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
const IMM: u16 = 0x00;
const ABS: u16 = 0x20;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
/// The operand is X, not `k`.
const X: u16 = 8;
/// A return's value is the accumulator.
const A: u16 = 0x10;
const TAX: u16 = 0x00;
const TXA: u16 = 0x80;
const JA: u16 = 0x00;
const JEQ: u16 = 0x10;
const JGT: u16 = 0x20;
const JGE: u16 = 0x30;
const JSET: u16 = 0x40;
const DIV: u16 = 0x30;
const LSH: u16 = 0x60;
const RSH: u16 = 0x70;
const NEG: u16 = 0x80;

/// What an instruction may be, with its class.
fn is_known(code: u16) -> bool {
    let (class, rest) = (code & 7, code & !7);
    match class {
        LD => matches!(rest, IMM | ABS | MEM | LEN),
        LDX => matches!(rest, IMM | MEM | LEN),
        ST | STX => rest == 0,
        // ADD SUB MUL DIV OR AND LSH RSH and XOR with either operand, NEG; no MOD.
        ALU => rest == NEG || matches!(rest & !X, 0x00 | 0x10 | 0x20 | DIV | 0x40 | 0x50 | LSH | RSH | 0xa0),
        JMP => rest == JA || matches!(rest & !X, JEQ | JGT | JGE | JSET),
        RET => matches!(rest, 0 | A),
        _ => matches!(rest, TAX | TXA),
    }
}

impl Program {
    /// Checks a program over `data` bytes: known instructions, jumps inside, loads inside, a return at the end.
    pub(super) fn new(insns: Vec<Insn>, data: u32) -> Result<Program, Errno> {
        if insns.is_empty() || insns.len() > MOST {
            return Err(Errno::EINVAL);
        }
        let fine = insns.iter().enumerate().all(|(i, insn)| is_fine(insn, insns.len() - i - 1, data));
        let ends = insns.last().is_some_and(|insn| insn.code & 7 == RET);
        if !fine || !ends || !loads_what_was_stored(&insns) {
            return Err(Errno::EINVAL);
        }
        Ok(Program(insns))
    }

    /// The instructions, as they were given.
    pub(super) fn insns(&self) -> &[Insn] {
        &self.0
    }

    /// Runs over the data, a word at a time. A division by zero ends it with 0.
    pub(super) fn run(&self, word: impl Fn(u32) -> u32, data: u32) -> u32 {
        let (mut a, mut x, mut scratch) = (0u32, 0u32, [0u32; SCRATCH]);
        let mut at = 0;
        while let Some(insn) = self.0.get(at) {
            at += 1;
            let operand = if insn.code & X != 0 { x } else { insn.k };
            match insn.code & 7 {
                LD | LDX => {
                    let value = match insn.code & 0xe0 {
                        ABS => word(insn.k),
                        MEM => scratch[insn.k as usize],
                        LEN => data,
                        _ => insn.k,
                    };
                    *(if insn.code & 7 == LD { &mut a } else { &mut x }) = value;
                }
                ST => scratch[insn.k as usize] = a,
                STX => scratch[insn.k as usize] = x,
                ALU => match calculate(insn.code & 0xf0, a, operand) {
                    Some(value) => a = value,
                    None => return 0,
                },
                JMP => at += distance(insn, a, operand),
                RET => return if insn.code & A != 0 { a } else { insn.k },
                MISC if insn.code & TXA != 0 => a = x,
                _ => x = a,
            }
        }
        0
    }
}

/// Is the instruction allowed where `left` more follow it?
fn is_fine(insn: &Insn, left: usize, data: u32) -> bool {
    let inside = |distance: u32| (distance as usize) < left;
    let (class, rest) = (insn.code & 7, insn.code & !7);
    is_known(insn.code)
        && match (class, rest) {
            (LD, ABS) => insn.k < data && insn.k.is_multiple_of(4),
            (LD | LDX, MEM) | (ST | STX, _) => (insn.k as usize) < SCRATCH,
            (ALU, DIV) => insn.k != 0,
            (ALU, LSH | RSH) => insn.k < 32,
            (JMP, JA) => inside(insn.k),
            (JMP, _) => inside(insn.jt.into()) && inside(insn.jf.into()),
            _ => true,
        }
}

/// Is each word of scratch memory stored on every way before it is loaded? Jumps go forward only.
fn loads_what_was_stored(insns: &[Insn]) -> bool {
    let mut stored = vec![u16::MAX; insns.len()];
    let mut valid = 0u16;
    for (i, insn) in insns.iter().enumerate() {
        valid &= stored[i];
        let mut reach = |distance: usize, valid: u16| {
            if let Some(set) = stored.get_mut(i + 1 + distance) {
                *set &= valid;
            }
        };
        match (insn.code & 7, insn.code & !7) {
            (ST | STX, _) => valid |= 1 << insn.k,
            (LD | LDX, MEM) if valid & 1 << insn.k == 0 => return false,
            (JMP, JA) => {
                reach(insn.k as usize, valid);
                valid = u16::MAX;
            }
            (JMP, _) => {
                reach(insn.jt.into(), valid);
                reach(insn.jf.into(), valid);
                valid = u16::MAX;
            }
            _ => {}
        }
    }
    true
}

fn calculate(operation: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        DIV => a.checked_div(operand)?,
        0x40 => a | operand,
        0x50 => a & operand,
        LSH => a.wrapping_shl(operand),
        RSH => a.wrapping_shr(operand),
        NEG => a.wrapping_neg(),
        _ => a ^ operand,
    })
}

/// How many instructions a jump leaves out.
fn distance(insn: &Insn, a: u32, operand: u32) -> usize {
    let taken = match insn.code & 0xf0 {
        JA => return insn.k as usize,
        JEQ => a == operand,
        JGT => a > operand,
        JGE => a >= operand,
        _ => a & operand != 0,
    };
    usize::from(if taken { insn.jt } else { insn.jf })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
        Insn { code, jt, jf, k }
    }

    const RET_K: Insn = insn(RET, 0, 0, 7);

    fn check(insns: &[Insn]) -> bool {
        Program::new(insns.to_vec(), 64).is_ok()
    }

    #[test]
    fn what_seccomp_refuses() {
        assert!(check(&[RET_K]));
        assert!(!check(&[]) && !check(&[insn(LD | ABS, 0, 0, 0)]));
        for (bad, good) in [
            (insn(LD | ABS, 0, 0, 64), insn(LD | ABS, 0, 0, 60)),
            (insn(LD | ABS, 0, 0, 2), insn(LD | ABS, 0, 0, 0)),
            (insn(LD | ABS | 0x10, 0, 0, 0), insn(LD | LEN, 0, 0, 0)),
            (insn(LD | MEM, 0, 0, 0), insn(ST, 0, 0, 15)),
            (insn(ST, 0, 0, 16), insn(STX, 0, 0, 0)),
            (insn(ALU | DIV, 0, 0, 0), insn(ALU | DIV | X, 0, 0, 0)),
            (insn(ALU | 0x90, 0, 0, 3), insn(ALU | 0xa0, 0, 0, 3)),
            (insn(ALU | LSH, 0, 0, 32), insn(ALU | RSH, 0, 0, 31)),
            (insn(JMP | JEQ, 0, 1, 0), insn(JMP | JEQ, 0, 0, 0)),
            (insn(JMP | JA, 0, 0, 1), insn(JMP | JA, 0, 0, 0)),
            (insn(0xffff, 0, 0, 0), insn(MISC | TXA, 0, 0, 0)),
        ] {
            assert!(!check(&[bad, RET_K]), "{bad:?}");
            assert!(check(&[good, RET_K]), "{good:?}");
        }
    }

    #[test]
    fn scratch_memory_is_stored_first() {
        let (store, load) = (insn(ST, 0, 0, 3), insn(LD | MEM, 0, 0, 3));
        assert!(check(&[store, load, RET_K]));
        // The jump may leave the store out.
        assert!(!check(&[insn(JMP | JEQ, 0, 1, 0), store, load, RET_K]));
        assert!(check(&[store, insn(JMP | JEQ, 0, 1, 0), insn(LD, 0, 0, 1), load, RET_K]));
    }

    #[test]
    fn programs_run() {
        let run = |insns: &[Insn]| Program::new(insns.to_vec(), 64).map(|p| p.run(|at| 100 + at, 64));
        let ret_a = insn(RET | A, 0, 0, 0);
        assert_eq!(run(&[insn(LD | ABS, 0, 0, 8), ret_a]), Ok(108));
        assert_eq!(run(&[insn(LD | ABS, 0, 0, 4), insn(JMP | JGE, 0, 1, 104), RET_K, ret_a]), Ok(7));
        assert_eq!(run(&[insn(LD | ABS, 0, 0, 4), insn(JMP | JGT, 0, 1, 104), RET_K, ret_a]), Ok(104));
        assert_eq!(run(&[insn(LDX, 0, 0, 3), insn(LD, 0, 0, 20), insn(ALU | DIV | X, 0, 0, 0), ret_a]), Ok(6));
        assert_eq!(run(&[insn(LD, 0, 0, 20), insn(ALU | DIV | X, 0, 0, 0), ret_a]), Ok(0));
        assert_eq!(run(&[insn(LD, 0, 0, 5), insn(MISC, 0, 0, 0), insn(ALU | 0x20 | X, 0, 0, 0), ret_a]), Ok(25));
        assert_eq!(run(&[insn(LD, 0, 0, 5), insn(ALU | NEG, 0, 0, 0), ret_a]), Ok(5u32.wrapping_neg()));
    }
}
