/* Limits of memory and of files: setrlimit acts on this program's address space, and goes on to children and executed programs. */
#include "guest.h"
#include <fcntl.h>
#include <sys/resource.h>

#define MIB (1ul << 20)

static void limit(int resource, rlim_t soft)
{
    struct rlimit l;
    CHECK(getrlimit(resource, &l) == 0);
    l.rlim_cur = soft == RLIM_INFINITY ? l.rlim_max : soft;
    CHECK(setrlimit(resource, &l) == 0);
    CHECK(getrlimit(resource, &l) == 0 && (soft == RLIM_INFINITY || l.rlim_cur == soft));
}

static void *map(size_t size, int prot, int flags)
{
    return mmap(NULL, size, prot, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static int no_room(void *p)
{
    return p == MAP_FAILED && errno == ENOMEM;
}

static void address_space(void)
{
    void *some[16], *p;
    int n = 0;
    limit(RLIMIT_AS, 256 * MIB);
    CHECK(no_room(map(512 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE)));
    CHECK(no_room(map(512 * MIB, PROT_NONE, MAP_PRIVATE)));
    CHECK(no_room(map(512 * MIB, PROT_READ, MAP_SHARED)));
    while (n < 16 && (some[n] = map(32 * MIB, PROT_NONE, MAP_PRIVATE)) != MAP_FAILED)
        n++;
    CHECK(n >= 4 && n < 8);
    /* What is replaced makes room for what replaces it. */
    CHECK(mmap(some[0], 32 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == some[0]);
    CHECK(no_room(mremap(some[0], 32 * MIB, 96 * MIB, MREMAP_MAYMOVE)));
    CHECK(munmap(some[1], 32 * MIB) == 0);
    CHECK((p = map(32 * MIB, PROT_NONE, MAP_PRIVATE)) != MAP_FAILED);
    some[1] = p;
    limit(RLIMIT_AS, RLIM_INFINITY);
    CHECK((p = mremap(some[0], 32 * MIB, 96 * MIB, MREMAP_MAYMOVE)) != MAP_FAILED && munmap(p, 96 * MIB) == 0);
    while (--n > 0)
        CHECK(munmap(some[n], 32 * MIB) == 0);
    CHECK((p = map(512 * MIB, PROT_NONE, MAP_PRIVATE)) != MAP_FAILED && munmap(p, 512 * MIB) == 0);
    /* With nothing allowed, what is there stays, and can be given back. */
    CHECK((p = map(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE)) != MAP_FAILED);
    limit(RLIMIT_AS, 0);
    CHECK(no_room(map(PAGE, PROT_NONE, MAP_PRIVATE)));
    memset(p, 1, MIB);
    CHECK(mprotect(p, MIB, PROT_READ) == 0 && munmap(p, MIB) == 0);
    limit(RLIMIT_AS, RLIM_INFINITY);
    puts("address space");
}

static void data(void)
{
    char *p, *end = sbrk(0);
    limit(RLIMIT_DATA, 64 * MIB);
    CHECK(no_room(map(128 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE)));
    CHECK((p = map(128 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED)) != MAP_FAILED && munmap(p, 128 * MIB) == 0);
    CHECK((p = map(128 * MIB, PROT_READ, MAP_PRIVATE)) != MAP_FAILED);
    CHECK(mprotect(p, 128 * MIB, PROT_READ | PROT_WRITE) == -1 && errno == ENOMEM);
    CHECK(mprotect(p, 16 * MIB, PROT_READ | PROT_WRITE) == 0);
    p[0] = 1;
    CHECK(munmap(p, 128 * MIB) == 0);
    CHECK(sbrk(128 * MIB) == (void *)-1 && errno == ENOMEM && sbrk(0) == end);
    puts("data");
}

/* What a child, or a program that is executed, finds. */
static int inherited(void)
{
    struct rlimit l;
    CHECK(getrlimit(RLIMIT_DATA, &l) == 0 && l.rlim_cur == 64 * MIB);
    CHECK(no_room(map(128 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE)));
    return failures;
}

static void ends_with(pid_t child, int expected)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

static void children(char *self)
{
    pid_t child = fork();
    if (child == 0)
        _exit(inherited());
    ends_with(child, 0);
    child = vfork();
    if (child == 0) {
        execl(self, self, "inherited", (char *)NULL);
        _exit(98);
    }
    ends_with(child, 0);
    /* What a vfork's child limits is its own. */
    child = vfork();
    if (child == 0) {
        struct rlimit l = { 64 * MIB, 64 * MIB };
        setrlimit(RLIMIT_AS, &l);
        _exit(0);
    }
    ends_with(child, 0);
    void *p = map(128 * MIB, PROT_NONE, MAP_PRIVATE);
    CHECK(p != MAP_FAILED && munmap(p, 128 * MIB) == 0);
    limit(RLIMIT_DATA, RLIM_INFINITY);
    puts("children");
}

static volatile int exceeded;

static void on_exceeded(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number, (void)info, (void)context;
    exceeded++;
}

static void files(char *self)
{
    static char bytes[6000];
    struct rlimit l = { 10, 5 };
    CHECK(setrlimit(RLIMIT_FSIZE, &l) == -1 && errno == EINVAL);
    int fd = open("limited", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    on_signal(SIGXFSZ, 0, on_exceeded);
    /* The output may be a file. */
    fflush(stdout);
    limit(RLIMIT_FSIZE, 5000);
    CHECK(write(fd, bytes, sizeof bytes) == 5000 && exceeded == 0);
    CHECK(write(fd, bytes, 1) == -1 && errno == EFBIG && exceeded == 1);
    CHECK(ftruncate(fd, 5001) == -1 && errno == EFBIG && exceeded == 2);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(write(fd, bytes, 1) == -1 && errno == EFBIG);
    CHECK(close(fd) == 0 && unlink("limited") == 0);
    /* A program is executed all the same. */
    limit(RLIMIT_FSIZE, 0);
    pid_t child = fork();
    if (child == 0) {
        /* Nor may the emulator write there what it has to say at the end. */
        dup2(open("/dev/null", O_WRONLY), 2);
        execl(self, self, "nothing", (char *)NULL);
        _exit(98);
    }
    ends_with(child, 7);
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
    puts("files");
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "nothing") ? inherited() : 7;
    address_space();
    data();
    children(argv[0]);
    files(argv[0]);
    DONE();
}
