/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <flow/pair.h>
#include <flow/tls_session.h>
#include <flow/tls_verify.h>

#include "link.h"
#include "pki.h"
#include "step.h"
#include "test.h"

/*
 * Clients of a server with tickets that do what OpenSSL's does not: they
 * present several tickets at once, of which the server takes the first one that
 * is good, and they have chains of certificates that are too long for a ticket.
 *
 * A ClientHello with several tickets is one of OpenSSL's with another
 * pre_shared_key extension, whose binders are computed here (RFC 8446 4.2.11.2)
 * from the secrets of the sessions.
 */

#define HASH     32u
#define HELLO    32768u
#define TICKET   8192u
#define NONE     (-1)
#define PSK      41u   /* the extension pre_shared_key */
#define CHAIN_OK 4096u /* bytes of a client's chain that a ticket holds */

struct identity {
    uint8_t ticket[TICKET];
    size_t len;
    uint8_t age[4];
    uint8_t secret[HASH];
};

static struct flow_tls_tickets *tickets;
static SSL_SESSION *obtained; /* the last one of a visit */

static void
begin(void)
{
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
}

static void
finish(void)
{
    SSL_SESSION_free(obtained);
    obtained = NULL;
    flow_tls_tickets_unref(tickets);
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(obtained);
    obtained = session;
    return 1;
}

/* --- servers --- */

/* The chain of p384.pem has two certificates, that of chain.pem three. */
static enum flow_status
reject_short_chains(void *user, const struct flow_tls_verdict *verdict)
{
    (void)user;
    return verdict->path_len == 2 ? FLOW_E_AUTH : FLOW_OK;
}

