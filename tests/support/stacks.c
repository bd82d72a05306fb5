/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <flow/align.h>
#include <flow/buffered.h>
#include <flow/fault.h>
#include <flow/listener.h>
#include <flow/pair.h>
#include <flow/prefix.h>
#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/trace.h>
#include <flow/unix.h>
#ifdef TEST_VCHAN
#include <flow/vchan.h>
#endif

#include "stacks.h"
#include "test.h"

/* Small, so that back-pressure is met and records do not fit. */
#define PAIR_CAPACITY 4096
#define ARRAY_LEN(a)  (sizeof(a) / sizeof((a)[0]))

static void
must_ok(enum flow_status st, const char *what)
{
    if (st != FLOW_OK) {
        print_error("%s: %s\n", what, flow_status_name(st));
        fail();
    }
}

const char *
pki(const char *file)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof(path[0]), "%s/%s", TEST_PKI, file);
    return p;
}

static void
make_pair(struct ends *e)
{
    must_ok(flow_pair_new(TEST_ENV, PAIR_CAPACITY, NULL, &e->a, &e->b), "pair");
}

static void
make_socketpair(struct ends *e)
{
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    must_ok(flow_fd_adopt(TEST_ENV, fd[0], fd[0], &e->a, NULL), "adopt");
    must_ok(flow_fd_adopt(TEST_ENV, fd[1], fd[1], &e->b, NULL), "adopt");
}

/* Connect a flow to a listener; both in this thread. */
static void
join(struct ends *e, struct flow_listener *l)
{
    uint64_t deadline = TEST_ENV->now(TEST_ENV->ctx) + UINT64_C(5000000000);
    enum flow_status opened = FLOW_AGAIN, accepted = FLOW_AGAIN;
    struct flow_wait_sink sink;

    for (;;) {
        if (opened == FLOW_AGAIN)
            opened = flow_open(e->a);
        if (accepted == FLOW_AGAIN)
            accepted = flow_accept(l, &e->b);
        if (opened != FLOW_AGAIN && accepted != FLOW_AGAIN)
            break;
        flow_wait_sink_init(&sink);
        if ((opened == FLOW_AGAIN &&
             flow_wait_sources(e->a, FLOW_READY_OPEN, &sink) != 0) ||
            (accepted == FLOW_AGAIN && flow_listener_wait_sources(l, &sink)))
            continue;
        must_ok(TEST_ENV->wait(TEST_ENV->ctx, &sink, deadline), "wait");
        assert_true(TEST_ENV->now(TEST_ENV->ctx) < deadline);
    }
    must_ok(opened, "connect");
    must_ok(accepted, "accept");
    flow_listener_close(l);
}

static void
make_tcp(struct ends *e)
{
    struct flow_listener *l;
    char address[64];
    size_t len = sizeof(address);

    must_ok(flow_tcp_listen(TEST_ENV, "127.0.0.1", 0, NULL, &l, NULL),
            "listen");
    must_ok(flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
            "address");
    must_ok(flow_tcp_dial(TEST_ENV, "127.0.0.1",
                          (uint16_t)atoi(strrchr(address, ':') + 1), NULL,
                          &e->a, NULL),
            "dial");
    join(e, l);
}

static void
make_unix(struct ends *e)
{
    static unsigned counter;
    struct flow_listener *l;
    char path[64];

    snprintf(path, sizeof(path), "@libflow-test-%ld-%u", (long)getpid(),
             counter++);
    must_ok(flow_unix_listen(TEST_ENV, path, NULL, &l, NULL), "listen");
    must_ok(flow_unix_dial(TEST_ENV, path, NULL, &e->a, NULL), "dial");
    join(e, l);
}

#ifdef TEST_VCHAN
static void
make_vchan_with(struct ends *e, const struct flow_vchan_options *opt)
{
    static unsigned counter;
    struct flow_listener *l;
    char dir[64];

    snprintf(dir, sizeof(dir), "vchan-%ld-%u", (long)getpid(), counter++);
    must_ok(flow_vchan_fake_listen(TEST_ENV, dir, opt, &l, NULL), "listen");
    must_ok(flow_vchan_fake_connect(TEST_ENV, dir, opt, &e->a, NULL),
            "connect");
    join(e, l);
}

static void
make_vchan(struct ends *e)
{
    static const struct flow_vchan_options opt = { .read_size = 4096,
                                                   .write_size = 2048 };

    make_vchan_with(e, &opt);
}

/* Which lends its rings: memory that the peer can change. */
static void
make_vchan_lent(struct ends *e)
{
    static const struct flow_vchan_options opt = { .read_size = 4096,
                                                   .write_size = 4096,
                                                   .lease_rings = true };

    make_vchan_with(e, &opt);
}
#endif

#define CAPS_STREAM                                                            \
    (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |                    \
     FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX | FLOW_CAP_WRITE_READINESS)
