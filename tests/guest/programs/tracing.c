/* ptrace(2) of a child by its parent: system calls, registers, memory, breakpoints, signals, events, threads. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The C libraries' headers do not agree on the names: the kernel's numbers. */
enum {
    TRACEME = 0, PEEK = 2, POKE = 5, CONT = 7, KILL = 8, SINGLESTEP = 9, ATTACH = 16, DETACH = 17, SYSCALL = 24,
    SETOPTIONS = 0x4200, GETEVENTMSG = 0x4201, GETSIGINFO = 0x4202, SETSIGINFO = 0x4203, GETREGSET = 0x4204,
    SETREGSET = 0x4205, SEIZE = 0x4206, INTERRUPT = 0x4207, LISTEN = 0x4208, GETSIGMASK = 0x420a, SETSIGMASK = 0x420b,
    GET_SYSCALL_INFO = 0x420e,
};
enum { SYSGOOD = 1, FORK = 2, VFORK = 4, CLONE = 8, EXEC = 16, VFORKDONE = 32, EXIT = 64, EXITKILL = 1 << 20 };
enum { EV_FORK = 1, EV_VFORK, EV_CLONE, EV_EXEC, EV_VFORK_DONE, EV_EXIT, EV_STOP = 128 };

struct call_info {
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t ip, sp, nr, args[6];
};

static long trace(long request, pid_t pid, long addr, long data)
{
    long result = syscall(SYS_ptrace, request, (long)pid, addr, data);
    return result == -1 ? -errno : result;
}

static void must(const char *what, long result)
{
    if (result < 0)
        printf("%s: %s\n", what, strerror(-result));
}

static const char *name(int signal)
{
    static const struct { int signal; const char *name; } names[] = {
        { SIGTRAP, "SIGTRAP" }, { SIGSTOP, "SIGSTOP" }, { SIGCONT, "SIGCONT" }, { SIGUSR1, "SIGUSR1" }, { SIGUSR2, "SIGUSR2" },
        { SIGURG, "SIGURG" }, { SIGTERM, "SIGTERM" }, { SIGKILL, "SIGKILL" }, { SIGTSTP, "SIGTSTP" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].signal == signal)
            return names[i].name;
    return "another signal";
}

/* Waits for a thread and tells what has become of it. */
static int wait_for(pid_t pid)
{
    int status = 0;
    pid_t got = waitpid(pid, &status, __WALL);
    if (pid > 0 && got != pid)
        printf("wait: %d %s\n", (int)got, strerror(errno));
    return status;
}

static void tell(const char *what, int status)
{
    if (WIFEXITED(status))
        printf("%s: exited %d\n", what, WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf("%s: killed by %s\n", what, name(WTERMSIG(status)));
    else if (WIFSTOPPED(status))
        printf("%s: stopped by %s%s, event %d\n", what, name(WSTOPSIG(status) & 0x7f),
               WSTOPSIG(status) & 0x80 ? " (call)" : "", status >> 16);
    else
        printf("%s: %x\n", what, status);
}

/* What the child has seen; its exit status. */
static volatile int calls;
static volatile long word = 0x1234567;

__attribute__((noinline)) static void step(int by)
{
    calls += by;
    __asm__ volatile("" ::: "memory");
}

static void on_signal(int signal)
{
    calls += 100 * (signal == SIGUSR1) + 1000 * (signal == SIGUSR2);
}

static pid_t child(void (*run)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        must("traceme", trace(TRACEME, 0, 0, 0));
        kill(getpid(), SIGSTOP); /* musl's raise would set the mask afterwards. */
        run();
        _exit(calls & 0xff);
    }
    tell("begin", wait_for(pid));
    return pid;
}

static void make_calls(void)
{
    syscall(SYS_getppid);
    syscall(SYS_close, -77);
}

/* The stops at system calls, and what the calls are. */
static void system_calls(void)
{
    pid_t pid = child(make_calls);
    must("options", trace(SETOPTIONS, pid, 0, SYSGOOD));
    printf("bad option: %d\n", trace(SETOPTIONS, pid, 0, 1 << 30) == -EINVAL);
    for (;;) {
        struct call_info info;
        memset(&info, 0xff, sizeof info);
        must("syscall", trace(SYSCALL, pid, 0, 0));
        int status = wait_for(pid);
        if (!WIFSTOPPED(status)) {
            tell("calls", status);
            break;
        }
        long size = trace(GET_SYSCALL_INFO, pid, sizeof info, (long)&info);
        siginfo_t si;
        must("siginfo", trace(GETSIGINFO, pid, 0, (long)&si));
        int good = WSTOPSIG(status) == (SIGTRAP | 0x80) && si.si_code == (SIGTRAP | 0x80) && si.si_pid == pid;
        if (info.op == 1 && info.nr == SYS_getppid)
            printf("entry of getppid: %ld %d\n", size, good);
        else if (info.op == 1 && info.nr == SYS_close && (int)info.args[0] == -77)
            printf("entry of close: %d\n", good);
        else if (info.op == 2 && (pid_t)info.nr == getpid())
            printf("exit of getppid: %ld %d %d\n", size, ((uint8_t *)info.args)[0], good);
        else if (info.op == 2 && (int64_t)info.nr == -EBADF)
            printf("exit of close: %d %d\n", ((uint8_t *)info.args)[0], good);
    }
}

