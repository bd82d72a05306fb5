/* SPDX-License-Identifier: ISC */
#include "common.h"

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

static int
public_power(BN_CTX *numbers, mbedtls_mpi *x, const mbedtls_mpi *a,
             const mbedtls_mpi *e, const mbedtls_mpi *n)
{
    uint8_t octets[PUBLIC_OCTETS_MAX];
    const size_t len = mbedtls_mpi_size(n);
    const BIGNUM *base = public_read(numbers, a);
    const BIGNUM *exponent = public_read(numbers, e);
    const BIGNUM *modulus = public_read(numbers, n);
    BIGNUM *result = BN_CTX_get(numbers);

    if (base == NULL || exponent == NULL || modulus == NULL || result == NULL ||
        BN_mod_exp(result, base, exponent, modulus, numbers) != 1 ||
        BN_bn2binpad(result, octets, (int)len) < 0)
        return flow__crypto_cause(MBEDTLS_ERR_MPI_ALLOC_FAILED,
                                  MBEDTLS_ERR_PLATFORM_HW_ACCEL_FAILED);
    return mbedtls_mpi_read_binary(x, octets, len);
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

/* x = a to the power of e, modulo n; cache is mbedTLS's. */
static int
public_exp_mod(mbedtls_mpi *x, const mbedtls_mpi *a, const mbedtls_mpi *e,
               const mbedtls_mpi *n, mbedtls_mpi *cache)
{
    BN_CTX *numbers;
    int rc;

    if (!public_fits(a, e, n))
        return mbedtls_mpi_exp_mod_unsafe(x, a, e, n, cache);
    flow__crypto_begin();
    numbers = BN_CTX_new();
    if (numbers == NULL)
        rc = flow__crypto_cause(MBEDTLS_ERR_MPI_ALLOC_FAILED,
                                MBEDTLS_ERR_PLATFORM_HW_ACCEL_FAILED);
    else {
        BN_CTX_start(numbers);
        rc = public_power(numbers, x, a, e, n);
        BN_CTX_end(numbers);
    }
    BN_CTX_free(numbers);
    flow__crypto_end();
    return rc;
}

/* In mbedTLS's file only the public operation calls this. */
#define mbedtls_mpi_exp_mod_unsafe public_exp_mod
#include "rsa.c"
