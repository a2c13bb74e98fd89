//! A file from which a divergence can be repeated without the program.
//!
//! Text, a fact a line, in this order; numbers are hexadecimal with `0x`, counts decimal:
//!
//! ```text
//! emu-diff 1                        the form's version
//! isa rv64gc
//! faults precise                    how code is compiled: precise or fast
//! accesses plain                    ... plain, or announced as where memory is shared
//! stops blocks                      ... and code can be stopped at all blocks, or at heads of loops only
//! insns 12                          instructions to run
//! shown 15                          instructions of the block, for the report
//! pc 0x10078
//! mode 0x0                          mode bits of the block
//! fp 0x0 0x0                        accrued flags, rounding mode
//! reservation 0x2000 0x5 0x10004    address, value and what it is good for, or "none"
//! reg a0 0x5                        each register that is not 0
//! counter 0x8f3                     what the counters read, in order
//! region 0x10078 0x0                a region to compile, or "quick" for quick code: entry and mode bits ...
//!   block 0x10078 5                 ... its blocks: address, instructions
//!   jump 0x10088 0x10100 0x10200    ... where an indirect jump was seen to go
//! page 0x10000 r-x                  a page of memory: address, protection ...
//!   0x078 b30550001305...           ... its bytes from an offset on; 0 where nothing is said
//! expect pc 0x10090                 what the interpreter made of it: pc, fp, insns, and registers that are not 0
//! expect reg a0 0xa
//! end
//! ```

use super::pair::{Pair, same_registers};
use super::{Located, LockstepConfig, RegionShape, locate};
use crate::engine::{Engine, EngineConfig, Tier};
use crate::mem::{Fixed, GuestMemory, MapRequest, PAGE_SIZE, Prot};
use emu_ir::{BlockKey, CpuState, Guest, NO_RESERVATION, ScId, SlotInfo};
use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;

/// Bytes of a page that a line holds.
const LINE: usize = 32;
/// Bytes of code, at most.
const CODE_SIZE: usize = 16 << 20;

/// A page of memory at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its address.
    pub addr: u64,
    /// What the guest may do with it.
    pub prot: Prot,
    /// All its bytes.
    pub bytes: Vec<u8>,
}

/// All that is needed to repeat a divergence; see the module for the file's form.
#[derive(Clone, Debug)]
pub struct Reproducer {
    /// The guest's processor.
    pub isa: String,
    pub(super) precise: bool,
    pub(super) announce: bool,
    pub(super) stop_at_blocks: bool,
    pub(super) cpu: CpuState,
    pub(super) insns: u64,
    pub(super) shown: u64,
    pub(super) counters: Vec<u64>,
    pub(super) regions: Vec<(BlockKey, RegionShape)>,
    pub(super) pages: Vec<Page>,
    pub(super) expected: CpuState,
}

/// Why a text is no reproducer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// What repeating it shows.
pub enum Replay {
    /// The engines disagree, as before or otherwise.
    Diverges(Box<super::Divergence>),
    /// They agree now; `as_expected` if the interpreter's result is that in the file.
    Agrees {
        /// Is it?
        as_expected: bool,
    },
}

impl Reproducer {
    /// The file's text; `slots` are the guest's.
    pub fn to_text(&self, slots: &[SlotInfo]) -> String {
        let mut out = String::from("emu-diff 1\n");
        // Writing to a String does not fail.
        let _ = self.write(&mut out, slots);
        out
    }

    fn write(&self, out: &mut String, slots: &[SlotInfo]) -> fmt::Result {
        let cpu = &self.cpu;
        writeln!(out, "isa {}", self.isa)?;
        writeln!(out, "faults {}", if self.precise { "precise" } else { "fast" })?;
        writeln!(out, "accesses {}", if self.announce { "announced" } else { "plain" })?;
        writeln!(out, "stops {}", if self.stop_at_blocks { "blocks" } else { "heads" })?;
        writeln!(out, "insns {}\nshown {}", self.insns, self.shown)?;
        writeln!(out, "pc {:#x}\nmode {:#x}\nfp {:#x} {:#x}", cpu.pc, cpu.mode, cpu.fp_flags, cpu.fp_round)?;
        match cpu.reservation_addr {
            NO_RESERVATION => writeln!(out, "reservation none")?,
            addr => {
                let (value, good_for) = (cpu.reservation_value, cpu.reservation_for.0);
                writeln!(out, "reservation {addr:#x} {value:#x} {good_for:#x}")?;
            }
        }
        registers(out, "", cpu, slots)?;
        self.counters.iter().try_for_each(|value| writeln!(out, "counter {value:#x}"))?;
        for (key, shape) in &self.regions {
            writeln!(out, "{} {:#x} {:#x}", if shape.quick { "quick" } else { "region" }, key.pc, key.mode)?;
            shape.blocks.iter().try_for_each(|(pc, insns)| writeln!(out, "  block {pc:#x} {insns}"))?;
            for (pc, targets) in &shape.jumps {
                let targets: Vec<String> = targets.iter().map(|t| format!("{t:#x}")).collect();
                writeln!(out, "  jump {pc:#x} {}", targets.join(" "))?;
            }
        }
        for page in &self.pages {
            writeln!(out, "page {:#x} {}", page.addr, prot_text(page.prot))?;
            for (i, line) in page.bytes.chunks(LINE).enumerate().filter(|(_, line)| line.iter().any(|b| *b != 0)) {
                let hex: String = line.iter().map(|b| format!("{b:02x}")).collect();
                writeln!(out, "  {:#05x} {hex}", i * LINE)?;
            }
        }
        let end = &self.expected;
        writeln!(out, "expect pc {:#x}\nexpect fp {:#x} {:#x}", end.pc, end.fp_flags, end.fp_round)?;
        writeln!(out, "expect insns {}", end.insn_count)?;
        registers(out, "expect ", end, slots)?;
        writeln!(out, "end")
    }

