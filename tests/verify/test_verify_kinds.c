/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include <flow/tls.h>

#include "scene.h"
#include "test.h"

/*
 * One chain of each kind, good and bad, with the expected verdict and that of
 * OpenSSL.  Where the two differ the row says why.
 */

#define CERTS 6

/* The rows below say what differs from these. */
#pragma GCC diagnostic ignored "-Woverride-init"

/* By default name 0 is trusted, with key 0; 1 is an authority below it; and 9
 * is the server, named a.example. */
#define ROOT                                                                   \
    .subject = 0, .issuer = 0, .key = SCENE_KEY_0, .signer = SCENE_KEY_0,      \
    .ca = SCENE_CA_TRUE
#define AUTHORITY                                                              \
    .subject = 1, .issuer = 0, .key = SCENE_KEY_1, .signer = SCENE_KEY_0,      \
    .ca = SCENE_CA_TRUE
#define SERVER                                                                 \
    .subject = 9, .issuer = 1, .key = SCENE_KEY_5, .signer = SCENE_KEY_1,      \
    .san = "DNS:a.example"
#define DIRECT                                                                 \
    .subject = 9, .issuer = 0, .key = SCENE_KEY_5, .signer = SCENE_KEY_0,      \
    .san = "DNS:a.example"
#define CERT(...)                                                              \
    {                                                                          \
        __VA_ARGS__                                                            \
    }

/* What OpenSSL says, where it is not as good or as bad as ours. */
enum differs {
    SAME = 0,
    /* OpenSSL does not take anyExtendedKeyUsage for serverAuth in a server's
     * own certificate, RFC 5280 4.2.1.12 leaves that open. */
    OPENSSL_WITHOUT_ANY,
    /* OpenSSL also allows a server's key that encrypts only, as RSA key
     * exchange needs; we have no such suite. */
    OPENSSL_WITH_ENCIPHERMENT,
    /* OpenSSL keeps the first issuer that it finds, and looks for others only
     * at the end of a chain. */
    OPENSSL_DOES_NOT_GO_BACK,
    /* A wildcard that could stand for an excluded name: OpenSSL compares the
     * text of the wildcard. */
    OPENSSL_EXCLUDES_NO_WILDCARD,
    /* OpenSSL supports constraints of URIs. */
    OPENSSL_KNOWS_URIS,
    /* For OpenSSL a certificate ends with its last second, and not after it as
     * in RFC 5280 4.1.2.5. */
    OPENSSL_LEAVES_OUT_THE_LAST_SECOND
};

struct kind {
    const char *what;
    struct scene_cert trust[CERTS];
    struct scene_cert chain[CERTS];
    const char *name; /* NULL: a.example; "": any */
    enum flow_tls_purpose purpose;
    enum flow_tls_check check;
    unsigned depth;
    enum differs differs;
};

