/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <openssl/ssl.h>

#include "evil.h"
#include "test.h"

/*
 * Handshake messages that lie: each is made from an honest one of OpenSSL, by
 * somebody who knows the keys.  Expected is the alert that the RFC names, once,
 * under the key with which the peer reads.
 */

#define CLIENT_HELLO         1
#define SERVER_HELLO         2
#define NEW_SESSION_TICKET   4
#define ENCRYPTED_EXTENSIONS 8
#define CERTIFICATE          11
#define SERVER_KEY_EXCHANGE  12
#define SERVER_HELLO_DONE    14
#define CERTIFICATE_VERIFY   15
#define CLIENT_KEY_EXCHANGE  16
#define FINISHED             20
#define KEY_UPDATE           24

#define PLAIN     EVIL_PLAIN
#define HANDSHAKE EVIL_HANDSHAKE
#define DATA      EVIL_DATA

static struct evil evil;

/* One lie: what is sent, and what must come of it. */
struct lie {
    const char *name;
    bool we_serve;
    int version;
    void (*edit)(struct evil *e, struct evil_record *r);
    int alert;
    enum evil_epoch epoch;       /* of our alert */
    void (*set)(struct evil *e); /* how it is configured, may be NULL */
    enum flow_status status;     /* 0: FLOW_E_PROTO */
};

static bool
is_message(const struct evil_record *r, uint8_t type)
{
    return r->type == 22 && r->len > 4 && r->content[0] == type;
}

/* Where an extension of a hello begins (its type), 0 when it is absent. */
static size_t
extension(const struct evil_record *r, uint16_t wanted)
{
    size_t at = 4 + 2 + 32, end;
    bool client = r->content[0] == CLIENT_HELLO;

    at += 1u + r->content[at];
    if (client) {
        at += 2u + (size_t)(r->content[at] << 8 | r->content[at + 1]);
        at += 1u + r->content[at];
    } else {
        at += 3;
    }
    end = at + 2 + (size_t)(r->content[at] << 8 | r->content[at + 1]);
    for (at += 2; at + 4 <= end;) {
        size_t len = (size_t)(r->content[at + 2] << 8 | r->content[at + 3]);

        if ((r->content[at] << 8 | r->content[at + 1]) == wanted)
            return at;
        at += 4 + len;
    }
    return 0;
}

