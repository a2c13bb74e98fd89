//! Which RISC-V a hart is: register width and extensions, as runtime values.

use std::fmt;

/// A set of extensions. The base `I` is always there and has no member of its own but [`ExtSet::I`], the empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExtSet(u32);

#[allow(missing_docs)]
impl ExtSet {
    pub const I: ExtSet = ExtSet(0);
    /// Multiplication without division.
    pub const ZMMUL: ExtSet = ExtSet(1 << 0);
    pub const M: ExtSet = ExtSet(1 << 1);
    pub const ZAAMO: ExtSet = ExtSet(1 << 2);
    pub const ZALRSC: ExtSet = ExtSet(1 << 3);
    pub const A: ExtSet = ExtSet::ZAAMO.and(ExtSet::ZALRSC);
    pub const F: ExtSet = ExtSet(1 << 4);
    pub const D: ExtSet = ExtSet(1 << 5);
    /// `C` as it was named. What it brings is in [`ExtSet::ZCA`], [`ExtSet::ZCF`] and [`ExtSet::ZCD`].
    pub const C: ExtSet = ExtSet(1 << 6);
    pub const ZCA: ExtSet = ExtSet(1 << 7);
    pub const ZCF: ExtSet = ExtSet(1 << 8);
    pub const ZCD: ExtSet = ExtSet(1 << 9);
    pub const ZCB: ExtSet = ExtSet(1 << 10);
    pub const ZICSR: ExtSet = ExtSet(1 << 11);
    pub const ZIFENCEI: ExtSet = ExtSet(1 << 12);
    pub const ZICNTR: ExtSet = ExtSet(1 << 13);
    pub const ZIHINTPAUSE: ExtSet = ExtSet(1 << 14);
    pub const ZBA: ExtSet = ExtSet(1 << 15);
    pub const ZBB: ExtSet = ExtSet(1 << 16);
    pub const ZBC: ExtSet = ExtSet(1 << 17);
    pub const ZBS: ExtSet = ExtSet(1 << 18);
    pub const ZICOND: ExtSet = ExtSet(1 << 19);
    /// The bit-manipulation group `B`.
    pub const B: ExtSet = ExtSet::ZBA.and(ExtSet::ZBB).and(ExtSet::ZBS);
    /// `G`: what a general-purpose hart has. The counters belonged to the base when `G` was defined and every
    /// application profile requires them, so they are in.
    pub const G: ExtSet = ExtSet::M
        .and(ExtSet::A)
        .and(ExtSet::F)
        .and(ExtSet::D)
        .and(ExtSet::ZICSR)
        .and(ExtSet::ZIFENCEI)
        .and(ExtSet::ZICNTR);

    /// The extensions of both sets.
    pub const fn and(self, other: ExtSet) -> ExtSet {
        ExtSet(self.0 | other.0)
    }