static const struct kind kinds[] = {
    { .what = "good, with an authority between",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY) } },
    { .what = "good, with the trusted certificate in the chain",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY), CERT(ROOT, .serial = 7) } },
    { .what = "good, below the trusted certificate",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT) } },
    { .what = "an authority between is trusted",
      .trust = { CERT(AUTHORITY) },
      .chain = { CERT(SERVER) } },
    { .what = "every kind of key",
      .trust = { CERT(ROOT, .key = SCENE_KEY_RSA, .signer = SCENE_KEY_RSA) },
      .chain = { CERT(SERVER, .key = SCENE_KEY_P521, .signer = SCENE_KEY_P384),
                 CERT(AUTHORITY, .key = SCENE_KEY_P384, .signer = SCENE_KEY_RSA,
                      .hash = SCENE_PSS) } },
    { .what = "SHA-384",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .hash = SCENE_SHA384),
                 CERT(AUTHORITY, .hash = SCENE_SHA384) } },
    { .what = "certificates in another order, and strangers among them",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .issuer = 2, .signer = SCENE_KEY_2),
                 CERT(AUTHORITY), CERT(ROOT, .subject = 7, .issuer = 7),
                 CERT(AUTHORITY, .subject = 2, .issuer = 1, .key = SCENE_KEY_2,
                      .signer = SCENE_KEY_1) } },
    { .what = "the certificate between is missing",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER) },
      .check = FLOW_TLS_CHECK_TRUST },
    { .what = "the authority is not known",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY, .issuer = 3, .signer = SCENE_KEY_3) },
      .check = FLOW_TLS_CHECK_TRUST,
      .depth = 1 },
    { .what = "the peer's own certificate is its issuer",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .issuer = 9, .signer = SCENE_KEY_5) },
      .check = FLOW_TLS_CHECK_TRUST },
    { .what = "nothing is trusted",
      .chain = { CERT(SERVER), CERT(AUTHORITY) },
      .check = FLOW_TLS_CHECK_TRUST,
      .depth = 1 },
    { .what = "the signature of the peer's certificate is wrong",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .forged = true), CERT(AUTHORITY) },
      .check = FLOW_TLS_CHECK_SIGNATURE },
    { .what = "the signature of the authority is wrong",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .forged = true) },
      .check = FLOW_TLS_CHECK_SIGNATURE,
      .depth = 1 },
    { .what = "an authority of the trusted one's name has signed",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .signer = SCENE_KEY_3) },
      .check = FLOW_TLS_CHECK_SIGNATURE },
    { .what = "a signature by another kind of key",
      .trust = { CERT(ROOT, .key = SCENE_KEY_RSA, .signer = SCENE_KEY_RSA) },
      .chain = { CERT(DIRECT) },
      .check = FLOW_TLS_CHECK_SIGNATURE },

    /* Time */
    { .what = "expired a second ago",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .from = -9, .until = -1), CERT(AUTHORITY) },
      .check = FLOW_TLS_CHECK_EXPIRED },
    { .what = "valid for its last second",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .from = -9), CERT(AUTHORITY) },
      .differs = OPENSSL_LEAVES_OUT_THE_LAST_SECOND },
    { .what = "valid from this second",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .until = 9), CERT(AUTHORITY) } },
    { .what = "valid from the next second",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .from = 1, .until = 9), CERT(AUTHORITY) },
      .check = FLOW_TLS_CHECK_FUTURE },
    { .what = "the authority has expired",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .from = -9, .until = -1) },
      .check = FLOW_TLS_CHECK_EXPIRED,
      .depth = 1 },
    { .what = "the trusted certificate has expired",
      .trust = { CERT(ROOT, .from = -9, .until = -1) },
      .chain = { CERT(SERVER), CERT(AUTHORITY) },
      .check = FLOW_TLS_CHECK_EXPIRED,
      .depth = 2 },
    { .what = "expired, and for another name",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .from = -9, .until = -1,
                      .san = "DNS:b.example") },
      .check = FLOW_TLS_CHECK_EXPIRED },

    /* Alternatives */
    { .what = "cross-signed, one way has expired",
      .trust = { CERT(ROOT),
                 CERT(ROOT, .subject = 3, .issuer = 3, .key = SCENE_KEY_3,
                      .signer = SCENE_KEY_3, .from = -9, .until = -1) },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY, .issuer = 3, .signer = SCENE_KEY_3),
                 CERT(AUTHORITY) },
      .differs = OPENSSL_DOES_NOT_GO_BACK },
    { .what = "an expired certificate of the authority comes first",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .from = -9, .until = -1),
                 CERT(AUTHORITY) } },
    { .what = "a forged certificate of the authority comes first",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .forged = true),
                 CERT(AUTHORITY) },
      .differs = OPENSSL_DOES_NOT_GO_BACK },
    { .what = "the authority's older key comes first",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .key = SCENE_KEY_2),
                 CERT(AUTHORITY) },
      .differs = OPENSSL_DOES_NOT_GO_BACK },
    { .what = "two authorities sign each other",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY, .issuer = 2, .signer = SCENE_KEY_2),
                 CERT(AUTHORITY, .subject = 2, .issuer = 1, .key = SCENE_KEY_2,
                      .signer = SCENE_KEY_1) },
      .check = FLOW_TLS_CHECK_TRUST,
      .depth = 2 },
    { .what = "an alternative for another purpose comes first",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .purposes = "clientAuth"),
                 CERT(AUTHORITY) },
      .differs = OPENSSL_DOES_NOT_GO_BACK },

    /* Names */
    { .what = "for another name",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT) },
      .name = "b.example",
      .check = FLOW_TLS_CHECK_NAME },
    { .what = "no name is asked for",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT) },
      .name = "" },
    { .what = "a wildcard",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .san = "DNS:*.b.example") },
      .name = "a.b.example" },
    { .what = "a wildcard for two labels",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .san = "DNS:*.b.example") },
      .name = "x.a.b.example",
      .check = FLOW_TLS_CHECK_NAME },
    { .what = "an address",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .san = "IP:10.1.2.3") },
      .name = "10.1.2.3" },
    { .what = "an address as a DNS name",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .san = "DNS:10.1.2.3") },
      .name = "10.1.2.3",
      .check = FLOW_TLS_CHECK_NAME },
    { .what = "the name as the common name",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .san = NULL) },
      .check = FLOW_TLS_CHECK_NAME },

    /* Authorities */
    { .what = "the issuer is not an authority",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .ca = SCENE_CA_FALSE) },
      .check = FLOW_TLS_CHECK_AUTHORITY,
      .depth = 1 },
    { .what = "the issuer does not say that it is an authority",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .ca = SCENE_CA_ABSENT) },
      .check = FLOW_TLS_CHECK_AUTHORITY,
      .depth = 1 },
    { .what = "the issuer's key is not for certificates",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .usage = "cRLSign") },
      .check = FLOW_TLS_CHECK_AUTHORITY,
      .depth = 1 },
    { .what = "the issuer's key is for certificates",
      .trust = { CERT(ROOT, .usage = "critical,keyCertSign") },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY, .usage = "critical,keyCertSign,cRLSign") } },
    { .what = "a trusted certificate of version 1",
      .trust = { CERT(ROOT, .version1 = true) },
      .chain = { CERT(DIRECT) } },
    { .what = "an authority of version 1 that is not trusted",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .version1 = true) },
      .check = FLOW_TLS_CHECK_AUTHORITY,
      .depth = 1 },
    { .what = "a path length that suffices",
      .trust = { CERT(ROOT, .path_len = 2) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .path_len = 1) } },
    { .what = "a path length that is exceeded",
      .trust = { CERT(ROOT, .path_len = 1) },
      .chain = { CERT(SERVER), CERT(AUTHORITY) },
      .check = FLOW_TLS_CHECK_PATH_LENGTH,
      .depth = 2 },
    { .what = "a path length that does not count a change of keys",
      .trust = { CERT(ROOT, .path_len = 1) },
      .chain = { CERT(DIRECT, .signer = SCENE_KEY_1),
                 CERT(ROOT, .key = SCENE_KEY_1) },
      .differs = OPENSSL_DOES_NOT_GO_BACK },

    /* Purposes and usages */
    { .what = "for clients only",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .purposes = "clientAuth") },
      .check = FLOW_TLS_CHECK_PURPOSE },
    { .what = "a client's",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .purposes = "clientAuth") },
      .purpose = FLOW_TLS_PURPOSE_CLIENT },
    { .what = "a client's for servers only",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .purposes = "serverAuth") },
      .purpose = FLOW_TLS_PURPOSE_CLIENT,
      .check = FLOW_TLS_CHECK_PURPOSE },
    { .what = "for any purpose",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .purposes = "anyExtendedKeyUsage") },
      .differs = OPENSSL_WITHOUT_ANY },
    { .what = "an authority for clients only",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .purposes = "clientAuth") },
      .check = FLOW_TLS_CHECK_PURPOSE,
      .depth = 1 },
    { .what = "an authority for both",
      .trust = { CERT(ROOT, .purposes = "serverAuth,clientAuth") },
      .chain = { CERT(SERVER, .purposes = "serverAuth"),
                 CERT(AUTHORITY, .purposes = "clientAuth,serverAuth") } },
    { .what = "a key that does not sign",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .usage = "keyEncipherment") },
      .check = FLOW_TLS_CHECK_USAGE,
      .differs = OPENSSL_WITH_ENCIPHERMENT },
    { .what = "a key for certificates only",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .usage = "keyCertSign") },
      .check = FLOW_TLS_CHECK_USAGE },

    /* Strength */
    { .what = "a short RSA key",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .key = SCENE_KEY_RSA_SHORT) },
      .check = FLOW_TLS_CHECK_KEY },
    { .what = "a short RSA key of the authority",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .signer = SCENE_KEY_RSA_SHORT),
                 CERT(AUTHORITY, .key = SCENE_KEY_RSA_SHORT) },
      .check = FLOW_TLS_CHECK_KEY,
      .depth = 1 },
    { .what = "a short RSA key that is trusted",
      .trust = { CERT(ROOT, .key = SCENE_KEY_RSA_SHORT,
                      .signer = SCENE_KEY_RSA_SHORT) },
      .chain = { CERT(DIRECT, .signer = SCENE_KEY_RSA_SHORT) },
      .check = FLOW_TLS_CHECK_KEY,
      .depth = 1 },
    { .what = "SHA-1",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .hash = SCENE_SHA1) },
      .check = FLOW_TLS_CHECK_HASH },
    { .what = "SHA-1 of the authority",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .hash = SCENE_SHA1) },
      .check = FLOW_TLS_CHECK_HASH,
      .depth = 1 },
    { .what = "SHA-1 of the trusted certificate does not count",
      .trust = { CERT(ROOT, .hash = SCENE_SHA1) },
      .chain = { CERT(DIRECT) } },

    /* Extensions */
    { .what = "an unknown critical extension",
      .trust = { CERT(ROOT) },
      .chain = { CERT(DIRECT, .critical = true) },
      .check = FLOW_TLS_CHECK_CRITICAL },
    { .what = "an unknown critical extension of the authority",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER), CERT(AUTHORITY, .critical = true) },
      .check = FLOW_TLS_CHECK_CRITICAL,
      .depth = 1 },

    /* Name constraints */
    { .what = "a permitted DNS name",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY,
                      .constraints = "critical,permitted;DNS:example") } },
    { .what = "constraints of the trusted certificate",
      .trust = { CERT(ROOT,
                      .constraints = "critical,permitted;DNS:b.example") },
      .chain = { CERT(SERVER), CERT(AUTHORITY) },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "a DNS name that is not permitted",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,DNS:other.test"),
                 CERT(AUTHORITY, .constraints = "permitted;DNS:example") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "a DNS name that only ends alike",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,DNS:bad-b.example"),
                 CERT(AUTHORITY,
                      .constraints =
                          "permitted;DNS:b.example,permitted;DNS:a.example") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "an excluded DNS name",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,DNS:x.b.example"),
                 CERT(AUTHORITY,
                      .constraints = "permitted;DNS:example,excluded;DNS:b."
                                     "example") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "an excluded DNS name in other case",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,DNS:X.B.EXAMPLE"),
                 CERT(AUTHORITY, .constraints = "excluded;DNS:b.example") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "a wildcard that could be an excluded name",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,DNS:*.b.example"),
                 CERT(AUTHORITY, .constraints = "excluded;DNS:x.b.example") },
      .check = FLOW_TLS_CHECK_CONSTRAINT,
      .differs = OPENSSL_EXCLUDES_NO_WILDCARD },
    { .what = "a wildcard in a permitted domain",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,DNS:*.b.example"),
                 CERT(AUTHORITY, .constraints = "permitted;DNS:example") } },
    { .what = "names of other forms are not constrained",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,IP:10.0.0.1"),
                 CERT(AUTHORITY, .constraints = "permitted;DNS:example") } },
    { .what = "a permitted address",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,IP:10.1.2.3"),
                 CERT(AUTHORITY,
                      .constraints = "permitted;IP:10.0.0.0/255.0.0.0") } },
    { .what = "an address that is not permitted",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,IP:11.1.2.3"),
                 CERT(AUTHORITY,
                      .constraints = "permitted;IP:10.0.0.0/255.0.0.0") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "an IPv6 address where only IPv4 is permitted",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,IP:::1"),
                 CERT(AUTHORITY,
                      .constraints = "permitted;IP:10.0.0.0/255.0.0.0") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "an excluded address",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,IP:10.1.2.3"),
                 CERT(AUTHORITY,
                      .constraints = "excluded;IP:10.1.0.0/255.255.0.0") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "a permitted mailbox",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,email:x@a.example"),
                 CERT(AUTHORITY,
                      .constraints = "permitted;email:x@A.example") } },
    { .what = "a permitted host of mailboxes",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,email:x@a.example"),
                 CERT(AUTHORITY,
                      .constraints = "permitted;email:a.example") } },
    { .what = "a mailbox at a host below a permitted one",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,email:x@b.a.example"),
                 CERT(AUTHORITY, .constraints = "permitted;email:a.example") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "a permitted domain of mailboxes",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,email:x@b.a.example"),
                 CERT(AUTHORITY,
                      .constraints = "permitted;email:.a.example") } },
    { .what = "an excluded mailbox",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,email:x@a.example"),
                 CERT(AUTHORITY, .constraints = "excluded;email:a.example") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "a permitted directory",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY, .constraints = "permitted;dirName:scene") } },
    { .what = "a directory that is not permitted",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY, .constraints = "permitted;dirName:other") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "an excluded directory",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY, .constraints = "excluded;dirName:name9") },
      .check = FLOW_TLS_CHECK_CONSTRAINT },
    { .what = "a form that is not supported, and no name of it",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER),
                 CERT(AUTHORITY,
                      .constraints = "critical,permitted;URI:example") } },
    { .what = "a form that is not supported, and a name of it",
      .trust = { CERT(ROOT) },
      .chain = { CERT(SERVER, .san = "DNS:a.example,URI:https://example/"),
                 CERT(AUTHORITY,
                      .constraints = "critical,permitted;URI:example") },
      .check = FLOW_TLS_CHECK_UNSUPPORTED,
      .differs = OPENSSL_KNOWS_URIS },
    { .what = "constraints do not apply to a change of keys",
      .trust = { CERT(ROOT, .constraints = "excluded;dirName:name9") },
      .chain = { CERT(DIRECT, .subject = 8, .signer = SCENE_KEY_1),
                 CERT(ROOT, .key = SCENE_KEY_1) },
      .differs = OPENSSL_DOES_NOT_GO_BACK },
};

