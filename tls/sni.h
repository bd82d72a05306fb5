/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_SNI_H
#define FLOW_TLS_SNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/alert.h"
#include "tls/hello.h"
#include "tls/name.h"

/*
 * Which certificate a server shows: a pure function of what it has, what it
 * may negotiate and what the ClientHello says, to a decision that explains
 * itself.  See docs/sni.md.
 */

/* The key of a certificate; in order of preference.  OTHER: a peer's, none of
 * these or not known; a candidate never has it. */
enum flow__key_type {
    FLOW__KEY_P256 = 0,
    FLOW__KEY_P384 = 1,
    FLOW__KEY_P521 = 2,
    FLOW__KEY_RSA = 3,
    FLOW__KEY_OTHER = 4
};

/* A certificate to choose from; everything stays the caller's. */
struct flow__sni_candidate {
    const struct flow__span *names; /* its dNSName entries */
    size_t name_count;
    enum flow__key_type key;
};

/* What the server may negotiate. */
struct flow__sni_policy {
    uint16_t min_version; /* 0x0303 or 0x0304 */
    uint16_t max_version;
    const uint16_t *suites; /* those allowed; NULL: all that are ours */
    size_t suite_count;
};

enum flow__sni_kind {
    FLOW__SNI_MATCH_EXACT,
    FLOW__SNI_MATCH_WILDCARD,
    FLOW__SNI_MATCH_DEFAULT, /* the name is not configured */
    FLOW__SNI_MATCH_NO_NAME  /* no name, or a literal address: the default */
};

struct flow__sni_decision {
    bool serve;
    /* When serving: */
    size_t index; /* of the candidate */
    enum flow__sni_kind kind;
    struct flow__span pattern; /* the entry that matched; base NULL for none */
    uint16_t version;          /* that the choice was made for */
    /* When refusing, the alert and why; FLOW__ALERT_NONE otherwise. */
    struct flow__fault fault;
};

/*
 * Choose.  Exact names before one-label wildcards before the default, which is
 * the first candidate (and those with the same names as it); a candidate whose
 * key the client cannot use does not count; of several the first key type of
 * enum flow__key_type, then the first in the list.  A name that is configured
 * but has no usable key is refused with handshake_failure, an invalid name
 * with unrecognized_name, no common version with protocol_version.
 * Bounded by the number of names of all candidates.  count >= 1.
 */
void flow__sni_select(const struct flow__sni_candidate *candidates,
                      size_t count, const struct flow__sni_policy *policy,
                      const struct flow__client_hello *hello,
                      struct flow__sni_decision *ret_decision);

/* The version a server with this policy agrees with the client; 0: none. */
uint16_t flow__sni_version(const struct flow__sni_policy *policy,
                           const struct flow__client_hello *hello);

/* Whether a client can use a key at a version (its signature algorithms, and
 * in TLS 1.2 suites and groups). */
bool flow__sni_usable(enum flow__key_type key, uint16_t version,
                      const struct flow__sni_policy *policy,
                      const struct flow__client_hello *hello);

#endif