static struct flow_tls_config *
make_server(int version, enum flow_tls_client_auth auth,
            flow_tls_verify_fn *callback)
{
    const enum flow_tls_version v = (enum flow_tls_version)version;
    struct flow_tls_verifier *verifier;
    struct flow_tls_config *c;

    assert_status(flow_tls_verifier_new(TEST_ENV, &verifier, NULL), FLOW_OK);
    assert_status(
        flow_tls_verifier_add_trust_file(verifier, pki("ca.pem"), NULL),
        FLOW_OK);
    assert_status(flow_tls_verifier_set_callback(verifier, callback, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_versions(c, v, v), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_OK);
    if (auth != FLOW_TLS_CLIENT_AUTH_NONE)
        assert_status(flow_tls_config_set_verifier(c, verifier, NULL), FLOW_OK);
    flow_tls_verifier_unref(verifier);
    assert_status(flow_tls_config_set_client_auth(c, auth), FLOW_OK);
    assert_status(flow_tls_config_limit_ca_list(c, 0), FLOW_OK);
    assert_status(flow_tls_config_set_tickets(c, tickets, 0, NULL), FLOW_OK);
    return c;
}

/* OpenSSL's client of a server, which may be changed until link_start(). */
static void
prepare(struct link *l, struct flow_tls_config *server, int version)
{
    link_init(l, true, (uint32_t)version);
    flow_tls_config_unref(l->config);
    l->config = flow_tls_config_ref(server);
    SSL_CTX_set_session_cache_mode(l->peer.ctx, SSL_SESS_CACHE_CLIENT |
                                                    SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(l->peer.ctx, on_session);
    assert_int_equal(
        SSL_CTX_set_ciphersuites(l->peer.ctx, "TLS_AES_128_GCM_SHA256"), 1);
}

/* A full handshake, and whether it brought a ticket. */
static bool
visit(struct link *l)
{
    struct flow_tls_info info;
    uint8_t buf[4];

    SSL_SESSION_free(obtained);
    obtained = NULL;
    link_open(l);
    (void)ossl_read(&l->peer, buf, sizeof(buf));
    assert_status(flow_tls_get_info(l->ours, &info), FLOW_OK);
    assert_false(info.resumed);
    link_say(l, 100, 1);
    link_hear(l, 100, 2);
    return obtained != NULL && SSL_SESSION_has_ticket(obtained);
}

/* --- several tickets --- */

static void
hash(const uint8_t *data, size_t len, uint8_t out[HASH])
{
    assert_int_equal(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL), 1);
}

static void
hmac(const uint8_t *key, const uint8_t *data, size_t len, uint8_t out[HASH])
{
    unsigned n = HASH;

    assert_non_null(HMAC(EVP_sha256(), key, HASH, data, len, out, &n));
}

/* HKDF-Expand-Label of RFC 8446 7.1, of 32 bytes, which is one block. */
static void
expand(const uint8_t *secret, const char *label, const uint8_t *context,
       size_t context_len, uint8_t out[HASH])
{
    const size_t n = strlen(label);
    uint8_t info[96] = { 0, HASH, (uint8_t)(6 + n) };
    size_t len = 3;

    memcpy(info + len, "tls13 ", 6);
    memcpy(info + len + 6, label, n);
    len += 6 + n;
    info[len++] = (uint8_t)context_len;
    memcpy(info + len, context, context_len);
    len += context_len;
    info[len++] = 1;
    hmac(secret, info, len, out);
}

/* The binder of a ticket for a ClientHello that ends before the binders. */
static void
bind_ticket(const struct identity *id, const uint8_t *hello, size_t len,
            uint8_t out[HASH])
{
    static const uint8_t zeros[HASH];
    uint8_t early[HASH], empty[HASH], key[HASH], transcript[HASH];

    hmac(zeros, id->secret, HASH, early);
    hash(zeros, 0, empty);
    expand(early, "res binder", empty, HASH, key);
    expand(key, "finished", zeros, 0, key);
    hash(hello, len, transcript);
    hmac(key, transcript, HASH, out);
}

/* Add to a length of two bytes. */
static void
lengthen(uint8_t *p, size_t n)
{
    const size_t len = ((size_t)p[0] << 8 | p[1]) + n;

    p[0] = (uint8_t)(len >> 8);
    p[1] = (uint8_t)len;
}

static size_t
put16(uint8_t *out, size_t at, size_t value)
{
    out[at] = (uint8_t)(value >> 8);
    out[at + 1] = (uint8_t)value;
    return at + 2;
}

static size_t
put(uint8_t *out, size_t at, const void *data, size_t len)
{
    memcpy(out + at, data, len);
    return at + len;
}

/* The record with the ClientHello of OpenSSL that presents a session. */
static size_t
hello_of(SSL_SESSION *session, uint8_t *out)
{
    struct ossl o;
    int len;

    ossl_init(&o, false, 0x0304);
    assert_int_equal(SSL_CTX_set_ciphersuites(o.ctx, "TLS_AES_128_GCM_SHA256"),
                     1);
    ossl_start(&o, NULL);
    assert_int_equal(SSL_set_session(o.ssl, session), 1);
    (void)ossl_step(&o);
    len = BIO_read(o.out, out, (int)HELLO);
    assert_true(len > 0);
    ossl_free(&o);
    return (size_t)len;
}

/* Where the ticket of a session is in a ClientHello that presents it. */
static size_t
find_ticket(const uint8_t *hello, size_t len, SSL_SESSION *session)
{
    const uint8_t *ticket;
    size_t ticket_len, at = 0;

    SSL_SESSION_get0_ticket(session, &ticket, &ticket_len);
    while (memcmp(hello + at, ticket, ticket_len) != 0)
        assert_true(++at + ticket_len < len);
    return at;
}

static struct identity
identity_of(SSL_SESSION *session)
{
    static uint8_t hello[HELLO];
    const size_t len = hello_of(session, hello);
    const size_t at = find_ticket(hello, len, session);
    struct identity id = { .len = (size_t)hello[at - 2] << 8 | hello[at - 1] };

    assert_true(id.len <= sizeof(id.ticket));
    memcpy(id.ticket, hello + at, id.len);
    memcpy(id.age, hello + at + id.len, sizeof(id.age));
    assert_int_equal(SSL_SESSION_get_master_key(session, id.secret, HASH),
                     HASH);
    return id;
}

/* A ticket with one byte changed. */
static struct identity
damaged(const struct identity *id)
{
    struct identity other = *id;

    other.ticket[other.len / 2] ^= 1;
    return other;
}

/* The ClientHello that presents a session, with these tickets instead. */
static size_t
compose(SSL_SESSION *session, const struct identity *const *ids, size_t count,
        uint8_t *out)
{
    const size_t old = hello_of(session, out);
    const size_t psk = find_ticket(out, old, session) - 8;
    size_t list = 0, at, sid, binders;
    uint8_t *extensions;

    for (size_t i = 0; i < count; i++)
        list += 2 + ids[i]->len + sizeof(ids[i]->age);
    sid = 5 + 4 + 2 + 32;
    at = sid + 1 + out[sid];
    at += 2 + ((size_t)out[at] << 8 | out[at + 1]);
    at += 1u + out[at];
    extensions = out + at;
    at = put16(out, psk, PSK);
    at = put16(out, at, 2 + list + 2 + count * (1 + HASH));
    at = put16(out, at, list);
    for (size_t i = 0; i < count; i++) {
        at = put16(out, at, ids[i]->len);
        at = put(out, at, ids[i]->ticket, ids[i]->len);
        at = put(out, at, ids[i]->age, sizeof(ids[i]->age));
    }
    binders = at;
    at += 2 + count * (1 + HASH);
    lengthen(out + 3, at - old);
    lengthen(out + 7, at - old);
    lengthen(extensions, at - old);
    (void)put16(out, binders, count * (1 + HASH));
    for (size_t i = 0; i < count; i++) {
        uint8_t *binder = out + binders + 2 + i * (1 + HASH);

        binder[0] = HASH;
        bind_ticket(ids[i], out + 5, binders - 5, binder + 1);
    }
    return at;
}

/* The number of the ticket in a ServerHello, or NONE. */
static int
selected(const uint8_t *hello, size_t len)
{
    size_t at = 5 + 4 + 2 + 32, end;

    assert_true(len > at + 40 && hello[0] == 22 && hello[5] == 2);
    at += 1u + hello[at] + 2 + 1;
    end = at + 2 + ((size_t)hello[at] << 8 | hello[at + 1]);
    assert_true(end <= len);
    for (at += 2; at < end;
         at += 4 + ((size_t)hello[at + 2] << 8 | hello[at + 3]))
        if (hello[at] == 0 && hello[at + 1] == PSK)
            return hello[at + 4] << 8 | hello[at + 5];
    return NONE;
}

/* Which of these tickets a server takes; NONE if it wants a full handshake. */
static int
taken(struct flow_tls_config *server, SSL_SESSION *session,
      const struct identity *const *ids, size_t count)
{
    static uint8_t buf[HELLO];
    const size_t len = compose(session, ids, count, buf);
    struct flow *tls, *raw;
    size_t n;
    int which;

    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &tls, &raw), FLOW_OK);
    assert_status(flow_tls_wrap_server(server, tls, 0, &tls, NULL), FLOW_OK);
    assert_status(flow_write(raw, buf, len, &n), FLOW_OK);
    assert_int_equal(n, len);
    assert_status(flow_open(tls), FLOW_AGAIN);
    assert_status(flow_read(raw, buf, sizeof(buf), &n), FLOW_OK);
    which = selected(buf, n);
    flow_close(tls);
    flow_close(raw);
    return which;
}