    /// Reads the text of a file; `guest` makes the guest of an ISA string.
    ///
    /// # Errors
    /// With the line that cannot be understood.
    pub fn parse(
        text: &str,
        guest: impl Fn(&str) -> Result<Arc<dyn Guest>, String>,
    ) -> Result<(Reproducer, Arc<dyn Guest>), ParseError> {
        let mut parser = Parser { guest: None, slots: Vec::new(), found: Reproducer::empty(), done: false };
        for (i, line) in text.lines().enumerate() {
            parser.line(i, line, &guest).map_err(|what| ParseError { line: i + 1, what })?;
        }
        let line = text.lines().count();
        match parser.guest {
            Some(made) if parser.done => Ok((parser.found, made)),
            _ => Err(ParseError { line, what: "the end is missing".to_owned() }),
        }
    }

    fn empty() -> Reproducer {
        Reproducer {
            isa: String::new(),
            precise: false,
            announce: false,
            stop_at_blocks: false,
            cpu: CpuState::default(),
            insns: 0,
            shown: 0,
            counters: Vec::new(),
            regions: Vec::new(),
            pages: Vec::new(),
            expected: CpuState::default(),
        }
    }

    /// Repeats it in memory of its own.
    ///
    /// # Errors
    /// If the host does not give what it takes.
    pub fn replay(&self, guest: Arc<dyn Guest>, config: EngineConfig) -> io::Result<Replay> {
        let mem = Arc::new(GuestMemory::new(guest.address_bits())?);
        self.pages.iter().try_for_each(|page| page.map(&mem))?;
        let stop_at_blocks = self.stop_at_blocks;
        let lockstep = config.lockstep.map(|lockstep| LockstepConfig { stop_at_blocks, ..lockstep });
        let config = EngineConfig { tier: Tier::Jit, code_size: CODE_SIZE, lockstep, ..config };
        let regions = self.regions.iter().cloned().collect();
        let engine = Engine::with_regions(guest, mem, config, Some(regions)).map_err(io::Error::other)?;
        engine.set_switches(self.precise, self.announce);
        let mut pair = Pair::new(engine, self.cpu.clone());
        pair.env.given_counters = self.counters.clone();
        pair.shown = Some(self.shown);
        Ok(match pair.compare(self.insns) {
            Err(mismatch) => match locate::locate(&mut pair, *mismatch, false) {
                Located::Here(divergence) => Replay::Diverges(divergence),
                Located::Nowhere => Replay::Agrees { as_expected: false },
            },
            Ok(_) => {
                let reservation = pair.hart.cpu().reservation_addr;
                let expected = CpuState {
                    reservation_addr: reservation,
                    reservation_value: pair.hart.cpu().reservation_value,
                    reservation_for: pair.hart.cpu().reservation_for,
                    ..self.expected.clone()
                };
                Replay::Agrees { as_expected: same_registers(pair.hart.cpu(), &expected) }
            }
        })
    }
}

