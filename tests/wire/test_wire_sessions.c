/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/tls_export.h>
#include <flow/tls_session.h>

#include "evil.h"
#include "lie.h"
#include "pki.h"
#include "test.h"

/*
 * Resumed handshakes with an attacker between the two, who changes any byte of
 * any record, repeats records, and leaves them out; a server that resumes
 * without the extended master secret; tickets that make no session.
 */

static struct evil evil;
static struct flow_tls_sessions *store;
static struct flow_tls_tickets *tickets;
static SSL_SESSION *session; /* of OpenSSL's client */

static int
on_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

static void
begin(void)
{
    assert_status(flow_tls_sessions_new(TEST_ENV, &store, NULL), FLOW_OK);
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
}

static void
finish(void)
{
    SSL_SESSION_free(session);
    session = NULL;
    flow_tls_sessions_unref(store);
    flow_tls_tickets_unref(tickets);
}

/* Both sides resume; OpenSSL's server always has the same keys. */
static void
set_up(bool we_serve, int version)
{
    static unsigned char keys[80];

    evil_init(&evil, we_serve, version);
    SSL_CTX_clear_options(evil.peer.ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(evil.peer.ctx, 1);
    if (we_serve) {
        assert_status(
            flow_tls_config_set_tickets(evil.config, tickets, 0, NULL),
            FLOW_OK);
        SSL_CTX_set_session_cache_mode(
            evil.peer.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(evil.peer.ctx, on_session);
    } else {
        SSL_CTX_set_tlsext_ticket_keys(evil.peer.ctx, keys, sizeof(keys));
        assert_status(flow_tls_config_set_sessions(evil.config, store, 1, NULL),
                      FLOW_OK);
    }
}

/* A full handshake, and its ticket. */
static void
prime(bool we_serve, int version)
{
    uint8_t buf[10];
    size_t n;

    flow_tls_sessions_clear(store);
    set_up(we_serve, version);
    evil_start(&evil);
    evil_run(&evil);
    assert_status(evil.status, FLOW_OK);
    if (we_serve) {
        (void)ossl_read(&evil.peer, buf, sizeof(buf));
        assert_non_null(session);
    } else {
        assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_AGAIN);
        assert_int_equal(flow_tls_sessions_count(store), 1);
    }
    evil_free(&evil);
}

/* A handshake that offers the session. */
static void
resume(bool we_serve, int version,
       void (*edit)(struct evil *e, struct evil_record *r))
{
    set_up(we_serve, version);
    evil.edit = edit;
    evil_start(&evil);
    if (we_serve)
        assert_int_equal(SSL_set_session(evil.peer.ssl, session), 1);
}

static bool
was_resumed(void)
{
    struct flow_tls_info info;

    assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
    return info.resumed;
}

enum { FLIP, REPEAT, DROP, KINDS };

static int kind;
static size_t target; /* byte of all records, or number of the record */
static size_t passed;
static bool is_hit;

static void
interfere(struct evil *e, struct evil_record *r)
{
    size_t unit = kind == FLIP ? r->len : 1;

    /* change_cipher_spec of TLS 1.3 means nothing. */
    if (e->status == FLOW_OK || (!e->tls12 && r->type == 20))
        return;
    if (target >= passed && target < passed + unit) {
        is_hit = true;
        if (kind == FLIP)
            r->content[target - passed] ^= 0x11;
        if (kind == REPEAT && r->epoch == EVIL_PLAIN)
            evil_plain(e, r->type, r->content, r->len);
        else if (kind == REPEAT)
            evil_sealed(e, r->epoch, r->type, r->content, r->len);
        r->drop = r->drop || kind == DROP;
    }
    passed += unit;
}

/* One case; false: there is no such byte or record. */
static bool
interfered(bool we_serve, int version)
{
    uint8_t buf[10];
    size_t n;

    prime(we_serve, version);
    is_hit = false;
    passed = 0;
    resume(we_serve, version, interfere);
    evil_run(&evil);
    if (!is_hit) {
        assert_status(evil.status, FLOW_OK);
        assert_true(was_resumed());
    } else if (evil.status == FLOW_OK && ossl_open(&evil.peer) &&
               evil_read(&evil, buf, sizeof(buf), &n) >= 0) {
        fail_msg("kind %d, %zu is accepted", kind, target);
    }
    evil_free(&evil);
    return is_hit;
}

/* Whatever changes, the connection does not work. */
static void
interfere_with(bool we_serve, int version)
{
    begin();
    for (kind = FLIP; kind < KINDS; kind++) {
        target = 0;
        while (interfered(we_serve, version))
            target++;
        assert_in_range(target, kind == FLIP ? 80 : 1, 10000);
    }
    finish();
}

static void
no_change_is_accepted_by_a_tls12_client(void **state)
{
    (void)state;
    interfere_with(false, 0x0303);
}

static void
no_change_is_accepted_by_a_tls13_client(void **state)
{
    (void)state;
    interfere_with(false, 0x0304);
}

static void
no_change_is_accepted_by_a_tls12_server(void **state)
{
    (void)state;
    interfere_with(true, 0x0303);
}

static void
no_change_is_accepted_by_a_tls13_server(void **state)
{
    (void)state;
    interfere_with(true, 0x0304);
}

/* Take extended_master_secret out of a ServerHello, which has it as
 * 00 17 00 00. */
static void
strip_extended(struct evil *e, struct evil_record *r)
{
    static const uint8_t extension[4] = { 0, 23, 0, 0 };
    uint8_t *list = r->content + 4 + 2 + 32;

    (void)e;
    if (r->type != 22 || r->content[0] != 2)
        return;
    list += 1 + list[0] + 2 + 1;
    for (size_t i = (size_t)(list - r->content) + 2; i + 4 <= r->len; i++)
        if (memcmp(r->content + i, extension, 4) == 0) {
            memmove(r->content + i, r->content + i + 4, r->len - i - 4);
            r->len -= 4;
            list[1] = (uint8_t)(list[1] - 4);
            r->content[3] = (uint8_t)(r->content[3] - 4);
            return;
        }
}

/* RFC 7627 5.3: the client must end such a handshake. */
static void
a_session_is_not_resumed_without_the_extended_master_secret(void **state)
{
    (void)state;
    begin();
    evil_wrong = 0;
    prime(false, 0x0303);
    resume(false, 0x0303, strip_extended);
    evil_run(&evil);
    evil_refused(&evil, FLOW_E_PROTO, 40, EVIL_PLAIN);
    assert_int_equal(evil_wrong, 0);
    evil_free(&evil);
    finish();
}

/* The offset of the suite in a ServerHello. */
static size_t
suite_at(const struct evil_record *r)
{
    return 4 + 2 + 32 + 1 + (size_t)r->content[4 + 2 + 32];
}

/* Another suite that the client offers. */
static void
change_suite(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (r->type == 22 && r->content[0] == 2)
        r->content[suite_at(r) + 1] = 0x2c;
}

/* Another session id than the one that the client sent with its ticket. */
static void
change_session_id(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (r->type == 22 && r->content[0] == 2)
        r->content[4 + 2 + 32 + 1] ^= 1;
}

static void
add_server_extension(struct evil_record *r, const uint8_t *bytes, size_t len)
{
    uint8_t *list = r->content + suite_at(r) + 3;

    memmove(list + 2 + len, list + 2, r->len - (size_t)(list + 2 - r->content));
    memcpy(list + 2, bytes, len);
    r->len += len;
    list[1] = (uint8_t)(list[1] + len);
    r->content[3] = (uint8_t)(r->content[3] + len);
}

/* Promise a ticket that does not come. */
static void
promise_ticket(struct evil *e, struct evil_record *r)
{
    static const uint8_t promise[] = { 0, 35, 0, 0 };

    (void)e;
    if (r->type == 22 && r->content[0] == 2)
        add_server_extension(r, promise, sizeof(promise));
}

/* RFC 5246 7.4.1.3: a session is resumed with its suite and its id. */
static void
a_session_is_resumed_as_it_was(void **state)
{
    static const struct {
        void (*edit)(struct evil *e, struct evil_record *r);
        int alert;
    } edits[] = {
        { change_suite, 47 },
        { change_session_id, 10 },
        { promise_ticket, 10 },
    };

    (void)state;
    begin();
    evil_wrong = 0;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        prime(false, 0x0303);
        resume(false, 0x0303, edits[i].edit);
        evil_run(&evil);
        evil_refused(&evil, FLOW_E_PROTO, edits[i].alert, EVIL_PLAIN);
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
    finish();
}

/* What both sides export is equal. */
static void
exports_agree(void)
{
    static const char label[] = "EXPERIMENTAL tickets";
    uint8_t ours[32], theirs[32];

    assert_status(
        flow_tls_export(evil.ours, label, NULL, 0, ours, sizeof(ours)),
        FLOW_OK);
    assert_int_equal(SSL_export_keying_material(evil.peer.ssl, theirs,
                                                sizeof(theirs), label,
                                                sizeof(label) - 1, NULL, 0, 0),
                     1);
    assert_memory_equal(ours, theirs, sizeof(ours));
}

/* Both directions work, and no record that the engine wrote was sent: OpenSSL
 * opens all of ours. */
static void
connection_works(void)
{
    uint8_t buf[10];
    size_t n;

    evil_sealed(&evil, EVIL_DATA, 23, "hello", 5);
    assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, 5);
    for (int k = 0; k < 3; k++) {
        assert_status(flow_write(evil.ours, "there", 5, &n), FLOW_OK);
        assert_int_equal(n, 5);
        assert_status(flow_flush(evil.ours), FLOW_OK);
        evil_run(&evil);
        assert_int_equal(ossl_read(&evil.peer, buf, sizeof(buf)), 5);
    }
    assert_int_equal(evil.peer.fatal_in, 0);
}

