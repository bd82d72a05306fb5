/* SPDX-License-Identifier: ISC */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <flow/listener.h>
#include <flow/pair.h>
#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/tls_sni.h>
#include <flow/util.h>

#include "pki.h"
#include "step.h"

/*
 * What a client that a server refuses sees on the wire: one alert, or an answer
 * in the clear, and the end of the connection, whatever else it has sent.
 */

#define ROUNDS    200
#define MORE      65536u
#define PIECE     4096u
#define HELLO_MAX 2048u
#define LIMIT_NS  UINT64_C(1000000000)
#define WAIT_NS   (20 * LIMIT_NS)

static const uint8_t alert_112[] = { 0x15, 3, 3, 0, 2, 2, 112 };
static const uint8_t alert_10[] = { 0x15, 3, 3, 0, 2, 2, 10 };
static const char answer[] = "400 this port expects TLS\n";

static struct flow_tls_config *server;
static uint8_t hello[HELLO_MAX + MORE]; /* and what follows it */
static size_t hello_len;

/* The ClientHello of our client, for a name that the server does not have. */
static void
record_hello(void)
{
    struct flow_tls_config *client;
    struct ends e = { 0 };

    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_insecure_skip_verify(client, true), FLOW_OK);
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e.a, &e.b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e.a, "unknown.example", 0, &e.a, NULL),
        FLOW_OK);
    assert_status(flow_open(e.a), FLOW_AGAIN);
    assert_status(flow_read(e.b, hello, HELLO_MAX, &hello_len), FLOW_OK);
    test_fill(hello + hello_len, MORE, 1);
    ends_close(&e);
    flow_tls_config_unref(client);
}

