/* SPDX-License-Identifier: ISC */
#include "common.h"

#include <stdbool.h>

#include <openssl/bn.h>

#include <mbedtls/bignum.h>
#include <mbedtls/error.h>
#include <mbedtls/platform.h>

#include "bignum_internal.h"

#include "crypto.h"

/*
 * RSA's public operation, with which signatures are verified, by libcrypto. All
 * of its numbers are public.  mbedTLS checks padding and lengths, as before.
 */

/* Larger moduli are left to mbedTLS. */
#define PUBLIC_OCTETS_MAX 1024

/* The number in numbers, or NULL. */
static BIGNUM *
public_read(BN_CTX *numbers, const mbedtls_mpi *number)
{
    uint8_t octets[PUBLIC_OCTETS_MAX];
    const size_t len = mbedtls_mpi_size(number);
    BIGNUM *result = BN_CTX_get(numbers);

    if (result == NULL || mbedtls_mpi_write_binary(number, octets, len) != 0)
        return NULL;
    return BN_bin2bn(octets, (int)len, result);
}

/* Into octets, which has the length of n. */
static bool
public_power(BN_CTX *numbers, uint8_t *octets, const mbedtls_mpi *a,
             const mbedtls_mpi *e, const mbedtls_mpi *n)
{
    const BIGNUM *base = public_read(numbers, a);
    const BIGNUM *exponent = public_read(numbers, e);
    const BIGNUM *modulus = public_read(numbers, n);
    BIGNUM *result = BN_CTX_get(numbers);

    return base != NULL && exponent != NULL && modulus != NULL &&
           result != NULL &&
           BN_mod_exp(result, base, exponent, modulus, numbers) == 1 &&
           BN_bn2binpad(result, octets, (int)mbedtls_mpi_size(n)) >= 0;
}

static bool
public_fits(const mbedtls_mpi *a, const mbedtls_mpi *e, const mbedtls_mpi *n)
{
    return mbedtls_mpi_cmp_int(a, 0) >= 0 && mbedtls_mpi_cmp_int(e, 0) > 0 &&
           mbedtls_mpi_cmp_int(n, 0) > 0 && mbedtls_mpi_get_bit(n, 0) == 1 &&
           mbedtls_mpi_size(a) <= PUBLIC_OCTETS_MAX &&
           mbedtls_mpi_size(e) <= PUBLIC_OCTETS_MAX &&
           mbedtls_mpi_size(n) <= PUBLIC_OCTETS_MAX;
}

static bool
public_compute(uint8_t *octets, const mbedtls_mpi *a, const mbedtls_mpi *e,
               const mbedtls_mpi *n)
{
    BN_CTX *numbers = flow__crypto_begin() ? BN_CTX_new() : NULL;
    bool done = false;

    if (numbers != NULL) {
        BN_CTX_start(numbers);
        done = public_power(numbers, octets, a, e, n);
        BN_CTX_end(numbers);
    }
    BN_CTX_free(numbers);
    flow__crypto_end();
    return done;
}

/* x = a to the power of e, modulo n; cache is mbedTLS's.  What libcrypto does
 * not compute mbedTLS does: a failure must not pass for a wrong signature. */
static int
public_exp_mod(mbedtls_mpi *x, const mbedtls_mpi *a, const mbedtls_mpi *e,
               const mbedtls_mpi *n, mbedtls_mpi *cache)
{
    uint8_t octets[PUBLIC_OCTETS_MAX];

    if (!public_fits(a, e, n) || !public_compute(octets, a, e, n))
        return mbedtls_mpi_exp_mod_unsafe(x, a, e, n, cache);
    return mbedtls_mpi_read_binary(x, octets, mbedtls_mpi_size(n));
}

/* In mbedTLS's file only the public operation calls this. */
#define mbedtls_mpi_exp_mod_unsafe public_exp_mod
#include "rsa.c"
