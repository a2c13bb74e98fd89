//! The few pieces of code that all regions share, made once with cranelift-jit when there is a first region, and never freed.

use crate::context::{ExitCode, JUMP_MASK, offset};
use crate::link::{QUICK_ENTRY, SLOT_PC};
use crate::lower::code_signature;
use crate::{JitError, isa_flags};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Function, InstBuilder, MemFlagsData, UserFuncName, Value, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, default_libcall_names};
use std::sync::{Mutex, PoisonError};

/// Addresses of the stubs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stubs {
    /// `(ctx, slot)`: where an exit's slot points while it is not linked. Returns to the machine at the slot's pc.
    pub(crate) exit: u64,
    /// `(ctx, target)`: jumps to the code for `target` if the jump cache knows it, else returns to the machine.
    pub(crate) indirect: u64,
}

impl Stubs {
    /// The stubs of this process, made at the first call.
    pub(crate) fn get() -> Result<Stubs, JitError> {
        static STUBS: Mutex<Option<Stubs>> = Mutex::new(None);
        let mut stubs = STUBS.lock().unwrap_or_else(PoisonError::into_inner);
        match *stubs {
            Some(made) => Ok(made),
            None => Ok(*stubs.insert(Stubs::new()?)),
        }
    }

    fn new() -> Result<Stubs, JitError> {
        let isa = cranelift_native::builder()
            .map_err(|e| JitError::Host(e.into()))?
            .finish(isa_flags()?)
            .map_err(JitError::Codegen)?;
        let mut module = JITModule::new(JITBuilder::with_isa(isa, default_libcall_names()));
        let exit = define(&mut module, "exit", build_exit)?;
        let indirect = define(&mut module, "indirect", build_indirect)?;
        module.finalize_definitions().map_err(|e| JitError::Module(Box::new(e)))?;
        let stubs = Stubs {
            exit: module.get_finalized_function(exit) as u64,
            indirect: module.get_finalized_function(indirect) as u64,
        };
        // The code stays for the life of the process.
        std::mem::forget(module);
        Ok(stubs)
    }
}

fn define(
    module: &mut JITModule,
    name: &str,
    build: fn(&mut FunctionBuilder<'_>, Value, Value),
) -> Result<cranelift_module::FuncId, JitError> {
    let wrap = |e| JitError::Module(Box::new(e));
    let id = module.declare_function(name, Linkage::Local, &code_signature()).map_err(wrap)?;
    let mut ctx = module.make_context();
    ctx.func = Function::with_name_signature(UserFuncName::user(1, id.as_u32()), code_signature());
    let mut fctx = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut ctx.func, &mut fctx);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let (context, arg) = (b.block_params(entry)[0], b.block_params(entry)[1]);
    build(&mut b, context, arg);
    b.seal_all_blocks();
    b.finalize(module.isa().frontend_config());
    module.define_function(id, &mut ctx).map_err(wrap)?;
    Ok(id)
}

fn build_exit(b: &mut FunctionBuilder<'_>, ctx: Value, slot: Value) {
    let pc = b.ins().load(types::I64, MemFlagsData::trusted(), slot, SLOT_PC);
    leave(b, ctx, pc, slot);
}

fn build_indirect(b: &mut FunctionBuilder<'_>, ctx: Value, target: Value) {
    let trusted = MemFlagsData::trusted();
    let (hit, miss) = (b.create_block(), b.create_block());
    let table = b.ins().load(types::I64, trusted, ctx, offset::JUMP_ENTRIES);
    let index = b.ins().band_imm_u(target, i64::from(JUMP_MASK));
    let byte = b.ins().ishl_imm_u(index, 3);
    let entry = b.ins().iadd(table, byte);
    let pc = b.ins().load(types::I64, trusted, entry, 0);
    let same = b.ins().icmp(IntCC::Equal, pc, target);
    b.ins().brif(same, hit, &[], miss, &[]);
    b.switch_to_block(hit);
    let code = b.ins().load(types::I64, trusted, entry, 8);
    let code = b.ins().iadd_imm_s(code, -(QUICK_ENTRY as i64));
    let sig = b.import_signature(code_signature());
    b.ins().return_call_indirect(sig, code, &[ctx, target]);
    b.switch_to_block(miss);
    b.set_cold_block(miss);
    let none = b.ins().iconst(types::I64, 0);
    leave(b, ctx, target, none);
}

/// Returns to the machine to go on at `pc`, naming the slot that wants to be linked.
fn leave(b: &mut FunctionBuilder<'_>, ctx: Value, pc: Value, slot: Value) {
    let trusted = MemFlagsData::trusted();
    b.ins().store(trusted, pc, ctx, offset::PC);
    b.ins().store(trusted, slot, ctx, offset::LINK);
    let kind = b.ins().iconst(types::I32, ExitCode::Next as i64);
    b.ins().store(trusted, kind, ctx, offset::EXIT_KIND);
    b.ins().return_(&[]);
}
