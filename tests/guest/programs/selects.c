/* Minima, clamps, absolute values and conditional sums of numbers that no one can foresee, when the loops have long been compiled, against
 * the same by arithmetic without branches; and a handler that finds the numbers where an access right behind one of them faults. */
#include "guest.h"
#include <setjmp.h>
#include <sys/mman.h>

/* In WARM_UP rounds the loops become hot. */
enum { COUNT = 1000, WARM_UP = 2300, ROUNDS = 300 };

static int numbers[COUNT];
static unsigned seed = 12345;

static int next(void)
{
    seed = seed * 1103515245 + 12345;
    return (int)(seed >> 7) - (1 << 24);
}

struct sums {
    int least, most, best, at;
    unsigned clamped, absolute, odd, positive, halved;
};

/* The compiler is not to know how to do without a branch. */
#define HIDE(x) __asm__ volatile("" : "+r"(x))

static __attribute__((noinline)) struct sums by_branches(int low, int high)
{
    struct sums s = { .least = 1 << 30, .most = -(1 << 30), .best = -1 };
    for (int i = 0; i < COUNT; i++) {
        int x = numbers[i], c = x, a = x;
        if (x < s.least) {
            s.least = x;
            HIDE(s.least);
        }
        if (x > s.most) {
            s.most = x;
            HIDE(s.most);
        }
        if (c < low) {
            c = low;
            HIDE(c);
        }
        if (c > high) {
            c = high;
            HIDE(c);
        }
        s.clamped += (unsigned)c;
        if (a < 0) {
            a = -a;
            HIDE(a);
        }
        s.absolute += (unsigned)a;
        if (x & 1) {
            s.odd += 3;
            HIDE(s.odd);
        }
        if (x > 0) {
            s.positive += (unsigned)x;
            HIDE(s.positive);
        }
        if ((x & 6) == 2) {
            s.halved ^= (unsigned)x >> 1;
            HIDE(s.halved);
        }
        if (a > s.best) {
            s.best = a;
            s.at = i;
            HIDE(s.best);
        }
    }
    return s;
}

/* All ones if it is true. */
static unsigned mask(int condition)
{
    return -(unsigned)(condition != 0);
}

static int choose(int condition, int yes, int no)
{
    return (int)((mask(condition) & (unsigned)yes) | (~mask(condition) & (unsigned)no));
}

static __attribute__((noinline)) struct sums by_arithmetic(int low, int high)
{
    struct sums s = { .least = 1 << 30, .most = -(1 << 30), .best = -1 };
    for (int i = 0; i < COUNT; i++) {
        int x = numbers[i], a = choose(x < 0, -x, x);
        s.least = choose(x < s.least, x, s.least);
        s.most = choose(x > s.most, x, s.most);
        int c = choose(x < low, low, x);
        s.clamped += (unsigned)choose(c > high, high, c);
        s.absolute += (unsigned)a;
        s.odd += mask(x & 1) & 3;
        s.positive += mask(x > 0) & (unsigned)x;
        s.halved ^= mask((x & 6) == 2) & (unsigned)x >> 1;
        s.at = choose(a > s.best, i, s.at);
        s.best = choose(a > s.best, a, s.best);
    }
    return s;
}

/* The larger one of each two, up to where nothing is mapped. */
static __attribute__((noinline)) void larger(const int *a, const int *b, volatile int *largest)
{
    for (;;) {
        int x = *a++, y = *b;
        if (x < y) {
            x = y;
            HIDE(x);
        }
        *largest = x;
        b++;
    }
}

static sigjmp_buf end;

static void at_fault(int number)
{
    (void)number;
    siglongjmp(end, 1);
}

int main(void)
{
    int wrong = 0;
    struct sums s = { 0 };
    for (int round = 0; round < WARM_UP + ROUNDS; round++) {
        for (int i = 0; i < COUNT && (round == 0 || round >= WARM_UP); i++)
            numbers[i] = next();
        int low = next(), high = low + (next() & 0xffffff);
        s = by_branches(low, high);
        if (round < WARM_UP)
            continue;
        struct sums t = by_arithmetic(low, high);
        wrong += memcmp(&s, &t, sizeof s) != 0;
    }
    printf("%d rounds differ; %d %d %d %d, %u %u %u %u %u\n", wrong, s.least, s.most, s.best, s.at, s.clamped, s.absolute, s.odd,
           s.positive, s.halved);

    signal(SIGSEGV, at_fault);
    long page = sysconf(_SC_PAGESIZE);
    int *a = mmap(NULL, (size_t)(3 * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap((char *)a + page, (size_t)page);
    int *others = a + 2 * page / (long)sizeof *a;
    int count = (int)(page / (long)sizeof *a), different = 0;
    for (int round = 0; round < WARM_UP + ROUNDS; round++) {
        for (int i = 0; i < count && (round == 0 || round >= WARM_UP); i++) {
            a[i] = next();
            others[i] = next();
        }
        volatile int largest = 0;
        if (!sigsetjmp(end, 1))
            larger(a, others, &largest);
        different += largest != choose(a[count - 1] < others[count - 1], others[count - 1], a[count - 1]);
    }
    printf("%d differ where it faults\n", different);
    return 0;
}
