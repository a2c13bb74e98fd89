//! Comparisons that keep the exception flags as they were: RISC-V has no quiet `flt` and `fle` without the Zfa extension, so
//! compilers put one between `frflags` and `fsflags`.

use super::Rewriter;
use crate::block::{Inst, Value};
use crate::op::{ConvertOp, Quietness};

impl Rewriter {
    /// Makes the comparisons since the flags were read silent, if `value` is what was read and nothing else could have changed the
    /// flags or shown them: then they need not be written.
    pub(super) fn silences(&mut self, value: Value) -> bool {
        let read = self.converted(ConvertOp::Trunc, value).unwrap_or(value);
        let read = self.converted(ConvertOp::Zext, read).unwrap_or(read);
        if !matches!(self.def(read), Inst::ReadFpFlags) {
            return false;
        }
        let since = &mut self.out[read.index() + 1..];
        if !since.iter().all(|i| i.is_pure() || matches!(i, Inst::Set { .. } | Inst::FloatCompare { .. })) {
            return false;
        }
        for inst in since {
            if let Inst::FloatCompare { quietness, .. } = inst {
                *quietness = Quietness::Silent;
            }
        }
        true
    }
}
