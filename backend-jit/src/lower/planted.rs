//! Mistakes on purpose: a test of what finds mistakes needs one to find.

use super::Lower;
use crate::analysis::SlotSet;
use cranelift_codegen::ir::{InstBuilder, Value as ClifValue};
use emu_ir::BinaryOp;
use std::fmt;
use std::str::FromStr;

/// What is lowered wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedFault {
    /// The lowest bit of this op's result is inverted.
    Binary(BinaryOp),
    /// The lowest bit of an integer that is stored is inverted.
    Store,
    /// A region of several blocks forgets a register where it writes them back: no block alone is wrong.
    WriteBack,
}

impl FromStr for PlantedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "store" => return Ok(PlantedFault::Store),
            "write-back" => return Ok(PlantedFault::WriteBack),
            _ => {}
        }
        let op = BinaryOp::ALL.into_iter().find(|op| op.name() == text);
        let op =
            op.ok_or_else(|| format!("\"{text}\" is neither \"store\" nor \"write-back\" nor a binary op of the IR"))?;
        Ok(PlantedFault::Binary(op))
    }
}

impl fmt::Display for PlantedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlantedFault::Binary(op) => op.name(),
            PlantedFault::Store => "store",
            PlantedFault::WriteBack => "write-back",
        })
    }
}

impl Lower<'_> {
    /// `value`, spoilt if the mistake `here` is to be made.
    pub(super) fn planted(&mut self, here: PlantedFault, value: ClifValue) -> ClifValue {
        let is_int = self.b.func.dfg.value_type(value).is_int();
        if self.options.planted != Some(here) || !is_int {
            return value;
        }
        self.b.ins().bxor_imm_s(value, 1)
    }

    /// The registers to write back, but the highest if that is the mistake to be made.
    pub(super) fn planted_write_back(&self, mut slots: SlotSet) -> SlotSet {
        if self.options.planted == Some(PlantedFault::WriteBack) && self.region.blocks.len() > 1 {
            let last = slots.iter().last();
            last.into_iter().for_each(|slot| slots.remove(slot));
        }
        slots
    }
}
