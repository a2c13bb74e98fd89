/* What a timer's handler sees of loops that write registers which nobody reads: each has what its instruction last gave it.
 *
 * A compiler would do without them, so that an emulator may want to, too. */
#include "guest.h"
#include <sys/time.h>

enum { SIGNALS = 150, ROUNDS = 0x7ffffff0 };

#if defined(__riscv) || defined(__mips__)
#ifdef __riscv
#define PC(c) ((c)->uc_mcontext.__gregs[REG_PC])
/* t0, t1, t2, t3, a6 */
static const int numbers[] = { 5, 6, 7, 28, 16 };
#define REGISTER(c, n) ((c)->uc_mcontext.__gregs[numbers[n]])
#define SIMPLE                                                                                                          \
    ".option push\n.option norvc\n"                                                                                     \
    "simple:\n li t0, 0\n"                                                                                              \
    "simple_loop:\n addi t0, t0, 1\n slli t1, t0, 1\n add t2, t1, t0\n xor t3, t2, t1\n bne t0, a0, simple_loop\n"      \
    " ret\n"
#define NESTED                                                                                                          \
    "nested:\n li t0, 0\n"                                                                                              \
    "nested_outer:\n addi t0, t0, 1\n slli t1, t0, 1\n li t2, 100\n"                                                    \
    "nested_inner:\n addi t2, t2, -1\n add t3, t2, t0\n bne t2, zero, nested_inner\n"                                   \
    " and a6, t0, 64\n beq a6, zero, nested_rest\n addi t1, t0, 7\n"                                                    \
    "nested_rest:\n addi t3, t0, 5\n bne t0, a0, nested_outer\n ret\n.option pop\n"
#else
#define PC(c) ((c)->uc_mcontext.pc)
static const int numbers[] = { 8, 9, 10, 11, 13 };
#define REGISTER(c, n) ((c)->uc_mcontext.gregs[numbers[n]])
#define SIMPLE                                                                                                          \
    ".set push\n.set noreorder\n"                                                                                       \
    "simple:\n li $8, 0\n"                                                                                              \
    "simple_loop:\n addiu $8, $8, 1\n sll $9, $8, 1\n addu $10, $9, $8\n xor $11, $10, $9\n"                            \
    " bne $8, $4, simple_loop\n nop\n jr $31\n nop\n"
#define NESTED                                                                                                          \
    "nested:\n li $8, 0\n"                                                                                              \
    "nested_outer:\n addiu $8, $8, 1\n sll $9, $8, 1\n li $10, 100\n"                                                   \
    "nested_inner:\n addiu $10, $10, -1\n addu $11, $10, $8\n bne $10, $0, nested_inner\n nop\n"                        \
    " andi $13, $8, 64\n beq $13, $0, nested_rest\n nop\n addiu $9, $8, 7\n"                                            \
    "nested_rest:\n addiu $11, $8, 5\n bne $8, $4, nested_outer\n nop\n jr $31\n nop\n.set pop\n"
#endif

__asm__(".text\n.globl simple, simple_loop, nested, nested_outer, nested_inner\n" SIMPLE NESTED);
void simple(unsigned n);
void nested(unsigned n);
extern char simple_loop[], nested_outer[], nested_inner[];

static volatile int signals, seen, wrong;

/* At the head of the simple loop the registers are those of the round before. */
static int simple_is_right(const unsigned *r)
{
    return !r[0] || (r[1] == 2 * r[0] && r[2] == 3 * r[0] && r[3] == (r[2] ^ r[1]));
}

/* At the head of the inner loop t3 is of its own round before, or of the outer loop's round before. */
static int inner_is_right(const unsigned *r)
{
    return r[1] == 2 * r[0] && (r[2] < 100 ? r[3] == r[2] + r[0] : r[0] == 1 || r[3] == r[0] + 4);
}

static int outer_is_right(const unsigned *r)
{
    return !r[0] || (r[2] == 0 && r[3] == r[0] + 5 && r[4] == (r[0] & 64) && r[1] == (r[4] ? r[0] + 7 : 2 * r[0]));
}

static void on_alarm(int number, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    (void)number, (void)info;
    unsigned r[5];
    for (int i = 0; i < 5; i++)
        r[i] = (unsigned)REGISTER(c, i);
    char *pc = (char *)(uintptr_t)PC(c);
    int right = pc == simple_loop ? simple_is_right(r)
        : pc == nested_inner      ? inner_is_right(r)
        : pc == nested_outer      ? outer_is_right(r)
                                  : -1;
    if (signals < SIGNALS && right >= 0) {
        seen++;
        wrong += !right;
    }
    /* Soon the loop's last round; nothing fits together any more in this one. */
    if (++signals == SIGNALS)
        REGISTER(c, 0) = ROUNDS - 16;
}

int main(void)
{
    void (*const loops[])(unsigned) = { simple, nested };
    on_signal(SIGALRM, SA_RESTART, on_alarm);
    for (int i = 0; i < 2; i++) {
        signals = 0;
        const struct itimerval period = { { 0, 3000 }, { 0, 3000 } }, none = { { 0, 0 }, { 0, 0 } };
        setitimer(ITIMER_REAL, &period, NULL);
        loops[i](ROUNDS);
        setitimer(ITIMER_REAL, &none, NULL);
    }
    CHECK(seen > 0);
    CHECK(!wrong);
    DONE();
}
#else
int main(void)
{
    printf("not for this architecture\n");
    return 1;
}
#endif
