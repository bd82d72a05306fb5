/* SPDX-License-Identifier: ISC */
#include "common.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/platform.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/rsa.h>

#include "pk_wrap.h"

#include "crypto.h"
#include "curve.h"
#include "key.h"
#include "memory.h"

/*
 * Private keys as objects of libcrypto, made once and used by any thread.
 *
 * mbedTLS finds the operations of a key in the table that its context points
 * to, and the key after it.  A settled key has a table of ours, and begins with
 * mbedTLS's own structure, in which only the public part is set.  So mbedTLS
 * reads type, length and curve as before, and the private part exists once.
 * Octets that carry it from one library to the other are wiped.
 */

struct key {
    union {
        mbedtls_rsa_context rsa;
        mbedtls_ecp_keypair ec;
    } shown; /* first: mbedTLS reads it */
    EVP_PKEY *object;
};

/* Octets of n, e, d, p, q, dp, dq and qp. */
#define KEY_RSA_NUMBERS 8

/* Parameters of libcrypto are numbers in the order of the machine. */
static int
key_write_native(const mbedtls_mpi *number, uint8_t *octets, size_t len)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return mbedtls_mpi_write_binary_le(number, octets, len);
#else
    return mbedtls_mpi_write_binary(number, octets, len);
#endif
}

/* Whether libcrypto has signatures for it. */
static bool
key_can_sign(EVP_PKEY *object)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, object, NULL);
    const bool can = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return can;
}

/* An object of libcrypto with which it can sign, or NULL. */
static EVP_PKEY *
key_make_object(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *object = NULL;

    if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &object, EVP_PKEY_KEYPAIR, params);
    EVP_PKEY_CTX_free(ctx);
    if (object != NULL && !key_can_sign(object)) {
        EVP_PKEY_free(object);
        object = NULL;
    }
    return object;
}

static EVP_PKEY *
key_make_ec(const mbedtls_ecp_keypair *ec, const char *group)
{
    uint8_t scalar[FLOW__CURVE_LEN_MAX], point[FLOW__CURVE_POINT_MAX];
    const size_t len = flow__curve_len(ec->grp.id);
    size_t point_len = 0;
    EVP_PKEY *object = NULL;

    if (key_write_native(&ec->d, scalar, len) == 0 &&
        mbedtls_ecp_point_write_binary(&ec->grp, &ec->Q,
                                       MBEDTLS_ECP_PF_UNCOMPRESSED, &point_len,
                                       point, sizeof(point)) == 0) {
        OSSL_PARAM params[] = {
            OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                   (char *)(uintptr_t)group, strlen(group)),
            OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, point_len),
            OSSL_PARAM_BN(OSSL_PKEY_PARAM_PRIV_KEY, scalar, len),
            OSSL_PARAM_END,
        };

        object = key_make_object("EC", params);
    }
    mbedtls_platform_zeroize(scalar, sizeof(scalar));
    return object;
}

static EVP_PKEY *
key_make_rsa_of(const mbedtls_rsa_context *rsa, uint8_t *octets)
{
    const size_t len = rsa->len;
    const struct {
        const char *name;
        const mbedtls_mpi *value;
    } numbers[KEY_RSA_NUMBERS] = {
        { OSSL_PKEY_PARAM_RSA_N, &rsa->N },
        { OSSL_PKEY_PARAM_RSA_E, &rsa->E },
        { OSSL_PKEY_PARAM_RSA_D, &rsa->D },
        { OSSL_PKEY_PARAM_RSA_FACTOR1, &rsa->P },
        { OSSL_PKEY_PARAM_RSA_FACTOR2, &rsa->Q },
        { OSSL_PKEY_PARAM_RSA_EXPONENT1, &rsa->DP },
        { OSSL_PKEY_PARAM_RSA_EXPONENT2, &rsa->DQ },
        { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &rsa->QP },
    };
    OSSL_PARAM params[KEY_RSA_NUMBERS + 1];

    for (size_t i = 0; i < KEY_RSA_NUMBERS; i++) {
        if (key_write_native(numbers[i].value, octets + i * len, len) != 0)
            return NULL;
        params[i] =
            OSSL_PARAM_construct_BN(numbers[i].name, octets + i * len, len);
    }
    params[KEY_RSA_NUMBERS] = OSSL_PARAM_construct_end();
    return key_make_object("RSA", params);
}

static EVP_PKEY *
key_make_rsa(const mbedtls_rsa_context *rsa)
{
    const size_t len = KEY_RSA_NUMBERS * rsa->len;
    uint8_t *octets = mbedtls_calloc(1, len);
    EVP_PKEY *object = NULL;

    if (octets != NULL) {
        object = key_make_rsa_of(rsa, octets);
        mbedtls_platform_zeroize(octets, len);
    }
    mbedtls_free(octets);
    return object;
}

static struct key *
key_of(const mbedtls_pk_context *pk)
{
    return pk->pk_ctx;
}

