/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/align.h>
#include <flow/buffered.h>
#include <flow/endpoint.h>
#include <flow/pair.h>
#include <flow/prefix.h>
#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/trace.h>
#include <flow/util.h>

#include "pki.h"
#include "step.h"
#include "tap.h"

/*
 * How connections end: only a complete close_notify is an orderly end; a failed
 * handshake releases everything; an answer arrives even if a request was left
 * unread.
 */

#define SECOND UINT64_C(1000000000)

static uint64_t
soon(void)
{
    return TEST_ENV->now(TEST_ENV->ctx) + 10 * SECOND;
}

#ifdef TEST_TLS
/* Two open TLS flows over a pair of the given capacity. */
static void
open_pair(struct ends *e, size_t capacity)
{
    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, capacity, NULL, &e->a, &e->b),
                  FLOW_OK);
    layer_tls13(e);
    step_open(e);
}

/* A record that no key sealed, sent below the TLS layer of f. */
static void
send_bad_record(struct flow *f)
{
    static const uint8_t record[5 + 40] = { 23, 3, 3, 0, 40 };
    struct flow *lower;
    size_t len = sizeof(lower), n;

    assert_status(flow_query(f, FLOW_QUERY_LOWER, &lower, &len), FLOW_OK);
    assert_status(flow_write(lower, record, sizeof(record), &n), FLOW_OK);
    assert_int_equal(n, sizeof(record));
}

/* The write cannot continue, and no room will ever become free. */
static void
failed_read_wakes_a_thread_that_waits_to_write(void **state)
{
    static uint8_t bytes[4096];
    struct flow_wait_set set;
    struct ends e;
    size_t n;

    (void)state;
    open_pair(&e, 8192);
    while (flow_write(e.a, bytes, sizeof(bytes), &n) == FLOW_OK)
        continue;
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(e.a, FLOW_READY_WRITE, &set), 0);
    send_bad_record(e.b);
    assert_status(flow_read(e.a, bytes, sizeof(bytes), &n), FLOW_E_PROTO);
    assert_int_equal(flow_wait_sources(e.a, FLOW_READY_WRITE, &set),
                     FLOW_READY_WRITE);
    assert_status(flow_write(e.a, bytes, 1, &n), FLOW_E_PROTO);
    ends_close(&e);
}

static void
bytes_before_an_error_can_be_leased(void **state)
{
    struct flow_vec span[2];
    struct ends e;
    size_t n;

    (void)state;
    open_pair(&e, 65536);
    step_put(&e, e.b, "0123456789", 10);
    send_bad_record(e.b);
    assert_status(flow_lease(e.a, FLOW_READ, 50, span), FLOW_OK);
    assert_int_equal(span[0].len, 10);
    assert_memory_equal(span[0].base, "0123456789", 10);
    assert_status(flow_commit(e.a, FLOW_READ, 10, 0), FLOW_OK);
    assert_status(flow_read(e.a, NULL, 1, &n), FLOW_E_PROTO);
    ends_close(&e);
}

/* The status of a read after a prefix of the close_notify record. */
static enum flow_status
cut_close_notify(uint32_t version, bool client_ends, size_t bytes,
                 size_t *ret_record)
{
    struct wire wire[2] = { { 0 }, { 0 } };
    struct tap *tap[2];
    struct flow *ender, *reader;
    struct ends e = { 0 };
    enum flow_status st;
    size_t before;

    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &e.a, &e.b), FLOW_OK);
    e.a = tap_wrap(e.a, &wire[0], &tap[0]);
    e.b = tap_wrap(e.b, &wire[1], &tap[1]);
    if (version == FLOW_TLS_1_2)
        layer_tls12(&e);
    else
        layer_tls13(&e);
    step_open(&e);
    ender = client_ends ? e.a : e.b;
    reader = client_ends ? e.b : e.a;
    step_pass(&e, ender, 100, 6);
    before = wire[client_ends ? 0 : 1].len;
    tap_cut(tap[client_ends ? 1 : 0], FLOW_READ, bytes, FLOW_EOF);
    assert_status(flow_shutdown(ender, FLOW_WRITE), FLOW_OK);
    *ret_record = wire[client_ends ? 0 : 1].len - before;
    st = step_end(&e, reader, NULL);
    assert_int_equal(step_query(reader, FLOW_QUERY_END_READ),
                     st == FLOW_EOF ? FLOW_END_AUTHENTICATED : FLOW_END_GONE);
    ends_close(&e);
    wire_free(&wire[0]);
    wire_free(&wire[1]);
    return st;
}

