//! The system call: requests by number.
#![forbid(unsafe_code)]

use super::block::{self, Snapshot, info_words, word};
use super::message::Message;
use super::tracer::{First, Tracee, host_options, host_ptrace, status_line};
use super::wait::catches_traps;
use super::{action, event, option};
use crate::linux::abi::{RegisterSet, TraceRegisters};
use crate::linux::data::{Writer, put};
use crate::linux::errno::Errno;
use crate::linux::host;
use crate::linux::remote;
use crate::linux::table::{Args, SysResult};
use crate::linux::thread::Thread;
use std::sync::Arc;

const TRACEME: u64 = 0;
const PEEKTEXT: u64 = 1;
const PEEKDATA: u64 = 2;
const PEEKUSR: u64 = 3;
const POKETEXT: u64 = 4;
const POKEDATA: u64 = 5;
const POKEUSR: u64 = 6;
const CONT: u64 = 7;
const KILL: u64 = 8;
const ATTACH: u64 = 16;
const DETACH: u64 = 17;
const SYSCALL: u64 = 24;
/// Of MIPS alone.
const GET_THREAD_AREA: u64 = 25;
const SETOPTIONS: u64 = 0x4200;
const GETEVENTMSG: u64 = 0x4201;
const GETSIGINFO: u64 = 0x4202;
const SETSIGINFO: u64 = 0x4203;
const GETREGSET: u64 = 0x4204;
const SETREGSET: u64 = 0x4205;
const SEIZE: u64 = 0x4206;
const INTERRUPT: u64 = 0x4207;
const LISTEN: u64 = 0x4208;
const GETSIGMASK: u64 = 0x420a;
const SETSIGMASK: u64 = 0x420b;
const GET_SYSCALL_INFO: u64 = 0x420e;

/// Name of the emulator's own threads.
const OWN_THREAD: &str = "emu-compile";

/// `ptrace`.
pub(in crate::linux) fn ptrace(t: &mut Thread, a: &Args) -> SysResult {
    let (request, tid) = (a.get(0), a.int(1));
    match request {
        TRACEME => return t.trace_me(),
        ATTACH => return t.attach(tid, false, 0),
        // An address is reserved.
        SEIZE if a.get(2) != 0 || a.get(3) & !option::ALL != 0 => return Err(Errno::EIO),
        SEIZE => return t.attach(tid, true, a.get(3)),
        INTERRUPT => return t.interrupt_tracee(tid),
        KILL => {
            let tracee = t.process.tracees.get(tid).filter(|tracee| tracee.owner == t.tid).ok_or(Errno::ESRCH)?;
            return host::call(libc::SYS_tgkill, &[tracee.process.into(), tid.into(), libc::SIGKILL.into()]);
        }
        _ => {}
    }
    let (tracee, snapshot) = t.stopped_tracee(tid)?;
    Stopped { t, tid, tracee, snapshot }.request(request, a.get(2), a.get(3))
}

impl Thread {
    /// `PTRACE_ATTACH` and `PTRACE_SEIZE`.
    fn attach(&mut self, tid: i32, seized: bool, options: u64) -> SysResult {
        let process = status_line(tid, "Tgid").and_then(|text| text.parse().ok()).ok_or(Errno::ESRCH)?;
        if process == host::pid() || self.process.tracees.get(tid).is_some() {
            return Err(Errno::EPERM);
        }
        remote::check_layout(self, tid)?;
        if std::fs::read_to_string(format!("/proc/{tid}/comm"))?.trim_end() == OWN_THREAD {
            return Err(Errno::ESRCH);
        }
        if !catches_traps(tid) {
            return Err(Errno::EPERM);
        }
        let is_stopped = status_line(tid, "State").is_some_and(|state| state.starts_with('T'));
        host_ptrace(libc::PTRACE_SEIZE, tid, host_options(options).into())?;
        self.add_tracee(tid, seized, options, First::Past);
        Message::Attach { seized, options, stopped: if is_stopped { libc::SIGSTOP } else { 0 } }.send(process, tid)?;
        // If it was stopped, it reports that first.
        self.service();
        Ok(0)
    }

    fn interrupt_tracee(&mut self, tid: i32) -> SysResult {
        let tracee = self.process.tracees.get(tid).filter(|tracee| tracee.owner == self.tid).ok_or(Errno::ESRCH)?;
        if !tracee.seized {
            return Err(Errno::EIO);
        }
        if tracee.block == 0 {
            self.process.tracees.change(tid, |tracee| tracee.interrupt = true);
            return Ok(0);
        }
        block::write(tid, tracee.block, word::INTERRUPT, &[1]).map_err(|_| Errno::ESRCH)?;
        Message::Look.send(tracee.process, tid).map(|()| 0)
    }
}

