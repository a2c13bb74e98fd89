/* Faults and traps in delay slots: the pc is the branch's, and returning runs both again. Signals do not come in between. */
#include "../guest.h"
#include <sys/time.h>

#if _MIPS_SZPTR == 64
#define ADD_POINTER "daddiu"
#else
#define ADD_POINTER "addiu"
#endif

/* long name(int *p, long word): stores the word (or does something else) in the slot of a branch, which is at name_branch;
 * 11 if the branch is taken, else 111. $9 holds the branch's target, $8 the return address. */
#define SLOT(name, branch, slot)                                                                                      \
    long name(volatile int *p, long word);                                                                            \
    extern char name##_branch[], name##_target[];                                                                     \
    __asm__(".text\n .set push\n .set noreorder\n .set nomacro\n .globl " #name "\n .type " #name ", @function\n" #name ":\n"            \
            " move $8, $31\n bal 7f\n nop\n7: " ADD_POINTER " $9, $31, 9f - 7b\n li $2, 1\n"                          \
            ".globl " #name "_branch\n" #name "_branch: " branch "\n " slot "\n addiu $2, $2, 100\n"                                              \
            ".globl " #name "_target\n" #name "_target:\n9: addiu $2, $2, 10\n jr $8\n nop\n .set pop\n")

SLOT(beq_taken, "beq $0, $0, 9f", "sw $5, 0($4)");
SLOT(beq_falls, "beq $2, $0, 9f", "sw $5, 0($4)");
SLOT(bne_taken, "bne $2, $0, 9f", "sw $5, 0($4)");
SLOT(bgez_taken, "bgez $2, 9f", "sw $5, 0($4)");
SLOT(bltz_falls, "bltz $2, 9f", "sw $5, 0($4)");
SLOT(bal_taken, "bal 9f", "sw $5, 0($4)");
SLOT(jr_taken, "jr $9", "sw $5, 0($4)");
SLOT(jalr_taken, "jalr $9", "sw $5, 0($4)");
/* The slot changes what the branch looks at: it must be asked with the old value, again. */
SLOT(bne_loads, "bne $2, $0, 9f", "lw $2, 0($4)");
SLOT(jr_loads, "jr $9", "lw $9, 0($4)");
#if __mips_isa_rev < 6
SLOT(beql_taken, "beql $0, $0, 9f", "sw $5, 0($4)");
SLOT(beql_falls, "beql $2, $0, 9f", "sw $5, 0($4)");
SLOT(bgezal_taken, "bgezal $2, 9f", "sw $5, 0($4)");
SLOT(bltzal_falls, "bltzal $2, 9f", "sw $5, 0($4)");
#endif
SLOT(traps, "beq $0, $0, 9f", "teq $0, $0, 3");
SLOT(breaks, "bne $2, $0, 9f", "break 9");
SLOT(overflows, "jr $9", "add $3, $5, $5");

static volatile int *page;
static volatile int faults, number, code;
static volatile uintptr_t pc;
static void *volatile address;
static volatile uintptr_t go_on;

static void on_fault(int n, siginfo_t *info, void *context)
{
    faults++, number = n, code = info->si_code, address = info->si_addr;
    pc = (uintptr_t)CONTEXT_PC(context);
    if (go_on)
        CONTEXT_PC(context) = go_on;
    else
        mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
}

static void check(const char *name, long (*run)(volatile int *, long), char *branch, long expected)
{
    for (int i = 0; i < 100; i++) {
        page[3] = 0;
        mprotect((void *)page, PAGE, PROT_NONE);
        faults = 0, pc = 0;
        long result = run(page + 3, 77);
        CHECK(result == expected && faults == 1 && number == SIGSEGV && code == SEGV_ACCERR);
        CHECK(pc == (uintptr_t)branch && address == (void *)(page + 3));
        CHECK(run(page + 3, 78) == expected && faults == 1);
        if (failures) {
            printf("%s: %ld, %d faults\n", name, result, faults);
            exit(1);
        }
    }
}

#define RUN(name, expected)                                     \
    do {                                                        \
        check(#name, name, name##_branch, expected);            \
        CHECK(page[3] == 78);                                   \
    } while (0)

static volatile int ticks;
static char *volatile forbidden;

static void tick(int n, siginfo_t *info, void *context)
{
    (void)n, (void)info;
    ticks++;
    CHECK((char *)(uintptr_t)CONTEXT_PC(context) != forbidden);
}

long count(long n);
extern char count_slot[];
__asm__(".text\n .set push\n .set noreorder\n .globl count\n .type count, @function\ncount:\n li $2, 0\n"
        "1: addiu $4, $4, -1\n bnez $4, 1b\n.globl count_slot\ncount_slot: addiu $2, $2, 1\n jr $31\n nop\n .set pop\n");

int main(void)
{
    on_signal(SIGSEGV, 0, on_fault);
    page = (int *)map_pages(1, PROT_READ | PROT_WRITE);
    RUN(beq_taken, 11);
    RUN(beq_falls, 111);
    RUN(bne_taken, 11);
    RUN(bgez_taken, 11);
    RUN(bltz_falls, 111);
    RUN(bal_taken, 11);
    RUN(jr_taken, 11);
    RUN(jalr_taken, 11);
    check("bne_loads", bne_loads, bne_loads_branch, 10);
    check("jr_loads", jr_loads, jr_loads_branch, 11);
#if __mips_isa_rev < 6
    RUN(beql_taken, 11);
    RUN(bgezal_taken, 11);
    RUN(bltzal_falls, 111);
    faults = 0;
    mprotect((void *)page, PAGE, PROT_NONE);
    CHECK(beql_falls(page, 1) == 111 && faults == 0); /* the slot is not run */
#endif
    printf("faults mended\n");

    on_signal(SIGTRAP, 0, on_fault);
    on_signal(SIGFPE, 0, on_fault);
    go_on = (uintptr_t)traps_target;
    CHECK(traps(page, 0) == 11 && number == SIGTRAP && pc == (uintptr_t)traps_branch);
    go_on = (uintptr_t)breaks_target;
    CHECK(breaks(page, 0) == 11 && number == SIGTRAP && pc == (uintptr_t)breaks_branch);
    go_on = (uintptr_t)overflows_target;
    CHECK(overflows(page, 0x7fffffff) == 11 && number == SIGFPE && code == FPE_INTOVF && pc == (uintptr_t)overflows_branch);
    faults = 0;
    CHECK(overflows(page, 1) == 11 && faults == 0);
    printf("traps\n");

    on_signal(SIGALRM, SA_RESTART, tick);
    forbidden = count_slot;
    struct itimerval timer = { .it_value.tv_usec = 1000, .it_interval.tv_usec = 1000 };
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    while (ticks < 30)
        CHECK(count(100000) == 100000);
    timer = (struct itimerval){ 0 };
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    printf("signals\n");
    DONE();
}