#define CAPS_SOCKET                                                            \
    (CAPS_STREAM | FLOW_CAP_GATHER | FLOW_CAP_SCATTER | FLOW_CAP_FD)

#define CAPS_VCHAN                                                             \
    (FLOW_CAP_DUPLEX | FLOW_CAP_WRITE_READINESS | FLOW_CAP_GATHER |            \
     FLOW_CAP_SCATTER | FLOW_CAP_FD)

static const struct transport transport_table[] = {
    { "pair", make_pair,
      CAPS_STREAM | FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE,
      STATUS_BIT(FLOW_E_TRUNCATED), STATUS_BIT(FLOW_E_TRUNCATED), false },
    { "socketpair", make_socketpair, CAPS_SOCKET,
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET),
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET), true },
    { "tcp", make_tcp, CAPS_SOCKET,
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET), STATUS_BIT(FLOW_E_RESET),
      true },
    { "unix", make_unix, CAPS_SOCKET,
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET),
      STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_RESET), true },
#ifdef TEST_VCHAN
    { "vchan", make_vchan, CAPS_VCHAN, STATUS_BIT(FLOW_EOF),
      STATUS_BIT(FLOW_EOF), false },
    { "vchan-lent", make_vchan_lent,
      CAPS_VCHAN | FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE |
          FLOW_CAP_LEASE_VOLATILE | FLOW_CAP_LEASE_SHARED,
      STATUS_BIT(FLOW_EOF), STATUS_BIT(FLOW_EOF), false },
#endif
};

const struct transport *
transports(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(transport_table);
    return transport_table;
}

/* Layers. */

static void
fault_both(struct ends *e, const struct flow_fault_plan *plan)
{
    struct flow_fault_plan other = *plan;

    other.seed++;
    must_ok(flow_fault_wrap(e->a, plan, &e->a), "fault");
    must_ok(flow_fault_wrap(e->b, &other, &e->b), "fault");
}

void
layer_again(struct ends *e)
{
    struct flow_fault_plan plan;

    flow_fault_plan_init(&plan);
    plan.again_always = true;
    fault_both(e, &plan);
}

void
layer_bytewise(struct ends *e)
{
    struct flow_fault_plan plan;

    flow_fault_plan_init(&plan);
    plan.max_read = plan.max_write = 1;
    fault_both(e, &plan);
}

void
layer_seeded(struct ends *e)
{
    struct flow_fault_plan plan;

    flow_fault_plan_init(&plan);
    plan.seed = 42;
    plan.again_percent = 40;
    plan.max_read = plan.max_write = 700;
    plan.random_short = true;
    fault_both(e, &plan);
}