/* Where the general registers have the number of the system call that is about to be made. */
#if defined __riscv
enum { NUMBER_WIDTH = sizeof(long), NUMBER_AT = 17 * NUMBER_WIDTH };
#elif defined __mips__
enum { NUMBER_WIDTH = _MIPS_SIM == _ABIO32 ? 4 : 8, NUMBER_AT = (_MIPS_SIM == _ABIO32 ? 8 : 2) * NUMBER_WIDTH };
#else
enum { NUMBER_WIDTH = 8, NUMBER_AT = 15 * NUMBER_WIDTH };
#endif

static void make_a_call(void)
{
    calls = syscall(SYS_getppid) == -1 && errno == ENOSYS ? 5 : 1;
}

/* A system call that the tracer does not let be made: its number is -1 then. */
static void skipped_call(void)
{
    pid_t pid = child(make_a_call);
    must("options", trace(SETOPTIONS, pid, 0, SYSGOOD));
    for (int skipped = 0;;) {
        struct call_info info;
        must("syscall", trace(SYSCALL, pid, 0, 0));
        int status = wait_for(pid);
        if (!WIFSTOPPED(status)) {
            tell("skipped", status);
            break;
        }
        must("info", trace(GET_SYSCALL_INFO, pid, sizeof info, (long)&info));
        if (info.op == 1 && info.nr == SYS_getppid) {
            static unsigned char regs[1024];
            struct iovec general = { regs, sizeof regs };
            must("registers", trace(GETREGSET, pid, NT_PRSTATUS, (long)&general));
            memset(regs + NUMBER_AT, 0xff, NUMBER_WIDTH);
            must("registers", trace(SETREGSET, pid, NT_PRSTATUS, (long)&general));
            skipped = 1;
        } else if (skipped && info.op == 2) {
            printf("exit of a skipped call: %d %d\n", ((uint8_t *)info.args)[0], (int64_t)info.nr == -ENOSYS);
            skipped = 0;
        }
    }
}

static void wait_for_words(void)
{
    sigset_t set;
    kill(getpid(), SIGUSR1);
    sigprocmask(SIG_BLOCK, NULL, &set);
    calls = word == 42 && sigismember(&set, SIGHUP) ? 7 : 1;
    kill(getpid(), SIGUSR1);
}

/* Memory, registers and the mask of a stopped thread. */
static void state(void)
{
    static unsigned char regs[1024], again[1024];
    struct iovec general = { regs, sizeof regs }, copy = { again, sizeof again };
    pid_t pid = child(wait_for_words);
    long value = 0;
    must("peek", trace(PEEK, pid, (long)&word, (long)&value));
    printf("peek: %lx\n", value);
    must("poke", trace(POKE, pid, (long)&word, 42));
    printf("peek of nothing: %d\n", trace(PEEK, pid, 8, (long)&value) == -EIO);
    must("registers", trace(GETREGSET, pid, NT_PRSTATUS, (long)&general));
    must("registers", trace(SETREGSET, pid, NT_PRSTATUS, (long)&general));
    must("registers", trace(GETREGSET, pid, NT_PRSTATUS, (long)&copy));
    printf("general: %d %d\n", general.iov_len >= 16 * sizeof(long), memcmp(regs, again, general.iov_len));
    general.iov_len = copy.iov_len = sizeof regs;
    must("float", trace(GETREGSET, pid, NT_PRFPREG, (long)&general));
    must("float", trace(SETREGSET, pid, NT_PRFPREG, (long)&general));
    must("float", trace(GETREGSET, pid, NT_PRFPREG, (long)&copy));
    printf("float: %d %d\n", general.iov_len >= 264, memcmp(regs, again, general.iov_len));
    printf("unknown set: %d\n", trace(GETREGSET, pid, 0x7777, (long)&general) == -EINVAL);
    uint64_t mask[2] = { 0, 0 };
    size_t size = _NSIG / 8;
    must("mask", trace(GETSIGMASK, pid, size, (long)mask));
    sigaddset((sigset_t *)mask, SIGHUP);
    must("mask", trace(SETSIGMASK, pid, size, (long)mask));
    must("go on", trace(CONT, pid, 0, 0));
    printf("not stopped: %d\n", trace(PEEK, getpid(), 0, 0) == -ESRCH);
    tell("signal", wait_for(pid));
    must("go on", trace(CONT, pid, 0, 0));
    tell("signal", wait_for(pid));
    must("go on", trace(CONT, pid, 0, 0));
    tell("state", wait_for(pid));
}

