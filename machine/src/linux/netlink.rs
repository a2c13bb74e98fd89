//! Netlink: messages between the host's form and a guest's whose error numbers or byte order are others.
//!
//! A little-endian guest needs its error numbers only, and its types of sockets. For a big-endian one the numbers in the messages of the route family are
//! turned round ([`attributes`] says where there are any); other families are refused (`net::socket`), but for events of devices,
//! which are text.

mod attributes;

use super::abi::Abi;
use super::errno::Errno;
use super::host::{self, Arg};
use super::thread::Thread;
use attributes::{Attributes, Payload};

/// `struct nlmsghdr`: length, type, flags, sequence number, port.
const HEADER: [u8; 5] = [4, 2, 2, 4, 4];
const HEADER_SIZE: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// A socket of the family that is in the first byte.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_CAPPED`: the message that the error is about is not repeated but for its header.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow.
const EXPLAINED: u16 = 0x200;
/// `struct nlattr`: length and type, of which the two highest bits are flags.
const ATTRIBUTE: usize = 4;
const TYPE: u16 = 0x3fff;

/// More than a socket's buffer holds.
const LONGEST: u64 = 1 << 24;

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToHost,
    ToGuest,
}

/// May a guest have sockets of this protocol?
pub(super) fn is_translated(abi: &dyn Abi, protocol: i32) -> bool {
    !abi.layout().big || matches!(protocol, libc::NETLINK_ROUTE | libc::NETLINK_KOBJECT_UEVENT)
}

/// The protocol of a netlink socket whose messages have to be changed for the guest.
fn changed_protocol(t: &Thread, fd: i32) -> Option<i32> {
    let option = |name: i32| {
        let (mut value, mut len) = (0i32, 4u32);
        let place = (Arg::from_mut(&mut value), Arg::from_mut(&mut len));
        let args = [fd.into(), libc::SOL_SOCKET.into(), name.into(), place.0, place.1];
        host::call(libc::SYS_getsockopt, &args).ok().map(|_| value)
    };
    if !t.process.abi.translates_descriptors() || option(libc::SO_DOMAIN)? != libc::AF_NETLINK {
        return None;
    }
    option(libc::SO_PROTOCOL).filter(|&protocol| protocol != libc::NETLINK_KOBJECT_UEVENT)
}

/// Addresses and lengths in a guest's memory, which are asked for if they are needed.
type Parts = Result<Vec<[u64; 2]>, Errno>;

/// What a guest wants to send, from these parts of its memory, if it has to be changed.
pub(super) fn to_send(t: &Thread, fd: i32, parts: impl FnOnce() -> Parts) -> Result<Option<Vec<u8>>, Errno> {
    if !t.layout().big {
        return Ok(None);
    }
    let Some(protocol) = changed_protocol(t, fd) else { return Ok(None) };
    let mut bytes = gather(t, &parts()?, LONGEST)?;
    convert(&*t.process.abi, protocol, &mut bytes, Way::ToHost);
    Ok(Some(bytes))
}

/// Changes what has come from a socket into these parts of a guest's memory.
pub(super) fn received(t: &Thread, fd: i32, len: u64, parts: impl FnOnce() -> Parts) -> Result<(), Errno> {
    let Some(protocol) = changed_protocol(t, fd) else { return Ok(()) };
    let parts = parts()?;
    let mut bytes = gather(t, &parts, len)?;
    convert(&*t.process.abi, protocol, &mut bytes, Way::ToGuest);
    let mut rest = &bytes[..];
    for [at, size] in parts {
        let (part, others) = rest.split_at((size as usize).min(rest.len()));
        t.write(at, part)?;
        rest = others;
    }
    Ok(())
}

/// The first `len` bytes of parts of a guest's memory.
fn gather(t: &Thread, parts: &[[u64; 2]], len: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    for &[at, size] in parts {
        let left = len - bytes.len() as u64;
        bytes.extend(t.read(at, size.min(left) as usize)?);
    }
    Ok(bytes)
}

/// Changes messages in place, as many as there are whole ones and the beginning of a last one that was cut off.
fn convert(abi: &dyn Abi, protocol: i32, bytes: &mut [u8], way: Way) {
    Converter { abi, protocol, way, big: abi.layout().big }.messages(bytes);
}

/// Reverses members of these widths, up to where the bytes end in the midst of one.
fn reverse(bytes: &mut [u8], widths: &[u8]) {
    let mut at = 0;
    for &width in widths {
        let width = usize::from(width);
        let Some(member) = bytes.get_mut(at..at + width) else { return };
        member.reverse();
        at += width;
    }
}

struct Converter<'a> {
    abi: &'a dyn Abi,
    protocol: i32,
    way: Way,
    big: bool,
}

