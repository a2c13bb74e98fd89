/* Exit status and the order of exit handlers. */
#include "guest.h"

static void first(void) { printf("registered first, runs last\n"); }
static void second(void) { printf("registered second\n"); }

__attribute__((constructor)) static void construct(void) { printf("constructor\n"); }
__attribute__((destructor)) static void destruct(void) { printf("destructor\n"); }

int main(int argc, char **argv)
{
    atexit(first);
    atexit(second);
    int status = argc > 1 ? atoi(argv[1]) : 0;
    if (argc > 2) {
        printf("leaving at once\n");
        fflush(stdout);
        _exit(status);
    }
    exit(status);
}
