/* sysmips(2): atomic exchange, and whether misaligned accesses are mended. */
#include "../guest.h"
#include <sys/syscall.h>

enum { FLUSH_CACHE = 3, MIPS_FIXADE = 7, MIPS_ATOMIC_SET = 2001 };

int main(void)
{
    int word = 5;
    CHECK(syscall(SYS_sysmips, MIPS_ATOMIC_SET, &word, 9) == 5 && word == 9);
    CHECK(syscall(SYS_sysmips, MIPS_ATOMIC_SET, &word, -7) == 9 && word == -7);
    errno = 0;
    /* A negative word is no error, though o32's syscall() takes it for one. */
    int old = (int)syscall(SYS_sysmips, MIPS_ATOMIC_SET, &word, 1);
    CHECK((old == -7 && errno == 0) || (_MIPS_SIM == _ABIO32 && old == -1 && errno == 7));
    CHECK(word == 1);
    CHECK(syscall(SYS_sysmips, MIPS_ATOMIC_SET, (char *)&word + 1, 1) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_sysmips, MIPS_ATOMIC_SET, (uintptr_t)bad_address & -4ul, 1) == -1 && errno == EFAULT);
    CHECK(syscall(SYS_sysmips, FLUSH_CACHE, 0, 0) == 0);
    CHECK(syscall(SYS_sysmips, MIPS_FIXADE, 4, 0) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_sysmips, 12345, 0, 0) == -1 && errno == EINVAL);
    DONE();
}
