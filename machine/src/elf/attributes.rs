//! The RISC-V attributes section (RISC-V ELF psABI, "Attributes").

/// The tag of the ISA string.
const TAG_ARCH: u64 = 5;
/// The tag of a list of attributes that hold for the whole file.
const TAG_FILE: u64 = 1;

/// The ISA string of a `.riscv.attributes` section; `None` if there is none or the section is damaged.
pub(super) fn riscv_arch(section: &[u8]) -> Option<String> {
    let mut vendors = Bytes(section.strip_prefix(b"A")?);
    while !vendors.0.is_empty() {
        let mut vendor = vendors.counted(0)?;
        if vendor.string()? == b"riscv" {
            return file_attributes(vendor);
        }
    }
    None
}

/// The ISA string among the sub-subsections of one vendor.
fn file_attributes(mut lists: Bytes<'_>) -> Option<String> {
    while !lists.0.is_empty() {
        let before = lists.0.len();
        let tag = lists.uleb()?;
        let attributes = lists.counted(before - lists.0.len())?;
        if tag == TAG_FILE {
            return arch_string(attributes);
        }
    }
    None
}

fn arch_string(mut attributes: Bytes<'_>) -> Option<String> {
    while !attributes.0.is_empty() {
        // Odd tags are followed by a string, even ones by a number.
        let tag = attributes.uleb()?;
        if tag % 2 == 0 {
            attributes.uleb()?;
            continue;
        }
        let text = attributes.string()?;
        if tag == TAG_ARCH {
            return std::str::from_utf8(text).ok().map(str::to_owned);
        }
    }
    None
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// A part that begins with its length, of which `read` bytes before the length belong to it already.
    fn counted(&mut self, read: usize) -> Option<Bytes<'a>> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let size = (u32::from_le_bytes(*length) as usize).checked_sub(4 + read)?;
        let (part, rest) = rest.split_at_checked(size)?;
        self.0 = rest;
        Some(Bytes(part))
    }

    /// A string that ends with NUL.
    fn string(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    /// A number in ULEB128.
    fn uleb(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(vendor: &[u8], attributes: &[u8]) -> Vec<u8> {
        let file = [&[1], &(5 + attributes.len() as u32).to_le_bytes()[..], attributes].concat();
        let body = [vendor, &[0], &file].concat();
        [b"A", &(4 + body.len() as u32).to_le_bytes()[..], &body].concat()
    }

    #[test]
    fn the_isa_string_is_found() {
        let attributes = b"\x04\x10\x05rv32i2p1\0\x06\x01";
        assert_eq!(riscv_arch(&section(b"riscv", attributes)).as_deref(), Some("rv32i2p1"));
        assert_eq!(riscv_arch(&section(b"other", attributes)), None);
        assert_eq!(riscv_arch(&section(b"riscv", b"\x04\x10")), None);
    }

    #[test]
    fn damage_is_no_panic() {
        let good = section(b"riscv", b"\x04\x10\x05rv32i2p1\0");
        for len in 0..good.len() {
            assert_eq!(riscv_arch(&good[..len]), None);
        }
        for i in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[i] ^= 1 << bit;
                let _ = riscv_arch(&bad);
            }
        }
    }
}
