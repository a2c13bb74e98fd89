//! The border between Rust and compiled code: entry, the way out of a fault, and the call of Rust helpers.

use crate::context::{BIAS, Context, DEFAULT_MXCSR, ExitCode, STICKY, offset};
use crate::helpers;
use crate::link::RECORD_BIT;
use emu_ir::Env;
use std::arch::naked_asm;

/// Runs compiled code until it returns.
///
/// # Safety
/// `code` is the executable address of a region that stays in place while the call lasts; `ctx` is fit for it
/// (`mem_base`, `helpers`).
pub(crate) unsafe fn enter(ctx: &mut Context, code: u64, env: &mut dyn Env) -> ExitCode {
    let env: *mut (dyn Env + '_) = env;
    // SAFETY: only the lifetime changes; the pointer is taken away again before this call returns.
    ctx.env = Some(unsafe { std::mem::transmute::<*mut (dyn Env + '_), *mut (dyn Env + 'static)>(env) });
    ctx.load_fp();
    // SAFETY: by this function's own contract.
    unsafe { enter_code(ctx, code) };
    ctx.env = None;
    ctx.collect_flags();
    match ctx.exit_kind {
        0 => ExitCode::Next,
        1 => ExitCode::Syscall,
        2 => ExitCode::Interpret,
        3 => ExitCode::Interrupted,
        4 => ExitCode::Budget,
        5 => ExitCode::ImpreciseFault,
        6 => ExitCode::ModeChange,
        7 => ExitCode::Hot,
        8 => ExitCode::Trap,
        other => unreachable!("compiled code left with exit kind {other}"),
    }
}

/// Where a fault handler sends a thread that faulted in a region, with the stack pointer at
/// `Context::host_sp`.
pub(crate) fn fault_return() -> u64 {
    leave_code as *const () as u64
}

/// Quick code calls this to leave through an exit that is not joined to code yet; its record ([`crate::link`]) is at the
/// return address.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn quick_exit() {
    naked_asm!(
        "pop rsi",
        "mov rax, [rsi]",
        "bts rsi, {record}",
        "mov [rdi + {pc}], rax",
        "mov [rdi + {link}], rsi",
        "mov dword ptr [rdi + {kind}], {next}",
        "ret",
        record = const RECORD_BIT,
        pc = const offset::PC,
        link = const offset::LINK,
        kind = const offset::EXIT_KIND,
        next = const ExitCode::Next as i32,
    )
}

/// Quick code calls this to leave to the machine; the guest's pc is at the return address, and a byte that says why.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn quick_leave() {
    naked_asm!(
        "pop rsi",
        "mov rax, [rsi]",
        "movzx ecx, byte ptr [rsi + 8]",
        "mov [rdi + {pc}], rax",
        "mov [rdi + {kind}], ecx",
        "ret",
        pc = const offset::PC,
        kind = const offset::EXIT_KIND,
    )
}

/// Leaves to the machine, which goes on at the guest address in rsi.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn leave_for_target() {
    naked_asm!(
        "mov [rdi + {pc}], rsi",
        "mov qword ptr [rdi + {link}], 0",
        "mov dword ptr [rdi + {kind}], {next}",
        "ret",
        pc = const offset::PC,
        link = const offset::LINK,
        kind = const offset::EXIT_KIND,
        next = const ExitCode::Next as i32,
    )
}

static RUST_MXCSR: u32 = DEFAULT_MXCSR;

/// Saves what the System V ABI wants saved, switches to the guest's MXCSR and calls `code(ctx + BIAS, 0)`. The `Tail`
/// convention of compiled code takes its first two arguments in rdi and rsi.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_code(ctx: *mut Context, code: u64) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rdi, -{bias}",
        "push rdi",
        "mov [rdi + {host_sp}], rsp",
        "ldmxcsr [rdi + {mxcsr}]",
        "mov rax, rsi",
        "xor esi, esi",
        "call rax",
        "jmp {leave}",
        bias = const BIAS,
        host_sp = const offset::HOST_SP,
        mxcsr = const offset::MXCSR,
        leave = sym leave_code,
    )
}

