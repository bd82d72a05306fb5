/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_VERIFY_H
#define FLOW_TLS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/export.h>
#include <flow/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Verification of certificate chains, with or without a connection.
 *
 * A verifier has the certificates that are trusted, revocation lists, pins and
 * limits.  It looks for a path from a peer's own certificate to a trusted one
 * (RFC 5280 6) and checks the name by RFC 9525.  The certificates between may
 * come in any order, and there may be more of them than are needed.  If there
 * are several paths, one that passes every check suffices.
 *
 * Every trusted certificate ends a path, whether or not it is self-signed; it
 * has to be valid itself.  If a peer's own certificate is trusted, it needs no
 * issuer.
 *
 * flow_tls_config_set_verifier() has connections use a verifier;
 * flow_tls_verify() verifies a chain without one.  A verifier is made, set up
 * and frozen by its first use; then any number of threads and configurations
 * may share it.  On a frozen verifier every setter answers #FLOW_E_BUSY.
 *
 * <!-- fragment -->
 * @code
 * flow_tls_verifier_new(NULL, &v, &err);
 * flow_tls_verifier_add_trust_file(v, "ca.pem", &err);
 * input.chain = der;
 * input.chain_len = len;
 * input.name = "server.example";
 * input.time = FLOW_TLS_TIME_NOW;
 * if (flow_tls_verify(v, &input, &verdict) != FLOW_OK)
 *     puts(verdict.text);
 * @endcode
 */

struct flow_tls_verifier;

/** What a certificate is to be used for. */
enum flow_tls_purpose {
    FLOW_TLS_PURPOSE_SERVER = 0, /**< serverAuth: a TLS server's. */
    FLOW_TLS_PURPOSE_CLIENT = 1  /**< clientAuth: a TLS client's. */
};

/** The checks of a verification, the most serious first. */
enum flow_tls_check {
    FLOW_TLS_CHECK_NONE = 0,    /**< Every check was passed. */
    FLOW_TLS_CHECK_MISSING,     /**< There is no certificate. */
    FLOW_TLS_CHECK_COUNT,       /**< There are more than 24 certificates. */
    FLOW_TLS_CHECK_MALFORMED,   /**< One is not well formed. */
    FLOW_TLS_CHECK_MODULUS,     /**< An RSA key has more than 8192 bits. */
    FLOW_TLS_CHECK_EXPONENT,    /**< An RSA exponent has more than 32
                                     bits. */
    FLOW_TLS_CHECK_WORK,        /**< A limit on the work was reached before
                                     a path was found. */
    FLOW_TLS_CHECK_LENGTH,      /**< The path would be longer than 10. */
    FLOW_TLS_CHECK_REVOKED,     /**< It has been revoked. */
    FLOW_TLS_CHECK_EXPIRED,     /**< It has expired. */
    FLOW_TLS_CHECK_FUTURE,      /**< It is not valid yet. */
    FLOW_TLS_CHECK_TRUST,       /**< Its issuer is not known. */
    FLOW_TLS_CHECK_AUTHORITY,   /**< An issuer is not an authority. */
    FLOW_TLS_CHECK_SIGNATURE,   /**< Its signature is not its issuer's. */
    FLOW_TLS_CHECK_NAME,        /**< It is for other names. */
    FLOW_TLS_CHECK_PURPOSE,     /**< extendedKeyUsage: it, or an issuer, is
                                     for another purpose. */
    FLOW_TLS_CHECK_USAGE,       /**< keyUsage: the key is not for
                                     signatures. */
    FLOW_TLS_CHECK_PATH_LENGTH, /**< More authorities follow than
                                     basicConstraints allows. */
    FLOW_TLS_CHECK_CONSTRAINT,  /**< A name constraint is violated. */
    FLOW_TLS_CHECK_UNSUPPORTED, /**< A name constraint is of a form that is
                                     not supported. */
    FLOW_TLS_CHECK_CRITICAL,    /**< A critical extension is not
                                     supported. */
    FLOW_TLS_CHECK_KEY,         /**< The key is too short, or of a kind that
                                     is not supported. */
    FLOW_TLS_CHECK_HASH,        /**< The signature's hash is too short, or
                                     its kind is not supported. */
    FLOW_TLS_CHECK_REVOCATION,  /**< The revocation list is missing, not
                                     valid at this time, or not signed by the
                                     issuer. */
    FLOW_TLS_CHECK_PIN,         /**< No key of the path is pinned. */
    FLOW_TLS_CHECK_CALLBACK     /**< The callback rejected the path. */
};

/** Most certificates in a path, the trusted one included. */
#define FLOW_TLS_PATH_MAX 10

/** A certificate in DER. */
struct flow_tls_der {
    const uint8_t *base; /**< Its first byte. */
    size_t len;          /**< Bytes. */
};

