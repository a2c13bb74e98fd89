/* Integer matrix product: three nested loops, strided loads. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N 256

static int32_t a[N][N], b[N][N], c[N][N];

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 75;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = i * 7 - j;
            b[i][j] = i ^ (j * 3);
        }
    uint32_t sum = 0;
    for (int round = 0; round < scale; round++) {
        a[round % N][0] += round;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                uint32_t s = 0;
                for (int k = 0; k < N; k++)
                    s += (uint32_t)a[i][k] * (uint32_t)b[k][j];
                c[i][j] = (int32_t)s;
            }
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                sum = sum * 31 + (uint32_t)c[i][j];
    }
    printf("matmul_int %08x\n", sum);
    return 0;
}
