//! Which MIPS a processor is: release, byte order, floating-point modes, as runtime values.

use std::fmt;

/// A release of the architecture. Each has all of those before it of its width, but for what Release 6 removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Release {
    Mips1,
    Mips2,
    Mips3,
    Mips4,
    Mips32R1,
    Mips32R2,
    Mips32R3,
    Mips32R5,
    Mips32R6,
    Mips64R1,
    Mips64R2,
    Mips64R3,
    Mips64R5,
    Mips64R6,
}

use Release::*;

/// All releases with their names, in the order of [`Release`].
const NAMES: [(&str, Release); 14] = [
    ("mips1", Mips1),
    ("mips2", Mips2),
    ("mips3", Mips3),
    ("mips4", Mips4),
    ("mips32r1", Mips32R1),
    ("mips32r2", Mips32R2),
    ("mips32r3", Mips32R3),
    ("mips32r5", Mips32R5),
    ("mips32r6", Mips32R6),
    ("mips64r1", Mips64R1),
    ("mips64r2", Mips64R2),
    ("mips64r3", Mips64R3),
    ("mips64r5", Mips64R5),
    ("mips64r6", Mips64R6),
];

impl Release {
    /// All, in order.
    pub fn all() -> impl Iterator<Item = Release> {
        NAMES.iter().map(|(_, release)| *release)
    }

    /// Its name, as `mips32r2`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].0
    }

    /// Width of the general registers: 32 or 64.
    pub const fn bits(self) -> u32 {
        if matches!(self, Mips3 | Mips4) || self as u16 >= Mips64R1 as u16 { 64 } else { 32 }
    }

    /// Is it Release 6?
    pub const fn is_r6(self) -> bool {
        matches!(self, Mips32R6 | Mips64R6)
    }

    /// What a program for 32 bits (o32) finds on such a processor: there the 64-bit instructions are reserved.
    pub const fn narrow(self) -> Release {
        match self {
            Mips3 => Mips2,
            // MIPS IV's part of MIPS32 is no release of its own: a little more than there was.
            Mips4 => Mips32R1,
            Mips64R1 => Mips32R1,
            Mips64R2 => Mips32R2,
            Mips64R3 => Mips32R3,
            Mips64R5 => Mips32R5,
            Mips64R6 => Mips32R6,
            narrow => narrow,
        }
    }
}

/// A set of releases: those that have an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Releases(u16);

#[allow(missing_docs)]
impl Releases {
    pub const ALL: Releases = Releases((1 << 14) - 1);
    /// MIPS I and II, which had a third coprocessor.
    pub const OLD: Releases = Releases(1 << Mips1 as u16 | 1 << Mips2 as u16);
    pub const R6: Releases = Releases(1 << Mips32R6 as u16 | 1 << Mips64R6 as u16);
    /// The 64-bit releases.
    pub const WIDE: Releases = Releases(1 << Mips3 as u16 | 1 << Mips4 as u16 | 0x1f << Mips64R1 as u16);
    pub const II: Releases = Releases::ALL.but(Releases(1 << Mips1 as u16));
    /// MIPS III: what is 64 bits wide.
    pub const III: Releases = Releases::WIDE;
    /// MIPS IV and all of MIPS32.
    pub const IV: Releases = Releases::II.but(Releases(1 << Mips2 as u16 | 1 << Mips3 as u16));
    pub const R1: Releases = Releases::IV.but(Releases(1 << Mips4 as u16));
    pub const R2: Releases = Releases::R1.but(Releases(1 << Mips32R1 as u16 | 1 << Mips64R1 as u16));
    /// MIPS III's 64-bit floating point, which MIPS32 got with Release 2.
    pub const FPU64: Releases = Releases(Releases::WIDE.0 | Releases::R2.0);
    /// MIPS IV's floating point, which MIPS32 got with Release 2.
    pub const FPU4: Releases = Releases::FPU64.but(Releases(1 << Mips3 as u16));
    /// MIPS V's floating point: MIPS64 and Release 2 of MIPS32.
    pub const FPU5: Releases = Releases::FPU4.but(Releases(1 << Mips4 as u16));

    /// Those that are not in `other`.
    pub const fn but(self, other: Releases) -> Releases {
        Releases(self.0 & !other.0)
    }

    /// Those of both sets.
    pub const fn both(self, other: Releases) -> Releases {
        Releases(self.0 & other.0)
    }

    /// Is it among them?
    pub const fn contains(self, release: Release) -> bool {
        self.0 >> release as u16 & 1 == 1
    }
}

/// How the floating-point registers are laid out (`Status.FR`, `Config5.FRE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrMode {
    /// FR = 0: 32 registers of 32 bits; a double is in an even one and the next.
    Pairs,
    /// FR = 1: 32 registers of 64 bits.
    Wide,
    /// FR = 1 with FRE = 1: doubles as in `Wide`, singles as in `Pairs`. (The hardware traps each access to a single,
    /// and Linux emulates it.)
    Emulated,
}

