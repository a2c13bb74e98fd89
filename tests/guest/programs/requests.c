/* Calls that few programs make: Linux AIO, keys, memory policies, sealed mappings, other parts of files in place, comparisons of
 * processes, the second futex interface. What the host's kernel was built without is checked for that alone. */
#include "guest.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#if defined __mips__
#define NUMBER(n) (__NR_Linux + (n))
#else
#define NUMBER(n) (n)
#endif
#ifndef SYS_mseal
#define SYS_mseal NUMBER(462)
#endif
#ifndef SYS_futex_wake
#define SYS_futex_wake NUMBER(454)
#define SYS_futex_wait NUMBER(455)
#endif

static long submit(aio_context_t context, struct iocb *block)
{
    struct iocb *list[1] = { block };
    return syscall(SYS_io_submit, context, 1l, list);
}

static long wait_for(aio_context_t context, struct io_event *event)
{
    memset(event, 0, sizeof *event);
#ifdef SYS_io_getevents
    return syscall(SYS_io_getevents, context, 1l, 1l, event, NULL);
#else
    return syscall(SYS_io_pgetevents_time64, context, 1l, 1l, event, NULL, NULL);
#endif
}

static void asynchronous(void)
{
    aio_context_t context = 0;
    struct io_event event;
    CHECK(syscall(SYS_io_setup, 0, &context) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_io_setup, 8, &context) == 0 && context != 0);
    int fd = open("requests-file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char text[16] = "asynchronously", back[16] = "";
    struct iocb block = { .aio_data = 0x123456789abcdef0, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = (uint32_t)fd,
                          .aio_buf = (uintptr_t)text, .aio_nbytes = sizeof text, .aio_offset = 100 };
    CHECK(submit(context, &block) == 1 && wait_for(context, &event) == 1);
    CHECK(event.data == block.aio_data && event.obj == (uintptr_t)&block && event.res == sizeof text && event.res2 == 0);
    struct iovec parts[2] = { { back, 4 }, { back + 4, 12 } };
    struct iocb gather = { .aio_lio_opcode = IOCB_CMD_PREADV, .aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)parts,
                           .aio_nbytes = 2, .aio_offset = 100 };
    CHECK(submit(context, &gather) == 1 && wait_for(context, &event) == 1 && event.res == 16 && !strcmp(back, text));
    /* Errors of the request are the event's, those of the block the call's. */
    struct iocb bad = block;
    bad.aio_fildes = 500;
    CHECK(submit(context, &bad) == -1 && errno == EBADF);
    bad.aio_fildes = (uint32_t)open("requests-file", O_RDONLY);
    CHECK(submit(context, &bad) == -1 && errno == EBADF);
    bad.aio_lio_opcode = 99;
    CHECK(submit(context, &bad) == -1 && errno == EINVAL);
    CHECK(submit(context, (void *)8) == -1 && errno == EFAULT && submit(context + 1, &block) == -1 && errno == EINVAL);
    struct iocb *two[2] = { &block, &bad };
    CHECK(syscall(SYS_io_submit, context, 2l, two) == 1 && wait_for(context, &event) == 1);
    /* An event for a descriptor that becomes ready, and one that tells of it through another. */
    int ends[2], counter = eventfd(0, 0);
    CHECK(pipe(ends) == 0);
    struct iocb ready = { .aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = (uint32_t)ends[0], .aio_buf = POLLIN,
                          .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (uint32_t)counter };
    CHECK(submit(context, &ready) == 1);
    struct timespec none = { 0, 0 };
    (void)none;
#ifdef SYS_io_getevents
    CHECK(syscall(SYS_io_getevents, context, 0l, 1l, &event, &none) == 0);
    CHECK(syscall(SYS_io_getevents, context, 2l, 1l, &event, &none) == -1 && errno == EINVAL);
#endif
    uint64_t count = 0;
    CHECK(write(ends[1], "x", 1) == 1 && read(counter, &count, 8) == 8 && count == 1);
    CHECK(wait_for(context, &event) == 1 && (event.res & POLLIN) && event.obj == (uintptr_t)&ready);
    CHECK(syscall(SYS_io_destroy, context) == 0 && syscall(SYS_io_destroy, context) == -1 && errno == EINVAL);
    unlink("requests-file");
}

