//! Other processes in the sandbox: only those of the run can be reached, which are this one, what it started, and what else the run's first
//! process started. One whose parents have all ended is nobody's.

use super::super::errno::Errno;
use super::super::host;
use super::super::table::SysResult;
use super::super::thread::Thread;
use crate::sandbox::{REFUSED_CLONE, RunId};

/// How far up parents are looked for.
const MAX_PARENTS: u32 = 4096;

/// Numbers of `/proc/PID/stat`: parent, group, start.
fn numbers(pid: i32) -> Option<(i32, i32, u64)> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = line.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

/// This process, as the first of a run.
pub(crate) fn own_id() -> Option<RunId> {
    let pid = host::pid();
    numbers(pid).map(|(.., started)| RunId { pid, started })
}

pub(super) fn is_in_run(run: Option<RunId>, pid: i32) -> bool {
    let mut at = pid;
    for _ in 0..MAX_PARENTS {
        if at == host::pid() {
            return true;
        }
        let Some((parent, _, started)) = numbers(at) else { return false };
        if run == Some(RunId { pid: at, started }) {
            return true;
        }
        if parent <= 0 {
            return false;
        }
        at = parent;
    }
    false
}

impl Thread {
    /// May the guest do something to a process or thread (0 is the caller)? Others are not there.
    pub(in crate::linux) fn may_reach(&self, pid: i32) -> Result<(), Errno> {
        let Some(confined) = self.confined() else { return Ok(()) };
        let own = pid == 0 || pid == self.tid || std::fs::exists(format!("/proc/self/task/{pid}")).unwrap_or(false);
        if own || pid > 0 && is_in_run(confined.policy.run, pid) { Ok(()) } else { Err(Errno::ESRCH) }
    }

    /// kill(2), where groups are those of their members that are in the run.
    pub(in crate::linux) fn confined_kill(&self, pid: i32, signal: i32) -> SysResult {
        let Some(confined) = self.confined() else {
            return host::call(libc::SYS_kill, &[pid.into(), signal.into()]);
        };
        if pid > 0 {
            self.may_reach(pid)?;
            return host::call(libc::SYS_kill, &[pid.into(), signal.into()]);
        }
        let group = match pid {
            -1 => None,
            0 => Some(numbers(host::pid()).ok_or(Errno::ESRCH)?.1),
            other => Some(other.checked_neg().ok_or(Errno::ESRCH)?),
        };
        let own = host::pid();
        let pids = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let in_group = |pid: &i32| group.is_none_or(|group| numbers(*pid).is_some_and(|(_, of, _)| of == group));
        let mut targets: Vec<i32> = pids.filter(in_group).filter(|pid| is_in_run(confined.policy.run, *pid)).collect();
        // Itself last, since it may be the end of it; and not with all.
        targets.retain(|pid| *pid != own || group.is_some());
        targets.sort_by_key(|pid| *pid == own);
        let mut result = Err(Errno::ESRCH);
        for pid in targets {
            let sent = host::call(libc::SYS_kill, &[pid.into(), signal.into()]);
            // One that was reached is enough.
            result = result.or(sent);
        }
        result
    }

    /// May a process or a group be told of a descriptor's events by a signal? The caller may.
    pub(in crate::linux) fn may_own(&self, pid: i32) -> Result<(), Errno> {
        match self.confined() {
            Some(_) if pid < 0 => Err(Errno::EPERM),
            _ => self.may_reach(pid),
        }
    }

    /// May a child be made with these flags of clone(2)? Not with other views of the system, nor as somebody else's.
    pub(in crate::linux) fn may_clone(&self, flags: u64) -> Result<(), Errno> {
        /// `CLONE_NEWTIME`, which clone3(2) alone takes.
        const NEW_TIME: u64 = 0x80;
        let refused = flags & (u64::from(REFUSED_CLONE) | NEW_TIME) != 0;
        if self.confined().is_some() && refused { Err(Errno::EPERM) } else { Ok(()) }
    }
}
