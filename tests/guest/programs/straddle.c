/* An instruction, or a run of them, that ends on a page that is missing, not executable, or appears in the handler. */
#include "guest.h"
#include <setjmp.h>

static unsigned char *volatile second;
static unsigned char *volatile start;
static void *volatile address;
static volatile int code, faults, mend, pc_at_start;
static sigjmp_buf escape;

static void on_fault(int number, siginfo_t *info, void *context)
{
    faults++;
    code = number == SIGSEGV ? info->si_code : -1;
    address = info->si_addr;
    pc_at_start = (uintptr_t)CONTEXT_PC(context) == (uintptr_t)start;
    if (!mend)
        siglongjmp(escape, 1);
    mprotect(second, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
}

int main(void)
{
    unsigned char *pages = map_pages(3, PROT_READ | PROT_WRITE | PROT_EXEC);
    second = pages + PAGE;
    on_signal(SIGSEGV, 0, on_fault);
#ifdef __mips__
    size_t before = 4; /* instructions are aligned: the second one is missing */
#else
    size_t before = 2; /* the first instruction is cut in the middle */
#endif
    start = second - before;
    flush_code(start, emit_add(start, 11));
    function f = (function)(uintptr_t)start;
    CHECK(f(1) == 12);

    /* Known code, run before, of which the second half then loses its rights. */
    mprotect(second, PAGE, PROT_READ | PROT_WRITE);
    if (sigsetjmp(escape, 1) == 0) {
        f(1);
        CHECK(0);
    }
    CHECK(faults == 1 && address == second && code == SEGV_ACCERR);
#ifndef __mips__
    CHECK(pc_at_start);
#endif
    mend = 1;
    CHECK(f(2) == 13 && faults == 2 && address == second);
    CHECK(f(3) == 14 && faults == 2);
    mend = 0;

    CHECK(munmap(second, PAGE) == 0);
    if (sigsetjmp(escape, 1) == 0) {
        f(1);
        CHECK(0);
    }
    CHECK(faults == 3 && address == second && code == SEGV_MAPERR);

    /* The first page without rights, the second with them. */
    CHECK(mmap(second, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == second);
    emit_add(start, 21);
    flush_code(start, 16);
    CHECK(f(1) == 22);
    mprotect(pages, PAGE, PROT_READ);
    if (sigsetjmp(escape, 1) == 0) {
        f(1);
        CHECK(0);
    }
    CHECK(faults == 4 && address == start && code == SEGV_ACCERR);
    printf("faults %d\n", faults);
    DONE();
}
