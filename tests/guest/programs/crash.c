/* Dies in a known place, with known registers, beside threads in known places: tests/guest/cores reads the core file.
 *
 *   crash [segv|ill|abort|trap|fpe|quit|loop|other] [LIMIT]
 */
#include "guest.h"
#include <pthread.h>
#include <sys/resource.h>

static pthread_barrier_t ready;
static int ends[2];
volatile int spinning, waiting;
char marker[64] = "a string in the data segment";
char *heap;

/* Waits in the kernel. */
__attribute__((noinline)) static void waits(void)
{
    char c;
    pthread_barrier_wait(&ready);
    waiting = 1;
    while (read(ends[0], &c, 1) == 1)
        ;
}

/* Never leaves compiled code. */
__attribute__((noinline)) static void spins(void)
{
    pthread_barrier_wait(&ready);
    for (;;)
        spinning++;
}

static void *waiter(void *argument)
{
    waits();
    return argument;
}

static void *spinner(void *argument)
{
    spins();
    return argument;
}

/* Registers with values that are looked for, and a store to nowhere; before that, as many rounds that it is compiled. */
__attribute__((noinline)) void crashes(volatile int *where, long rounds)
{
#if defined __riscv
    __asm__ volatile("1: addi %1, %1, -1\n\taddi s5, s5, 1\n\tbnez %1, 1b\n\tli s6, 0x1234\n\tli t6, -2\n\tfcvt.d.l ft5, s6\n\t"
                     ".globl crash_here\ncrash_here: sw t6, 0(%0)" ::"r"(where), "r"(rounds) : "s5", "s6", "t6", "ft5", "memory");
#elif defined __mips__
    __asm__ volatile(".set push\n\t.set noreorder\n\t.set noat\n1: addiu %1, %1, -1\n\tbnez %1, 1b\n\taddiu $21, $21, 1\n\t"
                     "li $22, 0x1234\n\tli $15, -2\n\tmtc1 $22, $f20\n\tnop\n\tcvt.d.w $f20, $f20\n\t"
                     ".globl crash_here\ncrash_here: sw $15, 0(%0)\n\t.set pop" ::"r"(where), "r"(rounds) : "$21", "$22", "$15", "$f20", "memory");
#else
    (void)rounds;
    *where = 1;
#endif
}

static void illegal(void)
{
#if defined __riscv
    __asm__ volatile(".word 0");
#else
    __builtin_trap();
#endif
}

__attribute__((noinline)) static void outer(const char *how)
{
    if (!strcmp(how, "segv"))
        crashes(bad_address, 50);
    else if (!strcmp(how, "loop"))
        crashes(bad_address, 200000000);
    else if (!strcmp(how, "abort"))
        abort();
    else if (!strcmp(how, "ill"))
        illegal();
    else
        raise(!strcmp(how, "trap") ? SIGTRAP : !strcmp(how, "fpe") ? SIGFPE : !strcmp(how, "quit") ? SIGQUIT : SIGTERM);
    failures++;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "segv";
    if (argc > 2) {
        struct rlimit limit = { strtoul(argv[2], NULL, 0), RLIM_INFINITY };
        CHECK(getrlimit(RLIMIT_CORE, &limit) == 0);
        limit.rlim_cur = strtoul(argv[2], NULL, 0);
        CHECK(setrlimit(RLIMIT_CORE, &limit) == 0);
    }
    heap = strdup("a string on the heap");
    pthread_t a, b;
    CHECK(pthread_barrier_init(&ready, NULL, 3) == 0 && pipe(ends) == 0);
    CHECK(pthread_create(&a, NULL, waiter, NULL) == 0 && pthread_create(&b, NULL, spinner, NULL) == 0);
    pthread_barrier_wait(&ready);
    while (spinning < 1000 || !waiting)
        usleep(1000);
    outer(how);
    DONE();
}
