/* SPDX-License-Identifier: ISC */
#include "common.h"

#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>

#include <stdbool.h>

#include "curve.h"

/*
 * Functions of mbedTLS that its configuration leaves to us
 * (MBEDTLS_ECDH_GEN_PUBLIC_ALT, MBEDTLS_ECDH_COMPUTE_SHARED_ALT,
 * MBEDTLS_ECDSA_VERIFY_ALT): numbers become octets and back.  Where libcrypto
 * does not compute, mbedTLS's arithmetic does.
 */

static bool
alt_is_montgomery(const mbedtls_ecp_group *grp)
{
    return grp->id == MBEDTLS_ECP_DP_CURVE25519;
}

static int
alt_write_number(const mbedtls_ecp_group *grp, const mbedtls_mpi *number,
                 uint8_t *octets)
{
    const size_t len = flow__curve_len(grp->id);

    return alt_is_montgomery(grp)
               ? mbedtls_mpi_write_binary_le(number, octets, len)
               : mbedtls_mpi_write_binary(number, octets, len);
}

static int
alt_read_number(const mbedtls_ecp_group *grp, mbedtls_mpi *number,
                const uint8_t *octets)
{
    const size_t len = flow__curve_len(grp->id);

    return alt_is_montgomery(grp)
               ? mbedtls_mpi_read_binary_le(number, octets, len)
               : mbedtls_mpi_read_binary(number, octets, len);
}

/* The point at infinity has another length. */
static int
alt_write_point(const mbedtls_ecp_group *grp, const mbedtls_ecp_point *point,
                uint8_t *octets)
{
    size_t len = 0;
    int rc =
        mbedtls_ecp_point_write_binary(grp, point, MBEDTLS_ECP_PF_UNCOMPRESSED,
                                       &len, octets, FLOW__CURVE_POINT_MAX);

    if (rc == 0 && len != flow__curve_point_len(grp->id))
        rc = MBEDTLS_ERR_ECP_INVALID_KEY;
    return rc;
}

static int
alt_public(const mbedtls_ecp_group *grp, const mbedtls_mpi *d,
           mbedtls_ecp_point *Q)
{
    uint8_t scalar[FLOW__CURVE_LEN_MAX], point[FLOW__CURVE_POINT_MAX];
    int rc = alt_write_number(grp, d, scalar);

    if (rc == 0 && !flow__curve_public(grp->id, scalar, point))
        rc = MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
    if (rc == 0)
        rc = mbedtls_ecp_point_read_binary(grp, Q, point,
                                           flow__curve_point_len(grp->id));
    mbedtls_platform_zeroize(scalar, sizeof(scalar));
    return rc;
}

/* A function of mbedTLS. */
int
mbedtls_ecdh_gen_public(mbedtls_ecp_group *grp, mbedtls_mpi *d,
                        mbedtls_ecp_point *Q,
                        int (*f_rng)(void *, unsigned char *, size_t),
                        void *p_rng)
{
    int rc = mbedtls_ecp_gen_privkey(grp, d, f_rng, p_rng);

    if (rc != 0)
        return rc;
    rc = MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
    if (flow__curve_len(grp->id) > 0)
        rc = alt_public(grp, d, Q);
    if (rc == MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE)
        rc = mbedtls_ecp_mul(grp, Q, d, &grp->G, f_rng, p_rng);
    return rc;
}

static int
alt_shared(const mbedtls_ecp_group *grp, mbedtls_mpi *z,
           const mbedtls_ecp_point *Q, const mbedtls_mpi *d)
{
    uint8_t scalar[FLOW__CURVE_LEN_MAX], secret[FLOW__CURVE_LEN_MAX];
    uint8_t point[FLOW__CURVE_POINT_MAX];
    int rc = alt_write_number(grp, d, scalar);

    if (rc == 0)
        rc = alt_write_point(grp, Q, point);
    if (rc == 0 && !flow__curve_shared(grp->id, scalar, point, secret))
        rc = MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
    if (rc == 0)
        rc = alt_read_number(grp, z, secret);
    mbedtls_platform_zeroize(scalar, sizeof(scalar));
    mbedtls_platform_zeroize(secret, sizeof(secret));
    return rc;
}

static int
alt_shared_by_mbedtls(mbedtls_ecp_group *grp, mbedtls_mpi *z,
                      const mbedtls_ecp_point *Q, const mbedtls_mpi *d,
                      int (*f_rng)(void *, unsigned char *, size_t),
                      void *p_rng)
{
    mbedtls_ecp_point product;
    int rc;

    mbedtls_ecp_point_init(&product);
    rc = mbedtls_ecp_mul(grp, &product, d, Q, f_rng, p_rng);
    if (rc == 0 && mbedtls_ecp_is_zero(&product))
        rc = MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
    if (rc == 0)
        rc = mbedtls_mpi_copy(z, &product.X);
    mbedtls_ecp_point_free(&product);
    return rc;
}

