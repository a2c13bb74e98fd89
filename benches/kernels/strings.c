/* String functions, its own byte loops and libc's. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 65536

static char text[TEXT + 1], copy[TEXT + 1];
static const char *const words[] = { "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa" };

#define OWN __attribute__((noinline, optimize("no-tree-loop-distribute-patterns")))

OWN static size_t own_strlen(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return (size_t)(p - s);
}

OWN static int own_strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

OWN static void own_memcpy(char *d, const char *s, size_t n)
{
    while (n--)
        *d++ = *s++;
}

OWN static const char *own_strstr(const char *h, const char *n)
{
    for (; *h; h++) {
        size_t i = 0;
        while (n[i] && h[i] == n[i])
            i++;
        if (!n[i])
            return h;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 1500;
    uint32_t seed = 7;
    size_t n = 0;
    while (n + 16 < TEXT) {
        seed = seed * 1103515245u + 12345u;
        const char *w = words[(seed >> 16) % 10];
        size_t l = strlen(w);
        memcpy(text + n, w, l);
        n += l;
        text[n++] = ' ';
    }
    memcpy(text + n, "omega", 6);
    uint64_t sum = 0;
    for (int i = 0; i < scale; i++) {
        text[(size_t)i * 97 % n] = (char)('a' + i % 26);
        sum += own_strlen(text);
        own_memcpy(copy, text, n + 6);
        sum += (uint64_t)(own_strcmp(text, copy) == 0);
        sum += (uint64_t)(own_strstr(text, "omega") - text);
        copy[n - (size_t)i % 100] ^= 1;
        sum += (uint64_t)(own_strcmp(text, copy) > 0);
        for (int k = 0; k < 4; k++) {
            sum += strlen(text);
            memcpy(copy, text + k, n);
            sum += (uint64_t)(strcmp(text, copy) < 0);
            sum += (uint64_t)(memcmp(text + k, copy, n) == 0);
            const char *p = strchr(text, '!');
            sum += p != NULL;
            p = strstr(text, "omega");
            sum += (uint64_t)(p - text);
        }
    }
    printf("strings %llu\n", (unsigned long long)sum);
    return 0;
}
