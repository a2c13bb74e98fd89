/* Sockets: pairs, unix and loopback streams and datagrams, passed descriptors, options. */
#include "guest.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
    int pair[2];
    char buffer[200];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(send(pair[0], "hello", 5, 0) == 5 && recv(pair[1], buffer, 3, MSG_PEEK) == 3 && recv(pair[1], buffer, 100, 0) == 5);
    CHECK(recv(pair[1], buffer, 100, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    CHECK(shutdown(pair[0], SHUT_WR) == 0 && recv(pair[1], buffer, 100, 0) == 0);
    close(pair[1]);
    CHECK(send(pair[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    close(pair[0]);

    /* A descriptor and credentials, passed with vectors of data. */
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    int one = 1, passed = open("/dev/zero", O_RDONLY);
    CHECK(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one) == 0);
    struct iovec parts[2] = { { "ab", 2 }, { "cde", 3 } };
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { .bytes = { 0 } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed, sizeof passed);
    CHECK(sendmsg(pair[0], &message, 0) == 5);
    close(passed);
    char space[256] __attribute__((aligned(8)));
    struct iovec into = { buffer, sizeof buffer };
    struct msghdr got = { .msg_iov = &into, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
    CHECK(recvmsg(pair[1], &got, MSG_CMSG_CLOEXEC) == 5 && !memcmp(buffer, "abcde", 5));
    int received = -1, credentials = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&got); h; h = CMSG_NXTHDR(&got, h)) {
        if (h->cmsg_type == SCM_RIGHTS)
            memcpy(&received, CMSG_DATA(h), sizeof received);
        if (h->cmsg_type == SCM_CREDENTIALS) {
            struct ucred cred;
            memcpy(&cred, CMSG_DATA(h), sizeof cred);
            credentials = cred.pid == getpid() && cred.uid == getuid();
        }
    }
    CHECK(credentials && received >= 0 && read(received, buffer, 10) == 10 && buffer[9] == 0 && fcntl(received, F_GETFD) == FD_CLOEXEC);
    printf("pair\n");

    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "sockets-unix" }, peer;
    socklen_t length = sizeof peer;
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(server, (void *)&un, sizeof un) == 0 && listen(server, 5) == 0);
    CHECK(getsockname(server, (void *)&peer, &length) == 0 && !strcmp(peer.sun_path, "sockets-unix"));
    if (fork() == 0) {
        int s = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(connect(s, (void *)&un, sizeof un) || write(s, "unix!", 5) != 5);
    }
    int connection = accept(server, NULL, NULL), status;
    CHECK(connection >= 0 && recv(connection, buffer, 5, MSG_WAITALL) == 5 && !memcmp(buffer, "unix!", 5));
    CHECK(wait(&status) > 0 && status == 0 && unlink("sockets-unix") == 0);
    printf("unix\n");

    for (int family = AF_INET;; family = AF_INET6) {
        struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        struct sockaddr *address = family == AF_INET ? (void *)&in4 : (void *)&in6;
        length = family == AF_INET ? sizeof in4 : sizeof in6;
        server = socket(family, SOCK_STREAM, 0);
        if (family == AF_INET6 && (server < 0 || bind(server, address, length)))
            break; /* no IPv6 on this host */
        CHECK(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
        CHECK((family == AF_INET6 || bind(server, address, length) == 0) && listen(server, 5) == 0);
        CHECK(getsockname(server, address, &length) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            int s = socket(family, SOCK_STREAM, 0);
            setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            if (connect(s, address, length))
                _exit(1);
            for (int i = 0; i < 100; i++) {
                int x = i, y = 0;
                if (write(s, &x, 4) != 4 || recv(s, &y, 4, MSG_WAITALL) != 4 || y != i * i)
                    _exit(2);
            }
            _exit(0);
        }
        struct sockaddr_storage from;
        socklen_t from_length = sizeof from;
        connection = accept4(server, (void *)&from, &from_length, SOCK_CLOEXEC);
        CHECK(connection >= 0 && from.ss_family == family && from_length == length);
        for (int i = 0; i < 100; i++) {
            int x = 0;
            CHECK(recv(connection, &x, 4, MSG_WAITALL) == 4);
            x *= x;
            CHECK(send(connection, &x, 4, 0) == 4);
        }
        CHECK(recv(connection, buffer, 1, 0) == 0 && waitpid(pid, &status, 0) == pid && status == 0);
        int type = 0;
        socklen_t option = sizeof type;
        CHECK(getsockopt(connection, SOL_SOCKET, SO_TYPE, &type, &option) == 0 && type == SOCK_STREAM && option == sizeof type);
        close(connection);
        close(server);
        if (family == AF_INET6)
            break;
    }
    printf("stream\n");

    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, source;
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    length = sizeof to;
    CHECK(bind(b, (void *)&to, sizeof to) == 0 && getsockname(b, (void *)&to, &length) == 0);
    int ttl = 7, read_ttl = 0;
    socklen_t ttl_length = sizeof read_ttl;
    CHECK(setsockopt(a, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl) == 0);
    CHECK(getsockopt(a, IPPROTO_IP, IP_TTL, &read_ttl, &ttl_length) == 0 && read_ttl == 7);
    CHECK(sendto(a, "datagram", 8, 0, (void *)&to, sizeof to) == 8);
    struct pollfd p = { .fd = b, .events = POLLIN };
    length = sizeof source;
    CHECK(poll(&p, 1, 5000) == 1 && recvfrom(b, buffer, 4, MSG_TRUNC, (void *)&source, &length) == 8);
    CHECK(source.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && recv(b, buffer, 4, 0) == -1 && errno == EAGAIN);
    struct timeval timeout = { 0, 10000 };
    CHECK(setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0);
    CHECK(connect(a, (void *)&to, sizeof to) == 0 && recv(a, buffer, 1, 0) == -1 && errno == EAGAIN);
    struct mmsghdr many[2] = { { .msg_hdr = { .msg_iov = &parts[0], .msg_iovlen = 1 } }, { .msg_hdr = { .msg_iov = &parts[1], .msg_iovlen = 1 } } };
    CHECK(sendmmsg(a, many, 2, 0) == 2 && many[0].msg_len == 2 && many[1].msg_len == 3);
    printf("datagram\n");
    CHECK(connect(a, (void *)&to, 3) == -1 && errno == EINVAL);
    CHECK(socket(9999, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT);
    DONE();
}
