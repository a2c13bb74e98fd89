//! Single bytes that are put together become one load, and the bytes of one value that are stored side by side one store.
//!
//! Compilers for processors that do not have to take misaligned addresses make such sequences of what the program's source
//! had as one access, as RISC-V's do of each `memcpy` of four bytes. Where a byte is not mapped, the one access faults at the first
//! instruction of the sequence: that has not run then, and what runs it again, byte by byte, comes to the right one.

use crate::block::{Block, Inst, NO_VALUE, Value};
use crate::op::{Access, BinaryOp, ConvertOp};
use crate::types::Type;

/// Most bytes of an access.
const MOST: usize = 8;

/// Does the block have accesses of single bytes that might be combined?
pub(super) fn has_bytewise_accesses(block: &Block) -> bool {
    block.insts.iter().filter(|inst| is_bytewise(inst)).nth(1).is_some()
}

pub(super) fn is_bytewise(inst: &Inst) -> bool {
    matches!(inst, Inst::Load { access, .. } | Inst::Store { access, .. } if access.bytes == 1)
}

/// Combines accesses. False if there was nothing to combine, and nothing is changed.
pub(super) fn combine(block: &mut Block) -> bool {
    if !has_bytewise_accesses(block) {
        return false;
    }
    let mut plan = Plan::new(&block.insts);
    plan.find_stores();
    plan.find_assemblies();
    let (loads, stores) = (plan.loads, plan.stores);
    if loads.is_empty() && stores.is_empty() {
        return false;
    }
    Rebuild { out: Vec::with_capacity(block.insts.len() + 8), map: vec![NO_VALUE; block.insts.len()], loads, stores }
        .run(block);
    true
}

/// A value put together of bytes that were loaded: each of them, by its place in the value.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Assembly {
    base: Value,
    /// The load of the byte, and its offset from the base.
    bytes: [Option<(u32, i32)>; MOST],
    /// What is above the highest byte that is there: its sign (else zeros).
    signed: bool,
}

impl Assembly {
    fn highest(&self) -> usize {
        self.bytes.iter().rposition(Option::is_some).unwrap_or(0)
    }

    /// The low `count` bytes.
    fn low(mut self, count: usize) -> Option<Assembly> {
        let keeps_all = self.highest() < count;
        self.bytes[count..].fill(None);
        self.signed &= keeps_all && self.highest() + 1 < count;
        self.bytes.iter().any(Option::is_some).then_some(self)
    }

    /// Moved up inside a value of `size` bytes.
    fn up(self, by: usize, size: usize) -> Option<Assembly> {
        let mut bytes = [None; MOST];
        (0..size.saturating_sub(by)).for_each(|i| bytes[i + by] = self.bytes[i]);
        let moved = Assembly { bytes, ..self };
        let loses_some = self.highest() + by >= size;
        (!loses_some && bytes.iter().any(Option::is_some))
            .then_some(Assembly { signed: self.signed && moved.highest() + 1 < size, ..moved })
    }

    /// Both in one value.
    fn and(self, other: Assembly) -> Option<Assembly> {
        let (high, low) = if self.highest() > other.highest() { (self, other) } else { (other, self) };
        let is_disjoint = high.bytes.iter().zip(&low.bytes).all(|(a, b)| a.is_none() || b.is_none());
        if high.base != low.base || low.signed || !is_disjoint {
            return None;
        }
        let mut bytes = high.bytes;
        bytes.iter_mut().zip(&low.bytes).for_each(|(a, b)| *a = a.or(*b));
        Some(Assembly { bytes, ..high })
    }

    /// The one load that it is made by, if its bytes lie side by side.
    fn as_load(&self) -> Option<WideLoad> {
        let count = self.highest() + 1;
        let parts: Option<Vec<(u32, i32)>> = self.bytes[..count].iter().copied().collect();
        let parts = parts?;
        let big_endian = is_side_by_side(parts.iter().map(|part| part.1))?;
        let mut loads = parts;
        if big_endian {
            loads.reverse();
        }
        Some(WideLoad {
            base: self.base,
            offset: loads[0].1,
            loads: loads.iter().map(|part| part.0).collect(),
            big_endian,
        })
    }
}

