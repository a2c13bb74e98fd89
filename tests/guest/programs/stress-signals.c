/* Signals against calls that wait: none is lost, none comes twice, none keeps a call waiting, and SA_RESTART does what it says.
 * `stress-signals` [SECONDS]; `stress-signals planted` waits in the way that loses signals, and must find that. */
#include "guest.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static double seconds = 0.6;
static int planted;
static volatile sig_atomic_t handled;
static volatile int last_value, out_of_order;
static int self_pipe[2];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void count(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    handled++;
}

static void tell(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    int error = errno;
    handled++;
    if (write(self_pipe[1], "x", 1) != 1)
        _exit(97);
    errno = error;
}

static void in_sequence(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    if (info->si_value.sival_int != last_value + 1)
        out_of_order++;
    last_value = info->si_value.sival_int;
}

/* The other side: waits for a turn, lets some time pass or none, and sends the signal to the waiting thread. */
static struct turns {
    unsigned asked, done, stop;
    int target;
    int number;
} turns;

static void *sender(void *none)
{
    unsigned seed = 1;
    for (unsigned turn = 1;; turn++) {
        while (__atomic_load_n(&turns.asked, __ATOMIC_SEQ_CST) != turn) {
            if (__atomic_load_n(&turns.stop, __ATOMIC_SEQ_CST))
                return none;
            sched_yield();
        }
        seed = seed * 1103515245 + 12345;
        for (volatile unsigned i = 0; i < (seed >> 16) % 2000; i++)
            ;
        syscall(SYS_tgkill, getpid(), turns.target, turns.number);
        __atomic_store_n(&turns.done, turn, __ATOMIC_SEQ_CST);
    }
}

/* One way of waiting for a signal that is blocked outside: did the call wait until it came? */
static int wait_one(int way, const sigset_t *open, const sigset_t *closed)
{
    struct timespec long_time = { 20, 0 };
    int before = handled, result;
    switch (way) {
    case 0:
        result = sigsuspend(open);
        break;
    case 1:
        result = ppoll(NULL, 0, &long_time, open);
        break;
    case 2:
        result = pselect(0, NULL, NULL, NULL, &long_time, open);
        break;
    default: {
        siginfo_t info;
        if (sigtimedwait(closed, &info, &long_time) != turns.number)
            return 0;
        handled++;
        return 1;
    }
    }
    return result == -1 && errno == EINTR && handled == before + 1;
}

