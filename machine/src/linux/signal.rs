//! Signals: dispositions, delivery to handlers, default actions; the system calls on them are in `calls`.

mod calls;

pub(super) use calls::*;

use super::abi::{Abi, AltStack, Frame};
use super::errno::Errno;
use super::host::{self, Action, Arg, RawInfo, SYNCHRONOUS, SigSet};
use super::process::lock;
use super::ptrace::is_message;
use super::table::SysResult;
use super::thread::{AfterHandler, Thread};
use std::sync::Arc;

/// The host's signals are numbered from 1 to this.
const LAST: usize = 64;
/// The most that a guest has (MIPS). Those that the host has not are never sent, but can have dispositions.
const MOST: usize = 128;
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

/// The set of one signal; those that the host has not are in no set.
const fn bit(signal: i32) -> SigSet {
    if signal > LAST as i32 { 0 } else { 1 << (signal - 1) }
}

/// Does the kernel queue more than one of the signal? From SIGRTMIN on.
fn queues(signal: i32) -> bool {
    signal >= 32
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
    all: [Disposition; MOST + 1],
    /// See [`super::Config::catch_deaths`].
    catch_deaths: bool,
    /// Signals of which core files are made are caught, too.
    catch_cores: bool,
    /// A thread of the process is traced: all signals are caught, so that it can stop for them.
    traced: bool,
    /// A thread of the process traces others: SIGCHLD is caught.
    tracer: bool,
}

impl Dispositions {
    /// Those that an executed program has: default, or still ignored.
    pub(super) fn inherited(catch_deaths: bool) -> Self {
        let mut all = [Disposition::default(); MOST + 1];
        for signal in 1..=LAST as i32 {
            let ignored = match signal {
                libc::SIGPIPE => host::start_state().sigpipe_ignored,
                _ => host::is_ignored(signal),
            };
            if ignored {
                all[signal as usize].handler = SIG_IGN;
            }
        }
        let new = Dispositions { all, catch_deaths, catch_cores: false, traced: false, tracer: false };
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
        let libc_own = (32..=34).contains(&signal);
        let traced = self.traced && UNBLOCKABLE & bit(signal) == 0 && !libc_own;
        match handler {
            _ if traced || self.tracer && signal == libc::SIGCHLD => Action::Catch,
            SIG_DFL if self.is_caught_death(signal) => Action::Catch,
            SIG_DFL => Action::Default,
            SIG_IGN => Action::Ignore,
            _ => Action::Catch,
        }
    }

    /// Is it caught although it ends the process by default? Not the C library's own signals.
    fn is_caught_death(&self, signal: i32) -> bool {
        let ends = SYNCHRONOUS & bit(signal) == 0 && default_action(signal) == DefaultAction::Terminate;
        let wanted = self.catch_deaths || self.catch_cores && super::core::SIGNALS.contains(&signal);
        wanted && ends && signal != libc::SIGKILL && !(32..=34).contains(&signal)
    }

    /// Sets one, here and on the host.
    fn set(&mut self, signal: i32, new: Disposition) -> Result<(), Errno> {
        // The host always catches what the processor raises.
        if signal <= LAST as i32 && SYNCHRONOUS & bit(signal) == 0 {
            // Who ignores SIGCHLD has no zombies.
            let ignores = signal == libc::SIGCHLD && new.handler == SIG_IGN;
            let flags = new.flags & HOST_FLAGS | if ignores { libc::SA_NOCLDWAIT as u64 } else { 0 };
            host::set_action(signal, self.host_action(signal, new.handler), flags)?;
        }
        self.all[signal as usize] = new;
        Ok(())
    }

    /// Catches what would end the process without a core file otherwise.
    pub(super) fn catch_cores(&mut self) {
        if !std::mem::replace(&mut self.catch_cores, true) {
            for signal in super::core::SIGNALS.into_iter().filter(|s| SYNCHRONOUS & bit(*s) == 0) {
                let _ = self.set(signal, self.get(signal));
            }
        }
    }

    /// `CLONE_CLEAR_SIGHAND`: what has a handler becomes default.
    pub(super) fn reset_handlers(&mut self) {
        for signal in 1..=MOST as i32 {
            if self.get(signal).handler > SIG_IGN {
                let _ = self.set(signal, Disposition::default());
            }
        }
    }

