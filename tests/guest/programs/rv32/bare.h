/* Printing without a C library, for the bare RV32 programs. */
#include <stddef.h>
#include <stdint.h>

long linux_syscall(long a, long b, long c, long d, long e, long f, long number);
_Noreturn void _exit(int status);

static inline void put(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    linux_syscall(1, (long)text, (long)n, 0, 0, 0, 64);
}

static inline void put_hex(const char *name, uint64_t x)
{
    char text[20];
    int at = 19;
    text[at] = 0;
    text[--at] = '\n';
    do
        text[--at] = "0123456789abcdef"[x & 15];
    while (x >>= 4);
    put(name);
    put(" ");
    put(text + at);
}
