/* Signals from outside: masks, pending and queued ones, restarts, one-shot handlers, waiting for them. */
#include "guest.h"
#include <fcntl.h>
#include <setjmp.h>
#include <sys/time.h>
#include <time.h>

static volatile int order[32], n;
static volatile int value, sender, code;

static void note(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (n < 32)
        order[n++] = number;
    value = info->si_value.sival_int;
    sender = info->si_pid;
    code = info->si_code;
}

static volatile int depth, deepest, runs;

static void again(int number, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    if (++depth > deepest)
        deepest = depth;
    if (++runs < 3)
        raise(number);
    depth--;
}

static volatile int ticks;
static sigjmp_buf escape;

static void tick(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    ticks++;
}

static void leave(int number, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    siglongjmp(escape, number);
}

static void one_alarm(long microseconds, long interval)
{
    struct itimerval timer = { .it_value.tv_usec = microseconds, .it_interval.tv_usec = interval };
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

int main(void)
{
    sigset_t all, none, set;
    sigfillset(&all);
    sigemptyset(&none);
    int realtime = SIGRTMIN + 2;
    on_signal(SIGUSR1, 0, note);
    on_signal(SIGUSR2, 0, note);
    on_signal(realtime, 0, note);

    CHECK(raise(SIGUSR1) == 0 && n == 1 && order[0] == SIGUSR1 && sender == getpid());
    CHECK(kill(getpid(), SIGUSR2) == 0 && n == 2 && code == SI_USER);
    n = 0;
    CHECK(sigprocmask(SIG_SETMASK, &all, &set) == 0 && !sigismember(&set, SIGUSR1));
    raise(SIGUSR1);
    raise(SIGUSR1);
    for (int i = 1; i <= 3; i++)
        CHECK(sigqueue(getpid(), realtime, (union sigval){ .sival_int = i * 10 }) == 0);
    raise(SIGUSR2);
    CHECK(n == 0 && sigpending(&set) == 0);
    CHECK(sigismember(&set, SIGUSR1) && sigismember(&set, SIGUSR2) && sigismember(&set, realtime) && !sigismember(&set, SIGTERM));
    siginfo_t info;
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, realtime);
    CHECK(sigtimedwait(&only, &info, &(struct timespec){ 1, 0 }) == realtime && info.si_value.sival_int == 10 && info.si_code == SI_QUEUE);
    CHECK(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
    CHECK(n == 4); /* two ordinary ones, once each, and two queued */
    int ones = 0, twos = 0, queued = 0;
    for (int i = 0; i < n; i++) {
        ones += order[i] == SIGUSR1;
        twos += order[i] == SIGUSR2;
        queued += order[i] == realtime;
    }
    CHECK(ones == 1 && twos == 1 && queued == 2);
    CHECK(sigtimedwait(&only, &info, &(struct timespec){ 0, 1000000 }) == -1 && errno == EAGAIN);
    printf("masks\n");

    on_signal(SIGUSR1, SA_NODEFER, again);
    raise(SIGUSR1);
    CHECK(deepest == 3 && runs == 3);
    deepest = runs = 0;
    on_signal(SIGUSR1, 0, again);
    raise(SIGUSR1); /* raised again inside: runs after each return */
    CHECK(deepest == 1 && runs == 3);
    printf("nesting\n");
    on_signal(SIGUSR1, SA_RESETHAND, note);
    raise(SIGUSR1);
    struct sigaction action;
    CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGKILL, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL) == -1 && errno == EINVAL);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    CHECK(kill(getpid(), 0) == 0 && kill(getpid(), 1000) == -1 && errno == EINVAL);

    int fd[2];
    char c = 0;
    CHECK(pipe(fd) == 0);
    on_signal(SIGALRM, 0, tick);
    one_alarm(20000, 0);
    CHECK(read(fd[0], &c, 1) == -1 && errno == EINTR && ticks == 1);
    on_signal(SIGALRM, SA_RESTART, tick);
    if (fork() == 0) {
        usleep(100000);
        _exit(write(fd[1], "r", 1) != 1);
    }
    one_alarm(20000, 0);
    CHECK(read(fd[0], &c, 1) == 1 && c == 'r' && ticks == 2);
    wait(NULL);
    one_alarm(20000, 0);
    struct timespec left = { 0, 0 };
    CHECK(nanosleep(&(struct timespec){ 5, 0 }, &left) == -1 && errno == EINTR && left.tv_sec == 4 && ticks == 3);
    one_alarm(20000, 0);
    CHECK(pause() == -1 && errno == EINTR && ticks == 4);
    sigprocmask(SIG_BLOCK, &all, NULL);
    one_alarm(10000, 0);
    CHECK(sigsuspend(&none) == -1 && errno == EINTR && ticks == 5);
    sigprocmask(SIG_SETMASK, &none, NULL);
    printf("restarts\n");

    /* A loop without system calls must still see its signals, and lose nothing to them. */
    ticks = 0;
    one_alarm(2000, 2000);
    volatile uint32_t progress = 0;
    uint32_t mirror = 0;
    while (ticks < 20) {
        progress = progress * 3 + 1;
        mirror = mirror * 3 + 1;
    }
    one_alarm(0, 0);
    CHECK(progress == mirror);
    ticks = 0;
    on_signal(SIGALRM, 0, leave);
    for (volatile int i = 0; i < 5; i++) {
        int number = sigsetjmp(escape, 1);
        if (number == 0) {
            one_alarm(3000, 0);
            for (;;)
                progress++;
        }
        CHECK(number == SIGALRM);
        sigprocmask(SIG_SETMASK, NULL, &set);
        CHECK(!sigismember(&set, SIGALRM));
    }
    CHECK(alarm(100) == 0 && alarm(0) >= 99);
    printf("loops interrupted\n");
    DONE();
}
