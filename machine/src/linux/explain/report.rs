//! The lines of a run's file, and what is told of them.

use super::{Kind, Missing, advice_for};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Kinds with their names: in the file, and in the report.
#[rustfmt::skip]
const KINDS: [(Kind, &str, &str); 8] = [
    (Kind::Syscall,     "syscall",     "system call"),
    (Kind::Clone,       "clone",       "clone with"),
    (Kind::Ioctl,       "ioctl",       "ioctl"),
    (Kind::Prctl,       "prctl",       "prctl option"),
    (Kind::Fcntl,       "fcntl",       "fcntl command"),
    (Kind::Sockopt,     "sockopt",     "socket option"),
    (Kind::Socket,      "socket",      "sockets of"),
    (Kind::Instruction, "instruction", "instructions of"),
];

/// What was met where for the first time in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    missing: Missing,
    pid: i32,
    program: String,
    place: String,
}

impl Line {
    pub(super) fn new(missing: Missing, pid: i32, program: &str, place: String) -> Line {
        Line { missing, pid, program: program.to_owned(), place }
    }

    /// The line for the file: so many more.
    pub(super) fn to_text(&self, count: u64) -> String {
        let Line { missing, pid, program, place } = self;
        let kind = KINDS.iter().find(|(kind, ..)| *kind == missing.kind).map_or("", |(_, name, _)| name);
        let strings = [kind, &missing.name, &missing.answer, program, place];
        // Names of files may have any characters: none but ours end a line or a column.
        let columns: Vec<String> = strings.iter().map(|s| s.replace(['\t', '\n'], "?")).collect();
        format!("{count}\t{pid}\t{}\n", columns.join("\t"))
    }

    fn from_text(text: &str) -> Option<(u64, Line)> {
        let columns: Vec<&str> = text.split('\t').collect();
        let [count, pid, kind, name, answer, program, place] = columns[..] else { return None };
        let (kind, ..) = KINDS.iter().find(|(_, known, _)| *known == kind)?;
        let missing = Missing { kind: *kind, name: name.to_owned(), answer: answer.to_owned() };
        Some((count.parse().ok()?, Line::new(missing, pid.parse().ok()?, program, place.to_owned())))
    }
}

/// The report of a run.
pub(super) fn text(lines: &str) -> String {
    // By kind, in the order of first meetings.
    let mut order: Vec<(u64, Line)> = Vec::new();
    let mut known: BTreeMap<(Kind, String), usize> = BTreeMap::new();
    for (count, line) in lines.lines().filter_map(Line::from_text) {
        let at = *known.entry((line.missing.kind, line.missing.name.clone())).or_insert(order.len());
        match order.get_mut(at) {
            Some((sum, _)) => *sum += count,
            None => order.push((count, line)),
        }
    }
    order.sort_by_key(|(_, line)| line.missing.kind);
    let mut out = match order.len() {
        0 => "nothing that the run asked for was missing".to_owned(),
        1 => "one thing that the run asked for was missing".to_owned(),
        n => format!("{n} things that the run asked for were missing"),
    };
    for (count, Line { missing, pid, program, place }) in order {
        let what = KINDS.iter().find(|(kind, ..)| *kind == missing.kind).map_or("", |(.., name)| name);
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let advice = advice_for(missing.kind, &missing.name);
        let name = advice.name.map_or(missing.name.clone(), |name| format!("{name} ({})", missing.name));
        let _ = write!(
            out,
            "\n  {what} {name}: {times}, answered {}\n    first in process {pid}, {program}, at {place}\n    {}",
            missing.answer, advice.text
        );
    }
    out.push('\n');
    out
}

/// Flags of clone that ask for what is not every fork or thread.
#[rustfmt::skip]
const CLONE_FLAGS: [(u64, &str); 23] = [
    (0x100, "CLONE_VM"), (0x200, "CLONE_FS"), (0x400, "CLONE_FILES"), (0x800, "CLONE_SIGHAND"), (0x1000, "CLONE_PIDFD"),
    (0x2000, "CLONE_PTRACE"), (0x4000, "CLONE_VFORK"), (0x8000, "CLONE_PARENT"), (0x1_0000, "CLONE_THREAD"),
    (0x2_0000, "CLONE_NEWNS"), (0x4_0000, "CLONE_SYSVSEM"), (0x8_0000, "CLONE_SETTLS"), (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"), (0x80_0000, "CLONE_UNTRACED"), (0x100_0000, "CLONE_CHILD_SETTID"),
    (0x200_0000, "CLONE_NEWCGROUP"), (0x400_0000, "CLONE_NEWUTS"), (0x800_0000, "CLONE_NEWIPC"), (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"), (0x4000_0000, "CLONE_NEWNET"), (0x8000_0000, "CLONE_IO"),
];

/// The names of flags.
pub(super) fn clone_flags(flags: u64) -> String {
    let names: Vec<&str> = CLONE_FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let rest = CLONE_FLAGS.iter().fold(flags, |rest, (bit, _)| rest & !bit);
    match (names.is_empty(), rest) {
        (true, 0) => "no flags".to_owned(),
        (false, 0) => names.join("|"),
        (true, rest) => format!("{rest:#x}"),
        (false, rest) => format!("{}|{rest:#x}", names.join("|")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: Kind, name: &str, pid: i32) -> Line {
        let missing = Missing { kind, name: name.to_owned(), answer: "ENOSYS".to_owned() };
        Line::new(missing, pid, "/bin/a\tb", "0x10 (f in /lib/x)".to_owned())
    }

    #[test]
    fn lines_read_back() {
        let text = line(Kind::Syscall, "bpf", 7).to_text(3);
        assert_eq!(text, "3\t7\tsyscall\tbpf\tENOSYS\t/bin/a?b\t0x10 (f in /lib/x)\n");
        assert_eq!(Line::from_text(text.trim_end()).map(|(n, l)| l.to_text(n)), Some(text));
    }

    #[test]
    fn processes_are_summed() {
        let parts = [(Kind::Syscall, "bpf", 2), (Kind::Prctl, "77", 3), (Kind::Syscall, "bpf", 4)];
        let file: String = parts.iter().map(|(kind, name, pid)| line(*kind, name, *pid).to_text(2)).collect();
        let told = text(&file);
        assert!(told.starts_with("2 things that the run asked for were missing\n  system call bpf: 4 times"), "{told}");
        assert!(told.contains("process 2, /bin/a?b, at 0x10") && !told.contains("process 4"), "{told}");
        assert!(text("").starts_with("nothing"));
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(clone_flags(0x400 | 1 << 33), "CLONE_FILES|0x200000000");
        assert_eq!(clone_flags(0), "no flags");
    }
}
