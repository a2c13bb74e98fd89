/* Naive recursive Fibonacci: calls and returns. */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline, optimize("no-optimize-sibling-calls", "no-inline")))
static unsigned long fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 40;
    printf("fib %lu\n", fib((unsigned)scale));
    return 0;
}
