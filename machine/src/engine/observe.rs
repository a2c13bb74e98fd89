//! Seeing what is translated (`--dump`).

use super::Engine;
use crate::mem::UserEnv;
use emu_backend_jit::CompiledRegion;
use emu_ir::{Block, Fetch, Guest};
use std::sync::Arc;

/// Sees translated code when it is made. Called from several threads.
pub trait Observer: Send + Sync {
    /// Shall regions keep Cranelift's IR?
    fn wants_clif(&self) -> bool;
    /// A block was decoded and optimised; `code` reads the guest's memory.
    fn block(&self, guest: &dyn Guest, block: &Block, code: &mut dyn Fetch);
    /// A region was compiled.
    fn region(&self, region: &CompiledRegion);
    /// Code was put in place.
    fn placed(&self, code: PlacedCode);
}

/// Code in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedCode {
    /// Guest address of its entry.
    pub pc: u64,
    /// It is quick code, not a region.
    pub quick: bool,
    /// Host address.
    pub start: u64,
    /// Bytes.
    pub len: usize,
}

impl Engine {
    /// Shows `observer` all that is translated from now on. The first one stays.
    pub fn set_observer(&self, observer: Arc<dyn Observer>) {
        let _ = self.observer.set(observer);
    }

    /// Puts code in place, unless the guest's code has changed since `generation`.
    pub(super) fn install(&self, region: &CompiledRegion, generation: u64) -> bool {
        let start = self.code().install(region, generation);
        if let (Some(start), Some(observer)) = (start, self.observer.get()) {
            observer.placed(PlacedCode { pc: region.key.pc, quick: region.quick, start, len: region.bytes.len() });
        }
        start.is_some()
    }

    pub(super) fn wants_clif(&self) -> bool {
        self.observer.get().is_some_and(|o| o.wants_clif())
    }

    pub(super) fn show_block(&self, block: &Block) {
        if let Some(observer) = self.observer.get() {
            observer.block(&*self.guest, block, &mut UserEnv::new(Arc::clone(&self.mem)));
        }
    }

    pub(super) fn show_region(&self, region: &CompiledRegion) {
        if let Some(observer) = self.observer.get() {
            observer.region(region);
        }
    }
}
