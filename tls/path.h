/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_PATH_H
#define FLOW_TLS_PATH_H

#include <flow/env.h>
#include <flow/tls_verify.h>

#include "tls/cert.h"
#include "tls/crl.h"
#include "tls/engine.h"
#include "tls/name.h"

/*
 * The search for a path from a peer's certificate to a trusted one.
 */

/* Most certificates of a peer. */
#define FLOW__PATH_CERTS 24

/* What a TLS library does for a verification. */
struct flow__path_crypto {
    /* FLOW_OK, FLOW_E_AUTH for a wrong one, FLOW_E_NOMEM. */
    enum flow_status (*check_signature)(struct flow__span spki,
                                        const struct flow__signature *s);
    /* SHA-256; FLOW_OK or FLOW_E_NOMEM. */
    enum flow_status (*fingerprint)(struct flow__span bytes,
                                    uint8_t ret[FLOW__PIN_LEN]);
};

/* What a verifier has. */
struct flow__path_policy {
    const struct flow__path_crypto *crypto;
    struct flow__cert *anchors;
    size_t anchor_count;
    struct flow__crl *crls;
    size_t crl_count;
    uint8_t (*pins)[FLOW__PIN_LEN];
    size_t pin_count;
    unsigned rsa_min; /* bits */
    unsigned ec_min;
    unsigned hash_min;
    bool require_crl;
};

/* What is asked of it. */
struct flow__path_question {
    const struct flow__span *certs; /* the peer's own first */
    size_t cert_count;
    const struct flow__name *name; /* NULL: any */
    uint8_t purpose;               /* FLOW__PURPOSE_ */
    bool has_time;
    int64_t time; /* seconds since 1970 */
};

/*
 * Fill *ret: FLOW_OK for a path that passes every check, FLOW_E_AUTH, or
 * FLOW_E_NOMEM with *ret as it was.  The callback is the caller's to ask.
 */
enum flow_status flow__path_verify(const struct flow_env *env,
                                   const struct flow__path_policy *policy,
                                   const struct flow__path_question *question,
                                   struct flow_tls_verdict *ret);

/*
 * path_check.c: checks without a signature.  Each returns a bit
 * (1 << enum flow_tls_check) for every check that failed.
 */

/* A certificate at its place in a path; anchor: it is trusted. */
uint32_t flow__path_check_cert(const struct flow__path_policy *policy,
                               const struct flow__path_question *question,
                               const struct flow__cert *cert, size_t depth,
                               bool anchor);

/* Whether the first i certificates are allowed below the certificate i. */
uint32_t flow__path_check_below(const struct flow__cert *const *path, size_t i,
                                uint32_t *comparisons, size_t *ret_depth);

/* Whether the certificate has the name; *ret_match: the one that matched. */
uint32_t flow__path_check_name(const struct flow__cert *cert,
                               const struct flow__name *name,
                               struct flow__san *ret_match);

#endif
