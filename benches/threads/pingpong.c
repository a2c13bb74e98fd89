/* A lock-heavy job: the threads take turns, by a mutex and a condition variable each. */

#include "threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn[MAX_THREADS];
static unsigned whose, turns;

static void work(unsigned index, unsigned threads, unsigned scale) {
    for (unsigned i = share(index, threads, scale); i; i--) {
        pthread_mutex_lock(&lock);
        while (whose != index) pthread_cond_wait(&turn[index], &lock);
        turns++;
        whose = (index + 1) % threads;
        pthread_cond_signal(&turn[whose]);
        pthread_mutex_unlock(&lock);
    }
}

int main(int argc, char **argv) {
    unsigned threads = 2, scale = 50000;
    argument(argc, argv, 1, &threads);
    argument(argc, argv, 2, &scale);
    for (unsigned i = 0; i < MAX_THREADS; i++) pthread_cond_init(&turn[i], NULL);
    run_threads(work, threads, scale);
    return result(turns, scale);
}
