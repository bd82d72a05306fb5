/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_SNI_PRIVATE_H
#define FLOW_TLS_SNI_PRIVATE_H

#include <flow/tls_sni.h>

#include "lib/plat.h"
#include "tls/hello.h"
#include "tls/key_type.h"
#include "tls/name.h"

/*
 * A selector: sni.c has its lifetime and entries, sni_store.c what all share,
 * sni_pattern.c the patterns, sni_identity.c the certificates, sni_check.c what
 * freezing does, sni_narrow.c what a client can use, sni_select.c the decision,
 * sni_explain.c its reasons, sni_client.c the facts of a client.  See
 * docs/sni.md.
 *
 * Members are written before the selector is frozen, by one thread, and only
 * read afterwards.  lock guards the freezing itself; refs and frozen are
 * atomic.
 */

struct flow__keypair;

#define FLOW__SNI_ID_MAX      63
#define FLOW__SNI_SCHEMES_MAX 8
/* Connections keep the index of an entry in 16 bits. */
#define FLOW__SNI_ENTRIES_MAX 65535
/* Of a pattern: it is for all certificates of its entry. */
#define FLOW__SNI_ALL SIZE_MAX

enum flow__sni_class {
    FLOW__SNI_CLASS_EXACT,    /* a.b */
    FLOW__SNI_CLASS_LABEL,    /* *.b.c */
    FLOW__SNI_CLASS_SELF,     /* .b.c */
    FLOW__SNI_CLASS_LABELS,   /* **.b.c */
    FLOW__SNI_CLASS_TRAILING, /* www.* */
    FLOW__SNI_CLASS_ANY,      /* * */
    FLOW__SNI_CLASS_NOT,      /* !a.b */
    FLOW__SNI_CLASS_CERT      /* @cert; never in an index */
};

struct flow__sni_pattern {
    enum flow__sni_class class;
    char *shown; /* the whole pattern, lower case; allocated */
    size_t shown_len;
    const char *text; /* the part of it that is compared */
    size_t len;
    size_t entry;
    size_t identity; /* or FLOW__SNI_ALL */
};

struct flow__sni_identity {
    struct flow__keypair *pair; /* owned; NULL: only the facts are known */
    enum flow__key_type key;
    char **name; /* dNSNames of the leaf, as they are there */
    size_t name_count;
    size_t name_cap;    /* that there is memory for */
    int64_t not_before; /* both 0: always valid */
    int64_t not_after;
    uint16_t scheme[FLOW__SNI_SCHEMES_MAX];
    size_t scheme_count;
};

struct flow__sni_entry {
    char id[FLOW__SNI_ID_MAX + 1];
    uint32_t flags;
    uint16_t min_version; /* 0: as the configuration */
    uint16_t max_version;
    bool uses_cert_names; /* has the pattern @cert */
    char **alpn;          /* ended by NULL */
    size_t alpn_count;
    bool requires_alpn; /* alpn[0] */
    enum flow_tls_client_auth client_auth;
    struct flow_tls_verifier *client_verifier; /* a reference, or NULL */
    void *user;
    struct flow__sni_identity *identity;
    size_t identity_count;
    size_t identity_cap;
    bool has_refused; /* a certificate, which was reported then */
};

struct flow_tls_sni {
    const struct flow_env *env;
    uint32_t refs;
    uint8_t frozen;
    struct flow_lock lock;
    struct flow_tls_sni_policy policy;
    flow_tls_sni_report_fn *report;
    void *report_user;
    flow_tls_sni_lookup_fn *lookup;
    void *lookup_user;
    struct flow_event *answered;
    struct flow__sni_entry *entry;
    size_t entry_count;
    size_t entry_cap;
    size_t default_entry; /* FLOW__SNI_ALL: none */
    /* Once frozen, in the order of flow__sni_pattern_order(). */
    struct flow__sni_pattern *pattern;
    size_t pattern_count;
    size_t pattern_cap;
};

/*
 * sni_store.c
 */

bool flow__sni_is_frozen(const struct flow_tls_sni *s);
/* Join count parts to one text, and cut what does not fit. */
void flow__sni_join(char ret[FLOW_ERROR_DETAIL], const char *const *part,
                    size_t count);
/* Report a problem of an entry, store it in err unless err has one, and return
 * status.  id and what, which make its detail, may be NULL. */
enum flow_status flow__sni_problem(const struct flow_tls_sni *s,
                                   struct flow_error *err,
                                   enum flow_status status, const char *text,
                                   const char *id, const char *what);
