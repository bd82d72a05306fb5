/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <flow/listener.h>
#include <flow/poller.h>
#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/util.h>

#include "pki.h"
#include "step.h"
#include "wrap.h"

/*
 * How much memory an idle TLS connection holds, as malloc(3) counts it: above
 * its transport, and with a TCP flow and its place in a poller.  Traffic adds
 * nothing once the connection is idle again.  A connection is idle when its
 * owner has asked what to wait for and nothing was ready.
 *
 * With FLOW_TEST_HEAP in the environment, every allocation of an idle
 * connection is listed with its callers.
 */

#define LIMIT_TLS   1700
#define LIMIT_WHOLE 2900

#define MIB    ((size_t)1 << 20)
#define ROUNDS 1000
/* Connections in one poller, whose arrays they share. */
#define CROWD 100

/* What a test of this file needs to count. */
#if defined(__GLIBC__) && UINTPTR_MAX == UINT64_MAX
#define REQUIRE_COUNTS()
#else
#define REQUIRE_COUNTS() skip()
#endif

static struct flow_listener *listener;
static struct flow_poller *poller;

static void
listen_begin(void)
{
    assert_status(flow_tcp_listen(NULL, "127.0.0.1", 0, NULL, &listener, NULL),
                  FLOW_OK);
    assert_status(flow_poller_new(NULL, &poller), FLOW_OK);
}

static void
listen_end(void)
{
    flow_poller_free(poller);
    flow_listener_close(listener);
}

static void
connect_tcp(struct ends *e)
{
    char text[80];
    size_t len = sizeof(text);
    const char *port;

    *e = (struct ends){ 0 };
    assert_status(
        flow_listener_query(listener, FLOW_QUERY_LOCAL_ADDRESS, text, &len),
        FLOW_OK);
    port = strrchr(text, ':');
    assert_non_null(port);
    assert_status(flow_tcp_dial(NULL, "127.0.0.1", (uint16_t)atoi(port + 1),
                                NULL, &e->a, NULL),
                  FLOW_OK);
    assert_status(flow_open_wait(e->a), FLOW_OK);
    assert_status(flow_accept_wait(listener, &e->b), FLOW_OK);
}

/* Configurations with the test keys, shared like those of stacks.h. */
struct configs {
    struct flow_tls_config *client;
    struct flow_tls_config *server;
};

static void
configs_make(struct configs *c, enum flow_tls_version version,
             const char *const *alpn, size_t alpn_count)
{
    struct flow_tls_config *both[2];

    assert_status(flow_tls_config_new_client(NULL, &c->client, NULL), FLOW_OK);
    assert_status(flow_tls_config_new_server(NULL, &c->server, NULL), FLOW_OK);
    assert_status(
        flow_tls_config_add_trust_file(c->client, pki("ca.pem"), NULL),
        FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(c->server, pki("p256.pem"),
                                                   pki("p256.key"), NULL, NULL,
                                                   NULL),
                  FLOW_OK);
    both[0] = c->client;
    both[1] = c->server;
    for (size_t i = 0; i < 2; i++) {
        assert_status(flow_tls_config_set_versions(both[i], version, version),
                      FLOW_OK);
        if (alpn_count > 0)
            assert_status(flow_tls_config_set_alpn(both[i], alpn, alpn_count),
                          FLOW_OK);
        assert_status(flow_tls_config_freeze(both[i], NULL), FLOW_OK);
    }
}

static void
configs_free(struct configs *c)
{
    flow_tls_config_unref(c->client);
    flow_tls_config_unref(c->server);
}

/* One connection over TCP, the server's TCP flow borrowed by its TLS flow. */
struct connection {
    struct configs configs;
    struct ends tcp;
    struct ends tls;
};

/* What a program does before it sleeps. */
static void
wait_for_input(struct flow *f)
{
    assert_int_equal(step_ready(f, FLOW_READY_READ), 0);
}

static void
go_idle(struct connection *c)
{
    wait_for_input(c->tls.a);
    wait_for_input(c->tls.b);
}

static void
connection_open(struct connection *c, enum flow_tls_version version,
                const char *const *alpn, size_t alpn_count)
{
    listen_begin();
    configs_make(&c->configs, version, alpn, alpn_count);
    if (getenv("FLOW_TEST_HEAP") != NULL)
        wrap_note();
    connect_tcp(&c->tcp);
    c->tls = (struct ends){ 0 };
    assert_status(flow_tls_wrap_client(c->configs.client, c->tcp.a,
                                       "server.example", FLOW_TLS_BORROW,
                                       &c->tls.a, NULL),
                  FLOW_OK);
    assert_status(flow_tls_wrap_server(c->configs.server, c->tcp.b,
                                       FLOW_TLS_BORROW, &c->tls.b, NULL),
                  FLOW_OK);
    step_open(&c->tls);
    go_idle(c);
}

static void
connection_close(struct connection *c)
{
    ends_close(&c->tls);
    ends_close(&c->tcp);
    configs_free(&c->configs);
    listen_end();
}

/* What closing a flow gives back. */
static size_t
bytes_of(struct flow **f)
{
    size_t before = wrap_bytes();

    flow_close(*f);
    *f = NULL;
    return before - wrap_bytes();
}

static void
check_server(enum flow_tls_version version)
{
    struct connection c;
    size_t tls;

    REQUIRE_COUNTS();
    connection_open(&c, version, NULL, 0);
    if (getenv("FLOW_TEST_HEAP") != NULL)
        wrap_list();
    tls = bytes_of(&c.tls.b);
    print_message("TLS %zu bytes, TCP %zu\n", tls, bytes_of(&c.tcp.b));
    assert_in_range(tls, 1, LIMIT_TLS);
    connection_close(&c);
}

