//! The notes of a core file (`struct elf_prstatus`, `elf_prpsinfo` and their kin).

use super::super::data::Writer;
use super::super::host::{self, Arg, RawInfo};
use super::super::thread::Thread;
use crate::mem::PAGE_SIZE;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const PRSTATUS: u32 = 1;
const FPREGSET: u32 = 2;
const PRPSINFO: u32 = 3;
const AUXV: u32 = 6;
const SIGINFO: u32 = 0x5349_4749;
const FILE: u32 = 0x4649_4c45;

/// A note of the owner "CORE": name and content are padded to words.
fn note(t: &Thread, kind: u32, content: &[u8]) -> Vec<u8> {
    let mut w = t.writer();
    w.u32(5).u32(content.len() as u32).u32(kind).raw(b"CORE\0").align(4).raw(content).align(4);
    w.finish()
}

fn number(call: i64, arg: i32) -> i32 {
    host::call(call, &[arg.into()]).unwrap_or(0) as i32
}

/// Parent, process group and session.
fn family() -> [i32; 3] {
    [number(libc::SYS_getppid, 0), number(libc::SYS_getpgid, 0), number(libc::SYS_getsid, 0)]
}

/// The registers of the calling thread; with `info` if it is the one that the signal ends.
pub(super) fn of_thread(t: &Thread, info: Option<&RawInfo>) -> Vec<u8> {
    let abi = &t.process.abi;
    let guest = info.map_or(0, |info| abi.signal_to_guest(info.signal()));
    let [parent, group, session] = family();
    let mut w = t.writer();
    w.i32(guest).i32(info.map_or(0, RawInfo::code)).i32(0).u16(guest as u16).align(t.layout().long);
    // Signals: only the first word of the mask has room.
    let mask = abi.sigset(t.mask);
    w.long(0).raw(&mask[..t.layout().long]);
    w.i32(t.tid).i32(parent).i32(group).i32(session);
    // Times: user, system, and of children.
    w.longs(&[0; 8]);
    w.raw(&abi.core_registers(t.vcpu.cpu(), info.map_or(0, RawInfo::addr)));
    // pr_fpvalid; the structure is as aligned as its registers.
    w.u32(1).align(abi.core_alignment());
    let mut notes = note(t, PRSTATUS, &w.finish());
    notes.extend(note(t, FPREGSET, &abi.core_floats(t.vcpu.cpu())));
    notes
}

/// The first of a thread's notes, and the others: those of the process stand between them.
pub(super) fn split_first(notes: &[u8], t: &Thread) -> (Vec<u8>, Vec<u8>) {
    let size = super::super::data::get(&notes[4..8], t.layout().big) as usize;
    let (first, rest) = notes.split_at(12 + 8 + size.next_multiple_of(4));
    (first.to_vec(), rest.to_vec())
}

/// What describes the process: NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE.
pub(super) fn of_process(t: &Thread, info: &RawInfo) -> Vec<u8> {
    [
        note(t, PRPSINFO, &process_info(t)),
        note(t, SIGINFO, &t.process.abi.siginfo(info)),
        note(t, AUXV, &t.process.program.auxv),
        note(t, FILE, &files(t)),
    ]
    .concat()
}

fn process_info(t: &Thread) -> Vec<u8> {
    let [parent, group, session] = family();
    let mut name = [0u8; 16];
    let _ = host::call(libc::SYS_prctl, &[libc::PR_GET_NAME.into(), Arg::output(&mut name)]);
    let line = t.process.program.argv.iter().map(|s| s.to_bytes()).collect::<Vec<_>>().join(&b' ');
    let mut arguments = [0u8; 80];
    let len = line.len().min(79);
    arguments[..len].copy_from_slice(&line[..len]);
    let mut w = t.writer();
    // pr_state, pr_sname, pr_zomb, pr_nice, pr_flag: running.
    w.raw(&[0, b'R', 0, 0]).align(t.layout().long).long(0);
    w.i32(number(libc::SYS_getuid, 0)).i32(number(libc::SYS_getgid, 0));
    w.i32(host::pid()).i32(parent).i32(group).i32(session);
    w.raw(&name).raw(&arguments);
    w.finish()
}

/// The files that are mapped: count and page size, ranges with offsets in pages, names.
fn files(t: &Thread) -> Vec<u8> {
    let maps = t.process.mem.maps();
    let mapped: Vec<_> = maps.iter().filter_map(|vma| Some((vma, vma.file.as_ref()?))).collect();
    let mut w: Writer = t.writer();
    w.long(mapped.len() as u64).long(PAGE_SIZE);
    for (vma, _) in &mapped {
        w.longs(&[vma.range.start, vma.range.end, vma.offset / PAGE_SIZE]);
    }
    for (_, file) in &mapped {
        let path = Path::new(std::ffi::OsStr::from_bytes(&file.path));
        w.raw(t.process.sysroot.to_guest(path).as_os_str().as_bytes()).u8(0);
    }
    w.finish()
}
