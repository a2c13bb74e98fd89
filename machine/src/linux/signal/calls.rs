//! The system calls on signals.

use super::{Disposition, KNOWN_FLAGS, SA_NODEFER, SA_RESETHAND, SIG_IGN, UNBLOCKABLE, bit, valid};
use crate::linux::abi::{AltStack, FrameKind, SigAction};
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg, RawInfo, SYNCHRONOUS, SigSet};
use crate::linux::process::lock;
use crate::linux::table::{Args, SysResult};
use crate::linux::thread::Thread;
use std::sync::Arc;

/// `rt_sigaction`.
pub(in crate::linux) fn rt_sigaction(t: &mut Thread, a: &Args) -> SysResult {
    t.check_sigset_size(a.get(3))?;
    sigaction(t, a)
}

/// `sigaction` of old ABIs; on MIPS it has the structure of `rt_sigaction`, but for the words after the mask's first.
pub(in crate::linux) fn sigaction(t: &mut Thread, a: &Args) -> SysResult {
    let signal = valid(&*t.process.abi, a.int(0))?;
    let new = match a.get(1) {
        0 => None,
        addr => {
            let abi = &t.process.abi;
            let SigAction { handler, flags, mask } = abi.read_sigaction(&t.read(addr, abi.sigaction_size())?);
            Some(Disposition { handler, flags: flags & KNOWN_FLAGS, mask: mask & !UNBLOCKABLE })
        }
    };
    if new.is_some() && UNBLOCKABLE & bit(signal) != 0 {
        return Err(Errno::EINVAL);
    }
    let old = t.change_disposition(signal, new)?;
    if a.get(2) != 0 {
        let Disposition { handler, flags, mask } = old;
        let bytes = t.process.abi.sigaction(&SigAction { handler, flags, mask });
        t.write(a.get(2), &bytes)?;
    }
    Ok(0)
}

/// `signal` of old ABIs: the handler is called once, and is the result.
pub(in crate::linux) fn signal(t: &mut Thread, a: &Args) -> SysResult {
    let signal = valid(&*t.process.abi, a.int(0))?;
    if UNBLOCKABLE & bit(signal) != 0 {
        return Err(Errno::EINVAL);
    }
    let new = Disposition { handler: a.get(1), flags: SA_RESETHAND | SA_NODEFER, mask: 0 };
    Ok(t.change_disposition(signal, Some(new))?.handler)
}

impl Thread {
    /// Sets the disposition of a signal, if there is a new one, and gives the old one.
    fn change_disposition(&mut self, signal: i32, new: Option<Disposition>) -> Result<Disposition, Errno> {
        let old = {
            let mut all = lock(&self.process.signals);
            let old = all.get(signal);
            if let Some(new) = new {
                all.set(signal, new)?;
            }
            old
        };
        if new.is_some_and(|n| n.handler > SIG_IGN) && SYNCHRONOUS & bit(signal) != 0 {
            self.vcpu.set_precise();
        }
        Ok(old)
    }
}

/// `rt_sigprocmask`.
pub(in crate::linux) fn rt_sigprocmask(t: &mut Thread, a: &Args) -> SysResult {
    t.check_sigset_size(a.get(3))?;
    let old = t.mask;
    if a.get(1) != 0 {
        let set = t.read_sigset(a.get(1), a.get(3))?;
        t.change_mask(a.int(0), set)?;
    }
    if a.get(2) != 0 {
        t.write_sigset(a.get(2), old)?;
    }
    Ok(0)
}

/// Bits of `old_sigset_t`, which is a `long` of 32 bits.
const OLD_SET: SigSet = 0xffff_ffff;

/// `sigprocmask` of old ABIs: the first word of the set.
pub(in crate::linux) fn sigprocmask(t: &mut Thread, a: &Args) -> SysResult {
    let old = t.mask;
    if a.get(1) != 0 {
        let mut bytes = t.read(a.get(1), t.layout().long)?;
        bytes.resize(t.process.abi.sigset_size(), 0);
        let set = t.process.abi.read_sigset(&bytes);
        // Setting the first word leaves the others alone.
        let whole = t.process.abi.sigprocmask_to_host(a.int(0)) == libc::SIG_SETMASK;
        t.change_mask(a.int(0), if whole { set | old & !OLD_SET } else { set })?;
    }
    write_old_sigset(t, a.get(2), old)?;
    Ok(0)
}

