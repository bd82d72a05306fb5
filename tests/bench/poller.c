/* SPDX-License-Identifier: ISC */
#include <dlfcn.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <flow/poller.h>
#include <flow/unix.h>

/*
 * An echo server over a poller beside one that is nothing but a loop over
 * epoll(7), with few and with many idle connections.
 *
 * Each server is a process of its own, driven by this one: it makes some
 * connections readable and says so, the server echoes all of them, and this
 * one takes the answers.  What a server needs for its part is the CPU time of
 * its thread, less that of reading the clock.  The two take turns, round by
 * round, and a ratio is that of two neighbouring rounds: the median of all
 * pairs is printed, and the quartiles.  All three are kept on one processor:
 * on several, where the scheduler puts them decides which caches are warm, and
 * that is worth more than what is measured.
 *
 * System calls: the functions below take the place of the C library's in this
 * program, so every call of a server passes through them and is counted.
 *
 * Busy connections are TCP.  Idle ones are copies of one end of a silent
 * socket pair, one descriptor each: with peers of their own there would be
 * twice as many, more than a process may have open.
 */

#define MOST    19900u
#define FEW     100u
#define BUSY    32u
#define MESSAGE 512u
#define ROUNDS  21u
#define EVENTS  320u /* of a round */
#define BATCH   64

/* --- counting system calls ----------------------------------------------- */

static unsigned long calls;

/* The next definition of a function: that of the C library. */
#define COUNTED(type, name, parameters, arguments)                             \
    type name parameters                                                       \
    {                                                                          \
        static type(*next) parameters;                                         \
                                                                               \
        calls++;                                                               \
        if (next == NULL)                                                      \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                         \
        return next arguments;                                                 \
    }

COUNTED(int, epoll_wait,
        (int epfd, struct epoll_event *events, int most, int timeout),
        (epfd, events, most, timeout))
COUNTED(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *event),
        (epfd, op, fd, event))
COUNTED(int, poll, (struct pollfd * fds, nfds_t count, int timeout),
        (fds, count, timeout))
COUNTED(ssize_t, read, (int fd, void *buf, size_t len), (fd, buf, len))
COUNTED(ssize_t, write, (int fd, const void *buf, size_t len), (fd, buf, len))
COUNTED(ssize_t, readv, (int fd, const struct iovec *iov, int count),
        (fd, iov, count))
COUNTED(ssize_t, writev, (int fd, const struct iovec *iov, int count),
        (fd, iov, count))
COUNTED(ssize_t, recv, (int fd, void *buf, size_t len, int flags),
        (fd, buf, len, flags))
COUNTED(ssize_t, send, (int fd, const void *buf, size_t len, int flags),
        (fd, buf, len, flags))
COUNTED(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags),
        (fd, msg, flags))
COUNTED(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags),
        (fd, msg, flags))

/* --- two servers --------------------------------------------------------- */

/* What a server did since the last report. */
struct account {
    uint64_t nsec;
    uint64_t calls;
    uint64_t flow_bytes; /* memory of the flows and of the poller */
    uint64_t poller_bytes;
};

struct server {
    int fd[MOST]; /* the first BUSY of these are used */
    size_t count;
    int epoll;
    struct flow_poller *poller;
    struct flow *flow[MOST];
    struct account account;
};

static struct server server;
static char message[MESSAGE];
static uint64_t allocated;

static void
must(bool ok)
{
    if (ok)
        return;
    perror("bench poller");
    exit(1);
}

static void *
counted_alloc(void *ctx, size_t size, size_t align)
{
    const struct flow_env *env = flow_env_default();

    (void)ctx;
    allocated += size;
    return env->alloc(env->ctx, size, align);
}

static void
counted_free(void *ctx, void *ptr, size_t size, size_t align)
{
    const struct flow_env *env = flow_env_default();

    (void)ctx;
    allocated -= size;
    env->free(env->ctx, ptr, size, align);
}

static void
start_plain(void)
{
    struct epoll_event ev = { .events = EPOLLIN };
    size_t i;

    server.epoll = epoll_create1(0);
    for (i = 0; i < server.count; i++) {
        ev.data.u64 = i;
        must(epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.fd[i], &ev) == 0);
    }
}

/* Handle every ready descriptor, as a plain program does. */
static size_t
turn_plain(void)
{
    struct epoll_event ev[BATCH];
    char buf[MESSAGE];
    ssize_t got;
    int i, n;

    n = epoll_wait(server.epoll, ev, BATCH, -1);
    for (i = 0; i < n; i++) {
        got = read(server.fd[ev[i].data.u64], buf, sizeof(buf));
        must(got == MESSAGE);
        must(write(server.fd[ev[i].data.u64], buf, (size_t)got) == got);
    }
    return (size_t)n;
}

