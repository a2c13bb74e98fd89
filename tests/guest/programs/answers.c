/* What fcntl, ioctl, socket options, prctl, mmap, madvise and mremap answer to many arguments, good and bad ones. A line says what
 * was asked and what came of it; the runner compares with the lines of the native build on the same kernel. */
#include "guest.h"
#ifndef __GLIBC__
#error "glibc only" /* strerrorname_np */
#endif
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

static unsigned char *buffer;

static const char *outcome(long result)
{
    if (result != -1)
        return "done";
    const char *name = strerrorname_np(errno);
    return name ? name : "?";
}

/* Runs in a child, since some of it ends a process. */
static void apart(const char *what, void (*run)(int), int argument)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(10);
        run(argument);
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    if (status)
        printf("%s %d: status %#x\n", what, argument, (unsigned)status);
}

struct named { const char *name; unsigned long value; };
#define N(name) { #name, (unsigned long)(name) }

static struct { const char *name; int fd; } files[17];

static void open_all(void)
{
    int ends[2], pair[2], n = 0;
    if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        exit(98);
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(master);
    unlockpt(master);
#define F(what, open) files[n].name = what, files[n++].fd = open
    F("file", open("answers-file", O_RDWR | O_CREAT | O_TRUNC, 0600));
    F("directory", open(".", O_RDONLY));
    F("path", open(".", O_PATH));
    F("pipe", ends[0]);
    F("unix", pair[0]);
    F("tcp", socket(AF_INET, SOCK_STREAM, 0));
    F("udp", socket(AF_INET, SOCK_DGRAM, 0));
    F("udp6", socket(AF_INET6, SOCK_DGRAM, 0));
    F("memfd", (int)syscall(SYS_memfd_create, "answers", 2));
    F("master", master);
    F("slave", open(ptsname(master), O_RDWR | O_NOCTTY));
    F("null", open("/dev/null", O_RDWR));
    F("event", eventfd(0, 0));
    F("epoll", epoll_create1(0));
    F("timer", timerfd_create(CLOCK_MONOTONIC, 0));
    F("inotify", inotify_init1(0));
    F("closed", 600);
    if (write(files[0].fd, "hello", 5) != 5)
        exit(98);
}

static void ask_fcntl(int i)
{
    static const struct named commands[] = {
        N(F_DUPFD), N(F_GETFD), N(F_GETFL), N(F_GETLK), N(F_GETOWN), N(F_SETSIG), N(F_GETSIG), N(F_SETOWN_EX), N(F_GETOWN_EX),
        N(F_OFD_GETLK), N(F_OFD_SETLK), N(F_SETLEASE), N(F_GETLEASE), N(F_NOTIFY), N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ),
        N(F_GETPIPE_SZ), N(F_ADD_SEALS), N(F_GET_SEALS), N(F_GET_RW_HINT), N(F_SET_RW_HINT), { "1037", 1037 }, { "1038", 1038 },
        { "9999", 9999 },
    };
    const unsigned long arguments[] = { 0, 1, 2, 8, (unsigned long)-1, (unsigned long)buffer };
    for (size_t c = 0; c < sizeof commands / sizeof *commands; c++) {
        for (int a = 0; a < 6; a++) {
            /* A buffer's address is a number like any other to some. */
            if (a == 5 && !strchr("KXT", commands[c].name[strlen(commands[c].name) - 1]))
                continue;
            memset(buffer, 0, 256);
            long result = fcntl(files[i].fd, (int)commands[c].value, arguments[a]);
            printf("fcntl %s %s %d: %s\n", files[i].name, commands[c].name, a, outcome(result));
            if (result > 2 && (commands[c].value == F_DUPFD || commands[c].value == F_DUPFD_CLOEXEC))
                close((int)result);
        }
    }
}

