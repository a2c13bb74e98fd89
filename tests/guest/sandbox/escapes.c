/* Tries to get out of the sandbox: a line for each attempt, its name and how it ended (an error, a signal, or what it got).
 *
 *     escapes GROUP READ WRITE OUTSIDE PID PORT
 *
 * READ and WRITE are directories that may be read and written; READ has "file" and "host", a program of the host's. OUTSIDE is one that
 * may not be seen, with "secret" and a listening local socket "socket". PID is a process that is no business of ours, PORT a TCP port
 * where somebody listens. tests/sandbox.rs starts it, and knows what has to come out. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *readable, *writable, *outside;
static int victim, port;

/* READ/x, WRITE/x, OUTSIDE/x. Each call has room of its own. */
static char *in(const char *directory, const char *name) {
  char *path = malloc(4096);
  snprintf(path, 4096, "%s/%s", directory, name);
  return path;
}
#define R(name) in(readable, name)
#define W(name) in(writable, name)
#define O(name) in(outside, name)

static void tell(const char *name, long result) {
  printf("%s %s\n", name, result >= 0 ? "done" : strerrorname_np(errno));
  fflush(stdout);
}

/* The number of a call by its name; -1 for one that this kind of machine has not. */
#define CALL(name, ...) tell(#name, syscall(SYS_##name, ##__VA_ARGS__))

static int connect_local(const char *path, int abstract, int kind) {
  struct sockaddr_un where = {.sun_family = AF_UNIX};
  strcpy(where.sun_path + abstract, path);
  return connect(socket(AF_UNIX, kind, 0), (void *)&where, 2 + abstract + strlen(path));
}