/// Are the offsets those of 2, 4 or 8 bytes one after the other? True for a falling order, which is that of a value's bytes in big endian.
fn is_side_by_side(offsets: impl ExactSizeIterator<Item = i32> + Clone) -> Option<bool> {
    let steps = |by: i32| offsets.clone().zip(offsets.clone().skip(1)).all(|(a, b)| a.checked_add(by) == Some(b));
    match (matches!(offsets.len(), 2 | 4 | 8), steps(1), steps(-1)) {
        (true, true, _) => Some(false),
        (true, _, true) => Some(true),
        _ => None,
    }
}

/// A load in place of several.
#[derive(Clone, Debug, PartialEq)]
struct WideLoad {
    base: Value,
    offset: i32,
    /// The loads of its bytes, by their addresses.
    loads: Vec<u32>,
    big_endian: bool,
}

/// What is made of a wide load.
#[derive(Debug)]
struct LoadGroup {
    load: WideLoad,
    /// Values that are what it loads, and whether signed; the last comes first.
    roots: Vec<(u32, bool)>,
}

/// A store in place of several.
#[derive(Debug)]
struct StoreGroup {
    /// The stores, the first of the program's first.
    members: Vec<u32>,
    base: Value,
    offset: i32,
    big_endian: bool,
    value: Source,
}

/// What a wide store stores.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A value, shifted right by so many bytes.
    Part(Value, u32),
    /// What the wide load loads that has this load's byte.
    Loaded(u32),
    Constant(u64),
}

/// Of each instruction the number of those so far that no load can be moved over.
pub(super) fn segments(insts: &[Inst]) -> Vec<u32> {
    let passes =
        |inst: &Inst| matches!(inst, Inst::Load { .. }) || !(inst.can_fault() || matches!(inst, Inst::Fence { .. }));
    let count = |segment: &mut u32, inst: &Inst| {
        *segment += u32::from(!passes(inst));
        Some(*segment)
    };
    insts.iter().scan(0, count).collect()
}

struct Plan<'a> {
    insts: &'a [Inst],
    segment: Vec<u32>,
    assemblies: Vec<Option<Assembly>>,
    /// The loads that are part of a wide one.
    taken: Vec<bool>,
    loads: Vec<LoadGroup>,
    stores: Vec<StoreGroup>,
}

