/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/util.h>

/*
 * test_syscalls SITE KEYS FILE LIMIT: counts the system calls of flow-site for
 * one small answer on a new connection of TLS 1.3.  It traces the program, so
 * it counts every call, whatever function makes it.  It fails if there are more
 * than LIMIT besides epoll_wait(2) and reads that find nothing.  How often the
 * program sleeps depends on when the client's bytes arrive, and is not limited;
 * all calls are printed.
 *
 * Reads are limited whenever they arrive, since each follows a report that
 * there is something to read: the client sends PIECES pieces, and several of
 * them may arrive as one.  A client that sends byte by byte would cause a read
 * for each.  The first read may find nothing: a connection is reported as soon
 * as it is accepted, and the client may not have sent its ClientHello yet.
 */

#define CONNECTIONS 300u

/* ClientHello, Finished, request, close_notify. */
#define PIECES 4u

/* Exit code of a test that cannot run here. */
#define SKIPPED 77

#define CALLS 512

struct count {
    unsigned long call[CALLS];
    unsigned long all; /* without waits */
    unsigned long waits;
    unsigned long empty; /* reads that found nothing */
    unsigned long last;  /* the call that entered the system last */
    bool began;          /* the first connection was accepted */
    bool ended;          /* the last was answered */
};

struct clients {
    pid_t site;
    FILE *out; /* of the program */
    uint16_t port;
    struct flow_tls_config *config;
    unsigned answered;
};

static const struct {
    long number;
    const char *name;
} names[] = {
    { SYS_accept4, "accept4" },
    { SYS_close, "close" },
    { SYS_epoll_ctl, "epoll_ctl" },
    { SYS_getrandom, "getrandom" },
    { SYS_recvfrom, "recvfrom" },
    { SYS_recvmsg, "recvmsg" },
    { SYS_sendto, "sendto" },
    { SYS_sendmsg, "sendmsg" },
    { SYS_setsockopt, "setsockopt" },
    { SYS_getsockopt, "getsockopt" },
    { SYS_shutdown, "shutdown" },
    { SYS_ppoll, "ppoll" },
    { SYS_brk, "brk" },
    { SYS_mmap, "mmap" },
    { SYS_munmap, "munmap" },
    { SYS_madvise, "madvise" },
    { SYS_futex, "futex" },
};

static bool
is_wait(uint64_t call)
{
#ifdef SYS_epoll_wait
    if (call == SYS_epoll_wait)
        return true;
#endif
    return call == SYS_epoll_pwait;
}

static bool
get_answer(const struct clients *c)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: server.example\r\n"
                                  "Connection: close\r\n\r\n";
    struct flow *f = NULL, *tls;
    char answer[4096];
    size_t len, total = 0;
    enum flow_status st =
        flow_tcp_dial(NULL, "127.0.0.1", c->port, NULL, &f, NULL);

    if (st == FLOW_OK)
        st =
            flow_tls_wrap_client(c->config, f, "server.example", 0, &tls, NULL);
    if (st == FLOW_OK) {
        f = tls;
        st = flow_write_all(f, request, sizeof(request) - 1, &len);
    }
    while (st == FLOW_OK && total < sizeof(answer)) {
        st = flow_read_wait(f, answer + total, sizeof(answer) - total, &len);
        total += len;
    }
    if (st == FLOW_EOF)
        st = flow_shutdown(f, FLOW_WRITE);
    flow_close(f);
    return st == FLOW_OK && total > 9 && memcmp(answer + 9, "200", 3) == 0;
}

