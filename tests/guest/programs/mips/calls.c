/* The system call instruction itself: numbers of errors, the flag in $7, registers that stay, arguments on the stack, what
 * pipe returns, MIPS's own numbers of flags, signals and ioctls; with an argument, large offsets. */
#include "../guest.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>

struct result {
    long v0, v1, error;
};

/* With $16 to $23 filled before and looked at after; the number is in $2. */
#if __mips_isa_rev < 6
#define HI_LO "hi", "lo",
#else
#define HI_LO
#endif
static struct result call(long n, long a, long b, long c, long d)
{
    register long r2 __asm__("$2") = n;
    register long r3 __asm__("$3") = 0;
    register long r4 __asm__("$4") = a;
    register long r5 __asm__("$5") = b;
    register long r6 __asm__("$6") = c;
    register long r7 __asm__("$7") = d;
    register long r16 __asm__("$16") = 1016;
    register long r23 __asm__("$23") = 1023;
    register long r30 __asm__("$30") = 1030;
    __asm__ volatile("syscall"
                     : "+r"(r2), "+r"(r3), "+r"(r7), "+r"(r16), "+r"(r23), "+r"(r30), "+r"(r4), "+r"(r5), "+r"(r6)
                     :
                     : "$1", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", HI_LO "memory");
    CHECK(r16 == 1016 && r23 == 1023 && r30 == 1030 && r4 == a && r5 == b && r6 == c);
    return (struct result){ r2, r3, r7 };
}

#define FAILS(r, number) ((r).error == 1 && (r).v0 == (number))

static void errors(void)
{
    struct result r = call(SYS_getpid, 0, 0, 0, 7);
    CHECK(r.error == 0 && r.v0 == getpid());
    r = call(SYS_close, -1, 0, 0, 0);
    CHECK(FAILS(r, 9)); /* EBADF */
    r = call(SYS_getcwd, 0, 4096, 0, 0);
    CHECK(FAILS(r, 14)); /* EFAULT */
    r = call(SYS_chdir, (long)"/proc/self/exe", 0, 0, 0);
    CHECK(FAILS(r, 20)); /* ENOTDIR */
    char *name = malloc(5001);
    memset(name, 'x', 5000), name[5000] = 0;
    r = call(SYS_chdir, (long)name, 0, 0, 0);
    CHECK(FAILS(r, 78)); /* ENAMETOOLONG */
    free(name);
    r = call(SYS_symlink, (long)"loop", (long)"loop", 0, 0);
    CHECK(r.error == 0);
    r = call(SYS_chdir, (long)"loop", 0, 0, 0);
    CHECK(FAILS(r, 90)); /* ELOOP */
    CHECK(unlink("loop") == 0);
    mkdir("full", 0700);
    mkdir("full/x", 0700);
    r = call(SYS_rmdir, (long)"full", 0, 0, 0);
    CHECK(FAILS(r, 93)); /* ENOTEMPTY */
    CHECK(rmdir("full/x") == 0 && rmdir("full") == 0);
    r = call(SYS_restart_syscall + 999, 0, 0, 0, 0);
    CHECK(FAILS(r, 89)); /* ENOSYS */
    r = call(-1, 0, 0, 0, 0);
    CHECK(FAILS(r, 89));
    r = call(0, 0, 0, 0, 0);
    CHECK(FAILS(r, 89));
    r = call(SYS_socket, AF_INET, 2, 0, 0); /* SOCK_STREAM */
    int s = (int)r.v0, type;
    socklen_t length = sizeof type;
    CHECK(r.error == 0 && getsockopt(s, 0xffff, 0x1008, &type, &length) == 0 && type == 2);
    struct { uint16_t family, port; uint32_t address, zero[2]; } to = { AF_INET, 0x0101, 0, { 0 } };
    memcpy(&to.address, "\x7f\0\0\1", 4);
    r = call(SYS_connect, s, (long)&to, 16, 0);
    CHECK(FAILS(r, 146)); /* ECONNREFUSED */
    close(s);
    r = call(SYS_socket, 999, 2, 0, 0);
    CHECK(FAILS(r, 124)); /* EAFNOSUPPORT */
    sigset_t none;
    sigemptyset(&none);
    struct timespec no_time = { 0, 1000 };
    r = call(SYS_rt_sigtimedwait, (long)&none, 0, (long)&no_time, 16);
    CHECK(FAILS(r, 11)); /* EAGAIN */
    int word = 0;
    r = call(SYS_futex, (long)&word, 0, 0, (long)&no_time);
    CHECK(FAILS(r, 145)); /* ETIMEDOUT */
    r = call(SYS_rt_sigprocmask, 1, (long)&none, 0, 8); /* the set has 16 bytes */
    CHECK(FAILS(r, 22));
    printf("errors\n");
}

static void numbers(void)
{
    CHECK(O_APPEND == 8 && O_NONBLOCK == 0x80 && O_CREAT == 0x100 && O_EXCL == 0x400 && O_TRUNC == 0x200 && MAP_ANONYMOUS == 0x800);
    int fd = open("calls-file", O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK, 0600);
    CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK | O_ACCMODE)) == (O_APPEND | O_NONBLOCK | O_RDWR));
    CHECK(fcntl(fd, F_SETFL, 0) == 0 && (fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == 0);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
    CHECK(fcntl(fd, F_SETLK, &lock) == 0);
    if (fork() == 0) {
        CHECK(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == getppid() && lock.l_len == 10);
        CHECK(fcntl(fd, F_SETLK, &lock) == -1 && errno == EAGAIN);
        _exit(failures);
    }
    int status;
    CHECK(wait(&status) > 0 && status == 0 && fcntl(fd, F_GETOWN) == 0 && close(fd) == 0 && unlink("calls-file") == 0);

    CHECK(SIGUSR1 == 16 && SIGUSR2 == 17 && SIGCHLD == 18 && SIGBUS == 10 && SIGSYS == 12 && SIGURG == 21 && SIGSTOP == 23);
    int all[] = { SIGUSR1, SIGUSR2, SIGSYS, SIGTSTP, SIGIO, SIGXCPU, SIGVTALRM, SIGPROF, SIGWINCH, SIGPWR, SIGEMT };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        sigset_t set, old;
        sigemptyset(&set);
        sigaddset(&set, all[i]);
        CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && kill(getpid(), all[i]) == 0);
        siginfo_t info;
        CHECK(sigwaitinfo(&set, &info) == all[i] && info.si_signo == all[i] && info.si_code == SI_USER && info.si_pid == getpid());
        CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    }
    int ways[] = { SIGUSR1, SIGBUS, SIGVTALRM, SIGKILL, SIGEMT };
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            raise(ways[i]);
            _exit(1);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == ways[i]);
    }
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(5);
    }
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == 23 && kill(pid, SIGCONT) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    CHECK(SIG_BLOCK == 1 && SIG_UNBLOCK == 2 && SIG_SETMASK == 3 && SA_SIGINFO == 8 && SA_ONSTACK == 0x08000000);

    int fds[2], waiting = 0;
    CHECK(pipe(fds) == 0 && write(fds[1], "12345", 5) == 5 && FIONREAD == 0x467f && ioctl(fds[0], FIONREAD, &waiting) == 0 && waiting == 5);
    struct termios terminal;
    CHECK(TCGETS == 0x540d && tcgetattr(fds[0], &terminal) == -1 && errno == ENOTTY);
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master >= 0) {
        CHECK(grantpt(master) == 0 && unlockpt(master) == 0 && tcgetattr(master, &terminal) == 0);
        CHECK((terminal.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG) && terminal.c_cc[VINTR] == 3 && terminal.c_cc[VEOF] == 4);
        terminal.c_lflag &= ~(tcflag_t)ICANON;
        terminal.c_cc[VMIN] = 7;
        CHECK(tcsetattr(master, TCSANOW, &terminal) == 0 && tcgetattr(master, &terminal) == 0);
        CHECK(!(terminal.c_lflag & ICANON) && terminal.c_cc[VMIN] == 7);
        /* struct termio has the low halves of the flags, and the first 8 control characters. */
        struct termio old;
        CHECK(TCGETA == 0x5401 && ioctl(master, TCGETA, &old) == 0 && old.c_lflag == (unsigned short)terminal.c_lflag);
        CHECK(old.c_cc[VINTR] == 3 && old.c_cc[VMIN] == 7 && (old.c_lflag & IEXTEN) && !(old.c_lflag & TOSTOP));
        old.c_lflag |= ICANON | TOSTOP;
        old.c_cc[VINTR] = 9, old.c_cc[VMIN] = 5;
        CHECK(ioctl(master, TCSETAF, &old) == 0 && tcgetattr(master, &terminal) == 0);
        CHECK((terminal.c_lflag & (ICANON | TOSTOP)) == (ICANON | TOSTOP) && terminal.c_cc[VINTR] == 9);
        CHECK(terminal.c_cc[VMIN] == 5 && terminal.c_cc[VEOF] == 4 && ioctl(fds[0], TCGETA, &old) == -1 && errno == ENOTTY);
        struct winsize size = { 24, 80, 0, 0 }, got;
        CHECK(ioctl(master, TIOCSWINSZ, &size) == 0 && ioctl(master, TIOCGWINSZ, &got) == 0 && got.ws_row == 24 && got.ws_col == 80);
    }
    printf("numbers\n");
}