/// Undoes `enter_code`; the stack pointer is as it was before its call.
#[unsafe(naked)]
unsafe extern "sysv64" fn leave_code() {
    naked_asm!(
        "pop rdi",
        "stmxcsr [rdi + {mxcsr}]",
        "ldmxcsr [rip + {rust}]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        mxcsr = const offset::MXCSR,
        rust = sym RUST_MXCSR,
    )
}

/// Compiled code calls Rust through here: `(ctx, descriptor, a, b, c) -> u64`, with Rust's MXCSR meanwhile.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn helper_entry(ctx: *mut Context, descriptor: u64, a: u64, b: u64, c: u64) -> u64 {
    naked_asm!(
        "push rdi",
        "stmxcsr [rdi + {mxcsr}]",
        "ldmxcsr [rip + {rust}]",
        "add rdi, -{bias}",
        "call {dispatch}",
        "pop rdi",
        "ldmxcsr [rdi + {mxcsr}]",
        "ret",
        mxcsr = const offset::MXCSR,
        rust = sym RUST_MXCSR,
        bias = const BIAS,
        dispatch = sym helpers::dispatch,
    )
}

/// Stores MXCSR, which Cranelift cannot, to [`Context::mxcsr`]. Changes no register.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn store_mxcsr_entry(ctx: *mut Context) {
    naked_asm!("stmxcsr [rdi + {mxcsr}]", "ret", mxcsr = const offset::MXCSR)
}

/// Clears the flags in MXCSR, which Cranelift cannot. Changes no register.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn clear_flags_entry(ctx: *mut Context) {
    naked_asm!(
        "stmxcsr [rdi + {mxcsr}]",
        "and dword ptr [rdi + {mxcsr}], {kept}",
        "ldmxcsr [rdi + {mxcsr}]",
        "ret",
        mxcsr = const offset::MXCSR,
        kept = const !(STICKY as i32),
    )
}

/// As [`helper_entry`], for calls out of the way: keeps all registers, so that the code around need not, and leaves the result in
/// `Context::helper_result`. (Compiled code uses the lower halves of the vector registers only.)
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn quiet_helper_entry(ctx: *mut Context, descriptor: u64, a: u64, b: u64, c: u64) {
    naked_asm!(
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "sub rsp, 256",
        "movups [rsp + 0], xmm0",
        "movups [rsp + 16], xmm1",
        "movups [rsp + 32], xmm2",
        "movups [rsp + 48], xmm3",
        "movups [rsp + 64], xmm4",
        "movups [rsp + 80], xmm5",
        "movups [rsp + 96], xmm6",
        "movups [rsp + 112], xmm7",
        "movups [rsp + 128], xmm8",
        "movups [rsp + 144], xmm9",
        "movups [rsp + 160], xmm10",
        "movups [rsp + 176], xmm11",
        "movups [rsp + 192], xmm12",
        "movups [rsp + 208], xmm13",
        "movups [rsp + 224], xmm14",
        "movups [rsp + 240], xmm15",
        "stmxcsr [rdi + {mxcsr}]",
        "ldmxcsr [rip + {rust}]",
        "add rdi, -{bias}",
        "call {dispatch}",
        "movups xmm0, [rsp + 0]",
        "movups xmm1, [rsp + 16]",
        "movups xmm2, [rsp + 32]",
        "movups xmm3, [rsp + 48]",
        "movups xmm4, [rsp + 64]",
        "movups xmm5, [rsp + 80]",
        "movups xmm6, [rsp + 96]",
        "movups xmm7, [rsp + 112]",
        "movups xmm8, [rsp + 128]",
        "movups xmm9, [rsp + 144]",
        "movups xmm10, [rsp + 160]",
        "movups xmm11, [rsp + 176]",
        "movups xmm12, [rsp + 192]",
        "movups xmm13, [rsp + 208]",
        "movups xmm14, [rsp + 224]",
        "movups xmm15, [rsp + 240]",
        "add rsp, 256",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "mov [rdi + {result}], rax",
        "ldmxcsr [rdi + {mxcsr}]",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "ret",
        mxcsr = const offset::MXCSR,
        result = const offset::HELPER_RESULT,
        rust = sym RUST_MXCSR,
        bias = const BIAS,
        dispatch = sym helpers::dispatch,
    )
}