static bool
read_port(struct clients *c)
{
    char line[256];

    while (fgets(line, sizeof(line), c->out) != NULL) {
        if (strncmp(line, "listening on ", 13) == 0) {
            c->port = (uint16_t)strtoul(strrchr(line, ':') + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

static void *
run_clients(void *arg)
{
    struct clients *c = arg;

    if (read_port(c))
        while (c->answered < CONNECTIONS && get_answer(c))
            c->answered++;
    kill(c->site, SIGTERM);
    return NULL;
}

/* Starts flow-site, traced, and stopped before its first system call. */
static bool
start_site(struct clients *c, char **argv)
{
    char serve[4096], chain[4096], key[4096];
    int out[2], status;
    pid_t pid;

    snprintf(serve, sizeof(serve), "server.example=%s", argv[3]);
    snprintf(chain, sizeof(chain), "%s/p256.pem", argv[2]);
    snprintf(key, sizeof(key), "%s/p256.key", argv[2]);
    if (pipe(out) != 0 || (pid = fork()) < 0)
        return false;
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(SKIPPED);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl(argv[1], argv[1], "--listen", "127.0.0.1:0", "--cert", chain,
              "--key", key, "--serve", serve, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    c->site = pid;
    c->out = fdopen(out[0], "r");
    if (c->out == NULL || waitpid(pid, &status, 0) != pid)
        return false;
    if (WIFEXITED(status)) {
        puts("skipped: no process may be traced here");
        exit(WEXITSTATUS(status));
    }
    return ptrace(PTRACE_SETOPTIONS, pid, NULL,
                  (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) == 0;
}

static void
note_call(struct count *n, pid_t pid)
{
    struct __ptrace_syscall_info info;

    memset(&info, 0, sizeof(info));
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && n->last == SYS_recvfrom &&
        info.exit.rval == -EAGAIN)
        n->empty++;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    n->last = info.entry.nr;
    n->began = n->began || info.entry.nr == SYS_accept4;
    if (!n->began || info.entry.nr >= CALLS)
        return;
    if (is_wait(info.entry.nr)) {
        n->waits++;
        return;
    }
    n->call[info.entry.nr]++;
    n->all++;
}

/* Runs the traced program until it ends; its exit code, or -1. */
static int
trace(struct count *n, pid_t pid)
{
    int status, number = 0;

    for (;;) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)number) != 0 ||
            waitpid(pid, &status, 0) != pid)
            return -1;
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        if (!WIFSTOPPED(status))
            return -1;
        number = WSTOPSIG(status);
        n->ended = n->ended || number == SIGTERM;
        if (number != (SIGTRAP | 0x80))
            continue;
        number = 0;
        if (!n->ended)
            note_call(n, pid);
    }
}

static void
print_counts(const struct count *n)
{
    size_t i, k;

    for (i = 0; i < CALLS; i++) {
        const char *name = "another";

        for (k = 0; k < sizeof(names) / sizeof(names[0]); k++)
            if ((unsigned long)names[k].number == i)
                name = names[k].name;
        if (n->call[i] > 0)
            printf("%-10s %4zu %7.2f\n", name, i,
                   (double)n->call[i] / CONNECTIONS);
    }
    printf("%-15s %7.2f\n%-15s %7.2f\n%-15s %7.2f\n", "waits",
           (double)n->waits / CONNECTIONS, "all but waits",
           (double)n->all / CONNECTIONS, "empty reads",
           (double)n->empty / CONNECTIONS);
}

int
main(int argc, char **argv)
{
    struct clients c = { .answered = 0 };
    struct count n = { .all = 0 };
    char ca[4096];
    unsigned long limit;
    pthread_t thread;
    int code;

    if (argc != 5)
        return 2;
    snprintf(ca, sizeof(ca), "%s/ca.pem", argv[2]);
    if (flow_tls_config_new_client(NULL, &c.config, NULL) != FLOW_OK ||
        flow_tls_config_add_trust_file(c.config, ca, NULL) != FLOW_OK ||
        !start_site(&c, argv) ||
        pthread_create(&thread, NULL, run_clients, &c) != 0) {
        fprintf(stderr, "cannot start: %s\n", strerror(errno));
        return 1;
    }
    code = trace(&n, c.site);
    pthread_join(thread, NULL);
    flow_tls_config_unref(c.config);
    fclose(c.out);
    print_counts(&n);
    if (code != 0 || c.answered != CONNECTIONS) {
        fprintf(stderr, "flow-site ended with %d after %u answers\n", code,
                c.answered);
        return 1;
    }
    limit = strtoul(argv[4], NULL, 10);
    if (n.all - n.empty > limit * CONNECTIONS) {
        fprintf(stderr, "more than %lu system calls\n", limit);
        return 1;
    }
    if (n.empty > CONNECTIONS) {
        fprintf(stderr, "more than one read that found nothing\n");
        return 1;
    }
    if (n.call[SYS_recvfrom] - n.empty > PIECES * CONNECTIONS) {
        fprintf(stderr, "more reads than the client sent pieces\n");
        return 1;
    }
    return 0;
}
