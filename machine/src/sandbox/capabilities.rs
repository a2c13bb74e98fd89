//! Of root's powers, those over files and users. With others a process could look into such as Landlock keeps from it (`CAP_PERFMON` reads
//! their environment), mount, trace or load modules.

use super::SandboxError;
use crate::linux::errno::Errno;
use crate::linux::host::{self, Arg};

/// Capabilities that are kept, if there are any, by their numbers: `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `FSETID`, `KILL`, `SETGID`, `SETUID`,
/// `NET_BIND_SERVICE`.
const KEPT: [u32; 8] = [0, 1, 3, 4, 5, 6, 7, 10];
/// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
const VERSION: u32 = 0x2008_0522;

/// Gives all others up, for good.
pub(super) fn restrict() -> Result<(), SandboxError> {
    let failed = |errno: Errno| SandboxError::Capabilities(format!("{errno:?}"));
    for capability in (0..64).filter(|capability| !KEPT.contains(capability)) {
        // Who has none has nothing to give up: EPERM; and EINVAL for those that the kernel does not know.
        let _ = host::call(
            libc::SYS_prctl,
            &[libc::PR_CAPBSET_DROP.into(), capability.into(), 0.into(), 0.into(), 0.into()],
        );
    }
    let kept: u32 = KEPT.iter().map(|capability| 1 << capability).sum();
    let header = [VERSION, 0];
    // Effective, permitted, inheritable; the low words, then the high ones.
    let mut sets = [0_u32; 6];
    host::call(libc::SYS_capget, &[Arg::slice(&header), Arg::slice_mut(&mut sets)]).map_err(failed)?;
    let sets = [sets[0] & kept, sets[1] & kept, sets[2] & kept, 0, 0, 0];
    host::call(libc::SYS_capset, &[Arg::slice(&header), Arg::slice(&sets)]).map_err(failed).map(drop)
}
