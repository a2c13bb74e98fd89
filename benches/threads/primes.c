/* A parallel job: counts primes by division, in pieces that the threads take one by one. */

#include "threads.h"

enum { PIECE = 2000 };
static atomic_uint next_piece, found;

static int is_prime(unsigned n) {
    if (n < 4) return n > 1;
    if (n % 2 == 0) return 0;
    for (unsigned d = 3; d * d <= n; d += 2)
        if (n % d == 0) return 0;
    return 1;
}

static void work(unsigned index, unsigned threads, unsigned scale) {
    (void)index, (void)threads;
    unsigned piece, count = 0;
    while ((piece = atomic_fetch_add(&next_piece, 1)) < scale)
        for (unsigned n = piece * PIECE; n < (piece + 1) * PIECE; n++) count += is_prime(n);
    atomic_fetch_add(&found, count);
}

int main(int argc, char **argv) {
    unsigned threads = 2, scale = 2500;
    argument(argc, argv, 1, &threads);
    argument(argc, argv, 2, &scale);
    run_threads(work, threads, scale);
    /* The primes below five million; for another scale the runner compares outputs. */
    return result(found, scale == 2500 ? 348513 : found);
}