static void
start_ours(void)
{
    static struct flow_env env;
    const struct flow_poller_event *ev;
    size_t i, n;

    env = *flow_env_default();
    env.alloc = counted_alloc;
    env.free = counted_free;
    for (i = 0; i < server.count; i++)
        must(flow_fd_adopt(&env, server.fd[i], server.fd[i], &server.flow[i],
                           NULL) == FLOW_OK);
    server.account.flow_bytes = allocated;
    must(flow_poller_new(&env, &server.poller) == FLOW_OK);
    for (i = 0; i < server.count; i++)
        must(flow_poller_add(server.poller, server.flow[i], FLOW_READY_READ,
                             NULL) == FLOW_OK);
    must(flow_poller_wait(server.poller, BATCH, FLOW_NOW, &ev, &n) ==
         FLOW_E_TIMEOUT);
    server.account.poller_bytes = allocated - server.account.flow_bytes;
}

static size_t
turn_ours(void)
{
    const struct flow_poller_event *ev;
    char buf[MESSAGE];
    size_t i, n, k;

    must(flow_poller_wait(server.poller, BATCH, FLOW_NEVER, &ev, &n) ==
         FLOW_OK);
    for (i = 0; i < n; i++) {
        must(flow_read(ev[i].flow, buf, sizeof(buf), &k) == FLOW_OK &&
             k == MESSAGE);
        must(flow_write(ev[i].flow, buf, MESSAGE, &k) == FLOW_OK &&
             k == MESSAGE);
    }
    return n;
}

struct kind {
    void (*start)(void);
    size_t (*turn)(void);
};

static const struct kind kinds[2] = { { start_plain, turn_plain },
                                      { start_ours, turn_ours } };

static uint64_t
cpu_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The time that reading the clock adds to an interval. */
static uint64_t
cost_of_the_clock(void)
{
    uint64_t begin, least = UINT64_MAX;
    int i;

    for (i = 0; i < 1000; i++) {
        begin = cpu_time();
        begin = cpu_time() - begin;
        if (begin < least)
            least = begin;
    }
    return least;
}

static void
serve(const struct kind *kind, size_t ready, uint64_t clock_cost)
{
    unsigned long calls_before = calls;
    uint64_t begin = cpu_time();
    size_t n;

    for (n = 0; n < ready;)
        n += kind->turn();
    server.account.nsec += cpu_time() - begin - clock_cost;
    server.account.calls += calls - calls_before;
}

/* Reads the number of ready connections; 0 asks for the report. */
static void
run_server(const struct kind *kind, int in, int out)
{
    uint64_t clock_cost = cost_of_the_clock();
    uint32_t ready;
    char done = 0;

    kind->start();
    must(write(out, &done, 1) == 1);
    while (read(in, &ready, sizeof(ready)) == sizeof(ready)) {
        if (ready > 0) {
            serve(kind, ready, clock_cost);
            must(write(out, &done, 1) == 1);
            continue;
        }
        must(write(out, &server.account, sizeof(server.account)) ==
             sizeof(server.account));
        server.account.nsec = server.account.calls = 0;
    }
    exit(0);
}

/* --- the driver ---------------------------------------------------------- */

/* Children inherit the processor.  If that fails, the figures vary more but are
 * still valid. */
static void
stay_on_one_processor(void)
{
    cpu_set_t allowed, one;
    size_t cpu;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return;
    for (cpu = CPU_SETSIZE - 1; cpu > 0 && !CPU_ISSET(cpu, &allowed); cpu--)
        ;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)sched_setaffinity(0, sizeof(one), &one);
}

struct worker {
    pid_t pid;
    int to, from;
    int client[BUSY];
    size_t next;
};

static int
connect_to(int listener, int *ret_accepted)
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(getsockname(listener, (struct sockaddr *)&at, &len) == 0);
    must(connect(fd, (struct sockaddr *)&at, len) == 0);
    *ret_accepted = accept(listener, NULL, NULL);
    must(*ret_accepted >= 0);
    return fd;
}

static void
connect_all(struct worker *w)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    size_t i;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0);
    must(listen(listener, BUSY) == 0);
    for (i = 0; i < BUSY; i++)
        w->client[i] = connect_to(listener, &server.fd[i]);
    close(listener);
}

