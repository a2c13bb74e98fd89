/* A file system without executions: what mmap, mprotect and execve say about its files. */
#include "guest.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void put_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && ftruncate(fd, 2 * PAGE) == 0 && close(fd) == 0);
}

static int execution(const char *name)
{
    char *arguments[] = { (char *)name, NULL };
    execve(name, arguments, arguments + 1);
    return errno;
}

static void mappings(const char *name, int forbidden)
{
    int fd = open(name, O_RDWR);
    CHECK(fd >= 0);
    for (int i = 0; i < 2; i++) {
        int flags = i ? MAP_SHARED : MAP_PRIVATE;
        char *place = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
        CHECK(place != MAP_FAILED && place[0] == '#');
        /* In the midst of a range, too: nothing of it is changed then. */
        char *around = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(mremap(place, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, around + 2 * PAGE) == around + 2 * PAGE);
        errno = 0;
        CHECK(mprotect(around + 2 * PAGE, PAGE, PROT_READ | PROT_EXEC) == -forbidden && errno == (forbidden ? EACCES : 0));
        CHECK(mprotect(around + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
        around[2 * PAGE] = '#';
        errno = 0;
        void *code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, flags, fd, PAGE);
        CHECK((code == MAP_FAILED) == forbidden && errno == (forbidden ? EPERM : 0));
        CHECK(munmap(around, 4 * PAGE) == 0 && (forbidden || munmap(code, PAGE) == 0));
    }
    CHECK(close(fd) == 0 && (fd = open(name, O_WRONLY)) >= 0);
    CHECK(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EACCES);
    CHECK(close(fd) == 0);
}

int main(void)
{
    const char *script = "#!/does/not/exist\n";
    /* A view of its own: root may, others may in a namespace where they are root. */
    CHECK(unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
    CHECK(mkdir("plain", 0755) == 0 && mkdir("noexec", 0755) == 0);
    /* The root of the namespace, which "/" is not in a sysroot. */
    CHECK(mount("none", "/proc/self/root", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("none", "plain", "tmpfs", 0, NULL) == 0 && mount("none", "noexec", "tmpfs", MS_NOEXEC, NULL) == 0);
    put_file("plain/script", script);
    put_file("noexec/script", script);
    mappings("plain/script", 0);
    mappings("noexec/script", 1);
    CHECK(execution("plain/script") == ENOENT && execution("noexec/script") == EACCES);
    CHECK(access("noexec/script", X_OK) == -1 && errno == EACCES);
    int fd = open("plain/script", O_WRONLY);
    CHECK(execution("plain/script") == ETXTBSY && close(fd) == 0 && execution("plain/script") == ENOENT);
    CHECK(umount("plain") == 0 && umount("noexec") == 0 && rmdir("plain") == 0 && rmdir("noexec") == 0);
    DONE();
}