    /// The signals that are ignored, which the host does not know since it catches them.
    pub(super) fn ignored_unseen(&self) -> impl Iterator<Item = i32> + '_ {
        let caught = |s: &i32| SYNCHRONOUS & bit(*s) != 0 || self.host_action(*s, SIG_IGN) == Action::Catch;
        (1..=LAST as i32).filter(caught).filter(|s| self.get(*s).handler == SIG_IGN)
    }

    /// A thread of the process is traced from now on, or none any more.
    pub(super) fn set_traced(&mut self, traced: bool) {
        if self.traced != traced {
            self.traced = traced;
            self.renew();
        }
    }

    /// A thread of the process traces others from now on.
    pub(super) fn set_tracer(&mut self) {
        self.tracer = true;
        let _ = self.set(libc::SIGCHLD, self.get(libc::SIGCHLD));
    }

    /// After a fork: the process traces nobody.
    pub(super) fn reset_tracer(&mut self) {
        if std::mem::take(&mut self.tracer) {
            let _ = self.set(libc::SIGCHLD, self.get(libc::SIGCHLD));
        }
    }

    /// Sets the actions of the host anew, where the guest has no handler.
    fn renew(&mut self) {
        for signal in (1..=LAST as i32).filter(|s| UNBLOCKABLE & bit(*s) == 0) {
            if self.get(signal).handler <= SIG_IGN {
                let _ = self.set(signal, self.get(signal));
            }
        }
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

/// The signal, in the host's numbers, whose disposition a guest asks for by its own.
fn valid(abi: &dyn Abi, guest: i32) -> Result<i32, Errno> {
    if (1..=abi.last_signal()).contains(&guest) { Ok(abi.signal_to_host(guest)) } else { Err(Errno::EINVAL) }
}

impl Thread {
    /// Has the guest a handler for the signal?
    pub(super) fn handles(&self, signal: i32) -> bool {
        lock(&self.process.signals).get(signal).handler > SIG_IGN
    }

    /// Blocks on the host what the guest blocks.
    pub(super) fn set_host_mask(&self) {
        host::set_mask(self.host_mask(self.mask));
    }

    /// The host's mask for one of the guest's: a tracer always learns of its tracees.
    fn host_mask(&self, mask: SigSet) -> SigSet {
        let tracer = self.process.tracees.any();
        mask & !SYNCHRONOUS & !UNBLOCKABLE & if tracer { !bit(libc::SIGCHLD) } else { SigSet::MAX }
    }

    /// Delivers what was caught, and settles what becomes of an interrupted system call.
    pub(super) fn deliver_signals(&mut self) {
        self.stop_for_core();
        while self.has_trace_news() {
            self.look();
        }
        if !self.queue.is_pending() && self.held.is_empty() && self.restart.is_none() && self.saved_mask.is_none() {
            return;
        }
        let caught = self.queue.is_pending();
        while let Some(info) = self.next_signal() {
            if let Some(info) = self.unless_suppressed(info) {
                self.deliver(info);
            }
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

    /// The next signal that the guest does not block. One that it has blocked since it was caught goes back, or is kept.
    fn next_signal(&mut self) -> Option<RawInfo> {
        let blocked = self.mask;
        self.drop_ended_stops();
        // The lowest first, and of these the oldest.
        let held = self.held.iter().enumerate().filter(|(_, info)| blocked & bit(info.signal()) == 0);
        if let Some((at, _)) = held.min_by_key(|(_, info)| info.signal()) {
            return Some(self.held.remove(at));
        }
        loop {
            let info = self.queue.take()?;
            let signal = info.signal();
            if is_message(&info) {
                self.trace_message(&info);
                return self.next_signal();
            }
            if signal == libc::SIGCHLD && !self.child_signal(&info) {
                continue;
            }
            if blocked & bit(signal) == 0 {
                return Some(info);
            }
            if SYNCHRONOUS & bit(signal) != 0 || self.keeps(&info) {
                self.held.push(info);
            } else if signal == libc::SIGCHLD && self.process.tracees.any() {
                if self.held.iter().all(|held| held.signal() != signal) {
                    self.held.push(info);
                }
            } else {
                self.send_back(&info);
            }
        }
    }

    /// Is a signal that nobody else can take kept, although the guest blocks it? Those that queue have their order, which they would
    /// lose to what was sent meanwhile.
    fn keeps(&self, info: &RawInfo) -> bool {
        let is_own = info.code() == libc::SI_TKILL || self.process.thread_count() == 1;
        queues(info.signal()) && is_own
    }

    /// Gives what is kept to the kernel, where others see it: other threads, descriptors, the next program.
    pub(super) fn give_back(&mut self) {
        let (kept, rest) = std::mem::take(&mut self.held).into_iter().partition(|info: &RawInfo| queues(info.signal()));
        self.held = rest;
        kept.iter().for_each(|info| self.send_back(info));
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

    /// What the tracer makes of a signal that is about to be delivered.
    fn unless_suppressed(&mut self, info: RawInfo) -> Option<RawInfo> {
        if self.trace.is_some() { self.signal_stop(info) } else { Some(info) }
    }

    /// A signal that the tracer has chosen: it goes back if the guest blocks it.
    pub(super) fn unless_blocked(&self, info: RawInfo) -> Option<RawInfo> {
        if self.mask & bit(info.signal()) == 0 {
            return Some(info);
        }
        self.send_back(&info);
        None
    }

    /// Sets the mask for the tracer.
    pub(super) fn set_traced_mask(&mut self, mask: SigSet) {
        match &mut self.saved_mask {
            Some(saved) => *saved = mask & !UNBLOCKABLE,
            None => self.mask = mask & !UNBLOCKABLE,
        }
    }

    /// A signal that the processor raised: a guest that blocks or ignores it ends.
    pub(super) fn force_signal(&mut self, info: RawInfo) {
        let raised = info.signal();
        let Some(info) = self.unless_suppressed(info) else { return };
        let signal = info.signal();
        if signal != raised {
            self.deliver(info);
            return self.set_host_mask();
        }
        let disposition = lock(&self.process.signals).get(signal);
        if self.mask & bit(signal) != 0 || disposition.handler <= SIG_IGN {
            self.die_by(&info);
        }
        self.deliver(info);
        self.set_host_mask();
    }

    pub(super) fn die_by(&mut self, info: &RawInfo) -> ! {
        let signal = info.signal();
        self.dump_core(info);
        self.exit_stop(signal);
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
            (SIG_DFL, DefaultAction::Terminate) => self.die_by(&info),
            (SIG_DFL, DefaultAction::Stop) if self.trace.is_some() => self.group_stop(signal),
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
        self.sleep_left = None;
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
        let top = if flags & SA_ONSTACK != 0 && !on_stack && self.altstack.size != 0 {
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
            self.die_by(&RawInfo::fault(signal, SI_KERNEL, 0));
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
        if new == self.altstack && new.flags & !AUTODISARM & !libc::SS_DISABLE == 0 {
            return Ok(());
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

    /// Is a signal held that this mask does not block?
    fn holds_unblocked(&self, mask: SigSet) -> bool {
        self.held.iter().any(|info| mask & bit(info.signal()) == 0)
    }

    /// Changes the mask for one call that waits; the handler's frame, or the end of the call, brings the old one back.
    pub(super) fn with_mask(
        &mut self,
        mask: Option<SigSet>,
        call: impl FnOnce(&mut Thread, Arg<'_>) -> SysResult,
    ) -> SysResult {
        let Some(mask) = mask else { return call(self, Arg::NULL) };
        let host_mask = self.host_mask(mask);
        let result = if self.holds_unblocked(mask) {
            Err(Errno::RESTART_NO_HANDLER)
        } else {
            call(self, Arg::from_ref(&host_mask))
        };
        let interrupted = matches!(result, Err(Errno::RESTART | Errno::RESTART_NO_HANDLER | Errno::EINTR));
        if interrupted {
            self.saved_mask = Some(std::mem::replace(&mut self.mask, mask & !UNBLOCKABLE));
        }
        result
    }
}
