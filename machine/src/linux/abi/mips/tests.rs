use super::numbers::{self, ERRORS};
use super::*;
use crate::linux::host::{RawInfo, SigSet, zeroed};
use emu_frontend_mips::Release;
use emu_frontend_mips::regs::{HI, LO, fpr_slot};

fn abi(kind: Kind, big_endian: bool) -> Mips {
    let release = if kind == Kind::O32 { Release::Mips32R2 } else { Release::Mips64R2 };
    Mips { kind, config: Config { big_endian, ..Config::new(release) } }
}

fn all() -> impl Iterator<Item = Mips> {
    let kinds = [Kind::O32, Kind::N32, Kind::N64];
    kinds.into_iter().flat_map(|kind| [false, true].map(|big| abi(kind, big)))
}

#[test]
fn sizes_are_the_kernels() {
    // sizeof in arch/mips/include/uapi/asm: stat, statfs, statfs64, rt_sigframe.
    let sizes = |abi: Mips| {
        let stat = abi.old_stat(&zeroed()).unwrap().len();
        let statfs = [false, true].map(|wide| abi.statfs(&[0; 15], wide).len());
        (stat, statfs, abi.frame_size(FrameKind::Rt))
    };
    assert_eq!(sizes(abi(Kind::O32, true)), (144, [68, 96], 784));
    assert_eq!(sizes(abi(Kind::N32, true)), (104, [68, 96], 792));
    assert_eq!(sizes(abi(Kind::N64, true)), (104, [128, 128], 808));
    assert_eq!(abi(Kind::O32, false).stat(&zeroed()).len(), 104);
    assert_eq!(abi(Kind::O32, false).frame_size(FrameKind::Old), 24 + 592 + 16);
}

fn frame(signal: i32, flags: u64) -> Frame {
    Frame {
        signal,
        info: RawInfo([0; 128]),
        mask: 1 << (libc::SIGUSR1 - 1) | 1 << 63,
        altstack: AltStack { base: 0x5000, flags: 2, size: 0x2000 },
        handler: 0x2_0000,
        flags,
        trampoline: 0x3_0000,
    }
}

#[test]
fn a_frame_brings_the_registers_back() {
    for abi in all() {
        for flags in [0, libc::SA_SIGINFO as u64] {
            let mut cpu = CpuState { pc: 0x1_0000, fp_flags: 17, fp_round: 3, ..CpuState::default() };
            for r in 1..32 {
                abi.set(&mut cpu, gpr_slot(r), u64::MAX << r);
            }
            (0..32).for_each(|r| cpu.set(fpr_slot(r), 0x0102_0304_0506_0700 + u64::from(r)));
            cpu.set(HI, 1);
            cpu.set(LO, 2);
            let before = cpu.clone();
            let frame = frame(libc::SIGUSR1, flags);
            let bytes = abi.enter_handler(&mut cpu, &frame, 0x7000);
            let kind = abi.frame_kind(flags);
            assert_eq!(bytes.len() as u64, abi.frame_size(kind));
            assert_eq!((cpu.pc, cpu.get(T9), cpu.get(RA)), (0x2_0000, 0x2_0000, 0x3_0000));
            assert_eq!((cpu.get(gpr_slot(4)), cpu.get(SP)), (16, 0x7000));
            let restored = abi.leave_handler(&mut cpu, kind, &bytes);
            assert_eq!((cpu.pc, cpu.slots), (before.pc, before.slots), "{abi:?}");
            assert_eq!((cpu.fp_flags, cpu.fp_round), (17, 3));
            assert_eq!(restored.mask, frame.mask);
            assert_eq!(restored.altstack.is_some(), kind == FrameKind::Rt);
        }
    }
}

#[test]
fn o32_has_arguments_on_the_stack() {
    let abi = abi(Kind::O32, false);
    let mut cpu = CpuState::default();
    abi.set_sp(&mut cpu, 0x7000);
    cpu.set(V0, 4006);
    assert_eq!((abi.number(&cpu), abi.arg(&cpu, 4)), (4006, Place::Memory(0x7010)));
    // `syscall`: everything is one further on.
    cpu.set(V0, 4000);
    cpu.set(gpr_slot(4), 4004);
    cpu.set(gpr_slot(5), 7);
    assert_eq!((abi.number(&cpu), abi.arg(&cpu, 0), abi.arg(&cpu, 3)), (4004, Place::Value(7), Place::Memory(0x7010)));
}

#[test]
fn results_and_errors() {
    let abi = abi(Kind::N64, false);
    let mut cpu = CpuState::default();
    abi.set_result(&mut cpu, Err(Errno::ELOOP));
    assert_eq!((cpu.get(V0), cpu.get(A3)), (90, 1));
    abi.set_result(&mut cpu, Ok(-1i64 as u64));
    assert_eq!((cpu.get(V0), cpu.get(A3)), (u64::MAX, 0));
}