static void
add(uint8_t *p, int n)
{
    int v = (p[0] << 8 | p[1]) + n;

    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* Grow or shrink what stands at off by n bytes, the message's length too. */
static void
resize(struct evil_record *r, size_t off, int n)
{
    if (n > 0) {
        memmove(r->content + off + n, r->content + off, r->len - off);
        memset(r->content + off, 0x5a, (size_t)n);
    } else {
        memmove(r->content + off, r->content + off - n,
                r->len - off - (size_t)-n);
    }
    r->len = (size_t)((long)r->len + n);
    add(r->content + 2, n);
}

/* The length field of a hello's extensions. */
static uint8_t *
extensions_len(struct evil_record *r)
{
    size_t at = 4 + 2 + 32;

    at += 1u + r->content[at];
    if (r->content[0] == CLIENT_HELLO) {
        at += 2u + (size_t)(r->content[at] << 8 | r->content[at + 1]);
        at += 1u + r->content[at];
    } else {
        at += 3;
    }
    return r->content + at;
}

/* --- key shares --- */

/* The share's key bytes in a hello with one share, and how many. */
static uint8_t *
share(struct evil_record *r, size_t *ret_len)
{
    size_t at = extension(r, 51);

    assert_true(at != 0);
    at += 4;
    if (r->content[0] == CLIENT_HELLO)
        at += 2;
    *ret_len = (size_t)(r->content[at + 2] << 8 | r->content[at + 3]);
    return r->content + at + 4;
}

static bool
is_hello_with_share(const struct evil_record *r)
{
    return (is_message(r, CLIENT_HELLO) || is_message(r, SERVER_HELLO)) &&
           extension(r, 51) != 0;
}

static void
zero_share(struct evil *e, struct evil_record *r)
{
    size_t len;

    (void)e;
    if (is_hello_with_share(r)) {
        uint8_t *key = share(r, &len);

        memset(key, 0, len);
    }
}

static void
resize_share(struct evil_record *r, int n)
{
    size_t len, at;
    uint8_t *key;

    if (!is_hello_with_share(r))
        return;
    key = share(r, &len);
    add(key - 2, n);
    at = extension(r, 51);
    add(r->content + at + 2, n);
    if (r->content[0] == CLIENT_HELLO)
        add(r->content + at + 4, n);
    add(extensions_len(r), n);
    resize(r, (size_t)(key - r->content), n);
}

static void
long_share(struct evil *e, struct evil_record *r)
{
    (void)e;
    resize_share(r, 1);
}

static void
short_share(struct evil *e, struct evil_record *r)
{
    (void)e;
    resize_share(r, -1);
}

/* Uncompressed, but y does not fit x. */
static void
point_off_curve(struct evil *e, struct evil_record *r)
{
    size_t len;

    (void)e;
    if (is_hello_with_share(r)) {
        uint8_t *key = share(r, &len);

        assert_int_equal(key[0], 4);
        key[len - 1] ^= 1;
    }
}

/* Compressed form, which TLS 1.3 does not have. */
static void
point_format(struct evil *e, struct evil_record *r)
{
    size_t len;

    (void)e;
    if (is_hello_with_share(r))
        share(r, &len)[0] = 2;
}

static void
share_of_another_group(struct evil *e, struct evil_record *r)
{
    size_t len;

    (void)e;
    if (is_hello_with_share(r))
        share(r, &len)[-3] = 0x18;
}

static void
with_p256(struct evil *e)
{
    const uint16_t group = FLOW_TLS_GROUP_P256;

    assert_status(flow_tls_config_set_groups(e->config, &group, 1), FLOW_OK);
    assert_int_equal(SSL_CTX_set1_groups_list(e->peer.ctx, "P-256"), 1);
}

static void
with_hrr(struct evil *e)
{
    /* The share that comes first is for a group the server does not have. */
    const uint16_t ours[] = { FLOW_TLS_GROUP_X25519, FLOW_TLS_GROUP_P384 };

    assert_status(flow_tls_config_set_groups(e->config,
                                             e->we_serve ? ours + 1 : ours,
                                             e->we_serve ? 1 : 2),
                  FLOW_OK);
    assert_int_equal(SSL_CTX_set1_groups_list(
                         e->peer.ctx, e->we_serve ? "X25519:P-384" : "P-384"),
                     1);
}

static void
with_both_versions(struct evil *e)
{
    assert_status(
        flow_tls_config_set_versions(e->config, FLOW_TLS_1_2, FLOW_TLS_1_3),
        FLOW_OK);
}

static void
run_lie(const struct lie *l)
{
    enum flow_status status = l->status != 0 ? l->status : FLOW_E_PROTO;

    guard_case(l->name);
    evil_init(&evil, l->we_serve, l->version);
    if (l->set != NULL)
        l->set(&evil);
    evil.edit = l->edit;
    evil_start(&evil);
    evil_run(&evil);
    print_message("  %s (%s, 0x%04x): %s\n", l->name,
                  l->we_serve ? "server" : "client", l->version,
                  evil_text(&evil));
    evil_refused(&evil, status, l->alert, l->epoch);
    evil_free(&evil);
}

#define LIES(l)                                                                \
    evil_wrong = 0;                                                            \
    for (size_t i_ = 0; i_ < sizeof(l) / sizeof((l)[0]); i_++)                 \
        run_lie(&(l)[i_]);                                                     \
    assert_int_equal(evil_wrong, 0)

/* RFC 8446 4.2.8.2, 7.4.2: illegal_parameter. */
static void
key_shares(void **state)
{
    static const struct lie lies[] = {
        { "all-zero share", true, 0x0304, zero_share, 47, PLAIN, NULL, 0 },
        { "share too long", true, 0x0304, long_share, 47, PLAIN, NULL, 0 },
        { "share too short", true, 0x0304, short_share, 47, PLAIN, NULL, 0 },
        { "all-zero share", false, 0x0304, zero_share, 47, PLAIN, NULL, 0 },
        { "share too long", false, 0x0304, long_share, 47, PLAIN, NULL, 0 },
        { "share too short", false, 0x0304, short_share, 47, PLAIN, NULL, 0 },
        { "share of another group", false, 0x0304, share_of_another_group, 47,
          PLAIN, NULL, 0 },
        { "point off the curve", true, 0x0304, point_off_curve, 47, PLAIN,
          with_p256, 0 },
        { "point format", true, 0x0304, point_format, 47, PLAIN, with_p256, 0 },
        { "point too long", true, 0x0304, long_share, 47, PLAIN, with_p256, 0 },
        { "point too short", true, 0x0304, short_share, 47, PLAIN, with_p256,
          0 },
        { "point all zero", true, 0x0304, zero_share, 47, PLAIN, with_p256, 0 },
        { "point off the curve", false, 0x0304, point_off_curve, 47, PLAIN,
          with_p256, 0 },
        { "point format", false, 0x0304, point_format, 47, PLAIN, with_p256,
          0 },
        { "point too long", false, 0x0304, long_share, 47, PLAIN, with_p256,
          0 },
        { "point too short", false, 0x0304, short_share, 47, PLAIN, with_p256,
          0 },
        { "point all zero", false, 0x0304, zero_share, 47, PLAIN, with_p256,
          0 },
    };

    (void)state;
    LIES(lies);
}

/* --- key exchange of TLS 1.2: ServerKeyExchange, ClientKeyExchange --- */

/* Where the point begins in either message. */
static size_t
point12(const struct evil_record *r)
{
    return r->content[0] == SERVER_KEY_EXCHANGE ? 8 : 5;
}

static bool
is_exchange(const struct evil_record *r)
{
    return is_message(r, SERVER_KEY_EXCHANGE) ||
           is_message(r, CLIENT_KEY_EXCHANGE);
}

static void
zero_point12(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r))
        memset(r->content + point12(r), 0, r->content[point12(r) - 1]);
}

static void
off_curve12(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r))
        r->content[point12(r) + 40] ^= 1;
}

static void
long_point12(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r)) {
        r->content[point12(r) - 1]++;
        resize(r, point12(r), 1);
    }
}

static void
short_point12(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r)) {
        r->content[point12(r) - 1]--;
        resize(r, point12(r), -1);
    }
}

/* The inner length goes beyond the message. */
static void
cut_exchange(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r)) {
        int n = (int)(r->len - point12(r) - 20);

        resize(r, point12(r) + 20, -n);
    }
}

