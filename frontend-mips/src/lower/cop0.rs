//! Instructions that a user program may not use.

use super::{Flow, Lower};
use crate::fields::Word;
use emu_ir::TrapKind;

/// Anything of coprocessor 0, and CACHE.
pub fn privileged(t: &mut Lower, _: Word) -> Flow {
    t.trap(TrapKind::CoprocessorUnusable { unit: 0 })
}

/// Coprocessor 2 and its loads and stores: there is none.
pub fn cop2(t: &mut Lower, _: Word) -> Flow {
    t.trap(TrapKind::CoprocessorUnusable { unit: 2 })
}

/// Coprocessor 3 of MIPS I and II.
pub fn cop3(t: &mut Lower, _: Word) -> Flow {
    t.trap(TrapKind::CoprocessorUnusable { unit: 3 })
}
