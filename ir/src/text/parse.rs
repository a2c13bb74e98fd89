//! Parsing: a cursor on one line, and a parser that collects a block line by line.

use super::Names;
use crate::block::{Block, BlockKey, IndirectKind, InsnMark, Inst, JumpKind, Terminator, Value};
use crate::guest::TrapKind;
use crate::op::*;
use crate::reserve::ScId;
use crate::state::{SLOTS, Slot};
use crate::types::Type;
use crate::verify::verify;
use std::collections::HashMap;

/// Where and why a text is not a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// From 1, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// Reads one block and verifies it.
///
/// # Errors
/// The first line that is not as [`super`] describes, or that breaks one of [`Block`]'s invariants.
pub fn parse(text: &str, names: Names<'_>) -> Result<Block, ParseError> {
    let mut parser = Parser { names, ..Parser::default() };
    for (i, line) in text.lines().enumerate() {
        let code = line.split(';').next().unwrap_or_default();
        let mut cursor = Cursor { text: code, at: 0, line: i + 1 };
        cursor.skip_blanks();
        if !cursor.at_end() {
            parser.line(&mut cursor)?;
            cursor.end()?;
        }
    }
    parser.finish(text.lines().count())
}

type Parsed<T> = Result<T, ParseError>;

/// A position in one line.
#[derive(Clone, Copy)]
struct Cursor<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl<'t> Cursor<'t> {
    fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError { line: self.line, column: self.at + 1, message: message.into() })
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    fn end(&self) -> Parsed<()> {
        if self.at_end() { Ok(()) } else { self.fail(format!("unexpected `{}`", self.rest().trim_end())) }
    }

    /// Takes `token` if it is next.
    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
            self.skip_blanks();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.take(token) { Ok(()) } else { self.fail(format!("expected `{token}`")) }
    }

    /// A run of letters, digits, dots and underscores; may be empty.
    fn peek_word(&self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        &rest[..end]
    }

    fn word(&mut self, what: &str) -> Parsed<&'t str> {
        let word = self.peek_word();
        if word.is_empty() {
            return self.fail(format!("expected {what}"));
        }
        self.at += word.len();
        self.skip_blanks();
        Ok(word)
    }

    fn keyword(&mut self, keyword: &str) -> Parsed<()> {
        if self.peek_word() == keyword {
            self.word(keyword).map(drop)
        } else {
            self.fail(format!("expected `{keyword}`"))
        }
    }

    /// A word that `read` understands.
    fn read<T>(&mut self, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Parsed<T> {
        match read(self.peek_word()) {
            Some(value) => self.word(what).map(|_| value),
            None => self.fail(format!("expected {what}")),
        }
    }

    fn number(&mut self) -> Parsed<u64> {
        self.read("a number", number)
    }

    fn number_u32(&mut self) -> Parsed<u32> {
        self.read("a number of 32 bits", |word| number(word)?.try_into().ok())
    }
}

fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

/// The element of `all` whose name is `word`.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, word: &str) -> Option<T> {
    all.iter().copied().find(|item| name(*item) == word)
}

/// An opcode with its suffixes, and where they stand.
struct Opcode<'t> {
    head: &'t str,
    suffixes: Vec<(&'t str, Cursor<'t>)>,
    start: Cursor<'t>,
    used: usize,
}