static void
exchange_tail(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r))
        resize(r, r->len, 1);
}

static void
curve_type(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE))
        r->content[4] = 1; /* explicit_prime, RFC 8422 5.4 */
}

static void
curve_not_offered(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE))
        r->content[6] = 0x16; /* secp256k1 */
}

/* Sign the parameters again, as a server that means what it sends. */
static void
sign_again(struct evil *e, struct evil_record *r)
{
    size_t params = 4u + r->content[point12(r) - 1];
    uint8_t *sig = r->content + 4 + params + 4;
    uint8_t text[64 + 300];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = 80;

    SSL_get_client_random(e->peer.ssl, text, 32);
    SSL_get_server_random(e->peer.ssl, text + 32, 32);
    memcpy(text + 64, r->content + 4, params);
    sig[-4] = 4; /* ecdsa_secp256r1_sha256 */
    sig[-3] = 3;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL,
                                        SSL_CTX_get0_privatekey(e->peer.ctx)),
                     1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, text, 64 + params), 1);
    EVP_MD_CTX_free(ctx);
    sig[-2] = 0;
    sig[-1] = (uint8_t)len;
    r->len = (size_t)(sig - r->content) + len;
    r->content[2] = (uint8_t)((r->len - 4) >> 8);
    r->content[3] = (uint8_t)(r->len - 4);
}

static void
zero_point_signed(struct evil *e, struct evil_record *r)
{
    zero_point12(e, r);
    if (is_exchange(r))
        sign_again(e, r);
}

static void
off_curve_signed(struct evil *e, struct evil_record *r)
{
    off_curve12(e, r);
    if (is_exchange(r))
        sign_again(e, r);
}

static void
long_point_signed(struct evil *e, struct evil_record *r)
{
    long_point12(e, r);
    if (is_exchange(r))
        sign_again(e, r);
}

static void
signature_flipped(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE) || is_message(r, CERTIFICATE_VERIFY))
        r->content[r->len - 1] ^= 1;
}

static void
signature_sha1(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE))
        r->content[point12(r) + r->content[point12(r) - 1]] = 2;
}

/* RFC 8422 5.11 and RFC 5246 7.2.2. */
static void
key_exchange12(void **state)
{
    static const struct lie lies[] = {
        { "all-zero point", true, 0x0303, zero_point12, 47, PLAIN, NULL, 0 },
        { "long point", true, 0x0303, long_point12, 47, PLAIN, NULL, 0 },
        { "short point", true, 0x0303, short_point12, 47, PLAIN, NULL, 0 },
        { "off the curve", true, 0x0303, off_curve12, 47, PLAIN, with_p256, 0 },
        { "zero point", true, 0x0303, zero_point12, 47, PLAIN, with_p256, 0 },
        { "long point", true, 0x0303, long_point12, 47, PLAIN, with_p256, 0 },
        { "cut", true, 0x0303, cut_exchange, 50, PLAIN, NULL, 0 },
        { "trailing byte", true, 0x0303, exchange_tail, 50, PLAIN, NULL, 0 },
        { "all-zero point, signed", false, 0x0303, zero_point_signed, 47, PLAIN,
          NULL, 0 },
        { "long point, signed", false, 0x0303, long_point_signed, 47, PLAIN,
          NULL, 0 },
        { "short point", false, 0x0303, short_point12, 47, PLAIN, NULL, 0 },
        { "off the curve", false, 0x0303, off_curve12, 51, PLAIN, with_p256,
          0 },
        { "off the curve, signed", false, 0x0303, off_curve_signed, 47, PLAIN,
          with_p256, 0 },
        { "zero point, signed", false, 0x0303, zero_point_signed, 47, PLAIN,
          with_p256, 0 },
        { "cut", false, 0x0303, cut_exchange, 50, PLAIN, NULL, 0 },
        { "trailing byte", false, 0x0303, exchange_tail, 50, PLAIN, NULL, 0 },
        { "explicit curve", false, 0x0303, curve_type, 47, PLAIN, NULL, 0 },
        { "curve not offered", false, 0x0303, curve_not_offered, 47, PLAIN,
          NULL, 0 },
        { "bad signature", false, 0x0303, signature_flipped, 51, PLAIN, NULL,
          0 },
        { "signature with SHA-1", false, 0x0303, signature_sha1, 47, PLAIN,
          NULL, 0 },
    };

    (void)state;
    LIES(lies);
}

/* --- Certificate, CertificateVerify, Finished --- */

static void
finished_flipped(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, FINISHED))
        r->content[r->len - 1] ^= 1;
}

static void
finished_long(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, FINISHED))
        resize(r, r->len, 1);
}

static void
finished_short(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, FINISHED))
        resize(r, r->len - 1, -1);
}

/* A scheme that we do not offer in TLS 1.3. */
static void
verify_scheme(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY)) {
        r->content[4] = 2;
        r->content[5] = 3;
    }
}

static void
verify_pkcs1(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY)) {
        r->content[4] = 4;
        r->content[5] = 1;
    }
}

static void
certificate_empty(struct evil *e, struct evil_record *r)
{
    static const uint8_t none13[] = { CERTIFICATE, 0, 0, 4, 0, 0, 0, 0 };
    static const uint8_t none12[] = { CERTIFICATE, 0, 0, 3, 0, 0, 0 };

    if (!is_message(r, CERTIFICATE))
        return;
    r->len = e->tls12 ? sizeof(none12) : sizeof(none13);
    memcpy(r->content, e->tls12 ? none12 : none13, r->len);
}

