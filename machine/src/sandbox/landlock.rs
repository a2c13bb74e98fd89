//! Files, TCP and signals by Landlock.

use super::{Network, Policy, SandboxError};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is asked for: that of Linux 6.12, the first with signals.
const WANTED: ABI = ABI::V6;
/// What the dynamic loader of the host reads when the emulator executes itself, beside what this process has mapped.
const LOADER_FILES: [&str; 2] = ["/etc/ld.so.cache", "/etc/ld.so.preload"];

/// Restricts this process and its children for good.
pub(super) fn restrict(policy: &Policy) -> Result<(), SandboxError> {
    let failed = |error: RulesetError| SandboxError::Landlock(error.to_string());
    let status = ruleset(policy).and_then(RulesetCreated::restrict_self).map_err(failed)?.ruleset;
    match (status, policy.best_effort) {
        (RulesetStatus::FullyEnforced, _) => Ok(()),
        (status, true) => {
            eprintln!(
                "emu: --sandbox-best-effort: the host's kernel enforces it less than fully (Landlock: {status:?})"
            );
            Ok(())
        }
        (status, false) => Err(SandboxError::Landlock(format!("{status:?}"))),
    }
}

fn ruleset(policy: &Policy) -> Result<RulesetCreated, RulesetError> {
    let level = if policy.best_effort { CompatLevel::BestEffort } else { CompatLevel::HardRequirement };
    let mut ruleset = Ruleset::default().set_compatibility(level).handle_access(AccessFs::from_all(WANTED))?;
    if policy.network == Network::None {
        ruleset = ruleset.handle_access(AccessNet::from_all(WANTED))?;
    }
    let scopes = if policy.network == Network::All { Scope::Signal.into() } else { Scope::from_all(WANTED) };
    let mut created = ruleset.scope(scopes)?.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let own_code = AccessFs::ReadFile | AccessFs::Execute;
    // The kernel lets nobody in here look into a process outside of it.
    created = allow(created, Path::new("/proc"), read)?;
    for path in &policy.read {
        created = allow(created, path, read)?;
    }
    for path in &policy.write {
        created = allow(created, path, written())?;
    }
    for path in &policy.own {
        created = allow(created, path, AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    for path in own_files() {
        created = allow(created, &path, own_code)?;
    }
    for path in LOADER_FILES {
        created = allow(created, Path::new(path), AccessFs::ReadFile.into())?;
    }
    Ok(created)
}

/// What may be done below a writable path: all but to execute host programs and to make devices.
fn written() -> BitFlags<AccessFs> {
    AccessFs::from_all(WANTED) & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock)
}

/// Adds a rule; what is not there needs none.
fn allow(ruleset: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    let Ok(file) = PathFd::new(path) else { return Ok(ruleset) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(WANTED) };
    ruleset.add_rule(PathBeneath::new(file, access))
}

/// The emulator's file and its libraries, loader included: what it needs to execute itself.
fn own_files() -> BTreeSet<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let executable = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|prot| prot.contains('x')));
    let mapped = executable.filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    mapped.chain(std::env::current_exe()).collect()
}
