//! Forking, execution, and how the process was started.

use super::{Arg, Errno, call, exit_process, is_ignored};
use libc::c_void;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};

/// Which side of a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The parent, with the child's pid.
    Parent(i32),
    /// The child.
    Child,
}

/// `fork`: the child has the calling thread only.
///
/// The caller holds every lock that the child will need; the allocator's are the C library's care.
pub fn fork() -> Result<Forked, Errno> {
    // SAFETY: the child goes on with locks known to be free, see above.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error().into()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// `clone` without shared memory, for flags that [`fork`] does not have.
pub fn clone_process(flags: u64) -> Result<Forked, Errno> {
    debug_assert_eq!(flags & (libc::CLONE_VM as u64), 0);
    match call(libc::SYS_clone, &[flags.into(), Arg::NULL, Arg::NULL, Arg::NULL, Arg::NULL])? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid as i32)),
    }
}

const VFORK_STACK: usize = 1 << 20;

/// `vfork`: runs `child` in a new process that shares all memory, and waits until it has executed a program or ended.
/// `flags` are more of `clone`'s, and the signal at its end.
///
/// `child` runs on its own stack with this thread's thread-local storage; when it returns the child process ends.
pub fn vfork(flags: i32, mut child: &mut dyn FnMut()) -> Result<i32, Errno> {
    extern "C" fn start(child: *mut c_void) -> i32 {
        // SAFETY: `child` below, in the frame of the parent's thread, which waits.
        let child = unsafe { &mut *child.cast::<&mut dyn FnMut()>() };
        child();
        exit_process(127)
    }
    let stack = VforkStack::new()?;
    let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK;
    // SAFETY: the stack is fresh and lives until the child no longer uses this memory, since the parent waits (VFORK).
    let pid = unsafe { libc::clone(start, stack.top(), flags, (&raw mut child).cast()) };
    if pid < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(pid) }
}

struct VforkStack(*mut c_void);

impl VforkStack {
    fn new() -> Result<Self, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping wherever the kernel likes.
        let at =
            unsafe { libc::mmap(std::ptr::null_mut(), VFORK_STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if at == libc::MAP_FAILED { Err(Errno::ENOMEM) } else { Ok(VforkStack(at)) }
    }

    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(VFORK_STACK)
    }
}

impl Drop for VforkStack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, used by no one any more.
        unsafe { libc::munmap(self.0, VFORK_STACK) };
    }
}

/// `execve` of a host file.
pub fn execve(path: &CStr, argv: &[&CStr], envp: &[&CStr]) -> Errno {
    let table = |list: &[&CStr]| list.iter().map(|s| s.as_ptr() as usize).chain([0]).collect::<Vec<usize>>();
    let (argv, envp) = (table(argv), table(envp));
    match call(libc::SYS_execve, &[Arg::path(path), Arg::slice(&argv), Arg::slice(&envp)]) {
        Err(e) => e,
        Ok(_) => Errno::EIO,
    }
}

/// What the Rust runtime changes before `main` runs, as it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartState {
    /// `SIGPIPE` was ignored (the runtime ignores it always).
    pub sigpipe_ignored: bool,
    /// Standard descriptors that were closed (the runtime opens `/dev/null` there).
    pub closed_std: [bool; 3],
}

static START: AtomicU32 = AtomicU32::new(0);

/// Runs before the Rust runtime's own set-up.
extern "C" fn record_start() {
    let mut bits = u32::from(is_ignored(libc::SIGPIPE));
    for fd in 0..3 {
        if call(libc::SYS_fcntl, &[fd.into(), libc::F_GETFD.into()]) == Err(Errno::EBADF) {
            bits |= 2 << fd;
        }
    }
    START.store(bits, Ordering::Relaxed);
}

// SAFETY: a constructor in the list that the C library runs before `main`; it makes system calls only.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD_START: extern "C" fn() = record_start;

/// The state that the process was started with.
pub fn start_state() -> StartState {
    let bits = START.load(Ordering::Relaxed);
    StartState { sigpipe_ignored: bits & 1 != 0, closed_std: [bits & 2 != 0, bits & 4 != 0, bits & 8 != 0] }
}
