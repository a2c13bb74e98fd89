//! Messages as guests of MIPS have them, made twice: in the guest's order and in the host's.

use super::*;
use crate::linux::abi::mips::{Kind, Mips};
use crate::linux::data::{Layout, Writer};
use emu_frontend_mips::{Config, Release};

const BIG: Layout = Layout { long: 4, big: true };
const LITTLE: Layout = Layout { long: 4, big: false };

fn guest(big_endian: bool) -> Mips {
    Mips { kind: Kind::O32, config: Config { big_endian, ..Config::new(Release::Mips32R2) } }
}

fn numbers(layout: Layout, numbers: &[u32]) -> Vec<u8> {
    Writer::new(layout).u32s(numbers).finish()
}

fn attribute(layout: Layout, kind: u16, payload: &[u8]) -> Vec<u8> {
    Writer::new(layout).u16(4 + payload.len() as u16).u16(kind).raw(payload).align(4).finish()
}

fn message(layout: Layout, kind: u16, flags: u16, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut w = Writer::new(layout);
    w.u32(16 + content.len() as u32).u16(kind).u16(flags).u32(0x0102_0304).u32(77).raw(&content).align(4).finish()
}

/// `RTM_NEWLINK` with a name, an MTU, statistics in 64 bits, and settings of IPv4 and IPv6.
fn link(layout: Layout) -> Vec<u8> {
    let head = Writer::new(layout).u8(0).u8(0).u16(772).u32(1).u32(0x1_0049).u32(0).finish();
    let statistics = Writer::new(layout).u64(0x0102_0304_0506_0708).u64(9).finish();
    let inet = attribute(layout, 2, &attribute(layout, 1, &numbers(layout, &[1, 2, 3])));
    let inet6 = attribute(layout, 10, &attribute(layout, 8, &[1]));
    let nested = 0x8000 | 26;
    message(
        layout,
        16,
        2,
        &[
            &head,
            &attribute(layout, 3, b"lo\0"),
            &attribute(layout, 4, &numbers(layout, &[65536])),
            &attribute(layout, 23, &statistics),
            &attribute(layout, nested, &[inet, inet6].concat()),
        ],
    )
}

/// `RTM_NEWROUTE` with two ways.
fn route(layout: Layout) -> Vec<u8> {
    let head = Writer::new(layout).raw(&[2, 24, 0, 0, 254, 3, 0, 1]).u32(0).finish();
    let hop = |interface: u32| {
        Writer::new(layout).u16(16).u8(0).u8(1).u32(interface).raw(&attribute(layout, 5, &[10, 0, 0, 1])).finish()
    };
    let hops = [hop(3), hop(4)].concat();
    let metrics = attribute(layout, 2, &numbers(layout, &[1400]));
    let (first, second) = (attribute(layout, 1, &[10, 0, 0, 0]), attribute(layout, 9, &hops));
    message(layout, 24, 2, &[&head, &first, &second, &attribute(layout, 8, &metrics)])
}

/// `NLMSG_ERROR` about a message, with what its number is.
fn error(layout: Layout, number: i32, about: &[u8], more: &[u8]) -> Vec<u8> {
    let flags = if more.is_empty() { 0 } else { EXPLAINED };
    message(layout, NLMSG_ERROR, flags, &[&numbers(layout, &[number as u32]), about, more])
}

#[test]
fn messages_are_turned_round_both_ways() {
    let abi = guest(true);
    let make = |layout: Layout| [link(layout), route(layout), message(layout, 3, 2, &[&[0; 4]])].concat();
    let mut bytes = make(LITTLE);
    convert(&abi, libc::NETLINK_ROUTE, &mut bytes, Way::ToGuest);
    assert_eq!(bytes, make(BIG));
    convert(&abi, libc::NETLINK_ROUTE, &mut bytes, Way::ToHost);
    assert_eq!(bytes, make(LITTLE));
    convert(&guest(false), libc::NETLINK_ROUTE, &mut bytes, Way::ToGuest);
    assert_eq!(bytes, make(LITTLE));
}

#[test]
fn errors_have_the_guests_numbers() {
    let explained = |layout| [attribute(layout, 1, b"no\0"), attribute(layout, 2, &numbers(layout, &[20]))].concat();
    for (layout, big) in [(LITTLE, false), (BIG, true)] {
        for more in [false, true] {
            let more = |layout| if more { explained(layout) } else { Vec::new() };
            let mut bytes = error(LITTLE, -libc::EOPNOTSUPP, &link(LITTLE), &more(LITTLE));
            convert(&guest(big), libc::NETLINK_ROUTE, &mut bytes, Way::ToGuest);
            assert_eq!(bytes, error(layout, -122, &link(layout), &more(layout)));
        }
    }
}

#[test]
fn sockets_have_the_guests_types() {
    let answer = |kind: u8| message(LITTLE, 20, 2, &[&[libc::AF_UNIX as u8, kind, 1, 0, 9, 0, 0, 0]]);
    let mut bytes = answer(libc::SOCK_STREAM as u8);
    convert(&guest(false), libc::NETLINK_SOCK_DIAG, &mut bytes, Way::ToGuest);
    assert_eq!(bytes, answer(2));
}

#[test]
fn what_is_cut_off_or_nonsense_is_taken() {
    let whole = link(LITTLE);
    for abi in [guest(true), guest(false)] {
        for way in [Way::ToHost, Way::ToGuest] {
            for end in 0..whole.len() {
                convert(&abi, libc::NETLINK_ROUTE, &mut whole[..end].to_vec(), way);
            }
            // Lengths of nothing and of more than there is, everywhere.
            for at in 0..whole.len() {
                for byte in [0, 1, 0x7f, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[at] = byte;
                    convert(&abi, libc::NETLINK_ROUTE, &mut bytes, way);
                }
            }
        }
    }
}
