/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <flow/backend.h>
#include <flow/unix.h>
#include <flow/util.h>

#include "lib/plat/fake/fake.h"
#include "stream.h"
#include "unit.h"

#include "tests/support/child.h"

#define CAPS_STREAM (FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX | FLOW_CAP_FD)
#define CAPS_HALF   (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ)

static struct flow *
adopt(int read_fd, int write_fd)
{
    struct flow *f = NULL;

    assert_int_equal(flow_fd_adopt(NULL, read_fd, write_fd, &f, NULL), FLOW_OK);
    return f;
}

static void
socketpair_has_half_close(void **state)
{
    struct flow *a;
    struct flow *b;
    size_t n;
    int s[2];
    char c;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    a = adopt(s[0], s[0]);
    b = adopt(s[1], s[1]);
    assert_int_equal(flow_caps(a),
                     CAPS_STREAM | CAPS_HALF | FLOW_CAP_RESETS_UNREAD);
    assert_true((fcntl(s[0], F_GETFD) & FD_CLOEXEC) != 0);
    stream_text(a, b, "one way");
    assert_int_equal(flow_shutdown(a, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_shutdown(a, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_wait(b, &c, 1, &n), FLOW_EOF);
    stream_text(b, a, "the other");
    flow_close(a);
    flow_close(b);
    assert_int_equal(fcntl(s[0], F_GETFD), -1);
}

/* C28: on a UNIX socket SHUT_RD would be visible to the peer. */
static void
shutdown_read_is_not_seen_by_the_peer(void **state)
{
    struct flow *a;
    struct flow *b;
    size_t n;
    int s[2];
    char c;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    a = adopt(s[0], s[0]);
    b = adopt(s[1], s[1]);
    assert_int_equal(flow_shutdown(a, FLOW_READ), FLOW_OK);
    assert_int_equal(flow_read(a, &c, 1, &n), FLOW_EOF);
    assert_int_equal(flow_write(b, "x", 1, &n), FLOW_OK);
    stream_text(a, b, "still");
    flow_close(a);
    flow_close(b);
}

static void
close_with_unread_bytes_resets_the_connection(void **state)
{
    enum flow_status st;
    struct flow *a;
    struct flow *b;
    size_t n;
    int s[2];
    char c;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    a = adopt(s[0], s[0]);
    b = adopt(s[1], s[1]);
    assert_int_equal(flow_write(a, "unread", 6, &n), FLOW_OK);
    flow_close(b);
    /* Neither a signal nor an orderly end. */
    st = flow_write(a, "x", 1, &n);
    assert_true(st == FLOW_E_RESET || st == FLOW_E_CLOSED);
    assert_int_equal(flow_read(a, &c, 1, &n), FLOW_E_RESET);
    flow_close(a);
}

static void
two_pipes_end_by_closing_one(void **state)
{
    struct flow *a;
    struct flow *b;
    int to[2];
    int from[2];
    size_t n;
    char c;

    (void)state;
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    a = adopt(from[0], to[1]);
    b = adopt(to[0], from[1]);
    assert_int_equal(flow_caps(a), CAPS_STREAM | CAPS_HALF);
    stream_text(a, b, "there");
    assert_int_equal(flow_shutdown(a, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_wait(b, &c, 1, &n), FLOW_EOF);
    assert_int_equal(flow_write(a, "x", 1, &n), FLOW_E_CLOSED);
    stream_text(b, a, "and back");
    flow_close(a);
    assert_int_equal(flow_write(b, "x", 1, &n), FLOW_E_CLOSED);
    flow_close(b);
}

static void
full_pipe_is_a_wait_source(void **state)
{
    static char block[65536];
    struct flow_wait_set set;
    struct flow *a;
    size_t total = 0;
    size_t n;
    int p[2];
    int q[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(pipe(q), 0);
    a = adopt(q[0], p[1]);
    while (flow_write(a, block, sizeof(block), &n) == FLOW_OK)
        total += n;
    assert_true(total > 0);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(a, FLOW_READY_WRITE, &set), 0);
    assert_int_equal(set.source[0].fd, p[1]);
    assert_int_equal(set.source[0].events, FLOW_WAIT_OUT);
    flow_wait_set_init(&set);
    assert_int_equal(
        flow_wait_sources(a, FLOW_READY_READ | FLOW_READY_WRITE, &set), 0);
    assert_int_equal(set.count, 4);
    assert_int_equal(set.source[0].fd, q[0]);
    assert_int_equal(set.source[1].fd, p[1]);
    /* The flow's own event, for an abort or a moved deadline. */
    assert_ptr_equal(set.source[2].event, &a->wake[0]);
    assert_ptr_equal(set.source[3].event, &a->wake[1]);
    while (total > 0)
        total -= (size_t)read(p[0], block, sizeof(block));
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(a, FLOW_READY_WRITE, &set),
                     FLOW_READY_WRITE);
    flow_close(a);
    close(p[0]);
    close(q[1]);
}

/* One descriptor that is not a socket cannot be half-closed. */
static void
file_is_read_to_its_end(void **state)
{
    char name[] = "test-adopt-XXXXXX";
    int fd = mkstemp(name);
    struct flow *f;
    char buf[8];
    size_t n;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(write(fd, "content", 7), 7);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    f = adopt(fd, fd);
    assert_int_equal(flow_caps(f), CAPS_STREAM);
    assert_int_equal(flow_shutdown(f, FLOW_WRITE), FLOW_E_NOTSUP);
    assert_int_equal(flow_wait(f, FLOW_READY_READ, NULL), FLOW_OK);
    assert_int_equal(flow_read_exact(f, buf, 7, &n), FLOW_OK);
    assert_memory_equal(buf, "content", 7);
    assert_int_equal(flow_read_exact(f, buf, 1, &n), FLOW_EOF);
    flow_close(f);
}

static void
blocking_mode_is_restored(void **state)
{
    struct flow *f;
    int copy;
    int p[2];
    int q[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(pipe(q), 0);
    copy = dup(p[0]);
    f = adopt(p[0], q[1]);
    assert_true((fcntl(copy, F_GETFL) & O_NONBLOCK) != 0);
    flow_close(f);
    assert_true((fcntl(copy, F_GETFL) & O_NONBLOCK) == 0);

    /* A descriptor that was non-blocking before stays so. */
    assert_int_equal(fcntl(copy, F_SETFL, O_NONBLOCK), 0);
    f = adopt(dup(copy), dup(p[1]));
    flow_close(f);
    assert_true((fcntl(copy, F_GETFL) & O_NONBLOCK) != 0);
    close(copy);
    close(p[1]);
    close(q[0]);
}

static void
socket_keeps_its_blocking_mode(void **state)
{
    uint8_t big[4096] = { 0 };
    struct flow *f;
    size_t n;
    int s[2];
    char c;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    f = adopt(s[0], s[0]);
    assert_true((fcntl(s[0], F_GETFL) & O_NONBLOCK) == 0);
    /* And still no call blocks. */
    assert_int_equal(flow_read(f, &c, 1, &n), FLOW_AGAIN);
    while (flow_write(f, big, sizeof(big), &n) == FLOW_OK)
        continue;
    assert_int_equal(flow_write(f, big, sizeof(big), &n), FLOW_AGAIN);
    flow_close(f);
    close(s[1]);
}

static void
child_leaves_the_mode_to_its_parent(void **state)
{
    struct flow *f;
    pid_t child;
    int p[2];
    int q[2];
    size_t n;
    char c;

    (void)state;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(pipe(q), 0);
    f = adopt(p[0], q[1]);
    child = child_begin();
    if (child == 0) {
        flow_close(f);
        child_end();
    }
    child_join(child);
    assert_true((fcntl(p[0], F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(q[1], F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(flow_read(f, &c, 1, &n), FLOW_AGAIN);
    flow_close(f);
    close(p[1]);
    close(q[0]);
}

static void
unusable_descriptors_are_refused(void **state)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    struct flow__fake fake;
    struct flow_error err;
    struct flow *f = NULL;
    int p[2];

    (void)state;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listening, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(pipe(p), 0);
    flow__fake_init(&fake, 1);
    assert_int_equal(flow_fd_adopt(&fake.env, -1, -1, &f, &err), FLOW_E_INVAL);
    assert_string_equal(err.text, "the descriptor is not open");
    assert_int_equal(flow_fd_adopt(&fake.env, datagram, datagram, &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "the socket is not a stream socket");
    assert_int_equal(flow_fd_adopt(&fake.env, listening, listening, &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "the socket is a listening socket");
    /* Each descriptor is the wrong end of its pipe. */
    assert_int_equal(flow_fd_adopt(&fake.env, p[1], p[1], &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text,
                        "the descriptor to read from is not open for reading");
    assert_int_equal(flow_fd_adopt(&fake.env, p[0], p[0], &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text,
                        "the descriptor to write to is not open for writing");
    fake.fail_at = 1;
    assert_int_equal(flow_fd_adopt(&fake.env, p[0], p[1], &f, NULL),
                     FLOW_E_NOMEM);
    assert_null(f);
    /* The descriptors are still ours, and unchanged. */
    assert_true((fcntl(p[0], F_GETFL) & O_NONBLOCK) == 0);
    assert_true((fcntl(p[0], F_GETFD) & FD_CLOEXEC) == 0);
    close(p[0]);
    close(p[1]);
    close(datagram);
    close(listening);
}

static void
queries_and_controls_answer(void **state)
{
    struct flow *f;
    char text[40];
    size_t len;
    int fd = -1;
    int p[2];
    int s[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    f = adopt(p[0], p[1]);
    len = sizeof(fd);
    assert_int_equal(flow_query(f, FLOW_QUERY_FD, &fd, &len), FLOW_OK);
    assert_int_equal(fd, p[0]);
    len = sizeof(text);
    assert_int_equal(flow_query(f, FLOW_QUERY_DESCRIPTION, text, &len),
                     FLOW_OK);
    assert_string_equal(text, "fd");
    assert_int_equal(flow_query(f, FLOW_QUERY_LOCAL_ADDRESS, text, &len),
                     FLOW_E_NOTSUP);
    assert_int_equal(flow_control(f, FLOW_CONTROL_NODELAY, 1), FLOW_E_NOTSUP);
    flow_close(f);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    f = adopt(s[0], s[0]);
    len = sizeof(text);
    assert_int_equal(flow_query(f, FLOW_QUERY_PEER_ADDRESS, text, &len),
                     FLOW_OK);
    assert_string_equal(text, "");
    assert_int_equal(flow_control(f, FLOW_CONTROL_NODELAY, 1), FLOW_E_NOTSUP);
    flow_close(f);
    close(s[1]);
}

/* Two connected TCP sockets. */
static void
connect_tcp(int ret_fd[2])
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t len = sizeof(in);
    int listening = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listening, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&in, &len), 0);
    ret_fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ret_fd[0], (struct sockaddr *)&in, sizeof(in)), 0);
    ret_fd[1] = accept(listening, NULL, NULL);
    assert_true(ret_fd[1] >= 0);
    close(listening);
}

/* C47: an abort resets both sockets, so the peer sees it on either. */
static void
abort_resets_both_sockets(void **state)
{
    struct flow *f;
    int in[2], out[2], p[2];
    char c;

    (void)state;
    connect_tcp(in);
    connect_tcp(out);
    f = adopt(in[0], out[0]);
    flow_abort(f);
    flow_close(f);
    assert_int_equal(read(in[1], &c, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(read(out[1], &c, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    close(in[1]);
    close(out[1]);

    /* A descriptor that is not a socket cannot be reset, and does not prevent
     * the reset of the other. */
    connect_tcp(in);
    assert_int_equal(pipe(p), 0);
    f = adopt(in[0], p[1]);
    flow_abort(f);
    flow_close(f);
    assert_int_equal(read(in[1], &c, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(read(p[0], &c, 1), 0);
    close(in[1]);
    close(p[0]);
}

static void
reader_and_writer_threads_share_one_flow(void **state)
{
    struct flow *a;
    struct flow *b;
    int to[2];
    int from[2];

    (void)state;
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    a = adopt(from[0], to[1]);
    b = adopt(to[0], from[1]);
    stream_both_ways(a, b);
    flow_close(a);
    flow_close(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socketpair_has_half_close),
        cmocka_unit_test(shutdown_read_is_not_seen_by_the_peer),
        cmocka_unit_test(close_with_unread_bytes_resets_the_connection),
        cmocka_unit_test(two_pipes_end_by_closing_one),
        cmocka_unit_test(full_pipe_is_a_wait_source),
        cmocka_unit_test(file_is_read_to_its_end),
        cmocka_unit_test(blocking_mode_is_restored),
        cmocka_unit_test(socket_keeps_its_blocking_mode),
        cmocka_unit_test(child_leaves_the_mode_to_its_parent),
        cmocka_unit_test(unusable_descriptors_are_refused),
        cmocka_unit_test(abort_resets_both_sockets),
        cmocka_unit_test(queries_and_controls_answer),
        cmocka_unit_test(reader_and_writer_threads_share_one_flow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