static void files(void) {
  char text[64];
  tell("open outside", open(O("secret"), O_RDONLY));
  tell("open outside for its path", open(O("secret"), O_PATH));
  tell("open by ..", open(R("../outside/secret"), O_RDONLY));
  tell("stat outside", access(O("secret"), F_OK));
  tell("stat what is not there", access(O("nothing"), F_OK));
  tell("stat below a file outside", access(O("secret/x"), F_OK));
  tell("chdir outside", chdir(outside));
  unlink(W("link"));
  tell("make a link", symlink(O("secret"), W("link")));
  tell("open by a link", open(W("link"), O_RDONLY));
  tell("write by a link", open(W("link"), O_WRONLY | O_CREAT, 0600));
  symlink(O("new"), W("dangling"));
  tell("create by a link", open(W("dangling"), O_WRONLY | O_CREAT, 0600));
  symlink("/", W("root"));
  tell("open by a link to a directory", open(in(W("root"), O("secret") + 1), O_RDONLY));
  tell("list by a link", open(in(W("root"), outside + 1), O_RDONLY | O_DIRECTORY));
  tell("create outside", open(O("new"), O_WRONLY | O_CREAT, 0600));
  tell("mkdir outside", mkdir(O("new"), 0700));
  tell("unlink outside", unlink(O("secret")));

  tell("read what is readable", open(R("file"), O_RDONLY));
  tell("write what is readable", open(R("file"), O_WRONLY));
  tell("create where is readable", open(R("new"), O_WRONLY | O_CREAT, 0600));
  tell("truncate", truncate(R("file"), 0));
  tell("open and truncate", open(R("file"), O_RDONLY | O_TRUNC));
  tell("chmod", chmod(R("file"), 0777));
  tell("chown", chown(R("file"), 1, 1));
  tell("unlink", unlink(R("file")));
  tell("set times", utimes(R("file"), NULL));
  int fd = open(R("file"), O_RDONLY);
  tell("fchmod", fchmod(fd, 0777));
  tell("fchown", fchown(fd, 1, 1));
  tell("set times by descriptor", futimens(fd, NULL));
  tell("chmod by descriptor's name", chmod(in("/proc/self/fd", (sprintf(text, "%d", fd), text)), 0777));
  tell("reopen for writing", open(in("/proc/self/fd", text), O_RDWR));
  tell("reopen by another name", open(in("/dev/fd", text), O_RDWR));
  tell("set flags", ioctl(fd, _IOW('f', 2, long), &(int){0}));

  tell("write what is writable", open(W("mine"), O_RDWR | O_CREAT, 0600));
  tell("hard link in", link(R("file"), W("hard")));
  tell("hard link by descriptor", linkat(AT_FDCWD, in("/proc/self/fd", text), AT_FDCWD, W("hard"), AT_SYMLINK_FOLLOW));
  tell("hard link out", link(W("mine"), O("hard")));
  tell("rename in", rename(R("file"), W("renamed")));
  tell("rename out", rename(W("mine"), O("renamed")));
  tell("make a device", mknod(W("device"), S_IFCHR | 0600, 1 << 8 | 1));

  /* Calls that take no directory, on what is not there, with another file of that name where we are. */
  if (chdir(readable) == 0) {
    tell("truncate what is not there", truncate(W("file"), 0));
    tell("attribute of what is not there", setxattr(W("file"), "user.x", "y", 1, 0));
    tell("attribute of a link that is not there", lsetxattr(W("file"), "user.x", "y", 1, 0));
    tell("socket that is not there", connect_local(W("file"), 0, SOCK_STREAM));
    tell("attributes of a link", llistxattr(W("link"), NULL, 0));
  }

  int directory = open(readable, O_RDONLY | O_DIRECTORY);
  tell("openat by ..", openat(directory, "../outside/secret", O_RDONLY));
  tell("openat absolute", openat(directory, O("secret"), O_RDONLY));
  uint64_t how[3] = {O_RDONLY, 0, 0};
  tell("openat2", syscall(SYS_openat2, directory, "../outside/secret", how, sizeof how));
  how[2] = 0x02; /* RESOLVE_NO_MAGICLINKS */
  tell("openat2 with restrictions", syscall(SYS_openat2, AT_FDCWD, O("secret"), how, sizeof how));
  tell("execute what is not readable", execl(O("secret"), "x", NULL));
  tell("inherited descriptor", read(9, text, 1));
  tell("chroot", chroot(readable));
  struct { unsigned bytes; int type; unsigned char handle[128]; } handle = {.bytes = 128};
  int mount;
  tell("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, R("file"), &handle, &mount, 0));
  tell("open_by_handle_at", syscall(SYS_open_by_handle_at, directory, &handle, O_RDONLY));
}

/* The same race in many rounds: a name that leads in when it is looked at and out when it is used. */
static void race(void) {
  symlink(R("file"), W("swap-in"));
  symlink(O("secret"), W("swap-out"));
  symlink(R("file"), W("swap"));
  pid_t swapper = fork();
  for (int i = 0; swapper == 0; i++) {
    unlink(W("next"));
    symlink(i & 1 ? O("secret") : R("file"), W("next"));
    rename(W("next"), W("swap"));
  }
  const char *result = "kept in";
  for (int i = 0; i < 1500; i++) {
    char text[8] = {0};
    int fd = open(W("swap"), O_RDONLY);
    if (fd >= 0) {
      if (read(fd, text, 6) != 6 || strcmp(text, "public")) result = text[0] ? "read the secret" : "read something";
      close(fd);
    }
    struct stat st;
    if (stat(W("swap"), &st) == 0 && st.st_size != 6) result = "saw the secret";
    if (chmod(W("swap"), 0611) == 0) result = "changed what is not writable";
  }
  kill(swapper, SIGKILL);
  waitpid(swapper, NULL, 0);
  printf("race %s\n", result);
}

static void proc(void) {
  char text[64];
  tell("own memory", open("/proc/self/mem", O_RDWR));
  tell("own memory by number", open((sprintf(text, "/proc/%d/mem", getpid()), text), O_RDONLY));
  tell("own memory by thread", open((sprintf(text, "/proc/self/task/%d/mem", getpid()), text), O_RDWR));
  int directory = open("/proc/self", O_RDONLY | O_DIRECTORY);
  tell("own directory", directory);
  tell("own memory by directory", openat(directory, "mem", O_RDWR));
  tell("own map by directory", openat(directory, "maps", O_RDONLY));
  tell("own memory by ..", open("/proc/self/fd/../mem", O_RDWR));
  symlink("/proc/self/mem", W("memory"));
  tell("own memory by a link", open(W("memory"), O_RDWR));
  tell("mapped files", open("/proc/self/map_files", O_RDONLY | O_DIRECTORY));
  tell("own pagemap", open("/proc/self/pagemap", O_RDONLY));
  tell("root", open(in("/proc/self/root", O("secret")), O_RDONLY));
  tell("parent's memory", open((sprintf(text, "/proc/%d/mem", getppid()), text), O_RDWR));
  tell("another's environment", open((sprintf(text, "/proc/%d/environ", victim), text), O_RDONLY));
  tell("another's root", open((sprintf(text, "/proc/%d/root", victim), text), O_RDONLY));
  tell("own name", open("/proc/self/comm", O_WRONLY));
  tell("all processes", open("/proc", O_RDONLY | O_DIRECTORY));
  tell("kernel settings", open("/proc/sys/kernel/core_pattern", O_WRONLY));
  tell("kernel memory", open("/proc/kcore", O_RDONLY));
  tell("a device", open("/dev/mem", O_RDWR));
  /* Made for the guest: no line of it is of a file that is not the guest's, or at a host's address. */
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  int strange = maps == NULL;
  while (maps && fgets(line, sizeof line, maps)) strange |= strstr(line, "emu") != NULL || strtoull(line, NULL, 16) >> 40;
  printf("own map %s\n", strange ? "shows the emulator" : "is the guest's");
}

static void programs(void) {
  char *const none[] = {"x", NULL};
  tell("a program of the host", execve("/bin/true", none, none + 1));
  tell("a readable program of the host", execve(R("host"), none, none + 1));
  int fd = open(R("host"), O_RDONLY);
  tell("a program by descriptor", syscall(SYS_execveat, fd, "", none, none + 1, AT_EMPTY_PATH));
  int script = open(W("script"), O_WRONLY | O_CREAT | O_TRUNC, 0700);
  dprintf(script, "#!%s\n", R("host"));
  close(script);
  tell("a script for it", execve(W("script"), none, none + 1));
  script = open(W("script"), O_WRONLY | O_TRUNC);
  dprintf(script, "#!/bin/sh\necho out\n");
  close(script);
  tell("a script for the host's shell", execve(W("script"), none, none + 1));
  printf("no new privileges %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void processes(void) {
  CALL(kill, victim, 0);
  tell("kill its group", syscall(SYS_kill, -victim, SIGTERM));
  tell("kill everybody", syscall(SYS_kill, -1, SIGTERM));
  CALL(tkill, victim, SIGTERM);
  CALL(tgkill, victim, victim, SIGTERM);
  siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};
  CALL(rt_sigqueueinfo, victim, SIGTERM, &info);
  CALL(pidfd_open, victim, 0);
  CALL(ptrace, 16 /* PTRACE_ATTACH */, victim, 0, 0);
  tell("ptrace parent", syscall(SYS_ptrace, 16, getppid(), 0, 0));
  char text[8] = "text";
  struct iovec local = {text, sizeof text}, remote = {text, sizeof text};
  CALL(process_vm_readv, victim, &local, 1, &remote, 1, 0);
  CALL(process_vm_writev, victim, &local, 1, &remote, 1, 0);
  tell("write to own memory", syscall(SYS_process_vm_writev, getpid(), &local, 1, &remote, 1, 0));
  tell("write to parent", syscall(SYS_process_vm_writev, getppid(), &local, 1, &remote, 1, 0));
  int pair[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  tell("own a descriptor", fcntl(pair[0], F_SETOWN, victim));
  CALL(prlimit64, victim, 7, NULL, (uint64_t[2]){0});
  CALL(setpriority, 0 /* PRIO_PROCESS */, victim, 19);
  tell("priority of a user", syscall(SYS_setpriority, 2 /* PRIO_USER */, getuid() + 1, 19));
  CALL(sched_setaffinity, victim, 8, (uint64_t[1]){1});
  pid_t child = fork();
  if (child == 0) pause();
  tell("kill a child", kill(child, SIGTERM));
  waitpid(child, NULL, 0);
}

static void kernel(void) {
  char zero[256] = {0};
  CALL(io_uring_setup, 4, zero);
  CALL(bpf, 0, zero, sizeof zero);
  CALL(perf_event_open, zero, 0, -1, -1, 0);
  CALL(userfaultfd, 0);
  CALL(keyctl, 0, -3, 0, 0, 0);
  CALL(add_key, "user", "x", "y", 1, -3);
  CALL(mount, "none", writable, "tmpfs", 0, NULL);
  CALL(umount2, writable, 0);
  CALL(pivot_root, writable, writable);
  CALL(finit_module, 0, "", 0);
  CALL(unshare, CLONE_NEWUSER);
  CALL(setns, 0, 0);
  tell("clone", syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0));
  CALL(fsopen, "tmpfs", 0);
  CALL(fanotify_init, 0, 0);
  CALL(acct, NULL);
  CALL(sethostname, "x", 1);
  CALL(settimeofday, &(struct timeval){0}, NULL);
  CALL(quotactl, 0, NULL, 0, NULL);
#ifdef SYS_shmget
  CALL(shmget, 0x1234, 4096, 0600 | 01000);
  CALL(shmat, 1, 0, 0);
  CALL(msgget, 0x1234, 0600 | 01000);
#else
  CALL(ipc, 23, 0x1234, 4096, 0600 | 01000, 0, 0);
#endif
  CALL(mq_open, "queue", O_CREAT | O_RDWR, 0600, NULL);
  tell("TIOCSTI", ioctl(0, TIOCSTI, "x"));
  CALL(personality, 0x0400000 /* READ_IMPLIES_EXEC */);
}

static int connect_to(uint32_t address, int to) {
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(to), .sin_addr.s_addr = htonl(address)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? fd : connect(fd, (void *)&where, sizeof where);
}

static void network(void) {
  tell("tcp", connect_to(INADDR_LOOPBACK, port));
  tell("udp", socket(AF_INET, SOCK_DGRAM, 0));
  tell("tcp6", socket(AF_INET6, SOCK_STREAM, 0));
  tell("raw", socket(AF_INET, SOCK_RAW, 1));
  tell("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
  tell("packet", socket(AF_PACKET, SOCK_RAW, 0));
  tell("vsock", socket(40 /* AF_VSOCK */, SOCK_STREAM, 0));
  tell("alg", socket(38 /* AF_ALG */, SOCK_SEQPACKET, 0));
  tell("local", connect_local(O("socket"), 0, SOCK_STREAM));
  symlink(O("socket"), W("socket"));
  tell("local by a link", connect_local(W("socket"), 0, SOCK_STREAM));
  tell("abstract", connect_local("emu-sandbox-test", 1, SOCK_STREAM));
  struct sockaddr_un where = {.sun_family = AF_UNIX};
  strcpy(where.sun_path, O("made"));
  tell("bind outside", bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&where, sizeof where));
  strcpy(where.sun_path, O("socket"));
  struct msghdr message = {.msg_name = &where, .msg_namelen = sizeof where};
  tell("message outside", sendmsg(socket(AF_UNIX, SOCK_DGRAM, 0), &message, 0));
  tell("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
  strcpy(where.sun_path, W("own"));
  int server = socket(AF_UNIX, SOCK_STREAM, 0);
  tell("bind inside", bind(server, (void *)&where, sizeof where));
  tell("listen inside", listen(server, 1));
  tell("connect inside", connect_local(W("own"), 0, SOCK_STREAM));
}

static void loopback(void) {
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000201)};
  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  tell("loopback tcp", connect_to(INADDR_LOOPBACK, port));
  tell("far tcp", connect_to(0xc0000201, 80));
  tell("any tcp", connect_to(INADDR_ANY, port));
  tell("far udp", connect(udp, (void *)&there, sizeof there));
  tell("far datagram", sendto(udp, "x", 1, 0, (void *)&there, sizeof there));
  there.sin_family = AF_UNSPEC;
  tell("far datagram of no family", sendto(udp, "x", 1, 0, (void *)&there, sizeof there));
  struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
  inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr);
  tell("mapped", connect(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&mapped, sizeof mapped));
  tell("source route", setsockopt(udp, IPPROTO_IP, IP_OPTIONS, "\203\7\4\300\0\2\1", 7));
  tell("device", setsockopt(udp, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5));
  tell("listen for all", listen(socket(AF_INET, SOCK_STREAM, 0), 1));
  tell("raw", socket(AF_INET, SOCK_RAW, 1));
  tell("abstract", connect_local("emu-sandbox-test", 1, SOCK_STREAM));
}

