/* Every system call with one bad argument at a time: a null pointer, pointers to nothing and to memory of no use, descriptors that
 * are closed or of the wrong kind, flags that nobody knows. A line says which error there was, "CALL ARGUMENT=WHAT: ERROR"; the
 * runner compares with the lines of the native build on the same kernel. */
#include "guest.h"
#ifndef __GLIBC__
#error "glibc only" /* strerrorname_np */
#endif
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* What the arguments of a call are, a letter each:
 *   f  an open file       D  a directory's descriptor, for the name after it     k  a socket   e  an epoll descriptor
 *   i  a pipe's write end, full
 *   p  memory that is read or written; z the same of zeros, m with the number -1 in it
 *   t  the same, as a time that somebody waits; y four pages that nothing else uses; M a harmless resource
 *   G bytes of a set of signals; L SOL_SOCKET; R SO_REUSEADDR; B SIG_BLOCK
 *   s  the name of a file     S  a name of which there is no file     0  zero    1 2 3 4 8 the number; n 64, N 4096; P 4096 and nothing else
 *   g  flags, 0 if they are good (h: with no such as O_NONBLOCK)     q  the process's id     w -1     c  a clock */
struct call {
    long number;
    const char *name, *kinds;
};
#define C(name, kinds) { SYS_##name, #name, kinds }
static const struct call calls[] = {
#include "arguments.h"
};

enum { CLOSED = 500 };
static char *nothing, *no_access, *read_only, *edge, *buffer, *pages;
static int file, directory, sock, epoll, full;
static char long_name[5000];

static const char *error_name(int error)
{
    static char number[16];
    const char *name = strerrorname_np(error);
    if (name)
        return name;
    snprintf(number, sizeof number, "%d", error);
    return number;
}

static long good(char kind)
{
    switch (kind) {
    case 'f': return file;
    case 'D': return directory;
    case 'k': return sock;
    case 'e': return epoll;
    case 'i': return full;
    case 'p': case 'z': case 't': return (long)buffer;
    case 'y': return (long)pages;
    case 'M': return RLIMIT_MSGQUEUE;
    case 'G': return _NSIG / 8;
    case 'L': return SOL_SOCKET;
    case 'R': return SO_REUSEADDR;
    case 'm': memset(buffer, 0xff, PAGE); return (long)buffer;
    case 's': return (long)"arguments-file";
    case 'S': return (long)"arguments-new";
    case 'n': return 64;
    case 'P':
    case 'N': return 4096;
    case 'q': return getpid();
    case 'w': return -1;
    case 'c': case '0': case 'g': case 'h': return 0;
    case 'B': return SIG_BLOCK;
    default: return kind - '0';
    }
}

/* System V's objects outlive their maker, and the machine has a limited number of them. */
static void remove_object(long number, int id)
{
#ifdef SYS_shmget
    if (number == SYS_shmget)
        shmctl(id, IPC_RMID, NULL);
    if (number == SYS_semget)
        semctl(id, 0, IPC_RMID);
    if (number == SYS_msgget)
        msgctl(id, IPC_RMID, NULL);
#endif
}

static void call(const struct call *c, int argument, const char *what, long value)
{
    long v[6] = { 0 };
    memset(buffer, 0, PAGE);
    for (int i = 0; c->kinds[i]; i++)
        v[i] = good(c->kinds[i]);
    if (argument >= 0)
        v[argument] = value;
    errno = 0;
    long result = syscall(c->number, v[0], v[1], v[2], v[3], v[4], v[5]);
    const char *outcome = result == -1 ? error_name(errno) : "done";
    if (result >= 0)
        remove_object(c->number, (int)result);
    if (argument < 0)
        printf("%s: %s\n", c->name, outcome);
    else
        printf("%s %d=%s: %s\n", c->name, argument, what, outcome);
    fflush(stdout);
}

