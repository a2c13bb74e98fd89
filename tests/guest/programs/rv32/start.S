# Entry of a bare RV32 Linux program: gp, argc and argv from the stack, main, exit_group.
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    fscsr zero
    lw a0, 0(sp)
    addi a1, sp, 4
    andi sp, sp, -16
    call main
    .globl _exit
_exit:
    li a7, 94               # exit_group
    ecall
    j _exit

# long linux_syscall(long a, long b, long c, long d, long e, long f, long number)
    .globl linux_syscall
    .type linux_syscall, @function
linux_syscall:
    mv a7, a6
    ecall
    ret