static void ask_ioctl(int i)
{
    static const struct named requests[] = {
        N(TCGETS), N(TCFLSH), N(TIOCGPGRP), N(TIOCSPGRP), N(TIOCOUTQ), N(TIOCGWINSZ), N(TIOCMGET), N(FIONREAD), N(TIOCPKT),
        N(FIONBIO), N(TIOCGETD), N(TIOCGSID), N(TIOCGPTN), N(TIOCSPTLCK), N(TIOCGPKT), N(TIOCGPTLCK), N(TIOCGEXCL), N(FIONCLEX),
        N(FIOCLEX), N(FIOASYNC), N(FIOQSIZE), N(SIOCATMARK), N(SIOCGIFNAME), N(SIOCGIFCONF), N(SIOCGIFFLAGS), N(SIOCGIFADDR),
        N(SIOCGIFBRDADDR), N(SIOCGIFNETMASK), N(SIOCGIFMETRIC), N(SIOCGIFMTU), N(SIOCGIFHWADDR), N(SIOCGIFINDEX), N(SIOCGIFTXQLEN),
        N(FIBMAP), N(FIGETBSZ), N(FICLONE), N(FS_IOC_GETFLAGS), N(FS_IOC_GETVERSION), N(FS_IOC_FSGETXATTR),
        N(BLKGETSIZE64), N(BLKSSZGET), N(BLKFLSBUF), { "unknown", 0xdeadbeef },
    };
    for (size_t c = 0; c < sizeof requests / sizeof *requests; c++) {
        memset(buffer, 0, 256);
        strcpy((char *)buffer, "lo");
        printf("ioctl %s %s: %s\n", files[i].name, requests[c].name, outcome(ioctl(files[i].fd, requests[c].value, buffer)));
        printf("ioctl %s %s nothing: %s\n", files[i].name, requests[c].name, outcome(ioctl(files[i].fd, requests[c].value, bad_address)));
    }
}

/* By number: those of MIPS are others. */
static void ask_options(int i)
{
#ifndef __mips__
    static const int levels[] = { 0, 1, 6, 17, 41, 58, 255, 270 };
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        for (int option = 0; option < 85; option++) {
            for (socklen_t size = 0; size <= 64; size += size >= 16 ? 48 : 4) {
                socklen_t length = size;
                memset(buffer, 0, 256);
                int result = getsockopt(files[i].fd, levels[l], option, buffer, &length);
                printf("get %s %d %d of %u: %s, %u\n", files[i].name, levels[l], option, size, outcome(result), length);
            }
            /* Filters are what a buffer happens to hold. */
            if (levels[l] == 1 && (option == 26 || option == 27 || (option >= 50 && option <= 52)))
                continue;
            for (socklen_t size = 0; size <= 16; size += 4) {
                memset(buffer, 0, 256);
                buffer[0] = 1;
                int result = setsockopt(files[i].fd, levels[l], option, buffer, size);
                printf("set %s %d %d of %u: %s\n", files[i].name, levels[l], option, size, outcome(result));
            }
        }
    }
#else
    (void)i;
#endif
}

static void ask_prctl(int option)
{
    const unsigned long arguments[] = { 0, 1, (unsigned long)-1, 8, (unsigned long)buffer };
    for (int a = 0; a < 5; a++)
        for (unsigned long b = 0; b < 2; b++)
            printf("prctl %d %d %lu: %s\n", option, a, b, outcome(syscall(SYS_prctl, (long)option, arguments[a], b, 0l, 0l)));
}

static void ask_mmap(int i)
{
    static const struct named kinds[] = { N(MAP_PRIVATE), N(MAP_SHARED), { "MAP_SHARED_VALIDATE", 3 }, { "none", 0 }, { "15", 15 } };
    static const struct named more[] = {
        { "nothing", 0 }, N(MAP_GROWSDOWN), N(MAP_FIXED), N(MAP_NORESERVE), N(MAP_POPULATE), N(MAP_STACK), N(MAP_LOCKED),
        { "MAP_FIXED_NOREPLACE", 0x100000 }, { "MAP_SYNC", 0x80000 },
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t m = 0; m < sizeof more / sizeof *more; m++)
            for (int anonymous = 0; anonymous < 2; anonymous++)
                for (int place = 0; place < 2; place++) {
                    int flags = (int)(kinds[k].value | more[m].value) | (anonymous ? MAP_ANONYMOUS : 0);
                    void *at = mmap((void *)(place ? 0x50000000ul : 0x50000001ul), PAGE, PROT_READ, flags, files[i].fd, 0);
                    printf("mmap %s %s %s %d %d: %s\n", files[i].name, kinds[k].name, more[m].name, anonymous, place,
                           outcome(at == MAP_FAILED ? -1 : 0));
                    if (at != MAP_FAILED)
                        munmap(at, PAGE);
                }
    static const int protections[] = { PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, 8, 0x100 };
    for (size_t p = 0; p < sizeof protections / sizeof *protections; p++)
        for (int shared = 0; shared < 2; shared++) {
            void *at = mmap(NULL, PAGE, protections[p], shared ? MAP_SHARED : MAP_PRIVATE, files[i].fd, 0);
            printf("mmap %s for %#x %d: %s\n", files[i].name, protections[p], shared, outcome(at == MAP_FAILED ? -1 : 0));
        }
}

