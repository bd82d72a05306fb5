/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/tls_session.h>

#include "junk.h"
#include "lie.h"
#include "test.h"

/*
 * A server of TLS 1.3 that sends a client any ticket: of any lifetime, length
 * and extensions, in fragments, truncated, and without end; and that claims to
 * resume what the client did not offer.
 */

#define SECOND      UINT64_C(1000000000)
#define WEEK        604800u
#define LARGEST     16384u /* a handshake message */
#define KEPT_MAX    10240u /* the longest of which a session is made */
#define FRAGMENTS   32u    /* records in a row without data */
#define MANY        5000
#define PROTOCOLS   16
#define EARLY_DATA  42
#define KEPT        (-1)
#define IGNORED     (-2)
#define TICKET_FILL 0xa7

static struct evil evil;
static struct flow_tls_sessions *store;

static void
begin(void)
{
    assert_status(flow_tls_sessions_new(TEST_ENV, &store, NULL), FLOW_OK);
    evil_wrong = 0;
}

static void
finish(void)
{
    flow_tls_sessions_unref(store);
    assert_int_equal(evil_wrong, 0);
}

/* A client that offers the most protocols, whose ClientHello is the longest,
 * and keeps so many tickets of a connection. */
static void
connect_to_keep(unsigned tickets)
{
    static char name[PROTOCOLS][256];
    const char *protocols[PROTOCOLS];

    evil_init(&evil, false, 0x0304);
    for (size_t i = 0; i < PROTOCOLS; i++) {
        memset(name[i], 'a' + (int)i, 255);
        protocols[i] = name[i];
    }
    assert_status(flow_tls_config_set_alpn(evil.config, protocols, PROTOCOLS),
                  FLOW_OK);
    assert_status(
        flow_tls_config_set_sessions(evil.config, store, tickets, NULL),
        FLOW_OK);
    evil_start(&evil);
    evil_run(&evil);
    assert_status(evil.status, FLOW_OK);
}

/* Data in both directions, after whatever came before. */
static void
connection_works(void)
{
    uint8_t buf[10];
    size_t n;

    evil_sealed(&evil, DATA, BYTES, "x", 1);
    assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_status(flow_write(evil.ours, "y", 1, &n), FLOW_OK);
    assert_status(flow_flush(evil.ours), FLOW_OK);
    evil_run(&evil);
    assert_int_equal(ossl_read(&evil.peer, buf, sizeof(buf)), 1);
    assert_int_equal(evil.peer.fatal_in, 0);
}

/* --- one ticket --- */

/* The fields of a NewSessionTicket (RFC 8446 4.6.1). */
struct shape {
    const char *name;
    uint32_t lifetime;
    size_t nonce_len;
    size_t ticket_len;
    const char *extensions;
    size_t extensions_len;
    int outcome; /* KEPT, IGNORED, or the alert of a refusal */
};

static size_t
put16(uint8_t *out, size_t at, size_t value)
{
    out[at] = (uint8_t)(value >> 8);
    out[at + 1] = (uint8_t)value;
    return at + 2;
}

static size_t
put_fill(uint8_t *out, size_t at, uint8_t byte, size_t len)
{
    memset(out + at, byte, len);
    return at + len;
}

static void
put_length(uint8_t *out, size_t len)
{
    out[1] = (uint8_t)((len - 4) >> 16);
    (void)put16(out, 2, (len - 4) & 0xffff);
}

/* The message of a shape, with its header. */
static size_t
compose(const struct shape *s, uint8_t *out)
{
    size_t at = 4;

    out[0] = NEW_SESSION_TICKET;
    at = put16(out, at, s->lifetime >> 16);
    at = put16(out, at, s->lifetime & 0xffff);
    at = put_fill(out, at, 0, 4);
    out[at++] = (uint8_t)s->nonce_len;
    at = put_fill(out, at, 0x11, s->nonce_len);
    at = put16(out, at, s->ticket_len);
    at = put_fill(out, at, TICKET_FILL, s->ticket_len);
    at = put16(out, at, s->extensions_len);
    memcpy(out + at, s->extensions, s->extensions_len);
    at += s->extensions_len;
    put_length(out, at);
    return at;
}

/* Send a message in records of at most so many bytes. */
static void
send_in(const uint8_t *msg, size_t len, size_t size)
{
    for (size_t at = 0; at < len; at += size)
        evil_sealed(&evil, DATA, MESSAGE, msg + at,
                    len - at < size ? len - at : size);
}

/* Whether the client's first message has these bytes. */
static bool
hello_has(const void *bytes, size_t len)
{
    for (size_t at = 0; at + len <= evil.given; at++)
        if (memcmp(evil.loop.out + at, bytes, len) == 0)
            return true;
    return false;
}

