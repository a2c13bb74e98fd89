/* Loops that make no system call, and that only signals end: each runs long enough to be compiled as well as it gets.
 *
 * With the argument "latency" it measures instead how long after its time a timer's handler runs, 1000 times a loop. */
#include "guest.h"
#include <setjmp.h>
#include <sys/time.h>
#include <time.h>

#define NEVER_INLINE __attribute__((noinline, noclone))
/* Makes the compiler keep the value in a register, and count it step by step. */
#define STEP(value) __asm__ volatile("" : "+r"(value))

enum { SIGNALS = 20, SAMPLES = 1000 };
static volatile sig_atomic_t signals, stop, jumps;
static sigjmp_buf way_out;

/* Registers that the loop has not finished with must survive the signals: its sums are in step afterwards. */
static NEVER_INLINE int tight(void)
{
    unsigned long a = 0, b = 0;
    while (!stop) {
        a += 3;
        STEP(a);
        b++;
        STEP(b);
    }
    return b > 0 && a == 3 * b;
}

/* Has no exit. */
static NEVER_INLINE int endless(void)
{
    for (unsigned long a = 0;; a++)
        STEP(a);
    return 0;
}

static NEVER_INLINE unsigned long add(unsigned long a)
{
    STEP(a);
    return a + 5;
}

static NEVER_INLINE unsigned long subtract(unsigned long a)
{
    STEP(a);
    return a - 2;
}

static NEVER_INLINE int calls(void)
{
    static unsigned long (*volatile const either[2])(unsigned long) = { add, subtract };
    unsigned long a = 0, rounds = 0;
    while (!stop) {
        a = subtract(add(a));
        a = either[0](a);
        a = either[1](a);
        rounds++;
    }
    return rounds > 0 && a == 6 * rounds;
}

static NEVER_INLINE unsigned long fib(unsigned long n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

/* Would return after years. */
static NEVER_INLINE int recursion(void)
{
    return fib(80) == 0;
}

static NEVER_INLINE int computed_goto(void)
{
    static const void *const labels[] = { &&plus, &&minus, &&twice, &&again };
    static const unsigned char program[] = { 0, 2, 1, 2, 0, 3 }; /* of a = 1 it makes 3 */
    const unsigned char *at = program;
    unsigned long a = 1, rounds = 0;
    goto *labels[*at++];
plus:
    a += 1;
    goto *labels[*at++];
minus:
    a -= 3;
    goto *labels[*at++];
twice:
    a *= 2;
    goto *labels[*at++];
again:
    rounds++;
    at = program;
    if (stop)
        return rounds > 0 && a == 3;
    a -= 2;
    goto *labels[*at++];
}

static const struct {
    const char *name;
    int (*run)(void);
    int jumps; /* no flag ends it */
} loops[] = {
    { "tight", tight, 0 },
    { "endless", endless, 1 },
    { "calls", calls, 0 },
    { "recursion", recursion, 1 },
    { "computed goto", computed_goto, 0 },
};

static void finish(void)
{
    stop = 1;
    if (jumps)
        siglongjmp(way_out, 1);
}

static void count(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    if (++signals >= SIGNALS) {
        setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
        finish();
    }
}

/* Does the loop end, by its own account in order? */
static int run(size_t loop)
{
    signals = stop = 0;
    jumps = loops[loop].jumps;
    if (sigsetjmp(way_out, 1))
        return jumps;
    struct itimerval each = { { 0, 5000 }, { 0, 5000 } };
    CHECK(setitimer(ITIMER_REAL, &each, NULL) == 0);
    return loops[loop].run();
}

static timer_t timer;
static struct timespec due;
static long samples[SAMPLES];

static long since_due(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - due.tv_sec) * 1000000000l + now.tv_nsec - due.tv_nsec;
}

/* The next signal, in one to three milliseconds. */
static void aim(void)
{
    clock_gettime(CLOCK_MONOTONIC, &due);
    due.tv_nsec += 1000000 + rand() % 2000000;
    due.tv_sec += due.tv_nsec / 1000000000;
    due.tv_nsec %= 1000000000;
    timer_settime(timer, TIMER_ABSTIME, &(struct itimerspec){ .it_value = due }, NULL);
}

static void sample(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    samples[signals] = since_due();
    if (++signals == SAMPLES) {
        finish();
        return;
    }
    /* A process of real-time priority that never sleeps is held for a while in each second. */
    usleep(300);
    aim();
}

static int ascending(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static void measure(size_t loop)
{
    signals = stop = 0;
    jumps = loops[loop].jumps;
    if (!sigsetjmp(way_out, 1)) {
        aim();
        loops[loop].run();
    }
    qsort(samples, SAMPLES, sizeof *samples, ascending);
    int late = 0;
    while (late < SAMPLES && samples[SAMPLES - 1 - late] > 1000000)
        late++;
    printf("%-14s median %5.1f us, 99 %% %5.1f us, maximum %6.1f us, %d above 1 ms\n", loops[loop].name,
           samples[SAMPLES / 2] / 1e3, samples[SAMPLES - 1 - SAMPLES / 100] / 1e3, samples[SAMPLES - 1] / 1e3, late);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "latency") == 0) {
        on_signal(SIGUSR1, 0, sample);
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
        CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        for (size_t loop = 0; loop < sizeof loops / sizeof *loops; loop++)
            measure(loop);
        return 0;
    }
    on_signal(SIGALRM, 0, count);
    for (size_t loop = 0; loop < sizeof loops / sizeof *loops; loop++) {
        CHECK(run(loop) && signals >= SIGNALS);
        printf("%s\n", loops[loop].name);
    }
    DONE();
}
