//! Guest memory under test: access and faults (`access`), mappings (`map`), pages of code (`code`).

mod access;
mod code;
mod map;

use super::*;

const KIB64: u64 = 64 << 10;
/// A place that nothing else uses.
const AT: u64 = 0x10_0000;

fn memory() -> GuestMemory {
    GuestMemory::new(64).expect("an address space can be reserved")
}

fn request(addr: u64, pages: u64, prot: Prot) -> MapRequest {
    MapRequest { addr_hint: addr, len: pages * PAGE_SIZE, prot, fixed: Fixed::Replace, ..MapRequest::default() }
}

/// Memory with `pages` pages at [`AT`].
fn with_pages(pages: u64, prot: Prot) -> GuestMemory {
    let mem = memory();
    mem.mmap(&request(AT, pages, prot)).expect("mmap");
    mem
}

fn fault(addr: u64, access: AccessKind, cause: FaultCause) -> Fault {
    Fault { addr, access, cause }
}

/// The mappings as page numbers relative to [`AT`].
fn layout(mem: &GuestMemory) -> Vec<(std::ops::Range<u64>, u8)> {
    let page = |addr: u64| (addr - AT) / PAGE_SIZE;
    mem.maps().iter().map(|v| (page(v.range.start)..page(v.range.end), v.prot.bits())).collect()
}

/// A file with the given content, already unlinked.
fn file_of(content: &[u8]) -> std::fs::File {
    use std::io::Write;
    use std::sync::atomic::AtomicU32;
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("emu-mem-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let mut file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
    file.write_all(content).expect("write");
    std::fs::remove_file(&path).expect("unlink");
    file
}
