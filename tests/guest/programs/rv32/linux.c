/* Linux as a 32-bit program meets it: signal frames, processes, threads and futexes, 64-bit times and offsets. */
#include "bare.h"

#define NR(name, number) enum { nr_##name = number }
NR(pipe2, 59); NR(llseek, 62); NR(read, 63); NR(write, 64); NR(exit, 93); NR(waitid, 95); NR(kill, 129);
NR(rt_sigaction, 134); NR(rt_sigprocmask, 135); NR(rt_sigpending, 136); NR(getpid, 172); NR(munmap, 215);
NR(clone, 220); NR(mmap2, 222); NR(mprotect, 226); NR(prlimit64, 261); NR(memfd_create, 279); NR(statx, 291);
NR(clock_gettime64, 403); NR(clock_nanosleep_time64, 407); NR(ppoll_time64, 414); NR(futex_time64, 422);

static int failures;
#define CHECK(condition) ((condition) ? (void)0 : (failures++, put_hex("FAILED line", __LINE__)))
#define SYS(name, a, b, c, d, e, f) linux_syscall((long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f), nr_##name)

struct timespec64 { int64_t seconds; int64_t nanoseconds; };
struct action { void *handler; unsigned long flags; unsigned long mask[2]; };
struct info { int signal, error, code; union { void *address; struct { int pid, uid, status; }; int room[29]; }; };
struct context {
    unsigned long flags;
    void *link;
    struct { void *base; int flags; unsigned long size; } stack;
    unsigned long mask[32];
    unsigned long pc __attribute__((aligned(16))), x[31];
    double f[32];
};

static volatile int count, code, masked;
static void *volatile address;

static void on_fault(int signal, struct info *info, struct context *context)
{
    count += signal == 11 && info->signal == 11;
    address = info->address;
    code = info->code;
    context->pc += 4;     /* over the store */
    context->x[9] = 1234; /* a0 */
    context->f[10] += 0.5; /* fa0 */
}

static void on_user(int signal, struct info *info, struct context *context)
{
    unsigned long now[2];
    SYS(rt_sigprocmask, 0, 0, now, 8, 0, 0);
    masked = now[0] >> 9 & now[0] >> 11 & 1; /* itself and SIGUSR2 */
    count += signal == 10 && info->code == 0 && !(context->mask[0] >> 9 & 1);
}

static void signals(void)
{
    struct action fault = { on_fault, 4, { 0, 0 } }, user = { on_user, 4, { 1 << 11, 0 } };
    CHECK(SYS(rt_sigaction, 11, &fault, 0, 8, 0, 0) == 0 && SYS(rt_sigaction, 10, &user, 0, 8, 0, 0) == 0);
    register long result __asm__("a0") = 0;
    register double number __asm__("fa0") = 1.25;
    register volatile int *at __asm__("a5") = (int *)16;
    __asm__ volatile(".option push\n.option norvc\nsw zero, 4(%2)\n.option pop" : "+r"(result), "+f"(number) : "r"(at) : "memory");
    long changed = result;
    double sum = number;
    CHECK(changed == 1234 && sum == 1.75 && count == 1 && address == (void *)20 && code == 1);
    CHECK(SYS(kill, SYS(getpid, 0, 0, 0, 0, 0, 0), 10, 0, 0, 0, 0) == 0 && count == 2 && masked);
    unsigned long block[2] = { 1 << 9, 0 }, pending[2];
    SYS(rt_sigprocmask, 0, block, 0, 8, 0, 0);
    SYS(kill, SYS(getpid, 0, 0, 0, 0, 0, 0), 10, 0, 0, 0, 0);
    CHECK(SYS(rt_sigpending, pending, 8, 0, 0, 0, 0) == 0 && pending[0] == 1 << 9 && count == 2);
    SYS(rt_sigprocmask, 1, block, 0, 8, 0, 0);
    CHECK(count == 3);
    put("signals\n");
}

