/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_holder.h>
#include <flow/tls_session.h>
#include <flow/util.h>

#include "child.h"
#include "pki.h"
#include "step.h"

/*
 * Ticket keys and a store that outlive a configuration or a process: a server
 * whose configuration is replaced by one of another epoch, a forked process, a
 * store that is exported while it is used, and a handshake whose other side
 * stops at any message.
 */

static const enum flow_tls_version versions[] = { FLOW_TLS_1_2, FLOW_TLS_1_3 };

static enum flow_tls_version version;
static struct flow_tls_tickets *tickets;
static struct flow_tls_sessions *store;
static struct flow_tls_config *client;

static void
begin(enum flow_tls_version v)
{
    version = v;
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
    assert_status(flow_tls_sessions_new(TEST_ENV, &store, NULL), FLOW_OK);
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_versions(client, v, v), FLOW_OK);
    assert_status(flow_tls_config_set_sessions(client, store, 4, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_handshake_limits(client, STEP_LIMIT, 0),
                  FLOW_OK);
}

static void
finish(void)
{
    flow_tls_config_unref(client);
    flow_tls_sessions_unref(store);
    flow_tls_tickets_unref(tickets);
}

static struct flow_tls_config *
server_of(uint64_t epoch)
{
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_tickets(c, tickets, epoch, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_handshake_limits(c, STEP_LIMIT, 0),
                  FLOW_OK);
    return c;
}

static struct ends
connect_to(struct flow_tls_config *server)
{
    struct ends e = { 0 };

    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e.a, &e.b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e.a, "server.example", 0, &e.a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(server, e.b, 0, &e.b, NULL), FLOW_OK);
    return e;
}

/* Complete a connection, whose data bring its tickets; whether it was
 * resumed. */
static bool
completes_resumed(struct ends *e)
{
    struct flow_tls_info info;

    step_open(e);
    step_pass(e, e->b, 100, 1);
    step_pass(e, e->a, 100, 2);
    assert_status(flow_tls_get_info(e->a, &info), FLOW_OK);
    ends_close(e);
    return info.resumed;
}

/* --- another configuration --- */

static struct ends
connect_by(struct flow_tls_holder *h)
{
    struct flow_tls_config *c = flow_tls_holder_get(h);
    struct ends e = connect_to(c);

    flow_tls_config_unref(c);
    return e;
}

static bool
resumes_by(struct flow_tls_holder *h)
{
    struct ends e = connect_by(h);

    return completes_resumed(&e);
}

static void
replace(struct flow_tls_holder *h, uint64_t epoch)
{
    struct flow_tls_config *c = server_of(epoch);

    assert_status(flow_tls_holder_set(h, c, NULL), FLOW_OK);
    flow_tls_config_unref(c);
}

/* Tickets of the epoch before give a full handshake; those of a configuration
 * that was loaded again with the same epoch are good.  A connection that was
 * accepted before the replacement still resumes. */
static void
a_reload_with_another_epoch_ends_sessions(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_tls_config *c;
        struct flow_tls_holder *h;
        struct ends before;

        begin(versions[i]);
        c = server_of(1);
        assert_status(flow_tls_holder_new(TEST_ENV, c, &h, NULL), FLOW_OK);
        flow_tls_config_unref(c);
        assert_false(resumes_by(h));
        assert_true(resumes_by(h));
        replace(h, 1);
        assert_true(resumes_by(h));
        before = connect_by(h);
        replace(h, 2);
        assert_true(completes_resumed(&before));
        flow_tls_sessions_clear(store);
        replace(h, 1);
        assert_false(resumes_by(h));
        replace(h, 2);
        assert_false(resumes_by(h));
        flow_tls_holder_unref(h);
        finish();
    }
}

/* --- another process --- */

