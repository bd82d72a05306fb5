/* SPDX-License-Identifier: ISC */
#include "curve.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>

#include "crypto.h"

/*
 * NIST's curves through EC_POINT_mul(), with the arguments with which libcrypto
 * calls it for its own keys, so that a secret scalar takes the same
 * constant-time code; X25519 through EVP.
 *
 * A group of libcrypto is made at first use, published by one atomic exchange
 * and never changed or released, since any thread may use it until the process
 * ends.  A thread that loses the race releases its own.  Everything else lives
 * for one call.  BN_CTX_free(), EC_POINT_clear_free() and EVP_PKEY_free() wipe
 * what they release.
 */

struct curve {
    mbedtls_ecp_group_id id;
    int nid;
    size_t len;
    EC_GROUP *group;
};

static struct curve curves[] = {
    { .id = MBEDTLS_ECP_DP_SECP256R1, .nid = NID_X9_62_prime256v1, .len = 32 },
    { .id = MBEDTLS_ECP_DP_SECP384R1, .nid = NID_secp384r1, .len = 48 },
    { .id = MBEDTLS_ECP_DP_SECP521R1, .nid = NID_secp521r1, .len = 66 },
};

#define CURVE_X25519_LEN 32

/* What one call works with. */
struct curve_work {
    const struct curve *curve;
    const EC_GROUP *group;
    BN_CTX *numbers;
    EC_POINT *point;
    EC_POINT *result;
};

static struct curve *
curve_find(mbedtls_ecp_group_id id)
{
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (curves[i].id == id)
            return &curves[i];
    return NULL;
}

/* See libflow/curve.h. */
size_t
flow__curve_len(mbedtls_ecp_group_id id)
{
    const struct curve *curve = curve_find(id);

    if (id == MBEDTLS_ECP_DP_CURVE25519)
        return CURVE_X25519_LEN;
    return curve != NULL ? curve->len : 0;
}

/* See libflow/curve.h. */
size_t
flow__curve_point_len(mbedtls_ecp_group_id id)
{
    const struct curve *curve = curve_find(id);

    return curve != NULL ? 1 + 2 * curve->len : flow__curve_len(id);
}

