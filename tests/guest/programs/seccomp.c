/* seccomp: strict mode, filters and what they answer, what inherits them. */
#include "guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined __riscv && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined __riscv
#define ARCH AUDIT_ARCH_RISCV32
#elif defined __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#elif _MIPS_SIM == _ABIO32 && defined __MIPSEL__
#define ARCH AUDIT_ARCH_MIPSEL
#elif _MIPS_SIM == _ABIO32
#define ARCH AUDIT_ARCH_MIPS
#elif _MIPS_SIM == _ABI64 && defined __MIPSEL__
#define ARCH AUDIT_ARCH_MIPSEL64
#elif _MIPS_SIM == _ABI64
#define ARCH AUDIT_ARCH_MIPS64
#elif defined __MIPSEL__
#define ARCH AUDIT_ARCH_MIPSEL64N32
#else
#define ARCH AUDIT_ARCH_MIPS64N32
#endif

#define DATA(member) offsetof(struct seccomp_data, member)
#define LOW(i) (DATA(args[i]) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0))
#define HIGH(i) (DATA(args[i]) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 0 : 4))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
/* The next instruction only if the accumulator is the value. */
#define IF(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1)

static long install(struct sock_filter *code, size_t count, unsigned flags)
{
    struct sock_fprog program = { (unsigned short)count, code };
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}
#define INSTALL(flags, ...) \
    install((struct sock_filter[]){ __VA_ARGS__ }, sizeof((struct sock_filter[]){ __VA_ARGS__ }) / sizeof(struct sock_filter), flags)

/* Runs in a child, and tells how that ends. */
static int in_child(void (*run)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        run();
        fflush(stdout);
        _exit(failures ? 99 : 0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void strict(void)
{
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL) == -1 && errno == EINVAL);
    fflush(stdout);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0 && write(1, "strict\n", 7) == 7)
        syscall(SYS_getpid);
    syscall(SYS_exit, 98);
}

static void strict_exit(void)
{
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    syscall(SYS_exit, 7);
}

static void errors(void)
{
    CHECK(prctl(PR_GET_SECCOMP) == 0);
    CHECK(INSTALL(0, LOAD(DATA(arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS),
                  LOAD(DATA(nr)), IF(SYS_getppid), RETURN(SECCOMP_RET_ERRNO | EILSEQ), IF(SYS_getsid),
                  RETURN(SECCOMP_RET_ERRNO), IF(SYS_getuid), RETURN(SECCOMP_RET_ERRNO | 0xffff), IF(SYS_getgid),
                  RETURN(SECCOMP_RET_TRACE), IF(SYS_geteuid), RETURN(SECCOMP_RET_USER_NOTIF),
                  RETURN(SECCOMP_RET_ALLOW)) == 0);
    CHECK(prctl(PR_GET_SECCOMP) == 2);
    CHECK(syscall(SYS_getppid) == -1 && errno == EILSEQ);
    CHECK(syscall(SYS_getsid, 0) == 0 && getpid() > 0);
    CHECK(syscall(SYS_getuid) == -1 && errno == 4095);
    CHECK(syscall(SYS_getgid) == -1 && errno == ENOSYS);
    CHECK(syscall(SYS_geteuid) == -1 && errno == ENOSYS);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == -1 && errno == EINVAL);
    /* The most severe of all filters counts, the newest of equal ones; an unknown call is filtered, too. */
    CHECK(INSTALL(0, LOAD(DATA(nr)), IF(SYS_getppid), RETURN(SECCOMP_RET_ERRNO | EDOM), IF(SYS_getsid),
                  RETURN(SECCOMP_RET_ALLOW), IF(99999), RETURN(SECCOMP_RET_ERRNO | ERANGE), RETURN(SECCOMP_RET_LOG)) == 0);
    CHECK(syscall(SYS_getppid) == -1 && errno == EDOM);
    CHECK(syscall(SYS_getsid, 0) == 0 && syscall(99999) == -1 && errno == ERANGE);
    char status[4096];
    FILE *file = fopen("/proc/self/status", "r");
    size_t length = fread(status, 1, sizeof status - 1, file);
    status[length] = 0;
    fclose(file);
    CHECK(strstr(status, "\nSeccomp:\t2\n"));
}

static void arguments(void)
{
    CHECK(INSTALL(0, LOAD(DATA(nr)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 1, 0), RETURN(SECCOMP_RET_ALLOW),
                  LOAD(HIGH(0)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RETURN(SECCOMP_RET_ERRNO | EDOM), LOAD(LOW(0)),
                  BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), IF(24690),
                  RETURN(SECCOMP_RET_ERRNO | EBADMSG), RETURN(SECCOMP_RET_ALLOW)) == 0);
    CHECK(close(12345) == -1 && errno == EBADMSG && close(12346) == -1 && errno == EBADF);
}

static volatile int trapped;
static void on_trap(int number, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(number == SIGSYS && info->si_code == 1 && info->si_errno == 77 && (unsigned)info->si_arch == ARCH);
    CHECK(info->si_syscall == SYS_getppid && info->si_call_addr != NULL);
    trapped++;
}

static void trap(void)
{
    on_signal(SIGSYS, 0, on_trap);
    CHECK(INSTALL(0, LOAD(DATA(nr)), IF(SYS_getppid), RETURN(SECCOMP_RET_TRAP | 77), RETURN(SECCOMP_RET_ALLOW)) == 0);
    syscall(SYS_getppid);
    CHECK(trapped == 1);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fflush(stdout);
    syscall(SYS_getppid); /* ends it */
}

