/* A small just-in-time compiler, run by two threads at once that compile into the same pages: functions are written, run,
 * handed to the other thread, run there, and rewritten. The argument is the number of rounds. */
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { SLOT = 64, SLOTS = 256, HOT = 3000 };

/* What one thread has compiled for the other: a sequence number, then the code and what it adds. */
struct mail {
    atomic_long sent, done;
    unsigned char *code;
    int value, calls;
};

struct compiler {
    int index;
    long rounds, wrong;
    unsigned random;
    struct mail *out, *in;
};

static unsigned char *pages, *own[2];
static struct mail mail[2];
static atomic_int running = 2;

static unsigned next(struct compiler *c)
{
    return c->random = c->random * 1103515245 + 12345, c->random >> 16;
}

/* What makes new code visible to this thread: the instruction where there is one, the system call by turns. */
static void sync_code(struct compiler *c, void *at)
{
#ifdef __riscv
    if (next(c) & 1) {
        __asm__ volatile("fence.i" ::: "memory");
        return;
    }
#endif
    (void)c;
    flush_code(at, SLOT);
}

static void run(struct compiler *c, unsigned char *code, int value, int calls)
{
    function f = (function)(uintptr_t)code;
    for (int i = 0; i < calls; i++)
        c->wrong += f(i) != i + value;
}

/* Runs what the other thread has sent, if anything. */
static void receive(struct compiler *c)
{
    long sent = atomic_load(&c->in->sent);
    if (sent == atomic_load(&c->in->done))
        return;
    sync_code(c, c->in->code);
    run(c, c->in->code, c->in->value, c->in->calls);
    atomic_store(&c->in->done, sent);
}

/* Hands code over and waits until it has been run: then it may be rewritten. */
static void send(struct compiler *c, unsigned char *code, int value, int calls)
{
    c->out->code = code, c->out->value = value, c->out->calls = calls;
    long number = atomic_load(&c->out->sent) + 1;
    atomic_store(&c->out->sent, number);
    while (atomic_load(&c->out->done) != number) {
        receive(c);
        sched_yield();
    }
}

static void *compile(void *argument)
{
    struct compiler *c = argument;
    for (long round = 0; round < c->rounds; round++) {
        /* Slots of the two threads lie side by side in the same pages; at every other page border one straddles it. */
        unsigned char *code = pages + (2 * (next(c) % SLOTS) + (unsigned)c->index) * SLOT + 16;
        if (next(c) % 3 == 0)
            code = pages + (1 + (unsigned)c->index + 2 * (next(c) % 3)) * PAGE - 2;
        int value = next(c) & 2047, calls = next(c) % 64 == 0 ? HOT : 1 + next(c) % 4;
#ifdef __mips__
        code = (unsigned char *)((uintptr_t)code & -4ul);
#endif
        emit_add(code, value);
        sync_code(c, code);
        run(c, code, value, calls);
        if (next(c) % 8 == 0)
            send(c, code, value, calls);
        if (next(c) % 8 == 0) { /* the other way: a page of its own that is never writable and executable */
            unsigned char *page = own[c->index];
            CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
            emit_add(page, value ^ 1);
            CHECK(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0);
            sync_code(c, page);
            run(c, page, value ^ 1, calls);
            send(c, page, value ^ 1, 1);
        }
        receive(c);
    }
    atomic_fetch_sub(&running, 1);
    while (atomic_load(&running)) {
        receive(c);
        sched_yield();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1000;
    pages = map_pages(9, PROT_READ | PROT_WRITE | PROT_EXEC);
    struct compiler compilers[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        own[i] = map_pages(1, PROT_READ | PROT_EXEC);
        compilers[i] = (struct compiler){ .index = i, .rounds = rounds, .random = 1 + (unsigned)i, .out = &mail[i], .in = &mail[1 - i] };
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, compile, &compilers[i]) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(compilers[i].wrong == 0);
    }
    CHECK(atomic_load(&mail[0].sent) > rounds / 20 && atomic_load(&mail[1].sent) > rounds / 20);
    printf("compiled by two threads\n");
    DONE();
}
