/* fork, pipes and wait: data between processes and every kind of wait status. */
#include "guest.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static volatile sig_atomic_t children;

static void on_child(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    if (info->si_code == CLD_EXITED && info->si_status == 9)
        children++;
}

int main(void)
{
    int fd[2], back[2], status;
    CHECK(pipe(fd) == 0 && pipe2(back, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        unsigned sum = 0;
        unsigned char buffer[3000];
        close(fd[1]);
        for (ssize_t n; (n = read(fd[0], buffer, sizeof buffer)) > 0;)
            for (ssize_t i = 0; i < n; i++)
                sum = sum * 31 + buffer[i];
        _exit(write(back[1], &sum, sizeof sum) == sizeof sum ? 5 : 6);
    }
    close(fd[0]);
    unsigned char data[100000];
    unsigned sum = 0, other = 0;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)(i * i >> 3);
        sum = sum * 31 + data[i];
    }
    CHECK(write(fd[1], data, sizeof data) == sizeof data); /* more than a pipe holds: blocks */
    close(fd[1]);
    CHECK(read(back[0], &other, sizeof other) == sizeof other);
    printf("sums %s\n", sum == other ? "agree" : "differ");
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    CHECK(waitpid(pid, &status, 0) == -1 && errno == ECHILD);

    int signals[] = { SIGKILL, SIGTERM, SIGUSR1, SIGSEGV };
    const char *names[] = { "KILL", "TERM", "USR1", "SEGV" };
    for (int i = 0; i < 4; i++) {
        pid = fork();
        if (pid == 0) {
            if (signals[i] == SIGSEGV) {
                struct rlimit none = { 0, 0 };
                setrlimit(RLIMIT_CORE, &none);
                *(volatile int *)bad_address = 0;
            }
            for (;;)
                pause();
        }
        if (signals[i] != SIGSEGV)
            CHECK(kill(pid, signals[i]) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        printf("killed by %s\n", names[i]);
    }

    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    siginfo_t info;
    CHECK(kill(pid, SIGTERM) == 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_pid == pid && info.si_code == CLD_KILLED && info.si_status == SIGTERM && info.si_signo == SIGCHLD);
    struct rusage usage;
    CHECK(wait4(pid, &status, 0, &usage) == pid && WTERMSIG(status) == SIGTERM);

    on_signal(SIGCHLD, SA_RESTART, on_child);
    for (int i = 0; i < 3; i++) {
        pid = fork();
        if (pid == 0)
            _exit(9);
        CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9);
    }
    CHECK(children == 3);

    /* Memory is copied, file offsets are shared, the parent is who it was. */
    static int value = 1;
    pid_t parent = getpid();
    pid = fork();
    if (pid == 0) {
        value = 2;
        _exit(getppid() == parent && getpid() != parent ? 0 : 1);
    }
    CHECK(waitpid(-1, &status, 0) == pid && status == 0 && value == 1);

    /* A chain of filters, as a shell makes it. */
    int in = -1;
    for (int i = 0; i < 5; i++) {
        CHECK(pipe(fd) == 0);
        if (fork() == 0) {
            char c = 'a';
            if (in >= 0 && read(in, &c, 1) != 1)
                _exit(1);
            c++;
            _exit(write(fd[1], &c, 1) != 1);
        }
        if (in >= 0)
            close(in);
        close(fd[1]);
        in = fd[0];
    }
    char c = 0;
    CHECK(read(in, &c, 1) == 1 && c == 'f' && read(in, &c, 1) == 0);
    while (wait(&status) > 0)
        CHECK(status == 0);
    printf("chain gave %c\n", c);

    CHECK(pipe(fd) == 0 && fcntl(fd[1], F_SETFL, O_NONBLOCK) == 0);
    int waiting = 0;
    CHECK(write(fd[1], data, 1234) == 1234 && ioctl(fd[0], FIONREAD, &waiting) == 0 && waiting == 1234);
    while (write(fd[1], data, 4096) > 0)
        ;
    CHECK(errno == EAGAIN);
    DONE();
}
