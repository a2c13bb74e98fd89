/* kill -9 at any moment: what a program has written before is there, whole and in order, and nothing else.
 * `killed` [TIMES]; `killed planted` keeps records back before it writes them, and must find that. */
#include "guest.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

struct record {
    uint32_t number, check[15];
};

static int planted;

/* Appends records, and counts in shared memory and in a mapped file which have been written. */
static void writes(volatile uint32_t *counter, volatile uint32_t *mapped)
{
    int fd = open("killed-file", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    struct record records[8];
    for (uint32_t n = 1;; n++) {
        struct record *r = &records[planted ? n % 8 : 0];
        r->number = n;
        for (uint32_t i = 0; i < 15; i++)
            r->check[i] = n * (i + 3);
        if (!planted && write(fd, r, sizeof *r) != sizeof *r)
            _exit(1);
        if (planted && n % 8 == 0 && write(fd, records, sizeof records) != sizeof records)
            _exit(1);
        *counter = n;
        *mapped = n;
    }
}

static int is_as_left(uint32_t counter)
{
    int fd = open("killed-file", O_RDONLY), number_file = open("killed-number", O_RDONLY);
    struct record r;
    uint32_t n = 0, mapped = 0;
    ssize_t got;
    int fine = 1;
    while ((got = read(fd, &r, sizeof r)) == sizeof r) {
        fine &= r.number == ++n;
        for (uint32_t i = 0; i < 15; i++)
            fine &= r.check[i] == n * (i + 3);
    }
    fine &= got == 0 && read(number_file, &mapped, 4) == 4;
    /* Of the last record the program may not have known yet that it was written. */
    fine &= (n == counter || n == counter + 1) && (mapped == counter || mapped + 1 == counter);
    close(fd);
    close(number_file);
    return fine;
}

int main(int argc, char **argv)
{
    planted = argc > 1 && !strcmp(argv[1], "planted");
    int times = argc > 1 && !planted ? atoi(argv[1]) : 30, wrong = 0;
    uint32_t most = 0;
    volatile uint32_t *counter = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned seed = (unsigned)getpid();
    for (int i = 0; i < times; i++) {
        *counter = 0;
        int fd = open("killed-number", O_RDWR | O_CREAT | O_TRUNC, 0600);
        CHECK(ftruncate(fd, 4) == 0);
        volatile uint32_t *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        unlink("killed-file");
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            writes(counter, mapped);
        while (*counter == 0)
            usleep(100);
        seed = seed * 1103515245 + 12345;
        usleep((seed >> 16) % 20000);
        int status;
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        wrong += !is_as_left(*counter);
        if (*counter > most)
            most = *counter;
        munmap((void *)mapped, PAGE);
        close(fd);
    }
    unlink("killed-file");
    unlink("killed-number");
    if (planted)
        printf("records that were kept back: %s\n", wrong ? "found" : "NOT FOUND");
    else
        CHECK(wrong == 0 && most > 1);
    DONE();
}