impl<'t> Opcode<'t> {
    fn read(cursor: &mut Cursor<'t>) -> Parsed<Opcode<'t>> {
        let start = *cursor;
        let word = cursor.word("an instruction")?;
        let mut parts = word.split('.');
        let head = parts.next().unwrap_or_default();
        let mut at = start.at + head.len() + 1;
        let suffixes = parts.map(|part| {
            let here = Cursor { at, ..start };
            at += part.len() + 1;
            (part, here)
        });
        Ok(Opcode { head, suffixes: suffixes.collect(), start, used: 0 })
    }

    /// The next suffix, as `read` understands it.
    fn suffix<T>(&mut self, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Parsed<T> {
        let Some((part, here)) = self.suffixes.get(self.used) else {
            return self.start.fail(format!("`{}` lacks {what}", self.head));
        };
        self.used += 1;
        read(part).map_or_else(|| here.fail(format!("`{part}` is not {what}")), Ok)
    }

    fn ty(&mut self) -> Parsed<Type> {
        self.suffix("a type", |s| named(&Type::ALL, Type::name, s))
    }

    fn round(&mut self) -> Parsed<Round> {
        self.suffix("a rounding mode", |s| named(&Round::ALL, Round::name, s))
    }

    fn end(&self) -> Parsed<()> {
        match self.suffixes.get(self.used) {
            Some((part, here)) => here.fail(format!("unexpected suffix `{part}`")),
            None => Ok(()),
        }
    }
}

#[derive(Default)]
struct Parser<'a> {
    names: Names<'a>,
    key: Option<(BlockKey, NanRule)>,
    insts: Vec<Inst>,
    /// The line of each instruction and of the terminator, for errors that the verifier finds.
    lines: Vec<usize>,
    marks: Vec<InsnMark>,
    values: HashMap<u32, Value>,
    term: Option<Terminator>,
}

impl Parser<'_> {
    fn line(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if self.term.is_some() {
            return cursor.fail("the block has ended");
        }
        match (cursor.peek_word(), self.key) {
            ("block", None) => self.block(cursor),
            (_, None) => cursor.fail("expected `block`"),
            ("insn", _) => self.insn(cursor),
            _ if self.marks.is_empty() => cursor.fail("expected `insn`"),
            _ => self.inst_or_terminator(cursor),
        }
    }

    fn block(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        cursor.keyword("block")?;
        let pc = cursor.number()?;
        cursor.keyword("mode")?;
        let mode = cursor.number_u32()?;
        let mut nan = NanRule::Canonical;
        if !cursor.at_end() {
            cursor.keyword("nan")?;
            nan = cursor.read("a rule for NaNs", |s| named(&NanRule::ALL, NanRule::name, s))?;
        }
        self.key = Some((BlockKey { pc, mode }, nan));
        Ok(())
    }

    fn insn(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        cursor.keyword("insn")?;
        let pc = cursor.number()?;
        cursor.keyword("len")?;
        let len = cursor.read("a length", |s| s.parse().ok())?;
        self.marks.push(InsnMark { pc, first: self.insts.len() as u32, len });
        Ok(())
    }

    fn inst_or_terminator(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        self.lines.push(cursor.line);
        if let Some(term) = self.terminator(cursor)? {
            self.term = Some(term);
            return Ok(());
        }
        let start = *cursor;
        let name = value_number(cursor.peek_word());
        if name.is_some() {
            cursor.word("a value")?;
            cursor.expect("=")?;
        }
        let mut opcode = Opcode::read(cursor)?;
        let inst = self.inst(&mut opcode, cursor)?;
        opcode.end()?;
        match (name, inst.result()) {
            (Some(number), Some(_)) => self.define(number, &start)?,
            (None, None) => {}
            (Some(_), None) => return start.fail(format!("`{}` defines no value", opcode.head)),
            (None, Some(_)) => return start.fail(format!("the value of `{}` needs a name", opcode.head)),
        }
        self.insts.push(inst);
        Ok(())
    }

    fn define(&mut self, number: u32, at: &Cursor<'_>) -> Parsed<()> {
        match self.values.insert(number, Value(self.insts.len() as u32)) {
            None => Ok(()),
            Some(_) => at.fail(format!("v{number} is defined twice")),
        }
    }

    fn value(&self, cursor: &mut Cursor<'_>) -> Parsed<Value> {
        let start = *cursor;
        let number = cursor.read("a value", value_number)?;
        let value = self.values.get(&number).copied();
        value.map_or_else(|| start.fail(format!("v{number} is not defined")), Ok)
    }

    fn values<const N: usize>(&self, cursor: &mut Cursor<'_>) -> Parsed<[Value; N]> {
        let mut values = [Value(0); N];
        for (i, value) in values.iter_mut().enumerate() {
            if i > 0 {
                cursor.expect(",")?;
            }
            *value = self.value(cursor)?;
        }
        Ok(values)
    }

    fn ty(&self, value: Value) -> Type {
        self.insts[value.index()].result().expect("only values are named")
    }

