/* Litmus tests: orders of loads and stores that fences forbid, atomic operations, pairs of ll and sc, between threads and between
 * processes that share memory. `litmus` [ROUNDS]; `litmus planted` leaves the atomicity out, and must find that; `litmus unfenced`
 * the fences (x86 natively shows that within a second; under an emulator the loads come too long after the stores). */
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <time.h>

enum { BATCH = 256, NODES = 64, SIDES = 2 };

static struct shared {
    int x[BATCH], y[BATCH], seen[SIDES][BATCH];
    unsigned arrived, word, counter;
    uint8_t bytes[4];
    uint16_t halves[2];
    uint64_t wide;
    /* A stack of nodes by their numbers: the number on top, and how often it has changed. */
    uint32_t top, next[NODES + 1], owner[NODES + 1];
    unsigned bad;
} *s;
static int planted, unfenced;
static unsigned long rounds = 200000;

static int load(int *place) { return __atomic_load_n(place, __ATOMIC_RELAXED); }
static void store(int *place, int value) { __atomic_store_n(place, value, __ATOMIC_RELAXED); }
static void fence(void)
{
    if (!unfenced)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    else
        __asm__ volatile("" ::: "memory");
}

/* Waits until both sides are there for the `turn`th time. */
static void meet(unsigned turn)
{
    __atomic_fetch_add(&s->arrived, 1, __ATOMIC_SEQ_CST);
    for (unsigned spins = 0; __atomic_load_n(&s->arrived, __ATOMIC_SEQ_CST) < SIDES * turn; spins++)
        if (spins % 64 == 63)
            sched_yield();
}

static void forbidden(void) { __atomic_fetch_add(&s->bad, 1, __ATOMIC_SEQ_CST); }

static void store_buffering(int side, int i)
{
    store(side ? &s->y[i] : &s->x[i], 1);
    fence();
    store(&s->seen[side][i], load(side ? &s->x[i] : &s->y[i]));
}
static int bad_store_buffering(int i) { return !s->seen[0][i] && !s->seen[1][i]; }

static void message_passing(int side, int i)
{
    if (side == 0) {
        store(&s->x[i], 1);
        fence();
        store(&s->y[i], 1);
    } else {
        store(&s->seen[0][i], load(&s->y[i]));
        fence();
        store(&s->seen[1][i], load(&s->x[i]));
    }
}
static int bad_message_passing(int i) { return s->seen[0][i] && !s->seen[1][i]; }

static void load_buffering(int side, int i)
{
    store(&s->seen[side][i], load(side ? &s->y[i] : &s->x[i]));
    fence();
    store(side ? &s->x[i] : &s->y[i], 1);
}
static int bad_load_buffering(int i) { return s->seen[0][i] && s->seen[1][i]; }

static void coherence(int side, int i)
{
    if (side == 0) {
        store(&s->x[i], 1);
        store(&s->x[i], 2);
    } else {
        store(&s->seen[0][i], load(&s->x[i]));
        store(&s->seen[1][i], load(&s->x[i]));
    }
}
static int bad_coherence(int i) { return s->seen[0][i] > s->seen[1][i]; }

/* One of them, in a loop of its own. */
static inline __attribute__((always_inline)) void in_order(int side, void (*run_one)(int, int), int (*bad)(int))
{
    unsigned turn = 0;
    for (unsigned long done = 0; done < rounds; done += BATCH) {
        if (side == 0) {
            memset(s->x, 0, sizeof s->x);
            memset(s->y, 0, sizeof s->y);
        }
        meet(++turn);
        for (int i = 0; i < BATCH; i++)
            run_one(side, i);
        meet(++turn);
        for (int i = 0; side == 0 && i < BATCH; i++)
            if (bad(i))
                forbidden();
    }
}

static void order_sb(int side) { in_order(side, store_buffering, bad_store_buffering); }
static void order_mp(int side) { in_order(side, message_passing, bad_message_passing); }
static void order_lb(int side) { in_order(side, load_buffering, bad_load_buffering); }
static void order_co(int side) { in_order(side, coherence, bad_coherence); }

