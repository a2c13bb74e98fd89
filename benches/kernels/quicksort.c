/* Quicksort of its own and libc's qsort: unpredictable branches, calls through a pointer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N 500000

static uint32_t data[N];
static uint32_t seed = 1;

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        data[i] = seed;
    }
}

static void sort(uint32_t *v, long lo, long hi)
{
    while (lo < hi) {
        uint32_t pivot = v[lo + (hi - lo) / 2];
        long i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (j - lo < hi - i) {
            sort(v, lo, j);
            lo = i;
        } else {
            sort(v, i, hi);
            hi = j;
        }
    }
}

static int compare(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

static uint32_t checksum(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < N; i++) {
        if (i && data[i - 1] > data[i])
            abort();
        sum = sum * 33 + data[i];
    }
    return sum;
}

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 6;
    uint32_t sum = 0;
    for (int i = 0; i < scale; i++) {
        fill();
        sort(data, 0, N - 1);
        sum ^= checksum();
        fill();
        qsort(data, N, sizeof data[0], compare);
        sum ^= checksum();
    }
    printf("quicksort %08x\n", sum);
    return 0;
}