static void
only_a_whole_close_notify_is_an_end(void **state)
{
    size_t bytes, len = 1;
    char name[80];
    uint32_t v;
    int role;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++)
        for (role = 0; role < 2; role++)
            for (bytes = 0; bytes <= len; bytes++) {
                snprintf(name, sizeof(name), "%x, role %d, byte %zu",
                         (unsigned)v, role, bytes);
                guard_case(name);
                assert_status(cut_close_notify(v, role != 0, bytes, &len),
                              bytes < len ? FLOW_E_TRUNCATED : FLOW_EOF);
                assert_in_range(len, 24, 31);
            }
    guard_case(NULL);
}

/* Filters pass on an end without a marker and do not raise its quality. */
static void
tolerated_cut_has_quality_gone_through_every_filter(void **state)
{
    struct flow_align_policy policy;
    struct flow *lower;
    size_t len = sizeof(lower);
    struct ends e;

    (void)state;
    assert_status(flow_align_init(&policy, TEST_ENV, 1, false), FLOW_OK);
    open_pair(&e, 1 << 16);
    assert_status(flow_query(e.a, FLOW_QUERY_LOWER, &lower, &len), FLOW_OK);
    assert_status(flow_control(e.b, FLOW_CONTROL_TRUNCATION, 1), FLOW_OK);
    assert_status(flow_prefix_wrap(e.b, "", 0, &e.b), FLOW_OK);
    assert_status(flow_trace_wrap(e.b, NULL, NULL, &e.b), FLOW_OK);
    assert_status(flow_buffered_wrap(e.b, &policy.base, 512, &e.b), FLOW_OK);
    assert_int_equal(step_query(e.b, FLOW_QUERY_END_READ), FLOW_END_NONE);
    assert_status(flow_shutdown(lower, FLOW_WRITE), FLOW_OK);
    assert_status(step_end(&e, e.b, NULL), FLOW_EOF);
    assert_int_equal(step_query(e.b, FLOW_QUERY_END_READ), FLOW_END_GONE);
    assert_status(flow_shutdown(e.b, FLOW_WRITE), FLOW_OK);
    assert_int_equal(step_query(e.b, FLOW_QUERY_END_WRITE),
                     FLOW_END_AUTHENTICATED);
    ends_close(&e);
}

/* A server flow over a tap, for a handshake that must fail. */
struct attempt {
    struct ends e;
    struct wire wire[2];
    struct tap *tap[2];
};

static void
attempt_make(struct attempt *a)
{
    memset(a, 0, sizeof(*a));
    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &a->e.a, &a->e.b),
                  FLOW_OK);
    a->e.a = tap_wrap(a->e.a, &a->wire[0], &a->tap[0]);
    a->e.b = tap_wrap(a->e.b, &a->wire[1], &a->tap[1]);
}

static void
attempt_wrap(struct attempt *a, struct flow_tls_config *client,
             struct flow_tls_config *server)
{
    assert_status(flow_tls_wrap_client(client, a->e.a, "server.example", 0,
                                       &a->e.a, NULL),
                  FLOW_OK);
    assert_status(flow_tls_wrap_server(server, a->e.b, 0, &a->e.b, NULL),
                  FLOW_OK);
}

/* A failure closes no flow; close closes it once. */
static void
attempt_end(struct attempt *a)
{
    assert_int_equal(a->wire[0].closes, 0);
    assert_int_equal(a->wire[1].closes, 0);
    ends_close(&a->e);
    assert_int_equal(a->wire[0].closes, 1);
    assert_int_equal(a->wire[1].closes, 1);
    wire_free(&a->wire[0]);
    wire_free(&a->wire[1]);
}

static struct flow_tls_config *
client_config(bool trust)
{
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(
                      c, pki(trust ? "ca.pem" : "other.pem"), NULL),
                  FLOW_OK);
    return c;
}

static void
refused_certificate_releases_everything(void **state)
{
    struct flow_tls_config *c = client_config(false);
    enum flow_status client, server;
    struct attempt a;

    (void)state;
    attempt_make(&a);
    attempt_wrap(&a, c, stack_tls_server(0));
    step_open_status(&a.e, &client, &server);
    assert_status(client, FLOW_E_AUTH);
    attempt_end(&a);
    flow_tls_config_unref(c);
}

