//! From a region to bytes.

use crate::baseline::{REGION_PREFIX, region_prefix};
use crate::hart::OVERSHOOT;
use crate::link::{DirectExit, SLOT_SIZE, Spot};
use crate::lower::{self, InsnRef};
use crate::region::{PageList, Region};
use crate::stubs::exit_stub;
use crate::{CompileOptions, JitError, isa_flags};
use cranelift_codegen::Context as CodegenContext;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{ExternalName, Function};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget};
use cranelift_frontend::FunctionBuilderContext;
use emu_ir::{BlockKey, NanRule};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The convention that a region is compiled with: it keeps none of the host's registers for its caller. Whoever jumps to a region expects
/// none to be kept, and `enter_code` has saved them all. `Tail`, which the jumps themselves need, would have each region that uses rbx or r12 to r15
/// save them where it begins, and load them at each exit.
///
/// With debug assertions Cranelift insists that such jumps are made from `Tail`. Otherwise it makes the same of both: x86's `Winch` has the
/// same registers for arguments, and there is no result here.
const COMPILED_CONVENTION: CallConv = if cfg!(debug_assertions) { CallConv::Tail } else { CallConv::Winch };

/// A region as native code, not yet in place. The bytes do not depend on where they will lie.
#[derive(Debug, Default)]
pub struct CompiledRegion {
    /// Guest address and mode of the entry.
    pub key: BlockKey,
    /// The code, then what its exits need.
    pub bytes: Vec<u8>,
    /// More code, that seldom runs.
    pub cold: Vec<u8>,
    /// Jumps into it: where their distances are, and where they lead.
    pub cold_jumps: Vec<(Spot, Spot)>,
    /// Length of the code alone.
    pub code_len: usize,
    /// Direct exits.
    pub exits: Vec<DirectExit>,
    /// Offsets of the host instructions that access guest memory, ascending, each with an index into `insns`.
    pub traps: Vec<(u32, u32)>,
    /// The guest instructions; of quick code, those that access memory.
    pub insns: Vec<InsnRef>,
    /// How many guest instructions there are.
    pub insn_count: u32,
    /// Guest pages it was made from.
    pub pages: PageList,
    /// Does a fault in it leave exact registers?
    pub precise: bool,
    /// Is the invalid flag in MXCSR never the guest's, because its NaNs are not x86's ([`NanRule::Legacy`])?
    pub legacy_nan: bool,
    /// Does it keep `CpuState::insn_count`?
    pub counted: bool,
    /// Is it a single block's quick code, to be replaced by a region if it runs often?
    pub quick: bool,
    /// Cranelift's IR, if it was asked for.
    pub clif: Option<String>,
}

/// Compiles regions; one per thread, its buffers are used again.
pub struct Compiler {
    isa: OwnedTargetIsa,
    ctx: CodegenContext,
    fctx: FunctionBuilderContext,
}

impl Compiler {
    /// A compiler for this host. `verify` runs Cranelift's verifier on everything.
    ///
    /// # Errors
    /// If the host is not one that Cranelift knows.
    pub fn new(verify: bool) -> Result<Compiler, JitError> {
        let isa = cranelift_native::builder()
            .map_err(|e| JitError::Host(e.into()))?
            .finish(isa_flags(verify)?)
            .map_err(JitError::Codegen)?;
        // No region can be put in place without it.
        exit_stub()?;
        Ok(Compiler { isa, ctx: CodegenContext::new(), fctx: FunctionBuilderContext::new() })
    }

    /// Compiles a region.
    ///
    /// # Errors
    /// When Cranelift cannot compile it (too large, an unsupported shape): it stays with the interpreter.
    pub fn compile(&mut self, region: &Region, options: &CompileOptions) -> Result<CompiledRegion, JitError> {
        match catch_unwind(AssertUnwindSafe(|| self.compile_inner(region, options))) {
            Ok(result) => result,
            Err(_) => {
                self.ctx = CodegenContext::new();
                self.fctx = FunctionBuilderContext::new();
                Err(JitError::Panic { pc: region.entry_pc() })
            }
        }
    }