    fn inst(&self, op: &mut Opcode<'_>, c: &mut Cursor<'_>) -> Parsed<Inst> {
        match op.head {
            "const" => constant(op, c),
            "get" => Ok(Inst::Get { ty: op.ty()?, slot: self.slot(c)? }),
            "set" => self.set(c),
            "load" | "store" => self.access(op, c),
            "call" => self.call(op, c),
            "trap_if" => self.trap_if(c),
            "leave_if" => self.leave_if(c),
            "rmw" | "cas" | "lr" | "sc" | "fence" => self.atomic(op, c),
            "fpflags" => Ok(Inst::ReadFpFlags),
            "fpround" => Ok(Inst::ReadFpRound),
            "set_fpflags" => Ok(Inst::WriteFpFlags { value: self.value(c)? }),
            "set_fpround" => Ok(Inst::WriteFpRound { value: self.value(c)? }),
            head if head.starts_with('f') => self.float(op, c),
            _ => self.integer(op, c),
        }
    }

    fn set(&self, c: &mut Cursor<'_>) -> Parsed<Inst> {
        let slot = self.slot(c)?;
        c.expect(",")?;
        let value = self.value(c)?;
        Ok(Inst::Set { ty: self.ty(value), slot, value })
    }

    fn slot(&self, c: &mut Cursor<'_>) -> Parsed<Slot> {
        let by_name = |word: &str| self.names.slots.iter().find(|info| info.name == word).map(|info| info.slot);
        let by_number =
            |word: &str| word.strip_prefix("slot")?.parse().ok().map(Slot).filter(|s| s.index() < SLOTS / 2);
        c.read("a register", |word| by_name(word).or_else(|| by_number(word)))
    }

    fn integer(&self, op: &mut Opcode<'_>, c: &mut Cursor<'_>) -> Parsed<Inst> {
        if op.head == "icmp" {
            let cond = op.suffix("a condition", |s| named(&Cond::ALL, Cond::name, s))?;
            return Ok(Inst::Compare { cond, ty: op.ty()?, args: self.values(c)? });
        }
        if op.head == "select" {
            let (ty, [cond, a, b]) = (op.ty()?, self.values(c)?);
            return Ok(Inst::Select { ty, cond, args: [a, b] });
        }
        if let Some(binary) = named(&BinaryOp::ALL, BinaryOp::name, op.head) {
            return Ok(Inst::Binary { op: binary, ty: op.ty()?, args: self.values(c)? });
        }
        if let Some(unary) = named(&UnaryOp::ALL, UnaryOp::name, op.head) {
            return Ok(Inst::Unary { op: unary, ty: op.ty()?, arg: self.value(c)? });
        }
        if let Some(convert) = named(&ConvertOp::ALL, ConvertOp::name, op.head) {
            return Ok(Inst::Convert { op: convert, ty: op.ty()?, arg: self.value(c)? });
        }
        op.start.fail(format!("unknown instruction `{}`", op.head))
    }

    fn float(&self, op: &mut Opcode<'_>, c: &mut Cursor<'_>) -> Parsed<Inst> {
        if let Some(quietness) = named(&Quietness::ALL, Quietness::name, op.head) {
            let cond = op.suffix("a condition", |s| named(&FloatCond::ALL, FloatCond::name, s))?;
            let (ty, args) = (op.ty()?, self.values(c)?);
            return Ok(Inst::FloatCompare { cond, quietness, ty, args });
        }
        if op.head == "fclass" {
            return Ok(Inst::FloatClass { ty: op.ty()?, arg: self.value(c)? });
        }
        if op.head == "fma" {
            return Ok(Inst::FloatFma { ty: op.ty()?, round: op.round()?, args: self.values(c)? });
        }
        if let Some(binary) = named(&FloatBinaryOp::ALL, FloatBinaryOp::name, op.head) {
            return Ok(Inst::FloatBinary { op: binary, ty: op.ty()?, round: op.round()?, args: self.values(c)? });
        }
        if let Some(unary) = named(&FloatUnaryOp::ALL, FloatUnaryOp::name, op.head) {
            return Ok(Inst::FloatUnary { op: unary, ty: op.ty()?, round: op.round()?, arg: self.value(c)? });
        }
        if let Some(convert) = named(&FloatConvertOp::ALL, FloatConvertOp::name, op.head) {
            return Ok(Inst::FloatConvert { op: convert, ty: op.ty()?, round: op.round()?, arg: self.value(c)? });
        }
        op.start.fail(format!("unknown instruction `{}`", op.head))
    }

