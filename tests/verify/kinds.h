/* SPDX-License-Identifier: ISC */
#ifndef TEST_VERIFY_KINDS_H
#define TEST_VERIFY_KINDS_H

#include "scene.h"

/* One chain of each kind, good and bad, with the expected verdict and that of
 * OpenSSL. */

#define KIND_CERTS 6

/* What OpenSSL says, where it is not as good or as bad as ours. */
enum kind_differs {
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
    /* OpenSSL compares the text of any constraint, such as "b.example.", which
     * no host name is in. */
    OPENSSL_COMPARES_TEXT,
    /* OpenSSL does not exclude an IPv4 address that is mapped to IPv6. */
    OPENSSL_KNOWS_NO_MAPPED,
    /* OpenSSL supports Ed25519 and other curves. */
    OPENSSL_KNOWS_MORE_KEYS,
    /* OpenSSL supports constraints of URIs. */
    OPENSSL_KNOWS_URIS,
    /* For OpenSSL a certificate ends with its last second, and not after it as
     * in RFC 5280 4.1.2.5. */
    OPENSSL_LEAVES_OUT_THE_LAST_SECOND
};

struct kind {
    const char *what;
    struct scene_cert trust[KIND_CERTS];
    struct scene_cert chain[KIND_CERTS];
    const char *name; /* NULL: a.example; "": any */
    enum flow_tls_purpose purpose;
    enum flow_tls_check check;
    unsigned depth;
    enum kind_differs differs;
    /* Not to be served: right at one time only, or OpenSSL does not use it. */
    bool offline;
    /* OpenSSL does not use the server's key in TLS 1.2. */
    bool tls13_only;
};

extern const struct kind kinds[];
extern const size_t kind_count;

void kind_build(struct scene *s, const struct kind *k);

#endif