static void each_argument(const struct call *c)
{
    call(c, -1, "", 0);
    for (int i = 0; c->kinds[i]; i++) {
        switch (c->kinds[i]) {
        case 'f': case 'k': case 'e': case 'i':
            call(c, i, "closed", CLOSED);
            call(c, i, "negative", -1);
            call(c, i, "file", file);
            call(c, i, "directory", directory);
            call(c, i, "socket", sock);
            call(c, i, "path", open("arguments-file", O_PATH));
            break;
        case 'D':
            call(c, i, "closed", CLOSED);
            call(c, i, "negative", -1);
            call(c, i, "file", file);
            call(c, i, "here", AT_FDCWD);
            break;
        case 'y':
            call(c, i, "misaligned", (long)pages + 1);
            /* fall through */
        case 'p': case 'z': case 'm': case 't':
            if (c->kinds[i] != 't')
                call(c, i, "null", 0);
            call(c, i, "nothing", (long)nothing);
            call(c, i, "kernel", -4096l);
            call(c, i, "no access", (long)no_access);
            call(c, i, "read-only", (long)read_only);
            call(c, i, "edge", (long)edge);
            break;
        case 's': case 'S':
            call(c, i, "null", 0);
            call(c, i, "nothing", (long)nothing);
            call(c, i, "kernel", -4096l);
            call(c, i, "empty", (long)"");
            call(c, i, "long", (long)long_name);
            call(c, i, "below a file", (long)"arguments-file/x");
            call(c, i, "in no directory", (long)"arguments-none/x");
            call(c, i, "missing", (long)"arguments-none");
            call(c, i, "slash", (long)"arguments-dir/");
            call(c, i, "loop", (long)"arguments-loop");
            break;
        case 'g': case 'h':
            call(c, i, "all", -1l);
            call(c, i, "highest", 0x40000000l);
            call(c, i, "1", 1);
            call(c, i, "2", 2);
            if (c->kinds[i] == 'g')
                call(c, i, "O_NONBLOCK", O_NONBLOCK);
            break;
        case 'n': case 'N': case '1': case '2': case '3': case '4': case '8':
            call(c, i, "zero", 0);
            call(c, i, "negative", -1l);
            call(c, i, "large", 0x1fffffff);
            break;
        case 'q':
            call(c, i, "nobody", 0x7ffffff);
            call(c, i, "negative", -0x7ffffffl);
            break;
        case 'c':
            call(c, i, "unknown", 77);
            call(c, i, "negative", -1l);
            call(c, i, "monotonic", 1);
            break;
        }
    }
}

static void prepare(void)
{
    nothing = bad_address;
    no_access = (char *)map_pages(1, PROT_NONE);
    read_only = (char *)map_pages(1, PROT_READ);
    char *two = (char *)map_pages(2, PROT_READ | PROT_WRITE);
    mprotect(two + PAGE, PAGE, PROT_NONE);
    edge = two + PAGE - 1;
    /* Where there is nothing else for half a gigabyte, on any machine. */
    buffer = mmap((void *)0x4f000000, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    pages = mmap((void *)0x50000000, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memset(long_name, 'x', sizeof long_name - 1);
    /* Some calls change the working directory's owner, mode and times. */
    char own[] = "arguments-XXXXXX";
    CHECK(mkdtemp(own) && chdir(own) == 0);
    file = open("arguments-file", O_RDWR | O_CREAT | O_TRUNC, 0644);
    mkdir("arguments-dir", 0755);
    if (symlink("arguments-loop", "arguments-loop"))
        CHECK(errno == EEXIST);
    directory = open(".", O_RDONLY | O_DIRECTORY);
    sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    epoll = (int)syscall(SYS_epoll_create1, 0);
    int ends[2];
    CHECK(write(file, buffer, PAGE) == PAGE && pipe2(ends, O_NONBLOCK) == 0 && sock >= 0 && epoll >= 0);
    full = ends[1];
    lseek(file, 0, SEEK_SET);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (argc > 1 && strcmp(argv[1], calls[i].name))
            continue;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            prepare();
            alarm(5);
            each_argument(&calls[i]);
            fflush(stdout);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (status)
            printf("%s: the process ended with status %#x\n", calls[i].name, (unsigned)status);
        unlink("arguments-new");
        rmdir("arguments-new");
        unlink("arguments-none");
        rmdir("arguments-none");
    }
    return 0;
}