static void signals(void)
{
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    raise(SIGUSR1); /* suppressed */
    raise(SIGUSR1); /* delivered */
    raise(SIGUSR1); /* becomes SIGUSR2 */
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR2); /* ignored, but seen */
    raise(SIGURG); /* ignored by default, but seen */
    calls = calls == 1100 ? 9 : 1;
}

/* The tracer decides about signals. */
static void injection(void)
{
    static const int answers[] = { 0, SIGUSR1, SIGUSR2, SIGUSR2, SIGURG, 0 };
    pid_t pid = child(signals);
    int i = 0;
    for (;;) {
        must("go on", trace(CONT, pid, 0, i ? answers[i - 1] : 0));
        i++;
        int status = wait_for(pid);
        tell("injection", status);
        if (!WIFSTOPPED(status))
            break;
        siginfo_t info;
        must("siginfo", trace(GETSIGINFO, pid, 0, (long)&info));
        printf("sent by itself: %d\n", info.si_pid == pid && info.si_signo == WSTOPSIG(status));
    }
    pid = child(signals);
    printf("too high: %d\n", trace(CONT, pid, 0, 1000) == -EIO);
    must("kill", trace(CONT, pid, 0, SIGTERM));
    tell("SIGTERM from nowhere", wait_for(pid));
}

static void step_three_times(void)
{
    signal(SIGUSR1, SIG_IGN);
    for (int i = 0; i < 3; i++) {
        step(1);
        raise(SIGUSR1);
    }
    calls = calls == 3 ? 5 : 1;
}

#if defined __riscv
static const unsigned char breakpoint_insn[] = { 0x02, 0x90 };
enum { PC = 0, PC_BEHIND = 0 };
typedef long reg;
#elif defined __mips__
static const unsigned breakpoint_insn[] = { 0x0000000d };
enum { PC_BEHIND = 0 };
#if _MIPS_SIM == _ABIO32
typedef long reg;
enum { PC = 40 };
#else
typedef long long reg;
enum { PC = 34 };
#endif
#else
static const unsigned char breakpoint_insn[] = { 0xcc };
enum { PC = 16, PC_BEHIND = 1 };
typedef long reg;
#endif

/* A breakpoint in code that cannot be written, set before the code runs and after it has run. */
static void breakpoints(void)
{
    static reg regs[128];
    struct iovec all = { regs, sizeof regs };
    pid_t pid = child(step_three_times);
    long at = (long)step, old, new;
    must("peek", trace(PEEK, pid, at, (long)&old));
    new = old;
    memcpy(&new, breakpoint_insn, sizeof breakpoint_insn);
    for (;;) {
        must("set", trace(POKE, pid, at, new));
        must("go on", trace(CONT, pid, 0, 0));
        int status = wait_for(pid);
        tell("breakpoint", status);
        if (!WIFSTOPPED(status))
            break;
        must("registers", trace(GETREGSET, pid, NT_PRSTATUS, (long)&all));
        printf("at the place: %d\n", (long)regs[PC] == at + PC_BEHIND);
        regs[PC] = at;
        must("registers", trace(SETREGSET, pid, NT_PRSTATUS, (long)&all));
        must("remove", trace(POKE, pid, at, old));
        must("go on", trace(CONT, pid, 0, 0));
        tell("behind it", wait_for(pid));
    }
}

static const char *self;

static void *thread(void *argument)
{
    usleep(1000);
    return argument;
}

static void make_children(void)
{
    int status;
    pthread_t other;
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    waitpid(pid, &status, 0);
    calls += WEXITSTATUS(status);
    pid = vfork();
    if (pid == 0)
        _exit(4);
    waitpid(pid, &status, 0);
    calls += WEXITSTATUS(status);
    pthread_create(&other, NULL, thread, NULL);
    pthread_join(other, NULL);
    execl(self, self, "9", (char *)NULL);
}

