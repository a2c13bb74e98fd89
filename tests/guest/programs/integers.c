/* Integer arithmetic of every width, against itself and printed as checksums. */
#include "guest.h"

static uint64_t state = 0x123456789abcdef;

static uint64_t next(void)
{
    static const uint64_t special[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                                        0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff };
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    uint64_t kind = state >> 60;
    return kind < 4 ? special[state & 15] : kind < 8 ? (uint64_t)(int32_t)state : state * 0x9e3779b97f4a7c15;
}

static uint64_t sums[24];
static void mix(int i, uint64_t x) { sums[i] = (sums[i] << 5 | sums[i] >> 59) ^ x; }

#ifdef __SIZEOF_INT128__
static uint64_t high_product(uint64_t a, uint64_t b) { return (uint64_t)((unsigned __int128)a * b >> 64); }
static uint64_t high_product_signed(int64_t a, int64_t b) { return (uint64_t)((__int128)a * b >> 64); }
#else
static uint64_t high_product(uint64_t a, uint64_t b)
{
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t middle = (al * bl >> 32) + (uint32_t)(ah * bl) + (uint32_t)(al * bh);
    return ah * bh + (ah * bl >> 32) + (al * bh >> 32) + (middle >> 32);
}
static uint64_t high_product_signed(int64_t a, int64_t b)
{
    return high_product((uint64_t)a, (uint64_t)b) - (a < 0 ? (uint64_t)b : 0) - (b < 0 ? (uint64_t)a : 0);
}
#endif

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LITTLE16(x) __builtin_bswap16(x)
#define LITTLE32(x) __builtin_bswap32(x)
#define LITTLE64(x) __builtin_bswap64(x)
#else
#define LITTLE16(x) (x)
#define LITTLE32(x) (x)
#define LITTLE64(x) (x)
#endif

int main(void)
{
    for (int i = 0; i < 200000; i++) {
        uint64_t a = next(), b = next();
        int64_t sa = (int64_t)a, sb = (int64_t)b;
        uint32_t wa = (uint32_t)a, wb = (uint32_t)b;
        int32_t swa = (int32_t)wa, swb = (int32_t)wb;
        mix(0, a + b);
        mix(1, a - b);
        mix(2, a * b);
        mix(3, (a & b) ^ (a | ~b));
        mix(4, a << (b & 63) ^ a >> (b >> 8 & 63));
        mix(5, (uint64_t)(sa >> (b & 63)));
        mix(6, (uint64_t)(int64_t)(int32_t)(wa + wb));
        mix(7, (uint64_t)(int64_t)(int32_t)(wa << (wb & 31)));
        mix(8, (uint64_t)(int64_t)(swa >> (wb & 31)) ^ wa >> (wb >> 5 & 31));
        mix(9, (uint64_t)(a < b) | (uint64_t)(sa < sb) << 1 | (uint64_t)(wa < wb) << 2 | (uint64_t)(swa < swb) << 3);
        if (b) {
            mix(10, a / b);
            mix(11, a % b);
            if (sb != -1) {
                mix(12, (uint64_t)(sa / sb));
                mix(13, (uint64_t)(sa % sb));
            }
        }
        if (wb) {
            mix(14, wa / wb);
            mix(15, wa % wb);
            if (swb != -1)
                mix(16, (uint64_t)(int64_t)(swa / swb) ^ (uint64_t)(int64_t)(swa % swb) << 7);
        }
        mix(17, (uint64_t)swa * (uint64_t)(int64_t)swb ^ (uint64_t)wa * wb);
        mix(18, high_product(a, b));
        mix(19, high_product_signed(sa, sb));
        mix(20, (uint64_t)(sa < 0 ? -(a >> 1) : a) ^ (uint64_t)(int64_t)(wa > wb ? swa : swb)); /* selects */
        mix(21, __builtin_bswap64(a) ^ __builtin_bswap32(wb) ^ (uint64_t)__builtin_popcountll(a));
        mix(22, a && wb ? (uint64_t)__builtin_clzll(a) * 64 + (uint64_t)__builtin_ctz(wb) : 0);
        mix(23, (uint64_t)(int64_t)(int8_t)a ^ (uint64_t)(int64_t)(int16_t)b ^ (uint8_t)b ^ (uint16_t)a);
    }
    for (int i = 0; i < 24; i++) {
        printf("%d %016llx\n", i, (unsigned long long)sums[i]);
    }

    /* Every alignment and width of loads and stores. */
    unsigned char bytes[32];
    uint64_t sum = 0;
    for (int at = 0; at < 16; at++) {
        for (int i = 0; i < 32; i++)
            bytes[i] = (unsigned char)(i * 37 + at);
        uint16_t h;
        uint32_t w;
        uint64_t d;
        memcpy(&h, bytes + at, 2);
        memcpy(&w, bytes + at + 1, 4);
        memcpy(&d, bytes + at + 2, 8);
        d = LITTLE64(LITTLE64(d) + (LITTLE32(w) + LITTLE16(h)));
        memcpy(bytes + (at ^ 5), &d, 8);
        sum = sum * 31 + bytes[at];
    }
    printf("unaligned %llu\n", (unsigned long long)sum);
    DONE();
}