/* All kinds of read-modify-write, on words and on parts of one. */
static void counting(int side)
{
    meet(1);
    for (unsigned long i = 0; i < rounds; i++) {
        if (planted) {
            *(volatile unsigned *)&s->counter += 1;
            continue;
        }
        __atomic_fetch_add(&s->counter, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&s->bytes[side], 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_sub(&s->bytes[2], (uint8_t)(side ? 255 : 1), __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&s->halves[side], 3, __ATOMIC_SEQ_CST);
        __atomic_fetch_xor(&s->word, 1u << side, __ATOMIC_SEQ_CST);
        uint16_t old = __atomic_load_n(&s->halves[side], __ATOMIC_SEQ_CST);
        if (!__atomic_compare_exchange_n(&s->halves[side], &old, (uint16_t)(old - 2), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            forbidden();
    }
    meet(2);
    if (side == 0) {
        unsigned long all = 2 * rounds;
        if (s->counter != (unsigned)all)
            forbidden();
        if (!planted && (s->bytes[0] != (uint8_t)rounds || s->bytes[1] != (uint8_t)rounds || s->bytes[2] || s->bytes[3]
                         || s->halves[0] != (uint16_t)rounds || s->halves[1] != (uint16_t)rounds || s->word != (rounds & 1) * 3))
            forbidden();
    }
}

/* Takes the top of the stack; the word counts its changes, or a top that was away meanwhile would be taken for the same. */
static uint32_t pop(void)
{
    uint32_t old = __atomic_load_n(&s->top, __ATOMIC_SEQ_CST), new;
    do
        new = planted ? s->next[old & 0xff] : ((old & ~0xffu) + 0x100) | s->next[old & 0xff];
    while (!__atomic_compare_exchange_n(&s->top, &old, new, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return old & 0xff;
}

static void push(uint32_t node)
{
    uint32_t old = __atomic_load_n(&s->top, __ATOMIC_SEQ_CST), new;
    do {
        s->next[node] = old & 0xff;
        new = planted ? node : ((old & ~0xffu) + 0x100) | node;
    } while (!__atomic_compare_exchange_n(&s->top, &old, new, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

static void stacking(int side)
{
    if (side == 0) {
        for (uint32_t i = 1; i <= NODES; i++)
            s->next[i] = i - 1;
        s->top = NODES;
    }
    meet(1);
    for (unsigned long i = 0; i < rounds / 4; i++) {
        uint32_t nodes[3];
        for (int n = 0; n < 3; n++) {
            nodes[n] = pop();
            /* Nobody else may have it. */
            if (nodes[n] == 0 || __atomic_exchange_n(&s->owner[nodes[n]], (uint32_t)side + 1, __ATOMIC_SEQ_CST) != 0) {
                forbidden();
                meet(2);
                return;
            }
        }
        for (int n = 0; n < 3; n++) {
            __atomic_store_n(&s->owner[nodes[n]], 0, __ATOMIC_SEQ_CST);
            push(nodes[n]);
        }
        if (planted && __atomic_load_n(&s->bad, __ATOMIC_SEQ_CST))
            break;
    }
    meet(2);
}

/* Loads and stores that belong together. */
#if defined __riscv
#define LL(value, place) __asm__ volatile("lr.w.aqrl %0, %1" : "=r"(value), "+A"(*(place)) : : "memory")
#define SC(failed, value, place) __asm__ volatile("sc.w.rl %0, %2, %1" : "=&r"(failed), "+A"(*(place)) : "r"(value) : "memory")
#elif defined __mips__
#define LL(value, place) __asm__ volatile("sync; ll %0, %1" : "=r"(value) : "m"(*(place)) : "memory")
#define SC(failed, value, place)                                                                                          \
    do {                                                                                                                  \
        int stored = (int)(value);                                                                                        \
        __asm__ volatile("sc %0, %1; sync" : "+r"(stored), "+m"(*(place)) : : "memory");                                  \
        failed = !stored;                                                                                                 \
    } while (0)
#endif

/* Between ll and sc the other side changes the word and changes it back: sc has to fail. */
static void there_and_back(int side)
{
    (void)side;
#ifdef LL
    meet(1);
    for (unsigned i = 1; i <= rounds / 128; i++) {
        unsigned *turn = &s->counter;
        if (side == 0) {
            unsigned value;
            int failed;
            LL(value, &s->word);
            __atomic_store_n(turn, 2 * i - 1, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(turn, __ATOMIC_SEQ_CST) != 2 * i)
                if (planted)
                    break;
            SC(failed, value, &s->word);
            while (__atomic_load_n(turn, __ATOMIC_SEQ_CST) != 2 * i)
                ;
            if (!failed)
                forbidden();
        } else {
            while (__atomic_load_n(turn, __ATOMIC_SEQ_CST) != 2 * i - 1)
                ;
            __atomic_store_n(&s->word, 7, __ATOMIC_SEQ_CST);
            __atomic_store_n(&s->word, 0, __ATOMIC_SEQ_CST);
            __atomic_store_n(turn, 2 * i, __ATOMIC_SEQ_CST);
        }
    }
    meet(2);
#else
#endif
}

static const struct {
    const char *name;
    void (*run)(int side);
    int can_be_planted;
} tests[] = {
    { "store buffering", order_sb, 0 }, { "message passing", order_mp, 0 }, { "load buffering", order_lb, 0 },
    { "coherence", order_co, 0 },       { "counting", counting, 1 },        { "stack", stacking, 1 },
    { "there and back", there_and_back, 0 },
};
enum { TESTS = sizeof tests / sizeof *tests };

static size_t chosen;
static void *other_side(void *none)
{
    tests[chosen].run(1);
    return none;
}

static unsigned run(size_t test, int processes)
{
    memset(s, 0, sizeof *s);
    chosen = test;
    if (processes) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            other_side(NULL);
            _exit(0);
        }
        tests[test].run(0);
        CHECK(waitpid(pid, NULL, 0) == pid);
    } else {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, other_side, NULL) == 0);
        tests[test].run(0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return s->bad;
}

int main(int argc, char **argv)
{
    planted = argc > 1 && !strcmp(argv[1], "planted");
    unfenced = argc > 1 && !strcmp(argv[1], "unfenced");
    if (argc > 1 && !planted && !unfenced)
        rounds = strtoul(argv[1], NULL, 10);
    s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int processes = 0; processes < 2; processes++) {
        for (size_t i = 0; i < TESTS; i++) {
            if (planted && !tests[i].can_be_planted)
                continue;
            unsigned bad = 0;
            /* On a busy machine the sides may long run one after the other. */
            time_t end = time(NULL) + 30;
            do
                bad = run(i, processes);
            while (planted && bad == 0 && time(NULL) < end);
            const char *who = processes ? "processes" : "threads";
            if (planted)
                printf("%s, %s: %s\n", tests[i].name, who, bad ? "found" : "NOT FOUND");
            else
                CHECK(bad == 0 || !printf("%s, %s: %u times\n", tests[i].name, who, bad));
        }
    }
    DONE();
}
