/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_CONFIG_PRIVATE_H
#define FLOW_TLS_CONFIG_PRIVATE_H

#include <flow/tls_config.h>

#include "lib/atomic.h"
#include "lib/plat.h"
#include "tls/engine.h"
#include "tls/exporter.h"
#include "tls/sessions.h"
#include "tls/sni.h"
#include "tls/tickets.h"
#include "tls/verifier.h"

#define FLOW__MAX_SUITES 32
#define FLOW__MAX_GROUPS 8
#define FLOW__MAX_ALPN   16

/*
 * A configuration: config.c has its lifetime and settings, config_identity.c
 * its own certificates, config_trust.c those that are trusted,
 * config_client_auth.c what a server asks of its clients, config_secrets.c what
 * it gives out of the secrets of its connections.
 *
 * Members are written before the configuration is frozen, by one thread, and
 * only read afterwards.  lock guards the freezing itself; refs and frozen are
 * atomic.
 */
struct flow_tls_config {
    const struct flow_env *env;
    uint32_t refs;
    bool server;
    uint8_t frozen;
    struct flow_lock lock;

    enum flow_tls_version min_version;
    enum flow_tls_version max_version;
    uint16_t suite[FLOW__MAX_SUITES + 1]; /* ended by 0 */
    size_t suite_count;
    uint16_t group[FLOW__MAX_GROUPS + 1]; /* ended by 0 */
    size_t group_count;
    char *alpn[FLOW__MAX_ALPN + 1]; /* ended by NULL */
    size_t alpn_count;

    /* Server: its certificates; NULL until there is one. */
    struct flow_tls_sni *sni;
    bool is_given; /* sni is the application's, not made of pairs */
    /* NULL until one is given or certificates are added; a client has one once
     * it is frozen. */
    struct flow_tls_verifier *verifier;
    bool shares_verifier; /* it was given */

    /* Client: its certificates, in the order of preference. */
    struct flow__keypair **pair;
    size_t pair_count;
    size_t pair_cap;

    /* Server: what its clients are asked for, but for entries that say it. */
    enum flow_tls_client_auth client_auth;
    size_t ca_list_max;

    struct flow_tls_tickets *tickets; /* server; NULL: none */
    uint64_t ticket_epoch;
    struct flow_tls_sessions *sessions; /* client; NULL: none are kept */
    unsigned session_tickets;           /* kept of each connection */

    /* Server: sent to a client that begins with text instead of TLS; owned. */
    uint8_t *text_answer;
    size_t text_answer_len;

    bool allow_expired;
    bool tolerate_truncation;
    bool skip_verify;
    bool skip_name;
    bool skip_extended; /* server: the extended master secret */
    uint64_t handshake_time;
    size_t handshake_bytes;
    uint64_t key_limit;
    uint8_t gathers;     /* as in struct flow__writer */
    uint8_t first_units; /* as in struct flow__writer */
    uint8_t first_count;
    uint16_t first_idle; /* s; 0: only at the start */
    uint16_t block;      /* as in struct flow__record_keys */

    struct flow__exporter_declared exporter[FLOW_TLS_EXPORTERS];
    size_t exporter_count;
    bool keep_engine;
    flow_tls_key_log_fn *key_log; /* NULL: none */
    void *key_log_user;

    struct flow__engine_conf *engine; /* once frozen */
    /* Server, once frozen: one for each entry of sni, NULL where the entry
     * adds nothing and engine serves. */
    struct flow__engine_conf **entry_engine;
};

static inline bool
flow__config_is_frozen(const struct flow_tls_config *c)
{
    return flow__load_acquire(&c->frozen) != 0;
}

/* Fill err, if any; returns status. */
static inline enum flow_status
flow__config_refuse(struct flow_error *err, enum flow_status status,
                    const char *text)
{
    return flow_error_set(err, status, "tls config", FLOW_DOMAIN_NONE, 0, text);
}

/* What the configuration itself negotiates. */
static inline struct flow__engine_terms
flow__config_terms(const struct flow_tls_config *c)
{
    const struct flow__engine_terms terms = {
        .min_version = (uint16_t)c->min_version,
        .max_version = (uint16_t)c->max_version,
        .alpn = c->alpn,
        .alpn_count = c->alpn_count,
    };

    return terms;
}

/*
 * config_file.c
 */

/* Read a whole file; the error names it.  On FLOW_OK the bytes are the
 * caller's, to be given to flow__config_free_file(). */
enum flow_status flow__config_read_file(const struct flow_env *env,
                                        const char *path, uint8_t **ret_data,
                                        size_t *ret_len,
                                        struct flow_error *err);

/* Wipe and release it; it may have been a key. */
void flow__config_free_file(const struct flow_env *env, uint8_t *data,
                            size_t len);

/* A chain and its key, read from files; data is what input points to. */
struct flow__config_pair_files {
    struct flow__keypair_input input;
    uint8_t *chain;
    uint8_t *key;
};

/* Read both.  On FLOW_OK they are the caller's, to be given to
 * flow__config_free_pair(). */
enum flow_status
flow__config_read_pair(const struct flow_env *env, const char *chain_path,
                       const char *key_path, flow_tls_passphrase_fn *passphrase,
                       void *user, struct flow__config_pair_files *ret_files,
                       struct flow_error *err);
void flow__config_free_pair(const struct flow_env *env,
                            struct flow__config_pair_files *files);

/*
 * config_secrets.c
 */

/* Whether label and context are in range, the label is not one of TLS itself,
 * and the value has at most that many bytes. */
bool flow__config_may_export(const struct flow__exporter *e, size_t most);

/* Whether it was declared; *ret_off is where its value begins. */
bool flow__config_declares(const struct flow_tls_config *c,
                           const struct flow__exporter *e, size_t *ret_off);
void flow__config_free_exporters(struct flow_tls_config *c);

/*
 * config_trust.c
 */

/* When freezing: load the system's certificates if a client was given none and
 * is to verify its peer. */
enum flow_status flow__config_complete_trust(struct flow_tls_config *c,
                                             struct flow_error *err);

/*
 * config_client_auth.c
 */

/* What a server asks of the clients of an entry. */
struct flow__client_auth {
    enum flow_tls_client_auth auth;     /* never DEFAULT */
    struct flow_tls_verifier *verifier; /* NULL exactly if auth is NONE */
};
struct flow__client_auth
flow__config_client_auth(const struct flow_tls_config *c,
                         const struct flow__sni_entry *entry);

/* When freezing a server: check that what its clients are asked for can be
 * verified, and that no trust is left unused. */
enum flow_status flow__config_check_client_auth(const struct flow_tls_config *c,
                                                struct flow_error *err);

/* Have the engine ask for what an entry asks for. */
void flow__config_ask(const struct flow_tls_config *c,
                      const struct flow__sni_entry *entry,
                      struct flow__engine_terms *terms);

/*
 * config_identity.c
 */

/* When freezing a server: fill entry_engine, and freeze sni.  On an error
 * entry_engine has no memory. */
enum flow_status flow__config_complete_entries(struct flow_tls_config *c,
                                               struct flow_error *err);
void flow__config_free_entries(struct flow_tls_config *c);

/* Wipe and release a client's certificates and keys. */
void flow__config_free_pairs(struct flow_tls_config *c);

#endif