/* A session of a server with the certificate of a client; the caller frees
 * it. */
static SSL_SESSION *
session_of(struct flow_tls_config *server, const char *chain, const char *key)
{
    struct link l;
    SSL_SESSION *s;

    prepare(&l, server, 0x0304);
    ossl_use_key(&l.peer, chain, key);
    assert_true(visit(&l));
    link_close(&l);
    s = obtained;
    obtained = NULL;
    return s;
}

static const enum flow_tls_client_auth policies[] = {
    FLOW_TLS_CLIENT_AUTH_NONE, FLOW_TLS_CLIENT_AUTH_OPTIONAL,
    FLOW_TLS_CLIENT_AUTH_REQUIRED
};

static void
the_first_good_ticket_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct flow_tls_config *server;
        struct identity good, bad;
        SSL_SESSION *s;

        begin();
        server = make_server(0x0304, policies[i], NULL);
        s = session_of(server, "p384.pem", "p384.key");
        good = identity_of(s);
        bad = damaged(&good);
        {
            const struct identity *const first[] = { &good, &bad };
            const struct identity *const second[] = { &bad, &good, &bad };
            const struct identity *const fourth[] = { &bad, &bad, &bad, &good };
            const struct identity *const none[] = { &bad, &bad };

            assert_int_equal(taken(server, s, first, 2), 0);
            assert_int_equal(taken(server, s, second, 3), 1);
            assert_int_equal(taken(server, s, fourth, 4), 3);
            assert_int_equal(taken(server, s, none, 2), NONE);
        }
        SSL_SESSION_free(s);
        flow_tls_config_unref(server);
        finish();
    }
}

