/* Misaligned accesses, which the kernel mends (or release 6 makes itself), also in delay slots and of floating-point registers;
 * and with an argument those that it does not: ll, jumps, beyond the user's addresses, over the border to a page that is missing. */
#include "../guest.h"
#include <setjmp.h>
#include <sys/syscall.h>

static unsigned char *bytes;
static volatile int faults, number, code;
static void *volatile address;
static volatile uintptr_t pc;
static sigjmp_buf escape;

static void on_fault(int n, siginfo_t *info, void *context)
{
    faults++, number = n, code = info->si_code, address = info->si_addr;
    pc = (uintptr_t)CONTEXT_PC(context);
    siglongjmp(escape, 1);
}

#define LOAD(instruction, type, p)                                                                  \
    ({                                                                                              \
        type value_;                                                                                \
        __asm__ volatile(instruction " %0, 0(%1)" : "=r"(value_) : "r"(p) : "memory");              \
        value_;                                                                                     \
    })
#define STORE(instruction, p, value) __asm__ volatile(instruction " %0, 0(%1)" : : "r"(value), "r"(p) : "memory")
#define FLOAD(instruction, type, p)                                                                 \
    ({                                                                                              \
        type value_;                                                                                \
        __asm__ volatile(instruction " %0, 0(%1)" : "=f"(value_) : "r"(p) : "memory");              \
        value_;                                                                                     \
    })
#define FSTORE(instruction, p, value) __asm__ volatile(instruction " %0, 0(%1)" : : "f"(value), "r"(p) : "memory")

#define GIVES(type, instruction, p)                                                                 \
    ({                                                                                              \
        type expected_;                                                                             \
        memcpy(&expected_, p, sizeof expected_);                                                    \
        CHECK(LOAD(instruction, long, p) == (long)expected_);                                       \
    })
#define PUTS(type, instruction, p)                                                                  \
    ({                                                                                              \
        type stored_;                                                                               \
        unsigned char saved_[24];                                                                   \
        memcpy(saved_, bytes + 8, 24);                                                              \
        STORE(instruction, p, (long)0x0102030405060708);                                            \
        memcpy(&stored_, p, sizeof stored_);                                                        \
        CHECK(stored_ == (type)0x0102030405060708 && (p)[-1] == saved_[(p) - bytes - 9]);           \
        CHECK((p)[sizeof stored_] == saved_[(p) - bytes - 8 + (long)sizeof stored_]);               \
        memcpy(bytes + 8, saved_, 24);                                                              \
    })

static void mended(void)
{
    for (int i = 1; i < 8; i++) {
        unsigned char *p = bytes + 10 + i;
        GIVES(int16_t, "lh", p);
        GIVES(uint16_t, "lhu", p);
        GIVES(int32_t, "lw", p);
        PUTS(uint16_t, "sh", p);
#if _MIPS_SZLONG == 64
        GIVES(uint32_t, "lwu", p);
        GIVES(int64_t, "ld", p);
        PUTS(uint64_t, "sd", p);
        PUTS(uint32_t, "sw", p);
#endif
        float f;
        double d;
        f = FLOAD("lwc1", float, p);
        d = FLOAD("ldc1", double, p);
        CHECK(memcmp(&f, p, 4) == 0 && memcmp(&d, p, 8) == 0);
        FSTORE("swc1", p, 1.5f);
        memcpy(&f, p, 4);
        CHECK(f == 1.5f);
        FSTORE("sdc1", p + 1, 2.5);
        memcpy(&d, p + 1, 8);
        CHECK(d == 2.5);
        for (int k = 0; k < 64; k++)
            bytes[k] = (unsigned char)(0x85 + 7 * k);
    }
    /* In the slot of a branch, which is then taken. */
    long got, way;
    __asm__ volatile(".set push\n .set noreorder\n li %1, 1\n beq $0, $0, 1f\n lw %0, 0(%2)\n li %1, 2\n1:\n .set pop"
                     : "=&r"(got), "=&r"(way) : "r"(bytes + 13) : "memory");
    int32_t expected;
    memcpy(&expected, bytes + 13, 4);
    CHECK(got == expected && way == 1);
    /* Over the border of pages. */
    GIVES(int32_t, "lw", bytes + PAGE - 1);
    GIVES(int16_t, "lh", bytes + PAGE - 1);
    for (int i = 0; i < 20000; i++)
        CHECK(LOAD("lw", int32_t, bytes + 13) == expected);
    CHECK(faults == 0);
    printf("mended\n");
}

#define FAULT(statement)                  \
    ({                                    \
        faults = 0;                       \
        if (sigsetjmp(escape, 1) == 0) {  \
            statement;                    \
        }                                 \
        faults;                           \
    })

static void not_mended(void)
{
    mprotect(bytes + PAGE, PAGE, PROT_NONE);
    CHECK(FAULT((void)LOAD("lw", long, bytes + PAGE - 2)) == 1 && number == SIGSEGV);
    CHECK(FAULT(STORE("sw", bytes + PAGE - 1, 1)) == 1 && number == SIGSEGV);
    CHECK(FAULT((void)LOAD("ll", long, bytes + 2)) == 1 && number == SIGBUS && code == SI_KERNEL);
    uintptr_t odd = (uintptr_t)bytes + 130;
    CHECK(FAULT(((function)odd)(1)) == 1 && number == SIGBUS && code == SI_KERNEL && pc == odd);
#if _MIPS_SZPTR == 32
    uintptr_t kernel = 0x80000000u;
#else
    uintptr_t kernel = 0x8000000000000000u;
#endif
    CHECK(FAULT((void)LOAD("lw", long, kernel)) == 1 && number == SIGBUS && code == SI_KERNEL);
    CHECK(FAULT((void)LOAD("lbu", long, kernel + 1)) == 1 && number == SIGBUS && code == SI_KERNEL);
    CHECK(FAULT(STORE("sw", kernel, 0)) == 1 && number == SIGBUS && code == SI_KERNEL);
    printf("not mended\n");
#if __mips_isa_rev < 6
    CHECK(syscall(SYS_sysmips, 7, 0, 0) == 0); /* MIPS_FIXADE */
    CHECK(FAULT((void)LOAD("lw", long, bytes + 1)) == 1 && number == SIGBUS && code == SI_KERNEL);
    CHECK(syscall(SYS_sysmips, 7, 1, 0) == 0 && FAULT((void)LOAD("lw", long, bytes + 1)) == 0);
#endif
}

int main(int argc, char **argv)
{
    (void)argv;
    bytes = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int i = 0; i < 64; i++)
        bytes[i] = (unsigned char)(0x85 + 7 * i);
    on_signal(SIGSEGV, 0, on_fault);
    on_signal(SIGBUS, 0, on_fault);
    argc > 1 ? not_mended() : mended();
    DONE();
}