/** flow_tls_verify_input::time: by the clock of the verifier's environment. */
#define FLOW_TLS_TIME_NOW INT64_MIN

/** What to verify. */
struct flow_tls_verify_input {
    /** Certificates in DER, one after another, the peer's own first; as
     *  flow_tls_info::peer_chain. */
    const void *chain;
    size_t chain_len; /**< Bytes. */
    /** Host name (A-labels) or IP address that the certificate must be for;
     *  NULL: any. */
    const char *name;
    enum flow_tls_purpose purpose; /**< What it is used for. */
    /** Seconds since 1970, or #FLOW_TLS_TIME_NOW.  If the environment has no
     *  clock, #FLOW_TLS_TIME_NOW skips the checks of time; a clock before 1970
     *  is a clock. */
    int64_t time;
};

/** The result of a verification. */
struct flow_tls_verdict {
    /** The most serious of the checks that failed, on the path that came
     *  closest; #FLOW_TLS_CHECK_NONE: accepted. */
    enum flow_tls_check check;
    uint32_t flags; /**< FLOW_VERIFY_ bits of <flow/tls.h>, of every check that
                         failed on that path; 0: accepted. */
    const char *text; /**< What failed, or "certificate verified"; static. */
    /** Position in the path of the certificate that failed: 0 for the peer's
     *  own, 1 for its issuer. */
    unsigned depth;
    /** Subject of the certificate that failed, or of the peer's own; "" if
     *  there is none. */
    char subject[FLOW_ERROR_DETAIL];
    char matched_name[256]; /**< The dNSName that matched, or "". */
    /** The path, the peer's own certificate first; if a check failed, as far
     *  as it was built.  The bytes are the input's and the verifier's. */
    struct flow_tls_der path[FLOW_TLS_PATH_MAX];
    size_t path_len;     /**< Certificates in the path. */
    unsigned signatures; /**< Signatures that were checked. */
};

/**
 * @brief Called with a path that has passed every check.
 *
 * It can reject a path and cannot accept one.  In a handshake it runs on the
 * thread that drives the handshake, and must not use that flow.
 *
 * @param[in] user     As given with the callback.
 * @param[in] verdict  The path; valid during the call.
 * @retval FLOW_OK  Accept it.
 * @return Any other status rejects it.
 */
typedef enum flow_status
flow_tls_verify_fn(void *user, const struct flow_tls_verdict *verdict);

