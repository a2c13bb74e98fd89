//! `--stats`: numbers about a run.

use crate::options::StatsFormat;
use emu_machine::run::RunStats;
use std::fmt::Write as _;

/// Key in JSON, label for people, value.
type Row = (&'static str, &'static str, u64);

fn rows(stats: &RunStats) -> Vec<Row> {
    let (engine, blocks, code) = (&stats.engine, &stats.engine.blocks, &stats.engine.code);
    let exits = &engine.exits;
    let fuel = stats.fuel_used.map(|fuel| ("fuel_used", "fuel used by the run", fuel));
    let rows = [
        ("elapsed_us", "time, us", stats.elapsed.as_micros() as u64),
        ("interpreted_insns", "instructions interpreted", engine.interpreted),
        ("blocks", "blocks translated", blocks.blocks),
        ("block_insns", "instructions in blocks", blocks.insns),
        ("blocks_dropped", "blocks dropped", blocks.dropped),
        ("quick_blocks", "blocks with quick code", code.quick_blocks),
        ("quick_insns", "instructions in them", code.quick_insns),
        ("regions", "regions compiled", code.regions),
        ("region_insns", "instructions in regions", code.insns),
        ("live_regions", "regions in place", code.live_regions),
        ("failed_regions", "regions refused by the compiler", engine.failed_regions),
        ("stale_regions", "regions out of date when compiled", code.stale_regions),
        ("full_regions", "regions without room", code.full),
        ("compile_us", "compile time, us", engine.compile_nanos / 1000),
        ("longest_compile_us", "longest of a region, us", engine.longest_compile_nanos / 1000),
        ("largest_region", "instructions in the largest region", engine.largest_region),
        ("code_bytes", "bytes of code in use", code.code_bytes),
        ("links", "exits linked", code.links),
        ("exits_unlinked", "exits at jumps not linked yet", exits.unlinked),
        ("exits_computed", "exits at computed jumps", exits.computed),
        ("exits_syscall", "exits for system calls", exits.syscalls),
        ("exits_interpreter", "exits to the interpreter", exits.interpreter),
        ("exits_interrupted", "exits of interruptions", exits.interrupted),
        ("exits_counted", "exits to count runs", exits.counted),
        ("exits_sampled", "exits to note computed jumps", exits.sampled),
        ("exits_mode", "exits of mode changes", exits.mode_changes),
        ("windows", "exclusive windows", engine.windows),
        ("invalidations", "invalidations", code.invalidations),
        ("flushes", "cache flushes", code.flushes),
        ("unknown_syscalls", "unknown system calls", stats.unknown_syscalls.iter().map(|(_, n)| n).sum()),
    ];
    rows.into_iter().chain(fuel).collect()
}

/// The numbers as text of several lines, or as a line of JSON.
pub(crate) fn format(stats: &RunStats, format: StatsFormat) -> String {
    match format {
        StatsFormat::Text => text(stats),
        StatsFormat::Json => json(stats),
    }
}

fn text(stats: &RunStats) -> String {
    let mut out = String::from("emu statistics\n");
    for (_, label, value) in rows(stats) {
        let _ = writeln!(out, "  {label:<36}{value:>14}");
    }
    for (name, count) in &stats.unknown_syscalls {
        let _ = writeln!(out, "    {name:<34}{count:>14}");
    }
    out.truncate(out.trim_end().len());
    out
}

/// Names of system calls are letters, digits and underscores: nothing has to be escaped.
fn json(stats: &RunStats) -> String {
    let members: Vec<String> = rows(stats).iter().map(|(key, _, value)| format!("\"{key}\":{value}")).collect();
    let unknown: Vec<String> = stats.unknown_syscalls.iter().map(|(name, n)| format!("\"{name}\":{n}")).collect();
    format!("{{{},\"unknown\":{{{}}}}}", members.join(","), unknown.join(","))
}
