/* What the test programs share: checks, and machine code and registers of each architecture. Included first. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* A failed check shows in the output, and in the status by way of DONE. */
static int failures __attribute__((unused));
#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            printf("FAILED line %d: %s (errno %d)\n", __LINE__, #condition, errno);         \
            fflush(stdout);                                                                 \
            failures++;                                                                     \
        }                                                                                   \
    } while (0)
#define DONE() return printf("done, %d failures\n", failures), failures ? 99 : 0

#define PAGE 4096ul

/* An address that is never mapped, and that the compiler cannot see through. */
static void *volatile bad_address __attribute__((unused)) = (void *)8;

/* A new file without a name. mkstemp would take as many instructions as its random digits need. */
static inline int nameless_file(void)
{
    int fd = open("nameless", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || unlink("nameless")) {
        perror("nameless");
        exit(98);
    }
    return fd;
}

static inline unsigned char *map_pages(size_t pages, int protection)
{
    void *p = mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(98);
    }
    return p;
}

static inline void on_signal(int signal_number, int flags, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
    if (sigaction(signal_number, &action, NULL)) {
        perror("sigaction");
        exit(98);
    }
}

/* emit_add writes a function int f(int x) { return x + value; }, value in 0..2047, and returns its length:
 * of at least two instructions, of which the first is 4 bytes or more. The caller flushes. */
typedef int (*function)(int);
#if defined __riscv
static inline size_t emit_add(void *at, int value)
{
    uint16_t code[4] = { 0x0513, (uint16_t)(value << 4 | 5), 0x8067, 0 }; /* addi a0, a0, value; ret */
    memcpy(at, code, sizeof code);
    return sizeof code;
}
#define ILLEGAL_INSTRUCTION() __asm__ volatile(".4byte 0xc0001073") /* unimp */
#define CONTEXT_PC(context) (((ucontext_t *)(context))->uc_mcontext.__gregs[REG_PC])
#define CONTEXT_SP(context) (((ucontext_t *)(context))->uc_mcontext.__gregs[REG_SP])
#elif defined __mips__
static inline size_t emit_add(void *at, int value)
{
#if __mips_isa_rev >= 6
    const uint32_t jr_ra = 0x03e00009;
#else
    const uint32_t jr_ra = 0x03e00008;
#endif
    uint32_t code[4] = { 0x24820000u | (uint32_t)value, jr_ra, 0, 0 }; /* addiu v0, a0, value; jr ra; nop */
    memcpy(at, code, sizeof code);
    return sizeof code;
}
#define ILLEGAL_INSTRUCTION() __asm__ volatile(".word 0x7000003e")
#define CONTEXT_PC(context) (((ucontext_t *)(context))->uc_mcontext.pc)
#define CONTEXT_SP(context) (((ucontext_t *)(context))->uc_mcontext.gregs[29])
#elif defined __x86_64__
static inline size_t emit_add(void *at, int value)
{
    unsigned char code[7] = { 0x8d, 0x87, (unsigned char)value, (unsigned char)(value >> 8), 0, 0, 0xc3 };
    memcpy(at, code, sizeof code);
    return sizeof code;
}
#define ILLEGAL_INSTRUCTION() __asm__ volatile("ud2")
#define CONTEXT_PC(context) (((ucontext_t *)(context))->uc_mcontext.gregs[REG_RIP])
#define CONTEXT_SP(context) (((ucontext_t *)(context))->uc_mcontext.gregs[REG_RSP])
#else
#error "unknown architecture"
#endif

static inline void flush_code(void *at, size_t length)
{
    __builtin___clear_cache((char *)at, (char *)at + length);
}
