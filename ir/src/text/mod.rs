//! The text form of blocks: one instruction a line, printed by [`print`](fn@print) and read by [`parse`](fn@parse).
//!
//! ```text
//! block 0x1000 mode 0x0
//! insn 0x1000 len 4
//!   v0 = get.i64 a0
//!   v1 = load.i64.s4 v0+8
//!   set a0, v1
//! insn 0x1004 len 4
//!   v3 = const.i64 0
//!   v4 = icmp.ne.i64 v1, v3
//!   branch v4, 0x1000, 0x1008
//! ```
//!
//! A value's number is the index of its instruction when printed; the parser takes any numbers. `;` starts a comment.
//! A register has its name in [`Names::slots`], or is `slot5`; a helper has its name, or is `helper3`. Access widths are
//! `u4` or `s4` (extended by zero or sign), with `be` for big endian. `nan propagate` or `nan legacy` may follow the mode.

mod parse;
mod print;

pub use parse::{ParseError, parse};
pub use print::print;

use crate::guest::{Guest, HelperDef};
use crate::state::SlotInfo;

/// The names of a guest's registers and helpers; none by default.
#[derive(Clone, Copy, Default)]
pub struct Names<'a> {
    /// The register slots.
    pub slots: &'a [SlotInfo],
    /// The helpers.
    pub helpers: &'a [HelperDef],
}

impl<'a> Names<'a> {
    /// Those of a guest.
    pub fn of(guest: &'a dyn Guest) -> Names<'a> {
        Names { slots: guest.slots(), helpers: guest.helpers() }
    }
}
