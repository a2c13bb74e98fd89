/* RISC-V: the registers a handler sees at a fault in the middle of straight-line code, and that it can change them. */
#include "guest.h"

#ifdef __riscv
static unsigned long seen[32];
static double seen_f[32];
static int faults;

static void on_fault(int number, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    (void)number, (void)info;
    faults++;
    for (int i = 1; i < 32; i++)
        seen[i] = c->uc_mcontext.__gregs[i];
    for (int i = 0; i < 32; i++)
        memcpy(&seen_f[i], &c->uc_mcontext.__fpregs.__d.__f[i], 8);
    c->uc_mcontext.__gregs[REG_PC] += 4;
    c->uc_mcontext.__gregs[18] = 4242; /* s2 */
    double changed = 2.75;
    memcpy(&c->uc_mcontext.__fpregs.__d.__f[8], &changed, 8); /* fs0 */
}

/* Fills the registers, counts s3 and t3 up, faults at a load or a store, counts on, and stores s2, s3, t3, fs0, fs1 to a0. */
#define RUN(name, instruction)                                                                                          \
    void name(void *out);                                                                                               \
    __asm__(".text\n .globl " #name "\n .type " #name ", @function\n" #name ":\n"                                       \
            "addi sp, sp, -128\n sd s1, 0(sp)\n sd s2, 8(sp)\n sd s3, 16(sp)\n sd s4, 24(sp)\n sd s5, 32(sp)\n"         \
            "sd s6, 40(sp)\n sd s7, 48(sp)\n sd s8, 56(sp)\n sd s9, 64(sp)\n sd s10, 72(sp)\n sd s11, 80(sp)\n"         \
            "fsd fs0, 88(sp)\n fsd fs1, 96(sp)\n"                                                                       \
            "li t0, 1005\n li t2, 1007\n li s1, 1009\n li a1, 1011\n li a2, 1012\n li a3, 1013\n li a4, 1014\n"         \
            "li a5, 1015\n li a6, 1016\n li a7, 1017\n li s2, 1018\n li s3, 1019\n li s4, 1020\n li s5, 1021\n"         \
            "li s6, 1022\n li s7, 1023\n li s8, 1024\n li s9, 1025\n li s10, 1026\n li s11, 1027\n li t3, 1028\n"       \
            "li t4, 1029\n li t5, 1030\n li t6, -1031\n"                                                                \
            "fcvt.d.w fs0, a2\n fcvt.d.w fs1, a1\n fcvt.d.w ft11, t6\n fcvt.d.w ft0, t0\n"                              \
            "addi s3, s3, 1\n addi t3, t3, 2\n fadd.d fs1, fs1, fs1\n li t1, 8\n"                                       \
            ".option push\n .option norvc\n" instruction "\n .option pop\n"                                             \
            "addi s3, s3, 100\n addi t3, t3, 100\n fadd.d fs1, fs1, fs0\n"                                              \
            "sd s2, 0(a0)\n sd s3, 8(a0)\n sd t3, 16(a0)\n fsd fs0, 24(a0)\n fsd fs1, 32(a0)\n"                         \
            "ld s1, 0(sp)\n ld s2, 8(sp)\n ld s3, 16(sp)\n ld s4, 24(sp)\n ld s5, 32(sp)\n ld s6, 40(sp)\n"             \
            "ld s7, 48(sp)\n ld s8, 56(sp)\n ld s9, 64(sp)\n ld s10, 72(sp)\n ld s11, 80(sp)\n fld fs0, 88(sp)\n"       \
            "fld fs1, 96(sp)\n addi sp, sp, 128\n ret\n")

RUN(store_faults, "sd t0, 0(t1)");
RUN(load_faults, "ld s2, 0(t1)");
RUN(float_load_faults, "fld fs0, 0(t1)");
RUN(atomic_faults, "amoadd.d s2, t0, (t1)");
RUN(reserve_faults, "lr.w s2, (t1)");

int main(void)
{
    void (*const run[])(void *) = { store_faults, load_faults, float_load_faults, atomic_faults, reserve_faults };
    on_signal(SIGSEGV, 0, on_fault);
    for (int round = 0; round < 500; round++)
        for (int i = 0; i < 5; i++) {
            struct {
                long s2, s3, t3;
                double fs0, fs1;
            } out;
            memset(seen, 0, sizeof seen);
            run[i](&out);
            for (int r = 5; r < 32; r++) {
                unsigned long expected = r == 6 ? 8 : r == 10 ? (unsigned long)&out : r == 19 ? 1020 : r == 28 ? 1030 :
                                         r == 31 ? -1031ul : 1000 + (unsigned long)r;
                if (r != 8)
                    CHECK(seen[r] == expected);
            }
            CHECK(seen_f[8] == 1012 && seen_f[9] == 2022 && seen_f[31] == -1031 && seen_f[0] == 1005);
            CHECK(out.s2 == 4242 && out.s3 == 1120 && out.t3 == 1130 && out.fs0 == 2.75 && out.fs1 == 2024.75);
        }
    printf("%d faults\n", faults);
    DONE();
}
#else
int main(void)
{
    printf("only for RISC-V\n");
    DONE();
}
#endif
