//! Compiles regions of `emu` IR to x86-64 code with Cranelift, and runs them.
//!
//! The principal types:
//!
//! - [`Region`]: the blocks that are compiled together, found by [`Region::discover`].
//! - [`Compiler`]: makes a [`CompiledRegion`] of a region; one per thread.
//! - [`QuickCompiler`]: makes one of a single block, quickly.
//! - [`CodeCache`]: the code in place, by guest address and by guest page; shared by all harts.
//! - [`CodeMap`]: what is known of code, by address and by page.
//! - [`Hart`]: runs code of the cache on the registers of one hart.
//! - [`CodeFault`]: what a signal handler does about a fault in compiled code.
//!
//! This is the only crate that names Cranelift. `unsafe` is in `arena`, `enter`, `hart` and `helpers` alone.

mod analysis;
mod arena;
mod baseline;
mod cache;
mod code_map;
mod compile;
mod context;
mod enter;
mod halves;
mod hammock;
mod hart;
mod helpers;
mod knowledge;
mod link;
mod lower;
mod news;
mod quiet;
mod region;
mod residence;
mod singles;
mod stubs;
mod switch;
mod unroll;
mod words;

pub use baseline::QuickCompiler;
pub use cache::{CodeCache, ForkGuard};
pub use code_map::CodeMap;
pub use compile::{CompiledRegion, Compiler};
pub use context::{Context, ExitCode, HOT_PERIOD, LastFault, StoreNote};
pub use hart::{CodeFault, Hart, HartShared};
pub use link::{COLD_BASE, DirectExit, Spot};
pub use lower::{InsnRef, PlantedFault};
pub use region::{BlockSource, PAGE, PageList, Region, RegionBlock};

use cranelift_codegen::settings::{self, Configurable};
use emu_ir::{HOT_SLOTS, Slot};

/// How regions are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    /// Keep registers recoverable at every memory access: wanted as soon as the guest or a debugger can look.
    pub precise_faults: bool,
    /// Keep `CpuState::insn_count` and stop near `Context::insn_limit`: at the entry of a region or the head of a loop before
    /// it is passed.
    pub count_insns: bool,
    /// ... stop at any block.
    pub stop_at_blocks: bool,
    /// Count so that the limit is never passed ([`Hart::set_fuel`]): what could run up to the next stop is counted at a stop, ways that
    /// are shorter pay back. With [`Self::count_insns`].
    pub fuel: bool,
    /// The host has FMA3.
    pub host_fma: bool,
    /// Keep the text of Cranelift's IR, for dumps.
    pub keep_clif: bool,
    /// Note what stores overwrite; see [`Hart::stores`].
    pub note_stores: bool,
    /// Ask [`emu_ir::Env::announce`] before each access to guest memory.
    pub announce: bool,
    /// Whatever 64-bit address the guest has, an access stays in its memory and the guard around it: the size of that memory,
    /// which has a guard of more than [`CONFINED_SLACK`] and [`CONFINED_OFFSET`] behind it.
    pub confine: Option<u64>,
    /// What the guest uses most ([`emu_ir::Guest::hot_slots`]): that of the [`CodeCache`] that the code is for.
    pub hot: [Slot; HOT_SLOTS],
    /// Where the computed jump that ends a block has always gone, as far as is known: quick code compares with that before it looks
    /// the target up.
    pub likely: Option<u64>,
    /// A mistake to make, for tests of what finds mistakes.
    pub planted: Option<PlantedFault>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        let host_fma = std::arch::is_x86_feature_detected!("fma");
        CompileOptions {
            precise_faults: false,
            count_insns: false,
            stop_at_blocks: false,
            fuel: false,
            host_fma,
            keep_clif: false,
            note_stores: false,
            announce: false,
            confine: None,
            hot: std::array::from_fn(|i| Slot(i as u16)),
            likely: None,
            planted: None,
        }
    }
}

/// How far behind the guest's memory a confined access goes at most, before its offset is added. Nothing is mapped there, nor
/// [`CONFINED_OFFSET`] before or behind it.
pub const CONFINED_SLACK: u64 = 64 << 10;

/// Offsets that are added after an address has been confined; larger ones are part of the address. No guest memory is below it, so that an
/// address just below 2^64 does not lead there.
pub const CONFINED_OFFSET: u32 = 32 << 10;

impl CompileOptions {
    /// Does code stop at this block of the region, when the limit is reached?
    fn stops_at(&self, region: &Region, index: usize) -> bool {
        let always = index == region.entry || region.blocks[index].is_loop_header();
        self.count_insns && (always || self.stop_at_blocks)
    }
}

/// What the code cache has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Regions installed.
    pub regions: u64,
    /// Guest instructions in them.
    pub insns: u64,
    /// Blocks for which quick code was installed.
    pub quick_blocks: u64,
    /// Guest instructions in them.
    pub quick_insns: u64,
    /// Bytes of code memory in use.
    pub code_bytes: u64,
    /// Regions in place now, those that were dropped but not yet reclaimed included.
    pub live_regions: u64,
    /// Exits that were linked to their target.
    pub links: u64,
    /// Invalidations that dropped something.
    pub invalidations: u64,
    /// Times the full arena was emptied.
    pub flushes: u64,
    /// Regions that were refused because the arena was full and in use.
    pub full: u64,
    /// Regions that were refused because code had been invalidated meanwhile.
    pub stale_regions: u64,
}

/// What can go wrong in the compiler; none of it is the guest's fault.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum JitError {
    #[error("no memory for compiled code")]
    Memory(#[source] std::io::Error),
    #[error("this host is not supported: {0}")]
    Host(String),
    #[error("the code generator refuses its settings")]
    Settings(#[from] settings::SetError),
    #[error("the code generator cannot be set up")]
    Codegen(#[source] cranelift_codegen::CodegenError),
    #[error("the runtime stubs cannot be made")]
    Module(#[source] Box<cranelift_module::ModuleError>),
    #[error("the region at {pc:#x} cannot be compiled: {message}")]
    Region { pc: u64, message: String },
    #[error("unexpected relocation {0}")]
    Relocation(String),
    #[error("the code generator panicked on the region at {pc:#x}")]
    Panic { pc: u64 },
}

/// The settings that correctness rests on: at `opt_level=none` nothing is folded, moved or removed, so that loads stay
/// loads and floating-point ops keep their rounding mode and flags.
fn isa_flags(verify: bool) -> Result<settings::Flags, JitError> {
    let mut flags = settings::builder();
    flags.set("opt_level", "none")?;
    flags.set("enable_verifier", if verify { "true" } else { "false" })?;
    flags.set("unwind_info", "false")?;
    flags.set("enable_probestack", "false")?;
    // Tail calls need frame pointers on x64.
    flags.set("preserve_frame_pointers", "true")?;
    Ok(settings::Flags::new(flags))
}