static void keys(void)
{
    char back[16] = "", description[64];
    long ring = syscall(SYS_keyctl, 1, NULL);
    if (ring == -1 && (errno == ENOSYS || errno == EPERM))
        return;
    long key = syscall(SYS_add_key, "user", "a name", "payload", 7l, -3l);
    CHECK(ring > 0 && key > 0 && syscall(SYS_keyctl, 11, key, back, 16l) == 7 && !memcmp(back, "payload", 7));
    CHECK(syscall(SYS_keyctl, 10, -3l, "user", "a name", 0l) == key && syscall(SYS_keyctl, 0, -3l, 0l) == ring);
    CHECK(syscall(SYS_keyctl, 6, key, description, sizeof description) > 0 && !strncmp(description, "user;", 5));
    int32_t ids[4] = { 0 };
    CHECK(syscall(SYS_keyctl, 11, ring, ids, sizeof ids) == 4 && ids[0] == key);
    CHECK(syscall(SYS_keyctl, 9, key, ring) == 0 && syscall(SYS_request_key, "user", "a name", NULL, 0l) == -1);
    CHECK(errno == ENOKEY && syscall(SYS_add_key, "user", "x", (void *)8, 7l, -3l) == -1 && errno == EFAULT);
    CHECK(syscall(SYS_keyctl, 999) == -1 && errno == EOPNOTSUPP);
}

static void policies(void)
{
    unsigned long nodes[4] = { 0 }, one[1] = { 1 };
    int mode = -1;
    if (syscall(SYS_get_mempolicy, &mode, nodes, 128l, NULL, 0l) == -1 && errno == ENOSYS)
        return;
    CHECK(mode == 0 && nodes[0] == 0);
    CHECK(syscall(SYS_set_mempolicy, 3, one, 8l * sizeof one) == 0);
    CHECK(syscall(SYS_get_mempolicy, &mode, nodes, 256l, NULL, 0l) == 0 && mode == 3 && nodes[0] == 1 && nodes[1] == 0);
    CHECK(syscall(SYS_set_mempolicy, 0, NULL, 0l) == 0 && syscall(SYS_set_mempolicy, 99, NULL, 0l) == -1 && errno == EINVAL);
    unsigned char *page = map_pages(2, PROT_READ | PROT_WRITE);
    CHECK(syscall(SYS_mbind, page, 2 * PAGE, 2, one, 8l * sizeof one, 0) == 0);
    page[0] = 1;
    CHECK(syscall(SYS_get_mempolicy, &mode, nodes, 256l, page, 2l) == 0 && mode == 2 && nodes[0] == 1);
    void *pages[2] = { page, page + PAGE };
    int status[2] = { 77, 77 };
    CHECK(syscall(SYS_move_pages, 0, 2l, pages, NULL, status, 0) == 0 && status[0] == 0 && status[1] == -ENOENT);
}

static void seals(void)
{
    unsigned char *p = map_pages(4, PROT_READ | PROT_WRITE);
    p[PAGE] = 9;
    if (syscall(SYS_mseal, p + PAGE, PAGE, 0l) == -1 && errno == ENOSYS)
        return; /* 32-bit processors, and kernels before 6.10 */
    CHECK(munmap(p + PAGE, PAGE) == -1 && errno == EPERM && munmap(p, 4 * PAGE) == -1 && errno == EPERM);
    CHECK(mprotect(p, 4 * PAGE, PROT_READ) == -1 && errno == EPERM);
    CHECK(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EPERM);
    CHECK(mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
    CHECK(madvise(p + PAGE, PAGE, MADV_DONTNEED) == 0 && p[PAGE] == 0);
    CHECK(munmap(p, PAGE) == 0 && munmap(p + 2 * PAGE, 2 * PAGE) == 0);
    CHECK(syscall(SYS_mseal, p + PAGE, 2 * PAGE, 0l) == -1 && errno == ENOMEM);
    CHECK(syscall(SYS_mseal, p + PAGE, PAGE, 1l) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_mseal, p + 1, PAGE, 0l) == -1 && errno == EINVAL);
}

