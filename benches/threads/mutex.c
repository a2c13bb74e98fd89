/* A lock-heavy job: all threads want one mutex, for a moment each time. */

#include "threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned count;

static void work(unsigned index, unsigned threads, unsigned scale) {
    for (unsigned i = share(index, threads, scale); i; i--) {
        pthread_mutex_lock(&lock);
        count++;
        pthread_mutex_unlock(&lock);
    }
}

int main(int argc, char **argv) {
    unsigned threads = 2, scale = 8000000;
    argument(argc, argv, 1, &threads);
    argument(argc, argv, 2, &scale);
    run_threads(work, threads, scale);
    return result(count, scale);
}
