/* ll and sc (lld and scd) as code writes them: counters of several threads, a lock, what makes sc fail. */
#include "../guest.h"
#include <pthread.h>

enum { THREADS = 4, ROUNDS = 20000 };

static volatile int counter, locked, inside;
static long guarded;
#if __mips64
static volatile int64_t wide;
#endif

#define ADD(ll, sc, p, n)                                                                                      \
    ({                                                                                                         \
        long old_, new_;                                                                                       \
        __asm__ volatile(".set push\n .set noreorder\n1: " ll " %0, 0(%2)\n addu %1, %0, %3\n " sc " %1, 0(%2)\n" \
                         " beqz %1, 1b\n nop\n sync\n .set pop"                                                \
                         : "=&r"(old_), "=&r"(new_) : "r"(p), "r"((long)(n)) : "memory");                      \
        old_;                                                                                                  \
    })

/* The store in the slot of the branch back is what a compiler puts there, too. */
static void lock(void)
{
    long seen, one;
    __asm__ volatile(".set push\n .set noreorder\n1: ll %0, 0(%2)\n bnez %0, 1b\n li %1, 1\n sc %1, 0(%2)\n beqz %1, 1b\n sync\n .set pop"
                     : "=&r"(seen), "=&r"(one) : "r"(&locked) : "memory");
}

static void *work(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        ADD("ll", "sc", &counter, 3);
#if __mips64
        ADD("lld", "scd", &wide, 5);
#endif
        if (i % 16 == 0) {
            lock();
            CHECK(inside++ == 0);
            guarded++;
            inside--;
            __asm__ volatile("sync" ::: "memory");
            locked = 0;
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(counter == 3 * THREADS * ROUNDS && guarded == THREADS * ROUNDS / 16);
#if __mips64
    CHECK(wide == 5 * THREADS * ROUNDS);
#endif
    printf("threads\n");

    /* A value is sign-extended, and sc answers 1; with the reservation gone (a signal's return is one way) 0. */
    volatile int word = -5;
    long seen, stored = 9;
    __asm__ volatile("ll %0, 0(%2)\n sc %1, 0(%2)" : "=&r"(seen), "+r"(stored) : "r"(&word) : "memory");
    CHECK(seen == -5 && stored == 1 && word == 9);
    stored = 10;
    __asm__ volatile("ll %0, 0(%1)" : "=r"(seen) : "r"(&word) : "memory");
    word = 11, word = 12;
    raise(0);
    __asm__ volatile("sc %0, 0(%1)" : "+r"(stored) : "r"(&word) : "memory");
    CHECK(stored == 0 && word == 12); /* the thread's own system call has cleared it */
    char bytes[4] = { 1, 2, 3, 4 };
    CHECK(__atomic_fetch_add(&bytes[1], 5, __ATOMIC_SEQ_CST) == 2 && __atomic_exchange_n(&bytes[3], 9, __ATOMIC_SEQ_CST) == 4);
    CHECK(bytes[0] == 1 && bytes[1] == 7 && bytes[2] == 3 && bytes[3] == 9);
    DONE();
}
