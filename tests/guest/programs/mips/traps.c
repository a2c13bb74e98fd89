/* Traps: overflow, break and trap codes, division by zero, reserved instructions: which signal, si_code and si_addr. */
#include "../guest.h"

static volatile int number, code, count, skip = 4;
static void *volatile address;
static volatile uintptr_t pc;

static void on_trap(int n, siginfo_t *info, void *context)
{
    number = n, code = info->si_code, address = info->si_addr, count++;
    pc = (uintptr_t)CONTEXT_PC(context);
    CONTEXT_PC(context) += skip;
}

/* What the instruction raised; at is its address if that is also the pc, else null. */
static struct raised {
    int number, code;
    void *address, *at;
} raised;

#define TRY(instruction, x, y)                                                                                          \
    ({                                                                                                                  \
        long result_ = 4711, at_;                                                                                       \
        count = 0;                                                                                                      \
        __asm__ volatile(".set push\n .set noreorder\n .set noat\n " GET_PC " 5: " instruction "\n .set pop"           \
                         : "+r"(result_), "=&r"(at_)                                                                    \
                         : "r"((long)(x)), "r"((long)(y))                                                               \
                         : "$3", "$31", "memory");                                                                            \
        raised = (struct raised){ count ? number : 0, count ? code : 0, count ? address : NULL, (void *)at_ };          \
        CHECK(count <= 1 && (!count || pc == (uintptr_t)at_));                                                          \
        result_;                                                                                                        \
    })
#if _MIPS_SZPTR == 64
#define GET_PC "bal 4f\n nop\n 4: daddiu %1, $31, 5f - 4b\n"
#else
#define GET_PC "bal 4f\n nop\n 4: addiu %1, $31, 5f - 4b\n"
#endif

#define IS(signal, si, where) (raised.number == (signal) && raised.code == (si) && raised.address == (where))

static void overflows(void)
{
    CHECK(TRY("add %0, %2, %3", 0x7ffffffe, 1) == 0x7fffffff && raised.number == 0);
    CHECK(TRY("add %0, %2, %3", 0x7fffffff, 1) == 4711 && IS(SIGFPE, FPE_INTOVF, raised.at));
    CHECK(TRY("add %0, %2, %3", -0x7fffffff - 1, -1) == 4711 && IS(SIGFPE, FPE_INTOVF, raised.at));
    CHECK(TRY("sub %0, %2, %3", -0x7fffffff - 1, 1) == 4711 && IS(SIGFPE, FPE_INTOVF, raised.at));
    CHECK(TRY("sub %0, %2, %3", 0, 1) == -1 && raised.number == 0);
    CHECK(TRY("addu %0, %2, %3", 0x7fffffff, 1) == -0x7fffffff - 1 && raised.number == 0);
#if __mips_isa_rev < 6
    CHECK(TRY("addi %0, %2, 10", 0x7ffffff8, 0) == 4711 && IS(SIGFPE, FPE_INTOVF, raised.at));
#endif
#if _MIPS_SZLONG == 64
    CHECK(TRY("dadd %0, %2, %3", 0x7fffffff, 1) == 0x80000000ll && raised.number == 0);
    CHECK(TRY("dadd %0, %2, %3", 0x7fffffffffffffff, 1) == 4711 && IS(SIGFPE, FPE_INTOVF, raised.at));
    CHECK(TRY("dsub %0, %2, %3", -0x7fffffffffffffff - 1, 1) == 4711 && IS(SIGFPE, FPE_INTOVF, raised.at));
#endif
    printf("overflows\n");
}

static void breaks(void)
{
    TRY("break", 0, 0);
    CHECK(IS(SIGTRAP, TRAP_BRKPT, NULL));
    TRY("break 1", 0, 0);
    CHECK(IS(SIGTRAP, TRAP_BRKPT, NULL));
    TRY("break 7", 0, 0);
    CHECK(IS(SIGFPE, FPE_INTDIV, raised.at));
    TRY("break 6", 0, 0);
    CHECK(IS(SIGFPE, FPE_INTOVF, raised.at));
    TRY("break 0, 7", 0, 0); /* the code's lower half */
    CHECK(IS(SIGFPE, FPE_INTDIV, raised.at));
    TRY("break 12", 0, 0); /* the kernel's own BUG() */
    CHECK(IS(SIGTRAP, SI_KERNEL, NULL));
    /* In a slot the branch is what has trapped. */
    skip = 8;
    TRY("b 6f\n add $3, %3, %3\n nop\n6:", 0, 0x7fffffff);
    CHECK(IS(SIGFPE, FPE_INTOVF, raised.at));
    TRY("b 6f\n break 7\n nop\n6:", 0, 0);
    CHECK(IS(SIGFPE, FPE_INTDIV, raised.at));
    skip = 4;
    printf("breaks\n");
}

static void traps(void)
{
    TRY("teq %2, %3", 1, 2);
    CHECK(raised.number == 0);
    TRY("teq %2, %3", 2, 2);
    CHECK(IS(SIGTRAP, SI_KERNEL, NULL));
    TRY("teq %2, %3, 7", 2, 2);
    CHECK(IS(SIGFPE, FPE_INTDIV, raised.at));
    TRY("tne %2, %3, 6", 1, 2);
    CHECK(IS(SIGFPE, FPE_INTOVF, raised.at));
    TRY("tge %2, %3, 100", 2, 2);
    CHECK(IS(SIGTRAP, SI_KERNEL, NULL));
    TRY("tgeu %2, %3", -1, 2);
    CHECK(IS(SIGTRAP, SI_KERNEL, NULL));
    TRY("tlt %2, %3", -1, 2);
    CHECK(IS(SIGTRAP, SI_KERNEL, NULL));
    TRY("tltu %2, %3", -1, 2);
    CHECK(raised.number == 0);
#if __mips_isa_rev < 6
    TRY("teqi %2, 7", 7, 0); /* no code, whatever the bits say */
    CHECK(IS(SIGTRAP, SI_KERNEL, NULL));
#endif
    volatile int zero = 0, one = 1;
    count = 0;
    one /= zero;
    CHECK(count == 1 && number == SIGFPE && code == FPE_INTDIV && address == (void *)pc);
    printf("traps\n");
}

static void reserved(void)
{
    TRY(".word 0x7000003e", 0, 0);
    CHECK(IS(SIGILL, SI_KERNEL, NULL));
    TRY("mfc0 %0, $12", 0, 0); /* privileged */
    CHECK(IS(SIGILL, SI_KERNEL, NULL));
    TRY(".word 0x48000000", 0, 0); /* no coprocessor 2 */
    CHECK(IS(SIGILL, SI_KERNEL, NULL));
    printf("reserved\n");
}

int main(void)
{
    on_signal(SIGFPE, 0, on_trap);
    on_signal(SIGTRAP, 0, on_trap);
    on_signal(SIGILL, 0, on_trap);
    overflows();
    breaks();
    traps();
    reserved();
    DONE();
}
