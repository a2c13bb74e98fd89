/* File system calls, in the working directory. */
#include "guest.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/uio.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    char *names[300];
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        names[n] = malloc(strlen(e->d_name) + 20);
        sprintf(names[n++], "%s/%s", e->d_name,
                e->d_type == DT_DIR ? "dir" : e->d_type == DT_LNK ? "link" : e->d_type == DT_FIFO ? "fifo" : "file");
    }
    closedir(dir);
    qsort(names, (size_t)n, sizeof names[0], by_name);
    if (n > 10)
        printf(" %d entries, %s to %s", n, names[0], names[n - 1]);
    for (int i = 0; i < n; i++) {
        if (n <= 10)
            printf(" %s", names[i]);
        free(names[i]);
    }
    printf("\n");
}

int main(void)
{
    char buffer[100];
    struct stat st;
    umask(022);
    CHECK(mkdir("files", 0755) == 0);
    CHECK(mkdir("files", 0755) == -1 && errno == EEXIST);
    CHECK(chdir("files") == 0);

    int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0644);
    CHECK(fd >= 3);
    CHECK(open("a", O_RDWR | O_CREAT | O_EXCL, 0644) == -1 && errno == EEXIST);
    CHECK(open("b", O_RDONLY) == -1 && errno == ENOENT);
    CHECK(write(fd, "hello, file\n", 12) == 12);
    CHECK(lseek(fd, 0, SEEK_CUR) == 12);
    CHECK(lseek(fd, 7, SEEK_SET) == 7);
    CHECK(read(fd, buffer, 4) == 4 && !memcmp(buffer, "file", 4));
    CHECK(pwrite(fd, "F", 1, 7) == 1);
    CHECK(pread(fd, buffer, 100, 5) == 7 && !memcmp(buffer, ", File\n", 7));
    CHECK(read(fd, buffer, 100) == 1 && read(fd, buffer, 100) == 0);
    struct iovec out[3] = { { "one ", 4 }, { "", 0 }, { "two\n", 4 } };
    CHECK(writev(fd, out, 3) == 8);
    char x[6], y[30];
    struct iovec in[2] = { { x, sizeof x }, { y, sizeof y } };
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && readv(fd, in, 2) == 20);
    printf("readv: '%.6s' '%.14s'\n", x, y);
    CHECK(preadv(fd, in, 2, 12) == 8 && !memcmp(x, "one tw", 6));
    CHECK(fstat(fd, &st) == 0);
    printf("size %ld mode %o links %d\n", (long)st.st_size, st.st_mode, (int)st.st_nlink);
    CHECK(ftruncate(fd, 5) == 0 && fstat(fd, &st) == 0 && st.st_size == 5);
    CHECK(lseek(fd, 1000, SEEK_END) == 1005 && write(fd, "x", 1) == 1);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 1006);
    CHECK(fallocate(fd, 0, 0, 8192) == 0 && fstat(fd, &st) == 0 && st.st_size == 8192);
    CHECK(read(-1, buffer, 1) == -1 && errno == EBADF);
    CHECK(read(fd, bad_address, 1) == -1 && errno == EFAULT);
    CHECK(write(1, bad_address, 1) == -1 && errno == EFAULT);
    CHECK(open(bad_address, O_RDONLY) == -1 && errno == EFAULT);

    CHECK(symlink("a", "link") == 0);
    CHECK(readlink("link", buffer, sizeof buffer) == 1 && buffer[0] == 'a');
    CHECK(lstat("link", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 1);
    CHECK(stat("link", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 8192);
    CHECK(open("link", O_RDONLY | O_NOFOLLOW) == -1 && errno == ELOOP);
    CHECK(open("link", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
    CHECK(link("a", "hard") == 0 && stat("a", &st) == 0 && st.st_nlink == 2);
    CHECK(mkfifo("fifo", 0600) == 0);
    CHECK(mkdir("dir", 0700) == 0);
    list(".");
    CHECK(rename("hard", "dir/moved") == 0);
    CHECK(access("hard", F_OK) == -1 && errno == ENOENT && access("dir/moved", R_OK | W_OK) == 0);
    CHECK(rmdir("dir") == -1 && errno == ENOTEMPTY);
    CHECK(unlink("dir") == -1 && errno == EISDIR);
    int dir = open("dir", O_RDONLY | O_DIRECTORY);
    CHECK(dir >= 0 && openat(dir, "moved", O_RDONLY) == dir + 1 && close(dir + 1) == 0);
    CHECK(fstatat(dir, "moved", &st, 0) == 0 && st.st_nlink == 2);
    CHECK(fstatat(dir, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode));
    struct statx sx;
    CHECK(statx(dir, "moved", 0, STATX_SIZE | STATX_NLINK, &sx) == 0 && sx.stx_size == 8192 && sx.stx_nlink == 2);
    CHECK(mkdirat(dir, "sub", 0755) == 0 && unlinkat(dir, "sub", AT_REMOVEDIR) == 0);
    CHECK(fchdir(dir) == 0 && access("moved", F_OK) == 0 && chdir("..") == 0);
    for (int i = 0; i < 250; i++) { /* more entries than one getdents call returns in a small buffer */
        sprintf(buffer, "a-name-that-is-rather-long-to-fill-the-buffer-%03d", i);
        int f = openat(dir, buffer, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        CHECK(f >= 0 && close(f) == 0);
    }
    list("dir");
    for (int i = 0; i < 250; i++) {
        sprintf(buffer, "a-name-that-is-rather-long-to-fill-the-buffer-%03d", i);
        CHECK(unlinkat(dir, buffer, 0) == 0);
    }

    CHECK(chmod("a", 0400) == 0 && stat("a", &st) == 0 && (st.st_mode & 0777) == 0400);
    struct timespec times[2] = { { 1000000000, 5000 }, { 1234567890, 123456000 } };
    CHECK(utimensat(AT_FDCWD, "a", times, 0) == 0 && stat("a", &st) == 0);
    CHECK(st.st_mtim.tv_sec == 1234567890 && st.st_mtim.tv_nsec == 123456000 && st.st_atim.tv_sec == 1000000000);
    int copy = dup(fd);
    CHECK(copy > fd && dup2(fd, 50) == 50 && fcntl(fd, F_DUPFD, 60) == 60 && dup3(fd, 51, O_CLOEXEC) == 51);
    CHECK(fcntl(51, F_GETFD) == FD_CLOEXEC && fcntl(50, F_GETFD) == 0 && (fcntl(50, F_GETFL) & O_ACCMODE) == O_RDWR);
    CHECK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK) == 0 && (fcntl(50, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK));
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20 };
    CHECK(fcntl(fd, F_SETLK, &lock) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    struct statfs fs;
    CHECK(statfs(".", &fs) == 0 && fs.f_bsize > 0 && fstatfs(fd, &fs) == 0);
    CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
    CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0 && posix_fadvise(fd, 0, 0, 99) == EINVAL);
    FILE *f = fopen("stdio", "w+");
    CHECK(f && fprintf(f, "%d %s\n", 42, "answer") == 10 && fseek(f, 3, SEEK_SET) == 0 && fgets(buffer, 100, f));
    printf("stdio: %s", buffer);
    fclose(f);
    int from = open("stdio", O_RDONLY), to = open("copy", O_RDWR | O_CREAT, 0600);
    CHECK(copy_file_range(from, NULL, to, NULL, 100, 0) == 10);

    CHECK(unlink("stdio") == 0 && unlink("copy") == 0 && unlink("a") == 0 && unlink("link") == 0 && unlink("fifo") == 0);
    CHECK(unlink("dir/moved") == 0 && rmdir("dir") == 0 && chdir("..") == 0 && rmdir("files") == 0);
    DONE();
}