/// The first word of a set; null is not written to.
fn write_old_sigset(t: &Thread, addr: u64, set: SigSet) -> Result<(), Errno> {
    let bytes = t.process.abi.sigset(set);
    t.write_opt(addr, &bytes[..t.layout().long])
}

/// `sigpending` of old ABIs.
pub(in crate::linux) fn sigpending(t: &mut Thread, a: &Args) -> SysResult {
    let set = t.pending()?;
    write_old_sigset(t, a.get(0), set)?;
    Ok(0)
}

/// `sigsuspend` of old ABIs, which on MIPS gets a whole set.
pub(in crate::linux) fn sigsuspend(t: &mut Thread, a: &Args) -> SysResult {
    let mask = t.read_sigset(a.get(0), t.process.abi.sigset_size() as u64)?;
    suspend(t, mask)
}

/// `pause`.
pub(in crate::linux) fn pause(t: &mut Thread, _: &Args) -> SysResult {
    suspend(t, t.mask)
}

impl Thread {
    /// Changes the mask; `how` is the guest's number.
    fn change_mask(&mut self, how: i32, set: SigSet) -> Result<(), Errno> {
        let old = self.mask;
        let new = match self.process.abi.sigprocmask_to_host(how) {
            libc::SIG_BLOCK => old | set,
            libc::SIG_UNBLOCK => old & !set,
            libc::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        self.mask = new & !UNBLOCKABLE;
        // A signal that was caught just before and is blocked now goes back to the kernel (`next_signal`).
        if self.mask != old {
            self.set_host_mask();
        }
        Ok(())
    }

    /// The signals that are pending and blocked.
    fn pending(&self) -> Result<SigSet, Errno> {
        let mut set = 0u64;
        host::call(libc::SYS_rt_sigpending, &[Arg::from_mut(&mut set), 8.into()])?;
        let held = self.held.iter().fold(0, |all, info| all | bit(info.signal()));
        Ok((set | held) & self.mask)
    }
}

/// `rt_sigpending`.
pub(in crate::linux) fn rt_sigpending(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(1) > t.process.abi.sigset_size() as u64 {
        return Err(Errno::EINVAL);
    }
    let set = t.pending()?;
    t.write_sigset(a.get(0), set)?;
    Ok(0)
}

/// `rt_sigsuspend`.
pub(in crate::linux) fn rt_sigsuspend(t: &mut Thread, a: &Args) -> SysResult {
    let mask = t.read_sigset(a.get(0), a.get(1))?;
    suspend(t, mask)
}

fn suspend(t: &mut Thread, mask: SigSet) -> SysResult {
    t.with_mask(Some(mask), |_, host_mask| host::blocking_once(libc::SYS_rt_sigsuspend, &[host_mask, 8.into()]))
}

/// `rt_sigtimedwait`.
pub(in crate::linux) fn rt_sigtimedwait(t: &mut Thread, a: &Args) -> SysResult {
    let set = t.read_sigset(a.get(0), a.get(3))?;
    let timeout = t.read_timespec_opt(a.get(2), a.time64)?;
    let mut info = RawInfo([0; 128]);
    let signal = match t.held.iter().position(|held| set & bit(held.signal()) != 0) {
        Some(at) => {
            info = t.held.remove(at);
            info.signal()
        }
        None => {
            let set = set & !SYNCHRONOUS;
            let args = [Arg::from_ref(&set), Arg::output(&mut info.0), Arg::opt(timeout.as_ref()), 8.into()];
            host::blocking_once(libc::SYS_rt_sigtimedwait, &args)? as i32
        }
    };
    if a.get(1) != 0 {
        let bytes = t.process.abi.siginfo(&info);
        t.write(a.get(1), &bytes)?;
    }
    Ok(t.process.abi.signal_to_guest(signal) as u64)
}

/// A `siginfo_t` of the guest, for one of the host's processes.
fn given_info(t: &Thread, addr: u64, signal: i32) -> Result<RawInfo, Errno> {
    let bytes = t.read(addr, 128)?;
    let mut info = t.process.abi.read_siginfo(&bytes);
    info.0[..4].copy_from_slice(&signal.to_le_bytes());
    Ok(info)
}

/// `rt_sigqueueinfo`.
pub(in crate::linux) fn rt_sigqueueinfo(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(1));
    let info = given_info(t, a.get(2), signal)?;
    host::call(libc::SYS_rt_sigqueueinfo, &[a.int(0).into(), signal.into(), Arg::input(&info.0)])
}

