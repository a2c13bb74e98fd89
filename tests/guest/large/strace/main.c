#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t tid;

static void *thread(void *name) {
  tid = gettid();
  write(1, name, 7);
  return 0;
}

static void handler(int signal) {
  (void)signal;
}

int main(void) {
  char buffer[16];
  int fds[2], status, fd = open("no/such/file", O_RDONLY | O_CLOEXEC);
  pipe(fds);
  write(fds[1], "piped\n\1", 7);
  read(fds[0], buffer, sizeof buffer);
  signal(SIGUSR1, handler);
  raise(SIGUSR1);
  pid_t child = fork();
  if (child == 0) {
    execl("/usr/bin/true", "true", "argument", (char *)0);
    _exit(1);
  }
  waitpid(child, &status, 0);
  pthread_t id;
  pthread_create(&id, 0, thread, "thread\n");
  pthread_join(id, 0);
  // It is there until strace has been told of its end, which would otherwise come into the line of the next call.
  while (syscall(SYS_tgkill, getpid(), tid, 0) == 0) usleep(1000);
  write(fd, "x", 1);
  return status + 3;
}
