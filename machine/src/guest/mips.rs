//! MIPS: what a program's `e_flags` and `.MIPS.abiflags` ask for (`arch/mips/kernel/elf.c`).

use super::{Choice, GuestError};
use crate::elf::{Endian, Image, MipsAbi};
use crate::linux::abi::mips::{Kind, Mips as MipsAbiOf, TASK_SIZE_32, TASK_SIZE_64};
use emu_frontend_mips::config::Releases;
use emu_frontend_mips::{Config, FrMode, Mips, Release};
use emu_ir::Guest;
use std::sync::Arc;

pub(super) fn choose(image: &Image, interpreter: Option<&Image>, cpu: Option<&str>) -> Result<Choice, GuestError> {
    let kind = match image.mips_abi() {
        MipsAbi::N64 => Kind::N64,
        MipsAbi::N32 => Kind::N32,
        _ => Kind::O32,
    };
    let config = config_for(image, interpreter, kind, cpu)?;
    Ok(Choice {
        guest: Arc::new(Mips::new(config)),
        abi: Arc::new(MipsAbiOf { kind, config }),
        // HWCAP_MIPS_R6; none of the other extensions that it tells is there.
        hwcap: config.release.is_r6().into(),
        base_platform: Some(base_platform(config.release)),
        task_size: if kind == Kind::N64 { TASK_SIZE_64 } else { TASK_SIZE_32 },
    })
}

pub(super) fn named(name: &str) -> Result<Arc<dyn Guest>, String> {
    Ok(Arc::new(Mips::new(Config::parse(name).map_err(|e| e.to_string())?)))
}

/// AT_BASE_PLATFORM.
fn base_platform(release: Release) -> &'static str {
    match release {
        Release::Mips32R1 => "mips32",
        Release::Mips64R1 => "mips64",
        other => other.name(),
    }
}

fn config_for(image: &Image, interpreter: Option<&Image>, kind: Kind, cpu: Option<&str>) -> Result<Config, GuestError> {
    let r6 = image.mips_is_r6();
    let mut config = match cpu {
        Some(name) => Config::parse(name)?,
        None => Config::new(match (kind, r6) {
            (Kind::O32, false) => Release::Mips32R5,
            (Kind::O32, true) => Release::Mips32R6,
            (_, false) => Release::Mips64R5,
            (_, true) => Release::Mips64R6,
        }),
    };
    let name = || cpu.unwrap_or("max").to_owned();
    let unfit = |why| GuestError::Unfit { name: name(), why };
    if kind == Kind::O32 {
        config.release = config.release.narrow();
    } else if config.bits() != 64 {
        return Err(GuestError::Width { name: name(), cpu: 32, program: 64 });
    }
    match (r6, config.release.is_r6()) {
        (true, false) => return Err(unfit("it is for Release 6")),
        (false, true) => return Err(unfit("it is for a release before 6, of which Release 6 lacks instructions")),
        _ => {}
    }
    config.big_endian = image.endian == Endian::Big;
    if config.nan2008 != image.mips_nan2008() {
        if config.release.is_r6() {
            return Err(unfit("it is for legacy NaNs"));
        }
        (config.nan2008, config.abs2008) = (image.mips_nan2008(), image.mips_nan2008());
    }
    config.paired_single &= kind != Kind::O32;
    config.fr = if kind == Kind::O32 {
        fr_mode(image, interpreter, &config).ok_or_else(|| unfit("it needs FR = 1"))?
    } else {
        FrMode::Wide
    };
    Ok(config)
}

/// What a floating-point ABI can do with: singles only or no floating point at all do with everything.
#[derive(Clone, Copy)]
struct Needs {
    /// FR = 1.
    fr1: bool,
    /// The mode that is usual without `.MIPS.abiflags`: FR = 0.
    fr0: bool,
    /// FR = 1 with FRE.
    fre: bool,
}

/// Val_GNU_MIPS_ABI_FP_*: any, double, single, soft, the old 64, XX, 64, 64A.
fn needs(fp_abi: u8) -> Needs {
    let needs = |fr1, fr0, fre| Needs { fr1, fr0, fre };
    match fp_abi {
        1 => needs(false, true, true),
        4 => needs(false, false, false),
        5 => needs(true, true, true),
        6 => needs(true, false, false),
        7 => needs(true, false, true),
        _ => needs(true, true, true),
    }
}

/// The layout of the registers that the program and its interpreter can do with together; `None` if the processor has not got
/// it.
fn fr_mode(image: &Image, interpreter: Option<&Image>, config: &Config) -> Option<FrMode> {
    let wide = Releases::R2.contains(config.release);
    if config.release.is_r6() && image.mips_abiflags.is_none() {
        return Some(FrMode::Wide);
    }
    let abis = [Some(image), interpreter].into_iter().flatten().map(|i| i.mips_fp_abi());
    let all = abis.map(needs).fold(Needs { fr1: true, fr0: true, fre: true }, |a, b| Needs {
        fr1: a.fr1 && b.fr1,
        fr0: a.fr0 && b.fr0,
        fre: a.fre && b.fre,
    });
    Some(match all {
        // Either will do: as the kernel, the wider one.
        Needs { fr1: true, .. } if wide => FrMode::Wide,
        Needs { fr0: true, .. } if !config.release.is_r6() => FrMode::Pairs,
        Needs { fre: true, .. } if wide => FrMode::Emulated,
        Needs { fr1: true, .. } | Needs { fre: true, .. } => return None,
        // MIPS_ABI_FP_OLD_64, or what contradicts itself: the kernel leaves the default.
        _ if config.release.is_r6() => FrMode::Wide,
        _ => FrMode::Pairs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::make::mips;

    #[test]
    fn the_floating_point_abi_chooses_the_registers() {
        let config = Config::new(Release::Mips32R5);
        let image = |fp_abi| mips(fp_abi);
        let mode = |fp_abi| fr_mode(&image(fp_abi), None, &config);
        assert_eq!([0, 1, 5, 6, 7].map(mode), [1, 0, 1, 1, 1].map(|n| Some([FrMode::Pairs, FrMode::Wide][n])));
        assert_eq!(fr_mode(&image(1), Some(&image(7)), &config), Some(FrMode::Emulated));
        assert_eq!(fr_mode(&image(6), None, &Config::new(Release::Mips2)), None);
    }
}