static void parts_of_files(void)
{
    int fd = open("requests-parts", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(ftruncate(fd, 3 * PAGE) == 0);
    volatile char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (int i = 0; i < 3; i++)
        p[(size_t)i * PAGE] = (char)('a' + i);
    CHECK(syscall(SYS_remap_file_pages, p, PAGE, 0l, 2l, 0) == 0 && p[0] == 'c' && p[PAGE] == 'b');
    p[0] = 'z';
    CHECK(p[2 * PAGE] == 'z' && syscall(SYS_remap_file_pages, p, PAGE, 1l, 2l, 0) == -1 && errno == EINVAL);
    munmap((void *)p, 3 * PAGE);
    close(fd);
    unlink("requests-parts");
}

static void comparisons(void)
{
    int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY), c = dup(a);
    if (syscall(SYS_kcmp, getpid(), getpid(), 0, (long)a, (long)c) == -1)
        CHECK(errno == ENOSYS);
    else
        CHECK(syscall(SYS_kcmp, getpid(), getpid(), 0, (long)a, (long)b) > 0);
}

static void second_futexes(void)
{
    enum { SIZE_U32 = 2, PRIVATE = 128 };
    uint32_t word = 5;
    struct { int64_t seconds; int64_t nanoseconds; } soon = { 0, 1000 };
    if (syscall(SYS_futex_wake, &word, 0xffffffffl, 1, SIZE_U32 | PRIVATE) == -1 && errno == ENOSYS)
        return;
    CHECK(syscall(SYS_futex_wait, &word, 4l, 0xffffffffl, SIZE_U32 | PRIVATE, NULL, 0) == -1 && errno == EAGAIN);
    CHECK(syscall(SYS_futex_wait, &word, 5l, 0xffffffffl, SIZE_U32 | PRIVATE, &soon, CLOCK_MONOTONIC) == -1);
    CHECK(errno == ETIMEDOUT && syscall(SYS_futex_wake, &word, 0xffffffffl, 1, 0x7000) == -1 && errno == EINVAL);
}

/* Errors that come before or after others. */
static void errors(void)
{
    int path = open(".", O_PATH), file = open("/dev/null", O_RDONLY), socket_end[2];
    struct flock lock = { .l_type = F_RDLCK };
    CHECK(fcntl(path, F_GETLK, &lock) == -1 && errno == EBADF && fcntl(path, F_GETFD) == 0 && fcntl(path, 9999) == -1);
    CHECK(errno == EBADF && fcntl(file, 9999) == -1 && errno == EINVAL && fcntl(600, F_SETOWN_EX, bad_address) == -1);
    CHECK(errno == EBADF && ioctl(path, FIONBIO, bad_address) == -1 && errno == EBADF);
    CHECK(ioctl(file, TIOCSPGRP, bad_address) == -1 && errno == ENOTTY && ioctl(600, TCGETS, bad_address) == -1 && errno == EBADF);
    CHECK(mmap(NULL, PAGE, PROT_READ, 3 | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, 600, 0) == MAP_FAILED && errno == EBADF);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, path, 0) == MAP_FAILED && errno == EBADF);
    char little[4] = { 0 };
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_end) == 0);
    CHECK(setsockopt(socket_end[0], SOL_SOCKET, SO_RCVTIMEO, little, 4) == -1 && errno == EINVAL);
    CHECK(accept(socket_end[0], (void *)little, bad_address) == -1 && errno == EINVAL);
    unsigned long vector[100];
    long size = prctl(0x41555856, vector, sizeof vector, 0, 0);
    CHECK(size == -1 || (size > 16 && (unsigned long)size % (2 * sizeof(long)) == 0 && vector[0] != 0));
    /* musl would find the stack too small. */
    CHECK(syscall(SYS_sigaltstack, &(stack_t){ 0 }, NULL) == 0 && waitid(P_PID, (id_t)getpid(), bad_address, 0) == -1 && errno == EFAULT);
}

/* A mask of processors may be one word long, if that is enough for all there are. */
static void affinity(void)
{
    unsigned long mask[16] = { 0 };
    long length = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask), one = syscall(SYS_sched_getaffinity, 0, sizeof(long), mask);
    CHECK(length >= (long)sizeof(long) && length % (long)sizeof(long) == 0);
    int enough = sysconf(_SC_NPROCESSORS_CONF) <= 32;
    CHECK(enough ? one == sizeof(long) && mask[0] != 0 : one == sizeof(long) || errno == EINVAL);
    CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(long) - 1, mask) == -1 && errno == EINVAL);
}

int main(void)
{
    errors();
    asynchronous();
    keys();
    policies();
    seals();
    parts_of_files();
    comparisons();
    second_futexes();
    affinity();
    DONE();
}