static void processes(void)
{
    int ends[2];
    char text[8] = { 0 };
    CHECK(SYS(pipe2, ends, 0, 0, 0, 0, 0) == 0);
    long pid = SYS(clone, 17, 0, 0, 0, 0, 0);
    if (pid == 0) {
        SYS(write, ends[1], "child", 5, 0, 0, 0);
        SYS(exit, 7, 0, 0, 0, 0, 0);
    }
    struct info info;
    CHECK(SYS(read, ends[0], text, 8, 0, 0, 0) == 5 && text[4] == 'd');
    CHECK(SYS(waitid, 1, pid, &info, 4, 0, 0) == 0 && info.signal == 17 && info.pid == pid && info.status == 7);
    struct { int fd; short events, found; } poll = { ends[0], 1, 0 };
    struct timespec64 little = { 0, 1000000 };
    CHECK(SYS(ppoll_time64, &poll, 1, &little, 0, 0, 0) == 0);
    SYS(write, ends[1], "x", 1, 0, 0, 0);
    CHECK(SYS(ppoll_time64, &poll, 1, 0, 0, 0, 0) == 1 && poll.found == 1);
    put("processes\n");
}

static int counter, running = 1;

static void work(void)
{
    for (int i = 0; i < 10000; i++)
        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
}

/* clone of a thread: the child runs `work` on its stack and exits. */
static long start_thread(void *stack, int *clear)
{
    register long a0 __asm__("a0") = 0x3d0f00, a1 __asm__("a1") = (long)stack, a2 __asm__("a2") = (long)clear;
    register long a3 __asm__("a3") = 0x1234, a4 __asm__("a4") = (long)clear, a7 __asm__("a7") = nr_clone;
    __asm__ volatile("ecall\n bnez a0, 1f\n mv s1, tp\n call %7\n li a0, 0\n li a7, 93\n ecall\n1:"
                     : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7), "m"(counter), "i"(work)
                     : "memory", "s1", "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a5", "a6");
    return a0;
}

static void threads(void)
{
    unsigned char *stack = (unsigned char *)SYS(mmap2, 0, 65536, 3, 0x22, -1, 0);
    CHECK(SYS(mprotect, stack, 4096, 0, 0, 0, 0) == 0);
    long id = start_thread(stack + 65536, &running);
    CHECK(id > 0);
    work();
    int seen;
    while ((seen = __atomic_load_n(&running, __ATOMIC_SEQ_CST)) != 0)
        SYS(futex_time64, &running, 0, seen, 0, 0, 0);
    CHECK(counter == 20000 && SYS(munmap, stack, 65536, 0, 0, 0, 0) == 0);
    struct timespec64 timeout = { 0, 2000000 };
    CHECK(SYS(futex_time64, &running, 0, 0, &timeout, 0, 0) == -110);
    put("threads\n");
}

static int64_t now(void)
{
    struct timespec64 t = { -1, -1 };
    CHECK(SYS(clock_gettime64, 1, &t, 0, 0, 0, 0) == 0 && t.nanoseconds < 1000000000);
    return t.seconds * 1000000000 + t.nanoseconds;
}

static void times_and_offsets(void)
{
    struct timespec64 nap = { 0, 10000000 };
    int64_t start = now();
    CHECK(SYS(clock_nanosleep_time64, 1, 0, &nap, 0, 0, 0) == 0 && now() - start >= 10000000);
    long fd = SYS(memfd_create, "large", 0, 0, 0, 0, 0);
    int64_t at = 0;
    CHECK(SYS(llseek, fd, 1, 0x10, &at, 0, 0) == 0 && at == 0x100000010 && SYS(write, fd, "far", 3, 0, 0, 0) == 3);
    unsigned char stat[256];
    CHECK(SYS(statx, fd, "", 0x1000, 0x7ff, stat, 0) == 0 && *(int64_t *)(stat + 40) == 0x100000013);
    char *map = (char *)SYS(mmap2, 0, 4096, 1, 1, fd, 0x100000); /* the offset in pages */
    CHECK(map[16] == 'f' && map[18] == 'r' && map[19] == 0);
    uint64_t limit[2];
    CHECK(SYS(prlimit64, 0, 7, 0, limit, 0, 0) == 0 && limit[0] > 2 && limit[0] <= limit[1]);
    CHECK(SYS(mmap2, 0, 0xf0000000, 1, 0x22, -1, 0) == -12);
    put("times and offsets\n");
}

int main(void)
{
    signals();
    processes();
    threads();
    times_and_offsets();
    put_hex("failures", failures);
    return failures ? 99 : 0;
}
