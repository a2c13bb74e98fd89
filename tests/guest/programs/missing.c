/* Asks for what emu does not have, in several processes and threads, and lives with the answers: tests/explain.rs reads what `--explain`
 * says of it. What is asked for harms nobody who has it. */
#include "guest.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static sigjmp_buf back;

static void caught(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number, (void)info, (void)context;
    siglongjmp(back, 1);
}

/* A vector instruction, with a handler for its absence as a library that looks for it has. */
static void vector(void)
{
    on_signal(SIGILL, 0, caught);
    if (!sigsetjmp(back, 1)) {
#if defined __riscv
        __asm__ volatile(".word 0x0d107057"); /* vsetvli zero, zero, e32, m1, ta, ma */
#elif defined __mips__
        __asm__ volatile(".word 0x7821000e"); /* addv.b $w0, $w0, $w1 */
#endif
    }
}

static void *thread(void *argument)
{
    syscall(SYS_io_uring_setup, 1, NULL);
    return argument;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        syscall(SYS_bpf, -1, NULL, 0);
        return 0;
    }
    for (int i = 0; i < 5; i++)
        syscall(SYS_io_uring_setup, 1, NULL);
    pthread_t id;
    CHECK(pthread_create(&id, NULL, thread, NULL) == 0 && pthread_join(id, NULL) == 0);
    CHECK(prctl(77777, 0, 0, 0, 0) == -1 && errno == EINVAL);
    CHECK(fcntl(1, 9999, 0) == -1 && errno == EINVAL);
    int ends[2];
    CHECK(pipe(ends) == 0 && ioctl(ends[0], 0x40045678, &id) == -1 && errno == ENOTTY);
    vector();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        syscall(SYS_io_uring_setup, 1, NULL);
        char *again[] = { argv[0], "again", NULL };
        execv("/proc/self/exe", again);
        _exit(96);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    if ((pid = fork()) == 0) {
        syscall(SYS_io_uring_setup, 1, NULL);
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    DONE();
}