/* So that what fits on the way is soon read byte by byte. */
static void
shrink_buffers(struct flow *f)
{
    static const int size = 4096;
    size_t len = sizeof(int);
    int fd;

    if (flow_query(f, FLOW_QUERY_FD, &fd, &len) != FLOW_OK)
        return;
    /* Only sockets have buffers of that kind. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void
layer_crumbs(struct ends *e)
{
    struct flow_fault_plan plan;

    shrink_buffers(e->a);
    shrink_buffers(e->b);
    flow_fault_plan_init(&plan);
    plan.max_read = 1;
    fault_both(e, &plan);
}

static void
layer_buffered(struct ends *e)
{
    static struct flow_align_policy page;

    must_ok(flow_align_init(&page, TEST_ENV, FLOW_PAGE_SIZE, true), "policy");
    must_ok(flow_buffered_wrap(e->a, &page.base, 4096, &e->a), "buffered");
    must_ok(flow_buffered_wrap(e->b, &page.base, 4096, &e->b), "buffered");
}

static void
ignore_event(void *user, const struct flow_trace_event *event)
{
    (void)user;
    assert_non_null(event->operation);
}

static void
layer_trace(struct ends *e)
{
    must_ok(flow_trace_wrap(e->a, ignore_event, NULL, &e->a), "trace");
    must_ok(flow_trace_wrap(e->b, ignore_event, NULL, &e->b), "trace");
}

static void
layer_prefix(struct ends *e)
{
    must_ok(flow_prefix_wrap(e->a, NULL, 0, &e->a), "prefix");
    must_ok(flow_prefix_wrap(e->b, NULL, 0, &e->b), "prefix");
}

#ifdef TEST_TLS
static void
tls_versions(struct flow_tls_config *c, uint32_t version)
{
    if (version != 0)
        must_ok(flow_tls_config_set_versions(c, (enum flow_tls_version)version,
                                             (enum flow_tls_version)version),
                "versions");
}

/* One configuration per version, in memory that no test counts. */
static unsigned
tls_slot(uint32_t version)
{
    return version == 0 ? 0 : version - 0x0302;
}

struct flow_tls_config *
stack_tls_client(uint32_t version)
{
    static struct flow_tls_config *cache[3];
    struct flow_tls_config **c = &cache[tls_slot(version)];

    if (*c == NULL) {
        must_ok(flow_tls_config_new_client(NULL, c, NULL), "config");
        tls_versions(*c, version);
        must_ok(flow_tls_config_add_trust_file(*c, pki("ca.pem"), NULL),
                "trust");
    }
    return *c;
}

struct flow_tls_config *
stack_tls_server(uint32_t version)
{
    static struct flow_tls_config *cache[3];
    struct flow_tls_config **c = &cache[tls_slot(version)];

    if (*c == NULL) {
        must_ok(flow_tls_config_new_server(NULL, c, NULL), "config");
        tls_versions(*c, version);
        must_ok(flow_tls_config_add_keypair_file(
                    *c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                "key pair");
    }
    return *c;
}

static void
tls_both(struct ends *e, uint32_t version)
{
    must_ok(flow_tls_wrap_client(stack_tls_client(version), e->a,
                                 "server.example", 0, &e->a, NULL),
            "client");
    must_ok(
        flow_tls_wrap_server(stack_tls_server(version), e->b, 0, &e->b, NULL),
        "server");
}

void
layer_tls12(struct ends *e)
{
    tls_both(e, FLOW_TLS_1_2);
}

void
layer_tls13(struct ends *e)
{
    tls_both(e, FLOW_TLS_1_3);
}
#endif

/* Names have the topmost layer first; lists go up from the transport. */
static const struct recipe recipe_table[] = {
    { "", { NULL }, true },
    { "again", { layer_again }, false },
    { "bytewise", { layer_bytewise }, false },
    { "seeded", { layer_seeded }, true },
    { "buffered", { layer_buffered }, false },
    { "buffered/seeded", { layer_seeded, layer_buffered }, false },
    { "trace", { layer_trace }, false },
    { "prefix", { layer_prefix }, false },
#ifdef TEST_TLS
    { "tls12", { layer_tls12 }, true },
    { "tls13", { layer_tls13 }, true },
    { "tls13/again", { layer_again, layer_tls13 }, false },
    { "tls12/bytewise", { layer_bytewise, layer_tls12 }, false },
    { "tls13/bytewise", { layer_bytewise, layer_tls13 }, false },
    { "tls12/seeded", { layer_seeded, layer_tls12 }, true },
    { "tls13/seeded", { layer_seeded, layer_tls13 }, true },
    { "tls13/tls13", { layer_tls13, layer_tls13 }, true },
    { "tls13/tls13/crumbs", { layer_crumbs, layer_tls13, layer_tls13 }, true },
    { "tls13/tls12", { layer_tls12, layer_tls13 }, false },
    { "tls12/seeded/tls13", { layer_tls13, layer_seeded, layer_tls12 }, false },
    { "tls13/buffered", { layer_buffered, layer_tls13 }, false },
    { "buffered/tls13", { layer_tls13, layer_buffered }, false },
    { "trace/tls13/prefix", { layer_prefix, layer_tls13, layer_trace }, false },
#endif
};

static unsigned
count_tls(const struct recipe *r)
{
    unsigned n = 0;
#ifdef TEST_TLS
    size_t i;

    for (i = 0; i < STACK_LAYERS; i++)
        if (r->layer[i] == layer_tls12 || r->layer[i] == layer_tls13)
            n++;
#else
    (void)r;
#endif
    return n;
}

const struct stack *
stacks(size_t *ret_count)
{
    static struct stack
        list[ARRAY_LEN(transport_table) * ARRAY_LEN(recipe_table)];
    static size_t count;
    static bool made;
    size_t t, r;

    for (t = 0; !made && t < ARRAY_LEN(transport_table); t++) {
        for (r = 0; r < ARRAY_LEN(recipe_table); r++) {
            const struct recipe *how = &recipe_table[r];
            struct stack *s = &list[count];

            if (t > 0 && !how->everywhere)
                continue;
            s->transport = &transport_table[t];
            s->recipe = how;
            s->tls = count_tls(how);
            snprintf(s->name, sizeof(s->name), "%s%s%s", how->name,
                     how->name[0] == '\0' ? "" : "/", s->transport->name);
            count++;
        }
    }
    made = true;
    *ret_count = count;
    return list;
}

void
ends_make_transport(struct ends *e, const struct transport *t)
{
    memset(e, 0, sizeof(*e));
    t->make(e);
}

void
ends_make(struct ends *e, const struct stack *s)
{
    size_t i;

    ends_make_transport(e, s->transport);
    e->stack = s;
    for (i = 0; i < STACK_LAYERS && s->recipe->layer[i] != NULL; i++)
        s->recipe->layer[i](e);
}

void
ends_close(struct ends *e)
{
    flow_close(e->a);
    flow_close(e->b);
    e->a = e->b = NULL;
}
