/* Clocks and sleeping. */
#include "guest.h"
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

static int64_t nanoseconds(clockid_t clock)
{
    struct timespec t;
    CHECK(clock_gettime(clock, &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(void)
{
    const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                                 CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME };
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        struct timespec resolution;
        int64_t a = nanoseconds(clocks[i]), b = nanoseconds(clocks[i]);
        CHECK(b >= a && clock_getres(clocks[i], &resolution) == 0 && resolution.tv_sec == 0 && resolution.tv_nsec > 0);
    }
    struct timespec t;
    CHECK(clock_gettime(9999, &t) == -1 && errno == EINVAL);
    int64_t start = nanoseconds(CLOCK_MONOTONIC);
    CHECK(nanosleep(&(struct timespec){ 0, 30000000 }, NULL) == 0);
    int64_t slept = nanoseconds(CLOCK_MONOTONIC) - start;
    CHECK(slept >= 30000000 && slept < 5000000000);
    CHECK(nanosleep(&(struct timespec){ 0, 1000000000 }, NULL) == -1 && errno == EINVAL);
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += 20000000;
    if (t.tv_nsec >= 1000000000)
        t.tv_nsec -= 1000000000, t.tv_sec++;
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(nanoseconds(CLOCK_MONOTONIC) >= (int64_t)t.tv_sec * 1000000000 + t.tv_nsec);

    int64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    while (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) < cpu + 20000000)
        ;
    struct tms tms;
    CHECK(times(&tms) != (clock_t)-1 && clock() > 0);
    struct timeval day;
    CHECK(gettimeofday(&day, NULL) == 0 && day.tv_sec > 1600000000 && llabs((long long)day.tv_sec - time(NULL)) <= 1);

    setenv("TZ", "UTC", 1);
    time_t then = 1234567890;
    struct tm tm;
    char text[64];
    CHECK(gmtime_r(&then, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %j", &tm) > 0);
    printf("%s\n", text);
    CHECK(timegm(&tm) == then);
    DONE();
}
