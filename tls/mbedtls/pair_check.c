/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform.h>

#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"

/*
 * Whether a peer can use a certificate chain with its key.  Every reason why
 * not is reported, the first one is the error.
 */

/* The shortest RSA key that today's clients accept, mbedTLS's among them. */
#define PAIR_RSA_BITS_MIN 2048u

#define PAIR_SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)

/* See tls/mbedtls/mbed.h. */
enum flow_status
flow__mbed_note_problem(const struct flow__keypair_input *in,
                        struct flow_error *err,
                        const struct flow_error *problem)
{
    if (in->report != NULL)
        in->report(in->report_user, problem);
    if (err != NULL && err->status == FLOW_OK)
        *err = *problem;
    return problem->status;
}

struct pair_problem {
    enum flow_status status;
    int code;         /* of mbedTLS, 0: none */
    const char *file; /* NULL: none */
    const char *text;
    const char *hint; /* NULL: none */
    uint32_t flags;   /* FLOW_VERIFY_ */
};

static enum flow_status
pair_note(const struct flow__keypair_input *in, struct flow_error *err,
          const struct pair_problem *p)
{
    struct flow_error problem;

    (void)flow_error_set(&problem, p->status, "tls config",
                         p->code != 0 ? FLOW_DOMAIN_ENGINE : FLOW_DOMAIN_NONE,
                         p->code, p->text);
    if (p->file != NULL)
        flow_error_set_detail(&problem, p->file);
    problem.hint = p->hint;
    problem.verify_flags = p->flags;
    return flow__mbed_note_problem(in, err, &problem);
}

static enum flow_status
pair_check_type(struct flow__keypair *pair,
                const struct flow__keypair_input *in, struct flow_error *err)
{
    const struct pair_problem other = {
        .status = FLOW_E_INVAL,
        .file = in->key_name,
        .text = "private key is neither RSA nor ECDSA P-256, P-384, P-521",
    };
    const struct pair_problem is_short = {
        .status = FLOW_E_AUTH,
        .file = in->key_name,
        .text = "RSA key is too short: fewer than 2048 bits",
        .hint = "have a certificate issued for a longer key, or for P-256",
        .flags = FLOW_VERIFY_WEAK,
    };

    pair->type = flow__mbed_key_type(&pair->key);
    if (pair->type == FLOW__KEY_OTHER)
        return pair_note(in, err, &other);
    if (pair->type == FLOW__KEY_RSA &&
        mbedtls_pk_get_bitlen(&pair->key) < PAIR_RSA_BITS_MIN)
        return pair_note(in, err, &is_short);
    return FLOW_OK;
}

