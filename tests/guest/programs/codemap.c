/* Code changed by way of another mapping of the same file, or by mapping something else at its place. */
#include "guest.h"

static int call(void *code, int x)
{
    return ((function)(uintptr_t)code)(x);
}

int main(void)
{
    int fd = nameless_file();
    CHECK(ftruncate(fd, PAGE) == 0);
    unsigned char *writable = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *executable = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(writable != MAP_FAILED && executable != MAP_FAILED);
    int wrong = 0;
    for (int i = 0; i < 1000; i++) {
        emit_add(writable, i);
        flush_code(executable, 64);
        wrong += call(executable, 7) != i + 7;
    }
    CHECK(wrong == 0);
    printf("second mapping\n");

    unsigned char buffer[64];
    size_t length = emit_add(buffer, 300);
    CHECK(pwrite(fd, buffer, length, 0) == (ssize_t)length); /* the file itself */
    flush_code(executable, 64);
    CHECK(call(executable, 1) == 301);
    printf("written file\n");

    unsigned char *code = map_pages(4, PROT_READ | PROT_WRITE | PROT_EXEC);
    flush_code(code, emit_add(code, 5));
    CHECK(call(code, 1) == 6);
    CHECK(mmap(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == code);
    flush_code(code, emit_add(code, 44));
    CHECK(call(code, 1) == 45);
    CHECK(mmap(code, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) == code && call(code, 1) == 301);
    unsigned char *moved = mremap(code, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, code + 3 * PAGE);
    CHECK(moved == code + 3 * PAGE && call(moved, 1) == 301);
    CHECK(mmap(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == code);
    flush_code(code, emit_add(code, 9));
    CHECK(call(code, 1) == 10 && call(moved, 1) == 301);
    CHECK(madvise(code, PAGE, MADV_DONTNEED) == 0);
    for (int i = 0; i < 16; i++)
        CHECK(code[i] == 0);
    printf("mapped anew\n");
    DONE();
}
