/* lwl, lwr, swl, swr and their doubleword forms at every offset, alone and in pairs, also where the rest is not mapped. */
#include "../guest.h"

#if __mips_isa_rev < 6
static unsigned char *bytes;
static volatile int faults;
static void *volatile address;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    faults++;
    address = info->si_addr;
    CONTEXT_PC(context) += 4;
}

#define LOAD(instruction, p, old)                                                                    \
    ({                                                                                               \
        __typeof__(old) value_ = (old);                                                              \
        __asm__ volatile(instruction " %0, 0(%1)" : "+r"(value_) : "r"(p) : "memory");               \
        value_;                                                                                      \
    })
#define STORE(instruction, p, value) __asm__ volatile(instruction " %0, 0(%1)" : : "r"(value), "r"(p) : "memory")

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_FIRST 1 /* the lowest byte of a number */
#define LOAD_FIRST "lwr"
#define LOAD_LAST "lwl"
#define STORE_FIRST "swr"
#define STORE_LAST "swl"
#else
#define LOW_FIRST 0
#define LOAD_FIRST "lwl"
#define LOAD_LAST "lwr"
#define STORE_FIRST "swl"
#define STORE_LAST "swr"
#endif

static void print(const char *name, const unsigned char *p, int n)
{
    printf("%s", name);
    for (int i = 0; i < n; i++)
        printf(" %02x", p[LOW_FIRST ? n - 1 - i : i]);
    printf("\n");
}

/* As numbers, most significant byte first; by the distance from the end where the instruction counts from, which makes both
 * byte orders print the same. */
static void words(void)
{
    for (int i = 0; i < 4; i++) {
        unsigned char *p = bytes + 8 + (LOW_FIRST ? i : 3 - i);
        uint32_t left = LOAD("lwl", p, (int32_t)0xa1b2c3d4), right = LOAD("lwr", p, (int32_t)0xa1b2c3d4);
        printf("lwl %08x lwr %08x\n", left, right);
        unsigned char saved[4];
        memcpy(saved, bytes + 8, 4);
        STORE("swl", p, 0x11223344);
        print("swl", bytes + 8, 4);
        memcpy(bytes + 8, saved, 4);
        STORE("swr", p, 0x11223344);
        print("swr", bytes + 8, 4);
        memcpy(bytes + 8, saved, 4);
    }
}

static void pairs(void)
{
    for (int i = 0; i < 16; i++) {
        struct __attribute__((packed)) odd {
            uint32_t w;
            uint64_t d;
        } *p = (void *)(bytes + 16 + i), q;
        memset(bytes + 16, 0xee, 48);
        p->w = 0x01020304u + (unsigned)i, p->d = 0x1112131415161718u + (unsigned)i;
        memcpy(&q, p, sizeof q);
        CHECK(q.w == 0x01020304u + (unsigned)i && q.d == 0x1112131415161718u + (unsigned)i);
        CHECK(p->w == q.w && p->d == q.d && bytes[15 + i] == (i ? 0xee : 23) && bytes[28 + i] == 0xee);
    }
}

#if __mips64
static void doubles(void)
{
    for (int i = 0; i < 8; i++) {
        unsigned char *p = bytes + 8 + (LOW_FIRST ? i : 7 - i), saved[8];
        uint64_t whole, old = 0xa1b2c3d4e5f60718;
        memcpy(&whole, bytes + 8, 8);
        /* ldl keeps the 7 - i lowest bytes of the register and fills the others with the lowest of memory; ldr the reverse. */
        uint64_t keep = i == 7 ? 0 : ~0ull >> (8 * (i + 1)), keep_right = i == 0 ? 0 : ~0ull << (64 - 8 * i);
        CHECK((uint64_t)LOAD("ldl", p, (int64_t)old) == ((old & keep) | whole << (8 * (7 - i))));
        CHECK((uint64_t)LOAD("ldr", p, (int64_t)old) == ((old & keep_right) | whole >> (8 * i)));
        uint64_t after;
        memcpy(saved, bytes + 8, 8);
        STORE("sdl", p, old);
        memcpy(&after, bytes + 8, 8);
        uint64_t written = ~0ull >> (8 * (7 - i));
        CHECK(after == ((whole & ~written) | old >> (8 * (7 - i))));
        memcpy(bytes + 8, saved, 8);
        STORE("sdr", p, old);
        memcpy(&after, bytes + 8, 8);
        written = ~0ull << (8 * i);
        CHECK(after == ((whole & ~written) | old << (8 * i)));
        memcpy(bytes + 8, saved, 8);
    }
    CHECK(LOAD("lwr", bytes + 8 + (LOW_FIRST ? 0 : 3), 0x1122334455667788) >> 32 == ((int32_t)0x88898a8b >> 31));
}
#else
static void doubles(void)
{
}
#endif

/* One half of the pair is on a page that is missing. */
static void borders(void)
{
    unsigned char *page = map_pages(2, PROT_READ | PROT_WRITE);
    mprotect(page + PAGE, PAGE, PROT_NONE);
    on_signal(SIGSEGV, 0, on_fault);
    page[PAGE - 2] = 1, page[PAGE - 1] = 2;
    const char *at = (char *)page + PAGE - 2, *end = at + 3;
    uint32_t first = LOAD(LOAD_FIRST, at, 0);
    CHECK(faults == 0 && first == (LOW_FIRST ? 0x0201 : 0x01020000));
    first = LOAD(LOAD_LAST, end, 5);
    CHECK(faults == 1 && address == end && first == 5);
    STORE(STORE_LAST, end, 5);
    CHECK(faults == 2 && address == end);
    STORE(STORE_FIRST, at, LOW_FIRST ? 0x0403 : 0x03040000);
    CHECK(faults == 2 && page[PAGE - 2] == 3 && page[PAGE - 1] == 4);
}

int main(void)
{
    bytes = map_pages(1, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 64; i++)
        bytes[i] = (unsigned char)(0x80 + i);
    for (int i = 8; i < 12; i++) /* the same number in both byte orders */
        bytes[i] = (unsigned char)(LOW_FIRST ? 0x8b - (i - 8) : 0x88 + (i - 8));
    words();
    doubles();
    bytes[15] = 23;
    pairs();
    borders();
    DONE();
}
#else
int main(void)
{
    printf("not in release 6\n");
    return 0;
}
#endif
