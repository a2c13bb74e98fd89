/* Floating-point exceptions that trap: si_code, si_addr, FCSR in the context, the destination, what ctc1 raises at once. */
#include "../guest.h"
#include <fenv.h>

enum { I = 1, U = 2, O = 4, Z = 8, V = 16, ENABLE = 7, CAUSE = 12, FLAG = 2 };

static volatile int count, number, code;
static void *volatile address;
static volatile uintptr_t pc;
static volatile unsigned fcsr, new_fcsr;

static void on_trap(int n, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    count++, number = n, code = info->si_code, address = info->si_addr;
    pc = (uintptr_t)CONTEXT_PC(context);
    fcsr = c->uc_mcontext.fpc_csr;
    if (new_fcsr)
        c->uc_mcontext.fpc_csr = new_fcsr - 1; /* and run it again */
    else
        CONTEXT_PC(context) += 4;
}

static unsigned get(void)
{
    unsigned value;
    __asm__ volatile("cfc1 %0, $31" : "=r"(value));
    return value;
}

/* The bits of FCSR that tests here set: NaN and denormal modes stay as they are. */
static unsigned start;

static void set(unsigned bits)
{
    __asm__ volatile("ctc1 %0, $31" : : "r"(start | bits));
}

#define OPERATE(instruction, x, y)                                                                       \
    ({                                                                                                   \
        double result_ = 4711;                                                                           \
        count = 0;                                                                                       \
        __asm__ volatile(instruction " %0, %1, %2" : "+f"(result_) : "f"(x), "f"(y) : "memory");         \
        result_;                                                                                         \
    })

static void traps(const char *name, double result, unsigned enabled, int expected)
{
    CHECK(result == 4711 && count == 1 && number == SIGFPE && code == expected && address == (void *)pc);
    CHECK((fcsr & 0xf80) == enabled << ENABLE && (fcsr & enabled << CAUSE) == 0 && (fcsr & enabled << FLAG) == 0);
    if (failures) {
        printf("%s: result %g, %d traps, code %d, fcsr %08x\n", name, result, count, code, fcsr);
        exit(1);
    }
}

int main(void)
{
    on_signal(SIGFPE, 0, on_trap);
    start = get() & 0x010c0000u;
    volatile double zero = 0, one = 1, three = 3, huge = 1e308, tiny = 1e-308, minus = -1;

    /* Without enables: the flags and the cause only. */
    set(0);
    OPERATE("div.d", one, zero);
    CHECK(count == 0 && (get() & 0x3f07c) == (Z << CAUSE | Z << FLAG));
    OPERATE("div.d", one, three);
    CHECK(count == 0 && (get() & 0x3f07c) == (I << CAUSE | (Z | I) << FLAG));
    OPERATE("add.d", one, one);
    CHECK((get() & 0x3f07c) == (Z | I) << FLAG);
    printf("flags\n");

    set(Z << ENABLE);
    traps("div", OPERATE("div.d", one, zero), Z, FPE_FLTDIV);
    set(V << ENABLE);
    traps("invalid", OPERATE("div.d", zero, zero), V, FPE_FLTINV);
    set(O << ENABLE);
    traps("overflow", OPERATE("mul.d", huge, huge), O, FPE_FLTOVF);
    set(U << ENABLE);
    traps("underflow", OPERATE("mul.d", tiny, tiny), U, FPE_FLTUND);
    set(I << ENABLE);
    traps("inexact", OPERATE("div.d", one, three), I, FPE_FLTRES);
    set((V | Z | O) << ENABLE);
    CHECK(OPERATE("div.d", one, three) != 4711 && count == 0);
    count = 0;
    double root;
    __asm__ volatile("sqrt.d %0, %1" : "=f"(root) : "f"(minus) : "memory");
    CHECK(count == 1 && code == FPE_FLTINV);
    float single = 0;
    count = 0;
    __asm__ volatile("trunc.w.d %0, %1" : "=f"(single) : "f"(huge) : "memory");
    CHECK(count == 1 && code == FPE_FLTINV);
    printf("traps\n");

    /* The handler takes the enables away, and the instruction is run again. */
    set(Z << ENABLE);
    new_fcsr = start + 1;
    CHECK(OPERATE("div.d", one, zero) == __builtin_inf() && count == 1 && (get() & (0xf80 | Z << FLAG)) == Z << FLAG);
    new_fcsr = 0;
    /* ctc1 of a cause that is enabled traps itself. */
    count = 0;
    set(Z << ENABLE | Z << CAUSE);
    CHECK(count == 1 && number == SIGFPE && code == FPE_FLTDIV && (get() & (Z << CAUSE)) == 0);
    set(0);

    /* The C library's view of it. */
    CHECK(feenableexcept(FE_DIVBYZERO) == 0 && fegetexcept() == FE_DIVBYZERO);
    feclearexcept(FE_ALL_EXCEPT);
    CHECK(OPERATE("div.d", one, zero) == 4711 && count == 1 && code == FPE_FLTDIV && fetestexcept(FE_DIVBYZERO) == 0);
    CHECK(fedisableexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO);
    OPERATE("div.d", one, zero);
    CHECK(count == 0 && fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO);
    printf("C library\n");
    DONE();
}