#[test]
fn numbers_go_there_and_back() {
    for signal in 1..=64 {
        assert_eq!(numbers::signal_to_host(numbers::signal_to_guest(signal)), signal);
    }
    assert!((1..128).all(|guest| numbers::signal_to_host(guest) <= 64 || guest > 64));
    let mut guests: Vec<i32> = (1..134).map(|errno| numbers::to_guest(ERRORS, errno)).collect();
    guests.sort_unstable();
    guests.dedup();
    // 41 and 58 are none of the host's.
    assert!(guests.len() >= 131, "{}", guests.len());
    let abi = abi(Kind::O32, false);
    for flags in [libc::O_CREAT | libc::O_EXCL, libc::O_SYNC, libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_RDWR] {
        assert_eq!(abi.open_flags_to_host(abi.open_flags_to_guest(flags)), flags);
    }
    assert_eq!(abi.open_flags_to_guest(libc::O_SYNC), 0x4010);
    // What is no flag of the guest's does not become one of the host's.
    assert_eq!((abi.open_flags_to_host(0x40), abi.mmap_flags_to_host(0x40)), (0, 0));
    assert_eq!(abi.socket_type_to_host(0x80 | 2), libc::SOCK_STREAM | libc::SOCK_NONBLOCK);
}

#[test]
fn a_sigaction_has_its_flags_first() {
    for abi in all() {
        let action =
            SigAction { handler: 0x1234, flags: libc::SA_RESTART as u64 | libc::SA_SIGINFO as u64, mask: 2 as SigSet };
        let bytes = abi.sigaction(&action);
        assert_eq!((bytes.len(), abi.read_sigaction(&bytes)), (abi.sigaction_size(), action));
        let mut r = Reader::new(abi.layout(), &bytes);
        assert_eq!(r.u32(), 0x1000_0008);
    }
}

#[test]
fn requests_of_terminals_and_others() {
    let host = |guest| numbers::ioctl_to_host(guest);
    assert_eq!([host(0x540d), host(0x4008_7468), host(0x467f)], [0x5401, 0x5413, 0x541b]);
    // FS_IOC_GETFLAGS, TIOCGPTN; the host's TCGETS is MIPS's TCGETA, and its TCFLSH none of MIPS's.
    assert_eq!([host(0x4008_6601), host(0x4004_5430)], [0x8008_6601, 0x8004_5430]);
    assert_eq!([host(0x5401), host(0x540b)], [0x5405, u32::MAX]);
}

#[test]
fn siginfo_has_the_code_before_the_error() {
    let info = RawInfo::fault(libc::SIGBUS, 2, 0x1000);
    let bytes = abi(Kind::O32, true).siginfo(&info);
    assert_eq!(bytes[..16], [0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0x10, 0]);
}

#[test]
fn a_tracer_sets_what_it_has_read() {
    for abi in all() {
        let mask = u64::MAX >> (64 - abi.config.bits());
        let mut cpu = CpuState { pc: 0x1_0000, ..CpuState::default() };
        for r in 1..32 {
            cpu.set(gpr_slot(r), (u64::from(r) << 40 | 0x8000_0000) & mask);
        }
        cpu.set(HI, 5);
        cpu.set(LO, 6);
        (0..32).for_each(|r| cpu.set(fpr_slot(r), u64::from(r) * 0x1_0000_0001));
        let registers = abi.trace_registers(&cpu);
        let (mut again, mut old) = (TraceRegisters::default(), TraceRegisters::default());
        let general = if abi.kind == Kind::O32 { 180 } else { 360 };
        for (set, sizes) in [(RegisterSet::General, (general, 304)), (RegisterSet::Float, (264, 264))] {
            let (new_bytes, old_bytes) = (abi.register_set(set, &registers), abi.old_register_set(set, &registers));
            assert_eq!((new_bytes.len(), old_bytes.len()), sizes);
            abi.read_register_set(set, &new_bytes, &mut again);
            abi.read_old_register_set(set, &old_bytes, &mut old);
        }
        for all in [again, old] {
            let mut copy = CpuState::default();
            abi.set_general(&mut copy, &all.general);
            abi.set_float(&mut copy, &all.float);
            assert_eq!((copy.pc, abi.trace_registers(&copy)), (cpu.pc, registers));
        }
    }
}

#[test]
fn single_registers_are_where_the_kernel_has_them() {
    let abi = abi(Kind::O32, false);
    let mut registers = TraceRegisters::default();
    for (addr, set) in [(4, RegisterSet::General), (64, RegisterSet::General), (35, RegisterSet::Float)] {
        assert_eq!(abi.set_user_word(&mut registers, addr, 0x1234 + addr), Some(set));
        assert_eq!(abi.user_word(&registers, addr), Some(0x1234 + addr));
    }
    // An odd register is the upper half of the even one before it.
    assert_eq!(registers.float[2], (0x1234 + 35) << 32);
    assert_eq!((registers.general[34], abi.user_word(&registers, 71)), (0x1234 + 64, None));
}
