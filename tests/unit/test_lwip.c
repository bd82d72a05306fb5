/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/lwip.h>
#include <flow/util.h>

#include "backends/lwip/isn.h"
#include "lib/plat/fake/fake.h"
#include "unit.h"

/*
 * lwIP's flows over the loopback interface: start, names, and what happens when
 * the stack has no connection, no window or no memory left.  The stack lives as
 * long as the process, so the first test starts it for all.
 */
#define SECOND UINT64_C(1000000000)

static struct flow__fake fake;
static struct flow__fake other;

/* Of the paper by Aumasson and Bernstein, and of its reference code. */
static void
siphash_gives_the_published_values(void **state)
{
    uint8_t key[16], data[15];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    for (i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    assert_true(flow__lwip_siphash(key, data, 0) ==
                UINT64_C(0x726fdb47dd0e0e31));
    assert_true(flow__lwip_siphash(key, data, 15) ==
                UINT64_C(0xa129ca6149be45e5));
}

static void
assert_not_started(void)
{
    struct flow *f = NULL;
    struct flow_listener *l = NULL;
    struct flow_error err;

    assert_int_equal(flow_lwip_dial(&fake.env, "127.0.0.1", 80, NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "the stack is not started");
    assert_non_null(err.hint);
    assert_int_equal(flow_lwip_listen(&fake.env, "*", 80, NULL, &l, NULL),
                     FLOW_E_INVAL);
    assert_int_equal(flow_lwip_receive("", 0), FLOW_E_INVAL);
    assert_true(flow_lwip_poll() == FLOW_NEVER);
}

static void
stack_starts_once_and_needs_entropy(void **state)
{
    struct flow_error err;

    (void)state;
    flow__fake_init(&fake, 1);
    flow__fake_init(&other, 2);
    assert_not_started();
    fake.no_entropy = true;
    assert_int_equal(flow_lwip_start(&fake.env, &err), FLOW_E_ENTROPY);
    assert_string_equal(err.text, "no entropy for initial sequence numbers");
    assert_not_started();
    fake.no_entropy = false;
    assert_int_equal(flow_lwip_start(&fake.env, &err), FLOW_OK);
    assert_int_equal(flow_lwip_start(&fake.env, &err), FLOW_OK);
    assert_int_equal(flow_lwip_start(&other.env, &err), FLOW_E_BUSY);
    assert_true(flow_lwip_poll() > fake.now);
}

static void
invalid_addresses_are_refused(void **state)
{
    static const char *const host[] = { "",          "1.2.3",     "1.2.3.256",
                                        "1.2.3.4.5", "01.2.3.4",  "host",
                                        "1.2.3.4 ",  "::1",       "1..2.3",
                                        "1.2.3.",    "0x1.2.3.4", "-1.2.3.4" };
    static const char *const name[] = {
        "lwip:1.2.3.4:80",   "lwip://1.2.3.4",
        "lwip://1.2.3.4:",   "lwip://1.2.3.4:99999",
        "lwip://1.2.3.4:8x", "lwip://255.255.255.2555:80"
    };
    struct flow_error err;
    struct flow *f = NULL;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(host); i++) {
        assert_int_equal(flow_lwip_dial(&fake.env, host[i], 80, NULL, &f, &err),
                         FLOW_E_INVAL);
        assert_string_equal(err.detail, host[i]);
    }
    for (i = 0; i < COUNT(name); i++) {
        assert_int_equal(flow_endpoint_dial(&fake.env, name[i], NULL, &f, &err),
                         FLOW_E_INVAL);
        assert_non_null(err.hint);
    }
    assert_int_equal(flow_lwip_dial(&fake.env, "1.2.3.4", 0, NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_null(f);
    assert_int_equal(fake.live_blocks, 0);
}

static struct flow_listener *
listen_on(int backlog, uint16_t *ret_port)
{
    struct flow_lwip_options opt = { .backlog = backlog };
    struct flow_listener *l = NULL;
    char address[32];
    size_t len = sizeof(address);

    assert_int_equal(
        flow_lwip_listen(&fake.env, "127.0.0.1", 0, &opt, &l, NULL), FLOW_OK);
    assert_int_equal(
        flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
        FLOW_OK);
    *ret_port = (uint16_t)atoi(strchr(address, ':') + 1);
    return l;
}

static struct flow *
dial(uint16_t port)
{
    struct flow *f = NULL;

    assert_int_equal(
        flow_lwip_dial(&fake.env, "127.0.0.1", port, NULL, &f, NULL), FLOW_OK);
    return f;
}

/* False: the stack has no memory for it. */
static bool
try_ends(struct flow **ret_a, struct flow **ret_b)
{
    uint16_t port;
    struct flow_listener *l = listen_on(1, &port);
    enum flow_status st;

    *ret_a = dial(port);
    st = flow_open(*ret_a);
    if (st == FLOW_OK)
        assert_int_equal(flow_accept(l, ret_b), FLOW_OK);
    else
        flow_close(*ret_a);
    flow_listener_close(l);
    assert_true(st == FLOW_OK || st == FLOW_AGAIN);
    return st == FLOW_OK;
}

static void
make_ends(struct flow **ret_a, struct flow **ret_b)
{
    assert_true(try_ends(ret_a, ret_b));
}

static void
addresses_are_told(void **state)
{
    struct flow *a, *b;
    char ours[32], peers[32], text[40];
    size_t len = sizeof(ours);

    (void)state;
    make_ends(&a, &b);
    assert_int_equal(flow_query(a, FLOW_QUERY_LOCAL_ADDRESS, ours, &len),
                     FLOW_OK);
    len = sizeof(peers);
    assert_int_equal(flow_query(b, FLOW_QUERY_PEER_ADDRESS, peers, &len),
                     FLOW_OK);
    assert_string_equal(ours, peers);
    len = sizeof(text);
    assert_int_equal(flow_query(b, FLOW_QUERY_DESCRIPTION, text, &len),
                     FLOW_OK);
    assert_memory_equal(text, "lwip 127.0.0.1:", 15);
    assert_int_equal(flow_control(a, FLOW_CONTROL_NODELAY, 2), FLOW_E_INVAL);
    assert_int_equal(flow_control(a, FLOW_CONTROL_KEEPALIVE, 1), FLOW_OK);
    flow_close(a);
    flow_close(b);
}

static void
refused_connection_says_so(void **state)
{
    struct flow_error err;
    uint16_t port;
    struct flow_listener *l = listen_on(1, &port);
    struct flow *f;

    (void)state;
    flow_listener_close(l);
    f = dial(port);
    assert_int_equal(flow_open(f), FLOW_E_SYS);
    flow_get_error(f, FLOW_READ, &err);
    assert_string_equal(err.text, "connection refused");
    flow_close(f);
}

static void
address_in_use_says_so(void **state)
{
    struct flow_listener *l, *second = NULL;
    struct flow_error err;
    uint16_t port;

    (void)state;
    l = listen_on(1, &port);
    assert_int_equal(
        flow_lwip_listen(&fake.env, "127.0.0.1", port, NULL, &second, &err),
        FLOW_E_SYS);
    assert_string_equal(err.text, "address already in use");
    flow_listener_close(l);
}

/* Until AGAIN; the bytes that were accepted. */
static size_t
fill(struct flow *f)
{
    static const uint8_t block[3000];
    enum flow_status st;
    size_t n, total = 0;

    while ((st = flow_write(f, block, sizeof(block), &n)) == FLOW_OK)
        total += n;
    assert_int_equal(st, FLOW_AGAIN);
    return total;
}

/* Reads until AGAIN; how many. */
static size_t
drain(struct flow *f)
{
    enum flow_status st;
    size_t n, total = 0;

    while ((st = flow_read(f, NULL, 100000, &n)) == FLOW_OK)
        total += n;
    assert_int_equal(st, FLOW_AGAIN);
    return total;
}

static uint32_t
ready(struct flow *f, uint32_t interest)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    return flow_wait_sources(f, interest, &set);
}

/* Lets the clock run, in steps of lwIP's timers. */
static void
advance(unsigned seconds)
{
    uint64_t end = fake.now + seconds * SECOND;

    while (fake.now < end) {
        flow__fake_advance(&fake, SECOND / 8);
        (void)flow_lwip_poll();
    }
}

/* Both windows are 0, and neither stack may answer the other's answers. */
static void
two_full_directions_come_to_rest(void **state)
{
    struct flow *a, *b;
    size_t to_b, to_a, got_b = 0, got_a = 0;
    int rounds;

    (void)state;
    make_ends(&a, &b);
    to_b = fill(a);
    to_a = fill(b);
    advance(20);
    to_b += fill(a);
    to_a += fill(b);
    for (rounds = 0; rounds < 100 && got_b + got_a < to_b + to_a; rounds++) {
        got_b += drain(b);
        got_a += drain(a);
        advance(1);
    }
    assert_int_equal(got_b, to_b);
    assert_int_equal(got_a, to_a);
    flow_close(a);
    flow_close(b);
}

static void
small_segments_do_not_use_up_memory(void **state)
{
    struct flow *a, *b, *c, *d;
    size_t sent = 0, n, i;

    (void)state;
    make_ends(&a, &b);
    for (i = 0; i < 30000; i++)
        if (flow_write(a, "x", 1, &n) == FLOW_OK)
            sent++;
        else
            advance(1);
    assert_in_range(sent, 25000, 30000);
    make_ends(&c, &d);
    n = fill(c);
    assert_in_range(n, 60000, 80000);
    assert_int_equal(drain(b), sent);
    flow_close(a);
    flow_close(b);
    flow_close(c);
    flow_close(d);
}

#define MANY 70

/* The stack has 128 connections, and each pair is two. */
static void
connections_beyond_the_limit_wait(void **state)
{
    struct flow *a[MANY], *b[MANY];
    uint16_t port;
    struct flow_listener *l = listen_on(MANY, &port);
    size_t i, count = 0;
    enum flow_status st;

    (void)state;
    do {
        assert_true(count < MANY);
        a[count] = dial(port);
        st = flow_open(a[count]);
        if (st == FLOW_OK)
            assert_int_equal(flow_accept(l, &b[count++]), FLOW_OK);
    } while (st == FLOW_OK);
    assert_int_equal(st, FLOW_AGAIN);
    assert_in_range(count, 62, 64);
    assert_int_equal(ready(a[count], FLOW_READY_OPEN), 0);
    advance(2);
    assert_int_equal(flow_open(a[count]), FLOW_AGAIN);
    /* A reset frees both blocks at once. */
    flow_abort(a[0]);
    flow_close(a[0]);
    advance(10);
    assert_int_equal(flow_open(a[count]), FLOW_OK);
    for (i = 1; i <= count; i++)
        flow_close(a[i]);
    for (i = 0; i < count; i++)
        flow_close(b[i]);
    flow_listener_close(l);
    advance(200);
    assert_int_equal(fake.live_blocks, 0);
}

/* Without memory a write answers AGAIN and is not ready, and later all bytes
 * that were accepted arrive. */
static void
memory_that_runs_out_holds_writers_back(void **state)
{
    struct flow *a[MANY], *b[MANY];
    size_t sent[MANY], got[MANY] = { 0 }, i, count = 0, missing;
    unsigned rounds = 0, starved = 0;

    (void)state;
    while (try_ends(&a[count], &b[count])) {
        sent[count] = fill(a[count]);
        assert_int_equal(ready(a[count], FLOW_READY_WRITE), 0);
        /* The others filled a window and a buffer. */
        starved += sent[count] < sent[0];
        assert_true(++count < MANY);
        if (starved > 1)
            break;
    }
    assert_true(starved > 0);
    do {
        missing = 0;
        for (i = 0; i < count; i++) {
            got[i] += drain(b[i]);
            missing += sent[i] - got[i];
        }
        advance(2);
    } while (missing > 0 && ++rounds < 200);
    assert_int_equal(missing, 0);
    for (i = 0; i < count; i++) {
        assert_int_equal(ready(a[i], FLOW_READY_WRITE), FLOW_READY_WRITE);
        assert_int_equal(fill(a[i]) > 0, true);
        flow_close(a[i]);
        flow_close(b[i]);
    }
    advance(200);
}

/* Without memory for the copy of a lease the bytes stay. */
static void
refused_lease_loses_no_bytes(void **state)
{
    struct flow *a, *b;
    struct flow_vec span[2];
    uint8_t data[4000];
    size_t n;

    (void)state;
    make_ends(&a, &b);
    memset(data, 'x', sizeof(data));
    assert_int_equal(flow_write(a, data, sizeof(data), &n), FLOW_OK);
    assert_int_equal(n, sizeof(data));
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow_lease(b, FLOW_READ, 4000, span), FLOW_E_NOMEM);
    assert_int_equal(flow_lease(b, FLOW_READ, 4000, span), FLOW_OK);
    assert_int_equal(span[0].len, 4000);
    assert_memory_equal(span[0].base, data, 4000);
    assert_int_equal(flow_commit(b, FLOW_READ, 3999, 0), FLOW_OK);
    assert_int_equal(drain(b), 1);
    assert_int_equal(flow_lease(b, FLOW_READ, 35040 / 2 + 1, span),
                     FLOW_E_INVAL);
    flow_close(a);
    flow_close(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_gives_the_published_values),
        cmocka_unit_test(stack_starts_once_and_needs_entropy),
        cmocka_unit_test(invalid_addresses_are_refused),
        cmocka_unit_test(addresses_are_told),
        cmocka_unit_test(refused_connection_says_so),
        cmocka_unit_test(address_in_use_says_so),
        cmocka_unit_test(two_full_directions_come_to_rest),
        cmocka_unit_test(small_segments_do_not_use_up_memory),
        cmocka_unit_test(refused_lease_loses_no_bytes),
        cmocka_unit_test(memory_that_runs_out_holds_writers_back),
        cmocka_unit_test(connections_beyond_the_limit_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