/// `rt_tgsigqueueinfo`.
pub(in crate::linux) fn rt_tgsigqueueinfo(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(2));
    let info = given_info(t, a.get(3), signal)?;
    let args = [a.int(0).into(), a.int(1).into(), signal.into(), Arg::input(&info.0)];
    host::call(libc::SYS_rt_tgsigqueueinfo, &args)
}

/// `pidfd_send_signal`.
pub(in crate::linux) fn pidfd_send_signal(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(1));
    // A bad descriptor comes before a bad pointer.
    let info = if a.get(2) == 0 { None } else { Some(given_info(t, a.get(2), signal)) };
    let bytes = match &info {
        None => Arg::NULL,
        Some(Ok(info)) => Arg::input(&info.0),
        Some(Err(_)) => Arg::BAD,
    };
    host::call(libc::SYS_pidfd_send_signal, &[a.int(0).into(), signal.into(), bytes, a.uint(3).into()])
}

/// A signal of the guest's that is about to be sent. The host must know of a tracer before the thread stops itself.
fn sent(t: &mut Thread, guest: i32) -> i32 {
    let signal = t.process.abi.signal_to_host(guest);
    if signal == libc::SIGSTOP && !t.is_vfork_child {
        t.say_traced();
    }
    signal
}

/// `kill`.
pub(in crate::linux) fn kill(t: &mut Thread, a: &Args) -> SysResult {
    let signal = sent(t, a.int(1));
    t.confined_kill(a.int(0), signal)
}

/// `tkill`.
pub(in crate::linux) fn tkill(t: &mut Thread, a: &Args) -> SysResult {
    let signal = sent(t, a.int(1));
    host::call(libc::SYS_tkill, &[a.int(0).into(), signal.into()])
}

/// `tgkill`.
pub(in crate::linux) fn tgkill(t: &mut Thread, a: &Args) -> SysResult {
    let signal = sent(t, a.int(2));
    host::call(libc::SYS_tgkill, &[a.int(0).into(), a.int(1).into(), signal.into()])
}

/// `sigaltstack`.
pub(in crate::linux) fn sigaltstack(t: &mut Thread, a: &Args) -> SysResult {
    let long = t.layout().long;
    let new = match a.get(0) {
        0 => None,
        addr => Some(t.process.abi.read_altstack(&t.read(addr, 3 * long)?)),
    };
    let old = t.altstack;
    let flags = t.altstack_flags(t.process.abi.sp(t.vcpu.cpu()));
    if let Some(new) = new {
        t.set_altstack(new)?;
    }
    let bytes = t.process.abi.altstack(&AltStack { flags, ..old });
    t.write_opt(a.get(1), &bytes)?;
    Ok(0)
}

/// `rt_sigreturn`.
pub(in crate::linux) fn rt_sigreturn(t: &mut Thread, _: &Args) -> SysResult {
    leave(t, FrameKind::Rt)
}

/// `sigreturn`.
pub(in crate::linux) fn sigreturn(t: &mut Thread, _: &Args) -> SysResult {
    leave(t, FrameKind::Old)
}

fn leave(t: &mut Thread, kind: FrameKind) -> SysResult {
    let abi = Arc::clone(&t.process.abi);
    let address = abi.frame_address(t.vcpu.cpu());
    let Ok(bytes) = t.read(address, abi.frame_size(kind) as usize) else {
        t.force_signal(RawInfo::fault(libc::SIGSEGV, 0x80, 0));
        return Err(Errno::NO_RESULT);
    };
    let restored = abi.leave_handler(t.vcpu.cpu_mut(), kind, &bytes);
    t.mask = restored.mask & !UNBLOCKABLE;
    if let Some(altstack) = restored.altstack {
        let _ = t.set_altstack(altstack);
    }
    t.set_host_mask();
    Err(Errno::NO_RESULT)
}
