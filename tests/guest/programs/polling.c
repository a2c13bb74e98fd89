/* poll, select, epoll, eventfd, timerfd, signalfd, inotify. */
#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

int main(void)
{
    int a[2], b[2];
    char c;
    uint64_t n;
    CHECK(pipe(a) == 0 && pipe(b) == 0);
    struct pollfd fds[3] = { { .fd = a[0], .events = POLLIN }, { .fd = b[0], .events = POLLIN }, { .fd = b[1], .events = POLLOUT } };
    CHECK(poll(fds, 2, 0) == 0 && poll(fds, 2, 10) == 0);
    CHECK(poll(fds, 3, -1) == 1 && fds[2].revents == POLLOUT);
    CHECK(write(b[1], "x", 1) == 1 && poll(fds, 2, 1000) == 1 && fds[1].revents == POLLIN && fds[0].revents == 0);
    close(a[1]);
    CHECK(poll(fds, 2, 1000) == 2 && fds[0].revents == POLLHUP);
    fds[0].fd = 99;
    CHECK(poll(fds, 1, 0) == 1 && fds[0].revents == POLLNVAL);
    CHECK(ppoll(fds + 1, 1, &(struct timespec){ 1, 0 }, NULL) == 1);
    printf("poll\n");

    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(b[0], &in);
    FD_SET(b[1], &out);
    CHECK(select(b[1] + 1, &in, &out, NULL, NULL) == 2 && FD_ISSET(b[0], &in) && FD_ISSET(b[1], &out));
    CHECK(read(b[0], &c, 1) == 1);
    FD_ZERO(&in);
    FD_SET(b[0], &in);
    struct timeval short_time = { 0, 10000 };
    CHECK(select(b[0] + 1, &in, NULL, NULL, &short_time) == 0 && !FD_ISSET(b[0], &in));
    /* Below 64: the kernel looks at no descriptor past the size of the process's table, which is that at least. */
    FD_SET(60, &in);
    CHECK(select(61, &in, NULL, NULL, &short_time) == -1 && errno == EBADF);
    sigset_t mask;
    sigemptyset(&mask);
    FD_ZERO(&in);
    CHECK(pselect(0, &in, NULL, NULL, &(struct timespec){ 0, 1000000 }, &mask) == 0);
    printf("select\n");

    int ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(3, EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x1122334455667788 }, events[8];
    CHECK(ep >= 0 && ev >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, ev, &event) == 0);
    event.data.fd = b[0];
    event.events = EPOLLIN | EPOLLET;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, b[0], &event) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, b[0], &event) == -1 && errno == EEXIST);
    CHECK(epoll_wait(ep, events, 8, 1000) == 1 && events[0].data.u64 == 0x1122334455667788 && events[0].events == EPOLLIN);
    CHECK(read(ev, &n, 8) == 8 && n == 3 && read(ev, &n, 8) == -1 && errno == EAGAIN);
    CHECK(epoll_wait(ep, events, 8, 0) == 0);
    n = 5;
    CHECK(write(ev, &n, 8) == 8 && write(ev, &n, 8) == 8 && write(b[1], "yz", 2) == 2);
    CHECK(epoll_wait(ep, events, 8, 1000) == 2 && epoll_pwait(ep, events, 8, 1000, NULL) == 1); /* edge: once */
    CHECK(read(ev, &n, 8) == 8 && n == 10);
    CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, ev, NULL) == 0 && epoll_ctl(ep, EPOLL_CTL_DEL, ev, NULL) == -1 && errno == ENOENT);
    int semaphore = eventfd(2, EFD_SEMAPHORE);
    CHECK(read(semaphore, &n, 8) == 8 && n == 1 && read(semaphore, &n, 8) == 8 && n == 1);
    printf("epoll and eventfd\n");

    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec spec = { { 0, 5000000 }, { 0, 5000000 } }, current;
    CHECK(timer >= 0 && timerfd_settime(timer, 0, &spec, NULL) == 0 && timerfd_gettime(timer, &current) == 0);
    CHECK(current.it_interval.tv_nsec == 5000000 && current.it_value.tv_nsec <= 5000000);
    usleep(30000);
    CHECK(read(timer, &n, 8) == 8 && n >= 5);
    printf("timerfd\n");

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int sig = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo info;
    CHECK(sig >= 0 && read(sig, &info, sizeof info) == -1 && errno == EAGAIN);
    kill(getpid(), SIGUSR1);
    CHECK(read(sig, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1 && info.ssi_pid == (uint32_t)getpid());
    pid_t pid = fork();
    if (pid == 0)
        _exit(4);
    struct pollfd p = { .fd = sig, .events = POLLIN };
    CHECK(poll(&p, 1, 5000) == 1 && read(sig, &info, sizeof info) == sizeof info);
    CHECK(info.ssi_signo == SIGCHLD && info.ssi_status == 4 && info.ssi_pid == (uint32_t)pid && waitpid(pid, NULL, 0) == pid);
    printf("signalfd\n");

    int watch = inotify_init1(IN_NONBLOCK);
    CHECK(watch >= 0 && inotify_add_watch(watch, ".", IN_CREATE | IN_DELETE) >= 0);
    close(open("polling-file", O_CREAT | O_WRONLY, 0600));
    unlink("polling-file");
    char buffer[512] __attribute__((aligned(8)));
    struct inotify_event *first = (struct inotify_event *)buffer;
    CHECK(read(watch, buffer, sizeof buffer) >= 2 * (ssize_t)sizeof *first);
    CHECK(first->mask == IN_CREATE && !strcmp(first->name, "polling-file"));
    printf("inotify\n");
    DONE();
}