/* No wake-up is lost: the signal comes before, while or after the thread starts to wait. */
static void wake_ups(void)
{
    sigset_t closed, open;
    sigemptyset(&closed);
    sigaddset(&closed, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &closed, &open);
    on_signal(SIGUSR1, 0, count);
    turns = (struct turns){ .target = (int)syscall(SYS_gettid), .number = SIGUSR1 };
    pthread_t other;
    CHECK(pthread_create(&other, NULL, sender, NULL) == 0);
    double end = now() + seconds;
    unsigned turn = 0;
    int lost = 0;
    do {
        __atomic_store_n(&turns.asked, ++turn, __ATOMIC_SEQ_CST);
        if (planted) {
            /* Opens the mask, then sleeps: a signal between the two is missed. */
            int before = handled;
            pthread_sigmask(SIG_SETMASK, &open, NULL);
            struct timespec some = { 0, 200000000 };
            for (volatile int i = 0; i < 20000; i++)
                ;
            if (handled != before || nanosleep(&some, NULL) == 0)
                lost++;
            pthread_sigmask(SIG_BLOCK, &closed, NULL);
        } else if (!wait_one((int)(turn % 4), &open, &closed)) {
            lost++;
        }
        while (__atomic_load_n(&turns.done, __ATOMIC_SEQ_CST) != turn)
            sched_yield();
    } while (now() < end && lost == 0);
    __atomic_store_n(&turns.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(other, NULL);
    pthread_sigmask(SIG_SETMASK, &open, NULL);
    if (planted)
        printf("lost wake-ups: %s\n", lost ? "found" : "NOT FOUND");
    else
        CHECK(lost == 0 && turn > 10);
}

/* The handler makes the waiting read return: with a byte always if calls are restarted, else perhaps with EINTR, never not at all. */
static void restarts(int flags)
{
    on_signal(SIGUSR2, flags, tell);
    CHECK(pipe(self_pipe) == 0);
    turns = (struct turns){ .target = (int)syscall(SYS_gettid), .number = SIGUSR2 };
    handled = 0;
    pthread_t other;
    CHECK(pthread_create(&other, NULL, sender, NULL) == 0);
    double end = now() + seconds;
    unsigned turn = 0, interrupted = 0;
    do {
        char byte = 0;
        __atomic_store_n(&turns.asked, ++turn, __ATOMIC_SEQ_CST);
        ssize_t got = read(self_pipe[0], &byte, 1);
        if (got == -1 && errno == EINTR) {
            interrupted++;
            got = read(self_pipe[0], &byte, 1);
        }
        if (got != 1 || byte != 'x' || handled != (int)turn)
            break;
        while (__atomic_load_n(&turns.done, __ATOMIC_SEQ_CST) != turn)
            sched_yield();
    } while (now() < end);
    CHECK(handled == (int)turn && (interrupted == 0 || !(flags & SA_RESTART)));
    __atomic_store_n(&turns.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(other, NULL);
    close(self_pipe[0]);
    close(self_pipe[1]);
}

/* Queued signals come once each, in order, however the receiver waits. */
static void queues(void)
{
    enum { AHEAD = 64 };
    sigset_t blocked, open;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &blocked, &open);
    on_signal(SIGRTMIN + 1, SA_RESTART, in_sequence);
    last_value = out_of_order = 0;
    int credit[2];
    CHECK(pipe(credit) == 0);
    fflush(stdout);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        char byte;
        close(credit[1]);
        for (int i = 1; read(credit[0], &byte, 1) == 1; i++)
            if (sigqueue(parent, SIGRTMIN + 1, (union sigval){ .sival_int = i }))
                _exit(1);
        _exit(0);
    }
    close(credit[0]);
    int sent = 0;
    double end = now() + seconds;
    while (now() < end) {
        while (sent < last_value + AHEAD && write(credit[1], "x", 1) == 1)
            sent++;
        struct timespec nap = { 0, 1000000 };
        switch (sent % 3) {
        case 0: ppoll(NULL, 0, &nap, &open); break;
        case 1: sigprocmask(SIG_SETMASK, &open, NULL), sched_yield(), sigprocmask(SIG_BLOCK, &blocked, NULL); break;
        default: sigprocmask(SIG_SETMASK, &open, NULL), nanosleep(&nap, NULL), sigprocmask(SIG_BLOCK, &blocked, NULL);
        }
    }
    close(credit[1]);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    sigprocmask(SIG_SETMASK, &open, NULL);
    CHECK(last_value == sent && out_of_order == 0 && sent > AHEAD);
}

/* A timer's ticks and overruns are the time that has passed; sleeps that it interrupts are slept to the end. */
static volatile long ticks;
static void on_tick(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    ticks += 1 + info->si_overrun;
}

static void timers(void)
{
    on_signal(SIGRTMIN + 2, 0, on_tick);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2 };
    timer_t timer;
    struct itimerspec every = { { 0, 1000000 }, { 0, 1000000 } }, never = { { 0, 0 }, { 0, 0 } };
    ticks = 0;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    double begin = now();
    CHECK(timer_settime(timer, 0, &every, NULL) == 0);
    while (now() < begin + seconds) {
        double start = now();
        struct timespec left = { 0, 5300000 };
        while (nanosleep(&left, &left) == -1 && errno == EINTR)
            ;
        CHECK(now() - start >= 0.0053);
    }
    CHECK(timer_settime(timer, 0, &never, NULL) == 0);
    double passed = now() - begin;
    nanosleep(&(struct timespec){ 0, 3000000 }, NULL);
    CHECK((double)ticks > passed * 1000 * 0.9 - 5 && (double)ticks < passed * 1000 + 10);
    timer_delete(timer);
}

int main(int argc, char **argv)
{
    planted = argc > 1 && !strcmp(argv[1], "planted");
    if (argc > 1 && !planted)
        seconds = atof(argv[1]) / 5;
    if (planted)
        seconds = 30; /* at most */
    wake_ups();
    if (!planted) {
        alarm((unsigned)(seconds * 12) + 60);
        restarts(0);
        restarts(SA_RESTART);
        queues();
        timers();
    }
    DONE();
}