/// A MIPS processor's configuration, as a user program finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its release, which says how wide the registers are and which instructions there are.
    pub release: Release,
    /// Most significant byte first, in instructions too.
    pub big_endian: bool,
    /// `FCSR.NAN2008`: a quiet NaN has its first fraction bit set (else clear).
    pub nan2008: bool,
    /// `FCSR.ABS2008`: `abs.fmt` and `neg.fmt` change the sign of a NaN and raise nothing.
    pub abs2008: bool,
    /// Layout of the floating-point registers at the start; see [`crate::fcsr::set_fr_mode`].
    pub fr: FrMode,
    /// Has it `llwp` and `scwp` (Release 6, `Config5.XNP` = 0)?
    pub paired_ll: bool,
    /// Has it paired singles (`FIR.PS`)? An option of MIPS64 and of MIPS32 Release 2 up to Release 5.
    pub paired_single: bool,
}

/// Processors, with what differs from the release's defaults.
#[rustfmt::skip]
const MODELS: &[(&str, Release, &[Quirk])] = &[
    ("R2000", Mips1, &[]),        ("R3000", Mips1, &[]),        ("R6000", Mips2, &[]),
    ("R4000", Mips3, &[]),        ("R4400", Mips3, &[]),        ("R4600", Mips3, &[]),
    ("R5000", Mips4, &[]),        ("R8000", Mips4, &[]),        ("R10000", Mips4, &[]),
    ("VR5432", Mips4, &[]),       ("Loongson-2E", Mips3, &[]),  ("Loongson-2F", Mips3, &[]),
    ("4Kc", Mips32R1, &[]),       ("4Km", Mips32R1, &[]),       ("4KEc", Mips32R2, &[]),
    ("24Kc", Mips32R2, &[]),      ("24Kf", Mips32R2, &[]),      ("24KEc", Mips32R2, &[]),
    ("34Kc", Mips32R2, &[]),      ("34Kf", Mips32R2, &[]),      ("74Kc", Mips32R2, &[]),
    ("74Kf", Mips32R2, &[]),      ("1004Kc", Mips32R2, &[]),    ("M14K", Mips32R2, &[]),
    ("M14Kc", Mips32R2, &[]),     ("interAptiv", Mips32R3, &[]), ("proAptiv", Mips32R3, &[]),
    ("P5600", Mips32R5, &[Quirk::Nan2008]),
    ("5Kc", Mips64R1, &[]),       ("5Kf", Mips64R1, &[]),       ("20Kc", Mips64R1, &[]),
    ("5KEc", Mips64R2, &[]),      ("5KEf", Mips64R2, &[]),      ("Loongson-3A1000", Mips64R2, &[]),
    ("Octeon68XX", Mips64R2, &[]), ("Loongson-3A4000", Mips64R2, &[]),
    ("I6400", Mips64R6, &[Quirk::NoPairedLl]), ("I6500", Mips64R6, &[Quirk::NoPairedLl]), ("P6600", Mips64R6, &[Quirk::NoPairedLl]),
];

/// How a processor differs from its release's defaults.
#[derive(Clone, Copy)]
enum Quirk {
    Nan2008,
    NoPairedLl,
}

/// Why a processor's name was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Neither a release nor a model.
    Name(String),
    /// An option after the name that there is not.
    Option(String),
    /// An option that this release cannot have.
    Conflict(&'static str, Release),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Name(s) => write!(f, "\"{s}\" is no MIPS release or processor"),
            ConfigError::Option(s) => {
                write!(f, "\"{s}\" is none of the options el, eb, fr0, fr1, fre, legacy, nan2008, abs2008, ps")
            }
            ConfigError::Conflict(what, release) => write!(f, "{} does not have {what}", release.name()),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// A little-endian processor of that release with its usual floating-point modes: 64-bit registers where general
    /// registers have 64 bits and in Release 6, 2008 NaNs in Release 6.
    pub const fn new(release: Release) -> Config {
        let r6 = release.is_r6();
        let fr = if r6 || release.bits() == 64 { FrMode::Wide } else { FrMode::Pairs };
        let paired_single = release.bits() == 64 && Releases::R1.but(Releases::R6).contains(release);
        Config { release, big_endian: false, nan2008: r6, abs2008: r6, fr, paired_ll: r6, paired_single }
    }

    /// Reads a release or a processor, with options after commas: `mips32r2`, `24Kc,eb`, `mips32r5,fr1,nan2008`.
    /// Case does not matter; a release may end in `el`; `mips32` is `mips32r1`.
    ///
    /// # Errors
    /// The part that is not understood or cannot be.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        let mut parts = text.trim().split(',');
        let name = parts.next().unwrap_or_default();
        let mut config = Config::named(name).ok_or_else(|| ConfigError::Name(name.to_owned()))?;
        for option in parts {
            match option.to_ascii_lowercase().as_str() {
                "el" => config.big_endian = false,
                "eb" => config.big_endian = true,
                "fr0" => config.fr = FrMode::Pairs,
                "fr1" => config.fr = FrMode::Wide,
                "fre" => config.fr = FrMode::Emulated,
                "legacy" => (config.nan2008, config.abs2008) = (false, false),
                "nan2008" => config.nan2008 = true,
                "abs2008" => config.abs2008 = true,
                "ps" => config.paired_single = true,
                _ => return Err(ConfigError::Option(option.to_owned())),
            }
        }
        config.check()
    }

    fn named(name: &str) -> Option<Config> {
        if let Some((_, release, quirks)) = MODELS.iter().find(|(model, ..)| model.eq_ignore_ascii_case(name)) {
            let mut config = Config::new(*release);
            for quirk in *quirks {
                match quirk {
                    Quirk::Nan2008 => (config.nan2008, config.abs2008) = (true, true),
                    Quirk::NoPairedLl => config.paired_ll = false,
                }
            }
            return Some(config);
        }
        let lower = name.to_ascii_lowercase();
        let lower = lower.strip_suffix("el").unwrap_or(&lower);
        let full = if matches!(lower, "mips32" | "mips64") { format!("{lower}r1") } else { lower.to_owned() };
        NAMES.iter().find(|(n, _)| *n == full).map(|(_, release)| Config::new(*release))
    }

    fn check(self) -> Result<Config, ConfigError> {
        let release = self.release;
        let fpu64 = Releases::FPU64.contains(release);
        match () {
            () if self.paired_single && !Releases::FPU5.but(Releases::R6).contains(release) => {
                Err(ConfigError::Conflict("paired singles", release))
            }
            () if release.is_r6() && self.fr == FrMode::Pairs => Err(ConfigError::Conflict("FR = 0", release)),
            () if !fpu64 && self.fr != FrMode::Pairs => Err(ConfigError::Conflict("FR = 1", release)),
            () if release.is_r6() && !(self.nan2008 && self.abs2008) => {
                Err(ConfigError::Conflict("legacy NaNs", release))
            }
            () => Ok(self),
        }
    }

    /// Width of the general registers and of addresses.
    pub const fn bits(&self) -> u32 {
        self.release.bits()
    }
}