static void
reset_releases_everything(void **state)
{
    enum flow_status client, server;
    struct attempt a;

    (void)state;
    attempt_make(&a);
    tap_cut(a.tap[0], FLOW_READ, 300, FLOW_E_RESET);
    attempt_wrap(&a, stack_tls_client(0), stack_tls_server(0));
    step_open_status(&a.e, &client, &server);
    assert_status(client, FLOW_E_RESET);
    attempt_end(&a);
}

static void
timeout_releases_everything(void **state)
{
    struct attempt a;

    (void)state;
    test_env_stop_clock();
    attempt_make(&a);
    attempt_wrap(&a, stack_tls_client(0), stack_tls_server(0));
    flow_set_deadline(a.e.b, FLOW_READ, test_env.now + SECOND);
    assert_status(flow_open_wait(a.e.b), FLOW_E_TIMEOUT);
    attempt_end(&a);
}

static void
oversized_hello_releases_everything(void **state)
{
    static uint8_t record[5 + 16384] = { 22, 3, 3, 0x40, 0, 1, 1 };
    struct attempt a;
    enum flow_status st;
    size_t n;

    (void)state;
    attempt_make(&a);
    assert_status(
        flow_tls_wrap_server(stack_tls_server(0), a.e.b, 0, &a.e.b, NULL),
        FLOW_OK);
    do {
        (void)!flow_write(a.e.a, record, sizeof(record), &n);
        st = flow_open(a.e.b);
    } while (st == FLOW_AGAIN);
    assert_status(st, FLOW_E_PROTO);
    attempt_end(&a);
}

