//! The sandbox's policy, from a file and from options.

use crate::error::Error;
use crate::options::joined;
use emu_machine::run::SandboxConfig;
use emu_machine::sandbox::{CallRule, Network, Policy, Rule, RunId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// `--sandbox` and the options that go with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SandboxOptions {
    /// A file with a policy, to which the options add.
    pub(crate) file: Option<PathBuf>,
    /// What may be read.
    pub(crate) read: Vec<PathBuf>,
    /// What may be read and written.
    pub(crate) write: Vec<PathBuf>,
    /// Whom sockets reach.
    pub(crate) network: Option<Network>,
    /// Rules for system calls.
    pub(crate) calls: Vec<CallRule>,
    /// Do with what the host's kernel has.
    pub(crate) best_effort: bool,
    /// The first process of the run.
    pub(crate) run: Option<RunId>,
}

/// A policy's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct PolicyFile {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    network: Option<String>,
    syscalls: BTreeMap<String, String>,
}

impl SandboxOptions {
    /// The options as arguments that mean the same.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let mut args = vec![match &self.file {
            Some(file) => joined("--sandbox", file.as_os_str()),
            None => "--sandbox".into(),
        }];
        let mut option = |name: &str, value: &OsStr| args.push(joined(name, value));
        self.read.iter().for_each(|path| option("--allow-read", path.as_os_str()));
        self.write.iter().for_each(|path| option("--allow-write", path.as_os_str()));
        self.network.iter().for_each(|network| option("--network", network.to_string().as_ref()));
        self.calls.iter().for_each(|call| option("--syscall", call.to_string().as_ref()));
        self.run.iter().for_each(|run| option("--sandbox-run", run.to_string().as_ref()));
        args.extend(self.best_effort.then(|| "--sandbox-best-effort".into()));
        args
    }

    /// What the machine is told.
    pub(crate) fn config(&self) -> Result<SandboxConfig, Error> {
        let mut policy = match &self.file {
            Some(file) => read_policy(file)?,
            None => Policy::default(),
        };
        policy.read.extend(self.read.iter().cloned());
        policy.write.extend(self.write.iter().cloned());
        policy.network = self.network.unwrap_or(policy.network);
        policy.calls.extend(self.calls.iter().cloned());
        (policy.best_effort, policy.run) = (self.best_effort, self.run);
        Ok(SandboxConfig { policy, arguments })
    }
}

/// A whole policy as arguments.
fn arguments(policy: &Policy) -> Vec<OsString> {
    let Policy { read, write, network, calls, best_effort, run, own: _ } = policy.clone();
    SandboxOptions { file: None, read, write, network: Some(network), calls, best_effort, run }.to_args()
}

fn read_policy(file: &Path) -> Result<Policy, Error> {
    let wrong = |reason: String| Error::emulator(format!("{}: {}", file.display(), reason.trim_end()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    parse_policy(&text).map_err(wrong)
}

fn parse_policy(text: &str) -> Result<Policy, String> {
    let found: PolicyFile = toml::from_str(text).map_err(|error| error.to_string())?;
    let rule = |(name, rule): (String, String)| Ok(CallRule { name, rule: rule.parse::<Rule>()? });
    Ok(Policy {
        read: found.read,
        write: found.write,
        network: found.network.map_or(Ok(Network::default()), |network| network.parse())?,
        calls: found.syscalls.into_iter().map(rule).collect::<Result<_, String>>()?,
        ..Policy::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read() {
        let text = r#"
            read = ["/usr/share/zoneinfo"]
            write = ["/tmp/work"]
            network = "loopback"
            [syscalls]
            shmget = "allow"
            kill = "errno:ENOSYS"
        "#;
        let policy = parse_policy(text).unwrap();
        assert_eq!((policy.read, policy.write), (vec!["/usr/share/zoneinfo".into()], vec!["/tmp/work".into()]));
        assert_eq!(policy.network, Network::Loopback);
        let rules: Vec<String> = policy.calls.iter().map(CallRule::to_string).collect();
        assert_eq!(rules, ["kill=errno:ENOSYS", "shmget=allow"]);
        assert_eq!(parse_policy("").unwrap(), Policy::default());
        for bad in ["reads = []", "network = \"some\"", "[syscalls]\nkill = \"no\"", "read = 5", "["] {
            assert!(parse_policy(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_whole_policy_becomes_arguments() {
        let policy = Policy { read: vec!["/a".into()], network: Network::All, ..Policy::default() };
        assert_eq!(arguments(&policy), ["--sandbox", "--allow-read=/a", "--network=all"]);
    }
}