/* Sign with what params choose.  libcrypto can sign any hash with a settled
 * key, in a buffer that is large enough; what it can lack is memory, or random
 * numbers, or it has shut down, which are reported alike. */
static int
key_sign(const struct key *key, const OSSL_PARAM *params,
         const unsigned char *hash, size_t hash_len, unsigned char *sig,
         size_t sig_size, size_t *sig_len)
{
    EVP_PKEY_CTX *ctx = NULL;
    size_t len = sig_size;
    int rc = 0;

    if (sig_size < (size_t)EVP_PKEY_get_size(key->object))
        return MBEDTLS_ERR_PK_BUFFER_TOO_SMALL;
    if (flow__crypto_begin())
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->object, NULL);
    /* Without memory for ECDSA's encoding it returns 1, and -1 as the length.
     */
    if (ctx == NULL || EVP_PKEY_sign_init_ex(ctx, params) != 1 ||
        EVP_PKEY_sign(ctx, sig, &len, hash, hash_len) != 1 || len > sig_size)
        rc = MBEDTLS_ERR_PK_ALLOC_FAILED;
    else
        *sig_len = len;
    EVP_PKEY_CTX_free(ctx);
    flow__crypto_end();
    if (rc != 0)
        flow__mbed_note_no_memory();
    return rc;
}

