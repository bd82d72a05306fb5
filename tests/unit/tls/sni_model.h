/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_SNI_MODEL_H
#define FLOW_TESTS_UNIT_TLS_SNI_MODEL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The rules of docs/sni.md once more, as a model without an index and without
 * code of the library: every certificate of every entry gets a row of numbers
 * for every pattern that matches, and the least row wins.
 */

#define MODEL_ENTRIES    6
#define MODEL_PATTERNS   6
#define MODEL_IDENTITIES 4
#define MODEL_NAMES      4
#define MODEL_LIST       8

struct model_list {
    int value[MODEL_LIST];
    size_t count;
    bool is_absent;
};

struct model_words {
    char word[MODEL_PATTERNS][64];
    size_t count;
};

struct model_identity {
    int key; /* 0..3: P-256, P-384, P-521, RSA */
    struct model_words names;
    bool is_expired;
    int scheme; /* of its chain, 0: none */
};

struct model_entry {
    char id[32];
    struct model_words patterns;
    struct model_identity identity[MODEL_IDENTITIES];
    size_t identity_count;
    int min; /* 12, 13, 0 */
    int max;
    struct model_words alpn;
    bool is_required; /* alpn has one word, which is required */
    bool is_default;
    bool is_loose; /* names of certificates are not checked */
};

/* The numbers of actions are those of enum flow_tls_sni_action. */
struct model {
    struct model_entry entry[MODEL_ENTRIES];
    size_t entry_count;
    int on_no_name;
    int on_unknown;
    bool invalid_is_unknown;
    bool reject_ip_literal;
    bool list_order;
    bool key_before_exact;
    bool compat;
    bool has_callback;
    int answer; /* of the callback: an entry, or -1 */
};

struct model_client {
    char state; /* - absent, n name, i address, x invalid */
    char name[80];
    bool is_old;                /* no supported_versions: TLS 1.2 */
    struct model_list versions; /* 12, 13, 11 */
    struct model_list suites;
    struct model_list sigalgs;
    struct model_list sigalgs_cert;
    struct model_list groups;
    struct model_words alpn;
};

struct model_answer {
    int outcome; /* as enum flow_tls_sni_outcome */
    int alert;   /* -1: none */
    size_t entry;
    size_t identity;
    int kind; /* as enum flow_tls_sni_kind */
    char pattern[80];
    char alpn[64];
    int version; /* 12 or 13 */
};

/* What a server that allows TLS 1.2 and 1.3 and all suites answers. */
void model_select(const struct model *m, const struct model_client *c,
                  struct model_answer *ret);

#endif
