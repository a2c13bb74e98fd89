//! Signals: dispositions, delivery to handlers, default actions, and the system calls on them.

use super::abi::{AltStack, Frame, FrameKind, SigAction};
use super::errno::Errno;
use super::host::{self, Action, Arg, RawInfo, SYNCHRONOUS, SigSet};
use super::process::lock;
use super::table::{Args, SysResult};
use super::thread::{AfterHandler, Thread};
use std::sync::Arc;

/// Signals are numbered from 1 to this.
const LAST: usize = 64;
const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;
const SA_NODEFER: u64 = libc::SA_NODEFER as u64;
const SA_ONSTACK: u64 = libc::SA_ONSTACK as u64;
const SA_RESETHAND: u64 = 0x8000_0000;
const SA_RESTART: u64 = libc::SA_RESTART as u64;
/// Flags that the host has to know of too.
const HOST_FLAGS: u64 = (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT) as u64;
/// Flags that Linux keeps; others are cleared, so that programs can ask what is supported.
const KNOWN_FLAGS: u64 = HOST_FLAGS | SA_NODEFER | SA_ONSTACK | SA_RESETHAND | SA_RESTART | 4 | 0x800;
/// `SS_AUTODISARM`.
const AUTODISARM: i32 = i32::MIN;
/// `MINSIGSTKSZ` of the generic ABI.
const MIN_STACK: u64 = 2048;

const fn bit(signal: i32) -> SigSet {
    1 << (signal - 1)
}

const UNBLOCKABLE: SigSet = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

/// What the guest wants to be done with a signal; flags in the host's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Disposition {
    handler: u64,
    flags: u64,
    mask: SigSet,
}

/// The dispositions of a process.
#[derive(Clone, Debug)]
pub(super) struct Dispositions {
    all: [Disposition; LAST + 1],
    /// See [`super::Config::catch_deaths`].
    catch_deaths: bool,
}

impl Dispositions {
    /// Those that an executed program has: default, or still ignored.
    pub(super) fn inherited(catch_deaths: bool) -> Self {
        let mut all = [Disposition::default(); LAST + 1];
        for signal in 1..=LAST as i32 {
            let ignored = match signal {
                libc::SIGPIPE => host::start_state().sigpipe_ignored,
                _ => host::is_ignored(signal),
            };
            if ignored {
                all[signal as usize].handler = SIG_IGN;
            }
        }
        let new = Dispositions { all, catch_deaths };
        // The Rust runtime ignores SIGPIPE in any case. What is ignored stays untouched: setting that discards signals.
        let is_caught = |signal: i32| new.get(signal).handler == SIG_DFL && new.is_caught_death(signal);
        for signal in (1..=LAST as i32).filter(|s| *s == libc::SIGPIPE || is_caught(*s)) {
            let _ = host::set_action(signal, new.host_action(signal, new.get(signal).handler), 0);
        }
        new
    }

    fn get(&self, signal: i32) -> Disposition {
        self.all[signal as usize]
    }

    /// What the host shall do where the guest's handler is this.
    fn host_action(&self, signal: i32, handler: u64) -> Action {
        match handler {
            SIG_DFL if self.is_caught_death(signal) => Action::Catch,
            SIG_DFL => Action::Default,
            SIG_IGN => Action::Ignore,
            _ => Action::Catch,
        }
    }

    /// Is it caught although it ends the process by default? Not the C library's own signals.
    fn is_caught_death(&self, signal: i32) -> bool {
        let ends = SYNCHRONOUS & bit(signal) == 0 && default_action(signal) == DefaultAction::Terminate;
        self.catch_deaths && ends && signal != libc::SIGKILL && !(32..=34).contains(&signal)
    }

    /// Sets one, here and on the host.
    fn set(&mut self, signal: i32, new: Disposition) -> Result<(), Errno> {
        // The host always catches what the processor raises.
        if SYNCHRONOUS & bit(signal) == 0 {
            host::set_action(signal, self.host_action(signal, new.handler), new.flags & HOST_FLAGS)?;
        }
        self.all[signal as usize] = new;
        Ok(())
    }