/* The child's connection: true if it works and is resumed. */
static bool
child_resumes(struct flow_tls_config *server)
{
    enum flow_status st[2] = { FLOW_AGAIN, FLOW_AGAIN };
    struct flow_tls_info info;
    struct flow *a, *b;
    bool ok;

    if (flow_pair_new(NULL, 65536, NULL, &a, &b) != FLOW_OK ||
        flow_tls_wrap_client(client, a, "server.example", 0, &a, NULL) !=
            FLOW_OK ||
        flow_tls_wrap_server(server, b, 0, &b, NULL) != FLOW_OK)
        return false;
    for (int i = 0; i < 100 && (st[0] == FLOW_AGAIN || st[1] == FLOW_AGAIN);
         i++) {
        st[0] = flow_open(a);
        st[1] = flow_open(b);
    }
    ok = st[0] == FLOW_OK && st[1] == FLOW_OK &&
         flow_tls_get_info(b, &info) == FLOW_OK && info.resumed;
    flow_close(a);
    flow_close(b);
    return ok;
}

/* A forked process has a copy of the keys and of the sessions.  Both resume,
 * and what one does with its copy does not change the other's. */
static void
a_forked_process_has_copies(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_tls_config *server;
        struct ends e;
        pid_t child;

        begin(versions[i]);
        server = server_of(0);
        e = connect_to(server);
        assert_false(completes_resumed(&e));
        child = child_begin();
        if (child == 0) {
            CHILD_CHECK(child_resumes(server));
            flow_tls_sessions_clear(store);
            CHILD_CHECK(flow_tls_sessions_count(store) == 0);
            child_end();
        }
        child_join(child);
        assert_true(flow_tls_sessions_count(store) > 0);
        e = connect_to(server);
        assert_true(completes_resumed(&e));
        flow_tls_config_unref(server);
        finish();
    }
}

/* --- a store that others use --- */

#define EXPORT_MAX 16384

static const uint8_t export_key[FLOW_TLS_SESSIONS_KEY_LEN] = { 1 };

static bool
resumes_at(struct flow_tls_config *server, const char *peer)
{
    struct ends e = connect_to(server);

    assert_status(flow_tls_set_session_peer(e.a, peer), FLOW_OK);
    return completes_resumed(&e);
}

/* What is imported is older than what the store has.  So is what an export,
 * which fails, puts back. */
static void
an_import_displaces_no_newer_session(void **state)
{
    static uint8_t bytes[EXPORT_MAX];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_tls_config *server;
        size_t len;

        begin(versions[i]);
        server = server_of(0);
        assert_false(resumes_at(server, "older"));
        assert_status(flow_tls_sessions_export(store, export_key, bytes,
                                               sizeof(bytes), &len),
                      FLOW_OK);
        assert_status(flow_tls_sessions_set_limits(store, 1, SIZE_MAX),
                      FLOW_OK);
        assert_false(resumes_at(server, "newer"));
        assert_status(
            flow_tls_sessions_import(store, export_key, bytes, len, NULL),
            FLOW_OK);
        assert_int_equal(flow_tls_sessions_count(store), 1);
        assert_true(resumes_at(server, "newer"));
        flow_tls_config_unref(server);
        finish();
    }
}

static bool clears;

/* An environment's memory, in place of a thread that clears the store while
 * another exports it. */
static void *
alloc_and_clear(void *ctx, size_t size, size_t align)
{
    if (clears)
        flow_tls_sessions_clear(store);
    return TEST_ENV->alloc(ctx, size, align);
}

/* An export that fails does not bring back what was cleared meanwhile. */
static void
a_failed_export_restores_nothing_cleared(void **state)
{
    struct flow_env env = *TEST_ENV;
    struct flow_tls_config *server;
    size_t len;

    (void)state;
    env.alloc = alloc_and_clear;
    begin(FLOW_TLS_1_3);
    server = server_of(0);
    flow_tls_sessions_unref(store);
    assert_status(flow_tls_sessions_new(&env, &store, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_sessions(client, store, 4, NULL),
                  FLOW_OK);
    assert_false(resumes_at(server, "peer"));
    assert_status(flow_tls_sessions_export(store, export_key, NULL, 0, &len),
                  FLOW_E_INVAL);
    assert_true(flow_tls_sessions_count(store) > 0);
    clears = true;
    assert_status(flow_tls_sessions_export(store, export_key, NULL, 0, &len),
                  FLOW_E_INVAL);
    clears = false;
    assert_int_equal(flow_tls_sessions_count(store), 0);
    flow_tls_config_unref(server);
    finish();
}

/* --- a side that stops --- */

/* Both ends of a connection, with a tap below each TLS flow. */
struct tapped {
    struct ends e;
    struct tap *tap[2];
    struct wire wire[2]; /* what that side wrote */
};

static void
connect_tapped(struct tapped *t, struct flow_tls_config *server)
{
    *t = (struct tapped){ 0 };
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &t->e.a, &t->e.b),
                  FLOW_OK);
    t->e.a = tap_wrap(t->e.a, &t->wire[0], &t->tap[0]);
    t->e.b = tap_wrap(t->e.b, &t->wire[1], &t->tap[1]);
    assert_status(flow_tls_wrap_client(client, t->e.a, "server.example", 0,
                                       &t->e.a, NULL),
                  FLOW_OK);
    assert_status(flow_tls_wrap_server(server, t->e.b, 0, &t->e.b, NULL),
                  FLOW_OK);
}