static void
begin(enum flow_tls_sni_action on_unknown)
{
    static const char *const patterns[] = { "server.example" };
    const struct flow_tls_sni_entry entry = { .id = "main",
                                              .patterns = patterns,
                                              .pattern_count = 1,
                                              .flags =
                                                  FLOW_TLS_SNI_IS_DEFAULT };
    const struct flow_tls_sni_policy policy = { .on_unknown = on_unknown };
    struct flow_tls_sni *selector;
    size_t index;

    record_hello();
    assert_status(flow_tls_sni_new(TEST_ENV, &selector, NULL), FLOW_OK);
    assert_status(flow_tls_sni_set_policy(selector, &policy), FLOW_OK);
    assert_status(flow_tls_sni_add_entry(selector, &entry, &index, NULL),
                  FLOW_OK);
    assert_status(
        flow_tls_sni_add_keypair_file(selector, index, pki("p256.pem"),
                                      pki("p256.key"), NULL, NULL, NULL),
        FLOW_OK);
    assert_status(flow_tls_config_new_server(TEST_ENV, &server, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_sni(server, selector, NULL), FLOW_OK);
    flow_tls_sni_unref(selector);
}

static void
begin_with_answer(void)
{
    begin(FLOW_TLS_SNI_REJECT);
    assert_status(
        flow_tls_config_set_text_answer(server, answer, sizeof(answer) - 1),
        FLOW_OK);
}

/* --- a client in a thread --------------------------------------------------
 */

struct client {
    pthread_t thread;
    uint16_t port;
    const void *bytes;
    size_t len;
    size_t singles; /* bytes at the front that are sent one at a time */
    enum flow_status dialled, wrote, end;
    uint8_t got[256];
    size_t got_len;
};

static enum flow_status
client_write(struct client *c, struct flow *f)
{
    const char *bytes = c->bytes;
    enum flow_status st = FLOW_OK;
    size_t off, len;

    for (off = 0; off < c->len && st == FLOW_OK; off += len) {
        len = off < c->singles ? 1 : c->len - off;
        if (len > PIECE)
            len = PIECE;
        st = flow_write_all(f, bytes + off, len, NULL);
    }
    return st;
}

static void *
client_main(void *arg)
{
    struct client *c = arg;
    struct flow *f;
    size_t n;

    c->dialled = flow_tcp_dial(NULL, "127.0.0.1", c->port, NULL, &f, NULL);
    if (c->dialled != FLOW_OK)
        return NULL;
    (void)flow_set_timeout(f, FLOW_READ | FLOW_WRITE, WAIT_NS);
    c->wrote = client_write(c, f);
    do {
        c->end = flow_read_wait(f, c->got + c->got_len,
                                sizeof(c->got) - c->got_len, &n);
        c->got_len += n;
    } while (c->end == FLOW_OK && c->got_len < sizeof(c->got));
    flow_close(f);
    return NULL;
}

static uint16_t
port_of(struct flow_listener *l)
{
    char address[80];
    size_t len = sizeof(address);

    assert_status(
        flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
        FLOW_OK);
    return (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

static struct flow_listener *
listen_tcp(void)
{
    struct flow_listener *l;

    assert_status(flow_tcp_listen(TEST_ENV, "127.0.0.1", 0, NULL, &l, NULL),
                  FLOW_OK);
    return l;
}

/* A server refuses the client, and closes at once when it knows. */
static void
refuse_over_tcp(struct flow_listener *l, struct client *c,
                struct flow_error *ret_err)
{
    struct flow *lower, *f;

    c->port = port_of(l);
    assert_int_equal(pthread_create(&c->thread, NULL, client_main, c), 0);
    assert_status(flow_accept_wait(l, &lower), FLOW_OK);
    assert_status(flow_tls_wrap_server(server, lower, 0, &f, NULL), FLOW_OK);
    assert_status(flow_open_wait(f), FLOW_E_PROTO);
    flow_get_error(f, FLOW_READ, ret_err);
    flow_close(f);
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    assert_status(c->dialled, FLOW_OK);
    assert_status(c->wrote, FLOW_OK);
    assert_status(c->end, FLOW_EOF);
}

static void
client_got(const struct client *c, const void *bytes, size_t len)
{
    assert_int_equal(c->got_len, len);
    assert_memory_equal(c->got, bytes, len);
}

static void
an_alert_survives_unread_input(void **state)
{
    struct flow_listener *l;
    struct flow_error err;

    (void)state;
    begin(FLOW_TLS_SNI_REJECT);
    l = listen_tcp();
    for (int i = 0; i < ROUNDS; i++) {
        struct client c = { .bytes = hello, .len = hello_len + MORE };

        /* All at once; the hello byte by byte; a hello and half of the rest. */
        c.singles = i % 4 == 1 ? hello_len : i % 4 == 2 ? hello_len - 1 : 0;
        refuse_over_tcp(l, &c, &err);
        client_got(&c, alert_112, sizeof(alert_112));
        assert_int_equal(err.alert_sent, 112);
    }
    flow_listener_close(l);
    flow_tls_config_unref(server);
}

static void
a_hello_in_two_records_is_refused_once(void **state)
{
    const size_t head = 5, first = 40;
    uint8_t split[HELLO_MAX + 5];
    size_t rest;
    struct flow_listener *l;
    struct flow_error err;
    struct client c = { .bytes = split };

    (void)state;
    begin(FLOW_TLS_SNI_REJECT);
    rest = hello_len - head - first;
    memcpy(split, hello, head + first);
    split[3] = 0;
    split[4] = (uint8_t)first;
    memcpy(split + head + first, hello, head);
    split[head + first + 3] = (uint8_t)(rest >> 8);
    split[head + first + 4] = (uint8_t)rest;
    memcpy(split + head + first + head, hello + head + first, rest);
    c.len = hello_len + head;
    c.singles = c.len;
    l = listen_tcp();
    refuse_over_tcp(l, &c, &err);
    client_got(&c, alert_112, sizeof(alert_112));
    flow_listener_close(l);
    flow_tls_config_unref(server);
}

static void
text_is_answered_in_the_clear(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    struct flow_listener *l;
    struct flow_error err;

    (void)state;
    begin_with_answer();
    l = listen_tcp();
    for (int i = 0; i < 20; i++) {
        struct client c = { .bytes = request, .len = sizeof(request) - 1 };

        c.singles = i % 2 == 0 ? 0 : c.len;
        refuse_over_tcp(l, &c, &err);
        client_got(&c, answer, sizeof(answer) - 1);
        assert_int_equal(err.alert_sent, -1);
        assert_string_equal(err.text, "the peer does not speak TLS");
        assert_string_equal(err.detail, "GET /");
    }
    flow_listener_close(l);
    flow_tls_config_unref(server);
}

/* --- both ends in this thread ----------------------------------------------
 */

static void
tcp_ends(struct ends *e)
{
    struct flow_listener *l = listen_tcp();

    *e = (struct ends){ 0 };
    assert_status(
        flow_tcp_dial(TEST_ENV, "127.0.0.1", port_of(l), NULL, &e->a, NULL),
        FLOW_OK);
    assert_status(flow_open_wait(e->a), FLOW_OK);
    assert_status(flow_accept_wait(l, &e->b), FLOW_OK);
    flow_listener_close(l);
}

static void
pair_ends(struct ends *e)
{
    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, 131072, NULL, &e->a, &e->b), FLOW_OK);
}

static void
serve(struct ends *e, uint32_t flags, struct flow **ret_tls)
{
    assert_status(flow_tls_wrap_server(server, e->b, flags, ret_tls, NULL),
                  FLOW_OK);
}

static void
say(struct ends *e, const void *bytes, size_t len)
{
    assert_status(flow_write_all(e->a, bytes, len, NULL), FLOW_OK);
}

/* The client reads these bytes and the end, and nothing else. */
static void
hears(struct ends *e, const void *bytes, size_t len)
{
    uint8_t got[256];
    size_t n;

    if (len > 0) {
        assert_status(flow_read_exact(e->a, got, len, &n), FLOW_OK);
        assert_memory_equal(got, bytes, len);
    }
    assert_status(flow_read_wait(e->a, got, 1, &n), FLOW_EOF);
}

static void
over_a_pair_nothing_is_lost_without_waiting(void **state)
{
    struct flow_error err;
    struct ends e;

    (void)state;
    begin(FLOW_TLS_SNI_REJECT);
    pair_ends(&e);
    serve(&e, 0, &e.b);
    say(&e, hello, hello_len + MORE);
    assert_status(flow_open(e.b), FLOW_E_PROTO);
    flow_get_error(e.b, FLOW_WRITE, &err);
    assert_int_equal(err.alert_sent, 112);
    hears(&e, alert_112, sizeof(alert_112));
    ends_close(&e);
    flow_tls_config_unref(server);
}

static void
a_client_that_does_not_end_is_waited_for_a_second(void **state)
{
    struct flow_wait_set set;
    struct flow_error err;
    struct ends e;
    uint64_t before;

    (void)state;
    test_env_stop_clock();
    begin(FLOW_TLS_SNI_REJECT);
    tcp_ends(&e);
    serve(&e, 0, &e.b);
    say(&e, hello, hello_len);
    do
        assert_status(flow_open(e.b), FLOW_AGAIN);
    while (step_ready(e.a, FLOW_READY_READ) == 0);
    hears(&e, alert_112, sizeof(alert_112));
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(e.b, FLOW_READY_OPEN, &set), 0);
    before = flow_now(e.b);
    assert_true(set.deadline > before && set.deadline <= before + LIMIT_NS);
    assert_true(set.count > 0);
    /* The stopped clock jumps to the limit. */
    assert_status(flow_open_wait(e.b), FLOW_E_PROTO);
    assert_int_equal(flow_now(e.b), set.deadline);
    flow_get_error(e.b, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 112);
    ends_close(&e);
    flow_tls_config_unref(server);
}

