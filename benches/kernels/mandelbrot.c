/* Mandelbrot set: double arithmetic and compares in a short loop. */
#include <stdio.h>
#include <stdlib.h>

#define SIZE 400
#define LIMIT 200

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 20;
    unsigned long sum = 0;
    for (int round = 0; round < scale; round++) {
        for (int py = 0; py < SIZE; py++)
            for (int px = 0; px < SIZE; px++) {
                double cx = px * (3.0 / SIZE) - 2.0, cy = py * (2.4 / SIZE) - 1.2 + round * 1e-4;
                double x = 0, y = 0;
                int n = 0;
                while (n < LIMIT && x * x + y * y <= 4.0) {
                    double t = x * x - y * y + cx;
                    y = 2 * x * y + cy;
                    x = t;
                    n++;
                }
                sum += (unsigned long)n;
            }
    }
    printf("mandelbrot %lu\n", sum);
    return 0;
}
