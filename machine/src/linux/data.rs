//! C structures as guests lay them out: natural alignment, the guest's pointer width and byte order.

/// What determines a guest's layout of a C structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of `long` and of a pointer: 4 or 8.
    pub long: usize,
    /// Big endian?
    pub big: bool,
}

/// Writes the members of a structure one after the other, each at its natural alignment.
#[derive(Debug)]
pub struct Writer {
    layout: Layout,
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty structure.
    pub fn new(layout: Layout) -> Self {
        Writer { layout, bytes: Vec::with_capacity(128) }
    }

    /// Pads with zeros to a multiple of `n`.
    pub fn align(&mut self, n: usize) -> &mut Self {
        let len = self.bytes.len().next_multiple_of(n);
        self.bytes.resize(len, 0);
        self
    }

    /// Pads with zeros up to offset `n`.
    pub fn pad_to(&mut self, n: usize) -> &mut Self {
        if self.bytes.len() < n {
            self.bytes.resize(n, 0);
        }
        self
    }

    fn number(&mut self, value: u64, width: usize) -> &mut Self {
        self.align(width);
        let at = self.bytes.len();
        self.bytes.resize(at + width, 0);
        put(&mut self.bytes[at..], value, self.layout.big);
        self
    }

    /// One byte.
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.number(v.into(), 1)
    }
    /// Two bytes.
    pub fn u16(&mut self, v: u16) -> &mut Self {
        self.number(v.into(), 2)
    }
    /// Four bytes.
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.number(v.into(), 4)
    }
    /// Four bytes.
    pub fn i32(&mut self, v: i32) -> &mut Self {
        self.number(v as u32 as u64, 4)
    }
    /// Eight bytes.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.number(v, 8)
    }
    /// Eight bytes.
    pub fn i64(&mut self, v: i64) -> &mut Self {
        self.number(v as u64, 8)
    }
    /// A `long` or a pointer; a 32-bit guest's gets the low half.
    pub fn long(&mut self, v: u64) -> &mut Self {
        self.number(v, self.layout.long)
    }
    /// Several of four bytes.
    pub fn u32s(&mut self, values: &[u32]) -> &mut Self {
        values.iter().fold(self, |w, &v| w.u32(v))
    }
    /// Several of eight bytes.
    pub fn u64s(&mut self, values: &[u64]) -> &mut Self {
        values.iter().fold(self, |w, &v| w.u64(v))
    }
    /// Several longs.
    pub fn longs(&mut self, values: &[u64]) -> &mut Self {
        values.iter().fold(self, |w, &v| w.long(v))
    }
    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }
    /// The structure.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
    /// Its length so far.
    pub fn position(&self) -> usize {
        self.bytes.len()
    }
}

/// Reads the members of a structure one after the other; beyond the end they are zero.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    layout: Layout,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    pub fn new(layout: Layout, bytes: &'a [u8]) -> Self {
        Reader { layout, bytes, at: 0 }
    }

    /// Goes on at a multiple of `n`.
    pub fn align(&mut self, n: usize) -> &mut Self {
        self.at = self.at.next_multiple_of(n);
        self
    }

    /// Goes on at offset `n`.
    pub fn seek(&mut self, n: usize) -> &mut Self {
        self.at = n;
        self
    }

    fn number(&mut self, width: usize) -> u64 {
        self.align(width);
        let value = self.bytes.get(self.at..self.at + width).map_or(0, |b| get(b, self.layout.big));
        self.at += width;
        value
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.number(1) as u8
    }
    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        self.number(2) as u16
    }
    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        self.number(4) as u32
    }
    /// Four bytes.
    pub fn i32(&mut self) -> i32 {
        self.number(4) as i32
    }
    /// Eight bytes.
    pub fn u64(&mut self) -> u64 {
        self.number(8)
    }
    /// Eight bytes.
    pub fn i64(&mut self) -> i64 {
        self.number(8) as i64
    }
    /// An `unsigned long` or a pointer.
    pub fn long(&mut self) -> u64 {
        self.number(self.layout.long)
    }
    /// A `long`, sign-extended.
    pub fn slong(&mut self) -> i64 {
        let v = self.long();
        if self.layout.long == 4 { i64::from(v as i32) } else { v as i64 }
    }
    /// Where the next member would be looked for.
    pub fn position(&self) -> usize {
        self.at
    }
}

/// Stores a number that fills `bytes`.
pub fn put(bytes: &mut [u8], value: u64, big: bool) {
    let width = bytes.len();
    if big {
        bytes.copy_from_slice(&value.to_be_bytes()[8 - width..]);
    } else {
        bytes.copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

/// Reads a number that fills `bytes` (at most eight).
pub fn get(bytes: &[u8], big: bool) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_aligned_as_in_c() {
        let layout = Layout { long: 4, big: false };
        let bytes = Writer::new(layout).u8(1).u16(2).long(3).u64(4).finish();
        assert_eq!(bytes, [1, 0, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
        let mut r = Reader::new(layout, &bytes);
        assert_eq!((r.u8(), r.u16(), r.long(), r.u64(), r.u32()), (1, 2, 3, 4, 0));
    }

    #[test]
    fn big_endian() {
        let layout = Layout { long: 8, big: true };
        let bytes = Writer::new(layout).i32(-2).long(1).finish();
        assert_eq!(bytes, [255, 255, 255, 254, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(Reader::new(layout, &bytes).i32(), -2);
    }
}
