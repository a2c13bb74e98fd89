/* process_vm_readv and process_vm_writev: the process's own memory, a child's, and what is none. */
#include "guest.h"
#include <signal.h>
#include <sys/uio.h>

static unsigned char *code;

static void own(void)
{
    char from[6] = "abcdef", to[6] = "";
    struct iovec local[2] = { { to, 2 }, { to + 2, 4 } }, remote[2] = { { from + 1, 5 }, { from, 1 } };
    CHECK(process_vm_readv(getpid(), local, 2, remote, 2, 0) == 6 && !memcmp(to, "bcdefa", 6));
    CHECK(process_vm_writev(getpid(), local, 1, remote, 1, 0) == 2 && !memcmp(from, "abcdef", 6));
    to[0] = 'x';
    CHECK(process_vm_writev(getpid(), local, 1, remote, 1, 0) == 2 && !memcmp(from, "axcdef", 6));

    CHECK(process_vm_readv(getpid(), local, 2, remote, 2, 1) == -1 && errno == EINVAL);
    CHECK(process_vm_readv(getpid(), local, 1025, remote, 2, 0) == -1 && errno == EINVAL);
    CHECK(process_vm_readv(getpid(), local, 0, remote, 2, 0) == 0);
    CHECK(process_vm_readv(getpid(), local, 1, NULL, 1, 0) == -1 && errno == EFAULT);
    CHECK(process_vm_readv(0x7ffffff0, local, 1, remote, 1, 0) == -1 && errno == ESRCH);
    remote[0].iov_base = bad_address;
    CHECK(process_vm_readv(getpid(), local, 1, remote, 1, 0) == -1 && errno == EFAULT);
    remote[0].iov_base = (void *)-4096l;
    CHECK(process_vm_readv(getpid(), local, 1, remote, 1, 0) == -1 && errno == EFAULT);
    /* As far as it goes. */
    unsigned char *pages = map_pages(2, PROT_READ | PROT_WRITE);
    CHECK(munmap(pages + PAGE, PAGE) == 0);
    pages[PAGE - 1] = 'p';
    remote[0] = (struct iovec){ pages + PAGE - 1, 6 };
    local[0].iov_len = 6;
    CHECK(process_vm_readv(getpid(), local, 1, remote, 1, 0) == 1 && to[0] == 'p');
}

/* Code that has run is written anew this way. */
static void own_code(void)
{
    code = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    size_t length = emit_add(code, 3);
    flush_code(code, length);
    for (int i = 0; i < 100; i++)
        CHECK(((function)(uintptr_t)code)(i) == i + 3);
    unsigned char other[64];
    struct iovec local = { other, emit_add(other, 5) }, remote = { code, sizeof other };
    CHECK(process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)local.iov_len);
    flush_code(code, length);
    CHECK(((function)(uintptr_t)code)(1) == 6);
}

static void childs(void)
{
    int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile int value = 1, copy = 0;
    pid_t pid = fork();
    if (pid == 0) {
        value = 2;
        __atomic_store_n(shared, 1, __ATOMIC_SEQ_CST);
        for (int i = 0; value == 2 && i < 5000; i++)
            usleep(1000);
        _exit(value);
    }
    while (!__atomic_load_n(shared, __ATOMIC_SEQ_CST))
        usleep(1000);
    struct iovec local = { (void *)&copy, sizeof copy }, remote = { (void *)&value, sizeof value };
    CHECK(process_vm_readv(pid, &local, 1, &remote, 1, 0) == sizeof copy && copy == 2);
    copy = 7;
    CHECK(process_vm_writev(pid, &local, 1, &remote, 1, 0) == sizeof copy && value == 1);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(process_vm_readv(pid, &local, 1, &remote, 1, 0) == -1 && errno == ESRCH);
}

int main(void)
{
    own();
    own_code();
    childs();
    DONE();
}
