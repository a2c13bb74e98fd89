//! What all regions share: the way out of an exit that is not linked, made once with cranelift-jit when there is a first region, and never
//! freed.

use crate::context::{ExitCode, offset};
use crate::link::SLOT_PC;
use crate::lower::code_signature;
use crate::{JitError, isa_flags};
use cranelift_codegen::ir::{Function, InstBuilder, MemFlagsData, UserFuncName, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, default_libcall_names};
use std::sync::{Mutex, PoisonError};

/// The address of `(ctx, slot)`, where an exit's slot points while it is not linked: it returns to the machine, which goes on at the slot's
/// pc. Made at the first call.
pub(crate) fn exit_stub() -> Result<u64, JitError> {
    static STUB: Mutex<Option<u64>> = Mutex::new(None);
    let mut stub = STUB.lock().unwrap_or_else(PoisonError::into_inner);
    match *stub {
        Some(made) => Ok(made),
        None => Ok(*stub.insert(make_exit_stub()?)),
    }
}

fn make_exit_stub() -> Result<u64, JitError> {
    let wrap = |e| JitError::Module(Box::new(e));
    let isa = cranelift_native::builder()
        .map_err(|e| JitError::Host(e.into()))?
        .finish(isa_flags(false)?)
        .map_err(JitError::Codegen)?;
    let mut module = JITModule::new(JITBuilder::with_isa(isa, default_libcall_names()));
    let id = module.declare_function("exit", Linkage::Local, &code_signature()).map_err(wrap)?;
    let mut ctx = module.make_context();
    ctx.func = Function::with_name_signature(UserFuncName::user(1, id.as_u32()), code_signature());
    let mut fctx = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut ctx.func, &mut fctx);
    build_exit(&mut b);
    b.seal_all_blocks();
    b.finalize(module.isa().frontend_config());
    module.define_function(id, &mut ctx).map_err(wrap)?;
    module.finalize_definitions().map_err(wrap)?;
    let address = module.get_finalized_function(id) as u64;
    // The code stays for the life of the process.
    std::mem::forget(module);
    Ok(address)
}

fn build_exit(b: &mut FunctionBuilder<'_>) {
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let (ctx, slot) = (b.block_params(entry)[0], b.block_params(entry)[1]);
    let trusted = MemFlagsData::trusted();
    let pc = b.ins().load(types::I64, trusted, slot, SLOT_PC);
    b.ins().store(trusted, pc, ctx, offset::PC);
    b.ins().store(trusted, slot, ctx, offset::LINK);
    let kind = b.ins().iconst(types::I32, ExitCode::Next as i64);
    b.ins().store(trusted, kind, ctx, offset::EXIT_KIND);
    b.ins().return_(&[]);
}
