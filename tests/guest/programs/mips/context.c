/* The registers a handler sees at a fault in the middle of straight-line code, and that it can change them. */
#include "../guest.h"

static unsigned long in[32], seen[32];
static uint64_t seen_f[32];
static unsigned long seen_hi, seen_lo;
static int faults;
extern char *const fault_at[];
static int which;

static void on_fault(int number, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    (void)number, (void)info;
    faults++;
    CHECK((char *)(uintptr_t)c->uc_mcontext.pc == fault_at[which]);
    for (int i = 0; i < 32; i++)
        seen[i] = (unsigned long)c->uc_mcontext.gregs[i];
    memcpy(seen_f, &c->uc_mcontext.fpregs, sizeof seen_f);
    seen_hi = (unsigned long)c->uc_mcontext.mdhi, seen_lo = (unsigned long)c->uc_mcontext.mdlo;
    c->uc_mcontext.pc += 4;
    c->uc_mcontext.gregs[18] = 4242;
    c->uc_mcontext.mdlo = 333;
    double changed = 2.75;
    memcpy((char *)&c->uc_mcontext.fpregs + 8 * 8, &changed, 8); /* $f8 */
}

#if _MIPS_SIM == _ABIO32
#define WORD "4"
#define LW "lw"
#define SW "sw"
#else
#define WORD "8"
#define LW "ld"
#define SW "sd"
#endif
#if _MIPS_SIM == _ABIN32
#define SLOT "4" /* in[] has pointers' width; the registers are wider */
#undef LW
#define LW "lw"
#define SW_OUT "sw"
#else
#define SLOT WORD
#define SW_OUT SW
#endif
#if __mips_isa_rev < 6
#define SET_LO "mtlo $12\n mthi $13\n"
#define GET_LO "mflo $2\n " SW_OUT " $2, 0*" SLOT "($5)\n"
#else
#define SET_LO ""
#define GET_LO ""
#endif
#if _MIPS_SZPTR == 64
#define ADD_SP "daddiu $sp, $sp, "
#else
#define ADD_SP "addiu $sp, $sp, "
#endif

/* Saves what is the caller's, fills the registers from $4, counts $19 and $f10 up, faults at an access to $9, counts on, and
 * stores all to $5. */
#define RUN(name, instruction)                                                                                             \
    void name(unsigned long *from, unsigned long *to, double *floats);                                                     \
    __asm__(".text\n .set push\n .set noreorder\n .set noat\n .set nomacro\n .globl " #name "\n .type " #name ", @function\n" #name ":\n"     \
            ADD_SP "-256\n"                                                                                                \
            " .irp r,16,17,18,19,20,21,22,23,28,30,31\n " SW " $\\r, \\r*" WORD "($sp)\n .endr\n"                          \
            " .irp r,20,22,24,26,28,30\n sdc1 $f\\r, (\\r-20)*4($sp)\n .endr\n"                                      \
            " .irp r,1,2,3,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,30,31\n " LW " $\\r, \\r*" SLOT "($4)\n" \
            " .endr\n " SET_LO                                                                                            \
            " .irp r,8,10,30\n mtc1 $\\r, $f\\r\n cvt.d.w $f\\r, $f\\r\n .endr\n"                                          \
            " addiu $19, $19, 1\n add.d $f10, $f10, $f10\n.globl " #name "_fault\n" #name "_fault: " instruction "\n"                              \
            " addiu $19, $19, 100\n add.d $f10, $f10, $f8\n"                                                               \
            " .irp r,1,3,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,30,31\n " SW_OUT " $\\r, \\r*" SLOT "($5)\n .endr\n" \
            GET_LO " sdc1 $f8, 0($6)\n sdc1 $f10, 8($6)\n"                                                                 \
            " .irp r,20,22,24,26,28,30\n ldc1 $f\\r, (\\r-20)*4($sp)\n .endr\n"                                      \
            " .irp r,16,17,18,19,20,21,22,23,28,30,31\n " LW_SAVED " $\\r, \\r*" WORD "($sp)\n .endr\n"                    \
            " jr $31\n " ADD_SP "256\n .set pop\n");                                                                       \
    extern char name##_fault[]
#if _MIPS_SIM == _ABIO32
#define LW_SAVED "lw"
#else
#define LW_SAVED "ld"
#endif

RUN(store_faults, "sw $3, 0($9)");
RUN(load_faults, "lw $18, 0($9)");
RUN(float_load_faults, "ldc1 $f8, 0($9)");
RUN(byte_faults, "sb $19, 0($9)");
RUN(half_faults, "lhu $18, 0($9)");
char *const fault_at[] = { store_faults_fault, load_faults_fault, float_load_faults_fault, byte_faults_fault, half_faults_fault };

int main(void)
{
    void (*const run[])(unsigned long *, unsigned long *, double *) = { store_faults, load_faults, float_load_faults, byte_faults, half_faults };
    on_signal(SIGSEGV, 0, on_fault);
    for (int i = 0; i < 32; i++)
        in[i] = i % 3 ? 1000ul + (unsigned)i : -1000ul - (unsigned)i;
    in[9] = 8;
    for (int round = 0; round < 500; round++)
        for (which = 0; which < 5; which++) {
            unsigned long out[32];
            double floats[2];
            memset(seen, 0, sizeof seen);
            run[which](in, out, floats);
            for (int r = 1; r < 32; r++) {
                if (r == 26 || r == 27 || r == 29)
                    continue;
                unsigned long expected = r == 4 ? (unsigned long)in : r == 5 ? (unsigned long)out : r == 6 ? (unsigned long)floats : in[r];
                CHECK(seen[r] == expected + (r == 19));
                if (r != 2 && (r < 4 || r > 6))
                    CHECK(out[r] == (r == 18 ? 4242 : r == 19 ? in[19] + 101 : in[r]));
            }
            double f8, f10, f30;
            memcpy(&f8, &seen_f[8], 8);
            memcpy(&f10, &seen_f[10], 8);
            memcpy(&f30, &seen_f[30], 8);
            CHECK(f8 == (double)(long)in[8] && f10 == 2 * (double)(long)in[10] && f30 == (double)(long)in[30]);
            CHECK(floats[0] == 2.75 && floats[1] == f10 + 2.75);
#if __mips_isa_rev < 6
            CHECK(seen_lo == in[12] && seen_hi == in[13] && out[0] == 333);
#endif
            if (failures)
                return 1;
        }
    printf("%d faults\n", faults);
    DONE();
}
