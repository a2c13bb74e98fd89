/* Pairs of ll and sc as compilers do not write them: with loads and stores in between, in two functions, over a page's end; and all that
 * makes sc fail. `exclusive counting`: in several threads; `exclusive stack [ROUNDS]`: a stack whose links are taken by ll and sc, between threads and between processes. */
#include "guest.h"
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>

#if defined __riscv
#define LL "lr.w %[value], (%[place])\n"
#define SC "sc.w %[result], %[new], (%[place])\n xori %[result], %[result], 1\n"
#define LOAD "lw"
#define NOREORDER ""
#define SLOT ""
#define TIMES_4 "slli %[temp], %[value], 2\n"
#define ADD_POINTER "add %[temp], %[temp], %[table]\n"
#define BNEZ(reg, label) "bnez " reg ", " label "\n"
#define BEQZ(reg, label) "beqz " reg ", " label "\n"
#define FENCE "fence rw, rw\n"
#elif defined __mips__
#define LL "ll %[value], 0(%[place])\n"
#define SC "move %[result], %[new]\n sc %[result], 0(%[place])\n"
#define LOAD "lw"
#define NOREORDER ".set push\n .set noreorder\n"
#define SLOT ".set pop\n"
#define TIMES_4 "sll %[temp], %[value], 2\n"
#if _MIPS_SIM == _ABI64
#define ADD_POINTER "daddu %[temp], %[temp], %[table]\n"
#else
#define ADD_POINTER "addu %[temp], %[temp], %[table]\n"
#endif
#define BNEZ(reg, label) "bnez " reg ", " label "\n nop\n"
#define BEQZ(reg, label) "beqz " reg ", " label "\n nop\n"
#define FENCE "sync\n"
#else
#error "guests only"
#endif

static uint32_t word, other;

/* What stands between ll and sc of `place`; the result is whether sc has stored. */
#define BETWEEN(code, ...)                                                                                              \
    ({                                                                                                                  \
        uint32_t value_;                                                                                                \
        long result_, temp_;                                                                                            \
        __asm__ volatile(NOREORDER LL code SC SLOT                                                                      \
                         : [value] "=&r"(value_), [result] "=&r"(result_), [temp] "=&r"(temp_)                          \
                         : [place] "r"(&word), [new] "r"(77l), ##__VA_ARGS__                                            \
                         : "memory");                                                                                   \
        result_;                                                                                                        \
    })

/* One function loads, the other stores: neither sees what the other does. */
static __attribute__((noinline)) uint32_t load_linked(uint32_t *place)
{
    uint32_t value;
    __asm__ volatile(NOREORDER LL SLOT : [value] "=&r"(value) : [place] "r"(place) : "memory");
    return value;
}

static __attribute__((noinline)) int store_conditional(uint32_t *place, uint32_t new)
{
    long result;
    __asm__ volatile(NOREORDER SC SLOT : [result] "=&r"(result) : [place] "r"(place), [new] "r"((long)(int)new) : "memory");
    return (int)result;
}

enum { COUNTERS = 2, COUNTS = 2000 };

static void *count(void *none)
{
    for (int i = 0; i < COUNTS; i++)
        while (!store_conditional(&word, load_linked(&word) + 1))
            ;
    return none;
}

