//! What a tracer's emulator says to a thread that runs: a signal that the host never blocks, with a code of its own.
#![forbid(unsafe_code)]

use crate::linux::data::{Layout, Reader, Writer};
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg, RawInfo};

/// `si_code` of a message. The kernel lets processes send each other negative codes only.
const CODE: i32 = -0x6d75;
const LAYOUT: Layout = Layout { long: 8, big: false };

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The thread is traced from now on.
    Attach {
        /// By `PTRACE_SEIZE`.
        seized: bool,
        options: u64,
        /// Its process was stopped by this signal.
        stopped: i32,
    },
    /// It was sent SIGSTOP, by this process and user, with this code.
    Stop { code: i32, pid: i32, uid: u32 },
    /// Something in its block or its process is new, or one of its tracees needs it.
    Look,
}

/// Is it a message?
pub(in crate::linux) fn is_message(info: &RawInfo) -> bool {
    info.signal() == libc::SIGTRAP && info.code() == CODE
}

impl Message {
    /// The siginfo that carries it. The kernel passes 32 bytes behind the code on.
    pub(super) fn encode(self) -> RawInfo {
        let mut w = Writer::new(LAYOUT);
        w.i32(libc::SIGTRAP).i32(0).i32(CODE).i32(0);
        match self {
            Message::Attach { seized, options, stopped } => w.i32(1).i32(i32::from(seized)).u64(options).i32(stopped),
            Message::Stop { code, pid, uid } => w.i32(2).i32(code).i32(pid).u32(uid),
            Message::Look => w.i32(3),
        };
        let mut info = RawInfo([0; 128]);
        let bytes = w.finish();
        info.0[..bytes.len()].copy_from_slice(&bytes);
        info
    }

    pub(super) fn decode(info: &RawInfo) -> Option<Message> {
        let mut r = Reader::new(LAYOUT, &info.0[16..]);
        match r.i32() {
            1 => Some(Message::Attach { seized: r.i32() != 0, options: r.u64(), stopped: r.i32() }),
            2 => Some(Message::Stop { code: r.i32(), pid: r.i32(), uid: r.u32() }),
            3 => Some(Message::Look),
            _ => None,
        }
    }

    /// Sends it to a thread.
    pub(super) fn send(self, pid: i32, tid: i32) -> Result<(), Errno> {
        let info = self.encode();
        let args = [pid.into(), tid.into(), libc::SIGTRAP.into(), Arg::input(&info.0)];
        host::call(libc::SYS_rt_tgsigqueueinfo, &args).map(drop)
    }
}

/// A siginfo of `kill`.
pub(super) fn sent(signal: i32, code: i32, pid: i32, uid: u32) -> RawInfo {
    let mut w = Writer::new(LAYOUT);
    w.i32(signal).i32(0).i32(code).i32(0).i32(pid).u32(uid);
    let mut info = RawInfo([0; 128]);
    info.0[..24].copy_from_slice(&w.finish());
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive() {
        let all = [
            Message::Attach { seized: true, options: 1 << 20 | 1, stopped: 19 },
            Message::Stop { code: -6, pid: 77, uid: 1000 },
            Message::Look,
        ];
        for message in all {
            let info = message.encode();
            assert!(is_message(&info) && info.0[48..].iter().all(|b| *b == 0));
            assert_eq!(Message::decode(&info), Some(message));
        }
        assert!(!is_message(&sent(libc::SIGTRAP, 0, 1, 2)));
    }
}