/* The client that has the ticket connects again.  OpenSSL does not know the
 * ticket, so the handshake is a full one. */
static void
next_connection_works(size_t ticket_len)
{
    static uint8_t ticket[LARGEST];
    static const uint8_t early[] = { 0, EARLY_DATA, 0, 0 };
    struct flow_tls_info info;

    connect_to_keep(1);
    (void)put_fill(ticket, 0, TICKET_FILL, ticket_len);
    assert_true(hello_has(ticket, ticket_len));
    assert_false(hello_has(early, sizeof(early)));
    assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
    assert_false(info.resumed);
    assert_int_equal(info.verify_flags, 0);
    connection_works();
    evil_free(&evil);
}

static void
judge(const struct shape *s, size_t fragment)
{
    static uint8_t msg[70000];
    const size_t len = compose(s, msg);

    guard_case(s->name);
    flow_tls_sessions_clear(store);
    connect_to_keep(1);
    send_in(msg, len, fragment);
    if (s->outcome >= 0) {
        evil_read_refused(&evil, FLOW_E_PROTO, s->outcome, DATA);
        assert_int_equal(flow_tls_sessions_count(store), 0);
    } else {
        connection_works();
        if (flow_tls_sessions_count(store) != (s->outcome == KEPT))
            fail_msg("%s: %zu are kept", s->name,
                     flow_tls_sessions_count(store));
    }
    evil_free(&evil);
    if (s->outcome == KEPT)
        next_connection_works(s->ticket_len);
    guard_case(NULL);
}

static void
each_ticket_is_judged(void **state)
{
    static const struct shape shapes[] = {
        { "a week", WEEK, 1, 100, "", 0, KEPT },
        { "a second more", WEEK + 1, 1, 100, "", 0, IGNORED },
        { "the longest lifetime", UINT32_MAX, 1, 100, "", 0, IGNORED },
        { "no lifetime", 0, 1, 100, "", 0, IGNORED },
        { "no nonce", 100, 0, 100, "", 0, KEPT },
        { "a nonce of 32 bytes", 100, 32, 100, "", 0, KEPT },
        { "a nonce of 255 bytes", 100, 255, 100, "", 0, IGNORED },
        { "a ticket of one byte", 100, 1, 1, "", 0, KEPT },
        { "an empty ticket", 100, 1, 0, "", 0, 50 },
        { "early_data", 100, 1, 100, "\0\52\0\4\377\377\377\377", 8, KEPT },
        { "early_data of 3 bytes", 100, 1, 100, "\0\52\0\3\0\0\0", 7, 50 },
        { "early_data of 0 bytes", 100, 1, 100, "\0\52\0\0", 4, 50 },
        { "an unknown extension", 100, 1, 100, "\xfa\xfa\0\1x", 5, KEPT },
        { "an unknown extension twice", 100, 1, 100, "\xfa\xfa\0\0\xfa\xfa\0\0",
          8, 47 },
        { "early_data twice", 100, 1, 100, "\0\52\0\4\0\0\0\1\0\52\0\4\0\0\0\1",
          16, 47 },
        { "key_share", 100, 1, 100, "\0\63\0\0", 4, 47 },
        { "half an extension", 100, 1, 100, "\xfa\xfa\0\2x", 5, 50 },
    };

    (void)state;
    begin();
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        judge(&shapes[i], LARGEST);
    finish();
}

/* The longest of which a session is made, the longest that is read, and those
 * beyond. */
static void
long_tickets_are_skipped_and_refused(void **state)
{
    static const struct shape shapes[] = {
        { "the longest that is kept", 100, 1, KEPT_MAX - 18, "", 0, KEPT },
        { "a byte more", 100, 1, KEPT_MAX - 17, "", 0, IGNORED },
        { "the longest message", 100, 1, LARGEST - 18, "", 0, IGNORED },
        { "a longer message", 100, 1, LARGEST - 17, "", 0, 50 },
        { "the longest ticket", 100, 1, 65535, "", 0, 50 },
    };

    (void)state;
    begin();
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        judge(&shapes[i], LARGEST);
    finish();
}

/* As many extensions as are read in one message, and one more. */
static void
extensions_are_counted(void **state)
{
    static char extensions[4 * 65];
    struct shape s = { "extensions", 100, 1, 100, extensions, 4 * 64, KEPT };

    (void)state;
    begin();
    for (size_t i = 0; i < 65; i++) {
        extensions[4 * i] = (char)0xf0;
        extensions[4 * i + 1] = (char)i;
    }
    judge(&s, LARGEST);
    s.extensions_len += 4;
    s.outcome = 50;
    judge(&s, LARGEST);
    finish();
}

/* Every fragment is a record without data, of which so many may come in a
 * row. */