static void kill_process(void)
{
    INSTALL(0, LOAD(DATA(nr)), IF(SYS_getppid), RETURN(SECCOMP_RET_KILL_PROCESS), RETURN(SECCOMP_RET_ALLOW));
    syscall(SYS_getppid);
}

static volatile long killed, reached;
static void *calls_getppid(void *none)
{
    killed = syscall(SYS_gettid);
    reached = 1;
    syscall(SYS_getppid);
    reached = 2;
    return none;
}

static void kill_thread(void)
{
    pthread_t thread;
    CHECK(INSTALL(0, LOAD(DATA(nr)), IF(SYS_getppid), RETURN(SECCOMP_RET_KILL_THREAD), RETURN(SECCOMP_RET_ALLOW)) == 0);
    /* Not every C library can join a thread that ends like this. */
    CHECK(pthread_create(&thread, NULL, calls_getppid, NULL) == 0);
    while (!reached || syscall(SYS_tgkill, getpid(), killed, 0) == 0)
        usleep(1000);
    CHECK(reached == 1);
    fflush(stdout);
    calls_getppid(NULL); /* the last thread: the process */
}

static volatile int leader_lives = 1; /* the kernel clears it */
static void *ends_last(void *none)
{
    while (leader_lives)
        usleep(1000);
    syscall(SYS_exit, 5);
    return none;
}
static void kill_main_thread(void)
{
    pthread_t thread;
    CHECK(INSTALL(0, LOAD(DATA(nr)), IF(SYS_getppid), RETURN(SECCOMP_RET_KILL_THREAD), RETURN(SECCOMP_RET_ALLOW)) == 0);
    syscall(SYS_set_tid_address, &leader_lives);
    CHECK(pthread_create(&thread, NULL, ends_last, NULL) == 0);
    calls_getppid(NULL);
}

static int ready[2];
static void *waits_for_filter(void *result)
{
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1);
    *(long *)result = syscall(SYS_getppid) == -1 ? errno : 0;
    return NULL;
}

static void synchronized(void)
{
    long result = 0;
    pthread_t thread;
    CHECK(pipe(ready) == 0 && pthread_create(&thread, NULL, waits_for_filter, &result) == 0);
    CHECK(INSTALL(SECCOMP_FILTER_FLAG_TSYNC, LOAD(DATA(nr)), IF(SYS_getppid), RETURN(SECCOMP_RET_ERRNO | EXDEV),
                  RETURN(SECCOMP_RET_ALLOW)) == 0);
    CHECK(write(ready[1], "", 1) == 1 && pthread_join(thread, NULL) == 0 && result == EXDEV);
}

static char *program;
static void executed(void)
{
    CHECK(INSTALL(0, LOAD(DATA(nr)), IF(SYS_getppid), RETURN(SECCOMP_RET_ERRNO | ELOOP), RETURN(SECCOMP_RET_ALLOW)) == 0);
    CHECK(INSTALL(0, LOAD(DATA(nr)), IF(SYS_getsid), RETURN(SECCOMP_RET_ERRNO | ENOTTY), RETURN(SECCOMP_RET_ALLOW)) == 0);
    execl(program, program, "executed", NULL);
}

static void refused(void)
{
    CHECK(INSTALL(0, LOAD(DATA(nr))) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, LOAD(2), RETURN(SECCOMP_RET_ALLOW)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, LOAD(64), RETURN(SECCOMP_RET_ALLOW)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), RETURN(0)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, BPF_STMT(BPF_LD | BPF_MEM, 0), RETURN(0)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0x8000, RETURN(SECCOMP_RET_ALLOW)) == -1 && errno == EINVAL);
    CHECK(install(NULL, 0, 0) == -1 && errno == EINVAL && install((void *)8, 1, 0) == -1 && errno == EFAULT);
    CHECK(install(NULL, 5000, 0) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_seccomp, 77, 0, NULL) == -1 && errno == EINVAL);
    CHECK(prctl(PR_SET_SECCOMP, 3, 0) == -1 && errno == EINVAL && prctl(PR_GET_SECCOMP) == 0);
    const uint32_t known = SECCOMP_RET_TRAP, unknown = 0x12340000;
    CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &known) == 0);
    CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown) == -1 && errno == EOPNOTSUPP);
    struct seccomp_notif_sizes sizes = { 0, 0, 0 };
    CHECK(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 && sizes.seccomp_data == sizeof(struct seccomp_data));
}

static int unprivileged(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0)
            CHECK(syscall(SYS_setresuid, 65534, 65534, 65534) == 0);
        CHECK(INSTALL(0, RETURN(SECCOMP_RET_ALLOW)) == -1 && errno == EACCES);
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && INSTALL(0, RETURN(SECCOMP_RET_ALLOW)) == 0);
        fflush(stdout);
        _exit(failures ? 99 : 0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        CHECK(syscall(SYS_getppid) == -1 && errno == ELOOP && syscall(SYS_getsid, 0) == -1 && errno == ENOTTY);
        CHECK(prctl(PR_GET_SECCOMP) == 2);
        return failures ? 99 : 5;
    }
    program = argv[0];
    signal(SIGSYS, SIG_DFL);
    int status = in_child(strict);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK(in_child(strict_exit) == 7 << 8);
    CHECK(in_child(errors) == 0 && in_child(arguments) == 0 && in_child(refused) == 0);
    status = in_child(trap);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = in_child(kill_process);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = in_child(kill_thread);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    CHECK(in_child(kill_main_thread) == 5 << 8); /* the process ends as its last thread does */
    CHECK(in_child(synchronized) == 0 && in_child(executed) == 5 << 8 && unprivileged() == 0);
    DONE();
}
