/* Timers that send signals: their code, value and overruns; one that starts a thread; one that is read. */
#include "guest.h"
#include <semaphore.h>
#include <time.h>

static volatile int value, code, times;

static void note(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    times++;
    code = info->si_code;
    value = info->si_value.sival_int;
}

static sem_t done;

static void in_thread(union sigval given)
{
    value = given.sival_int;
    sem_post(&done);
}

int main(void)
{
    on_signal(SIGUSR2, 0, note);
    timer_t timer;
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 77 };
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    CHECK(timer_settime(timer, 0, &(struct itimerspec){ .it_value.tv_nsec = 5000000 }, NULL) == 0);
    while (times == 0)
        sigsuspend(&old);
    CHECK(times == 1 && value == 77 && code == SI_TIMER);

    /* Expirations while the signal is blocked are one signal, and counted. */
    struct itimerspec spec = { .it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000 }, left;
    CHECK(timer_settime(timer, 0, &spec, NULL) == 0);
    usleep(20000);
    siginfo_t info;
    CHECK(sigwaitinfo(&set, &info) == SIGUSR2 && info.si_code == SI_TIMER && info.si_value.sival_int == 77);
    CHECK(info.si_overrun > 5 && timer_getoverrun(timer) >= info.si_overrun);
    CHECK(timer_gettime(timer, &left) == 0 && left.it_interval.tv_nsec == 1000000 && left.it_value.tv_nsec <= 1000000);
    CHECK(timer_delete(timer) == 0);
    printf("signal\n");

    event = (struct sigevent){ .sigev_notify = SIGEV_THREAD, .sigev_notify_function = in_thread, .sigev_value.sival_int = 99 };
    CHECK(sem_init(&done, 0, 0) == 0 && timer_create(CLOCK_REALTIME, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &(struct itimerspec){ .it_value.tv_nsec = 5000000 }, NULL) == 0);
    CHECK(sem_wait(&done) == 0 && value == 99 && timer_delete(timer) == 0);
    printf("thread\n");
    event = (struct sigevent){ .sigev_notify = 55, .sigev_signo = SIGUSR2 };
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == -1 && errno == EINVAL);
    DONE();
}