static void
a_deadline_ends_the_waiting(void **state)
{
    struct flow_error err;
    struct ends e;
    uint64_t deadline;

    (void)state;
    test_env_stop_clock();
    begin(FLOW_TLS_SNI_REJECT);
    tcp_ends(&e);
    serve(&e, 0, &e.b);
    deadline = flow_now(e.b) + LIMIT_NS / 10;
    flow_set_deadline(e.b, FLOW_READ | FLOW_WRITE, deadline);
    say(&e, hello, hello_len);
    assert_status(flow_open_wait(e.b), FLOW_E_PROTO);
    assert_int_equal(flow_now(e.b), deadline);
    flow_get_error(e.b, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 112);
    ends_close(&e);
    flow_tls_config_unref(server);
}

static void
a_client_that_does_not_stop_is_cut_off(void **state)
{
    enum flow_status st = FLOW_AGAIN;
    struct ends e;
    uint64_t sent = 0, before;
    size_t n;

    (void)state;
    test_env_stop_clock();
    begin(FLOW_TLS_SNI_REJECT);
    tcp_ends(&e);
    serve(&e, 0, &e.b);
    before = flow_now(e.b);
    say(&e, hello, hello_len);
    /* The stopped clock does not end it. */
    while (st == FLOW_AGAIN) {
        (void)!flow_write(e.a, hello, 4096, &n);
        sent += n;
        st = flow_open(e.b);
    }
    assert_status(st, FLOW_E_PROTO);
    assert_int_equal(flow_now(e.b), before);
    assert_true(sent >= 131072);
    ends_close(&e);
    flow_tls_config_unref(server);
}

static void
a_borrowed_flow_stays_open(void **state)
{
    struct flow *tls;
    struct ends e;
    uint8_t got[16];
    size_t n;

    (void)state;
    begin(FLOW_TLS_SNI_REJECT);
    tcp_ends(&e);
    serve(&e, FLOW_TLS_BORROW, &tls);
    say(&e, hello, hello_len);
    /* It does not wait for the client, which does not end. */
    assert_status(flow_open_wait(tls), FLOW_E_PROTO);
    flow_close(tls);
    assert_status(flow_write_all(e.b, "bye", 3, NULL), FLOW_OK);
    assert_status(flow_read_exact(e.a, got, sizeof(alert_112) + 3, &n),
                  FLOW_OK);
    assert_memory_equal(got, alert_112, sizeof(alert_112));
    assert_memory_equal(got + sizeof(alert_112), "bye", 3);
    say(&e, "more", 4);
    assert_status(flow_read_exact(e.b, got, 4, &n), FLOW_OK);
    assert_memory_equal(got, "more", 4);
    ends_close(&e);
    flow_tls_config_unref(server);
}