impl<'a> Plan<'a> {
    fn new(insts: &'a [Inst]) -> Plan<'a> {
        let mut plan = Plan {
            insts,
            segment: segments(insts),
            assemblies: Vec::with_capacity(insts.len()),
            taken: vec![false; insts.len()],
            loads: Vec::new(),
            stores: Vec::new(),
        };
        for (i, inst) in insts.iter().enumerate() {
            let assembly = plan.assembly(i, inst);
            plan.assemblies.push(assembly);
        }
        plan
    }

    fn ty(&self, value: Value) -> Type {
        self.insts[value.index()].result().expect("a value is defined by an instruction with a result")
    }

    fn constant(&self, value: Value) -> Option<u64> {
        match self.insts[value.index()] {
            Inst::Const { bits, .. } => Some(bits),
            _ => None,
        }
    }

    /// The whole bytes that a constant shifts by.
    fn shift(&self, ty: Type, amount: Value) -> Option<usize> {
        let amount = self.constant(amount)? & u64::from(ty.bits() - 1);
        amount.is_multiple_of(8).then_some(amount as usize / 8)
    }

    fn assembly(&self, index: usize, inst: &Inst) -> Option<Assembly> {
        let of = |v: Value| self.assemblies[v.index()];
        match *inst {
            Inst::Load { access, addr, offset, .. } if access.bytes == 1 => {
                let mut bytes = [None; MOST];
                bytes[0] = Some((index as u32, offset));
                Some(Assembly { base: addr, bytes, signed: access.signed })
            }
            Inst::Convert { op, ty, arg } => {
                let from = (self.ty(arg).bits() / 8) as usize;
                let assembly = of(arg)?;
                match op {
                    ConvertOp::Zext => (!assembly.signed).then_some(assembly),
                    ConvertOp::Sext => {
                        let signed = assembly.signed || assembly.highest() + 1 == from;
                        Some(Assembly { signed, ..assembly })
                    }
                    ConvertOp::Trunc => assembly.low((ty.bits() / 8) as usize),
                    _ => None,
                }
            }
            Inst::Binary { op: BinaryOp::Shl, ty, args: [a, amount] } => {
                of(a)?.up(self.shift(ty, amount)?, (ty.bits() / 8) as usize)
            }
            Inst::Binary { op: BinaryOp::Or | BinaryOp::Add | BinaryOp::Xor, args: [a, b], .. } => of(a)?.and(of(b)?),
            _ => None,
        }
    }

    /// Values that loads together make: the largest first, which are the last.
    fn find_assemblies(&mut self) {
        for i in (0..self.insts.len()).rev() {
            let Some(assembly) = self.assemblies[i] else { continue };
            let Some(load) = assembly.as_load() else { continue };
            let root = (i as u32, assembly.signed);
            match self.loads.iter().position(|group| group.load == load) {
                Some(group) => self.loads[group].roots.push(root),
                None if self.can_load(&load) => self.add_load(load, vec![root]),
                None => {}
            }
        }
    }

    /// Can the first of the loads load all?
    fn can_load(&self, load: &WideLoad) -> bool {
        let segment = self.segment[load.loads[0] as usize];
        load.loads.iter().all(|i| self.segment[*i as usize] == segment && !self.taken[*i as usize])
    }

    fn add_load(&mut self, load: WideLoad, roots: Vec<(u32, bool)>) {
        load.loads.iter().for_each(|i| self.taken[*i as usize] = true);
        self.loads.push(LoadGroup { load, roots });
    }

    /// Runs of stores of single bytes with one base, and nothing between them that could fault.
    fn find_stores(&mut self) {
        let mut run: Vec<u32> = Vec::new();
        let base_of = |inst: &Inst| match *inst {
            Inst::Store { access, addr, .. } if access.bytes == 1 => Some(addr),
            _ => None,
        };
        for (i, inst) in self.insts.iter().enumerate() {
            let base = base_of(inst);
            let goes_on = run.last().is_none_or(|last| base_of(&self.insts[*last as usize]) == base);
            if (base.is_some() && !goes_on)
                || (base.is_none() && (inst.can_fault() || matches!(inst, Inst::Fence { .. })))
            {
                self.split_run(&std::mem::take(&mut run));
            }
            run.extend(base.map(|_| i as u32));
        }
        self.split_run(&run);
    }

    /// Makes wide stores of what of a run can be one.
    fn split_run(&mut self, mut run: &[u32]) {
        while run.len() > 1 {
            let group = [8, 4, 2].into_iter().filter(|n| *n <= run.len()).find_map(|n| self.wide_store(&run[..n]));
            let used = group.as_ref().map_or(1, |group| group.members.len());
            self.stores.extend(group);
            run = &run[used..];
        }
    }

    fn wide_store(&mut self, members: &[u32]) -> Option<StoreGroup> {
        let mut parts: Vec<(i32, Value)> = Vec::with_capacity(members.len());
        let mut base = NO_VALUE;
        for member in members {
            let Inst::Store { addr, offset, value, .. } = self.insts[*member as usize] else { return None };
            base = addr;
            parts.push((offset, value));
        }
        parts.sort_unstable_by_key(|part| part.0);
        if is_side_by_side(parts.iter().map(|part| part.0)) != Some(false) {
            return None;
        }
        let values: Vec<Value> = parts.iter().map(|part| part.1).collect();
        let (value, big_endian) = self.source(&values, members[0])?;
        Some(StoreGroup { members: members.to_vec(), base, offset: parts[0].0, big_endian, value })
    }

    /// What the store's value has as its low bytes: those of another value from some byte on, so many.
    fn origin(&self, value: Value) -> (Value, u32, u32) {
        match self.insts[value.index()] {
            Inst::Convert { op: ConvertOp::Zext | ConvertOp::Sext, arg, .. } => self.origin(arg),
            Inst::Convert { op: ConvertOp::Trunc, ty, arg } if self.ty(arg).is_int() => {
                let (of, at, count) = self.origin(arg);
                (of, at, count.min(ty.bits() / 8))
            }
            Inst::Binary { op: BinaryOp::ShrU | BinaryOp::ShrS, ty, args: [a, amount] } => {
                let whole = (value, 0, ty.bits() / 8);
                let Some(by) = self.shift(ty, amount) else { return whole };
                let (of, at, count) = self.origin(a);
                if (by as u32) < count { (of, at + by as u32, count - by as u32) } else { whole }
            }
            _ => (value, 0, self.ty(value).bits() / 8),
        }
    }

    /// The value that has these as its low bytes, by ascending address, before the store `first`; and whether its most significant one
    /// comes first.
    fn source(&mut self, values: &[Value], first: u32) -> Option<(Source, bool)> {
        self.loaded(values, first).or_else(|| self.part(values, first)).or_else(|| self.constants(values))
    }

    fn constants(&self, values: &[Value]) -> Option<(Source, bool)> {
        let byte = |v: &Value| self.constant(*v).map(|bits| bits & 0xff);
        let all = values.iter().rev().try_fold(0, |sum, v| Some(sum << 8 | byte(v)?))?;
        Some((Source::Constant(all), false))
    }

    fn part(&self, values: &[Value], first: u32) -> Option<(Source, bool)> {
        let (of, ..) = self.origin(values[0]);
        let places: Option<Vec<i32>> = values
            .iter()
            .map(|v| match self.origin(*v) {
                (other, at, _) if other == of => Some(at as i32),
                _ => None,
            })
            .collect();
        let places = places?;
        let big_endian = is_side_by_side(places.iter().copied())?;
        let lowest = *places.iter().min()?;
        (of.0 < first).then_some((Source::Part(of, lowest as u32), big_endian))
    }

    /// Bytes that have been loaded from side by side.
    fn loaded(&mut self, values: &[Value], first: u32) -> Option<(Source, bool)> {
        let base = self.assemblies[values[0].index()]?.base;
        let mut assembly = Assembly { base, bytes: [None; MOST], signed: false };
        for (place, value) in assembly.bytes.iter_mut().zip(values) {
            let byte = self.assemblies[value.index()].filter(|a| a.base == base)?.bytes[0];
            *place = Some(byte.filter(|(load, _)| *load < first)?);
        }
        let wide = assembly.as_load().filter(|wide| !wide.big_endian && self.can_load(wide))?;
        let load = wide.loads[0];
        self.add_load(wide, vec![]);
        Some((Source::Loaded(load), false))
    }
}

/// Makes the new block.
struct Rebuild {
    out: Vec<Inst>,
    /// The new value of each old one.
    map: Vec<Value>,
    loads: Vec<LoadGroup>,
    stores: Vec<StoreGroup>,
}

/// What becomes of an instruction.
enum Role {
    /// A byte of the wide load of this group, at this place in memory's order.
    Byte {
        group: usize,
        place: usize,
    },
    /// What a group loads.
    Root {
        group: usize,
        signed: bool,
    },
    /// The first store of a group, or another one.
    FirstStore(usize),
    OtherStore,
}

impl Rebuild {
    fn run(mut self, block: &mut Block) {
        let mut roles: Vec<Option<Role>> = (0..block.insts.len()).map(|_| None).collect();
        for (group, found) in self.loads.iter().enumerate() {
            for (root, signed) in &found.roots {
                roles[*root as usize] = Some(Role::Root { group, signed: *signed });
            }
            for (place, load) in found.load.loads.iter().enumerate() {
                roles[*load as usize] = Some(Role::Byte { group, place });
            }
        }
        for (group, found) in self.stores.iter().enumerate() {
            found.members.iter().for_each(|i| roles[*i as usize] = Some(Role::OtherStore));
            roles[found.members[0] as usize] = Some(Role::FirstStore(group));
        }
        let mut wide = vec![NO_VALUE; self.loads.len()];
        let mut marks = block.marks.iter_mut().peekable();
        for (i, inst) in block.insts.iter().enumerate() {
            while let Some(mark) = marks.next_if(|m| m.first as usize <= i) {
                mark.first = self.out.len() as u32;
            }
            self.map[i] = match roles[i].take() {
                None => {
                    let mut inst = *inst;
                    inst.for_each_arg(|arg| *arg = self.map[arg.index()]);
                    self.push(inst)
                }
                Some(Role::Byte { group, place }) => {
                    if wide[group] == NO_VALUE {
                        wide[group] = self.load(group);
                    }
                    let Inst::Load { ty, access, .. } = *inst else { unreachable!("a load") };
                    self.byte(group, wide[group], place, ty, access.signed)
                }
                Some(Role::Root { group, signed }) => {
                    self.whole(group, wide[group], inst.result().expect("a value"), signed)
                }
                Some(Role::FirstStore(group)) => self.store(group, &wide),
                Some(Role::OtherStore) => NO_VALUE,
            };
        }
        let end = self.out.len() as u32;
        marks.for_each(|mark| mark.first = end);
        block.insts = self.out;
        if let Some(arg) = block.term.arg_mut() {
            *arg = self.map[arg.index()];
        }
    }

