/* Double matrix product. All values are small integers, so the sum is exact with and without fused multiply-add. */
#include <stdio.h>
#include <stdlib.h>

#define N 256

static double a[N][N], b[N][N], c[N][N];

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 30;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (i * 7 - j) % 61;
            b[i][j] = (i + j * 3) % 53;
        }
    double sum = 0;
    for (int round = 0; round < scale; round++) {
        a[round % N][0] += 1;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double s = 0;
                for (int k = 0; k < N; k++)
                    s += a[i][k] * b[k][j];
                c[i][j] = s;
            }
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                sum += c[i][j] * (i - j);
    }
    printf("matmul_double %.0f\n", sum);
    return 0;
}
