/* Memory shared between processes: futexes, process-shared locks, memfd, System V, POSIX shared memory. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>

static long futex(atomic_int *word, int operation, int value, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

struct area {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    long counter;
    atomic_long atomic;
    atomic_int word;
    int turn;
};

int main(void)
{
    struct area *area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_mutexattr_init(&mutex);
    pthread_condattr_init(&condition);
    CHECK(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(&area->mutex, &mutex) == 0 && pthread_cond_init(&area->condition, &condition) == 0);
    int status;
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            for (int k = 0; k < 3000; k++) {
                pthread_mutex_lock(&area->mutex);
                area->counter++;
                pthread_mutex_unlock(&area->mutex);
                atomic_fetch_add(&area->atomic, 3);
            }
            _exit(0);
        }
    while (wait(&status) > 0)
        CHECK(status == 0);
    CHECK(area->counter == 9000 && area->atomic == 27000);
    if (fork() == 0) {
        pthread_mutex_lock(&area->mutex);
        for (int i = 0; i < 100; i++) {
            while (area->turn != 1)
                pthread_cond_wait(&area->condition, &area->mutex);
            area->turn = 0;
            pthread_cond_signal(&area->condition);
        }
        _exit(0); /* dies with the mutex held */
    }
    pthread_mutex_lock(&area->mutex);
    for (int i = 0; i < 100; i++) {
        area->turn = 1;
        pthread_cond_signal(&area->condition);
        while (i < 99 && area->turn != 0)
            pthread_cond_wait(&area->condition, &area->mutex);
    }
    pthread_mutex_unlock(&area->mutex);
    CHECK(wait(&status) > 0 && status == 0);
    CHECK(pthread_mutex_lock(&area->mutex) == EOWNERDEAD && pthread_mutex_consistent(&area->mutex) == 0);
    pthread_mutex_unlock(&area->mutex);
    printf("locks\n");

    CHECK(futex(&area->word, FUTEX_WAIT, 1, NULL) == -1 && errno == EAGAIN);
    CHECK(futex(&area->word, FUTEX_WAIT, 0, &(struct timespec){ 0, 5000000 }) == -1 && errno == ETIMEDOUT);
    if (fork() == 0) {
        usleep(20000);
        atomic_store(&area->word, 1);
        while (futex(&area->word, FUTEX_WAKE, 10, NULL) == 0)
            usleep(1000);
        _exit(0);
    }
    while (futex(&area->word, FUTEX_WAIT, 0, NULL) == -1 && errno == EINTR)
        ;
    if (area->word == 1 && errno == EAGAIN) /* the store came first: be woken all the same */
        futex(&area->word, FUTEX_WAIT, 1, NULL);
    CHECK(area->word == 1 && wait(&status) > 0 && status == 0);
    printf("futex\n");

    int fd = memfd_create("shared", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
    char *a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    char *b = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    strcpy(a, "through memfd");
    CHECK(!strcmp(b + PAGE, "through memfd"));
    if (fork() == 0) {
        a[0] = 'T';
        _exit(0);
    }
    wait(NULL);
    printf("%s\n", b + PAGE);

    int id = shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600);
    CHECK(id >= 0);
    int *p = shmat(id, NULL, 0);
    CHECK(p != (void *)-1 && *p == 0);
    if (fork() == 0) {
        *p = 1234;
        _exit(0);
    }
    wait(NULL);
    struct shmid_ds ds;
    CHECK(*p == 1234 && shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_segsz == 3 * PAGE && ds.shm_nattch == 1);
    CHECK(shmdt(p) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
    int semaphore = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    struct sembuf up = { 0, 1, 0 }, down = { 0, -1, IPC_NOWAIT };
    CHECK(semaphore >= 0 && semop(semaphore, &up, 1) == 0 && semop(semaphore, &down, 1) == 0);
    CHECK(semop(semaphore, &down, 1) == -1 && errno == EAGAIN && semctl(semaphore, 0, IPC_RMID) == 0);
    printf("system v\n");
    DONE();
}