    fn push(&mut self, inst: Inst) -> Value {
        self.out.push(inst);
        Value(self.out.len() as u32 - 1)
    }

    fn convert(&mut self, op: ConvertOp, ty: Type, arg: Value) -> Value {
        let from = self.out[arg.index()].result().expect("a value");
        if from == ty { arg } else { self.push(Inst::Convert { op, ty, arg }) }
    }

    /// The wide load, in 64 bits.
    fn load(&mut self, group: usize) -> Value {
        let LoadGroup { load: WideLoad { base, offset, ref loads, big_endian }, ref roots } = self.loads[group];
        // The last one was made of the others.
        let signed = loads.len() < MOST && roots.first().is_some_and(|root| root.1);
        let access = Access { bytes: loads.len() as u8, signed, big_endian };
        self.push(Inst::Load { ty: Type::I64, access, addr: self.map[base.index()], offset })
    }

    /// One byte of it.
    fn byte(&mut self, group: usize, wide: Value, place: usize, ty: Type, signed: bool) -> Value {
        let WideLoad { ref loads, big_endian, .. } = self.loads[group].load;
        let place = if big_endian { loads.len() - 1 - place } else { place };
        let amount = self.push(Inst::Const { ty: Type::I64, bits: place as u64 * 8 });
        let shifted = self.push(Inst::Binary { op: BinaryOp::ShrU, ty: Type::I64, args: [wide, amount] });
        let byte = self.push(Inst::Convert { op: ConvertOp::Trunc, ty: Type::I8, arg: shifted });
        self.convert(if signed { ConvertOp::Sext } else { ConvertOp::Zext }, ty, byte)
    }

