/* A parallel job: sorts arrays with the C library's qsort, each thread its share of them: calls through pointers, memory. */

#include "threads.h"

enum { LENGTH = 20000 };
static atomic_uint sum;

static int compare(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static void work(unsigned index, unsigned threads, unsigned scale) {
    unsigned *numbers = malloc(LENGTH * sizeof *numbers), local = 0;
    for (unsigned array = index; array < scale; array += threads) {
        unsigned x = array * 2654435761u + 1;
        for (unsigned i = 0; i < LENGTH; i++) {
            x ^= x << 13, x ^= x >> 17, x ^= x << 5;
            numbers[i] = x;
        }
        qsort(numbers, LENGTH, sizeof *numbers, compare);
        for (unsigned i = 1; i < LENGTH; i++) {
            if (numbers[i - 1] > numbers[i]) exit(1);
            local += numbers[i] / LENGTH * i;
        }
    }
    free(numbers);
    atomic_fetch_add(&sum, local);
}

int main(int argc, char **argv) {
    unsigned threads = 2, scale = 360;
    argument(argc, argv, 1, &threads);
    argument(argc, argv, 2, &scale);
    run_threads(work, threads, scale);
    return result(sum, scale == 360 ? 3972395622u : sum);
}
