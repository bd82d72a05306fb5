/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <flow/endpoint.h>
#ifdef TEST_LWIP
#include <flow/lwip.h>
#endif
#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/unix.h>

#include "step.h"

/*
 * Clauses C73 to C78 and C82 over every listener; a new kind of listener adds
 * one row.
 */

#define SECOND UINT64_C(1000000000)

struct kind {
    const char *name;
    const char *endpoint; /* listen there; NULL: a UNIX socket of this test */
    bool tls;
    bool descriptors; /* accepting needs a descriptor */
};

static const struct kind kinds[] = {
    { "tcp", "tcp://127.0.0.1:0", false, true },
    { "unix", NULL, false, true },
    { "pair", "pair:listeners", false, false },
#ifdef TEST_LWIP
    { "lwip", "lwip://127.0.0.1:0", false, false },
#endif
#ifdef TEST_TLS
    { "tls+tcp", "tls+tcp://127.0.0.1:0", true, true },
    { "tls+pair", "tls+pair:listeners", true, false },
#endif
};

static char socket_path[64];

static struct flow_listener *
listen_on(const struct kind *k)
{
    struct flow_endpoint_options opt = { 0 };
    struct flow_listener *l = NULL;
    struct flow_error err;
    char line[300];
    enum flow_status st;

#ifdef TEST_LWIP
    assert_status(flow_lwip_start(NULL, NULL), FLOW_OK);
#endif
    if (k->endpoint == NULL) {
        snprintf(socket_path, sizeof(socket_path), "test-%ld.sock",
                 (long)getpid());
        st = flow_unix_listen(TEST_ENV, socket_path, NULL, &l, &err);
    } else {
#ifdef TEST_TLS
        opt.tls = k->tls ? stack_tls_server(0) : NULL;
#endif
        st = flow_endpoint_listen(TEST_ENV, k->endpoint, &opt, &l, &err);
    }
    if (st != FLOW_OK) {
        flow_error_format(&err, line, sizeof(line));
        fail_msg("%s: %s", k->name, line);
    }
    return l;
}

/* Dial the listener and begin to open the flow. */
static struct flow *
dial(const struct kind *k, struct flow_listener *l)
{
    struct flow_endpoint_options opt = { 0 };
    char address[64], name[128];
    size_t len = sizeof(address);
    struct flow *f = NULL;

#ifdef TEST_TLS
    opt.tls = k->tls ? stack_tls_client(0) : NULL;
#endif
    opt.server_name = "server.example";
    if (k->endpoint == NULL) {
        assert_status(flow_unix_dial(TEST_ENV, socket_path, NULL, &f, NULL),
                      FLOW_OK);
    } else if (strstr(k->endpoint, "://") != NULL) {
        assert_status(
            flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
            FLOW_OK);
        snprintf(name, sizeof(name), "%.*s://%s",
                 (int)strcspn(k->endpoint, ":"), k->endpoint, address);
        assert_status(flow_endpoint_dial(TEST_ENV, name, &opt, &f, NULL),
                      FLOW_OK);
    } else {
        assert_status(flow_endpoint_dial(TEST_ENV, k->endpoint, &opt, &f, NULL),
                      FLOW_OK);
    }
    (void)!flow_open(f);
    return f;
}

/* Dial, and accept the connection. */
static void
connect_ends(const struct kind *k, struct flow_listener *l, struct ends *e)
{
    memset(e, 0, sizeof(*e));
    e->a = dial(k, l);
    flow_listener_set_deadline(l, TEST_ENV->now(TEST_ENV->ctx) + 10 * SECOND);
    assert_status(flow_accept_wait(l, &e->b), FLOW_OK);
    flow_listener_set_deadline(l, FLOW_NEVER);
}

static void
c73_accept_without_a_client_answers_again(const struct kind *k)
{
    struct flow_listener *l = listen_on(k);
    struct flow_wait_set set;
    struct flow *f = NULL;
    struct ends e;

    assert_status(flow_accept(l, &f), FLOW_AGAIN);
    assert_null(f);
    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(l, &set));
    assert_true(set.count > 0 || set.deadline != FLOW_NEVER);
    memset(&e, 0, sizeof(e));
    e.a = dial(k, l);
    flow_wait_set_init(&set);
    while (!flow_listener_wait_sources(l, &set)) {
        assert_status(TEST_ENV->wait(TEST_ENV->ctx, &set,
                                     TEST_ENV->now(TEST_ENV->ctx) + SECOND),
                      FLOW_OK);
        flow_wait_set_init(&set);
    }
    assert_int_equal(set.count, 0);
    assert_status(flow_accept(l, &e.b), FLOW_OK);
    assert_status(flow_accept(l, &f), FLOW_AGAIN);
    step_pass(&e, e.a, 1000, 73);
    ends_close(&e);
    flow_listener_close(l);
}