    /// `CLONE_CLEAR_SIGHAND`: what has a handler becomes default.
    pub(super) fn reset_handlers(&mut self) {
        for signal in 1..=LAST as i32 {
            if self.get(signal).handler > SIG_IGN {
                let _ = self.set(signal, Disposition::default());
            }
        }
    }

    /// The synchronous signals that are ignored, which the host does not know.
    pub(super) fn ignored_synchronous(&self) -> impl Iterator<Item = i32> + '_ {
        let synchronous = (1..=LAST as i32).filter(|s| SYNCHRONOUS & bit(*s) != 0);
        synchronous.filter(|s| self.get(*s).handler == SIG_IGN)
    }
}

/// What happens by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DefaultAction {
    Terminate,
    Ignore,
    Stop,
}

fn default_action(signal: i32) -> DefaultAction {
    match signal {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => DefaultAction::Ignore,
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => DefaultAction::Stop,
        _ => DefaultAction::Terminate,
    }
}

fn valid(signal: i32) -> Result<i32, Errno> {
    if (1..=LAST as i32).contains(&signal) { Ok(signal) } else { Err(Errno::EINVAL) }
}

impl Thread {
    /// Blocks on the host what the guest blocks.
    pub(super) fn set_host_mask(&self) {
        host::set_mask(self.mask);
    }

    /// Delivers what was caught, and settles what becomes of an interrupted system call.
    pub(super) fn deliver_signals(&mut self) {
        if !self.queue.is_pending() && self.held.is_empty() && self.restart.is_none() && self.saved_mask.is_none() {
            return;
        }
        let caught = self.queue.is_pending();
        while let Some(info) = self.next_signal() {
            self.deliver(info);
            // Lets the next one in: Linux stacks the frames of all pending signals before the first handler runs.
            self.set_host_mask();
        }
        if let Some(restart) = self.restart.take() {
            self.vcpu.cpu_mut().pc = restart.insn;
        }
        if let Some(mask) = self.saved_mask.take() {
            self.mask = mask;
            self.set_host_mask();
        } else if caught {
            self.set_host_mask();
        }
    }

    /// The next signal that the guest does not block. One that it has blocked since it was caught goes back.
    fn next_signal(&mut self) -> Option<RawInfo> {
        let blocked = self.mask;
        if let Some(at) = self.held.iter().position(|info| blocked & bit(info.signal()) == 0) {
            return Some(self.held.remove(at));
        }
        loop {
            let info = self.queue.take()?;
            let signal = info.signal();
            if blocked & bit(signal) == 0 {
                return Some(info);
            }
            if SYNCHRONOUS & bit(signal) != 0 {
                self.held.push(info);
            } else {
                self.send_back(&info);
            }
        }
    }

    /// Queues a caught signal in the kernel again.
    fn send_back(&self, info: &RawInfo) {
        let (pid, tid, signal) = (host::pid(), self.tid, info.signal());
        let bytes = Arg::input(&info.0);
        let _ = if info.code() == libc::SI_TKILL {
            host::call(libc::SYS_rt_tgsigqueueinfo, &[pid.into(), tid.into(), signal.into(), bytes])
        } else {
            host::call(libc::SYS_rt_sigqueueinfo, &[pid.into(), signal.into(), bytes])
        };
    }

    /// A signal that the processor raised: a guest that blocks or ignores it ends.
    pub(super) fn force_signal(&mut self, info: RawInfo) {
        let signal = info.signal();
        let disposition = lock(&self.process.signals).get(signal);
        if self.mask & bit(signal) != 0 || disposition.handler <= SIG_IGN {
            self.die_by(signal);
        }
        self.deliver(info);
        self.set_host_mask();
    }

    fn die_by(&self, signal: i32) -> ! {
        self.process.release_robust_lists();
        if let (false, Some(hook)) = (self.is_vfork_child, &self.process.config.on_exit) {
            hook(128 + signal);
        }
        host::die_by(signal)
    }

