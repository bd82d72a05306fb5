/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_CRL_H
#define FLOW_TLS_CRL_H

#include "tls/cert.h"

/*
 * Lists of revoked certificates (RFC 5280 5).  A pure function of bytes; every
 * span points into the list.
 */

struct flow__crl {
    struct flow__span der;
    struct flow__span issuer;
    uint32_t issuer_hash;
    int64_t this_update; /* seconds since 1970 */
    int64_t next_update; /* INT64_MAX if it has none */
    struct flow__signature signature;
    struct flow__span revoked; /* revokedCertificates, well formed */
};

enum flow__crl_result {
    FLOW__CRL_READ = 0,
    FLOW__CRL_MALFORMED,
    /* It has a critical extension: it lists only some certificates, or those of
     * other issuers, or changes since another list. */
    FLOW__CRL_UNSUPPORTED
};

enum flow__crl_result flow__crl_read(struct flow__span der,
                                     struct flow__crl *ret);

/* Whether a list has a serial number. */
bool flow__crl_has(const struct flow__crl *crl, struct flow__span serial);

#endif
