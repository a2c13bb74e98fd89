/* mmap, mprotect, mremap, munmap, brk, madvise and mincore, with faults counted. */
#include "guest.h"
#include <fcntl.h>
#include <setjmp.h>
#include <sys/syscall.h>

static sigjmp_buf escape;
static volatile int fault_code;
static void *volatile fault_address;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    fault_code = number * 100 + info->si_code;
    fault_address = info->si_addr;
    siglongjmp(escape, 1);
}

/* 0, or signal * 100 + si_code of what touching the byte gives. */
static int probe(volatile unsigned char *p, int write)
{
    fault_code = 0;
    if (sigsetjmp(escape, 1) == 0) {
        if (write)
            *p = *p;
        else
            (void)*p;
    } else {
        CHECK(fault_address == (void *)p);
    }
    return fault_code;
}

#define UNMAPPED (SIGSEGV * 100 + SEGV_MAPERR)
#define DENIED (SIGSEGV * 100 + SEGV_ACCERR)

int main(void)
{
    on_signal(SIGSEGV, 0, on_fault);
    on_signal(SIGBUS, 0, on_fault);
    unsigned char *p = map_pages(8, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < 8 * PAGE; i++)
        CHECK(p[i] == 0);
    memset(p, 0x5a, 8 * PAGE);
    CHECK(probe(p, 1) == 0);
    CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
    CHECK(probe(p + PAGE, 0) == 0 && probe(p + PAGE, 1) == DENIED && probe(p + 2 * PAGE, 1) == 0);
    CHECK(probe(p + PAGE + 77, 1) == DENIED);
    CHECK(mprotect(p + 2 * PAGE, PAGE, PROT_NONE) == 0 && probe(p + 2 * PAGE, 0) == DENIED);
    CHECK(munmap(p + 3 * PAGE, PAGE) == 0 && probe(p + 3 * PAGE + 4095, 0) == UNMAPPED && probe(p + 4 * PAGE, 0) == 0);
    CHECK(mprotect(p + 2 * PAGE, 2 * PAGE, PROT_READ) == -1 && errno == ENOMEM);
    CHECK(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ) == -1 && errno == EINVAL); /* musl's function rounds */
    CHECK(munmap(p + 1, PAGE) == -1 && errno == EINVAL);
    printf("protections hold\n");

    /* A wide access that begins on a good page and ends on a bad one. */
    CHECK(mprotect(p + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
    volatile uint64_t *wide = (volatile uint64_t *)(p + 3 * PAGE - 8);
    *wide = 0x1122334455667788;
    CHECK(*wide == 0x1122334455667788 && p[3 * PAGE - 1] == (*(unsigned char *)wide == 0x88 ? 0x11 : 0x88));

    CHECK(mmap(p + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 3 * PAGE);
    CHECK(p[3 * PAGE] == 0 && p[4 * PAGE] == 0x5a);
    CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
    CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);

    unsigned char *q = mremap(p, 8 * PAGE, 4 * PAGE, 0);
    CHECK(q == p && probe(p + 5 * PAGE, 0) == UNMAPPED);
    q = mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q[0] == 0x5a && q[4 * PAGE] == 0 && (q[64 * PAGE - 1] = 1));
    unsigned char *hole = map_pages(64, PROT_NONE);
    p = mremap(q, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hole);
    CHECK(p == hole && p[64 * PAGE - 1] == 1 && (q == p || probe(q, 0) == UNMAPPED));
    CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0 && p[0] == 0 && p[PAGE] == 0x5a);
    unsigned char resident[4];
    CHECK(mincore(p, 4 * PAGE, resident) == 0);
    CHECK(munmap(p, 64 * PAGE) == 0 && probe(p, 0) == UNMAPPED);
    CHECK(munmap(p, 64 * PAGE) == 0);
    printf("mremap moves\n");

    int fd = nameless_file();
    CHECK(write(fd, "0123456789", 10) == 10 && ftruncate(fd, PAGE + 10) == 0);
    p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    q = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && q != MAP_FAILED && !memcmp(p, "0123456789", 11) && !memcmp(q, p, 11));
    p[0] = 'A';
    CHECK(q[0] == 'A');
    q[0] = 'B';
    CHECK(p[0] == 'A');
    char c;
    CHECK(msync(p, PAGE, MS_SYNC) == 0 && pread(fd, &c, 1, 0) == 1 && c == 'A');
    CHECK(probe(p + PAGE + 100, 0) == 0);
    int beyond = probe(p + 2 * PAGE, 0);
    CHECK(beyond == SIGBUS * 100 + BUS_ADRERR);
    unsigned char *shifted = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    CHECK(shifted != MAP_FAILED && shifted[0] == 0);
    p[PAGE] = 'C';
    CHECK(shifted[0] == 'C' && probe(shifted, 1) == DENIED);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 999, 0) == MAP_FAILED && errno == EBADF);
    close(fd);
    printf("files are mapped\n");

    unsigned char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned char *private = map_pages(1, PROT_READ | PROT_WRITE);
    if (fork() == 0) {
        *shared = *private = 7;
        _exit(0);
    }
    wait(NULL);
    CHECK(*shared == 7 && *private == 0);

    char *end = (char *)syscall(SYS_brk, 0ul); /* musl has no sbrk */
    CHECK((char *)syscall(SYS_brk, end + 100000) == end + 100000);
    memset(end, 3, 100000);
    CHECK((char *)syscall(SYS_brk, end) == end);
    CHECK((char *)syscall(SYS_brk, end + 100000) == end + 100000 && end[99999] == 0);
    CHECK((char *)syscall(SYS_brk, 1000ul) == end + 100000); /* refused: the break stays */
    CHECK((char *)syscall(SYS_brk, end) == end);
    void *big = mmap(NULL, (size_t)1 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(big != MAP_FAILED && (((char *)big)[(1 << 30) - 1] = 1) && munmap(big, (size_t)1 << 30) == 0);

    /* A mapping that grows when it is touched below, up to a distance from what lies there. */
    enum { PAGES = 600, GAP = 256 };
    unsigned char *area = map_pages(PAGES, PROT_NONE);
    CHECK(munmap(area + PAGE, (PAGES - 1) * PAGE) == 0 && mprotect(area, PAGE, PROT_READ) == 0);
    unsigned char *top = mmap(area + (PAGES - 1) * PAGE, PAGE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    CHECK(top == area + (PAGES - 1) * PAGE && probe(top, 1) == 0 && probe(top - 1, 1) == 0);
    CHECK(probe(top - 50 * PAGE, 0) == 0 && top[-20 * (long)PAGE] == 0 && (top[-40 * (long)PAGE] = 5));
    CHECK(probe(area + (GAP + 1) * PAGE, 1) == 0 && probe(area + GAP * PAGE, 1) == UNMAPPED);
    CHECK(top[-40 * (long)PAGE] == 5 && munmap(area, PAGES * PAGE) == 0 && probe(top, 0) == UNMAPPED);
    DONE();
}
