/* execve of scripts and of descriptors, with this program as the interpreter: arguments, limits, errors, names. */
#include "guest.h"
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

extern char **environ;

static char directory[64];

/* Run as an interpreter: tells what it sees, with the directory's name left out. */
static int show(int argc, char **argv)
{
    char comm[16] = "", exe[4096] = "";
    prctl(PR_GET_NAME, comm);
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n < 0 ? 0 : n] = 0;
    const char *name = (const char *)getauxval(AT_EXECFN);
    /* Since Linux 6.14 what is executed by a descriptor alone has its file's name. */
    if (!strncmp(name, "/dev/fd/", 8) && !strchr(name + 8, '/'))
        strcpy(comm, "-");
    printf("comm %s, exe %s, execfn %s:", comm, strrchr(exe, '/') + 1, name);
    for (int i = 1; i < argc; i++)
        printf(" [%s]", argv[i]);
    printf("\n");
    return 0;
}

static void script(const char *name, const char *text, size_t length, int mode)
{
    unlink(name);
    int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    CHECK(fd >= 0 && write(fd, text, length) == (ssize_t)length && fchmod(fd, mode) == 0);
    close(fd);
}

/* Names that are the same on each machine and in each C library. */
static const char *error(int number)
{
    static const struct { int number; const char *name; } names[] = {
        { ENOEXEC, "ENOEXEC" }, { ENOENT, "ENOENT" }, { ELOOP, "ELOOP" }, { EACCES, "EACCES" }, { ETXTBSY, "ETXTBSY" },
        { EBADF, "EBADF" }, { EINVAL, "EINVAL" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == number)
            return names[i].name;
    return strerror(number);
}

/* Executes, and says what came of it: by name, or with a descriptor. */
static void run(const char *what, int fd, const char *name, int flags)
{
    printf("%s: ", what);
    fflush(stdout);
    char *argv[] = { "lost", "one", "", NULL };
    pid_t pid = fork();
    if (pid == 0) {
        syscall(SYS_execveat, fd, name, argv, environ, flags);
        printf("%s\n", error(errno));
        fflush(stdout);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

#define TEXT(name, text) script(name, text, sizeof text - 1, 0755)

static void lines(void)
{
    char text[600];
    snprintf(text, sizeof text, "#!me\n");
    script("plain", text, strlen(text), 0755);
    run("plain", AT_FDCWD, "./plain", 0);
    snprintf(text, sizeof text, "#! \tme  -a  b c \t\nrest");
    script("argument", text, strlen(text), 0755);
    run("one argument", AT_FDCWD, "argument", 0);
    snprintf(text, sizeof text, "#!me -x");
    script("ends", text, strlen(text), 0755);
    run("no newline", AT_FDCWD, "ends", 0);
    size_t n = snprintf(text, sizeof text, "#!me ");
    memset(text + n, 'y', sizeof text - n);
    script("long", text, sizeof text, 0755);
    run("cut off", AT_FDCWD, "long", 0);
    memset(text, 'y', sizeof text);
    memcpy(text, "#!/", 3);
    script("longer", text, sizeof text, 0755);
    run("no name", AT_FDCWD, "longer", 0);
    TEXT("empty", "#!  \n");
    run("empty", AT_FDCWD, "empty", 0);
    TEXT("text", "echo\n");
    run("text", AT_FDCWD, "text", 0);
    TEXT("nothing", "");
    run("nothing", AT_FDCWD, "nothing", 0);
    TEXT("absent", "#!/nowhere/at/all\n");
    run("absent interpreter", AT_FDCWD, "absent", 0);
}

static void nested(void)
{
    char name[16], text[600];
    for (int i = 1; i <= 6; i++) {
        if (i == 1)
            snprintf(text, sizeof text, "#!me 1\n");
        else
            snprintf(text, sizeof text, "#!s%d %d\n", i - 1, i);
        snprintf(name, sizeof name, "s%d", i);
        script(name, text, strlen(text), 0755);
    }
    run("five", AT_FDCWD, "s5", 0);
    run("six", AT_FDCWD, "s6", 0);
}

static void permissions(void)
{
    char text[600];
    snprintf(text, sizeof text, "#!me\n");
    script("forbidden", text, strlen(text), 0644);
    run("not executable", AT_FDCWD, "forbidden", 0);
    run("a directory", AT_FDCWD, ".", 0);
    run("nothing there", AT_FDCWD, "none", 0);
    run("an empty name", AT_FDCWD, "", 0);
    int fd = open("plain", O_WRONLY | O_CLOEXEC);
    run("open for writing", AT_FDCWD, "plain", 0);
    close(fd);
    CHECK(symlink("plain", "link") == 0);
    run("a link", AT_FDCWD, "link", 0);
    run("not followed", AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW);
}

static void descriptors(void)
{
    int plain = open("plain", O_RDONLY), closed = open("plain", O_RDONLY | O_CLOEXEC), here = open(".", O_RDONLY);
    CHECK(dup2(plain, 50) == 50 && fcntl(closed, F_DUPFD_CLOEXEC, 51) == 51 && dup2(here, 52) == 52);
    run("a descriptor", 50, "", AT_EMPTY_PATH);
    run("one that is closed", 51, "", AT_EMPTY_PATH);
    run("a path from one", 52, "plain", 0);
    run("by its name", AT_FDCWD, "/dev/fd/50", 0);
    run("no flag", 50, "", 0);
    run("none", 60, "", AT_EMPTY_PATH);
    run("unknown flag", 50, "", AT_EMPTY_PATH | 1);
}

/* This program in memory: executed by its descriptor, closed or not, and by the descriptor's name. */
static void memory(void)
{
    int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("copy", 0);
    char buffer[65536];
    for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;)
        CHECK(write(to, buffer, n) == n);
    CHECK(dup2(to, 53) == 53 && close(to) == 0);
    fchmod(53, 0755);
    /* Open for writing, it is busy: a copy of the descriptor that only reads. */
    run("memory that is open for writing", 53, "", AT_EMPTY_PATH);
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", 53);
    int only = open(path, O_RDONLY);
    CHECK(dup2(only, 54) == 54 && close(53) == 0 && close(only) == 0);
    run("memory", 54, "", AT_EMPTY_PATH);
    fcntl(54, F_SETFD, FD_CLOEXEC);
    run("memory that is closed", 54, "", AT_EMPTY_PATH);
    run("memory by name", AT_FDCWD, "/proc/self/fd/54", 0);
}

/* Always as long, and made by as many instructions: mkdtemp takes as many as its random digits need. */
static void name_directory(void)
{
    strcpy(directory, "/tmp/scripts-XXXXXX");
    for (int i = 0, pid = getpid(); i < 6; i++, pid >>= 4)
        directory[13 + i] = "0123456789abcdef"[pid & 15];
}

int main(int argc, char **argv)
{
    if (argc > 1 || getenv("SHOW"))
        return show(argc, argv);
    char self[4096] = "";
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    name_directory();
    CHECK(mkdir(directory, 0700) == 0 && chdir(directory) == 0 && symlink(self, "me") == 0);
    setenv("SHOW", "1", 1);
    lines();
    nested();
    permissions();
    descriptors();
    memory();
    CHECK(chdir("/") == 0);
    char command[100];
    const char *names[] = { "me", "plain", "argument", "ends", "long", "longer", "empty", "text", "nothing", "absent", "s1", "s2", "s3",
                            "s4", "s5", "s6", "forbidden", "link" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(command, sizeof command, "%s/%s", directory, names[i]);
        CHECK(unlink(command) == 0);
    }
    CHECK(rmdir(directory) == 0);
    DONE();
}