/* Fill err with these errors; they are not problems of the selector. */
enum flow_status flow__sni_no_memory(struct flow_error *err);
enum flow_status flow__sni_busy(struct flow_error *err);
/* Make room for one more element; false: no memory. */
bool flow__sni_grow(const struct flow_env *env, void **array, size_t *cap,
                    size_t count, size_t size);
/* Add a parsed pattern; its memory is the selector's, or released on an error.
 */
enum flow_status flow__sni_add_pattern(struct flow_tls_sni *s,
                                       const struct flow__sni_pattern *pattern);
/* Drop the patterns that were added last. */
void flow__sni_cut_patterns(struct flow_tls_sni *s, size_t count);
/* A copy with a NUL, to be released with its length + 1; NULL: no memory. */
char *flow__sni_copy(const struct flow_env *env, const char *text, size_t len);

void flow__sni_identity_fini(const struct flow_env *env,
                             struct flow__sni_identity *identity);

/*
 * sni.c
 */

/* Drop the entry that was added last; it has no patterns. */
void flow__sni_drop_last(struct flow_tls_sni *s);

/*
 * sni_pattern.c
 */

/* Parse a pattern into class, shown and text; flags are those of the entry.
 * FLOW_OK, FLOW_E_NOMEM, or FLOW_E_INVAL with a phrase. */
enum flow_status flow__sni_pattern_parse(const struct flow_env *env,
                                         const char *text, size_t len,
                                         uint32_t flags,
                                         struct flow__sni_pattern *ret_pattern,
                                         const char **ret_why);
/* The order of the index: negative, 0 or positive. */
int flow__sni_pattern_order(const struct flow__sni_pattern *pattern,
                            enum flow__sni_class class, const char *text,
                            size_t len);
/* Whether a pattern matches a name in normal form.  *ret_rest: how much of the
 * name stands for a star; of two suffixes, less is more exact. */
bool flow__sni_pattern_matches(const struct flow__sni_pattern *pattern,
                               const char *name, size_t len, size_t *ret_rest);
/* How an entry is found by a class of patterns. */
enum flow_tls_sni_kind flow__sni_pattern_kind(enum flow__sni_class class);

/*
 * sni_identity.c
 */

/* Add a pair to the entry that has its names, or to a new one with the pattern
 * @cert; the first is the default.  On FLOW_OK the selector owns the pair. */
enum flow_status flow__sni_add_pair(struct flow_tls_sni *s,
                                    struct flow__keypair *pair, uint32_t flags,
                                    struct flow_error *err);
/* The key pair of a decision. */
struct flow__keypair *flow__sni_pair(const struct flow_tls_sni *s, size_t entry,
                                     size_t identity);
/* Whether a certificate covers a name or a pattern of one star. */
bool flow__sni_identity_covers(const struct flow__sni_identity *identity,
                               const struct flow__sni_pattern *pattern);

/*
 * sni_narrow.c
 */

/* The highest version of a range that the client offers; 0: none. */
uint16_t flow__sni_version(uint16_t min, uint16_t max,
                           struct flow_tls_sni_list versions,
                           uint16_t legacy_version);
/* The same for an entry of a selector. */
uint16_t flow__sni_entry_version(const struct flow__sni_entry *entry,
                                 const struct flow_tls_sni_client *client,
                                 const struct flow_tls_sni_terms *terms);
/* Whether the client offers the protocol that an entry requires, if any. */
bool flow__sni_has_required(const struct flow__sni_entry *entry,
                            const struct flow_tls_sni_client *client);
/* FLOW_TLS_SNI_CHOSEN if a client can use a kind of key at a version, else why
 * not: its signature algorithms, and in TLS 1.2 suites and groups. */
enum flow_tls_sni_reason
flow__sni_narrow(enum flow__key_type key, uint16_t version,
                 const struct flow_tls_sni_client *client,
                 const struct flow_tls_sni_terms *terms);
/* Whether the client can verify all signatures of a chain. */
bool flow__sni_chain_suits(const struct flow__sni_identity *identity,
                           const struct flow_tls_sni_client *client);
/* Whether a certificate is not valid at a time. */
bool flow__sni_is_outside(const struct flow__sni_identity *identity,
                          int64_t now);

/*
 * sni_client.c
 */

/* The version that a server with these terms chooses; 0: none in common. */
uint16_t flow__sni_client_version(const struct flow_tls_sni_terms *terms,
                                  const struct flow__client_hello *hello);
/* The facts of a parsed ClientHello; its lists point into the message. */
void flow__sni_client_fill(struct flow_tls_sni_client *client,
                           const struct flow__client_hello *hello);

#endif