/* Signals go up to 128 where a disposition is asked for: Go's runtime sets those of all. */
static void many_signals(void)
{
    struct action {
        unsigned flags;
        void *handler;
        unsigned long mask[16 / sizeof(long)];
    } set = { SA_RESTART | SA_SIGINFO, (void *)many_signals, { 0 } }, got = { 0, NULL, { 0 } };
    const int some[] = { 64, 65, 100, 127, 128 };
    for (unsigned i = 0; i < sizeof some / sizeof *some; i++) {
        struct result r = call(SYS_rt_sigaction, some[i], 0, (long)&got, 16);
        CHECK(r.error == 0 && got.handler == SIG_DFL);
        r = call(SYS_rt_sigaction, some[i], (long)&set, 0, 16);
        CHECK(r.error == 0);
        set.flags ^= SA_RESTART;
        r = call(SYS_rt_sigaction, some[i], (long)&set, (long)&got, 16);
        CHECK(r.error == 0 && got.handler == set.handler && got.flags == (set.flags ^ SA_RESTART));
    }
    struct result r = call(SYS_rt_sigaction, 129, 0, (long)&got, 16);
    CHECK(FAILS(r, 22));
    r = call(SYS_rt_sigaction, 0, 0, (long)&got, 16);
    CHECK(FAILS(r, 22));
    printf("many signals\n");
}