/* Events of children, threads, execution and exit; new children are traced from their beginning. */
static void events(void)
{
    pid_t pid = child(make_children), other = 0;
    long message = 0;
    int child_stops = 0, child_ends = 0, left = 1;
    must("options", trace(SETOPTIONS, pid, 0, FORK | VFORK | CLONE | EXEC | VFORKDONE | EXIT | EXITKILL));
    must("go on", trace(CONT, pid, 0, 0));
    while (left) {
        int status;
        pid_t got = waitpid(-1, &status, __WALL);
        if (got < 0)
            break;
        if (!WIFSTOPPED(status)) {
            if (got == pid) {
                tell("events", status);
                left = 0;
            } else
                child_ends++;
            continue;
        }
        int event = status >> 16, pass = 0;
        if (got != pid)
            child_stops += WSTOPSIG(status) == SIGSTOP;
        else if (event) {
            must("message", trace(GETEVENTMSG, pid, 0, (long)&message));
            if (event == EV_EXIT)
                printf("exit with %ld\n", message >> 8);
            else if (event == EV_EXEC)
                printf("executed: %d\n", (pid_t)message == pid);
            else {
                printf("event %d: another %d\n", event, event == EV_VFORK_DONE ? (pid_t)message == other : (pid_t)message != other);
                other = (pid_t)message;
            }
        } else {
            pass = WSTOPSIG(status) == SIGCHLD ? SIGCHLD : 0;
            if (WSTOPSIG(status) != SIGCHLD)
                tell("events", status);
        }
        must("go on", trace(CONT, got, 0, pass));
    }
    printf("children: %d stopped, %d ended\n", child_stops, child_ends);
}

/* Without options a program that is executed begins with SIGTRAP. */
static void execute(void)
{
    execl(self, self, "8", (char *)NULL);
}

static void execution(void)
{
    pid_t pid = child(execute);
    must("go on", trace(CONT, pid, 0, 0));
    tell("execution", wait_for(pid));
    must("go on", trace(CONT, pid, 0, 0));
    tell("execution", wait_for(pid));
}

static int ready[2];

static void *spin(void *argument)
{
    for (;;)
        usleep(1000);
    return argument;
}

static pid_t untraced(int threads)
{
    char byte;
    must("pipe", pipe(ready));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        for (int i = 0; i < threads; i++)
            pthread_create(&thread, NULL, spin, NULL);
        must("ready", write(ready[1], "", 1) - 1);
        for (;;)
            pause();
    }
    must("ready", read(ready[0], &byte, 1) - 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

/* A running process: seized, interrupted, stopped with its group, listening. */
static void seizing(void)
{
    pid_t pid = untraced(0);
    printf("not traced: %d\n", trace(INTERRUPT, pid, 0, 0) == -ESRCH);
    must("seize", trace(SEIZE, pid, 0, EXITKILL));
    printf("twice: %d\n", trace(SEIZE, pid, 0, 0) == -EPERM);
    printf("running: %d\n", trace(CONT, pid, 0, 0) == -ESRCH);
    must("interrupt", trace(INTERRUPT, pid, 0, 0));
    tell("interrupted", wait_for(pid));
    printf("listen outside of a group stop: %ld\n", trace(LISTEN, pid, 0, 0));
    must("interrupt", trace(INTERRUPT, pid, 0, 0));
    tell("interrupted", wait_for(pid));
    must("go on", trace(CONT, pid, 0, 0));
    kill(pid, SIGTSTP);
    tell("signal", wait_for(pid));
    must("go on", trace(CONT, pid, 0, SIGTSTP));
    tell("group", wait_for(pid));
    must("listen", trace(LISTEN, pid, 0, 0));
    kill(pid, SIGCONT);
    tell("continued", wait_for(pid));
    must("go on", trace(CONT, pid, 0, 0));
    tell("signal", wait_for(pid));
    must("go on", trace(CONT, pid, 0, 0));
    kill(pid, SIGKILL);
    tell("seizing", wait_for(pid));
}

/* PTRACE_ATTACH to each thread of a process, and detaching. */
static void attaching(void)
{
    pid_t pid = untraced(1);
    must("attach", trace(ATTACH, pid, 0, 0));
    tell("attached", wait_for(pid));
    printf("interrupt: %d\n", trace(INTERRUPT, pid, 0, 0) == -EIO);
#if !defined __x86_64__
    if (trace(SINGLESTEP, pid, 0, 0) != -EIO)
        puts("the processor has no single steps");
#endif
    must("go on", trace(CONT, pid, 0, 0));
    kill(pid, SIGSTOP);
    tell("stopped", wait_for(pid));
    must("detach", trace(DETACH, pid, 0, 0));
    printf("detached: %d\n", trace(CONT, pid, 0, 0) == -ESRCH);
    kill(pid, SIGTERM);
    tell("attaching", wait_for(pid));
    printf("no such process: %d\n", trace(ATTACH, 0x3fffffff, 0, 0) == -ESRCH);
    printf("oneself: %d\n", trace(ATTACH, getpid(), 0, 0) == -EPERM);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return atoi(argv[1]);
    self = argv[0];
    system_calls();
    skipped_call();
    state();
    injection();
    breakpoints();
    events();
    execution();
    seizing();
    attaching();
    return 0;
}
