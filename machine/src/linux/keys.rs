//! The kernel's keys. Their payloads are bytes, but for a keyring's, which are ids.
#![forbid(unsafe_code)]

use super::errno::Errno;
use super::host::{self, Arg};
use super::mounts::optional;
use super::table::{Args, SysResult, text};
use super::thread::Thread;

/// The longest payload that is passed on (the kernel's own limit).
const PAYLOAD: u64 = (1 << 20) - 1;

fn payload(t: &Thread, addr: u64, len: u64) -> Arg<'static> {
    if addr == 0 { Arg::NULL } else { t.source(addr, len) }
}

/// `add_key`: type, description, payload and its length, keyring.
pub(super) fn add_key(t: &mut Thread, a: &Args) -> SysResult {
    let (kind, description) = (t.read_text(a.get(0)), t.optional_text(a.get(1)));
    let data = payload(t, a.get(2), a.get(3));
    let args = [text(kind.as_deref()), optional(&description), data, a.get(3).into(), a.int(4).into()];
    host::call(libc::SYS_add_key, &args)
}

/// `request_key`: type, description, information for the program that makes keys, keyring.
pub(super) fn request_key(t: &mut Thread, a: &Args) -> SysResult {
    let (kind, description, more) = (t.read_text(a.get(0)), t.read_text(a.get(1)), t.optional_text(a.get(2)));
    let args = [text(kind.as_deref()), text(description.as_deref()), optional(&more), a.int(3).into()];
    host::blocking(libc::SYS_request_key, &args)
}

/// An argument of a `keyctl` operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// A string or null.
    Text,
    /// Bytes that the kernel reads; their number is the next argument.
    In,
    /// Bytes that the kernel writes; their number is the next argument.
    Out,
}

use Kind::{In, Number, Out, Text};

/// Operations by number. Those for asymmetric keys and Diffie-Hellman, with structures of their own, are not among them.
#[rustfmt::skip]
const OPERATIONS: &[(i32, &[Kind])] = &[
    (0, &[Number, Number]),             // GET_KEYRING_ID
    (1, &[Text]),                       // JOIN_SESSION_KEYRING
    (2, &[Number, In, Number]),         // UPDATE
    (3, &[Number]),                     // REVOKE
    (4, &[Number, Number, Number]),     // CHOWN
    (5, &[Number, Number]),             // SETPERM
    (6, &[Number, Out, Number]),        // DESCRIBE
    (7, &[Number]),                     // CLEAR
    (8, &[Number, Number]),             // LINK
    (9, &[Number, Number]),             // UNLINK
    (10, &[Number, Text, Text, Number]), // SEARCH
    (READ, &[Number, Out, Number]),
    (12, &[Number, In, Number, Number]), // INSTANTIATE
    (13, &[Number, Number, Number]),    // NEGATE
    (14, &[Number]),                    // SET_REQKEY_KEYRING
    (15, &[Number, Number]),            // SET_TIMEOUT
    (16, &[Number]),                    // ASSUME_AUTHORITY
    (17, &[Number, Out, Number]),       // GET_SECURITY
    (18, &[]),                          // SESSION_TO_PARENT
    (19, &[Number, Number, Number, Number]), // REJECT
    (21, &[Number]),                    // INVALIDATE
    (22, &[Number, Number]),            // GET_PERSISTENT
    (29, &[Number, Text, Text]),        // RESTRICT_KEYRING
    (30, &[Number, Number, Number, Number]), // MOVE
    (31, &[Out, Number]),               // CAPABILITIES
];
const DESCRIBE: i32 = 6;
const READ: i32 = 11;
const INSTANTIATE_IOV: i32 = 20;

/// `keyctl`.
pub(super) fn keyctl(t: &mut Thread, a: &Args) -> SysResult {
    let operation = a.int(0);
    if operation == INSTANTIATE_IOV {
        return instantiate(t, a);
    }
    let Some((_, kinds)) = OPERATIONS.iter().find(|(number, _)| *number == operation) else {
        return Err(Errno::EOPNOTSUPP);
    };
    let strings: Vec<_> = (0..kinds.len()).map(|i| (kinds[i] == Text).then(|| t.optional_text(a.get(i + 1)))).collect();
    let mut args = vec![operation.into()];
    for (i, kind) in kinds.iter().enumerate() {
        let (value, next) = (a.get(i + 1), u64::from(a.uint(i + 2)));
        args.push(match kind {
            // Ids are signed 32-bit numbers.
            Number => a.int(i + 1).into(),
            Text => strings[i].as_ref().map_or(Arg::NULL, optional),
            In => payload(t, value, next.min(PAYLOAD + 1)),
            Out if value == 0 => Arg::NULL,
            Out => t.target(value, next),
        });
    }
    let result = host::call(libc::SYS_keyctl, &args)?;
    if operation == READ && t.layout().big && is_keyring(a.int(1)) {
        let len = result.min(u64::from(a.uint(3))) as usize & !3;
        let mut ids = t.read(a.get(2), len)?;
        ids.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        t.write(a.get(2), &ids)?;
    }
    Ok(result)
}

/// `KEYCTL_INSTANTIATE_IOV`: key, pieces of the payload, keyring.
fn instantiate(t: &Thread, a: &Args) -> SysResult {
    let list = t.iovec(a.get(2), u64::from(a.uint(3)), false)?;
    let args = [a.int(0).into(), a.int(1).into(), Arg::slice(&list), list.len().into(), a.int(4).into()];
    host::call(libc::SYS_keyctl, &args)
}

fn is_keyring(id: i32) -> bool {
    let mut description = [0u8; 8];
    let args = [DESCRIBE.into(), id.into(), Arg::NULL, 0.into()];
    let Ok(len) = host::call(libc::SYS_keyctl, &args) else { return false };
    let mut whole = vec![0; len as usize];
    let args = [DESCRIBE.into(), id.into(), Arg::output(&mut whole), len.into()];
    if host::call(libc::SYS_keyctl, &args).is_ok() {
        let count = whole.len().min(description.len());
        description[..count].copy_from_slice(&whole[..count]);
    }
    &description == b"keyring;"
}