static const EC_GROUP *
curve_group(struct curve *curve)
{
    EC_GROUP *group = __atomic_load_n(&curve->group, __ATOMIC_ACQUIRE);
    EC_GROUP *made;

    if (group != NULL)
        return group;
    made = EC_GROUP_new_by_curve_name(curve->nid);
    if (made == NULL)
        return NULL;
    if (__atomic_compare_exchange_n(&curve->group, &group, made, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return made;
    EC_GROUP_free(made);
    return group;
}

static void
curve_end(struct curve_work *w)
{
    EC_POINT_clear_free(w->point);
    EC_POINT_clear_free(w->result);
    if (w->numbers != NULL)
        BN_CTX_end(w->numbers);
    BN_CTX_free(w->numbers);
    flow__crypto_end();
}

/* Followed by curve_end(), also after a failure. */
static bool
curve_begin(struct curve_work *w, mbedtls_ecp_group_id id)
{
    struct curve *curve = curve_find(id);

    *w = (struct curve_work){ .curve = curve };
    if (!flow__crypto_begin() || curve == NULL)
        return false;
    w->group = curve_group(curve);
    if (w->group == NULL)
        return false;
    w->numbers = BN_CTX_new();
    if (w->numbers == NULL)
        return false;
    BN_CTX_start(w->numbers);
    w->point = EC_POINT_new(w->group);
    w->result = EC_POINT_new(w->group);
    return w->point != NULL && w->result != NULL;
}

/* A number of the field's length; NULL: no memory. */
static BIGNUM *
curve_number(const struct curve_work *w, const uint8_t *bytes)
{
    BIGNUM *number = BN_CTX_get(w->numbers);

    if (number == NULL)
        return NULL;
    return BN_bin2bn(bytes, (int)w->curve->len, number);
}

/* Whether it lies in 1 to n - 1, n being the group's order. */
static bool
curve_in_range(const struct curve_work *w, const BIGNUM *number)
{
    return !BN_is_zero(number) &&
           BN_cmp(number, EC_GROUP_get0_order(w->group)) < 0;
}

/* A secret one, in range; NULL: not so, or no memory. */
static BIGNUM *
curve_scalar(const struct curve_work *w, const uint8_t *bytes)
{
    BIGNUM *scalar = curve_number(w, bytes);

    if (scalar == NULL)
        return NULL;
    BN_set_flags(scalar, BN_FLG_CONSTTIME);
    return curve_in_range(w, scalar) ? scalar : NULL;
}

/* Into w->point, if it is on the curve.  libcrypto also takes the hybrid
 * encodings of X9.62. */
static bool
curve_read_point(const struct curve_work *w, const uint8_t *bytes)
{
    return bytes[0] == POINT_CONVERSION_UNCOMPRESSED &&
           EC_POINT_oct2point(w->group, w->point, bytes, 1 + 2 * w->curve->len,
                              w->numbers) == 1 &&
           !EC_POINT_is_at_infinity(w->group, w->point);
}

static bool
curve_write_point(const struct curve_work *w, uint8_t *bytes)
{
    const size_t len = 1 + 2 * w->curve->len;

    return EC_POINT_point2oct(w->group, w->result,
                              POINT_CONVERSION_UNCOMPRESSED, bytes, len,
                              w->numbers) == len;
}

/* The x of w->result; NULL: no memory. */
static BIGNUM *
curve_result_x(const struct curve_work *w)
{
    BIGNUM *x = BN_CTX_get(w->numbers);

    if (x == NULL || EC_POINT_get_affine_coordinates(w->group, w->result, x,
                                                     NULL, w->numbers) != 1)
        return NULL;
    return x;
}

/* The keys of X25519: ours with a public part that is not used, since libcrypto
 * would compute a missing one. */
static bool
curve_make_x_keys(const uint8_t *scalar, const uint8_t *point, EVP_PKEY **ours,
                  EVP_PKEY **theirs)
{
    const OSSL_PARAM pair[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                (void *)(uintptr_t)point, CURVE_X25519_LEN),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
                                (void *)(uintptr_t)scalar, CURVE_X25519_LEN),
        OSSL_PARAM_END,
    };
    const OSSL_PARAM peer[] = { pair[0], OSSL_PARAM_END };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
    const bool done = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
                      EVP_PKEY_fromdata(ctx, ours, EVP_PKEY_KEYPAIR,
                                        (OSSL_PARAM *)pair) == 1 &&
                      EVP_PKEY_fromdata(ctx, theirs, EVP_PKEY_PUBLIC_KEY,
                                        (OSSL_PARAM *)peer) == 1;

    EVP_PKEY_CTX_free(ctx);
    return done;
}

/* Not a secret that is zero. */
static bool
curve_derive_x(EVP_PKEY *ours, EVP_PKEY *theirs, uint8_t *secret)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL);
    size_t len = CURVE_X25519_LEN;
    const bool done = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
                      EVP_PKEY_derive_set_peer_ex(ctx, theirs, 0) == 1 &&
                      EVP_PKEY_derive(ctx, secret, &len) == 1 &&
                      len == CURVE_X25519_LEN;

    EVP_PKEY_CTX_free(ctx);
    return done;
}

static bool
curve_multiply_x(const uint8_t *scalar, const uint8_t *point, uint8_t *x)
{
    EVP_PKEY *ours = NULL, *theirs = NULL;
    bool done;

    done = flow__crypto_begin() &&
           curve_make_x_keys(scalar, point, &ours, &theirs) &&
           curve_derive_x(ours, theirs, x);
    EVP_PKEY_free(ours);
    EVP_PKEY_free(theirs);
    flow__crypto_end();
    return done;
}

/* See libflow/curve.h. */
bool
flow__curve_public(mbedtls_ecp_group_id id, const uint8_t *scalar,
                   uint8_t *point)
{
    /* RFC 7748 6.1. */
    static const uint8_t base[CURVE_X25519_LEN] = { 9 };
    struct curve_work w;
    const BIGNUM *d;
    bool done;

    if (id == MBEDTLS_ECP_DP_CURVE25519)
        return curve_multiply_x(scalar, base, point);
    done = curve_begin(&w, id) && (d = curve_scalar(&w, scalar)) != NULL &&
           EC_POINT_mul(w.group, w.result, d, NULL, NULL, w.numbers) == 1 &&
           curve_write_point(&w, point);
    curve_end(&w);
    return done;
}

/* There is none at infinity, where no scalar in range leads: the order is
 * prime, the cofactor is 1. */
static bool
curve_write_x(const struct curve_work *w, uint8_t *secret)
{
    const BIGNUM *x = curve_result_x(w);

    return x != NULL && BN_bn2binpad(x, secret, (int)w->curve->len) >= 0;
}