/* Peers refuse other certificates, and the engine does not use them. */
static enum flow_status
pair_check_usage(struct flow__keypair *pair,
                 const struct flow__keypair_input *in, struct flow_error *err)
{
    struct pair_problem p = {
        .status = FLOW_E_AUTH,
        .file = in->chain_name,
        .hint = in->is_client ? "have one issued for TLS clients"
                              : "have one issued for TLS servers",
        .flags = FLOW_VERIFY_USAGE,
    };
    /* Both are of one length. */
    const char *purpose =
        in->is_client ? MBEDTLS_OID_CLIENT_AUTH : MBEDTLS_OID_SERVER_AUTH;
    enum flow_status st = FLOW_OK;

    if (mbedtls_x509_crt_check_extended_key_usage(
            &pair->chain, purpose, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) !=
        0) {
        p.text = in->is_client
                     ? "certificate is not for clients: clientAuth is not in "
                       "its extendedKeyUsage"
                     : "certificate is not for servers: serverAuth is not in "
                       "its extendedKeyUsage";
        st = pair_note(in, err, &p);
    }
    if (mbedtls_x509_crt_check_key_usage(
            &pair->chain, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0) {
        p.text = "certificate is not for TLS: digitalSignature is not in its "
                 "keyUsage";
        st = pair_note(in, err, &p);
    }
    return st;
}

static enum flow_status
pair_check_key(struct flow__keypair *pair, const struct flow__keypair_input *in,
               struct flow_error *err)
{
    const struct pair_problem p = {
        .status = FLOW_E_INVAL,
        .code = flow__mbed_check_pair(&pair->chain.pk, &pair->key),
        .file = in->key_name,
        .text = "private key does not belong to the certificate",
    };

    return p.code == 0 ? FLOW_OK : pair_note(in, err, &p);
}

static enum flow_status
pair_check_validity(struct flow__keypair *pair,
                    const struct flow__keypair_input *in,
                    struct flow_error *err)
{
    uint32_t validity = flow__mbed_validity(pair->env, &pair->chain);
    const struct pair_problem p = {
        .status = FLOW_E_AUTH,
        .file = in->chain_name,
        .text = validity == FLOW_VERIFY_EXPIRED
                    ? "certificate has expired"
                    : "certificate is not valid yet",
        .hint = "renew it, check the clock, or call "
                "flow_tls_config_allow_expired()",
        .flags = validity,
    };

    return validity == 0 || in->allow_expired ? FLOW_OK
                                              : pair_note(in, err, &p);
}

static bool
pair_is_issued_by(const mbedtls_x509_crt *cert, const mbedtls_x509_crt *issuer)
{
    return cert->issuer_raw.len == issuer->subject_raw.len &&
           memcmp(cert->issuer_raw.p, issuer->subject_raw.p,
                  cert->issuer_raw.len) == 0;
}

/* RFC 5246 7.4.2; RFC 8446 4.4.2 recommends it too.  The names are compared:
 * a client checks the signatures. */
static enum flow_status
pair_check_order(struct flow__keypair *pair,
                 const struct flow__keypair_input *in, struct flow_error *err)
{
    const struct pair_problem p = {
        .status = FLOW_E_INVAL,
        .file = in->chain_name,
        .text = "certificate chain is out of order: a certificate is not "
                "issued by the next",
        .hint = "begin with the leaf, then its issuer, and so on",
    };

    for (const mbedtls_x509_crt *c = &pair->chain; c->next != NULL; c = c->next)
        if (!pair_is_issued_by(c, c->next))
            return pair_note(in, err, &p);
    return FLOW_OK;
}

/* See tls/mbedtls/mbed.h. */
enum flow_status
flow__mbed_check_keypair(struct flow__keypair *pair,
                         const struct flow__keypair_input *in,
                         struct flow_error *err)
{
    static enum flow_status (*const checks[])(
        struct flow__keypair *, const struct flow__keypair_input *,
        struct flow_error *) = { pair_check_type, pair_check_usage,
                                 pair_check_key, pair_check_validity,
                                 pair_check_order };
    enum flow_status first = FLOW_OK;

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        enum flow_status st = checks[i](pair, in, err);

        if (first == FLOW_OK)
            first = st;
    }
    return first;
}

/* --- kinds of keys that the engine does not know --- */

/* Keys by object identifier (RFC 8410, RFC 4055, RFC 3279). */
static const struct {
    const char *oid;
    const char *text;
} pair_refused_kinds[] = {
    { "\x2b\x65\x70", "key is Ed25519, which is not supported" },
    { "\x2b\x65\x71", "key is Ed448, which is not supported" },
    { "\x2b\x65\x6e", "key is X25519, which cannot sign" },
    { "\x2b\x65\x6f", "key is X448, which cannot sign" },
    { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a",
      "key is RSASSA-PSS, which is not supported" },
    { "\x2a\x86\x48\xce\x38\x04\x01", "key is DSA, which is not supported" },
};

/* ecPublicKey, and curves by object identifier (RFC 5480, RFC 5639). */
#define PAIR_EC "\x2a\x86\x48\xce\x3d\x02\x01"

static const struct {
    size_t len;
    const char *oid;
    const char *text; /* NULL: the curve is supported */
} pair_curves[] = {
    { 8, "\x2a\x86\x48\xce\x3d\x03\x01\x07", NULL },
    { 5, "\x2b\x81\x04\x00\x22", NULL },
    { 5, "\x2b\x81\x04\x00\x23", NULL },
    { 5, "\x2b\x81\x04\x00\x0a",
      "key is on secp256k1, which is not supported" },
    { 5, "\x2b\x81\x04\x00\x21", "key is on P-224, which is not supported" },
    { 9, "\x2b\x24\x03\x03\x02\x08\x01\x01\x07",
      "key is on brainpoolP256r1, which is not supported" },
    { 9, "\x2b\x24\x03\x03\x02\x08\x01\x01\x0b",
      "key is on brainpoolP384r1, which is not supported" },
    { 9, "\x2b\x24\x03\x03\x02\x08\x01\x01\x0d",
      "key is on brainpoolP512r1, which is not supported" },
};