/* A function of mbedTLS. */
int
mbedtls_ecdh_compute_shared(mbedtls_ecp_group *grp, mbedtls_mpi *z,
                            const mbedtls_ecp_point *Q, const mbedtls_mpi *d,
                            int (*f_rng)(void *, unsigned char *, size_t),
                            void *p_rng)
{
    int rc = MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;

    if (flow__curve_len(grp->id) > 0)
        rc = alt_shared(grp, z, Q, d);
    if (rc == MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE)
        rc = alt_shared_by_mbedtls(grp, z, Q, d, f_rng, p_rng);
    return rc;
}

/* What does not fit the octets is out of range. */
static int
alt_write_half(const mbedtls_ecp_group *grp, const mbedtls_mpi *number,
               uint8_t *octets)
{
    if (mbedtls_mpi_cmp_int(number, 1) < 0 ||
        mbedtls_mpi_size(number) > flow__curve_len(grp->id))
        return MBEDTLS_ERR_ECP_VERIFY_FAILED;
    return alt_write_number(grp, number, octets);
}

/* SEC 1, 4.1.4, step 3. */
static int
alt_hash_number(const mbedtls_ecp_group *grp, const unsigned char *hash,
                size_t len, mbedtls_mpi *e)
{
    const size_t most = (grp->nbits + 7) / 8;
    int rc;

    if (len > most)
        len = most;
    rc = mbedtls_mpi_read_binary(e, hash, len);
    if (rc == 0 && len * 8 > grp->nbits)
        rc = mbedtls_mpi_shift_r(e, len * 8 - grp->nbits);
    return rc;
}

/* u = number * inverse, modulo the order. */
static int
alt_multiply(const mbedtls_ecp_group *grp, const mbedtls_mpi *number,
             const mbedtls_mpi *inverse, mbedtls_mpi *u)
{
    int rc = mbedtls_mpi_mul_mpi(u, number, inverse);

    return rc == 0 ? mbedtls_mpi_mod_mpi(u, u, &grp->N) : rc;
}

/* Steps 4 to 8, of numbers in range; product and the rest are room for them. */
static int
alt_verify_numbers(mbedtls_ecp_group *grp, const mbedtls_ecp_point *Q,
                   const mbedtls_mpi *r, const mbedtls_mpi *s, mbedtls_mpi *e,
                   mbedtls_mpi *u, mbedtls_ecp_point *product)
{
    mbedtls_mpi inverse;
    int rc;

    mbedtls_mpi_init(&inverse);
    rc = mbedtls_mpi_inv_mod(&inverse, s, &grp->N);
    if (rc == 0)
        rc = alt_multiply(grp, r, &inverse, u);
    if (rc == 0)
        rc = alt_multiply(grp, e, &inverse, e);
    mbedtls_mpi_free(&inverse);
    if (rc == 0)
        rc = mbedtls_ecp_muladd(grp, product, e, &grp->G, u, Q);
    if (rc == 0 && mbedtls_ecp_is_zero(product))
        return MBEDTLS_ERR_ECP_VERIFY_FAILED;
    if (rc == 0)
        rc = mbedtls_mpi_mod_mpi(&product->X, &product->X, &grp->N);
    if (rc == 0 && mbedtls_mpi_cmp_mpi(&product->X, r) != 0)
        return MBEDTLS_ERR_ECP_VERIFY_FAILED;
    return rc;
}

static int
alt_verify_by_mbedtls(mbedtls_ecp_group *grp, const unsigned char *hash,
                      size_t hash_len, const mbedtls_ecp_point *Q,
                      const mbedtls_mpi *r, const mbedtls_mpi *s)
{
    mbedtls_ecp_point product;
    mbedtls_mpi e, u;
    int rc;

    if (mbedtls_mpi_cmp_mpi(r, &grp->N) >= 0 ||
        mbedtls_mpi_cmp_mpi(s, &grp->N) >= 0)
        return MBEDTLS_ERR_ECP_VERIFY_FAILED;
    mbedtls_ecp_point_init(&product);
    mbedtls_mpi_init(&e);
    mbedtls_mpi_init(&u);
    rc = alt_hash_number(grp, hash, hash_len, &e);
    if (rc == 0)
        rc = alt_verify_numbers(grp, Q, r, s, &e, &u, &product);
    mbedtls_mpi_free(&u);
    mbedtls_mpi_free(&e);
    mbedtls_ecp_point_free(&product);
    return rc;
}

/* A function of mbedTLS. */
int
mbedtls_ecdsa_verify(mbedtls_ecp_group *grp, const unsigned char *buf,
                     size_t blen, const mbedtls_ecp_point *Q,
                     const mbedtls_mpi *r, const mbedtls_mpi *s)
{
    uint8_t point[FLOW__CURVE_POINT_MAX];
    uint8_t r_octets[FLOW__CURVE_LEN_MAX], s_octets[FLOW__CURVE_LEN_MAX];
    int rc;

    if (!mbedtls_ecdsa_can_do(grp->id) || flow__curve_len(grp->id) == 0)
        return MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
    rc = alt_write_point(grp, Q, point);
    if (rc == 0)
        rc = alt_write_half(grp, r, r_octets);
    if (rc == 0)
        rc = alt_write_half(grp, s, s_octets);
    if (rc == 0)
        rc = flow__curve_verify(grp->id, point, buf, blen, r_octets, s_octets);
    if (rc == MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE)
        rc = alt_verify_by_mbedtls(grp, buf, blen, Q, r, s);
    return rc;
}
