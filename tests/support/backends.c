/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <flow/listener.h>
#ifdef TEST_LWIP
#include <flow/lwip.h>
#endif
#include <flow/pair.h>
#include <flow/tcp.h>
#include <flow/unix.h>
#ifdef TEST_VCHAN
#include <flow/vchan.h>
#endif

#ifdef TEST_XEN_WORLD
#include "backends/vchan/vchan.h"
#include "tests/unikernel/xen_world.h"
#endif

#include "backends.h"
#include "test.h"

/* Small, so that the buffers fill and records do not fit at once. */
#define PAIR_CAPACITY 4096

static void
must_ok(enum flow_status st, const char *what)
{
    if (st != FLOW_OK)
        fail_msg("%s: %s", what, flow_status_name(st));
}

static enum flow_status
make_pair(void *ctx, const struct flow_env *env, struct flow **ret_a,
          struct flow **ret_b)
{
    (void)ctx;
    return flow_pair_new(env, PAIR_CAPACITY, NULL, ret_a, ret_b);
}

static enum flow_status
make_socketpair(void *ctx, const struct flow_env *env, struct flow **ret_a,
                struct flow **ret_b)
{
    int fd[2];

    (void)ctx;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    must_ok(flow_fd_adopt(env, fd[0], fd[0], ret_a, NULL), "adopt");
    must_ok(flow_fd_adopt(env, fd[1], fd[1], ret_b, NULL), "adopt");
    return FLOW_OK;
}

/* Connect a flow to a listener, in one thread. */
static enum flow_status
join(struct flow *a, struct flow_listener *l, struct flow **ret_b)
{
    uint64_t deadline = TEST_ENV->now(TEST_ENV->ctx) + UINT64_C(5000000000);
    enum flow_status opened = FLOW_AGAIN, accepted = FLOW_AGAIN;
    struct flow_wait_set set;

    for (;;) {
        if (opened == FLOW_AGAIN)
            opened = flow_open(a);
        if (accepted == FLOW_AGAIN)
            accepted = flow_accept(l, ret_b);
        if (opened != FLOW_AGAIN && accepted != FLOW_AGAIN)
            break;
        flow_wait_set_init(&set);
        if ((opened == FLOW_AGAIN &&
             flow_wait_sources(a, FLOW_READY_OPEN, &set) != 0) ||
            (accepted == FLOW_AGAIN && flow_listener_wait_sources(l, &set)))
            continue;
        must_ok(TEST_ENV->wait(TEST_ENV->ctx, &set, deadline), "wait");
        assert_true(TEST_ENV->now(TEST_ENV->ctx) < deadline);
    }
    must_ok(opened, "connect");
    must_ok(accepted, "accept");
    flow_listener_close(l);
    return FLOW_OK;
}

static enum flow_status
make_tcp(void *ctx, const struct flow_env *env, struct flow **ret_a,
         struct flow **ret_b)
{
    struct flow_listener *l;
    char address[64];
    size_t len = sizeof(address);

    (void)ctx;
    must_ok(flow_tcp_listen(env, "127.0.0.1", 0, NULL, &l, NULL), "listen");
    must_ok(flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
            "address");
    must_ok(flow_tcp_dial(env, "127.0.0.1",
                          (uint16_t)atoi(strrchr(address, ':') + 1), NULL,
                          ret_a, NULL),
            "dial");
    return join(*ret_a, l, ret_b);
}

static enum flow_status
make_unix(void *ctx, const struct flow_env *env, struct flow **ret_a,
          struct flow **ret_b)
{
    static unsigned counter;
    struct flow_listener *l;
    char path[64];

    (void)ctx;
    snprintf(path, sizeof(path), "@libflow-test-%ld-%u", (long)getpid(),
             counter++);
    must_ok(flow_unix_listen(env, path, NULL, &l, NULL), "listen");
    must_ok(flow_unix_dial(env, path, NULL, ret_a, NULL), "dial");
    return join(*ret_a, l, ret_b);
}

#ifdef TEST_VCHAN
static enum flow_status
make_vchan_with(const struct flow_vchan_options *opt,
                const struct flow_env *env, struct flow **ret_a,
                struct flow **ret_b)
{
    static unsigned counter;
    struct flow_listener *l;
    char dir[64];

    snprintf(dir, sizeof(dir), "vchan-%ld-%u", (long)getpid(), counter++);
    must_ok(flow_vchan_fake_listen(env, dir, opt, &l, NULL), "listen");
    must_ok(flow_vchan_fake_connect(env, dir, opt, ret_a, NULL), "connect");
    return join(*ret_a, l, ret_b);
}