static sigjmp_buf back;
static volatile uintptr_t told;

static void caught(int signal, siginfo_t *info, void *context) {
  (void)context;
  told = (uintptr_t)info->si_addr;
  siglongjmp(back, signal);
}

/* All over the address space, and where the emulator's memory would be, seen from the guest's. */
static int addresses(uintptr_t *list, int room) {
  const int64_t by[] = {-4096, -9, -8, -4, -1, 0, 1, 4, 8, 4096};
  /* The emulator's program, heap, libraries and stack without randomisation, less the base of guest memory. */
  const uint64_t theirs[] = {0x555555554000, 0x555555600000, 0x555556000000, 0x7ffff7fc0000, 0x7ffff7000000, 0x7ffff0000000,
                             0x7ffffffde000, 0x7fffffffd000, 0xffffffffff600000};
  int n = 0;
  for (int bit = 20; bit < (int)sizeof(uintptr_t) * 8; bit++)
    for (unsigned i = 0; i < sizeof by / sizeof *by && n < room - 20; i++) {
      list[n++] = ((uintptr_t)1 << bit) + by[i];
      list[n++] = -((uintptr_t)1 << bit) + by[i];
    }
  for (unsigned i = 0; sizeof(uintptr_t) == 8 && i < sizeof theirs / sizeof *theirs; i++) list[n++] = theirs[i] - 0x100000000000;
  return n;
}

