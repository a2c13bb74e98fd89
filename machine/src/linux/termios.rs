//! `struct termios`: the host's and the guest's, which may order and number its members another way.

use super::data::{Layout, Reader, Writer};
use super::fs::HOST;

/// Control characters of the host's structure.
const HOST_CHARS: usize = 19;

/// How a guest has `struct termios` and `termios2`: four words of flags, the line discipline, control characters, and
/// in `termios2` two speeds.
#[derive(Debug)]
pub struct Termios {
    /// Control characters.
    pub chars: usize,
    /// Where the host's control character `i` is.
    pub places: [u8; HOST_CHARS],
    /// Local flags with another number: the host's, and the guest's.
    pub local: &'static [(u32, u32)],
}

/// As `asm-generic/termbits.h` has it, and the host.
pub const GENERIC: Termios = Termios {
    chars: HOST_CHARS,
    places: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18],
    local: &[],
};

/// Exchanges flags that are numbered another way; `pairs` are (from, to).
fn renumber(flags: u32, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> u32 {
    let moved = pairs.clone().fold(0, |all, (from, _)| all | from);
    pairs.filter(|(from, _)| flags & from != 0).fold(flags & !moved, |all, (_, to)| all | to)
}

impl Termios {
    /// Bytes of the host's structure.
    pub fn host_size(speeds: bool) -> usize {
        GENERIC.size(speeds)
    }

    /// Bytes of the guest's structure.
    pub fn size(&self, speeds: bool) -> usize {
        (17 + self.chars).next_multiple_of(4) + if speeds { 8 } else { 0 }
    }

    /// The host's structure as the guest's.
    pub fn to_guest(&self, layout: Layout, host: &[u8], speeds: bool) -> Vec<u8> {
        let (mut r, mut w) = (Reader::new(HOST, host), Writer::new(layout));
        w.u32s(&[r.u32(), r.u32(), r.u32()]);
        w.u32(renumber(r.u32(), self.local.iter().copied())).u8(r.u8());
        let mut chars = vec![0; self.chars];
        for place in self.places {
            chars[usize::from(place)] = r.u8();
        }
        w.raw(&chars).align(4);
        if speeds {
            w.u32s(&[r.u32(), r.u32()]);
        }
        w.finish()
    }

    /// The guest's structure as the host's.
    pub fn to_host(&self, layout: Layout, guest: &[u8], speeds: bool) -> Vec<u8> {
        let (mut r, mut w) = (Reader::new(layout, guest), Writer::new(HOST));
        w.u32s(&[r.u32(), r.u32(), r.u32()]);
        w.u32(renumber(r.u32(), self.local.iter().map(|(host, guest)| (*guest, *host)))).u8(r.u8());
        let chars: Vec<u8> = (0..self.chars).map(|_| r.u8()).collect();
        w.raw(&self.places.map(|place| chars[usize::from(place)])).align(4);
        if speeds {
            w.u32s(&[r.u32(), r.u32()]);
        }
        w.finish()
    }

    /// Bytes that the kernel reads and writes of `struct termio`: halves of the four words, the line discipline, and the
    /// first 8 control characters.
    pub const OLD_SIZE: usize = 17;

    /// The guest's `struct termio`, of the host's `struct termios`.
    pub fn to_old(&self, layout: Layout, host: &[u8]) -> Vec<u8> {
        let guest = self.to_guest(layout, host, false);
        let (mut r, mut w) = (Reader::new(layout, &guest), Writer::new(layout));
        for _ in 0..4 {
            w.u16(r.u32() as u16);
        }
        w.raw(&guest[16..25]).finish()
    }

    /// The host's `struct termios` with what the guest's `struct termio` says.
    pub fn with_old(&self, layout: Layout, host: &[u8], old: &[u8]) -> Vec<u8> {
        let mut guest = self.to_guest(layout, host, false);
        let (mut low, mut r, mut w) = (Reader::new(layout, old), Reader::new(layout, &guest), Writer::new(layout));
        for _ in 0..4 {
            w.u32(r.u32() & 0xffff_0000 | u32::from(low.u16()));
        }
        let start = w.raw(&old[8..Self::OLD_SIZE]).finish();
        guest[..start.len()].copy_from_slice(&start);
        self.to_host(layout, &guest, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_stays_as_it_is() {
        let bytes: Vec<u8> = (1..=44).collect();
        assert_eq!((Termios::host_size(false), Termios::host_size(true)), (36, 44));
        assert_eq!(GENERIC.to_guest(HOST, &bytes, true), bytes);
        assert_eq!(GENERIC.to_host(HOST, &bytes[..36], false), bytes[..36]);
        let old = GENERIC.to_old(HOST, &bytes[..36]);
        assert_eq!(old, [1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
        assert_eq!(GENERIC.with_old(HOST, &bytes[..36], &old), bytes[..36]);
        let changed = GENERIC.with_old(HOST, &bytes[..36], &[0; Termios::OLD_SIZE]);
        assert_eq!(changed[..5], [0, 0, 3, 4, 0]);
        assert_eq!(changed[16..], [&[0; 9], &bytes[25..36]].concat());
    }
}
