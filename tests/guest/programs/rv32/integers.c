/* RV32 integer instructions, 64-bit arithmetic in pairs, the corner cases of division, atomics, fence.i, CSRs. */
#include "bare.h"

static uint64_t state = 0x123456789abcdef;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state & 0x100000 ? state : (uint64_t)(int32_t)state;
}

#define ASM(operation, a, b) ({ uint32_t r_; __asm__ volatile(operation " %0, %1, %2" : "=r"(r_) : "r"(a), "r"(b)); r_; })

int main(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t a = next(), b = next() | 1;
        uint32_t wa = (uint32_t)a, wb = (uint32_t)b;
        sum = sum * 31 + (a + b) + (a - b) * 3 + a * b + (a << (b & 63)) + (a >> (b & 63)) + (uint64_t)((int64_t)a >> (b & 31));
        sum = sum * 31 + a / b + a % b + (uint64_t)((int64_t)a / (int64_t)(b | 2)) + wa / wb + wa % wb;
        sum = sum * 31 + ASM("mulh", wa, wb) + ASM("mulhu", wa, wb) + ASM("mulhsu", wa, wb) + ASM("slt", wa, wb) + ASM("sltu", wa, wb);
        sum = sum * 31 + ASM("sll", wa, wb) + ASM("srl", wa, wb) + ASM("sra", wa, wb) + ASM("div", wa, wb) + ASM("rem", wa, wb);
    }
    put_hex("sum", sum);
    uint32_t min = 0x80000000u, minus = ~0u;
    put_hex("div by zero", ASM("div", 5, 0));
    put_hex("divu by zero", ASM("divu", 5, 0));
    put_hex("rem by zero", ASM("rem", 5, 0));
    put_hex("remu by zero", ASM("remu", 5, 0));
    put_hex("div overflow", ASM("div", min, minus));
    put_hex("rem overflow", ASM("rem", min, minus));

    static uint32_t word;
    for (int i = 0; i < 1000; i++) {
        __atomic_fetch_add(&word, 7, __ATOMIC_SEQ_CST);
        __atomic_fetch_xor(&word, 0x80000001u, __ATOMIC_ACQUIRE);
        uint32_t expected = word;
        if (!__atomic_compare_exchange_n(&word, &expected, expected * 3, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            put("cas failed\n");
    }
    put_hex("atomics", word);
    uint32_t r;
    word = 0xfffffff0;
    __asm__ volatile("amomax.w %0, %2, %1" : "=r"(r), "+A"(word) : "r"(5));
    put_hex("amomax", word);
    __asm__ volatile("amominu.w %0, %2, %1" : "=r"(r), "+A"(word) : "r"(3));
    put_hex("amominu", word);

    uint32_t *page = (uint32_t *)linux_syscall(0, 4096, 7, 0x22, -1, 0, 222); /* mmap, read write execute, private anonymous */
    uint32_t total = 0;
    for (uint32_t i = 0; i < 500; i++) {
        page[0] = 0x00050513 | i << 20; /* addi a0, a0, i */
        page[1] = 0x00008067;           /* ret */
        __asm__ volatile("fence.i" ::: "memory");
        total += ((uint32_t(*)(uint32_t))page)(1);
    }
    put_hex("rewritten", total);
    uint32_t t0, t1, h0, h1;
    do
        __asm__ volatile("rdtimeh %0\n rdtime %1\n rdtimeh %2" : "=r"(h0), "=r"(t0), "=r"(h1));
    while (h0 != h1);
    __asm__ volatile("rdtime %0" : "=r"(t1));
    put(t1 - t0 < 0x80000000u ? "time goes on\n" : "time goes back\n");
    return 0;
}
