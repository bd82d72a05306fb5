/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_SNI_H
#define FLOW_TLS_SNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/export.h>
#include <flow/status.h>
#include <flow/tls_config.h>
#include <flow/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Which certificate a TLS server presents to which client.
 *
 * A selector holds entries.  An entry has names, certificates with their keys,
 * and what may be negotiated for these names.  A selector is made, filled, and
 * frozen; then it is a snapshot that any number of configurations, handshakes
 * and threads share.  flow_tls_config_set_sni() gives it to a server.
 *
 * flow_tls_sni_select() is the decision: a function of the snapshot, of what
 * the client sent, and of the time.  It does no I/O, allocates nothing, and its
 * work is bounded by the labels of the name and the certificates that match it,
 * so a program can ask it what a client would get.  flow_tls_sni_explain() says
 * for every certificate why it is, or is not, the one.
 *
 * <!-- quote: examples/names.c -->
 * @code
 * if (flow_tls_sni_select(s, client, &terms, &d) != FLOW_OK)
 *     return;
 * if (d.outcome == FLOW_TLS_SNI_SERVED)
 *     printf("served by entry %s, which matches as %s\n",
 *            flow_tls_sni_entry_id(s, d.entry), d.pattern);
 * @endcode
 *
 * A name that an entry has never gets the certificate of another entry, unless
 * the policy is marked compat.  See docs/sni.md.
 */

struct flow_tls_sni;

/** Kinds of keys that a server can sign with, the preferred one first. */
enum flow_tls_key {
    FLOW_TLS_KEY_P256 = 0, /**< ECDSA, secp256r1. */
    FLOW_TLS_KEY_P384 = 1, /**< ECDSA, secp384r1. */
    FLOW_TLS_KEY_P521 = 2, /**< ECDSA, secp521r1. */
    FLOW_TLS_KEY_RSA = 3   /**< RSA (rsaEncryption), 2048 bits or more. */
};

/** What a client gets whose name no pattern matches, or that sent none. */
enum flow_tls_sni_action {
    FLOW_TLS_SNI_USE_DEFAULT = 0, /**< The default entry. */
    FLOW_TLS_SNI_REJECT,          /**< A fatal alert. */
    FLOW_TLS_SNI_DROP,            /**< The end of the connection, no alert. */
    /** The first entry with a usable certificate; only with compat. */
    FLOW_TLS_SNI_USE_FIRST,
    /** The default entry if it is usable, else the first that is; only with
     *  compat. */
    FLOW_TLS_SNI_USE_DEFAULT_OR_FIRST
};

/** The rules of a selector; zero is #FLOW_TLS_SNI_STANDARD. */
struct flow_tls_sni_policy {
    enum flow_tls_sni_action on_no_name; /**< No server_name extension. */
    enum flow_tls_sni_action on_unknown; /**< No pattern matches. */
    /** Treat a name that is not a valid host name like an unknown one, instead
     *  of refusing it with unrecognized_name. */
    bool invalid_is_unknown;
    /** Refuse a literal address with unrecognized_name, instead of treating it
     *  like no name. */
    bool reject_ip_literal;
    /** The first entry that matches is used, whether its pattern is exact or a
     *  wildcard. */
    bool list_order;
    /** Among exact names and one-label wildcards, the preferred kind of key is
     *  used even if its pattern is less exact. */
    bool key_before_exact;
    /** A configured name without a usable certificate is treated like an
     *  unknown one, so it may get the certificate of another name. */
    bool compat;
};

/** Policies that reproduce other programs; flow_tls_sni_preset(). */
enum flow_tls_sni_preset {
    /** The default entry for every name that is not configured. */
    FLOW_TLS_SNI_STANDARD = 0,
    /** Unknown names are refused, a missing name gets the default entry. */
    FLOW_TLS_SNI_STRICT,
    /** nginx: the default entry (default_server) for all other names. */
    FLOW_TLS_SNI_NGINX,
    /** libtls: the first pair whose certificate has the name, else the
     *  default. */
    FLOW_TLS_SNI_LIBTLS,
    /** HAProxy with strict-sni: unknown and missing names are refused; the kind
     *  of key comes before exactness. */
    FLOW_TLS_SNI_HAPROXY_STRICT,
    /** ocaml-tls `Single`: one entry for every name. */
    FLOW_TLS_SNI_OCAML_SINGLE,
    /** ocaml-tls `Multiple`: the first usable certificate for all other names,
     *  and for a name whose certificate is not usable. */
    FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE,
    /** ocaml-tls `Multiple_default`: as `Multiple`, after the default. */
    FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE_DEFAULT
};

