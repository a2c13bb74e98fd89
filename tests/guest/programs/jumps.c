/* setjmp and longjmp, contexts of one's own, calls through pointers, deep and mutual recursion. */
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

/* `prepare` leaves this out where it stands here: musl has no contexts. */
#ifndef __GLIBC__
#error "glibc only"
#endif

static jmp_buf buffer;

static void thrower(int depth, int what)
{
    if (depth <= 0) {
        if (depth == 0)
            longjmp(buffer, what);
        return;
    }
    thrower(depth - 1, what);
    printf("not reached\n");
}

static ucontext_t main_context, workers[3];
static int trace[64], traced;

static void work(int id, int rounds)
{
    double kept = id * 1.5;
    for (int i = 0; i < rounds; i++) {
        trace[traced++] = id * 10 + i;
        kept += 1.0;
        swapcontext(&workers[id], &workers[(id + 1) % 3]);
    }
    CHECK(kept == id * 1.5 + rounds);
}

static int odd(unsigned n);
__attribute__((noinline)) static int even(unsigned n) { return n == 0 ? 1 : odd(n - 1); }
__attribute__((noinline)) static int odd(unsigned n) { return n == 0 ? 0 : even(n - 1); }

static unsigned ackermann(unsigned m, unsigned n)
{
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

#define SMALL(n) static int small##n(int x) { return x * n + 1; }
SMALL(1) SMALL(2) SMALL(3) SMALL(4) SMALL(5) SMALL(6) SMALL(7) SMALL(8)

static void long_jumps(void)
{
    volatile int total = 0;
    for (volatile int i = 1; i <= 1000; i++) {
        volatile double kept = i * 0.5;
        int got = setjmp(buffer);
        if (got == 0)
            thrower(i % 50, i);
        CHECK(got == i && kept == i * 0.5);
        total += got;
    }
    CHECK(total == 500500);
    int zero = setjmp(buffer);
    if (zero == 0)
        longjmp(buffer, 0);
    CHECK(zero == 1);
    printf("longjmp %d\n", total);
}

int main(void)
{
    long_jumps();

    for (int i = 0; i < 3; i++) {
        CHECK(getcontext(&workers[i]) == 0);
        workers[i].uc_stack.ss_size = 65536;
        workers[i].uc_stack.ss_sp = malloc(65536);
        workers[i].uc_link = &main_context;
        makecontext(&workers[i], (void (*)(void))work, 2, i, 5);
    }
    CHECK(swapcontext(&main_context, &workers[0]) == 0);
    for (int i = 0; i < traced; i++)
        printf("%d ", trace[i]);
    printf("\n");

    CHECK(even(100000) && !odd(100000));
    printf("ackermann %u\n", ackermann(2, 300));
    int (*const table[])(int) = { small1, small2, small3, small4, small5, small6, small7, small8 };
    unsigned seed = 1, x = 0;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1103515245u + 12345u;
        x += (unsigned)table[seed >> 16 & 7]((int)(x & 0xffff));
    }
    printf("indirect %u\n", x);
    DONE();
}
