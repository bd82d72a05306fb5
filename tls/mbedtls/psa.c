/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/psa.h"

#include <mbedtls/aes.h>
#include <mbedtls/build_info.h>
#include <mbedtls/threading.h>
#include <psa/crypto.h>

#include "lib/plat.h"

/*
 * Locks, when the build is ours (its threading_alt.h defines the type): a
 * build of the system has its own.
 */
#ifdef FLOW_MBEDTLS_THREADING_ALT_H

_Static_assert(sizeof(mbedtls_threading_mutex_t) == sizeof(struct flow__lock),
               "threading_alt.h has the size of a lock of lib/plat.h");

static struct flow__lock *
lock_of(mbedtls_threading_mutex_t *mutex)
{
    return (struct flow__lock *)(void *)mutex;
}

static void
mutex_init(mbedtls_threading_mutex_t *mutex)
{
    flow__lock_init(lock_of(mutex));
}

static void
mutex_free(mbedtls_threading_mutex_t *mutex)
{
    flow__lock_fini(lock_of(mutex));
}

static int
mutex_lock(mbedtls_threading_mutex_t *mutex)
{
    flow__lock_acquire(lock_of(mutex));
    return 0;
}

static int
mutex_unlock(mbedtls_threading_mutex_t *mutex)
{
    flow__lock_release(lock_of(mutex));
    return 0;
}

static void
set_locks(void)
{
    mbedtls_threading_set_alt(mutex_init, mutex_free, mutex_lock, mutex_unlock);
}

#else

static void
set_locks(void)
{
}

#endif

/* The first use of AES asks the processor what it can, and notes the answer
 * where every thread reads it. */
static void
settle_aes(void)
{
#ifdef MBEDTLS_AES_C
    static const uint8_t key[16];
    mbedtls_aes_context aes;

    mbedtls_aes_init(&aes);
    (void)mbedtls_aes_setkey_enc(&aes, key, 128);
    mbedtls_aes_free(&aes);
#endif
}

/* What one thread must have done before any other uses the engine. */
static void
start(void)
{
    set_locks();
    settle_aes();
}

#ifdef MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG

/* Asked by PSA for every random byte, in our build. */
psa_status_t
mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
                                uint8_t *output, size_t output_size,
                                size_t *output_length)
{
    (void)context;
    if (!flow__plat_random(output, output_size))
        return PSA_ERROR_INSUFFICIENT_ENTROPY;
    *output_length = output_size;
    return PSA_SUCCESS;
}

#endif

enum flow_status
flow__psa_init(void)
{
    static uint32_t once;

    flow__once(start, &once);
    switch (psa_crypto_init()) {
    case PSA_SUCCESS:
        return FLOW_OK;
    case PSA_ERROR_INSUFFICIENT_MEMORY:
    case PSA_ERROR_INSUFFICIENT_ENTROPY:
        return FLOW_E_NOMEM;
    default:
        return FLOW_E_SYS;
    }
}
