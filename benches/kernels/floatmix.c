/* Single precision: arithmetic, square root, divide, min/max, compares, conversions to and from integers. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N 4096

static float v[N], w[N];

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 12000;
    uint32_t seed = 99;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        v[i] = (float)(int32_t)(seed >> 12) * 0.25f;
        w[i] = (float)(seed & 1023) + 1.0f;
    }
    uint32_t sum = 0;
    for (int round = 0; round < scale; round++) {
        float k = (float)(round & 15) + 0.5f;
        for (int i = 0; i < N; i++) {
            float a = v[i], b = w[i];
            float q = sqrtf(a) / b;
            float m = fmaxf(fminf(q, 200.0f), k);
            if (m > b)
                m -= b;
            int32_t t = (int32_t)m;
            m += (float)t;
            v[i] = a > 100000.0f ? a - 1.0f : a + k;
            sum = sum * 5 + (uint32_t)(int32_t)(m * 4.0f);
        }
    }
    printf("floatmix %08x\n", sum);
    return 0;
}