    fn access(&self, op: &mut Opcode<'_>, c: &mut Cursor<'_>) -> Parsed<Inst> {
        let loaded = if op.head == "load" { Some(op.ty()?) } else { None };
        let access = op.suffix("an access width", access)?;
        let addr = self.value(c)?;
        let offset = offset(c)?;
        if let Some(ty) = loaded {
            return Ok(Inst::Load { ty, access, addr, offset });
        }
        c.expect(",")?;
        let value = self.value(c)?;
        Ok(Inst::Store { ty: self.ty(value), access, addr, offset, value })
    }

    fn atomic(&self, op: &mut Opcode<'_>, c: &mut Cursor<'_>) -> Parsed<Inst> {
        if op.head == "fence" {
            let kind = op.suffix("a kind of fence", |s| named(&FenceKind::ALL, FenceKind::name, s))?;
            return Ok(Inst::Fence { kind });
        }
        if op.head == "rmw" {
            let rmw = op.suffix("an atomic op", |s| named(&AtomicOp::ALL, AtomicOp::name, s))?;
            let (ty, [addr, value]) = (op.ty()?, self.values(c)?);
            return Ok(Inst::AtomicRmw { op: rmw, ty, addr, value });
        }
        let ty = op.ty()?;
        if op.head == "lr" {
            let addr = self.value(c)?;
            return Ok(Inst::LoadReserved { ty, addr, id: sc_id(c, ty)? });
        }
        if op.head == "sc" {
            let [addr, value] = self.values(c)?;
            return Ok(Inst::StoreConditional { ty, addr, value, id: sc_id(c, ty)? });
        }
        let [addr, expected, new] = self.values(c)?;
        Ok(Inst::AtomicCas { ty, addr, expected, new })
    }

    fn call(&self, op: &mut Opcode<'_>, c: &mut Cursor<'_>) -> Parsed<Inst> {
        let ty = op.ty()?;
        let by_name = |word: &str| self.names.helpers.iter().position(|def| def.name == word).map(|i| i as u16);
        let by_number = |word: &str| word.strip_prefix("helper")?.parse().ok();
        let helper = HelperId(c.read("a helper", |word| by_name(word).or_else(|| by_number(word)))?);
        c.expect("(")?;
        let (mut args, mut count) = ([Value(0); 3], 0);
        while !c.take(")") {
            if count > 0 {
                c.expect(",")?;
            }
            let Some(arg) = args.get_mut(usize::from(count)) else {
                return c.fail("more than three arguments");
            };
            *arg = self.value(c)?;
            count += 1;
        }
        Ok(Inst::Call { helper, ty, count, args })
    }

    fn trap_if(&self, c: &mut Cursor<'_>) -> Parsed<Inst> {
        let cond = self.value(c)?;
        c.expect(",")?;
        Ok(Inst::TrapIf { cond, kind: trap_kind(c)? })
    }

    fn leave_if(&self, c: &mut Cursor<'_>) -> Parsed<Inst> {
        let cond = self.value(c)?;
        c.expect(",")?;
        Ok(Inst::LeaveIf { cond, target: c.number()? })
    }

    /// The terminator that the line is, if it is one.
    fn terminator(&self, c: &mut Cursor<'_>) -> Parsed<Option<Terminator>> {
        let head = c.peek_word();
        if !matches!(head, "jump" | "call" | "return" | "branch" | "syscall" | "trap" | "exit") {
            return Ok(None);
        }
        c.word("a terminator")?;
        Ok(Some(match head {
            "branch" => self.branch(c)?,
            "syscall" => Terminator::Syscall { next: next(c)? },
            "trap" => Terminator::Trap { kind: trap_kind(c)? },
            "exit" => {
                let kind = c.read("a kind of exit", |s| named(&ExitKind::ALL, ExitKind::name, s))?;
                if c.peek_word() == "to" {
                    c.keyword("to")?;
                    Terminator::ExitTo { kind, target: self.value(c)? }
                } else {
                    Terminator::Exit { kind, next: next(c)? }
                }
            }
            "return" => Terminator::Indirect { target: self.value(c)?, kind: IndirectKind::Return },
            _ if c.rest().starts_with('v') => {
                let target = self.value(c)?;
                Terminator::Indirect {
                    target,
                    kind: ret(head, c)?.map_or(IndirectKind::Jump, |ret| IndirectKind::Call { ret }),
                }
            }
            _ => {
                let target = c.number()?;
                Terminator::Jump { target, kind: ret(head, c)?.map_or(JumpKind::Plain, |ret| JumpKind::Call { ret }) }
            }
        }))
    }