/* Is it something that this program has mapped? What it has it may use. */
static int is_mine(uintptr_t at) {
  unsigned char vec[3];
  uintptr_t page = at & ~(uintptr_t)4095;
  return mincore((void *)page, 4096, vec) == 0 || mincore((void *)(page + 4096), 4096, vec) == 0 ||
         mincore((void *)(page - 4096), 4096, vec) == 0;
}

static volatile double real;
static volatile uint64_t whole;

static void access_memory(int kind, uintptr_t at) {
  switch (kind) {
  case 0: whole = *(volatile uint8_t *)at; break;
  case 1: whole = *(volatile uint16_t *)at; break;
  case 2: whole = *(volatile uint32_t *)at; break;
  case 3: whole = *(volatile uint64_t *)at; break;
  case 4: *(volatile uint8_t *)at = 1; break;
  case 5: *(volatile uint16_t *)at = 1; break;
  case 6: *(volatile uint32_t *)at = 1; break;
  case 7: *(volatile uint64_t *)at = 1; break;
  case 8: real = *(volatile double *)at; break;
  case 9: *(volatile double *)at = 1.5; break;
  case 10: __atomic_fetch_add((volatile uint32_t *)(at & ~(uintptr_t)3), 1, __ATOMIC_SEQ_CST); break;
  case 11: __atomic_exchange_n((volatile uint32_t *)(at & ~(uintptr_t)3), 1, __ATOMIC_SEQ_CST); break;
  case 12: ((volatile uint32_t *)at)[500] = 1; break;
  case 13: whole = ((volatile uint32_t *)at)[-500]; break;
  case 14: ((void (*)(void))(at & ~(uintptr_t)3))(); break;
  }
}