/// A request about a tracee that is stopped.
struct Stopped<'a> {
    t: &'a mut Thread,
    tid: i32,
    tracee: Tracee,
    snapshot: Snapshot,
}

impl Stopped<'_> {
    fn request(&mut self, request: u64, addr: u64, data: u64) -> SysResult {
        match request {
            PEEKTEXT | PEEKDATA => self.peek(addr, data),
            POKETEXT | POKEDATA => self.poke(addr, data),
            PEEKUSR => self.peek_user(addr, data),
            POKEUSR => self.poke_user(addr, data),
            CONT => self.resume(action::CONT, data),
            SYSCALL => self.resume(action::SYSCALL, data),
            DETACH => self.resume(action::DETACH, data),
            LISTEN => self.listen(),
            SETOPTIONS => self.set_options(data),
            GETEVENTMSG => self.t.write_long(data, self.snapshot.get(word::MESSAGE)).map(|()| 0),
            GETSIGINFO => self.info(data),
            SETSIGINFO => self.set_info(data),
            GETREGSET => self.register_set(addr, data, false),
            SETREGSET => self.register_set(addr, data, true),
            GETSIGMASK => self.mask(addr, data),
            SETSIGMASK => self.set_mask(addr, data),
            GET_SYSCALL_INFO => self.call_info(addr, data),
            GET_THREAD_AREA => self.thread_area(data),
            other => self.old_registers(other, data),
        }
    }

    /// Writes words of the tracee's block.
    fn put(&self, first: usize, values: &[u64]) -> Result<(), Errno> {
        block::write(self.tid, self.tracee.block, first, values).map_err(|_| Errno::ESRCH)
    }

    fn peek(&self, addr: u64, data: u64) -> SysResult {
        let mut bytes = vec![0; self.t.layout().long];
        self.t.read_tracee(self.tid, &self.snapshot, addr, &mut bytes)?;
        self.t.write(data, &bytes).map(|()| 0)
    }

    fn poke(&self, addr: u64, data: u64) -> SysResult {
        let layout = self.t.layout();
        let mut bytes = vec![0; layout.long];
        put(&mut bytes, data, layout.big);
        self.t.write_tracee(self.tid, &self.tracee, &self.snapshot, addr, &bytes).map(|()| 0)
    }

    fn resume(&self, action: u64, signal: u64) -> SysResult {
        let abi = &self.t.process.abi;
        let guest = i32::try_from(signal).ok().filter(|n| *n <= abi.last_signal()).ok_or(Errno::EIO)?;
        let signal = if guest == 0 { 0 } else { abi.signal_to_host(guest) };
        self.t.resume_tracee(self.tid, &self.tracee, action, signal).map(|()| 0)
    }

    fn listen(&self) -> SysResult {
        let is_stop = self.snapshot.get(word::CODE) as i32 >> 8 == event::STOP;
        if !self.tracee.seized || !is_stop {
            return Err(Errno::EIO);
        }
        self.t.resume_tracee(self.tid, &self.tracee, action::LISTEN, 0).map(|()| 0)
    }

    fn set_options(&self, options: u64) -> SysResult {
        if options & !option::ALL != 0 {
            return Err(Errno::EINVAL);
        }
        host_ptrace(libc::PTRACE_SETOPTIONS, self.tid, host_options(options).into())?;
        self.put(word::OPTIONS, &[options])?;
        self.t.process.tracees.change(self.tid, |tracee| tracee.options = options);
        Ok(0)
    }

    fn info(&self, data: u64) -> SysResult {
        if self.snapshot.get(word::HAS_INFO) == 0 {
            return Err(Errno::EINVAL);
        }
        let bytes = self.t.process.abi.siginfo(&self.snapshot.info());
        self.t.write(data, &bytes).map(|()| 0)
    }

    fn set_info(&self, data: u64) -> SysResult {
        if self.snapshot.get(word::HAS_INFO) == 0 {
            return Err(Errno::EINVAL);
        }
        let info = self.t.process.abi.read_siginfo(&self.t.read(data, 128)?);
        self.put(word::INFO, &info_words(&info))?;
        self.put(word::NEW_INFO, &[1]).map(|()| 0)
    }

    fn mask(&self, size: u64, data: u64) -> SysResult {
        let abi = &self.t.process.abi;
        if size != abi.sigset_size() as u64 {
            return Err(Errno::EINVAL);
        }
        self.t.write(data, &abi.sigset(self.snapshot.get(word::MASK))).map(|()| 0)
    }

    fn set_mask(&self, size: u64, data: u64) -> SysResult {
        let mask = self.t.read_sigset(data, size)?;
        self.put(word::MASK, &[mask])?;
        self.put(word::NEW_MASK, &[1]).map(|()| 0)
    }

    /// `PTRACE_GET_SYSCALL_INFO`: as much as there is room for; the result is how long it is.
    fn call_info(&self, size: u64, data: u64) -> SysResult {
        let mut w = Writer::new(self.t.layout());
        let word = |word| self.snapshot.get(word);
        w.u8(word(word::OP) as u8).u32(word(word::ARCH) as u32).u64(word(word::PC)).u64(word(word::SP));
        match word(word::OP) {
            1 => {
                w.u64(word(word::NUMBER));
                w.u64s(&std::array::from_fn::<u64, 6, _>(|i| word(word::ARGUMENTS + i)));
            }
            2 => {
                w.u64(word(word::RESULT)).u8(word(word::IS_ERROR) as u8);
            }
            _ => {}
        }
        let bytes = w.finish();
        self.t.write(data, &bytes[..bytes.len().min(size as usize)])?;
        Ok(bytes.len() as u64)
    }

    /// The registers, where they can be told: those of another kind of guest cannot.
    fn registers(&self) -> Result<TraceRegisters, Errno> {
        let same = self.snapshot.get(word::ARCH) == u64::from(self.t.process.abi.audit_arch());
        if same { Ok(self.snapshot.registers()) } else { Err(Errno::EIO) }
    }

    /// Gives the tracee one kind of registers.
    fn put_registers(&self, set: RegisterSet, registers: &TraceRegisters) -> Result<(), Errno> {
        match set {
            RegisterSet::General => {
                self.put(word::GENERAL, &registers.general)?;
                self.put(word::NEW_GENERAL, &[1])
            }
            RegisterSet::Float => {
                self.put(word::FLOAT, &registers.float)?;
                self.put(word::NEW_FLOAT, &[1])
            }
        }
    }

    /// `PTRACE_GETREGSET` and `PTRACE_SETREGSET`: an `iovec` whose length becomes what was transferred.
    fn register_set(&self, note: u64, iovec: u64, set: bool) -> SysResult {
        const NT_PRSTATUS: u64 = 1;
        const NT_PRFPREG: u64 = 2;
        let which = match note {
            NT_PRSTATUS => RegisterSet::General,
            NT_PRFPREG => RegisterSet::Float,
            _ => return Err(Errno::EINVAL),
        };
        let (t, abi) = (&*self.t, Arc::clone(&self.t.process.abi));
        let mut registers = self.registers()?;
        let mut bytes = abi.register_set(which, &registers);
        let (base, len) = t.with_struct(iovec, 2 * t.layout().long, |r| (r.long(), r.long()))?;
        if !len.is_multiple_of(abi.register_size(which) as u64) {
            return Err(Errno::EINVAL);
        }
        let len = (len as usize).min(bytes.len());
        if set {
            bytes[..len].copy_from_slice(&t.read(base, len)?);
            abi.read_register_set(which, &bytes, &mut registers);
            self.put_registers(which, &registers)?;
        } else {
            t.write(base, &bytes[..len])?;
        }
        t.write_long(iovec + t.layout().long as u64, len as u64).map(|()| 0)
    }

    /// `PTRACE_GETREGS` and its kin, which only old ABIs have.
    fn old_registers(&self, request: u64, data: u64) -> SysResult {
        let abi = Arc::clone(&self.t.process.abi);
        let (which, set) = abi.old_register_request(request).ok_or(Errno::EIO)?;
        let mut registers = self.registers()?;
        let mut bytes = abi.old_register_set(which, &registers);
        if !set {
            return self.t.write(data, &bytes).map(|()| 0);
        }
        bytes = self.t.read(data, bytes.len())?;
        abi.read_old_register_set(which, &bytes, &mut registers);
        self.put_registers(which, &registers).map(|()| 0)
    }

    fn thread_area(&self, data: u64) -> SysResult {
        let value = self.t.process.abi.thread_area(&self.registers()?).ok_or(Errno::EIO)?;
        self.t.write_long(data, value).map(|()| 0)
    }

    fn peek_user(&self, addr: u64, data: u64) -> SysResult {
        let value = self.t.process.abi.user_word(&self.registers()?, addr).ok_or(Errno::EIO)?;
        self.t.write_long(data, value).map(|()| 0)
    }

    fn poke_user(&self, addr: u64, data: u64) -> SysResult {
        let mut registers = self.registers()?;
        let which = self.t.process.abi.set_user_word(&mut registers, addr, data).ok_or(Errno::EIO)?;
        self.put_registers(which, &registers).map(|()| 0)
    }
}
