#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct item {
  int number;
  const char *name;
  double weight;
  struct item *next;
};

static struct item last = {3, "three", 3.5, 0}, first = {1, "one", 1.25, &last};
static volatile long watched;

static int fact(int n) {
  return n < 2 ? 1 : n * fact(n - 1);
}

static void *thread(void *argument) {
  struct item *item = argument;
  watched += item->number;
  return 0;
}

int main(int count, char **arguments) {
  pthread_t id;
  int result = fact(5);
  watched = result;
  printf("%d %s\n", result, count > 1 ? arguments[1] : "-");
  fflush(stdout);
  pthread_create(&id, 0, thread, &first);
  pthread_join(id, 0);
  printf("%ld\n", watched);
  fflush(stdout);
  if (count > 2) *(volatile int *)16 = 1;
  return 4;
}