static void
a_ticket_may_come_in_fragments(void **state)
{
    struct shape s = { "one byte each", 100, 0, FRAGMENTS - 17, "", 0, KEPT };

    (void)state;
    begin();
    judge(&s, 1);
    s.ticket_len++;
    s.outcome = 10;
    judge(&s, 1);
    s.name = "in two records";
    s.ticket_len = 100;
    s.outcome = KEPT;
    for (size_t at = 60; at < 117; at++)
        judge(&s, at);
    finish();
}

/* The message ends at every byte before its end, and has one byte more. */
static void
a_ticket_of_another_length_is_refused(void **state)
{
    const struct shape s = { "cut", 100, 2, 30, "\0\52\0\4\0\0\0\1", 8, KEPT };
    uint8_t msg[100] = { 0 };
    const size_t len = compose(&s, msg);

    (void)state;
    begin();
    for (size_t cut = 4; cut <= len + 1; cut++) {
        if (cut == len)
            continue;
        connect_to_keep(1);
        put_length(msg, cut);
        evil_sealed(&evil, DATA, MESSAGE, msg, cut);
        evil_read_refused(&evil, FLOW_E_PROTO, 50, DATA);
        assert_int_equal(flow_tls_sessions_count(store), 0);
        evil_free(&evil);
    }
    finish();
}

/* --- many tickets --- */

/* What an idle connection holds. */
static size_t
footprint(void)
{
    size_t held = 0, len = sizeof(held);
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(evil.ours, FLOW_READY_READ, &set), 0);

    assert_status(flow_query(evil.ours, FLOW_QUERY_FOOTPRINT, &held, &len),
                  FLOW_OK);
    return held;
}

/* One ticket before each record of data, without end. */
static void
send_many(const struct shape *s)
{
    static uint8_t msg[LARGEST];
    const size_t len = compose(s, msg);
    size_t n, most = atomic_load(&test_env.bytes) + 65536;
    uint8_t buf[4];

    for (unsigned i = 0; i < MANY; i++) {
        evil_sealed(&evil, DATA, MESSAGE, msg, len);
        evil_sealed(&evil, DATA, BYTES, "x", 1);
        assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
        assert_int_equal(n, 1);
        assert_true(atomic_load(&test_env.bytes) <= most);
    }
    connection_works();
}

/* As many as the configuration says are kept, and then the engine is gone. */
static void
no_more_tickets_are_kept_than_wanted(void **state)
{
    static const struct shape s = { "good", 100, 1, 1000, "", 0, KEPT };

    (void)state;
    begin();
    connect_to_keep(8);
    send_many(&s);
    assert_int_equal(flow_tls_sessions_count(store), 8);
    assert_true(footprint() < 2048);
    evil_free(&evil);
    finish();
}

/* The engine waits for a better one, but no longer than 10 s. */
static void
useless_tickets_do_not_keep_the_engine(void **state)
{
    static const struct shape useless[] = {
        { "of no lifetime", 0, 1, 1000, "", 0, IGNORED },
        { "too long", 100, 1, 12000, "", 0, IGNORED },
    };

    (void)state;
    begin();
    for (size_t i = 0; i < 2; i++) {
        test_env_stop_clock();
        connect_to_keep(8);
        send_many(&useless[i]);
        assert_int_equal(flow_tls_sessions_count(store), 0);
        assert_true(footprint() > 32768);
        test_env.now += 11 * SECOND;
        connection_works();
        assert_true(footprint() < 2048);
        evil_free(&evil);
        test_env.manual = false;
    }
    finish();
}

/* --- what the client offered --- */

