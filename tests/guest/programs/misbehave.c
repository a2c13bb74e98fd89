/* Programs that do not end, or want too much, for tests of limits: misbehave spin | stop | hush | descriptor | hide | orphan | fork | thread |
 * turns | map | shared | write FILE [ignore]. */
#include "guest.h"
#include <fcntl.h>
#include <pthread.h>

/* Says that all is in place, for the test to see before the limit ends it. */
static void ready(void)
{
    puts("ready");
    fflush(stdout);
}

static void spin(void)
{
    for (volatile unsigned i = 0;; i++)
        ;
}

/* Children in all places: out of the session, stopped, deaf to signals, orphaned, waiting, running. */
static void hide(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            if (i != 0)
                setsid();
            if (i == 1)
                raise(SIGSTOP);
            if (i == 2 && fork() != 0)
                _exit(0);
            if (i == 3)
                for (;;)
                    pause();
            spin();
        }
    }
    ready();
    for (;;) {
        int ends[2];
        char byte;
        CHECK(pipe(ends) == 0 && read(ends[0], &byte, 1) == 0);
    }
}

/* Leaves a child behind that holds the output. */
static int orphan(void)
{
    if (fork() == 0) {
        setsid();
        spin();
    }
    ready();
    return 3;
}

/* Forks until that fails. */
static int forks(void)
{
    int n = 0;
    pid_t child;
    while ((child = fork()) > 0)
        n++;
    if (child == 0)
        for (;;)
            pause();
    printf("%d children, %s\n", n, strerror(errno));
    return 0;
}

static void *waits(void *none)
{
    for (;;)
        pause();
    return none;
}

static int threads(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    int n = 0, error;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    while ((error = pthread_create(&thread, &attr, waits, NULL)) == 0)
        n++;
    printf("%d threads, %s\n", n, strerror(error));
    fflush(stdout);
    _exit(0);
}

/* As many processes one after the other as there can be. */
static int turns(void)
{
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        int status;
        if (child == 0)
            _exit(i);
        CHECK(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == i);
    }
    DONE();
}

static int maps(int flags)
{
    int n = 0;
    unsigned char *p;
    while ((p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED) {
        memset(p, 1, 1 << 20);
        n++;
    }
    printf("%d MiB, %s\n", n, strerror(errno));
    return 0;
}

static int writes(const char *name)
{
    static char bytes[65536];
    long long n = 0;
    ssize_t written;
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    while ((written = write(fd, bytes, sizeof bytes)) > 0)
        n += written;
    printf("%lld bytes, %s\n", n, strerror(errno));
    return 0;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    if (!strcmp(how, "again")) /* in another instance of the emulator */
        execl("/proc/self/exe", argv[0], "spin", (char *)NULL);
    else if (!strcmp(how, "spin"))
        spin();
    else if (!strcmp(how, "stop")) {
        ready();
        for (;;)
            raise(SIGSTOP);
    }
    else if (!strcmp(how, "hush")) {
        ready();
        fclose(stdout);
        spin();
    } else if (!strcmp(how, "descriptor"))
        return open("/dev/null", O_RDONLY);
    else if (!strcmp(how, "hide"))
        hide();
    else if (!strcmp(how, "orphan"))
        return orphan();
    else if (!strcmp(how, "fork"))
        return forks();
    else if (!strcmp(how, "thread"))
        return threads();
    else if (!strcmp(how, "turns"))
        return turns();
    else if (!strcmp(how, "map"))
        return maps(MAP_PRIVATE);
    else if (!strcmp(how, "shared"))
        return maps(MAP_SHARED);
    else if (!strcmp(how, "write") && argc > 2) {
        if (argc > 3)
            signal(SIGXFSZ, SIG_IGN);
        return writes(argv[2]);
    }
    return 98;
}