impl Converter<'_> {
    /// Turns the first `N` bytes round, members of these widths, and returns them as the host has them.
    fn head<const N: usize>(&self, bytes: &mut [u8], widths: &[u8]) -> [u8; N] {
        let mut copy = [0; N];
        copy.copy_from_slice(&bytes[..N]);
        if self.big {
            reverse(bytes, widths);
            if self.way == Way::ToHost {
                copy.copy_from_slice(&bytes[..N]);
            }
        }
        copy
    }

    fn messages(&self, mut rest: &mut [u8]) {
        while rest.len() >= HEADER_SIZE {
            let len = self.message(rest).next_multiple_of(4).min(rest.len());
            rest = &mut rest[len..];
        }
    }

    /// The message at the beginning of the bytes; its length.
    fn message(&self, bytes: &mut [u8]) -> usize {
        let head: [u8; HEADER_SIZE] = self.head(bytes, &HEADER);
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let (kind, flags) = (u16::from_le_bytes([head[4], head[5]]), u16::from_le_bytes([head[6], head[7]]));
        let end = len.clamp(HEADER_SIZE, bytes.len());
        let content = &mut bytes[HEADER_SIZE..end];
        match kind {
            NLMSG_ERROR | NLMSG_DONE => self.error(content, kind, flags),
            SOCK_DIAG_BY_FAMILY if self.protocol == libc::NETLINK_SOCK_DIAG => self.socket(content),
            _ if self.big => {
                if let Some((head, list)) = attributes::of_message(kind) {
                    let size = head.iter().map(|&width| usize::from(width)).sum::<usize>().next_multiple_of(4);
                    reverse(content, head);
                    self.attributes(content.get_mut(size..).unwrap_or_default(), list);
                }
            }
            _ => {}
        }
        end
    }

    /// What `ss` is told of a socket: the second byte is its type in some families' answers.
    fn socket(&self, content: &mut [u8]) {
        if let (Way::ToGuest, [family, kind, ..]) = (self.way, content)
            && [libc::AF_UNIX, libc::AF_NETLINK].contains(&i32::from(*family))
        {
            *kind = self.abi.socket_type_to_guest(i32::from(*kind)) as u8;
        }
    }

    /// A number, for an error the message that it is about or its header, and attributes that say more.
    fn error(&self, content: &mut [u8], kind: u16, flags: u16) {
        let Some(word) = content.first_chunk_mut() else { return };
        let error = i32::from_le_bytes(*word);
        match self.way {
            Way::ToGuest if error < 0 => {
                let error = self.abi.errno_to_guest(Errno(error.wrapping_neg())).wrapping_neg();
                *word = if self.big { error.to_be_bytes() } else { error.to_le_bytes() };
            }
            _ if self.big => word.reverse(),
            _ => {}
        }
        let mut rest = &mut content[4..];
        if self.big && kind == NLMSG_ERROR && rest.len() >= HEADER_SIZE {
            let (cause, about) = if flags & CAPPED != 0 { rest.split_at_mut(HEADER_SIZE) } else { (rest, &mut [][..]) };
            let len = self.message(cause).next_multiple_of(4).min(cause.len());
            rest = if about.is_empty() { &mut cause[len..] } else { about };
        }
        if self.big && flags & EXPLAINED != 0 {
            self.attributes(rest, attributes::of_error);
        }
    }

    fn attributes(&self, mut rest: &mut [u8], list: Attributes) {
        while rest.len() >= ATTRIBUTE {
            let head: [u8; ATTRIBUTE] = self.head(rest, &[2, 2]);
            let len = usize::from(u16::from_le_bytes([head[0], head[1]])).max(ATTRIBUTE);
            let kind = u16::from_le_bytes([head[2], head[3]]) & TYPE;
            let end = len.min(rest.len());
            self.payload(&mut rest[ATTRIBUTE..end], list(kind));
            let next = len.next_multiple_of(4).min(rest.len());
            rest = &mut rest[next..];
        }
    }

    fn payload(&self, bytes: &mut [u8], payload: Payload) {
        match payload {
            Payload::Bytes => {}
            Payload::Numbers(width) => bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse),
            Payload::Struct(widths) => reverse(bytes, widths),
            Payload::Nested(list) => self.attributes(bytes, list),
            Payload::Hops => self.hops(bytes),
        }
    }

    /// Records of `struct rtnexthop` (length, flags, hops, interface), each with attributes of a route after it.
    fn hops(&self, mut rest: &mut [u8]) {
        const HOP: usize = 8;
        while rest.len() >= HOP {
            let head: [u8; HOP] = self.head(rest, &[2, 1, 1, 4]);
            let end = usize::from(u16::from_le_bytes([head[0], head[1]])).clamp(HOP, rest.len());
            self.attributes(&mut rest[HOP..end], attributes::route);
            let next = end.next_multiple_of(4).min(rest.len());
            rest = &mut rest[next..];
        }
    }
}

#[cfg(test)]
mod tests;