/**
 * @brief Make a verifier that trusts no certificate.
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[out] ret_verifier  The verifier, with one reference.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @retval FLOW_OK         Made.
 * @retval FLOW_E_NOMEM    No memory.
 * @retval FLOW_E_ENTROPY  No source of entropy is healthy; the error says why.
 *                         A later call succeeds when one is.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_new(const struct flow_env *env,
                      struct flow_tls_verifier **ret_verifier,
                      struct flow_error *ret_err);

/**
 * @brief Take another reference.
 * @param[in,out] v  The verifier.
 * @return @p v.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API struct flow_tls_verifier *
flow_tls_verifier_ref(struct flow_tls_verifier *v);

/**
 * @brief Drop a reference; the last one frees all memory.
 * @param[in] v  The verifier; NULL does nothing.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_verifier_unref(struct flow_tls_verifier *v);

/**
 * @brief Trust certificates.  May be called more than once.
 * @param[in,out] v        The verifier.
 * @param[in]     data     One or more PEM certificates, or one in DER; copied.
 * @param[in]     len      Bytes.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK       Every certificate was added.
 * @retval FLOW_E_INVAL  One was not understood, or its key or signature is of a
 *                       kind that is not supported; none was added.
 * @retval FLOW_E_NOMEM  No memory; none was added.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_add_trust(struct flow_tls_verifier *v, const void *data,
                            size_t len, struct flow_error *ret_err);

/**
 * @brief Trust certificates from a file; as flow_tls_verifier_add_trust().
 * @param[in,out] v        The verifier.
 * @param[in]     path     The file.
 * @param[out]    ret_err  Why it failed, with the file's name; may be NULL.
 * @return As flow_tls_verifier_add_trust(); #FLOW_E_SYS when the file cannot
 *         be read; #FLOW_E_NOTSUP where there are no files.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_add_trust_file(struct flow_tls_verifier *v, const char *path,
                                 struct flow_error *ret_err);

/**
 * @brief Trust the certificates of the system's store.
 *
 * Certificates in it that are not understood are left out.
 *
 * @param[in,out] v        The verifier.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK       Added.
 * @retval FLOW_E_SYS    There is no store that can be read.
 * @retval FLOW_E_NOMEM  No memory.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_add_system_trust(struct flow_tls_verifier *v,
                                   struct flow_error *ret_err);

/**
 * @brief Add certificate revocation lists.
 *
 * A certificate whose issuer has a list here must not be in it, and the list
 * must be signed by the issuer and valid at the time of the verification.  Of
 * several lists of one issuer, all count.
 *
 * @param[in,out] v        The verifier.
 * @param[in]     data     One or more PEM lists, or one in DER; copied.
 * @param[in]     len      Bytes.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK        Every list was added.
 * @retval FLOW_E_INVAL   One was not understood; none was added.
 * @retval FLOW_E_NOTSUP  One has a critical extension, as delta lists and
 *                        partial lists have; none was added.
 * @retval FLOW_E_NOMEM   No memory; none was added.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_add_crl(struct flow_tls_verifier *v, const void *data,
                          size_t len, struct flow_error *ret_err);

/**
 * @brief Add revocation lists from a file; as flow_tls_verifier_add_crl().
 * @param[in,out] v        The verifier.
 * @param[in]     path     The file.
 * @param[out]    ret_err  Why it failed, with the file's name; may be NULL.
 * @return As flow_tls_verifier_add_crl(); #FLOW_E_SYS when the file cannot be
 *         read; #FLOW_E_NOTSUP also where there are no files.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_add_crl_file(struct flow_tls_verifier *v, const char *path,
                               struct flow_error *ret_err);

/**
 * @brief Refuse a path if one of its certificates, except the trusted one,
 * has no revocation list.
 * @param[in,out] v        The verifier.
 * @param[in]     require  Whether to; off by default.
 * @retval FLOW_OK      Set.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_require_crl(struct flow_tls_verifier *v, bool require);

/**
 * @brief Pin a key: at least one certificate of the path must have a pinned
 * key.  May be called more than once.
 * @param[in,out] v       The verifier.
 * @param[in]     sha256  SHA-256 of a SubjectPublicKeyInfo in DER, 32 bytes.
 * @retval FLOW_OK       Added.
 * @retval FLOW_E_NOMEM  No memory.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_add_pin(struct flow_tls_verifier *v,
                          const uint8_t sha256[32]);

/**
 * @brief Raise the minima for keys and hashes in a path.
 *
 * The defaults are the lowest values.  The signature of a trusted certificate
 * is not checked, so its hash does not count.
 *
 * @param[in,out] v     The verifier.
 * @param[in]     rsa   Bits of an RSA key: 2048..8192.
 * @param[in]     ec    Bits of an elliptic curve: 256, 384 or 521.
 * @param[in]     hash  Bits of a signature's hash: 256, 384 or 512.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  Out of range.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_set_minimum(struct flow_tls_verifier *v, unsigned rsa,
                              unsigned ec, unsigned hash);

/**
 * @brief Ask a callback about each path that has passed every check.
 * @param[in,out] v     The verifier.
 * @param[in]     fn    The callback; NULL for none.
 * @param[in]     user  Given to @p fn; must outlive the verifier.
 * @retval FLOW_OK      Set.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verifier_set_callback(struct flow_tls_verifier *v,
                               flow_tls_verify_fn *fn, void *user);

/**
 * @brief Verify a chain.
 *
 * The work has a bound that does not depend on the input: signature checks take
 * at most about 20 ms of CPU time on a slow machine.
 *
 * @param[in,out] v            The verifier; frozen by this.
 * @param[in]     input        What to verify.
 * @param[out]    ret_verdict  The result; written also if it is refused, but
 *                             not for other errors.
 * @retval FLOW_OK       Accepted.
 * @retval FLOW_E_AUTH   Refused.
 * @retval FLOW_E_INVAL  @p input's name is not a valid name, or its purpose is
 *                       not one.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_verify(struct flow_tls_verifier *v,
                const struct flow_tls_verify_input *input,
                struct flow_tls_verdict *ret_verdict);

/**
 * @brief Decode certificates for flow_tls_verify_input::chain.
 *
 * @param[in]  env        Environment; NULL: flow_env_default().
 * @param[in]  data       One or more PEM certificates with any text around
 *                        them, or DER, which is copied.
 * @param[in]  len        Bytes.
 * @param[out] ret_chain  DER certificates, one after another; the caller
 *                        releases them with flow_env_free(), as *@p ret_len
 *                        bytes.
 * @param[out] ret_len    Bytes; more than 0.
 * @retval FLOW_OK       Decoded.
 * @retval FLOW_E_INVAL  There is no certificate, or one is not well formed PEM.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_decode_chain(const struct flow_env *env, const void *data, size_t len,
                      uint8_t **ret_chain, size_t *ret_len);

/**
 * @brief Describe a certificate of a path by its subject.
 *
 * The text is for people and for logs: as in RFC 4514, a backslash is before a
 * character that separates, and before the two hexadecimal digits of a byte
 * that is not printable ASCII.  Attributes that belong together have " + "
 * between them, and a type without a name is a dotted number.
 *
 * @param[in]  cert  The certificate.
 * @param[out] buf   Receives "C=NL, CN=a.example", cut off at @p cap - 1 bytes,
 *                   and a NUL.
 * @param[in]  cap   Bytes at @p buf, at least 1.
 * @retval FLOW_OK       Written; "" for an empty subject.
 * @retval FLOW_E_INVAL  It is not a certificate; nothing was written.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_get_subject(const struct flow_tls_der *cert, char *buf, size_t cap);

/** Most bytes of a text in struct flow_tls_facts, the NUL included. */
#define FLOW_TLS_TEXT_MAX 256