/* Advice on four pages of which the third is a hole, and what is in the first two afterwards. */
static void ask_madvise(int kind)
{
    static const struct named advice[] = {
        N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL), N(MADV_WILLNEED), N(MADV_DONTNEED), N(MADV_REMOVE), N(MADV_DONTFORK),
        N(MADV_DOFORK), N(MADV_WIPEONFORK), N(MADV_KEEPONFORK), N(MADV_COLD), N(MADV_PAGEOUT), { "POPULATE_READ", 22 },
        { "POPULATE_WRITE", 23 }, { "DONTNEED_LOCKED", 24 }, { "99", 99 }, { "-1", (unsigned long)-1 },
    };
    for (size_t a = 0; a < sizeof advice / sizeof *advice; a++) {
        int fd = files[8].fd, anonymous = kind < 2;
        if (ftruncate(fd, 4 * (off_t)PAGE))
            exit(98);
        unsigned char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, (kind % 2 ? MAP_SHARED : MAP_PRIVATE) | (anonymous ? MAP_ANONYMOUS : 0), anonymous ? -1 : fd, 0);
        p[0] = 1, p[PAGE] = 2;
        long whole = madvise(p, 2 * PAGE, (int)advice[a].value);
        int error = errno;
        unsigned char vector[2] = { 0 };
        int resident = mincore(p, 2 * PAGE, vector);
        printf("madvise %d %s", kind, advice[a].name);
        errno = error;
        printf(": %s", outcome(whole));
        printf(" %d %d %d\n", p[0], p[PAGE], resident);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            signal(SIGSEGV, SIG_DFL);
            _exit(p[0] == 1 ? 1 : 2);
        }
        int status;
        waitpid(pid, &status, 0);
        printf("madvise %d %s in a child: %#x\n", kind, advice[a].name, (unsigned)status);
        munmap(p + 2 * PAGE, PAGE);
        printf("madvise %d %s with a hole: %s\n", kind, advice[a].name, outcome(madvise(p, 4 * PAGE, (int)advice[a].value)));
        printf("madvise %d %s misaligned: %s\n", kind, advice[a].name, outcome(madvise(p + 1, PAGE, (int)advice[a].value)));
        printf("madvise %d %s of nothing: %s\n", kind, advice[a].name, outcome(madvise(p, 0, (int)advice[a].value)));
        munmap(p, 4 * PAGE);
    }
}

static void ask_mremap(int kind)
{
    for (int flags = 0; flags < 16; flags++)
        for (size_t old = 0; old <= 3; old++)
            for (size_t new = 0; new <= 4; new++) {
                unsigned char *p = mmap((void *)0x50000000, 8 * PAGE, PROT_READ | PROT_WRITE,
                                        (kind ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
                munmap(p + 2 * PAGE, PAGE);
                p[0] = 1, p[PAGE] = 2;
                unsigned char *q = mremap(p, old * PAGE, new * PAGE, flags, (void *)0x51000000);
                printf("mremap %d %d %zu %zu: %s", kind, flags, old, new, outcome(q == MAP_FAILED ? -1 : 0));
                if (q != MAP_FAILED)
                    printf(" %d %d", q[0], q == p);
                printf("\n");
                munmap((void *)0x50000000, 8 * PAGE);
                munmap((void *)0x51000000, 8 * PAGE);
                if (q != MAP_FAILED)
                    munmap(q, new * PAGE);
            }
}

int main(void)
{
    buffer = map_pages(2, PROT_READ | PROT_WRITE);
    signal(SIGIO, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    open_all();
    for (int i = 0; i < 17; i++) {
        apart("fcntl", ask_fcntl, i);
        apart("ioctl", ask_ioctl, i);
        apart("mmap", ask_mmap, i);
        if (i >= 4 && i < 8)
            apart("options", ask_options, i);
    }
    for (int option = 1; option <= 75; option++)
        apart("prctl", ask_prctl, option);
    for (int kind = 0; kind < 4; kind++)
        apart("madvise", ask_madvise, kind);
    apart("mremap", ask_mremap, 0);
    apart("mremap", ask_mremap, 1);
    unlink("answers-file");
    return 0;
}
