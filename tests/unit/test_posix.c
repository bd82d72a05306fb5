/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <flow/posix.h>

#include "backends/posix/fd_io.h"
#include "backends/posix/sockaddr.h"
#include "unit.h"

static void
assert_text(const union flow__sockaddr *addr, size_t len, const char *expected)
{
    char text[FLOW__SOCKADDR_TEXT];

    flow__sockaddr_format(addr, (socklen_t)len, text);
    assert_string_equal(text, expected);
}

static void
addresses_are_formatted(void **state)
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    union flow__sockaddr a;
    char longest[FLOW__SOCKADDR_TEXT] = { 0 };

    (void)state;
    memset(&a, 0, sizeof(a));
    a.in.sin_family = AF_INET;
    a.in.sin_port = htons(80);
    a.in.sin_addr.s_addr = htonl(0xc0000201);
    assert_text(&a, sizeof(a.in), "192.0.2.1:80");
    assert_text(&a, 2, "");

    memset(&a, 0, sizeof(a));
    a.in6.sin6_family = AF_INET6;
    a.in6.sin6_port = htons(443);
    inet_pton(AF_INET6, "2001:db8::1", &a.in6.sin6_addr);
    assert_text(&a, sizeof(a.in6), "[2001:db8::1]:443");
    a.in6.sin6_scope_id = 7;
    inet_pton(AF_INET6, "fe80::1", &a.in6.sin6_addr);
    assert_text(&a, sizeof(a.in6), "[fe80::1%7]:443");
    inet_pton(AF_INET6, "::ffff:192.0.2.9", &a.in6.sin6_addr);
    assert_text(&a, sizeof(a.in6), "192.0.2.9:443");

    memset(&a, 0, sizeof(a));
    a.un.sun_family = AF_UNIX;
    assert_text(&a, head, "");
    memcpy(a.un.sun_path, "/run/a", 7);
    assert_text(&a, head + 7, "/run/a");
    memcpy(a.un.sun_path, "\0name", 5);
    assert_text(&a, head + 5, "@name");
    /* A path may fill the whole address and end without a NUL. */
    memset(a.un.sun_path, 'x', sizeof(a.un.sun_path));
    memset(longest, 'x', sizeof(a.un.sun_path));
    assert_text(&a, sizeof(a.un), longest);
}

static void
errno_becomes_a_status(void **state)
{
    struct flow_error err;

    (void)state;
    assert_int_equal(flow_posix_error(&err, "tcp", ECONNRESET, "x", "where"),
                     FLOW_E_RESET);
    assert_int_equal(err.domain, FLOW_DOMAIN_ERRNO);
    assert_int_equal(err.code, ECONNRESET);
    assert_string_equal(err.detail, "where");
    assert_int_equal(flow_posix_error(&err, "tcp", EPIPE, "x", NULL),
                     FLOW_E_CLOSED);
    assert_int_equal(flow_posix_error(&err, "tcp", ENOBUFS, "x", NULL),
                     FLOW_E_NOMEM);
    assert_int_equal(flow_posix_error(&err, "tcp", EADDRINUSE, "x", NULL),
                     FLOW_E_SYS);
    assert_non_null(err.hint);
    /* A backend outside this tree may create files, too. */
    assert_int_equal(flow_posix_error(&err, "other", EEXIST, "x", NULL),
                     FLOW_E_SYS);
    assert_string_equal(err.text, "a file has this name already");
    assert_int_equal(flow_posix_error(&err, "tcp", EDOM, "fallback", NULL),
                     FLOW_E_SYS);
    assert_string_equal(err.text, "fallback");
    assert_null(err.hint);
    assert_int_equal(flow_posix_error(NULL, "tcp", EPIPE, "x", "y"),
                     FLOW_E_CLOSED);
}