impl Page {
    fn map(&self, mem: &GuestMemory) -> io::Result<()> {
        let request = MapRequest {
            addr_hint: self.addr,
            len: PAGE_SIZE,
            prot: Prot::RW,
            fixed: Fixed::Replace,
            ..MapRequest::default()
        };
        mem.mmap(&request)?;
        mem.write_bytes(self.addr, &self.bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(mem.mprotect(self.addr, PAGE_SIZE, self.prot)?)
    }
}

/// The registers that are not 0.
fn registers(out: &mut String, prefix: &str, cpu: &CpuState, slots: &[SlotInfo]) -> fmt::Result {
    let set = slots.iter().filter(|info| cpu.get(info.slot) != 0);
    set.into_iter().try_for_each(|info| writeln!(out, "{prefix}reg {} {:#x}", info.name, cpu.get(info.slot)))
}

fn prot_text(prot: Prot) -> String {
    let letter = |bit, letter| if prot.contains(bit) { letter } else { '-' };
    [letter(Prot::READ, 'r'), letter(Prot::WRITE, 'w'), letter(Prot::EXEC, 'x')].into_iter().collect()
}

fn parse_prot(text: &str) -> Result<Prot, String> {
    let bits = [('r', Prot::READ), ('w', Prot::WRITE), ('x', Prot::EXEC)];
    let mut prot = Prot::NONE;
    for (given, (letter, bit)) in text.chars().zip(bits) {
        match given {
            '-' => {}
            given if given == letter => prot = prot.with(bit),
            _ => return Err(format!("\"{text}\" is no protection")),
        }
    }
    if text.len() == 3 { Ok(prot) } else { Err(format!("\"{text}\" is no protection")) }
}

struct Parser {
    guest: Option<Arc<dyn Guest>>,
    slots: Vec<SlotInfo>,
    found: Reproducer,
    done: bool,
}

impl Parser {
    fn line(
        &mut self,
        index: usize,
        line: &str,
        guest: &impl Fn(&str) -> Result<Arc<dyn Guest>, String>,
    ) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if index == 0 {
            let known = words == ["emu-diff", "1"];
            return if known { Ok(()) } else { Err("not a reproducer of this version of emu diff".to_owned()) };
        }
        let found = &mut self.found;
        match words[..] {
            [] => {}
            ["isa", isa] => {
                let made = guest(isa)?;
                self.slots = made.slots().to_vec();
                (found.isa, self.guest) = (isa.to_owned(), Some(made));
            }
            ["faults", how] => found.precise = how == "precise",
            ["accesses", how] => found.announce = how == "announced",
            ["stops", at] => found.stop_at_blocks = at == "blocks",
            ["insns", n] => found.insns = count(n)?,
            ["shown", n] => found.shown = count(n)?,
            ["mode", mode] => found.cpu.mode = word(mode)?,
            ["reservation", "none"] => found.cpu.clear_reservation(),
            ["reservation", addr, value, good_for] => {
                (found.cpu.reservation_addr, found.cpu.reservation_value) = (number(addr)?, number(value)?);
                found.cpu.reservation_for = ScId(number(good_for)? as u32);
            }
            ["counter", value] => found.counters.push(number(value)?),
            [kind @ ("region" | "quick"), pc, mode] => {
                let key = BlockKey { pc: number(pc)?, mode: word(mode)? };
                found.regions.push((key, RegionShape { quick: kind == "quick", ..RegionShape::default() }));
            }
            ["block", pc, insns] => self.shape()?.blocks.push((number(pc)?, count(insns)? as usize)),
            ["jump", pc, ref targets @ ..] => {
                let targets = targets.iter().map(|t| number(t)).collect::<Result<_, _>>()?;
                self.shape()?.jumps.push((number(pc)?, targets));
            }
            ["page", addr, prot] => {
                let (addr, prot) = (number(addr)? / PAGE_SIZE * PAGE_SIZE, parse_prot(prot)?);
                found.pages.push(Page { addr, prot, bytes: vec![0; PAGE_SIZE as usize] });
            }
            ["end"] => self.done = true,
            ["expect", "insns", n] => found.expected.insn_count = count(n)?,
            ["expect", ref state @ ..] => set_state(&mut found.expected, &self.slots, state)?,
            [offset, hex] if offset.starts_with("0x") => self.bytes(offset, hex)?,
            ref state => set_state(&mut found.cpu, &self.slots, state)?,
        }
        Ok(())
    }

    fn shape(&mut self) -> Result<&mut RegionShape, String> {
        let last = self.found.regions.last_mut();
        last.map(|(_, shape)| shape).ok_or_else(|| "there is no region before".to_owned())
    }

    fn bytes(&mut self, offset: &str, hex: &str) -> Result<(), String> {
        let start = number(offset)? as usize;
        let page = self.found.pages.last_mut().ok_or("there is no page before")?;
        let pairs = hex.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = pairs.map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok()).collect();
        let bytes = bytes.ok_or_else(|| format!("\"{hex}\" is not hexadecimal"))?;
        let place = page.bytes.get_mut(start..start.saturating_add(bytes.len())).ok_or("beyond the page's end")?;
        place.copy_from_slice(&bytes);
        Ok(())
    }
}

/// A line about the registers, without its `expect`.
fn set_state(cpu: &mut CpuState, slots: &[SlotInfo], words: &[&str]) -> Result<(), String> {
    match *words {
        ["pc", pc] => cpu.pc = number(pc)?,
        ["fp", flags, round] => (cpu.fp_flags, cpu.fp_round) = (word(flags)?, word(round)?),
        ["reg", name, value] => {
            let slot = slots.iter().find(|info| info.name == name).ok_or_else(|| format!("no register is {name}"))?;
            cpu.set(slot.slot, number(value)?);
        }
        _ => return Err(format!("\"{}\" means nothing here", words.join(" "))),
    }
    Ok(())
}

fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").ok_or_else(|| format!("\"{text}\" does not begin with 0x"))?;
    u64::from_str_radix(digits, 16).map_err(|_| format!("\"{text}\" is no number"))
}

fn word(text: &str) -> Result<u32, String> {
    u32::try_from(number(text)?).map_err(|_| format!("\"{text}\" is too large"))
}

fn count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no number"))
}
