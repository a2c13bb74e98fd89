/* Network interfaces, addresses and routes, asked for by ioctl and by netlink. A line is "WHAT: OUTCOME", compared with the native build. */
#include "guest.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static const char *error(void)
{
    static const struct {
        int number;
        const char *name;
    } names[] = { { ENODEV, "ENODEV" }, { EOPNOTSUPP, "EOPNOTSUPP" }, { EADDRNOTAVAIL, "EADDRNOTAVAIL" }, { ENOTTY, "ENOTTY" },
                  { EINVAL, "EINVAL" }, { EPERM, "EPERM" },           { ENXIO, "ENXIO" },                 { ENETUNREACH, "ENETUNREACH" },
                  { EPROTONOSUPPORT, "EPROTONOSUPPORT" }, { EAFNOSUPPORT, "EAFNOSUPPORT" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == errno)
            return names[i].name;
    return "another error";
}

static const char *text_of(const struct sockaddr *address)
{
    static char text[2][INET6_ADDRSTRLEN + 20];
    static int which;
    char *at = text[which = !which];
    if (!address)
        return "none";
    if (address->sa_family == AF_INET)
        return inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, at, sizeof *text);
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *long_one = (const void *)address;
        CHECK(inet_ntop(AF_INET6, &long_one->sin6_addr, at, sizeof *text) != NULL);
        sprintf(at + strlen(at), "%%%u", (unsigned)long_one->sin6_scope_id);
        return at;
    }
    sprintf(at, "of family %d", address->sa_family);
    return at;
}

static int channel;
static struct ifreq request;

/* Asks about the interface `name`, and starts the line of the answer, if there is one. */
static int ask(unsigned long number, const char *what, const char *name)
{
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, name);
    printf("%s of %s: ", what, name);
    if (ioctl(channel, number, &request) == 0)
        return 1;
    printf("%s\n", error());
    return 0;
}
#define ASK(number) ask(number, #number, name)

static void by_ioctl(const char *name)
{
    if (ASK(SIOCGIFFLAGS))
        printf("%x\n", (unsigned)(unsigned short)request.ifr_flags);
    if (ASK(SIOCGIFMTU))
        printf("%d\n", request.ifr_mtu);
    if (ASK(SIOCGIFMETRIC))
        printf("%d\n", request.ifr_metric);
    if (ASK(SIOCGIFTXQLEN))
        printf("%d\n", request.ifr_qlen);
    if (ASK(SIOCGIFADDR))
        printf("%s\n", text_of(&request.ifr_addr));
    if (ASK(SIOCGIFNETMASK))
        printf("%s\n", text_of(&request.ifr_netmask));
    if (ASK(SIOCGIFBRDADDR))
        printf("%s\n", text_of(&request.ifr_broadaddr));
    if (ASK(SIOCGIFHWADDR)) {
        unsigned char *hardware = (unsigned char *)request.ifr_hwaddr.sa_data;
        printf("%d %02x%02x%02x%02x%02x%02x\n", request.ifr_hwaddr.sa_family, hardware[0], hardware[1], hardware[2], hardware[3],
               hardware[4], hardware[5]);
    }
    if (ASK(SIOCGIFMAP)) {
        struct ifmap *map = &request.ifr_map;
        printf("%lx %lx %x %d %d %d\n", map->mem_start, map->mem_end, map->base_addr, map->irq, map->dma, map->port);
    }
    if (ASK(SIOCGMIIPHY)) {
        unsigned short phy;
        memcpy(&phy, &request.ifr_data, sizeof phy);
        printf("%d\n", phy);
    }
    if (ASK(SIOCGIFINDEX)) {
        int index = request.ifr_ifindex;
        printf("%d\n", index);
        memset(&request, 0, sizeof request);
        request.ifr_ifindex = index;
        CHECK(ioctl(channel, SIOCGIFNAME, &request) == 0 && !strcmp(request.ifr_name, name));
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, name);
    request.ifr_data = (char *)&driver;
    int known = ioctl(channel, SIOCETHTOOL, &request) == 0;
    printf("driver of %s: %s\n", name, known ? driver.driver : error());
#endif
}

/* Of the interfaces that have an address: into room for all, for one and a bit, and without room. */
static void list(void)
{
    struct ifreq room[64];
    struct ifconf all = { .ifc_len = sizeof room, .ifc_req = room };
    CHECK(ioctl(channel, SIOCGIFCONF, &all) == 0 && all.ifc_len % sizeof *room == 0);
    for (size_t i = 0; i < all.ifc_len / sizeof *room; i++)
        printf("listed %zu: %s %s\n", i, room[i].ifr_name, text_of(&room[i].ifr_addr));
    struct ifconf length = { .ifc_len = 0, .ifc_req = NULL };
    CHECK(ioctl(channel, SIOCGIFCONF, &length) == 0 && length.ifc_len == all.ifc_len);
    struct ifconf less = { .ifc_len = sizeof *room + sizeof *room / 2, .ifc_req = room };
    CHECK(ioctl(channel, SIOCGIFCONF, &less) == 0);
    CHECK(less.ifc_len == (int)(all.ifc_len ? sizeof *room : 0));
}

