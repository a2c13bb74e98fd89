//! Code while it is written, a few bytes at a time.

/// The code so far. What is appended is written as a word of fixed size, of which a part counts: a copy of as many bytes as an
/// instruction happens to have would take longer than all else that the assembler does.
#[derive(Debug, Default)]
pub(super) struct CodeBuffer {
    /// The code, and room behind it.
    bytes: Vec<u8>,
    len: usize,
}

/// Bytes to begin with: more than most blocks need.
const ROOM: usize = 512;

impl CodeBuffer {
    /// No code yet, in this memory.
    pub(super) fn new(memory: Vec<u8>) -> CodeBuffer {
        CodeBuffer { bytes: memory, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends the first `count` bytes.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, bytes: [u8; N], count: usize) {
        debug_assert!(count <= N);
        if self.bytes.len() < self.len + N {
            self.grow();
        }
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += count;
    }

    #[cold]
    fn grow(&mut self) {
        self.bytes.resize((2 * self.bytes.len()).max(ROOM), 0);
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.put([byte], 1);
    }

    /// Fills up to `len` bytes.
    pub(super) fn pad(&mut self, len: usize, byte: u8) {
        while self.len < len {
            self.push(byte);
        }
    }

    /// Replaces four bytes.
    pub(super) fn set(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// The code.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len);
        self.bytes
    }
}