/* pipe returns both descriptors in registers. */
static void pipes(void)
{
    struct result r = call(SYS_pipe, 0, 0, 0, 0);
    char c = 0;
    CHECK(r.error == 0 && r.v0 != r.v1 && write((int)r.v1, "p", 1) == 1 && read((int)r.v0, &c, 1) == 1 && c == 'p');
    close((int)r.v0), close((int)r.v1);
    printf("pipe\n");
}

static void arguments(void)
{
    int fd = memfd_create("calls", 0);
    CHECK(fd >= 0 && ftruncate(fd, 3 * (long)PAGE) == 0 && pwrite(fd, "third", 5, 2 * (long)PAGE) == 5);
    char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 2 * (long)PAGE); /* the fifth and sixth */
    CHECK(p != MAP_FAILED && !memcmp(p, "third", 5));
    CHECK(sync_file_range(fd, 0x10, (off64_t)1 << 33, SYNC_FILE_RANGE_WRITE) == 0 || errno == ESPIPE || errno == EINVAL);
    CHECK(posix_fadvise(fd, (off64_t)1 << 33, 5, POSIX_FADV_NORMAL) == 0);
#if _MIPS_SIM == _ABIO32
    CHECK(syscall(SYS_syscall, SYS_getpid) == getpid()); /* the number is the first argument */
    CHECK(syscall(SYS_syscall, SYS_lseek, fd, 3, SEEK_SET) == 3);
#endif
    printf("arguments\n");
}

/* Offsets that need more than a register, or with n32 more than a long. */
static int large(void)
{
    int fd = memfd_create("calls", 0);
    const off64_t far = (off64_t)5 << 32;
    char text[8] = "";
    CHECK(fd >= 0 && pwrite(fd, "far", 3, far) == 3 && pread(fd, text, 8, far) == 3 && !strcmp(text, "far"));
    CHECK(pread(fd, text, 8, far + 3) == 0 && pread(fd, text, 1, 0) == 1 && text[0] == 0);
    CHECK(lseek(fd, far, SEEK_SET) == far && lseek(fd, 0, SEEK_END) == far + 3);
    struct stat status;
    CHECK(fstat(fd, &status) == 0 && status.st_size == far + 3 && ftruncate(fd, far + 1) == 0);
    CHECK(fstat(fd, &status) == 0 && status.st_size == far + 1);
    DONE();
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return large();
    errors();
    numbers();
    many_signals();
    pipes();
    arguments();
    DONE();
}