/* The chains of four tickets are verified, and of no more. */
static void
a_fifth_ticket_with_a_chain_is_not_read(void **state)
{
    struct flow_tls_config *server;
    struct identity good, bad;
    SSL_SESSION *s;

    (void)state;
    begin();
    server = make_server(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED, NULL);
    s = session_of(server, "p384.pem", "p384.key");
    good = identity_of(s);
    bad = damaged(&good);
    {
        const struct identity *const fifth[] = { &bad, &bad, &bad, &bad,
                                                 &good };

        assert_int_equal(taken(server, s, fifth, 5), NONE);
    }
    SSL_SESSION_free(s);
    flow_tls_config_unref(server);
    finish();
}

/* Two identities of one client, of which the server accepts the second one by
 * now, whichever comes first. */
static void
a_ticket_of_an_accepted_client_is_taken(void **state)
{
    struct flow_tls_config *before, *now;
    struct identity refused, accepted;
    SSL_SESSION *a, *b;

    (void)state;
    begin();
    before = make_server(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED, NULL);
    now =
        make_server(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED, reject_short_chains);
    a = session_of(before, "p384.pem", "p384.key");
    b = session_of(before, "chain.pem", "chained.key");
    refused = identity_of(a);
    accepted = identity_of(b);
    {
        const struct identity *const both[] = { &refused, &accepted };
        const struct identity *const turned[] = { &accepted, &refused };

        assert_int_equal(taken(before, a, both, 2), 0);
        assert_int_equal(taken(now, a, both, 2), 1);
        assert_int_equal(taken(now, a, turned, 2), 0);
        assert_int_equal(taken(now, a, both, 1), NONE);
    }
    SSL_SESSION_free(a);
    SSL_SESSION_free(b);
    flow_tls_config_unref(before);
    flow_tls_config_unref(now);
    finish();
}

/* --- long chains --- */

/* A certificate that no path needs, which makes a chain longer. */
static X509 *
some_certificate(void)
{
    FILE *in = fopen(pki("rsa.pem"), "r");
    X509 *cert;

    assert_non_null(in);
    cert = PEM_read_X509(in, NULL, NULL, NULL);
    fclose(in);
    assert_non_null(cert);
    return cert;
}

static size_t
size_of(X509 *cert)
{
    return (size_t)i2d_X509(cert, NULL);
}

/* Whether a client whose chain is longer by some certificates gets a ticket;
 * the handshake is the same. */
static bool
longer_gets_ticket(struct flow_tls_config *server, int version, X509 *extra,
                   size_t count, size_t *ret_len)
{
    struct link l;
    bool has;

    prepare(&l, server, version);
    ossl_use_key(&l.peer, "p384.pem", "p384.key");
    *ret_len = size_of(SSL_CTX_get0_certificate(l.peer.ctx));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(SSL_CTX_add1_chain_cert(l.peer.ctx, extra), 1);
        *ret_len += size_of(extra);
    }
    has = visit(&l);
    link_close(&l);
    return has;
}

static void
a_long_chain_makes_no_ticket(void **state)
{
    static const int versions[] = { 0x0303, 0x0304 };
    X509 *extra = some_certificate();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_tls_config *server;
        size_t count, len = 0, with = 0;

        begin();
        server = make_server(versions[i], FLOW_TLS_CLIENT_AUTH_REQUIRED, NULL);
        for (count = 0; len < CHAIN_OK + 2 * size_of(extra); count++) {
            bool has =
                longer_gets_ticket(server, versions[i], extra, count, &len);

            assert_int_equal(has, len <= CHAIN_OK);
            with += has;
        }
        assert_in_range(with, 2, count - 2);
        flow_tls_config_unref(server);
        finish();
    }
    X509_free(extra);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_good_ticket_is_taken),
        TEST(a_fifth_ticket_with_a_chain_is_not_read),
        TEST(a_ticket_of_an_accepted_client_is_taken),
        TEST(a_long_chain_makes_no_ticket),
    };

    return TEST_RUN(tests);
}
