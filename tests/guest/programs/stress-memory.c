/* mmap, munmap, mprotect and code that changes, while other threads run: no wrong result, no hang.
 * `stress-memory` [SECONDS]; `stress-memory planted` changes code and data without the lock, and must find that. */
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <time.h>

enum { CALLERS = 2, SLOTS = 16 };
static double seconds = 1;
static int planted;
static unsigned stop, bad, changes, calls, faults;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static int over(void) { return __atomic_load_n(&stop, __ATOMIC_SEQ_CST); }
static void wrong(void) { __atomic_fetch_add(&bad, 1, __ATOMIC_SEQ_CST); }
static void one_more(unsigned *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

/* Functions that add a number, in pages that are written anew, mapped anew or protected; each slot under a lock of its own. */
static struct slot {
    pthread_rwlock_t lock;
    unsigned char *page;
    int value;
} slots[SLOTS];

static void write_function(struct slot *slot, int value)
{
    emit_add(slot->page + 64 * (value % 8), value);
    flush_code(slot->page, PAGE);
    slot->value = value;
}

static void *changes_code(void *none)
{
    unsigned seed = 7;
    while (!over()) {
        seed = seed * 1103515245 + 12345;
        struct slot *slot = &slots[(seed >> 8) % SLOTS];
        int value = (int)((seed >> 16) % 2000);
        if (!planted)
            pthread_rwlock_wrlock(&slot->lock);
        switch ((seed >> 13) % 4) {
        case 0: /* in place */
            write_function(slot, value);
            break;
        case 1: /* written, then executable */
            if (mprotect(slot->page, PAGE, PROT_READ | PROT_WRITE))
                wrong();
            write_function(slot, value);
            if (mprotect(slot->page, PAGE, PROT_READ | PROT_EXEC) || mprotect(slot->page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC))
                wrong();
            break;
        case 2: /* a new page in its place */
            if (mmap(slot->page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != slot->page)
                wrong();
            write_function(slot, value);
            break;
        default: /* somewhere else */
            if (planted)
                break;
            munmap(slot->page, PAGE);
            slot->page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
            write_function(slot, value);
        }
        one_more(&changes);
        if (!planted)
            pthread_rwlock_unlock(&slot->lock);
        if (seed % 8 == 0)
            sched_yield();
    }
    return none;
}

static void *calls_code(void *mine)
{
    unsigned seed = 3 + (unsigned)(uintptr_t)mine;
    while (!over()) {
        seed = seed * 1103515245 + 12345;
        struct slot *slot = &slots[(seed >> 8) % SLOTS];
        if (!planted)
            pthread_rwlock_rdlock(&slot->lock);
        int value = __atomic_load_n(&slot->value, __ATOMIC_SEQ_CST);
        function f = (function)(uintptr_t)(slot->page + 64 * (value % 8));
        for (int i = 0; i < 50; i++)
            if (!planted && f(i) != i + value)
                wrong();
        /* Unprotected, the number and the page's own copy of it come apart. */
        if (planted && (*(volatile int *)&slot->value != value))
            wrong();
        if (!planted)
            pthread_rwlock_unlock(&slot->lock);
        one_more(&calls);
    }
    return NULL;
}

/* Pages that come and go: new ones are zero, old ones fault, and nothing else happens. */
static __thread sigjmp_buf *back;
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    if (!back)
        _exit(96);
    siglongjmp(*back, 1);
}

static int all_zero(const unsigned char *p)
{
    for (size_t i = 0; i < 4 * PAGE; i += 512)
        if (p[i])
            return 0;
    return 1;
}

static void *maps_and_unmaps(void *none)
{
    while (!over()) {
        sigjmp_buf here;
        volatile int step = 0;
        unsigned char *volatile p = map_pages(4, PROT_READ | PROT_WRITE);
        back = &here;
        if (sigsetjmp(here, 1) == 0) {
            if (!all_zero(p))
                wrong();
            memset(p, 0xee, 4 * PAGE);
            if (mprotect(p + PAGE, PAGE, PROT_READ) || p[PAGE] != 0xee)
                wrong();
            step = 1;
            p[PAGE] = 1;
            wrong();
        } else if (step == 1) {
            one_more(&faults);
            step = 2;
            if (madvise(p, PAGE, MADV_DONTNEED) || p[0] || p[2 * PAGE] != 0xee)
                wrong();
            munmap(p + 2 * PAGE, PAGE);
            step = 3;
            if (sigsetjmp(here, 1) == 0) {
                if (((volatile unsigned char *)p)[2 * PAGE] && none)
                    wrong();
            } else {
                one_more(&faults);
            }
            /* The other thread's page may be in the gap by now. */
            munmap(p, 2 * PAGE);
            munmap(p + 3 * PAGE, PAGE);
        }
        back = NULL;
    }
    return none;
}

int main(int argc, char **argv)
{
    planted = argc > 1 && !strcmp(argv[1], "planted");
    if (argc > 1 && !planted)
        seconds = atof(argv[1]);
    for (int i = 0; i < SLOTS; i++) {
        pthread_rwlock_init(&slots[i].lock, NULL);
        slots[i].page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
        write_function(&slots[i], i);
    }
    on_signal(SIGSEGV, SA_NODEFER, on_fault);
    pthread_t threads[CALLERS + 2];
    CHECK(pthread_create(&threads[0], NULL, changes_code, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, maps_and_unmaps, NULL) == 0);
    for (uintptr_t i = 0; i < CALLERS; i++)
        CHECK(pthread_create(&threads[2 + i], NULL, calls_code, (void *)i) == 0);
    double end = now() + (planted ? 30 : seconds);
    while (now() < end && !(planted && __atomic_load_n(&bad, __ATOMIC_SEQ_CST)))
        nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < CALLERS + 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    if (planted)
        printf("changes without the lock: %s\n", bad ? "found" : "NOT FOUND");
    else
        CHECK(bad == 0 && changes > 10 && calls > 10 && faults > 10);
    DONE();
}
