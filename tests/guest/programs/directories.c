/* Positions in a directory: what a long holds, and where reading goes on. ext4 has hashes for positions, shorter ones for 32-bit processes. */
#include "guest.h"
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { FILES = 100 };

static struct entry {
    int64_t next;
    char name[32];
} all[FILES + 2];

struct record {
    uint64_t inode;
    int64_t next;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Reads on, and keeps what was read in `list`, at most `most`. */
static int read_on(int fd, struct entry *list, int most)
{
    static char buffer[512] __attribute__((aligned(8)));
    int count = 0;
    for (long bytes; count < most && (bytes = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) != 0;) {
        CHECK(bytes > 0);
        if (bytes < 0)
            return -1;
        for (long at = 0; at < bytes && count < most; count++) {
            struct record *record = (struct record *)(buffer + at);
            list[count].next = record->next;
            snprintf(list[count].name, sizeof list[count].name, "%.31s", record->name);
            at += record->length;
        }
    }
    return count;
}

static int64_t seek(int fd, int64_t to, int whence)
{
#ifdef SYS__llseek
    int64_t at;
    return syscall(SYS__llseek, fd, (long)(to >> 32), (long)to, &at, whence) ? -1 : at;
#else
    return lseek(fd, to, whence);
#endif
}

static void create(char *name, int i)
{
    sprintf(name, "entry-%03d", i);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && close(fd) == 0);
}

/* Positions as the C library gives them out, in a long. */
static void by_library(void)
{
    char names[FILES + 2][32];
    long places[FILES + 3];
    int n = 0;
    DIR *dir = opendir(".");
    CHECK(dir != NULL);
    errno = 0;
    for (struct dirent *e; places[n] = telldir(dir), n < FILES + 2 && (e = readdir(dir)); n++)
        snprintf(names[n], sizeof names[n], "%.31s", e->d_name);
    CHECK(n == FILES + 2 && errno == 0 && readdir(dir) == NULL);
    for (int i = n - 1; i >= 0; i -= 7) {
        seekdir(dir, places[i]);
        struct dirent *e = readdir(dir);
        CHECK(e != NULL && strcmp(e->d_name, names[i]) == 0);
    }
    CHECK(closedir(dir) == 0);
}

int main(void)
{
    char name[32];
    CHECK(mkdir("directories", 0700) == 0 && chdir("directories") == 0);
    for (int i = 0; i < FILES; i++)
        create(name, i);
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    int count = read_on(fd, all, FILES + 2);
    printf("%d entries\n", count);
    CHECK(count == FILES + 2);
    for (int i = 0; i < count; i++)
        CHECK(all[i].next <= LONG_MAX);
    int64_t end = all[count - 1].next;
    CHECK(seek(fd, 0, SEEK_CUR) == end);
    for (int i = 0; i + 1 < count; i += 9) {
        struct entry next = { 0, "" };
        CHECK(seek(fd, all[i].next, SEEK_SET) == all[i].next && seek(fd, 0, SEEK_CUR) == all[i].next);
        CHECK(read_on(fd, &next, 1) == 1 && strcmp(next.name, all[i + 1].name) == 0);
    }
    CHECK(seek(fd, end, SEEK_SET) == end && read_on(fd, all, 1) == 0);
    CHECK(seek(fd, 0, SEEK_SET) == 0 && read_on(fd, all, FILES + 2) == count);
    close(fd);
    by_library();

    /* A file has no such positions, however large it is. */
    fd = open("large", O_RDWR | O_CREAT, 0600);
    CHECK(seek(fd, 0x7fffffff, SEEK_SET) == 0x7fffffff && seek(fd, 1, SEEK_CUR) == 0x80000000ll);
    CHECK(seek(fd, 5ll << 32, SEEK_SET) == 5ll << 32 && seek(fd, 0, SEEK_CUR) == 5ll << 32 && seek(fd, 0, SEEK_END) == 0);
    close(fd);
    unlink("large");
    for (int i = 0; i < FILES; i++) {
        sprintf(name, "entry-%03d", i);
        CHECK(unlink(name) == 0);
    }
    CHECK(chdir("..") == 0 && rmdir("directories") == 0);
    DONE();
}
