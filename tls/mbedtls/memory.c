/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/step.h"

/*
 * mbedTLS loses the cause when an allocation fails: a digest without memory is
 * reported as a wrong signature, and a number that cannot grow as a bad
 * parameter of the peer.  Our build calls flow__mbed_note_no_memory() for every
 * allocation that fails (subprojects/packagefiles/mbedtls/libflow/memory.c).
 *
 * Invariant: the lowest bit of the thread's word is 1 if an allocation of
 * mbedTLS has failed in this thread since it entered, else 0.  The rest is the
 * step of a handshake that the thread runs, or 0.  Each thread has its own
 * word.
 */

#define MEMORY_FAILED ((uintptr_t)1)

/* See tls/mbedtls/mbed.h. */
void
flow__mbed_note_no_memory(void)
{
    *flow__plat_thread_word() |= MEMORY_FAILED;
}

/* See tls/mbedtls/mbed.h. */
void
flow__mbed_watch_memory(void)
{
    *flow__plat_thread_word() = 0;
}

/* See tls/mbedtls/mbed.h. */
int
flow__mbed_result(int code)
{
    return (*flow__plat_thread_word() & MEMORY_FAILED) != 0
               ? MBEDTLS_ERR_SSL_ALLOC_FAILED
               : code;
}

/* See tls/mbedtls/step.h. */
void
flow__mbed_set_step(struct flow__mbed_step *step)
{
    uintptr_t *word = flow__plat_thread_word();

    *word = (*word & MEMORY_FAILED) | (uintptr_t)step;
}

/* See tls/mbedtls/step.h. */
struct flow__mbed_step *
flow__mbed_step(void)
{
    return (struct flow__mbed_step *)(*flow__plat_thread_word() &
                                      ~MEMORY_FAILED);
}
