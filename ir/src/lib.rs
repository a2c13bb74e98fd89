//! The intermediate representation of `emu`.
//!
//! Every guest decoder lowers machine instructions to this IR and every engine runs it. The crate depends on
//! no other crate of the workspace.
//!
//! The principal types:
//!
//! - [`Block`]: straight-line SSA code for a run of guest instructions, ended by one [`Terminator`].
//! - [`Inst`] and the op enums in [`op`]: what one IR instruction does. [`eval`] is the only place where the
//!   meaning of a pure op is written down.
//! - [`Builder`]: how a decoder makes a block.
//! - [`CpuState`]: the registers of one hart, as generated code sees them.
//! - [`Guest`], [`Env`]: the contracts between decoders, engines and the machine.
//!
//! ```
//! use emu_ir::{BlockKey, Builder, Slot, Terminator, Type, JumpKind};
//!
//! let mut b = Builder::new(BlockKey { pc: 0x1000, mode: 0 });
//! b.begin_insn(0x1000, 4);
//! let x = b.get(Type::I64, Slot(5));
//! let one = b.iconst(Type::I64, 1);
//! let sum = b.add(x, one);
//! b.set(Slot(5), sum);
//! let block = b.finish(Terminator::Jump { target: 0x1004, kind: JumpKind::Plain });
//! assert_eq!(block.insts.len(), 4);
//! ```
#![forbid(unsafe_code)]

pub mod block;
pub mod builder;
pub mod eval;
pub mod guest;
mod names;
pub mod op;
pub mod opt;
pub mod pattern;
pub mod reserve;
mod spare;
pub mod state;
pub mod text;
pub mod types;
pub mod verify;

pub use block::{Block, BlockKey, IndirectKind, InsnMark, Inst, JumpKind, Terminator, Value};
pub use builder::Builder;
pub use guest::{
    AccessKind, Counter, Env, Exit, Fault, FaultCause, Fetch, Guest, HOT_SLOTS, HelperDef, Trap, TrapKind,
};
pub use op::{
    Access, AtomicOp, BinaryOp, Cond, ConvertOp, ExitKind, FenceKind, FloatBinaryOp, FloatCond, FloatConvertOp,
    FloatUnaryOp, FpFlags, HelperId, NanRule, Quietness, Round, UnaryOp,
};
pub use reserve::ScId;
pub use state::{CpuState, NO_RESERVATION, SLOTS, SPARE_SLOT, Slot, SlotInfo};
pub use types::Type;