static void
certificate_garbage(struct evil *e, struct evil_record *r)
{
    if (is_message(r, CERTIFICATE))
        r->content[e->tls12 ? 10 : 11] = 0x31; /* a SET, no SEQUENCE */
}

static void
certificate_cut(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE))
        resize(r, r->len - 10, -10);
}

static void
certificate_signature(struct evil *e, struct evil_record *r)
{
    /* The last byte of the leaf's own signature; 1.3 has two bytes behind. */
    if (is_message(r, CERTIFICATE))
        r->content[r->len - (e->tls12 ? 1 : 3)] ^= 1;
}

static void
proofs(void **state)
{
    static const struct lie lies[] = {
        { "Finished", true, 0x0304, finished_flipped, 51, DATA, NULL, 0 },
        { "Finished", false, 0x0304, finished_flipped, 51, HANDSHAKE, NULL, 0 },
        { "Finished", true, 0x0303, finished_flipped, 51, PLAIN, NULL, 0 },
        { "Finished", false, 0x0303, finished_flipped, 51, DATA, NULL, 0 },
        { "Finished too long", true, 0x0304, finished_long, 50, DATA, NULL, 0 },
        { "Finished too long", false, 0x0304, finished_long, 50, HANDSHAKE,
          NULL, 0 },
        { "Finished too long", true, 0x0303, finished_long, 50, PLAIN, NULL,
          0 },
        { "Finished too long", false, 0x0303, finished_long, 50, DATA, NULL,
          0 },
        { "Finished too short", true, 0x0304, finished_short, 50, DATA, NULL,
          0 },
        { "Finished too short", false, 0x0304, finished_short, 50, HANDSHAKE,
          NULL, 0 },
        { "Finished too short", true, 0x0303, finished_short, 50, PLAIN, NULL,
          0 },
        { "CertificateVerify", false, 0x0304, signature_flipped, 51, HANDSHAKE,
          NULL, 0 },
        { "CertificateVerify with SHA-1", false, 0x0304, verify_scheme, 47,
          HANDSHAKE, NULL, 0 },
        { "CertificateVerify with PKCS#1", false, 0x0304, verify_pkcs1, 47,
          HANDSHAKE, NULL, 0 },
        { "no certificate", false, 0x0304, certificate_empty, 50, HANDSHAKE,
          NULL, 0 },
        { "no certificate", false, 0x0303, certificate_empty, 50, PLAIN, NULL,
          0 },
        { "malformed certificate", false, 0x0304, certificate_garbage, 42,
          HANDSHAKE, NULL, 0 },
        { "malformed certificate", false, 0x0303, certificate_garbage, 42,
          PLAIN, NULL, 0 },
        { "cut Certificate", false, 0x0304, certificate_cut, 50, HANDSHAKE,
          NULL, 0 },
        { "cut Certificate", false, 0x0303, certificate_cut, 50, PLAIN, NULL,
          0 },
        { "certificate's signature", false, 0x0304, certificate_signature, 48,
          HANDSHAKE, NULL, FLOW_E_AUTH },
        { "certificate's signature", false, 0x0303, certificate_signature, 48,
          PLAIN, NULL, FLOW_E_AUTH },
    };

    (void)state;
    LIES(lies);
}

/* --- order: messages left out, twice, too early, hidden --- */

static void
without_extensions(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = is_message(r, ENCRYPTED_EXTENSIONS);
}

static void
without_certificate(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = is_message(r, CERTIFICATE);
}

static void
without_verify(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = is_message(r, CERTIFICATE_VERIFY);
}

static void
without_exchange(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = is_exchange(r);
}

static void
without_change(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = r->type == 20;
}

static void
twice(struct evil *e, struct evil_record *r, uint8_t type)
{
    if (is_message(r, type))
        evil_sealed(e, r->epoch, r->type, r->content, r->len);
}

static void
hello_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, e->we_serve ? CLIENT_HELLO : SERVER_HELLO);
}

static void
extensions_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, ENCRYPTED_EXTENSIONS);
}

static void
certificate_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, CERTIFICATE);
}

static void
exchange_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, CLIENT_KEY_EXCHANGE);
    twice(e, r, SERVER_KEY_EXCHANGE);
}

static const uint8_t key_update[5] = { KEY_UPDATE, 0, 0, 1, 0 };
static const uint8_t ticket[4 + 13] = { NEW_SESSION_TICKET, 0, 0, 13, 0, 0, 1 };

/* One more message in the record of the Finished. */
static void
hidden_behind_finished(struct evil *e, struct evil_record *r)
{
    static const uint8_t hello_request[4] = { 0 };

    if (!is_message(r, FINISHED))
        return;
    if (e->tls12) {
        memcpy(r->content + r->len, hello_request, sizeof(hello_request));
        r->len += sizeof(hello_request);
    } else {
        memcpy(r->content + r->len, key_update, sizeof(key_update));
        r->len += sizeof(key_update);
    }
}

static void
update_for_finished(struct evil *e, struct evil_record *r)
{
    if (is_message(r, FINISHED))
        evil_sealed(e, r->epoch, 22, key_update, sizeof(key_update));
}