/** @name Flags of an entry */
/**@{*/
/** The entry may have patterns that end in ".*". */
#define FLOW_TLS_SNI_ALLOW_TRAILING 0x1u
/** The entry may have a wildcard with one label after it, "*.tld". */
#define FLOW_TLS_SNI_ALLOW_TLD 0x2u
/** The certificates need not be for the patterns. */
#define FLOW_TLS_SNI_ALLOW_NAME_MISMATCH 0x4u
/** The certificates may have expired, or not be valid yet. */
#define FLOW_TLS_SNI_ALLOW_EXPIRED 0x8u
/** This entry is the default. */
#define FLOW_TLS_SNI_IS_DEFAULT 0x10u
/**@}*/

/**
 * Names, and what may be negotiated for them.  Everything is copied.
 *
 * | pattern  | matches                                             |
 * |----------|-----------------------------------------------------|
 * | `a.b`    | this name                                           |
 * | `*.b.c`  | one label more                                      |
 * | `**.b.c` | one or more labels more                             |
 * | `.b.c`   | b.c itself, and one or more labels more             |
 * | `www.*`  | www and one or more labels (needs a flag)           |
 * | `!a.b`   | not this name, although another pattern matches it  |
 * | `@cert`  | the dNSNames of each certificate, for it alone      |
 * | `*`      | every name that no other pattern matches            |
 */
struct flow_tls_sni_entry {
    const char *id;              /**< 1..63 bytes; unique in the selector. */
    const char *const *patterns; /**< As above. */
    size_t pattern_count;        /**< May be 0 for the default entry. */
    uint32_t flags;              /**< FLOW_TLS_SNI_ALLOW_, _IS_DEFAULT. */
    enum flow_tls_version min_version; /**< 0: as the configuration. */
    enum flow_tls_version max_version; /**< 0: as the configuration. */
    const char *const *alpn;           /**< In order of preference. */
    size_t alpn_count;                 /**< 0..16; 0: as the configuration. */
    /** Only for clients that offer this protocol, which is then the only one;
     *  NULL: for all.  `acme-tls/1` is possible nowhere else, and only for a
     *  client that offers nothing else (RFC 8737 3). */
    const char *require_alpn;
    /** Whether clients of this entry are asked for a certificate. */
    enum flow_tls_client_auth client_auth;
    /** What verifies them; NULL: as the configuration.  Only if client_auth is
     *  not #FLOW_TLS_CLIENT_AUTH_NONE.  The selector takes a reference, and
     *  freezes it when it is frozen. */
    struct flow_tls_verifier *client_verifier;
    void *user; /**< The application's; flow_tls_sni_entry_user(). */
};

/** What the choice needs to know of a certificate; all of it is copied. */
struct flow_tls_sni_identity {
    enum flow_tls_key key;
    const char *const *names; /**< dNSNames of the leaf. */
    size_t name_count;
    int64_t not_before; /**< Seconds since 1970; both 0: always valid. */
    int64_t not_after;
    /** Schemes (RFC 8446 4.2.3) of the chain's signatures, root excluded. */
    const uint16_t *schemes;
    size_t scheme_count; /**< 0..8 */
};

/** A list of a ClientHello, as on the wire; base NULL: it was not sent. */
struct flow_tls_sni_list {
    const uint8_t *base;
    size_t len; /**< Bytes. */
};

/** What a client's server_name is. */
enum flow_tls_sni_state {
    FLOW_TLS_SNI_ABSENT = 0, /**< Not sent. */
    FLOW_TLS_SNI_NAME,       /**< flow_tls_sni_client::name */
    FLOW_TLS_SNI_IP_LITERAL, /**< An address, which RFC 6066 3 forbids. */
    FLOW_TLS_SNI_INVALID     /**< Not a host name, or more than one. */
};