    /// Are all of `other` in the set?
    pub const fn contains(self, other: ExtSet) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One extension: its name, the instructions it brings, the extensions it depends on.
struct Extension {
    name: &'static str,
    set: ExtSet,
    implies: ExtSet,
}

const fn ext(name: &'static str, set: ExtSet, implies: ExtSet) -> Extension {
    Extension { name, set, implies }
}

/// All extensions known, in the order of the manual's naming chapter. Those with an empty set promise something
/// about the platform that holds here anyway, or only name hints.
#[rustfmt::skip]
const EXTENSIONS: &[Extension] = &[
    ext("i",           ExtSet::I,           ExtSet::I),
    ext("m",           ExtSet::M,           ExtSet::ZMMUL),
    ext("a",           ExtSet::A,           ExtSet::I),
    ext("f",           ExtSet::F,           ExtSet::ZICSR),
    ext("d",           ExtSet::D,           ExtSet::F),
    ext("c",           ExtSet::C,           ExtSet::ZCA),
    ext("b",           ExtSet::B,           ExtSet::I),
    ext("g",           ExtSet::G,           ExtSet::I),
    ext("zic64b",      ExtSet::I,           ExtSet::I),
    ext("ziccamoa",    ExtSet::I,           ExtSet::A),
    ext("ziccif",      ExtSet::I,           ExtSet::I),
    ext("zicclsm",     ExtSet::I,           ExtSet::I),
    ext("ziccrse",     ExtSet::I,           ExtSet::I),
    ext("zicbop",      ExtSet::I,           ExtSet::I),
    ext("zicntr",      ExtSet::ZICNTR,      ExtSet::ZICSR),
    ext("zicond",      ExtSet::ZICOND,      ExtSet::I),
    ext("zicsr",       ExtSet::ZICSR,       ExtSet::I),
    ext("zifencei",    ExtSet::ZIFENCEI,    ExtSet::I),
    ext("zihintntl",   ExtSet::I,           ExtSet::I),
    ext("zihintpause", ExtSet::ZIHINTPAUSE, ExtSet::I),
    ext("zmmul",       ExtSet::ZMMUL,       ExtSet::I),
    ext("za64rs",      ExtSet::I,           ExtSet::I),
    ext("za128rs",     ExtSet::I,           ExtSet::I),
    ext("zaamo",       ExtSet::ZAAMO,       ExtSet::I),
    ext("zalrsc",      ExtSet::ZALRSC,      ExtSet::I),
    ext("zca",         ExtSet::ZCA,         ExtSet::I),
    ext("zcb",         ExtSet::ZCB,         ExtSet::ZCA),
    ext("zcd",         ExtSet::ZCD,         ExtSet::ZCA.and(ExtSet::D)),
    ext("zcf",         ExtSet::ZCF,         ExtSet::ZCA.and(ExtSet::F)),
    ext("zba",         ExtSet::ZBA,         ExtSet::I),
    ext("zbb",         ExtSet::ZBB,         ExtSet::I),
    ext("zbc",         ExtSet::ZBC,         ExtSet::I),
    ext("zbs",         ExtSet::ZBS,         ExtSet::I),
];

/// Why an ISA string was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// It starts with neither `rv32` nor `rv64`.
    Width(String),
    /// The base is not `i` or `g`.
    Base(String),
    /// An extension that the decoder does not have.
    Extension(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Width(s) => write!(f, "ISA string \"{s}\" does not start with rv32 or rv64"),
            ConfigError::Base(s) => write!(f, "ISA string \"{s}\" has neither base i nor g after the width"),
            ConfigError::Extension(s) => write!(f, "RISC-V extension \"{s}\" is not supported"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A RISC-V hart's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Width of the integer registers and of addresses: 32 or 64.
    pub xlen: u32,
    /// The extensions it has, with all that they imply.
    pub extensions: ExtSet,
}

impl Config {
    /// A configuration with all that `extensions` imply.
    pub fn new(xlen: u32, extensions: ExtSet) -> Config {
        Config { xlen, extensions: closure(xlen, extensions) }
    }

    /// RV32 or RV64 with every extension the decoder has.
    pub fn max(xlen: u32) -> Config {
        Config::new(
            xlen,
            EXTENSIONS.iter().fold(ExtSet::I, |all, e| if e.name == "zcf" { all } else { all.and(e.set) }),
        )
    }

    /// Reads an ISA string: `rv64gc`, `rv32imac_zba_zbb`, `rv64i2p1_m2p0`; `max` is RV64 with everything (also
    /// `rv32max`, `rv64max`). Case does not matter.
    ///
    /// # Errors
    /// The part that is not understood or not supported.
    pub fn parse(isa: &str) -> Result<Config, ConfigError> {
        let lower = isa.trim().to_ascii_lowercase();
        let (xlen, rest) = match lower.strip_prefix("rv64").map(|r| (64, r)) {
            Some(found) => found,
            None if lower == "max" => (64, "max"),
            None => (32, lower.strip_prefix("rv32").ok_or_else(|| ConfigError::Width(isa.to_owned()))?),
        };
        if rest == "max" {
            return Ok(Config::max(xlen));
        }
        if !rest.starts_with(['i', 'g']) {
            return Err(ConfigError::Base(isa.to_owned()));
        }
        let mut set = ExtSet::I;
        for name in names(rest) {
            let found = EXTENSIONS.iter().find(|e| e.name == name);
            set = set.and(found.ok_or_else(|| ConfigError::Extension(name.to_owned()))?.set);
        }
        Ok(Config::new(xlen, set))
    }

    /// Has it all of `needs`?
    pub fn has(&self, needs: ExtSet) -> bool {
        self.extensions.contains(needs)
    }

    /// Must an instruction's address be a multiple of four (and not of two)?
    pub fn aligned_to_four(&self) -> bool {
        !self.has(ExtSet::ZCA)
    }
}

impl fmt::Display for Config {
    /// The shortest ISA string that [`Config::parse`] reads back to the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rv{}", self.xlen)?;
        let base = if self.has(ExtSet::G) { ["g"].as_slice() } else { ["i", "m", "a", "f", "d"].as_slice() };
        let mut said = ExtSet::I;
        for name in base.iter().chain(&["c", "b"]) {
            let e = EXTENSIONS.iter().find(|e| e.name == *name).expect("single-letter extensions are in the list");
            if self.has(e.set) {
                f.write_str(name)?;
                said = closure(self.xlen, said.and(e.set));
            }
        }
        for e in EXTENSIONS.iter().filter(|e| e.name.len() > 1) {
            if self.has(e.set) && !said.contains(e.set) {
                write!(f, "_{}", e.name)?;
                said = closure(self.xlen, said.and(e.set));
            }
        }
        Ok(())
    }
}

/// Adds what the extensions of the set imply, and what `C` brings together with `F` and `D`.
fn closure(xlen: u32, mut set: ExtSet) -> ExtSet {
    loop {
        let before = set;
        for e in EXTENSIONS.iter().filter(|e| before.contains(e.set) && e.set != ExtSet::I) {
            set = set.and(e.implies);
        }
        if set.contains(ExtSet::C.and(ExtSet::F)) && xlen == 32 {
            set = set.and(ExtSet::ZCF);
        }
        if set.contains(ExtSet::C.and(ExtSet::D)) {
            set = set.and(ExtSet::ZCD);
        }
        if set == before {
            return set;
        }
    }
}

/// Splits `i2p1m_zba1p0_zbb` into `i`, `m`, `zba`, `zbb`: letters stand alone until a name that starts with z, s or x;
/// version numbers are dropped.
fn names(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for part in text.split('_').filter(|p| !p.is_empty()) {
        let multi = part.find(['z', 's', 'x']).unwrap_or(part.len());
        let (letters, name) = part.split_at(multi);
        let mut rest = letters;
        while let Some(c) = rest.chars().next() {
            let (letter, after) = rest.split_at(c.len_utf8());
            out.push(letter);
            rest = skip_version(after);
        }
        if !name.is_empty() {
            out.push(without_version(name));
        }
    }
    out
}

/// Drops `2`, `2p1` from the front. A `p` counts only between digits: it is a letter of its own otherwise.
fn skip_version(text: &str) -> &str {
    let major = text.trim_start_matches(|c: char| c.is_ascii_digit());
    match major.strip_prefix('p') {
        Some(minor) if major.len() < text.len() && minor.starts_with(|c: char| c.is_ascii_digit()) => {
            minor.trim_start_matches(|c: char| c.is_ascii_digit())
        }
        _ => major,
    }
}

/// Drops `1p0` from the end. A single number stays: it may belong to the name, as in `zic64b`.
fn without_version(name: &str) -> &str {
    let minor = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match minor.strip_suffix('p') {
        Some(major) if minor.len() < name.len() && major.ends_with(|c: char| c.is_ascii_digit()) => {
            major.trim_end_matches(|c: char| c.is_ascii_digit())
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isa_strings() {
        let gc = Config::parse("rv64gc").unwrap();
        assert!(gc.xlen == 64 && gc.has(ExtSet::G.and(ExtSet::ZCD)) && !gc.has(ExtSet::ZCF) && !gc.has(ExtSet::ZBA));
        assert!(Config::parse("RV32GC").unwrap().has(ExtSet::ZCF));
        assert_eq!(Config::parse("rv64imafdc_zicsr_zifencei_zicntr").unwrap(), gc);
        assert_eq!(Config::parse("rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0_zifencei2p0_zicntr").unwrap(), gc);
        assert_eq!(Config::parse("rv64ib").unwrap(), Config::parse("rv64i_zba1p0_zbb_zbs").unwrap());
        assert!(Config::parse("max").unwrap().has(ExtSet::G.and(ExtSet::ZBC).and(ExtSet::ZCB)));
        assert!(Config::parse("rv64id").unwrap().has(ExtSet::F.and(ExtSet::ZICSR)));
    }

    #[test]
    fn names_read_back() {
        for isa in ["rv64gc", "rv32i", "rv64imac_zba_zbb", "rv32gc_zcb", "rv64gcb_zbc", "max", "rv32max", "rv32id_zca"]
        {
            let config = Config::parse(isa).unwrap();
            assert_eq!(Config::parse(&config.to_string()), Ok(config), "{config}");
        }
        assert_eq!(Config::parse("rv64imafdc_zicntr_zifencei").unwrap().to_string(), "rv64gc");
    }

    #[test]
    fn errors_name_the_culprit() {
        assert_eq!(Config::parse("x86"), Err(ConfigError::Width("x86".into())));
        assert_eq!(Config::parse("rv64e"), Err(ConfigError::Base("rv64e".into())));
        assert_eq!(Config::parse("rv64gcv"), Err(ConfigError::Extension("v".into())));
        let error = Config::parse("rv64gc_zfoo").unwrap_err();
        assert_eq!(error.to_string(), "RISC-V extension \"zfoo\" is not supported");
    }
}
