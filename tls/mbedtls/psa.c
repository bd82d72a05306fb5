/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/psa.h"

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

static void
give_locks(void)
{
    static uint32_t once;

    flow__once(set_locks, &once);
}

#else

static void
give_locks(void)
{
}

#endif

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
    give_locks();
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