/** What a certificate says.  Texts are cut off if they are too long. */
struct flow_tls_facts {
    char subject[FLOW_TLS_TEXT_MAX]; /**< As flow_tls_get_subject(). */
    char issuer[FLOW_TLS_TEXT_MAX];  /**< As the subject. */
    char serial[65];                 /**< Hexadecimal, two digits a byte. */
    int64_t not_before;              /**< Seconds since 1970, the first one. */
    int64_t not_after;               /**< Seconds since 1970, the last one. */
    const char *key;         /**< "RSA", "P-256", "P-384", "P-521" or "other";
                                  static. */
    unsigned key_bits;       /**< Of the key; 0 if it is of another kind. */
    bool is_ca;              /**< Its basicConstraints has cA. */
    uint8_t fingerprint[32]; /**< SHA-256 of the certificate. */
    uint8_t pin[32];         /**< SHA-256 of its SubjectPublicKeyInfo, as for
                                  flow_tls_verifier_add_pin(). */
    /** The names of its subjectAltName, for flow_tls_next_name(); len 0 if
     *  there are none. */
    struct flow_tls_der names;
};

/** Kinds of names in a subjectAltName, as RFC 5280 4.2.1.6 numbers them. */
enum flow_tls_name_kind {
    FLOW_TLS_NAME_OTHER = 0,        /**< otherName. */
    FLOW_TLS_NAME_EMAIL = 1,        /**< rfc822Name. */
    FLOW_TLS_NAME_DNS = 2,          /**< dNSName. */
    FLOW_TLS_NAME_X400 = 3,         /**< x400Address. */
    FLOW_TLS_NAME_DIRECTORY = 4,    /**< directoryName. */
    FLOW_TLS_NAME_EDI = 5,          /**< ediPartyName. */
    FLOW_TLS_NAME_URI = 6,          /**< uniformResourceIdentifier. */
    FLOW_TLS_NAME_IP = 7,           /**< iPAddress. */
    FLOW_TLS_NAME_REGISTERED_ID = 8 /**< registeredID. */
};

/**
 * @brief Take the next certificate of a chain, such as
 * flow_tls_info::peer_chain.
 *
 * @param[in,out] chain     Certificates in DER, one after another; advanced
 *                          past the one that is taken.
 * @param[out]    ret_cert  The certificate; its bytes are those of the chain.
 * @retval FLOW_OK   Taken.
 * @retval FLOW_EOF  None is left, or what is left does not begin with an
 *                   element of DER that can be a certificate.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_next_cert(struct flow_tls_der *chain, struct flow_tls_der *ret_cert);

/**
 * @brief Read the facts of a certificate: of a path, or a peer's
 * (flow_tls_info::peer_cert).
 *
 * They are read from the bytes at each call, so that a connection need not
 * store them.
 *
 * @param[in]  cert       The certificate.
 * @param[out] ret_facts  The facts; its names point into @p cert.
 * @retval FLOW_OK         Read.
 * @retval FLOW_E_INVAL    It is not a certificate; nothing was written.
 * @retval FLOW_E_NOMEM    No memory; nothing was written.
 * @retval FLOW_E_ENTROPY  No source of entropy is healthy, so the TLS engine
 *                         does not start; nothing was written.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_get_facts(const struct flow_tls_der *cert,
                   struct flow_tls_facts *ret_facts);

/**
 * @brief Take the next name of flow_tls_facts::names.
 *
 * @param[in,out] names     What is left; advanced past the name.
 * @param[out]    ret_kind  Its kind.
 * @param[out]    buf       Receives it as text, with '?' for what is not
 *                          printable ASCII: addresses as in RFC 5952, directory
 *                          names as flow_tls_get_subject(), "" for the kinds
 *                          OTHER, X400, EDI and REGISTERED_ID.
 * @param[in]     cap       Bytes at @p buf, at least 1.
 * @retval FLOW_OK   Taken.
 * @retval FLOW_EOF  There is none left; nothing was written.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_next_name(struct flow_tls_der *names,
                   enum flow_tls_name_kind *ret_kind, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