static void by_library(void)
{
    struct if_nameindex *names = if_nameindex();
    CHECK(names != NULL);
    for (struct if_nameindex *at = names; at && at->if_index; at++) {
        printf("name of %u: %s\n", at->if_index, at->if_name);
        by_ioctl(at->if_name);
    }
    struct ifaddrs *all = NULL;
    CHECK(getifaddrs(&all) == 0);
    int number = 0;
    for (struct ifaddrs *at = all; at; at = at->ifa_next)
        printf("address %d: %s %x %s / %s\n", number++, at->ifa_name, at->ifa_flags, text_of(at->ifa_addr), text_of(at->ifa_netmask));
}

/* Sends a request and prints what comes, up to the end. */
static void netlink(int type, const char *what)
{
    struct {
        struct nlmsghdr head;
        struct rtmsg route;
    } ask = { { sizeof ask, (uint16_t)type, NLM_F_REQUEST | NLM_F_DUMP, 4711, 0 }, { .rtm_family = AF_INET } };
    char answers[32768];
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK }, own;
    socklen_t size = sizeof own;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), number = 0;
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&kernel, sizeof kernel) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&own, &size) == 0 && size == sizeof own && own.nl_pid != 0 && own.nl_groups == 0);
    CHECK(sendto(fd, &ask, sizeof ask, 0, (struct sockaddr *)&kernel, sizeof kernel) == sizeof ask);
    for (;;) {
        struct sockaddr_nl from = { .nl_pid = 1 };
        struct iovec parts[2] = { { answers, 10 }, { answers + 10, sizeof answers - 10 } };
        struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = parts, .msg_iovlen = 2 };
        /* First a look at its length. */
        ssize_t length = recv(fd, answers, 1, MSG_PEEK | MSG_TRUNC), left = recvmsg(fd, &message, 0);
        CHECK(left > 0 && left == length && from.nl_family == AF_NETLINK && from.nl_pid == 0);
        if (left <= 0)
            return;
        for (struct nlmsghdr *at = (void *)answers; NLMSG_OK(at, (unsigned)left); at = NLMSG_NEXT(at, left)) {
            CHECK(at->nlmsg_seq == 4711 && at->nlmsg_pid == own.nl_pid);
            if (at->nlmsg_type == NLMSG_ERROR) {
                struct nlmsgerr *failure = NLMSG_DATA(at);
                errno = -failure->error;
                printf("%s: %s\n", what, error());
                CHECK(failure->msg.nlmsg_seq == 4711 && failure->msg.nlmsg_type == type);
            }
            if (at->nlmsg_type == NLMSG_ERROR || at->nlmsg_type == NLMSG_DONE) {
                CHECK(close(fd) == 0);
                return;
            }
            CHECK(at->nlmsg_type == RTM_NEWROUTE);
            struct rtmsg *route = NLMSG_DATA(at);
            printf("%s %d: to %d type %d", what, number++, route->rtm_dst_len, route->rtm_type);
            int space = (int)RTM_PAYLOAD(at);
            for (struct rtattr *part = RTM_RTA(route); RTA_OK(part, space); part = RTA_NEXT(part, space)) {
                uint32_t word;
                memcpy(&word, RTA_DATA(part), RTA_PAYLOAD(part) == 4 ? 4 : 0);
                if (part->rta_type == RTA_TABLE || part->rta_type == RTA_OIF || part->rta_type == RTA_PRIORITY)
                    printf(" %d=%u", part->rta_type, (unsigned)word);
                if (part->rta_type == RTA_DST || part->rta_type == RTA_GATEWAY)
                    printf(" %d=%08x", part->rta_type, (unsigned)ntohl(word));
            }
            printf("\n");
        }
    }
}

/* The interface of a local address is a number in the machine's order. */
static void scopes(void)
{
    struct sockaddr_in6 peer = { .sin6_family = AF_INET6, .sin6_port = htons(9) }, found;
    socklen_t size = sizeof found;
    CHECK(inet_pton(AF_INET6, "fe80::1234", &peer.sin6_addr) == 1);
    peer.sin6_scope_id = if_nametoindex("lo");
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    printf("scope: ");
    if (fd >= 0 && connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0 && getpeername(fd, (struct sockaddr *)&found, &size) == 0)
        printf("%s\n", text_of((struct sockaddr *)&found));
    else
        printf("%s\n", error());
}

int main(void)
{
    channel = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    by_library();
    by_ioctl("nowhere");
    list();
    netlink(RTM_GETROUTE, "route");
    netlink(999, "unknown");
    scopes();
    printf("failures: %d\n", failures);
    return failures ? 99 : 0;
}