static void
ticket_for_finished(struct evil *e, struct evil_record *r)
{
    if (is_message(r, FINISHED))
        evil_sealed(e, r->epoch, 22, ticket, sizeof(ticket));
}

static void
data_for_finished(struct evil *e, struct evil_record *r)
{
    if (is_message(r, FINISHED))
        evil_sealed(e, r->epoch, 23, "early", 5);
}

static void
plain_finished(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, FINISHED))
        r->epoch = EVIL_PLAIN;
}

/* Its first half in the clear, the rest sealed. */
static void
message_across_keys(struct evil *e, struct evil_record *r)
{
    uint8_t next[4] = { ENCRYPTED_EXTENSIONS, 0, 0, 2 };

    if (is_message(r, SERVER_HELLO)) {
        memcpy(r->content + r->len, next, sizeof(next));
        r->len += sizeof(next);
    }
    if (is_message(r, ENCRYPTED_EXTENSIONS))
        evil_sealed(e, r->epoch, 22, "\0\0", 2);
}

static void
order(void **state)
{
    static const struct lie lies[] = {
        { "no EncryptedExtensions", false, 0x0304, without_extensions, 10,
          HANDSHAKE, NULL, 0 },
        { "no Certificate", false, 0x0304, without_certificate, 10, HANDSHAKE,
          NULL, 0 },
        { "no CertificateVerify", false, 0x0304, without_verify, 10, HANDSHAKE,
          NULL, 0 },
        { "no Certificate", false, 0x0303, without_certificate, 10, PLAIN, NULL,
          0 },
        { "no key exchange", false, 0x0303, without_exchange, 10, PLAIN, NULL,
          0 },
        { "no key exchange", true, 0x0303, without_exchange, 10, PLAIN, NULL,
          0 },
        { "no change_cipher_spec", true, 0x0303, without_change, 10, PLAIN,
          NULL, 0 },
        { "no change_cipher_spec", false, 0x0303, without_change, 10, DATA,
          NULL, 0 },
        { "ClientHello twice", true, 0x0304, hello_twice, 10, DATA, NULL, 0 },
        { "ClientHello twice", true, 0x0303, hello_twice, 10, PLAIN, NULL, 0 },
        { "ServerHello twice", false, 0x0304, hello_twice, 10, HANDSHAKE, NULL,
          0 },
        { "ServerHello twice", false, 0x0303, hello_twice, 10, PLAIN, NULL, 0 },
        { "EncryptedExtensions twice", false, 0x0304, extensions_twice, 10,
          HANDSHAKE, NULL, 0 },
        { "Certificate twice", false, 0x0304, certificate_twice, 10, HANDSHAKE,
          NULL, 0 },
        { "Certificate twice", false, 0x0303, certificate_twice, 10, PLAIN,
          NULL, 0 },
        { "key exchange twice", false, 0x0303, exchange_twice, 10, PLAIN, NULL,
          0 },
        { "key exchange twice", true, 0x0303, exchange_twice, 10, PLAIN, NULL,
          0 },
        { "hidden behind Finished", true, 0x0304, hidden_behind_finished, 10,
          DATA, NULL, 0 },
        { "hidden behind Finished", false, 0x0304, hidden_behind_finished, 10,
          HANDSHAKE, NULL, 0 },
        { "hidden behind Finished", true, 0x0303, hidden_behind_finished, 10,
          PLAIN, NULL, 0 },
        { "hidden behind Finished", false, 0x0303, hidden_behind_finished, 10,
          DATA, NULL, 0 },
        { "KeyUpdate before Finished", true, 0x0304, update_for_finished, 10,
          DATA, NULL, 0 },
        { "KeyUpdate before Finished", false, 0x0304, update_for_finished, 10,
          HANDSHAKE, NULL, 0 },
        { "ticket before Finished", false, 0x0304, ticket_for_finished, 10,
          HANDSHAKE, NULL, 0 },
        { "data before Finished", true, 0x0304, data_for_finished, 10, DATA,
          NULL, 0 },
        { "data before Finished", false, 0x0304, data_for_finished, 10,
          HANDSHAKE, NULL, 0 },
        { "data before Finished", true, 0x0303, data_for_finished, 10, PLAIN,
          NULL, 0 },
        { "data before Finished", false, 0x0303, data_for_finished, 10, DATA,
          NULL, 0 },
        { "Finished in the clear", true, 0x0304, plain_finished, 10, DATA, NULL,
          0 },
        { "Finished in the clear", false, 0x0304, plain_finished, 10, HANDSHAKE,
          NULL, 0 },
        { "message across a change of keys", false, 0x0304, message_across_keys,
          10, HANDSHAKE, NULL, 0 },
    };

    (void)state;
    LIES(lies);
}

/* --- ServerHello and HelloRetryRequest --- */

static void
put_extension(struct evil_record *r, uint16_t type, const void *data,
              size_t len)
{
    uint8_t *total = extensions_len(r);
    size_t at = (size_t)(total - r->content) + 2;

    add(total, (int)len + 4);
    resize(r, at, (int)len + 4);
    r->content[at] = (uint8_t)(type >> 8);
    r->content[at + 1] = (uint8_t)type;
    r->content[at + 2] = (uint8_t)(len >> 8);
    r->content[at + 3] = (uint8_t)len;
    memcpy(r->content + at + 4, data, len);
}

