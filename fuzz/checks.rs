//! What must hold for any input; shared by the fuzz targets and `tests/fuzz_smoke.rs`.
#![allow(dead_code)]

use emu_frontend_riscv::{Config, Riscv};
use emu_ir::{AccessKind, BlockKey, Fault, FaultCause, Fetch, Guest, opt, text, verify};
use emu_machine::disasm::Listing;
use emu_machine::elf::Image;
use emu_machine::program::guest_for;
use std::sync::LazyLock;

/// The loader's parser takes any bytes: it refuses them, or what it says of them is true, and listing them ends.
pub(crate) fn elf(data: &[u8]) {
    let Ok(image) = Image::parse(data) else { return };
    let _ = image.describe().to_string();
    let mut last = 0;
    for segment in &image.segments {
        assert!(segment.file_size <= segment.mem_size && segment.mem_size > 0);
        assert!(
            segment.offset.checked_add(segment.file_size).is_some_and(|end| end <= data.len() as u64)
                || segment.file_size == 0
        );
        assert!(segment.addr >= last);
        last = segment.addr.checked_add(segment.mem_size).expect("inside the address space");
    }
    assert!(!image.segments.is_empty() && image.extent().end == last);
    if let Ok(guest) = guest_for(&image, None) {
        let listing = Listing::new(data, &image);
        let start = listing.code.first().map_or(0, |range| range.start);
        let part = start..start.saturating_add(4096);
        listing.write(&*guest, Some(&part), &mut std::io::sink()).expect("a sink takes everything");
    }
}

static GUESTS: LazyLock<Vec<Riscv>> = LazyLock::new(|| {
    let small = Config::parse("rv32i").expect("an ISA string");
    [Config::max(64), Config::max(32), small].map(Riscv::new).to_vec()
});

/// Address of the first instruction.
const BASE: u64 = 0x1_0ff0;

struct Code<'a>(&'a [u8]);

impl Fetch for Code<'_> {
    fn fetch16(&mut self, addr: u64) -> Result<u16, Fault> {
        let at = addr.wrapping_sub(BASE) as usize;
        let bytes = at.checked_add(2).and_then(|end| self.0.get(at..end));
        let fault = Fault { addr, access: AccessKind::Execute, cause: FaultCause::Unmapped };
        bytes.map(|b| u16::from_le_bytes([b[0], b[1]])).ok_or(fault)
    }
}

/// Any bytes as instructions, on several processors: a well-formed block, which stays one when optimised and whose text reads
/// back. The first byte chooses mode and block length.
pub(crate) fn translate(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let key = BlockKey { pc: BASE, mode: u32::from(choice & 3).min(2) };
    let max_insns = usize::from(choice >> 2) + 1;
    for guest in GUESTS.iter() {
        let mut code = Code(bytes);
        let _ = guest.disassemble(BASE, &mut code);
        let Ok(mut block) = guest.translate(key, &mut code, max_insns) else {
            assert!(bytes.len() < 4, "only the first instruction's fault is one");
            continue;
        };
        assert!((1..=max_insns).contains(&(block.insn_count() as usize)));
        check(guest, &block);
        opt::optimize(&mut block);
        check(guest, &block);
    }
}

fn check(guest: &Riscv, block: &emu_ir::Block) {
    verify::verify(block).unwrap_or_else(|e| panic!("{e}\n{block}"));
    let names = text::Names::of(guest);
    let printed = text::print(block, names);
    let read = text::parse(&printed, names).unwrap_or_else(|e| panic!("{e}\n{printed}"));
    assert_eq!(text::print(&read, names), printed);
}