static void
an_idle_tls13_server_is_small(void **state)
{
    (void)state;
    check_server(FLOW_TLS_1_3);
}

static void
an_idle_tls12_server_is_small(void **state)
{
    (void)state;
    check_server(FLOW_TLS_1_2);
}

/* As many bytes more as the peer's certificates and the names have. */
static void
check_client(enum flow_tls_version version)
{
    static const char *const alpn[] = { "http/1.1" };
    struct flow_tls_info info;
    struct connection c;
    size_t told, client, server;

    REQUIRE_COUNTS();
    connection_open(&c, version, alpn, 1);
    assert_status(flow_tls_get_info(c.tls.a, &info), FLOW_OK);
    assert_string_equal(info.alpn, "http/1.1");
    assert_string_equal(info.matched_name, "server.example");
    assert_true(info.peer_chain_len > 0);
    told = strlen(info.server_name) + strlen(info.matched_name) +
           info.peer_chain_len;
    client = bytes_of(&c.tls.a);
    server = bytes_of(&c.tls.b);
    print_message("client %zu bytes, %zu of them certificates and names; "
                  "server %zu bytes\n",
                  client, told, server);
    assert_in_range(client, told, told + LIMIT_TLS);
    assert_in_range(server, 1, LIMIT_TLS);
    connection_close(&c);
}

static void
a_tls13_client_is_as_small_without_what_it_was_told(void **state)
{
    (void)state;
    check_client(FLOW_TLS_1_3);
}

static void
a_tls12_client_is_as_small_without_what_it_was_told(void **state)
{
    (void)state;
    check_client(FLOW_TLS_1_2);
}

static void
check_traffic(enum flow_tls_version version)
{
    static uint8_t text[100];
    struct connection c;
    size_t fresh;

    REQUIRE_COUNTS();
    connection_open(&c, version, NULL, 0);
    fresh = wrap_bytes();
    step_pass(&c.tls, c.tls.a, MIB, 1);
    step_pass(&c.tls, c.tls.b, MIB, 2);
    go_idle(&c);
    assert_int_equal(wrap_bytes(), fresh);
    for (unsigned i = 0; i < ROUNDS; i++) {
        step_put(&c.tls, c.tls.a, text, sizeof(text));
        step_get(&c.tls, c.tls.b, text, sizeof(text));
        step_put(&c.tls, c.tls.b, text, sizeof(text));
        step_get(&c.tls, c.tls.a, text, sizeof(text));
    }
    go_idle(&c);
    assert_int_equal(wrap_bytes(), fresh);
    connection_close(&c);
}

static void
tls13_traffic_leaves_nothing(void **state)
{
    (void)state;
    check_traffic(FLOW_TLS_1_3);
}

static void
tls12_traffic_leaves_nothing(void **state)
{
    (void)state;
    check_traffic(FLOW_TLS_1_2);
}

/* Have the poller look at all it watches; nothing is ready. */
static void
look(void)
{
    const struct flow_poller_event *events;
    size_t count;

    assert_status(flow_poller_wait(poller, CROWD, FLOW_NOW, &events, &count),
                  FLOW_E_TIMEOUT);
}

/* Bytes of a poller for each of many connections, its arrays included. */
static size_t
bytes_of_places(struct ends *crowd)
{
    size_t before = wrap_bytes(), places;

    for (size_t i = 0; i < CROWD; i++)
        assert_status(
            flow_poller_add(poller, crowd[i].b, FLOW_READY_READ, NULL),
            FLOW_OK);
    look();
    places = wrap_bytes() - before;
    for (size_t i = 0; i < CROWD; i++)
        assert_status(flow_poller_remove(poller, crowd[i].b), FLOW_OK);
    return places / CROWD;
}

static void
open_one(struct ends *e, const struct configs *c)
{
    connect_tcp(e);
    assert_status(
        flow_tls_wrap_client(c->client, e->a, "server.example", 0, &e->a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(c->server, e->b, 0, &e->b, NULL),
                  FLOW_OK);
    step_open(e);
    wait_for_input(e->b);
}

static void
check_place(enum flow_tls_version version)
{
    static struct ends crowd[CROWD];
    struct configs configs;
    size_t place, flows;

    REQUIRE_COUNTS();
    listen_begin();
    configs_make(&configs, version, NULL, 0);
    for (size_t i = 0; i < CROWD; i++)
        open_one(&crowd[i], &configs);
    place = bytes_of_places(crowd);
    flows = bytes_of(&crowd[0].b);
    print_message("flows %zu, place %zu bytes\n", flows, place);
    assert_in_range(place, 1, LIMIT_WHOLE);
    assert_in_range(flows + place, 1, LIMIT_WHOLE);
    for (size_t i = 0; i < CROWD; i++)
        ends_close(&crowd[i]);
    configs_free(&configs);
    listen_end();
}

static void
an_idle_tls13_server_over_tcp_in_a_poller_is_small(void **state)
{
    (void)state;
    check_place(FLOW_TLS_1_3);
}

static void
an_idle_tls12_server_over_tcp_in_a_poller_is_small(void **state)
{
    (void)state;
    check_place(FLOW_TLS_1_2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_tls13_server_is_small),
        TEST(an_idle_tls12_server_is_small),
        TEST(a_tls13_client_is_as_small_without_what_it_was_told),
        TEST(a_tls12_client_is_as_small_without_what_it_was_told),
        TEST(tls13_traffic_leaves_nothing),
        TEST(tls12_traffic_leaves_nothing),
        TEST(an_idle_tls13_server_over_tcp_in_a_poller_is_small),
        TEST(an_idle_tls12_server_over_tcp_in_a_poller_is_small),
    };

    return TEST_RUN(tests);
}