static enum flow_status
make_vchan(void *ctx, const struct flow_env *env, struct flow **ret_a,
           struct flow **ret_b)
{
    static const struct flow_vchan_options opt = { .read_size = 4096,
                                                   .write_size = 2048 };

    (void)ctx;
    return make_vchan_with(&opt, env, ret_a, ret_b);
}

/* Leases are of the ring itself: memory that the peer can write to. */
static enum flow_status
make_vchan_lent(void *ctx, const struct flow_env *env, struct flow **ret_a,
                struct flow **ret_b)
{
    static const struct flow_vchan_options opt = { .read_size = 4096,
                                                   .write_size = 4096,
                                                   .lease_rings = true };

    (void)ctx;
    return make_vchan_with(&opt, env, ret_a, ret_b);
}
#endif

#ifdef TEST_XEN_WORLD
/* Two guests without an operating system, each with a handle of its own. */
static enum flow_status
make_vchan_guest(void *ctx, const struct flow_env *env, struct flow **ret_a,
                 struct flow **ret_b)
{
    static const struct flow_vchan_options opt = { .read_size = 4096,
                                                   .write_size = 2048 };
    struct xen_world *world = xen_world_new(env);
    struct vchan_hyp *server = xen_domain_start(xen_world_domain(world, 1));
    struct vchan_hyp *client = xen_domain_start(xen_world_domain(world, 2));
    struct flow_listener *l;

    (void)ctx;
    assert_non_null(server);
    assert_non_null(client);
    must_ok(flow__vchan_listen_on(server, 2, "flow", &opt, &l, NULL), "listen");
    must_ok(flow__vchan_connect_on(client, 1, "flow", &opt, ret_a, NULL),
            "connect");
    return join(*ret_a, l, ret_b);
}
#endif

#ifdef TEST_LWIP
/* The stack's clock is the system's: it is started once per process, and tests
 * stop and reset theirs. */
static enum flow_status
make_lwip(void *ctx, const struct flow_env *env, struct flow **ret_a,
          struct flow **ret_b)
{
    struct flow_listener *l;
    char address[64];
    size_t len = sizeof(address);

    (void)ctx;
    must_ok(flow_lwip_start(NULL, NULL), "start");
    must_ok(flow_lwip_listen(env, "127.0.0.1", 0, NULL, &l, NULL), "listen");
    must_ok(flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
            "address");
    must_ok(flow_lwip_dial(env, "127.0.0.1",
                           (uint16_t)atoi(strrchr(address, ':') + 1), NULL,
                           ret_a, NULL),
            "dial");
    return join(*ret_a, l, ret_b);
}
#endif

#define CAPS_STREAM                                                            \
    (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |                    \
     FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX)
#define CAPS_SOCKET (CAPS_STREAM | FLOW_CAP_FD)

#define CAPS_VCHAN (FLOW_CAP_DUPLEX | FLOW_CAP_FD)

static const struct flow_contract_backend backend_table[] = {
    { "pair", make_pair, NULL,
      CAPS_STREAM | FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE,
      STATUS_BIT(FLOW_E_TRUNCATED), STATUS_BIT(FLOW_E_TRUNCATED), false,
      false },
    { "socketpair", make_socketpair, NULL, CAPS_SOCKET,
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET),
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET), true, false },
    { "tcp", make_tcp, NULL, CAPS_SOCKET,
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET), STATUS_BIT(FLOW_E_RESET),
      true, false },
    { "unix", make_unix, NULL, CAPS_SOCKET,
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET),
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET), true, false },
#ifdef TEST_LWIP
    { "lwip", make_lwip, NULL, CAPS_STREAM | FLOW_CAP_LEASE_READ,
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET), STATUS_BIT(FLOW_E_RESET),
      true, true },
#endif
#ifdef TEST_VCHAN
    { "vchan", make_vchan, NULL, CAPS_VCHAN, STATUS_BIT(FLOW_EOF),
      STATUS_BIT(FLOW_EOF), false, true },
    { "vchan-lent", make_vchan_lent, NULL,
      CAPS_VCHAN | FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE |
          FLOW_CAP_LEASE_VOLATILE | FLOW_CAP_LEASE_SHARED,
      STATUS_BIT(FLOW_EOF), STATUS_BIT(FLOW_EOF), false, true },
#endif
#ifdef TEST_XEN_WORLD
    { "vchan-guest", make_vchan_guest, NULL, FLOW_CAP_DUPLEX,
      STATUS_BIT(FLOW_EOF), STATUS_BIT(FLOW_EOF), false, true },
#endif
};

const struct flow_contract_backend *
backends(size_t *ret_count)
{
    *ret_count = sizeof(backend_table) / sizeof(backend_table[0]);
    return backend_table;
}
