/* Arguments, environment and the auxiliary vector. */
#include "guest.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;
int main(int argc, char **argv);

int main(int argc, char **argv)
{
    printf("argc %d\n", argc);
    for (int i = 1; i < argc; i++)
        printf("argv[%d] = '%s'\n", i, argv[i]);
    CHECK(argv[argc] == NULL);
    CHECK((char **)argv + argc + 1 == environ);
    const char *value = getenv("GUEST_TEST");
    printf("GUEST_TEST = '%s'\n", value ? value : "(none)");
    CHECK(getenv("NOT_THERE") == NULL);

    CHECK(getauxval(AT_PAGESZ) == PAGE);
    CHECK(getauxval(AT_UID) == getuid());
    CHECK(getauxval(AT_EUID) == geteuid());
    CHECK(getauxval(AT_GID) == getgid());
    CHECK(getauxval(AT_EGID) == getegid());
    CHECK(getauxval(AT_SECURE) == 0);
    CHECK(getauxval(AT_RANDOM) != 0);
    CHECK(getauxval(AT_ENTRY) != 0);
    CHECK(getauxval(AT_CLKTCK) == 100);
    const char *name = (const char *)getauxval(AT_EXECFN);
    CHECK(name && strlen(name) >= 4 && strcmp(name + strlen(name) - 4, "args") == 0);
    const ElfW(Phdr) *phdr = (const void *)getauxval(AT_PHDR);
    CHECK(phdr != NULL && getauxval(AT_PHENT) == sizeof *phdr);
    int loads = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
        loads += phdr[i].p_type == PT_LOAD;
    CHECK(loads >= 2);
#ifdef __riscv
    unsigned long hwcap = getauxval(AT_HWCAP);
    for (const char *letter = "imafdc"; *letter; letter++)
        CHECK(hwcap >> (*letter - 'a') & 1);
#endif
    /* The stack is 16-byte aligned on entry, and holds the strings. */
    CHECK(((uintptr_t)__builtin_frame_address(0) & 7) == 0);
    CHECK((char *)argv < argv[0]);
    DONE();
}