static void
no_common_suite_releases_everything(void **state)
{
    const uint16_t one[] = { 0x1301 }, other[] = { 0x1303 };
    struct flow_tls_config *c = client_config(true), *s;
    enum flow_status client, server;
    struct attempt a;

    (void)state;
    assert_status(flow_tls_config_new_server(TEST_ENV, &s, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(
                      s, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_versions(c, FLOW_TLS_1_3, FLOW_TLS_1_3),
                  FLOW_OK);
    assert_status(flow_tls_config_set_suites(c, one, 1), FLOW_OK);
    assert_status(flow_tls_config_set_suites(s, other, 1), FLOW_OK);
    attempt_make(&a);
    attempt_wrap(&a, c, s);
    step_open_status(&a.e, &client, &server);
    assert_status(server, FLOW_E_PROTO);
    attempt_end(&a);
    flow_tls_config_unref(c);
    flow_tls_config_unref(s);
}

/* After all of these the listener accepts the next connection. */
static void
listener_accepts_after_failed_handshakes(void **state)
{
    struct flow_endpoint_options opt = { .tls = stack_tls_server(0) };
    struct flow_endpoint_options to = { .server_name = "server.example" };
    struct flow_tls_config *bad = client_config(false);
    struct flow_listener *l;
    char address[64], plain[80], name[80];
    size_t len = sizeof(address), n;
    struct ends e = { 0 };
    int i;

    (void)state;
    assert_status(
        flow_endpoint_listen(TEST_ENV, "tls+tcp://127.0.0.1:0", &opt, &l, NULL),
        FLOW_OK);
    assert_status(
        flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
        FLOW_OK);
    snprintf(plain, sizeof(plain), "tcp://%s", address);
    snprintf(name, sizeof(name), "tls+tcp://%s", address);
    for (i = 0; i < 20; i++) {
        to.tls = i % 2 ? bad : stack_tls_client(0);
        assert_status(
            flow_endpoint_dial(TEST_ENV, i % 2 ? name : plain, &to, &e.a, NULL),
            FLOW_OK);
        flow_set_deadline(e.a, FLOW_READ | FLOW_WRITE, soon());
        (void)!flow_open(e.a);
        flow_listener_set_deadline(l, soon());
        assert_status(flow_accept_wait(l, &e.b), FLOW_OK);
        if (i % 2 == 0) {
            assert_status(flow_open_wait(e.a), FLOW_OK);
            assert_status(flow_write_all(e.a, "GET / HTTP/1.0\r\n\r\n", 18, &n),
                          FLOW_OK);
        }
        while (flow_open(e.b) == FLOW_AGAIN) {
            (void)!flow_open(e.a);
            step_wait(&e, 0, FLOW_READY_OPEN);
        }
        assert_true(flow_open(e.b) < 0);
        ends_close(&e);
    }
    to.tls = stack_tls_client(0);
    assert_status(flow_endpoint_dial(TEST_ENV, name, &to, &e.a, NULL), FLOW_OK);
    (void)!flow_open(e.a);
    assert_status(flow_accept_wait(l, &e.b), FLOW_OK);
    step_pass(&e, e.a, 1000, 8);
    ends_close(&e);
    flow_listener_close(l);
    flow_tls_config_unref(bad);
}
#endif

/* Sends its answer without reading, then finishes. */
#define ANSWER (1u << 20)
#define ASKED  (64u << 10)

struct responder {
    struct flow_listener *l;
    unsigned rounds;
    unsigned clean; /* both directions ended in order */
};

static void *
respond(void *arg)
{
    struct responder *r = arg;
    uint8_t *answer = malloc(ANSWER);
    struct flow_finish_result res;
    struct flow *f;
    unsigned i;

    if (answer == NULL)
        abort();
    test_fill(answer, ANSWER, 18);
    for (i = 0; i < r->rounds; i++) {
        if (flow_accept_wait(r->l, &f) != FLOW_OK)
            break;
        flow_set_deadline(f, FLOW_READ | FLOW_WRITE, soon());
        if (flow_write_all(f, answer, ANSWER, NULL) != FLOW_OK) {
            flow_close(f);
            continue;
        }
        if (flow_finish(f, soon(), 1 << 20, &res) == FLOW_OK)
            r->clean++;
    }
    free(answer);
    return NULL;
}

/* The server does not read the request; the client reads the answer late. */
static bool
ask(uint16_t port, uint8_t *buf, const uint8_t *want)
{
    static const uint8_t request[ASKED];
    struct flow *f;
    size_t n;
    bool ok;

    assert_status(flow_tcp_dial(TEST_ENV, "127.0.0.1", port, NULL, &f, NULL),
                  FLOW_OK);
    flow_set_deadline(f, FLOW_READ | FLOW_WRITE, soon());
    ok = flow_write_all(f, request, ASKED, NULL) == FLOW_OK;
    /* Read late: only after the answer has filled the buffers on the way. */
    ok = ok && flow_wait(f, FLOW_READY_READ, NULL) == FLOW_OK;
    ok = ok && flow_read_exact(f, buf, ANSWER, &n) == FLOW_OK &&
         memcmp(buf, want, ANSWER) == 0;
    ok = ok && flow_read_wait(f, buf, 1, &n) == FLOW_EOF;
    ok = ok && flow_shutdown_wait(f, FLOW_WRITE) == FLOW_OK;
    flow_close(f);
    return ok;
}

static unsigned rounds = 100;

static void
answer_arrives_despite_an_unread_request(void **state)
{
    struct responder r = { .rounds = rounds };
    uint8_t *buf = malloc(ANSWER), *want = malloc(ANSWER);
    char address[64];
    size_t len = sizeof(address);
    pthread_t thread;
    unsigned i, good = 0;
    uint16_t port;

    (void)state;
    assert_true(buf != NULL && want != NULL);
    test_fill(want, ANSWER, 18);
    assert_status(flow_tcp_listen(TEST_ENV, "127.0.0.1", 0, NULL, &r.l, NULL),
                  FLOW_OK);
    assert_status(
        flow_listener_query(r.l, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
        FLOW_OK);
    port = (uint16_t)atoi(strrchr(address, ':') + 1);
    flow_listener_set_deadline(r.l, soon() + 50 * SECOND);
    assert_int_equal(pthread_create(&thread, NULL, respond, &r), 0);
    for (i = 0; i < rounds; i++)
        good += ask(port, buf, want);
    assert_int_equal(pthread_join(thread, NULL), 0);
    flow_listener_close(r.l);
    free(buf);
    free(want);
    assert_int_equal(good, rounds);
    assert_int_equal(r.clean, rounds);
}

/* usage: test_endings [ROUNDS] */
int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#ifdef TEST_TLS
        TEST(only_a_whole_close_notify_is_an_end),
        TEST(tolerated_cut_has_quality_gone_through_every_filter),
        TEST(failed_read_wakes_a_thread_that_waits_to_write),
        TEST(bytes_before_an_error_can_be_leased),
        TEST(refused_certificate_releases_everything),
        TEST(reset_releases_everything),
        TEST(timeout_releases_everything),
        TEST(oversized_hello_releases_everything),
        TEST(no_common_suite_releases_everything),
        TEST(listener_accepts_after_failed_handshakes),
#endif
        TEST(answer_arrives_despite_an_unread_request),
    };

    if (argc > 1 && atoi(argv[1]) > 0)
        rounds = (unsigned)atoi(argv[1]);
    return TEST_RUN(tests);
}