/** What a client asks for: the part of a ClientHello that the choice needs. */
struct flow_tls_sni_client {
    enum flow_tls_sni_state state;
    char name[254]; /**< Lower case, no trailing dot; "" in other states. */
    uint16_t legacy_version;               /**< Without versions: highest. */
    struct flow_tls_sni_list versions;     /**< Two bytes each. */
    struct flow_tls_sni_list suites;       /**< Two bytes each. */
    struct flow_tls_sni_list sigalgs;      /**< Two bytes each. */
    struct flow_tls_sni_list sigalgs_cert; /**< Two bytes each. */
    struct flow_tls_sni_list groups;       /**< Two bytes each. */
    struct flow_tls_sni_list alpn; /**< A length byte and a name each. */
};

/** The callback was not asked yet; flow_tls_sni_terms::answer. */
#define FLOW_TLS_SNI_NOT_ASKED (-2)
/** The callback knows no entry; flow_tls_sni_terms::answer. */
#define FLOW_TLS_SNI_NO_ENTRY (-1)
/** The callback does not know yet; see flow_tls_sni_set_lookup(). */
#define FLOW_TLS_SNI_PENDING (-3)

/** What the choice depends on besides the snapshot and the client. */
struct flow_tls_sni_terms {
    enum flow_tls_version min_version;
    enum flow_tls_version max_version;
    const uint16_t *suites; /**< Allowed ones; NULL: all. */
    size_t suite_count;
    const char *const *alpn; /**< For entries that have no list. */
    size_t alpn_count;
    int64_t now; /**< Seconds since 1970; -1: not known. */
    /** The callback's answer: an entry's index, #FLOW_TLS_SNI_NO_ENTRY, or
     *  #FLOW_TLS_SNI_NOT_ASKED. */
    int answer;
};

/** What a decision is. */
enum flow_tls_sni_outcome {
    FLOW_TLS_SNI_SERVED = 0, /**< With entry and identity. */
    FLOW_TLS_SNI_REJECTED,   /**< With alert and text. */
    FLOW_TLS_SNI_DROPPED,    /**< With text. */
    FLOW_TLS_SNI_ASK         /**< The callback has to be asked. */
};

/** How an entry was found, the most exact first. */
enum flow_tls_sni_kind {
    FLOW_TLS_SNI_EXACT = 0, /**< `a.b` */
    FLOW_TLS_SNI_WILDCARD,  /**< `*.b.c` */
    FLOW_TLS_SNI_SUFFIX,    /**< `**.b.c` or `.b.c`; the longest first. */
    FLOW_TLS_SNI_TRAILING,  /**< `www.*`; the longest first. */
    FLOW_TLS_SNI_CALLBACK,  /**< The callback named it. */
    FLOW_TLS_SNI_CATCH_ALL, /**< `*` */
    FLOW_TLS_SNI_DEFAULT,   /**< The name is unknown: the default entry. */
    FLOW_TLS_SNI_FIRST,     /**< Compat: the first that is usable. */
    FLOW_TLS_SNI_NO_NAME    /**< No name was sent: the default entry. */
};

/** A decision.  Its pointers are valid as long as the selector. */
struct flow_tls_sni_decision {
    enum flow_tls_sni_outcome outcome;
    size_t entry;    /**< Index, in the order of adding. */
    size_t identity; /**< Index among those of the entry. */
    enum flow_tls_sni_kind kind;
    const char *pattern; /**< That matched, or the certificate's name; "". */
    enum flow_tls_version version; /**< That the choice was made for. */
    const char *alpn;              /**< The protocol agreed on; "" for none. */
    bool outside_validity;         /**< No usable one was valid at this time. */
    int alert;                     /**< REJECTED: its number; else -1. */
    const char *text;              /**< REJECTED, DROPPED: why; static. */
};

/** Why a certificate is, or is not, the one that is served. */
enum flow_tls_sni_reason {
    FLOW_TLS_SNI_CHOSEN = 0,   /**< It is the one. */
    FLOW_TLS_SNI_OTHER_NAME,   /**< No pattern of its entry matches. */
    FLOW_TLS_SNI_EXCLUDED,     /**< A pattern with `!` excludes the name. */
    FLOW_TLS_SNI_NEEDS_ALPN,   /**< The client lacks the required protocol. */
    FLOW_TLS_SNI_NO_VERSION,   /**< No common protocol version. */
    FLOW_TLS_SNI_NO_SIGALG,    /**< The client cannot verify such a key. */
    FLOW_TLS_SNI_NO_SUITE,     /**< TLS 1.2: no common suite for the key. */
    FLOW_TLS_SNI_NO_GROUP,     /**< TLS 1.2: the client lacks its curve. */
    FLOW_TLS_SNI_LESS_EXACT,   /**< A more exact pattern was usable. */
    FLOW_TLS_SNI_RANKED_LOWER, /**< Another one was preferred. */
    FLOW_TLS_SNI_NOT_REACHED   /**< The client was refused before. */
};

