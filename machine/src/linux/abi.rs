//! What differs between guests: numbers, registers, structures, signal frames. Handlers know nothing else of a guest.

pub mod riscv;

use super::data::{Layout, Reader, Writer};
use super::errno::Errno;
use super::host::{RawInfo, SigSet};
use emu_ir::CpuState;

/// A pending signal frame: what goes to the guest's stack beside the registers.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Signal number, the host's.
    pub signal: i32,
    /// What `sa_sigaction` is told.
    pub info: RawInfo,
    /// The mask to restore.
    pub mask: SigSet,
    /// `sigaltstack`'s state: base, flags, size.
    pub altstack: AltStack,
    /// Address of the handler.
    pub handler: u64,
    /// The guest's `SA_*` flags, the host's numbers.
    pub flags: u64,
    /// Address of the code that calls `rt_sigreturn`.
    pub trampoline: u64,
}

/// `stack_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AltStack {
    pub base: u64,
    pub flags: i32,
    pub size: u64,
}

/// What `rt_sigreturn` brings back beside the registers.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    /// The signal mask.
    pub mask: SigSet,
    /// `uc_stack`.
    pub altstack: AltStack,
}

/// One guest ABI of Linux. The defaults are those of the kernel's generic headers, which the host shares.
pub trait Abi: Send + Sync {
    /// `uname`'s machine.
    fn machine(&self) -> &'static str;
    /// The table of system calls: lines of number and name.
    fn table(&self) -> &'static str;
    /// Pointer width and byte order.
    fn layout(&self) -> Layout;
    /// Does a 64-bit argument in two registers start at an even one?
    fn aligned_pairs(&self) -> bool {
        false
    }

    /// The number of the call that `cpu` asks for.
    fn number(&self, cpu: &CpuState) -> u32;
    /// Argument register `i` (0 to 5, more where the ABI has them), zero-extended.
    fn arg(&self, cpu: &CpuState, i: usize) -> u64;
    /// Gives the result or the error in the guest's way.
    fn set_result(&self, cpu: &mut CpuState, result: Result<u64, Errno>);
    /// The stack pointer.
    fn sp(&self, cpu: &CpuState) -> u64;
    /// Sets the stack pointer.
    fn set_sp(&self, cpu: &mut CpuState, sp: u64);
    /// Sets the thread pointer.
    fn set_tls(&self, cpu: &mut CpuState, tls: u64);
    /// The positions of `tls` and `child_tid` among `clone`'s arguments (CONFIG_CLONE_BACKWARDS has `tls` first).
    fn clone_tls_ctid(&self) -> (usize, usize) {
        (3, 4)
    }

    /// Bytes of a signal frame.
    fn frame_size(&self) -> u64;
    /// Builds the frame for `address`, and sets the registers for entering the handler.
    fn enter_handler(&self, cpu: &mut CpuState, frame: &Frame, address: u64) -> Vec<u8>;
    /// Where the frame is when `rt_sigreturn` is called.
    fn frame_address(&self, cpu: &CpuState) -> u64 {
        self.sp(cpu)
    }
    /// Restores the registers from a frame's bytes.
    fn leave_handler(&self, cpu: &mut CpuState, bytes: &[u8]) -> Restored;

    /// A signal number of the host as the guest's.
    fn signal_to_guest(&self, signal: i32) -> i32 {
        signal
    }
    /// A signal number of the guest as the host's.
    fn signal_to_host(&self, signal: i32) -> i32 {
        signal
    }
    /// An error number of the host as the guest's.
    fn errno_to_guest(&self, errno: Errno) -> i32 {
        errno.0
    }
    /// `open`'s flags, the guest's as the host's.
    fn open_flags_to_host(&self, flags: i32) -> i32 {
        flags
    }
    /// `open`'s flags, the host's as the guest's.
    fn open_flags_to_guest(&self, flags: i32) -> i32 {
        flags
    }
    /// `mmap`'s flags, the guest's as the host's; flags that the guest does not have are cleared.
    fn mmap_flags_to_host(&self, flags: i32) -> i32 {
        flags & !libc::MAP_32BIT
    }
    /// A `termios` or other ioctl request, the guest's as the host's.
    fn ioctl_to_host(&self, request: u32) -> u32 {
        request
    }
    /// Level and name of a socket option, the guest's as the host's.
    fn socket_option_to_host(&self, level: i32, name: i32) -> (i32, i32) {
        (level, name)
    }
    /// The type of a socket with its flags, the guest's as the host's.
    fn socket_type_to_host(&self, kind: i32) -> i32 {
        kind
    }

    /// `struct stat`.
    fn stat(&self, s: &libc::stat) -> Vec<u8>;

    /// `struct statfs` (`statfs64` for 32-bit guests), as in `asm-generic/statfs.h`, from the host's fifteen words.
    fn statfs(&self, s: &[u64; 15]) -> Vec<u8> {
        let mut w = Writer::new(self.layout());
        w.long(s[0]).long(s[1]);
        for &count in &s[2..7] {
            w.u64(count);
        }
        w.u32(s[7] as u32).u32((s[7] >> 32) as u32);
        for &word in &s[8..] {
            w.long(word);
        }
        w.align(8).finish()
    }

    /// `struct epoll_event`: packed on x86-64 alone.
    fn epoll_event(&self, events: u32, data: u64) -> Vec<u8> {
        Writer::new(self.layout()).u32(events).u64(data).finish()
    }
    /// Reads `struct epoll_event`: events and data.
    fn read_epoll_event(&self, bytes: &[u8]) -> (u32, u64) {
        let mut r = Reader::new(self.layout(), bytes);
        (r.u32(), r.u64())
    }
    /// Bytes of `struct epoll_event`.
    fn epoll_event_size(&self) -> usize {
        16
    }

    /// `siginfo_t`, 128 bytes.
    fn siginfo(&self, info: &RawInfo) -> Vec<u8> {
        super::siginfo::to_guest(self.layout(), info, self.signal_to_guest(info.signal()))
    }
    /// Reads a `siginfo_t` that the guest made.
    fn read_siginfo(&self, bytes: &[u8]) -> RawInfo {
        super::siginfo::from_guest(self.layout(), bytes)
    }
    /// `sigset_t` of the guest as the host's set.
    fn mask_to_host(&self, mask: u64) -> SigSet {
        mask
    }
    /// The host's set as the guest's.
    fn mask_to_guest(&self, mask: SigSet) -> u64 {
        mask
    }
    /// Does `struct sigaction` have `sa_restorer` (and the guest its own trampoline)?
    fn has_restorer(&self) -> bool {
        false
    }
}