    fn deliver(&mut self, info: RawInfo) {
        let signal = info.signal();
        let disposition = {
            let mut all = lock(&self.process.signals);
            let disposition = all.get(signal);
            if disposition.handler > SIG_IGN && disposition.flags & SA_RESETHAND != 0 {
                let _ = all.set(signal, Disposition { handler: SIG_DFL, ..disposition });
            }
            disposition
        };
        match (disposition.handler, default_action(signal)) {
            (SIG_IGN, _) | (SIG_DFL, DefaultAction::Ignore) => {}
            (SIG_DFL, DefaultAction::Terminate) => self.die_by(signal),
            (SIG_DFL, DefaultAction::Stop) => {
                let _ = host::call(libc::SYS_kill, &[host::pid().into(), libc::SIGSTOP.into()]);
            }
            _ => {
                if self.process.config.strace {
                    super::strace::signal(self, &info);
                }
                self.call_handler(&disposition, info);
            }
        }
    }

    fn call_handler(&mut self, disposition: &Disposition, info: RawInfo) {
        let signal = info.signal();
        let abi = Arc::clone(&self.process.abi);
        self.settle_restart(disposition.flags);
        let old_sp = abi.sp(self.vcpu.cpu());
        let kind = abi.frame_kind(disposition.flags);
        let Some(address) = self.frame_address(disposition.flags, abi.frame_size(kind), old_sp) else {
            return self.frame_failed(signal);
        };
        let trampoline = self.process.program.sigreturn.get(kind as usize).copied().unwrap_or_default();
        let frame = Frame {
            signal,
            info,
            mask: self.saved_mask.take().unwrap_or(self.mask),
            altstack: AltStack { flags: self.altstack_flags(old_sp), ..self.altstack },
            handler: disposition.handler,
            flags: disposition.flags,
            trampoline,
        };
        let cpu = self.vcpu.cpu_mut();
        cpu.clear_reservation();
        let before = cpu.clone();
        let bytes = abi.enter_handler(cpu, &frame, address);
        if self.write(address, &bytes).is_err() {
            *self.vcpu.cpu_mut() = before;
            return self.frame_failed(signal);
        }
        if self.altstack.flags & AUTODISARM != 0 {
            self.altstack = AltStack { base: 0, flags: libc::SS_DISABLE, size: 0 };
        }
        let itself = if disposition.flags & SA_NODEFER == 0 { bit(signal) } else { 0 };
        self.mask = (self.mask | disposition.mask | itself) & !UNBLOCKABLE;
    }

    /// An interrupted call fails before the handler runs, or runs again after it.
    fn settle_restart(&mut self, flags: u64) {
        let Some(restart) = self.restart.take() else { return };
        let again = match restart.after {
            AfterHandler::Always => true,
            AfterHandler::IfWanted => flags & SA_RESTART != 0,
            AfterHandler::Never => false,
        };
        if again {
            self.vcpu.cpu_mut().pc = restart.insn;
        } else {
            let abi = Arc::clone(&self.process.abi);
            abi.set_result(self.vcpu.cpu_mut(), Err(Errno::EINTR));
        }
    }

    /// Where a frame goes; `None` if it would leave the alternate stack that the thread is on.
    fn frame_address(&self, flags: u64, size: u64, sp: u64) -> Option<u64> {
        let on_stack = self.is_on_altstack(sp);
        let top = if flags & SA_ONSTACK != 0 && !on_stack && self.altstack.flags & libc::SS_DISABLE == 0 {
            self.altstack.base.wrapping_add(self.altstack.size)
        } else {
            sp.wrapping_sub(self.process.abi.red_zone())
        };
        let address = top.wrapping_sub(size) & !15;
        if on_stack && !self.is_on_altstack(address) { None } else { Some(address) }
    }