static void wild(void) {
  static const char *names[] = {"load 1", "load 2", "load 4", "load 8", "store 1", "store 2", "store 4", "store 8", "load double",
                                "store double", "atomic add", "atomic exchange", "store with offset", "load with offset", "jump"};
  static uintptr_t list[2048];
  int count = addresses(list, 2048);
  struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  for (int kind = 0; kind < 15; kind++) {
    volatile int faults = 0, others = 0, strange = 0;
    volatile uintptr_t first = 0;
    for (volatile int round = 0; round < 3; round++)
      for (volatile int i = 0; i < count; i++) {
        uintptr_t at = list[i];
        if (is_mine(at) || is_mine(at + 2000) || is_mine(at - 2000)) continue;
        int signal = sigsetjmp(back, 1);
        if (signal == 0) {
          access_memory(kind, at);
          others++;
          first = at;
          continue;
        }
        faults++;
        uintptr_t distance = told - at;
        if (signal == SIGSEGV && distance + 4096 > 8192) strange++, first = at;
      }
    if (others || strange || !faults) printf("%s: %d succeed, %d tell another address, as %lx\n", names[kind], others, strange, (long)first);
    else printf("%s faults\n", names[kind]);
    fflush(stdout);
  }
}

/* The same addresses by system calls. */
static void mapping(void) {
  static uintptr_t list[2048];
  int count = addresses(list, 2048), reached = 0, mapped = 0;
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int ends[2];
  if (pipe(ends) != 0) abort();
  for (int i = 0; i < count; i++) {
    uintptr_t at = list[i] & ~(uintptr_t)4095;
    if (is_mine(at)) continue;
    struct iovec vector = {(void *)at, 4096};
    if (write(ends[1], (void *)at, 16) >= 0) reached++;
    if (writev(ends[1], &vector, 1) >= 0) reached++;
    if (getcwd((void *)at, 4096) != NULL) reached++;
    if (syscall(SYS_uname, at) >= 0) reached++;
    if (syscall(SYS_getrandom, at, 16, 0) >= 0) reached++;
    if (mprotect((void *)at, 4096, PROT_NONE) == 0) reached++;
    if (madvise((void *)at, 4096, MADV_DONTNEED) == 0) reached++;
    if (mremap(page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(at | ~(UINTPTR_MAX >> 1))) != MAP_FAILED) mapped++;
    /* The guest may map what is in its address space: unmapped again at once. What the kernel's side refuses is refused. */
    if (at < (uintptr_t)1 << (sizeof at == 8 ? 38 : 31)) continue;
    if (mmap((void *)at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
      munmap((void *)at, 4096);
      if (sizeof at == 8 && at >> 40) mapped++;
    }
  }
  printf("system calls %s\n", reached ? "reach it" : "fail");
  printf("mappings %s\n", mapped ? "are made" : "fail");
  printf("close all %d\n", (int)syscall(SYS_close_range, 3, ~0u, 0));
  for (int fd = 3; fd < 64; fd++) dup2(1, fd);
  int fd = open(R("file"), O_RDONLY);
  char text[8] = {0};
  printf("after that %s\n", fd >= 0 && read(fd, text, 6) == 6 && !strcmp(text, "public") ? "files are opened" : "nothing works");
}

int main(int argc, char **argv) {
  static const struct { const char *name; void (*run)(void); } groups[] = {
      {"files", files}, {"race", race}, {"proc", proc}, {"programs", programs}, {"processes", processes}, {"kernel", kernel},
      {"network", network}, {"loopback", loopback}, {"wild", wild}, {"mapping", mapping}};
  if (argc != 7) return 2;
  readable = argv[2], writable = argv[3], outside = argv[4], victim = atoi(argv[5]), port = atoi(argv[6]);
  for (unsigned i = 0; i < sizeof groups / sizeof *groups; i++)
    if (!strcmp(groups[i].name, argv[1])) return groups[i].run(), 0;
  return 2;
}
