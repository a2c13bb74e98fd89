/* Death by a signal; the argument says which way. */
#include "guest.h"
#include <fcntl.h>

static volatile int *volatile null;

static int (*volatile deeper_again)(int);

static int deeper(int n)
{
    if (n < 0)
        return 0;
    volatile char frame[1024];
    frame[0] = (char)n;
    return deeper_again(n + 1) + frame[0];
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    printf("dying: %s\n", how);
    fflush(stdout);
    if (!strcmp(how, "segv"))
        *null = 1;
    if (!strcmp(how, "read"))
        return *null;
    if (!strcmp(how, "text"))
        *(volatile char *)(uintptr_t)main = 0;
    if (!strcmp(how, "call"))
        ((void (*)(void))(uintptr_t)null)();
    if (!strcmp(how, "stack"))
        return deeper_again = deeper, deeper(0);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "ill"))
        ILLEGAL_INSTRUCTION();
    if (!strcmp(how, "fpe"))
        kill(getpid(), SIGFPE);
    if (!strcmp(how, "term"))
        raise(SIGTERM);
    if (!strcmp(how, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(how, "pipe")) {
        int fd[2];
        CHECK(pipe(fd) == 0);
        close(fd[0]);
        CHECK(write(fd[1], "x", 1) == 1);
    }
    if (!strcmp(how, "bus")) {
        int fd = nameless_file();
        CHECK(ftruncate(fd, 100) == 0);
        volatile char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
        CHECK(p != MAP_FAILED && p[50] == 0);
        return p[PAGE];
    }
    if (!strcmp(how, "blocked")) { /* a synchronous fault kills even when its signal is blocked */
        sigset_t set;
        sigfillset(&set);
        sigprocmask(SIG_SETMASK, &set, NULL);
        *null = 1;
    }
    if (!strcmp(how, "ignored")) { /* ... or ignored */
        signal(SIGSEGV, SIG_IGN);
        *null = 1;
    }
    printf("still alive\n");
    return 1;
}