impl fmt::Display for Config {
    /// What [`Config::parse`] reads back to the same (but for `paired_ll`, which is a model's).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Config { big_endian: self.big_endian, ..Config::new(self.release) };
        write!(f, "{}{}", self.release.name(), if self.big_endian { ",eb" } else { "el" })?;
        if self.fr != usual.fr {
            f.write_str(match self.fr {
                FrMode::Pairs => ",fr0",
                FrMode::Wide => ",fr1",
                FrMode::Emulated => ",fre",
            })?;
        }
        let options = [
            (self.nan2008, usual.nan2008, ",nan2008"),
            (self.abs2008, usual.abs2008, ",abs2008"),
            (self.paired_single, usual.paired_single, ",ps"),
        ];
        options.iter().filter(|(is, was, _)| is != was).try_for_each(|(_, _, name)| f.write_str(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_options() {
        let c = Config::parse("24kc").unwrap();
        assert_eq!((c.release, c.big_endian, c.fr, c.nan2008), (Mips32R2, false, FrMode::Pairs, false));
        let c = Config::parse("mips64r6,eb").unwrap();
        assert_eq!((c.release, c.big_endian, c.fr, c.nan2008), (Mips64R6, true, FrMode::Wide, true));
        assert_eq!(Config::parse("mips32").unwrap(), Config::parse("mips32r1el").unwrap());
        assert!(!Config::parse("I6400").unwrap().paired_ll && Config::parse("P5600").unwrap().nan2008);
        assert_eq!(Config::parse("6502"), Err(ConfigError::Name("6502".into())));
        assert_eq!(Config::parse("4Kc,fast"), Err(ConfigError::Option("fast".into())));
        assert_eq!(Config::parse("mips64r6,fr0"), Err(ConfigError::Conflict("FR = 0", Mips64R6)));
        assert_eq!(Config::parse("mips1,fr1"), Err(ConfigError::Conflict("FR = 1", Mips1)));
    }

    #[test]
    fn names_read_back() {
        for name in [
            "mips1el",
            "24Kf,eb",
            "mips32r5,fr1,nan2008,abs2008",
            "mips32r5,fre",
            "mips64r2,fr0",
            "mips32r2,fr1,ps",
            "mips64r6",
        ] {
            let config = Config::parse(name).unwrap();
            assert_eq!(Config::parse(&config.to_string()), Ok(config), "{config}");
        }
    }

    #[test]
    fn sets_of_releases() {
        let list = |set: Releases| Release::all().filter(|r| set.contains(*r)).collect::<Vec<_>>();
        assert_eq!(list(Releases::OLD), [Mips1, Mips2]);
        assert_eq!(list(Releases::III), Release::all().filter(|r| r.bits() == 64).collect::<Vec<_>>());
        assert_eq!(list(Releases::R2.but(Releases::III)), [Mips32R2, Mips32R3, Mips32R5, Mips32R6]);
        assert_eq!(list(Releases::FPU4.but(Releases::R2)), [Mips4, Mips64R1]);
        assert_eq!(list(Releases::R6), [Mips32R6, Mips64R6]);
        assert!(Release::all().zip(0..).all(|(r, n)| r as usize == n));
    }
}