static void
close_tapped(struct tapped *t)
{
    ends_close(&t->e);
    wire_free(&t->wire[0]);
    wire_free(&t->wire[1]);
}

/* Put a session into the store, which has no other. */
static void
prime(struct flow_tls_config *server)
{
    struct ends e = connect_to(server);

    flow_tls_sessions_clear(store);
    (void)completes_resumed(&e);
    assert_true(flow_tls_sessions_count(store) > 0);
}

/* Bytes of the first records on a wire; the last of them ends the wire. */
static size_t
length_of_records(const struct wire *w, size_t count)
{
    size_t at = 0;

    while (count-- > 0 && at < w->len)
        at += 5 + ((size_t)w->data[at + 3] << 8 | w->data[at + 4]);
    return at;
}

/* One side of a resumed handshake gets so many bytes of the other's and no
 * more.  Whether it gives up in time; false: it was open by then. */
static bool
gives_up_after(struct flow_tls_config *server, bool is_server, size_t bytes)
{
    const size_t kept = flow_tls_sessions_count(store);
    enum flow_status st = FLOW_AGAIN;
    struct flow_error err;
    struct flow *side, *other;
    struct tapped t;

    connect_tapped(&t, server);
    side = is_server ? t.e.b : t.e.a;
    other = is_server ? t.e.a : t.e.b;
    tap_gate(t.tap[is_server], FLOW_READ, bytes);
    for (int i = 0; i < 20 && st == FLOW_AGAIN; i++) {
        (void)!flow_open(other);
        st = flow_open(side);
    }
    if (st != FLOW_OK) {
        /* What a client offered is used up. */
        if (!is_server)
            assert_int_equal(flow_tls_sessions_count(store), kept - 1);
        test_env_stop_clock();
        assert_status(flow_open_wait(side), FLOW_E_TIMEOUT);
        flow_get_error(side, FLOW_READ, &err);
        assert_non_null(strstr(err.text, "longer than its limit"));
        test_env.manual = false;
    }
    close_tapped(&t);
    return st != FLOW_OK;
}

/* The other side stops after each of its records, and inside of each. */
static void
stop_after_each(bool is_server)
{
    struct flow_tls_config *server = server_of(0);
    struct tapped t;
    struct wire seen;
    size_t stops = 0;

    prime(server);
    connect_tapped(&t, server);
    step_open(&t.e);
    seen = t.wire[!is_server];
    t.wire[!is_server] = (struct wire){ 0 };
    close_tapped(&t);
    for (size_t n = 0; length_of_records(&seen, n) < seen.len; n++) {
        const size_t at = length_of_records(&seen, n);

        prime(server);
        if (!gives_up_after(server, is_server, at))
            break;
        prime(server);
        assert_true(gives_up_after(server, is_server, at + 3));
        stops++;
    }
    assert_true(stops >= 3);
    prime(server);
    wire_free(&seen);
    flow_tls_config_unref(server);
}

static void
a_server_that_stops_is_given_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin(versions[i]);
        stop_after_each(false);
        finish();
    }
}

static void
a_client_that_stops_is_given_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin(versions[i]);
        stop_after_each(true);
        finish();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reload_with_another_epoch_ends_sessions),
        TEST(a_forked_process_has_copies),
        TEST(an_import_displaces_no_newer_session),
        TEST(a_failed_export_restores_nothing_cleared),
        TEST(a_server_that_stops_is_given_up),
        TEST(a_client_that_stops_is_given_up),
    };

    return TEST_RUN(tests);
}