/** What flow_tls_sni_explain() says of one certificate. */
struct flow_tls_sni_verdict {
    size_t entry;
    size_t identity;
    const char *id;              /**< Of the entry. */
    enum flow_tls_key key;       /**< Of the certificate. */
    enum flow_tls_sni_kind kind; /**< If a pattern matches. */
    const char *pattern;         /**< The one that matches best; "". */
    enum flow_tls_sni_reason reason;
    const char *text; /**< The reason in words; static. */
};

/**
 * @brief Told of each problem of a selector while it is set up.
 * @param[in] user     As given with the callback.
 * @param[in] problem  What is wrong, with the entry or file it is about.
 */
typedef void flow_tls_sni_report_fn(void *user,
                                    const struct flow_error *problem);

/**
 * @brief Make an empty selector.
 * @param[in]  env      Environment; NULL: flow_env_default().
 * @param[out] ret_sni  The selector, with one reference.
 * @param[out] ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_new(const struct flow_env *env, struct flow_tls_sni **ret_sni,
                 struct flow_error *ret_err);

/**
 * @brief Take another reference.
 * @param[in,out] s  The selector.
 * @return @p s.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API struct flow_tls_sni *flow_tls_sni_ref(struct flow_tls_sni *s);

/**
 * @brief Drop a reference; the last one wipes the keys and frees all memory.
 * @param[in] s  The selector; NULL does nothing.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_sni_unref(struct flow_tls_sni *s);

/**
 * @brief Have every problem reported, not only the first.
 *
 * Called during flow_tls_sni_add_entry(), flow_tls_sni_add_keypair(),
 * flow_tls_sni_add_keypair_file() and flow_tls_sni_freeze(), which still fail
 * with the first problem.  No problem is reported twice: freezing fails for an
 * entry whose certificates were all refused, without a report.
 *
 * @param[in,out] s       The selector.
 * @param[in]     report  Called for each problem; NULL: none.
 * @param[in]     user    Given to @p report.
 * @retval FLOW_OK      Set.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_set_report(struct flow_tls_sni *s, flow_tls_sni_report_fn *report,
                        void *user);

/**
 * @brief Fill a policy with that of a program.
 * @param[in]  preset      Which.
 * @param[out] ret_policy  The policy; all zero for an unknown preset.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_sni_preset(enum flow_tls_sni_preset preset,
                                  struct flow_tls_sni_policy *ret_policy);

/**
 * @brief Set the policy.
 * @param[in,out] s       The selector.
 * @param[in]     policy  Copied.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  An action that needs compat, or is not possible.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_set_policy(struct flow_tls_sni *s,
                        const struct flow_tls_sni_policy *policy);

/**
 * @brief Add an entry.
 * @param[in,out] s          The selector.
 * @param[in]     entry      What it is; copied.
 * @param[out]    ret_index  Its index, from 0 up.
 * @param[out]    ret_err    Why it failed; may be NULL.
 * @retval FLOW_OK       Added.
 * @retval FLOW_E_INVAL  A pattern, a protocol name, a version, a flag or the id
 *                       is not valid, the id is in use, or there is a default
 *                       already.
 * @retval FLOW_E_NOMEM  No memory.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_add_entry(struct flow_tls_sni *s,
                       const struct flow_tls_sni_entry *entry,
                       size_t *ret_index, struct flow_error *ret_err);

/**
 * @brief Give an entry a certificate chain and its key, from memory.
 *
 * Checked as by flow_tls_config_add_keypair().  The order of several is the
 * last criterion of the choice among them.
 *
 * @param[in,out] s           The selector.
 * @param[in]     entry       Index of the entry.
 * @param[in]     chain       PEM, leaf first, or one certificate in DER.
 * @param[in]     chain_len   Bytes.
 * @param[in]     key         PEM or DER private key.
 * @param[in]     key_len     Bytes.
 * @param[in]     passphrase  Asked if the key is encrypted; may be NULL.
 * @param[in]     user        Given to @p passphrase.
 * @param[out]    ret_err     Why it failed; may be NULL.
 * @return As flow_tls_config_add_keypair(); #FLOW_E_INVAL also if there is no
 *         such entry.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_add_keypair(struct flow_tls_sni *s, size_t entry,
                         const void *chain, size_t chain_len, const void *key,
                         size_t key_len, flow_tls_passphrase_fn *passphrase,
                         void *user, struct flow_error *ret_err);

/**
 * @brief Give an entry a certificate chain and its key, from files.
 * @param[in,out] s           The selector.
 * @param[in]     entry       Index of the entry.
 * @param[in]     chain_path  As flow_tls_sni_add_keypair().
 * @param[in]     key_path    The same file if it has both.
 * @param[in]     passphrase  Asked if the key is encrypted; may be NULL.
 * @param[in]     user        Given to @p passphrase.
 * @param[out]    ret_err     Why it failed, with the file's name; may be NULL.
 * @return As flow_tls_sni_add_keypair(); #FLOW_E_SYS when a file cannot be
 *         read; #FLOW_E_NOTSUP where there are no files.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_add_keypair_file(struct flow_tls_sni *s, size_t entry,
                              const char *chain_path, const char *key_path,
                              flow_tls_passphrase_fn *passphrase, void *user,
                              struct flow_error *ret_err);

/**
 * @brief Give an entry a certificate of which only the facts are known.
 *
 * For programs that ask flow_tls_sni_select() without keys.  A server cannot
 * use such a selector.
 *
 * @param[in,out] s         The selector.
 * @param[in]     entry     Index of the entry.
 * @param[in]     identity  The facts; copied.
 * @param[out]    ret_err   Why it failed; may be NULL.
 * @retval FLOW_OK       Added.
 * @retval FLOW_E_INVAL  No such entry, or no such kind of key.
 * @retval FLOW_E_NOMEM  No memory.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_add_identity(struct flow_tls_sni *s, size_t entry,
                          const struct flow_tls_sni_identity *identity,
                          struct flow_error *ret_err);

/**
 * @brief Names an entry for a name that no pattern but `*` matches.
 *
 * Called in the handshake, by the thread that runs it, so it must neither block
 * nor use the connection.
 *
 * @param[in] user    As given with the callback.
 * @param[in] client  What the client asks for; valid during the call.
 * @return An entry's index, #FLOW_TLS_SNI_NO_ENTRY, or #FLOW_TLS_SNI_PENDING:
 *         the handshake waits, and asks again.
 */
