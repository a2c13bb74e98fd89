#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static volatile int stop;
static void *work(void *p) { long n = 0; while (!stop) n++; printf("worker %ld\n", (long)p); return p; }
int main(void) { pthread_t t[3]; for (long i = 0; i < 3; i++) pthread_create(&t[i], 0, work, (void *)i); usleep(300000); stop = 1; for (int i = 0; i < 3; i++) pthread_join(t[i], 0); puts("joined"); return 0; }
