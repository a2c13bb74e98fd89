//! Mistakes on purpose: a test of what finds mistakes needs one to find.

use super::Lower;
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
}

impl FromStr for PlantedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "store" {
            return Ok(PlantedFault::Store);
        }
        let op = BinaryOp::ALL.into_iter().find(|op| op.name() == text);
        op.map(PlantedFault::Binary).ok_or_else(|| format!("\"{text}\" is neither \"store\" nor a binary op of the IR"))
    }
}

impl fmt::Display for PlantedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlantedFault::Binary(op) => op.name(),
            PlantedFault::Store => "store",
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
}
