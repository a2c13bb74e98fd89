//! Where the messages of the route family have numbers (`linux/rtnetlink.h`, `if_link.h`, `if_addr.h`, `neighbour.h`, `fib_rules.h`).

/// What an attribute holds.
#[derive(Clone, Copy)]
pub(super) enum Payload {
    /// Text, an address, single bytes, numbers in the network's order; what is not known.
    Bytes,
    /// One number of this width, or several.
    Numbers(usize),
    /// A structure of members of these widths.
    Struct(&'static [u8]),
    /// Attributes.
    Nested(Attributes),
    /// Records of `struct rtnexthop`.
    Hops,
}

use Payload::{Bytes, Hops, Nested, Numbers, Struct};

/// What each type of attribute holds.
pub(super) type Attributes = fn(u16) -> Payload;

/// The structure at the beginning of a message of this type, and its attributes.
pub(super) fn of_message(kind: u16) -> Option<(&'static [u8], Attributes)> {
    const FIRST: u16 = 16;
    // For each object there are messages of four kinds: a new one, one less, a question, a change.
    Some(match kind.checked_sub(FIRST)? / 4 {
        0 => (&[1, 1, 2, 4, 4, 4], link),
        1 => (&[1, 1, 1, 1, 4], address),
        2 => (&[1, 1, 1, 1, 1, 1, 1, 1, 4], route),
        3 => (&[1, 1, 2, 4, 2, 1, 1], neighbour),
        4 => (&[1, 1, 1, 1, 1, 1, 1, 1, 4], rule),
        // Queues, classes and filters: their options are the kinds' own.
        5..=7 => (&[1, 1, 2, 4, 4, 4, 4], traffic),
        // Numbers of namespaces.
        18 => (&[1], numbers),
        _ => return None,
    })
}

/// `NLMSGERR_ATTR_*`: a text and where in the message the mistake is.
pub(super) fn of_error(kind: u16) -> Payload {
    if kind == 2 { Numbers(4) } else { Bytes }
}

fn numbers(_: u16) -> Payload {
    Numbers(4)
}

fn nothing(_: u16) -> Payload {
    Bytes
}

/// `IFLA_*`.
fn link(kind: u16) -> Payload {
    match kind {
        // MTU, link, statistics, cost, priority, master.
        4 | 5 | 7 | 8..=10 => Numbers(4),
        13 | 15 => Numbers(4),
        14 => Struct(&[8, 8, 8, 2, 1, 1]),
        // Its kind, whose data are its own.
        18 => Nested(nothing),
        // A namespace by process, numbers of functions.
        19 | 21 => Numbers(4),
        23 => Numbers(8),
        26 => Nested(family_of_link),
        27..=32 | 35 | 37 | 40 | 41 | 44..=51 | 58..=61 | 63 | 64 => Numbers(4),
        43 => Nested(program_of_link),
        52 => Nested(nothing),
        55 => Nested(numbers),
        66 => Numbers(8),
        _ => Bytes,
    }
}

/// `IFLA_XDP_*`.
fn program_of_link(kind: u16) -> Payload {
    if kind == 2 { Bytes } else { Numbers(4) }
}

/// `IFLA_AF_SPEC`: the type is the address family.
fn family_of_link(family: u16) -> Payload {
    match i32::from(family) {
        libc::AF_INET => Nested(numbers),
        libc::AF_INET6 => Nested(inet6_of_link),
        _ => Bytes,
    }
}

/// `IFLA_INET6_*`.
fn inet6_of_link(kind: u16) -> Payload {
    match kind {
        1 | 2 | 5 | 9 => Numbers(4),
        3 | 4 | 6 => Numbers(8),
        _ => Bytes,
    }
}

/// `IFA_*`.
fn address(kind: u16) -> Payload {
    match kind {
        // Times, flags, priority, namespace.
        6 | 8..=10 => Numbers(4),
        _ => Bytes,
    }
}

/// `RTA_*`.
pub(super) fn route(kind: u16) -> Payload {
    match kind {
        // Interfaces, priority, realm, times, table, mark, user, next hop.
        3 | 4 | 6 | 11 | 12 | 15 | 16 | 23 | 25 | 30 => Numbers(4),
        8 => Nested(metric),
        9 => Hops,
        17 => Numbers(8),
        // A family in front of an address; the kind of an encapsulation.
        18 | 21 => Struct(&[2]),
        _ => Bytes,
    }
}

/// `RTAX_*`: numbers but for a name.
fn metric(kind: u16) -> Payload {
    if kind == 16 { Bytes } else { Numbers(4) }
}

/// `NDA_*`.
fn neighbour(kind: u16) -> Payload {
    match kind {
        3 | 4 | 7..=10 | 13 | 15 => Numbers(4),
        5 => Numbers(2),
        _ => Bytes,
    }
}

/// `FRA_*`.
fn rule(kind: u16) -> Payload {
    match kind {
        4 | 6 | 10 | 11 | 13..=16 | 20 => Numbers(4),
        23 | 24 => Numbers(2),
        _ => Bytes,
    }
}

/// `TCA_*`: statistics, of which the second kind is nested.
fn traffic(kind: u16) -> Payload {
    match kind {
        7 => Nested(statistics),
        13..=15 => Numbers(4),
        _ => Bytes,
    }
}

/// `TCA_STATS_*`.
fn statistics(kind: u16) -> Payload {
    match kind {
        // Bytes in 64 bits, packets.
        1 | 7 => Struct(&[8, 4]),
        // Estimates, lengths of queues.
        2 | 3 => Numbers(4),
        5 | 8 => Numbers(8),
        _ => Bytes,
    }
}