typedef int flow_tls_sni_lookup_fn(void *user,
                                   const struct flow_tls_sni_client *client);

/**
 * @brief Have names looked up that no pattern but `*` matches.
 *
 * If the callback answers #FLOW_TLS_SNI_PENDING, every call on the flow answers
 * #FLOW_AGAIN.  The callback is asked again with the next call and whenever
 * @p answered is signalled; the time limit of the handshake goes on.
 *
 * @param[in,out] s         The selector.
 * @param[in]     lookup    The callback; NULL: none.
 * @param[in]     user      Given to @p lookup.
 * @param[in]     answered  Signalled by the application when a pending name has
 *                          an answer; it outlives the selector.  NULL for a
 *                          callback that always knows.
 * @retval FLOW_OK      Set.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_set_lookup(struct flow_tls_sni *s, flow_tls_sni_lookup_fn *lookup,
                        void *user, struct flow_event *answered);

/**
 * @brief Check a selector and make it a snapshot that no longer changes.
 *
 * Refused are: an entry without a certificate; two entries with one pattern,
 * kind of key and required protocol, valid at the same time; two such
 * certificates in one entry; a pattern that a certificate of its entry does not
 * cover; an entry that nothing can reach; a policy that needs a default where
 * there is none.
 *
 * @param[in,out] s        The selector.
 * @param[out]    ret_err  The first problem; may be NULL.
 * @retval FLOW_OK       Frozen, now or before.
 * @retval FLOW_E_INVAL  There are problems.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_freeze(struct flow_tls_sni *s, struct flow_error *ret_err);

/**
 * @brief Set the name of a client; the other facts are not changed.
 * @param[in,out] client  The facts.
 * @param[in]     name    As sent, in any case; NULL: none was sent.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_sni_client_set_name(struct flow_tls_sni_client *client,
                                           const char *name);

/**
 * @brief Read the facts of a client from its ClientHello.
 * @param[in]  msg         The handshake message with its header.
 * @param[in]  len         Bytes.
 * @param[out] ret_client  The facts; its lists point into @p msg.
 * @param[out] ret_err     Why it failed, with the alert; may be NULL.
 * @retval FLOW_OK       Read.
 * @retval FLOW_E_PROTO  It is not a valid ClientHello.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_client_read(const void *msg, size_t len,
                         struct flow_tls_sni_client *ret_client,
                         struct flow_error *ret_err);

/**
 * @brief Decide what a client gets.
 * @param[in]  s             A frozen selector.
 * @param[in]  client        What it asks for.
 * @param[in]  terms         What the server may negotiate, and the time.
 * @param[out] ret_decision  The decision.
 * @retval FLOW_OK       Decided.
 * @retval FLOW_E_INVAL  The selector is not frozen.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_select(const struct flow_tls_sni *s,
                    const struct flow_tls_sni_client *client,
                    const struct flow_tls_sni_terms *terms,
                    struct flow_tls_sni_decision *ret_decision);

/**
 * @brief Say why a certificate is, or is not, the one that a client gets.
 * @param[in]  s            A frozen selector.
 * @param[in]  client       As given to flow_tls_sni_select().
 * @param[in]  terms        The same.
 * @param[in]  decision     Its answer.
 * @param[in]  index        Of the certificate, from 0, entry after entry.
 * @param[out] ret_verdict  The answer.
 * @retval FLOW_OK   Answered.
 * @retval FLOW_EOF  There are no more certificates.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sni_explain(const struct flow_tls_sni *s,
                     const struct flow_tls_sni_client *client,
                     const struct flow_tls_sni_terms *terms,
                     const struct flow_tls_sni_decision *decision, size_t index,
                     struct flow_tls_sni_verdict *ret_verdict);

/**
 * @brief The id of an entry.
 * @param[in] s      The selector.
 * @param[in] entry  Its index.
 * @return Its id; NULL if there is no such entry.
 * @par Threads
 * Any, once it is frozen.
 * @par Since
 * 0.1
 */