static int
key_sign_rsa_as(const struct key *key, const char *padding,
                mbedtls_md_type_t md_alg, const unsigned char *hash,
                size_t hash_len, unsigned char *sig, size_t sig_size,
                size_t *sig_len)
{
    const char *digest = mbedtls_md_get_name(mbedtls_md_info_from_type(md_alg));
    OSSL_PARAM params[4];
    size_t n = 0;

    if (digest == NULL)
        return MBEDTLS_ERR_PK_BAD_INPUT_DATA;
    params[n++] = OSSL_PARAM_construct_utf8_string(
        OSSL_SIGNATURE_PARAM_DIGEST, (char *)(uintptr_t)digest, 0);
    params[n++] = OSSL_PARAM_construct_utf8_string(
        OSSL_SIGNATURE_PARAM_PAD_MODE, (char *)(uintptr_t)padding, 0);
    /* RFC 8446 4.2.3: as long as the hash. */
    if (strcmp(padding, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0)
        params[n++] = OSSL_PARAM_construct_utf8_string(
            OSSL_SIGNATURE_PARAM_PSS_SALTLEN,
            (char *)(uintptr_t)OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, 0);
    params[n] = OSSL_PARAM_construct_end();
    return key_sign(key, params, hash, hash_len, sig, sig_size, sig_len);
}

/* The functions of the tables. */

static int
key_rsa_sign(mbedtls_pk_context *pk, mbedtls_md_type_t md_alg,
             const unsigned char *hash, size_t hash_len, unsigned char *sig,
             size_t sig_size, size_t *sig_len,
             int (*f_rng)(void *, unsigned char *, size_t), void *p_rng)
{
    (void)f_rng;
    (void)p_rng;
    return key_sign_rsa_as(key_of(pk), OSSL_PKEY_RSA_PAD_MODE_PKCSV15, md_alg,
                           hash, hash_len, sig, sig_size, sig_len);
}

static size_t
key_rsa_bits(mbedtls_pk_context *pk)
{
    return mbedtls_rsa_info.get_bitlen(pk);
}

static int
key_rsa_can_do(mbedtls_pk_type_t type)
{
    return mbedtls_rsa_info.can_do(type);
}

static void
key_free(struct key *key)
{
    EVP_PKEY_free(key->object);
    mbedtls_free(key);
}

static void
key_rsa_free(void *ctx)
{
    mbedtls_rsa_free(ctx);
    key_free(ctx);
}

static const mbedtls_pk_info_t key_rsa_info = {
    .type = MBEDTLS_PK_RSA,
    .name = "RSA",
    .get_bitlen = key_rsa_bits,
    .can_do = key_rsa_can_do,
    .sign_func = key_rsa_sign,
    .ctx_free_func = key_rsa_free,
};

static int
key_ec_sign(mbedtls_pk_context *pk, mbedtls_md_type_t md_alg,
            const unsigned char *hash, size_t hash_len, unsigned char *sig,
            size_t sig_size, size_t *sig_len,
            int (*f_rng)(void *, unsigned char *, size_t), void *p_rng)
{
    (void)md_alg;
    (void)f_rng;
    (void)p_rng;
    return key_sign(key_of(pk), NULL, hash, hash_len, sig, sig_size, sig_len);
}

static size_t
key_ec_bits(mbedtls_pk_context *pk)
{
    return mbedtls_eckey_info.get_bitlen(pk);
}

static int
key_ec_can_do(mbedtls_pk_type_t type)
{
    return mbedtls_eckey_info.can_do(type);
}

static void
key_ec_free(void *ctx)
{
    mbedtls_ecp_keypair_free(ctx);
    key_free(ctx);
}

static const mbedtls_pk_info_t key_ec_info = {
    .type = MBEDTLS_PK_ECKEY,
    .name = "EC",
    .get_bitlen = key_ec_bits,
    .can_do = key_ec_can_do,
    .sign_func = key_ec_sign,
    .ctx_free_func = key_ec_free,
};

/* Fill key from one of mbedTLS: 0, or a number of mbedTLS.  key->object stays
 * NULL if libcrypto does not take it. */

static int
key_read_rsa(struct key *key, const mbedtls_rsa_context *rsa)
{
    int rc;

    mbedtls_rsa_init(&key->shown.rsa);
    rc =
        mbedtls_rsa_import(&key->shown.rsa, &rsa->N, NULL, NULL, NULL, &rsa->E);
    if (rc == 0)
        rc = mbedtls_rsa_complete(&key->shown.rsa);
    if (rc == 0)
        key->object = key_make_rsa(rsa);
    return rc;
}

static const char *
key_group_name(mbedtls_ecp_group_id id)
{
    switch ((int)id) {
    case MBEDTLS_ECP_DP_SECP256R1:
        return "P-256";
    case MBEDTLS_ECP_DP_SECP384R1:
        return "P-384";
    case MBEDTLS_ECP_DP_SECP521R1:
        return "P-521";
    default:
        return NULL;
    }
}

static int
key_read_ec(struct key *key, const mbedtls_ecp_keypair *ec)
{
    const char *group = key_group_name(ec->grp.id);
    int rc;

    mbedtls_ecp_keypair_init(&key->shown.ec);
    rc = mbedtls_ecp_set_public_key(ec->grp.id, &key->shown.ec, &ec->Q);
    if (rc == 0 && group != NULL)
        key->object = key_make_ec(ec, group);
    return rc;
}

static int
key_read(struct key *key, const mbedtls_pk_context *pk, bool is_rsa)
{
    const bool is_alone = flow__crypto_is_alone();
    int rc = 0;

    if (flow__crypto_begin())
        rc = is_rsa ? key_read_rsa(key, pk->pk_ctx)
                    : key_read_ec(key, pk->pk_ctx);
    if (rc == 0 && key->object == NULL && flow__crypto_lacks_memory(is_alone))
        rc = MBEDTLS_ERR_PK_ALLOC_FAILED;
    flow__crypto_end();
    return rc;
}

/* See libflow/key.h. */
int
flow__key_settle(mbedtls_pk_context *pk)
{
    const bool is_rsa = pk->pk_info == &mbedtls_rsa_info;
    const mbedtls_pk_info_t *info = is_rsa ? &key_rsa_info : &key_ec_info;
    struct key *key;
    int rc;

    if (!is_rsa && pk->pk_info != &mbedtls_eckey_info)
        return 0;
    key = mbedtls_calloc(1, sizeof(*key));
    if (key == NULL)
        return MBEDTLS_ERR_PK_ALLOC_FAILED;
    rc = key_read(key, pk, is_rsa);
    if (key->object == NULL) {
        info->ctx_free_func(key);
        return rc;
    }
    mbedtls_pk_free(pk);
    pk->pk_info = info;
    pk->pk_ctx = key;
    return 0;
}

/* The length of the hash, which may be left to the digest. */
static size_t
key_hash_len(mbedtls_md_type_t md_alg, size_t hash_len)
{
    return hash_len != 0
               ? hash_len
               : mbedtls_md_get_size(mbedtls_md_info_from_type(md_alg));
}

/*
 * mbedTLS looks up every signature in the table but those by PSS, for which it
 * takes the RSA key out of the context.  So that function is replaced: its own
 * is compiled under another name, and serves every other case.
 */
#include "mbedtls/pk.h"
#define mbedtls_pk_sign_ext flow__pk_sign_ext
#include "pk.c"
#undef mbedtls_pk_sign_ext

/* A function of mbedTLS. */
int
mbedtls_pk_sign_ext(mbedtls_pk_type_t pk_type, mbedtls_pk_context *ctx,
                    mbedtls_md_type_t md_alg, const unsigned char *hash,
                    size_t hash_len, unsigned char *sig, size_t sig_size,
                    size_t *sig_len,
                    int (*f_rng)(void *, unsigned char *, size_t), void *p_rng)
{
    if (pk_type != MBEDTLS_PK_RSASSA_PSS || ctx->pk_info != &key_rsa_info)
        return flow__pk_sign_ext(pk_type, ctx, md_alg, hash, hash_len, sig,
                                 sig_size, sig_len, f_rng, p_rng);
    return key_sign_rsa_as(key_of(ctx), OSSL_PKEY_RSA_PAD_MODE_PSS, md_alg,
                           hash, key_hash_len(md_alg, hash_len), sig, sig_size,
                           sig_len);
}
