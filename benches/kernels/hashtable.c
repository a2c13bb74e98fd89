/* Open-addressing hash table: scattered loads and stores, 64-bit multiplies. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BITS 18
#define SIZE (1u << BITS)

struct entry {
    uint64_t key;
    uint64_t count;
};

static struct entry table[SIZE];

static struct entry *find(uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15ull >> (64 - BITS);
    while (table[h].key && table[h].key != key)
        h = (h + 1) & (SIZE - 1);
    return &table[h];
}

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 80;
    uint64_t x = 88172645463325252ull, sum = 0;
    for (int round = 0; round < scale; round++) {
        memset(table, 0, sizeof table);
        for (int i = 0; i < 1000000; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            struct entry *e = find((x & 0x1ffff) + 1);
            e->key = (x & 0x1ffff) + 1;
            e->count += x >> 60;
        }
        for (uint32_t i = 0; i < SIZE; i++)
            sum = sum * 1099511628211ull + (table[i].key ^ table[i].count);
    }
    printf("hashtable %016llx\n", (unsigned long long)sum);
    return 0;
}