    /// The frame cannot be written: `SIGSEGV`, and no handler for it if it was that already.
    fn frame_failed(&mut self, signal: i32) {
        const SI_KERNEL: i32 = 0x80;
        if signal == libc::SIGSEGV {
            self.die_by(signal);
        }
        self.force_signal(RawInfo::fault(libc::SIGSEGV, SI_KERNEL, 0));
    }

    fn is_on_altstack(&self, sp: u64) -> bool {
        let stack = &self.altstack;
        stack.flags & AUTODISARM == 0 && sp > stack.base && sp - stack.base <= stack.size
    }

    /// `ss_flags` as the guest reads them.
    fn altstack_flags(&self, sp: u64) -> i32 {
        let state = match (self.altstack.size, self.is_on_altstack(sp)) {
            (0, _) => libc::SS_DISABLE,
            (_, true) => libc::SS_ONSTACK,
            _ => 0,
        };
        state | self.altstack.flags & AUTODISARM
    }

    /// Sets `sigaltstack`'s state.
    fn set_altstack(&mut self, new: AltStack) -> Result<(), Errno> {
        if self.is_on_altstack(self.process.abi.sp(self.vcpu.cpu())) {
            return Err(Errno::EPERM);
        }
        self.altstack = match new.flags & !AUTODISARM {
            libc::SS_DISABLE => AltStack { base: 0, flags: libc::SS_DISABLE, size: 0 },
            0 | libc::SS_ONSTACK if new.size < MIN_STACK => return Err(Errno::ENOMEM),
            0 | libc::SS_ONSTACK => AltStack { flags: new.flags & AUTODISARM, ..new },
            _ => return Err(Errno::EINVAL),
        };
        Ok(())
    }

    /// Reads a guest's `sigset_t`; `size` is the one that the guest gives.
    pub(super) fn read_sigset(&self, addr: u64, size: u64) -> Result<SigSet, Errno> {
        let abi = &self.process.abi;
        if size != abi.sigset_size() as u64 {
            return Err(Errno::EINVAL);
        }
        Ok(abi.read_sigset(&self.read(addr, abi.sigset_size())?))
    }

    fn write_sigset(&self, addr: u64, set: SigSet) -> Result<(), Errno> {
        self.write(addr, &self.process.abi.sigset(set))
    }

