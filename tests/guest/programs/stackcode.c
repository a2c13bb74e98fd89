/* Code on the stack, among the data of the functions that run it. */
#include "guest.h"

int main(void)
{
    unsigned char local[256] __attribute__((aligned(64)));
    uintptr_t first = (uintptr_t)local & -PAGE;
    size_t length = (((uintptr_t)local + sizeof local - 1) & -PAGE) + PAGE - first;
    CHECK(mprotect((void *)first, length, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    for (int i = 0; i < 200; i++) {
        flush_code(local, emit_add(local, i));
        CHECK(((function)(uintptr_t)local)(i) == 2 * i);
    }
    CHECK(mprotect((void *)first, length, PROT_READ | PROT_WRITE) == 0);
    printf("on the stack\n");

    /* PROT_GROWSDOWN: the rest of the stack, too. */
    unsigned char deep[4 * PAGE];
    CHECK(mprotect((void *)first, length, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN) == 0);
    flush_code(deep, emit_add(deep, 5));
    CHECK(((function)(uintptr_t)deep)(6) == 11);
    unsigned char *fixed = map_pages(1, PROT_READ);
    CHECK(mprotect(fixed, PAGE, PROT_READ | PROT_GROWSDOWN) == -1 && errno == EINVAL);
    CHECK(mprotect((void *)first, length, PROT_READ | PROT_WRITE | PROT_GROWSDOWN) == 0);
    printf("all of it\n");
    DONE();
}