/* OpenSSL gives tickets that it will take. */
static void
let_it_resume(void)
{
    static unsigned char keys[80];

    SSL_CTX_clear_options(evil.peer.ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(evil.peer.ctx, 1);
    SSL_CTX_set_tlsext_ticket_keys(evil.peer.ctx, keys, sizeof(keys));
}

/* A client that offers a session, and a server of which each record may be
 * changed; its status. */
static enum flow_status
resume(void (*edit)(struct evil *e, struct evil_record *r))
{
    evil_init(&evil, false, 0x0304);
    let_it_resume();
    assert_status(flow_tls_config_set_sessions(evil.config, store, 1, NULL),
                  FLOW_OK);
    evil.edit = edit;
    evil_start(&evil);
    evil_run(&evil);
    return evil.status;
}

/* The first connection, and its ticket, which may be changed. */
static void
prime(void (*edit)(struct evil *e, struct evil_record *r))
{
    flow_tls_sessions_clear(store);
    assert_status(resume(edit), FLOW_OK);
    connection_works();
    assert_int_equal(flow_tls_sessions_count(store), 1);
    evil_free(&evil);
}

static void
add_extensions(struct evil *e, struct evil_record *r)
{
    static const uint8_t more[] = { 0,   EARLY_DATA, 0,    4,    255, 255,
                                    255, 255,        0xfa, 0xfa, 0,   0 };

    (void)e;
    if (!is_message(r, NEW_SESSION_TICKET))
        return;
    assert_int_equal(r->content[r->len - 2] << 8 | r->content[r->len - 1], 0);
    r->content[r->len - 1] = sizeof(more);
    memcpy(r->content + r->len, more, sizeof(more));
    r->len += sizeof(more);
    put_length(r->content, r->len);
}

/* A ticket that allows early data is as good as any; none is sent. */
static void
early_data_is_not_sent(void **state)
{
    static const uint8_t early[] = { 0, EARLY_DATA, 0, 0 };
    struct flow_tls_info info;

    (void)state;
    begin();
    prime(add_extensions);
    assert_status(resume(NULL), FLOW_OK);
    assert_false(hello_has(early, sizeof(early)));
    assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
    assert_true(info.resumed);
    connection_works();
    evil_free(&evil);
    finish();
}

static uint8_t *
selected_identity(struct evil_record *r)
{
    size_t at;

    if (!is_message(r, SERVER_HELLO))
        return NULL;
    at = extension(r, 41);
    assert_true(at != 0);
    return r->content + at + 4;
}

static void
select_second(struct evil *e, struct evil_record *r)
{
    uint8_t *p = selected_identity(r);

    (void)e;
    if (p != NULL)
        p[1] = 1;
}

static void
select_last(struct evil *e, struct evil_record *r)
{
    uint8_t *p = selected_identity(r);

    (void)e;
    if (p != NULL)
        p[0] = p[1] = 0xff;
}

/* The session has a suite with SHA-256, and this one has SHA-384. */
static void
change_hash(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[4 + 2 + 32 + 1 + r->content[38] + 1] = 2;
}

/* A key exchange without (EC)DHE, which the client did not offer. */
static void
leave_out_key_share(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        remove_extension(r, 51);
}

static void
repeat_identity(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 41, "\0", 2);
}

static void
select_with_one_byte(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (!is_message(r, SERVER_HELLO))
        return;
    remove_extension(r, 41);
    put_extension(r, 41, "\0", 1);
}

/* The client takes this for a full handshake, which has other keys. */
static void
select_none(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        remove_extension(r, 41);
}

static void
accept_early_data(struct evil *e, struct evil_record *r)
{
    static const uint8_t early[] = { 0, EARLY_DATA, 0, 0 };

    (void)e;
    if (!is_message(r, ENCRYPTED_EXTENSIONS))
        return;
    memcpy(r->content + r->len, early, sizeof(early));
    r->len += sizeof(early);
    add(r->content + 2, sizeof(early));
    add(r->content + 4, sizeof(early));
}

static void
a_false_choice_is_refused(void **state)
{
    static const struct lie lies[] = {
        { "second of one", false, 0x0304, select_second, 47, PLAIN, NULL },
        { "last of one", false, 0x0304, select_last, 47, PLAIN, NULL },
        { "another hash", false, 0x0304, change_hash, 47, PLAIN, NULL },
        { "no key share", false, 0x0304, leave_out_key_share, 109, PLAIN,
          NULL },
        { "chosen twice", false, 0x0304, repeat_identity, 47, PLAIN, NULL },
        { "half a number", false, 0x0304, select_with_one_byte, 50, PLAIN,
          NULL },
        { "early data", false, 0x0304, accept_early_data, 110, HANDSHAKE,
          NULL },
    };

    (void)state;
    begin();
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        guard_case(lies[i].name);
        prime(NULL);
        (void)resume(lies[i].edit);
        evil_refused(&evil, FLOW_E_PROTO, lies[i].alert, lies[i].epoch);
        /* The session is used up. */
        assert_int_equal(flow_tls_sessions_count(store), 0);
        evil_free(&evil);
    }
    guard_case(NULL);
    finish();
}

/* The session is not resumed by one side alone. */
static void
an_answer_without_a_choice_is_refused(void **state)
{
    struct flow_error err;

    (void)state;
    begin();
    prime(NULL);
    assert_status(resume(select_none), FLOW_E_PROTO);
    flow_get_error(evil.ours, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 20);
    evil_free(&evil);
    finish();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_ticket_is_judged),
        TEST(long_tickets_are_skipped_and_refused),
        TEST(extensions_are_counted),
        TEST(a_ticket_may_come_in_fragments),
        TEST(a_ticket_of_another_length_is_refused),
        TEST(no_more_tickets_are_kept_than_wanted),
        TEST(useless_tickets_do_not_keep_the_engine),
        TEST(early_data_is_not_sent),
        TEST(a_false_choice_is_refused),
        TEST(an_answer_without_a_choice_is_refused),
    };

    return TEST_RUN(tests);
}