FLOW_API const char *flow_tls_sni_entry_id(const struct flow_tls_sni *s,
                                           size_t entry);

/**
 * @brief The application's pointer of an entry.
 * @param[in] s      The selector.
 * @param[in] entry  Its index.
 * @return flow_tls_sni_entry::user; NULL if there is no such entry.
 * @par Threads
 * Any, once it is frozen.
 * @par Since
 * 0.1
 */
FLOW_API void *flow_tls_sni_entry_user(const struct flow_tls_sni *s,
                                       size_t entry);

/**
 * @brief Whether an entry's patterns and certificates are for a host name.
 *
 * A server answers 421 (RFC 9110 15.5.20) to a request for a host that the
 * entry of its connection is not for.
 *
 * @param[in] s      A frozen selector.
 * @param[in] entry  Index of the entry.
 * @param[in] host   The name, in any case, without a port.
 * @return Whether a pattern of the entry other than `*` matches.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API bool flow_tls_sni_entry_covers(const struct flow_tls_sni *s,
                                        size_t entry, const char *host);

/**
 * @brief Give a server's configuration a selector, which is frozen by this.
 *
 * It takes the place of flow_tls_config_add_keypair(), which is short for a
 * selector with the policy #FLOW_TLS_SNI_STANDARD in which each pair is an
 * entry with the pattern `@cert`, pairs for the same names share one, and the
 * first is the default.
 *
 * @param[in,out] c        The configuration.
 * @param[in]     s        The selector; @p c takes a reference.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_NOTSUP  @p c is a client's.
 * @retval FLOW_E_INVAL   It has pairs or a selector already, or an entry has a
 *                        certificate without a key.
 * @retval FLOW_E_BUSY    Frozen.
 * @return As flow_tls_sni_freeze().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_sni(struct flow_tls_config *c, struct flow_tls_sni *s,
                        struct flow_error *ret_err);

#ifdef __cplusplus
}
#endif

#endif
