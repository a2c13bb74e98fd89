//! `socketcall` and `ipc`: calls of old ABIs that stand for many.

use super::errno::Errno;
use super::ipc;
use super::table::{Args, Handler, SYSCALLS, SysResult, Syscall};
use super::thread::Thread;

/// A call of `socketcall`: what answers it, and how many arguments it has.
const SOCKET_CALLS: [(&str, usize); 20] = [
    ("socket", 3),
    ("bind", 3),
    ("connect", 3),
    ("listen", 2),
    ("accept", 3),
    ("getsockname", 3),
    ("getpeername", 3),
    ("socketpair", 4),
    ("send", 4),
    ("recv", 4),
    ("sendto", 6),
    ("recvfrom", 6),
    ("shutdown", 2),
    ("setsockopt", 5),
    ("getsockopt", 5),
    ("sendmsg", 3),
    ("recvmsg", 3),
    ("accept4", 4),
    ("recvmmsg", 5),
    ("sendmmsg", 4),
];

fn by_name(name: &str) -> Option<&'static Syscall> {
    SYSCALLS.iter().find(|call| call.name == name)
}

/// `socketcall`: a number, and the arguments as longs in memory.
pub(super) fn socketcall(t: &mut Thread, a: &Args) -> SysResult {
    let number = usize::try_from(a.int(0)).ok().and_then(|n| n.checked_sub(1)).ok_or(Errno::EINVAL)?;
    let (name, count) = *SOCKET_CALLS.get(number).ok_or(Errno::EINVAL)?;
    let values =
        t.with_struct(a.get(1), count * t.layout().long, |r| (0..count).map(|_| r.long()).collect::<Vec<_>>())?;
    let call = by_name(name).ok_or(Errno::ENOSYS)?;
    call.invoke(t, &Args::of(&values, false)).unwrap_or(Err(Errno::ENOSYS))
}

/// `ipc`: the call and a version, three numbers, a pointer, one more number.
pub(super) fn ipc(t: &mut Thread, a: &Args) -> SysResult {
    let (version, call) = (a.uint(0) >> 16, a.uint(0) & 0xffff);
    let (first, second, third, place, fifth) = (a.get(1), a.get(2), a.get(3), a.get(4), a.get(5));
    let run = |t: &mut Thread, handler: Handler, values: &[u64]| handler(t, &Args::of(values, false));
    let run_host = |t: &mut Thread, name: &str, values: &[u64]| {
        let call = by_name(name).ok_or(Errno::ENOSYS)?;
        call.invoke(t, &Args::of(values, false)).unwrap_or(Err(Errno::ENOSYS))
    };
    match call {
        1 => run(t, ipc::semop, &[first, place, second]),
        2 => run_host(t, "semget", &[first, second, third]),
        3 => {
            let union = t.read_long(place)?;
            run(t, ipc::semctl, &[first, second, third, union])
        }
        4 => run(t, ipc::semtimedop, &[first, place, second, fifth]),
        11 => run(t, ipc::msgsnd, &[first, place, second, third]),
        12 if version == 0 => {
            // `struct ipc_kludge`: the message and the type that is asked for.
            let (message, kind) = t.with_struct(place, 2 * t.layout().long, |r| (r.long(), r.slong()))?;
            run(t, ipc::msgrcv, &[first, message, second, kind as u64, third])
        }
        12 => run(t, ipc::msgrcv, &[first, place, second, fifth, third]),
        13 => run_host(t, "msgget", &[first, second]),
        14 => run(t, ipc::msgctl, &[first, second, place]),
        21 => {
            let address = run(t, ipc::shmat, &[first, place, second])?;
            t.write_long(third, address)?;
            Ok(0)
        }
        22 => run(t, ipc::shmdt, &[place]),
        23 => run_host(t, "shmget", &[first, second, third]),
        24 => run(t, ipc::shmctl, &[first, second, place]),
        _ => Err(Errno::ENOSYS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_socket_calls_are_known() {
        for (name, count) in SOCKET_CALLS {
            assert!(by_name(name).is_some_and(|call| call.kinds.len() == count), "{name}");
        }
    }
}
