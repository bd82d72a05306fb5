/* SPDX-License-Identifier: ISC */
#include "crypto.h"

#include <openssl/err.h>

#include "memory.h"

/* See libflow/crypto.h. */
void
flow__crypto_begin(void)
{
    (void)ERR_set_mark();
}

/* See libflow/crypto.h. */
void
flow__crypto_end(void)
{
    (void)ERR_pop_to_mark();
}

/* Without memory libcrypto says so, or that there was an internal error, or
 * nothing at all. */
static bool
crypto_means_memory(unsigned long error)
{
    const int reason = ERR_GET_REASON(error);

    return error == 0 || reason == ERR_R_MALLOC_FAILURE ||
           reason == ERR_R_INTERNAL_ERROR;
}

/* See libflow/crypto.h. */
int
flow__crypto_no_memory(int no_memory)
{
    flow__mbed_note_no_memory();
    return no_memory;
}

/* See libflow/crypto.h.  The cause is the oldest error, and the newest what it
 * led to; the host program may have left an older one. */
int
flow__crypto_cause(int no_memory, int other)
{
    if (!crypto_means_memory(ERR_peek_error()) &&
        !crypto_means_memory(ERR_peek_last_error()))
        return other;
    return flow__crypto_no_memory(no_memory);
}

/* See libflow/crypto.h. */
bool
flow__crypto_reason(int lib, int reason)
{
    const unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == lib && ERR_GET_REASON(error) == reason;
}