static void
remove_extension(struct evil_record *r, uint16_t type)
{
    size_t at = extension(r, type), len;

    assert_true(at != 0);
    len = 4 + (size_t)(r->content[at + 2] << 8 | r->content[at + 3]);
    add(extensions_len(r), -(int)len);
    resize(r, at, -(int)len);
}

/* Of a ServerHello: its suite, its compression behind it. */
static uint8_t *
suite_of(struct evil_record *r)
{
    return r->content + 4 + 2 + 32 + 1 + r->content[38];
}

static void
suite_not_offered(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        suite_of(r)[1] = 0x05;
}

static void
suite_of_the_other_version(struct evil *e, struct evil_record *r)
{
    if (is_message(r, SERVER_HELLO)) {
        suite_of(r)[0] = e->tls12 ? 0x13 : 0xc0;
        suite_of(r)[1] = e->tls12 ? 0x01 : 0x2b;
    }
}

static void
session_id_of_another(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[39] ^= 1;
}

static void
compression_chosen(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        suite_of(r)[2] = 1;
}

static void
version_of_the_future(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[extension(r, 43) + 5] = 5;
}

static void
version_12_by_extension(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[extension(r, 43) + 5] = 3;
}

static void
version_not_named(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        remove_extension(r, 43);
}

static void
version_11(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[5] = 2;
}

/* RFC 8446 4.1.3: what a server of TLS 1.3 writes when it agrees to 1.2. */
static void
downgrade(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        memcpy(r->content + 4 + 2 + 24, "DOWNGRD\1", 8);
}

static void
share_missing(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        remove_extension(r, 51);
}

static void
hello_with_unknown(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 0x4242, "", 0);
}

static void
hello_with_alpn(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 16, "\0\3\2h2", 5);
}

static void
hello_with_psk(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 41, "\0\0", 2);
}

static void
hello_with_repeat(struct evil *e, struct evil_record *r)
{
    uint16_t type = e->tls12 ? 23 : 43;

    if (is_message(r, SERVER_HELLO))
        put_extension(r, type, "\3\4", e->tls12 ? 0 : 2);
}

static void
hello_cut(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO) || is_message(r, CLIENT_HELLO))
        resize(r, r->len - 1, -1);
}

/* RFC 5746 3.4 */
static void
renegotiation_not_empty(struct evil *e, struct evil_record *r)
{
    size_t at;

    (void)e;
    if (!is_message(r, SERVER_HELLO) || (at = extension(r, 0xff01)) == 0)
        return;
    add(extensions_len(r), 1);
    r->content[at + 3] = 2;
    r->content[at + 4] = 1;
    resize(r, at + 5, 1);
}

static void
extensions_13(struct evil *e, struct evil_record *r, uint16_t type,
              const void *data, size_t len)
{
    uint8_t *p = r->content + 4;

    (void)e;
    if (!is_message(r, ENCRYPTED_EXTENSIONS))
        return;
    add(p, (int)len + 4);
    resize(r, 6, (int)len + 4);
    p[2] = (uint8_t)(type >> 8);
    p[3] = (uint8_t)type;
    p[4] = (uint8_t)(len >> 8);
    p[5] = (uint8_t)len;
    memcpy(p + 6, data, len);
}

static void
encrypted_alpn(struct evil *e, struct evil_record *r)
{
    extensions_13(e, r, 16, "\0\3\2h2", 5);
}

static void
encrypted_unknown(struct evil *e, struct evil_record *r)
{
    extensions_13(e, r, 0x4242, "", 0);
}

static void
encrypted_share(struct evil *e, struct evil_record *r)
{
    extensions_13(e, r, 51, "\0\x1d", 2);
}

static void
encrypted_early_data(struct evil *e, struct evil_record *r)
{
    extensions_13(e, r, 42, "", 0);
}

static void
encrypted_cut(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, ENCRYPTED_EXTENSIONS))
        resize(r, 5, -1);
}

/* A HelloRetryRequest is the first of two ServerHellos. */
static bool
is_retry(struct evil *e, const struct evil_record *r)
{
    return is_message(r, SERVER_HELLO) && e->step++ == 0;
}

static void
retry_same_group(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        memcpy(r->content + extension(r, 51) + 4, "\0\x1d", 2);
}

static void
retry_group_not_offered(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        memcpy(r->content + extension(r, 51) + 4, "\0\x19", 2);
}

static void
retry_for_nothing(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        remove_extension(r, 51);
}

static void
retry_twice(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r)) {
        evil_pass(e, r);
        evil_plain(e, 22, r->content, r->len);
    }
}

static void
retry_other_suite(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        suite_of(r)[1] = 0x03;
}

static void
hello_other_group_than_retry(struct evil *e, struct evil_record *r)
{
    if (is_message(r, SERVER_HELLO) && e->step++ == 1)
        memcpy(r->content + extension(r, 51) + 4, "\0\x1d", 2);
}

