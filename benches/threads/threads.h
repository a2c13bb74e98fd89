/* What the jobs share: NAME [THREADS [SCALE]] runs the job on so many threads, prints its result and fails if that is wrong. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_THREADS 64

/* Runs on thread `index` of `threads`; all of the job together does `scale` units of work. */
typedef void (*work_fn)(unsigned index, unsigned threads, unsigned scale);

static struct part {
    pthread_t thread;
    work_fn work;
    unsigned index, threads, scale;
} parts[MAX_THREADS];

static void *part_main(void *arg) {
    struct part *part = arg;
    part->work(part->index, part->threads, part->scale);
    return NULL;
}

/* Number `index` of `threads` shares of `total`, which add up to it. */
static inline unsigned share(unsigned index, unsigned threads, unsigned total) {
    return total / threads + (index < total % threads);
}

static inline void argument(int argc, char **argv, int index, unsigned *value) {
    if (argc > index) *value = (unsigned)atoi(argv[index]);
}

static inline void run_threads(work_fn work, unsigned threads, unsigned scale) {
    if (threads < 1 || threads > MAX_THREADS) exit(2);
    for (unsigned i = 0; i < threads; i++) {
        parts[i] = (struct part){.work = work, .index = i, .threads = threads, .scale = scale};
        if (pthread_create(&parts[i].thread, NULL, part_main, &parts[i])) exit(2);
    }
    for (unsigned i = 0; i < threads; i++) pthread_join(parts[i].thread, NULL);
}

static inline int result(unsigned found, unsigned expected) {
    printf("%u\n", found);
    if (found != expected) fprintf(stderr, "%u, not %u\n", found, expected);
    return found != expected;
}
