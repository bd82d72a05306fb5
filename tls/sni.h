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
 * Chooses the certificate that a server presents: a pure function of its key
 * pairs, its policy and the ClientHello.  The decision says why it was made.
 * See docs/sni.md.
 */

/* Types of keys in certificates, in order of preference.  OTHER: a peer's key
 * of any other type, or not known yet; no candidate has it. */
enum flow__key_type {
    FLOW__KEY_P256 = 0,
    FLOW__KEY_P384 = 1,
    FLOW__KEY_P521 = 2,
    FLOW__KEY_RSA = 3,
    FLOW__KEY_OTHER = 4
};

/* A certificate to choose from; the caller keeps all that it points to. */
struct flow__sni_candidate {
    const struct flow__span *names; /* its dNSName entries */
    size_t name_count;
    enum flow__key_type key;
};

/* What the server may negotiate. */
struct flow__sni_policy {
    uint16_t min_version; /* 0x0303 or 0x0304 */
    uint16_t max_version;
    const uint16_t *suites; /* allowed; NULL: all of tls/suite.c */
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
 * Choose a candidate.  Exact names come before one-label wildcards, and these
 * before the default, which is the first candidate and those with the same
 * names.  Candidates whose key the client cannot use are left out.  Among the
 * others, the type of key that comes first in enum flow__key_type is chosen,
 * then the first in the list.
 *
 * If the name is configured but no key is usable, the client is refused with
 * handshake_failure; if the name is invalid, with unrecognized_name; if there
 * is no common version, with protocol_version.  The work is bounded by the
 * number of names of all candidates.  count >= 1.
 */
void flow__sni_select(const struct flow__sni_candidate *candidates,
                      size_t count, const struct flow__sni_policy *policy,
                      const struct flow__client_hello *hello,
                      struct flow__sni_decision *ret_decision);

/* The version that a server with this policy chooses; 0: none in common. */
uint16_t flow__sni_version(const struct flow__sni_policy *policy,
                           const struct flow__client_hello *hello);

/* Whether a client can use a key at a version (its signature algorithms, and
 * in TLS 1.2 suites and groups). */
bool flow__sni_usable(enum flow__key_type key, uint16_t version,
                      const struct flow__sni_policy *policy,
                      const struct flow__client_hello *hello);

#endif
