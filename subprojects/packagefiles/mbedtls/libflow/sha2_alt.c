/* SPDX-License-Identifier: ISC */

/* The state of a hash without an allocation: deprecated in favour of EVP, whose
 * state is always allocated (docs/decisions). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <mbedtls/build_info.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>

#include <string.h>

/*
 * SHA-224, SHA-256, SHA-384 and SHA-512 by libcrypto.  Nothing here allocates
 * or can fail: libcrypto's functions report failure only after 2^61 bytes.
 */

_Static_assert(sizeof(((mbedtls_sha256_context *)0)->state) ==
                   sizeof(SHA256_CTX),
               "sha256_alt.h has room for libcrypto's state");
_Static_assert(sizeof(((mbedtls_sha512_context *)0)->state) ==
                   sizeof(SHA512_CTX),
               "sha512_alt.h has room for libcrypto's state");

static SHA256_CTX *
sha2_small(mbedtls_sha256_context *ctx)
{
    return (SHA256_CTX *)(void *)ctx->state;
}

static SHA512_CTX *
sha2_large(mbedtls_sha512_context *ctx)
{
    return (SHA512_CTX *)(void *)ctx->state;
}

/* libcrypto answers 1 for success. */
static int
sha2_result(int done, int code)
{
    return done == 1 ? 0 : code;
}

void
mbedtls_sha256_init(mbedtls_sha256_context *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
}

void
mbedtls_sha256_free(mbedtls_sha256_context *ctx)
{
    if (ctx != NULL)
        mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}

void
mbedtls_sha256_clone(mbedtls_sha256_context *dst,
                     const mbedtls_sha256_context *src)
{
    *dst = *src;
}

int
mbedtls_sha256_starts(mbedtls_sha256_context *ctx, int is224)
{
    if (is224 != 0 && is224 != 1)
        return MBEDTLS_ERR_SHA256_BAD_INPUT_DATA;
    return sha2_result(is224 ? SHA224_Init(sha2_small(ctx))
                             : SHA256_Init(sha2_small(ctx)),
                       MBEDTLS_ERR_SHA256_BAD_INPUT_DATA);
}

int
mbedtls_sha256_update(mbedtls_sha256_context *ctx, const unsigned char *input,
                      size_t ilen)
{
    return sha2_result(SHA256_Update(sha2_small(ctx), input, ilen),
                       MBEDTLS_ERR_SHA256_BAD_INPUT_DATA);
}

int
mbedtls_sha256_finish(mbedtls_sha256_context *ctx, unsigned char *output)
{
    return sha2_result(SHA256_Final(output, sha2_small(ctx)),
                       MBEDTLS_ERR_SHA256_BAD_INPUT_DATA);
}

int
mbedtls_internal_sha256_process(mbedtls_sha256_context *ctx,
                                const unsigned char data[64])
{
    SHA256_Transform(sha2_small(ctx), data);
    return 0;
}

void
mbedtls_sha512_init(mbedtls_sha512_context *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
}

void
mbedtls_sha512_free(mbedtls_sha512_context *ctx)
{
    if (ctx != NULL)
        mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}

void
mbedtls_sha512_clone(mbedtls_sha512_context *dst,
                     const mbedtls_sha512_context *src)
{
    *dst = *src;
}

int
mbedtls_sha512_starts(mbedtls_sha512_context *ctx, int is384)
{
    if (is384 != 0 && is384 != 1)
        return MBEDTLS_ERR_SHA512_BAD_INPUT_DATA;
    return sha2_result(is384 ? SHA384_Init(sha2_large(ctx))
                             : SHA512_Init(sha2_large(ctx)),
                       MBEDTLS_ERR_SHA512_BAD_INPUT_DATA);
}

int
mbedtls_sha512_update(mbedtls_sha512_context *ctx, const unsigned char *input,
                      size_t ilen)
{
    return sha2_result(SHA512_Update(sha2_large(ctx), input, ilen),
                       MBEDTLS_ERR_SHA512_BAD_INPUT_DATA);
}

int
mbedtls_sha512_finish(mbedtls_sha512_context *ctx, unsigned char *output)
{
    return sha2_result(SHA512_Final(output, sha2_large(ctx)),
                       MBEDTLS_ERR_SHA512_BAD_INPUT_DATA);
}

int
mbedtls_internal_sha512_process(mbedtls_sha512_context *ctx,
                                const unsigned char data[128])
{
    SHA512_Transform(sha2_large(ctx), data);
    return 0;
}
