/* SIGSEGV and SIGBUS handlers that mend and go on: si_addr, si_code, protections, the pc in the context. */
#include "guest.h"
#include <setjmp.h>
#include <sys/resource.h>

static volatile int count, code;
static void *volatile address;
static volatile unsigned char *volatile page;

static void mend(int number, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(number == SIGSEGV);
    count++;
    code = info->si_code;
    address = info->si_addr;
    mprotect((void *)((uintptr_t)info->si_addr & -PAGE), PAGE, PROT_READ | PROT_WRITE);
}

static void return_to_caller(int number, siginfo_t *info, void *context)
{
    (void)number;
    address = info->si_addr;
    code = info->si_code;
    count++;
    /* The fault was the call of a bad address: go on where it would have returned to. */
#if defined __riscv
    CHECK(CONTEXT_PC(context) == (unsigned long)info->si_addr);
    CONTEXT_PC(context) = ((ucontext_t *)context)->uc_mcontext.__gregs[REG_RA];
#elif defined __mips__
    CHECK(CONTEXT_PC(context) == (unsigned long)info->si_addr);
    CONTEXT_PC(context) = ((ucontext_t *)context)->uc_mcontext.gregs[31];
#else
    CHECK((unsigned long)CONTEXT_PC(context) == (unsigned long)info->si_addr);
    CONTEXT_PC(context) = *(greg_t *)CONTEXT_SP(context);
    CONTEXT_SP(context) += 8;
#endif
}

static sigjmp_buf escape;
static volatile int on_alternate;
static char *alternate;

static void overflow(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    char here;
    on_alternate = &here > alternate && &here < alternate + 65536;
    siglongjmp(escape, 1);
}

static int (*volatile deeper_again)(int);

static int deeper(int n)
{
    volatile char frame[1024];
    frame[0] = (char)n;
    return deeper_again(n + 1) + frame[0];
}

static volatile int nested;

static void on_nested(int number, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    if (number == SIGUSR1) {
        nested = 1;
        *(volatile int *)(page + 3 * PAGE) = 5; /* a fault inside a handler */
        nested += *(volatile int *)(page + 3 * PAGE);
    }
}

int main(void)
{
    on_signal(SIGSEGV, 0, mend);
    page = map_pages(8, PROT_NONE);

    page[100] = 1;
    CHECK(count == 1 && code == SEGV_ACCERR && (unsigned char *)address == page + 100 && page[100] == 1);
    unsigned char x = page[PAGE + 4095];
    CHECK(count == 2 && (unsigned char *)address == page + PAGE + 4095 && x == 0);
    mprotect((void *)page, PAGE, PROT_READ);
    volatile uint32_t *word = (uint32_t *)(page + 16);
    __atomic_fetch_add(word, 3, __ATOMIC_SEQ_CST);
    CHECK(count == 3 && *word == 3 && address == (void *)word);
    mprotect((void *)page, PAGE, PROT_READ);
    double *d = (double *)(page + 24);
    *(volatile double *)d = 1.5;
    CHECK(count == 4 && *d == 1.5);

    /* Many faults in a loop, the way a garbage collector uses them. */
    for (int i = 0; i < 2000; i++) {
        mprotect((void *)page, PAGE, i & 1 ? PROT_NONE : PROT_READ);
        page[i] = (unsigned char)i;
        CHECK(page[i] == (unsigned char)i);
    }
    CHECK(count == 2004);
    printf("%d faults mended\n", count);

    on_signal(SIGUSR1, 0, on_nested);
    raise(SIGUSR1);
    CHECK(nested == 6 && count == 2005);

    on_signal(SIGSEGV, 0, return_to_caller);
    count = 0;
    ((function)(uintptr_t)(page + 4 * PAGE))(1); /* mapped, no access */
    CHECK(count == 1 && code == SEGV_ACCERR && (unsigned char *)address == page + 4 * PAGE);
    ((function)(uintptr_t)page)(1); /* readable, not executable */
    CHECK(count == 2 && code == SEGV_ACCERR && (unsigned char *)address == page);
    munmap((char *)page + 5 * PAGE, PAGE);
    ((function)(uintptr_t)(page + 5 * PAGE + 64))(1); /* not mapped */
    CHECK(count == 3 && code == SEGV_MAPERR && (unsigned char *)address == page + 5 * PAGE + 64);
    ((function)((uintptr_t)bad_address - 8))(1); /* null */
    CHECK(count == 4 && code == SEGV_MAPERR && address == NULL);
    printf("%d bad calls returned\n", count);

    /* Stack overflow, caught on an alternate stack. */
    struct rlimit limit = { 1 << 20, RLIM_INFINITY };
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= 1 << 20);
    alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = { .ss_sp = alternate, .ss_size = 65536 }, old;
    CHECK(sigaltstack(&stack, NULL) == 0);
    on_signal(SIGSEGV, SA_ONSTACK, overflow);
    deeper_again = deeper;
    for (volatile int i = 0; i < 3; i++) {
        on_alternate = 0;
        if (sigsetjmp(escape, 1) == 0)
            deeper(0);
        CHECK(on_alternate);
    }
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == alternate && !(old.ss_flags & SS_ONSTACK));
    printf("stack overflow caught\n");

    /* A misaligned access that crosses pages, each half with its own rights. */
    on_signal(SIGSEGV, 0, mend);
    count = 0;
    CHECK(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE) == 0 && mprotect((char *)page + PAGE, PAGE, PROT_NONE) == 0);
    page[PAGE - 2] = 9;
    uint32_t value;
    memcpy(&value, (unsigned char *)page + PAGE - 2, 4);
    unsigned char bytes[4];
    memcpy(bytes, &value, 4);
    CHECK(bytes[0] == 9 && bytes[2] == 0 && count == 1 && (void *)((uintptr_t)address & -PAGE) == (void *)(page + PAGE));
    DONE();
}
