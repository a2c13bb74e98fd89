/* Threads: mutexes, conditions, thread-local variables, atomics, barriers, cancellation, signals to one thread. */
#include "guest.h"
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#define THREADS 4
#define ROUNDS 50000

static atomic_long counter;
static _Atomic unsigned char small;
static _Atomic uint16_t half;
static long plain;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static _Thread_local long own = 7;
static _Thread_local char zeroed[1000];
static long spin_total;
static atomic_flag spin = ATOMIC_FLAG_INIT;
static atomic_long stack_head;

static void *count(void *argument)
{
    long id = (long)argument;
    CHECK(own == 7 && zeroed[id] == 0);
    own += id;
    memset(zeroed, (int)id + 1, sizeof zeroed);
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&counter, 1);
        atomic_fetch_add(&small, 1);
        atomic_fetch_xor(&half, (uint16_t)(1u << id));
        if (i % 16 == 0) {
            pthread_mutex_lock(&mutex);
            plain++;
            pthread_mutex_unlock(&mutex);
        }
        if (i % 64 == 0) {
            while (atomic_flag_test_and_set(&spin))
                sched_yield();
            spin_total++;
            atomic_flag_clear(&spin);
        }
        long old = atomic_load(&stack_head);
        while (!atomic_compare_exchange_weak(&stack_head, &old, old * 2 % 1000003 + 1))
            ;
    }
    int serial = pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    CHECK(own == 7 + id && zeroed[999] == (char)(id + 1));
    return (void *)(long)serial;
}

/* A bounded queue between two producers and two consumers. */
static int queue[8], head, tail, filled;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER;

static void *produce(void *argument)
{
    for (int i = 1; i <= 2000; i++) {
        pthread_mutex_lock(&mutex);
        while (filled == 8)
            pthread_cond_wait(&not_full, &mutex);
        queue[head++ % 8] = i;
        filled++;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void *consume(void *argument)
{
    long sum = 0;
    (void)argument;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        while (filled == 0)
            pthread_cond_wait(&condition, &mutex);
        sum += queue[tail++ % 8];
        filled--;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&mutex);
    }
    return (void *)sum;
}

static volatile pid_t signalled_thread;
static atomic_int ready;

static void on_usr1(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    signalled_thread = (pid_t)syscall(SYS_gettid);
}

static void *wait_for_signal(void *argument)
{
    *(pid_t *)argument = (pid_t)syscall(SYS_gettid);
    atomic_store(&ready, 1);
    while (signalled_thread == 0)
        ;
    return NULL;
}

static int cleaned;
static void clean_up(void *argument) { cleaned += *(int *)argument; }

static void *block_forever(void *argument)
{
    pthread_cleanup_push(clean_up, argument);
    atomic_store(&ready, 2);
    for (;;)
        sleep(100);
    pthread_cleanup_pop(0);
    return NULL;
}

static pthread_key_t key;
static atomic_int destroyed;
static void destroy(void *value) { atomic_fetch_add(&destroyed, (int)(long)value); }

static void *with_key(void *argument)
{
    pthread_setspecific(key, argument);
    return pthread_getspecific(key);
}

static sigjmp_buf escape[THREADS];
static _Thread_local int me;

static void on_segv(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    siglongjmp(escape[me], 1);
}

static void *fault_often(void *argument)
{
    volatile long caught = 0;
    me = (int)(long)argument;
    for (volatile int i = 0; i < 200; i++) {
        if (sigsetjmp(escape[me], 1) == 0)
            *(volatile int *)bad_address = 1;
        else
            caught++;
    }
    return (void *)caught;
}

static volatile int leader_lives = 1; /* the kernel clears it */
static void *ends_last(void *none)
{
    while (leader_lives)
        usleep(1000);
    syscall(SYS_exit, 5);
    return none;
}

/* The process ends as its last thread does. */
static void end_one_by_one(void)
{
    pthread_t thread;
    syscall(SYS_set_tid_address, &leader_lives);
    pthread_create(&thread, NULL, ends_last, NULL);
    syscall(SYS_exit, 3);
}

int main(void)
{
    pthread_t thread[THREADS];
    void *result;
    long serial = 0, total = 0;
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (long i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, count, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(thread[i], &result) == 0);
        serial += (long)result;
    }
    CHECK(counter == THREADS * ROUNDS && plain == THREADS * ROUNDS / 16 && serial == 1);
    CHECK(small == (unsigned char)(THREADS * ROUNDS) && half == 0);
    CHECK(spin_total == THREADS * ((ROUNDS + 63) / 64));
    long expected = 0;
    for (int i = 0; i < THREADS * ROUNDS; i++)
        expected = expected * 2 % 1000003 + 1;
    CHECK(stack_head == expected);
    CHECK(own == 7);
    printf("counter %ld\n", counter);

    pthread_create(&thread[0], NULL, produce, NULL);
    pthread_create(&thread[1], NULL, consume, NULL);
    pthread_create(&thread[2], NULL, produce, NULL);
    pthread_create(&thread[3], NULL, consume, NULL);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], &result);
        total += (long)result;
    }
    CHECK(total == 2 * 2001000);
    printf("queue %ld\n", total);

    on_signal(SIGUSR1, 0, on_usr1);
    pid_t tid = 0;
    pthread_create(&thread[0], NULL, wait_for_signal, &tid);
    while (ready != 1)
        sched_yield();
    CHECK(pthread_kill(thread[0], SIGUSR1) == 0 && pthread_join(thread[0], NULL) == 0);
    CHECK(signalled_thread == tid && tid != getpid());
    int amount = 5;
    pthread_create(&thread[0], NULL, block_forever, &amount);
    while (ready != 2)
        sched_yield();
    CHECK(pthread_cancel(thread[0]) == 0 && pthread_join(thread[0], &result) == 0 && result == PTHREAD_CANCELED && cleaned == 5);
    printf("signal and cancel\n");

    CHECK(pthread_key_create(&key, destroy) == 0);
    for (long i = 0; i < 3; i++) {
        pthread_create(&thread[i], NULL, with_key, (void *)(i + 1));
        pthread_join(thread[i], &result);
        CHECK(result == (void *)(i + 1));
    }
    CHECK(destroyed == 6);
    sem_t semaphore;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_nsec += 5000000;
    if (now.tv_nsec >= 1000000000)
        now.tv_nsec -= 1000000000, now.tv_sec++;
    CHECK(sem_init(&semaphore, 0, 1) == 0 && sem_wait(&semaphore) == 0);
    CHECK(sem_timedwait(&semaphore, &now) == -1 && errno == ETIMEDOUT);

    on_signal(SIGSEGV, 0, on_segv);
    total = 0;
    for (long i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, fault_often, (void *)i);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], &result);
        total += (long)result;
    }
    printf("faults caught %ld\n", total);
    for (int i = 0; i < 300; i++) { /* stacks and identities are given back */
        CHECK(pthread_create(&thread[0], NULL, with_key, NULL) == 0);
        CHECK(pthread_join(thread[0], NULL) == 0);
    }

    /* fork from a threaded process; exit_group with threads still running. */
    pthread_create(&thread[0], NULL, block_forever, &amount);
    fflush(stdout);
    if (fork() == 0)
        _exit(11);
    int status;
    CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 11);
    fflush(stdout);
    if (fork() == 0)
        end_one_by_one();
    CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    DONE();
}