static void two_functions(void)
{
    pthread_t threads[COUNTERS];
    word = 0;
    for (int i = 0; i < COUNTERS; i++)
        CHECK(pthread_create(&threads[i], NULL, count, NULL) == 0);
    for (int i = 0; i < COUNTERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(word == COUNTERS * COUNTS);
    printf("two functions\n");
}

/* The sequence lies on two pages. */
static void over_a_page(void)
{
    long value, result;
    word = 5;
    for (int i = 0; i < 100; i++) {
        __asm__ volatile(NOREORDER
#if defined __riscv
                         "j 1f\n .balign 4096\n .skip 4088\n"
                         "1: lr.w %[value], (%[place])\n addi %[value], %[value], 1\n"
                         "sc.w %[result], %[value], (%[place])\n bnez %[result], 1b\n"
#elif defined __mips__
                         "b 1f\n nop\n .balign 4096\n .skip 4088\n"
                         "1: ll %[value], 0(%[place])\n addiu %[value], %[value], 1\n move %[result], %[value]\n"
                         "sc %[result], 0(%[place])\n beqz %[result], 1b\n nop\n"
#endif
                         SLOT : [value] "=&r"(value), [result] "=&r"(result) : [place] "r"(&word) : "memory");
    }
    CHECK(word == 105);
    printf("over a page\n");
}

static void handled(int number) { (void)number; }

/* What ends a reservation. */
static void failures_of_sc(void)
{
    word = 1;
    CHECK(BETWEEN("") == 1 && word == 77);
    CHECK(store_conditional(&word, 3) == 0 && word == 77);
    load_linked(&word);
    CHECK(store_conditional(&other, 3) == 0 && other == 0);
    CHECK(store_conditional(&word, 3) == 0 && word == 77);
    load_linked(&word);
    syscall(SYS_getpid);
    CHECK(store_conditional(&word, 3) == 0 && word == 77);
    signal(SIGUSR1, handled);
    load_linked(&word);
    raise(SIGUSR1);
    CHECK(store_conditional(&word, 3) == 0 && word == 77);
    /* A load, a store: nobody else is there. */
    CHECK(BETWEEN(LOAD " %[temp], 0(%[other])\n", [other] "r"(&other)) == 1);
    /* Too long. */
    CHECK(BETWEEN(LOAD " %[temp], 0(%[other])\n .rept 300\n nop\n .endr\n", [other] "r"(&other)) == 0);
#if defined __riscv && __riscv_xlen == 64
    static uint64_t wide;
    long result, value;
    __asm__ volatile("lr.w %0, (%2)\n sc.d %1, zero, (%2)" : "=&r"(value), "=&r"(result) : "r"(&wide) : "memory");
    CHECK(result == 1);
    __asm__ volatile("lr.d %0, (%2)\n sc.w %1, zero, (%2)" : "=&r"(value), "=&r"(result) : "r"(&wide) : "memory");
    CHECK(result == 1);
    __asm__ volatile("lr.d %0, (%2)\n sc.d %1, zero, (%2)" : "=&r"(value), "=&r"(result) : "r"(&wide) : "memory");
    CHECK(result == 0);
#endif
    printf("failures\n");
}

/* A stack of nodes by their numbers, taken by ll, a load and sc. Nothing counts its changes. */
enum { NODES = 6, SIDES = 4 };

static struct stack {
    uint32_t top, next[NODES + 1], owner[NODES + 1], bad;
} *s;
static unsigned long rounds = 6000;

static uint32_t pop(void)
{
    uint32_t value;
    long result, temp, slow = 3;
    __asm__ volatile(NOREORDER "1: " LL BEQZ("%[value]", "2f")
                     TIMES_4 ADD_POINTER LOAD " %[temp], 0(%[temp])\n"
                     /* Time for others, on registers only. */
                     " .rept 40\n mul %[slow], %[slow], %[slow]\n .endr\n"
#if defined __riscv
                     "sc.w %[result], %[temp], (%[place])\n bnez %[result], 1b\n"
#elif defined __mips__
                     "move %[result], %[temp]\n sc %[result], 0(%[place])\n beqz %[result], 1b\n nop\n"
#endif
                     "2: " FENCE SLOT
                     : [value] "=&r"(value), [result] "=&r"(result), [temp] "=&r"(temp), [slow] "+r"(slow)
                     : [place] "r"(&s->top), [table] "r"(s->next)
                     : "memory");
    return value;
}

static void push(uint32_t node)
{
    uint32_t old = __atomic_load_n(&s->top, __ATOMIC_SEQ_CST);
    do
        __atomic_store_n(&s->next[node], old, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(&s->top, &old, node, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

static void *side(void *none)
{
    for (unsigned long i = 0; i < rounds; i++) {
        uint32_t first = pop(), second = pop();
        uint32_t nodes[2] = { first, second };
        for (int n = 0; n < 2; n++)
            if (nodes[n] && __atomic_exchange_n(&s->owner[nodes[n]], 1, __ATOMIC_SEQ_CST) != 0)
                __atomic_fetch_add(&s->bad, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&s->bad, __ATOMIC_SEQ_CST))
            break;
        for (int n = 0; n < 2; n++)
            if (nodes[n]) {
                __atomic_store_n(&s->owner[nodes[n]], 0, __ATOMIC_SEQ_CST);
                push(nodes[n]);
            }
    }
    return none;
}

static void stack(int processes)
{
    memset(s, 0, sizeof *s);
    for (uint32_t i = 1; i <= NODES; i++)
        push(i);
    pthread_t threads[SIDES];
    pid_t pids[SIDES];
    fflush(stdout);
    for (int i = 0; i < SIDES; i++) {
        if (!processes) {
            CHECK(pthread_create(&threads[i], NULL, side, NULL) == 0);
        } else if ((pids[i] = fork()) == 0) {
            side(NULL);
            _exit(0);
        }
    }
    for (int i = 0; i < SIDES; i++)
        CHECK(processes ? waitpid(pids[i], NULL, 0) == pids[i] : pthread_join(threads[i], NULL) == 0);
    int left = 0;
    while (left <= NODES && pop())
        left++;
    CHECK(s->bad == 0 && left == NODES);
    printf("stack, %s\n", processes ? "processes" : "threads");
}

/* Signals, fork, vfork and exit_group while threads open one window after the other. */
enum { BUSY = 3, FORKS = 5 };

static void add(uint32_t *place)
{
    while (!store_conditional(place, load_linked(place) + 1))
        ;
}

static void add_one(int number)
{
    (void)number;
    add(&other);
}

static void *add_for_ever(void *none)
{
    for (;;)
        add(&word);
    return none;
}

static int child(void)
{
    pthread_t thread;
    for (int i = 0; i < BUSY; i++)
        if (pthread_create(&thread, NULL, add_for_ever, NULL) != 0)
            return 1;
    struct sigaction action = { .sa_handler = add_one, .sa_flags = SA_RESTART };
    struct itimerval often = { { 0, 500 }, { 0, 500 } };
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < FORKS; i++) {
        int status;
        pid_t pid = i % 2 ? vfork() : fork();
        if (pid == 0) {
            static uint32_t own;
            add(&own);
            _exit(7);
        }
        if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
            return 2;
    }
    while (__atomic_load_n(&other, __ATOMIC_SEQ_CST) < 3)
        add(&word);
    return 5;
}

static void in_the_midst(void)
{
    for (int i = 0; i < 20; i++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            _exit(child());
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    }
    printf("in the midst\n");
}

int main(int argc, char **argv)
{
    s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc > 1 && !strcmp(argv[1], "stack")) {
        if (argc > 2)
            rounds = strtoul(argv[2], NULL, 10);
        stack(0);
        stack(1);
    } else if (argc > 1 && !strcmp(argv[1], "counting")) {
        two_functions();
        in_the_midst();
    } else {
        failures_of_sc();
        over_a_page();
    }
    DONE();
}
