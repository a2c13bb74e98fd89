/* What a process asks the system: names, limits, random bytes, directories, the processor, /proc. */
#include "guest.h"
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static size_t slurp(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    size_t n = 0;
    for (ssize_t got; n < size - 1 && (got = read(fd, to + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    to[n] = 0;
    close(fd);
    return n;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct utsname name;
    CHECK(uname(&name) == 0 && !strcmp(name.sysname, "Linux") && name.release[0] >= '3');
#if defined __riscv
    CHECK(!strcmp(name.machine, __riscv_xlen == 64 ? "riscv64" : "riscv32"));
#elif defined __mips__
    CHECK(!strncmp(name.machine, "mips", 4));
#else
    CHECK(!strcmp(name.machine, "x86_64"));
#endif
    unsigned char random[600], any = 0;
    memset(random, 0, sizeof random);
    CHECK(getrandom(random, sizeof random, 0) == sizeof random);
    /* All of them: as many instructions whatever they are, since engines are compared by that. */
    for (size_t i = 0; i < sizeof random; i++)
        any |= random[i];
    CHECK(any);

    char path[PATH_MAX], other[PATH_MAX], small[2];
    CHECK(getcwd(path, sizeof path) && path[0] == '/' && getcwd(small, 2) == NULL && errno == ERANGE);
    CHECK(mkdir("system-dir", 0700) == 0 && chdir("system-dir") == 0 && getcwd(other, sizeof other));
    CHECK(strlen(other) == strlen(path) + 11 && !strcmp(other + strlen(path), "/system-dir"));
    CHECK(chdir("..") == 0 && rmdir("system-dir") == 0 && chdir("/nowhere") == -1 && errno == ENOENT);
    CHECK(realpath(".", other) && !strcmp(path, other));

    struct rlimit limit, set = { 200, 300 };
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 200);
    CHECK(setrlimit(RLIMIT_NOFILE, &set) == 0 && prlimit(0, RLIMIT_NOFILE, NULL, &limit) == 0);
    CHECK(limit.rlim_cur == 200 && limit.rlim_max == 300 && dup2(1, 200) == -1 && errno == EBADF && dup2(1, 199) == 199);
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0);
    struct sysinfo info;
    CHECK(sysinfo(&info) == 0 && info.totalram > 0);

    unsigned cpu = 9999, node = 9999;
    cpu_set_t cpus;
    CHECK(syscall(SYS_getcpu, &cpu, &node, NULL) == 0 && cpu < 9999 && sched_yield() == 0 && sched_getcpu() >= 0);
    CHECK(sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 0 && sysconf(_SC_NPROCESSORS_ONLN) > 0);
    CHECK(personality(ADDR_NO_RANDOMIZE | UNAME26) >= 0 && personality(0xffffffff) == (ADDR_NO_RANDOMIZE | UNAME26));
    CHECK(uname(&name) == 0 && !strncmp(name.release, "2.6.", 4));
    CHECK(personality(ADDR_NO_RANDOMIZE) == (ADDR_NO_RANDOMIZE | UNAME26) && personality(0) == ADDR_NO_RANDOMIZE);
    CHECK(getpriority(PRIO_PROCESS, 0) >= -20 && syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER);
    CHECK(getpid() > 0 && getppid() > 0 && getpgrp() > 0 && getsid(0) >= 0 && syscall(SYS_gettid) == getpid());
    CHECK(syscall(100000) == -1 && errno == ENOSYS);
    gid_t groups[1000];
    CHECK(getgroups(1000, groups) >= 0);

    char text[65536], comm[16];
    CHECK(prctl(PR_SET_NAME, "renamed") == 0 && prctl(PR_GET_NAME, comm) == 0 && !strcmp(comm, "renamed"));
    CHECK(slurp("/proc/self/comm", text, sizeof text) == 8 && !strcmp(text, "renamed\n"));
    size_t n = slurp("/proc/self/cmdline", text, sizeof text);
    CHECK(n > strlen(argv[0]) && !strcmp(text, argv[0]));
    char exe[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    CHECK(length > 0);
    exe[length > 0 ? length : 0] = 0;
    CHECK(strlen(exe) > 6 && !strcmp(exe + strlen(exe) - 6, "system"));
    slurp("/proc/self/maps", text, sizeof text);
    CHECK(strstr(text, exe) && strstr(text, "[stack]") && strstr(text, "r-xp"));
    unsigned long from, to, here = (unsigned long)(uintptr_t)main;
    int found = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && here >= from && here < to)
            found += strstr(line, exe) != NULL;
    CHECK(found == 1);
    CHECK(slurp("/proc/self/stat", text, sizeof text) > 0 && atoi(text) == getpid());
    CHECK(slurp("/proc/self/auxv", text, sizeof text) >= 16 * sizeof(long));
    int exe_fd = open("/proc/self/exe", O_RDONLY);
    CHECK(exe_fd >= 0 && read(exe_fd, text, 4) == 4 && !memcmp(text, "\177ELF", 4));
    CHECK(readlink("/proc/self/cwd", other, sizeof other) == (ssize_t)strlen(path));
    sprintf(text, "/proc/self/fd/%d", exe_fd);
    CHECK(readlink(text, other, sizeof other) == length && !memcmp(other, exe, (size_t)length));
    DONE();
}
