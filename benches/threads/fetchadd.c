/* A lock-heavy job: all threads add to one number: `amoadd` on RISC-V, a loop of `ll` and `sc` on MIPS. */

#include "threads.h"

static atomic_uint count;

static void work(unsigned index, unsigned threads, unsigned scale) {
    for (unsigned i = share(index, threads, scale); i; i--) atomic_fetch_add(&count, 1);
}

int main(int argc, char **argv) {
    unsigned threads = 2, scale = 60000000;
    argument(argc, argv, 1, &threads);
    argument(argc, argv, 2, &scale);
    run_threads(work, threads, scale);
    return result(count, scale);
}