/* Tickets of which the engine makes no session.  The connection goes on; an
 * engine that is kept for exporters still answers. */
static void
a_useless_ticket_changes_nothing(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } useless[] = {
        /* valid for 0 s, and for longer than 7 days */
        { "\4\0\0\16\0\0\0\0\0\0\0\0\0\0\1x\0\0", 18 },
        { "\4\0\0\16\377\377\377\377\0\0\0\0\0\0\1x\0\0", 18 },
    };
    (void)state;
    begin();
    for (size_t i = 0; i < 4; i++) {
        bool keeps;

        set_up(false, 0x0304);
        SSL_CTX_set_num_tickets(evil.peer.ctx, 0);
        /* FLOW_E_NOTSUP: the engine of this build has no exporter. */
        keeps = i / 2 == 1 &&
                flow_tls_config_keep_engine(evil.config, true) == FLOW_OK;
        evil_start(&evil);
        evil_run(&evil);
        assert_status(evil.status, FLOW_OK);
        for (int k = 0; k < 3; k++)
            evil_sealed(&evil, EVIL_DATA, 22, useless[i % 2].bytes,
                        useless[i % 2].len);
        connection_works();
        if (keeps)
            exports_agree();
        assert_int_equal(flow_tls_sessions_count(store), 0);
        evil_free(&evil);
    }
    finish();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_change_is_accepted_by_a_tls12_client),
        TEST(no_change_is_accepted_by_a_tls13_client),
        TEST(no_change_is_accepted_by_a_tls12_server),
        TEST(no_change_is_accepted_by_a_tls13_server),
        TEST(a_session_is_not_resumed_without_the_extended_master_secret),
        TEST(a_session_is_resumed_as_it_was),
        TEST(a_useless_ticket_changes_nothing),
    };

    return TEST_RUN(tests);
}
