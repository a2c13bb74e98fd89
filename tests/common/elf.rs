//! Static executables made of pieces of memory.

use super::program::DATA;

/// What an ELF header says of the machine.
#[derive(Clone, Copy)]
pub struct Target {
    /// 64 bits?
    pub wide: bool,
    /// Big endian?
    pub big: bool,
    /// `e_machine`.
    pub machine: u16,
    /// `e_flags`.
    pub flags: u32,
}

/// The file, entered at `entry`. Pieces below the data are code.
pub fn executable(target: Target, entry: u64, pieces: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let Target { wide, big, machine, flags } = target;
    let (header, segment) = if wide { (64, 56) } else { (52, 32) };
    let mut out = Writer { out: vec![0x7f, b'E', b'L', b'F'], wide, big };
    out.out.extend([1 + u8::from(wide), 1 + u8::from(big), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    [2, machine.into()].into_iter().for_each(|half| out.number(half, 2)); // ET_EXEC
    out.number(1, 4);
    [entry, header, 0].into_iter().for_each(|word| out.word(word));
    out.number(flags.into(), 4);
    [header, segment, pieces.len() as u64, 0, 0, 0].into_iter().for_each(|half| out.number(half, 2));
    let mut offset = 0x1000;
    for (at, bytes) in pieces {
        let (rights, len) = (if *at < DATA.start { 5 } else { 6 }, bytes.len() as u64);
        out.number(1, 4); // PT_LOAD
        if wide {
            out.number(rights, 4);
        }
        [offset, *at, *at, len, len].into_iter().for_each(|word| out.word(word));
        if !wide {
            out.number(rights, 4);
        }
        out.word(0x1000);
        offset += len.next_multiple_of(0x1000);
    }
    let mut out = out.out;
    for (_, bytes) in pieces {
        out.resize(out.len().next_multiple_of(0x1000), 0);
        out.extend_from_slice(bytes);
    }
    out
}

/// Numbers in the machine's order.
pub struct Writer {
    pub out: Vec<u8>,
    pub wide: bool,
    pub big: bool,
}

impl Writer {
    pub fn number(&mut self, value: u64, len: usize) {
        let bytes = value.to_le_bytes();
        if self.big {
            self.out.extend(bytes[..len].iter().rev());
        } else {
            self.out.extend(&bytes[..len]);
        }
    }

    /// An address.
    pub fn word(&mut self, value: u64) {
        self.number(value, if self.wide { 8 } else { 4 });
    }
}
