//! Makes ELF files for tests.

use crate::elf::{Class, Endian, Kind};

/// One program header.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) addr: u64,
    pub(crate) file_size: u64,
    pub(crate) mem_size: u64,
    pub(crate) align: u64,
}

/// A PT_LOAD header.
pub(crate) fn load(flags: u32, offset: u64, addr: u64, file_size: u64, mem_size: u64) -> Header {
    Header { kind: 1, flags, offset, addr, file_size, mem_size, align: 0x1000 }
}

/// A file to be.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    pub(crate) class: Class,
    pub(crate) endian: Endian,
    pub(crate) machine: u16,
    pub(crate) kind: Kind,
    pub(crate) flags: u32,
    pub(crate) entry: u64,
    pub(crate) headers: Vec<Header>,
    /// Bytes at offsets.
    pub(crate) content: Vec<(u64, Vec<u8>)>,
    /// The file's length.
    pub(crate) len: usize,
}

impl Maker {
    /// A RISC-V program with code at `base`, data and bss behind, and as many other headers as a real one has.
    pub(crate) fn sample(class: Class, endian: Endian, kind: Kind, base: u64) -> Maker {
        let interp = b"/lib/ld.so.1\0".to_vec();
        let arch = b"A\x1b\0\0\0riscv\0\x01\x11\0\0\0\x04\x10\x05rv64imac\0".to_vec();
        let extra = |kind, flags, offset, size| Header {
            kind,
            flags,
            offset,
            addr: base + offset,
            file_size: size,
            mem_size: size,
            align: 1,
        };
        Maker {
            class,
            endian,
            machine: 243,
            kind,
            flags: 5,
            entry: base + 0x400,
            headers: vec![
                extra(3, 4, 0x300, interp.len() as u64),
                load(5, 0, base, 0x1234, 0x1234),
                load(6, 0x1e00, base + 0x2e00, 0x300, 0x2345),
                extra(7, 4, 0x1e00, 0x20),
                extra(0x7000_0003, 4, 0x380, arch.len() as u64),
                Header { kind: 0x6474_e551, flags: 6, ..Header::default() },
            ],
            content: vec![(0x300, interp), (0x380, arch), (0x400, vec![0x73; 16]), (0x1e00, vec![0xda; 0x400])],
            len: 0x2200,
        }
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        match self.endian {
            Endian::Little => value.to_le_bytes()[..size].to_vec(),
            Endian::Big => value.to_be_bytes()[8 - size..].to_vec(),
        }
    }

    fn header_bytes(&self, h: &Header) -> Vec<u8> {
        let wide = self.class == Class::Elf64;
        let word = self.class.word() as usize;
        let mut out = self.number(h.kind.into(), 4);
        if wide {
            out.extend(self.number(h.flags.into(), 4));
        }
        for value in [h.offset, h.addr, h.addr, h.file_size, h.mem_size] {
            out.extend(self.number(value, word));
        }
        if !wide {
            out.extend(self.number(h.flags.into(), 4));
        }
        out.extend(self.number(h.align, word));
        out
    }

    /// The file.
    pub(crate) fn build(&self) -> Vec<u8> {
        let (wide, big) = (self.class == Class::Elf64, self.endian == Endian::Big);
        let (ehsize, phentsize, word) = if wide { (64, 56, 8) } else { (52, 32, 4) };
        let mut out = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1 + u8::from(big), 1];
        out.resize(16, 0);
        out.extend(self.number(if self.kind == Kind::Exec { 2 } else { 3 }, 2));
        out.extend(self.number(self.machine.into(), 2));
        out.extend(self.number(1, 4));
        [self.entry, ehsize, 0].iter().for_each(|v| out.extend(self.number(*v, word)));
        out.extend(self.number(self.flags.into(), 4));
        let counts = [ehsize, phentsize, self.headers.len() as u64, 0, 0, 0];
        counts.iter().for_each(|v| out.extend(self.number(*v, 2)));
        self.headers.iter().for_each(|h| out.extend(self.header_bytes(h)));
        out.resize(self.len.max(out.len()), 0);
        for (offset, bytes) in &self.content {
            out[*offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        out
    }
}

/// A MIPS o32 program with that floating-point ABI in its `.MIPS.abiflags`.
pub(crate) fn mips(fp_abi: u8) -> crate::elf::Image {
    let mut maker = Maker::sample(Class::Elf32, Endian::Big, Kind::Exec, 0x40_0000);
    (maker.machine, maker.flags) = (8, 0x7000_1000);
    let mut image = crate::elf::Image::parse(&maker.build()).expect("it is well formed");
    let mut flags = vec![0; 24];
    flags[7] = fp_abi;
    image.mips_abiflags = Some(flags);
    image
}