static bool
pair_enter(unsigned char **p, const unsigned char **end, int tag)
{
    size_t len;

    if (mbedtls_asn1_get_tag(p, *end, &len, tag) != 0)
        return false;
    *end = *p + len;
    return true;
}

static bool
pair_skip(unsigned char **p, const unsigned char *end)
{
    size_t len;

    if (*p >= end || mbedtls_asn1_get_tag(p, end, &len, **p) != 0)
        return false;
    *p += len;
    return true;
}

/* The text of the curve at p. */
static const char *
pair_refused_curve(unsigned char *p, const unsigned char *end)
{
    size_t len;

    if (mbedtls_asn1_get_tag(&p, end, &len, MBEDTLS_ASN1_OID) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof(pair_curves) / sizeof(pair_curves[0]); i++)
        if (len == pair_curves[i].len &&
            memcmp(p, pair_curves[i].oid, len) == 0)
            return pair_curves[i].text;
    return "key is on a curve other than P-256, P-384 and P-521, which is not "
           "supported";
}

/* The text of the AlgorithmIdentifier at p. */
static const char *
pair_refused_algorithm(unsigned char *p, const unsigned char *end)
{
    size_t len;

    if (!pair_enter(&p, &end, PAIR_SEQUENCE) ||
        mbedtls_asn1_get_tag(&p, end, &len, MBEDTLS_ASN1_OID) != 0)
        return NULL;
    if (len == strlen(PAIR_EC) && memcmp(p, PAIR_EC, len) == 0)
        return pair_refused_curve(p + len, end);
    for (size_t i = 0;
         i < sizeof(pair_refused_kinds) / sizeof(pair_refused_kinds[0]); i++)
        if (len == strlen(pair_refused_kinds[i].oid) &&
            memcmp(p, pair_refused_kinds[i].oid, len) == 0)
            return pair_refused_kinds[i].text;
    return NULL;
}

/* RFC 5958: a version, then the algorithm.  RFC 5280 4.1: within two more
 * sequences, after six or seven fields, within one more. */
static const char *
pair_refused_der(unsigned char *p, size_t len)
{
    const unsigned char *end = p + len;
    int version = MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED;

    if (!pair_enter(&p, &end, PAIR_SEQUENCE) || p >= end)
        return NULL;
    if (*p == MBEDTLS_ASN1_INTEGER)
        return pair_skip(&p, end) ? pair_refused_algorithm(p, end) : NULL;
    if (!pair_enter(&p, &end, PAIR_SEQUENCE) || p >= end ||
        (*p == version && !pair_skip(&p, end)))
        return NULL;
    for (int i = 0; i < 5; i++)
        if (!pair_skip(&p, end))
            return NULL;
    return pair_enter(&p, &end, PAIR_SEQUENCE) ? pair_refused_algorithm(p, end)
                                               : NULL;
}

/* text ends with a NUL. */
static const char *
pair_refused_pem(const char *begin, const char *end, const uint8_t *text)
{
    mbedtls_pem_context pem;
    const char *why = NULL;
    size_t used, len;

    mbedtls_pem_init(&pem);
    if (mbedtls_pem_read_buffer(&pem, begin, end, text, NULL, 0, &used) == 0) {
        const unsigned char *der = mbedtls_pem_get_buffer(&pem, &len);

        why = pair_refused_der((unsigned char *)(uintptr_t)der, len);
    }
    mbedtls_pem_free(&pem);
    return why;
}

/* See tls/mbedtls/mbed.h. */
const char *
flow__mbed_refused_kind(const struct flow_env *env, const void *data,
                        size_t len)
{
    uint8_t *copy;
    const char *why;

    if (len == 0)
        return NULL;
    copy = flow_env_alloc(env, len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, data, len);
    why = pair_refused_der(copy, len);
    if (why == NULL)
        why = pair_refused_pem("-----BEGIN CERTIFICATE-----",
                               "-----END CERTIFICATE-----", copy);
    if (why == NULL)
        why = pair_refused_pem("-----BEGIN PRIVATE KEY-----",
                               "-----END PRIVATE KEY-----", copy);
    flow_wipe(copy, len + 1);
    flow_env_free(env, copy, len + 1);
    return why;
}
