/* Sieve of Eratosthenes, repeated: byte stores with a stride. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 2000000
#define ROOT 1414 /* beyond it squares are above LIMIT, and may not fit an unsigned long */

static unsigned char composite[LIMIT + 1];

static unsigned count_primes(void)
{
    unsigned found = 0;
    memset(composite, 0, sizeof composite);
    for (unsigned i = 2; i <= LIMIT; i++) {
        if (composite[i])
            continue;
        found++;
        if (i > ROOT)
            continue;
        for (unsigned long j = (unsigned long)i * i; j <= LIMIT; j += i)
            composite[j] = 1;
    }
    return found;
}

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 120;
    unsigned long sum = 0;
    for (int i = 0; i < scale; i++)
        sum += count_primes();
    printf("sieve %lu\n", sum);
    return 0;
}
