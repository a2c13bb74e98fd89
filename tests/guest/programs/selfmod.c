/* Code that changes: on an mmap page, rewritten in place, over a page border, from two threads. */
#include "guest.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

static int call(void *code, int x)
{
    return ((function)(uintptr_t)code)(x);
}

static void write_code(void *at, int value)
{
    flush_code(at, emit_add(at, value));
}

/* Writes a value into a code buffer that another thread runs, in strict turns. */
struct shared {
    unsigned char *code;
    atomic_int turn;
};

static void *runner(void *argument)
{
    struct shared *s = argument;
    long wrong = 0;
    for (int i = 0; i < 500; i++) {
        while (atomic_load(&s->turn) != 2 * i + 1)
            sched_yield();
        flush_code(s->code, 64); /* each hart sees its own fence */
        if (call(s->code, 1) != i + 1)
            wrong++;
        atomic_store(&s->turn, 2 * i + 2);
    }
    return (void *)wrong;
}

struct caller {
    unsigned char *code;
    atomic_int stop;
    atomic_long calls, wrong;
};

static void *keep_calling(void *argument)
{
    struct caller *c = argument;
    while (!atomic_load(&c->stop)) {
        if (call(c->code, 100) != 107)
            atomic_fetch_add(&c->wrong, 1);
        atomic_fetch_add(&c->calls, 1);
    }
    return NULL;
}

int main(void)
{
    unsigned char *code = map_pages(4, PROT_READ | PROT_WRITE | PROT_EXEC);

    for (int i = 0; i < 2000; i++) {
        write_code(code, i);
        CHECK(call(code, 1) == i + 1);
    }
    printf("rewritten in place\n");

    write_code(code, 5); /* hot code, then changed */
    long sum = 0;
    for (int i = 0; i < 100000; i++)
        sum += call(code, 0);
    write_code(code, 6);
    for (int i = 0; i < 100000; i++)
        sum += call(code, 0);
    CHECK(sum == 1100000);

    /* Many small functions on one page; one of them changes while the others stay. */
    for (int i = 0; i < 100; i++)
        write_code(code + i * 32, i);
    for (int round = 0; round < 50; round++) {
        write_code(code + 50 * 32, 1000 + round);
        for (int i = 0; i < 100; i++)
            CHECK(call(code + i * 32, 0) == (i == 50 ? 1000 + round : i));
    }
    printf("neighbours keep\n");

    /* Data next to code: stores to the page that do not touch the code. */
    volatile int *counter = (volatile int *)(code + 3500);
    *counter = 0;
    write_code(code, 1);
    for (int i = 0; i < 20000; i++)
        *counter = call(code, *counter);
    CHECK(*counter == 20000);

    /* Writing by way of mprotect, by read(2), by a second mapping, and by a fresh mapping at the same place. */
    CHECK(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0 && call(code, 1) == 2);
    CHECK(mprotect(code, PAGE, PROT_READ | PROT_WRITE) == 0);
    emit_add(code, 20);
    CHECK(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0);
    flush_code(code, 64);
    CHECK(call(code, 1) == 21);
    int fd = nameless_file();
    unsigned char buffer[64];
    size_t length = emit_add(buffer, 33);
    CHECK(write(fd, buffer, length) == (ssize_t)length && ftruncate(fd, PAGE) == 0);
    CHECK(mprotect(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    CHECK(pread(fd, code, length, 0) == (ssize_t)length);
    flush_code(code, length);
    CHECK(call(code, 1) == 34);
    printf("other ways to write\n");

    /* Over a page border, at every offset the instruction set allows. */
    CHECK(munmap(code, 4 * PAGE) == 0);
    code = map_pages(4, PROT_READ | PROT_WRITE | PROT_EXEC);
#ifdef __riscv
    size_t step = 2;
#else
    size_t step = 4;
#endif
    for (size_t before = 0; before <= 8; before += step)
        for (int i = 0; i < 10; i++) {
            write_code(code + PAGE - before, i * 3);
            CHECK(call(code + PAGE - before, 2) == i * 3 + 2);
        }
    printf("page border\n");

    struct shared s = { .code = code };
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, runner, &s) == 0);
    for (int i = 0; i < 500; i++) {
        write_code(code, i);
        atomic_store(&s.turn, 2 * i + 1);
        while (atomic_load(&s.turn) != 2 * i + 2)
            sched_yield();
    }
    void *wrong;
    CHECK(pthread_join(thread, &wrong) == 0 && wrong == NULL);

    /* One thread runs a function while another rewrites its neighbour on the same page. */
    struct caller c = { .code = code + 512 };
    write_code(c.code, 7);
    CHECK(pthread_create(&thread, NULL, keep_calling, &c) == 0);
    for (int i = 0; i < 500 || atomic_load(&c.calls) < 100; i++) {
        write_code(code, i & 1023);
        CHECK(call(code, 1) == (i & 1023) + 1);
    }
    atomic_store(&c.stop, 1);
    CHECK(pthread_join(thread, NULL) == 0 && c.wrong == 0 && c.calls > 0);
    printf("two threads\n");

    /* fork: the child rewrites its own copy. */
    write_code(code, 1);
    CHECK(call(code, 0) == 1);
    if (fork() == 0) {
        write_code(code, 2);
        _exit(call(code, 0) == 2 ? 0 : 1);
    }
    int status;
    CHECK(wait(&status) > 0 && status == 0 && call(code, 0) == 1);
    DONE();
}