    fn branch(&self, c: &mut Cursor<'_>) -> Parsed<Terminator> {
        let cond = self.value(c)?;
        c.expect(",")?;
        let taken = c.number()?;
        c.expect(",")?;
        Ok(Terminator::Branch { cond, taken, next: c.number()? })
    }

    fn finish(self, last_line: usize) -> Parsed<Block> {
        let fail = |line: usize, message: String| Err(ParseError { line, column: 1, message });
        let (Some((key, nan)), Some(term)) = (self.key, self.term) else {
            return fail(last_line, "the block has no end".into());
        };
        let block = Block { key, nan, insts: self.insts, marks: self.marks, term, beyond: Vec::new() };
        match verify(&block) {
            Ok(()) => Ok(block),
            Err(error) => fail(self.lines[error.index.min(self.lines.len() - 1)], error.message),
        }
    }
}

/// `v3` is 3.
fn value_number(word: &str) -> Option<u32> {
    word.strip_prefix('v')?.parse().ok()
}

/// The name of a store-conditional, if there is one.
fn sc_id(c: &mut Cursor<'_>, ty: Type) -> Parsed<ScId> {
    match c.take("for") {
        false => Ok(ScId::NONE),
        true if c.take("any") => Ok(ScId::any(ty)),
        true => Ok(ScId(c.number()? as u32)),
    }
}

fn constant(op: &mut Opcode<'_>, c: &mut Cursor<'_>) -> Parsed<Inst> {
    let ty = op.ty()?;
    let start = *c;
    let negative = c.take("-");
    let magnitude = c.number()?;
    let fits = magnitude & !ty.mask() == 0 && (!negative || magnitude <= ty.mask() / 2 + 1);
    if !fits {
        return start.fail(format!("the constant does not fit {ty}"));
    }
    let bits = if negative { magnitude.wrapping_neg() & ty.mask() } else { magnitude };
    Ok(Inst::Const { ty, bits })
}

/// `+8` or `-8`, or nothing for 0.
fn offset(c: &mut Cursor<'_>) -> Parsed<i32> {
    let start = *c;
    let sign = match (c.take("+"), c.take("-")) {
        (true, _) => 1,
        (_, true) => -1,
        _ => return Ok(0),
    };
    let magnitude = i64::from(c.number_u32()?);
    i32::try_from(sign * magnitude).or_else(|_| start.fail("the offset does not fit 32 bits"))
}

/// `u4`, `s2be`.
fn access(word: &str) -> Option<Access> {
    let (word, big_endian) = word.strip_suffix("be").map_or((word, false), |word| (word, true));
    let signed = word.starts_with('s');
    let bytes = word.strip_prefix(['s', 'u'])?.parse().ok()?;
    Some(Access { bytes, signed, big_endian })
}

fn next(c: &mut Cursor<'_>) -> Parsed<u64> {
    c.keyword("next")?;
    c.number()
}

/// The return address of a call; none of a jump.
fn ret(head: &str, c: &mut Cursor<'_>) -> Parsed<Option<u64>> {
    if head != "call" {
        return Ok(None);
    }
    c.keyword("ret")?;
    c.number().map(Some)
}

fn trap_kind(c: &mut Cursor<'_>) -> Parsed<TrapKind> {
    let start = *c;
    Ok(match c.word("a trap")? {
        "illegal" => TrapKind::IllegalInstruction { word: c.number_u32()? },
        "breakpoint" => TrapKind::Breakpoint { code: c.number_u32()? },
        "conditional" => TrapKind::Conditional { code: c.number_u32()? },
        "overflow" => TrapKind::IntegerOverflow,
        "float_exception" => TrapKind::FloatException,
        "coprocessor" => {
            let unit = c.number_u32()?;
            TrapKind::CoprocessorUnusable {
                unit: unit.try_into().or_else(|_| start.fail(format!("there is no coprocessor {unit}")))?,
            }
        }
        "misaligned_target" => TrapKind::MisalignedTarget,
        word => return start.fail(format!("`{word}` is not a trap")),
    })
}
