/* Computed jumps by tables, when what the tables say changes long after the loop has been compiled: other labels in the same table, another
 * table, indices that were never met, and those that a switch has no case for. A function that uses no table has to agree. */
#include "guest.h"

enum { OPS = 11, CODE = 499, WARM_UP = 40000, ROUNDS = 400 };

typedef unsigned long word;
struct state {
    word a, b, c;
};

#define EACH_OP(OP)                                                                                      \
    OP(0, a += b) OP(1, b ^= c << 3) OP(2, c += a * 5) OP(3, a -= c ^ 7) OP(4, b += a >> 2)              \
    OP(5, c ^= b) OP(6, a ^= 0x55) OP(7, b -= c) OP(8, c += 11) OP(9, a += c & b) OP(10, b = b * 3 + a)

/* Runs the code by a table of labels up to the end, which is at OPS in each; without code gives the labels. */
static __attribute__((noinline)) void by_labels(const unsigned char *code, void **table, struct state *s)
{
#define LABEL(n, what) &&op##n,
    static void *const labels[] = { EACH_OP(LABEL) &&end };
    if (!code) {
        memcpy(table, labels, sizeof labels);
        return;
    }
    word a = s->a, b = s->b, c = s->c;
    goto *table[*code++];
#define HANDLER(n, what) \
    op##n:               \
    what;                \
    goto *table[*code++];
    EACH_OP(HANDLER)
end:
    *s = (struct state){ a, b, c };
}

/* The same by a switch, which does nothing for other instructions than there are. */
static __attribute__((noinline)) void by_switch(const unsigned char *code, unsigned len, struct state *s)
{
    word a = s->a, b = s->b, c = s->c;
    for (unsigned i = 0; i < len; i++) {
        switch (code[i]) {
#define CASE(n, what) \
    case n:           \
        what;         \
        break;
            EACH_OP(CASE)
        }
        /* So that the cases come together again before the next jump. */
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c));
    }
    *s = (struct state){ a, b, c };
}

/* What both have to do: the instruction that `means` says, by comparisons. */
static void by_compares(const unsigned char *code, const unsigned char *means, struct state *s)
{
    word a = s->a, b = s->b, c = s->c;
    for (int i = 0; i < CODE; i++) {
        int op = means ? means[code[i]] : code[i];
#define COMPARE(n, what) \
    if (op == n) {       \
        what;            \
    }
        EACH_OP(COMPARE)
    }
    *s = (struct state){ a, b, c };
}

static unsigned random_below(unsigned n)
{
    static unsigned random = 1;
    random = random * 1103515245 + 12345;
    return (random >> 16) % n;
}

static unsigned char code[CODE + 1];

static void make_code(unsigned ops)
{
    for (int n = 0; n < CODE; n++)
        code[n] = random_below(ops);
    code[CODE] = OPS;
}

static void test_labels(void)
{
    static void *labels[OPS + 1], *tables[3][OPS + 1];
    static unsigned char means[3][OPS];
    by_labels(NULL, labels, NULL);
    for (int t = 0; t < 3; t++) {
        memcpy(tables[t], labels, sizeof labels);
        for (int n = 0; n < OPS; n++)
            means[t][n] = n;
    }
    struct state one = { 1, 2, 3 }, other;
    make_code(8);
    for (int n = 0; n < WARM_UP; n++)
        by_labels(code, tables[0], &one);
    other = one;
    for (int round = 0; round < ROUNDS; round++) {
        int t = round % 3;
        make_code(round < ROUNDS / 2 ? 8 : OPS);
        if (round > ROUNDS / 4) {
            unsigned x = random_below(OPS), y = random_below(OPS);
            unsigned char was = means[t][x];
            means[t][x] = means[t][y];
            means[t][y] = was;
            tables[t][x] = labels[means[t][x]];
            tables[t][y] = labels[was];
        }
        by_labels(code, tables[t], &one);
        by_compares(code, means[t], &other);
        CHECK(memcmp(&one, &other, sizeof one) == 0);
    }
}

static void test_switch(void)
{
    struct state one = { 4, 5, 6 }, other;
    make_code(8);
    for (int n = 0; n < WARM_UP; n++)
        by_switch(code, CODE, &one);
    other = one;
    for (int round = 0; round < ROUNDS; round++) {
        make_code(round < ROUNDS / 2 ? OPS : 256);
        by_switch(code, CODE, &one);
        by_compares(code, NULL, &other);
        CHECK(memcmp(&one, &other, sizeof one) == 0);
    }
}

int main(void)
{
    test_labels();
    test_switch();
    DONE();
}