/* See libflow/curve.h. */
bool
flow__curve_shared(mbedtls_ecp_group_id id, const uint8_t *scalar,
                   const uint8_t *point, uint8_t *secret)
{
    struct curve_work w;
    const BIGNUM *d;
    bool done;

    if (id == MBEDTLS_ECP_DP_CURVE25519)
        return curve_multiply_x(scalar, point, secret);
    done = curve_begin(&w, id) && (d = curve_scalar(&w, scalar)) != NULL &&
           curve_read_point(&w, point) &&
           EC_POINT_mul(w.group, w.result, NULL, w.point, d, w.numbers) == 1 &&
           curve_write_x(&w, secret);
    curve_end(&w);
    return done;
}

/* SEC 1, 4.1.4, step 3: the leftmost bits of the hash, as many as the order
 * has.  NULL: no memory. */
static BIGNUM *
curve_hash_number(const struct curve_work *w, const uint8_t *hash,
                  size_t hash_len)
{
    const size_t bits = (size_t)EC_GROUP_order_bits(w->group);
    BIGNUM *e = BN_CTX_get(w->numbers);

    if (e == NULL)
        return NULL;
    if (hash_len > (bits + 7) / 8)
        hash_len = (bits + 7) / 8;
    if (BN_bin2bn(hash, (int)hash_len, e) == NULL)
        return NULL;
    if (hash_len * 8 > bits && BN_rshift(e, e, (int)(hash_len * 8 - bits)) != 1)
        return NULL;
    return e;
}

/* Steps 4 and 5: w->result = (e / s) G + (r / s) Q. */
static bool
curve_verify_point(const struct curve_work *w, const BIGNUM *e, const BIGNUM *r,
                   const BIGNUM *s)
{
    const BIGNUM *order = EC_GROUP_get0_order(w->group);
    BIGNUM *inverse = BN_CTX_get(w->numbers);
    BIGNUM *u1 = BN_CTX_get(w->numbers);
    BIGNUM *u2 = BN_CTX_get(w->numbers);

    return u2 != NULL &&
           BN_mod_inverse(inverse, s, order, w->numbers) != NULL &&
           BN_mod_mul(u1, e, inverse, order, w->numbers) == 1 &&
           BN_mod_mul(u2, r, inverse, order, w->numbers) == 1 &&
           EC_POINT_mul(w->group, w->result, u1, w->point, u2, w->numbers) == 1;
}

/* Steps 6 to 8. */
static int
curve_verify_x(const struct curve_work *w, const BIGNUM *r)
{
    BIGNUM *v = BN_CTX_get(w->numbers);
    BIGNUM *x;

    if (EC_POINT_is_at_infinity(w->group, w->result))
        return MBEDTLS_ERR_ECP_VERIFY_FAILED;
    x = curve_result_x(w);
    if (v == NULL || x == NULL ||
        BN_nnmod(v, x, EC_GROUP_get0_order(w->group), w->numbers) != 1)
        return MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
    return BN_cmp(v, r) == 0 ? 0 : MBEDTLS_ERR_ECP_VERIFY_FAILED;
}

/* With w->point. */
static int
curve_verify_numbers(const struct curve_work *w, const uint8_t *hash,
                     size_t hash_len, const uint8_t *r, const uint8_t *s)
{
    const BIGNUM *e = curve_hash_number(w, hash, hash_len);
    const BIGNUM *r_number = curve_number(w, r);
    const BIGNUM *s_number = curve_number(w, s);

    if (e == NULL || r_number == NULL || s_number == NULL)
        return MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
    if (!curve_in_range(w, r_number) || !curve_in_range(w, s_number))
        return MBEDTLS_ERR_ECP_VERIFY_FAILED;
    if (!curve_verify_point(w, e, r_number, s_number))
        return MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
    return curve_verify_x(w, r_number);
}

/* See libflow/curve.h. */
int
flow__curve_verify(mbedtls_ecp_group_id id, const uint8_t *point,
                   const uint8_t *hash, size_t hash_len, const uint8_t *r,
                   const uint8_t *s)
{
    struct curve_work w;
    int rc = MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;

    if (curve_begin(&w, id) && curve_read_point(&w, point))
        rc = curve_verify_numbers(&w, hash, hash_len, r, s);
    curve_end(&w);
    return rc;
}