static void
server_hellos(void **state)
{
    static const struct lie lies[] = {
        { "suite not offered", false, 0x0304, suite_not_offered, 47, PLAIN,
          NULL, 0 },
        { "suite of TLS 1.2", false, 0x0304, suite_of_the_other_version, 47,
          PLAIN, NULL, 0 },
        { "suite of TLS 1.3", false, 0x0303, suite_of_the_other_version, 47,
          PLAIN, NULL, 0 },
        { "another session", false, 0x0304, session_id_of_another, 47, PLAIN,
          NULL, 0 },
        { "compression", false, 0x0304, compression_chosen, 47, PLAIN, NULL,
          0 },
        { "compression", false, 0x0303, compression_chosen, 47, PLAIN, NULL,
          0 },
        { "version not offered", false, 0x0304, version_of_the_future, 47,
          PLAIN, NULL, 0 },
        { "TLS 1.2 by the extension", false, 0x0304, version_12_by_extension,
          47, PLAIN, NULL, 0 },
        { "TLS 1.2", false, 0x0304, version_not_named, 70, PLAIN, NULL, 0 },
        { "TLS 1.1", false, 0x0303, version_11, 70, PLAIN, NULL, 0 },
        { "downgrade", false, 0x0303, downgrade, 47, PLAIN, with_both_versions,
          0 },
        { "no key share", false, 0x0304, share_missing, 109, PLAIN, NULL, 0 },
        { "extension not offered", false, 0x0304, hello_with_unknown, 110,
          PLAIN, NULL, 0 },
        { "extension not offered", false, 0x0303, hello_with_unknown, 110,
          PLAIN, NULL, 0 },
        { "ALPN not offered", false, 0x0303, hello_with_alpn, 110, PLAIN, NULL,
          0 },
        { "ALPN in the clear", false, 0x0304, hello_with_alpn, 110, PLAIN, NULL,
          0 },
        { "PSK not offered", false, 0x0304, hello_with_psk, 110, PLAIN, NULL,
          0 },
        { "extension twice", false, 0x0304, hello_with_repeat, 47, PLAIN, NULL,
          0 },
        { "extension twice", false, 0x0303, hello_with_repeat, 47, PLAIN, NULL,
          0 },
        { "cut", false, 0x0304, hello_cut, 50, PLAIN, NULL, 0 },
        { "cut", false, 0x0303, hello_cut, 50, PLAIN, NULL, 0 },
        { "renegotiation", false, 0x0303, renegotiation_not_empty, 40, PLAIN,
          NULL, 0 },
        { "encrypted ALPN not offered", false, 0x0304, encrypted_alpn, 110,
          HANDSHAKE, NULL, 0 },
        { "encrypted extension not offered", false, 0x0304, encrypted_unknown,
          110, HANDSHAKE, NULL, 0 },
        { "encrypted key share", false, 0x0304, encrypted_share, 47, HANDSHAKE,
          NULL, 0 },
        { "early data not offered", false, 0x0304, encrypted_early_data, 110,
          HANDSHAKE, NULL, 0 },
        { "cut EncryptedExtensions", false, 0x0304, encrypted_cut, 50,
          HANDSHAKE, NULL, 0 },
        { "retry with the same group", false, 0x0304, retry_same_group, 47,
          PLAIN, with_hrr, 0 },
        { "retry with a group not offered", false, 0x0304,
          retry_group_not_offered, 47, PLAIN, with_hrr, 0 },
        { "retry for nothing", false, 0x0304, retry_for_nothing, 47, PLAIN,
          with_hrr, 0 },
        { "retry twice", false, 0x0304, retry_twice, 10, PLAIN, with_hrr, 0 },
        { "other suite than retry's", false, 0x0304, retry_other_suite, 47,
          PLAIN, with_hrr, 0 },
        { "other group than retry's", false, 0x0304,
          hello_other_group_than_retry, 47, PLAIN, with_hrr, 0 },
    };

    (void)state;
    LIES(lies);
}

/* --- ClientHello --- */

static bool
is_hello(const struct evil_record *r)
{
    return is_message(r, CLIENT_HELLO);
}

/* Of a ClientHello: the length of its suites. */
static size_t
suites_at(const struct evil_record *r)
{
    return 4u + 2 + 32 + 1 + r->content[38];
}

static void
no_null_compression(struct evil *e, struct evil_record *r)
{
    size_t at = suites_at(r);

    (void)e;
    if (is_hello(r)) {
        at += 2u + (size_t)(r->content[at] << 8 | r->content[at + 1]);
        r->content[at + 1] = 1;
    }
}

/* RFC 8446 4.1.2: exactly one, null. */
static void
more_compression(struct evil *e, struct evil_record *r)
{
    size_t at = suites_at(r);

    (void)e;
    if (is_hello(r)) {
        at += 2u + (size_t)(r->content[at] << 8 | r->content[at + 1]);
        r->content[at] = 2;
        resize(r, at + 2, 1);
    }
}

static void
without_groups(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        remove_extension(r, 10);
}

static void
without_share(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        remove_extension(r, 51);
}

static void
without_signatures(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        remove_extension(r, 13);
}

static void
without_master_secret(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        remove_extension(r, 23);
}

static void
psk_not_last(struct evil *e, struct evil_record *r)
{
    static const uint8_t psk[] = { 0, 7, 0, 1, 'x', 0, 0, 0, 0, 0, 33, 32 };
    uint8_t body[sizeof(psk) + 32] = { 0 };

    (void)e;
    memcpy(body, psk, sizeof(psk));
    if (is_hello(r))
        put_extension(r, 41, body, sizeof(body));
}