static void
c74_silent_client_does_not_delay_others(const struct kind *k)
{
    struct flow_listener *l = listen_on(k);
    struct ends silent, e;

    connect_ends(k, l, &silent);
    connect_ends(k, l, &e);
    step_pass(&e, e.b, 1000, 74);
    step_pass(&e, e.a, 1000, 75);
    ends_close(&e);
    /* The silent client may speak later. */
    step_pass(&silent, silent.a, 100, 76);
    ends_close(&silent);
    flow_listener_close(l);
}

static void
c75_flow_outlives_its_listener(const struct kind *k)
{
    struct flow_listener *l = listen_on(k);
    struct ends e;

    connect_ends(k, l, &e);
    flow_listener_close(l);
    step_pass(&e, e.a, 1000, 75);
    step_pass(&e, e.b, 1000, 76);
    ends_close(&e);
}

static void
c76_deadline_and_abort_end_accept_wait(const struct kind *k)
{
    struct flow_listener *l = listen_on(k);
    struct flow_wait_set set;
    struct flow *f = NULL;

    test_env_stop_clock();
    flow_listener_set_deadline(l, test_env.now + SECOND);
    assert_status(flow_accept_wait(l, &f), FLOW_E_TIMEOUT);
    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(l, &set));
    flow_listener_set_deadline(l, test_env.now + 5 * SECOND);
    assert_true(step_signalled(&set));
    assert_status(flow_accept_wait(l, &f), FLOW_E_TIMEOUT);
    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(l, &set));
    flow_listener_abort(l);
    assert_true(step_signalled(&set));
    assert_status(flow_accept_wait(l, &f), FLOW_E_CANCELED);
    assert_status(flow_accept(l, &f), FLOW_E_CANCELED);
    assert_null(f);
    flow_listener_close(l);
}

/* Accept until it works again.  The listener may pause for a time. */
static void
accepts_again(const struct kind *k, struct flow_listener *l)
{
    struct ends e;

    test_env_stop_clock();
    test_env.now += 60 * SECOND;
    memset(&e, 0, sizeof(e));
    for (;;) {
        e.a = dial(k, l);
        flow_listener_set_deadline(l, test_env.now + 60 * SECOND);
        assert_status(flow_accept_wait(l, &e.b), FLOW_OK);
        /* An older connection from the backlog may be accepted first. */
        if (flow_open(e.a) != FLOW_OK && flow_open(e.a) != FLOW_AGAIN) {
            ends_close(&e);
            continue;
        }
        break;
    }
    test_env.manual = false;
    ends_close(&e);
}

static void
c77_listener_works_after_a_failed_accept(const struct kind *k)
{
    struct flow_listener *l = listen_on(k);
    struct flow *waiting = dial(k, l), *f = NULL;
    enum flow_status st;
    int i;

    for (i = 0; i < 3; i++) {
        test_env_fail(1, true);
        st = flow_accept(l, &f);
        test_env_fail(0, false);
        assert_status_in(st, STATUS_BIT(FLOW_E_NOMEM) | STATUS_BIT(FLOW_AGAIN) |
                                 STATUS_BIT(FLOW_OK));
        if (st == FLOW_OK)
            flow_close(f);
    }
    flow_close(waiting);
    accepts_again(k, l);
    flow_listener_close(l);
}

static void
c77_listener_works_after_running_out_of_descriptors(const struct kind *k)
{
    struct flow_listener *l = listen_on(k);
    struct flow *waiting = dial(k, l), *f = NULL;
    struct rlimit old, none;
    enum flow_status st;
    int i;

    if (k->descriptors) {
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        none = old;
        none.rlim_cur = 3;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        for (i = 0; i < 3; i++) {
            st = flow_accept(l, &f);
            assert_status_in(st, STATUS_BIT(FLOW_AGAIN) |
                                     STATUS_BIT(FLOW_E_SYS) |
                                     STATUS_BIT(FLOW_E_NOMEM));
        }
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    }
    flow_close(waiting);
    accepts_again(k, l);
    flow_listener_close(l);
}

