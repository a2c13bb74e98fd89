/* Every way to make a process: vfork, posix_spawn, clone and clone3, system, popen; and what a thread start sets up. */
#include "guest.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>

extern char **environ;
static volatile int shared;

static int child(void *argument)
{
    shared += *(int *)argument;
    return 21;
}

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

int main(int argc, char **argv)
{
    if (argc > 1) {
        char buffer[100];
        ssize_t n = read(0, buffer, sizeof buffer);
        printf("%s: %.*s", argv[1], (int)(n > 0 ? n : 0), buffer);
        return atoi(argv[2]);
    }
    int status;
    fflush(stdout);
    pid_t pid = vfork();
    if (pid == 0) {
        shared = 5; /* the memory is the parent's */
        _exit(3);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3 && shared == 5);
    pid = vfork();
    if (pid == 0) {
        close(0);
        open("/dev/null", O_RDONLY);
        execl("/proc/self/exe", "spawn", "vfork", "4", (char *)NULL);
        _exit(99);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
    printf("\n");
    fflush(stdout);

    int fd[2];
    CHECK(pipe(fd) == 0 && write(fd[1], "piped\n", 6) == 6 && close(fd[1]) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    sigfillset(&defaults);
    CHECK(posix_spawn_file_actions_init(&actions) == 0 && posix_spawn_file_actions_adddup2(&actions, fd[0], 0) == 0);
    CHECK(posix_spawnattr_init(&attributes) == 0 && posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0);
    CHECK(posix_spawnattr_setsigdefault(&attributes, &defaults) == 0);
    CHECK(posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, (char *[]){ "spawn", "posix_spawn", "7", NULL }, environ) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
    CHECK(posix_spawn(&pid, "/no/such/program", NULL, NULL, (char *[]){ "x", NULL }, environ) == ENOENT);

    char *stack = malloc(65536);
    int amount = 10;
    pid = clone(child, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, &amount);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 21 && shared == 15);
    pid_t parent_tid = 0;
    pid = clone(child, stack + 65536, CLONE_PARENT_SETTID | SIGCHLD, &amount, &parent_tid);
    CHECK(pid > 0 && parent_tid == pid && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 21 && shared == 15);

    struct clone3_args args = { .exit_signal = SIGCHLD };
    long got = syscall(SYS_clone3, &args, sizeof args);
    if (got == 0)
        _exit(33);
    if (got > 0)
        CHECK(waitpid((pid_t)got, &status, 0) == got && WEXITSTATUS(status) == 33);
    else
        CHECK(errno == ENOSYS); /* the C library then falls back to clone */
    CHECK(fork() != 0 || (_exit(1), 0));
    CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 1);
    free(stack);

    /* rseq: either refused, or registered once by the C library and refused to a second one. */
    static char area[64] __attribute__((aligned(32)));
#ifdef SYS_rseq
    long result = syscall(SYS_rseq, area, 32, 0, 0x53053053);
    CHECK(result == 0 || errno == ENOSYS || errno == EINVAL || errno == EBUSY || errno == EPERM);
#endif
    (void)area;
    printf("spawned\n");
    DONE();
}