/* At the end, where it belongs, but without psk_key_exchange_modes. */
static void
psk_without_modes(struct evil *e, struct evil_record *r)
{
    static const uint8_t psk[] = { 0,   41, 0, 44, 0, 7, 0,  1,
                                   'x', 0,  0, 0,  0, 0, 33, 32 };
    size_t at;

    (void)e;
    if (!is_hello(r))
        return;
    remove_extension(r, 45);
    at = r->len;
    add(extensions_len(r), (int)sizeof(psk) + 32);
    resize(r, at, (int)sizeof(psk) + 32);
    memcpy(r->content + at, psk, sizeof(psk));
}

static void
session_id_too_long(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r)) {
        resize(r, 39, 33 - r->content[38]);
        r->content[38] = 33;
    }
}

static void
odd_suites(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r)) {
        add(r->content + suites_at(r), 1);
        resize(r, suites_at(r) + 2, 1);
    }
}

static void
no_suite(struct evil *e, struct evil_record *r)
{
    size_t at = suites_at(r), i;

    (void)e;
    if (is_hello(r))
        for (i = 0; i < (size_t)r->content[at + 1]; i += 2)
            memcpy(r->content + at + 2 + i, "\xfa\xfa", 2);
}

/* RFC 7507 3 */
static void
fallback(struct evil *e, struct evil_record *r)
{
    size_t at = suites_at(r);

    (void)e;
    if (is_hello(r)) {
        add(r->content + at, 2);
        resize(r, at + 2, 2);
        memcpy(r->content + at + 2, "\x56\0", 2);
    }
}

static void
fragment_length_unknown(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        put_extension(r, 1, "\7", 1);
}

static void
renegotiating_hello(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        put_extension(r, 0xff01, "\3abc", 4);
}

static void
hello_of_a_server(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        r->content[0] = SERVER_HELLO;
}

/* The second ClientHello. */
static bool
is_second(struct evil *e, const struct evil_record *r)
{
    return is_hello(r) && e->step++ == 1;
}

static void
second_with_early_data(struct evil *e, struct evil_record *r)
{
    if (is_second(e, r))
        put_extension(r, 42, "", 0);
}

static void
second_with_other_name(struct evil *e, struct evil_record *r)
{
    if (is_second(e, r))
        r->content[extension(r, 0) + 9] ^= 1;
}

static void
second_with_the_same_share(struct evil *e, struct evil_record *r)
{
    static uint8_t first[CIPHER_MAX];
    static size_t len;

    if (!is_hello(r))
        return;
    if (e->step++ == 0) {
        len = r->len;
        memcpy(first, r->content, len);
    } else {
        r->len = len;
        memcpy(r->content, first, len);
    }
}

static void
client_hellos(void **state)
{
    static const struct lie lies[] = {
        { "no null compression", true, 0x0304, no_null_compression, 47, PLAIN,
          NULL, 0 },
        { "no null compression", true, 0x0303, no_null_compression, 47, PLAIN,
          NULL, 0 },
        { "more than null compression", true, 0x0304, more_compression, 47,
          PLAIN, NULL, 0 },
        { "no supported_groups", true, 0x0304, without_groups, 109, PLAIN, NULL,
          0 },
        { "no key_share", true, 0x0304, without_share, 109, PLAIN, NULL, 0 },
        { "no signature_algorithms", true, 0x0304, without_signatures, 109,
          PLAIN, NULL, 0 },
        { "no signature_algorithms", true, 0x0303, without_signatures, 40,
          PLAIN, NULL, 0 },
        { "no extended_master_secret", true, 0x0303, without_master_secret, 40,
          PLAIN, NULL, 0 },
        { "pre_shared_key not last", true, 0x0304, psk_not_last, 47, PLAIN,
          NULL, 0 },
        { "pre_shared_key without modes", true, 0x0304, psk_without_modes, 109,
          PLAIN, NULL, 0 },
        { "session id too long", true, 0x0304, session_id_too_long, 50, PLAIN,
          NULL, 0 },
        { "odd list of suites", true, 0x0304, odd_suites, 50, PLAIN, NULL, 0 },
        { "no suite in common", true, 0x0304, no_suite, 40, PLAIN, NULL, 0 },
        { "no suite in common", true, 0x0303, no_suite, 40, PLAIN, NULL, 0 },
        { "fallback", true, 0x0303, fallback, 86, PLAIN, with_both_versions,
          0 },
        { "cut", true, 0x0304, hello_cut, 50, PLAIN, NULL, 0 },
        { "cut", true, 0x0303, hello_cut, 50, PLAIN, NULL, 0 },
        { "max_fragment_length unknown", true, 0x0303, fragment_length_unknown,
          47, PLAIN, NULL, 0 },
        { "renegotiation", true, 0x0303, renegotiating_hello, 40, PLAIN, NULL,
          0 },
        { "ServerHello", true, 0x0304, hello_of_a_server, 10, PLAIN, NULL, 0 },
        { "early data in the second", true, 0x0304, second_with_early_data, 47,
          PLAIN, with_hrr, 0 },
        { "another name in the second", true, 0x0304, second_with_other_name,
          47, PLAIN, with_hrr, 0 },
        { "the same share again", true, 0x0304, second_with_the_same_share, 47,
          PLAIN, with_hrr, 0 },
    };

    (void)state;
    LIES(lies);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(key_shares), TEST(key_exchange12), TEST(proofs),
        TEST(order),      TEST(server_hellos),  TEST(client_hellos),
    };

    return TEST_RUN(tests);
}