    /// All of it, as a value of the type.
    fn whole(&mut self, group: usize, wide: Value, ty: Type, signed: bool) -> Value {
        let narrow = match self.loads[group].load.loads.len() {
            2 => Type::I16,
            4 => Type::I32,
            _ => Type::I64,
        };
        let value = self.convert(ConvertOp::Trunc, narrow, wide);
        self.convert(if signed { ConvertOp::Sext } else { ConvertOp::Zext }, ty, value)
    }

    fn store(&mut self, group: usize, wide: &[Value]) -> Value {
        let StoreGroup { ref members, base, offset, big_endian, value } = self.stores[group];
        let access = Access { bytes: members.len() as u8, signed: false, big_endian };
        let value = match value {
            Source::Constant(bits) => self.push(Inst::Const { ty: Type::I64, bits }),
            Source::Loaded(load) => {
                let group = self.loads.iter().position(|group| group.load.loads.contains(&load));
                wide[group.expect("planned with the store")]
            }
            Source::Part(value, lowest) => {
                let value = self.map[value.index()];
                let ty = self.out[value.index()].result().expect("a value");
                let amount = self.push(Inst::Const { ty, bits: u64::from(lowest) * 8 });
                self.push(Inst::Binary { op: BinaryOp::ShrU, ty, args: [value, amount] })
            }
        };
        let ty = self.out[value.index()].result().expect("a value");
        self.push(Inst::Store { ty, access, addr: self.map[base.index()], offset, value });
        NO_VALUE
    }
}
