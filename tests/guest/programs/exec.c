/* execve of itself, by each of its names; what survives it and what does not. */
#include "guest.h"
#include <fcntl.h>
#include <sys/stat.h>

extern char **environ;

static int stage(const char *name, char **argv)
{
    if (!strcmp(name, "show")) {
        printf("shown: %s %s\n", argv[2], getenv("STAGE") ? getenv("STAGE") : "(none)");
        return 3;
    }
    if (!strcmp(name, "fds")) {
        printf("kept %d, closed %d\n", fcntl(atoi(argv[2]), F_GETFD) == 0, fcntl(atoi(argv[3]), F_GETFD) == -1);
        return 0;
    }
    if (!strcmp(name, "signals")) {
        struct sigaction action;
        sigset_t set;
        CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL); /* was a handler */
        CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_IGN); /* stays ignored */
        CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGHUP)); /* stays blocked */
        CHECK(sigpending(&set) == 0 && sigismember(&set, SIGHUP)); /* stays pending */
        stack_t stack;
        CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_DISABLE);
        return failures;
    }
    if (!strcmp(name, "count")) {
        int n = atoi(argv[2]);
        if (n == 0) {
            printf("counted down\n");
            return 0;
        }
        char less[20];
        sprintf(less, "%d", n - 1);
        execl("/proc/self/exe", "exec", "count", less, (char *)NULL);
        return 1;
    }
    return 97;
}

static int run(char **argv, char **environment, int how)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (how == 0)
            execve("/proc/self/exe", argv, environment);
        else if (how == 1)
            fexecve(open("/proc/self/exe", O_RDONLY), argv, environment);
        else
            execve("exec-script", argv, environment);
        _exit(96);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return stage(argv[1], argv);
    char *environment[] = { "STAGE=one", "OTHER=x", NULL };
    CHECK(run((char *[]){ "exec", "show", "first", NULL }, environment, 0) == 3);
    CHECK(run((char *[]){ "exec", "show", "second", NULL }, environment, 1) == 3);
    CHECK(run((char *[]){ "exec", "show", "", NULL }, (char *[]){ NULL }, 0) == 3);
    CHECK(run((char *[]){ "exec", "count", "5", NULL }, environ, 0) == 0);

    int kept = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char a[20], b[20];
    sprintf(a, "%d", kept);
    sprintf(b, "%d", closed);
    CHECK(run((char *[]){ "exec", "fds", a, b, NULL }, environ, 0) == 0);

    on_signal(SIGUSR1, 0, handler);
    signal(SIGUSR2, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGHUP);
        execl("/proc/self/exe", "exec", "signals", (char *)NULL);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);

    /* A script, interpreted by this program: #! takes one argument. */
    char self[4000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0);
    self[n > 0 ? n : 0] = 0;
    CHECK(strlen(self) > 4 && !strcmp(self + strlen(self) - 5, "/exec"));
    FILE *script = fopen("exec-script", "w");
    fprintf(script, "#!%s show\nnot read\n", self);
    fclose(script);
    chmod("exec-script", 0755);
    CHECK(run((char *[]){ "ignored", "third", NULL }, environment, 2) == 3);
    unlink("exec-script");

    CHECK(execl("no-such-program", "x", (char *)NULL) == -1 && errno == ENOENT);
    CHECK(execl("/", "x", (char *)NULL) == -1 && errno == EACCES);
    CHECK(execl("/dev/null", "x", (char *)NULL) == -1 && errno == EACCES);
    DONE();
}
