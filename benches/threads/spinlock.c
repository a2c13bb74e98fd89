/* A lock-heavy job: a spin lock made of compare-and-exchange, which is `lr` and `sc` on RISC-V, `ll` and `sc` on MIPS. */

#include "threads.h"
#include <sched.h>

static atomic_uint lock;
static unsigned count;

static void work(unsigned index, unsigned threads, unsigned scale) {
    for (unsigned i = share(index, threads, scale); i; i--) {
        unsigned tries = 0, open = 0;
        while (!atomic_compare_exchange_weak_explicit(&lock, &open, 1, memory_order_acquire, memory_order_relaxed)) {
            open = 0;
            /* The holder may have lost its processor. */
            if (++tries % 1000 == 0) sched_yield();
        }
        count++;
        atomic_store_explicit(&lock, 0, memory_order_release);
    }
}

int main(int argc, char **argv) {
    unsigned threads = 2, scale = 30000000;
    argument(argc, argv, 1, &threads);
    argument(argc, argv, 2, &scale);
    run_threads(work, threads, scale);
    return result(count, scale);
}