static void
sockets_are_closed_on_exec_and_do_not_block(void **state)
{
    union flow__sockaddr addr;
    socklen_t len = sizeof(addr.in);
    int listening = flow__fd_socket(AF_INET);
    int dialling = flow__fd_socket(AF_INET);
    int fds[3];
    int i;

    (void)state;
    memset(&addr, 0, sizeof(addr));
    addr.in.sin_family = AF_INET;
    addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listening, &addr.any, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(flow__fd_accept(listening, &addr, &len), -1);
    assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
    len = sizeof(addr);
    assert_int_equal(getsockname(listening, &addr.any, &len), 0);
    if (connect(dialling, &addr.any, len) < 0)
        assert_int_equal(errno, EINPROGRESS);
    while (flow_wait_fd_ready(NULL, listening, FLOW_WAIT_IN) == 0)
        continue;
    fds[0] = listening;
    fds[1] = dialling;
    fds[2] = flow__fd_accept(listening, &addr, &len);
    assert_int_equal(addr.any.sa_family, AF_INET);
    for (i = 0; i < 3; i++) {
        assert_true((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0);
        assert_true((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        close(fds[i]);
    }
}

static void
blocking_mode_is_read_and_set(void **state)
{
    int p[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(flow__fd_set_nonblocking(p[0], true), 0);
    assert_int_equal(flow__fd_set_nonblocking(p[0], true), 1);
    assert_int_equal(flow__fd_set_nonblocking(p[0], false), 1);
    assert_int_equal(flow__fd_set_nonblocking(p[0], false), 0);
    close(p[0]);
    close(p[1]);
    assert_int_equal(flow__fd_set_nonblocking(p[0], true), -1);
}

enum { SEGMENTS = 1024 };

/* The reading and the writing call under test, and the descriptors for them. */
struct vector_calls {
    ssize_t (*read)(int fd, const struct flow_vec *vec, size_t count);
    ssize_t (*write)(int fd, const struct flow_cvec *vec, size_t count);
    int fd[2]; /* to read from, to write to */
};

static ssize_t
send_without_more(int fd, const struct flow_cvec *vec, size_t count)
{
    return flow__fd_sendv(fd, vec, count, false);
}

static ssize_t
send_with_more(int fd, const struct flow_cvec *vec, size_t count)
{
    return flow__fd_sendv(fd, vec, count, true);
}

/* Repeats the calls as a caller does after a short count.  Each segment has one
 * byte, so that a count of bytes is a count of segments. */
static void
move_a_long_vector(const struct vector_calls *calls)
{
    static uint8_t out[SEGMENTS];
    static uint8_t in[SEGMENTS];
    struct flow_cvec w[SEGMENTS];
    struct flow_vec r[SEGMENTS];
    size_t wrote = 0;
    size_t got = 0;
    size_t i;

    memset(in, 0, sizeof(in));
    for (i = 0; i < SEGMENTS; i++) {
        out[i] = (uint8_t)(i * 7);
        w[i] = (struct flow_cvec){ &out[i], 1 };
        r[i] = (struct flow_vec){ i % 5 == 0 ? NULL : &in[i], 1 };
    }
    while (wrote < SEGMENTS) {
        ssize_t n = calls->write(calls->fd[1], w + wrote, SEGMENTS - wrote);

        assert_true(n > 0);
        wrote += (size_t)n;
    }
    while (got < SEGMENTS) {
        ssize_t n = calls->read(calls->fd[0], r + got, SEGMENTS - got);

        assert_true(n > 0);
        got += (size_t)n;
    }
    for (i = 0; i < SEGMENTS; i++)
        assert_int_equal(in[i], i % 5 == 0 ? 0 : out[i]);
}

/* As many empty segments as a vector may have in front of the byte: no call may
 * answer 0, which would be the end of the stream. */
static void
move_a_byte_after_empty_segments(const struct vector_calls *calls)
{
    uint8_t in = 0;
    struct flow_cvec w[SEGMENTS];
    struct flow_vec r[SEGMENTS];
    size_t i;

    for (i = 0; i < SEGMENTS - 1; i++) {
        w[i] = (struct flow_cvec){ i % 2 == 0 ? NULL : "", 0 };
        r[i] = (struct flow_vec){ i % 2 == 0 ? NULL : &in, 0 };
    }
    w[i] = (struct flow_cvec){ "x", 1 };
    r[i] = (struct flow_vec){ &in, 1 };
    assert_int_equal(calls->write(calls->fd[1], w, SEGMENTS), 1);
    assert_int_equal(calls->read(calls->fd[0], r, SEGMENTS), 1);
    assert_int_equal(in, 'x');
}

/* Every call that takes a vector, with more segments than one system call
 * gets. */
static void
long_vectors_move_in_several_calls(void **state)
{
    struct vector_calls calls[] = {
        { flow__fd_readv, flow__fd_writev, { -1, -1 } },
        { flow__fd_recvv, send_without_more, { -1, -1 } },
        { flow__fd_recvv, send_with_more, { -1, -1 } },
        { flow__fd_readv, send_without_more, { -1, -1 } },
        { flow__fd_recvv, flow__fd_writev, { -1, -1 } },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (i == 0)
            assert_int_equal(pipe(calls[i].fd), 0);
        else
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, calls[i].fd),
                             0);
        move_a_long_vector(&calls[i]);
        move_a_byte_after_empty_segments(&calls[i]);
        close(calls[i].fd[0]);
        close(calls[i].fd[1]);
    }
}

static void
more_bytes_than_the_scratch_buffer_are_discarded(void **state)
{
    static char data[20000];
    struct flow_cvec w = { data, sizeof(data) };
    char tail[3] = "";
    struct flow_vec r[2] = { { NULL, sizeof(data) - 2 }, { tail, 2 } };
    int p[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    memcpy(data + sizeof(data) - 2, "ok", 2);
    assert_int_equal(flow__fd_writev(p[1], &w, 1), sizeof(data));
    assert_int_equal(flow__fd_readv(p[0], r, 2), sizeof(data));
    assert_string_equal(tail, "ok");
    close(p[0]);
    close(p[1]);
}

static void
no_write_raises_sigpipe(void **state)
{
    struct flow_cvec w = { "x", 1 };
    sigset_t set;
    int status = -1;
    int p[2];
    int s[2];
    pid_t child;

    (void)state;
    child = fork();
    if (child == 0) {
        /* SIGPIPE at its default action ends this process. */
        signal(SIGPIPE, SIG_DFL);
        if (pipe(p) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
            _exit(1);
        close(p[0]);
        close(s[0]);
        if (flow__fd_writev(p[1], &w, 1) != -1 || errno != EPIPE)
            _exit(2);
        if (flow__fd_sendv(s[1], &w, 1, false) != -1 || errno != EPIPE)
            _exit(3);
        sigpending(&set);
        if (sigismember(&set, SIGPIPE))
            _exit(4);
        /* A pending SIGPIPE that the program raised itself is left pending. */
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGPIPE);
        if (flow__fd_writev(p[1], &w, 1) != -1 || errno != EPIPE)
            _exit(5);
        sigpending(&set);
        _exit(sigismember(&set, SIGPIPE) ? 0 : 6);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
descriptor_readiness_is_reported(void **state)
{
    struct flow_cvec w = { "x", 1 };
    int s[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(
        flow_wait_fd_ready(NULL, s[0], FLOW_WAIT_IN | FLOW_WAIT_OUT),
        FLOW_WAIT_OUT);
    assert_int_equal(flow__fd_sendv(s[1], &w, 1, false), 1);
    assert_int_equal(flow_wait_fd_ready(NULL, s[0], FLOW_WAIT_IN),
                     FLOW_WAIT_IN);
    close(s[1]);
    assert_int_equal(flow_wait_fd_ready(NULL, s[0], FLOW_WAIT_OUT),
                     FLOW_WAIT_OUT);
    close(s[0]);
    assert_int_equal(flow_wait_fd_ready(NULL, s[0], FLOW_WAIT_IN),
                     FLOW_WAIT_IN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_formatted),
        cmocka_unit_test(errno_becomes_a_status),
        cmocka_unit_test(sockets_are_closed_on_exec_and_do_not_block),
        cmocka_unit_test(blocking_mode_is_read_and_set),
        cmocka_unit_test(long_vectors_move_in_several_calls),
        cmocka_unit_test(more_bytes_than_the_scratch_buffer_are_discarded),
        cmocka_unit_test(no_write_raises_sigpipe),
        cmocka_unit_test(descriptor_readiness_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
