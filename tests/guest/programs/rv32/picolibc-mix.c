/* A C library on RV32: printf with floating point, malloc, qsort, strings, the mathematical functions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

int main(int argc, char **argv)
{
    printf("%d arguments: %s\n", argc - 1, argc > 1 ? argv[1] : "");
    printf("%d %u %x %lld %s %c %5d|%-5d|\n", -1, 4000000000u, 0xbeef, -123456789012345LL, "text", 'c', 42, 42);
    printf("%.6f %.3e %g\n", 3.14159265, 1.5e100, 0.1);
    int *v = malloc(1000 * sizeof *v);
    unsigned seed = 3;
    for (int i = 0; i < 1000; i++)
        v[i] = (int)((seed = seed * 1103515245u + 12345u) >> 8);
    qsort(v, 1000, sizeof *v, by_value);
    for (int i = 1; i < 1000; i++)
        if (v[i - 1] > v[i])
            printf("not sorted\n");
    printf("%d %d %d\n", v[0], v[500], v[999]);
    free(v);
    char text[50];
    snprintf(text, sizeof text, "%s-%s", "one", "two");
    printf("%d %s %ld\n", (int)strlen(text), strchr(text, '-'), strtol("-7b", NULL, 16));
    volatile double x = 2;
    printf("%.9f %.9f %.9f %.9f\n", sqrt(x), sin(x), exp(x), pow(x, 0.3));
    return 5;
}