static void
make_idle(size_t count)
{
    int silent[2];
    size_t i;

    must(socketpair(AF_UNIX, SOCK_STREAM, 0, silent) == 0);
    for (i = BUSY; i < count; i++) {
        server.fd[i] = dup(silent[0]);
        must(server.fd[i] >= 0);
    }
    close(silent[0]);
}

static void
worker_start(struct worker *w, const struct kind *kind, size_t count)
{
    int to[2], from[2];
    size_t i;
    char done;

    memset(w, 0, sizeof(*w));
    must(pipe(to) == 0 && pipe(from) == 0);
    connect_all(w);
    w->pid = fork();
    must(w->pid >= 0);
    if (w->pid == 0) {
        for (i = 0; i < BUSY; i++)
            close(w->client[i]);
        close(to[1]);
        close(from[0]);
        server.count = count;
        make_idle(count);
        run_server(kind, to[0], from[1]);
    }
    for (i = 0; i < BUSY; i++)
        close(server.fd[i]);
    close(to[0]);
    close(from[1]);
    w->to = to[1];
    w->from = from[0];
    must(read(w->from, &done, 1) == 1);
}

static void
worker_end(struct worker *w)
{
    size_t i;

    close(w->to);
    close(w->from);
    for (i = 0; i < BUSY; i++)
        close(w->client[i]);
    must(waitpid(w->pid, NULL, 0) == w->pid);
}

static struct account
run_round(struct worker *w, uint32_t ready)
{
    const uint32_t none = 0;
    struct account account;
    char buf[MESSAGE], done;
    uint32_t i, batch;

    for (batch = 0; batch < EVENTS / ready; batch++) {
        for (i = 0; i < ready; i++)
            must(write(w->client[(w->next + i) % BUSY], message, MESSAGE) ==
                 MESSAGE);
        must(write(w->to, &ready, sizeof(ready)) == sizeof(ready));
        must(read(w->from, &done, 1) == 1);
        for (i = 0; i < ready; i++)
            must(read(w->client[(w->next + i) % BUSY], buf, MESSAGE) ==
                 MESSAGE);
        w->next += ready;
    }
    must(write(w->to, &none, sizeof(none)) == sizeof(none));
    must(read(w->from, &account, sizeof(account)) == sizeof(account));
    return account;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
race(struct worker w[2], size_t count, uint32_t ready)
{
    double ratio[ROUNDS], nsec[2][ROUNDS], system_calls[2];
    double events = EVENTS / ready * ready;
    struct account account;
    size_t round, i;

    for (i = 0; i < 2; i++)
        (void)run_round(&w[i], ready);
    for (round = 0; round < ROUNDS; round++) {
        for (i = 0; i < 2; i++) {
            account = run_round(&w[(round + i) % 2], ready);
            nsec[(round + i) % 2][round] = (double)account.nsec / events;
            system_calls[(round + i) % 2] = (double)account.calls / events;
        }
        ratio[round] = nsec[1][round] / nsec[0][round];
    }
    qsort(ratio, ROUNDS, sizeof(double), compare);
    qsort(nsec[0], ROUNDS, sizeof(double), compare);
    qsort(nsec[1], ROUNDS, sizeof(double), compare);
    printf("%7zu %6u %9.0f %8.0f %9.2f  %.2f to %.2f %9.2f %6.2f\n", count,
           (unsigned)ready, nsec[0][ROUNDS / 2], nsec[1][ROUNDS / 2],
           ratio[ROUNDS / 2], ratio[ROUNDS / 4], ratio[ROUNDS * 3 / 4],
           system_calls[0], system_calls[1]);
}

static void
race_among(size_t count)
{
    struct account account;
    struct worker w[2];
    size_t i;

    for (i = 0; i < 2; i++)
        worker_start(&w[i], &kinds[i], count);
    race(w, count, 1);
    race(w, count, BUSY);
    account = run_round(&w[1], BUSY);
    printf("        memory of a flow: %.0f bytes, and %.0f in the poller\n",
           (double)account.flow_bytes / (double)count,
           (double)account.poller_bytes / (double)count);
    fflush(stdout);
    /* The second child has a copy of the descriptor whose closing ends the
     * first. */
    for (i = 2; i-- > 0;)
        worker_end(&w[i]);
}

int
main(void)
{
    stay_on_one_processor();
    printf("        of      CPU per event, ns             quartiles   system "
           "calls\n"
           "  flows  ready     epoll   libflow    ratio                  epoll"
           "  ours\n");
    fflush(stdout);
    race_among(FEW);
    race_among(MOST);
    return 0;
}
