/* SPDX-License-Identifier: ISC */
#include <mbedtls/base64.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include "tls/engine.h"
#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/step.h"

/*
 * What a verification of ours leaves to mbedTLS: its parser, signatures, and
 * SHA-256.
 */

/* Accept every extension: cert.c looks at those that mbedTLS does not know. */
static int
certificate_accept_extension(void *ctx, const mbedtls_x509_crt *cert,
                             const mbedtls_x509_buf *oid, int critical,
                             const unsigned char *p, const unsigned char *end)
{
    (void)ctx;
    (void)cert;
    (void)oid;
    (void)critical;
    (void)p;
    (void)end;
    return 0;
}

/* See tls/mbedtls/mbed.h. */
int
flow__mbed_parse_certificate(mbedtls_x509_crt *chain, struct flow__span der)
{
    return flow__mbed_result(mbedtls_x509_crt_parse_der_with_ext_cb(
        chain, der.base, der.len, 1, certificate_accept_extension, NULL));
}

static enum flow_status
certificate_status(int rc, enum flow_status otherwise)
{
    if (rc == 0)
        return FLOW_OK;
    return flow__mbed_no_memory(rc) ? FLOW_E_NOMEM : otherwise;
}

/* See tls/engine.h. */
enum flow_status
flow__engine_check_certificate(struct flow__span der)
{
    struct flow__mbed_step step;
    mbedtls_x509_crt cert;
    int rc;

    mbedtls_x509_crt_init(&cert);
    flow__mbed_begin_step(&step, NULL);
    rc = mbedtls_x509_crt_parse_der_with_ext_cb(
        &cert, der.base, der.len, 0, certificate_accept_extension, NULL);
    mbedtls_x509_crt_free(&cert);
    rc = flow__mbed_end_step(&step, rc);
    return certificate_status(rc, FLOW_E_INVAL);
}

/* The two names of a hash; false for one that is not used. */
static bool
certificate_hash(unsigned bits, mbedtls_md_type_t *ret_md,
                 psa_algorithm_t *ret_alg)
{
    static const struct {
        unsigned bits;
        mbedtls_md_type_t md;
        psa_algorithm_t alg;
    } known[] = {
        { 256, MBEDTLS_MD_SHA256, PSA_ALG_SHA_256 },
        { 384, MBEDTLS_MD_SHA384, PSA_ALG_SHA_384 },
        { 512, MBEDTLS_MD_SHA512, PSA_ALG_SHA_512 },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].bits == bits) {
            *ret_md = known[i].md;
            *ret_alg = known[i].alg;
            return true;
        }
    return false;
}

static int
certificate_check_signature(struct flow__span spki,
                            const struct flow__signature *s)
{
    uint8_t hash[64];
    mbedtls_pk_context key;
    mbedtls_md_type_t md;
    psa_algorithm_t alg;
    size_t len;
    int rc;

    if (!certificate_hash(s->hash_bits, &md, &alg))
        return PSA_ERROR_NOT_SUPPORTED;
    rc = psa_hash_compute(alg, s->signed_bytes.base, s->signed_bytes.len, hash,
                          sizeof(hash), &len);
    if (rc != 0)
        return rc;
    mbedtls_pk_init(&key);
    rc = flow__mbed_parse_public_key(&key, spki);
    if (rc == 0)
        rc = flow__mbed_check_signature(&key, s, md, hash);
    mbedtls_pk_free(&key);
    return rc;
}

/* See tls/engine.h. */
enum flow_status
flow__engine_check_signature(struct flow__span spki,
                             const struct flow__signature *s)
{
    struct flow__mbed_step step;
    int rc;

    flow__mbed_begin_step(&step, NULL);
    rc = flow__mbed_end_step(&step, certificate_check_signature(spki, s));
    return certificate_status(rc, FLOW_E_AUTH);
}

/* See tls/engine.h. */
enum flow_status
flow__engine_fingerprint(struct flow__span bytes, uint8_t ret[FLOW__PIN_LEN])
{
    size_t len;
    int rc;

    flow__mbed_enter();
    rc = flow__mbed_result(psa_hash_compute(
        PSA_ALG_SHA_256, bytes.base, bytes.len, ret, FLOW__PIN_LEN, &len));
    flow__mbed_leave();
    return rc == 0 ? FLOW_OK : FLOW_E_NOMEM;
}

/* See tls/engine.h. */
bool
flow__engine_decode_base64(struct flow__span text, uint8_t *buf, size_t cap,
                           size_t *ret_len)
{
    return mbedtls_base64_decode(buf, cap, ret_len, text.base, text.len) == 0 &&
           *ret_len > 0;
}
