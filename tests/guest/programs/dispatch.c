/* An interpreter of the kind that jumps from each instruction to the next one's by a table of labels, with so much state that no
 * processor has registers for it, and handlers that lie kilobytes apart. Another one that calls a function for each has to agree with it
 * all the way. Most instructions are first met when the loop has long been compiled.
 *
 * With the argument "faults" some of them meet memory that a handler of SIGSEGV has to make readable first. */
#include "guest.h"

enum { OPS = 24, CODE = 997, WARM_UP = 14000, ROUNDS = 200 };

typedef unsigned long word;
struct state {
    word a, b, c, d, e, f, g, h, i, j, k, l;
};
static volatile word never;
static volatile word *page = &never;
/* So that the next handler is far away. */
#define FAR                              \
    do {                                 \
        if (never)                       \
            __asm__ volatile(".space 1024"); \
    } while (0)

#define EACH_OP(OP)                                                                                      \
    OP(0, a += b + *(l & 15 ? &never : page)) OP(1, b ^= c << 3) OP(2, c += d * 5)                       \
    OP(3, d -= e) OP(4, e += f ^ a) OP(5, f += g >> 2) OP(6, g ^= h)                                     \
    OP(7, h += i + 1) OP(8, i -= j) OP(9, j ^= k + a) OP(10, k += l)                                     \
    OP(11, l += a & 0xff) OP(12, a ^= e; e = a + 3) OP(13, b += h; h ^= b) OP(14, c ^= l)                \
    OP(15, d += i << 1) OP(16, f -= c; c += 7) OP(17, g += k) OP(18, a -= l; l += 11)                    \
    OP(19, j += d | 1) OP(20, k ^= f; f += 13) OP(21, i += b & e) OP(22, h -= g) OP(23, e ^= d; d += 17)

/* Runs the code up to its end, which is one more than the last instruction. */
static __attribute__((noinline)) void by_labels(const unsigned char *code, struct state *s)
{
#define LABEL(n, what) &&op##n,
    static void *const labels[] = { EACH_OP(LABEL) &&end };
    word a = s->a, b = s->b, c = s->c, d = s->d, e = s->e, f = s->f;
    word g = s->g, h = s->h, i = s->i, j = s->j, k = s->k, l = s->l;
    goto *labels[*code++];
#define HANDLER(n, what)     \
    op##n:                   \
    what;                    \
    FAR;                     \
    goto *labels[*code++];
    EACH_OP(HANDLER)
end:
    *s = (struct state){ a, b, c, d, e, f, g, h, i, j, k, l };
}

#define FUNCTION(n, what)                                                                               \
    static __attribute__((noinline)) void do##n(struct state *s)                                        \
    {                                                                                                   \
        word a = s->a, b = s->b, c = s->c, d = s->d, e = s->e, f = s->f;                                \
        word g = s->g, h = s->h, i = s->i, j = s->j, k = s->k, l = s->l;                                \
        what;                                                                                           \
        *s = (struct state){ a, b, c, d, e, f, g, h, i, j, k, l };                                      \
    }
EACH_OP(FUNCTION)

static void by_calls(const unsigned char *code, struct state *s)
{
#define POINTER(n, what) do##n,
    static void (*const functions[])(struct state *) = { EACH_OP(POINTER) };
    while (*code < OPS)
        functions[*code++](s);
}

static unsigned char code[CODE + 1];

/* Every `step`th instruction. */
static void make_code(int step)
{
    static unsigned random = 1;
    for (int n = 0; n < CODE; n++) {
        random = random * 1103515245 + 12345;
        code[n] = (random >> 16) % (OPS / step) * step;
    }
    code[CODE] = OPS;
}

static void make_readable(int signal)
{
    (void)signal;
    mprotect((void *)page, PAGE, PROT_READ);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        signal(SIGSEGV, make_readable);
    }
    struct state one = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    make_code(4);
    for (int n = 0; n < WARM_UP; n++)
        by_labels(code, &one);
    struct state other = one;
    for (int round = 0; round < ROUNDS; round++) {
        make_code(round < ROUNDS / 2 ? 4 : 1);
        if (argc > 1)
            CHECK(mprotect((void *)page, PAGE, PROT_NONE) == 0);
        by_labels(code, &one);
        by_calls(code, &other);
        CHECK(memcmp(&one, &other, sizeof one) == 0);
    }
    DONE();
}