    fn compile_inner(&mut self, region: &Region, options: &CompileOptions) -> Result<CompiledRegion, JitError> {
        if (options.note_stores || options.fuel) && region.insn_count() > OVERSHOOT {
            let message = "too long between two stops".to_owned();
            return Err(JitError::Region { pc: region.entry_pc(), message });
        }
        self.ctx.clear();
        let region = &region.without_overwritten(options);
        let lowered = lower::lower_region(region, options, &*self.isa, &mut self.ctx.func, &mut self.fctx);
        let clif = options.keep_clif.then(|| self.ctx.func.display().to_string());
        self.ctx.func.signature.call_conv = COMPILED_CONVENTION;
        self.ctx
            .compile(&*self.isa, &mut ControlPlane::default())
            .map_err(|e| JitError::Region { pc: region.entry_pc(), message: format!("{:?}", e.inner) })?;
        let code = self.ctx.compiled_code().expect("just compiled");
        let mut bytes = code.code_buffer().to_vec();
        let code_len = bytes.len();
        let slots_offset = bytes.len().next_multiple_of(SLOT_SIZE);
        bytes.resize(slots_offset, 0);
        let mut exits = Vec::new();
        for &target in &lowered.slots {
            exits.push(DirectExit { target, at: (REGION_PREFIX + bytes.len()) as u32, operand: 0 });
            bytes.extend(0_u64.to_le_bytes());
            bytes.extend(target.to_le_bytes());
        }
        relocate(&mut bytes, code, &self.ctx.func, slots_offset)?;
        bytes.splice(0..0, region_prefix(options.hot));
        Ok(CompiledRegion {
            key: BlockKey { pc: region.entry_pc(), mode: region.mode },
            code_len: REGION_PREFIX + code_len,
            traps: trap_table(code),
            exits,
            insns: lowered.insns,
            insn_count: region.insn_count() as u32,
            pages: region.pages().into_iter().collect(),
            precise: options.precise_faults,
            legacy_nan: region.blocks.iter().any(|rb| rb.block.nan == NanRule::Legacy),
            counted: options.count_insns,
            quick: false,
            cold: Vec::new(),
            cold_jumps: Vec::new(),
            clif,
            bytes,
        })
    }
}

/// Resolves the references to slots, which lie at a fixed distance from the code.
fn relocate(bytes: &mut [u8], code: &CompiledCode, func: &Function, slots_offset: usize) -> Result<(), JitError> {
    for reloc in code.buffer.relocs() {
        let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = reloc.target else {
            return Err(JitError::Relocation(format!("{reloc:?}")));
        };
        // Both are "distance from the end of these four bytes"; Cranelift uses either for a nearby symbol.
        if !matches!(reloc.kind, Reloc::X86PCRel4 | Reloc::X86CallPCRel4) {
            return Err(JitError::Relocation(format!("{reloc:?}")));
        }
        let index = func.params.user_named_funcs()[name].index as usize;
        let target = (slots_offset + index * SLOT_SIZE) as i64;
        let value = target + reloc.addend - i64::from(reloc.offset);
        let at = reloc.offset as usize;
        bytes[at..at + 4].copy_from_slice(&(value as i32).to_le_bytes());
    }
    Ok(())
}

/// Which guest instruction each access to guest memory belongs to.
fn trap_table(code: &CompiledCode) -> Vec<(u32, u32)> {
    let locs = code.buffer.get_srclocs_sorted();
    let insn_at = |offset: u32| {
        let i = locs.partition_point(|l| l.start <= offset).checked_sub(1)?;
        (offset < locs[i].end && !locs[i].loc.is_default()).then(|| locs[i].loc.bits())
    };
    let traps = code.buffer.traps().iter();
    traps
        .filter_map(|t| Some((REGION_PREFIX as u32 + t.offset, lower::accessing_insn(t.code, insn_at(t.offset)?)?)))
        .collect()
}