static void
a_dropped_client_gets_no_byte(void **state)
{
    struct flow_error err;
    struct ends e;
    uint8_t byte;
    size_t n;

    (void)state;
    begin(FLOW_TLS_SNI_DROP);
    tcp_ends(&e);
    serve(&e, 0, &e.b);
    say(&e, hello, hello_len);
    assert_status(flow_open_wait(e.b), FLOW_E_PROTO);
    flow_get_error(e.b, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, -1);
    flow_close(e.b);
    e.b = NULL;
    assert_status(flow_read_wait(e.a, &byte, 1, &n), FLOW_EOF);
    ends_close(&e);
    flow_tls_config_unref(server);
}

/* --- the first bytes -------------------------------------------------------
 */

static void
first_bytes_get(const char *bytes, size_t len, const void *expected,
                size_t expected_len, const char *detail)
{
    struct flow_error err;
    struct ends e;

    guard_case(detail);
    pair_ends(&e);
    serve(&e, 0, &e.b);
    for (size_t i = 0; i < len; i++) {
        assert_status(flow_open(e.b), FLOW_AGAIN);
        say(&e, bytes + i, 1);
    }
    assert_status(flow_open(e.b), FLOW_E_PROTO);
    flow_get_error(e.b, FLOW_READ, &err);
    assert_string_equal(err.text, "the peer does not speak TLS");
    assert_string_equal(err.detail, detail);
    assert_int_equal(err.alert_sent, expected == alert_10 ? 10 : -1);
    hears(&e, expected, expected_len);
    ends_close(&e);
    guard_case(NULL);
}

static void
only_text_is_answered(void **state)
{
    (void)state;
    begin_with_answer();
    first_bytes_get("HEAD ", 5, answer, sizeof(answer) - 1, "HEAD ");
    first_bytes_get("~ ~ ~", 5, answer, sizeof(answer) - 1, "~ ~ ~");
    /* Binary, a hello of SSL 2.0, text that is interrupted. */
    first_bytes_get("\0\0\0\0\0", 5, alert_10, sizeof(alert_10), "");
    first_bytes_get("\x80\x2e\x01\x03\x01", 5, alert_10, sizeof(alert_10), "");
    first_bytes_get("GET \x7f", 5, alert_10, sizeof(alert_10), "");
    first_bytes_get("GET\r\n", 5, alert_10, sizeof(alert_10), "");
    flow_tls_config_unref(server);
}

static void
without_an_answer_text_gets_the_alert(void **state)
{
    (void)state;
    begin_with_answer();
    assert_status(flow_tls_config_set_text_answer(server, NULL, 0), FLOW_OK);
    first_bytes_get("GET /", 5, alert_10, sizeof(alert_10), "GET /");
    flow_tls_config_unref(server);
}

static void
the_answer_has_limits(void **state)
{
    static char text[4097];
    struct flow_tls_config *client;

    (void)state;
    begin(FLOW_TLS_SNI_REJECT);
    assert_status(flow_tls_config_set_text_answer(server, text, 4097),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_set_text_answer(server, text, 4096), FLOW_OK);
    test_env_fail(1, false);
    assert_status(flow_tls_config_set_text_answer(server, "a", 1),
                  FLOW_E_NOMEM);
    test_env_fail(0, false);
    assert_status(flow_tls_config_freeze(server, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_text_answer(server, "a", 1), FLOW_E_BUSY);
    flow_tls_config_unref(server);
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_text_answer(client, "a", 1),
                  FLOW_E_NOTSUP);
    flow_tls_config_unref(client);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_alert_survives_unread_input),
        TEST(a_hello_in_two_records_is_refused_once),
        TEST(text_is_answered_in_the_clear),
        TEST(over_a_pair_nothing_is_lost_without_waiting),
        TEST(a_client_that_does_not_end_is_waited_for_a_second),
        TEST(a_deadline_ends_the_waiting),
        TEST(a_client_that_does_not_stop_is_cut_off),
        TEST(a_borrowed_flow_stays_open),
        TEST(a_dropped_client_gets_no_byte),
        TEST(only_text_is_answered),
        TEST(without_an_answer_text_gets_the_alert),
        TEST(the_answer_has_limits),
    };

    return TEST_RUN(tests);
}