static void
c78_close_disconnects_waiting_peers(const struct kind *k)
{
    struct flow_listener *l = listen_on(k);
    struct flow *f = dial(k, l);
    enum flow_status st;
    size_t n;

    flow_listener_close(l);
    flow_set_deadline(f, FLOW_READ | FLOW_WRITE,
                      TEST_ENV->now(TEST_ENV->ctx) + 10 * SECOND);
    do {
        st = flow_read(f, NULL, 1, &n);
        if (st == FLOW_AGAIN)
            assert_status(flow_wait(f, FLOW_READY_READ, NULL), FLOW_OK);
    } while (st == FLOW_AGAIN);
    assert_true(st < 0 || st == FLOW_EOF);
    assert_true(st != FLOW_E_TIMEOUT);
    flow_close(f);
}

static bool
is_same_source(const struct flow_wait_source *a,
               const struct flow_wait_source *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == FLOW_WAIT_FD ? a->fd == b->fd : a->event == b->event;
}

static void
assert_nothing_in_common(const struct flow_wait_set *a,
                         const struct flow_wait_set *b)
{
    size_t i, j;

    assert_true(a->count > 0 && b->count > 0);
    for (i = 0; i < a->count; i++)
        for (j = 0; j < b->count; j++)
            assert_false(is_same_source(&a->source[i], &b->source[j]));
}

static void
c82_listener_shares_no_source_with_its_flows(const struct kind *k)
{
    struct flow_listener *l = listen_on(k);
    struct flow_wait_set before, of_flow, after;
    struct ends e;

    flow_wait_set_init(&before);
    assert_false(flow_listener_wait_sources(l, &before));
    connect_ends(k, l, &e);
    step_pass(&e, e.a, 1000, 82);
    step_pass(&e, e.b, 1000, 83);
    flow_wait_set_init(&of_flow);
    assert_int_equal(flow_wait_sources(e.b, FLOW_READY_READ, &of_flow), 0);
    flow_wait_set_init(&after);
    assert_false(flow_listener_wait_sources(l, &after));
    assert_nothing_in_common(&before, &of_flow);
    assert_nothing_in_common(&after, &of_flow);
    ends_close(&e);
    flow_listener_close(l);
}

static void
for_each_kind(const char *clause, void (*check)(const struct kind *k))
{
    char name[100];
    size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        snprintf(name, sizeof(name), "%s [%s]", clause, kinds[i].name);
        guard_case(name);
        check(&kinds[i]);
    }
    guard_case(NULL);
}

#define OVER_EVERY_LISTENER(fn)                                                \
    static void fn##_on_every_listener(void **state)                           \
    {                                                                          \
        (void)state;                                                           \
        for_each_kind(#fn, fn);                                                \
    }

OVER_EVERY_LISTENER(c73_accept_without_a_client_answers_again)
OVER_EVERY_LISTENER(c74_silent_client_does_not_delay_others)
OVER_EVERY_LISTENER(c75_flow_outlives_its_listener)
OVER_EVERY_LISTENER(c76_deadline_and_abort_end_accept_wait)
OVER_EVERY_LISTENER(c77_listener_works_after_a_failed_accept)
OVER_EVERY_LISTENER(c77_listener_works_after_running_out_of_descriptors)
OVER_EVERY_LISTENER(c78_close_disconnects_waiting_peers)
OVER_EVERY_LISTENER(c82_listener_shares_no_source_with_its_flows)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(c73_accept_without_a_client_answers_again_on_every_listener),
        TEST(c74_silent_client_does_not_delay_others_on_every_listener),
        TEST(c75_flow_outlives_its_listener_on_every_listener),
        TEST(c76_deadline_and_abort_end_accept_wait_on_every_listener),
        TEST(c77_listener_works_after_a_failed_accept_on_every_listener),
        TEST(
            c77_listener_works_after_running_out_of_descriptors_on_every_listener),
        TEST(c78_close_disconnects_waiting_peers_on_every_listener),
        TEST(c82_listener_shares_no_source_with_its_flows_on_every_listener),
    };

    return TEST_RUN(tests);
}