    /// Is `size` that of the guest's `sigset_t`?
    fn check_sigset_size(&self, size: u64) -> Result<(), Errno> {
        if size == self.process.abi.sigset_size() as u64 { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// Changes the mask for one call that waits; the handler's frame, or the end of the call, brings the old one back.
    pub(super) fn with_mask(
        &mut self,
        mask: Option<SigSet>,
        call: impl FnOnce(&mut Thread, Arg<'_>) -> SysResult,
    ) -> SysResult {
        let Some(mask) = mask else { return call(self, Arg::NULL) };
        let host_mask = mask & !SYNCHRONOUS & !UNBLOCKABLE;
        let result = call(self, Arg::from_ref(&host_mask));
        let interrupted = matches!(result, Err(Errno::RESTART | Errno::RESTART_NO_HANDLER | Errno::EINTR));
        if interrupted {
            self.saved_mask = Some(std::mem::replace(&mut self.mask, mask & !UNBLOCKABLE));
        }
        result
    }
}

/// `rt_sigaction`.
pub(super) fn rt_sigaction(t: &mut Thread, a: &Args) -> SysResult {
    t.check_sigset_size(a.get(3))?;
    sigaction(t, a)
}

/// `sigaction` of old ABIs; on MIPS it has the structure of `rt_sigaction`, but for the words after the mask's first.
pub(super) fn sigaction(t: &mut Thread, a: &Args) -> SysResult {
    let signal = valid(t.process.abi.signal_to_host(a.int(0)))?;
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
pub(super) fn signal(t: &mut Thread, a: &Args) -> SysResult {
    let signal = valid(t.process.abi.signal_to_host(a.int(0)))?;
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
pub(super) fn rt_sigprocmask(t: &mut Thread, a: &Args) -> SysResult {
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
pub(super) fn sigprocmask(t: &mut Thread, a: &Args) -> SysResult {
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
pub(super) fn sigpending(t: &mut Thread, a: &Args) -> SysResult {
    let set = t.pending()?;
    write_old_sigset(t, a.get(0), set)?;
    Ok(0)
}

/// `sigsuspend` of old ABIs, which on MIPS gets a whole set.
pub(super) fn sigsuspend(t: &mut Thread, a: &Args) -> SysResult {
    let mask = t.read_sigset(a.get(0), t.process.abi.sigset_size() as u64)?;
    suspend(t, mask)
}

/// `pause`.
pub(super) fn pause(t: &mut Thread, _: &Args) -> SysResult {
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
pub(super) fn rt_sigpending(t: &mut Thread, a: &Args) -> SysResult {
    if a.get(1) > t.process.abi.sigset_size() as u64 {
        return Err(Errno::EINVAL);
    }
    let set = t.pending()?;
    t.write_sigset(a.get(0), set)?;
    Ok(0)
}

/// `rt_sigsuspend`.
pub(super) fn rt_sigsuspend(t: &mut Thread, a: &Args) -> SysResult {
    let mask = t.read_sigset(a.get(0), a.get(1))?;
    suspend(t, mask)
}

fn suspend(t: &mut Thread, mask: SigSet) -> SysResult {
    if t.held.iter().any(|info| mask & bit(info.signal()) == 0) {
        t.saved_mask = Some(std::mem::replace(&mut t.mask, mask & !UNBLOCKABLE));
        return Err(Errno::RESTART_NO_HANDLER);
    }
    t.with_mask(Some(mask), |_, host_mask| host::blocking_once(libc::SYS_rt_sigsuspend, &[host_mask, 8.into()]))
}

/// `rt_sigtimedwait`.
pub(super) fn rt_sigtimedwait(t: &mut Thread, a: &Args) -> SysResult {
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
pub(super) fn rt_sigqueueinfo(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(1));
    let info = given_info(t, a.get(2), signal)?;
    host::call(libc::SYS_rt_sigqueueinfo, &[a.int(0).into(), signal.into(), Arg::input(&info.0)])
}

/// `rt_tgsigqueueinfo`.
pub(super) fn rt_tgsigqueueinfo(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(2));
    let info = given_info(t, a.get(3), signal)?;
    let args = [a.int(0).into(), a.int(1).into(), signal.into(), Arg::input(&info.0)];
    host::call(libc::SYS_rt_tgsigqueueinfo, &args)
}

/// `pidfd_send_signal`.
pub(super) fn pidfd_send_signal(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(1));
    let info = match a.get(2) {
        0 => None,
        addr => Some(given_info(t, addr, signal)?),
    };
    let bytes = info.as_ref().map_or(Arg::NULL, |info| Arg::input(&info.0));
    host::call(libc::SYS_pidfd_send_signal, &[a.int(0).into(), signal.into(), bytes, a.uint(3).into()])
}

/// `kill`.
pub(super) fn kill(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(1));
    host::call(libc::SYS_kill, &[a.int(0).into(), signal.into()])
}

/// `tkill`.
pub(super) fn tkill(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(1));
    host::call(libc::SYS_tkill, &[a.int(0).into(), signal.into()])
}

/// `tgkill`.
pub(super) fn tgkill(t: &mut Thread, a: &Args) -> SysResult {
    let signal = t.process.abi.signal_to_host(a.int(2));
    host::call(libc::SYS_tgkill, &[a.int(0).into(), a.int(1).into(), signal.into()])
}

/// `sigaltstack`.
pub(super) fn sigaltstack(t: &mut Thread, a: &Args) -> SysResult {
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
pub(super) fn rt_sigreturn(t: &mut Thread, _: &Args) -> SysResult {
    leave(t, FrameKind::Rt)
}

/// `sigreturn`.
pub(super) fn sigreturn(t: &mut Thread, _: &Args) -> SysResult {
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