static void
build(struct scene *s, const struct kind *k)
{
    memset(s, 0, sizeof(*s));
    /* A description that is all zero ends a list: each has a subject, an issuer
     * or an authority. */
    for (size_t i = 0;
         i < CERTS && (k->trust[i].ca != 0 || k->trust[i].subject); i++)
        scene_trust(s, &k->trust[i]);
    for (size_t i = 0;
         i < CERTS && (k->chain[i].ca != 0 || k->chain[i].subject); i++)
        scene_send(s, &k->chain[i]);
    s->name = k->name == NULL      ? "a.example"
              : k->name[0] != '\0' ? k->name
                                   : NULL;
    s->purpose = k->purpose;
}

static void
each_kind_has_its_verdict(void **state)
{
    struct flow_tls_verdict verdict;
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct kind *k = &kinds[i];
        struct flow_tls_verifier *v;
        struct scene s;
        enum flow_status st;

        guard_case(k->what);
        build(&s, k);
        v = scene_verifier(&s);
        st = scene_verify(&s, v, &verdict);
        assert_int_equal(
            st, verdict.check == FLOW_TLS_CHECK_NONE ? FLOW_OK : FLOW_E_AUTH);
        assert_int_equal(verdict.flags == 0, st == FLOW_OK);
        if (verdict.check != k->check || verdict.depth != k->depth) {
            print_error("%s: %d at %u (%s, %s), not %d at %u\n", k->what,
                        verdict.check, verdict.depth, verdict.text,
                        verdict.subject, k->check, k->depth);
            wrong++;
        }
        flow_tls_verifier_unref(v);
        scene_free(&s);
    }
    assert_int_equal(wrong, 0);
}

static void
openssl_has_the_same_verdict_or_a_reason(void **state)
{
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct kind *k = &kinds[i];
        struct scene s;
        int error;

        guard_case(k->what);
        build(&s, k);
        error = scene_openssl(&s);
        if (((error == X509_V_OK) == (k->check == FLOW_TLS_CHECK_NONE)) !=
            (k->differs == SAME)) {
            print_error("%s: OpenSSL says %s\n", k->what,
                        X509_verify_cert_error_string(error));
            wrong++;
        }
        scene_free(&s);
    }
    assert_int_equal(wrong, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_has_its_verdict),
        TEST(openssl_has_the_same_verdict_or_a_reason),
    };

    return TEST_RUN(tests);
}
