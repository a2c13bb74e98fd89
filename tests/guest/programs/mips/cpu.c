/* rdhwr, the thread's pointer, synci and cacheflush(2); with an argument, that the cycles are counted. */
#include "../guest.h"
#include <pthread.h>
#include <sys/cachectl.h>
#include <sys/syscall.h>

#define RDHWR(number)                                                                              \
    ({                                                                                             \
        long value_;                                                                               \
        __asm__ volatile(".set push\n .set mips32r2\n rdhwr %0, $" #number "\n .set pop" : "=r"(value_)); \
        value_;                                                                                    \
    })

static __thread int local = 5;

static void *thread(void *argument)
{
    void *mine;
    mine = (void *)RDHWR(29);
    CHECK(local == 5 && mine == __builtin_thread_pointer() && mine != argument);
    local = 6;
    return mine;
}

#if _MIPS_SZPTR == 64
#define ADD_POINTER "daddu"
#else
#define ADD_POINTER "addu"
#endif

/* What __builtin___clear_cache does without the kernel: each line, then a barrier that instructions wait for. */
static void synci(unsigned char *at, size_t length)
{
    long step = RDHWR(1);
    if (step)
        for (unsigned char *p = at; p < at + length; p += step)
            __asm__ volatile("synci 0(%0)" : : "r"(p) : "memory");
    __asm__ volatile("sync\n .set push\n .set noreorder\n .set nomacro\n bal 1f\n nop\n1: " ADD_POINTER " $31, $31, %0\n"
                     " jr.hb $31\n nop\n2:\n .set pop"
                     : : "r"(12l) : "$31", "memory");
}

static int counts(void)
{
    long first = RDHWR(2);
    for (int i = 0; i < 100000000 && RDHWR(2) == first; i++)
        ;
    CHECK(RDHWR(2) != first);
    DONE();
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return counts();
    long step = RDHWR(1), resolution = RDHWR(3);
    CHECK(RDHWR(0) >= 0 && RDHWR(0) < 4096);
    CHECK(step >= 0 && step <= 4096 && (step & (step - 1)) == 0 && resolution >= 1 && resolution <= 8);
    CHECK((void *)RDHWR(29) == __builtin_thread_pointer());
    printf("hardware registers\n");

    pthread_t other;
    void *pointer;
    CHECK(pthread_create(&other, NULL, thread, __builtin_thread_pointer()) == 0 && pthread_join(other, &pointer) == 0);
    CHECK(local == 5 && pointer != __builtin_thread_pointer());
    /* set_thread_area(2) is what sets it. */
    void *saved = __builtin_thread_pointer();
    long middle, result = syscall(SYS_set_thread_area, saved);
    middle = RDHWR(29);
    CHECK(result == 0 && (void *)middle == saved);
    printf("thread pointer\n");

    unsigned char *code = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    int wrong = 0;
    for (int i = 0; i < 1000; i++) {
        unsigned char *at = code + (i & 1 ? PAGE - 4 : 64);
        size_t length = emit_add(at, i);
        if (i % 3 == 0)
            synci(at, length);
        else if (i % 3 == 1)
            CHECK(cacheflush(at, (int)length, i & 4 ? ICACHE : BCACHE) == 0);
        else
            CHECK(syscall(SYS_cacheflush, at, length, BCACHE) == 0);
        for (int k = 0; k < (i % 100 == 0 ? 20000 : 3); k++)
            wrong += ((function)(uintptr_t)at)(k) != k + i;
    }
    CHECK(wrong == 0 && syscall(SYS_cacheflush, code, 0, BCACHE) == 0);
    printf("caches\n");
    DONE();
}
